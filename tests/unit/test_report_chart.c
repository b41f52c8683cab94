/* Charts: ticks, ranges with holes, long series, text that must be escaped; the SVG is read back piece by piece. */
#include "check.h"
#include "font_memory.h"
#include "scratch.h"

#include "report/chart.h"

#include <math.h>

static void ticks(void **state) {
    (void)state;
    static const struct {
        double low, high;
        int wanted;
        double step;
    } cases[] = {{0, 1, 5, 0.2},      {0, 10, 5, 2},          {0, 3, 5, 1}, {-1, 1, 4, 0.5},
                 {0, 15000, 7, 5000}, {1e-9, 2e-9, 5, 2e-10}, {5, 5, 5, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double step = bt_tick_step(cases[i].low, cases[i].high, cases[i].wanted);
        if (!(fabs(step - cases[i].step) <= 1e-12 * cases[i].step)) fail_msg("case %zu: step %g", i, step);
    }
    assert_true(bt_tick_step(0, INFINITY, 5) == 1);
    assert_true(bt_tick_step(0, NAN, 5) == 1);
}

static int count_of(const char *text, const char *part) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) count++;
    return count;
}

static bt_text svg_of(bt_canvas *canvas) {
    bt_text svg = {0};
    assert_non_null(canvas);
    check_ok(bt_canvas_svg(canvas, &svg));
    bt_canvas_free(canvas);
    assert_null(strstr(bt_text_get(&svg), "nan"));
    assert_null(strstr(bt_text_get(&svg), "inf"));
    return svg;
}

static void curves_with_holes(void **state) {
    (void)state;
    const double x[] = {0, 1, 2, 3, 4, 5}, y[] = {1, 3, NAN, 2, 2, NAN}, lone[] = {NAN, 0.5, NAN, NAN, NAN, NAN};
    const bt_series series[] = {{"a<b", x, y, 6, false}, {"dash", x, lone, 6, true}};
    bt_text svg = svg_of(bt_curves_draw(&(bt_curves){"R & D", "step", "loss", series, 2, false}, 400, 300));
    const char *text = bt_text_get(&svg);
    assert_int_equal(count_of(text, "stroke=\"#0072b2\""), 3); /* two pieces and the legend */
    assert_int_equal(count_of(text, "<circle"), 1);            /* a point without neighbours is not lost */
    assert_non_null(strstr(text, "a&lt;b</text>"));
    assert_non_null(strstr(text, "R &amp; D</text>"));
    /* y runs from 0.5 to 3 in steps of 0.5 on 36..252 pixels, x from 0 to 4 on 64..384: (1, 3) is the top. */
    assert_non_null(strstr(text, "<path d=\"M64 208.8L144 36\""));
    assert_null(strstr(text, ">-0</text>"));
    bt_text_free(&svg);
}

/* Numbers whose differences overflow, vanish or are denormal: ticks end, and every place is a number. */
static void extreme_numbers(void **state) {
    (void)state;
    static const double cases[][4] = {{0, 1, -1e308, 1e308},
                                      {0, 1, -1e300, 1e300},
                                      {0, 1e300, 0, 1},
                                      {1e300, 1e300, 1, 1},
                                      {0, 1, 0, 4.9e-324},
                                      {0, 1, 1e-320, 2e-320},
                                      {9007199254740992.0, 9007199254740994.0, 0, 1},
                                      {0, 1, 1, 1.0000000000000002},
                                      {-1e17, -1e17 + 16, 1e17, 1e17 + 16}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const bt_series series = {"s", cases[i], cases[i] + 2, 2, false};
        for (int from_zero = 0; from_zero < 2; from_zero++) {
            bt_text svg = svg_of(bt_curves_draw(&(bt_curves){"t", "x", "y", &series, 1, from_zero == 1}, 400, 300));
            assert_true(count_of(bt_text_get(&svg), "<text") < 40);
            bt_text_free(&svg);
        }
    }
}

static void nothing_to_draw(void **state) {
    (void)state;
    const double x[] = {1}, y[] = {NAN};
    bt_text svg =
        svg_of(bt_curves_draw(&(bt_curves){"t", "x", "y", &(bt_series){"s", x, y, 1, false}, 1, true}, 300, 200));
    assert_non_null(strstr(bt_text_get(&svg), ">0.2</text>"));
    bt_text_free(&svg);
}

static void long_series_keep_their_peaks(void **state) {
    (void)state;
    enum { N = 100000 };
    double *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
    assert_non_null(x);
    assert_non_null(y);
    for (int i = 0; i < N; i++) {
        x[i] = i;
        y[i] = i == 77777 ? 10 : 0;
    }
    bt_text svg =
        svg_of(bt_curves_draw(&(bt_curves){"t", "x", "y", &(bt_series){"s", x, y, N, false}, 1, true}, 400, 300));
    assert_true(svg.length < 100000);
    assert_non_null(strstr(bt_text_get(&svg), " 36 ")); /* the top of the plotting area */
    bt_text_free(&svg);
    free(x);
    free(y);
}

static void bars(void **state) {
    (void)state;
    const bt_bar list[] = {{"one", 0.5, 0, 0, true}, {"two", 0.25, 0.2, 0.3, false}};
    bt_text svg = svg_of(bt_bars_draw("scores", list, 2, 1, 316)); /* 60 left, 96 right: 160 pixels for 1 */
    assert_non_null(strstr(bt_text_get(&svg), "<path d=\"M60 41L140 41 140 59 60 59 60 41Z\" fill=\"#b8b8b8\""));
    assert_non_null(strstr(bt_text_get(&svg), "<path d=\"M92 76L108 76\""));
    assert_non_null(strstr(bt_text_get(&svg), ">0.250</text>"));
    bt_text_free(&svg);
}

static void matrix(void **state) {
    (void)state;
    const double values[] = {1, 0, NAN, 0.5};
    const char *const names[] = {"one", "two"};
    bt_text svg = svg_of(bt_matrix_draw(&(bt_matrix){"m", values, 2, 2, NULL, false}, 240)); /* cells of 100 */
    assert_non_null(strstr(bt_text_get(&svg), "<path d=\"M24 36L124 36 124 136 24 136 24 36Z\" fill=\"#081d58\""));
    assert_int_equal(count_of(bt_text_get(&svg), "Z\" fill"), 2 + 24); /* two cells and the scale's steps */
    assert_non_null(strstr(bt_text_get(&svg), ">0</text>"));
    bt_text_free(&svg);
    const double both[] = {1, -1, 0, -0.5};
    svg = svg_of(bt_matrix_draw(&(bt_matrix){"m", both, 2, 2, names, true}, 240));
    assert_non_null(strstr(bt_text_get(&svg), "fill=\"#aa4100\"")); /* 1 */
    assert_non_null(strstr(bt_text_get(&svg), "fill=\"#004b82\"")); /* -1 */
    assert_non_null(strstr(bt_text_get(&svg), "fill=\"#78b4dc\"")); /* -0.5 */
    assert_non_null(strstr(bt_text_get(&svg), ">two</text>"));
    assert_non_null(strstr(bt_text_get(&svg), ">-1</text>"));
    bt_text_free(&svg);
}

static void columns(void **state) {
    (void)state;
    const double values[] = {0.5, 1, 0, 2};
    bt_columns c = {"bits", "bit", values, 4, 1, 0.5};
    bt_text svg = svg_of(bt_columns_draw(&c, 452, 184)); /* 384 wide: columns of 96; 100 high */
    assert_int_equal(count_of(bt_text_get(&svg), "Z\" fill=\"#0072b2\""), 4);
    /* The first is 96 less its gap of 0.22 wide and half as high as the plot; what is above the scale ends at its top.
     */
    assert_non_null(strstr(bt_text_get(&svg), "<path d=\"M62.56 90L137.44 90 137.44 140 62.56 140"));
    assert_non_null(strstr(bt_text_get(&svg), "<path d=\"M350.56 40L"));
    assert_non_null(strstr(bt_text_get(&svg), "<path d=\"M52 90L436 90\" fill=\"none\" stroke=\"#d55e00\""));
    bt_text_free(&svg);
    double many[300] = {0};
    svg = svg_of(bt_columns_draw(&(bt_columns){"bits", "bit", many, 300, 1, 0}, 452, 184));
    assert_true(count_of(bt_text_get(&svg), "<text") < 30);
    bt_text_free(&svg);
}

static void files(void **state) {
    (void)state;
    bt_canvas *canvas = bt_canvas_new(20, 10);
    assert_non_null(canvas);
    bt_canvas_box(canvas, 0, 0, 20, 10, (bt_paint){.color = 0xff0000, .opacity = 1});
    bt_canvas_text(canvas, 2, 8, (bt_text_style){.size = 8, .upright = false}, "x");
    check_ok(bt_canvas_save(canvas, scratch_path("plot")));
    size_t bytes;
    unsigned char *svg = scratch_read(scratch_path("plot.svg"), &bytes);
    assert_memory_equal(svg, "<?xml", 5);
    free(svg);
#ifdef BITTERN_WITH_CAIRO
    unsigned char *png = scratch_read(scratch_path("plot.png"), &bytes);
    assert_memory_equal(png, "\x89PNG", 4);
    assert_int_equal(png[19], 40); /* width of IHDR */
    free(png);
#endif
    check_error(bt_canvas_save(canvas, "/nonexistent/plot"), BT_ERR_IO, "/nonexistent/plot.svg");
    bt_canvas_free(canvas);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks),
        cmocka_unit_test(curves_with_holes),
        cmocka_unit_test(extreme_numbers),
        cmocka_unit_test(nothing_to_draw),
        cmocka_unit_test(long_series_keep_their_peaks),
        cmocka_unit_test(bars),
        cmocka_unit_test(matrix),
        cmocka_unit_test(columns),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
