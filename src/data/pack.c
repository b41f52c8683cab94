/* Packs: reading; see pack.h. */
#include "data/pack.h"

#include "base/crc32c.h"
#include "base/memory.h"
#include "data/draft.h"
#include "formats/hdf5.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_SIDE 16384
#define MAX_CLASSES (1 << 24)

typedef struct pack_reader {
    bt_h5 *file;
    bt_draft *draft;
    bt_pack *pack;
    int64_t classes;
    const char **class_names, **paths, **captions;
    const uint8_t *splits, *hot, *labels; /* in the map, or NULL; labels i32 */
    const uint8_t *rank_labels[BT_DATA_RANKS];
    const char **rank_values[BT_DATA_RANKS];
    int64_t rank_sizes[BT_DATA_RANKS];
} pack_reader;

static bt_status fault(const pack_reader *r, const char *name, const char *what) {
    return bt_error(BT_ERR_FORMAT, "%s: pack: %s %s", r->draft->set.name, name, what);
}

/* ---- parts in one piece ---- */

static int32_t i32_at(const uint8_t *data, int64_t i) {
    int32_t value;
    memcpy(&value, data + 4 * i, sizeof value);
    return value;
}

static int64_t i64_at(const uint8_t *data, int64_t i) {
    int64_t value;
    memcpy(&value, data + 8 * i, sizeof value);
    return value;
}

/* A data set of this type and these axes (-1: any length), mapped. */
static bt_status map_part(pack_reader *r, const char *name, bt_file_dtype dtype, int rank, const int64_t *dim,
                          bt_h5_array *found, const uint8_t **out) {
    char shape[96] = "";
    BT_TRY(bt_h5_look(r->file, name, found));
    bool fits = !found->text && found->dtype == dtype && found->rank == rank;
    for (int i = 0; i < rank; i++) {
        char axis[24];
        snprintf(axis, sizeof axis, dim[i] < 0 ? "%s*" : "%s%" PRId64, i ? ", " : "", dim[i]);
        strcat(shape, axis);
        fits = fits && (dim[i] < 0 || found->dim[i] == dim[i]);
    }
    if (!fits)
        return bt_error(BT_ERR_FORMAT, "%s: pack: %s is not %s (%s)", r->draft->set.name, name,
                        bt_file_dtype_name(dtype), shape);
    if (found->bytes == 0) {
        *out = (const uint8_t *)"";
        return BT_OK;
    }
    if (found->offset < 0)
        return fault(r, name,
                     "is in chunks or packed; it must lie in one piece (h5py: without chunks and compression)");
    if ((uint64_t)found->offset > r->pack->map.bytes || found->bytes > r->pack->map.bytes - (size_t)found->offset)
        return fault(r, name, "reaches beyond the end of the file");
    *out = r->pack->map.data + found->offset;
    return BT_OK;
}

static bt_status map_images(pack_reader *r) {
    bt_pack *p = r->pack;
    bt_h5_array array;
    if (bt_h5_has(r->file, "images")) {
        BT_TRY(map_part(r, "images", BT_FILE_U8, 4, (const int64_t[]){-1, -1, -1, 3}, &array, &p->images));
        if (array.dim[1] != array.dim[2] || array.dim[1] < 1 || array.dim[1] > MAX_SIDE)
            return fault(r, "images", "are not squares of 1 to 16384 pixels");
        p->count = array.dim[0];
        p->size = array.dim[1];
        p->bytes = array.bytes;
        return p->count > 0 ? BT_OK : fault(r, "images", "are none");
    }
    BT_TRY(map_part(r, "encoded", BT_FILE_U8, 1, (const int64_t[]){-1}, &array, &p->encoded));
    p->bytes = array.bytes;
    BT_TRY(map_part(r, "encoded_first", BT_FILE_I64, 1, (const int64_t[]){-1}, &array, &p->encoded_first));
    p->count = array.count - 1;
    if (p->count < 1) return fault(r, "encoded_first", "names no file");
    if (i64_at(p->encoded_first, 0) != 0 || i64_at(p->encoded_first, p->count) != (int64_t)p->bytes)
        return fault(r, "encoded_first", "does not begin at 0 and end where encoded ends");
    for (int64_t i = 0; i < p->count; i++) {
        if (i64_at(p->encoded_first, i) > i64_at(p->encoded_first, i + 1))
            return fault(r, "encoded_first", "does not ascend");
    }
    return BT_OK;
}

/* ---- tables ---- */

static bt_status read_texts(pack_reader *r, const char *name, int64_t count, const char ***out) {
    bt_arena *arena = &r->draft->set.arena;
    *out = bt_arena_alloc(arena, (size_t)count, sizeof **out);
    return *out ? bt_h5_read_texts(r->file, name, count, arena, *out) : BT_ERR_MEMORY;
}

/* The length of a list of texts. */
static bt_status list_length(pack_reader *r, const char *name, int64_t most, int64_t *out) {
    bt_h5_array array;
    BT_TRY(bt_h5_look(r->file, name, &array));
    if (!array.text || array.rank != 1 || array.count < 1 || array.count > most)
        return bt_error(BT_ERR_FORMAT, "%s: pack: %s is not a list of 1 to %" PRId64 " texts", r->draft->set.name, name,
                        most);
    *out = array.count;
    return BT_OK;
}

static bt_status read_rank(pack_reader *r, int k, const char *name) {
    char labels[32], names[32];
    bt_h5_array array;
    bt_dataset *set = &r->draft->set;
    snprintf(labels, sizeof labels, "rank_%d", k);
    snprintf(names, sizeof names, "rank_%d_names", k);
    BT_TRY(map_part(r, labels, BT_FILE_I32, 1, &r->pack->count, &array, &r->rank_labels[k]));
    BT_TRY(list_length(r, names, MAX_CLASSES, &r->rank_sizes[k]));
    BT_TRY(read_texts(r, names, r->rank_sizes[k], &r->rank_values[k]));
    for (int64_t i = 0; i < r->pack->count; i++) {
        int32_t label = i32_at(r->rank_labels[k], i);
        if (label < -1 || label >= r->rank_sizes[k]) return fault(r, labels, "names a value that is not in its list");
    }
    set->rank[set->rank_count++].name = name;
    return BT_OK;
}

static bt_status read_ranks(pack_reader *r) {
    int64_t count;
    const char **names;
    if (!bt_h5_has(r->file, "rank_names")) return BT_OK;
    BT_TRY(list_length(r, "rank_names", BT_DATA_RANKS, &count));
    BT_TRY(read_texts(r, "rank_names", count, &names));
    for (int k = 0; k < (int)count; k++) BT_TRY(read_rank(r, k, names[k]));
    return BT_OK;
}

static bt_status read_labels(pack_reader *r) {
    bt_h5_array array;
    int64_t n = r->pack->count;
    BT_TRY(list_length(r, "class_names", MAX_CLASSES, &r->classes));
    BT_TRY(read_texts(r, "class_names", r->classes, &r->class_names));
    BT_TRY(bt_h5_look(r->file, "labels", &array));
    if (array.rank == 2) {
        BT_TRY(map_part(r, "labels", BT_FILE_U8, 2, (const int64_t[]){n, r->classes}, &array, &r->hot));
        for (size_t i = 0; i < array.bytes; i++) {
            if (r->hot[i] > 1) return fault(r, "labels", "hold numbers other than 0 and 1");
        }
        return BT_OK;
    }
    BT_TRY(map_part(r, "labels", BT_FILE_I32, 1, &n, &array, &r->labels));
    for (int64_t i = 0; i < n; i++) {
        int32_t label = i32_at(r->labels, i);
        if (label < -1 || label >= r->classes)
            return bt_error(BT_ERR_FORMAT,
                            "%s: pack: label %" PRId32 " of sample %" PRId64 " is not within the %" PRId64 " classes",
                            r->draft->set.name, label, i, r->classes);
    }
    return BT_OK;
}

static bt_status read_splits(pack_reader *r) {
    bt_h5_array array;
    r->draft->has_splits = bt_h5_has(r->file, "splits");
    if (!r->draft->has_splits) return BT_OK;
    BT_TRY(map_part(r, "splits", BT_FILE_U8, 1, &r->pack->count, &array, &r->splits));
    for (int64_t i = 0; i < r->pack->count; i++) {
        if (r->splits[i] > 7) return fault(r, "splits", "hold other bits than 1 train, 2 query, 4 database");
    }
    return BT_OK;
}

static bt_status add_sample(pack_reader *r, int64_t i) {
    bt_draft *d = r->draft;
    BT_TRY(bt_draft_sample(d, r->paths[i], r->captions ? r->captions[i] : NULL, r->splits ? r->splits[i] : 0));
    for (int k = 0; k < d->set.rank_count; k++) {
        int32_t value = i32_at(r->rank_labels[k], i);
        if (value >= 0) BT_TRY(bt_draft_rank(d, k, r->rank_values[k][value]));
    }
    for (int64_t c = 0; r->hot && c < r->classes; c++) {
        if (r->hot[i * r->classes + c]) BT_TRY(bt_draft_label(d, r->class_names[c]));
    }
    if (r->labels && i32_at(r->labels, i) >= 0) BT_TRY(bt_draft_label(d, r->class_names[i32_at(r->labels, i)]));
    return BT_OK;
}

/* Classes without a sample stay classes. */
static bt_status fill(pack_reader *r) {
    int32_t number;
    for (int64_t c = 0; c < r->classes; c++) {
        BT_TRY(bt_names_add(&r->draft->classes, r->class_names[c], &number));
        if (number != c) return fault(r, "class_names", "hold a name twice");
    }
    for (int64_t i = 0; i < r->pack->count; i++) BT_TRY(add_sample(r, i));
    return BT_OK;
}

static bt_status read_all(pack_reader *r, const char *path) {
    int64_t version, size;
    BT_TRY(bt_h5_number(r->file, "bittern_pack", &version));
    if (version != BT_PACK_VERSION)
        return bt_error(BT_ERR_UNSUPPORTED, "%s: a pack of version %" PRId64 "; this build reads version %d", path,
                        version, BT_PACK_VERSION);
    BT_TRY(bt_file_map_open(path, &r->pack->map));
    BT_TRY(map_images(r));
    if (bt_h5_number(r->file, "size", &size) != BT_OK || size != r->pack->size)
        return fault(r, "size", "is not that of the images");
    if (bt_h5_number(r->file, "crc32c", &r->pack->crc32c) != BT_OK) r->pack->crc32c = -1;
    BT_TRY(read_labels(r));
    BT_TRY(read_splits(r));
    BT_TRY(read_ranks(r));
    BT_TRY(read_texts(r, "paths", r->pack->count, &r->paths));
    r->draft->has_captions = bt_h5_has(r->file, "captions");
    if (r->draft->has_captions) BT_TRY(read_texts(r, "captions", r->pack->count, &r->captions));
    return fill(r);
}

bt_status bt_pack_read(const bt_dataset_options *options, bt_draft *draft) {
    bt_dataset *set = &draft->set;
    pack_reader r = {.draft = draft};
    BT_TRY(bt_draft_begin(draft, options, BT_DATA_PACK, options->root));
    set->pack = r.pack = bt_memory_zeroed(1, sizeof *r.pack);
    if (!r.pack) return BT_ERR_MEMORY;
    BT_TRY(bt_h5_open(options->root, &r.file));
    bt_status status = read_all(&r, options->root);
    int64_t crc = -1;
    if (status == BT_OK && bt_h5_number(r.file, "tables_crc32c", &crc) != BT_OK) crc = -1;
    draft->tables_crc32c = crc;
    bt_h5_close(r.file);
    return status;
}

/* ---- samples ---- */

int64_t bt_pack_row(const bt_dataset *set, int64_t sample) {
    BT_ASSERT(sample >= 0 && sample < set->count);
    return set->rows ? set->rows[sample] : sample;
}

const uint8_t *bt_pack_image(const bt_dataset *set, int64_t sample) {
    if (!set->pack || !set->pack->images) return NULL;
    return set->pack->images + (size_t)bt_pack_row(set, sample) * (size_t)(set->pack->size * set->pack->size * 3);
}

const uint8_t *bt_pack_encoded(const bt_dataset *set, int64_t sample, size_t *bytes) {
    const bt_pack *p = set->pack;
    if (!p || !p->encoded) return NULL;
    int64_t row = bt_pack_row(set, sample), first = i64_at(p->encoded_first, row);
    *bytes = (size_t)(i64_at(p->encoded_first, row + 1) - first);
    return p->encoded + first;
}

/* ---- checksums ---- */

static uint32_t crc_texts(uint32_t crc, const char **texts, int64_t count) {
    for (int64_t i = 0; texts && i < count; i++)
        crc = bt_crc32c(crc, texts[i] ? texts[i] : "", strlen(texts[i] ? texts[i] : "") + 1);
    return crc;
}

uint32_t bt_dataset_crc32c(const bt_dataset *set) {
    size_t n = (size_t)set->count;
    uint32_t crc = crc_texts(0, set->class_names, set->class_count);
    crc = bt_crc32c(crc, set->label_first, (n + 1) * sizeof *set->label_first);
    crc = bt_crc32c(crc, set->label_items, (size_t)set->label_first[n] * sizeof *set->label_items);
    if (set->splits) crc = bt_crc32c(crc, set->splits, n);
    crc = crc_texts(crc, set->paths, set->count);
    crc = crc_texts(crc, set->captions, set->count);
    for (int k = 0; k < set->rank_count; k++) {
        const bt_rank *rank = &set->rank[k];
        crc = crc_texts(crc, (const char **)&rank->name, 1);
        crc = crc_texts(crc, rank->class_names, rank->class_count);
        crc = bt_crc32c(crc, rank->labels, n * sizeof *rank->labels);
    }
    return crc;
}

bt_status bt_pack_verify(const bt_dataset *set) {
    const bt_pack *p = set->pack;
    if (!p) return bt_error(BT_ERR_FORMAT, "%s: not a pack", set->name);
    if (p->crc32c < 0) return bt_error(BT_ERR_FORMAT, "%s: it has no checksum of its images", set->name);
    uint32_t crc = bt_crc32c(0, p->images ? p->images : p->encoded, p->bytes);
    if (crc == p->crc32c) return BT_OK;
    return bt_error(BT_ERR_FORMAT,
                    "%s: the images are damaged: their checksum is %08" PRIx32 ", not %08" PRIx64
                    "; copy or pack them again",
                    set->name, crc, p->crc32c);
}
