/* Matrix products by oneDNN (its C API; what differs between versions is in product_dnnl_api.c).
 *
 * An addend that lies in c already is a sum post-op. One that lies elsewhere is a binary post-op where oneDNN's code
 * adds it to the finished sum in registers ("brgemm", AVX-512): such a product holds two primitives and takes the one
 * that fits the memory it is given. The older "gemm" would pass over c a second time for it, and round in another order
 * than the sum does; there the addend is copied to c first, at the same cost and with the same bits.
 *
 * A frozen b is packed where the library wants blocks. Where it would take rows ("gemm", AVX2: it packs b itself at
 * each run, at the same speed from either orientation) a copy would only be a transposed one, and cost a second model.
 *
 * oneDNN's reference code, for shapes that it has no fast code for, is a hundred times slower and refused here. Scratch
 * is the caller's (scratchpad mode "user").
 */
#ifdef BITTERN_WITH_ONEDNN
#include "base/memory.h"
#include "cpu/product_dnnl_api.h"
#include "cpu/product_library.h"

#include <stdio.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

struct bt_dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

enum { MAX_ARGS = 6 };

/* A primitive with one memory object for each argument; the objects' addresses are set at each run. */
typedef struct variant {
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, c, bias, addend, scratchpad;
    size_t scratch_bytes;
    bool brgemm;
} variant;

typedef struct dnnl_state {
    variant plain; /* without an addend, or with the addend in c (sum) */
    variant apart; /* with the addend elsewhere (binary); without a primitive where copying is as good */
    bt_pack *pack;
} dnnl_state;

const char *bt_product_dnnl_text(void) {
    static char text[40];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

static const char *status_text(dnnl_status_t status) {
    switch (status) {
    case dnnl_out_of_memory:
        return "out of memory";
    case dnnl_invalid_arguments:
        return "invalid arguments";
    case dnnl_unimplemented:
        return "not implemented";
    case dnnl_runtime_error:
        return "run-time error";
    default:
        return "unexpected status";
    }
}

static bt_status fault(dnnl_status_t status, const char *what) {
    bt_status kind = status == dnnl_out_of_memory   ? BT_ERR_MEMORY
                     : status == dnnl_unimplemented ? BT_ERR_UNSUPPORTED
                                                    : BT_ERR_DEVICE;
    return bt_error(kind, "cpu: %s: %s: %s (status %d)", bt_product_dnnl_text(), what, status_text(status),
                    (int)status);
}

bt_status bt_product_dnnl_open(bt_cpu_device *device) {
    /* BITTERN_CPU lowers oneDNN too. It obeys before its first primitive only; a second device cannot change it. */
    dnnl_cpu_isa_t highest = device->cpu.isa == BT_ISA_AVX2 ? dnnl_cpu_isa_avx2 : dnnl_cpu_isa_sse41;
    if (device->cpu.isa != BT_ISA_AVX512) (void)dnnl_set_max_cpu_isa(highest);
    struct bt_dnnl *dnnl = bt_memory_zeroed(1, sizeof *dnnl);
    if (!dnnl) return BT_ERR_MEMORY;
    device->dnnl = dnnl;
    dnnl_status_t status = dnnl_engine_create(&dnnl->engine, dnnl_cpu, 0);
    if (status == dnnl_success) status = dnnl_stream_create(&dnnl->stream, dnnl->engine, dnnl_stream_default_flags);
    if (status == dnnl_success) return BT_OK;
    bt_product_dnnl_close(device);
    return fault(status, "opening the processor");
}

void bt_product_dnnl_close(bt_cpu_device *device) {
    struct bt_dnnl *dnnl = device->dnnl;
    if (!dnnl) return;
    if (dnnl->stream) (void)dnnl_stream_destroy(dnnl->stream);
    if (dnnl->engine) (void)dnnl_engine_destroy(dnnl->engine);
    bt_memory_free(dnnl);
    device->dnnl = NULL;
}

static void variant_release(variant *v) {
    dnnl_memory_t *const memory[] = {&v->a, &v->b, &v->c, &v->bias, &v->addend, &v->scratchpad};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        if (*memory[i]) (void)dnnl_memory_destroy(*memory[i]);
    if (v->primitive) (void)dnnl_primitive_destroy(v->primitive);
    *v = (variant){0};
}

static void dnnl_release(bt_product *p) {
    dnnl_state *state = p->state;
    variant_release(&state->plain);
    variant_release(&state->apart);
    bt_pack_drop(p->device, state->pack);
    bt_memory_free(state);
    p->state = NULL;
}

static dnnl_data_type_t type_of(bt_dtype dtype) {
    return dtype == BT_BF16 ? dnnl_bf16 : dnnl_f32;
}

static void descs_free(bt_dnnl_matmul *x) {
    bt_dnnl_desc all[] = {x->a, x->b, x->c, x->bias, x->addend};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) bt_dnnl_desc_free(all[i]);
}

static bt_dnnl_desc desc_of_b(const bt_product_spec *s) {
    return bt_dnnl_desc_new(s->k, s->n, type_of(s->in), s->b_trans ? 1 : s->b_ld, s->b_trans ? s->b_ld : 1);
}

/* Describes the product, with b in any form if `any_b`; false if there is no memory. */
static bool describe(const bt_product_spec *s, bool apart, bool any_b, bt_dnnl_matmul *out) {
    *out = (bt_dnnl_matmul){.sum = s->accumulate || (s->add && !apart), .alpha = s->alpha};
    out->a = bt_dnnl_desc_new(s->m, s->k, type_of(s->in), s->a_trans ? 1 : s->a_ld, s->a_trans ? s->a_ld : 1);
    out->b = any_b ? bt_dnnl_desc_new(s->k, s->n, type_of(s->in), 0, 0) : desc_of_b(s);
    out->c = bt_dnnl_desc_new(s->m, s->n, type_of(s->out), s->c_ld, 1);
    if (s->bias) out->bias = bt_dnnl_desc_new(1, s->n, dnnl_f32, s->n, 1);
    if (apart) out->addend = bt_dnnl_desc_new(s->m, s->n, type_of(s->out), s->add_ld, 1);
    if (out->a && out->b && out->c && (out->bias || !s->bias) && (out->addend || !apart)) return true;
    descs_free(out);
    return false;
}

/* Memory objects of a variant, without addresses. */
static dnnl_status_t memories_new(variant *v, const bt_dnnl_matmul *x, bt_dnnl_desc b, bt_dnnl_desc scratchpad,
                                  dnnl_engine_t engine) {
    const struct {
        dnnl_memory_t *out;
        bt_dnnl_desc desc;
    } rows[] = {{&v->a, x->a},           {&v->b, b},
                {&v->c, x->c},           {&v->bias, x->bias},
                {&v->addend, x->addend}, {&v->scratchpad, scratchpad}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].desc) continue;
        dnnl_status_t status = dnnl_memory_create(rows[i].out, rows[i].desc, engine, DNNL_MEMORY_NONE);
        if (status != dnnl_success) return status;
    }
    return dnnl_success;
}

/* Primitive and memory objects from a primitive descriptor; *chosen is the form it wants b in. */
static dnnl_status_t variant_fill(variant *v, const bt_dnnl_matmul *x, dnnl_primitive_desc_t product,
                                  dnnl_engine_t engine, bt_dnnl_desc *chosen) {
    const char *implementation = "";
    (void)dnnl_primitive_desc_query(product, dnnl_query_impl_info_str, 0, (void *)&implementation);
    if (!strncmp(implementation, "ref", 3)) return dnnl_unimplemented;
    v->brgemm = !strncmp(implementation, "brg", 3);
    *chosen = bt_dnnl_desc_of(product, dnnl_query_weights_md);
    bt_dnnl_desc scratchpad = bt_dnnl_desc_of(product, dnnl_query_scratchpad_md);
    dnnl_status_t status = *chosen && scratchpad ? dnnl_success : dnnl_out_of_memory;
    if (status == dnnl_success) {
        v->scratch_bytes = dnnl_memory_desc_get_size(scratchpad);
        status = memories_new(v, x, *chosen, v->scratch_bytes ? scratchpad : NULL, engine);
    }
    if (status == dnnl_success) status = dnnl_primitive_create(&v->primitive, product);
    bt_dnnl_desc_free(scratchpad);
    return status;
}

static bt_status variant_new(const bt_product *p, bool apart, bool any_b, variant *v, bt_dnnl_desc *chosen) {
    dnnl_engine_t engine = p->device->dnnl->engine;
    bt_dnnl_matmul x;
    *chosen = NULL;
    if (!describe(&p->spec, apart, any_b, &x))
        return bt_error(BT_ERR_MEMORY, "cpu: no memory for the descriptors of a product");
    dnnl_primitive_desc_t product = NULL;
    dnnl_status_t status = bt_dnnl_matmul_new(&x, engine, &product);
    if (status == dnnl_success) status = variant_fill(v, &x, product, engine, chosen);
    if (product) (void)dnnl_primitive_desc_destroy(product);
    descs_free(&x);
    if (status == dnnl_success) return BT_OK;
    variant_release(v);
    bt_dnnl_desc_free(*chosen);
    *chosen = NULL;
    return fault(status, "preparing a matrix product");
}

static dnnl_status_t reorder(const struct bt_dnnl *dnnl, bt_dnnl_desc from, const void *source, bt_dnnl_desc to,
                             void *packed) {
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t in = NULL, out = NULL;
    dnnl_status_t status = bt_dnnl_reorder_new(from, to, dnnl->engine, &desc);
    if (status == dnnl_success) status = dnnl_primitive_create(&primitive, desc);
    if (status == dnnl_success) status = dnnl_memory_create(&in, from, dnnl->engine, (void *)(uintptr_t)source);
    if (status == dnnl_success) status = dnnl_memory_create(&out, to, dnnl->engine, packed);
    if (status == dnnl_success) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, in}, {DNNL_ARG_TO, out}};
        status = dnnl_primitive_execute(primitive, dnnl->stream, 2, args);
    }
    if (status == dnnl_success) status = dnnl_stream_wait(dnnl->stream);
    if (in) (void)dnnl_memory_destroy(in);
    if (out) (void)dnnl_memory_destroy(out);
    if (primitive) (void)dnnl_primitive_destroy(primitive);
    if (desc) (void)dnnl_primitive_desc_destroy(desc);
    return status;
}

static bool same_layout(const void *a, const void *b) {
    return dnnl_memory_desc_equal((bt_dnnl_desc)(uintptr_t)a, (bt_dnnl_desc)(uintptr_t)b) != 0;
}

static void free_layout(void *layout) {
    bt_dnnl_desc_free(layout);
}

/* Takes over `chosen`. */
static bt_status pack_weights(bt_product *p, bt_dnnl_desc chosen) {
    const bt_product_spec *s = &p->spec;
    dnnl_state *state = p->state;
    bt_pack_key key = {.source = s->frozen_b,
                       .n = s->n,
                       .k = s->k,
                       .ld = s->b_ld,
                       .dtype = s->in,
                       .trans = s->b_trans,
                       .methods = &bt_product_dnnl,
                       .layout = chosen};
    bool is_new;
    state->pack = bt_pack_take(p->device, &key, dnnl_memory_desc_get_size(chosen), &is_new);
    if (!is_new) bt_dnnl_desc_free(chosen);
    if (!state->pack) return BT_ERR_MEMORY;
    if (!is_new) return BT_OK;
    bt_dnnl_desc from = desc_of_b(s);
    dnnl_status_t status =
        from ? reorder(p->device->dnnl, from, s->frozen_b, chosen, state->pack->data) : dnnl_out_of_memory;
    bt_dnnl_desc_free(from);
    return status == dnnl_success ? BT_OK : fault(status, "packing weights");
}

static bt_status dnnl_prepare(bt_product *p) {
    const bt_product_spec *s = &p->spec;
    dnnl_state *state = bt_memory_zeroed(1, sizeof *state);
    if (!state) return BT_ERR_MEMORY;
    p->state = state;
    bt_dnnl_desc chosen = NULL, other = NULL;
    bool packed = s->frozen_b != NULL;
    bt_status status = variant_new(p, false, packed, &state->plain, &chosen);
    if (status == BT_OK && packed && bt_dnnl_desc_is_plain(chosen)) {
        packed = false;
        variant_release(&state->plain);
        bt_dnnl_desc_free(chosen);
        status = variant_new(p, false, false, &state->plain, &chosen);
    }
    if (status == BT_OK && s->add && state->plain.brgemm) {
        bool fits = variant_new(p, true, packed, &state->apart, &other) == BT_OK;
        if (!fits || !state->apart.brgemm || (packed && !same_layout(chosen, other))) variant_release(&state->apart);
    }
    bt_dnnl_desc_free(other);
    if (status == BT_OK && packed)
        status = pack_weights(p, chosen);
    else
        bt_dnnl_desc_free(chosen);
    if (status != BT_OK) {
        dnnl_release(p);
        return status;
    }
    size_t a = state->plain.scratch_bytes, b = state->apart.scratch_bytes;
    p->scratch_bytes = a > b ? a : b;
    return BT_OK;
}

static void copy_addend(const bt_product *p, const bt_product_operands *x) {
    const bt_product_spec *s = &p->spec;
    const size_t element = bt_dtype_bytes(s->out), bytes = (size_t)s->n * element;
#pragma omp parallel for num_threads(p->device->threads) schedule(static)
    for (int64_t i = 0; i < s->m; i++)
        memcpy((char *)x->c + (size_t)(i * s->c_ld) * element, (const char *)x->add + (size_t)(i * s->add_ld) * element,
               bytes);
}

static bt_status dnnl_run(const bt_product *p, const bt_product_operands *x, void *scratch) {
    const dnnl_state *state = p->state;
    const bt_product_spec *s = &p->spec;
    const bool apart = s->add && x->add != x->c;
    const variant *v = apart && state->apart.primitive ? &state->apart : &state->plain;
    if (apart && v == &state->plain) copy_addend(p, x);
#ifdef _OPENMP
    if (omp_get_max_threads() != p->device->threads)
        omp_set_num_threads(p->device->threads); /* called by another thread */
#endif
    const struct {
        int name;
        dnnl_memory_t memory;
        const void *data;
    } rows[MAX_ARGS] = {{DNNL_ARG_SRC, v->a, x->a},
                        {DNNL_ARG_WEIGHTS, v->b, state->pack ? state->pack->data : bt_product_b(p, x)},
                        {DNNL_ARG_DST, v->c, x->c},
                        {DNNL_ARG_BIAS, v->bias, x->bias},
                        {DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, v->addend, x->add},
                        {DNNL_ARG_SCRATCHPAD, v->scratchpad, scratch}};
    dnnl_exec_arg_t args[MAX_ARGS];
    int count = 0;
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < MAX_ARGS && status == dnnl_success; i++) {
        if (!rows[i].memory) continue;
        status = dnnl_memory_set_data_handle(rows[i].memory, (void *)(uintptr_t)rows[i].data);
        args[count++] = (dnnl_exec_arg_t){rows[i].name, rows[i].memory};
    }
    if (status == dnnl_success) status = dnnl_primitive_execute(v->primitive, p->device->dnnl->stream, count, args);
    if (status == dnnl_success) status = dnnl_stream_wait(p->device->dnnl->stream);
    return status == dnnl_success ? BT_OK : fault(status, "running a matrix product");
}

const bt_product_methods bt_product_dnnl = {.prepare = dnnl_prepare,
                                            .run = dnnl_run,
                                            .release = dnnl_release,
                                            .same_layout = same_layout,
                                            .free_layout = free_layout};
#else
typedef int bt_no_dnnl; /* ISO C wants something in a file */
#endif
