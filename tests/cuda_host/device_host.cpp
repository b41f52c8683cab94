/* The CUDA backend of the host build: the kernels of cuda/ on fibers, device memory from the heap.
 *
 * Each block of memory is followed by known bytes that are looked at when it is freed or the device is waited for: a
 * store past the end is an error, where hardware would spoil the neighbour (under AddressSanitizer the access itself is
 * caught). Streams do not exist: every launch has ended when BT_LAUNCH returns.
 */
#include "device.cuh"

#include <functional>
#include <stdio.h>
#include <stdlib.h>
#include <vector>

extern "C" {
#define BT_OP(family, name, operands, attributes, aliases, effect) extern const bt_##name##_kernel bt_cuda_##name;
#include "tensor/ops.def"
#undef BT_OP
extern const bt_backend bt_cuda_host_backend, bt_cuda_backend;
}

namespace {

const bt_kernels kernels = {
#define BT_OP(family, name, operands, attributes, aliases, effect) &bt_cuda_##name,
#include "tensor/ops.def"
#undef BT_OP
};

constexpr size_t ALIGN_BYTES = 256;
constexpr unsigned char CANARY = 0xa5;
#ifdef __SANITIZE_ADDRESS__
constexpr size_t TAIL_BYTES = 0; /* the heap's own red zone begins at once */
#else
constexpr size_t TAIL_BYTES = 256;
#endif

/* As few as makes loops over the grid go round more than once. */
constexpr int MULTIPROCESSORS = 3;
constexpr size_t SHARED_BYTES = 227 << 10;

struct memory_block {
    unsigned char *memory;
    size_t bytes;
};

struct host_device {
    bt_cuda_device cuda; /* first: a bt_device * is a host_device * */
    std::vector<memory_block> blocks;
};

host_device *host_of(bt_device *device) {
    return reinterpret_cast<host_device *>(device);
}

bt_status check_tail(const memory_block &block) {
    for (size_t i = 0; i < TAIL_BYTES; i++) {
        if (block.memory[block.bytes + i] == CANARY) continue;
        return bt_error(BT_ERR_DEVICE, "cuda_host: write past a block of %zu bytes of device memory, at byte %zu",
                        block.bytes, block.bytes + i);
    }
    return BT_OK;
}

bt_status host_alloc(bt_device *device, size_t bytes, void **out) {
    void *memory = nullptr;
    if (bytes > SIZE_MAX / 2 || posix_memalign(&memory, ALIGN_BYTES, bytes + TAIL_BYTES + (bytes == 0)) != 0)
        return bt_error(BT_ERR_MEMORY, "cuda_host: no memory for a block of %zu bytes", bytes);
    memset(memory, 0, bytes);
    memset(static_cast<char *>(memory) + bytes, CANARY, TAIL_BYTES);
    host_of(device)->blocks.push_back({static_cast<unsigned char *>(memory), bytes});
    *out = memory;
    return BT_OK;
}

void host_free(bt_device *device, void *memory) {
    std::vector<memory_block> &blocks = host_of(device)->blocks;
    for (size_t i = 0; i < blocks.size(); i++) {
        if (blocks[i].memory != memory) continue;
        if (check_tail(blocks[i]) != BT_OK) bt_panic(__FILE__, __LINE__, "%s", bt_error_message());
        blocks.erase(blocks.begin() + (ptrdiff_t)i);
        free(memory);
        return;
    }
    if (memory) bt_panic(__FILE__, __LINE__, "cuda_host: freed memory that was not allocated here");
}

/* ---- graphs: what was issued, kept ---- */

using graph = std::vector<std::function<bt_status()>>;
graph *recorded; /* not NULL between begin and end */

bt_status host_graph_begin(bt_device *) {
    if (recorded) return bt_error(BT_ERR_DEVICE, "cuda_host: a graph is being recorded already");
    recorded = new graph;
    return BT_OK;
}

bt_status host_graph_end(bt_device *, void **out) {
    *out = recorded;
    recorded = nullptr;
    return *out ? BT_OK : bt_error(BT_ERR_DEVICE, "cuda_host: no graph is being recorded");
}

bt_status host_graph_launch(bt_device *, void *kept) {
    const int64_t before = bt_cuda_launch_count;
    for (const std::function<bt_status()> &work : *static_cast<graph *>(kept)) BT_TRY(work());
    bt_cuda_launch_count = before + 1;
    return BT_OK;
}

void host_graph_free(bt_device *, void *kept) {
    delete static_cast<graph *>(kept);
}

const bt_graph_methods graph_methods = {host_graph_begin, host_graph_end, host_graph_launch, host_graph_free};

/* What CUDA refuses while a stream is captured. */
bt_status not_recording(const char *what) {
    return recorded ? bt_error(BT_ERR_DEVICE, "cuda_host: %s while a graph is recorded", what) : BT_OK;
}

bt_status host_upload(bt_device *, void *device_memory, const void *host, size_t bytes) {
    BT_TRY(not_recording("upload"));
    if (bytes) memcpy(device_memory, host, bytes);
    return BT_OK;
}

bt_status host_download(bt_device *, void *host, const void *device_memory, size_t bytes) {
    BT_TRY(not_recording("download"));
    if (bytes) memcpy(host, device_memory, bytes);
    return BT_OK;
}

bt_status host_set_step(bt_device *device, const bt_step *step) {
    BT_TRY(not_recording("a new step block"));
    *device->step = *step;
    return BT_OK;
}

bt_status host_synchronize(bt_device *device) {
    BT_TRY(not_recording("waiting"));
    for (const memory_block &block : host_of(device)->blocks) BT_TRY(check_tail(block));
    return BT_OK;
}

void host_close(bt_device *device) {
    if (!device) return;
    BT_ASSERT(!bt_cuda_of(device)->frozen); /* plans are freed first */
    host_free(device, device->step);
    for (const memory_block &block : host_of(device)->blocks) free(block.memory);
    delete host_of(device);
}

bt_status host_open(const bt_device_options *options, bt_device **out) {
    if (options->index != 0)
        return bt_error(BT_ERR_USAGE, "device cuda_host:%d does not exist; there is one, cuda_host", options->index);
    host_device *device = new host_device();
    device->cuda.base.backend = &bt_cuda_host_backend;
    device->cuda.multiprocessors = MULTIPROCESSORS;
    device->cuda.shared_bytes = SHARED_BYTES;
    bt_host::set_workers(options->threads);
    void *step = nullptr;
    bt_status status = host_alloc(&device->cuda.base, sizeof(bt_step), &step);
    if (status != BT_OK) {
        delete device;
        return status;
    }
    device->cuda.base.step = static_cast<bt_step *>(step);
    *out = &device->cuda.base;
    return BT_OK;
}

void host_describe(bt_device *, char *text, size_t text_bytes) {
    snprintf(text, text_bytes, "CUDA kernels compiled for the host (tests), fibers by Boost.Context");
}

bool host_fast_dtype(bt_device *, bt_dtype) {
    return false;
}

/* Pinned memory of the host build: from the heap, with the tail of device memory, looked at when it is freed. */
bt_status host_alloc_host(bt_device *, size_t bytes, void **out) {
    void *memory = nullptr;
    const size_t head = ALIGN_BYTES;
    if (bytes > SIZE_MAX / 2 || posix_memalign(&memory, ALIGN_BYTES, head + bytes + TAIL_BYTES) != 0)
        return bt_error(BT_ERR_MEMORY, "cuda_host: no memory for %zu bytes of pinned memory", bytes);
    memcpy(memory, &bytes, sizeof bytes);
    unsigned char *content = static_cast<unsigned char *>(memory) + head;
    memset(content + bytes, CANARY, TAIL_BYTES);
    *out = content;
    return BT_OK;
}

void host_free_host(bt_device *, void *memory) {
    if (!memory) return;
    unsigned char *content = static_cast<unsigned char *>(memory);
    size_t bytes;
    memcpy(&bytes, content - ALIGN_BYTES, sizeof bytes);
    if (check_tail({content, bytes}) != BT_OK) bt_panic(__FILE__, __LINE__, "%s", bt_error_message());
    free(content - ALIGN_BYTES);
}

/* All of it, in both dtypes. */
bool host_fuses(bt_op, bt_dtype) {
    return true;
}

void host_set_candidate(bt_device *device, int index) {
    host_of(device)->cuda.candidate = index;
}

bt_status host_memory_used(bt_device *device, size_t *bytes) {
    *bytes = 0;
    for (const memory_block &block : host_of(device)->blocks) *bytes += block.bytes;
    return BT_OK;
}

} // namespace

#define BT_HOST_BACKEND                                                                                                \
    {                                                                                                                  \
        "cuda_host", &kernels, host_open, host_close, host_alloc, host_free, host_upload, host_download,               \
            host_set_step, host_synchronize, host_describe, host_fast_dtype, host_set_candidate, host_alloc_host,      \
            host_free_host, &graph_methods, host_fuses, bt_cuda_copy, host_memory_used                                 \
    }
const bt_backend bt_cuda_host_backend = BT_HOST_BACKEND;
/* In a build with CUDA the library's table of backends names this one. Programs of the host build have no device.cu. */
const bt_backend bt_cuda_backend = BT_HOST_BACKEND;

bt_status bt_host::issue(const std::function<bt_status()> &work) {
    if (!recorded) return work();
    recorded->push_back(work);
    return BT_OK;
}

bt_status bt_cuda_clear_rows(bt_device *, void *memory, size_t pitch_bytes, size_t row_bytes, size_t rows) {
    if (rows == 0 || row_bytes == 0) return BT_OK;
    bt_cuda_launch_count++;
    return bt_host::issue([=] {
        for (size_t row = 0; row < rows; row++) memset(static_cast<char *>(memory) + row * pitch_bytes, 0, row_bytes);
        return BT_OK;
    });
}

bt_status bt_cuda_clear(bt_device *device, void *memory, size_t bytes) {
    return bt_cuda_clear_rows(device, memory, bytes, bytes, bytes > 0);
}

bt_status bt_cuda_copy(bt_device *, void *to, const void *from, size_t bytes) {
    if (bytes == 0) return BT_OK;
    bt_cuda_launch_count++;
    return bt_host::issue([=] {
        memcpy(to, from, bytes);
        return BT_OK;
    });
}
