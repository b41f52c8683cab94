/* Scores of a model on a split. */
#include "train/evaluate.h"

#include "base/memory.h"
#include "base/thread.h"
#include "train/interrupt.h"
#include "train/view_cache.h"

#include <string.h>

/** One side: embeddings (count, width), logits (count, outputs), codes. */
typedef struct side {
    int64_t count;
    float *embeddings, *logits;
    uint64_t *bits;
    int32_t *labels;
    int64_t *samples; /* of the data set */
    uint64_t *sets;   /* where samples have several labels: (count, words of the classes); else NULL */
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

static bt_status embed_batch(bt_session *session, const bt_batch *b, int64_t outputs, bool codes, side *s, side *room) {
    int64_t width = session->model->vit.config.width, words = (outputs + 63) / 64;
    BT_TRY(bt_session_embed(session, b->images, room->embeddings, room->logits, codes ? room->bits : NULL));
    size_t at = (size_t)s->count, n = (size_t)b->n_valid;
    memcpy(s->embeddings + at * (size_t)width, room->embeddings, n * (size_t)width * sizeof(float));
    memcpy(s->logits + at * (size_t)outputs, room->logits, n * (size_t)outputs * sizeof(float));
    if (codes) memcpy(s->bits + at * (size_t)words, room->bits, n * (size_t)words * sizeof(uint64_t));
    memcpy(s->labels + at, b->labels, n * sizeof(int32_t));
    for (size_t i = 0; i < n; i++) s->samples[at + i] = b->ids[i] & 0xffffffff;
    s->count += b->n_valid;
    return BT_OK;
}

/** Stored embeddings, the first view of each item, through the head. */
static bt_status embed_stored(bt_session *session, const bt_loader_options *o, int64_t outputs, bool codes, side *s, side *room) {
    const bt_view_cache *stored = session->stored;
    size_t row = (size_t)stored->width * sizeof(float);
    float *in = bt_memory_zeroed((size_t)o->batch, row);
    bt_status status = in ? BT_OK : BT_ERR_MEMORY;
    for (int64_t at = 0; at < o->count && status == BT_OK; at += o->batch) {
        int64_t n = o->count - at < o->batch ? o->count - at : o->batch;
        for (int64_t i = 0; i < n; i++) {
            memcpy(in + i * stored->width, stored->values + o->samples[at + i] * stored->views * stored->width, row);
            room->labels[i] = o->set->labels[o->samples[at + i]];
        }
        bt_batch b = {.n_valid = n, .images = (const uint8_t *)in, .labels = room->labels, .ids = o->samples + at};
        status = embed_batch(session, &b, outputs, codes, s, room);
    }
    bt_memory_free(in);
    return status;
}

static bt_status embed_all(bt_session *session, const bt_loader_options *options, int64_t outputs, bool codes, side *s) {
    bt_loader *loader = NULL;
    side room = {0};
    bt_status status = make_side(&room, options->batch, session->model->vit.config.width, outputs, (outputs + 63) / 64);
    if (status == BT_OK && session->stored) {
        status = embed_stored(session, options, outputs, codes, s, &room);
        free_side(&room);
        return status;
    }
    if (status == BT_OK) status = bt_loader_new(options, &loader);
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

/** mAP at k: relevant are items of the same label, or that share one. */
static bt_status mean_precision(const side *q, const side *db, const bt_items *qi, const bt_items *di, int words, bt_distance distance, int64_t k, bt_map *out) {
    if (!q->sets) return bt_mean_average_precision(qi, di, distance, k, out);
    bt_relevance relevance = {NULL, NULL, q->sets, db->sets, words};
    bt_score_options o = {.distance = distance, .k = &k, .k_count = 1};
    bt_scores scores;
    BT_TRY(bt_score(qi, di, &relevance, 1, &o, &scores, NULL));
    *out = scores.map;
    return BT_OK;
}

static bt_status score(const side *q, const side *db, int width, int outputs, int words, int64_t k, bt_evaluation *out) {
    bt_items qe = {q->count, width, q->embeddings, NULL, q->labels}, de = {db->count, width, db->embeddings, NULL, db->labels};
    BT_TRY(mean_precision(q, db, &qe, &de, words, BT_COSINE, k, &out->cosine));
    out->queries = q->count;
    out->database = db->count;
    out->k = k;
    if (!out->has_codes) return BT_OK;
    bt_items qc = {q->count, outputs, q->logits, NULL, q->labels}, dc = {db->count, outputs, NULL, db->bits, db->labels};
    BT_TRY(mean_precision(q, db, &qc, &dc, words, BT_ASYMMETRIC, k, &out->asymmetric));
    return mean_precision(q, db, &qc, &dc, words, BT_SYMMETRIC, k, &out->symmetric);
}

/** Sets of labels of a side's samples, where the data set has several for one. */
static bt_status make_sets(const bt_dataset *set, side *s) {
    if (bt_dataset_single(set)) return BT_OK;
    s->sets = bt_memory_alloc((size_t)s->count, (size_t)((set->class_count + 63) / 64) * sizeof(uint64_t));
    if (!s->sets) return BT_ERR_MEMORY;
    bt_dataset_sets(set, s->samples, s->count, s->sets);
    return BT_OK;
}

bt_status bt_evaluate(bt_session *session, const bt_loader_options *options, const bt_split *split, int64_t k, bt_evaluation *out) {
    double start = bt_clock_seconds();
    const bt_model *m = session->model;
    bool codes = m->method->codes;
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
    if (status == BT_OK) status = make_sets(options->set, &query);
    if (status == BT_OK) status = make_sets(options->set, &database);
    if (status == BT_OK) status = score(&query, &database, m->vit.config.width, (int)outputs, (int)((options->set->class_count + 63) / 64), k, out);
    if (!codes && status == BT_OK) out->accuracy = accuracy(&query, outputs);
    out->seconds = bt_clock_seconds() - start;
    free_side(&query);
    free_side(&database);
    return status;
}
