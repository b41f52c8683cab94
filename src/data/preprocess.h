/* How a published model wants its pictures: read from the configuration file that comes with it, never assumed, and the
 * views that follow from it - the bytes of PIL with the library's own transform.
 *
 * Three libraries say it in three files, and round in three ways:
 *   timm          config.json: pretrained_cfg (input_size, crop_pct, crop_mode, interpolation, mean, std)
 *   open_clip     open_clip_config.json: preprocess_cfg (resize_mode, interpolation, fill_color, mean, std) and
 *                 model_cfg.vision_cfg.image_size
 *   transformers  preprocessor_config.json: do_*, size, crop_size, resample, rescale_factor, image_mean, image_std
 * A mode, a filter or a step that is not known is refused by its name: docs/pictures.md has the list. Mean, standard
 * deviation and size must be there; what else is missing takes the library's default and is listed in `assumed`.
 */
#ifndef BITTERN_DATA_PREPROCESS_H
#define BITTERN_DATA_PREPROCESS_H

#include "base/text.h"
#include "pixels/resample.h"

typedef enum bt_resize_mode {
    BT_RESIZE_SHORTEST, /**< the picture just covers (resize_height, resize_width); its ratio is kept */
    BT_RESIZE_LONGEST,  /**< it just fits into it; its ratio is kept */
    BT_RESIZE_SQUASH,   /**< both sides as asked */
    BT_RESIZE_NONE      /**< as it is */
} bt_resize_mode;

/** Where the centre of an axis begins when an odd number of pixels is left over. */
typedef enum bt_center {
    BT_CENTER_EVEN, /**< torchvision, timm, open_clip, transformers' "Fast" classes: half of it rounded to even, and
                       padding rounded down */
    BT_CENTER_DOWN  /**< transformers' other classes: half of it rounded down, and padding rounded up */
} bt_center;

typedef struct bt_preprocess {
    bt_resize_mode mode;
    bt_filter filter;
    int resize_height, resize_width; /**< not looked at with BT_RESIZE_NONE */
    int height, width;               /**< of the view: the centre of the resized picture, padded where it is smaller */
    bt_center center;
    uint8_t fill[3]; /**< colour of the padding */
    double rescale;  /**< a value is (byte * rescale - mean) / std; 1/255 as a rule */
    double mean[3], std[3];
    bool by_tensor;  /**< transformers' "Fast" classes resize tensors: their values differ from PIL's bytes by roundings
                      */
    char source[16]; /**< "timm", "open_clip", "transformers" */
    char assumed[160]; /**< names of what the file leaves to the library's defaults, with commas between; "": nothing */
} bt_preprocess;

/** Reads the text of a configuration file; `name` heads the messages. BT_ERR_FORMAT (no JSON, a field missing or of a
 * wrong kind: with the byte in the file), BT_ERR_UNSUPPORTED (a mode, filter or step that is not known: names it and
 * those that are). `out` stays untouched on failure. */
bt_status bt_preprocess_parse_timm(const char *text, size_t bytes, const char *name, bt_preprocess *out) BT_MUST_CHECK;
bt_status bt_preprocess_parse_open_clip(const char *text, size_t bytes, const char *name,
                                        bt_preprocess *out) BT_MUST_CHECK;
bt_status bt_preprocess_parse_transformers(const char *text, size_t bytes, const char *name,
                                           bt_preprocess *out) BT_MUST_CHECK;

/** The same, the library told by the file's keys. */
bt_status bt_preprocess_parse(const char *text, size_t bytes, const char *name, bt_preprocess *out) BT_MUST_CHECK;

/** Mean and standard deviation for bytes / 255: equal to `mean` and `std` where rescale is 1/255. */
void bt_preprocess_unit(const bt_preprocess *preprocess, float mean[3], float std[3]);

/** One line: "shorter side to 256 (bicubic), centre 224 x 224; mean 0.485 0.456 0.406, std 0.229 0.224 0.225". */
bt_status bt_preprocess_describe(const bt_preprocess *preprocess, bt_text *out) BT_MUST_CHECK;

/** Where a picture's pixels lie in a view of (preprocess->height, preprocess->width): view.window of them from (top,
 * left) on. */
typedef struct bt_placed_view {
    bt_view view;
    int64_t top, left;
    bool padded; /**< the window is smaller than the view */
} bt_placed_view;

/** The view of a (height, width) picture. BT_ERR_FORMAT where a side of it would be rounded to nothing (where PIL fails
 * too). */
bt_status bt_preprocess_view(const bt_preprocess *preprocess, int64_t height, int64_t width,
                             bt_placed_view *out) BT_MUST_CHECK;

/** pixels (height, width, 3) to out (preprocess->height, preprocess->width, 3). BT_ERR_MEMORY, errors of
 * bt_preprocess_view. */
bt_status bt_preprocess_run(const bt_preprocess *preprocess, bt_resampler *resampler, const uint8_t *pixels,
                            int64_t height, int64_t width, uint8_t *out) BT_MUST_CHECK;

#endif
