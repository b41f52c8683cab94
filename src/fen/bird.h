/* A bird: its skeleton in a pose, and how it is painted.
 *
 * Two frames. Body space: x towards the bill, y up, the body from -0.5 (root of the tail) to 0.5 (breast), length 1.
 * Picture space: the frame, y down. The skin is the smooth union of balls along a spine from the tail's root to the
 * brow. A point of it has z  place along the spine: 0 tail root, 1 rump, 2 middle, 3 breast, 4 root of the neck, 5
 * neck, 6 nape, 7 face v  place across: 1 back, -1 belly and markings are functions of z and v, so that they follow any
 * shape and pose (plumage.c). Wings and tails are feathers (feathers.c), bill, legs and eye are drawn with cairo
 * (bare_parts.c). */
#ifndef BITTERN_FEN_BIRD_H
#define BITTERN_FEN_BIRD_H

#include "fen/scene.h"
#include "fen/species.h"

typedef enum bt_fen_posture {
    BT_FEN_STANDING,
    BT_FEN_WADING,
    BT_FEN_SWIMMING,
    BT_FEN_PERCHED,
    BT_FEN_FLYING,
    BT_FEN_FEEDING,
    BT_FEN_POSTURES
} bt_fen_posture;

/** How one bird holds itself in one picture. */
typedef struct bt_fen_pose {
    bt_fen_posture posture;
    int facing;     /**< 1 right, -1 left */
    double stretch; /**< of the neck, 0 drawn in .. 1 */
    double nod;     /**< turn of the head, radians; positive is up */
    double tilt;    /**< added to the body's pitch */
    double stride;  /**< of the legs, -1..1 */
    double stroke;  /**< of the wings in flight, -1 down .. 1 up */
} bt_fen_pose;

/** One bird of a species: what sets it apart from others of its kind. */
typedef struct bt_fen_individual {
    uint32_t seed; /**< of speckles and asymmetry */
    double size, plump, hue, saturation, light, wear, contrast;
} bt_fen_individual;

typedef struct bt_fen_point {
    double x, y;
} bt_fen_point;

enum { BT_FEN_SPINE = 40 };
typedef struct bt_fen_skeleton {
    struct {
        float x[BT_FEN_SPINE], y[BT_FEN_SPINE], radius[BT_FEN_SPINE], z[BT_FEN_SPINE];
    } spine;
    bt_fen_point head; /**< centre */
    double head_radius, head_angle;
    bt_fen_point bill; /**< root, at the face */
    bt_fen_point hip[2], ankle[2], foot[2];
    bool legs;
    bt_fen_point shoulder, wing_tip; /**< of the folded wing */
    double wing_depth;
    bool spread; /**< wings are spread: in flight */
    bt_fen_point tail;
    double tail_angle;
    double least_x, least_y, most_x, most_y; /**< of everything */
    double ground;                           /**< y that feet stand on or the water's line */
} bt_fen_skeleton;

/** From body space to the frame. */
typedef struct bt_fen_placing {
    double x, y, scale; /**< where body (0,0) is in the frame; frames per body length */
    int facing;
} bt_fen_placing;

static inline bt_fen_point bt_fen_place(const bt_fen_placing *p, double x, double y) {
    return (bt_fen_point){p->x + p->facing * p->scale * x, p->y - p->scale * y};
}

/** Everything that painting reads. */
typedef struct bt_fen_bird {
    const bt_fen_traits *traits;
    const bt_fen_individual *individual;
    const bt_fen_scene *scene;
    bt_fen_pose pose;
    bt_fen_skeleton bones;
    bt_fen_placing placing;
    bt_fen_rgb colour[BT_FEN_SLOTS]; /**< of this individual, linear */
} bt_fen_bird;

void bt_fen_skeleton_pose(const bt_fen_traits *traits, const bt_fen_individual *individual, const bt_fen_pose *pose,
                          bt_fen_skeleton *out);

/** Sets `colour` from traits and individual. */
void bt_fen_bird_colours(bt_fen_bird *bird);

/** The whole bird into a clear layer. */
bt_status bt_fen_paint_bird(const bt_fen_bird *bird, bt_fen_layer *layer) BT_MUST_CHECK;

/* ---- parts, back to front ---- */

/** A colour of the bird under the scene's light; normal in body space (x to the bill). */
bt_fen_rgb bt_fen_lit(const bt_fen_bird *bird, bt_fen_rgb colour, double nx, double ny, double nz);

void bt_fen_draw_far_wing(const bt_fen_bird *bird, cairo_t *c);
void bt_fen_draw_tail(const bt_fen_bird *bird, cairo_t *c);
void bt_fen_draw_legs(const bt_fen_bird *bird, cairo_t *c);
void bt_fen_paint_plumage(const bt_fen_bird *bird, bt_fen_layer *layer);
void bt_fen_paint_folded_wing(const bt_fen_bird *bird, bt_fen_layer *layer);
void bt_fen_draw_near_wing(const bt_fen_bird *bird, cairo_t *c);
void bt_fen_draw_crest(const bt_fen_bird *bird, cairo_t *c);
void bt_fen_draw_bill_and_eye(const bt_fen_bird *bird, cairo_t *c);

#endif
