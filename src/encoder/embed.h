/* Embedding a data set to files, as it goes: memory does not grow with the number of pictures but for their names.
 *
 *   OUT.npy           f32 (count, width)                    unless skipped
 *   OUT.codes.npy     u8 (count, ceil(bits/8)), low bit first
 *   OUT.logits.npy    f32 (count, bits or classes)
 *   OUT.labels.npy    i32 (count), -1 without, where there are labels; u8 (count, classes) of 0 and 1 where a picture
 *                     has several
 *   OUT.classes.txt   the name of class k in line k+1
 *   OUT.paths.txt     one path a line, in the order of the rows
 *   OUT.damaged.txt   pictures that were skipped, if any
 *
 * or, with OUT.h5, all of it as data sets of one file: embeddings, codes, logits, labels; classes, paths, damaged
 * (texts); attributes bittern_embeddings (1), method, bits (0 without codes).
 *
 *   OUT.work/         while it runs, or was interrupted: the same, and state.json; saved every few seconds
 *
 * Interrupted and continued, at any moment, the files are the same as without.
 *
 * A shard writes these files as OUT.shards/00002-of-00008.npy, ... (whatever OUT ends in), and when all is done
 * 00002-of-00008.json: what it is a part of, and size and checksum of each file. bt_embed_join makes OUT of them. */
#ifndef BITTERN_ENCODER_EMBED_H
#define BITTERN_ENCODER_EMBED_H

#include "data/dataset.h"
#include "encoder/engine.h"
#include "encoder/shard.h"

typedef struct bt_embed_options {
    bt_engine_options engine;
    bt_dataset_options data; /**< see sources.h */
    const char *out;         /**< ends in .npy or .h5 */
    bool codes, logits, skip_embeddings;
    bool skip_damaged; /**< a damaged picture is listed and left out; without, it ends the work */
    bool resume;       /**< goes on where interrupted work stands, if there is any */
    int loader_threads;
    double save_seconds; /**< between saves; 0: behind every batch */
    bt_shard shard;      /**< which part of the listing; zeroed: all of it */
} bt_embed_options;

typedef struct bt_embed_result {
    bt_model_info info;
    int64_t count, damaged;       /**< rows written; pictures left out */
    int64_t first, pictures;      /**< of the listing: where this work begins, and how many it has */
    int64_t resumed_at;           /**< pictures that were done before */
    double seconds, wait_seconds; /**< of this run, and of it waiting for the loader */
} bt_embed_result;

/** BT_ERR_INTERRUPTED if bt_interrupt_seen says so: saved, to be resumed. BT_ERR_CONFIG if interrupted work was begun
 * with other settings, model or data; BT_ERR_UNSUPPORTED for codes of a method without, and for .h5 in a build without
 * HDF5; errors of sources, engine, loader, files. */
bt_status bt_embed(const bt_embed_options *options, bt_embed_result *out) BT_MUST_CHECK;

typedef struct bt_join_result {
    int shards;
    int64_t count, damaged; /**< rows; pictures left out */
    int64_t width, bits;
} bt_join_result;

/** OUT.npy or OUT.h5 from OUT.shards: byte for byte what the work in one piece gives. The shards stay. BT_ERR_IO: a
 * shard is missing or not done (names all); BT_ERR_CONFIG: shards of different models, pictures or settings, or counted
 * to different numbers; BT_ERR_FORMAT: a file is not the one that was written. OUT is whole or untouched. */
bt_status bt_embed_join(const char *out, bt_join_result *result) BT_MUST_CHECK;

#endif
