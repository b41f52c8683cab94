/* Differentiation: what it refuses, where gradients are stored and added, what is cleared, and what programs refuse of
 * their values and stores. */
#include "check.h"
#include "inputs.h"

static const bt_program_options training = {.compute = BT_F32, .training = true};

typedef struct parameters {
    bt_params *store;
    int w, b, frozen, cls, pos;
} parameters;

static parameters make_parameters(void) {
    parameters s = {.store = bt_params_new(BT_F32)};
    bt_param_spec spec = {.name = "w", .shape = bt_shape2(5, 6), .kind = BT_PARAM_WEIGHT, .trainable = true};
    s.w = bt_params_add(s.store, &spec);
    spec = (bt_param_spec){.name = "b", .shape = bt_shape1(5), .kind = BT_PARAM_F32, .trainable = true, .group = 1};
    s.b = bt_params_add(s.store, &spec);
    spec = (bt_param_spec){.name = "frozen", .shape = bt_shape2(5, 6), .kind = BT_PARAM_WEIGHT};
    s.frozen = bt_params_add(s.store, &spec);
    spec = (bt_param_spec){.name = "cls", .shape = bt_shape2(1, 6), .kind = BT_PARAM_F32, .trainable = true};
    s.cls = bt_params_add(s.store, &spec);
    spec = (bt_param_spec){.name = "pos", .shape = bt_shape2(5, 6), .kind = BT_PARAM_F32};
    s.pos = bt_params_add(s.store, &spec);
    return s;
}

/* Differentiates `p` from one root and expects the message, or success where it is NULL. */
static void expect_difference(bt_program *p, parameters *s, bt_root root, uint32_t groups, bt_status status,
                              const char *message) {
    bt_differentiate(p, &root, 1, groups);
    if (status == BT_OK)
        check_ok(bt_program_check(p));
    else
        check_message(bt_program_check(p), status, message);
    bt_program_free(p);
    bt_params_free(s->store);
}

static int count_op(const bt_program *p, bt_op op) {
    int count = 0;
    for (int i = 0; i < p->instruction_count; i++) count += p->instruction[i].op == op;
    return count;
}

static void bias_of_a_frozen_weight(void **state) {
    (void)state;
    parameters s = make_parameters();
    bt_program *p = bt_program_new(&training);
    bt_value y = bt_linear(p, F32(4, 6), bt_param(p, s.store, s.frozen), bt_param(p, s.store, s.b), 0);
    expect_difference(p, &s, (bt_root){.value = y, .gradient = F32(4, 5)}, 3, BT_ERR_UNSUPPORTED,
                      "linear: a trainable bias of a frozen weight is not supported; freeze both or none");
}

static void tokens_are_trained_together(void **state) {
    (void)state;
    parameters s = make_parameters();
    bt_program *p = bt_program_new(&training);
    bt_value x = bt_tokens(p, F32(2, 4, 6), bt_param(p, s.store, s.cls), bt_param(p, s.store, s.pos), 0);
    expect_difference(p, &s, (bt_root){.value = x, .gradient = F32(2, 5, 6)}, 1, BT_ERR_UNSUPPORTED,
                      "tokens: class token, positions and registers are trained together or not at all");
}

static void weight_of_an_adapted_layer(void **state) {
    (void)state;
    parameters s = make_parameters();
    bt_program *p = bt_program_new(&training);
    const bt_lora_values lora = {.a = F32(2, 6), .b = F32(5, 2), .scale = 1, .parts = 1, .rank = 2, .part_width = 5};
    bt_value y = bt_lora_linear(p, F32(4, 6), bt_param(p, s.store, s.w), 0, &lora, 0, 0);
    expect_difference(p, &s, (bt_root){.value = y, .gradient = F32(4, 5)}, 1, BT_ERR_UNSUPPORTED,
                      "lora_linear: its weight and bias are frozen by definition; set train.full to false or "
                      "adapter.targets to none");
}

static void row_ranges(void **state) {
    (void)state;
    for (int overlap = 0; overlap < 2; overlap++) {
        parameters s = make_parameters();
        bt_program *p = bt_program_new(&training);
        bt_value x = F32(4, 6), top = bt_linear(p, x, bt_param_rows(p, s.store, s.w, 0, 3), 0, 0);
        bt_value bottom = bt_linear(p, x, bt_param_rows(p, s.store, s.w, overlap ? 2 : 3, 2), 0, 0);
        const bt_root roots[] = {{.value = top, .gradient = F32(4, 3)}, {.value = bottom, .gradient = F32(4, 2)}};
        bt_differentiate(p, roots, 2, 1);
        if (overlap)
            check_message(bt_program_check(p), BT_ERR_UNSUPPORTED,
                          "parameter 0 is used in row ranges that overlap in part");
        else
            check_ok(bt_program_check(p));
        bt_program_free(p);
        bt_params_free(s.store);
    }
    parameters s = make_parameters();
    bt_program *p = bt_program_new(&training);
    bt_value y = bt_linear(p, F32(4, 6), bt_param_rows(p, s.store, s.w, 1, 3), 0, 0);
    expect_difference(p, &s, (bt_root){.value = y, .gradient = F32(4, 3)}, 1, BT_ERR_UNSUPPORTED,
                      "only 3 of 5 rows of \"w\" receive a gradient");
}

/* Two uses of one weight: the first gradient is stored, the second added. What no gradient reaches is cleared. */
static void shared_and_unreached(void **state) {
    (void)state;
    parameters s = make_parameters();
    bt_program *p = bt_program_new(&training);
    bt_value w = bt_param(p, s.store, s.w), x = F32(4, 6), a = bt_linear(p, x, w, 0, 0), y = bt_linear(p, x, w, 0, a);
    bt_root root = {.value = y, .gradient = F32(4, 5)};
    bt_differentiate(p, &root, 1, 1);
    check_ok(bt_program_check(p));
    int accumulate[2] = {-1, -1}, found = 0;
    for (int i = 0; i < p->instruction_count; i++)
        if (p->instruction[i].op == BT_OP_linear_dw)
            accumulate[found++] = ((const bt_linear_dw_args *)p->instruction[i].args)->accumulate;
    assert_true(found == 2 && accumulate[0] == 0 && accumulate[1] == 1);
    assert_int_equal(count_op(p, BT_OP_linear_dx), 0); /* nothing trainable stands behind x */
    assert_int_equal(count_op(p, BT_OP_zero), 1);      /* cls; b is of another group */
    bt_program_free(p);
    bt_params_free(s.store);
}

/* Rows of a gradient are cleared behind what fills it. */
static void rows_are_cleared(void **state) {
    (void)state;
    for (int wrong = 0; wrong < 3; wrong++) {
        parameters s = make_parameters();
        bt_program *p = bt_program_new(&training);
        bt_value y = bt_linear(p, F32(4, 6), bt_param(p, s.store, s.w), bt_param(p, s.store, s.b), 0);
        bt_root root = {.value = y, .gradient = F32(4, 5)};
        bt_differentiate(p, &root, 1, 3);
        int before = count_op(p, BT_OP_zero);
        bt_zero_gradient_rows(p, s.store, wrong == 2 ? s.frozen : s.b, wrong == 1 ? 4 : 2, 2);
        if (wrong) {
            check_message(bt_program_check(p), BT_ERR_SHAPE,
                          wrong == 1 ? "rows 4 to 6 of \"b\", which has 5"
                                     : "\"frozen\" is not trained: it has no gradient to clear");
        } else {
            check_ok(bt_program_check(p));
            assert_int_equal(count_op(p, BT_OP_zero), before + 1);
            const bt_instruction *last = &p->instruction[p->instruction_count - 1];
            const bt_store_ref ref = bt_info(p, ((const bt_zero_values *)last->operand)->x)->ref;
            assert_int_equal(last->op, BT_OP_zero);
            assert_true(ref.slot == BT_STORE_GRADIENT && ref.param == s.b && ref.first == 2 && ref.count == 2);
        }
        bt_program_free(p);
        bt_params_free(s.store);
    }
}

/* A chunk adds to what earlier chunks left: every gradient is added, nothing is cleared. */
static void chunks_add(void **state) {
    (void)state;
    parameters s = make_parameters();
    bt_program *p = bt_program_new(&(bt_program_options){.compute = BT_F32, .training = true, .accumulate = true});
    bt_root root = {.value = bt_linear(p, F32(4, 6), bt_param(p, s.store, s.w), 0, 0), .gradient = F32(4, 5)};
    bt_differentiate(p, &root, 1, 1);
    check_ok(bt_program_check(p));
    assert_int_equal(count_op(p, BT_OP_zero), 0);
    assert_int_equal(count_op(p, BT_OP_linear_dw), 1);
    for (int i = 0; i < p->instruction_count; i++)
        if (p->instruction[i].op == BT_OP_linear_dw)
            assert_int_equal(((const bt_linear_dw_args *)p->instruction[i].args)->accumulate, 1);
    bt_program_free(p);
    bt_params_free(s.store);
}

/* The norm of all gradients is computed where something is clipped by it, and nowhere else. */
static void clipping_is_recorded_where_asked_for(void **state) {
    (void)state;
    for (int clip = 0; clip < 2; clip++) {
        parameters s = make_parameters();
        bt_program *p = bt_program_new(&training);
        bt_root root = {.value = bt_linear(p, F32(4, 6), bt_param(p, s.store, s.w), 0, 0), .gradient = F32(4, 5)};
        bt_differentiate(p, &root, 1, 1);
        bt_adamw_update(p, s.store, 1,
                        &(bt_adamw_options){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .max_norm = (float)clip});
        check_ok(bt_program_check(p));
        assert_int_equal(count_op(p, BT_OP_sum_squares), clip);
        assert_int_equal(count_op(p, BT_OP_adamw), 1);
        bt_program_free(p);
        bt_params_free(s.store);
    }
}

static void without_parameters(void **state) {
    (void)state;
    bt_program *p = bt_program_new(&training);
    bt_value x = bt_input_with_gradient(p, "x", BT_F32, bt_shape2(4, 6));
    bt_root root = {.value = bt_gelu(p, x), .gradient = F32(4, 6)};
    bt_differentiate(p, &root, 1, 0);
    check_ok(bt_program_check(p));
    assert_int_equal(count_op(p, BT_OP_gelu_dx), 1);
    bt_program_free(p);
}

static void roots(void **state) {
    (void)state;
    parameters s = make_parameters();
    bt_program *p = bt_program_new(&training);
    bt_value y = bt_linear(p, F32(4, 6), bt_param(p, s.store, s.w), 0, 0);
    expect_difference(p, &s, (bt_root){.value = y, .weight = 1}, 1, BT_ERR_SHAPE,
                      "root 0 is no scalar loss and has no gradient given");
    s = make_parameters();
    p = bt_program_new(&training);
    y = bt_linear(p, F32(4, 6), bt_param(p, s.store, s.w), 0, 0);
    expect_difference(p, &s, (bt_root){.value = y, .gradient = F32(5, 4)}, 1, BT_ERR_SHAPE,
                      "root 0 and its gradient differ in shape");
    s = make_parameters();
    p = bt_program_new(&training);
    expect_difference(p, &s, (bt_root){.value = F32(1), .weight = 1}, 1, BT_ERR_SHAPE,
                      "root 0 is no scalar loss and has no gradient given");
    s = make_parameters();
    p = bt_program_new(&training);
    expect_difference(p, &s, (bt_root){.value = 0}, 1, BT_ERR_SHAPE, "a root is no value");
    s = make_parameters();
    p = bt_program_new(&training);
    bt_input_with_gradient(p, "x", BT_F32, bt_shape1(3));
    expect_difference(p, &s, (bt_root){.value = bt_sum_squares(p, F32(3)), .weight = 1}, 1, BT_ERR_SHAPE,
                      "no gradient reaches input \"x\"");
}

static void gradient_of_an_input(void **state) {
    (void)state;
    parameters s = make_parameters();
    bt_program *p = bt_program_new(&training);
    bt_value x = bt_input_with_gradient(p, "x", BT_F32, bt_shape2(4, 6)),
             y = bt_linear(p, x, bt_param(p, s.store, s.frozen), 0, 0);
    bt_root root = {.value = y, .gradient = F32(4, 5)};
    bt_differentiate(p, &root, 1, 0);
    check_ok(bt_program_check(p));
    assert_true(p->output_count == 1 && strcmp(p->output[0].name, "dx") == 0);
    assert_true(bt_shape_equal(bt_shape_of_value(p, p->output[0].value), bt_shape2(4, 6)));
    bt_program_free(p);
    bt_params_free(s.store);
}

/* ---- programs ---- */

static void values_and_stores(void **state) {
    (void)state;
    parameters s = make_parameters(), other = make_parameters();
    bt_program *p = bt_program_new(&training);
    bt_param(p, s.store, s.w);
    assert_int_equal(bt_param(p, s.store, s.w), bt_param_rows(p, s.store, s.w, 0, 0)); /* one value per tensor */
    assert_int_not_equal(bt_param(p, s.store, s.w), bt_param_rows(p, s.store, s.w, 1, 2));
    assert_int_equal(bt_param(p, other.store, other.w), 0);
    check_message(bt_program_check(p), BT_ERR_SHAPE, "a program reads one parameter store, this one was given two");
    bt_program_free(p);
    p = bt_program_new(&(bt_program_options){.compute = BT_BF16});
    assert_int_equal(bt_param(p, s.store, s.w), 0);
    check_message(bt_program_check(p), BT_ERR_SHAPE, "the store keeps weights in f32, the program computes in bf16");
    bt_program_free(p);
    p = bt_program_new(&training);
    assert_int_equal(bt_param_rows(p, s.store, s.w, 4, 2), 0);
    check_message(bt_program_check(p), BT_ERR_SHAPE, "rows 4 to 6 of \"w\", which has 5");
    bt_program_free(p);
    p = bt_program_new(&training);
    assert_int_equal(bt_reshape(p, F32(4, 6), bt_shape2(5, 5)), 0);
    check_message(bt_program_check(p), BT_ERR_SHAPE, "cannot reshape (4, 6) to (5, 5): other number of elements");
    bt_program_free(p);
    p = bt_program_new(&training);
    assert_int_equal(bt_input(p, "none", BT_F32, bt_shape2(3, 0)), 0);
    check_message(bt_program_check(p), BT_ERR_SHAPE, "input \"none\" has shape (3, 0); every axis must be at least 1");
    bt_program_free(p);
    p = bt_program_new(&training);
    bt_output(p, "y", 0);
    check_message(bt_program_check(p), BT_ERR_SHAPE, "output \"y\" is no value");
    bt_program_free(p);
    bt_params_free(s.store);
    bt_params_free(other.store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bias_of_a_frozen_weight),
        cmocka_unit_test(tokens_are_trained_together),
        cmocka_unit_test(weight_of_an_adapted_layer),
        cmocka_unit_test(row_ranges),
        cmocka_unit_test(shared_and_unreached),
        cmocka_unit_test(rows_are_cleared),
        cmocka_unit_test(chunks_add),
        cmocka_unit_test(clipping_is_recorded_where_asked_for),
        cmocka_unit_test(without_parameters),
        cmocka_unit_test(roots),
        cmocka_unit_test(gradient_of_an_input),
        cmocka_unit_test(values_and_stores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
