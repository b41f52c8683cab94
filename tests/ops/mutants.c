/* A fixed set of broken kernels; the operation table must turn red for each of them.
 *
 * A mutant is the CPU backend's kernel behind a wrapper that changes its arguments (a dropped term, an ignored flag) or
 * what it wrote (sign, factor, place). Memory is reached through the backend, so a wrapper is not tied to host memory.
 */
#include "ops_test.h"

#include <stdlib.h>
#include <string.h>

static const bt_backend *const base = &bt_cpu_backend;

/* Both functions of the kernel see arguments `a` changed by `statement`. */
#define CHANGES_ARGUMENTS(mutant, op, statement)                                                                       \
    static bt_status prepare_##mutant(bt_device *device, const bt_##op##_args *args, bt_prepared *out) {               \
        bt_##op##_args a = *args;                                                                                      \
        statement;                                                                                                     \
        return base->kernels->op->prepare(device, &a, out);                                                            \
    }                                                                                                                  \
    static bt_status run_##mutant(bt_device *device, const bt_##op##_args *args, const bt_prepared *prepared,          \
                                  void *scratch) {                                                                     \
        bt_##op##_args a = *args;                                                                                      \
        statement;                                                                                                     \
        return base->kernels->op->run(device, &a, prepared, scratch);                                                  \
    }                                                                                                                  \
    static const bt_##op##_kernel kernel_##mutant = {prepare_##mutant, run_##mutant};

/* `statement` comes before or after the true kernel. */
#define AROUND_RUN(mutant, op, before, after)                                                                          \
    static bt_status prepare_##mutant(bt_device *device, const bt_##op##_args *args, bt_prepared *out) {               \
        return base->kernels->op->prepare(device, args, out);                                                          \
    }                                                                                                                  \
    static bt_status run_##mutant(bt_device *device, const bt_##op##_args *a, const bt_prepared *prepared,             \
                                  void *scratch) {                                                                     \
        before;                                                                                                        \
        bt_status status = base->kernels->op->run(device, a, prepared, scratch);                                       \
        after;                                                                                                         \
        return status;                                                                                                 \
    }                                                                                                                  \
    static const bt_##op##_kernel kernel_##mutant = {prepare_##mutant, run_##mutant};

static void read_or_die(bt_device *device, void *host, const void *memory, size_t bytes) {
    if (base->download(device, host, memory, bytes) != BT_OK) bt_panic(__FILE__, __LINE__, "%s", bt_error_message());
}

static void write_or_die(bt_device *device, void *memory, const void *host, size_t bytes) {
    if (base->upload(device, memory, host, bytes) != BT_OK) bt_panic(__FILE__, __LINE__, "%s", bt_error_message());
}

static float element(bt_device *device, const bt_tensor *t, int64_t i) {
    unsigned char *at = (unsigned char *)t->data + (size_t)i * bt_dtype_bytes(t->dtype);
    float single;
    uint16_t half;
    if (t->dtype == BT_F32) {
        read_or_die(device, &single, at, sizeof single);
        return single;
    }
    read_or_die(device, &half, at, sizeof half);
    return bt_bf16_to_float(half);
}

/* Element i, counted with the padding. */
static void put(bt_device *device, const bt_tensor *t, int64_t i, float value) {
    unsigned char *at = (unsigned char *)t->data + (size_t)i * bt_dtype_bytes(t->dtype);
    uint16_t half = bt_bf16_of(value);
    write_or_die(device, at, t->dtype == BT_F32 ? (const void *)&value : &half, bt_dtype_bytes(t->dtype));
}

static void scale(bt_device *device, const bt_tensor *t, float factor) {
    int64_t cols = bt_shape_cols(t->shape);
    for (int64_t i = 0; i < bt_shape_count(t->shape); i++) {
        int64_t at = i / cols * t->ld + i % cols;
        put(device, t, at, element(device, t, at) * factor);
    }
}

static void clear_fault(bt_device *device) {
    bt_step step;
    read_or_die(device, &step, device->step, sizeof step);
    step.fault = 0;
    if (base->set_step(device, &step) != BT_OK) bt_panic(__FILE__, __LINE__, "%s", bt_error_message());
}

static void set_bit_of_zero(bt_device *device, const bt_sign_pack_args *a) {
    uint64_t word;
    read_or_die(device, &word, a->bits.data, sizeof word);
    word |= 1; /* the table's first element is 0.0 */
    write_or_die(device, a->bits.data, &word, sizeof word);
}

static void swap_parts(bt_lora_linear_args *a) {
    bt_lora_parts *p = &a->parts;
    int64_t first = p->column[0];
    p->column[0] = p->column[p->count - 1];
    p->column[p->count - 1] = first;
}

static void swap_views(bt_code_align_dx_args *a) {
    if (bt_present(&a->targets)) a->weight = -a->weight;
}

static int runs; /* makes a kernel that does not repeat itself */

CHANGES_ARGUMENTS(linear_add, linear, a.add.dtype = BT_NONE)
CHANGES_ARGUMENTS(linear_dw_add_mode, linear_dw, a.accumulate = 0)
CHANGES_ARGUMENTS(scaled_bias, linear_scaled, a.b.dtype = BT_NONE)
CHANGES_ARGUMENTS(gelu_kind, linear_gelu, a.quick = !a.quick)
CHANGES_ARGUMENTS(gelu_dx_scale, linear_gelu_dx, a.scale.dtype = BT_NONE)
CHANGES_ARGUMENTS(lora_parts, lora_linear, swap_parts(&a))
CHANGES_ARGUMENTS(lora_mask, lora_linear_dx, a.dropout = 0)
CHANGES_ARGUMENTS(lora_stream, lora_dw, a.stream += 1)
CHANGES_ARGUMENTS(batch_norm_update, batch_norm, a.update = 0)
CHANGES_ARGUMENTS(align_sign, code_align_dx, swap_views(&a))
CHANGES_ARGUMENTS(rate_factor, coding_rate_dx, a.weight *= 1.001f)
CHANGES_ARGUMENTS(clipping, adamw, a.max_norm = 0)
AROUND_RUN(average_tail, ema, , put(device, &a->average, 0, element(device, &a->param, 0)))
CHANGES_ARGUMENTS(rope_values, rope, a.rotated = a.parts)
CHANGES_ARGUMENTS(rope_prefix, rope, a.prefix += a.prefix > 0)
CHANGES_ARGUMENTS(rope_back_prefix, rope_dx, a.prefix += a.prefix > 0)
AROUND_RUN(rope_forward_again, rope_dx, ,
           base->kernels->rope->run(device,
                                    &(bt_rope_args){.x = a->dy,
                                                    .table = a->table,
                                                    .y = a->dx,
                                                    .heads = a->heads,
                                                    .parts = a->parts,
                                                    .rotated = a->rotated,
                                                    .prefix = a->prefix},
                                    prepared, scratch))
CHANGES_ARGUMENTS(positions_rule, resample_positions,
                  a.rule = a.rule == BT_POSITIONS_BICUBIC ? BT_POSITIONS_ANTIALIAS : BT_POSITIONS_BICUBIC)
CHANGES_ARGUMENTS(positions_step, resample_positions_dw,
                  a.rule = a.rule == BT_POSITIONS_HUB ? BT_POSITIONS_BICUBIC : a.rule)
CHANGES_ARGUMENTS(positions_add_mode, resample_positions_dw, a.accumulate = 0)
CHANGES_ARGUMENTS(layer_norm_eps, layer_norm, a.eps = 0)
AROUND_RUN(layer_norm_factor, layer_norm_dx, , scale(device, &a->dx, 1.01f))
AROUND_RUN(attention_sign, attention_dx, , if (bt_present(&a->dq)) scale(device, &a->dq, -1))
AROUND_RUN(gelu_past_row, gelu_dx, ,
           if (a->dx.ld > bt_shape_cols(a->dx.shape)) put(device, &a->dx, bt_shape_cols(a->dx.shape), 1))
AROUND_RUN(tokens_last_row, tokens_dw, ,
           if (bt_present(&a->dreg) && bt_present(&a->dpos)) scale(device, &a->dpos, 1.1f))
AROUND_RUN(silent_label, cross_entropy, , clear_fault(device))
AROUND_RUN(zero_bit, sign_pack, , set_bit_of_zero(device, a))
AROUND_RUN(unstable, l2_normalize, ,
           put(device, &a->y, 0, element(device, &a->y, 0) * (1 + (float)(runs++ % 2) * 0x1p-22f)))
AROUND_RUN(input_written, relu, , put(device, &a->x, 0, 1))
AROUND_RUN(unsafe_alias, add, scale(device, &a->y, 0), )
AROUND_RUN(bf16_factor, attention, , scale(device, &a->o, 1 + 0x1p-6f))

static const struct {
    const char *what;
    bt_op op;
    size_t slot;
    const void *kernel;
} mutants[] = {
#define MUTANT(mutant, op, what)                                                                                       \
    { what, BT_OP_##op, offsetof(bt_kernels, op), &kernel_##mutant }
    MUTANT(linear_add, linear, "does not add `add`"),
    MUTANT(linear_dw_add_mode, linear_dw, "ignores accumulate"),
    MUTANT(scaled_bias, linear_scaled, "leaves the bias out"),
    MUTANT(gelu_kind, linear_gelu, "takes the other GELU"),
    MUTANT(gelu_dx_scale, linear_gelu_dx, "leaves the scale out"),
    MUTANT(lora_parts, lora_linear, "swaps the first and last part"),
    MUTANT(lora_mask, lora_linear_dx, "forgets the mask of the dropout"),
    MUTANT(lora_stream, lora_dw, "draws from the next layer's stream"),
    MUTANT(batch_norm_update, batch_norm, "leaves the running statistics alone"),
    MUTANT(align_sign, code_align_dx, "flips the sign where targets are given"),
    MUTANT(rate_factor, coding_rate_dx, "is off by a thousandth"),
    MUTANT(clipping, adamw, "ignores max_norm"),
    MUTANT(average_tail, ema, "takes the parameter in place of the average"),
    MUTANT(rope_values, rope, "rotates values too"),
    MUTANT(rope_prefix, rope, "leaves one token too many without position"),
    MUTANT(rope_back_prefix, rope_dx, "leaves one token too many without position"),
    MUTANT(rope_forward_again, rope_dx, "turns in the direction of the forward"),
    MUTANT(positions_rule, resample_positions, "takes the other filter"),
    MUTANT(positions_step, resample_positions_dw, "samples by size where the hub does not"),
    MUTANT(positions_add_mode, resample_positions_dw, "ignores accumulate"),
    MUTANT(layer_norm_eps, layer_norm, "leaves eps out"),
    MUTANT(layer_norm_factor, layer_norm_dx, "is off by a hundredth"),
    MUTANT(attention_sign, attention_dx, "flips the sign of dq"),
    MUTANT(gelu_past_row, gelu_dx, "writes one element behind a row"),
    MUTANT(tokens_last_row, tokens_dw, "counts positions wrongly where there are registers"),
    MUTANT(silent_label, cross_entropy, "keeps quiet about a label out of range"),
    MUTANT(zero_bit, sign_pack, "gives 1 for z = 0"),
    MUTANT(unstable, l2_normalize, "gives other bits when run again"),
    MUTANT(input_written, relu, "writes to its input"),
    MUTANT(unsafe_alias, add, "writes its output before it has read its input"),
    MUTANT(bf16_factor, attention, "is off by 2^-6, in bf16 as well"),
};

static int failures(ops_target target, bt_op op) {
    const ops_options options = {.op = (int)op, .dtype = -1, .quiet = true};
    ops_counts counts = {0};
    ops_run_table(&target, &options, &counts);
    ops_run_faults(&target, &options, &counts);
    return counts.failed;
}

int main(void) {
    int survivors = 0, count = (int)(sizeof mutants / sizeof *mutants);
    ops_target target = {.backend = base, .kernels = base->kernels, .small_only = true};
    if (base->open(&(bt_device_options){.threads = 2}, &target.device) != BT_OK) {
        printf("FAIL backend does not open: %s\n", bt_error_message());
        return 1;
    }
    for (int i = 0; i < count; i++) {
        const char *name = ops_info_of(mutants[i].op)->name;
        bt_kernels table = *base->kernels;
        int healthy = failures(target, mutants[i].op);
        memcpy((unsigned char *)&table + mutants[i].slot, &mutants[i].kernel, sizeof(void *));
        ops_target mutated = target;
        mutated.kernels = &table;
        int caught = failures(mutated, mutants[i].op);
        bool killed = healthy == 0 && caught > 0;
        survivors += !killed;
        printf("%s %s that %s: %d cases fail%s\n", killed ? "caught  " : "SURVIVED", name, mutants[i].what, caught,
               healthy ? " (but the true kernel fails too)" : "");
    }
    base->close(target.device);
    printf("%d of %d mutants caught\n", count - survivors, count);
    return survivors ? 1 : 0;
}
