/* attention, rope: shapes and backward. */
#include "program/program.h"

#include <math.h>

bt_value(bt_attention)(bt_program *p, bt_value qkv, bt_value q, int heads) {
    bt_op op = BT_OP_attention;
    if (!bt_recording(p) || !bt_require_dtype(p, op, "qkv", qkv, p->options.compute)) return 0;
    bt_shape s = bt_info(p, qkv)->shape;
    int shares = q ? 2 : 3;
    char text[64];
    if (!bt_require(p, s.rank == 3 && s.dim[2] % shares == 0, op, "qkv has shape %s, expected (N, T, %dC)",
                    bt_shape_text(s, text, sizeof text), shares))
        return 0;
    int64_t width = s.dim[2] / shares, queries = s.dim[1];
    if (!bt_require(p, heads >= 1 && width % heads == 0, op, "width %lld is not a multiple of %d heads",
                    (long long)width, heads))
        return 0;
    if (q) {
        if (!bt_require_dtype(p, op, "q", q, p->options.compute)) return 0;
        queries = bt_info(p, q)->shape.rank == 3 ? bt_info(p, q)->shape.dim[1] : 0;
        if (!bt_require_shape(p, op, "q", q, bt_shape3(s.dim[0], queries, width))) return 0;
    }
    bt_value o = bt_new_value(p, p->options.compute, bt_shape3(s.dim[0], queries, width));
    bt_value lse = bt_new_value(p, BT_F32, bt_shape3(s.dim[0], heads, queries));
    bt_attention_args *args = BT_EMIT(p, attention, .qkv = qkv, .q = q, .o = o, .lse = lse);
    args->heads = heads;
    args->scale = 1.0f / sqrtf((float)(width / heads));
    return o;
}

void bt_attention_backward(bt_program *p, const bt_instruction *i) {
    const bt_attention_values *v = (const bt_attention_values *)i->operand;
    const bt_attention_args *f = i->args;
    bt_value qkv = bt_saved(p, v->qkv), q = bt_saved(p, v->q), o = bt_saved(p, v->o), lse = bt_saved(p, v->lse);
    bt_value dqkv = bt_new_value(p, p->options.compute, bt_info(p, v->qkv)->shape);
    bt_value dq = q ? bt_new_value(p, p->options.compute, bt_info(p, v->q)->shape) : 0;
    bt_attention_dx_args *d = BT_EMIT(p, attention_dx, .do_ = bt_gradient_so_far(p, v->o), .o = o, .lse = lse,
                                      .qkv = qkv, .q = q, .dqkv = dqkv, .dq = dq);
    d->heads = f->heads;
    d->scale = f->scale;
    if (bt_wants(p, v->qkv)) bt_gradient_add(p, v->qkv, dqkv);
    if (bt_wants(p, v->q)) bt_gradient_add(p, v->q, dq);
}

/** The head size that x and the attributes give, or 0 with the program's error set. */
static int64_t rope_head(bt_program *p, bt_shape s, int parts, int rotated, int heads, int prefix) {
    bt_op op = BT_OP_rope;
    char text[64];
    if (!bt_require(p, s.rank == 3 && parts >= 1 && s.dim[2] % parts == 0, op, "x has shape %s, expected (N, T, %dC)",
                    bt_shape_text(s, text, sizeof text), parts) ||
        !bt_require(p, rotated >= 1 && rotated <= parts, op, "%d parts of %d cannot be rotated", rotated, parts) ||
        !bt_require(p, prefix >= 0 && prefix < s.dim[1], op, "%d tokens without position leave none of %lld", prefix,
                    (long long)s.dim[1]))
        return 0;
    int64_t width = s.dim[2] / parts;
    if (!bt_require(p, heads >= 1 && width % heads == 0, op, "width %lld is not a multiple of %d heads",
                    (long long)width, heads) ||
        !bt_require(p, width / heads % 2 == 0, op, "heads of size %lld have no halves", (long long)(width / heads)))
        return 0;
    return width / heads;
}

bt_value(bt_rope)(bt_program *p, bt_value x, bt_value table, int parts, int rotated, int heads, int prefix) {
    bt_op op = BT_OP_rope;
    if (!bt_recording(p) || !bt_require_dtype(p, op, "x", x, p->options.compute)) return 0;
    bt_shape s = bt_info(p, x)->shape;
    int64_t head = rope_head(p, s, parts, rotated, heads, prefix);
    if (!head || !bt_require_dtype(p, op, "table", table, BT_F32) ||
        !bt_require_shape(p, op, "table", table, bt_shape2(s.dim[1] - prefix, head)))
        return 0;
    bt_value y = bt_new_value(p, p->options.compute, s);
    bt_rope_args *args = BT_EMIT(p, rope, .x = x, .table = table, .y = y);
    args->heads = heads;
    args->parts = parts;
    args->rotated = rotated;
    args->prefix = prefix;
    return y;
}

void bt_rope_backward(bt_program *p, const bt_instruction *i) {
    const bt_rope_values *v = (const bt_rope_values *)i->operand;
    const bt_rope_args *f = i->args;
    if (bt_wants(p, v->table)) {
        bt_program_fail(p, BT_ERR_UNSUPPORTED, "rope: its table of angles is not trained");
        return;
    }
    bt_value dx = bt_new_value(p, p->options.compute, bt_info(p, v->x)->shape);
    bt_rope_dx_args *d = BT_EMIT(p, rope_dx, .dy = bt_gradient_so_far(p, v->y), .table = v->table, .dx = dx);
    d->heads = f->heads;
    d->parts = f->parts;
    d->rotated = f->rotated;
    d->prefix = f->prefix;
    bt_gradient_add(p, v->x, dx);
}
