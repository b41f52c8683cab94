/* The losses of CroVCA at values computed by hand: the kernels alone, without a program.
 *
 * Coding rate (eps 0.05) of B rows of b bits: isotropic rows reach -b/2 ln(1 + 1/eps) (b+B)/(b B), equal rows
 * -1/2 ln(1 + b/eps) (b+B)/(b B). The fixtures' figures come from an independent computation in float64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "tensor/backend.h"

#include <math.h>
#include <string.h>

#define EPS 0.05f

static bt_device *device;

static int open_device(void **state) {
    (void)state;
    return bt_cpu_backend.open(&(bt_device_options){0}, &device) == BT_OK ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    bt_cpu_backend.close(device);
    return 0;
}

static void set_step(void) {
    assert_int_equal(bt_cpu_backend.set_step(device, &(bt_step){.step = 1}), BT_OK);
}

/* PREPARE_AND_RUN(name, arguments): one kernel with its scratch. */
#define PREPARE_AND_RUN(name, args)                                                                                    \
    do {                                                                                                               \
        bt_prepared prepared = {0};                                                                                    \
        assert_int_equal(bt_cpu_backend.kernels->name->prepare(device, args, &prepared), BT_OK);                       \
        void *scratch;                                                                                                 \
        assert_int_equal(bt_cpu_backend.alloc(device, prepared.scratch_bytes, &scratch), BT_OK);                       \
        assert_int_equal(bt_cpu_backend.kernels->name->run(device, args, &prepared, scratch), BT_OK);                  \
        bt_cpu_backend.free(device, scratch);                                                                          \
        if (prepared.release) prepared.release(prepared.state);                                                        \
    } while (0)

static bt_tensor matrix(float *data, int64_t rows, int64_t cols) {
    return bt_tensor_of(data, BT_F32, bt_shape2(rows, cols));
}

/* The coding rate of x (groups*rows,cols), which is normalised in place first when `normalize` is set. */
static float rate_of(float *x, int groups, int64_t rows, int64_t cols, bool normalize) {
    float loss = 0;
    float *chol = bt_memory_alloc((size_t)(groups * cols * cols), sizeof *chol);
    float *norm = bt_memory_alloc((size_t)(groups * rows), sizeof *norm);
    assert_non_null(chol);
    assert_non_null(norm);
    bt_tensor t = matrix(x, groups * rows, cols);
    if (normalize) {
        bt_l2_normalize_args unit = {.x = t, .y = t, .eps = 1e-12f};
        unit.norm = bt_tensor_of(norm, BT_F32, bt_shape1(groups * rows));
        PREPARE_AND_RUN(l2_normalize, &unit);
    }
    bt_coding_rate_args args = {.x = t, .groups = groups, .eps = EPS};
    args.loss = bt_tensor_of(&loss, BT_F32, bt_shape1(1));
    args.chol = bt_tensor_of(chol, BT_F32, bt_shape3(groups, cols, cols));
    set_step();
    PREPARE_AND_RUN(coding_rate, &args);
    bt_memory_free(chol);
    bt_memory_free(norm);
    return loss;
}

static void assert_close(float found, double expected, double tolerance) {
    if (!(fabs((double)found - expected) <= tolerance)) fail_msg("found %.9g, expected %.9g", (double)found, expected);
}

typedef struct rate_row {
    int64_t rows, bits;
    double isotropic, collapsed;
} rate_row;

static const rate_row rate_table[] = {
    {256, 16, -1.61740, -0.19163},  {256, 32, -1.71254, -0.11361},  {256, 64, -1.90283, -0.06988},
    {256, 128, -2.28339, -0.04599}, {256, 256, -3.04452, -0.03336},
};

static void test_coding_rate_table(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rate_table / sizeof *rate_table; i++) {
        rate_row r = rate_table[i];
        float *x = bt_memory_zeroed((size_t)(r.rows * r.bits), sizeof *x);
        assert_non_null(x);
        for (int64_t n = 0; n < r.rows; n++) x[n * r.bits + n % r.bits] = n & 1 ? -2.5f : 2.5f;
        assert_close(rate_of(x, 1, r.rows, r.bits, true), r.isotropic, 6e-6);
        for (int64_t k = 0; k < r.rows * r.bits; k++) x[k] = k % r.bits & 1 ? -0.3f : 0.3f;
        assert_close(rate_of(x, 1, r.rows, r.bits, true), r.collapsed, 6e-6);
        bt_memory_free(x);
    }
}

static const float fixture[6][4] = {{1, 2, -1, 0.5f},           {-1, 1, 0, 2}, {0.3f, -2, 1, 1}, {2, 0.1f, 0.2f, -1},
                                    {-0.5f, -0.5f, 1.5f, 0.7f}, {1, 1, 1, 1}};

static void test_coding_rate_fixture(void **state) {
    (void)state;
    float x[12][4];
    memcpy(x, fixture, sizeof fixture);
    memcpy(x + 6, fixture, sizeof fixture);
    assert_close(rate_of(x[0], 1, 6, 4, true), -2.3433094, 2e-7 * 3);
    memcpy(x, fixture, sizeof fixture);
    assert_close(rate_of(x[0], 2, 6, 4, true), -2.3433094, 2e-7 * 3);
}

/* A matrix with a NaN in it has no factor: the step's fault names operation and pivot, the loss is NaN. */
static void test_coding_rate_fault(void **state) {
    (void)state;
    float x[6][4];
    memcpy(x, fixture, sizeof fixture);
    x[3][2] = NAN;
    assert_true(isnan(rate_of(x[0], 1, 6, 4, false)));
    assert_int_equal(device->step->fault, 1 + BT_OP_coding_rate);
    assert_int_equal(device->step->fault_index, 3);
}

static void test_code_align_fixture(void **state) {
    (void)state;
    float z[4][2] = {{0.2f, -1}, {1.5f, 0.3f}, {0.1f, 0.4f}, {-0.2f, 2}}, loss = 0;
    uint8_t bits[4][2] = {{1, 0}, {1, 1}, {1, 1}, {0, 1}};
    bt_code_align_args args = {.z = matrix(z[0], 4, 2), .views = 2};
    args.loss = bt_tensor_of(&loss, BT_F32, bt_shape1(1));
    PREPARE_AND_RUN(code_align, &args);
    assert_close(loss, 0.8312060, 2e-7);
    args.targets = bt_tensor_of(bits, BT_U8, bt_shape2(4, 2));
    loss = 0;
    PREPARE_AND_RUN(code_align, &args);
    assert_close(loss, 0.8312060, 2e-7);
}

static void test_code_align_extremes(void **state) {
    (void)state;
    float z[2][2] = {{200, -200}, {-300, 100}}, loss = 0; /* targets 0 1 | 1 0 */
    bt_code_align_args args = {.z = matrix(z[0], 2, 2), .views = 2};
    args.loss = bt_tensor_of(&loss, BT_F32, bt_shape1(1));
    PREPARE_AND_RUN(code_align, &args);
    assert_close(loss, (200 + 200 + 300 + 100) / 4.0, 0);
}

static void test_one_row_is_refused(void **state) {
    (void)state;
    float z[2][3] = {{0}}, c[3] = {0}, stats[12];
    bt_tensor row = bt_tensor_of(c, BT_F32, bt_shape1(3)), rows = matrix(z[0], 2, 3);
    bt_batch_norm_args args = {.z = rows, .w = row, .b = row, .running_mean = row, .running_var = row, .y = rows};
    args.stats = bt_tensor_of(stats, BT_F32, bt_shape3(2, 2, 3));
    args.groups = 2;
    bt_prepared prepared = {0};
    assert_int_equal(bt_cpu_backend.kernels->batch_norm->prepare(device, &args, &prepared), BT_ERR_SHAPE);
    assert_non_null(strstr(bt_error_message(), "found 1 row per view, needed at least 2"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coding_rate_table),   cmocka_unit_test(test_coding_rate_fixture),
        cmocka_unit_test(test_coding_rate_fault),   cmocka_unit_test(test_code_align_fixture),
        cmocka_unit_test(test_code_align_extremes), cmocka_unit_test(test_one_row_is_refused),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
