/* What embed.c (the work) and embed_state.c (its files and how far it is) share. */
#ifndef BITTERN_ENCODER_EMBED_STATE_H
#define BITTERN_ENCODER_EMBED_STATE_H

#include "encoder/embed.h"
#include "encoder/growing.h"
#include "encoder/sources.h"

enum { FILE_EMBEDDINGS, FILE_CODES, FILE_LOGITS, FILE_LABELS, FILE_PATHS, FILE_DAMAGED, FILES };

typedef struct embed_state {
    int64_t done; /* pictures, whole batches but for the last */
    int64_t rows, damaged;
    int64_t bytes[FILES];
} embed_state;

typedef struct embedding {
    const bt_embed_options *o;
    bt_sources sources;
    bt_engine engine;
    bt_growing file[FILES];
    embed_state state;
    int64_t resumed_at;
    float *values, *logits; /* of a batch */
    uint8_t *codes;
    uint8_t *labels; /* i32, or rows of 0 and 1 */
    size_t label_bytes;
    bt_text text, lost;
} embedding;

/** Whether the work ends in one HDF5 file. */
bool bt_embed_is_hdf5(const bt_embed_options *options);

/** Opens the files in the work folder: as they were saved with `resume`, else empty. */
bt_status bt_embed_state_open(embedding *e) BT_MUST_CHECK;

/** Files first, then state.json, so that the state never says more than there is. */
bt_status bt_embed_state_save(embedding *e) BT_MUST_CHECK;

/** Gives the files their names, the embeddings last, and removes the work folder. */
bt_status bt_embed_state_finish(embedding *e) BT_MUST_CHECK;

/** Texts in HDF5 are UTF-8: BT_ERR_UNSUPPORTED for a name of a picture or class that is not. */
bt_status bt_embed_check_hdf5(const embedding *e) BT_MUST_CHECK;

/** Writes OUT.h5 from the files in the work folder, whole or not at all. */
bt_status bt_embed_write_hdf5(const embedding *e) BT_MUST_CHECK;

#endif
