/* Sums over rows, one per column, in two launches and always in the same order.
 *
 * The rows are cut into chunks whose number depends on the row count alone, so the bits do not depend on the device. A
 * block sums one chunk of a tile of columns: warp w takes the rows w, w+8, ..., lane l a pack of W columns. The eight
 * warps are added in order, the chunks' sums go to scratch, and the second launch adds those.
 *
 * What is summed is a functor F, copied to the device as a kernel argument:
 *   static constexpr int width, sums;        // columns per lane (W); sums per column (S)
 *   void add(int64_t row, int64_t column, float (&sum)[S][W]) const;
 */
#ifndef BITTERN_CUDA_COLUMNS_CUH
#define BITTERN_CUDA_COLUMNS_CUH

#include "operands.cuh"

constexpr int BT_COLUMN_WARPS = 8;
constexpr int64_t BT_COLUMN_CHUNKS = 256;    /* at most; two blocks for each multiprocessor of a large GPU */
constexpr int64_t BT_COLUMN_CHUNK_ROWS = 32; /* at least; four rows a warp */

/** Where the sums go; each (C) f32, NULL to drop one. */
template <int S> struct bt_column_outputs { float *sum[S]; };

inline int64_t bt_column_chunk_rows(int64_t rows) {
    const int64_t share = (rows + BT_COLUMN_CHUNKS - 1) / BT_COLUMN_CHUNKS;
    return share > BT_COLUMN_CHUNK_ROWS ? share : BT_COLUMN_CHUNK_ROWS;
}
inline unsigned bt_column_chunks(int64_t rows) {
    return bt_blocks(rows, bt_column_chunk_rows(rows));
}

/** Scratch of bt_column_sum for `sums` sums over rows x cols. */
inline size_t bt_column_scratch_bytes(int64_t rows, int64_t cols, int sums) {
    return (size_t)bt_column_chunks(rows) * (size_t)sums * (size_t)cols * sizeof(float);
}

/** partial (chunks,S,cols): sums of one chunk of rows. Grid (chunks, column tiles). */
template <typename F>
__global__ void __launch_bounds__(32 * BT_COLUMN_WARPS)
    bt_column_partial(float *partial, const F f, int64_t rows, int64_t cols, int64_t chunk_rows) {
    constexpr int W = F::width, S = F::sums;
    BT_SHARED(float, tile, [BT_COLUMN_WARPS][S * W * 32]);
    const int warp = (int)(threadIdx.x / 32), lane = bt_lane();
    const int64_t first_column = (int64_t)blockIdx.y * 32 * W, column = first_column + lane * W;
    const int64_t first = (int64_t)blockIdx.x * chunk_rows;
    const int64_t last = first + chunk_rows < rows ? first + chunk_rows : rows;

    float sum[S][W] = {};
    if (column < cols) {
#pragma unroll 2
        for (int64_t row = first + warp; row < last; row += BT_COLUMN_WARPS) f.add(row, column, sum);
    }
#pragma unroll
    for (int s = 0; s < S; s++) {
#pragma unroll
        for (int i = 0; i < W; i++) tile[warp][(s * W + i) * 32 + lane] = sum[s][i];
    }
    __syncthreads();
    for (int at = (int)threadIdx.x; at < S * W * 32; at += 32 * BT_COLUMN_WARPS) {
        float total = 0.0f;
        for (int w = 0; w < BT_COLUMN_WARPS; w++) total += tile[w][at];
        const int64_t to = first_column + at % 32 * W + at / 32 % W;
        if (to < cols) partial[((int64_t)blockIdx.x * S + at / (32 * W)) * cols + to] = total;
    }
}

/** Adds the chunks. Grid (column tiles of 32, S). */
template <int S>
__global__ void __launch_bounds__(32 * BT_COLUMN_WARPS)
    bt_column_finish(bt_column_outputs<S> out, const float *partial, int64_t chunks, int64_t cols, int accumulate) {
    BT_SHARED(float, tile, [BT_COLUMN_WARPS][32]);
    const int warp = (int)(threadIdx.x / 32), lane = bt_lane(), s = (int)blockIdx.y;
    const int64_t column = (int64_t)blockIdx.x * 32 + lane;
    float sum = 0.0f;
    if (column < cols) {
#pragma unroll 4
        for (int64_t chunk = warp; chunk < chunks; chunk += BT_COLUMN_WARPS)
            sum += partial[(chunk * S + s) * cols + column];
    }
    tile[warp][lane] = sum;
    __syncthreads();
    float *to = out.sum[s];
    if (warp != 0 || column >= cols || to == NULL) return;
    float total = accumulate ? to[column] : 0.0f;
    for (int w = 0; w < BT_COLUMN_WARPS; w++) total += tile[w][lane];
    to[column] = total;
}

/** out.sum[s][c] (+)= sum over rows of what f adds for column c. Two launches. */
template <typename F>
inline bt_status bt_column_sum(bt_device *device, const F &f, int64_t rows, int64_t cols,
                               bt_column_outputs<F::sums> out, bool accumulate, void *scratch) {
    float *partial = static_cast<float *>(scratch);
    const unsigned chunks = bt_column_chunks(rows);
    BT_TRY(BT_LAUNCH((bt_column_partial<F>), dim3(chunks, bt_blocks(cols, 32 * F::width)), 32 * BT_COLUMN_WARPS, 0,
                     bt_cuda_stream(device), partial, f, rows, cols, bt_column_chunk_rows(rows)));
    return BT_LAUNCH((bt_column_finish<F::sums>), dim3(bt_blocks(cols, 32), F::sums), 32 * BT_COLUMN_WARPS, 0,
                     bt_cuda_stream(device), out, partial, (int64_t)chunks, cols, (int)accumulate);
}

#endif
