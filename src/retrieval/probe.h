/* Linear probe: multinomial logistic regression on frozen embeddings, in double.
 *
 *     min over W, b   mean over items of -log softmax(W x' + b)[label]  +  l2 / 2 |W|^2,      x' = (x - mean) /
 * deviation
 *
 * convex, solved by L-BFGS from zero: the result depends on the data and l2 only, not on a learning rate, a seed or
 * threads. scikit-learn's LogisticRegression on standardised data has the same optimum at C = 1 / (n l2).
 */
#ifndef BITTERN_RETRIEVAL_PROBE_H
#define BITTERN_RETRIEVAL_PROBE_H

#include "retrieval/items.h"

typedef struct bt_probe_options {
    double l2;        /**< weight decay, above 0; biases have none */
    int iterations;   /**< at most */
    double tolerance; /**< stops when no component of the gradient is larger */
    bool standardise; /**< false: x' = x */
} bt_probe_options;

typedef struct bt_probe {
    int width, classes;
    double *weights; /**< (classes, width), for x itself: the standardisation is folded in */
    double *bias;    /**< (classes) */
    double loss;     /**< the minimum, with its l2 term */
    double gradient; /**< largest component at the end */
    int iterations;
    bool converged; /**< gradient <= tolerance */
} bt_probe;

/** Fits to `train`'s values and labels, 0 .. classes-1 where classes is the largest label + 1; unlabelled items
 * (negative) are left out. Memory: 8 (n classes + 24 classes width) bytes. BT_ERR_SHAPE if fewer than two classes occur
 * or labels exceed 2^20, BT_ERR_NUMERIC for values that are not finite, BT_ERR_MEMORY. */
bt_status bt_probe_fit(const bt_items *train, const bt_probe_options *options, bt_probe *out) BT_MUST_CHECK;
void bt_probe_free(bt_probe *probe);

/** Share of the labelled items whose largest logit (the lowest class of equals) is their label; 0 if none is labelled.
 * A label that the training lacked counts as wrong. BT_ERR_SHAPE for another width. */
bt_status bt_probe_accuracy(const bt_probe *probe, const bt_items *items, double *accuracy) BT_MUST_CHECK;

#endif
