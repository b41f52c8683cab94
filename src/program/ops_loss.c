/* code_align, prototype_targets, sign_pack, coding_rate, cross_entropy, sum_squares: shapes and backward. A loss is a
 * root; its weight goes into its backward instruction, so that no scalar gradients are computed. */
#include "program/program.h"

static bool logits_in_views(bt_program *p, bt_op op, const char *name, bt_value z, int views) {
    if (!bt_require_dtype(p, op, name, z, BT_F32)) return false;
    bt_shape s = bt_info(p, z)->shape;
    return bt_require(p, s.rank == 2 && views >= 1 && s.dim[0] % views == 0, op,
                      "%s must be (V*N, D): %lld rows, %d views", name, (long long)s.dim[0], views);
}

bt_value(bt_code_align)(bt_program *p, bt_value z, bt_value targets, int views) {
    bt_op op = BT_OP_code_align;
    if (!bt_recording(p) || !logits_in_views(p, op, "z", z, views)) return 0;
    bt_shape s = bt_info(p, z)->shape;
    if (targets) {
        if (!bt_require_dtype(p, op, "targets", targets, BT_U8)) return 0;
        int64_t rows = bt_info(p, targets)->shape.dim[0];
        if (!bt_require_shape(p, op, "targets", targets, rows == s.dim[0] ? s : bt_shape2(s.dim[0] / views, s.dim[1])))
            return 0;
    } else if (!bt_require(p, views >= 2, op, "pairs need at least 2 views, found %d; give targets", views)) {
        return 0;
    }
    bt_value loss = bt_new_value(p, BT_F32, bt_shape1(1));
    BT_EMIT(p, code_align, .z = z, .targets = targets, .loss = loss)->views = views;
    return loss;
}

void bt_code_align_backward(bt_program *p, const bt_instruction *i) {
    const bt_code_align_values *v = (const bt_code_align_values *)i->operand;
    bt_value dz = bt_new_value(p, BT_F32, bt_info(p, v->z)->shape), z = bt_saved(p, v->z),
             targets = bt_saved(p, v->targets);
    bt_code_align_dx_args *d =
        BT_EMIT(p, code_align_dx, .z = z, .targets = targets, .add = bt_gradient_so_far(p, v->z), .dz = dz);
    d->views = ((const bt_code_align_args *)i->args)->views;
    d->weight = bt_root_weight(p, v->loss);
    bt_gradient_replace(p, v->z, dz);
}

bt_value(bt_prototype_targets)(bt_program *p, bt_value z, bt_value labels, int views) {
    bt_op op = BT_OP_prototype_targets;
    if (!bt_recording(p) || !logits_in_views(p, op, "z", z, views) || !bt_require_dtype(p, op, "labels", labels, BT_U8))
        return 0;
    bt_shape s = bt_info(p, z)->shape, l = bt_info(p, labels)->shape;
    if (!bt_require(p, l.rank == 2 && l.dim[0] == s.dim[0] / views, op,
                    "labels must be multi-hot (N, classes) with N = %lld", (long long)(s.dim[0] / views)))
        return 0;
    bt_value targets = bt_new_value(p, BT_U8, bt_shape2(s.dim[0] / views, s.dim[1]));
    BT_EMIT(p, prototype_targets, .z = z, .labels = labels, .targets = targets)->views = views;
    return targets;
}

bt_value(bt_sign_pack)(bt_program *p, bt_value z) {
    bt_op op = BT_OP_sign_pack;
    if (!bt_recording(p) || !bt_require_dtype(p, op, "z", z, BT_F32)) return 0;
    bt_shape s = bt_info(p, z)->shape;
    bt_value bits = bt_new_value(p, BT_BITS, s);
    BT_EMIT(p, sign_pack, .z = z, .bits = bits);
    return bits;
}

bt_value(bt_coding_rate)(bt_program *p, bt_value x, int groups, float eps) {
    bt_op op = BT_OP_coding_rate;
    if (!bt_recording(p) || !logits_in_views(p, op, "x", x, groups) ||
        !bt_require(p, eps > 0, op, "eps is %g, must be above 0", (double)eps))
        return 0;
    int64_t bits = bt_shape_cols(bt_info(p, x)->shape);
    bt_value loss = bt_new_value(p, BT_F32, bt_shape1(1)),
             chol = bt_new_value(p, BT_F32, bt_shape3(groups, bits, bits));
    bt_coding_rate_args *args = BT_EMIT(p, coding_rate, .x = x, .loss = loss, .chol = chol);
    args->groups = groups;
    args->eps = eps;
    return loss;
}

void bt_coding_rate_backward(bt_program *p, const bt_instruction *i) {
    const bt_coding_rate_values *v = (const bt_coding_rate_values *)i->operand;
    const bt_coding_rate_args *f = i->args;
    bt_value dx = bt_new_value(p, BT_F32, bt_info(p, v->x)->shape), x = bt_saved(p, v->x), chol = bt_saved(p, v->chol);
    bt_coding_rate_dx_args *d = BT_EMIT(p, coding_rate_dx, .x = x, .chol = chol, .dx = dx);
    d->groups = f->groups;
    d->eps = f->eps;
    d->weight = bt_root_weight(p, v->loss);
    bt_gradient_add(p, v->x, dx);
}

bt_value(bt_cross_entropy)(bt_program *p, bt_value logits, bt_value labels) {
    bt_op op = BT_OP_cross_entropy;
    if (!bt_recording(p) || !bt_require_dtype(p, op, "logits", logits, BT_F32) ||
        !bt_require_dtype(p, op, "labels", labels, BT_I32))
        return 0;
    bt_shape s = bt_info(p, logits)->shape;
    if (!bt_require(p, s.rank == 2, op, "logits must be (N, C)") ||
        !bt_require_shape(p, op, "labels", labels, bt_shape1(s.dim[0])))
        return 0;
    bt_value loss = bt_new_value(p, BT_F32, bt_shape1(1)), lse = bt_new_value(p, BT_F32, bt_shape1(s.dim[0]));
    BT_EMIT(p, cross_entropy, .logits = logits, .labels = labels, .loss = loss, .lse = lse);
    return loss;
}

void bt_cross_entropy_backward(bt_program *p, const bt_instruction *i) {
    const bt_cross_entropy_values *v = (const bt_cross_entropy_values *)i->operand;
    bt_value dlogits = bt_new_value(p, BT_F32, bt_info(p, v->logits)->shape);
    bt_value logits = bt_saved(p, v->logits), lse = bt_saved(p, v->lse);
    BT_EMIT(p, cross_entropy_dx, .logits = logits, .labels = v->labels, .lse = lse, .dlogits = dlogits)->weight =
        bt_root_weight(p, v->loss);
    bt_gradient_add(p, v->logits, dlogits);
}

bt_value(bt_sum_squares)(bt_program *p, bt_value x) {
    if (!bt_recording(p) || !bt_require_dtype(p, BT_OP_sum_squares, "x", x, BT_F32)) return 0;
    bt_value sum = bt_new_value(p, BT_F32, bt_shape1(1));
    BT_EMIT(p, sum_squares, .x = x, .sum = sum);
    return sum;
}
