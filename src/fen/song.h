/* Songs: each species has a repertoire of syllables and a way to string them; each individual sings it a little
 * differently; each recording has wind, water, insects and birds far away in it. */
#ifndef BITTERN_FEN_SONG_H
#define BITTERN_FEN_SONG_H

#include "base/text.h"
#include "fen/plan.h"

enum { BT_FEN_SAMPLE_RATE = 32000, BT_FEN_SONG_SECONDS = 5 /**< at most */ };

typedef struct bt_fen_recording {
    int species, number; /**< number within the species */
    int individual;
    bt_fen_split split;
} bt_fen_recording;

/** Who sings in recording `number` of a species: the splits take turns, and individuals are those of the pictures. */
bt_fen_recording bt_fen_recording_plan(const bt_fen_world *world, int species, int number);

/** Samples of a recording into out (BT_FEN_SONG_SECONDS * BT_FEN_SAMPLE_RATE), of which the first *count are used (3 to
 * 5 s). BT_ERR_MEMORY. */
bt_status bt_fen_sing(const bt_fen_world *world, const bt_fen_recording *recording, int16_t *out,
                      int *count) BT_MUST_CHECK;

/** Appends a WAV file (RIFF, PCM, 16 bits, mono) of samples (count). BT_ERR_MEMORY. */
bt_status bt_fen_wav(const int16_t *samples, int count, bt_text *out) BT_MUST_CHECK;

/** "trill and rising whistle": the repertoire in words. */
void bt_fen_song_words(const bt_fen_world *world, int species, bt_text *out);

#endif
