/* Mean average precision. One query at a time: distances to the whole database, the k smallest by a bounded heap, then the
 * precision sum in rank order. The asymmetric distance is a sum of table look-ups: for each byte of a code, 256 partial sums. */
#include "retrieval/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct neighbour {
    float distance;
    int64_t index;
} neighbour;

/** True if a ranks behind b. */
static bool behind(neighbour a, neighbour b) {
    return a.distance > b.distance || (a.distance == b.distance && a.index > b.index);
}

static void sift_down(neighbour *heap, int64_t count, int64_t at) {
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= count) return;
        if (child + 1 < count && behind(heap[child + 1], heap[child])) child++;
        if (!behind(heap[child], heap[at])) return;
        neighbour swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

/** The k nearest of n in rank order, into heap[0..k). */
static void nearest(const float *distance, int64_t n, neighbour *heap, int64_t k) {
    for (int64_t i = 0; i < k; i++) heap[i] = (neighbour){distance[i], i};
    for (int64_t i = k / 2; i-- > 0;) sift_down(heap, k, i);
    for (int64_t i = k; i < n; i++) /* equal distances stay out: their index is higher */
        if (distance[i] < heap[0].distance) {
            heap[0] = (neighbour){distance[i], i};
            sift_down(heap, k, 0);
        }
    for (int64_t left = k - 1; left > 0; left--) { /* heap sort: the farthest goes to the end */
        neighbour swap = heap[0];
        heap[0] = heap[left];
        heap[left] = swap;
        sift_down(heap, left, 0);
    }
}

/** |sigmoid(z) - bit| summed over bits = sum of sigmoids + sum over set bits of (1 - 2 sigmoid). */
static void asymmetric(const float *logits, const bt_items *db, float *out) {
    int words = (db->width + 63) / 64, bytes = (db->width + 7) / 8;
    float(*table)[256] = malloc((size_t)bytes * sizeof *table);
    BT_ASSERT(table);
    double base = 0;
    for (int b = 0; b < bytes; b++) {
        double weight[8] = {0};
        for (int j = 0; j < 8 && 8 * b + j < db->width; j++) {
            double s = 1 / (1 + exp(-(double)logits[8 * b + j]));
            base += s;
            weight[j] = 1 - 2 * s;
        }
        for (int v = 0; v < 256; v++) {
            double sum = 0;
            for (int j = 0; j < 8; j++) sum += v >> j & 1 ? weight[j] : 0;
            table[b][v] = (float)sum;
        }
    }
    for (int64_t i = 0; i < db->count; i++) {
        const uint64_t *code = db->bits + i * words;
        float sum = (float)base;
        for (int b = 0; b < bytes; b++) sum += table[b][code[b / 8] >> (8 * (b % 8)) & 255];
        out[i] = sum;
    }
    free(table);
}

static void symmetric(const float *logits, const bt_items *db, float *out) {
    int words = (db->width + 63) / 64;
    uint64_t *code = calloc((size_t)words, sizeof *code);
    BT_ASSERT(code);
    for (int j = 0; j < db->width; j++)
        if (logits[j] > 0) code[j / 64] |= UINT64_C(1) << (j % 64);
    for (int64_t i = 0; i < db->count; i++) {
        int sum = 0;
        for (int w = 0; w < words; w++) sum += __builtin_popcountll(code[w] ^ db->bits[i * words + w]);
        out[i] = (float)sum;
    }
    free(code);
}

/** Dot product in eight running sums: a fixed order that the compiler can vectorise. */
static float dot(const float *a, const float *b, int n) {
    float sum[8] = {0};
    int i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) sum[j] += a[i + j] * b[i + j];
    for (int j = 0; i < n; i++, j++) sum[j] += a[i] * b[i];
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

static void cosine(const float *query, const bt_items *db, const float *inverse_norm, float *out) {
    float q = sqrtf(dot(query, query, db->width)), inverse = q > 0 ? 1 / q : 0;
    for (int64_t i = 0; i < db->count; i++) out[i] = 1 - dot(query, db->values + i * db->width, db->width) * inverse * inverse_norm[i];
}

static void average_precision(const neighbour *rank, int64_t k, int32_t label, const bt_items *db, bt_map *out) {
    int64_t hits = 0, relevant = 0;
    double sum = 0;
    for (int64_t r = 0; r < k; r++)
        if (db->labels[rank[r].index] == label) sum += (double)++hits / (double)(r + 1);
    for (int64_t i = 0; i < db->count; i++) relevant += db->labels[i] == label;
    int64_t possible = relevant < k ? relevant : k;
    out->papers = hits ? sum / (double)hits : 0;
    out->standard = possible ? sum / (double)possible : 0;
}

static bt_status check(const bt_items *q, const bt_items *db, bt_distance distance, int64_t k) {
    if (q->count < 1 || db->count < 1 || k < 1)
        return bt_error(BT_ERR_SHAPE, "retrieval scores need queries, a database and k; found %lld, %lld and %lld", (long long)q->count,
                        (long long)db->count, (long long)k);
    if (q->width != db->width || q->width < 1)
        return bt_error(BT_ERR_SHAPE, "queries have width %d, the database %d", q->width, db->width);
    BT_ASSERT(q->values && q->labels && db->labels && (distance == BT_COSINE ? db->values != NULL : db->bits != NULL));
    for (int64_t i = 0; i < q->count * q->width; i++)
        if (isnan(q->values[i])) return bt_error(BT_ERR_NUMERIC, "query %lld has a NaN", (long long)(i / q->width));
    return BT_OK;
}

/** 1/|x| of the database's rows, 0 for rows of zeros; NULL with a message for NaN. */
static float *inverse_norms(const bt_items *db) {
    float *inverse = malloc((size_t)db->count * sizeof *inverse);
    BT_ASSERT(inverse);
    for (int64_t i = 0; i < db->count; i++) {
        float norm = sqrtf(dot(db->values + i * db->width, db->values + i * db->width, db->width));
        if (isnan(norm)) {
            (void)bt_error(BT_ERR_NUMERIC, "database item %lld has a NaN", (long long)i);
            free(inverse);
            return NULL;
        }
        inverse[i] = norm > 0 ? 1 / norm : 0;
    }
    return inverse;
}

bt_status bt_mean_average_precision(const bt_items *q, const bt_items *db, bt_distance distance, int64_t k, bt_map *out) {
    BT_TRY(check(q, db, distance, k));
    if (k > db->count) k = db->count;
    float *inverse = NULL;
    if (distance == BT_COSINE && !(inverse = inverse_norms(db))) return BT_ERR_NUMERIC;
    bt_map *each = calloc((size_t)q->count, sizeof *each);
    BT_ASSERT(each);
#pragma omp parallel
    {
        float *distances = malloc((size_t)db->count * sizeof *distances);
        neighbour *heap = malloc((size_t)k * sizeof *heap);
        BT_ASSERT(distances && heap);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < q->count; i++) {
            const float *row = q->values + i * q->width;
            if (distance == BT_COSINE) cosine(row, db, inverse, distances);
            else if (distance == BT_SYMMETRIC) symmetric(row, db, distances);
            else asymmetric(row, db, distances);
            nearest(distances, db->count, heap, k);
            average_precision(heap, k, q->labels[i], db, &each[i]);
        }
        free(distances);
        free(heap);
    }
    bt_map sum = {0, 0};
    for (int64_t i = 0; i < q->count; i++) { /* in order: the same bits for any number of threads */
        sum.papers += each[i].papers;
        sum.standard += each[i].standard;
    }
    free(each);
    free(inverse);
    *out = (bt_map){sum.papers / (double)q->count, sum.standard / (double)q->count};
    return BT_OK;
}
