/* Adapters that peft saved. */
#include "base/memory.h"
#include "formats/json.h"
#include "import/peft.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** What descriptions of models may say. */
#define ALPHA_MOST 1e6

/* ---- adapter_config.json ---- */

static bt_status refuse_flag(const bt_json_value *root, const char *key, const char *what) {
    const bt_json_value *v = bt_json_find(root, key);
    if (!v || v->type == BT_JSON_NULL || (v->type == BT_JSON_BOOL && !v->as.boolean) ||
        ((v->type == BT_JSON_OBJECT || v->type == BT_JSON_ARRAY) && v->count == 0))
        return BT_OK;
    return bt_error(BT_ERR_UNSUPPORTED, "%s: \"%s\" is set: %s", bt_json_name(root->document), key, what);
}

static bt_status read_config(const bt_json_value *root, bt_lora_config *out) {
    const char *text;
    int64_t rank;
    float alpha;
    bool root_rank = false;
    BT_TRY(bt_json_get_string(root, "peft_type", &text));
    if (strcmp(text, "LORA") != 0)
        return bt_error(BT_ERR_UNSUPPORTED, "%s: peft_type \"%.40s\"; only LORA is supported",
                        bt_json_name(root->document), text);
    BT_TRY(bt_json_get_integer(root, "r", 1, 1024, &rank));
    BT_TRY(bt_json_get_float(root, "lora_alpha", 0, ALPHA_MOST, &alpha));
    BT_TRY(refuse_flag(root, "use_dora", "magnitudes (DoRA) are not supported"));
    BT_TRY(refuse_flag(root, "rank_pattern", "one rank for all layers is supported"));
    BT_TRY(refuse_flag(root, "alpha_pattern", "one alpha for all layers is supported"));
    BT_TRY(refuse_flag(root, "modules_to_save", "whole modules beside the adapters are not supported"));
    const bt_json_value *bias = bt_json_find(root, "bias");
    if (bias && bias->type == BT_JSON_STRING && strcmp(bias->as.string, "none") != 0)
        return bt_error(BT_ERR_UNSUPPORTED, "%s: \"bias\" is \"%.20s\": trained biases are not supported",
                        bt_json_name(root->document), bias->as.string);
    const bt_json_value *rslora = bt_json_find(root, "use_rslora");
    root_rank = rslora && rslora->type == BT_JSON_BOOL && rslora->as.boolean;
    *out = (bt_lora_config){.rank = (int)rank, .alpha = (float)(root_rank ? alpha * sqrt((double)rank) : alpha)};
    return BT_OK;
}

/* ---- tensors ---- */

/** Splits "PATH.lora_A.weight" or "PATH.lora_A.NAME.weight"; 'A', 'B', or 0. */
static char split_name(const char *name, char *path, size_t bytes) {
    const char *at = strstr(name, ".lora_");
    if (!at || (at[6] != 'A' && at[6] != 'B') || at[7] != '.') return 0;
    size_t length = strlen(at);
    if (length < 14 || strcmp(at + length - 7, ".weight") != 0 || (size_t)(at - name) >= bytes) return 0;
    snprintf(path, bytes, "%.*s", (int)(at - name), name);
    return at[6];
}

static bt_status unknown_layer(const char *name) {
    return bt_error(BT_ERR_FORMAT,
                    strstr(name, "text_model.")
                        ? "tensor \"%s\" is an adapter of a text tower; only those of towers of pictures "
                          "are supported"
                        : "tensor \"%s\" is no adapter of an attention or MLP layer of a known vision "
                          "transformer",
                    name);
}

/** Whether count elements from two places are the same. */
static bt_status compare(const bt_weight *a, int64_t from_a, const bt_weight *b, int64_t from_b, int64_t count,
                         bool *same) {
    enum { STEP = 1024 };
    float left[STEP], right[STEP];
    *same = from_a + count <= a->count && from_b + count <= b->count;
    for (int64_t at = 0; at < count && *same; at += STEP) {
        int64_t n = count - at < STEP ? count - at : STEP;
        BT_TRY(bt_weight_to_f32(a, from_a + at, n, left));
        BT_TRY(bt_weight_to_f32(b, from_b + at, n, right));
        *same = memcmp(left, right, (size_t)n * sizeof *left) == 0;
    }
    return BT_OK;
}

/** A layer under two names (of two versions of transformers) has one adapter. */
static bt_status check_twin(const bt_weight *first, const bt_weight *second) {
    bool same = first->rank == 2 && first->count == second->count && first->dim[0] == second->dim[0];
    if (same) BT_TRY(compare(first, 0, second, 0, first->count, &same));
    return same ? BT_OK
                : bt_error(BT_ERR_FORMAT, "\"%s\" and \"%s\" are of the same layer, and differ", first->name,
                           second->name);
}

static bt_peft_pair *find_pair(const bt_peft *p, int block, uint32_t target, bt_peft_share share) {
    for (int i = 0; i < p->pairs; i++)
        if (p->pair[i].block == block && p->pair[i].target == target && p->pair[i].share == share) return &p->pair[i];
    return NULL;
}

static bt_status take_tensor(bt_peft *p, const bt_weight *w) {
    char path[512];
    int block;
    uint32_t target;
    bt_peft_share share;
    char which = split_name(w->name, path, sizeof path);
    if (!which || !bt_peft_layer_of(path, &block, &target, &share)) return unknown_layer(w->name);
    int64_t rank = w->rank == 2 ? w->dim[which == 'A' ? 0 : 1] : 0;
    if (rank != p->lora.rank)
        return bt_error(BT_ERR_FORMAT, "tensor \"%s\" has rank %lld, the configuration says r %d", w->name,
                        (long long)rank, p->lora.rank);
    bt_peft_pair *pair = find_pair(p, block, target, share);
    if (!pair) {
        pair = &p->pair[p->pairs++];
        *pair = (bt_peft_pair){.block = block, .target = target, .share = share};
    }
    const bt_weight **slot = which == 'A' ? &pair->a : &pair->b;
    if (*slot) return check_twin(*slot, w);
    *slot = w;
    if (block + 1 > p->depth) p->depth = block + 1;
    p->lora.targets |= target;
    return BT_OK;
}

/* ---- gates and what they gate ---- */

/** Half of a layer that is there as a whole too, as weights_in of transformers 4 and gate_proj, up_proj of 5: the same,
 * or an error. */
static bt_status check_half(const bt_peft_pair *half, const bt_peft_pair *whole) {
    bool same = half->b->dim[0] * 2 == whole->b->dim[0];
    int64_t from = half->share == BT_PEFT_UP ? half->b->count : 0;
    BT_TRY(check_twin(whole->a, half->a));
    if (same) BT_TRY(compare(whole->b, from, half->b, 0, half->b->count, &same));
    return same ? BT_OK
                : bt_error(BT_ERR_FORMAT, "\"%s\" and \"%s\" are of the same layer, and differ", whole->b->name,
                           half->b->name);
}

/** Takes away halves beside wholes, and says whether gate and up have an A each, which a rank twice as large stands
 * for. */
static bt_status settle_halves(bt_peft *p) {
    int kept = 0;
    for (int i = 0; i < p->pairs; i++) {
        const bt_peft_pair *whole = find_pair(p, p->pair[i].block, p->pair[i].target, BT_PEFT_WHOLE);
        if (p->pair[i].share && whole) BT_TRY(check_half(&p->pair[i], whole));
    }
    for (int i = 0; i < p->pairs; i++) {
        const bt_peft_pair *whole = find_pair(p, p->pair[i].block, p->pair[i].target, BT_PEFT_WHOLE);
        p->pair[i].doubled = p->pair[i].share && whole;
    }
    for (int i = 0; i < p->pairs; i++)
        if (!p->pair[i].doubled) p->pair[kept++] = p->pair[i];
    p->pairs = kept;
    for (int i = 0; i < p->pairs; i++) {
        const bt_peft_pair *up = find_pair(p, p->pair[i].block, p->pair[i].target, BT_PEFT_UP);
        bool same = p->pair[i].share != BT_PEFT_GATE || !up || p->pair[i].a->count == up->a->count;
        if (same && p->pair[i].share == BT_PEFT_GATE && up)
            BT_TRY(compare(p->pair[i].a, 0, up->a, 0, up->a->count, &same));
        p->stacked = p->stacked || !same;
    }
    return BT_OK;
}

/** Every block has every target, with both matrices. */
static bt_status check_whole(bt_peft *p) {
    int kinds = 0;
    for (int i = 0; i < p->pairs; i++)
        if (!p->pair[i].a || !p->pair[i].b)
            return bt_error(BT_ERR_FORMAT, "\"%s\" has no partner",
                            p->pair[i].a ? p->pair[i].a->name : p->pair[i].b->name);
    if (p->pairs == 0) return bt_error(BT_ERR_FORMAT, "there is no adapter in it");
    BT_TRY(settle_halves(p));
    bool alike = true;
    for (int i = 0; i < p->pairs; i++) {
        kinds += p->pair[i].block == p->depth - 1;
        alike = alike && find_pair(p, p->depth - 1, p->pair[i].target, p->pair[i].share);
    }
    if (!alike || p->pairs != kinds * p->depth)
        return bt_error(BT_ERR_UNSUPPORTED,
                        "%d adapters in %d blocks: blocks that are adapted differently are not supported", p->pairs,
                        p->depth);
    if ((p->lora.targets & BT_LORA_QKV) && (p->lora.targets & (BT_LORA_Q | BT_LORA_K | BT_LORA_V)))
        return bt_error(BT_ERR_FORMAT, "qkv is adapted as a whole and in parts");
    if (p->stacked && p->lora.rank > 512)
        return bt_error(BT_ERR_UNSUPPORTED, "gate and up have adapters of rank %d each; together at most 1024",
                        p->lora.rank);
    return BT_OK;
}

static bt_status read_tensors(bt_peft *p) {
    int64_t count = bt_weights_count(p->weights);
    p->pair = bt_memory_alloc((size_t)count + 1, sizeof *p->pair);
    if (!p->pair) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < count; i++) BT_TRY(take_tensor(p, bt_weights_at(p->weights, i)));
    BT_TRY(check_whole(p));
    if (p->stacked) { /* alpha / rank stays */
        p->lora.rank *= 2;
        p->lora.alpha *= 2;
    }
    if (p->lora.alpha > ALPHA_MOST)
        return bt_error(BT_ERR_UNSUPPORTED, "alpha comes to %g (rslora, or gate and up apart); at most %g",
                        (double)p->lora.alpha, ALPHA_MOST);
    return BT_OK;
}

bt_status bt_peft_open(const char *folder, bt_peft *out) {
    char path[1100];
    bt_json *json;
    bt_peft p = {.depth = 0};
    if (snprintf(path, sizeof path, "%s/adapter_config.json", folder) >= (int)sizeof path)
        return bt_error(BT_ERR_IO, "%.60s...: a path of over %zu bytes", folder, sizeof path);
    BT_TRY(bt_json_read(path, &json));
    bt_status status = read_config(bt_json_root(json), &p.lora);
    bt_json_free(json);
    BT_TRY(status);
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    BT_TRY(bt_weights_open(path, &p.weights));
    status = read_tensors(&p);
    if (status != BT_OK) {
        bt_peft_close(&p);
        return bt_error_prefix(status, "%s", path);
    }
    *out = p;
    return BT_OK;
}

void bt_peft_close(bt_peft *p) {
    bt_memory_free(p->pair);
    if (p->weights) bt_weights_close(p->weights);
    *p = (bt_peft){.depth = 0};
}

/* ---- into a tower ---- */

static const bt_vit_linear *layer_of(const bt_vit_block *b, uint32_t target) {
    return target == BT_LORA_PROJ  ? &b->proj
           : target == BT_LORA_FC1 ? &b->fc1
           : target == BT_LORA_FC2 ? &b->fc2
                                   : &b->qkv;
}

/** Which of a layer's parts a target is. */
static int part_of(const bt_lora *l, uint32_t target) {
    int third = target == BT_LORA_K ? 1 : target == BT_LORA_V ? 2 : 0, k = 0;
    if (l->parts == 1) return 0;
    while (l->part[k] != third) k++;
    return k;
}

/** Rows of B that a pair fills, and the first of them among its part's. */
static int64_t rows_of(const bt_peft_pair *p, const bt_vit_linear *layer, bool gated, int64_t *first) {
    bool half = p->share && gated;
    *first = half && p->share == BT_PEFT_UP ? layer->outputs / 2 : 0;
    if (half) return layer->outputs / 2;
    return p->target & (BT_LORA_Q | BT_LORA_K | BT_LORA_V) ? layer->outputs / 3 : layer->outputs;
}

/** Rank rows of A and columns of B from `column` on; the others stay 0, so the product is the pair's. */
static bt_status fill_pair(const bt_peft_pair *p, const bt_vit_linear *layer, bool gated, int column,
                           bt_params *store) {
    const bt_lora *l = &layer->lora;
    int64_t first, rows = rows_of(p, layer, gated, &first), rank = p->a->dim[0];
    if (p->share == BT_PEFT_GATE && !gated)
        return bt_error(BT_ERR_FORMAT, "%s: the tower's MLP has no gate", p->a->name);
    if (p->a->dim[1] != layer->inputs || p->b->dim[0] != rows)
        return bt_error(BT_ERR_FORMAT,
                        "%s goes from %lld to %lld, the tower's layer from %lld to %lld: not an adapter of this tower",
                        p->a->name, (long long)p->a->dim[1], (long long)p->b->dim[0], (long long)layer->inputs,
                        (long long)rows);
    int64_t k = part_of(l, p->target), to = k * l->part_width + first;
    BT_TRY(
        bt_weight_to_f32(p->a, 0, p->a->count, bt_params_host(store, l->a) + (k * l->rank + column) * layer->inputs));
    for (int64_t row = 0; row < rows; row++)
        BT_TRY(bt_weight_to_f32(p->b, row * rank, rank, bt_params_host(store, l->b) + (to + row) * l->rank + column));
    return BT_OK;
}

bt_status bt_peft_fill(const bt_peft *p, const bt_vit *vit, bt_params *store) {
    if (p->depth != vit->config.depth)
        return bt_error(BT_ERR_FORMAT, "adapters of %d blocks, the tower has %d", p->depth, vit->config.depth);
    bool gated = vit->config.activation == BT_VIT_SWIGLU;
    for (int i = 0; i < p->pairs; i++) {
        int column = p->stacked && p->pair[i].share == BT_PEFT_UP ? p->lora.rank / 2 : 0;
        BT_TRY(
            fill_pair(&p->pair[i], layer_of(&vit->block[p->pair[i].block], p->pair[i].target), gated, column, store));
    }
    return BT_OK;
}
