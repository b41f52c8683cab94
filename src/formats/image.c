/* Pictures: what all formats share (limits, recognition by the first bytes, memory). */
#include <bittern/image.h>

#include "base/file.h"
#include "base/memory.h"
#include "formats/image_codec.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

static bt_image_options filled(const bt_image_options *options) {
    bt_image_options all = options ? *options : (bt_image_options){0};
    if (all.pixels == 0) all.pixels = BT_IMAGE_PIXELS;
    if (all.file_bytes == 0) all.file_bytes = BT_IMAGE_FILE_BYTES;
    return all;
}

bt_status bt_image_check_size(const bt_image_file *file, int64_t height, int64_t width) {
    if (height < 1 || width < 1) {
        return bt_error(BT_ERR_FORMAT,
                        "%s: the image is %" PRId64 " x %" PRId64 " pixels (width x height); both must be 1 or more",
                        file->name, width, height);
    }
    if (height > BT_IMAGE_MAX_SIDE || width > BT_IMAGE_MAX_SIDE || height * width > file->options.pixels) {
        return bt_error(BT_ERR_FORMAT,
                        "%s: the image claims %" PRId64 " x %" PRId64 " pixels (width x height); at most %" PRId64
                        " pixels and %" PRId64 " on a side are allowed",
                        file->name, width, height, file->options.pixels, BT_IMAGE_MAX_SIDE);
    }
    return BT_OK;
}

bt_status bt_image_damaged(const bt_image_file *file, const char *format, const char *what) {
    char text[256];
    size_t length = 0;
    for (; what[length] && length < sizeof text - 1; length++) {
        unsigned char c = (unsigned char)what[length];
        text[length] = c < 32 || c > 126 ? ' ' : (char)c;
    }
    text[length] = 0;
    return bt_error(BT_ERR_FORMAT, "%s: damaged %s image: %s", file->name, format, text);
}

bt_status bt_image_grey_clipped(const bt_image_file *file, int64_t value, int bits) {
    return bt_error(BT_ERR_FORMAT,
                    "%s: %d-bit grey with the value %" PRId64
                    ", which PIL clips to 0..255 (and a picture to white); convert it to 8 bits",
                    file->name, bits, value);
}

/* a*b/255, rounded: exact for 8-bit values. */
static unsigned scale_255(unsigned a, unsigned b) {
    unsigned t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* Written as PIL does, so that rounding agrees. */
void bt_ink_to_rgb(const uint8_t *ink, unsigned light, uint8_t *rgb) {
    for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)(light - scale_255(ink[c], light));
}

bt_status bt_image_new(int64_t height, int64_t width, bt_image *out) {
    BT_ASSERT(height > 0 && width > 0 && height <= BT_IMAGE_MAX_SIDE && width <= BT_IMAGE_MAX_SIDE);
    uint8_t *pixels = bt_memory_alloc((size_t)height * (size_t)width, 3);
    if (!pixels) return BT_ERR_MEMORY;
    *out = (bt_image){.pixels = pixels, .height = height, .width = width};
    return BT_OK;
}

void bt_image_free(bt_image *image) {
    bt_memory_free(image->pixels);
    *image = (bt_image){0};
}

static bool begins(const unsigned char *content, size_t bytes, const char *magic, size_t magic_bytes) {
    return bytes >= magic_bytes && memcmp(content, magic, magic_bytes) == 0;
}

/* What a user most often finds in a folder in place of a picture. */
static const char *guess(const unsigned char *content, size_t bytes) {
    if (bytes == 0) return "it is empty";
    if (begins(content, bytes, "version https://git-lfs", 23))
        return "it is a git-lfs pointer; fetch it with `git lfs pull`";
    if (content[0] == '<') return "it looks like a web page, perhaps the error page of a download";
    if (begins(content, bytes, "GIF8", 4)) return "it is a GIF; convert it to PNG";
    if (begins(content, bytes, "BM", 2)) return "it is a BMP; convert it to PNG";
    if (begins(content, bytes, "RIFF", 4)) return "it is a RIFF file, but no WebP";
    if (bytes >= 12 && memcmp(content + 4, "ftyp", 4) == 0)
        return "it is a HEIC, an AVIF or a film; convert it to PNG or JPEG";
    return "its first bytes belong to none of these";
}

typedef bt_status decoder(const bt_image_file *file, bt_image *out, int *orientation);

static decoder *decoder_of(const unsigned char *content, size_t bytes) {
    if (begins(content, bytes, "\x89PNG\r\n\x1a\n", 8)) return bt_png_decode;
    if (begins(content, bytes, "\xff\xd8\xff", 3)) return bt_jpeg_decode;
    if (begins(content, bytes, "RIFF", 4) && bytes >= 12 && memcmp(content + 8, "WEBP", 4) == 0) return bt_webp_decode;
    if (begins(content, bytes, "II*", 4) || begins(content, bytes, "MM\0*", 4)) return bt_tiff_decode;
    if (begins(content, bytes, "II+", 4) || begins(content, bytes, "MM\0+", 4)) return bt_tiff_decode; /* BigTIFF */
    if (begins(content, bytes, "P6", 2)) return bt_ppm_decode;
    return NULL;
}

bt_status bt_image_decode(const void *content, size_t bytes, const char *name, const bt_image_options *options,
                          bt_image *out) {
    bt_image_file file = {.content = content, .bytes = bytes, .name = name, .options = filled(options)};
    decoder *decode = decoder_of(content, bytes);
    if (!decode)
        return bt_error(BT_ERR_FORMAT, "%s: not a PNG, JPEG, WebP, TIFF or PPM (P6) image: %s", name,
                        guess(content, bytes));
    bt_image image;
    int orientation = 1;
    BT_TRY(decode(&file, &image, &orientation));
    bt_status status = bt_image_orient(&image, orientation);
    if (status != BT_OK) {
        bt_image_free(&image);
        return status;
    }
    *out = image;
    return BT_OK;
}

bt_status bt_image_load(const char *path, const bt_image_options *options, bt_image *out) {
    char *content;
    size_t bytes;
    BT_TRY(bt_file_read(path, filled(options).file_bytes, &content, &bytes));
    bt_status status = bt_image_decode(content, bytes, path, options, out);
    bt_memory_free(content);
    return status;
}

bool bt_image_named(const char *name) {
    const char *dot = strrchr(name, '.');
    for (const char *ending = BT_IMAGE_ENDINGS; dot && (ending = strchr(ending, '.')); ending++) {
        size_t length = strcspn(ending, ", ");
        if (strlen(dot) == length && strncasecmp(dot, ending, length) == 0) return true;
    }
    return false;
}
