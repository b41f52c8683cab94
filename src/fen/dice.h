/* Random draws of the Fen: a sequence for each thing that is drawn, independent of all others.
 *
 * A dice is a position in the Philox sequence of (seed, stream, species, individual, image), see bittern/random.h. So a
 * picture, a song or a name is a pure function of these numbers: it does not depend on which thread makes it, nor on
 * what was made before. */
#ifndef BITTERN_FEN_DICE_H
#define BITTERN_FEN_DICE_H

#include <bittern/status.h>

#include <stdint.h>

/** Streams of the Fen, below those of the data loader (0x800000). */
typedef enum bt_fen_stream {
    BT_FEN_STREAM_TREE = 0x700000, /**< traits down the taxonomy */
    BT_FEN_STREAM_NAMES,
    BT_FEN_STREAM_INDIVIDUAL, /**< size, wear, hue of one bird */
    BT_FEN_STREAM_SCENE,      /**< a place: light, water, reeds */
    BT_FEN_STREAM_PICTURE,    /**< pose, crop, camera */
    BT_FEN_STREAM_STROKES,    /**< reeds and feathers of a picture */
    BT_FEN_STREAM_CAPTION,
    BT_FEN_STREAM_VOICE, /**< a species' repertoire */
    BT_FEN_STREAM_SONG   /**< one recording */
} bt_fen_stream;

typedef struct bt_fen_dice {
    uint64_t seed;
    uint32_t stream, sample, step, drawn, words[4];
} bt_fen_dice;

/** At the start of a sequence. individual and image are below 65536. */
bt_fen_dice bt_fen_dice_new(uint64_t seed, bt_fen_stream stream, int species, int individual, int image);

uint32_t bt_fen_word(bt_fen_dice *dice);
double bt_fen_unit(bt_fen_dice *dice);                        /**< in [0,1) */
double bt_fen_range(bt_fen_dice *dice, double lo, double hi); /**< uniform */
double bt_fen_normal(bt_fen_dice *dice);                      /**< mean 0, deviation 1, within 3 */
int bt_fen_index(bt_fen_dice *dice, int count);               /**< 0 .. count-1 */
bool bt_fen_chance(bt_fen_dice *dice, double probability);

/** An index drawn in proportion to weights (count), not all zero. */
int bt_fen_weighted(bt_fen_dice *dice, const double *weights, int count);

#endif
