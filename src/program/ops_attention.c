/* attention: shapes and backward. */
#include "program/program.h"

#include <math.h>

bt_value (bt_attention)(bt_program *p, bt_value qkv, bt_value q, int heads) {
    bt_op op = BT_OP_attention;
    if (!bt_recording(p) || !bt_require_dtype(p, op, "qkv", qkv, p->options.compute)) return 0;
    bt_shape s = bt_info(p, qkv)->shape;
    int shares = q ? 2 : 3;
    char text[64];
    if (!bt_require(p, s.rank == 3 && s.dim[2] % shares == 0, op, "qkv has shape %s, expected (N, T, %dC)",
                    bt_shape_text(s, text, sizeof text), shares))
        return 0;
    int64_t width = s.dim[2] / shares, queries = s.dim[1];
    if (!bt_require(p, heads >= 1 && width % heads == 0, op, "width %lld is not a multiple of %d heads", (long long)width, heads)) return 0;
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
    bt_attention_dx_args *d = BT_EMIT(p, attention_dx, .do_ = bt_gradient_so_far(p, v->o), .o = o, .lse = lse, .qkv = qkv,
                                      .q = q, .dqkv = dqkv, .dq = dq);
    d->heads = f->heads;
    d->scale = f->scale;
    if (bt_wants(p, v->qkv)) bt_gradient_add(p, v->qkv, dqkv);
    if (bt_wants(p, v->q)) bt_gradient_add(p, v->q, dq);
}
