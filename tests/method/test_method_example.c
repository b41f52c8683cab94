/* The method of docs/adding-a-method.md, which the build cuts out of that page: it trains, whole and in chunks, and
 * gives codes. */
#include "train/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const bt_method bt_method_bottleneck;

enum { BATCH = 12, IMAGE = 8, PIXELS = IMAGE * IMAGE * 3, CLASSES = 3, BITS = 8, STEPS = 40 };

static int failures;

static void expect(int good, const char *what) {
    failures += !good;
    printf("%s %s\n", good ? "ok    " : "FAILED", what);
}

/** Losses of the first and last step; the bits of the last batch. */
static bt_status train(bt_device *device, int chunk, double *first, double *last, uint64_t bits[BATCH]) {
    bt_vit_config vit = {.image = IMAGE,
                         .patch = 4,
                         .width = 16,
                         .depth = 2,
                         .heads = 2,
                         .mlp = 32,
                         .norm_eps = 1e-6f,
                         .mean = {0.5f, 0.5f, 0.5f},
                         .std = {0.25f, 0.25f, 0.25f}};
    bt_vit_training t = {.lora = {.targets = BT_LORA_Q | BT_LORA_V, .rank = 2, .alpha = 2}, .seed = 3};
    bt_method_config c = {.views = 1, .classes = CLASSES, .bits = BITS, .rate_weight = 0.1f, .rate_eps = 0.05f};
    bt_session_options o = {.compute = BT_F32,
                            .batch = BATCH,
                            .chunk = chunk,
                            .embed_batch = BATCH,
                            .train_tower = true,
                            .adamw = {0.9, 0.999, 1e-8, 0}};
    bt_model model;
    bt_session s;
    BT_TRY(bt_method_bottleneck.check(&c, BATCH));
    bt_model_init(&model, &bt_method_bottleneck, &c, &vit, &t, BT_F32);
    BT_TRY(bt_params_commit(model.store, device));
    BT_TRY(bt_session_open(&s, &model, device, &o));
    static uint8_t images[BATCH * PIXELS];
    int32_t classes[BATCH];
    int64_t ids[BATCH];
    for (int k = 0; k < STEPS; k++) {
        uint32_t r = 17u + (uint32_t)k;
        for (int i = 0; i < BATCH; i++) {
            ids[i] = i;
            classes[i] = i % CLASSES;
            for (int j = 0; j < PIXELS; j++)
                images[i * PIXELS + j] =
                    (uint8_t)(((r = r * 1664525u + 1013904223u) >> 25) + (j / 64 == classes[i] ? 120 : 0));
        }
        bt_step_batch b = {.images = images, .ids = ids, .classes = classes};
        bt_step_rates rates = {.seed = 1, .step = k, .lr = {1e-2, 1e-2}};
        bt_step_result result;
        BT_TRY(bt_session_step(&s, &b, &rates, &result));
        if (result.terms != 2 || strcmp(result.name[0], "cross_entropy") != 0)
            return bt_error(BT_ERR_SHAPE, "the loss has other terms");
        *(k ? last : first) = result.loss;
    }
    static float embedding[BATCH * 16], logits[BATCH * BITS];
    BT_TRY(bt_session_embed(&s, images, embedding, logits, bits));
    bt_session_close(&s);
    bt_model_release(&model);
    return BT_OK;
}

int main(void) {
    bt_device *device;
    double first, last, first_chunks, last_chunks;
    uint64_t bits[BATCH], same[BATCH];
    if (bt_cpu_backend.open(&(bt_device_options){.threads = 1}, &device) != BT_OK) return 1;
    bt_status status = train(device, 0, &first, &last, bits);
    if (status == BT_OK) status = train(device, 4, &first_chunks, &last_chunks, same);
    if (status != BT_OK) return printf("FAILED %s\n", bt_error_message()), 1;
    printf("loss %.4f to %.4f\n", first, last);
    expect(last < first / 2, "the loss falls");
    expect(fabs(first - first_chunks) < 1e-5, "the same in chunks");
    int within = 0, between = 0;
    for (int i = 0; i < BATCH; i++)
        for (int j = 0; j < i; j++) {
            int distance = __builtin_popcountll(bits[i] ^ bits[j]);
            if (i % CLASSES == j % CLASSES)
                within += distance;
            else
                between += distance;
        }
    printf("mean distance within classes %.2f, between %.2f bits\n", within / 18.0,
           between / 48.0); /* 18 and 48 pairs */
    expect(2 * 48 * within < 18 * between, "codes of a class are nearer to each other");
    bt_method_config wrong = {.views = 2, .classes = CLASSES};
    expect(bt_method_bottleneck.check(&wrong, BATCH) == BT_ERR_CONFIG, "two views are refused");
    device->backend->close(device);
    return failures != 0;
}
