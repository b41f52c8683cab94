/* Status codes, messages, the log, memory with its fault switch, and the arena. */
#include "check.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>

static void message_is_set_and_prefixed(void **state) {
    (void)state;
    assert_int_equal(bt_error(BT_ERR_IO, "cannot open %s: %d", "a.png", 7), BT_ERR_IO);
    assert_string_equal(bt_error_message(), "cannot open a.png: 7");
    assert_int_equal(bt_error_prefix(BT_ERR_IO, "data set %s", "cifar"), BT_ERR_IO);
    assert_string_equal(bt_error_message(), "data set cifar: cannot open a.png: 7");
    bt_error_clear();
    assert_string_equal(bt_error_message(), "");
}

static void message_may_quote_itself(void **state) {
    (void)state;
    bt_error(BT_ERR_IO, "inner");
    bt_error(BT_ERR_CONFIG, "outer (%s)", bt_error_message());
    assert_string_equal(bt_error_message(), "outer (inner)");
}

static void message_is_one_line_and_cut(void **state) {
    (void)state;
    char big[5000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    bt_error(BT_ERR_FORMAT, "%s", big);
    assert_int_equal(strlen(bt_error_message()), 1023);
    bt_error_prefix(BT_ERR_FORMAT, "file");
    assert_int_equal(strlen(bt_error_message()), 1023);
    assert_memory_equal(bt_error_message(), "file: xxx", 9);
    bt_error(BT_ERR_FORMAT, "a\nb\x1b[31mc\x7f");
    assert_string_equal(bt_error_message(), "a b [31mc ");
}

static void *other_thread(void *context) {
    (void)context;
    int was_empty = bt_error_message()[0] == '\0';
    bt_error(BT_ERR_IO, "of the other thread");
    return was_empty ? context : NULL;
}

static void message_belongs_to_its_thread(void **state) {
    (void)state;
    pthread_t thread;
    int token = 0;
    void *result = NULL;
    bt_error(BT_ERR_IO, "of this thread");
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &token), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &token);
    assert_string_equal(bt_error_message(), "of this thread");
}

static void names_are_distinct(void **state) {
    (void)state;
    for (int i = BT_OK; i <= BT_ERR_INTERRUPTED; i++) {
        assert_string_not_equal(bt_status_name((bt_status)i), "unknown");
        for (int j = BT_OK; j < i; j++) {
            assert_string_not_equal(bt_status_name((bt_status)i), bt_status_name((bt_status)j));
        }
    }
}

static bt_status passes_on(bt_status status, int *reached) {
    BT_TRY(status);
    *reached = 1;
    return BT_OK;
}

static void try_returns(void **state) {
    (void)state;
    int reached = 0;
    assert_int_equal(passes_on(BT_ERR_SHAPE, &reached), BT_ERR_SHAPE);
    assert_int_equal(reached, 0);
    assert_int_equal(passes_on(BT_OK, &reached), BT_OK);
    assert_int_equal(reached, 1);
}

static void failing_assertion(void) {
    BT_ASSERT(1 + 1 == 3);
}

static void assertions_abort(void **state) {
    (void)state;
    assert_true(check_aborts(failing_assertion));
}

static void log_levels_and_lines(void **state) {
    (void)state;
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    bt_log_set(stream, BT_LOG_INFO);
    bt_log_info("step %d", 3);
    bt_log_warn("two\nlines");
    bt_log_set(stream, BT_LOG_ERROR);
    bt_log_warn("unseen");
    bt_log_error("seen");
    bt_log_set(NULL, BT_LOG_INFO);
    fclose(stream);
    assert_string_equal(text, "step 3\nwarning: two lines\nerror: seen\n");
    free(text);
}

static void memory_is_aligned(void **state) {
    (void)state;
    for (size_t bytes = 0; bytes < 300; bytes += 7) {
        unsigned char *memory = bt_memory_zeroed(bytes, 1);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % BT_MEMORY_ALIGN, 0);
        for (size_t i = 0; i < bytes; i++) assert_int_equal(memory[i], 0);
        bt_memory_free(memory);
    }
}

static void memory_overflow_is_refused(void **state) {
    (void)state;
    bt_error_clear();
    assert_null(bt_memory_alloc(SIZE_MAX / 4 + 1, 4));
    assert_string_equal(bt_error_message(), "cannot allocate 4611686018427387904 items of 4 bytes: out of memory");
    assert_null(bt_memory_alloc(SIZE_MAX, 1));
    assert_null(bt_memory_zeroed(SIZE_MAX / 2, 3));
}

static void memory_grows(void **state) {
    (void)state;
    int *items = NULL;
    size_t capacity = 0;
    int moves = 0;
    for (size_t i = 0; i < 10000; i++) {
        size_t before = capacity;
        items = bt_memory_grow(items, &capacity, i + 1, sizeof *items);
        assert_non_null(items);
        moves += capacity != before;
        items[i] = (int)i;
    }
    for (size_t i = 0; i < 10000; i++) assert_int_equal(items[i], i);
    assert_in_range(moves, 5, 15);
    size_t before = capacity;
    assert_null(bt_memory_grow(items, &capacity, SIZE_MAX / 2, sizeof *items));
    assert_int_equal(capacity, before);
    bt_memory_free(items);
}

static void nth_allocation_fails(void **state) {
    (void)state;
    bt_memory_fail_at(2);
    void *first = bt_memory_alloc(1, 8);
    assert_non_null(first);
    assert_null(bt_memory_alloc(3, 8));
    assert_string_equal(bt_error_message(), "cannot allocate 3 items of 8 bytes: out of memory");
    void *third = bt_memory_alloc(1, 8);
    assert_non_null(third);
    bt_memory_fail_at(0);
    bt_memory_free(first);
    bt_memory_free(third);
}

static void arena_keeps_content(void **state) {
    (void)state;
    bt_arena arena = {0};
    enum { COUNT = 3000 };
    char *texts[COUNT];
    for (int i = 0; i < COUNT; i++) {
        texts[i] = bt_arena_format(&arena, "text number %d", i);
        assert_non_null(texts[i]);
        assert_int_equal((uintptr_t)texts[i] % _Alignof(max_align_t), 0);
    }
    unsigned char *large = bt_arena_alloc(&arena, 3, (size_t)1 << 20);
    assert_non_null(large);
    assert_int_equal(large[0] | large[((size_t)3 << 20) - 1], 0);
    memset(large, 255, (size_t)3 << 20);
    for (int i = 0; i < COUNT; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "text number %d", i);
        assert_string_equal(texts[i], expected);
    }
    assert_null(bt_arena_alloc(&arena, SIZE_MAX / 2, 4));
    bt_arena_free(&arena);
    assert_null(arena.blocks);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_is_set_and_prefixed),
        cmocka_unit_test(message_may_quote_itself),
        cmocka_unit_test(message_is_one_line_and_cut),
        cmocka_unit_test(message_belongs_to_its_thread),
        cmocka_unit_test(names_are_distinct),
        cmocka_unit_test(try_returns),
        cmocka_unit_test(assertions_abort),
        cmocka_unit_test(log_levels_and_lines),
        cmocka_unit_test(memory_is_aligned),
        cmocka_unit_test(memory_overflow_is_refused),
        cmocka_unit_test(memory_grows),
        cmocka_unit_test(nth_allocation_fails),
        cmocka_unit_test(arena_keeps_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
