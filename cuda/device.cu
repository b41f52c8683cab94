/* The CUDA backend: device, memory, transfers, the step block, and the table of kernels (each cuda/<family>.cu defines
 * bt_cuda_<name>).
 *
 * All work goes to one stream. Uploads copy through the driver's staging buffers before they return; only download,
 * synchronize and upload wait for the device. Nothing in a kernel's `run` allocates or waits, so that instructions can
 * be captured into a graph.
 */
#include "fused_product.cuh"
#include "libraries.cuh"

#include <stdio.h>
#include <stdlib.h>

extern "C" {
#define BT_OP(family, name, operands, attributes, aliases, effect) extern const bt_##name##_kernel bt_cuda_##name;
#include "tensor/ops.def"
#undef BT_OP
extern const bt_backend bt_cuda_backend;
}

int64_t bt_cuda_launch_count = 0;

/* ---- status codes ------------------------------------------------------------------------------------------------ */

bt_status bt_cuda_check(cudaError_t code, const char *doing) {
    if (code == cudaSuccess) return BT_OK;
    (void)cudaGetLastError(); /* what a call has reported must not be blamed on the next launch */
    const bt_status status = code == cudaErrorMemoryAllocation ? BT_ERR_MEMORY : BT_ERR_DEVICE;
    return bt_error(status, "cuda: %s: %s (%s)", doing, cudaGetErrorString(code), cudaGetErrorName(code));
}

bt_status bt_cuda_check_blas(cublasStatus_t code, const char *doing) {
    if (code == CUBLAS_STATUS_SUCCESS) return BT_OK;
    return bt_error(BT_ERR_DEVICE, "cuda: %s: %s", doing, cublasLtGetStatusName(code));
}

bt_status bt_cuda_check_solver(cusolverStatus_t code, const char *doing) {
    if (code == CUSOLVER_STATUS_SUCCESS) return BT_OK;
    return bt_error(BT_ERR_DEVICE, "cuda: %s: cuSOLVER status %d", doing, (int)code);
}

bt_status bt_cuda_launched(const char *kernel) {
    bt_cuda_launch_count++;
    const cudaError_t code = cudaGetLastError();
    if (code == cudaSuccess) return BT_OK;
    return bt_error(BT_ERR_DEVICE, "cuda: at the launch of kernel %s (a fault may be of one before it): %s (%s)",
                    kernel, cudaGetErrorString(code), cudaGetErrorName(code));
}

bt_status bt_cuda_allow_shared(const void *kernel, const char *name, size_t shared_bytes) {
    int device = 0, most = 0;
    BT_TRY(bt_cuda_check(cudaGetDevice(&device), "current device"));
    BT_TRY(bt_cuda_check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
                         "limit of shared memory"));
    cudaFuncAttributes attributes;
    BT_TRY(bt_cuda_check(cudaFuncGetAttributes(&attributes, kernel), name));
    if (shared_bytes + attributes.sharedSizeBytes > (size_t)most)
        return bt_error(BT_ERR_UNSUPPORTED, "kernel %s needs %zu bytes of shared memory a block; the device has %d",
                        name, shared_bytes + attributes.sharedSizeBytes, most);
    if (shared_bytes <= (size_t)attributes.maxDynamicSharedSizeBytes) return BT_OK;
    return bt_cuda_check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes),
                         name);
}

/* The current device is a thread's own: whatever begins work in a thread says which one it is. */
static bt_status make_current(bt_device *device) {
    return bt_cuda_check(cudaSetDevice(bt_cuda_of(device)->index), "choosing the device");
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static bt_status cuda_alloc(bt_device *device, size_t bytes, void **out) {
    BT_TRY(make_current(device));
    void *memory = NULL;
    const cudaError_t code = cudaMalloc(&memory, bytes ? bytes : 1);
    if (code != cudaSuccess) {
        size_t free_bytes = 0, total_bytes = 0;
        cudaMemGetInfo(&free_bytes, &total_bytes);
        cudaGetLastError(); /* a refused allocation must not be blamed on the next launch */
        return bt_error(BT_ERR_MEMORY, "cuda: no memory for a block of %zu MiB (%zu of %zu MiB are free): %s",
                        bytes >> 20, free_bytes >> 20, total_bytes >> 20, cudaGetErrorName(code));
    }
    const bt_status status = bt_cuda_clear(device, memory, bytes);
    if (status != BT_OK) {
        cudaFree(memory);
        return status;
    }
    *out = memory;
    return BT_OK;
}

static void cuda_free(bt_device *, void *memory) {
    cudaFree(memory); /* waits for the kernels that use it */
}

/* Pinned: the copy engine reads it directly, where the driver would stage ordinary memory through a buffer of its own.
 */
static bt_status cuda_alloc_host(bt_device *, size_t bytes, void **out) {
    return bt_cuda_check(cudaHostAlloc(out, bytes ? bytes : 1, cudaHostAllocPortable), "pinned host memory");
}

static void cuda_free_host(bt_device *, void *memory) {
    cudaFreeHost(memory);
}

bt_status bt_cuda_clear(bt_device *device, void *memory, size_t bytes) {
    if (bytes == 0) return BT_OK;
    bt_cuda_launch_count++;
    return bt_cuda_check(cudaMemsetAsync(memory, 0, bytes, bt_cuda_stream(device)), "clearing memory");
}

bt_status bt_cuda_clear_rows(bt_device *device, void *memory, size_t pitch_bytes, size_t row_bytes, size_t rows) {
    if (rows == 0 || row_bytes == 0) return BT_OK;
    if (pitch_bytes == row_bytes || rows == 1) return bt_cuda_clear(device, memory, rows * row_bytes);
    bt_cuda_launch_count++;
    return bt_cuda_check(cudaMemset2DAsync(memory, pitch_bytes, 0, row_bytes, rows, bt_cuda_stream(device)),
                         "clearing memory");
}

bt_status bt_cuda_copy(bt_device *device, void *to, const void *from, size_t bytes) {
    if (bytes == 0) return BT_OK;
    bt_cuda_launch_count++;
    return bt_cuda_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, bt_cuda_stream(device)),
                         "copying memory");
}

static bt_status cuda_synchronize(bt_device *device) {
    return bt_cuda_check(cudaStreamSynchronize(bt_cuda_stream(device)), "waiting for the device");
}

/* From pinned host memory an asynchronous copy returns at once: the wait makes the memory the caller's again. */
static bt_status cuda_upload(bt_device *device, void *device_memory, const void *host, size_t bytes) {
    if (bytes == 0) return BT_OK;
    BT_TRY(make_current(device));
    BT_TRY(bt_cuda_check(cudaMemcpyAsync(device_memory, host, bytes, cudaMemcpyHostToDevice, bt_cuda_stream(device)),
                         "upload"));
    return cuda_synchronize(device);
}

static bt_status cuda_download(bt_device *device, void *host, const void *device_memory, size_t bytes) {
    if (bytes == 0) return cuda_synchronize(device);
    BT_TRY(bt_cuda_check(cudaMemcpyAsync(host, device_memory, bytes, cudaMemcpyDeviceToHost, bt_cuda_stream(device)),
                         "download"));
    return cuda_synchronize(device);
}

/* The step block is a kernel argument: copied when launched, so neither pinned memory nor a wait is needed. */
static __global__ void __launch_bounds__(1) write_step(bt_step *to, const bt_step from) {
    *to = from;
}

static bt_status cuda_set_step(bt_device *device, const bt_step *step) {
    BT_TRY(make_current(device));
    return BT_LAUNCH((write_step), 1, 1, 0, bt_cuda_stream(device), device->step, *step);
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

constexpr int LEAST_MAJOR = 8; /* bf16 mma.sync and cp.async */

static bt_status select_device(int index, cudaDeviceProp *properties) {
    int count = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code != cudaSuccess || count == 0) {
        cudaGetLastError();
        return bt_error(BT_ERR_UNSUPPORTED, "cuda: no device (%s)",
                        code == cudaSuccess ? "none is there" : cudaGetErrorString(code));
    }
    if (index < 0 || index >= count)
        return bt_error(BT_ERR_USAGE, "device cuda:%d does not exist; there are cuda:0 to cuda:%d", index, count - 1);
    BT_TRY(bt_cuda_check(cudaSetDevice(index), "choosing the device"));
    BT_TRY(bt_cuda_check(cudaGetDeviceProperties(properties, index), "properties of the device"));
    if (properties->major < LEAST_MAJOR)
        return bt_error(BT_ERR_UNSUPPORTED, "cuda:%d is a %s, compute capability %d.%d; 8.0 or later is needed", index,
                        properties->name, properties->major, properties->minor);
    return BT_OK;
}

static bt_status open_libraries(bt_cuda_device *device) {
    bt_cuda_libraries *libraries = device->libraries;
    BT_TRY(bt_cuda_check_blas(cublasLtCreate(&libraries->blas), "opening cuBLASLt"));
    BT_TRY(bt_cuda_check_solver(cusolverDnCreate(&libraries->solver), "opening cuSOLVER"));
    BT_TRY(bt_cuda_check_solver(cusolverDnSetStream(libraries->solver, device->stream), "opening cuSOLVER"));
    BT_TRY(bt_cuda_check_solver(cusolverDnSetDeterministicMode(libraries->solver, CUSOLVER_DETERMINISTIC_RESULTS),
                                "opening cuSOLVER"));
    return cuda_alloc(&device->base, BT_PRODUCT_WORKSPACE_BYTES, &libraries->workspace);
}

static void cuda_close(bt_device *base) {
    if (!base) return;
    bt_cuda_device *device = bt_cuda_of(base);
    BT_ASSERT(!device->frozen); /* plans are freed first */
    cudaFree(base->step);
    if (device->libraries) {
        bt_fused_close(device->libraries->engines);
        cudaFree(device->libraries->workspace);
        if (device->libraries->solver) cusolverDnDestroy(device->libraries->solver);
        if (device->libraries->blas) cublasLtDestroy(device->libraries->blas);
        free(device->libraries);
    }
    if (device->stream) cudaStreamDestroy(device->stream);
    free(device);
}

static bt_status open_parts(bt_cuda_device *device, int index) {
    cudaDeviceProp properties;
    BT_TRY(select_device(index, &properties));
    device->index = index;
    device->multiprocessors = properties.multiProcessorCount;
    device->shared_bytes = properties.sharedMemPerBlockOptin;
    BT_TRY(bt_cuda_check(cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking), "creating a stream"));
    void *step = NULL;
    BT_TRY(cuda_alloc(&device->base, sizeof(bt_step), &step));
    device->base.step = static_cast<bt_step *>(step);
    return open_libraries(device);
}

static bt_status cuda_open(const bt_device_options *options, bt_device **out) {
    bt_cuda_device *device = static_cast<bt_cuda_device *>(calloc(1, sizeof *device));
    bt_cuda_libraries *libraries = static_cast<bt_cuda_libraries *>(calloc(1, sizeof *libraries));
    if (!device || !libraries) {
        free(device);
        free(libraries);
        return bt_error(BT_ERR_MEMORY, "cuda: no memory for the device object");
    }
    device->base.backend = &bt_cuda_backend;
    device->libraries = libraries;
    const bt_status status = open_parts(device, options->index);
    if (status != BT_OK) {
        cuda_close(&device->base);
        return status;
    }
    *out = &device->base;
    return BT_OK;
}

/* ---- graphs ------------------------------------------------------------------------------------------------------ */

/* Of this thread only: the loader's threads ask for pinned memory meanwhile. */
static bt_status graph_begin(bt_device *device) {
    return bt_cuda_check(cudaStreamBeginCapture(bt_cuda_stream(device), cudaStreamCaptureModeThreadLocal),
                         "recording a graph");
}

static bt_status graph_end(bt_device *device, void **out) {
    *out = NULL;
    cudaGraph_t graph = NULL;
    cudaGraphExec_t ready = NULL;
    cudaError_t code = cudaStreamEndCapture(bt_cuda_stream(device), &graph);
    if (code == cudaSuccess) code = cudaGraphInstantiate(&ready, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    BT_TRY(bt_cuda_check(code, "recording a graph"));
    *out = ready;
    return BT_OK;
}

static bt_status graph_launch(bt_device *device, void *graph) {
    bt_cuda_launch_count++;
    return bt_cuda_check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), bt_cuda_stream(device)),
                         "launching a graph");
}

static void graph_free(bt_device *device, void *graph) {
    cudaStreamSynchronize(bt_cuda_stream(device)); /* it may still run */
    cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}

static const bt_graph_methods graph_methods = {graph_begin, graph_end, graph_launch, graph_free};

static void cuda_describe(bt_device *base, char *text, size_t text_bytes) {
    const bt_cuda_device *device = bt_cuda_of(base);
    cudaDeviceProp properties;
    int runtime = 0;
    if (cudaGetDeviceProperties(&properties, device->index) != cudaSuccess ||
        cudaRuntimeGetVersion(&runtime) != cudaSuccess) {
        snprintf(text, text_bytes, "cuda:%d (does not answer)", device->index);
        return;
    }
    const char *fused = bt_fused_library_text();
    snprintf(text, text_bytes, "%s, %zu GiB, compute capability %d.%d, CUDA %d.%d, cuBLASLt %zu%s%s", properties.name,
             properties.totalGlobalMem >> 30, properties.major, properties.minor, runtime / 1000, runtime % 1000 / 10,
             cublasLtGetVersion(), *fused ? ", " : "", fused);
}

static bool cuda_fast_dtype(bt_device *, bt_dtype dtype) {
    return dtype == BT_F32 || dtype == BT_BF16;
}

/* A scale that lasts goes into the weight, whatever the dtype; functions go into products where there are engines. */
static bool cuda_fuses(bt_op op, bt_dtype compute) {
    switch (op) {
    case BT_OP_linear_scaled:
    case BT_OP_linear_scaled_dx:
        return true;
    case BT_OP_linear_gelu:
    case BT_OP_linear_gelu_dx:
        return compute == BT_BF16 && bt_fused_available();
    default:
        return false;
    }
}

static void cuda_set_candidate(bt_device *base, int index) {
    bt_cuda_of(base)->candidate = index;
}

static bt_status cuda_memory_used(bt_device *device, size_t *bytes) {
    size_t free_bytes = 0, total_bytes = 0;
    BT_TRY(make_current(device));
    BT_TRY(bt_cuda_check(cudaMemGetInfo(&free_bytes, &total_bytes), "memory in use"));
    *bytes = total_bytes - free_bytes;
    return BT_OK;
}

static const bt_kernels kernels = {
#define BT_OP(family, name, operands, attributes, aliases, effect) &bt_cuda_##name,
#include "tensor/ops.def"
#undef BT_OP
};

const bt_backend bt_cuda_backend = {
    "cuda",         &kernels,        cuda_open,          cuda_close,      cuda_alloc,
    cuda_free,      cuda_upload,     cuda_download,      cuda_set_step,   cuda_synchronize,
    cuda_describe,  cuda_fast_dtype, cuda_set_candidate, cuda_alloc_host, cuda_free_host,
    &graph_methods, cuda_fuses,      bt_cuda_copy,       cuda_memory_used};
