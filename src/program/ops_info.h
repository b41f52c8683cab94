/* What generic code knows of an operation, taken from the table ops.def. */
#ifndef BITTERN_PROGRAM_OPS_INFO_H
#define BITTERN_PROGRAM_OPS_INFO_H

#include "tensor/backend.h"

#define BT_MAX_OPERANDS 10
#define BT_MAX_ALIASES 2

typedef enum bt_operand_role {
    BT_ROLE_IN,
    BT_ROLE_OPT,
    BT_ROLE_OUT,
    BT_ROLE_OUT_OPT,
    BT_ROLE_STATE,
    BT_ROLE_OPT_STATE
} bt_operand_role;

typedef enum bt_effect { BT_PURE, BT_RANDOM, BT_MUTATES } bt_effect;

typedef struct bt_operand_info {
    const char *name;
    bt_operand_role role;
} bt_operand_info;

/** Operand indices: `out` may take the memory of `in`. */
typedef struct bt_alias {
    int out, in;
} bt_alias;

typedef struct bt_op_info {
    const char *name, *family;
    size_t args_bytes;
    int operands;
    bt_operand_info operand[BT_MAX_OPERANDS];
    bt_alias alias[BT_MAX_ALIASES + 1]; /**< ends with {0, 0} */
    bt_effect effect;
} bt_op_info;

const bt_op_info *bt_op_info_of(bt_op op);

static inline bool bt_role_writes(bt_operand_role role) {
    return role == BT_ROLE_OUT || role == BT_ROLE_OUT_OPT;
}
static inline bool bt_role_state(bt_operand_role role) {
    return role == BT_ROLE_STATE || role == BT_ROLE_OPT_STATE;
}
static inline bool bt_role_optional(bt_operand_role role) {
    return role == BT_ROLE_OPT || role == BT_ROLE_OUT_OPT || role == BT_ROLE_OPT_STATE;
}

#endif
