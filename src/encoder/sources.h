/* What is to be embedded, as the loader takes it: every picture below a folder, those that a list names, or a data set.
 *
 *   folder   all of it, recursively, in bytewise order of the relative paths. The class of a picture is the first folder of its path;
 *            pictures in the folder itself have none (label -1). Hidden names are left out, links are followed to files only.
 *   list     a text file: one path a line, relative to the folder of the list or absolute, in its order, once for every mention; behind a
 *            tab a label (a whole number from -1 to 2^31 - 1). Empty lines are left out. Labels stand in all lines or in none.
 *   data set   a CSV or TSV table or a pack (data/dataset.h): all of its samples, with their first label.
 */
#ifndef BITTERN_ENCODER_SOURCES_H
#define BITTERN_ENCODER_SOURCES_H

#include "data/dataset.h"

typedef struct bt_sources {
    bt_dataset set;         /**< what the loader takes: sample i is row i. A view of paths and labels, or a data set of its own */
    bool own_set;           /**< a table, lists or a pack */
    char *base;             /**< folder that paths are relative to */
    int64_t count;
    char **paths;           /**< (count) as written to paths.txt: relative to the folder, or as in the list */
    int32_t *labels;        /**< (count) */
    bool labelled;          /**< some label is not -1 */
    char **classes;         /**< (class_count) names of the labels; NULL for lists */
    int64_t class_count;
    uint32_t crc;           /**< CRC-32C of paths and labels */
    /* while it is built */
    size_t path_capacity, label_capacity, class_capacity;
} bt_sources;

/** BT_ERR_IO, BT_ERR_FORMAT (no picture, a name with a line break, a line of a list that does not fit), BT_ERR_MEMORY. */
bt_status bt_sources_open(const char *path, bt_sources *out) BT_MUST_CHECK;
void bt_sources_close(bt_sources *sources);

#endif
