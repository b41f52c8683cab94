/* Liveness: values get lifetimes, and chains of values share one storage.
 *
 * A value lives from the instruction that writes it to the last that reads it. An output may take over the memory of an
 * input that is read for the last time, where ops.def says the kernel allows it. Inputs live from before the first
 * instruction, outputs to after the last.
 */
#include "program/plan.h"

#include <stdlib.h>
#include <string.h>

typedef struct life {
    int begin, end; /* plan instructions; begin > end: unused */
    bool kept;      /* an output of the program */
} life;

static life *find_lives(const bt_plan *plan) {
    const bt_program *p = plan->program;
    life *lives = bt_plan_take((size_t)p->value_count + 1, sizeof *lives);
    for (int v = 0; v <= p->value_count; v++) lives[v] = (life){.begin = plan->instruction_count, .end = -1};
    for (int i = 0; i < plan->instruction_count; i++) {
        const bt_instruction *in = plan->instruction[i].source;
        for (int k = 0; k < bt_op_info_of(in->op)->operands; k++) {
            if (!in->operand[k]) continue;
            life *l = &lives[bt_owner(p, in->operand[k])];
            if (i < l->begin) l->begin = i;
            if (i > l->end) l->end = i;
        }
    }
    for (int i = 0; i < p->output_count; i++) {
        life *l = &lives[bt_owner(p, p->output[i].value)];
        l->end = plan->instruction_count - 1;
        l->kept = true;
    }
    for (int v = 1; v <= p->value_count; v++)
        if (p->value[v].kind == BT_VALUE_INPUT)
            lives[v].begin = 0; /* also inputs nobody reads: bt_plan_set has a place */
    for (int v = 1; v <= p->value_count; v++)
        if (p->value[v].kind == BT_VALUE_INPUT && lives[v].end < 0) lives[v].end = 0;
    return lives;
}

static size_t value_bytes(const bt_value_info *v) {
    size_t bytes = bt_row_bytes(v->dtype, bt_shape_cols(v->shape)) * (size_t)bt_shape_rows(v->shape);
    return (bytes + BT_BLOCK_ALIGN - 1) / BT_BLOCK_ALIGN * BT_BLOCK_ALIGN;
}

/** The operand of instruction `i` whose storage `out` may take over, or 0. */
static bt_value reusable(const bt_plan *plan, const life *lives, int i, int out) {
    const bt_program *p = plan->program;
    const bt_instruction *in = plan->instruction[i].source;
    const bt_op_info *info = bt_op_info_of(in->op);
    for (const bt_alias *a = info->alias; a->out; a++) {
        if (a->out != out || !in->operand[a->in]) continue;
        bt_value v = bt_owner(p, in->operand[a->in]);
        int readers = 0;
        for (int k = 0; k < info->operands; k++) readers += in->operand[k] && bt_owner(p, in->operand[k]) == v;
        bool own = plan->storage_of[v] >= 0 && plan->storage[plan->storage_of[v]].end == i;
        if (own && readers == 1 && lives[v].end == i && !lives[v].kept && bt_info(p, v)->kind == BT_VALUE_TEMP &&
            bt_info(p, v)->dtype == bt_info(p, in->operand[out])->dtype && /* else elements meet elements of others */
            value_bytes(bt_info(p, v)) == value_bytes(bt_info(p, in->operand[out])))
            return v;
    }
    return 0;
}

static void give_storage(bt_plan *plan, const life *lives, bt_value v) {
    plan->storage_of[v] = plan->storage_count;
    plan->storage[plan->storage_count++] = (bt_storage){
        .bytes = value_bytes(bt_info(plan->program, v)), .begin = lives[v].begin, .end = lives[v].end, .value = v};
}

void bt_plan_lifetimes(bt_plan *plan) {
    const bt_program *p = plan->program;
    life *lives = find_lives(plan);
    plan->storage_of = bt_plan_take((size_t)p->value_count + 1, sizeof *plan->storage_of);
    for (int v = 0; v <= p->value_count; v++) plan->storage_of[v] = -1;
    plan->storage = bt_plan_take((size_t)p->value_count + (size_t)plan->instruction_count + 1, sizeof *plan->storage);
    for (int v = 1; v <= p->value_count; v++)
        if (p->value[v].kind == BT_VALUE_INPUT) give_storage(plan, lives, v);
    for (int i = 0; i < plan->instruction_count; i++) {
        const bt_instruction *in = plan->instruction[i].source;
        const bt_op_info *info = bt_op_info_of(in->op);
        for (int k = 0; k < info->operands; k++) {
            if (!in->operand[k] || !bt_role_writes(info->operand[k].role)) continue;
            bt_value v = in->operand[k], taken = reusable(plan, lives, i, k);
            if (taken) {
                plan->storage_of[v] = plan->storage_of[taken];
                plan->storage[plan->storage_of[v]].end = lives[v].end;
            } else {
                give_storage(plan, lives, v);
            }
        }
    }
    free(lives);
}
