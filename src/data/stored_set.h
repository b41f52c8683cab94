/* A data set without pictures: labels and splits of items that are stored elsewhere (embeddings in a file). */
#ifndef BITTERN_DATA_STORED_SET_H
#define BITTERN_DATA_STORED_SET_H

#include "data/dataset.h"

/** What is known of the items: class numbers (count; negative: none), or sets as rows of bits (count, ceil(class_count
 * / 64)). */
typedef struct bt_stored_labels {
    int64_t count, class_count;
    const int32_t *classes; /**< below class_count; NULL for sets */
    const uint64_t *sets;
    const uint8_t *splits; /**< (count) BT_SPLIT bits; NULL: none are named */
} bt_stored_labels;

/** Copies everything; classes are called "0", "1", ... Samples have no paths: they are for splits, labels and scores,
 * not for a loader. BT_ERR_MEMORY. Ends with bt_dataset_close. */
bt_status bt_stored_set(const char *name, const bt_stored_labels *labels, bt_dataset *out) BT_MUST_CHECK;

#endif
