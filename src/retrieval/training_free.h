/* Codes without training (Hashing-Baseline, arXiv 2509.14427): the control that every trained code needs.
 *
 *   pca       u = V (x - mean), V the first principal components of the training embeddings
 *   rotation  u = R V (x - mean), R a random rotation: the published method, mean and deviation over 10 of them
 *   itq       the same with R learned from the training embeddings, from each random rotation on
 *   lsh       u = G (x - mean), G Gaussian with rows of length 1: random hyperplanes, the floor
 *
 * Database bits are 1 where u > 0; queries keep sigmoid(u). Embeddings are centred and nothing else: no scaling, so
 * their magnitude decides how hard a query's probabilities are (docs/evaluation.md).
 */
#ifndef BITTERN_RETRIEVAL_TRAINING_FREE_H
#define BITTERN_RETRIEVAL_TRAINING_FREE_H

#include "retrieval/bits.h"
#include "retrieval/pca.h"
#include "retrieval/scores.h"

typedef enum bt_training_free { BT_FREE_PCA, BT_FREE_ROTATION, BT_FREE_ITQ, BT_FREE_LSH } bt_training_free;

/** "pca", "rotation", "itq", "lsh". */
const char *bt_training_free_name(bt_training_free method);

typedef struct bt_free_options {
    bt_training_free method;
    int bits;
    int draws;          /**< rotations or planes drawn; pca has one */
    uint64_t seed;      /**< draw i is the same for rotation and itq, and for any number of draws */
    int itq_iterations; /**< 50 in the paper of ITQ */
    int64_t k;          /**< mAP@k: 1000 or 5000 for pictures, INT64_MAX (all) for sound */
    int64_t neighbours; /**< of the kNN vote: 200 for sound; 0: no vote */
    double temperature; /**< of that vote */
    bool leave_one_out; /**< the database holds the queries */
    bool components;    /**< also the cosine of the components themselves; costs 4 bits bytes per database item */
} bt_free_options;

/** A score over the draws: mean and deviation (divided by their number, as np.std). */
typedef struct bt_spread {
    double mean, deviation;
} bt_spread;

typedef struct bt_free_scores {
    int draws;
    bt_spread papers, standard;                     /**< mAP by the asymmetric distance */
    bt_spread symmetric_papers, symmetric_standard; /**< by the Hamming distance */
    bt_spread neighbours; /**< accuracy of the vote by the asymmetric distance; 0 if not asked for */
    bt_map components; /**< mAP by the cosine of V (x - mean): what the script calls continuous; 0 if not asked for */
    bt_bit_statistics bits; /**< of the database's codes in draw 0 */
} bt_free_scores;

/** The matrix of draw `draw`: rows (bits, pca->width) of u = rows (x - mean), for bt_project. train_z (train_n, bits):
 * the training embeddings' first components, which itq learns from; NULL for the others. pca->count >= bits, but for
 * lsh, which takes its mean only. BT_ERR_NUMERIC, BT_ERR_MEMORY. */
bt_status bt_training_free_matrix(const bt_free_options *options, const bt_pca *pca, const float *train_z,
                                  int64_t train_n, int draw, double *rows) BT_MUST_CHECK;

/** Scores of a method. Sides hold embeddings in `values`, and labels if `neighbours` is asked for; `relevance` is what
 * counts as relevant. queries and relevance NULL: only the codes of draw 0 and their statistics. train (train_n,
 * width): what `pca` was fitted to (only itq reads it). codes (database, ceil(bits/64)): codes of draw 0, NULL if not
 * wanted. Memory: codes of the database; 4 bits bytes per query, per training embedding (itq) and, for
 * `components`, per database item; and as bt_score. BT_ERR_SHAPE, BT_ERR_NUMERIC, BT_ERR_MEMORY. */
bt_status bt_training_free_score(const bt_free_options *options, const bt_pca *pca, const float *train, int64_t train_n,
                                 const bt_items *queries, const bt_items *database, const bt_relevance *relevance,
                                 uint64_t *codes, bt_free_scores *out) BT_MUST_CHECK;

#endif
