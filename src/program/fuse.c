/* One instruction made of several, where the device gains by it (bt_backend.fuses):
 *
 *   linear, add with scale                        linear_scaled
 *   add_df, linear_dx                             linear_scaled_dx
 *   linear, gelu or quick_gelu                    linear_gelu
 *   linear_dx or linear_scaled_dx, then gelu_dx   linear_gelu_dx
 *   or quick_gelu_dx
 *
 * It is done to a plan, behind differentiation: models and backward rules know the simple operations only, and a plan
 * for another device is another plan. A value on the way is given up only if nothing but the pair reads it. A scale
 * goes into the weight only if both are frozen: then that is done once. Each pass looks at all instructions in order,
 * so the one above may take what the one before it made.
 */
#include "program/plan.h"

#include <stdlib.h>

typedef struct fusion {
    bt_plan *plan;
    int *readers;  /* [value]: how often it is read; outputs of the program once more */
    int *producer; /* [value]: the plan instruction that writes it, or -1 */
} fusion;

static const bt_instruction *source_of(const fusion *f, int i) {
    return i < 0 ? NULL : f->plan->instruction[i].source;
}

static bool is(const bt_instruction *in, bt_op op) {
    return in && in->op == op;
}

static bool frozen(const fusion *f, bt_value v) {
    const bt_value_info *info = v ? bt_info(f->plan->program, v) : NULL;
    bt_tensor t;
    return info && info->kind == BT_VALUE_STORE && bt_store_tensor(f->plan->program->store, info->ref, &t) == BT_OK &&
           t.flags & BT_FROZEN;
}

/** Plan instruction that makes `v` by `op`, if `v` is read once and not under another shape; else -1. */
static int sole_producer(const fusion *f, bt_value v, bt_op op) {
    if (!v || bt_owner(f->plan->program, v) != v || f->readers[v] != 1) return -1;
    int i = f->producer[v];
    return is(source_of(f, i), op) ? i : -1;
}

static void count_uses(fusion *f) {
    const bt_program *p = f->plan->program;
    for (int v = 0; v <= p->value_count; v++) f->readers[v] = 0, f->producer[v] = -1;
    for (int i = 0; i < p->output_count; i++) f->readers[bt_owner(p, p->output[i].value)]++;
    for (int i = 0; i < f->plan->instruction_count; i++) {
        const bt_instruction *in = source_of(f, i);
        const bt_op_info *info = in ? bt_op_info_of(in->op) : NULL;
        for (int k = 0; in && k < info->operands; k++) {
            if (!in->operand[k]) continue;
            if (bt_role_writes(info->operand[k].role))
                f->producer[in->operand[k]] = i;
            else
                f->readers[bt_owner(p, in->operand[k])]++;
        }
    }
}

/** Puts a new instruction in the place of `at`; `other` is gone. Its attributes are zeros. */
static void *replace(fusion *f, int at, int other, bt_op op, const bt_value *operands) {
    bt_plan *plan = f->plan;
    bt_instruction *made = &plan->fused[plan->fused_count++];
    const bt_op_info *info = bt_op_info_of(op);
    *made = (bt_instruction){.op = op,
                             .phase = source_of(f, at)->phase,
                             .segment = source_of(f, at)->segment,
                             .args = calloc(1, info->args_bytes)};
    BT_ASSERT(made->args);
    for (int k = 0; k < info->operands; k++) made->operand[k] = operands[k];
    plan->instruction[at].source = made;
    plan->instruction[other].source = NULL;
    for (int k = 0; k < info->operands; k++)
        if (operands[k] && bt_role_writes(info->operand[k].role)) f->producer[operands[k]] = at;
    return made->args;
}
#define REPLACE(f, at, other, name, ...)                                                                               \
    ((bt_##name##_args *)replace(f, at, other, BT_OP_##name, (const bt_value *)&(bt_##name##_values){__VA_ARGS__}))

/** The sum stands where the addition stood: the residual may be made between the two. */
static void scale_forward(fusion *f, int i) {
    const bt_add_values *a = (const bt_add_values *)source_of(f, i)->operand;
    int at = a->scale && frozen(f, a->scale) ? sole_producer(f, a->f, BT_OP_linear) : -1;
    if (at < 0) return;
    const bt_linear_values *l = (const bt_linear_values *)source_of(f, at)->operand;
    if (l->add || !frozen(f, l->w) || (l->b && !frozen(f, l->b))) return;
    REPLACE(f, i, at, linear_scaled, .x = l->x, .w = l->w, .b = l->b, .scale = a->scale, .add = a->x, .y = a->y);
}

static void scale_backward(fusion *f, int i) {
    const bt_linear_dx_values *l = (const bt_linear_dx_values *)source_of(f, i)->operand;
    int at = frozen(f, l->w) ? sole_producer(f, l->dy, BT_OP_add_df) : -1;
    if (at < 0) return;
    const bt_add_df_values *a = (const bt_add_df_values *)source_of(f, at)->operand;
    if (!frozen(f, a->scale)) return;
    REPLACE(f, i, at, linear_scaled_dx, .dy = a->dy, .w = l->w, .scale = a->scale, .add = l->add, .dx = l->dx);
}

/** Both outputs stand where the product stood: h may be read before its function is. */
static void gelu_forward(fusion *f, int i, bool quick) {
    const bt_gelu_values *g = (const bt_gelu_values *)source_of(f, i)->operand;
    bt_value h = g->x;
    int at = h && bt_owner(f->plan->program, h) == h ? f->producer[h] : -1;
    if (!is(source_of(f, at), BT_OP_linear)) return;
    const bt_linear_values *l = (const bt_linear_values *)source_of(f, at)->operand;
    if (l->add) return;
    bool kept = f->readers[h] > 1;
    REPLACE(f, at, i, linear_gelu, .x = l->x, .w = l->w, .b = l->b, .y = g->y, .h = kept ? h : 0)->quick = quick;
}

static void gelu_backward(fusion *f, int i, bool quick) {
    const bt_gelu_dx_values *g = (const bt_gelu_dx_values *)source_of(f, i)->operand;
    int plain = sole_producer(f, g->dy, BT_OP_linear_dx), scaled = sole_producer(f, g->dy, BT_OP_linear_scaled_dx);
    bt_value dy, w, scale = 0, add;
    if (plain >= 0) {
        const bt_linear_dx_values *l = (const bt_linear_dx_values *)source_of(f, plain)->operand;
        dy = l->dy, w = l->w, add = l->add;
    } else if (scaled >= 0) {
        const bt_linear_scaled_dx_values *l = (const bt_linear_scaled_dx_values *)source_of(f, scaled)->operand;
        dy = l->dy, w = l->w, scale = l->scale, add = l->add;
    } else {
        return;
    }
    if (add) return;
    REPLACE(f, i, plain >= 0 ? plain : scaled, linear_gelu_dx, .dy = dy, .w = w, .scale = scale, .h = g->x, .dh = g->dx)
        ->quick = quick;
}

static void fuse_at(fusion *f, int i, bt_op target) {
    const bt_instruction *in = source_of(f, i);
    if (!in) return;
    switch (target) {
    case BT_OP_linear_scaled:
        if (in->op == BT_OP_add) scale_forward(f, i);
        break;
    case BT_OP_linear_scaled_dx:
        if (in->op == BT_OP_linear_dx) scale_backward(f, i);
        break;
    case BT_OP_linear_gelu:
        if (in->op == BT_OP_gelu || in->op == BT_OP_quick_gelu) gelu_forward(f, i, in->op == BT_OP_quick_gelu);
        break;
    default:
        if (in->op == BT_OP_gelu_dx || in->op == BT_OP_quick_gelu_dx)
            gelu_backward(f, i, in->op == BT_OP_quick_gelu_dx);
        break;
    }
}

static void close_gaps(bt_plan *plan) {
    int count = 0;
    for (int i = 0; i < plan->instruction_count; i++)
        if (plan->instruction[i].source) plan->instruction[count++] = plan->instruction[i];
    plan->instruction_count = count;
}

void bt_plan_fuse(bt_plan *plan) {
    static const bt_op targets[] = {BT_OP_linear_scaled, BT_OP_linear_scaled_dx, BT_OP_linear_gelu,
                                    BT_OP_linear_gelu_dx};
    const bt_backend *backend = plan->backend;
    if (!backend || !backend->fuses || !plan->instruction_count) return;
    int values = plan->program->value_count + 1;
    fusion f = {plan, malloc((size_t)values * sizeof *f.readers), malloc((size_t)values * sizeof *f.producer)};
    plan->fused = calloc((size_t)plan->instruction_count, sizeof *plan->fused); /* each one ends an instruction */
    BT_ASSERT(f.readers && f.producer && plan->fused);
    for (int t = 0; t < (int)(sizeof targets / sizeof targets[0]); t++) {
        if (!backend->fuses(targets[t], plan->program->options.compute)) continue;
        count_uses(&f);
        for (int i = 0; i < plan->instruction_count; i++) fuse_at(&f, i, targets[t]);
    }
    close_gaps(plan);
    free(f.readers);
    free(f.producer);
}
