/* Adapters for peft. */
#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"
#include "formats/json.h"
#include "import/peft.h"

#include <stdio.h>
#include <string.h>

/** Of a block: q, k, v, proj, gate, up, fc2 by two names each, and a whole fc1. */
enum { MOST_LAYERS = 15 };

typedef struct writing {
    const bt_vit *vit;
    bt_params *store;
    bt_export_form form;
    bool fused; /* the library's qkv is one layer */
    int rank;   /* of the file */
    float alpha;
    bt_safetensors_source *source;
    char (*name)[320];
    int count;
    float **owned;
    int owned_count;
    bt_text layers; /* alternatives of a regular expression */
} writing;

/** "blocks.0.attn.qkv" into the expression, digits for its number. */
static void add_pattern(writing *w, const char *layer) {
    bt_text_append(&w->layers, "%s", w->layers.length ? "|" : "");
    for (const char *at = layer; *at; at++) {
        if (strncmp(at, ".0.", 3) == 0) {
            bt_text_append(&w->layers, "\\.\\d+\\.");
            at += 2;
        } else {
            bt_text_append(&w->layers, *at == '.' ? "\\." : "%c", *at);
        }
    }
}

static void add_matrix(writing *w, const char *layer, char which, int64_t rows, int64_t cols, const float *data) {
    char *name = w->name[w->count];
    snprintf(name, 320, "base_model.model.%s.lora_%c.weight", layer, which);
    w->source[w->count++] =
        (bt_safetensors_source){.name = name, .dtype = BT_FILE_F32, .rank = 2, .dim = {rows, cols}, .data = data};
}

/** A (rank, inputs), B (rows, rank) of one layer of the library. */
typedef struct matrices {
    const float *a, *b;
    int64_t rank, inputs, rows;
} matrices;

static void add_one(writing *w, const char *layer, bool first, const matrices *m) {
    if (first) add_pattern(w, layer);
    add_matrix(w, layer, 'A', m->rank, m->inputs, m->a);
    add_matrix(w, layer, 'B', m->rows, m->rank, m->b);
}

/** Under the published name, and those of later versions. */
static void add(writing *w, const char *layer, bool first, const matrices *m) {
    char name[2][256];
    bt_peft_share share[2];
    add_one(w, layer, first, m);
    int count = w->form == BT_FORM_TRANSFORMERS ? bt_peft_later_names(&w->vit->config, layer, name, share) : 0;
    for (int k = 0; k < count; k++) {
        matrices part = *m;
        if (share[k] != BT_PEFT_WHOLE) part.rows /= 2;
        if (share[k] == BT_PEFT_UP) part.b += part.rows * part.rank;
        add_one(w, name[k], first, &part);
    }
}

/** B of parts as one for all of qkv: (3 width, parts rank) with zeros where part and part do not meet. */
static bt_status add_stacked(writing *w, const char *layer, bool first, const bt_vit_linear *l) {
    const bt_lora *lora = &l->lora;
    int64_t columns = (int64_t)lora->parts * lora->rank;
    const float *b = bt_params_host(w->store, lora->b);
    float *wide = bt_memory_zeroed((size_t)(l->outputs * columns), sizeof *wide);
    if (!wide) return BT_ERR_MEMORY;
    w->owned[w->owned_count++] = wide;
    for (int k = 0; k < lora->parts; k++)
        for (int64_t row = 0; row < lora->part_width; row++)
            memcpy(wide + (lora->part[k] * lora->part_width + row) * columns + (int64_t)k * lora->rank,
                   b + ((int64_t)k * lora->part_width + row) * lora->rank, (size_t)lora->rank * sizeof *wide);
    add(w, layer, first, &(matrices){bt_params_host(w->store, lora->a), wide, columns, l->inputs, l->outputs});
    return BT_OK;
}

static bt_status add_layer(writing *w, const bt_vit_linear *l, bool first) {
    const bt_lora *lora = &l->lora;
    char name[3][256];
    if (lora->a < 0) return BT_OK;
    int count = bt_library_names(w->vit, w->store, w->form, l->w, name);
    bool parts = l->outputs == 3 * lora->part_width;
    const float *a = bt_params_host(w->store, lora->a), *b = bt_params_host(w->store, lora->b);
    for (int k = 0; k < count; k++) {
        int at = 0;
        name[k][strlen(name[k]) - 7] = 0; /* .weight */
        if (parts && count == 1) return add_stacked(w, name[k], first, l);
        while (parts && at < lora->parts && lora->part[at] != k) at++;
        if (parts && at == lora->parts) continue; /* of q, k, v this one has no adapter */
        int64_t rows = l->outputs / count;
        const matrices m = {a + (parts ? at : 0) * lora->rank * l->inputs, b + (parts ? at : k) * rows * lora->rank,
                            lora->rank, l->inputs, rows};
        add(w, name[k], first, &m);
    }
    return BT_OK;
}

static bt_status write_config(const writing *w, const char *folder) {
    char path[1100];
    bt_text json = {0};
    bt_json_writer j = bt_json_write_to(&json, true);
    bt_json_begin_object(&j);
    bt_json_member_string(&j, "peft_type", "LORA");
    bt_json_member_integer(&j, "r", w->rank);
    bt_json_member_number(&j, "lora_alpha", bt_number_shortest(w->alpha));
    bt_json_member_number(&j, "lora_dropout", 0);
    bt_json_member_string(
        &j, "target_modules",
        bt_text_get(&w->layers)); /* peft matches the whole name: "proj" alone would also be the patch embedding */
    bt_json_member_string(&j, "bias", "none");
    bt_json_member_bool(&j, "use_rslora", false);
    bt_json_member_bool(&j, "use_dora", false);
    bt_json_member_bool(&j, "fan_in_fan_out", false);
    bt_json_member_bool(&j, "inference_mode", true);
    bt_json_end(&j);
    bt_status status = bt_json_finish(&j);
    snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    if (status == BT_OK) status = bt_file_write(path, bt_text_get(&json), json.length);
    bt_text_free(&json);
    return status;
}

static bt_status gather(writing *w) {
    for (int i = 0; i < w->vit->config.depth; i++) {
        const bt_vit_block *b = &w->vit->block[i];
        const bt_vit_linear *layers[] = {&b->qkv, &b->proj, &b->fc1, &b->fc2};
        for (int k = 0; k < 4; k++) BT_TRY(add_layer(w, layers[k], i == 0));
    }
    return bt_text_status(&w->layers);
}

/** Parts of a fused qkv need P times the rank; then every other layer would need it too. */
static bt_status decide_rank(writing *w, const bt_lora_config *lora) {
    int parts = 0;
    for (uint32_t bit = BT_LORA_Q; bit <= BT_LORA_V; bit <<= 1) parts += (lora->targets & bit) != 0;
    w->rank = lora->rank;
    w->alpha = lora->alpha;
    if (!w->fused || parts < 2) return BT_OK;
    if (lora->targets & (BT_LORA_PROJ | BT_LORA_FC1 | BT_LORA_FC2))
        return bt_error(BT_ERR_UNSUPPORTED,
                        "adapters of %d of q, k, v (rank %d) become one of rank %d for a fused qkv, but those of proj, "
                        "fc1 or fc2 stay at %d, and peft's file has one "
                        "rank; write them for transformers, or merge them",
                        parts, lora->rank, parts * lora->rank, lora->rank);
    w->rank *= parts;
    w->alpha *= (float)parts;
    return BT_OK;
}

static bt_status write_all(writing *w, const bt_lora_config *lora, const char *folder) {
    size_t most = 2 * MOST_LAYERS * (size_t)w->vit->config.depth;
    char path[1100];
    if (snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder) >= (int)sizeof path)
        return bt_error(BT_ERR_IO, "%.60s...: a path of over %zu bytes", folder, sizeof path);
    BT_TRY(decide_rank(w, lora));
    w->source = bt_memory_zeroed(most, sizeof *w->source);
    w->name = bt_memory_zeroed(most, sizeof *w->name);
    w->owned = bt_memory_zeroed(most, sizeof *w->owned);
    if (!w->source || !w->name || !w->owned) return BT_ERR_MEMORY;
    BT_TRY(gather(w));
    BT_TRY(bt_file_make_folders(folder));
    BT_TRY(bt_safetensors_write(path, w->source, w->count, &(bt_safetensors_pair){"format", "pt"}, 1));
    return write_config(w, folder);
}

bt_status bt_peft_write(const bt_vit *vit, bt_params *store, const bt_lora_config *lora, bt_export_form form,
                        const char *folder) {
    writing w = {.vit = vit, .store = store, .form = form, .fused = form == BT_FORM_TIMM || form == BT_FORM_HUB};
    if (!lora->targets) return bt_error(BT_ERR_CONFIG, "there are no adapters (adapter.targets: none)");
    if (form != BT_FORM_TIMM && form != BT_FORM_HUB && form != BT_FORM_TRANSFORMERS)
        return bt_error(BT_ERR_UNSUPPORTED, "peft adapts towers of timm, hub or transformers, not %s",
                        bt_form_names[form]);
    bt_status status = write_all(&w, lora, folder);
    for (int i = 0; i < w.owned_count; i++) bt_memory_free(w.owned[i]);
    bt_memory_free(w.owned);
    bt_memory_free(w.source);
    bt_memory_free(w.name);
    bt_text_free(&w.layers);
    return status;
}
