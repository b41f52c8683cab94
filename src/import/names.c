/* The rules of families.c from the left to the right: one of our tensors gives one, two or three of theirs. */
#include "import/names.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

const char *const bt_form_names[BT_FORMS + 1] = {"bittern", "hub", "timm", "transformers", "open_clip", "torchvision"};

typedef struct naming {
    const bt_vit *vit;
    bt_params *store;
    bt_export_form form;
    const bt_import_family *family; /* NULL: our own names */
    bool flat;                      /* CLIP keeps token and positions without the first axis */
    bt_named_tensors *out;
} naming;

/* ---- which library has such a tower ---- */

static bt_status refuse(bt_export_form form, const char *what) {
    return bt_error(BT_ERR_UNSUPPORTED, "%s has no tower with %s; --names bittern writes any", bt_form_names[form],
                    what);
}

static bt_status check_form(const bt_vit_config *c, bt_export_form form) {
    bool clip = c->pre_norm || c->output || c->no_patch_bias;
    if (form == BT_FORM_BITTERN) return BT_OK;
    if (c->positions == BT_VIT_ROTARY && form != BT_FORM_TRANSFORMERS) return refuse(form, "rotary positions");
    if (form == BT_FORM_OPEN_CLIP) {
        if (!c->pre_norm || !c->output || !c->no_patch_bias)
            return refuse(form, "anything but CLIP's norm before the blocks, projection, and patches without bias");
        if (c->registers) return refuse(form, "registers");
        return c->activation == BT_VIT_SWIGLU ? refuse(form, "SwiGLU") : BT_OK;
    }
    if (clip && form != BT_FORM_TIMM && form != BT_FORM_TRANSFORMERS)
        return refuse(form, "CLIP's norm before the blocks or its projection");
    if (form == BT_FORM_HUB && !c->layer_scale) return refuse(form, "residuals without layer scale");
    if (form == BT_FORM_TORCHVISION && (c->registers || c->layer_scale || c->activation != BT_VIT_GELU))
        return refuse(form, "registers, layer scale or another MLP than GELU");
    return BT_OK;
}

/** By a tensor that only one family has. */
static const bt_import_family *family_with(const char *key) {
    const bt_import_family *f = bt_import_families;
    while (f->modules || strcmp(f->key, key) != 0) f++;
    return f;
}

static const bt_import_family *family_of(const bt_vit_config *c, bt_export_form form) {
    switch (form) {
    case BT_FORM_HUB:
        return family_with("patch_embed.proj.weight"); /* the hub's comes before timm's */
    case BT_FORM_TIMM: {
        const bt_import_family *f = bt_import_families;
        while (strcmp(f->name, "timm") != 0) f++;
        return f;
    }
    case BT_FORM_TRANSFORMERS:
        return family_with(c->positions == BT_VIT_ROTARY ? "embeddings.patch_embeddings.weight"
                           : c->pre_norm                 ? "vision_model.embeddings.class_embedding"
                                                         : "embeddings.patch_embeddings.projection.weight");
    case BT_FORM_OPEN_CLIP:
        return family_with("visual.class_embedding");
    case BT_FORM_TORCHVISION:
        return family_with("conv_proj.weight");
    default:
        return NULL;
    }
}

/* ---- which of several rules ---- */

static bool within(const char *pattern, const char *text) {
    return strstr(pattern, text) != NULL;
}

/** Names of older files, and of other towers of the same family. */
static bool not_meant(const naming *n, const bt_import_rule *r) {
    const bt_vit_config *c = &n->vit->config;
    const char *from = r->from[0];
    bool gated = c->activation == BT_VIT_SWIGLU,
         plain_vit = within(n->family->key, "patch_embeddings.projection") && !c->layer_scale;
    if (within(from, "gamma_") || within(from, "mlp.linear_")) return true;
    if (within(from, "mlp.w12") || within(from, "mlp.w3") || within(from, "mlp.weights_") ||
        within(from, "mlp.gate_proj"))
        return !gated;
    if (within(from, "layernorm_before") || within(from, "layernorm_after") || within(from, "intermediate.dense") ||
        within(from, "layer.#.output.dense"))
        return !plain_vit;
    if (within(n->family->key, "patch_embeddings.projection")) {
        if (within(from, "mlp.fc")) return gated || plain_vit;
        return plain_vit && (within(from, ".norm1") || within(from, ".norm2"));
    }
    return false;
}

static bool zeros(const float *values, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (values[i] != 0) return false;
    return true;
}

static const bt_import_rule *choose_rule(const naming *n, int index, int *block, const char **rest) {
    const bt_param_spec *spec = bt_params_spec(n->store, index);
    for (const bt_import_rule *r = n->family->rules; r->to; r++) {
        if (!bt_import_match(r->to, spec->name, block, rest) || not_meant(n, r)) continue;
        int64_t third = bt_shape_count(spec->shape) / 3;
        bool bias =
            r->how == BT_IMPORT_CONCAT && within(spec->name, "qkv.bias") && n->vit->config.positions == BT_VIT_ROTARY;
        if (bias && zeros(bt_params_host(n->store, index) + third, third))
            continue; /* DINOv3's keys have no bias: the next rule */
        return r;
    }
    return NULL;
}

/* ---- tensors ---- */

static float *own(naming *n, int64_t count) {
    float *memory = bt_memory_alloc((size_t)count, sizeof *memory);
    if (memory) n->out->owned[n->out->owned_count++] = memory;
    return memory;
}

static bt_named_tensor *add(naming *n, const char *name, bt_shape shape, const float *data) {
    bt_named_tensor *t = &n->out->list[n->out->count++];
    snprintf(t->name, sizeof t->name, "%s", name);
    t->rank = shape.rank;
    for (int k = 0; k < shape.rank; k++) t->dim[k] = shape.dim[k];
    t->data = data;
    return t;
}

static bt_shape flat_shape(const naming *n, bt_shape s) {
    if (!n->flat || s.rank != 3) return s;
    return s.dim[1] == 1 ? bt_shape1(s.dim[2]) : bt_shape2(s.dim[1], s.dim[2]);
}

static bt_status add_transposed(naming *n, const char *name, const bt_param_spec *spec, const float *data) {
    int64_t rows = spec->shape.dim[0], cols = spec->shape.dim[1];
    float *out = own(n, rows * cols);
    if (!out) return BT_ERR_MEMORY;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) out[c * rows + r] = data[r * cols + c];
    add(n, name, bt_shape2(cols, rows), out);
    return BT_OK;
}

static bt_status add_parts(naming *n, const bt_import_rule *r, int block, const char *rest, const bt_param_spec *spec,
                           const float *data) {
    int count = r->from[2] ? 3 : r->from[1] ? 2 : 1, shares = r->how == BT_IMPORT_NO_K ? 3 : count;
    bt_shape shape = flat_shape(n, spec->shape);
    char name[256];
    if (count > 1) shape.dim[0] /= shares;
    for (int k = 0; k < count; k++) {
        int share = r->how == BT_IMPORT_NO_K && k == 1 ? 2 : k;
        bt_import_fill(r->from[k], block, rest, name, sizeof name);
        if (r->how == BT_IMPORT_TRANSPOSE) return add_transposed(n, name, spec, data);
        add(n, name, shape, data + share * bt_shape_count(shape));
    }
    return BT_OK;
}

/** timm adds the class token's position to the token where there are registers, and keeps those of patches alone. */
static bt_status add_timm_tokens(naming *n) {
    const bt_vit *v = n->vit;
    const float *cls = bt_params_host(n->store, v->cls), *pos = bt_params_host(n->store, v->pos);
    int64_t width = v->config.width, rows = bt_params_spec(n->store, v->pos)->shape.dim[1];
    float *sum = own(n, width);
    if (!sum) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < width; i++) sum[i] = cls[i] + pos[i];
    add(n, "cls_token", bt_shape3(1, 1, width), sum);
    add(n, "pos_embed", bt_shape3(1, rows - 1, width), pos + width);
    return BT_OK;
}

/** timm has CLIP's projection as a classifier, whose bias it sets to zeros. */
static bt_status add_timm_bias(naming *n) {
    int64_t output = n->vit->config.output;
    float *bias = own(n, output);
    if (!bias) return BT_ERR_MEMORY;
    memset(bias, 0, (size_t)output * sizeof *bias);
    add(n, "head.bias", bt_shape1(output), bias);
    return BT_OK;
}

static bt_status add_param(naming *n, int index) {
    const bt_param_spec *spec = bt_params_spec(n->store, index);
    const float *data = bt_params_host(n->store, index);
    bool tower = spec->kind != BT_PARAM_CONSTANT && strncmp(spec->name, "hashcoder.", 10) != 0 &&
                 strncmp(spec->name, "head.", 5) != 0 && !within(spec->name, ".lora_");
    int block;
    const char *rest;
    if (!tower) return BT_OK;
    if (!n->family) {
        add(n, spec->name, spec->shape, data);
        return BT_OK;
    }
    if (n->form == BT_FORM_TIMM && n->vit->config.registers && (index == n->vit->cls || index == n->vit->pos))
        return index == n->vit->cls ? add_timm_tokens(n) : BT_OK;
    const bt_import_rule *r = choose_rule(n, index, &block, &rest);
    if (!r) return bt_error(BT_ERR_UNSUPPORTED, "%s has no name for %s", bt_form_names[n->form], spec->name);
    BT_TRY(add_parts(n, r, block, rest, spec, data));
    return n->form == BT_FORM_TIMM && index == n->vit->projection ? add_timm_bias(n) : BT_OK;
}

bt_status bt_name_tensors(const bt_vit *vit, bt_params *store, bt_export_form form, bt_named_tensors *out) {
    size_t most = 3 * (size_t)bt_params_count(store) + 1;
    *out = (bt_named_tensors){.count = 0};
    BT_TRY(check_form(&vit->config, form));
    naming n = {.vit = vit, .store = store, .form = form, .family = family_of(&vit->config, form), .out = out};
    n.flat = form == BT_FORM_OPEN_CLIP || (form == BT_FORM_TRANSFORMERS && vit->config.pre_norm);
    out->list = bt_memory_alloc(most, sizeof *out->list);
    out->owned = bt_memory_alloc(4, sizeof *out->owned);
    bt_status status = out->list && out->owned ? BT_OK : BT_ERR_MEMORY;
    for (int i = 0; i < bt_params_count(store) && status == BT_OK; i++) status = add_param(&n, i);
    if (status != BT_OK) bt_named_tensors_free(out);
    return status;
}

void bt_named_tensors_free(bt_named_tensors *t) {
    for (int i = 0; i < t->owned_count; i++) bt_memory_free(t->owned[i]);
    bt_memory_free(t->owned);
    bt_memory_free(t->list);
    *t = (bt_named_tensors){.count = 0};
}

int bt_library_names(const bt_vit *vit, bt_params *store, bt_export_form form, int index, char name[3][256]) {
    naming n = {.vit = vit, .store = store, .form = form, .family = family_of(&vit->config, form)};
    int block, count = 0;
    const char *rest;
    if (!n.family) {
        snprintf(name[0], 256, "%s", bt_params_spec(store, index)->name);
        return 1;
    }
    const bt_import_rule *r = choose_rule(&n, index, &block, &rest);
    for (; r && count < 3 && r->from[count]; count++) bt_import_fill(r->from[count], block, rest, name[count], 256);
    return count;
}
