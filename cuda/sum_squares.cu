/* Sum of squares of a tensor, for clipping the gradient: sum (1) f32.
 *
 * Four accumulators a thread (eight in bf16) keep the chains short: at 3e8 elements each adds about 300 squares in f32,
 * and the sums above it are few.
 */
#include "sums.cuh"

namespace {

/** x as `packs` packs of W elements, `per_row` to a row; the elements behind the last pack are one thread's. */
template <typename T, int W>
__global__ void __launch_bounds__(BT_SUM_THREADS)
    sum_squares_partial(float *partial, const T *x, int64_t packs, int64_t per_row, int64_t ld, int64_t tail) {
    const int64_t stride = (int64_t)gridDim.x * BT_SUM_THREADS,
                  first = (int64_t)blockIdx.x * BT_SUM_THREADS + threadIdx.x;
    float sum[W] = {};
    for (int64_t at = first; at < packs; at += stride) {
        const int64_t row = packs == per_row ? 0 : at / per_row;
        float v[W];
        bt_load(v, x + row * ld + (at - row * per_row) * W);
#pragma unroll
        for (int i = 0; i < W; i++) sum[i] += v[i] * v[i];
    }
    float total = 0.0f;
#pragma unroll
    for (int i = 0; i < W; i++) total += sum[i];
    for (int64_t i = 0; first == 0 && i < tail; i++) {
        const float v = bt_to_float(x[packs * W + i]);
        total += v * v;
    }
    total = bt_block_sum(total);
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

template <typename T> unsigned blocks_of(const bt_tensor &x) {
    return bt_sum_blocks(bt_shape_count(x.shape), 4 * bt_pack_width<T>);
}

template <typename T> bt_status launch(bt_device *device, const bt_sum_squares_args *a, float *partial) {
    constexpr int W = bt_pack_width<T>;
    const int64_t count = bt_shape_count(a->x.shape), cols = bt_shape_cols(a->x.shape);
    const bool flat = a->x.ld == cols || bt_shape_rows(a->x.shape) == 1;
    const unsigned blocks = blocks_of<T>(a->x);
    const cudaStream_t stream = bt_cuda_stream(device);
    const T *x = bt_data<T>(a->x);
    if (flat && (uintptr_t)x % 16 == 0)
        BT_TRY(BT_LAUNCH((sum_squares_partial<T, W>), blocks, BT_SUM_THREADS, 0, stream, partial, x, count / W,
                         count / W, (int64_t)0, count % W));
    else
        BT_TRY(BT_LAUNCH((sum_squares_partial<T, 1>), blocks, BT_SUM_THREADS, 0, stream, partial, x, count,
                         flat ? count : cols, a->x.ld, (int64_t)0));
    return BT_LAUNCH((bt_sum_finish<BT_SUM_THREADS>), 1, BT_SUM_THREADS, 0, stream, bt_data<float>(a->sum), partial,
                     (int64_t)blocks, 1.0f);
}

bt_status prepare(bt_device *, const bt_sum_squares_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("sum_squares", "x", a->x));
    const unsigned blocks = a->x.dtype == BT_BF16 ? blocks_of<bt_bf16>(a->x) : blocks_of<float>(a->x);
    out->scratch_bytes = blocks * sizeof(float);
    return BT_OK;
}

bt_status run(bt_device *device, const bt_sum_squares_args *a, const bt_prepared *, void *scratch) {
    float *partial = static_cast<float *>(scratch);
    return a->x.dtype == BT_BF16 ? launch<bt_bf16>(device, a, partial) : launch<float>(device, a, partial);
}

} // namespace

BT_CUDA_KERNEL(sum_squares, prepare, run)
