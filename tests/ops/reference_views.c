/* Reference of make_views, from docs/augmentation.md: pictures, filters and colours one pixel at a time, in double. Hue
 * goes through fractions in f32, as PIL computes it, where the kernels have integers. */
#include "ops_test.h"
#include "references.h"

#include "pixels/view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void put_record(ref_make_views *a, int64_t row, const bt_view_record *record) {
    unsigned char bytes[sizeof *record];
    memcpy(bytes, record, sizeof bytes);
    for (size_t k = 0; k < sizeof bytes; k++) a->views.v[(size_t)row * sizeof bytes + k] = bytes[k];
}

static bt_view_record get_record(const ref_make_views *a, int64_t row) {
    unsigned char bytes[sizeof(bt_view_record)];
    bt_view_record record;
    for (size_t k = 0; k < sizeof bytes; k++) bytes[k] = (unsigned char)a->views.v[(size_t)row * sizeof bytes + k];
    memcpy(&record, bytes, sizeof record);
    return record;
}

/* Row m takes a picture of its own share of the bytes, wide, high or square by turns; whole or a part; as a window or
 * not; with m mod 9 steps of colour, the kinds in turn. */
void derive_make_views(void *ref) {
    ref_make_views *a = ref;
    int64_t rows = a->views.rows, size = a->y.shape.dim[1], share = ref_count(&a->pixels) / rows;
    for (int64_t m = 0; m < rows; m++) {
        int64_t pixels = share / 3, height = m % 3 == 0   ? (int64_t)sqrt((double)pixels)
                                             : m % 3 == 1 ? 1 + m % 4
                                                          : pixels / 2;
        if (height < 1) height = 1;
        bt_view_record r;
        memset(&r, 0, sizeof r);
        r.offset = share * m + (m > 0 ? share % 3 : 0); /* at any byte */
        r.height = height;
        r.width = pixels / height;
        r.view.crop = (bt_box){0, 0, r.height, r.width};
        if (m % 4 == 1)
            r.view.crop = (bt_box){height / 4, r.width / 3, height - height / 4, r.width - r.width / 3 - r.width / 4};
        int64_t more = m % 3 == 2 ? 3 : 0;
        r.view.full_height = size + more;
        r.view.full_width = size + 2 * more;
        r.view.window = (bt_box){more / 3, more, size, size};
        r.view.flip = m % 2 == 1;
        r.view.filter = m / 2 % 2 ? BT_FILTER_BILINEAR : BT_FILTER_BICUBIC;
        r.colour.count = (int32_t)(m % 9);
        static const int32_t values[BT_COLOUR_KINDS] = {9000, 29000, 21000, 77, 0, 1, 128};
        for (int32_t i = 0; i < r.colour.count; i++) {
            int32_t kind = (int32_t)((m + 2 * i) % BT_COLOUR_KINDS),
                    value = values[kind] + (kind < BT_COLOUR_GREY ? i : 0);
            r.colour.step[i] = (bt_colour_step){kind, value, 3000000, 3888607};
        }
        put_record(a, m, &r);
    }
}

/* ---- geometry ---- */

static double curve(bt_filter filter, double x) {
    x = fabs(x);
    if (filter == BT_FILTER_BILINEAR) return fmax(0, 1 - x);
    if (x < 1) return ((1.5 * x - 2.5) * x) * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

typedef struct span {
    int64_t first, end;
} span;

/* Weights of an axis's inputs in output i, in 2^-22, and which inputs they are. */
static span weigh(bt_filter filter, int64_t in, int64_t full, int64_t i, double *weight) {
    double scale = (double)in / (double)full, stretch = fmax(scale, 1);
    double center = ((double)i + 0.5) * scale, reach = (filter == BT_FILTER_BICUBIC ? 2 : 1) * stretch, sum = 0;
    span s = {(int64_t)fmax(0, floor(center - reach + 0.5)), (int64_t)fmin((double)in, floor(center + reach + 0.5))};
    for (int64_t j = s.first; j < s.end; j++) {
        weight[j] = curve(filter, ((double)j - center + 0.5) * (1 / stretch));
        sum += weight[j];
    }
    for (int64_t j = s.first; j < s.end; j++)
        weight[j] = trunc(weight[j] / sum * 0x1p22 + (weight[j] < 0 ? -0.5 : 0.5));
    return s;
}

static double to_byte(double value) {
    return fmin(fmax(floor(value), 0), 255);
}

/* picture: the record's first value. v (size,size,3). */
static void place(const bt_view_record *r, const double *picture, int64_t size, double *v) {
    const bt_view *view = &r->view;
    double *rows = ref_new(view->crop.height * size * 3), *weight = ref_new(view->crop.height + view->crop.width);
    for (int64_t x = 0; x < size; x++) {
        span s = weigh(view->filter, view->crop.width, view->full_width, view->window.left + x, weight);
        for (int64_t i = 0; i < view->crop.height * 3; i++) {
            const double *line = picture + ((view->crop.top + i / 3) * r->width + view->crop.left) * 3 + i % 3;
            double sum = 0x1p21;
            for (int64_t j = s.first; j < s.end; j++) sum += weight[j] * line[j * 3];
            rows[(i / 3 * size + x) * 3 + i % 3] = to_byte(sum * 0x1p-22);
        }
    }
    for (int64_t y = 0; y < size; y++) {
        span s = weigh(view->filter, view->crop.height, view->full_height, view->window.top + y, weight);
        for (int64_t i = 0; i < size * 3; i++) {
            double sum = 0x1p21;
            for (int64_t j = s.first; j < s.end; j++) sum += weight[j] * rows[j * size * 3 + i];
            int64_t x = view->flip ? size - 1 - i / 3 : i / 3;
            v[(y * size + x) * 3 + i % 3] = to_byte(sum * 0x1p-22);
        }
    }
    free(rows);
    free(weight);
}

/* ---- colour ---- */

static double luma(const double *p) {
    return floor((19595 * p[0] + 38470 * p[1] + 7471 * p[2] + 32768) / 65536);
}

static double blend(double from, double to, double factor) {
    return to_byte(from + factor / 16384 * (to - from));
}

/* To hue, saturation and value with fractions in f32, and back with exact ones. */
static void turn(double *p, int32_t by) {
    double high = fmax(p[0], fmax(p[1], p[2])), low = fmin(p[0], fmin(p[1], p[2]));
    if (high == low) return;
    float range = (float)(high - low), h;
    float r = (float)(high - p[0]) / range, g = (float)(high - p[1]) / range, b = (float)(high - p[2]) / range;
    h = p[0] == high   ? b - g
        : p[1] == high ? (float)(2.0 + (double)r - (double)b)
                       : (float)(4.0 + (double)g - (double)r);
    float circle = (float)fmod((double)h / 6.0 + 1.0, 1.0);
    double saturation = floor((double)(range / (float)high) * 255.0);
    double hue = fmod(floor((double)circle * 255.0) + by, 256) * 2 / 85, sixth = floor(hue + 1e-9), rest = hue - sixth;
    double s = saturation / 255, weak = floor(high * (1 - s) + 0.5);
    double down = floor(high * (1 - s * rest) + 0.5), up = floor(high * (1 - s * (1 - rest)) + 0.5);
    const double by_sixth[6][3] = {{high, up, weak},   {down, high, weak}, {weak, high, up},
                                   {weak, down, high}, {up, weak, high},   {high, weak, down}};
    memcpy(p, by_sixth[(int)sixth % 6], 3 * sizeof *p);
}

static void blur(double *v, int64_t size, const bt_colour_step *s) {
    double *old = ref_new(size * size * 3);
    for (int pass = 0; pass < 2 * BT_BLUR_PASSES; pass++) {
        memcpy(old, v, (size_t)(size * size * 3) * sizeof *v);
        for (int64_t i = 0; i < size * size * 3; i++) {
            int64_t step = pass < BT_BLUR_PASSES ? 3 : size * 3, at = i / step % size;
            double sum = 0x1p23;
            for (int64_t k = -s->value - 1; k <= s->value + 1; k++) {
                int64_t from = at + k < 0 ? 0 : at + k >= size ? size - 1 : at + k;
                sum += old[i + (from - at) * step] * (llabs(k) > s->value ? s->part : s->whole);
            }
            v[i] = floor(sum * 0x1p-24);
        }
    }
    free(old);
}

static void recolour(double *v, int64_t size, const bt_colour_step *s) {
    int64_t pixels = size * size;
    double mean = 0;
    for (int64_t i = 0; i < pixels; i++) mean += luma(v + 3 * i);
    mean = s->kind == BT_COLOUR_CONTRAST ? floor(mean / (double)pixels + 0.5) : 0;
    if (s->kind == BT_COLOUR_BLUR) blur(v, size, s);
    for (int64_t i = 0; i < pixels; i++) {
        double *p = v + 3 * i, grey = luma(p);
        if (s->kind == BT_COLOUR_HUE) turn(p, s->value);
        for (int c = 0; c < 3; c++) {
            if (s->kind == BT_COLOUR_BRIGHTNESS || s->kind == BT_COLOUR_CONTRAST) p[c] = blend(mean, p[c], s->value);
            if (s->kind == BT_COLOUR_SATURATION) p[c] = blend(grey, p[c], s->value);
            if (s->kind == BT_COLOUR_GREY) p[c] = grey;
            if (s->kind == BT_COLOUR_SOLARIZE && p[c] >= s->value) p[c] = 255 - p[c];
        }
    }
}

void reference_make_views(ref_make_views *a) {
    int64_t size = a->y.shape.dim[1];
    for (int64_t m = 0; m < a->views.rows; m++) {
        bt_view_record r = get_record(a, m);
        double *v = a->y.v + m * size * size * 3;
        place(&r, a->pixels.v + r.offset, size, v);
        for (int32_t i = 0; i < r.colour.count; i++) recolour(v, size, &r.colour.step[i]);
    }
}
