/* Instructions that planning makes of several: which pairs it takes, which it leaves, and that results stay. The device
 * is the processor, which does not ask for any; a copy of its backend does. */
#include "check.h"

#include "program/plan.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 5, WIDTH = 6, HIDDEN = 72 };

/* What the block has that stands in the way. */
enum {
    PLAIN = 0,
    TRAINED_SCALE = 1,
    TRAINED_WEIGHT = 2,
    BRANCH_IS_READ = 4,
    BRANCH_IS_OUTPUT = 8,
    HIDDEN_IS_READ = 16,
    QUICK = 32,
    INFERENCE = 64,
    NO_SCALE = 128,
    OTHER_SHAPE = 256,
    BRANCH_OTHER_SHAPE = 512,
    TRAINED_BIAS = 1024,
    LATE_RESIDUAL = 2048,  /* made between the product and the sum */
    PRODUCT_ADDS = 4096,   /* the second product has an addend of its own */
    HIDDEN_ADDS = 8192,    /* the first one */
    GRADIENT_ADDS = 16384, /* the function's output is read twice: its gradient is a sum */
    RECOMPUTED = 32768,    /* h is made again between the two halves of its backward pair */
    SECOND_BRANCH = 65536  /* its gradient is the addend of the scaled product's */
};

static bt_op allowed; /* BT_OP_COUNT: all */

static bool fuses(bt_op op, bt_dtype compute) {
    return compute == BT_F32 && (allowed == BT_OP_COUNT || allowed == op);
}

typedef struct block {
    bt_params *store;
    bt_program *p;
} block;

static bt_value parameter(bt_program *p, bt_params *store, const char *name, bt_shape shape, bool trainable) {
    bt_param_spec spec = {
        .name = name, .shape = shape, .kind = shape.rank == 2 ? BT_PARAM_WEIGHT : BT_PARAM_F32, .trainable = trainable};
    int index = bt_params_add(store, &spec);
    float *values = bt_params_host(store, index);
    for (int64_t i = 0; i < bt_shape_count(shape); i++) values[i] = sinf((float)(i * 7 + shape.dim[0])) / 2;
    return bt_param(p, store, index);
}

/* out = x + scale (gelu(x w1^T + b1) w2^T + b2), and the gradient of x. */
static block record(int what) {
    block b = {bt_params_new(BT_F32), bt_program_new(&(bt_program_options){
                                          .compute = BT_F32,
                                          .training = true,
                                          .recompute = what & RECOMPUTED ? BT_RECOMPUTE_BLOCKS : BT_RECOMPUTE_NONE})};
    bt_program *p = b.p;
    bool trained = what & TRAINED_WEIGHT;
    bt_value x = bt_input_with_gradient(p, "x", BT_F32, bt_shape2(ROWS, WIDTH));
    bt_value w1 = parameter(p, b.store, "w1", bt_shape2(HIDDEN, WIDTH), false),
             b1 = parameter(p, b.store, "b1", bt_shape1(HIDDEN), false),
             w2 = parameter(p, b.store, "w2", bt_shape2(WIDTH, HIDDEN), trained),
             b2 = parameter(p, b.store, "b2", bt_shape1(WIDTH), what & TRAINED_BIAS),
             scale = parameter(p, b.store, "scale", bt_shape1(WIDTH), what & TRAINED_SCALE);
    bt_segment_begin(p);
    bt_value more = what & HIDDEN_ADDS ? bt_linear(p, x, w1, 0, 0) : 0;
    bt_value h = bt_linear(p, x, w1, b1, more), f, out, seen = h, residual = x;
    if (what & OTHER_SHAPE) h = bt_reshape(p, h, bt_shape3(1, ROWS, HIDDEN));
    bt_value y = what & QUICK ? bt_quick_gelu(p, h) : bt_gelu(p, h);
    if (what & OTHER_SHAPE) y = bt_reshape(p, y, bt_shape2(ROWS, HIDDEN));
    f = bt_linear(p, y, w2, b2, what & PRODUCT_ADDS ? x : 0);
    if (what & GRADIENT_ADDS) f = bt_linear(p, y, w2, b2, f);
    if (what & LATE_RESIDUAL) residual = bt_relu(p, x);
    if (what & BRANCH_OTHER_SHAPE)
        f = bt_reshape(p, f, bt_shape3(1, ROWS, WIDTH)), residual = bt_reshape(p, residual, bt_shape3(1, ROWS, WIDTH));
    out = bt_add(p, residual, f, what & NO_SCALE ? 0 : scale);
    if (what & BRANCH_OTHER_SHAPE) out = bt_reshape(p, out, bt_shape2(ROWS, WIDTH));
    bt_segment_end(p);
    if (what & BRANCH_IS_READ) bt_output(p, "more", bt_relu(p, f));
    if (what & BRANCH_IS_OUTPUT) bt_output(p, "more", f);
    if (what & HIDDEN_IS_READ) bt_output(p, "more", bt_relu(p, seen));
    if (what & SECOND_BRANCH) out = bt_add(p, out, bt_linear(p, y, w2, b2, 0), 0);
    bt_output(p, "out", out);
    if (!(what & INFERENCE)) {
        bt_value gradient = bt_input(p, "gradient", BT_F32, bt_shape2(ROWS, WIDTH));
        bt_differentiate(p, &(bt_root){.value = out, .gradient = gradient}, 1, 1);
    }
    check_ok(bt_program_check(p));
    return b;
}

typedef struct result {
    float out[ROWS * WIDTH], dx[ROWS * WIDTH], more[ROWS * HIDDEN];
    char ops[300];
    size_t bytes;
} result;

static result run(int what, bool fused) {
    result r = {.ops = ""};
    block b = record(what);
    bt_device *device;
    bt_backend backend = bt_cpu_backend;
    backend.fuses = fused ? fuses : NULL;
    check_ok(bt_cpu_backend.open(&(bt_device_options){.threads = 1}, &device));
    device->backend = &backend;
    check_ok(bt_params_commit(b.store, device));
    bt_plan *plan;
    void *memory;
    check_ok(bt_plan_new(b.p, device, &plan));
    r.bytes = bt_plan_bytes(plan);
    check_ok(backend.alloc(device, r.bytes, &memory));
    check_ok(bt_plan_bind(plan, memory));
    float x[ROWS * WIDTH], gradient[ROWS * WIDTH];
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = cosf((float)(3 * i)), gradient[i] = cosf((float)(5 * i + 1));
    check_ok(bt_plan_set(plan, "x", x, sizeof x));
    if (!(what & INFERENCE)) check_ok(bt_plan_set(plan, "gradient", gradient, sizeof gradient));
    check_ok(bt_plan_run(plan));
    check_ok(bt_plan_get(plan, "out", r.out, sizeof r.out));
    if (!(what & INFERENCE)) check_ok(bt_plan_get(plan, "dx", r.dx, sizeof r.dx));
    bt_dtype dtype;
    bt_shape shape;
    if (bt_plan_find(plan, "more", &dtype, &shape))
        check_ok(bt_plan_get(plan, "more", r.more, sizeof(float) * (size_t)bt_shape_count(shape)));
    bt_instruction_cost cost;
    for (int i = 0; bt_plan_instruction(plan, i, &cost); i++) {
        strcat(r.ops, i ? " " : "");
        strcat(r.ops, cost.op);
    }
    bt_plan_free(plan);
    backend.free(device, memory);
    bt_program_free(b.p);
    bt_params_free(b.store);
    device->backend = &bt_cpu_backend;
    bt_cpu_backend.close(device);
    return r;
}

static void check_near(const float *a, const float *b, int count) {
    for (int i = 0; i < count; i++) assert_true(fabsf(a[i] - b[i]) <= 2e-6f * (1 + fabsf(b[i])));
}

/* The instructions of the fused plan, and the results of the plain one. */
static void expect(int what, const char *ops) {
    result plain = run(what, false), fused = run(what, true);
    assert_string_equal(fused.ops, ops);
    check_near(fused.out, plain.out, ROWS * WIDTH);
    check_near(fused.dx, plain.dx, ROWS * WIDTH);
    check_near(fused.more, plain.more, ROWS * HIDDEN);
}

static void a_block_is_four_instructions(void **state) {
    (void)state;
    allowed = BT_OP_COUNT;
    assert_string_equal(run(PLAIN, false).ops, "linear gelu linear add add_df linear_dx gelu_dx linear_dx");
    expect(PLAIN, "linear_gelu linear_scaled linear_gelu_dx linear_dx");
    expect(QUICK, "linear_gelu linear_scaled linear_gelu_dx linear_dx");
    expect(INFERENCE, "linear_gelu linear_scaled");
    expect(NO_SCALE, "linear_gelu linear add linear_gelu_dx linear_dx");
}

/* In inference nobody reads h, so it has no memory. */
static void values_on_the_way_have_no_memory(void **state) {
    (void)state;
    allowed = BT_OP_linear_gelu;
    expect(INFERENCE, "linear_gelu linear add");
    assert_true(run(INFERENCE, true).bytes <= run(INFERENCE, false).bytes);
}

static void only_what_the_device_asks_for(void **state) {
    (void)state;
    allowed = BT_OP_linear_scaled;
    expect(PLAIN, "linear gelu linear_scaled add_df linear_dx gelu_dx linear_dx");
    allowed = BT_OP_linear_scaled_dx;
    expect(PLAIN, "linear gelu linear add linear_scaled_dx gelu_dx linear_dx");
    allowed = BT_OP_linear_gelu;
    expect(PLAIN, "linear_gelu linear add add_df linear_dx gelu_dx linear_dx");
    allowed = BT_OP_linear_gelu_dx;
    expect(PLAIN, "linear gelu linear add add_df linear_gelu_dx linear_dx");
}

/* A scale goes into a weight only where both last. */
static void what_is_trained_stays(void **state) {
    (void)state;
    allowed = BT_OP_COUNT;
    expect(TRAINED_SCALE, "linear_gelu linear add add_dscale add_df linear_gelu_dx linear_dx");
    expect(TRAINED_WEIGHT, "linear_gelu linear add add_df linear_dw linear_gelu_dx linear_dx");
}

static void what_others_read_stays(void **state) {
    (void)state;
    allowed = BT_OP_COUNT;
    expect(BRANCH_IS_READ, "linear_gelu linear add relu linear_gelu_dx linear_dx");
    expect(BRANCH_IS_OUTPUT, "linear_gelu linear add linear_gelu_dx linear_dx");
    expect(HIDDEN_IS_READ, "linear_gelu linear_scaled relu linear_gelu_dx linear_dx");
    expect(HIDDEN_IS_READ | INFERENCE, "linear_gelu linear_scaled relu");
    expect(SECOND_BRANCH, "linear_gelu linear_scaled linear add linear_dx linear_scaled_dx gelu_dx linear_dx");
    expect(OTHER_SHAPE, "linear gelu linear_scaled linear_scaled_dx gelu_dx linear_dx");
}

/* Also where no backward would read the branch. */
static void a_trained_part_is_enough_to_stay(void **state) {
    (void)state;
    allowed = BT_OP_COUNT;
    expect(TRAINED_SCALE | INFERENCE, "linear_gelu linear add");
    expect(TRAINED_WEIGHT | INFERENCE, "linear_gelu linear add");
    expect(TRAINED_BIAS | INFERENCE, "linear_gelu linear add");
}

/* Sums that the pair has no place for, and views. */
static void what_does_not_fit_stays(void **state) {
    (void)state;
    allowed = BT_OP_COUNT;
    expect(PRODUCT_ADDS, "linear_gelu linear add add_df add linear_gelu_dx linear_dx");
    expect(HIDDEN_ADDS, "linear linear gelu linear_scaled linear_gelu_dx linear_dx linear_dx");
    expect(GRADIENT_ADDS, "linear_gelu linear linear add add_df linear_dx linear_dx gelu_dx linear_dx");
    expect(BRANCH_OTHER_SHAPE, "linear_gelu linear add add_df linear_gelu_dx linear_dx");
}

/* The made instruction stands where all that it reads is there. */
static void what_is_made_in_between_is_waited_for(void **state) {
    (void)state;
    allowed = BT_OP_COUNT;
    expect(LATE_RESIDUAL, "linear_gelu relu linear_scaled relu_dx linear_gelu_dx linear_dx");
    expect(LATE_RESIDUAL | INFERENCE, "linear_gelu relu linear_scaled");
    expect(RECOMPUTED, "linear_gelu linear_scaled linear linear_gelu_dx linear_dx");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_four_instructions),  cmocka_unit_test(values_on_the_way_have_no_memory),
        cmocka_unit_test(only_what_the_device_asks_for), cmocka_unit_test(what_is_trained_stays),
        cmocka_unit_test(what_others_read_stays),        cmocka_unit_test(a_trained_part_is_enough_to_stay),
        cmocka_unit_test(what_does_not_fit_stays),       cmocka_unit_test(what_is_made_in_between_is_waited_for)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
