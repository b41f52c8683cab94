/* A training run: from a configuration to weights and scores in a run directory. */
#ifndef BITTERN_TRAIN_TRAINER_H
#define BITTERN_TRAIN_TRAINER_H

#include "train/run_scores.h"

#include <bittern/status.h>

/** What came of a run. */
typedef struct bt_train_summary {
    int64_t steps, epochs; /**< that the run has made, over all its starts; epochs: whole ones */
    bool stopped;          /**< early: train.patience */
    const char *best_by;   /**< key of the score that makes a checkpoint the best ("map_binary") */
    int64_t best_step;     /**< -1: there are no scores */
    double best;
    double loss;    /**< of the last step; NaN if the run has made none */
    double seconds; /**< of training up to the last checkpoint, over all its starts */
    bool scored;    /**< eval.batch is not 0: */
    bt_run_scores scores;
} bt_train_summary;

typedef struct bt_train_options {
    bool resume; /**< continue from the newest checkpoint; BT_ERR_CONFIG if the configuration differs */
    const char
        *config; /**< the resolved configuration (bt_run_config_json), kept with checkpoints and compared on resume */
    const char *yaml; /**< the same with origins (bt_options_dump): RUN/config.yaml, which bittern eval reads */
    bt_train_summary *summary; /**< NULL, or filled where bt_train succeeds; its scores are then the caller's to free */
} bt_train_options;

/** Trains, evaluates, writes. BT_ERR_INTERRUPTED after SIGINT or SIGTERM, with the state saved; BT_ERR_NUMERIC with
 * step and values when the loss is not finite. */
bt_status bt_train(const bt_run_config *config, const bt_train_options *options) BT_MUST_CHECK;

#endif
