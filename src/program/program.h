/* Inside of a program, for the files of this module: values, instructions, and what the rules of operations call.
 *
 * A rule file (ops_<family>.c) holds, per operation, the function that records it (shape rule) and its backward rule. A
 * backward rule asks for the gradient of its outputs, emits its hand-written backward instruction, and hands the
 * results on.
 */
#ifndef BITTERN_PROGRAM_PROGRAM_H
#define BITTERN_PROGRAM_PROGRAM_H

#include <bittern/program.h>

#include "program/ops_info.h"
#include "program/store.h"

/* Operands of one operation as values, by name: the typed way to emit an instruction. */
#define IN(name) bt_value name;
#define OPT(name) bt_value name;
#define OUT(name) bt_value name;
#define OUT_OPT(name) bt_value name;
#define STATE(name) bt_value name;
#define OPT_STATE(name) bt_value name;
#define ATTR(type, name)
#define ATTR_ARRAY(type, name, n)
#define BT_OP(family, name, operands, attributes, aliases, effect)                                                     \
    typedef struct bt_##name##_values {                                                                                \
        operands                                                                                                       \
    } bt_##name##_values;
#include "tensor/ops.def"
#undef BT_OP
#undef IN
#undef OPT
#undef OUT
#undef OUT_OPT
#undef STATE
#undef OPT_STATE
#undef ATTR
#undef ATTR_ARRAY

typedef enum bt_value_kind {
    BT_VALUE_INPUT, /**< filled by the caller before a run */
    BT_VALUE_TEMP,  /**< written by one instruction */
    BT_VALUE_STORE, /**< a tensor of the parameter store */
    BT_VALUE_VIEW   /**< another value under another shape */
} bt_value_kind;

typedef struct bt_value_info {
    bt_value_kind kind;
    bt_dtype dtype;
    bt_shape shape;
    int producer;     /**< index of the instruction that writes it, or -1 */
    bt_value base;    /**< the value that a view shows; never itself a view */
    bt_store_ref ref; /**< for BT_VALUE_STORE */
    char *name;       /**< of an input, else NULL */
    bool wants_input_gradient;
    /* differentiate */
    bool needs_gradient; /**< something trainable stands behind it */
    bt_value gradient;   /**< accumulated so far */
    float root_weight;   /**< of a scalar loss */
    bt_value recomputed; /**< its twin in the backward, or 0 */
} bt_value_info;

typedef enum bt_phase { BT_FORWARD, BT_BACKWARD, BT_UPDATE } bt_phase;

typedef struct bt_instruction {
    bt_op op;
    bt_phase phase;
    int segment;                       /**< marked segment it was recorded in, or 0 */
    bt_value operand[BT_MAX_OPERANDS]; /**< in the order of ops.def, 0 where absent */
    void *args;                        /**< bt_<op>_args: attributes set, tensors filled when planned */
} bt_instruction;

typedef struct bt_output_info {
    char *name;
    bt_value value;
} bt_output_info;

/** Rows of a parameter's gradient that an instruction of this program has already stored. */
typedef struct bt_stored_range {
    int param;
    int64_t first, count;
} bt_stored_range;

struct bt_program {
    bt_program_options options;
    bt_status status; /**< sticky */
    char *message;
    const char *file; /**< of the call being recorded */
    int line;

    bt_value_info *value; /**< [1..value_count] */
    int value_count, value_room;
    bt_instruction *instruction;
    int instruction_count, instruction_room;
    bt_output_info *output;
    int output_count, output_room;
    bt_stored_range *stored;
    int stored_count, stored_room;

    bt_phase phase;
    int segment, segments; /**< current (recorded, or being differentiated) and last marked segment */
    bool differentiated;
    uint32_t groups;  /**< trained by this program */
    bt_params *store; /**< the one store that the program reads, or NULL */
};

/* ---- recording (program.c) ---- */

/** False once an error is kept: the caller returns 0. */
bool bt_recording(bt_program *p);

/** Keeps "<file>:<line>: <operation>: <text>" as the program's error when `condition` is false; returns the condition.
 */
bool bt_require(bt_program *p, bool condition, bt_op op, const char *format, ...) BT_PRINTF(4, 5);

/** The usual requirement: operand `v` of `op` has this dtype (and is present). */
bool bt_require_dtype(bt_program *p, bt_op op, const char *operand, bt_value v, bt_dtype dtype);

/** Operand `v`, when present, has exactly this shape. */
bool bt_require_shape(bt_program *p, bt_op op, const char *operand, bt_value v, bt_shape shape);

bt_value bt_new_value(bt_program *p, bt_dtype dtype, bt_shape shape);
bt_value_info *bt_info(const bt_program *p, bt_value v);

/** The value that owns the memory of `v`. */
bt_value bt_owner(const bt_program *p, bt_value v);

/** Appends an instruction and returns its zeroed argument struct for the attributes; use BT_EMIT. NULL after an error.
 */
void *bt_emit(bt_program *p, bt_op op, const bt_value *operands);
#define BT_EMIT(p, name, ...)                                                                                          \
    ((bt_##name##_args *)bt_emit(p, BT_OP_##name, (const bt_value *)&(bt_##name##_values){__VA_ARGS__}))

/** A tensor of the store as an operand. */
bt_value bt_store_value(bt_program *p, bt_store_ref ref);

/** Grows an array to hold one more element; aborts when memory is out (programs are small). */
void bt_grow(void **array, int count, int *room, size_t element_bytes);

/* ---- differentiation (differentiate.c) ---- */

typedef void bt_backward_rule(bt_program *p, const bt_instruction *i);

/** The gradient that has reached `v`, or 0. */
bt_value bt_gradient_of(const bt_program *p, bt_value v);

/** True if a gradient of `v` is of use to anybody. */
bool bt_wants(const bt_program *p, bt_value v);

/** What has been accumulated for `v` so far (0: nothing), to be given to an instruction as `add`; afterwards the result
 * goes back through bt_gradient_replace. */
bt_value bt_gradient_so_far(bt_program *p, bt_value v);
void bt_gradient_replace(bt_program *p, bt_value v, bt_value gradient);

/** Adds `gradient` to what `v` has; emits an addition only when there is something to add to. */
void bt_gradient_add(bt_program *p, bt_value v, bt_value gradient);

/** The store's gradient tensor of a parameter operand, with whether this contribution must be added; 0 when not wanted.
 */
bt_value bt_param_gradient(bt_program *p, bt_value param, int *accumulate);

/** A forward value for use in the backward: itself, or computed again by the program's recompute policy. */
bt_value bt_saved(bt_program *p, bt_value v);

/** The weight of a scalar loss among the roots. */
float bt_root_weight(const bt_program *p, bt_value loss);

/* Backward rules by family; NULL in the table means that no gradient flows through the operation. */
bt_backward_rule bt_linear_backward, bt_lora_linear_backward, bt_attention_backward, bt_rope_backward,
    bt_layer_norm_backward, bt_batch_norm_backward, bt_l2_normalize_backward, bt_gelu_backward, bt_quick_gelu_backward,
    bt_swiglu_backward, bt_relu_backward, bt_add_backward, bt_cast_backward, bt_tokens_backward,
    bt_resample_positions_backward, bt_class_row_backward, bt_code_align_backward, bt_coding_rate_backward,
    bt_cross_entropy_backward;

#endif
