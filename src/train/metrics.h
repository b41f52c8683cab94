/* Metrics of a run: RUN/metrics.jsonl, one object a line, kind "step" or "scores"; and the same numbers as a
 * TensorBoard event file. */
#ifndef BITTERN_TRAIN_METRICS_H
#define BITTERN_TRAIN_METRICS_H

#include "formats/event_file.h"
#include "formats/json.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"

typedef struct bt_metrics {
    bt_jsonl *log;
    bt_event_file *events;
} bt_metrics;

/** Opens for appending; lines of steps behind `step` are dropped: a resumed run writes them again. At step 0 all are:
 * nothing was saved that they belong to. The event file is a new one. */
bt_status bt_metrics_open(bt_metrics *out, const char *run, int64_t step) BT_MUST_CHECK;
void bt_metrics_close(bt_metrics *metrics);

/** What a step's line tells beside its losses. */
typedef struct bt_step_notes {
    double lr;                  /**< of optim.lr */
    double lr_group[BT_GROUPS]; /**< of the groups; written where it differs */
    double views_per_s,
        waiting; /**< waiting: share of the time in which the device waited for the loader or for images to be copied */
    const char *guilty; /**< the loader's slowest stage */
} bt_step_notes;

bt_status bt_metrics_step(bt_metrics *metrics, const bt_train_state *state, const bt_step_result *result,
                          const bt_step_notes *notes) BT_MUST_CHECK;

/** `when`: "before", "epoch", "after". `loss` is the mean over the steps since the last scores; NaN is not written. */
bt_status bt_metrics_scores(bt_metrics *metrics, const bt_train_state *state, const bt_evaluation *e, const char *when,
                            double loss) BT_MUST_CHECK;

/** One log line; `when` as "before training". */
void bt_evaluation_log(const bt_evaluation *e, const char *when);

/** A score by its key in metrics.jsonl; NaN if the evaluation has none of that name. */
double bt_evaluation_score(const bt_evaluation *e, const char *key);

/** BT_ERR_CONFIG naming the first keys that differ between two resolved configurations (JSON objects of "section.key"),
 * but for those that may change on resume: log, checkpoint and loader settings. A key that `saved` lacks was not an
 * option yet when the run was saved; it did then what the option's default does (`defaults`, of the same form). */
bt_status bt_config_compare(const char *where, const char *saved, const char *now, const char *defaults) BT_MUST_CHECK;

#endif
