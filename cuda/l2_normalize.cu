/* Rows scaled to length one, as F.normalize of PyTorch: y (M,C) f32 = x / max(|x|, eps); saved: norm (M) f32 = |x|.
 *
 *   backward  dx = (dy - y (y . dy)) / |x| where |x| > eps, else dy / eps;  + add
 *
 * One warp per row; the second pass finds the row in the cache.
 */
#include "operands.cuh"

namespace {

template <typename T, int W>
__global__ void __launch_bounds__(BT_ROW_THREADS) l2_normalize_rows(float *y, float *norm, const T *x, int64_t rows,
                                                                    int64_t cols, int64_t ldy, int64_t ldx, float eps) {
    const int64_t row = bt_warp_row();
    if (row >= rows) return;
    float sum = 0.0f;
    for (int64_t c = bt_lane() * W; c < cols; c += 32 * W) {
        float v[W];
        bt_load(v, x + row * ldx + c);
#pragma unroll
        for (int i = 0; i < W; i++) sum += v[i] * v[i];
    }
    const float length = sqrtf(bt_warp_sum(sum));
    const float inverse = 1.0f / (length < eps ? eps : length); /* a NaN stays */
    if (bt_lane() == 0) norm[row] = length;
    for (int64_t c = bt_lane() * W; c < cols; c += 32 * W) {
        float v[W];
        bt_load(v, x + row * ldx + c);
#pragma unroll
        for (int i = 0; i < W; i++) v[i] *= inverse;
        bt_store(y + row * ldy + c, v);
    }
}

/** dx may be dy or add: an element is read before it is written, in one thread. */
template <typename T, int W>
__global__ void __launch_bounds__(BT_ROW_THREADS)
    l2_normalize_dx_rows(T *dx, const float *dy, const float *y, const float *norm, const T *add, int64_t rows,
                         int64_t cols, int64_t lddx, int64_t lddy, int64_t ldy, int64_t ldadd, float eps) {
    const int64_t row = bt_warp_row();
    if (row >= rows) return;
    float sum = 0.0f;
    for (int64_t c = bt_lane() * W; c < cols; c += 32 * W) {
        float g[W], v[W];
        bt_load(g, dy + row * lddy + c);
        bt_load(v, y + row * ldy + c);
#pragma unroll
        for (int i = 0; i < W; i++) sum += g[i] * v[i];
    }
    const float length = norm[row];
    const bool clamped = length <= eps; /* y = x / eps there: no projection */
    const float dot = bt_warp_sum(sum), along = clamped ? 0.0f : dot, inverse = 1.0f / (clamped ? eps : length);
    for (int64_t c = bt_lane() * W; c < cols; c += 32 * W) {
        float g[W], v[W];
        bt_load(g, dy + row * lddy + c);
        bt_load(v, y + row * ldy + c);
#pragma unroll
        for (int i = 0; i < W; i++) g[i] = (g[i] - v[i] * along) * inverse;
        bt_load_add(g, bt_at(add, row, ldadd, c));
        bt_store(dx + row * lddx + c, g);
    }
}

template <typename T, int W> bt_status launch_forward(bt_device *device, const bt_l2_normalize_args *a) {
    const int64_t rows = bt_shape_rows(a->x.shape);
    return BT_LAUNCH((l2_normalize_rows<T, W>), bt_blocks(rows, BT_ROW_WARPS), BT_ROW_THREADS, 0,
                     bt_cuda_stream(device), bt_data<float>(a->y), bt_data<float>(a->norm), bt_data<T>(a->x), rows,
                     bt_shape_cols(a->x.shape), a->y.ld, a->x.ld, a->eps);
}

template <typename T> bt_status choose_forward(bt_device *device, const bt_l2_normalize_args *a) {
    constexpr int W = bt_pack_width<T>;
    const bool packable = bt_packable(a->x, W) && bt_packable(a->y, W);
    return packable ? launch_forward<T, W>(device, a) : launch_forward<T, 1>(device, a);
}

template <typename T, int W> bt_status launch_dx(bt_device *device, const bt_l2_normalize_dx_args *a) {
    const int64_t rows = bt_shape_rows(a->dy.shape);
    return BT_LAUNCH((l2_normalize_dx_rows<T, W>), bt_blocks(rows, BT_ROW_WARPS), BT_ROW_THREADS, 0,
                     bt_cuda_stream(device), bt_data<T>(a->dx), bt_data<float>(a->dy), bt_data<float>(a->y),
                     bt_data<float>(a->norm), bt_data<T>(a->add), rows, bt_shape_cols(a->dy.shape), a->dx.ld, a->dy.ld,
                     a->y.ld, a->add.ld, a->eps);
}

template <typename T> bt_status choose_dx(bt_device *device, const bt_l2_normalize_dx_args *a) {
    constexpr int W = bt_pack_width<T>;
    const bool packable =
        bt_packable(a->dx, W) && bt_packable(a->dy, W) && bt_packable(a->y, W) && bt_packable(a->add, W);
    return packable ? launch_dx<T, W>(device, a) : launch_dx<T, 1>(device, a);
}

bt_status prepare_forward(bt_device *, const bt_l2_normalize_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("l2_normalize", "x", a->x));
    return bt_cuda_require("l2_normalize", "y", a->y, BT_F32);
}

bt_status run_forward(bt_device *device, const bt_l2_normalize_args *a, const bt_prepared *, void *) {
    return a->x.dtype == BT_BF16 ? choose_forward<bt_bf16>(device, a) : choose_forward<float>(device, a);
}

bt_status prepare_dx(bt_device *, const bt_l2_normalize_dx_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("l2_normalize_dx", "dx", a->dx));
    BT_TRY(bt_cuda_require_same("l2_normalize_dx", "add", a->add, a->dx));
    BT_TRY(bt_cuda_require("l2_normalize_dx", "dy", a->dy, BT_F32));
    return bt_cuda_require("l2_normalize_dx", "y", a->y, BT_F32);
}

bt_status run_dx(bt_device *device, const bt_l2_normalize_dx_args *a, const bt_prepared *, void *) {
    return a->dx.dtype == BT_BF16 ? choose_dx<bt_bf16>(device, a) : choose_dx<float>(device, a);
}

} // namespace

BT_CUDA_KERNEL(l2_normalize, prepare_forward, run_forward)
BT_CUDA_KERNEL(l2_normalize_dx, prepare_dx, run_dx)
