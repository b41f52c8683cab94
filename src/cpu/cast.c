/* The same numbers in another dtype. f32 to bf16 rounds to nearest even, bf16 to f32 is exact. */
#include "cpu/rows.h"

#include <string.h>

static void copy(const bt_vector *v, float *y, const float *x, const float *unused, const float *none, int64_t n) {
    (void)v, (void)unused, (void)none;
    memcpy(y, x, (size_t)n * sizeof *y);
}

static bt_status check(const char *operation, const bt_tensor *x, const bt_tensor *y) {
    return BT_CHECK_OPERANDS(operation, {"x", x, BT_ALLOW_FLOAT}, {"y", y, BT_ALLOW_FLOAT});
}

static bt_status prepare(bt_device *device, const bt_cast_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return check("cast", &a->x, &a->y);
}

static bt_status run(bt_device *device, const bt_cast_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_map(device, &a->y, copy, &a->x, NULL, NULL);
    return BT_OK;
}

const bt_cast_kernel bt_cpu_cast = {prepare, run};

static bt_status prepare_store(bt_device *device, const bt_cast_store_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return check("cast_store", &a->x, &a->y);
}

static bt_status run_store(bt_device *device, const bt_cast_store_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_map(device, &a->y, copy, &a->x, NULL, NULL);
    return BT_OK;
}

const bt_cast_store_kernel bt_cpu_cast_store = {prepare_store, run_store};
