/* bittern-bench vit: what a user waits for, beside what this machine could do.
 *
 * The step is CroVCA's: two views of batch/2 images through one adapted ViT, HashCoder small, code alignment + 0.1
 * coding rate, AdamW. Images/s count encoder inputs. The bound is the time that the plan's products take at the rate
 * this machine reaches on the same shapes by themselves (y = x w^T, packed weights, measured in this run). Products of
 * attention and of the adapters are too small to be measured alone; they are counted at the mean rate of the others,
 * which is more than they can reach.
 */
#include "bench.h"

#include "base/thread.h"
#include "program/inspect.h"
#include "train/session.h"

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

static bt_status median_step(bt_session *s, const bt_step_batch *batch, int iterations, double *seconds) {
    double *times = calloc((size_t)iterations, sizeof *times);
    BT_ASSERT(times);
    bt_status status = BT_OK;
    for (int i = -2; i < iterations && status == BT_OK; i++) {
        double start = bt_clock_seconds();
        bt_step_result result;
        bt_step_rates r = {.seed = 1, .step = i + 2, .lr = {1e-4, 1e-4}};
        status = bt_session_step(s, batch, &r, &result);
        if (status == BT_OK) status = s->device->backend->synchronize(s->device);
        if (i >= 0) times[i] = bt_clock_seconds() - start;
    }
    *seconds = bt_bench_median(times, iterations);
    free(times);
    return status;
}

static bt_status median_forward(bt_session *s, const void *images, int iterations, double *seconds) {
    double *times = calloc((size_t)iterations, sizeof *times);
    float *embedding =
        malloc((size_t)s->options.embed_batch * (size_t)bt_vit_output(&s->model->vit.config) * sizeof(float));
    BT_ASSERT(times && embedding);
    bt_status status = BT_OK;
    for (int i = -2; i < iterations && status == BT_OK; i++) {
        double start = bt_clock_seconds();
        status = bt_session_embed(s, images, embedding, NULL, NULL);
        if (i >= 0) times[i] = bt_clock_seconds() - start;
    }
    *seconds = bt_bench_median(times, iterations);
    free(times);
    free(embedding);
    return status;
}

/** Seconds per operation of one step, largest first. */
static bt_status print_profile(bt_session *s, const bt_step_batch *batch) {
    bt_plan *plan = s->plan[BT_PROGRAM_STEP];
    int count = bt_plan_summarize(plan).instructions;
    double *seconds = calloc((size_t)count, sizeof *seconds);
    BT_ASSERT(seconds);
    size_t bytes = (size_t)s->options.batch * 2 * 3 * (size_t)s->model->vit.config.image *
                   (size_t)s->model->vit.config.image * sizeof(float);
    bt_status status = bt_plan_set(plan, "images", batch->images, bytes);
    if (status == BT_OK) status = bt_plan_run_timed(plan, seconds);
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
        if (first)
            printf("  %-18s %4d calls %9.2f ms %8.1f GFLOP/s %7.2f GB/s\n", c.op, calls, sum * 1e3, flops / sum / 1e9,
                   moved / sum / 1e9);
    }
    free(seconds);
    return status;
}

typedef struct figures {
    double forward, step, forward_bound, step_bound, forward_flops, step_flops;
    size_t start_bytes, peak_bytes;
    bt_plan_summary summary;
} figures;

static void print_figures(const bt_bench_options *o, bt_device *device, const figures *f) {
    char text[256];
    device->backend->describe(device, text, sizeof text);
    double n = o->batch;
    if (!o->json) {
        printf("%s, image %d, batch %d, %s on %s: %s\n", o->model, o->image, o->batch, o->dtype, o->device, text);
        printf("forward   %8.2f images/s  %.2f of the bound %.2f\n", n / f->forward, f->forward_bound / f->forward,
               n / f->forward_bound);
        printf("LoRA step %8.2f images/s  %.2f of the bound %.2f\n", n / f->step, f->step_bound / f->step,
               n / f->step_bound);
        printf("memory    %8.1f MB above start; block %.1f MB, liveness bound %.1f MB\n",
               (double)(f->peak_bytes - f->start_bytes) / 1e6, (double)f->summary.block_bytes / 1e6,
               (double)f->summary.lower_bound_bytes / 1e6);
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
    bt_json_member_integer(&w, "peak_bytes", (int64_t)(f->peak_bytes - f->start_bytes));
    bt_json_member_integer(&w, "block_bytes", (int64_t)f->summary.block_bytes);
    bt_json_member_integer(&w, "launches_per_step", f->summary.cuda_launches);
    bt_json_member_number(&w, "bytes_per_step", f->summary.bytes);
    bt_json_end(&w);
    if (bt_json_finish(&w) == BT_OK) printf("%s\n", bt_text_get(&line));
    bt_text_free(&line);
}

/** Forward first, in a session of its own, as the yardstick does; then the step, whose peak memory counts. */
static bt_status measure(const bt_bench_options *o, bt_model *model, bt_device *device, bt_dtype dtype,
                         const float *images, figures *f) {
    bt_session forward, step;
    bt_session_options so = bt_bench_session(o, dtype, false);
    size_t now;
    rates r = {.device = device, .dtype = dtype};
    BT_TRY(bt_session_open(&forward, model, device, &so));
    bt_status status = median_forward(&forward, images, o->iterations, &f->forward);
    bt_session_close(&forward);
    BT_TRY(status);
    so = bt_bench_session(o, dtype, true);
    BT_TRY(bt_session_open(&step, model, device, &so));
    bt_step_batch batch = {.images = images};
    status = median_step(&step, &batch, o->iterations, &f->step);
    bt_bench_resident(&now, &f->peak_bytes);
    if (status == BT_OK && o->profile) status = print_profile(&step, &batch);
    f->summary = bt_plan_summarize(step.plan[BT_PROGRAM_STEP]);
    f->step_bound = bound_seconds(&r, step.plan[BT_PROGRAM_STEP], &f->step_flops);
    bt_session_close(&step);
    BT_TRY(status);
    so = bt_bench_session(o, dtype, false);
    BT_TRY(bt_session_open(&forward, model, device, &so));
    f->forward_bound = bound_seconds(&r, forward.plan[BT_PROGRAM_EMBED], &f->forward_flops);
    bt_session_close(&forward);
    return BT_OK;
}

bt_status bt_bench_vit(const bt_bench_options *o) {
    bt_dtype dtype;
    BT_TRY(bt_bench_check(o, &dtype));
    const bt_backend *backend = bt_backend_named(o->device);
    if (!backend) return BT_ERR_UNSUPPORTED;
    size_t count = (size_t)o->batch * 3 * (size_t)o->image * (size_t)o->image;
    float *images = malloc(count * sizeof *images);
    if (!images) return bt_error(BT_ERR_MEMORY, "out of memory for %zu pixels", count);
    uint32_t s = 1;
    for (size_t i = 0; i < count; i++) images[i] = (float)((s = s * 1664525u + 1013904223u) >> 8) / 4194304.0f - 2;
    figures f = {0};
    size_t peak;
    bt_device *device;
    bt_status status = backend->open(&(bt_device_options){.threads = o->threads}, &device);
    if (status == BT_OK) {
        bt_bench_resident(&f.start_bytes, &peak);
        bt_model model = {.store = NULL};
        status = bt_bench_model(o, dtype, &model);
        if (status == BT_OK) status = bt_params_commit(model.store, device);
        if (status == BT_OK) status = measure(o, &model, device, dtype, images, &f);
        if (status == BT_OK) print_figures(o, device, &f);
        bt_model_release(&model);
        backend->close(device);
    }
    free(images);
    return status;
}
