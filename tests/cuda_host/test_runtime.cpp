/* The host runtime catches what it promises to: mistakes are planted in small kernels, and each must give a wrong
 * result in one of the thread orders, or a status with the right words. The same kernels without the mistake must pass.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" { /* the header has no such thing of its own, and needs the four above */
#include <cmocka.h>
}

#include "kernel.cuh"

#include <string.h>
#include <vector>

static constexpr int SEEDS = 20;

/* ---- missing barriers: found by the order of the threads --------------------------------------------------------- */

/* out[i] = in[255 - i] through shared memory. */
template <bool BUG> __global__ void reverse_block(int *out, const int *in) {
    BT_SHARED(int, tile, [256]);
    const int i = (int)threadIdx.x;
    tile[i] = in[i];
    if (!BUG) __syncthreads();
    out[i] = tile[255 - i];
}

/* The same with the neighbouring lane only: a warp's own synchronisation is missing. */
template <bool BUG> __global__ void swap_lanes(int *out, const int *in) {
    BT_SHARED(int, tile, [256]);
    const int i = (int)threadIdx.x;
    tile[i] = in[i];
    if (!BUG) __syncwarp();
    out[i] = tile[i ^ 1];
}

/* Sums over the block, twice through the same array: the second pass must not overwrite what is still being read. */
template <bool BUG> __global__ void two_passes(int *out, const int *in) {
    BT_SHARED(int, first_of_warp, [8]);
    const int i = (int)threadIdx.x;
    int total = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (i % 32 == 0) first_of_warp[i / 32] = in[i] * (pass + 1);
        __syncthreads();
        for (int w = 0; w < 8; w++) total += first_of_warp[w];
        if (!BUG) __syncthreads();
    }
    out[i] = total;
}

/* out[i] = in[255 - i], copied asynchronously. */
template <bool BUG> __global__ void reverse_async(int *out, const int *in) {
    BT_SHARED(int, tile, [256]);
    const int i = (int)threadIdx.x;
    if (i < 64) bt_copy_async16(tile + 4 * i, in + 4 * i, true);
    bt_copy_async_commit();
    if (!BUG) bt_copy_async_wait<0>();
    __syncthreads();
    out[i] = tile[255 - i];
}

/* Two groups in flight; the first is used while the second is under way. */
template <bool BUG> __global__ void two_groups(int *out, const int *in) {
    BT_SHARED(int, tile, [256]);
    const int i = (int)threadIdx.x;
    for (int half = 0; half < 2; half++) {
        if (i < 32) bt_copy_async16(tile + 128 * half + 4 * i, in + 128 * half + 4 * i, true);
        bt_copy_async_commit();
    }
    bt_copy_async_wait<BUG ? 2 : 1>();
    __syncthreads();
    if (i < 128) out[i] = tile[127 - i];
    bt_copy_async_wait<0>();
    __syncthreads();
    if (i >= 128) out[i] = tile[383 - i];
}

typedef bt_status (*launcher)(int *out, const int *in);
template <bool BUG> static bt_status run_reverse(int *out, const int *in) {
    return BT_LAUNCH((reverse_block<BUG>), 1, 256, 0, NULL, out, in);
}
template <bool BUG> static bt_status run_swap(int *out, const int *in) {
    return BT_LAUNCH((swap_lanes<BUG>), 1, 256, 0, NULL, out, in);
}
template <bool BUG> static bt_status run_passes(int *out, const int *in) {
    return BT_LAUNCH((two_passes<BUG>), 1, 256, 0, NULL, out, in);
}
template <bool BUG> static bt_status run_async(int *out, const int *in) {
    return BT_LAUNCH((reverse_async<BUG>), 1, 256, 0, NULL, out, in);
}
template <bool BUG> static bt_status run_groups(int *out, const int *in) {
    return BT_LAUNCH((two_groups<BUG>), 1, 256, 0, NULL, out, in);
}

static int expect_reverse(const int *in, int i) {
    return in[255 - i];
}
static int expect_swap(const int *in, int i) {
    return in[i ^ 1];
}
static int expect_passes(const int *in, int) {
    int total = 0;
    for (int w = 0; w < 8; w++) total += 3 * in[32 * w];
    return total;
}
static int expect_groups(const int *in, int i) {
    return in[i < 128 ? 127 - i : 383 - i];
}

struct planted {
    const char *name;
    launcher sound, broken;
    int (*expected)(const int *in, int i);
};
static const planted missing_synchronisation[] = {
    {"__syncthreads after a write", run_reverse<false>, run_reverse<true>, expect_reverse},
    {"__syncwarp after a write", run_swap<false>, run_swap<true>, expect_swap},
    {"__syncthreads after a read", run_passes<false>, run_passes<true>, expect_passes},
    {"bt_copy_async_wait", run_async<false>, run_async<true>, expect_reverse},
    {"wait for one group less", run_groups<false>, run_groups<true>, expect_groups},
};

static bool right(launcher launch, const planted &mistake) {
    alignas(16) int in[256], out[256];
    for (int i = 0; i < 256; i++) in[i] = 1000 + i;
    memset(out, 0xff, sizeof out);
    assert_int_equal(launch(out, in), BT_OK);
    for (int i = 0; i < 256; i++) {
        if (out[i] != mistake.expected(in, i)) return false;
    }
    return true;
}

/* How many of the three orders give the right result. */
static int right_orders(launcher launch, const planted &mistake, uint64_t seed) {
    int count = 0;
    for (bt_host::thread_order order : {bt_host::FORWARD, bt_host::REVERSE, bt_host::RANDOM}) {
        bt_host::set_order(order, seed);
        count += right(launch, mistake);
    }
    return count;
}

static void test_missing_synchronisation(void **) {
    for (const planted &mistake : missing_synchronisation) {
        int caught = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            assert_int_equal(right_orders(mistake.sound, mistake, seed), 3);
            caught += right_orders(mistake.broken, mistake, seed) < 3;
        }
        if (caught < SEEDS) fail_msg("missing %s: caught with %d of %d seeds", mistake.name, caught, SEEDS);
    }
    bt_host::set_order(bt_host::FORWARD, 0);
}

/* One random order must find a missing barrier often by itself, for the table of operations draws few of them. */
static void test_random_order_alone(void **) {
    const planted &mistake = missing_synchronisation[2];
    int caught = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        bt_host::set_order(bt_host::RANDOM, seed);
        caught += !right(mistake.broken, mistake);
    }
    bt_host::set_order(bt_host::FORWARD, 0);
    assert_true(caught >= SEEDS / 2);
}

/* ---- faults: found by the runtime, in every order ---------------------------------------------------------------- */

__global__ void barrier_at_two_lines(int *out) {
    if (threadIdx.x % 2) {
        __syncthreads();
        out[0] = 1;
    } else {
        __syncthreads();
        out[1] = 1;
    }
}
__global__ void barrier_in_half_a_warp(int *out) {
    if (threadIdx.x % 32 < 16)
        __syncthreads();
    else
        out[threadIdx.x] = __shfl_sync(BT_FULL_WARP, (int)threadIdx.x, 3);
}
__global__ void mask_without_caller(int *out) {
    out[threadIdx.x] = __shfl_sync(0x0000ffffu, 5, 0);
}
__global__ void two_masks(int *out) {
    const unsigned mask = threadIdx.x % 32 == 7 ? 0x000000ffu : BT_FULL_WARP;
    out[threadIdx.x] = __shfl_xor_sync(mask, (int)threadIdx.x, 1);
}
__global__ void shuffle_from_exited(int *out) {
    if (threadIdx.x % 32 == 31) return;
    out[threadIdx.x] = __shfl_xor_sync(BT_FULL_WARP, (int)threadIdx.x, 1);
}
__global__ void reduction_of_part(int *out) {
    if (threadIdx.x % 32 >= 30) return;
    out[threadIdx.x] = bt_warp_sum(1);
}
__global__ void overrun_static(int *out) {
    BT_SHARED(int, tile, [64]);
    tile[threadIdx.x + 1] = 1;
    __syncthreads();
    out[threadIdx.x] = tile[threadIdx.x];
}
__global__ void overrun_dynamic(int *out) {
    BT_SHARED_DYNAMIC(int, tile);
    tile[threadIdx.x + 2] = 1;
    __syncthreads();
    out[threadIdx.x] = tile[threadIdx.x];
}
__global__ void misaligned_load(int *out) {
    float v[4];
    bt_load4(v, reinterpret_cast<const float *>(out) + 1 + threadIdx.x);
    out[threadIdx.x] = (int)v[0];
}
__global__ void copy_to_global(int *out) {
    bt_copy_async16(out, out + 4, true);
}
__global__ void endless_groups(int *) {
    for (int i = 0; i < 100; i++) bt_copy_async_commit();
}

struct planted_fault {
    void (*kernel)(int *);
    const char *name;
    const char *words[3];
};
#define FAULT(kernel, ...)                                                                                             \
    {                                                                                                                  \
        kernel, #kernel, {                                                                                             \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }
static const planted_fault faults[] = {
    FAULT(barrier_at_two_lines, "barrier divergence", "test_runtime.cpp:"),
    FAULT(barrier_in_half_a_warp, "nobody can go on", "in __syncthreads at", "in a warp collective at"),
    FAULT(mask_without_caller, "mask 0000ffff leaves it out", "thread 16"),
    FAULT(two_masks, "mask 000000ff", "mask ffffffff"),
    FAULT(shuffle_from_exited, "lane 30", "has exited"),
    FAULT(reduction_of_part, "all 32 lanes", "3fffffff"),
#ifndef __SANITIZE_ADDRESS__ /* which ends the program itself */
    FAULT(overrun_static, "write past tile of 256 bytes", "at byte 256"),
    FAULT(overrun_dynamic, "write past dynamic shared memory of 256 bytes"),
#endif
    FAULT(misaligned_load, "bt_load4", "not a multiple of 16"),
    FAULT(copy_to_global, "outside the block's shared arrays"),
    FAULT(endless_groups, "groups without a wait"),
};

static void test_faults(void **) {
    alignas(16) int out[256] = {};
    for (const planted_fault &fault : faults) {
        for (bt_host::thread_order order : {bt_host::FORWARD, bt_host::REVERSE, bt_host::RANDOM}) {
            bt_host::set_order(order, 5);
            void (*kernel)(int *) = fault.kernel;
            bt_error_clear();
            assert_int_equal(BT_LAUNCH((kernel), 1, 64, 256, NULL, out), BT_ERR_DEVICE);
            const char *message = bt_error_message();
            assert_non_null(strstr(message, "block (0,0,0)"));
            for (const char *word : fault.words) {
                /* which of the lanes is named first depends on the order */
                const bool order_free =
                    strncmp(word ? word : "", "thread ", 7) != 0 && strncmp(word ? word : "", "lane ", 5) != 0;
                if (word && (order_free || order == bt_host::FORWARD) && !strstr(message, word))
                    fail_msg("%s: \"%s\" is not in: %s", fault.name, word, message);
            }
        }
    }
    bt_host::set_order(bt_host::FORWARD, 0);
}

/* After a fault the next launch works. */
static void test_launch_after_fault(void **) {
    int out[64] = {};
    assert_int_equal(BT_LAUNCH((barrier_in_half_a_warp), 4, 64, 0, NULL, out), BT_ERR_DEVICE);
    assert_true(right(run_reverse<false>, missing_synchronisation[0]));
}

/* ---- launches ---------------------------------------------------------------------------------------------------- */

__global__ void count_threads(int *count, int width) {
    const int x = (int)(blockIdx.x * blockDim.x + threadIdx.x), y = (int)(blockIdx.y * blockDim.y + threadIdx.y);
    const int z = (int)(blockIdx.z * blockDim.z + threadIdx.z), height = (int)(gridDim.y * blockDim.y);
    atomicAdd(&count[(z * height + y) * width + x], 1);
}

static void test_grid(void **) {
    const dim3 grid(5, 3, 2), block(7, 2, 3);
    std::vector<int> count(35 * 6 * 6, 0);
    for (bt_host::thread_order order : {bt_host::FORWARD, bt_host::REVERSE, bt_host::RANDOM}) {
        bt_host::set_order(order, 3);
        const int64_t launches = bt_cuda_launch_count;
        int *data = count.data();
        assert_int_equal(BT_LAUNCH((count_threads), grid, block, 0, NULL, data, 35), BT_OK);
        assert_int_equal(bt_cuda_launch_count, launches + 1);
    }
    for (int n : count) assert_int_equal(n, 3);
    bt_host::set_order(bt_host::FORWARD, 0);
}

__global__ void fill_dynamic(int *out, int n) {
    BT_SHARED_DYNAMIC(int, tile);
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) tile[i] = i;
    __syncthreads();
    if (threadIdx.x == 0) out[0] = tile[n - 1];
}

static void test_launch_limits(void **) {
    int out[64] = {};
    const int n = 15000;
    const size_t bytes = n * sizeof(int);
    assert_int_equal(BT_LAUNCH((fill_dynamic), 1, 32, bytes, NULL, out, n), BT_ERR_DEVICE);
    assert_non_null(strstr(bt_error_message(), "60000 bytes of dynamic shared memory without BT_ALLOW_SHARED"));
    assert_int_equal(BT_ALLOW_SHARED((fill_dynamic), bytes), BT_OK);
    assert_int_equal(BT_LAUNCH((fill_dynamic), 1, 32, bytes, NULL, out, n), BT_OK);
    assert_int_equal(out[0], n - 1);
    assert_int_equal(BT_ALLOW_SHARED((fill_dynamic), (size_t)300 << 10), BT_ERR_UNSUPPORTED);
    assert_int_equal(BT_LAUNCH((overrun_static), 0, 64, 0, NULL, out), BT_ERR_DEVICE);
    assert_int_equal(BT_LAUNCH((overrun_static), 1, 1025, 0, NULL, out), BT_ERR_DEVICE);
    assert_int_equal(BT_LAUNCH((overrun_static), dim3(1, 65536), 64, 0, NULL, out), BT_ERR_DEVICE);
    assert_non_null(strstr(bt_error_message(), "grid of (1,65536,1)"));
}

__global__ void read_unset(float *out) {
    BT_SHARED(float, tile, [32]);
    out[threadIdx.x] = tile[threadIdx.x];
}

static void test_shared_memory_starts_as_nan(void **) {
    float out[32] = {};
    assert_int_equal(BT_LAUNCH((read_unset), 1, 32, 0, NULL, out), BT_OK);
    for (float v : out) assert_true(v != v);
}

/* ---- device memory ----------------------------------------------------------------------------------------------- */

extern "C" const bt_backend bt_cuda_host_backend;

static void test_write_past_device_memory(void **) {
    const bt_device_options options = {};
    bt_device *device = NULL;
    void *memory = NULL;
    assert_int_equal(bt_cuda_host_backend.open(&options, &device), BT_OK);
    assert_int_equal(bt_cuda_host_backend.alloc(device, 100, &memory), BT_OK);
    assert_int_equal((uintptr_t)memory % 256, 0);
    char *bytes = static_cast<char *>(memory);
    assert_int_equal(bt_cuda_host_backend.synchronize(device), BT_OK);
#ifndef __SANITIZE_ADDRESS__
    const char kept = bytes[100];
    bytes[100] = 0;
    assert_int_equal(bt_cuda_host_backend.synchronize(device), BT_ERR_DEVICE);
    assert_non_null(strstr(bt_error_message(), "block of 100 bytes of device memory, at byte 100"));
    bytes[100] = kept;
#endif
    bt_cuda_host_backend.free(device, bytes);
    assert_int_equal(bt_cuda_host_backend.alloc_host(device, 100, &memory), BT_OK);
    assert_int_equal((uintptr_t)memory % 256, 0);
    memset(memory, 1, 100);
    bt_cuda_host_backend.free_host(device, memory);
    bt_cuda_host_backend.close(device);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_synchronisation),
        cmocka_unit_test(test_random_order_alone),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_launch_after_fault),
        cmocka_unit_test(test_grid),
        cmocka_unit_test(test_launch_limits),
        cmocka_unit_test(test_shared_memory_starts_as_nan),
        cmocka_unit_test(test_write_past_device_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
