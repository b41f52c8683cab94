/* Parity with PyTorch on the fixtures of make_fixtures.py.
 *
 *   test_parity FOLDER [f32|bf16]
 *
 * step 0      outputs within 1e-5 and every gradient within 1e-4, relative in the 2-norm. Zero in algebra, and compared
 * with 1e-6 of their layer's weight gradient: the bias before batch norm, and (full training) the key part of qkv's
 * bias. restarts    fifty steps, each from PyTorch's weights and Adam state: loss within 1e-5, the update within 5e-5,
 * both moments within 8e-6 (1 - beta2 taken from a float would leave the second one 1.3e-5 off). free run    fifty
 * steps of our own with PyTorch's target bits: weights' total movement within 1e-3, losses within 1e-3. In bf16 the
 * losses are held to 5e-2 and gradients to 0.3: every activation is rounded to eight bits (2^-9), a few dozen times in
 * a row, and batch norm over 7 or 8 rows divides by small deviations, which amplifies it (largest seen 0.21). A wrong
 * sign gives 2, a factor of 1.5 gives 0.5, a dropped term of that order is seen; the exact comparison is the one in
 * f32, the operations' own is in tests/ops.
 */
#include "parity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int passed, failed;
static double output_limit = 1e-5, gradient_limit = 1e-4;

static void report(const char *scene, const char *what, double found, double limit) {
    bool good = found <= limit; /* false for NaN */
    good ? passed++ : failed++;
    if (!good) printf("FAILED %s: %s: %.3g, limit %.1g\n", scene, what, found, limit);
}

static bt_session_options session_options(const fixture *f, bt_dtype compute, bt_recompute recompute, int chunk,
                                          bool gradients_only) {
    return (bt_session_options){.compute = compute,
                                .recompute = recompute,
                                .batch = f->batch,
                                .chunk = chunk,
                                .float_images = true,
                                .train_tower = true,
                                .adamw = {0.9, 0.999, 1e-8, 0},
                                .gradients_only = gradients_only};
}

static void compare_terms(fixture *f, const bt_step_result *r, const char *scene) {
    for (int i = 0; i < r->terms; i++) {
        char name[64];
        snprintf(name, sizeof name, "out/%s", r->name[i]);
        float *wanted = fixture_floats(f, name, NULL);
        report(scene, r->name[i], relative_difference(&r->value[i], wanted, 1), output_limit);
        free(wanted);
    }
    int wanted = f->model.method == &bt_method_crovca && f->model.config.rate_weight != 0 ? 2 : 1;
    report(scene, "the loss has its terms", r->terms == wanted ? 0 : 1, 0.5);
}

/** The gradient of the weight that a bias belongs to, for the scale of a gradient that is zero in algebra. */
static double weight_gradient_norm(const fixture *f, const char *bias) {
    char name[200];
    snprintf(name, sizeof name, "grad/%.*sweight", (int)(strlen(bias) - 4), bias);
    int64_t count;
    float *g = fixture_floats(f, name, &count), *zero = calloc((size_t)count, sizeof *zero);
    double norm = relative_difference(g, zero, count);
    free(g);
    free(zero);
    return norm;
}

static double norm_of(const float *x, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

static void compare_gradient(fixture *f, const char *scene, int index) {
    const bt_param_spec *spec = bt_params_spec(f->model.store, index);
    char name[200];
    snprintf(name, sizeof name, "grad/%s", spec->name);
    int64_t count;
    float *wanted = fixture_floats(f, name, &count), *found = malloc((size_t)count * sizeof *found);
    BT_ASSERT(found && bt_params_read(f->model.store, index, BT_SLOT_GRADIENT, found) == BT_OK);
    const bt_hashcoder *h = &f->model.hash;
    bool before_norm =
        f->model.method == &bt_method_crovca && !f->model.config.without_norm && index == h->b[h->layers - 1];
    size_t length = strlen(spec->name);
    bool qkv_bias = length > 8 && strcmp(spec->name + length - 8, "qkv.bias") == 0;
    double zero_limit = (output_limit > 1e-4 ? 2e-2 : 1e-6);
    if (before_norm) {
        report(scene, spec->name, norm_of(found, count) / weight_gradient_norm(f, spec->name), zero_limit);
    } else if (qkv_bias) { /* the middle third, the keys' bias, shifts all scores of a row alike */
        int64_t third = count / 3;
        report(scene, "key bias", norm_of(found + third, third) / weight_gradient_norm(f, spec->name), zero_limit);
        report(scene, spec->name, relative_difference(found, wanted, third), gradient_limit);
        report(scene, spec->name, relative_difference(found + 2 * third, wanted + 2 * third, third), gradient_limit);
    } else {
        report(scene, spec->name, relative_difference(found, wanted, count), gradient_limit);
    }
    free(wanted);
    free(found);
}

static void step_zero(const char *folder, const char *file, bt_device *device, bt_dtype compute, bt_recompute recompute,
                      int chunk) {
    char path[1024], scene[128];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    snprintf(scene, sizeof scene, "%s %s recompute %d chunk %d", file, bt_dtype_name(compute), (int)recompute, chunk);
    fixture f;
    if (fixture_open(&f, path, device, compute, compute == BT_BF16) != BT_OK) {
        report(path, bt_error_message(), NAN, 0);
        return;
    }
    if (chunk && f.batch % chunk) {
        fixture_close(&f);
        return;
    }
    bool classify = f.model.method == &bt_method_classify;
    int loaded = fixture_load(&f, "param/", BT_SLOT_VALUE, false);
    report(scene, "every parameter is in the fixture", loaded == bt_params_count(f.model.store) ? 0 : 1, 0.5);
    bt_session s;
    bt_step_result result = {.terms = 0};
    bt_session_options o = session_options(&f, compute, recompute, chunk, true);
    bt_status status = bt_params_commit(f.model.store, device);
    if (status == BT_OK) status = bt_session_open(&s, &f.model, device, &o);
    if (status == BT_OK) {
        bt_step_batch b = {.images = fixture_data(&f, "input/images"),
                           .ids = fixture_data(&f, "input/ids"),
                           .classes = fixture_data(&f, "input/class"),
                           .multi_hot = fixture_data(&f, "input/labels"),
                           .targets = classify ? NULL : fixture_data(&f, "out/targets")};
        bt_step_rates r = {.seed = strtoull(fixture_text(&f, "seed"), NULL, 10),
                           .step = (int64_t)fixture_number(&f, "step")};
        status = bt_session_step(&s, &b, &r, &result);
    }
    if (status != BT_OK)
        report(scene, bt_error_message(), NAN, 0);
    else
        compare_terms(&f, &result, scene);
    for (int i = 0; status == BT_OK && i < bt_params_count(f.model.store); i++)
        if (bt_params_spec(f.model.store, i)->trainable) compare_gradient(&f, scene, i);
    for (int i = 0; status == BT_OK && i < bt_params_count(f.model.store); i++) { /* running statistics */
        const bt_param_spec *spec = bt_params_spec(f.model.store, i);
        if (spec->kind != BT_PARAM_BUFFER) continue;
        char name[200];
        snprintf(name, sizeof name, "after/%s", spec->name);
        int64_t count;
        float *wanted = fixture_floats(&f, name, &count), *found = malloc((size_t)count * sizeof *found);
        BT_ASSERT(found && bt_params_read(f.model.store, i, BT_SLOT_VALUE, found) == BT_OK);
        report(scene, spec->name, relative_difference(found, wanted, count), output_limit);
        free(wanted);
        free(found);
    }
    if (status == BT_OK) bt_session_close(&s);
    fixture_close(&f);
}

/* ---- trajectories ---- */

/** Whether the gradient of an element is zero in algebra in one of the steps: the bias before batch norm, and the bias
 * of a ReLU unit that is on, or off, for every image. Adam makes full steps of its rounding noise; nothing else sees
 * it. */
static bool zero_in_algebra(const fixture *f, int index, int64_t element, int from, int to) {
    const bt_hashcoder *h = &f->model.hash;
    if (index == h->b[h->layers - 1]) return true;
    if (index != h->b[0]) return false;
    for (int s = from; s < to; s++) {
        char name[64];
        snprintf(name, sizeof name, "%d/constant_units", s);
        if (((const uint8_t *)fixture_data(f, name))[element]) return true;
    }
    return false;
}

/** Movement of all trained parameters between two sets of the fixture against ours: |ours - theirs| / |theirs - start|.
 */
static double movement_error(fixture *f, int from, int to) {
    double error = 0, moved = 0;
    for (int i = 0; i < bt_params_count(f->model.store); i++) {
        const bt_param_spec *spec = bt_params_spec(f->model.store, i);
        if (!spec->trainable) continue;
        char name[200];
        int64_t count;
        snprintf(name, sizeof name, "%d/param/%s", from, spec->name);
        float *before = fixture_floats(f, name, &count);
        snprintf(name, sizeof name, "%d/param/%s", to, spec->name);
        float *after = fixture_floats(f, name, NULL), *ours = malloc((size_t)count * sizeof *ours);
        BT_ASSERT(ours && bt_params_read(f->model.store, i, BT_SLOT_VALUE, ours) == BT_OK);
        for (int64_t k = 0; k < count; k++) {
            if (zero_in_algebra(f, i, k, from, to)) continue;
            error += pow((double)ours[k] - (double)after[k], 2);
            moved += pow((double)after[k] - (double)before[k], 2);
        }
        free(before);
        free(after);
        free(ours);
    }
    return sqrt(error / moved);
}

/** |ours - theirs| / |theirs| of one of Adam's moments after step `from`. */
static double moment_error(fixture *f, bt_param_slot slot, int from) {
    double error = 0, size = 0;
    for (int i = 0; i < bt_params_count(f->model.store); i++) {
        const bt_param_spec *spec = bt_params_spec(f->model.store, i);
        if (!spec->trainable) continue;
        char name[200];
        int64_t count;
        snprintf(name, sizeof name, "%d/%s/%s", from + 1, slot == BT_SLOT_ADAM_M ? "m" : "v", spec->name);
        float *theirs = fixture_floats(f, name, &count), *ours = malloc((size_t)count * sizeof *ours);
        BT_ASSERT(ours && bt_params_read(f->model.store, i, slot, ours) == BT_OK);
        for (int64_t k = 0; k < count; k++) {
            if (zero_in_algebra(f, i, k, from, from + 1)) continue;
            error += pow((double)ours[k] - (double)theirs[k], 2);
            size += pow((double)theirs[k], 2);
        }
        free(theirs);
        free(ours);
    }
    return sqrt(error / size);
}

static void trajectory(const char *folder, bt_device *device, bool restart) {
    char path[1024], prefix[64], name[64];
    const char *scene = restart ? "restarts" : "free run";
    snprintf(path, sizeof path, "%s/trajectory.safetensors", folder);
    fixture f;
    bt_session s = {.device = NULL};
    bt_status status = fixture_open(&f, path, device, BT_F32, true);
    if (status == BT_OK) {
        fixture_load(&f, "frozen/", BT_SLOT_VALUE, false);
        fixture_load(&f, "0/param/", BT_SLOT_VALUE, false);
        bt_params *store = f.model.store;
        for (int k = 0; k < bt_params_count(store); k++) /* running statistics do not matter in training */
            if (bt_params_spec(store, k)->kind == BT_PARAM_BUFFER) bt_params_host(store, k)[0] = 1;
        status = bt_params_commit(store, device);
    }
    bt_session_options o = session_options(&f, BT_F32, BT_RECOMPUTE_CHEAP, 0, false);
    if (status == BT_OK) status = bt_session_open(&s, &f.model, device, &o);
    int steps = status == BT_OK ? atoi(fixture_text(&f, "steps")) : 0;
    for (int k = 0; k < steps && status == BT_OK; k++) {
        if (restart) {
            snprintf(prefix, sizeof prefix, "%d/param/", k);
            fixture_load(&f, prefix, BT_SLOT_VALUE, true);
            snprintf(prefix, sizeof prefix, "%d/m/", k);
            fixture_load(&f, prefix, BT_SLOT_ADAM_M, true);
            snprintf(prefix, sizeof prefix, "%d/v/", k);
            fixture_load(&f, prefix, BT_SLOT_ADAM_V, true);
        }
        snprintf(name, sizeof name, "%d/images", k);
        bt_step_batch b = {.images = fixture_data(&f, name)};
        snprintf(name, sizeof name, "%d/targets", k);
        b.targets = fixture_data(&f, name);
        bt_step_rates r = {.seed = 1, .step = k, .lr = {fixture_number(&f, "lr"), fixture_number(&f, "lr")}};
        bt_step_result result;
        status = bt_session_step(&s, &b, &r, &result);
        snprintf(name, sizeof name, "%d/loss", k);
        float *loss = fixture_floats(&f, name, NULL);
        report(scene, "loss", fabs(result.loss - (double)loss[0]) / fabs((double)loss[0]), restart ? 1e-5 : 1e-3);
        free(loss);
        if (restart) report(scene, "update", movement_error(&f, k, k + 1), 5e-5);
        if (restart && k + 1 < steps) { /* moments are saved before each step */
            report(scene, "first moment", moment_error(&f, BT_SLOT_ADAM_M, k), 8e-6);
            report(scene, "second moment", moment_error(&f, BT_SLOT_ADAM_V, k), 8e-6);
        }
    }
    if (status != BT_OK)
        report(scene, bt_error_message(), NAN, 0);
    else if (!restart)
        report(scene, "movement", movement_error(&f, 0, steps), 1e-3);
    if (s.device) bt_session_close(&s);
    fixture_close(&f);
}

/** Fixtures are made by a test before this one, which skips itself where there is no PyTorch. */
static bool have_fixtures(const char *folder) {
    char path[1024];
    snprintf(path, sizeof path, "%s/trajectory.safetensors", folder);
    FILE *f = fopen(path, "rb");
    if (f)
        fclose(f);
    else
        printf("skipped: there are no fixtures in %s (PyTorch makes them)\n", folder);
    return f != NULL;
}

int main(int argc, char **argv) {
    if (argc < 2) return fprintf(stderr, "usage: test_parity FOLDER [f32|bf16]\n"), 2;
    if (!have_fixtures(argv[1])) return 77;
    bt_dtype compute = argc > 2 && strcmp(argv[2], "bf16") == 0 ? BT_BF16 : BT_F32;
    if (compute == BT_BF16) {
        output_limit = 5e-2;
        gradient_limit = 0.3;
    }
    bt_device *device;
    if (bt_cpu_backend.open(&(bt_device_options){.threads = 0}, &device) != BT_OK)
        return fprintf(stderr, "%s\n", bt_error_message()), 1;
    static const char *const cases[] = {"unsupervised",
                                        "dropout",
                                        "supervised",
                                        "odd",
                                        "three_views",
                                        "four_views",
                                        "four_views_unsupervised",
                                        "no_norm",
                                        "no_norm_supervised",
                                        "no_rate",
                                        "large_head",
                                        "classify"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char file[64];
        snprintf(file, sizeof file, "step0_%s.safetensors", cases[i]);
        for (int recompute = 0; recompute < 3; recompute++)
            step_zero(argv[1], file, device, compute, (bt_recompute)recompute, 0);
        step_zero(argv[1], file, device, compute, BT_RECOMPUTE_BLOCKS, 4);
    }
    if (compute == BT_F32) {
        trajectory(argv[1], device, true);
        trajectory(argv[1], device, false);
    }
    device->backend->close(device);
    printf("parity %s: %d passed, %d failed\n", bt_dtype_name(compute), passed, failed);
    return failed != 0;
}
