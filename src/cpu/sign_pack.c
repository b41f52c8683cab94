/* Binary codes: bit k of a row is 1[z_k > 0] in word k/64; 0, -0 and NaN give 0, and so do the bits behind the last. */
#include "cpu/rows.h"

#define WORD_BITS 64

static bt_status prepare(bt_device *device, const bt_sign_pack_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("sign_pack", {"z", &a->z, BT_ALLOW_FLOAT}, {"bits", &a->bits, BT_ALLOW_BITS});
}

static void pack_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)unused;
    const bt_sign_pack_args *a = context;
    int64_t cols = bt_shape_cols(a->z.shape);
    for (int64_t row = begin; row < end; row++) {
        uint64_t *words = (uint64_t *)a->bits.data + row * a->bits.ld;
        for (int64_t col = 0; col < cols; col += WORD_BITS) {
            float buffer[WORD_BITS];
            int64_t n = cols - col < WORD_BITS ? cols - col : WORD_BITS;
            const float *z = bt_row_read(v, &a->z, row, col, n, buffer);
            uint64_t word = 0;
            for (int64_t k = 0; k < n; k++) word |= (uint64_t)(z[k] > 0.0f) << k;
            words[col / WORD_BITS] = word;
        }
    }
}

static bt_status run(bt_device *device, const bt_sign_pack_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_over_rows(device, bt_shape_rows(a->z.shape), bt_shape_count(a->z.shape), pack_rows, a, 0, NULL);
    return BT_OK;
}

const bt_sign_pack_kernel bt_cpu_sign_pack = {prepare, run};
