/* Decides which CUDA thread of a block runs, and brings threads together at barriers and collectives.
 *
 * Threads start lazily, and one that ends hands its stack to the next one that has not started, so a kernel without
 * barriers needs one stack and no switch. A thread that must wait picks its successor itself: switches go fiber to
 * fiber. A fault leaves the block for good: its fibers are thrown away, and the remaining blocks of the launch are
 * skipped.
 */
#include "engine.h"

#include <stdio.h>

namespace bt_host {

/* ---- order of the threads -------------------------------------------------------------------------------------- */

/* xorshift64* (Vigna 2016) */
static uint32_t draw(engine &e, uint32_t below) {
    e.random ^= e.random >> 12;
    e.random ^= e.random << 25;
    e.random ^= e.random >> 27;
    return (uint32_t)((e.random * 0x2545F4914F6CDD1Dull) >> 33) % below;
}

static int last_lane(uint32_t lanes) {
    return 31 - __builtin_clz(lanes);
}

static int nth_lane(uint32_t lanes, uint32_t n) {
    while (n--) lanes &= lanes - 1;
    return first_lane(lanes);
}

static int pick_warp(const engine &e, int last) {
    if (setting.order == RANDOM) {
        for (int i = 0; i < e.warp_count; i++) {
            if (e.ready_warps >> e.priority[i] & 1) return e.priority[i];
        }
    }
    if (e.ready_warps >> last & 1) return last; /* as far as one warp gets */
    return setting.order == FORWARD ? first_lane(e.ready_warps) : last_lane(e.ready_warps);
}

/* Takes the next thread off the ready lanes; NULL if there is none. `last`: the warp that ran. */
static cuda_thread *pick(engine &e, int last) {
    if (!e.ready_warps) return nullptr;
    const int w = pick_warp(e, last);
    uint32_t &ready = e.warps[w].ready;
    int lane;
    switch (setting.order) {
    case FORWARD:
        lane = first_lane(ready);
        break;
    case REVERSE:
        lane = last_lane(ready);
        break;
    default:
        lane = nth_lane(ready, draw(e, (uint32_t)__builtin_popcount(ready)));
        break;
    }
    ready &= ~(1u << lane);
    if (!ready) e.ready_warps &= ~(1u << w);
    return &e.threads[w * WARP + lane];
}

static void make_ready(engine &e, int w, uint32_t lanes) {
    e.warps[w].ready |= lanes;
    e.ready_warps |= 1u << w;
}

/* ---- deadlock
 * --------------------------------------------------------------------------------------------------------
 */

/* Says who waits where when nobody can run. */
static void describe_waiting(const engine &e, char *text, size_t text_bytes) {
    struct group {
        const char *what;
        site where;
        uint32_t mask;
        int count, first;
    };
    std::vector<group> groups;
    for (int i = 0; i < e.thread_count; i++) {
        const cuda_thread &t = e.threads[i];
        const warp_state &warp = e.warps[i / WARP];
        if (warp.exited >> lane_of(t) & 1) continue;
        const bool collective = warp.in_collective >> lane_of(t) & 1;
        const group mine = {collective ? "in a warp collective" : "in __syncthreads", t.waits_at,
                            collective ? t.posted->mask : 0, 1, i};
        bool known = false;
        for (group &g : groups) {
            known = g.where.line == mine.where.line && g.where.file == mine.where.file && g.mask == mine.mask;
            if (known) g.count++;
            if (known) break;
        }
        if (!known) groups.push_back(mine);
    }
    size_t used = 0;
    text[0] = 0;
    for (const group &g : groups) {
        if (used + 1 >= text_bytes) return;
        used += (size_t)snprintf(text + used, text_bytes - used, "%d threads (first %d) wait %s at %s:%d", g.count,
                                 g.first, g.what, g.where.file, g.where.line);
        if (g.mask && used < text_bytes) used += (size_t)snprintf(text + used, text_bytes - used, " mask %08x", g.mask);
        if (used < text_bytes) used += (size_t)snprintf(text + used, text_bytes - used, "; ");
    }
    if (used < text_bytes) snprintf(text + used, text_bytes - used, "%d have exited", e.exited_count);
}

[[noreturn]] static void deadlock(const engine &e) {
    char text[400];
    describe_waiting(e, text, sizeof text);
    fault({nullptr, 0}, "divergence, nobody can go on: %s", text);
}

/* ---- running a thread ------------------------------------------------------------------------------------------ */

static void thread_main();

static fiber *take_fiber(engine &e, const cuda_thread &t) {
    if (BT_HOST_RACE_CHECK) { /* a fiber is a CUDA thread: no sharing of stacks */
        while ((int)e.fibers.size() <= t.number) e.fibers.push_back(fiber_new((unsigned)e.fibers.size(), thread_main));
        fiber *f = e.fibers[(size_t)t.number];
        fiber_acquire(*f, &e.begun);
        fiber_restore(e.active ? *e.active : e.main);
        return f;
    }
    if (e.free_fibers) {
        fiber *f = e.free_fibers;
        e.free_fibers = f->next_free;
        return f;
    }
    e.fibers.push_back(fiber_new((unsigned)e.fibers.size(), thread_main));
    return e.fibers.back();
}

static void give_fiber(engine &e, fiber *f) {
    if (BT_HOST_RACE_CHECK) return;
    f->next_free = e.free_fibers;
    e.free_fibers = f;
}

static void become(engine &e, cuda_thread &t) {
    e.running = &t;
    now.thread = t.index;
}

/* Continues or starts `next`; returns when the fiber that called is switched to again. */
static void go_on_with(engine &e, cuda_thread &next) {
    if (!next.runs_on) next.runs_on = take_fiber(e, next);
    become(e, next);
    fiber *me = e.active;
    if (me == next.runs_on) return;
    e.active = next.runs_on;
    fiber_switch(*me, *next.runs_on, false);
}

/* The running thread has posted what it waits for; returns when it is its turn again. */
static void wait_for_turn(engine &e) {
    cuda_thread *next = pick(e, e.running->number / WARP);
    if (!next) deadlock(e);
    if (next != e.running) go_on_with(e, *next);
}

/* ---- rendezvous ------------------------------------------------------------------------------------------------ */

/* ThreadSanitizer: what each of `threads` did before is ordered before what each does after. */
template <class F> static void draw_edges(engine &e, const F &each_thread) {
    static char objects[4096]; /* used in turn: an edge belongs to one rendezvous */
    static unsigned next_object;
    if (!BT_HOST_RACE_CHECK) return;
    char *object = &objects[next_object++ % (sizeof objects / 8) * 8];
    each_thread([&](const cuda_thread &t) { fiber_release(*t.runs_on, object); });
    each_thread([&](const cuda_thread &t) { fiber_acquire(*t.runs_on, object); });
    fiber_restore(*e.active);
}

/* If all live lanes that the mask of `t` names have arrived: checks that they meet in the same place, and computes. */
static void try_collective(engine &e, cuda_thread &t) {
    const int w = t.number / WARP;
    warp_state &warp = e.warps[w];
    const request &mine = *t.posted;
    const uint32_t lanes = mine.mask & ~warp.exited;
    if ((warp.in_collective & lanes) != lanes) return;
    for (uint32_t rest = lanes; rest; rest &= rest - 1) {
        const cuda_thread &other = e.threads[w * WARP + first_lane(rest)];
        const request &theirs = *other.posted;
        if (theirs.mask == mine.mask && theirs.what == mine.what && theirs.where.line == mine.where.line) continue;
        fault(mine.where, "warp %d: lane %d (mask %08x) meets lane %d (mask %08x), which is at %s:%d", w, lane_of(t),
              mine.mask, lane_of(other), theirs.mask, theirs.where.file, theirs.where.line);
    }
    draw_edges(e, [&](const auto &edge) {
        for (uint32_t rest = lanes; rest; rest &= rest - 1) edge(e.threads[w * WARP + first_lane(rest)]);
    });
    collective_execute(e, w, lanes);
    warp.in_collective &= ~lanes;
    make_ready(e, w, lanes);
}

void rendezvous(request &r) {
    engine &e = *here;
    cuda_thread &t = *e.running;
    if (!(r.mask >> lane_of(t) & 1))
        fault(r.where, "thread %d calls a collective whose mask %08x leaves it out", t.number, r.mask);
    t.posted = &r;
    t.waits_at = r.where;
    e.warps[t.number / WARP].in_collective |= 1u << lane_of(t);
    try_collective(e, t);
    wait_for_turn(e);
}

/* Exited threads count as arrived, as the CUDA guide has it for all non-exited threads. */
static void try_barrier(engine &e) {
    if (e.barrier_waiting == 0 || e.barrier_waiting + e.exited_count < e.thread_count) return;
    draw_edges(e, [&](const auto &edge) {
        for (int i = 0; i < e.thread_count; i++) {
            if (e.warps[i / WARP].at_barrier >> i % WARP & 1) edge(e.threads[i]);
        }
    });
    for (int w = 0; w < e.warp_count; w++) {
        if (e.warps[w].at_barrier) make_ready(e, w, e.warps[w].at_barrier);
        e.warps[w].at_barrier = 0;
    }
    e.barrier_result = e.barrier_sum;
    e.barrier_waiting = e.barrier_sum = 0;
}

int barrier(int predicate, site where) {
    engine &e = *here;
    cuda_thread &t = *e.running;
    if (e.barrier_waiting == 0) e.barrier_site = where;
    if (e.barrier_site.line != where.line || strcmp(e.barrier_site.file, where.file) != 0)
        fault(where, "barrier divergence: thread %d is here while %d threads wait at %s:%d", t.number,
              e.barrier_waiting, e.barrier_site.file, e.barrier_site.line);
    t.waits_at = where;
    e.barrier_sum += predicate != 0;
    e.barrier_waiting++;
    e.warps[t.number / WARP].at_barrier |= 1u << lane_of(t);
    try_barrier(e);
    wait_for_turn(e);
    return e.barrier_result;
}

static void thread_exit(engine &e, cuda_thread &t) {
    const int w = t.number / WARP;
    warp_state &warp = e.warps[w];
    copies_end(t);
    fiber_release(*e.active, &e.ended);
    warp.exited |= 1u << lane_of(t);
    e.exited_count++;
    t.runs_on = nullptr;
    for (uint32_t rest = warp.in_collective; rest; rest &= rest - 1) {
        cuda_thread &waiting = e.threads[w * WARP + first_lane(rest)];
        const bool still = warp.in_collective >> lane_of(waiting) & 1;
        if (still && (waiting.posted->mask >> lane_of(t) & 1)) try_collective(e, waiting);
    }
    try_barrier(e);
}

/* Body of every fiber: runs one CUDA thread after another, for ever. */
static void thread_main() {
    engine &e = *here;
    for (;;) {
        cuda_thread &t = *e.running;
        e.launch->call(e.launch->closure);
        thread_exit(e, t);
        cuda_thread *next = pick(e, t.number / WARP);
        if (!next && e.exited_count < e.thread_count) deadlock(e);
        fiber *me = e.active;
        if (next && !next->runs_on && !BT_HOST_RACE_CHECK) {
            next->runs_on = me;
            become(e, *next);
            continue;
        }
        give_fiber(e, me);
        if (next) {
            go_on_with(e, *next);
        } else {
            e.active = nullptr;
            fiber_switch(*me, e.main, false);
        }
    }
}

/* ---- a block --------------------------------------------------------------------------------------------------- */

void block_threads_begin(engine &e, uint64_t seed) {
    e.exited_count = e.barrier_waiting = e.barrier_sum = 0;
    e.ready_warps = 0;
    e.random = seed ? seed : 1;
    for (int w = 0; w < e.warp_count; w++) {
        const int lanes = e.thread_count - w * WARP;
        const uint32_t exist = lanes >= WARP ? 0xffffffffu : (1u << lanes) - 1;
        e.warps[w] = {0, 0, 0, ~exist};
        make_ready(e, w, exist);
        const int at = (int)draw(e, (uint32_t)w + 1);
        e.priority[w] = e.priority[at];
        e.priority[at] = w;
    }
}

void block_threads_run(engine &e) {
    fiber_release(e.main, &e.begun);
    cuda_thread *first = pick(e, setting.order == REVERSE ? e.warp_count - 1 : 0);
    first->runs_on = take_fiber(e, *first);
    become(e, *first);
    e.active = first->runs_on;
    fiber_switch(e.main, *e.active, false);
    fiber_acquire(e.main, &e.ended);
}

void block_threads_drop(engine &e) {
    for (fiber *f : e.fibers) fiber_delete(f);
    e.fibers.clear();
    e.free_fibers = nullptr;
    for (cuda_thread &t : e.threads) {
        t.runs_on = nullptr;
        t.copies.clear();
        t.groups.clear();
    }
}

} // namespace bt_host
