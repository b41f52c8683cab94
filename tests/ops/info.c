/* What ops.def says about each operation, and calls of typed kernels and references through one signature. */
#include "ops_test.h"

#include <string.h>

#define IN(name) {#name, ROLE_IN},
#define OPT(name) {#name, ROLE_OPT},
#define OUT(name) {#name, ROLE_OUT},
#define OUT_OPT(name) {#name, ROLE_OUT_OPT},
#define STATE(name) {#name, ROLE_STATE},
#define OPT_STATE(name) {#name, ROLE_OPT_STATE},
#define ALIAS(out, in) {#out, #in},
#define BT_OP(family, name, operands, attributes, aliases, effect)                                                     \
    static const ops_operand operands_##name[] = {operands};                                                           \
    static const ops_alias aliases_##name[] = {aliases{NULL, NULL}};                                                   \
    _Static_assert(sizeof operands_##name / sizeof(ops_operand) <= OPS_MAX_OPERANDS, "too many operands");             \
    _Static_assert(sizeof(bt_##name##_args) <= sizeof(ops_any_args), "arguments too large");                           \
    static bool present_##name(const bt_kernels *kernels) {                                                            \
        return kernels->name && kernels->name->prepare && kernels->name->run;                                          \
    }                                                                                                                  \
    static bt_status prepare_##name(const bt_kernels *kernels, bt_device *device, const void *args,                    \
                                    bt_prepared *out) {                                                                \
        return kernels->name->prepare(device, args, out);                                                              \
    }                                                                                                                  \
    static bt_status run_##name(const bt_kernels *kernels, bt_device *device, const void *args,                        \
                                const bt_prepared *prepared, void *scratch) {                                          \
        return kernels->name->run(device, args, prepared, scratch);                                                    \
    }                                                                                                                  \
    static void call_reference_##name(void *ref) {                                                                     \
        reference_##name(ref);                                                                                         \
    }
#include "tensor/ops.def"
#undef BT_OP

static const ops_info table[BT_OP_COUNT] = {
#define BT_OP(family, name, operands, attributes, aliases, effect)                                                     \
    {#family,         #name,                                                                                           \
     operands_##name, (int)(sizeof operands_##name / sizeof(ops_operand)),                                             \
     aliases_##name,  sizeof(bt_##name##_args),                                                                        \
     present_##name,  prepare_##name,                                                                                  \
     run_##name,      call_reference_##name},
#include "tensor/ops.def"
#undef BT_OP
};

const ops_info *ops_info_of(bt_op op) {
    return &table[op];
}

int ops_operand_index(const ops_info *info, const char *name, size_t bytes) {
    for (int k = 0; k < info->operands; k++)
        if (strlen(info->operand[k].name) == bytes && strncmp(info->operand[k].name, name, bytes) == 0) return k;
    return -1;
}
