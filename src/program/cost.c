/* What an instruction costs: the products in it, bytes of its operands. */
#include "program/plan.h"

static int64_t rows(const bt_tensor *t) {
    return bt_shape_rows(t->shape);
}
static int64_t cols(const bt_tensor *t) {
    return bt_shape_cols(t->shape);
}

/** The product that makes y (M,N) of x (M,K). */
static int product_of(const bt_tensor *y, const bt_tensor *x, bt_product_shape *out) {
    out[0] = (bt_product_shape){1, rows(y), cols(y), cols(x)};
    return 1;
}

/** `count` equal products of an attention: per sample and head, Q x T scores of head size C/H. */
static int attention_products(const bt_tensor *qkv, const bt_tensor *o, int heads, int count, bt_product_shape *out) {
    for (int i = 0; i < count; i++)
        out[i] = (bt_product_shape){o->shape.dim[0] * heads, o->shape.dim[1], qkv->shape.dim[1], cols(o) / heads};
    return count;
}

/** Products of the frozen weight, then of the adapter. */
static int adapted_products(bt_op op, const void *args, bt_product_shape *out) {
    switch (op) {
    case BT_OP_lora_linear: {
        const bt_lora_linear_args *a = args;
        out[0] = (bt_product_shape){1, rows(&a->y), cols(&a->y), cols(&a->x)};
        out[1] = (bt_product_shape){1, rows(&a->y), cols(&a->u), cols(&a->x)};
        out[2] = (bt_product_shape){1, rows(&a->y), rows(&a->bb), cols(&a->bb)};
        return 3;
    }
    case BT_OP_lora_du: {
        const bt_lora_du_args *a = args;
        out[0] = (bt_product_shape){1, rows(&a->dy), cols(&a->bb), rows(&a->bb)};
        return 1;
    }
    case BT_OP_lora_linear_dx: {
        const bt_lora_linear_dx_args *a = args;
        out[0] = (bt_product_shape){1, rows(&a->dy), cols(&a->dx), cols(&a->dy)};
        out[1] = (bt_product_shape){1, rows(&a->dy), cols(&a->dx), cols(&a->du)};
        return 2;
    }
    case BT_OP_lora_dw: {
        const bt_lora_dw_args *a = args;
        out[0] = (bt_product_shape){1, cols(&a->du), cols(&a->x), rows(&a->dy)};
        out[1] = (bt_product_shape){1, rows(&a->dbb), cols(&a->dbb), rows(&a->dy)};
        return 2;
    }
    default:
        return 0;
    }
}

int bt_cost_products(bt_op op, const void *args, bt_product_shape out[BT_MAX_PRODUCTS]) {
    switch (op) {
    case BT_OP_linear: {
        const bt_linear_args *a = args;
        return product_of(&a->y, &a->x, out);
    }
    case BT_OP_linear_dx: {
        const bt_linear_dx_args *a = args;
        return product_of(&a->dx, &a->dy, out);
    }
    case BT_OP_linear_dw: {
        const bt_linear_dw_args *a = args;
        out[0] = (bt_product_shape){1, cols(&a->dy), cols(&a->x), rows(&a->dy)};
        return 1;
    }
    case BT_OP_linear_scaled: {
        const bt_linear_scaled_args *a = args;
        return product_of(&a->y, &a->x, out);
    }
    case BT_OP_linear_scaled_dx: {
        const bt_linear_scaled_dx_args *a = args;
        return product_of(&a->dx, &a->dy, out);
    }
    case BT_OP_linear_gelu: {
        const bt_linear_gelu_args *a = args;
        return product_of(&a->y, &a->x, out);
    }
    case BT_OP_linear_gelu_dx: {
        const bt_linear_gelu_dx_args *a = args;
        return product_of(&a->dh, &a->dy, out);
    }
    case BT_OP_attention: {
        const bt_attention_args *a = args;
        return attention_products(&a->qkv, &a->o, a->heads, 2, out);
    }
    case BT_OP_attention_dx: { /* scores again, dv, dp, dq, dk */
        const bt_attention_dx_args *a = args;
        return attention_products(&a->qkv, &a->o, a->heads, 5, out);
    }
    case BT_OP_coding_rate: {
        const bt_coding_rate_args *a = args;
        out[0] = (bt_product_shape){a->groups, cols(&a->x), cols(&a->x), rows(&a->x) / a->groups};
        return 1;
    }
    case BT_OP_coding_rate_dx: {
        const bt_coding_rate_dx_args *a = args;
        out[0] = (bt_product_shape){a->groups, rows(&a->x) / a->groups, cols(&a->x), cols(&a->x)};
        return 1;
    }
    default:
        return adapted_products(op, args, out);
    }
}

double bt_cost_flops(bt_op op, const void *args) {
    bt_product_shape list[BT_MAX_PRODUCTS];
    double flops = 0;
    for (int i = 0, count = bt_cost_products(op, args, list); i < count; i++)
        flops += 2 * (double)list[i].batch * (double)list[i].m * (double)list[i].n * (double)list[i].k;
    return flops;
}

double bt_cost_bytes(bt_op op, const void *args) {
    const bt_tensor *operand = args;
    double bytes = 0;
    for (int k = 0; k < bt_op_info_of(op)->operands; k++)
        if (bt_present(&operand[k]))
            bytes += (double)bt_row_bytes(operand[k].dtype, cols(&operand[k])) * (double)rows(&operand[k]);
    return bytes;
}
