/* The loader with samplers, with a cache at its limit, and with a device's host memory. Orders themselves are tested in
 * test_sampler.c. */
#include "check.h"
#include "scratch.h"

#include "base/log.h"
#include "data/loader.h"

#include <bittern/random.h>

enum { COUNT = 23, CLASSES = 3, S = 12 };

static bt_dataset set;
static int64_t all[COUNT];

static int make(void **state) {
    static uint8_t pixels[20 * 20 * 3];
    if (scratch_make(state) != 0) return -1;
    scratch_folder("set");
    for (int i = 0; i < COUNT; i++) {
        char name[64];
        snprintf(name, sizeof name, "set/class%d", i % CLASSES);
        if (i < CLASSES) scratch_folder(name);
        for (size_t k = 0; k < sizeof pixels; k++)
            pixels[k] = (uint8_t)(bt_philox4x32((uint32_t)k, (uint32_t)i, 0, 0, 1).word[0]);
        snprintf(name, sizeof name, "set/class%d/%02d.ppm", i % CLASSES, i);
        if (bt_image_save_ppm(scratch_path(name), pixels, 20, 20) != BT_OK) return -1;
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
                               .augment = {{0.3, 1}, {0.75, 1.333}, 0.5},
                               .drop_last = true,
                               .threads = 2,
                               .ahead = 3};
}

static bt_loader *start(const bt_loader_options *options) {
    bt_loader *loader = NULL;
    check_ok(bt_loader_new(options, &loader));
    return loader;
}

static bt_batch next(bt_loader *loader) {
    bt_batch batch = {0};
    check_ok(bt_loader_next(loader, &batch));
    return batch;
}

/* FNV-1a over images and samples of `count` batches; of each alone in `each`. */
static uint64_t digest(const bt_loader_options *options, int count, uint64_t each[]) {
    bt_loader *loader = start(options);
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = 0; i < count; i++) {
        bt_batch batch = next(loader);
        uint64_t own = 0xcbf29ce484222325u;
        int64_t rows = options->batch * options->views;
        for (int64_t k = 0; k < rows * S * S * 3; k++) own = (own ^ batch.images[k]) * 0x100000001b3u;
        for (int64_t k = 0; k < rows; k++) own = (own ^ (uint64_t)batch.ids[k]) * 0x100000001b3u;
        if (each) each[i] = own;
        hash = (hash ^ own) * 0x100000001b3u;
    }
    bt_loader_free(loader);
    return hash;
}

/* A cache for exactly one picture keeps one; a byte less keeps none. */
static void cache_of_one_picture(void **state) {
    (void)state;
    for (size_t less = 0; less < 2; less++) {
        bt_loader_options options = {.set = &set,
                                     .samples = all,
                                     .count = 1,
                                     .batch = 1,
                                     .size = S,
                                     .views = 1,
                                     .resize = S,
                                     .threads = 1,
                                     .ahead = 2,
                                     .epochs = 3,
                                     .cache_bytes = 20 * 20 * 3 - less};
        bt_loader *loader = start(&options);
        while (!next(loader).end) {}
        assert_int_equal(bt_loader_read_times(loader).cache_hits, less ? 0 : 2);
        bt_loader_free(loader);
    }
}

/* Host memory of a device, and what a consumer says of its copies. */
static int host_blocks;
static bt_status take_host(bt_device *device, size_t bytes, void **out) {
    (void)device;
    *out = malloc(bytes);
    host_blocks++;
    return *out ? BT_OK : BT_ERR_MEMORY;
}
static void give_host(bt_device *device, void *memory) {
    (void)device;
    free(memory);
    host_blocks--;
}

static void host_memory_of_a_device(void **state) {
    (void)state;
    const bt_backend backend = {.alloc_host = take_host, .free_host = give_host}, plain = {.name = "plain"};
    bt_device device = {.backend = &backend}, ordinary = {.backend = &plain};
    bt_loader_options options = training();
    uint64_t want = digest(&options, 4, NULL);
    options.device = &ordinary;
    assert_true(digest(&options, 4, NULL) == want);
    options.device = &device;
    assert_true(digest(&options, 4, NULL) == want);
    bt_loader *loader = start(&options);
    assert_int_equal(host_blocks, options.ahead);
    bt_loader_copied(loader, 1.5);
    bt_loader_copied(loader, 0.5);
    assert_true(bt_loader_read_times(loader).copy_seconds == 2);
    bt_loader_free(loader);
    assert_int_equal(host_blocks, 0);
}

/* A sample that comes again in an epoch has other views, and the balanced batches are what the sampler says. */
static void samplers(void **state) {
    (void)state;
    bt_loader_options options = training();
    options.sampler = (bt_sampler_options){.kind = BT_SAMPLING_CLASS_BALANCED, .per_class = 3};
    options.batch = 9;
    assert_int_equal(bt_loader_batches(&options), 2);
    bt_sampler *sampler;
    int64_t order[COUNT];
    int32_t again[COUNT];
    uint64_t whole[8], rest[8];
    assert_int_equal(bt_sampler_new(&options.sampler, &set, all, COUNT, 9, options.seed, &sampler), BT_OK);
    bt_loader *loader = start(&options);
    for (int64_t k = 0; k < 4; k++) {
        bt_batch batch = next(loader);
        bt_sampler_epoch(sampler, k / 2, order, again);
        assert_memory_equal(batch.ids, order + k % 2 * 9, 9 * sizeof(int64_t));
        int seen[CLASSES] = {0};
        for (int n = 0; n < 9; n++) seen[batch.labels[n]]++;
        for (int c = 0; c < CLASSES; c++) assert_int_equal(seen[c], 3);
    }
    bt_loader_free(loader);
    bt_sampler_free(sampler);
    digest(&options, 8, whole);
    for (int from = 0; from < 8; from++) {
        options.threads = 1 + from % 3;
        options.start_epoch = from / 2;
        options.start_batch = from % 2;
        digest(&options, 8 - from, rest);
        assert_memory_equal(rest, whole + from, (size_t)(8 - from) * sizeof(uint64_t));
    }
    const int64_t few[] = {0, COUNT - 1}; /* of two classes: one image twice */
    options = training();
    options.samples = few;
    options.count = options.batch = 2;
    options.sampler = (bt_sampler_options){.kind = BT_SAMPLING_CLASS_BALANCED, .per_class = 2};
    loader = start(&options);
    bt_batch batch = next(loader);
    assert_int_equal(batch.ids[0], batch.ids[1]);
    assert_memory_not_equal(batch.images, batch.images + S * S * 3, S * S * 3);
    bt_loader_free(loader);
    options.sampler.per_class = 3;
    assert_int_equal(bt_loader_new(&options, &loader), BT_ERR_CONFIG);
    assert_non_null(strstr(bt_error_message(), "data.per_class is 3; allowed are 1..2"));
}

/* A damaged picture of a balanced batch is replaced by one of its class, as long as there is one. */
static void balanced_damage(void **state) {
    (void)state;
    bt_loader_options options = training();
    options.sampler = (bt_sampler_options){.kind = BT_SAMPLING_CLASS_BALANCED, .per_class = 3};
    options.batch = 9;
    options.skip_damaged = true;
    bt_log_set(NULL, BT_LOG_NONE);
    for (int i = 0; i < 5; i += 1 + i % 2) { /* 0, 1, 3: two of class 0, one of class 1 */
        char name[64];
        snprintf(name, sizeof name, "set/class%d/%02d.ppm", i % CLASSES, i);
        scratch_file(name, "P6 20", 5);
    }
    bt_loader *loader = start(&options);
    for (int64_t k = 0; k < 8; k++) {
        bt_batch batch = next(loader);
        int seen[CLASSES] = {0};
        for (int n = 0; n < 9; n++) {
            seen[batch.labels[n]]++;
            assert_true(batch.ids[n] > 1 &&
                        batch.ids[n] != 8); /* in the order of paths: class0/00, class0/03, class1/01 */
        }
        for (int c = 0; c < CLASSES; c++) assert_int_equal(seen[c], 3);
    }
    bt_loader_free(loader);
    bt_log_set(NULL, BT_LOG_INFO);
}

/* Several labels come as rows of 0 and 1, single ones do not. */
static void multi_hot(void **state) {
    (void)state;
    static const char table[] = "path,label\nset/class0/00.ppm,a|c\nset/class1/01.ppm,\nset/class2/02.ppm,b\n";
    bt_dataset several;
    check_ok(bt_dataset_open(&(bt_dataset_options){.root = scratch_file("t.csv", table, sizeof table - 1)}, &several));
    bt_loader_options options = {.set = &several,
                                 .samples = all,
                                 .count = 3,
                                 .batch = 4,
                                 .size = S,
                                 .resize = S,
                                 .views = 1,
                                 .threads = 2,
                                 .ahead = 2};
    bt_loader *loader = start(&options);
    bt_batch batch = next(loader);
    static const uint8_t want[] = {1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0};
    assert_memory_equal(batch.multi_hot, want, sizeof want);
    assert_true(batch.labels[0] == 0 && batch.labels[1] == -1 && batch.labels[2] == 1 && batch.labels[3] == -1);
    bt_loader_free(loader);
    bt_dataset_close(&several);
    options = training();
    loader = start(&options);
    assert_null(next(loader).multi_hot);
    bt_loader_free(loader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cache_of_one_picture),
        cmocka_unit_test(host_memory_of_a_device),
        cmocka_unit_test(samplers),
        cmocka_unit_test(multi_hot),
        cmocka_unit_test(balanced_damage), /* last: files stay damaged */
    };
    return cmocka_run_group_tests(tests, make, clean);
}
