/* The nearest items of each query, and what they say of classes: confusion, means by class. */
#ifndef BITTERN_RETRIEVAL_NEIGHBOURS_H
#define BITTERN_RETRIEVAL_NEIGHBOURS_H

#include "retrieval/scores.h"

/** index (queries, k): the k nearest of the database, nearest first, ties by index; distance (queries, k) or NULL. k is
 * at most the database's count. BT_ERR_SHAPE, BT_ERR_NUMERIC, BT_ERR_MEMORY as bt_score. */
bt_status bt_neighbours_find(const bt_items *queries, const bt_items *database, bt_distance kind, int64_t k,
                             int32_t *index, float *distance) BT_MUST_CHECK;

/** Of the first `use` neighbours of the queries of class c (labelled ones only), the share of class d, in
 * share[c * classes + d]. Rows sum to 1 where all items are labelled; a class without queries has a row of 0. index
 * (queries, k), use <= k; labels below `classes`. */
void bt_neighbours_confuse(const int32_t *index, int64_t queries, int64_t k, int64_t use, const int32_t *query_labels,
                           const int32_t *database_labels, int64_t classes, double *share);

/** Mean over the queries of each class (their number in `count`) of values (queries), `stride` doubles apart; 0 where
 * there are none. */
void bt_class_means(const double *values, int64_t stride, const int32_t *labels, int64_t queries, int64_t classes,
                    double *mean, int64_t *count);

#endif
