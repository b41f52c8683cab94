/* PNG to memory through libpng. State that a jump may cross lives in the caller's frame, as in png.c. */
#include "formats/encode.h"

#ifdef BITTERN_WITH_PNG

#include <png.h>
#include <setjmp.h>

typedef struct encode_job {
    png_structp png;
    png_infop info;
    jmp_buf escape;
    bt_text *out;
} encode_job;

static void on_error(png_structp png, png_const_charp message) {
    encode_job *job = png_get_error_ptr(png);
    (void)message; /* pixels are valid: only memory can be missing */
    longjmp(job->escape, 1);
}

static void on_write(png_structp png, png_bytep data, size_t count) {
    encode_job *job = png_get_io_ptr(png);
    bt_text_append_bytes(job->out, (const char *)data, count);
}

static void on_flush(png_structp png) {
    (void)png;
}

static bool run(encode_job *job, const uint8_t *pixels, int64_t height, int64_t width, int channels) {
    if (setjmp(job->escape)) return false;
    png_set_write_fn(job->png, job, on_write, on_flush);
    png_set_IHDR(job->png, job->info, (png_uint_32)width, (png_uint_32)height, 8,
                 channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(job->png, job->info);
    for (int64_t row = 0; row < height; row++) png_write_row(job->png, pixels + row * width * channels);
    png_write_end(job->png, NULL);
    return true;
}

bt_status bt_png_encode(const uint8_t *pixels, int64_t height, int64_t width, int channels, bt_text *out) {
    BT_ASSERT(height > 0 && width > 0 && (channels == 1 || channels == 3));
    encode_job job = {.out = out};
    job.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &job, on_error, NULL);
    if (job.png) job.info = png_create_info_struct(job.png);
    bool done = job.info && run(&job, pixels, height, width, channels);
    png_destroy_write_struct(&job.png, &job.info);
    return done ? bt_text_status(out) : bt_error(BT_ERR_MEMORY, "cannot encode a PNG: out of memory");
}

#else

bt_status bt_png_encode(const uint8_t *pixels, int64_t height, int64_t width, int channels, bt_text *out) {
    (void)pixels, (void)height, (void)width, (void)channels, (void)out;
    return bt_error(BT_ERR_UNSUPPORTED,
                    "this build writes no PNG images; install libpng-dev and build again with -DBITTERN_PNG=ON");
}

#endif
