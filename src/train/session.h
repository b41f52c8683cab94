/* A model on a device with its programs: one parameter store, one block of memory for all plans.
 *
 * A step runs in one piece, or in chunks of images where the batch is larger than memory (method/step.h). The session
 * hides which.
 */
#ifndef BITTERN_TRAIN_SESSION_H
#define BITTERN_TRAIN_SESSION_H

#include "method/step.h"
#include "pixels/view.h"
#include "tensor/backend.h"

typedef enum bt_session_program {
    BT_PROGRAM_HEAD_STEP,
    BT_PROGRAM_STEP,
    BT_PROGRAM_EMBED,
    BT_PROGRAM_ENCODE,
    BT_PROGRAM_HEAD,
    BT_PROGRAM_BACKWARD,
    BT_PROGRAM_UPDATE,
    BT_PROGRAM_HEAD_ENCODE,
    BT_PROGRAM_HEAD_UPDATE,
    BT_PROGRAM_COUNT
} bt_session_program;

typedef struct bt_session_options {
    bt_dtype compute;
    bt_recompute recompute;
    int batch;       /**< images of a step */
    int chunk;       /**< images of a chunk; 0: whole steps */
    int embed_batch; /**< images of an inference run; 0: no inference */
    bool float_images;
    bool pictures;    /**< steps take pictures and records, and make the views themselves */
    bool train_tower; /**< adapters or the whole tower are trained (else only the head) */
    bool head_first;  /**< a head-only step is needed too */
    bool cached;      /**< steps take embeddings of a frozen encoder; only the head is trained */
    bt_adamw_options adamw;
    double average_decay; /**< of the moving average, which the store then keeps (bt_params_keep_average); 0: none */
    bool gradients_only;
    const bt_backend *look_as; /**< without a device: plans are those of this kind; NULL: of none */
} bt_session_options;

typedef struct bt_session {
    bt_device *device;
    bt_model *model;
    bt_session_options options;
    bt_program *program[BT_PROGRAM_COUNT];
    bt_plan *plan[BT_PROGRAM_COUNT];
    void *block;
    size_t block_bytes;
    float *embeddings, *gradients; /**< (views*batch, width), for chunks */
    double copy_seconds;           /**< spent in handing images to the device, since it was opened */
    int64_t updates[BT_GROUPS];    /**< AdamW updates that each group has had */
    const struct bt_view_cache
        *stored; /**< of a model without a tower: what evaluation takes embeddings from (borrowed) */
} bt_session;

/** Plans all programs for a model whose store is committed to `device`. Both are borrowed. Without a device (NULL) the
 * plans are there to look at: no kernels, no scratch, no memory. */
bt_status bt_session_open(bt_session *out, bt_model *model, bt_device *device,
                          const bt_session_options *options) BT_MUST_CHECK;

/** The two halves of it, for those who ask in between what it will take: plans and block_bytes, and then the block.
 * After a failure of the second the plans are still there. */
bt_status bt_session_plan(bt_session *out, bt_model *model, bt_device *device,
                          const bt_session_options *options) BT_MUST_CHECK;
bt_status bt_session_bind(bt_session *session) BT_MUST_CHECK;
void bt_session_close(bt_session *session);

/** One batch, view after view. */
typedef struct bt_step_batch {
    const void *
        images; /**< (views*batch, S, S, 3) u8 or (views*batch, 3, S, S) f32; with `pictures` (batch, views*S*S*3) u8 */
    const bt_view_record
        *records; /**< (views*batch), with `pictures`: row n of images holds what the records of image n point to */
    const float *embeddings;  /**< (views*batch, width), in place of images where steps are on cached embeddings */
    const int64_t *ids;       /**< (views*batch) sample | view << 32 */
    const int32_t *classes;   /**< (batch) */
    const uint8_t *multi_hot; /**< (batch, classes): labels of images that have several; NULL: one each, from classes */
    const uint8_t *targets;   /**< (views*batch, bits): given target bits, or NULL */
} bt_step_batch;

/** Hyper-parameters of one step. */
typedef struct bt_step_rates {
    uint64_t seed;
    int64_t step;
    double lr[BT_GROUPS];
    bool head_only;
} bt_step_rates;

/** Runs one training step and returns the terms of the loss in the method's order and their weighted sum. */
typedef struct bt_step_result {
    int terms;
    const char *name[BT_MAX_TERMS];
    float value[BT_MAX_TERMS];
    double loss;
} bt_step_result;
bt_status bt_session_step(bt_session *session, const bt_step_batch *batch, const bt_step_rates *rates,
                          bt_step_result *out) BT_MUST_CHECK;

/** Inference on embed_batch images (embeddings (embed_batch, width) f32 where the model has no tower): embedding
 * (embed_batch, width), logits (embed_batch, bits or classes), bits packed; any pointer may be NULL. */
bt_status bt_session_embed(bt_session *session, const void *images, float *embedding, float *logits,
                           uint64_t *bits) BT_MUST_CHECK;

#endif
