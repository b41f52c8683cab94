/* A trained model from a run's folder or an exported file, to encode with or to export: tower frozen, no data needed.
 */
#ifndef BITTERN_ENCODER_MODEL_OPEN_H
#define BITTERN_ENCODER_MODEL_OPEN_H

#include "encoder/model_info.h"

struct bt_device;

typedef struct bt_model_source {
    const char *path;       /**< a run's folder, or an exported .safetensors file */
    const char *checkpoint; /**< of a run: "last", "best", or the number of a step (bt_checkpoint_find); NULL: "last" */
    const char *base; /**< of an adapter file: the tower's .safetensors, or the run that has it; NULL or "": none */
    int image;        /**< pixels of a side, of a file; 0: as it says. A run has the one it was trained at */
} bt_model_source;

/** Declares the model and fills in its values, f32 as they are in the files (of a run that keeps moving averages,
 * those); products will compute in `compute` once the store is committed. `model` owns memory on success
 * (bt_model_release). BT_ERR_IO, BT_ERR_FORMAT (a tensor is missing or has another shape, a file that says more than it
 * holds), BT_ERR_CONFIG, BT_ERR_UNSUPPORTED, BT_ERR_MEMORY. */
bt_status bt_model_open(const bt_model_source *source, bt_dtype compute, bt_model_info *info,
                        bt_model *model) BT_MUST_CHECK;

/** As bt_model_open, with the store committed to `device`. Values go from the file to the device one tensor at a time,
 * so that no more than the device's copy stays in memory. `crc` is the CRC-32C of all names and f32 values: it tells
 * whether two models are the same. */
bt_status bt_model_load(const bt_model_source *source, bt_dtype compute, struct bt_device *device, bt_model_info *info,
                        bt_model *model, uint32_t *crc) BT_MUST_CHECK;

/** CRC-32C of the tower's values (without adapters and head), before commit: tells whether adapters belong to a tower.
 */
uint32_t bt_model_tower_crc(const bt_model *model);

#endif
