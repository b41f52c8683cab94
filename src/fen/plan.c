/* Which pictures a world has. */
#include "fen/plan.h"

#include <stdio.h>

const char *const bt_fen_split_names[BT_FEN_SPLITS] = {"train", "query", "database"};

int bt_fen_split_images(int images, bt_fen_split split) {
    int train = images / 2, query = images / 10 > 0 ? images / 10 : 1;
    return split == BT_FEN_TRAIN ? train : split == BT_FEN_QUERY ? query : images - train - query;
}

static void assign(const bt_fen_world *w, bt_fen_picture *p) {
    int at = p->image, first = 0;
    p->split = BT_FEN_TRAIN;
    while (at >= bt_fen_split_images(w->images, p->split)) {
        int n = bt_fen_split_images(w->images, p->split);
        at -= n;
        first += (n + BT_FEN_SHOTS - 1) / BT_FEN_SHOTS;
        p->split++;
    }
    p->individual = first + at / BT_FEN_SHOTS;
    p->shot = at % BT_FEN_SHOTS;
}

static int draw_scene(bt_fen_dice *d, bt_fen_split split) {
    static const int first[BT_FEN_SPLITS] = {0, BT_FEN_SCENES_TRAIN, BT_FEN_SCENES_TRAIN + BT_FEN_SCENES_QUERY};
    static const int count[BT_FEN_SPLITS] = {BT_FEN_SCENES_TRAIN, BT_FEN_SCENES_QUERY, BT_FEN_SCENES_DATABASE};
    return first[split] + bt_fen_index(d, count[split]);
}

static bt_fen_individual draw_individual(uint64_t seed, int species, int number) {
    bt_fen_dice d = bt_fen_dice_new(seed, BT_FEN_STREAM_INDIVIDUAL, species, number, 0);
    bt_fen_individual one = {.seed = bt_fen_word(&d)};
    one.size = 1 + 0.05 * bt_fen_normal(&d);
    one.plump = exp(0.05 * bt_fen_normal(&d));
    one.hue = 0.05 * bt_fen_normal(&d);
    one.saturation = exp(0.10 * bt_fen_normal(&d));
    one.light = exp(0.08 * bt_fen_normal(&d));
    one.wear = bt_fen_unit(&d);
    one.contrast = bt_fen_range(&d, 0.9, 1.1);
    return one;
}

static const double posture_weights[BT_FEN_HABITATS][BT_FEN_POSTURES] = {
    /* standing, wading, swimming, perched, flying, feeding */
    [BT_FEN_WATER] = {2.0, 1.5, 9.0, 0.0, 0.8, 0.8},
    [BT_FEN_MUD] = {7.0, 3.0, 0.0, 0.4, 0.8, 2.0},
    [BT_FEN_REED] = {1.5, 0.0, 0.0, 9.0, 0.8, 0.6},
    [BT_FEN_AIR] = {3.0, 0.0, 0.3, 4.5, 3.0, 0.4},
};

static void draw_pose(bt_fen_dice *d, const bt_fen_traits *t, bt_fen_pose *pose) {
    pose->posture = (bt_fen_posture)bt_fen_weighted(d, posture_weights[t->habitat], BT_FEN_POSTURES);
    /* Short legs wade nowhere, and swimmers need a body that floats. */
    if (pose->posture == BT_FEN_WADING && t->shape[BT_FEN_LEG] < 0.3) pose->posture = BT_FEN_STANDING;
    pose->facing = bt_fen_chance(d, 0.5) ? 1 : -1;
    pose->stretch = bt_fen_range(d, 0.25, 0.95);
    pose->nod = 0.13 * bt_fen_normal(d);
    pose->tilt = 0.07 * bt_fen_normal(d);
    pose->stride = bt_fen_range(d, -1, 1);
    double stroke = bt_fen_range(d, 0.45, 1);
    pose->stroke = bt_fen_chance(d, 0.72) ? stroke : -0.8 * stroke;
}

/* Puts the bird into the frame: its longer side fills `share` of it. */
static void place(bt_fen_dice *d, const bt_fen_skeleton *k, const bt_fen_traits *t, bt_fen_picture *p) {
    double w = k->most_x - k->least_x, h = k->most_y - k->least_y;
    double share =
        bt_fen_range(d, 0.78, 0.97) * p->one.size * bt_fen_clamp(0.94 + 0.04 * (t->shape[BT_FEN_LENGTH] - 3), 0.88, 1);
    double scale = share / fmax(w, h), room_x = fmax(0, 1 - w * scale), room_y = fmax(0, 1 - h * scale);
    double left = room_x * bt_fen_range(d, 0.2, 0.8), top = room_y * bt_fen_range(d, 0.3, 0.75);
    p->placing.scale = scale;
    p->placing.facing = p->pose.facing;
    p->placing.x = p->pose.facing > 0 ? left - k->least_x * scale : left + k->most_x * scale;
    p->placing.y = top + k->most_y * scale;
}

static void look(bt_fen_dice *d, const bt_fen_skeleton *k, const bt_fen_traits *t, bt_fen_picture *p) {
    bt_fen_view *v = &p->view;
    double ground = p->placing.y - k->ground * p->placing.scale;
    *v = (bt_fen_view){.shift = bt_fen_range(d, -2, 2),
                       .wall = exp(bt_fen_range(d, log(0.10), log(0.45))),
                       .defocus = bt_fen_range(d, 0.010, 0.035),
                       .shore = 2};
    p->waterline = 2;
    switch (p->pose.posture) {
    case BT_FEN_SWIMMING:
        v->ground = BT_FEN_OPEN_WATER;
        p->waterline = ground;
        v->horizon = ground - bt_fen_range(d, 0.18, 0.62);
        break;
    case BT_FEN_WADING:
        v->ground = BT_FEN_OPEN_WATER;
        p->waterline = ground - p->placing.scale * t->shape[BT_FEN_LEG] * bt_fen_range(d, 0.2, 0.5);
        v->horizon = p->waterline - bt_fen_range(d, 0.18, 0.65);
        break;
    case BT_FEN_PERCHED:
        v->ground = BT_FEN_REEDBED;
        v->horizon = bt_fen_range(d, 0.62, 1.25);
        v->wall = bt_fen_range(d, 0.25, 1.1);
        v->defocus = bt_fen_range(d, 0.022, 0.05);
        break;
    case BT_FEN_FLYING:
        v->ground = BT_FEN_SKY;
        v->horizon = bt_fen_range(d, 0.45, 1.2);
        v->wall = bt_fen_range(d, 0.08, 0.6);
        v->defocus = bt_fen_range(d, 0.022, 0.05);
        break;
    default:
        v->ground = BT_FEN_MUDBANK;
        v->horizon = ground - bt_fen_range(d, 0.22, 0.7);
        v->shore = ground - bt_fen_range(d, 0.05, 0.3);
        break;
    }
    v->front_reeds = bt_fen_chance(d, 0.5) ? 1 + bt_fen_index(d, 4) : 0;
    if (v->ground == BT_FEN_SKY) v->front_reeds /= 3;
    p->front_x = p->placing.x + 0.12 * bt_fen_normal(d);
    p->front_blur = bt_fen_chance(d, 0.5) ? bt_fen_range(d, 0, 0.008) : 0;
}

static bt_fen_camera draw_camera(bt_fen_dice *d) {
    double warm = 0.06 * bt_fen_normal(d), tint = 0.03 * bt_fen_normal(d);
    bt_fen_camera c = {.exposure = exp(0.13 * bt_fen_normal(d)), .red = exp(warm + tint), .blue = exp(tint - warm)};
    c.saturation = exp(0.13 * bt_fen_normal(d));
    c.contrast = bt_fen_range(d, 0.1, 0.35);
    c.blur = bt_fen_chance(d, 0.5) ? bt_fen_range(d, 0.0, 0.7) : 0;
    c.noise = bt_fen_range(d, 0.6, 2.6);
    c.vignette = bt_fen_range(d, 0.05, 0.35);
    c.seed = bt_fen_word(d);
    return c;
}

void bt_fen_plan(const bt_fen_world *w, int species, int image, bt_fen_picture *out) {
    BT_ASSERT(species >= 0 && species < w->count && image >= 0 && image < w->images);
    bt_fen_picture p = {.species = species, .image = image};
    const bt_fen_traits *t = &w->species[species].traits;
    assign(w, &p);
    bt_fen_dice d = bt_fen_dice_new(w->seed, BT_FEN_STREAM_PICTURE, species, p.individual, image);
    p.scene = draw_scene(&d, p.split);
    p.one = draw_individual(w->seed, species, p.individual);
    draw_pose(&d, t, &p.pose);
    bt_fen_skeleton k;
    bt_fen_skeleton_pose(t, &p.one, &p.pose, &k);
    place(&d, &k, t, &p);
    look(&d, &k, t, &p);
    p.camera = draw_camera(&d);
    *out = p;
}

void bt_fen_picture_path(const bt_fen_world *w, const bt_fen_picture *p, char *out, size_t bytes) {
    snprintf(out, bytes, "%s/%s/b%02d_%02d", bt_fen_split_names[p->split], w->species[p->species].slug, p->individual,
             p->shot);
}
