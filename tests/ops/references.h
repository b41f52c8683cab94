/* Functions of the references that specs.c names: what makes inputs fit together, and the scalars whose derivatives the
 * backward operations give. `ref` is the ref_<name> of the operation in the function's name. */
#ifndef BITTERN_TESTS_REFERENCES_H
#define BITTERN_TESTS_REFERENCES_H

/* Backward operations of norms get rstd as an operand and have no eps: their inputs are derived with this one. */
#define REF_EPS 1e-5

void derive_lora_dw(void *ref);
void derive_attention_dx(void *ref);
void derive_layer_norm(void *ref);
void derive_layer_norm_dx(void *ref);
void derive_layer_norm_dw(void *ref);
void derive_batch_norm(void *ref);
void derive_batch_norm_eval(void *ref);
void derive_batch_norm_dx(void *ref);
void derive_batch_norm_dw(void *ref);
void derive_l2_normalize(void *ref);
void derive_l2_normalize_dx(void *ref);
void derive_relu(void *ref);
void derive_relu_dx(void *ref);
void derive_cast(void *ref);
void derive_make_views(void *ref);
void derive_code_align(void *ref);
void derive_code_align_dx(void *ref);
void derive_prototype_targets(void *ref);
void derive_sign_pack(void *ref);
void derive_coding_rate(void *ref);
void derive_coding_rate_dx(void *ref);
void derive_cross_entropy(void *ref);
void derive_cross_entropy_dx(void *ref);
void derive_adamw(void *ref);

double primal_linear_dx(void *ref);
double primal_linear_dw(void *ref);
double primal_linear_scaled_dx(void *ref);
double primal_linear_gelu_dx(void *ref);
double primal_lora_du(void *ref);
double primal_lora_linear_dx(void *ref);
double primal_lora_dw(void *ref);
double primal_attention_dx(void *ref);
double primal_rope_dx(void *ref);
double primal_layer_norm_dx(void *ref);
double primal_layer_norm_dw(void *ref);
double primal_batch_norm_dx(void *ref);
double primal_batch_norm_dw(void *ref);
double primal_l2_normalize_dx(void *ref);
double primal_gelu_dx(void *ref);
double primal_quick_gelu_dx(void *ref);
double primal_swiglu_dx(void *ref);
double primal_relu_dx(void *ref);
double primal_add_df(void *ref);
double primal_add_dscale(void *ref);
double primal_tokens_dx(void *ref);
double primal_tokens_dw(void *ref);
double primal_resample_positions_dw(void *ref);
double primal_class_row_dx(void *ref);
double primal_code_align_dx(void *ref);
double primal_coding_rate_dx(void *ref);
double primal_cross_entropy_dx(void *ref);

#endif
