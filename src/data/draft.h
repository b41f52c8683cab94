/* A data set in the making, sample by sample: what the readers of tables share. */
#ifndef BITTERN_DATA_DRAFT_H
#define BITTERN_DATA_DRAFT_H

#include "data/dataset.h"
#include "data/names.h"

typedef struct bt_draft {
    bt_dataset set;
    bt_names classes, rank_names[BT_DATA_RANKS];
    size_t sample_capacity, item_count, item_capacity;
    bool has_captions, has_splits;
    int64_t tables_crc32c; /**< that the set must have; -1: not known */
} bt_draft;

/** Begins: name, base. `images` as in bt_dataset_options, beside: a path in the folder that paths are otherwise
 * relative to. */
bt_status bt_draft_begin(bt_draft *draft, const bt_dataset_options *options, bt_data_format format,
                         const char *beside) BT_MUST_CHECK;

/** Appends a sample without labels. Strings are borrowed: from the arena or the content of the set. */
bt_status bt_draft_sample(bt_draft *draft, const char *path, const char *caption, unsigned splits) BT_MUST_CHECK;

/** Gives the last sample a class by its name; twice is once. */
bt_status bt_draft_label(bt_draft *draft, const char *class_name) BT_MUST_CHECK;

/** Gives the last sample a value of a rank; "" is none. */
bt_status bt_draft_rank(bt_draft *draft, int rank, const char *value) BT_MUST_CHECK;

/** Sorts and numbers classes; moves the set out. */
bt_status bt_draft_finish(bt_draft *draft, bt_dataset *out) BT_MUST_CHECK;

/** Frees what bt_draft_finish has not moved; safe after it. */
void bt_draft_free(bt_draft *draft);

/** NULL, or why a path of a table may not be opened under `base`: it leads out of it. A text for "PATH ...". */
const char *bt_path_fault(const char *base, const char *path);

/** The readers. `out` is a draft that was begun by them; on failure the caller frees it. */
bt_status bt_manifest_read(const bt_dataset_options *options, bt_draft *draft) BT_MUST_CHECK;
bt_status bt_label_lists_read(const bt_dataset_options *options, bt_draft *draft) BT_MUST_CHECK;
bt_status bt_pack_read(const bt_dataset_options *options, bt_draft *draft) BT_MUST_CHECK;

/** Whether a folder holds DeepHash's lists, and whether a text's first line is one of them. */
bool bt_label_lists_in(const char *folder);
bool bt_label_list_line(const char *line, size_t length);

/** Keeps the classes of options->classes (dataset.h). */
bt_status bt_dataset_choose(bt_dataset *set, const char *classes) BT_MUST_CHECK;

/** Items of a list, separated by commas, without spaces around them; empty ones are left out. */
typedef struct bt_comma_list {
    const char **items;
    int count;
} bt_comma_list;
bt_status bt_comma_split(bt_arena *arena, const char *text, bt_comma_list *out) BT_MUST_CHECK;

#endif
