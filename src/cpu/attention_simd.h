/* Attention of one head, compiled once for each width. Products are register tiles (cpu/gemm_tile.h) in f32; bf16
 * operands are widened as they are packed, results rounded once.
 *
 * Keys and values of the head are packed once and stay in the second-level cache while blocks of QUERY_ROWS queries
 * pass: scores of a block are made, turned into probabilities and used up before the next block, so nothing of size Q x
 * T exists. The backward computes the probabilities again from lse, in the same blocks: p = exp(s - lse),   ds = scale
 * p (do v^T - delta),   delta = sum(do o) dv += p^T do,   dk += ds^T q,   dq = ds k Sums over queries run in order, one
 * thread has the whole head: the same bits for any number of threads.
 */
#define TILE bt_gemm_tile
#include "cpu/attention_parts.h"

/* ---- packing ----------------------------------------------------------------------------------------------------- */

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

BT_INLINE void forward_head(const bt_attention_head *h, float *scratch, bool bf16) {
    const extents e = extents_of(h->queries, h->keys, h->size);
    carver c = {.base = scratch};
    const forward_scratch m = carve_forward(&c, &e, h->keys, h->size);
    pack_transposed(m.kt, &h->k, h->keys, h->size, m.rows, bf16);
    pack_columns(m.v, &h->v, 0, h->keys, h->size, bf16);
    for (int64_t first = 0; first < h->queries; first += e.block) {
        int64_t count = h->queries - first < e.block ? h->queries - first : e.block, rows = round_up(count, MR);
        load_rows(m.q, &h->q, first, count, rows, h->size, bf16);
        multiply(m.scores, e.keys, m.q, h->size, 1, m.kt, rows, h->size, e.keys, false);
        float factor[QUERY_ROWS];
        for (int64_t i = 0; i < count; i++) {
            float max, sum = exponentials(m.scores + i * e.keys, h->keys, h->scale, &max);
            factor[i] = 1.0f / sum;
            h->lse[first + i] = max + logf(sum);
        }
        multiply(m.o, e.size, m.scores, e.keys, 1, m.v, rows, h->keys, e.size, false);
        for (int64_t i = 0; i < count; i++) store_row(&h->o, first + i, m.o + i * e.size, h->size, factor[i], bf16);
    }
}

static void forward(const bt_attention_head *head, float *scratch) {
    if (head->bf16)
        forward_head(head, scratch, true);
    else
        forward_head(head, scratch, false);
}

static size_t forward_bytes(int64_t queries, int64_t keys, int64_t size) {
    const extents e = extents_of(queries, keys, size);
    carver c = {0};
    (void)carve_forward(&c, &e, keys, size);
    return (size_t)c.used * sizeof(float);
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

typedef struct backward_scratch {
    float *kt, *vt, *k;          /* panels of the head */
    float *dk, *dv;              /* (T,size) sums, padded both ways */
    float *q, *do_;              /* a block's rows, for products with kt and vt */
    float *q_panels, *do_panels; /* the same in panels, for dk and dv */
    float *p, *ds, *dq, *rows;
} backward_scratch;

static backward_scratch carve_backward(carver *c, const extents *e, int64_t keys, int64_t size) {
    /* Tiles read up to MR - 1 columns behind a row of p and ds. */
    return (backward_scratch){.kt = carve(c, e->keys * size),
                              .vt = carve(c, e->keys * size),
                              .k = carve(c, keys * e->size),
                              .dk = carve(c, e->key_rows * e->size),
                              .dv = carve(c, e->key_rows * e->size),
                              .q = carve(c, e->block * size),
                              .do_ = carve(c, e->block * size),
                              .q_panels = carve(c, e->block * e->size),
                              .do_panels = carve(c, e->block * e->size),
                              .p = carve(c, e->block * e->keys + MR),
                              .ds = carve(c, e->block * e->keys + MR),
                              .dq = carve(c, e->block * e->size),
                              .rows = carve(c, NR * size)};
}

/* Padded rows: p (scores before) and ds (do v^T before). */
static void score_gradients(float *p, float *ds, int64_t keys, float scale, float lse, float delta) {
    const bt_vf shift = bt_vf_set(lse), mean = bt_vf_set(delta);
    for (int64_t t = 0; t < keys; t += BT_LANES) {
        bt_vf prob = bt_vf_exp(bt_vf_load(p + t) * scale - shift);
        bt_vf_store(p + t, prob);
        bt_vf_store(ds + t, (bt_vf_load(ds + t) - mean) * prob * scale);
    }
}

BT_INLINE void backward_block(const bt_attention_head *h, const extents *e, const backward_scratch *m, int64_t first,
                              int64_t count, bool bf16) {
    const int64_t rows = round_up(count, MR), size = h->size;
    load_rows(m->q, &h->q, first, count, rows, size, bf16);
    load_rows(m->do_, &h->do_, first, count, rows, size, bf16);
    multiply(m->p, e->keys, m->q, size, 1, m->kt, rows, size, e->keys, false);
    multiply(m->ds, e->keys, m->do_, size, 1, m->vt, rows, size, e->keys, false);
    for (int64_t i = 0; i < count; i++)
        score_gradients(m->p + i * e->keys, m->ds + i * e->keys, h->keys, h->scale, h->lse[first + i],
                        row_delta(h, first + i, bf16));
    pack_columns(m->q_panels, &h->q, first, count, size, bf16);
    pack_columns(m->do_panels, &h->do_, first, count, size, bf16);
    multiply(m->dv, e->size, m->p, 1, e->keys, m->do_panels, e->key_rows, count, e->size, true);
    multiply(m->dk, e->size, m->ds, 1, e->keys, m->q_panels, e->key_rows, count, e->size, true);
    if (!h->dq.data) return;
    multiply(m->dq, e->size, m->ds, e->keys, 1, m->k, rows, h->keys, e->size, false);
    for (int64_t i = 0; i < count; i++) store_row(&h->dq, first + i, m->dq + i * e->size, size, 1, bf16);
}

BT_INLINE void backward_head(const bt_attention_head *h, float *scratch, bool bf16) {
    const extents e = extents_of(h->queries, h->keys, h->size);
    carver c = {.base = scratch};
    const backward_scratch m = carve_backward(&c, &e, h->keys, h->size);
    pack_transposed(m.kt, &h->k, h->keys, h->size, m.rows, bf16);
    pack_transposed(m.vt, &h->v, h->keys, h->size, m.rows, bf16);
    pack_columns(m.k, &h->k, 0, h->keys, h->size, bf16);
    memset(m.dk, 0, (size_t)(e.key_rows * e.size) * sizeof(float));
    memset(m.dv, 0, (size_t)(e.key_rows * e.size) * sizeof(float));
    memset(m.p, 0, (size_t)(e.block * e.keys + MR) * sizeof(float));
    memset(m.ds, 0, (size_t)(e.block * e.keys + MR) * sizeof(float));
    for (int64_t first = 0; first < h->queries; first += e.block)
        backward_block(h, &e, &m, first, h->queries - first < e.block ? h->queries - first : e.block, bf16);
    for (int64_t t = 0; t < h->keys; t++) {
        store_row(&h->dk, t, m.dk + t * e.size, h->size, 1, bf16);
        store_row(&h->dv, t, m.dv + t * e.size, h->size, 1, bf16);
    }
}

static void backward(const bt_attention_head *head, float *scratch) {
    if (head->bf16)
        backward_head(head, scratch, true);
    else
        backward_head(head, scratch, false);
}

static size_t backward_bytes(int64_t queries, int64_t keys, int64_t size) {
    const extents e = extents_of(queries, keys, size);
    carver c = {0};
    (void)carve_backward(&c, &e, keys, size);
    return (size_t)c.used * sizeof(float);
}

const bt_attention_functions BT_SIMD(bt_attention) = {forward_bytes, backward_bytes, forward, backward};
