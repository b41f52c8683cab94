/* Batches of pictures and records against batches of views: the same bytes, for pictures that fit into the memory of
 * their views and for larger ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/loader.h"
#include "pixels/colour.h"
#include "pixels/resample.h"

#include <bittern/random.h>

#include "scratch.h"

enum { COUNT = 12, S = 12, V = 3, N = 4 }; /* the views of a picture are 432 pixels */

static bt_dataset set;
static int64_t all[COUNT];

/* Sides from 6 to 39: a third of the pictures is larger than 432 pixels, one has just these. */
static void write_picture(int i) {
    static uint8_t pixels[40 * 40 * 3];
    int height = i == 3 ? 18 : 6 + 3 * i, width = i == 3 ? 24 : 9 + i % 4 * 7;
    char name[64];
    for (int k = 0; k < height * width * 3; k++)
        pixels[k] = (uint8_t)bt_philox4x32((uint32_t)k, (uint32_t)i, 0, 0, 1).word[0];
    snprintf(name, sizeof name, "set/one/%02d.ppm", i);
    assert_int_equal(bt_image_save_ppm(scratch_path(name), pixels, height, width), BT_OK);
}

static int make(void **state) {
    if (scratch_make(state) != 0) return -1;
    scratch_folder("set");
    scratch_folder("set/one");
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

static bt_loader_options options_of(bool pictures) {
    return (bt_loader_options){.set = &set,
                               .samples = all,
                               .count = COUNT,
                               .seed = 5,
                               .training = true,
                               .batch = N,
                               .size = S,
                               .views = V,
                               .augment = {.scale = {0.3, 1},
                                           .ratio = {0.75, 1.333},
                                           .flip = 0.5,
                                           .filter = BT_FILTER_BICUBIC,
                                           .jitter = 0.8,
                                           .brightness = 0.4,
                                           .contrast = 0.4,
                                           .saturation = 0.4,
                                           .hue = 0.2,
                                           .grey = 0.2,
                                           .blur = 0.5,
                                           .blur_radius = {0.1, 2},
                                           .solarize = 0.3,
                                           .solarize_threshold = 128},
                               .pictures = pictures,
                               .drop_last = true,
                               .threads = 2,
                               .ahead = 3,
                               .epochs = 4};
}

static bt_batch next(bt_loader *loader) {
    bt_batch batch = {0};
    if (bt_loader_next(loader, &batch) != BT_OK) fail_msg("%s", bt_error_message());
    return batch;
}

static void make_view(const bt_batch *batch, int64_t row, uint8_t *out) {
    bt_resampler resampler = {0};
    bt_colour_memory colour = {0};
    bt_view_record r = batch->records[row];
    assert_true(bt_record_valid(&r, (int64_t)N * V * S * S * 3, S));
    assert_int_equal(r.offset / (V * S * S * 3), row % N); /* within the memory of its own sample */
    assert_true(r.offset % (V * S * S * 3) + r.height * r.width * 3 <= V * S * S * 3);
    assert_int_equal(bt_resample(&resampler, batch->images + r.offset, r.height, r.width, &r.view, out), BT_OK);
    assert_int_equal(bt_colour_apply(&colour, &r.colour, out, S, S), BT_OK);
    bt_resampler_free(&resampler);
    bt_colour_memory_free(&colour);
}

static void same_views(void **state) {
    (void)state;
    bt_loader_options plain = options_of(false), kept = options_of(true);
    bt_loader *views = NULL, *pictures = NULL;
    assert_int_equal(bt_loader_new(&plain, &views), BT_OK);
    assert_int_equal(bt_loader_new(&kept, &pictures), BT_OK);
    int whole = 0, resized = 0;
    for (int k = 0; k < 4 * COUNT / N; k++) {
        bt_batch want = next(views), got = next(pictures);
        assert_null(want.records);
        assert_memory_equal(got.ids, want.ids, (size_t)(V * N) * sizeof *got.ids);
        assert_memory_equal(got.labels, want.labels, (size_t)N * sizeof *got.labels);
        for (int64_t row = 0; row < V * N; row++) {
            uint8_t pixels[S * S * 3];
            make_view(&got, row, pixels);
            assert_memory_equal(pixels, want.images + row * S * S * 3, sizeof pixels);
            *(got.records[row].height == S && got.records[row].width == S ? &resized : &whole) += 1;
        }
    }
    assert_true(next(pictures).end);
    assert_true(whole > 0 && resized > 0);
    bt_loader_free(views);
    bt_loader_free(pictures);
}

static void short_batches(void **state) {
    (void)state;
    bt_loader_options options = options_of(true);
    bt_loader *loader = NULL;
    options.drop_last = false;
    assert_int_equal(bt_loader_new(&options, &loader), BT_ERR_CONFIG);
    assert_non_null(strstr(bt_error_message(), "set drop_last"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_views), cmocka_unit_test(short_batches)};
    return cmocka_run_group_tests(tests, make, clean);
}
