/* The public encoder: an engine in a thread of its own, and the work that callers hand to it.
 *
 * Why a thread: OpenMP's number of threads belongs to the thread that sets it, and oneDNN asks for it both when a
 * product is made and when it runs. In a thread of ours every call finds the same number, whichever thread of the user
 * calls, and the user's stays as it was. */
#include <bittern/encoder.h>

#include "base/build.h"
#include "base/memory.h"
#include "base/thread.h"
#include "encoder/engine.h"

#include <bittern/image.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef enum work_kind { WORK_OPEN, WORK_ENCODE, WORK_CLOSE } work_kind;

/** What a caller wants; lives on its stack while it waits. */
typedef struct work {
    work_kind kind;
    const bt_engine_options *options;
    const uint8_t *images;
    int64_t count;
    float *embeddings, *logits;
    uint8_t *codes;
    bt_status status;
    char message[1024];
} work;

struct bt_encoder {
    bt_engine engine;
    bt_encoder_info info;
    bt_thread thread;
    pthread_mutex_t turn; /* a caller's, from handing over its work to having the answer */
    pthread_mutex_t lock; /* guards `work` and `done` */
    pthread_cond_t changed;
    work *work; /* NULL: nothing to do */
    bool done;
};

/* ---- the encoder's thread ---- */

static bt_status encode_all(bt_engine *e, const work *w) {
    size_t side = (size_t)e->info.vit.image, image = side * side * 3, width = (size_t)bt_vit_output(&e->info.vit);
    size_t outputs = (size_t)bt_model_outputs(&e->info), bytes = (size_t)bt_engine_code_bytes(e);
    for (int64_t at = 0; at < w->count; at += e->batch) {
        int n = w->count - at < e->batch ? (int)(w->count - at) : e->batch;
        size_t row = (size_t)at;
        BT_TRY(bt_engine_encode(e, w->images + row * image, n, w->embeddings ? w->embeddings + row * width : NULL,
                                w->logits ? w->logits + row * outputs : NULL,
                                w->codes ? w->codes + row * bytes : NULL));
    }
    return BT_OK;
}

static void *serve(void *context) {
    bt_encoder *e = context;
    for (bool open = true; open;) {
        pthread_mutex_lock(&e->lock);
        while (!e->work || e->done) pthread_cond_wait(&e->changed, &e->lock);
        work *w = e->work;
        pthread_mutex_unlock(&e->lock);
        if (w->kind == WORK_OPEN) w->status = bt_engine_open(w->options, &e->engine);
        if (w->kind == WORK_ENCODE) w->status = encode_all(&e->engine, w);
        if (w->kind == WORK_CLOSE) bt_engine_close(&e->engine);
        open = w->kind != WORK_CLOSE;
        if (w->status != BT_OK) snprintf(w->message, sizeof w->message, "%s", bt_error_message());
        pthread_mutex_lock(&e->lock);
        e->done = true;
        pthread_cond_broadcast(&e->changed);
        pthread_mutex_unlock(&e->lock);
    }
    return NULL;
}

/* ---- the callers' side ---- */

/** Hands work over and waits; its message becomes the calling thread's. */
static bt_status call(bt_encoder *e, work *w) {
    pthread_mutex_lock(&e->turn);
    pthread_mutex_lock(&e->lock);
    e->work = w;
    pthread_cond_broadcast(&e->changed);
    while (!e->done) pthread_cond_wait(&e->changed, &e->lock);
    e->work = NULL;
    e->done = false;
    pthread_mutex_unlock(&e->lock);
    pthread_mutex_unlock(&e->turn);
    return w->status == BT_OK ? BT_OK : bt_error(w->status, "%s", w->message);
}

static void release(bt_encoder *e) {
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
    pthread_mutex_destroy(&e->turn);
    bt_memory_free(e);
}

static bt_status read_options(const char *path, const bt_encoder_options *o, bt_engine_options *out) {
    const char *dtype = o->dtype ? o->dtype : "f32";
    if (strcmp(dtype, "f32") != 0 && strcmp(dtype, "bf16") != 0)
        return bt_error(BT_ERR_USAGE, "dtype \"%s\": allowed are f32 and bf16", dtype);
    *out = (bt_engine_options){.source = {.path = path, .checkpoint = o->checkpoint, .base = o->base},
                               .device = o->device ? o->device : "cpu",
                               .dtype = strcmp(dtype, "bf16") == 0 ? BT_BF16 : BT_F32,
                               .threads = o->threads,
                               .batch = o->batch ? o->batch : 1};
    return BT_OK;
}

static void note_info(bt_encoder *e, const bt_engine_options *o) {
    const bt_model_info *i = &e->engine.info;
    e->info = (bt_encoder_info){.image_size = i->vit.image,
                                .resize = i->pictures.mode == BT_RESIZE_NONE ? 0 : i->pictures.resize,
                                .width = bt_vit_output(&i->vit),
                                .logits = bt_model_outputs(i),
                                .bits = bt_model_bits(i),
                                .code_bytes = (int32_t)bt_engine_code_bytes(&e->engine),
                                .batch = o->batch,
                                .threads = o->threads,
                                .step = i->step};
    snprintf(e->info.method, sizeof e->info.method, "%s", i->method->name);
}

bt_status bt_encoder_open(const char *path, const bt_encoder_options *options, bt_encoder **out) {
    const bt_encoder_options defaults = {.device = NULL};
    bt_engine_options engine;
    BT_TRY(read_options(path, options ? options : &defaults, &engine));
    bt_encoder *e = bt_memory_zeroed(1, sizeof *e);
    if (!e) return BT_ERR_MEMORY;
    pthread_mutex_init(&e->turn, NULL);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->changed, NULL);
    bt_status status = bt_thread_start(&e->thread, serve, e);
    if (status != BT_OK) {
        release(e);
        return status;
    }
    work open = {.kind = WORK_OPEN, .options = &engine};
    status = call(e, &open);
    if (status != BT_OK) {
        bt_encoder_close(e);
        return bt_error(status, "%s", open.message);
    }
    note_info(e, &engine);
    *out = e;
    return BT_OK;
}

void bt_encoder_close(bt_encoder *e) {
    if (!e) return;
    work close = {.kind = WORK_CLOSE};
    (void)call(e, &close);
    bt_thread_join(&e->thread);
    release(e);
}

void bt_encoder_describe(const bt_encoder *e, bt_encoder_info *out) {
    *out = e->info;
}

const char *bt_encoder_version(void) {
    return bt_build_version;
}

bt_status bt_encoder_encode(bt_encoder *e, const uint8_t *images, int64_t count, float *embeddings, float *logits,
                            uint8_t *codes) {
    if (count < 0) return bt_error(BT_ERR_USAGE, "count is %" PRId64 "; it must be at least 0", count);
    work w = {.kind = WORK_ENCODE,
              .images = images,
              .count = count,
              .embeddings = embeddings,
              .logits = logits,
              .codes = codes};
    return call(e, &w);
}

bt_status bt_encoder_prepare(const bt_encoder *e, const uint8_t *pixels, int64_t height, int64_t width, uint8_t *out) {
    if (height < 1 || width < 1 || height > INT32_MAX || width > INT32_MAX)
        return bt_error(BT_ERR_USAGE, "a picture of %" PRId64 " x %" PRId64 " pixels; both must be 1 to 2^31 - 1",
                        height, width);
    bt_resampler resampler = {.weights = NULL};
    const bt_preprocess rule = bt_model_preprocess(&e->engine.info);
    bt_status status = bt_preprocess_run(&rule, &resampler, pixels, height, width, out);
    bt_resampler_free(&resampler);
    return status;
}

bt_status bt_encoder_prepare_file(const bt_encoder *e, const char *path, uint8_t *out) {
    bt_image image;
    const bt_image_options options = {.orientation = e->engine.info.orientation};
    BT_TRY(bt_image_load(path, &options, &image));
    bt_status status = bt_encoder_prepare(e, image.pixels, image.height, image.width, out);
    bt_image_free(&image);
    return status;
}

bt_status bt_encoder_encode_file(bt_encoder *e, const char *path, float *embedding, float *logits, uint8_t *code) {
    size_t side = (size_t)e->info.image_size;
    uint8_t *image = bt_memory_alloc(side * side, 3);
    if (!image) return BT_ERR_MEMORY;
    bt_status status = bt_encoder_prepare_file(e, path, image);
    if (status == BT_OK) status = bt_encoder_encode(e, image, 1, embedding, logits, code);
    bt_memory_free(image);
    return status;
}
