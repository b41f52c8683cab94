/* Text buffers, UTF-8, edit distance against the plain recursion, nearest names, numbers as text. */
#include "check.h"

#include "base/memory.h"
#include "base/number.h"
#include "base/text.h"

#include <bittern/random.h>

#include <locale.h>
#include <math.h>

static void buffer_grows(void **state) {
    (void)state;
    bt_text text = {0};
    assert_string_equal(bt_text_get(&text), "");
    for (int i = 0; i < 1000; i++) bt_text_append(&text, "%d,", i);
    assert_int_equal(bt_text_status(&text), BT_OK);
    assert_int_equal(text.length, 10 * 2 + 90 * 3 + 900 * 4);
    assert_int_equal(strlen(bt_text_get(&text)), text.length);
    assert_memory_equal(bt_text_get(&text) + text.length - 8, "998,999,", 8);
    bt_text_clear(&text);
    assert_string_equal(bt_text_get(&text), "");
    bt_text_free(&text);
}

static void buffer_failure_sticks(void **state) {
    (void)state;
    bt_text text = {0};
    bt_text_append(&text, "abc");
    bt_memory_fail_at(1);
    bt_text_append(&text, "%0500d", 1);
    bt_text_append(&text, "def"); /* would fit */
    bt_memory_fail_at(0);
    check_message(bt_text_status(&text), BT_ERR_MEMORY, "out of memory after 3 bytes of text");
    assert_string_equal(bt_text_get(&text), "abc");
    bt_text_free(&text);
}

static void quoting(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        const char *quoted;
    } cases[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"line\nbreak\ttab\x01", "\"line\\nbreak\\ttab\\u0001\""},
        {"Rohrdommel \xC3\xBC \xF0\x9F\x90\xA6", "\"Rohrdommel \xC3\xBC \xF0\x9F\x90\xA6\""},
        {"bad \xFF\xC3", "\"bad \xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xE2\x80\xA8\xC2\x85\xEF\xBB\xBF", "\"\\u2028\\u0085\\ufeff\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bt_text text = {0};
        bt_text_append_quoted(&text, cases[i].bytes, strlen(cases[i].bytes));
        assert_string_equal(bt_text_get(&text), cases[i].quoted);
        bt_text_free(&text);
    }
}

/* Every code point encodes to its length; every two-byte string against the definition. */
static void utf8(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\x80",         "\xC0\x80", "\xC1\xBF",         "\xE0\x9F\xBF",     "\xED\xA0\x80",
        "\xED\xBF\xBF", "\xE2\x82", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(bt_text_utf8_length(bad[i], strlen(bad[i])), 0);
        char line[16] = "a\xC3\xBC";
        strcat(line, bad[i]);
        assert_false(bt_text_is_utf8(line, strlen(line)));
    }
    assert_true(bt_text_is_utf8("Rohrdommel \xC3\xBC \xF0\x9F\x90\xA6", 18) && bt_text_is_utf8("\0", 1) &&
                bt_text_is_utf8("", 0));
    assert_int_equal(bt_text_utf8_length("\xF4\x8F\xBF\xBF", 4), 4);
    assert_int_equal(bt_text_utf8_length("\xED\x9F\xBF", 3), 3);
    assert_int_equal(bt_text_utf8_length("\xE0\xA0\x80", 3), 3);
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char two[2] = {(char)a, (char)b};
            size_t expected = a < 0x80 ? 1 : a >= 0xC2 && a < 0xE0 && b >= 0x80 && b < 0xC0 ? 2 : 0;
            assert_int_equal(bt_text_utf8_length(two, 2), expected);
        }
    }
}

/* Optimal string alignment by its definition, without a table. */
static size_t plain_distance(const char *a, size_t i, const char *b, size_t j) {
    if (i == 0 || j == 0) return i + j;
    size_t best = plain_distance(a, i - 1, b, j) + 1, other = plain_distance(a, i, b, j - 1) + 1;
    if (other < best) best = other;
    other = plain_distance(a, i - 1, b, j - 1) + (a[i - 1] != b[j - 1]);
    if (other < best) best = other;
    if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        other = plain_distance(a, i - 2, b, j - 2) + 1;
        if (other < best) best = other;
    }
    return best;
}

static void distance_against_definition(void **state) {
    (void)state;
    for (uint32_t n = 0; n < 300; n++) {
        bt_philox r = bt_philox4x32(n, 0, 0, 0, 7), s = bt_philox4x32(n, 1, 0, 0, 7);
        char a[8] = {0}, b[8] = {0};
        size_t la = r.word[0] % 7, lb = s.word[0] % 7;
        for (size_t i = 0; i < la; i++) a[i] = (char)('a' + (r.word[1] >> 4 * i) % 3);
        for (size_t i = 0; i < lb; i++) b[i] = (char)('a' + (s.word[1] >> 4 * i) % 3);
        assert_int_equal(bt_text_distance(a, b), plain_distance(a, la, b, lb));
    }
}

static void distance_examples(void **state) {
    (void)state;
    assert_int_equal(bt_text_distance("leraning", "learning"), 1);
    assert_int_equal(bt_text_distance("kitten", "sitting"), 3);
    assert_int_equal(bt_text_distance("Batch-Size", "batch_size"), 0);
    assert_int_equal(bt_text_distance("", "abc"), 3);
    char longer[200];
    memset(longer, 'a', 199);
    longer[199] = '\0';
    assert_int_equal(bt_text_distance(longer, "aaa"), 199);
}

static void nearest_names(void **state) {
    (void)state;
    static const char *const names[] = {"lr", "epochs", "optim.learning_rate", "optim.weight_decay", "batch"};
    assert_string_equal(bt_text_nearest("optim.leraning_rate", names, 5), "optim.learning_rate");
    assert_string_equal(bt_text_nearest("optim.wieght-decay", names, 5), "optim.weight_decay");
    assert_string_equal(bt_text_nearest("lt", names, 5), "lr");
    assert_string_equal(bt_text_nearest("epoch", names, 5), "epochs");
    assert_null(bt_text_nearest("momentum", names, 5));
    assert_null(bt_text_nearest("x", names, 5));
    assert_null(bt_text_nearest("", names, 5));
    assert_null(bt_text_nearest("lr", names, 0));
}

static void whole_numbers(void **state) {
    (void)state;
    int64_t value = 5;
    assert_true(bt_number_read_i64("9223372036854775807", &value));
    assert_true(value == INT64_MAX);
    assert_true(bt_number_read_i64("-9223372036854775808", &value));
    assert_true(value == INT64_MIN);
    assert_true(bt_number_read_i64("+12", &value));
    assert_int_equal(value, 12);
    static const char *const bad[] = {"", "-", "9223372036854775808", "1.0", "1e3", " 1", "1 ", "0x10", "1_000", "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(bt_number_read_i64(bad[i], &value));
    assert_int_equal(value, 12);
}

static void real_numbers(void **state) {
    (void)state;
    double value = 5;
    assert_true(bt_number_read_double("1e-4", &value));
    assert_true(value == 1e-4);
    assert_true(bt_number_read_double("-.5", &value));
    assert_true(value == -0.5);
    static const char *const bad[] = {"",      ".",  "fast", "nan", "inf", "-inf", "1e999",
                                      "0x1p3", " 1", "1 ",   "1,5", "1e",  "e5"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(bt_number_read_double(bad[i], &value));
    assert_true(value == -0.5);
}

static void numbers_round_trip(void **state) {
    (void)state;
    char text[BT_NUMBER_BYTES];
    for (uint32_t n = 0; n < 20000; n++) {
        bt_philox r = bt_philox4x32(n, 2, 0, 0, 7);
        double d, back;
        float f;
        memcpy(&d, r.word, sizeof d);
        memcpy(&f, r.word + 2, sizeof f);
        if (isfinite(d)) {
            assert_true(bt_number_read_double(bt_number_write_double(d, text), &back));
            assert_memory_equal(&d, &back, sizeof d);
        }
        if (isfinite(f)) {
            assert_true(bt_number_read_double(bt_number_write_float(f, text), &back));
            float narrow = (float)back;
            assert_memory_equal(&f, &narrow, sizeof f);
        }
    }
    assert_string_equal(bt_number_write_double(0.1, text), "0.1");
    assert_string_equal(bt_number_write_float(0.1f, text), "0.1");
    assert_string_equal(bt_number_write_double(-0.0, text), "-0");
    assert_string_equal(bt_number_write_double((double)NAN, text), "nan");
    assert_string_equal(bt_number_write_float(-INFINITY, text), "-inf");
}

static void numbers_ignore_the_locale(void **state) {
    (void)state;
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
    bool found = false;
    for (size_t i = 0; i < sizeof locales / sizeof locales[0] && !found; i++) {
        found = setlocale(LC_NUMERIC, locales[i]) != NULL;
    }
    if (!found) {
        print_message("skipped: no locale with a decimal comma is installed\n");
        skip();
    }
    char text[BT_NUMBER_BYTES];
    double value = 0;
    assert_true(bt_number_read_double("0.5", &value));
    assert_true(value == 0.5);
    assert_string_equal(bt_number_write_double(0.5, text), "0.5");
    setlocale(LC_NUMERIC, "C");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_grows),
        cmocka_unit_test(buffer_failure_sticks),
        cmocka_unit_test(quoting),
        cmocka_unit_test(utf8),
        cmocka_unit_test(distance_examples),
        cmocka_unit_test(distance_against_definition),
        cmocka_unit_test(nearest_names),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(real_numbers),
        cmocka_unit_test(numbers_round_trip),
        cmocka_unit_test(numbers_ignore_the_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
