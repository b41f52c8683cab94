/* Neighbours; see neighbours.h. */
#include "retrieval/neighbours.h"

#include "retrieval/ranking.h"

#include <string.h>

typedef struct finding {
    int64_t k;
    int32_t *index;
    float *distance;
} finding;

static void visit(void *context, int64_t query, int shuffle, const int32_t *order, const float *distance) {
    (void)shuffle;
    const finding *f = context;
    memcpy(f->index + query * f->k, order, (size_t)f->k * sizeof *order);
    for (int64_t r = 0; f->distance && r < f->k; r++) f->distance[query * f->k + r] = distance[order[r]];
}

bt_status bt_neighbours_find(const bt_items *queries, const bt_items *database, bt_distance kind, int64_t k,
                             int32_t *index, float *distance) {
    if (k > database->count)
        return bt_error(BT_ERR_SHAPE, "%lld neighbours of a database of %lld items", (long long)k,
                        (long long)database->count);
    bt_distances distances;
    BT_TRY(bt_distances_open(queries, database, kind, &distances));
    finding f = {k, index, distance};
    bt_status status = bt_rank_all(&distances, &(bt_rank_options){.k = k}, visit, &f);
    bt_distances_close(&distances);
    return status;
}

void bt_neighbours_confuse(const int32_t *index, int64_t queries, int64_t k, int64_t use, const int32_t *query_labels,
                           const int32_t *database_labels, int64_t classes, double *share) {
    BT_ASSERT(use > 0 && use <= k);
    for (int64_t i = 0; i < classes * classes; i++) share[i] = 0;
    for (int64_t q = 0; q < queries; q++) {
        int64_t row = query_labels[q];
        for (int64_t r = 0; row >= 0 && r < use; r++) {
            int64_t label = database_labels[index[q * k + r]];
            if (label >= 0) share[row * classes + label] += 1;
        }
    }
    for (int64_t c = 0; c < classes; c++) {
        int64_t count = 0;
        for (int64_t q = 0; q < queries; q++) count += query_labels[q] == c;
        for (int64_t d = 0; count > 0 && d < classes; d++) share[c * classes + d] /= (double)(count * use);
    }
}

void bt_class_means(const double *values, int64_t stride, const int32_t *labels, int64_t queries, int64_t classes,
                    double *mean, int64_t *count) {
    for (int64_t c = 0; c < classes; c++) {
        mean[c] = 0;
        count[c] = 0;
    }
    for (int64_t q = 0; q < queries; q++) {
        if (labels[q] < 0) continue;
        mean[labels[q]] += values[q * stride];
        count[labels[q]]++;
    }
    for (int64_t c = 0; c < classes; c++)
        if (count[c]) mean[c] /= (double)count[c];
}
