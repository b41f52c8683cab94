/* The resampling loops for any processor. */
#include "pixels/loops.h"
#include "pixels/view.h"

#include <string.h>

#define LANES 16

static int32_t weight_of(int16_t upper, int16_t lower) {
    return upper * (1 << BT_LOWER_BITS) + lower;
}

static void row(const uint8_t *in, const bt_row_weights *w, bool flip, uint8_t *out) {
    for (int64_t i = 0; i < w->count; i++) {
        const uint8_t *p = in + w->first[i] * 3;
        const int16_t *pair = w->pair + i * w->groups * 32;
        int32_t red = 1 << (BT_WEIGHT_BITS - 1), green = red, blue = red;
        for (int64_t g = 0; g < w->groups; g++, pair += 32) {
            for (int k = 0; k < 4; k++, p += 3) {
                int at = k / 2 * 8 + k % 2;
                int32_t weight = weight_of(pair[at], pair[at + 16]);
                red += weight * p[0];
                green += weight * p[1];
                blue += weight * p[2];
            }
        }
        uint8_t *q = out + (flip ? w->count - 1 - i : i) * 3;
        q[0] = bt_weighted_byte(red);
        q[1] = bt_weighted_byte(green);
        q[2] = bt_weighted_byte(blue);
    }
}

/* Blocks of a fixed width stay in registers and become vector instructions at any optimisation level. */
static void column(const uint8_t *rows, int64_t stride, const int16_t *pair, int64_t taps, uint8_t *out, int64_t n) {
    for (int64_t x = 0; x < n; x += LANES) {
        const uint8_t *from = rows + x;
        int32_t sums[LANES];
        uint8_t bytes[LANES];
        for (int lane = 0; lane < LANES; lane++) sums[lane] = 1 << (BT_WEIGHT_BITS - 1);
        for (int64_t k = 0; k < taps; k++, from += stride) {
            int64_t at = k / 2 * 4 + k % 2;
            int32_t weight = weight_of(pair[at], pair[at + 2]);
            for (int lane = 0; lane < LANES; lane++) sums[lane] += weight * from[lane];
        }
        for (int lane = 0; lane < LANES; lane++) bytes[lane] = bt_weighted_byte(sums[lane]);
        memcpy(out + x, bytes, (size_t)(n - x < LANES ? n - x : LANES));
    }
}

const bt_resample_loops bt_resample_loops_generic = {row, column};
