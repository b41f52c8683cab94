/* ONNX files, writing: a graph of nodes and tensors in memory, and then as one file, or as one with its weights in a
 * second file.
 *
 * A file is the protocol buffer ModelProto of onnx.proto (the ONNX specification, "IR.md"), IR version 8 with operator
 * set 17: the first that has LayerNormalization as one operator, which ONNX 1.12 of 2022 and all readers since then
 * know. Weights are not copied: tensors of a graph point at them, and they go from there to the file.
 *
 *   bt_onnx_graph g = {0};
 *   bt_onnx_input(&g, "x", BT_ONNX_F32, 2, (int64_t[]){BT_ONNX_BATCH, 8});
 *   bt_onnx_weight(&g, "w", 2, (int64_t[]){8, 4}, w, true);                        w (4, 8), transposed on its way
 *   bt_onnx_node(&g, &(bt_onnx_node_spec){.op = "MatMul", .inputs = {"x", "w"}, .outputs = {"y"}});
 *   bt_onnx_output(&g, "y", BT_ONNX_F32, 2, (int64_t[]){BT_ONNX_BATCH, 4});
 *   BT_TRY(bt_onnx_write(&g, &description, "model.onnx", &bytes));
 *
 * Errors are sticky: bt_onnx_write reports that memory was out. */
#ifndef BITTERN_FORMATS_ONNX_H
#define BITTERN_FORMATS_ONNX_H

#include "base/arena.h"
#include "base/text.h"

#include <bittern/safetensors.h>

#include <stdint.h>

/** Element types, the numbers of TensorProto.DataType. */
typedef enum bt_onnx_dtype { BT_ONNX_F32 = 1, BT_ONNX_U8 = 2, BT_ONNX_I64 = 7 } bt_onnx_dtype;

enum { BT_ONNX_MAX_RANK = 6, BT_ONNX_MAX_OPERANDS = 6, BT_ONNX_BATCH = -1, BT_ONNX_IR = 8, BT_ONNX_OPSET = 17 };

/** What follows the name of an external file: weights of OUT.onnx lie in OUT.onnx.data. */
#define BT_ONNX_DATA_SUFFIX ".data"

typedef enum bt_onnx_kind { BT_ONNX_NO_ATTRIBUTE, BT_ONNX_FLOAT, BT_ONNX_INT, BT_ONNX_INTS } bt_onnx_kind;

typedef struct bt_onnx_attribute {
    const char *name;
    bt_onnx_kind kind;
    float f;
    int64_t i;
    int count;
    int64_t ints[BT_ONNX_MAX_RANK];
} bt_onnx_attribute;

typedef struct bt_onnx_node_spec {
    const char *op;                            /**< operator of the standard set */
    const char *inputs[BT_ONNX_MAX_OPERANDS];  /**< up to the first NULL */
    const char *outputs[BT_ONNX_MAX_OPERANDS]; /**< the same; the first one's name is the node's too */
    bt_onnx_attribute attributes[2];           /**< up to the first of no kind */
} bt_onnx_node_spec;

/** A constant of the graph. */
typedef struct bt_onnx_tensor {
    const char *name;
    bt_onnx_dtype dtype;
    int rank;
    int64_t dim[BT_ONNX_MAX_RANK];
    const void *data; /**< in that shape; transposed: (dim[1], dim[0]) */
    bool transposed;  /**< f32 of rank 2 only */
} bt_onnx_tensor;

/** Zero-initialised is empty. Names are copied. */
typedef struct bt_onnx_graph {
    bt_text nodes, inputs, outputs; /**< fields of GraphProto */
    bt_onnx_tensor *tensors;
    size_t count, capacity;
    bt_arena arena; /**< names and small constants */
    bool failed;    /**< memory was out */
} bt_onnx_graph;

/** Whether a tensor of that name is there. */
bool bt_onnx_has(const bt_onnx_graph *graph, const char *name);

/** A constant whose values are copied. */
void bt_onnx_constant(bt_onnx_graph *graph, const char *name, bt_onnx_dtype dtype, int rank, const int64_t *dim,
                      const void *data);

/** f32 values that stay the caller's until the graph is written. `transposed`: `data` is (dim[1], dim[0]). */
void bt_onnx_weight(bt_onnx_graph *graph, const char *name, int rank, const int64_t *dim, const float *data,
                    bool transposed);

/** What the graph takes and gives; BT_ONNX_BATCH is the axis "N" of any length. */
void bt_onnx_input(bt_onnx_graph *graph, const char *name, bt_onnx_dtype dtype, int rank, const int64_t *dim);
void bt_onnx_output(bt_onnx_graph *graph, const char *name, bt_onnx_dtype dtype, int rank, const int64_t *dim);

void bt_onnx_node(bt_onnx_graph *graph, const bt_onnx_node_spec *spec);
void bt_onnx_free(bt_onnx_graph *graph);

typedef struct bt_onnx_description {
    const char *producer, *version, *name, *text; /**< program and its version; name of the graph; for people */
    const bt_safetensors_pair *metadata;
    int metadata_count;
    bool external; /**< weights in a second file, PATH.data */
    size_t most;   /**< bytes above which they are there anyway; 0: 2^31 - 1, the most that protocol buffers allow */
} bt_onnx_description;

/** What became of a PATH.data beside a new graph that has its weights inside. */
typedef enum bt_onnx_beside {
    BT_ONNX_ALONE,   /**< there was none, or it is the graph's own */
    BT_ONNX_REMOVED, /**< it held the weights of the graph that was replaced */
    BT_ONNX_LEFT     /**< it is something else, or could not be removed (which is logged) */
} bt_onnx_beside;

typedef struct bt_onnx_written {
    double bytes;  /**< of both files */
    bool external; /**< there is a second one */
    bt_onnx_beside beside;
} bt_onnx_written;

/** Writes PATH, and PATH.data for tensors of at least 1024 bytes where they are external (there at multiples of 4096,
 * so that readers can map them). Both appear whole or not at all, and replace what was there only when everything is on
 * the disk. A PATH.data that the new graph does not use is removed when the graph is in place, if the replaced PATH was
 * the same producer's and named it, and it has the size that was named. BT_ERR_MEMORY, BT_ERR_IO; BT_ERR_UNSUPPORTED
 * where the graph without weights is beyond what protocol buffers allow. */
bt_status bt_onnx_write(const bt_onnx_graph *graph, const bt_onnx_description *description, const char *path,
                        bt_onnx_written *out) BT_MUST_CHECK;

/** Whether `data_path` holds the weights of the graph at `path`, as bt_onnx_write wrote both for this producer: each of
 * its external tensors names that file, and the file ends where the last of them does. False too where either cannot be
 * read. */
bool bt_onnx_is_data_of(const char *data_path, const char *path, const char *producer);

#endif
