/* Batch normalisation of z (V*N,C) f32: V groups (views) of N rows, each with statistics of its own.
 *
 *   forward   h = (z - mean) rstd, y = h w + b, rstd = 1/sqrt(var + eps), var biased; saved: stats (V,2,C) = mean, rstd
 *   running   r := (1 - momentum) r + momentum new, once per group in order, with the unbiased variance
 *   eval      y = (z - running_mean) / sqrt(running_var + eps) w + b
 *   backward  with g = dy w: dz = rstd (g - mean(g) - h mean(g h)) along the rows of a group
 *             dw = sum over all rows of dy h, db = sum of dy
 *
 * It normalises the logits of a head: C is the number of bits and N a batch, a few hundred kilobytes in all. So one
 * block owns 32 columns of a group and reads them again from the cache for each pass; sixteen warps share the rows.
 */
#include "columns.cuh"

namespace {

constexpr int WARPS = 16, THREADS = 32 * WARPS;

/** Sum over the warps of a block of what they hold for the column of this lane; every thread gets it. */
BT_DEVICE float column_total(float v) {
    BT_SHARED(float, tile, [WARPS][32]);
    const int warp = (int)(threadIdx.x / 32), lane = bt_lane();
    __syncthreads(); /* the readers of the call before are done */
    tile[warp][lane] = v;
    __syncthreads();
    float total = 0.0f;
    for (int w = 0; w < WARPS; w++) total += tile[w][lane];
    return total;
}

/** var (V,C), biased, is written for the running statistics; NULL if those are left alone. Grid (column tiles, V). */
__global__ void __launch_bounds__(THREADS)
    batch_norm_forward(float *y, float *stats, float *var, const float *z, const float *w, const float *b, int64_t rows,
                       int64_t cols, int64_t ldy, int64_t ldz, int64_t lds, float eps) {
    const int64_t column = (int64_t)blockIdx.x * 32 + bt_lane(), group = blockIdx.y;
    const int64_t first = group * rows + (int)(threadIdx.x / 32), last = (group + 1) * rows;
    const bool inside = column < cols;

    float sum = 0.0f, squares = 0.0f;
    for (int64_t row = first; inside && row < last; row += WARPS) sum += z[row * ldz + column];
    const float mean = column_total(sum) / (float)rows;
    for (int64_t row = first; inside && row < last; row += WARPS) {
        const float d = z[row * ldz + column] - mean;
        squares += d * d;
    }
    const float variance = column_total(squares) / (float)rows;
    if (!inside) return;
    const float rstd = 1.0f / sqrtf(variance + eps), scale = w[column], shift = b[column];
    if (threadIdx.x < 32) {
        stats[2 * group * lds + column] = mean;
        stats[(2 * group + 1) * lds + column] = rstd;
        if (var != NULL) var[group * cols + column] = variance;
    }
    for (int64_t row = first; row < last; row += WARPS)
        y[row * ldy + column] = (z[row * ldz + column] - mean) * rstd * scale + shift;
}

/** PyTorch called once per view would update once per view: the groups in order. */
__global__ void __launch_bounds__(THREADS)
    batch_norm_running(float *running_mean, float *running_var, const float *stats, const float *var, int64_t groups,
                       int64_t rows, int64_t cols, int64_t lds, float momentum) {
    const int64_t column = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (column >= cols) return;
    const float unbiased = (float)rows / (float)(rows - 1);
    float m = running_mean[column], v = running_var[column];
    for (int64_t group = 0; group < groups; group++) {
        m = (1.0f - momentum) * m + momentum * stats[2 * group * lds + column];
        v = (1.0f - momentum) * v + momentum * (var[group * cols + column] * unbiased);
    }
    running_mean[column] = m;
    running_var[column] = v;
}

/** One warp per row. y may be z. */
__global__ void __launch_bounds__(BT_ROW_THREADS)
    batch_norm_eval_rows(float *y, const float *z, const float *w, const float *b, const float *running_mean,
                         const float *running_var, int64_t rows, int64_t cols, int64_t ldy, int64_t ldz, float eps) {
    const int64_t row = bt_warp_row();
    if (row >= rows) return;
    for (int64_t c = bt_lane(); c < cols; c += 32)
        y[row * ldy + c] = (z[row * ldz + c] - running_mean[c]) / sqrtf(running_var[c] + eps) * w[c] + b[c];
}

/** dz may be dy: the last pass reads an element and then writes it, in one thread. Grid (column tiles, V). */
__global__ void __launch_bounds__(THREADS)
    batch_norm_backward(float *dz, const float *dy, const float *z, const float *w, const float *stats, int64_t rows,
                        int64_t cols, int64_t lddz, int64_t lddy, int64_t ldz, int64_t lds) {
    const int64_t column = (int64_t)blockIdx.x * 32 + bt_lane(), group = blockIdx.y;
    const int64_t first = group * rows + (int)(threadIdx.x / 32), last = (group + 1) * rows;
    const bool inside = column < cols;
    const float mean = inside ? stats[2 * group * lds + column] : 0.0f;
    const float rstd = inside ? stats[(2 * group + 1) * lds + column] : 0.0f;

    float sum_g = 0.0f, sum_gh = 0.0f; /* of dy and dy h: w is the same for the whole column and comes in at the end */
    for (int64_t row = first; inside && row < last; row += WARPS) {
        const float g = dy[row * lddy + column];
        sum_g += g;
        sum_gh += g * ((z[row * ldz + column] - mean) * rstd);
    }
    const float mean_g = column_total(sum_g) / (float)rows, mean_gh = column_total(sum_gh) / (float)rows;
    if (!inside) return;
    const float factor = rstd * w[column];
    for (int64_t row = first; row < last; row += WARPS) {
        const float h = (z[row * ldz + column] - mean) * rstd;
        dz[row * lddz + column] = factor * (dy[row * lddy + column] - mean_g - h * mean_gh);
    }
}

/** What one row adds to dw (sum 0) and db (sum 1). */
struct batch_norm_dw_terms {
    static constexpr int width = 1, sums = 2;
    const float *dy, *z, *stats;
    int64_t group_rows, lddy, ldz, lds;

    BT_DEVICE_SPECIAL void add(int64_t row, int64_t column, float (&sum)[2][1]) const {
        const int64_t group = row / group_rows;
        const float mean = stats[2 * group * lds + column], rstd = stats[(2 * group + 1) * lds + column];
        const float g = dy[row * lddy + column];
        sum[0][0] += g * ((z[row * ldz + column] - mean) * rstd);
        sum[1][0] += g;
    }
};

bt_status prepare_forward(bt_device *, const bt_batch_norm_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require("batch_norm", "z", a->z, BT_F32));
    BT_TRY(bt_cuda_require("batch_norm", "y", a->y, BT_F32));
    const int64_t rows = bt_shape_rows(a->z.shape), cols = bt_shape_cols(a->z.shape);
    if (a->update && rows / a->groups < 2)
        return bt_error(BT_ERR_SHAPE, "batch_norm: %lld rows per group; the running variance needs at least 2",
                        (long long)(rows / a->groups));
    if (a->update) out->scratch_bytes = (size_t)a->groups * (size_t)cols * sizeof(float);
    return BT_OK;
}

bt_status run_forward(bt_device *device, const bt_batch_norm_args *a, const bt_prepared *, void *scratch) {
    const int64_t rows = bt_shape_rows(a->z.shape) / a->groups, cols = bt_shape_cols(a->z.shape);
    const cudaStream_t stream = bt_cuda_stream(device);
    float *stats = bt_data<float>(a->stats), *var = a->update ? static_cast<float *>(scratch) : NULL;
    BT_TRY(BT_LAUNCH((batch_norm_forward), dim3(bt_blocks(cols, 32), (unsigned)a->groups), THREADS, 0, stream,
                     bt_data<float>(a->y), stats, var, bt_data<float>(a->z), bt_data<float>(a->w), bt_data<float>(a->b),
                     rows, cols, a->y.ld, a->z.ld, a->stats.ld, a->eps));
    if (!a->update) return BT_OK;
    return BT_LAUNCH((batch_norm_running), bt_blocks(cols, THREADS), THREADS, 0, stream,
                     bt_data<float>(a->running_mean), bt_data<float>(a->running_var), stats, var, (int64_t)a->groups,
                     rows, cols, a->stats.ld, a->momentum);
}

bt_status prepare_eval(bt_device *, const bt_batch_norm_eval_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require("batch_norm_eval", "z", a->z, BT_F32));
    return bt_cuda_require("batch_norm_eval", "y", a->y, BT_F32);
}

bt_status run_eval(bt_device *device, const bt_batch_norm_eval_args *a, const bt_prepared *, void *) {
    const int64_t rows = bt_shape_rows(a->z.shape);
    return BT_LAUNCH((batch_norm_eval_rows), bt_blocks(rows, BT_ROW_WARPS), BT_ROW_THREADS, 0, bt_cuda_stream(device),
                     bt_data<float>(a->y), bt_data<float>(a->z), bt_data<float>(a->w), bt_data<float>(a->b),
                     bt_data<float>(a->running_mean), bt_data<float>(a->running_var), rows, bt_shape_cols(a->z.shape),
                     a->y.ld, a->z.ld, a->eps);
}

bt_status prepare_dx(bt_device *, const bt_batch_norm_dx_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require("batch_norm_dx", "dy", a->dy, BT_F32));
    BT_TRY(bt_cuda_require("batch_norm_dx", "z", a->z, BT_F32));
    return bt_cuda_require("batch_norm_dx", "dz", a->dz, BT_F32);
}

bt_status run_dx(bt_device *device, const bt_batch_norm_dx_args *a, const bt_prepared *, void *) {
    const int64_t cols = bt_shape_cols(a->z.shape);
    return BT_LAUNCH((batch_norm_backward), dim3(bt_blocks(cols, 32), (unsigned)a->groups), THREADS, 0,
                     bt_cuda_stream(device), bt_data<float>(a->dz), bt_data<float>(a->dy), bt_data<float>(a->z),
                     bt_data<float>(a->w), bt_data<float>(a->stats), bt_shape_rows(a->z.shape) / a->groups, cols,
                     a->dz.ld, a->dy.ld, a->z.ld, a->stats.ld);
}

bt_status prepare_dw(bt_device *, const bt_batch_norm_dw_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require("batch_norm_dw", "dy", a->dy, BT_F32));
    BT_TRY(bt_cuda_require("batch_norm_dw", "z", a->z, BT_F32));
    out->scratch_bytes = bt_column_scratch_bytes(bt_shape_rows(a->z.shape), bt_shape_cols(a->z.shape), 2);
    return BT_OK;
}

bt_status run_dw(bt_device *device, const bt_batch_norm_dw_args *a, const bt_prepared *, void *scratch) {
    const int64_t rows = bt_shape_rows(a->z.shape);
    const batch_norm_dw_terms terms = {bt_data<float>(a->dy),
                                       bt_data<float>(a->z),
                                       bt_data<float>(a->stats),
                                       rows / a->groups,
                                       a->dy.ld,
                                       a->z.ld,
                                       a->stats.ld};
    return bt_column_sum(device, terms, rows, bt_shape_cols(a->z.shape),
                         {{bt_data<float>(a->dw), bt_data<float>(a->db)}}, a->accumulate != 0, scratch);
}

} // namespace

BT_CUDA_KERNEL(batch_norm, prepare_forward, run_forward)
BT_CUDA_KERNEL(batch_norm_eval, prepare_eval, run_eval)
BT_CUDA_KERNEL(batch_norm_dx, prepare_dx, run_dx)
BT_CUDA_KERNEL(batch_norm_dw, prepare_dw, run_dw)
