/* Sums of many terms into one f32 number, in two launches and always in the same order: blocks write partial sums, then
 * one block adds those. How many blocks there are depends on the number of terms alone, so the bits do not depend on
 * the device.
 */
#ifndef BITTERN_CUDA_SUMS_CUH
#define BITTERN_CUDA_SUMS_CUH

#include "operands.cuh"

constexpr int BT_SUM_THREADS = 256;
constexpr int64_t BT_SUM_BLOCKS = 1024; /* at most: eight for each multiprocessor of a large GPU */

/** Blocks of BT_SUM_THREADS for `terms` terms of which each thread takes at least `per_thread`. */
inline unsigned bt_sum_blocks(int64_t terms, int64_t per_thread) {
    const unsigned blocks = bt_blocks(terms, BT_SUM_THREADS * per_thread);
    return blocks < BT_SUM_BLOCKS ? blocks : (unsigned)BT_SUM_BLOCKS;
}

/** sum[0] = factor * (partial[0] + partial[1] + ...). One block. */
template <int THREADS>
__global__ void __launch_bounds__(THREADS)
    bt_sum_finish(float *sum, const float *partial, int64_t count, float factor) {
    float mine = 0.0f;
    for (int64_t i = threadIdx.x; i < count; i += THREADS) mine += partial[i];
    const float total = bt_block_sum(mine);
    if (threadIdx.x == 0) sum[0] = factor * total;
}

#endif
