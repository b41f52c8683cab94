/* A tower in one line, for people. */
#include "base/text.h"
#include "nn/vit.h"

void bt_vit_describe(const bt_vit_config *c, bt_text *out) {
    bt_text_append(out, "image %d, patch %d, width %d, depth %d, heads %d, MLP %d (%s), %d registers, %s positions",
                   c->image, c->patch, c->width, c->depth, c->heads, c->mlp, bt_vit_activation_names[c->activation],
                   c->registers, bt_vit_positions_names[c->positions]);
    if (c->positions == BT_VIT_LEARNED) {
        int grid = bt_vit_grid(c);
        bt_text_append(out, " %d x %d (resampled as %s)", grid, grid, bt_resampling_names[c->resampling]);
    }
    bt_text_append(out, "%s%s%s%s", c->layer_scale ? ", layer scale" : "",
                   c->pre_norm ? ", norm before the blocks" : "", c->no_patch_bias ? ", patches without bias" : "",
                   c->no_qkv_bias ? ", q, k, v without bias" : "");
    if (c->no_key_bias) bt_text_append(out, ", keys without bias");
    if (c->output) bt_text_append(out, ", projection to %d", c->output);
}
