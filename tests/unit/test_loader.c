/* The loader: batches against samples made one by one, the same bits for any number of threads and from any start,
 * damaged files, short batches, early end, the cache. Pictures are PPM, so every build runs this. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/memory.h"
#include "data/draw.h"
#include "data/loader.h"

#include "scratch.h"

enum { COUNT = 23, CLASSES = 3, S = 12 };

static bt_dataset set;
static int64_t all[COUNT];

static void write_picture(int i) {
    char name[64];
    static uint8_t pixels[40 * 40 * 3];
    int height = 14 + i % 7 * 3, width = 16 + i % 5 * 4;
    for (int k = 0; k < height * width * 3; k++)
        pixels[k] = (uint8_t)(bt_philox4x32((uint32_t)k, (uint32_t)i, 0, 0, 1).word[0]);
    snprintf(name, sizeof name, "set/class%d/%02d.ppm", i % CLASSES, i);
    assert_int_equal(bt_image_save_ppm(scratch_path(name), pixels, height, width), BT_OK);
}

static int make(void **state) {
    if (scratch_make(state) != 0) return -1;
    scratch_folder("set");
    for (int c = 0; c < CLASSES; c++) {
        char name[32];
        snprintf(name, sizeof name, "set/class%d", c);
        scratch_folder(name);
    }
    for (int i = 0; i < COUNT; i++) {
        write_picture(i);
        all[i] = i;
    }
    return bt_dataset_open(&(bt_dataset_options){.root = scratch_path("set")}, &set) == BT_OK ? 0 : -1;
}

static int clean(void **state) {
    bt_dataset_close(&set);
    return scratch_remove(state);
}

static bt_loader_options training(void) {
    return (bt_loader_options){.set = &set,
                               .samples = all,
                               .count = COUNT,
                               .seed = 11,
                               .training = true,
                               .batch = 5,
                               .size = S,
                               .views = 2,
                               .augment = {.scale = {0.3, 1},
                                           .ratio = {0.75, 1.333},
                                           .flip = 0.5,
                                           .jitter = 0.8,
                                           .brightness = 0.4,
                                           .hue = 0.2,
                                           .grey = 0.2,
                                           .blur = 0.5,
                                           .blur_radius = {0.1, 2},
                                           .solarize = 0.3,
                                           .solarize_threshold = 128},
                               .drop_last = true,
                               .threads = 2,
                               .ahead = 3};
}

static bt_loader_options evaluation(void) {
    return (bt_loader_options){.set = &set,
                               .samples = all,
                               .count = COUNT,
                               .batch = 5,
                               .size = S,
                               .views = 1,
                               .resize = 14,
                               .filter = BT_FILTER_BICUBIC,
                               .threads = 2,
                               .ahead = 2,
                               .epochs = 1};
}

static bt_loader *start(const bt_loader_options *options) {
    bt_loader *loader = NULL;
    if (bt_loader_new(options, &loader) != BT_OK) fail_msg("%s", bt_error_message());
    return loader;
}

static bt_batch next(bt_loader *loader) {
    bt_batch batch = {0};
    if (bt_loader_next(loader, &batch) != BT_OK) fail_msg("%s", bt_error_message());
    return batch;
}

/* One row made without the loader. */
static void make_row(const bt_loader_options *options, int64_t epoch, int64_t id, uint8_t *out) {
    char path[256];
    bt_image image;
    bt_resampler resampler = {0};
    assert_true(bt_dataset_path(&set, id & 0xffffffff, path, sizeof path));
    assert_int_equal(bt_image_load(path, NULL, &image), BT_OK);
    bt_view view = options->training
                       ? bt_view_random(image.height, image.width, S, &options->augment, options->seed, epoch, id)
                       : bt_view_center(image.height, image.width, options->resize, S);
    if (!options->training) view.filter = options->filter;
    assert_int_equal(bt_resample(&resampler, image.pixels, image.height, image.width, &view, out), BT_OK);
    bt_resampler_free(&resampler);
    if (options->training) {
        bt_colour_memory memory = {0};
        bt_colour colour = bt_colour_random(&options->augment, options->seed, epoch, id);
        assert_int_equal(bt_colour_apply(&memory, &colour, out, S, S), BT_OK);
        bt_colour_memory_free(&memory);
    }
    bt_image_free(&image);
}

static void check_rows(const bt_loader_options *options, const bt_batch *batch) {
    static const uint8_t black[S * S * 3];
    uint8_t want[S * S * 3];
    for (int64_t v = 0; v < options->views; v++) {
        for (int64_t n = 0; n < options->batch; n++) {
            int64_t row = v * options->batch + n, id = batch->ids[row];
            if (n >= batch->n_valid) {
                assert_int_equal(id, -1);
                assert_int_equal(batch->labels[n], -1);
                assert_memory_equal(batch->images + row * S * S * 3, black, sizeof black);
                continue;
            }
            assert_int_equal(id >> 32, v);
            assert_int_equal(id & 0xffffffff, batch->ids[n]); /* the views of one sample */
            assert_int_equal(batch->labels[n], set.labels[batch->ids[n]]);
            make_row(options, batch->epoch, id, want);
            assert_memory_equal(batch->images + row * S * S * 3, want, sizeof want);
        }
    }
}

static void training_content(void **state) {
    (void)state;
    bt_loader_options options = training();
    bt_loader *loader = start(&options);
    int64_t orders[3][COUNT];
    for (int64_t epoch = 0; epoch < 3; epoch++) {
        memcpy(orders[epoch], all, sizeof all);
        bt_draw_shuffle(orders[epoch], COUNT, options.seed, epoch, BT_STREAM_SHUFFLE, 0);
        for (int64_t k = 0; k < 4; k++) {
            bt_batch batch = next(loader);
            assert_true(batch.epoch == epoch && batch.index == k && batch.n_valid == 5 && !batch.end);
            check_rows(&options, &batch);
            assert_memory_equal(batch.ids, orders[epoch] + k * 5, 5 * sizeof(int64_t));
        }
    }
    assert_memory_not_equal(orders[0], orders[1], sizeof all);
    bt_loader_free(loader);
}

static void evaluation_content(void **state) {
    (void)state;
    bt_loader_options options = evaluation();
    assert_int_equal(bt_loader_batches(&options), 5);
    bt_loader *loader = start(&options);
    for (int64_t k = 0; k < 5; k++) {
        bt_batch batch = next(loader);
        assert_int_equal(batch.n_valid, k < 4 ? 5 : 3);
        assert_int_equal(batch.ids[0], k * 5);
        check_rows(&options, &batch);
    }
    for (int i = 0; i < 2; i++) assert_true(next(loader).end);
    bt_loader_free(loader);
}

/* A digest of `count` batches: FNV-1a over everything that a batch holds. */
static uint64_t digest_word(uint64_t hash, uint64_t word) {
    return (hash ^ word) * 0x100000001b3u;
}
static uint64_t digest(const bt_loader_options *options, int count, uint64_t each[]) {
    bt_loader *loader = start(options);
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = 0; i < count; i++) {
        bt_batch batch = next(loader);
        uint64_t own = digest_word(digest_word((uint64_t)batch.epoch, (uint64_t)batch.index), (uint64_t)batch.n_valid);
        int64_t rows = options->batch * options->views;
        for (int64_t k = 0; k < rows * S * S * 3; k++) own = digest_word(own, batch.images[k]);
        for (int64_t k = 0; k < rows; k++) own = digest_word(own, (uint64_t)batch.ids[k]);
        for (int64_t k = 0; k < options->batch; k++) own = digest_word(own, (uint32_t)batch.labels[k]);
        if (each) each[i] = own;
        hash = digest_word(hash, own);
    }
    bt_loader_free(loader);
    return hash;
}

static void threads_do_not_matter(void **state) {
    (void)state;
    bt_loader_options options = training();
    options.drop_last = false; /* short batches too */
    options.threads = 1;
    options.ahead = 2;
    const uint64_t want = digest(&options, 17, NULL);
    for (int threads = 2; threads <= 8; threads += 2) {
        options.threads = threads;
        for (options.ahead = 2; options.ahead <= 14; options.ahead += 6)
            assert_true(digest(&options, 17, NULL) == want);
    }
    options.cache_bytes = 1 << 14; /* a part of the pictures */
    assert_true(digest(&options, 17, NULL) == want);
    options.cache_bytes = 1 << 24;
    assert_true(digest(&options, 17, NULL) == want);
    options.seed++;
    assert_true(digest(&options, 17, NULL) != want);
}

static void resume_from_anywhere(void **state) {
    (void)state;
    bt_loader_options options = training();
    uint64_t whole[12], rest[12];
    digest(&options, 12, whole);
    options.threads = 4;
    for (int from = 0; from < 12; from++) {
        options.start_epoch = from / 4;
        options.start_batch = from % 4;
        digest(&options, 12 - from, rest);
        assert_memory_equal(rest, whole + from, (size_t)(12 - from) * sizeof(uint64_t));
    }
}

static void subsets(void **state) {
    (void)state;
    const int64_t some[] = {20, 3, 11};
    bt_loader_options options = evaluation();
    options.samples = some;
    options.count = 3;
    bt_loader *loader = start(&options);
    bt_batch batch = next(loader);
    assert_int_equal(batch.n_valid, 3);
    assert_memory_equal(batch.ids, some, sizeof some);
    check_rows(&options, &batch);
    bt_loader_free(loader);
}

/* ---- damaged files ---- */

static void damage(int64_t sample) {
    char path[256];
    assert_true(bt_dataset_path(&set, sample, path, sizeof path));
    FILE *file = fopen(path, "wb");
    fputs("P6 9 9 255\nshort", file);
    fclose(file);
}

static void mend(int64_t sample) {
    int i = (int)strtol(strrchr(set.paths[sample], '/') + 1, NULL, 10);
    write_picture(i);
}

static void damage_is_fatal(void **state) {
    (void)state;
    bt_loader_options options = evaluation();
    damage(12);
    damage(13);
    for (options.threads = 1; options.threads <= 4; options.threads += 3) {
        bt_loader *loader = start(&options);
        next(loader); /* batches before it come whole */
        bt_batch batch = next(loader);
        check_rows(&options, &batch);
        for (int i = 0; i < 2; i++) { /* and the failure stays; of two in a batch the first is named */
            assert_int_equal(bt_loader_next(loader, &batch), BT_ERR_FORMAT);
            assert_non_null(strstr(bt_error_message(), set.paths[12]));
            assert_non_null(
                strstr(bt_error_message(), "damaged PPM image: 5 bytes of pixels where 9 x 9 x 3 = 243 are due"));
        }
        bt_loader_free(loader);
    }
    mend(12);
    mend(13);
}

static void damage_left_out(void **state) {
    (void)state;
    FILE *log = fopen(scratch_path("log"), "w");
    bt_log_set(log, BT_LOG_INFO);
    bt_loader_options options = evaluation();
    options.skip_damaged = true;
    options.epochs = 2;
    static const int64_t bad[] = {5, 7, 15, 16, 17, 18, 19, 22};
    for (int i = 0; i < 8; i++) damage(bad[i]);
    for (options.threads = 1; options.threads <= 4; options.threads += 3) {
        bt_loader *loader = start(&options);
        static const int valid[] = {5, 3, 5, 0, 2};
        for (int k = 0; k < 10; k++) {
            bt_batch batch = next(loader);
            assert_int_equal(batch.n_valid, valid[k % 5]);
            assert_false(batch.end);
            check_rows(&options, &batch);
            static const int64_t second[] = {6, 8, 9};
            if (k % 5 == 1) assert_memory_equal(batch.ids, second, sizeof second);
        }
        int64_t found[8];
        assert_int_equal(bt_loader_damaged(loader, found, 8), 8);
        assert_memory_equal(found, bad, sizeof bad);
        bt_loader_free(loader);
    }
    for (int i = 0; i < 8; i++) mend(bad[i]);
    bt_log_set(NULL, BT_LOG_INFO);
    fclose(log);
    size_t bytes;
    char *text = (char *)scratch_read(scratch_path("log"), &bytes);
    text[bytes] = '\0';
    int lines = 0;
    for (char *p = text; (p = strstr(p, "warning: skipped: ")); p++) lines++;
    assert_int_equal(lines, 16); /* each once in each of the two runs */
    free(text);
}

static void damage_replaced(void **state) {
    (void)state;
    bt_log_set(NULL, BT_LOG_NONE);
    bt_loader_options options = training();
    options.skip_damaged = true;
    options.threads = 1;
    for (int64_t i = 0; i < COUNT; i += 3) damage(i);
    uint64_t want = digest(&options, 8, NULL);
    options.threads = 4;
    assert_true(digest(&options, 8, NULL) == want);
    bt_loader *loader = start(&options);
    for (int k = 0; k < 4; k++) {
        bt_batch batch = next(loader);
        assert_int_equal(batch.n_valid, 5);
        for (int n = 0; n < 5; n++) assert_true(batch.ids[n] % 3 != 0);
        check_rows(&options, &batch);
    }
    bt_loader_free(loader);

    for (int64_t i = 0; i < COUNT; i++) damage(i);
    loader = start(&options);
    bt_batch batch;
    assert_int_equal(bt_loader_next(loader, &batch), BT_ERR_FORMAT);
    assert_non_null(
        strstr(bt_error_message(), "64 pictures drawn in place of a damaged one are damaged too; the last: "));
    bt_loader_free(loader);
    for (int64_t i = 0; i < COUNT; i++) mend(i);
    bt_log_set(NULL, BT_LOG_INFO);
}

static void missing_file(void **state) {
    (void)state;
    char path[256];
    bt_dataset_path(&set, 0, path, sizeof path);
    unlink(path);
    bt_loader_options options = evaluation();
    bt_loader *loader = start(&options);
    bt_batch batch;
    assert_int_equal(bt_loader_next(loader, &batch), BT_ERR_IO);
    assert_non_null(strstr(bt_error_message(), path));
    bt_loader_free(loader);
    mend(0);
}

/* ---- life ---- */

static void early_end(void **state) {
    (void)state;
    bt_loader_options options = training();
    options.threads = 4;
    for (int taken = 0; taken < 6; taken++) {
        for (int i = 0; i < 5; i++) {
            bt_loader *loader = start(&options);
            for (int k = 0; k < taken; k++) next(loader);
            bt_loader_free(loader);
        }
    }
    bt_loader_free(NULL);
}

static void counters(void **state) {
    (void)state;
    bt_loader_options options = evaluation();
    options.cache_bytes = 1 << 24;
    options.epochs = 3;
    bt_loader *loader = start(&options);
    while (!next(loader).end) {}
    bt_loader_times times = bt_loader_read_times(loader);
    assert_int_equal(times.decoded + times.cache_hits, 3 * COUNT);
    /* A picture comes again five batches later, and threads are two batches ahead: it is in the cache by then. */
    assert_int_equal(times.decoded, COUNT);
    assert_true(times.read_seconds > 0 && times.decode_seconds > 0 && times.augment_seconds > 0 &&
                times.wait_seconds > 0);
    bt_loader_free(loader);
}

/* Memory that runs out at any allocation, in any thread: an error, never a crash or a leak. */
static void failing_memory(void **state) {
    (void)state;
    bt_loader_options options = evaluation();
    options.cache_bytes = 1 << 24;
    int made = 0, failed_late = 0;
    for (int64_t n = 1; n < 60; n++) {
        bt_memory_fail_at(n);
        bt_loader *loader = NULL;
        bt_status status = bt_loader_new(&options, &loader);
        if (status == BT_OK) {
            made++;
            bt_batch batch = {0};
            while (status == BT_OK && !batch.end) status = bt_loader_next(loader, &batch);
            failed_late += status != BT_OK;
        }
        bt_memory_fail_at(0);
        assert_true(status == BT_OK || status == BT_ERR_MEMORY);
        bt_loader_free(loader);
    }
    assert_true(made > 10 && failed_late > 10);
}

static void spoil(bt_loader_options *options, int how) {
    if (how == 0) options->count = 0;
    if (how == 1) options->batch = 0;
    if (how == 2) options->views = 256;
    if (how == 3) options->threads = 0;
    if (how == 4) options->ahead = 1;
    if (how == 5) options->start_batch = 4;
    if (how == 6) options->augment.scale[0] = strtod("nan", NULL);
    if (how == 7) options->augment.ratio[0] = 2, options->augment.ratio[1] = 1;
    if (how == 8) options->augment.flip = 1.5;
    if (how == 9) options->batch = 24;
    if (how == 10) options->size = 0;
    if (how == 11) options->training = false, options->views = 1, options->resize = S - 1;
}

static void bad_options(void **state) {
    (void)state;
    static const char *const messages[] = {
        "loader: samples is 0; allowed are 1..4294967295",
        "loader: batch is 0; allowed are 1..",
        "loader: views is 256; allowed are 1..255",
        "loader: threads is 0; allowed are 1..256",
        "loader: ahead is 1; allowed are 2..64",
        "loader: start_batch is 4; allowed are 0..3",
        "loader: crop scale is nan..1; allowed",
        "loader: crop ratio is 2..1; allowed",
        "loader: flip is 1.5; allowed",
        "loader: 23 samples make no batch of 24; use a smaller",
        "loader: size is 0; allowed",
        "loader: resize is 11; allowed are 12..",
    };
    for (int i = 0; i < (int)(sizeof messages / sizeof messages[0]); i++) {
        bt_loader_options options = training();
        bt_loader *loader = NULL;
        spoil(&options, i);
        assert_int_equal(bt_loader_new(&options, &loader), BT_ERR_CONFIG);
        assert_null(loader);
        if (!strstr(bt_error_message(), messages[i]))
            fail_msg("\"%s\" is not in \"%s\"", messages[i], bt_error_message());
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_content),
        cmocka_unit_test(evaluation_content),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(resume_from_anywhere),
        cmocka_unit_test(subsets),
        cmocka_unit_test(damage_is_fatal),
        cmocka_unit_test(damage_left_out),
        cmocka_unit_test(damage_replaced),
        cmocka_unit_test(missing_file),
        cmocka_unit_test(early_end),
        cmocka_unit_test(counters),
        cmocka_unit_test(failing_memory),
        cmocka_unit_test(bad_options),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
