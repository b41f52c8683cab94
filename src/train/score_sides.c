/* Scores of two embedded sides; see score_sides.h. */
#include "train/score_sides.h"

#include "base/memory.h"
#include "retrieval/knn.h"
#include "retrieval/neighbours.h"
#include "retrieval/probe.h"

#include <stdio.h>
#include <string.h>

/* ---- labels ---- */

static bt_status gather(const bt_truth *t, const int64_t *samples, int64_t count, int32_t **labels, uint64_t **sets) {
    *labels = bt_memory_alloc((size_t)t->rank_count * (size_t)count, sizeof **labels);
    if (!*labels) return BT_ERR_MEMORY;
    for (int r = 0; r < t->rank_count; r++)
        for (int64_t i = 0; i < count; i++) (*labels)[r * count + i] = t->rank[r].labels[samples[i]];
    if (!t->sets) return BT_OK;
    size_t words = (size_t)t->words;
    *sets = bt_memory_alloc((size_t)count * words, sizeof **sets);
    if (!*sets) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < count; i++)
        memcpy(*sets + (size_t)i * words, t->sets + (size_t)samples[i] * words, words * sizeof **sets);
    return BT_OK;
}

static int64_t *copy_samples(const bt_embedded *e) {
    int64_t *samples = bt_memory_alloc((size_t)e->count, sizeof *samples);
    if (samples) memcpy(samples, e->samples, (size_t)e->count * sizeof *samples);
    return samples;
}

static bt_status keep_labels(bt_run_scores *s, const bt_embedded *query, const bt_embedded *database) {
    s->queries = query->count;
    s->database = database->count;
    s->query_samples = copy_samples(query);
    s->database_samples = copy_samples(database);
    if (!s->query_samples || !s->database_samples) return BT_ERR_MEMORY;
    BT_TRY(bt_truth_narrow(&s->truth, query->samples, query->count, database->samples, database->count));
    BT_TRY(gather(&s->truth, query->samples, query->count, &s->query_labels, &s->query_sets));
    return gather(&s->truth, database->samples, database->count, &s->database_labels, &s->database_sets);
}

static bool same_samples(const bt_embedded *e, const int64_t *samples, int64_t count) {
    return e->count == count && memcmp(e->samples, samples, (size_t)count * sizeof *samples) == 0;
}

bt_status bt_sides_open(bt_run_scores *s, const bt_embedded *query, const bt_embedded *database, bt_sides *out) {
    if (!s->query_samples) BT_TRY(keep_labels(s, query, database));
    if (!same_samples(query, s->query_samples, s->queries) || !same_samples(database, s->database_samples, s->database))
        return bt_error(BT_ERR_SHAPE, "pictures became readable or unreadable during the evaluation; start it again");
    *out = (bt_sides){.query = query, .database = database, .ranks = s->truth.rank_count};
    for (int r = 0; r < out->ranks; r++)
        out->relevance[r] = (bt_relevance){.query_labels = s->query_labels + r * s->queries,
                                           .database_labels = s->database_labels + r * s->database};
    if (s->query_sets)
        out->relevance[0] =
            (bt_relevance){.query_sets = s->query_sets, .database_sets = s->database_sets, .words = s->truth.words};
    return BT_OK;
}

/* ---- rankings ---- */

static bt_distance distance_of(bt_way way) {
    return way == BT_WAY_BINARY ? BT_ASYMMETRIC : way == BT_WAY_SYMMETRIC ? BT_SYMMETRIC : BT_COSINE;
}

/** Both sides as this way ranks them, with the labels of rank 0. */
static void items_of(const bt_sides *sides, const bt_run_scores *s, bt_way way, bt_items *q, bt_items *db) {
    const bt_embedded *query = sides->query, *database = sides->database;
    bool codes = way == BT_WAY_BINARY || way == BT_WAY_SYMMETRIC;
    *q = (bt_items){query->count, codes ? query->outputs : query->width, codes ? query->logits : query->embeddings,
                    NULL, s->query_labels};
    *db = (bt_items){database->count, q->width, codes ? NULL : database->embeddings, codes ? database->codes : NULL,
                     s->database_labels};
}

static bt_status vote(const bt_items *q, const bt_items *db, bt_way way, bt_run_scores *s) {
    bt_knn_options o = {distance_of(way), s->options.neighbours, 0.07, false};
    return bt_knn_accuracy(q, db, &o, NULL, &s->way[way].vote);
}

bt_status bt_sides_score(const bt_sides *sides, bt_way way, bt_run_scores *s) {
    bt_scored *w = &s->way[way];
    size_t rows = (size_t)sides->ranks * (size_t)s->cutoffs;
    bool codes = way == BT_WAY_BINARY || way == BT_WAY_SYMMETRIC;
    w->scores = bt_memory_zeroed(rows, sizeof *w->scores);
    w->average_precision = bt_memory_alloc(rows * (size_t)s->queries, sizeof *w->average_precision);
    w->curve = bt_memory_alloc((size_t)sides->ranks * BT_CURVE_POINTS, sizeof *w->curve);
    if (!w->scores || !w->average_precision || !w->curve) return BT_ERR_MEMORY;
    bt_items q, db;
    items_of(sides, s, way, &q, &db);
    bt_score_options o = {.distance = distance_of(way),
                          .k = s->cutoff,
                          .k_count = s->cutoffs,
                          .shuffles = s->full && codes ? s->options.shuffles : 0,
                          .resamples = s->options.resamples,
                          .level = 0.95,
                          .seed = (uint64_t)s->options.seed};
    bt_score_detail detail = {w->average_precision, w->curve, BT_CURVE_POINTS};
    BT_TRY(bt_score(&q, &db, sides->relevance, sides->ranks, &o, w->scores, &detail));
    w->present = true;
    if (!s->full) return BT_OK;
    if (!s->query_sets) BT_TRY(vote(&q, &db, way, s));
    if (codes) return BT_OK;
    const bt_embedded *e = sides->database;
    BT_TRY(bt_effective_rank_of(e->embeddings, e->count, e->width, false, &w->raw));
    BT_TRY(bt_effective_rank_of(e->embeddings, e->count, e->width, true, &w->centred));
    w->has_effective_rank = true;
    return BT_OK;
}

/* ---- codes and neighbours ---- */

static bt_status describe_codes(const bt_embedded *database, bt_run_scores *s) {
    size_t bits = (size_t)s->bits;
    s->ones = bt_memory_alloc(bits, sizeof *s->ones);
    s->correlation = bt_memory_alloc(bits * bits, sizeof *s->correlation);
    if (!s->ones || !s->correlation) return BT_ERR_MEMORY;
    BT_TRY(bt_bits_measure(database->codes, database->count, s->bits, s->ones, &s->bit_statistics));
    return bt_bits_correlate(database->codes, database->count, s->bits, s->correlation);
}

static bt_status confuse(bt_run_scores *s) {
    int use = s->neighbour_count < BT_CONFUSED_NEIGHBOURS ? s->neighbour_count : BT_CONFUSED_NEIGHBOURS;
    for (int r = 0; r < s->truth.rank_count; r++) {
        bt_class_matrix *m = &s->confusion[r];
        int64_t classes = s->truth.rank[r].present;
        if (classes < 2 || classes > BT_CONFUSED_CLASSES || (r == 0 && s->query_sets)) continue;
        m->share = bt_memory_alloc((size_t)(classes * classes), sizeof *m->share);
        if (!m->share) return BT_ERR_MEMORY;
        m->classes = classes;
        bt_neighbours_confuse(s->neighbours, s->queries, s->neighbour_count, use, s->query_labels + r * s->queries,
                              s->database_labels + r * s->database, classes, m->share);
    }
    return BT_OK;
}

bt_status bt_sides_describe(const bt_sides *sides, bt_run_scores *s) {
    bt_way way = s->bits ? BT_WAY_BINARY : BT_WAY_CONTINUOUS;
    bt_items q, db;
    if (s->bits) BT_TRY(describe_codes(sides->database, s));
    items_of(sides, s, way, &q, &db);
    s->neighbour_count = s->database < BT_SHEET_NEIGHBOURS ? (int)s->database : BT_SHEET_NEIGHBOURS;
    size_t count = (size_t)s->queries * (size_t)s->neighbour_count;
    s->neighbours = bt_memory_alloc(count, sizeof *s->neighbours);
    s->distances = bt_memory_alloc(count, sizeof *s->distances);
    if (!s->neighbours || !s->distances) return BT_ERR_MEMORY;
    BT_TRY(bt_neighbours_find(&q, &db, distance_of(way), s->neighbour_count, s->neighbours, s->distances));
    return confuse(s);
}

/* ---- learned on the training images ---- */

static bt_status score_rotations(const bt_items *q, const bt_items *db, const bt_sides *sides, const bt_embedded *train,
                                 const bt_pca *pca, bt_run_scores *s) {
    bt_free_options o = {.method = BT_FREE_ROTATION,
                         .bits = (int)pca->count,
                         .draws = s->options.rotations,
                         .seed = (uint64_t)s->options.seed,
                         .itq_iterations = 50,
                         .temperature = 0.07};
    for (int c = 0; c < s->cutoffs; c++) {
        o.k = s->cutoff[c];
        BT_TRY(bt_training_free_score(&o, pca, train->embeddings, train->count, q, db, sides->relevance, NULL,
                                      &s->free[c]));
    }
    if (!s->full) return BT_OK;
    o.method = BT_FREE_ITQ;
    o.k = s->cutoff[0];
    return bt_training_free_score(&o, pca, train->embeddings, train->count, q, db, sides->relevance, NULL,
                                  &s->free_itq);
}

bt_status bt_sides_score_free(const bt_sides *sides, const bt_embedded *train, bt_run_scores *s) {
    int bits = s->bits;
    if (!bits) bits = sides->query->width < 32 ? sides->query->width : 32; /* a run without codes */
    if (bits > sides->query->width) {
        snprintf(s->free_reason, sizeof s->free_reason,
                 "%d bits are more than there are principal components: the embeddings have width %d", bits,
                 sides->query->width);
        return BT_OK;
    }
    bt_items q, db;
    bt_pca pca;
    items_of(sides, s, BT_WAY_CONTINUOUS, &q, &db);
    BT_TRY(bt_pca_exact(train->embeddings, train->count, train->width, bits, &pca));
    bt_status status = score_rotations(&q, &db, sides, train, &pca, s);
    bt_pca_free(&pca);
    s->has_free = status == BT_OK;
    return status;
}

bt_status bt_sides_probe(const bt_sides *sides, const bt_embedded *train, bt_way way, bt_run_scores *s) {
    if (s->query_sets || s->truth.rank[0].count < 2) return BT_OK; /* training images may have classes of their own */
    int32_t *labels = bt_memory_alloc((size_t)train->count, sizeof *labels);
    if (!labels) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < train->count; i++) labels[i] = s->truth.rank[0].labels[train->samples[i]];
    bt_items q, db, fit = {train->count, train->width, train->embeddings, NULL, labels};
    items_of(sides, s, way, &q, &db);
    bt_probe_options o = {.l2 = 1e-3, .iterations = 300, .tolerance = 1e-5, .standardise = true};
    bt_probe probe;
    bt_status status = bt_probe_fit(&fit, &o, &probe);
    if (status == BT_OK) {
        status = bt_probe_accuracy(&probe, &q, &s->way[way].probe);
        bt_probe_free(&probe);
    }
    bt_memory_free(labels);
    return status;
}
