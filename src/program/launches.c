/* Kernels and library calls that the CUDA backend issues for an instruction: what a launch-bound step is made of. A test compares it
 * with the host runtime's count (tests/cuda_host). Strides and shapes are those that programs make: contiguous. */
#include "program/plan.h"

/** Parts of an adapter at equal distances are one batched product, others one each. */
static int part_products(int parts, const int64_t column[3], int64_t width) {
    bool even = parts < 3 || column[2] - column[1] == column[1] - column[0];
    for (int k = 1; k < parts; k++) even = even && column[k] - column[k - 1] >= width;
    return even ? 1 : parts;
}

int bt_cost_launches(bt_op op, const void *args) {
    switch (op) {
    case BT_OP_layer_norm_dw:
    case BT_OP_batch_norm_dw:
    case BT_OP_code_align:
    case BT_OP_prototype_targets:
    case BT_OP_cross_entropy:
    case BT_OP_sum_squares:
    case BT_OP_add_dscale:
    case BT_OP_attention_dx: return 2;
    case BT_OP_batch_norm: return 1 + (((const bt_batch_norm_args *)args)->update != 0);
    case BT_OP_coding_rate: return 3 + ((const bt_coding_rate_args *)args)->groups; /* one factorisation a view */
    case BT_OP_coding_rate_dx: return 1 + ((const bt_coding_rate_dx_args *)args)->groups;
    case BT_OP_linear_dw: return 1 + 2 * bt_present(&((const bt_linear_dw_args *)args)->db);
    case BT_OP_lora_linear: {
        const bt_lora_linear_args *a = args;
        return 2 + part_products(a->parts, a->part_column, a->part_width) + (a->dropout > 0);
    }
    case BT_OP_lora_du: {
        const bt_lora_du_args *a = args;
        return part_products(a->parts, a->part_column, a->part_width);
    }
    case BT_OP_lora_linear_dx: return 2 + (((const bt_lora_linear_dx_args *)args)->dropout > 0);
    case BT_OP_lora_dw: {
        const bt_lora_dw_args *a = args;
        return 1 + part_products(a->parts, a->part_column, a->part_width) + (a->dropout > 0);
    }
    default: return 1;
    }
}
