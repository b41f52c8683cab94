/* A block's shared memory and the deferred twin of cp.async.
 *
 * Arrays lie in one arena, each followed by a red zone of known bytes that is checked when the block ends (under
 * AddressSanitizer it is poisoned, which names the very access). Every array begins as 0xff: NaN in f32, f64 and bf16,
 * so that what was never written shows.
 */
#include "engine.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define BT_POISON(memory, bytes) __asan_poison_memory_region(memory, bytes)
#define BT_UNPOISON(memory, bytes) __asan_unpoison_memory_region(memory, bytes)
#else
#define BT_POISON(memory, bytes) ((void)0)
#define BT_UNPOISON(memory, bytes) ((void)0)
#endif

namespace bt_host {

static constexpr size_t RED_BYTES = 128, ALIGN_BYTES = 128, ARENA_BYTES = 512 << 10;
static constexpr unsigned char UNSET = 0xff, CANARY = 0xa5;
static constexpr size_t COPY_BYTES = 16, MAX_GROUPS = 32;

/* memset would be intercepted by ThreadSanitizer and taken for an access of the kernel's. */
static void fill(char *memory, unsigned char value, size_t bytes) {
    volatile char *p = memory;
    if (!BT_HOST_RACE_CHECK) {
        memset(memory, value, bytes);
        return;
    }
    for (size_t i = 0; i < bytes; i++) p[i] = (char)value;
}

static char *shared_add(engine &e, const void *key, const char *name, size_t bytes) {
    size_t whole = (bytes + RED_BYTES + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
    if (e.arena_used + whole > ARENA_BYTES || e.shared.size() == MAX_SHARED_ARRAYS)
        fault({nullptr, 0}, "shared arrays of %zu bytes and more", e.arena_used);
    char *memory = e.arena + e.arena_used;
    e.arena_used += whole;
    BT_UNPOISON(memory, whole);
    fill(memory, UNSET, bytes);
    fill(memory + bytes, CANARY, whole - bytes);
    BT_POISON(memory + bytes, whole - bytes);
    e.shared.push_back({key, name, memory, bytes});
    return memory;
}

void shared_begin(engine &e, size_t dynamic_bytes) {
    if (!e.arena) {
        e.arena = static_cast<char *>(aligned_alloc(ALIGN_BYTES, ARENA_BYTES));
        BT_ASSERT(e.arena);
    }
    e.arena_used = 0;
    e.shared.clear();
    shared_add(e, nullptr, "dynamic shared memory", dynamic_bytes);
}

void *shared_arena() {
    return here->shared[0].memory;
}

void *shared_array(const void *key, size_t bytes, const char *name) {
    for (const shared_block &block : here->shared) {
        if (block.key == key) return block.memory;
    }
    return shared_add(*here, key, name, bytes);
}

void shared_check(engine &e) {
    for (const shared_block &block : e.shared) {
        BT_UNPOISON(block.memory + block.bytes, RED_BYTES);
        for (size_t i = 0; i < RED_BYTES; i++) {
            if ((unsigned char)block.memory[block.bytes + i] == CANARY) continue;
            record_fault(e, {nullptr, 0}, "write past %s of %zu bytes, at byte %zu", block.name, block.bytes,
                         block.bytes + i);
            return;
        }
    }
}

/* ---- cp.async -------------------------------------------------------------------------------------------------- */

static void carry_out(cuda_thread &t, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const pending_copy &copy = t.copies[i];
        static const char zeros[COPY_BYTES] = {};
        fiber_wrote(copy.shared, COPY_BYTES);
        memcpy(copy.shared, copy.valid ? copy.global : zeros, COPY_BYTES);
    }
    t.copies.erase(t.copies.begin(), t.copies.begin() + (ptrdiff_t)count);
}

void copy_async(void *shared, const void *global, bool valid) {
    check_aligned(shared, COPY_BYTES, "bt_copy_async16, shared side");
    check_aligned(global, COPY_BYTES, "bt_copy_async16, global side");
    const char *to = static_cast<const char *>(shared);
    bool inside = false;
    for (const shared_block &block : here->shared)
        inside = inside || (to >= block.memory && to + COPY_BYTES <= block.memory + block.bytes);
    if (!inside) fault({nullptr, 0}, "bt_copy_async16: %p is outside the block's shared arrays", shared);
    here->running->copies.push_back({shared, global, valid});
}

void copy_async_commit() {
    cuda_thread &t = *here->running;
    size_t committed = 0;
    for (size_t count : t.groups) committed += count;
    if (t.groups.size() == MAX_GROUPS)
        fault({nullptr, 0}, "bt_copy_async_commit: %zu groups without a wait", MAX_GROUPS);
    t.groups.push_back(t.copies.size() - committed);
}

void copy_async_wait(int pending) {
    cuda_thread &t = *here->running;
    while (t.groups.size() > (size_t)pending) {
        carry_out(t, t.groups.front());
        t.groups.erase(t.groups.begin());
    }
}

void copies_end(cuda_thread &t) {
    if (t.copies.empty() && t.groups.empty()) return;
    carry_out(t, t.copies.size());
    t.groups.clear();
}

} // namespace bt_host
