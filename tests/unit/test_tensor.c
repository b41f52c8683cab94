/* Shapes, tensors over memory, and bf16 against a definition in doubles for every bf16 value and its neighbours. */
#include "check.h"

#include <bittern/tensor.h>

#include <math.h>

static void dtypes(void **state) {
    (void)state;
    static const struct {
        bt_dtype dtype;
        const char *name;
        size_t bytes;
    } expected[] = {{BT_NONE, "none", 0}, {BT_F32, "f32", 4}, {BT_BF16, "bf16", 2}, {BT_U8, "u8", 1},
                    {BT_I32, "i32", 4},   {BT_I64, "i64", 8}, {BT_BITS, "bits", 0}};
    assert_int_equal(sizeof expected / sizeof expected[0], BT_DTYPE_COUNT);
    for (int i = 0; i < BT_DTYPE_COUNT; i++) {
        assert_string_equal(bt_dtype_name(expected[i].dtype), expected[i].name);
        assert_int_equal(bt_dtype_bytes(expected[i].dtype), expected[i].bytes);
    }
}

static void shapes(void **state) {
    (void)state;
    bt_shape s = bt_shape3(16, 257, 384);
    assert_int_equal(s.rank, 3);
    assert_int_equal(bt_shape_count(s), 16 * 257 * 384);
    assert_int_equal(bt_shape_rows(s), 16 * 257);
    assert_int_equal(bt_shape_cols(s), 384);
    bt_shape none = {0}, one = bt_shape1(7), empty = bt_shape2(0, 5), thin = bt_shape2(5, 0);
    assert_int_equal(bt_shape_count(none), 1);
    assert_int_equal(bt_shape_rows(none), 1);
    assert_int_equal(bt_shape_cols(none), 1);
    assert_int_equal(bt_shape_rows(one), 1);
    assert_int_equal(bt_shape_cols(one), 7);
    assert_int_equal(bt_shape_count(empty), 0);
    assert_int_equal(bt_shape_rows(thin), 5);
    assert_int_equal(bt_shape_count(thin), 0);
    assert_true(bt_shape_equal(s, bt_shape3(16, 257, 384)));
    assert_false(bt_shape_equal(s, bt_shape3(16, 257, 385)));
    assert_false(bt_shape_equal(bt_shape2(1, 7), one));
    assert_false(bt_shape_equal(bt_shape1(1), none));
    assert_true(bt_shape_equal(none, none));
}

static void shape_text(void **state) {
    (void)state;
    char text[100];
    assert_string_equal(bt_shape_text(bt_shape3(16, 257, 384), text, sizeof text), "(16, 257, 384)");
    assert_string_equal(bt_shape_text(bt_shape1(7), text, sizeof text), "(7)");
    assert_string_equal(bt_shape_text((bt_shape){0}, text, sizeof text), "()");
    bt_shape big = bt_shape4(INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX);
    assert_int_equal(strlen(bt_shape_text(big, text, sizeof text)), 4 * 19 + 3 * 2 + 2);
    assert_string_equal(bt_shape_text(bt_shape2(12, 34), text, 6), "(12, ");
}

static void negative_axis(void) {
    (void)bt_shape2(3, -1);
}
static void too_many_axes(void) {
    int64_t dim[5] = {1, 1, 1, 1, 1};
    (void)bt_shape_of(5, dim);
}
static void overflowing_count(void) {
    (void)bt_shape_count(bt_shape3((int64_t)1 << 31, (int64_t)1 << 31, 4));
}
static void narrow_stride(void) {
    bt_tensor t = bt_tensor_of(NULL, BT_F32, bt_shape2(3, 8));
    t.ld = 7;
    (void)bt_tensor_bytes(&t);
}

static void mistakes_abort(void **state) {
    (void)state;
    assert_true(check_aborts(negative_axis));
    assert_true(check_aborts(too_many_axes));
    assert_true(check_aborts(overflowing_count));
    assert_true(check_aborts(narrow_stride));
}

static void tensors(void **state) {
    (void)state;
    float data[64];
    bt_tensor t = bt_tensor_of(data, BT_F32, bt_shape3(2, 3, 5));
    assert_ptr_equal(t.data, data);
    assert_int_equal(t.ld, 5);
    assert_int_equal(t.flags, 0);
    assert_int_equal(bt_tensor_bytes(&t), 30 * 4);
    t.ld = 8; /* padding behind the last row is not part of it */
    assert_int_equal(bt_tensor_bytes(&t), (5 * 8 + 5) * 4);
    bt_tensor empty = bt_tensor_of(NULL, BT_BF16, bt_shape2(0, 5));
    assert_int_equal(bt_tensor_bytes(&empty), 0);
    bt_tensor absent = {0};
    assert_false(bt_present(&absent));
    assert_true(bt_present(&t));
}

static void bit_rows(void **state) {
    (void)state;
    static const int64_t bits[] = {0, 1, 63, 64, 65, 128, 129}, bytes[] = {0, 8, 8, 8, 16, 16, 24};
    for (int i = 0; i < 7; i++) assert_int_equal(bt_row_bytes(BT_BITS, bits[i]), bytes[i]);
    bt_tensor codes = bt_tensor_of(NULL, BT_BITS, bt_shape2(10, 65));
    assert_int_equal(codes.ld, 2);
    assert_int_equal(bt_tensor_bytes(&codes), 160);
    assert_int_equal(bt_row_bytes(BT_BF16, 384), 768);
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Round to nearest even by its meaning: of the two bf16 values around a float32 the one at the smaller distance in
 * exact arithmetic (doubles hold both distances exactly), at a tie the one with the even last bit. `below` is the
 * truncated one. */
static uint16_t rounded(float value, uint16_t below) {
    uint16_t above = (uint16_t)(below + 1);
    double magnitude = fabs((double)value);
    double low = fabs((double)float_of((uint32_t)below << 16));
    /* Above the largest finite bf16 stands infinity; IEEE rounds as if it were 2^128. */
    double high = (above & 0x7fff) == 0x7f80 ? 0x1p128 : fabs((double)float_of((uint32_t)above << 16));
    double to_low = magnitude - low, to_high = high - magnitude;
    if (to_low == to_high) return below & 1 ? above : below;
    return to_low < to_high ? below : above;
}

/* For each of the 65,536 upper halves: itself, the halfway point and its neighbours, the ends, and values between. */
static void bf16_exhaustive(void **state) {
    (void)state;
    static const uint32_t lower[] = {0, 1, 2, 0x1234, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0x8002, 0xcdef, 0xfffe, 0xffff};
    static float at_once[256][12];
    static uint16_t one_by_one[256][12], all[256][12];
    for (uint32_t upper = 0; upper < 65536; upper++) {
        for (size_t i = 0; i < sizeof lower / sizeof lower[0]; i++) {
            uint32_t bits = upper << 16 | lower[i];
            float value = float_of(bits);
            uint16_t got = bt_bf16_of(value);
            at_once[upper % 256][i] = value;
            one_by_one[upper % 256][i] = got;
            if (isnan(value)) {
                assert_true((got & 0x7fff) > 0x7f80);   /* a NaN */
                assert_int_equal(got & 0x0040, 0x0040); /* quiet */
                assert_int_equal(got & 0x8000, upper & 0x8000);
            } else if (isinf(value)) {
                assert_int_equal(got, upper);
            } else {
                assert_int_equal(got, rounded(value, (uint16_t)upper));
            }
        }
        if (upper % 256 < 255) continue;
        bt_bf16_of_all(at_once[0], sizeof at_once / sizeof at_once[0][0], all[0]);
        assert_memory_equal(all, one_by_one, sizeof all);
    }
}

static void bf16_widens_exactly(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        float value = bt_bf16_to_float((uint16_t)i);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        assert_int_equal(bits, i << 16);
    }
    assert_int_equal(bt_bf16_of(1.0f), 0x3f80);
    assert_int_equal(bt_bf16_of(-2.5f), 0xc020);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtypes),          cmocka_unit_test(shapes),
        cmocka_unit_test(shape_text),      cmocka_unit_test(mistakes_abort),
        cmocka_unit_test(tensors),         cmocka_unit_test(bit_rows),
        cmocka_unit_test(bf16_exhaustive), cmocka_unit_test(bf16_widens_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
