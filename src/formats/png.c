/* PNG through libpng (1.6).
 *
 * libpng reports errors by a jump. Everything that a jump may cross lives in a struct of the caller's frame, never in
 * locals of the function that called setjmp, so nothing is indeterminate afterwards and nothing leaks: the function
 * with setjmp only runs libpng, its caller owns and frees. Warnings (odd colour profiles, unknown text chunks) are
 * dropped: a wrong checksum in a chunk that pixels depend on is an error in libpng itself. */
#include "base/file.h"
#include "base/memory.h"
#include "formats/image_codec.h"

#ifdef BITTERN_WITH_PNG

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

typedef struct png_job {
    png_structp png;
    png_infop info;
    jmp_buf escape;
    char message[160];
    bt_status status; /* set when the fault is ours and the thread's message is in place */
    /* reading */
    const bt_image_file *file;
    size_t at;
    bt_image image;
    uint8_t *wide; /* (H,W) big-endian 16-bit grey */
    int orientation;
    /* writing */
    bt_file_writer *writer;
} png_job;

static void on_error(png_structp png, png_const_charp message) {
    png_job *job = png_get_error_ptr(png);
    snprintf(job->message, sizeof job->message, "%s", message);
    longjmp(job->escape, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

/* Leaves libpng with a fault of ours, whose message is already the thread's. */
static void leave(png_job *job, bt_status status) {
    job->status = status;
    longjmp(job->escape, 1);
}

static void on_read(png_structp png, png_bytep data, size_t count) {
    png_job *job = png_get_io_ptr(png);
    if (count > job->file->bytes - job->at) {
        char text[96];
        snprintf(text, sizeof text, "the file ends early, after %zu bytes", job->file->bytes);
        png_error(png, text);
    }
    memcpy(data, job->file->content + job->at, count);
    job->at += count;
}

/* Asks for 8-bit RGB, as the head comment of image.h has it; 16-bit grey comes as it is. */
static void set_transforms(png_structp png, png_infop info, bool wide) {
    int color = png_get_color_type(png, info);
    if (!wide) {
        png_set_expand(png); /* palette, grey below 8 bits, and transparent colours to alpha */
        png_set_strip_16(png);
        if (!(color & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
        png_set_strip_alpha(png);
    }
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
}

/* "Raw profile type exif", as ImageMagick writes it: a line feed, "exif", the length, then EXIF in hexadecimal digits.
 */
static int raw_profile_orientation(const char *text) {
    unsigned char block[1024]; /* the first directory lies in front */
    size_t bytes = 0;
    for (int lines = 0; lines < 3; lines++) {
        text = strchr(text, '\n');
        if (!text++) return 0;
    }
    int half = -1;
    for (; *text && bytes < sizeof block; text++) {
        int digit = *text >= '0' && *text <= '9'                 ? *text - '0'
                    : (*text | 32) >= 'a' && (*text | 32) <= 'f' ? (*text | 32) - 'a' + 10
                                                                 : -1;
        if (digit < 0 && *text != '\n' && *text != ' ' && *text != '\r' && *text != '\t') return 0;
        if (digit < 0) continue;
        if (half >= 0) block[bytes++] = (unsigned char)(half << 4 | digit);
        half = half >= 0 ? -1 : digit;
    }
    return bt_exif_orientation(block, bytes);
}

/* The chunk eXIf, else ImageMagick's text, else XMP; they may stand before or behind the pixels. */
static int orientation_of(png_structp png, png_infop info) {
    png_textp text = NULL;
    int count = 0, found = 0, profile = 0, xmp = 0;
    bool has_exif = false;
#ifdef PNG_eXIf_SUPPORTED /* since 1.6.32 */
    png_bytep exif = NULL;
    png_uint_32 exif_bytes = 0;
    has_exif = png_get_eXIf_1(png, info, &exif_bytes, &exif) != 0 && exif;
    if (has_exif) found = bt_exif_orientation(exif, exif_bytes);
#endif
    png_get_text(png, info, &text, &count);
    for (int i = 0; i < count; i++) {
        size_t length = text[i].text ? strlen(text[i].text) : 0;
        if (length && strcmp(text[i].key, "Raw profile type exif") == 0)
            profile = raw_profile_orientation(text[i].text);
        if (length && strcmp(text[i].key, "XML:com.adobe.xmp") == 0)
            xmp = bt_xmp_orientation((const unsigned char *)text[i].text, length);
    }
    if (!has_exif && profile) found = profile;
    if (!found) found = xmp;
    return found ? found : 1;
}

/* Allocates the picture and what 16-bit grey is read into. */
static bt_status make_room(png_job *job, int64_t height, int64_t width, bool wide) {
    size_t row = png_get_rowbytes(job->png, job->info);
    BT_ASSERT(row == (size_t)width * (wide ? 2 : 3));
    BT_TRY(bt_image_new(height, width, &job->image));
    memset(job->image.pixels, 0, (size_t)height * (size_t)width * 3); /* passes of an interlaced file fill in */
    if (wide && !(job->wide = bt_memory_zeroed((size_t)height, row))) return BT_ERR_MEMORY;
    return BT_OK;
}

static bool run_read(png_job *job) {
    if (setjmp(job->escape)) return false;
    png_set_read_fn(job->png, job, on_read);
    png_set_user_limits(job->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours are stricter and say more */
    png_read_info(job->png, job->info);
    int64_t width = png_get_image_width(job->png, job->info), height = png_get_image_height(job->png, job->info);
    bt_status status = bt_image_check_size(job->file, height, width);
    if (status != BT_OK) leave(job, status);
    bool wide =
        png_get_bit_depth(job->png, job->info) == 16 && png_get_color_type(job->png, job->info) == PNG_COLOR_TYPE_GRAY;
    int passes = png_get_interlace_type(job->png, job->info) == PNG_INTERLACE_ADAM7 ? PNG_INTERLACE_ADAM7_PASSES : 1;
    set_transforms(job->png, job->info, wide);
    status = make_room(job, height, width, wide);
    if (status != BT_OK) leave(job, status);
    uint8_t *rows = wide ? job->wide : job->image.pixels;
    for (int pass = 0; pass < passes; pass++) {
        for (int64_t row = 0; row < height; row++) png_read_row(job->png, rows + row * width * (wide ? 2 : 3), NULL);
    }
    png_read_end(job->png, job->info); /* the last checksum, and that the file is whole */
    if (job->file->options.orientation == BT_ORIENTATION_APPLY) job->orientation = orientation_of(job->png, job->info);
    return true;
}

/* PIL's mode I to RGB, where it does not clip. */
static bt_status narrow(png_job *job) {
    for (int64_t i = 0; job->wide && i < job->image.height * job->image.width; i++) {
        if (job->wide[2 * i]) return bt_image_grey_clipped(job->file, job->wide[2 * i] << 8 | job->wide[2 * i + 1], 16);
        memset(job->image.pixels + 3 * i, job->wide[2 * i + 1], 3);
    }
    return BT_OK;
}

bt_status bt_png_decode(const bt_image_file *file, bt_image *out, int *orientation) {
    png_job job = {.file = file, .orientation = 1};
    job.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
    if (job.png) job.info = png_create_info_struct(job.png);
    if (!job.info) {
        png_destroy_read_struct(&job.png, NULL, NULL);
        return bt_error(BT_ERR_MEMORY, "%s: cannot start libpng: out of memory", file->name);
    }
    bool done = run_read(&job);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    bt_status status = done                  ? narrow(&job)
                       : job.status != BT_OK ? job.status
                                             : bt_image_damaged(file, "PNG", job.message);
    bt_memory_free(job.wide);
    if (status != BT_OK) {
        bt_image_free(&job.image);
        return status;
    }
    *out = job.image;
    *orientation = job.orientation;
    return BT_OK;
}

static void on_write(png_structp png, png_bytep data, size_t count) {
    png_job *job = png_get_io_ptr(png);
    bt_status status = bt_file_append(job->writer, data, count);
    if (status != BT_OK) leave(job, status);
}

static void on_flush(png_structp png) {
    (void)png;
}

static bool run_write(png_job *job, const uint8_t *pixels, int64_t height, int64_t width) {
    if (setjmp(job->escape)) return false;
    png_set_write_fn(job->png, job, on_write, on_flush);
    png_set_IHDR(job->png, job->info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(job->png, job->info);
    for (int64_t row = 0; row < height; row++) png_write_row(job->png, pixels + row * width * 3);
    png_write_end(job->png, NULL);
    return true;
}

bt_status bt_image_save_png(const char *path, const uint8_t *pixels, int64_t height, int64_t width) {
    BT_ASSERT(height > 0 && width > 0 && height <= BT_IMAGE_MAX_SIDE && width <= BT_IMAGE_MAX_SIDE);
    bt_file_writer writer;
    BT_TRY(bt_file_begin(path, &writer));
    png_job job = {.writer = &writer};
    job.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
    if (job.png) job.info = png_create_info_struct(job.png);
    bool done = job.info && run_write(&job, pixels, height, width);
    bool started = job.info != NULL;
    png_destroy_write_struct(&job.png, &job.info);
    if (done) return bt_file_commit(&writer);
    bt_file_abandon(&writer);
    if (!started) return bt_error(BT_ERR_MEMORY, "%s: cannot start libpng: out of memory", path);
    if (job.status != BT_OK) return job.status;
    return bt_error(BT_ERR_FAILED, "cannot write %s: libpng: %s", path, job.message);
}

#else

#define NO_PNG "install libpng-dev and build again with -DBITTERN_PNG=ON"

bt_status bt_png_decode(const bt_image_file *file, bt_image *out, int *orientation) {
    (void)out, (void)orientation;
    return bt_error(BT_ERR_UNSUPPORTED, "%s: this build reads no PNG images; %s", file->name, NO_PNG);
}

bt_status bt_image_save_png(const char *path, const uint8_t *pixels, int64_t height, int64_t width) {
    (void)pixels, (void)height, (void)width;
    return bt_error(BT_ERR_UNSUPPORTED, "cannot write %s: this build writes no PNG images (PPM always works); %s", path,
                    NO_PNG);
}

#endif
