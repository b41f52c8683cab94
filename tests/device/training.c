/* Training on a CUDA backend (BT_TESTED_BACKEND: hardware, or compiled for the host) beside the processor, and beside
 * itself.
 *
 *   test_device_training [STEPS]
 *
 * restarts   each step begins on both with the processor's parameters and Adam state: terms of the loss within 1e-5,
 * gradients within 1e-4, the update within 1e-3, relative in the 2-norm (the forms of tests/parity). Signs of logits
 * make CroVCA's targets. free run   from the same seed, with the same target bits given to both: losses and total
 * movement of the parameters within 1e-3. bits       the free run again, launched kernel by kernel where the first one
 * replayed a recorded step: the same bits. Saved half way with
 * bt_checkpoint_save and continued by a new model: the same bits. Classify trains all weights, where rounding grows
 * fastest: its free run is held to 1e-2. In bf16 restarts have given target bits (a logit next to zero is one in
 * fifty), losses are held to 5e-2 and gradients to 0.3 (the reason is in tests/parity/test_parity.c), and the free run
 * is compared with itself alone.
 */
#include "program/plan.h"
#include "scenes.h"
#include "train/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const bt_backend BT_TESTED_BACKEND;

static int passed, failed;
static bt_device *cpu, *tested;

/** `limit` 0 for what must be equal; NaN fails. */
static void report(const char *where, const char *what, double found, double limit) {
    bool good = found <= limit;
    good ? passed++ : failed++;
    if (!good) printf("FAILED %s: %s: %.3g, limit %.1g\n", where, what, found, limit);
}

static void check(const char *where, bt_status status) {
    if (status != BT_OK) report(where, bt_error_message(), NAN, 0);
}

/* ---- a store as numbers ---- */

/** All values of one slot of the trained parameters, and of buffers where they have it; one after another. */
typedef struct numbers {
    float *value;
    int64_t count;
} numbers;

static bool has_slot(const bt_param_spec *spec, bt_param_slot slot) {
    return spec->trainable || (spec->kind == BT_PARAM_BUFFER && (slot == BT_SLOT_VALUE || slot == BT_SLOT_AVERAGE));
}

static numbers read_slot(const scene_run *run, bt_param_slot slot) {
    numbers out = {NULL, 0};
    bt_params *store = run->model.store;
    for (int pass = 0; pass < 2; pass++) {
        int64_t at = 0;
        for (int i = 0; i < bt_params_count(store); i++) {
            const bt_param_spec *spec = bt_params_spec(store, i);
            if (!has_slot(spec, slot)) continue;
            if (pass == 1) BT_ASSERT(bt_params_read(store, i, slot, out.value + at) == BT_OK);
            at += bt_shape_count(spec->shape);
        }
        out.count = at;
        if (pass == 0) out.value = malloc((size_t)at * sizeof *out.value);
        BT_ASSERT(out.value);
    }
    return out;
}

static void copy_state(const scene_run *from, scene_run *to) {
    static const bt_param_slot slots[] = {BT_SLOT_VALUE, BT_SLOT_ADAM_M, BT_SLOT_ADAM_V};
    for (int k = 0; k < 3; k++) {
        numbers n = read_slot(from, slots[k]);
        int64_t at = 0;
        for (int i = 0; i < bt_params_count(to->model.store); i++) {
            const bt_param_spec *spec = bt_params_spec(to->model.store, i);
            if (!has_slot(spec, slots[k])) continue;
            BT_ASSERT(bt_params_write(to->model.store, i, slots[k], n.value + at) == BT_OK);
            at += bt_shape_count(spec->shape);
        }
        free(n.value);
    }
    memcpy(to->session.updates, from->session.updates, sizeof to->session.updates);
}

/** Values of trained parameters for comparing updates. Left out (0) are those whose gradient is zero in algebra, as
 * AdamW makes full steps of rounding noise that nothing else sees: the bias before batch norm, the running mean that
 * follows it, and the bias before ReLU (of units that are on for every picture). */
static numbers read_movable(const scene_run *run) {
    numbers n = read_slot(run, BT_SLOT_VALUE);
    const bt_hashcoder *head = &run->model.hash;
    int64_t at = 0;
    for (int i = 0; i < bt_params_count(run->model.store); i++) {
        const bt_param_spec *spec = bt_params_spec(run->model.store, i);
        if (!has_slot(spec, BT_SLOT_VALUE)) continue;
        int64_t count = bt_shape_count(spec->shape);
        bool before_norm = i == head->b[head->layers - 1] || i == head->running_mean;
        bool before_relu = head->config.size == BT_HASHCODER_SMALL && i == head->b[0];
        if (run->model.method == &bt_method_crovca && (before_norm || before_relu))
            memset(n.value + at, 0, (size_t)count * sizeof *n.value);
        at += count;
    }
    return n;
}

/** |a - b| / |b - origin|; an origin of NULL is zero. */
static double difference(const numbers *a, const numbers *b, const numbers *origin) {
    double error = 0, norm = 0;
    for (int64_t i = 0; i < b->count; i++) {
        double from = origin ? (double)origin->value[i] : 0;
        error += pow((double)a->value[i] - (double)b->value[i], 2);
        norm += pow((double)b->value[i] - from, 2);
    }
    return norm > 0 ? sqrt(error / norm) : sqrt(error);
}

static void compare_losses(const char *where, const bt_step_result *a, const bt_step_result *b, double limit) {
    report(where, "the loss has terms", a->terms > 0 && a->terms == b->terms ? 0 : 1, 0);
    for (int k = 0; k < a->terms; k++)
        report(where, a->name[k], fabs((double)a->value[k] - (double)b->value[k]) / fabs((double)b->value[k]), limit);
}

static void same_bits(const char *where, const scene_run *a, const scene_run *b) {
    static const bt_param_slot slots[] = {BT_SLOT_VALUE, BT_SLOT_AVERAGE, BT_SLOT_ADAM_M, BT_SLOT_ADAM_V};
    static const char *const what[] = {"parameters have the same bits", "averages have the same bits",
                                       "Adam moments have the same bits", "Adam moments have the same bits"};
    for (int k = 0; k < 4; k++) {
        if (slots[k] == BT_SLOT_AVERAGE && !bt_params_has_average(a->model.store)) continue;
        numbers x = read_slot(a, slots[k]), y = read_slot(b, slots[k]);
        report(where, what[k], memcmp(x.value, y.value, (size_t)x.count * sizeof *x.value) == 0 ? 0 : 1, 0);
        free(x.value);
        free(y.value);
    }
}

/* ---- the forms ---- */

static void restarts(const scene *s, bt_dtype compute, int steps) {
    char where[200];
    scene_run a, b;
    scene_declare(&a, s, compute, compute == BT_BF16);
    scene_declare(&b, s, compute, compute == BT_BF16);
    snprintf(where, sizeof where, "%s, %s, restarts", s->name, bt_dtype_name(compute));
    bt_status status = scene_start(&a, cpu);
    if (status == BT_OK) status = scene_start(&b, tested);
    for (int k = 0; k < steps && status == BT_OK; k++) {
        bt_step_result on_cpu, on_tested;
        copy_state(&a, &b);
        numbers before = read_movable(&a);
        status = scene_step(&a, k, &on_cpu);
        if (status == BT_OK) status = scene_step(&b, k, &on_tested);
        if (status == BT_OK) {
            numbers da = read_slot(&a, BT_SLOT_GRADIENT), db = read_slot(&b, BT_SLOT_GRADIENT);
            numbers after_a = read_movable(&a), after_b = read_movable(&b);
            compare_losses(where, &on_tested, &on_cpu, compute == BT_F32 ? 1e-5 : 5e-2);
            report(where, "gradients", difference(&db, &da, NULL), compute == BT_F32 ? 1e-4 : 0.3);
            if (compute == BT_F32) report(where, "update", difference(&after_b, &after_a, &before), 1e-3);
            free(da.value);
            free(db.value);
            free(after_a.value);
            free(after_b.value);
        }
        free(before.value);
    }
    check(where, status);
    scene_close(&a);
    scene_close(&b);
}

static void free_run(const scene *s, int steps) {
    char where[200];
    double limit = s->training.full ? 1e-2 : 1e-3;
    scene_run a, b;
    scene_declare(&a, s, BT_F32, true);
    scene_declare(&b, s, BT_F32, true);
    snprintf(where, sizeof where, "%s, free run", s->name);
    bt_status status = scene_start(&a, cpu);
    if (status == BT_OK) status = scene_start(&b, tested);
    if (status == BT_OK) {
        numbers start = read_movable(&a);
        for (int k = 0; k < steps && status == BT_OK; k++) {
            bt_step_result on_cpu, on_tested;
            status = scene_step(&a, k, &on_cpu);
            if (status == BT_OK) status = scene_step(&b, k, &on_tested);
            if (status == BT_OK) compare_losses(where, &on_tested, &on_cpu, limit);
        }
        numbers end_a = read_movable(&a), end_b = read_movable(&b);
        report(where, "movement of the parameters", difference(&end_b, &end_a, &start), limit);
        free(start.value);
        free(end_a.value);
        free(end_b.value);
    }
    check(where, status);
    scene_close(&a);
    scene_close(&b);
}

static bt_status some_steps(scene_run *run, int from, int to) {
    bt_step_result result;
    for (int k = from; k < to; k++) BT_TRY(scene_step(run, k, &result));
    return BT_OK;
}

/** Steps 0..half, saved in `folder`; then on to the end in the same session. */
static bt_status whole_run(scene_run *run, const char *folder, int half, int steps) {
    bt_train_state state = {.step = half};
    BT_TRY(bt_base_save(folder, run->model.store, false));
    BT_TRY(scene_start(run, tested));
    BT_TRY(some_steps(run, 0, half));
    memcpy(state.updates, run->session.updates, sizeof state.updates);
    BT_TRY(bt_checkpoint_save(folder, run->model.store, &state, "{}", 0));
    return some_steps(run, half, steps);
}

/** A new model with other initial values goes on from the checkpoint. */
static bt_status continued_run(scene_run *run, const char *folder, int half, int steps) {
    char checkpoint[256], file[400], *config = NULL;
    int count;
    bt_train_state state;
    for (int i = 0; i < bt_params_count(run->model.store); i++) bt_params_host(run->model.store, i)[0] += 1;
    if (!bt_checkpoint_newest(folder, checkpoint, sizeof checkpoint))
        return bt_error(BT_ERR_IO, "no checkpoint in %s", folder);
    BT_TRY(bt_checkpoint_state(checkpoint, &state, &config));
    free(config);
    snprintf(file, sizeof file, "%s/base.safetensors", folder);
    if (access(file, F_OK) == 0)
        BT_TRY(bt_weights_load(file, run->model.store, 1u, &count)); /* not there if all is trained */
    snprintf(file, sizeof file, "%s/model.safetensors", checkpoint);
    BT_TRY(bt_weights_load(file, run->model.store, 2u, &count));
    BT_TRY(scene_start(run, tested));
    BT_TRY(bt_checkpoint_load_optimizer(checkpoint, run->model.store));
    memcpy(run->session.updates, state.updates, sizeof state.updates);
    return some_steps(run, half, steps);
}

/** Every program of a session kernel by kernel. */
static void switch_replay_off(scene_run *run) {
    for (int k = 0; k < BT_PROGRAM_COUNT; k++)
        if (run->session.plan[k]) bt_plan_set_replay(run->session.plan[k], false);
}

/** The programs that ran at least twice were recorded: nothing in them refused, and none but the first run was plain.
 */
static void check_replayed(const char *where, const scene_run *run) {
    int replayed = 0;
    for (int k = 0; k < BT_PROGRAM_COUNT; k++) {
        const bt_plan *plan = run->session.plan[k];
        if (!plan || plan->replay.state == BT_REPLAY_FIRST) continue; /* another kind of step, or an evaluation's */
        if (bt_plan_replay_refusal(plan)) report(where, bt_plan_replay_refusal(plan), NAN, 0);
        bool once = plan->replay.state == BT_REPLAY_RECORD;
        report(where, "what ran twice is replayed", once || plan->replay.state == BT_REPLAY_LAUNCH ? 0 : 1, 0);
        replayed += plan->replay.state == BT_REPLAY_LAUNCH;
    }
    report(where, "the step is replayed", replayed >= (run->scene->chunk ? 4 : 1) ? 0 : 1, 0);
}

static void same_device(const scene *s, bt_dtype compute, int steps) {
    char where[200], folder[] = "/tmp/bittern_device.XXXXXX", checkpoints[64], command[128];
    scene_run first, second, continued;
    scene_declare(&first, s, compute, false);
    scene_declare(&second, s, compute, false);
    scene_declare(&continued, s, compute, false);
    BT_ASSERT(mkdtemp(folder));
    snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", folder);
    snprintf(where, sizeof where, "%s, %s, twice", s->name, bt_dtype_name(compute));
    bt_status status = whole_run(&first, folder, steps / 2, steps);
    if (status == BT_OK) check_replayed(where, &first);
    if (status == BT_OK) status = scene_start(&second, tested);
    if (status == BT_OK) switch_replay_off(&second);
    if (status == BT_OK) status = some_steps(&second, 0, steps);
    if (status == BT_OK) same_bits(where, &second, &first);
    snprintf(where, sizeof where, "%s, %s, saved and continued", s->name, bt_dtype_name(compute));
    if (status == BT_OK) status = continued_run(&continued, folder, steps / 2, steps);
    if (status == BT_OK) same_bits(where, &continued, &first);
    check(where, status);
    scene_close(&first);
    scene_close(&second);
    scene_close(&continued);
    snprintf(command, sizeof command, "rm -r %s", folder);
    if (system(command) != 0) printf("%s is left\n", folder);
}

int main(int argc, char **argv) {
    int steps = argc > 1 ? atoi(argv[1]) : 20;
    bt_status status = BT_TESTED_BACKEND.open(&(bt_device_options){.threads = 0}, &tested);
    if (status != BT_OK) {
        printf("%s: backend %s: %s\n", status == BT_ERR_UNSUPPORTED ? "SKIPPED" : "FAILED", BT_TESTED_BACKEND.name,
               bt_error_message());
        return status == BT_ERR_UNSUPPORTED ? 77 : 1;
    }
    check("the processor", bt_cpu_backend.open(&(bt_device_options){.threads = 0}, &cpu));
    for (int i = 0; i < scene_count && cpu; i++) {
        free_run(&scenes[i], steps);
        for (int dtype = BT_F32; dtype <= BT_BF16; dtype++) {
            restarts(&scenes[i], (bt_dtype)dtype, steps);
            same_device(&scenes[i], (bt_dtype)dtype, steps);
        }
    }
    BT_TESTED_BACKEND.close(tested);
    if (cpu) bt_cpu_backend.close(cpu);
    printf("training on %s: %d passed, %d failed\n", BT_TESTED_BACKEND.name, passed, failed);
    return failed != 0 || passed == 0;
}
