/* The class token's row of each sample, y (N,1,D) = x[:, 0:1], and back: dx is dy in row 0 and 0 elsewhere, + add. */
#include "cpu/rows.h"

#include <string.h>

static bt_status prepare(bt_device *device, const bt_class_row_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("class_row", {"x", &a->x, BT_COMPUTE}, {"y", &a->y, BT_COMPUTE});
}

static bt_status run(bt_device *device, const bt_class_row_args *a, const bt_prepared *prepared, void *scratch) {
    (void)device, (void)prepared, (void)scratch;
    for (int64_t n = 0; n < a->x.shape.dim[0]; n++) bt_copy_row(&a->y, n, &a->x, n * a->x.shape.dim[1]);
    return BT_OK;
}

const bt_class_row_kernel bt_cpu_class_row = {prepare, run};

static size_t buffer_bytes(const bt_class_row_dx_args *a) {
    return a->dx.dtype == BT_BF16 ? 3 * sizeof(float) * (size_t)bt_shape_cols(a->dx.shape) : 0;
}

static bt_status prepare_dx(bt_device *device, const bt_class_row_dx_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("class_row_dx", {"dy", &a->dy, BT_COMPUTE}, {"add", &a->add, BT_COMPUTE | BT_ALLOW_NONE},
                             {"dx", &a->dx, BT_COMPUTE}));
    out->scratch_bytes = bt_rows_scratch_bytes(device, buffer_bytes(a));
    return BT_OK;
}

static void dx_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *buffer) {
    const bt_class_row_dx_args *a = context;
    int64_t tokens = a->dx.shape.dim[1], cols = a->dx.shape.dim[2];
    float *buffers = buffer;
    for (int64_t row = begin; row < end; row++) {
        bool is_class = row % tokens == 0;
        if (is_class && bt_present(&a->add)) {
            float *dx = bt_row_target(&a->dx, row, 0, buffers);
            const float *dy = bt_row_read(v, &a->dy, row / tokens, 0, cols, buffers + cols);
            v->add_scaled(dx, dy, bt_row_read(v, &a->add, row, 0, cols, buffers + 2 * cols), NULL, cols);
            bt_row_write(v, &a->dx, row, 0, cols, dx);
        } else if (is_class) {
            bt_copy_row(&a->dx, row, &a->dy, row / tokens);
        } else if (bt_present(&a->add)) {
            if (a->add.data != a->dx.data) bt_copy_row(&a->dx, row, &a->add, row);
        } else {
            size_t item_bytes = bt_dtype_bytes(a->dx.dtype);
            memset((char *)a->dx.data + (size_t)(row * a->dx.ld) * item_bytes, 0, (size_t)cols * item_bytes);
        }
    }
}

static bt_status run_dx(bt_device *device, const bt_class_row_dx_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    bt_over_rows(device, bt_shape_rows(a->dx.shape), bt_shape_count(a->dx.shape), dx_rows, a, buffer_bytes(a), scratch);
    return BT_OK;
}

const bt_class_row_dx_kernel bt_cpu_class_row_dx = {prepare_dx, run_dx};
