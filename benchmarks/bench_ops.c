/* bittern-bench ops: seconds, FLOP/s and bytes/s of every operation, at the shapes it has in real programs of one
 * model: the LoRA step (supervised, adapter dropout), full training by cross entropy, inference, what towers of other
 * families have, and views of pictures. Bytes count each operand once.
 */
#include "bench.h"

#include "data/transform.h"
#include "program/inspect.h"
#include "train/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct row {
    char op[32];
    double flops, bytes, seconds; /* sums over its calls in one run */
    int calls;
} row;

typedef struct table {
    row list[BT_OP_COUNT];
    int count;
} table;

static row *row_of(table *t, const char *op) {
    for (int i = 0; i < t->count; i++)
        if (strcmp(t->list[i].op, op) == 0) return &t->list[i];
    BT_ASSERT(t->count < BT_OP_COUNT);
    snprintf(t->list[t->count].op, sizeof t->list[0].op, "%s", op);
    return &t->list[t->count++];
}

/** Inputs by name, whatever the program asks for: small random bytes do as pixels, ids and one-hot labels, zeros as the
 * rest. */
static bt_status fill_inputs(bt_plan *plan) {
    static const char *const names[] = {"images", "ids",      "labels", "class",  "hidden", "of hidden",
                                        "gated",  "of gated", "qkv",    "of qkv", "angles", "of positions"};
    for (int k = 0; k < (int)(sizeof names / sizeof names[0]); k++) {
        bt_dtype dtype;
        bt_shape shape;
        if (!bt_plan_find(plan, names[k], &dtype, &shape)) continue;
        size_t bytes = bt_row_bytes(dtype, bt_shape_cols(shape)) * (size_t)bt_shape_rows(shape);
        unsigned char *host = calloc(bytes, 1);
        if (!host) return bt_error(BT_ERR_MEMORY, "out of memory for input %s", names[k]);
        uint32_t s = 1;
        for (size_t i = 0; i < bytes && dtype == BT_U8; i++)
            host[i] = (unsigned char)((s = s * 1664525u + 1013904223u) >> (k == 0 ? 24 : 31));
        bt_status status = bt_plan_set(plan, names[k], host, bytes);
        free(host);
        BT_TRY(status);
    }
    return BT_OK;
}

/** Seconds of each instruction: medians over runs of the plan. A device that works by itself has each instruction run
 * many times between two waits instead, which would be all that shows of a short one. */
static bt_status time_instructions(const bt_bench_options *o, bt_device *device, bt_plan *plan, double *seconds) {
    int count = bt_plan_summarize(plan).instructions;
    if (device->backend->memory_used) {
        BT_TRY(fill_inputs(plan));
        return bt_bench_plan_seconds(plan, seconds);
    }
    double *runs = calloc((size_t)count * (size_t)o->iterations, sizeof *runs),
           *one = calloc((size_t)o->iterations, sizeof *one);
    BT_ASSERT(runs && one);
    bt_status status = BT_OK;
    for (int i = -1; i < o->iterations && status == BT_OK; i++) {
        status = fill_inputs(plan);
        if (status == BT_OK) status = bt_plan_run_timed(plan, runs + (size_t)(i < 0 ? 0 : i) * (size_t)count);
    }
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < o->iterations; k++) one[k] = runs[(size_t)k * (size_t)count + (size_t)i];
        seconds[i] = bt_bench_median(one, o->iterations);
    }
    free(runs);
    free(one);
    return status;
}

/** Seconds of each instruction, summed by operation; an operation already in the table from another program is kept. */
static bt_status measure_plan(const bt_bench_options *o, bt_device *device, bt_plan *plan, table *all) {
    int before = all->count;
    double *seconds = calloc((size_t)bt_plan_summarize(plan).instructions, sizeof *seconds);
    BT_ASSERT(seconds);
    bt_status status = time_instructions(o, device, plan, seconds);
    bt_instruction_cost c;
    for (int i = 0; status == BT_OK && bt_plan_instruction(plan, i, &c); i++) {
        row *r = row_of(all, c.op);
        if (r - all->list < before) continue;
        r->seconds += seconds[i];
        r->flops += c.flops;
        r->bytes += c.bytes;
        r->calls++;
    }
    free(seconds);
    return status;
}

typedef struct scene {
    const bt_method *method;
    bt_method_config config;
    bool full;
    float dropout;
} scene;

static bt_status measure_scene(const bt_bench_options *o, bt_dtype dtype, bt_device *device, const scene *sc,
                               table *all) {
    bt_vit_config vit;
    if (!bt_vit_named(o->model, &vit)) return bt_error(BT_ERR_USAGE, "unknown model \"%s\"", o->model);
    vit.image = o->image;
    BT_TRY(bt_vit_check(&vit));
    bt_vit_training training = {
        .full = sc->full, .lora = {.rank = o->rank, .alpha = 16, .dropout = sc->dropout}, .seed = 1};
    if (!sc->full) BT_TRY(bt_lora_parse_targets(o->targets, &training.lora.targets));
    bt_model model;
    bt_model_init(&model, sc->method, &sc->config, &vit, &training, dtype);
    bt_session session;
    bt_session_options so = {.compute = dtype,
                             .recompute = BT_RECOMPUTE_CHEAP,
                             .batch = o->batch / sc->config.views,
                             .embed_batch = o->batch,
                             .train_tower = true,
                             .adamw = {0.9, 0.999, 1e-8, 1},
                             .average_decay = 0.999};
    bt_params_keep_average(model.store);
    bt_status status = bt_params_commit(model.store, device);
    if (status == BT_OK) status = bt_session_open(&session, &model, device, &so);
    if (status == BT_OK) {
        status = measure_plan(o, device, session.plan[BT_PROGRAM_STEP], all);
        if (status == BT_OK) status = measure_plan(o, device, session.plan[BT_PROGRAM_EMBED], all);
        bt_session_close(&session);
    }
    bt_model_release(&model);
    return status;
}

/** Views of the papers' strength from pictures of 500 x 375: every record has jitter, and one in ten the others, in
 * turn. */
static void fill_records(bt_view_record *record, int count, int size) {
    for (int i = 0; i < count; i++)
        record[i] = (bt_view_record){.height = 375,
                                     .width = 500,
                                     .view = bt_view_random(375, 500, size, &bt_augment_papers, 1, 0, i),
                                     .colour = bt_colour_random(&bt_augment_papers, 1, 0, i)};
}

/** The program of make_views alone: o->batch views of one picture. */
static bt_status measure_views(const bt_bench_options *o, bt_device *device, table *all) {
    enum { PICTURE = 375 * 500 * 3 };
    bt_program *p = bt_program_new(&(bt_program_options){.compute = BT_F32});
    bt_value records = bt_input(p, "views", BT_U8, bt_shape2(o->batch, sizeof(bt_view_record)));
    bt_output(p, "y", bt_make_views(p, bt_input(p, "images", BT_U8, bt_shape1(PICTURE)), records, o->image));
    bt_plan *plan = NULL;
    void *block = NULL;
    bt_view_record *record = calloc((size_t)o->batch, sizeof *record);
    bt_status status =
        record ? bt_plan_new(p, device, &plan) : bt_error(BT_ERR_MEMORY, "out of memory for %d records", o->batch);
    if (status == BT_OK) status = device->backend->alloc(device, bt_plan_bytes(plan), &block);
    if (status == BT_OK) status = bt_plan_bind(plan, block);
    row *r = row_of(all, "make_views");
    double *seconds = calloc((size_t)o->iterations + 1, sizeof *seconds);
    BT_ASSERT(seconds);
    if (record) fill_records(record, o->batch, o->image);
    for (int i = 0; i <= o->iterations && status == BT_OK;
         i++) { /* the last stays: the first, which warms up, is overwritten */
        status = fill_inputs(plan);
        if (status == BT_OK) status = bt_plan_set(plan, "views", record, (size_t)o->batch * sizeof *record);
        if (status == BT_OK) status = bt_plan_run_timed(plan, seconds + (i ? i - 1 : 0));
    }
    bt_instruction_cost c;
    if (status == BT_OK && bt_plan_instruction(plan, 0, &c))
        *r =
            (row){.op = "make_views", .bytes = c.bytes, .seconds = bt_bench_median(seconds, o->iterations), .calls = 1};
    if (block) device->backend->free(device, block);
    bt_plan_free(plan);
    bt_program_free(p);
    free(record);
    free(seconds);
    return status;
}

/** A program with its backward from all roots, whose first use of an operation counts. Ends it. */
static bt_status measure_program(const bt_bench_options *o, bt_program *p, const bt_root *roots, int count,
                                 bt_device *device, table *all) {
    bt_plan *plan = NULL;
    void *block = NULL;
    bt_differentiate(p, roots, count, 1);
    bt_status status = bt_plan_new(p, device, &plan);
    if (status == BT_OK) status = device->backend->alloc(device, bt_plan_bytes(plan), &block);
    if (status == BT_OK) status = bt_plan_bind(plan, block);
    if (status == BT_OK) status = measure_plan(o, device, plan, all);
    if (block) device->backend->free(device, block);
    bt_plan_free(plan);
    bt_program_free(p);
    return status;
}

/** Root `y`, whose gradient is the input `gradient`. An output too: work that nobody reads is not planned. */
static bt_root root_of(bt_program *p, bt_value y, const char *gradient) {
    char name[64];
    snprintf(name, sizeof name, "made for %s", gradient);
    bt_output(p, name, y);
    return (bt_root){.value = y,
                     .gradient = y ? bt_input(p, gradient, bt_dtype_of_value(p, y), bt_shape_of_value(p, y)) : 0};
}

/** What towers of other families than the named models have, at the shapes that it would have in this model. */
static bt_status measure_other_towers(const bt_bench_options *o, bt_dtype dtype, bt_device *device, table *all) {
    bt_vit_config vit;
    if (!bt_vit_named(o->model, &vit)) return bt_error(BT_ERR_USAGE, "unknown model \"%s\"", o->model);
    vit.image = o->image;
    BT_TRY(bt_vit_check(&vit));
    int64_t tokens = bt_vit_token_count(&vit), batch = o->batch;
    bt_program *p = bt_program_new(&(bt_program_options){.compute = dtype, .training = true});
    bt_value hidden = bt_input_with_gradient(p, "hidden", dtype, bt_shape3(batch, tokens, vit.mlp));
    bt_value gated = bt_input_with_gradient(p, "gated", dtype, bt_shape3(batch, tokens, 2 * vit.mlp));
    int prefix = 1 + vit.registers, side = vit.image / vit.patch,
        old = side == 37 ? 32 : 37; /* DINOv2 is published at 37 x 37 */
    const int from[2] = {old, old}, to[2] = {side, side};
    bt_params *store = bt_params_new(dtype);
    int pos = bt_params_add(store, &(bt_param_spec){.name = "pos",
                                                    .shape = bt_shape2(1 + old * old, vit.width),
                                                    .kind = BT_PARAM_F32,
                                                    .trainable = true});
    bt_value qkv = bt_input_with_gradient(p, "qkv", dtype, bt_shape3(batch, tokens, 3 * vit.width));
    bt_value angles = bt_input(p, "angles", BT_F32, bt_shape2(tokens - prefix, vit.width / vit.heads));
    const bt_root roots[] = {
        root_of(p, bt_quick_gelu(p, hidden), "of hidden"), root_of(p, bt_swiglu(p, gated), "of gated"),
        root_of(p, bt_rope(p, qkv, angles, 3, 2, vit.heads, prefix), "of qkv"),
        root_of(p, bt_resample_positions(p, bt_param(p, store, pos), 1, from, to, BT_POSITIONS_ANTIALIAS),
                "of positions")};
    bt_status status = bt_params_commit(store, device);
    if (status == BT_OK)
        status = measure_program(o, p, roots, (int)(sizeof roots / sizeof roots[0]), device, all);
    else
        bt_program_free(p);
    bt_params_free(store);
    return status;
}

static void print_table(const bt_bench_options *o, const table *all) {
    for (int i = 0; i < all->count; i++) {
        const row *r = &all->list[i];
        if (o->op && strcmp(o->op, r->op) != 0) continue;
        if (o->json)
            printf(
                "{\"bench\":\"ops\",\"op\":\"%s\",\"calls\":%d,\"ms\":%.4f,\"gflop_per_s\":%.2f,\"gb_per_s\":%.2f}\n",
                r->op, r->calls, r->seconds * 1e3, r->flops / r->seconds / 1e9, r->bytes / r->seconds / 1e9);
        else
            printf("%-21s %4d calls %10.3f ms %9.1f GFLOP/s %8.2f GB/s\n", r->op, r->calls, r->seconds * 1e3,
                   r->flops / r->seconds / 1e9, r->bytes / r->seconds / 1e9);
    }
}

bt_status bt_bench_ops(const bt_bench_options *o) {
    bt_dtype dtype = strcmp(o->dtype, "bf16") == 0 ? BT_BF16 : BT_F32;
    const bt_backend *backend = bt_backend_named(o->device);
    if (!backend) return BT_ERR_UNSUPPORTED;
    const scene scenes[] = {{&bt_method_crovca,
                             {.views = 2,
                              .classes = 10,
                              .bits = o->bits,
                              .supervised = true,
                              .align_weight = 1,
                              .rate_weight = 0.1f,
                              .rate_eps = 0.05f},
                             false,
                             0.1f},
                            {&bt_method_crovca,
                             {.views = 2,
                              .classes = 10,
                              .bits = o->bits,
                              .head = BT_HASHCODER_LARGE,
                              .align_weight = 1,
                              .rate_weight = 0.1f,
                              .rate_eps = 0.05f},
                             false,
                             0},
                            {&bt_method_classify, {.views = 1, .classes = 10}, true, 0}};
    bt_device *device;
    BT_TRY(backend->open(&(bt_device_options){.threads = o->threads}, &device));
    table all = {.count = 0};
    bt_status status = BT_OK;
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0] && status == BT_OK; i++)
        status = measure_scene(o, dtype, device, &scenes[i], &all);
    if (status == BT_OK) status = measure_other_towers(o, dtype, device, &all);
    if (status == BT_OK) status = measure_views(o, device, &all);
    if (status == BT_OK) print_table(o, &all);
    backend->close(device);
    return status;
}
