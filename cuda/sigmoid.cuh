/* The logistic function with its derivative: quick_gelu, swiglu. */
#ifndef BITTERN_CUDA_SIGMOID_CUH
#define BITTERN_CUDA_SIGMOID_CUH

#include "kernel.cuh"

/** s(x) = 1 / (1 + e^-x) and s (1 - s), which is e^-|x| / (1 + e^-|x|)^2: written so, neither cancels on either side.
 */
struct bt_sigmoid {
    float value, slope;
};
BT_DEVICE bt_sigmoid bt_sigmoid_of(float x) {
    const float e = expf(-fabsf(x)), upper = 1.0f / (1.0f + e), lower = e * upper;
    return {x > 0.0f ? upper : lower, upper * lower};
}

#endif
