/* Files of one JSON value a line: whole lines at once, torn ones cut off, a full disk. */
#include "check.h"
#include "scratch.h"

#include "formats/json.h"

#include <sys/resource.h>

static void append_line(bt_jsonl *log, const char *json) {
    bt_text line = {0};
    bt_text_append(&line, "%s", json);
    check_ok(bt_jsonl_append(log, &line));
    bt_text_free(&line);
}

static void expect_lines(const char *path, const char *expected) {
    size_t bytes;
    unsigned char *data = scratch_read(path, &bytes);
    assert_int_equal(bytes, strlen(expected));
    assert_memory_equal(data, expected, bytes);
    free(data);
}

static void lines(void **state) {
    (void)state;
    const char *path = scratch_path("metrics.jsonl");
    bt_jsonl *log = NULL;
    check_ok(bt_jsonl_open(path, true, &log));
    append_line(log, "{\"step\":1}");
    expect_lines(path, "{\"step\":1}\n"); /* at once, not at close */
    append_line(log, "{\"step\":2}");
    bt_jsonl_close(log);
    check_ok(bt_jsonl_open(path, false, &log));
    append_line(log, "{\"step\":3}");
    bt_jsonl_close(log);
    expect_lines(path, "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
}

static void torn_line_is_cut_off(void **state) {
    (void)state;
    bt_jsonl *log = NULL;
    const char *path = scratch_file("torn.jsonl", "{\"step\":1}\n{\"st", 15);
    check_ok(bt_jsonl_open(path, false, &log));
    append_line(log, "{\"step\":2}");
    bt_jsonl_close(log);
    expect_lines(path, "{\"step\":1}\n{\"step\":2}\n");
    /* A torn line longer than the block that is searched, behind and without a whole one. */
    static char wide[10003] = "[]\n";
    memset(wide + 3, 'x', 10000);
    path = scratch_file("wide.jsonl", wide, sizeof wide);
    check_ok(bt_jsonl_open(path, false, &log));
    bt_jsonl_close(log);
    expect_lines(path, "[]\n");
    path = scratch_file("only.jsonl", wide + 3, 10000);
    check_ok(bt_jsonl_open(path, false, &log));
    bt_jsonl_close(log);
    expect_lines(path, "");
}

/* The limit on file sizes stands in for a disk that fills up within a line. */
static void half_a_line_is_taken_back(void **state) {
    (void)state;
    const char *path = scratch_file("half.jsonl", "[1]\n", 4);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {10, 10};
        bt_jsonl *log = NULL;
        bt_text line = {0};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        bt_text_append(&line, "[2,3,4,5,6,7]");
        bool refused = bt_jsonl_open(path, false, &log) == BT_OK && bt_jsonl_append(log, &line) == BT_ERR_IO;
        _exit(refused && strstr(bt_error_message(), "half.jsonl: File too large") ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    expect_lines(path, "[1]\n");
}

static void full_device(void **state) {
    (void)state;
    bt_jsonl *log = NULL;
    bt_text line = {0};
    bt_text_append(&line, "1");
    check_ok(bt_jsonl_open("/dev/full", false, &log));
    check_message(
        bt_jsonl_append(log, &line), BT_ERR_IO,
        "cannot write /dev/full: No space left on device; the disk is full: free some space or choose another "
        "folder");
    bt_jsonl_close(log);
    check_error(bt_jsonl_open(scratch_path("no/such.jsonl"), false, &log), BT_ERR_IO, "cannot open ");
    bt_text_free(&line);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(torn_line_is_cut_off),
        cmocka_unit_test(half_a_line_is_taken_back),
        cmocka_unit_test(full_device),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
