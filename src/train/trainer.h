/* A training run: from a configuration to weights and scores in a run directory. */
#ifndef BITTERN_TRAIN_TRAINER_H
#define BITTERN_TRAIN_TRAINER_H

#include "train/run_config.h"

#include <bittern/status.h>

typedef struct bt_train_options {
    bool resume;        /**< continue from the newest checkpoint; BT_ERR_CONFIG if the configuration differs */
    const char *config; /**< the resolved configuration (bt_run_config_json), kept with checkpoints and compared on resume */
    const char *yaml;   /**< the same with origins (bt_options_dump): RUN/config.yaml, which bittern eval reads */
} bt_train_options;

/** Trains, evaluates, writes. BT_ERR_INTERRUPTED after SIGINT or SIGTERM, with the state saved; BT_ERR_NUMERIC with step and values when
 *  the loss is not finite. */
bt_status bt_train(const bt_run_config *config, const bt_train_options *options) BT_MUST_CHECK;

#endif
