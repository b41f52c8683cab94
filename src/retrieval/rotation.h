/* Rotations that spread the variance of principal components over the bits: random, and learned (ITQ). */
#ifndef BITTERN_RETRIEVAL_ROTATION_H
#define BITTERN_RETRIEVAL_ROTATION_H

#include <bittern/status.h>

#include <stdint.h>

/** Independent standard normal numbers by Box and Muller: out (n), number `draw` of the seed. */
void bt_random_gaussian(double *out, int64_t n, uint64_t seed, int64_t draw);

/** A random orthogonal matrix r (k,k), uniform (Haar): Q of the QR factorisation of a Gaussian matrix with R's diagonal
 * positive (Mezzadri 2007; without the sign rule the distribution depends on the factorisation used). */
void bt_random_rotation(double *r, int64_t k, uint64_t seed, int64_t draw);

/** Iterative quantization (Gong and Lazebnik 2011): r (k,k), orthogonal, is improved so that the codes sign(r z) lose
 * least of z (n,k): min |B - Z R^T|^2, alternating B = sign(Z R^T) in {-1, 1} (0 gives -1, as everywhere) and the
 * Procrustes solution for R. loss (iterations + 1): that sum divided by n k, before each update and at the end; it does
 * not grow. NULL: not wanted. BT_ERR_NUMERIC, BT_ERR_MEMORY. */
bt_status bt_itq(const float *z, int64_t n, int64_t k, int iterations, double *r, double *loss) BT_MUST_CHECK;

#endif
