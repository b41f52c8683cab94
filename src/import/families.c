/* Tables of the published forms; see families.h. Names: hub and training checkpoints of DINOv2
 * (facebookresearch/dinov2), timm, transformers, open_clip and OpenAI's CLIP, torchvision. */
#include "import/families.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONE(to, from)                                                                                                  \
    { to, {from, NULL, NULL}, BT_IMPORT_COPY }
#define END                                                                                                            \
    { NULL, {NULL, NULL, NULL}, BT_IMPORT_COPY }

/* ---- DINOv2 as its authors publish it, SimDINOv2 ---- */

static const bt_import_rule hub[] = {
    ONE("reg_token", "register_tokens"),
    ONE("blocks.#.mlp.fc1.*", "blocks.#.mlp.w12.*"),
    ONE("blocks.#.mlp.fc2.*", "blocks.#.mlp.w3.*"),
    ONE("*", "*"),
    END,
};
static const bt_import_left hub_left[] = {
    {"mask_token", "stands for masked patches in pretraining"},
    {"dino_head.", "head of the pretraining"},
    {"ibot_head.", "head of the pretraining"},
    {"head.", "classifier"},
    {"linear_head.", "classifier"},
    {NULL, NULL},
};

/* ---- timm ---- */

static const bt_import_rule timm[] = {
    ONE("blocks.#.ls1.gamma", "blocks.#.gamma_1"),
    ONE("blocks.#.ls2.gamma", "blocks.#.gamma_2"),
    ONE("projection.weight", "head.weight"),
    ONE("*", "*"),
    END,
};
static const bt_import_left timm_left[] = {
    {"mask_token", "stands for masked patches in pretraining"},
    {"head.", "classifier, or the zeros that timm has as bias of CLIP's projection"},
    {NULL, NULL},
};
/** open_clip with a tower of timm. */
static const bt_import_rule trunk[] = {
    ONE("projection.weight", "visual.head.proj.weight"),
    ONE("*", "visual.trunk.*"),
    END,
};

/* ---- transformers: Dinov2Model, Dinov2WithRegistersModel, ViTModel ---- */

#define HF_ATTENTION(part) "encoder.layer.#.attention.attention." part ".*"
static const bt_import_rule transformers[] = {
    ONE("cls_token", "embeddings.cls_token"),
    ONE("pos_embed", "embeddings.position_embeddings"),
    ONE("reg_token", "embeddings.register_tokens"),
    ONE("patch_embed.proj.*", "embeddings.patch_embeddings.projection.*"),
    {"blocks.#.attn.qkv.*", {HF_ATTENTION("query"), HF_ATTENTION("key"), HF_ATTENTION("value")}, BT_IMPORT_CONCAT},
    ONE("blocks.#.attn.proj.*", "encoder.layer.#.attention.output.dense.*"),
    ONE("blocks.#.ls1.gamma", "encoder.layer.#.layer_scale1.lambda1"),
    ONE("blocks.#.ls2.gamma", "encoder.layer.#.layer_scale2.lambda1"),
    ONE("blocks.#.norm1.*", "encoder.layer.#.norm1.*"),
    ONE("blocks.#.norm1.*", "encoder.layer.#.layernorm_before.*"),
    ONE("blocks.#.norm2.*", "encoder.layer.#.norm2.*"),
    ONE("blocks.#.norm2.*", "encoder.layer.#.layernorm_after.*"),
    ONE("blocks.#.mlp.fc1.*", "encoder.layer.#.mlp.fc1.*"),
    ONE("blocks.#.mlp.fc1.*", "encoder.layer.#.mlp.weights_in.*"),
    ONE("blocks.#.mlp.fc1.*", "encoder.layer.#.intermediate.dense.*"),
    ONE("blocks.#.mlp.fc2.*", "encoder.layer.#.mlp.fc2.*"),
    ONE("blocks.#.mlp.fc2.*", "encoder.layer.#.mlp.weights_out.*"),
    ONE("blocks.#.mlp.fc2.*", "encoder.layer.#.output.dense.*"),
    ONE("norm.*", "layernorm.*"),
    END,
};
static const bt_import_left transformers_left[] = {
    {"embeddings.mask_token", "stands for masked patches in pretraining"},
    {"pooler.", "pooler, behind the class token"},
    {"classifier.", "classifier"},
    {NULL, NULL},
};

/* The same models' modules in transformers 5 (ViT since 5.12, DINOv2 since 5.18), as torch.save(model.state_dict())
 * writes them; save_pretrained and published files keep the names above. */

#define MODULES(layer)                                                                                                 \
    ONE("cls_token", "embeddings.cls_token"), ONE("pos_embed", "embeddings.position_embeddings"),                      \
        ONE("reg_token", "embeddings.register_tokens"),                                                                \
        ONE("patch_embed.proj.*", "embeddings.patch_embeddings.projection.*"),                                         \
        {"blocks.#.attn.qkv.*",                                                                                        \
         {layer "attention.q_proj.*", layer "attention.k_proj.*", layer "attention.v_proj.*"},                         \
         BT_IMPORT_CONCAT},                                                                                            \
        ONE("blocks.#.attn.proj.*", layer "attention.o_proj.*"),                                                       \
        ONE("blocks.#.ls1.gamma", layer "layer_scale1.lambda1"),                                                       \
        ONE("blocks.#.ls2.gamma", layer "layer_scale2.lambda1"), ONE("blocks.#.norm1.*", layer "norm1.*"),             \
        ONE("blocks.#.norm1.*", layer "layernorm_before.*"), ONE("blocks.#.norm2.*", layer "norm2.*"),                 \
        ONE("blocks.#.norm2.*", layer "layernorm_after.*"), ONE("blocks.#.mlp.fc1.*", layer "mlp.fc1.*"),              \
        {"blocks.#.mlp.fc1.*", {layer "mlp.gate_proj.*", layer "mlp.up_proj.*"}, BT_IMPORT_CONCAT},                    \
        ONE("blocks.#.mlp.fc2.*", layer "mlp.fc2.*"), ONE("blocks.#.mlp.fc2.*", layer "mlp.down_proj.*"),              \
        ONE("norm.*", "layernorm.*"), END
static const bt_import_rule dinov2_modules[] = {MODULES("encoder.layer.#.")};
static const bt_import_rule vit_modules[] = {MODULES("layers.#.")};

/* ---- transformers: DINOv3ViTModel ---- */

#define DINOV3(layer)                                                                                                  \
    ONE("cls_token", "embeddings.cls_token"), ONE("reg_token", "embeddings.register_tokens"),                          \
        ONE("patch_embed.proj.*", "embeddings.patch_embeddings.*"),                                                    \
        {"blocks.#.attn.qkv.*",                                                                                        \
         {layer "attention.q_proj.*", layer "attention.k_proj.*", layer "attention.v_proj.*"},                         \
         BT_IMPORT_CONCAT},                                                                                            \
        {"blocks.#.attn.qkv.bias", {layer "attention.q_proj.bias", layer "attention.v_proj.bias"}, BT_IMPORT_NO_K},    \
        ONE("blocks.#.attn.proj.*", layer "attention.o_proj.*"),                                                       \
        ONE("blocks.#.ls1.gamma", layer "layer_scale1.lambda1"),                                                       \
        ONE("blocks.#.ls2.gamma", layer "layer_scale2.lambda1"), ONE("blocks.#.norm1.*", layer "norm1.*"),             \
        ONE("blocks.#.norm2.*", layer "norm2.*"),                                                                      \
        {"blocks.#.mlp.fc1.*", {layer "mlp.gate_proj.*", layer "mlp.up_proj.*"}, BT_IMPORT_CONCAT},                    \
        ONE("blocks.#.mlp.fc1.*", layer "mlp.up_proj.*"), ONE("blocks.#.mlp.fc2.*", layer "mlp.down_proj.*"),          \
        ONE("norm.*", "norm.*"), END
static const bt_import_rule dinov3[] = {DINOV3("layer.#.")};
static const bt_import_rule dinov3_modules[] = {DINOV3("model.layer.#.")}; /* since 5.6 */
static const bt_import_left dinov3_left[] = {
    {"embeddings.mask_token", "stands for masked patches in pretraining"},
    {"rope_embeddings.", "rotary frequencies are computed"},
    {NULL, NULL},
};

/* ---- open_clip, OpenAI's CLIP, BioCLIP ---- */

#define CLIP(name) "visual.transformer.resblocks.#." name
static const bt_import_rule clip[] = {
    ONE("cls_token", "visual.class_embedding"),
    ONE("pos_embed", "visual.positional_embedding"),
    ONE("patch_embed.proj.*", "visual.conv1.*"),
    ONE("norm_pre.*", "visual.ln_pre.*"),
    ONE("blocks.#.norm1.*", CLIP("ln_1.*")),
    ONE("blocks.#.attn.qkv.weight", CLIP("attn.in_proj_weight")),
    ONE("blocks.#.attn.qkv.bias", CLIP("attn.in_proj_bias")),
    ONE("blocks.#.attn.proj.*", CLIP("attn.out_proj.*")),
    ONE("blocks.#.ls1.gamma", CLIP("ls_1.gamma")),
    ONE("blocks.#.norm2.*", CLIP("ln_2.*")),
    ONE("blocks.#.mlp.fc1.*", CLIP("mlp.c_fc.*")),
    ONE("blocks.#.mlp.fc2.*", CLIP("mlp.c_proj.*")),
    ONE("blocks.#.ls2.gamma", CLIP("ls_2.gamma")),
    ONE("norm.*", "visual.ln_post.*"),
    {"projection.weight", {"visual.proj"}, BT_IMPORT_TRANSPOSE},
    END,
};
static const bt_import_left clip_left[] = {
    {"token_embedding.", "text tower"},
    {"positional_embedding", "text tower"},
    {"transformer.", "text tower"},
    {"ln_final.", "text tower"},
    {"text_projection", "text tower"},
    {"text.", "text tower"},
    {"attn_mask", "text tower"},
    {"logit_scale", "temperature of the pretraining"},
    {"logit_bias", "bias of the pretraining"},
    {"visual.continual_proj", "projection for the replayed pretraining data (BioCLIP-2)"},
    {"input_resolution", "size that the file states"},
    {"context_length", "size that the file states"},
    {"vocab_size", "size that the file states"},
    {NULL, NULL},
};

/* ---- transformers: CLIPModel, CLIPVisionModel ---- */

#define HF_CLIP(name) "vision_model.encoder.layers.#." name
static const bt_import_rule transformers_clip[] = {
    ONE("cls_token", "vision_model.embeddings.class_embedding"),
    ONE("pos_embed", "vision_model.embeddings.position_embedding.weight"),
    ONE("patch_embed.proj.*", "vision_model.embeddings.patch_embedding.*"),
    ONE("norm_pre.*", "vision_model.pre_layrnorm.*"), /* as transformers spells it */
    ONE("blocks.#.norm1.*", HF_CLIP("layer_norm1.*")),
    {"blocks.#.attn.qkv.*",
     {HF_CLIP("self_attn.q_proj.*"), HF_CLIP("self_attn.k_proj.*"), HF_CLIP("self_attn.v_proj.*")},
     BT_IMPORT_CONCAT},
    ONE("blocks.#.attn.proj.*", HF_CLIP("self_attn.out_proj.*")),
    ONE("blocks.#.norm2.*", HF_CLIP("layer_norm2.*")),
    ONE("blocks.#.mlp.fc1.*", HF_CLIP("mlp.fc1.*")),
    ONE("blocks.#.mlp.fc2.*", HF_CLIP("mlp.fc2.*")),
    ONE("norm.*", "vision_model.post_layernorm.*"),
    ONE("projection.weight", "visual_projection.weight"),
    END,
};
static const bt_import_left transformers_clip_left[] = {
    {"text_model.", "text tower"},
    {"text_projection.", "text tower"},
    {"logit_scale", "temperature of the pretraining"},
    {"vision_model.embeddings.position_ids", "numbers of the positions"},
    {NULL, NULL},
};

/* ---- torchvision ---- */

#define VISION(name) "encoder.layers.encoder_layer_#." name
static const bt_import_rule torchvision[] = {
    ONE("cls_token", "class_token"),
    ONE("pos_embed", "encoder.pos_embedding"),
    ONE("patch_embed.proj.*", "conv_proj.*"),
    ONE("blocks.#.norm1.*", VISION("ln_1.*")),
    ONE("blocks.#.attn.qkv.weight", VISION("self_attention.in_proj_weight")),
    ONE("blocks.#.attn.qkv.bias", VISION("self_attention.in_proj_bias")),
    ONE("blocks.#.attn.proj.*", VISION("self_attention.out_proj.*")),
    ONE("blocks.#.norm2.*", VISION("ln_2.*")),
    ONE("blocks.#.mlp.fc1.*", VISION("mlp.0.*")),
    ONE("blocks.#.mlp.fc1.*", VISION("mlp.linear_1.*")), /* files of before torchvision 0.12 */
    ONE("blocks.#.mlp.fc2.*", VISION("mlp.3.*")),
    ONE("blocks.#.mlp.fc2.*", VISION("mlp.linear_2.*")),
    ONE("norm.*", "encoder.ln.*"),
    END,
};
static const bt_import_left torchvision_left[] = {
    {"heads.", "classifier"},
    {NULL, NULL},
};

const bt_import_family bt_import_families[] = {
    {"open_clip with a tower of timm", "visual.trunk.patch_embed.proj.weight", NULL, "visual.trunk.blocks.", trunk,
     clip_left, 1e-6, BT_POSITIONS_ANTIALIAS, true, NULL, false},
    {"CLIP (open_clip, OpenAI)", "visual.class_embedding", "visual.conv1.weight", "visual.transformer.resblocks.", clip,
     clip_left, 1e-5, BT_POSITIONS_ANTIALIAS, true, NULL, false},
    {"CLIP of transformers", "vision_model.embeddings.class_embedding", NULL, "vision_model.encoder.layers.",
     transformers_clip, transformers_clip_left, 0, BT_POSITIONS_ANTIALIAS, false, NULL, false},
    /* as CLIPVisionModel of transformers 5 saves it */
    {"CLIP of transformers", "embeddings.class_embedding", "pre_layrnorm.weight", "vision_model.encoder.layers.",
     transformers_clip, transformers_clip_left, 0, BT_POSITIONS_ANTIALIAS, false, "vision_model.", false},
    {"DINOv3 of transformers", "embeddings.patch_embeddings.weight", "model.layer.0.norm1.weight", "model.layer.",
     dinov3_modules, dinov3_left, 0, BT_POSITIONS_ANTIALIAS, false, NULL, true},
    {"DINOv3 of transformers", "embeddings.patch_embeddings.weight", "embeddings.cls_token", "layer.", dinov3,
     dinov3_left, 0, BT_POSITIONS_ANTIALIAS, false, NULL, false},
    {"DINOv2 of transformers", "embeddings.patch_embeddings.projection.weight",
     "encoder.layer.0.attention.o_proj.weight", "encoder.layer.", dinov2_modules, transformers_left, 0,
     BT_POSITIONS_BICUBIC, false, NULL, true},
    {"ViT of transformers", "embeddings.patch_embeddings.projection.weight", "layers.0.attention.o_proj.weight",
     "layers.", vit_modules, transformers_left, 0, BT_POSITIONS_BICUBIC, false, NULL, true},
    {"ViT or DINOv2 of transformers", "embeddings.patch_embeddings.projection.weight", NULL, "encoder.layer.",
     transformers, transformers_left, 0, BT_POSITIONS_BICUBIC, false, NULL, false},
    {"ViT of torchvision", "conv_proj.weight", "class_token", "encoder.layers.encoder_layer_", torchvision,
     torchvision_left, 1e-6, BT_POSITIONS_ANTIALIAS, true, NULL, false},
    {"DINOv2 (hub)", "patch_embed.proj.weight", "mask_token", "blocks.", hub, hub_left, 1e-6, BT_POSITIONS_HUB, true,
     NULL, false},
    {"DINOv2 (hub)", "patch_embed.proj.weight", "register_tokens", "blocks.", hub, hub_left, 1e-6, BT_POSITIONS_HUB,
     true, NULL, false},
    {"timm", "patch_embed.proj.weight", NULL, "blocks.", timm, timm_left, 1e-6, BT_POSITIONS_ANTIALIAS, true, NULL,
     false},
    {NULL, NULL, NULL, NULL, NULL, NULL, 0, BT_POSITIONS_HUB, false, NULL, false},
};

/* ---- patterns ---- */

bool bt_import_match(const char *pattern, const char *name, int *block, const char **rest) {
    *block = -1;
    *rest = "";
    for (; *pattern; pattern++) {
        if (*pattern == '*' && !pattern[1]) {
            *rest = name;
            return *name != 0;
        }
        if (*pattern == '#') {
            size_t digits = strspn(name, "0123456789");
            if (digits == 0 || digits > 4 || (*name == '0' && digits > 1)) return false;
            *block = atoi(name);
            name += digits;
            continue;
        }
        if (*pattern != *name) return false;
        name++;
    }
    return *name == 0;
}

void bt_import_fill(const char *pattern, int block, const char *rest, char *out, size_t bytes) {
    size_t at = 0;
    for (; *pattern && at + 1 < bytes; pattern++) {
        int written = *pattern == '#'                  ? snprintf(out + at, bytes - at, "%d", block)
                      : *pattern == '*' && !pattern[1] ? snprintf(out + at, bytes - at, "%s", rest)
                                                       : snprintf(out + at, bytes - at, "%c", *pattern);
        if (written < 0 || (size_t)written >= bytes - at) break;
        at += (size_t)written;
    }
    out[at < bytes ? at : bytes - 1] = 0;
}
