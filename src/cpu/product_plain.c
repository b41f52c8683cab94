/* Matrix products without a library: f32 panels and register tiles (cpu/gemm.h), OpenMP over blocks of c.
 *
 * b is packed into panels of nr columns: in scratch at each run, or once if it is frozen and the rows of a are few. c
 * is cut into blocks of rows and columns; a block's rows of a are read where they lie if they are f32 rows, else
 * widened or transposed into the thread's scratch. The whole of K is summed in registers, so c is the same whatever the
 * number of threads.
 */
#include "base/memory.h"
#include "cpu/gemm.h"
#include "cpu/product_library.h"

#ifdef _OPENMP
#include <omp.h>
#endif

/* Rows of a that stay in the second-level cache while all of b passes by: 192 KiB of 512 KiB or more. */
#define ROWS_BYTES (192 * 1024)

/* A frozen b is packed once below so many rows. Panels are f32: for bf16 weights two more models in memory. Packing at
 * each run costs 40 / m of a product on AVX2 (1.3 ns an element against 2 m FLOP at 80 GFLOP/s): 2% from here on. */
enum { PACKED_BELOW_ROWS = 2048 };

typedef struct plain_state {
    const bt_gemm *gemm;
    bt_pack *pack;  /* NULL: b is packed at each run */
    size_t b_bytes; /* of b's panels in scratch */
    size_t a_bytes; /* of one thread's rows of a in scratch */
    int64_t block_rows, row_blocks, block_cols, col_blocks;
} plain_state;

static int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static bt_gemm_source source_of_b(const bt_product_spec *s, const void *b, int64_t first, int64_t cols) {
    int64_t lane_stride = s->b_trans ? s->b_ld : 1;
    return (bt_gemm_source){.x = (const char *)b + first * lane_stride * (int64_t)bt_dtype_bytes(s->in),
                            .bf16 = s->in == BT_BF16,
                            .lanes = cols,
                            .depth = s->k,
                            .lane_stride = lane_stride,
                            .k_stride = s->b_trans ? 1 : s->b_ld};
}

static void pack_b(const bt_product *p, const void *b, float *panels) {
    const plain_state *state = p->state;
    const bt_product_spec *s = &p->spec;
    const int64_t nr = state->gemm->nr, count = ceil_div(s->n, nr);
#pragma omp parallel for num_threads(p->device->threads) schedule(static)
    for (int64_t panel = 0; panel < count; panel++) {
        int64_t first = panel * nr, cols = s->n - first < nr ? s->n - first : nr;
        bt_gemm_source source = source_of_b(s, b, first, cols);
        state->gemm->pack_b(panels + first * s->k, &source);
    }
}

/* Blocks of about ROWS_BYTES of a; at least four per thread, taken from the columns if there are too few rows. */
static void cut_blocks(plain_state *state, const bt_product_spec *s, int threads) {
    const int64_t mr = state->gemm->mr, nr = state->gemm->nr, wanted = 4 * (int64_t)threads;
    int64_t rows = ROWS_BYTES / (s->k * (int64_t)sizeof(float)) / mr * mr;
    if (rows > 16 * mr) rows = 16 * mr;
    if (rows < mr) rows = mr;
    while (rows > 2 * mr && ceil_div(s->m, rows) < wanted) rows -= mr;
    state->block_rows = rows;
    state->row_blocks = ceil_div(s->m, rows);
    int64_t panels = ceil_div(s->n, nr), splits = ceil_div(wanted, state->row_blocks);
    if (state->row_blocks >= wanted) splits = 1;
    if (splits > panels) splits = panels;
    state->block_cols = ceil_div(panels, splits) * nr;
    state->col_blocks = ceil_div(s->n, state->block_cols);
}

static void plain_release(bt_product *p) {
    plain_state *state = p->state;
    bt_pack_drop(p->device, state->pack);
    bt_memory_free(state);
}

static bt_status plain_prepare(bt_product *p) {
    const bt_product_spec *s = &p->spec;
    plain_state *state = bt_memory_zeroed(1, sizeof *state);
    if (!state) return BT_ERR_MEMORY;
    p->state = state;
    state->gemm = bt_gemm_of(p->device->cpu.isa);
    cut_blocks(state, s, p->device->threads);
    size_t panels_bytes = (size_t)(ceil_div(s->n, state->gemm->nr) * state->gemm->nr * s->k) * sizeof(float);
    if (s->frozen_b && s->m < PACKED_BELOW_ROWS) {
        bt_pack_key key = {.source = s->frozen_b,
                           .n = s->n,
                           .k = s->k,
                           .ld = s->b_ld,
                           .dtype = s->in,
                           .trans = s->b_trans,
                           .methods = &bt_product_plain};
        bool is_new;
        state->pack = bt_pack_take(p->device, &key, panels_bytes, &is_new);
        if (!state->pack) {
            plain_release(p);
            return BT_ERR_MEMORY;
        }
        if (is_new) pack_b(p, s->frozen_b, state->pack->data);
    } else
        state->b_bytes = bt_cpu_round_up(panels_bytes, BT_CPU_ALIGNMENT);
    /* Rows that are read in place need room for the last, partial tile only. */
    bool in_place = s->in == BT_F32 && !s->a_trans;
    int64_t kept_rows = in_place ? state->gemm->mr : state->block_rows;
    state->a_bytes = bt_cpu_round_up((size_t)(kept_rows * s->k) * sizeof(float), BT_CPU_ALIGNMENT);
    p->scratch_bytes = state->b_bytes + state->a_bytes * (size_t)p->device->threads;
    return BT_OK;
}

/* Rows first..first+rows of a, in the thread's scratch where they cannot be read in place. */
static void place_a(const bt_product *p, const void *a, int64_t first, int64_t rows, float *kept,
                    bt_gemm_block *block) {
    const bt_product_spec *s = &p->spec;
    const bt_gemm *gemm = ((const plain_state *)p->state)->gemm;
    int64_t lane_stride = s->a_trans ? 1 : s->a_ld;
    bt_gemm_source source = {.x = (const char *)a + first * lane_stride * (int64_t)bt_dtype_bytes(s->in),
                             .bf16 = s->in == BT_BF16,
                             .lanes = rows,
                             .depth = s->k,
                             .lane_stride = lane_stride,
                             .k_stride = s->a_trans ? s->a_ld : 1};
    block->a = kept;
    if (s->a_trans) {
        gemm->pack_a(kept, &source);
        block->a_group = gemm->mr * s->k;
        block->a_row = 1;
        block->a_k = gemm->mr;
        return;
    }
    block->a_row = s->k;
    block->a_k = 1;
    if (source.bf16 || rows < gemm->mr)
        gemm->pack_rows(kept, &source);
    else {
        block->a = source.x;
        block->a_row = s->a_ld;
    }
    block->a_group = gemm->mr * block->a_row;
}

static void run_block(const bt_product *p, const bt_product_operands *x, const float *panels, int64_t index,
                      float *kept) {
    const plain_state *state = p->state;
    const bt_product_spec *s = &p->spec;
    const int64_t out_bytes = (int64_t)bt_dtype_bytes(s->out), mr = state->gemm->mr;
    int64_t i = index / state->col_blocks * state->block_rows, j = index % state->col_blocks * state->block_cols;
    int64_t end = s->m - i < state->block_rows ? s->m : i + state->block_rows;
    bool in_place = s->in == BT_F32 && !s->a_trans;
    while (i < end) {
        /* A partial tile would read rows behind the matrix: it goes through scratch, on its own. */
        int64_t rows = end - i;
        if (in_place && rows > mr) rows -= rows % mr;
        bt_gemm_block block = {.rows = rows,
                               .cols = s->n - j < state->block_cols ? s->n - j : state->block_cols,
                               .depth = s->k,
                               .b = panels + j * s->k,
                               .c = (char *)x->c + (i * s->c_ld + j) * out_bytes,
                               .add = s->add ? (const char *)x->add + (i * s->add_ld + j) * out_bytes : NULL,
                               .c_ld = s->c_ld,
                               .add_ld = s->add_ld,
                               .out_bf16 = s->out == BT_BF16,
                               .accumulate = s->accumulate,
                               .alpha = s->alpha,
                               .bias = s->bias ? x->bias + j : NULL};
        place_a(p, x->a, i, rows, kept, &block);
        state->gemm->block(&block);
        i += rows;
    }
}

static bt_status plain_run(const bt_product *p, const bt_product_operands *operands, void *scratch) {
    const plain_state *state = p->state;
    const float *panels = state->pack ? state->pack->data : scratch;
    if (!state->pack) pack_b(p, bt_product_b(p, operands), scratch);
    const int64_t blocks = state->row_blocks * state->col_blocks;
#pragma omp parallel for num_threads(p->device->threads) schedule(static)
    for (int64_t block = 0; block < blocks; block++) {
#ifdef _OPENMP
        int thread = omp_get_thread_num();
#else
        int thread = 0;
#endif
        char *kept = (char *)scratch + state->b_bytes + (size_t)thread * state->a_bytes;
        run_block(p, operands, panels, block, (float *)(void *)kept);
    }
    return BT_OK;
}

const bt_product_methods bt_product_plain = {.prepare = plain_prepare, .run = plain_run, .release = plain_release};
