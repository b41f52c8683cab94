/* Between image.c and the codecs: one file per library, so that a build without it drops exactly one file's content. */
#ifndef BITTERN_FORMATS_IMAGE_CODEC_H
#define BITTERN_FORMATS_IMAGE_CODEC_H

#include <bittern/image.h>

/** The most that one axis may have: rows of 3 * 2^20 bytes fit every library's types. */
#define BT_IMAGE_MAX_SIDE ((int64_t)1 << 20)

/** Checks the size that a header claims; called before the codec allocates anything for pixels. */
bt_status bt_image_check_size(const char *name, int64_t height, int64_t width,
                              const bt_image_limits *limits) BT_MUST_CHECK;

/** The message of a failed decoder: BT_ERR_FORMAT with the name, the format and what its library said. */
bt_status bt_image_damaged(const char *name, const char *format, const char *what);

bt_status bt_png_decode(const unsigned char *content, size_t bytes, const char *name, const bt_image_limits *limits,
                        bt_image *out) BT_MUST_CHECK;
bt_status bt_jpeg_decode(const unsigned char *content, size_t bytes, const char *name, const bt_image_limits *limits,
                         bt_image *out) BT_MUST_CHECK;
bt_status bt_ppm_decode(const unsigned char *content, size_t bytes, const char *name, const bt_image_limits *limits,
                        bt_image *out) BT_MUST_CHECK;

#endif
