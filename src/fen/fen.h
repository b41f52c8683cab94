/* The Fen: a generated world of birds in a reed marsh, of any size, with exact truth. See docs/fen.md.
 *
 * Makes a folder:
 *   images/<split>/<species>/<bird>_<shot>.jpg   splits train, query, database: no bird and no place is in two of them
 *   masks/<same>.png                             255 where the bird is seen, else 0
 *   songs/<species>/<bird>_<n>.wav               16 bits, mono, 32 kHz, 3 to 5 s
 *   manifest.csv songs.csv taxonomy.csv taxonomy.json sheet.png README.txt
 * Equal options give equal bytes, whatever the number of threads. manifest.csv is written last: a folder without it is
 * unfinished. */
#ifndef BITTERN_FEN_FEN_H
#define BITTERN_FEN_FEN_H

#include <bittern/status.h>

#include <stdint.h>

typedef enum bt_fen_format { BT_FEN_JPEG, BT_FEN_PNG, BT_FEN_PPM } bt_fen_format;

enum {
    BT_FEN_MOST_SPECIES = 1000,
    BT_FEN_LEAST_IMAGES = 3, /**< one for each split */
    BT_FEN_MOST_IMAGES = 10000,
    BT_FEN_LEAST_SIZE = 16,
    BT_FEN_MOST_SIZE = 1024,
    BT_FEN_MOST_SONGS = 100,
    BT_FEN_MOST_THREADS = 256
};

typedef struct bt_fen_options {
    const char *folder; /**< must not exist, or be empty */
    uint64_t seed;
    int species, images, size; /**< images of each species, over all splits; side in pixels */
    int songs;                 /**< of each species */
    int threads;
    bt_fen_format format;
    void (*progress)(void *context, int64_t done, int64_t total); /**< may be NULL; called by one thread at a time */
    void *context;
} bt_fen_options;

/** Makes the world. BT_ERR_CONFIG for a number out of its range; BT_ERR_IO if the folder is not empty or a file cannot
 * be written (what was written stays); BT_ERR_MEMORY; BT_ERR_UNSUPPORTED without cairo, or without the format's
 * library: the message names the package. */
bt_status bt_fen_generate(const bt_fen_options *options) BT_MUST_CHECK;

#endif
