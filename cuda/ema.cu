/* Exponential moving average: average += weight (param - average), the weight from the step block. One thread, one pack
 * of W columns; 12 bytes a parameter. */
#include "operands.cuh"

namespace {

constexpr int THREADS = 256;

template <int W>
__global__ void __launch_bounds__(THREADS)
    move_toward(float *average, const float *param, int64_t ld_average, int64_t ld_param, int64_t rows, int64_t packs,
                const bt_step *step) {
    const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= rows * packs) return;
    const int64_t row = at / packs, column = (at - row * packs) * W;
    const float weight = step->average_weight;
    float a[W], p[W];
    bt_load(a, average + row * ld_average + column);
    bt_load(p, param + row * ld_param + column);
#pragma unroll
    for (int i = 0; i < W; i++) a[i] += weight * (p[i] - a[i]);
    bt_store(average + row * ld_average + column, a);
}

bt_status prepare(bt_device *, const bt_ema_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require("ema", "average", a->average, BT_F32));
    return bt_cuda_require("ema", "param", a->param, BT_F32);
}

bt_status run(bt_device *device, const bt_ema_args *a, const bt_prepared *, void *) {
    int64_t rows = bt_shape_rows(a->average.shape), cols = bt_shape_cols(a->average.shape);
    const int64_t count = rows * cols;
    float *average = bt_data<float>(a->average);
    const float *param = bt_data<float>(a->param);
    if (a->average.ld == cols && a->param.ld == cols) rows = 1, cols = count;
    const bool aligned = ((uintptr_t)average | (uintptr_t)param) % 16 == 0;
    if (aligned && cols % 4 == 0 && (rows == 1 || (a->average.ld % 4 == 0 && a->param.ld % 4 == 0)))
        return BT_LAUNCH((move_toward<4>), bt_blocks(count / 4, THREADS), THREADS, 0, bt_cuda_stream(device), average,
                         param, a->average.ld, a->param.ld, rows, cols / 4, device->step);
    return BT_LAUNCH((move_toward<1>), bt_blocks(count, THREADS), THREADS, 0, bt_cuda_stream(device), average, param,
                     a->average.ld, a->param.ld, rows, cols, device->step);
}

} // namespace

BT_CUDA_KERNEL(ema, prepare, run)
