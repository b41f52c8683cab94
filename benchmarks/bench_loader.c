/* bittern-bench loader: seconds of a processor core for each picture, from its file to finished views, by the loader
 * itself with one thread.
 *
 *   train   two views of 224 with the whole augmentation of the papers (crop, flip, jitter, grey, blur, solarize)
 *   eval    shorter side to 256, bicubic, the centre of 224
 *
 * Files are read once before, so that the disk does not count. tools/loader_compare.sh puts PIL and torchvision beside
 * it.
 */
#include "bench.h"

#include "base/memory.h"
#include "base/thread.h"
#include "data/dataset.h"
#include "data/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIZE 224

static double core_seconds(void) {
    struct timespec t;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0 ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec : 0;
}

/** Core seconds of each epoch, in seconds[0..epochs-1]; *times adds up all. */
static bt_status measure(const bt_loader_options *options, double *seconds, bt_loader_times *times) {
    bt_loader *loader;
    double before = core_seconds();
    BT_TRY(bt_loader_new(options, &loader));
    bt_status status = BT_OK;
    int64_t batches = bt_loader_batches(options);
    for (int64_t epoch = 0; epoch < options->epochs && status == BT_OK; epoch++) {
        bt_batch b;
        for (int64_t i = 0; i < batches && status == BT_OK; i++) status = bt_loader_next(loader, &b);
        double now = core_seconds();
        seconds[epoch] = now - before;
        before = now;
    }
    *times = bt_loader_read_times(loader);
    bt_loader_free(loader);
    return status;
}

static bt_status measure_mode(const bt_bench_options *o, const bt_dataset *set, const int64_t *samples, bool training) {
    /* The first epoch warms up: caches, the working memory of the thread. The last batch of an epoch is made while the
     * next is waited for, so batches are small. */
    bt_loader_options options = {.set = set,
                                 .samples = samples,
                                 .count = set->count,
                                 .seed = 1,
                                 .training = training,
                                 .batch = 1,
                                 .size = SIZE,
                                 .views = training ? 2 : 1,
                                 .augment = bt_augment_papers,
                                 .resize = 256,
                                 .filter = BT_FILTER_BICUBIC,
                                 .threads = 1,
                                 .ahead = 2,
                                 .epochs = o->iterations + 1};
    double *seconds = calloc((size_t)options.epochs, sizeof *seconds);
    if (!seconds) return bt_error(BT_ERR_MEMORY, "out of memory for %d measurements", o->iterations);
    bt_loader_times times;
    bt_status status = measure(&options, seconds, &times);
    if (status == BT_OK) {
        double core = bt_bench_median(seconds + 1, o->iterations) / (double)set->count,
               all = (double)(set->count * options.epochs);
        const char *mode = training ? "train" : "eval";
        if (o->json)
            printf("{\"bench\":\"loader\",\"mode\":\"%s\",\"pictures\":%lld,\"core_ms\":%.4f,\"decode_ms\":%.4f,"
                   "\"views_ms\":%.4f}\n",
                   mode, (long long)set->count, core * 1e3, times.decode_seconds / all * 1e3,
                   times.augment_seconds / all * 1e3);
        else
            printf("%-5s %8.3f ms of a core for a picture, %7.1f pictures/s; by the clock %.3f ms decoding, %.3f ms "
                   "making views\n",
                   mode, core * 1e3, 1 / core, times.decode_seconds / all * 1e3, times.augment_seconds / all * 1e3);
    }
    free(seconds);
    return status;
}

bt_status bt_bench_loader(const bt_bench_options *o) {
    if (!o->data) return bt_error(BT_ERR_USAGE, "loader needs --data FOLDER: pictures, one folder a class");
    bt_dataset set;
    BT_TRY(bt_dataset_open(&(bt_dataset_options){.root = o->data}, &set));
    int64_t *samples = bt_memory_alloc((size_t)set.count, sizeof *samples);
    bt_status status = samples ? BT_OK : BT_ERR_MEMORY;
    for (int64_t i = 0; samples && i < set.count; i++) samples[i] = i;
    if (status == BT_OK) status = measure_mode(o, &set, samples, true);
    if (status == BT_OK) status = measure_mode(o, &set, samples, false);
    bt_memory_free(samples);
    bt_dataset_close(&set);
    return status;
}
