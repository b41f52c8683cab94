/* The GELUs and their derivatives, for kernels of their own (gelu.cu, quick_gelu.cu) and behind products
 * (linear_gelu.cu). */
#ifndef BITTERN_CUDA_GELU_CUH
#define BITTERN_CUDA_GELU_CUH

#include "elementwise.cuh"
#include "sigmoid.cuh"

constexpr float BT_QUICK_GELU = 1.702f;

/** x Phi(x) with the exact normal distribution Phi. */
struct bt_gelu_forward {
    static BT_DEVICE_SPECIAL float apply(float x, float, float) {
        constexpr float sqrt_half = 0.70710678118654752f;
        return 0.5f * x * (1.0f + erff(x * sqrt_half));
    }
};

/** dy (Phi(x) + x phi(x)). */
struct bt_gelu_backward {
    static BT_DEVICE_SPECIAL float apply(float dy, float x, float) {
        constexpr float sqrt_half = 0.70710678118654752f, inverse_sqrt_2pi = 0.39894228040143268f;
        const float cdf = 0.5f * (1.0f + erff(x * sqrt_half));
        return dy * (cdf + x * inverse_sqrt_2pi * expf(-0.5f * x * x));
    }
};

/** x s(1.702 x) with the logistic function s. */
struct bt_quick_gelu_forward {
    static BT_DEVICE_SPECIAL float apply(float x, float, float) { return x * bt_sigmoid_of(BT_QUICK_GELU * x).value; }
};

/** dy (s + 1.702 x s (1 - s)). */
struct bt_quick_gelu_backward {
    static BT_DEVICE_SPECIAL float apply(float dy, float x, float) {
        const bt_sigmoid s = bt_sigmoid_of(BT_QUICK_GELU * x);
        return dy * (s.value + BT_QUICK_GELU * x * s.slope);
    }
};

#endif
