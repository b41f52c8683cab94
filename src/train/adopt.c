/* A configuration that takes its tower from the description of its weight file. */
#include "train/run_config.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"
#include "data/picture_rule.h"
#include "nn/vit_json.h"
#include "train/checkpoint.h"

#include <bittern/safetensors.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct adoption {
    bt_options *options;
    const char *file;
} adoption;

/** Sets an option that is at its default; one that is set otherwise must say the same, or `free`. */
static bt_status adopt(const adoption *a, const char *path, const char *value, bool free) {
    int index = bt_options_find(a->options, path);
    BT_ASSERT(index >= 0);
    if (strcmp(bt_options_origin(a->options, index), "default") == 0)
        return bt_options_set_text(a->options, path, value, a->file);
    bt_text set = {0};
    bt_options_write_value(a->options, index, &set);
    bool same = free || strcmp(bt_text_get(&set), value) == 0;
    bt_status status =
        same ? BT_OK
             : bt_options_error(a->options, path, "%s, but %s has %s; leave it out, or take other weights",
                                bt_text_get(&set), a->file, value);
    bt_text_free(&set);
    return status;
}

static bt_status adopt_int(const adoption *a, const char *path, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    return adopt(a, path, text, false);
}

static bt_status adopt_float(const adoption *a, const char *path, float value) {
    char text[BT_NUMBER_BYTES];
    return adopt(a, path, bt_number_write_double(bt_number_shortest(value), text), false);
}

static bt_status adopt_bool(const adoption *a, const char *path, bool value) {
    return adopt(a, path, value ? "true" : "false", false);
}

static bt_status adopt_tower(const adoption *a, const bt_vit_config *c) {
    char image[32];
    snprintf(image, sizeof image, "%d", c->image);
    BT_TRY(adopt(a, "model.image", image, true));
    BT_TRY(adopt_int(a, "model.patch", c->patch));
    BT_TRY(adopt_int(a, "model.width", c->width));
    BT_TRY(adopt_int(a, "model.depth", c->depth));
    BT_TRY(adopt_int(a, "model.heads", c->heads));
    BT_TRY(adopt_int(a, "model.mlp", c->mlp));
    BT_TRY(adopt_int(a, "model.registers", c->registers));
    BT_TRY(adopt_int(a, "model.output", c->output));
    if (c->positions == BT_VIT_LEARNED) BT_TRY(adopt_int(a, "model.grid", c->grid ? c->grid : c->image / c->patch));
    BT_TRY(adopt(a, "model.activation", bt_vit_activation_names[c->activation], false));
    BT_TRY(adopt(a, "model.positions", bt_vit_positions_names[c->positions], false));
    BT_TRY(adopt(a, "model.resampling", bt_resampling_names[c->resampling], true));
    if (c->positions == BT_VIT_ROTARY) BT_TRY(adopt_float(a, "model.rope_theta", c->rope_theta));
    BT_TRY(adopt_bool(a, "model.layer_scale", c->layer_scale));
    BT_TRY(adopt_bool(a, "model.pre_norm", c->pre_norm));
    BT_TRY(adopt_bool(a, "model.patch_bias", !c->no_patch_bias));
    BT_TRY(adopt_bool(a, "model.qkv_bias", !c->no_qkv_bias));
    BT_TRY(adopt_bool(a, "model.key_bias", !c->no_key_bias));
    return adopt_float(a, "model.norm_eps", c->norm_eps);
}

typedef struct pictures {
    bt_picture_rule rule;
    int crop;
    double mean[3], std[3];
    bool upright; /* EXIF orientation is applied */
} pictures;

static bt_status read_three(const bt_json_value *object, const char *key, double out[3]) {
    const bt_json_value *list, *item;
    BT_TRY(bt_json_get(object, key, BT_JSON_ARRAY, &list));
    for (size_t k = 0; k < 3; k++) {
        BT_TRY(bt_json_at(list, k, &item));
        BT_TRY(bt_json_as_number(item, &out[k]));
    }
    return BT_OK;
}

static bt_status read_pictures(const bt_json_value *root, pictures *out) {
    const bt_json_value *o;
    BT_TRY(bt_json_get(root, "preprocess", BT_JSON_OBJECT, &o));
    BT_TRY(bt_picture_rule_read(o, &out->rule, &out->crop));
    const char *orientation = "ignore";
    if (bt_json_find(o, "orientation")) BT_TRY(bt_json_get_string(o, "orientation", &orientation));
    out->upright = strcmp(orientation, "apply") == 0;
    BT_TRY(read_three(o, "mean", out->mean));
    return read_three(o, "std", out->std);
}

/** A list of three, where the configuration leaves its own. */
static bt_status adopt_list(const adoption *a, const char *path, const char *const items[3]) {
    if (strcmp(bt_options_origin(a->options, bt_options_find(a->options, path)), "default") != 0) return BT_OK;
    return bt_options_set(a->options, path, (bt_option_text){items, 3}, a->file, a->file);
}

static bt_status adopt_three(const adoption *a, const char *path, const double values[3]) {
    char text[3][BT_NUMBER_BYTES];
    const char *const items[] = {text[0], text[1], text[2]};
    for (int k = 0; k < 3; k++) bt_number_write_double(values[k], text[k]);
    return adopt_list(a, path, items);
}

/** Sizes follow the image's, where that is another than the file's. */
static bt_status adopt_pictures(const adoption *a, const pictures *p, int image) {
    const bt_picture_rule *r = &p->rule;
    char resize[32], fill[3][8];
    const char *const items[] = {fill[0], fill[1], fill[2]};
    int pixels = bt_picture_rule_scale(r->resize, p->crop, image);
    snprintf(resize, sizeof resize, "%d", pixels > 1 ? pixels : 1);
    for (int k = 0; k < 3; k++) snprintf(fill[k], sizeof fill[k], "%d", r->fill[k]);
    BT_TRY(adopt(a, "data.resize", resize, true));
    BT_TRY(adopt(a, "data.resize_mode", bt_resize_mode_names[r->mode], true));
    BT_TRY(adopt(a, "data.interpolation", bt_filter_names[r->filter], true));
    BT_TRY(adopt(a, "data.center", bt_center_names[r->center], true));
    BT_TRY(adopt_list(a, "data.fill", items));
    BT_TRY(adopt(a, "data.orientation", p->upright ? "apply" : "ignore", true));
    BT_TRY(adopt_three(a, "model.mean", p->mean));
    return adopt_three(a, "model.std", p->std);
}

/** The tower of the description, and its pictures; *found false if the file has none. */
static bt_status adopt_file(const adoption *a, const bt_run_config *c, const char *path, bt_vit_config *out,
                            bool *found) {
    char name[64];
    bt_safetensors *file;
    bt_json *json = NULL;
    const bt_json_value *tower;
    pictures p = {.crop = 0};
    BT_TRY(bt_safetensors_open(path, &file));
    const char *text = bt_safetensors_metadata(file, "bittern");
    *found = text != NULL;
    bt_status status = text ? bt_json_parse(text, strlen(text), path, 0, &json) : BT_OK;
    if (json) {
        status = bt_json_get(bt_json_root(json), "tower", BT_JSON_OBJECT, &tower);
        if (status == BT_OK) status = bt_vit_read_json(tower, out, name, sizeof name);
        if (status == BT_OK) status = read_pictures(bt_json_root(json), &p);
        if (status != BT_OK) status = bt_error_prefix(status, "model.weights");
        if (status == BT_OK) status = adopt_tower(a, out);
        if (status == BT_OK) status = adopt_pictures(a, &p, c->model.image);
        bt_json_free(json);
    }
    bt_safetensors_close(file);
    return status;
}

/* ---- from the run itself ---- */

/** Sets an option that is at its default to what a checkpoint's configuration has, where it has it. */
static bt_status adopt_saved(const adoption *a, const bt_json_value *saved, const char *path) {
    const bt_json_value *entry = bt_json_find(saved, path);
    const char *value;
    char text[256], *item[3], *rest = text;
    int count = 0;
    if (!entry) return BT_OK;
    BT_TRY(bt_json_get_string(saved, path, &value));
    if (*value != '[') return adopt(a, path, value, true);
    snprintf(text, sizeof text, "%s", value + 1); /* three numbers: [a, b, c] */
    text[strcspn(text, "]")] = 0;
    while (count < 3 && (item[count] = strtok_r(NULL, ", ", &rest))) count++;
    return count == 3 ? adopt_list(a, path, (const char *const *)item) : BT_OK;
}

/** A run goes on without the file that its tower came from: it holds the weights itself, and its newest checkpoint the
 * configuration that was made of the file. */
static bt_status adopt_run(bt_run_config *c, bt_options *o) {
    static const char *const paths[] = {
        "model.image",      "model.patch",      "model.width",      "model.depth",        "model.heads",
        "model.mlp",        "model.registers",  "model.output",     "model.grid",         "model.activation",
        "model.positions",  "model.resampling", "model.rope_theta", "model.layer_scale",  "model.pre_norm",
        "model.patch_bias", "model.qkv_bias",   "model.key_bias",   "model.norm_eps",     "model.mean",
        "model.std",        "data.resize",      "data.resize_mode", "data.interpolation", "data.center",
        "data.fill",        "data.orientation"};
    char checkpoint[1200];
    bt_train_state state;
    bt_text weights = {0};
    bt_json *json = NULL;
    char *saved;
    const char *before = "";
    if (!bt_checkpoint_newest(c->run.dir, checkpoint, sizeof checkpoint)) return BT_OK;
    BT_TRY(bt_checkpoint_state(checkpoint, &state, &saved));
    bt_options_write_value(o, bt_options_find(o, "model.weights"), &weights);
    bt_status status = bt_json_parse(saved, strlen(saved), checkpoint, 0, &json);
    const bt_json_value *root = status == BT_OK ? bt_json_root(json) : NULL;
    if (status == BT_OK) status = bt_json_get_string(root, "model.weights", &before);
    bool same = status == BT_OK && strcmp(before, bt_text_get(&weights)) == 0;
    for (size_t k = 0; k < sizeof paths / sizeof paths[0] && same && status == BT_OK; k++)
        status = adopt_saved(&(adoption){o, checkpoint}, root, paths[k]);
    if (json) bt_json_free(json);
    bt_text_free(&weights);
    bt_memory_free(saved);
    return status;
}

bt_status bt_run_config_adopt(bt_run_config *c, bt_options *o) {
    size_t length = strlen(c->model.weights);
    bt_vit_config vit = {.image = 0};
    bool found;
    if (length < 13 || strcmp(c->model.weights + length - 12, ".safetensors") != 0 ||
        strcmp(c->model.name, "custom") != 0)
        return BT_OK;
    char file[1100];
    if (snprintf(file, sizeof file, "%s", c->model.weights) >= (int)sizeof file)
        return bt_options_error(o, "model.weights", "a path of over %zu bytes", sizeof file - 1);
    /* Plans and configurations need no weights; a run that does says later that they are missing. */
    if (!bt_file_exists(file)) return adopt_run(c, o);
    return adopt_file(&(adoption){o, file}, c, file, &vit, &found);
}
