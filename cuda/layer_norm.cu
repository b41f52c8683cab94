/* Layer normalisation of rows x (M,C).
 *
 *   forward   h = (x - mean) rstd, y = h w + b, rstd = 1/sqrt(var + eps), var biased; saved: stats (M,2) = mean, rstd
 *   backward  g = dy w, dx = rstd (g - mean(g) - h mean(g h)) + add;  dw = sum over rows of dy h, db = sum of dy
 *
 * A row is read once and held in registers, by one warp up to C = 1024 (bf16) or 512 (f32), by four warps up to 4096 or
 * 2048. The variance is that of the centred values, not E[x^2] - mean^2, which cancels for rows with a large mean.
 * Wider rows, odd widths and unaligned slices take a kernel that reads the row again from the cache.
 */
#include "columns.cuh"

namespace {

constexpr int ROW_THREADS = 128; /* of the register kernels: four rows by a warp each, or one row by four */
constexpr int LOOP_THREADS = 256;

/** Over the threads that share a row. */
template <int WARPS> BT_DEVICE float row_sum(float v) {
    return WARPS == 1 ? bt_warp_sum(v) : bt_block_sum(v);
}

template <int WARPS> BT_DEVICE int64_t my_row() {
    return WARPS == 1 ? (int64_t)blockIdx.x * (ROW_THREADS / 32) + (int)(threadIdx.x / 32) : (int64_t)blockIdx.x;
}

/** PACKS packs of W columns in each of 32*WARPS threads: the row with C <= 32*WARPS*PACKS*W. */
template <typename T, int WARPS, int PACKS>
__global__ void __launch_bounds__(ROW_THREADS)
    layer_norm_registers(T *y, float *stats, const T *x, const float *w, const float *b, int64_t rows, int cols,
                         int64_t ldy, int64_t ldx, int64_t lds, float eps) {
    constexpr int W = bt_pack_width<T>, THREADS = 32 * WARPS;
    const int64_t row = my_row<WARPS>();
    if (row >= rows) return;
    const int thread = (int)threadIdx.x % THREADS;

    float v[PACKS][W];
    float sum = 0.0f;
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
        const int column = (p * THREADS + thread) * W;
        if (column < cols) bt_load(v[p], x + row * ldx + column);
#pragma unroll
        for (int i = 0; i < W; i++) {
            if (column >= cols) v[p][i] = 0.0f;
            sum += v[p][i];
        }
    }
    const float mean = row_sum<WARPS>(sum) / (float)cols;
    float squares = 0.0f;
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
        const bool inside = (p * THREADS + thread) * W < cols;
#pragma unroll
        for (int i = 0; i < W; i++) {
            v[p][i] -= mean;
            if (inside) squares += v[p][i] * v[p][i];
        }
    }
    const float rstd = 1.0f / sqrtf(row_sum<WARPS>(squares) / (float)cols + eps);
    if (thread == 0) {
        stats[row * lds] = mean;
        stats[row * lds + 1] = rstd;
    }
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
        const int column = (p * THREADS + thread) * W;
        if (column >= cols) break;
        float scale[W], shift[W];
        if (w != NULL) {
            bt_load(scale, w + column);
            bt_load(shift, b + column);
        }
#pragma unroll
        for (int i = 0; i < W; i++) v[p][i] = w != NULL ? v[p][i] * rstd * scale[i] + shift[i] : v[p][i] * rstd;
        bt_store(y + row * ldy + column, v[p]);
    }
}

/** One block per row of any width and alignment; three passes. */
template <typename T>
__global__ void __launch_bounds__(LOOP_THREADS)
    layer_norm_loop(T *y, float *stats, const T *x, const float *w, const float *b, int64_t cols, int64_t ldy,
                    int64_t ldx, int64_t lds, float eps) {
    const int64_t row = blockIdx.x;
    x += row * ldx;
    y += row * ldy;
    float sum = 0.0f, squares = 0.0f;
    for (int64_t c = threadIdx.x; c < cols; c += LOOP_THREADS) sum += bt_to_float(x[c]);
    const float mean = bt_block_sum(sum) / (float)cols;
    for (int64_t c = threadIdx.x; c < cols; c += LOOP_THREADS) {
        const float d = bt_to_float(x[c]) - mean;
        squares += d * d;
    }
    const float rstd = 1.0f / sqrtf(bt_block_sum(squares) / (float)cols + eps);
    if (threadIdx.x == 0) {
        stats[row * lds] = mean;
        stats[row * lds + 1] = rstd;
    }
    for (int64_t c = threadIdx.x; c < cols; c += LOOP_THREADS) {
        const float h = (bt_to_float(x[c]) - mean) * rstd;
        y[c] = bt_from_float<T>(w != NULL ? h * w[c] + b[c] : h);
    }
}

/** dx may be dy or add: both are in registers before the store. */
template <typename T, int WARPS, int PACKS>
__global__ void __launch_bounds__(ROW_THREADS)
    layer_norm_dx_registers(T *dx, const T *dy, const T *x, const float *w, const float *stats, const T *add,
                            int64_t rows, int cols, int64_t lddx, int64_t lddy, int64_t ldx, int64_t lds,
                            int64_t ldadd) {
    constexpr int W = bt_pack_width<T>, THREADS = 32 * WARPS;
    const int64_t row = my_row<WARPS>();
    if (row >= rows) return;
    const int thread = (int)threadIdx.x % THREADS;
    const float mean = stats[row * lds], rstd = stats[row * lds + 1];

    float g[PACKS][W], h[PACKS][W];
    float sum_g = 0.0f, sum_gh = 0.0f;
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
        const int column = (p * THREADS + thread) * W;
        if (column < cols) {
            bt_load(g[p], dy + row * lddy + column);
            bt_load(h[p], x + row * ldx + column);
            float scale[W];
            if (w != NULL) bt_load(scale, w + column);
#pragma unroll
            for (int i = 0; i < W; i++) {
                if (w != NULL) g[p][i] *= scale[i];
                h[p][i] = (h[p][i] - mean) * rstd;
                sum_g += g[p][i];
                sum_gh += g[p][i] * h[p][i];
            }
        }
    }
    const float mean_g = row_sum<WARPS>(sum_g) / (float)cols;
    const float mean_gh = row_sum<WARPS>(sum_gh) / (float)cols;
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
        const int column = (p * THREADS + thread) * W;
        if (column >= cols) break;
#pragma unroll
        for (int i = 0; i < W; i++) g[p][i] = rstd * (g[p][i] - mean_g - h[p][i] * mean_gh);
        bt_load_add(g[p], bt_at(add, row, ldadd, column));
        bt_store(dx + row * lddx + column, g[p]);
    }
}

template <typename T>
__global__ void __launch_bounds__(LOOP_THREADS)
    layer_norm_dx_loop(T *dx, const T *dy, const T *x, const float *w, const float *stats, const T *add, int64_t cols,
                       int64_t lddx, int64_t lddy, int64_t ldx, int64_t lds, int64_t ldadd) {
    const int64_t row = blockIdx.x;
    const float mean = stats[row * lds], rstd = stats[row * lds + 1];
    dy += row * lddy;
    x += row * ldx;
    float sum_g = 0.0f, sum_gh = 0.0f;
    for (int64_t c = threadIdx.x; c < cols; c += LOOP_THREADS) {
        const float g = bt_to_float(dy[c]) * (w != NULL ? w[c] : 1.0f);
        sum_g += g;
        sum_gh += g * ((bt_to_float(x[c]) - mean) * rstd);
    }
    const float mean_g = bt_block_sum(sum_g) / (float)cols;
    const float mean_gh = bt_block_sum(sum_gh) / (float)cols;
    for (int64_t c = threadIdx.x; c < cols; c += LOOP_THREADS) {
        const float g = bt_to_float(dy[c]) * (w != NULL ? w[c] : 1.0f);
        float d[1] = {rstd * (g - mean_g - (bt_to_float(x[c]) - mean) * rstd * mean_gh)};
        bt_load_add(d, bt_at(add, row, ldadd, c));
        bt_store(dx + row * lddx + c, d);
    }
}

/** What one row adds to dw (sum 0) and db (sum 1). */
template <typename T, int W> struct layer_norm_dw_terms {
    static constexpr int width = W, sums = 2;
    const T *dy, *x;
    const float *stats;
    int64_t lddy, ldx, lds;

    BT_DEVICE_SPECIAL void add(int64_t row, int64_t column, float (&sum)[2][W]) const {
        const float mean = stats[row * lds], rstd = stats[row * lds + 1];
        float g[W], v[W];
        bt_load(g, dy + row * lddy + column);
        bt_load(v, x + row * ldx + column);
#pragma unroll
        for (int i = 0; i < W; i++) {
            sum[0][i] += g[i] * ((v[i] - mean) * rstd);
            sum[1][i] += g[i];
        }
    }
};

/** How many warps share a row of C columns, and how many packs each of their threads holds; packs 0: the looping
 * kernel. */
struct row_shape {
    int warps, packs;
};
row_shape row_shape_of(int64_t cols, int64_t width, bool packable) {
    const int64_t by_one = (cols + 32 * width - 1) / (32 * width), by_four = (cols + 128 * width - 1) / (128 * width);
    if (!packable || by_four > 4) return row_shape{1, 0};
    return by_one <= 4 ? row_shape{1, (int)by_one} : row_shape{4, (int)by_four};
}

/* The shapes that row_shape_of gives; four warps with one pack each would be one warp with four. */
#define EACH_ROW_SHAPE(CASE) CASE(1, 1) CASE(1, 2) CASE(1, 3) CASE(1, 4) CASE(4, 2) CASE(4, 3) CASE(4, 4)

template <typename T> bt_status launch_forward(cudaStream_t stream, const bt_layer_norm_args *a) {
    const int64_t rows = bt_shape_rows(a->x.shape), cols = bt_shape_cols(a->x.shape), width = bt_pack_width<T>;
    const bool packable =
        bt_packable(a->x, width) && bt_packable(a->y, width) && bt_packable(a->w, width) && bt_packable(a->b, width);
    const row_shape shape = row_shape_of(cols, width, packable);
    T *y = bt_data<T>(a->y);
    const T *x = bt_data<T>(a->x);
    float *stats = bt_data<float>(a->stats);
    const float *w = bt_data<float>(a->w), *b = bt_data<float>(a->b);
    if (rows == 0) return BT_OK;
    switch (shape.packs == 0 ? 0 : shape.warps * 8 + shape.packs) {
#define CASE(WARPS, PACKS)                                                                                             \
    case WARPS * 8 + PACKS:                                                                                            \
        return BT_LAUNCH((layer_norm_registers<T, WARPS, PACKS>), bt_blocks(rows, 4 / WARPS), ROW_THREADS, 0, stream,  \
                         y, stats, x, w, b, rows, (int)cols, a->y.ld, a->x.ld, a->stats.ld, a->eps);
        EACH_ROW_SHAPE(CASE)
#undef CASE
    default:
        return BT_LAUNCH((layer_norm_loop<T>), bt_blocks(rows, 1), LOOP_THREADS, 0, stream, y, stats, x, w, b, cols,
                         a->y.ld, a->x.ld, a->stats.ld, a->eps);
    }
}

template <typename T> bt_status launch_dx(cudaStream_t stream, const bt_layer_norm_dx_args *a) {
    const int64_t rows = bt_shape_rows(a->x.shape), cols = bt_shape_cols(a->x.shape), width = bt_pack_width<T>;
    const bool packable = bt_packable(a->x, width) && bt_packable(a->dy, width) && bt_packable(a->dx, width) &&
                          bt_packable(a->w, width) && bt_packable(a->add, width);
    const row_shape shape = row_shape_of(cols, width, packable);
    T *dx = bt_data<T>(a->dx);
    const T *dy = bt_data<T>(a->dy), *x = bt_data<T>(a->x), *add = bt_data<T>(a->add);
    const float *w = bt_data<float>(a->w), *stats = bt_data<float>(a->stats);
    if (rows == 0) return BT_OK;
    switch (shape.packs == 0 ? 0 : shape.warps * 8 + shape.packs) {
#define CASE(WARPS, PACKS)                                                                                             \
    case WARPS * 8 + PACKS:                                                                                            \
        return BT_LAUNCH((layer_norm_dx_registers<T, WARPS, PACKS>), bt_blocks(rows, 4 / WARPS), ROW_THREADS, 0,       \
                         stream, dx, dy, x, w, stats, add, rows, (int)cols, a->dx.ld, a->dy.ld, a->x.ld, a->stats.ld,  \
                         a->add.ld);
        EACH_ROW_SHAPE(CASE)
#undef CASE
    default:
        return BT_LAUNCH((layer_norm_dx_loop<T>), bt_blocks(rows, 1), LOOP_THREADS, 0, stream, dx, dy, x, w, stats, add,
                         cols, a->dx.ld, a->dy.ld, a->x.ld, a->stats.ld, a->add.ld);
    }
}

template <typename T, int W> bt_status launch_dw(bt_device *device, const bt_layer_norm_dw_args *a, void *scratch) {
    const layer_norm_dw_terms<T, W> terms = {bt_data<T>(a->dy), bt_data<T>(a->x), bt_data<float>(a->stats),
                                             a->dy.ld,          a->x.ld,          a->stats.ld};
    return bt_column_sum(device, terms, bt_shape_rows(a->x.shape), bt_shape_cols(a->x.shape),
                         {{bt_data<float>(a->dw), bt_data<float>(a->db)}}, a->accumulate != 0, scratch);
}

template <typename T> bt_status choose_dw(bt_device *device, const bt_layer_norm_dw_args *a, void *scratch) {
    constexpr int W = bt_pack_width<T>;
    const bool packable = bt_packable(a->x, W) && bt_packable(a->dy, W);
    return packable ? launch_dw<T, W>(device, a, scratch) : launch_dw<T, 1>(device, a, scratch);
}

bt_status prepare_forward(bt_device *, const bt_layer_norm_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("layer_norm", "x", a->x));
    BT_TRY(bt_cuda_require_same("layer_norm", "y", a->y, a->x));
    BT_TRY(bt_cuda_require("layer_norm", "w", a->w, BT_F32));
    return bt_cuda_require("layer_norm", "b", a->b, BT_F32);
}

bt_status run_forward(bt_device *device, const bt_layer_norm_args *a, const bt_prepared *, void *) {
    const cudaStream_t stream = bt_cuda_stream(device);
    return a->x.dtype == BT_BF16 ? launch_forward<bt_bf16>(stream, a) : launch_forward<float>(stream, a);
}

bt_status prepare_dx(bt_device *, const bt_layer_norm_dx_args *a, bt_prepared *) {
    BT_TRY(bt_cuda_require_compute("layer_norm_dx", "x", a->x));
    BT_TRY(bt_cuda_require_same("layer_norm_dx", "dy", a->dy, a->x));
    BT_TRY(bt_cuda_require_same("layer_norm_dx", "dx", a->dx, a->x));
    BT_TRY(bt_cuda_require_same("layer_norm_dx", "add", a->add, a->x));
    return bt_cuda_require("layer_norm_dx", "w", a->w, BT_F32);
}

bt_status run_dx(bt_device *device, const bt_layer_norm_dx_args *a, const bt_prepared *, void *) {
    const cudaStream_t stream = bt_cuda_stream(device);
    return a->x.dtype == BT_BF16 ? launch_dx<bt_bf16>(stream, a) : launch_dx<float>(stream, a);
}

bt_status prepare_dw(bt_device *, const bt_layer_norm_dw_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require_compute("layer_norm_dw", "x", a->x));
    BT_TRY(bt_cuda_require_same("layer_norm_dw", "dy", a->dy, a->x));
    out->scratch_bytes = bt_column_scratch_bytes(bt_shape_rows(a->x.shape), bt_shape_cols(a->x.shape), 2);
    return BT_OK;
}

bt_status run_dw(bt_device *device, const bt_layer_norm_dw_args *a, const bt_prepared *, void *scratch) {
    return a->x.dtype == BT_BF16 ? choose_dw<bt_bf16>(device, a, scratch) : choose_dw<float>(device, a, scratch);
}

} // namespace

BT_CUDA_KERNEL(layer_norm, prepare_forward, run_forward)
BT_CUDA_KERNEL(layer_norm_dx, prepare_dx, run_dx)
BT_CUDA_KERNEL(layer_norm_dw, prepare_dw, run_dw)
