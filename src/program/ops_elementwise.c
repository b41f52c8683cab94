/* gelu, quick_gelu, swiglu, relu, add, cast: shapes and backward. */
#include "program/program.h"

static bool floating(bt_program *p, bt_op op, const char *operand, bt_value v) {
    return bt_require(p, v != 0, op, "operand %s is missing", operand) &&
           bt_require(p, bt_info(p, v)->dtype == BT_F32 || bt_info(p, v)->dtype == BT_BF16, op,
                      "operand %s has dtype %s, expected f32 or bf16", operand, bt_dtype_name(bt_info(p, v)->dtype));
}

static bt_value like(bt_program *p, bt_value v) {
    return bt_new_value(p, bt_info(p, v)->dtype, bt_info(p, v)->shape);
}

bt_value(bt_gelu)(bt_program *p, bt_value x) {
    if (!bt_recording(p) || !floating(p, BT_OP_gelu, "x", x)) return 0;
    bt_value y = like(p, x);
    BT_EMIT(p, gelu, .x = x, .y = y);
    return y;
}

void bt_gelu_backward(bt_program *p, const bt_instruction *i) {
    const bt_gelu_values *v = (const bt_gelu_values *)i->operand;
    bt_value x = bt_saved(p, v->x), dx = like(p, v->x);
    BT_EMIT(p, gelu_dx, .dy = bt_gradient_so_far(p, v->y), .x = x, .dx = dx);
    bt_gradient_add(p, v->x, dx);
}

bt_value(bt_quick_gelu)(bt_program *p, bt_value x) {
    if (!bt_recording(p) || !floating(p, BT_OP_quick_gelu, "x", x)) return 0;
    bt_value y = like(p, x);
    BT_EMIT(p, quick_gelu, .x = x, .y = y);
    return y;
}

void bt_quick_gelu_backward(bt_program *p, const bt_instruction *i) {
    const bt_quick_gelu_values *v = (const bt_quick_gelu_values *)i->operand;
    bt_value x = bt_saved(p, v->x), dx = like(p, v->x);
    BT_EMIT(p, quick_gelu_dx, .dy = bt_gradient_so_far(p, v->y), .x = x, .dx = dx);
    bt_gradient_add(p, v->x, dx);
}

bt_value(bt_swiglu)(bt_program *p, bt_value x) {
    if (!bt_recording(p) || !floating(p, BT_OP_swiglu, "x", x)) return 0;
    bt_shape s = bt_info(p, x)->shape;
    char text[64];
    if (!bt_require(p, bt_shape_cols(s) % 2 == 0, BT_OP_swiglu,
                    "x has shape %s, expected (.., 2h): gate and value side by side",
                    bt_shape_text(s, text, sizeof text)))
        return 0;
    s.dim[s.rank - 1] /= 2;
    bt_value y = bt_new_value(p, bt_info(p, x)->dtype, s);
    BT_EMIT(p, swiglu, .x = x, .y = y);
    return y;
}

void bt_swiglu_backward(bt_program *p, const bt_instruction *i) {
    const bt_swiglu_values *v = (const bt_swiglu_values *)i->operand;
    bt_value x = bt_saved(p, v->x), dx = like(p, v->x);
    BT_EMIT(p, swiglu_dx, .dy = bt_gradient_so_far(p, v->y), .x = x, .dx = dx);
    bt_gradient_add(p, v->x, dx);
}

bt_value(bt_relu)(bt_program *p, bt_value x) {
    if (!bt_recording(p) || !floating(p, BT_OP_relu, "x", x)) return 0;
    bt_value y = like(p, x);
    BT_EMIT(p, relu, .x = x, .y = y);
    return y;
}

void bt_relu_backward(bt_program *p, const bt_instruction *i) {
    const bt_relu_values *v = (const bt_relu_values *)i->operand;
    bt_value y = bt_saved(p, v->y), dx = like(p, v->x);
    BT_EMIT(p, relu_dx, .dy = bt_gradient_so_far(p, v->y), .y = y, .dx = dx);
    bt_gradient_add(p, v->x, dx);
}

bt_value(bt_add)(bt_program *p, bt_value x, bt_value f, bt_value scale) {
    bt_op op = BT_OP_add;
    if (!bt_recording(p) || !floating(p, op, "x", x) || !bt_require_dtype(p, op, "f", f, bt_info(p, x)->dtype) ||
        !bt_require_shape(p, op, "f", f, bt_info(p, x)->shape))
        return 0;
    if (scale && !(bt_require_dtype(p, op, "scale", scale, BT_F32) &&
                   bt_require_shape(p, op, "scale", scale, bt_shape1(bt_shape_cols(bt_info(p, x)->shape)))))
        return 0;
    bt_value y = like(p, x);
    BT_EMIT(p, add, .x = x, .f = f, .scale = scale, .y = y);
    return y;
}

void bt_add_backward(bt_program *p, const bt_instruction *i) {
    const bt_add_values *v = (const bt_add_values *)i->operand;
    bt_value dy = bt_gradient_so_far(p, v->y);
    if (bt_wants(p, v->scale)) {
        int accumulate = 0;
        bt_value dscale = bt_param_gradient(p, v->scale, &accumulate);
        BT_EMIT(p, add_dscale, .dy = dy, .f = bt_saved(p, v->f), .dscale = dscale)->accumulate = accumulate;
    }
    if (bt_wants(p, v->f)) {
        bt_value df = dy;
        if (v->scale) {
            df = like(p, v->f);
            BT_EMIT(p, add_df, .dy = dy, .scale = v->scale, .df = df);
        }
        bt_gradient_add(p, v->f, df);
    }
    if (bt_wants(p, v->x)) bt_gradient_add(p, v->x, dy);
}

bt_value(bt_cast)(bt_program *p, bt_value x, bt_dtype dtype) {
    if (!bt_recording(p) || !floating(p, BT_OP_cast, "x", x) ||
        !bt_require(p, dtype == BT_F32 || dtype == BT_BF16, BT_OP_cast, "cannot cast to %s", bt_dtype_name(dtype)))
        return 0;
    if (bt_info(p, x)->dtype == dtype) return x;
    bt_value y = bt_new_value(p, dtype, bt_info(p, x)->shape);
    BT_EMIT(p, cast, .x = x, .y = y);
    return y;
}

void bt_cast_backward(bt_program *p, const bt_instruction *i) {
    const bt_cast_values *v = (const bt_cast_values *)i->operand;
    bt_value dx = like(p, v->x);
    BT_EMIT(p, cast, .x = bt_gradient_so_far(p, v->y), .y = dx);
    bt_gradient_add(p, v->x, dx);
}
