/* Zip archives of weights: PyTorch's since 1.6, with TorchScript's, and .npz.
 *
 * PyTorch: members NAME/data.pkl, a pickle; NAME/data/KEY, the storages' bytes as they are; NAME/version; since 2.1
 * NAME/byteorder. TorchScript has besides NAME/code/..., which is not read, and NAME/constants.pkl.
 *
 * .npz: members NAME.npy, each a whole .npy file. */
#include "base/memory.h"
#include "formats/inflate.h"
#include "formats/npy.h"
#include "formats/weights_torch.h"
#include "formats/zip.h"

#include <stdio.h>
#include <string.h>

static bool ends_in(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

/* ---- PyTorch ---- */

typedef struct archive {
    const bt_zip *zip;
    const char *prefix;
    int prefix_bytes;
} archive;

static const bt_zip_member *member_of(const archive *a, const char *name, int name_bytes) {
    char full[BT_ZIP_MAX_NAME + BT_TORCH_MAX_KEY + 16];
    snprintf(full, sizeof full, "%.*s/%.*s", a->prefix_bytes, a->prefix, name_bytes, name);
    return bt_zip_find(a->zip, full);
}

static bt_status locate(const bt_torch_file *file, const bt_pickle_storage *s, uint64_t *out) {
    char name[BT_TORCH_MAX_KEY + 8];
    bool possible = s->key_bytes <= BT_TORCH_MAX_KEY && !memchr(s->key, 0, s->key_bytes);
    int bytes = snprintf(name, sizeof name, "data/%.*s", possible ? (int)s->key_bytes : 0, s->key);
    const bt_zip_member *member = possible ? member_of(file->context, name, bytes) : NULL;
    if (!member)
        return bt_error(BT_ERR_FORMAT, "%s: byte %zu: the storage %.*s is not in the archive", file->where, s->at,
                        s->key_bytes > 60 ? 60 : (int)s->key_bytes, s->key);
    uint64_t expected = (uint64_t)s->count * bt_file_dtype_bytes(s->dtype);
    if (member->method != BT_ZIP_STORED)
        return bt_error(
            BT_ERR_UNSUPPORTED,
            "%s: byte %llu: member %s is compressed, which torch.save never does; load and save the file with PyTorch",
            file->path, (unsigned long long)member->header, member->name);
    if (member->bytes != expected)
        return bt_error(
            BT_ERR_FORMAT,
            "%s: byte %zu: the storage %s is said to hold %lld elements of %s (%llu bytes), its member has %llu bytes",
            file->where, s->at, name + 5, (long long)s->count, bt_file_dtype_name(s->dtype),
            (unsigned long long)expected, (unsigned long long)member->bytes);
    *out = member->offset;
    return BT_OK;
}

/** "little" if there is a member that says; versions are whole numbers. */
static bt_status check_small_members(const char *path, const archive *a, const bt_zip_member *pickle) {
    const bt_zip_member *order = member_of(a, "byteorder", 9), *version = member_of(a, "version", 7);
    if (!version) version = member_of(a, ".data/version", 13);
    if (pickle->method != BT_ZIP_STORED)
        return bt_error(
            BT_ERR_UNSUPPORTED,
            "%s: byte %llu: member %s is compressed, which torch.save never does; load and save the file with PyTorch",
            path, (unsigned long long)pickle->header, pickle->name);
    if (pickle->bytes > BT_PICKLE_MAX_BYTES)
        return bt_error(BT_ERR_FORMAT, "%s: byte %llu: member %s has %llu bytes, at most %zu are read", path,
                        (unsigned long long)pickle->header, pickle->name, (unsigned long long)pickle->bytes,
                        BT_PICKLE_MAX_BYTES);
    if (order && (order->bytes != 6 || memcmp(a->zip->data + order->offset, "little", 6) != 0))
        return bt_error(
            BT_ERR_UNSUPPORTED,
            "%s: byte %llu: written by a big-endian machine; load and save it with PyTorch on a little-endian one",
            path, (unsigned long long)order->offset);
    if (!version || version->bytes == 0 || a->zip->data[version->offset] < '1' || a->zip->data[version->offset] > '9')
        return bt_error(BT_ERR_FORMAT, "%s: byte %llu: the archive has a data.pkl and no version as PyTorch's have",
                        path, (unsigned long long)pickle->header);
    return BT_OK;
}

bt_status bt_torch_read_zip(bt_weights *w, const char *path, const bt_zip *zip, const char *prefix,
                            size_t prefix_bytes) {
    archive a = {zip, prefix, (int)prefix_bytes};
    const bt_zip_member *member = member_of(&a, "data.pkl", 8);
    BT_TRY(check_small_members(path, &a, member));
    const char *where = bt_arena_format(&w->arena, "%s: data.pkl", path);
    if (!where) return BT_ERR_MEMORY;
    bt_torch_file file = {.path = path, .where = where, .data = zip->data, .context = &a, .locate = locate};
    bt_pickle document = {.pushes = 0};
    bt_pickle_value *root = NULL;
    size_t bytes = 0;
    bt_status status =
        bt_pickle_read(&document, where, 0, zip->data + member->offset, (size_t)member->bytes, &root, &bytes);
    if (status == BT_OK && bytes != member->bytes)
        status = bt_error(BT_ERR_FORMAT, "%s: byte %zu: %llu bytes behind the end of the pickle", where, bytes,
                          (unsigned long long)(member->bytes - bytes));
    if (status == BT_OK) status = bt_torch_add(w, &file, root);
    bt_pickle_free(&document);
    w->format = member_of(&a, "constants.pkl", 13) ? "PyTorch (TorchScript)" : "PyTorch";
    return status;
}

/* ---- .npz ---- */

/** The member's whole .npy file in memory: in the archive, or inflated. */
static bt_status unpack(bt_weights *w, const char *where, const bt_zip *zip, const bt_zip_member *m,
                        const unsigned char **out) {
    *out = zip->data + m->offset;
    if (m->method == BT_ZIP_STORED) return BT_OK;
    void *memory = NULL;
    BT_TRY(bt_inflate_check(where, m->bytes, m->unpacked_bytes));
    BT_TRY(bt_weights_block(w, where, m->unpacked_bytes, &memory));
    *out = memory;
    return bt_inflate(where, zip->data + m->offset, (size_t)m->bytes, memory, (size_t)m->unpacked_bytes, m->crc);
}

static bt_status add_array(bt_weights *w, const char *path, const bt_zip *zip, const bt_zip_member *m) {
    char where[512];
    snprintf(where, sizeof where, "%.250s: %.250s", path, m->name);
    const unsigned char *data = NULL;
    BT_TRY(unpack(w, where, zip, m, &data));
    bt_npy npy;
    BT_TRY(bt_npy_parse(where, data, (size_t)m->unpacked_bytes, &npy));
    bt_weight t = {
        .dtype = npy.dtype, .rank = npy.rank, .count = npy.count, .file = path, .copied = m->method != BT_ZIP_STORED};
    memcpy(t.dim, npy.dim, sizeof t.dim);
    t.bytes = (size_t)npy.count * bt_file_dtype_bytes(npy.dtype);
    t.data = npy.count ? npy.data : NULL;
    t.offset = m->offset + (t.copied ? 0 : npy.data_offset);
    bt_npy_close(&npy);
    return bt_weights_add(w, where, &t, m->name, strlen(m->name) - 4);
}

static bt_status read_npz(bt_weights *w, const char *path, const bt_zip *zip) {
    for (size_t i = 0; i < zip->count; i++) BT_TRY(add_array(w, path, zip, &zip->members[i]));
    w->format = "npz";
    return BT_OK;
}

/* ---- which of the two ---- */

/** The length of NAME if the member is NAME/data.pkl, else 0. */
static size_t torch_prefix(const char *name) {
    const char *slash = strchr(name, '/');
    return slash && strcmp(slash, "/data.pkl") == 0 ? (size_t)(slash - name) : 0;
}

static bt_status read_members(bt_weights *w, const char *path, const bt_zip *zip) {
    size_t arrays = 0;
    const char *pickle = NULL;
    for (size_t i = 0; i < zip->count; i++) {
        const char *name = zip->members[i].name;
        arrays += ends_in(name, ".npy");
        if (!torch_prefix(name)) continue;
        if (pickle)
            return bt_error(BT_ERR_FORMAT,
                            "%s: byte %llu: both %s and %s are in the archive, and only one can be meant", path,
                            (unsigned long long)zip->members[i].header, pickle, name);
        pickle = name;
    }
    if (pickle) return bt_torch_read_zip(w, path, zip, pickle, torch_prefix(pickle));
    if (zip->count && arrays == zip->count) return read_npz(w, path, zip);
    if (zip->count == 0) return bt_error(BT_ERR_FORMAT, "%s: byte 0: an empty zip archive", path);
    return bt_error(BT_ERR_FORMAT,
                    "%s: byte 0: a zip archive that is neither PyTorch's (no NAME/data.pkl) nor .npz (all members "
                    ".npy); it holds %.100s%s: unpack it and give the file of weights in it",
                    path, zip->members[0].name, zip->count > 1 ? " and others" : "");
}

bt_status bt_weights_read_zip(bt_weights *w, const char *path, const bt_file_map *map) {
    bt_zip zip;
    BT_TRY(bt_zip_open(path, map->data, map->bytes, &zip));
    bt_status status = read_members(w, path, &zip);
    bt_zip_close(&zip);
    return status;
}

bt_status bt_weights_read_npy(bt_weights *w, const char *path, const bt_file_map *map) {
    bt_npy npy;
    BT_TRY(bt_npy_parse(path, map->data, map->bytes, &npy));
    bt_weight t = {.dtype = npy.dtype, .rank = npy.rank, .count = npy.count, .file = path, .offset = npy.data_offset};
    memcpy(t.dim, npy.dim, sizeof t.dim);
    t.bytes = (size_t)npy.count * bt_file_dtype_bytes(npy.dtype);
    t.data = npy.count ? npy.data : NULL;
    bt_npy_close(&npy);
    w->format = "npy";
    return bt_weights_add(w, path, &t, "tensor", 6);
}
