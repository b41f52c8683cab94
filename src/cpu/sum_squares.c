/* Sum of the squares of all elements, for clipping. In double, over fixed blocks added in order: the same bits for any
 * number of threads. */
#include "cpu/rows.h"

#define BLOCK 4096 /* elements, for tensors that are one long row */

typedef struct blocks {
    const bt_tensor *x;
    int64_t cols, per_row;
} blocks;

static blocks blocks_of(const bt_tensor *x) {
    int64_t cols = bt_shape_cols(x->shape);
    return (blocks){x, cols, (cols + BLOCK - 1) / BLOCK};
}

static bt_status prepare(bt_device *device, const bt_sum_squares_args *a, bt_prepared *out) {
    (void)device;
    BT_TRY(BT_CHECK_OPERANDS("sum_squares", {"x", &a->x, BT_ALLOW_FLOAT}, {"sum", &a->sum, BT_ALLOW_F32}));
    out->scratch_bytes = bt_sum_rows_scratch_bytes(bt_shape_rows(a->x.shape) * blocks_of(&a->x).per_row, 1, 0);
    return BT_OK;
}

static void sum_blocks(const void *context, const bt_vector *v, int64_t begin, int64_t end, double *sum, void *unused) {
    (void)unused;
    const blocks *b = context;
    float buffer[BLOCK];
    for (int64_t i = begin; i < end; i++) {
        int64_t col = i % b->per_row * BLOCK, n = b->cols - col < BLOCK ? b->cols - col : BLOCK;
        const float *x = bt_row_read(v, b->x, i / b->per_row, col, n, buffer);
        *sum += v->dot(x, x, n);
    }
}

static bt_status run(bt_device *device, const bt_sum_squares_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    blocks b = blocks_of(&a->x);
    const double *sum = bt_sum_rows(device, bt_shape_rows(a->x.shape) * b.per_row, 1, bt_shape_count(a->x.shape),
                                    sum_blocks, &b, 0, scratch);
    *(float *)a->sum.data = (float)*sum;
    return BT_OK;
}

const bt_sum_squares_kernel bt_cpu_sum_squares = {prepare, run};
