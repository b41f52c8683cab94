/* The nearest k of n items in rank order, and a loop over queries that ranks the database for each.
 *
 * Items of equal distance are ranked by index, lower first, or by a seeded shuffle of the database: with 16 bits and
 * 10^5 items most of a list is ties, and their order moves mAP by a point or two.
 */
#ifndef BITTERN_RETRIEVAL_RANKING_H
#define BITTERN_RETRIEVAL_RANKING_H

#include "retrieval/distance.h"

#include <stddef.h>

/** Bytes of scratch for bt_rank. */
size_t bt_rank_scratch_bytes(int64_t n, int64_t k, int levels);

/** Ranks: out (k), indices of the k nearest of distance (n), k <= n, nearest first, ties by index. levels > 0:
 * distances are whole numbers 0..levels (counting sort). No NaN. Time O(n) with counting sort; otherwise O(n + k log k)
 * on random data by a heap for k below n/8, else three passes of a radix sort. All give the same order. */
void bt_rank(const float *distance, int64_t n, int64_t k, int levels, void *scratch, int32_t *out);

/** Seeded permutation `draw` of 0..n-1 by Fisher and Yates: out (n). */
void bt_shuffle(int64_t n, uint64_t seed, int draw, int32_t *out);

/** Called for each query, from several threads. order (k): ranks 1..k, and their distances in distance[order[r]],
 * distance (database count). `shuffle` is -1 for ties by index, or the number of the shuffle. */
typedef void bt_rank_visitor(void *context, int64_t query, int shuffle, const int32_t *order, const float *distance);

typedef struct bt_rank_options {
    int64_t k;          /**< ranks per query; above what there is counts as all */
    bool leave_one_out; /**< the database holds the queries, in order: query i is not ranked against item i */
    int shuffles;       /**< orders within ties beside the one by index */
    uint64_t seed;
} bt_rank_options;

/** Ranks that each query gets: min(k, database, less one if the query is left out). */
int64_t bt_ranks(const bt_rank_options *options, const bt_items *database);

/** Visits every query, for ties by index and for each shuffle. Parallel over tiles of queries; the visitor must write
 * only what belongs to its query. Memory beside the sides: for each thread 4 x BT_QUERY_TILE bytes per database item
 * and at most 28 for sorting; 4 bytes per item and shuffle. Nothing grows with queries x database. BT_ERR_SHAPE,
 * BT_ERR_MEMORY. */
bt_status bt_rank_all(const bt_distances *distances, const bt_rank_options *options, bt_rank_visitor *visit,
                      void *context) BT_MUST_CHECK;

#endif
