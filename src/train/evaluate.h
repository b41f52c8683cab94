/* Scores of a model on a split: queries against the database, binary and continuous. */
#ifndef BITTERN_TRAIN_EVALUATE_H
#define BITTERN_TRAIN_EVALUATE_H

#include "data/loader.h"
#include "retrieval/scores.h"
#include "train/embedded.h"
#include "train/session.h"

typedef struct bt_evaluation {
    bool has_codes;                       /**< the method makes codes */
    bt_map asymmetric, symmetric, cosine; /**< at k; cosine is on the encoder's embeddings */
    double accuracy;                      /**< of queries, for methods with classes; negative otherwise */
    int64_t queries, database, k;
    double seconds;
} bt_evaluation;

/** Embeds queries and database of `split` with the session's inference program and scores them. `loader` gives size,
 * resize, threads, damaged policy; its sample list is replaced. `keep` (NULL: none) receives queries, with their
 * logits, and database, with its codes (bt_embedded_split_free); its step is the caller's to set. */
bt_status bt_evaluate(bt_session *session, const bt_loader_options *loader, const bt_split *split, int64_t k,
                      bt_embedded_split *keep, bt_evaluation *out) BT_MUST_CHECK;

#endif
