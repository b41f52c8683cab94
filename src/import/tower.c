/* Shapes first, then configuration, then what is published; doubt is refused. */
#include "import/tower.h"

#include <math.h>
#include <string.h>

/** The first tensor of our name; NULL. */
static const bt_weight *first_of(const bt_import_source *s, const char *to, bt_import_parts *parts) {
    return bt_import_resolve(s, to, parts) ? parts->part[0] : NULL;
}

static bool there(const bt_import_source *s, const char *to) {
    bt_import_parts parts;
    return bt_import_resolve(s, to, &parts);
}

/** Rows of a matrix made of parts; 0 if it is none. */
static int64_t rows_of(const bt_import_parts *p) {
    int64_t rows = 0;
    for (int k = 0; k < p->count; k++) {
        if (p->part[k]->rank != 2) return 0;
        rows += p->part[k]->dim[0];
    }
    return p->rule->how == BT_IMPORT_TRANSPOSE ? p->part[0]->dim[1] : rows;
}

static bt_status missing(const char *what, const char *to) {
    return bt_error(BT_ERR_FORMAT,
                    "there is no %s (%s in this program's names): not a vision transformer, or not all of its file",
                    what, to);
}

/* ---- from shapes ---- */

static bt_status from_patches(const bt_import_source *s, bt_vit_config *c) {
    bt_import_parts p;
    const bt_weight *w = first_of(s, "patch_embed.proj.weight", &p);
    if (!w) return missing("patch embedding", "patch_embed.proj.weight");
    if (w->rank != 4 || w->dim[1] != 3 || w->dim[2] != w->dim[3] || w->dim[0] < 1 || w->dim[0] > 16384 ||
        w->dim[2] > 512)
        return bt_error(BT_ERR_FORMAT, "%s is no patch embedding (width, 3, patch, patch)", w->name);
    c->width = (int)w->dim[0];
    c->patch = (int)w->dim[2];
    c->no_patch_bias = !there(s, "patch_embed.proj.bias");
    return BT_OK;
}

static bt_status from_positions(const bt_import_source *s, bt_vit_config *c) {
    bt_import_parts p;
    const bt_weight *w = first_of(s, "reg_token", &p);
    if (w) c->registers = (int)(w->count / c->width);
    w = first_of(s, "pos_embed", &p);
    c->positions = w ? BT_VIT_LEARNED : BT_VIT_ROTARY;
    if (!w && !strstr(s->family->name, "DINOv3")) return missing("position embedding", "pos_embed");
    if (!w) return BT_OK;
    int64_t rows = w->count / c->width, side = llround(sqrt((double)rows));
    if (side * side != rows) { /* 1 + n^2 is no square of a whole number for n > 0 */
        rows -= 1;
        side = llround(sqrt((double)rows));
    }
    if (side < 1 || side > 1024 || side * side != rows || w->count % c->width)
        return bt_error(BT_ERR_FORMAT, "%s has %lld positions: neither a square of patches nor one and a class token%s",
                        w->name, (long long)(w->count / c->width),
                        c->registers ? " (positions of registers are not supported)" : "");
    c->grid = (int)side;
    return BT_OK;
}

static bt_status from_blocks(const bt_import_source *s, bt_vit_config *c) {
    bt_import_parts fc1, fc2;
    c->depth = bt_import_depth(s);
    if (c->depth < 1 || !bt_import_resolve(s, "blocks.0.mlp.fc1.weight", &fc1) ||
        !bt_import_resolve(s, "blocks.0.mlp.fc2.weight", &fc2))
        return missing("first block with an MLP", "blocks.0.mlp.fc1.weight, fc2");
    int64_t hidden = rows_of(&fc1), inner = fc2.part[0]->rank == 2 ? fc2.part[0]->dim[1] : 0;
    if (hidden < 1 || inner < 1 || inner > 65536 || (hidden != inner && hidden != 2 * inner))
        return bt_error(BT_ERR_FORMAT,
                        "the MLP goes to %lld and comes from %lld: neither plain (equal) nor SwiGLU (twice)",
                        (long long)hidden, (long long)inner);
    c->mlp = (int)inner;
    c->activation = hidden == 2 * inner ? BT_VIT_SWIGLU : BT_VIT_GELU;
    c->layer_scale = there(s, "blocks.0.ls1.gamma");
    c->layer_scale_init = 1e-5f;
    c->pre_norm = there(s, "norm_pre.weight");
    bt_import_parts bias;
    c->no_qkv_bias = !bt_import_resolve(s, "blocks.0.attn.qkv.bias", &bias);
    c->no_key_bias = !c->no_qkv_bias && bias.rule->how == BT_IMPORT_NO_K;
    return BT_OK;
}

/** Whether a tensor is there and has another value than 0. */
static bt_status has_values(const bt_weight *w, bool *out) {
    float value = 0;
    for (int64_t i = 0; w && i < w->count && value == 0; i++) BT_TRY(bt_weight_to_f32(w, i, 1, &value));
    *out = value != 0;
    return BT_OK;
}

/** CLIP's projection. timm keeps it as a classifier with a bias of zeros behind a tower with a norm before its blocks;
 * trained classifiers have another bias. */
static bt_status from_projection(const bt_import_source *s, bt_vit_config *c) {
    bt_import_parts p;
    bool bias;
    if (!bt_import_resolve(s, "projection.weight", &p)) return BT_OK;
    BT_TRY(has_values(bt_import_find(s, "head.bias"), &bias));
    bool classifier = strcmp(p.rule->from[0], "head.weight") == 0 && (bias || !c->pre_norm);
    if (!classifier) c->output = (int)rows_of(&p);
    return BT_OK;
}

static bt_status refuse_variants(const bt_import_source *s) {
    static const struct {
        const char *name, *what;
    } variants[] = {
        {"dist_token",
         "a distilled DeiT: its distillation token is not supported; the tower without it is another file"},
        {"fc_norm.weight", "a tower whose patches are averaged (fc_norm): only class tokens are supported"},
        {"blocks.0.attn.q_norm.weight", "attention with norms of queries and keys, which is not supported"},
        {"blocks.0.attn.rel_pos_bias.relative_position_bias_table", "relative positions, which are not supported"}};
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++)
        if (bt_import_find(s, variants[i].name))
            return bt_error(BT_ERR_UNSUPPORTED, "%s%s: %s", s->prefix, variants[i].name, variants[i].what);
    return BT_OK;
}

/* ---- from configurations ---- */

static bt_status check_one(const bt_import_hints *file, const char *what, int said, int found) {
    if (!said || said == found) return BT_OK;
    return bt_error(BT_ERR_FORMAT, "%s says %s %d, the tensors %d: they do not belong together", file->path, what, said,
                    found);
}

static bt_status check_file(const bt_import_hints *f, const bt_vit_config *c) {
    BT_TRY(check_one(f, "width", f->width, c->width));
    BT_TRY(check_one(f, "depth", f->depth, c->depth));
    BT_TRY(check_one(f, "patch", f->patch, c->patch));
    return check_one(f, "registers", f->registers, c->registers);
}

/** Heads as published for a width. */
static int published_heads(int width) {
    static const int known[][2] = {{192, 3},   {384, 6},   {768, 12},  {1024, 16},
                                   {1280, 16}, {1408, 16}, {1536, 24}, {1664, 16}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i][0] == width) return known[i][1];
    return 0;
}

static bt_status decide_heads(const bt_import_source *s, const bt_import_hints *given, const bt_import_hints *file,
                              bt_vit_config *c, bt_text *notes) {
    c->heads = given->heads ? given->heads : file->heads;
    if (given->heads && file->heads && given->heads != file->heads)
        bt_text_append(notes, "heads %d: as given, in place of the %d of the configuration\n", given->heads,
                       file->heads);
    if (!c->heads && s->family->pytorch_heads && (c->heads = published_heads(c->width)))
        bt_text_append(notes, "heads %d: as published for width %d\n", c->heads, c->width);
    if (!c->heads)
        return bt_error(BT_ERR_FORMAT,
                        "tensors do not tell how many heads attention has at width %d%s; bring the model's config.json "
                        "(--config FILE), or say --heads",
                        c->width, *file->path ? ", nor does the configuration that was read" : "");
    return BT_OK;
}

/** OpenAI's own files are TorchScript and state their sizes. */
static bool of_openai(const bt_import_source *s) {
    return bt_import_find(s, "input_resolution") || strstr(bt_weights_format(s->weights), "TorchScript");
}

static bt_status decide_activation(const bt_import_source *s, const bt_import_hints *given, const bt_import_hints *file,
                                   bt_vit_config *c, bt_text *notes) {
    int said = given->activation >= 0 ? given->activation : file->activation;
    if (c->activation == BT_VIT_SWIGLU) {
        if (given->activation >= 0 && given->activation != BT_VIT_SWIGLU)
            return bt_error(BT_ERR_CONFIG, "--activation %s: this MLP is gated (swiglu)",
                            bt_vit_activation_names[given->activation]);
        return BT_OK;
    }
    if (said == BT_VIT_SWIGLU) return bt_error(BT_ERR_FORMAT, "activation swiglu: this MLP has no gate");
    if (given->activation >= 0 && file->activation >= 0 && given->activation != file->activation)
        bt_text_append(notes, "activation %s: as given, in place of %s of the configuration\n",
                       bt_vit_activation_names[given->activation], bt_vit_activation_names[file->activation]);
    if (said >= 0) {
        c->activation = (bt_vit_activation)said;
        return BT_OK;
    }
    if (of_openai(s)) {
        c->activation = BT_VIT_QUICK_GELU;
        bt_text_append(notes, "activation quick_gelu: a file as OpenAI published it\n");
    } else if (c->pre_norm) {
        return bt_error(BT_ERR_FORMAT, "CLIP's towers have gelu or quick_gelu, and the tensors do not tell which; "
                                       "bring open_clip_config.json or config.json (--config FILE), or say "
                                       "--activation gelu (LAION, BioCLIP-2) or --activation quick_gelu (OpenAI, DFN)");
    } else {
        bt_text_append(notes, "activation gelu: as all towers of this family\n");
    }
    return BT_OK;
}

static bt_status decide_eps(const bt_import_source *s, const bt_import_hints *given, const bt_import_hints *file,
                            bt_vit_config *c, bt_text *notes) {
    double eps = given->norm_eps > 0 ? given->norm_eps : file->norm_eps;
    if (given->norm_eps > 0 && file->norm_eps > 0 && (float)given->norm_eps != (float)file->norm_eps)
        bt_text_append(notes, "eps of layer norm %g: as given, in place of the %g of the configuration\n", eps,
                       file->norm_eps);
    if (eps <= 0 && s->family->norm_eps > 0) {
        eps = c->pre_norm ? 1e-5 : s->family->norm_eps;
        bt_text_append(notes, "eps of layer norm %g: as all towers of this family\n", eps);
    }
    if (eps <= 0)
        return bt_error(BT_ERR_FORMAT, "tensors do not tell the eps of layer norm, which differs between towers of "
                                       "this family; bring config.json (--config FILE), or say --norm-eps");
    c->norm_eps = (float)eps;
    return BT_OK;
}

static void decide_image(const bt_import_hints *given, const bt_import_hints *file, bt_vit_config *c, bt_text *notes) {
    c->image = given->image ? given->image : file->image;
    if (c->image) return;
    int trained = c->grid * c->patch, usual = 224;
    c->image = !trained || (trained > usual && usual % c->patch == 0) ? usual : trained;
    bt_text_append(notes, "image %d: %s; model.image, or --image, may be any multiple of %d\n", c->image,
                   c->image == trained ? "as trained" : "as usual for features", c->patch);
}

bt_status bt_import_tower(const bt_import_source *s, const bt_import_hints *given, const bt_import_hints *file,
                          bt_vit_config *out, bt_text *notes) {
    bt_vit_config c = {.image = 0};
    BT_TRY(refuse_variants(s));
    BT_TRY(from_patches(s, &c));
    BT_TRY(from_positions(s, &c));
    BT_TRY(from_blocks(s, &c));
    BT_TRY(from_projection(s, &c));
    BT_TRY(check_file(file, &c));
    BT_TRY(decide_heads(s, given, file, &c, notes));
    BT_TRY(decide_activation(s, given, file, &c, notes));
    BT_TRY(decide_eps(s, given, file, &c, notes));
    if (c.positions == BT_VIT_ROTARY) {
        c.rope_theta = (float)(file->rope_theta > 0 ? file->rope_theta : 100);
        if (file->rope_theta <= 0) bt_text_append(notes, "rotary base 100: as published for DINOv3\n");
    }
    c.resampling = c.registers ? BT_POSITIONS_ANTIALIAS
                               : s->family->resampling; /* DINOv2 with registers, of the hub and of transformers */
    decide_image(given, file, &c, notes);
    BT_TRY(bt_text_status(notes));
    BT_TRY(bt_vit_check(&c));
    *out = c;
    return BT_OK;
}
