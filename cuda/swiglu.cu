/* The gated unit of DINOv2's giant (SwiGLU, arXiv 2002.05202): x (M,2h) is [a | b], s the logistic function,
 *   y = a s(a) b,   da = dy b (s + a s (1 - s)),   db = dy a s.
 *
 * The forward is the map of two operands that happen to be halves of one. In the backward a thread does a pack of both
 * halves, reading all of it before it writes: dx may be x.
 */
#include "elementwise.cuh"
#include "sigmoid.cuh"

namespace {

struct forward {
    static BT_DEVICE_SPECIAL float apply(float a, float b, float) { return a * bt_sigmoid_of(a).value * b; }
};

/** Half `half` of the columns of x. */
bt_tensor half_of(const bt_tensor &x, int half) {
    bt_tensor t = x;
    const int64_t h = bt_shape_cols(x.shape) / 2;
    t.shape.dim[t.shape.rank - 1] = h;
    t.data = static_cast<char *>(x.data) + (size_t)(half * h) * bt_dtype_bytes(x.dtype);
    return t;
}

/* One thread: W columns of one row, in dy and in both halves of x and dx. */
template <typename T, int W>
__global__ void __launch_bounds__(BT_MAP_THREADS)
    swiglu_gradient(T *dx, const T *dy, const T *x, int64_t rows, int64_t packs, int64_t lddx, int64_t lddy,
                    int64_t ldx) {
    const int64_t at = (int64_t)blockIdx.x * BT_MAP_THREADS + threadIdx.x;
    if (at >= rows * packs) return;
    const int64_t row = at / packs, column = (at - row * packs) * W, h = packs * W;
    float g[W], a[W], b[W], da[W], db[W];
    bt_load(g, dy + row * lddy + column);
    bt_load(a, x + row * ldx + column);
    bt_load(b, x + row * ldx + h + column);
#pragma unroll
    for (int i = 0; i < W; i++) {
        const bt_sigmoid s = bt_sigmoid_of(a[i]);
        da[i] = g[i] * b[i] * (s.value + a[i] * s.slope);
        db[i] = g[i] * (a[i] * s.value);
    }
    bt_store(dx + row * lddx + column, da);
    bt_store(dx + row * lddx + h + column, db);
}

template <typename T, int W> bt_status launch_dx(bt_device *device, const bt_swiglu_dx_args *a) {
    const int64_t rows = bt_shape_rows(a->dy.shape), packs = bt_shape_cols(a->dy.shape) / W;
    return BT_LAUNCH((swiglu_gradient<T, W>), bt_blocks(rows * packs, BT_MAP_THREADS), BT_MAP_THREADS, 0,
                     bt_cuda_stream(device), bt_data<T>(a->dx), bt_data<T>(a->dy), bt_data<T>(a->x), rows, packs,
                     a->dx.ld, a->dy.ld, a->x.ld);
}

template <typename T> bt_status choose_dx(bt_device *device, const bt_swiglu_dx_args *a) {
    constexpr int W = bt_pack_width<T>;
    const bool halves = bt_packable(half_of(a->x, 1), W) && bt_packable(half_of(a->dx, 1), W);
    const bool packable = halves && bt_packable(a->x, W) && bt_packable(a->dx, W) && bt_packable(a->dy, W);
    return packable ? launch_dx<T, W>(device, a) : launch_dx<T, 1>(device, a);
}

bt_status prepare(bt_device *, const bt_swiglu_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("swiglu", "x", a->x));
    return bt_cuda_require_same("swiglu", "y", a->y, a->x);
}

bt_status run(bt_device *device, const bt_swiglu_args *a, const bt_prepared *, void *) {
    return bt_map<forward>(device, a->y, half_of(a->x, 0), half_of(a->x, 1), BT_ABSENT);
}

bt_status prepare_dx(bt_device *, const bt_swiglu_dx_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("swiglu_dx", "dy", a->dy));
    BT_TRY(bt_cuda_require_same("swiglu_dx", "x", a->x, a->dy));
    return bt_cuda_require_same("swiglu_dx", "dx", a->dx, a->dy);
}

bt_status run_dx(bt_device *device, const bt_swiglu_dx_args *a, const bt_prepared *, void *) {
    return a->dy.dtype == BT_F32 ? choose_dx<float>(device, a) : choose_dx<bt_bf16>(device, a);
}

} // namespace

BT_CUDA_KERNEL(swiglu, prepare, run)
BT_CUDA_KERNEL(swiglu_dx, prepare_dx, run_dx)
