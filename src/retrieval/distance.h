/* Distances of queries to a whole database. */
#ifndef BITTERN_RETRIEVAL_DISTANCE_H
#define BITTERN_RETRIEVAL_DISTANCE_H

#include "retrieval/items.h"

/** Queries that are measured together: a block of the database in cache serves all of them. */
#define BT_QUERY_TILE 8

typedef struct bt_distances {
    const bt_items *queries, *database;
    bt_distance kind;
    float *inverse_norm; /**< (database count): BT_COSINE only */
    int levels;          /**< > 0: distances are whole numbers from 0 to levels */
} bt_distances;

/** Checks both sides (which stay the caller's) and prepares. BT_ERR_SHAPE for widths that differ or empty sides,
 * BT_ERR_NUMERIC naming the item for NaN and for embeddings without a finite norm, BT_ERR_MEMORY. */
bt_status bt_distances_open(const bt_items *queries, const bt_items *database, bt_distance kind,
                            bt_distances *out) BT_MUST_CHECK;
void bt_distances_close(bt_distances *distances);

/** Floats of scratch that bt_distances_tile needs. */
int64_t bt_distances_scratch(const bt_distances *distances);

/** Distances of queries first .. first+count-1 (count <= BT_QUERY_TILE): out (count, database count). The same bits
 * however queries are grouped. */
void bt_distances_tile(const bt_distances *distances, int64_t first, int count, float *scratch, float *out);

/** Packs logits (n, width) into codes (n, ceil(width/64)): bit = 1 where the logit is above 0; the rest of the last
 * word is 0. */
void bt_codes_of(const float *logits, int64_t n, int width, uint64_t *codes);

#endif
