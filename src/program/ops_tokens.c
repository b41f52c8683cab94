/* make_views, patchify, tokens, resample_positions, class_row: shapes and backward. Bytes have no gradient. */
#include "pixels/view.h"
#include "program/program.h"
#include "tensor/position_taps.h"

bt_value(bt_make_views)(bt_program *p, bt_value pixels, bt_value views, int64_t size) {
    bt_op op = BT_OP_make_views;
    if (!bt_recording(p) || !bt_require_dtype(p, op, "pixels", pixels, BT_U8) ||
        !bt_require_dtype(p, op, "views", views, BT_U8))
        return 0;
    bt_shape s = bt_info(p, views)->shape;
    char text[64];
    if (!bt_require(p, s.rank == 2 && s.dim[1] == (int64_t)sizeof(bt_view_record), op,
                    "views have shape %s, expected (M, %zu): rows of bt_view_record",
                    bt_shape_text(s, text, sizeof text), sizeof(bt_view_record)) ||
        !bt_require(p, size >= 1 && size <= 1 << 14, op, "size is %lld, allowed are 1 to 16384", (long long)size))
        return 0;
    bt_value y = bt_new_value(p, BT_U8, bt_shape4(s.dim[0], size, size, 3));
    BT_EMIT(p, make_views, .pixels = pixels, .views = views, .y = y);
    return y;
}

bt_value(bt_patchify)(bt_program *p, bt_value images, int patch, int64_t columns, const float mean[3],
                      const float std[3]) {
    bt_op op = BT_OP_patchify;
    if (!bt_recording(p) || !bt_require(p, images != 0, op, "operand images is missing")) return 0;
    bt_dtype dtype = bt_info(p, images)->dtype;
    bt_shape s = bt_info(p, images)->shape;
    char text[64];
    bool bytes = dtype == BT_U8;
    if (!bt_require(p, bytes || dtype == BT_F32, op, "images have dtype %s, expected u8 or f32",
                    bt_dtype_name(dtype)) ||
        !bt_require(p, s.rank == 4 && s.dim[bytes ? 3 : 1] == 3, op, "images have shape %s, expected %s",
                    bt_shape_text(s, text, sizeof text), bytes ? "(N, H, W, 3) for u8" : "(N, 3, H, W) for f32"))
        return 0;
    int64_t height = s.dim[bytes ? 1 : 2], width = s.dim[bytes ? 2 : 3], side = patch;
    if (!bt_require(p, side >= 1 && height % side == 0 && width % side == 0, op,
                    "an image of %lld x %lld does not divide into patches of %d", (long long)height, (long long)width,
                    patch) ||
        !bt_require(p, columns >= 3 * side * side, op, "%lld columns cannot hold a patch of %lld", (long long)columns,
                    (long long)(3 * side * side)))
        return 0;
    bt_value y = bt_new_value(p, p->options.compute, bt_shape3(s.dim[0], (height / side) * (width / side), columns));
    bt_patchify_args *args = BT_EMIT(p, patchify, .images = images, .y = y);
    args->patch = patch;
    for (int c = 0; c < 3; c++) {
        args->mean[c] = mean[c];
        args->std[c] = std[c];
    }
    return y;
}

bt_value(bt_tokens)(bt_program *p, bt_value patches, bt_value cls, bt_value pos, bt_value reg) {
    bt_op op = BT_OP_tokens;
    if (!bt_recording(p) || !bt_require_dtype(p, op, "patches", patches, p->options.compute)) return 0;
    bt_shape s = bt_info(p, patches)->shape;
    if (!bt_require(p, s.rank == 3, op, "patches need 3 axes (N, S, D)") ||
        !bt_require_dtype(p, op, "cls", cls, BT_F32) || !bt_require_shape(p, op, "cls", cls, bt_shape2(1, s.dim[2])) ||
        (pos && !(bt_require_dtype(p, op, "pos", pos, BT_F32) &&
                  bt_require_shape(p, op, "pos", pos, bt_shape2(1 + s.dim[1], s.dim[2])))))
        return 0;
    int64_t registers = reg ? bt_info(p, reg)->shape.dim[0] : 0;
    if (reg && !(bt_require_dtype(p, op, "reg", reg, BT_F32) &&
                 bt_require_shape(p, op, "reg", reg, bt_shape2(registers, s.dim[2]))))
        return 0;
    bt_value x = bt_new_value(p, p->options.compute, bt_shape3(s.dim[0], 1 + registers + s.dim[1], s.dim[2]));
    BT_EMIT(p, tokens, .patches = patches, .cls = cls, .pos = pos, .reg = reg, .x = x);
    return x;
}

static bool is_parameter(const bt_program *p, bt_value v) {
    return bt_info(p, bt_owner(p, v))->kind == BT_VALUE_STORE;
}

void bt_tokens_backward(bt_program *p, const bt_instruction *i) {
    const bt_tokens_values *v = (const bt_tokens_values *)i->operand;
    bt_value dx = bt_gradient_so_far(p, v->x);
    if ((v->pos && bt_wants(p, v->cls) != bt_wants(p, v->pos)) ||
        (v->reg && bt_wants(p, v->reg) != bt_wants(p, v->cls))) {
        bt_program_fail(p, BT_ERR_UNSUPPORTED,
                        "tokens: class token, positions and registers are trained together or not at all");
        return;
    }
    if (bt_wants(p, v->cls)) {
        int accumulate = 0;
        bool made = v->pos && !is_parameter(p, v->pos); /* by another operation: the gradient goes on from here */
        bt_value dcls = bt_param_gradient(p, v->cls, &accumulate),
                 dpos = made ? 0 : bt_param_gradient(p, v->pos, &accumulate);
        bt_value dreg = bt_param_gradient(p, v->reg, &accumulate),
                 dvalue = made ? bt_new_value(p, BT_F32, bt_info(p, v->pos)->shape) : 0;
        BT_EMIT(p, tokens_dw, .dx = dx, .dcls = dcls, .dpos = dpos, .dreg = dreg, .dvalue = dvalue)->accumulate =
            accumulate;
        if (made) bt_gradient_add(p, v->pos, dvalue);
    }
    if (bt_wants(p, v->patches)) {
        bt_value dpatches = bt_new_value(p, p->options.compute, bt_info(p, v->patches)->shape);
        BT_EMIT(p, tokens_dx, .dx = dx, .dpatches = dpatches);
        bt_gradient_add(p, v->patches, dpatches);
    }
}

static bool grid_sides(bt_program *p, const char *which, const int side[2]) {
    return bt_require(p, side[0] >= 1 && side[0] <= BT_POSITION_SIDE && side[1] >= 1 && side[1] <= BT_POSITION_SIDE,
                      BT_OP_resample_positions, "the grid %s is %d x %d patches, allowed are sides of 1 to %d", which,
                      side[0], side[1], BT_POSITION_SIDE);
}

bt_value(bt_resample_positions)(bt_program *p, bt_value pos, int prefix, const int from[2], const int to[2],
                                bt_positions rule) {
    bt_op op = BT_OP_resample_positions;
    if (!bt_recording(p) || !bt_require_dtype(p, op, "pos", pos, BT_F32) || !grid_sides(p, "it is for", from) ||
        !grid_sides(p, "wanted", to) || !bt_require(p, prefix >= 0, op, "%d rows before the grid", prefix) ||
        !bt_require(p, (unsigned)rule < BT_POSITIONS_COUNT, op, "there is no rule %d", (int)rule))
        return 0;
    int64_t columns = bt_shape_cols(bt_info(p, pos)->shape);
    if (!bt_require_shape(p, op, "pos", pos, bt_shape2(prefix + (int64_t)from[0] * from[1], columns))) return 0;
    if (from[0] == to[0] && from[1] == to[1]) return pos;
    bt_value y = bt_new_value(p, BT_F32, bt_shape2(prefix + (int64_t)to[0] * to[1], columns));
    bt_resample_positions_args *args = BT_EMIT(p, resample_positions, .pos = pos, .y = y);
    args->rule = rule;
    args->prefix = prefix;
    for (int k = 0; k < 2; k++) {
        args->from[k] = from[k];
        args->to[k] = to[k];
    }
    return y;
}

void bt_resample_positions_backward(bt_program *p, const bt_instruction *i) {
    const bt_resample_positions_values *v = (const bt_resample_positions_values *)i->operand;
    const bt_resample_positions_args *f = i->args;
    if (!is_parameter(p, v->pos)) {
        bt_program_fail(p, BT_ERR_UNSUPPORTED, "resample_positions: positions that are trained must be a parameter");
        return;
    }
    int accumulate = 0;
    bt_value dpos = bt_param_gradient(p, v->pos, &accumulate);
    bt_resample_positions_dw_args *d =
        BT_EMIT(p, resample_positions_dw, .dy = bt_gradient_so_far(p, v->y), .dpos = dpos);
    d->rule = f->rule;
    d->prefix = f->prefix;
    d->accumulate = accumulate;
    for (int k = 0; k < 2; k++) {
        d->from[k] = f->from[k];
        d->to[k] = f->to[k];
    }
}

bt_value(bt_class_row)(bt_program *p, bt_value x) {
    bt_op op = BT_OP_class_row;
    if (!bt_recording(p) || !bt_require_dtype(p, op, "x", x, p->options.compute)) return 0;
    bt_shape s = bt_info(p, x)->shape;
    if (!bt_require(p, s.rank == 3, op, "x needs 3 axes (N, T, D)")) return 0;
    bt_value y = bt_new_value(p, p->options.compute, bt_shape3(s.dim[0], 1, s.dim[2]));
    BT_EMIT(p, class_row, .x = x, .y = y);
    return y;
}

void bt_class_row_backward(bt_program *p, const bt_instruction *i) {
    const bt_class_row_values *v = (const bt_class_row_values *)i->operand;
    bt_value dx = bt_new_value(p, p->options.compute, bt_info(p, v->x)->shape);
    BT_EMIT(p, class_row_dx, .dy = bt_gradient_so_far(p, v->y), .add = bt_gradient_so_far(p, v->x), .dx = dx);
    bt_gradient_replace(p, v->x, dx);
}
