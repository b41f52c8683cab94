/* JSON. Whatever is accepted is written again, and that text reads as the same tree. */
#include "fuzz.h"

#include "formats/json.h"

static void write_value(bt_json_writer *w, const bt_json_value *v) {
    if (v->key) bt_json_key(w, v->key);
    switch (v->type) {
    case BT_JSON_NULL:
        bt_json_put_null(w);
        break;
    case BT_JSON_BOOL:
        bt_json_put_bool(w, v->as.boolean);
        break;
    case BT_JSON_INTEGER:
        bt_json_put_integer(w, v->as.integer);
        break;
    case BT_JSON_NUMBER:
        bt_json_put_number(w, v->as.number);
        break;
    case BT_JSON_STRING:
        bt_json_put_string(w, v->as.string);
        break;
    case BT_JSON_ARRAY:
    case BT_JSON_OBJECT:
        v->type == BT_JSON_ARRAY ? bt_json_begin_array(w) : bt_json_begin_object(w);
        for (size_t i = 0; i < v->count; i++) write_value(w, &v->as.member[i]);
        bt_json_end(w);
        break;
    }
}

static bool same_number(const bt_json_value *a, const bt_json_value *b) {
    double x, y;
    return bt_json_as_number(a, &x) == BT_OK && bt_json_as_number(b, &y) == BT_OK && memcmp(&x, &y, sizeof x) == 0;
}

static bool same(const bt_json_value *a, const bt_json_value *b) {
    if (a->type == BT_JSON_NUMBER) return same_number(a, b); /* 1e3 may come back as 1000 */
    if (a->type != b->type) return false;
    switch (a->type) {
    case BT_JSON_BOOL:
        return a->as.boolean == b->as.boolean;
    case BT_JSON_INTEGER:
        return a->as.integer == b->as.integer;
    case BT_JSON_STRING:
        return a->count == strlen(a->as.string) && strcmp(a->as.string, b->as.string) == 0;
    case BT_JSON_ARRAY:
    case BT_JSON_OBJECT:
        if (a->count != b->count) return false;
        for (size_t i = 0; i < a->count; i++) {
            const bt_json_value *m = &a->as.member[i];
            if (!same(m, &b->as.member[i])) return false;
            if (a->type == BT_JSON_OBJECT && bt_json_find(a, m->key) != m) return false;
        }
        return true;
    default:
        return true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    bt_json *first = NULL, *second = NULL;
    bt_status status = bt_json_parse((const char *)data, bytes, "input", 0, &first);
    if (status != BT_OK) {
        FUZZ_CHECK_REFUSED(status);
        FUZZ_CHECK(!first);
        return 0;
    }
    bt_text text = {0};
    bt_json_writer writer = bt_json_write_to(&text, bytes % 2 == 1);
    write_value(&writer, bt_json_root(first));
    FUZZ_CHECK(bt_json_finish(&writer) == BT_OK);
    FUZZ_CHECK(bt_json_parse(text.bytes, text.length, "written", 0, &second) == BT_OK);
    FUZZ_CHECK(same(bt_json_root(first), bt_json_root(second)));
    bt_json_free(first);
    bt_json_free(second);
    bt_text_free(&text);
    return 0;
}
