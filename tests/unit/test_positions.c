/* Position embeddings of another grid: the taps against numbers of PyTorch and by what they must be, and the operation
 * in programs whose tokens take what it makes. tests/positions compares whole grids with PyTorch where that is
 * installed. */
#include "check.h"
#include "inputs.h"

#include "program/plan.h"
#include "tensor/position_taps.h"

#include <math.h>
#include <stdlib.h>

static double tapped(const bt_position_axis *axis, int output, const double *x) {
    double sum = 0;
    for (int t = 0; t < axis->count[output]; t++)
        sum += (double)axis->weight[output * axis->most + t] * x[axis->first[output] + t];
    return sum;
}

/* PyTorch 1.13, float64: F.interpolate of these seven to 3 and to 9, mode bicubic; for "hub" by scale_factor (n + 0.1)
 * / 7. */
static void numbers_of_pytorch(void **state) {
    (void)state;
    static const double signal[7] = {1, -2, 4, 3, 0.5, -1.5, 2.5};
    static const double known[2][BT_POSITIONS_COUNT][9] = {
        {{-1.59279438, 3.3109942, -1.1665331}, {0.348790323, 2.23321123, 0.284274194}, {-1.72222222, 3, -0.462962963}},
        {{1.20316056, -1.67970528, 0.24274579, 4.45214355, 3.10300267, 1.29225933, -1.109375, -0.729545972, 2.60667956},
         {1.14201183, -1.46428571, 0.433470508, 4.27709191, 3, 1.05075446, -1.05006859, -0.357142857, 2.68934911},
         {1.19753086, -1.72222222, 0.399176955, 4.478738, 3, 1.16838134, -1.24211248, -0.462962963, 2.76337449}}};
    for (int larger = 0; larger < 2; larger++)
        for (int rule = 0; rule < BT_POSITIONS_COUNT; rule++) {
            bt_position_taps taps;
            const int from[2] = {7, 2}, to[2] = {larger ? 9 : 3, 2};
            check_ok(bt_position_taps_make(&taps, (bt_positions)rule, from, to, false));
            assert_true(taps.rows.outputs == to[0] && taps.columns.outputs == 2);
            for (int o = 0; o < to[0]; o++)
                assert_true(fabs(tapped(&taps.rows, o, signal) - known[larger][rule][o]) < 5e-7);
            bt_position_taps_free(&taps);
        }
}

/* Constant positions stay constant; transposed taps are the same weights seen from the inputs. */
static void sums_and_transposes(void **state) {
    (void)state;
    static const int sides[][2] = {{37, 16}, {37, 7}, {37, 24},  {16, 14}, {14, 16},
                                   {1, 5},   {5, 1},  {2, 1024}, {1024, 3}};
    for (size_t s = 0; s < sizeof sides / sizeof sides[0]; s++)
        for (int rule = 0; rule < BT_POSITIONS_COUNT; rule++) {
            const int from[2] = {sides[s][0], 3}, to[2] = {sides[s][1], 3};
            bt_position_taps there, back;
            check_ok(bt_position_taps_make(&there, (bt_positions)rule, from, to, false));
            check_ok(bt_position_taps_make(&back, (bt_positions)rule, from, to, true));
            int taps = 0, taps_back = 0;
            for (int o = 0; o < to[0]; o++) {
                double sum = 0;
                for (int t = 0; t < there.rows.count[o]; t++, taps++) {
                    float w = there.rows.weight[o * there.rows.most + t];
                    int i = there.rows.first[o] + t, at = o - back.rows.first[i];
                    assert_true(i >= 0 && i < from[0]);
                    assert_true(w == 0 ||
                                (at >= 0 && at < back.rows.count[i] && back.rows.weight[i * back.rows.most + at] == w));
                    sum += (double)w;
                }
                assert_true(fabs(sum - 1) < 1e-6);
            }
            for (int i = 0; i < from[0]; i++)
                for (int t = 0; t < back.rows.count[i]; t++) taps_back += back.rows.weight[i * back.rows.most + t] != 0;
            assert_true(taps_back <= taps && taps_back > 0);
            bt_position_taps_free(&there);
            bt_position_taps_free(&back);
        }
}

static void names(void **state) {
    (void)state;
    assert_string_equal(bt_positions_name(BT_POSITIONS_HUB), "hub");
    assert_string_equal(bt_positions_name(BT_POSITIONS_ANTIALIAS), "antialias");
    assert_string_equal(bt_positions_name(BT_POSITIONS_BICUBIC), "bicubic");
    assert_string_equal(bt_positions_name((bt_positions)-1), "?");
}

/* ---- programs ---- */

static const bt_program_options training = {.compute = BT_F32, .training = true};
enum { SAMPLES = 2, D = 6, OLD = 9, NEW = 8 };
static const int from[2] = {3, 3}, to[2] = {2, 4}, wide[2] = {4, 4};

static void the_same_grid_is_the_same_value(void **state) {
    (void)state;
    bt_program *p = bt_program_new(&training);
    bt_value pos = F32(10, D);
    assert_int_equal(bt_resample_positions(p, pos, 1, from, from, BT_POSITIONS_HUB), pos);
    assert_int_equal(p->instruction_count, 0);
    bt_program_free(p);
}

static void trained_positions_are_a_parameter(void **state) {
    (void)state;
    bt_program *p = bt_program_new(&training);
    bt_value y = bt_resample_positions(p, bt_input_with_gradient(p, "pos", BT_F32, bt_shape2(OLD, D)), 0, from, to,
                                       BT_POSITIONS_HUB);
    bt_root root = {.value = y, .gradient = F32(NEW, D)};
    bt_differentiate(p, &root, 1, 1);
    check_message(bt_program_check(p), BT_ERR_UNSUPPORTED,
                  "resample_positions: positions that are trained must be a parameter");
    bt_program_free(p);
}

/* Tokens on a resampled grid and, in the same program, on another. */
typedef struct model {
    bt_device *device;
    bt_params *store;
    int cls, pos;
    bt_program *p;
    bt_plan *plan;
    void *block;
} model;

static float noise(uint32_t *s) {
    return (float)((*s = *s * 1664525u + 1013904223u) >> 8) * 0x1p-23f - 1;
}

static int declare(bt_params *store, const char *name, bt_shape shape, float *values, uint32_t seed) {
    int index =
        bt_params_add(store, &(bt_param_spec){.name = name, .shape = shape, .kind = BT_PARAM_F32, .trainable = true});
    for (int64_t i = 0; i < bt_shape_count(shape); i++) bt_params_host(store, index)[i] = values[i] = noise(&seed);
    return index;
}

static void start(model *m, float *cls, float *pos) {
    *m = (model){.store = bt_params_new(BT_F32), .p = bt_program_new(&training)};
    m->cls = declare(m->store, "cls", bt_shape2(1, D), cls, 1);
    m->pos = declare(m->store, "pos", bt_shape2(1 + OLD, D), pos, 2);
    bt_program *p = m->p;
    bt_value old = bt_param(p, m->store, m->pos), class_token = bt_param(p, m->store, m->cls);
    bt_value narrow = bt_resample_positions(p, old, 1, from, to, BT_POSITIONS_HUB);
    bt_value broad = bt_resample_positions(p, old, 1, from, wide, BT_POSITIONS_ANTIALIAS);
    bt_value x = bt_tokens(p, F32(SAMPLES, NEW, D), class_token, narrow, 0);
    bt_value y = bt_tokens(p, F32(SAMPLES, 16, D), class_token, broad, 0);
    bt_output(p, "x", x);
    bt_output(p, "y", y);
    const bt_root roots[] = {{.value = x, .gradient = bt_input(p, "dx", BT_F32, bt_shape3(SAMPLES, 1 + NEW, D))},
                             {.value = y, .gradient = bt_input(p, "dy", BT_F32, bt_shape3(SAMPLES, 17, D))}};
    bt_differentiate(p, roots, 2, 1);
    check_ok(bt_cpu_backend.open(&(bt_device_options){.threads = 2}, &m->device));
    check_ok(bt_params_commit(m->store, m->device));
    check_ok(bt_plan_new(p, m->device, &m->plan));
    check_ok(m->device->backend->alloc(m->device, bt_plan_bytes(m->plan), &m->block));
    check_ok(bt_plan_bind(m->plan, m->block));
}

static void stop(model *m) {
    m->device->backend->free(m->device, m->block);
    bt_plan_free(m->plan);
    bt_program_free(m->p);
    bt_params_free(m->store);
    m->device->backend->close(m->device);
}

enum { X = SAMPLES * (1 + NEW) * D, Y = SAMPLES * 17 * D };

/** <dx, x> + <dy, y> for one set of inputs. */
static double run(model *m) {
    static float x[X], y[Y], dx[X], dy[Y], zeros[Y];
    uint32_t s = 7;
    for (int i = 0; i < X; i++) dx[i] = noise(&s);
    for (int i = 0; i < Y; i++) dy[i] = noise(&s);
    for (int i = 0; i < m->plan->named_count; i++)
        if (strncmp(m->plan->named[i].name, "input", 5) == 0) {
            bt_shape shape;
            bt_dtype dtype;
            assert_true(bt_plan_find(m->plan, m->plan->named[i].name, &dtype, &shape));
            check_ok(
                bt_plan_set(m->plan, m->plan->named[i].name, zeros, (size_t)bt_shape_count(shape) * sizeof *zeros));
        }
    check_ok(bt_plan_set(m->plan, "dx", dx, sizeof dx));
    check_ok(bt_plan_set(m->plan, "dy", dy, sizeof dy));
    check_ok(bt_plan_run(m->plan));
    check_ok(bt_plan_get(m->plan, "x", x, sizeof x));
    check_ok(bt_plan_get(m->plan, "y", y, sizeof y));
    double sum = 0;
    for (int i = 0; i < X; i++) sum += (double)dx[i] * (double)x[i];
    for (int i = 0; i < Y; i++) sum += (double)dy[i] * (double)y[i];
    return sum;
}

/* Everything is linear: along any direction the gradient of a parameter says exactly what its change does, and two uses
 * add up. */
static void gradients_reach_the_parameters(void **state) {
    (void)state;
    model m;
    float cls[D], pos[(1 + OLD) * D], dcls[D], dpos[(1 + OLD) * D];
    start(&m, cls, pos);
    double before = run(&m);
    check_ok(bt_params_read(m.store, m.cls, BT_SLOT_GRADIENT, dcls));
    check_ok(bt_params_read(m.store, m.pos, BT_SLOT_GRADIENT, dpos));
    uint32_t s = 11;
    double expected = 0, norm = 0;
    for (int i = 0; i < (1 + OLD) * D; i++) {
        float change = noise(&s);
        expected += (double)change * (double)dpos[i];
        norm += fabs((double)change * (double)dpos[i]);
        pos[i] += change;
    }
    check_ok(bt_params_write(m.store, m.pos, BT_SLOT_VALUE, pos));
    double moved = run(&m);
    assert_true(norm > 1 && fabs(moved - before - expected) < 1e-5 * norm);
    cls[0] += 0.5f;
    check_ok(bt_params_write(m.store, m.cls, BT_SLOT_VALUE, cls));
    assert_true(fabs(run(&m) - moved - 0.5 * (double)dcls[0]) < 1e-5 * norm);
    float again[(1 + OLD) * D];
    check_ok(bt_params_read(m.store, m.pos, BT_SLOT_GRADIENT, again));
    assert_memory_equal(again, dpos, sizeof dpos); /* stored anew, not added to the run before */
    stop(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_pytorch),
        cmocka_unit_test(sums_and_transposes),
        cmocka_unit_test(names),
        cmocka_unit_test(the_same_grid_is_the_same_value),
        cmocka_unit_test(trained_positions_are_a_parameter),
        cmocka_unit_test(gradients_reach_the_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
