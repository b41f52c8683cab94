/* Retrieval scores: mean average precision at k of queries against a database.
 *
 * Distances
 *   BT_ASYMMETRIC  sum over bits of |sigmoid(query logit) - database bit|  (what the papers' scripts report)
 *   BT_SYMMETRIC   Hamming distance between query bits (logit > 0) and database bits
 *   BT_COSINE      1 - cosine of two embeddings (the continuous baseline)
 * Ties are broken by database index, lower first, so scores are reproducible.
 *
 * AP@k = sum over ranks r <= k of precision(r) * relevant(r), divided by
 *   papers     the number of relevant items inside the top k (0 relevant: AP 0); CroVCA, DeepHash
 *   standard   min(k, number of relevant items in the database)
 * mAP is the mean over all queries, zeros included, as a fraction (not percent).
 */
#ifndef BITTERN_RETRIEVAL_SCORES_H
#define BITTERN_RETRIEVAL_SCORES_H

#include <bittern/status.h>

#include <stdint.h>

typedef enum bt_distance { BT_ASYMMETRIC, BT_SYMMETRIC, BT_COSINE } bt_distance;

/** One side of a retrieval: n items of one width. Borrowed. */
typedef struct bt_items {
    int64_t count;
    int width;             /**< bits, or the embedding's width for BT_COSINE */
    const float *values;   /**< (count, width): logits or embeddings; of a database only needed for BT_COSINE */
    const uint64_t *bits;  /**< (count, ceil(width/64)): database codes for the Hamming distances */
    const int32_t *labels; /**< (count): relevant means equal */
} bt_items;

typedef struct bt_map {
    double papers, standard;
} bt_map;

/** Scores queries against a database; k larger than the database counts as its size. Parallel over queries, same bits for any
 *  number of threads. BT_ERR_SHAPE for widths that differ or empty sides, BT_ERR_NUMERIC naming the query for NaN. */
bt_status bt_mean_average_precision(const bt_items *queries, const bt_items *database, bt_distance distance, int64_t k,
                                    bt_map *out) BT_MUST_CHECK;

#endif
