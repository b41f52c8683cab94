/* Principal components of embeddings, exact and randomised. */
#ifndef BITTERN_RETRIEVAL_PCA_H
#define BITTERN_RETRIEVAL_PCA_H

#include <bittern/status.h>

#include <stdint.h>

typedef struct bt_pca {
    int64_t width, count; /**< of an embedding; of components */
    double *mean;         /**< (width) */
    double *components;   /**< (count, width): orthonormal rows, by falling variance; the largest component of each is
                             positive */
    double *variances;    /**< (count): along each, sums divided by the number of rows */
} bt_pca;

/** Exact, by the eigenvectors of the covariance: x (n,width), 1 <= count <= width. Squares the condition: variances
 * below 1e-16 of the largest are rounding. Time n width^2 + width^3; memory 3 width^2 doubles. BT_ERR_SHAPE if count is
 * above width, BT_ERR_NUMERIC for values that are not finite, BT_ERR_MEMORY. */
bt_status bt_pca_exact(const float *x, int64_t n, int64_t width, int64_t count, bt_pca *out) BT_MUST_CHECK;

/** Randomised (Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.1), as torch.pca_lowrank: a Gaussian sample of
 * `count` + `oversample` directions, `iterations` of subspace iteration. The papers' script uses 2 iterations and no
 * oversampling, so its last components are blurred. Time n width (count + oversample) (2 iterations + 2); memory n
 * (count + oversample) doubles. Errors as above, and BT_ERR_SHAPE for fewer rows than components. */
bt_status bt_pca_randomised(const float *x, int64_t n, int64_t width, int64_t count, int64_t oversample, int iterations,
                            uint64_t seed, bt_pca *out) BT_MUST_CHECK;

void bt_pca_free(bt_pca *pca);

/** z (n,count) = components (x - mean) for x (n,width). BT_ERR_MEMORY. */
bt_status bt_pca_project(const bt_pca *pca, const float *x, int64_t n, float *z) BT_MUST_CHECK;

#endif
