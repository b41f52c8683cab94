/* Encoding pictures with a trained model, from a program of your own.
 *
 *     bt_encoder *encoder;
 *     if (bt_encoder_open("model.safetensors", NULL, &encoder) != BT_OK) { puts(bt_error_message()); return 1; }
 *     bt_encoder_info info;
 *     bt_encoder_describe(encoder, &info);
 *     float *embedding = malloc((size_t)info.width * sizeof *embedding);
 *     uint8_t *code = malloc((size_t)info.code_bytes);
 *     if (bt_encoder_encode_file(encoder, "wren.jpg", embedding, NULL, code) != BT_OK) ...
 *     bt_encoder_close(encoder);
 *
 * Errors: every function that can fail returns a bt_status and leaves one line of text in the calling thread
 * (bt_error_message, <bittern/status.h>); outputs are then undefined. Nothing is printed, nothing aborts because of
 * input.
 *
 * Threads: an encoder does its work in a thread of its own and leaves the caller's OpenMP settings alone. Any thread
 * may call; calls on one encoder run one after the other. Encoders are independent of each other. An encoder does not
 * survive fork().
 *
 * Same bits: with `batch` 1 a result depends on the model, the picture, device, dtype and threads alone. With a larger
 * batch the last bits also depend on the picture's place in it (a float's last bit; a code's bit where its logit is
 * within that of 0). `bittern embed` with the same settings and the same order writes the same bits.
 */
#ifndef BITTERN_ENCODER_H
#define BITTERN_ENCODER_H

#include <bittern/status.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bt_encoder bt_encoder;

/** Zeroed: the defaults. Strings need to live for the call only. */
typedef struct bt_encoder_options {
    const char *device;     /**< "cpu" or "cuda"; NULL: "cpu" */
    const char *dtype;      /**< of products, "f32" or "bf16"; NULL: "f32" */
    const char *checkpoint; /**< of a run's folder: "last", "best", or a step's number; NULL: "last" */
    const char *base;       /**< of an adapter file: a run's folder or a .safetensors file with the tower; NULL: none */
    int32_t threads;        /**< of the kernels; 0: all cores */
    int32_t batch; /**< images that run together, 0: 1. 1 answers soonest; 16 to 64 give the most images a second */
} bt_encoder_options;

typedef struct bt_encoder_info {
    char method[16];        /**< "crovca", "classify" */
    int32_t image_size;     /**< S: pixels of a side that the model takes */
    int32_t resize;         /**< pixels of the side that pictures are resized to before the centre of S x S is taken:
                               the shorter one, the longer one, both; which, bittern inspect shows. 0: not resized */
    int32_t width;          /**< of an embedding */
    int32_t logits;         /**< columns of the logits: one a bit, or one a class */
    int32_t bits;           /**< of a code; 0: the method makes none */
    int32_t code_bytes;     /**< ceil(bits / 8) */
    int32_t batch, threads; /**< as the encoder was opened; threads 0: all cores */
    int64_t step;           /**< of the training that the model comes from */
} bt_encoder_info;

/** Opens a file of `bittern export` or a run's folder (which takes a build with libyaml). `options` may be NULL.
 * BT_ERR_IO, BT_ERR_FORMAT, BT_ERR_USAGE, BT_ERR_UNSUPPORTED, BT_ERR_MEMORY, BT_ERR_DEVICE. */
bt_status bt_encoder_open(const char *path, const bt_encoder_options *options, bt_encoder **out) BT_MUST_CHECK;

/** Waits for calls of other threads. NULL does nothing. */
void bt_encoder_close(bt_encoder *encoder);

void bt_encoder_describe(const bt_encoder *encoder, bt_encoder_info *out);

/** Encodes images that have the model's size: images (count, S, S, 3), red, green, blue, row-major; count at least 0.
 * Outputs are the caller's, any may be NULL: embeddings (count, width); logits (count, logits), a bit is 1 where its
 * logit is above 0; codes (count, code_bytes), 8 bits a byte, low bit first, as FAISS and
 * numpy.packbits(bitorder="little") have them. Embeddings are as the model gives them, not normalised. BT_ERR_USAGE,
 * BT_ERR_UNSUPPORTED (codes of a method without), BT_ERR_DEVICE. */
bt_status bt_encoder_encode(bt_encoder *encoder, const uint8_t *images, int64_t count, float *embeddings, float *logits,
                            uint8_t *codes) BT_MUST_CHECK;

/** One picture of any size to the model's: pixels (height, width, 3) to out (S, S, 3). As the model's evaluation had
 * it, and as PIL resizes, with a filter that widens when shrinking: as a rule the shorter side to `resize` and then the
 * centre; some models squash pictures, or pad them. BT_ERR_USAGE, BT_ERR_MEMORY, BT_ERR_FORMAT (a picture so narrow
 * that resizing leaves no pixel of it). */
bt_status bt_encoder_prepare(const bt_encoder *encoder, const uint8_t *pixels, int64_t height, int64_t width,
                             uint8_t *out) BT_MUST_CHECK;

/** One file (PNG, JPEG, PPM) decoded to the model's size: out (S, S, 3). BT_ERR_IO, BT_ERR_FORMAT, BT_ERR_UNSUPPORTED,
 * BT_ERR_MEMORY. */
bt_status bt_encoder_prepare_file(const bt_encoder *encoder, const char *path, uint8_t *out) BT_MUST_CHECK;

/** bt_encoder_prepare_file and bt_encoder_encode of one picture. */
bt_status bt_encoder_encode_file(bt_encoder *encoder, const char *path, float *embedding, float *logits,
                                 uint8_t *code) BT_MUST_CHECK;

/** Version of the library: "0.1.0". */
const char *bt_encoder_version(void);

#ifdef __cplusplus
}
#endif
#endif
