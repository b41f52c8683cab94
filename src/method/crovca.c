/* CroVCA: cross-view code alignment (arXiv 2510.27584).
 *
 *   L = align_weight * mean over views i != j of BCE(sigmoid(P_i), 1[P_j > 0])  +  rate_weight * L_div          (eq. 8,
 * 11)
 *
 * P_v are HashCoder's logits of view v. Unsupervised, a view's target is the other's bits; supervised, every view's
 * target is 1[S > 0], S the mean of the batch prototypes of the image's classes. No gradient flows into targets, both
 * views share the encoder, there is no second encoder. Batch norm statistics and the coding rate L_div are per view.
 */
#include "loss/rate.h"
#include "method/method.h"

static bt_status check(const bt_method_config *c, int batch) {
    if (c->bits < 1 || c->bits > 4096) return bt_error(BT_ERR_CONFIG, "method.bits is %d; allowed: 1 to 4096", c->bits);
    if (c->views < (c->supervised ? 1 : 2))
        return bt_error(BT_ERR_CONFIG, "method.views is %d; %s", c->views,
                        c->supervised ? "at least 1 is needed" : "aligning codes across views needs at least 2");
    if (batch < 2 && !c->without_norm)
        return bt_error(BT_ERR_CONFIG,
                        "train.batch is %d; batch norm in the HashCoder needs at least 2 images per step", batch);
    if (c->rate_eps <= 0)
        return bt_error(BT_ERR_CONFIG, "method.rate_eps is %g; it must be above 0", (double)c->rate_eps);
    return BT_OK;
}

static void declare(bt_model *m, float decay, uint64_t seed) {
    bt_hashcoder_config head = {.size = m->config.head,
                                .width = bt_vit_output(&m->vit.config),
                                .bits = m->config.bits,
                                .without_norm = m->config.without_norm};
    bt_hashcoder_init(&m->hash, m->store, &head, BT_GROUP_HEAD, decay, seed);
}

static int terms(const bt_method_config *c, bt_loss_term out[BT_MAX_TERMS]) {
    out[0] = (bt_loss_term){"align", c->align_weight};
    out[1] = (bt_loss_term){"rate", c->rate_weight};
    return c->rate_weight == 0 ? 1 : 2;
}

static void loss(bt_program *p, const bt_model *m, bt_value e, int batch, bt_value value[BT_MAX_TERMS]) {
    const bt_method_config *c = &m->config;
    bt_value z = bt_hashcoder_forward(p, m->store, &m->hash, e, c->views), targets = 0;
    if (c->given_targets)
        targets = bt_input(p, "targets", BT_U8, bt_shape2((int64_t)c->views * batch, c->bits));
    else if (c->supervised)
        targets = bt_prototype_targets(p, z, bt_input(p, "labels", BT_U8, bt_shape2(batch, c->classes)), c->views);
    value[0] = bt_code_align(p, z, targets, c->views);
    if (c->rate_weight != 0) value[1] = bt_loss_rate(p, z, c->views, c->rate_eps);
}

static void embed(bt_program *p, const bt_model *m, bt_value e) {
    bt_value z = bt_hashcoder_forward(p, m->store, &m->hash, e, 1);
    bt_output(p, "embedding", e);
    bt_output(p, "logits", z);
    bt_output(p, "bits", bt_sign_pack(p, z));
}

const bt_method bt_method_crovca = {
    "crovca", "binary codes by cross-view code alignment and coding rate", true, false, check, declare, terms, loss,
    embed};
