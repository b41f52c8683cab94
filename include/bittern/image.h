/* Pictures: files to 8-bit RGB and back.
 *
 * The format is told by the first bytes, not by the name: PNG (libpng), JPEG (libjpeg), WebP (libwebp), TIFF (libtiff),
 * PPM (P6, maxval 255, no library). Whatever the file holds becomes RGB as PIL's Image.open(f).convert("RGB") has it,
 * so that features agree with PyTorch pipelines; docs/pictures.md has the rules, and what is refused: grey the value
 * three times; 1, 2 and 4 bits are stretched to 0..255 palette           looked up alpha             dropped, colours
 * under it kept; a transparent colour or palette entry is an ordinary colour. Only TIFF's premultiplied colours are
 * divided by their alpha 16 bits           colour: the upper 8. Grey: PIL clips at 255, so a file with larger values is
 * refused CMYK, YCCK        R = C K / 255, and so on; JPEG's values are taken as Adobe writes them (0 = full ink)
 *   animated WebP     the first frame, black around it; TIFF of several pages: the first
 *   orientation       of EXIF or XMP: not applied unless asked for; TIFF's own tag always is, as PIL does
 * Gamma and colour profiles are not applied.
 *
 * A file that is cut or damaged is an error, never a picture with a grey lower half. Sizes are checked against the
 * options from the file's header, before any pixel memory is allocated.
 */
#ifndef BITTERN_IMAGE_H
#define BITTERN_IMAGE_H

#include <bittern/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A picture. Its pixels are owned: bt_image_free. */
typedef struct bt_image {
    uint8_t *pixels; /**< (height, width, 3) red, green, blue; no padding between rows */
    int64_t height, width;
} bt_image;

#define BT_IMAGE_PIXELS ((int64_t)1 << 27) /**< default limits */
#define BT_IMAGE_FILE_BYTES ((size_t)1 << 28)

/** What an EXIF or XMP orientation does; the libraries that publish models ignore it. */
typedef enum bt_orientation {
    BT_ORIENTATION_IGNORE,
    BT_ORIENTATION_APPLY /**< as PIL's ImageOps.exif_transpose: upright pixels */
} bt_orientation;

/** How a file is read. Zeroed: the defaults. */
typedef struct bt_image_options {
    int64_t pixels;    /**< most that its width x height may be; 0: BT_IMAGE_PIXELS */
    size_t file_bytes; /**< most that it may have; 0: BT_IMAGE_FILE_BYTES */
    bt_orientation orientation;
    int64_t jpeg_side; /**< JPEG only: decoded at the smallest of 1/8, 2/8, .. 8/8 of its size whose shorter side is at
                        *   least this (libjpeg's scaled inverse DCT; pixels differ from PIL's). 0: at its own size */
} bt_image_options;

/** Reads and decodes a file. `options` may be NULL. BT_ERR_IO, BT_ERR_FORMAT (damaged, unknown, too large: the message
 *  names the file and what the library said), BT_ERR_UNSUPPORTED (format not in this build: names the package). */
bt_status bt_image_load(const char *path, const bt_image_options *options, bt_image *out) BT_MUST_CHECK;

/** Decodes a file's content; `name` is for messages. options->file_bytes is not looked at. */
bt_status bt_image_decode(const void *content, size_t bytes, const char *name, const bt_image_options *options,
                          bt_image *out) BT_MUST_CHECK;

/** An image with undefined content; height and width at least 1. */
bt_status bt_image_new(int64_t height, int64_t width, bt_image *out) BT_MUST_CHECK;
void bt_image_free(bt_image *image);

/** Writes pixels (height, width, 3). The file appears under its name only when it is complete and on the disk. */
bt_status bt_image_save_png(const char *path, const uint8_t *pixels, int64_t height, int64_t width) BT_MUST_CHECK;
bt_status bt_image_save_ppm(const char *path, const uint8_t *pixels, int64_t height, int64_t width) BT_MUST_CHECK;

/** Endings of picture files: the only list of them, worded for messages. */
#define BT_IMAGE_ENDINGS ".png, .jpg, .jpeg, .ppm, .webp, .tif or .tiff"

/** Whether a file's name ends in one of BT_IMAGE_ENDINGS, in any case. */
bool bt_image_named(const char *name);

#ifdef __cplusplus
}
#endif
#endif
