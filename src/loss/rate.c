/* The coding-rate term on logits. */
#include "loss/rate.h"

bt_value bt_loss_rate(bt_program *p, bt_value z, int views, float eps) {
    return bt_coding_rate(p, bt_l2_normalize(p, z, 1e-12f), views, eps);
}
