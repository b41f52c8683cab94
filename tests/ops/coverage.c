/* Coverage of ops.def by the table: what has no row, no kernel, or an option that no row uses is a fault. */
#include "ops_test.h"

#include <string.h>

static bool note(bool good, const char *op, const char *format, const char *name) {
    if (good) return true;
    printf("NOT COVERED %s: ", op);
    printf(format, name);
    printf("\n");
    return false;
}

/* Some row gives the operand / leaves it out. */
static void operand_use(bt_op op, const char *name, bool *given, bool *left_out) {
    *given = *left_out = false;
    for (int i = 0; i < ops_row_count; i++) {
        if (ops_rows[i].op != op) continue;
        *(ops_row_has(&ops_rows[i], name) ? given : left_out) = true;
    }
}

static bool optional_operands(bt_op op, const ops_info *info) {
    bool good = true, given, left_out;
    for (int k = 0; k < info->operands; k++) {
        ops_role role = info->operand[k].role;
        if (role != ROLE_OPT && role != ROLE_OUT_OPT && role != ROLE_OPT_STATE) continue;
        operand_use(op, info->operand[k].name, &given, &left_out);
        good &= note(given, info->name, "no row has operand %s", info->operand[k].name);
        good &= note(left_out, info->name, "no row leaves operand %s out", info->operand[k].name);
    }
    for (const ops_alias *alias = info->alias; alias->out; alias++) {
        operand_use(op, alias->in, &given, &left_out);
        good &= note(given, info->name, "alias with %s is never tried", alias->in);
    }
    return good;
}

bool ops_coverage(const bt_kernels *kernels) {
    bool good = true;
    for (int op = 0; op < BT_OP_COUNT; op++) {
        const ops_info *info = ops_info_of((bt_op)op);
        const ops_spec *spec = ops_spec_of((bt_op)op);
        int rows = 0, large = 0;
        for (int i = 0; i < ops_row_count; i++)
            if ((int)ops_rows[i].op == op) {
                rows++;
                large += (ops_rows[i].flags & OPS_LARGE) != 0;
            }
        printf("%-18s %2d rows (%d large)\n", info->name, rows, large);
        good &= note(rows > 0, info->name, "no row%s", "");
        good &= note(spec != NULL, info->name, "no spec%s", "");
        good &= note(info->present(kernels), info->name, "no kernel%s", "");
        if (spec)
            good &=
                note((int)strlen(spec->dtypes) == info->operands, info->name, "spec with dtypes '%s'", spec->dtypes);
        bool state = false;
        for (int k = 0; k < info->operands; k++) state |= ops_is_state(info->operand[k].role);
        if (spec)
            good &= note(state == (spec->state != OPS_STATE_NONE), info->name, "its state is not described%s", "");
        good &= optional_operands((bt_op)op, info);
    }
    return good;
}
