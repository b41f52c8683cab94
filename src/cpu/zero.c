/* x = 0, any dtype; what lies between rows is left alone. */
#include "cpu/rows.h"

#include <string.h>

static bt_status prepare(bt_device *device, const bt_zero_args *a, bt_prepared *out) {
    (void)device, (void)a, (void)out;
    return BT_OK;
}

static void clear_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)v, (void)unused;
    const bt_tensor *x = context;
    size_t bytes = bt_row_bytes(x->dtype, bt_shape_cols(x->shape));
    size_t item_bytes = x->dtype == BT_BITS ? sizeof(uint64_t) : bt_dtype_bytes(x->dtype);
    for (int64_t row = begin; row < end; row++) memset((char *)x->data + (size_t)(row * x->ld) * item_bytes, 0, bytes);
}

static bt_status run(bt_device *device, const bt_zero_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_over_rows(device, bt_shape_rows(a->x.shape), bt_shape_count(a->x.shape), clear_rows, &a->x, 0, NULL);
    return BT_OK;
}

const bt_zero_kernel bt_cpu_zero = {prepare, run};
