/* Labels and splits of stored embeddings, as a data set. */
#ifndef BITTERN_TRAIN_STORED_DATA_H
#define BITTERN_TRAIN_STORED_DATA_H

#include "data/dataset.h"
#include "train/run_config.h"

/** Reads data.label and data.split for `items` stored embeddings, or for as many as there are labels where that is
 * below 0. BT_ERR_SHAPE for another number, BT_ERR_FORMAT for values that are no labels or splits. */
bt_status bt_stored_data(const bt_run_config *config, int64_t items, bt_dataset *out) BT_MUST_CHECK;

#endif
