/* Random draws of the data module: its Philox streams, and shuffling.
 *
 * Streams (see bittern/random.h) of data begin at 2^23; those of dropout layers count up from 0. The "step" of every
 * draw here is the epoch: a sample comes once in an epoch, so the augmentation does not depend on the batch size. */
#ifndef BITTERN_DATA_DRAW_H
#define BITTERN_DATA_DRAW_H

#include <bittern/random.h>

#include <stdint.h>

#define BT_STREAM_AUGMENT 0x800000u      /**< crops and flips: transform.h says which word is which */
#define BT_STREAM_SHUFFLE 0x800001u      /**< order of an epoch */
#define BT_STREAM_SPLIT 0x800002u        /**< training, query and database of a class */
#define BT_STREAM_CACHED 0x800010u       /**< which stored views of an item a step takes */
#define BT_STREAM_REPLACE 0x800003u      /**< what takes the place of a damaged file */
#define BT_STREAM_CLASSES 0x800004u      /**< sampler.h: classes of an epoch */
#define BT_STREAM_CLASS_IMAGES 0x800005u /**< sampler.h: images of a class */
#define BT_STREAM_TAIL 0x800006u         /**< sampler.h: the long tail's comb and the order within classes */

/** An integer in [0, count), 1 <= count <= 2^32; the chance of each differs from 1/count by less than 2^-32. */
static inline int64_t bt_draw_below(uint32_t word, int64_t count) {
    return (int64_t)(((uint64_t)word * (uint64_t)count) >> 32);
}

/** Shuffles items (count), count <= 2^32 (Fisher-Yates). Position i, from the last down to 1, is exchanged with
 *  bt_draw_below(word i % 4 of block i / 4, i + 1) under (seed, step, stream, id). */
void bt_draw_shuffle(int64_t *items, int64_t count, uint64_t seed, int64_t step, uint32_t stream, int64_t id);

#endif
