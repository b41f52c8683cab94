/* Configuration files of timm, open_clip and transformers to a bt_preprocess; see preprocess.h. Files come from
 * elsewhere: every field that decides a pixel is checked for kind and range, and a null counts as missing, as it does
 * in the libraries. */
#include "data/preprocess.h"

#include "formats/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SIDE_LAST 8192 /* pixels of a view's side */

static const bt_json_value *present(const bt_json_value *object, const char *key) {
    const bt_json_value *value = bt_json_find(object, key);
    return value && value->type != BT_JSON_NULL ? value : NULL;
}

static void assume(bt_preprocess *p, const char *what) {
    size_t length = strlen(p->assumed);
    snprintf(p->assumed + length, sizeof p->assumed - length, "%s%s", length ? ", " : "", what);
}

static bt_status needed(const bt_json_value *object, const char *key, const bt_json_value **out) {
    *out = present(object, key);
    return *out ? BT_OK
                : bt_json_error(object,
                                "\"%s\" is missing: without it the pictures cannot be made as the model expects them",
                                key);
}

/* A refusal of what the file asks for. */
static bt_status unknown(const bt_json_value *value, const char *what, const char *known) {
    char found[96];
    if (value->type == BT_JSON_STRING)
        snprintf(found, sizeof found, "\"%.64s\"", value->as.string);
    else if (value->type == BT_JSON_INTEGER)
        snprintf(found, sizeof found, "%" PRId64, value->as.integer);
    else
        snprintf(found, sizeof found, "%s", bt_json_type_name(value->type));
    return bt_error(BT_ERR_UNSUPPORTED, "%s: byte %zu: %s is %s; this program knows %s", bt_json_name(value->document),
                    value->offset, what, found, known);
}

static bt_status side_of(const bt_json_value *value, int *out) {
    int64_t side;
    BT_TRY(bt_json_as_integer(value, 1, SIDE_LAST, &side));
    *out = (int)side;
    return BT_OK;
}

static bt_status number_of(const bt_json_value *value, double least, double most, double *out) {
    double number;
    BT_TRY(bt_json_as_number(value, &number));
    if (!(number >= least && number <= most))
        return bt_json_error(value, "%s is %g; allowed are %g to %g", value->key ? value->key : "a number", number,
                             least, most);
    *out = number;
    return BT_OK;
}

/* Three numbers, or one for all three. */
static bt_status three_of(const bt_json_value *value, double least, double most, double out[3]) {
    if (value->type != BT_JSON_ARRAY) {
        BT_TRY(number_of(value, least, most, &out[0]));
        out[1] = out[2] = out[0];
        return BT_OK;
    }
    if (value->count != 3) return bt_json_error(value, "%s has %zu numbers; 3 are expected", value->key, value->count);
    for (size_t c = 0; c < 3; c++) BT_TRY(number_of(&value->as.member[c], least, most, &out[c]));
    return BT_OK;
}

static bt_status mean_and_std(const bt_json_value *object, const char *mean, const char *std, bt_preprocess *p) {
    const bt_json_value *value;
    BT_TRY(needed(object, mean, &value));
    BT_TRY(three_of(value, -1e3, 1e3, p->mean));
    BT_TRY(needed(object, std, &value));
    return three_of(value, 1e-6, 1e3, p->std);
}

/* One number or [height, width]. */
static bt_status sides_of(const bt_json_value *value, int *height, int *width) {
    if (value->type != BT_JSON_ARRAY) {
        BT_TRY(side_of(value, height));
        *width = *height;
        return BT_OK;
    }
    if (value->count != 2)
        return bt_json_error(value, "%s has %zu numbers; a height and a width are expected", value->key, value->count);
    BT_TRY(side_of(&value->as.member[0], height));
    return side_of(&value->as.member[1], width);
}

static bt_status start(const bt_json_value *root, const char *source, bt_preprocess *p) {
    *p = (bt_preprocess){.mode = BT_RESIZE_SHORTEST, .filter = BT_FILTER_BICUBIC, .rescale = 1.0 / 255};
    snprintf(p->source, sizeof p->source, "%s", source);
    return root->type == BT_JSON_OBJECT
               ? BT_OK
               : bt_json_error(root, "found %s, expected an object", bt_json_type_name(root->type));
}

/* ---- timm ---- */

static bt_status timm_filter(const bt_json_value *config, bt_preprocess *p) {
    const bt_json_value *value = present(config, "interpolation");
    if (!value) {
        assume(p, "interpolation bicubic");
        return BT_OK;
    }
    const char *name;
    BT_TRY(bt_json_as_string(value, &name));
    if (strcmp(name, "bilinear") != 0 && strcmp(name, "bicubic") != 0)
        return unknown(value, "interpolation", "bilinear and bicubic");
    p->filter = strcmp(name, "bicubic") == 0 ? BT_FILTER_BICUBIC : BT_FILTER_BILINEAR;
    return BT_OK;
}

/* timm rounds the mean's colour, half to even, for its borders. */
static bt_status timm_mode(const bt_json_value *config, bt_preprocess *p) {
    const bt_json_value *value = present(config, "crop_mode");
    const char *name = "center";
    if (value)
        BT_TRY(bt_json_as_string(value, &name));
    else
        assume(p, "crop_mode center");
    if (strcmp(name, "center") != 0 && strcmp(name, "squash") != 0 && strcmp(name, "border") != 0)
        return unknown(value, "crop_mode", "center, squash and border");
    if (strcmp(name, "squash") == 0) p->mode = BT_RESIZE_SQUASH;
    if (strcmp(name, "border") == 0) {
        p->mode = BT_RESIZE_LONGEST;
        for (int c = 0; c < 3; c++) p->fill[c] = (uint8_t)fmin(255, fmax(0, rint(255 * p->mean[c])));
    }
    if (p->mode == BT_RESIZE_SHORTEST && p->resize_height != p->resize_width) {
        p->filter = BT_FILTER_BILINEAR; /* whatever the configuration says: timm hands no filter on there */
        assume(p, "interpolation bilinear (timm's for sides that differ)");
    }
    return BT_OK;
}

static bt_status read_timm(const bt_json_value *root, bt_preprocess *p) {
    BT_TRY(start(root, "timm", p));
    const bt_json_value *config = present(root, "pretrained_cfg"), *value;
    double share = 0.875;
    int channels;
    if (!config) config = root;
    if (config->type != BT_JSON_OBJECT)
        return bt_json_error(config, "pretrained_cfg: found %s, expected an object", bt_json_type_name(config->type));
    BT_TRY(mean_and_std(config, "mean", "std", p));
    BT_TRY(needed(config, "input_size", &value));
    if (value->type != BT_JSON_ARRAY || value->count != 3)
        return bt_json_error(value, "input_size: expected an array of channels, height and width");
    BT_TRY(side_of(&value->as.member[0], &channels));
    if (channels != 3) return unknown(&value->as.member[0], "the number of channels", "3");
    BT_TRY(side_of(&value->as.member[1], &p->height));
    BT_TRY(side_of(&value->as.member[2], &p->width));
    value = present(config, "crop_pct");
    if (value)
        BT_TRY(number_of(value, 0.05, 4, &share));
    else
        assume(p, "crop_pct 0.875");
    p->resize_height = (int)floor(p->height / share);
    p->resize_width = (int)floor(p->width / share);
    if (p->resize_height < 1 || p->resize_width < 1)
        return bt_json_error(config, "input_size and crop_pct leave no pixel to resize to");
    BT_TRY(timm_filter(config, p));
    return timm_mode(config, p);
}

/* ---- open_clip ---- */

static bt_status open_clip_size(const bt_json_value *root, const bt_json_value *config, bt_preprocess *p) {
    const bt_json_value *model = present(root, "model_cfg"), *tower = present(model, "vision_cfg"),
                        *value = present(tower, "image_size");
    if (!value && tower) {
        p->height = p->width = 224;
        assume(p, "image_size 224");
    } else {
        if (!value) BT_TRY(needed(config, "size", &value));
        BT_TRY(sides_of(value, &p->height, &p->width));
    }
    p->resize_height = p->height;
    p->resize_width = p->width;
    return BT_OK;
}

static bt_status open_clip_names(const bt_json_value *config, bt_preprocess *p) {
    const bt_json_value *filter = present(config, "interpolation"), *mode = present(config, "resize_mode");
    const char *name = "bicubic";
    if (filter)
        BT_TRY(bt_json_as_string(filter, &name));
    else
        assume(p, "interpolation bicubic");
    if (strcmp(name, "bilinear") != 0 && strcmp(name, "bicubic") != 0 && strcmp(name, "random") != 0)
        return unknown(filter, "interpolation", "bilinear, bicubic, and random (bicubic when a model is used)");
    p->filter = strcmp(name, "bilinear") == 0 ? BT_FILTER_BILINEAR : BT_FILTER_BICUBIC;
    name = "shortest";
    if (mode)
        BT_TRY(bt_json_as_string(mode, &name));
    else
        assume(p, "resize_mode shortest");
    if (strcmp(name, "longest") == 0)
        p->mode = BT_RESIZE_LONGEST;
    else if (strcmp(name, "squash") == 0)
        p->mode = BT_RESIZE_SQUASH;
    else if (strcmp(name, "shortest") != 0)
        return unknown(mode, "resize_mode", "shortest, longest and squash");
    if (p->mode == BT_RESIZE_SHORTEST && p->height != p->width && p->filter == BT_FILTER_BILINEAR) {
        p->filter = BT_FILTER_BICUBIC; /* as with timm: no filter is handed on */
        assume(p, "interpolation bicubic (open_clip's for sides that differ)");
    }
    return BT_OK;
}

static bt_status read_open_clip(const bt_json_value *root, bt_preprocess *p) {
    BT_TRY(start(root, "open_clip", p));
    const bt_json_value *config = present(root, "preprocess_cfg"), *value;
    double fill[3] = {0};
    if (!config) config = root;
    if (config->type != BT_JSON_OBJECT)
        return bt_json_error(config, "preprocess_cfg: found %s, expected an object", bt_json_type_name(config->type));
    BT_TRY(mean_and_std(config, "mean", "std", p));
    BT_TRY(open_clip_size(root, config, p));
    BT_TRY(open_clip_names(config, p));
    value = present(config, "mode");
    if (value && (value->type != BT_JSON_STRING || strcmp(value->as.string, "RGB") != 0))
        return unknown(value, "mode", "RGB");
    value = present(config, "fill_color");
    if (value) BT_TRY(three_of(value, 0, 255, fill));
    for (int c = 0; p->mode == BT_RESIZE_LONGEST && c < 3; c++) {
        if (fill[c] != floor(fill[c]))
            return bt_json_error(value, "fill_color: found %g, expected whole numbers", fill[c]);
        p->fill[c] = (uint8_t)fill[c];
    }
    return BT_OK;
}

/* ---- transformers ---- */

typedef struct processor {
    const char *name;
    bool shortest;    /* a single number for `size` is the shorter side */
    bool crops;       /* knows do_center_crop, and does it where the file does not say */
    bt_filter filter; /* where the file does not say */
} processor;

static const processor processors[] = {
    {"CLIPImageProcessor", true, true, BT_FILTER_BICUBIC},
    {"CLIPFeatureExtractor", true, true, BT_FILTER_BICUBIC},
    {"BitImageProcessor", true, true, BT_FILTER_BICUBIC},
    {"ViTImageProcessor", false, false, BT_FILTER_BILINEAR},
    {"ViTFeatureExtractor", false, false, BT_FILTER_BILINEAR},
    {"DeiTImageProcessor", false, true, BT_FILTER_BICUBIC},
    {"DeiTFeatureExtractor", false, true, BT_FILTER_BICUBIC},
    {"SiglipImageProcessor", false, false, BT_FILTER_BICUBIC},
    {"DINOv3ViTImageProcessor", false, false, BT_FILTER_BILINEAR},
};

#define PROCESSORS                                                                                                     \
    "CLIP-, Bit-, ViT-, DeiT-, Siglip- and DINOv3ViTImageProcessor, and the older FeatureExtractor names of these"

static bt_status find_processor(const bt_json_value *root, bt_preprocess *p, const processor **out) {
    const bt_json_value *value = present(root, "image_processor_type");
    const char *name;
    if (!value) value = present(root, "feature_extractor_type");
    if (!value)
        return bt_json_error(root, "neither \"image_processor_type\" nor \"feature_extractor_type\" says how \"size\" "
                                   "is meant; add \"image_processor_type\": one of " PROCESSORS);
    BT_TRY(bt_json_as_string(value, &name));
    size_t length = strlen(name);
    p->by_tensor = length > 4 && strcmp(name + length - 4, "Fast") == 0;
    if (p->by_tensor) length -= 4;
    for (size_t i = 0; i < sizeof processors / sizeof *processors; i++) {
        *out = &processors[i];
        if (strlen(processors[i].name) == length && strncmp(processors[i].name, name, length) == 0) return BT_OK;
    }
    return unknown(value, value->key, PROCESSORS);
}

/* Steps that would change the pictures and are not taken here. */
static bt_status refuse_steps(const bt_json_value *root) {
    static const char *const known[] = {"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"};
    static const char *const steps[] = {"crop_pct",       "size_divisor", "pad_size",
                                        "rescale_offset", "offset",       "use_square_size"};
    for (size_t i = 0; i < root->count; i++) {
        const bt_json_value *value = &root->as.member[i];
        bool step = strncmp(value->key, "do_", 3) == 0;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++) step = step && strcmp(value->key, known[k]) != 0;
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) step = step || strcmp(value->key, steps[k]) == 0;
        bool off = value->type == BT_JSON_NULL || (value->type == BT_JSON_BOOL && !value->as.boolean);
        if (step && !off)
            return bt_error(BT_ERR_UNSUPPORTED,
                            "%s: byte %zu: the step \"%.64s\" is not known; this program knows do_resize, "
                            "do_center_crop, do_rescale and do_normalize",
                            bt_json_name(root->document), value->offset, value->key);
    }
    return BT_OK;
}

static bt_status flag_of(const bt_json_value *root, const char *key, bool otherwise, bool *out) {
    const bt_json_value *value = present(root, key);
    *out = otherwise;
    return value ? bt_json_as_bool(value, out) : BT_OK;
}

/* {"height": h, "width": w}, {"shortest_edge": s}, s, or [h, w]. */
static bt_status size_of(const bt_json_value *value, bool shortest, int *height, int *width, bool *covers) {
    *covers = shortest && value->type != BT_JSON_ARRAY && value->type != BT_JSON_OBJECT;
    if (value->type != BT_JSON_OBJECT) return sides_of(value, height, width);
    const bt_json_value *h = present(value, "height"), *w = present(value, "width"),
                        *s = present(value, "shortest_edge");
    for (size_t i = 0; i < value->count; i++) {
        const char *key = value->as.member[i].key;
        if (strcmp(key, "height") != 0 && strcmp(key, "width") != 0 && strcmp(key, "shortest_edge") != 0 &&
            value->as.member[i].type != BT_JSON_NULL)
            return bt_error(BT_ERR_UNSUPPORTED,
                            "%s: byte %zu: %s has \"%.64s\"; this program knows height and width, or shortest_edge",
                            bt_json_name(value->document), value->as.member[i].offset, value->key, key);
    }
    if (s && !h && !w) {
        *covers = true;
        BT_TRY(side_of(s, height));
        *width = *height;
        return BT_OK;
    }
    if (s || !h || !w) return bt_json_error(value, "%s: expected height and width, or shortest_edge alone", value->key);
    BT_TRY(side_of(h, height));
    return side_of(w, width);
}

/* PIL's numbers of its filters. */
static bt_status transformers_filter(const bt_json_value *root, const processor *kind, bt_preprocess *p) {
    static const char *const names[] = {"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};
    const bt_json_value *value = present(root, "resample");
    int64_t number;
    p->filter = kind->filter;
    if (!value) {
        assume(p, kind->filter == BT_FILTER_BICUBIC ? "resample 3 (bicubic)" : "resample 2 (bilinear)");
        return BT_OK;
    }
    BT_TRY(bt_json_as_integer(value, 0, 5, &number));
    if (number != 2 && number != 3) {
        char what[40];
        snprintf(what, sizeof what, "resample (%s)", names[number]);
        return unknown(value, what, "2 (bilinear) and 3 (bicubic)");
    }
    p->filter = number == 3 ? BT_FILTER_BICUBIC : BT_FILTER_BILINEAR;
    return BT_OK;
}

static bt_status transformers_geometry(const bt_json_value *root, const processor *kind, bt_preprocess *p) {
    const bt_json_value *value;
    bool resize, crop, covers = false;
    BT_TRY(flag_of(root, "do_resize", true, &resize));
    BT_TRY(flag_of(root, "do_center_crop", kind->crops, &crop));
    crop = crop && (kind->crops || p->by_tensor); /* the other classes do not look at it */
    p->mode = BT_RESIZE_NONE;
    if (resize) {
        BT_TRY(needed(root, "size", &value));
        BT_TRY(size_of(value, kind->shortest, &p->resize_height, &p->resize_width, &covers));
        if (covers && !kind->shortest && !p->by_tensor)
            return unknown(value, "shortest_edge of size", "height and width for this class");
        p->mode = covers ? BT_RESIZE_SHORTEST : BT_RESIZE_SQUASH;
        BT_TRY(transformers_filter(root, kind, p));
    }
    if (crop) {
        bool single;
        BT_TRY(needed(root, "crop_size", &value));
        BT_TRY(size_of(value, false, &p->height, &p->width, &single));
        return single ? bt_json_error(value, "crop_size: expected a number, or height and width") : BT_OK;
    }
    if (p->mode != BT_RESIZE_SQUASH)
        return bt_error(
            BT_ERR_UNSUPPORTED,
            "%s: without do_center_crop%s every picture keeps a size of its own; this program needs one size",
            bt_json_name(root->document), resize ? " and with a shortest_edge" : " and do_resize");
    p->height = p->resize_height;
    p->width = p->resize_width;
    return BT_OK;
}

static bt_status transformers_values(const bt_json_value *root, bt_preprocess *p) {
    const bt_json_value *value = present(root, "rescale_factor");
    bool rescale, normalize;
    BT_TRY(flag_of(root, "do_rescale", true, &rescale));
    BT_TRY(flag_of(root, "do_normalize", true, &normalize));
    if (!rescale)
        p->rescale = 1;
    else if (value)
        BT_TRY(number_of(value, 1e-6, 1e3, &p->rescale));
    else
        assume(p, "rescale_factor 1/255");
    for (int c = 0; c < 3; c++) p->std[c] = 1;
    return normalize ? mean_and_std(root, "image_mean", "image_std", p) : BT_OK;
}

static bt_status read_transformers(const bt_json_value *root, bt_preprocess *p) {
    const processor *kind;
    BT_TRY(start(root, "transformers", p));
    BT_TRY(find_processor(root, p, &kind));
    p->center = p->by_tensor ? BT_CENTER_EVEN : BT_CENTER_DOWN; /* torchvision cuts tensors */
    BT_TRY(refuse_steps(root));
    BT_TRY(transformers_geometry(root, kind, p));
    return transformers_values(root, p);
}

/* ---- text ---- */

typedef bt_status reader(const bt_json_value *root, bt_preprocess *p);

static bt_status read_any(const bt_json_value *root, bt_preprocess *p) {
    if (present(root, "image_mean") || present(root, "image_processor_type") || present(root, "feature_extractor_type"))
        return read_transformers(root, p);
    if (present(root, "preprocess_cfg")) return read_open_clip(root, p);
    if (present(root, "pretrained_cfg") || present(root, "input_size")) return read_timm(root, p);
    return bt_json_error(root, "no configuration of pictures: none of timm's pretrained_cfg, open_clip's "
                               "preprocess_cfg, transformers' image_processor_type is in it");
}

static bt_status parse(const char *text, size_t bytes, const char *name, reader *read, bt_preprocess *out) {
    bt_json *document;
    bt_preprocess p;
    BT_TRY(bt_json_parse(text, bytes, name, 0, &document));
    bt_status status = read(bt_json_root(document), &p);
    bt_json_free(document);
    if (status == BT_OK) *out = p;
    return status;
}

bt_status bt_preprocess_parse_timm(const char *text, size_t bytes, const char *name, bt_preprocess *out) {
    return parse(text, bytes, name, read_timm, out);
}

bt_status bt_preprocess_parse_open_clip(const char *text, size_t bytes, const char *name, bt_preprocess *out) {
    return parse(text, bytes, name, read_open_clip, out);
}

bt_status bt_preprocess_parse_transformers(const char *text, size_t bytes, const char *name, bt_preprocess *out) {
    return parse(text, bytes, name, read_transformers, out);
}

bt_status bt_preprocess_parse(const char *text, size_t bytes, const char *name, bt_preprocess *out) {
    return parse(text, bytes, name, read_any, out);
}
