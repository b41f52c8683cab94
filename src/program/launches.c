/* Kernels and library calls that the CUDA backend issues for an instruction: what a launch-bound step is made of.
 * tests/device compares this with what the backend issues; tables that only tests make (rows with a stride of their
 * own) are counted too. */
#include "program/plan.h"

/** Parts of an adapter at equal distances are one batched product, others one each. */
static int part_products(const bt_lora_parts *p) {
    return bt_lora_distance(p) ? 1 : p->count;
}

/** cuBLASLt takes a bias of the output's dtype: an f32 one that may change is rounded by a kernel first. */
static int rounded_bias(const bt_tensor *b, const bt_tensor *y) {
    return bt_present(b) && y->dtype == BT_BF16 && !(b->flags & BT_FROZEN);
}

/** Launches for all Cholesky factors of (D,D), or the solves with them: one of ours for codes of the usual length
 * (BT_CHOLESKY_OWN of cuda/cholesky.cuh), else those of the library. */
static int factors(const bt_tensor *x, int of_library) {
    return bt_shape_cols(x->shape) <= 128 ? 1 : of_library;
}

/** The factor and the solves take contiguous matrices: others are copied. */
static int copied(const bt_tensor *t) {
    return t->ld != bt_shape_cols(t->shape);
}

static int adapter_launches(bt_op op, const void *args) {
    switch (op) {
    case BT_OP_lora_linear: {
        const bt_lora_linear_args *a = args;
        return 2 + part_products(&a->parts) + (a->dropout > 0) + rounded_bias(&a->b, &a->y);
    }
    case BT_OP_lora_du: {
        const bt_lora_du_args *a = args;
        return part_products(&a->parts);
    }
    case BT_OP_lora_linear_dx:
        return 2 + (((const bt_lora_linear_dx_args *)args)->dropout > 0);
    default: {
        const bt_lora_dw_args *a = args;
        return 1 + part_products(&a->parts) + (a->dropout > 0);
    }
    }
}

static bool frozen(const bt_tensor *t) {
    return t->flags & BT_FROZEN;
}

/** The weight under a scale that may change is made before each product. */
static int scaled_weight(const bt_tensor *w, const bt_tensor *scale) {
    return bt_present(scale) && !(frozen(w) && frozen(scale));
}

/** 1, or 2 where a product has no engine with its GELU: cuda/linear_gelu.cu. */
static int with_gelu(const bt_tensor *a, const bt_tensor *w, const bt_tensor *d, const bt_tensor *h, bool has_engine) {
    int64_t all =
        bt_shape_cols(d->shape) | bt_shape_cols(a->shape) | a->ld | w->ld | d->ld | (bt_present(h) ? h->ld : 0);
    return a->dtype == BT_BF16 && all % 8 == 0 && has_engine ? 1 : 2;
}

static int fused_launches(bt_op op, const void *args) {
    switch (op) {
    case BT_OP_linear_scaled: {
        const bt_linear_scaled_args *a = args;
        int weight = scaled_weight(&a->w, &a->scale), lasts = !weight && frozen(&a->b);
        return 1 + weight + (bt_present(&a->b) && !lasts ? 1 + (a->y.dtype == BT_BF16) : 0);
    }
    case BT_OP_linear_scaled_dx: {
        const bt_linear_scaled_dx_args *a = args;
        return 1 + scaled_weight(&a->w, &a->scale);
    }
    case BT_OP_linear_gelu: {
        const bt_linear_gelu_args *a = args;
        int calls = with_gelu(&a->x, &a->w, &a->y, &a->h, bt_present(&a->b) || !bt_present(&a->h));
        return calls + (calls == 2 ? rounded_bias(&a->b, &a->y) : 0);
    }
    default: {
        const bt_linear_gelu_dx_args *a = args;
        return scaled_weight(&a->w, &a->scale) + with_gelu(&a->dy, &a->w, &a->dh, &a->h, true);
    }
    }
}

int bt_cost_launches(bt_op op, const void *args) {
    switch (op) {
    case BT_OP_linear_scaled:
    case BT_OP_linear_scaled_dx:
    case BT_OP_linear_gelu:
    case BT_OP_linear_gelu_dx:
        return fused_launches(op, args);
    case BT_OP_lora_linear:
    case BT_OP_lora_du:
    case BT_OP_lora_linear_dx:
    case BT_OP_lora_dw:
        return adapter_launches(op, args);
    case BT_OP_linear:
        return 1 + rounded_bias(&((const bt_linear_args *)args)->b, &((const bt_linear_args *)args)->y);
    case BT_OP_linear_dw:
        return 1 + 2 * bt_present(&((const bt_linear_dw_args *)args)->db);
    case BT_OP_layer_norm_dw:
    case BT_OP_batch_norm_dw:
    case BT_OP_code_align:
    case BT_OP_prototype_targets:
    case BT_OP_cross_entropy:
    case BT_OP_sum_squares:
    case BT_OP_add_dscale:
    case BT_OP_attention_dx:
        return 2;
    case BT_OP_make_views:
        return 3; /* records, geometry, colour */
    case BT_OP_batch_norm:
        return 1 + (((const bt_batch_norm_args *)args)->update != 0);
    case BT_OP_coding_rate: { /* Gram matrices, identity, factors, logarithms */
        const bt_coding_rate_args *a = args;
        return 3 + factors(&a->x, 1 + a->groups) + copied(&a->chol);
    }
    case BT_OP_coding_rate_dx: {
        const bt_coding_rate_dx_args *a = args;
        return 1 + factors(&a->x, a->groups) + copied(&a->chol) + copied(&a->dx);
    }
    default:
        return 1;
    }
}
