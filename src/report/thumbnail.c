/* Thumbnails; see thumbnail.h. */
#include "report/thumbnail.h"

#include "base/memory.h"
#include "formats/encode.h"

#include <bittern/image.h>

/** Mean of the pixels that target pixel (x, y) covers, of the square at (left, top) of rows of `width` pixels. */
static void average(const uint8_t *pixels, int64_t width, int64_t left, int64_t top, int64_t side, int size, int x,
                    int y, uint8_t *out) {
    int64_t x0 = left + x * side / size, x1 = left + (x + 1) * side / size;
    int64_t y0 = top + y * side / size, y1 = top + (y + 1) * side / size;
    if (x1 == x0) x1 = x0 + 1;
    if (y1 == y0) y1 = y0 + 1;
    int64_t sum[3] = {0}, count = (x1 - x0) * (y1 - y0);
    for (int64_t v = y0; v < y1; v++)
        for (int64_t u = x0; u < x1; u++)
            for (int c = 0; c < 3; c++) sum[c] += pixels[(v * width + u) * 3 + c];
    for (int c = 0; c < 3; c++) out[c] = (uint8_t)((sum[c] + count / 2) / count);
}

static void put_u32(bt_text *out, uint32_t value) {
    const char bytes[4] = {(char)(value & 255), (char)(value >> 8 & 255), (char)(value >> 16 & 255),
                           (char)(value >> 24)};
    bt_text_append_bytes(out, bytes, 4);
}

void bt_bmp_encode(const uint8_t *pixels, int size, bt_text *out) {
    uint32_t n = (uint32_t)size, row = (3 * n + 3) / 4 * 4;
    bt_text_append_bytes(out, "BM", 2);
    put_u32(out, 54 + row * n);
    put_u32(out, 0);
    put_u32(out, 54); /* where the pixels begin */
    put_u32(out, 40); /* BITMAPINFOHEADER */
    put_u32(out, n);
    put_u32(out, n);
    put_u32(out, 1 | 24u << 16); /* planes, bits */
    for (int i = 0; i < 6; i++) put_u32(out, i == 1 ? row * n : 0);
    for (uint32_t y = n; y-- > 0;) { /* rows from below, blue first */
        for (uint32_t x = 0; x < n; x++) {
            const uint8_t *p = pixels + ((size_t)y * n + x) * 3;
            const char bgr[3] = {(char)p[2], (char)p[1], (char)p[0]};
            bt_text_append_bytes(out, bgr, 3);
        }
        bt_text_append_bytes(out, "\0\0\0", row - 3 * n);
    }
}

static bt_status encode(const uint8_t *pixels, int size, bt_text *out, const char **media_type) {
    *media_type = "image/jpeg";
    bt_status status = bt_jpeg_encode(pixels, size, size, 85, out);
    if (status != BT_ERR_UNSUPPORTED) return status;
    *media_type = "image/png";
    status = bt_png_encode(pixels, size, size, 3, out);
    if (status != BT_ERR_UNSUPPORTED) return status;
    *media_type = "image/bmp";
    bt_bmp_encode(pixels, size, out);
    return bt_text_status(out);
}

bt_status bt_thumbnail_of(const uint8_t *pixels, int64_t height, int64_t width, int size, bt_text *out,
                          const char **media_type) {
    int64_t side = width < height ? width : height;
    int64_t left = (width - side) / 2, top = (height - side) / 2;
    uint8_t *small = bt_memory_alloc((size_t)size * (size_t)size, 3);
    if (!small) return BT_ERR_MEMORY;
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++)
            average(pixels, width, left, top, side, size, x, y, small + ((size_t)y * (size_t)size + (size_t)x) * 3);
    bt_status status = encode(small, size, out, media_type);
    bt_memory_free(small);
    return status;
}

bt_status bt_thumbnail(const char *path, int size, bt_text *out, const char **media_type) {
    bt_image image;
    BT_TRY(bt_image_load(path, NULL, &image));
    bt_status status = bt_thumbnail_of(image.pixels, image.height, image.width, size, out, media_type);
    bt_image_free(&image);
    return status;
}
