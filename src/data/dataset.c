/* Data sets: recognising their kind, folders, what all kinds share; see dataset.h. */
#include "data/dataset.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/draft.h"
#include "data/pack.h"
#include "formats/hdf5.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- kinds ---- */

static bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), own = strlen(ending);
    return length >= own && strcmp(text + length - own, ending) == 0;
}

/* Of a file: by its name, else by its first line. */
static bt_status recognise_file(const char *path, bt_data_format *out) {
    if (bt_h5_is(path)) {
        *out = BT_DATA_PACK;
        return BT_OK;
    }
    if (ends_with(path, ".csv") || ends_with(path, ".tsv")) {
        *out = BT_DATA_MANIFEST;
        return BT_OK;
    }
    char head[1 << 14];
    FILE *file = fopen(path, "rb");
    if (!file) return bt_file_error("open", path, errno);
    size_t bytes = fread(head, 1, sizeof head, file);
    fclose(file);
    size_t length = 0;
    while (length < bytes && head[length] != '\n' && head[length] != '\r') length++;
    if (bt_label_list_line(head, length))
        *out = BT_DATA_LISTS;
    else if (memchr(head, ',', length) || memchr(head, '\t', length))
        *out = BT_DATA_MANIFEST;
    else
        return bt_error(BT_ERR_FORMAT,
                        "%s: neither a table (CSV or TSV with a header) nor a list of \"path 0 1 ...\" lines; "
                        "of a run, data.format may say what it is",
                        path);
    return BT_OK;
}

static bt_status recognise(const char *root, bt_data_format *out) {
    struct stat info;
    if (stat(root, &info) != 0) return bt_file_error("open the data", root, errno);
    if (!S_ISDIR(info.st_mode)) return recognise_file(root, out);
    *out = bt_label_lists_in(root) ? BT_DATA_LISTS : BT_DATA_FOLDER;
    return BT_OK;
}

/* ---- folders ---- */

/* One sample of a folder: its path and the one label of its class. */
static bt_status folder_sample(bt_dataset *set, int64_t i) {
    const bt_image_folder *f = &set->listing;
    set->paths[i] = bt_arena_format(&set->arena, "%s/%s", f->class_names[f->labels[i]], f->files[i]);
    set->labels[i] = set->label_items[i] = f->labels[i];
    set->label_first[i] = i;
    return set->paths[i] ? BT_OK : BT_ERR_MEMORY;
}

static bt_status open_folder(const bt_dataset_options *options, bt_dataset *set) {
    bt_image_folder *f = &set->listing;
    BT_TRY(bt_image_folder_open(options->root, f));
    size_t count = (size_t)f->count, classes = (size_t)f->class_count;
    set->format = BT_DATA_FOLDER;
    set->name = set->base = bt_arena_copy(&set->arena, options->root, strlen(options->root));
    set->class_names = bt_memory_alloc(classes, sizeof *set->class_names);
    set->paths = bt_memory_alloc(count, sizeof *set->paths);
    set->labels = bt_memory_alloc(count, sizeof *set->labels);
    set->label_first = bt_memory_alloc(count + 1, sizeof *set->label_first);
    set->label_items = bt_memory_alloc(count, sizeof *set->label_items);
    if (!set->name || !set->class_names || !set->paths || !set->labels || !set->label_first || !set->label_items)
        return BT_ERR_MEMORY;
    set->count = f->count;
    set->class_count = f->class_count;
    for (size_t c = 0; c < classes; c++) set->class_names[c] = f->class_names[c];
    for (int64_t i = 0; i < set->count; i++) BT_TRY(folder_sample(set, i));
    set->label_first[count] = f->count;
    return BT_OK;
}

/* ---- life ---- */

static bt_status open_table(const bt_dataset_options *options, bt_data_format format, bt_dataset *set) {
    bt_draft draft = {0};
    bt_status status = format == BT_DATA_PACK    ? bt_pack_read(options, &draft)
                       : format == BT_DATA_LISTS ? bt_label_lists_read(options, &draft)
                                                 : bt_manifest_read(options, &draft);
    if (status == BT_OK) status = bt_draft_finish(&draft, set);
    bt_draft_free(&draft);
    return status;
}

bt_status bt_dataset_open(const bt_dataset_options *options, bt_dataset *out) {
    bt_data_format format = options->format;
    if (format == BT_DATA_AUTO) BT_TRY(recognise(options->root, &format));
    bt_dataset set = {0};
    bt_status status = format == BT_DATA_FOLDER ? open_folder(options, &set) : open_table(options, format, &set);
    if (status == BT_OK && options->classes && *options->classes) status = bt_dataset_choose(&set, options->classes);
    if (status != BT_OK) {
        bt_dataset_close(&set);
        return status;
    }
    *out = set;
    return BT_OK;
}

void bt_dataset_close(bt_dataset *set) {
    bt_memory_free(set->class_names);
    bt_memory_free(set->paths);
    bt_memory_free(set->captions);
    bt_memory_free(set->splits);
    bt_memory_free(set->labels);
    bt_memory_free(set->label_first);
    bt_memory_free(set->label_items);
    for (int r = 0; r < set->rank_count; r++) {
        bt_memory_free(set->rank[r].class_names);
        bt_memory_free(set->rank[r].labels);
    }
    if (set->listing.root) bt_image_folder_free(&set->listing);
    if (set->pack) bt_file_map_close(&set->pack->map);
    bt_memory_free(set->pack);
    bt_memory_free(set->rows);
    bt_arena_free(&set->arena);
    bt_memory_free(set->content);
    *set = (bt_dataset){0};
}

void bt_dataset_warn(const bt_dataset *set) {
    if (set->listing.root) bt_image_folder_warn(&set->listing);
}

bool bt_dataset_path(const bt_dataset *set, int64_t sample, char *path, size_t path_bytes) {
    BT_ASSERT(sample >= 0 && sample < set->count);
    const char *own = set->paths[sample];
    int length =
        *own == '/' ? snprintf(path, path_bytes, "%s", own) : snprintf(path, path_bytes, "%s/%s", set->base, own);
    return length >= 0 && (size_t)length < path_bytes;
}

/* ---- labels ---- */

void bt_dataset_sets(const bt_dataset *set, const int64_t *samples, int64_t count, uint64_t *out) {
    int64_t words = (set->class_count + 63) / 64;
    memset(out, 0, (size_t)(count * words) * sizeof *out);
    for (int64_t i = 0; i < count; i++) {
        for (int64_t k = set->label_first[samples[i]]; k < set->label_first[samples[i] + 1]; k++)
            out[i * words + set->label_items[k] / 64] |= (uint64_t)1 << set->label_items[k] % 64;
    }
}

void bt_dataset_multi_hot(const bt_dataset *set, int64_t sample, uint8_t *out) {
    memset(out, 0, (size_t)set->class_count);
    for (int64_t k = set->label_first[sample]; k < set->label_first[sample + 1]; k++) out[set->label_items[k]] = 1;
}

/* ---- leaving out samples ---- */

/* Moves sample `from` to place `to` <= from, all but its labels. */
static void move_sample(bt_dataset *set, int64_t to, int64_t from) {
    set->paths[to] = set->paths[from];
    if (set->captions) set->captions[to] = set->captions[from];
    if (set->splits) set->splits[to] = set->splits[from];
    if (set->rows) set->rows[to] = set->rows[from];
    for (int r = 0; r < set->rank_count; r++) set->rank[r].labels[to] = set->rank[r].labels[from];
}

/* Renumbers the labels [from, to) to the place `items`; the place behind them. */
static int64_t move_labels(bt_dataset *set, const int32_t *number, int64_t from, int64_t to, int64_t items) {
    for (int64_t k = from; k < to; k++) {
        int32_t label = number ? number[set->label_items[k]] : set->label_items[k];
        if (label >= 0) set->label_items[items++] = label;
    }
    return items;
}

bt_status bt_dataset_keep(bt_dataset *set, const int32_t *number, const bool *kept) {
    int64_t count = 0, items = 0;
    if (set->pack && !set->rows) {
        set->rows = bt_memory_alloc((size_t)set->count, sizeof *set->rows);
        if (!set->rows) return BT_ERR_MEMORY;
        for (int64_t i = 0; i < set->count; i++) set->rows[i] = i;
    }
    set->unlabelled = set->several = 0;
    for (int64_t i = 0, next = 0; i < set->count; i++) {
        int64_t from = next, first = items;
        next = set->label_first[i + 1];
        int64_t last = kept && !kept[i] ? first : move_labels(set, number, from, next, first);
        if (kept ? !kept[i] : next > from && last == first) continue;
        items = last;
        move_sample(set, count, i);
        set->label_first[count] = first;
        set->labels[count] = items > first ? set->label_items[first] : -1;
        set->unlabelled += items == first;
        set->several += items - first > 1;
        count++;
    }
    set->label_first[count] = items;
    set->count = count;
    return BT_OK;
}
