/* PPM, the binary kind with 8 bits (P6, maxval 255): "P6", width, height and 255 in ASCII between white space and
 * #-comments, one white space, then height*width*3 bytes. It needs no library, so every build has one picture format.
 * Format: https://netpbm.sourceforge.net/doc/ppm.html. Several images in one file are refused. */
#include "base/file.h"
#include "formats/image_codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_space(unsigned char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Reads a number of at most 7 digits behind white space and comments; -1 if there is none. */
static int64_t read_number(const unsigned char *content, size_t bytes, size_t *at) {
    size_t i = *at;
    while (i < bytes && (is_space(content[i]) || content[i] == '#')) {
        if (content[i] == '#') {
            while (i < bytes && content[i] != '\n') i++;
        } else {
            i++;
        }
    }
    int64_t value = 0;
    size_t first = i;
    while (i < bytes && content[i] >= '0' && content[i] <= '9' && i - first < 8)
        value = value * 10 + (content[i++] - '0');
    *at = i;
    return i == first || i - first > 7 ? -1 : value;
}

bt_status bt_ppm_decode(const bt_image_file *file, bt_image *out, int *orientation) {
    (void)orientation; /* the format has none */
    const unsigned char *content = file->content;
    const char *name = file->name;
    size_t bytes = file->bytes;
    static const char *const what[3] = {"width", "height", "maxval"};
    int64_t number[3];
    size_t at = 2;
    for (int i = 0; i < 3; i++) {
        number[i] = read_number(content, bytes, &at);
        if (number[i] < 0) {
            return bt_error(BT_ERR_FORMAT, "%s: damaged PPM image: no %s (up to 7 digits) at byte %zu", name, what[i],
                            at);
        }
    }
    if (number[2] != 255) {
        return bt_error(BT_ERR_FORMAT, "%s: the PPM's maxval is %" PRId64 "; only 255 is read", name, number[2]);
    }
    BT_TRY(bt_image_check_size(file, number[1], number[0]));
    if (at >= bytes || !is_space(content[at])) {
        return bt_error(BT_ERR_FORMAT, "%s: damaged PPM image: no white space behind maxval at byte %zu", name, at);
    }
    at++;
    size_t need = (size_t)number[0] * (size_t)number[1] * 3;
    if (bytes - at != need) {
        return bt_error(BT_ERR_FORMAT,
                        "%s: damaged PPM image: %zu bytes of pixels where %" PRId64 " x %" PRId64 " x 3 = %zu are due",
                        name, bytes - at, number[0], number[1], need);
    }
    bt_image image;
    BT_TRY(bt_image_new(number[1], number[0], &image));
    memcpy(image.pixels, content + at, need);
    *out = image;
    return BT_OK;
}

bt_status bt_image_save_ppm(const char *path, const uint8_t *pixels, int64_t height, int64_t width) {
    char header[64];
    int header_bytes = snprintf(header, sizeof header, "P6\n%" PRId64 " %" PRId64 "\n255\n", width, height);
    bt_file_writer writer;
    BT_TRY(bt_file_begin(path, &writer));
    bt_file_append(&writer, header, (size_t)header_bytes);
    bt_file_append(&writer, pixels, (size_t)height * (size_t)width * 3);
    return bt_file_commit(&writer);
}
