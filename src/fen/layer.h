/* Layers of a picture: linear light in float, premultiplied by coverage, and cairo surfaces that are drawn into them.
 *
 * Cairo draws what has an outline (reeds, feathers, bills, legs) into 8-bit surfaces; water, sky and plumage are
 * computed for each pixel. Both meet here. Coordinates of cairo contexts are the frame's: the picture is the unit
 * square, y down. */
#ifndef BITTERN_FEN_LAYER_H
#define BITTERN_FEN_LAYER_H

#include "fen/pigment.h"

#include <bittern/status.h>

#include <cairo.h>
#include <stddef.h>
#include <stdint.h>

/** (height, width, 4): red, green, blue times coverage, coverage. */
typedef struct bt_fen_layer {
    int width, height;
    float *rgba;
} bt_fen_layer;

bt_status bt_fen_layer_new(int width, int height, bt_fen_layer *out) BT_MUST_CHECK; /**< clear */
void bt_fen_layer_free(bt_fen_layer *layer);
void bt_fen_layer_clear(bt_fen_layer *layer);

static inline float *bt_fen_pixel(const bt_fen_layer *layer, int x, int y) {
    return layer->rgba + ((size_t)y * (size_t)layer->width + (size_t)x) * 4;
}

/** Lays a colour with coverage `alpha` over a pixel (4). */
static inline void bt_fen_over(float *pixel, bt_fen_rgb c, double alpha) {
    double keep = 1 - alpha;
    pixel[0] = (float)(c.r * alpha + pixel[0] * keep);
    pixel[1] = (float)(c.g * alpha + pixel[1] * keep);
    pixel[2] = (float)(c.b * alpha + pixel[2] * keep);
    pixel[3] = (float)(alpha + pixel[3] * keep);
}

/** The layer at a point in pixels, bilinear, edges repeated. rgba (4). */
void bt_fen_sample(const bt_fen_layer *layer, double x, double y, double rgba[4]);

/** Lays `top` over `under`, stretched to its size; colours are mixed with `fog` by `amount` first. */
void bt_fen_compose(bt_fen_layer *under, const bt_fen_layer *top, bt_fen_rgb fog, double amount);

/** Out of focus: two box means of radius pixels (a triangle), in place. `scratch` has the layer's size. radius 0:
 * nothing. */
void bt_fen_blur(bt_fen_layer *layer, int radius, bt_fen_layer *scratch);

/** An empty surface of this size and a context in units of the frame. NULL when memory is out, with the thread's
 * message. */
cairo_t *bt_fen_sketch_new(int width, int height);

/** Lays what was drawn over `layer`, which has the sketch's size, and frees the sketch. BT_ERR_MEMORY if cairo ran out
 * of it. */
bt_status bt_fen_sketch_end(cairo_t *sketch, bt_fen_layer *layer) BT_MUST_CHECK;

/** A colour of linear light as the source of what is drawn next. */
void bt_fen_ink(cairo_t *sketch, bt_fen_rgb c, double alpha);

/** The same as a stop of a gradient. */
void bt_fen_stop(cairo_pattern_t *gradient, double at, bt_fen_rgb c, double alpha);

#endif
