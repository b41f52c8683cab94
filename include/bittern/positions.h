/* How position embeddings made for one grid of patches serve another. Published towers do it in four ways that differ
 * in the third digit of a feature; the one that a file's library uses must be chosen, for the file does not say it. A
 * grid that is already the right one is left as it is by all of them: the fourth way. */
#ifndef BITTERN_POSITIONS_H
#define BITTERN_POSITIONS_H

#include <bittern/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Separable cubic filters on patch centres (align_corners false), from g to n patches on a side. */
typedef enum bt_positions {
    BT_POSITIONS_HUB, /**< DINOv2's hub without registers: a = -0.75, source step g / (n + 0.1), the border repeated */
    BT_POSITIONS_ANTIALIAS, /**< DINOv2's hub with registers, transformers' Dinov2WithRegisters, timm, open_clip: a =
                               -0.5, widened by the step g / n where that is above 1, weights cut at the border and
                               scaled to the sum 1 */
    BT_POSITIONS_BICUBIC,   /**< transformers' Dinov2: a = -0.75, source step g / n, the border repeated */
    BT_POSITIONS_COUNT
} bt_positions;

/** "hub", "antialias", "bicubic", or "?" for any other number. */
const char *bt_positions_name(bt_positions rule);

#ifdef __cplusplus
}
#endif
#endif
