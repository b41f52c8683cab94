/* Strings with numbers; see names.h. */
#include "data/names.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a. */
static uint64_t hash_of(const char *name) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

/* Where `name` is or would be. */
static size_t slot_of(const bt_names *names, const char *name) {
    size_t mask = names->slot_count - 1, at = (size_t)hash_of(name) & mask;
    while (names->slots[at] >= 0 && strcmp(names->name[names->slots[at]], name) != 0) at = (at + 1) & mask;
    return at;
}

/* Room for one more name, at most half full. */
static bt_status make_room(bt_names *names) {
    const char **grown = bt_memory_grow(names->name, &names->capacity, names->count + 1, sizeof *grown);
    if (!grown) return BT_ERR_MEMORY;
    names->name = grown;
    if (2 * (names->count + 1) <= names->slot_count) return BT_OK;
    size_t count = names->slot_count ? 2 * names->slot_count : 16;
    int32_t *slots = bt_memory_alloc(count, sizeof *slots);
    if (!slots) return BT_ERR_MEMORY;
    bt_memory_free(names->slots);
    names->slots = slots;
    names->slot_count = count;
    memset(slots, 0xff, count * sizeof *slots);
    for (size_t i = 0; i < names->count; i++) slots[slot_of(names, names->name[i])] = (int32_t)i;
    return BT_OK;
}

bt_status bt_names_add(bt_names *names, const char *name, int32_t *number) {
    if (names->count >= INT32_MAX / 2) return bt_error(BT_ERR_FORMAT, "more than 2^30 different names");
    BT_TRY(make_room(names));
    size_t at = slot_of(names, name);
    if (names->slots[at] < 0) {
        names->slots[at] = (int32_t)names->count;
        names->name[names->count++] = name;
    }
    *number = names->slots[at];
    return BT_OK;
}

int32_t bt_names_find(const bt_names *names, const char *name) {
    return names->slot_count ? names->slots[slot_of(names, name)] : -1;
}

typedef struct numbered {
    const char *name;
    int32_t number;
} numbered;

static int by_bytes(const void *a, const void *b) {
    return strcmp(((const numbered *)a)->name, ((const numbered *)b)->name);
}

bt_status bt_names_sort(bt_names *names, int32_t *new_number) {
    numbered *sorted = bt_memory_alloc(names->count, sizeof *sorted);
    if (!sorted) return BT_ERR_MEMORY;
    for (size_t i = 0; i < names->count; i++) sorted[i] = (numbered){names->name[i], (int32_t)i};
    if (names->count > 1) qsort(sorted, names->count, sizeof *sorted, by_bytes);
    for (size_t i = 0; i < names->count; i++) {
        names->name[i] = sorted[i].name;
        new_number[sorted[i].number] = (int32_t)i;
    }
    bt_memory_free(sorted);
    for (size_t i = 0; i < names->slot_count; i++) {
        if (names->slots[i] >= 0) names->slots[i] = new_number[names->slots[i]];
    }
    return BT_OK;
}

void bt_names_free(bt_names *names) {
    bt_memory_free(names->name);
    bt_memory_free(names->slots);
    *names = (bt_names){0};
}
