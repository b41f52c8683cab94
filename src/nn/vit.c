/* The vision transformer: parameters and forward. */
#include "nn/vit.h"

#include "nn/init.h"
#include "nn/rope.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- configurations ---- */

#define IMAGENET .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}
#define DINOV2(w, d, h)                                                                                                \
    .image = 224, .grid = 37, .patch = 14, .width = w, .depth = d, .heads = h, .mlp = 4 * (w), .layer_scale = true,    \
    .layer_scale_init = 1e-5f, .norm_eps = 1e-6f, IMAGENET
#define VIT16(w, d, h)                                                                                                 \
    .image = 224, .patch = 16, .width = w, .depth = d, .heads = h, .mlp = 4 * (w), .norm_eps = 1e-6f, IMAGENET

static const struct {
    const char *name;
    bt_vit_config config;
} named[] = {
    {"vit_small_patch14_dinov2", {DINOV2(384, 12, 6)}},
    {"vit_base_patch14_dinov2", {DINOV2(768, 12, 12)}},
    {"vit_large_patch14_dinov2", {DINOV2(1024, 24, 16)}},
    {"vit_small_patch14_reg4_dinov2", {DINOV2(384, 12, 6), .registers = 4, .resampling = BT_POSITIONS_ANTIALIAS}},
    {"vit_base_patch14_reg4_dinov2", {DINOV2(768, 12, 12), .registers = 4, .resampling = BT_POSITIONS_ANTIALIAS}},
    {"vit_large_patch14_reg4_dinov2", {DINOV2(1024, 24, 16), .registers = 4, .resampling = BT_POSITIONS_ANTIALIAS}},
    {"vit_tiny_patch16_224", {VIT16(192, 12, 3)}},
    {"vit_small_patch16_224", {VIT16(384, 12, 6)}},
    {"vit_base_patch16_224", {VIT16(768, 12, 12)}},
};

const char *const bt_vit_activation_names[BT_VIT_ACTIVATIONS + 1] = {"gelu", "quick_gelu", "swiglu"};
const char *const bt_resampling_names[BT_POSITIONS_COUNT + 1] = {
    [BT_POSITIONS_HUB] = "hub", [BT_POSITIONS_ANTIALIAS] = "antialias", [BT_POSITIONS_BICUBIC] = "bicubic"};
const char *const bt_vit_positions_names[BT_VIT_POSITIONS + 1] = {"learned", "rotary"};

bool bt_vit_named(const char *name, bt_vit_config *out) {
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        if (strcmp(named[i].name, name) == 0) {
            *out = named[i].config;
            return true;
        }
    return false;
}

const char *const *bt_vit_names(void) {
    static const char *names[sizeof named / sizeof named[0] + 1];
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) names[i] = named[i].name;
    return names;
}

bt_status bt_vit_check(const bt_vit_config *c) {
    if (c->patch < 1 || c->image < c->patch || c->image % c->patch)
        return bt_error(BT_ERR_CONFIG, "model.image %d must be a multiple of model.patch %d; nearest are %d and %d",
                        c->image, c->patch, c->patch > 0 ? c->image / c->patch * c->patch : 0,
                        c->patch > 0 ? (c->image / c->patch + 1) * c->patch : 0);
    if (c->heads < 1 || c->width < 1 || c->width % c->heads)
        return bt_error(BT_ERR_CONFIG, "model.width %d must be a multiple of model.heads %d", c->width, c->heads);
    if (c->positions == BT_VIT_ROTARY && (c->width / c->heads % 4 || !(c->rope_theta > 0)))
        return bt_error(BT_ERR_CONFIG,
                        "rotary positions need heads of a multiple of 4 (model.width %d / model.heads %d) and "
                        "model.rope_theta above 0, found %g",
                        c->width, c->heads, (double)c->rope_theta);
    if (c->depth < 1 || c->mlp < 1 || c->registers < 0 || c->output < 0)
        return bt_error(
            BT_ERR_CONFIG,
            "model.depth %d and model.mlp %d must be at least 1, model.registers %d and model.output %d at least 0",
            c->depth, c->mlp, c->registers, c->output);
    return BT_OK;
}

/* ---- parameters ---- */

typedef struct builder {
    bt_params *store;
    const bt_vit_training *training;
    int next_stream;
} builder;

static int add(const builder *b, const char *name, bt_shape shape, int64_t columns, bt_param_kind kind) {
    bt_param_spec spec = {.name = name,
                          .shape = shape,
                          .columns = columns,
                          .kind = kind,
                          .trainable = b->training->full && kind != BT_PARAM_CONSTANT,
                          .group = b->training->group,
                          .decay = b->training->decay};
    return bt_declare(b->store, &spec);
}

static int add_vector(const builder *b, const char *prefix, const char *name, int64_t count, float value) {
    char full[128];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    int index = add(b, full, bt_shape1(count), 0, BT_PARAM_F32);
    if (!b->training->blank) bt_init_constant(b->store, index, value);
    return index;
}

static void start_normal(const builder *b, int index, float std) {
    if (!b->training->blank) bt_init_normal(b->store, index, std, b->training->seed);
}

/** A linear layer; `mask` holds the adapter targets that concern it, `parts` how they lie in its outputs. */
static bt_vit_linear add_linear(builder *b, const char *prefix, const char *layer, int64_t inputs, int64_t outputs,
                                bool bias, const int *part, int parts, int64_t part_width) {
    char name[128];
    snprintf(name, sizeof name, "%s%s.weight", prefix, layer);
    bt_vit_linear l = {.inputs = inputs, .outputs = outputs, .lora = {.a = -1, .b = -1}};
    l.w = add(b, name, bt_shape2(outputs, inputs), 0, BT_PARAM_WEIGHT);
    start_normal(b, l.w, 0.02f);
    snprintf(name, sizeof name, "%s.bias", layer);
    l.b = bias ? add_vector(b, prefix, name, outputs, 0) : -1;
    int stream = ++b->next_stream; /* counted for layers without adapter too: targets do not change the others' draws */
    if (parts) {
        snprintf(name, sizeof name, "%s%s", prefix, layer);
        l.lora = bt_lora_declare(b->store, name, inputs, part_width, part, parts, &b->training->lora, stream,
                                 b->training->group, b->training->decay, b->training->seed);
    }
    return l;
}

static void add_block(builder *b, const bt_vit_config *c, int index, bt_vit_block *out) {
    char prefix[64];
    snprintf(prefix, sizeof prefix, "blocks.%d.", index);
    uint32_t targets = b->training->lora.targets;
    int64_t d = c->width, hidden = c->mlp, gated = c->activation == BT_VIT_SWIGLU ? 2 * hidden : hidden;
    out->norm1_w = add_vector(b, prefix, "norm1.weight", d, 1);
    out->norm1_b = add_vector(b, prefix, "norm1.bias", d, 0);
    int part[3] = {0}, parts = 0;
    const uint32_t thirds[] = {BT_LORA_Q, BT_LORA_K, BT_LORA_V};
    for (int k = 0; k < 3; k++)
        if (targets & thirds[k]) part[parts++] = k;
    bool fused = targets & BT_LORA_QKV;
    const int whole[1] = {0};
    out->qkv = add_linear(b, prefix, "attn.qkv", d, 3 * d, !c->no_qkv_bias, fused ? whole : part, fused ? 1 : parts,
                          fused ? 3 * d : d);
    out->proj = add_linear(b, prefix, "attn.proj", d, d, true, whole, targets & BT_LORA_PROJ ? 1 : 0, d);
    out->scale1 = c->layer_scale ? add_vector(b, prefix, "ls1.gamma", d, c->layer_scale_init) : -1;
    out->norm2_w = add_vector(b, prefix, "norm2.weight", d, 1);
    out->norm2_b = add_vector(b, prefix, "norm2.bias", d, 0);
    out->fc1 = add_linear(b, prefix, "mlp.fc1", d, gated, true, whole, targets & BT_LORA_FC1 ? 1 : 0, gated);
    out->fc2 = add_linear(b, prefix, "mlp.fc2", hidden, d, true, whole, targets & BT_LORA_FC2 ? 1 : 0, d);
    out->scale2 = c->layer_scale ? add_vector(b, prefix, "ls2.gamma", d, c->layer_scale_init) : -1;
}

static void add_angles(const builder *b, const bt_vit_config *c, bt_vit *out) {
    int64_t side = c->image / c->patch, head = c->width / c->heads;
    out->angles = add(b, "rotary.angles", bt_shape2(side * side, head), 0, BT_PARAM_CONSTANT);
    bt_status status = bt_rope_table(bt_params_host(b->store, out->angles), side, side, head, (double)c->rope_theta);
    BT_ASSERT(status == BT_OK); /* bt_vit_check */
}

void bt_vit_init(bt_vit *out, bt_params *store, const bt_vit_config *c, const bt_vit_training *training) {
    builder b = {store, training, 0};
    int64_t d = c->width, inputs = 3 * (int64_t)c->patch * c->patch;
    int64_t columns = (inputs + 7) / 8 * 8; /* 16-byte rows in bf16, which tensor cores ask for: 588 becomes 592 */
    *out = (bt_vit){
        .config = *c, .patch_b = -1, .pos = -1, .angles = -1, .reg = -1, .pre_w = -1, .pre_b = -1, .projection = -1};
    out->block = calloc((size_t)c->depth, sizeof *out->block);
    BT_ASSERT(out->block);
    out->patch_w = add(&b, "patch_embed.proj.weight", bt_shape4(d, 3, c->patch, c->patch), columns, BT_PARAM_WEIGHT);
    if (!training->blank) bt_init_uniform(store, out->patch_w, 1.0f / sqrtf((float)inputs), training->seed);
    if (!c->no_patch_bias) out->patch_b = add_vector(&b, "", "patch_embed.proj.bias", d, 0);
    out->cls = add(&b, "cls_token", bt_shape3(1, 1, d), 0, BT_PARAM_F32);
    start_normal(&b, out->cls, 1e-6f);
    if (c->positions == BT_VIT_ROTARY) {
        add_angles(&b, c, out);
    } else {
        int64_t grid = bt_vit_grid(c);
        out->pos = add(&b, "pos_embed", bt_shape3(1, 1 + grid * grid, d), 0, BT_PARAM_F32);
        start_normal(&b, out->pos, 0.02f);
    }
    if (c->registers) {
        out->reg = add(&b, "reg_token", bt_shape3(1, c->registers, d), 0, BT_PARAM_F32);
        start_normal(&b, out->reg, 1e-6f);
    }
    if (c->pre_norm) {
        out->pre_w = add_vector(&b, "", "norm_pre.weight", d, 1);
        out->pre_b = add_vector(&b, "", "norm_pre.bias", d, 0);
    }
    for (int i = 0; i < c->depth; i++) add_block(&b, c, i, &out->block[i]);
    out->norm_w = add_vector(&b, "", "norm.weight", d, 1);
    out->norm_b = add_vector(&b, "", "norm.bias", d, 0);
    if (!c->output) return;
    out->projection = add(&b, "projection.weight", bt_shape2(c->output, d), 0, BT_PARAM_WEIGHT);
    start_normal(&b, out->projection, 1.0f / sqrtf((float)d));
}

void bt_vit_release(bt_vit *vit) {
    free(vit->block);
    vit->block = NULL;
}

/* ---- forward ---- */

typedef struct tower {
    bt_program *p;
    bt_params *store;
    const bt_vit_config *config;
    bt_value ids;
    int angles;
} tower;

/** Outputs [first, first+count) of a linear layer with its adapter. */
static bt_value outputs_of(const tower *t, const bt_vit_linear *l, bt_value x, int64_t first, int64_t count,
                           bt_value residual) {
    bool all = count == l->outputs;
    bt_value w = all ? bt_param(t->p, t->store, l->w) : bt_param_rows(t->p, t->store, l->w, first, count);
    bt_value b = l->b < 0 ? 0
                 : all    ? bt_param(t->p, t->store, l->b)
                          : bt_param_rows(t->p, t->store, l->b, first, count);
    bt_lora_values lora = bt_lora_range(t->p, t->store, &l->lora, first, count);
    if (!t->ids) lora.dropout = 0;
    return bt_lora_linear(t->p, x, w, b, &lora, residual, t->ids);
}

static bt_value linear(const tower *t, const bt_vit_linear *l, bt_value x) {
    return outputs_of(t, l, x, 0, l->outputs, 0);
}

/** x + scale * layer(f): the residual goes into the product where there is no LayerScale. */
static bt_value residual(const tower *t, bt_value x, const bt_vit_linear *l, bt_value f, int scale) {
    if (scale < 0) return outputs_of(t, l, f, 0, l->outputs, x);
    return bt_add(t->p, x, linear(t, l, f), bt_param(t->p, t->store, scale));
}

static bt_value norm(const tower *t, bt_value x, int w, int b) {
    return bt_layer_norm(t->p, x, bt_param(t->p, t->store, w), bt_param(t->p, t->store, b), t->config->norm_eps);
}

/** Queries and keys of q, k, v, or keys of k, v, turned by the positions of their patches. */
static bt_value rotated(const tower *t, bt_value x, int parts) {
    const bt_vit_config *c = t->config;
    return t->angles < 0
               ? x
               : bt_rope(t->p, x, bt_param(t->p, t->store, t->angles), parts, parts - 1, c->heads, 1 + c->registers);
}

static bt_value activate(const tower *t, bt_value x) {
    switch (t->config->activation) {
    case BT_VIT_QUICK_GELU:
        return bt_quick_gelu(t->p, x);
    case BT_VIT_SWIGLU:
        return bt_swiglu(t->p, x);
    default:
        return bt_gelu(t->p, x);
    }
}

static bt_value mlp(const tower *t, const bt_vit_block *b, bt_value x) {
    bt_value h = norm(t, x, b->norm2_w, b->norm2_b);
    return residual(t, x, &b->fc2, activate(t, linear(t, &b->fc1, h)), b->scale2);
}

static bt_value qkv_of(const tower *t, const bt_vit_block *b, bt_value x) {
    return rotated(t, linear(t, &b->qkv, norm(t, x, b->norm1_w, b->norm1_b)), 3);
}

/** All tokens. */
static bt_value block(const tower *t, const bt_vit_block *b, bt_value x) {
    bt_value o = bt_attention(t->p, qkv_of(t, b, x), 0, t->config->heads);
    return mlp(t, b, residual(t, x, &b->proj, o, b->scale1));
}

/** The class token only: keys and values of all tokens, one query, one row behind the attention. */
static bt_value class_block(const tower *t, const bt_vit_block *b, bt_value x) {
    int64_t d = t->config->width;
    bt_value h = norm(t, x, b->norm1_w, b->norm1_b);
    bt_value q = outputs_of(t, &b->qkv, bt_class_row(t->p, h), 0, d, 0);
    bt_value kv =
        rotated(t, outputs_of(t, &b->qkv, h, d, 2 * d, 0), 2); /* the class token has no position: its query stays */
    bt_value o = bt_attention(t->p, kv, q, t->config->heads);
    return mlp(t, b, residual(t, bt_class_row(t->p, x), &b->proj, o, b->scale1));
}

/** Learned positions for the images' own grid: (1 + side^2, width), the class token's first. */
static bt_value positions(const tower *t, const bt_vit *vit) {
    const bt_vit_config *c = t->config;
    int grid = bt_vit_grid(c), side = c->image / c->patch;
    bt_value pos = bt_reshape(t->p, bt_param(t->p, t->store, vit->pos), bt_shape2(1 + (int64_t)grid * grid, c->width));
    return grid == side ? pos
                        : bt_resample_positions(t->p, pos, 1, (int[]){grid, grid}, (int[]){side, side}, c->resampling);
}

/** Images to the tokens that the blocks take. */
static bt_value embed_patches(const tower *t, const bt_vit *vit, bt_value images) {
    const bt_vit_config *c = t->config;
    bt_program *p = t->p;
    int64_t d = c->width, columns = (3 * (int64_t)c->patch * c->patch + 7) / 8 * 8;
    bt_value patches = bt_patchify(p, images, c->patch, columns, c->mean, c->std);
    bt_value bias = vit->patch_b < 0 ? 0 : bt_param(p, t->store, vit->patch_b);
    bt_value x = bt_linear(p, patches, bt_param(p, t->store, vit->patch_w), bias, 0);
    bt_value pos = vit->pos < 0 ? 0 : positions(t, vit);
    bt_value reg = vit->reg < 0 ? 0 : bt_reshape(p, bt_param(p, t->store, vit->reg), bt_shape2(c->registers, d));
    x = bt_tokens(p, x, bt_param(p, t->store, vit->cls), pos, reg);
    return vit->pre_w < 0 ? x : norm(t, x, vit->pre_w, vit->pre_b);
}

/** All blocks, and the last norm. `last` records the last block. */
static bt_value run_blocks(const tower *t, const bt_vit *vit, bt_value images,
                           bt_value (*last)(const tower *, const bt_vit_block *, bt_value)) {
    bt_value x = embed_patches(t, vit, images);
    for (int i = 0; i < t->config->depth; i++) {
        bt_segment_begin(t->p);
        x = (i + 1 < t->config->depth ? block : last)(t, &vit->block[i], x);
        bt_segment_end(t->p);
    }
    return norm(t, x, vit->norm_w, vit->norm_b);
}

bt_value bt_vit_forward(bt_program *p, bt_params *store, const bt_vit *vit, bt_value images, bt_value ids) {
    tower t = {p, store, &vit->config, ids, vit->angles};
    bt_value x = run_blocks(&t, vit, images, class_block);
    bt_shape s = bt_shape_of_value(p, x);
    x = bt_reshape(p, x, bt_shape2(s.rank ? s.dim[0] : 1, vit->config.width));
    if (vit->projection >= 0) x = bt_linear(p, x, bt_param(p, store, vit->projection), 0, 0);
    return bt_cast(p, x, BT_F32);
}

void bt_vit_hold_gradients(bt_program *p, bt_params *store, const bt_vit *vit) {
    int64_t d = vit->config.width;
    for (int i = 0; vit->config.no_key_bias && i < vit->config.depth; i++) {
        int bias = vit->block[i].qkv.b;
        if (bias >= 0 && bt_params_spec(store, bias)->trainable) bt_zero_gradient_rows(p, store, bias, d, d);
    }
}

bt_value bt_vit_forward_tokens(bt_program *p, bt_params *store, const bt_vit *vit, bt_value images, bt_value ids) {
    tower t = {p, store, &vit->config, ids, vit->angles};
    return bt_cast(p, run_blocks(&t, vit, images, block), BT_F32);
}

bt_vit_maps bt_vit_forward_maps(bt_program *p, bt_params *store, const bt_vit *vit, bt_value images) {
    tower t = {p, store, &vit->config, 0, vit->angles};
    const bt_vit_block *last = &vit->block[vit->config.depth - 1];
    bt_value x = embed_patches(&t, vit, images);
    for (int i = 0; i + 1 < vit->config.depth; i++) x = block(&t, &vit->block[i], x);
    bt_value qkv = qkv_of(&t, last, x), o = bt_attention(p, qkv, 0, vit->config.heads);
    x = mlp(&t, last, residual(&t, x, &last->proj, o, last->scale1));
    return (bt_vit_maps){bt_cast(p, norm(&t, x, vit->norm_w, vit->norm_b), BT_F32), bt_cast(p, qkv, BT_F32)};
}
