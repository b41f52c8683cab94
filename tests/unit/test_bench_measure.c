/* What a benchmark does with candidates of a product that fail, and a plan's instructions and inputs by themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../benchmarks/measure.c"

#include <unistd.h>

/* The processor's backend, but for products whose candidates do as told. */
static struct {
    int candidates; /* how many there are */
    int failing;    /* one that fails when run, or -1 */
    bool stays;     /* and then the device answers no more */
    bool faulty;    /* it did */
    int chosen, runs[32], uploads;
} told;

static void choose(bt_device *device, int index) {
    (void)device;
    told.chosen = index;
}

static bt_status prepare_linear(bt_device *device, const bt_linear_args *args, bt_prepared *out) {
    if (told.chosen >= told.candidates) return bt_error(BT_ERR_UNSUPPORTED, "no candidate %d", told.chosen);
    return bt_cpu_backend.kernels->linear->prepare(device, args, out);
}

static bt_status run_linear(bt_device *device, const bt_linear_args *args, const bt_prepared *prepared, void *scratch) {
    told.runs[told.chosen]++;
    if (told.chosen == told.failing) {
        told.faulty = told.stays;
        return bt_error(BT_ERR_DEVICE, "candidate %d fell over", told.chosen);
    }
    if (told.chosen != 2) usleep(500); /* 2 is the fastest */
    return bt_cpu_backend.kernels->linear->run(device, args, prepared, scratch);
}

static bt_status wait_told(bt_device *device) {
    (void)device;
    return told.faulty ? bt_error(BT_ERR_DEVICE, "the old fault") : BT_OK;
}

static bt_status upload_counted(bt_device *device, void *to, const void *from, size_t bytes) {
    told.uploads++;
    return bt_cpu_backend.upload(device, to, from, bytes);
}

static bt_status measure_told(int candidates, int failing, bool stays, double *first, double *best, int *candidate) {
    static const bt_linear_kernel linear = {prepare_linear, run_linear};
    bt_kernels kernels = *bt_cpu_backend.kernels;
    bt_backend backend = bt_cpu_backend;
    kernels.linear = &linear;
    backend.kernels = &kernels;
    backend.set_candidate = choose;
    backend.synchronize = wait_told;
    backend.upload = upload_counted;
    memset(&told, 0, sizeof told);
    told.candidates = candidates;
    told.failing = failing;
    told.stays = stays;
    bt_device *device;
    assert_int_equal(bt_cpu_backend.open(&(bt_device_options){.threads = 1}, &device), BT_OK);
    device->backend = &backend;
    const bt_bench_product p = {.role = BT_BENCH_FORWARD, .dtype = BT_F32, .m = 8, .n = 8, .k = 8};
    bt_status status = bt_bench_product_seconds(device, &p, 3, first, best, candidate);
    assert_int_equal(told.chosen, 0); /* as a plan has it afterwards */
    device->backend = &bt_cpu_backend;
    bt_cpu_backend.close(device);
    return status;
}

static void fastest_of_eight(void **state) {
    (void)state;
    double first, best;
    int candidate;
    assert_int_equal(measure_told(30, -1, false, &first, &best, &candidate), BT_OK);
    assert_int_equal(candidate, 2);
    assert_true(best < first);
    assert_true(told.runs[7] > 0 && told.runs[8] == 0);
    assert_int_equal(told.uploads, 3); /* x, w and y, once */
    assert_int_equal(measure_told(1, -1, false, &first, &best, &candidate), BT_OK);
    assert_int_equal(candidate, 0);
    assert_true(best == first && told.runs[1] == 0);
}

static void failing_ones_are_left_out(void **state) {
    (void)state;
    double first, best;
    int candidate;
    assert_int_equal(measure_told(4, 2, false, &first, &best, &candidate), BT_OK);
    assert_true(candidate != 2 && told.runs[3] > 0);
    assert_int_equal(measure_told(4, 0, false, &first, &best, &candidate), BT_OK);
    assert_true(isnan(first) && best > 0 && candidate == 2);
}

static void errors(void **state) {
    (void)state;
    double first, best;
    int candidate;
    assert_int_equal(measure_told(1, 0, false, &first, &best, &candidate), BT_ERR_DEVICE);
    assert_string_equal(bt_error_message(), "candidate 0 fell over");
    assert_int_equal(measure_told(0, -1, false, &first, &best, &candidate), BT_ERR_UNSUPPORTED);
    assert_string_equal(bt_error_message(), "no candidate 0");
    assert_int_equal(measure_told(4, 1, true, &first, &best, &candidate), BT_ERR_DEVICE);
    assert_non_null(strstr(bt_error_message(), "candidate 1 fell over; the fault stays"));
    assert_int_equal(told.runs[2], 0);
}

static void plan_by_instructions(void **state) {
    (void)state;
    const float values[] = {-1, 2, -3, 4};
    float back[4];
    void *block = NULL, *other = NULL;
    bt_device *device;
    bt_plan *plan;
    double seconds[2] = {-1, -1};
    assert_int_equal(bt_cpu_backend.open(&(bt_device_options){.threads = 1}, &device), BT_OK);
    bt_program *p = bt_program_new(&(bt_program_options){.compute = BT_F32});
    bt_output(p, "y", bt_relu(p, bt_input(p, "x", BT_F32, bt_shape2(2, 2))));
    assert_int_equal(bt_plan_new(p, device, &plan), BT_OK);
    assert_int_equal(bt_cpu_backend.alloc(device, bt_plan_bytes(plan), &block), BT_OK);
    assert_int_equal(bt_plan_bind(plan, block), BT_OK);
    assert_int_equal(bt_cpu_backend.alloc(device, sizeof values, &other), BT_OK);
    assert_int_equal(bt_cpu_backend.upload(device, other, values, sizeof values), BT_OK);
    assert_int_equal(bt_bench_set_input(plan, "y", other, sizeof values), BT_ERR_SHAPE);
    assert_int_equal(bt_bench_set_input(plan, "x", other, 12), BT_ERR_SHAPE);
    assert_int_equal(bt_plan_run(plan), BT_ERR_SHAPE); /* nothing was set */
    assert_int_equal(bt_bench_set_input(plan, "x", other, sizeof values), BT_OK);
    assert_int_equal(bt_plan_run(plan), BT_OK);
    assert_int_equal(bt_plan_get(plan, "y", back, sizeof back), BT_OK);
    assert_true(back[0] == 0 && back[1] == 2 && back[2] == 0 && back[3] == 4);
    assert_int_equal(bt_bench_plan_seconds(plan, seconds), BT_OK);
    assert_true(seconds[0] > 0 && seconds[0] < 1 && seconds[1] == -1);
    bt_plan_free(plan);
    bt_program_free(p);
    bt_cpu_backend.free(device, other);
    bt_cpu_backend.free(device, block);
    bt_cpu_backend.close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fastest_of_eight), cmocka_unit_test(failing_ones_are_left_out),
                                       cmocka_unit_test(errors), cmocka_unit_test(plan_by_instructions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
