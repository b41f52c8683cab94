/* Scores of two embedded sides by everything that evaluation measures; for run_scores.c. */
#ifndef BITTERN_TRAIN_SCORE_SIDES_H
#define BITTERN_TRAIN_SCORE_SIDES_H

#include "train/embedded.h"
#include "train/run_scores.h"

/** Queries and database of one encoder, with their labels at every rank. */
typedef struct bt_sides {
    const bt_embedded *query, *database;
    bt_relevance relevance[BT_TRUTH_RANKS];
    int ranks;
} bt_sides;

/** Fits the ranks to the sides' samples (bt_truth_narrow) and gathers their labels: query_labels (ranks, queries),
 * database_labels (ranks, database), and sets where the data have them, in the scores' memory; done once, for the first
 * encoder. BT_ERR_SHAPE if a later encoder met other damaged pictures. */
bt_status bt_sides_open(bt_run_scores *s, const bt_embedded *query, const bt_embedded *database,
                        bt_sides *out) BT_MUST_CHECK;

/** Fills s->way[way]. */
bt_status bt_sides_score(const bt_sides *sides, bt_way way, bt_run_scores *s) BT_MUST_CHECK;

/** Statistics of the codes, neighbours, confusion: fills the rest that belongs to the trained encoder. */
bt_status bt_sides_describe(const bt_sides *sides, bt_run_scores *s) BT_MUST_CHECK;

/** Codes without training, from components of `train`. */
bt_status bt_sides_score_free(const bt_sides *sides, const bt_embedded *train, bt_run_scores *s) BT_MUST_CHECK;

/** Linear probe on `train`, tested on the queries. */
bt_status bt_sides_probe(const bt_sides *sides, const bt_embedded *train, bt_way way, bt_run_scores *s) BT_MUST_CHECK;

#endif
