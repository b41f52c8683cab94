/* The coding-rate term of CroVCA on logits: rows L2-normalised (eps 1e-12, F.normalize), not centred, one rate per
 * view, mean over views. Formula and check values: the operation coding_rate in ops.def. */
#ifndef BITTERN_LOSS_RATE_H
#define BITTERN_LOSS_RATE_H

#include <bittern/program.h>

/** z (views*N, bits) f32 -> scalar -1/2 logdet(I + bits/(N eps) X^T X) (bits+N)/(bits N), averaged over views. */
bt_value bt_loss_rate(bt_program *p, bt_value z, int views, float eps);

#endif
