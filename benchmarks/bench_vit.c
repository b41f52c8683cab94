/* bittern-bench vit: what a user waits for, beside what this machine could do.
 *
 * The step is CroVCA's: two views of batch/2 images through one adapted ViT, HashCoder small, code alignment + 0.1
 * coding rate, AdamW. Images/s count encoder inputs. The bound is the time that the plan's products take at the rate
 * this machine reaches on the same shapes by themselves (y = x w^T, packed weights, measured in this run). Products of
 * attention and of the adapters are too small to be measured alone; they are counted at the mean rate of the others,
 * which is more than they can reach.
 *
 * On a device with memory of its own the pictures lie there, and a run begins with a copy of them into the plan's
 * input, as a training loop has them that uploads ahead; the yardstick (vit_lora_torch.py) keeps its pictures there
 * too. Beside it stands what a caller of bt_session_step and bt_session_embed waits for: pictures in bytes, uploaded
 * from pinned memory, and results read back. Elsewhere those calls are what is timed.
 */
#include "bench.h"

#include "base/thread.h"
#include "program/plan.h"
#include "train/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct measured {
    int64_t m, n, k;
    double rate;
} measured;

typedef struct rates {
    bt_device *device;
    bt_dtype dtype;
    measured list[64];
    int count;
} rates;

static double rate_of(rates *r, const bt_product_shape *s) {
    for (int i = 0; i < r->count; i++)
        if (r->list[i].m == s->m && r->list[i].n == s->n && r->list[i].k == s->k) return r->list[i].rate;
    if (r->count == 64) return 0;
    bt_bench_product p = {.role = BT_BENCH_FORWARD, .dtype = r->dtype, .m = s->m, .n = s->n, .k = s->k, .frozen = true};
    double seconds, best;
    int candidate;
    bool good = bt_bench_product_seconds(r->device, &p, 9, &seconds, &best, &candidate) == BT_OK;
    double rate = good ? 2.0 * (double)s->m * (double)s->n * (double)s->k / best : 0;
    r->list[r->count++] = (measured){s->m, s->n, s->k, rate};
    return rate;
}

/** Seconds that the plan's products need at this machine's own rate. */
static double bound_seconds(rates *r, const bt_plan *plan, double *flops) {
    double seconds = 0, counted = 0, small = 0;
    bt_instruction_cost c;
    for (int i = 0; bt_plan_instruction(plan, i, &c); i++)
        for (int j = 0; j < c.products; j++) {
            const bt_product_shape *s = &c.product[j];
            double f = 2 * (double)s->batch * (double)s->m * (double)s->n * (double)s->k;
            double rate = s->batch == 1 && s->m >= 128 && s->n >= 128 && s->k >= 128 ? rate_of(r, s) : 0;
            if (rate > 0) {
                seconds += f / rate;
                counted += f;
            } else {
                small += f;
            }
        }
    *flops = counted + small;
    return counted > 0 ? seconds * (counted + small) / counted : 0;
}

/* ---- pictures ---- */

/** Every run's pictures: in host memory, or in the device's where it has its own. */
typedef struct pictures {
    float *host;    /* (batch, 3, image, image) */
    void *device;   /* the same; then `host` is NULL */
    uint8_t *bytes; /* (batch, image, image, 3), pinned */
    size_t count;   /* values */
} pictures;

static bool has_own_memory(const bt_device *device) {
    const bt_backend *b = device->backend;
    return b->memory_used && b->copy && b->alloc_host;
}

static bt_status pictures_make(const bt_bench_options *o, pictures *out) {
    *out = (pictures){.count = (size_t)o->batch * 3 * (size_t)o->image * (size_t)o->image};
    out->host = malloc(out->count * sizeof *out->host);
    if (!out->host) return bt_error(BT_ERR_MEMORY, "out of memory for %zu pixels", out->count);
    uint32_t s = 1;
    for (size_t i = 0; i < out->count; i++)
        out->host[i] = (float)((s = s * 1664525u + 1013904223u) >> 8) / 4194304.0f - 2;
    return BT_OK;
}

static bt_status pictures_to_device(pictures *p, bt_device *device) {
    const bt_backend *b = device->backend;
    BT_TRY(b->alloc(device, p->count * sizeof *p->host, &p->device));
    BT_TRY(b->upload(device, p->device, p->host, p->count * sizeof *p->host));
    free(p->host);
    p->host = NULL;
    void *bytes;
    BT_TRY(b->alloc_host(device, p->count, &bytes));
    p->bytes = bytes;
    uint32_t s = 1;
    for (size_t i = 0; i < p->count; i++) p->bytes[i] = (uint8_t)((s = s * 1664525u + 1013904223u) >> 24);
    return BT_OK;
}

static void pictures_free(pictures *p, bt_device *device) {
    if (p->bytes) device->backend->free_host(device, p->bytes);
    if (p->device) device->backend->free(device, p->device);
    free(p->host);
}

/* ---- runs ---- */

typedef struct runner {
    bt_session *session;
    const pictures *pictures;
    float *embedding; /* of a forward whose result is read */
} runner;

typedef bt_status run_function(const runner *r, int64_t index);

/** Runs are made ready by three: the first loads what it needs, the second may be recorded, the third launches that. */
static bt_status median_of(run_function *run, const runner *r, int iterations, double *seconds) {
    double *times = calloc((size_t)iterations, sizeof *times);
    BT_ASSERT(times);
    bt_status status = BT_OK;
    for (int i = -3; i < iterations && status == BT_OK; i++) {
        double start = bt_clock_seconds();
        status = run(r, i + 3);
        if (i >= 0) times[i] = bt_clock_seconds() - start;
    }
    *seconds = bt_bench_median(times, iterations);
    free(times);
    return status;
}

static bt_status step_by_call(const runner *r, int64_t index) {
    bt_step_result result;
    bt_step_batch batch = {.images = r->pictures->bytes ? (const void *)r->pictures->bytes : r->pictures->host};
    bt_step_rates step = {.seed = 1, .step = index, .lr = {1e-4, 1e-4}};
    BT_TRY(bt_session_step(r->session, &batch, &step, &result));
    return r->session->device->backend->synchronize(r->session->device);
}

static bt_status forward_by_call(const runner *r, int64_t index) {
    (void)index;
    const void *images = r->pictures->bytes ? (const void *)r->pictures->bytes : r->pictures->host;
    return bt_session_embed(r->session, images, r->embedding, NULL, NULL);
}

static bt_status run_in_place(const runner *r, bt_session_program which) {
    bt_plan *plan = r->session->plan[which];
    BT_TRY(bt_bench_set_input(plan, "images", r->pictures->device, r->pictures->count * sizeof(float)));
    BT_TRY(bt_plan_run(plan));
    return r->session->device->backend->synchronize(r->session->device);
}

static bt_status step_in_place(const runner *r, int64_t index) {
    const bt_adamw_options *adamw = &r->session->options.adamw;
    double t = (double)(index + 1), rate = 1e-4;
    bt_step step = {.seed = 1, .step = index};
    for (int g = 0; g < BT_GROUPS; g++) {
        step.lr[g] = (float)rate;
        step.step_size[g] = (float)(rate / (1 - pow(adamw->beta1, t)));
        step.bias2_sqrt[g] = (float)sqrt(1 - pow(adamw->beta2, t));
    }
    BT_TRY(r->session->device->backend->set_step(r->session->device, &step));
    return run_in_place(r, BT_PROGRAM_STEP);
}

static bt_status forward_in_place(const runner *r, int64_t index) {
    (void)index;
    return run_in_place(r, BT_PROGRAM_EMBED);
}

/** What was timed in place nobody has read yet: a fault or a value that is none makes the figure worthless. */
static bt_status check_step(bt_session *s) {
    bt_loss_term terms[BT_MAX_TERMS];
    int count = s->model->method->terms(&s->model->config, terms);
    for (int k = 0; k < count; k++) {
        float value;
        BT_TRY(bt_plan_get(s->plan[BT_PROGRAM_STEP], terms[k].name, &value, sizeof value));
        if (!isfinite(value))
            return bt_error(BT_ERR_NUMERIC, "the steps that were timed end with %s = %g", terms[k].name, (double)value);
    }
    return BT_OK;
}

static bt_status check_forward(bt_session *s, float *embedding) {
    size_t count = (size_t)s->options.embed_batch * (size_t)bt_vit_output(&s->model->vit.config);
    BT_TRY(bt_plan_get(s->plan[BT_PROGRAM_EMBED], "embedding", embedding, count * sizeof *embedding));
    for (size_t i = 0; i < count; i++)
        if (!isfinite(embedding[i]))
            return bt_error(BT_ERR_NUMERIC, "the forward that was timed gives %g as value %zu", (double)embedding[i],
                            i);
    return BT_OK;
}

/* ---- profile ---- */

/** Pictures of one more run. */
static bt_status set_pictures(bt_plan *plan, const pictures *p) {
    size_t bytes = p->count * sizeof(float);
    return p->device ? bt_bench_set_input(plan, "images", p->device, bytes)
                     : bt_plan_set(plan, "images", p->host, bytes);
}

/** Seconds per operation of one step, in the order in which they come. */
static bt_status print_profile(bt_session *s, const pictures *p) {
    bt_plan *plan = s->plan[BT_PROGRAM_STEP];
    int count = bt_plan_summarize(plan).instructions;
    double *seconds = calloc((size_t)count, sizeof *seconds), launch = 0, all = 0;
    BT_ASSERT(seconds);
    bt_status status = set_pictures(plan, p);
    if (status == BT_OK) status = p->device ? bt_bench_plan_seconds(plan, seconds) : bt_plan_run_timed(plan, seconds);
    if (status == BT_OK && p->device) status = bt_bench_launch_seconds(s->device, &launch);
    bt_instruction_cost c, other;
    for (int i = 0; status == BT_OK && bt_plan_instruction(plan, i, &c); i++) {
        bool first = true;
        double sum = 0, flops = 0, moved = 0;
        int calls = 0;
        for (int j = 0; bt_plan_instruction(plan, j, &other); j++) {
            if (strcmp(other.op, c.op) != 0) continue;
            first = first && j >= i;
            sum += seconds[j];
            flops += other.flops;
            moved += other.bytes;
            calls++;
        }
        all += seconds[i];
        if (first)
            printf("  %-18s %4d calls %9.3f ms %8.1f GFLOP/s %7.2f GB/s\n", c.op, calls, sum * 1e3, flops / sum / 1e9,
                   moved / sum / 1e9);
    }
    if (status == BT_OK) printf("  %-18s %4d calls %9.3f ms, kernel by kernel\n", "together", count, all * 1e3);
    if (status == BT_OK && p->device)
        printf("  each instruction by itself, again and again between two waits: operands may lie in the cache, and "
               "what is "
               "shorter than a launch (%.1f us) shows the launch\n",
               launch * 1e6);
    free(seconds);
    return status;
}

/* ---- figures ---- */

typedef struct figures {
    double forward, step, forward_bound, step_bound, forward_flops, step_flops;
    double forward_call, step_call; /* with upload and results; 0 where these are `forward` and `step` */
    size_t start_bytes, peak_bytes;
    bt_plan_summary summary;
    char not_graph[300]; /* why runs are issued kernel by kernel; empty where they are not */
} figures;

static void print_figures(const bt_bench_options *o, bt_device *device, const figures *f) {
    char text[256];
    device->backend->describe(device, text, sizeof text);
    double n = o->batch, peak = (double)f->peak_bytes - (double)f->start_bytes;
    if (!o->json) {
        printf("%s, image %d, batch %d, %s on %s: %s\n", o->model, o->image, o->batch, o->dtype, o->device, text);
        printf("forward   %8.2f images/s  %.2f of the bound %.2f\n", n / f->forward, f->forward_bound / f->forward,
               n / f->forward_bound);
        printf("LoRA step %8.2f images/s  %.2f of the bound %.2f\n", n / f->step, f->step_bound / f->step,
               n / f->step_bound);
        if (f->step_call > 0)
            printf("by a call: forward %.2f images/s, LoRA step %.2f images/s (pictures in bytes uploaded from pinned "
                   "memory, "
                   "results read)\n",
                   n / f->forward_call, n / f->step_call);
        printf("memory    %8.1f MB above start; block %.1f MB, liveness bound %.1f MB\n", peak / 1e6,
               (double)f->summary.block_bytes / 1e6, (double)f->summary.lower_bound_bytes / 1e6);
        if (device->backend->graphs)
            printf("launches: %s%s%s\n", f->not_graph[0] ? "kernel by kernel (" : "graph", f->not_graph,
                   f->not_graph[0] ? ")" : "");
        return;
    }
    bt_text line = {0};
    bt_json_writer w = bt_json_write_to(&line, false);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "bench", "vit");
    bt_json_member_string(&w, "model", o->model);
    bt_json_member_string(&w, "device", text);
    bt_json_member_string(&w, "dtype", o->dtype);
    bt_json_member_integer(&w, "image", o->image);
    bt_json_member_integer(&w, "batch", o->batch);
    bt_json_member_number(&w, "forward_images_per_s", n / f->forward);
    bt_json_member_number(&w, "forward_bound_images_per_s", n / f->forward_bound);
    bt_json_member_number(&w, "forward_of_bound", f->forward_bound / f->forward);
    bt_json_member_number(&w, "lora_step_images_per_s", n / f->step);
    bt_json_member_number(&w, "lora_step_bound_images_per_s", n / f->step_bound);
    bt_json_member_number(&w, "lora_step_of_bound", f->step_bound / f->step);
    bt_json_member_number(&w, "forward_gflop", f->forward_flops / 1e9);
    bt_json_member_number(&w, "lora_step_gflop", f->step_flops / 1e9);
    if (f->step_call > 0) {
        bt_json_member_number(&w, "forward_call_images_per_s", n / f->forward_call);
        bt_json_member_number(&w, "lora_step_call_images_per_s", n / f->step_call);
    }
    if (device->backend->graphs) {
        bt_json_member_string(&w, "launches", f->not_graph[0] ? "kernel by kernel" : "graph");
        if (f->not_graph[0]) bt_json_member_string(&w, "launches_reason", f->not_graph);
    }
    bt_json_member_integer(&w, "peak_bytes", (int64_t)peak);
    bt_json_member_integer(&w, "block_bytes", (int64_t)f->summary.block_bytes);
    bt_json_member_integer(&w, "launches_per_step", f->summary.cuda_launches);
    bt_json_member_number(&w, "bytes_per_step", f->summary.bytes);
    bt_json_end(&w);
    if (bt_json_finish(&w) == BT_OK) printf("%s\n", bt_text_get(&line));
    bt_text_free(&line);
}

/* ---- measuring ---- */

typedef struct bench {
    const bt_bench_options *options;
    bt_model model;
    bt_device *device;
    bt_dtype dtype;
    pictures pictures;
    float *embedding;
} bench;

static bt_status open_session(bench *b, bool step, bool bytes, bt_session *out) {
    bt_session_options so = bt_bench_session(b->options, b->dtype, step);
    so.float_images = !bytes;
    BT_TRY(bt_session_open(out, &b->model, b->device, &so));
    for (int i = 0; i < BT_PROGRAM_COUNT; i++)
        if (out->plan[i] && b->options->no_graphs) bt_plan_set_replay(out->plan[i], false);
    return BT_OK;
}

/** The reason that a plan which has run is not launched as a graph, unless there is one already. */
static void note_launches(const bench *b, const char *program, const bt_plan *plan, figures *f) {
    if (plan->replay.state == BT_REPLAY_LAUNCH || f->not_graph[0]) return;
    const char *refusal = bt_plan_replay_refusal(plan);
    if (b->options->no_graphs)
        snprintf(f->not_graph, sizeof f->not_graph, "--no-graphs");
    else
        snprintf(f->not_graph, sizeof f->not_graph, "%s: %s", program, refusal ? refusal : "it was not recorded");
}

static bt_status memory_now(const bench *b, size_t *now, size_t *peak) {
    if (!has_own_memory(b->device)) {
        bt_bench_resident(now, peak);
        return BT_OK;
    }
    BT_TRY(b->device->backend->memory_used(b->device, now)); /* a step gives none of it back */
    *peak = *now;
    return BT_OK;
}

static bt_status measure_forward(bench *b, figures *f) {
    bt_session session;
    bool own = b->pictures.device;
    BT_TRY(open_session(b, false, false, &session));
    runner r = {.session = &session, .pictures = &b->pictures, .embedding = b->embedding};
    bt_status status = median_of(own ? forward_in_place : forward_by_call, &r, b->options->iterations, &f->forward);
    if (status == BT_OK && own) status = check_forward(&session, b->embedding);
    if (status == BT_OK) note_launches(b, "forward", session.plan[BT_PROGRAM_EMBED], f);
    bt_session_close(&session);
    return status;
}

static bt_status measure_step(bench *b, rates *r, figures *f) {
    bt_session session;
    bool own = b->pictures.device;
    size_t now;
    BT_TRY(open_session(b, true, false, &session));
    bt_plan *plan = session.plan[BT_PROGRAM_STEP];
    runner run = {.session = &session, .pictures = &b->pictures};
    bt_status status = median_of(own ? step_in_place : step_by_call, &run, b->options->iterations, &f->step);
    if (status == BT_OK) status = memory_now(b, &now, &f->peak_bytes);
    if (status == BT_OK && own) status = check_step(&session);
    if (status == BT_OK) note_launches(b, "LoRA step", plan, f);
    if (status == BT_OK && b->options->profile) status = print_profile(&session, &b->pictures);
    f->summary = bt_plan_summarize(plan);
    if (status == BT_OK) f->step_bound = bound_seconds(r, plan, &f->step_flops);
    bt_session_close(&session);
    return status;
}

/** What a caller waits for, where that is more than a run. */
static bt_status measure_calls(bench *b, figures *f) {
    for (int step = 0; step < 2; step++) {
        bt_session session;
        BT_TRY(open_session(b, step, true, &session));
        runner r = {.session = &session, .pictures = &b->pictures, .embedding = b->embedding};
        bt_status status = median_of(step ? step_by_call : forward_by_call, &r, b->options->iterations,
                                     step ? &f->step_call : &f->forward_call);
        bt_session_close(&session);
        BT_TRY(status);
    }
    return BT_OK;
}

/** Forward first, in a session of its own, as the yardstick does; the step, whose peak memory counts, last: its profile
 * leaves weights of no use. */
static bt_status measure(bench *b, figures *f) {
    rates r = {.device = b->device, .dtype = b->dtype};
    size_t peak;
    BT_TRY(memory_now(b, &f->start_bytes, &peak));
    if (has_own_memory(b->device)) BT_TRY(pictures_to_device(&b->pictures, b->device));
    BT_TRY(bt_bench_model(b->options, b->dtype, &b->model));
    BT_TRY(bt_params_commit(b->model.store, b->device));
    size_t count = (size_t)b->options->batch * (size_t)bt_vit_output(&b->model.vit.config);
    b->embedding = malloc(count * sizeof *b->embedding);
    if (!b->embedding) return bt_error(BT_ERR_MEMORY, "out of memory for %zu values", count);
    BT_TRY(measure_forward(b, f));
    if (b->pictures.bytes) BT_TRY(measure_calls(b, f));
    BT_TRY(measure_step(b, &r, f));
    bt_session forward;
    BT_TRY(open_session(b, false, false, &forward));
    f->forward_bound = bound_seconds(&r, forward.plan[BT_PROGRAM_EMBED], &f->forward_flops);
    bt_session_close(&forward);
    return BT_OK;
}

bt_status bt_bench_vit(const bt_bench_options *o) {
    bench b = {.options = o};
    BT_TRY(bt_bench_check(o, &b.dtype));
    const bt_backend *backend = bt_backend_named(o->device);
    if (!backend) return BT_ERR_UNSUPPORTED;
    BT_TRY(pictures_make(o, &b.pictures));
    figures f = {0};
    bt_status status = backend->open(&(bt_device_options){.threads = o->threads}, &b.device);
    if (status == BT_OK) {
        status = measure(&b, &f);
        if (status == BT_OK) print_figures(o, b.device, &f);
        bt_model_release(&b.model);
    }
    pictures_free(&b.pictures, b.device);
    if (b.device) backend->close(b.device);
    free(b.embedding);
    return status;
}
