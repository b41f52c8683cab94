/* The addresses that programs give to kernels keep the alignment of tensor/backend.h: every operand of every
 * instruction of a training step and of inference, and scratch, at a width that keeps nothing aligned by itself. */
#include "check.h"

#include "method/step.h"
#include "program/plan.h"

enum { BATCH = 3, VIEWS = 2 };

static bt_device *device;

typedef struct seen {
    int values, scratch, parameters, flat, ranges; /* operands of each kind that were looked at */
} seen;

/* Bytes that the address of a value must be a multiple of. */
static size_t promised(const bt_program *p, bt_value v, seen *count) {
    const bt_value_info *info = bt_info(p, bt_owner(p, v));
    if (info->kind != BT_VALUE_STORE) {
        count->values++;
        return BT_VALUE_ALIGNMENT;
    }
    bool one = info->ref.slot == BT_STORE_VALUE || info->ref.slot == BT_STORE_GRADIENT;
    if (one && info->ref.count) {
        count->ranges++;
        return bt_dtype_bytes(info->dtype);
    }
    if (info->ref.slot == BT_STORE_SEGMENTS) return _Alignof(bt_adamw_segment);
    *(one ? &count->parameters : &count->flat) += 1;
    return BT_PARAM_ALIGNMENT;
}

static void look_at(const bt_plan *plan, seen *count) {
    for (int i = 0; i < plan->instruction_count; i++) {
        const bt_planned *planned = &plan->instruction[i];
        const bt_op_info *op = bt_op_info_of(planned->source->op);
        const bt_tensor *operand = planned->args;
        for (int k = 0; k < op->operands; k++) {
            bt_value v = planned->source->operand[k];
            if (!v) continue;
            size_t bytes = promised(plan->program, v, count);
            assert_non_null(operand[k].data);
            if ((uintptr_t)operand[k].data % bytes)
                fail_msg("operand %d of %s is at %p, no multiple of %zu", k, op->name, operand[k].data, bytes);
            assert_true(operand[k].dtype == BT_BITS || operand[k].ld == bt_shape_cols(operand[k].shape));
        }
        if (planned->scratch < 0) continue;
        count->scratch++;
        assert_int_equal((uintptr_t)(plan->block + plan->storage[planned->scratch].offset) % BT_VALUE_ALIGNMENT, 0);
    }
}

static void plan_and_look(bt_program *p, seen *count) {
    bt_plan *plan = NULL;
    check_ok(bt_plan_new(p, device, &plan));
    void *block = NULL;
    check_ok(device->backend->alloc(device, bt_plan_bytes(plan), &block));
    check_ok(bt_plan_bind(plan, block));
    look_at(plan, count);
    bt_plan_free(plan);
    device->backend->free(device, block);
    bt_program_free(p);
}

/* Width 18 and an odd number of bits: no row of a weight is a multiple of 16 bytes. */
static void look_at_model(bt_dtype compute, bool full) {
    bt_vit_config vit = {
        .image = 12, .patch = 4, .width = 18, .depth = 2, .heads = 2, .mlp = 30, .norm_eps = 1e-6f, .std = {1, 1, 1}};
    bt_vit_training t = {.full = full,
                         .lora = {.targets = full ? 0 : BT_LORA_QKV | BT_LORA_FC1, .rank = 3, .alpha = 3}};
    bt_method_config c = {.views = VIEWS, .bits = 7, .align_weight = 1, .rate_weight = 0.1f, .rate_eps = 0.05f};
    bt_model m;
    bt_model_init(&m, &bt_method_crovca, &c, &vit, &t, compute);
    check_ok(bt_params_commit(m.store, device));
    bt_step_options o = {.compute = compute,
                         .batch = BATCH,
                         .groups = BT_MASK_ALL,
                         .adamw = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .max_norm = 1}};
    seen count = {0};
    plan_and_look(bt_step_program(&m, &o), &count);
    plan_and_look(bt_embed_program(&m, &o), &count);
    o.groups = BT_MASK_HEAD; /* the norm of one group's gradients begins within the flat vector */
    plan_and_look(bt_step_program(&m, &o), &count);
    bt_model_release(&m);
    assert_true(count.values > 100 && count.scratch > 10 && count.parameters > 30 && count.flat > 8);
    assert_true(count.ranges > 4); /* the class row's block takes q apart from k and v */
}

static void adapters(void **state) {
    (void)state;
    look_at_model(BT_F32, false);
    look_at_model(BT_BF16, false);
}

static void all_weights(void **state) {
    (void)state;
    look_at_model(BT_F32, true);
    look_at_model(BT_BF16, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(adapters), cmocka_unit_test(all_weights)};
    if (bt_cpu_backend.open(&(bt_device_options){.threads = 1}, &device) != BT_OK) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    bt_cpu_backend.close(device);
    return failed;
}
