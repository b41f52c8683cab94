/* A picture from its plan: the bird between what lies behind and what stands before it, and where it meets water and
 * mud. */
#include "fen/picture.h"

#include <string.h>

/* Side up to which pictures are drawn at twice their size. Beyond it, one pixel is finer than a feather's edge. */
#define DOUBLE_UP_TO 320

bt_status bt_fen_studio_new(int size, bt_fen_studio *out) {
    bt_fen_studio s = {.size = size, .factor = size <= DOUBLE_UP_TO ? 2 : 1};
    int side = size * s.factor, half = (side + 1) / 2;
    struct {
        bt_fen_layer *layer;
        int side;
    } all[] = {{&s.canvas, side},      {&s.bird, side},     {&s.front, side},
               {&s.desk.back, half},   {&s.desk.row, half}, {&s.desk.scratch, half},
               {&s.desk.ground, size}, {&s.small, size},    {&s.small_scratch, size}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        bt_status status = bt_fen_layer_new(all[i].side, all[i].side, all[i].layer);
        if (status == BT_OK) continue;
        bt_fen_studio_free(&s);
        return status;
    }
    *out = s;
    return BT_OK;
}

void bt_fen_studio_free(bt_fen_studio *s) {
    bt_fen_layer *layers[] = {&s->canvas,       &s->bird,        &s->front, &s->desk.back,    &s->desk.row,
                              &s->desk.scratch, &s->desk.ground, &s->small, &s->small_scratch};
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) bt_fen_layer_free(layers[i]);
}

/* y in the frame of the water's edge at the bird, which ripples move a little. */
static double edge_at(const bt_fen_scene *s, const bt_fen_picture *p, double x) {
    return p->waterline + 0.006 * bt_fen_slope(s, &p->view, x, fmin(p->waterline, 1));
}

/* What is under water is not seen. */
static void cut_at_water(const bt_fen_scene *s, const bt_fen_picture *p, bt_fen_layer *bird) {
    for (int x = 0; x < bird->width; x++) {
        double edge = edge_at(s, p, (x + 0.5) / bird->width) * bird->height;
        for (int y = (int)bt_fen_clamp(edge, 0, bird->height); y < bird->height; y++) {
            float *pixel = bt_fen_pixel(bird, x, y);
            float keep = (float)bt_fen_clamp(edge - y, 0, 1);
            for (int k = 0; k < 4; k++) pixel[k] *= keep;
        }
    }
}

static void reflect(const bt_fen_scene *s, const bt_fen_picture *p, const bt_fen_layer *bird, bt_fen_layer *canvas) {
    double n = canvas->width;
    bt_fen_rgb own = bt_fen_rgb_times(s->water, bt_fen_rgb_add(s->ambient, bt_fen_rgb_scale(s->sun, 0.5)));
    for (int y = (int)bt_fen_clamp(p->waterline * n - 0.02 * n, 0, n); y < canvas->height; y++)
        for (int x = 0; x < canvas->width; x++) {
            double fx = (x + 0.5) / n, fy = (y + 0.5) / n, edge = edge_at(s, p, fx), below = fy - edge;
            if (below < 0) continue;
            double slope = bt_fen_slope(s, &p->view, fx, fy), shake = bt_fen_step(0, 0.06, below);
            double mirror[4];
            bt_fen_sample(bird, (fx + 0.008 * slope * shake) * n, (edge - below * 1.03 + slope * 0.022 * shake) * n,
                          mirror);
            if (mirror[3] <= 0) continue;
            double see = 0.72 * exp(-1.3 * below), amount = mirror[3] * see;
            bt_fen_rgb c = {0.80 * mirror[0] / mirror[3], 0.82 * mirror[1] / mirror[3], 0.80 * mirror[2] / mirror[3]};
            bt_fen_over(bt_fen_pixel(canvas, x, y), bt_fen_rgb_mix(own, c, 0.8), amount);
        }
}

/* Rings around a bird in the water: light and dark bands that fade outwards. */
static void ripple_rings(const bt_fen_scene *s, const bt_fen_picture *p, double centre, double reach,
                         bt_fen_layer *canvas) {
    double n = canvas->width;
    for (int y = (int)bt_fen_clamp((p->waterline - 0.05) * n, 0, n); y < canvas->height; y++)
        for (int x = 0; x < canvas->width; x++) {
            double dx = ((x + 0.5) / n - centre) / reach, dy = ((y + 0.5) / n - p->waterline) / (reach * 0.22),
                   r = sqrt(dx * dx + dy * dy);
            if (r < 0.8 || r > 3) continue;
            double wave = sin(r * 13 + bt_fen_noise(dx * 3, dy * 3, p->camera.seed)) * bt_fen_step(3, 1.0, r) *
                          bt_fen_step(0.8, 1.0, r);
            float *pixel = bt_fen_pixel(canvas, x, y);
            double lift = 0.10 * wave * (1 - 0.5 * s->haze);
            for (int k = 0; k < 3; k++) pixel[k] = (float)fmax(0, pixel[k] * (1 + lift) + 0.02 * fmax(0, wave));
        }
}

/* Shadow of a standing bird: a dark core at the feet and a soft shape away from the sun. */
static void cast_shadow(const bt_fen_scene *s, const bt_fen_bird *b, bt_fen_layer *canvas) {
    double n = canvas->width, scale = b->placing.scale, hard = fmin(1, 0.8 * s->sun.g);
    bt_fen_point foot =
        bt_fen_place(&b->placing, 0.5 * (b->bones.foot[0].x + b->bones.foot[1].x), b->bones.ground - 0.02);
    double away = -s->sun_x * 0.55 * scale * b->traits->shape[BT_FEN_LEG] - 0.15 * scale * s->sun_x;
    for (int y = 0; y < canvas->height; y++)
        for (int x = 0; x < canvas->width; x++) {
            double dx = (x + 0.5) / n - foot.x, dy = (y + 0.5) / n - foot.y;
            double core_x = dx / (0.13 * scale), core_y = dy / (0.035 * scale), wide_x = (dx - away) / (0.42 * scale),
                   wide_y = (dy - 0.01) / (0.085 * scale);
            double dark =
                0.45 * exp(-core_x * core_x - core_y * core_y) + 0.50 * hard * exp(-wide_x * wide_x - wide_y * wide_y);
            if (dark < 0.01) continue;
            float *pixel = bt_fen_pixel(canvas, x, y);
            for (int k = 0; k < 3; k++) pixel[k] = (float)(pixel[k] * (1 - fmin(0.75, dark)));
        }
}

static void flatten(bt_fen_layer *bird, float value) {
    for (size_t i = 0, count = (size_t)bird->width * (size_t)bird->height * 4; i < count; i += 4)
        for (size_t k = 0; k < 3; k++) bird->rgba[i + k] = value * bird->rgba[i + 3];
}

/* The bird's own layer, cut where it enters water. */
static bt_status paint_subject(const bt_fen_world *w, const bt_fen_picture *p, const bt_fen_scene *scene,
                               bt_fen_layer *layer, bt_fen_bird *b) {
    *b = (bt_fen_bird){.traits = &w->species[p->species].traits,
                       .individual = &p->one,
                       .scene = scene,
                       .pose = p->pose,
                       .placing = p->placing};
    bt_fen_skeleton_pose(b->traits, b->individual, &b->pose, &b->bones);
    bt_fen_bird_colours(b);
    bt_fen_layer_clear(layer);
    BT_TRY(bt_fen_paint_bird(b, layer));
    if (p->waterline < 1) cut_at_water(scene, p, layer);
    return BT_OK;
}

/* Where the bird meets the ground: mirror image and rings, or shadow. */
static void settle(const bt_fen_picture *p, const bt_fen_scene *scene, const bt_fen_bird *b, const bt_fen_layer *bird,
                   bt_fen_layer *canvas) {
    if (p->waterline < 1) {
        bool swims = p->pose.posture == BT_FEN_SWIMMING;
        bt_fen_point body = bt_fen_place(&b->placing, swims ? 0 : b->bones.foot[0].x, 0);
        reflect(scene, p, bird, canvas);
        ripple_rings(scene, p, body.x, (swims ? 0.42 : 0.12) * b->placing.scale, canvas);
    } else if (p->view.ground == BT_FEN_MUDBANK) {
        cast_shadow(scene, b, canvas);
    }
}

/* Share of each small pixel that shows the bird, thresholded. */
static void take_mask(const bt_fen_studio *s, bool before, uint8_t *mask) {
    int f = s->factor;
    for (int y = 0; y < s->size; y++)
        for (int x = 0; x < s->size; x++) {
            double sum = 0;
            for (int j = 0; j < f; j++)
                for (int i = 0; i < f; i++) {
                    double bird = bt_fen_pixel(&s->bird, x * f + i, y * f + j)[3];
                    sum += before ? bird * (1 - bt_fen_pixel(&s->front, x * f + i, y * f + j)[3]) : bird;
                }
            mask[(size_t)y * (size_t)s->size + (size_t)x] = sum >= 0.5 * f * f ? 255 : 0;
        }
}

/* Paints the canvas: all layers, nothing of the camera yet. */
static bt_status paint(const bt_fen_world *w, const bt_fen_picture *p, const bt_fen_scene *scene,
                       bt_fen_subject subject, bt_fen_studio *s) {
    bt_fen_dice d = bt_fen_dice_new(w->seed, BT_FEN_STREAM_STROKES, p->species, p->individual, p->image);
    bool real = subject == BT_FEN_WHOLE || subject == BT_FEN_WITHOUT_BIRD;
    BT_TRY(bt_fen_paint_behind(scene, &p->view, &d, &s->desk, &s->canvas));
    if (p->view.front_reeds > 0) {
        bt_fen_layer_clear(&s->front);
        BT_TRY(bt_fen_paint_front(scene, &p->view, &d, p->front_x, &s->front));
        bt_fen_blur(&s->front, (int)(p->front_blur * s->front.width),
                    &s->bird); /* the bird comes into its layer after this */
    }
    bt_fen_bird bird;
    BT_TRY(paint_subject(w, p, scene, &s->bird, &bird));
    if (p->pose.posture == BT_FEN_PERCHED) {
        bt_fen_point foot =
            bt_fen_place(&p->placing, 0.5 * (bird.bones.foot[0].x + bird.bones.foot[1].x), bird.bones.ground - 0.03);
        BT_TRY(bt_fen_paint_perch(scene, &d, foot.x, foot.y, bt_fen_range(&d, -0.6, 0.6), &s->canvas));
    }
    if (subject == BT_FEN_WHOLE) settle(p, scene, &bird, &s->bird, &s->canvas);
    if (!real) flatten(&s->bird, subject == BT_FEN_WHITE_BIRD ? 1 : 0);
    if (subject != BT_FEN_WITHOUT_BIRD) bt_fen_compose(&s->canvas, &s->bird, scene->fog, real ? 0.06 * scene->haze : 0);
    if (p->view.front_reeds > 0) bt_fen_compose(&s->canvas, &s->front, scene->fog, 0);
    return real ? bt_fen_paint_rain(scene, &d, &s->canvas) : BT_OK;
}

static double luminance(bt_fen_rgb c) {
    return 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b;
}

bt_status bt_fen_draw(const bt_fen_world *w, const bt_fen_picture *p, bt_fen_subject subject, bt_fen_studio *s,
                      uint8_t *rgb, uint8_t *mask) {
    BT_ASSERT(s->size == w->size);
    bt_fen_scene scene = bt_fen_scene_draw(w->seed, p->scene);
    BT_TRY(paint(w, p, &scene, subject, s));
    bool real = subject == BT_FEN_WHOLE || subject == BT_FEN_WITHOUT_BIRD;
    bt_fen_camera neutral = {.exposure = 0};
    double brightness = 0.55 * luminance(scene.sun) + 0.8 * luminance(scene.ambient);
    bt_fen_develop(real ? &p->camera : &neutral, brightness, &s->canvas, &s->small, &s->small_scratch, rgb);
    if (mask) take_mask(s, p->view.front_reeds > 0, mask);
    return BT_OK;
}
