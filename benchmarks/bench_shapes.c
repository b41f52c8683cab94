/* bittern-bench shapes: what this device reaches on each part of a forward and of a LoRA step by itself, and the floor
 * that these parts make.
 *
 *   floor = sum over instructions of { its products, or its attention, timed alone; of all others bytes / bandwidth }
 *
 * Products are y = x w^T (forward), dx = dy w and dw = dy^T x, without bias, each in the fastest of the library's
 * candidates; the plan runs the first, whose time stands beside it. A GELU in a product's epilogue costs the floor
 * nothing. The parts of an adapter count as one product of their common size. Bytes count each operand once; bandwidth
 * is that of one large tensor read and another written. A tensor that is timed again and again lies in the cache if it
 * fits, so for small models the floor is one that no step can reach. Launches are not in the floor: their number and
 * the cost of one are printed beside it, and hide behind work that takes longer.
 */
#include "bench.h"

#include "program/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORWARD, STEP, PROGRAMS, MOST_PARTS = 200 };

/** A product or an attention, and how often the programs have it. */
typedef struct part {
    bt_op op; /* where it was found first */
    bool is_product;
    bt_bench_product product;
    union {
        bt_attention_args forward;
        bt_attention_dx_args backward;
    } attention;
    int calls[PROGRAMS];
    double flops, first, best; /* seconds; NAN: it failed */
    int candidate;
} part;

typedef struct shapes {
    part list[MOST_PARTS];
    int count;
    double other_bytes[PROGRAMS], bandwidth, launch_seconds;
    int launches[PROGRAMS];
} shapes;

/* ---- collecting ---- */

/** The role of product `index` of an instruction; false for what is left to the bytes (the Gram matrix of the loss). */
static bool describe(bt_op op, int index, const void *args, bt_bench_product *out) {
    const bt_tensor *operand = args; /* the second of a linear layer is its weight */
    switch (op) {
    case BT_OP_linear:
    case BT_OP_linear_gelu:
    case BT_OP_linear_scaled:
        out->role = BT_BENCH_FORWARD;
        out->frozen = operand[1].flags & BT_FROZEN;
        out->add = op == BT_OP_linear_scaled;
        return true;
    case BT_OP_linear_dx:
    case BT_OP_linear_gelu_dx:
    case BT_OP_linear_scaled_dx:
        out->role = BT_BENCH_DX;
        out->frozen = operand[1].flags & BT_FROZEN;
        out->add = op == BT_OP_linear_scaled_dx && bt_present(&((const bt_linear_scaled_dx_args *)args)->add);
        return true;
    case BT_OP_lora_linear: /* frozen weight, u = x a^T, y += u bb^T */
        out->role = BT_BENCH_FORWARD;
        out->frozen = index == 0;
        out->add = index == 2;
        return true;
    case BT_OP_lora_du:
        out->role = BT_BENCH_DX;
        return true;
    case BT_OP_lora_linear_dx: /* frozen weight, dx += du a */
        out->role = BT_BENCH_DX;
        out->frozen = index == 0;
        out->add = index == 1;
        return true;
    case BT_OP_linear_dw:
    case BT_OP_lora_dw:
        out->role = BT_BENCH_DW;
        return true;
    default:
        return false;
    }
}

static bool same_product(const bt_bench_product *a, const bt_bench_product *b) {
    return a->role == b->role && a->dtype == b->dtype && a->m == b->m && a->n == b->n && a->k == b->k &&
           a->add == b->add && a->frozen == b->frozen;
}

/** Attentions of one operation differ by the shapes of qkv and q. */
static bool same_attention(const part *a, const part *b) {
    const bt_tensor *x = a->op == BT_OP_attention ? &a->attention.forward.qkv : &a->attention.backward.qkv;
    const bt_tensor *y = b->op == BT_OP_attention ? &b->attention.forward.qkv : &b->attention.backward.qkv;
    const bt_tensor *xq = a->op == BT_OP_attention ? &a->attention.forward.q : &a->attention.backward.q;
    const bt_tensor *yq = b->op == BT_OP_attention ? &b->attention.forward.q : &b->attention.backward.q;
    return a->op == b->op && bt_shape_equal(x->shape, y->shape) && bt_present(xq) == bt_present(yq);
}

static void add_part(shapes *s, const part *new, int program) {
    for (int i = 0; i < s->count; i++) {
        part *p = &s->list[i];
        if (p->is_product != new->is_product) continue;
        if (!(new->is_product ? same_product(&p->product, &new->product) : same_attention(p, new))) continue;
        p->calls[program]++;
        return;
    }
    BT_ASSERT(s->count < MOST_PARTS);
    s->list[s->count] = *new;
    s->list[s->count++].calls[program]++;
}

static void collect(shapes *s, const bt_plan *plan, int program) {
    for (int i = 0; i < plan->instruction_count; i++) {
        bt_op op = plan->instruction[i].source->op;
        const void *args = plan->instruction[i].args;
        bt_product_shape list[BT_MAX_PRODUCTS];
        part p = {.op = op};
        s->launches[program] += bt_cost_launches(op, args);
        if (op == BT_OP_attention || op == BT_OP_attention_dx) {
            if (op == BT_OP_attention)
                p.attention.forward = *(const bt_attention_args *)args;
            else
                p.attention.backward = *(const bt_attention_dx_args *)args;
            p.flops = bt_cost_flops(op, args);
            add_part(s, &p, program);
            continue;
        }
        int products = bt_cost_products(op, args, list), timed = 0;
        for (int k = 0; k < products; k++) {
            p.product = (bt_bench_product){
                .dtype = ((const bt_tensor *)args)->dtype, .m = list[k].m, .n = list[k].n, .k = list[k].k};
            p.is_product = describe(op, k, args, &p.product);
            p.flops = 2 * (double)list[k].m * (double)list[k].n * (double)list[k].k;
            if (!p.is_product) continue;
            add_part(s, &p, program);
            timed++;
        }
        if (!timed) s->other_bytes[program] += bt_cost_bytes(op, args);
    }
}

/** Plans forward and step as this kind of device has them, without one. */
static bt_status collect_programs(shapes *s, const bt_bench_options *o, bt_dtype dtype) {
    static const bt_session_program which[PROGRAMS] = {BT_PROGRAM_EMBED, BT_PROGRAM_STEP};
    bt_model model;
    BT_TRY(bt_bench_model(o, dtype, &model));
    bt_status status = BT_OK;
    for (int k = 0; k < PROGRAMS && status == BT_OK; k++) {
        bt_session_options so = bt_bench_session(o, dtype, k == STEP);
        so.look_as = bt_backend_named(o->device);
        bt_session session;
        status = bt_session_open(&session, &model, NULL, &so);
        if (status != BT_OK) break;
        collect(s, session.plan[which[k]], k);
        bt_session_close(&session);
    }
    bt_model_release(&model);
    return status;
}

/* ---- printing ---- */

static const char *const roles[] = {"y = x w^T", "dx = dy w", "dw = dy^T x"};
static const char *const programs[] = {"forward", "LoRA step"};

/** Shape of a part: m n k of a product; samples, tokens, queries, heads of an attention. */
static void shape_text(const part *p, char *text, size_t bytes) {
    const bt_bench_product *q = &p->product;
    if (p->is_product) {
        snprintf(text, bytes, "%lldx%lldx%lld%s%s", (long long)q->m, (long long)q->n, (long long)q->k,
                 q->add ? " added" : "", q->frozen ? " frozen" : "");
        return;
    }
    bool forward = p->op == BT_OP_attention;
    const bt_tensor *qkv = forward ? &p->attention.forward.qkv : &p->attention.backward.qkv;
    const bt_tensor *o = forward ? &p->attention.forward.o : &p->attention.backward.o;
    int heads = forward ? p->attention.forward.heads : p->attention.backward.heads;
    snprintf(text, bytes, "N %lld T %lld Q %lld H %d D %lld", (long long)o->shape.dim[0], (long long)qkv->shape.dim[1],
             (long long)o->shape.dim[1], heads, (long long)(bt_shape_cols(o->shape) / heads));
}

static bt_dtype dtype_of(const part *p) {
    if (p->is_product) return p->product.dtype;
    return p->op == BT_OP_attention ? p->attention.forward.qkv.dtype : p->attention.backward.qkv.dtype;
}

static void print_part_json(const bt_bench_options *o, const part *p) {
    char shape[128];
    bt_text line = {0};
    bt_json_writer w = bt_json_write_to(&line, false);
    shape_text(p, shape, sizeof shape);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "bench", "shapes");
    bt_json_member_string(&w, "model", o->model);
    bt_json_member_integer(&w, "batch", o->batch);
    bt_json_member_string(&w, "op", bt_op_info_of(p->op)->name);
    bt_json_member_string(&w, "dtype", bt_dtype_name(dtype_of(p)));
    bt_json_member_string(&w, "shape", shape);
    if (p->is_product) bt_json_member_string(&w, "product", roles[p->product.role]);
    bt_json_member_integer(&w, "calls_forward", p->calls[FORWARD]);
    bt_json_member_integer(&w, "calls_step", p->calls[STEP]);
    bt_json_member_number(&w, "us", p->best * 1e6);
    if (!isnan(p->first)) bt_json_member_number(&w, "us_first_candidate", p->first * 1e6);
    bt_json_member_integer(&w, "candidate", p->candidate);
    bt_json_member_number(&w, "gflop_per_s", p->flops / p->best / 1e9);
    bt_json_end(&w);
    if (bt_json_finish(&w) == BT_OK) printf("%s\n", bt_text_get(&line));
    bt_text_free(&line);
}

static void print_part(const part *p) {
    char shape[128];
    shape_text(p, shape, sizeof shape);
    printf("%-15s %-4s %-11s %-38s %4d %4d %10.1f %10.1f %3d %11.1f\n", bt_op_info_of(p->op)->name,
           bt_dtype_name(dtype_of(p)), p->is_product ? roles[p->product.role] : "", shape, p->calls[FORWARD],
           p->calls[STEP], p->first * 1e6, p->best * 1e6, p->candidate, p->flops / p->best / 1e9);
}

/** Seconds of products and of attention in a program. */
static void sum_parts(const shapes *s, int program, double *products, double *attention) {
    *products = *attention = 0;
    for (int i = 0; i < s->count; i++)
        *(s->list[i].is_product ? products : attention) += s->list[i].best * s->list[i].calls[program];
}

static void print_floor(const bt_bench_options *o, const shapes *s, int program) {
    double products, attention, other = s->other_bytes[program] / s->bandwidth;
    sum_parts(s, program, &products, &attention);
    double sum = products + attention + other;
    if (!o->json) {
        printf("floor of the %-9s %9.3f ms = products %.3f + attention %.3f + %.1f MB elsewhere %.3f: %.1f images/s; "
               "%d launches on CUDA\n",
               programs[program], sum * 1e3, products * 1e3, attention * 1e3, s->other_bytes[program] / 1e6,
               other * 1e3, o->batch / sum, s->launches[program]);
        return;
    }
    bt_text line = {0};
    bt_json_writer w = bt_json_write_to(&line, false);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "bench", "floor");
    bt_json_member_string(&w, "model", o->model);
    bt_json_member_integer(&w, "batch", o->batch);
    bt_json_member_string(&w, "dtype", o->dtype);
    bt_json_member_string(&w, "program", programs[program]);
    bt_json_member_number(&w, "products_ms", products * 1e3);
    bt_json_member_number(&w, "attention_ms", attention * 1e3);
    bt_json_member_number(&w, "other_ms", other * 1e3);
    bt_json_member_number(&w, "floor_ms", sum * 1e3);
    bt_json_member_number(&w, "images_per_s", o->batch / sum);
    bt_json_member_integer(&w, "launches", s->launches[program]);
    bt_json_member_number(&w, "launch_us", s->launch_seconds * 1e6);
    bt_json_member_number(&w, "gb_per_s", s->bandwidth / 1e9);
    bt_json_end(&w);
    if (bt_json_finish(&w) == BT_OK) printf("%s\n", bt_text_get(&line));
    bt_text_free(&line);
}

static void print_head(const bt_bench_options *o, bt_device *device, const shapes *s) {
    char text[256];
    if (o->json) return;
    device->backend->describe(device, text, sizeof text);
    printf("%s, image %d, batch %d, %s on %s: %s\n", o->model, o->image, o->batch, o->dtype, o->device, text);
    printf("bandwidth %.1f GB/s, launch %.2f us%s\n", s->bandwidth / 1e9, s->launch_seconds * 1e6,
           device->backend->set_candidate ? "" : "; products have one candidate on this device");
    printf("%-15s %-4s %-11s %-38s %4s %4s %10s %10s %3s %11s\n", "operation", "", "", "m x n x k", "fwd", "step",
           "first us", "best us", "", "GFLOP/s");
}

/* ---- measuring ---- */

static bt_status measure_part(bt_device *device, part *p, int iterations) {
    p->first = p->best = NAN;
    if (p->is_product)
        return bt_bench_product_seconds(device, &p->product, iterations, &p->first, &p->best, &p->candidate);
    double seconds;
    BT_TRY(bt_bench_call_seconds(device, &(bt_bench_call){.op = p->op, .args = &p->attention}, iterations, &seconds));
    p->first = p->best = seconds;
    return BT_OK;
}

/** Every part, each printed when it is measured: what ends the process loses nothing. Without all of them there is no
 * floor. */
static bt_status measure(const bt_bench_options *o, shapes *s, bt_device *device) {
    int failed = 0;
    char shape[128];
    BT_TRY(bt_bench_bandwidth(device, o->iterations, &s->bandwidth));
    BT_TRY(bt_bench_launch_seconds(device, &s->launch_seconds));
    print_head(o, device, s);
    for (int i = 0; i < s->count; i++) {
        part *p = &s->list[i];
        bt_status status = measure_part(device, p, o->iterations);
        if (status == BT_OK) {
            o->json ? print_part_json(o, p) : print_part(p);
            continue;
        }
        shape_text(p, shape, sizeof shape);
        fprintf(stderr, "bittern-bench: %s %s: %s\n", bt_op_info_of(p->op)->name, shape, bt_error_message());
        if (!bt_bench_answers(device)) return status;
        failed++;
    }
    if (failed)
        return bt_error(BT_ERR_DEVICE, "%d of %d products and attentions failed (above): there is no floor", failed,
                        s->count);
    for (int k = 0; k < PROGRAMS; k++) print_floor(o, s, k);
    return BT_OK;
}

bt_status bt_bench_shapes(const bt_bench_options *o) {
    bt_dtype dtype;
    BT_TRY(bt_bench_check(o, &dtype));
    const bt_backend *backend = bt_backend_named(o->device);
    if (!backend) return BT_ERR_UNSUPPORTED;
    shapes *s = calloc(1, sizeof *s);
    if (!s) return bt_error(BT_ERR_MEMORY, "out of memory for %zu bytes", sizeof *s);
    bt_device *device = NULL;
    bt_status status = backend->open(&(bt_device_options){.threads = o->threads}, &device);
    if (status == BT_OK) status = collect_programs(s, o, dtype);
    if (status == BT_OK) status = measure(o, s, device);
    if (device) backend->close(device);
    free(s);
    return status;
}
