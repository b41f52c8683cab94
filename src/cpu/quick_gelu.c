/* The GELU of OpenAI's CLIP, with the logistic function s in place of the normal distribution (arXiv 1606.08415,
 * section 2): y = x s(1.702 x),   dx = dy (s + 1.702 x s (1 - s)). */
#include "cpu/rows.h"

static void forward(const bt_vector *v, float *y, const float *x, const float *unused, const float *none, int64_t n) {
    (void)unused, (void)none;
    v->quick_gelu(y, x, n);
}

static bt_status prepare(bt_device *device, const bt_quick_gelu_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("quick_gelu", {"x", &a->x, BT_COMPUTE}, {"y", &a->y, BT_COMPUTE});
}

static bt_status run(bt_device *device, const bt_quick_gelu_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_map(device, &a->y, forward, &a->x, NULL, NULL);
    return BT_OK;
}

const bt_quick_gelu_kernel bt_cpu_quick_gelu = {prepare, run};

static void backward(const bt_vector *v, float *dx, const float *dy, const float *x, const float *none, int64_t n) {
    (void)none;
    v->quick_gelu_dx(dx, dy, x, n);
}

static bt_status prepare_dx(bt_device *device, const bt_quick_gelu_dx_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("quick_gelu_dx", {"dy", &a->dy, BT_COMPUTE}, {"x", &a->x, BT_COMPUTE},
                             {"dx", &a->dx, BT_COMPUTE});
}

static bt_status run_dx(bt_device *device, const bt_quick_gelu_dx_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    bt_map(device, &a->dx, backward, &a->dy, &a->x, NULL);
    return BT_OK;
}

const bt_quick_gelu_dx_kernel bt_cpu_quick_gelu_dx = {prepare_dx, run_dx};
