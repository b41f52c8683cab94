/* ReLU: y = max(x, 0), dx = dy where y > 0. The comparison is written so that a NaN of x stays. */
#include "cpu/rows.h"

static void forward(const bt_vector *v, float *y, const float *x, const float *unused, const float *none, int64_t n) {
    (void)v, (void)unused, (void)none;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) y[i] = x[i] <= 0.0f ? 0.0f : x[i];
}

static bt_status prepare(bt_device *device, const bt_relu_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("relu", {"x", &a->x, BT_COMPUTE}, {"y", &a->y, BT_COMPUTE});
}

static bt_status run(bt_device *device, const bt_relu_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_map(device, &a->y, forward, &a->x, NULL, NULL);
    return BT_OK;
}

const bt_relu_kernel bt_cpu_relu = {prepare, run};

static void backward(const bt_vector *v, float *dx, const float *dy, const float *y, const float *none, int64_t n) {
    (void)v, (void)none;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) dx[i] = y[i] > 0.0f ? dy[i] : 0.0f;
}

static bt_status prepare_dx(bt_device *device, const bt_relu_dx_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("relu_dx", {"dy", &a->dy, BT_COMPUTE}, {"y", &a->y, BT_COMPUTE},
                             {"dx", &a->dx, BT_COMPUTE});
}

static bt_status run_dx(bt_device *device, const bt_relu_dx_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_map(device, &a->dx, backward, &a->dy, &a->y, NULL);
    return BT_OK;
}

const bt_relu_dx_kernel bt_cpu_relu_dx = {prepare_dx, run_dx};
