/* An arena: many small allocations that are released together. For parsed documents and the strings of a config. */
#ifndef BITTERN_BASE_ARENA_H
#define BITTERN_BASE_ARENA_H

#include <bittern/status.h>

#include <stddef.h>

struct bt_arena_block;

/** Zero-initialised is an empty arena. Not for use by two threads at once. */
typedef struct bt_arena {
    struct bt_arena_block *blocks; /**< newest first */
    size_t used_bytes;             /**< of the newest */
} bt_arena;

/** count * item_bytes bytes, aligned for any C type, zeroed; NULL with a message if memory is out. */
void *bt_arena_alloc(bt_arena *arena, size_t count, size_t item_bytes) BT_MUST_CHECK;

/** A terminated copy of `length` bytes; NULL with a message if memory is out. */
char *bt_arena_copy(bt_arena *arena, const char *text, size_t length) BT_MUST_CHECK;

/** A formatted string; NULL with a message if memory is out. */
char *bt_arena_format(bt_arena *arena, const char *format, ...) BT_PRINTF(2, 3) BT_MUST_CHECK;

/** Releases everything; the arena is empty again. */
void bt_arena_free(bt_arena *arena);

#endif
