/* Blocks that double in size up to a megabyte; a request larger than that gets a block of its own size. */
#include "base/arena.h"

#include "base/memory.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FIRST_BLOCK_BYTES ((size_t)1 << 12)
#define LARGEST_BLOCK_BYTES ((size_t)1 << 20)

typedef struct bt_arena_block {
    struct bt_arena_block *next;
    size_t capacity_bytes;
    alignas(max_align_t) unsigned char data[];
} bt_arena_block;

static bool add_block(bt_arena *arena, size_t least_bytes) {
    size_t bytes = FIRST_BLOCK_BYTES;
    if (arena->blocks && arena->blocks->capacity_bytes >= FIRST_BLOCK_BYTES) bytes = arena->blocks->capacity_bytes * 2;
    if (bytes > LARGEST_BLOCK_BYTES) bytes = LARGEST_BLOCK_BYTES;
    if (bytes < least_bytes) bytes = least_bytes;
    if (bytes > SIZE_MAX - sizeof(bt_arena_block)) {
        bt_error(BT_ERR_MEMORY, "cannot allocate %zu bytes: out of memory", least_bytes);
        return false;
    }
    bt_arena_block *block = bt_memory_alloc(sizeof *block + bytes, 1);
    if (!block) return false;
    block->next = arena->blocks;
    block->capacity_bytes = bytes;
    arena->blocks = block;
    arena->used_bytes = 0;
    return true;
}

void *bt_arena_alloc(bt_arena *arena, size_t count, size_t item_bytes) {
    const size_t align = alignof(max_align_t);
    size_t bytes;
    if (!bt_memory_product(count, item_bytes, &bytes) || bytes > SIZE_MAX - align) {
        bt_error(BT_ERR_MEMORY, "cannot allocate %zu items of %zu bytes: out of memory", count, item_bytes);
        return NULL;
    }
    bytes = (bytes + align - 1) / align * align;
    if (!arena->blocks || bytes > arena->blocks->capacity_bytes - arena->used_bytes) {
        if (!add_block(arena, bytes)) return NULL;
    }
    void *memory = arena->blocks->data + arena->used_bytes;
    arena->used_bytes += bytes;
    return memset(memory, 0, bytes);
}

char *bt_arena_copy(bt_arena *arena, const char *text, size_t length) {
    BT_ASSERT(length < SIZE_MAX);
    char *copy = bt_arena_alloc(arena, length + 1, 1);
    if (copy) memcpy(copy, text, length);
    return copy;
}

char *bt_arena_format(bt_arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    BT_ASSERT(length >= 0);
    char *text = bt_arena_alloc(arena, (size_t)length + 1, 1);
    if (text) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void bt_arena_free(bt_arena *arena) {
    while (arena->blocks) {
        bt_arena_block *next = arena->blocks->next;
        bt_memory_free(arena->blocks);
        arena->blocks = next;
    }
    arena->used_bytes = 0;
}
