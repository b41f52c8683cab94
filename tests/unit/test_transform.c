/* Views of pictures: the resampler against an independent one in float64 and against PIL, mirrored and windowed views,
 * the geometry of random and centred crops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/draw.h"
#include "data/transform.h"

#include <math.h>

#include "scratch.h"

enum { H = 61, W = 83 };
static uint8_t picture[H * W * 3];

static void paint(void) {
    for (int i = 0; i < H * W * 3; i++) {
        bt_philox draw = bt_philox4x32((uint32_t)i, 0, 0, 0, 7);
        picture[i] = (uint8_t)((i / 3 % W * 2 + i / 3 / W + i % 3 * 40 + (int)(draw.word[0] >> 25)) & 255);
    }
}

static const bt_view views[] = {
    {.crop = {0, 0, H, W}, .full_height = 32, .full_width = 32, .window = {0, 0, 32, 32}},
    {.crop = {0, 0, H, W}, .full_height = 32, .full_width = 32, .window = {0, 0, 32, 32}, .flip = true},
    {.crop = {5, 9, 17, 40}, .full_height = 29, .full_width = 31, .window = {0, 0, 29, 31}},
    {.crop = {5, 9, 17, 40}, .full_height = 29, .full_width = 31, .window = {3, 7, 11, 13}, .flip = true},
    {.crop = {60, 82, 1, 1}, .full_height = 5, .full_width = 4, .window = {0, 0, 5, 4}},
    {.crop = {0, 0, H, W}, .full_height = 1, .full_width = 1, .window = {0, 0, 1, 1}},
    {.crop = {1, 2, 50, 3}, .full_height = 150, .full_width = 2, .window = {100, 0, 50, 2}},
    {.crop = {0, 0, H, W}, .full_height = 20, .full_width = 40, .window = {2, 3, 17, 30}, .filter = BT_FILTER_BICUBIC},
    {.crop = {5, 9, 17, 40},
     .full_height = 29,
     .full_width = 31,
     .window = {0, 0, 29, 31},
     .flip = true,
     .filter = BT_FILTER_BICUBIC},
    {.crop = {58, 80, 2, 3}, .full_height = 9, .full_width = 7, .window = {0, 0, 9, 7}, .filter = BT_FILTER_BICUBIC},
    {.crop = {0, 0, H, W}, .full_height = H, .full_width = W, .window = {0, 0, H, W}},
};
enum { VIEWS = sizeof views / sizeof views[0] };

static uint8_t *resample(const bt_view *view) {
    bt_resampler resampler = {0};
    size_t bytes = (size_t)(view->window.height * view->window.width * 3);
    uint8_t *out = malloc(bytes + 8);
    memset(out + bytes, 0xa5, 8);
    if (bt_resample(&resampler, picture, H, W, view, out) != BT_OK) fail_msg("%s", bt_error_message());
    bt_resampler_free(&resampler);
    for (int i = 0; i < 8; i++) assert_int_equal(out[bytes + (size_t)i], 0xa5);
    return out;
}

/* Weight of input j in output i of an axis: the formula of resample.h, written over all j without bounds. */
static double curve(bt_filter filter, int64_t in, int64_t full, int64_t i, int64_t j) {
    double s = (double)in / (double)full, f = s > 1 ? s : 1, x = fabs((double)j + 0.5 - ((double)i + 0.5) * s) / f;
    if (filter == BT_FILTER_BILINEAR) return x < 1 ? 1 - x : 0;
    return x < 1 ? 1.5 * x * x * x - 2.5 * x * x + 1 : x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
}

/* The exact value of one output: a weighted mean over the whole crop, both axes at once. */
static double exact(const bt_view *view, int64_t y, int64_t x, int c) {
    double sum = 0, weights = 0;
    int64_t column = view->window.left + (view->flip ? view->window.width - 1 - x : x), row = view->window.top + y;
    for (int64_t j = 0; j < view->crop.height; j++) {
        double wy = curve(view->filter, view->crop.height, view->full_height, row, j);
        for (int64_t i = 0; wy != 0 && i < view->crop.width; i++) {
            double w = wy * curve(view->filter, view->crop.width, view->full_width, column, i);
            weights += w;
            sum += w * picture[((view->crop.top + j) * W + view->crop.left + i) * 3 + c];
        }
    }
    return fmin(fmax(sum / weights, 0), 255);
}

/* Rounding to 8 bits comes twice: at most 1/2 from the rows, 1/2 from the columns, times the sum of the weights' sizes
 * (1 for the tent, at most 1.3 for the bicubic curve, which may also be clipped between). */
static void near_exact(void **state) {
    (void)state;
    for (int v = 0; v < VIEWS; v++) {
        uint8_t *out = resample(&views[v]);
        const bt_box *window = &views[v].window;
        double worst = 0, sum = 0;
        for (int64_t i = 0; i < window->height * window->width * 3; i++) {
            double error = out[i] - exact(&views[v], i / 3 / window->width, i / 3 % window->width, (int)(i % 3));
            if (!(fabs(error) <= worst)) worst = fabs(error);
            sum += error;
        }
        double mean = sum / (double)(window->height * window->width * 3);
        print_message("view %d: largest error %.4f, mean %+.4f levels\n", v, worst, mean);
        if (!(worst <= (views[v].filter == BT_FILTER_BICUBIC ? 16 : 1.001))) fail_msg("view %d: error %g", v, worst);
        if (window->height * window->width > 200) assert_true(fabs(mean) < 0.1); /* no bias from rounding */
        free(out);
    }
}

static void identity_and_flip(void **state) {
    (void)state;
    bt_view view = views[VIEWS - 1];
    uint8_t *out = resample(&view);
    assert_memory_equal(out, picture, sizeof picture);
    free(out);
    view.flip = true;
    out = resample(&view);
    for (int64_t y = 0; y < H; y++) {
        for (int64_t x = 0; x < W; x++)
            assert_memory_equal(out + (y * W + x) * 3, picture + (y * W + W - 1 - x) * 3, 3);
    }
    free(out);
}

/* A window is a part of the whole, bit for bit, and a mirrored view the mirror of the plain one. */
static void window_is_part(void **state) {
    (void)state;
    bt_view whole = {.crop = {2, 3, 55, 70}, .full_height = 20, .full_width = 24, .window = {0, 0, 20, 24}},
            part = whole;
    part.window = (bt_box){4, 6, 9, 10};
    part.flip = true;
    uint8_t *all = resample(&whole), *some = resample(&part);
    for (int64_t y = 0; y < 9; y++) {
        for (int64_t x = 0; x < 10; x++)
            assert_memory_equal(some + (y * 10 + x) * 3, all + ((y + 4) * 24 + 15 - x) * 3, 3);
    }
    free(all);
    free(some);
}

/* Pixels outside the crop have no influence. */
static void crop_is_closed(void **state) {
    (void)state;
    const bt_view *view = &views[2];
    uint8_t *before = resample(view);
    for (int64_t y = 0; y < H; y++) {
        for (int64_t x = 0; x < W; x++) {
            const bt_box *crop = &view->crop;
            bool inside =
                y >= crop->top && y < crop->top + crop->height && x >= crop->left && x < crop->left + crop->width;
            if (!inside) memset(picture + (y * W + x) * 3, 255, 3);
        }
    }
    uint8_t *after = resample(view);
    assert_memory_equal(before, after, 29 * 31 * 3);
    free(before);
    free(after);
    paint();
}

static void as_pil(void **state) {
    (void)state;
    if (system("/usr/bin/python3 -c 'import PIL' 2>/dev/null") != 0) {
        print_message("/usr/bin/python3 has no PIL (python3-pil)\n");
        skip();
    }
    const char *in = scratch_file("picture.raw", picture, sizeof picture), *out = scratch_path("pil.raw");
    for (int v = 0; v < VIEWS; v++) {
        const bt_view *view = &views[v];
        char command[1024];
        int left = (int)view->crop.left, top = (int)view->crop.top, x = (int)view->window.left,
            y = (int)view->window.top;
        snprintf(
            command, sizeof command,
            "/usr/bin/python3 -c \"from PIL import Image; i = Image.frombytes('RGB', (%d, %d), open('%s', "
            "'rb').read());"
            " i = i.crop((%d, %d, %d, %d)).resize((%d, %d), Image.%s).crop((%d, %d, %d, %d));"
            " i = i.transpose(Image.FLIP_LEFT_RIGHT) if %d else i; open('%s', 'wb').write(i.tobytes())\" 2>/dev/null",
            W, H, in, left, top, left + (int)view->crop.width, top + (int)view->crop.height, (int)view->full_width,
            (int)view->full_height, view->filter == BT_FILTER_BICUBIC ? "BICUBIC" : "BILINEAR", x, y,
            x + (int)view->window.width, y + (int)view->window.height, view->flip, out);
        assert_int_equal(system(command), 0);
        size_t bytes;
        unsigned char *want = scratch_read(out, &bytes);
        uint8_t *got = resample(view);
        assert_int_equal(bytes, view->window.height * view->window.width * 3);
        assert_memory_equal(got, want, bytes);
        free(got);
        free(want);
    }
}

/* ---- geometry ---- */

static const bt_augment usual = {.scale = {0.2, 1}, .ratio = {3.0 / 4, 4.0 / 3}, .flip = 0.5};

/* The draws of transform.h, followed by hand. */
static void check_draws(uint64_t seed, int64_t epoch, int64_t id) {
    bt_view view = bt_view_random(480, 640, 224, &usual, seed, epoch, id);
    int64_t height = 0, width = 0;
    bt_philox draw;
    for (uint32_t t = 0;; t++) {
        draw = bt_random_block(seed, epoch, BT_STREAM_AUGMENT, id, t);
        double area = 480.0 * 640.0 * (0.2 + 0.8 * ((draw.word[0] >> 8) / 16777216.0));
        double ratio = exp(log(0.75) + (log(4.0 / 3) - log(0.75)) * ((draw.word[1] >> 8) / 16777216.0));
        width = lrint(sqrt(area * ratio));
        height = lrint(sqrt(area / ratio));
        if (height <= 480 && width <= 640) break;
    }
    assert_int_equal(view.crop.height, height);
    assert_int_equal(view.crop.width, width);
    assert_int_equal(view.crop.top, (int64_t)((double)draw.word[2] / 4294967296.0 * (double)(480 - height + 1)));
    assert_int_equal(view.crop.left, (int64_t)((double)draw.word[3] / 4294967296.0 * (double)(640 - width + 1)));
    draw = bt_random_block(seed, epoch, BT_STREAM_AUGMENT, id, 10);
    assert_int_equal(view.flip, draw.word[0] >> 8 < 1 << 23);
    assert_int_equal(view.full_height, 224);
    assert_int_equal(view.window.width, 224);
}

static void draws_as_documented(void **state) {
    (void)state;
    for (int64_t i = 0; i < 100; i++) check_draws(1234, i % 3, i | (i % 2) << 32);
}

/* Over many draws: within the picture and the ranges, every place reached, flips half of the time, mean area as it
 * should. */
static void random_crops(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    double area = 0;
    int flips = 0, at_top = 0, at_bottom = 0, at_left = 0, at_right = 0;
    for (int64_t id = 0; id < COUNT; id++) {
        bt_view view = bt_view_random(64, 64, 32, &usual, 5, 0, id);
        const bt_box *crop = &view.crop;
        assert_true(crop->top >= 0 && crop->left >= 0 && crop->top + crop->height <= 64 &&
                    crop->left + crop->width <= 64);
        double ratio = (double)crop->width / (double)crop->height, share = (double)(crop->width * crop->height) / 4096;
        assert_true(ratio > 0.72 && ratio < 1.39 && share > 0.18 && share <= 1); /* sides are rounded to pixels */
        area += share;
        flips += view.flip;
        at_top += crop->top == 0;
        at_left += crop->left == 0;
        at_bottom += crop->top + crop->height == 64;
        at_right += crop->left + crop->width == 64;
    }
    /* Drawn areas have the mean 0.6; crops near the whole picture fit less often, which pulls it down to about 0.55. */
    print_message("mean share %.4f, flips %.4f, top %d bottom %d left %d right %d\n", area / COUNT,
                  (double)flips / COUNT, at_top, at_bottom, at_left, at_right);
    assert_true(area / COUNT > 0.5 && area / COUNT < 0.6);
    assert_true(abs(flips - COUNT / 2) < 300); /* 4 sigma = 283 */
    assert_true(abs(at_top - at_bottom) < 300 && abs(at_left - at_right) < 300);
    assert_true(at_top > 1000 && at_left > 1000);
}

/* A crop may be as wide, or as high, as the picture: it then moves along the other side, which the fallback never does.
 */
static void crops_as_large_as_the_picture(void **state) {
    (void)state;
    const bt_augment square = {.scale = {0.5, 0.5}, .ratio = {1, 1}};
    uint32_t top = 0, left = 0;
    for (int64_t id = 0; id < 200; id++) {
        bt_box tall = bt_view_random(10, 5, 8, &square, 3, 0, id).crop,
               flat = bt_view_random(5, 10, 8, &square, 3, 0, id).crop;
        assert_true(tall.height == 5 && tall.width == 5 && flat.height == 5 && flat.width == 5);
        top |= 1u << tall.top;
        left |= 1u << flat.left;
    }
    assert_int_equal(top, 63);
    assert_int_equal(left, 63);
}

static void draws_differ(void **state) {
    (void)state;
    bt_view a = bt_view_random(480, 640, 224, &usual, 1, 0, 5);
    bt_view again = bt_view_random(480, 640, 224, &usual, 1, 0, 5);
    assert_memory_equal(&a.crop, &again.crop, sizeof a.crop);
    bt_view other[] = {bt_view_random(480, 640, 224, &usual, 2, 0, 5), bt_view_random(480, 640, 224, &usual, 1, 1, 5),
                       bt_view_random(480, 640, 224, &usual, 1, 0, 6),
                       bt_view_random(480, 640, 224, &usual, 1, 0, 5 | (int64_t)1 << 32)};
    for (int i = 0; i < 4; i++) assert_memory_not_equal(&a.crop, &other[i].crop, sizeof a.crop);
}

/* Pictures so narrow that no try fits: the centred crop of the nearest allowed ratio. */
static void fallback(void **state) {
    (void)state;
    const bt_augment whole = {.scale = {1, 1}, .ratio = {3.0 / 4, 4.0 / 3}};
    const struct {
        int64_t height, width;
        bt_box want;
    } cases[] = {
        {10, 100, {0, 43, 10, 13}}, /* rint(10 * 4/3) = 13 */
        {100, 10, {43, 0, 13, 10}}, /* rint(10 / (3/4)) = 13 */
        {1, 9, {0, 4, 1, 1}},
    };
    for (int i = 0; i < 3; i++) {
        bt_view view = bt_view_random(cases[i].height, cases[i].width, 8, &whole, 3, 0, i);
        assert_memory_equal(&view.crop, &cases[i].want, sizeof view.crop);
        assert_false(view.flip);
    }
    const bt_augment wide = {.scale = {1, 1}, .ratio = {1e6, 1e6}, .flip = 1};
    bt_view view = bt_view_random(5, 7, 8, &wide, 3, 0, 0);
    assert_true(view.crop.height == 1 && view.crop.width == 7 && view.crop.top == 2 && view.flip);
}

static void centre(void **state) {
    (void)state;
    const struct {
        int64_t height, width, resize, size, full_height, full_width, top, left;
    } cases[] = {
        {480, 640, 256, 224, 256, 341, 16, 58},    /* (341 - 224) / 2 = 58.5, rounded to even */
        {640, 480, 256, 224, 341, 256, 58, 16},    /* */
        {32, 32, 32, 32, 32, 32, 0, 0},            /* */
        {500, 333, 257, 224, 385, 257, 80, 16},    /* 80.5 and 16.5 to even */
        {3, 1000000, 4, 3, 4, 1333333, 0, 666665}, /* 0.5 to even */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bt_view view = bt_view_center(cases[i].height, cases[i].width, cases[i].resize, cases[i].size);
        assert_int_equal(view.full_height, cases[i].full_height);
        assert_int_equal(view.full_width, cases[i].full_width);
        assert_int_equal(view.window.top, cases[i].top);
        assert_int_equal(view.window.left, cases[i].left);
        assert_true(view.window.height == cases[i].size && view.window.width == cases[i].size && !view.flip);
        assert_true(view.crop.height == cases[i].height && view.crop.width == cases[i].width);
    }
}

static void shuffling(void **state) {
    (void)state;
    enum { N = 5, ROUNDS = 24000 };
    int64_t counts[N][N] = {{0}};
    for (int round = 0; round < ROUNDS; round++) {
        int64_t items[N] = {0, 1, 2, 3, 4};
        bt_draw_shuffle(items, N, 9, round, BT_STREAM_SHUFFLE, 0);
        int seen = 0;
        for (int i = 0; i < N; i++) {
            counts[i][items[i]]++;
            seen |= 1 << items[i];
        }
        assert_int_equal(seen, 31);
    }
    for (int i = 0; i < N; i++) { /* binomial: 4800, sigma 62 */
        for (int j = 0; j < N; j++) assert_true(llabs(counts[i][j] - ROUNDS / N) < 310);
    }
}

/* The order that draw.h documents, worked out block by block. */
static void shuffle_as_documented(void **state) {
    (void)state;
    for (int64_t count = 0; count < 40; count++) {
        int64_t got[40], want[40];
        for (int64_t i = 0; i < count; i++) got[i] = want[i] = i;
        bt_draw_shuffle(got, count, 77, 5, BT_STREAM_SPLIT, 3);
        for (int64_t i = count - 1; i > 0; i--) {
            uint32_t word = bt_random_block(77, 5, BT_STREAM_SPLIT, 3, (uint32_t)(i / 4)).word[i % 4];
            int64_t j = (int64_t)(word / 4294967296.0 * (double)(i + 1)), swap = want[j];
            want[j] = want[i];
            want[i] = swap;
        }
        assert_memory_equal(got, want, (size_t)count * sizeof got[0]);
    }
}

static int make(void **state) {
    paint();
    return scratch_make(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_exact),
        cmocka_unit_test(identity_and_flip),
        cmocka_unit_test(window_is_part),
        cmocka_unit_test(crop_is_closed),
        cmocka_unit_test(as_pil),
        cmocka_unit_test(draws_as_documented),
        cmocka_unit_test(crops_as_large_as_the_picture),
        cmocka_unit_test(random_crops),
        cmocka_unit_test(draws_differ),
        cmocka_unit_test(fallback),
        cmocka_unit_test(centre),
        cmocka_unit_test(shuffling),
        cmocka_unit_test(shuffle_as_documented),
    };
    return cmocka_run_group_tests(tests, make, scratch_remove);
}
