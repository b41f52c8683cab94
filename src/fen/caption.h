/* Captions: one sentence for a picture, of what can be seen in it. */
#ifndef BITTERN_FEN_CAPTION_H
#define BITTERN_FEN_CAPTION_H

#include "base/text.h"
#include "fen/plan.h"

/** Appends the caption of a picture. Its words come from the species' traits, the pose, the place and the light; hidden
 * parts (legs under water, a folded wing's inside) are not mentioned. */
void bt_fen_caption(const bt_fen_world *world, const bt_fen_picture *picture, bt_text *out);

/** "swimming", "perched", ... */
const char *bt_fen_posture_name(bt_fen_posture posture);

#endif
