/* Adapters that peft saved. */
#include "base/memory.h"
#include "formats/json.h"
#include "import/peft.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    double alpha;
    bool root_rank = false;
    BT_TRY(bt_json_get_string(root, "peft_type", &text));
    if (strcmp(text, "LORA") != 0)
        return bt_error(BT_ERR_UNSUPPORTED, "%s: peft_type \"%.40s\"; only LORA is supported",
                        bt_json_name(root->document), text);
    BT_TRY(bt_json_get_integer(root, "r", 1, 1024, &rank));
    BT_TRY(bt_json_get_number(root, "lora_alpha", &alpha));
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

/* ---- names ---- */

static const struct {
    const char *layer;
    uint32_t target;
} layers[] = {
    {"blocks.#.attn.qkv", BT_LORA_QKV},
    {"blocks.#.attn.proj", BT_LORA_PROJ},
    {"blocks.#.mlp.fc1", BT_LORA_FC1},
    {"blocks.#.mlp.w12", BT_LORA_FC1},
    {"blocks.#.mlp.fc2", BT_LORA_FC2},
    {"blocks.#.mlp.w3", BT_LORA_FC2},
    {"encoder.layer.#.attention.attention.query", BT_LORA_Q},
    {"encoder.layer.#.attention.attention.key", BT_LORA_K},
    {"encoder.layer.#.attention.attention.value", BT_LORA_V},
    {"encoder.layer.#.attention.output.dense", BT_LORA_PROJ},
    {"encoder.layer.#.mlp.fc1", BT_LORA_FC1},
    {"encoder.layer.#.mlp.weights_in", BT_LORA_FC1},
    {"encoder.layer.#.intermediate.dense", BT_LORA_FC1},
    {"encoder.layer.#.mlp.fc2", BT_LORA_FC2},
    {"encoder.layer.#.mlp.weights_out", BT_LORA_FC2},
    {"encoder.layer.#.output.dense", BT_LORA_FC2},
    {"layer.#.attention.q_proj", BT_LORA_Q},
    {"layer.#.attention.k_proj", BT_LORA_K},
    {"layer.#.attention.v_proj", BT_LORA_V},
    {"layer.#.attention.o_proj", BT_LORA_PROJ},
    {"layer.#.mlp.up_proj", BT_LORA_FC1},
    {"layer.#.mlp.down_proj", BT_LORA_FC2},
    {"encoder.layers.#.self_attn.q_proj", BT_LORA_Q},
    {"encoder.layers.#.self_attn.k_proj", BT_LORA_K},
    {"encoder.layers.#.self_attn.v_proj", BT_LORA_V},
    {"encoder.layers.#.self_attn.out_proj", BT_LORA_PROJ},
    {"encoder.layers.#.mlp.fc1", BT_LORA_FC1},
    {"encoder.layers.#.mlp.fc2", BT_LORA_FC2},
};

/** The layer that a path ends with: "base_model.model.blocks.3.attn.qkv". */
static uint32_t target_of(const char *path, int *block) {
    const char *rest;
    for (const char *at = path; at; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL)
        for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
            if (bt_import_match(layers[i].layer, at, block, &rest)) return layers[i].target;
    return 0;
}

/** Splits "PATH.lora_A.weight" or "PATH.lora_A.NAME.weight"; 'A', 'B', or 0. */
static char split_name(const char *name, char *path, size_t bytes) {
    const char *at = strstr(name, ".lora_");
    if (!at || (at[6] != 'A' && at[6] != 'B') || at[7] != '.') return 0;
    size_t length = strlen(at);
    if (length < 14 || strcmp(at + length - 7, ".weight") != 0 || (size_t)(at - name) >= bytes) return 0;
    snprintf(path, bytes, "%.*s", (int)(at - name), name);
    return at[6];
}

static bt_status take_tensor(bt_peft *p, const bt_weight *w) {
    char path[512];
    int block = -1;
    char which = split_name(w->name, path, sizeof path);
    uint32_t target = which ? target_of(path, &block) : 0;
    if (!target)
        return bt_error(BT_ERR_FORMAT,
                        "tensor \"%s\" is no adapter of an attention or MLP layer of a known vision transformer",
                        w->name);
    int64_t rank = w->rank == 2 ? w->dim[which == 'A' ? 0 : 1] : 0;
    if (rank != p->lora.rank)
        return bt_error(BT_ERR_FORMAT, "tensor \"%s\" has rank %lld, the configuration says r %d", w->name,
                        (long long)rank, p->lora.rank);
    int i = 0;
    while (i < p->pairs && (p->pair[i].block != block || p->pair[i].target != target)) i++;
    if (i == p->pairs) p->pair[p->pairs++] = (bt_peft_pair){.block = block, .target = target};
    const bt_weight **slot = which == 'A' ? &p->pair[i].a : &p->pair[i].b;
    if (*slot) return bt_error(BT_ERR_FORMAT, "\"%s\" and \"%s\" are of the same layer", (*slot)->name, w->name);
    *slot = w;
    if (block + 1 > p->depth) p->depth = block + 1;
    p->lora.targets |= target;
    return BT_OK;
}

/** Every block has every target, with both matrices. */
static bt_status check_whole(const bt_peft *p) {
    int targets = 0;
    for (uint32_t m = p->lora.targets; m; m &= m - 1) targets++;
    for (int i = 0; i < p->pairs; i++)
        if (!p->pair[i].a || !p->pair[i].b)
            return bt_error(BT_ERR_FORMAT, "\"%s\" has no partner",
                            p->pair[i].a ? p->pair[i].a->name : p->pair[i].b->name);
    if (p->pairs == 0) return bt_error(BT_ERR_FORMAT, "there is no adapter in it");
    if (p->pairs != targets * p->depth)
        return bt_error(BT_ERR_UNSUPPORTED,
                        "%d adapters in %d blocks: blocks that are adapted differently are not supported", p->pairs,
                        p->depth);
    if ((p->lora.targets & BT_LORA_QKV) && (p->lora.targets & (BT_LORA_Q | BT_LORA_K | BT_LORA_V)))
        return bt_error(BT_ERR_FORMAT, "qkv is adapted as a whole and in parts");
    return BT_OK;
}

static bt_status read_tensors(bt_peft *p) {
    int64_t count = bt_weights_count(p->weights);
    p->pair = bt_memory_alloc((size_t)count + 1, sizeof *p->pair);
    if (!p->pair) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < count; i++) BT_TRY(take_tensor(p, bt_weights_at(p->weights, i)));
    return check_whole(p);
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

static bt_status fill_pair(const bt_peft_pair *p, const bt_vit_linear *layer, bt_params *store) {
    const bt_lora *l = &layer->lora;
    int k = part_of(l, p->target);
    int64_t outputs = p->target & (BT_LORA_Q | BT_LORA_K | BT_LORA_V) ? layer->outputs / 3 : layer->outputs;
    if (p->a->dim[1] != layer->inputs || p->b->dim[0] != outputs)
        return bt_error(BT_ERR_FORMAT,
                        "%s goes from %lld to %lld, the tower's layer from %lld to %lld: not an adapter of this tower",
                        p->a->name, (long long)p->a->dim[1], (long long)p->b->dim[0], (long long)layer->inputs,
                        (long long)outputs);
    BT_TRY(bt_weight_to_f32(p->a, 0, p->a->count, bt_params_host(store, l->a) + (int64_t)k * l->rank * layer->inputs));
    return bt_weight_to_f32(p->b, 0, p->b->count, bt_params_host(store, l->b) + (int64_t)k * l->part_width * l->rank);
}

bt_status bt_peft_fill(const bt_peft *p, const bt_vit *vit, bt_params *store) {
    if (p->depth != vit->config.depth)
        return bt_error(BT_ERR_FORMAT, "adapters of %d blocks, the tower has %d", p->depth, vit->config.depth);
    for (int i = 0; i < p->pairs; i++)
        BT_TRY(fill_pair(&p->pair[i], layer_of(&vit->block[p->pair[i].block], p->pair[i].target), store));
    return BT_OK;
}
