/* Between tiff.c and tiff_layout.c: how a TIFF's samples lie and what they mean. */
#ifndef BITTERN_FORMATS_TIFF_H
#define BITTERN_FORMATS_TIFF_H

#include "formats/image_codec.h"

#ifdef BITTERN_WITH_TIFF

#include <tiffio.h>

typedef enum bt_tiff_kind {
    BT_TIFF_GREY,
    BT_TIFF_PALETTE,
    BT_TIFF_RGB,
    BT_TIFF_PREMULTIPLIED, /**< red, green, blue times alpha, alpha */
    BT_TIFF_CMYK           /**< 255 = full ink */
} bt_tiff_kind;

typedef struct bt_tiff_layout {
    int64_t height, width, strip_rows;
    int64_t tile_height, tile_width; /**< 0 without tiles */
    bt_tiff_kind kind;
    int samples;  /**< of a pixel in the file */
    int channels; /**< of these that are read: the first ones */
    int bits;     /**< of a sample: 1, 2, 4, 8, 16 (grey also 32) */
    bool is_signed, planar, white_is_zero;
    int orientation;
    uint8_t palette[256][3];
} bt_tiff_layout;

/** Reads and checks the tags: size against the file's options, then whether the layout is one that is read. The
 * messages of layouts that are not name what was found and what is read. */
bt_status bt_tiff_layout_read(TIFF *tiff, const bt_image_file *file, bt_tiff_layout *out) BT_MUST_CHECK;

/** bytes (height, width, channels) of any kind but BT_TIFF_RGB to rgb (height, width, 3). */
void bt_tiff_to_rgb(const bt_tiff_layout *layout, const uint8_t *bytes, uint8_t *rgb);

#endif
#endif
