/* Attention of one head, compiled once for each width. Products are register tiles (cpu/gemm_tile.h) in f32; bf16 operands are
 * widened as they are packed, results rounded once.
 *
 * Keys and values of the head are packed once and stay in the second-level cache while blocks of QUERY_ROWS queries pass:
 * scores of a block are made, turned into probabilities and used up before the next block, so nothing of size Q x T exists.
 * The backward computes the probabilities again from lse, in the same blocks:
 *   p = exp(s - lse),  dv += p^T do,  ds = scale p (do v^T - delta),  delta = sum(do o),  dq = ds k,  dk += ds^T q.
 * Sums over queries run in order, one thread has the whole head: the same bits for any number of threads.
 */
#include "cpu/attention_head.h"
#include "cpu/gemm_tile.h"

#include <math.h>

#define MR BT_GEMM_MR
#define NR BT_GEMM_NR
#define QUERY_ROWS (BT_LANES == 4 ? 16 : 24) /* a multiple of MR: two blocks of scores at 257 keys are 52 KiB */

/* Padded extents of a head. */
typedef struct extents {
    int64_t keys, size;       /* T and the width, to multiples of NR */
    int64_t key_rows;         /* T to a multiple of MR */
    int64_t block;            /* queries at a time: a multiple of MR */
} extents;

static int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

static extents extents_of(int64_t queries, int64_t keys, int64_t size) {
    int64_t block = round_up(queries, MR);
    return (extents){.keys = round_up(keys, NR),
                     .size = round_up(size, NR),
                     .key_rows = round_up(keys, MR),
                     .block = block < QUERY_ROWS ? block : QUERY_ROWS};
}

/* Takes `count` floats of scratch, to a multiple of 64 bytes; with a NULL base only counts. */
typedef struct carver {
    float *base;
    int64_t used;
} carver;

static float *carve(carver *c, int64_t count) {
    float *at = c->base ? c->base + c->used : NULL;
    c->used += round_up(count, 16);
    return at;
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

BT_INLINE const void *row_at(const bt_head_rows *rows, int64_t row, bool bf16) {
    return (const char *)rows->data + row * rows->ld * (bf16 ? 2 : 4);
}

/* Rows first..first+count as they lie, in f32: out (padded_rows,size), zeros behind `count`. */
BT_INLINE void load_rows(float *out, const bt_head_rows *x, int64_t first, int64_t count, int64_t padded_rows,
                         int64_t size, bool bf16) {
    for (int64_t i = 0; i < count; i++)
        for (int64_t d = 0; d < size; d += BT_LANES)
            bt_vf_put(out + i * size, d, size - d, false, bt_vf_get(row_at(x, first + i, bf16), d, size - d, bf16));
    memset(out + count * size, 0, (size_t)((padded_rows - count) * size) * sizeof *out);
}

/* Panels of NR columns of the rows: out[panel][row][column], zeros behind `size`. */
BT_INLINE void pack_columns(float *out, const bt_head_rows *x, int64_t first, int64_t count, int64_t size, bool bf16) {
    for (int64_t d = 0; d < size; d += NR)
        for (int64_t i = 0; i < count; i++, out += NR)
            for (int64_t at = 0; at < NR; at += BT_LANES) {
                int64_t left = size - d - at;
                bt_vf v = left > 0 ? bt_vf_get(row_at(x, first + i, bf16), d + at, left, bf16) : (bt_vf){0};
                bt_vf_store(out + at, v);
            }
}

/* Panels of the transpose: out[panel][column][row of NR], zeros behind the last row. `row` (NR,size) is a buffer. */
BT_INLINE void pack_transposed(float *out, const bt_head_rows *x, int64_t count, int64_t size, float *row, bool bf16) {
    for (int64_t t = 0; t < count; t += NR, out += NR * size) {
        load_rows(row, x, t, count - t < NR ? count - t : NR, NR, size, bf16);
        for (int64_t d = 0; d < size; d++)
            for (int64_t i = 0; i < NR; i++) out[d * NR + i] = row[i * size + d];
    }
}

/* Rows of f32 (count, from_ld), times `factor`, into the tensor. */
BT_INLINE void store_row(const bt_head_rows *out, int64_t row, const float *from, int64_t size, float factor, bool bf16) {
    void *to = (char *)out->data + row * out->ld * (bf16 ? 2 : 4);
    for (int64_t d = 0; d < size; d += BT_LANES)
        bt_vf_put(to, d, size - d, bf16, bt_vf_get(from, d, size - d, false) * factor);
}

/* c (rows,cols) = a (rows,depth) panels: c_ld apart, a read through its strides; rows and cols are padded. */
static void multiply(float *c, int64_t c_ld, const float *a, int64_t a_row, int64_t a_k, const float *panels, int64_t rows,
                     int64_t depth, int64_t cols, bool accumulate) {
    for (int64_t j = 0; j < cols; j += NR)
        for (int64_t i = 0; i < rows; i += MR)
            bt_gemm_tile(depth, a + i * a_row, a_row, a_k, panels + j * depth, c + i * c_ld + j, c_ld, accumulate);
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

typedef struct forward_scratch {
    float *kt, *v, *q, *scores, *o, *rows;
} forward_scratch;

static forward_scratch carve_forward(carver *c, const extents *e, int64_t keys, int64_t size) {
    return (forward_scratch){.kt = carve(c, e->keys * size),
                             .v = carve(c, keys * e->size),
                             .q = carve(c, e->block * size),
                             .scores = carve(c, e->block * e->keys),
                             .o = carve(c, e->block * e->size),
                             .rows = carve(c, NR * size)};
}

/* s (T) becomes exp(scale s - max), unnormalised; returns the sum and sets *max. */
static float exponentials(float *s, int64_t keys, float scale, float *max) {
    bt_vf highest = bt_vf_set(-INFINITY), sum = {0};
    for (int64_t t = 0; t < keys; t += BT_LANES) {
        int64_t left = keys - t;
        bt_vf x = bt_vf_load(s + t) * scale; /* rows are padded */
        bt_vf_store(s + t, x);
        if (left < BT_LANES) { /* the lanes behind the last key take no part */
            for (int64_t i = 0; i < left; i++) x = bt_vf_max(bt_vf_set(s[t + i]), x), x = x;
            float tail = s[t];
            for (int64_t i = 1; i < left; i++) tail = s[t + i] > tail ? s[t + i] : tail;
            x = bt_vf_set(tail);
        }
        highest = bt_vf_max(x, highest);
    }
    *max = bt_vf_greatest(highest);
    for (int64_t t = 0; t < keys; t += BT_LANES) {
        bt_vf e = bt_vf_exp(bt_vf_load(s + t) - *max);
        bt_vf_store(s + t, e);
        sum += keys - t < BT_LANES ? bt_vf_load_part(s + t, keys - t) : e;
    }
    return bt_vf_sum(sum);
}
