/* Programs: a training or inference step as a flat list of instructions.
 *
 *   bt_program *p = bt_program_new(&options);
 *   bt_value x = bt_input(p, "images", BT_U8, bt_shape4(n, 224, 224, 3));
 *   bt_value w = bt_param(p, store, index), y = bt_linear(p, x, w, b, none);    // record: shapes only, no memory
 *   bt_root root = {.value = loss, .weight = 1};
 *   bt_differentiate(p, &root, 1, groups);                                      // appends the backward instructions
 *   BT_TRY(bt_plan_new(p, device, &plan));                                      // offsets in a block, kernels chosen
 *   BT_TRY(bt_plan_bind(plan, block));
 *   BT_TRY(bt_plan_run(plan));                                                  // many times
 *
 * Errors while recording are sticky: the program keeps the first one with operation, shapes and the caller's file and
 * line; later calls do nothing and return 0; bt_program_check and bt_plan report it. So model code has no error
 * handling.
 *
 * A value is written once (SSA) and has no memory until the program is planned. Work that no output, root or side
 * effect needs is not planned. Gradients that nothing trainable needs are not recorded.
 */
#ifndef BITTERN_PROGRAM_H
#define BITTERN_PROGRAM_H

#include <bittern/params.h>
#include <bittern/positions.h>
#include <bittern/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bt_program bt_program;

/** Index of a value in its program; 0 is "none" (an absent optional operand, or the result of a call after an error).
 */
typedef int32_t bt_value;

/** What the backward may compute again instead of keeping. */
typedef enum bt_recompute {
    BT_RECOMPUTE_NONE,  /**< every value the backward reads is kept from the forward */
    BT_RECOMPUTE_CHEAP, /**< outputs of layer_norm, gelu, quick_gelu and swiglu are computed again from their inputs */
    BT_RECOMPUTE_BLOCKS /**< of each marked segment only the inputs are kept */
} bt_recompute;

typedef struct bt_program_options {
    bt_dtype compute; /**< BT_F32 or BT_BF16: dtype of activations and of product weights */
    bt_recompute recompute;
    bool training;   /**< dropout and batch statistics on */
    bool accumulate; /**< parameter gradients are added to what the store holds (chunks of a larger batch) */
} bt_program_options;

bt_program *bt_program_new(const bt_program_options *options);
void bt_program_free(bt_program *p);
const bt_program_options *bt_program_options_of(const bt_program *p);

/** The sticky error, or BT_OK. */
bt_status bt_program_check(const bt_program *p) BT_MUST_CHECK;

/** Records a fault of the caller's own (shape that does not fit a module); keeps the first one. */
void bt_program_fail(bt_program *p, bt_status status, const char *format, ...) BT_PRINTF(3, 4);

/* ---- values ---- */

/** Memory in the block that the caller fills before each run. `name` must be unique in the program and is copied. */
bt_value bt_input(bt_program *p, const char *name, bt_dtype dtype, bt_shape shape);

/** As bt_input; the gradient of a root reaches it and can be read as output "d<name>" (cached embeddings). */
bt_value bt_input_with_gradient(bt_program *p, const char *name, bt_dtype dtype, bt_shape shape);

/** A tensor of the store: product weights in the compute dtype, everything else f32. The store must outlive the
 * program. */
bt_value bt_param(bt_program *p, bt_params *store, int index);

/** Rows [first, first+count) of a parameter of rank 2 (q, k or v of a fused qkv), or of its bias (rank 1). */
bt_value bt_param_rows(bt_program *p, bt_params *store, int index, int64_t first, int64_t count);

/** Keeps `v` readable after a run under `name`. */
void bt_output(bt_program *p, const char *name, bt_value v);

bt_shape bt_shape_of_value(const bt_program *p, bt_value v);
bt_dtype bt_dtype_of_value(const bt_program *p, bt_value v);

/** The same elements under another shape with the same last axis, or any shape if the value is contiguous. */
bt_value bt_reshape(bt_program *p, bt_value v, bt_shape shape);

/** Marks the instructions between begin and end as a segment that BT_RECOMPUTE_BLOCKS computes again. Not nested. */
void bt_segment_begin(bt_program *p);
void bt_segment_end(bt_program *p);

/* ---- operations: formulas, shapes and dtypes are in src/tensor/ops.def; optional operands are 0 ---- */

/** Remembers the caller's place for the message of a fault in the next call; the macros below do it. */
bt_program *bt_here(bt_program *p, const char *file, int line);

/** A LoRA adapter of a linear layer as values; all zero for none. */
typedef struct bt_lora_values {
    bt_value a; /**< (P*R, I) */
    bt_value b; /**< (P*W, R) */
    float scale, dropout;
    int stream; /**< random stream of the dropout, one per adapted layer */
    int parts, rank;
    int64_t part_column[3]; /**< first column of y of each part */
    int64_t part_width;     /**< W */
} bt_lora_values;

bt_value bt_linear(bt_program *p, bt_value x, bt_value w, bt_value b, bt_value add);
bt_value bt_lora_linear(bt_program *p, bt_value x, bt_value w, bt_value b, const bt_lora_values *lora, bt_value add,
                        bt_value ids);
bt_value bt_attention(bt_program *p, bt_value qkv, bt_value q, int heads);
/** Rotates the first `rotated` of `parts` equal parts of x (N, T, parts*C): q and k of q, k, v; k of k, v. The first
 * `prefix` tokens (class, registers) have no position; table (T - prefix, C/heads) f32 = [cos | sin] of half a head's
 * angles, not trained. */
bt_value bt_rope(bt_program *p, bt_value x, bt_value table, int parts, int rotated, int heads, int prefix);
bt_value bt_layer_norm(bt_program *p, bt_value x, bt_value w, bt_value b, float eps);
/** Training programs use batch statistics of each of `groups` views and update the running ones; others use the running
 * ones. */
bt_value bt_batch_norm(bt_program *p, bt_value z, bt_value w, bt_value b, bt_value running_mean, bt_value running_var,
                       int groups, float eps, float momentum);
bt_value bt_gelu(bt_program *p, bt_value x);
bt_value bt_quick_gelu(bt_program *p, bt_value x);
/** x (.., 2h), gate and value side by side -> (.., h). */
bt_value bt_swiglu(bt_program *p, bt_value x);
bt_value bt_relu(bt_program *p, bt_value x);
bt_value bt_add(bt_program *p, bt_value x, bt_value f, bt_value scale);
bt_value bt_cast(bt_program *p, bt_value x, bt_dtype dtype);
/** Views of pictures: pixels u8 holds them, views u8 (M, bytes of a bt_view_record) says which and how; (M, size, size,
 * 3) u8. */
bt_value bt_make_views(bt_program *p, bt_value pixels, bt_value views, int64_t size);
bt_value bt_patchify(bt_program *p, bt_value images, int patch, int64_t columns, const float mean[3],
                     const float std[3]);
bt_value bt_tokens(bt_program *p, bt_value patches, bt_value cls, bt_value pos, bt_value reg);
/** Position embeddings for a grid of to[0] x to[1] patches from pos (prefix + from[0]*from[1], D) f32, made for another
 * grid; the first `prefix` rows (class token) are copied. The same value where the grid is the same. Trained positions
 * must be a parameter. */
bt_value bt_resample_positions(bt_program *p, bt_value pos, int prefix, const int from[2], const int to[2],
                               bt_positions rule);
bt_value bt_class_row(bt_program *p, bt_value x);
bt_value bt_l2_normalize(bt_program *p, bt_value x, float eps);
bt_value bt_code_align(bt_program *p, bt_value z, bt_value targets, int views);
bt_value bt_prototype_targets(bt_program *p, bt_value z, bt_value labels, int views);
bt_value bt_sign_pack(bt_program *p, bt_value z);
bt_value bt_coding_rate(bt_program *p, bt_value x, int groups, float eps);
bt_value bt_cross_entropy(bt_program *p, bt_value logits, bt_value labels);
bt_value bt_sum_squares(bt_program *p, bt_value x);

#define bt_linear(p, ...) (bt_linear)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_lora_linear(p, ...) (bt_lora_linear)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_attention(p, ...) (bt_attention)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_rope(p, ...) (bt_rope)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_layer_norm(p, ...) (bt_layer_norm)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_batch_norm(p, ...) (bt_batch_norm)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_gelu(p, ...) (bt_gelu)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_quick_gelu(p, ...) (bt_quick_gelu)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_swiglu(p, ...) (bt_swiglu)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_relu(p, ...) (bt_relu)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_add(p, ...) (bt_add)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_cast(p, ...) (bt_cast)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_make_views(p, ...) (bt_make_views)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_patchify(p, ...) (bt_patchify)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_tokens(p, ...) (bt_tokens)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_resample_positions(p, ...) (bt_resample_positions)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_class_row(p, ...) (bt_class_row)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_l2_normalize(p, ...) (bt_l2_normalize)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_code_align(p, ...) (bt_code_align)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_prototype_targets(p, ...) (bt_prototype_targets)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_sign_pack(p, ...) (bt_sign_pack)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_coding_rate(p, ...) (bt_coding_rate)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_cross_entropy(p, ...) (bt_cross_entropy)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)
#define bt_sum_squares(p, ...) (bt_sum_squares)(bt_here(p, __FILE__, __LINE__), __VA_ARGS__)

/* ---- differentiate ---- */

/** Where the backward starts: a scalar loss times `weight`, or any value with its gradient given as another value. */
typedef struct bt_root {
    bt_value value;
    bt_value gradient; /**< same shape as value; 0 for a scalar loss */
    float weight;
} bt_root;

/** Appends the backward of all roots. Gradients of trainable parameters (groups in the mask `groups`, bit g for group
 * g) go into the store's gradient vector. Call once. */
void bt_differentiate(bt_program *p, const bt_root *roots, int count, uint32_t groups);

/** Appends, for the groups in the mask: the squared norm if max_norm > 0, the AdamW update, and the refresh of the
 * compute copies. Call after bt_differentiate. */
typedef struct bt_adamw_options {
    double beta1, beta2, eps;
    float max_norm; /**< 0: no clipping */
} bt_adamw_options;
void bt_adamw_update(bt_program *p, bt_params *store, uint32_t groups, const bt_adamw_options *options);

/** Appends the update of the store's moving averages (bt_params_keep_average). Call after bt_adamw_update. */
void bt_ema_update(bt_program *p, bt_params *store);

/** Appends the clearing of the store's gradients (before the first chunk of an accumulated batch). */
void bt_zero_gradients(bt_program *p, bt_params *store);

/** Appends the clearing of rows [first, first+count) of one parameter's gradient: what is 0 there stays 0. Call after
 * bt_differentiate. */
void bt_zero_gradient_rows(bt_program *p, bt_params *store, int index, int64_t first, int64_t count);

/* ---- plan and run ---- */

typedef struct bt_plan bt_plan;
struct bt_device;

/** Drops dead instructions, assigns offsets, lets the device choose kernels. */
bt_status bt_plan_new(const bt_program *p, struct bt_device *device, bt_plan **out) BT_MUST_CHECK;
void bt_plan_free(bt_plan *plan);

/** Bytes of the block that the plan needs; programs of one set share the largest. */
size_t bt_plan_bytes(const bt_plan *plan);

/** Binds the plan to a block of device memory of at least bt_plan_bytes, which stays the caller's. */
bt_status bt_plan_bind(bt_plan *plan, void *block) BT_MUST_CHECK;

/** Copies into an input; `bytes` must be its exact size. */
bt_status bt_plan_set(bt_plan *plan, const char *input, const void *host, size_t bytes) BT_MUST_CHECK;

/** Runs all instructions. Asynchronous on devices that are. A device that can record launches (CUDA graphs) has the
 * second run recorded and issues each later one as a whole, to the same bits. */
bt_status bt_plan_run(bt_plan *plan) BT_MUST_CHECK;

/** With false, every run is issued kernel by kernel: for measuring, and for tools that look at single kernels. */
void bt_plan_set_replay(bt_plan *plan, bool on);

/** Why runs are issued kernel by kernel on a device that can record: what it said when it refused. NULL otherwise. */
const char *bt_plan_replay_refusal(const bt_plan *plan);

/** Copies an output to the host, waiting for it. `bytes` must be its exact size. Reports a kernel's fault (a pivot, a
 * label) as BT_ERR_NUMERIC. */
bt_status bt_plan_get(bt_plan *plan, const char *output, void *host, size_t bytes) BT_MUST_CHECK;

/** An input's content, or where an output goes. The last one of a list has no name. */
typedef struct bt_plan_input {
    const char *name;
    const void *host;
    size_t bytes;
} bt_plan_input;

typedef struct bt_plan_output {
    const char *name;
    void *host;
    size_t bytes;
} bt_plan_output;

/** Plans a program, runs it once with these inputs, copies these outputs, and gives all memory back. Errors of
 * bt_plan_*; the parameters that it reads must be committed to `device`. */
bt_status bt_program_run_once(const bt_program *p, struct bt_device *device, const bt_plan_input *inputs,
                              const bt_plan_output *outputs) BT_MUST_CHECK;

/** Shape and dtype of an input or output by name; false if there is none. */
bool bt_plan_find(const bt_plan *plan, const char *name, bt_dtype *dtype, bt_shape *shape);

/** Totals of the plan. */
typedef struct bt_plan_summary {
    int instructions;
    double flops; /**< of products (2 x multiply-add) and nothing else */
    double bytes; /**< read and written by all instructions, each operand once */
    size_t block_bytes;
    size_t lower_bound_bytes; /**< largest sum of live values over all instructions: no plan can be smaller */
    size_t saved_bytes;       /**< values written by the forward and read by the backward */
    int cuda_launches;        /**< kernels and library calls on CUDA */
} bt_plan_summary;
bt_plan_summary bt_plan_summarize(const bt_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
