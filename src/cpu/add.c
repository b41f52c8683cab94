/* The residual sum y = x + scale f with LayerScale (arXiv 2103.17239), scale (C) or 1:
 *   dx = dy (no operation),   df = scale dy,   dscale = sum over rows of dy f. */
#include "cpu/rows.h"

static void forward(const bt_vector *v, float *y, const float *x, const float *f, const float *scale, int64_t n) {
    v->add_scaled(y, x, f, scale, n);
}

static bt_status prepare(bt_device *device, const bt_add_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("add", {"x", &a->x, BT_COMPUTE}, {"f", &a->f, BT_COMPUTE},
                             {"scale", &a->scale, BT_ALLOW_F32 | BT_ALLOW_NONE}, {"y", &a->y, BT_COMPUTE});
}

static bt_status run(bt_device *device, const bt_add_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_map(device, &a->y, forward, &a->x, &a->f, &a->scale);
    return BT_OK;
}

const bt_add_kernel bt_cpu_add = {prepare, run};

static void backward(const bt_vector *v, float *df, const float *dy, const float *none, const float *scale, int64_t n) {
    (void)none;
    v->multiply(df, dy, scale, n);
}

static bt_status prepare_df(bt_device *device, const bt_add_df_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("add_df", {"dy", &a->dy, BT_COMPUTE}, {"scale", &a->scale, BT_ALLOW_F32},
                             {"df", &a->df, BT_COMPUTE});
}

static bt_status run_df(bt_device *device, const bt_add_df_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_map(device, &a->df, backward, &a->dy, NULL, &a->scale);
    return BT_OK;
}

const bt_add_df_kernel bt_cpu_add_df = {prepare_df, run_df};

static size_t dscale_buffer_bytes(const bt_add_dscale_args *a) {
    return a->dy.dtype == BT_BF16 ? 2 * sizeof(float) * (size_t)bt_shape_cols(a->dy.shape) : 0;
}

static bt_status prepare_dscale(bt_device *device, const bt_add_dscale_args *a, bt_prepared *out) {
    (void)device;
    BT_TRY(BT_CHECK_OPERANDS("add_dscale", {"dy", &a->dy, BT_COMPUTE}, {"f", &a->f, BT_COMPUTE},
                             {"dscale", &a->dscale, BT_ALLOW_F32}));
    out->scratch_bytes =
        bt_sum_rows_scratch_bytes(bt_shape_rows(a->dy.shape), bt_shape_cols(a->dy.shape), dscale_buffer_bytes(a));
    return BT_OK;
}

static void sum_dscale(const void *context, const bt_vector *v, int64_t begin, int64_t end, double *sums,
                       void *buffer) {
    const bt_add_dscale_args *a = context;
    int64_t cols = bt_shape_cols(a->dy.shape);
    float *buffers = buffer;
    for (int64_t row = begin; row < end; row++) {
        const float *dy = bt_row_read(v, &a->dy, row, 0, cols, buffers);
        v->add_product(sums, dy, bt_row_read(v, &a->f, row, 0, cols, buffers + cols), cols);
    }
}

static bt_status run_dscale(bt_device *device, const bt_add_dscale_args *a, const bt_prepared *prepared,
                            void *scratch) {
    (void)prepared;
    int64_t rows = bt_shape_rows(a->dy.shape), cols = bt_shape_cols(a->dy.shape);
    const double *sums = bt_sum_rows(device, rows, cols, rows * cols, sum_dscale, a, dscale_buffer_bytes(a), scratch);
    bt_store_sums(&a->dscale, 0, sums, cols, a->accumulate);
    return BT_OK;
}

const bt_add_dscale_kernel bt_cpu_add_dscale = {prepare_dscale, run_dscale};
