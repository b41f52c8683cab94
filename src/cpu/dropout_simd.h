/* Dropout of one row, compiled once for each width.
 *
 * Philox is ten rounds of multiplications on four words: sixteen blocks (64 elements) are drawn side by side, so that
 * the compiler keeps each word of all blocks in vectors. Integers: all widths draw the same.
 */
#include "cpu/dropout.h"
#include "cpu/vmath.h"

#include <bittern/random.h>

enum { BLOCKS = 16, DRAWS = 4 * BLOCKS };

/* The draws of blocks first..first+15, in the order of the elements: as bt_random_block. */
static void draw_blocks(uint32_t *out, uint32_t first, const bt_dropout_draw *d) {
    uint32_t c0[BLOCKS], c1[BLOCKS], c2[BLOCKS], c3[BLOCKS];
    uint32_t k0 = (uint32_t)d->seed, k1 = (uint32_t)(d->seed >> 32);
    uint32_t view = (uint32_t)((uint64_t)d->id >> 32) & 255u;
    for (uint32_t b = 0; b < BLOCKS; b++) {
        c0[b] = first + b;
        c1[b] = (uint32_t)(uint64_t)d->id;
        c2[b] = (uint32_t)(uint64_t)d->step;
        c3[b] = d->stream << 8 | view;
    }
    for (int round = 0; round < 10; round++) {
#pragma omp simd
        for (int b = 0; b < BLOCKS; b++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0[b], p1 = (uint64_t)0xCD9E8D57u * c2[b];
            uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1[b] ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3[b] ^ k1;
            c1[b] = (uint32_t)p1;
            c3[b] = (uint32_t)p0;
            c0[b] = n0;
            c2[b] = n2;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int b = 0; b < BLOCKS; b++) {
        out[4 * b] = c0[b];
        out[4 * b + 1] = c1[b];
        out[4 * b + 2] = c2[b];
        out[4 * b + 3] = c3[b];
    }
}

void BT_SIMD(bt_dropout_row)(float *y, const float *x, int64_t n, const bt_dropout_draw *d) {
    uint32_t draws[DRAWS];
    const float divisor = 1.0f - d->rate;
    int64_t skipped = d->first % 4; /* the row may begin within a block */
    for (int64_t done = 0; done < n; skipped = 0) {
        draw_blocks(draws, (uint32_t)((d->first + done) / 4), d);
        int64_t count = DRAWS - skipped < n - done ? DRAWS - skipped : n - done;
#pragma omp simd
        for (int64_t i = 0; i < count; i++) {
            float kept = x[done + i] / divisor;
            y[done + i] = bt_random_unit(draws[skipped + i]) >= d->rate ? kept : 0.0f;
        }
        done += count;
    }
}
