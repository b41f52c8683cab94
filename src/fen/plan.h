/* Which pictures a world has: each is planned from its numbers alone, so any thread can make any picture, and captions
 * and tables are written without drawing again. */
#ifndef BITTERN_FEN_PLAN_H
#define BITTERN_FEN_PLAN_H

#include "fen/bird.h"

typedef enum bt_fen_split { BT_FEN_TRAIN, BT_FEN_QUERY, BT_FEN_DATABASE, BT_FEN_SPLITS } bt_fen_split;
extern const char *const bt_fen_split_names[BT_FEN_SPLITS];

/** A world: what was asked for, and its species (owned by who made it). */
typedef struct bt_fen_world {
    uint64_t seed;
    int count;  /**< species */
    int images; /**< of each species, over all splits */
    int size;   /**< side, pixels */
    bt_fen_species *species;
} bt_fen_world;

/** What the camera does to the light. */
typedef struct bt_fen_camera {
    double exposure, red, blue, saturation, contrast, blur, noise,
        vignette; /**< blur in pixels of the picture, noise in grey levels */
    uint32_t seed;
} bt_fen_camera;

typedef struct bt_fen_picture {
    int species, image; /**< image: 0 .. images-1 within the species */
    bt_fen_split split;
    int individual; /**< within the species, over all splits */
    int shot;       /**< number of the picture within its individual */
    int scene;      /**< number within the world; a split's scenes are its own */
    bt_fen_individual one;
    bt_fen_pose pose;
    bt_fen_view view;
    bt_fen_placing placing;
    double waterline;  /**< y in the frame at which the bird enters water; above 1: nowhere */
    double front_x;    /**< column around which the reeds before the bird stand */
    double front_blur; /**< their blur, as a share of the side */
    bt_fen_camera camera;
} bt_fen_picture;

/** Scenes of each split. Species share them: a place says nothing about who is in it. */
enum { BT_FEN_SCENES_TRAIN = 96, BT_FEN_SCENES_QUERY = 32, BT_FEN_SCENES_DATABASE = 64, BT_FEN_SHOTS = 4 };

/** Pictures of each species in a split: half for training, a tenth for queries, the rest in the database. */
int bt_fen_split_images(int images, bt_fen_split split);

void bt_fen_plan(const bt_fen_world *world, int species, int image, bt_fen_picture *out);

/** "train/typhocola_striata/b03_1": the picture's path without folder and ending. */
void bt_fen_picture_path(const bt_fen_world *world, const bt_fen_picture *picture, char *out, size_t bytes);

#endif
