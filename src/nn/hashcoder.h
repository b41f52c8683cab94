/* HashCoder (arXiv 2510.27584): embedding (N, d) -> logits (N, bits). Bit = 1 iff logit > 0.
 *
 *   small   Linear(d, d) ReLU Linear(d, bits) BatchNorm(bits)
 *   large   Linear(d, h) GELU Linear(h, h) GELU Linear(h, bits) BatchNorm(bits),  h = max(2d, 2048)
 *
 * Batch norm is the last layer: affine, eps 1e-5, momentum 0.1; statistics per view in training. `without_norm` leaves
 * it out, to see what it does. Linear weights start normal with std 0.02, biases 0. The head works in f32. Names follow
 * torch.nn.Sequential: "hashcoder.0.weight", ...
 */
#ifndef BITTERN_NN_HASHCODER_H
#define BITTERN_NN_HASHCODER_H

#include <bittern/program.h>

typedef enum bt_hashcoder_size { BT_HASHCODER_SMALL, BT_HASHCODER_LARGE } bt_hashcoder_size;

typedef struct bt_hashcoder_config {
    bt_hashcoder_size size;
    int width;  /**< d */
    int hidden; /**< h of large; 0: max(2d, 2048) */
    int bits;
    bool without_norm;
} bt_hashcoder_config;

typedef struct bt_hashcoder {
    bt_hashcoder_config config;
    int layers; /**< 2 or 3 */
    int w[3], b[3];
    int norm_w, norm_b, running_mean, running_var; /**< -1 without norm */
} bt_hashcoder;

void bt_hashcoder_init(bt_hashcoder *out, bt_params *store, const bt_hashcoder_config *config, int group, float decay,
                       uint64_t seed);

/** e (views*N, d) f32 -> logits (views*N, bits) f32. Training programs use each view's statistics. */
bt_value bt_hashcoder_forward(bt_program *p, bt_params *store, const bt_hashcoder *head, bt_value e, int views);

#endif
