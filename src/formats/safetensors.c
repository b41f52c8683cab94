/* safetensors: reading. Layout and rules are in bittern/safetensors.h; writing is in safetensors_write.c.
 *
 * The header is parsed into a JSON tree that stays, so that names and metadata need no copies. Entries are checked one
 * by one, then sorted by their begin, where overlaps and holes show between neighbours. */
#include <bittern/safetensors.h>

#include "base/file.h"
#include "base/memory.h"
#include "formats/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct bt_safetensors {
    bt_file_map map;
    bt_json *header;
    const bt_json_value *metadata; /* NULL if there is none */
    bt_safetensors_entry *entries; /* (count) by offset */
    const bt_safetensors_entry **by_name;
    int64_t count;
};

/* ---- what the file is, if it is not safetensors ---- */

static bool begins(const bt_file_map *map, const char *magic, size_t bytes) {
    return map->bytes >= bytes && memcmp(map->data, magic, bytes) == 0;
}

static const char *guess(const bt_file_map *map) {
    if (map->bytes == 0) return "it is empty";
    if (begins(map, "version https://git-lfs", 23)) {
        return "it is a git-lfs text pointer; fetch the real file with `git lfs pull`";
    }
    size_t i = 0;
    while (i < map->bytes && i < 64 && strchr(" \t\r\n", map->data[i])) i++;
    if (i < map->bytes && map->data[i] == '<') return "it is a web page, perhaps the error page of a failed download";
    if (begins(map, "PK\x03\x04", 4) ||
        (begins(map, "\x80", 1) && map->bytes > 1 && map->data[1] >= 2 && map->data[1] <= 5)) {
        return "this is a PyTorch file, not safetensors; convert it in Python with "
               "safetensors.torch.save_file(torch.load(FILE, weights_only=True), OUT)";
    }
    if (begins(map, "\x89HDF", 4)) return "it is an HDF5 file";
    if (begins(map, "\x93NUMPY", 6)) return "it is a NumPy file";
    if (begins(map, "GGUF", 4)) return "it is a GGUF file";
    return NULL;
}

/* A fault of the first bytes: says what the file seems to be, if that is known, and else `why`. */
static bt_status not_safetensors(const char *path, const bt_file_map *map, const char *why, uint64_t value) {
    const char *known = guess(map);
    if (known) return bt_error(BT_ERR_FORMAT, "%s: byte 0: not a safetensors file: %s", path, known);
    return bt_error(BT_ERR_FORMAT, "%s: byte 0: not a safetensors file: header length %" PRIu64 " %s (file: %zu bytes)",
                    path, value, why, map->bytes);
}

/* ---- the header ---- */

static bt_status parse_header(const char *path, bt_safetensors *file, uint64_t *out_data_at) {
    const bt_file_map *map = &file->map;
    if (map->bytes < 8) {
        const char *known = guess(map);
        return bt_error(BT_ERR_FORMAT, "%s: byte 0: the file has %zu bytes, a safetensors file at least 8%s%s", path,
                        map->bytes, known ? ": " : "", known ? known : "");
    }
    uint64_t length;
    memcpy(&length, map->data, sizeof length);
    if (length > BT_SAFETENSORS_MAX_HEADER_BYTES) {
        return not_safetensors(path, map, "is over the allowed 100000000", length);
    }
    if (length > map->bytes - 8)
        return not_safetensors(path, map, "goes beyond the end; is the download complete?", length);
    if (length < 2) return not_safetensors(path, map, "is less than 2", length);
    if (map->data[8] != '{') {
        const char *known = guess(map);
        return bt_error(BT_ERR_FORMAT, "%s: byte 8: the header begins with byte 0x%02x, '{' is expected%s%s", path,
                        map->data[8], known ? ": " : "", known ? known : "");
    }
    BT_TRY(bt_json_parse((const char *)map->data + 8, (size_t)length, path, 8, &file->header));
    *out_data_at = 8 + length;
    return BT_OK;
}

static bt_status read_metadata(bt_safetensors *file, const bt_json_value *value) {
    if (value->type != BT_JSON_OBJECT) {
        return bt_json_error(value, "__metadata__ is %s, an object of strings is expected",
                             bt_json_type_name(value->type));
    }
    for (size_t i = 0; i < value->count; i++) {
        const char *text;
        BT_TRY(bt_json_as_string(&value->as.member[i], &text));
    }
    file->metadata = value;
    return BT_OK;
}

static bt_status read_dtype(const bt_json_value *tensor, bt_safetensors_entry *entry) {
    const char *name;
    BT_TRY(bt_json_get_string(tensor, "dtype", &name));
    for (int d = 0; d < BT_FILE_DTYPE_COUNT; d++) {
        if (strcmp(name, bt_file_dtype_name((bt_file_dtype)d)) != 0) continue;
        entry->dtype = (bt_file_dtype)d;
        return BT_OK;
    }
    return bt_json_error(
        bt_json_find(tensor, "dtype"),
        "tensor %s: unknown dtype \"%.40s\"; known are BOOL, U8..U64, I8..I64, F16, BF16, F32, F64, F8_E5M2, "
        "F8_E4M3",
        entry->name, name);
}

/* Rank, axes, and their product with the element size, all without overflow. */
static bt_status read_shape(const bt_json_value *tensor, bt_safetensors_entry *entry) {
    const bt_json_value *shape;
    BT_TRY(bt_json_get(tensor, "shape", BT_JSON_ARRAY, &shape));
    if (shape->count > BT_SAFETENSORS_MAX_RANK) {
        return bt_json_error(shape, "tensor %s: %zu axes, at most %d are allowed", entry->name, shape->count,
                             BT_SAFETENSORS_MAX_RANK);
    }
    entry->rank = (int)shape->count;
    entry->count = 1;
    int64_t bytes = (int64_t)bt_file_dtype_bytes(entry->dtype);
    for (int i = 0; i < entry->rank; i++) {
        BT_TRY(bt_json_as_integer(&shape->as.member[i], 0, INT64_MAX, &entry->dim[i]));
        if (__builtin_mul_overflow(bytes, entry->dim[i], &bytes)) {
            return bt_json_error(shape, "tensor %s: the shape's size in bytes overflows 63 bits", entry->name);
        }
        entry->count *= entry->dim[i];
    }
    entry->bytes = (size_t)bytes;
    return BT_OK;
}

/* Sets the place of the data; `data_at` is where data begins in the file. */
static bt_status read_offsets(const bt_json_value *tensor, const bt_safetensors *file, uint64_t data_at,
                              bt_safetensors_entry *entry) {
    const bt_json_value *offsets;
    BT_TRY(bt_json_get(tensor, "data_offsets", BT_JSON_ARRAY, &offsets));
    if (offsets->count != 2) {
        return bt_json_error(offsets, "tensor %s: data_offsets has %zu values, [begin, end] is expected", entry->name,
                             offsets->count);
    }
    int64_t begin, end, available = (int64_t)(file->map.bytes - data_at);
    BT_TRY(bt_json_as_integer(&offsets->as.member[0], 0, INT64_MAX, &begin));
    BT_TRY(bt_json_as_integer(&offsets->as.member[1], 0, INT64_MAX, &end));
    if (end < begin) {
        return bt_json_error(offsets, "tensor %s: data_offsets end %" PRId64 " is before begin %" PRId64, entry->name,
                             end, begin);
    }
    if (end > available) {
        return bt_json_error(offsets,
                             "tensor %s: data_offsets end %" PRId64 " is beyond the file's %" PRId64
                             " bytes of data; is the download complete?",
                             entry->name, end, available);
    }
    if ((uint64_t)(end - begin) != entry->bytes) {
        return bt_json_error(offsets, "tensor %s: data_offsets span %" PRId64 " bytes, but shape x %s is %zu",
                             entry->name, end - begin, bt_file_dtype_name(entry->dtype), entry->bytes);
    }
    entry->offset = data_at + (uint64_t)begin;
    entry->data = file->map.data + entry->offset;
    return BT_OK;
}

static bt_status read_entry(const bt_json_value *tensor, const bt_safetensors *file, uint64_t data_at,
                            bt_safetensors_entry *out) {
    static const char *const members[] = {"dtype", "shape", "data_offsets"};
    bt_safetensors_entry entry = {.name = tensor->key};
    if (tensor->type != BT_JSON_OBJECT) {
        return bt_json_error(tensor, "tensor %s is %s, an object is expected", tensor->key,
                             bt_json_type_name(tensor->type));
    }
    for (size_t i = 0; i < tensor->count; i++) {
        const bt_json_value *member = &tensor->as.member[i];
        bool known = false;
        for (int m = 0; m < 3; m++) known = known || strcmp(member->key, members[m]) == 0;
        if (!known) {
            return bt_json_error(member, "tensor %s: unknown member \"%.40s\"; known are dtype, shape, data_offsets",
                                 tensor->key, member->key);
        }
    }
    BT_TRY(read_dtype(tensor, &entry));
    BT_TRY(read_shape(tensor, &entry));
    BT_TRY(read_offsets(tensor, file, data_at, &entry));
    *out = entry;
    return BT_OK;
}

/* ---- all entries ---- */

/* Empty tensors come before the one that begins at the same byte. */
static int by_offset(const void *a, const void *b) {
    const bt_safetensors_entry *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const bt_safetensors_entry *const *)a)->name, (*(const bt_safetensors_entry *const *)b)->name);
}

static bt_status check_cover(const char *path, const bt_safetensors *file, uint64_t data_at) {
    uint64_t at = data_at;
    const char *before = NULL;
    for (int64_t i = 0; i < file->count; i++) {
        const bt_safetensors_entry *entry = &file->entries[i];
        if (entry->offset < at) {
            return bt_error(BT_ERR_FORMAT, "%s: byte %" PRIu64 ": tensors %s and %s overlap", path, entry->offset,
                            before, entry->name);
        }
        if (entry->offset > at) {
            return bt_error(BT_ERR_FORMAT, "%s: byte %" PRIu64 ": a hole of %" PRIu64 " bytes before tensor %s", path,
                            at, entry->offset - at, entry->name);
        }
        at += entry->bytes;
        before = entry->name;
    }
    if (at != file->map.bytes) {
        return bt_error(BT_ERR_FORMAT, "%s: byte %" PRIu64 ": %" PRIu64 " bytes behind the last tensor belong to none",
                        path, at, file->map.bytes - at);
    }
    return BT_OK;
}

static bt_status read_entries(const char *path, bt_safetensors *file, uint64_t data_at) {
    const bt_json_value *root = bt_json_root(file->header);
    file->entries = bt_memory_alloc(root->count, sizeof *file->entries);
    file->by_name = bt_memory_alloc(root->count, sizeof *file->by_name);
    if (!file->entries || !file->by_name) return BT_ERR_MEMORY;
    for (size_t i = 0; i < root->count; i++) {
        const bt_json_value *member = &root->as.member[i];
        if (strcmp(member->key, "__metadata__") == 0) {
            BT_TRY(read_metadata(file, member));
        } else {
            BT_TRY(read_entry(member, file, data_at, &file->entries[file->count]));
            file->count++;
        }
    }
    qsort(file->entries, (size_t)file->count, sizeof *file->entries, by_offset);
    BT_TRY(check_cover(path, file, data_at));
    for (int64_t i = 0; i < file->count; i++) file->by_name[i] = &file->entries[i];
    qsort(file->by_name, (size_t)file->count, sizeof *file->by_name, by_name);
    return BT_OK;
}

bt_status bt_safetensors_open(const char *path, bt_safetensors **out) {
    bt_safetensors *file = bt_memory_zeroed(1, sizeof *file);
    if (!file) return BT_ERR_MEMORY;
    uint64_t data_at = 0;
    bt_status status = bt_file_map_open(path, &file->map);
    if (status == BT_OK) status = parse_header(path, file, &data_at);
    if (status == BT_OK) status = read_entries(path, file, data_at);
    if (status != BT_OK) {
        bt_safetensors_close(file);
        return status;
    }
    *out = file;
    return BT_OK;
}

void bt_safetensors_close(bt_safetensors *file) {
    if (!file) return;
    bt_memory_free(file->entries);
    bt_memory_free(file->by_name);
    bt_json_free(file->header);
    bt_file_map_close(&file->map);
    bt_memory_free(file);
}

/* ---- queries ---- */

int64_t bt_safetensors_count(const bt_safetensors *file) {
    return file->count;
}

const bt_safetensors_entry *bt_safetensors_at(const bt_safetensors *file, int64_t index) {
    BT_ASSERT(index >= 0 && index < file->count);
    return &file->entries[index];
}

const bt_safetensors_entry *bt_safetensors_find(const bt_safetensors *file, const char *name) {
    bt_safetensors_entry key = {.name = name};
    const bt_safetensors_entry *pointer = &key;
    const bt_safetensors_entry **found =
        bsearch(&pointer, file->by_name, (size_t)file->count, sizeof *file->by_name, by_name);
    return found ? *found : NULL;
}

const char *bt_safetensors_metadata(const bt_safetensors *file, const char *key) {
    const bt_json_value *value = file->metadata ? bt_json_find(file->metadata, key) : NULL;
    return value ? value->as.string : NULL;
}

int64_t bt_safetensors_metadata_count(const bt_safetensors *file) {
    return file->metadata ? (int64_t)file->metadata->count : 0;
}

void bt_safetensors_metadata_at(const bt_safetensors *file, int64_t index, const char **key, const char **value) {
    BT_ASSERT(index >= 0 && index < bt_safetensors_metadata_count(file));
    *key = file->metadata->as.member[index].key;
    *value = file->metadata->as.member[index].as.string;
}
