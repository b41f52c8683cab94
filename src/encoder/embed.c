/* Embedding a data set to files. */
#include "encoder/embed.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "data/loader.h"
#include "encoder/embed_state.h"
#include "train/interrupt.h"
#include "train/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LOG_SECONDS = 10 };

/* ---- one batch ---- */

static void take_label(embedding *e, int64_t sample, int64_t row) {
    uint8_t *to = e->labels + (size_t)row * e->label_bytes;
    if (e->sources.set.several)
        bt_dataset_multi_hot(&e->sources.set, sample, to);
    else
        memcpy(to, &e->sources.set.labels[sample], sizeof(int32_t));
}

/** Rows of the pictures that came, and the names of those that did not. `first` is the batch's first picture. */
static bt_status write_batch(embedding *e, const bt_batch *b, int64_t first) {
    int64_t last = first + e->engine.batch < e->end ? first + e->engine.batch : e->end;
    size_t n = (size_t)b->n_valid, width = (size_t)e->kind.width, outputs = (size_t)e->kind.outputs;
    if (n) {
        BT_TRY(bt_engine_encode(&e->engine, b->images, (int)n, e->values, e->o->logits ? e->logits : NULL,
                                e->o->codes ? e->codes : NULL));
        BT_TRY(bt_growing_append(&e->file[FILE_EMBEDDINGS], e->values, n * width * sizeof(float)));
        BT_TRY(bt_growing_append(&e->file[FILE_LOGITS], e->logits, n * outputs * sizeof(float)));
        BT_TRY(bt_growing_append(&e->file[FILE_CODES], e->codes, n * (size_t)e->kind.code_bytes));
    }
    bt_text_clear(&e->text);
    bt_text_clear(&e->lost);
    for (int64_t i = first, row = 0; i < last; i++) {
        bool came = row < b->n_valid && (b->ids[row] & UINT32_MAX) == i;
        bt_text_append(came ? &e->text : &e->lost, "%s\n", e->sources.set.paths[i]);
        if (came)
            take_label(e, i, row++);
        else
            e->state.damaged++;
    }
    BT_TRY(bt_text_status(&e->text));
    BT_TRY(bt_text_status(&e->lost));
    BT_TRY(bt_growing_append(&e->file[FILE_LABELS], e->labels, n * e->label_bytes));
    BT_TRY(bt_growing_append(&e->file[FILE_PATHS], bt_text_get(&e->text), e->text.length));
    BT_TRY(bt_growing_append(&e->file[FILE_DAMAGED], bt_text_get(&e->lost), e->lost.length));
    e->state.done = last - e->begin;
    e->state.rows += b->n_valid;
    return BT_OK;
}

/* ---- all of it ---- */

static void log_progress(const embedding *e, double seconds) {
    int64_t now = e->state.done - e->resumed_at, left = bt_embed_pictures(e) - e->state.done;
    double rate = seconds > 0 ? (double)now / seconds : 0, rest = rate > 0 ? (double)left / rate : 0;
    char left_text[32];
    bt_duration_text(rest, left_text, sizeof left_text);
    bt_log_info("embedded %" PRId64 " of %" PRId64 " pictures, %.1f images/s, %s left", e->state.done,
                bt_embed_pictures(e), rate, left_text);
}

static bt_status run(embedding *e, bt_loader *loader) {
    double start = bt_clock_seconds(), saved = start, logged = start;
    for (;;) {
        bt_batch b;
        BT_TRY(bt_loader_next(loader, &b));
        if (b.end) return BT_OK;
        BT_TRY(write_batch(e, &b, e->begin + b.index * e->engine.batch));
        double now = bt_clock_seconds();
        bool stop = bt_interrupt_seen() != 0;
        if (stop || now - saved >= e->o->save_seconds) {
            BT_TRY(bt_embed_state_save(e));
            saved = bt_clock_seconds();
        }
        if (now - logged >= LOG_SECONDS) {
            log_progress(e, now - start);
            logged = now;
        }
        if (stop && e->state.done < bt_embed_pictures(e))
            return bt_error(BT_ERR_INTERRUPTED,
                            "interrupted by signal %d; saved at picture %" PRId64 " of %" PRId64
                            ", continue with --resume",
                            bt_interrupt_seen(), e->state.done, bt_embed_pictures(e));
    }
}

static bt_status load_and_run(embedding *e, double *wait_seconds) {
    if (e->state.done >= bt_embed_pictures(e)) return BT_OK;
    int64_t *samples = bt_memory_alloc((size_t)bt_embed_pictures(e), sizeof *samples);
    if (!samples) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < bt_embed_pictures(e); i++) samples[i] = e->begin + i;
    const bt_preprocess rule = bt_model_preprocess(&e->engine.info);
    bt_picture_rule_warn(&e->engine.info.pictures, &e->sources.set);
    bt_loader_options o = {.set = &e->sources.set,
                           .samples = samples,
                           .count = bt_embed_pictures(e),
                           .batch = e->engine.batch,
                           .size = e->engine.info.vit.image,
                           .views = 1,
                           .preprocess = &rule,
                           .filter = rule.filter,
                           .skip_damaged = e->o->skip_damaged,
                           .image = {.orientation = e->engine.info.orientation},
                           .threads = e->o->loader_threads,
                           .ahead = 3,
                           .epochs = 1,
                           .start_batch = e->state.done / e->engine.batch};
    bt_loader *loader = NULL;
    bt_status status = bt_loader_new(&o, &loader);
    if (status == BT_OK) status = run(e, loader);
    if (loader) *wait_seconds = bt_loader_read_times(loader).wait_seconds;
    bt_loader_free(loader);
    bt_memory_free(samples);
    return status;
}

static embed_kind kind_of(const embedding *e) {
    const bt_dataset *s = &e->sources.set;
    return (embed_kind){.has = {[FILE_EMBEDDINGS] = !e->o->skip_embeddings,
                                [FILE_CODES] = e->o->codes,
                                [FILE_LOGITS] = e->o->logits,
                                [FILE_LABELS] = e->sources.labelled,
                                [FILE_PATHS] = true,
                                [FILE_DAMAGED] = true},
                        .width = bt_vit_output(&e->engine.info.vit),
                        .code_bytes = bt_engine_code_bytes(&e->engine),
                        .outputs = bt_model_outputs(&e->engine.info),
                        .bits = bt_model_bits(&e->engine.info),
                        .label_columns = s->several ? s->class_count : 0,
                        .method = e->engine.info.method->name,
                        .classes = s->class_names,
                        .class_count = s->class_count};
}

static bt_status allocate(embedding *e) {
    size_t n = (size_t)e->engine.batch;
    e->values = bt_memory_alloc(n * (size_t)e->kind.width, sizeof *e->values);
    e->logits = bt_memory_alloc(n * (size_t)e->kind.outputs, sizeof *e->logits);
    e->codes = bt_memory_alloc(n, (size_t)e->kind.code_bytes);
    e->label_bytes = e->sources.set.several ? (size_t)e->sources.set.class_count : sizeof(int32_t);
    e->labels = bt_memory_alloc(n, e->label_bytes);
    return e->values && e->logits && e->codes && e->labels ? BT_OK : BT_ERR_MEMORY;
}

/** Where the work writes, and which pictures it has. */
static bt_status place(embedding *e) {
    const bt_shard *shard = &e->o->shard;
    e->out = e->o->out;
    if (shard->count) {
        BT_TRY(bt_embed_check_count(e));
        BT_TRY(bt_shard_path(shard, e->o->out, ".npy", e->shard_out, sizeof e->shard_out));
        e->out = e->shard_out;
    }
    bt_shard_range(shard, e->sources.set.count, e->engine.batch, &e->begin, &e->end);
    if (shard->count)
        bt_log_info("shard %d/%d: %" PRId64 " of %" PRId64 " pictures, from %" PRId64 " on", shard->index, shard->count,
                    bt_embed_pictures(e), e->sources.set.count, e->begin + 1);
    return BT_OK;
}

static bt_status check_options(const bt_embed_options *o) {
    BT_TRY(bt_embed_check_out(o->out));
    if (o->skip_embeddings && !o->codes && !o->logits)
        return bt_error(BT_ERR_USAGE, "without embeddings, codes and logits nothing is left to write");
    return BT_OK;
}

static bt_status open_all(embedding *e) {
    BT_TRY(bt_sources_open(&e->o->data, &e->sources));
    if (bt_embed_is_hdf5(e->o->out)) BT_TRY(bt_embed_check_hdf5(e));
    BT_TRY(bt_engine_open(&e->o->engine, &e->engine));
    if (e->o->codes && !bt_model_bits(&e->engine.info))
        return bt_error(BT_ERR_UNSUPPORTED, "method %s makes no codes; leave out --codes", e->engine.info.method->name);
    BT_TRY(place(e));
    e->kind = kind_of(e);
    bt_embed_describe(e);
    BT_TRY(bt_text_status(&e->settings));
    return allocate(e);
}

static bt_status embed(embedding *e, bt_embed_result *out) {
    bool done = false;
    BT_TRY(open_all(e));
    BT_TRY(bt_embed_take_work(e));
    if (e->o->shard.count) BT_TRY(bt_embed_shard_is_done(e, &done));
    if (!done) BT_TRY(bt_embed_state_open(e));
    double start = bt_clock_seconds();
    e->resumed_at = e->state.done;
    if (done)
        bt_log_info("all of this shard was done before");
    else if (e->resumed_at)
        bt_log_info("continues at picture %" PRId64 " of %" PRId64, e->resumed_at, bt_embed_pictures(e));
    bt_embed_result r = {
        .info = e->engine.info, .resumed_at = e->resumed_at, .first = e->begin, .pictures = bt_embed_pictures(e)};
    bt_status status = load_and_run(e, &r.wait_seconds);
    if (status != BT_OK) return status;
    if (!done) BT_TRY(bt_embed_state_finish(e));
    r.count = e->state.rows;
    r.damaged = e->state.damaged;
    r.seconds = bt_clock_seconds() - start;
    *out = r;
    return BT_OK;
}

void bt_embed_release(embedding *e) {
    for (int i = 0; i < FILES; i++) bt_growing_close(&e->file[i]);
    if (e->lock >= 0) close(e->lock);
    bt_text_free(&e->settings);
    bt_text_free(&e->text);
    bt_text_free(&e->lost);
    bt_memory_free(e->values);
    bt_memory_free(e->logits);
    bt_memory_free(e->codes);
    bt_memory_free(e->labels);
    bt_engine_close(&e->engine);
    bt_sources_close(&e->sources);
}

bt_status bt_embed(const bt_embed_options *options, bt_embed_result *out) {
    BT_TRY(check_options(options));
    embedding e = {.o = options, .lock = -1};
    for (int i = 0; i < FILES; i++) e.file[i].fd = -1;
    bt_status status = embed(&e, out);
    bt_embed_release(&e);
    return status;
}
