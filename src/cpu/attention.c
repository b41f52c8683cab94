/* Multi-head attention without mask, forward and backward, over (sample, head) on threads.
 *   o = softmax(scale q k^T) v,  lse = log sum exp of the scaled scores (f32, saved with o for the backward);
 *   gradients as in cpu/attention_simd.h, which does one head.
 * Any numbers of queries, keys and heads, any head width. Threads take whole heads: a single image on more threads than
 * it has heads leaves the rest idle. */
#define BT_SIMD_GENERIC
#include "cpu/attention_simd.h"

#include "cpu/rows.h"

#ifdef _OPENMP
#include <omp.h>
#endif

static const bt_attention_functions *functions_for(const bt_device *device, bt_dtype dtype) {
#ifdef BITTERN_WITH_SIMD
    const bt_cpu_features *cpu = &((const bt_cpu_device *)device)->cpu;
    if (dtype == BT_BF16 && cpu->avx512_bf16) return &bt_attention_bf16_avx512;
    if (cpu->isa == BT_ISA_AVX512) return &bt_attention_avx512;
    if (cpu->isa == BT_ISA_AVX2) return &bt_attention_avx2;
#else
    (void)device;
    (void)dtype;
#endif
    return &bt_attention_generic;
}

/* Columns first..first+size of sample `n` of a (N,T,C) tensor. */
static bt_head_rows head_rows(const bt_tensor *t, int64_t n, int64_t first) {
    if (!bt_present(t)) return (bt_head_rows){0};
    int64_t at = n * t->shape.dim[1] * t->ld + first;
    return (bt_head_rows){.data = (char *)t->data + at * (int64_t)bt_dtype_bytes(t->dtype), .ld = t->ld};
}

/* Where q, k and v of a fused tensor begin: without q of its own it holds three parts of C columns, else two. */
typedef struct layout {
    const bt_tensor *q;
    int64_t q_column, k_column, v_column;
} layout;

static layout layout_of(const bt_tensor *qkv, const bt_tensor *q, int64_t columns) {
    bool own = bt_present(q);
    return (layout){.q = own ? q : qkv, .k_column = own ? 0 : columns, .v_column = own ? columns : 2 * columns};
}

/* The operands of both directions for head `index` = n * heads + h. */
static bt_attention_head head_of(const bt_tensor *qkv, const bt_tensor *q, const bt_tensor *o, const bt_tensor *lse,
                                 int heads, float scale, int64_t index) {
    int64_t columns = bt_shape_cols(o->shape), size = columns / heads, n = index / heads, at = index % heads * size;
    const layout in = layout_of(qkv, q, columns);
    return (bt_attention_head){.queries = o->shape.dim[1],
                               .keys = qkv->shape.dim[1],
                               .size = size,
                               .scale = scale,
                               .bf16 = o->dtype == BT_BF16,
                               .q = head_rows(in.q, n, in.q_column + at),
                               .k = head_rows(qkv, n, in.k_column + at),
                               .v = head_rows(qkv, n, in.v_column + at),
                               .o = head_rows(o, n, at),
                               .lse = (float *)lse->data + index * o->shape.dim[1]};
}

static float *thread_scratch(void *scratch, size_t bytes) {
#ifdef _OPENMP
    return (float *)(void *)((char *)scratch + (size_t)omp_get_thread_num() * bytes);
#else
    (void)bytes;
    return scratch;
#endif
}

static void check_shapes(const bt_tensor *qkv, const bt_tensor *q, const bt_tensor *o, const bt_tensor *lse,
                         int heads) {
    BT_ASSERT(heads > 0 && o->shape.rank == 3 && qkv->shape.rank == 3 && bt_shape_cols(o->shape) % heads == 0);
    BT_ASSERT(bt_shape_cols(qkv->shape) == (bt_present(q) ? 2 : 3) * bt_shape_cols(o->shape));
    BT_ASSERT(lse->ld == o->shape.dim[1]); /* (N,H,Q), rows without padding */
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static size_t forward_scratch_bytes(const bt_device *device, const bt_attention_args *a) {
    int64_t size = bt_shape_cols(a->o.shape) / a->heads;
    size_t bytes = functions_for(device, a->o.dtype)->forward_bytes(a->o.shape.dim[1], a->qkv.shape.dim[1], size);
    return bt_cpu_round_up(bytes, BT_CPU_ALIGNMENT);
}

static bt_status prepare(bt_device *device, const bt_attention_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("attention", {"qkv", &a->qkv, BT_COMPUTE}, {"q", &a->q, BT_COMPUTE | BT_ALLOW_NONE},
                             {"o", &a->o, BT_COMPUTE}, {"lse", &a->lse, BT_ALLOW_F32}));
    check_shapes(&a->qkv, &a->q, &a->o, &a->lse, a->heads);
    out->scratch_bytes = forward_scratch_bytes(device, a) * (size_t)bt_cpu_threads(device);
    return BT_OK;
}

static bt_status run(bt_device *device, const bt_attention_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    const bt_attention_functions *functions = functions_for(device, a->o.dtype);
    const size_t bytes = forward_scratch_bytes(device, a);
    const int64_t count = a->o.shape.dim[0] * a->heads;
#pragma omp parallel for num_threads(bt_cpu_threads(device)) schedule(static)
    for (int64_t i = 0; i < count; i++) {
        const bt_attention_head head = head_of(&a->qkv, &a->q, &a->o, &a->lse, a->heads, a->scale, i);
        functions->forward(&head, thread_scratch(scratch, bytes));
    }
    return BT_OK;
}

const bt_attention_kernel bt_cpu_attention = {prepare, run};

/* ---- backward ---------------------------------------------------------------------------------------------------- */

static size_t backward_scratch_bytes(const bt_device *device, const bt_attention_dx_args *a) {
    int64_t size = bt_shape_cols(a->o.shape) / a->heads;
    size_t bytes = functions_for(device, a->o.dtype)->backward_bytes(a->o.shape.dim[1], a->qkv.shape.dim[1], size);
    return bt_cpu_round_up(bytes, BT_CPU_ALIGNMENT);
}

static bt_status prepare_dx(bt_device *device, const bt_attention_dx_args *a, bt_prepared *out) {
    int dq = bt_present(&a->q) ? BT_COMPUTE | BT_ALLOW_NONE : BT_ALLOW_NONE;
    BT_TRY(BT_CHECK_OPERANDS("attention_dx", {"do_", &a->do_, BT_COMPUTE}, {"o", &a->o, BT_COMPUTE},
                             {"lse", &a->lse, BT_ALLOW_F32}, {"qkv", &a->qkv, BT_COMPUTE},
                             {"q", &a->q, BT_COMPUTE | BT_ALLOW_NONE}, {"dqkv", &a->dqkv, BT_COMPUTE},
                             {"dq", &a->dq, dq}));
    check_shapes(&a->qkv, &a->q, &a->o, &a->lse, a->heads);
    out->scratch_bytes = backward_scratch_bytes(device, a) * (size_t)bt_cpu_threads(device);
    return BT_OK;
}

static bt_attention_head gradient_head_of(const bt_attention_dx_args *a, int64_t index) {
    bt_attention_head head = head_of(&a->qkv, &a->q, &a->o, &a->lse, a->heads, a->scale, index);
    int64_t columns = bt_shape_cols(a->o.shape), n = index / a->heads, at = index % a->heads * head.size;
    const layout out = layout_of(&a->dqkv, &a->q, columns);
    head.do_ = head_rows(&a->do_, n, at);
    head.dq = head_rows(bt_present(&a->q) ? &a->dq : &a->dqkv, n, at);
    head.dk = head_rows(&a->dqkv, n, out.k_column + at);
    head.dv = head_rows(&a->dqkv, n, out.v_column + at);
    return head;
}

static bt_status run_dx(bt_device *device, const bt_attention_dx_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    const bt_attention_functions *functions = functions_for(device, a->o.dtype);
    const size_t bytes = backward_scratch_bytes(device, a);
    const int64_t count = a->o.shape.dim[0] * a->heads;
#pragma omp parallel for num_threads(bt_cpu_threads(device)) schedule(static)
    for (int64_t i = 0; i < count; i++) {
        const bt_attention_head head = gradient_head_of(a, i);
        functions->backward(&head, thread_scratch(scratch, bytes));
    }
    return BT_OK;
}

const bt_attention_dx_kernel bt_cpu_attention_dx = {prepare_dx, run_dx};
