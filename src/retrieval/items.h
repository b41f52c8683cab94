/* The two sides of a retrieval and what makes an item relevant to a query. */
#ifndef BITTERN_RETRIEVAL_ITEMS_H
#define BITTERN_RETRIEVAL_ITEMS_H

#include <bittern/status.h>

#include <stdint.h>

/** How near a query and a database item are. Every measure of this module takes one. */
typedef enum bt_distance {
    BT_ASYMMETRIC, /**< sum over bits of |sigmoid(query logit) - database bit|: what the papers' scripts report */
    BT_SYMMETRIC,  /**< Hamming distance between query bits (logit > 0) and database bits: what an index computes */
    BT_COSINE /**< 1 - cosine of two embeddings: the continuous baseline. A row of zeros has cosine 0 to everything */
} bt_distance;

/** One side of a retrieval: n items of one width. Borrowed; may be a mapped file. */
typedef struct bt_items {
    int64_t count;
    int width;             /**< bits, or the embedding's width for BT_COSINE */
    const float *values;   /**< (count, width): logits or embeddings; of a database only needed for BT_COSINE */
    const uint64_t *bits;  /**< (count, ceil(width/64)): database codes for the Hamming distances */
    const int32_t *labels; /**< (count): relevant means equal; negative: unlabelled, relevant to nothing */
} bt_items;

/** One meaning of "relevant", from labels of both sides: of one kind each, the other NULL. A taxonomy has one of these
 * for each of its ranks (the same species, the same genus, ...). */
typedef struct bt_relevance {
    const int32_t *query_labels, *database_labels; /**< (count): equal and not negative */
    const uint64_t *query_sets, *database_sets;    /**< (count, words): rows of bits, at least one bit in common */
    int words;                                     /**< of a row of the sets */
} bt_relevance;

static inline bt_relevance bt_relevance_of_labels(const bt_items *queries, const bt_items *database) {
    bt_relevance r = {queries->labels, database->labels, 0, 0, 0};
    return r;
}

static inline bool bt_is_relevant(const bt_relevance *r, int64_t query, int64_t item) {
    if (r->query_labels) return r->query_labels[query] == r->database_labels[item] && r->query_labels[query] >= 0;
    for (int w = 0; w < r->words; w++)
        if (r->query_sets[query * r->words + w] & r->database_sets[item * r->words + w]) return true;
    return false;
}

#endif
