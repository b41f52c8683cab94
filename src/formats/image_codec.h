/* Between image.c and the codecs: one file per library, so that a build without it drops exactly one file's content. */
#ifndef BITTERN_FORMATS_IMAGE_CODEC_H
#define BITTERN_FORMATS_IMAGE_CODEC_H

#include <bittern/image.h>

/** The most that one axis may have: rows of 3 * 2^20 bytes fit every library's types. */
#define BT_IMAGE_MAX_SIDE ((int64_t)1 << 20)

/** A file's content, and how it is to be read. */
typedef struct bt_image_file {
    const unsigned char *content;
    size_t bytes;
    const char *name;         /**< for messages */
    bt_image_options options; /**< defaults filled in */
} bt_image_file;

/** Checks the size that a header claims; called before the codec allocates anything for pixels. */
bt_status bt_image_check_size(const bt_image_file *file, int64_t height, int64_t width) BT_MUST_CHECK;

/** The message of a failed decoder: BT_ERR_FORMAT with the name, the format and what its library said. Bytes of `what`
 *  that are no printable ASCII become blanks: libraries quote the file. */
bt_status bt_image_damaged(const bt_image_file *file, const char *format, const char *what);

/** BT_ERR_FORMAT: a grey value that PIL would clip to 255. */
bt_status bt_image_grey_clipped(const bt_image_file *file, int64_t value, int bits);

/** Decoders. `orientation` is 1 before, and afterwards what EXIF or XMP say, 1..8, if options.orientation asks for it
 *  (TIFF: its own tag, always). `out` is set only with BT_OK. */
bt_status bt_png_decode(const bt_image_file *file, bt_image *out, int *orientation) BT_MUST_CHECK;
bt_status bt_jpeg_decode(const bt_image_file *file, bt_image *out, int *orientation) BT_MUST_CHECK;
bt_status bt_webp_decode(const bt_image_file *file, bt_image *out, int *orientation) BT_MUST_CHECK;
bt_status bt_tiff_decode(const bt_image_file *file, bt_image *out, int *orientation) BT_MUST_CHECK;
bt_status bt_ppm_decode(const bt_image_file *file, bt_image *out, int *orientation) BT_MUST_CHECK;

/** Orientation in an EXIF block (a TIFF header and its tags, with or without "Exif\0\0" before it): 1..8; 0 if it has
 * none. */
int bt_exif_orientation(const unsigned char *data, size_t bytes);

/** The same in an XMP packet: the digit of tiff:Orientation="6" or <tiff:Orientation>6<. */
int bt_xmp_orientation(const unsigned char *data, size_t bytes);

/** Turns and mirrors a picture as orientation 1..8 asks for. BT_ERR_MEMORY leaves it as it was. */
bt_status bt_image_orient(bt_image *image, int orientation) BT_MUST_CHECK;

/** CMYK of one pixel to RGB, as PIL does it; `light` is 255 - K, `ink` (3) holds C, M, Y. */
void bt_ink_to_rgb(const uint8_t *ink, unsigned light, uint8_t *rgb);

#endif
