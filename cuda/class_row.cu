/* The class token of each sample: y (N,1,D) = x[:, 0:1] of x (N,T,D).
 *
 *   backward  dx (N,T,D) = dy in row 0, 0 elsewhere;  + add
 *
 * One warp per row.
 */
#include "operands.cuh"

namespace {

template <typename T, int W>
__global__ void __launch_bounds__(BT_ROW_THREADS)
    class_row_copy(T *y, const T *x, int64_t samples, int64_t tokens, int64_t cols, int64_t ldy, int64_t ldx) {
    const int64_t n = bt_warp_row();
    if (n >= samples) return;
    for (int64_t c = bt_lane() * W; c < cols; c += 32 * W) {
        float v[W];
        bt_load(v, x + n * tokens * ldx + c);
        bt_store(y + n * ldy + c, v);
    }
}

/** dx may be add: an element is read before it is written, in one thread. */
template <typename T, int W>
__global__ void __launch_bounds__(BT_ROW_THREADS)
    class_row_spread(T *dx, const T *dy, const T *add, int64_t rows, int64_t tokens, int64_t cols, int64_t lddx,
                     int64_t lddy, int64_t ldadd) {
    const int64_t row = bt_warp_row();
    if (row >= rows) return;
    const int64_t n = row / tokens;
    const T *from = row == n * tokens ? dy + n * lddy : NULL;
    for (int64_t c = bt_lane() * W; c < cols; c += 32 * W) {
        float v[W] = {};
        bt_load_add(v, bt_at(from, 0, 0, c));
        bt_load_add(v, bt_at(add, row, ldadd, c));
        bt_store(dx + row * lddx + c, v);
    }
}

template <typename T, int W> bt_status launch_forward(bt_device *device, const bt_class_row_args *a) {
    const int64_t samples = a->x.shape.dim[0];
    return BT_LAUNCH((class_row_copy<T, W>), bt_blocks(samples, BT_ROW_WARPS), BT_ROW_THREADS, 0,
                     bt_cuda_stream(device), bt_data<T>(a->y), bt_data<T>(a->x), samples, a->x.shape.dim[1],
                     bt_shape_cols(a->x.shape), a->y.ld, a->x.ld);
}

template <typename T> bt_status choose_forward(bt_device *device, const bt_class_row_args *a) {
    constexpr int W = bt_pack_width<T>;
    const bool packable = bt_packable(a->x, W) && bt_packable(a->y, W);
    return packable ? launch_forward<T, W>(device, a) : launch_forward<T, 1>(device, a);
}

template <typename T, int W> bt_status launch_dx(bt_device *device, const bt_class_row_dx_args *a) {
    const int64_t rows = bt_shape_rows(a->dx.shape);
    return BT_LAUNCH((class_row_spread<T, W>), bt_blocks(rows, BT_ROW_WARPS), BT_ROW_THREADS, 0, bt_cuda_stream(device),
                     bt_data<T>(a->dx), bt_data<T>(a->dy), bt_data<T>(a->add), rows, a->dx.shape.dim[1],
                     bt_shape_cols(a->dx.shape), a->dx.ld, a->dy.ld, a->add.ld);
}

template <typename T> bt_status choose_dx(bt_device *device, const bt_class_row_dx_args *a) {
    constexpr int W = bt_pack_width<T>;
    const bool packable = bt_packable(a->dx, W) && bt_packable(a->dy, W) && bt_packable(a->add, W);
    return packable ? launch_dx<T, W>(device, a) : launch_dx<T, 1>(device, a);
}

bt_status prepare_forward(bt_device *, const bt_class_row_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("class_row", "x", a->x));
    return bt_cuda_require_same("class_row", "y", a->y, a->x);
}

bt_status run_forward(bt_device *device, const bt_class_row_args *a, const bt_prepared *, void *) {
    return a->x.dtype == BT_BF16 ? choose_forward<bt_bf16>(device, a) : choose_forward<float>(device, a);
}

bt_status prepare_dx(bt_device *, const bt_class_row_dx_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("class_row_dx", "dy", a->dy));
    BT_TRY(bt_cuda_require_same("class_row_dx", "dx", a->dx, a->dy));
    return bt_cuda_require_same("class_row_dx", "add", a->add, a->dy);
}

bt_status run_dx(bt_device *device, const bt_class_row_dx_args *a, const bt_prepared *, void *) {
    return a->dy.dtype == BT_BF16 ? choose_dx<bt_bf16>(device, a) : choose_dx<float>(device, a);
}

} // namespace

BT_CUDA_KERNEL(class_row, prepare_forward, run_forward)
BT_CUDA_KERNEL(class_row_dx, prepare_dx, run_dx)
