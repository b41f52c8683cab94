/* TIFF: tags to a layout of samples, and samples to RGB; see tiff.h. What PIL (9.4 to 12) opens is read as it reads it,
 * with the exceptions that docs/pictures.md lists. */
#include "formats/tiff.h"

#ifdef BITTERN_WITH_TIFF

#include <inttypes.h>
#include <string.h>

static const char *const photometrics[] = {"white is zero", "grey",  "RGB", "palette", "mask",
                                           "CMYK",          "YCbCr", "",    "CIELab"};

static const char *photometric_name(unsigned value) {
    return value < sizeof photometrics / sizeof *photometrics && *photometrics[value] ? photometrics[value]
                                                                                      : "another kind";
}

static uint16_t short_tag(TIFF *tiff, uint32_t tag, uint16_t without) {
    uint16_t value = without;
    return TIFFGetFieldDefaulted(tiff, tag, &value) == 1 ? value : without;
}

/* Codecs of libtiff that files still come in. Left out are old-style JPEG and what only special programs wrote. */
static bt_status check_compression(TIFF *tiff, const bt_image_file *file) {
    static const uint16_t known[] = {COMPRESSION_NONE,          COMPRESSION_CCITTRLE, COMPRESSION_CCITTFAX3,
                                     COMPRESSION_CCITTFAX4,     COMPRESSION_LZW,      COMPRESSION_JPEG,
                                     COMPRESSION_ADOBE_DEFLATE, COMPRESSION_DEFLATE,  COMPRESSION_PACKBITS,
                                     COMPRESSION_LZMA,          COMPRESSION_ZSTD,     COMPRESSION_WEBP};
    uint16_t found = short_tag(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
    bool allowed = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) allowed = allowed || found == known[i];
    if (!allowed)
        return bt_error(BT_ERR_FORMAT,
                        "%s: TIFF compression %u; read are none, CCITT, LZW, deflate, PackBits, JPEG, LZMA, Zstandard "
                        "and WebP: convert it",
                        file->name, (unsigned)found);
    if (!TIFFIsCODECConfigured(found))
        return bt_error(BT_ERR_FORMAT,
                        "%s: TIFF compression %u, which this machine's libtiff was built without: convert it",
                        file->name, (unsigned)found);
    return BT_OK;
}

typedef struct raw_tags {
    unsigned photometric, format, compression;
    uint16_t extra_count, *extra;
} raw_tags;

static bt_status refuse(const bt_image_file *file, const bt_tiff_layout *l, const raw_tags *t) {
    static const char *const formats[] = {"", "", "signed ", "floating-point ", "untyped "};
    return bt_error(BT_ERR_FORMAT,
                    "%s: TIFF with %d %ssamples of %d bits (%s, %u of them extra%s); read are grey and palettes of 1 "
                    "to 8 bits, grey of 16 and 32, "
                    "RGB and CMYK of 8 and 16, and YCbCr in JPEG: convert it",
                    file->name, l->samples, formats[t->format < 5 ? t->format : 0], l->bits,
                    photometric_name(t->photometric), (unsigned)t->extra_count, l->planar ? ", in planes" : "");
}

static bool few_bits(int bits) {
    return bits == 1 || bits == 2 || bits == 4 || bits == 8;
}

/* One sample that counts, perhaps with an alpha that is dropped. */
static bool read_grey(bt_tiff_layout *l, const raw_tags *t) {
    l->channels = 1;
    l->kind = t->photometric == PHOTOMETRIC_PALETTE ? BT_TIFF_PALETTE : BT_TIFF_GREY;
    l->white_is_zero = t->photometric == PHOTOMETRIC_MINISWHITE;
    l->is_signed = t->format == SAMPLEFORMAT_INT;
    if (l->samples == 2)
        return t->extra_count == 1 && t->extra[0] != EXTRASAMPLE_ASSOCALPHA && l->bits == 8 && !l->white_is_zero &&
               t->format == SAMPLEFORMAT_UINT;
    if (l->samples != 1 || (t->format != SAMPLEFORMAT_UINT && t->format != SAMPLEFORMAT_INT)) return false;
    if (few_bits(l->bits)) return !l->is_signed;
    return (l->bits == 16 || l->bits == 32) && t->photometric == PHOTOMETRIC_MINISBLACK;
}

static bool read_colour(bt_tiff_layout *l, const raw_tags *t) {
    int colours = t->photometric == PHOTOMETRIC_SEPARATED ? 4 : 3;
    l->channels = colours;
    l->kind = colours == 4 ? BT_TIFF_CMYK : BT_TIFF_RGB;
    if (t->format != SAMPLEFORMAT_UINT || (l->bits != 8 && l->bits != 16) || l->samples < colours) return false;
    bool unnamed_alpha = l->samples == 4 && t->extra_count == 0;
    if (l->samples != colours + t->extra_count && !unnamed_alpha) return false;
    if (colours == 3 && t->extra_count > 0 && t->extra[0] == EXTRASAMPLE_ASSOCALPHA) {
        l->kind = BT_TIFF_PREMULTIPLIED;
        l->channels = 4;
    }
    return true;
}

/* YCbCr is made RGB by libjpeg. */
static bool read_ycc(TIFF *tiff, bt_tiff_layout *l, const raw_tags *t) {
    l->channels = 3;
    l->kind = BT_TIFF_RGB;
    return t->compression == COMPRESSION_JPEG && !l->planar && l->samples == 3 && l->bits == 8 &&
           t->format == SAMPLEFORMAT_UINT && t->extra_count == 0 &&
           TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB) == 1;
}

/* PIL takes the upper byte of each entry, whatever the lower ones are. */
static bt_status read_palette(TIFF *tiff, const bt_image_file *file, bt_tiff_layout *l) {
    uint16_t *map[3];
    if (TIFFGetField(tiff, TIFFTAG_COLORMAP, &map[0], &map[1], &map[2]) != 1 || l->bits > 8)
        return bt_image_damaged(file, "TIFF", "it has no palette of its size");
    for (int i = 0; i < 1 << l->bits; i++)
        for (int c = 0; c < 3; c++) l->palette[i][c] = (uint8_t)(map[c][i] >> 8);
    return BT_OK;
}

static int orientation_of(TIFF *tiff, const bt_image_file *file) {
    uint16_t own;
    uint32_t bytes = 0;
    void *xmp = NULL;
    if (TIFFGetField(tiff, TIFFTAG_ORIENTATION, &own) == 1) return own;
    if (file->options.orientation == BT_ORIENTATION_APPLY && TIFFGetField(tiff, TIFFTAG_XMLPACKET, &bytes, &xmp) == 1 &&
        xmp) {
        int found = bt_xmp_orientation(xmp, bytes);
        if (found) return found;
    }
    return 1;
}

bt_status bt_tiff_layout_read(TIFF *tiff, const bt_image_file *file, bt_tiff_layout *l) {
    uint32_t width = 0, height = 0, strip_rows = 0, tile_width = 0, tile_height = 0;
    uint16_t photometric = PHOTOMETRIC_MINISWHITE; /* as PIL takes it where the tag is missing */
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    BT_TRY(bt_image_check_size(file, height, width));
    BT_TRY(check_compression(tiff, file));
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &strip_rows);
    TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &tile_width);
    TIFFGetField(tiff, TIFFTAG_TILELENGTH, &tile_height);
    TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric);
    *l = (bt_tiff_layout){.height = height,
                          .width = width,
                          .strip_rows = strip_rows,
                          .tile_height = tile_height,
                          .tile_width = tile_width};
    l->samples = short_tag(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    l->bits = short_tag(tiff, TIFFTAG_BITSPERSAMPLE, 1);
    l->planar = short_tag(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE;
    l->orientation = orientation_of(tiff, file);
    raw_tags t = {.photometric = photometric,
                  .format = short_tag(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT),
                  .compression = short_tag(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE)};
    if (TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &t.extra_count, &t.extra) != 1) t.extra_count = 0;
    bool known = false;
    if (photometric == PHOTOMETRIC_MINISWHITE || photometric == PHOTOMETRIC_MINISBLACK ||
        photometric == PHOTOMETRIC_PALETTE)
        known = read_grey(l, &t);
    if (photometric == PHOTOMETRIC_RGB || photometric == PHOTOMETRIC_SEPARATED) known = read_colour(l, &t);
    if (photometric == PHOTOMETRIC_YCBCR) known = read_ycc(tiff, l, &t);
    if (!known || l->samples > 8) return refuse(file, l, &t);
    return l->kind == BT_TIFF_PALETTE ? read_palette(tiff, file, l) : BT_OK;
}

/* Colour divided by its alpha, cut to a byte: PIL's unpacking of "RGBa". */
static void divide(const uint8_t *from, uint8_t *rgb) {
    unsigned alpha = from[3];
    for (int c = 0; c < 3; c++) {
        unsigned value = alpha ? from[c] * 255u / alpha : 0;
        rgb[c] = (uint8_t)(value > 255 ? 255 : value);
    }
}

void bt_tiff_to_rgb(const bt_tiff_layout *l, const uint8_t *bytes, uint8_t *rgb) {
    for (int64_t i = 0; i < l->height * l->width; i++, bytes += l->channels, rgb += 3) {
        switch (l->kind) {
        case BT_TIFF_GREY:
            memset(rgb, l->white_is_zero ? 255 - bytes[0] : bytes[0], 3);
            break;
        case BT_TIFF_PALETTE:
            memcpy(rgb, l->palette[bytes[0]], 3);
            break;
        case BT_TIFF_RGB: /* read in place */
            break;
        case BT_TIFF_PREMULTIPLIED:
            divide(bytes, rgb);
            break;
        case BT_TIFF_CMYK:
            bt_ink_to_rgb(bytes, 255u - bytes[3], rgb);
            break;
        }
    }
}

#endif
