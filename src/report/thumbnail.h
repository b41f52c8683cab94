/* Small square pictures for pages. */
#ifndef BITTERN_REPORT_THUMBNAIL_H
#define BITTERN_REPORT_THUMBNAIL_H

#include "base/text.h"

#include <stdint.h>

/** Appends the centred square of the picture `path`, `size` pixels of a side, to `out`: a JPEG, or what the build can
 * write (PNG, else BMP). Each pixel is the mean of those it covers; smaller pictures are enlarged by repeating pixels.
 * *media_type is a constant string. Errors of bt_image_load. */
bt_status bt_thumbnail(const char *path, int size, bt_text *out, const char **media_type) BT_MUST_CHECK;

/** The same of pixels (height, width, 3). */
bt_status bt_thumbnail_of(const uint8_t *pixels, int64_t height, int64_t width, int size, bt_text *out,
                          const char **media_type) BT_MUST_CHECK;

/** Appends pixels (size, size, 3) as a BMP of 24 bits, which every browser shows: for builds without libjpeg and
 * libpng. */
void bt_bmp_encode(const uint8_t *pixels, int size, bt_text *out);

#endif
