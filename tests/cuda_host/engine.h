/* What the parts of the host runtime share: launch.cpp (grids and faults), scheduler.cpp (who runs), collectives.cpp
 * (what a rendezvous computes) and shared_memory.cpp (the block's memory and the asynchronous copies). One engine per
 * OS thread; it runs one block at a time.
 */
#ifndef BITTERN_CUDA_HOST_ENGINE_H
#define BITTERN_CUDA_HOST_ENGINE_H

#include "fiber.h"
#include "host_runtime.h"

#include <atomic>
#include <mutex>
#include <stdarg.h>
#include <vector>

namespace bt_host {

static constexpr int WARP = 32, MAX_THREADS = 1024, MAX_WARPS = MAX_THREADS / WARP, MAX_SHARED_ARRAYS = 64;
static constexpr size_t ALLOWED_SHARED_BYTES = 48 << 10; /* without BT_ALLOW_SHARED, as on every GPU so far */
static constexpr size_t MAX_SHARED_BYTES = 227 << 10;    /* a block's limit on compute capability 9.0 */

/* The pending half of cp.async: carried out at the wait, so that a missing wait leaves NaN in shared memory. */
struct pending_copy {
    void *shared;
    const void *global;
    bool valid;
};

struct cuda_thread {
    uint3 index;
    int number;               /* in the block; lane = number % 32 */
    fiber *runs_on = nullptr; /* NULL before it starts and after it ends */
    request *posted = nullptr;
    site waits_at = {};
    std::vector<pending_copy> copies; /* in the order of issue */
    std::vector<size_t> groups;       /* copies in each committed group; what follows them is not committed */
};

/* Lanes of a warp by state; every lane that is in none is running. */
struct warp_state {
    uint32_t ready, in_collective, at_barrier, exited;
};

struct shared_block {
    const void *key;
    const char *name;
    char *memory;
    size_t bytes;
};

struct launch_state {
    const char *name;
    long serial;
    dim3 grid, block;
    size_t shared_bytes;
    void (*call)(const void *);
    const void *closure;
    std::atomic<bool> failed;
    std::mutex lock;
    char message[800];
};

/* What set_order, set_workers and the environment ask for. */
struct order_setting {
    thread_order order = FORWARD;
    uint64_t seed = 1;
    int workers = 0;
    order_setting();
};
extern order_setting setting;

struct engine {
    launch_state *launch = nullptr;
    long serial = -1; /* of the launch that `threads` is set up for */
    bool failed = false;
    uint64_t random;

    int thread_count, warp_count, exited_count;
    cuda_thread threads[MAX_THREADS];
    warp_state warps[MAX_WARPS];
    uint32_t ready_warps;
    int priority[MAX_WARPS]; /* RANDOM: warps in the order of preference */
    cuda_thread *running = nullptr;

    fiber main, *active = nullptr, *free_fibers = nullptr;
    std::vector<fiber *> fibers;

    int barrier_waiting, barrier_sum, barrier_result;
    site barrier_site;

    char *arena = nullptr;
    size_t arena_used;
    std::vector<shared_block> shared; /* [0] is the dynamic array */

    char begun, ended; /* addresses that name happens-before edges for ThreadSanitizer */

    engine();
    ~engine();
};

extern __thread engine *here; /* the engine of this OS thread */

static inline int lane_of(const cuda_thread &t) {
    return t.number % WARP;
}
static inline int first_lane(uint32_t lanes) {
    return __builtin_ctz(lanes);
}

/* launch.cpp: notes a fault of the block without leaving it; the first one of a launch is reported. */
void record_fault(engine &e, site where, const char *format, ...) BT_PRINTF(3, 4);
/* scheduler.cpp: the threads of one block, thread_count and `threads` being set. Run returns when all have ended or one
 * has left with a fault; after a fault they must be dropped. */
void block_threads_begin(engine &e, uint64_t seed);
void block_threads_run(engine &e);
void block_threads_drop(engine &e);
/* collectives.cpp: computes for the lanes (all posted, same request kind and mask) of warp w. */
void collective_execute(engine &e, int w, uint32_t lanes);
/* shared_memory.cpp */
void shared_begin(engine &e, size_t dynamic_bytes);
void shared_check(engine &e); /* records a fault when a red zone was written */
void copies_end(cuda_thread &t);

} // namespace bt_host

#endif
