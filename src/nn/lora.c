/* LoRA adapters: names, initial values, and their cut to a range of a layer's outputs. */
#include "nn/lora.h"

#include "nn/init.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t mask;
} targets[] = {{"q", BT_LORA_Q},       {"k", BT_LORA_K},     {"v", BT_LORA_V},    {"qkv", BT_LORA_QKV},
               {"proj", BT_LORA_PROJ}, {"fc1", BT_LORA_FC1}, {"fc2", BT_LORA_FC2}};

bt_status bt_lora_parse_targets(const char *text, uint32_t *mask) {
    uint32_t found = 0;
    if (strcmp(text, "none") != 0)
        for (const char *at = text;;) {
            size_t length = strcspn(at, ",");
            uint32_t one = 0;
            for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
                if (strlen(targets[i].name) == length && memcmp(targets[i].name, at, length) == 0)
                    one = targets[i].mask;
            if (!one)
                return bt_error(
                    BT_ERR_CONFIG,
                    "adapter target \"%.*s\" is unknown; allowed: none, or a list of q, k, v, qkv, proj, fc1, fc2",
                    (int)length, at);
            found |= one;
            if (!at[length]) break;
            at += length + 1;
        }
    if ((found & BT_LORA_QKV) && (found & (BT_LORA_Q | BT_LORA_K | BT_LORA_V)))
        return bt_error(BT_ERR_CONFIG,
                        "adapter targets \"%s\": qkv is one adapter for all three; it excludes q, k and v", text);
    *mask = found;
    return BT_OK;
}

void bt_lora_write_targets(uint32_t mask, char *text, size_t bytes) {
    size_t at = 0;
    snprintf(text, bytes, "none");
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        if ((mask & targets[i].mask) && at < bytes)
            at += (size_t)snprintf(text + at, bytes - at, "%s%s", at ? "," : "", targets[i].name);
}

bt_lora bt_lora_declare(bt_params *store, const char *layer, int64_t inputs, int64_t part_width, const int *part,
                        int parts, const bt_lora_config *config, int stream, int group, float decay, uint64_t seed) {
    bt_lora l = {.a = -1,
                 .b = -1,
                 .parts = parts,
                 .rank = config->rank,
                 .part_width = part_width,
                 .scale = config->alpha / (float)config->rank,
                 .dropout = config->dropout,
                 .stream = stream};
    for (int k = 0; k < parts; k++) l.part[k] = part[k];
    char name[128];
    snprintf(name, sizeof name, "%s.lora_A.weight", layer);
    bt_param_spec spec = {.name = name,
                          .shape = bt_shape2((int64_t)parts * l.rank, inputs),
                          .kind = BT_PARAM_WEIGHT,
                          .trainable = true,
                          .group = group,
                          .decay = decay};
    l.a = bt_declare(store, &spec);
    bt_init_uniform(store, l.a, 1.0f / sqrtf((float)inputs), seed);
    snprintf(name, sizeof name, "%s.lora_B.weight", layer);
    spec.shape = bt_shape2(parts * part_width, l.rank);
    l.b = bt_declare(store, &spec);
    return l;
}

bt_lora_values bt_lora_range(bt_program *p, bt_params *store, const bt_lora *l, int64_t first, int64_t count) {
    bt_lora_values out = {.scale = l->scale, .dropout = l->dropout, .stream = l->stream, .rank = l->rank};
    if (l->a < 0) return out;
    if (l->parts == 1 && l->part_width >= count) { /* one adapter over the whole layer: cut B, share A */
        int64_t from = first - l->part[0] * l->part_width;
        if (from < 0 || from + count > l->part_width) return out;
        out.parts = 1;
        out.part_width = count;
        out.a = bt_param(p, store, l->a);
        out.b = count == l->part_width ? bt_param(p, store, l->b) : bt_param_rows(p, store, l->b, from, count);
        return out;
    }
    int begin = -1;
    for (int k = 0; k < l->parts; k++) {
        int64_t column = l->part[k] * l->part_width - first;
        if (column < 0 || column + l->part_width > count) continue;
        if (begin < 0) begin = k;
        out.part_column[out.parts++] = column;
    }
    if (!out.parts) return out;
    out.part_width = l->part_width;
    bool all = out.parts == l->parts;
    out.a = all ? bt_param(p, store, l->a)
                : bt_param_rows(p, store, l->a, (int64_t)begin * l->rank, (int64_t)out.parts * l->rank);
    out.b = all ? bt_param(p, store, l->b)
                : bt_param_rows(p, store, l->b, begin * l->part_width, out.parts * l->part_width);
    return out;
}
