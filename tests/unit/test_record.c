/* What recording refuses, operation by operation, with its message, and the shapes of what it accepts. Every message
 * begins with this file's name and the line of the call. */
#include "check.h"
#include "inputs.h"

static const bt_program_options training = {.compute = BT_F32, .training = true}, inference = {.compute = BT_F32};

/* The call gives no value, and the program keeps "test_record.c:LINE: " and the message. */
static void expect_refused(bt_program *p, bt_value found, int line, const char *message) {
    char wanted[400];
    snprintf(wanted, sizeof wanted, "test_record.c:%d: %s", line, message);
    bt_status status = bt_program_check(p);
    if (found || status != BT_ERR_SHAPE || strcmp(bt_error_message(), wanted) != 0)
        fail_msg("value %d, \"%s\"; wanted \"%s\"", (int)found, bt_error_message(), wanted);
    bt_program_free(p);
}

#define REFUSED(call, message)                                                                                         \
    do {                                                                                                               \
        bt_program *p = bt_program_new(&training);                                                                     \
        bt_value found = call;                                                                                         \
        expect_refused(p, found, __LINE__, message);                                                                   \
    } while (0)

/* The call gives a value of this dtype and shape. */
static void expect_accepted(bt_program *p, bt_value found, bt_dtype dtype, bt_shape shape) {
    check_ok(bt_program_check(p));
    char text[64], wanted[64];
    if (bt_dtype_of_value(p, found) != dtype || !bt_shape_equal(bt_shape_of_value(p, found), shape))
        fail_msg("%s %s; wanted %s %s", bt_dtype_name(bt_dtype_of_value(p, found)),
                 bt_shape_text(bt_shape_of_value(p, found), text, sizeof text), bt_dtype_name(dtype),
                 bt_shape_text(shape, wanted, sizeof wanted));
    bt_program_free(p);
}

#define ACCEPTED(call, dtype, shape)                                                                                   \
    do {                                                                                                               \
        bt_program *p = bt_program_new(&training);                                                                     \
        bt_value found = call;                                                                                         \
        expect_accepted(p, found, dtype, shape);                                                                       \
    } while (0)

/* ---- products ---- */

static void linear(void **state) {
    (void)state;
    ACCEPTED(bt_linear(p, F32(2, 4, 6), F32(5, 6), F32(5), F32(2, 4, 5)), BT_F32, bt_shape3(2, 4, 5));
    REFUSED(bt_linear(p, 0, F32(5, 6), 0, 0), "linear: operand x is missing");
    REFUSED(bt_linear(p, F32(4, 6), 0, 0, 0), "linear: operand w is missing");
    REFUSED(bt_linear(p, U8(4, 6), F32(5, 6), 0, 0), "linear: operand x has dtype u8, expected f32");
    REFUSED(bt_linear(p, BF16(4, 6), BF16(5, 6), 0, 0), "linear: operand x has dtype bf16, expected f32");
    REFUSED(bt_linear(p, F32(4, 6), BF16(5, 6), 0, 0), "linear: operand w has dtype bf16, expected f32");
    REFUSED(bt_linear(p, F32(4, 6), F32(5, 7), 0, 0),
            "linear: x (4, 6) does not fit w (5, 7): x's last axis must be w's second");
    REFUSED(bt_linear(p, F32(4, 6), F32(1, 5, 6), 0, 0),
            "linear: x (4, 6) does not fit w (1, 5, 6): x's last axis must be w's second");
    REFUSED(bt_linear(p, F32(4, 6), F32(5, 6), F32(6), 0), "linear: operand b has shape (6), expected (5)");
    REFUSED(bt_linear(p, F32(4, 6), F32(5, 6), BF16(5), 0), "linear: operand b has dtype bf16, expected f32");
    REFUSED(bt_linear(p, F32(4, 6), F32(5, 6), 0, F32(4, 6)), "linear: operand add has shape (4, 6), expected (4, 5)");
    REFUSED(bt_linear(p, F32(4, 6), F32(5, 6), 0, BF16(4, 5)), "linear: operand add has dtype bf16, expected f32");
}

/* x (2, 4, 6), w (9, 6): two parts of rank 2, columns 0..2 and 6..8, but for what the case changes. */
static bt_value adapted(bt_program *p, int line, bt_lora_values change, bt_value a, bt_value b, bt_value ids) {
    bt_lora_values lora = {.a = a ? a : F32(4, 6),
                           .b = b ? b : F32(6, 2),
                           .scale = 1,
                           .parts = 2,
                           .rank = 2,
                           .part_column = {0, 6},
                           .part_width = 3};
    if (change.parts) lora.parts = change.parts;
    if (change.rank) lora.rank = change.rank;
    if (change.part_width) lora.part_width = change.part_width;
    if (change.part_column[1]) lora.part_column[1] = change.part_column[1];
    lora.dropout = change.dropout;
    return (bt_lora_linear)(bt_here(p, __FILE__, line), F32(2, 4, 6), F32(9, 6), 0, &lora, 0, ids);
}
#define CHANGE(...)                                                                                                    \
    (bt_lora_values) {                                                                                                 \
        __VA_ARGS__                                                                                                    \
    }

static void lora_linear(void **state) {
    (void)state;
    ACCEPTED(adapted(p, __LINE__, CHANGE(0), 0, 0, 0), BT_F32, bt_shape3(2, 4, 9));
    ACCEPTED(adapted(p, __LINE__, CHANGE(.dropout = 0.1f), 0, 0, I64(2)), BT_F32, bt_shape3(2, 4, 9));
    REFUSED(adapted(p, __LINE__, CHANGE(.parts = 4), 0, 0, 0),
            "lora_linear: 4 parts of rank 2; 1 to 3 parts and a rank of at least 1 are possible");
    REFUSED(adapted(p, __LINE__, CHANGE(.parts = -1), 0, 0, 0),
            "lora_linear: -1 parts of rank 2; 1 to 3 parts and a rank of at least 1 are possible");
    REFUSED(adapted(p, __LINE__, CHANGE(.rank = -1), 0, 0, 0),
            "lora_linear: 2 parts of rank -1; 1 to 3 parts and a rank of at least 1 are possible");
    REFUSED(adapted(p, __LINE__, CHANGE(.part_column = {0, 7}), 0, 0, 0),
            "lora_linear: part 1 covers columns 7 to 10 of 9");
    REFUSED(adapted(p, __LINE__, CHANGE(.part_column = {0, -1}), 0, 0, 0),
            "lora_linear: part 1 covers columns -1 to 2 of 9");
    REFUSED(adapted(p, __LINE__, CHANGE(.part_width = -3), 0, 0, 0), "lora_linear: part 0 covers columns 0 to -3 of 9");
    REFUSED(adapted(p, __LINE__, CHANGE(0), F32(4, 7), 0, 0),
            "lora_linear: operand a has shape (4, 7), expected (4, 6)");
    REFUSED(adapted(p, __LINE__, CHANGE(0), BF16(4, 6), 0, 0), "lora_linear: operand a has dtype bf16, expected f32");
    REFUSED(adapted(p, __LINE__, CHANGE(0), 0, F32(6, 3), 0),
            "lora_linear: operand bb has shape (6, 3), expected (6, 2)");
    REFUSED(adapted(p, __LINE__, CHANGE(0), 0, BF16(6, 2), 0), "lora_linear: operand bb has dtype bf16, expected f32");
    REFUSED(adapted(p, __LINE__, CHANGE(.dropout = 1), 0, 0, I64(2)), "lora_linear: dropout 1 is not in [0, 1)");
    REFUSED(adapted(p, __LINE__, CHANGE(.dropout = -0.5f), 0, 0, I64(2)), "lora_linear: dropout -0.5 is not in [0, 1)");
    REFUSED(adapted(p, __LINE__, CHANGE(.dropout = 0.5f), 0, 0, 0), "lora_linear: operand ids is missing");
    REFUSED(adapted(p, __LINE__, CHANGE(.dropout = 0.5f), 0, 0, I64(4)),
            "lora_linear: operand ids has shape (4), expected (2)");
    REFUSED(adapted(p, __LINE__, CHANGE(.dropout = 0.5f), 0, 0, I32(2)),
            "lora_linear: operand ids has dtype i32, expected i64");
}

/* ---- the tower ---- */

static void attention(void **state) {
    (void)state;
    ACCEPTED(bt_attention(p, F32(2, 5, 12), 0, 2), BT_F32, bt_shape3(2, 5, 4));
    ACCEPTED(bt_attention(p, F32(2, 5, 8), F32(2, 1, 4), 2), BT_F32, bt_shape3(2, 1, 4));
    REFUSED(bt_attention(p, BF16(2, 5, 12), 0, 2), "attention: operand qkv has dtype bf16, expected f32");
    REFUSED(bt_attention(p, F32(10, 12), 0, 2), "attention: qkv has shape (10, 12), expected (N, T, 3C)");
    REFUSED(bt_attention(p, F32(2, 5, 13), 0, 1), "attention: qkv has shape (2, 5, 13), expected (N, T, 3C)");
    REFUSED(bt_attention(p, F32(2, 5, 9), F32(2, 1, 4), 1), "attention: qkv has shape (2, 5, 9), expected (N, T, 2C)");
    REFUSED(bt_attention(p, F32(2, 5, 12), 0, 3), "attention: width 4 is not a multiple of 3 heads");
    REFUSED(bt_attention(p, F32(2, 5, 12), 0, 0), "attention: width 4 is not a multiple of 0 heads");
    REFUSED(bt_attention(p, F32(2, 5, 8), F32(2, 1, 5), 2),
            "attention: operand q has shape (2, 1, 5), expected (2, 1, 4)");
    REFUSED(bt_attention(p, F32(2, 5, 8), F32(3, 1, 4), 2),
            "attention: operand q has shape (3, 1, 4), expected (2, 1, 4)");
    REFUSED(bt_attention(p, F32(2, 5, 8), F32(2, 4), 2), "attention: operand q has shape (2, 4), expected (2, 0, 4)");
    REFUSED(bt_attention(p, F32(2, 5, 8), BF16(2, 1, 4), 2), "attention: operand q has dtype bf16, expected f32");

    ACCEPTED(bt_rope(p, F32(2, 5, 24), F32(3, 4), 3, 2, 2, 2), BT_F32, bt_shape3(2, 5, 24));
    ACCEPTED(bt_rope(p, F32(2, 5, 16), F32(5, 4), 2, 1, 2, 0), BT_F32, bt_shape3(2, 5, 16));
    REFUSED(bt_rope(p, BF16(2, 5, 24), F32(3, 4), 3, 2, 2, 2), "rope: operand x has dtype bf16, expected f32");
    REFUSED(bt_rope(p, F32(10, 24), F32(3, 4), 3, 2, 2, 2), "rope: x has shape (10, 24), expected (N, T, 3C)");
    REFUSED(bt_rope(p, F32(2, 5, 25), F32(3, 4), 3, 2, 2, 2), "rope: x has shape (2, 5, 25), expected (N, T, 3C)");
    REFUSED(bt_rope(p, F32(2, 5, 24), F32(3, 4), 3, 4, 2, 2), "rope: 4 parts of 3 cannot be rotated");
    REFUSED(bt_rope(p, F32(2, 5, 24), F32(3, 4), 3, 0, 2, 2), "rope: 0 parts of 3 cannot be rotated");
    REFUSED(bt_rope(p, F32(2, 5, 24), F32(3, 4), 3, 2, 3, 2), "rope: width 8 is not a multiple of 3 heads");
    REFUSED(bt_rope(p, F32(2, 5, 24), F32(3, 4), 3, 2, 8, 2), "rope: heads of size 1 have no halves");
    REFUSED(bt_rope(p, F32(2, 5, 24), F32(3, 4), 3, 2, 2, 5), "rope: 5 tokens without position leave none of 5");
    REFUSED(bt_rope(p, F32(2, 5, 24), F32(3, 4), 3, 2, 2, -1), "rope: -1 tokens without position leave none of 5");
    REFUSED(bt_rope(p, F32(2, 5, 24), F32(4, 4), 3, 2, 2, 2), "rope: operand table has shape (4, 4), expected (3, 4)");
    REFUSED(bt_rope(p, F32(2, 5, 24), BF16(3, 4), 3, 2, 2, 2), "rope: operand table has dtype bf16, expected f32");
    REFUSED(bt_rope(p, F32(2, 5, 24), 0, 3, 2, 2, 2), "rope: operand table is missing");
}

static void norms(void **state) {
    (void)state;
    ACCEPTED(bt_layer_norm(p, F32(4, 6), F32(6), F32(6), 1e-6f), BT_F32, bt_shape2(4, 6));
    ACCEPTED(bt_layer_norm(p, F32(4, 6), 0, 0, 1e-6f), BT_F32, bt_shape2(4, 6));
    REFUSED(bt_layer_norm(p, BF16(4, 6), 0, 0, 1e-6f), "layer_norm: operand x has dtype bf16, expected f32");
    REFUSED(bt_layer_norm(p, F32(4, 6), F32(6), 0, 1e-6f),
            "layer_norm: scale and shift must be given both or not at all");
    REFUSED(bt_layer_norm(p, F32(4, 6), 0, F32(6), 1e-6f),
            "layer_norm: scale and shift must be given both or not at all");
    REFUSED(bt_layer_norm(p, F32(4, 6), F32(5), F32(6), 1e-6f), "layer_norm: operand w has shape (5), expected (6)");
    REFUSED(bt_layer_norm(p, F32(4, 6), F32(6), F32(4), 1e-6f), "layer_norm: operand b has shape (4), expected (6)");
    REFUSED(bt_layer_norm(p, F32(4, 6), BF16(6), F32(6), 1e-6f), "layer_norm: operand w has dtype bf16, expected f32");
    REFUSED(bt_layer_norm(p, F32(4, 6), F32(6), BF16(6), 1e-6f), "layer_norm: operand b has dtype bf16, expected f32");

    ACCEPTED(bt_batch_norm(p, F32(4, 6), F32(6), F32(6), F32(6), F32(6), 2, 1e-5f, 0.1f), BT_F32, bt_shape2(4, 6));
    REFUSED(bt_batch_norm(p, BF16(4, 6), F32(6), F32(6), F32(6), F32(6), 2, 1e-5f, 0.1f),
            "batch_norm: operand z has dtype bf16, expected f32");
    REFUSED(bt_batch_norm(p, F32(4, 6), F32(5), F32(6), F32(6), F32(6), 2, 1e-5f, 0.1f),
            "batch_norm: operand w has shape (5), expected (6)");
    REFUSED(bt_batch_norm(p, F32(4, 6), F32(6), F32(5), F32(6), F32(6), 2, 1e-5f, 0.1f),
            "batch_norm: operand b has shape (5), expected (6)");
    REFUSED(bt_batch_norm(p, F32(4, 6), F32(6), F32(6), 0, F32(6), 2, 1e-5f, 0.1f),
            "batch_norm: operand running_mean is missing");
    REFUSED(bt_batch_norm(p, F32(4, 6), F32(6), F32(6), F32(6), BF16(6), 2, 1e-5f, 0.1f),
            "batch_norm: operand running_var has dtype bf16, expected f32");
    REFUSED(bt_batch_norm(p, F32(4, 6), F32(6), F32(6), F32(6), F32(6), 3, 1e-5f, 0.1f),
            "batch_norm: 4 rows do not split into 3 views");
    REFUSED(bt_batch_norm(p, F32(4, 6), F32(6), F32(6), F32(6), F32(6), 0, 1e-5f, 0.1f),
            "batch_norm: 4 rows do not split into 0 views");
    REFUSED(bt_batch_norm(p, F32(2, 2, 6), F32(6), F32(6), F32(6), F32(6), 2, 1e-5f, 0.1f),
            "batch_norm: 2 rows do not split into 2 views");
    REFUSED(bt_batch_norm(p, F32(4, 6), F32(6), F32(6), F32(6), F32(6), 4, 1e-5f, 0.1f),
            "batch_norm: 1 row(s) per view; batch norm needs at least 2 (raise train.batch)");
    ACCEPTED(bt_l2_normalize(p, F32(4, 6), 1e-12f), BT_F32, bt_shape2(4, 6));
    REFUSED(bt_l2_normalize(p, BF16(4, 6), 1e-12f), "l2_normalize: operand x has dtype bf16, expected f32");
}

static void single_row_outside_of_training(void **state) {
    (void)state;
    bt_program *p = bt_program_new(&inference);
    bt_value y = bt_batch_norm(p, F32(1, 6), F32(6), F32(6), F32(6), F32(6), 1, 1e-5f, 0.1f);
    expect_accepted(p, y, BT_F32, bt_shape2(1, 6));
}

static void elementwise(void **state) {
    (void)state;
    ACCEPTED(bt_gelu(p, BF16(4, 6)), BT_BF16, bt_shape2(4, 6));
    REFUSED(bt_gelu(p, 0), "gelu: operand x is missing");
    REFUSED(bt_gelu(p, U8(4, 6)), "gelu: operand x has dtype u8, expected f32 or bf16");
    ACCEPTED(bt_quick_gelu(p, BF16(4, 6)), BT_BF16, bt_shape2(4, 6));
    REFUSED(bt_quick_gelu(p, 0), "quick_gelu: operand x is missing");
    REFUSED(bt_quick_gelu(p, U8(4, 6)), "quick_gelu: operand x has dtype u8, expected f32 or bf16");
    ACCEPTED(bt_swiglu(p, F32(2, 4, 6)), BT_F32, bt_shape3(2, 4, 3));
    REFUSED(bt_swiglu(p, 0), "swiglu: operand x is missing");
    REFUSED(bt_swiglu(p, U8(4, 6)), "swiglu: operand x has dtype u8, expected f32 or bf16");
    REFUSED(bt_swiglu(p, F32(4, 7)), "swiglu: x has shape (4, 7), expected (.., 2h): gate and value side by side");
    REFUSED(bt_relu(p, I32(4)), "relu: operand x has dtype i32, expected f32 or bf16");
    ACCEPTED(bt_add(p, F32(4, 6), F32(4, 6), F32(6)), BT_F32, bt_shape2(4, 6));
    REFUSED(bt_add(p, U8(4, 6), U8(4, 6), 0), "add: operand x has dtype u8, expected f32 or bf16");
    REFUSED(bt_add(p, F32(4, 6), BF16(4, 6), 0), "add: operand f has dtype bf16, expected f32");
    REFUSED(bt_add(p, F32(4, 6), F32(6, 4), 0), "add: operand f has shape (6, 4), expected (4, 6)");
    REFUSED(bt_add(p, F32(4, 6), F32(4, 6), F32(4)), "add: operand scale has shape (4), expected (6)");
    REFUSED(bt_add(p, F32(4, 6), F32(4, 6), BF16(6)), "add: operand scale has dtype bf16, expected f32");
    ACCEPTED(bt_cast(p, F32(4), BT_BF16), BT_BF16, bt_shape1(4));
    REFUSED(bt_cast(p, F32(4), BT_U8), "cast: cannot cast to u8");
    REFUSED(bt_cast(p, I64(4), BT_F32), "cast: operand x has dtype i64, expected f32 or bf16");
}

static const float mean[3], std[3] = {1, 1, 1};
static const int three_by_four[2] = {3, 4}, two_by_five[2] = {2, 5}, nothing[2] = {0, 1025};

static void images_and_tokens(void **state) {
    (void)state;
    ACCEPTED(bt_make_views(p, U8(1000), U8(4, 248), 9), BT_U8, bt_shape4(4, 9, 9, 3));
    REFUSED(bt_make_views(p, F32(1000), U8(4, 248), 9), "make_views: operand pixels has dtype f32, expected u8");
    REFUSED(bt_make_views(p, U8(1000), F32(4, 248), 9), "make_views: operand views has dtype f32, expected u8");
    REFUSED(bt_make_views(p, U8(1000), U8(4, 240), 9),
            "make_views: views have shape (4, 240), expected (M, 248): rows of bt_view_record");
    REFUSED(bt_make_views(p, U8(1000), U8(4, 248), 0), "make_views: size is 0, allowed are 1 to 16384");
    ACCEPTED(bt_patchify(p, U8(2, 6, 9, 3), 3, 32, mean, std), BT_F32, bt_shape3(2, 6, 32));
    ACCEPTED(bt_patchify(p, F32(2, 3, 6, 9), 3, 27, mean, std), BT_F32, bt_shape3(2, 6, 27));
    REFUSED(bt_patchify(p, 0, 3, 27, mean, std), "patchify: operand images is missing");
    REFUSED(bt_patchify(p, BF16(2, 3, 6, 9), 3, 27, mean, std), "patchify: images have dtype bf16, expected u8 or f32");
    REFUSED(bt_patchify(p, U8(2, 3, 6, 9), 3, 27, mean, std),
            "patchify: images have shape (2, 3, 6, 9), expected (N, H, W, 3) for u8");
    REFUSED(bt_patchify(p, F32(2, 6, 9, 3), 3, 27, mean, std),
            "patchify: images have shape (2, 6, 9, 3), expected (N, 3, H, W) for f32");
    REFUSED(bt_patchify(p, U8(6, 9, 3), 3, 27, mean, std),
            "patchify: images have shape (6, 9, 3), expected (N, H, W, 3) for u8");
    REFUSED(bt_patchify(p, U8(2, 7, 9, 3), 3, 27, mean, std),
            "patchify: an image of 7 x 9 does not divide into patches of 3");
    REFUSED(bt_patchify(p, U8(2, 6, 8, 3), 3, 27, mean, std),
            "patchify: an image of 6 x 8 does not divide into patches of 3");
    REFUSED(bt_patchify(p, U8(2, 6, 9, 3), 0, 27, mean, std),
            "patchify: an image of 6 x 9 does not divide into patches of 0");
    REFUSED(bt_patchify(p, U8(2, 6, 9, 3), 3, 26, mean, std), "patchify: 26 columns cannot hold a patch of 27");

    ACCEPTED(bt_tokens(p, F32(2, 6, 8), F32(1, 8), F32(7, 8), F32(4, 8)), BT_F32, bt_shape3(2, 11, 8));
    REFUSED(bt_tokens(p, BF16(2, 6, 8), F32(1, 8), F32(7, 8), 0),
            "tokens: operand patches has dtype bf16, expected f32");
    REFUSED(bt_tokens(p, F32(12, 8), F32(1, 8), F32(7, 8), 0), "tokens: patches need 3 axes (N, S, D)");
    REFUSED(bt_tokens(p, F32(2, 6, 8), F32(1, 7), F32(7, 8), 0),
            "tokens: operand cls has shape (1, 7), expected (1, 8)");
    REFUSED(bt_tokens(p, F32(2, 6, 8), BF16(1, 8), F32(7, 8), 0), "tokens: operand cls has dtype bf16, expected f32");
    REFUSED(bt_tokens(p, F32(2, 6, 8), F32(1, 8), F32(6, 8), 0),
            "tokens: operand pos has shape (6, 8), expected (7, 8)");
    REFUSED(bt_tokens(p, F32(2, 6, 8), F32(1, 8), BF16(7, 8), 0), "tokens: operand pos has dtype bf16, expected f32");
    REFUSED(bt_tokens(p, F32(2, 6, 8), F32(1, 8), F32(7, 8), F32(4, 7)),
            "tokens: operand reg has shape (4, 7), expected (4, 8)");
    REFUSED(bt_tokens(p, F32(2, 6, 8), F32(1, 8), F32(7, 8), BF16(4, 8)),
            "tokens: operand reg has dtype bf16, expected f32");
    ACCEPTED(bt_resample_positions(p, F32(13, 8), 1, three_by_four, two_by_five, BT_POSITIONS_HUB), BT_F32,
             bt_shape2(11, 8));
    REFUSED(bt_resample_positions(p, BF16(13, 8), 1, three_by_four, two_by_five, BT_POSITIONS_HUB),
            "resample_positions: operand pos has dtype bf16, expected f32");
    REFUSED(bt_resample_positions(p, F32(12, 8), 1, three_by_four, two_by_five, BT_POSITIONS_HUB),
            "resample_positions: operand pos has shape (12, 8), expected (13, 8)");
    REFUSED(bt_resample_positions(p, F32(1, 13, 8), 1, three_by_four, two_by_five, BT_POSITIONS_HUB),
            "resample_positions: operand pos has shape (1, 13, 8), expected (13, 8)");
    REFUSED(bt_resample_positions(p, F32(13, 8), 1, three_by_four, nothing, BT_POSITIONS_HUB),
            "resample_positions: the grid wanted is 0 x 1025 patches, allowed are sides of 1 to 1024");
    REFUSED(bt_resample_positions(p, F32(13, 8), 1, nothing, three_by_four, BT_POSITIONS_HUB),
            "resample_positions: the grid it is for is 0 x 1025 patches, allowed are sides of 1 to 1024");
    REFUSED(bt_resample_positions(p, F32(13, 8), -1, three_by_four, two_by_five, BT_POSITIONS_HUB),
            "resample_positions: -1 rows before the grid");
    REFUSED(bt_resample_positions(p, F32(13, 8), 1, three_by_four, two_by_five, BT_POSITIONS_COUNT),
            "resample_positions: there is no rule 3");
    ACCEPTED(bt_class_row(p, F32(2, 6, 8)), BT_F32, bt_shape3(2, 1, 8));
    REFUSED(bt_class_row(p, F32(12, 8)), "class_row: x needs 3 axes (N, T, D)");
    REFUSED(bt_class_row(p, BF16(2, 6, 8)), "class_row: operand x has dtype bf16, expected f32");
}

/* ---- losses ---- */

static void losses(void **state) {
    (void)state;
    ACCEPTED(bt_code_align(p, F32(6, 8), 0, 2), BT_F32, bt_shape1(1));
    ACCEPTED(bt_code_align(p, F32(6, 8), U8(3, 8), 2), BT_F32, bt_shape1(1));
    ACCEPTED(bt_code_align(p, F32(6, 8), U8(6, 8), 1), BT_F32, bt_shape1(1));
    REFUSED(bt_code_align(p, BF16(6, 8), 0, 2), "code_align: operand z has dtype bf16, expected f32");
    REFUSED(bt_code_align(p, F32(6, 8), 0, 4), "code_align: z must be (V*N, D): 6 rows, 4 views");
    REFUSED(bt_code_align(p, F32(6, 8), 0, 0), "code_align: z must be (V*N, D): 6 rows, 0 views");
    REFUSED(bt_code_align(p, F32(6, 2, 4), 0, 2), "code_align: z must be (V*N, D): 6 rows, 2 views");
    REFUSED(bt_code_align(p, F32(6, 8), 0, 1), "code_align: pairs need at least 2 views, found 1; give targets");
    REFUSED(bt_code_align(p, F32(6, 8), U8(2, 8), 2), "code_align: operand targets has shape (2, 8), expected (3, 8)");
    REFUSED(bt_code_align(p, F32(6, 8), U8(6, 7), 2), "code_align: operand targets has shape (6, 7), expected (6, 8)");
    REFUSED(bt_code_align(p, F32(6, 8), F32(6, 8), 2), "code_align: operand targets has dtype f32, expected u8");
    ACCEPTED(bt_prototype_targets(p, F32(6, 8), U8(3, 5), 2), BT_U8, bt_shape2(3, 8));
    REFUSED(bt_prototype_targets(p, F32(6, 8), U8(6, 5), 2),
            "prototype_targets: labels must be multi-hot (N, classes) with N = 3");
    REFUSED(bt_prototype_targets(p, F32(6, 8), U8(3), 2),
            "prototype_targets: labels must be multi-hot (N, classes) with N = 3");
    REFUSED(bt_prototype_targets(p, F32(6, 8), I32(3, 5), 2),
            "prototype_targets: operand labels has dtype i32, expected u8");
    REFUSED(bt_prototype_targets(p, F32(6, 8), U8(3, 5), 5), "prototype_targets: z must be (V*N, D): 6 rows, 5 views");
    ACCEPTED(bt_sign_pack(p, F32(6, 8)), BT_BITS, bt_shape2(6, 8));
    REFUSED(bt_sign_pack(p, BF16(6, 8)), "sign_pack: operand z has dtype bf16, expected f32");
    ACCEPTED(bt_coding_rate(p, F32(6, 8), 2, 0.05f), BT_F32, bt_shape1(1));
    REFUSED(bt_coding_rate(p, F32(6, 8), 4, 0.05f), "coding_rate: x must be (V*N, D): 6 rows, 4 views");
    REFUSED(bt_coding_rate(p, F32(6, 8), 2, 0), "coding_rate: eps is 0, must be above 0");
    ACCEPTED(bt_cross_entropy(p, F32(6, 8), I32(6)), BT_F32, bt_shape1(1));
    REFUSED(bt_cross_entropy(p, F32(6, 8), I32(8)), "cross_entropy: operand labels has shape (8), expected (6)");
    REFUSED(bt_cross_entropy(p, F32(6, 8), I64(6)), "cross_entropy: operand labels has dtype i64, expected i32");
    REFUSED(bt_cross_entropy(p, BF16(6, 8), I32(6)), "cross_entropy: operand logits has dtype bf16, expected f32");
    REFUSED(bt_cross_entropy(p, F32(6, 2, 4), I32(6)), "cross_entropy: logits must be (N, C)");
    REFUSED(bt_sum_squares(p, BF16(6)), "sum_squares: operand x has dtype bf16, expected f32");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear),
        cmocka_unit_test(lora_linear),
        cmocka_unit_test(attention),
        cmocka_unit_test(norms),
        cmocka_unit_test(single_row_outside_of_training),
        cmocka_unit_test(elementwise),
        cmocka_unit_test(images_and_tokens),
        cmocka_unit_test(losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
