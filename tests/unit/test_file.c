/* Files: reading with limits, atomic writing, a full disk, messages; the queue between threads. */
#define _GNU_SOURCE /* unshare */
#include "check.h"
#include "scratch.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <time.h>

static void expect_content(const char *path, const char *expected) {
    size_t bytes;
    unsigned char *data = scratch_read(path, &bytes);
    assert_int_equal(bytes, strlen(expected));
    assert_memory_equal(data, expected, bytes);
    free(data);
}

static void read_whole(void **state) {
    (void)state;
    const char *path = scratch_file("whole", "abc\0def", 7);
    char *data;
    size_t bytes;
    check_ok(bt_file_read(path, 7, &data, &bytes));
    assert_int_equal(bytes, 7);
    assert_memory_equal(data, "abc\0def\0", 8);
    bt_memory_free(data);
    path = scratch_file("empty", "", 0);
    check_ok(bt_file_read(path, 0, &data, &bytes));
    assert_int_equal(bytes, 0);
    assert_int_equal(data[0], 0);
    bt_memory_free(data);
}

static void read_refuses(void **state) {
    (void)state;
    char expected[512], *data = (char *)&scratch_root;
    size_t bytes = 99;
    const char *path = scratch_file("seven", "1234567", 7);
    snprintf(expected, sizeof expected, "%s: the file has 7 bytes, at most 6 are allowed here", path);
    check_message(bt_file_read(path, 6, &data, &bytes), BT_ERR_FORMAT, expected);
    path = scratch_path("absent");
    snprintf(expected, sizeof expected, "cannot open %s: No such file or directory", path);
    check_message(bt_file_read(path, 6, &data, &bytes), BT_ERR_IO, expected);
    snprintf(expected, sizeof expected, "cannot read %s: it is a folder, not a file", scratch_root);
    check_message(bt_file_read(scratch_root, 6, &data, &bytes), BT_ERR_IO, expected);
    path = scratch_path("fifo"); /* opening it plainly would wait for a writer for ever */
    assert_int_equal(mkfifo(path, 0600), 0);
    check_error(bt_file_read(path, 6, &data, &bytes), BT_ERR_IO, "it is a device, pipe or socket, not a file");
    assert_ptr_equal(data, &scratch_root);
    assert_int_equal(bytes, 99);
}

static void mapping(void **state) {
    (void)state;
    bt_file_map map;
    check_ok(bt_file_map_open(scratch_file("mapped", "hello", 5), &map));
    assert_int_equal(map.bytes, 5);
    assert_memory_equal(map.data, "hello", 5);
    bt_file_map_close(&map);
    assert_null(map.data);
    check_ok(bt_file_map_open(scratch_file("mapped_empty", "", 0), &map));
    assert_null(map.data);
    assert_int_equal(map.bytes, 0);
    bt_file_map_close(&map);
    check_error(bt_file_map_open(scratch_path("absent"), &map), BT_ERR_IO, "absent: No such file or directory");
}

static void write_replaces(void **state) {
    (void)state;
    const char *path = scratch_path("written");
    check_ok(bt_file_write(path, "first", 5));
    expect_content(path, "first");
    check_ok(bt_file_write(path, "second", 6));
    expect_content(path, "second");
    check_ok(bt_file_write(path, NULL, 0));
    expect_content(path, "");
    assert_int_equal(scratch_count("written.partial"), 0);
    struct stat info;
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0666 & ~mask);
}

/* Sizes around the writer's buffer of 64 KiB, in pieces that do not divide it. */
static void write_in_pieces(void **state) {
    (void)state;
    static const size_t pieces[] = {1, 65535, 1, 65536, 70000, 3, 0, 65537};
    static unsigned char data[70000];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 7 + i / 251);
    bt_file_writer writer;
    const char *path = scratch_path("pieces");
    check_ok(bt_file_begin(path, &writer));
    size_t total = 0;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        check_ok(bt_file_append(&writer, data, pieces[i]));
        total += pieces[i];
    }
    assert_false(bt_file_exists(path));
    assert_int_equal(scratch_count("pieces.partial"), 1);
    check_ok(bt_file_commit(&writer));
    assert_int_equal(scratch_count("pieces.partial"), 0);
    size_t bytes, at = 0;
    unsigned char *back = scratch_read(path, &bytes);
    assert_int_equal(bytes, total);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        assert_memory_equal(back + at, data, pieces[i]);
        at += pieces[i];
    }
    free(back);
}

static void abandoning(void **state) {
    (void)state;
    bt_file_writer writer;
    const char *path = scratch_file("kept", "old", 3);
    check_ok(bt_file_begin(path, &writer));
    check_ok(bt_file_append(&writer, "new", 3));
    bt_file_abandon(&writer);
    bt_file_abandon(&writer);
    expect_content(path, "old");
    assert_int_equal(scratch_count("kept.partial"), 0);
}

static void write_refuses(void **state) {
    (void)state;
    check_error(bt_file_write(scratch_path("no/such"), "x", 1), BT_ERR_IO, "cannot create ");
    check_error(bt_file_write(scratch_path("no/such"), "x", 1), BT_ERR_IO, "No such file or directory");
    const char *folder = scratch_folder("a_folder");
    char expected[512];
    snprintf(expected, sizeof expected, "cannot write %s: Is a directory", folder);
    check_message(bt_file_write(folder, "x", 1), BT_ERR_IO, expected);
    assert_int_equal(scratch_count("a_folder.partial"), 0);
}

/* Every allocation of the path, made to fail in turn, leaves the old content and no partial file. */
static void write_survives_failed_allocations(void **state) {
    (void)state;
    const char *path = scratch_file("steady", "old", 3);
    int failures = 0;
    for (int n = 1; n < 20; n++) {
        bt_memory_fail_at(n);
        bt_status status = bt_file_write(path, "new", 3);
        bt_memory_fail_at(0);
        assert_int_equal(scratch_count("steady.partial"), 0);
        if (status == BT_OK) break;
        check_error(status, BT_ERR_MEMORY, "out of memory");
        expect_content(path, "old");
        failures++;
    }
    assert_in_range(failures, 3, 10);
    expect_content(path, "new");
}

/* Runs `body` in a process of its own with a file system of 64 KiB mounted at `folder`; its exit status, or -1 where
 * this process may not mount one. */
static int on_tiny_disk(const char *folder, int (*body)(const char *folder)) {
    pid_t child = fork();
    if (child == 0) {
        bool alone = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
        if (!alone || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("tiny", folder, "tmpfs", 0, "size=64k") != 0) {
            _exit(99);
        }
        _exit(body(folder));
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 1;
    return WEXITSTATUS(status) == 99 ? -1 : WEXITSTATUS(status);
}

static int fill_disk(const char *folder) {
    static char data[200000];
    char path[256], expected[512];
    snprintf(path, sizeof path, "%s/model", folder);
    if (bt_file_write(path, "old", 3) != BT_OK) return 2;
    if (bt_file_write(path, data, sizeof data) != BT_ERR_IO) return 3;
    snprintf(expected, sizeof expected,
             "cannot write %s: No space left on device; the disk is full: free some space or choose another folder",
             path);
    if (strcmp(bt_error_message(), expected) != 0) return 4;
    DIR *stream = opendir(folder);
    int names = 0;
    for (struct dirent *entry; stream && (entry = readdir(stream));) names += entry->d_name[0] != '.';
    if (names != 1) return 5; /* the partial file is gone */
    char *back;
    size_t bytes;
    if (bt_file_read(path, 10, &back, &bytes) != BT_OK || bytes != 3 || memcmp(back, "old", 3) != 0) return 6;
    return 0;
}

static void full_disk(void **state) {
    (void)state;
    int result = on_tiny_disk(scratch_folder("disk"), fill_disk);
    if (result < 0) {
        print_message("skipped: mounting a tmpfs is not permitted here\n");
        skip();
    }
    assert_int_equal(result, 0);
}

/* Where no disk can be mounted, the limit on file sizes still makes write() fail half way. */
static void file_size_limit(void **state) {
    (void)state;
    const char *path = scratch_file("limited", "old", 3);
    pid_t child = fork();
    if (child == 0) {
        static char data[200000];
        struct rlimit limit = {100000, 100000};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        bool refused = bt_file_write(path, data, sizeof data) == BT_ERR_IO;
        bool named = strstr(bt_error_message(), path) && strstr(bt_error_message(), "File too large");
        _exit(refused && named ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    expect_content(path, "old");
    assert_int_equal(scratch_count("limited.partial"), 0);
}

/* The writer's failure stays until commit, also if appends succeed later. */
static void failure_sticks(void **state) {
    (void)state;
    bt_file_writer writer;
    const char *path = scratch_path("sticky");
    check_ok(bt_file_begin(path, &writer));
    int real = writer.fd;
    writer.fd = open("/dev/full", O_WRONLY);
    assert_true(writer.fd >= 0);
    static char data[70000];
    check_error(bt_file_append(&writer, data, sizeof data), BT_ERR_IO, "the disk is full");
    close(writer.fd);
    writer.fd = real;
    assert_int_equal(bt_file_append(&writer, "x", 1), BT_ERR_IO);
    assert_int_equal(bt_file_commit(&writer), BT_ERR_IO);
    assert_false(bt_file_exists(path));
    assert_int_equal(scratch_count("sticky.partial"), 0);
}

static void folders(void **state) {
    (void)state;
    check_ok(bt_file_make_folders(scratch_path("x/y//z/")));
    check_ok(bt_file_make_folders(scratch_path("x/y/z")));
    struct stat info;
    assert_int_equal(stat(scratch_path("x/y/z"), &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    scratch_file("file", "", 0);
    char expected[512];
    snprintf(expected, sizeof expected, "cannot make the folder %s: a file of that name exists", scratch_path("file"));
    check_message(bt_file_make_folders(scratch_path("file")), BT_ERR_IO, expected);
    check_message(bt_file_make_folders(scratch_path("file/below")), BT_ERR_IO, expected);
    check_error(bt_file_sync_folder(scratch_path("absent")), BT_ERR_IO, "cannot open the folder ");
    check_error(bt_file_make_folders(""), BT_ERR_IO, "No such file or directory");
}

static void siblings(void **state) {
    (void)state;
    static const char *const cases[][3] = {{"a/b.yaml", "c.yaml", "a/c.yaml"},
                                           {"b.yaml", "c.yaml", "c.yaml"},
                                           {"/a/b.yaml", "../c.yaml", "/a/../c.yaml"},
                                           {"a/b.yaml", "/c.yaml", "/c.yaml"}};
    for (size_t i = 0; i < 4; i++) {
        char *path = bt_file_sibling(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        bt_memory_free(path);
    }
}

/* ---- threads ---- */

enum { PRODUCERS = 3, CONSUMERS = 2, ITEMS = 2000 };

typedef struct worker {
    bt_queue *queue;
    int first;
    unsigned char *seen; /* items that this consumer took */
    bool in_order;       /* the items of each producer came in their order */
} worker;

static void *produce(void *context) {
    worker *w = context;
    for (int i = 0; i < ITEMS; i++) {
        if (!bt_queue_push(w->queue, (void *)(uintptr_t)(w->first + i + 1))) return NULL;
    }
    return NULL;
}

static void *consume(void *context) {
    worker *w = context;
    void *item;
    int last[PRODUCERS] = {-1, -1, -1};
    w->in_order = true;
    while (bt_queue_pop(w->queue, &item)) {
        int value = (int)(uintptr_t)item - 1;
        if (value <= last[value / ITEMS]) w->in_order = false;
        last[value / ITEMS] = value;
        w->seen[value]++;
    }
    return NULL;
}

static void queue_loses_nothing(void **state) {
    (void)state;
    static unsigned char seen[CONSUMERS][PRODUCERS * ITEMS];
    bt_queue *queue;
    bt_thread producers[PRODUCERS], consumers[CONSUMERS];
    worker sources[PRODUCERS], sinks[CONSUMERS];
    check_ok(bt_queue_new(4, &queue));
    for (int i = 0; i < CONSUMERS; i++) {
        sinks[i] = (worker){.queue = queue, .seen = seen[i]};
        check_ok(bt_thread_start(&consumers[i], consume, &sinks[i]));
    }
    for (int i = 0; i < PRODUCERS; i++) {
        sources[i] = (worker){.queue = queue, .first = i * ITEMS};
        check_ok(bt_thread_start(&producers[i], produce, &sources[i]));
    }
    for (int i = 0; i < PRODUCERS; i++) bt_thread_join(&producers[i]);
    bt_queue_close(queue);
    for (int i = 0; i < CONSUMERS; i++) bt_thread_join(&consumers[i]);
    for (int k = 0; k < PRODUCERS * ITEMS; k++) assert_int_equal(seen[0][k] + seen[1][k], 1);
    assert_true(sinks[0].in_order && sinks[1].in_order);
    bt_queue_free(queue);
}

static void queue_closes(void **state) {
    (void)state;
    bt_queue *queue;
    int a, b;
    void *item = NULL;
    check_ok(bt_queue_new(2, &queue));
    assert_true(bt_queue_push(queue, &a));
    assert_true(bt_queue_push(queue, &b));
    worker blocked = {.queue = queue, .first = 0};
    bt_thread thread;
    check_ok(bt_thread_start(&thread, produce, &blocked)); /* waits: the queue is full */
    usleep(20000);
    bt_queue_close(queue);
    bt_thread_join(&thread);
    assert_true(bt_queue_pop(queue, &item));
    assert_ptr_equal(item, &a);
    assert_true(bt_queue_pop(queue, &item));
    assert_ptr_equal(item, &b);
    assert_false(bt_queue_pop(queue, &item));
    assert_false(bt_queue_push(queue, &a));
    bt_queue_free(queue);
}

static void clock_runs(void **state) {
    (void)state;
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    double start = bt_clock_seconds();
    usleep(20000);
    double passed = bt_clock_seconds() - start;
    clock_gettime(CLOCK_MONOTONIC, &after);
    double around = (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
    assert_true(passed >= 0.0199 && passed <= around + 1e-6); /* doubles of a clock that counts from boot */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_whole),      cmocka_unit_test(read_refuses),
        cmocka_unit_test(mapping),         cmocka_unit_test(write_replaces),
        cmocka_unit_test(write_in_pieces), cmocka_unit_test(abandoning),
        cmocka_unit_test(write_refuses),   cmocka_unit_test(write_survives_failed_allocations),
        cmocka_unit_test(full_disk),       cmocka_unit_test(file_size_limit),
        cmocka_unit_test(failure_sticks),  cmocka_unit_test(folders),
        cmocka_unit_test(siblings),        cmocka_unit_test(queue_loses_nothing),
        cmocka_unit_test(queue_closes),    cmocka_unit_test(clock_runs),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
