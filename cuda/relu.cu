/* ReLU: y = max(x, 0), dx = dy where y > 0. The comparison is written so that a NaN of x stays. */
#include "elementwise.cuh"

namespace {

struct forward {
    static BT_DEVICE_SPECIAL float apply(float x, float, float) { return x <= 0.0f ? 0.0f : x; }
};

struct backward {
    static BT_DEVICE_SPECIAL float apply(float dy, float y, float) { return y > 0.0f ? dy : 0.0f; }
};

bt_status prepare(bt_device *, const bt_relu_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("relu", "x", a->x));
    return bt_cuda_require_same("relu", "y", a->y, a->x);
}

bt_status run(bt_device *device, const bt_relu_args *a, const bt_prepared *, void *) {
    return bt_map<forward>(device, a->y, a->x, BT_ABSENT, BT_ABSENT);
}

bt_status prepare_dx(bt_device *, const bt_relu_dx_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("relu_dx", "dy", a->dy));
    BT_TRY(bt_cuda_require_same("relu_dx", "y", a->y, a->dy));
    return bt_cuda_require_same("relu_dx", "dx", a->dx, a->dy);
}

bt_status run_dx(bt_device *device, const bt_relu_dx_args *a, const bt_prepared *, void *) {
    return bt_map<backward>(device, a->dx, a->dy, a->y, BT_ABSENT);
}

} // namespace

BT_CUDA_KERNEL(relu, prepare, run)
BT_CUDA_KERNEL(relu_dx, prepare_dx, run_dx)
