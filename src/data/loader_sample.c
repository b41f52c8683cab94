/* One sample of a batch: read, decode (or take from the cache), augment; damaged files. See loader.h for the rules. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "data/draw.h"
#include "data/loader_state.h"
#include "data/pack.h"

#include <limits.h>
#include <string.h>

/* Replacements in a row that may be damaged too before the data set is given up. */
#define REPLACEMENTS 64

static bool find_cached(loader_worker *worker, int64_t sample, bt_image *out) {
    bt_loader *loader = worker->loader;
    if (!loader->cache) return false;
    pthread_mutex_lock(&loader->lock);
    *out = loader->cache[sample];
    pthread_mutex_unlock(&loader->lock);
    worker->times.cache_hits += out->pixels != NULL;
    return out->pixels != NULL;
}

/* Gives the picture to the cache if there is room; false: it stays the caller's. Two threads may have decoded the same
 * picture for two epochs; the second one is not kept. */
static bool keep_cached(bt_loader *loader, int64_t sample, const bt_image *image) {
    if (!loader->cache) return false;
    size_t bytes = (size_t)image->height * (size_t)image->width * 3;
    pthread_mutex_lock(&loader->lock);
    bool kept = !loader->cache[sample].pixels && bytes <= loader->options.cache_bytes - loader->cache_used_bytes;
    if (kept) {
        loader->cache[sample] = *image;
        loader->cache_used_bytes += bytes;
    }
    pthread_mutex_unlock(&loader->lock);
    return kept;
}

/* An image of a pack, where it lies: pictures are only read. */
static bool find_stored(const bt_dataset *set, int64_t sample, bt_image *out) {
    const uint8_t *pixels = bt_pack_image(set, sample);
    if (pixels) *out = (bt_image){.pixels = (uint8_t *)pixels, .height = set->pack->size, .width = set->pack->size};
    return pixels != NULL;
}

static bt_status decode(loader_worker *worker, int64_t sample, const void *content, size_t bytes, const char *name,
                        bt_image *out, bool *owned) {
    double start = bt_clock_seconds();
    bt_status status = bt_image_decode(content, bytes, name, &worker->loader->options.image, out);
    worker->times.decode_seconds += bt_clock_seconds() - start;
    BT_TRY(status);
    worker->times.decoded++;
    *owned = !keep_cached(worker->loader, sample, out);
    return BT_OK;
}

/* The picture of a sample; `owned` if the caller must free it. */
static bt_status get_picture(loader_worker *worker, int64_t sample, bt_image *out, bool *owned) {
    bt_loader *loader = worker->loader;
    *owned = false;
    if (find_stored(loader->options.set, sample, out) || find_cached(worker, sample, out)) return BT_OK;
    size_t packed_bytes;
    const uint8_t *packed = bt_pack_encoded(loader->options.set, sample, &packed_bytes);
    if (packed) return decode(worker, sample, packed, packed_bytes, loader->options.set->paths[sample], out, owned);
    char path[PATH_MAX], *content;
    if (!bt_dataset_path(loader->options.set, sample, path, sizeof path)) {
        return bt_error(BT_ERR_IO, "%s: the path of a picture has more than %zu bytes", loader->options.set->name,
                        sizeof path - 1);
    }
    size_t limit = loader->options.image.file_bytes ? loader->options.image.file_bytes : BT_IMAGE_FILE_BYTES, bytes;
    double start = bt_clock_seconds();
    BT_TRY(bt_file_read(path, limit, &content, &bytes));
    worker->times.read_seconds += bt_clock_seconds() - start;
    bt_status status = decode(worker, sample, content, bytes, path, out, owned);
    bt_memory_free(content);
    return status;
}

/* Geometry and colour of one view. */
static void choose_view(const bt_loader *loader, const bt_image *image, int64_t draw, int64_t id, bt_view *view,
                        bt_colour *colour) {
    const bt_loader_options *o = &loader->options;
    if (o->training) {
        *view = bt_view_random(image->height, image->width, o->size, &o->augment, o->seed, draw, id);
        *colour = bt_colour_random(&o->augment, o->seed, draw, id);
    } else {
        *view = bt_view_center(image->height, image->width, o->resize, o->size);
        view->filter = o->filter;
        colour->count = 0;
    }
}

static bool by_preprocess(const bt_loader_options *o) {
    return !o->training && o->preprocess &&
           !(o->set->pack && o->set->pack->images); /* images of a pack are crops already */
}

static bt_status make_views(loader_worker *worker, const bt_image *image, batch_slots *batch, int64_t n,
                            int64_t sample) {
    const bt_loader *loader = worker->loader;
    const bt_loader_options *options = &loader->options;
    for (int64_t v = 0; v < options->views; v++) {
        int64_t row = v * options->batch + n, id = sample | v << 32;
        uint8_t *pixels = batch->images + row * loader->view_bytes;
        batch->ids[row] = id;
        if (by_preprocess(options)) {
            bt_status status = bt_preprocess_run(options->preprocess, &worker->resampler, image->pixels, image->height,
                                                 image->width, pixels);
            if (status != BT_OK) return bt_error_prefix(status, "%s", options->set->paths[sample]);
            continue;
        }
        bt_view view;
        bt_colour colour;
        choose_view(loader, image, batch->draws[n], id, &view, &colour);
        BT_TRY(bt_resample(&worker->resampler, image->pixels, image->height, image->width, &view, pixels));
        BT_TRY(bt_colour_apply(&worker->colour, &colour, pixels, options->size, options->size));
    }
    return BT_OK;
}

/* A square as it is: what is left to do of a view whose crop is resized. */
static bt_view whole_square(int64_t size) {
    bt_box box = {0, 0, size, size};
    return (bt_view){.crop = box, .full_height = size, .full_width = size, .window = box, .filter = BT_FILTER_BILINEAR};
}

/* The picture, or its resized crops where they are smaller, and a record for each view. */
static bt_status keep_picture(loader_worker *worker, const bt_image *image, batch_slots *batch, int64_t n,
                              int64_t sample) {
    const bt_loader *loader = worker->loader;
    int64_t views = loader->options.views, size = loader->options.size, offset = n * views * loader->view_bytes;
    int64_t bytes = image->height * image->width * 3;
    bool whole = bytes <= views * loader->view_bytes;
    if (whole) memcpy(batch->images + offset, image->pixels, (size_t)bytes);
    for (int64_t v = 0; v < views; v++) {
        int64_t row = v * loader->options.batch + n, id = sample | v << 32;
        bt_view_record record = {.offset = offset, .height = image->height, .width = image->width};
        choose_view(loader, image, batch->draws[n], id, &record.view, &record.colour);
        if (!whole) {
            record.offset = offset + v * loader->view_bytes;
            BT_TRY(bt_resample(&worker->resampler, image->pixels, image->height, image->width, &record.view,
                               batch->images + record.offset));
            record.height = record.width = size;
            record.view = whole_square(size);
        }
        batch->records[row] = record;
        batch->ids[row] = id;
    }
    return BT_OK;
}

static void set_labels(const bt_loader *loader, batch_slots *batch, int64_t n, int64_t sample) {
    const bt_dataset *set = loader->options.set;
    batch->labels[n] = set->labels[sample];
    if (batch->multi_hot) bt_dataset_multi_hot(set, sample, batch->multi_hot + n * set->class_count);
}

/* Evaluation of a pack whose images have the size that is wanted: they are the views. */
static bool copy_stored(loader_worker *worker, batch_slots *batch, int64_t n, int64_t sample) {
    const bt_loader *loader = worker->loader;
    const uint8_t *image = loader->options.training ? NULL : bt_pack_image(loader->options.set, sample);
    if (!image || loader->options.set->pack->size != loader->options.size) return false;
    double start = bt_clock_seconds();
    memcpy(batch->images + n * loader->view_bytes, image, (size_t)loader->view_bytes);
    batch->ids[n] = sample;
    worker->times.read_seconds += bt_clock_seconds() - start;
    return true;
}

static bt_status make_sample(loader_worker *worker, batch_slots *batch, int64_t n, int64_t sample) {
    bt_image image;
    bool owned;
    set_labels(worker->loader, batch, n, sample);
    if (copy_stored(worker, batch, n, sample)) return BT_OK;
    BT_TRY(get_picture(worker, sample, &image, &owned));
    double start = bt_clock_seconds();
    bt_status status =
        batch->records ? keep_picture(worker, &image, batch, n, sample) : make_views(worker, &image, batch, n, sample);
    worker->times.augment_seconds += bt_clock_seconds() - start;
    if (owned) bt_image_free(&image);
    return status;
}

static bool is_damage(bt_status status) {
    return status == BT_ERR_FORMAT || status == BT_ERR_IO;
}

/* Notes a damaged sample, and warns of it once. */
static void note_damaged(bt_loader *loader, int64_t sample) {
    pthread_mutex_lock(&loader->lock);
    bool first = !loader->damaged[sample];
    loader->damaged[sample] = 1;
    pthread_mutex_unlock(&loader->lock);
    if (first) bt_log_warn("skipped: %s", bt_error_message());
}

/* The sample at place `from` of the list or, where batches are balanced, the next one from there of the damaged one's
 * class: another class in its place would leave its prototype an image short. A class of one sample has no other. */
static int64_t another(const bt_loader_options *options, int64_t from, int64_t sample) {
    const int32_t *labels = options->set->labels;
    bool balanced = options->sampler.kind == BT_SAMPLING_CLASS_BALANCED;
    for (int64_t k = 0; balanced && k < options->count; k++) {
        int64_t other = options->samples[(from + k) % options->count];
        if (other != sample && labels[other] == labels[sample]) return other;
    }
    return options->samples[from];
}

static bt_status replace(loader_worker *worker, batch_slots *batch, int64_t n, int64_t sample) {
    const bt_loader_options *options = &worker->loader->options;
    for (uint32_t t = 0; t < REPLACEMENTS; t++) {
        bt_philox draw = bt_random_block(options->seed, batch->epoch, BT_STREAM_REPLACE, sample, t / 4);
        int64_t other = another(options, bt_draw_below(draw.word[t % 4], options->count), sample);
        bt_status status = make_sample(worker, batch, n, other);
        if (!is_damage(status)) return status;
        note_damaged(worker->loader, other);
    }
    return bt_error(BT_ERR_FORMAT, "%s: %d pictures drawn in place of a damaged one are damaged too; the last: %s",
                    options->set->name, REPLACEMENTS, bt_error_message());
}

bt_status bt_loader_make(loader_worker *worker, batch_slots *batch, int64_t n) {
    bt_loader *loader = worker->loader;
    int64_t sample = batch->samples[n];
    bt_status status = make_sample(worker, batch, n, sample);
    if (!loader->options.skip_damaged || !is_damage(status)) return status;
    note_damaged(loader, sample);
    if (loader->options.training) return replace(worker, batch, n, sample);
    batch->missing[n] = true;
    return BT_OK;
}
