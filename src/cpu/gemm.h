/* Blocks of matrix products in f32 on packed panels, in three widths (cpu/gemm_simd.h has the loops). */
#ifndef BITTERN_CPU_GEMM_H
#define BITTERN_CPU_GEMM_H

#include "base/cpu.h"

#include <stdbool.h>
#include <stdint.h>

/** c (rows,cols) = alpha a (rows,depth) b (depth,cols) + bias(cols) + add (rows,cols), and + c with `accumulate`. */
typedef struct bt_gemm_block {
    int64_t rows, cols, depth;
    const float *a; /**< element (i,k) of row group g = i / mr at a[g * a_group + (i % mr) * a_row + k * a_k]; rows of
                       the last group behind `rows` are read, but not used */
    int64_t a_group, a_row, a_k;
    const float *b; /**< panels of nr columns, each (depth,nr), 64-byte aligned */
    void *c;
    const void *add; /**< NULL, or may be c */
    int64_t c_ld, add_ld;
    bool out_bf16; /**< of c and add */
    bool accumulate;
    float alpha;
    const float *bias; /**< NULL for none */
} bt_gemm_block;

/** A matrix whose element (lane,k) is x[lane * lane_stride + k * k_stride]; one of the strides is 1. */
typedef struct bt_gemm_source {
    const void *x;
    bool bf16;
    int64_t lanes, depth, lane_stride, k_stride;
} bt_gemm_source;

typedef struct bt_gemm {
    int mr, nr; /**< rows and columns of a register tile */
    void (*block)(const bt_gemm_block *block);
    /** Panels of mr (nr) lanes: out[panel][k][lane], zeros behind the last lane. */
    void (*pack_a)(float *out, const bt_gemm_source *source);
    void (*pack_b)(float *out, const bt_gemm_source *source);
    /** Rows as they lie, in f32: out (lanes,depth), where k_stride is 1. */
    void (*pack_rows)(float *out, const bt_gemm_source *source);
} bt_gemm;

extern const bt_gemm bt_gemm_generic, bt_gemm_avx2, bt_gemm_avx512;

/** The table for a processor. */
const bt_gemm *bt_gemm_of(bt_isa isa);

#endif
