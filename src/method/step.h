/* The programs of a model: a training step in one piece or in chunks, and inference.
 *
 * A step larger than memory is not accumulated naively: batch norm, prototypes and the coding rate see the whole batch.
 * Instead encode    each chunk of images -> embeddings, nothing is kept head      loss on all embeddings; gradients of
 * the head; output "de", the gradient of the embeddings backward  each chunk again, forward and backward from its rows
 * of "de"; gradients add up update    clipping, AdamW or, for the head alone: encode (its groups leave out the tower,
 * so no dropout is drawn), head, update. Adapter dropout is keyed by sample, so the second forward of a chunk equals
 * the first.
 */
#ifndef BITTERN_METHOD_STEP_H
#define BITTERN_METHOD_STEP_H

#include "method/method.h"

typedef struct bt_step_options {
    bt_dtype compute;
    bt_recompute recompute;
    int batch;         /**< images of a step; of a chunk for encode and backward */
    bool float_images; /**< images are f32 (.., 3, S, S) as the tower takes them, else u8 (.., S, S, 3) */
    bool pictures;     /**< training programs take pictures and make the views (make_views); not with float_images */
    uint32_t groups;   /**< what is trained: BT_MASK_HEAD or BT_MASK_ALL */
    bt_adamw_options adamw;
    bool average;        /**< moving averages are updated behind AdamW */
    bool gradients_only; /**< no update (parity tests) */
} bt_step_options;

/* Inputs of every program that sees images: "images" (views*batch, ..), view after view; "ids" (views*batch) i64 =
 * sample | view << 32, only where the program draws dropout (bt_plan_find tells). With `pictures`, in place of
 * "images": "pictures" (batch, views*S*S*3) u8, bytes as records refer to them, and "records" (views*batch,
 * sizeof(bt_view_record)) u8. */

/** A whole step. Outputs: each term of the loss by name. */
bt_program *bt_step_program(const bt_model *model, const bt_step_options *options);

/** The same on embeddings of a frozen encoder, for the head alone: input "e" (views*batch, width) in place of images.
 */
bt_program *bt_cached_step_program(const bt_model *model, const bt_step_options *options);

/** Inference on `batch` images of one view: the method's outputs ("embedding", "logits", "bits"). */
bt_program *bt_embed_program(const bt_model *model, const bt_step_options *options);

/** The same on `batch` embeddings, input "e" (batch, width). */
bt_program *bt_cached_embed_program(const bt_model *model, const bt_step_options *options);

/** Chunks: output "e" (views*batch, width). */
bt_program *bt_encode_program(const bt_model *model, const bt_step_options *options);
/** Input "e" (views*batch, width); outputs the terms and "de". Gradients start from zero. */
bt_program *bt_head_program(const bt_model *model, const bt_step_options *options);
/** Inputs "images", "ids", "de" of the chunk. */
bt_program *bt_backward_program(const bt_model *model, const bt_step_options *options);
bt_program *bt_update_program(const bt_model *model, const bt_step_options *options);

#endif
