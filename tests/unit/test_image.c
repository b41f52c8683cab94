/* Pictures: round trips, every kind of PNG and JPEG (made here with libpng and libjpeg), comparison with PIL, cut and
 * damaged files, sizes that a header claims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image_check.h"

#ifdef BITTERN_WITH_PNG
#include <png.h>
#endif
#ifdef BITTERN_WITH_JPEG
#include <jpeglib.h>
#endif

/* Smooth content, so that JPEG stays near it. (height, width, channels) */
static void paint(uint8_t *pixels, int height, int width, int channels) {
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            for (int c = 0; c < channels; c++) {
                pixels[(y * width + x) * channels + c] = (uint8_t)(40 + x * 2 + y * c);
            }
        }
    }
}

/* ---- any build ---- */

static void ppm_round_trip(void **state) {
    (void)state;
    static uint8_t pixels[7 * 13 * 3];
    paint(pixels, 7, 13, 3);
    const char *path = scratch_path("trip.ppm");
    assert_int_equal(bt_image_save_ppm(path, pixels, 7, 13), BT_OK);
    expect_pixels(path, pixels, 7, 13);
    expect_pixels(scratch_file("comment.ppm", "P6 # two\n# lines\n1\t1 255\nABC", 28), (const uint8_t *)"ABC", 1, 1);
}

static void hostile_ppm(void **state) {
    (void)state;
    static const struct {
        const char *content, *message;
    } cases[] = {
        {"P6", "no width (up to 7 digits) at byte 2"},
        {"P6 x", "no width (up to 7 digits) at byte 3"},
        {"P6 2", "no height (up to 7 digits) at byte 4"},
        {"P6 2 2 # 255", "no maxval (up to 7 digits) at byte 12"},
        {"P6 2 2 65535\n", "maxval is 65535; only 255 is read"},
        {"P6 2 99999999 255\n", "no height (up to 7 digits)"},
        {"P6 0 2 255\n", "the image is 0 x 2 pixels (width x height); both must be 1 or more"},
        {"P6 2 2 255", "no white space behind maxval at byte 10"},
        {"P6 2 2 255\n12345678901", "11 bytes of pixels where 2 x 2 x 3 = 12 are due"},
        {"P6 2 2 255\n1234567890123", "13 bytes of pixels where 2 x 2 x 3 = 12 are due"},
        {"P6 1048576 1048576 255\n", "claims 1048576 x 1048576 pixels (width x height); at most 134217728 pixels"},
        {"P6 2000000 1 255\n", "claims 2000000 x 1 pixels"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = scratch_file("bad.ppm", cases[i].content, strlen(cases[i].content));
        expect_failure(path, NULL, BT_ERR_FORMAT, cases[i].message);
    }
}

static void other_files(void **state) {
    (void)state;
    static const struct {
        const char *content, *message;
    } cases[] = {
        {"", "not a PNG, JPEG, WebP, TIFF or PPM (P6) image: it is empty"},
        {"version https://git-lfs.github.com/spec/v1\n", "it is a git-lfs pointer; fetch it with `git lfs pull`"},
        {"<html>", "it looks like a web page"},
        {"GIF89a", "it is a GIF; convert it to PNG"},
        {"RIFF1234WAVE", "it is a RIFF file, but no WebP"},
        {"abcdftypheic", "it is a HEIC, an AVIF or a film"},
        {"hello", "its first bytes belong to none of these"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = scratch_file("other.jpg", cases[i].content, strlen(cases[i].content));
        expect_failure(path, NULL, BT_ERR_FORMAT, cases[i].message);
    }
    expect_failure(scratch_path("none.png"), NULL, BT_ERR_IO, "No such file or directory");
    const bt_image_options small = {.file_bytes = 4};
    expect_failure(scratch_file("large.png", "12345", 5), &small, BT_ERR_FORMAT, "has 5 bytes, at most 4 are allowed");
}

static void names(void **state) {
    (void)state;
    assert_true(bt_image_named("a.png") && bt_image_named("a.JPG") && bt_image_named("a.b.jpeg") &&
                bt_image_named("x.Ppm") && bt_image_named("a.webp") && bt_image_named("a.tif") &&
                bt_image_named("a.TIFF"));
    assert_false(bt_image_named("png") || bt_image_named("a.png.txt") || bt_image_named("a.gif") ||
                 bt_image_named("") || bt_image_named("a.ti") || bt_image_named("a.tiffs") || bt_image_named("."));
}

/* ---- PNG ---- */

static void png_round_trip(void **state) {
    (void)state;
    static uint8_t pixels[11 * 5 * 3];
    paint(pixels, 11, 5, 3);
    const char *path = scratch_path("trip.png");
#ifdef BITTERN_WITH_PNG
    assert_int_equal(bt_image_save_png(path, pixels, 11, 5), BT_OK);
    expect_pixels(path, pixels, 11, 5);
    assert_int_equal(bt_image_save_png(scratch_path("none/x.png"), pixels, 11, 5), BT_ERR_IO);
    assert_int_equal(scratch_count("partial"), 0);
#else
    assert_int_equal(bt_image_save_png(path, pixels, 11, 5), BT_ERR_UNSUPPORTED);
    assert_non_null(strstr(bt_error_message(), "install libpng-dev and build again with -DBITTERN_PNG=ON"));
    expect_failure(scratch_file("x.png", "\x89PNG\r\n\x1a\n", 8), NULL, BT_ERR_UNSUPPORTED, "install libpng-dev");
#endif
}

#ifdef BITTERN_WITH_PNG

/* rows hold what the type and depth ask for, row_bytes each. */
static const char *write_png(const char *name, int height, int width, int depth, int type, bool interlaced,
                             const uint8_t *rows, size_t row_bytes, bool transparent) {
    const char *path = scratch_path(name);
    FILE *file = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    if (setjmp(png_jmpbuf(png))) abort();
    png_init_io(png, file);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, depth, type,
                 interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_color palette[PNG_MAX_PALETTE_LENGTH] = {{0, 0, 0}}; /* some releases of libpng copy all of it */
    for (int i = 0; i < 16; i++) palette[i] = (png_color){(png_byte)(i * 16), (png_byte)(255 - i), (png_byte)(i * i)};
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 1 << depth);
    png_byte alphas[2] = {0, 100};
    png_color_16 key = {.gray = 1};
    if (transparent && type == PNG_COLOR_TYPE_PALETTE) png_set_tRNS(png, info, alphas, 2, NULL);
    if (transparent && type == PNG_COLOR_TYPE_GRAY) png_set_tRNS(png, info, NULL, 0, &key);
    png_write_info(png, info);
    int passes = png_set_interlace_handling(png);
    for (int pass = 0; pass < passes; pass++) {
        for (int y = 0; y < height; y++) png_write_row(png, rows + (size_t)y * row_bytes);
    }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    fclose(file);
    return path;
}

static void png_kinds_as_pil(void **state) {
    (void)state;
    static const struct {
        int type, depth, channels;
        bool interlaced, transparent;
    } kinds[] = {
        {PNG_COLOR_TYPE_GRAY, 1, 1, false, false},       {PNG_COLOR_TYPE_GRAY, 2, 1, false, true},
        {PNG_COLOR_TYPE_GRAY, 4, 1, true, false},        {PNG_COLOR_TYPE_GRAY, 8, 1, false, true},
        {PNG_COLOR_TYPE_PALETTE, 1, 1, false, true},     {PNG_COLOR_TYPE_PALETTE, 4, 1, true, true},
        {PNG_COLOR_TYPE_GRAY_ALPHA, 8, 2, false, false}, {PNG_COLOR_TYPE_RGB, 8, 3, true, false},
        {PNG_COLOR_TYPE_RGB, 16, 3, false, false},       {PNG_COLOR_TYPE_RGB_ALPHA, 8, 4, false, false},
        {PNG_COLOR_TYPE_RGB_ALPHA, 16, 4, true, false},
    };
    enum { H = 9, W = 14 };
    static uint8_t rows[H * W * 8];
    for (size_t i = 0; i < sizeof rows; i++) rows[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t row_bytes = (size_t)(W * kinds[i].channels * kinds[i].depth + 7) / 8;
        const char *path = write_png("kind.png", H, W, kinds[i].depth, kinds[i].type, kinds[i].interlaced, rows,
                                     row_bytes, kinds[i].transparent);
        unsigned char *want = pil_pixels(path, H * W * 3);
        if (!want) skip();
        print_message("PNG type %d depth %d against PIL\n", kinds[i].type, kinds[i].depth);
        expect_pixels(path, want, H, W);
        free(want);
    }
}

/* What no other library is needed for. */
static void png_values(void **state) {
    (void)state;
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        uint8_t grey16[4] = {0, 0x34, 0, 0xff};
        expect_pixels(write_png("g16.png", 1, 2, 16, PNG_COLOR_TYPE_GRAY, interlaced, grey16, 4, false),
                      (const uint8_t[]){0x34, 0x34, 0x34, 0xff, 0xff, 0xff}, 1, 2);
        grey16[2] = 1;
        expect_failure(write_png("g16.png", 1, 2, 16, PNG_COLOR_TYPE_GRAY, interlaced, grey16, 4, false), NULL,
                       BT_ERR_FORMAT, "16-bit grey with the value 511, which PIL clips");
    }
    const uint8_t bits[1] = {0x40};
    expect_pixels(write_png("g1.png", 1, 2, 1, PNG_COLOR_TYPE_GRAY, false, bits, 1, false),
                  (const uint8_t[]){0, 0, 0, 255, 255, 255}, 1, 2);
    const uint8_t rgba[8] = {1, 2, 3, 0, 4, 5, 6, 255};
    expect_pixels(write_png("a.png", 1, 2, 8, PNG_COLOR_TYPE_RGB_ALPHA, false, rgba, 8, false),
                  (const uint8_t[]){1, 2, 3, 4, 5, 6}, 1, 2);
    const uint8_t index[2] = {2, 1};
    expect_pixels(write_png("p.png", 1, 2, 8, PNG_COLOR_TYPE_PALETTE, false, index, 2, false),
                  (const uint8_t[]){32, 253, 4, 16, 254, 1}, 1, 2);
}

static void hostile_png(void **state) {
    (void)state;
    static uint8_t pixels[24 * 17 * 3];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 2654435761u >> 13);
    const char *path = scratch_path("good.png");
    assert_int_equal(bt_image_save_png(path, pixels, 24, 17), BT_OK);
    const bt_image_options small = {.pixels = 24 * 17 - 1};
    expect_failure(path, &small, BT_ERR_FORMAT, "claims 17 x 24 pixels (width x height); at most 407 pixels");
    size_t bytes;
    unsigned char *content = scratch_read(path, &bytes);
    expect_failure(scratch_file("cut.png", content, bytes / 2), NULL, BT_ERR_FORMAT,
                   "damaged PNG image: the file ends early, after");
    content[bytes / 2] ^= 0x10;
    expect_failure(scratch_file("bits.png", content, bytes), NULL, BT_ERR_FORMAT, "damaged PNG image: ");
    content[bytes / 2] ^= 0x10;
    torture("torture.png", content, bytes);
    /* 2^31 - 1 wide, with a right checksum: refused from the header, without memory for it. */
    static const unsigned char claim[] =
        "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\x00\x00\x00";
    unsigned char header[8 + 25 + 8] = {[37] = 'I', 'D', 'A', 'T'};
    memcpy(header, claim, 29);
    uint32_t crc = 0xffffffffu;
    for (int i = 12; i < 29; i++) {
        crc ^= header[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    crc = ~crc;
    for (int i = 0; i < 4; i++) header[29 + i] = (unsigned char)(crc >> (24 - 8 * i));
    expect_failure(scratch_file("claim.png", header, sizeof header), NULL, BT_ERR_FORMAT,
                   "claims 2147483647 x 2147483647 pixels (width x height); at most 134217728");
    free(content);
}
#endif

/* ---- JPEG ---- */

#ifdef BITTERN_WITH_JPEG

/* pixels (height, width, channels): 1 grey, 3 RGB, 4 CMYK as Adobe stores it. scan_count 0: baseline, -1: the
 * usual progression. */
static const char *write_jpeg_scans(const char *name, const uint8_t *pixels, int height, int width, int channels,
                                    const jpeg_scan_info *scans, int scan_count) {
    const char *path = scratch_path(name);
    FILE *file = fopen(path, "wb");
    struct jpeg_compress_struct encoder;
    struct jpeg_error_mgr errors;
    encoder.err = jpeg_std_error(&errors);
    jpeg_create_compress(&encoder);
    jpeg_stdio_dest(&encoder, file);
    encoder.image_width = (JDIMENSION)width;
    encoder.image_height = (JDIMENSION)height;
    encoder.input_components = channels;
    encoder.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&encoder);
    jpeg_set_quality(&encoder, 95, TRUE);
    if (channels == 4) jpeg_set_colorspace(&encoder, JCS_YCCK);
    if (scan_count < 0) jpeg_simple_progression(&encoder);
    if (scan_count > 0) encoder.scan_info = scans, encoder.num_scans = scan_count;
    jpeg_start_compress(&encoder, TRUE);
    for (int y = 0; y < height; y++) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)(y * width * channels));
        jpeg_write_scanlines(&encoder, &row, 1);
    }
    jpeg_finish_compress(&encoder);
    jpeg_destroy_compress(&encoder);
    fclose(file);
    return path;
}

static const char *write_jpeg(const char *name, const uint8_t *pixels, int height, int width, int channels,
                              bool progressive) {
    return write_jpeg_scans(name, pixels, height, width, channels, NULL, progressive ? -1 : 0);
}

enum { JPEG_H = 37, JPEG_W = 50 };
static uint8_t jpeg_source[JPEG_H * JPEG_W * 4];

static void jpeg_kinds(void **state) {
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        int channels = (const int[]){1, 3, 4}[kind / 2];
        paint(jpeg_source, JPEG_H, JPEG_W, channels);
        const char *path = write_jpeg("kind.jpg", jpeg_source, JPEG_H, JPEG_W, channels, kind % 2);
        bt_image image;
        if (bt_image_load(path, NULL, &image) != BT_OK) fail_msg("%s", bt_error_message());
        assert_true(image.height == JPEG_H && image.width == JPEG_W);
        double error = 0;
        for (int i = 0; i < JPEG_H * JPEG_W; i++) {
            for (int c = 0; c < 3; c++) {
                const uint8_t *source = jpeg_source + i * channels;
                double want = channels == 1 ? source[0] : channels == 3 ? source[c] : source[c] * source[3] / 255.0;
                error += (image.pixels[i * 3 + c] - want) * (image.pixels[i * 3 + c] - want);
            }
        }
        error /= JPEG_H * JPEG_W * 3;
        if (!(error < 60)) fail_msg("%d channels: mean squared error %g", channels, error);
        unsigned char *want = pil_pixels(path, JPEG_H * JPEG_W * 3);
        if (want) assert_memory_equal(image.pixels, want, JPEG_H * JPEG_W * 3);
        free(want);
        bt_image_free(&image);
    }
}

static void hostile_jpeg(void **state) {
    (void)state;
    paint(jpeg_source, JPEG_H, JPEG_W, 3);
    for (int progressive = 0; progressive < 2; progressive++) {
        const char *path = write_jpeg("good.jpg", jpeg_source, JPEG_H, JPEG_W, 3, progressive);
        const bt_image_options small = {.pixels = 100};
        expect_failure(path, &small, BT_ERR_FORMAT, "claims 50 x 37 pixels (width x height); at most 100 pixels");
        size_t bytes;
        unsigned char *content = scratch_read(path, &bytes);
        expect_failure(scratch_file("cut.jpg", content, bytes * 3 / 4), NULL, BT_ERR_FORMAT,
                       "damaged JPEG image: Premature end of JPEG file");
        torture("torture.jpg", content, bytes);
        free(content);
    }
}

/* A file of 253 scans, all of them valid (every coefficient alone, bit by bit), is refused: a longer one could keep a
 * processor busy for minutes. */
static void many_scans(void **state) {
    (void)state;
    static jpeg_scan_info scans[1 + 63 * 4];
    scans[0] = (jpeg_scan_info){.comps_in_scan = 1};
    for (int i = 0; i < 63 * 4; i++) {
        int bit = 3 - i / 63, k = i % 63 + 1;
        scans[1 + i] = (jpeg_scan_info){.comps_in_scan = 1, .Ss = k, .Se = k, .Ah = bit == 3 ? 0 : bit + 1, .Al = bit};
    }
    paint(jpeg_source, JPEG_H, JPEG_W, 1);
    const char *path = write_jpeg_scans("few.jpg", jpeg_source, JPEG_H, JPEG_W, 1, scans, 1 + 63);
    bt_image image;
    if (bt_image_load(path, NULL, &image) != BT_OK) fail_msg("%s", bt_error_message());
    bt_image_free(&image);
    path = write_jpeg_scans("many.jpg", jpeg_source, JPEG_H, JPEG_W, 1, scans, 1 + 63 * 4);
    expect_failure(path, NULL, BT_ERR_FORMAT, "damaged JPEG image: it has more than 200 scans");
}

static void photographs_as_pil(void **state) {
    (void)state;
    const char *data = getenv("BITTERN_DATA");
    char path[512];
    snprintf(path, sizeof path, "%s/coco_captions/images/000000358083.jpg",
             data ? data : BITTERN_SOURCE_DIR "/../shared/data");
    if (access(path, R_OK) != 0) {
        print_message("no %s (set BITTERN_DATA)\n", path);
        skip();
    }
    bt_image image;
    if (bt_image_load(path, NULL, &image) != BT_OK) fail_msg("%s", bt_error_message());
    size_t bytes = (size_t)(image.height * image.width * 3);
    unsigned char *want = pil_pixels(path, bytes);
    if (want) assert_memory_equal(image.pixels, want, bytes);
    free(want);
    bt_image_free(&image);
}

#else

static void jpeg_is_off(void **state) {
    (void)state;
    expect_failure(scratch_file("x.jpg", "\xff\xd8\xff\xe0", 4), NULL, BT_ERR_UNSUPPORTED,
                   "install libjpeg62-turbo-dev");
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ppm_round_trip),   cmocka_unit_test(hostile_ppm),
        cmocka_unit_test(other_files),      cmocka_unit_test(names),
        cmocka_unit_test(png_round_trip),
#ifdef BITTERN_WITH_PNG
        cmocka_unit_test(png_kinds_as_pil), cmocka_unit_test(png_values),
        cmocka_unit_test(hostile_png),
#endif
#ifdef BITTERN_WITH_JPEG
        cmocka_unit_test(jpeg_kinds),       cmocka_unit_test(hostile_jpeg),
        cmocka_unit_test(many_scans),       cmocka_unit_test(photographs_as_pil),
#else
        cmocka_unit_test(jpeg_is_off),
#endif
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
