/* Recording, differentiation and planning without a device: messages, dead work, lifetimes, the memory map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "method/step.h"
#include "program/inspect.h"
#include "program/plan.h"

#include <string.h>

static const bt_program_options inference = {.compute = BT_F32}, training = {.compute = BT_F32, .training = true};

static void first_error_sticks_with_place_and_shapes(void **state) {
    (void)state;
    bt_program *p = bt_program_new(&inference);
    bt_value x = bt_input(p, "x", BT_F32, bt_shape2(4, 6)), w = bt_input(p, "w", BT_F32, bt_shape2(5, 7));
    bt_value y = bt_linear(p, x, w, 0, 0);
    assert_int_equal(y, 0);
    assert_int_equal(bt_relu(p, y), 0);
    assert_int_equal(bt_gelu(p, x), 0);
    assert_int_equal(bt_program_check(p), BT_ERR_SHAPE);
    assert_non_null(strstr(bt_error_message(), "test_program.c:"));
    assert_non_null(strstr(bt_error_message(), "linear: x (4, 6) does not fit w (5, 7)"));
    bt_plan *plan;
    assert_int_equal(bt_plan_new(p, NULL, &plan), BT_ERR_SHAPE);
    bt_program_free(p);
}

static void batch_norm_needs_two_rows_per_view(void **state) {
    (void)state;
    bt_program *p = bt_program_new(&training);
    bt_value z = bt_input(p, "z", BT_F32, bt_shape2(2, 3)), v = bt_input(p, "v", BT_F32, bt_shape1(3));
    bt_batch_norm(p, z, v, v, v, v, 2, 1e-5f, 0.1f);
    assert_int_equal(bt_program_check(p), BT_ERR_SHAPE);
    assert_non_null(strstr(bt_error_message(), "batch_norm: 1 row(s) per view; batch norm needs at least 2"));
    bt_program_free(p);
}

static void names_are_unique(void **state) {
    (void)state;
    bt_program *p = bt_program_new(&inference);
    bt_input(p, "x", BT_F32, bt_shape1(3));
    bt_input(p, "x", BT_F32, bt_shape1(3));
    assert_int_equal(bt_program_check(p), BT_ERR_SHAPE);
    assert_string_equal(bt_error_message(), "the program already has an input or output named \"x\"");
    bt_program_free(p);
}

static void dead_work_is_not_planned(void **state) {
    (void)state;
    bt_program *p = bt_program_new(&inference);
    bt_value x = bt_input(p, "x", BT_F32, bt_shape2(4, 6));
    bt_gelu(p, x);
    bt_output(p, "y", bt_relu(p, x));
    bt_plan *plan;
    assert_int_equal(bt_plan_new(p, NULL, &plan), BT_OK);
    assert_int_equal(bt_plan_summarize(plan).instructions, 1);
    bt_plan_free(plan);
    bt_program_free(p);
}

static void chains_share_memory(void **state) {
    (void)state;
    bt_program *p = bt_program_new(&inference);
    bt_value x = bt_input(p, "x", BT_F32, bt_shape2(64, 64));
    for (int i = 0; i < 5; i++) x = bt_relu(p, x);
    bt_output(p, "y", x);
    bt_plan *plan;
    assert_int_equal(bt_plan_new(p, NULL, &plan), BT_OK);
    assert_int_equal(bt_plan_bytes(plan), 2 * 64 * 64 * 4); /* the input, and one memory for the chain */
    assert_int_equal(bt_plan_summarize(plan).lower_bound_bytes, 2 * 64 * 64 * 4);
    bt_plan_free(plan);
    bt_program_free(p);
}

/* Also the first storage of all, where no input comes before it. */
static void first_storage_is_shared_too(void **state) {
    (void)state;
    bt_params *store = bt_params_new(BT_F32);
    assert_int_equal(
        bt_params_add(store, &(bt_param_spec){.name = "w", .shape = bt_shape2(64, 64), .kind = BT_PARAM_WEIGHT}), 0);
    bt_program *p = bt_program_new(&inference);
    bt_output(p, "y", bt_relu(p, bt_relu(p, bt_param(p, store, 0))));
    bt_plan *plan;
    assert_int_equal(bt_plan_new(p, NULL, &plan), BT_OK);
    assert_int_equal(bt_plan_bytes(plan), 64 * 64 * 4);
    bt_plan_free(plan);
    bt_program_free(p);
    bt_params_free(store);
}

/* A value that is read again later keeps its memory although an earlier reader could have taken it. */
static void later_reader_keeps_memory(void **state) {
    (void)state;
    bt_program *p = bt_program_new(&inference);
    bt_value a = bt_relu(p, bt_input(p, "x", BT_F32, bt_shape2(64, 64)));
    bt_value b = bt_gelu(p, a);
    bt_output(p, "y", bt_add(p, a, b, 0));
    bt_plan *plan;
    assert_int_equal(bt_plan_new(p, NULL, &plan), BT_OK);
    assert_int_not_equal(plan->storage_of[a], plan->storage_of[b]);
    bt_plan_free(plan);
    bt_program_free(p);
}

/* ---- a LoRA step ---- */

static bt_model small_model(uint32_t targets, bool full, int depth) {
    bt_vit_config vit = {.image = 32,
                         .patch = 8,
                         .width = 64,
                         .depth = depth,
                         .heads = 2,
                         .mlp = 256,
                         .norm_eps = 1e-6f,
                         .std = {1, 1, 1}};
    bt_vit_training t = {.full = full, .lora = {.targets = targets, .rank = 4, .alpha = 4}};
    bt_method_config c = {.views = 2, .bits = 16, .align_weight = 1, .rate_weight = 0.1f, .rate_eps = 0.05f};
    bt_model m;
    bt_model_init(&m, &bt_method_crovca, &c, &vit, &t, BT_F32);
    return m;
}

static bt_program *step_of(const bt_model *m, bt_recompute recompute, uint32_t groups) {
    bt_step_options o = {
        .compute = BT_F32, .recompute = recompute, .batch = 4, .groups = groups, .gradients_only = true};
    return bt_step_program(m, &o);
}

static int count_op(const bt_plan *plan, bt_op op) {
    int count = 0;
    for (int i = 0; i < plan->instruction_count; i++) count += plan->instruction[i].source->op == op;
    return count;
}

static void no_overlap_and_near_the_bound(void **state) {
    (void)state;
    for (int depth = 4; depth <= 24; depth *= 2) {
        bt_model m = small_model(BT_LORA_QKV | BT_LORA_PROJ, false, depth);
        bt_program *p = step_of(&m, BT_RECOMPUTE_CHEAP, BT_MASK_ALL);
        bt_plan *plan;
        assert_int_equal(bt_plan_new(p, NULL, &plan), BT_OK);
        for (int a = 0; a < plan->storage_count; a++)
            for (int b = 0; b < a; b++) {
                const bt_storage *s = &plan->storage[a], *t = &plan->storage[b];
                bool together = s->begin <= t->end && t->begin <= s->end;
                bool overlap = s->offset < t->offset + t->bytes && t->offset < s->offset + s->bytes;
                assert_false(together && overlap);
            }
        assert_true((double)plan->block_bytes <= 1.03 * (double)plan->lower_bound_bytes);
        assert_true(plan->block_bytes >= plan->lower_bound_bytes);
        bt_plan_free(plan);
        bt_program_free(p);
        bt_model_release(&m);
    }
}

static void saved_activations_per_block(void **state) {
    (void)state;
    size_t saved[2];
    for (int k = 0; k < 2; k++) {
        bt_model m = small_model(BT_LORA_QKV | BT_LORA_PROJ, false, 4 + k);
        bt_program *p = step_of(&m, BT_RECOMPUTE_CHEAP, BT_MASK_ALL);
        bt_plan *plan;
        assert_int_equal(bt_plan_new(p, NULL, &plan), BT_OK);
        saved[k] = bt_plan_summarize(plan).saved_bytes;
        bt_plan_free(plan);
        bt_program_free(p);
        bt_model_release(&m);
    }
    double per_block = (double)(saved[1] - saved[0]) / sizeof(float) / 8 / 17 / 64; /* 8 images, 17 tokens, width 64 */
    assert_true(per_block <= 11);
    assert_true(per_block >= 10);
}

static void frozen_tower_has_no_backward(void **state) {
    (void)state;
    bt_model m = small_model(BT_LORA_Q | BT_LORA_V, false, 3);
    bt_program *p = step_of(&m, BT_RECOMPUTE_NONE, BT_MASK_HEAD);
    bt_plan *plan;
    assert_int_equal(bt_plan_new(p, NULL, &plan), BT_OK);
    assert_int_equal(count_op(plan, BT_OP_attention_dx), 0);
    assert_int_equal(count_op(plan, BT_OP_layer_norm_dx), 0);
    assert_int_equal(count_op(plan, BT_OP_linear_dw), 2);
    assert_int_equal(count_op(plan, BT_OP_linear_dx), 1); /* between the head's two layers */
    bt_plan_free(plan);
    bt_program_free(p);
    bt_model_release(&m);
}

static void nothing_below_the_first_adapter(void **state) {
    (void)state;
    bt_model m = small_model(BT_LORA_FC2, false, 3);
    bt_program *p = step_of(&m, BT_RECOMPUTE_NONE, BT_MASK_ALL);
    bt_plan *plan;
    assert_int_equal(bt_plan_new(p, NULL, &plan), BT_OK);
    assert_int_equal(count_op(plan, BT_OP_attention_dx),
                     2); /* of blocks 2 and 3: block 1 is adapted above its attention */
    assert_int_equal(count_op(plan, BT_OP_tokens_dw), 0);
    bt_plan_free(plan);
    bt_program_free(p);
    bt_model_release(&m);
}

static void recompute_keeps_less(void **state) {
    (void)state;
    const bt_recompute policies[] = {BT_RECOMPUTE_NONE, BT_RECOMPUTE_CHEAP, BT_RECOMPUTE_BLOCKS};
    size_t block[3];
    for (int k = 0; k < 3; k++) {
        bt_model m = small_model(BT_LORA_QKV | BT_LORA_PROJ, false, 8);
        bt_program *p = step_of(&m, policies[k], BT_MASK_ALL);
        bt_plan *plan;
        assert_int_equal(bt_plan_new(p, NULL, &plan), BT_OK);
        block[k] = bt_plan_bytes(plan);
        assert_int_equal(count_op(plan, BT_OP_batch_norm), 1);
        bt_plan_free(plan);
        bt_program_free(p);
        bt_model_release(&m);
    }
    assert_true(block[1] < block[0]);
    assert_true(block[2] * 2 < block[1]);
}

static void second_differentiation_is_refused(void **state) {
    (void)state;
    bt_model m = small_model(BT_LORA_QKV, false, 2);
    bt_program *p = step_of(&m, BT_RECOMPUTE_NONE, BT_MASK_ALL);
    bt_differentiate(p, NULL, 0, BT_MASK_ALL);
    assert_int_equal(bt_program_check(p), BT_ERR_SHAPE);
    assert_non_null(strstr(bt_error_message(), "differentiated once"));
    bt_program_free(p);
    bt_model_release(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_error_sticks_with_place_and_shapes),
        cmocka_unit_test(batch_norm_needs_two_rows_per_view),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(dead_work_is_not_planned),
        cmocka_unit_test(chains_share_memory),
        cmocka_unit_test(first_storage_is_shared_too),
        cmocka_unit_test(later_reader_keeps_memory),
        cmocka_unit_test(no_overlap_and_near_the_bound),
        cmocka_unit_test(saved_activations_per_block),
        cmocka_unit_test(frozen_tower_has_no_backward),
        cmocka_unit_test(nothing_below_the_first_adapter),
        cmocka_unit_test(recompute_keeps_less),
        cmocka_unit_test(second_differentiation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
