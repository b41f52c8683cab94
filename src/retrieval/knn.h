/* Accuracy of a weighted nearest-neighbour vote. */
#ifndef BITTERN_RETRIEVAL_KNN_H
#define BITTERN_RETRIEVAL_KNN_H

#include "retrieval/items.h"

#include <math.h>

typedef struct bt_knn_options {
    bt_distance distance;
    int64_t k;          /**< neighbours; above the database counts as all (the papers: 200) */
    double temperature; /**< a neighbour's vote is exp((similarity - 1) / temperature); INFINITY: every vote counts the
                           same. DINO: 0.07 */
    bool leave_one_out; /**< the database holds the queries, in order */
} bt_knn_options;

/** Each query takes the class with the largest vote of its k nearest, the lowest of equals. The similarity is the
 * cosine; of codes 1 - 2 d / bits, the cosine of codes in {-1, 1}. Unlabelled items (negative) have no vote, unlabelled
 * queries are not counted. predicted (queries): classes, -1 if no neighbour has a label; NULL if not wanted. Accuracy
 * is a share of the labelled queries, 0 if there are none. BT_ERR_SHAPE, BT_ERR_NUMERIC, BT_ERR_MEMORY as bt_score;
 * memory: ranking.h, plus 16 bytes per query and neighbour. */
bt_status bt_knn_accuracy(const bt_items *queries, const bt_items *database, const bt_knn_options *options,
                          int32_t *predicted, double *accuracy) BT_MUST_CHECK;

#endif
