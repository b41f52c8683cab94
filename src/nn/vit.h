/* Vision transformer with class token (arXiv 2010.11929), pre-norm blocks, optional LayerScale and register tokens, the
 * variants of CLIP (norm before the blocks, no bias of the patches, projection behind the last norm), and LoRA adapters
 * on its linear layers. Parameter names are timm's; the projection is "projection.weight" (output, width).
 */
#ifndef BITTERN_NN_VIT_H
#define BITTERN_NN_VIT_H

#include "base/text.h"
#include "nn/lora.h"

#include <bittern/positions.h>

typedef enum bt_vit_activation { BT_VIT_GELU, BT_VIT_QUICK_GELU, BT_VIT_SWIGLU, BT_VIT_ACTIVATIONS } bt_vit_activation;
extern const char *const bt_vit_activation_names[BT_VIT_ACTIVATIONS + 1]; /**< gelu, quick_gelu, swiglu */

/** How patches know where they are: learned positions that are added, or rotary ones in attention (DINOv3). */
typedef enum bt_vit_positions { BT_VIT_LEARNED, BT_VIT_ROTARY, BT_VIT_POSITIONS } bt_vit_positions;
extern const char *const bt_vit_positions_names[BT_VIT_POSITIONS + 1]; /**< learned, rotary */

extern const char *const bt_resampling_names[BT_POSITIONS_COUNT + 1]; /**< of bt_positions: hub, antialias, bicubic */

typedef struct bt_vit_config {
    int image, patch; /**< pixels of a side; image is a multiple of patch */
    int width, depth, heads;
    int mlp;       /**< hidden width of the MLP; of SwiGLU behind the gate: fc1 has twice as many outputs */
    int registers; /**< tokens behind the class token, without position */
    bt_vit_activation activation;
    bt_vit_positions positions;
    int grid; /**< learned positions are (1 + grid^2, width), resampled where image / patch is another; 0: image / patch
               */
    bt_positions resampling;
    float rope_theta; /**< of rotary positions */
    int output;       /**< width of the projection behind the last norm; 0: there is none */
    bool pre_norm;    /**< layer norm before the first block (CLIP) */
    bool no_patch_bias, no_qkv_bias;
    bool no_key_bias; /**< queries and values have one, keys have not (DINOv3): its part of qkv's stays 0 */
    bool layer_scale;
    float layer_scale_init;
    float norm_eps;
    float mean[3], std[3]; /**< of u8 images, on the scale 0..1 */
} bt_vit_config;

/** What is trained: nothing or everything of the tower, or adapters. */
typedef struct bt_vit_training {
    bool full;
    bt_lora_config lora;
    int group;
    float decay;
    bool blank;    /**< no initial values: all come from files */
    uint64_t seed; /**< of initial values */
} bt_vit_training;

typedef struct bt_vit_linear {
    int w, b;
    int64_t inputs, outputs;
    bt_lora lora;
} bt_vit_linear;

typedef struct bt_vit_block {
    int norm1_w, norm1_b, norm2_w, norm2_b, scale1, scale2; /**< scales are -1 without LayerScale */
    bt_vit_linear qkv, proj, fc1, fc2;
} bt_vit_block;

typedef struct bt_vit {
    bt_vit_config config;
    int patch_w, patch_b, cls, pos, angles, reg, pre_w, pre_b, norm_w, norm_b, projection; /**< -1: there is none */
    bt_vit_block *block;                                                                   /**< [depth] */
} bt_vit;

/** A configuration by name, e.g. "vit_small_patch14_dinov2"; false if the name is unknown. bt_vit_names lists them. */
bool bt_vit_named(const char *name, bt_vit_config *out);
const char *const *bt_vit_names(void); /**< ends with NULL */

/** Checks sizes; BT_ERR_CONFIG names the field. */
bt_status bt_vit_check(const bt_vit_config *config) BT_MUST_CHECK;

/** Appends sizes and variants in one line, for people. */
void bt_vit_describe(const bt_vit_config *config, bt_text *out);

/** Declares all parameters with their initial values. `out` owns memory: bt_vit_release. */
void bt_vit_init(bt_vit *out, bt_params *store, const bt_vit_config *config, const bt_vit_training *training);
void bt_vit_release(bt_vit *vit);

/** Records the tower: images u8 (N,S,S,3) or f32 (N,3,S,S) -> class token (N, bt_vit_output) in f32, normalised and
 * projected. ids (N) i64 keys the dropout of adapters in a training program; without ids there is none. Of the last
 * block only the class token's row is computed. */
bt_value bt_vit_forward(bt_program *p, bt_params *store, const bt_vit *vit, bt_value images, bt_value ids);

/** Behind bt_differentiate of a program that trains the whole tower: clears the gradients of what the tower has not,
 * the bias of keys. */
void bt_vit_hold_gradients(bt_program *p, bt_params *store, const bt_vit *vit);

/** All tokens behind the last norm, (N, bt_vit_token_count, width) in f32, not projected: class token, registers,
 * patches in raster order. */
bt_value bt_vit_forward_tokens(bt_program *p, bt_params *store, const bt_vit *vit, bt_value images, bt_value ids);

/** The same tokens, and what attention of the last block takes: q, k, v (N, T, 3 width), head-major, positions of
 * rotary towers applied. */
typedef struct bt_vit_maps {
    bt_value tokens, qkv;
} bt_vit_maps;
bt_vit_maps bt_vit_forward_maps(bt_program *p, bt_params *store, const bt_vit *vit, bt_value images);

/** Side of the learned positions. */
static inline int bt_vit_grid(const bt_vit_config *c) {
    return c->grid ? c->grid : c->image / c->patch;
}

/** Width of an embedding. */
static inline int bt_vit_output(const bt_vit_config *c) {
    return c->output ? c->output : c->width;
}

/** Tokens of an image. */
static inline int bt_vit_token_count(const bt_vit_config *c) {
    return 1 + c->registers + (c->image / c->patch) * (c->image / c->patch);
}

#endif
