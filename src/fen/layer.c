/* Layers of a picture. */
#include "fen/layer.h"

#include "base/memory.h"

#include <string.h>

static size_t values_of(const bt_fen_layer *layer) {
    return (size_t)layer->width * (size_t)layer->height * 4;
}

bt_status bt_fen_layer_new(int width, int height, bt_fen_layer *out) {
    BT_ASSERT(width > 0 && height > 0);
    bt_fen_layer layer = {.width = width, .height = height};
    layer.rgba = bt_memory_zeroed(values_of(&layer), sizeof(float));
    if (!layer.rgba) return BT_ERR_MEMORY;
    *out = layer;
    return BT_OK;
}

void bt_fen_layer_free(bt_fen_layer *layer) {
    bt_memory_free(layer->rgba);
    *layer = (bt_fen_layer){0};
}

void bt_fen_layer_clear(bt_fen_layer *layer) {
    memset(layer->rgba, 0, values_of(layer) * sizeof(float));
}

void bt_fen_sample(const bt_fen_layer *layer, double x, double y, double rgba[4]) {
    double px = bt_fen_clamp(x - 0.5, 0, layer->width - 1), py = bt_fen_clamp(y - 0.5, 0, layer->height - 1);
    int x0 = (int)px, y0 = (int)py, x1 = x0 + (x0 < layer->width - 1), y1 = y0 + (y0 < layer->height - 1);
    float u = (float)(px - x0), v = (float)(py - y0);
    const float *a = layer->rgba + ((size_t)y0 * (size_t)layer->width + (size_t)x0) * 4, *b = a + (x1 - x0) * 4;
    const float *c = layer->rgba + ((size_t)y1 * (size_t)layer->width + (size_t)x0) * 4, *d = c + (x1 - x0) * 4;
    for (int k = 0; k < 4; k++) {
        float top = a[k] + (b[k] - a[k]) * u, low = c[k] + (d[k] - c[k]) * u;
        rgba[k] = top + (low - top) * v;
    }
}

void bt_fen_compose(bt_fen_layer *under, const bt_fen_layer *top, bt_fen_rgb fog, double amount) {
    double sx = (double)top->width / under->width, sy = (double)top->height / under->height;
    bool same = top->width == under->width && top->height == under->height;
    for (int y = 0; y < under->height; y++)
        for (int x = 0; x < under->width; x++) {
            size_t at = ((size_t)y * (size_t)under->width + (size_t)x) * 4;
            double t[4];
            if (same)
                for (int k = 0; k < 4; k++) t[k] = top->rgba[at + (size_t)k];
            else
                bt_fen_sample(top, (x + 0.5) * sx, (y + 0.5) * sy, t);
            if (t[3] <= 0) continue;
            float *p = under->rgba + at;
            double keep = 1 - t[3], clear = 1 - amount, veil = amount * t[3];
            p[0] = (float)(t[0] * clear + fog.r * veil + p[0] * keep);
            p[1] = (float)(t[1] * clear + fog.g * veil + p[1] * keep);
            p[2] = (float)(t[2] * clear + fog.b * veil + p[2] * keep);
            p[3] = (float)(t[3] + p[3] * keep);
        }
}

/* Mean of 2 radius + 1 neighbours along a line of `count` pixels, `stride` floats apart; edges are repeated. */
static void blur_line(const float *in, float *out, int count, size_t stride, int radius) {
    float scale = 1.0f / (float)(2 * radius + 1);
    for (int k = 0; k < 4; k++) {
        float sum = in[k] * (float)radius;
        for (int i = 0; i < radius; i++) sum += in[(size_t)(i < count ? i : count - 1) * stride + (size_t)k];
        for (int i = 0; i < count; i++) {
            int in_at = i + radius < count ? i + radius : count - 1, out_at = i - radius > 0 ? i - radius : 0;
            sum += in[(size_t)in_at * stride + (size_t)k];
            float mean = sum * scale;
            sum -= in[(size_t)out_at * stride + (size_t)k];
            out[(size_t)i * stride + (size_t)k] = mean > 0 ? mean : 0; /* a running sum may end a hair below */
        }
    }
}

void bt_fen_blur(bt_fen_layer *layer, int radius, bt_fen_layer *scratch) {
    if (radius < 1) return;
    size_t row = (size_t)layer->width * 4;
    for (int pass = 0; pass < 2; pass++) {
        for (int y = 0; y < layer->height; y++)
            blur_line(layer->rgba + (size_t)y * row, scratch->rgba + (size_t)y * row, layer->width, 4, radius);
        for (int x = 0; x < layer->width; x++)
            blur_line(scratch->rgba + (size_t)x * 4, layer->rgba + (size_t)x * 4, layer->height, row, radius);
    }
}

static bt_status no_memory(cairo_status_t status) {
    return bt_error(BT_ERR_MEMORY, "cannot draw: cairo: %s", cairo_status_to_string(status));
}

cairo_t *bt_fen_sketch_new(int width, int height) {
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, width, height);
    cairo_t *sketch = cairo_create(surface);
    cairo_surface_destroy(surface); /* the context holds it */
    cairo_status_t status = cairo_status(sketch);
    if (status != CAIRO_STATUS_SUCCESS) {
        cairo_destroy(sketch);
        (void)no_memory(status);
        return NULL;
    }
    cairo_scale(sketch, width, height);
    cairo_set_line_cap(sketch, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_join(sketch, CAIRO_LINE_JOIN_ROUND);
    return sketch;
}

static void fill_linear_table(float table[256]) {
    for (int i = 0; i < 256; i++) table[i] = (float)bt_fen_to_linear(i / 255.0);
}

bt_status bt_fen_sketch_end(cairo_t *sketch, bt_fen_layer *layer) {
    cairo_surface_t *surface = cairo_get_target(sketch);
    cairo_status_t status = cairo_status(sketch);
    if (status != CAIRO_STATUS_SUCCESS) {
        cairo_destroy(sketch);
        return no_memory(status);
    }
    cairo_surface_flush(surface);
    BT_ASSERT(cairo_image_surface_get_width(surface) == layer->width &&
              cairo_image_surface_get_height(surface) == layer->height);
    const unsigned char *data = cairo_image_surface_get_data(surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    float linear[256];
    fill_linear_table(linear);
    for (int y = 0; y < layer->height; y++)
        for (int x = 0; x < layer->width; x++) {
            uint32_t argb;
            memcpy(&argb, data + (size_t)y * stride + (size_t)x * 4, 4);
            uint32_t a = argb >> 24;
            if (a == 0) continue;
            /* Cairo's colours are sRGB times coverage. */
            uint32_t r = (argb >> 16 & 255) * 255 / a, g = (argb >> 8 & 255) * 255 / a, b = (argb & 255) * 255 / a;
            bt_fen_rgb c = {linear[r & 255], linear[g & 255], linear[b & 255]};
            bt_fen_over(bt_fen_pixel(layer, x, y), c, a / 255.0);
        }
    cairo_destroy(sketch);
    return BT_OK;
}

/* Light above 1 (a sunlit white) is kept for what is computed; cairo's colours end at 1. */
static double srgb_of(double linear) {
    return bt_fen_from_linear(bt_fen_clamp(linear, 0, 1));
}

void bt_fen_ink(cairo_t *sketch, bt_fen_rgb c, double alpha) {
    cairo_set_source_rgba(sketch, srgb_of(c.r), srgb_of(c.g), srgb_of(c.b), alpha);
}

void bt_fen_stop(cairo_pattern_t *gradient, double at, bt_fen_rgb c, double alpha) {
    cairo_pattern_add_color_stop_rgba(gradient, at, srgb_of(c.r), srgb_of(c.g), srgb_of(c.b), alpha);
}
