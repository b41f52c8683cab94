/* The scenes. */
#include "scenes.h"

#include <bittern/random.h>

#include <stdlib.h>
#include <string.h>

enum { IMAGE = 16, CLASSES = 5, BITS = 24 };
#define CROVCA(...)                                                                                                    \
    &bt_method_crovca, {                                                                                               \
        .views = 2, .classes = CLASSES, .bits = BITS, .align_weight = 1, .rate_weight = 0.125f, .rate_eps = 0.05f,     \
        __VA_ARGS__                                                                                                    \
    }
#define LORA(...)                                                                                                      \
    { .lora = {.rank = 4, .alpha = 8, __VA_ARGS__}, .decay = 0.01f, .seed = 7 }

const scene scenes[] = {
    {"unsupervised, adapters on q and v with dropout", CROVCA(.head = BT_HASHCODER_SMALL),
     LORA(.targets = BT_LORA_Q | BT_LORA_V, .dropout = 0.125f), BT_RECOMPUTE_CHEAP, 0, 0, 0, false},
    {"supervised, large head, adapters on qkv and proj, clipped",
     CROVCA(.supervised = true, .head = BT_HASHCODER_LARGE), LORA(.targets = BT_LORA_QKV | BT_LORA_PROJ),
     BT_RECOMPUTE_BLOCKS, 0, 1, 0, false},
    {"classify, all weights, clipped",
     &bt_method_classify,
     {.views = 1, .classes = CLASSES},
     {.full = true, .decay = 0.01f, .seed = 7},
     BT_RECOMPUTE_NONE,
     0,
     1,
     0,
     false},
    {"unsupervised in chunks, head first, adapters on q, v and fc1 with dropout", CROVCA(.head = BT_HASHCODER_SMALL),
     LORA(.targets = BT_LORA_Q | BT_LORA_V | BT_LORA_FC1, .dropout = 0.125f), BT_RECOMPUTE_CHEAP, 4, 0, 2, false},
    {"unsupervised in chunks, views made in the step", CROVCA(.head = BT_HASHCODER_SMALL),
     LORA(.targets = BT_LORA_Q | BT_LORA_V), BT_RECOMPUTE_CHEAP, 4, 0, 0, true},
};
const int scene_count = sizeof scenes / sizeof scenes[0];

enum { PIXELS = 1000, LABEL, TARGET, WEIGHT, RECORD }; /* streams */

/** Element `i` of what is drawn for a step, or for a parameter. */
static uint32_t draw(int64_t step, uint32_t stream, int64_t i) {
    return bt_random_block(1, step, stream, 0, (uint32_t)i / 4).word[i % 4];
}

/** Initial values with which no gradient drowns in rounding: larger weights, as the tower is narrow, and adapters that
 * are not zero. */
static void raise_signal(bt_params *store) {
    for (int i = 0; i < bt_params_count(store); i++) {
        const bt_param_spec *spec = bt_params_spec(store, i);
        if (spec->kind != BT_PARAM_WEIGHT) continue;
        float *value = bt_params_host(store, i);
        bool zero = strstr(spec->name, "lora_B") != NULL;
        for (int64_t k = 0; k < bt_shape_count(spec->shape); k++) {
            if (zero)
                value[k] = (bt_random_unit(draw(i, WEIGHT, k)) - 0.5f) / 4;
            else if (!spec->trainable)
                value[k] *= 6;
        }
    }
}

void scene_declare(scene_run *out, const scene *s, bt_dtype compute, bool given_targets) {
    *out = (scene_run){.scene = s, .compute = compute};
    bt_vit_config vit = {.image = IMAGE,
                         .patch = 8,
                         .width = 48,
                         .depth = 2,
                         .heads = 3,
                         .mlp = 96,
                         .registers = 1,
                         .layer_scale = true,
                         .layer_scale_init = 0.5f,
                         .norm_eps = 1e-6f,
                         .mean = {0.5f, 0.5f, 0.5f},
                         .std = {0.25f, 0.25f, 0.25f}};
    bt_method_config config = s->config;
    config.given_targets = given_targets && s->method == &bt_method_crovca;
    bt_model_init(&out->model, s->method, &config, &vit, &s->training, compute);
    raise_signal(out->model.store);
    if (s->method == &bt_method_crovca) bt_params_keep_average(out->model.store);
}

bt_status scene_start(scene_run *run, bt_device *device) {
    const scene *s = run->scene;
    bt_session_options o = {.compute = run->compute,
                            .recompute = s->recompute,
                            .batch = SCENE_BATCH,
                            .chunk = s->chunk,
                            .embed_batch = SCENE_EMBED_BATCH,
                            .pictures = s->pictures,
                            .train_tower = true,
                            .head_first = s->head_steps > 0,
                            .adamw = {0.9, 0.999, 1e-8, s->clip},
                            .average_decay = bt_params_has_average(run->model.store) ? 0.75 : 0};
    BT_TRY(bt_params_commit(run->model.store, device));
    return bt_session_open(&run->session, &run->model, device, &o);
}

void scene_close(scene_run *run) {
    if (run->session.device) bt_session_close(&run->session);
    bt_model_release(&run->model);
}

/** Views of the pictures of a step, two squares side by side: a crop of 12 pixels, resized, mirrored, brighter. */
static void draw_records(int64_t step, int views, bt_view_record *records) {
    for (int i = 0; i < views * SCENE_BATCH; i++) {
        uint32_t word = draw(step, RECORD, i);
        bt_box crop = {word % 5, (word >> 8) % (uint32_t)(views * IMAGE - 11), 12, 12}, window = {0, 0, IMAGE, IMAGE};
        records[i] = (bt_view_record){.offset = (int64_t)(i % SCENE_BATCH) * views * IMAGE * IMAGE * 3,
                                      .height = IMAGE,
                                      .width = views * IMAGE,
                                      .view = {crop, IMAGE, IMAGE, window, word >> 31, BT_FILTER_BICUBIC},
                                      .colour = {.count = 1, .step = {{.kind = BT_COLOUR_BRIGHTNESS, .value = 20000}}}};
    }
}

bt_status scene_step(scene_run *run, int64_t step, bt_step_result *out) {
    const bt_method_config *c = &run->model.config;
    int rows = c->views * SCENE_BATCH, pixels = IMAGE * IMAGE * 3;
    uint8_t *images = malloc((size_t)rows * (size_t)pixels), *targets = malloc((size_t)rows * BITS);
    int64_t ids[4 * SCENE_BATCH];
    int32_t classes[SCENE_BATCH];
    bt_view_record records[4 * SCENE_BATCH];
    BT_ASSERT(images && targets && rows <= 4 * SCENE_BATCH);
    for (int64_t i = 0; i < (int64_t)rows * pixels; i++) images[i] = (uint8_t)(draw(step, PIXELS, i) >> 24);
    for (int64_t i = 0; i < (int64_t)rows * BITS; i++) targets[i] = (uint8_t)(draw(step, TARGET, i) >> 31);
    for (int i = 0; i < SCENE_BATCH; i++) classes[i] = (int32_t)(draw(step, LABEL, i) % CLASSES);
    for (int i = 0; i < rows; i++) ids[i] = (step * SCENE_BATCH + i % SCENE_BATCH) | (int64_t)(i / SCENE_BATCH) << 32;
    if (run->scene->pictures) draw_records(step, c->views, records);
    bt_step_batch batch = {.images = images,
                           .records = records,
                           .ids = ids,
                           .classes = classes,
                           .targets = c->given_targets ? targets : NULL};
    bt_step_rates rates = {
        .seed = 5, .step = step, .lr = {0x1p-10, 0x1p-10}, .head_only = step < run->scene->head_steps};
    bt_status status = bt_session_step(&run->session, &batch, &rates, out);
    free(images);
    free(targets);
    return status;
}
