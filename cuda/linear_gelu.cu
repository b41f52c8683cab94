/* A linear layer with its GELU: h = x w^T + b, y = gelu(h); and dh = gelu'(h) ((scale dy) w), which is where the
 * backward of the layer behind it (w, under LayerScale with scale) meets this one's.
 *
 * In bf16 the function is in the product's epilogue (fused_product.cuh): of 12 units of (M,C) that a product and a
 * kernel move, 8 or 4 are left. In f32, and where no engine does it (rows that are not at 16 bytes, a build without
 * cuDNN), a product is followed by the kernel.
 *
 * Scratch behind that of the products: [scaled w, unless a copy lasts]. */
#include "gelu.cuh"
#include "scaled_weight.cuh"

namespace {

/** True if a product of this form with the output d may go to an engine; addresses are looked at when it runs. */
bool fusible(const bt_product &p, const bt_tensor &d, const bt_tensor &h) {
    const int64_t all = p.n | p.k | p.lda | p.ldb | d.ld | (bt_present(&h) ? h.ld : 0);
    return p.dtype == BT_BF16 && all % 8 == 0 && bt_fused_available();
}

bool at_16_bytes(const void *a, const void *b, const void *c, const void *d, const void *e) {
    return ((uintptr_t)a | (uintptr_t)b | (uintptr_t)c | (uintptr_t)d | (uintptr_t)e) % 16 == 0;
}

/** Both ways are planned, the product for the kernel behind it and the engine with outputs d and h; no engine is no
 * error. */
bt_status prepare_both(bt_device *device, const bt_product &product, const bt_tensor &d, const bt_tensor &h,
                       bool backward, bool quick, bt_frozen_copy *copy, size_t own_bytes, bt_prepared *out) {
    BT_TRY(bt_linear_prepare_scaled(device, product, copy, own_bytes, out));
    if (!fusible(product, d, h)) return BT_OK;
    bt_linear_plans *plans = static_cast<bt_linear_plans *>(out->state);
    bt_fused_product fused = {};
    fused.m = product.m, fused.n = product.n, fused.k = product.k;
    fused.backward = backward, fused.quick = quick;
    fused.transpose_b = product.transpose_b, fused.bias = product.bias, fused.keeps_h = bt_present(&h);
    fused.lda = product.lda, fused.ldb = product.ldb, fused.ldd = d.ld, fused.ldh = bt_present(&h) ? h.ld : 0;
    size_t bytes = plans->product_scratch_bytes;
    bt_status status = bt_fused_prepare(device, &fused, &plans->fused, &bytes);
    if (status != BT_OK && status != BT_ERR_UNSUPPORTED) {
        out->release(out->state);
        *out = {};
        return status;
    }
    plans->product_scratch_bytes = bt_align256(bytes);
    out->scratch_bytes = plans->product_scratch_bytes + own_bytes;
    return BT_OK;
}

bt_status prepare_forward(bt_device *device, const bt_linear_gelu_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("linear_gelu", "x", a->x));
    BT_TRY(bt_cuda_require_same("linear_gelu", "w", a->w, a->x));
    BT_TRY(bt_cuda_require("linear_gelu", "b", a->b, BT_F32));
    BT_TRY(bt_cuda_require_same("linear_gelu", "y", a->y, a->x));
    BT_TRY(bt_cuda_require_same("linear_gelu", "h", a->h, a->x));
    const bt_product product = bt_linear_product(a->x, a->w, a->b, BT_ABSENT, bt_present(&a->h) ? a->h : a->y);
    return prepare_both(device, product, a->y, a->h, false, a->quick != 0, NULL, 0, out);
}

bt_status run_forward(bt_device *device, const bt_linear_gelu_args *a, const bt_prepared *prepared, void *scratch) {
    const bt_linear_plans *plans = bt_linear_plans_of(prepared);
    void *h = bt_data<void>(a->h);
    if (plans->fused && at_16_bytes(a->y.data, a->x.data, a->w.data, h, bt_data<void>(a->b)))
        return bt_fused_run(device, plans->fused, a->y.data, a->x.data, a->w.data, bt_data<float>(a->b), h, scratch);
    const bt_tensor &inner = h ? a->h : a->y;
    BT_TRY(
        bt_product_run(device, plans->plan[0], inner.data, a->x.data, a->w.data, NULL, bt_data<float>(a->b), scratch));
    return a->quick ? bt_map<bt_quick_gelu_forward>(device, a->y, inner, BT_ABSENT, BT_ABSENT)
                    : bt_map<bt_gelu_forward>(device, a->y, inner, BT_ABSENT, BT_ABSENT);
}

bt_status prepare_dx(bt_device *device, const bt_linear_gelu_dx_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("linear_gelu_dx", "dy", a->dy));
    BT_TRY(bt_cuda_require_same("linear_gelu_dx", "w", a->w, a->dy));
    BT_TRY(bt_cuda_require("linear_gelu_dx", "scale", a->scale, BT_F32));
    BT_TRY(bt_cuda_require_same("linear_gelu_dx", "h", a->h, a->dy));
    BT_TRY(bt_cuda_require_same("linear_gelu_dx", "dh", a->dh, a->dy));
    bt_frozen_copy *copy;
    bt_tensor w;
    size_t own_bytes;
    BT_TRY(bt_scaled_weight_prepare(device, a->w, a->scale, &copy, &w, &own_bytes));
    const bt_product product = bt_linear_dx_product(a->dy, w, BT_ABSENT, a->dh);
    return prepare_both(device, product, a->dh, a->h, true, a->quick != 0, copy, own_bytes, out);
}

bt_status run_dx(bt_device *device, const bt_linear_gelu_dx_args *a, const bt_prepared *prepared, void *scratch) {
    const bt_linear_plans *plans = bt_linear_plans_of(prepared);
    const void *w = NULL;
    BT_TRY(bt_scaled_weight_ready(device, a->w, a->scale, plans->weight, bt_linear_own_scratch(prepared, scratch), &w));
    if (plans->fused && at_16_bytes(a->dh.data, a->dy.data, w, a->h.data, NULL))
        return bt_fused_run(device, plans->fused, a->dh.data, a->dy.data, w, NULL, a->h.data, scratch);
    BT_TRY(bt_product_run(device, plans->plan[0], a->dh.data, a->dy.data, w, NULL, NULL, scratch));
    return a->quick ? bt_map<bt_quick_gelu_backward>(device, a->dh, a->dh, a->h, BT_ABSENT)
                    : bt_map<bt_gelu_backward>(device, a->dh, a->dh, a->h, BT_ABSENT);
}

} // namespace

BT_CUDA_KERNEL(linear_gelu, prepare_forward, run_forward)
BT_CUDA_KERNEL(linear_gelu_dx, prepare_dx, run_dx)
