/* WebP through libwebp and libwebpdemux.
 *
 * The demuxer checks the container (and that the file is whole) and knows the canvas before a pixel is decoded. Of an
 * animation the first frame is decoded onto a black canvas: what PIL shows, which blends it onto nothing. */
#include "formats/image_codec.h"

#ifdef BITTERN_WITH_WEBP

#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

static const char *status_text(VP8StatusCode code) {
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return "out of memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return "a feature that libwebp does not know";
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return "the picture's data end early";
    default:
        return "the picture's data are damaged";
    }
}

/* Decodes a frame into its place on the canvas. */
static bt_status decode_frame(const bt_image_file *file, const WebPIterator *frame, bt_image *image) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return bt_error(BT_ERR_UNSUPPORTED, "%s: this libwebp is not the one Bittern was built with", file->name);
    VP8StatusCode code = WebPGetFeatures(frame->fragment.bytes, frame->fragment.size, &config.input);
    if (code != VP8_STATUS_OK) return bt_image_damaged(file, "WebP", status_text(code));
    int64_t height = config.input.height, width = config.input.width;
    if (height != frame->height || width != frame->width || frame->y_offset < 0 || frame->x_offset < 0 ||
        frame->y_offset > image->height - height || frame->x_offset > image->width - width)
        return bt_image_damaged(file, "WebP", "the frame and its pixels differ in size, or it leaves the canvas");
    int64_t stride = image->width * 3, offset = frame->y_offset * stride + frame->x_offset * 3;
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image->pixels + offset;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = (size_t)((height - 1) * stride + width * 3);
    code = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? BT_OK : bt_image_damaged(file, "WebP", status_text(code));
}

static int chunk_orientation(const WebPDemuxer *demuxer, const char *kind,
                             int (*find)(const unsigned char *data, size_t bytes)) {
    WebPChunkIterator chunk;
    int found = 0;
    if (WebPDemuxGetChunk(demuxer, kind, 1, &chunk)) found = find(chunk.chunk.bytes, chunk.chunk.size);
    WebPDemuxReleaseChunkIterator(&chunk);
    return found;
}

static bt_status decode(const bt_image_file *file, const WebPDemuxer *demuxer, bt_image *image) {
    int64_t height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT),
            width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH);
    WebPIterator frame;
    BT_TRY(bt_image_check_size(file, height, width));
    if (!WebPDemuxGetFrame(demuxer, 1, &frame)) return bt_image_damaged(file, "WebP", "it has no picture");
    bt_status status = bt_image_new(height, width, image);
    if (status == BT_OK) {
        memset(image->pixels, 0, (size_t)height * (size_t)width * 3);
        status = decode_frame(file, &frame, image);
        if (status != BT_OK) bt_image_free(image);
    }
    WebPDemuxReleaseIterator(&frame);
    return status;
}

bt_status bt_webp_decode(const bt_image_file *file, bt_image *out, int *orientation) {
    const WebPData data = {.bytes = file->content, .size = file->bytes};
    WebPDemuxer *demuxer = WebPDemux(&data);
    bt_image image = {.pixels = NULL};
    if (!demuxer) return bt_image_damaged(file, "WebP", "the container is damaged or ends early");
    bt_status status = decode(file, demuxer, &image);
    if (status == BT_OK) {
        if (file->options.orientation == BT_ORIENTATION_APPLY) {
            int found = chunk_orientation(demuxer, "EXIF", bt_exif_orientation);
            if (!found) found = chunk_orientation(demuxer, "XMP ", bt_xmp_orientation);
            if (found) *orientation = found;
        }
        *out = image;
    }
    WebPDemuxDelete(demuxer);
    return status;
}

#else

bt_status bt_webp_decode(const bt_image_file *file, bt_image *out, int *orientation) {
    (void)out, (void)orientation;
    return bt_error(BT_ERR_UNSUPPORTED,
                    "%s: this build reads no WebP images; install libwebp-dev and build again with -DBITTERN_WEBP=ON",
                    file->name);
}

#endif
