/* One file from a run: all tensors with the adapters merged, or adapters and head alone. */
#ifndef BITTERN_ENCODER_EXPORT_H
#define BITTERN_ENCODER_EXPORT_H

#include "encoder/model_open.h"

typedef struct bt_export_result {
    bt_model_info info;
    int64_t tensors, merged; /**< written; adapters merged into their layers */
    double bytes;
} bt_export_result;

/** Writes safetensors in f32, names as timm's ("blocks.0.attn.qkv.weight", ...) and torch.nn.Sequential's for the head, with the
 *  model's description in the metadata. A merged weight is W + alpha/R B A, W as in the source file, the product summed in f64 and
 *  the result rounded once. With `adapters`: those and the head alone. The source may be an exported file with its base.
 *  BT_ERR_CONFIG if the tower itself was trained and `adapters` is asked for; errors of bt_model_open and bt_safetensors_write. */
bt_status bt_model_export(const bt_model_source *source, bool adapters, const char *out, bt_export_result *result) BT_MUST_CHECK;

#endif
