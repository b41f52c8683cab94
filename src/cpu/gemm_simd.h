/* The loops of cpu/gemm.h, compiled once for each width. */
#ifndef BITTERN_CPU_GEMM_SIMD_H
#define BITTERN_CPU_GEMM_SIMD_H

#include "cpu/gemm.h"
#include "cpu/gemm_tile.h"

#include <stddef.h>

/* One row of a finished tile, from registers' memory to c: scale, bias, addend, old value, rounding. */
BT_INLINE void bt_gemm_store_row(const bt_gemm_block *job, const float *sum, int64_t i, int64_t j, int64_t cols,
                                 bool bf16) {
    char *c = (char *)job->c + (i * job->c_ld + j) * (bf16 ? 2 : 4);
    const char *add = job->add ? (const char *)job->add + (i * job->add_ld + j) * (bf16 ? 2 : 4) : NULL;
    for (int64_t at = 0; at < cols; at += BT_LANES) {
        int64_t left = cols - at;
        bt_vf v = bt_vf_load(sum + at) * job->alpha;
        if (job->bias) v += bt_vf_get(job->bias, j + at, left, false);
        if (add) v += bt_vf_get(add, at, left, bf16);
        if (job->accumulate) v += bt_vf_get(c, at, left, bf16);
        bt_vf_put(c, at, left, bf16, v);
    }
}

static void BT_SIMD(block)(const bt_gemm_block *job) {
    _Alignas(64) float tile[BT_GEMM_MR * BT_GEMM_NR];
    for (int64_t j = 0; j < job->cols; j += BT_GEMM_NR) {
        const float *panel = job->b + j * job->depth;
        int64_t cols = job->cols - j < BT_GEMM_NR ? job->cols - j : BT_GEMM_NR;
        for (int64_t i = 0; i < job->rows; i += BT_GEMM_MR) {
            int64_t rows = job->rows - i < BT_GEMM_MR ? job->rows - i : BT_GEMM_MR;
            const float *a = job->a + i / BT_GEMM_MR * job->a_group;
            bt_gemm_tile(job->depth, a, job->a_row, job->a_k, panel, tile, BT_GEMM_NR, false);
            for (int64_t r = 0; r < rows; r++) {
                if (job->out_bf16)
                    bt_gemm_store_row(job, tile + r * BT_GEMM_NR, i + r, j, cols, true);
                else
                    bt_gemm_store_row(job, tile + r * BT_GEMM_NR, i + r, j, cols, false);
            }
        }
    }
}

/* `width` and `bf16` are constants of the inlined copies. */
BT_INLINE void bt_gemm_pack(float *out, const bt_gemm_source *s, int width, bool bf16) {
    for (int64_t lane = 0; lane < s->lanes; lane += width, out += width * s->depth) {
        const char *x = (const char *)s->x + lane * s->lane_stride * (bf16 ? 2 : 4);
        int64_t lanes = s->lanes - lane < width ? s->lanes - lane : width;
        if (s->lane_stride == 1 && lanes == width) {
            for (int64_t k = 0; k < s->depth; k++)
                for (int at = 0; at < width; at += BT_LANES) {
                    int64_t count = width - at < BT_LANES ? width - at : BT_LANES;
                    bt_vf_put(out + k * width, at, count, false, bt_vf_get(x, k * s->k_stride + at, count, bf16));
                }
            continue;
        }
        if (lanes < width) memset(out, 0, (size_t)(width * s->depth) * sizeof *out);
        for (int64_t i = 0; i < lanes; i++)
            for (int64_t k = 0; k < s->depth; k++) {
                int64_t at = i * s->lane_stride + k * s->k_stride;
                if (bf16) {
                    uint32_t bits = (uint32_t)((const uint16_t *)(const void *)x)[at] << 16;
                    memcpy(out + k * width + i, &bits, sizeof bits);
                } else
                    out[k * width + i] = ((const float *)(const void *)x)[at];
            }
    }
}

static void BT_SIMD(pack_a)(float *out, const bt_gemm_source *source) {
    if (source->bf16)
        bt_gemm_pack(out, source, BT_GEMM_MR, true);
    else
        bt_gemm_pack(out, source, BT_GEMM_MR, false);
}

static void BT_SIMD(pack_b)(float *out, const bt_gemm_source *source) {
    if (source->bf16)
        bt_gemm_pack(out, source, BT_GEMM_NR, true);
    else
        bt_gemm_pack(out, source, BT_GEMM_NR, false);
}

static void BT_SIMD(pack_rows)(float *out, const bt_gemm_source *s) {
    for (int64_t i = 0; i < s->lanes; i++)
        for (int64_t k = 0; k < s->depth; k += BT_LANES) {
            int64_t at = i * s->lane_stride + k, left = s->depth - k;
            bt_vf v = s->bf16 ? bt_vf_get(s->x, at, left, true) : bt_vf_get(s->x, at, left, false);
            bt_vf_put(out + i * s->depth, k, left, false, v);
        }
}

const bt_gemm BT_SIMD(bt_gemm) = {.mr = BT_GEMM_MR,
                                  .nr = BT_GEMM_NR,
                                  .block = BT_SIMD(block),
                                  .pack_a = BT_SIMD(pack_a),
                                  .pack_b = BT_SIMD(pack_b),
                                  .pack_rows = BT_SIMD(pack_rows)};

#endif
