/* Packs: writing; see pack.h. Tables first, then room for the images, then the images, made by the loader in order. */
#include "base/crc32c.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/loader.h"
#include "data/pack.h"
#include "formats/hdf5.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH 64

/* ---- what killed writers left ---- */

/* NAME.partial-PID-N beside the path, of processes that are no more. */
static void remove_stale(const char *path) {
    char folder[PATH_MAX], old[PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = slash ? (size_t)(slash - path) + 1 : 0, own = strlen(name);
    if (length >= sizeof folder - 2) return;
    memcpy(folder, path, length);
    strcpy(folder + length, ".");
    DIR *stream = opendir(folder);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        const char *rest = entry->d_name + own;
        if (strncmp(entry->d_name, name, own) != 0 || strncmp(rest, ".partial-", 9) != 0) continue;
        char *end;
        long process = strtol(rest + 9, &end, 10);
        if (*end != '-' || process <= 0 || kill((pid_t)process, 0) == 0 || errno != ESRCH) continue;
        if (snprintf(old, sizeof old, "%.*s%s", (int)length, path, entry->d_name) < (int)sizeof old && unlink(old) == 0)
            bt_log_info("removed %s, left by a writer that was killed", old);
    }
    if (stream) closedir(stream);
}

/* ---- tables ---- */

static bt_status put_labels(bt_h5_writer *w, const bt_dataset *set) {
    int64_t n = set->count, c = set->class_count;
    if (set->several == 0) {
        bt_h5_put(w, "labels", BT_FILE_I32, 1, &n, set->labels, NULL);
        return BT_OK;
    }
    uint8_t *hot = bt_memory_alloc((size_t)n, (size_t)c);
    if (!hot) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < n; i++) bt_dataset_multi_hot(set, i, hot + i * c);
    bt_h5_put(w, "labels", BT_FILE_U8, 2, (const int64_t[]){n, c}, hot, NULL);
    bt_memory_free(hot);
    return BT_OK;
}

static void put_ranks(bt_h5_writer *w, const bt_dataset *set) {
    static const char *const nothing = "";
    const char *names[BT_DATA_RANKS];
    if (set->rank_count == 0) return;
    for (int k = 0; k < set->rank_count; k++) {
        const bt_rank *rank = &set->rank[k];
        char labels[32], values[32];
        names[k] = rank->name;
        snprintf(labels, sizeof labels, "rank_%d", k);
        snprintf(values, sizeof values, "rank_%d_names", k);
        bt_h5_put(w, labels, BT_FILE_I32, 1, &set->count, rank->labels, NULL);
        bt_h5_put_texts(w, values, rank->class_count ? rank->class_names : &nothing,
                        rank->class_count ? rank->class_count : 1);
    }
    bt_h5_put_texts(w, "rank_names", names, set->rank_count);
}

static bt_status put_tables(bt_h5_writer *w, const bt_dataset *set, int64_t size) {
    bt_h5_put_number(w, "bittern_pack", BT_PACK_VERSION);
    bt_h5_put_number(w, "size", size);
    bt_h5_put_number(w, "crc32c", 0);
    bt_h5_put_number(w, "tables_crc32c", bt_dataset_crc32c(set));
    bt_h5_put_text(w, "source", set->name);
    bt_h5_put_texts(w, "class_names", set->class_names, set->class_count);
    BT_TRY(put_labels(w, set));
    if (set->splits) bt_h5_put(w, "splits", BT_FILE_U8, 1, &set->count, set->splits, NULL);
    put_ranks(w, set);
    bt_h5_put_texts(w, "paths", set->paths, set->count);
    if (set->captions) bt_h5_put_texts(w, "captions", set->captions, set->count);
    return BT_OK;
}

/* ---- images ---- */

static bt_status go_on(const bt_pack_options *o, int64_t done, int64_t count) {
    if (!o->stop || !o->stop()) return BT_OK;
    return bt_error(BT_ERR_INTERRUPTED,
                    "interrupted after %" PRId64 " of %" PRId64 " pictures; nothing was written to %s", done, count,
                    o->path);
}

static int64_t *all_samples(const bt_dataset *set) {
    int64_t *samples = bt_memory_alloc((size_t)set->count, sizeof *samples);
    for (int64_t i = 0; samples && i < set->count; i++) samples[i] = i;
    return samples;
}

static bt_loader_options crops(const bt_dataset *set, const int64_t *samples, int threads, int64_t size,
                               int64_t resize) {
    return (bt_loader_options){.set = set,
                               .samples = samples,
                               .count = set->count,
                               .batch = BATCH,
                               .size = size,
                               .resize = resize,
                               .views = 1,
                               .threads = threads,
                               .ahead = 4,
                               .epochs = 1};
}

static bt_status fill_images(bt_h5_writer *w, const bt_dataset *set, const bt_pack_options *o, int64_t offset,
                             uint32_t *crc) {
    int64_t *samples = all_samples(set), done = 0;
    size_t image = (size_t)(o->size * o->size * 3);
    bt_loader *loader = NULL;
    if (!samples) return BT_ERR_MEMORY;
    bt_loader_options options = crops(set, samples, o->threads, o->size, o->resize);
    options.filter = o->filter;
    options.image.orientation = o->orientation;
    bt_status status = bt_loader_new(&options, &loader);
    while (status == BT_OK) {
        bt_batch batch;
        status = bt_loader_next(loader, &batch);
        if (status != BT_OK || batch.end) break;
        size_t bytes = (size_t)batch.n_valid * image;
        *crc = bt_crc32c(*crc, batch.images, bytes);
        status = bt_h5_fill(w, offset + done * (int64_t)image, batch.images, bytes);
        done += batch.n_valid;
        if (status == BT_OK) status = go_on(o, done, set->count);
    }
    bt_loader_free(loader);
    bt_memory_free(samples);
    return status;
}

static bt_status write_images(bt_h5_writer *w, const bt_dataset *set, const bt_pack_options *o) {
    int64_t offset = 0;
    uint32_t crc = 0;
    BT_TRY(put_tables(w, set, o->size));
    bt_h5_put(w, "images", BT_FILE_U8, 4, (const int64_t[]){set->count, o->size, o->size, 3}, NULL, &offset);
    BT_TRY(bt_h5_seal(w));
    BT_TRY(fill_images(w, set, o, offset, &crc));
    return bt_h5_change_number(w, "crc32c", crc);
}

/* ---- files as they are ---- */

/* The bytes of a sample's file; *owned: to be freed. */
static bt_status file_of(const bt_dataset *set, int64_t i, const uint8_t **data, size_t *bytes, char **owned) {
    char path[PATH_MAX];
    *owned = NULL;
    *data = bt_pack_encoded(set, i, bytes);
    if (*data) return BT_OK;
    if (!bt_dataset_path(set, i, path, sizeof path))
        return bt_error(BT_ERR_IO, "%s: the path of a picture is too long", set->name);
    BT_TRY(bt_file_read(path, BT_IMAGE_FILE_BYTES, owned, bytes));
    *data = (const uint8_t *)*owned;
    return BT_OK;
}

static bt_status size_of(const bt_dataset *set, int64_t i, int64_t *bytes) {
    char path[PATH_MAX];
    struct stat info;
    size_t own;
    if (bt_pack_encoded(set, i, &own)) {
        *bytes = (int64_t)own;
        return BT_OK;
    }
    if (!bt_dataset_path(set, i, path, sizeof path))
        return bt_error(BT_ERR_IO, "%s: the path of a picture is too long", set->name);
    if (stat(path, &info) != 0) return bt_file_error("look at", path, errno);
    *bytes = info.st_size;
    return BT_OK;
}

static bt_status fill_files(bt_h5_writer *w, const bt_dataset *set, const bt_pack_options *o, const int64_t *first,
                            int64_t offset, uint32_t *crc) {
    for (int64_t i = 0; i < set->count; i++) {
        const uint8_t *data;
        size_t bytes;
        char *owned;
        BT_TRY(file_of(set, i, &data, &bytes, &owned));
        bt_status status = (int64_t)bytes == first[i + 1] - first[i]
                               ? bt_h5_fill(w, offset + first[i], data, bytes)
                               : bt_error(BT_ERR_IO, "%s: its size has changed while it was packed", set->paths[i]);
        *crc = bt_crc32c(*crc, data, bytes);
        bt_memory_free(owned);
        BT_TRY(status);
        if (i % BATCH == 0) BT_TRY(go_on(o, i, set->count));
    }
    return BT_OK;
}

static bt_status write_files(bt_h5_writer *w, const bt_dataset *set, const bt_pack_options *o, int64_t *first) {
    int64_t offset = 0, bytes = 0, entries = set->count + 1;
    uint32_t crc = 0;
    first[0] = 0;
    for (int64_t i = 0; i < set->count; i++) {
        BT_TRY(size_of(set, i, &bytes));
        first[i + 1] = first[i] + bytes;
    }
    BT_TRY(put_tables(w, set, 0));
    bt_h5_put(w, "encoded_first", BT_FILE_I64, 1, &entries, first, NULL);
    bt_h5_put(w, "encoded", BT_FILE_U8, 1, &first[set->count], NULL, &offset);
    BT_TRY(bt_h5_seal(w));
    BT_TRY(fill_files(w, set, o, first, offset, &crc));
    return bt_h5_change_number(w, "crc32c", crc);
}

static bt_status write_encoded(bt_h5_writer *w, const bt_dataset *set, const bt_pack_options *o) {
    if (set->pack && set->pack->images)
        return bt_error(BT_ERR_CONFIG, "%s is a pack of images; it has no files to keep (leave out --keep-encoded)",
                        set->name);
    int64_t *first = bt_memory_alloc((size_t)set->count + 1, sizeof *first);
    if (!first) return BT_ERR_MEMORY;
    bt_status status = write_files(w, set, o, first);
    bt_memory_free(first);
    return status;
}

bt_status bt_pack_write(const bt_dataset *set, const bt_pack_options *o) {
    bt_h5_writer w;
    remove_stale(o->path);
    BT_TRY(bt_h5_begin(o->path, &w));
    bt_status status = o->keep_encoded ? write_encoded(&w, set, o) : write_images(&w, set, o);
    if (status == BT_OK) return bt_h5_commit(&w);
    bt_h5_abandon(&w);
    return status;
}

/* ---- damaged pictures ---- */

static bt_status find_damaged(const bt_dataset *set, int threads, const int64_t *samples, bool *kept, int64_t *count) {
    bt_loader *loader;
    bt_loader_options options = crops(set, samples, threads, 1, 1);
    options.skip_damaged = true;
    int64_t *damaged = bt_memory_alloc((size_t)set->count, sizeof *damaged);
    if (!damaged) return BT_ERR_MEMORY;
    bt_status status = bt_loader_new(&options, &loader);
    if (status == BT_OK) {
        bt_batch batch = {.end = false};
        while (status == BT_OK && !batch.end) status = bt_loader_next(loader, &batch);
        *count = bt_loader_damaged(loader, damaged, set->count);
        for (int64_t i = 0; i < *count; i++) kept[damaged[i]] = false;
        bt_loader_free(loader);
    }
    bt_memory_free(damaged);
    return status;
}

bt_status bt_pack_drop_damaged(bt_dataset *set, int threads, int64_t *dropped) {
    int64_t *samples = all_samples(set);
    bool *kept = bt_memory_alloc((size_t)set->count, sizeof *kept);
    bt_status status = samples && kept ? BT_OK : BT_ERR_MEMORY;
    *dropped = 0;
    for (int64_t i = 0; status == BT_OK && i < set->count; i++) kept[i] = true;
    if (status == BT_OK) status = find_damaged(set, threads, samples, kept, dropped);
    if (status == BT_OK && *dropped == set->count)
        status = bt_error(BT_ERR_FORMAT, "%s: every picture is damaged", set->name);
    if (status == BT_OK && *dropped > 0) status = bt_dataset_keep(set, NULL, kept);
    bt_memory_free(samples);
    bt_memory_free(kept);
    return status;
}
