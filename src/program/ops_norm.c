/* layer_norm, batch_norm, l2_normalize: shapes and backward. */
#include "program/program.h"

bt_value(bt_layer_norm)(bt_program *p, bt_value x, bt_value w, bt_value b, float eps) {
    bt_op op = BT_OP_layer_norm;
    if (!bt_recording(p) || !bt_require_dtype(p, op, "x", x, p->options.compute)) return 0;
    bt_shape s = bt_info(p, x)->shape, c = bt_shape1(bt_shape_cols(s));
    if (!bt_require(p, !w == !b, op, "scale and shift must be given both or not at all")) return 0;
    if (w && !(bt_require_dtype(p, op, "w", w, BT_F32) && bt_require_shape(p, op, "w", w, c) &&
               bt_require_dtype(p, op, "b", b, BT_F32) && bt_require_shape(p, op, "b", b, c)))
        return 0;
    bt_value y = bt_new_value(p, bt_info(p, x)->dtype, s),
             stats = bt_new_value(p, BT_F32, bt_shape2(bt_shape_rows(s), 2));
    bt_layer_norm_args *args = BT_EMIT(p, layer_norm, .x = x, .w = w, .b = b, .y = y, .stats = stats);
    args->eps = eps;
    return y;
}

void bt_layer_norm_backward(bt_program *p, const bt_instruction *i) {
    const bt_layer_norm_values *v = (const bt_layer_norm_values *)i->operand;
    bt_value dy = bt_gradient_so_far(p, v->y);
    /* The statistics are two numbers a row: kept even where y is computed again. */
    bt_value x = bt_saved(p, v->x),
             stats = p->options.recompute == BT_RECOMPUTE_BLOCKS ? bt_saved(p, v->stats) : v->stats;
    if (bt_wants(p, v->w)) {
        int accumulate = 0;
        bt_value dw = bt_param_gradient(p, v->w, &accumulate), db = bt_param_gradient(p, v->b, &accumulate);
        BT_EMIT(p, layer_norm_dw, .dy = dy, .x = x, .stats = stats, .dw = dw, .db = db)->accumulate = accumulate;
    }
    if (bt_wants(p, v->x)) {
        bt_value dx = bt_new_value(p, bt_info(p, v->x)->dtype, bt_info(p, v->x)->shape);
        BT_EMIT(p, layer_norm_dx, .dy = dy, .x = x, .w = v->w, .stats = stats, .add = bt_gradient_so_far(p, v->x),
                .dx = dx);
        bt_gradient_replace(p, v->x, dx);
    }
}

bt_value(bt_batch_norm)(bt_program *p, bt_value z, bt_value w, bt_value b, bt_value running_mean, bt_value running_var,
                        int groups, float eps, float momentum) {
    bt_op op = p->options.training ? BT_OP_batch_norm : BT_OP_batch_norm_eval;
    if (!bt_recording(p) || !bt_require_dtype(p, op, "z", z, BT_F32)) return 0;
    bt_shape s = bt_info(p, z)->shape, c = bt_shape1(bt_shape_cols(s));
    const bt_value vectors[] = {w, b, running_mean, running_var};
    const char *names[] = {"w", "b", "running_mean", "running_var"};
    for (int k = 0; k < 4; k++)
        if (!bt_require_dtype(p, op, names[k], vectors[k], BT_F32) || !bt_require_shape(p, op, names[k], vectors[k], c))
            return 0;
    if (!bt_require(p, s.rank == 2 && groups >= 1 && s.dim[0] % groups == 0, op, "%lld rows do not split into %d views",
                    (long long)s.dim[0], groups))
        return 0;
    bt_value y = bt_new_value(p, BT_F32, s);
    if (!p->options.training) {
        BT_EMIT(p, batch_norm_eval, .z = z, .w = w, .b = b, .running_mean = running_mean, .running_var = running_var,
                .y = y)
            ->eps = eps;
        return y;
    }
    if (!bt_require(p, s.dim[0] / groups >= 2, op,
                    "%lld row(s) per view; batch norm needs at least 2 (raise train.batch)",
                    (long long)(s.dim[0] / groups)))
        return 0;
    bt_value stats = bt_new_value(p, BT_F32, bt_shape3(groups, 2, bt_shape_cols(s)));
    bt_batch_norm_args *args = BT_EMIT(p, batch_norm, .z = z, .w = w, .b = b, .running_mean = running_mean,
                                       .running_var = running_var, .y = y, .stats = stats);
    args->groups = groups;
    args->eps = eps;
    args->momentum = momentum;
    args->update = 1;
    return y;
}

void bt_batch_norm_backward(bt_program *p, const bt_instruction *i) {
    const bt_batch_norm_values *v = (const bt_batch_norm_values *)i->operand;
    const bt_batch_norm_args *f = i->args;
    bt_value dy = bt_gradient_so_far(p, v->y), z = bt_saved(p, v->z), stats = bt_saved(p, v->stats);
    if (bt_wants(p, v->w)) {
        int accumulate = 0;
        bt_value dw = bt_param_gradient(p, v->w, &accumulate), db = bt_param_gradient(p, v->b, &accumulate);
        bt_batch_norm_dw_args *d = BT_EMIT(p, batch_norm_dw, .dy = dy, .z = z, .stats = stats, .dw = dw, .db = db);
        d->groups = f->groups;
        d->accumulate = accumulate;
    }
    if (bt_wants(p, v->z)) {
        bt_value dz = bt_new_value(p, BT_F32, bt_info(p, v->z)->shape);
        BT_EMIT(p, batch_norm_dx, .dy = dy, .z = z, .w = v->w, .stats = stats, .dz = dz)->groups = f->groups;
        bt_gradient_add(p, v->z, dz);
    }
}

bt_value(bt_l2_normalize)(bt_program *p, bt_value x, float eps) {
    bt_op op = BT_OP_l2_normalize;
    if (!bt_recording(p) || !bt_require_dtype(p, op, "x", x, BT_F32)) return 0;
    bt_shape s = bt_info(p, x)->shape;
    bt_value y = bt_new_value(p, BT_F32, s), norm = bt_new_value(p, BT_F32, bt_shape1(bt_shape_rows(s)));
    BT_EMIT(p, l2_normalize, .x = x, .y = y, .norm = norm)->eps = eps;
    return y;
}

void bt_l2_normalize_backward(bt_program *p, const bt_instruction *i) {
    const bt_l2_normalize_values *v = (const bt_l2_normalize_values *)i->operand;
    if (!bt_wants(p, v->x)) return;
    bt_value dx = bt_new_value(p, BT_F32, bt_info(p, v->x)->shape);
    bt_value y = bt_saved(p, v->y), norm = bt_saved(p, v->norm);
    BT_EMIT(p, l2_normalize_dx, .dy = bt_gradient_so_far(p, v->y), .y = y, .norm = norm,
            .add = bt_gradient_so_far(p, v->x), .dx = dx)
        ->eps = ((const bt_l2_normalize_args *)i->args)->eps;
    bt_gradient_replace(p, v->x, dx);
}
