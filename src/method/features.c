/* No head and nothing to train: a tower alone, for its embeddings. What imported files are. */
#include "method/method.h"

static bt_status check(const bt_method_config *c, int batch) {
    (void)c, (void)batch;
    return bt_error(
        BT_ERR_CONFIG,
        "method.name features trains nothing: it is what a tower without a head is; choose crovca or classify");
}

static void declare(bt_model *m, float decay, uint64_t seed) {
    (void)m, (void)decay, (void)seed;
}

static int terms(const bt_method_config *c, bt_loss_term out[BT_MAX_TERMS]) {
    (void)c, (void)out;
    return 0;
}

static void loss(bt_program *p, const bt_model *m, bt_value e, int batch, bt_value value[BT_MAX_TERMS]) {
    (void)m, (void)e, (void)batch, (void)value;
    bt_program_fail(p, BT_ERR_UNSUPPORTED, "features has no loss");
}

static void embed(bt_program *p, const bt_model *m, bt_value e) {
    (void)m;
    bt_output(p, "embedding", e);
}

const bt_method bt_method_features = {
    "features", "a tower alone, for its embeddings", false, false, check, declare, terms, loss, embed};
