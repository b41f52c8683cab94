/* Dropout of one row, compiled once for each width.
 *
 * Philox is ten rounds on four words; BT_LANES blocks are drawn side by side, one a lane, twice for two chains of
 * instructions. Integers, and one division and comparison: all widths draw the same.
 */
#include "cpu/dropout.h"
#include "cpu/vmath.h"

#include <bittern/random.h>

typedef uint32_t vu __attribute__((vector_size(4 * BT_LANES)));

enum { BLOCKS = 2 * BT_LANES, DRAWS = 4 * BLOCKS };

/* The upper halves of the products of 32-bit lanes with a constant. */
BT_INLINE vu multiply_high(vu a, uint32_t constant) {
#if BT_NATIVE == 16
    const __m512i c = _mm512_set1_epi32((int)constant);
    __m512i even = _mm512_srli_epi64(_mm512_mul_epu32((__m512i)a, c), 32);
    return (vu)_mm512_mask_blend_epi32(0xaaaa, even, _mm512_mul_epu32(_mm512_srli_epi64((__m512i)a, 32), c));
#elif BT_NATIVE == 8
    const __m256i c = _mm256_set1_epi32((int)constant);
    __m256i even = _mm256_srli_epi64(_mm256_mul_epu32((__m256i)a, c), 32);
    return (vu)_mm256_blend_epi32(even, _mm256_mul_epu32(_mm256_srli_epi64((__m256i)a, 32), c), 0xaa);
#else
    vu high;
    for (int i = 0; i < BT_LANES; i++) high[i] = (uint32_t)((uint64_t)a[i] * constant >> 32);
    return high;
#endif
}

/* One lane for each of the blocks first, first + 1, ... */
typedef struct counter {
    vu word[4];
} counter;

BT_INLINE counter counter_at(uint32_t first, const bt_dropout_draw *d) {
    vu lane;
    for (uint32_t i = 0; i < BT_LANES; i++) lane[i] = i;
    uint32_t view = (uint32_t)((uint64_t)d->id >> 32) & 255u;
    const vu zero = {0};
    return (counter){{lane + first, zero + (uint32_t)(uint64_t)d->id, zero + (uint32_t)(uint64_t)d->step,
                      zero + (d->stream << 8 | view)}};
}

BT_INLINE counter philox_round(counter c, uint32_t k0, uint32_t k1) {
    return (counter){{multiply_high(c.word[2], 0xCD9E8D57u) ^ c.word[1] ^ k0, c.word[2] * 0xCD9E8D57u,
                      multiply_high(c.word[0], 0xD2511F53u) ^ c.word[3] ^ k1, c.word[0] * 0xD2511F53u}};
}

/* out[4 b + w] = word w of block b. */
BT_INLINE void store_words(uint32_t *out, counter c) {
    for (int w = 0; w < 4; w++) {
        uint32_t lane[BT_LANES];
        memcpy(lane, &c.word[w], sizeof lane);
        for (int b = 0; b < BT_LANES; b++) out[4 * b + w] = lane[b];
    }
}

/* The draws of BLOCKS blocks from `first`, in the order of the elements: as bt_random_block. */
static void draw_blocks(uint32_t *out, uint32_t first, const bt_dropout_draw *d) {
    counter a = counter_at(first, d), b = counter_at(first + BT_LANES, d);
    uint32_t k0 = (uint32_t)d->seed, k1 = (uint32_t)(d->seed >> 32);
    for (int round = 0; round < 10; round++) {
        a = philox_round(a, k0, k1);
        b = philox_round(b, k0, k1);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    store_words(out, a);
    store_words(out + DRAWS / 2, b);
}

BT_INLINE bt_vf units_of(const uint32_t *draws) {
    vu word;
    memcpy(&word, draws, sizeof word);
    return __builtin_convertvector((bt_vi)(word >> 8), bt_vf) * 0x1p-24f; /* bt_random_unit */
}

void BT_SIMD(bt_dropout_row)(float *y, const float *x, int64_t n, const bt_dropout_draw *d) {
    uint32_t draws[DRAWS + BT_LANES];
    memset(draws + DRAWS, 0, BT_LANES * sizeof *draws);
    const float divisor = 1.0f - d->rate;
    int64_t skipped = d->first % 4; /* the row may begin within a block */
    for (int64_t done = 0; done < n; skipped = 0) {
        draw_blocks(draws, (uint32_t)((d->first + done) / 4), d);
        int64_t count = DRAWS - skipped < n - done ? DRAWS - skipped : n - done;
        for (int64_t i = 0; i < count; i += BT_LANES) {
            bt_vf kept = bt_vf_get(x, done + i, count - i, false) / divisor;
            bt_vi keeps = units_of(draws + skipped + i) >= d->rate;
            bt_vf_put(y, done + i, count - i, false, bt_vf_select(keeps, kept, (bt_vf){0}));
        }
        done += count;
    }
}
