/* A vision transformer's architecture as JSON, as files describe it:
 *
 *   {"name": "custom", "image": 224, "patch": 14, "width": 384, "depth": 12, "heads": 6, "mlp": 1536, "registers": 0,
 * "output": 0, "activation": "gelu", "positions": "learned", "grid": 37, "resampling": "hub", "rope_theta": 100,
 * "layer_scale": true, "pre_norm": false, "patch_bias": true, "qkv_bias": true, "norm_eps": 1e-6}
 */
#ifndef BITTERN_NN_VIT_JSON_H
#define BITTERN_NN_VIT_JSON_H

#include "formats/json.h"
#include "nn/vit.h"

/** Writes the object. Mean and deviation are not part of it. */
void bt_vit_write_json(const bt_vit_config *config, const char *name, bt_json_writer *w);

/** Reads and checks the object: every member must be there. Other fields of `out` (mean, std) stay. BT_ERR_FORMAT with
 * the place, BT_ERR_CONFIG for sizes that do not fit together. */
bt_status bt_vit_read_json(const bt_json_value *object, bt_vit_config *out, char *name,
                           size_t name_bytes) BT_MUST_CHECK;

#endif
