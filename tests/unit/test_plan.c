/* Plans that run: inputs and outputs by name, what is refused, faults of kernels, timed runs. */
#include "check.h"
#include "inputs.h"

#include "pixels/view.h"
#include "program/inspect.h"
#include "program/plan.h"

#include <math.h>
#include <stdlib.h>

static const bt_program_options inference = {.compute = BT_F32};

typedef struct running {
    bt_device *device;
    bt_program *p;
    bt_plan *plan;
    void *block;
} running;

static void bind(running *r) {
    check_ok(bt_plan_new(r->p, r->device, &r->plan));
    check_ok(r->device->backend->alloc(r->device, bt_plan_bytes(r->plan), &r->block));
    check_ok(bt_plan_bind(r->plan, r->block));
    const bt_step step = {.step = 1};
    check_ok(r->device->backend->set_step(r->device, &step));
}

/* y = relu(x) and the cross entropy of y, on a device of its own. */
static running start(void) {
    running r = {0};
    check_ok(bt_cpu_backend.open(&(bt_device_options){.threads = 1}, &r.device));
    r.p = bt_program_new(&inference);
    bt_value y = bt_relu(r.p, bt_input(r.p, "x", BT_F32, bt_shape2(2, 3)));
    bt_output(r.p, "y", y);
    bt_output(r.p, "loss", bt_cross_entropy(r.p, y, bt_input(r.p, "labels", BT_I32, bt_shape1(2))));
    bind(&r);
    return r;
}

static void stop(running *r) {
    r->device->backend->free(r->device, r->block);
    bt_plan_free(r->plan);
    bt_program_free(r->p);
    r->device->backend->close(r->device);
}

static const float x[6] = {-1, 2, -3, 4, -5, 6}, relu_of_x[6] = {0, 2, 0, 4, 0, 6};

static void set_inputs(running *r, int32_t label) {
    const int32_t labels[2] = {0, label};
    check_ok(bt_plan_set(r->plan, "x", x, sizeof x));
    check_ok(bt_plan_set(r->plan, "labels", labels, sizeof labels));
}

static void runs_as_often_as_inputs_are_set(void **state) {
    (void)state;
    running r = start();
    float y[6];
    for (int i = 0; i < 2; i++) {
        set_inputs(&r, 1);
        check_ok(bt_plan_run(r.plan));
        check_ok(bt_plan_get(r.plan, "y", y, sizeof y));
        assert_memory_equal(y, relu_of_x, sizeof y);
    }
    check_message(bt_plan_run(r.plan), BT_ERR_SHAPE, "input \"x\" was not set since the last run");
    check_ok(bt_plan_set(r.plan, "x", x, sizeof x));
    check_message(bt_plan_run(r.plan), BT_ERR_SHAPE, "input \"labels\" was not set since the last run");
    stop(&r);
}

static void names_and_sizes(void **state) {
    (void)state;
    running r = start();
    float y[7];
    check_message(bt_plan_set(r.plan, "z", x, sizeof x), BT_ERR_SHAPE, "the program has no input \"z\"");
    check_message(bt_plan_set(r.plan, "y", x, sizeof x), BT_ERR_SHAPE, "the program has no input \"y\"");
    check_message(bt_plan_set(r.plan, "x", x, 20), BT_ERR_SHAPE, "input \"x\" has 24 bytes, 20 were given");
    check_message(bt_plan_get(r.plan, "x", y, 24), BT_ERR_SHAPE, "the program has no output \"x\"");
    check_message(bt_plan_get(r.plan, "y", y, 28), BT_ERR_SHAPE, "output \"y\" has 24 bytes, 28 were given");
    bt_dtype dtype = BT_NONE;
    bt_shape shape = {0};
    assert_true(bt_plan_find(r.plan, "labels", &dtype, &shape) && dtype == BT_I32 &&
                bt_shape_equal(shape, bt_shape1(2)));
    assert_true(bt_plan_find(r.plan, "y", &dtype, &shape) && dtype == BT_F32 && bt_shape_equal(shape, bt_shape2(2, 3)));
    assert_false(bt_plan_find(r.plan, "z", &dtype, &shape));
    stop(&r);
}

static void fault_of_a_kernel(void **state) {
    (void)state;
    running r = start();
    float loss;
    set_inputs(&r, 3);
    check_ok(bt_plan_run(r.plan));
    check_message(bt_plan_get(r.plan, "loss", &loss, sizeof loss), BT_ERR_NUMERIC,
                  "cross_entropy: label out of range in row 1");
    stop(&r);
}

/* A program that begins with pictures: two views of one picture of 3 x 2, as they are and mirrored, then patches of one
 * pixel. */
static void views_then_patches(void **state) {
    (void)state;
    running r = {0};
    check_ok(bt_cpu_backend.open(&(bt_device_options){.threads = 1}, &r.device));
    r.p = bt_program_new(&inference);
    const float mean[3] = {0}, std[3] = {1, 1, 1};
    bt_value views = bt_make_views(r.p, bt_input(r.p, "pixels", BT_U8, bt_shape1(20)),
                                   bt_input(r.p, "views", BT_U8, bt_shape2(2, sizeof(bt_view_record))), 2);
    bt_output(r.p, "y", bt_patchify(r.p, views, 1, 3, mean, std));
    bind(&r);
    bt_view_record record[2] = {
        {.offset = 2,
         .height = 3,
         .width = 2,
         .view = {.crop = {1, 0, 2, 2}, .full_height = 2, .full_width = 2, .window = {0, 0, 2, 2}}}};
    uint8_t pixels[20];
    for (int i = 0; i < 20; i++) pixels[i] = (uint8_t)i;
    record[1] = record[0];
    record[1].view.flip = true;
    float y[24];
    check_ok(bt_plan_set(r.plan, "pixels", pixels, sizeof pixels));
    check_ok(bt_plan_set(r.plan, "views", record, sizeof record));
    check_ok(bt_plan_run(r.plan));
    check_ok(bt_plan_get(r.plan, "y", y, sizeof y));
    for (int i = 0; i < 12; i++) {
        assert_int_equal(lrintf(y[i] * 255), 8 + i); /* behind two bytes and a row of two pixels */
        assert_int_equal(lrintf(y[12 + i] * 255), 8 + i / 6 * 6 + (i / 3 % 2 ? 0 : 3) + i % 3);
    }
    record[1].offset = 3; /* its last pixel would be behind the end */
    check_ok(bt_plan_set(r.plan, "pixels", pixels, sizeof pixels));
    check_ok(bt_plan_set(r.plan, "views", record, sizeof record));
    check_ok(bt_plan_run(r.plan));
    check_error(bt_plan_get(r.plan, "y", y, sizeof y), BT_ERR_SHAPE,
                "make_views: the record of view 1 is out of range");
    stop(&r);
}

static void matrix_that_is_not_positive(void **state) {
    (void)state;
    running r = {0};
    check_ok(bt_cpu_backend.open(&(bt_device_options){.threads = 1}, &r.device));
    r.p = bt_program_new(&inference);
    bt_output(r.p, "rate", bt_coding_rate(r.p, bt_input(r.p, "x", BT_F32, bt_shape2(2, 3)), 1, 0.05f));
    bind(&r);
    const float bad[6] = {1, NAN, 3, 4, 5, 6};
    float rate;
    check_ok(bt_plan_set(r.plan, "x", bad, sizeof bad));
    check_ok(bt_plan_run(r.plan));
    check_message(bt_plan_get(r.plan, "rate", &rate, sizeof rate), BT_ERR_NUMERIC,
                  "coding_rate: the matrix is not positive definite at pivot 2 (non-finite logits?)");
    stop(&r);
}

static void timed_run(void **state) {
    (void)state;
    running r = start();
    set_inputs(&r, 1);
    double seconds[2] = {-1, -1};
    assert_int_equal(bt_plan_summarize(r.plan).instructions, 2);
    check_ok(bt_plan_run_timed(r.plan, seconds));
    for (int i = 0; i < 2; i++) assert_true(seconds[i] >= 0 && seconds[i] < 60); /* a clock counts from boot or 1970 */
    float y[6];
    check_ok(bt_plan_get(r.plan, "y", y, sizeof y));
    assert_memory_equal(y, relu_of_x, sizeof y);
    check_error(bt_plan_run_timed(r.plan, seconds), BT_ERR_SHAPE, "was not set since the last run");
    stop(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_as_often_as_inputs_are_set),
        cmocka_unit_test(names_and_sizes),
        cmocka_unit_test(fault_of_a_kernel),
        cmocka_unit_test(views_then_patches),
        cmocka_unit_test(matrix_that_is_not_positive),
        cmocka_unit_test(timed_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
