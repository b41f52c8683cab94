/* The resampling loops for AVX2: pairs of taps go through the multiply-add of 16-bit numbers, the upper and the lower
 * parts of the weights apart; sums wrap in 32 bits, so upper * 2^15 + lower is exact. */
#include "pixels/loops.h"
#include "pixels/view.h"

#include <immintrin.h>
#include <string.h>

/* A group of four pixels as 16-bit pairs: (r0,r1) (g0,g1) (b0,b1) and zeros in the lower half, pixels 2 and 3 above. */
static inline __m256i pixel_pairs(const uint8_t *p) {
    const __m128i order = _mm_setr_epi8(0, 3, 1, 4, 2, 5, -1, -1, 6, 9, 7, 10, 8, 11, -1, -1);
    return _mm256_cvtepu8_epi16(_mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), order));
}

static inline __m256i load(const int16_t *pair) {
    return _mm256_loadu_si256((const __m256i *)(const void *)pair);
}

static void row(const uint8_t *in, const bt_row_weights *w, bool flip, uint8_t *out) {
    const __m128i half = _mm_set1_epi32(1 << (BT_WEIGHT_BITS - 1));
    const int16_t *pair = w->pair;
    uint8_t *q = out + (flip ? (w->count - 1) * 3 : 0);
    int64_t step = flip ? -3 : 3;
    for (int64_t i = 0; i < w->count; i++, q += step) {
        const uint8_t *p = in + w->first[i] * 3;
        __m256i up = _mm256_setzero_si256(), low = up;
        for (int64_t g = 0; g < w->groups; g++, p += 12, pair += 32) {
            __m256i pixels = pixel_pairs(p);
            up = _mm256_add_epi32(up, _mm256_madd_epi16(pixels, load(pair)));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(pixels, load(pair + 16)));
        }
        low = _mm256_add_epi32(low, _mm256_slli_epi32(up, BT_LOWER_BITS));
        __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
        sum = _mm_srai_epi32(_mm_add_epi32(sum, half), BT_WEIGHT_BITS);
        sum = _mm_packs_epi32(sum, sum);
        int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
        memcpy(q, &bytes, 3);
    }
}

/* Eight sums to 16-bit values, not yet clipped at 0. */
static inline __m256i finish(__m256i up, __m256i low) {
    low = _mm256_add_epi32(low, _mm256_slli_epi32(up, BT_LOWER_BITS));
    return _mm256_srai_epi32(_mm256_add_epi32(low, _mm256_set1_epi32(1 << (BT_WEIGHT_BITS - 1))), BT_WEIGHT_BITS);
}

static inline __m256i broadcast(const int16_t *pair) {
    int32_t both;
    memcpy(&both, pair, sizeof both);
    return _mm256_set1_epi32(both);
}

static void column(const uint8_t *rows, int64_t stride, const int16_t *pair, int64_t taps, uint8_t *out, int64_t n) {
    for (int64_t x = 0; x < n; x += 16) {
        __m256i up0 = _mm256_setzero_si256(), up1 = up0, low0 = up0, low1 = up0;
        const uint8_t *from = rows + x;
        for (int64_t k = 0; k < taps; k += 2, from += 2 * stride) {
            __m128i a = _mm_loadu_si128((const __m128i *)(const void *)from), b = a; /* a missing second tap weighs 0 */
            if (k + 1 < taps) b = _mm_loadu_si128((const __m128i *)(const void *)(from + stride));
            __m256i first = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
            __m256i second = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b));
            __m256i upper = broadcast(pair + 2 * k), lower = broadcast(pair + 2 * k + 2);
            up0 = _mm256_add_epi32(up0, _mm256_madd_epi16(first, upper));
            up1 = _mm256_add_epi32(up1, _mm256_madd_epi16(second, upper));
            low0 = _mm256_add_epi32(low0, _mm256_madd_epi16(first, lower));
            low1 = _mm256_add_epi32(low1, _mm256_madd_epi16(second, lower));
        }
        __m256i words = _mm256_packs_epi32(finish(up0, low0), finish(up1, low1));
        words = _mm256_permute4x64_epi64(words, 0xd8);
        __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        if (n - x >= 16)
            _mm_storeu_si128((__m128i *)(void *)(out + x), bytes);
        else {
            uint8_t tail[16];
            memcpy(tail, &bytes, sizeof tail);
            memcpy(out + x, tail, (size_t)(n - x));
        }
    }
}

const bt_resample_loops bt_resample_loops_avx2 = {row, column};
