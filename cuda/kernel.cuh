/* The one header that device code includes. Under nvcc it is CUDA; under g++ with -DBT_CUDA_HOST it is the host twin of
 * tests/cuda_host, where a CUDA thread is a fiber and every kernel runs, checked, on a machine without a GPU.
 *
 * What keeps a kernel compilable and checkable on both:
 * - Shared memory only through BT_SHARED and BT_SHARED_DYNAMIC; PTX only inside the wrappers of tensor_core.cuh.
 * - Synchronise only with __syncthreads, __syncwarp, the __shfl_*_sync and vote functions, and the wrappers below.
 * - Reductions and matrix tiles through the coarse wrappers (reduce.cuh, tensor_core.cuh): one rendezvous on the host,
 * the same instructions on the device.
 * - No __constant__ symbols, no waiting between blocks, no float atomics, no std:: library in device code.
 * - Every kernel has __launch_bounds__; indices that may pass 2^31 are int64_t.
 *
 * A family file ends with its slots:  BT_CUDA_KERNEL(gelu, prepare_gelu, run_gelu)
 */
#ifndef BITTERN_CUDA_KERNEL_CUH
#define BITTERN_CUDA_KERNEL_CUH

#include "tensor/backend.h"
#include <bittern/random.h>

#include <math.h>
#include <stdint.h>

#ifdef BT_CUDA_HOST
#include "cuda_host/host_runtime.h"
#define BT_DEVICE static inline
#define BT_DEVICE_SPECIAL inline
#else
#include <cuda_runtime.h>
#define BT_DEVICE static __device__ __forceinline__
#define BT_DEVICE_SPECIAL __device__ __forceinline__ /* members of functors, explicit specialisations */

/* BT_SHARED(float, partial, [32]); an array in shared memory. BT_SHARED_DYNAMIC(float, tile); the launch's
 * shared_bytes, 128-byte aligned. Neither is initialised (the host fills them with NaN). */
#define BT_SHARED(type, name, dimensions) __shared__ type name dimensions
#define BT_SHARED_DYNAMIC(type, name)                                                                                  \
    extern __shared__ __align__(128) unsigned char bt_shared_arena[];                                                  \
    type *name = reinterpret_cast<type *>(bt_shared_arena)

/* A bt_status: BT_OK or what the launch reports. The kernel stands in parentheses (template commas), arguments have no
 * side effects: return BT_LAUNCH((gelu<float>), grid, 256, 0, bt_cuda_stream(device), y, x, n); */
#define BT_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                                      \
    ((void)(kernel<<<(grid), (block), (shared_bytes), (stream)>>>(__VA_ARGS__)), bt_cuda_launched(#kernel))

/* More than 48 KB of dynamic shared memory must be asked for once per kernel, in `prepare`. A bt_status. */
#define BT_ALLOW_SHARED(kernel, shared_bytes)                                                                          \
    bt_cuda_allow_shared(reinterpret_cast<const void *>(kernel), #kernel, shared_bytes)
#endif

/** Counts the launch and turns cudaGetLastError into a status. */
bt_status bt_cuda_launched(const char *kernel);
/** What this process has issued to its stream besides transfers: kernels of ours, library calls, memsets and copies,
 * one each (tests hold bt_cost_launches to it). */
extern int64_t bt_cuda_launch_count;
bt_status bt_cuda_allow_shared(const void *kernel, const char *name, size_t shared_bytes);

#define BT_CUDA_KERNEL(name, prepare, run)                                                                             \
    extern "C" const bt_##name##_kernel bt_cuda_##name;                                                                \
    const bt_##name##_kernel bt_cuda_##name = {prepare, run};

/** Larger of two; a NaN loses against a number. */
BT_DEVICE float bt_max(float a, float b) {
    return fmaxf(a, b);
}
BT_DEVICE double bt_max(double a, double b) {
    return fmax(a, b);
}
BT_DEVICE int bt_max(int a, int b) {
    return a > b ? a : b;
}

#include "numbers.cuh"
#include "reduce.cuh"
#include "tensor_core.cuh"

/** Records a fault of operation `op` at `index` (row, pivot) in the step block; the first one stays. When several
 * threads of one kernel find one, any of them is named. */
BT_DEVICE void bt_report_fault(bt_step *step, bt_op op, int64_t index) {
    if (atomicCAS(&step->fault, 0, 1 + (int)op) == 0) step->fault_index = (int)index;
}

#endif
