/* Metrics as lines of JSON, and the comparison of configurations on resume. */
#include "train/metrics.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the file ---- */

/** Rewrites the file without step lines behind `step` and without the scores made after them. */
static bt_status drop_later(const char *path, int64_t step) {
    char *content;
    size_t bytes;
    BT_TRY(bt_file_read(path, (size_t)1 << 30, &content, &bytes));
    bt_text kept = {0};
    for (char *line = content, *end; line < content + bytes; line = end + 1) {
        end = memchr(line, '\n', (size_t)(content + bytes - line));
        if (!end) break; /* a torn last line */
        bt_json *json;
        int64_t at = 0;
        bool keep = bt_json_parse(line, (size_t)(end - line), path, (size_t)(line - content), &json) == BT_OK;
        if (keep) {
            keep =
                bt_json_get_integer(bt_json_root(json), "step", 0, INT64_MAX, &at) == BT_OK && at <= step && step > 0;
            bt_json_free(json);
        }
        if (keep) bt_text_append_bytes(&kept, line, (size_t)(end - line) + 1);
    }
    bt_memory_free(content);
    bt_status status = bt_text_status(&kept);
    if (status == BT_OK) status = bt_file_write(path, bt_text_get(&kept), strlen(bt_text_get(&kept)));
    bt_text_free(&kept);
    return status;
}

bt_status bt_metrics_open(bt_metrics *out, const char *run, int64_t step) {
    char path[1100];
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    if (bt_file_exists(path)) BT_TRY(drop_later(path, step));
    *out = (bt_metrics){.log = NULL};
    BT_TRY(bt_jsonl_open(path, false, &out->log));
    bt_status status = bt_event_file_open(run, step > 0 ? step + 1 : 0, &out->events);
    if (status != BT_OK) bt_metrics_close(out);
    return status;
}

void bt_metrics_close(bt_metrics *metrics) {
    if (metrics->log) bt_jsonl_close(metrics->log);
    bt_event_file_close(metrics->events);
    *metrics = (bt_metrics){.log = NULL};
}

static bt_status append(bt_metrics *metrics, bt_json_writer *w) {
    bt_json_end(w);
    bt_status status = bt_json_finish(w);
    if (status == BT_OK) status = bt_jsonl_append(metrics->log, w->text);
    bt_text_free(w->text);
    return status;
}

/** Rates of groups that have one of their own. */
static void write_rates(bt_json_writer *w, const bt_step_notes *n) {
    static const char *const keys[] = {[BT_GROUP_HEAD] = "lr_head", [BT_GROUP_TOWER] = "lr_tower"};
    for (int g = 0; g < 2; g++)
        if (n->lr_group[g] != n->lr) bt_json_member_number(w, keys[g], n->lr_group[g]);
}

bt_status bt_metrics_step(bt_metrics *metrics, const bt_train_state *state, const bt_step_result *r,
                          const bt_step_notes *n) {
    bt_text line = {0};
    bt_json_writer w = bt_json_write_to(&line, false);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "kind", "step");
    bt_json_member_integer(&w, "step", state->step);
    bt_json_member_integer(&w, "epoch", state->epoch);
    bt_json_member_number(&w, "loss", r->loss);
    for (int i = 0; i < r->terms; i++) bt_json_member_number(&w, r->name[i], (double)r->value[i]);
    bt_json_member_number(&w, "lr", n->lr);
    write_rates(&w, n);
    bt_json_member_number(&w, "views_per_s", n->views_per_s);
    bt_json_member_number(&w, "waiting", n->waiting);
    if (*n->guilty) bt_json_member_string(&w, "slowest_stage", n->guilty);
    BT_TRY(append(metrics, &w));
    bt_event_scalar scalars[BT_MAX_TERMS + 4] = {{"train/loss", r->loss},
                                                 {"train/lr", n->lr},
                                                 {"speed/views_per_s", n->views_per_s},
                                                 {"speed/waiting", n->waiting}};
    char tags[BT_MAX_TERMS][48];
    for (int i = 0; i < r->terms; i++) {
        snprintf(tags[i], sizeof tags[i], "train/%s", r->name[i]);
        scalars[4 + i] = (bt_event_scalar){tags[i], (double)r->value[i]};
    }
    return bt_event_file_append(metrics->events, state->step, scalars, 4 + r->terms);
}

/* ---- scores ---- */

static void write_scores(bt_json_writer *w, const bt_evaluation *e) {
    if (e->has_codes) {
        bt_json_member_number(w, "map_binary", e->asymmetric.papers);
        bt_json_member_number(w, "map_binary_standard", e->asymmetric.standard);
        bt_json_member_number(w, "map_hamming", e->symmetric.papers);
        bt_json_member_number(w, "map_hamming_standard", e->symmetric.standard);
    }
    bt_json_member_number(w, "map_continuous", e->cosine.papers);
    bt_json_member_number(w, "map_continuous_standard", e->cosine.standard);
    if (e->accuracy >= 0) bt_json_member_number(w, "accuracy", e->accuracy);
    bt_json_member_integer(w, "k", e->k);
    bt_json_member_integer(w, "queries", e->queries);
    bt_json_member_integer(w, "database", e->database);
}

bt_status bt_metrics_scores(bt_metrics *metrics, const bt_train_state *state, const bt_evaluation *e, const char *when,
                            double loss) {
    bt_text line = {0};
    bt_json_writer w = bt_json_write_to(&line, false);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "kind", "scores");
    bt_json_member_string(&w, "when", when);
    bt_json_member_integer(&w, "step", state->step);
    write_scores(&w, e);
    if (!isnan(loss)) bt_json_member_number(&w, "loss", loss);
    BT_TRY(append(metrics, &w));
    bt_event_scalar scalars[3] = {{"scores/map_continuous", e->cosine.papers}};
    int count = 1;
    if (e->has_codes) scalars[count++] = (bt_event_scalar){"scores/map_binary", e->asymmetric.papers};
    if (e->accuracy >= 0) scalars[count++] = (bt_event_scalar){"scores/accuracy", e->accuracy};
    return bt_event_file_append(metrics->events, state->step, scalars, count);
}

double bt_evaluation_score(const bt_evaluation *e, const char *key) {
    if (strcmp(key, "map_binary") == 0) return e->has_codes ? e->asymmetric.papers : NAN;
    if (strcmp(key, "map_continuous") == 0) return e->cosine.papers;
    return strcmp(key, "accuracy") == 0 && e->accuracy >= 0 ? e->accuracy : NAN;
}

static void describe(const bt_evaluation *e, char *text, size_t bytes) {
    snprintf(text, bytes, "mAP@%lld continuous %.4f", (long long)e->k, e->cosine.papers);
    size_t at = strlen(text);
    if (e->has_codes)
        snprintf(text + at, bytes - at, ", binary %.4f (symmetric Hamming %.4f)", e->asymmetric.papers,
                 e->symmetric.papers);
    at = strlen(text);
    if (e->accuracy >= 0) snprintf(text + at, bytes - at, ", accuracy %.4f", e->accuracy);
}

void bt_evaluation_log(const bt_evaluation *e, const char *when) {
    char text[256];
    describe(e, text, sizeof text);
    bt_log_info("scores %s: %s; %lld queries, %lld items, %.1f s", when, text, (long long)e->queries,
                (long long)e->database, e->seconds);
}

/* ---- configurations ---- */

/** Settings that do not change the numbers of a run, or not those of a run that has begun. */
static bool may_change(const char *key) {
    static const char *const free_keys[] = {"run.dir",
                                            "run.log_every",
                                            "run.checkpoint_every",
                                            "run.keep",
                                            "data.loader_threads",
                                            "data.ahead",
                                            "data.cache_mb",
                                            "run.best",
                                            "run.start",
                                            "model.weights",
                                            "train.patience"};
    if (strncmp(key, "eval.", 5) == 0) return true;
    for (size_t i = 0; i < sizeof free_keys / sizeof free_keys[0]; i++)
        if (strcmp(key, free_keys[i]) == 0) return true;
    return false;
}

static void value_text(const bt_json_value *v, char *text, size_t bytes) {
    if (!v)
        snprintf(text, bytes, "nothing");
    else if (v->type == BT_JSON_STRING)
        snprintf(text, bytes, "\"%s\"", v->as.string);
    else if (v->type == BT_JSON_INTEGER)
        snprintf(text, bytes, "%lld", (long long)v->as.integer);
    else if (v->type == BT_JSON_NUMBER)
        snprintf(text, bytes, "%.9g", v->as.number);
    else
        snprintf(text, bytes, "%s",
                 v->type == BT_JSON_BOOL ? (v->as.boolean ? "true" : "false") : bt_json_type_name(v->type));
}

/** As texts; strings to their ends, which a message may not show. */
static bool same_value(const bt_json_value *a, const bt_json_value *b) {
    char left[64], right[64];
    if (a && b && a->type == BT_JSON_STRING && b->type == BT_JSON_STRING)
        return strcmp(a->as.string, b->as.string) == 0;
    value_text(a, left, sizeof left);
    value_text(b, right, sizeof right);
    return strcmp(left, right) == 0;
}

bt_status bt_config_compare(const char *where, const char *saved, const char *now, const char *defaults) {
    bt_json *a = NULL, *b = NULL, *d = NULL;
    bt_status status = bt_json_parse(saved, strlen(saved), where, 0, &a);
    if (status == BT_OK) status = bt_json_parse(now, strlen(now), "the configuration", 0, &b);
    if (status == BT_OK) status = bt_json_parse(defaults, strlen(defaults), "the defaults", 0, &d);
    for (size_t i = 0; status == BT_OK && i < bt_json_root(b)->count; i++) {
        const bt_json_value *v = &bt_json_root(b)->as.member[i], *old = bt_json_find(bt_json_root(a), v->key);
        char was[1024], is[1024];
        if (!old) old = bt_json_find(bt_json_root(d), v->key);
        if (same_value(old, v) || may_change(v->key)) continue;
        value_text(old, was, sizeof was);
        value_text(v, is, sizeof is);
        status = bt_error(BT_ERR_CONFIG,
                          "resume: %s was %s in %s and is %s now; restore it, or start a new run in another run.dir",
                          v->key, was, where, is);
    }
    bt_json_free(a);
    bt_json_free(b);
    bt_json_free(d);
    return status;
}
