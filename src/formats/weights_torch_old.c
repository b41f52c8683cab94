/* PyTorch's format of before 1.6 (and of torch.save(..., _use_new_zipfile_serialization=False)): pickles one behind the
 * other, then the storages.
 *
 *   pickle   the magic number 0x1950a86a20f9469cfc6c
 *   pickle   the version of the protocol, 1001
 *   pickle   {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {...}}
 *   pickle   the object, whose storages have keys
 *   pickle   the list of keys
 *
 * Then, for each key: uint64 number of elements, the elements; to the end of the file. */
#include "base/memory.h"
#include "formats/bytes.h"
#include "formats/weights_torch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PROTOCOL 1001
static const unsigned char magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

/** A storage and where it lies. */
typedef struct place {
    const bt_pickle_storage *storage;
    uint64_t offset; /* 0: not found yet */
} place;

typedef struct places {
    place *item; /* (count) sorted by key, each key once */
    size_t count;
} places;

typedef struct reader {
    bt_pickle document;
    const char *path;
    const bt_file_map *map;
    size_t at;
} reader;

static bt_status next(reader *r, bt_pickle_value **out) {
    size_t bytes = 0;
    BT_TRY(bt_pickle_read(&r->document, r->path, r->at, r->map->data + r->at, r->map->bytes - r->at, out, &bytes));
    r->at += bytes;
    return BT_OK;
}

/** The three pickles before the object. */
static bt_status read_head(reader *r) {
    bt_pickle_value *v = NULL;
    BT_TRY(next(r, &v));
    if (v->kind != BT_PICKLE_LARGE || v->as.text.length != sizeof magic ||
        memcmp(v->as.text.bytes, magic, sizeof magic) != 0)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte 0: a pickle of Python that torch.save did not write (it holds %s); load it with what "
                        "wrote it, and save the tensors with torch.save or as safetensors",
                        r->path, bt_pickle_kind_name(v->kind));
    size_t at = r->at;
    BT_TRY(next(r, &v));
    if (v->kind != BT_PICKLE_INTEGER || v->as.integer != PROTOCOL)
        return bt_error(
            BT_ERR_UNSUPPORTED,
            "%s: byte %zu: another version of PyTorch's old format than %d; load and save the file with PyTorch",
            r->path, at, PROTOCOL);
    at = r->at;
    BT_TRY(next(r, &v));
    const bt_pickle_value *little = bt_pickle_find(v, "little_endian");
    if (!little || little->kind != BT_PICKLE_BOOL)
        return bt_error(BT_ERR_FORMAT, "%s: byte %zu: the description of the machine is damaged", r->path, at);
    if (!little->as.boolean)
        return bt_error(
            BT_ERR_UNSUPPORTED,
            "%s: byte %zu: written by a big-endian machine; load and save it with PyTorch on a little-endian one",
            r->path, at);
    return BT_OK;
}

/* ---- storages ---- */

static int compare_keys(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return order ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static int by_key(const void *a, const void *b) {
    const bt_pickle_storage *x = ((const place *)a)->storage, *y = ((const place *)b)->storage;
    return compare_keys(x->key, x->key_bytes, y->key, y->key_bytes);
}

/** All storages of the object, each once. One key must mean the same type and size everywhere. */
static bt_status list_storages(const reader *r, places *p) {
    const bt_pickle *d = &r->document;
    p->item = bt_memory_zeroed(d->storage_count, sizeof *p->item);
    if (!p->item) return BT_ERR_MEMORY;
    for (size_t i = 0; i < d->storage_count; i++) p->item[i].storage = d->storages[i];
    qsort(p->item, d->storage_count, sizeof *p->item, by_key);
    for (size_t i = 0; i < d->storage_count; i++) {
        const bt_pickle_storage *s = p->item[i].storage, *before = p->count ? p->item[p->count - 1].storage : NULL;
        if (!before || by_key(&p->item[p->count - 1], &p->item[i]) != 0)
            p->item[p->count++] = p->item[i];
        else if (before->dtype != s->dtype || before->count != s->count)
            return bt_error(BT_ERR_FORMAT,
                            "%s: byte %zu: the storage of byte %zu is mentioned with another type or size", r->path,
                            s->at, before->at);
    }
    return BT_OK;
}

static place *find(const places *p, const char *key, size_t bytes) {
    const bt_pickle_storage wanted = {.key = key, .key_bytes = bytes};
    const place pattern = {.storage = &wanted};
    return bsearch(&pattern, p->item, p->count, sizeof *p->item, by_key);
}

/** The storage whose key is next in the list begins at r->at. */
static bt_status place_storage(reader *r, const places *p, const bt_pickle_value *key) {
    if (key->kind != BT_PICKLE_TEXT)
        return bt_error(BT_ERR_FORMAT, "%s: byte %zu: the key of a storage is %s", r->path, key->at,
                        bt_pickle_kind_name(key->kind));
    place *found = find(p, key->as.text.bytes, key->as.text.length);
    if (!found || found->offset)
        return bt_error(BT_ERR_FORMAT, "%s: byte %zu: a storage is listed that %s", r->path, key->at,
                        found ? "was listed before" : "no tensor has");
    const bt_pickle_storage *s = found->storage;
    size_t left = r->map->bytes - r->at;
    if (left < 8)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %zu: the file ends before the storage of byte %zu; is the download complete?",
                        r->path, r->at, s->at);
    uint64_t count = bt_bytes_u64(r->map->data + r->at), bytes = (uint64_t)s->count * bt_file_dtype_bytes(s->dtype);
    if (count != (uint64_t)s->count)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %zu: a storage of %" PRIu64 " elements, where the pickle says %" PRId64, r->path,
                        r->at, count, s->count);
    if (bytes > left - 8)
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte %zu: a storage of %" PRIu64
                        " bytes reaches beyond the end of the file (%zu bytes); is the download complete?",
                        r->path, r->at, bytes, r->map->bytes);
    found->offset = r->at + 8;
    r->at += 8 + (size_t)bytes;
    return BT_OK;
}

static bt_status place_storages(reader *r, places *p) {
    bt_pickle_value *keys = NULL;
    size_t at = r->at;
    BT_TRY(next(r, &keys));
    if (keys->kind != BT_PICKLE_LIST)
        return bt_error(BT_ERR_FORMAT, "%s: byte %zu: %s where the list of storages is expected", r->path, at,
                        bt_pickle_kind_name(keys->kind));
    BT_TRY(list_storages(r, p));
    for (size_t i = 0; i < keys->as.list.count; i++) BT_TRY(place_storage(r, p, keys->as.list.item[i]));
    if (r->at != r->map->bytes)
        return bt_error(BT_ERR_FORMAT, "%s: byte %zu: %zu bytes behind the last storage belong to none", r->path, r->at,
                        r->map->bytes - r->at);
    return BT_OK;
}

static bt_status locate(const bt_torch_file *file, const bt_pickle_storage *s, uint64_t *out) {
    const place *found = find(file->context, s->key, s->key_bytes);
    if (!found || !found->offset)
        return bt_error(BT_ERR_FORMAT, "%s: byte %zu: the storage mentioned here is not in the file", file->where,
                        s->at);
    *out = found->offset;
    return BT_OK;
}

static bt_status read_file(bt_weights *w, reader *r, places *p) {
    bt_pickle_value *root = NULL;
    BT_TRY(read_head(r));
    BT_TRY(next(r, &root));
    BT_TRY(place_storages(r, p));
    bt_torch_file file = {.path = r->path, .where = r->path, .data = r->map->data, .context = p, .locate = locate};
    return bt_torch_add(w, &file, root);
}

bt_status bt_weights_read_torch_old(bt_weights *w, const char *path, const bt_file_map *map) {
    reader r = {.path = path, .map = map};
    places p = {.item = NULL};
    bt_status status = read_file(w, &r, &p);
    bt_memory_free(p.item);
    bt_pickle_free(&r.document);
    w->format = "PyTorch before 1.6";
    return status;
}
