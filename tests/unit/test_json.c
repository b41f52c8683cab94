/* JSON: reading what is allowed and refusing what is not, look-ups, writing. */
#include "check.h"
#include "scratch.h"

#include "base/memory.h"
#include "formats/json.h"

#include <bittern/random.h>

#include <math.h>

static bt_json *parse(const char *text) {
    bt_json *document = NULL;
    check_ok(bt_json_parse(text, strlen(text), "a.json", 0, &document));
    return document;
}

static void reading(void **state) {
    (void)state;
    bt_json *d = parse(" {\"n\": null, \"t\": true, \"f\": false, \"list\": [1, -2.5e1, \"x\", [], {}],\n"
                       "\"s\": \"q\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00fc\\uD83D\\uDC26\", \"\": 7} ");
    const bt_json_value *root = bt_json_root(d), *list;
    assert_int_equal(root->type, BT_JSON_OBJECT);
    assert_int_equal(root->count, 6);
    assert_string_equal(root->as.member[3].key, "list"); /* the file's order */
    assert_int_equal(bt_json_find(root, "n")->type, BT_JSON_NULL);
    bool truth = false;
    check_ok(bt_json_get_bool(root, "t", &truth));
    assert_true(truth);
    check_ok(bt_json_get_bool(root, "f", &truth));
    assert_false(truth);
    check_ok(bt_json_get(root, "list", BT_JSON_ARRAY, &list));
    assert_int_equal(list->count, 5);
    double number = 0;
    int64_t integer = 0;
    const char *string = NULL;
    check_ok(bt_json_as_number(&list->as.member[1], &number));
    assert_true(number == -25.0);
    assert_int_equal(list->as.member[3].count, 0);
    assert_int_equal(list->as.member[4].count, 0);
    check_ok(bt_json_get_string(root, "s", &string));
    assert_string_equal(string, "q\"\\/\b\f\n\r\t\xC3\xBC\xF0\x9F\x90\xA6");
    check_ok(bt_json_get_integer(root, "", 0, 10, &integer));
    assert_int_equal(integer, 7);
    assert_null(bt_json_find(root, "absent"));
    assert_null(bt_json_find(list, "absent"));
    assert_int_equal(bt_json_find(root, "t")->offset, 18);
    bt_json_free(d);
}

/* Bounds are inclusive. */
static void whole_numbers_have_bounds(void **state) {
    (void)state;
    bt_json *d = parse("[5]");
    const bt_json_value *five = bt_json_root(d)->as.member;
    int64_t found = 0;
    check_ok(bt_json_as_integer(five, 5, 5, &found));
    assert_int_equal(found, 5);
    check_error(bt_json_as_integer(five, 6, 9, &found), BT_ERR_FORMAT, "a whole number from 6 to 9");
    check_error(bt_json_as_integer(five, 0, 4, &found), BT_ERR_FORMAT, "a whole number from 0 to 4");
    bt_json_free(d);
}

/* A word that the end of the text cuts, whatever lies behind it in memory. */
static void cut_words(void **state) {
    (void)state;
    static const char *const words[] = {" true", " false", " null"};
    for (int i = 0; i < 3; i++)
        for (size_t bytes = 2; bytes < strlen(words[i]); bytes++) {
            bt_json *d;
            check_error(bt_json_parse(words[i], bytes, "cut", 0, &d), BT_ERR_FORMAT, "cut: byte 1");
        }
}

static void numbers_are_exact(void **state) {
    (void)state;
    bt_json *d =
        parse("[9223372036854775807, -9223372036854775808, 9007199254740993, 9223372036854775808, -0, 0, 1.0, 1e2, "
              "2.2250738585072014e-308, 1e-400]");
    const bt_json_value *list = bt_json_root(d)->as.member;
    assert_true(list[0].type == BT_JSON_INTEGER && list[0].as.integer == INT64_MAX);
    assert_true(list[1].type == BT_JSON_INTEGER && list[1].as.integer == INT64_MIN);
    assert_true(list[2].as.integer == 9007199254740993); /* 2^53 + 1: no double */
    assert_true(list[3].type == BT_JSON_NUMBER && list[3].as.number == 0x1p63);
    assert_true(list[4].type == BT_JSON_NUMBER && list[4].as.number == 0 && signbit(list[4].as.number));
    assert_true(list[5].type == BT_JSON_INTEGER && list[5].as.integer == 0);
    assert_true(list[6].type == BT_JSON_NUMBER && list[6].as.number == 1);
    assert_true(list[7].type == BT_JSON_NUMBER && list[7].as.number == 100);
    assert_true(list[8].as.number == 0x1p-1022);
    assert_true(list[9].as.number == 0);
    bt_json_free(d);
}

static void refusals(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "a.json: byte 100: not JSON: the text ends, expected a value"},
        {"  ", "a.json: byte 102: not JSON: the text ends, expected a value"},
        {"{\"a\":1,}", "a.json: byte 107: not JSON: found \"}\", expected a key in double quotes"},
        {"[1,]", "a.json: byte 103: not JSON: found \"]\", expected a value"},
        {"[1 2]", "a.json: byte 103: not JSON: found \"2\", expected \",\" or \"]\""},
        {"{\"a\" 1}", "a.json: byte 105: not JSON: found \"1\", expected \":\""},
        {"{\"a\":1", "a.json: byte 106: not JSON: the text ends, expected \",\" or \"}\""},
        {"{a:1}", "a.json: byte 101: not JSON: found \"a\", expected a key in double quotes"},
        {"1 2", "a.json: byte 102: not JSON: found \"2\", expected nothing behind the document"},
        {"nul", "a.json: byte 100: not JSON: found \"n\", expected a value"},
        {"True", "a.json: byte 100: not JSON: found \"T\", expected a value"},
        {"NaN", "a.json: byte 100: not JSON: found \"N\", expected a value"},
        {"01", "a.json: byte 100: not JSON: a number begins with a superfluous 0"},
        {"-", "a.json: byte 101: not JSON: the text ends, expected a digit"},
        {"1.", "a.json: byte 102: not JSON: the text ends, expected a digit"},
        {"1.e3", "a.json: byte 102: not JSON: found \"e\", expected a digit"},
        {"1e+", "a.json: byte 103: not JSON: the text ends, expected a digit"},
        {"+1", "a.json: byte 100: not JSON: found \"+\", expected a value"},
        {".5", "a.json: byte 100: not JSON: found \".\", expected a value"},
        {"[1e999]", "a.json: byte 101: not JSON: a number is too large"},
        {"\"abc", "a.json: byte 104: not JSON: the text ends, expected the closing quote of a string"},
        {"\"a\nb\"",
         "a.json: byte 102: not JSON: found byte 0x0a, expected control characters in strings to be escaped"},
        {"\"\\x\"", "a.json: byte 102: not JSON: found \"x\", expected one of \" \\ / b f n r t u behind a backslash"},
        {"\"\\u12g4\"", "a.json: byte 105: not JSON: found \"g\", expected four hexadecimal digits"},
        {"\"\\u0000\"", "a.json: byte 101: not JSON: a NUL character in a string is not accepted"},
        {"\"\\uDC26\"", "a.json: byte 101: not JSON: the second half of a surrogate pair without the first"},
        {"\"\\uD83Dx\"", "a.json: byte 101: not JSON: the first half of a surrogate pair without the second"},
        {"\"\\uD83D\\u0041\"", "a.json: byte 101: not JSON: the first half of a surrogate pair without the second"},
        {"\"\xC0\x80\"", "a.json: byte 101: not JSON: found byte 0xc0, expected UTF-8"},
        {"{\"a\":1,\"b\":2,\"a\":3}",
         "a.json: byte 117: the key \"a\" stands a second time in one object (before at byte 105)"},
        {"{\"a\":1,\"\\u0061\":3}",
         "a.json: byte 116: the key \"a\" stands a second time in one object (before at byte 105)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bt_json *document = (bt_json *)&scratch_root;
        /* From memory of just this size, so that the sanitizer sees a byte read behind it. */
        size_t bytes = strlen(cases[i].text);
        char *exact = malloc(bytes ? bytes : 1);
        assert_non_null(exact);
        memcpy(exact, cases[i].text, bytes);
        check_message(bt_json_parse(exact, bytes, "a.json", 100, &document), BT_ERR_FORMAT, cases[i].message);
        assert_ptr_equal(document, &scratch_root);
        free(exact);
    }
}

static void limits(void **state) {
    (void)state;
    bt_text text = {0};
    bt_json *document = NULL;
    for (int i = 0; i < 64; i++) bt_text_append(&text, "[");
    for (int i = 0; i < 64; i++) bt_text_append(&text, "]");
    check_ok(bt_json_parse(text.bytes, text.length, "a.json", 0, &document));
    bt_json_free(document);
    bt_text_clear(&text);
    for (int i = 0; i < 100000; i++) bt_text_append(&text, "[");
    check_message(bt_json_parse(text.bytes, text.length, "a.json", 0, &document), BT_ERR_FORMAT,
                  "a.json: byte 64: not JSON: arrays and objects are nested more than 64 deep");
    check_message(bt_json_parse(text.bytes, BT_JSON_MAX_BYTES + 1, "a.json", 0, &document), BT_ERR_FORMAT,
                  "a.json: JSON of 104857601 bytes, at most 104857600 are accepted");
    bt_text_free(&text);
}

/* Every prefix of a document is refused without reading behind it, and every single-byte change does no harm. */
static void truncated_and_damaged(void **state) {
    (void)state;
    static const char whole[] = "{\"a\":[1,2.5e-3,\"x\\u00fcy\"],\"b\":{\"c\":true,\"d\":null},\"e\":\"\xC3\xBC\"}";
    for (size_t bytes = 0; bytes < sizeof whole - 1; bytes++) {
        bt_json *document = NULL;
        char *exact = malloc(bytes ? bytes : 1);
        assert_non_null(exact);
        memcpy(exact, whole, bytes);
        check_error(bt_json_parse(exact, bytes, "a.json", 0, &document), BT_ERR_FORMAT, "not JSON: ");
        free(exact);
    }
    for (size_t at = 0; at < sizeof whole - 1; at++) {
        for (int byte = 0; byte < 256; byte++) {
            bt_json *document = NULL;
            char *exact = malloc(sizeof whole - 1);
            assert_non_null(exact);
            memcpy(exact, whole, sizeof whole - 1);
            exact[at] = (char)byte;
            bt_status status = bt_json_parse(exact, sizeof whole - 1, "a.json", 0, &document);
            assert_true(status == BT_OK || status == BT_ERR_FORMAT);
            bt_json_free(document);
            free(exact);
        }
    }
}

static void many_keys(void **state) {
    (void)state;
    bt_text text = {0};
    enum { COUNT = 20000 };
    bt_text_append(&text, "{");
    for (int i = 0; i < COUNT; i++) bt_text_append(&text, "%s\"key %d\":%d", i ? "," : "", i * 7919 % COUNT, i);
    bt_text_append(&text, "}");
    bt_json *d = parse(bt_text_get(&text));
    for (int i = 0; i < COUNT; i++) {
        char key[32];
        int64_t value = -1;
        snprintf(key, sizeof key, "key %d", i * 7919 % COUNT);
        check_ok(bt_json_get_integer(bt_json_root(d), key, 0, COUNT, &value));
        assert_int_equal(value, i);
    }
    bt_json_free(d);
    bt_text_free(&text);
}

static void wrong_types(void **state) {
    (void)state;
    bt_json *d = parse("{\"i\":300,\"x\":1.5,\"s\":\"text\",\"b\":true,\"n\":null,\"l\":[1]}");
    const bt_json_value *root = bt_json_root(d), *value = root;
    int64_t integer = 5;
    double number = 5;
    bool truth = false;
    const char *string = NULL;
    check_message(bt_json_get_integer(root, "i", 0, 255, &integer), BT_ERR_FORMAT,
                  "a.json: byte 5: i: found 300, expected a whole number from 0 to 255");
    check_message(bt_json_get_integer(root, "x", 0, 255, &integer), BT_ERR_FORMAT,
                  "a.json: byte 13: x: found 1.5, expected a whole number from 0 to 255");
    check_message(bt_json_get_number(root, "s", &number), BT_ERR_FORMAT,
                  "a.json: byte 21: s: found \"text\", expected a number");
    check_message(bt_json_get_string(root, "b", &string), BT_ERR_FORMAT,
                  "a.json: byte 32: b: found true, expected a string");
    check_message(bt_json_get_bool(root, "n", &truth), BT_ERR_FORMAT,
                  "a.json: byte 41: n: found null, expected true or false");
    check_message(bt_json_get(root, "l", BT_JSON_OBJECT, &value), BT_ERR_FORMAT,
                  "a.json: byte 50: l: found an array, expected an object");
    check_message(bt_json_get_bool(root, "absent", &truth), BT_ERR_FORMAT,
                  "a.json: byte 0: the key \"absent\" is missing from this object");
    check_message(bt_json_get_bool(bt_json_find(root, "l"), "k", &truth), BT_ERR_FORMAT,
                  "a.json: byte 50: l: found an array, expected an object");
    check_message(bt_json_at(bt_json_find(root, "l"), 1, &value), BT_ERR_FORMAT,
                  "a.json: byte 50: the array has 1 members, expected at least 2");
    check_message(bt_json_at(root, 0, &value), BT_ERR_FORMAT, "a.json: byte 0: found an object, expected an array");
    assert_true(integer == 5 && number == 5 && !truth && !string && value == root);
    check_ok(bt_json_get_number(root, "i", &number)); /* a whole number is a number */
    assert_true(number == 300);
    check_ok(bt_json_at(bt_json_find(root, "l"), 0, &value));
    assert_int_equal(value->as.integer, 1);
    bt_json_free(d);
}

static void read_file(void **state) {
    (void)state;
    bt_json *d = NULL;
    char expected[512];
    const char *path = scratch_file("state.json", "{\"step\": 1200}", 14);
    check_ok(bt_json_read(path, &d));
    int64_t step = 0;
    check_ok(bt_json_get_integer(bt_json_root(d), "step", 0, INT64_MAX, &step));
    assert_int_equal(step, 1200);
    assert_string_equal(bt_json_name(d), path);
    bt_json_free(d);
    snprintf(expected, sizeof expected, "%s: byte 9: not JSON: the text ends, expected a value", path);
    scratch_file("state.json", "{\"step\": ", 9);
    check_message(bt_json_read(path, &d), BT_ERR_FORMAT, expected);
    check_error(bt_json_read(scratch_path("absent.json"), &d), BT_ERR_IO, "absent.json: No such file or directory");
}

static void failed_allocations(void **state) {
    (void)state;
    static const char text[] = "{\"a\":[1,2,\"xyz\"],\"b\":{\"c\":[]}}";
    for (int n = 1;; n++) {
        bt_json *document = NULL;
        bt_memory_fail_at(n);
        bt_status status = bt_json_parse(text, sizeof text - 1, "a.json", 0, &document);
        bt_memory_fail_at(0);
        bt_json_free(document);
        if (status == BT_OK) {
            assert_true(n > 3);
            break;
        }
        check_error(status, BT_ERR_MEMORY, "out of memory");
    }
}

/* ---- writing ---- */

static void write_sample(bt_json_writer *w) {
    bt_json_begin_object(w);
    bt_json_member_integer(w, "step", INT64_MIN);
    bt_json_member_number(w, "loss", 0.1);
    bt_json_member_string(w, "na\"me", "a\nb");
    bt_json_member_string(w, "none", NULL);
    bt_json_key(w, "list");
    bt_json_begin_array(w);
    bt_json_put_bool(w, true);
    bt_json_begin_array(w);
    bt_json_end(w);
    bt_json_begin_object(w);
    bt_json_member_bool(w, "x", false);
    bt_json_end(w);
    bt_json_end(w);
    bt_json_end(w);
}

static void writing(void **state) {
    (void)state;
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, false);
    write_sample(&w);
    check_ok(bt_json_finish(&w));
    assert_string_equal(bt_text_get(&text), "{\"step\":-9223372036854775808,\"loss\":0.1,\"na\\\"me\":\"a\\nb\","
                                            "\"none\":null,\"list\":[true,[],{\"x\":false}]}");
    bt_text_clear(&text);
    w = bt_json_write_to(&text, true);
    write_sample(&w);
    check_ok(bt_json_finish(&w));
    assert_string_equal(bt_text_get(&text), "{\n  \"step\": -9223372036854775808,\n  \"loss\": 0.1,\n"
                                            "  \"na\\\"me\": \"a\\nb\",\n  \"none\": null,\n  \"list\": [\n    true,\n"
                                            "    [],\n    {\n      \"x\": false\n    }\n  ]\n}");
    bt_json_free(parse(bt_text_get(&text)));
    bt_text_free(&text);
}

static void non_finite_numbers(void **state) {
    (void)state;
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, false);
    bt_json_begin_array(&w);
    bt_json_put_number(&w, (double)NAN);
    bt_json_put_number(&w, (double)INFINITY);
    bt_json_put_number(&w, (double)-INFINITY);
    bt_json_end(&w);
    check_ok(bt_json_finish(&w));
    assert_string_equal(bt_text_get(&text), "[\"nan\",\"inf\",\"-inf\"]");
    bt_text_free(&text);
}

static void doubles_round_trip(void **state) {
    (void)state;
    bt_text text = {0};
    double given[4000];
    bt_json_writer w = bt_json_write_to(&text, false);
    bt_json_begin_array(&w);
    for (uint32_t i = 0; i < 4000; i++) {
        bt_philox r = bt_philox4x32(i, 3, 0, 0, 7);
        memcpy(&given[i], r.word, sizeof(double));
        if (!isfinite(given[i])) given[i] = -0.0;
        bt_json_put_number(&w, given[i]);
    }
    bt_json_end(&w);
    check_ok(bt_json_finish(&w));
    bt_json *d = parse(bt_text_get(&text));
    for (size_t i = 0; i < 4000; i++) {
        double back = 0;
        check_ok(bt_json_as_number(&bt_json_root(d)->as.member[i], &back));
        assert_memory_equal(&back, &given[i], sizeof back);
    }
    bt_json_free(d);
    bt_text_free(&text);
}

static bt_text misuse_text;
static bt_json_writer misuse_begin(void) {
    return bt_json_write_to(&misuse_text, false);
}
static void value_without_key(void) {
    bt_json_writer w = misuse_begin();
    bt_json_begin_object(&w);
    bt_json_put_null(&w);
}
static void key_in_array(void) {
    bt_json_writer w = misuse_begin();
    bt_json_begin_array(&w);
    bt_json_key(&w, "k");
}
static void key_without_value(void) {
    bt_json_writer w = misuse_begin();
    bt_json_begin_object(&w);
    bt_json_key(&w, "k");
    bt_json_end(&w);
}
static void two_roots(void) {
    bt_json_writer w = misuse_begin();
    bt_json_put_null(&w);
    bt_json_put_null(&w);
}
static void unclosed(void) {
    bt_json_writer w = misuse_begin();
    bt_json_begin_array(&w);
    if (bt_json_finish(&w) != BT_OK) _exit(1);
}
static void end_without_begin(void) {
    bt_json_writer w = misuse_begin();
    bt_json_end(&w);
}

static void wrong_nesting_aborts(void **state) {
    (void)state;
    assert_true(check_aborts(value_without_key));
    assert_true(check_aborts(key_in_array));
    assert_true(check_aborts(key_without_value));
    assert_true(check_aborts(two_roots));
    assert_true(check_aborts(unclosed));
    assert_true(check_aborts(end_without_begin));
}

static void write_to_stream(void **state) {
    (void)state;
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, false);
    bt_json_put_integer(&w, 42);
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    check_error(bt_json_finish_to(&w, full, "/dev/full"), BT_ERR_IO,
                "cannot write /dev/full: No space left on device; the disk is full");
    fclose(full);
    const char *path = scratch_path("out.json");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    check_ok(bt_json_finish_to(&w, file, path));
    fclose(file);
    size_t bytes;
    unsigned char *data = scratch_read(path, &bytes);
    assert_int_equal(bytes, 3);
    assert_memory_equal(data, "42\n", 3);
    free(data);
    bt_text_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading),
        cmocka_unit_test(whole_numbers_have_bounds),
        cmocka_unit_test(cut_words),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(refusals),
        cmocka_unit_test(limits),
        cmocka_unit_test(truncated_and_damaged),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(wrong_types),
        cmocka_unit_test(read_file),
        cmocka_unit_test(failed_allocations),
        cmocka_unit_test(writing),
        cmocka_unit_test(non_finite_numbers),
        cmocka_unit_test(doubles_round_trip),
        cmocka_unit_test(wrong_nesting_aborts),
        cmocka_unit_test(write_to_stream),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
