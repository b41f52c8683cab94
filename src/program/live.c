/* Which instructions of a program are planned: those that outputs and side effects need, found walking backwards. */
#include "program/plan.h"

#include <stdlib.h>

void bt_plan_keep_live(bt_plan *plan) {
    const bt_program *p = plan->program;
    bool *needed = bt_plan_take((size_t)p->value_count + 1, sizeof *needed),
         *live = bt_plan_take((size_t)p->instruction_count, sizeof *live);
    for (int i = 0; i < p->output_count; i++) needed[bt_owner(p, p->output[i].value)] = true;
    int count = 0;
    for (int i = p->instruction_count - 1; i >= 0; i--) {
        const bt_instruction *in = &p->instruction[i];
        const bt_op_info *info = bt_op_info_of(in->op);
        live[i] = info->effect == BT_MUTATES;
        for (int k = 0; k < info->operands; k++)
            if (in->operand[k] && bt_role_writes(info->operand[k].role))
                live[i] = live[i] || needed[bt_owner(p, in->operand[k])];
        if (!live[i]) continue;
        count++;
        for (int k = 0; k < info->operands; k++)
            if (in->operand[k] && !bt_role_writes(info->operand[k].role)) needed[bt_owner(p, in->operand[k])] = true;
    }
    plan->instruction = bt_plan_take((size_t)count, sizeof *plan->instruction);
    for (int i = 0; i < p->instruction_count; i++)
        if (live[i])
            plan->instruction[plan->instruction_count++] = (bt_planned){.source = &p->instruction[i], .scratch = -1};
    free(needed);
    free(live);
}
