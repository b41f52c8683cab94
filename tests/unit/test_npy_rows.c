/* Matrices written row by row, patched headers, folders that are removed. */
#include "check.h"
#include "scratch.h"

#include "formats/npy.h"

static void rows_are_the_array(void **state) {
    (void)state;
    float values[300 * 7];
    for (int i = 0; i < 300 * 7; i++) values[i] = (float)i / 3;
    check_ok(bt_npy_write(scratch_path("whole.npy"), BT_FILE_F32, 2, (const int64_t[]){300, 7}, values));
    bt_npy_rows rows;
    check_ok(bt_npy_rows_begin(scratch_path("rows.npy"), BT_FILE_F32, 7, &rows));
    check_ok(bt_npy_rows_append(&rows, values, 100));
    check_ok(bt_npy_rows_append(&rows, values, 0));
    assert_int_equal(access(scratch_path("rows.npy"), F_OK), -1); /* nothing under its name yet */
    check_ok(bt_npy_rows_append(&rows, values + 100 * 7, 200));
    assert_int_equal(rows.count, 300);
    check_ok(bt_npy_rows_commit(&rows));
    size_t a, b;
    unsigned char *whole = scratch_read(scratch_path("whole.npy"), &a),
                  *found = scratch_read(scratch_path("rows.npy"), &b);
    assert_int_equal(a, b);
    assert_memory_equal(whole, found, a);
    free(whole);
    free(found);
}

/* More than the writer's buffer: the header is on the disk when it is replaced. */
static void long_files_and_empty_ones(void **state) {
    (void)state;
    enum { COLUMNS = 50000 };
    static int32_t row[COLUMNS];
    bt_npy_rows rows;
    bt_npy file;
    check_ok(bt_npy_rows_begin(scratch_path("long.npy"), BT_FILE_I32, COLUMNS, &rows));
    for (int i = 0; i < 12; i++) {
        row[COLUMNS - 1] = i;
        check_ok(bt_npy_rows_append(&rows, row, 1));
    }
    check_ok(bt_npy_rows_commit(&rows));
    check_ok(bt_npy_open(scratch_path("long.npy"), &file));
    assert_int_equal(file.dim[0], 12);
    assert_int_equal(file.dim[1], COLUMNS);
    int32_t last;
    memcpy(&last, file.data + (12 * (size_t)COLUMNS - 1) * sizeof last, sizeof last);
    assert_int_equal(last, 11);
    bt_npy_close(&file);
    check_ok(bt_npy_rows_begin(scratch_path("empty.npy"), BT_FILE_U8, 3, &rows));
    check_ok(bt_npy_rows_commit(&rows));
    check_ok(bt_npy_open(scratch_path("empty.npy"), &file));
    assert_true(file.dim[0] == 0 && file.dim[1] == 3 && file.count == 0);
    bt_npy_close(&file);
}

static void abandoned_rows_leave_nothing(void **state) {
    (void)state;
    bt_npy_rows rows;
    check_ok(bt_npy_rows_begin(scratch_path("gone.npy"), BT_FILE_F64, 1, &rows));
    check_ok(bt_npy_rows_append(&rows, (const double[]){1, 2}, 2));
    bt_npy_rows_abandon(&rows);
    assert_int_equal(scratch_count("gone"), 0);
    check_error(bt_npy_rows_begin("/nonexistent/x.npy", BT_FILE_F64, 1, &rows), BT_ERR_IO, "/nonexistent/x.npy");
}

static void patches(void **state) {
    (void)state;
    bt_file_writer writer;
    check_ok(bt_file_begin(scratch_path("text"), &writer));
    check_ok(bt_file_append(&writer, "0123456789", 10));
    check_ok(bt_file_patch(&writer, 2, "ab", 2));
    check_ok(bt_file_append(&writer, "end", 3));
    check_ok(bt_file_patch(&writer, 10, "END", 3));
    check_ok(bt_file_commit(&writer));
    size_t bytes;
    unsigned char *found = scratch_read(scratch_path("text"), &bytes);
    assert_int_equal(bytes, 13);
    assert_memory_equal(found, "01ab456789END", 13);
    free(found);
}

static void folders(void **state) {
    (void)state;
    check_ok(bt_file_remove_folder(scratch_path("never")));
    scratch_folder("full");
    scratch_file("full/a", "a", 1);
    scratch_file("full/.hidden", "b", 1);
    check_ok(bt_file_remove_folder(scratch_path("full")));
    assert_int_equal(scratch_count("full"), 0);
    scratch_folder("outer");
    scratch_folder("outer/inner");
    check_error(bt_file_remove_folder(scratch_path("outer")), BT_ERR_IO, "outer/inner");
    check_error(bt_file_remove_folder(scratch_file("plain", "x", 1)), BT_ERR_IO, "plain");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_the_array), cmocka_unit_test(long_files_and_empty_ones),
        cmocka_unit_test(abandoned_rows_leave_nothing), cmocka_unit_test(patches), cmocka_unit_test(folders)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
