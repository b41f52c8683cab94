/* The CPU backend: memory, the step block, and the table of kernels (each src/cpu/<family>.c defines bt_cpu_<name>). */
#include "cpu/device.h"

#include "base/memory.h"
#include "cpu/product.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

#define BT_OP(family, name, operands, attributes, aliases, effect) extern const bt_##name##_kernel bt_cpu_##name;
#include "tensor/ops.def"
#undef BT_OP

static const bt_kernels kernels = {
#define BT_OP(family, name, operands, attributes, aliases, effect) .name = &bt_cpu_##name,
#include "tensor/ops.def"
#undef BT_OP
};

/* Blocks of this size are aligned to the system's huge pages, which saves the strided reads of products their TLB
 * misses. */
#define HUGE_BYTES ((size_t)2 << 20)

static bt_status cpu_alloc(bt_device *device, size_t bytes, void **out) {
    (void)device;
    bool huge = bytes >= 2 * HUGE_BYTES;
    size_t alignment = huge ? HUGE_BYTES : BT_CPU_ALIGNMENT;
    if (bytes > SIZE_MAX - alignment) return bt_error(BT_ERR_MEMORY, "cpu: %zu bytes cannot be addressed", bytes);
    size_t rounded = bt_cpu_round_up(bytes ? bytes : 1, alignment);
    void *memory = aligned_alloc(alignment, rounded);
    if (!memory) return bt_error(BT_ERR_MEMORY, "cpu: no memory for a block of %zu bytes", bytes);
#if defined(__linux__)
    if (huge) (void)madvise(memory, rounded, MADV_HUGEPAGE); /* advice: a refusal costs speed only */
#endif
    memset(memory, 0, rounded);
    *out = memory;
    return BT_OK;
}

static void cpu_free(bt_device *device, void *memory) {
    (void)device;
    free(memory);
}

static bt_status cpu_upload(bt_device *device, void *device_memory, const void *host, size_t bytes) {
    (void)device;
    if (bytes) memcpy(device_memory, host, bytes);
    return BT_OK;
}

static bt_status cpu_download(bt_device *device, void *host, const void *device_memory, size_t bytes) {
    (void)device;
    if (bytes) memcpy(host, device_memory, bytes);
    return BT_OK;
}

static bt_status cpu_copy(bt_device *device, void *to, const void *from, size_t bytes) {
    (void)device;
    if (bytes) memcpy(to, from, bytes);
    return BT_OK;
}

static bt_status cpu_set_step(bt_device *device, const bt_step *step) {
    *device->step = *step;
    return BT_OK;
}

static bt_status cpu_synchronize(bt_device *device) {
    (void)device;
    return BT_OK;
}

static void cpu_close(bt_device *device) {
    if (!device) return;
    bt_product_close(bt_cpu_of(device));
    cpu_free(device, device->step);
    bt_memory_free(device);
}

static bt_status cpu_open(const bt_device_options *options, bt_device **out) {
    if (options->index != 0)
        return bt_error(BT_ERR_USAGE, "device cpu:%d does not exist; the processor is one device, cpu", options->index);
    if (options->threads < 0 || options->threads > 4096)
        return bt_error(BT_ERR_USAGE, "threads is %d; allowed: 1 to 4096, or 0 for as many as there are cores",
                        options->threads);
    bt_cpu_device *device = bt_memory_zeroed(1, sizeof *device);
    if (!device) return BT_ERR_MEMORY;
    device->base.backend = &bt_cpu_backend;
    device->threads = 1;
#ifdef _OPENMP
    device->threads = options->threads ? options->threads : omp_get_max_threads();
    omp_set_dynamic(0);                   /* a run with fewer threads would round differently */
    omp_set_num_threads(device->threads); /* for oneDNN, which asks OpenMP */
#endif
    bt_status status = bt_cpu_detect(&device->cpu);
    void *step = NULL;
    if (status == BT_OK) status = cpu_alloc(&device->base, sizeof(bt_step), &step);
    if (status == BT_OK) status = bt_product_open(device);
    if (status != BT_OK) {
        free(step);
        bt_memory_free(device);
        return status;
    }
    device->base.step = step;
    *out = &device->base;
    return BT_OK;
}

static bool cpu_fast_dtype(bt_device *device, bt_dtype dtype) {
    return dtype == BT_F32 || (dtype == BT_BF16 && bt_cpu_of(device)->cpu.avx512_bf16);
}

static void cpu_describe(bt_device *device, char *text, size_t text_bytes) {
    const bt_cpu_device *cpu = bt_cpu_of(device);
    snprintf(text, text_bytes, "%s, %s, %d thread%s; bf16 %s", bt_isa_name(cpu->cpu.isa),
             bt_product_library_text(bt_product_choice(cpu, BT_F32)), cpu->threads, cpu->threads == 1 ? "" : "s",
             cpu->cpu.avx512_bf16 ? "in hardware" : "emulated");
}

const bt_backend bt_cpu_backend = {.name = "cpu",
                                   .kernels = &kernels,
                                   .open = cpu_open,
                                   .close = cpu_close,
                                   .alloc = cpu_alloc,
                                   .free = cpu_free,
                                   .upload = cpu_upload,
                                   .download = cpu_download,
                                   .set_step = cpu_set_step,
                                   .synchronize = cpu_synchronize,
                                   .describe = cpu_describe,
                                   .fast_dtype = cpu_fast_dtype,
                                   .copy = cpu_copy};
