/* Fibers: a stack, and a switch from one to another that costs a few nanoseconds (Boost.Context's assembly; ucontext
 * makes a system call per switch, ten times slower). AddressSanitizer and ThreadSanitizer are told of every switch.
 */
#ifndef BITTERN_CUDA_HOST_FIBER_H
#define BITTERN_CUDA_HOST_FIBER_H

#include <stddef.h>

#if defined(BT_HOST_TSAN) /* the runtime is not instrumented itself, so __SANITIZE_THREAD__ does not tell */
#define BT_HOST_RACE_CHECK 1
#else
#define BT_HOST_RACE_CHECK 0
#endif

namespace bt_host {

struct fiber {
    void *context = nullptr; /* where it continues; valid while it does not run */
    char *mapping = nullptr; /* guard page, then the stack; NULL for an OS thread's own stack */
    const void *stack = nullptr;
    size_t stack_bytes = 0;
    void *fake_stack = nullptr; /* AddressSanitizer's, while it does not run */
    void *identity = nullptr;   /* ThreadSanitizer's fiber */
    fiber *next_free = nullptr;
};

/* A fiber that calls `entry`, which never returns. `number` skews the top of the stack: stacks aligned alike would
 * fight for the same cache sets. Aborts when memory is out. */
fiber *fiber_new(unsigned number, void (*entry)());
void fiber_delete(fiber *f);
/* Makes `f` stand for the stack the caller runs on. */
void fiber_adopt(fiber &f);
/* Leaves `from`, which must be running. With `forever`, `from` is never continued. */
void fiber_switch(fiber &from, fiber &to, bool forever);

/* ThreadSanitizer's view, no-ops in other builds: draw happens-before edges in the name of a fiber that is not running.
 */
void fiber_release(const fiber &f, void *object);
void fiber_acquire(const fiber &f, void *object);
/* Back to the identity of the fiber that runs. */
void fiber_restore(const fiber &running);
/* The running fiber wrote these bytes (the runtime's own stores are not instrumented). */
void fiber_wrote(void *memory, size_t bytes);

} // namespace bt_host

#endif
