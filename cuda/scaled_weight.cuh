/* The weight of a linear layer under LayerScale: its rows multiplied by the layer's factors. Frozen, it is copied once
 * when the plan is made (frozen.cuh); else it is made in scratch before each product.
 */
#ifndef BITTERN_CUDA_SCALED_WEIGHT_CUH
#define BITTERN_CUDA_SCALED_WEIGHT_CUH

#include "linear.cuh"

inline bool bt_scaled_once(const bt_tensor &w, const bt_tensor &scale) {
    return bt_is_frozen(w) && bt_is_frozen(scale);
}

/** *copy of the scaled weight if that lasts, else NULL; *scaled is how it lies, without memory if it is made in
 * scratch, of which it then needs *scratch_bytes. Without a scale it is w itself. */
inline bt_status bt_scaled_weight_prepare(bt_device *device, const bt_tensor &w, const bt_tensor &scale,
                                          bt_frozen_copy **copy, bt_tensor *scaled, size_t *scratch_bytes) {
    *copy = NULL;
    *scratch_bytes = 0;
    *scaled = w;
    if (!bt_present(&scale)) return BT_OK;
    *scaled = bt_tensor_of(NULL, w.dtype, w.shape);
    const bt_scaled_matrix form = bt_scaled_weight(w, scale);
    if (bt_scaled_once(w, scale)) return bt_frozen_take(device, &form, copy);
    *scratch_bytes = bt_align256(bt_scaled_bytes(form));
    return BT_OK;
}

/** *ready: the memory of the scaled weight, made in `scratch` if there is no copy. */
inline bt_status bt_scaled_weight_ready(bt_device *device, const bt_tensor &w, const bt_tensor &scale,
                                        const bt_frozen_copy *copy, void *scratch, const void **ready) {
    *ready = copy ? bt_frozen_data(copy) : w.data;
    if (copy || !bt_present(&scale)) return BT_OK;
    const bt_scaled_matrix form = bt_scaled_weight(w, scale);
    *ready = scratch;
    return bt_scale_matrix(device, &form, scratch);
}

/** bt_linear_prepare of one product, whose state takes over `copy`. */
inline bt_status bt_linear_prepare_scaled(bt_device *device, const bt_product &product, bt_frozen_copy *copy,
                                          size_t own_bytes, bt_prepared *out) {
    const bt_status status = bt_linear_prepare(device, {product}, own_bytes, out);
    if (status == BT_OK)
        static_cast<bt_linear_plans *>(out->state)->weight = copy;
    else
        bt_frozen_drop(device, copy);
    return status;
}

#endif
