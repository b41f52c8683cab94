/* Sums and maxima over the lanes of a warp, of a quad, and over a block: always in the same order, so the same bits.
 *
 * Every lane of the warp (every thread of the block) must call, and every one gets the result. On the host each of
 * these is one rendezvous instead of five shuffles, with the same order of additions. Included by kernel.cuh only.
 */
#ifndef BITTERN_CUDA_REDUCE_CUH
#define BITTERN_CUDA_REDUCE_CUH

static constexpr unsigned BT_FULL_WARP = 0xffffffffu;

#ifdef BT_CUDA_HOST

template <typename T> inline T bt_warp_sum(T v, BT_HOST_SITE) {
    return bt_host::reduce(v, bt_host::WARP_SUM, BT_HOST_SITE_ARG);
}
template <typename T> inline T bt_warp_max(T v, BT_HOST_SITE) {
    return bt_host::reduce(v, bt_host::WARP_MAX, BT_HOST_SITE_ARG);
}
template <typename T> inline T bt_quad_sum(T v, BT_HOST_SITE) {
    return bt_host::reduce(v, bt_host::QUAD_SUM, BT_HOST_SITE_ARG);
}
template <typename T> inline T bt_quad_max(T v, BT_HOST_SITE) {
    return bt_host::reduce(v, bt_host::QUAD_MAX, BT_HOST_SITE_ARG);
}

#else

/** Butterfly: v += v of lane^16, ^8, ^4, ^2, ^1. Addition commutes, so all lanes hold the same bits. T: float, double,
 * int. */
template <typename T> BT_DEVICE T bt_warp_sum(T v) {
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) v += __shfl_xor_sync(BT_FULL_WARP, v, step);
    return v;
}
/** A NaN is ignored, as fmax does. */
template <typename T> BT_DEVICE T bt_warp_max(T v) {
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) v = bt_max(v, __shfl_xor_sync(BT_FULL_WARP, v, step));
    return v;
}
/** Over the four lanes 4g..4g+3, which hold one row of an accumulator fragment (tensor_core.cuh). */
template <typename T> BT_DEVICE T bt_quad_sum(T v) {
    v += __shfl_xor_sync(BT_FULL_WARP, v, 2);
    return v + __shfl_xor_sync(BT_FULL_WARP, v, 1);
}
template <typename T> BT_DEVICE T bt_quad_max(T v) {
    v = bt_max(v, __shfl_xor_sync(BT_FULL_WARP, v, 2));
    return bt_max(v, __shfl_xor_sync(BT_FULL_WARP, v, 1));
}

#endif

/** Over the block: a multiple of 32 threads in x, all of them calling. Two barriers; may be called again at once. */
template <typename T> BT_DEVICE T bt_block_sum(T v) {
    BT_SHARED(T, partial, [32]);
    const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    v = bt_warp_sum(v);
    __syncthreads(); /* the readers of the call before are done */
    if (lane == 0) partial[warp] = v;
    __syncthreads();
    return bt_warp_sum(lane < blockDim.x / 32 ? partial[lane] : T(0));
}
template <typename T> BT_DEVICE T bt_block_max(T v) {
    BT_SHARED(T, partial, [32]);
    const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    v = bt_warp_max(v);
    __syncthreads();
    if (lane == 0) partial[warp] = v;
    __syncthreads();
    return bt_warp_max(lane < blockDim.x / 32 ? partial[lane] : v);
}

#endif
