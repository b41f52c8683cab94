/* The parameter store: a flat list of named tensors that modules fill, programs read, and the optimizer, checkpoints,
 * clipping and data parallelism walk.
 *
 * Two phases: declare (bt_params_add, host side, shapes and initial values), then commit to a device. Trainable
 * parameters become ranges of one flat f32 vector (masters), with gradients and Adam moments beside it; product weights
 * among them get a copy in the compute dtype. Frozen product weights are kept in the compute dtype only; other frozen
 * tensors and buffers (running statistics) in f32.
 */
#ifndef BITTERN_PARAMS_H
#define BITTERN_PARAMS_H

#include <bittern/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bt_params bt_params;
struct bt_device;

typedef enum bt_param_kind {
    BT_PARAM_WEIGHT,  /**< operand of a product in the compute dtype: the tower's linear layers and adapters */
    BT_PARAM_F32,     /**< f32 always: biases, scales, positions, and the weights of heads, which work in f32 */
    BT_PARAM_BUFFER,  /**< state without gradient (running statistics): f32, saved, never trained */
    BT_PARAM_CONSTANT /**< f32 that follows from the sizes (angles of rotary positions): never trained, not in files */
} bt_param_kind;

typedef struct bt_param_spec {
    const char *name; /**< in files, e.g. "blocks.0.attn.qkv.weight"; copied */
    bt_shape shape;   /**< in files */
    int64_t columns;  /**< 0, or columns of the store's (rows, columns) matrix: shape is flattened behind its first axis
                           and padded with zeros to this width (patch embedding) */
    bt_param_kind kind;
    bool trainable;
    int group;   /**< learning rate group, 0..BT_GROUPS-1 */
    float decay; /**< weight decay */
} bt_param_spec;

bt_params *bt_params_new(bt_dtype compute);
/** After the plans of its programs (bt_plan_free). */
void bt_params_free(bt_params *store);

/** Declares a parameter with all values 0 and returns its index, or -1 with a message (duplicate name, bad shape). */
int bt_params_add(bt_params *store, const bt_param_spec *spec);

int bt_params_count(const bt_params *store);
int bt_params_find(const bt_params *store, const char *name); /**< -1 if there is none */
const bt_param_spec *bt_params_spec(const bt_params *store, int index);

/** Host values of a parameter, f32 in the file's shape, writable until bt_params_commit. The memory is taken at the
 * first call, and all zero then. */
float *bt_params_host(bt_params *store, int index);

/** Before commit: keeps a moving average beside each trainable parameter and buffer, equal to it at first
 * (bt_ema_update). */
void bt_params_keep_average(bt_params *store);
bool bt_params_has_average(const bt_params *store);

/** Allocates device memory and uploads; afterwards the host copies are released. */
bt_status bt_params_commit(bt_params *store, struct bt_device *device) BT_MUST_CHECK;

/** Writes all values of a parameter, f32 in the file's shape, to `values`. */
typedef bt_status (*bt_param_source)(void *context, int index, float *values);

/** As bt_params_commit, but asks `source` for each parameter, in order, when it is uploaded, so that a model is never
 * in memory twice. Host values are not used, but for constants, which follow from the sizes and are not asked for. A
 * failure of `source` ends it with that status; the store can only be freed then. */
bt_status bt_params_commit_from(bt_params *store, struct bt_device *device, bt_param_source source,
                                void *context) BT_MUST_CHECK;

/** Which of a parameter's tensors. */
typedef enum bt_param_slot {
    BT_SLOT_VALUE,
    BT_SLOT_GRADIENT,
    BT_SLOT_ADAM_M,
    BT_SLOT_ADAM_V,
    BT_SLOT_AVERAGE
} bt_param_slot;

/** Copies a slot to `host` (f32, the file's shape). Frozen product weights come back rounded to the compute dtype.
 *  BT_ERR_UNSUPPORTED for a slot that the parameter does not have. */
bt_status bt_params_read(bt_params *store, int index, bt_param_slot slot, float *host) BT_MUST_CHECK;

/** Replaces a slot after commit and refreshes the compute copy. Frozen parameters are refused: programs may hold packed
 *  copies of them. */
bt_status bt_params_write(bt_params *store, int index, bt_param_slot slot, const float *host) BT_MUST_CHECK;

/** After commit: programs read the averages from now on, and BT_SLOT_VALUE is the average; a second call takes it back,
 * to the bit. For inference only: no step may run in between. */
bt_status bt_params_exchange_average(bt_params *store) BT_MUST_CHECK;

/** Bytes on the device: parameters with their compute copies, and optimizer state with gradients and averages. */
size_t bt_params_bytes(const bt_params *store);
size_t bt_params_optimizer_bytes(const bt_params *store);

#ifdef __cplusplus
}
#endif
#endif
