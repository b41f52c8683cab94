/* GELU with the exact normal distribution, Phi(x) = (1 + erf(x / sqrt 2)) / 2 (arXiv 1606.08415):
 *   y = x Phi(x),   dx = dy (Phi(x) + x phi(x)).
 * cpu/vmath.h has the approximation of Phi; its error stays below 2e-7. */
#include "cpu/rows.h"

static void forward(const bt_vector *v, float *y, const float *x, const float *unused, const float *none, int64_t n) {
    (void)unused, (void)none;
    v->gelu(y, x, n);
}

static bt_status prepare(bt_device *device, const bt_gelu_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("gelu", {"x", &a->x, BT_COMPUTE}, {"y", &a->y, BT_COMPUTE});
}

static bt_status run(bt_device *device, const bt_gelu_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_map(device, &a->y, forward, &a->x, NULL, NULL);
    return BT_OK;
}

const bt_gelu_kernel bt_cpu_gelu = {prepare, run};

static void backward(const bt_vector *v, float *dx, const float *dy, const float *x, const float *none, int64_t n) {
    (void)none;
    v->gelu_dx(dx, dy, x, n);
}

static bt_status prepare_dx(bt_device *device, const bt_gelu_dx_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("gelu_dx", {"dy", &a->dy, BT_COMPUTE}, {"x", &a->x, BT_COMPUTE},
                             {"dx", &a->dx, BT_COMPUTE});
}

static bt_status run_dx(bt_device *device, const bt_gelu_dx_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_map(device, &a->dx, backward, &a->dy, &a->x, NULL);
    return BT_OK;
}

const bt_gelu_dx_kernel bt_cpu_gelu_dx = {prepare_dx, run_dx};
