/* CSV and TSV; see csv.h. Fields are unescaped and terminated in place: text only gets shorter. */
#include "formats/csv.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FILE_BYTES ((size_t)1 << 33)
#define ROW_FIELDS 4096 /* more are no table of this project's, and would only cost memory */

static bt_status error_at(const bt_csv *csv, int64_t line, int64_t column, const char *what) {
    return bt_error(BT_ERR_FORMAT, "%s:%" PRId64 ":%" PRId64 ": %s", csv->name, line, column, what);
}

bt_status bt_csv_error(const bt_csv *csv, const bt_csv_field *field, const char *format, ...) {
    char what[900];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return error_at(csv, field->line, field->column, what);
}

/* ---- the file ---- */

/** NUL and bytes that are not UTF-8 are refused with their place. */
static bt_status check_text(const bt_csv *csv) {
    int64_t line = 1, column = 1;
    for (size_t i = csv->at; i < csv->bytes;) {
        size_t length = bt_text_utf8_length(csv->content + i, csv->bytes - i);
        if (length == 0) return error_at(csv, line, column, "the text is not UTF-8 from here; save the table as UTF-8");
        if (csv->content[i] == 0) return error_at(csv, line, column, "a NUL byte; a table is text");
        bool breaks = csv->content[i] == '\n';
        line += breaks;
        column = breaks ? 1 : column + 1;
        i += length;
    }
    return BT_OK;
}

static char guess_separator(const bt_csv *csv) {
    size_t length = strcspn(csv->content + csv->at, "\r\n");
    bool comma = memchr(csv->content + csv->at, ',', length), tab = memchr(csv->content + csv->at, '\t', length);
    return tab && !comma ? '\t' : ',';
}

bt_status bt_csv_open(const char *path, char separator, bt_csv *out) {
    bt_csv csv = {.line = 1, .column = 1};
    csv.name = bt_memory_copy_text(path);
    if (!csv.name) return BT_ERR_MEMORY;
    bt_status status = bt_file_read(path, FILE_BYTES, &csv.content, &csv.bytes);
    if (status == BT_OK) {
        if (csv.bytes >= 3 && memcmp(csv.content, "\xef\xbb\xbf", 3) == 0) csv.at = 3;
        status = check_text(&csv);
    }
    if (status != BT_OK) {
        bt_csv_close(&csv);
        return status;
    }
    csv.separator = separator ? separator : guess_separator(&csv);
    *out = csv;
    return BT_OK;
}

char *bt_csv_take_content(bt_csv *csv) {
    char *content = csv->content;
    csv->content = NULL;
    csv->bytes = csv->at = 0;
    return content;
}

void bt_csv_close(bt_csv *csv) {
    bt_memory_free(csv->name);
    bt_memory_free(csv->content);
    bt_memory_free(csv->fields);
    *csv = (bt_csv){0};
}

/* ---- rows ---- */

/** Passes one byte; continuation bytes are no characters of their own. */
static void pass(bt_csv *csv) {
    unsigned char c = (unsigned char)csv->content[csv->at++];
    if ((c & 0xc0) != 0x80) csv->column++;
}

/** Passes CR LF, LF or CR, whose first byte is at `at`. */
static void pass_break(bt_csv *csv) {
    bool both = csv->content[csv->at] == '\r' && csv->at + 1 < csv->bytes && csv->content[csv->at + 1] == '\n';
    csv->at += both ? 2 : 1;
    csv->line++;
    csv->column = 1;
}

static bool is_break(char c) {
    return c == '\n' || c == '\r';
}

/** The content of a quoted field, from behind its first quote to behind its last. */
static bt_status read_quoted(bt_csv *csv, bt_csv_field *field) {
    char *out = field->text;
    while (csv->at < csv->bytes) {
        char c = csv->content[csv->at];
        if (c == '"') {
            pass(csv);
            if (csv->at >= csv->bytes || csv->content[csv->at] != '"') {
                field->length = (size_t)(out - field->text);
                return BT_OK;
            }
        }
        if (is_break(c)) {
            size_t from = csv->at;
            pass_break(csv);
            memmove(out, csv->content + from, csv->at - from);
            out += csv->at - from;
            continue;
        }
        *out++ = csv->content[csv->at];
        pass(csv);
    }
    return bt_csv_error(csv, field, "the quote that opens here is not closed");
}

static bt_status read_field(bt_csv *csv, bt_csv_field *field) {
    *field = (bt_csv_field){.text = csv->content + csv->at, .line = csv->line, .column = csv->column};
    if (csv->at < csv->bytes && csv->content[csv->at] == '"') {
        pass(csv);
        BT_TRY(read_quoted(csv, field));
        bool ends = csv->at >= csv->bytes || csv->content[csv->at] == csv->separator || is_break(csv->content[csv->at]);
        if (ends) return BT_OK;
        return error_at(csv, csv->line, csv->column,
                        "text behind a closing quote; a quote within a quoted field is written twice");
    }
    while (csv->at < csv->bytes && csv->content[csv->at] != csv->separator && !is_break(csv->content[csv->at])) {
        if (csv->content[csv->at] == '"' && csv->separator == ',')
            return error_at(csv, csv->line, csv->column,
                            "a quote inside a field that does not begin with one; quote the whole field");
        pass(csv);
    }
    field->length = (size_t)(csv->content + csv->at - field->text);
    return BT_OK;
}

static bt_status check_count(const bt_csv *csv, size_t expected) {
    if (csv->rows == 0 || csv->count == expected) return BT_OK;
    return bt_csv_error(csv, &csv->fields[csv->count > expected ? expected : 0],
                        "%zu fields in this row, %zu in the first%s", csv->count, expected,
                        csv->count > expected ? "; a field with a separator in it needs quotes" : "");
}

bt_status bt_csv_next(bt_csv *csv, bool *end) {
    size_t expected = csv->count;
    while (csv->at < csv->bytes && is_break(csv->content[csv->at])) pass_break(csv);
    *end = csv->at >= csv->bytes;
    if (*end) return BT_OK;
    csv->count = 0;
    for (bool more = true; more;) {
        bt_csv_field *fields = bt_memory_grow(csv->fields, &csv->capacity, csv->count + 1, sizeof *fields);
        if (!fields) return BT_ERR_MEMORY;
        csv->fields = fields;
        bt_csv_field *field = &fields[csv->count++];
        BT_TRY(read_field(csv, field));
        if (csv->count > ROW_FIELDS) return bt_csv_error(csv, field, "more than %d fields in a row", ROW_FIELDS);
        more = csv->at < csv->bytes && csv->content[csv->at] == csv->separator;
        if (more)
            pass(csv);
        else if (csv->at < csv->bytes)
            pass_break(csv);
    }
    /* Only now: what ends a field is needed to find the next one. The content has a 0 behind it. */
    for (size_t i = 0; i < csv->count; i++) csv->fields[i].text[csv->fields[i].length] = 0;
    BT_TRY(check_count(csv, expected));
    csv->rows++;
    return BT_OK;
}
