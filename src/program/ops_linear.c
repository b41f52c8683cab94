/* linear and lora_linear: shapes and backward. Only what is wanted is recorded: no dw of a frozen weight, no dx below
 * the first adapter. */
#include "program/program.h"

/** The shape of y = x w^T for x (..,I) and w (O,I); the rows of x are kept. */
static bool linear_shape(bt_program *p, bt_op op, bt_value x, bt_value w, bt_value b, bt_value add, bt_shape *out) {
    if (!bt_require(p, x != 0, op, "operand x is missing")) return false;
    bt_dtype dtype = bt_info(p, x)->dtype; /* a tower works in the compute dtype, a head in f32 */
    if (dtype != BT_F32 && !bt_require_dtype(p, op, "x", x, p->options.compute)) return false;
    if (!bt_require_dtype(p, op, "w", w, dtype)) return false;
    bt_shape xs = bt_info(p, x)->shape, ws = bt_info(p, w)->shape;
    char xt[64], wt[64];
    if (!bt_require(p, ws.rank == 2 && ws.dim[1] == bt_shape_cols(xs), op,
                    "x %s does not fit w %s: x's last axis must be w's second", bt_shape_text(xs, xt, sizeof xt),
                    bt_shape_text(ws, wt, sizeof wt)))
        return false;
    *out = xs;
    out->dim[xs.rank - 1] = ws.dim[0];
    if (b && !(bt_require_dtype(p, op, "b", b, BT_F32) && bt_require_shape(p, op, "b", b, bt_shape1(ws.dim[0]))))
        return false;
    return !add || (bt_require_dtype(p, op, "add", add, dtype) && bt_require_shape(p, op, "add", add, *out));
}

bt_value(bt_linear)(bt_program *p, bt_value x, bt_value w, bt_value b, bt_value add) {
    bt_shape shape;
    if (!bt_recording(p) || !linear_shape(p, BT_OP_linear, x, w, b, add, &shape)) return 0;
    bt_value y = bt_new_value(p, bt_info(p, x)->dtype, shape);
    BT_EMIT(p, linear, .x = x, .w = w, .b = b, .add = add, .y = y);
    return y;
}

void bt_linear_backward(bt_program *p, const bt_instruction *i) {
    const bt_linear_values *v = (const bt_linear_values *)i->operand;
    bt_value dy = bt_gradient_so_far(p, v->y);
    if (bt_wants(p, v->add)) bt_gradient_add(p, v->add, dy);
    if (bt_wants(p, v->b) && !bt_wants(p, v->w)) {
        bt_program_fail(p, BT_ERR_UNSUPPORTED,
                        "linear: a trainable bias of a frozen weight is not supported; freeze both or none");
        return;
    }
    if (bt_wants(p, v->w)) {
        int accumulate = 0, bias_accumulate = 0;
        bt_value dw = bt_param_gradient(p, v->w, &accumulate), db = bt_param_gradient(p, v->b, &bias_accumulate);
        BT_ASSERT(!db || accumulate == bias_accumulate);
        BT_EMIT(p, linear_dw, .dy = dy, .x = bt_saved(p, v->x), .dw = dw, .db = db)->accumulate = accumulate;
    }
    if (bt_wants(p, v->x)) {
        bt_value dx = bt_new_value(p, bt_info(p, v->x)->dtype, bt_info(p, v->x)->shape);
        BT_EMIT(p, linear_dx, .dy = dy, .w = v->w, .add = bt_gradient_so_far(p, v->x), .dx = dx);
        bt_gradient_replace(p, v->x, dx);
    }
}

static bt_lora_parts parts_of(const bt_lora_values *l) {
    bt_lora_parts parts = {.count = l->parts, .rank = l->rank, .width = l->part_width, .scale = l->scale};
    for (int k = 0; k < l->parts; k++) parts.column[k] = l->part_column[k];
    return parts;
}

bt_value(bt_lora_linear)(bt_program *p, bt_value x, bt_value w, bt_value b, const bt_lora_values *lora, bt_value add,
                         bt_value ids) {
    if (!lora || !lora->a) return (bt_linear)(p, x, w, b, add);
    bt_op op = BT_OP_lora_linear;
    bt_shape shape;
    if (!bt_recording(p) || !linear_shape(p, op, x, w, b, add, &shape)) return 0;
    int64_t inputs = bt_shape_cols(bt_info(p, x)->shape), outputs = bt_shape_cols(shape);
    bool good =
        bt_require(p, lora->parts >= 1 && lora->parts <= 3 && lora->rank >= 1, op,
                   "%d parts of rank %d; 1 to 3 parts and a rank of at least 1 are possible", lora->parts, lora->rank);
    for (int k = 0; good && k < lora->parts; k++)
        good = bt_require(
            p, lora->part_column[k] >= 0 && lora->part_width > 0 && lora->part_column[k] + lora->part_width <= outputs,
            op, "part %d covers columns %lld to %lld of %lld", k, (long long)lora->part_column[k],
            (long long)(lora->part_column[k] + lora->part_width), (long long)outputs);
    int64_t stacked = (int64_t)lora->parts * lora->rank;
    if (!good || !bt_require_dtype(p, op, "a", lora->a, bt_info(p, x)->dtype) ||
        !bt_require_shape(p, op, "a", lora->a, bt_shape2(stacked, inputs)) ||
        !bt_require_dtype(p, op, "bb", lora->b, bt_info(p, x)->dtype) ||
        !bt_require_shape(p, op, "bb", lora->b, bt_shape2(lora->parts * lora->part_width, lora->rank)))
        return 0;
    float dropout = p->options.training ? lora->dropout : 0;
    if (!bt_require(p, dropout >= 0 && dropout < 1, op, "dropout %g is not in [0, 1)", (double)dropout)) return 0;
    if (dropout > 0 && !(bt_require_dtype(p, op, "ids", ids, BT_I64) &&
                         bt_require_shape(p, op, "ids", ids, bt_shape1(bt_info(p, x)->shape.dim[0]))))
        return 0;
    bt_shape u_shape = shape;
    u_shape.dim[shape.rank - 1] = stacked;
    bt_value y = bt_new_value(p, bt_info(p, x)->dtype, shape), u = bt_new_value(p, bt_info(p, x)->dtype, u_shape);
    bt_lora_linear_args *args = BT_EMIT(p, lora_linear, .x = x, .w = w, .b = b, .a = lora->a, .bb = lora->b, .add = add,
                                        .ids = dropout > 0 ? ids : 0, .y = y, .u = u);
    args->parts = parts_of(lora);
    args->dropout = dropout;
    args->stream = lora->stream;
    return y;
}

void bt_lora_linear_backward(bt_program *p, const bt_instruction *i) {
    const bt_lora_linear_values *v = (const bt_lora_linear_values *)i->operand;
    const bt_lora_linear_args *f = i->args;
    bt_value dy = bt_gradient_so_far(p, v->y);
    if (bt_wants(p, v->add)) bt_gradient_add(p, v->add, dy);
    if (bt_wants(p, v->w) || bt_wants(p, v->b)) {
        bt_program_fail(p, BT_ERR_UNSUPPORTED,
                        "lora_linear: its weight and bias are frozen by definition; set train.full to "
                        "false or adapter.targets to none");
        return;
    }
    bt_value du = bt_new_value(p, bt_info(p, v->u)->dtype, bt_info(p, v->u)->shape);
    BT_EMIT(p, lora_du, .dy = dy, .bb = v->bb, .du = du)->parts = f->parts;
    if (bt_wants(p, v->a)) {
        int accumulate_a = 0, accumulate_b = 0;
        bt_value da = bt_param_gradient(p, v->a, &accumulate_a), dbb = bt_param_gradient(p, v->bb, &accumulate_b);
        BT_ASSERT(da && dbb);
        if (accumulate_a != accumulate_b) { /* a is shared by two row ranges of b: clear the new range, then add */
            BT_EMIT(p, zero, .x = accumulate_a ? dbb : da);
            accumulate_a = accumulate_b = 1;
        }
        bt_lora_dw_args *d = BT_EMIT(p, lora_dw, .dy = dy, .x = bt_saved(p, v->x), .u = bt_saved(p, v->u), .du = du,
                                     .ids = v->ids, .da = da, .dbb = dbb);
        d->parts = f->parts;
        d->dropout = f->dropout;
        d->stream = f->stream;
        d->accumulate = accumulate_a;
    }
    if (bt_wants(p, v->x)) {
        bt_value dx = bt_new_value(p, bt_info(p, v->x)->dtype, bt_info(p, v->x)->shape);
        bt_lora_linear_dx_args *d = BT_EMIT(p, lora_linear_dx, .dy = dy, .w = v->w, .du = du, .a = v->a,
                                            .add = bt_gradient_so_far(p, v->x), .ids = v->ids, .dx = dx);
        d->dropout = f->dropout;
        d->stream = f->stream;
        bt_gradient_replace(p, v->x, dx);
    }
}
