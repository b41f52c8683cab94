/* LoRA on a linear layer (arXiv 2106.09685): y = x W^T + b + alpha/R (d(x) A^T) B^T, W and b frozen.
 *
 * On a fused qkv layer the adapter is either one for all 3C outputs (timm, DINOv2 hub: peft target "qkv"), or one for
 * each named part (transformers: targets "query", "value"), stacked: A (P*R, I), B (P*C, R).
 */
#ifndef BITTERN_NN_LORA_H
#define BITTERN_NN_LORA_H

#include <bittern/program.h>

/** Targets of adapters, a mask. BT_LORA_QKV excludes Q, K and V. */
typedef enum bt_lora_target {
    BT_LORA_Q = 1,
    BT_LORA_K = 2,
    BT_LORA_V = 4,
    BT_LORA_QKV = 8,
    BT_LORA_PROJ = 16,
    BT_LORA_FC1 = 32,
    BT_LORA_FC2 = 64
} bt_lora_target;

typedef struct bt_lora_config {
    uint32_t targets; /**< 0: no adapters */
    int rank;
    float alpha, dropout;
} bt_lora_config;

/** An adapter in a store. */
typedef struct bt_lora {
    int a, b; /**< parameter indices, -1 without adapter */
    int parts, rank;
    int part[3];        /**< which third of qkv each part is; all 0 for a whole layer */
    int64_t part_width; /**< outputs of one part */
    float scale, dropout;
    int stream;
} bt_lora;

/** Parses "q,v", "qkv,proj", "none" into a mask. BT_ERR_CONFIG with the allowed names, or for q beside qkv. */
bt_status bt_lora_parse_targets(const char *text, uint32_t *mask) BT_MUST_CHECK;

/** A mask as text, "q,v" or "none". */
void bt_lora_write_targets(uint32_t mask, char *text, size_t bytes);

/** Adds `<layer>.lora_A.weight` and `<layer>.lora_B.weight` to the store: A uniform in +-1/sqrt(I) as in peft, B zero.
 */
bt_lora bt_lora_declare(bt_params *store, const char *layer, int64_t inputs, int64_t part_width, const int *part,
                        int parts, const bt_lora_config *config, int stream, int group, float decay, uint64_t seed);

/** The adapter of outputs [first, first + count) of its layer as values; zero if none of its parts lies there. A part
 * lies inside the range or outside, but one part over the whole layer is cut. */
bt_lora_values bt_lora_range(bt_program *p, bt_params *store, const bt_lora *lora, int64_t first, int64_t count);

#endif
