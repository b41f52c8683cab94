/* Adapters in the files of peft (adapter_config.json, adapter_model.safetensors), for towers of timm and of
 * transformers.
 *
 * Ours are one adapter for all of qkv, or one of rank r for each of q, k, v. Libraries with a fused qkv (timm, the hub)
 * have one adapter for it, those with query, key and value apart (transformers) three.
 *
 *   ours         written for     as
 *   q, k, v      transformers    they are
 *   qkv          timm, hub       it is
 *   qkv          transformers    the same A for each, a third of B: rank r
 *   P of q, k, v timm, hub       A stacked, B with a block for each part and zeros elsewhere: rank P r, alpha P alpha,
 * so that alpha / rank stays
 *
 * Read are timm's as qkv, transformers' as q, k, v. Gate and up of SwiGLU, where a library keeps them apart, are halves
 * of our fc1: one adapter with the same A for both, or, where each has its own, one of rank 2 r with A stacked, alpha
 * doubled, and zeros beside the other targets' matrices.
 *
 * For transformers each adapter is written under the published name of its layer and under the one that the modules of
 * later versions have, since peft finds modules by name; peft loads those that the model has. Read are both; where
 * both are there, they must be equal.
 */
#ifndef BITTERN_IMPORT_PEFT_H
#define BITTERN_IMPORT_PEFT_H

#include "formats/weights.h"
#include "import/names.h"
#include "import/peft_layers.h"

/** The adapter of one layer of one block. */
typedef struct bt_peft_pair {
    int block;
    uint32_t target; /**< one bit of bt_lora_target */
    bt_peft_share share;
    bool doubled; /**< a half whose whole is there too */
    const bt_weight *a, *b;
} bt_peft_pair;

typedef struct bt_peft {
    bt_lora_config lora; /**< targets; alpha such that alpha / rank is the scale (use_rslora included) */
    int depth;           /**< blocks that have adapters: 0 .. depth-1, all alike */
    bool stacked;        /**< gate and up have an A each: lora.rank is twice the file's */
    bt_peft_pair *pair;
    int pairs;
    bt_weights *weights;
} bt_peft;

/** Opens a folder that peft saved. BT_ERR_FORMAT for what is no adapter of such a tower, BT_ERR_UNSUPPORTED for DoRA,
 * trained biases and ranks that differ between layers; each by name. */
bt_status bt_peft_open(const char *folder, bt_peft *out) BT_MUST_CHECK;
void bt_peft_close(bt_peft *peft);

/** Copies the adapters into a tower that was declared with peft->lora. BT_ERR_FORMAT for another shape or depth. */
bt_status bt_peft_fill(const bt_peft *peft, const bt_vit *vit, bt_params *store) BT_MUST_CHECK;

/** Writes a tower's adapters as a folder that peft loads. `form`: BT_FORM_TIMM, BT_FORM_HUB or BT_FORM_TRANSFORMERS. */
bt_status bt_peft_write(const bt_vit *vit, bt_params *store, const bt_lora_config *lora, bt_export_form form,
                        const char *folder) BT_MUST_CHECK;

#endif
