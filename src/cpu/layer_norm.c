/* Layer normalisation of rows (arXiv 1607.06450). With h = (x - mean) rstd, variance biased:
 *   y = h w + b,   stats = mean, rstd
 *   g = dy w:  dx = rstd (g - mean(g) - h mean(g h)) + add,   dw = sum over rows of dy h,   db = sum of dy.
 * The variance takes a second pass about the mean, in double: rows of a trained ViT have means far from 0. */
#include "cpu/rows.h"

#include <math.h>

/* Of `count` f32 buffers of one row, which bf16 needs. */
static size_t buffer_bytes(const bt_tensor *x, int count) {
    return x->dtype == BT_BF16 ? (size_t)count * sizeof(float) * (size_t)bt_shape_cols(x->shape) : 0;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static bt_status prepare(bt_device *device, const bt_layer_norm_args *a, bt_prepared *out) {
    int affine = bt_present(&a->w) ? BT_ALLOW_F32 : BT_ALLOW_NONE;
    BT_TRY(BT_CHECK_OPERANDS("layer_norm", {"x", &a->x, BT_COMPUTE}, {"w", &a->w, BT_ALLOW_F32 | BT_ALLOW_NONE},
                             {"b", &a->b, affine}, {"y", &a->y, BT_COMPUTE}, {"stats", &a->stats, BT_ALLOW_F32}));
    out->scratch_bytes = bt_rows_scratch_bytes(device, buffer_bytes(&a->x, 2));
    return BT_OK;
}

static void forward_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *buffer) {
    const bt_layer_norm_args *a = context;
    int64_t cols = bt_shape_cols(a->x.shape);
    const float *w = bt_row_f32(&a->w, 0), *b = bt_row_f32(&a->b, 0);
    float *buffers = buffer;
    for (int64_t row = begin; row < end; row++) {
        const float *x = bt_row_read(v, &a->x, row, 0, cols, buffers);
        float *y = bt_row_target(&a->y, row, 0, buffers + cols), *stats = bt_row_f32(&a->stats, row);
        double mean = v->sum(x, cols) / (double)cols;
        double variance = v->sum_squares_about(x, mean, cols) / (double)cols;
        stats[0] = (float)mean;
        stats[1] = (float)(1.0 / sqrt(variance + (double)a->eps));
        v->normalize(y, x, w, b, stats[0], stats[1], cols);
        bt_row_write(v, &a->y, row, 0, cols, y);
    }
}

static bt_status run(bt_device *device, const bt_layer_norm_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    bt_over_rows(device, bt_shape_rows(a->x.shape), bt_shape_count(a->x.shape), forward_rows, a, buffer_bytes(&a->x, 2),
                 scratch);
    return BT_OK;
}

const bt_layer_norm_kernel bt_cpu_layer_norm = {prepare, run};

/* ---- gradient of x ----------------------------------------------------------------------------------------------- */

static bt_status prepare_dx(bt_device *device, const bt_layer_norm_dx_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("layer_norm_dx", {"dy", &a->dy, BT_COMPUTE}, {"x", &a->x, BT_COMPUTE},
                             {"w", &a->w, BT_ALLOW_F32 | BT_ALLOW_NONE}, {"stats", &a->stats, BT_ALLOW_F32},
                             {"add", &a->add, BT_COMPUTE | BT_ALLOW_NONE}, {"dx", &a->dx, BT_COMPUTE}));
    out->scratch_bytes = bt_rows_scratch_bytes(device, buffer_bytes(&a->x, 4));
    return BT_OK;
}

static void dx_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *buffer) {
    const bt_layer_norm_dx_args *a = context;
    int64_t cols = bt_shape_cols(a->x.shape);
    const float *w = bt_row_f32(&a->w, 0);
    float *buffers = buffer;
    for (int64_t row = begin; row < end; row++) {
        const float *dy = bt_row_read(v, &a->dy, row, 0, cols, buffers);
        const float *x = bt_row_read(v, &a->x, row, 0, cols, buffers + cols);
        const float *add = bt_row_read(v, &a->add, row, 0, cols, buffers + 2 * cols);
        float *dx = bt_row_target(&a->dx, row, 0, buffers + 3 * cols);
        const float *stats = bt_row_f32(&a->stats, row);
        double g, gh;
        v->normalize_dx_sums(&g, &gh, dy, x, w, stats[0], stats[1], cols);
        v->normalize_dx(dx, dy, x, w, add, stats[0], stats[1], (float)(g / (double)cols), (float)(gh / (double)cols),
                        cols);
        bt_row_write(v, &a->dx, row, 0, cols, dx);
    }
}

static bt_status run_dx(bt_device *device, const bt_layer_norm_dx_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    bt_over_rows(device, bt_shape_rows(a->x.shape), bt_shape_count(a->x.shape), dx_rows, a, buffer_bytes(&a->x, 4),
                 scratch);
    return BT_OK;
}

const bt_layer_norm_dx_kernel bt_cpu_layer_norm_dx = {prepare_dx, run_dx};

/* ---- gradients of w and b ---------------------------------------------------------------------------------------- */

static bt_status prepare_dw(bt_device *device, const bt_layer_norm_dw_args *a, bt_prepared *out) {
    (void)device;
    BT_TRY(BT_CHECK_OPERANDS("layer_norm_dw", {"dy", &a->dy, BT_COMPUTE}, {"x", &a->x, BT_COMPUTE},
                             {"stats", &a->stats, BT_ALLOW_F32}, {"dw", &a->dw, BT_ALLOW_F32},
                             {"db", &a->db, BT_ALLOW_F32}));
    out->scratch_bytes =
        bt_sum_rows_scratch_bytes(bt_shape_rows(a->x.shape), 2 * bt_shape_cols(a->x.shape), buffer_bytes(&a->x, 2));
    return BT_OK;
}

static void dw_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, double *sums, void *buffer) {
    const bt_layer_norm_dw_args *a = context;
    int64_t cols = bt_shape_cols(a->x.shape);
    float *buffers = buffer;
    for (int64_t row = begin; row < end; row++) {
        const float *dy = bt_row_read(v, &a->dy, row, 0, cols, buffers);
        const float *x = bt_row_read(v, &a->x, row, 0, cols, buffers + cols);
        const float *stats = bt_row_f32(&a->stats, row);
        v->add_normalize_dw(sums, sums + cols, dy, x, stats[0], stats[1], cols);
    }
}

static bt_status run_dw(bt_device *device, const bt_layer_norm_dw_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    int64_t rows = bt_shape_rows(a->x.shape), cols = bt_shape_cols(a->x.shape);
    const double *sums = bt_sum_rows(device, rows, 2 * cols, rows * cols, dw_rows, a, buffer_bytes(&a->x, 2), scratch);
    bt_store_sums(&a->dw, 0, sums, cols, a->accumulate);
    bt_store_sums(&a->db, 0, sums + cols, cols, a->accumulate);
    return BT_OK;
}

const bt_layer_norm_dw_kernel bt_cpu_layer_norm_dw = {prepare_dw, run_dw};
