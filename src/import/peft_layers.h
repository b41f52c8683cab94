/* Names of the layers that peft adapts, in timm, the hub and transformers. */
#ifndef BITTERN_IMPORT_PEFT_LAYERS_H
#define BITTERN_IMPORT_PEFT_LAYERS_H

#include "nn/vit.h"

/** Which outputs of our layer a library's layer has. Gate and up are the halves of a gated fc1 (SwiGLU) where the
 * library keeps them apart; up_proj of an MLP without gate is all of fc1. */
typedef enum bt_peft_share { BT_PEFT_WHOLE, BT_PEFT_GATE, BT_PEFT_UP } bt_peft_share;

/** The layer that a path ends with: "base_model.model.blocks.3.attn.qkv" is block 3, BT_LORA_QKV. False if it is none,
 * or one of a text tower. */
bool bt_peft_layer_of(const char *path, int *block, uint32_t *target, bt_peft_share *share);

/** Published names of transformers are those of its files, which its modules had too until they were renamed in the
 * course of 5.x: peft looks for modules. Fills in the other names of a published one, and what they have of it;
 * returns their number, 0 to 2. */
int bt_peft_later_names(const bt_vit_config *config, const char *published, char name[2][256], bt_peft_share share[2]);

#endif
