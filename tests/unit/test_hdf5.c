/* HDF5: what is written is read, and what other people's files may hold is read or refused with a reason. The odd files
 * are made by the library itself. */
#include "check.h"
#include "scratch.h"

#include "base/memory.h"
#include "formats/hdf5.h"

#ifndef BITTERN_WITH_HDF5

static void absent(void **state) {
    (void)state;
    bt_h5 *file;
    bt_h5_writer w;
    bt_npy array;
    const char *path = scratch_file("x.h5", "\x89HDF\r\n\x1a\n", 8);
    assert_false(bt_h5_available());
    check_error(bt_h5_open(path, &file), BT_ERR_UNSUPPORTED, "this build has no HDF5; install libhdf5-dev");
    check_error(bt_array_open(path, &array), BT_ERR_UNSUPPORTED, "this build has no HDF5");
    check_error(bt_h5_begin(scratch_path("y.h5"), &w), BT_ERR_UNSUPPORTED, "this build has no HDF5");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(absent)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}

#else

#include <hdf5.h>

static const float values[] = {1, -2.5f, 3, 4, 5, 6};
static const int64_t shape[] = {3, 2};

/* ---- our own files ---- */

static void round_trip(void **state) {
    (void)state;
    static const char *const texts[] = {"a", NULL, "\xc3\xa4 longer"};
    const int64_t three = 3;
    int64_t offset, number;
    bt_h5_writer w;
    const char *path = scratch_path("own.h5");
    check_ok(bt_h5_begin(path, &w));
    bt_h5_put(&w, "x", BT_FILE_F32, 2, shape, values, NULL);
    bt_h5_put(&w, "room", BT_FILE_U8, 1, &three, NULL, &offset);
    bt_h5_put_texts(&w, "names", texts, 3);
    bt_h5_put_number(&w, "n", -7);
    bt_h5_put_text(&w, "t", "hello");
    check_ok(bt_h5_seal(&w));
    check_ok(bt_h5_fill(&w, offset, "abc", 3));
    check_ok(bt_h5_change_number(&w, "n", 1234567890123));
    assert_false(bt_file_exists(path)); /* only when it is complete */
    check_ok(bt_h5_commit(&w));
    assert_int_equal(scratch_count("partial"), 0);

    bt_h5 *file;
    bt_h5_array array;
    char text[8];
    uint8_t bytes[3];
    float read[6];
    const char *names[3];
    bt_arena arena = {0};
    check_ok(bt_h5_open(path, &file));
    assert_true(bt_h5_has(file, "x") && !bt_h5_has(file, "y") && !bt_h5_has(file, "x/y") && !bt_h5_has(file, ""));
    check_ok(bt_h5_look(file, "x", &array));
    assert_true(!array.text && array.dtype == BT_FILE_F32 && array.rank == 2 && array.dim[1] == 2 &&
                array.bytes == 24 && array.offset > 0);
    check_ok(bt_h5_read(file, "x", &array, read));
    assert_memory_equal(read, values, sizeof values);
    check_ok(bt_h5_look(file, "room", &array));
    assert_int_equal(array.offset, offset);
    check_ok(bt_h5_read(file, "room", &array, bytes));
    assert_memory_equal(bytes, "abc", 3);
    check_ok(bt_h5_read_texts(file, "names", 3, &arena, names));
    assert_string_equal(names[0], "a");
    assert_string_equal(names[1], "");
    assert_string_equal(names[2], texts[2]);
    check_error(bt_h5_read_texts(file, "names", 4, &arena, names), BT_ERR_FORMAT,
                "data set names is not a list of 4 texts");
    check_error(bt_h5_read_texts(file, "x", 3, &arena, names), BT_ERR_FORMAT, "is not a list of 3 texts");
    check_ok(bt_h5_number(file, "n", &number));
    assert_true(number == 1234567890123);
    check_ok(bt_h5_text(file, "t", text, sizeof text));
    assert_string_equal(text, "hello");
    check_error(bt_h5_number(file, "t", &number), BT_ERR_FORMAT, "attribute t is not one whole number");
    check_error(bt_h5_text(file, "none", text, sizeof text), BT_ERR_FORMAT, "it has no attribute none");
    check_error(bt_h5_look(file, "none", &array), BT_ERR_FORMAT, "it has no data set none");
    bt_h5_close(file);
    bt_arena_free(&arena);
}

static void abandoned(void **state) {
    (void)state;
    bt_h5_writer w;
    const char *path = scratch_path("never.h5");
    check_ok(bt_h5_begin(path, &w));
    bt_h5_put(&w, "x", BT_FILE_F32, 2, shape, values, NULL);
    bt_h5_put(&w, "x", BT_FILE_F32, 2, shape, values, NULL); /* the name is taken */
    bt_h5_put_number(&w, "n", 1);
    check_error(bt_h5_commit(&w), BT_ERR_IO, "never.h5: cannot write:");
    assert_false(bt_file_exists(path));
    check_ok(bt_h5_begin(path, &w));
    bt_h5_abandon(&w);
    assert_int_equal(scratch_count("partial"), 0);
    check_error(bt_h5_begin(scratch_path("no/folder.h5"), &w), BT_ERR_IO, "No such file or directory");
}

/* ---- other people's files ---- */

static hid_t new_file(const char *name) {
    H5open();
    hid_t file = H5Fcreate(scratch_path(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

static void put(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dim, hid_t plist, hid_t memory,
                const void *data) {
    hid_t space = rank < 0 ? H5Screate(H5S_NULL) : H5Screate_simple(rank, dim, NULL);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    assert_true(set >= 0);
    if (data) assert_true(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static const hsize_t dims[] = {3, 2};

static void write_types(void) {
    hid_t file = new_file("types.h5"), chunked = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(chunked, 2, (hsize_t[]){2, 2});
    H5Pset_shuffle(chunked);
    H5Pset_deflate(chunked, 9);
    H5Pset_fletcher32(chunked);
    put(file, "packed", H5T_IEEE_F32LE, 2, dims, chunked, H5T_NATIVE_FLOAT, values);
    put(file, "double", H5T_IEEE_F64LE, 2, dims, H5P_DEFAULT, H5T_NATIVE_FLOAT, values);
    put(file, "big", H5T_IEEE_F32BE, 2, dims, H5P_DEFAULT, H5T_NATIVE_FLOAT, values);
    put(file, "bigint", H5T_STD_I32BE, 2, dims, H5P_DEFAULT, H5T_NATIVE_FLOAT, values);
    hid_t variable = H5Tcopy(H5T_C_S1), odd = H5Tcopy(H5T_IEEE_F32LE), wide = H5Tcopy(H5T_STD_I32LE);
    H5Tset_size(variable, H5T_VARIABLE);
    H5Tset_ebias(odd, 100);
    H5Tset_precision(wide, 20);
    put(file, "variable", variable, 2, dims, H5P_DEFAULT, 0, NULL);
    put(file, "odd", odd, 2, dims, H5P_DEFAULT, 0, NULL);
    put(file, "wide", wide, 2, dims, H5P_DEFAULT, 0, NULL);
    put(file, "void", H5T_IEEE_F32LE, -1, NULL, H5P_DEFAULT, 0, NULL);
    put(file, "reference", H5T_STD_REF_OBJ, 2, dims, H5P_DEFAULT, 0, NULL);
    hid_t boolean = H5Tenum_create(H5T_STD_I8LE);
    H5Tenum_insert(boolean, "FALSE", (int8_t[]){0});
    H5Tenum_insert(boolean, "TRUE", (int8_t[]){1});
    put(file, "bools", boolean, 2, dims, H5P_DEFAULT, boolean, (int8_t[]){0, 1, 1, 0, 1, 0});
    put(file, "late", H5T_IEEE_F32LE, 2, dims, H5P_DEFAULT, 0, NULL);
    H5Gclose(H5Gcreate2(file, "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Lcreate_soft("/double", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external("/etc/passwd", "/x", file, "outside", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
}

static void other_types(void **state) {
    (void)state;
    write_types();
    static const struct {
        const char *name;
        bt_status status;
        const char *message;
    } bad[] = {{"big", BT_ERR_UNSUPPORTED, "data set big: big-endian numbers; write it again with"},
               {"bigint", BT_ERR_UNSUPPORTED, "big-endian numbers"},
               {"variable", BT_ERR_UNSUPPORTED, "texts of variable length; write them with a fixed one"},
               {"odd", BT_ERR_UNSUPPORTED, "an odd floating-point type"},
               {"wide", BT_ERR_UNSUPPORTED, "whole numbers of 8, 16, 32 and 64 bits are read"},
               {"void", BT_ERR_FORMAT, "data set void: it is empty"},
               {"reference", BT_ERR_UNSUPPORTED, "neither numbers nor texts"},
               {"late", BT_ERR_FORMAT, "its data were never written"},
               {"group", BT_ERR_FORMAT, "data set group: it is a group"},
               {"soft", BT_ERR_UNSUPPORTED, "a link that is not followed; copy the data into this file"},
               {"outside", BT_ERR_UNSUPPORTED, "a link that is not followed"},
               {"outside/x", BT_ERR_UNSUPPORTED, "a link that is not followed"}};
    const char *path = scratch_path("types.h5");
    bt_h5 *h5;
    check_ok(bt_h5_open(path, &h5));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bt_h5_array array = {.rank = -5};
        check_error(bt_h5_look(h5, bad[i].name, &array), bad[i].status, bad[i].message);
        assert_int_equal(array.rank, -5);
    }
    bt_h5_close(h5);
}

static void as_arrays(void **state) {
    (void)state;
    const char *path = scratch_path("types.h5");
    bt_npy array;
    float read[6];
    int64_t whole[6];
    char name[300];
    snprintf(name, sizeof name, "%s:packed", path);
    check_ok(bt_array_open(name, &array));
    assert_true(array.rank == 2 && array.dim[0] == 3 && array.count == 6 && array.memory);
    assert_string_equal(array.path, name);
    assert_memory_equal(bt_npy_f32_in_place(&array), values, sizeof values);
    bt_npy_close(&array);
    snprintf(name, sizeof name, "%s:double", path);
    check_ok(bt_array_open(name, &array));
    assert_true(!array.memory && array.dtype == BT_FILE_F64); /* mapped */
    bt_npy_to_f32(&array, read);
    assert_memory_equal(read, values, sizeof values);
    bt_npy_close(&array);
    snprintf(name, sizeof name, "%s:bools", path);
    check_ok(bt_array_open(name, &array));
    check_ok(bt_npy_to_i64(&array, whole));
    assert_true(whole[0] == 0 && whole[1] == 1);
    bt_npy_close(&array);
    check_error(bt_array_open(path, &array), BT_ERR_FORMAT, "it has 11 data sets: big, bigint, bools, double");
    snprintf(name, sizeof name, "%s:none", path);
    check_error(bt_array_open(name, &array), BT_ERR_FORMAT, "it has no data set none");
}

static void elsewhere(void **state) {
    (void)state;
    hid_t file = new_file("elsewhere.h5"), external = H5Pcreate(H5P_DATASET_CREATE),
          virtual_set = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(external, "/etc/passwd", 0, 24);
    put(file, "external", H5T_IEEE_F32LE, 2, dims, external, 0, NULL);
    hid_t space = H5Screate_simple(2, dims, NULL);
    H5Pset_virtual(virtual_set, space, "/etc/passwd", "x", space);
    put(file, "virtual", H5T_IEEE_F32LE, 2, dims, virtual_set, 0, NULL);
    hid_t scaled = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(scaled, 2, dims);
    H5Pset_scaleoffset(scaled, H5Z_SO_FLOAT_DSCALE, 2);
    put(file, "scaled", H5T_IEEE_F32LE, 2, dims, scaled, H5T_NATIVE_FLOAT, values);
    hid_t sparse = H5Pcreate(H5P_DATASET_CREATE); /* chunks that were never written: 4 TB of nothing */
    H5Pset_chunk(sparse, 2, (hsize_t[]){1024, 1024});
    put(file, "sparse", H5T_IEEE_F32LE, 2, (hsize_t[]){1 << 20, 1 << 20}, sparse, 0, NULL);
    H5Fclose(file);
    bt_h5 *h5;
    bt_h5_array array;
    check_ok(bt_h5_open(scratch_path("elsewhere.h5"), &h5));
    check_error(bt_h5_look(h5, "external", &array), BT_ERR_UNSUPPORTED,
                "its data are in other files, which are not followed");
    check_error(bt_h5_look(h5, "virtual", &array), BT_ERR_UNSUPPORTED, "a virtual data set, whose data are elsewhere");
    check_error(bt_h5_look(h5, "scaled", &array), BT_ERR_UNSUPPORTED,
                "packed with filter 6; write it with gzip or without compression");
    check_error(bt_h5_look(h5, "sparse", &array), BT_ERR_FORMAT, "claims 4398046511104 bytes, more than this file of");
    bt_h5_close(h5);
}

/* A file that ends early, at any length: an error or, where only what nobody needs is gone, the same values. */
static void cut(void **state) {
    (void)state;
    const int64_t many[] = {600, 20};
    float *data = bt_memory_alloc(12000, sizeof *data);
    for (int i = 0; i < 12000; i++) data[i] = (float)i;
    bt_h5_writer w;
    check_ok(bt_h5_begin(scratch_path("whole.h5"), &w));
    bt_h5_put(&w, "x", BT_FILE_F32, 2, many, data, NULL);
    check_ok(bt_h5_commit(&w));
    size_t bytes;
    unsigned char *content = scratch_read(scratch_path("whole.h5"), &bytes);
    int refused = 0;
    for (size_t length = 0; length < bytes; length += length < 2048 ? 64 : 4096) {
        bt_npy array;
        bt_status status = bt_array_open(scratch_file("cut.h5", content, length), &array);
        refused += status != BT_OK;
        if (status == BT_OK) bt_npy_close(&array);
    }
    assert_true(refused > 40);
    bt_npy array;
    scratch_file("cut.h5", content, bytes - 1);
    assert_int_not_equal(bt_array_open(scratch_path("cut.h5"), &array), BT_OK);
    free(content);
    bt_memory_free(data);
    check_error(bt_array_open(scratch_path("nowhere.h5"), &array), BT_ERR_IO, "No such file or directory");
}

/* The library's reason reaches the message. */
static void reasons(void **state) {
    (void)state;
    bt_h5 *file;
    static const char head[600] = "\x89HDF\r\n\x1a\n\x07";
    const char *path = scratch_file("head.h5", head, sizeof head);
    assert_int_equal(bt_h5_open(path, &file), BT_ERR_FORMAT);
    assert_non_null(strstr(bt_error_message(), "head.h5: cannot open it as HDF5: "));
    assert_null(strstr(bt_error_message(), "no reason given"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(abandoned), cmocka_unit_test(other_types),
        cmocka_unit_test(as_arrays),  cmocka_unit_test(elsewhere), cmocka_unit_test(cut),
        cmocka_unit_test(reasons),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}

#endif
