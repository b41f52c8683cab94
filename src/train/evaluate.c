/* Scores of a model on a split. */
#include "train/evaluate.h"

#include "base/memory.h"
#include "base/thread.h"
#include "train/interrupt.h"

#include <string.h>

/** One side: embeddings (count, width), logits (count, outputs), codes. */
typedef struct side {
    int64_t count;
    float *embeddings, *logits;
    uint64_t *bits;
    int32_t *labels;
    int64_t *samples;
    uint64_t *sets; /**< (count, words of the classes) where samples have none or several labels; NULL */
} side;

static void free_side(side *s) {
    bt_memory_free(s->embeddings);
    bt_memory_free(s->logits);
    bt_memory_free(s->bits);
    bt_memory_free(s->labels);
    bt_memory_free(s->samples);
    bt_memory_free(s->sets);
}

static bt_status make_side(side *s, int64_t count, int64_t width, int64_t outputs, int64_t words) {
    size_t n = (size_t)count;
    s->embeddings = bt_memory_alloc(n * (size_t)width, sizeof(float));
    s->logits = bt_memory_alloc(n * (size_t)outputs, sizeof(float));
    s->bits = bt_memory_alloc(n * (size_t)words, sizeof(uint64_t));
    s->labels = bt_memory_alloc(n, sizeof(int32_t));
    s->samples = bt_memory_alloc(n, sizeof(int64_t));
    return s->embeddings && s->logits && s->bits && s->labels && s->samples ? BT_OK : BT_ERR_MEMORY;
}

static bt_status make_sets(side *s, const bt_dataset *set) {
    s->sets = bt_memory_alloc((size_t)s->count, (size_t)(set->class_count + 63) / 64 * sizeof(uint64_t));
    if (!s->sets) return BT_ERR_MEMORY;
    bt_dataset_sets(set, s->samples, s->count, s->sets);
    return BT_OK;
}

static bt_status embed_batch(bt_session *session, const bt_batch *b, int64_t outputs, bool codes, side *s, side *room) {
    int64_t width = session->model->vit.config.width, words = (outputs + 63) / 64;
    BT_TRY(bt_session_embed(session, b->images, room->embeddings, room->logits, codes ? room->bits : NULL));
    size_t at = (size_t)s->count, n = (size_t)b->n_valid;
    memcpy(s->embeddings + at * (size_t)width, room->embeddings, n * (size_t)width * sizeof(float));
    memcpy(s->logits + at * (size_t)outputs, room->logits, n * (size_t)outputs * sizeof(float));
    if (codes) memcpy(s->bits + at * (size_t)words, room->bits, n * (size_t)words * sizeof(uint64_t));
    memcpy(s->labels + at, b->labels, n * sizeof(int32_t));
    for (size_t i = 0; i < n; i++) s->samples[at + i] = b->ids[i] & UINT32_MAX;
    s->count += b->n_valid;
    return BT_OK;
}

static bt_status embed_all(bt_session *session, const bt_loader_options *options, int64_t outputs, bool codes, side *s) {
    bt_loader *loader;
    side room = {0};
    BT_TRY(bt_loader_new(options, &loader));
    bt_status status = make_side(&room, options->batch, session->model->vit.config.width, outputs, (outputs + 63) / 64);
    while (status == BT_OK) {
        bt_batch b;
        status = bt_loader_next(loader, &b);
        if (status != BT_OK || b.end) break;
        status = embed_batch(session, &b, outputs, codes, s, &room);
        if (status == BT_OK && bt_interrupt_seen()) status = bt_error(BT_ERR_INTERRUPTED, "interrupted by signal %d while scores were made; continue with --resume", bt_interrupt_seen());
    }
    bt_loader_free(loader);
    free_side(&room);
    return status;
}

static double accuracy(const side *s, int64_t classes) {
    int64_t right = 0;
    for (int64_t i = 0; i < s->count; i++) {
        const float *row = s->logits + i * classes;
        int64_t best = 0;
        for (int64_t c = 1; c < classes; c++) best = row[c] > row[best] ? c : best;
        right += best == s->labels[i];
    }
    return s->count ? (double)right / (double)s->count : 0;
}

/** mAP@k; `words` of the sets, where labels are several. */
static bt_status map_of(const side *q, const side *db, const bt_items *queries, const bt_items *database, bt_distance distance, int words, int64_t k,
                        bt_map *out) {
    if (!q->sets) return bt_mean_average_precision(queries, database, distance, k, out);
    bt_relevance relevance = {.query_sets = q->sets, .database_sets = db->sets, .words = words};
    bt_score_options options = {.distance = distance, .k = &k, .k_count = 1};
    bt_scores scores;
    BT_TRY(bt_score(queries, database, &relevance, 1, &options, &scores, NULL));
    *out = scores.map;
    return BT_OK;
}

static bt_status score(const side *q, const side *db, int width, int outputs, int words, int64_t k, bt_evaluation *out) {
    bt_items qe = {q->count, width, q->embeddings, NULL, q->labels}, de = {db->count, width, db->embeddings, NULL, db->labels};
    BT_TRY(map_of(q, db, &qe, &de, BT_COSINE, words, k, &out->cosine));
    out->queries = q->count;
    out->database = db->count;
    out->k = k;
    if (!out->has_codes) return BT_OK;
    bt_items qc = {q->count, outputs, q->logits, NULL, q->labels}, dc = {db->count, outputs, NULL, db->bits, db->labels};
    BT_TRY(map_of(q, db, &qc, &dc, BT_ASYMMETRIC, words, k, &out->asymmetric));
    return map_of(q, db, &qc, &dc, BT_SYMMETRIC, words, k, &out->symmetric);
}

bt_status bt_evaluate(bt_session *session, const bt_loader_options *options, const bt_split *split, int64_t k, bt_evaluation *out) {
    double start = bt_clock_seconds();
    const bt_model *m = session->model;
    bool codes = m->method == &bt_method_crovca;
    int64_t outputs = codes ? m->config.bits : m->config.classes, words = (outputs + 63) / 64;
    bt_loader_options o = *options;
    o.training = o.drop_last = false;
    o.views = o.epochs = 1;
    o.start_epoch = o.start_batch = 0;
    o.batch = session->options.embed_batch;
    side query = {0}, database = {0};
    bt_status status = make_side(&query, split->query_count, m->vit.config.width, outputs, words);
    if (status == BT_OK) status = make_side(&database, split->database_count, m->vit.config.width, outputs, words);
    o.samples = split->query;
    o.count = split->query_count;
    if (status == BT_OK) status = embed_all(session, &o, outputs, codes, &query);
    o.samples = split->database;
    o.count = split->database_count;
    if (status == BT_OK) status = embed_all(session, &o, outputs, codes, &database);
    *out = (bt_evaluation){.has_codes = codes, .accuracy = -1};
    if (status == BT_OK && !bt_dataset_single(o.set)) status = make_sets(&query, o.set);
    if (status == BT_OK && !bt_dataset_single(o.set)) status = make_sets(&database, o.set);
    if (status == BT_OK) status = score(&query, &database, m->vit.config.width, (int)outputs, (int)(o.set->class_count + 63) / 64, k, out);
    if (!codes) out->accuracy = accuracy(&query, outputs);
    out->seconds = bt_clock_seconds() - start;
    free_side(&query);
    free_side(&database);
    return status;
}
