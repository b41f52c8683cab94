/* Rows of length one, as F.normalize of PyTorch: y = x / max(|x|, eps), norm = |x|.
 *   dx = (dy - y (y . dy)) / |x| + add   where |x| > eps,   else dy / eps + add. */
#include "cpu/rows.h"

#include <math.h>

/* Of two f32 buffers of one row, which bf16 needs. */
static size_t buffer_bytes(const bt_tensor *x) {
    return x->dtype == BT_BF16 ? 2 * sizeof(float) * (size_t)bt_shape_cols(x->shape) : 0;
}

static bt_status prepare(bt_device *device, const bt_l2_normalize_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("l2_normalize", {"x", &a->x, BT_ALLOW_FLOAT}, {"y", &a->y, BT_ALLOW_F32},
                             {"norm", &a->norm, BT_ALLOW_F32}));
    out->scratch_bytes = bt_rows_scratch_bytes(device, buffer_bytes(&a->x));
    return BT_OK;
}

static void forward_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *buffer) {
    const bt_l2_normalize_args *a = context;
    int64_t cols = bt_shape_cols(a->x.shape);
    for (int64_t row = begin; row < end; row++) {
        const float *x = bt_row_read(v, &a->x, row, 0, cols, buffer);
        double norm = sqrt(v->dot(x, x, cols)), divisor = norm < (double)a->eps ? (double)a->eps : norm;
        ((float *)a->norm.data)[row] = (float)norm;
        v->divide(bt_row_f32(&a->y, row), x, (float)divisor, cols);
    }
}

static bt_status run(bt_device *device, const bt_l2_normalize_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    bt_over_rows(device, bt_shape_rows(a->x.shape), bt_shape_count(a->x.shape), forward_rows, a, buffer_bytes(&a->x),
                 scratch);
    return BT_OK;
}

const bt_l2_normalize_kernel bt_cpu_l2_normalize = {prepare, run};

static bt_status prepare_dx(bt_device *device, const bt_l2_normalize_dx_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("l2_normalize_dx", {"dy", &a->dy, BT_ALLOW_F32}, {"y", &a->y, BT_ALLOW_F32},
                             {"norm", &a->norm, BT_ALLOW_F32}, {"add", &a->add, BT_COMPUTE | BT_ALLOW_NONE},
                             {"dx", &a->dx, BT_COMPUTE}));
    out->scratch_bytes = bt_rows_scratch_bytes(device, buffer_bytes(&a->dx));
    return BT_OK;
}

static void dx_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *buffer) {
    const bt_l2_normalize_dx_args *a = context;
    int64_t cols = bt_shape_cols(a->dx.shape);
    float *buffers = buffer;
    for (int64_t row = begin; row < end; row++) {
        const float *dy = bt_row_f32(&a->dy, row), *y = bt_row_f32(&a->y, row);
        const float *add = bt_row_read(v, &a->add, row, 0, cols, buffers);
        float *dx = bt_row_target(&a->dx, row, 0, buffers + cols);
        float norm = ((const float *)a->norm.data)[row];
        bool clamped = norm <= a->eps;
        v->project(dx, dy, y, add, clamped ? 0.0f : (float)v->dot(y, dy, cols), clamped ? a->eps : norm, cols);
        bt_row_write(v, &a->dx, row, 0, cols, dx);
    }
}

static bt_status run_dx(bt_device *device, const bt_l2_normalize_dx_args *a, const bt_prepared *prepared,
                        void *scratch) {
    (void)prepared;
    bt_over_rows(device, bt_shape_rows(a->dx.shape), bt_shape_count(a->dx.shape), dx_rows, a, buffer_bytes(&a->dx),
                 scratch);
    return BT_OK;
}

const bt_l2_normalize_dx_kernel bt_cpu_l2_normalize_dx = {prepare_dx, run_dx};
