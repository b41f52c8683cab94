/* Reductions of the CPU kernels give the same bits for any number of threads: their sums run over fixed chunks of rows,
 * or down whole columns. (Matrix products promise this only for one number of threads.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tensor/backend.h"

#include <bittern/random.h>

#include <math.h>
#include <string.h>

/* Enough rows for several chunks and enough elements for seven threads; 37 columns are no whole number of strips. */
#define ROWS 3074
#define COLS 37

static float x[ROWS * COLS], dy[ROWS * COLS], w[COLS];

/* What each kernel leaves behind. */
typedef struct results {
    float dw[COLS], db[COLS], dscale[COLS], square, align, rate, entropy, lse[ROWS];
    float stats[2 * COLS * 2], y[ROWS * COLS], dz[ROWS * COLS], dx[ROWS * COLS], chol[2 * COLS * COLS];
} results;

static int draw(void **state) {
    (void)state;
    for (uint32_t i = 0; i < ROWS * COLS; i++) {
        bt_philox r = bt_random_block(1, 0, 0, 0, i);
        x[i] = 4 * bt_random_unit(r.word[0]) - 2;
        dy[i] = 4 * bt_random_unit(r.word[1]) - 2;
        if (i < COLS) w[i] = bt_random_unit(r.word[2]);
    }
    return 0;
}

#define RUN(name, ...)                                                                                                 \
    do {                                                                                                               \
        const bt_##name##_args args = {__VA_ARGS__};                                                                   \
        bt_prepared prepared = {0};                                                                                    \
        void *scratch;                                                                                                 \
        assert_int_equal(bt_cpu_backend.kernels->name->prepare(device, &args, &prepared), BT_OK);                      \
        assert_int_equal(bt_cpu_backend.alloc(device, prepared.scratch_bytes, &scratch), BT_OK);                       \
        assert_int_equal(bt_cpu_backend.kernels->name->run(device, &args, &prepared, scratch), BT_OK);                 \
        bt_cpu_backend.free(device, scratch);                                                                          \
    } while (0)

static bt_tensor matrix(float *data, int64_t rows, int64_t cols) {
    return bt_tensor_of(data, BT_F32, bt_shape2(rows, cols));
}

static void run_with(int threads, results *r) {
    bt_device *device;
    assert_int_equal(bt_cpu_backend.open(&(bt_device_options){.threads = threads}, &device), BT_OK);
    assert_int_equal(bt_cpu_backend.set_step(device, &(bt_step){.step = 1}), BT_OK);
    memset(r, 0, sizeof *r);
    static float row_stats[ROWS * 2], running[2][COLS];
    static int32_t labels[ROWS];
    bt_tensor tx = matrix(x, ROWS, COLS), tdy = matrix(dy, ROWS, COLS), tw = bt_tensor_of(w, BT_F32, bt_shape1(COLS));
    bt_tensor ty = matrix(r->y, ROWS, COLS), row = matrix(row_stats, ROWS, 2), one = matrix(&r->square, 1, 1);
    RUN(layer_norm, .x = tx, .y = ty, .stats = row, .eps = 1e-6f);
    RUN(layer_norm_dw, .dy = tdy, .x = tx, .stats = row, .dw = matrix(r->dw, 1, COLS), .db = matrix(r->db, 1, COLS));
    RUN(add_dscale, .dy = tdy, .f = tx, .dscale = matrix(r->dscale, 1, COLS));
    RUN(sum_squares, .x = tx, .sum = one);
    RUN(code_align, .z = tx, .loss = matrix(&r->align, 1, 1), .views = 2);
    bt_tensor stats = bt_tensor_of(r->stats, BT_F32, bt_shape3(2, 2, COLS));
    RUN(batch_norm, .z = tx, .w = tw, .b = tw, .running_mean = matrix(running[0], 1, COLS),
        .running_var = matrix(running[1], 1, COLS), .y = ty, .stats = stats, .groups = 2, .eps = 1e-5f);
    RUN(batch_norm_dx, .dy = tdy, .z = tx, .w = tw, .stats = stats, .dz = matrix(r->dz, ROWS, COLS), .groups = 2);
    bt_tensor chol = bt_tensor_of(r->chol, BT_F32, bt_shape3(2, COLS, COLS));
    RUN(coding_rate, .x = tx, .loss = matrix(&r->rate, 1, 1), .chol = chol, .groups = 2, .eps = 0.05f);
    RUN(coding_rate_dx, .x = tx, .chol = chol, .dx = matrix(r->dx, ROWS, COLS), .groups = 2, .eps = 0.05f, .weight = 1);
    RUN(cross_entropy, .logits = tx, .labels = bt_tensor_of(labels, BT_I32, bt_shape1(ROWS)),
        .loss = matrix(&r->entropy, 1, 1), .lse = bt_tensor_of(r->lse, BT_F32, bt_shape1(ROWS)));
    bt_cpu_backend.close(device);
}

static void test_same_bits(void **state) {
    (void)state;
    static results alone, shared;
    run_with(1, &alone);
    assert_true(alone.square > 0 && alone.align > 0 && alone.rate < 0 && isfinite(alone.dw[COLS - 1]));
    for (int threads = 2; threads <= 7; threads++) {
        run_with(threads, &shared);
        assert_memory_equal(&shared, &alone, sizeof alone);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_same_bits, draw)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
