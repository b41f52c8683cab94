/* A recorded program becoming an ONNX graph, instruction by instruction.
 *
 * The program is an inference program in f32 recorded for one image. What comes from its input has the batch as first
 * axis, of any length in the graph: shapes of nodes never name it (a 0 or -1 of Reshape stands for it). What comes from
 * parameters alone is computed here, once, and becomes a constant (positions for another grid). */
#ifndef BITTERN_ENCODER_ONNX_BUILDER_H
#define BITTERN_ENCODER_ONNX_BUILDER_H

#include "formats/onnx.h"
#include "program/program.h"

typedef struct bt_onnx_builder {
    const bt_program *program;
    bt_params *store; /**< not committed */
    bt_onnx_graph *graph;
    bt_arena arena;
    const char **name;   /**< [value]: in the graph; NULL: not there yet */
    const float **known; /**< [value]: its numbers, of what instructions make of parameters alone */
    bool *batched;       /**< [value]: the input stands behind it */
    int serial;          /**< of nodes */
    bt_status status;    /**< sticky; the message is the thread's */
} bt_onnx_builder;

/** Translates all instructions of `program` into `graph`. BT_ERR_UNSUPPORTED names an operation that has no
 * translation. `out` owns memory in any case: bt_onnx_builder_free. The program has one input, which is the graph's. */
bt_status bt_onnx_translate(bt_onnx_builder *out, const bt_program *program, bt_params *store,
                            bt_onnx_graph *graph) BT_MUST_CHECK;
void bt_onnx_builder_free(bt_onnx_builder *builder);

/* ---- nodes: all return the name of the (first) output, "" after a failure ---- */

#define BT_ONNX_AXIS(value)                                                                                            \
    { .name = "axis", .kind = BT_ONNX_INT, .i = (value) }

/** A node as described but for its outputs, which are named here after the operator: Add_12, and Split_13_1 behind the
 * first. `outputs` of them, at most BT_ONNX_MAX_OPERANDS; `all` receives the names, or is NULL. */
const char *bt_onnx_add(bt_onnx_builder *b, bt_onnx_node_spec spec, int outputs, const char **all);

const char *bt_onnx_unary(bt_onnx_builder *b, const char *op, const char *x);
const char *bt_onnx_binary(bt_onnx_builder *b, const char *op, const char *x, const char *y);

/** `dim` in the notation of ONNX: 0 is the axis of x in this place, -1 what is left. */
const char *bt_onnx_reshape(bt_onnx_builder *b, const char *x, int rank, const int64_t *dim);
const char *bt_onnx_transpose(bt_onnx_builder *b, const char *x, int rank, const int64_t *axes);
/** Parts of these sizes along an axis. */
void bt_onnx_split(bt_onnx_builder *b, const char *x, int64_t axis, int count, const int64_t *sizes, const char **out);
const char *bt_onnx_concat(bt_onnx_builder *b, const char *x, const char *y, int64_t axis);
/** [first, end) of an axis. */
const char *bt_onnx_slice(bt_onnx_builder *b, const char *x, int64_t axis, int64_t first, int64_t end);

/* ---- constants ---- */

const char *bt_onnx_scalar(bt_onnx_builder *b, float value);
const char *bt_onnx_integers(bt_onnx_builder *b, int count, const int64_t *values);

/** Name of a value of the program, whose parameter or Reshape is added on first use. */
const char *bt_onnx_value(bt_onnx_builder *b, bt_value v);

/** The weight (O, I) of a linear layer as (I, O), padding of its columns left out. */
const char *bt_onnx_transposed(bt_onnx_builder *b, bt_value w);

/** Numbers of a value that parameters alone stand behind, in its shape; NULL with an error if the input does. */
const float *bt_onnx_known(bt_onnx_builder *b, bt_value v);

/** Keeps the first failure. */
void bt_onnx_fail(bt_onnx_builder *b, bt_status status);

/* ---- operations (onnx_ops.c) ---- */

typedef void bt_onnx_translator(bt_onnx_builder *b, const bt_instruction *i);

/** NULL: `op` has no translation. */
bt_onnx_translator *bt_onnx_translator_of(bt_op op);

#endif
