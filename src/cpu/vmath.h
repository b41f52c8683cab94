/* Vectors of float for the processor's kernels: one source, three widths.
 *
 * A kernel that pays for wider vectors is written once, in a header `<name>_simd.h`, on the types and functions below,
 * and compiled three times: by `<name>.c` (4 lanes, any processor), `<name>_avx2.c` and `<name>_avx512.c` (8 and 16
 * lanes; CMake gives these files their flags). BT_SIMD(name) appends the suffix of the width, so that the three copies
 * can be linked together; `<name>.c` picks one at run time (bt_cpu_device.cpu in cpu/device.h), and defines
 * BT_SIMD_GENERIC so that it stays at 4 lanes whatever flags the whole build is given. BT_SIMD_EMULATED builds the
 * 16-lane copies out of whatever the compiler has, which shows their indexing on a processor without AVX-512
 * (base/cpu.c then reports one).
 *
 * The types are GCC/Clang vectors: + - * / and comparisons work on them as on scalars. Without FMA (4 lanes) bt_vf_fma
 * rounds twice, so results of different widths may differ in the last bit; those of one width never do.
 *
 * The polynomials were fitted for this file (weighted least squares, iterated to the minimax of the relative error).
 */
#ifndef BITTERN_CPU_VMATH_H
#define BITTERN_CPU_VMATH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(BT_SIMD_GENERIC)
#define BT_LANES 4
#define BT_NATIVE 0 /* whose intrinsics may be used: lanes, or 0 for none */
#define BT_SIMD(name) name##_generic
#elif defined(BT_SIMD_EMULATED)
#define BT_LANES 16
#define BT_NATIVE 0
#define BT_SIMD(name) name##_avx512
#elif defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>
#define BT_LANES 16
#define BT_NATIVE 16
#define BT_SIMD(name) name##_avx512
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define BT_LANES 8
#define BT_NATIVE 8
#define BT_SIMD(name) name##_avx2
#else
#define BT_LANES 4
#define BT_NATIVE 0
#define BT_SIMD(name) name##_generic
#endif

/** Small functions that must vanish into their caller, e.g. because a constant argument selects the code. */
#define BT_INLINE static inline __attribute__((always_inline, unused))

typedef float bt_vf __attribute__((vector_size(4 * BT_LANES)));
typedef int32_t bt_vi __attribute__((vector_size(4 * BT_LANES)));
typedef uint16_t bt_vh __attribute__((vector_size(2 * BT_LANES))); /* bf16 */

BT_INLINE bt_vf bt_vf_set(float x) {
#if BT_NATIVE == 16
    return _mm512_set1_ps(x);
#elif BT_NATIVE == 8
    return _mm256_set1_ps(x);
#else
    return x - (bt_vf){0};
#endif
}

BT_INLINE bt_vf bt_vf_load(const float *p) {
    bt_vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

BT_INLINE void bt_vf_store(float *p, bt_vf v) {
    memcpy(p, &v, sizeof v);
}

/** The first `count` < BT_LANES elements; the other lanes are 0. Reads nothing behind them. */
BT_INLINE bt_vf bt_vf_load_part(const float *p, int64_t count) {
#if BT_NATIVE == 16
    return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#elif BT_NATIVE == 8
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane));
#else
    bt_vf v = {0};
    for (int64_t i = 0; i < count; i++) v[i] = p[i];
    return v;
#endif
}

BT_INLINE void bt_vf_store_part(float *p, bt_vf v, int64_t count) {
#if BT_NATIVE == 16
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), v);
#elif BT_NATIVE == 8
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane), v);
#else
    for (int64_t i = 0; i < count; i++) p[i] = v[i];
#endif
}

/** bf16 to float is a shift; exact. */
BT_INLINE bt_vf bt_vf_of_bf16(bt_vh h) {
    return (bt_vf)(__builtin_convertvector(h, bt_vi) << 16);
}

/** float to bf16 as bt_bf16_of does it: to nearest even, a NaN stays a quiet NaN. (The processor's own instruction is
 * not used: it flushes denormals.) */
BT_INLINE bt_vh bt_vf_to_bf16(bt_vf v) {
    typedef uint32_t vu __attribute__((vector_size(4 * BT_LANES)));
    vu bits = (vu)v, rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16, quiet = (bits >> 16) | 0x40u;
    vu is_nan = (vu)(v != v);
    return __builtin_convertvector((rounded & ~is_nan) | (quiet & is_nan), bt_vh);
}

BT_INLINE bt_vf bt_vf_load_bf16(const uint16_t *p) {
    bt_vh h;
    memcpy(&h, p, sizeof h);
    return bt_vf_of_bf16(h);
}

BT_INLINE void bt_vf_store_bf16(uint16_t *p, bt_vf v) {
    bt_vh h = bt_vf_to_bf16(v);
    memcpy(p, &h, sizeof h);
}

BT_INLINE bt_vf bt_vf_load_bf16_part(const uint16_t *p, int64_t count) {
    bt_vh h = {0};
    memcpy(&h, p, (size_t)count * sizeof *p);
    return bt_vf_of_bf16(h);
}

BT_INLINE void bt_vf_store_bf16_part(uint16_t *p, bt_vf v, int64_t count) {
    bt_vh h = bt_vf_to_bf16(v);
    memcpy(p, &h, (size_t)count * sizeof *p);
}

/** Element `index` and the following of a row whose dtype is a constant of the inlined kernel; `count` <= BT_LANES. */
BT_INLINE bt_vf bt_vf_get(const void *row, int64_t index, int64_t count, bool bf16) {
    if (bf16) {
        const uint16_t *p = (const uint16_t *)row + index;
        return count >= BT_LANES ? bt_vf_load_bf16(p) : bt_vf_load_bf16_part(p, count);
    }
    const float *p = (const float *)row + index;
    return count >= BT_LANES ? bt_vf_load(p) : bt_vf_load_part(p, count);
}

BT_INLINE void bt_vf_put(void *row, int64_t index, int64_t count, bool bf16, bt_vf v) {
    if (bf16) {
        uint16_t *p = (uint16_t *)row + index;
        if (count >= BT_LANES)
            bt_vf_store_bf16(p, v);
        else
            bt_vf_store_bf16_part(p, v, count);
    } else {
        float *p = (float *)row + index;
        if (count >= BT_LANES)
            bt_vf_store(p, v);
        else
            bt_vf_store_part(p, v, count);
    }
}

/** a * b + c, rounded once where the processor can. */
BT_INLINE bt_vf bt_vf_fma(bt_vf a, bt_vf b, bt_vf c) {
#if BT_NATIVE == 16
    return _mm512_fmadd_ps(a, b, c);
#elif BT_NATIVE == 8
    return _mm256_fmadd_ps(a, b, c);
#else
    return a * b + c;
#endif
}

/** Lanes as pairs of bf16, the first in the low half. */
BT_INLINE bt_vf bt_vf_pairs(bt_vf first, bt_vf second) {
    bt_vi low = __builtin_convertvector(bt_vf_to_bf16(first), bt_vi);
    return (bt_vf)(low | __builtin_convertvector(bt_vf_to_bf16(second), bt_vi) << 16);
}

/** c + the dot product of two pairs of bf16 in each lane (vdpbf16ps: f32 sums; denormals count as 0 where it is
 * native). */
BT_INLINE bt_vf bt_vf_dot_pairs(bt_vf a, bt_vf b, bt_vf c) {
#if BT_NATIVE == 16 && defined(__AVX512BF16__)
    return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
#else
    bt_vf low = bt_vf_fma((bt_vf)((bt_vi)a << 16), (bt_vf)((bt_vi)b << 16), c);
    return bt_vf_fma((bt_vf)((bt_vi)a & ~0xffff), (bt_vf)((bt_vi)b & ~0xffff), low);
#endif
}

/** mask ? a : b, where `mask` is the result of a comparison. */
BT_INLINE bt_vf bt_vf_select(bt_vi mask, bt_vf a, bt_vf b) {
    return (bt_vf)((mask & (bt_vi)a) | (~mask & (bt_vi)b));
}

/** The first `count` lanes of v; the others are `rest`. */
BT_INLINE bt_vf bt_vf_first(bt_vf v, int64_t count, float rest) {
    bt_vi lane;
    for (int i = 0; i < BT_LANES; i++) lane[i] = i;
    return bt_vf_select(lane < (int32_t)(count < BT_LANES ? count : BT_LANES), v, bt_vf_set(rest));
}

/** a > b ? a : b; a NaN in b stays, one in a does not. */
BT_INLINE bt_vf bt_vf_max(bt_vf a, bt_vf b) {
#if BT_NATIVE == 16
    return _mm512_max_ps(a, b);
#elif BT_NATIVE == 8
    return _mm256_max_ps(a, b);
#else
    return bt_vf_select(a > b, a, b);
#endif
}

/** a < b ? a : b; a NaN in b stays, one in a does not. */
BT_INLINE bt_vf bt_vf_min(bt_vf a, bt_vf b) {
#if BT_NATIVE == 16
    return _mm512_min_ps(a, b);
#elif BT_NATIVE == 8
    return _mm256_min_ps(a, b);
#else
    return bt_vf_select(a < b, a, b);
#endif
}

BT_INLINE bt_vf bt_vf_abs(bt_vf x) {
    return (bt_vf)((bt_vi)x & 0x7fffffff);
}

/* Folds the lanes, halves first. In registers: an array would pull the loop's accumulator into memory. */
#if BT_NATIVE != 0
#define BT_FOLD_128(v, op)                                                                                             \
    __m128 quarter = op##_ps(v, _mm_movehl_ps(v, v));                                                                  \
    return _mm_cvtss_f32(op##_ss(quarter, _mm_movehdup_ps(quarter)))
#if BT_NATIVE == 16
#define BT_FOLD(v, op)                                                                                                 \
    __m256 wide = _mm256##op##_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));                            \
    __m128 half = _mm##op##_ps(_mm256_castps256_ps128(wide), _mm256_extractf128_ps(wide, 1));                          \
    BT_FOLD_128(half, _mm##op)
#else
#define BT_FOLD(v, op)                                                                                                 \
    __m128 half = _mm##op##_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));                                \
    BT_FOLD_128(half, _mm##op)
#endif
#endif

/** Sum of the lanes. */
BT_INLINE float bt_vf_sum(bt_vf v) {
#if BT_NATIVE != 0
    BT_FOLD(v, _add);
#else
    float lane[BT_LANES];
    for (int i = 0; i < BT_LANES; i++) lane[i] = v[i];
    for (int half = BT_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
#endif
}

/** Greatest lane; a NaN may get lost. */
BT_INLINE float bt_vf_greatest(bt_vf v) {
#if BT_NATIVE != 0
    BT_FOLD(v, _max);
#else
    float greatest = v[0];
    for (int i = 1; i < BT_LANES; i++) greatest = v[i] > greatest ? v[i] : greatest;
    return greatest;
#endif
}

/** e^x with a relative error below 1.2e-7 (1 ulp and a little), also where the result is denormal or infinite; NaN
 * stays. x = n ln 2 + r, |r| <= ln 2 / 2, ln 2 in two parts; e^r = 1 + r + r^2 q(r), q of degree 4 (error 3e-9). */
BT_INLINE bt_vf bt_vf_exp(bt_vf x) {
    x = bt_vf_max(bt_vf_set(-104.0f),
                  bt_vf_min(bt_vf_set(89.0f), x)); /* beyond both ends the result is 0 or infinite */
    const bt_vf magic = bt_vf_set(0x1.8p23f);      /* adding it rounds to an integer, which then is in the low bits */
    bt_vf shifted = bt_vf_fma(x, bt_vf_set(0x1.715476p+0f), magic), n = shifted - magic;
    bt_vf r = bt_vf_fma(n, bt_vf_set(-0x1.63p-1f), x);
    r = bt_vf_fma(n, bt_vf_set(0x1.bd0106p-13f), r);
    bt_vf q = bt_vf_fma(r, bt_vf_set(0x1.6a2432p-10f), bt_vf_set(0x1.1239e2p-7f));
    q = bt_vf_fma(q, r, bt_vf_set(0x1.5558f2p-5f));
    q = bt_vf_fma(q, r, bt_vf_set(0x1.555492p-3f));
    q = bt_vf_fma(q, r, bt_vf_set(0x1.fffffcp-2f));
    bt_vf e = bt_vf_fma(q * r, r, r) + 1.0f;
#if BT_NATIVE == 16
    return _mm512_scalef_ps(e, n);
#else
    bt_vi exponent = (bt_vi)shifted - (bt_vi)magic,
          half = exponent >> 1; /* two factors: 2^n itself may not be normal */
    return e * (bt_vf)((half + 127) << 23) * (bt_vf)((exponent - half + 127) << 23);
#endif
}

/** Returns 1 / (1 + e^-x) and sets *slope to its derivative, e^-|x| / (1 + e^-|x|)^2: written so, neither cancels on
 * either side. Relative error of both below 4e-7 for |x| < 80. NaN stays. */
BT_INLINE bt_vf bt_vf_sigmoid(bt_vf x, bt_vf *slope) {
    bt_vf e = bt_vf_exp(-bt_vf_abs(x)), upper = 1.0f / (1.0f + e), lower = e * upper;
    *slope = upper * lower;
    return bt_vf_select(x > 0.0f, upper, lower);
}

/** The standard normal distribution: returns Phi(x) and sets *density to phi(x), with one exponential for both.
 *  Phi(-a) = e^(-a^2/2) G(a) for a >= 0, where G (Mills' ratio over sqrt(2 pi)) is t times a polynomial of degree 8 in
 *  t = 1 / (1 + 0.345 a) (error 2.4e-8). Relative error of both below 1e-6 for |x| < 5, absolute below 2e-7 everywhere.
 */
BT_INLINE bt_vf bt_vf_normal(bt_vf x, bt_vf *density) {
    bt_vf a = bt_vf_abs(x), e = bt_vf_exp(a * a * -0.5f);
    bt_vf t = 1.0f / bt_vf_fma(a, bt_vf_set(0.345f), bt_vf_set(1.0f));
    bt_vf g = bt_vf_fma(t, bt_vf_set(-0x1.cd3d44p-6f), bt_vf_set(0x1.2763f8p-3f));
    g = bt_vf_fma(g, t, bt_vf_set(-0x1.139d00p-2f));
    g = bt_vf_fma(g, t, bt_vf_set(0x1.7afdeep-3f));
    g = bt_vf_fma(g, t, bt_vf_set(-0x1.28dc66p-5f));
    g = bt_vf_fma(g, t, bt_vf_set(0x1.c7c0a4p-4f));
    g = bt_vf_fma(g, t, bt_vf_set(0x1.e0b6f8p-4f));
    g = bt_vf_fma(g, t, bt_vf_set(0x1.1aa27ep-3f));
    g = bt_vf_fma(g, t, bt_vf_set(0x1.19d892p-3f));
    bt_vf tail = g * t * e;
    *density = e * 0x1.988454p-2f; /* 1 / sqrt(2 pi) */
    return bt_vf_select(x > 0.0f, 1.0f - tail, tail);
}

#endif
