/* A model's description: to JSON and back. */
#include "encoder/model_info.h"

#include "base/build.h"
#include "base/number.h"
#include "nn/vit_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 2, NEWEST = 3 };
static const char *const sizes[] = {"small", "large", "small without norm",
                                    "large without norm"}; /* bt_hashcoder_size + 2 without_norm */

const char *bt_model_head(const bt_model_info *i) {
    return sizes[(int)i->config.head + 2 * i->config.without_norm];
}

int bt_model_bits(const bt_model_info *i) {
    return i->method->codes ? i->config.bits : 0;
}

int bt_model_outputs(const bt_model_info *i) {
    return bt_model_bits(i) ? i->config.bits : i->config.classes;
}

bt_preprocess bt_model_preprocess(const bt_model_info *i) {
    bt_preprocess p = bt_picture_rule_at(&i->pictures, i->vit.image);
    for (int k = 0; k < 3; k++) {
        p.mean[k] = bt_number_shortest(i->vit.mean[k]);
        p.std[k] = bt_number_shortest(i->vit.std[k]);
    }
    return p;
}

/** Of one block. */
static double adapter_elements(const bt_model_info *i) {
    static const uint32_t squares[] = {BT_LORA_Q, BT_LORA_K, BT_LORA_V, BT_LORA_PROJ};
    double d = i->vit.width, sides = 0;
    for (int k = 0; k < 4; k++) sides += i->lora.targets & squares[k] ? 2 * d : 0;
    sides += i->lora.targets & BT_LORA_QKV ? 4 * d : 0;
    sides += i->lora.targets & BT_LORA_FC1 ? d + i->vit.mlp : 0;
    sides += i->lora.targets & BT_LORA_FC2 ? d + i->vit.mlp : 0;
    return i->lora.rank * sides;
}

double bt_model_info_elements(const bt_model_info *i) {
    const bt_vit_config *c = &i->vit;
    double d = c->width, side = c->positions == BT_VIT_LEARNED ? bt_vit_grid(c) : 0,
           block = 4 * d * d + 2 * d * (double)c->mlp;
    double tower = (double)c->depth * block + 3.0 * c->patch * c->patch * d + side * side * d + c->registers * d;
    double hidden = !i->config.head ? d : d > 1024 ? 2 * d : 2048;
    double head = bt_model_bits(i) ? d * hidden + hidden * (i->config.head ? hidden : 0) + hidden * bt_model_bits(i)
                                   : d * i->config.classes;
    return tower + head + (double)c->depth * adapter_elements(i);
}

/* ---- writing ---- */

static void put_three(bt_json_writer *w, const char *key, const float values[3]) {
    bt_json_key(w, key);
    bt_json_begin_array(w);
    for (int k = 0; k < 3; k++) bt_json_put_number(w, bt_number_shortest(values[k]));
    bt_json_end(w);
}

static void write_tower(bt_json_writer *w, const bt_model_info *i) {
    const bt_vit_config *c = &i->vit;
    bt_json_key(w, "tower");
    bt_vit_write_json(c, i->tower, w);
    bt_json_key(w, "preprocess");
    bt_json_begin_object(w);
    bt_picture_rule_write(&i->pictures, c->image, w);
    put_three(w, "mean", c->mean);
    put_three(w, "std", c->std);
    if (i->orientation == BT_ORIENTATION_APPLY) bt_json_member_string(w, "orientation", "apply");
    bt_json_end(w);
}

static void write_adapter(bt_json_writer *w, const bt_model_info *i) {
    bt_json_key(w, "adapter");
    bt_json_begin_object(w);
    bt_json_member_string(w, "targets", i->targets);
    bt_json_member_integer(w, "rank", i->lora.rank);
    bt_json_member_number(w, "alpha", bt_number_shortest(i->lora.alpha));
    bt_json_member_integer(w, "tower_crc32c", i->tower_crc);
    bt_json_end(w);
}

bt_status bt_model_info_write(const bt_model_info *i, bool adapters, bt_text *out) {
    bt_json_writer w = bt_json_write_to(out, false);
    bt_json_begin_object(&w);
    bt_json_member_integer(&w, "version", bt_picture_rule_plain(&i->pictures) ? VERSION : NEWEST);
    bt_json_member_string(&w, "kind", adapters ? "adapter" : "model");
    bt_json_member_string(&w, "bittern", bt_build_version);
    bt_json_member_integer(&w, "step", i->step);
    write_tower(&w, i);
    bt_json_key(&w, "method");
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "name", i->method->name);
    bt_json_member_integer(&w, "bits", bt_model_bits(i));
    bt_json_member_string(&w, "head", bt_model_head(i));
    bt_json_member_integer(&w, "classes", bt_model_bits(i) ? 0 : i->config.classes);
    bt_json_end(&w);
    if (adapters) write_adapter(&w, i);
    bt_json_end(&w);
    return bt_json_finish(&w);
}

/* ---- reading ---- */

static bt_status get_three(const bt_json_value *object, const char *key, double least, float out[3]) {
    const bt_json_value *array, *item;
    BT_TRY(bt_json_get(object, key, BT_JSON_ARRAY, &array));
    if (array->count != 3) return bt_json_error(array, "\"%s\" has %zu numbers, 3 are expected", key, array->count);
    for (size_t k = 0; k < 3; k++) {
        double value;
        BT_TRY(bt_json_at(array, k, &item));
        BT_TRY(bt_json_as_number(item, &value));
        if (!(value >= least && value <= 1e3))
            return bt_json_error(item, "\"%s\" is %g; allowed are %g to 1000", key, value, least);
        out[k] = (float)value;
    }
    return BT_OK;
}

static bt_status get_name(const bt_json_value *object, const char *key, char *out, size_t bytes) {
    const char *text;
    BT_TRY(bt_json_get_string(object, key, &text));
    if (strlen(text) >= bytes)
        return bt_json_error(bt_json_find(object, key), "\"%s\" has over %zu bytes", key, bytes - 1);
    snprintf(out, bytes, "%s", text);
    return BT_OK;
}

static bt_status read_tower(const bt_json_value *root, bt_model_info *i) {
    const bt_json_value *tower;
    BT_TRY(bt_json_get(root, "tower", BT_JSON_OBJECT, &tower));
    return bt_vit_read_json(tower, &i->vit, i->tower, sizeof i->tower);
}

static bt_status read_preprocess(const bt_json_value *root, bt_model_info *i) {
    const bt_json_value *p;
    int crop;
    BT_TRY(bt_json_get(root, "preprocess", BT_JSON_OBJECT, &p));
    BT_TRY(bt_json_get_int(p, "crop", i->vit.image, i->vit.image, &crop));
    BT_TRY(bt_picture_rule_read(p, &i->pictures, &crop));
    if (bt_json_find(p, "orientation")) {
        char orientation[32];
        BT_TRY(get_name(p, "orientation", orientation, sizeof orientation));
        if (strcmp(orientation, "apply") != 0 && strcmp(orientation, "ignore") != 0)
            return bt_error(BT_ERR_UNSUPPORTED, "%s: orientation \"%s\"; this program knows ignore and apply",
                            bt_json_name(p->document), orientation);
        i->orientation = strcmp(orientation, "apply") == 0 ? BT_ORIENTATION_APPLY : BT_ORIENTATION_IGNORE;
    }
    BT_TRY(get_three(p, "mean", -1e3, i->vit.mean));
    return get_three(p, "std", 1e-6, i->vit.std);
}

static bt_status read_method(const bt_json_value *root, bt_model_info *i) {
    const bt_json_value *m;
    char name[32], size[32];
    BT_TRY(bt_json_get(root, "method", BT_JSON_OBJECT, &m));
    BT_TRY(get_name(m, "name", name, sizeof name));
    i->method = bt_method_named(name);
    if (!i->method) return bt_error_prefix(BT_ERR_UNSUPPORTED, "%s", bt_json_name(m->document));
    bool codes = i->method->codes;
    BT_TRY(bt_json_get_int(m, "bits", codes, codes ? 4096 : 0, &i->config.bits));
    bool classes = !codes && i->method != &bt_method_features;
    BT_TRY(bt_json_get_int(m, "classes", classes ? 2 : 0, classes ? 1 << 24 : 0, &i->config.classes));
    BT_TRY(get_name(m, "head", size, sizeof size));
    for (int k = 0; k < 4; k++)
        if (strcmp(size, sizes[k]) == 0) {
            i->config.head = (bt_hashcoder_size)(k & 1);
            i->config.without_norm = k > 1;
            return BT_OK;
        }
    return bt_error(BT_ERR_UNSUPPORTED,
                    "%s: head \"%s\"; this program knows small and large, and each \"without norm\"",
                    bt_json_name(m->document), size);
}

static bt_status read_adapter(const bt_json_value *root, bt_model_info *i) {
    const bt_json_value *a;
    int64_t crc;
    BT_TRY(bt_json_get(root, "adapter", BT_JSON_OBJECT, &a));
    BT_TRY(get_name(a, "targets", i->targets, sizeof i->targets));
    BT_TRY(bt_lora_parse_targets(i->targets, &i->lora.targets));
    BT_TRY(bt_json_get_int(a, "rank", 1, 1024, &i->lora.rank));
    BT_TRY(bt_json_get_float(a, "alpha", 0, 1e6, &i->lora.alpha));
    BT_TRY(bt_json_get_integer(a, "tower_crc32c", 0, UINT32_MAX, &crc));
    i->tower_crc = (uint32_t)crc;
    return BT_OK;
}

static bt_status read_root(const bt_json_value *root, bt_model_info *i) {
    int64_t version;
    char kind[32];
    BT_TRY(bt_json_get_integer(root, "version", 1, INT64_MAX, &version));
    if (version < VERSION || version > NEWEST)
        return bt_error(BT_ERR_UNSUPPORTED, "%s: version %lld of the description; this program reads %d and %d",
                        bt_json_name(root->document), (long long)version, VERSION, NEWEST);
    BT_TRY(get_name(root, "kind", kind, sizeof kind));
    i->adapter_file = strcmp(kind, "adapter") == 0;
    if (!i->adapter_file && strcmp(kind, "model") != 0)
        return bt_error(BT_ERR_UNSUPPORTED, "%s: kind \"%s\"; this program knows model and adapter",
                        bt_json_name(root->document), kind);
    BT_TRY(bt_json_get_integer(root, "step", 0, INT64_MAX, &i->step));
    BT_TRY(read_tower(root, i));
    BT_TRY(read_preprocess(root, i));
    BT_TRY(read_method(root, i));
    return i->adapter_file ? read_adapter(root, i) : BT_OK;
}

bt_status bt_model_info_read(const char *text, const char *name, bt_model_info *out) {
    bt_model_info info = {.targets = "none", .lora.rank = 1, .config.views = 1};
    bt_json *json;
    BT_TRY(bt_json_parse(text, strlen(text), name, 0, &json));
    bt_status status = read_root(bt_json_root(json), &info);
    bt_json_free(json);
    if (status == BT_OK) *out = info;
    return status;
}
