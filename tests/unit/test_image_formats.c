/* Pictures: orientation, JPEG's samplings and scaled decoding, WebP and TIFF files that are cut, damaged or claim too
 * much. What every kind of file decodes to is compared with PIL in tests/images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/image_codec.h"
#include "image_check.h"

#ifdef BITTERN_WITH_JPEG
#include <jpeglib.h>
#endif
#ifdef BITTERN_WITH_WEBP
#include <webp/encode.h>
#endif
#ifdef BITTERN_WITH_TIFF
#include <tiffio.h>
#endif

#if defined(BITTERN_WITH_JPEG) || defined(BITTERN_WITH_WEBP) || defined(BITTERN_WITH_TIFF)
static void paint(uint8_t *pixels, int height, int width) {
    for (int i = 0; i < height * width * 3; i++) pixels[i] = (uint8_t)(i * 7 + i / 90 * 13);
}
#endif

/* ---- orientation ---- */

static void turns(void **state) {
    (void)state;
    static const struct {
        int64_t height, width;
        uint8_t want[6];
    } cases[9] = {{2, 3, "123456"}, {2, 3, "123456"}, {2, 3, "321654"}, {2, 3, "654321"}, {2, 3, "456123"},
                  {3, 2, "142536"}, {3, 2, "415263"}, {3, 2, "635241"}, {3, 2, "362514"}};
    for (int o = 0; o <= 8; o++) {
        bt_image image;
        assert_int_equal(bt_image_new(2, 3, &image), BT_OK);
        for (int i = 0; i < 18; i++) image.pixels[i] = (uint8_t)("123456"[i / 3] + 10 * (i % 3));
        assert_int_equal(bt_image_orient(&image, o), BT_OK);
        assert_true(image.height == cases[o].height && image.width == cases[o].width);
        for (int i = 0; i < 18; i++) assert_int_equal(image.pixels[i], cases[o].want[i / 3] + 10 * (i % 3));
        bt_image_free(&image);
    }
}

static void exif_blocks(void **state) {
    (void)state;
#define TAGS(count, rest) "II*\0\10\0\0\0" count "\0" rest
#define ENTRY(kind, value) "\x12\1" kind "\0\1\0\0\0" value
    static const struct {
        const char *block;
        size_t bytes;
        int want;
    } cases[] = {
        {TAGS("\1", ENTRY("\3", "\6\0\0\0")), 22, 6},
        {"Exif\0\0" TAGS("\1", ENTRY("\3", "\6\0\0\0")), 28, 6},
        {"MM\0*\0\0\0\10\0\1\1\x12\0\3\0\0\0\1\0\5\0\0", 22, 5},
        {TAGS("\1", ENTRY("\4", "\10\0\0\0")), 22, 8},
        {TAGS("\1", ENTRY("\4", "\10\0\1\0")), 22, 0},
        {TAGS("\1", ENTRY("\3", "\11\0\0\0")), 22, 0},
        {TAGS("\1", ENTRY("\2", "\6\0\0\0")), 22, 0},
        {TAGS("\2", ENTRY("\3", "\6\0\0\0") ENTRY("\3", "\3\0\0\0")), 34, 3},
        {TAGS("\2", ENTRY("\3", "\6\0\0\0") ENTRY("\3", "\3\0\0\0")), 33, 6}, /* the second one is cut */
        {TAGS("\1", "\x12\1\3\0\2\0\0\0\6\0\6\0"), 22, 0},
        {TAGS("\1", ENTRY("\3", "\6\0\0\0")), 21, 0},
        {"II*\0\xff\xff\xff\xff\1\0", 10, 0},
        {"II+\0\10\0\0\0\1\0" ENTRY("\3", "\6\0\0\0"), 22, 0},
        {"II*\0", 4, 0},
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char *exact = malloc(cases[i].bytes + 1);
        memcpy(exact, cases[i].block, cases[i].bytes);
        if (bt_exif_orientation(exact, cases[i].bytes) != cases[i].want)
            fail_msg("case %zu: %d", i, bt_exif_orientation(exact, cases[i].bytes));
        free(exact);
    }
    static const struct {
        const char *text;
        int want;
    } packets[] = {{"<a tiff:Orientation=\"6\">", 6},
                   {"<tiff:Orientation>3</", 3},
                   {"tiff:Orientation=\"", 0},
                   {"tiff:Orientation='6'", 0},
                   {"tiff:Orientation tiff:Orientation>8", 8},
                   {"tiff:Orientation=\"9\"", 0},
                   {"tiff:Orientatio", 0},
                   {"", 0}};
    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++)
        assert_int_equal(bt_xmp_orientation((const unsigned char *)packets[i].text, strlen(packets[i].text)),
                         packets[i].want);
}

/* ---- JPEG ---- */

#ifdef BITTERN_WITH_JPEG
enum { JPEG_H = 61, JPEG_W = 83 };

typedef struct jpeg_kind {
    int factors[3][2]; /* of luma and both chromas: across, down */
    bool progressive, arithmetic;
    unsigned restart;
} jpeg_kind;

static const char *write_jpeg(const char *name, const jpeg_kind *kind) {
    static uint8_t pixels[JPEG_H * JPEG_W * 3];
    const char *path = scratch_path(name);
    FILE *file = fopen(path, "wb");
    struct jpeg_compress_struct encoder;
    struct jpeg_error_mgr errors;
    paint(pixels, JPEG_H, JPEG_W);
    encoder.err = jpeg_std_error(&errors);
    jpeg_create_compress(&encoder);
    jpeg_stdio_dest(&encoder, file);
    encoder.image_width = JPEG_W;
    encoder.image_height = JPEG_H;
    encoder.input_components = 3;
    encoder.in_color_space = JCS_RGB;
    jpeg_set_defaults(&encoder);
    for (int c = 0; c < 3; c++) {
        encoder.comp_info[c].h_samp_factor = kind->factors[c][0];
        encoder.comp_info[c].v_samp_factor = kind->factors[c][1];
    }
    if (kind->progressive) jpeg_simple_progression(&encoder);
    encoder.arith_code = kind->arithmetic;
    encoder.restart_interval = kind->restart;
    jpeg_start_compress(&encoder, TRUE);
    for (int y = 0; y < JPEG_H; y++) {
        JSAMPROW row = pixels + y * JPEG_W * 3;
        jpeg_write_scanlines(&encoder, &row, 1);
    }
    jpeg_finish_compress(&encoder);
    jpeg_destroy_compress(&encoder);
    fclose(file);
    return path;
}

static void samplings_as_pil(void **state) {
    (void)state;
    static const int factors[][3][2] = {{{1, 1}, {1, 1}, {1, 1}}, {{2, 1}, {1, 1}, {1, 1}}, {{2, 2}, {1, 1}, {1, 1}},
                                        {{1, 2}, {1, 1}, {1, 1}}, {{4, 1}, {1, 1}, {1, 1}}, {{4, 2}, {1, 1}, {1, 1}},
                                        {{1, 4}, {1, 1}, {1, 1}}, {{2, 2}, {2, 1}, {1, 2}}, {{2, 2}, {1, 2}, {1, 2}},
                                        {{4, 1}, {2, 1}, {1, 1}}, {{1, 1}, {2, 2}, {2, 2}}, {{2, 2}, {2, 2}, {1, 1}},
                                        {{3, 1}, {1, 1}, {1, 1}}, {{1, 3}, {1, 1}, {1, 1}}};
    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
        jpeg_kind kind = {.progressive = i % 2, .restart = i % 3 ? (unsigned)i : 0};
        memcpy(kind.factors, factors[i], sizeof kind.factors);
        const char *path = write_jpeg("sampling.jpg", &kind);
        uint8_t *want = pil_pixels(path, JPEG_H * JPEG_W * 3);
        if (!want) skip();
        expect_pixels(path, want, JPEG_H, JPEG_W);
        free(want);
    }
}

/* Sizes at every eighth; at halves, quarters and eighths PIL's draft mode gives the pixels. */
static void scaled_jpeg(void **state) {
    (void)state;
    const jpeg_kind kind = {.factors = {{2, 2}, {1, 1}, {1, 1}}};
    const char *path = write_jpeg("scaled.jpg", &kind);
    for (int64_t side = 0; side <= JPEG_H + 5; side++) {
        bt_image image;
        const bt_image_options options = {.jpeg_side = side};
        int64_t n = side ? 1 : 8;
        while (n < 8 && (JPEG_H * n + 7) / 8 < side) n++;
        assert_int_equal(bt_image_load(path, &options, &image), BT_OK);
        assert_true(image.height == (JPEG_H * n + 7) / 8 && image.width == (JPEG_W * n + 7) / 8);
        assert_true(image.height >= side || n == 8);
        bt_image_free(&image);
    }
    for (int n = 1; n <= 4; n *= 2) {
        char command[1024];
        const char *out = scratch_path("draft.raw");
        int height = (JPEG_H * n + 7) / 8, width = (JPEG_W * n + 7) / 8;
        snprintf(command, sizeof command,
                 "/usr/bin/python3 -c \"from PIL import Image; i = Image.open('%s'); i.draft('RGB', (%d, %d)); assert "
                 "i.size == (%d, %d), i.size; "
                 "open('%s', 'wb').write(i.tobytes())\" 2>/dev/null",
                 path, width - 1, height - 1, width, height, out);
        if (system("/usr/bin/python3 -c 'import PIL' 2>/dev/null") != 0) skip();
        assert_int_equal(system(command), 0);
        size_t bytes;
        bt_image image;
        const bt_image_options options = {.jpeg_side = height, .pixels = JPEG_H * JPEG_W};
        unsigned char *want = scratch_read(out, &bytes);
        assert_int_equal(bt_image_load(path, &options, &image), BT_OK);
        assert_int_equal(bytes, image.height * image.width * 3);
        assert_memory_equal(image.pixels, want, bytes);
        free(want);
        bt_image_free(&image);
    }
    const bt_image_options small = {.jpeg_side = 8,
                                    .pixels = JPEG_H * JPEG_W - 1}; /* the limit is on the file's own size */
    expect_failure(path, &small, BT_ERR_FORMAT, "claims 83 x 61 pixels");
}
#endif

/* ---- WebP ---- */

static void webp_files(void **state) {
    (void)state;
#ifdef BITTERN_WITH_WEBP
    static uint8_t pixels[23 * 31 * 3];
    paint(pixels, 23, 31);
    for (int lossless = 0; lossless < 2; lossless++) {
        uint8_t *content = NULL;
        size_t bytes = lossless ? WebPEncodeLosslessRGB(pixels, 31, 23, 93, &content)
                                : WebPEncodeRGB(pixels, 31, 23, 93, 60, &content);
        const char *path = scratch_file("good.webp", content, bytes);
        const bt_image_options small = {.pixels = 31 * 23 - 1};
        if (lossless) expect_pixels(path, pixels, 23, 31);
        expect_failure(path, &small, BT_ERR_FORMAT, "claims 31 x 23 pixels (width x height); at most 712 pixels");
        expect_failure(scratch_file("cut.webp", content, bytes / 2), NULL, BT_ERR_FORMAT, "damaged WebP image: ");
        torture("torture.webp", content, bytes);
        WebPFree(content);
    }
    static const unsigned char claim[] = "RIFF\x1e\0\0\0WEBPVP8X\n\0\0\0\x02\0\0\0\xff\xff\xff\xff\xff\xff"
                                         "ANIM\6\0\0\0\0\0\0\0\0";
    expect_failure(scratch_file("claim.webp", claim, sizeof claim - 1), NULL, BT_ERR_FORMAT, "damaged WebP image");
#else
    expect_failure(scratch_file("x.webp", "RIFF1234WEBPVP8 ", 16), NULL, BT_ERR_UNSUPPORTED,
                   "install libwebp-dev and build again with -DBITTERN_WEBP=ON");
#endif
}

/* ---- TIFF ---- */

#ifdef BITTERN_WITH_TIFF
enum { TIFF_H = 37, TIFF_W = 45 };
static uint8_t tiff_source[TIFF_H * TIFF_W * 3];

typedef struct tiff_kind {
    uint16_t compression;
    bool tiled, planar;
} tiff_kind;

static void write_planes(TIFF *tiff, const tiff_kind *kind) {
    static uint8_t tile[16 * 32 * 3];
    for (int p = 0; p < (kind->planar ? 3 : 1); p++) {
        int first = kind->planar ? p : 0, count = kind->planar ? 1 : 3;
        for (int y = 0; y < TIFF_H; y += kind->tiled ? 16 : 1) {
            for (int x = 0; x < TIFF_W; x += kind->tiled ? 32 : TIFF_W) {
                for (int i = 0; i < (kind->tiled ? 16 * 32 : TIFF_W); i++) {
                    int sy = kind->tiled ? y + i / 32 : y, sx = kind->tiled ? x + i % 32 : i;
                    bool in = sy < TIFF_H && sx < TIFF_W;
                    for (int c = 0; c < count; c++)
                        tile[i * count + c] = in ? tiff_source[(sy * TIFF_W + sx) * 3 + first + c] : 0;
                }
                if (kind->tiled)
                    TIFFWriteTile(tiff, tile, (uint32_t)x, (uint32_t)y, 0, (uint16_t)p);
                else
                    TIFFWriteScanline(tiff, tile, (uint32_t)y, (uint16_t)p);
            }
        }
    }
}

static const char *write_tiff(const char *name, const tiff_kind *kind) {
    const char *path = scratch_path(name);
    TIFF *tiff = TIFFOpen(path, "w");
    paint(tiff_source, TIFF_H, TIFF_W);
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, TIFF_W);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, TIFF_H);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 3);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_RGB);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, kind->compression);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, kind->planar ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    if (kind->tiled) {
        TIFFSetField(tiff, TIFFTAG_TILEWIDTH, 32);
        TIFFSetField(tiff, TIFFTAG_TILELENGTH, 16);
    } else {
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, 16);
    }
    write_planes(tiff, kind);
    TIFFClose(tiff);
    return path;
}

static void tiff_files(void **state) {
    (void)state;
    static const uint16_t compressions[] = {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE,
                                            COMPRESSION_PACKBITS, COMPRESSION_JPEG};
    for (int i = 0; i < 20; i++) {
        const tiff_kind kind = {.compression = compressions[i / 4], .tiled = i & 1, .planar = i & 2};
        const char *path = write_tiff("good.tif", &kind);
        const bt_image_options small = {.pixels = TIFF_H * TIFF_W - 1};
        if (kind.compression != COMPRESSION_JPEG) expect_pixels(path, tiff_source, TIFF_H, TIFF_W);
        expect_failure(path, &small, BT_ERR_FORMAT, "claims 45 x 37 pixels");
        size_t bytes;
        unsigned char *content = scratch_read(path, &bytes);
        torture("torture.tif", content, bytes);
        free(content);
    }
}

/* A little-endian file of the given SHORT and LONG tags and four bytes of pixels at 8. */
typedef struct entry {
    uint16_t tag, type;
    uint32_t value;
} entry;

static const char *raw_tiff(const entry *entries, uint16_t count) {
    unsigned char content[512] = "II*\0\x0c\0\0\0abcd";
    size_t at = 12;
    content[at] = (unsigned char)count;
    at += 2;
    for (int i = 0; i < count; i++, at += 12) {
        const uint32_t one = 1;
        memcpy(content + at, &entries[i].tag, 2);
        memcpy(content + at + 2, &entries[i].type, 2);
        memcpy(content + at + 4, &one, 4);
        memcpy(content + at + 8, &entries[i].value, 4);
    }
    return scratch_file("raw.tif", content, at + 4);
}

/* Claims that would take memory or time are answered before either is spent. */
static void tiff_claims(void **state) {
    (void)state;
    const entry good[] = {{256, 4, 2}, {257, 4, 2}, {258, 3, 8}, {259, 3, 1}, {262, 3, 1},
                          {273, 4, 8}, {277, 3, 1}, {278, 4, 2}, {279, 4, 4}};
    expect_pixels(raw_tiff(good, 9), (const uint8_t *)"aaabbbcccddd", 2, 2);
    static const struct {
        int at;
        uint32_t value;
        const char *message;
    } cases[] = {
        {0, 0, "damaged TIFF image: "},
        {0, 1 << 20, "damaged TIFF image: "}, /* allowed, but the pixels are not there */
        {0, 0xFFFFFFFF, "claims 4294967295 x 2 pixels"},
        {1, 0xFFFFFFFF, "damaged TIFF image: "}, /* libtiff counts no strips */
        {1, 3000000, "claims 2 x 3000000 pixels"},
        {2, 3, "TIFF with 1 samples of 3 bits (grey, 0 of them extra)"},
        {2, 12, "samples of 12 bits"},
        {2, 64, "samples of 64 bits"},
        {3, 6, "TIFF compression 6; read are none"},
        {3, 34676, "TIFF compression 34676"},
        {3, 8, "damaged TIFF image: ZIPDecode"},
        {4, 5, "TIFF with 1 samples of 8 bits (CMYK"},
        {4, 8, "(CIELab"},
        {4, 34892, "(another kind"},
        {5, 0xFFFFFFF0, "damaged TIFF image: "},
        {6, 65535, "TIFF with 65535 samples"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        entry bad[9];
        memcpy(bad, good, sizeof bad);
        bad[cases[i].at].value = cases[i].value;
        expect_failure(raw_tiff(bad, 9), NULL, BT_ERR_FORMAT, cases[i].message);
    }
    entry tiles[] = {{256, 4, 2}, {257, 4, 2},       {258, 3, 8},       {259, 3, 1}, {262, 3, 1},
                     {277, 3, 1}, {322, 4, 1 << 20}, {323, 4, 1 << 20}, {324, 4, 8}, {325, 4, 4}};
    expect_failure(raw_tiff(tiles, 10), NULL, BT_ERR_FORMAT,
                   "tiles of 1048576 x 1048576 pixels (width x height) in a picture of 2 x 2");
    tiles[6].value = 0;
    expect_failure(raw_tiff(tiles, 10), NULL, BT_ERR_FORMAT, "TIFF");
    tiles[0].value = tiles[1].value = 1 << 13, tiles[6].value = tiles[7].value = 1; /* 2^26 tiles */
    expect_failure(raw_tiff(tiles, 10), NULL, BT_ERR_FORMAT, "damaged TIFF image: ");
}
#else
static void tiff_files(void **state) {
    (void)state;
    expect_failure(scratch_file("x.tif", "II*\0\10\0\0\0", 8), NULL, BT_ERR_UNSUPPORTED,
                   "install libtiff-dev (4.5 or newer) and build again with -DBITTERN_TIFF=ON");
}
static void tiff_claims(void **state) {
    (void)state;
    skip();
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns),
        cmocka_unit_test(exif_blocks),
#ifdef BITTERN_WITH_JPEG
        cmocka_unit_test(samplings_as_pil),
        cmocka_unit_test(scaled_jpeg),
#endif
        cmocka_unit_test(webp_files),
        cmocka_unit_test(tiff_files),
        cmocka_unit_test(tiff_claims),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
