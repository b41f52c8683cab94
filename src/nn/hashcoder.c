/* HashCoder: parameters and forward. */
#include "nn/hashcoder.h"

#include "nn/init.h"

#include <stdio.h>

static int declare(bt_params *store, const char *name, bt_shape shape, bt_param_kind kind, int group, float decay) {
    char full[64];
    snprintf(full, sizeof full, "hashcoder.%s", name);
    bt_param_spec spec = {.name = full,
                          .shape = shape,
                          .kind = kind,
                          .trainable = kind != BT_PARAM_BUFFER,
                          .group = group,
                          .decay = decay};
    return bt_declare(store, &spec);
}

static void declare_norm(bt_hashcoder *out, bt_params *store, int group, float decay) {
    char name[32];
    const struct {
        const char *name;
        int *index;
        float value;
        bt_param_kind kind;
    } norm[] = {{"weight", &out->norm_w, 1, BT_PARAM_F32},
                {"bias", &out->norm_b, 0, BT_PARAM_F32},
                {"running_mean", &out->running_mean, 0, BT_PARAM_BUFFER},
                {"running_var", &out->running_var, 1, BT_PARAM_BUFFER}};
    for (int k = 0; k < 4; k++) {
        snprintf(name, sizeof name, "%d.%s", 2 * out->layers - 1, norm[k].name);
        *norm[k].index = declare(store, name, bt_shape1(out->config.bits), norm[k].kind, group, decay);
        bt_init_constant(store, *norm[k].index, norm[k].value);
    }
}

void bt_hashcoder_init(bt_hashcoder *out, bt_params *store, const bt_hashcoder_config *config, int group, float decay,
                       uint64_t seed) {
    bool large = config->size == BT_HASHCODER_LARGE;
    *out = (bt_hashcoder){.config = *config, .layers = large ? 3 : 2};
    int64_t d = config->width, bits = config->bits;
    int64_t h = !large ? d : config->hidden ? config->hidden : d > 1024 ? 2 * d : 2048;
    const int64_t widths[] = {d, h, large ? h : bits, bits};
    char name[32];
    for (int i = 0; i < out->layers; i++) { /* activations are the odd members of the Sequential */
        snprintf(name, sizeof name, "%d.weight", 2 * i);
        out->w[i] = declare(store, name, bt_shape2(widths[i + 1], widths[i]), BT_PARAM_F32, group, decay);
        bt_init_normal(store, out->w[i], 0.02f, seed);
        snprintf(name, sizeof name, "%d.bias", 2 * i);
        out->b[i] = declare(store, name, bt_shape1(widths[i + 1]), BT_PARAM_F32, group, decay);
    }
    out->norm_w = out->norm_b = out->running_mean = out->running_var = -1;
    if (!config->without_norm) declare_norm(out, store, group, decay);
}

bt_value bt_hashcoder_forward(bt_program *p, bt_params *store, const bt_hashcoder *head, bt_value e, int views) {
    bool large = head->config.size == BT_HASHCODER_LARGE;
    bt_value x = e;
    for (int i = 0; i < head->layers; i++) {
        x = bt_linear(p, x, bt_param(p, store, head->w[i]), bt_param(p, store, head->b[i]), 0);
        if (i + 1 < head->layers) x = large ? bt_gelu(p, x) : bt_relu(p, x);
    }
    if (head->config.without_norm) return x;
    return bt_batch_norm(p, x, bt_param(p, store, head->norm_w), bt_param(p, store, head->norm_b),
                         bt_param(p, store, head->running_mean), bt_param(p, store, head->running_var), views, 1e-5f,
                         0.1f);
}
