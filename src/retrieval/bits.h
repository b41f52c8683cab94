/* What a set of codes is like: balance, entropy, correlation, how many are distinct; and the effective rank of
 * embeddings. */
#ifndef BITTERN_RETRIEVAL_BITS_H
#define BITTERN_RETRIEVAL_BITS_H

#include <bittern/status.h>

#include <stdint.h>

typedef struct bt_bit_statistics {
    int64_t count;
    int bits;
    double imbalance,
        worst_imbalance;  /**< |2p - 1|, p the share of ones: mean and largest over bits; 0 is balanced, 1 constant */
    double entropy;       /**< mean over bits of H(p), in bits: 1 at best */
    double least_entropy; /**< of the worst bit */
    double correlation;   /**< mean over pairs of |Pearson correlation|, pairs with a dead bit left out */
    double worst_correlation; /**< the largest of them: 1 means two bits are one */
    int dead;                 /**< bits that never change */
    int64_t distinct;         /**< different codes */
    double code_entropy; /**< of whole codes as they occur, in bits; at most log2(count), however many bits there are */
} bt_bit_statistics;

/** codes (n, ceil(bits/64)). p (bits): share of ones of each, NULL if not wanted. Time n log n + n bits^2 / 128.
 * BT_ERR_SHAPE for no codes, BT_ERR_MEMORY. */
bt_status bt_bits_measure(const uint64_t *codes, int64_t n, int bits, double *p, bt_bit_statistics *out) BT_MUST_CHECK;

/** Signed Pearson correlation of every pair of bits: out (bits, bits), 1 on the diagonal; a bit that never changes has
 * 0 with all bits, itself included. Errors as above. */
bt_status bt_bits_correlate(const uint64_t *codes, int64_t n, int bits, double *out) BT_MUST_CHECK;

typedef struct bt_effective_rank {
    double entropy;       /**< exp(H(s / sum s)), s the singular values: Roy and Vetterli 2007 (RankMe takes this, not
                             centred) */
    double participation; /**< (sum v)^2 / sum v^2, v = s^2 the variances: the participation ratio. Never above
                             `entropy` of v, and usually well below `entropy`: say which one is meant */
} bt_effective_rank;

/** Of x (n,width); `centred` subtracts the mean first. Singular values come from the second moment, so those below 1e-8
 * of the largest are rounding and count as 0. All zero: ranks 0. Time n width^2 + width^3. BT_ERR_NUMERIC,
 * BT_ERR_MEMORY. */
bt_status bt_effective_rank_of(const float *x, int64_t n, int64_t width, bool centred,
                               bt_effective_rank *out) BT_MUST_CHECK;

#endif
