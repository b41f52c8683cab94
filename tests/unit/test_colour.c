/* Colour steps: loops of both widths against the formulas over all colours, the formulas against PIL's fractions in
 * f32, blur against its definition, the draws of a view, and fixed sums of whole views (equal to PIL's, see
 * tests/views). */
#include "check.h"

#include "base/cpu.h"
#include "base/crc32c.h"
#include "data/draw.h"
#include "data/transform.h"
#include "pixels/loops.h"

#include <math.h>
#include <stdlib.h>

enum { RUN = 1 << 16 };
static uint8_t plane[3][RUN + 8];

static const bt_colour_loops *copies[2] = {&bt_colour_loops_generic};
static int copy_count = 1;

static int choose(void **state) {
    (void)state;
    if (bt_colour_loops_get() != copies[0]) copies[copy_count++] = bt_colour_loops_get();
    return 0;
}

/* All colours with this much red. */
static void fill(int red) {
    for (int i = 0; i < RUN; i++) {
        plane[0][i] = (uint8_t)red;
        plane[1][i] = (uint8_t)(i >> 8);
        plane[2][i] = (uint8_t)i;
    }
}

static void hue_of_all_colours(void **state) {
    (void)state;
    for (int c = 0; c < copy_count; c++) {
        for (int red = 0; red < 256; red++) {
            int32_t turn = red % 3 == 0 ? 0 : red * 7 & 255;
            fill(red);
            copies[c]->hue(plane[0], plane[1], plane[2], turn, RUN);
            for (int i = 0; i < RUN; i++) {
                uint8_t want[3] = {(uint8_t)red, (uint8_t)(i >> 8), (uint8_t)i};
                bt_hue_turn(want, turn);
                if (plane[0][i] != want[0] || plane[1][i] != want[1] || plane[2][i] != want[2])
                    fail_msg("copy %d: hue of %d %d %d turned by %d", c, red, i >> 8, i & 255, turn);
            }
        }
    }
}

/* PIL's hue: quotients in f32, sums in f64 rounded to f32, the sixth of a circle in f64, cut. */
static int32_t hue_by_fractions(int r, int g, int b) {
    int high = r > g ? (r > b ? r : b) : (g > b ? g : b), low = r < g ? (r < b ? r : b) : (g < b ? g : b);
    float range = (float)(high - low);
    float rc = (float)(high - r) / range, gc = (float)(high - g) / range, bc = (float)(high - b) / range;
    float h = r == high   ? bc - gc
              : g == high ? (float)(2.0 + (double)rc - (double)bc)
                          : (float)(4.0 + (double)gc - (double)rc);
    double circle = (double)h / 6.0 + 1.0;
    return (int32_t)((double)(float)(circle - floor(circle)) * 255.0);
}

/* The integer rule with its list of low hues gives the same hue for every colour: seen through a hue that is turned to
 * where it can be read off: with saturation and value known, red, green and blue are a function of the hue. */
static void hue_as_fractions(void **state) {
    (void)state;
    const uint32_t low_hues[8] = BT_HUE_LOW;
    for (int r = 0; r < 256; r++) {
        for (int i = 0; i < RUN; i++) {
            int g = i >> 8, b = i & 255, high = r > g ? (r > b ? r : b) : (g > b ? g : b);
            int c = high - (r < g ? (r < b ? r : b) : (g < b ? g : b));
            if (c == 0) continue;
            int n = r == high ? g - b : g == high ? 2 * c + b - r : 4 * c + r - g;
            n += n < 0 ? 6 * c : 0;
            int hue = 85 * n / (2 * c);
            hue -= 85 * n % (2 * c) == 0 && (low_hues[hue / 32] >> hue % 32 & 1);
            if (hue != hue_by_fractions(r, g, b)) fail_msg("hue of %d %d %d", r, g, b);
            if (255 * c / high != (int)((double)((float)c / (float)high) * 255.0))
                fail_msg("saturation of %d %d %d", r, g, b);
        }
    }
}

/* PIL blends in f32; with factors that count 2^-14 nothing is rounded there. */
static void blends(void **state) {
    (void)state;
    for (int c = 0; c < copy_count; c++) {
        for (int32_t factor = 0; factor <= BT_FACTOR_LAST; factor += factor < 5 || factor > 32760 ? 1 : 331) {
            fill(0);
            memcpy(plane[0], plane[2], RUN);
            copies[c]->blend_plane(plane[2], plane[1], factor, RUN);
            for (int i = 0; i < RUN; i++) {
                float exact = (float)(i >> 8) + (float)factor / 16384.0f * (float)((i & 255) - (i >> 8));
                int want = exact <= 0 ? 0 : exact >= 255 ? 255 : (int)exact;
                if (plane[2][i] != want)
                    fail_msg("copy %d: %d to %d by %d gives %d, want %d", c, i >> 8, i & 255, factor, plane[2][i],
                             want);
            }
            copies[c]->blend_value(plane[0], 77, factor, 256);
            for (int i = 0; i < 256; i++) assert_int_equal(plane[0][i], bt_blend_byte(77, i, factor));
        }
    }
}

static void luma_sum_and_solarize(void **state) {
    (void)state;
    for (int c = 0; c < copy_count; c++) {
        for (int red = 0; red < 256; red += 51) {
            static uint8_t out[RUN];
            fill(red);
            copies[c]->luma(plane[0], plane[1], plane[2], out, RUN);
            int64_t sum = 0;
            for (int i = 0; i < RUN; i++) {
                double exact = 0.299 * red + 0.587 * (i >> 8) + 0.114 * (i & 255);
                if (fabs(out[i] - exact) > 0.51) fail_msg("luma of %d %d %d is %d", red, i >> 8, i & 255, out[i]);
                assert_int_equal(out[i], bt_luma(red, i >> 8, i & 255));
                sum += out[i];
            }
            for (int n = 0; n < 70; n++)
                assert_int_equal(copies[c]->sum(out, RUN - n) + copies[c]->sum(out + RUN - n, n), sum);
            copies[c]->solarize(plane[2], red, 256);
            for (int i = 0; i < 256; i++) assert_int_equal(plane[2][i], i < red ? i : 255 - i);
        }
    }
    assert_int_equal(bt_mean_luma(5, 2), 3); /* halves go up */
    assert_int_equal(bt_mean_luma(4, 3), 1);
    assert_int_equal(bt_mean_luma(255, 1), 255);
}

static void split_and_join(void **state) {
    (void)state;
    static uint8_t rgb[3 * 100 + 1];
    for (int c = 0; c < copy_count; c++) {
        for (int64_t n = 1; n <= 100; n++) {
            for (int i = 0; i < 301; i++) rgb[i] = (uint8_t)(i * 37 + n);
            copies[c]->split(rgb, plane[0], plane[1], plane[2], n);
            for (int i = 0; i < 3 * n; i++) assert_int_equal(plane[i % 3][i / 3], rgb[i]);
            memset(rgb, 0, (size_t)(3 * n));
            copies[c]->join(plane[0], plane[1], plane[2], rgb, n);
            for (int i = 0; i < 301; i++) assert_int_equal(rgb[i], (uint8_t)(i * 37 + n));
        }
    }
}

/* A spot far from the edges becomes a symmetric one of the same mean; near an edge the edge's pixel is repeated. */
static void blur_of_a_spot(void **state) {
    (void)state;
    enum { S = 31 };
    static uint8_t pixels[S * S * 3], small[1 * 2 * 3] = {0, 10, 20, 200, 210, 220};
    for (int k = 0; k < 2; k++) {
        float radius = k ? 2.0f : 0.7f;
        bt_colour colour = {.count = 1, .step = {bt_colour_blur(radius)}};
        bt_colour_memory memory = {0};
        memset(pixels, 0, sizeof pixels);
        for (int c = 0; c < 3; c++) pixels[(15 * S + 15) * 3 + c] = 255;
        check_ok(bt_colour_apply(&memory, &colour, pixels, S, S));
        double sum = 0, spread = 0;
        for (int i = 0; i < S * S; i++) {
            double v = pixels[i * 3], x = i % S - 15;
            assert_int_equal(pixels[i * 3], pixels[(S * S - 1 - i) * 3]);
            assert_true(abs(pixels[i * 3] - pixels[(i % S * S + i / S) * 3]) <=
                        1); /* rows are rounded before columns */
            sum += v;
            spread += v * x * x;
        }
        print_message("radius %g: sum %g, deviation %g\n", (double)radius, sum, sqrt(spread / sum));
        assert_true(fabs(sum - 255) < 30 &&
                    fabs(sqrt(spread / sum) - (double)radius) < 0.15); /* rounded six times to bytes */
        check_ok(bt_colour_apply(&memory, &colour, small, 1, 2));
        assert_true(small[0] > 0 && small[3] < 200 && small[0] < small[3] && small[1] > small[0]);
        bt_colour_memory_free(&memory);
    }
}

/* The draws of transform.h, followed by hand. */
static void draws_as_documented(void **state) {
    (void)state;
    static const int orders[24][4] = {
        {0, 1, 2, 3}, {0, 1, 3, 2}, {0, 2, 1, 3}, {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 3, 2, 1}, {1, 0, 2, 3}, {1, 0, 3, 2},
        {1, 2, 0, 3}, {1, 2, 3, 0}, {1, 3, 0, 2}, {1, 3, 2, 0}, {2, 0, 1, 3}, {2, 0, 3, 1}, {2, 1, 0, 3}, {2, 1, 3, 0},
        {2, 3, 0, 1}, {2, 3, 1, 0}, {3, 0, 1, 2}, {3, 0, 2, 1}, {3, 1, 0, 2}, {3, 1, 2, 0}, {3, 2, 0, 1}, {3, 2, 1, 0}};
    int seen[BT_COLOUR_KINDS] = {0};
    for (int64_t id = 0; id < 3000; id++) {
        bt_colour colour = bt_colour_random(&bt_augment_papers, 9, 4, id);
        assert_true(bt_colour_valid(&colour));
        bt_philox choice = bt_random_block(9, 4, BT_STREAM_AUGMENT, id, 10),
                  more = bt_random_block(9, 4, BT_STREAM_AUGMENT, id, 11);
        bt_philox strength = bt_random_block(9, 4, BT_STREAM_AUGMENT, id, 12);
        int at = 0;
        for (int k = 0; k < 4 && (double)(choice.word[1] >> 8) < 0.8 * 16777216; k++) {
            int kind = orders[(uint64_t)more.word[1] * 24 >> 32][k];
            int64_t reach = kind == 3 ? 3277 : 6554; /* 0.2 and 0.4 of 2^14, rounded */
            int64_t drawn = (int64_t)((uint64_t)strength.word[kind] * (uint64_t)(2 * reach + 1) >> 32) - reach;
            assert_int_equal(colour.step[at].kind, kind);
            assert_int_equal(colour.step[at++].value, kind == 3 ? (drawn * 255 / 16384) & 255 : 16384 + drawn);
        }
        if ((double)(choice.word[2] >> 8) < 0.2 * 16777216) assert_int_equal(colour.step[at++].kind, BT_COLOUR_GREY);
        if ((double)(choice.word[3] >> 8) < 0.1 * 16777216) {
            int64_t radius = 1638 + (int64_t)((uint64_t)more.word[2] * (32768 - 1638 + 1) >> 32);
            bt_colour_step want = bt_colour_blur((float)radius / 16384.0f);
            assert_memory_equal(&colour.step[at++], &want, sizeof want);
        }
        if ((double)(more.word[0] >> 8) < 0.1 * 16777216) assert_int_equal(colour.step[at++].kind, BT_COLOUR_SOLARIZE);
        assert_int_equal(colour.count, at);
        for (int k = 0; k < at; k++) seen[colour.step[k].kind]++;
    }
    for (int k = 0; k < BT_COLOUR_KINDS; k++) /* binomial, 4 sigma at most 88 */
        assert_true(abs(seen[k] - (k < 4 ? 2400 : k == BT_COLOUR_GREY ? 600 : 300)) < 90);
}

static void strengths_of_zero(void **state) {
    (void)state;
    bt_augment plain = {.scale = {0.4, 1}, .ratio = {1, 1}}, partial = bt_augment_papers;
    partial.jitter = 1;
    partial.contrast = partial.hue = 0;
    partial.brightness = 1;
    for (int64_t id = 0; id < 500; id++) {
        assert_int_equal(bt_colour_random(&plain, 1, 0, id).count, 0);
        bt_colour colour = bt_colour_random(&partial, 1, 0, id);
        assert_true(colour.step[0].kind == BT_COLOUR_BRIGHTNESS || colour.step[0].kind == BT_COLOUR_SATURATION);
        assert_true(bt_colour_valid(&colour));
        for (int k = 0; k < colour.count; k++)
            assert_true(colour.step[k].kind != BT_COLOUR_CONTRAST && colour.step[k].kind != BT_COLOUR_HUE);
    }
}

/* Sums over whole views, of both widths of the loops. The numbers are those of views that equal PIL's and
 * torchvision's. */
static void fixed_sums(void **state) {
    (void)state;
    static uint8_t picture[90 * 120 * 3], view[56 * 56 * 3];
    for (int i = 0; i < 90 * 120 * 3; i++)
        picture[i] = (uint8_t)(i / 3 % 120 * 2 + i / 360 + i % 3 * 40 +
                               (int)(bt_philox4x32((uint32_t)i, 0, 0, 0, 7).word[0] >> 26));
    const uint32_t want[2] = {0x0c2309ab, 0x51cb0af8};
    for (int filter = 0; filter < 2; filter++) {
        bt_augment augment = bt_augment_papers;
        bt_resampler resampler = {0};
        bt_colour_memory memory = {0};
        uint32_t crc = 0;
        augment.filter = (bt_filter)filter;
        for (int64_t id = 0; id < 60; id++) {
            bt_view v = bt_view_random(90, 120, 56, &augment, 3, 1, id);
            bt_colour colour = bt_colour_random(&augment, 3, 1, id);
            check_ok(bt_resample(&resampler, picture, 90, 120, &v, view));
            check_ok(bt_colour_apply(&memory, &colour, view, 56, 56));
            crc = bt_crc32c(crc, view, sizeof view);
        }
        bt_resampler_free(&resampler);
        bt_colour_memory_free(&memory);
        if (crc != want[filter])
            fail_msg("filter %d: sum 0x%08x, want 0x%08x", filter, (unsigned)crc, (unsigned)want[filter]);
    }
}

static void bad_options(void **state) {
    (void)state;
    bt_augment a = bt_augment_papers;
    check_ok(bt_augment_check(&a));
    a.hue = 0.6;
    check_message(bt_augment_check(&a), BT_ERR_CONFIG, "loader: hue is 0.6; allowed are 0..0.5");
    a = bt_augment_papers, a.grey = NAN;
    check_error(bt_augment_check(&a), BT_ERR_CONFIG, "loader: grey is");
    a = bt_augment_papers, a.brightness = 1.5;
    check_message(bt_augment_check(&a), BT_ERR_CONFIG, "loader: brightness is 1.5; allowed are 0..1");
    a = bt_augment_papers, a.blur_radius[0] = 3;
    check_message(bt_augment_check(&a), BT_ERR_CONFIG, "loader: blur radius is 3..2; allowed is 0 < low <= high <= 64");
    a.blur = 0;
    check_ok(bt_augment_check(&a));
    a = bt_augment_papers, a.solarize_threshold = 257;
    check_message(bt_augment_check(&a), BT_ERR_CONFIG, "loader: solarize threshold is 257; allowed are 0..256");
    a = bt_augment_papers, a.filter = (bt_filter)2;
    check_message(bt_augment_check(&a), BT_ERR_CONFIG, "loader: filter is 2; allowed are 0 (bilinear) and 1 (bicubic)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hue_of_all_colours),    cmocka_unit_test(hue_as_fractions),  cmocka_unit_test(blends),
        cmocka_unit_test(luma_sum_and_solarize), cmocka_unit_test(split_and_join),    cmocka_unit_test(blur_of_a_spot),
        cmocka_unit_test(draws_as_documented),   cmocka_unit_test(strengths_of_zero), cmocka_unit_test(fixed_sums),
        cmocka_unit_test(bad_options),
    };
    return cmocka_run_group_tests(tests, choose, NULL);
}
