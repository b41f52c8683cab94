/* A data set of pictures: what the loader, splits and evaluation see, wherever it comes from.
 *
 *   folder     root/<class>/<file> (image_folder.h)
 *   manifest   a CSV or TSV table, a row for each picture (manifest.c): path, labels, caption, split, taxonomy
 *   lists      DeepHash's lists, a line for each picture: "relative/path 0 1 0 ..." (label_list.c)
 *   pack       all of a data set in one HDF5 file (pack.h)
 *
 * docs/data.md shows each. A sample has a number, 0..count-1, in the order of its source, and none, one or several
 * labels; a label is the position of a class in class_names, which are in bytewise order. A sample without labels is
 * relevant to nothing.
 *
 * Tables come from other people: paths that lead out of the folder of images are refused, and messages give
 * file:line:column.
 */
#ifndef BITTERN_DATA_DATASET_H
#define BITTERN_DATA_DATASET_H

#include "base/arena.h"
#include "data/image_folder.h"

#define BT_DATA_RANKS 8

typedef enum bt_data_format {
    BT_DATA_AUTO,
    BT_DATA_FOLDER,
    BT_DATA_MANIFEST,
    BT_DATA_LISTS,
    BT_DATA_PACK
} bt_data_format;

/** Parts of a data set, bits of bt_dataset.splits: a picture may be in several (CIFAR-10's training images are its
 * database). */
enum { BT_SPLIT_TRAIN = 1, BT_SPLIT_QUERY = 2, BT_SPLIT_DATABASE = 4 };

/** Where the data lie and how a table is read. Texts may be NULL or "" (what most need); lists are separated by commas.
 */
typedef struct bt_dataset_options {
    const char *root;
    bt_data_format format;
    const char *images;                 /**< folder that paths of tables are relative to; none: that of the table */
    const char *path, *caption, *split; /**< columns; none: the usual names (manifest.c) */
    const char *label;                  /**< list of columns; none: the usual names */
    const char
        *ranks; /**< list of columns, widest first; none: those of order, family, genus, species that are there */
    const char *classes; /**< list of classes to keep, by name or by position as in 0-29; none: all */
} bt_dataset_options;

/** One rank of a taxonomy: another way to say which pictures belong together. */
typedef struct bt_rank {
    const char *name;
    int64_t class_count;
    const char **class_names; /**< (class_count) bytewise order */
    int32_t *labels;          /**< (count) -1: not given */
} bt_rank;

typedef struct bt_dataset {
    const char *name; /**< as it was asked for */
    bt_data_format format;
    const char *base; /**< folder that paths are relative to */
    int64_t count, class_count;
    const char **class_names;    /**< (class_count) */
    const char **paths;          /**< (count) */
    const char **captions;       /**< (count), or NULL */
    uint8_t *splits;             /**< (count) BT_SPLIT bits; NULL: the data set names no splits */
    int32_t *labels;             /**< (count) the first label; -1: none */
    int64_t *label_first;        /**< (count + 1) */
    int32_t *label_items;        /**< labels of sample i, ascending: [label_first[i], label_first[i + 1]) */
    int64_t unlabelled, several; /**< samples without a label, and with more than one */
    int rank_count;
    bt_rank rank[BT_DATA_RANKS];
    bt_image_folder listing; /**< of a folder: what was left out */
    struct bt_pack *pack;    /**< of a pack, or NULL */
    int64_t *rows;           /**< (count) rows of the samples in the pack; NULL: all in order */
    bt_arena arena;          /**< owns strings */
    char *content;           /**< owns strings of a table */
} bt_dataset;

/** Opens, reads the tables, selects classes. BT_ERR_IO, BT_ERR_FORMAT, BT_ERR_CONFIG (a column or class that is not
 * there), BT_ERR_MEMORY. Ends with bt_dataset_close. */
bt_status bt_dataset_open(const bt_dataset_options *options, bt_dataset *out) BT_MUST_CHECK;
void bt_dataset_close(bt_dataset *set);

/** Writes warnings about what was left out. */
void bt_dataset_warn(const bt_dataset *set);

/** The path of a sample's file in `path`; false if it does not fit. */
bool bt_dataset_path(const bt_dataset *set, int64_t sample, char *path, size_t path_bytes);

/** Whether every sample has exactly one label. */
static inline bool bt_dataset_single(const bt_dataset *set) {
    return set->unlabelled == 0 && set->several == 0;
}

/** Labels of samples (count) as rows of bits: out (count, ceil(class_count / 64)), what evaluation compares where
 * labels are several. */
void bt_dataset_sets(const bt_dataset *set, const int64_t *samples, int64_t count, uint64_t *out);

/** Labels of a sample as a row of 0 and 1: out (class_count). */
void bt_dataset_multi_hot(const bt_dataset *set, int64_t sample, uint8_t *out);

/** Checksum (CRC-32C) of everything but the images. */
uint32_t bt_dataset_crc32c(const bt_dataset *set);

/** Gives labels new numbers (class_count; -1: the label goes) and keeps the samples that `kept` (count) marks (NULL:
 * those that keep a label or never had one). number NULL: as they are. BT_ERR_MEMORY. */
bt_status bt_dataset_keep(bt_dataset *set, const int32_t *number, const bool *kept) BT_MUST_CHECK;

/** Samples of each class for a split. */
typedef struct bt_split_options {
    uint64_t seed;
    int64_t query, train,
        database; /**< per class; drawn: database -1 is all others; named: 0, database -1, all of that split */
} bt_split_options;

/** Samples, each list ascending. Drawn lists have no sample in common. */
typedef struct bt_split {
    int64_t *query, *train, *database;
    int64_t query_count, train_count, database_count;
    bool database_is_train; /**< named splits without a database: training images are retrieved, as in CIFAR-10's
                               protocol */
} bt_split;

/** Makes a split. Where the data set names its splits those are taken, or so many of each class as options say.
 * Otherwise it is drawn: the samples of class c are shuffled under (seed, 0, BT_STREAM_SPLIT, c); the first are
 * queries, the next training, the next database, so more training samples change no query; needs single labels, or none
 * (such samples go to a database of all others). BT_ERR_CONFIG, with the counts, if a class has too few. Ends with
 * bt_split_free. */
bt_status bt_split_make(const bt_dataset *set, const bt_split_options *options, bt_split *out) BT_MUST_CHECK;
void bt_split_free(bt_split *split);

#endif
