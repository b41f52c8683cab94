/* The programs of a model. */
#include "method/step.h"

#include "pixels/view.h"

static bt_program *start(const bt_step_options *o, bool training, bool accumulate) {
    return bt_program_new(&(bt_program_options){
        .compute = o->compute, .recompute = o->recompute, .training = training, .accumulate = accumulate});
}

static bt_value images(bt_program *p, const bt_model *m, const bt_step_options *o, int views) {
    int64_t n = (int64_t)views * o->batch, side = m->vit.config.image;
    if (o->pictures) {
        bt_value pictures = bt_input(p, "pictures", BT_U8, bt_shape2(o->batch, views * side * side * 3));
        bt_value records = bt_input(p, "records", BT_U8, bt_shape2(n, (int64_t)sizeof(bt_view_record)));
        return bt_make_views(p, pictures, records, side);
    }
    return o->float_images ? bt_input(p, "images", BT_F32, bt_shape4(n, 3, side, side))
                           : bt_input(p, "images", BT_U8, bt_shape4(n, side, side, 3));
}

/** The tower on the step's images. Where it is not trained it runs as in inference: without dropout. */
static bt_value tower(bt_program *p, const bt_model *m, const bt_step_options *o, int views, bool training) {
    const bt_vit_block *b = &m->vit.block[0];
    const bt_lora *adapters[] = {&b->qkv.lora, &b->proj.lora, &b->fc1.lora, &b->fc2.lora};
    bool draws = false;
    for (int k = 0; k < 4; k++) draws = draws || (training && adapters[k]->a >= 0 && adapters[k]->dropout > 0);
    bt_value pixels = images(p, m, o, views);
    bt_value ids = draws ? bt_input(p, "ids", BT_I64, bt_shape1((int64_t)views * o->batch)) : 0;
    return bt_vit_forward(p, m->store, &m->vit, pixels, ids);
}

static bool tower_trains(const bt_step_options *o) {
    return o->groups & 1u << BT_GROUP_TOWER;
}

/** Head and loss on e, the backward, and the terms as outputs. */
static void loss_and_backward(bt_program *p, const bt_model *m, const bt_step_options *o, bt_value e) {
    bt_loss_term terms[BT_MAX_TERMS];
    bt_value value[BT_MAX_TERMS];
    bt_root roots[BT_MAX_TERMS];
    int count = m->method->terms(&m->config, terms);
    m->method->loss(p, m, e, o->batch, value);
    for (int i = 0; i < count; i++) {
        bt_output(p, terms[i].name, value[i]);
        roots[i] = (bt_root){.value = value[i], .weight = terms[i].weight};
    }
    bt_differentiate(p, roots, count, o->groups);
    if (tower_trains(o)) bt_vit_hold_gradients(p, m->store, &m->vit);
}

static void update(bt_program *p, const bt_model *m, const bt_step_options *o) {
    bt_adamw_update(p, m->store, o->groups, &o->adamw);
    if (o->average) bt_ema_update(p, m->store);
}

bt_program *bt_step_program(const bt_model *m, const bt_step_options *o) {
    bt_program *p = start(o, true, false);
    loss_and_backward(p, m, o, tower(p, m, o, m->config.views, tower_trains(o)));
    if (!o->gradients_only) update(p, m, o);
    return p;
}

static bt_value embeddings(bt_program *p, const bt_model *m, const bt_step_options *o, int views) {
    return bt_input(p, "e", BT_F32, bt_shape2((int64_t)views * o->batch, bt_vit_output(&m->vit.config)));
}

bt_program *bt_cached_step_program(const bt_model *m, const bt_step_options *o) {
    bt_program *p = start(o, true, false);
    loss_and_backward(p, m, o, embeddings(p, m, o, m->config.views));
    if (!o->gradients_only) update(p, m, o);
    return p;
}

bt_program *bt_cached_embed_program(const bt_model *m, const bt_step_options *o) {
    bt_program *p = start(o, false, false);
    m->method->embed(p, m, embeddings(p, m, o, 1));
    return p;
}

bt_program *bt_embed_program(const bt_model *m, const bt_step_options *o) {
    bt_program *p = start(o, false, false);
    bt_step_options plain = *o;
    plain.pictures = false;
    m->method->embed(p, m, tower(p, m, &plain, 1, false));
    return p;
}

bt_program *bt_encode_program(const bt_model *m, const bt_step_options *o) {
    bt_program *p = start(o, true, false);
    bt_output(p, "e", tower(p, m, o, m->config.views, tower_trains(o)));
    return p;
}

bt_program *bt_head_program(const bt_model *m, const bt_step_options *o) {
    bt_program *p = start(o, true, true);
    bt_zero_gradients(p, m->store);
    bt_value e = bt_input_with_gradient(p, "e", BT_F32,
                                        bt_shape2((int64_t)m->config.views * o->batch, bt_vit_output(&m->vit.config)));
    bt_step_options head = *o;
    head.groups &= BT_MASK_HEAD;
    loss_and_backward(p, m, &head, e);
    return p;
}

bt_program *bt_backward_program(const bt_model *m, const bt_step_options *o) {
    bt_program *p = start(o, true, true);
    bt_value e = tower(p, m, o, m->config.views, true);
    bt_value de =
        bt_input(p, "de", BT_F32, bt_shape2((int64_t)m->config.views * o->batch, bt_vit_output(&m->vit.config)));
    bt_differentiate(p, &(bt_root){.value = e, .gradient = de}, 1, o->groups & ~BT_MASK_HEAD);
    bt_vit_hold_gradients(p, m->store, &m->vit);
    return p;
}

bt_program *bt_update_program(const bt_model *m, const bt_step_options *o) {
    bt_program *p = start(o, true, false);
    update(p, m, o);
    return p;
}
