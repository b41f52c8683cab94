/* Host memory: overflow-checked, aligned for the widest vectors, with a switch that makes one allocation fail.
 *
 * Functions return NULL with a BT_ERR_MEMORY message in place, so a caller writes
 *     float *x = bt_memory_alloc(n, sizeof *x);
 *     if (!x) return BT_ERR_MEMORY;
 * Everything is released by bt_memory_free. For tests, the environment BT_FAIL_ALLOC=n makes the n-th allocation of the
 * process fail (1 is the first); bt_memory_fail_at does the same from inside.
 */
#ifndef BITTERN_BASE_MEMORY_H
#define BITTERN_BASE_MEMORY_H

#include <bittern/status.h>

#include <stddef.h>
#include <stdint.h>

/** A cache line, and one AVX-512 register. */
#define BT_MEMORY_ALIGN 64

/** count * item_bytes bytes, aligned to BT_MEMORY_ALIGN, content undefined. Never NULL for an empty request. */
void *bt_memory_alloc(size_t count, size_t item_bytes) BT_MUST_CHECK;

/** The same, zeroed. */
void *bt_memory_zeroed(size_t count, size_t item_bytes) BT_MUST_CHECK;

/** Makes room for at least `need` items in an array of `*capacity`, at least doubling it so that appending costs
 * constant time per item. Returns the array, which may have moved and is then aligned for any C type only. On failure
 * returns NULL and leaves `items` and `*capacity` as they were. */
void *bt_memory_grow(void *items, size_t *capacity, size_t need, size_t item_bytes) BT_MUST_CHECK;

/** A copy of a string. */
char *bt_memory_copy_text(const char *text) BT_MUST_CHECK;

void bt_memory_free(void *memory);

/** Bytes that this process may still take: what the system has available, free swap included, and what is left to its
 * control groups (containers, jobs of a cluster), whichever is least. UINT64_MAX where nothing says so. `root` stands
 * before /proc and /sys: "". */
uint64_t bt_memory_room(const char *root) BT_MUST_CHECK;

/** Product of two sizes; false if it does not fit. */
bool bt_memory_product(size_t a, size_t b, size_t *out) BT_MUST_CHECK;

/** Tests: the n-th allocation from now on fails, and only that one; 0 switches this off. Counts over all threads. */
void bt_memory_fail_at(int64_t n);

#endif
