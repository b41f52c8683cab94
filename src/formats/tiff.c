/* TIFF through libtiff (4.5: messages and limits belong to one open file).
 *
 * The first page. Samples are read as bytes into (H,W,channels) - by strips or tiles, planes one after the other - and
 * then made RGB. What is accepted, and how it is read, follows PIL's table of pixel layouts; tiff_layout.c.
 *
 * libtiff warns where a codec had to make up pixels (a JPEG or fax strip that ends early): here a warning while pixels
 * are read is an error. Warnings about tags are not. */
#include "formats/tiff.h"

#ifdef BITTERN_WITH_TIFF

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ALLOCATION ((tmsize_t)64 << 20) /* of libtiff at once, beside the file's own bytes */
#define TILE_PIXELS ((int64_t)1 << 22)  /* a tile may have these or the picture's pixels */

typedef struct tiff_job {
    const bt_image_file *file;
    TIFF *tiff;
    toff_t at;
    bool pixels; /* tags are read; from here on a warning is a fault */
    char message[200];
    bt_tiff_layout layout;
    bt_image image;
    uint8_t *bytes; /* (H,W,channels); the pixels themselves where they are RGB */
    uint8_t *block; /* a strip or a tile */
} tiff_job;

/* ---- the file in memory ---- */

static tmsize_t on_read(thandle_t handle, void *data, tmsize_t bytes) {
    tiff_job *job = handle;
    toff_t left = job->at < job->file->bytes ? job->file->bytes - job->at : 0;
    if (bytes < 0) return 0;
    if ((toff_t)bytes > left) bytes = (tmsize_t)left;
    memcpy(data, job->file->content + (bytes ? job->at : 0), (size_t)bytes);
    job->at += (toff_t)bytes;
    return bytes;
}

static tmsize_t on_write(thandle_t handle, void *data, tmsize_t bytes) {
    (void)handle, (void)data, (void)bytes;
    return 0;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
    tiff_job *job = handle;
    job->at = whence == SEEK_CUR ? job->at + offset : whence == SEEK_END ? job->file->bytes + offset : offset;
    return job->at;
}

static int on_close(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t on_size(thandle_t handle) {
    return ((tiff_job *)handle)->file->bytes;
}

static int on_map(thandle_t handle, void **base, toff_t *size) {
    const tiff_job *job = handle;
    *base = (void *)(uintptr_t)job->file->content; /* only read: the file is open for reading */
    *size = job->file->bytes;
    return 1;
}

static void on_unmap(thandle_t handle, void *base, toff_t size) {
    (void)handle, (void)base, (void)size;
}

/* The first message is kept: later ones follow from it. */
static void keep(tiff_job *job, const char *module, const char *format, va_list arguments) {
    if (job->message[0]) return;
    int length =
        snprintf(job->message, sizeof job->message, "%s%s", module ? module : "", module && *module ? ": " : "");
    if (length >= 0 && (size_t)length < sizeof job->message)
        vsnprintf(job->message + length, sizeof job->message - (size_t)length, format, arguments);
    if (!job->message[0]) snprintf(job->message, sizeof job->message, "libtiff does not say why");
}

static int on_error(TIFF *tiff, void *context, const char *module, const char *format, va_list arguments) {
    (void)tiff;
    keep(context, module, format, arguments);
    return 1; /* no other handler */
}

static int on_warning(TIFF *tiff, void *context, const char *module, const char *format, va_list arguments) {
    tiff_job *job = context;
    (void)tiff;
    if (job->pixels) keep(job, module, format, arguments);
    return 1;
}

static bt_status damaged(const tiff_job *job) {
    return bt_image_damaged(job->file, "TIFF", job->message[0] ? job->message : "libtiff does not say why");
}

static bt_status open_file(tiff_job *job) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return bt_error(BT_ERR_MEMORY, "%s: cannot start libtiff: out of memory", job->file->name);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, ALLOCATION + (tmsize_t)job->file->bytes);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, job);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, job);
    /* r: read; c: strips as they are; D: the tables of strips when they are needed */
    job->tiff =
        TIFFClientOpenExt("TIFF", "rcD", job, on_read, on_write, on_seek, on_close, on_size, on_map, on_unmap, options);
    TIFFOpenOptionsFree(options);
    return job->tiff ? BT_OK : damaged(job);
}

/* ---- samples ---- */

/* Sample `index` of a row as a byte. */
static bt_status byte_of(const tiff_job *job, const uint8_t *row, int64_t index, uint8_t *out) {
    const bt_tiff_layout *l = &job->layout;
    int64_t value = 0;
    if (l->bits <= 8) {
        int per_byte = 8 / l->bits, shift = 8 - l->bits * (int)(index % per_byte + 1), most = (1 << l->bits) - 1;
        int sample = row[index / per_byte] >> shift & most;
        *out = (uint8_t)(l->kind == BT_TIFF_PALETTE ? sample : sample * 255 / most);
        return BT_OK;
    }
    if (l->bits == 16) {
        uint16_t sample;
        memcpy(&sample, row + 2 * index, sizeof sample);
        value = l->is_signed ? (int16_t)sample : sample;
        if (l->kind != BT_TIFF_GREY) {
            *out = (uint8_t)(sample >> 8);
            return BT_OK;
        }
    } else {
        uint32_t sample;
        memcpy(&sample, row + 4 * index, sizeof sample);
        value = l->is_signed ? (int32_t)sample : (int64_t)sample;
    }
    if (value < 0 || value > 255) return bt_image_grey_clipped(job->file, value, l->bits);
    *out = (uint8_t)value;
    return BT_OK;
}

/* Puts `count` pixels of a decoded row into the picture's bytes at (y, x). */
static bt_status place(tiff_job *job, const uint8_t *row, int64_t y, int64_t x, int64_t count, int plane) {
    const bt_tiff_layout *l = &job->layout;
    uint8_t *to = job->bytes + (y * l->width + x) * l->channels;
    for (int64_t i = 0; i < count; i++, to += l->channels) {
        if (l->planar) {
            BT_TRY(byte_of(job, row, i, to + plane));
            continue;
        }
        for (int c = 0; c < l->channels; c++) BT_TRY(byte_of(job, row, i * l->samples + c, to + c));
    }
    return BT_OK;
}

/* Whole strips, as PIL reads them: some writers pack rows together that ought to be packed each by itself. */
static bt_status read_strips(tiff_job *job) {
    const bt_tiff_layout *l = &job->layout;
    int planes = l->planar ? l->channels : 1;
    int64_t per_strip = l->strip_rows < 1 || l->strip_rows > l->height ? l->height : l->strip_rows,
            strips = (l->height + per_strip - 1) / per_strip;
    tmsize_t stride = TIFFScanlineSize(job->tiff), bytes = TIFFStripSize(job->tiff);
    int64_t need = (l->width * l->bits * (l->planar ? 1 : l->samples) + 7) / 8;
    if (stride < need || bytes / stride < per_strip)
        return job->message[0] ? damaged(job)
                               : bt_image_damaged(job->file, "TIFF", "its strips are too small for their pixels");
    if (!(job->block = bt_memory_zeroed((size_t)bytes, 1))) return BT_ERR_MEMORY;
    for (int64_t strip = 0; strip < strips * planes; strip++) {
        int64_t y = strip % strips * per_strip, rows = l->height - y < per_strip ? l->height - y : per_strip;
        tmsize_t got = TIFFReadEncodedStrip(job->tiff, (uint32_t)strip, job->block, bytes);
        if (got < rows * stride || job->message[0]) return damaged(job);
        for (int64_t r = 0; r < rows; r++)
            BT_TRY(place(job, job->block + r * stride, y + r, 0, l->width, (int)(strip / strips)));
    }
    return BT_OK;
}

static bt_status read_tile(tiff_job *job, tmsize_t bytes, int64_t y, int64_t x, int plane) {
    const bt_tiff_layout *l = &job->layout;
    int64_t stride = TIFFTileRowSize(job->tiff);
    int64_t rows = l->height - y < l->tile_height ? l->height - y : l->tile_height;
    int64_t columns = l->width - x < l->tile_width ? l->width - x : l->tile_width;
    uint32_t tile = TIFFComputeTile(job->tiff, (uint32_t)x, (uint32_t)y, 0, (uint16_t)plane);
    if (TIFFReadEncodedTile(job->tiff, tile, job->block, bytes) < 0 || job->message[0]) return damaged(job);
    for (int64_t r = 0; r < rows; r++) BT_TRY(place(job, job->block + r * stride, y + r, x, columns, plane));
    return BT_OK;
}

static bt_status read_tiles(tiff_job *job) {
    bt_tiff_layout *l = &job->layout;
    int64_t most = l->height * l->width > TILE_PIXELS ? l->height * l->width : TILE_PIXELS;
    if (l->tile_height < 1 || l->tile_width < 1 || l->tile_height > most / l->tile_width)
        return bt_error(BT_ERR_FORMAT,
                        "%s: damaged TIFF image: tiles of %" PRId64 " x %" PRId64
                        " pixels (width x height) in a picture of %" PRId64 " x %" PRId64,
                        job->file->name, l->tile_width, l->tile_height, l->width, l->height);
    tmsize_t bytes = TIFFTileSize(job->tiff), row = TIFFTileRowSize(job->tiff);
    int64_t need = (l->tile_width * l->bits * (l->planar ? 1 : l->samples) + 7) / 8;
    if (row < need || bytes / row < l->tile_height)
        return job->message[0] ? damaged(job)
                               : bt_image_damaged(job->file, "TIFF", "its tiles are too small for their pixels");
    if (!(job->block = bt_memory_zeroed((size_t)bytes, 1))) return BT_ERR_MEMORY;
    for (int plane = 0; plane < (l->planar ? l->channels : 1); plane++) {
        for (int64_t y = 0; y < l->height; y += l->tile_height)
            for (int64_t x = 0; x < l->width; x += l->tile_width) BT_TRY(read_tile(job, bytes, y, x, plane));
    }
    return BT_OK;
}

static bt_status read_file(tiff_job *job) {
    bt_tiff_layout *l = &job->layout;
    BT_TRY(open_file(job));
    bt_status status = bt_tiff_layout_read(job->tiff, job->file, l);
    if (status != BT_OK) return status;
    BT_TRY(bt_image_new(l->height, l->width, &job->image));
    bool direct = l->kind == BT_TIFF_RGB;
    job->bytes = direct ? job->image.pixels : bt_memory_alloc((size_t)(l->height * l->width), (size_t)l->channels);
    if (!job->bytes) return BT_ERR_MEMORY;
    job->message[0] = 0;
    job->pixels = true;
    BT_TRY(TIFFIsTiled(job->tiff) ? read_tiles(job) : read_strips(job));
    if (!direct) bt_tiff_to_rgb(l, job->bytes, job->image.pixels);
    return BT_OK;
}

bt_status bt_tiff_decode(const bt_image_file *file, bt_image *out, int *orientation) {
    tiff_job job = {.file = file};
    bt_status status = read_file(&job);
    if (job.tiff) TIFFClose(job.tiff);
    if (job.bytes != job.image.pixels) bt_memory_free(job.bytes);
    bt_memory_free(job.block);
    if (status != BT_OK) {
        bt_image_free(&job.image);
        return status;
    }
    *out = job.image;
    *orientation = job.layout.orientation;
    return BT_OK;
}

#else

bt_status bt_tiff_decode(const bt_image_file *file, bt_image *out, int *orientation) {
    (void)out, (void)orientation;
    return bt_error(BT_ERR_UNSUPPORTED,
                    "%s: this build reads no TIFF images; install libtiff-dev (4.5 or newer) and build again with "
                    "-DBITTERN_TIFF=ON",
                    file->name);
}

#endif
