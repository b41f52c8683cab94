/* Metrics of a run: RUN/metrics.jsonl, one object a line, kind "step" or "scores"; and the same numbers as a TensorBoard event file. */
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

/** Opens for appending; lines of steps behind `step` are dropped: a resumed run writes them again. The event file is a new one. */
bt_status bt_metrics_open(bt_metrics *out, const char *run, int64_t step) BT_MUST_CHECK;
void bt_metrics_close(bt_metrics *metrics);

bt_status bt_metrics_step(bt_metrics *metrics, const bt_train_state *state, const bt_step_result *result, double lr, double views_per_s,
                          double waiting) BT_MUST_CHECK;
bt_status bt_metrics_scores(bt_metrics *metrics, const bt_train_state *state, const bt_evaluation *e, const char *when) BT_MUST_CHECK;

/** One log line. */
void bt_evaluation_log(const bt_evaluation *e, const char *when);
/** To stdout, as lines or as one JSON object. */
bt_status bt_evaluation_print(const bt_evaluation *e, bool json) BT_MUST_CHECK;

/** BT_ERR_CONFIG naming the first keys that differ between two resolved configurations (JSON objects of "section.key"), but for those that
 *  may change on resume: log, checkpoint and loader settings. */
bt_status bt_config_compare(const char *where, const char *saved, const char *now) BT_MUST_CHECK;

#endif
