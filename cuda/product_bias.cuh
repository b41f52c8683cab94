/* The bias of a product as cuBLASLt takes it: of the output's dtype, and at 16 bytes, as the library takes the
 * alignment from the address that its heuristic was shown. A frozen bias is brought into that form when the product is
 * planned, another one before each product, by a launch of its own, where it has not that form already.
 */
#ifndef BITTERN_CUDA_PRODUCT_BIAS_CUH
#define BITTERN_CUDA_PRODUCT_BIAS_CUH

#include "frozen.cuh"
#include "product.cuh"

constexpr uintptr_t BT_BIAS_ALIGNMENT = 16;

inline bool bt_bias_fits(const bt_product &p, const float *bias) {
    return p.out_dtype == BT_F32 && p.bias_scale == NULL && (uintptr_t)bias % BT_BIAS_ALIGNMENT == 0;
}

/** *copy for a frozen bias that does not fit, else NULL; scratch for one that may change. */
inline bt_status bt_product_bias_prepare(bt_device *device, const bt_product &p, bt_frozen_copy **copy,
                                         size_t *scratch_bytes) {
    *copy = NULL;
    if (!p.bias || (p.frozen_bias && bt_bias_fits(p, p.frozen_bias))) return BT_OK;
    const bt_scaled_matrix form = bt_scaled_bias(p.frozen_bias, p.bias_scale, p.n, p.out_dtype);
    if (p.frozen_bias) return bt_frozen_take(device, &form, copy);
    if (scratch_bytes && *scratch_bytes < bt_scaled_bytes(form)) *scratch_bytes = bt_scaled_bytes(form);
    return BT_OK;
}

/** *ready: what the product reads. */
inline bt_status bt_product_bias_ready(bt_device *device, const bt_product &p, const bt_frozen_copy *copy,
                                       const float *bias, void *scratch, const void **ready) {
    *ready = copy ? bt_frozen_data(copy) : bias;
    if (!p.bias || copy || bt_bias_fits(p, bias)) return BT_OK;
    const bt_scaled_matrix form = bt_scaled_bias(bias, p.bias_scale, p.n, p.out_dtype);
    *ready = scratch;
    return bt_scale_matrix(device, &form, scratch);
}

#endif
