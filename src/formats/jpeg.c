/* JPEG through libjpeg (6b interface; libjpeg-turbo).
 *
 * libjpeg fills what is missing of a cut or damaged file with grey and only warns. Here every warning that means wrong
 * pixels is an error; accepted are odd version numbers and stray bytes between segments, which cameras and editors
 * write. As in png.c, state that a jump may cross lives in a struct of the caller's frame. */
#include "formats/image_codec.h"

#ifdef BITTERN_WITH_JPEG

#include "base/memory.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

/* A progressive file may repeat scans without end, each over all pixels: a few bytes of input, minutes of work. Real
 * encoders write about ten. */
#define MAX_SCANS 200

typedef struct jpeg_job {
    struct jpeg_decompress_struct decoder;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    char message[JMSG_LENGTH_MAX];
    bt_status status; /* set when the fault is ours and the thread's message is in place */
    const bt_image_file *file;
    bt_image image;
    uint8_t *ink_row; /* (W,4) of a CMYK image */
    int orientation;
} jpeg_job;

static void on_error(j_common_ptr common) {
    jpeg_job *job = common->client_data;
    job->errors.format_message(common, job->message);
    longjmp(job->escape, 1);
}

static void on_message(j_common_ptr common, int level) {
    int code = common->err->msg_code;
    if (level < 0 && code != JWRN_ADOBE_XFORM && code != JWRN_JFIF_MAJOR && code != JWRN_EXTRANEOUS_DATA)
        on_error(common);
}

static void on_progress(j_common_ptr common) {
    jpeg_job *job = common->client_data;
    if (job->decoder.input_scan_number <= MAX_SCANS) return;
    snprintf(job->message, sizeof job->message, "it has more than %d scans", MAX_SCANS);
    longjmp(job->escape, 1);
}

static void leave(jpeg_job *job, bt_status status) {
    job->status = status;
    longjmp(job->escape, 1);
}

/* ink (W,4) as Adobe stores it, 255 = no ink; rgb (W,3). */
static void inks_to_rgb(const uint8_t *ink, int64_t width, uint8_t *rgb) {
    for (int64_t x = 0; x < width; x++) {
        const uint8_t inverted[3] = {255 - ink[4 * x], 255 - ink[4 * x + 1], 255 - ink[4 * x + 2]};
        bt_ink_to_rgb(inverted, ink[4 * x + 3], rgb + 3 * x);
    }
}

static void read_rows(jpeg_job *job) {
    struct jpeg_decompress_struct *decoder = &job->decoder;
    int64_t width = job->image.width;
    while (decoder->output_scanline < decoder->output_height) {
        uint8_t *rgb = job->image.pixels + (int64_t)decoder->output_scanline * width * 3;
        JSAMPROW row = job->ink_row ? job->ink_row : rgb;
        jpeg_read_scanlines(decoder, &row, 1);
        if (job->ink_row) inks_to_rgb(job->ink_row, width, rgb);
    }
}

/* The first EXIF block, else XMP. */
static int orientation_of(const struct jpeg_decompress_struct *decoder) {
    static const char xmp[] = "http://ns.adobe.com/xap/1.0/"; /* with the 0 behind it */
    int found = 0;
    bool exif = false;
    for (jpeg_saved_marker_ptr m = decoder->marker_list; m; m = m->next) {
        if (m->data_length >= 6 && memcmp(m->data, "Exif", 5) == 0 && !exif) {
            exif = true;
            int orientation = bt_exif_orientation(m->data, m->data_length);
            if (orientation) return orientation;
        } else if (m->data_length > sizeof xmp && memcmp(m->data, xmp, sizeof xmp) == 0 && !found) {
            found = bt_xmp_orientation(m->data + sizeof xmp, m->data_length - sizeof xmp);
        }
    }
    return found ? found : 1;
}

/* Eighths of its size at which a picture is decoded. */
static unsigned eighths(const jpeg_job *job, int64_t height, int64_t width) {
    int64_t side = height < width ? height : width, need = job->file->options.jpeg_side;
    unsigned n = need > 0 ? 1 : 8;
    while (n < 8 && (side * n + 7) / 8 < need) n++;
    return n;
}

static void start(jpeg_job *job) {
    struct jpeg_decompress_struct *decoder = &job->decoder;
    int64_t width = decoder->image_width, height = decoder->image_height;
    bt_status status = bt_image_check_size(job->file, height, width);
    if (status != BT_OK) leave(job, status);
    bool ink = decoder->jpeg_color_space == JCS_CMYK || decoder->jpeg_color_space == JCS_YCCK;
    decoder->out_color_space = ink ? JCS_CMYK : JCS_RGB;
    decoder->dct_method = JDCT_ISLOW;
    decoder->scale_num = eighths(job, height, width);
    decoder->scale_denom = 8;
    jpeg_calc_output_dimensions(decoder);
    status = bt_image_new(decoder->output_height, decoder->output_width, &job->image);
    if (status == BT_OK && ink && !(job->ink_row = bt_memory_alloc((size_t)job->image.width, 4)))
        status = BT_ERR_MEMORY;
    if (status != BT_OK) leave(job, status);
    jpeg_start_decompress(decoder);
    BT_ASSERT(decoder->output_width == job->image.width && decoder->output_height == job->image.height);
}

static bool run_read(jpeg_job *job) {
    struct jpeg_decompress_struct *decoder = &job->decoder;
    if (setjmp(job->escape)) return false;
    jpeg_create_decompress(decoder);
    decoder->progress = &job->progress;
    jpeg_mem_src(decoder, job->file->content, (unsigned long)job->file->bytes);
    if (job->file->options.orientation == BT_ORIENTATION_APPLY) jpeg_save_markers(decoder, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(decoder, TRUE);
    job->orientation = orientation_of(decoder);
    start(job);
    read_rows(job);
    jpeg_finish_decompress(decoder);
    return true;
}

bt_status bt_jpeg_decode(const bt_image_file *file, bt_image *out, int *orientation) {
    jpeg_job job = {.file = file, .orientation = 1};
    job.decoder.err = jpeg_std_error(&job.errors);
    job.decoder.client_data = &job;
    job.errors.error_exit = on_error;
    job.errors.emit_message = on_message;
    job.progress.progress_monitor = on_progress;
    bool done = run_read(&job);
    jpeg_destroy_decompress(&job.decoder);
    bt_memory_free(job.ink_row);
    if (!done) {
        bt_image_free(&job.image);
        return job.status != BT_OK ? job.status : bt_image_damaged(file, "JPEG", job.message);
    }
    *out = job.image;
    *orientation = job.orientation;
    return BT_OK;
}

#else

bt_status bt_jpeg_decode(const bt_image_file *file, bt_image *out, int *orientation) {
    (void)out, (void)orientation;
    return bt_error(
        BT_ERR_UNSUPPORTED,
        "%s: this build reads no JPEG images; install libjpeg62-turbo-dev and build again with -DBITTERN_JPEG=ON",
        file->name);
}

#endif
