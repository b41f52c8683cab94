/* JPEG to memory through libjpeg. State that a jump may cross lives in the caller's frame, as in jpeg.c. */
#include "formats/encode.h"

#ifdef BITTERN_WITH_JPEG

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

typedef struct encode_job {
    struct jpeg_compress_struct encoder;
    struct jpeg_error_mgr errors;
    jmp_buf escape;
    unsigned char *buffer; /* of malloc, grown by libjpeg */
    unsigned long bytes;
} encode_job;

static void on_error(j_common_ptr common) {
    encode_job *job = common->client_data;
    longjmp(job->escape, 1);
}

static bool run(encode_job *job, const uint8_t *pixels, int64_t height, int64_t width, int quality) {
    struct jpeg_compress_struct *encoder = &job->encoder;
    if (setjmp(job->escape)) return false;
    jpeg_create_compress(encoder);
    jpeg_mem_dest(encoder, &job->buffer, &job->bytes);
    encoder->image_width = (JDIMENSION)width;
    encoder->image_height = (JDIMENSION)height;
    encoder->input_components = 3;
    encoder->in_color_space = JCS_RGB;
    jpeg_set_defaults(encoder);
    jpeg_set_quality(encoder, quality, TRUE);
    encoder->dct_method = JDCT_ISLOW;
    encoder->comp_info[0].h_samp_factor = encoder->comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(encoder, TRUE);
    while (encoder->next_scanline < encoder->image_height) {
        /* libjpeg's row type lacks const; rows are only read. */
        union {
            const uint8_t *in;
            JSAMPROW row;
        } row = {.in = pixels + (int64_t)encoder->next_scanline * width * 3};
        jpeg_write_scanlines(encoder, &row.row, 1);
    }
    jpeg_finish_compress(encoder);
    return true;
}

bt_status bt_jpeg_encode(const uint8_t *pixels, int64_t height, int64_t width, int quality, bt_text *out) {
    BT_ASSERT(height > 0 && width > 0 && height < 65500 && width < 65500 && quality >= 1 && quality <= 100);
    encode_job job = {0};
    job.encoder.err = jpeg_std_error(&job.errors);
    job.encoder.client_data = &job;
    job.errors.error_exit = on_error;
    bool done = run(&job, pixels, height, width, quality);
    if (done) bt_text_append_bytes(out, (const char *)job.buffer, (size_t)job.bytes);
    jpeg_destroy_compress(&job.encoder);
    free(job.buffer);
    return done ? bt_text_status(out) : bt_error(BT_ERR_MEMORY, "cannot encode a JPEG: out of memory");
}

#else

bt_status bt_jpeg_encode(const uint8_t *pixels, int64_t height, int64_t width, int quality, bt_text *out) {
    (void)pixels, (void)height, (void)width, (void)quality, (void)out;
    return bt_error(
        BT_ERR_UNSUPPORTED,
        "this build writes no JPEG images; install libjpeg62-turbo-dev and build again with -DBITTERN_JPEG=ON");
}

#endif
