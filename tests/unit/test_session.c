/* A step in chunks against the same step in one piece, and what a head step leaves alone. */
#include "check.h"

#include "train/session.h"

#include <math.h>
#include <stdlib.h>

enum { BATCH = 6, VIEWS = 2, IMAGE = 8, PIXELS = IMAGE * IMAGE * 3, BITS = 8, STEPS = 5, HEAD_STEPS = 2 };

typedef struct run {
    bt_model model;
    bt_session session;
    float *values; /* trainable parameters, one after another */
    int64_t count;
    double loss[STEPS];
    float *average; /* with `decay`: what the averages should be, trainable parameters and buffers in order */
} run;

static bt_device *device;
static double head_rate = 0x1p-8, tower_rate = 0x1p-8;
static double decay; /* of the moving average; 0: none */

static void read_values(run *r) {
    r->count = 0;
    for (int i = 0; i < bt_params_count(r->model.store); i++) {
        const bt_param_spec *spec = bt_params_spec(r->model.store, i);
        if (!spec->trainable) continue;
        int64_t count = bt_shape_count(spec->shape);
        r->values = realloc(r->values, (size_t)(r->count + count) * sizeof(float));
        assert_non_null(r->values);
        check_ok(bt_params_read(r->model.store, i, BT_SLOT_VALUE, r->values + r->count));
        r->count += count;
    }
}

/* average += w (value - average), w = 1 - min(decay, (1 + t) / (10 + t)), from what the store holds after step t; t <
 * 0: the start. */
static void follow_average(run *r, int t) {
    bt_params *store = r->model.store;
    float weight = (float)(1 - fmin(decay, (1.0 + t) / (10.0 + t)));
    int64_t at = 0;
    for (int i = 0; i < bt_params_count(store); i++) {
        const bt_param_spec *spec = bt_params_spec(store, i);
        if (!spec->trainable && spec->kind != BT_PARAM_BUFFER) continue;
        int64_t count = bt_shape_count(spec->shape);
        float *value = malloc((size_t)count * sizeof(float));
        assert_non_null(value);
        check_ok(bt_params_read(store, i, BT_SLOT_VALUE, value));
        if (t < 0) r->average = realloc(r->average, (size_t)(at + count) * sizeof(float));
        for (int64_t k = 0; k < count; k++)
            r->average[at + k] = t < 0 ? value[k] : r->average[at + k] + weight * (value[k] - r->average[at + k]);
        at += count;
        free(value);
    }
}

static void train(run *r, bool train_tower, int chunk) {
    *r = (run){.count = 0};
    bt_vit_config vit = {.image = IMAGE,
                         .patch = 4,
                         .width = 16,
                         .depth = 2,
                         .heads = 2,
                         .mlp = 32,
                         .norm_eps = 1e-6f,
                         .mean = {0.5f, 0.5f, 0.5f},
                         .std = {0.25f, 0.25f, 0.25f}};
    bt_vit_training t = {
        .lora = {.targets = train_tower ? BT_LORA_Q | BT_LORA_V : 0, .rank = 2, .alpha = 2, .dropout = 0.25f},
        .seed = 3};
    bt_method_config c = {.views = VIEWS,
                          .bits = BITS,
                          .given_targets = true,
                          .align_weight = 1,
                          .rate_weight = 0.125f,
                          .rate_eps = 0.05f};
    bt_model_init(&r->model, &bt_method_crovca, &c, &vit, &t, BT_F32);
    bt_session_options o = {.compute = BT_F32,
                            .batch = BATCH,
                            .chunk = chunk,
                            .train_tower = train_tower,
                            .head_first = train_tower,
                            .adamw = {0.9, 0.999, 1e-3, 0.5f},
                            .average_decay = decay};
    if (decay > 0) bt_params_keep_average(r->model.store);
    check_ok(bt_params_commit(r->model.store, device));
    if (decay > 0) follow_average(r, -1);
    check_ok(bt_session_open(&r->session, &r->model, device, &o));
    for (int step = 0; step < STEPS; step++) {
        uint8_t images[VIEWS * BATCH * PIXELS], targets[VIEWS * BATCH * BITS];
        int64_t ids[VIEWS * BATCH];
        uint32_t s = 17u + (uint32_t)step;
        for (size_t i = 0; i < sizeof images; i++) images[i] = (uint8_t)((s = s * 1664525u + 1013904223u) >> 24);
        for (size_t i = 0; i < sizeof targets; i++) targets[i] = images[i] >> 7;
        for (int i = 0; i < VIEWS * BATCH; i++) ids[i] = i % BATCH | (int64_t)(i / BATCH) << 32;
        bt_step_batch b = {.images = images, .ids = ids, .targets = targets};
        bt_step_rates rates = {
            .seed = 1, .step = step, .lr = {head_rate, tower_rate}, .head_only = train_tower && step < HEAD_STEPS};
        bt_step_result result;
        check_ok(bt_session_step(&r->session, &b, &rates, &result));
        r->loss[step] = result.loss;
        if (decay > 0) follow_average(r, step);
    }
    read_values(r);
}

static void finish(run *r) {
    bt_session_close(&r->session);
    bt_model_release(&r->model);
    free(r->values);
}

/* Sums have another order, so bits differ. What makes more of that is kept out: target bits are given, and AdamW's eps
 * is large, so that a gradient which is rounding noise moves nothing. */
static void check_same(bool train_tower, int chunk) {
    run whole, parts;
    train(&whole, train_tower, 0);
    train(&parts, train_tower, chunk);
    for (int k = 0; k < STEPS; k++)
        if (!(fabs(whole.loss[k] - parts.loss[k]) <= 1e-5))
            fail_msg("step %d: loss %.8f in chunks of %d, %.8f whole", k, parts.loss[k], chunk, whole.loss[k]);
    assert_int_equal(whole.count, parts.count);
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < whole.count; i++) {
        difference += pow((double)parts.values[i] - (double)whole.values[i], 2);
        norm += pow((double)whole.values[i], 2);
    }
    if (!(sqrt(difference / norm) <= 1e-5))
        fail_msg("parameters differ by %.3g of their norm", sqrt(difference / norm));
    for (int g = 0; g < BT_GROUPS; g++) assert_int_equal(whole.session.updates[g], parts.session.updates[g]);
    finish(&whole);
    finish(&parts);
}

static void test_chunks_with_head_first(void **state) {
    (void)state;
    check_same(true, 2);
    check_same(true, 3);
    check_same(true, BATCH);
}

static void test_chunks_with_frozen_tower(void **state) {
    (void)state;
    check_same(false, 2);
}

static void test_head_steps_are_not_whole_steps(void **state) {
    (void)state;
    run r;
    train(&r, true, 2);
    assert_int_equal(r.session.updates[BT_GROUP_HEAD], STEPS);
    assert_int_equal(r.session.updates[BT_GROUP_TOWER], STEPS - HEAD_STEPS);
    finish(&r);
}

/* Averages of parameters and of running statistics follow their formula to the bit, whole and in chunks. */
static void test_averages(void **state) {
    (void)state;
    for (int chunk = 0; chunk <= 2; chunk += 2) {
        run r;
        decay = 0.5;
        train(&r, true, chunk);
        decay = 0;
        bt_params *store = r.model.store;
        int compared = 0, moved = 0;
        for (int i = 0; i < bt_params_count(store); i++) {
            const bt_param_spec *spec = bt_params_spec(store, i);
            if (!spec->trainable && spec->kind != BT_PARAM_BUFFER) continue;
            float found[1024], value[1024];
            int64_t count = bt_shape_count(spec->shape);
            assert_in_range(count, 1, 1024);
            check_ok(bt_params_read(store, i, BT_SLOT_AVERAGE, found));
            check_ok(bt_params_read(store, i, BT_SLOT_VALUE, value));
            assert_memory_equal(found, r.average + compared, (size_t)count * sizeof(float));
            for (int64_t k = 0; k < count; k++) moved += found[k] != value[k];
            compared += (int)count;
        }
        assert_true(compared > 400 && moved > compared / 2);
        free(r.average);
        finish(&r);
    }
}

/* Each group moves at its own rate: with rate 0, not at all. */
static void test_rates_of_groups(void **state) {
    (void)state;
    for (int still = 0; still < 2; still++) {
        run r;
        *(still == BT_GROUP_HEAD ? &head_rate : &tower_rate) = 0;
        train(&r, true, 0);
        head_rate = tower_rate = 0x1p-8;
        int64_t at = 0, moved[2] = {0};
        bt_model fresh;
        bt_model_init(
            &fresh, &bt_method_crovca, &r.model.config, &r.model.vit.config,
            &(bt_vit_training){.lora = {.targets = BT_LORA_Q | BT_LORA_V, .rank = 2, .alpha = 2, .dropout = 0.25f},
                               .seed = 3},
            BT_F32);
        for (int i = 0; i < bt_params_count(fresh.store); i++) {
            const bt_param_spec *spec = bt_params_spec(fresh.store, i);
            if (!spec->trainable) continue;
            const float *initial = bt_params_host(fresh.store, i);
            for (int64_t k = 0; k < bt_shape_count(spec->shape); k++)
                moved[spec->group] += initial[k] != r.values[at + k];
            at += bt_shape_count(spec->shape);
        }
        assert_int_equal(at, r.count);
        assert_int_equal(moved[still], 0);
        assert_true(moved[!still] > 100);
        bt_model_release(&fresh);
        finish(&r);
    }
}

static void test_chunk_must_divide(void **state) {
    (void)state;
    run r = {.count = 0};
    bt_vit_config vit = {.image = IMAGE, .patch = 4, .width = 16, .depth = 1, .heads = 2, .mlp = 32, .norm_eps = 1e-6f};
    bt_method_config c = {.views = VIEWS, .bits = 8, .align_weight = 1, .rate_eps = 0.05f};
    bt_model_init(&r.model, &bt_method_crovca, &c, &vit, &(bt_vit_training){.seed = 1}, BT_F32);
    check_ok(bt_params_commit(r.model.store, device));
    bt_session_options o = {.compute = BT_F32, .batch = BATCH, .chunk = 4};
    check_message(bt_session_open(&r.session, &r.model, device, &o), BT_ERR_CONFIG,
                  "train.batch 6 is not a multiple of train.chunk 4");
    bt_model_release(&r.model);
}

static int open_device(void **state) {
    (void)state;
    return bt_cpu_backend.open(&(bt_device_options){.threads = 1}, &device) != BT_OK;
}

static int close_device(void **state) {
    (void)state;
    bt_cpu_backend.close(device);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks_with_head_first),
        cmocka_unit_test(test_chunks_with_frozen_tower),
        cmocka_unit_test(test_head_steps_are_not_whole_steps),
        cmocka_unit_test(test_averages),
        cmocka_unit_test(test_rates_of_groups),
        cmocka_unit_test(test_chunk_must_divide),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
