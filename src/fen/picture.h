/* A picture from its plan: pixels and the mask of the visible bird. */
#ifndef BITTERN_FEN_PICTURE_H
#define BITTERN_FEN_PICTURE_H

#include "fen/plan.h"

/** Working memory for pictures of one size; one for each thread. */
typedef struct bt_fen_studio {
    int size, factor; /**< drawn at factor times the size, then averaged down */
    bt_fen_desk desk;
    bt_fen_layer canvas, bird, front, small, small_scratch;
} bt_fen_studio;

bt_status bt_fen_studio_new(int size, bt_fen_studio *out) BT_MUST_CHECK;
void bt_fen_studio_free(bt_fen_studio *studio);

/** What is drawn; the last three are for tests, with a camera that changes nothing. */
typedef enum bt_fen_subject { BT_FEN_WHOLE, BT_FEN_WITHOUT_BIRD, BT_FEN_BLACK_BIRD, BT_FEN_WHITE_BIRD } bt_fen_subject;

/** Draws a picture: rgb (size,size,3), mask (size,size) with 255 where the bird covers at least half of the pixel after
 * what stands before it, else 0. mask may be NULL. Equal plans give equal bytes. BT_ERR_MEMORY. */
bt_status bt_fen_draw(const bt_fen_world *world, const bt_fen_picture *picture, bt_fen_subject subject,
                      bt_fen_studio *studio, uint8_t *rgb, uint8_t *mask) BT_MUST_CHECK;

/** The camera: `canvas` (square, `small`'s side times a whole factor) to 8-bit rgb of small's side. `brightness` of the
 * scene sets the exposure. */
void bt_fen_develop(const bt_fen_camera *camera, double brightness, const bt_fen_layer *canvas, bt_fen_layer *small,
                    bt_fen_layer *scratch, uint8_t *rgb);

#endif
