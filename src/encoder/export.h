/* One file from a run: all tensors with the adapters merged, or adapters and head alone. */
#ifndef BITTERN_ENCODER_EXPORT_H
#define BITTERN_ENCODER_EXPORT_H

#include "encoder/model_open.h"
#include "import/import.h"
#include "import/names.h"

typedef struct bt_export_result {
    bt_model_info info;
    int64_t tensors, merged; /**< written; adapters merged into their layers */
    double bytes;
} bt_export_result;

/** Writes safetensors in f32, names as timm's ("blocks.0.attn.qkv.weight", ...) and torch.nn.Sequential's for the head,
 * with the model's description in the metadata. A merged weight is W + alpha/R B A, W as in the source file, the
 * product summed in f64 and the result rounded once. With `adapters`: those and the head alone. The source may be an
 * exported file with its base. With `form` other than BT_FORM_BITTERN the tower alone is written, under the names and
 * in the shapes of that library, without a description. BT_ERR_CONFIG if the tower itself was trained and `adapters` is
 * asked for; errors of bt_model_open and bt_safetensors_write. */
bt_status bt_model_export(const bt_model_source *source, bool adapters, bt_export_form form, const char *out,
                          bt_export_result *result) BT_MUST_CHECK;

/** Adds the adapters of a model that is not committed to the weights of their layers, which have none from then on;
 * adds how many to `merged`. BT_ERR_MEMORY. */
bt_status bt_model_merge(bt_model *model, int64_t *merged) BT_MUST_CHECK;

/** Writes what result->info describes: all tensors, or adapters and head; counts them into `result`. */
bt_status bt_model_write(const bt_model *model, bool adapters, const char *out, bt_export_result *result) BT_MUST_CHECK;

/** Writes a tower without a head, as bittern import makes them: all tensors in f32, kind "model", method "features". */
bt_status bt_tower_write(const bt_import_result *tower, const char *out) BT_MUST_CHECK;

#endif
