/* Classification by softmax cross entropy on a linear layer: gives an encoder to adapt where none can be downloaded. */
#include "method/method.h"

#include "nn/init.h"

static bt_status check(const bt_method_config *c, int batch) {
    (void)batch;
    if (c->classes < 2)
        return bt_error(BT_ERR_CONFIG, "method classify needs at least 2 classes, the data has %d", c->classes);
    if (c->views != 1) return bt_error(BT_ERR_CONFIG, "method.views is %d; classify takes 1", c->views);
    return BT_OK;
}

static void declare(bt_model *m, float decay, uint64_t seed) {
    bt_param_spec spec = {.name = "head.weight",
                          .shape = bt_shape2(m->config.classes, bt_vit_output(&m->vit.config)),
                          .kind = BT_PARAM_F32,
                          .trainable = true,
                          .group = BT_GROUP_HEAD,
                          .decay = decay};
    m->class_w = bt_declare(m->store, &spec);
    bt_init_normal(m->store, m->class_w, 0.02f, seed);
    spec.name = "head.bias";
    spec.shape = bt_shape1(m->config.classes);
    m->class_b = bt_declare(m->store, &spec);
}

static bt_value logits(bt_program *p, const bt_model *m, bt_value e) {
    return bt_linear(p, e, bt_param(p, m->store, m->class_w), bt_param(p, m->store, m->class_b), 0);
}

static int terms(const bt_method_config *c, bt_loss_term out[BT_MAX_TERMS]) {
    (void)c;
    out[0] = (bt_loss_term){"cross_entropy", 1};
    return 1;
}

static void loss(bt_program *p, const bt_model *m, bt_value e, int batch, bt_value value[BT_MAX_TERMS]) {
    bt_value labels = bt_input(p, "class", BT_I32, bt_shape1(batch));
    value[0] = bt_cross_entropy(p, logits(p, m, e), labels);
}

static void embed(bt_program *p, const bt_model *m, bt_value e) {
    bt_output(p, "embedding", e);
    bt_output(p, "logits", logits(p, m, e));
}

const bt_method bt_method_classify = {
    "classify", "softmax cross entropy on the class token", false, true, check, declare, terms, loss, embed};
