/* Places of the fen: light, weather, water, reeds; and how they are painted behind and before a bird.
 *
 * A scene is a place at an hour; every split has scenes of its own. A view is one look at it: what the camera stands
 * towards and how far it is turned. Depth is painted back to front: sky, far bank, reed wall (out of focus), water or
 * mud with the reflection of all that, clumps of reeds in the middle ground, [the bird], reeds in front of it, mist and
 * rain. */
#ifndef BITTERN_FEN_SCENE_H
#define BITTERN_FEN_SCENE_H

#include "fen/dice.h"
#include "fen/layer.h"

typedef enum bt_fen_hour {
    BT_FEN_DAWN,
    BT_FEN_MORNING,
    BT_FEN_CLEAR,
    BT_FEN_OVERCAST,
    BT_FEN_GOLDEN,
    BT_FEN_DUSK,
    BT_FEN_MIST,
    BT_FEN_HOURS
} bt_fen_hour;
typedef enum bt_fen_season {
    BT_FEN_SPRING,
    BT_FEN_SUMMER,
    BT_FEN_AUTUMN,
    BT_FEN_WINTER,
    BT_FEN_RUST,
    BT_FEN_SEASONS
} bt_fen_season;
typedef enum bt_fen_ground { BT_FEN_OPEN_WATER, BT_FEN_MUDBANK, BT_FEN_REEDBED, BT_FEN_SKY } bt_fen_ground;

typedef struct bt_fen_scene {
    uint32_t seed;
    bt_fen_hour hour;
    bt_fen_season season;
    bt_fen_rgb sky_top, sky_low, sun, ambient, fog, water, mud, reed_light, reed_dark;
    double sun_x, sun_y, sun_z; /**< towards the sun: right, up, to the camera; length 1 */
    double haze, rain, cloud, ripple, ripple_size, density;
    double lean; /**< of reeds in the wind, radians */
} bt_fen_scene;

/** One look at a scene. Lengths in frames. */
typedef struct bt_fen_view {
    bt_fen_ground ground;
    double horizon;  /**< y of the water's far edge; beyond 1: out of the picture */
    double wall;     /**< height of the far reeds */
    double defocus;  /**< of what is far, as a radius */
    double shore;    /**< y where the mud begins (BT_FEN_MUDBANK) */
    double shift;    /**< the camera's turn along the bank */
    int front_reeds; /**< stems before the bird */
} bt_fen_view;

bt_fen_scene bt_fen_scene_draw(uint64_t seed, int number);

/** Light that falls on a surface with normal (x right, y up, z to the camera): colour to multiply an albedo with. */
bt_fen_rgb bt_fen_light(const bt_fen_scene *scene, double x, double y, double z);

/** Working layers of the background. Blurred things are painted small and stretched. */
typedef struct bt_fen_desk {
    bt_fen_layer back;                 /**< what stands above the water's far edge, upside down */
    bt_fen_layer row, scratch, ground; /**< of the same size as back; ground has the picture's */
} bt_fen_desk;

/** Everything behind the bird, opaque, into `canvas` (square). Strokes come from `dice`. */
bt_status bt_fen_paint_behind(const bt_fen_scene *scene, const bt_fen_view *view, bt_fen_dice *dice, bt_fen_desk *desk,
                              bt_fen_layer *canvas) BT_MUST_CHECK;

/** Reeds that cross the picture before the bird around frame column `x`, into a clear layer. */
bt_status bt_fen_paint_front(const bt_fen_scene *scene, const bt_fen_view *view, bt_fen_dice *dice, double x,
                             bt_fen_layer *layer) BT_MUST_CHECK;

/** A reed stem from the lower edge that bends through (x,y), where a bird sits; `angle` of the stem there, radians from
 * upright. */
bt_status bt_fen_paint_perch(const bt_fen_scene *scene, bt_fen_dice *dice, double x, double y, double angle,
                             bt_fen_layer *layer) BT_MUST_CHECK;

/** Vertical slope of the water's surface at a point of the frame: what ripples bend reflections with. */
double bt_fen_slope(const bt_fen_scene *scene, const bt_fen_view *view, double x, double y);

/** One blade from (x,y) upwards: `length`, `lean` from upright, `droop` of its tip, `width` at the base. */
void bt_fen_blade(cairo_t *sketch, double x, double y, double length, double lean, double droop, double width);

/** Rain over the finished canvas. */
bt_status bt_fen_paint_rain(const bt_fen_scene *scene, bt_fen_dice *dice, bt_fen_layer *canvas) BT_MUST_CHECK;

#endif
