/* Weights that a run begins with: of another run (run.start: all of it; model.weights: its tower) or of a file. */
#ifndef BITTERN_TRAIN_START_H
#define BITTERN_TRAIN_START_H

#include "method/method.h"
#include "train/run_config.h"

/** Before commit: fills the model as run.start or model.weights say, and logs what was taken, what keeps its initial
 * values and what was left in the files. *taken tells whether trained parameters were among it.
 *
 *  run.start       tower, adapters and head, by name; what the other run does not have keeps its initial values
 *  model.weights   the tower, all of it
 *
 *  Both take a run's folder (its newest checkpoint; moving averages if it has them) or the folder of a checkpoint
 *  (RUN/checkpoints/best); model.weights also a .safetensors file. BT_ERR_FORMAT with both shapes where a tensor has
 * another shape; BT_ERR_IO for a path that is none of these. */
bt_status bt_start_weights(const bt_run_config *config, bt_model *model, bool *taken) BT_MUST_CHECK;

#endif
