/* Orientation: where EXIF and XMP say it, and the turn. The values are those of TIFF 6.0 and EXIF 2.32, tag 274. Only
 * the first directory is looked at, and damaged blocks have no orientation: they are not part of the picture. */
#include "formats/image_codec.h"

#include <string.h>

#define ORIENTATION 274u
#define ENTRY_BYTES 12u

static unsigned get(const unsigned char *at, int bytes, bool little) {
    unsigned value = 0;
    for (int i = 0; i < bytes; i++) value |= (unsigned)at[i] << 8 * (little ? i : bytes - 1 - i);
    return value;
}

static int valid(unsigned value) {
    return value >= 1 && value <= 8 ? (int)value : 0;
}

int bt_exif_orientation(const unsigned char *data, size_t bytes) {
    if (bytes >= 6 && memcmp(data, "Exif\0\0", 6) == 0) {
        data += 6;
        bytes -= 6;
    }
    if (bytes < 8) return 0;
    bool little = memcmp(data, "II", 2) == 0;
    if ((!little && memcmp(data, "MM", 2) != 0) || get(data + 2, 2, little) != 42) return 0;
    size_t at = get(data + 4, 4, little);
    if (at > bytes - 2) return 0;
    unsigned entries = get(data + at, 2, little);
    int found = 0;
    for (at += 2; entries > 0 && bytes - at >= ENTRY_BYTES; entries--, at += ENTRY_BYTES) {
        unsigned type = get(data + at + 2, 2, little);
        if (get(data + at, 2, little) != ORIENTATION || get(data + at + 4, 4, little) != 1) continue;
        if (type == 3 || type == 8) found = valid(get(data + at + 8, 2, little)); /* SHORT, SSHORT */
        if (type == 4 || type == 9) found = valid(get(data + at + 8, 4, little)); /* LONG, SLONG */
    }
    return found;
}

int bt_xmp_orientation(const unsigned char *data, size_t bytes) {
    static const char key[] = "tiff:Orientation";
    const size_t length = sizeof key - 1;
    for (size_t at = 0; at + length < bytes; at++) {
        if (data[at] != 't' || memcmp(data + at, key, length) != 0) continue;
        const unsigned char *rest = data + at + length;
        size_t left = bytes - at - length, skip = rest[0] == '>'                                  ? 1
                                                  : left >= 2 && rest[0] == '=' && rest[1] == '"' ? 2
                                                                                                  : 0;
        if (skip && left > skip && rest[skip] >= '0' && rest[skip] <= '9') return valid((unsigned)(rest[skip] - '0'));
    }
    return 0;
}

bt_status bt_image_orient(bt_image *image, int orientation) {
    if (orientation <= 1 || orientation > 8) return BT_OK;
    int64_t height = image->height, width = image->width;
    bool across = orientation >= 5; /* rows become columns */
    bool flip_rows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    bool flip_columns = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bt_image turned;
    BT_TRY(bt_image_new(across ? width : height, across ? height : width, &turned));
    uint8_t *to = turned.pixels;
    for (int64_t y = 0; y < turned.height; y++) {
        for (int64_t x = 0; x < turned.width; x++, to += 3) {
            int64_t row = across ? x : y, column = across ? y : x;
            if (flip_rows) row = height - 1 - row;
            if (flip_columns) column = width - 1 - column;
            memcpy(to, image->pixels + (row * width + column) * 3, 3);
        }
    }
    bt_image_free(image);
    *image = turned;
    return BT_OK;
}
