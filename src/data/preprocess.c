/* Views as a model's configuration asks for them; see preprocess.h. Sources: torchvision's Resize and CenterCrop,
 * timm's and open_clip's ResizeKeepRatio and CenterCropOrPad, transformers' get_resize_output_image_size and
 * center_crop. */
#include "data/preprocess.h"

#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void bt_preprocess_unit(const bt_preprocess *p, float mean[3], float std[3]) {
    double scale = p->rescale * 255;
    if (fabs(scale - 1) < 1e-12) scale = 1; /* 1/255 with its last digits cut */
    for (int c = 0; c < 3; c++) {
        mean[c] = (float)(p->mean[c] / scale);
        std[c] = (float)(p->std[c] / scale);
    }
}

bt_status bt_preprocess_describe(const bt_preprocess *p, bt_text *out) {
    const char *filter = p->filter == BT_FILTER_BICUBIC ? "bicubic" : "bilinear";
    bool square = p->resize_height == p->resize_width;
    switch (p->mode) {
    case BT_RESIZE_SHORTEST:
        if (square)
            bt_text_append(out, "shorter side to %d (%s)", p->resize_width, filter);
        else
            bt_text_append(out, "to cover %d x %d (%s)", p->resize_width, p->resize_height, filter);
        break;
    case BT_RESIZE_LONGEST:
        bt_text_append(out, "to fit into %d x %d (%s), filled with %d %d %d", p->resize_width, p->resize_height, filter,
                       p->fill[0], p->fill[1], p->fill[2]);
        break;
    case BT_RESIZE_SQUASH:
        bt_text_append(out, "squashed to %d x %d (%s)", p->resize_width, p->resize_height, filter);
        break;
    case BT_RESIZE_NONE:
        bt_text_append(out, "not resized");
        break;
    }
    bt_text_append(out, ", centre %d x %d; mean %.9g %.9g %.9g, std %.9g %.9g %.9g", p->width, p->height, p->mean[0],
                   p->mean[1], p->mean[2], p->std[0], p->std[1], p->std[2]);
    if (fabs(p->rescale * 255 - 1) >= 1e-12) bt_text_append(out, ", bytes times %.9g", p->rescale);
    return bt_text_status(out);
}

/* Both sides of the resized picture. Of a square that is to be covered the shorter side is met and the longer one cut;
 * else both are rounded, half to even, from one ratio. */
static void full_size(const bt_preprocess *p, int64_t height, int64_t width, bt_view *view) {
    view->full_height = p->resize_height;
    view->full_width = p->resize_width;
    if (p->mode == BT_RESIZE_NONE) {
        view->full_height = height;
        view->full_width = width;
    } else if (p->mode == BT_RESIZE_SHORTEST && p->resize_height == p->resize_width) {
        if (width <= height)
            view->full_height = p->resize_height * height / width;
        else
            view->full_width = p->resize_width * width / height;
    } else if (p->mode != BT_RESIZE_SQUASH) {
        double down = (double)height / p->resize_height, across = (double)width / p->resize_width;
        double ratio = (p->mode == BT_RESIZE_LONGEST) == (down > across) ? down : across;
        view->full_height = (int64_t)rint((double)height / ratio);
        view->full_width = (int64_t)rint((double)width / ratio);
    }
}

/* One axis of the centre: where it begins in the full picture, how much of that it holds, and where this goes. */
static void place(bt_center center, int64_t full, int64_t wanted, int64_t *begin, int64_t *count, int64_t *at) {
    int64_t rest = full > wanted ? full - wanted : wanted - full, half = rest / 2;
    bool odd_half = rest % 2 != 0;
    *begin = *at = 0;
    *count = full > wanted ? wanted : full;
    if (full > wanted)
        *begin = half + (odd_half && center == BT_CENTER_EVEN && half % 2 != 0);
    else
        *at = half + (odd_half && center == BT_CENTER_DOWN);
}

bt_status bt_preprocess_view(const bt_preprocess *p, int64_t height, int64_t width, bt_placed_view *out) {
    BT_ASSERT(height > 0 && width > 0 && p->height > 0 && p->width > 0);
    bt_placed_view placed = {.view = {.crop = {.height = height, .width = width}, .filter = p->filter}};
    bt_box *window = &placed.view.window;
    full_size(p, height, width, &placed.view);
    if (placed.view.full_height < 1 || placed.view.full_width < 1)
        return bt_error(
            BT_ERR_FORMAT,
            "a picture of %" PRId64 " x %" PRId64
            " pixels (width x height) that is resized to fit into %d x %d keeps no pixel of its shorter side",
            width, height, p->resize_width, p->resize_height);
    place(p->center, placed.view.full_height, p->height, &window->top, &window->height, &placed.top);
    place(p->center, placed.view.full_width, p->width, &window->left, &window->width, &placed.left);
    placed.padded = window->height < p->height || window->width < p->width;
    *out = placed;
    return BT_OK;
}

bt_status bt_preprocess_run(const bt_preprocess *p, bt_resampler *resampler, const uint8_t *pixels, int64_t height,
                            int64_t width, uint8_t *out) {
    bt_placed_view placed;
    BT_TRY(bt_preprocess_view(p, height, width, &placed));
    const bt_box *window = &placed.view.window;
    if (!placed.padded) return bt_resample(resampler, pixels, height, width, &placed.view, out);
    uint8_t *inner = bt_memory_alloc((size_t)(window->height * window->width), 3);
    if (!inner) return BT_ERR_MEMORY;
    bt_status status = bt_resample(resampler, pixels, height, width, &placed.view, inner);
    for (int64_t i = 0; status == BT_OK && i < (int64_t)p->height * p->width; i++) memcpy(out + 3 * i, p->fill, 3);
    for (int64_t y = 0; status == BT_OK && y < window->height; y++)
        memcpy(out + ((placed.top + y) * p->width + placed.left) * 3, inner + y * window->width * 3,
               (size_t)window->width * 3);
    bt_memory_free(inner);
    return status;
}
