/* Linear layer and its gradients.
 *   y (..,O) = x (..,I) w(O,I)^T + b + add;   dx = dy w + add;   dw (O,I) = dy^T x, db (O) = sum over rows of dy.
 * Nothing is saved but x. A frozen w is packed once for each direction. */
#include "cpu/product_set.h"
#include "cpu/rows.h"

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static bt_status prepare(bt_device *device, const bt_linear_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("linear", {"x", &a->x, BT_COMPUTE}, {"w", &a->w, BT_COMPUTE},
                             {"b", &a->b, BT_ALLOW_F32 | BT_ALLOW_NONE}, {"add", &a->add, BT_COMPUTE | BT_ALLOW_NONE},
                             {"y", &a->y, BT_COMPUTE}));
    const bt_product_spec spec = bt_product_linear(&a->x, &a->w, &a->b, &a->add, &a->y);
    return bt_product_set_prepare(device, &spec, 1, 0, out);
}

static bt_status run(bt_device *device, const bt_linear_args *a, const bt_prepared *prepared, void *scratch) {
    (void)device;
    const bt_product_operands operands = {
        .a = a->x.data, .b = a->w.data, .bias = a->b.data, .add = a->add.data, .c = a->y.data};
    return bt_product_run(bt_product_set_of(prepared)->product[0], &operands, scratch);
}

const bt_linear_kernel bt_cpu_linear = {prepare, run};

/* ---- gradient of x ----------------------------------------------------------------------------------------------- */

static bt_status prepare_dx(bt_device *device, const bt_linear_dx_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("linear_dx", {"dy", &a->dy, BT_COMPUTE}, {"w", &a->w, BT_COMPUTE},
                             {"add", &a->add, BT_COMPUTE | BT_ALLOW_NONE}, {"dx", &a->dx, BT_COMPUTE}));
    const bt_product_spec spec = bt_product_linear_dx(&a->dy, &a->w, &a->add, &a->dx);
    return bt_product_set_prepare(device, &spec, 1, 0, out);
}

static bt_status run_dx(bt_device *device, const bt_linear_dx_args *a, const bt_prepared *prepared, void *scratch) {
    (void)device;
    const bt_product_operands operands = {.a = a->dy.data, .b = a->w.data, .add = a->add.data, .c = a->dx.data};
    return bt_product_run(bt_product_set_of(prepared)->product[0], &operands, scratch);
}

const bt_linear_dx_kernel bt_cpu_linear_dx = {prepare_dx, run_dx};

/* ---- gradients of w and b ---------------------------------------------------------------------------------------- */

static size_t row_bytes(const bt_tensor *dy) {
    return dy->dtype == BT_BF16 ? sizeof(float) * (size_t)bt_shape_cols(dy->shape) : 0;
}

static bt_status prepare_dw(bt_device *device, const bt_linear_dw_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("linear_dw", {"dy", &a->dy, BT_COMPUTE}, {"x", &a->x, BT_COMPUTE},
                             {"dw", &a->dw, BT_ALLOW_F32}, {"db", &a->db, BT_ALLOW_F32 | BT_ALLOW_NONE}));
    int64_t rows = bt_shape_rows(a->dy.shape), outputs = bt_shape_cols(a->dy.shape);
    const bt_product_spec spec = bt_product_linear_dw(&a->dy, &a->x, &a->dw, a->accumulate);
    size_t sums = bt_present(&a->db) ? bt_sum_rows_scratch_bytes(rows, outputs, row_bytes(&a->dy)) : 0;
    return bt_product_set_prepare(device, &spec, 1, sums, out);
}

static void add_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, double *sums, void *buffer) {
    const bt_tensor *dy = context;
    int64_t cols = bt_shape_cols(dy->shape);
    for (int64_t row = begin; row < end; row++) {
        const float *x = bt_row_read(v, dy, row, 0, cols, buffer);
        for (int64_t i = 0; i < cols; i++) sums[i] += (double)x[i];
    }
}

static bt_status run_dw(bt_device *device, const bt_linear_dw_args *a, const bt_prepared *prepared, void *scratch) {
    const bt_product_operands operands = {.a = a->dy.data, .b = a->x.data, .c = a->dw.data};
    BT_TRY(bt_product_run(bt_product_set_of(prepared)->product[0], &operands, scratch));
    if (!bt_present(&a->db)) return BT_OK;
    int64_t rows = bt_shape_rows(a->dy.shape), outputs = bt_shape_cols(a->dy.shape);
    const double *sums = bt_sum_rows(device, rows, outputs, rows * outputs, add_rows, &a->dy, row_bytes(&a->dy),
                                     bt_product_set_more(prepared, scratch));
    bt_store_sums(&a->db, 0, sums, outputs, a->accumulate);
    return BT_OK;
}

const bt_linear_dw_kernel bt_cpu_linear_dw = {prepare_dw, run_dw};
