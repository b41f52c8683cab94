/* Fixtures: files of make_fixtures.py. */
#include "parity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *fixture_text(const fixture *f, const char *key) {
    const char *value = bt_safetensors_metadata(f->file, key);
    if (!value) bt_panic(__FILE__, __LINE__, "the fixture has no \"%s\"; make it again", key);
    return value;
}

double fixture_number(const fixture *f, const char *key) {
    return atof(fixture_text(f, key));
}
static int whole(const fixture *f, const char *key) {
    return atoi(fixture_text(f, key));
}

const void *fixture_data(const fixture *f, const char *name) {
    const bt_safetensors_entry *e = bt_safetensors_find(f->file, name);
    if (!e) bt_panic(__FILE__, __LINE__, "the fixture has no tensor \"%s\"", name);
    return e->data;
}

float *fixture_floats(const fixture *f, const char *name, int64_t *count) {
    const bt_safetensors_entry *e = bt_safetensors_find(f->file, name);
    if (!e) bt_panic(__FILE__, __LINE__, "the fixture has no tensor \"%s\"", name);
    float *out = malloc(e->bytes + 1);
    BT_ASSERT(out && bt_safetensors_to_f32(e, out) == BT_OK);
    if (count) *count = e->count;
    return out;
}

int fixture_load(fixture *f, const char *prefix, bt_param_slot slot, bool committed) {
    int found = 0;
    for (int i = 0; i < bt_params_count(f->model.store); i++) {
        const bt_param_spec *spec = bt_params_spec(f->model.store, i);
        char name[200];
        snprintf(name, sizeof name, "%s%s", prefix, spec->name);
        const bt_safetensors_entry *e = bt_safetensors_find(f->file, name);
        if (!e) continue;
        if (e->count != bt_shape_count(spec->shape)) bt_panic(__FILE__, __LINE__, "%s has another shape", name);
        float *values = fixture_floats(f, name, NULL);
        if (committed)
            BT_ASSERT(bt_params_write(f->model.store, i, slot, values) == BT_OK);
        else
            memcpy(bt_params_host(f->model.store, i), values, e->bytes);
        free(values);
        found++;
    }
    return found;
}

bt_status fixture_open(fixture *f, const char *path, bt_device *device, bt_dtype compute, bool given_targets) {
    *f = (fixture){.device = device};
    BT_TRY(bt_safetensors_open(path, &f->file));
    bool classify = strcmp(fixture_text(f, "method"), "classify") == 0;
    bt_vit_config vit = {.image = whole(f, "image"),
                         .patch = whole(f, "patch"),
                         .width = whole(f, "width"),
                         .depth = whole(f, "depth"),
                         .heads = whole(f, "heads"),
                         .mlp = whole(f, "mlp"),
                         .layer_scale = whole(f, "layer_scale"),
                         .norm_eps = 1e-6f};
    bt_vit_training t = {.full = whole(f, "full"),
                         .lora = {.rank = whole(f, "rank"),
                                  .alpha = (float)fixture_number(f, "alpha"),
                                  .dropout = (float)fixture_number(f, "dropout")},
                         .decay = (float)fixture_number(f, "decay"),
                         .seed = 99};
    BT_TRY(bt_lora_parse_targets(*fixture_text(f, "targets") ? fixture_text(f, "targets") : "none", &t.lora.targets));
    bt_method_config c = {.views = whole(f, "views"),
                          .classes = whole(f, "classes"),
                          .bits = whole(f, "bits"),
                          .head =
                              strcmp(fixture_text(f, "head"), "large") == 0 ? BT_HASHCODER_LARGE : BT_HASHCODER_SMALL,
                          .without_norm = strcmp(fixture_text(f, "method"), "crovca") == 0 && !whole(f, "batch_norm"),
                          .supervised = whole(f, "supervised"),
                          .given_targets = given_targets,
                          .align_weight = 1,
                          .rate_weight = (float)fixture_number(f, "rate_weight"),
                          .rate_eps = 0.05f};
    f->batch = whole(f, "batch");
    bt_model_init(&f->model, classify ? &bt_method_classify : &bt_method_crovca, &c, &vit, &t, compute);
    return BT_OK;
}

void fixture_close(fixture *f) {
    bt_model_release(&f->model);
    if (f->file) bt_safetensors_close(f->file);
}

double relative_difference(const float *a, const float *b, int64_t count) {
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        double d = (double)a[i] - (double)b[i];
        difference += d * d;
        norm += (double)b[i] * (double)b[i];
    }
    return norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}
