/* Shuffled raw images from a pack into batch buffers: what a device that augments by itself needs of the loader. Beside
 * it the bound: plain copies of the same images in the same order by as many threads, which is what memory and page
 * cache of this machine give. */
#include "bench.h"

#include "base/memory.h"
#include "base/thread.h"
#include "data/draw.h"
#include "data/loader.h"
#include "data/pack.h"
#include "formats/hdf5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IMAGES = 2048, BATCH = 64, AHEAD = 4 };

/* ---- a pack ---- */

static bt_status write_pack(const char *path, int64_t size) {
    static const char *paths[IMAGES], *const classes[] = {"a", "b"};
    static int32_t labels[IMAGES];
    const int64_t count = IMAGES, image = size * size * 3;
    int64_t offset = 0;
    bt_h5_writer w;
    uint8_t *pixels = bt_memory_alloc((size_t)image, 1);
    if (!pixels) return BT_ERR_MEMORY;
    for (int i = 0; i < IMAGES; i++) {
        paths[i] = "p.png";
        labels[i] = i % 2;
    }
    bt_status status = bt_h5_begin(path, &w);
    if (status == BT_OK) {
        bt_h5_put_number(&w, "bittern_pack", BT_PACK_VERSION);
        bt_h5_put_number(&w, "size", size);
        bt_h5_put(&w, "labels", BT_FILE_I32, 1, &count, labels, NULL);
        bt_h5_put_texts(&w, "class_names", classes, 2);
        bt_h5_put_texts(&w, "paths", paths, IMAGES);
        bt_h5_put(&w, "images", BT_FILE_U8, 4, (const int64_t[]){count, size, size, 3}, NULL, &offset);
        status = bt_h5_seal(&w);
        for (int64_t i = 0; status == BT_OK && i < IMAGES; i++) {
            for (int64_t k = 0; k < image; k++) pixels[k] = (uint8_t)(i * 31 + k * 7);
            status = bt_h5_fill(&w, offset + i * image, pixels, (size_t)image);
        }
        if (status == BT_OK)
            status = bt_h5_commit(&w);
        else
            bt_h5_abandon(&w);
    }
    bt_memory_free(pixels);
    return status;
}

/* ---- the bound ---- */

typedef struct copier {
    const bt_dataset *set;
    const int64_t *order;
    uint8_t *to; /* (BATCH * AHEAD images), shared by all: each writes its own */
    size_t image;
    int first, step;
    bt_thread thread;
} copier;

static void *copy(void *context) {
    const copier *c = context;
    for (int i = c->first; i < IMAGES; i += c->step)
        memcpy(c->to + (size_t)(i % (BATCH * AHEAD)) * c->image, bt_pack_image(c->set, c->order[i]), c->image);
    return NULL;
}

static bt_status copy_all(const bt_dataset *set, const int64_t *order, uint8_t *to, size_t image, int threads,
                          double *seconds) {
    copier all[64];
    double start = bt_clock_seconds();
    for (int t = 0; t < threads; t++) {
        all[t] = (copier){.set = set, .order = order, .to = to, .image = image, .first = t, .step = threads};
        BT_TRY(bt_thread_start(&all[t].thread, copy, &all[t]));
    }
    for (int t = 0; t < threads; t++) bt_thread_join(&all[t].thread);
    *seconds = bt_clock_seconds() - start;
    return BT_OK;
}

/* ---- the loader ---- */

static bt_status load_all(const bt_dataset *set, const int64_t *order, bt_device *device, int64_t size, int threads,
                          double *seconds) {
    bt_loader_options o = {.set = set,
                           .samples = order,
                           .count = IMAGES,
                           .batch = BATCH,
                           .size = size,
                           .resize = size,
                           .views = 1,
                           .threads = threads,
                           .ahead = AHEAD,
                           .epochs = 2,
                           .device = device};
    bt_loader *loader;
    bt_batch batch = {.end = false};
    BT_TRY(bt_loader_new(&o, &loader));
    double start = 0;
    bt_status status = BT_OK;
    while (status == BT_OK && !batch.end) {
        status = bt_loader_next(loader, &batch);
        if (batch.epoch == 1 && batch.index == 0 && !batch.end)
            start = bt_clock_seconds(); /* the first epoch touches the buffers */
    }
    *seconds = (bt_clock_seconds() - start) * IMAGES / (IMAGES - BATCH);
    bt_loader_free(loader);
    return status;
}

static void print(const bt_bench_options *o, int threads, double loader, double bound, double image) {
    if (o->json)
        printf("{\"bench\": \"pack\", \"device\": \"%s\", \"threads\": %d, \"size\": %d, \"images_per_s\": %.0f, "
               "\"bound_images_per_s\": %.0f, "
               "\"bytes_per_s\": %.4g}\n",
               o->device, threads, o->image, IMAGES / loader, IMAGES / bound, IMAGES * image / loader);
    else
        printf("pack: %.0f images/s of %d x %d into batches for %s by %d threads (%.2f GB/s); bare copies %.0f "
               "images/s, %.0f %% of them\n",
               IMAGES / loader, o->image, o->image, o->device, threads, IMAGES * image / loader / 1e9, IMAGES / bound,
               100 * bound / loader);
}

/* Loader and bound by turns, medians: other work on the machine hits both. */
static bt_status measure(const bt_bench_options *o, const bt_dataset *set, bt_device *device, int threads,
                         uint8_t *to) {
    static int64_t order[IMAGES];
    double loader[64], bound[64];
    size_t image = (size_t)o->image * (size_t)o->image * 3;
    int iterations = o->iterations > 64 ? 64 : o->iterations;
    for (int i = 0; i < IMAGES; i++) order[i] = i;
    bt_draw_shuffle(order, IMAGES, 1, 0, BT_STREAM_SHUFFLE, 0);
    for (int i = -1; i < iterations; i++) { /* once to warm up */
        int k = i < 0 ? 0 : i;
        for (int pass = 0; pass < 2; pass++)
            BT_TRY(copy_all(set, order, to, image, threads, &bound[k])); /* the second counts, as of the loader */
        BT_TRY(load_all(set, order, device, o->image, threads, &loader[k]));
    }
    print(o, threads, bt_bench_median(loader, iterations), bt_bench_median(bound, iterations), (double)image);
    return BT_OK;
}

static bt_status with_pack(const bt_bench_options *o, const char *path) {
    int threads = o->threads ? o->threads : 2;
    size_t image = (size_t)o->image * (size_t)o->image * 3;
    bt_dataset set;
    bt_device *device = NULL;
    if (threads > 64) return bt_error(BT_ERR_USAGE, "--threads: at most 64");
    const bt_backend *backend = bt_backend_named(o->device);
    if (!backend) return BT_ERR_UNSUPPORTED;
    BT_TRY(write_pack(path, o->image));
    BT_TRY(bt_dataset_open(&(bt_dataset_options){.root = path}, &set));
    uint8_t *to = bt_memory_zeroed(BATCH * AHEAD, image);
    bt_status status = to ? backend->open(&(bt_device_options){.threads = 1}, &device) : BT_ERR_MEMORY;
    if (status == BT_OK) status = measure(o, &set, device, threads, to);
    if (device) backend->close(device);
    bt_memory_free(to);
    bt_dataset_close(&set);
    return status;
}

bt_status bt_bench_pack(const bt_bench_options *o) {
    const char *folder = getenv("TMPDIR");
    char path[512];
    if (snprintf(path, sizeof path, "%s/bittern_bench_%ld.h5", folder ? folder : "/tmp", (long)getpid()) >=
        (int)sizeof path)
        return bt_error(BT_ERR_USAGE, "TMPDIR is too long");
    bt_status status = with_pack(o, path);
    unlink(path);
    return status;
}
