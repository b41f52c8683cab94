/* JSON: writing into a text buffer. The nesting is checked, so a document that was finished is well-formed. */
#include "formats/json.h"

#include "base/file.h"
#include "base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

bt_json_writer bt_json_write_to(bt_text *text, bool pretty) {
    return (bt_json_writer){.text = text, .pretty = pretty};
}

static void break_line(bt_json_writer *writer) {
    if (writer->pretty) bt_text_append(writer->text, "\n%*s", 2 * writer->depth, "");
}

/* What stands between the last value and the next one in the same array or object. */
static void separate(bt_json_writer *writer) {
    if (writer->filled[writer->depth - 1]) bt_text_append_bytes(writer->text, ",", 1);
    writer->filled[writer->depth - 1] = true;
    break_line(writer);
}

static void begin_value(bt_json_writer *writer) {
    BT_ASSERT(!writer->complete);
    if (writer->depth > 0) {
        bool in_object = writer->close[writer->depth - 1] == '}';
        BT_ASSERT(writer->has_key == in_object); /* in an object every value follows a key */
        if (!in_object) separate(writer);
    }
    writer->has_key = false;
}

static void end_value(bt_json_writer *writer) {
    writer->complete = writer->depth == 0;
}

static void begin(bt_json_writer *writer, const char *open, char close) {
    begin_value(writer);
    BT_ASSERT(writer->depth < BT_JSON_MAX_DEPTH);
    bt_text_append_bytes(writer->text, open, 1);
    writer->close[writer->depth] = close;
    writer->filled[writer->depth] = false;
    writer->depth++;
}

void bt_json_begin_object(bt_json_writer *writer) {
    begin(writer, "{", '}');
}

void bt_json_begin_array(bt_json_writer *writer) {
    begin(writer, "[", ']');
}

void bt_json_end(bt_json_writer *writer) {
    BT_ASSERT(writer->depth > 0 && !writer->has_key);
    writer->depth--;
    if (writer->filled[writer->depth]) break_line(writer);
    bt_text_append_bytes(writer->text, &writer->close[writer->depth], 1);
    end_value(writer);
}

void bt_json_key(bt_json_writer *writer, const char *key) {
    BT_ASSERT(writer->depth > 0 && writer->close[writer->depth - 1] == '}' && !writer->has_key);
    separate(writer);
    bt_text_append_quoted(writer->text, key, strlen(key));
    bt_text_append(writer->text, writer->pretty ? ": " : ":");
    writer->has_key = true;
}

void bt_json_put_null(bt_json_writer *writer) {
    begin_value(writer);
    bt_text_append(writer->text, "null");
    end_value(writer);
}

void bt_json_put_bool(bt_json_writer *writer, bool value) {
    begin_value(writer);
    bt_text_append(writer->text, value ? "true" : "false");
    end_value(writer);
}

void bt_json_put_integer(bt_json_writer *writer, int64_t value) {
    begin_value(writer);
    bt_text_append(writer->text, "%" PRId64, value);
    end_value(writer);
}

void bt_json_put_number(bt_json_writer *writer, double value) {
    char digits[BT_NUMBER_BYTES];
    begin_value(writer);
    bt_text_append(writer->text, isfinite(value) ? "%s" : "\"%s\"", bt_number_write_double(value, digits));
    end_value(writer);
}

void bt_json_put_string(bt_json_writer *writer, const char *value) {
    if (!value) {
        bt_json_put_null(writer);
        return;
    }
    begin_value(writer);
    bt_text_append_quoted(writer->text, value, strlen(value));
    end_value(writer);
}

void bt_json_member_bool(bt_json_writer *writer, const char *key, bool value) {
    bt_json_key(writer, key);
    bt_json_put_bool(writer, value);
}

void bt_json_member_integer(bt_json_writer *writer, const char *key, int64_t value) {
    bt_json_key(writer, key);
    bt_json_put_integer(writer, value);
}

void bt_json_member_number(bt_json_writer *writer, const char *key, double value) {
    bt_json_key(writer, key);
    bt_json_put_number(writer, value);
}

void bt_json_member_string(bt_json_writer *writer, const char *key, const char *value) {
    bt_json_key(writer, key);
    bt_json_put_string(writer, value);
}

bt_status bt_json_finish(bt_json_writer *writer) {
    BT_ASSERT(writer->complete);
    return bt_text_status(writer->text);
}

bt_status bt_json_finish_to(bt_json_writer *writer, FILE *file, const char *name) {
    BT_TRY(bt_json_finish(writer));
    bool written = fwrite(writer->text->bytes, 1, writer->text->length, file) == writer->text->length &&
                   fputc('\n', file) != EOF && fflush(file) == 0;
    return written ? BT_OK : bt_file_error("write", name, errno);
}
