/* Colour steps over a finished view: brightness, contrast, saturation, hue, grey, blur, solarize; the pixels are those
 * of PIL and torchvision, bit for bit (docs/augmentation.md). */
#ifndef BITTERN_PIXELS_COLOUR_H
#define BITTERN_PIXELS_COLOUR_H

#include "pixels/view.h"

#include <bittern/status.h>

#include <stddef.h>

/** Working memory for one thread. Zero-initialised is empty; it grows and is kept. */
typedef struct bt_colour_memory {
    void *planes;
    size_t capacity; /**< bytes */
} bt_colour_memory;

void bt_colour_memory_free(bt_colour_memory *memory);

/** Applies the steps, which are valid (bt_colour_valid), in order to pixels (height, width, 3). BT_ERR_MEMORY leaves
 * them as they were.
 */
bt_status bt_colour_apply(bt_colour_memory *memory, const bt_colour *colour, uint8_t *pixels, int64_t height,
                          int64_t width) BT_MUST_CHECK;

/** The blur of PIL's GaussianBlur(radius): three box passes each way. radius > 0, at most 64. */
bt_colour_step bt_colour_blur(float radius);

#endif
