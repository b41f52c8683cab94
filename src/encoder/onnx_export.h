/* A model as an ONNX graph: the operators and weights of its inference program, without this program. */
#ifndef BITTERN_ENCODER_ONNX_EXPORT_H
#define BITTERN_ENCODER_ONNX_EXPORT_H

#include "encoder/export.h"
#include "formats/onnx.h"

typedef struct bt_onnx_result {
    bt_export_result model; /**< tensors: of the graph; bytes: of all files */
    bool external;          /**< the weights are in OUT.data */
    bt_onnx_beside beside;
    char output[4][16]; /**< names */
    int outputs;
} bt_onnx_result;

/** Writes OUT, in f32, adapters merged as bt_model_export does. Positions are for pictures of the model's size
 * (source->image: another), and constants of the graph. Input "pixels" f32 (N, 3, S, S), normalised, N of any length.
 *
 *   tower alone   "class" (N, width) and "patches" (N, P, width) behind the last norm, patches in raster order; where
 *                 there is a projection, "projection" (N, output) of the class token
 *   with a head   "embedding" (N, width or output), "logits" (N, bits or classes); of codes, "codes" u8 (N,
 * ceil(bits/8)), 8 bits a byte, low bit first, as bittern embed writes them
 *
 * The metadata has the model's description under BT_MODEL_INFO_KEY. `external`: weights in OUT.data in any case; else
 * where OUT would exceed what protocol buffers allow. Errors of bt_model_open, bt_onnx_translate and bt_onnx_write. */
bt_status bt_onnx_export(const bt_model_source *source, bool external, const char *out,
                         bt_onnx_result *result) BT_MUST_CHECK;

#endif
