/* Runs recorded and issued as a whole, on a device that counts: the processor with graph methods that only take notes.
 * What the recording devices do is in tests/device. */
#include "check.h"

#include "program/plan.h"

static const bt_program_options inference = {.compute = BT_F32};

static struct {
    int begun, ended, launched, freed;
    bool refuses_begin, refuses_end;
} notes;

static bt_status begin(bt_device *device) {
    (void)device;
    notes.begun++;
    return notes.refuses_begin ? bt_error(BT_ERR_DEVICE, "no recording today") : BT_OK;
}

static bt_status end(bt_device *device, void **graph) {
    (void)device;
    *graph = notes.refuses_end ? NULL : &notes;
    notes.ended++;
    return notes.refuses_end ? bt_error(BT_ERR_DEVICE, "nothing to end") : BT_OK;
}

static bt_status launch(bt_device *device, void *graph) {
    (void)device;
    assert_ptr_equal(graph, &notes);
    notes.launched++;
    return BT_OK;
}

static void release(bt_device *device, void *graph) {
    (void)device;
    assert_ptr_equal(graph, &notes);
    notes.freed++;
}

static const bt_graph_methods methods = {begin, end, launch, release};

typedef struct running {
    bt_backend backend;
    bt_device *device;
    bt_program *p;
    bt_plan *plan;
    void *block;
} running;

/* y = relu(x). */
static void start(running *r) {
    memset(&notes, 0, sizeof notes);
    check_ok(bt_cpu_backend.open(&(bt_device_options){.threads = 1}, &r->device));
    r->backend = bt_cpu_backend;
    r->backend.graphs = &methods;
    r->device->backend = &r->backend;
    r->p = bt_program_new(&inference);
    bt_output(r->p, "y", bt_relu(r->p, bt_input(r->p, "x", BT_F32, bt_shape2(1, 2))));
    check_ok(bt_plan_new(r->p, r->device, &r->plan));
    check_ok(r->backend.alloc(r->device, bt_plan_bytes(r->plan), &r->block));
    check_ok(bt_plan_bind(r->plan, r->block));
    check_ok(r->backend.set_step(r->device, &(bt_step){.step = 1}));
}

static void stop(running *r) {
    bt_plan_free(r->plan);
    r->backend.free(r->device, r->block);
    bt_program_free(r->p);
    r->device->backend = &bt_cpu_backend;
    bt_cpu_backend.close(r->device);
}

static void run(running *r) {
    const float x[2] = {-1, 2};
    check_ok(bt_plan_set(r->plan, "x", x, sizeof x));
    check_ok(bt_plan_run(r->plan));
}

static void check_y(running *r) {
    float y[2];
    check_ok(bt_plan_get(r->plan, "y", y, sizeof y));
    assert_true(y[0] == 0 && y[1] == 2);
}

static void second_run_is_recorded_and_later_ones_are_launched(void **state) {
    (void)state;
    running r;
    start(&r);
    run(&r);
    check_y(&r);
    assert_int_equal(notes.begun, 0);
    run(&r);
    assert_true(notes.begun == 1 && notes.ended == 1 && notes.launched == 1);
    run(&r);
    run(&r);
    assert_true(notes.begun == 1 && notes.launched == 3 && notes.freed == 0);
    assert_null(bt_plan_replay_refusal(r.plan));
    stop(&r);
    assert_int_equal(notes.freed, 1);
}

static void another_block_is_another_graph(void **state) {
    (void)state;
    running r;
    start(&r);
    run(&r);
    run(&r);
    check_ok(bt_plan_bind(r.plan, r.block));
    assert_int_equal(notes.freed, 1);
    run(&r);
    assert_int_equal(notes.begun, 1);
    run(&r);
    assert_int_equal(notes.begun, 2);
    stop(&r);
    assert_int_equal(notes.freed, 2);
}

/* Refused at its begin or at its end, a recording costs nothing but speed: the run is done, and so are later ones. */
static void what_refuses_to_be_recorded_runs_kernel_by_kernel(void **state) {
    (void)state;
    for (int at_end = 0; at_end < 2; at_end++) {
        running r;
        start(&r);
        notes.refuses_begin = !at_end;
        notes.refuses_end = at_end;
        run(&r);
        run(&r);
        check_y(&r);
        assert_string_equal(bt_plan_replay_refusal(r.plan), at_end ? "nothing to end" : "no recording today");
        run(&r);
        check_y(&r);
        assert_true(notes.begun == 1 && notes.launched == 0 && notes.freed == 0);
        assert_int_equal(notes.ended, at_end);
        stop(&r);
    }
}

static void replay_can_be_switched_off_and_on(void **state) {
    (void)state;
    running r;
    start(&r);
    bt_plan_set_replay(r.plan, false);
    for (int i = 0; i < 3; i++) run(&r);
    check_y(&r);
    assert_int_equal(notes.begun, 0);
    bt_plan_set_replay(r.plan, true);
    run(&r);
    run(&r);
    assert_int_equal(notes.launched, 1);
    stop(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(second_run_is_recorded_and_later_ones_are_launched),
                                       cmocka_unit_test(another_block_is_another_graph),
                                       cmocka_unit_test(what_refuses_to_be_recorded_runs_kernel_by_kernel),
                                       cmocka_unit_test(replay_can_be_switched_off_and_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
