/* Pictures to files' content in memory, for writers that make many small files. */
#ifndef BITTERN_FORMATS_ENCODE_H
#define BITTERN_FORMATS_ENCODE_H

#include "base/text.h"

#include <stdint.h>

/** Appends a PNG of pixels (height, width, channels), channels 1 (grey) or 3 (RGB), to `out`. BT_ERR_MEMORY;
 * BT_ERR_UNSUPPORTED without libpng. */
bt_status bt_png_encode(const uint8_t *pixels, int64_t height, int64_t width, int channels, bt_text *out) BT_MUST_CHECK;

/** Appends a baseline JPEG of pixels (height, width, 3); colour at full resolution, so that small marks keep it.
 * quality 1..100. BT_ERR_MEMORY; BT_ERR_UNSUPPORTED without libjpeg. */
bt_status bt_jpeg_encode(const uint8_t *pixels, int64_t height, int64_t width, int quality, bt_text *out) BT_MUST_CHECK;

#endif
