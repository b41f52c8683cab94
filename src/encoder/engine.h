/* A model ready to encode: its values on a device, and one inference program for a fixed number of images.
 *
 * The last bits of a result depend on device, dtype, threads, on how many images run together and on the image's place
 * among them (libraries choose products by shape and treat rows at the edge otherwise), not on the other images; a
 * short batch is padded with black ones. With batch 1 they depend on the image alone.
 */
#ifndef BITTERN_ENCODER_ENGINE_H
#define BITTERN_ENCODER_ENGINE_H

#include "encoder/model_open.h"
#include "train/session.h"

typedef struct bt_engine_options {
    bt_model_source source;
    const char *device; /**< "cpu", "cuda" */
    bt_dtype dtype;
    int threads; /**< of the kernels; 0: all cores */
    int batch;   /**< images that run together, at least 1 */
    bool tell;   /**< logs what it takes before it takes it */
} bt_engine_options;

typedef struct bt_engine {
    bt_model_info info;
    bt_model model;
    bt_device *device;
    bt_session session;
    int batch;
    uint32_t crc;    /**< bt_model_crc */
    uint8_t *images; /**< (batch, S, S, 3) */
    float *embeddings, *logits;
    uint64_t *bits;
} bt_engine;

/** `out` owns memory on success (bt_engine_close). Errors of bt_model_open and of the device; BT_ERR_MEMORY, before
 * anything of that size is taken, where the plan's block is more than there is: with the batch that fits. */
bt_status bt_engine_open(const bt_engine_options *options, bt_engine *out) BT_MUST_CHECK;
void bt_engine_close(bt_engine *engine);

/** Encodes `count` images (count, S, S, 3), 1 <= count <= batch. embeddings (count, width), logits (count, outputs),
 * codes (count, code bytes: 8 bits a byte, low bit first); any may be NULL. BT_ERR_UNSUPPORTED for codes of a method
 * without. */
bt_status bt_engine_encode(bt_engine *engine, const uint8_t *images, int count, float *embeddings, float *logits,
                           uint8_t *codes) BT_MUST_CHECK;

/** Bytes of a code: ceil(bits / 8). */
static inline int64_t bt_engine_code_bytes(const bt_engine *engine) {
    return (bt_model_bits(&engine->info) + 7) / 8;
}

#endif
