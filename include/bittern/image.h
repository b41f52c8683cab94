/* Pictures: files to 8-bit RGB and back.
 *
 * The format is told by the first bytes, not by the name: PNG (libpng), JPEG (libjpeg), PPM (P6, maxval 255, no
 * library). Whatever the file holds becomes RGB as PIL's Image.convert("RGB") has it, so that features agree with
 * PyTorch pipelines: grey            the value three times; 1, 2 and 4 bits are stretched to 0..255 palette looked up
 *   alpha           dropped, colours under it kept; a transparent colour or palette entry is an ordinary colour
 *   16 bits         the upper 8 (PIL does this for colour; it clips 16-bit grey at 255, which we do not)
 *   CMYK, YCCK JPEG values taken as Adobe writes them (0 = full ink): R = C K / 255, and so on
 * EXIF orientation, gamma and colour profiles are not applied (nor does PIL unless it is asked).
 *
 * A file that is cut or damaged is an error, never a picture with a grey lower half. Sizes are checked against the
 * limits from the file's header, before any pixel memory is allocated.
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

/** What a file may ask for. Zero takes the default. */
typedef struct bt_image_limits {
    int64_t pixels; /**< width x height */
    size_t file_bytes;
} bt_image_limits;

/** Reads and decodes a file. `limits` may be NULL. BT_ERR_IO, BT_ERR_FORMAT (damaged, unknown, too large: the message
 *  names the file and what the library said), BT_ERR_UNSUPPORTED (format not in this build: names the package). */
bt_status bt_image_load(const char *path, const bt_image_limits *limits, bt_image *out) BT_MUST_CHECK;

/** Decodes a file's content; `name` is for messages. limits->file_bytes is not looked at. */
bt_status bt_image_decode(const void *content, size_t bytes, const char *name, const bt_image_limits *limits,
                          bt_image *out) BT_MUST_CHECK;

/** An image with undefined content; height and width at least 1. */
bt_status bt_image_new(int64_t height, int64_t width, bt_image *out) BT_MUST_CHECK;
void bt_image_free(bt_image *image);

/** Writes pixels (height, width, 3). The file appears under its name only when it is complete and on the disk. */
bt_status bt_image_save_png(const char *path, const uint8_t *pixels, int64_t height, int64_t width) BT_MUST_CHECK;
bt_status bt_image_save_ppm(const char *path, const uint8_t *pixels, int64_t height, int64_t width) BT_MUST_CHECK;

/** Whether a file's name ends in .png, .jpg, .jpeg or .ppm, in any case. */
bool bt_image_named(const char *name);

#ifdef __cplusplus
}
#endif
#endif
