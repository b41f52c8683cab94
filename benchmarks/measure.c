/* Measuring one operation by itself. */
#include "measure.h"

#include "base/thread.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bt_bench_median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, ascending);
    return values[count / 2];
}

void bt_bench_resident(size_t *now, size_t *peak) {
    *now = *peak = 0;
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        size_t kilobytes;
        if (sscanf(line, "VmRSS: %zu", &kilobytes) == 1) *now = kilobytes * 1024;
        if (sscanf(line, "VmHWM: %zu", &kilobytes) == 1) *peak = kilobytes * 1024;
    }
    if (f) fclose(f);
}

/* ---- one call ---- */

static bt_status prepare(bt_device *device, bt_op op, const void *args, bt_prepared *out) {
    const bt_kernels *kernels = device->backend->kernels;
    switch (op) {
#define BT_OP(family, name, operands, attributes, aliases, effect)                                                     \
    case BT_OP_##name:                                                                                                 \
        return kernels->name->prepare ? kernels->name->prepare(device, args, out) : BT_OK;
#include "tensor/ops.def"
#undef BT_OP
    case BT_OP_COUNT:
        break;
    }
    bt_panic(__FILE__, __LINE__, "no operation %d", (int)op);
}

static bt_status run(bt_device *device, bt_op op, const void *args, const bt_prepared *prepared, void *scratch) {
    const bt_kernels *kernels = device->backend->kernels;
    switch (op) {
#define BT_OP(family, name, operands, attributes, aliases, effect)                                                     \
    case BT_OP_##name:                                                                                                 \
        return kernels->name->run(device, args, prepared, scratch);
#include "tensor/ops.def"
#undef BT_OP
    case BT_OP_COUNT:
        break;
    }
    bt_panic(__FILE__, __LINE__, "no operation %d", (int)op);
}

/** Random values in -1..1, from one piece that is uploaded again and again. */
static bt_status fill(bt_device *device, const bt_tensor *t) {
    enum { PIECE = 1 << 20 };
    if (t->dtype != BT_F32 && t->dtype != BT_BF16) return BT_OK;
    char *piece = malloc(PIECE * sizeof(float));
    if (!piece) return bt_error(BT_ERR_MEMORY, "out of memory for random values");
    uint32_t s = 1;
    for (int i = 0; i < PIECE; i++) {
        float value = (float)(int32_t)(s = s * 1664525u + 1013904223u) * 0x1p-31f;
        if (t->dtype == BT_F32)
            ((float *)piece)[i] = value;
        else
            ((uint16_t *)piece)[i] = bt_bf16_of(value);
    }
    size_t bytes = bt_tensor_bytes(t), part = PIECE * bt_dtype_bytes(t->dtype);
    bt_status status = BT_OK;
    for (size_t at = 0; at < bytes && status == BT_OK; at += part)
        status = device->backend->upload(device, (char *)t->data + at, piece, bytes - at < part ? bytes - at : part);
    free(piece);
    return status;
}

/** Seconds of `repeats` runs. */
static bt_status time_runs(bt_device *device, const bt_bench_call *c, const void *args, const bt_prepared *prepared,
                           void *scratch, int repeats, double *seconds) {
    double start = bt_clock_seconds();
    for (int i = 0; i < repeats; i++) BT_TRY(run(device, c->op, args, prepared, scratch));
    BT_TRY(device->backend->synchronize(device));
    *seconds = bt_clock_seconds() - start;
    return BT_OK;
}

static bt_status time_prepared(bt_device *device, const bt_bench_call *c, const void *args, const bt_prepared *prepared,
                               void *scratch, int iterations, double *seconds) {
    const double long_enough = 2e-3;
    enum { MOST_REPEATS = 200 };
    double one;
    for (int i = 0; i < 2; i++) BT_TRY(time_runs(device, c, args, prepared, scratch, 1, &one));
    int repeats = one * MOST_REPEATS < long_enough ? MOST_REPEATS : (int)(long_enough / one) + 1;
    double *times = calloc((size_t)iterations, sizeof *times);
    if (!times) return bt_error(BT_ERR_MEMORY, "out of memory for %d times", iterations);
    bt_status status = BT_OK;
    for (int i = 0; i < iterations && status == BT_OK; i++)
        status = time_runs(device, c, args, prepared, scratch, repeats, &times[i]);
    *seconds = bt_bench_median(times, iterations) / repeats;
    free(times);
    return status;
}

/** A call with operands in memory. */
typedef struct filled_call {
    const bt_bench_call *call;
    const bt_op_info *info;
    bt_tensor *args; /* an argument struct begins with its operands */
    int taker;       /* operand in the memory of another, or -1 */
} filled_call;

static void free_call(bt_device *device, filled_call *f) {
    for (int k = 0; f->args && k < f->info->operands; k++)
        if (f->args[k].data && k != f->taker) device->backend->free(device, f->args[k].data);
    free(f->args);
}

static bt_status fill_call(bt_device *device, const bt_bench_call *c, filled_call *out) {
    const bt_op_info *info = bt_op_info_of(c->op);
    *out = (filled_call){.call = c, .info = info, .taker = c->in_place ? info->alias[0].out : -1};
    bt_tensor *args = out->args = malloc(info->args_bytes);
    if (!args) return bt_error(BT_ERR_MEMORY, "out of memory for arguments");
    memcpy(args, c->args, info->args_bytes);
    bt_status status = BT_OK;
    for (int k = 0; k < info->operands; k++) args[k].data = NULL;
    for (int k = 0; k < info->operands && status == BT_OK; k++) {
        if (!bt_present(&args[k]) || k == out->taker) continue;
        status = device->backend->alloc(device, bt_tensor_bytes(&args[k]), &args[k].data);
        if (status == BT_OK) status = fill(device, &args[k]);
    }
    if (c->in_place) args[out->taker].data = args[info->alias[0].in].data;
    if (status != BT_OK) free_call(device, out);
    return status;
}

/** Prepares the call, as the device's settings are now, and times it. */
static bt_status time_call(bt_device *device, const filled_call *f, int iterations, double *seconds) {
    bt_prepared prepared = {0};
    void *scratch = NULL;
    bt_status status = prepare(device, f->call->op, f->args, &prepared);
    if (status == BT_OK && prepared.scratch_bytes)
        status = device->backend->alloc(device, prepared.scratch_bytes, &scratch);
    if (status == BT_OK) status = time_prepared(device, f->call, f->args, &prepared, scratch, iterations, seconds);
    if (prepared.release) prepared.release(prepared.state);
    if (scratch) device->backend->free(device, scratch);
    return status;
}

bt_status bt_bench_call_seconds(bt_device *device, const bt_bench_call *c, int iterations, double *seconds) {
    filled_call f;
    BT_TRY(fill_call(device, c, &f));
    bt_status status = time_call(device, &f, iterations, seconds);
    free_call(device, &f);
    return status;
}

/* ---- a plan ---- */

bt_status bt_bench_set_input(bt_plan *plan, const char *name, const void *device_memory, size_t bytes) {
    for (int i = 0; i < plan->named_count; i++) {
        bt_named_value *named = &plan->named[i];
        if (!named->is_input || strcmp(named->name, name) != 0) continue;
        const bt_value_info *info = bt_info(plan->program, named->value);
        const bt_tensor shape = bt_tensor_of(NULL, info->dtype, info->shape);
        int storage = plan->storage_of[named->value];
        BT_ASSERT(plan->block && storage >= 0);
        if (bytes != bt_tensor_bytes(&shape))
            return bt_error(BT_ERR_SHAPE, "input \"%s\" has %zu bytes, %zu were given", name, bt_tensor_bytes(&shape),
                            bytes);
        BT_TRY(plan->device->backend->copy(plan->device, plan->block + plan->storage[storage].offset, device_memory,
                                           bytes));
        named->is_set = true;
        return BT_OK;
    }
    return bt_error(BT_ERR_SHAPE, "the program has no input \"%s\"", name);
}

bt_status bt_bench_plan_seconds(bt_plan *plan, double *seconds) {
    const double long_enough = 5e-4; /* tens of waits */
    enum { MOST_REPEATS = 50 };
    for (int i = 0; i < plan->instruction_count; i++) {
        const bt_planned *p = &plan->instruction[i];
        void *scratch = p->scratch < 0 ? NULL : plan->block + plan->storage[p->scratch].offset;
        const bt_bench_call c = {.op = p->source->op};
        double one = 0, all = 0;
        for (int pass = 0; pass < 2; pass++) /* the first may load code */
            BT_TRY(time_runs(plan->device, &c, p->args, &p->prepared, scratch, 1, &one));
        int repeats = one * MOST_REPEATS < long_enough ? MOST_REPEATS : (int)(long_enough / one) + 1;
        BT_TRY(time_runs(plan->device, &c, p->args, &p->prepared, scratch, repeats, &all));
        seconds[i] = all / repeats;
    }
    return BT_OK;
}

/* ---- products ---- */

static bt_tensor matrix(bt_dtype dtype, int64_t rows, int64_t cols) {
    return bt_tensor_of(NULL, dtype, bt_shape2(rows, cols));
}

bool bt_bench_answers(bt_device *device) {
    return device->backend->synchronize(device) == BT_OK;
}

static bt_status time_candidates(bt_device *device, const filled_call *f, int iterations, double *first, double *best,
                                 int *candidate) {
    enum { MOST_CANDIDATES = 8 };
    int count = device->backend->set_candidate ? MOST_CANDIDATES : 1;
    char message[512] = "";
    bt_status failed = BT_OK;
    for (int i = 0; i < count; i++) {
        double seconds;
        if (device->backend->set_candidate) device->backend->set_candidate(device, i);
        bt_status status = time_call(device, f, iterations, &seconds);
        if (status == BT_ERR_UNSUPPORTED && i > 0) break;
        if (status != BT_OK) {
            failed = status;
            snprintf(message, sizeof message, "%s", bt_error_message());
            if (!bt_bench_answers(device))
                return bt_error(status, "%s; the fault stays: this process can measure nothing more on the device",
                                message);
            fprintf(stderr, "bittern-bench: candidate %d of a product is left out: %s\n", i, message);
            continue;
        }
        if (i == 0) *first = seconds;
        if (isnan(*best) || seconds < *best) {
            *best = seconds;
            *candidate = i;
        }
    }
    return isnan(*best) ? bt_error(failed, "%s", message) : BT_OK;
}

bt_status bt_bench_product_seconds(bt_device *device, const bt_bench_product *p, int iterations, double *first,
                                   double *best, int *candidate) {
    bt_linear_args forward = {
        .x = matrix(p->dtype, p->m, p->k), .w = matrix(p->dtype, p->n, p->k), .y = matrix(p->dtype, p->m, p->n)};
    bt_linear_dx_args dx = {
        .dy = matrix(p->dtype, p->m, p->k), .w = matrix(p->dtype, p->k, p->n), .dx = matrix(p->dtype, p->m, p->n)};
    bt_linear_dw_args dw = {
        .dy = matrix(p->dtype, p->k, p->m), .x = matrix(p->dtype, p->k, p->n), .dw = matrix(BT_F32, p->m, p->n)};
    if (p->frozen) forward.w.flags = dx.w.flags = BT_FROZEN;
    if (p->add) forward.add = forward.y, dx.add = dx.dx;
    const bt_bench_call calls[] = {
        {BT_OP_linear, &forward, p->add}, {BT_OP_linear_dx, &dx, p->add}, {BT_OP_linear_dw, &dw, false}};
    filled_call f;
    *first = *best = NAN;
    *candidate = 0;
    BT_TRY(fill_call(device, &calls[p->role], &f));
    bt_status status = time_candidates(device, &f, iterations, first, best, candidate);
    if (device->backend->set_candidate) device->backend->set_candidate(device, 0);
    free_call(device, &f);
    return status;
}

/* ---- the machine ---- */

bt_status bt_bench_bandwidth(bt_device *device, int iterations, double *bytes_per_second) {
    bt_relu_args args = {.x = matrix(BT_F32, 1 << 16, 1 << 10), .y = matrix(BT_F32, 1 << 16, 1 << 10)};
    double seconds;
    BT_TRY(bt_bench_call_seconds(device, &(bt_bench_call){.op = BT_OP_relu, .args = &args}, iterations, &seconds));
    *bytes_per_second = 2 * (double)bt_tensor_bytes(&args.x) / seconds;
    return BT_OK;
}

bt_status bt_bench_launch_seconds(bt_device *device, double *seconds) {
    bt_relu_args args = {.x = matrix(BT_F32, 1, 32), .y = matrix(BT_F32, 1, 32)};
    return bt_bench_call_seconds(device, &(bt_bench_call){.op = BT_OP_relu, .args = &args}, 15, seconds);
}
