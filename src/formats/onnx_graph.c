/* Nodes, inputs, outputs and constants. Numbers of fields are those of onnx.proto. */
#include "formats/onnx.h"

#include "base/memory.h"
#include "formats/protobuf.h"

#include <string.h>

/* ---- constants ---- */

bool bt_onnx_has(const bt_onnx_graph *g, const char *name) {
    for (size_t i = 0; i < g->count; i++)
        if (strcmp(g->tensors[i].name, name) == 0) return true;
    return false;
}

static bt_onnx_tensor *add_tensor(bt_onnx_graph *g, const char *name, bt_onnx_dtype dtype, int rank,
                                  const int64_t *dim) {
    BT_ASSERT(rank >= 0 && rank <= BT_ONNX_MAX_RANK && !bt_onnx_has(g, name));
    const char *copy = bt_arena_copy(&g->arena, name, strlen(name));
    bt_onnx_tensor *grown = bt_memory_grow(g->tensors, &g->capacity, g->count + 1, sizeof *grown);
    if (grown) g->tensors = grown;
    if (!copy || !grown) {
        g->failed = true;
        return NULL;
    }
    bt_onnx_tensor *t = &g->tensors[g->count++];
    *t = (bt_onnx_tensor){.name = copy, .dtype = dtype, .rank = rank};
    for (int k = 0; k < rank; k++) t->dim[k] = dim[k];
    return t;
}

void bt_onnx_constant(bt_onnx_graph *g, const char *name, bt_onnx_dtype dtype, int rank, const int64_t *dim,
                      const void *data) {
    size_t bytes = dtype == BT_ONNX_F32 ? 4 : dtype == BT_ONNX_I64 ? 8 : 1;
    for (int k = 0; k < rank; k++) bytes *= (size_t)dim[k];
    void *copy = bt_arena_alloc(&g->arena, bytes, 1);
    bt_onnx_tensor *t = copy ? add_tensor(g, name, dtype, rank, dim) : NULL;
    if (!t) {
        g->failed = true;
        return;
    }
    memcpy(copy, data, bytes);
    t->data = copy;
}

void bt_onnx_weight(bt_onnx_graph *g, const char *name, int rank, const int64_t *dim, const float *data,
                    bool transposed) {
    BT_ASSERT(!transposed || rank == 2);
    bt_onnx_tensor *t = add_tensor(g, name, BT_ONNX_F32, rank, dim);
    if (!t) return;
    t->data = data;
    t->transposed = transposed;
}

/* ---- inputs and outputs ---- */

/** ValueInfoProto: name 1, type 2 > TypeProto.tensor_type 1 > elem_type 1, shape 2 > dim 1 > dim_value 1, dim_param 2.
 */
static void put_value(bt_onnx_graph *g, bt_text *out, int field, const char *name, bt_onnx_dtype dtype, int rank,
                      const int64_t *dim) {
    bt_text value = {0}, type = {0}, tensor = {0}, shape = {0}, axis = {0};
    for (int k = 0; k < rank; k++) {
        bt_text_clear(&axis);
        if (dim[k] == BT_ONNX_BATCH)
            bt_protobuf_string(&axis, 2, "N");
        else
            bt_protobuf_integer(&axis, 1, dim[k]);
        bt_protobuf_message(&shape, 1, &axis);
    }
    bt_protobuf_integer(&tensor, 1, dtype);
    bt_protobuf_message(&tensor, 2, &shape);
    bt_protobuf_message(&type, 1, &tensor);
    bt_protobuf_string(&value, 1, name);
    bt_protobuf_message(&value, 2, &type);
    bt_protobuf_message(out, field, &value);
    g->failed = g->failed || out->failed;
    bt_text *all[] = {&value, &type, &tensor, &shape, &axis};
    for (int k = 0; k < 5; k++) bt_text_free(all[k]);
}

void bt_onnx_input(bt_onnx_graph *g, const char *name, bt_onnx_dtype dtype, int rank, const int64_t *dim) {
    put_value(g, &g->inputs, 11, name, dtype, rank, dim);
}

void bt_onnx_output(bt_onnx_graph *g, const char *name, bt_onnx_dtype dtype, int rank, const int64_t *dim) {
    put_value(g, &g->outputs, 12, name, dtype, rank, dim);
}

/* ---- nodes ---- */

/** AttributeProto: name 1, f 2, i 3, ints 8, type 20 (FLOAT 1, INT 2, INTS 7). */
static void put_attribute(bt_text *node, const bt_onnx_attribute *a) {
    bt_text out = {0};
    bt_protobuf_string(&out, 1, a->name);
    if (a->kind == BT_ONNX_FLOAT) bt_protobuf_float(&out, 2, a->f);
    if (a->kind == BT_ONNX_INT) bt_protobuf_integer(&out, 3, a->i);
    for (int k = 0; a->kind == BT_ONNX_INTS && k < a->count; k++) bt_protobuf_integer(&out, 8, a->ints[k]);
    bt_protobuf_integer(&out, 20, a->kind == BT_ONNX_FLOAT ? 1 : a->kind == BT_ONNX_INT ? 2 : 7);
    bt_protobuf_message(node, 5, &out);
    bt_text_free(&out);
}

/** NodeProto: input 1, output 2, name 3, op_type 4, attribute 5. */
void bt_onnx_node(bt_onnx_graph *g, const bt_onnx_node_spec *s) {
    bt_text node = {0};
    for (int k = 0; k < BT_ONNX_MAX_OPERANDS && s->inputs[k]; k++) bt_protobuf_string(&node, 1, s->inputs[k]);
    for (int k = 0; k < BT_ONNX_MAX_OPERANDS && s->outputs[k]; k++) bt_protobuf_string(&node, 2, s->outputs[k]);
    bt_protobuf_string(&node, 3, s->outputs[0]);
    bt_protobuf_string(&node, 4, s->op);
    for (int k = 0; k < 2 && s->attributes[k].kind != BT_ONNX_NO_ATTRIBUTE; k++)
        put_attribute(&node, &s->attributes[k]);
    bt_protobuf_message(&g->nodes, 1, &node);
    g->failed = g->failed || g->nodes.failed;
    bt_text_free(&node);
}

void bt_onnx_free(bt_onnx_graph *g) {
    bt_text_free(&g->nodes);
    bt_text_free(&g->inputs);
    bt_text_free(&g->outputs);
    bt_memory_free(g->tensors);
    bt_arena_free(&g->arena);
    *g = (bt_onnx_graph){0};
}
