/* Tables of layers; see peft_layers.h. Modules of transformers as in 4.57 and 5.24. */
#include "import/peft_layers.h"

#include "import/families.h"

#include <string.h>

static const struct {
    const char *layer;
    uint32_t target;
    bt_peft_share share;
} layers[] = {
    {"blocks.#.attn.qkv", BT_LORA_QKV, BT_PEFT_WHOLE},
    {"blocks.#.attn.proj", BT_LORA_PROJ, BT_PEFT_WHOLE},
    {"blocks.#.mlp.fc1", BT_LORA_FC1, BT_PEFT_WHOLE},
    {"blocks.#.mlp.w12", BT_LORA_FC1, BT_PEFT_WHOLE},
    {"blocks.#.mlp.fc2", BT_LORA_FC2, BT_PEFT_WHOLE},
    {"blocks.#.mlp.w3", BT_LORA_FC2, BT_PEFT_WHOLE},
    {"encoder.layer.#.attention.attention.query", BT_LORA_Q, BT_PEFT_WHOLE},
    {"encoder.layer.#.attention.attention.key", BT_LORA_K, BT_PEFT_WHOLE},
    {"encoder.layer.#.attention.attention.value", BT_LORA_V, BT_PEFT_WHOLE},
    {"encoder.layer.#.attention.output.dense", BT_LORA_PROJ, BT_PEFT_WHOLE},
    {"encoder.layer.#.mlp.fc1", BT_LORA_FC1, BT_PEFT_WHOLE},
    {"encoder.layer.#.mlp.weights_in", BT_LORA_FC1, BT_PEFT_WHOLE},
    {"encoder.layer.#.intermediate.dense", BT_LORA_FC1, BT_PEFT_WHOLE},
    {"encoder.layer.#.mlp.fc2", BT_LORA_FC2, BT_PEFT_WHOLE},
    {"encoder.layer.#.mlp.weights_out", BT_LORA_FC2, BT_PEFT_WHOLE},
    {"encoder.layer.#.output.dense", BT_LORA_FC2, BT_PEFT_WHOLE},
    /* DINOv3, and DINOv2 as renamed */
    {"layer.#.attention.q_proj", BT_LORA_Q, BT_PEFT_WHOLE},
    {"layer.#.attention.k_proj", BT_LORA_K, BT_PEFT_WHOLE},
    {"layer.#.attention.v_proj", BT_LORA_V, BT_PEFT_WHOLE},
    {"layer.#.attention.o_proj", BT_LORA_PROJ, BT_PEFT_WHOLE},
    {"layer.#.mlp.gate_proj", BT_LORA_FC1, BT_PEFT_GATE},
    {"layer.#.mlp.up_proj", BT_LORA_FC1, BT_PEFT_UP},
    {"layer.#.mlp.down_proj", BT_LORA_FC2, BT_PEFT_WHOLE},
    /* ViT as renamed */
    {"layers.#.attention.q_proj", BT_LORA_Q, BT_PEFT_WHOLE},
    {"layers.#.attention.k_proj", BT_LORA_K, BT_PEFT_WHOLE},
    {"layers.#.attention.v_proj", BT_LORA_V, BT_PEFT_WHOLE},
    {"layers.#.attention.o_proj", BT_LORA_PROJ, BT_PEFT_WHOLE},
    {"layers.#.mlp.fc1", BT_LORA_FC1, BT_PEFT_WHOLE},
    {"layers.#.mlp.fc2", BT_LORA_FC2, BT_PEFT_WHOLE},
    /* CLIP; its MLP is named like that of ViT */
    {"encoder.layers.#.self_attn.q_proj", BT_LORA_Q, BT_PEFT_WHOLE},
    {"encoder.layers.#.self_attn.k_proj", BT_LORA_K, BT_PEFT_WHOLE},
    {"encoder.layers.#.self_attn.v_proj", BT_LORA_V, BT_PEFT_WHOLE},
    {"encoder.layers.#.self_attn.out_proj", BT_LORA_PROJ, BT_PEFT_WHOLE},
};

bool bt_peft_layer_of(const char *path, int *block, uint32_t *target, bt_peft_share *share) {
    const char *rest;
    if (strstr(path, "text_model.")) return false; /* CLIP's two towers have layers of the same names */
    for (const char *at = path; at; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL)
        for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
            if (bt_import_match(layers[i].layer, at, block, &rest)) {
                *target = layers[i].target;
                *share = layers[i].share;
                return true;
            }
    return false;
}

/* ---- names of later versions ---- */

typedef enum family { DINOV2, VIT, DINOV3, CLIP_ALONE, CLIP } family;

static const struct {
    family family;
    const char *published, *later;
    bt_peft_share share;
} renamed[] = {
    {DINOV2, "encoder.layer.#.attention.attention.query", "encoder.layer.#.attention.q_proj", BT_PEFT_WHOLE},
    {DINOV2, "encoder.layer.#.attention.attention.key", "encoder.layer.#.attention.k_proj", BT_PEFT_WHOLE},
    {DINOV2, "encoder.layer.#.attention.attention.value", "encoder.layer.#.attention.v_proj", BT_PEFT_WHOLE},
    {DINOV2, "encoder.layer.#.attention.output.dense", "encoder.layer.#.attention.o_proj", BT_PEFT_WHOLE},
    {DINOV2, "encoder.layer.#.mlp.weights_in", "encoder.layer.#.mlp.gate_proj", BT_PEFT_GATE},
    {DINOV2, "encoder.layer.#.mlp.weights_in", "encoder.layer.#.mlp.up_proj", BT_PEFT_UP},
    {DINOV2, "encoder.layer.#.mlp.weights_out", "encoder.layer.#.mlp.down_proj", BT_PEFT_WHOLE},
    {VIT, "encoder.layer.#.attention.attention.query", "layers.#.attention.q_proj", BT_PEFT_WHOLE},
    {VIT, "encoder.layer.#.attention.attention.key", "layers.#.attention.k_proj", BT_PEFT_WHOLE},
    {VIT, "encoder.layer.#.attention.attention.value", "layers.#.attention.v_proj", BT_PEFT_WHOLE},
    {VIT, "encoder.layer.#.attention.output.dense", "layers.#.attention.o_proj", BT_PEFT_WHOLE},
    {VIT, "encoder.layer.#.intermediate.dense", "layers.#.mlp.fc1", BT_PEFT_WHOLE},
    {VIT, "encoder.layer.#.output.dense", "layers.#.mlp.fc2", BT_PEFT_WHOLE},
    {DINOV3, "layer.#.*", "model.layer.#.*", BT_PEFT_WHOLE},
    {CLIP_ALONE, "vision_model.encoder.layers.#.*", "encoder.layers.#.*", BT_PEFT_WHOLE},
};

/** Towers with a projection are CLIPVisionModelWithProjection, whose modules kept their names. */
static family family_of(const bt_vit_config *c) {
    if (c->positions == BT_VIT_ROTARY) return DINOV3;
    if (c->pre_norm) return c->output ? CLIP : CLIP_ALONE;
    return c->layer_scale ? DINOV2 : VIT;
}

int bt_peft_later_names(const bt_vit_config *config, const char *published, char name[2][256], bt_peft_share share[2]) {
    family f = family_of(config);
    int count = 0, block;
    const char *rest;
    for (size_t i = 0; i < sizeof renamed / sizeof renamed[0] && count < 2; i++) {
        if (renamed[i].family != f || !bt_import_match(renamed[i].published, published, &block, &rest)) continue;
        bt_import_fill(renamed[i].later, block, rest, name[count], 256);
        share[count++] = renamed[i].share;
    }
    return count;
}
