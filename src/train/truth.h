/* What is known of each sample of a data set, as evaluation needs it: its label at every rank of a taxonomy, or its set
 * of labels. */
#ifndef BITTERN_TRAIN_TRUTH_H
#define BITTERN_TRAIN_TRUTH_H

#include "data/dataset.h"

#include <stdint.h>

enum { BT_TRUTH_RANKS = BT_DATA_RANKS + 1 }; /* the class, and all ranks that a data set can have */

/** One meaning of "the same": the class, or a rank above it. */
typedef struct bt_truth_rank {
    char *name;      /**< "class", "species", "genus" */
    int32_t *labels; /**< (samples), negative: unknown */
    char **names;    /**< (count) */
    int64_t count;
    int64_t present; /**< groups that occur among the evaluated samples: labels 0 .. present - 1 (bt_truth_narrow) */
    const char *also[BT_DATA_RANKS]; /**< (also_count) ranks that put the evaluated samples into the same groups */
    int also_count;
} bt_truth_rank;

/** All arrays are owned (bt_truth_free). */
typedef struct bt_truth {
    int64_t samples;
    int rank_count; /**< rank 0 is what the data set is split and trained by */
    bool named;     /**< rank 0 has the name of a rank; otherwise it is called "class" */
    bt_truth_rank rank[BT_TRUTH_RANKS];
    char *merged[BT_TRUTH_RANKS]; /**< (merged_count) names of ranks that others stand for */
    int merged_count;
    uint64_t *sets; /**< (samples, words): samples with several labels, which then decide what is relevant in rank 0's
                       place; NULL: one label each */
    int words;
} bt_truth;

/** Classes of a data set, the ranks that it names itself, or those of a taxonomy file. `taxonomy` "" or NULL: none.
 *
 * The file is JSON as `bittern fen` writes it (docs/evaluation.md): lists "orders", "families", "genera", "species"
 * within each other, any of the upper ones left out; entries have a "name", species also the "folder" of their
 * pictures: the name of their class. Rank 0 is then called species and has their names. Unknown members are passed
 * over. BT_ERR_FORMAT with the byte for a folder that is named twice or a class that has no entry. Ranks are the
 * data's, narrowest first, until bt_truth_narrow. */
bt_status bt_truth_open(const bt_dataset *data, const char *taxonomy, bt_truth *out) BT_MUST_CHECK;

/** Fits the ranks to the samples that are evaluated (positions, queries and database):
 *
 *   groups     those that occur come first, in their order; labels of all samples and names follow. Where samples have
 *              several labels, a class of rank 0 occurs if one of them has it; `sets` keep the data set's numbers
 *   ranks      of ranks with the same groups of these samples one stays: the scores would be the same. Rank 0 stays
 *              and takes the name of the narrowest of them unless it has one; otherwise the narrower rank stays, and
 *              names the others in `also`. Sets of labels are no groups, so rank 0 then stays for itself. A rank above
 *              that none of these samples has is dropped
 *
 * BT_ERR_MEMORY; then the truth can only be freed. */
bt_status bt_truth_narrow(bt_truth *truth, const int64_t *queries, int64_t query_count, const int64_t *database,
                          int64_t database_count) BT_MUST_CHECK;
void bt_truth_free(bt_truth *truth);

#endif
