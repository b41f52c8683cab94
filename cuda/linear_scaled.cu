/* A linear layer under LayerScale with its residual: y = add + scale (x w^T + b), and dx = (scale dy) w + add.
 *
 * The scale goes into the rows of w and into b, so each is one product with beta = 1. y, which is written and read
 * again by a kernel of its own otherwise, is written once. In bf16 the scaled weight is rounded a second time; f, which
 * is rounded otherwise, is not.
 *
 * Scratch behind the product's: [scaled w, unless a copy lasts][scaled b f32, likewise]. */
#include "scaled_weight.cuh"

namespace {

bool scaled_bias_once(const bt_linear_scaled_args *a) {
    return bt_scaled_once(a->w, a->scale) && bt_is_frozen(a->b);
}

bt_status prepare_forward(bt_device *device, const bt_linear_scaled_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("linear_scaled", "x", a->x));
    BT_TRY(bt_cuda_require_same("linear_scaled", "w", a->w, a->x));
    BT_TRY(bt_cuda_require("linear_scaled", "b", a->b, BT_F32));
    BT_TRY(bt_cuda_require("linear_scaled", "scale", a->scale, BT_F32));
    BT_TRY(bt_cuda_require_same("linear_scaled", "add", a->add, a->x));
    BT_TRY(bt_cuda_require_same("linear_scaled", "y", a->y, a->x));
    bt_frozen_copy *copy;
    bt_tensor w;
    size_t own_bytes;
    BT_TRY(bt_scaled_weight_prepare(device, a->w, a->scale, &copy, &w, &own_bytes));
    bt_product product = bt_linear_product(a->x, w, a->b, a->add, a->y);
    product.frozen_bias = NULL;
    if (bt_present(&a->b) && scaled_bias_once(a))
        product.frozen_bias = bt_data<float>(a->b), product.bias_scale = bt_data<float>(a->scale);
    else if (bt_present(&a->b))
        own_bytes += (size_t)product.n * sizeof(float);
    return bt_linear_prepare_scaled(device, product, copy, own_bytes, out);
}

bt_status run_forward(bt_device *device, const bt_linear_scaled_args *a, const bt_prepared *prepared, void *scratch) {
    const bt_linear_plans *plans = bt_linear_plans_of(prepared);
    char *own = static_cast<char *>(bt_linear_own_scratch(prepared, scratch));
    const void *w = NULL;
    BT_TRY(bt_scaled_weight_ready(device, a->w, a->scale, plans->weight, own, &w));
    const float *bias = bt_data<float>(a->b);
    if (bias && !scaled_bias_once(a)) {
        const bt_scaled_matrix form =
            bt_scaled_bias(bias, bt_data<float>(a->scale), bt_shape_count(a->b.shape), BT_F32);
        if (!plans->weight) own += bt_align256(bt_scaled_bytes(bt_scaled_weight(a->w, a->scale)));
        BT_TRY(bt_scale_matrix(device, &form, own));
        bias = reinterpret_cast<const float *>(own);
    }
    return bt_product_run(device, plans->plan[0], a->y.data, a->x.data, w, a->add.data, bias, scratch);
}

bt_status prepare_dx(bt_device *device, const bt_linear_scaled_dx_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("linear_scaled_dx", "dy", a->dy));
    BT_TRY(bt_cuda_require_same("linear_scaled_dx", "w", a->w, a->dy));
    BT_TRY(bt_cuda_require("linear_scaled_dx", "scale", a->scale, BT_F32));
    BT_TRY(bt_cuda_require_same("linear_scaled_dx", "add", a->add, a->dy));
    BT_TRY(bt_cuda_require_same("linear_scaled_dx", "dx", a->dx, a->dy));
    bt_frozen_copy *copy;
    bt_tensor w;
    size_t own_bytes;
    BT_TRY(bt_scaled_weight_prepare(device, a->w, a->scale, &copy, &w, &own_bytes));
    return bt_linear_prepare_scaled(device, bt_linear_dx_product(a->dy, w, a->add, a->dx), copy, own_bytes, out);
}

bt_status run_dx(bt_device *device, const bt_linear_scaled_dx_args *a, const bt_prepared *prepared, void *scratch) {
    const bt_linear_plans *plans = bt_linear_plans_of(prepared);
    const void *w = NULL;
    BT_TRY(bt_scaled_weight_ready(device, a->w, a->scale, plans->weight, bt_linear_own_scratch(prepared, scratch), &w));
    return bt_product_run(device, plans->plan[0], a->dx.data, a->dy.data, w, bt_data<void>(a->add), NULL, scratch);
}

} // namespace

BT_CUDA_KERNEL(linear_scaled, prepare_forward, run_forward)
BT_CUDA_KERNEL(linear_scaled_dx, prepare_dx, run_dx)
