/* Names, constants and nodes, and the walk over a program's instructions. */
#include "encoder/onnx_builder.h"

#include "base/memory.h"

#include <string.h>

void bt_onnx_fail(bt_onnx_builder *b, bt_status status) {
    if (b->status == BT_OK) b->status = status;
}

/** The text, or "" with the failure kept. */
static const char *kept(bt_onnx_builder *b, const char *text) {
    if (text) return text;
    bt_onnx_fail(b, BT_ERR_MEMORY);
    return "";
}

/* ---- nodes ---- */

const char *bt_onnx_add(bt_onnx_builder *b, bt_onnx_node_spec spec, int outputs, const char **all) {
    BT_ASSERT(outputs >= 1 && outputs <= BT_ONNX_MAX_OPERANDS);
    int serial = b->serial++;
    for (int k = 0; k < outputs; k++) {
        spec.outputs[k] = kept(b, k ? bt_arena_format(&b->arena, "%s_%d_%d", spec.op, serial, k)
                                    : bt_arena_format(&b->arena, "%s_%d", spec.op, serial));
        if (all) all[k] = spec.outputs[k];
    }
    if (b->status == BT_OK) bt_onnx_node(b->graph, &spec);
    return spec.outputs[0];
}

const char *bt_onnx_unary(bt_onnx_builder *b, const char *op, const char *x) {
    return bt_onnx_add(b, (bt_onnx_node_spec){.op = op, .inputs = {x}}, 1, NULL);
}

const char *bt_onnx_binary(bt_onnx_builder *b, const char *op, const char *x, const char *y) {
    return bt_onnx_add(b, (bt_onnx_node_spec){.op = op, .inputs = {x, y}}, 1, NULL);
}

const char *bt_onnx_reshape(bt_onnx_builder *b, const char *x, int rank, const int64_t *dim) {
    return bt_onnx_binary(b, "Reshape", x, bt_onnx_integers(b, rank, dim));
}

const char *bt_onnx_transpose(bt_onnx_builder *b, const char *x, int rank, const int64_t *axes) {
    bt_onnx_attribute perm = {.name = "perm", .kind = BT_ONNX_INTS, .count = rank};
    memcpy(perm.ints, axes, (size_t)rank * sizeof *axes);
    return bt_onnx_add(b, (bt_onnx_node_spec){.op = "Transpose", .inputs = {x}, .attributes = {perm}}, 1, NULL);
}

void bt_onnx_split(bt_onnx_builder *b, const char *x, int64_t axis, int count, const int64_t *sizes, const char **out) {
    bt_onnx_add(b,
                (bt_onnx_node_spec){.op = "Split",
                                    .inputs = {x, bt_onnx_integers(b, count, sizes)},
                                    .attributes = {BT_ONNX_AXIS(axis)}},
                count, out);
}

const char *bt_onnx_concat(bt_onnx_builder *b, const char *x, const char *y, int64_t axis) {
    return bt_onnx_add(b, (bt_onnx_node_spec){.op = "Concat", .inputs = {x, y}, .attributes = {BT_ONNX_AXIS(axis)}}, 1,
                       NULL);
}

const char *bt_onnx_slice(bt_onnx_builder *b, const char *x, int64_t axis, int64_t first, int64_t end) {
    const char *from = bt_onnx_integers(b, 1, &first), *to = bt_onnx_integers(b, 1, &end),
               *along = bt_onnx_integers(b, 1, &axis);
    return bt_onnx_add(b, (bt_onnx_node_spec){.op = "Slice", .inputs = {x, from, to, along}}, 1, NULL);
}

/* ---- constants ---- */

const char *bt_onnx_scalar(bt_onnx_builder *b, float value) {
    const char *name = kept(b, bt_arena_format(&b->arena, "scalar_%.9g", (double)value));
    if (b->status == BT_OK && !bt_onnx_has(b->graph, name))
        bt_onnx_constant(b->graph, name, BT_ONNX_F32, 0, NULL, &value);
    return name;
}

const char *bt_onnx_integers(bt_onnx_builder *b, int count, const int64_t *values) {
    bt_text text = {0};
    bt_text_append(&text, "integers");
    for (int k = 0; k < count; k++) bt_text_append(&text, "_%lld", (long long)values[k]);
    const char *name = kept(b, text.failed ? NULL : bt_arena_copy(&b->arena, bt_text_get(&text), text.length));
    bt_text_free(&text);
    if (b->status == BT_OK && !bt_onnx_has(b->graph, name))
        bt_onnx_constant(b->graph, name, BT_ONNX_I64, 1, &(int64_t){count}, values);
    return name;
}

/* ---- parameters ---- */

/** Rows of a parameter as they are on the host: in the file's columns, without padding. */
typedef struct rows {
    const char *name;
    const float *data;
    int64_t count, columns; /* columns 0: rank 1 */
} rows;

static rows rows_of(bt_onnx_builder *b, bt_value v) {
    const bt_store_ref *ref = &bt_info(b->program, v)->ref;
    const bt_param_spec *spec = bt_params_spec(b->store, ref->param);
    int64_t all = spec->shape.dim[0], each = bt_shape_count(spec->shape) / all;
    rows r = {.name = spec->name, .data = bt_params_host(b->store, ref->param), .count = all};
    r.columns = spec->shape.rank > 1 ? each : 0;
    if (!ref->count) return r;
    r.name = kept(b, bt_arena_format(&b->arena, "%s[%lld:%lld]", spec->name, (long long)ref->first,
                                     (long long)(ref->first + ref->count)));
    r.data += ref->first * each;
    r.count = ref->count;
    return r;
}

static bool is_store(const bt_onnx_builder *b, bt_value v) {
    const bt_value_info *info = bt_info(b->program, v);
    return info->kind == BT_VALUE_STORE && info->ref.slot == BT_STORE_VALUE;
}

const float *bt_onnx_known(bt_onnx_builder *b, bt_value v) {
    bt_value owner = bt_owner(b->program, v);
    if (is_store(b, owner)) return rows_of(b, owner).data;
    if (b->known[owner]) return b->known[owner];
    bt_onnx_fail(b,
                 bt_error(BT_ERR_UNSUPPORTED, "a value that should follow from parameters alone comes from the input"));
    return NULL;
}

const char *bt_onnx_transposed(bt_onnx_builder *b, bt_value w) {
    if (!is_store(b, w) || bt_info(b->program, w)->shape.rank != 2) {
        bt_onnx_fail(b, bt_error(BT_ERR_UNSUPPORTED, "a matrix product of two computed values has no translation"));
        return "";
    }
    rows r = rows_of(b, w);
    const char *name = kept(b, bt_arena_format(&b->arena, "%s.transposed", r.name));
    if (b->status == BT_OK && !bt_onnx_has(b->graph, name))
        bt_onnx_weight(b->graph, name, 2, (int64_t[]){r.columns, r.count}, r.data, true);
    return name;
}

static const char *add_parameter(bt_onnx_builder *b, bt_value v) {
    bt_shape shape = bt_info(b->program, v)->shape;
    rows r = rows_of(b, v);
    BT_ASSERT(bt_shape_count(shape) == r.count * (r.columns ? r.columns : 1)); /* padded ones are weights */
    if (b->status == BT_OK && !bt_onnx_has(b->graph, r.name))
        bt_onnx_weight(b->graph, r.name, shape.rank, shape.dim, r.data, false);
    return r.name;
}

/** A value under another shape. The batch, or what it is multiplied with, is the first axis of both. */
static const char *add_view(bt_onnx_builder *b, bt_value v) {
    bt_shape shape = bt_info(b->program, v)->shape;
    bt_value owner = bt_owner(b->program, v);
    if (b->batched[owner]) shape.dim[0] = -1;
    return bt_onnx_reshape(b, bt_onnx_value(b, owner), shape.rank, shape.dim);
}

const char *bt_onnx_value(bt_onnx_builder *b, bt_value v) {
    if (b->name[v]) return b->name[v];
    if (is_store(b, v)) return b->name[v] = add_parameter(b, v);
    if (bt_info(b->program, v)->kind == BT_VALUE_VIEW) return b->name[v] = add_view(b, v);
    bt_onnx_fail(b, bt_error(BT_ERR_UNSUPPORTED, "a value of the program has no translation into ONNX"));
    return "";
}

/* ---- the walk ---- */

static bt_status allocate(bt_onnx_builder *b) {
    size_t values = (size_t)b->program->value_count + 1;
    b->name = bt_arena_alloc(&b->arena, values, sizeof *b->name);
    b->known = bt_arena_alloc(&b->arena, values, sizeof *b->known);
    b->batched = bt_arena_alloc(&b->arena, values, sizeof *b->batched);
    return b->name && b->known && b->batched ? BT_OK : BT_ERR_MEMORY;
}

static void add_input(bt_onnx_builder *b, bt_value v) {
    const bt_value_info *info = bt_info(b->program, v);
    int64_t dim[BT_MAX_RANK] = {BT_ONNX_BATCH};
    BT_ASSERT(info->dtype == BT_F32 && info->shape.dim[0] == 1);
    for (int k = 1; k < info->shape.rank; k++) dim[k] = info->shape.dim[k];
    bt_onnx_input(b->graph, info->name, BT_ONNX_F32, info->shape.rank, dim);
    b->name[v] = info->name;
    b->batched[v] = true;
}

static void translate(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_op_info *info = bt_op_info_of(i->op);
    bt_onnx_translator *translator = bt_onnx_translator_of(i->op);
    if (!translator) {
        bt_onnx_fail(b, bt_error(BT_ERR_UNSUPPORTED, "the operation %s has no translation into ONNX", info->name));
        return;
    }
    bool batched = false;
    for (int k = 0; k < info->operands; k++)
        batched = batched || (i->operand[k] && b->batched[bt_owner(b->program, i->operand[k])]);
    for (int k = 0; k < info->operands; k++)
        if (i->operand[k] && bt_role_writes(info->operand[k].role)) b->batched[i->operand[k]] = batched;
    if (!batched && i->op != BT_OP_resample_positions) {
        bt_onnx_fail(b,
                     bt_error(BT_ERR_UNSUPPORTED, "%s of parameters alone has no translation into ONNX", info->name));
        return;
    }
    translator(b, i);
}

bt_status bt_onnx_translate(bt_onnx_builder *out, const bt_program *program, bt_params *store, bt_onnx_graph *graph) {
    *out = (bt_onnx_builder){.program = program, .store = store, .graph = graph};
    BT_TRY(bt_program_check(program));
    BT_TRY(allocate(out));
    for (bt_value v = 1; v <= program->value_count; v++)
        if (bt_info(program, v)->kind == BT_VALUE_INPUT) add_input(out, v);
    for (int k = 0; k < program->instruction_count && out->status == BT_OK; k++)
        translate(out, &program->instruction[k]);
    return out->status;
}

void bt_onnx_builder_free(bt_onnx_builder *b) {
    bt_arena_free(&b->arena);
    *b = (bt_onnx_builder){.serial = 0};
}
