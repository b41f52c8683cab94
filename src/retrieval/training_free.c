/* Training-free codes: every method is one matrix, so a draw is projected, thresholded and scored the same way; see
 * training_free.h. */
#include "retrieval/training_free.h"

#include "base/memory.h"
#include "retrieval/distance.h"
#include "retrieval/knn.h"
#include "retrieval/linalg.h"
#include "retrieval/rotation.h"

#include <math.h>
#include <string.h>

const char *bt_training_free_name(bt_training_free method) {
    static const char *const names[] = {"pca", "rotation", "itq", "lsh"};
    return names[method];
}

/* ---- the matrix of a draw ---- */

static void random_planes(const bt_free_options *o, int64_t width, int draw, double *rows) {
    bt_random_gaussian(rows, o->bits * width, o->seed, draw);
    for (int64_t r = 0; r < o->bits; r++) {
        double squares = 0;
        for (int64_t c = 0; c < width; c++) squares += rows[r * width + c] * rows[r * width + c];
        for (int64_t c = 0; c < width; c++) rows[r * width + c] /= sqrt(squares);
    }
}

/** rows (k,width) = r (k,k) components (k,width). */
static void rotate(const double *r, const bt_pca *pca, int64_t k, double *rows) {
    for (int64_t i = 0; i < k; i++) {
        double *row = rows + i * pca->width;
        memset(row, 0, (size_t)pca->width * sizeof *row);
        for (int64_t j = 0; j < k; j++)
            for (int64_t c = 0; c < pca->width; c++) row[c] += r[i * k + j] * pca->components[j * pca->width + c];
    }
}

bt_status bt_training_free_matrix(const bt_free_options *o, const bt_pca *pca, const float *train_z, int64_t train_n,
                                  int draw, double *rows) {
    size_t k = (size_t)o->bits;
    if (o->method == BT_FREE_LSH) {
        random_planes(o, pca->width, draw, rows);
        return BT_OK;
    }
    BT_ASSERT(pca->count >= o->bits);
    if (o->method == BT_FREE_PCA) {
        memcpy(rows, pca->components, k * (size_t)pca->width * sizeof *rows);
        return BT_OK;
    }
    double *r = bt_memory_alloc(k * k, sizeof *r);
    if (!r) return BT_ERR_MEMORY;
    bt_status status = BT_OK;
    bt_random_rotation(r, o->bits, o->seed, draw);
    if (o->method == BT_FREE_ITQ) {
        BT_ASSERT(train_z);
        status = bt_itq(train_z, train_n, o->bits, o->itq_iterations, r, NULL);
    }
    if (status == BT_OK) rotate(r, pca, o->bits, rows);
    bt_memory_free(r);
    return status;
}

/* ---- scores ---- */

/* Database items that are projected at a time: their codes are all that stays. */
#define BLOCK 16384

enum { PAPERS, STANDARD, SYMMETRIC_PAPERS, SYMMETRIC_STANDARD, NEIGHBOURS, SCORES };

typedef struct bench {
    const bt_free_options *o;
    const bt_pca *pca;
    const bt_items *queries, *database;
    const bt_relevance *relevance;
    float *train_z, *query_u; /* (n, bits); train_z for itq only */
    float *database_u;        /* (database, bits) for components, else (BLOCK, bits) */
    uint64_t *codes;          /* (database, words) */
    double *rows;             /* (bits, width) */
    double *found;            /* (draws, SCORES) */
} bench;

static bt_status map_of(const bench *b, const bt_items *q, const bt_items *db, bt_distance distance, bt_map *out) {
    bt_score_options options = {
        .distance = distance, .k = &b->o->k, .k_count = 1, .leave_one_out = b->o->leave_one_out};
    bt_scores scores;
    BT_TRY(bt_score(q, db, b->relevance, 1, &options, &scores, NULL));
    *out = scores.map;
    return BT_OK;
}

/** Scores of the matrix in `rows`, whose codes of the database are in `codes`. */
static bt_status score_codes(const bench *b, double *found) {
    BT_TRY(bt_project(b->queries->values, b->queries->count, b->pca->width, b->pca->mean, b->rows, b->o->bits,
                      b->query_u));
    bt_items q = {b->queries->count, b->o->bits, b->query_u, NULL, b->queries->labels};
    bt_items db = {b->database->count, b->o->bits, NULL, b->codes, b->database->labels};
    bt_map map;
    BT_TRY(map_of(b, &q, &db, BT_ASYMMETRIC, &map));
    found[PAPERS] = map.papers;
    found[STANDARD] = map.standard;
    BT_TRY(map_of(b, &q, &db, BT_SYMMETRIC, &map));
    found[SYMMETRIC_PAPERS] = map.papers;
    found[SYMMETRIC_STANDARD] = map.standard;
    found[NEIGHBOURS] = 0;
    if (b->o->neighbours < 1) return BT_OK;
    bt_knn_options knn = {BT_ASYMMETRIC, b->o->neighbours, b->o->temperature, b->o->leave_one_out};
    return bt_knn_accuracy(&q, &db, &knn, NULL, &found[NEIGHBOURS]);
}

static bt_spread spread_of(const bench *b, int draws, int which) {
    double sum = 0, squares = 0;
    for (int i = 0; i < draws; i++) sum += b->found[i * SCORES + which];
    double mean = sum / draws;
    for (int i = 0; i < draws; i++)
        squares += (b->found[i * SCORES + which] - mean) * (b->found[i * SCORES + which] - mean);
    return (bt_spread){mean, sqrt(squares / draws)};
}

/** Cosine of the components themselves: what the bits are made of. */
static bt_status score_components(const bench *b, bt_map *out) {
    const bt_pca *pca = b->pca;
    BT_TRY(bt_project(b->queries->values, b->queries->count, pca->width, pca->mean, pca->components, b->o->bits,
                      b->query_u));
    BT_TRY(bt_project(b->database->values, b->database->count, pca->width, pca->mean, pca->components, b->o->bits,
                      b->database_u));
    bt_items q = {b->queries->count, b->o->bits, b->query_u, NULL, NULL},
             db = {b->database->count, b->o->bits, b->database_u, NULL, NULL};
    return map_of(b, &q, &db, BT_COSINE, out);
}

/** Codes of the database for the matrix in `rows`. */
static bt_status make_codes(const bench *b) {
    int bits = b->o->bits;
    int64_t words = (bits + 63) / 64, count = b->database->count, width = b->pca->width;
    for (int64_t at = 0; at < count; at += BLOCK) {
        int64_t n = count - at < BLOCK ? count - at : BLOCK;
        BT_TRY(bt_project(b->database->values + at * width, n, width, b->pca->mean, b->rows, bits, b->database_u));
        bt_codes_of(b->database_u, n, bits, b->codes + at * words);
    }
    return BT_OK;
}

static bool scores_components(const bench *b) {
    return b->o->components && b->o->method != BT_FREE_LSH && b->relevance;
}

static bt_status run(const bench *b, const bt_free_options *o, int64_t train_n, uint64_t *codes, bt_free_scores *out) {
    int draws = o->method == BT_FREE_PCA || !b->relevance ? 1 : o->draws;
    size_t words = (size_t)(o->bits + 63) / 64;
    bt_free_scores scores = {.draws = draws};
    if (scores_components(b)) BT_TRY(score_components(b, &scores.components));
    for (int draw = 0; draw < draws; draw++) {
        BT_TRY(bt_training_free_matrix(o, b->pca, b->train_z, train_n, draw, b->rows));
        BT_TRY(make_codes(b));
        if (draw == 0) BT_TRY(bt_bits_measure(b->codes, b->database->count, o->bits, NULL, &scores.bits));
        if (draw == 0 && codes) memcpy(codes, b->codes, (size_t)b->database->count * words * sizeof *codes);
        if (b->relevance) BT_TRY(score_codes(b, b->found + draw * SCORES));
    }
    if (!b->relevance) {
        *out = scores;
        return BT_OK;
    }
    scores.papers = spread_of(b, draws, PAPERS);
    scores.standard = spread_of(b, draws, STANDARD);
    scores.symmetric_papers = spread_of(b, draws, SYMMETRIC_PAPERS);
    scores.symmetric_standard = spread_of(b, draws, SYMMETRIC_STANDARD);
    scores.neighbours = spread_of(b, draws, NEIGHBOURS);
    *out = scores;
    return BT_OK;
}

static bt_status make_bench(bench *b, const float *train, int64_t train_n) {
    const bt_free_options *o = b->o;
    size_t k = (size_t)o->bits;
    b->query_u = bt_memory_alloc((b->queries ? (size_t)b->queries->count : 0) * k, sizeof(float));
    size_t projected = (size_t)b->database->count;
    if (!scores_components(b) && projected > BLOCK) projected = BLOCK;
    b->database_u = bt_memory_alloc(projected * k, sizeof(float));
    b->codes = bt_memory_alloc((size_t)b->database->count * ((k + 63) / 64), sizeof(uint64_t));
    b->rows = bt_memory_alloc(k * (size_t)b->pca->width, sizeof(double));
    b->found = bt_memory_alloc((size_t)o->draws * SCORES, sizeof(double));
    if (!b->query_u || !b->database_u || !b->codes || !b->rows || !b->found) return BT_ERR_MEMORY;
    if (o->method != BT_FREE_ITQ) return BT_OK;
    b->train_z = bt_memory_alloc((size_t)train_n * k, sizeof(float));
    if (!b->train_z) return BT_ERR_MEMORY;
    return bt_project(train, train_n, b->pca->width, b->pca->mean, b->pca->components, o->bits, b->train_z);
}

static void free_bench(bench *b) {
    bt_memory_free(b->train_z);
    bt_memory_free(b->query_u);
    bt_memory_free(b->database_u);
    bt_memory_free(b->codes);
    bt_memory_free(b->rows);
    bt_memory_free(b->found);
}

bt_status bt_training_free_score(const bt_free_options *o, const bt_pca *pca, const float *train, int64_t train_n,
                                 const bt_items *queries, const bt_items *database, const bt_relevance *relevance,
                                 uint64_t *codes, bt_free_scores *out) {
    BT_ASSERT(o->bits > 0 && o->draws > 0 && (o->method == BT_FREE_LSH || pca->count >= o->bits));
    BT_ASSERT(!queries == !relevance);
    if (queries && queries->width != pca->width)
        return bt_error(BT_ERR_SHAPE, "queries have width %d, the training embeddings %lld", queries->width,
                        (long long)pca->width);
    if (database->width != pca->width)
        return bt_error(BT_ERR_SHAPE, "the database has width %d, the training embeddings %lld", database->width,
                        (long long)pca->width);
    bench b = {.o = o, .pca = pca, .queries = queries, .database = database, .relevance = relevance};
    bt_status status = make_bench(&b, train, train_n);
    if (status == BT_OK) status = run(&b, o, train_n, codes, out);
    free_bench(&b);
    return status;
}
