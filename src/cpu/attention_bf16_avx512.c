/* Attention of one head on processors with bf16 products: as attention_simd.h, but operands stay bf16.
 *
 * A cell of 32 bits holds two bf16 that follow each other along the summed axis, which is what vdpbf16ps multiplies:
 * the tiles, panels and strides of the f32 form then hold for cells, at half the depth. Along the width of a head a row
 * in memory is cells already; along keys or queries two rows are interleaved. Probabilities and ds are rounded to bf16
 * before their products, sums are f32. An odd last element is paired with 0. */
#define TILE bt_gemm_tile_pairs
#include "cpu/attention_parts.h"

static int64_t pairs_of(int64_t n) {
    return (n + 1) / 2;
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

/* Rows first..first+count as cells: out (padded_rows, pairs of size), zeros behind `count`. */
static void load_rows(float *out, const bt_head_rows *x, int64_t first, int64_t count, int64_t padded_rows,
                      int64_t size) {
    const int64_t cells = pairs_of(size);
    for (int64_t i = 0; i < padded_rows; i++, out += cells) {
        out[cells - 1] = 0;
        if (i < count)
            memcpy(out, row_at(x, first + i, true), (size_t)size * 2);
        else
            memset(out, 0, (size_t)cells * sizeof *out);
    }
}

/* Panels of the transpose: out[panel][cell][row of NR], zeros behind the last row. `row` (NR, cells) is a buffer. */
static void pack_transposed(float *out, const bt_head_rows *x, int64_t count, int64_t size, float *row) {
    const int64_t cells = pairs_of(size);
    for (int64_t t = 0; t < count; t += NR, out += NR * cells) {
        load_rows(row, x, t, count - t < NR ? count - t : NR, NR, size);
        for (int64_t d = 0; d < cells; d++)
            for (int64_t i = 0; i < NR; i++) memcpy(&out[d * NR + i], &row[i * cells + d], sizeof *out);
    }
}

/* Panels of NR columns of the rows, two rows to a cell: out[panel][pair of rows][column], zeros behind both ends. */
static void pack_columns(float *out, const bt_head_rows *x, int64_t first, int64_t count, int64_t size) {
    for (int64_t d = 0; d < size; d += NR)
        for (int64_t i = 0; i < count; i += 2, out += NR)
            for (int64_t at = 0; at < NR; at += BT_LANES) {
                int64_t left = size - d - at;
                bt_vf even = {0}, odd = {0};
                if (left > 0) even = bt_vf_get(row_at(x, first + i, true), d + at, left, true);
                if (left > 0 && i + 1 < count) odd = bt_vf_get(row_at(x, first + i + 1, true), d + at, left, true);
                bt_vf_store(out + at, bt_vf_pairs(even, odd));
            }
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

typedef struct forward_scratch {
    float *kt, *v, *q, *p, *rows; /* cells */
    float *scores, *o;            /* f32 */
} forward_scratch;

static forward_scratch carve_forward(carver *c, const extents *e, int64_t keys, int64_t size) {
    return (forward_scratch){.kt = carve(c, e->keys * pairs_of(size)),
                             .v = carve(c, pairs_of(keys) * e->size),
                             .q = carve(c, e->block * pairs_of(size)),
                             .p = carve(c, e->block * e->keys / 2),
                             .rows = carve(c, NR * pairs_of(size)),
                             .scores = carve(c, e->block * e->keys),
                             .o = carve(c, e->block * e->size)};
}

static void round_row(float *cells, const float *row, int64_t count) {
    for (int64_t t = 0; t < count; t += BT_LANES)
        bt_vf_store_bf16((uint16_t *)(void *)cells + t, bt_vf_load(row + t)); /* rows are padded */
}

static void forward(const bt_attention_head *h, float *scratch) {
    const extents e = extents_of(h->queries, h->keys, h->size);
    const int64_t cells = pairs_of(h->size);
    carver c = {.base = scratch};
    const forward_scratch m = carve_forward(&c, &e, h->keys, h->size);
    pack_transposed(m.kt, &h->k, h->keys, h->size, m.rows);
    pack_columns(m.v, &h->v, 0, h->keys, h->size);
    memset(m.p, 0, (size_t)(e.block * e.keys / 2) * sizeof(float));
    for (int64_t first = 0; first < h->queries; first += e.block) {
        int64_t count = h->queries - first < e.block ? h->queries - first : e.block, rows = round_up(count, MR);
        load_rows(m.q, &h->q, first, count, rows, h->size);
        multiply(m.scores, e.keys, m.q, cells, 1, m.kt, rows, cells, e.keys, false);
        float factor[QUERY_ROWS];
        for (int64_t i = 0; i < count; i++) {
            float max, sum = exponentials(m.scores + i * e.keys, h->keys, h->scale, &max);
            factor[i] = 1.0f / sum;
            h->lse[first + i] = max + logf(sum);
            round_row(m.p + i * e.keys / 2, m.scores + i * e.keys, h->keys);
        }
        multiply(m.o, e.size, m.p, e.keys / 2, 1, m.v, rows, pairs_of(h->keys), e.size, false);
        for (int64_t i = 0; i < count; i++) store_row(&h->o, first + i, m.o + i * e.size, h->size, factor[i], true);
    }
}

static size_t forward_bytes(int64_t queries, int64_t keys, int64_t size) {
    const extents e = extents_of(queries, keys, size);
    carver c = {0};
    (void)carve_forward(&c, &e, keys, size);
    return (size_t)c.used * sizeof(float);
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

typedef struct backward_scratch {
    float *kt, *vt, *k, *q, *do_, *q_panels, *do_panels, *rows; /* cells */
    float *p_pairs, *ds_pairs;    /* (queries / 2, T): two queries to a cell, for dv and dk */
    float *ds_rows;               /* (queries, T / 2): two keys to a cell, for dq */
    float *p, *ds, *dk, *dv, *dq; /* f32 */
} backward_scratch;

static backward_scratch carve_backward(carver *c, const extents *e, int64_t keys, int64_t size) {
    const int64_t cells = pairs_of(size);
    /* Tiles read up to MR - 1 columns behind a row of p_pairs and ds_pairs. */
    return (backward_scratch){.kt = carve(c, e->keys * cells),
                              .vt = carve(c, e->keys * cells),
                              .k = carve(c, pairs_of(keys) * e->size),
                              .q = carve(c, e->block * cells),
                              .do_ = carve(c, e->block * cells),
                              .q_panels = carve(c, e->block / 2 * e->size),
                              .do_panels = carve(c, e->block / 2 * e->size),
                              .rows = carve(c, NR * cells),
                              .p_pairs = carve(c, e->block / 2 * e->keys + MR),
                              .ds_pairs = carve(c, e->block / 2 * e->keys + MR),
                              .ds_rows = carve(c, e->block * e->keys / 2),
                              .p = carve(c, e->block * e->keys),
                              .ds = carve(c, e->block * e->keys),
                              .dk = carve(c, e->key_rows * e->size),
                              .dv = carve(c, e->key_rows * e->size),
                              .dq = carve(c, e->block * e->size)};
}

/* A row of scores becomes p, and of do v^T becomes ds, with zeros behind the last key of its last vector. */
static void score_gradients(float *p, float *ds, int64_t keys, float scale, float lse, float delta) {
    const bt_vf shift = bt_vf_set(lse), mean = bt_vf_set(delta);
    for (int64_t t = 0; t < keys; t += BT_LANES) {
        bt_vf prob = bt_vf_first(bt_vf_exp(bt_vf_load(p + t) * scale - shift), keys - t, 0);
        bt_vf_store(p + t, prob);
        bt_vf_store(ds + t, bt_vf_first((bt_vf_load(ds + t) - mean) * prob * scale, keys - t, 0));
    }
}

static void pair_rows(float *cells, const float *even, const float *odd, int64_t count) {
    for (int64_t t = 0; t < count; t += BT_LANES)
        bt_vf_store(cells + t, bt_vf_pairs(bt_vf_load(even + t), odd ? bt_vf_load(odd + t) : (bt_vf){0}));
}

/* p and ds of a block, from its scores and do v^T, in the forms that the three products read. */
static void block_gradients(const bt_attention_head *h, const extents *e, const backward_scratch *m, int64_t first,
                            int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        float *p = m->p + i * e->keys, *ds = m->ds + i * e->keys;
        score_gradients(p, ds, h->keys, h->scale, h->lse[first + i], row_delta(h, first + i, true));
        round_row(m->ds_rows + i * e->keys / 2, ds, h->keys);
    }
    for (int64_t i = 0; i < count; i += 2) {
        const float *p = m->p + i * e->keys, *ds = m->ds + i * e->keys;
        bool both = i + 1 < count;
        pair_rows(m->p_pairs + i / 2 * e->keys, p, both ? p + e->keys : NULL, h->keys);
        pair_rows(m->ds_pairs + i / 2 * e->keys, ds, both ? ds + e->keys : NULL, h->keys);
    }
}

static void backward_block(const bt_attention_head *h, const extents *e, const backward_scratch *m, int64_t first,
                           int64_t count) {
    const int64_t rows = round_up(count, MR), size = h->size, cells = pairs_of(size), pairs = pairs_of(count);
    load_rows(m->q, &h->q, first, count, rows, size);
    load_rows(m->do_, &h->do_, first, count, rows, size);
    multiply(m->p, e->keys, m->q, cells, 1, m->kt, rows, cells, e->keys, false);
    multiply(m->ds, e->keys, m->do_, cells, 1, m->vt, rows, cells, e->keys, false);
    block_gradients(h, e, m, first, count);
    pack_columns(m->q_panels, &h->q, first, count, size);
    pack_columns(m->do_panels, &h->do_, first, count, size);
    multiply(m->dv, e->size, m->p_pairs, 1, e->keys, m->do_panels, e->key_rows, pairs, e->size, true);
    multiply(m->dk, e->size, m->ds_pairs, 1, e->keys, m->q_panels, e->key_rows, pairs, e->size, true);
    if (!h->dq.data) return;
    multiply(m->dq, e->size, m->ds_rows, e->keys / 2, 1, m->k, rows, pairs_of(h->keys), e->size, false);
    for (int64_t i = 0; i < count; i++) store_row(&h->dq, first + i, m->dq + i * e->size, size, 1, true);
}

static void backward(const bt_attention_head *h, float *scratch) {
    const extents e = extents_of(h->queries, h->keys, h->size);
    carver c = {.base = scratch};
    const backward_scratch m = carve_backward(&c, &e, h->keys, h->size);
    pack_transposed(m.kt, &h->k, h->keys, h->size, m.rows);
    pack_transposed(m.vt, &h->v, h->keys, h->size, m.rows);
    pack_columns(m.k, &h->k, 0, h->keys, h->size);
    const size_t sums_bytes = (size_t)(e.key_rows * e.size) * sizeof(float);
    const size_t pairs_bytes = (size_t)(e.block / 2 * e.keys + MR) * sizeof(float);
    memset(m.dk, 0, sums_bytes);
    memset(m.dv, 0, sums_bytes);
    memset(m.p_pairs, 0, pairs_bytes);
    memset(m.ds_pairs, 0, pairs_bytes);
    memset(m.ds_rows, 0, (size_t)(e.block * e.keys / 2) * sizeof(float));
    for (int64_t first = 0; first < h->queries; first += e.block)
        backward_block(h, &e, &m, first, h->queries - first < e.block ? h->queries - first : e.block);
    for (int64_t t = 0; t < h->keys; t++) {
        store_row(&h->dk, t, m.dk + t * e.size, h->size, 1, true);
        store_row(&h->dv, t, m.dv + t * e.size, h->size, 1, true);
    }
}

static size_t backward_bytes(int64_t queries, int64_t keys, int64_t size) {
    const extents e = extents_of(queries, keys, size);
    carver c = {0};
    (void)carve_backward(&c, &e, keys, size);
    return (size_t)c.used * sizeof(float);
}

const bt_attention_functions bt_attention_bf16_avx512 = {forward_bytes, backward_bytes, forward, backward};
