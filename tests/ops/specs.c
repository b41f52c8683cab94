/* What each operation needs beyond its rows: dtypes, tolerances with their reason, gradients.
 *
 * Tolerances are relative to the norm of the reference (and eight times that for the largest element). F32: sums of n
 * terms in f32 err by at most about sqrt(n) 2^-24 of their norm when terms are of one size. ROUND: one rounding to bf16
 * moves an element by up to 2^-8 of itself, and the norm of many by less than 2^-9 (the harness doubles tolerances of
 * outputs with fewer than 16 elements). TWICE: a value on the way (u, probabilities, the operand of a tensor-core
 * product) is bf16 too.
 */
#include "ops_test.h"
#include "references.h"

#define F32 2e-6
#define ROUND 0x1p-9
#define TWICE 0x1p-8

#define SPEC(name, ...) [BT_OP_##name] = {.op = BT_OP_##name, __VA_ARGS__}
#define TOLERANCES(single, half, half_to_single, why)                                                                  \
    .f32 = single, .bf16 = half, .mixed = half_to_single, .reason = why
#define GRADIENTS(text, name) .gradients = text, .primal = primal_##name
#define ACCUMULATES(name) .state = OPS_STATE_GRADIENT, .accumulate = offsetof(bt_##name##_args, accumulate)

static const ops_spec specs[BT_OP_COUNT] = {
    SPEC(linear, .dtypes = "ccfcc",
         TOLERANCES(F32, ROUND, F32, "f32 sums over I <= 1536; b and add before the rounding"), .add_first = true),
    SPEC(linear_dx, .dtypes = "cccc", TOLERANCES(F32, ROUND, F32, "f32 sums over O; add before the rounding"),
         GRADIENTS("dx", linear_dx), .add_first = true),
    SPEC(linear_dw, .dtypes = "ccff",
         TOLERANCES(3e-6, 0, 3e-6, "f32 sums over up to 1,028 rows, bf16 products are exact in f32"),
         GRADIENTS("dw db", linear_dw), ACCUMULATES(linear_dw)),
    SPEC(lora_linear, .dtypes = "ccfccclcc",
         TOLERANCES(F32, TWICE, F32, "u and drop(x) are bf16 before their products"), .add_first = true),
    SPEC(lora_du, .dtypes = "ccc", TOLERANCES(F32, ROUND, F32, "f32 sums over W"), GRADIENTS("du", lora_du)),
    SPEC(lora_linear_dx, .dtypes = "ccccclc",
         TOLERANCES(F32, TWICE, F32, "the masked product may be bf16 before the sum"), GRADIENTS("dx", lora_linear_dx),
         .add_first = true),
    SPEC(lora_dw, .dtypes = "cccclff", TOLERANCES(3e-6, 0, ROUND, "drop(x) may be rounded to bf16 before the product"),
         GRADIENTS("da dbb", lora_dw), .derive = derive_lora_dw, ACCUMULATES(lora_dw)),
    SPEC(linear_scaled, .dtypes = "ccffcc", TOLERANCES(F32, TWICE, F32, "the scaled weight may be rounded to bf16"),
         .add_first = true),
    SPEC(linear_scaled_dx, .dtypes = "ccfcc", TOLERANCES(F32, TWICE, F32, "the scaled weight or gradient may be bf16"),
         GRADIENTS("dx", linear_scaled_dx), .add_first = true),
    SPEC(linear_gelu, .dtypes = "ccfcc",
         TOLERANCES(F32, 3 * ROUND, F32, "the bias, and h before its function, may be rounded")),
    SPEC(linear_gelu_dx, .dtypes = "ccfcc",
         TOLERANCES(8e-6, 2 * TWICE, F32,
                    "gelu' has a root near -0.75; scaled weight or gradient, and the product, may be bf16 on the way"),
         GRADIENTS("dh=h", linear_gelu_dx)),
    SPEC(attention, .dtypes = "cccf",
         TOLERANCES(4e-6, TWICE, 4e-6, "two products and exp; in bf16 the probabilities are rounded")),
    SPEC(attention_dx, .dtypes = "ccfcccc",
         TOLERANCES(8e-6, 3 * ROUND, 8e-6, "p and ds are bf16 before products; do v^T - delta cancels"),
         GRADIENTS("dqkv=qkv dq=q", attention_dx), .derive = derive_attention_dx, .floor = 1e-3),
    SPEC(rope, .dtypes = "cfc", TOLERANCES(2e-7, ROUND, 0, "two products and a sum")),
    SPEC(rope_dx, .dtypes = "cfc", TOLERANCES(2e-7, ROUND, 0, "two products and a sum"), GRADIENTS("dx", rope_dx)),

    SPEC(layer_norm, .dtypes = "cffcf", TOLERANCES(F32, ROUND, F32, "two f32 sums over C"),
         .derive = derive_layer_norm),
    SPEC(layer_norm_dx, .dtypes = "ccffcc", TOLERANCES(F32, ROUND, F32, "two f32 sums over C; add before the rounding"),
         GRADIENTS("dx=x", layer_norm_dx), .derive = derive_layer_norm_dx, .floor = 1),
    SPEC(layer_norm_dw, .dtypes = "ccfff", TOLERANCES(F32, 0, F32, "f32 sums over rows"),
         GRADIENTS("dw db", layer_norm_dw), .derive = derive_layer_norm_dw, ACCUMULATES(layer_norm_dw)),
    SPEC(batch_norm, .dtypes = "fffffff", TOLERANCES(F32, 0, 0, "two f32 sums over N"), .derive = derive_batch_norm,
         .state = OPS_STATE_UPDATE),
    SPEC(batch_norm_eval, .dtypes = "ffffff", TOLERANCES(1e-6, 0, 0, "a handful of roundings"),
         .derive = derive_batch_norm_eval),
    SPEC(batch_norm_dx, .dtypes = "fffff", TOLERANCES(F32, 0, 0, "two f32 sums over N; the terms cancel for small N"),
         GRADIENTS("dz=z", batch_norm_dx), .derive = derive_batch_norm_dx, .floor = 1),
    SPEC(batch_norm_dw, .dtypes = "fffff", TOLERANCES(F32, 0, 0, "f32 sums over rows"),
         GRADIENTS("dw db", batch_norm_dw), .derive = derive_batch_norm_dw, ACCUMULATES(batch_norm_dw)),
    SPEC(l2_normalize, .dtypes = "fff", TOLERANCES(1e-6, 0, 0, "one f32 sum over C"), .derive = derive_l2_normalize),
    SPEC(l2_normalize_dx, .dtypes = "fffff", TOLERANCES(F32, 0, 0, "dy - y (y . dy) cancels along y"),
         GRADIENTS("dx", l2_normalize_dx), .derive = derive_l2_normalize_dx),

    SPEC(gelu, .dtypes = "cc", TOLERANCES(1e-6, ROUND, 0, "erf to 1e-7")),
    SPEC(gelu_dx, .dtypes = "ccc", TOLERANCES(1e-6, ROUND, 0, "erf and exp to 1e-7"), GRADIENTS("dx=x", gelu_dx)),
    SPEC(quick_gelu, .dtypes = "cc", TOLERANCES(1e-6, ROUND, 0, "exp to 1e-7, its argument rounded")),
    SPEC(quick_gelu_dx, .dtypes = "ccc", TOLERANCES(1e-6, ROUND, 0, "as above"), GRADIENTS("dx=x", quick_gelu_dx)),
    SPEC(swiglu, .dtypes = "cc", TOLERANCES(1e-6, ROUND, 0, "exp to 1e-7, two products")),
    SPEC(swiglu_dx, .dtypes = "ccc", TOLERANCES(1e-6, ROUND, 0, "exp to 1e-7, a handful of roundings"),
         GRADIENTS("dx=x", swiglu_dx)),
    SPEC(relu, .dtypes = "cc", TOLERANCES(0, 0, 0, "a choice, exact"), .derive = derive_relu),
    SPEC(relu_dx, .dtypes = "ccc", TOLERANCES(0, 0, 0, "a choice, exact"), GRADIENTS("dx", relu_dx),
         .derive = derive_relu_dx),
    SPEC(add, .dtypes = "ccfc", TOLERANCES(2e-7, ROUND, 0, "two roundings")),
    SPEC(add_df, .dtypes = "cfc", TOLERANCES(2e-7, ROUND, 0, "one rounding"), GRADIENTS("df", add_df)),
    SPEC(add_dscale, .dtypes = "ccf", TOLERANCES(F32, 0, F32, "f32 sums over rows"), GRADIENTS("dscale", add_dscale),
         ACCUMULATES(add_dscale)),
    SPEC(cast, .dtypes = "co", TOLERANCES(0, 0, 0, "round to nearest even, exact"), .derive = derive_cast),
    SPEC(cast_store, .dtypes = "co", TOLERANCES(0, 0, 0, "round to nearest even, exact"), .derive = derive_cast,
         .state = OPS_STATE_WRITE),
    SPEC(zero, .dtypes = "f", TOLERANCES(0, 0, 0, "exact"), .state = OPS_STATE_WRITE),

    SPEC(make_views, .dtypes = "uuu", TOLERANCES(0, 0, 0, "bytes, exact"), .derive = derive_make_views),
    SPEC(patchify, .dtypes = "fc", TOLERANCES(2e-7, ROUND, 0, "three roundings for bytes, a copy for f32")),
    SPEC(tokens, .dtypes = "cfffc", TOLERANCES(2e-7, ROUND, 0, "one addition")),
    SPEC(tokens_dx, .dtypes = "cc", TOLERANCES(0, 0, 0, "a copy, exact"), GRADIENTS("dpatches", tokens_dx)),
    SPEC(tokens_dw, .dtypes = "cffff", TOLERANCES(F32, 0, F32, "f32 sums over samples"),
         GRADIENTS("dcls dpos dreg dvalue", tokens_dw), ACCUMULATES(tokens_dw)),
    SPEC(resample_positions, .dtypes = "ff",
         TOLERANCES(4e-7, 0, 0, "f32 sums of up to 22 taps an axis, weights rounded once")),
    SPEC(resample_positions_dw, .dtypes = "ff", TOLERANCES(4e-7, 0, 0, "as above"),
         GRADIENTS("dpos", resample_positions_dw), ACCUMULATES(resample_positions_dw)),
    SPEC(class_row, .dtypes = "cc", TOLERANCES(0, 0, 0, "a copy, exact")),
    SPEC(class_row_dx, .dtypes = "ccc", TOLERANCES(2e-7, ROUND, 0, "one addition"), GRADIENTS("dx", class_row_dx)),

    SPEC(code_align, .dtypes = "fuf", TOLERANCES(F32, 0, 0, "f32 terms, summed in a fixed order"),
         .derive = derive_code_align),
    SPEC(code_align_dx, .dtypes = "fuff", TOLERANCES(F32, 0, 0, "one exp and a few roundings per pair"),
         GRADIENTS("dz=z", code_align_dx), .derive = derive_code_align_dx),
    SPEC(prototype_targets, .dtypes = "fuu", TOLERANCES(0, 0, 0, "bits; no mean within 1e-6 of the threshold"),
         .derive = derive_prototype_targets),
    SPEC(sign_pack, .dtypes = "fb", TOLERANCES(0, 0, 0, "bits"), .derive = derive_sign_pack),
    SPEC(coding_rate, .dtypes = "fff",
         TOLERANCES(1e-5, 0, 0, "Cholesky of A in f32, condition about 1 + D/(N eps) |x^T x|"),
         .derive = derive_coding_rate),
    SPEC(coding_rate_dx, .dtypes = "fff", TOLERANCES(2e-5, 0, 0, "two triangular solves, condition as above"),
         GRADIENTS("dx=x", coding_rate_dx), .derive = derive_coding_rate_dx),
    SPEC(cross_entropy, .dtypes = "fiff", TOLERANCES(F32, 0, 0, "f32 sum of exp over C"),
         .derive = derive_cross_entropy),
    SPEC(cross_entropy_dx, .dtypes = "fiff", TOLERANCES(3e-6, 0, 0, "exp(x - lse) with both about 10: 2^-24 times 10"),
         GRADIENTS("dlogits=logits", cross_entropy_dx), .derive = derive_cross_entropy_dx),

    SPEC(sum_squares, .dtypes = "ff", TOLERANCES(F32, 0, 0, "a sum in a fixed order")),
    SPEC(adamw, .dtypes = "ffffuf", TOLERANCES(1e-6, 0, 0, "a dozen roundings per element"), .derive = derive_adamw,
         .state = OPS_STATE_UPDATE),
    SPEC(ema, .dtypes = "ff", TOLERANCES(2e-7, 0, 0, "three roundings per element"), .state = OPS_STATE_UPDATE),
};

const ops_spec *ops_spec_of(bt_op op) {
    return specs[op].dtypes ? &specs[op] : NULL;
}
