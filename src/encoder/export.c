/* Merging and writing. */
#include "encoder/export.h"

#include "base/memory.h"

#include <bittern/safetensors.h>

#include <stdio.h>
#include <string.h>

/* ---- merging ---- */

/** w (outputs, inputs) += scale * B A, part by part; one rounding an element. `sum` (inputs). */
static void merge_layer(bt_params *store, const bt_vit_linear *layer, double *sum) {
    const bt_lora *l = &layer->lora;
    const float *a = bt_params_host(store, l->a), *b = bt_params_host(store, l->b);
    float *w = bt_params_host(store, layer->w);
    for (int k = 0; k < l->parts; k++)
        for (int64_t row = 0; row < l->part_width; row++) {
            memset(sum, 0, (size_t)layer->inputs * sizeof *sum);
            for (int r = 0; r < l->rank; r++) {
                double factor = (double)b[(k * l->part_width + row) * l->rank + r];
                const float *from = a + ((int64_t)k * l->rank + r) * layer->inputs;
                for (int64_t i = 0; i < layer->inputs; i++) sum[i] += factor * (double)from[i];
            }
            float *to = w + (l->part[k] * l->part_width + row) * layer->inputs;
            for (int64_t i = 0; i < layer->inputs; i++) to[i] = (float)((double)to[i] + (double)l->scale * sum[i]);
        }
}

bt_status bt_model_merge(bt_model *m, int64_t *merged) {
    int64_t widest = m->vit.config.width > m->vit.config.mlp ? m->vit.config.width : m->vit.config.mlp;
    double *sum = bt_memory_alloc((size_t)widest, sizeof *sum);
    if (!sum) return BT_ERR_MEMORY;
    for (int i = 0; i < m->vit.config.depth; i++) {
        bt_vit_block *b = &m->vit.block[i];
        bt_vit_linear *layers[] = {&b->qkv, &b->proj, &b->fc1, &b->fc2};
        for (int k = 0; k < 4; k++) {
            if (layers[k]->lora.a < 0) continue;
            merge_layer(m->store, layers[k], sum);
            layers[k]->lora.a = layers[k]->lora.b = -1;
            ++*merged;
        }
    }
    bt_memory_free(sum);
    return BT_OK;
}

/* ---- writing ---- */

static bool wanted(const bt_param_spec *spec, bool adapters) {
    const char *name = spec->name;
    bool lora = strstr(name, ".lora_") != NULL;
    bool head = strncmp(name, "hashcoder.", 10) == 0 || strncmp(name, "head.", 5) == 0;
    return spec->kind != BT_PARAM_CONSTANT && (adapters ? lora || head : !lora);
}

bt_status bt_model_write(const bt_model *m, bool adapters, const char *out, bt_export_result *r) {
    bt_text json = {0};
    bt_safetensors_source *sources = bt_memory_zeroed((size_t)bt_params_count(m->store), sizeof *sources);
    bt_status status = sources ? bt_model_info_write(&r->info, adapters, &json) : BT_ERR_MEMORY;
    for (int i = 0; status == BT_OK && i < bt_params_count(m->store); i++) {
        const bt_param_spec *spec = bt_params_spec(m->store, i);
        if (!wanted(spec, adapters)) continue;
        bt_safetensors_source *s = &sources[r->tensors++];
        *s = (bt_safetensors_source){
            .name = spec->name, .dtype = BT_FILE_F32, .rank = spec->shape.rank, .data = bt_params_host(m->store, i)};
        for (int k = 0; k < s->rank; k++) s->dim[k] = spec->shape.dim[k];
        r->bytes += (double)bt_shape_count(spec->shape) * sizeof(float);
    }
    /* "pt": shapes are PyTorch's, which its readers ask for. */
    const bt_safetensors_pair metadata[] = {{BT_MODEL_INFO_KEY, bt_text_get(&json)}, {"format", "pt"}};
    if (status == BT_OK) status = bt_safetensors_write(out, sources, r->tensors, metadata, 2);
    bt_text_free(&json);
    bt_memory_free(sources);
    return status;
}

/** The tower under a library's names. */
static bt_status write_named(const bt_model *m, bt_export_form form, const char *out, bt_export_result *r) {
    bt_named_tensors named;
    BT_TRY(bt_name_tensors(&m->vit, m->store, form, &named));
    bt_safetensors_source *sources = bt_memory_zeroed((size_t)named.count, sizeof *sources);
    bt_status status = sources ? BT_OK : BT_ERR_MEMORY;
    for (int i = 0; i < named.count && status == BT_OK; i++) {
        const bt_named_tensor *t = &named.list[i];
        double count = 1;
        sources[i] = (bt_safetensors_source){.name = t->name, .dtype = BT_FILE_F32, .rank = t->rank, .data = t->data};
        for (int k = 0; k < t->rank; k++) count *= (double)(sources[i].dim[k] = t->dim[k]);
        r->bytes += count * sizeof(float);
    }
    if (status == BT_OK)
        status = bt_safetensors_write(out, sources, named.count, &(bt_safetensors_pair){"format", "pt"}, 1);
    r->tensors = named.count;
    bt_memory_free(sources);
    bt_named_tensors_free(&named);
    return status;
}

bt_status bt_model_export(const bt_model_source *source, bool adapters, bt_export_form form, const char *out,
                          bt_export_result *result) {
    bt_export_result r = {.tensors = 0};
    bt_model m = {.store = NULL};
    BT_TRY(bt_model_open(source, BT_F32, &r.info, &m));
    bt_status status = BT_OK;
    if (adapters && !r.info.lora.targets)
        status = bt_error(BT_ERR_CONFIG, "%s has no adapters (adapter.targets: none); export it without --adapter",
                          source->path);
    if (adapters && status == BT_OK) r.info.tower_crc = bt_model_tower_crc(&m);
    if (!adapters && status == BT_OK) status = bt_model_merge(&m, &r.merged);
    if (status == BT_OK)
        status = form == BT_FORM_BITTERN ? bt_model_write(&m, adapters, out, &r) : write_named(&m, form, out, &r);
    bt_model_release(&m);
    if (status == BT_OK) *result = r;
    return status;
}

bt_status bt_tower_write(const bt_import_result *tower, const char *out) {
    bt_export_result r = {
        .info = {.method = &bt_method_features, .targets = "none", .vit = tower->config, .pictures = tower->pictures}};
    const bt_model m = {.store = tower->store, .vit = tower->vit, .method = &bt_method_features};
    snprintf(r.info.tower, sizeof r.info.tower, "%s", tower->family);
    return bt_model_write(&m, false, out, &r);
}
