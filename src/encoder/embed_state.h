/* What embed.c (the work), embed_state.c (its files and how far it is), embed_hdf5.c and embed_shards.c share. */
#ifndef BITTERN_ENCODER_EMBED_STATE_H
#define BITTERN_ENCODER_EMBED_STATE_H

#include "encoder/embed.h"
#include "encoder/growing.h"
#include "encoder/sources.h"

enum { FILE_EMBEDDINGS, FILE_CODES, FILE_LOGITS, FILE_LABELS, FILE_PATHS, FILE_DAMAGED, FILES };

enum { EMBED_PATH = 4096 + 64 };

typedef struct embed_state {
    int64_t done; /* pictures from `begin` on, whole batches but for the last */
    int64_t rows, damaged;
    int64_t bytes[FILES];
} embed_state;

/** What the files hold. */
typedef struct embed_kind {
    bool has[FILES];
    int64_t width, code_bytes, outputs, bits;
    int64_t label_columns; /* 0: a number a picture; else rows of 0 and 1 */
    const char *method;
    const char *const *classes;
    int64_t class_count;
} embed_kind;

typedef struct embedding {
    const bt_embed_options *o; /* NULL where shards are joined: no sources and no engine then */
    bt_sources sources;
    bt_engine engine;
    embed_kind kind;
    const char *out; /* .npy or .h5: of a shard, a file of its own */
    char shard_out[EMBED_PATH];
    bt_text settings;   /* all that decides the bits of the files, in one line */
    int64_t begin, end; /* pictures of the listing */
    bt_growing file[FILES];
    int lock; /* the work folder, held as long as this process works in it; -1 */
    embed_state state;
    int64_t resumed_at;
    float *values, *logits; /* of a batch */
    uint8_t *codes;
    uint8_t *labels; /* i32, or rows of 0 and 1 */
    size_t label_bytes;
    bt_text text, lost;
} embedding;

/** Pictures of this work. */
static inline int64_t bt_embed_pictures(const embedding *e) {
    return e->end - e->begin;
}

/** Whether the work ends in one HDF5 file. */
bool bt_embed_is_hdf5(const char *out);

/** BT_ERR_USAGE for a name that ends in neither .npy nor .h5; BT_ERR_IO for a folder; BT_ERR_UNSUPPORTED for .h5 in a
 * build without HDF5. */
bt_status bt_embed_check_out(const char *out) BT_MUST_CHECK;

/** What OUT's file ends in instead of .npy: ".npy", ".codes.npy", ..., ".damaged.txt". */
const char *bt_embed_file_end(int file);

/** OUT without its own end, with another. */
bt_status bt_embed_path(const embedding *e, const char *end, char path[EMBED_PATH]) BT_MUST_CHECK;

/** Fills `settings` from engine, sources and options. */
void bt_embed_describe(embedding *e);

/** Makes the work folder and holds it until bt_embed_release: two processes would write over each other's rows.
 * BT_ERR_IO while another has it. */
bt_status bt_embed_take_work(embedding *e) BT_MUST_CHECK;

/** Opens the files in the work folder: as they were saved with `resume`, else empty. */
bt_status bt_embed_state_open(embedding *e) BT_MUST_CHECK;

/** Files first, then state.json, so that the state never says more than there is. */
bt_status bt_embed_state_save(embedding *e) BT_MUST_CHECK;

/** Gives the files their names, the embeddings last, and removes the work folder. */
bt_status bt_embed_state_finish(embedding *e) BT_MUST_CHECK;

/** Removes the work folder, if this process holds it. */
void bt_embed_remove_work(const embedding *e);

/** Of a shard: what it is a part of, with size and checksum of each file; written when these have their names. */
bt_status bt_embed_write_shard(const embedding *e) BT_MUST_CHECK;

/** BT_ERR_CONFIG where shards of this output, done or begun, count to another number: no join would take both. */
bt_status bt_embed_check_count(const embedding *e) BT_MUST_CHECK;

/** Whether this shard, by the same settings, was done before; fills e->state then. */
bt_status bt_embed_shard_is_done(embedding *e, bool *done) BT_MUST_CHECK;

/** Closes and frees all of it. */
void bt_embed_release(embedding *e);

/** Texts in HDF5 are UTF-8: BT_ERR_UNSUPPORTED for a name of a picture or class that is not. */
bt_status bt_embed_check_hdf5(const embedding *e) BT_MUST_CHECK;

/** Writes OUT.h5 from the files in the work folder, whole or not at all. */
bt_status bt_embed_write_hdf5(const embedding *e) BT_MUST_CHECK;

#endif
