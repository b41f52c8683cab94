/* Softmax cross entropy, mean over rows: logits (N,C) f32, labels (N) i32, loss (1), saved: lse (N) = log sum exp of a
 * row.
 *
 *   loss = mean of lse - logits[label],   dlogits = weight (exp(logits - lse) - onehot) / N
 *
 * One block per row, two passes (maximum, then sum of exponentials); the rows' losses are added by one block in a fixed
 * order. That block also looks for labels outside 0..C-1 and names the first such row in the step block, so the message
 * does not depend on which thread came first; the loss is then NaN.
 */
#include "sums.cuh"

namespace {

constexpr int THREADS = 128;

__global__ void __launch_bounds__(THREADS)
    cross_entropy_rows(float *row_loss, float *lse, const float *logits, const int *labels, int64_t cols, int64_t ld) {
    const int64_t row = blockIdx.x;
    const float *l = logits + row * ld;
    float largest = -INFINITY, sum = 0.0f;
    for (int64_t c = threadIdx.x; c < cols; c += THREADS) largest = fmaxf(largest, l[c]);
    largest = bt_block_max(largest);
    for (int64_t c = threadIdx.x; c < cols; c += THREADS) sum += expf(l[c] - largest);
    sum = bt_block_sum(sum);
    if (threadIdx.x != 0) return;
    const int label = labels[row];
    const float log_sum = largest + logf(sum);
    lse[row] = log_sum;
    row_loss[row] = label >= 0 && label < cols ? log_sum - l[label] : NAN;
}

/** loss and the first bad label. One block. */
__global__ void __launch_bounds__(BT_SUM_THREADS)
    cross_entropy_finish(float *loss, const float *row_loss, const int *labels, int64_t rows, int64_t cols,
                         bt_step *step) {
    float sum = 0.0f;
    int nearest = 0; /* INT32_MAX - row of a bad label: the largest belongs to the first row; 0: none */
    for (int64_t row = threadIdx.x; row < rows; row += BT_SUM_THREADS) {
        sum += row_loss[row];
        if (labels[row] < 0 || labels[row] >= cols) nearest = bt_max(nearest, INT32_MAX - (int)row);
    }
    sum = bt_block_sum(sum);
    nearest = bt_block_max(nearest);
    if (threadIdx.x != 0) return;
    loss[0] = sum / (float)rows;
    if (nearest != 0) bt_report_fault(step, BT_OP_cross_entropy, INT32_MAX - nearest);
}

__global__ void __launch_bounds__(THREADS)
    cross_entropy_backward(float *dlogits, const float *logits, const int *labels, const float *lse, int64_t cols,
                           int64_t ldd, int64_t ld, float scale) {
    const int64_t row = blockIdx.x, label = labels[row];
    const float log_sum = lse[row];
    for (int64_t c = threadIdx.x; c < cols; c += THREADS)
        dlogits[row * ldd + c] = scale * (expf(logits[row * ld + c] - log_sum) - (c == label ? 1.0f : 0.0f));
}

bt_status prepare_forward(bt_device *, const bt_cross_entropy_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require("cross_entropy", "logits", a->logits, BT_F32));
    BT_TRY(bt_cuda_require("cross_entropy", "labels", a->labels, BT_I32));
    out->scratch_bytes = (size_t)bt_shape_rows(a->logits.shape) * sizeof(float);
    return BT_OK;
}

bt_status run_forward(bt_device *device, const bt_cross_entropy_args *a, const bt_prepared *, void *scratch) {
    const int64_t rows = bt_shape_rows(a->logits.shape), cols = bt_shape_cols(a->logits.shape);
    const cudaStream_t stream = bt_cuda_stream(device);
    const int *labels = bt_data<int>(a->labels);
    float *row_loss = static_cast<float *>(scratch);
    BT_TRY(BT_LAUNCH((cross_entropy_rows), bt_blocks(rows, 1), THREADS, 0, stream, row_loss, bt_data<float>(a->lse),
                     bt_data<float>(a->logits), labels, cols, a->logits.ld));
    return BT_LAUNCH((cross_entropy_finish), 1, BT_SUM_THREADS, 0, stream, bt_data<float>(a->loss), row_loss, labels,
                     rows, cols, device->step);
}

bt_status prepare_dx(bt_device *, const bt_cross_entropy_dx_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require("cross_entropy_dx", "logits", a->logits, BT_F32));
    BT_TRY(bt_cuda_require("cross_entropy_dx", "labels", a->labels, BT_I32));
    return bt_cuda_require("cross_entropy_dx", "dlogits", a->dlogits, BT_F32);
}

bt_status run_dx(bt_device *device, const bt_cross_entropy_dx_args *a, const bt_prepared *, void *) {
    const int64_t rows = bt_shape_rows(a->logits.shape);
    return BT_LAUNCH((cross_entropy_backward), bt_blocks(rows, 1), THREADS, 0, bt_cuda_stream(device),
                     bt_data<float>(a->dlogits), bt_data<float>(a->logits), bt_data<int>(a->labels),
                     bt_data<float>(a->lse), bt_shape_cols(a->logits.shape), a->dlogits.ld, a->logits.ld,
                     a->weight / (float)rows);
}

} // namespace

BT_CUDA_KERNEL(cross_entropy, prepare_forward, run_forward)
BT_CUDA_KERNEL(cross_entropy_dx, prepare_dx, run_dx)
