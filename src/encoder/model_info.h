/* What a model is, apart from its tensors: architecture, head, adapters, preprocessing. An exported file carries it as
 * JSON under the key "bittern" of its metadata, so that one file is enough to encode pictures:
 *
 *   {"version": 2, "kind": "model" or "adapter", "bittern": "0.1.0", "step": 1200,
 *    "tower":      as nn/vit_json.h has it,
 *    "preprocess": {as data/picture_rule.h has it, "mean": [..3], "std": [..3], "orientation": "apply"},
 *    "method":     {"name": "crovca", "bits": 32, "head": "small", "classes": 0},
 *    "adapter":    {"targets": "q,v", "rank": 16, "alpha": 16, "tower_crc32c": 1234}}
 *
 * Without "orientation" EXIF's is ignored; "adapter" is there in files of that kind only. The version is 3 where
 * pictures are not resized by their shorter side, or their centre is not torchvision's: a reader of version 2 would not
 * heed it.
 */
#ifndef BITTERN_ENCODER_MODEL_INFO_H
#define BITTERN_ENCODER_MODEL_INFO_H

#include "data/picture_rule.h"
#include "formats/json.h"
#include "method/method.h"

#include <bittern/image.h>

#define BT_MODEL_INFO_KEY "bittern" /**< of the metadata */

typedef struct bt_model_info {
    char tower[64]; /**< name of the architecture, or "custom" */
    bt_vit_config vit;
    const bt_method *method;
    bt_method_config config; /**< bits, head, classes; the rest does not matter behind training */
    char targets[64];        /**< of adapters that are apart; "none" where there are none or they are merged */
    bt_lora_config lora;
    bt_picture_rule pictures;   /**< how they become squares of vit.image */
    bt_orientation orientation; /**< of picture files */
    int64_t step;               /**< of training; 0: not known */
    bool adapter_file;          /**< the file has adapters and head, and needs the tower from elsewhere */
    uint32_t tower_crc;         /**< of the tower's f32 values that belong to an adapter file (bt_model_tower_crc) */
} bt_model_info;

/** Bits of a code; 0 for methods without codes. */
int bt_model_bits(const bt_model_info *info);

/** Of a method with codes: "small", "large", "small without norm", "large without norm". */
const char *bt_model_head(const bt_model_info *info);

/** Columns of the logits: bits or classes. */
int bt_model_outputs(const bt_model_info *info);

/** How pictures become what the tower takes, values too. */
bt_preprocess bt_model_preprocess(const bt_model_info *info);

/** Appends the JSON. `adapters`: for an adapter file, else for a model without any. */
bt_status bt_model_info_write(const bt_model_info *info, bool adapters, bt_text *out) BT_MUST_CHECK;

/** Reads and checks the JSON. `name` heads the messages. BT_ERR_FORMAT, BT_ERR_CONFIG (sizes that do not fit together),
 *  BT_ERR_UNSUPPORTED (a version or an interpolation that this program does not know). */
bt_status bt_model_info_read(const char *json, const char *name, bt_model_info *out) BT_MUST_CHECK;

/** Elements of all tensors of such a model, at least: what a file must hold before memory is asked for on its word. */
double bt_model_info_elements(const bt_model_info *info);

#endif
