/* Fibers on Boost.Context; see fiber.h. The public boost::context::fiber gives every switch an owner, which does not
 * fit a scheduler that hands stacks from one CUDA thread to the next; the two functions below it are what is needed.
 */
#include "fiber.h"

#include <boost/context/detail/fcontext.hpp>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define BT_HOST_ASAN 1
#else
#define BT_HOST_ASAN 0
#endif
#if BT_HOST_RACE_CHECK
extern "C" {
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *object);
void __tsan_release(void *object);
void __tsan_write_range(void *memory, size_t bytes);
}
#endif

namespace bt_host {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

static constexpr size_t GUARD_BYTES = 4096;
static constexpr size_t STACK_BYTES = BT_HOST_ASAN || BT_HOST_RACE_CHECK ? 256 << 10 : 64 << 10;
static constexpr size_t SKEW_BYTES = 320; /* five cache lines; 32 stacks spread over 10 KB */

/* On arrival: the fiber left behind can be continued from here. */
static fiber *arrive(transfer_t transfer) {
    fiber *left = static_cast<fiber *>(transfer.data);
    left->context = transfer.fctx;
    return left;
}

static void (*entry_point)();

static void start(transfer_t transfer) {
    fiber *left = arrive(transfer);
#if BT_HOST_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &left->stack, &left->stack_bytes);
#else
    (void)left;
#endif
    entry_point();
    abort();
}

fiber *fiber_new(unsigned number, void (*entry)()) {
    entry_point = entry;
    fiber *f = new fiber;
    void *mapping = mmap(nullptr, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED || mprotect(mapping, GUARD_BYTES, PROT_NONE) != 0) {
        perror("cuda_host: stack of a fiber");
        abort();
    }
    f->mapping = static_cast<char *>(mapping);
    f->stack = f->mapping + GUARD_BYTES;
    f->stack_bytes = STACK_BYTES;
    char *top = f->mapping + GUARD_BYTES + STACK_BYTES - number % 32 * SKEW_BYTES;
    f->context = make_fcontext(top, (size_t)(top - f->mapping) - GUARD_BYTES, start);
#if BT_HOST_RACE_CHECK
    f->identity = __tsan_create_fiber(0);
#endif
    return f;
}

void fiber_delete(fiber *f) {
#if BT_HOST_ASAN
    __asan_unpoison_memory_region(f->stack, f->stack_bytes); /* frames of an abandoned fiber */
#endif
#if BT_HOST_RACE_CHECK
    __tsan_destroy_fiber(f->identity);
#endif
    munmap(f->mapping, GUARD_BYTES + STACK_BYTES);
    delete f;
}

void fiber_adopt(fiber &f) {
#if BT_HOST_RACE_CHECK
    f.identity = __tsan_get_current_fiber();
#else
    (void)f;
#endif
}

void fiber_switch(fiber &from, fiber &to, bool forever) {
#if BT_HOST_ASAN
    __sanitizer_start_switch_fiber(forever ? nullptr : &from.fake_stack, to.stack, to.stack_bytes);
#else
    (void)forever;
#endif
    fiber_restore(to);
    arrive(jump_fcontext(to.context, &from));
#if BT_HOST_ASAN
    __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

#if BT_HOST_RACE_CHECK
static constexpr unsigned NO_EDGE = 1; /* a switch orders nothing by itself */

void fiber_release(const fiber &f, void *object) {
    __tsan_switch_to_fiber(f.identity, NO_EDGE);
    __tsan_release(object);
}
void fiber_acquire(const fiber &f, void *object) {
    __tsan_switch_to_fiber(f.identity, NO_EDGE);
    __tsan_acquire(object);
}
void fiber_restore(const fiber &running) {
    __tsan_switch_to_fiber(running.identity, NO_EDGE);
}
void fiber_wrote(void *memory, size_t bytes) {
    __tsan_write_range(memory, bytes);
}
#else
void fiber_release(const fiber &, void *) {}
void fiber_acquire(const fiber &, void *) {}
void fiber_restore(const fiber &) {}
void fiber_wrote(void *, size_t) {}
#endif

} // namespace bt_host
