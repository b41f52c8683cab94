/* Coding rate of V groups of N row-normalised rows x (V*N,D) f32, after arXiv 2510.27584 in its executable form:
 *
 *   A = I + D/(N eps) X^T X = L L^T,   loss = mean over groups of -1/2 logdet A (D+N)/(D N),   1/2 logdet A = sum log
 * L_ii saved: chol (V,D,D) = L;   dx = -weight/V (D+N)/(D N) D/(N eps) X A^-1, by two triangular solves with L
 *
 * All in f32: one product for the Gram matrices of all groups, the factor and the solves (cholesky.cuh), nothing
 * read back to the host. A non-positive pivot is recorded in the step block; the loss is then whatever the logarithms
 * give. These want contiguous matrices: padded operands go through scratch.
 */
#include "cholesky.cuh"
#include "product.cuh"
#include "sums.cuh"

#include <stdlib.h>

namespace {

/** Kept from prepare to run: scratch is [matrices of `work_bytes`, if the operand is padded][what product and factor
 * need].
 */
struct rate_state {
    bt_product_plan *gram;
    size_t work_bytes;
};

char *factor_scratch(const rate_state *state, void *scratch) {
    return static_cast<char *>(scratch) + state->work_bytes;
}
double gram_scale(int64_t rows, int64_t order, float eps) {
    return (double)order / ((double)rows * (double)eps);
}
double rate_scale(int64_t rows, int64_t order) {
    return ((double)order + (double)rows) / ((double)order * (double)rows);
}

/** a (matrices,order,order) += I. */
__global__ void __launch_bounds__(256) add_identity(float *a, int64_t matrices, int64_t order) {
    const int64_t i = (int64_t)blockIdx.x * 256 + threadIdx.x;
    if (i >= matrices * order) return;
    const int64_t matrix = i / order, row = i - matrix * order;
    a[(matrix * order + row) * order + row] += 1.0f;
}

/** loss = factor * sum over all matrices of log L_ii. One block. */
__global__ void __launch_bounds__(BT_SUM_THREADS)
    log_diagonals(float *loss, const float *factors, int64_t matrices, int64_t order, float factor) {
    float sum = 0.0f;
    for (int64_t i = threadIdx.x; i < matrices * order; i += BT_SUM_THREADS) {
        const int64_t matrix = i / order, row = i - matrix * order;
        sum += logf(factors[(matrix * order + row) * order + row]);
    }
    const float total = bt_block_sum(sum);
    if (threadIdx.x == 0) loss[0] = factor * total;
}

/** y = factor x, rows of any stride. One warp per row. */
__global__ void __launch_bounds__(BT_ROW_THREADS)
    scale_rows(float *y, const float *x, int64_t rows, int64_t cols, int64_t ldy, int64_t ldx, float factor) {
    const int64_t row = bt_warp_row();
    if (row >= rows) return;
    for (int64_t c = bt_lane(); c < cols; c += 32) y[row * ldy + c] = factor * x[row * ldx + c];
}

bt_status copy_scaled(bt_device *device, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t rows, int64_t cols,
                      float factor) {
    return BT_LAUNCH((scale_rows), bt_blocks(rows, BT_ROW_WARPS), BT_ROW_THREADS, 0, bt_cuda_stream(device), y, x, rows,
                     cols, ldy, ldx, factor);
}

void release(void *memory) {
    rate_state *state = static_cast<rate_state *>(memory);
    if (state != NULL) bt_product_release(state->gram);
    free(state);
}

bt_status prepare_forward(bt_device *device, const bt_coding_rate_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require("coding_rate", "x", a->x, BT_F32));
    const int64_t order = bt_shape_cols(a->x.shape), rows = bt_shape_rows(a->x.shape) / a->groups;
    bt_product gram = {};
    gram.m = gram.n = order;
    gram.k = rows;
    gram.dtype = gram.out_dtype = BT_F32;
    gram.transpose_a = true;
    gram.lda = gram.ldb = a->x.ld;
    gram.ldd = order;
    gram.alpha = (float)gram_scale(rows, order, a->eps);
    gram.batch = a->groups;
    gram.stride_a = gram.stride_b = rows * a->x.ld;
    gram.stride_d = order * order;
    gram.alignment_bytes = 4; /* rows of any length; the product is small */
    size_t product_bytes = 0, cholesky_bytes = 0;
    BT_TRY(bt_cholesky_prepare(device, a->groups, order, &cholesky_bytes));
    rate_state *state = static_cast<rate_state *>(calloc(1, sizeof *state));
    if (state == NULL) return bt_error(BT_ERR_MEMORY, "coding_rate on " BT_CUDA_BACKEND ": no memory for its plan");
    const bt_status status = bt_product_prepare(device, &gram, &state->gram, &product_bytes);
    if (status != BT_OK) {
        release(state);
        return status;
    }
    if (a->chol.ld != order) state->work_bytes = bt_align256((size_t)(a->groups * order * order) * sizeof(float));
    out->scratch_bytes = state->work_bytes + (product_bytes > cholesky_bytes ? product_bytes : cholesky_bytes);
    out->state = state;
    out->release = release;
    return BT_OK;
}

bt_status run_forward(bt_device *device, const bt_coding_rate_args *a, const bt_prepared *prepared, void *scratch) {
    const rate_state *state = static_cast<const rate_state *>(prepared->state);
    const int64_t order = bt_shape_cols(a->x.shape), rows = bt_shape_rows(a->x.shape) / a->groups;
    const bool padded = a->chol.ld != order;
    void *library = factor_scratch(state, scratch);
    float *factors = padded ? static_cast<float *>(scratch) : bt_data<float>(a->chol);
    BT_TRY(bt_product_run(device, state->gram, factors, a->x.data, a->x.data, NULL, NULL, library));
    BT_TRY(BT_LAUNCH((add_identity), bt_blocks(a->groups * order, 256), 256, 0, bt_cuda_stream(device), factors,
                     (int64_t)a->groups, order));
    BT_TRY(bt_cholesky_factor(device, a->groups, order, factors, BT_OP_coding_rate, library));
    BT_TRY(BT_LAUNCH((log_diagonals), 1, BT_SUM_THREADS, 0, bt_cuda_stream(device), bt_data<float>(a->loss), factors,
                     (int64_t)a->groups, order, (float)(-rate_scale(rows, order) / a->groups)));
    if (!padded) return BT_OK;
    return copy_scaled(device, bt_data<float>(a->chol), a->chol.ld, factors, order, a->groups * order, order, 1.0f);
}

/** Scratch: [factors, if chol is padded][dx, if dx is padded][library]. */
bt_status prepare_dx(bt_device *device, const bt_coding_rate_dx_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require("coding_rate_dx", "x", a->x, BT_F32));
    BT_TRY(bt_cuda_require("coding_rate_dx", "dx", a->dx, BT_F32));
    const int64_t order = bt_shape_cols(a->x.shape);
    size_t bytes = 0;
    BT_TRY(bt_cholesky_prepare(device, a->groups, order, &bytes));
    if (a->chol.ld != order) bytes += bt_align256((size_t)(a->groups * order * order) * sizeof(float));
    if (a->dx.ld != order) bytes += bt_align256((size_t)bt_shape_count(a->x.shape) * sizeof(float));
    out->scratch_bytes = bytes;
    return BT_OK;
}

bt_status run_dx(bt_device *device, const bt_coding_rate_dx_args *a, const bt_prepared *, void *scratch) {
    const int64_t order = bt_shape_cols(a->x.shape), all_rows = bt_shape_rows(a->x.shape), rows = all_rows / a->groups;
    char *free_scratch = static_cast<char *>(scratch);
    const float *factors = bt_data<float>(a->chol);
    float *dx = bt_data<float>(a->dx);
    if (a->chol.ld != order) {
        float *copy = reinterpret_cast<float *>(free_scratch);
        free_scratch += bt_align256((size_t)(a->groups * order * order) * sizeof(float));
        BT_TRY(copy_scaled(device, copy, order, factors, a->chol.ld, a->groups * order, order, 1.0f));
        factors = copy;
    }
    if (a->dx.ld != order) {
        dx = reinterpret_cast<float *>(free_scratch);
        free_scratch += bt_align256((size_t)bt_shape_count(a->x.shape) * sizeof(float));
    }
    const double scale = -(double)a->weight / a->groups * rate_scale(rows, order) * gram_scale(rows, order, a->eps);
    BT_TRY(copy_scaled(device, dx, order, bt_data<float>(a->x), a->x.ld, all_rows, order, (float)scale));
    BT_TRY(bt_cholesky_solve(device, a->groups, order, rows, factors, dx, free_scratch));
    if (a->dx.ld == order) return BT_OK;
    return copy_scaled(device, bt_data<float>(a->dx), a->dx.ld, dx, order, all_rows, order, 1.0f);
}

} // namespace

BT_CUDA_KERNEL(coding_rate, prepare_forward, run_forward)
BT_CUDA_KERNEL(coding_rate_dx, prepare_dx, run_dx)
