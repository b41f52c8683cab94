/* An architecture to JSON and back. */
#include "nn/vit_json.h"

#include "base/number.h"

#include <stdio.h>
#include <string.h>

void bt_vit_write_json(const bt_vit_config *c, const char *name, bt_json_writer *w) {
    bt_json_begin_object(w);
    bt_json_member_string(w, "name", name);
    bt_json_member_integer(w, "image", c->image);
    bt_json_member_integer(w, "patch", c->patch);
    bt_json_member_integer(w, "width", c->width);
    bt_json_member_integer(w, "depth", c->depth);
    bt_json_member_integer(w, "heads", c->heads);
    bt_json_member_integer(w, "mlp", c->mlp);
    bt_json_member_integer(w, "registers", c->registers);
    bt_json_member_integer(w, "output", c->output);
    bt_json_member_string(w, "activation", bt_vit_activation_names[c->activation]);
    bt_json_member_string(w, "positions", bt_vit_positions_names[c->positions]);
    bt_json_member_integer(w, "grid", c->grid);
    bt_json_member_string(w, "resampling", bt_resampling_names[c->resampling]);
    bt_json_member_number(w, "rope_theta", bt_number_shortest(c->rope_theta));
    bt_json_member_bool(w, "layer_scale", c->layer_scale);
    bt_json_member_bool(w, "pre_norm", c->pre_norm);
    bt_json_member_bool(w, "patch_bias", !c->no_patch_bias);
    bt_json_member_bool(w, "qkv_bias", !c->no_qkv_bias);
    if (c->no_key_bias) bt_json_member_bool(w, "key_bias", false);
    bt_json_member_number(w, "norm_eps", bt_number_shortest(c->norm_eps));
    bt_json_end(w);
}

/** One of `names`, which end with NULL. */
static bt_status get_choice(const bt_json_value *object, const char *key, const char *const *names, int *out) {
    const char *text;
    BT_TRY(bt_json_get_string(object, key, &text));
    for (int k = 0; names[k]; k++)
        if (strcmp(names[k], text) == 0) {
            *out = k;
            return BT_OK;
        }
    return bt_error(BT_ERR_UNSUPPORTED, "%s: \"%s\" is \"%.60s\", which this program does not know",
                    bt_json_name(object->document), key, text);
}

static bt_status read_sizes(const bt_json_value *o, bt_vit_config *c) {
    BT_TRY(bt_json_get_int(o, "image", 1, 4096, &c->image));
    BT_TRY(bt_json_get_int(o, "patch", 1, 512, &c->patch));
    BT_TRY(bt_json_get_int(o, "width", 1, 16384, &c->width));
    BT_TRY(bt_json_get_int(o, "depth", 1, 256, &c->depth));
    BT_TRY(bt_json_get_int(o, "heads", 1, 256, &c->heads));
    BT_TRY(bt_json_get_int(o, "mlp", 1, 65536, &c->mlp));
    BT_TRY(bt_json_get_int(o, "registers", 0, 64, &c->registers));
    BT_TRY(bt_json_get_int(o, "output", 0, 16384, &c->output));
    return bt_json_get_int(o, "grid", 0, 1024, &c->grid);
}

static bt_status read_kinds(const bt_json_value *o, bt_vit_config *c) {
    int activation, positions, resampling;
    bool patch_bias, qkv_bias, key_bias = true;
    BT_TRY(get_choice(o, "activation", bt_vit_activation_names, &activation));
    BT_TRY(get_choice(o, "positions", bt_vit_positions_names, &positions));
    BT_TRY(get_choice(o, "resampling", bt_resampling_names, &resampling));
    BT_TRY(bt_json_get_bool(o, "layer_scale", &c->layer_scale));
    BT_TRY(bt_json_get_bool(o, "pre_norm", &c->pre_norm));
    BT_TRY(bt_json_get_bool(o, "patch_bias", &patch_bias));
    BT_TRY(bt_json_get_bool(o, "qkv_bias", &qkv_bias));
    if (bt_json_find(o, "key_bias")) BT_TRY(bt_json_get_bool(o, "key_bias", &key_bias));
    BT_TRY(bt_json_get_float(o, "rope_theta", 0, 1e9, &c->rope_theta));
    BT_TRY(bt_json_get_float(o, "norm_eps", 0, 1, &c->norm_eps));
    c->activation = (bt_vit_activation)activation;
    c->positions = (bt_vit_positions)positions;
    c->resampling = (bt_positions)resampling;
    c->no_patch_bias = !patch_bias;
    c->no_qkv_bias = !qkv_bias;
    c->no_key_bias = !key_bias;
    c->layer_scale_init = 1e-5f;
    return BT_OK;
}

bt_status bt_vit_read_json(const bt_json_value *object, bt_vit_config *out, char *name, size_t name_bytes) {
    const char *text;
    bt_vit_config c = *out;
    BT_TRY(bt_json_get_string(object, "name", &text));
    if (strlen(text) >= name_bytes)
        return bt_json_error(bt_json_find(object, "name"), "\"name\" has over %zu bytes", name_bytes - 1);
    BT_TRY(read_sizes(object, &c));
    BT_TRY(read_kinds(object, &c));
    bt_status status = bt_vit_check(&c);
    if (status != BT_OK) return bt_error_prefix(status, "%s", bt_json_name(object->document));
    snprintf(name, name_bytes, "%s", text);
    *out = c;
    return BT_OK;
}
