/* Recording: values, instructions, and the sticky error. */
#include "program/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bt_grow(void **array, int count, int *room, size_t element_bytes) {
    if (count < *room) return;
    *room = *room ? *room * 2 : 64;
    *array = realloc(*array, (size_t)*room * element_bytes);
    BT_ASSERT(*array);
}

static char *copy_text(const char *text) {
    char *copy = strdup(text);
    BT_ASSERT(copy);
    return copy;
}

bt_program *bt_program_new(const bt_program_options *options) {
    bt_program *p = calloc(1, sizeof *p);
    BT_ASSERT(p);
    p->options = *options;
    bt_grow((void **)&p->value, 0, &p->value_room, sizeof *p->value);
    memset(&p->value[0], 0, sizeof p->value[0]); /* value 0 is "none" */
    p->file = "?";
    return p;
}

void bt_program_free(bt_program *p) {
    if (!p) return;
    for (int i = 1; i <= p->value_count; i++) free(p->value[i].name);
    for (int i = 0; i < p->instruction_count; i++) free(p->instruction[i].args);
    for (int i = 0; i < p->output_count; i++) free(p->output[i].name);
    free(p->value);
    free(p->instruction);
    free(p->output);
    free(p->stored);
    free(p->message);
    free(p);
}

const bt_program_options *bt_program_options_of(const bt_program *p) {
    return &p->options;
}

bt_status bt_program_check(const bt_program *p) {
    return p->status == BT_OK ? BT_OK : bt_error(p->status, "%s", p->message);
}

bool bt_recording(bt_program *p) {
    return p->status == BT_OK;
}

static void keep_error(bt_program *p, bt_status status, const char *where, const char *format, va_list args) {
    if (p->status != BT_OK) return;
    char text[900], line[1024];
    vsnprintf(text, sizeof text, format, args);
    snprintf(line, sizeof line, "%s%s%s", where, *where ? ": " : "", text);
    p->status = status;
    p->message = copy_text(line);
}

void bt_program_fail(bt_program *p, bt_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    keep_error(p, status, "", format, args);
    va_end(args);
}

bt_program *bt_here(bt_program *p, const char *file, int line) {
    const char *slash = strrchr(file, '/');
    p->file = slash ? slash + 1 : file;
    p->line = line;
    return p;
}

bool bt_require(bt_program *p, bool condition, bt_op op, const char *format, ...) {
    if (condition) return true;
    char where[256];
    snprintf(where, sizeof where, "%s:%d: %s", p->file, p->line, bt_op_info_of(op)->name);
    va_list args;
    va_start(args, format);
    keep_error(p, BT_ERR_SHAPE, where, format, args);
    va_end(args);
    return false;
}

bool bt_require_dtype(bt_program *p, bt_op op, const char *operand, bt_value v, bt_dtype dtype) {
    if (!bt_require(p, v != 0, op, "operand %s is missing", operand)) return false;
    return bt_require(p, bt_info(p, v)->dtype == dtype, op, "operand %s has dtype %s, expected %s", operand,
                      bt_dtype_name(bt_info(p, v)->dtype), bt_dtype_name(dtype));
}

bool bt_require_shape(bt_program *p, bt_op op, const char *operand, bt_value v, bt_shape shape) {
    if (!v) return true;
    char found[64], wanted[64];
    return bt_require(p, bt_shape_equal(bt_info(p, v)->shape, shape), op, "operand %s has shape %s, expected %s",
                      operand, bt_shape_text(bt_info(p, v)->shape, found, sizeof found),
                      bt_shape_text(shape, wanted, sizeof wanted));
}

bt_value_info *bt_info(const bt_program *p, bt_value v) {
    BT_ASSERT(v > 0 && v <= p->value_count);
    return &p->value[v];
}

bt_value bt_owner(const bt_program *p, bt_value v) {
    return v && bt_info(p, v)->kind == BT_VALUE_VIEW ? bt_info(p, v)->base : v;
}

static bt_value append_value(bt_program *p, bt_value_info info) {
    info.producer = -1;
    bt_grow((void **)&p->value, p->value_count + 1, &p->value_room, sizeof *p->value);
    p->value[++p->value_count] = info;
    return p->value_count;
}

bt_value bt_new_value(bt_program *p, bt_dtype dtype, bt_shape shape) {
    return append_value(p, (bt_value_info){.kind = BT_VALUE_TEMP, .dtype = dtype, .shape = shape});
}

static bool name_is_free(bt_program *p, const char *name) {
    for (int i = 1; i <= p->value_count; i++)
        if (p->value[i].name && strcmp(p->value[i].name, name) == 0) return false;
    for (int i = 0; i < p->output_count; i++)
        if (strcmp(p->output[i].name, name) == 0) return false;
    return true;
}

bt_value bt_input(bt_program *p, const char *name, bt_dtype dtype, bt_shape shape) {
    if (!bt_recording(p)) return 0;
    char text[64];
    bool good = shape.rank >= 1;
    for (int i = 0; i < shape.rank; i++) good = good && shape.dim[i] > 0;
    if (!good) {
        bt_program_fail(p, BT_ERR_SHAPE, "input \"%s\" has shape %s; every axis must be at least 1", name,
                        bt_shape_text(shape, text, sizeof text));
        return 0;
    }
    if (!name_is_free(p, name)) {
        bt_program_fail(p, BT_ERR_SHAPE, "the program already has an input or output named \"%s\"", name);
        return 0;
    }
    return append_value(
        p, (bt_value_info){.kind = BT_VALUE_INPUT, .dtype = dtype, .shape = shape, .name = copy_text(name)});
}

bt_value bt_input_with_gradient(bt_program *p, const char *name, bt_dtype dtype, bt_shape shape) {
    bt_value v = bt_input(p, name, dtype, shape);
    if (v) bt_info(p, v)->wants_input_gradient = true;
    return v;
}

void bt_output(bt_program *p, const char *name, bt_value v) {
    if (!bt_recording(p)) return;
    if (!name_is_free(p, name) || !v) {
        bt_program_fail(p, BT_ERR_SHAPE,
                        v ? "the program already has an input or output named \"%s\"" : "output \"%s\" is no value",
                        name);
        return;
    }
    bt_grow((void **)&p->output, p->output_count, &p->output_room, sizeof *p->output);
    p->output[p->output_count++] = (bt_output_info){copy_text(name), v};
}

bt_value bt_store_value(bt_program *p, bt_store_ref ref) {
    bt_tensor t;
    bt_status status = bt_store_tensor(p->store, ref, &t);
    if (status != BT_OK) {
        bt_program_fail(p, status, "%s", bt_error_message());
        return 0;
    }
    for (int i = 1; i <= p->value_count; i++) { /* one value per tensor, so that gradients of shared parameters meet */
        bt_value_info *v = &p->value[i];
        if (v->kind == BT_VALUE_STORE && v->ref.slot == ref.slot && v->ref.param == ref.param &&
            v->ref.first == ref.first && v->ref.count == ref.count && v->ref.groups == ref.groups)
            return i;
    }
    return append_value(p, (bt_value_info){.kind = BT_VALUE_STORE, .dtype = t.dtype, .shape = t.shape, .ref = ref});
}

bt_value bt_param_rows(bt_program *p, bt_params *store, int index, int64_t first, int64_t count) {
    if (!bt_recording(p)) return 0;
    if (p->store && p->store != store) {
        bt_program_fail(p, BT_ERR_SHAPE, "a program reads one parameter store, this one was given two");
        return 0;
    }
    if (bt_store_compute(store) != p->options.compute) {
        bt_program_fail(p, BT_ERR_SHAPE, "the store keeps weights in %s, the program computes in %s",
                        bt_dtype_name(bt_store_compute(store)), bt_dtype_name(p->options.compute));
        return 0;
    }
    p->store = store;
    return bt_store_value(p, (bt_store_ref){.slot = BT_STORE_VALUE, .param = index, .first = first, .count = count});
}

bt_value bt_param(bt_program *p, bt_params *store, int index) {
    return bt_param_rows(p, store, index, 0, 0);
}

bt_shape bt_shape_of_value(const bt_program *p, bt_value v) {
    return v ? bt_info(p, v)->shape : (bt_shape){.rank = 0};
}

bt_dtype bt_dtype_of_value(const bt_program *p, bt_value v) {
    return v ? bt_info(p, v)->dtype : BT_NONE;
}

bt_value bt_reshape(bt_program *p, bt_value v, bt_shape shape) {
    if (!bt_recording(p) || !v) return 0;
    char from[64], to[64];
    if (bt_shape_count(shape) != bt_shape_count(bt_info(p, v)->shape)) {
        bt_program_fail(p, BT_ERR_SHAPE, "cannot reshape %s to %s: other number of elements",
                        bt_shape_text(bt_info(p, v)->shape, from, sizeof from), bt_shape_text(shape, to, sizeof to));
        return 0;
    }
    return append_value(
        p,
        (bt_value_info){.kind = BT_VALUE_VIEW, .dtype = bt_info(p, v)->dtype, .shape = shape, .base = bt_owner(p, v)});
}

void bt_segment_begin(bt_program *p) {
    p->segment = ++p->segments;
}
void bt_segment_end(bt_program *p) {
    p->segment = 0;
}

void *bt_emit(bt_program *p, bt_op op, const bt_value *operands) {
    const bt_op_info *info = bt_op_info_of(op);
    bt_instruction in = {.op = op, .phase = p->phase, .segment = p->segment};
    for (int k = 0; k < info->operands; k++) {
        in.operand[k] = operands[k];
        BT_ASSERT(operands[k] || bt_role_optional(info->operand[k].role) || !bt_recording(p));
    }
    in.args = calloc(1, info->args_bytes);
    BT_ASSERT(in.args);
    bt_grow((void **)&p->instruction, p->instruction_count, &p->instruction_room, sizeof *p->instruction);
    for (int k = 0; k < info->operands; k++)
        if (operands[k] && bt_role_writes(info->operand[k].role))
            bt_info(p, operands[k])->producer = p->instruction_count;
    p->instruction[p->instruction_count++] = in;
    return in.args;
}
