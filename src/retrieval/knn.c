/* Nearest-neighbour vote; see knn.h. A query's neighbours are sorted by class, so votes need no table of all classes.
 */
#include "retrieval/knn.h"

#include "base/memory.h"
#include "retrieval/ranking.h"

#include <stdlib.h>

typedef struct vote {
    int32_t label, rank;
    double weight;
} vote;

typedef struct voting {
    const bt_items *queries, *database;
    const bt_knn_options *options;
    int64_t ranks;
    int32_t *predicted; /* (queries) */
    vote *votes;        /* (queries, ranks) */
} voting;

static int by_label(const void *a, const void *b) {
    const vote *x = a, *y = b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    return (x->rank > y->rank) - (x->rank < y->rank); /* a fixed order of summation */
}

static double similarity(const voting *v, float distance) {
    double d = (double)distance;
    return v->options->distance == BT_COSINE ? 1 - d : 1 - 2 * d / v->queries->width;
}

static void visit(void *context, int64_t query, int shuffle, const int32_t *order, const float *distance) {
    (void)shuffle;
    const voting *v = context;
    vote *votes = v->votes + query * v->ranks;
    int64_t count = 0;
    for (int64_t r = 0; r < v->ranks; r++) {
        int32_t label = v->database->labels[order[r]];
        double weight = exp((similarity(v, distance[order[r]]) - 1) / v->options->temperature);
        if (label >= 0) votes[count++] = (vote){label, (int32_t)r, weight};
    }
    qsort(votes, (size_t)count, sizeof *votes, by_label);
    double best = -1;
    v->predicted[query] = -1;
    for (int64_t i = 0; i < count;) {
        double sum = 0;
        int32_t label = votes[i].label;
        for (; i < count && votes[i].label == label; i++) sum += votes[i].weight;
        if (sum <= best) continue;
        best = sum;
        v->predicted[query] = label;
    }
}

static double share_right(const bt_items *q, const int32_t *predicted) {
    int64_t right = 0, labelled = 0;
    for (int64_t i = 0; i < q->count; i++) {
        labelled += q->labels[i] >= 0;
        right += q->labels[i] >= 0 && q->labels[i] == predicted[i];
    }
    return labelled ? (double)right / (double)labelled : 0;
}

bt_status bt_knn_accuracy(const bt_items *q, const bt_items *db, const bt_knn_options *o, int32_t *predicted,
                          double *accuracy) {
    BT_ASSERT(q->labels && db->labels && o->temperature > 0);
    bt_distances distances;
    BT_TRY(bt_distances_open(q, db, o->distance, &distances));
    bt_rank_options ranking = {.k = o->k, .leave_one_out = o->leave_one_out};
    voting v = {.queries = q, .database = db, .options = o, .ranks = bt_ranks(&ranking, db)};
    int64_t ranks = v.ranks > 0 ? v.ranks : 0; /* bt_rank_all refuses what has none */
    v.predicted = bt_memory_alloc((size_t)q->count, sizeof *v.predicted);
    v.votes = bt_memory_alloc((size_t)q->count * (size_t)ranks, sizeof *v.votes);
    bt_status status = v.predicted && v.votes ? bt_rank_all(&distances, &ranking, visit, &v) : BT_ERR_MEMORY;
    if (status == BT_OK) *accuracy = share_right(q, v.predicted);
    for (int64_t i = 0; i < q->count && status == BT_OK && predicted; i++) predicted[i] = v.predicted[i];
    bt_memory_free(v.predicted);
    bt_memory_free(v.votes);
    bt_distances_close(&distances);
    return status;
}
