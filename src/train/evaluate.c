/* Scores of a model on a split. */
#include "train/evaluate.h"

#include "base/memory.h"
#include "base/thread.h"
#include "train/embedded.h"

/** Queries or database: what the model made of them, and their labels. */
typedef struct side {
    bt_embedded made;
    int32_t *labels;
    uint64_t *sets; /* where samples have several labels: (count, words of the classes); else NULL */
} side;

static void free_side(side *s) {
    bt_embedded_free(&s->made);
    bt_memory_free(s->labels);
    bt_memory_free(s->sets);
}

static bt_status set_labels(side *s, const bt_dataset *set) {
    size_t count = (size_t)s->made.count, words = (size_t)(set->class_count + 63) / 64;
    s->labels = bt_memory_alloc(count, sizeof *s->labels);
    if (!s->labels) return BT_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) s->labels[i] = set->labels[s->made.samples[i]];
    if (bt_dataset_single(set)) return BT_OK;
    s->sets = bt_memory_alloc(count, words * sizeof *s->sets);
    if (!s->sets) return BT_ERR_MEMORY;
    bt_dataset_sets(set, s->made.samples, s->made.count, s->sets);
    return BT_OK;
}

/** mAP at k: relevant are items of the same label, or that share one. */
static bt_status mean_precision(const side *q, const side *db, const bt_items *qi, const bt_items *di, int words,
                                bt_distance distance, int64_t k, bt_map *out) {
    if (!q->sets) return bt_mean_average_precision(qi, di, distance, k, out);
    bt_relevance relevance = {NULL, NULL, q->sets, db->sets, words};
    bt_score_options o = {.distance = distance, .k = &k, .k_count = 1};
    bt_scores scores;
    BT_TRY(bt_score(qi, di, &relevance, 1, &o, &scores, NULL));
    *out = scores.map;
    return BT_OK;
}

static bt_status score(const side *q, const side *db, int words, int64_t k, bt_evaluation *out) {
    const bt_embedded *qm = &q->made, *dm = &db->made;
    bt_items qe = {qm->count, qm->width, qm->embeddings, NULL, q->labels},
             de = {dm->count, dm->width, dm->embeddings, NULL, db->labels};
    BT_TRY(mean_precision(q, db, &qe, &de, words, BT_COSINE, k, &out->cosine));
    out->queries = qm->count;
    out->database = dm->count;
    out->k = k;
    if (!out->has_codes) return BT_OK;
    bt_items qc = {qm->count, qm->outputs, qm->logits, NULL, q->labels},
             dc = {dm->count, dm->outputs, NULL, dm->codes, db->labels};
    BT_TRY(mean_precision(q, db, &qc, &dc, words, BT_ASYMMETRIC, k, &out->asymmetric));
    return mean_precision(q, db, &qc, &dc, words, BT_SYMMETRIC, k, &out->symmetric);
}

static bt_status evaluate(bt_session *session, const bt_loader_options *loader, const bt_split *split, int64_t k,
                          side *query, side *database, bt_evaluation *out) {
    bt_embedded_options o = {.loader = loader, .logits = true};
    BT_TRY(bt_embedded_make(session, &o, split->query, split->query_count, &query->made));
    BT_TRY(set_labels(query, loader->set));
    o.logits = false;
    o.codes = out->has_codes;
    BT_TRY(bt_embedded_make(session, &o, split->database, split->database_count, &database->made));
    BT_TRY(set_labels(database, loader->set));
    if (!out->has_codes) out->accuracy = bt_embedded_accuracy(&query->made, loader->set->labels);
    return score(query, database, (int)((loader->set->class_count + 63) / 64), k, out);
}

bt_status bt_evaluate(bt_session *session, const bt_loader_options *loader, const bt_split *split, int64_t k,
                      bt_embedded_split *keep, bt_evaluation *out) {
    double start = bt_clock_seconds();
    side query = {.labels = NULL}, database = {.labels = NULL};
    *out = (bt_evaluation){.has_codes = session->model->method->codes, .accuracy = -1};
    bt_status status = evaluate(session, loader, split, k, &query, &database, out);
    out->seconds = bt_clock_seconds() - start;
    if (keep && status == BT_OK) {
        keep->query = query.made;
        keep->database = database.made;
        query.made = database.made = (bt_embedded){.count = 0};
    }
    free_side(&query);
    free_side(&database);
    return status;
}
