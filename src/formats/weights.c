/* Weight files; see weights.h: the list of tensors, and which reader a file gets. */
#include "formats/weights.h"

#include "base/memory.h"
#include "formats/bytes.h"
#include "formats/weights_local.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what readers add ---- */

bt_status bt_weights_keep(bt_weights *w, bt_weights_part part) {
    if (w->part_count == w->part_capacity) {
        void *grown = bt_memory_grow(w->parts, &w->part_capacity, w->part_count + 1, sizeof *w->parts);
        if (!grown) return BT_ERR_MEMORY;
        w->parts = grown;
    }
    w->parts[w->part_count++] = part;
    w->file_bytes += part.map.bytes;
    return BT_OK;
}

bt_status bt_weights_block(bt_weights *w, const char *where, uint64_t bytes, void **out) {
    uint64_t times =
        w->file_bytes > UINT64_MAX / BT_WEIGHTS_COPY_TIMES / 2 ? UINT64_MAX / 2 : w->file_bytes * BT_WEIGHTS_COPY_TIMES;
    uint64_t most = times + BT_WEIGHTS_COPY_BYTES, left = most - w->copied_bytes;
    if (bytes > left)
        return bt_error(BT_ERR_FORMAT,
                        "%s: %llu bytes more in memory than in the file; for a file of %llu bytes at most %llu are "
                        "made. Save expanded tensors with "
                        ".contiguous() left out, arrays with numpy.savez",
                        where, (unsigned long long)bytes, (unsigned long long)w->file_bytes, (unsigned long long)most);
    void *memory = bt_memory_alloc((size_t)bytes, 1);
    if (!memory) return BT_ERR_MEMORY;
    bt_status status = bt_weights_keep(w, (bt_weights_part){.memory = memory});
    if (status != BT_OK) {
        bt_memory_free(memory);
        return status;
    }
    w->copied_bytes += bytes;
    *out = memory;
    return BT_OK;
}

static bool is_text(const char *text, size_t bytes) {
    for (size_t i = 0, step; i < bytes; i += step) {
        step = text[i] ? bt_text_utf8_length(text + i, bytes - i) : 0;
        if (!step) return false;
    }
    return true;
}

bt_status bt_weights_add(bt_weights *w, const char *where, const bt_weight *weight, const char *name,
                         size_t name_bytes) {
    if (name_bytes > BT_WEIGHTS_MAX_NAME)
        return bt_error(BT_ERR_FORMAT, "%s: the name of a tensor has %zu bytes, at most %d are read: %.60s...", where,
                        name_bytes, BT_WEIGHTS_MAX_NAME, name);
    if (!is_text(name, name_bytes))
        return bt_error(BT_ERR_FORMAT, "%s: the name of a tensor is not UTF-8, or holds a NUL", where);
    w->name_bytes += name_bytes + 1;
    if (w->count == BT_WEIGHTS_MAX_TENSORS || w->name_bytes > BT_WEIGHTS_MAX_NAME_BYTES)
        return bt_error(BT_ERR_FORMAT, "%s: over %zu tensors, or over %zu bytes of names; no model has so many", where,
                        BT_WEIGHTS_MAX_TENSORS, BT_WEIGHTS_MAX_NAME_BYTES);
    if (w->count == w->capacity) {
        void *grown = bt_memory_grow(w->items, &w->capacity, w->count + 1, sizeof *w->items);
        if (!grown) return BT_ERR_MEMORY;
        w->items = grown;
    }
    bt_weight *item = &w->items[w->count];
    *item = *weight;
    item->name = bt_arena_copy(&w->arena, name, name_bytes);
    if (!item->name) return BT_ERR_MEMORY;
    w->count++;
    return BT_OK;
}

bt_status bt_weights_add_note(bt_weights *w, const char *name, size_t name_bytes, const char *text, size_t text_bytes) {
    if (!is_text(name, name_bytes) || !is_text(text, text_bytes)) return BT_OK;
    if (w->note_count == w->note_capacity) {
        void *grown = bt_memory_grow(w->notes, &w->note_capacity, w->note_count + 1, sizeof *w->notes);
        if (!grown) return BT_ERR_MEMORY;
        w->notes = grown;
    }
    bt_weights_note_pair note = {bt_arena_copy(&w->arena, name, name_bytes),
                                 bt_arena_copy(&w->arena, text, text_bytes)};
    if (!note.name || !note.text) return BT_ERR_MEMORY;
    w->notes[w->note_count++] = note;
    return BT_OK;
}

/* ---- which reader ---- */

static bool begins(const bt_file_map *map, const char *bytes, size_t count) {
    return map->bytes >= count && memcmp(map->data, bytes, count) == 0;
}

/** The header's length is possible and the header begins as one: pickles have neither. */
static bool is_safetensors(const bt_file_map *map) {
    return map->bytes >= 10 && map->data[8] == '{' && bt_bytes_u64(map->data) <= BT_SAFETENSORS_MAX_HEADER_BYTES;
}

static bool named(const char *path, const char *end) {
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcmp(path + n - m, end) == 0;
}

static bt_status read_mapped(bt_weights *w, const char *path, const bt_file_map *map, bool shard) {
    if (begins(map, "PK\3\4", 4) || begins(map, "PK\5\6", 4)) return bt_weights_read_zip(w, path, map);
    if (begins(map, "\x93NUMPY", 6)) return bt_weights_read_npy(w, path, map);
    if (map->bytes >= 2 && map->data[0] == 0x80 && map->data[1] >= 2 && map->data[1] <= 5)
        return bt_weights_read_torch_old(w, path, map);
    if (!shard && bt_weights_first_byte(map) == '{') return bt_weights_read_index(w, path);
    return bt_weights_unknown(path, map);
}

/** A link of git-annex whose content was not fetched leads nowhere. */
static bt_status missing(const char *path, bt_status status) {
    char target[4096];
    ssize_t bytes = bt_file_exists(path) ? readlink(path, target, sizeof target - 1) : 0;
    if (bytes <= 0) return status;
    target[bytes] = 0;
    if (access(path, F_OK) == 0 || !strstr(target, "annex/objects/")) return status;
    return bt_error(BT_ERR_IO, "%s: a link of git-annex whose file is not here; fetch it with `git annex get %s`", path,
                    path);
}

bt_status bt_weights_read_file(bt_weights *w, const char *path, bool shard) {
    bt_file_map map;
    bt_status status = bt_file_map_open(path, &map);
    if (status != BT_OK) return missing(path, status);
    /* A file that is called safetensors and begins as nothing else known gets that reader's message. */
    bool other = begins(&map, "PK", 2) || begins(&map, "\x93NUMPY", 6) ||
                 (map.bytes > 1 && map.data[0] == 0x80 && map.data[1] >= 2 && map.data[1] <= 5);
    if (is_safetensors(&map) ||
        (!other && named(path, ".safetensors") && map.bytes >= 8 && bt_bytes_u64(map.data) < (uint64_t)1 << 40)) {
        bt_file_map_close(&map);
        return bt_weights_read_safetensors(w, path);
    }
    status = bt_weights_keep(w, (bt_weights_part){.map = map});
    if (status != BT_OK) {
        bt_file_map_close(&map);
        return status;
    }
    return read_mapped(w, path, &map, shard);
}

/* ---- the whole ---- */

static int by_name(const void *a, const void *b) {
    return strcmp((*(const bt_weight *const *)a)->name, (*(const bt_weight *const *)b)->name);
}

static bt_status finish(bt_weights *w, const char *path) {
    w->by_name = bt_memory_alloc(w->count, sizeof *w->by_name);
    if (!w->by_name) return BT_ERR_MEMORY;
    for (size_t i = 0; i < w->count; i++) w->by_name[i] = &w->items[i];
    qsort(w->by_name, w->count, sizeof *w->by_name, by_name);
    for (size_t i = 1; i < w->count; i++)
        if (strcmp(w->by_name[i - 1]->name, w->by_name[i]->name) == 0)
            return bt_error(BT_ERR_FORMAT, "%s: two tensors have the name %.200s", path, w->by_name[i]->name);
    return BT_OK;
}

static bt_status read_all(bt_weights *w, const char *given) {
    const char *path = bt_arena_copy(&w->arena, given, strlen(given));
    if (!path) return BT_ERR_MEMORY;
    BT_TRY(bt_weights_read_file(w, path, false));
    return finish(w, path);
}

bt_status bt_weights_open(const char *path, bt_weights **out) {
    bt_weights *w = bt_memory_zeroed(1, sizeof *w);
    if (!w) return BT_ERR_MEMORY;
    bt_status status = read_all(w, path);
    if (status != BT_OK) {
        bt_weights_close(w);
        return status;
    }
    *out = w;
    return BT_OK;
}

void bt_weights_close(bt_weights *w) {
    if (!w) return;
    for (size_t i = 0; i < w->part_count; i++) {
        bt_file_map_close(&w->parts[i].map);
        bt_safetensors_close(w->parts[i].safetensors);
        bt_memory_free(w->parts[i].memory);
    }
    bt_memory_free(w->parts);
    bt_memory_free(w->items);
    bt_memory_free(w->by_name);
    bt_memory_free(w->notes);
    bt_arena_free(&w->arena);
    bt_memory_free(w);
}

/* ---- queries ---- */

const char *bt_weights_format(const bt_weights *w) {
    return w->format;
}

int64_t bt_weights_count(const bt_weights *w) {
    return (int64_t)w->count;
}

const bt_weight *bt_weights_at(const bt_weights *w, int64_t index) {
    BT_ASSERT(index >= 0 && (size_t)index < w->count);
    return &w->items[index];
}

const bt_weight *bt_weights_find(const bt_weights *w, const char *name) {
    bt_weight key = {.name = name};
    const bt_weight *pointer = &key;
    const bt_weight **found = bsearch(&pointer, w->by_name, w->count, sizeof *w->by_name, by_name);
    return found ? *found : NULL;
}

int64_t bt_weights_note_count(const bt_weights *w) {
    return (int64_t)w->note_count;
}

void bt_weights_note_at(const bt_weights *w, int64_t index, const char **name, const char **text) {
    BT_ASSERT(index >= 0 && (size_t)index < w->note_count);
    *name = w->notes[index].name;
    *text = w->notes[index].text;
}

const char *bt_weights_note(const bt_weights *w, const char *name) {
    for (size_t i = 0; i < w->note_count; i++)
        if (strcmp(w->notes[i].name, name) == 0) return w->notes[i].text;
    return NULL;
}
