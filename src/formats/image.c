/* Pictures: what all formats share (limits, recognition by the first bytes, memory). */
#include <bittern/image.h>

#include "base/file.h"
#include "base/memory.h"
#include "formats/image_codec.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

static bt_image_limits limits_of(const bt_image_limits *limits) {
    bt_image_limits all = limits ? *limits : (bt_image_limits){0};
    if (all.pixels == 0) all.pixels = BT_IMAGE_PIXELS;
    if (all.file_bytes == 0) all.file_bytes = BT_IMAGE_FILE_BYTES;
    return all;
}

bt_status bt_image_check_size(const char *name, int64_t height, int64_t width, const bt_image_limits *limits) {
    if (height < 1 || width < 1) {
        return bt_error(BT_ERR_FORMAT,
                        "%s: the image is %" PRId64 " x %" PRId64 " pixels (width x height); both must be 1 or more",
                        name, width, height);
    }
    if (height > BT_IMAGE_MAX_SIDE || width > BT_IMAGE_MAX_SIDE || height * width > limits->pixels) {
        return bt_error(BT_ERR_FORMAT,
                        "%s: the image claims %" PRId64 " x %" PRId64 " pixels (width x height); at most %" PRId64
                        " pixels and %" PRId64 " on a side are allowed",
                        name, width, height, limits->pixels, BT_IMAGE_MAX_SIDE);
    }
    return BT_OK;
}

bt_status bt_image_damaged(const char *name, const char *format, const char *what) {
    return bt_error(BT_ERR_FORMAT, "%s: damaged %s image: %s", name, format, what);
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
    if (begins(content, bytes, "RIFF", 4)) return "it is a RIFF file (WebP?); convert it to PNG or JPEG";
    if (begins(content, bytes, "II*", 4) || begins(content, bytes, "MM\0*", 4))
        return "it is a TIFF; convert it to PNG";
    return "its first bytes belong to none of these";
}

bt_status bt_image_decode(const void *content, size_t bytes, const char *name, const bt_image_limits *limits,
                          bt_image *out) {
    bt_image_limits all = limits_of(limits);
    if (begins(content, bytes, "\x89PNG\r\n\x1a\n", 8)) return bt_png_decode(content, bytes, name, &all, out);
    if (begins(content, bytes, "\xff\xd8\xff", 3)) return bt_jpeg_decode(content, bytes, name, &all, out);
    if (begins(content, bytes, "P6", 2)) return bt_ppm_decode(content, bytes, name, &all, out);
    return bt_error(BT_ERR_FORMAT, "%s: not a PNG, JPEG or PPM (P6) image: %s", name, guess(content, bytes));
}

bt_status bt_image_load(const char *path, const bt_image_limits *limits, bt_image *out) {
    char *content;
    size_t bytes;
    BT_TRY(bt_file_read(path, limits_of(limits).file_bytes, &content, &bytes));
    bt_status status = bt_image_decode(content, bytes, path, limits, out);
    bt_memory_free(content);
    return status;
}

bool bt_image_named(const char *name) {
    static const char *const endings[] = {".png", ".jpg", ".jpeg", ".ppm"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof endings[0]; i++) {
        if (strcasecmp(dot, endings[i]) == 0) return true;
    }
    return false;
}
