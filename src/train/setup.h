/* What training and evaluation both need: data, model, device, made from a configuration. */
#ifndef BITTERN_TRAIN_SETUP_H
#define BITTERN_TRAIN_SETUP_H

#include "data/loader.h"
#include "data/picture_rule.h"
#include "train/checkpoint.h"
#include "train/run_config.h"
#include "train/session.h"
#include "train/view_cache.h"

typedef struct bt_setup {
    bt_dataset data;
    bt_split split;
    bt_device *device;
    bt_model model;           /**< not committed yet */
    bt_view_cache stored;     /**< embeddings of data.root; values NULL: images */
    bt_preprocess pictures;   /**< of evaluation; `loader` points to it, so a setup stays where it was opened */
    bt_loader_options loader; /**< evaluation and training share it; the sample list is set by its user */
} bt_setup;

/** Declares the model of a configuration, for data with `classes` classes, with its initial values or (`blank`) a tower
 * without: all of them come from files. `out` owns memory on success (bt_model_release). */
bt_status bt_setup_model(bt_model *out, const bt_run_config *config, int classes, bool blank) BT_MUST_CHECK;

/** How a configuration's evaluation makes squares of `image` pixels of its pictures. */
bt_picture_rule bt_setup_pictures(const bt_run_config *config, int image);

/** Opens the data of a configuration. */
bt_status bt_setup_data(bt_dataset *out, const bt_run_config *config) BT_MUST_CHECK;

/** Opens data and device and declares the model with its initial values (those of another run: bt_start_weights). */
bt_status bt_setup_open(bt_setup *out, const bt_run_config *config) BT_MUST_CHECK;
void bt_setup_close(bt_setup *setup);

/** Fills a store that is not committed yet with the tower of `path`: a .safetensors file, or a run's newest checkpoint.
 */
bt_status bt_setup_weights(const char *path, bt_params *store) BT_MUST_CHECK;

/** Fills a store that is not committed yet: the frozen weights of a run and, unless `checkpoint` (a folder) is NULL,
 * the trained ones. */
bt_status bt_setup_load_run(const char *run, const char *checkpoint, bt_params *store) BT_MUST_CHECK;

/** Session options from a configuration. */
bt_session_options bt_setup_session(const bt_run_config *config, bool training);

#endif
