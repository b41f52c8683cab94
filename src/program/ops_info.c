/* The table ops.def as data. */
#include "program/ops_info.h"

#define IN(n) {#n, BT_ROLE_IN},
#define OPT(n) {#n, BT_ROLE_OPT},
#define OUT(n) {#n, BT_ROLE_OUT},
#define OUT_OPT(n) {#n, BT_ROLE_OUT_OPT},
#define STATE(n) {#n, BT_ROLE_STATE},
#define OPT_STATE(n) {#n, BT_ROLE_OPT_STATE},
#define ATTR(type, n)
#define ATTR_ARRAY(type, n, count)
/* An alias names two operands; an operand's index is its offset in the argument struct. The list ends with {0, 0}: no
 * operation lets its first operand, an input, take its own memory. */
#define ALIAS(out, in)                                                                                                 \
    {offsetof(bt_args_here, out) / sizeof(bt_tensor), offsetof(bt_args_here, in) / sizeof(bt_tensor)},
#define PURE BT_PURE
#define RANDOM BT_RANDOM
#define MUTATES BT_MUTATES
#define BT_OP(family_, name_, operands_, attributes_, aliases_, effect_)                                               \
    case BT_OP_##name_: {                                                                                              \
        typedef bt_##name_##_args bt_args_here;                                                                        \
        static const bt_operand_info list[] = {operands_};                                                             \
        _Static_assert(sizeof list / sizeof list[0] <= BT_MAX_OPERANDS, "raise BT_MAX_OPERANDS");                      \
        static const bt_op_info info = {.name = #name_,                                                                \
                                        .family = #family_,                                                            \
                                        .args_bytes = sizeof(bt_args_here),                                            \
                                        .operands = sizeof list / sizeof list[0],                                      \
                                        .operand = {operands_},                                                        \
                                        .alias = {aliases_{0, 0}},                                                     \
                                        .effect = effect_};                                                            \
        return &info;                                                                                                  \
    }

const bt_op_info *bt_op_info_of(bt_op op) {
    switch (op) {
#include "tensor/ops.def"
    case BT_OP_COUNT:
        break;
    }
    bt_panic(__FILE__, __LINE__, "no operation %d", (int)op);
}
