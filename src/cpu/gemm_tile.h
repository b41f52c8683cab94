/* The register tile that every product of our own is made of: c (MR,NR) = a (MR,K) b (K,NR) in f32.
 *
 * b is a packed panel: row k is NR consecutive floats, 64-byte aligned, zeros behind the last column. a is read in
 * place, one element at a time, through two strides, so that it may be a packed panel, rows of a matrix, or their
 * transpose. c lives in registers for the whole of K (each sum runs over k in ascending order and is rounded to its
 * type once), so results depend neither on blocking nor on the number of threads.
 *
 * MR x NR / BT_LANES accumulators, NR / BT_LANES vectors of b and one of a fill the register file without spilling:
 * 4 x 8 with 16 registers of 4, 6 x 16 with 16 of 8, 12 x 32 with 32 of 16.
 */
#ifndef BITTERN_CPU_GEMM_TILE_H
#define BITTERN_CPU_GEMM_TILE_H

#include "cpu/vmath.h"

#define BT_GEMM_NR (2 * BT_LANES)
#define BT_GEMM_MR (BT_LANES == 16 ? 12 : BT_LANES == 8 ? 6 : 4)

BT_INLINE void bt_gemm_tile_body(int64_t depth, const float *a, int64_t a_row, int64_t a_k, const float *b, float *c,
                                 int64_t c_row, bool accumulate, bool pairs) {
    bt_vf sum[BT_GEMM_MR][2];
#pragma GCC unroll 12
    for (int i = 0; i < BT_GEMM_MR; i++) sum[i][0] = sum[i][1] = (bt_vf){0};
    for (int64_t k = 0; k < depth; k++, a += a_k, b += BT_GEMM_NR) {
        bt_vf b0 = bt_vf_load(b), b1 = bt_vf_load(b + BT_LANES);
#pragma GCC unroll 12
        for (int i = 0; i < BT_GEMM_MR; i++) {
            bt_vf ai = bt_vf_set(a[i * a_row]);
            sum[i][0] = pairs ? bt_vf_dot_pairs(ai, b0, sum[i][0]) : bt_vf_fma(ai, b0, sum[i][0]);
            sum[i][1] = pairs ? bt_vf_dot_pairs(ai, b1, sum[i][1]) : bt_vf_fma(ai, b1, sum[i][1]);
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < BT_GEMM_MR; i++) {
        float *row = c + i * c_row;
        if (accumulate) {
            sum[i][0] += bt_vf_load(row);
            sum[i][1] += bt_vf_load(row + BT_LANES);
        }
        bt_vf_store(row, sum[i][0]);
        bt_vf_store(row + BT_LANES, sum[i][1]);
    }
}

/** c (MR,NR), rows c_row apart, is stored, or added to with `accumulate`. a is element (i,k) at a[i * a_row + k * a_k];
 * all MR rows must be readable. A function of its own: inlined, it would share its registers with the caller's values.
 */
static __attribute__((noinline, unused)) void bt_gemm_tile(int64_t depth, const float *a, int64_t a_row, int64_t a_k,
                                                           const float *b, float *c, int64_t c_row, bool accumulate) {
    bt_gemm_tile_body(depth, a, a_row, a_k, b, c, c_row, accumulate, false);
}

/** The same on bf16: each element of a and b is a pair of bf16 that follow each other along K, `depth` counts pairs. */
static __attribute__((noinline, unused)) void bt_gemm_tile_pairs(int64_t depth, const float *a, int64_t a_row,
                                                                 int64_t a_k, const float *b, float *c, int64_t c_row,
                                                                 bool accumulate) {
    bt_gemm_tile_body(depth, a, a_row, a_k, b, c, c_row, accumulate, true);
}

#endif
