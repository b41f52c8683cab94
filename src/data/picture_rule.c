/* A model's rule for its pictures: from published configurations, to JSON and back. */
#include "data/picture_rule.h"

#include "base/log.h"
#include "data/pack.h"

#include <string.h>

enum { SIDE_MOST = 8192 }; /* pixels that descriptions may say */

const char *const bt_resize_mode_names[] = {[BT_RESIZE_SHORTEST] = "shortest",
                                            [BT_RESIZE_LONGEST] = "longest",
                                            [BT_RESIZE_SQUASH] = "squash",
                                            [BT_RESIZE_NONE] = "none",
                                            NULL};
const char *const bt_filter_names[] = {[BT_FILTER_BILINEAR] = "bilinear", [BT_FILTER_BICUBIC] = "bicubic", NULL};
const char *const bt_center_names[] = {[BT_CENTER_EVEN] = "even", [BT_CENTER_DOWN] = "down", NULL};

bt_preprocess bt_picture_rule_at(const bt_picture_rule *r, int size) {
    bt_preprocess p = {.mode = r->mode,
                       .filter = r->filter,
                       .resize_height = r->resize,
                       .resize_width = r->resize,
                       .height = size,
                       .width = size,
                       .center = r->center,
                       .rescale = 1.0 / 255,
                       .std = {1, 1, 1}};
    memcpy(p.fill, r->fill, sizeof p.fill);
    return p;
}

int bt_picture_rule_scale(int resize, int was, int size) {
    return (int)((int64_t)resize * size / was);
}

bt_status bt_picture_rule_of(const bt_preprocess *p, int size, const char *name, bt_picture_rule *out) {
    bool resized = p->mode != BT_RESIZE_NONE;
    if (p->height != p->width || (resized && p->resize_height != p->resize_width))
        return bt_error(BT_ERR_UNSUPPORTED,
                        "%s: pictures are resized to %d x %d, then %d x %d of them taken; towers of this program take "
                        "squares",
                        name, p->resize_width, p->resize_height, p->width, p->height);
    if (p->mode == BT_RESIZE_SHORTEST && p->resize_height < p->height)
        return bt_error(BT_ERR_UNSUPPORTED,
                        "%s: the shorter side is resized to %d, and %d x %d are taken: every picture would get a "
                        "border. If that is meant, let it be resized to %d",
                        name, p->resize_height, p->width, p->height, p->height);
    bt_picture_rule r = {.mode = p->mode, .filter = p->filter, .center = p->center};
    r.resize = resized ? bt_picture_rule_scale(p->resize_height, p->height, size) : size;
    if (p->mode != BT_RESIZE_SHORTEST) memcpy(r.fill, p->fill, sizeof r.fill); /* nothing is filled there */
    if (r.resize > SIDE_MOST)
        return bt_error(BT_ERR_UNSUPPORTED, "%s: for squares of %d pictures would be resized to %d; at most %d", name,
                        size, r.resize, SIDE_MOST);
    if (r.resize < 1) return bt_error(BT_ERR_UNSUPPORTED, "%s: squares of %d leave no pixel to resize to", name, size);
    *out = r;
    return BT_OK;
}

bool bt_picture_rule_plain(const bt_picture_rule *r) {
    return r->mode == BT_RESIZE_SHORTEST && r->center == BT_CENTER_EVEN && !r->fill[0] && !r->fill[1] && !r->fill[2];
}

void bt_picture_rule_warn(const bt_picture_rule *r, const bt_dataset *set) {
    if (!set->pack || !set->pack->images || r->mode == BT_RESIZE_SHORTEST) return;
    bt_log_warn("%s holds squares, cut from the centre when it was packed: they are taken as they are, not resized as "
                "the model would have it (%s). bittern pack --keep-encoded keeps pictures whole",
                set->name, bt_resize_mode_names[r->mode]);
}

/* ---- JSON ---- */

void bt_picture_rule_write(const bt_picture_rule *r, int size, bt_json_writer *w) {
    bt_json_member_integer(w, "resize", r->resize);
    bt_json_member_integer(w, "crop", size);
    bt_json_member_string(w, "interpolation", bt_filter_names[r->filter]);
    if (r->mode != BT_RESIZE_SHORTEST) bt_json_member_string(w, "mode", bt_resize_mode_names[r->mode]);
    if (r->center != BT_CENTER_EVEN) bt_json_member_string(w, "center", bt_center_names[r->center]);
    if (!r->fill[0] && !r->fill[1] && !r->fill[2]) return;
    bt_json_key(w, "fill");
    bt_json_begin_array(w);
    for (int k = 0; k < 3; k++) bt_json_put_integer(w, r->fill[k]);
    bt_json_end(w);
}

/** Position of a member's text among `names`; `absent` where it is left out (required: below 0). */
static bt_status read_name(const bt_json_value *object, const char *key, const char *const *names, int absent,
                           int *out) {
    const char *text;
    *out = absent;
    if (absent >= 0 && !bt_json_find(object, key)) return BT_OK;
    BT_TRY(bt_json_get_string(object, key, &text));
    bt_text known = {0};
    for (int k = 0; names[k]; k++) {
        bt_text_append(&known, "%s%s", !k ? "" : names[k + 1] ? ", " : " and ", names[k]);
        if (strcmp(text, names[k]) == 0) *out = k;
    }
    bool found = *out >= 0 && strcmp(text, names[*out]) == 0;
    bt_status status = found ? BT_OK
                             : bt_error(BT_ERR_UNSUPPORTED, "%s: %s \"%s\"; this program knows %s",
                                        bt_json_name(object->document), key, text, bt_text_get(&known));
    bt_text_free(&known);
    return status;
}

static bt_status read_fill(const bt_json_value *object, uint8_t fill[3]) {
    const bt_json_value *list, *item;
    if (!bt_json_find(object, "fill")) return BT_OK;
    BT_TRY(bt_json_get(object, "fill", BT_JSON_ARRAY, &list));
    if (list->count != 3) return bt_json_error(list, "\"fill\" has %zu numbers, 3 are expected", list->count);
    for (size_t k = 0; k < 3; k++) {
        int64_t value;
        BT_TRY(bt_json_at(list, k, &item));
        BT_TRY(bt_json_as_integer(item, 0, 255, &value));
        fill[k] = (uint8_t)value;
    }
    return BT_OK;
}

bt_status bt_picture_rule_read(const bt_json_value *object, bt_picture_rule *out, int *crop) {
    int mode, filter, center, resize;
    bt_picture_rule r = {.resize = 0};
    BT_TRY(read_name(object, "mode", bt_resize_mode_names, BT_RESIZE_SHORTEST, &mode));
    BT_TRY(bt_json_get_int(object, "crop", 1, SIDE_MOST, crop));
    BT_TRY(bt_json_get_int(object, "resize", mode == BT_RESIZE_SHORTEST ? *crop : 1, SIDE_MOST, &resize));
    BT_TRY(read_name(object, "interpolation", bt_filter_names, -1, &filter));
    BT_TRY(read_name(object, "center", bt_center_names, BT_CENTER_EVEN, &center));
    BT_TRY(read_fill(object, r.fill));
    r.mode = (bt_resize_mode)mode;
    r.resize = resize;
    r.filter = (bt_filter)filter;
    r.center = (bt_center)center;
    *out = r;
    return BT_OK;
}
