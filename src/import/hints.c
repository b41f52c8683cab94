/* Configurations of three libraries. */
#include "import/hints.h"

#include "base/file.h"
#include "formats/json.h"

#include <stdio.h>
#include <string.h>

bool bt_import_beside(const char *file, const char *name, char *path, size_t bytes) {
    const char *slash = strrchr(file, '/');
    int written = snprintf(path, bytes, "%.*s%s", slash ? (int)(slash - file + 1) : 0, file, name);
    return written > 0 && (size_t)written < bytes && bt_file_exists(path);
}

bool bt_import_hints_find(const char *weights_path, char *path, size_t bytes) {
    return bt_import_beside(weights_path, "config.json", path, bytes) ||
           bt_import_beside(weights_path, "open_clip_config.json", path, bytes);
}

/* ---- members that may be missing, or null ---- */

static const bt_json_value *member(const bt_json_value *object, const char *key) {
    const bt_json_value *v = bt_json_find(object, key);
    return v && v->type != BT_JSON_NULL ? v : NULL;
}

static bt_status take_int(const bt_json_value *object, const char *key, int64_t least, int64_t most, int *out) {
    int64_t value;
    const bt_json_value *v = member(object, key);
    if (!v) return BT_OK;
    if (v->type == BT_JSON_ARRAY && v->count == 2) { /* [224, 224] */
        const bt_json_value *other;
        int64_t second;
        BT_TRY(bt_json_at(v, 1, &other));
        BT_TRY(bt_json_as_integer(other, least, most, &second));
        BT_TRY(bt_json_at(v, 0, &v));
        BT_TRY(bt_json_as_integer(v, least, most, &value));
        if (second != value)
            return bt_json_error(other, "\"%s\" is %lld x %lld; towers here take squares", key, (long long)value,
                                 (long long)second);
    } else {
        BT_TRY(bt_json_as_integer(v, least, most, &value));
    }
    *out = (int)value;
    return BT_OK;
}

static bt_status take_number(const bt_json_value *object, const char *key, double *out) {
    const bt_json_value *v = member(object, key);
    if (!v) return BT_OK;
    BT_TRY(bt_json_as_number(v, out));
    return *out > 0 ? BT_OK : bt_json_error(v, "\"%s\" is %g; it must be above 0", key, *out);
}

static bt_status take_activation(const bt_json_value *object, const char *key, int *out) {
    static const struct {
        const char *name;
        bt_vit_activation activation;
    } known[] = {
        {"gelu", BT_VIT_GELU}, {"quick_gelu", BT_VIT_QUICK_GELU}, {"silu", BT_VIT_SWIGLU}, {"swiglu", BT_VIT_SWIGLU}};
    const char *text;
    const bt_json_value *v = member(object, key);
    if (!v) return BT_OK;
    BT_TRY(bt_json_as_string(v, &text));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(text, known[i].name) == 0) {
            *out = (int)known[i].activation;
            return BT_OK;
        }
    return bt_error(BT_ERR_UNSUPPORTED,
                    "%s: \"%s\" is \"%.60s\"; towers here have gelu (erf), quick_gelu and SwiGLU (silu)",
                    bt_json_name(v->document), key, text);
}

/* ---- the three kinds ---- */

static bt_status read_transformers(const bt_json_value *root, bt_import_hints *h) {
    const bt_json_value *o = member(root, "vision_config") ? member(root, "vision_config") : root;
    if (o->type != BT_JSON_OBJECT) return bt_json_error(o, "\"vision_config\" is no object");
    BT_TRY(take_int(o, "hidden_size", 1, 16384, &h->width));
    BT_TRY(take_int(o, "num_hidden_layers", 1, 1000, &h->depth));
    BT_TRY(take_int(o, "num_attention_heads", 1, 1024, &h->heads));
    BT_TRY(take_int(o, "image_size", 1, 4096, &h->image));
    BT_TRY(take_int(o, "patch_size", 1, 512, &h->patch));
    BT_TRY(take_int(o, "num_register_tokens", 0, 64, &h->registers));
    BT_TRY(take_activation(o, "hidden_act", &h->activation));
    BT_TRY(take_number(o, "layer_norm_eps", &h->norm_eps));
    return take_number(o, "rope_theta", &h->rope_theta);
}

static bt_status read_open_clip(const bt_json_value *model, bt_import_hints *h) {
    const bt_json_value *o;
    bool quick = false;
    int head_width = 64;
    BT_TRY(bt_json_get(model, "vision_cfg", BT_JSON_OBJECT, &o));
    BT_TRY(take_int(o, "image_size", 1, 4096, &h->image));
    BT_TRY(take_int(o, "layers", 1, 1000, &h->depth));
    BT_TRY(take_int(o, "width", 1, 16384, &h->width));
    BT_TRY(take_int(o, "patch_size", 1, 512, &h->patch));
    BT_TRY(take_int(o, "head_width", 1, 1024, &head_width));
    if (h->width) h->heads = h->width / head_width;
    if (member(model, "quick_gelu")) BT_TRY(bt_json_get_bool(model, "quick_gelu", &quick));
    h->activation = quick ? BT_VIT_QUICK_GELU : BT_VIT_GELU;
    return BT_OK;
}

static bt_status read_timm(const bt_json_value *root, bt_import_hints *h) {
    const bt_json_value *o, *size, *last;
    int64_t side;
    BT_TRY(take_int(root, "num_features", 1, 16384, &h->width));
    BT_TRY(bt_json_get(root, "pretrained_cfg", BT_JSON_OBJECT, &o));
    size = member(o, "input_size");
    if (!size) return BT_OK;
    if (size->type != BT_JSON_ARRAY || size->count != 3)
        return bt_json_error(size, "\"input_size\" is not [3, height, width]");
    BT_TRY(bt_json_at(size, 2, &last));
    BT_TRY(bt_json_as_integer(last, 1, 4096, &side));
    h->image = (int)side;
    return BT_OK;
}

bt_status bt_import_hints_read(const char *path, bt_import_hints *out) {
    bt_import_hints h = {.activation = -1};
    bt_json *json;
    if (strlen(path) >= sizeof h.path)
        return bt_error(BT_ERR_IO, "%.60s...: a path of over %zu bytes", path, sizeof h.path - 1);
    BT_TRY(bt_json_read(path, &json));
    const bt_json_value *root = bt_json_root(json),
                        *model = root->type == BT_JSON_OBJECT ? member(root, "model_cfg") : NULL;
    bt_status status = BT_OK;
    if (root->type != BT_JSON_OBJECT)
        status = bt_json_error(root, "a configuration is an object");
    else if (model)
        status = read_open_clip(model, &h);
    else if (member(root, "pretrained_cfg"))
        status = read_timm(root, &h);
    else if (member(root, "model_type") || member(root, "hidden_size"))
        status = read_transformers(root, &h);
    else
        status = bt_error(
            BT_ERR_FORMAT,
            "%s: no configuration of transformers (model_type), timm (pretrained_cfg) or open_clip (model_cfg)", path);
    bt_json_free(json);
    if (status != BT_OK) return status;
    snprintf(h.path, sizeof h.path, "%s", path);
    *out = h;
    return BT_OK;
}
