/* The same numbers in another dtype. f32 to bf16 rounds to nearest even, bf16 to f32 is exact. */
#include "operands.cuh"

namespace {

constexpr int THREADS = 256;

/* One thread, one pack of W columns. */
template <typename TY, typename TX, int W>
__global__ void __launch_bounds__(THREADS)
    convert(TY *y, const TX *x, int64_t ldy, int64_t ldx, int64_t rows, int64_t packs) {
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= rows * packs) return;
    const int64_t row = at / packs, column = (at - row * packs) * W;
    float v[W];
    bt_load(v, x + row * ldx + column);
    bt_store(y + row * ldy + column, v);
}

template <typename TY, typename TX> bt_status convert_typed(bt_device *device, const bt_tensor &y, const bt_tensor &x) {
    int64_t rows = bt_shape_rows(x.shape), cols = bt_shape_cols(x.shape);
    const int64_t count = rows * cols;
    if (count == 0) return BT_OK;
    TY *to = bt_data<TY>(y);
    const TX *from = bt_data<TX>(x);
    if (y.ld == cols && x.ld == cols) rows = 1, cols = count;
    const bool aligned = (uintptr_t)to % 16 == 0 && (uintptr_t)from % 16 == 0;
    if (aligned && cols % 8 == 0 && (rows == 1 || (y.ld % 8 == 0 && x.ld % 8 == 0)))
        return BT_LAUNCH((convert<TY, TX, 8>), bt_blocks(count / 8, THREADS), THREADS, 0, bt_cuda_stream(device), to,
                         from, y.ld, x.ld, rows, cols / 8);
    return BT_LAUNCH((convert<TY, TX, 1>), bt_blocks(count, THREADS), THREADS, 0, bt_cuda_stream(device), to, from,
                     y.ld, x.ld, rows, cols);
}

bt_status check(const char *operation, const bt_tensor &x, const bt_tensor &y) {
    BT_TRY(bt_cuda_require_compute(operation, "x", x));
    return bt_cuda_require_compute(operation, "y", y);
}

bt_status convert_any(bt_device *device, const bt_tensor &y, const bt_tensor &x) {
    if (y.dtype == BT_F32)
        return x.dtype == BT_F32 ? convert_typed<float, float>(device, y, x)
                                 : convert_typed<float, bt_bf16>(device, y, x);
    return x.dtype == BT_F32 ? convert_typed<bt_bf16, float>(device, y, x)
                             : convert_typed<bt_bf16, bt_bf16>(device, y, x);
}

bt_status prepare(bt_device *, const bt_cast_args *a, bt_prepared *) {
    return check("cast", a->x, a->y);
}

bt_status run(bt_device *device, const bt_cast_args *a, const bt_prepared *, void *) {
    return convert_any(device, a->y, a->x);
}

bt_status prepare_store(bt_device *, const bt_cast_store_args *a, bt_prepared *) {
    return check("cast_store", a->x, a->y);
}

bt_status run_store(bt_device *device, const bt_cast_store_args *a, const bt_prepared *, void *) {
    return convert_any(device, a->y, a->x);
}

} // namespace

BT_CUDA_KERNEL(cast, prepare, run)
BT_CUDA_KERNEL(cast_store, prepare_store, run_store)
