/* The camera: from linear light to 8-bit sRGB, with white balance, exposure, a soft shoulder, vignette, blur and noise.
 */
#include "fen/picture.h"

/* Mean of factor x factor pixels. */
static void shrink(const bt_fen_layer *canvas, bt_fen_layer *small) {
    int f = canvas->width / small->width;
    double scale = 1.0 / (f * f);
    for (int y = 0; y < small->height; y++)
        for (int x = 0; x < small->width; x++) {
            double sum[3] = {0};
            for (int j = 0; j < f; j++)
                for (int i = 0; i < f; i++)
                    for (int k = 0; k < 3; k++) sum[k] += bt_fen_pixel(canvas, x * f + i, y * f + j)[k];
            for (int k = 0; k < 3; k++) bt_fen_pixel(small, x, y)[k] = (float)(sum[k] * scale);
        }
}

/* A Gaussian of `sigma` pixels below 1 as three taps along each axis. */
static void soften(bt_fen_layer *image, double sigma, bt_fen_layer *scratch) {
    double side = exp(-0.5 / (sigma * sigma)), scale = 1 / (1 + 2 * side);
    for (int axis = 0; axis < 2; axis++) {
        const bt_fen_layer *in = axis ? scratch : image;
        bt_fen_layer *out = axis ? image : scratch;
        for (int y = 0; y < in->height; y++)
            for (int x = 0; x < in->width; x++) {
                int x0 = axis || x == 0 ? x : x - 1, x1 = axis || x == in->width - 1 ? x : x + 1;
                int y0 = !axis || y == 0 ? y : y - 1, y1 = !axis || y == in->height - 1 ? y : y + 1;
                const float *a = bt_fen_pixel(in, x0, y0), *b = bt_fen_pixel(in, x, y), *c = bt_fen_pixel(in, x1, y1);
                for (int k = 0; k < 3; k++) bt_fen_pixel(out, x, y)[k] = (float)((b[k] + side * (a[k] + c[k])) * scale);
            }
    }
}

/* Film: straight in the shadows, a shoulder towards white. */
static double film(double x) {
    return x < 0.5 ? x : 1 - 0.5 * exp(-2 * (x - 0.5));
}

static void expose(const bt_fen_camera *c, double gain, bt_fen_layer *image) {
    double red = gain * c->red, blue = gain * c->blue;
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            float *p = bt_fen_pixel(image, x, y);
            double dx = (x + 0.5) / image->width - 0.5, dy = (y + 0.5) / image->height - 0.5,
                   dim = 1 - c->vignette * 1.6 * (dx * dx + dy * dy);
            bt_fen_rgb v = {p[0] * red * dim, p[1] * gain * dim, p[2] * blue * dim};
            v = bt_fen_rgb_vary(v, 0, c->saturation, 1);
            p[0] = (float)film(v.r);
            p[1] = (float)film(v.g);
            p[2] = (float)film(v.b);
        }
}

/* sRGB value of linear light, from a table with linear steps between: within 1e-4 of the formula. */
enum { STEPS = 4096 };
static void fill_table(float table[STEPS + 2]) {
    for (int i = 0; i <= STEPS + 1; i++) table[i] = (float)bt_fen_from_linear((double)i * i / ((double)STEPS * STEPS));
}

static double encode(const float table[STEPS + 2], double linear) {
    double at = sqrt(bt_fen_clamp(linear, 0, 1)) * STEPS;
    int i = (int)at;
    return table[i] + (table[i + 1] - table[i]) * (at - i);
}

/* Noise of sum of two hashes: a triangle, near enough to a sensor's. */
static double grain(int x, int y, uint32_t seed) {
    uint32_t h = bt_fen_hash(x, y, seed);
    return ((double)(h & 0xffff) + (double)(h >> 16)) / 65536.0 - 1;
}

static void write_bytes(const bt_fen_camera *c, const bt_fen_layer *image, uint8_t *rgb) {
    float table[STEPS + 2];
    fill_table(table);
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            const float *p = bt_fen_pixel(image, x, y);
            double common = c->noise > 0 ? grain(x, y, c->seed) * c->noise : 0;
            for (int k = 0; k < 3; k++) {
                double v = encode(table, p[k]);
                v += c->contrast * (v * v * (3 - 2 * v) - v);
                if (c->noise > 0) v += (common + 0.6 * c->noise * grain(x, y, c->seed + 1 + (uint32_t)k)) * 1.7 / 255;
                rgb[((size_t)y * (size_t)image->width + (size_t)x) * 3 + (size_t)k] =
                    (uint8_t)(255 * bt_fen_clamp(v, 0, 1) + 0.5);
            }
        }
}

void bt_fen_develop(const bt_fen_camera *c, double brightness, const bt_fen_layer *canvas, bt_fen_layer *small,
                    bt_fen_layer *scratch, uint8_t *rgb) {
    shrink(canvas, small);
    if (c->exposure > 0) expose(c, c->exposure * 0.72 / pow(brightness, 0.75), small);
    if (c->blur > 0.25) soften(small, c->blur, scratch);
    write_bytes(c, small, rgb);
}
