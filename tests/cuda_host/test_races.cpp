/* ThreadSanitizer on host-compiled kernels, one of its fibers per CUDA thread: a kernel without a race gives no report,
 * and one with a missing barrier gives a report even in the order of threads that hides it.
 */
#include "kernel.cuh"

#include <atomic>
#include <stdio.h>

static std::atomic<int> reports;
extern "C" void __tsan_on_report(void *) {
    reports++;
}
/* Reports are counted here; they must not decide the exit code. */
extern "C" const char *__tsan_default_options() {
    return "exitcode=0:report_bugs=1:suppress_equal_stacks=0:suppress_equal_addresses=0";
}

template <bool BARRIER> __global__ void pass_up(int *out) {
    BT_SHARED(int, tile, [64]);
    const int i = (int)threadIdx.x;
    tile[i] = i;
    if (BARRIER) __syncthreads();
    out[i] = i > 0 ? tile[i - 1] : 0; /* forward, the thread before has always written */
}
template <bool BARRIER> __global__ void pass_up_in_warp(int *out) {
    BT_SHARED(int, tile, [64]);
    const int i = (int)threadIdx.x;
    tile[i] = i;
    if (BARRIER) __syncwarp();
    out[i] = i % 32 > 0 ? tile[i - 1] : 0;
}
__global__ void same_word(int *out) {
    out[threadIdx.x / 2] = 1;
}
/* A copy is visible to the thread that waited; the others need the barrier too. */
template <bool BARRIER> __global__ void copy_then_read(int *out, const int *in) {
    BT_SHARED(int, tile, [64]);
    const int i = (int)threadIdx.x;
    if (i < 16) bt_copy_async16(tile + 4 * i, in + 4 * i, true);
    bt_copy_async_commit();
    bt_copy_async_wait<0>();
    if (BARRIER) __syncthreads();
    out[i] = tile[i];
}
__global__ void chain_of_collectives(float *out) {
    const float sum = bt_block_sum((float)threadIdx.x);
    out[threadIdx.x] = sum + bt_block_sum(sum) + bt_warp_max(sum);
}

static int failures;

static void expect(const char *what, bt_status status, bool race) {
    const int found = reports.exchange(0);
    const bool good = status == BT_OK && (found > 0) == race;
    printf("%s %s: %d reports\n", good ? "ok  " : "FAIL", what, found);
    failures += !good;
}

int main() {
    alignas(16) int in[64] = {}, out[64] = {};
    float floats[256] = {};
    int *o = out;
    const int *i = in;
    float *f = floats;
    bt_host::set_order(bt_host::FORWARD, 0);
    expect("barrier", BT_LAUNCH((pass_up<true>), 2, 64, 0, NULL, o), false);
    expect("missing barrier", BT_LAUNCH((pass_up<false>), 1, 64, 0, NULL, o), true);
    expect("warp barrier", BT_LAUNCH((pass_up_in_warp<true>), 1, 64, 0, NULL, o), false);
    expect("missing warp barrier", BT_LAUNCH((pass_up_in_warp<false>), 1, 64, 0, NULL, o), true);
    expect("two threads, one word", BT_LAUNCH((same_word), 1, 64, 0, NULL, o), true);
    expect("copy and barrier", BT_LAUNCH((copy_then_read<true>), 1, 64, 0, NULL, o, i), false);
    expect("copy without barrier", BT_LAUNCH((copy_then_read<false>), 1, 64, 0, NULL, o, i), true);
    expect("reductions", BT_LAUNCH((chain_of_collectives), 2, 256, 0, NULL, f), false);
    return failures != 0;
}
