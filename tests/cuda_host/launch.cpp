/* Launches kernels: spreads the blocks of a grid over OS threads, checks what CUDA would refuse, turns a fault into a
 * status.
 *
 * A fault leaves its block for good: the fibers are thrown away, and the blocks that have not begun are skipped. What
 * the kernel wrote until then stays.
 */
#include "engine.h"

#include <algorithm>
#include <map>
#include <memory>
#include <stdio.h>
#include <stdlib.h>
#ifdef _OPENMP
#include <omp.h>
#endif

int64_t bt_cuda_launch_count = 0; /* declared in cuda/kernel.cuh */

namespace bt_host {

__thread position now;
__thread engine *here;

/* ---- settings -------------------------------------------------------------------------------------------------- */

order_setting::order_setting() {
    const char *text = getenv("BT_CUDA_HOST_ORDER");
    if (!text || strcmp(text, "forward") == 0) return;
    order = strcmp(text, "reverse") == 0 ? REVERSE : RANDOM;
    if (order == RANDOM && strncmp(text, "random:", 7) != 0)
        bt_panic(__FILE__, __LINE__, "BT_CUDA_HOST_ORDER=%s: forward, reverse or random:SEED", text);
    if (order == RANDOM) seed = strtoull(text + 7, nullptr, 10);
}
order_setting setting;

void set_order(thread_order order, uint64_t seed) {
    setting.order = order;
    setting.seed = seed;
}
void set_workers(int workers) {
    setting.workers = workers;
}

/* ---- faults ---------------------------------------------------------------------------------------------------- */

static void record(engine &e, site where, const char *format, va_list arguments) {
    launch_state &launch = *e.launch;
    e.failed = true;
    std::lock_guard<std::mutex> guard(launch.lock);
    if (launch.failed.exchange(true)) return;
    char text[500], place[200] = "";
    vsnprintf(text, sizeof text, format, arguments);
    if (where.file) snprintf(place, sizeof place, "%s:%d: ", where.file, where.line);
    snprintf(launch.message, sizeof launch.message, "kernel %s, block (%u,%u,%u): %s%s", launch.name, now.block.x,
             now.block.y, now.block.z, place, text);
}

void record_fault(engine &e, site where, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    record(e, where, format, arguments);
    va_end(arguments);
}

void fault(site where, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (!here || !here->active) {
        vfprintf(stderr, format, arguments);
        bt_panic(__FILE__, __LINE__, "device code outside a kernel");
    }
    record(*here, where, format, arguments);
    va_end(arguments);
    fiber *me = here->active;
    here->active = nullptr;
    fiber_switch(*me, here->main, true);
    abort();
}

/* ---- blocks and launches --------------------------------------------------------------------------------------- */

engine::engine() {
    fiber_adopt(main);
    /* Growing under one CUDA thread what another one grew would look like a race to ThreadSanitizer, which sees malloc.
     */
    fibers.reserve(MAX_THREADS);
    shared.reserve(MAX_SHARED_ARRAYS);
}

engine::~engine() {
    for (fiber *f : fibers) fiber_delete(f);
    free(arena);
}

static void prepare_threads(engine &e, launch_state &launch) {
    const dim3 &size = launch.block;
    e.thread_count = (int)(size.x * size.y * size.z);
    e.warp_count = (e.thread_count + WARP - 1) / WARP;
    for (int i = 0; i < e.warp_count * WARP; i++) {
        const unsigned n = (unsigned)i;
        e.threads[i].number = i;
        e.threads[i].index = {n % size.x, n / size.x % size.y, n / size.x / size.y};
    }
    e.launch = &launch;
    e.serial = launch.serial;
    now.block_size = {size.x, size.y, size.z};
    now.grid_size = {launch.grid.x, launch.grid.y, launch.grid.z};
}

static void run_block(launch_state &launch, uint64_t number) {
    static thread_local std::unique_ptr<engine> mine;
    if (!mine) mine.reset(new engine);
    engine &e = *mine;
    here = &e;
    if (e.serial != launch.serial) prepare_threads(e, launch);
    const uint64_t nx = launch.grid.x, ny = launch.grid.y;
    now.block = {(unsigned)(number % nx), (unsigned)(number / nx % ny), (unsigned)(number / nx / ny)};
    e.failed = false;
    block_threads_begin(e, (setting.seed + 1) * 0x9E3779B97F4A7C15ull ^ (number + 1) * 0xD1B54A32D192ED03ull);
    shared_begin(e, launch.shared_bytes);
    block_threads_run(e);
    if (e.failed)
        block_threads_drop(e);
    else
        shared_check(e);
}

static std::mutex allowed_lock;
static std::map<const void *, size_t> allowed_bytes;

bt_status allow_shared(const void *kernel, const char *name, size_t bytes) {
    if (bytes > MAX_SHARED_BYTES)
        return bt_error(BT_ERR_UNSUPPORTED, "kernel %s needs %zu bytes of shared memory a block; the device has %zu",
                        name, bytes, MAX_SHARED_BYTES);
    std::lock_guard<std::mutex> guard(allowed_lock);
    size_t &allowed = allowed_bytes[kernel];
    allowed = std::max(allowed, bytes);
    return BT_OK;
}

static bt_status check_launch(const char *name, const void *kernel, dim3 grid, dim3 block, size_t shared_bytes) {
    const uint64_t threads = (uint64_t)block.x * block.y * block.z;
    if (threads < 1 || threads > MAX_THREADS || block.z > 64)
        return bt_error(BT_ERR_DEVICE, "kernel %s: a block of (%u,%u,%u) threads; 1 to 1024 are allowed", name, block.x,
                        block.y, block.z);
    if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
        return bt_error(BT_ERR_DEVICE, "kernel %s: a grid of (%u,%u,%u) blocks; 1 to 2147483647, 65535, 65535", name,
                        grid.x, grid.y, grid.z);
    std::lock_guard<std::mutex> guard(allowed_lock);
    auto found = allowed_bytes.find(kernel);
    const size_t allowed = found == allowed_bytes.end() ? 0 : found->second;
    if (shared_bytes > std::max(allowed, ALLOWED_SHARED_BYTES))
        return bt_error(BT_ERR_DEVICE, "kernel %s: %zu bytes of dynamic shared memory without BT_ALLOW_SHARED", name,
                        shared_bytes);
    return BT_OK;
}

static int worker_count(int64_t blocks) {
#ifdef _OPENMP
    const int most = BT_HOST_RACE_CHECK ? 1 : setting.workers ? setting.workers : omp_get_max_threads();
    return (int)std::min<int64_t>(most, blocks);
#else
    (void)blocks;
    return 1;
#endif
}

bt_status launch_call(const char *name, const void *kernel, dim3 grid, dim3 block, size_t shared_bytes,
                      void (*call)(const void *), const void *closure) {
    static std::atomic<long> serial;
    BT_TRY(check_launch(name, kernel, grid, block, shared_bytes));
    launch_state launch = {name, serial++, grid, block, shared_bytes, call, closure, {false}, {}, ""};
    const int64_t blocks = (int64_t)grid.x * grid.y * grid.z;
    [[maybe_unused]] const int workers = worker_count(blocks); /* for OpenMP, if there is one */
    bt_cuda_launch_count++;
#pragma omp parallel for schedule(dynamic) num_threads(workers) if (workers > 1)
    for (int64_t i = 0; i < blocks; i++) {
        if (launch.failed) continue;
        run_block(launch, (uint64_t)(setting.order == REVERSE ? blocks - 1 - i : i));
    }
    if (launch.failed) return bt_error(BT_ERR_DEVICE, "%s", launch.message);
    return BT_OK;
}

} // namespace bt_host
