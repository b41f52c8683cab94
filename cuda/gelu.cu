/* GELU with the exact normal distribution, Phi(x) = (1 + erf(x / sqrt 2)) / 2 (arXiv 1606.08415):
 *   y = x Phi(x),   dx = dy (Phi(x) + x phi(x)),   phi(x) = exp(-x^2 / 2) / sqrt(2 pi).
 */
#include "gelu.cuh"

namespace {

bt_status prepare(bt_device *, const bt_gelu_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("gelu", "x", a->x));
    return bt_cuda_require_same("gelu", "y", a->y, a->x);
}

bt_status run(bt_device *device, const bt_gelu_args *a, const bt_prepared *, void *) {
    return bt_map<bt_gelu_forward>(device, a->y, a->x, BT_ABSENT, BT_ABSENT);
}

bt_status prepare_dx(bt_device *, const bt_gelu_dx_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("gelu_dx", "dy", a->dy));
    BT_TRY(bt_cuda_require_same("gelu_dx", "x", a->x, a->dy));
    return bt_cuda_require_same("gelu_dx", "dx", a->dx, a->dy);
}

bt_status run_dx(bt_device *device, const bt_gelu_dx_args *a, const bt_prepared *, void *) {
    return bt_map<bt_gelu_backward>(device, a->dx, a->dy, a->x, BT_ABSENT);
}

} // namespace

BT_CUDA_KERNEL(gelu, prepare, run)
BT_CUDA_KERNEL(gelu_dx, prepare_dx, run_dx)
