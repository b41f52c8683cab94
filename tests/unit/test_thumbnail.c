/* Thumbnails: means of what each pixel covers, and BMP byte by byte. */
#include "check.h"
#include "scratch.h"

#include "base/memory.h"
#include "report/thumbnail.h"

#include <bittern/image.h>

/* 6 x 4 pixels: the centred square is columns 1 to 4; two pixels of a side are means of 2 x 2. */
static void means_of_the_centre(void **state) {
    (void)state;
    uint8_t pixels[4 * 6 * 3];
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 6; x++)
            for (int c = 0; c < 3; c++) pixels[(y * 6 + x) * 3 + c] = (uint8_t)(c == 0 ? x * 40 : c == 1 ? y * 60 : 7);
    check_ok(bt_image_save_ppm(scratch_path("a.ppm"), pixels, 4, 6));
    bt_text out = {0};
    const char *type;
    check_ok(bt_thumbnail(scratch_path("a.ppm"), 2, &out, &type));
    bt_image found;
    if (strcmp(type, "image/bmp") != 0) {
        check_ok(bt_image_decode(bt_text_get(&out), out.length, "thumbnail", NULL, &found));
        assert_true(found.width == 2 && found.height == 2);
        const int red[] = {60, 140}, green[] = {30, 150}; /* JPEG changes them a little */
        for (int i = 0; i < 4; i++) {
            const uint8_t *p = found.pixels + 3 * i;
            if (abs(p[0] - red[i % 2]) > 18 || abs(p[1] - green[i / 2]) > 18 || abs(p[2] - 7) > 18)
                fail_msg("pixel %d is %d %d %d", i, p[0], p[1], p[2]);
        }
        bt_image_free(&found);
    }
    bt_text memory = {0};
    check_ok(bt_thumbnail_of(pixels, 4, 6, 2, &memory, &type));
    assert_int_equal(memory.length, out.length);
    assert_memory_equal(memory.bytes, out.bytes, out.length);
    bt_text_free(&memory);
    bt_text_free(&out);
    check_error(bt_thumbnail(scratch_path("none.png"), 2, &out, &type), BT_ERR_IO, "none.png");
}

static void enlarged(void **state) {
    (void)state;
    const uint8_t pixel[] = {10, 200, 30};
    check_ok(bt_image_save_ppm(scratch_path("one.ppm"), pixel, 1, 1));
    bt_text out = {0};
    const char *type;
    check_ok(bt_thumbnail(scratch_path("one.ppm"), 16, &out, &type));
    assert_true(out.length > 100);
    bt_text_free(&out);
}

static void bmp(void **state) {
    (void)state;
    const uint8_t pixels[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}; /* 2 x 2 */
    const unsigned char wanted[] = {'B', 'M', 70, 0, 0,  0, 0, 0, 0, 0,  54, 0,  0, 0, 40, 0, 0, 0, 2, 0, 0, 0, 2, 0,
                                    0,   0,   1,  0, 24, 0, 0, 0, 0, 0,  16, 0,  0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0,
                                    0,   0,   0,  0, 0,  0, 9, 8, 7, 12, 11, 10, 0, 0, 3,  2, 1, 6, 5, 4, 0, 0};
    bt_text out = {0};
    bt_bmp_encode(pixels, 2, &out);
    assert_int_equal(out.length, sizeof wanted);
    assert_memory_equal(out.bytes, wanted, sizeof wanted);
    bt_text_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(means_of_the_centre), cmocka_unit_test(enlarged),
                                       cmocka_unit_test(bmp)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
