/* Listing a folder of pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "data/image_folder.h"

#include "scratch.h"

static void touch(const char *name) {
    scratch_file(name, "x", 1);
}

/* A data set with one of everything that is left out. */
static int make(void **state) {
    if (scratch_make(state) != 0) return -1;
    scratch_folder("set");
    scratch_folder("set/b");
    scratch_folder("set/a");
    scratch_folder("set/Z");
    scratch_folder("set/empty");
    scratch_folder("set/.hidden");
    touch("set/.hidden/x.png");
    touch("set/readme.txt");
    touch("set/b/2.png");
    touch("set/b/10.JPG");
    touch("set/b/notes.csv");
    touch("set/b/.DS_Store");
    touch("set/a/x.jpeg");
    touch("set/a/\xc3\xa4.ppm");
    scratch_folder("set/a/inner.png");
    touch("set/Z/z.png");
    return symlink("../b/2.png", scratch_path("set/a/link.png")) ||
           symlink("nowhere.png", scratch_path("set/a/broken.png"));
}

static void listing(void **state) {
    (void)state;
    bt_image_folder folder;
    if (bt_image_folder_open(scratch_path("set"), &folder) != BT_OK) fail_msg("%s", bt_error_message());
    static const char *const classes[] = {"Z", "a", "b", "empty"};
    static const char *const files[] = {"z.png", "link.png", "x.jpeg", "\xc3\xa4.ppm", "10.JPG", "2.png"};
    static const int labels[] = {0, 1, 1, 1, 2, 2}, first[] = {0, 1, 4, 6, 6};
    assert_int_equal(folder.class_count, 4);
    assert_int_equal(folder.count, 6);
    for (int i = 0; i < 4; i++) assert_string_equal(folder.class_names[i], classes[i]);
    for (int i = 0; i < 5; i++) assert_int_equal(folder.class_first[i], first[i]);
    for (int i = 0; i < 6; i++) {
        assert_string_equal(folder.files[i], files[i]);
        assert_int_equal(folder.labels[i], labels[i]);
    }
    const bt_folder_report want = {
        .hidden = 2, .other_files = 2, .inner_folders = 1, .broken_links = 1, .links = 1, .empty_classes = 1};
    assert_memory_equal(&folder.report, &want, sizeof want);
    bt_image_folder_free(&folder);
}

static void warnings(void **state) {
    (void)state;
    bt_image_folder folder;
    assert_int_equal(bt_image_folder_open(scratch_path("set"), &folder), BT_OK);
    FILE *log = fopen(scratch_path("log"), "w");
    bt_log_set(log, BT_LOG_INFO);
    bt_image_folder_warn(&folder);
    bt_log_set(NULL, BT_LOG_INFO);
    fclose(log);
    bt_image_folder_free(&folder);
    size_t bytes;
    char *text = (char *)scratch_read(scratch_path("log"), &bytes);
    text[bytes] = '\0';
    static const char *const lines[] = {"2 hidden files or folders left out",
                                        "2 files left out that are not",
                                        "1 folders within class folders left out",
                                        "1 links to nothing left out",
                                        "1 links followed",
                                        "class empty (label 3) has no picture"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (!strstr(text, lines[i])) fail_msg("\"%s\" is not in\n%s", lines[i], text);
    }
    free(text);
}

static void refused(const char *root, bt_status status, const char *message) {
    bt_image_folder folder = {.count = -5};
    assert_int_equal(bt_image_folder_open(root, &folder), status);
    assert_int_equal(folder.count, -5);
    if (!strstr(bt_error_message(), message)) fail_msg("\"%s\" is not in \"%s\"", message, bt_error_message());
}

static void bad_roots(void **state) {
    (void)state;
    refused(scratch_path("none"), BT_ERR_IO, "none: No such file or directory");
    refused(scratch_path("set/readme.txt"), BT_ERR_IO, "readme.txt: Not a directory");
    refused(scratch_path("set/Z"), BT_ERR_FORMAT, "set/Z: no folder in it; pictures are expected as");
    scratch_folder("bare");
    scratch_folder("bare/c");
    refused(scratch_path("bare"), BT_ERR_FORMAT,
            "bare: 1 class folders, but no .png, .jpg, .jpeg, .ppm, .webp, .tif or .tiff file in them");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listing),
        cmocka_unit_test(warnings),
        cmocka_unit_test(bad_roots),
    };
    return cmocka_run_group_tests(tests, make, scratch_remove);
}
