/* What the two forms of attention of one head share: extents, scratch, products, softmax of a row. Included by
 * attention_simd.h and attention_bf16_avx512.c with TILE set to their register tile. */
#include "cpu/attention_head.h"
#include "cpu/gemm_tile.h"

#include <math.h>

#define MR BT_GEMM_MR
#define NR BT_GEMM_NR
#define QUERY_ROWS (BT_LANES == 4 ? 16 : 24) /* a multiple of MR: two blocks of scores at 257 keys are 52 KiB */

/* Padded extents of a head. */
typedef struct extents {
    int64_t keys, size; /* T and the width, to multiples of NR */
    int64_t key_rows;   /* T to a multiple of MR */
    int64_t block;      /* queries at a time: a multiple of MR */
} extents;

static int64_t round_up(int64_t n, int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

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

BT_INLINE const void *row_at(const bt_head_rows *rows, int64_t row, bool bf16) {
    return (const char *)rows->data + row * rows->ld * (bf16 ? 2 : 4);
}

/* A row of f32, times `factor`, into the tensor. */
BT_INLINE void store_row(const bt_head_rows *out, int64_t row, const float *from, int64_t size, float factor,
                         bool bf16) {
    void *to = (char *)out->data + row * out->ld * (bf16 ? 2 : 4);
    for (int64_t d = 0; d < size; d += BT_LANES)
        bt_vf_put(to, d, size - d, bf16, bt_vf_get(from, d, size - d, false) * factor);
}

/* c (rows,cols) = a (rows,depth) panels: c_ld apart, a read through its strides; rows and cols are padded. */
static void multiply(float *c, int64_t c_ld, const float *a, int64_t a_row, int64_t a_k, const float *panels,
                     int64_t rows, int64_t depth, int64_t cols, bool accumulate) {
    for (int64_t j = 0; j < cols; j += NR)
        for (int64_t i = 0; i < rows; i += MR)
            TILE(depth, a + i * a_row, a_row, a_k, panels + j * depth, c + i * c_ld + j, c_ld, accumulate);
}

/* Padded row s (T) becomes exp(scale s - max), not normalised; returns the sum and sets *max. */
static float exponentials(float *s, int64_t keys, float scale, float *max) {
    const int64_t whole = keys / BT_LANES * BT_LANES, tail = keys - whole;
    bt_vf highest = bt_vf_set(-INFINITY), sum = {0};
    for (int64_t t = 0; t < whole; t += BT_LANES) highest = bt_vf_max(bt_vf_load(s + t) * scale, highest);
    if (tail) highest = bt_vf_max(bt_vf_first(bt_vf_load(s + whole) * scale, tail, -INFINITY), highest);
    const float greatest = bt_vf_greatest(highest);
    const bt_vf shift = bt_vf_set(greatest);
    for (int64_t t = 0; t < whole; t += BT_LANES) {
        bt_vf e = bt_vf_exp(bt_vf_load(s + t) * scale - shift);
        bt_vf_store(s + t, e);
        sum += e;
    }
    if (tail) {
        bt_vf e = bt_vf_first(bt_vf_exp(bt_vf_load(s + whole) * scale - shift), tail, 0);
        bt_vf_store(s + whole, e);
        sum += e;
    }
    *max = greatest;
    return bt_vf_sum(sum);
}

/* sum (do o) of one row. */
BT_INLINE float row_delta(const bt_attention_head *h, int64_t row, bool bf16) {
    const void *a = row_at(&h->do_, row, bf16), *b = row_at(&h->o, row, bf16);
    bt_vf sum = {0};
    for (int64_t d = 0; d < h->size; d += BT_LANES)
        sum = bt_vf_fma(bt_vf_get(a, d, h->size - d, bf16), bt_vf_get(b, d, h->size - d, bf16), sum);
    return bt_vf_sum(sum);
}
