/* The GELU of OpenAI's CLIP, with the logistic function s in place of the normal distribution (arXiv 1606.08415,
 * section 2): y = x s(1.702 x),   dx = dy (s + 1.702 x s (1 - s)).
 */
#include "gelu.cuh"

namespace {

bt_status prepare(bt_device *, const bt_quick_gelu_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("quick_gelu", "x", a->x));
    return bt_cuda_require_same("quick_gelu", "y", a->y, a->x);
}

bt_status run(bt_device *device, const bt_quick_gelu_args *a, const bt_prepared *, void *) {
    return bt_map<bt_quick_gelu_forward>(device, a->y, a->x, BT_ABSENT, BT_ABSENT);
}

bt_status prepare_dx(bt_device *, const bt_quick_gelu_dx_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("quick_gelu_dx", "dy", a->dy));
    BT_TRY(bt_cuda_require_same("quick_gelu_dx", "x", a->x, a->dy));
    return bt_cuda_require_same("quick_gelu_dx", "dx", a->dx, a->dy);
}

bt_status run_dx(bt_device *device, const bt_quick_gelu_dx_args *a, const bt_prepared *, void *) {
    return bt_map<bt_quick_gelu_backward>(device, a->dx, a->dy, a->x, BT_ABSENT);
}

} // namespace

BT_CUDA_KERNEL(quick_gelu, prepare, run)
BT_CUDA_KERNEL(quick_gelu_dx, prepare_dx, run_dx)
