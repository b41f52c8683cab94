/* Embeddings of samples; see embedded.h. */
#include "train/embedded.h"

#include "base/memory.h"
#include "train/interrupt.h"
#include "train/view_cache.h"

#include <string.h>

typedef struct embedding {
    bt_session *session;
    const bt_embedded_options *options;
    int64_t words;
    float *batch_embeddings, *batch_logits;
    uint64_t *batch_codes;
    bt_npy_rows rows; /* where options->file */
    bt_embedded found;
} embedding;

static bt_status make_room(embedding *e, int64_t count) {
    size_t n = (size_t)count, batch = (size_t)e->session->options.embed_batch, width = (size_t)e->found.width,
           outputs = (size_t)e->found.outputs;
    const bt_embedded_options *o = e->options;
    e->batch_embeddings = bt_memory_alloc(batch * width, sizeof(float));
    e->batch_logits = bt_memory_alloc(o->logits ? batch * outputs : 0, sizeof(float));
    e->batch_codes = bt_memory_alloc(o->codes ? batch * (size_t)e->words : 0, sizeof(uint64_t));
    e->found.samples = bt_memory_alloc(n, sizeof(int64_t));
    if (!e->batch_embeddings || !e->batch_logits || !e->batch_codes || !e->found.samples) return BT_ERR_MEMORY;
    if (o->logits && !(e->found.logits = bt_memory_alloc(n * outputs, sizeof(float)))) return BT_ERR_MEMORY;
    if (o->codes && !(e->found.codes = bt_memory_alloc(n * (size_t)e->words, sizeof(uint64_t)))) return BT_ERR_MEMORY;
    if (o->file) return BT_OK;
    e->found.memory = bt_memory_alloc(n * width, sizeof(float));
    return e->found.memory ? BT_OK : BT_ERR_MEMORY;
}

static bt_status take_batch(embedding *e, const bt_batch *b) {
    const bt_embedded_options *o = e->options;
    bt_embedded *f = &e->found;
    BT_TRY(bt_session_embed(e->session, b->images, e->batch_embeddings, o->logits ? e->batch_logits : NULL,
                            o->codes ? e->batch_codes : NULL));
    size_t at = (size_t)f->count, n = (size_t)b->n_valid, width = (size_t)f->width, outputs = (size_t)f->outputs,
           words = (size_t)e->words;
    if (o->file)
        BT_TRY(bt_npy_rows_append(&e->rows, e->batch_embeddings, b->n_valid));
    else
        memcpy(f->memory + at * width, e->batch_embeddings, n * width * sizeof(float));
    if (o->logits) memcpy(f->logits + at * outputs, e->batch_logits, n * outputs * sizeof(float));
    if (o->codes) memcpy(f->codes + at * words, e->batch_codes, n * words * sizeof(uint64_t));
    for (size_t i = 0; i < n; i++) f->samples[at + i] = b->ids[i] & 0xffffffff; /* view 0: sample | 0 << 32 */
    f->count += b->n_valid;
    return BT_OK;
}

/** Stored embeddings, the first view of each item, through the head. */
static bt_status run_stored(embedding *e, const bt_loader_options *o) {
    const bt_view_cache *stored = e->session->stored;
    size_t width = (size_t)stored->width;
    float *in = bt_memory_zeroed((size_t)o->batch * width, sizeof *in);
    bt_status status = in ? BT_OK : BT_ERR_MEMORY;
    for (int64_t at = 0; at < o->count && status == BT_OK; at += o->batch) {
        int64_t n = o->count - at < o->batch ? o->count - at : o->batch;
        for (int64_t i = 0; i < n; i++)
            memcpy(in + (size_t)i * width, stored->values + (size_t)(o->samples[at + i] * stored->views) * width,
                   width * sizeof *in);
        status = take_batch(e, &(bt_batch){.n_valid = n, .images = (const uint8_t *)in, .ids = o->samples + at});
    }
    bt_memory_free(in);
    return status;
}

static bt_status run(embedding *e, const bt_loader_options *loader_options) {
    bt_loader *loader;
    if (e->session->stored) return run_stored(e, loader_options);
    BT_TRY(bt_loader_new(loader_options, &loader));
    bt_status status = BT_OK;
    for (bt_batch b; status == BT_OK;) {
        status = bt_loader_next(loader, &b);
        if (status != BT_OK || b.end) break;
        status = take_batch(e, &b);
        if (status == BT_OK && bt_interrupt_seen())
            status =
                bt_error(BT_ERR_INTERRUPTED, "interrupted by signal %d while scores were made", bt_interrupt_seen());
    }
    bt_loader_free(loader);
    return status;
}

/** Ends the file and maps it. */
static bt_status map_rows(embedding *e) {
    BT_TRY(bt_npy_rows_commit(&e->rows));
    BT_TRY(bt_npy_open(e->options->file, &e->found.map));
    e->found.embeddings = bt_npy_f32_in_place(&e->found.map);
    BT_ASSERT(e->found.embeddings || e->found.count == 0); /* our header ends at a multiple of 64 bytes */
    return BT_OK;
}

static bt_status embed(embedding *e, const int64_t *samples, int64_t count) {
    bt_loader_options o = *e->options->loader;
    o.samples = samples;
    o.count = count;
    o.training = o.drop_last = false;
    o.views = o.epochs = 1;
    o.start_epoch = o.start_batch = 0;
    o.batch = e->session->options.embed_batch;
    BT_TRY(make_room(e, count));
    if (!e->options->file) {
        e->found.embeddings = e->found.memory;
        return run(e, &o);
    }
    BT_TRY(bt_npy_rows_begin(e->options->file, BT_FILE_F32, e->found.width, &e->rows));
    bt_status status = run(e, &o);
    if (status == BT_OK) return map_rows(e);
    bt_npy_rows_abandon(&e->rows);
    return status;
}

bt_status bt_embedded_make(bt_session *session, const bt_embedded_options *options, const int64_t *samples,
                           int64_t count, bt_embedded *out) {
    if (!session->plan[BT_PROGRAM_EMBED])
        return bt_error(BT_ERR_CONFIG, "eval.batch is 0: there is no program that embeds; set it to 64, for example");
    const bt_model *m = session->model;
    embedding e = {.session = session,
                   .options = options,
                   .found = {.width = bt_vit_output(&m->vit.config),
                             .outputs = m->method->codes ? m->config.bits : m->config.classes}};
    e.words = (e.found.outputs + 63) / 64;
    bt_status status = embed(&e, samples, count);
    bt_memory_free(e.batch_embeddings);
    bt_memory_free(e.batch_logits);
    bt_memory_free(e.batch_codes);
    if (status != BT_OK) {
        bt_embedded_free(&e.found);
        return status;
    }
    *out = e.found;
    return BT_OK;
}

double bt_embedded_accuracy(const bt_embedded *e, const int32_t *labels) {
    int64_t right = 0;
    for (int64_t i = 0; i < e->count; i++) {
        const float *row = e->logits + i * e->outputs;
        int64_t best = 0;
        for (int64_t c = 1; c < e->outputs; c++) best = row[c] > row[best] ? c : best;
        right += best == labels[e->samples[i]];
    }
    return e->count ? (double)right / (double)e->count : -1;
}

void bt_embedded_free(bt_embedded *e) {
    bt_memory_free(e->memory);
    bt_memory_free(e->logits);
    bt_memory_free(e->codes);
    bt_memory_free(e->samples);
    if (e->map.path) bt_npy_close(&e->map);
    *e = (bt_embedded){.count = 0};
}

void bt_embedded_split_free(bt_embedded_split *s) {
    bt_embedded_free(&s->query);
    bt_embedded_free(&s->database);
    s->step = -1;
}
