/* npy: what NumPy writes is read, what we write is what NumPy writes, and hostile files are refused with the byte. */
#include "check.h"
#include "scratch.h"

#include "base/text.h"
#include "formats/npy.h"

#include <math.h>

/* A file of version `major` with this dictionary and `data_bytes` zero bytes. */
static const char *file_of(int major, const char *dictionary, size_t data_bytes) {
    static int number;
    char name[32];
    unsigned char buffer[2048] = {0x93, 'N', 'U', 'M', 'P', 'Y', (unsigned char)major, 0};
    size_t length = strlen(dictionary), at = major == 1 ? 10 : 12;
    buffer[8] = (unsigned char)(length & 255);
    buffer[9] = (unsigned char)(length >> 8);
    memcpy(buffer + at, dictionary, length);
    snprintf(name, sizeof name, "f%d.npy", number++);
    return scratch_file(name, buffer, at + length + data_bytes);
}

static void refuse(const char *path, bt_status wanted, const char *text) {
    bt_npy npy;
    check_error(bt_npy_open(path, &npy), wanted, text);
    assert_non_null(strstr(bt_error_message(), path)); /* every message names the file */
}

static void round_trip(void **state) {
    (void)state;
    const float values[] = {1, -2.5f, 0x1p-149f, INFINITY, 3, 4};
    const int64_t dim[] = {2, 3};
    const char *path = scratch_path("f32.npy");
    check_ok(bt_npy_write(path, BT_FILE_F32, 2, dim, values));
    bt_npy npy;
    check_ok(bt_npy_open(path, &npy));
    assert_int_equal(npy.dtype, BT_FILE_F32);
    assert_int_equal(npy.rank, 2);
    assert_true(npy.dim[0] == 2 && npy.dim[1] == 3 && npy.count == 6);
    assert_int_equal(npy.data_offset % 64, 0);
    assert_memory_equal(bt_npy_f32_in_place(&npy), values, sizeof values);
    bt_npy_close(&npy);
}

/* Byte for byte numpy.save(FILE, numpy.array([7, -1], '<i8')). */
static void writes_what_numpy_writes(void **state) {
    (void)state;
    const int64_t values[] = {7, -1}, dim[] = {2};
    const char *path = scratch_path("i64.npy");
    check_ok(bt_npy_write(path, BT_FILE_I64, 1, dim, values));
    size_t bytes;
    unsigned char *data = scratch_read(path, &bytes);
    char wanted[145];
    memset(wanted, ' ', 128);
    memcpy(wanted, "\x93NUMPY\x01\x00\x76\x00{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", 67);
    wanted[127] = '\n';
    memcpy(wanted + 128, values, 16);
    assert_int_equal(bytes, 144);
    assert_memory_equal(data, wanted, 144);
    free(data);
}

static void versions_and_spellings(void **state) {
    (void)state;
    static const char *const dictionaries[] = {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }\n",
                                               "{\"shape\":(4,),\"descr\":\"<f8\",\"fortran_order\":False}",
                                               "{'fortran_order': False, 'descr': '<f8', 'shape': (2,1,2)}   \n"};
    for (int major = 1; major <= 3; major++)
        for (int i = 0; i < 3; i++) {
            bt_npy npy;
            check_ok(bt_npy_open(file_of(major, dictionaries[i], 32), &npy));
            assert_true(npy.count == 4 && npy.dtype == BT_FILE_F64);
            assert_null(bt_npy_f32_in_place(&npy));
            bt_npy_close(&npy);
        }
    bt_npy scalar;
    check_ok(bt_npy_open(file_of(1, "{'descr': '|u1', 'fortran_order': False, 'shape': ()}", 1), &scalar));
    assert_true(scalar.rank == 0 && scalar.count == 1);
    bt_npy_close(&scalar);
    check_ok(bt_npy_open(
        file_of(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9, 0)}", 0), &scalar));
    assert_int_equal(scalar.count, 0);
    bt_npy_close(&scalar);
}

static void converts(void **state) {
    (void)state;
    const int64_t dim[] = {3};
    const uint16_t half[] = {0x3c00, 0xc000, 0x0001};
    const double wide[] = {0.1, -1e300, 2};
    const uint64_t large[] = {1, UINT64_C(1) << 63, 2};
    const char *path = scratch_path("convert.npy");
    float out[3];
    int64_t whole[3];
    bt_npy npy;
    check_ok(bt_npy_write(path, BT_FILE_F16, 1, dim, half));
    check_ok(bt_npy_open(path, &npy));
    bt_npy_to_f32(&npy, out);
    assert_true(out[0] == 1 && out[1] == -2 && out[2] == 0x1p-24f);
    check_error(bt_npy_to_i64(&npy, whole), BT_ERR_UNSUPPORTED, "dtype F16 where whole numbers are expected");
    bt_npy_close(&npy);
    check_ok(bt_npy_write(path, BT_FILE_F64, 1, dim, wide));
    check_ok(bt_npy_open(path, &npy));
    bt_npy_to_f32(&npy, out);
    assert_true(out[0] == 0.1f && out[1] == -INFINITY && out[2] == 2);
    bt_npy_close(&npy);
    check_ok(bt_npy_write(path, BT_FILE_U64, 1, dim, large));
    check_ok(bt_npy_open(path, &npy));
    check_error(bt_npy_to_i64(&npy, whole), BT_ERR_FORMAT, "byte 136: a number above 2^63 - 1");
    bt_npy_close(&npy);
    const int8_t small[] = {-128, 0, 127};
    check_ok(bt_npy_write(path, BT_FILE_I8, 1, dim, small));
    check_ok(bt_npy_open(path, &npy));
    check_ok(bt_npy_to_i64(&npy, whole));
    assert_true(whole[0] == -128 && whole[1] == 0 && whole[2] == 127);
    bt_npy_close(&npy);
}

static void refuses_what_is_not_read(void **state) {
    (void)state;
    refuse(file_of(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}", 16), BT_ERR_UNSUPPORTED,
           "byte 44: the array is in Fortran order; save it as numpy.save(FILE, numpy.ascontiguousarray(a))");
    refuse(file_of(1, "{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}", 8), BT_ERR_UNSUPPORTED,
           "byte 20: dtype '>f4'");
    refuse(file_of(1, "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", 8), BT_ERR_UNSUPPORTED,
           "unpickling runs code");
    refuse(file_of(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", 8), BT_ERR_UNSUPPORTED,
           "records");
    refuse(file_of(1, "{'descr': '<c8', 'fortran_order': False, 'shape': (2,)}", 16), BT_ERR_UNSUPPORTED,
           "dtype '<c8'; read are |b1");
    refuse(file_of(4, "{}", 0), BT_ERR_UNSUPPORTED, "byte 6: version 4.0");
    refuse(scratch_file("z.npy", "PK\x03\x04 and more of it", 20), BT_ERR_FORMAT,
           "byte 0: this is a zip file, perhaps .npz");
    refuse(scratch_file("t.npy", "1.0 2.0 3.0 4.0", 15), BT_ERR_FORMAT, "byte 0: not a .npy file (15 bytes");
    refuse(scratch_file("e.npy", "", 0), BT_ERR_FORMAT, "byte 0: not a .npy file (0 bytes");
    refuse(scratch_path("nowhere.npy"), BT_ERR_IO, "No such file");
}

static void refuses_wrong_sizes(void **state) {
    (void)state;
    const char *two = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}";
    refuse(file_of(1, two, 7), BT_ERR_FORMAT,
           "byte 65: the shape and dtype need 8 bytes of data, the file has 7; is it complete?");
    refuse(file_of(1, two, 9), BT_ERR_FORMAT, "need 8 bytes of data, the file has 9");
    refuse(file_of(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 8), BT_ERR_FORMAT,
           "overflows 63 bits");
    refuse(file_of(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", 8), BT_ERR_FORMAT,
           "does not fit 63 bits");
    refuse(file_of(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4), BT_ERR_UNSUPPORTED,
           "over 8 axes");
    refuse(scratch_file("h.npy", "\x93NUMPY\x01\x00\xff\x00{}", 12), BT_ERR_FORMAT,
           "byte 8: the header of 255 bytes goes beyond the end");
    refuse(scratch_file("g.npy", "\x93NUMPY\x02\x00\xff\xff\xff\xff{}", 14), BT_ERR_FORMAT,
           "byte 8: a header of 4294967295 bytes");
    refuse(scratch_file("i.npy", "\x93NUMPY\x02\x00\xff\xff", 10), BT_ERR_FORMAT, "ends within the header's length");
}

static void refuses_wrong_headers(void **state) {
    (void)state;
    static const struct {
        const char *dictionary, *text;
    } cases[] = {
        {"", "byte 10: the header ends, expected '{'"},
        {"[]", "byte 10: found '[' in the header, expected '{'"},
        {"{'descr': '<f4', 'shape': (2,)}", "the header lacks the key \"fortran_order\""},
        {"{'fortran_order': False, 'shape': (2,)}", "the header lacks the key \"descr\""},
        {"{'descr': '<f4', 'fortran_order': False}", "the header lacks the key \"shape\""},
        {"{'descr': '<f4', 'descr': '<f4'}", "the key \"descr\" is there twice"},
        {"{'dscr': '<f4'}", "byte 11: unknown key \"dscr\"; allowed: descr, fortran_order, shape"},
        {"{'descr' '<f4'}", "expected ':'"},
        {"{'descr': '<f4' 'shape': (2,)}", "expected ',' or '}'"},
        {"{'descr': '<f4", "has no end"},
        {"{'descr': '<f\\x34'}", "an escape"},
        {"{'descr': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}", "over 31 bytes"},
        {"{'fortran_order': 0}", "expected True or False"},
        {"{'shape': (-2,)}", "found '-' in the header, expected an axis"},
        {"{'shape': (2)}", "a tuple of one axis is written (3,)"},
        {"{'shape': (2 3)}", "expected ',' or ')'"},
        {"{'shape': 2}", "expected a shape"},
        {"{'shape': (2,", "the header ends"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", "expected spaces to its end"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(file_of(1, cases[i].dictionary, 0), BT_ERR_FORMAT, cases[i].text);
}

/* Every prefix of a good file, and every byte of its header changed to every value: no fault, and never more data than
 * there are. */
static void survives_damage(void **state) {
    (void)state;
    const float values[] = {1, 2, 3, 4, 5, 6};
    const int64_t dim[] = {3, 2};
    const char *path = scratch_path("good.npy");
    check_ok(bt_npy_write(path, BT_FILE_F32, 2, dim, values));
    size_t bytes;
    unsigned char *data = scratch_read(path, &bytes);
    bt_npy npy;
    for (size_t length = 0; length < bytes; length++)
        assert_int_not_equal(bt_npy_open(scratch_file("cut.npy", data, length), &npy), BT_OK);
    for (size_t at = 0; at < 75; at++)
        for (int value = 0; value < 256; value += 15) {
            unsigned char kept = data[at];
            data[at] = (unsigned char)value;
            if (bt_npy_open(scratch_file("changed.npy", data, bytes), &npy) == BT_OK) {
                assert_true((size_t)npy.count * bt_file_dtype_bytes(npy.dtype) + npy.data_offset == bytes);
                bt_npy_close(&npy);
            }
            data[at] = kept;
        }
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(writes_what_numpy_writes),
        cmocka_unit_test(versions_and_spellings),
        cmocka_unit_test(converts),
        cmocka_unit_test(refuses_what_is_not_read),
        cmocka_unit_test(refuses_wrong_sizes),
        cmocka_unit_test(refuses_wrong_headers),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
