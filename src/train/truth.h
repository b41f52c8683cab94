/* What is known of each sample of a data set, as evaluation needs it: its label at every rank of a taxonomy, or its set
 * of labels. */
#ifndef BITTERN_TRAIN_TRUTH_H
#define BITTERN_TRAIN_TRUTH_H

#include "data/dataset.h"

#include <stdint.h>

enum { BT_TRUTH_RANKS = 8 };

/** One meaning of "the same": the class, or a rank above it. */
typedef struct bt_truth_rank {
    char *name;      /**< "class", "species", "genus" */
    int32_t *labels; /**< (samples), negative: unknown */
    char **names;    /**< (count) */
    int64_t count;
} bt_truth_rank;

/** All arrays are owned (bt_truth_free). */
typedef struct bt_truth {
    int64_t samples;
    int rank_count; /**< rank 0 is what the data set is split and trained by */
    bt_truth_rank rank[BT_TRUTH_RANKS];
    uint64_t *sets; /**< (samples, words): samples with several labels, which then decide what is relevant in rank 0's
                       place; NULL: one label each */
    int words;
} bt_truth;

/** Classes of a data set, the ranks that it names itself, or those of a taxonomy file. `taxonomy` "" or NULL: none.
 *
 * A rank of the data set that is one with its classes (a column "species" that is the label) gives rank 0 its name.
 * The file is JSON as `bittern fen` writes it (docs/evaluation.md): lists "orders", "families", "genera", "species"
 * within each other, any of the upper ones left out; entries have a "name", species also the "folder" of their
 * pictures: the name of their class. Rank 0 is then called species and has their names. Unknown members are passed over. BT_ERR_FORMAT with the
 * byte for a folder that is named twice or a class that has no entry. */
bt_status bt_truth_open(const bt_dataset *data, const char *taxonomy, bt_truth *out) BT_MUST_CHECK;
void bt_truth_free(bt_truth *truth);

#endif
