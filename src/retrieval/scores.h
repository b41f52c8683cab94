/* Retrieval scores of queries against a database: mean average precision, precision, recall, at several k, for several
 * meanings of "relevant". docs/evaluation.md has the formulas, what the papers use, and the traps.
 *
 * AP@k = sum over ranks r <= k of precision(r) * relevant(r), divided by
 *   papers     the number of relevant items inside the top k (0 relevant: AP 0); CroVCA, DeepHash
 *   standard   min(k, number of relevant items in the database)
 * mAP is the mean over all queries, zeros included, as a fraction (not percent). Ties are broken by database index,
 * lower first, so scores are reproducible; how much they owe to that order show the scores over seeded shuffles.
 *
 * All results are the same bits for any number of threads.
 */
#ifndef BITTERN_RETRIEVAL_SCORES_H
#define BITTERN_RETRIEVAL_SCORES_H

#include "retrieval/interval.h"
#include "retrieval/items.h"

typedef struct bt_map {
    double papers, standard;
} bt_map;

/** mAP@k by the sides' labels; k larger than the database counts as its size. BT_ERR_SHAPE for widths that differ,
 * empty sides or k below 1, BT_ERR_NUMERIC naming the query for NaN, BT_ERR_MEMORY. */
bt_status bt_mean_average_precision(const bt_items *queries, const bt_items *database, bt_distance distance, int64_t k,
                                    bt_map *out) BT_MUST_CHECK;

typedef struct bt_score_options {
    bt_distance distance;
    const int64_t *k; /**< (k_count) cutoffs, ascending; above the database counts as all of it */
    int k_count;
    bool leave_one_out; /**< the database holds the queries, in order; a query is not ranked against itself */
    int shuffles;       /**< seeded orders within ties; 0: by index only */
    int resamples;      /**< of the bootstrap over queries; 0: no intervals */
    double level;       /**< of the intervals, e.g. 0.95 */
    uint64_t seed;
} bt_score_options;

/** Means over all queries at one cutoff, for one meaning of "relevant". */
typedef struct bt_scores {
    int64_t k;                          /**< as used: at most the database */
    bt_map map;                         /**< ties by index */
    bt_interval papers, standard;       /**< of map; 0, 0 without resamples */
    bt_map shuffled, shuffle_deviation; /**< map over the shuffles: mean and deviation (divided by their number); 0
                                           without shuffles */
    double precision;                   /**< relevant items in the top k / k */
    double recall;   /**< relevant items in the top k / relevant items; 0 for a query that has none */
    double hit_rate; /**< queries with at least one relevant item in the top k: the "R@k" of cross-modal papers */
    int64_t without_relevant; /**< queries to which nothing is relevant; they count as 0 everywhere */
} bt_scores;

/** What else may be asked for; NULL members are not computed. */
typedef struct bt_score_detail {
    bt_map *average_precision; /**< (relevance_count, k_count, queries): AP of each, ties by index */
    double *curve; /**< (relevance_count, curve_points): precision at recall 0 .. 1, interpolated (the highest precision
                      at that recall or above), mean over queries; ranks beyond the largest k count as not retrieved */
    int curve_points; /**< 11 is the classic curve */
} bt_score_detail;

/** Scores for `relevance_count` meanings of "relevant" (a taxonomy's ranks) from one ranking: out (relevance_count,
 * k_count). Labels of the sides are not read. `detail` may be NULL. Time: queries x database, plus sorting (ranking.h);
 * memory: ranking.h, plus 16 bytes x queries x relevance_count x k_count x (1 + shuffles). Errors as above. */
bt_status bt_score(const bt_items *queries, const bt_items *database, const bt_relevance *relevance,
                   int relevance_count, const bt_score_options *options, bt_scores *out,
                   bt_score_detail *detail) BT_MUST_CHECK;

#endif
