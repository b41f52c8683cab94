/* y = f(p, q, scale) element by element over rows of any stride: gelu, quick_gelu, swiglu, relu, add.
 *
 * One thread does one pack, reading all of it before it writes: y may be p or q. Operands without padding are treated
 * as one long row. These kernels are bound by memory; the division that finds the row costs nothing that shows.
 *
 * F is a type with   static BT_DEVICE_SPECIAL float apply(float p, float q, float scale);
 */
#ifndef BITTERN_CUDA_ELEMENTWISE_CUH
#define BITTERN_CUDA_ELEMENTWISE_CUH

#include "operands.cuh"

constexpr int BT_MAP_THREADS = 256;

/* Matrices with `packs` packs of W columns a row. */
template <typename T> struct bt_map_operands {
    T *y;               /* (rows, packs*W) */
    const T *p, *q;     /* like y; q NULL: 0 */
    const float *scale; /* (packs*W); NULL: 1 */
    int64_t ldy, ldp, ldq, rows, packs;
};

template <typename F, typename T, int W>
__global__ void __launch_bounds__(BT_MAP_THREADS) bt_map_kernel(const bt_map_operands<T> a) {
    const int64_t at = (int64_t)blockIdx.x * BT_MAP_THREADS + threadIdx.x;
    if (at >= a.rows * a.packs) return;
    const int64_t row = at / a.packs, column = (at - row * a.packs) * W;
    float y[W], p[W], q[W] = {}, scale[W];
    bt_load(p, a.p + row * a.ldp + column);
    if (a.q != NULL) bt_load(q, a.q + row * a.ldq + column);
    if (a.scale != NULL) {
        bt_load(scale, a.scale + column);
    } else {
#pragma unroll
        for (int i = 0; i < W; i++) scale[i] = 1.0f;
    }
#pragma unroll
    for (int i = 0; i < W; i++) y[i] = F::apply(p[i], q[i], scale[i]);
    bt_store(a.y + row * a.ldy + column, y);
}

template <typename F, typename T>
inline bt_status bt_map_typed(bt_device *device, const bt_tensor &y, const bt_tensor &p, const bt_tensor &q,
                              const bt_tensor &scale) {
    constexpr int W = bt_pack_width<T>;
    bt_map_operands<T> a = {bt_data<T>(y),
                            bt_data<T>(p),
                            bt_data<T>(q),
                            bt_data<float>(scale),
                            y.ld,
                            p.ld,
                            bt_present(&q) ? q.ld : 0,
                            bt_shape_rows(y.shape),
                            bt_shape_cols(y.shape)};
    const int64_t count = a.rows * a.packs;
    if (count == 0) return BT_OK;
    const bool dense = y.ld == a.packs && p.ld == a.packs && (a.q == NULL || q.ld == a.packs);
    if (dense && a.scale == NULL) a.rows = 1, a.packs = count;
    const uintptr_t all = (uintptr_t)a.y | (uintptr_t)a.p | (uintptr_t)a.q | (uintptr_t)a.scale;
    const bool aligned = all % 16 == 0;
    const bool strides = a.rows == 1 || (a.ldy % W == 0 && a.ldp % W == 0 && a.ldq % W == 0);
    if (aligned && strides && a.packs % W == 0) {
        a.packs /= W;
        return BT_LAUNCH((bt_map_kernel<F, T, W>), bt_blocks(count / W, BT_MAP_THREADS), BT_MAP_THREADS, 0,
                         bt_cuda_stream(device), a);
    }
    return BT_LAUNCH((bt_map_kernel<F, T, 1>), bt_blocks(count, BT_MAP_THREADS), BT_MAP_THREADS, 0,
                     bt_cuda_stream(device), a);
}

/** Launches y = F::apply(p, q, scale): y, p, q of one dtype, f32 or bf16; q and scale (cols) f32 may be absent. */
template <typename F>
inline bt_status bt_map(bt_device *device, const bt_tensor &y, const bt_tensor &p, const bt_tensor &q,
                        const bt_tensor &scale) {
    return y.dtype == BT_F32 ? bt_map_typed<F, float>(device, y, p, q, scale)
                             : bt_map_typed<F, bt_bf16>(device, y, p, q, scale);
}

constexpr bt_tensor BT_ABSENT = {};

#endif
