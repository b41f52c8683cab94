/* PNG through libpng (1.6).
 *
 * libpng reports errors by a jump. Everything that a jump may cross lives in a struct of the caller's frame, never in
 * locals of the function that called setjmp, so nothing is indeterminate afterwards and nothing leaks: the function
 * with setjmp only runs libpng, its caller owns and frees. Warnings (odd colour profiles, unknown text chunks) are
 * dropped: a wrong checksum in a chunk that pixels depend on is an error in libpng itself. */
#include "base/file.h"
#include "formats/image_codec.h"

#ifdef BITTERN_WITH_PNG

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

typedef struct png_job {
    const char *name;
    png_structp png;
    png_infop info;
    jmp_buf escape;
    char message[160];
    bt_status status; /* set when the fault is ours and the thread's message is in place */
    /* reading */
    const unsigned char *content;
    size_t bytes, at;
    const bt_image_limits *limits;
    bt_image image;
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
    if (count > job->bytes - job->at) {
        char text[96];
        snprintf(text, sizeof text, "the file ends early, after %zu bytes", job->bytes);
        png_error(png, text);
    }
    memcpy(data, job->content + job->at, count);
    job->at += count;
}

/* Asks for 8-bit RGB, as the head comment of image.h has it. */
static void set_transforms(png_structp png, png_infop info) {
    int color = png_get_color_type(png, info);
    png_set_expand(png); /* palette, grey below 8 bits, and transparent colours to alpha */
    png_set_strip_16(png);
    if (!(color & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
}

static bool run_read(png_job *job) {
    if (setjmp(job->escape)) return false;
    png_set_read_fn(job->png, job, on_read);
    png_set_user_limits(job->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours are stricter and say more */
    png_read_info(job->png, job->info);
    int64_t width = png_get_image_width(job->png, job->info), height = png_get_image_height(job->png, job->info);
    bt_status status = bt_image_check_size(job->name, height, width, job->limits);
    if (status != BT_OK) leave(job, status);
    set_transforms(job->png, job->info);
    BT_ASSERT(png_get_rowbytes(job->png, job->info) == (size_t)width * 3);
    status = bt_image_new(height, width, &job->image);
    if (status != BT_OK) leave(job, status);
    int passes = png_get_interlace_type(job->png, job->info) == PNG_INTERLACE_ADAM7 ? PNG_INTERLACE_ADAM7_PASSES : 1;
    if (passes > 1) memset(job->image.pixels, 0, (size_t)height * (size_t)width * 3);
    for (int pass = 0; pass < passes; pass++) {
        for (int64_t row = 0; row < height; row++) png_read_row(job->png, job->image.pixels + row * width * 3, NULL);
    }
    png_read_end(job->png, NULL); /* the last checksum, and that the file is whole */
    return true;
}

bt_status bt_png_decode(const unsigned char *content, size_t bytes, const char *name, const bt_image_limits *limits,
                        bt_image *out) {
    png_job job = {.name = name, .content = content, .bytes = bytes, .limits = limits};
    job.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, on_error, on_warning);
    if (job.png) job.info = png_create_info_struct(job.png);
    if (!job.info) {
        png_destroy_read_struct(&job.png, NULL, NULL);
        return bt_error(BT_ERR_MEMORY, "%s: cannot start libpng: out of memory", name);
    }
    bool done = run_read(&job);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    if (!done) {
        bt_image_free(&job.image);
        return job.status != BT_OK ? job.status : bt_image_damaged(name, "PNG", job.message);
    }
    *out = job.image;
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
    png_job job = {.name = path, .writer = &writer};
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

bt_status bt_png_decode(const unsigned char *content, size_t bytes, const char *name, const bt_image_limits *limits,
                        bt_image *out) {
    (void)content, (void)bytes, (void)limits, (void)out;
    return bt_error(BT_ERR_UNSUPPORTED, "%s: this build reads no PNG images; %s", name, NO_PNG);
}

bt_status bt_image_save_png(const char *path, const uint8_t *pixels, int64_t height, int64_t width) {
    (void)pixels, (void)height, (void)width;
    return bt_error(BT_ERR_UNSUPPORTED, "cannot write %s: this build writes no PNG images (PPM always works); %s", path,
                    NO_PNG);
}

#endif
