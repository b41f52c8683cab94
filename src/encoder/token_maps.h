/* What a tower sees in one picture: its patches' tokens, where the class token of the last block looks, and the tokens'
 * principal components as colours. */
#ifndef BITTERN_ENCODER_TOKEN_MAPS_H
#define BITTERN_ENCODER_TOKEN_MAPS_H

#include "encoder/model_open.h"

typedef struct bt_token_maps {
    int side, size; /**< patches and pixels of a side */
    int width, heads;
    uint8_t *picture; /**< (size, size, 3): what the tower was given */
    float *tokens;    /**< (side, side, width): patches behind the last norm */
    float *attention; /**< (heads, side, side): shares of the class token's attention; with those of class token and
                         registers a head's sum is 1 */
    uint8_t
        *colours; /**< (side, side, 3): three first principal components, each from its 2nd to its 98th percentile */
} bt_token_maps;

/** Runs one picture on the processor. Errors of the model, the picture and memory; BT_ERR_SHAPE where there are fewer
 * than four patches. */
bt_status bt_token_maps_make(const bt_model_source *source, bt_dtype dtype, int threads, const char *picture,
                             bt_token_maps *out) BT_MUST_CHECK;
void bt_token_maps_free(bt_token_maps *maps);

/** The picture, its colours and its mean attention side by side as a PNG. */
bt_status bt_token_maps_draw(const bt_token_maps *maps, const char *path) BT_MUST_CHECK;

#endif
