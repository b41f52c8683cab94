/* The ring of batches, the threads that fill it and the consumer's end; see loader.h.
 *
 * Batches are numbered from the start (number b is epoch and index of start + b). One lock guards the ring's
 * bookkeeping; it is taken twice for each sample and never held while a file is read or a picture made. A thread claims
 * the next sample in order, so the batch that the consumer waits for is always the one worked on. */
#include "data/loader.h"

#include "base/memory.h"
#include "data/loader_state.h"
#include "data/pack.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

int64_t bt_loader_batches(const bt_loader_options *options) {
    bool whole = options->drop_last || (options->training && options->sampler.kind == BT_SAMPLING_CLASS_BALANCED);
    return options->count / options->batch + (!whole && options->count % options->batch != 0);
}

/* ---- options ---- */

static bt_status in_range(const char *name, int64_t value, int64_t low, int64_t high) {
    if (value >= low && value <= high) return BT_OK;
    return bt_error(BT_ERR_CONFIG, "loader: %s is %" PRId64 "; allowed are %" PRId64 "..%" PRId64, name, value, low,
                    high);
}

static bt_status check_options(const bt_loader_options *options) {
    BT_TRY(in_range("samples", options->count, 1, UINT32_MAX));
    BT_TRY(in_range("batch", options->batch, 1, 1 << 20));
    BT_TRY(in_range("size", options->size, 1, 1 << 14));
    BT_TRY(in_range("views", options->views, 1, options->training ? 255 : 1));
    if (!options->training && !options->preprocess) BT_TRY(in_range("resize", options->resize, options->size, 1 << 14));
    if (!options->training && options->preprocess) {
        BT_TRY(in_range("height of a view", options->preprocess->height, options->size, options->size));
        BT_TRY(in_range("width of a view", options->preprocess->width, options->size, options->size));
    }
    if (options->training) BT_TRY(bt_augment_check(&options->augment));
    if (options->training && options->pictures && !options->drop_last)
        return bt_error(BT_ERR_CONFIG, "loader: pictures come in whole batches; set drop_last");
    if (options->training && options->sampler.kind == BT_SAMPLING_CLASS_BALANCED)
        BT_TRY(in_range("data.per_class", options->sampler.per_class, 1, options->batch));
    if (!(options->sampler.tail_power >= 0 && options->sampler.tail_power <= 1))
        return bt_error(BT_ERR_CONFIG, "loader: tail_power is %g; allowed are 0..1", options->sampler.tail_power);
    BT_TRY(in_range("threads", options->threads, 1, 256));
    BT_TRY(in_range("ahead", options->ahead, 2, 64));
    BT_TRY(in_range("epochs", options->epochs, 0, INT32_MAX));
    if (bt_loader_batches(options) == 0) {
        return bt_error(BT_ERR_CONFIG,
                        "loader: %" PRId64 " samples make no batch of %" PRId64
                        "; use a smaller batch or keep the last, short one",
                        options->count, options->batch);
    }
    BT_TRY(in_range("start_epoch", options->start_epoch, 0, INT32_MAX));
    return in_range("start_batch", options->start_batch, 0, bt_loader_batches(options) - 1);
}

int64_t bt_loader_jpeg_side(const bt_loader_options *o) {
    if (o->training) {
        /* A crop of area a and ratio r has sides sqrt(a r) and sqrt(a / r); a square picture has the smallest ones. */
        double ratio = fmin(fmin(o->augment.ratio[0], 1 / o->augment.ratio[1]), 1);
        return (int64_t)ceil((double)o->size / sqrt(o->augment.scale[0] * ratio));
    }
    if (!o->preprocess) return o->resize;
    if (o->preprocess->mode == BT_RESIZE_NONE) return BT_SIDE_LAST; /* never smaller */
    return o->preprocess->resize_height > o->preprocess->resize_width ? o->preprocess->resize_height
                                                                      : o->preprocess->resize_width;
}

/* ---- threads ---- */

/* Number of batches from the start to the end of the last epoch. */
static int64_t last_number(const bt_loader *loader) {
    const bt_loader_options *options = &loader->options;
    if (options->epochs == 0) return INT64_MAX;
    int64_t left = (options->epochs - options->start_epoch) * loader->batches - options->start_batch;
    return left > 0 ? left : 0;
}

/* Sets up the buffer of batch `number`: which samples, and the rows that stay empty. Under the lock. */
static void start_batch(bt_loader *loader, int64_t number) {
    const bt_loader_options *options = &loader->options;
    batch_slots *batch = &loader->ring[number % options->ahead];
    int64_t position = options->start_batch + number, n = options->batch;
    batch->epoch = options->start_epoch + position / loader->batches;
    batch->index = position % loader->batches;
    if (loader->order_epoch != batch->epoch) {
        if (loader->sampler)
            bt_sampler_epoch(loader->sampler, batch->epoch, loader->order, loader->again);
        else
            memcpy(loader->order, options->samples, (size_t)options->count * sizeof *loader->order);
        loader->order_epoch = batch->epoch;
    }
    int64_t first = batch->index * n;
    batch->count = options->count - first < n ? options->count - first : n;
    batch->unfinished = batch->count;
    batch->failed_slot = -1;
    memcpy(batch->samples, loader->order + first, (size_t)batch->count * sizeof *batch->samples);
    for (int64_t i = 0; i < batch->count; i++)
        batch->draws[i] = bt_sampler_draws(batch->epoch, loader->again[first + i]);
    memset(batch->missing, 0, (size_t)n * sizeof *batch->missing);
}

/* Waits for a sample to make; false when the loader stops or nothing is left. Under the lock. */
static bool claim(bt_loader *loader, batch_slots **batch, int64_t *slot) {
    int64_t last = last_number(loader);
    for (;;) {
        int64_t free_from = loader->delivered - loader->holding;
        if (loader->stop || loader->claimed >= last) return false;
        if (loader->claimed < free_from + loader->options.ahead) break;
        pthread_cond_wait(&loader->room, &loader->lock);
    }
    if (loader->claimed_slot == 0) start_batch(loader, loader->claimed);
    *batch = &loader->ring[loader->claimed % loader->options.ahead];
    *slot = loader->claimed_slot++;
    if (loader->claimed_slot == (*batch)->count) {
        loader->claimed++;
        loader->claimed_slot = 0;
    }
    return true;
}

static void add_times(bt_loader_times *sum, const bt_loader_times *times) {
    sum->read_seconds += times->read_seconds;
    sum->decode_seconds += times->decode_seconds;
    sum->augment_seconds += times->augment_seconds;
    sum->decoded += times->decoded;
    sum->cache_hits += times->cache_hits;
}

static void finish(bt_loader *loader, batch_slots *batch, int64_t slot, bt_status status) {
    if (status != BT_OK && (batch->failed_slot < 0 || slot < batch->failed_slot)) {
        batch->failed_slot = slot;
        batch->status = status;
        snprintf(batch->message, sizeof batch->message, "%s", bt_error_message());
    }
    if (--batch->unfinished == 0) pthread_cond_signal(&loader->ready);
}

static void *work(void *context) {
    loader_worker *worker = context;
    bt_loader *loader = worker->loader;
    batch_slots *batch;
    int64_t slot;
    pthread_mutex_lock(&loader->lock);
    while (claim(loader, &batch, &slot)) {
        pthread_mutex_unlock(&loader->lock);
        worker->times = (bt_loader_times){0};
        bt_status status = bt_loader_make(worker, batch, slot);
        pthread_mutex_lock(&loader->lock);
        add_times(&loader->times, &worker->times);
        finish(loader, batch, slot, status);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* ---- the consumer's end ---- */

static void move_row(const bt_loader *loader, batch_slots *batch, int64_t to, int64_t from) {
    int64_t n = loader->options.batch;
    for (int64_t v = 0; v < loader->options.views; v++) {
        memcpy(batch->images + (v * n + to) * loader->view_bytes, batch->images + (v * n + from) * loader->view_bytes,
               (size_t)loader->view_bytes);
        batch->ids[v * n + to] = batch->ids[v * n + from];
    }
    batch->labels[to] = batch->labels[from];
    size_t classes = (size_t)loader->options.set->class_count;
    if (batch->multi_hot)
        memcpy(batch->multi_hot + (size_t)to * classes, batch->multi_hot + (size_t)from * classes, classes);
}

/* Closes the gaps of samples left out and empties the rows behind; returns the number of samples. */
static int64_t close_gaps(const bt_loader *loader, batch_slots *batch) {
    int64_t n = loader->options.batch, valid = 0;
    for (int64_t i = 0; i < batch->count; i++) {
        if (batch->missing[i]) continue;
        if (valid != i) move_row(loader, batch, valid, i);
        valid++;
    }
    for (int64_t i = valid; i < n; i++) {
        for (int64_t v = 0; v < loader->options.views; v++) {
            memset(batch->images + (v * n + i) * loader->view_bytes, 0, (size_t)loader->view_bytes);
            batch->ids[v * n + i] = -1;
        }
        batch->labels[i] = -1;
        size_t classes = (size_t)loader->options.set->class_count;
        if (batch->multi_hot) memset(batch->multi_hot + (size_t)i * classes, 0, classes);
    }
    return valid;
}

/* Whether batch `number` was set up and all of it is made. Under the lock. */
static bool complete(const bt_loader *loader, int64_t number) {
    bool started = number < loader->claimed || (number == loader->claimed && loader->claimed_slot > 0);
    return started && loader->ring[number % loader->options.ahead].unfinished == 0;
}

static batch_slots *wait_for_next(bt_loader *loader) {
    double start = bt_clock_seconds();
    pthread_mutex_lock(&loader->lock);
    if (loader->holding) {
        loader->holding = false;
        pthread_cond_broadcast(&loader->room);
    }
    int64_t number = loader->delivered;
    bool any = number < last_number(loader);
    while (any && !complete(loader, number)) pthread_cond_wait(&loader->ready, &loader->lock);
    if (any) {
        loader->delivered++;
        loader->holding = true;
    }
    loader->times.wait_seconds += bt_clock_seconds() - start;
    pthread_mutex_unlock(&loader->lock);
    return any ? &loader->ring[number % loader->options.ahead] : NULL;
}

bt_status bt_loader_next(bt_loader *loader, bt_batch *out) {
    if (loader->failed != BT_OK) return bt_error(loader->failed, "%s", loader->failure);
    batch_slots *batch = wait_for_next(loader);
    if (!batch) {
        *out = (bt_batch){.end = true};
        return BT_OK;
    }
    if (batch->failed_slot >= 0) {
        loader->failed = batch->status;
        memcpy(loader->failure, batch->message, sizeof loader->failure);
        return bt_error(loader->failed, "%s", loader->failure);
    }
    int64_t valid = close_gaps(loader, batch);
    *out = (bt_batch){.epoch = batch->epoch,
                      .index = batch->index,
                      .n_valid = valid,
                      .images = batch->images,
                      .records = batch->records,
                      .labels = batch->labels,
                      .multi_hot = batch->multi_hot,
                      .ids = batch->ids};
    return BT_OK;
}

bt_loader_times bt_loader_read_times(bt_loader *loader) {
    pthread_mutex_lock(&loader->lock);
    bt_loader_times times = loader->times;
    pthread_mutex_unlock(&loader->lock);
    return times;
}

void bt_loader_copied(bt_loader *loader, double seconds) {
    pthread_mutex_lock(&loader->lock);
    loader->times.copy_seconds += seconds;
    pthread_mutex_unlock(&loader->lock);
}

int64_t bt_loader_damaged(bt_loader *loader, int64_t *samples, int64_t capacity) {
    int64_t count = 0;
    pthread_mutex_lock(&loader->lock);
    for (int64_t i = 0; i < loader->options.set->count; i++) {
        if (!loader->damaged[i]) continue;
        if (count < capacity) samples[count] = i;
        count++;
    }
    pthread_mutex_unlock(&loader->lock);
    return count;
}

/* ---- life ---- */

static bool has_host_memory(const bt_device *device) {
    return device && device->backend->alloc_host;
}

static bt_status allocate_images(bt_device *device, size_t rows, size_t row_bytes, uint8_t **out) {
    size_t bytes;
    void *memory = NULL;
    if (!has_host_memory(device)) {
        *out = bt_memory_alloc(rows, row_bytes);
        return *out ? BT_OK : BT_ERR_MEMORY;
    }
    if (!bt_memory_product(rows, row_bytes, &bytes))
        return bt_error(BT_ERR_MEMORY, "loader: %zu views of %zu bytes", rows, row_bytes);
    bt_status status = device->backend->alloc_host(device, bytes, &memory);
    if (status != BT_OK)
        return bt_error_prefix(status, "loader: batches of %zu bytes (train.batch, data.ahead)", bytes);
    *out = memory;
    return BT_OK;
}

static bt_status allocate_batch(const bt_loader *loader, batch_slots *batch) {
    const bt_loader_options *options = &loader->options;
    size_t n = (size_t)options->batch, rows = n * (size_t)options->views;
    BT_TRY(allocate_images(options->device, rows, (size_t)loader->view_bytes, &batch->images));
    batch->labels = bt_memory_alloc(n, sizeof *batch->labels);
    batch->ids = bt_memory_alloc(rows, sizeof *batch->ids);
    batch->samples = bt_memory_alloc(n, sizeof *batch->samples);
    batch->draws = bt_memory_alloc(n, sizeof *batch->draws);
    batch->missing = bt_memory_alloc(n, sizeof *batch->missing);
    if (options->training && options->pictures) {
        batch->records = bt_memory_zeroed(rows, sizeof *batch->records);
        if (!batch->records) return BT_ERR_MEMORY;
    }
    if (!bt_dataset_single(options->set)) {
        batch->multi_hot = bt_memory_alloc(n, (size_t)options->set->class_count);
        if (!batch->multi_hot) return BT_ERR_MEMORY;
    }
    bool all = batch->images && batch->labels && batch->ids && batch->samples && batch->draws && batch->missing;
    return all ? BT_OK : BT_ERR_MEMORY;
}

static bt_status allocate(bt_loader *loader) {
    const bt_loader_options *options = &loader->options;
    size_t files = (size_t)options->set->count;
    loader->order = bt_memory_alloc((size_t)options->count, sizeof *loader->order);
    loader->again = bt_memory_zeroed((size_t)options->count, sizeof *loader->again);
    loader->damaged = bt_memory_zeroed(files, 1);
    loader->workers = bt_memory_zeroed((size_t)options->threads, sizeof *loader->workers);
    loader->ring = bt_memory_zeroed((size_t)options->ahead, sizeof *loader->ring);
    if (!loader->order || !loader->again || !loader->damaged || !loader->workers || !loader->ring) return BT_ERR_MEMORY;
    if (options->cache_bytes > 0) {
        loader->cache = bt_memory_zeroed(files, sizeof *loader->cache);
        if (!loader->cache) return BT_ERR_MEMORY;
    }
    if (options->training) {
        BT_TRY(bt_sampler_new(&options->sampler, options->set, options->samples, options->count, options->batch,
                              options->seed, &loader->sampler));
    }
    for (int i = 0; i < options->ahead; i++) BT_TRY(allocate_batch(loader, &loader->ring[i]));
    return BT_OK;
}

static bt_status start_threads(bt_loader *loader) {
    for (int i = 0; i < loader->options.threads; i++) {
        loader->workers[i].loader = loader;
        BT_TRY(bt_thread_start(&loader->workers[i].thread, work, &loader->workers[i]));
        loader->running++;
    }
    return BT_OK;
}

bt_status bt_loader_new(const bt_loader_options *options, bt_loader **out) {
    BT_TRY(check_options(options));
    for (int64_t i = 0; i < options->count; i++) {
        BT_ASSERT(options->samples[i] >= 0 && options->samples[i] < options->set->count);
    }
    bt_loader *loader = bt_memory_zeroed(1, sizeof *loader);
    if (!loader) return BT_ERR_MEMORY;
    loader->options = *options;
    /* Images of a pack are evaluation crops already: no second crop. */
    if (options->set->pack && options->set->pack->images) loader->options.resize = options->size;
    if (options->jpeg_scale) loader->options.image.jpeg_side = bt_loader_jpeg_side(&loader->options);
    loader->batches = bt_loader_batches(options);
    loader->view_bytes = options->size * options->size * 3;
    loader->order_epoch = -1;
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->room, NULL);
    pthread_cond_init(&loader->ready, NULL);
    bt_status status = allocate(loader);
    if (status == BT_OK) status = start_threads(loader);
    if (status != BT_OK) {
        bt_loader_free(loader);
        return status;
    }
    *out = loader;
    return BT_OK;
}

static void stop_threads(bt_loader *loader) {
    pthread_mutex_lock(&loader->lock);
    loader->stop = true;
    pthread_cond_broadcast(&loader->room);
    pthread_mutex_unlock(&loader->lock);
    for (int i = 0; i < loader->running; i++) bt_thread_join(&loader->workers[i].thread);
}

static void free_batch(bt_device *device, batch_slots *batch) {
    if (has_host_memory(device) && batch->images)
        device->backend->free_host(device, batch->images);
    else
        bt_memory_free(batch->images);
    bt_memory_free(batch->records);
    bt_memory_free(batch->labels);
    bt_memory_free(batch->multi_hot);
    bt_memory_free(batch->ids);
    bt_memory_free(batch->samples);
    bt_memory_free(batch->draws);
    bt_memory_free(batch->missing);
}

void bt_loader_free(bt_loader *loader) {
    if (!loader) return;
    stop_threads(loader);
    for (int i = 0; loader->workers && i < loader->options.threads; i++) {
        bt_resampler_free(&loader->workers[i].resampler);
        bt_colour_memory_free(&loader->workers[i].colour);
    }
    for (int i = 0; loader->ring && i < loader->options.ahead; i++)
        free_batch(loader->options.device, &loader->ring[i]);
    for (int64_t i = 0; loader->cache && i < loader->options.set->count; i++) bt_image_free(&loader->cache[i]);
    bt_memory_free(loader->cache);
    bt_memory_free(loader->ring);
    bt_memory_free(loader->workers);
    bt_memory_free(loader->damaged);
    bt_memory_free(loader->order);
    bt_memory_free(loader->again);
    bt_sampler_free(loader->sampler);
    pthread_cond_destroy(&loader->ready);
    pthread_cond_destroy(&loader->room);
    pthread_mutex_destroy(&loader->lock);
    bt_memory_free(loader);
}
