/* Sums of products over vectors of double, in lanes: the order of summation is part of the code, so every processor and
 * every number of threads gives the same bits (-ffp-contract=off: no fused multiply-add).
 *
 * BT_LANES before a function compiles it twice, for AVX2 and for any processor, chosen when the program starts; the
 * functions below are inlined into it. */
#ifndef BITTERN_RETRIEVAL_LANES_H
#define BITTERN_RETRIEVAL_LANES_H

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&               \
    !defined(__SANITIZE_THREAD__)
#define BT_LANES __attribute__((target_clones("avx2", "default")))
#else
#define BT_LANES
#endif
#define BT_LANES_INLINE static inline __attribute__((always_inline)) /* into both copies of the caller */

/* Four lanes are what the compiler keeps in a register; a sum takes two of them. */
typedef double bt_lanes __attribute__((vector_size(32)));
typedef float bt_float_lanes __attribute__((vector_size(16)));

/* memcpy: any alignment. */
BT_LANES_INLINE bt_lanes *bt_load(bt_lanes *out, const double *from) {
    memcpy(out, from, sizeof *out);
    return out;
}
BT_LANES_INLINE void bt_store(const bt_lanes *lanes, double *to) {
    memcpy(to, lanes, sizeof *lanes);
}

/** Sum of a[i] b[i]. */
BT_LANES_INLINE double bt_dot(const double *a, const double *b, int64_t n) {
    bt_lanes low = {0}, high = {0}, x, y;
    double tail = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        low += *bt_load(&x, a + i) * *bt_load(&y, b + i);
        high += *bt_load(&x, a + i + 4) * *bt_load(&y, b + i + 4);
    }
    for (; i < n; i++) tail += a[i] * b[i];
    low += high;
    return ((low[0] + low[1]) + (low[2] + low[3])) + tail;
}

/** The same with b in float. */
BT_LANES_INLINE double bt_dot_float(const double *a, const float *b, int64_t n) {
    bt_lanes low = {0}, high = {0}, x;
    bt_float_lanes y;
    double tail = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&y, b + i, sizeof y);
        low += *bt_load(&x, a + i) * __builtin_convertvector(y, bt_lanes);
        memcpy(&y, b + i + 4, sizeof y);
        high += *bt_load(&x, a + i + 4) * __builtin_convertvector(y, bt_lanes);
    }
    for (; i < n; i++) tail += a[i] * (double)b[i];
    low += high;
    return ((low[0] + low[1]) + (low[2] + low[3])) + tail;
}

/** y += a x. */
BT_LANES_INLINE void bt_add_scaled(double *y, double a, const double *x, int64_t n) {
    bt_lanes u, v;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        bt_load(&u, y + i);
        u += a * *bt_load(&v, x + i);
        bt_store(&u, y + i);
    }
    for (; i < n; i++) y[i] += a * x[i];
}

BT_LANES_INLINE void bt_add_scaled_float(double *y, double a, const float *x, int64_t n) {
    bt_lanes u;
    bt_float_lanes v;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        memcpy(&v, x + i, sizeof v);
        bt_load(&u, y + i);
        u += a * __builtin_convertvector(v, bt_lanes);
        bt_store(&u, y + i);
    }
    for (; i < n; i++) y[i] += a * (double)x[i];
}

#endif
