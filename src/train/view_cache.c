/* Embeddings of several views of each item. */
#include "train/view_cache.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "data/draw.h"
#include "formats/hdf5.h"
#include "train/interrupt.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- files ---- */

static bt_status check_shape(const bt_npy *f, const char *path) {
    bool good = (f->rank == 2 || f->rank == 3) && f->count > 0 && f->dim[f->rank - 1] <= 1 << 20 &&
                (f->rank == 2 || f->dim[1] <= 1 << 16);
    if (good) return BT_OK;
    char shape[128] = "";
    for (int i = 0; i < f->rank && i < 5; i++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%lld", i ? ", " : "", (long long)f->dim[i]);
    return bt_error(BT_ERR_SHAPE,
                    "%s: the shape is (%s); stored embeddings are (items, width) or (items, views, width)", path,
                    shape);
}

bt_status bt_view_cache_width(const char *path, int *out) {
    bt_npy file;
    BT_TRY(bt_array_open(path, &file));
    bt_status status = check_shape(&file, path);
    if (status == BT_OK) *out = (int)file.dim[file.rank - 1];
    bt_npy_close(&file);
    return status;
}

static bt_status check_finite(const bt_view_cache *c, const char *path) {
    int64_t row = (int64_t)c->views * c->width, total = c->count * row;
    for (int64_t i = 0; i < total; i++)
        if (!isfinite(c->values[i]))
            return bt_error(BT_ERR_NUMERIC, "%s: item %lld, view %lld, column %lld is not a finite number", path,
                            (long long)(i / row), (long long)(i % row / c->width), (long long)(i % c->width));
    return BT_OK;
}

bt_status bt_view_cache_open(const char *path, bt_view_cache *out) {
    bt_view_cache c = {.count = 0};
    BT_TRY(bt_array_open(path, &c.file));
    bt_status status = check_shape(&c.file, path);
    if (status == BT_OK) {
        c.count = c.file.dim[0];
        c.views = c.file.rank == 3 ? (int)c.file.dim[1] : 1;
        c.width = (int)c.file.dim[c.file.rank - 1];
        c.values = bt_npy_f32_in_place(&c.file);
        if (!c.values) {
            c.values = c.owned = bt_memory_alloc((size_t)c.file.count, sizeof(float));
            if (c.owned)
                bt_npy_to_f32(&c.file, c.owned);
            else
                status = BT_ERR_MEMORY;
        }
    }
    if (status == BT_OK) status = check_finite(&c, path);
    if (status != BT_OK) {
        bt_view_cache_close(&c);
        return status;
    }
    *out = c;
    return BT_OK;
}

void bt_view_cache_close(bt_view_cache *c) {
    bt_memory_free(c->owned);
    bt_memory_free(c->samples);
    if (c->file.path) bt_npy_close(&c->file);
    *c = (bt_view_cache){.count = 0};
}

/* ---- encoding ---- */

typedef struct encoding {
    bt_session *session;
    bt_view_cache *cache;
    bool *filled; /* (count) */
    float *room;  /* (batch, width) of the inference program */
    int64_t batch;
} encoding;

/** Position of a sample in an ascending list that holds it. */
static int64_t position(const int64_t *list, int64_t count, int64_t sample) {
    int64_t low = 0, high = count - 1;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (list[middle] < sample)
            low = middle + 1;
        else
            high = middle;
    }
    BT_ASSERT(list[low] == sample);
    return low;
}

/** One batch: the loader's rows are view after view, each as many as the inference program takes. */
static bt_status encode_batch(encoding *e, const bt_batch *b) {
    bt_view_cache *c = e->cache;
    size_t side = (size_t)e->session->model->vit.config.image, view_bytes = side * side * 3 * (size_t)e->batch,
           row = (size_t)c->width * sizeof(float);
    for (int v = 0; v < c->views; v++) {
        BT_TRY(bt_session_embed(e->session, b->images + view_bytes * (size_t)v, e->room, NULL, NULL));
        for (int64_t n = 0; n < b->n_valid; n++) {
            int64_t item = position(c->samples, c->count, b->ids[n] & 0xffffffff);
            memcpy(c->owned + (item * c->views + v) * c->width, e->room + n * c->width, row);
            e->filled[item] = true;
        }
    }
    return BT_OK;
}

static bt_status encode_all(encoding *e, const bt_loader_options *options) {
    bt_loader *loader;
    BT_TRY(bt_loader_new(options, &loader));
    bt_status status = BT_OK;
    int64_t done = 0;
    while (status == BT_OK) {
        bt_batch b;
        char text[96];
        status = bt_loader_next(loader, &b);
        if (status != BT_OK || b.end) break;
        status = encode_batch(e, &b);
        done += b.n_valid;
        snprintf(text, sizeof text, "encoding %d views of each image: %lld of %lld", e->cache->views, (long long)done,
                 (long long)options->count);
        bt_log_status(text);
        if (status == BT_OK && bt_interrupt_seen())
            status = bt_error(BT_ERR_INTERRUPTED,
                              "interrupted by signal %d while views were encoded; nothing was trained since the last "
                              "checkpoint, continue with --resume",
                              bt_interrupt_seen());
    }
    bt_log_status(NULL);
    bt_loader_free(loader);
    return status;
}

/** Takes items out that no picture filled. */
static void drop_missing(bt_view_cache *c, const bool *filled) {
    int64_t kept = 0, row = (int64_t)c->views * c->width;
    for (int64_t i = 0; i < c->count; i++) {
        if (!filled[i]) continue;
        if (kept != i) memcpy(c->owned + kept * row, c->owned + i * row, (size_t)row * sizeof(float));
        c->samples[kept++] = c->samples[i];
    }
    c->count = kept;
}

bt_status bt_view_cache_encode(bt_session *session, const bt_loader_options *loader, int views, bt_view_cache *out) {
    double start = bt_clock_seconds();
    bt_view_cache c = {.count = loader->count, .views = views, .width = bt_vit_output(&session->model->vit.config)};
    encoding e = {session, &c, NULL, NULL, session->options.embed_batch};
    bt_loader_options o = *loader;
    o.training = true;
    o.drop_last = false;
    o.batch = e.batch;
    o.views = views;
    o.epochs = 1;
    o.start_epoch = o.start_batch = 0;
    o.ahead = 2;
    c.values = c.owned = bt_memory_alloc((size_t)c.count * (size_t)views, (size_t)c.width * sizeof(float));
    c.samples = bt_memory_alloc((size_t)c.count, sizeof *c.samples);
    e.filled = bt_memory_zeroed((size_t)c.count, sizeof *e.filled);
    e.room = bt_memory_alloc((size_t)e.batch, (size_t)c.width * sizeof(float));
    bt_status status = c.owned && c.samples && e.filled && e.room ? BT_OK : BT_ERR_MEMORY;
    if (status == BT_OK) memcpy(c.samples, loader->samples, (size_t)c.count * sizeof *c.samples);
    if (status == BT_OK) status = encode_all(&e, &o);
    if (status == BT_OK) drop_missing(&c, e.filled);
    bt_memory_free(e.filled);
    bt_memory_free(e.room);
    if (status != BT_OK) {
        bt_view_cache_close(&c);
        return status;
    }
    bt_log_info("cached: %d views of %lld images, %.1f MB, in %.1f s", views, (long long)c.count,
                (double)c.count * views * c.width * 4e-6, bt_clock_seconds() - start);
    *out = c;
    return BT_OK;
}

/* ---- batches ---- */

static bt_status choose_items(const bt_view_cache *cache, const int64_t *samples, int64_t count, bt_cached_batches *b) {
    b->items = bt_memory_alloc((size_t)count, sizeof *b->items);
    if (!b->items) return BT_ERR_MEMORY;
    for (int64_t i = 0, item = 0; i < count; i++) { /* both lists ascend */
        if (!cache->samples) {
            BT_ASSERT(samples[i] < cache->count);
            b->items[b->count++] = samples[i];
            continue;
        }
        while (item < cache->count && cache->samples[item] < samples[i]) item++;
        if (item < cache->count && cache->samples[item] == samples[i]) b->items[b->count++] = item;
    }
    return BT_OK;
}

bt_status bt_cached_batches_new(const bt_view_cache *cache, const bt_dataset *set, const int64_t *samples,
                                int64_t count, int64_t batch, int views, uint64_t seed, bt_cached_batches *out) {
    if (cache->views > 1 && cache->views < views)
        return bt_error(BT_ERR_CONFIG,
                        "method.views is %d, but only %d views of each item are stored; lower it, or store more", views,
                        cache->views);
    bt_cached_batches b = {.cache = cache,
                           .set = set,
                           .batch = batch,
                           .views = views,
                           .seed = seed,
                           .sets = !bt_dataset_single(set),
                           .order_epoch = -1};
    bt_status status = choose_items(cache, samples, count, &b);
    b.order = bt_memory_alloc((size_t)count, sizeof *b.order);
    b.embeddings = bt_memory_alloc((size_t)views * (size_t)batch, (size_t)cache->width * sizeof(float));
    b.classes = bt_memory_alloc((size_t)batch, sizeof *b.classes);
    if (b.sets) b.multi_hot = bt_memory_alloc((size_t)batch, (size_t)set->class_count);
    if (status == BT_OK && (!b.order || !b.embeddings || !b.classes || (b.sets && !b.multi_hot)))
        status = BT_ERR_MEMORY;
    if (status != BT_OK) {
        bt_cached_batches_free(&b);
        return status;
    }
    *out = b;
    return BT_OK;
}

void bt_cached_batches_free(bt_cached_batches *b) {
    bt_memory_free(b->items);
    bt_memory_free(b->order);
    bt_memory_free(b->embeddings);
    bt_memory_free(b->classes);
    bt_memory_free(b->multi_hot);
    *b = (bt_cached_batches){.cache = NULL};
}

/** `count` different views of `stored`: the first steps of a Fisher-Yates shuffle. */
static void draw_views(uint64_t seed, int64_t epoch, int64_t item, int stored, int count, int chosen[]) {
    int swapped[2 * 16], swaps = 0; /* positions that hold another view, and which: at most 16 views are drawn */
    for (int k = 0; k < count; k++) {
        bt_philox words = bt_random_block(seed, epoch, BT_STREAM_CACHED, item, (uint32_t)k / 4);
        int at = k + (int)bt_draw_below(words.word[k % 4], stored - k), here = k, there = at, slot = swaps;
        for (int s = 0; s < swaps; s++) {
            if (swapped[2 * s] == k) here = swapped[2 * s + 1];
            if (swapped[2 * s] == at) there = swapped[2 * s + 1], slot = s;
        }
        swapped[2 * slot] = at;
        swapped[2 * slot + 1] = here;
        swaps += slot == swaps;
        chosen[k] = there;
    }
}

static void set_labels(bt_cached_batches *b, int64_t n, int64_t item) {
    int64_t sample = b->cache->samples ? b->cache->samples[item] : item;
    b->classes[n] = b->set->labels[sample];
    if (b->multi_hot) bt_dataset_multi_hot(b->set, sample, b->multi_hot + n * b->set->class_count);
}

void bt_cached_batch(bt_cached_batches *b, int64_t epoch, int64_t index, bt_step_batch *out) {
    const bt_view_cache *c = b->cache;
    if (b->order_epoch != epoch) {
        memcpy(b->order, b->items, (size_t)b->count * sizeof *b->order);
        bt_draw_shuffle(b->order, b->count, b->seed, epoch, BT_STREAM_SHUFFLE, 0);
        b->order_epoch = epoch;
    }
    BT_ASSERT((index + 1) * b->batch <= b->count && b->views <= 16);
    for (int64_t n = 0; n < b->batch; n++) {
        int64_t item = b->order[index * b->batch + n];
        int chosen[16] = {0};
        if (c->views > 1) draw_views(b->seed, epoch, c->samples ? c->samples[item] : item, c->views, b->views, chosen);
        for (int v = 0; v < b->views; v++)
            memcpy(b->embeddings + (v * b->batch + n) * c->width, c->values + (item * c->views + chosen[v]) * c->width,
                   (size_t)c->width * sizeof(float));
        set_labels(b, n, item);
    }
    *out = (bt_step_batch){.embeddings = b->embeddings, .classes = b->classes, .multi_hot = b->multi_hot};
}
