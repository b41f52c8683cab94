/* safetensors as weights, and indexes of shards (of any kind): {"metadata": {...}, "weight_map": {NAME: FILE, ...}}. */
#include "base/memory.h"
#include "formats/json.h"
#include "formats/weights_local.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SHARDS 4096

bt_status bt_weights_read_safetensors(bt_weights *w, const char *path) {
    bt_safetensors *file;
    BT_TRY(bt_safetensors_open(path, &file));
    bt_status status = bt_weights_keep(w, (bt_weights_part){.safetensors = file});
    if (status != BT_OK) {
        bt_safetensors_close(file);
        return status;
    }
    for (int64_t i = 0; i < bt_safetensors_count(file); i++) {
        const bt_safetensors_entry *e = bt_safetensors_at(file, i);
        bt_weight t = {.dtype = e->dtype,
                       .rank = e->rank,
                       .count = e->count,
                       .data = e->count ? e->data : NULL,
                       .bytes = e->bytes};
        memcpy(t.dim, e->dim, sizeof t.dim);
        t.file = path;
        t.offset = e->offset;
        BT_TRY(bt_weights_add(w, path, &t, e->name, strlen(e->name)));
    }
    for (int64_t i = 0; i < bt_safetensors_metadata_count(file); i++) {
        const char *key, *text;
        bt_safetensors_metadata_at(file, i, &key, &text);
        BT_TRY(bt_weights_add_note(w, key, strlen(key), text, strlen(text)));
    }
    w->format = "safetensors";
    return BT_OK;
}

/* ---- shards ---- */

/** A shard: the first mention of its name, and the path that its tensors carry. */
typedef struct shard {
    const bt_json_value *mention;
    const char *path;
} shard;

static int by_shard(const void *a, const void *b) {
    return strcmp(((const shard *)a)->mention->as.string, ((const shard *)b)->mention->as.string);
}

/** A plain file name: an index of someone else must not reach outside its folder. */
static bt_status check_name(const bt_json_value *mention) {
    const char *name;
    BT_TRY(bt_json_as_string(mention, &name));
    if (*name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && mention->count <= 255)
        return BT_OK;
    return bt_json_error(mention,
                         "tensor %.100s lies in \"%.200s\", which is no plain file name; shards lie beside their index",
                         mention->key, name);
}

/** The distinct names of shards, sorted. */
static bt_status list_shards(const bt_json_value *map, shard *all, size_t *count) {
    for (size_t i = 0; i < map->count; i++) {
        BT_TRY(check_name(&map->as.member[i]));
        all[i].mention = &map->as.member[i];
    }
    qsort(all, map->count, sizeof *all, by_shard);
    *count = 0;
    for (size_t i = 0; i < map->count; i++)
        if (i == 0 || by_shard(&all[*count - 1], &all[i]) != 0) all[(*count)++] = all[i];
    if (*count > MAX_SHARDS)
        return bt_json_error(map, "weight_map names %zu files; at most %d are read", *count, MAX_SHARDS);
    return BT_OK;
}

static bt_status open_shards(bt_weights *w, const char *path, shard *all, size_t count) {
    size_t missing = 0;
    const char *first = NULL;
    for (size_t i = 0; i < count; i++) {
        char *full = bt_file_sibling(path, all[i].mention->as.string);
        all[i].path = full ? bt_arena_copy(&w->arena, full, strlen(full)) : NULL;
        bt_memory_free(full);
        if (!all[i].path) return BT_ERR_MEMORY;
        if (bt_file_exists(all[i].path)) continue;
        if (missing++ == 0) first = all[i].mention->as.string;
    }
    if (missing)
        return bt_error(BT_ERR_IO, "%s: %zu of %zu shards are missing: %s%s; bring them into the index's folder", path,
                        missing, count, first, missing > 1 ? " and others" : "");
    for (size_t i = 0; i < count; i++) BT_TRY(bt_weights_read_file(w, all[i].path, true));
    return BT_OK;
}

/** Each tensor of each shard is mapped to that shard, and each mapped tensor was found. */
static bt_status check_map(const bt_weights *w, const char *path, const bt_json_value *map) {
    for (size_t i = 0; i < w->count; i++) {
        const bt_weight *t = &w->items[i];
        const bt_json_value *mention = bt_json_find(map, t->name);
        if (!mention)
            return bt_error(BT_ERR_FORMAT,
                            "%s: tensor %.200s of %s is not in weight_map; are index and shards of one model?", path,
                            t->name, t->file);
        const char *slash = strrchr(t->file, '/');
        if (strcmp(mention->as.string, slash ? slash + 1 : t->file) != 0)
            return bt_json_error(mention, "tensor %.200s should lie in %s, but lies in %s", t->name, mention->as.string,
                                 t->file);
    }
    return BT_OK;
}

/** Names are unique in the map; so if all that was found is in it, and something is missing, the numbers differ. */
static bt_status check_found(bt_weights *w, const bt_json_value *map) {
    bt_json_value const **found = bt_memory_zeroed(map->count, sizeof *found);
    if (!found) return BT_ERR_MEMORY;
    for (size_t i = 0; i < w->count; i++) found[bt_json_find(map, w->items[i].name) - map->as.member] = map;
    size_t at = 0;
    while (at < map->count && found[at]) at++;
    bt_memory_free(found);
    if (at == map->count) return BT_OK;
    const bt_json_value *mention = &map->as.member[at];
    return bt_json_error(mention, "tensor %.200s should lie in %s, and is not there", mention->key, mention->as.string);
}

static bt_status read_map(bt_weights *w, const char *path, const bt_json_value *map) {
    size_t count = 0;
    if (map->count == 0) return bt_json_error(map, "weight_map is empty");
    shard *all = bt_memory_zeroed(map->count, sizeof *all);
    if (!all) return BT_ERR_MEMORY;
    bt_status status = list_shards(map, all, &count);
    if (status == BT_OK) status = open_shards(w, path, all, count);
    bt_memory_free(all);
    if (status == BT_OK) status = check_map(w, path, map);
    if (status == BT_OK) status = check_found(w, map);
    if (status != BT_OK) return status;
    w->format = bt_arena_format(&w->arena, "%s in %zu shard%s", w->format, count, count == 1 ? "" : "s");
    return w->format ? BT_OK : BT_ERR_MEMORY;
}

bt_status bt_weights_read_index(bt_weights *w, const char *path) {
    bt_json *document;
    BT_TRY(bt_json_read(path, &document));
    const bt_json_value *root = bt_json_root(document), *map = NULL;
    bt_status status;
    if (bt_json_find(root, "weight_map"))
        status = bt_json_get(root, "weight_map", BT_JSON_OBJECT, &map);
    else
        status = bt_error(
            BT_ERR_FORMAT,
            "%s: a JSON file without \"weight_map\", so no index of shards; give the file of the weights themselves",
            path);
    if (status == BT_OK) status = read_map(w, path, map);
    bt_json_free(document);
    return status;
}
