/* The CUDA device object as the kernel families see it, the same in the nvcc and the host build. Handles of cuBLASLt,
 * cuSOLVER and cuDNN are the business of device.cu, product.cu, cholesky_solver.cu and fused_product.cu
 * (libraries.cuh).
 */
#ifndef BITTERN_CUDA_DEVICE_CUH
#define BITTERN_CUDA_DEVICE_CUH

#include "kernel.cuh"

struct bt_cuda_libraries;
struct bt_frozen_copy;

struct bt_cuda_device {
    bt_device base;
    cudaStream_t stream; /* all work of this device, in order */
    int index;           /* CUDA ordinal */
    int multiprocessors;
    size_t shared_bytes; /* most dynamic shared memory a block may ask for */
    int candidate;       /* bt_backend.set_candidate */
    bt_cuda_libraries *libraries;
    bt_frozen_copy *frozen; /* of plans that are open (frozen.cuh) */
};

inline bt_cuda_device *bt_cuda_of(bt_device *device) {
    return reinterpret_cast<bt_cuda_device *>(device);
}
inline cudaStream_t bt_cuda_stream(bt_device *device) {
    return bt_cuda_of(device)->stream;
}
inline int bt_cuda_multiprocessors(bt_device *device) {
    return bt_cuda_of(device)->multiprocessors;
}

/** Blocks that cover `count` items with `per_block` each; at least 1, at most what a grid's x axis takes. */
inline unsigned bt_blocks(int64_t count, int64_t per_block) {
    int64_t blocks = count <= 0 ? 1 : (count - 1) / per_block + 1;
    BT_ASSERT(blocks <= 0x7fffffff);
    return (unsigned)blocks;
}

/** Parts of scratch begin at multiples of 256 bytes (BT_VALUE_ALIGNMENT). */
inline size_t bt_align256(size_t bytes) {
    return (bytes + 255) / 256 * 256;
}

/** Device memory := 0 in stream order (a memset node when captured). */
bt_status bt_cuda_clear(bt_device *device, void *memory, size_t bytes);
/** The first `row_bytes` of each of `rows` rows that begin `pitch_bytes` apart := 0. */
bt_status bt_cuda_clear_rows(bt_device *device, void *memory, size_t pitch_bytes, size_t row_bytes, size_t rows);
/** Device to device, in stream order; not overlapping. */
bt_status bt_cuda_copy(bt_device *device, void *to, const void *from, size_t bytes);

#endif
