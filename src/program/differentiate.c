/* Differentiation: walks the list backwards; each operation's rule appends its own backward instruction.
 *
 * Gradients are values like others (written once). Where one value receives several contributions, the next instruction
 * takes the sum so far as its operand `add` and the planner lets the result use the same memory. A gradient that passes
 * through unchanged (residual) is the same value, not a copy. Nothing is recorded for what nothing trainable needs.
 *
 * Recompute: a rule reads forward values through bt_saved. By the program's policy that may be a twin of the value,
 * made by recording its producer again, on demand, from what is kept. Side effects are not repeated, and random numbers
 * are keyed by sample and element. The twin is equal bit for bit where planning makes the same instruction of both; a
 * product with its GELU in one (fuse.c) and a twin in two differ by a rounding.
 */
#include "program/program.h"

#include <stdio.h>
#include <string.h>

static bt_backward_rule *rule_of(bt_op op) {
    switch (op) {
    case BT_OP_linear:
        return bt_linear_backward;
    case BT_OP_lora_linear:
        return bt_lora_linear_backward;
    case BT_OP_attention:
        return bt_attention_backward;
    case BT_OP_rope:
        return bt_rope_backward;
    case BT_OP_layer_norm:
        return bt_layer_norm_backward;
    case BT_OP_batch_norm:
        return bt_batch_norm_backward;
    case BT_OP_l2_normalize:
        return bt_l2_normalize_backward;
    case BT_OP_gelu:
        return bt_gelu_backward;
    case BT_OP_quick_gelu:
        return bt_quick_gelu_backward;
    case BT_OP_swiglu:
        return bt_swiglu_backward;
    case BT_OP_relu:
        return bt_relu_backward;
    case BT_OP_add:
        return bt_add_backward;
    case BT_OP_cast:
        return bt_cast_backward;
    case BT_OP_tokens:
        return bt_tokens_backward;
    case BT_OP_resample_positions:
        return bt_resample_positions_backward;
    case BT_OP_class_row:
        return bt_class_row_backward;
    case BT_OP_code_align:
        return bt_code_align_backward;
    case BT_OP_coding_rate:
        return bt_coding_rate_backward;
    case BT_OP_cross_entropy:
        return bt_cross_entropy_backward;
    default:
        return NULL;
    }
}

bt_value bt_gradient_of(const bt_program *p, bt_value v) {
    return v ? bt_info(p, bt_owner(p, v))->gradient : 0;
}

bool bt_wants(const bt_program *p, bt_value v) {
    return v && bt_info(p, bt_owner(p, v))->needs_gradient;
}

bt_value bt_gradient_so_far(bt_program *p, bt_value v) {
    bt_value g = bt_gradient_of(p, v);
    return g && !bt_shape_equal(bt_info(p, g)->shape, bt_info(p, v)->shape) ? bt_reshape(p, g, bt_info(p, v)->shape)
                                                                            : g;
}

void bt_gradient_replace(bt_program *p, bt_value v, bt_value gradient) {
    bt_value owner = bt_owner(p, v);
    if (gradient && !bt_shape_equal(bt_info(p, owner)->shape, bt_info(p, gradient)->shape))
        gradient = bt_reshape(p, gradient, bt_info(p, owner)->shape);
    bt_info(p, owner)->gradient = gradient;
}

void bt_gradient_add(bt_program *p, bt_value v, bt_value gradient) {
    bt_value before = bt_gradient_so_far(p, v);
    bt_gradient_replace(p, v, before ? (bt_add)(p, before, gradient, 0) : gradient);
}

float bt_root_weight(const bt_program *p, bt_value loss) {
    return bt_info(p, loss)->root_weight;
}

/** Whether rows [first, first+count) of `param` were stored before; notes them if not. */
static bool stored_before(bt_program *p, int param, int64_t first, int64_t count) {
    for (int i = 0; i < p->stored_count; i++) {
        bt_stored_range *s = &p->stored[i];
        if (s->param != param || first + count <= s->first || s->first + s->count <= first) continue;
        bool same = s->first == first && s->count == count;
        if (!same)
            bt_program_fail(p, BT_ERR_UNSUPPORTED, "parameter %d is used in row ranges that overlap in part", param);
        return true;
    }
    bt_grow((void **)&p->stored, p->stored_count, &p->stored_room, sizeof *p->stored);
    p->stored[p->stored_count++] = (bt_stored_range){param, first, count};
    return false;
}

bt_value bt_param_gradient(bt_program *p, bt_value param, int *accumulate) {
    if (!bt_wants(p, param)) return 0;
    bt_value owner = bt_owner(p, param);
    bt_store_ref ref = bt_info(p, owner)->ref;
    BT_ASSERT(bt_info(p, owner)->kind == BT_VALUE_STORE && ref.slot == BT_STORE_VALUE);
    int64_t rows = bt_info(p, owner)->shape.dim[0];
    bool before = stored_before(p, ref.param, ref.first, ref.count ? ref.count : rows);
    *accumulate = before || p->options.accumulate;
    ref.slot = BT_STORE_GRADIENT;
    bt_value gradient = bt_store_value(p, ref);
    return owner == param ? gradient : bt_reshape(p, gradient, bt_info(p, param)->shape);
}

/* ---- recompute ---- */

static bool recomputable(const bt_program *p, const bt_instruction *i) {
    switch (p->options.recompute) {
    case BT_RECOMPUTE_NONE:
        return false;
    case BT_RECOMPUTE_CHEAP:
        return i->op == BT_OP_layer_norm || i->op == BT_OP_gelu || i->op == BT_OP_quick_gelu || i->op == BT_OP_swiglu;
    case BT_RECOMPUTE_BLOCKS: /* what another segment made is this one's input, and kept */
        return i->segment != 0 && i->segment == p->segment;
    }
    return false;
}

/** Records instruction `index` again; its outputs become the twins of the originals. */
static void record_again(bt_program *p, int index) {
    bt_instruction original = p->instruction[index];
    const bt_op_info *info = bt_op_info_of(original.op);
    bt_value operand[BT_MAX_OPERANDS] = {0};
    for (int k = 0; k < info->operands; k++)
        if (original.operand[k] && !bt_role_writes(info->operand[k].role))
            operand[k] = bt_saved(p, original.operand[k]);
    for (int k = 0; k < info->operands; k++)
        if (original.operand[k] && bt_role_writes(info->operand[k].role)) {
            bt_value_info out = *bt_info(p, original.operand[k]);
            operand[k] = bt_new_value(p, out.dtype, out.shape);
            bt_info(p, original.operand[k])->recomputed = operand[k];
        }
    void *args = bt_emit(p, original.op, operand);
    memcpy(args, original.args, info->args_bytes);
    if (original.op == BT_OP_batch_norm) ((bt_batch_norm_args *)args)->update = 0;
}

bt_value bt_saved(bt_program *p, bt_value v) {
    if (!v) return 0;
    bt_value owner = bt_owner(p, v);
    bt_value_info info = *bt_info(p, owner);
    if (info.producer < 0 || p->instruction[info.producer].phase != BT_FORWARD) return v;
    if (!info.recomputed && !recomputable(p, &p->instruction[info.producer])) return v;
    if (!info.recomputed) record_again(p, info.producer);
    bt_value twin = bt_info(p, owner)->recomputed;
    return owner == v ? twin : bt_reshape(p, twin, bt_info(p, v)->shape);
}

/* ---- the walk ---- */

/** A value needs a gradient if a trainable parameter of the groups, or an input that asks for it, stands behind it. */
static void mark_needs(bt_program *p) {
    for (int v = 1; v <= p->value_count; v++) {
        bt_value_info *info = &p->value[v];
        if (info->kind == BT_VALUE_INPUT) info->needs_gradient = info->wants_input_gradient;
        if (info->kind != BT_VALUE_STORE || info->ref.slot != BT_STORE_VALUE) continue;
        const bt_param_spec *spec = bt_params_spec(p->store, info->ref.param);
        info->needs_gradient = spec->trainable && (p->groups >> spec->group & 1);
    }
    for (int i = 0; i < p->instruction_count; i++) {
        const bt_instruction *in = &p->instruction[i];
        const bt_op_info *info = bt_op_info_of(in->op);
        bool needs = false;
        for (int k = 0; k < info->operands; k++)
            needs = needs || (!bt_role_writes(info->operand[k].role) && bt_wants(p, in->operand[k]));
        for (int k = 0; k < info->operands; k++)
            if (in->operand[k] && bt_role_writes(info->operand[k].role) && rule_of(in->op))
                bt_info(p, in->operand[k])->needs_gradient = needs;
    }
}

static bool seed_roots(bt_program *p, const bt_root *roots, int count) {
    for (int r = 0; r < count; r++) {
        if (!roots[r].value) return false;
        bt_value_info *v = bt_info(p, roots[r].value);
        if (roots[r].gradient) {
            if (!bt_shape_equal(v->shape, bt_info(p, roots[r].gradient)->shape)) {
                bt_program_fail(p, BT_ERR_SHAPE, "root %d and its gradient differ in shape", r);
                return false;
            }
            bt_gradient_add(p, roots[r].value, roots[r].gradient);
        } else if (bt_shape_count(v->shape) != 1 || v->producer < 0) {
            bt_program_fail(p, BT_ERR_SHAPE, "root %d is no scalar loss and has no gradient given", r);
            return false;
        } else {
            v->root_weight = roots[r].weight;
        }
    }
    return true;
}

/** True if a gradient has reached the instruction: a loss among the roots, or an output with a gradient. */
static bool reached(const bt_program *p, const bt_instruction *in) {
    const bt_op_info *info = bt_op_info_of(in->op);
    for (int k = 0; k < info->operands; k++) {
        if (!in->operand[k] || !bt_role_writes(info->operand[k].role)) continue;
        const bt_value_info *v = bt_info(p, in->operand[k]);
        if (v->needs_gradient && (v->gradient || v->root_weight != 0)) return true;
    }
    return false;
}

/** Parameters of the groups that no instruction reached keep the gradient 0, so that the optimizer never reads old
 * values. */
static void clear_unreached(bt_program *p) {
    if (!p->store || p->options.accumulate) return;
    for (int i = 0; i < bt_params_count(p->store); i++) {
        const bt_param_spec *spec = bt_params_spec(p->store, i);
        if (!spec->trainable || !(p->groups >> spec->group & 1)) continue;
        int64_t rows = 0;
        for (int s = 0; s < p->stored_count; s++)
            if (p->stored[s].param == i) rows += p->stored[s].count;
        if (rows == spec->shape.dim[0]) continue;
        if (rows) {
            bt_program_fail(p, BT_ERR_UNSUPPORTED, "only %lld of %lld rows of \"%s\" receive a gradient",
                            (long long)rows, (long long)spec->shape.dim[0], spec->name);
            return;
        }
        BT_EMIT(p, zero, .x = bt_store_value(p, (bt_store_ref){.slot = BT_STORE_GRADIENT, .param = i}));
    }
}

void bt_differentiate(bt_program *p, const bt_root *roots, int count, uint32_t groups) {
    if (!bt_recording(p)) return;
    if (p->differentiated) {
        bt_program_fail(p, BT_ERR_SHAPE, "a program is differentiated once, with all its roots");
        return;
    }
    p->differentiated = true;
    p->groups = groups;
    p->segment = 0;
    mark_needs(p);
    int forward = p->instruction_count;
    p->phase = BT_BACKWARD;
    if (!seed_roots(p, roots, count)) {
        if (bt_recording(p)) bt_program_fail(p, BT_ERR_SHAPE, "a root is no value");
        return;
    }
    for (int i = forward - 1; i >= 0 && bt_recording(p); i--) {
        bt_instruction in = p->instruction[i]; /* a copy: rules append */
        p->segment = in.segment;
        if (rule_of(in.op) && reached(p, &in)) rule_of(in.op)(p, &in);
    }
    p->segment = 0;
    clear_unreached(p);
    for (int v = 1, end = p->value_count; v <= end && bt_recording(p); v++)
        if (p->value[v].wants_input_gradient) {
            char name[128];
            snprintf(name, sizeof name, "d%s", p->value[v].name);
            if (p->value[v].gradient)
                bt_output(p, name, p->value[v].gradient);
            else
                bt_program_fail(p, BT_ERR_SHAPE, "no gradient reaches input \"%s\"", p->value[v].name);
        }
    p->phase = BT_UPDATE;
}
