/* What an instruction costs: FLOPs of its products, bytes of its operands, launches on CUDA. */
#include "program/plan.h"

static double rows(const bt_tensor *t) { return (double)bt_shape_rows(t->shape); }
static double cols(const bt_tensor *t) { return (double)bt_shape_cols(t->shape); }

/** Products of an attention forward: scores and output, 2 products of N x Q x T x C multiply-adds. */
static double attention_flops(const bt_tensor *qkv, const bt_tensor *o) {
    return 4.0 * (double)o->shape.dim[0] * (double)o->shape.dim[1] * (double)qkv->shape.dim[1] * cols(o);
}

double bt_cost_flops(bt_op op, const void *args) {
    switch (op) {
    case BT_OP_linear: {
        const bt_linear_args *a = args;
        return 2 * rows(&a->y) * cols(&a->y) * cols(&a->x);
    }
    case BT_OP_linear_dx: {
        const bt_linear_dx_args *a = args;
        return 2 * rows(&a->dy) * cols(&a->dy) * cols(&a->dx);
    }
    case BT_OP_linear_dw: {
        const bt_linear_dw_args *a = args;
        return 2 * rows(&a->dy) * cols(&a->dy) * cols(&a->x);
    }
    case BT_OP_lora_linear: {
        const bt_lora_linear_args *a = args;
        return 2 * rows(&a->y) * (cols(&a->y) * cols(&a->x) + cols(&a->u) * cols(&a->x) + rows(&a->bb) * cols(&a->bb));
    }
    case BT_OP_lora_du: {
        const bt_lora_du_args *a = args;
        return 2 * rows(&a->dy) * rows(&a->bb) * cols(&a->bb);
    }
    case BT_OP_lora_linear_dx: {
        const bt_lora_linear_dx_args *a = args;
        return 2 * rows(&a->dy) * cols(&a->dx) * (cols(&a->dy) + cols(&a->du));
    }
    case BT_OP_lora_dw: {
        const bt_lora_dw_args *a = args;
        return 2 * rows(&a->dy) * (cols(&a->x) * cols(&a->du) + rows(&a->dbb) * cols(&a->dbb));
    }
    case BT_OP_attention: {
        const bt_attention_args *a = args;
        return attention_flops(&a->qkv, &a->o);
    }
    case BT_OP_attention_dx: { /* scores again, dv, dp, dq, dk: five products against the forward's two */
        const bt_attention_dx_args *a = args;
        return 2.5 * attention_flops(&a->qkv, &a->o);
    }
    case BT_OP_coding_rate: {
        const bt_coding_rate_args *a = args;
        return 2 * rows(&a->x) * cols(&a->x) * cols(&a->x);
    }
    case BT_OP_coding_rate_dx: {
        const bt_coding_rate_dx_args *a = args;
        return 2 * rows(&a->x) * cols(&a->x) * cols(&a->x);
    }
    default: return 0;
    }
}

double bt_cost_bytes(bt_op op, const void *args) {
    const bt_tensor *operand = args;
    double bytes = 0;
    for (int k = 0; k < bt_op_info_of(op)->operands; k++)
        if (bt_present(&operand[k])) bytes += (double)bt_row_bytes(operand[k].dtype, bt_shape_cols(operand[k].shape)) * rows(&operand[k]);
    return bytes;
}
