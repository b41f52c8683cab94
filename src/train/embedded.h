/* Embeddings, logits and codes of a list of samples, by a session's inference program, in bounded memory.
 *
 * Codes and, where they are asked for, logits stay in memory; embeddings go to a file while they are made and are
 * mapped when it is complete, so that their pages are the system's to drop: for n samples, b bits and width w there are
 * n (8 ceil(b/64) + 8) bytes of memory (+ 4 b n for logits), and 4 w n bytes on the disk. */
#ifndef BITTERN_TRAIN_EMBEDDED_H
#define BITTERN_TRAIN_EMBEDDED_H

#include "data/loader.h"
#include "formats/npy.h"
#include "retrieval/items.h"
#include "train/session.h"

typedef struct bt_embedded_options {
    const bt_loader_options *loader; /**< size, resize, threads, damaged policy; its sample list is replaced */
    bool logits, codes;              /**< wanted */
    const char *file;                /**< where embeddings go, .npy; NULL: they stay in memory */
} bt_embedded_options;

/** What became of the samples: damaged ones that the loader may skip are missing. */
typedef struct bt_embedded {
    int64_t count;
    int width, outputs;
    const float *embeddings; /**< (count, width) */
    float *logits;           /**< (count, outputs), or NULL */
    uint64_t *codes;         /**< (count, ceil(outputs/64)), or NULL */
    int64_t *samples;        /**< (count) of the data set */
    float *memory;           /**< of embeddings, if they are not mapped */
    bt_npy map;
} bt_embedded;

/** Both sides of a split as the weights of one step embed them. */
typedef struct bt_embedded_split {
    int64_t step; /**< -1: nothing is there */
    bt_embedded query, database;
} bt_embedded_split;

/** Embeds samples (count). BT_ERR_CONFIG without an inference program (eval.batch 0), errors of the loader and of
 * files. */
bt_status bt_embedded_make(bt_session *session, const bt_embedded_options *options, const int64_t *samples,
                           int64_t count, bt_embedded *out) BT_MUST_CHECK;

/** Share of the rows of logits (they must be there) whose largest is the label's; -1 for no rows. `labels` are those of
 * the data set's samples: outputs are numbered as its classes are. */
double bt_embedded_accuracy(const bt_embedded *embedded, const int32_t *labels);

void bt_embedded_free(bt_embedded *embedded);
void bt_embedded_split_free(bt_embedded_split *split);

#endif
