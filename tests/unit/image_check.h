/* What tests of picture files share: a file is read as wanted or refused as wanted, torture, PIL's pixels. */
#ifndef BITTERN_TESTS_IMAGE_CHECK_H
#define BITTERN_TESTS_IMAGE_CHECK_H

#include <bittern/image.h>

#include "scratch.h"

static inline void expect_failure(const char *path, const bt_image_options *limits, bt_status status,
                                  const char *message) {
    bt_image image = {.pixels = (uint8_t *)scratch_root, .height = -1, .width = -1}; /* must stay */
    bt_status got = bt_image_load(path, limits, &image);
    if (got != status) fail_msg("%s: status %d, not %d: %s", message, (int)got, (int)status, bt_error_message());
    assert_true(image.height == -1 && image.width == -1 && image.pixels == (uint8_t *)scratch_root);
    if (!strstr(bt_error_message(), message)) fail_msg("\"%s\" is not in \"%s\"", message, bt_error_message());
    assert_non_null(strstr(bt_error_message(), path));
}

static inline void expect_pixels(const char *path, const uint8_t *want, int height, int width) {
    bt_image image;
    if (bt_image_load(path, NULL, &image) != BT_OK) fail_msg("%s", bt_error_message());
    assert_int_equal(image.height, height);
    assert_int_equal(image.width, width);
    assert_memory_equal(image.pixels, want, (size_t)(height * width * 3));
    bt_image_free(&image);
}

/* Cuts the file at every length and flips bits all over it: a picture or an error of a known kind, never a crash, and
 * never a picture from a cut file. */
static inline void torture(const char *name, unsigned char *content, size_t bytes) {
    for (size_t cut = 0; cut < bytes; cut++) {
        bt_image image;
        bt_status status = bt_image_decode(content, cut, name, NULL, &image);
        if (status != BT_ERR_FORMAT)
            fail_msg("%s: the first %zu of %zu bytes gave status %d", name, cut, bytes, (int)status);
    }
    const bt_image_options limits = {.pixels = 1 << 20};
    for (size_t i = 0; i < bytes; i++) {
        bt_image image;
        content[i] ^= (unsigned char)(1u << i % 8);
        bt_status status = bt_image_decode(content, bytes, name, &limits, &image);
        if (status == BT_OK) bt_image_free(&image);
        assert_true(status == BT_OK || status == BT_ERR_FORMAT);
        content[i] ^= (unsigned char)(1u << i % 8);
    }
}

/* What PIL makes of a file, in new memory of malloc; NULL with a line of text if PIL is not here. */
static inline unsigned char *pil_pixels(const char *path, size_t bytes) {
    char command[1024];
    const char *out = scratch_path("pil.raw");
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c \"from PIL import Image; open('%s', "
             "'wb').write(Image.open('%s').convert('RGB').tobytes())\""
             " 2>/dev/null",
             out, path);
    static int absent = -1; /* a Python takes long to start */
    if (absent < 0) absent = system("/usr/bin/python3 -c 'import PIL' 2>/dev/null") != 0;
    if (absent) {
        print_message("comparison with PIL skipped: /usr/bin/python3 has no PIL (python3-pil)\n");
        return NULL;
    }
    assert_int_equal(system(command), 0);
    size_t got;
    unsigned char *pixels = scratch_read(out, &got);
    assert_int_equal(got, bytes);
    return pixels;
}

#endif
