/* A model ready to encode. */
#include "encoder/engine.h"

#include "base/memory.h"
#include "encoder/engine_room.h"

#include <string.h>

static bt_status allocate(bt_engine *e) {
    size_t n = (size_t)e->batch, side = (size_t)e->info.vit.image;
    e->images = bt_memory_alloc(n, side * side * 3);
    e->embeddings = bt_memory_alloc(n * (size_t)bt_vit_output(&e->info.vit), sizeof(float));
    e->logits = bt_memory_alloc(n * (size_t)bt_model_outputs(&e->info), sizeof(float));
    e->bits = bt_memory_alloc(n * (((size_t)bt_model_bits(&e->info) + 63) / 64), sizeof(uint64_t));
    return e->images && e->embeddings && e->logits && e->bits ? BT_OK : BT_ERR_MEMORY;
}

bt_status bt_engine_open(const bt_engine_options *o, bt_engine *out) {
    *out = (bt_engine){.batch = o->batch};
    if (o->batch < 1 || o->batch > 1 << 16)
        return bt_error(BT_ERR_USAGE, "batch is %d; allowed are 1 to 65536 images", o->batch);
    const bt_backend *backend = bt_backend_named(o->device);
    if (!backend) return BT_ERR_UNSUPPORTED;
    bt_status status = backend->open(&(bt_device_options){.threads = o->threads}, &out->device);
    if (status == BT_OK) status = bt_model_load(&o->source, o->dtype, out->device, &out->info, &out->model, &out->crc);
    if (status == BT_OK) status = bt_engine_reserve(out, o); /* the session keeps the model's address */
    if (status == BT_OK) status = allocate(out);
    if (status != BT_OK) bt_engine_close(out);
    return status;
}

void bt_engine_close(bt_engine *e) {
    if (e->session.device) bt_session_close(&e->session);
    bt_model_release(&e->model);
    if (e->device) e->device->backend->close(e->device);
    bt_memory_free(e->images);
    bt_memory_free(e->embeddings);
    bt_memory_free(e->logits);
    bt_memory_free(e->bits);
    *e = (bt_engine){.batch = 0};
}

bt_status bt_engine_encode(bt_engine *e, const uint8_t *images, int count, float *embeddings, float *logits,
                           uint8_t *codes) {
    int bits = bt_model_bits(&e->info);
    if (codes && !bits)
        return bt_error(BT_ERR_UNSUPPORTED, "method %s makes no codes; it has embeddings and logits",
                        e->info.method->name);
    BT_ASSERT(count >= 1 && count <= e->batch);
    size_t n = (size_t)count, side = (size_t)e->info.vit.image, image = side * side * 3;
    if (count < e->batch) {
        memcpy(e->images, images, n * image);
        memset(e->images + n * image, 0, (size_t)(e->batch - count) * image);
        images = e->images;
    }
    BT_TRY(bt_session_embed(&e->session, images, embeddings ? e->embeddings : NULL, logits ? e->logits : NULL,
                            codes ? e->bits : NULL));
    if (embeddings) memcpy(embeddings, e->embeddings, n * (size_t)bt_vit_output(&e->info.vit) * sizeof(float));
    if (logits) memcpy(logits, e->logits, n * (size_t)bt_model_outputs(&e->info) * sizeof(float));
    size_t bytes = (size_t)bt_engine_code_bytes(e), words = ((size_t)bits + 63) / 64;
    for (size_t i = 0; codes && i < n; i++)
        for (size_t b = 0; b < bytes; b++)
            codes[i * bytes + b] = (uint8_t)(e->bits[i * words + b / 8] >> (8 * (b % 8)));
    return BT_OK;
}
