/* The contact sheet: portraits on paper in the order of the tree, with names. */
#include "fen/layer.h"
#include "fen/output.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum {
    COLUMNS = 8,
    CELL_W = BT_FEN_PORTRAIT + 20,
    CELL_H = BT_FEN_PORTRAIT + 58,
    MARGIN = 48,
    HEADING = 46,
    TITLE = 100,
    SAMPLE = 24
};

void bt_fen_portrait(const bt_fen_world *w, int species, bt_fen_picture *out) {
    double best = -1;
    for (int i = 0; i < SAMPLE && i < w->images; i++) {
        bt_fen_picture p;
        bt_fen_plan(w, species, i, &p);
        /* The bird large, at rest, nothing before it; the rest of the score spreads the choice over places and
         * postures. */
        double score = p.placing.scale + (p.view.front_reeds ? 0 : 1) +
                       (p.pose.posture == BT_FEN_FLYING || p.pose.posture == BT_FEN_FEEDING ? 0 : 1);
        score += 0.3 * bt_fen_hash_unit(species, i, (uint32_t)w->seed) - fabs(log(p.camera.exposure)) - p.camera.blur;
        if (score > best) best = score, *out = p;
    }
}

/* Where cells lie: an order begins a new row under a heading. */
typedef struct sheet {
    int y, column, height;
} sheet;

/* Cells in a row of the order of species i: its rows are filled evenly, so that none ends with a single picture. */
static int columns_of(const bt_fen_world *w, int i, int count) {
    int first = i, end = i;
    while (first > 0 && w->species[first - 1].order == w->species[i].order) first--;
    while (end < count && w->species[end].order == w->species[i].order) end++;
    int rows = (end - first + COLUMNS - 1) / COLUMNS;
    return (end - first + rows - 1) / rows;
}

static sheet step(const bt_fen_world *w, sheet at, int i, int count) {
    bool heading = i == 0 || w->species[i].order != w->species[i - 1].order;
    if (heading) {
        at.y = at.height + HEADING;
        at.column = 0;
    } else if (++at.column == columns_of(w, i, count)) {
        at.column = 0;
        at.y += CELL_H;
    }
    at.height = at.y + CELL_H;
    return at;
}

static void text(cairo_t *c, double x, double y, double size, bool italic, bool bold, double ink, const char *words) {
    cairo_select_font_face(c, "serif", italic ? CAIRO_FONT_SLANT_ITALIC : CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(c, size);
    cairo_text_extents_t extents;
    cairo_text_extents(c, words, &extents);
    if (extents.width > BT_FEN_PORTRAIT && size < 16) cairo_set_font_size(c, size * BT_FEN_PORTRAIT / extents.width);
    cairo_set_source_rgb(c, ink, ink * 0.94, ink * 0.86);
    cairo_move_to(c, x, y);
    cairo_show_text(c, words);
}

static void copy_portrait(cairo_surface_t *page, int x, int y, const uint8_t *portrait) {
    unsigned char *data = cairo_image_surface_get_data(page);
    int stride = cairo_image_surface_get_stride(page);
    for (int j = 0; j < BT_FEN_PORTRAIT; j++)
        for (int i = 0; i < BT_FEN_PORTRAIT; i++, portrait += 3) {
            uint32_t argb = 0xff000000u | (uint32_t)portrait[0] << 16 | (uint32_t)portrait[1] << 8 | portrait[2];
            memcpy(data + (ptrdiff_t)(y + j) * stride + (ptrdiff_t)(x + i) * 4, &argb, 4);
        }
}

static void draw_cells(const bt_fen_world *w, cairo_t *c, cairo_surface_t *page, const uint8_t *portraits, int count) {
    sheet at = {.height = TITLE};
    for (int i = 0; i < count; i++) {
        const bt_fen_species *s = &w->species[i];
        char binomial[2 * BT_FEN_NAME_BYTES];
        at = step(w, at, i, count);
        int x = MARGIN + at.column * CELL_W;
        if (at.column == 0 && (i == 0 || s->order != s[-1].order))
            text(c, x, at.y - 14, 22, false, false, 0.36, s->order_name);
        cairo_surface_flush(page);
        copy_portrait(page, x, at.y, portraits + (size_t)i * BT_FEN_PORTRAIT * BT_FEN_PORTRAIT * 3);
        cairo_surface_mark_dirty(page);
        snprintf(binomial, sizeof binomial, "%s %s", s->genus_name, s->epithet);
        text(c, x, at.y + BT_FEN_PORTRAIT + 19, 15, false, false, 0.16, s->common_name);
        text(c, x, at.y + BT_FEN_PORTRAIT + 37, 13.5, true, false, 0.40, binomial);
    }
}

static cairo_status_t on_write(void *closure, const unsigned char *data, unsigned length) {
    bt_text *out = closure;
    bt_text_append_bytes(out, (const char *)data, length);
    return out->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

bt_status bt_fen_write_sheet(const bt_fen_world *w, const char *folder, const uint8_t *portraits, int count) {
    sheet at = {.height = TITLE};
    for (int i = 0; i < count; i++) at = step(w, at, i, count);
    int width = 2 * MARGIN + COLUMNS * CELL_W - (CELL_W - BT_FEN_PORTRAIT), height = at.height + MARGIN / 2;
    cairo_surface_t *page = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    cairo_t *c = cairo_create(page);
    cairo_set_source_rgb(c, 0.957, 0.941, 0.905); /* paper */
    cairo_paint(c);
    char title[160];
    snprintf(title, sizeof title, "Birds of the Fen, world %llu", (unsigned long long)w->seed);
    text(c, MARGIN, 62, 34, false, false, 0.16, title);
    snprintf(title, sizeof title, count < w->count ? "the first %d of %d species" : "%d species", count, w->count);
    text(c, MARGIN, 90, 16, true, false, 0.40, title);
    if (cairo_status(c) == CAIRO_STATUS_SUCCESS) draw_cells(w, c, page, portraits, count);
    cairo_status_t drawn = cairo_status(c);
    cairo_destroy(c);
    bt_text png = {0};
    if (drawn == CAIRO_STATUS_SUCCESS) drawn = cairo_surface_write_to_png_stream(page, on_write, &png);
    cairo_surface_destroy(page);
    char path[BT_FEN_PATH];
    bt_status status =
        drawn == CAIRO_STATUS_SUCCESS
            ? bt_fen_join(folder, "sheet.png", path, sizeof path)
            : bt_error(BT_ERR_MEMORY, "cannot draw the contact sheet: cairo: %s", cairo_status_to_string(drawn));
    if (status == BT_OK) status = bt_fen_write_file(path, &png);
    bt_text_free(&png);
    return status;
}
