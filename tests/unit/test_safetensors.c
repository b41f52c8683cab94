/* safetensors: a round trip, the bytes of a file worked out by hand, conversions, and one hostile file for every rule
 * of the format, each with the text of its message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bittern/safetensors.h>

#include <math.h>
#include <signal.h>
#include <sys/resource.h>

#include "scratch.h"

/* ---- hostile files ---- */

/* Writes length, header and `data_bytes` zeros. */
static const char *make_file(const char *header, size_t data_bytes) {
    static unsigned char content[4096];
    uint64_t length = strlen(header);
    assert_true(8 + length + data_bytes <= sizeof content);
    memset(content, 0, sizeof content);
    memcpy(content, &length, 8);
    memcpy(content + 8, header, length);
    return scratch_file("hostile.safetensors", content, 8 + length + data_bytes);
}

static void expect_refused(const char *path, const char *message) {
    bt_safetensors *file = (bt_safetensors *)&scratch_root; /* must stay */
    assert_int_equal(bt_safetensors_open(path, &file), BT_ERR_FORMAT);
    assert_ptr_equal(file, &scratch_root);
    if (!strstr(bt_error_message(), message)) fail_msg("\"%s\" is not in \"%s\"", message, bt_error_message());
    assert_non_null(strstr(bt_error_message(), path));
    assert_non_null(strstr(bt_error_message(), ": byte "));
}

#define T(dtype, shape, begin, end) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static void hostile_headers(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *message;
    } cases[] = {
        {"{", 0, "byte 0: not a safetensors file: header length 1 is less than 2"},
        {"[1,2]", 0, "byte 8: the header begins with byte 0x5b, '{' is expected"},
        {"{\"a\":}", 0, "byte 13:"},
        {"{\"a\":1}", 0, "tensor a is a whole number, an object is expected"},
        {"{\"a\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4, "dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets"},
        {"{\"a\":" T("F99", "[1]", "0", "4") "}", 4, "byte 22: tensor a: unknown dtype \"F99\"; known are BOOL"},
        {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype"},
        {"{\"a\":" T("F32", "[1]", "0", "8") "}", 8, "tensor a: data_offsets span 8 bytes, but shape x F32 is 4"},
        {"{\"a\":" T("U8", "[4]", "0", "4") ",\"b\":" T("F32", "[1]", "4", "12") "}", 12,
         "tensor b: data_offsets span 8 bytes, but shape x F32 is 4"},
        {"{\"a\":" T("F32", "[1]", "4", "0") "}", 4, "tensor a: data_offsets end 0 is before begin 4"},
        {"{\"a\":" T("F32", "[2]", "0", "8") "}", 4, "data_offsets end 8 is beyond the file's 4 bytes of data"},
        {"{\"a\":" T("F32", "[1]", "-4", "0") "}", 4, "-4"},
        {"{\"a\":" T("F32", "[-1]", "0", "4") "}", 4, "-1"},
        {"{\"a\":" T("F32", "[1.5]", "0", "4") "}", 4, "1.5"},
        {"{\"a\":" T("F32", "[4611686018427387904]", "0", "0") "}", 0, "size in bytes overflows 63 bits"},
        {"{\"a\":" T("U8", "[4294967296,4294967296]", "0", "0") "}", 0, "size in bytes overflows 63 bits"},
        {"{\"a\":" T("U8", "[99999999999999999999]", "0", "0") "}", 0,
         "byte 36: found 1e+20, expected a whole number from 0"},
        {"{\"a\":" T("U8", "[1,1,1,1,1,1,1,1,1]", "0", "1") "}", 1, "tensor a: 9 axes, at most 8 are allowed"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1, "data_offsets has 3 values"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":0}}", 1, "unknown member \"x\""},
        {"{\"a\":" T("F32", "[2]", "0", "8") ",\"b\":" T("F32", "[2]", "4", "12") "}", 12, "tensors a and b overlap"},
        {"{\"a\":" T("U8", "[2]", "0", "2") ",\"b\":" T("U8", "[2]", "1", "3") "}", 3, "tensors a and b overlap"},
        {"{\"a\":" T("U8", "[5]", "0", "5") "}", 4, "data_offsets end 5 is beyond the file's 4 bytes of data"},
        {"{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "0", "4") "}", 4, "tensors a and b overlap"},
        {"{\"a\":" T("F32", "[1]", "0", "4") ",\"b\":" T("F32", "[1]", "8", "12") "}", 12,
         "a hole of 4 bytes before tensor b"},
        {"{\"a\":" T("F32", "[1]", "4", "8") "}", 8, "a hole of 4 bytes before tensor a"},
        {"{\"a\":" T("F32", "[1]", "0", "4") "}", 7, "3 bytes behind the last tensor belong to none"},
        {"{}", 5, "byte 10: 5 bytes behind the last tensor belong to none"},
        {"{\"a\":" T("U8", "[1]", "0", "1") ",\"a\":" T("U8", "[1]", "1", "2") "}", 2, "\"a\""},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is a"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "string"},
        {"{} x", 0, "byte 11"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_refused(make_file(cases[i].header, cases[i].data_bytes), cases[i].message);
    }
}

static void hostile_first_bytes(void **state) {
    (void)state;
    static const struct {
        const char *content;
        size_t bytes;
        const char *message;
    } cases[] = {
        {"", 0, "the file has 0 bytes, a safetensors file at least 8: it is empty"},
        {"1234567", 7, "the file has 7 bytes, a safetensors file at least 8"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", 66, "git-lfs text pointer; fetch"},
        {"<!DOCTYPE html><html><body>404</body></html>", 44, "it is a web page"},
        {"\n <html></html>", 15, "it is a web page"},
        {"PK\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00", 12, "this is a PyTorch file, not safetensors; convert it"},
        {"\x80\x02\x8a\x0al\xfc\x9c"
         "F\xf9 j",
         11, "this is a PyTorch file, not safetensors; convert it"},
        {"\x89HDF\r\n\x1a\n\x00\x00", 10, "it is an HDF5 file"},
        {"\x01\xe1\xf5\x05\x00\x00\x00\x00{}", 10, "header length 100000001 is over the allowed 100000000"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "header length 18446744073709551615 is over the allowed"},
        {"\x03\x02\x00\x00\x00\x00\x00\x00{}", 10, "header length 515 goes beyond"}, /* pickles begin with 80 02..05 */
        {"\x80\x01\x00\x00\x00\x00\x00\x00{}", 10, "header length 384 goes beyond"},
        {"\x80\x06\x00\x00\x00\x00\x00\x00{}", 10, "header length 1664 goes beyond"},
        {"\x03\x00\x00\x00\x00\x00\x00\x00{}", 10, "header length 3 goes beyond the end; is the download complete?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_refused(scratch_file("hostile.safetensors", cases[i].content, cases[i].bytes), cases[i].message);
    }
}

/* Every prefix of a good file is refused, and so is every single-byte change of the header that keeps no meaning; none
 * of them may crash (the sanitizer builds watch). */
static void cut_and_changed_files(void **state) {
    (void)state;
    const char *header = "{\"a\":" T("F32", "[2,3]", "0", "24") ",\"b\":" T("U8", "[3]", "24", "27") "}";
    size_t bytes;
    unsigned char *content = scratch_read(make_file(header, 27), &bytes);
    bt_safetensors *file;
    for (size_t cut = 0; cut < bytes; cut++) {
        expect_refused(scratch_file("hostile.safetensors", content, cut), "byte");
    }
    for (size_t i = 0; i < bytes - 27; i++) {
        for (int flip = 1; flip < 256; flip <<= 1) {
            content[i] ^= (unsigned char)flip;
            const char *path = scratch_file("hostile.safetensors", content, bytes);
            bt_status status = bt_safetensors_open(path, &file);
            if (status == BT_OK) bt_safetensors_close(file); /* another name or another dtype of the same size */
            if (status != BT_OK) assert_int_equal(status, BT_ERR_FORMAT);
            content[i] ^= (unsigned char)flip;
        }
    }
    free(content);
}

/* ---- good files ---- */

static void bytes_by_hand(void **state) {
    (void)state;
    const float w[2] = {1.0f, -2.0f};
    const uint8_t mask[3] = {1, 0, 1};
    const bt_safetensors_source sources[] = {
        {.name = "mask", .dtype = BT_FILE_BOOL, .rank = 1, .dim = {3}, .data = mask},
        {.name = "w", .dtype = BT_FILE_F32, .rank = 2, .dim = {1, 2}, .data = w},
    };
    const bt_safetensors_pair metadata[] = {{"step", "7"}, {"format", "pt"}};
    const char *path = scratch_path("hand.safetensors");
    assert_int_equal(bt_safetensors_write(path, sources, 2, metadata, 2), BT_OK);
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\",\"step\":\"7\"},"
                                 "\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                                 "\"mask\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[8,11]}}";
    size_t padded = (sizeof header - 1 + 7) / 8 * 8, bytes;
    unsigned char *content = scratch_read(path, &bytes);
    uint64_t length;
    memcpy(&length, content, 8);
    assert_int_equal(length, padded);
    assert_int_equal(bytes, 8 + padded + 11);
    assert_memory_equal(content + 8, header, sizeof header - 1);
    for (size_t i = sizeof header - 1; i < padded; i++) assert_int_equal(content[8 + i], ' ');
    assert_memory_equal(content + 8 + padded, "\x00\x00\x80\x3f\x00\x00\x00\xc0\x01\x00\x01", 11);
    free(content);
    assert_int_equal(scratch_count("partial"), 0);
}

static bt_status fetch_halves(void *context, void *buffer, size_t bytes) {
    assert_int_equal(bytes, *(size_t *)context);
    memset(buffer, 0x3c, bytes);
    return BT_OK;
}

static void round_trip(void **state) {
    (void)state;
    static int64_t large[70000]; /* more than the writer's buffer */
    for (int i = 0; i < 70000; i++) large[i] = (int64_t)i * 0x0101010101;
    size_t half_bytes = 10;
    const double scalar = 0.1;
    const bt_safetensors_source sources[] = {
        {.name = "half \"q\" \xc3\xa4",
         .dtype = BT_FILE_F16,
         .rank = 1,
         .dim = {5},
         .fetch = fetch_halves,
         .context = &half_bytes},
        {.name = "empty", .dtype = BT_FILE_F32, .rank = 2, .dim = {0, 4}},
        {.name = "large", .dtype = BT_FILE_I64, .rank = 8, .dim = {7, 10, 10, 10, 1, 2, 5, 1}, .data = large},
        {.name = "scalar", .dtype = BT_FILE_F64, .data = &scalar},
    };
    const char *path = scratch_path("trip.safetensors");
    assert_int_equal(bt_safetensors_write(path, sources, 4, NULL, 0), BT_OK);
    bt_safetensors *file;
    if (bt_safetensors_open(path, &file) != BT_OK) fail_msg("%s", bt_error_message());
    assert_int_equal(bt_safetensors_count(file), 4);
    assert_int_equal(bt_safetensors_metadata_count(file), 0);
    assert_null(bt_safetensors_metadata(file, "x"));
    for (int64_t i = 0; i < 4; i++) {
        const bt_safetensors_entry *found = bt_safetensors_find(file, sources[i].name);
        assert_non_null(found);
        assert_int_equal(found->dtype, sources[i].dtype);
        assert_int_equal(found->rank, sources[i].rank);
        assert_memory_equal(found->dim, sources[i].dim, sizeof found->dim);
        assert_int_equal(found->offset % bt_file_dtype_bytes(found->dtype), 0);
        if (sources[i].data) assert_memory_equal(found->data, sources[i].data, found->bytes);
    }
    assert_int_equal(bt_safetensors_find(file, "empty")->count, 0);
    assert_int_equal(bt_safetensors_find(file, "scalar")->count, 1);
    assert_memory_equal(bt_safetensors_find(file, sources[0].name)->data, "<<<<<<<<<<", 10);
    assert_null(bt_safetensors_find(file, "none"));
    assert_string_equal(bt_safetensors_at(file, 0)->name, "large");
    bt_safetensors_close(file);
}

static void metadata_is_read(void **state) {
    (void)state;
    bt_safetensors *file;
    assert_int_equal(bt_safetensors_open(make_file("{\"__metadata__\":{\"b\":\"1\",\"a\":\"\\u00e4\"}}   ", 0), &file),
                     BT_OK);
    const char *key, *value;
    bt_safetensors_metadata_at(file, 0, &key, &value);
    assert_string_equal(key, "b");
    assert_string_equal(value, "1");
    assert_string_equal(bt_safetensors_metadata(file, "a"), "\xc3\xa4");
    assert_int_equal(bt_safetensors_count(file), 0);
    bt_safetensors_close(file);
}

static void converts(bt_file_dtype dtype, const void *data, size_t bytes, const float *want, int64_t count) {
    unsigned char shifted[65]; /* an odd address: files may have one */
    assert_true(bytes < sizeof shifted);
    memcpy(shifted + 1, data, bytes);
    bt_safetensors_entry entry = {
        .name = "x", .dtype = dtype, .rank = 1, .dim = {count}, .count = count, .data = shifted + 1, .bytes = bytes};
    float out[16];
    assert_int_equal(bt_safetensors_to_f32(&entry, out), BT_OK);
    for (int64_t i = 0; i < count; i++) {
        if (isnan(want[i]) ? !isnan(out[i]) : memcmp(&out[i], &want[i], sizeof(float)) != 0) {
            fail_msg("%s: element %d is %a, not %a", bt_file_dtype_name(dtype), (int)i, (double)out[i],
                     (double)want[i]);
        }
    }
}

#define CONVERTS(dtype, type, count, ...)                                                                              \
    converts(dtype, (const type[count])__VA_ARGS__, sizeof(type[count]), want, count)
#define WANT(...) const float want[] = __VA_ARGS__

static void conversions(void **state) {
    (void)state;
    {
        WANT({1.0f, -0.0f, 65504.0f, 0x1p-14f, 0x1p-24f, 0x1.ff8p-15f, INFINITY, -INFINITY, NAN});
        CONVERTS(BT_FILE_F16, uint16_t, 9, {0x3c00, 0x8000, 0x7bff, 0x0400, 0x0001, 0x03ff, 0x7c00, 0xfc00, 0x7e01});
    }
    {
        WANT({1.0f, -2.0f, 0x1.fep127f, NAN});
        CONVERTS(BT_FILE_BF16, uint16_t, 4, {0x3f80, 0xc000, 0x7f7f, 0x7fc1});
    }
    {
        WANT({0.1f, INFINITY, -1.0f});
        CONVERTS(BT_FILE_F64, double, 3, {0.1, 1e300, -1.0});
    }
    {
        WANT({0x1p-149f, -3.5f});
        CONVERTS(BT_FILE_F32, float, 2, {0x1p-149f, -3.5f});
    }
    {
        WANT({-0x1p63f, 16777216.0f, 16777220.0f});
        CONVERTS(BT_FILE_I64, int64_t, 3, {INT64_MIN, 16777217, 16777219});
    }
    {
        WANT({0x1p64f});
        CONVERTS(BT_FILE_U64, uint64_t, 1, {UINT64_MAX});
    }
    {
        WANT({-0x1p31f});
        CONVERTS(BT_FILE_I32, int32_t, 1, {INT32_MIN});
    }
    {
        WANT({0x1p32f});
        CONVERTS(BT_FILE_U32, uint32_t, 1, {UINT32_MAX});
    }
    {
        WANT({-32768.0f});
        CONVERTS(BT_FILE_I16, int16_t, 1, {INT16_MIN});
    }
    {
        WANT({65535.0f});
        CONVERTS(BT_FILE_U16, uint16_t, 1, {UINT16_MAX});
    }
    {
        WANT({-128.0f});
        CONVERTS(BT_FILE_I8, int8_t, 1, {-128});
    }
    {
        WANT({255.0f});
        CONVERTS(BT_FILE_U8, uint8_t, 1, {255});
    }
    {
        WANT({0.0f, 1.0f, 1.0f});
        CONVERTS(BT_FILE_BOOL, uint8_t, 3, {0, 1, 2});
    }
    const bt_safetensors_entry f8 = {.name = "q", .dtype = BT_FILE_F8_E4M3, .count = 1, .data = "", .bytes = 1};
    float out;
    assert_int_equal(bt_safetensors_to_f32(&f8, &out), BT_ERR_UNSUPPORTED);
    assert_string_equal(bt_error_message(), "tensor q: dtype F8_E4M3 cannot be converted to float32");
}

/* ---- faults while writing ---- */

static bt_status fetch_fails(void *context, void *buffer, size_t bytes) {
    (void)context, (void)buffer, (void)bytes;
    return bt_error(BT_ERR_DEVICE, "the device is gone");
}

static void refused_names(void **state) {
    (void)state;
    const char *path = scratch_path("names.safetensors");
    bt_safetensors_source two[2] = {{.name = "a", .dtype = BT_FILE_U8, .data = "x"},
                                    {.name = "a", .dtype = BT_FILE_F32, .data = "1234"}};
    assert_int_equal(bt_safetensors_write(path, two, 2, NULL, 0), BT_ERR_FORMAT);
    assert_non_null(strstr(bt_error_message(), "names.safetensors: tensor name \"a\" is given twice"));
    two[1].name = "__metadata__";
    assert_int_equal(bt_safetensors_write(path, two, 2, NULL, 0), BT_ERR_FORMAT);
    assert_non_null(strstr(bt_error_message(), "is reserved"));
    two[1].name = "\xff";
    assert_int_equal(bt_safetensors_write(path, two, 2, NULL, 0), BT_ERR_FORMAT);
    assert_non_null(strstr(bt_error_message(), "is not UTF-8"));
    const bt_safetensors_pair pairs[] = {{"k", "1"}, {"k", "2"}};
    assert_int_equal(bt_safetensors_write(path, two, 1, pairs, 2), BT_ERR_FORMAT);
    assert_non_null(strstr(bt_error_message(), "metadata key \"k\" is given twice"));
    const bt_safetensors_pair odd[] = {{"\xff", "1"}, {"k", "\xc3"}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bt_safetensors_write(path, two, 1, &odd[i], 1), BT_ERR_FORMAT);
        assert_non_null(strstr(bt_error_message(), "metadata of key"));
        assert_non_null(strstr(bt_error_message(), "is not UTF-8"));
    }
    assert_int_equal(access(path, F_OK), -1);
}

/* A write that fails midway leaves the old file as it was and no temporary file. A limit on the file's size stands in
 * for a full disk: the same path, another errno. */
static void failed_writes(void **state) {
    (void)state;
    const char *path = scratch_file("old.safetensors", "old", 3);
    static char data[1 << 20];
    bt_safetensors_source source = {
        .name = "a", .dtype = BT_FILE_U8, .rank = 1, .dim = {sizeof data}, .fetch = fetch_fails};
    assert_int_equal(bt_safetensors_write(path, &source, 1, NULL, 0), BT_ERR_DEVICE);
    assert_string_equal(bt_error_message(), "the device is gone");

    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){.rlim_cur = 100000, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    source = (bt_safetensors_source){.name = "a", .dtype = BT_FILE_U8, .rank = 1, .dim = {sizeof data}, .data = data};
    bt_status status = bt_safetensors_write(path, &source, 1, NULL, 0);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, BT_ERR_IO);
    assert_non_null(strstr(bt_error_message(), "cannot write"));
    assert_non_null(strstr(bt_error_message(), "old.safetensors: File too large"));

    size_t bytes;
    unsigned char *content = scratch_read(path, &bytes);
    assert_int_equal(bytes, 3);
    assert_memory_equal(content, "old", 3);
    free(content);
    assert_int_equal(scratch_count("partial"), 0);
}

static void missing_places(void **state) {
    (void)state;
    bt_safetensors *file;
    const bt_safetensors_source source = {.name = "a", .dtype = BT_FILE_U8, .data = "x"};
    assert_int_equal(bt_safetensors_write(scratch_path("none/x.safetensors"), &source, 1, NULL, 0), BT_ERR_IO);
    assert_int_equal(bt_safetensors_open(scratch_path("none.safetensors"), &file), BT_ERR_IO);
    assert_non_null(strstr(bt_error_message(), "none.safetensors: No such file or directory"));
    assert_int_equal(bt_safetensors_open(scratch_root, &file), BT_ERR_IO);
    assert_non_null(strstr(bt_error_message(), "it is a folder, not a file"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_headers),
        cmocka_unit_test(hostile_first_bytes),
        cmocka_unit_test(cut_and_changed_files),
        cmocka_unit_test(bytes_by_hand),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(metadata_is_read),
        cmocka_unit_test(conversions),
        cmocka_unit_test(refused_names),
        cmocka_unit_test(failed_writes),
        cmocka_unit_test(missing_places),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
