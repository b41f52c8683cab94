/* Each operation of an inference program as ONNX operators; formulas are in tensor/ops.def, the operators' meaning in
 * "Operators.md" of the ONNX specification. Where several forms are equal, the one is written that exporters of PyTorch
 * write, which runtimes know how to fuse. */
#include "encoder/onnx_builder.h"

#include "base/memory.h"
#include "tensor/backend.h"

#include <math.h>
#include <string.h>

/* ---- elementwise ---- */

static const char *multiply(bt_onnx_builder *b, const char *x, const char *y) {
    return bt_onnx_binary(b, "Mul", x, y);
}

static const char *add(bt_onnx_builder *b, const char *x, const char *y) {
    return bt_onnx_binary(b, "Add", x, y);
}

/** x / sqrt(2) and so on: Gelu is an operator from set 20 on only. */
static void gelu(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_gelu_values *v = (const bt_gelu_values *)i->operand;
    const char *x = bt_onnx_value(b, v->x);
    const char *e = bt_onnx_unary(b, "Erf", bt_onnx_binary(b, "Div", x, bt_onnx_scalar(b, sqrtf(2))));
    b->name[v->y] = multiply(b, multiply(b, x, add(b, e, bt_onnx_scalar(b, 1))), bt_onnx_scalar(b, 0.5f));
}

static void quick_gelu(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_quick_gelu_values *v = (const bt_quick_gelu_values *)i->operand;
    const char *x = bt_onnx_value(b, v->x);
    b->name[v->y] = multiply(b, x, bt_onnx_unary(b, "Sigmoid", multiply(b, x, bt_onnx_scalar(b, 1.702f))));
}

static void swiglu(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_swiglu_values *v = (const bt_swiglu_values *)i->operand;
    int64_t half = bt_shape_cols(bt_info(b->program, v->y)->shape);
    const char *part[2];
    bt_onnx_split(b, bt_onnx_value(b, v->x), -1, 2, (int64_t[]){half, half}, part);
    b->name[v->y] = multiply(b, multiply(b, part[0], bt_onnx_unary(b, "Sigmoid", part[0])), part[1]);
}

static void relu(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_relu_values *v = (const bt_relu_values *)i->operand;
    b->name[v->y] = bt_onnx_unary(b, "Relu", bt_onnx_value(b, v->x));
}

static void add_scaled(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_add_values *v = (const bt_add_values *)i->operand;
    const char *f = bt_onnx_value(b, v->f);
    if (v->scale) f = multiply(b, f, bt_onnx_value(b, v->scale));
    b->name[v->y] = add(b, bt_onnx_value(b, v->x), f);
}

/* ---- products ---- */

static void linear(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_linear_values *v = (const bt_linear_values *)i->operand;
    const char *y = bt_onnx_binary(b, "MatMul", bt_onnx_value(b, v->x), bt_onnx_transposed(b, v->w));
    if (v->b) y = add(b, y, bt_onnx_value(b, v->b));
    if (v->add) y = add(b, bt_onnx_value(b, v->add), y);
    b->name[v->y] = y;
}

/** (N, T, C) to (N, H, T, C/H), or with the last two axes exchanged. */
static const char *to_heads(bt_onnx_builder *b, const char *x, int64_t tokens, int64_t heads, int64_t width,
                            bool exchanged) {
    const char *apart = bt_onnx_reshape(b, x, 4, (int64_t[]){0, tokens, heads, width / heads});
    return bt_onnx_transpose(b, apart, 4, exchanged ? (int64_t[]){0, 2, 3, 1} : (int64_t[]){0, 2, 1, 3});
}

static void attention(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_attention_values *v = (const bt_attention_values *)i->operand;
    const bt_attention_args *a = i->args;
    bt_shape in = bt_info(b->program, v->qkv)->shape, out = bt_info(b->program, v->o)->shape;
    int64_t tokens = in.dim[1], queries = out.dim[1], width = out.dim[2];
    const char *part[3], **kv = v->q ? part : part + 1;
    bt_onnx_split(b, bt_onnx_value(b, v->qkv), -1, v->q ? 2 : 3, (int64_t[]){width, width, width}, part);
    const char *q = multiply(b, v->q ? bt_onnx_value(b, v->q) : part[0], bt_onnx_scalar(b, a->scale));
    const char *k = to_heads(b, kv[0], tokens, a->heads, width, true);
    const char *value = to_heads(b, kv[1], tokens, a->heads, width, false);
    const char *score = bt_onnx_binary(b, "MatMul", to_heads(b, q, queries, a->heads, width, false), k);
    const char *p = bt_onnx_add(
        b, (bt_onnx_node_spec){.op = "Softmax", .inputs = {score}, .attributes = {BT_ONNX_AXIS(-1)}}, 1, NULL);
    const char *o = bt_onnx_transpose(b, bt_onnx_binary(b, "MatMul", p, value), 4, (int64_t[]){0, 2, 1, 3});
    b->name[v->o] = bt_onnx_reshape(b, o, 3, (int64_t[]){0, queries, width});
}

/* ---- rotary positions ---- */

/** cos and sin of all tokens as (T, 1, head), those without position turned by nothing, sines with the sign of their
 * half: y = x cos + (halves of x exchanged) sin. `name` receives both names. */
static bool add_angles(bt_onnx_builder *b, const bt_rope_values *v, int64_t prefix, const char *name[2]) {
    bt_shape s = bt_info(b->program, v->table)->shape;
    int64_t head = s.dim[1], half = head / 2, rows = prefix + s.dim[0];
    const float *table = bt_onnx_known(b, v->table);
    name[0] = "rotary.cos";
    name[1] = "rotary.sin";
    if (bt_onnx_has(b->graph, name[0])) return true;
    float *made = bt_arena_alloc(&b->arena, (size_t)(2 * rows * head), sizeof *made);
    if (!made) bt_onnx_fail(b, BT_ERR_MEMORY);
    if (!made || !table) return false;
    float *c = made, *sine = made + rows * head;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t k = 0; k < head; k++) {
            const float *angles = row < prefix ? NULL : table + (row - prefix) * head;
            c[row * head + k] = angles ? angles[k % half] : 1;
            sine[row * head + k] = !angles ? 0 : k < half ? -angles[half + k] : angles[k];
        }
    for (int k = 0; k < 2; k++)
        bt_onnx_constant(b->graph, name[k], BT_ONNX_F32, 3, (int64_t[]){rows, 1, head}, k ? sine : c);
    return true;
}

static void rope(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_rope_values *v = (const bt_rope_values *)i->operand;
    const bt_rope_args *a = i->args;
    bt_shape s = bt_info(b->program, v->x)->shape;
    int64_t width = s.dim[2] / a->parts, head = width / a->heads, turned = a->rotated * width;
    const char *angles[2], *part[2] = {bt_onnx_value(b, v->x)}, *half[2];
    if (!add_angles(b, v, a->prefix, angles)) return;
    if (a->rotated < a->parts) bt_onnx_split(b, part[0], -1, 2, (int64_t[]){turned, s.dim[2] - turned}, part);
    const char *x = bt_onnx_reshape(b, part[0], 4, (int64_t[]){0, s.dim[1], a->rotated * a->heads, head});
    bt_onnx_split(b, x, -1, 2, (int64_t[]){head / 2, head / 2}, half);
    const char *exchanged = multiply(b, bt_onnx_concat(b, half[1], half[0], -1), angles[1]);
    const char *y =
        bt_onnx_reshape(b, add(b, multiply(b, x, angles[0]), exchanged), 3, (int64_t[]){0, s.dim[1], turned});
    b->name[v->y] = a->rotated < a->parts ? bt_onnx_concat(b, y, part[1], -1) : y;
}

/* ---- norms ---- */

static void layer_norm(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_layer_norm_values *v = (const bt_layer_norm_values *)i->operand;
    const bt_layer_norm_args *a = i->args;
    if (!v->w || !v->b) {
        bt_onnx_fail(b, bt_error(BT_ERR_UNSUPPORTED, "layer_norm without scale or shift has no translation into ONNX"));
        return;
    }
    b->name[v->y] = bt_onnx_add(
        b,
        (bt_onnx_node_spec){.op = "LayerNormalization",
                            .inputs = {bt_onnx_value(b, v->x), bt_onnx_value(b, v->w), bt_onnx_value(b, v->b)},
                            .attributes = {BT_ONNX_AXIS(-1), {.name = "epsilon", .kind = BT_ONNX_FLOAT, .f = a->eps}}},
        1, NULL);
}

static void batch_norm(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_batch_norm_eval_values *v = (const bt_batch_norm_eval_values *)i->operand;
    const bt_batch_norm_eval_args *a = i->args;
    bt_onnx_node_spec spec = {.op = "BatchNormalization",
                              .inputs = {bt_onnx_value(b, v->z), bt_onnx_value(b, v->w), bt_onnx_value(b, v->b),
                                         bt_onnx_value(b, v->running_mean), bt_onnx_value(b, v->running_var)},
                              .attributes = {{.name = "epsilon", .kind = BT_ONNX_FLOAT, .f = a->eps}}};
    b->name[v->y] = bt_onnx_add(b, spec, 1, NULL);
}

/* ---- tokens ---- */

/** Patches without the padding of their columns, which bt_onnx_transposed leaves out of the weight too. */
static void patchify(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_patchify_values *v = (const bt_patchify_values *)i->operand;
    const bt_patchify_args *a = i->args;
    bt_shape s = bt_info(b->program, v->images)->shape;
    int64_t side = a->patch, rows = s.dim[2] / side, columns = s.dim[3] / side;
    const char *x = bt_onnx_reshape(b, bt_onnx_value(b, v->images), 6, (int64_t[]){0, 3, rows, side, columns, side});
    x = bt_onnx_transpose(b, x, 6, (int64_t[]){0, 2, 4, 1, 3, 5});
    b->name[v->y] = bt_onnx_reshape(b, x, 3, (int64_t[]){0, rows * columns, 3 * side * side});
}

/** The tokens before the patches, the same for all images: class token with its position, registers. */
static void add_front(bt_onnx_builder *b, const bt_tokens_values *v, int64_t registers, int64_t width) {
    const float *cls = bt_onnx_known(b, v->cls), *pos = v->pos ? bt_onnx_known(b, v->pos) : NULL,
                *reg = v->reg ? bt_onnx_known(b, v->reg) : NULL;
    float *front = bt_arena_alloc(&b->arena, (size_t)((1 + registers) * width), sizeof *front);
    if (!front) bt_onnx_fail(b, BT_ERR_MEMORY);
    if (b->status != BT_OK) return;
    for (int64_t k = 0; k < width; k++) front[k] = pos ? cls[k] + pos[k] : cls[k];
    if (reg) memcpy(front + width, reg, (size_t)(registers * width) * sizeof *front);
    bt_onnx_constant(b->graph, "tokens.front", BT_ONNX_F32, 3, (int64_t[]){1, 1 + registers, width}, front);
    if (pos)
        bt_onnx_constant(b->graph, "tokens.positions", BT_ONNX_F32, 3,
                         (int64_t[]){1, bt_info(b->program, v->pos)->shape.dim[0] - 1, width}, pos + width);
}

static void tokens(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_tokens_values *v = (const bt_tokens_values *)i->operand;
    int64_t registers = v->reg ? bt_info(b->program, v->reg)->shape.dim[0] : 0,
            width = bt_info(b->program, v->x)->shape.dim[2];
    const char *patches = bt_onnx_value(b, v->patches);
    add_front(b, v, registers, width);
    if (v->pos) patches = add(b, patches, "tokens.positions");
    bt_onnx_node_spec batch = {
        .op = "Shape",
        .inputs = {patches},
        .attributes = {{.name = "start", .kind = BT_ONNX_INT, .i = 0}, {.name = "end", .kind = BT_ONNX_INT, .i = 1}}};
    const char *shape =
        bt_onnx_concat(b, bt_onnx_add(b, batch, 1, NULL), bt_onnx_integers(b, 2, (int64_t[]){1 + registers, width}), 0);
    b->name[v->x] = bt_onnx_concat(b, bt_onnx_binary(b, "Expand", "tokens.front", shape), patches, 1);
}

static void class_row(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_class_row_values *v = (const bt_class_row_values *)i->operand;
    b->name[v->y] = bt_onnx_slice(b, bt_onnx_value(b, v->x), 1, 0, 1);
}

/** pos through the operation itself, so that the constant has the numbers that this program computes with. */
static bt_status resample(const float *pos, bt_shape from_shape, const bt_resample_positions_args *a, float *out,
                          size_t out_bytes) {
    bt_device *device;
    BT_TRY(bt_backend_named("cpu")->open(&(bt_device_options){.threads = 1}, &device));
    bt_program *p = bt_program_new(&(bt_program_options){.compute = BT_F32});
    bt_value in = bt_input(p, "pos", BT_F32, from_shape);
    bt_output(p, "y", bt_resample_positions(p, in, a->prefix, a->from, a->to, a->rule));
    bt_status status = bt_program_run_once(
        p, device, (bt_plan_input[]){{"pos", pos, (size_t)bt_shape_count(from_shape) * sizeof *pos}, {NULL}},
        (bt_plan_output[]){{"y", out, out_bytes}, {NULL}});
    bt_program_free(p);
    device->backend->close(device);
    return status;
}

static void resample_positions(bt_onnx_builder *b, const bt_instruction *i) {
    const bt_resample_positions_values *v = (const bt_resample_positions_values *)i->operand;
    size_t count = (size_t)bt_shape_count(bt_info(b->program, v->y)->shape);
    const float *pos = bt_onnx_known(b, v->pos);
    float *made = bt_arena_alloc(&b->arena, count, sizeof *made);
    if (!made) bt_onnx_fail(b, BT_ERR_MEMORY);
    if (!pos || !made) return;
    bt_onnx_fail(b, resample(pos, bt_info(b->program, v->pos)->shape, i->args, made, count * sizeof *made));
    b->known[v->y] = made;
}

/* ---- codes ---- */

/** Bits as bytes, 8 a byte, low bit first, the last byte filled with zeros: sums of powers of two, exact in f32. */
static void sign_pack(bt_onnx_builder *b, const bt_instruction *i) {
    static const float powers[] = {1, 2, 4, 8, 16, 32, 64, 128};
    const bt_sign_pack_values *v = (const bt_sign_pack_values *)i->operand;
    int64_t bits = bt_info(b->program, v->z)->shape.dim[1], bytes = (bits + 7) / 8;
    bt_onnx_attribute to = {.name = "to", .kind = BT_ONNX_INT, .i = BT_ONNX_F32};
    const char *above = bt_onnx_binary(b, "Greater", bt_onnx_value(b, v->z), bt_onnx_scalar(b, 0));
    const char *x = bt_onnx_add(b, (bt_onnx_node_spec){.op = "Cast", .inputs = {above}, .attributes = {to}}, 1, NULL);
    if (bits % 8) x = bt_onnx_binary(b, "Pad", x, bt_onnx_integers(b, 4, (int64_t[]){0, 0, 0, 8 * bytes - bits}));
    if (b->status == BT_OK) bt_onnx_constant(b->graph, "powers", BT_ONNX_F32, 1, (int64_t[]){8}, powers);
    x = bt_onnx_binary(b, "MatMul", bt_onnx_reshape(b, x, 3, (int64_t[]){0, bytes, 8}), "powers");
    to.i = BT_ONNX_U8;
    b->name[v->bits] = bt_onnx_add(b, (bt_onnx_node_spec){.op = "Cast", .inputs = {x}, .attributes = {to}}, 1, NULL);
}

bt_onnx_translator *bt_onnx_translator_of(bt_op op) {
    static bt_onnx_translator *const table[BT_OP_COUNT] = {[BT_OP_linear] = linear,
                                                           [BT_OP_attention] = attention,
                                                           [BT_OP_rope] = rope,
                                                           [BT_OP_layer_norm] = layer_norm,
                                                           [BT_OP_batch_norm_eval] = batch_norm,
                                                           [BT_OP_gelu] = gelu,
                                                           [BT_OP_quick_gelu] = quick_gelu,
                                                           [BT_OP_swiglu] = swiglu,
                                                           [BT_OP_relu] = relu,
                                                           [BT_OP_add] = add_scaled,
                                                           [BT_OP_patchify] = patchify,
                                                           [BT_OP_tokens] = tokens,
                                                           [BT_OP_resample_positions] = resample_positions,
                                                           [BT_OP_class_row] = class_row,
                                                           [BT_OP_sign_pack] = sign_pack};
    return table[op];
}
