/* Aligned, overflow-checked allocation; see memory.h. */
#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t environment_once = PTHREAD_ONCE_INIT;
static atomic_int_least64_t fail_countdown; /* 0: off; the allocation that brings it from 1 to 0 fails */

static void read_environment(void) {
    const char *text = getenv("BT_FAIL_ALLOC");
    if (text) atomic_store(&fail_countdown, strtoll(text, NULL, 10));
}

void bt_memory_fail_at(int64_t n) {
    pthread_once(&environment_once, read_environment);
    atomic_store(&fail_countdown, n);
}

static bool must_fail(void) {
    pthread_once(&environment_once, read_environment);
    int64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    if (left <= 0) return false; /* the usual case: a load and no contention */
    return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

bool bt_memory_product(size_t a, size_t b, size_t *out) {
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *out = product;
    return true;
}

/* NULL after a message naming the request. */
static void *report(size_t count, size_t item_bytes) {
    bt_error(BT_ERR_MEMORY, "cannot allocate %zu items of %zu bytes: out of memory", count, item_bytes);
    return NULL;
}

void *bt_memory_alloc(size_t count, size_t item_bytes) {
    size_t bytes;
    if (!bt_memory_product(count, item_bytes, &bytes) || bytes > SIZE_MAX - BT_MEMORY_ALIGN) {
        return report(count, item_bytes);
    }
    /* aligned_alloc wants a multiple of the alignment; an empty request still gets an address of its own. */
    size_t rounded = bytes == 0 ? BT_MEMORY_ALIGN : (bytes + BT_MEMORY_ALIGN - 1) / BT_MEMORY_ALIGN * BT_MEMORY_ALIGN;
    void *memory = must_fail() ? NULL : aligned_alloc(BT_MEMORY_ALIGN, rounded);
    return memory ? memory : report(count, item_bytes);
}

void *bt_memory_zeroed(size_t count, size_t item_bytes) {
    void *memory = bt_memory_alloc(count, item_bytes);
    if (memory) memset(memory, 0, count * item_bytes);
    return memory;
}

void *bt_memory_grow(void *items, size_t *capacity, size_t need, size_t item_bytes) {
    if (items && need <= *capacity) return items;
    size_t wanted = *capacity < SIZE_MAX / 2 ? *capacity * 2 : SIZE_MAX;
    if (wanted < need) wanted = need;
    if (wanted < 8) wanted = 8;
    size_t bytes;
    if (!bt_memory_product(wanted, item_bytes, &bytes)) return report(need, item_bytes);
    void *moved = must_fail() ? NULL : realloc(items, bytes ? bytes : 1);
    if (!moved) return report(need, item_bytes);
    *capacity = wanted;
    return moved;
}

char *bt_memory_copy_text(const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = bt_memory_alloc(bytes, 1);
    if (copy) memcpy(copy, text, bytes);
    return copy;
}

void bt_memory_free(void *memory) {
    free(memory);
}
