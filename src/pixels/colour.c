/* Colour steps in order, on planes of red, green and blue; see colour.h. */
#include "pixels/colour.h"

#include "base/memory.h"
#include "pixels/loops.h"

#include <math.h>
#include <string.h>

/* A view in the making. */
typedef struct canvas {
    const bt_colour_loops *loops;
    int64_t height, width, count; /* pixels */
    uint8_t *plane[3];
    uint8_t *spare; /* (count) a plane for luma and blur */
    uint8_t *line;  /* (width + 2 (BT_BLUR_RADIUS_LAST + 1)) a row with its edges continued */
} canvas;

void bt_colour_memory_free(bt_colour_memory *memory) {
    bt_memory_free(memory->planes);
    *memory = (bt_colour_memory){0};
}

/* Gwosdek et al., SSVM 2011, "Theoretical foundations of Gaussian convolution by extended box filtering", eq. 7-14, in
 * the precision that PIL has: sums in f32, products with a double constant in f64. */
bt_colour_step bt_colour_blur(float radius) {
    BT_ASSERT(radius > 0 && radius <= 64);
    float variance = radius * radius / (float)BT_BLUR_PASSES;
    float length = (float)sqrt(12.0 * (double)variance + 1.0);
    float inner = (float)floor(((double)length - 1.0) / 2.0);
    float extra = (2 * inner + 1) * (inner * (inner + 1) - 3 * variance);
    extra /= 6 * (variance - (inner + 1) * (inner + 1));
    float box = inner + extra;
    int32_t whole_radius = (int32_t)box;
    uint32_t whole = (uint32_t)((float)(1u << 24) / (box * 2 + 1));
    uint32_t part = ((1u << 24) - (uint32_t)(whole_radius * 2 + 1) * whole) / 2;
    return (bt_colour_step){.kind = BT_COLOUR_BLUR, .value = whole_radius, .whole = whole, .part = part};
}

/* One pass along the row: `line` holds the row with its first and last pixel repeated. */
static void blur_row(canvas *c, const bt_colour_step *s, uint8_t *row) {
    int64_t margin = s->value + 1, width = c->width;
    const uint8_t *tap[2 * BT_BLUR_RADIUS_LAST + 1];
    for (int k = 0; k < 2 * s->value + 1; k++) tap[k] = c->line + 1 + k;
    for (int pass = 0; pass < BT_BLUR_PASSES; pass++) {
        memset(c->line, row[0], (size_t)margin);
        memcpy(c->line + margin, row, (size_t)width);
        memset(c->line + margin + width, row[width - 1], (size_t)margin);
        c->loops->box(tap, 2 * s->value + 1, c->line, c->line + 2 * margin, s->whole, s->part, row, width);
    }
}

/* One pass across the rows, from one plane to another. */
static void blur_columns(const canvas *c, const bt_colour_step *s, const uint8_t *in, uint8_t *out) {
    int64_t r = s->value, last = c->height - 1;
    const uint8_t *tap[2 * BT_BLUR_RADIUS_LAST + 3];
    for (int64_t y = 0; y <= last; y++) {
        for (int64_t k = -r - 1; k <= r + 1; k++) {
            int64_t from = y + k < 0 ? 0 : y + k > last ? last : y + k;
            tap[k + r + 1] = in + from * c->width;
        }
        c->loops->box(tap + 1, 2 * s->value + 1, tap[0], tap[2 * r + 2], s->whole, s->part, out + y * c->width,
                      c->width);
    }
}

static void blur(canvas *c, const bt_colour_step *s) {
    for (int p = 0; p < 3; p++) {
        for (int64_t y = 0; y < c->height; y++) blur_row(c, s, c->plane[p] + y * c->width);
        for (int pass = 0; pass < BT_BLUR_PASSES; pass++) {
            blur_columns(c, s, c->plane[p], c->spare);
            uint8_t *swap = c->plane[p];
            c->plane[p] = c->spare;
            c->spare = swap;
        }
    }
}

static void apply(canvas *c, const bt_colour_step *s) {
    const bt_colour_loops *loops = c->loops;
    uint8_t **plane = c->plane;
    int64_t n = c->count;
    int32_t middle = 0;
    switch (s->kind) {
    case BT_COLOUR_CONTRAST:
        loops->luma(plane[0], plane[1], plane[2], c->spare, n);
        middle = bt_mean_luma(loops->sum(c->spare, n), n);
        break;
    case BT_COLOUR_SATURATION:
    case BT_COLOUR_GREY:
        loops->luma(plane[0], plane[1], plane[2], c->spare, n);
        break;
    case BT_COLOUR_HUE:
        loops->hue(plane[0], plane[1], plane[2], s->value, n);
        return;
    case BT_COLOUR_BLUR:
        blur(c, s);
        return;
    default:
        break;
    }
    for (int p = 0; p < 3; p++) {
        if (s->kind == BT_COLOUR_SATURATION)
            loops->blend_plane(plane[p], c->spare, s->value, n);
        else if (s->kind == BT_COLOUR_GREY)
            memcpy(plane[p], c->spare, (size_t)n);
        else if (s->kind == BT_COLOUR_SOLARIZE)
            loops->solarize(plane[p], s->value, n);
        else
            loops->blend_value(plane[p], middle, s->value, n);
    }
}

static bt_status reserve(bt_colour_memory *memory, size_t bytes) {
    if (bytes <= memory->capacity) return BT_OK;
    void *larger = bt_memory_alloc(bytes, 1);
    if (!larger) return BT_ERR_MEMORY;
    bt_memory_free(memory->planes);
    *memory = (bt_colour_memory){.planes = larger, .capacity = bytes};
    return BT_OK;
}

bt_status bt_colour_apply(bt_colour_memory *memory, const bt_colour *colour, uint8_t *pixels, int64_t height,
                          int64_t width) {
    BT_ASSERT(height > 0 && width > 0 && bt_colour_valid(colour));
    if (colour->count == 0) return BT_OK;
    canvas c = {.loops = bt_colour_loops_get(), .height = height, .width = width, .count = height * width};
    size_t plane = ((size_t)c.count + BT_MEMORY_ALIGN - 1) / BT_MEMORY_ALIGN * BT_MEMORY_ALIGN;
    BT_TRY(reserve(memory, 4 * plane + (size_t)width + 2 * (BT_BLUR_RADIUS_LAST + 1)));
    for (int p = 0; p < 3; p++) c.plane[p] = (uint8_t *)memory->planes + (size_t)p * plane;
    c.spare = (uint8_t *)memory->planes + 3 * plane;
    c.line = c.spare + plane;
    c.loops->split(pixels, c.plane[0], c.plane[1], c.plane[2], c.count);
    for (int32_t i = 0; i < colour->count; i++) apply(&c, &colour->step[i]);
    c.loops->join(c.plane[0], c.plane[1], c.plane[2], pixels, c.count);
    return BT_OK;
}
