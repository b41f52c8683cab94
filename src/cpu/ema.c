/* Exponential moving average: average += weight (param - average), the weight from the step block. */
#include "cpu/rows.h"

typedef struct context {
    const bt_ema_args *args;
    float weight;
} context;

static bt_status prepare(bt_device *device, const bt_ema_args *a, bt_prepared *out) {
    (void)device, (void)out;
    return BT_CHECK_OPERANDS("ema", {"average", &a->average, BT_ALLOW_F32}, {"param", &a->param, BT_ALLOW_F32});
}

static void move_rows(const void *shared, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)unused;
    const context *c = shared;
    int64_t cols = bt_shape_cols(c->args->average.shape);
    for (int64_t row = begin; row < end; row++)
        v->move_toward(bt_row_f32(&c->args->average, row), bt_row_f32(&c->args->param, row), c->weight, cols);
}

static void move_elements(const void *shared, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)unused;
    const context *c = shared;
    v->move_toward((float *)c->args->average.data + begin, (const float *)c->args->param.data + begin, c->weight,
                   end - begin);
}

/** Vectors of a store are one long row, which threads share. */
static bt_status run(bt_device *device, const bt_ema_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    context c = {.args = a, .weight = device->step->average_weight};
    int64_t count = bt_shape_count(a->average.shape), cols = bt_shape_cols(a->average.shape);
    bool dense = a->average.ld == cols && a->param.ld == cols;
    bt_over_rows(device, dense ? count : bt_shape_rows(a->average.shape), count, dense ? move_elements : move_rows, &c,
                 0, NULL);
    return BT_OK;
}

const bt_ema_kernel bt_cpu_ema = {prepare, run};
