/* Runs a case on a backend and holds what it left to the reference.
 *
 * One execution: upload the block, prepare (activations have no memory yet, as when a plan is made), run with scratch
 * full of garbage, download; bytes that are no output, guard words and padding included, must be what they were, and
 * the step block must show no fault. Outputs start as NaN, so that an element left out shows.
 */
#include "ops_test.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SCRATCH_GUARD 256u
#define SCRATCH_GUARD_BYTE 0x5A
#define TRY_STEP(what, call)                                                                                           \
    do {                                                                                                               \
        if ((call) != BT_OK) {                                                                                         \
            fail(r, "%s: %s", what, bt_error_message());                                                               \
            return false;                                                                                              \
        }                                                                                                              \
    } while (0)

/* Everything about the running of one case; faults are counted and printed. */
typedef struct running {
    const ops_target *target;
    ops_case *c;
    bool quiet;
    int faults, gradient_checks;
    char how[48]; /* which run of the case, for messages */
} running;

static void fail(running *r, const char *format, ...) BT_PRINTF(2, 3);
static void fail(running *r, const char *format, ...) {
    r->faults++;
    if (r->quiet) return;
    const ops_case *c = r->c;
    printf("FAIL %s %s %s%s `%s` %s: ", r->target->backend->name, c->info->name,
           ops_has_compute(c->spec) ? bt_dtype_name(c->compute) : "-", c->accumulate ? " add mode" : "",
           c->row->operands, r->how);
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

/* ---- one execution ---- */

typedef struct memory {
    void *block, *scratch;
    bt_prepared prepared;
} memory;

/* The output of alias `a` in the memory of its input. Gives the index of the input, or -1 without alias. */
static int apply_alias(const ops_case *c, const ops_alias *alias, ops_any_args *args) {
    if (!alias) return -1;
    int out = ops_operand_index(c->info, alias->out, strlen(alias->out));
    int in = ops_operand_index(c->info, alias->in, strlen(alias->in));
    args->operand[out].data = args->operand[in].data;
    args->operand[out].ld = args->operand[in].ld;
    return in;
}

static bool prepare(running *r, const ops_alias *alias, void *block, bt_prepared *out) {
    ops_any_args args;
    ops_case_bind(r->c, block, &args);
    apply_alias(r->c, alias, &args);
    for (int k = 0; k < r->c->info->operands; k++)
        if (!(args.operand[k].flags & BT_FROZEN)) args.operand[k].data = NULL;
    TRY_STEP("prepare", r->c->info->prepare(r->target->kernels, r->target->device, &args, out));
    return true;
}

/* Bytes that are neither an output's elements nor scratch must not have changed. */
static void check_untouched(running *r, const ops_alias *alias, const unsigned char *after) {
    const ops_case *c = r->c;
    unsigned char *writable = calloc(c->block_bytes, 1);
    BT_ASSERT(writable != NULL);
    for (int k = 0; k < c->info->operands; k++) {
        const char *name = c->info->operand[k].name;
        bool moved = alias && strcmp(name, alias->out) == 0, lent = alias && strcmp(name, alias->in) == 0;
        if (ops_case_has(c, k) && ((ops_is_output(c->info->operand[k].role) && !moved) || lent))
            ops_case_mark(c, k, writable);
    }
    for (size_t i = 0; i < c->block_bytes; i++) {
        if (writable[i] || after[i] == c->block[i]) continue;
        const char *nearest = "?";
        long at = 0;
        for (int k = 0; k < c->info->operands; k++)
            if (ops_case_has(c, k) && (nearest[0] == '?' || labs((long)i - (long)c->offset[k]) < labs(at))) {
                nearest = c->info->operand[k].name;
                at = (long)i - (long)c->offset[k];
            }
        fail(r, "wrote a byte that is no output, %ld bytes from the start of %s", at, nearest);
        break;
    }
    free(writable);
}

static bool check_step(running *r) {
    bt_step step;
    TRY_STEP("download of the step",
             r->target->backend->download(r->target->device, &step, r->target->device->step, sizeof step));
    if (step.fault) fail(r, "reported fault %d at %d", step.fault, step.fault_index);
    return true;
}

static bool run_once(running *r, const ops_alias *alias, memory *m, int garbage, unsigned char *after) {
    const bt_backend *b = r->target->backend;
    bt_device *device = r->target->device;
    size_t scratch_bytes = m->prepared.scratch_bytes + 2 * SCRATCH_GUARD;
    unsigned char *scratch = malloc(scratch_bytes);
    BT_ASSERT(scratch != NULL);
    memset(scratch, SCRATCH_GUARD_BYTE, scratch_bytes);
    memset(scratch + SCRATCH_GUARD, garbage, m->prepared.scratch_bytes);
    bt_status status = b->set_step(device, &ops_step);
    if (!status) status = b->upload(device, m->block, r->c->block, r->c->block_bytes);
    if (!status) status = b->upload(device, m->scratch, scratch, scratch_bytes);
    ops_any_args args;
    ops_case_bind(r->c, m->block, &args);
    apply_alias(r->c, alias, &args);
    unsigned char *lent = (unsigned char *)m->scratch + SCRATCH_GUARD;
    if (!status) status = r->c->info->run(r->target->kernels, device, &args, &m->prepared, lent);
    if (!status) status = b->synchronize(device);
    if (!status) status = b->download(device, after, m->block, r->c->block_bytes);
    if (!status) status = b->download(device, scratch, m->scratch, scratch_bytes);
    if (status) fail(r, "run: %s", bt_error_message());
    for (size_t i = 0; i < SCRATCH_GUARD && !status; i++)
        if (scratch[i] != SCRATCH_GUARD_BYTE || scratch[scratch_bytes - 1 - i] != SCRATCH_GUARD_BYTE) {
            fail(r, "wrote outside of its scratch of %zu bytes", m->prepared.scratch_bytes);
            break;
        }
    free(scratch);
    if (status) return false;
    check_untouched(r, alias, after);
    return check_step(r);
}

/* Prepares, runs `times` times from the same start, and demands the same bits. */
static bool execute(running *r, const ops_alias *alias, int times, unsigned char *after) {
    const bt_backend *b = r->target->backend;
    memory m = {0};
    unsigned char *again = malloc(r->c->block_bytes);
    BT_ASSERT(again != NULL);
    bool good = b->alloc(r->target->device, r->c->block_bytes, &m.block) == BT_OK &&
                b->upload(r->target->device, m.block, r->c->block, r->c->block_bytes) ==
                    BT_OK; /* prepare may read frozen weights */
    if (!good) fail(r, "memory: %s", bt_error_message());
    good = good && prepare(r, alias, m.block, &m.prepared);
    if (good && m.prepared.scratch_bytes > (size_t)1 << 32) {
        fail(r, "asks for %zu bytes of scratch", m.prepared.scratch_bytes);
        good = false;
    }
    if (good && b->alloc(r->target->device, m.prepared.scratch_bytes + 2 * SCRATCH_GUARD, &m.scratch) != BT_OK)
        good = false;
    for (int i = 0; i < times && good; i++) {
        good = run_once(r, alias, &m, i == 0 ? 0xFF : 0x3C, i == 0 ? after : again);
        if (good && i > 0 && memcmp(after, again, r->c->block_bytes) != 0) fail(r, "other bits when run again");
    }
    if (m.prepared.release) m.prepared.release(m.prepared.state);
    if (m.scratch) b->free(r->target->device, m.scratch);
    if (m.block) b->free(r->target->device, m.block);
    free(again);
    return good;
}

/* ---- comparison ---- */

static double tolerance_of(const ops_case *c, int k) {
    if (c->args.operand[k].dtype == BT_BF16) return c->spec->bf16;
    if (c->args.operand[k].dtype != BT_F32) return 0;
    return ops_has_compute(c->spec) && c->compute == BT_BF16 ? c->spec->mixed : c->spec->f32;
}

/* Bits of the reference rounded once; any NaN stands for any other. */
static void compare_exact(running *r, int k, const double *out) {
    const ref_tensor *ref = &r->c->ref.any.operand[k];
    for (int64_t i = 0; i < ref_count(ref); i++) {
        double want = ref->v[i];
        if (ref->dtype == BT_F32) want = (double)(float)want;
        if (ref->dtype == BT_BF16) want = (double)bt_bf16_to_float(bt_bf16_of((float)want));
        if ((isnan(want) && isnan(out[i])) || memcmp(&want, out + i, sizeof want) == 0) continue;
        fail(r, "%s[%lld] is %.9g, the exact value is %.9g", r->c->info->operand[k].name, (long long)i, out[i], want);
        return;
    }
}

static void compare_norm(running *r, int k, const double *out, double tolerance) {
    const ref_tensor *ref = &r->c->ref.any.operand[k];
    int64_t count = ref_count(ref), worst = 0;
    double error = 0, norm = 0, largest = r->c->spec->floor, largest_error = 0;
    bool lower =
        ref->shape.rank == 3 && strcmp(r->c->info->operand[k].name, "chol") == 0; /* its upper part is unspecified */
    for (int64_t i = 0; i < count; i++) {
        if (lower && i % ref->cols > i / ref->cols % ref->cols) continue;
        double e = out[i] - ref->v[i];
        error += e * e;
        norm += ref->v[i] * ref->v[i];
        largest = fmax(largest, fabs(ref->v[i]));
        if (!(fabs(e) <= largest_error)) {
            largest_error = fabs(e);
            worst = i;
        }
    }
    norm = fmax(sqrt(norm), r->c->spec->floor * sqrt((double)count));
    if (count < 16) tolerance *= 2; /* too few for errors to average */
    /* NaN in either makes both comparisons false. */
    if (sqrt(error) <= tolerance * norm && largest_error <= 8 * tolerance * largest) return;
    fail(r, "%s: error %.3g of the norm (allowed %.3g), largest at [%lld]: %.9g instead of %.9g",
         r->c->info->operand[k].name, sqrt(error) / norm, tolerance, (long long)worst, out[worst], ref->v[worst]);
}

static void compare_outputs(running *r, const unsigned char *after) {
    for (int k = 0; k < r->c->info->operands; k++) {
        if (!ops_case_has(r->c, k) || !ops_is_output(r->c->info->operand[k].role)) continue;
        double *out = ref_new(ref_count(&r->c->ref.any.operand[k]));
        ops_case_decode(r->c, k, after, out);
        double tolerance = tolerance_of(r->c, k);
        if (tolerance > 0)
            compare_norm(r, k, out, tolerance);
        else
            compare_exact(r, k, out);
        free(out);
    }
    const bt_tensor *bits = &r->c->args.operand[r->c->info->operands - 1]; /* codes end with zero bits */
    for (int64_t row = 0; bits->dtype == BT_BITS && row < bt_shape_rows(bits->shape); row++)
        for (int64_t d = bt_shape_cols(bits->shape); d % 64; d++)
            if (after[r->c->offset[r->c->info->operands - 1] + (size_t)(row * bits->ld * 8 + d / 8)] >> d % 8 & 1)
                fail(r, "bit %lld of row %lld, behind the code, is set", (long long)d, (long long)row);
}

/* Derivatives that the kernel claims, and those of the reference before (strictly), against the reference forward. */
static void check_gradients(running *r, const unsigned char *after) {
    double *g[OPS_MAX_OPERANDS] = {0}, tolerance = 1e-7;
    char message[256];
    for (int k = 0; k < r->c->info->operands; k++) {
        if (!ops_case_has(r->c, k)) continue;
        g[k] = ref_new(ref_count(&r->c->ref.any.operand[k]));
        if (after)
            ops_case_decode(r->c, k, after, g[k]);
        else
            memcpy(g[k], r->c->ref.any.operand[k].v, (size_t)ref_count(&r->c->ref.any.operand[k]) * sizeof(double));
    }
    /* Inputs that the derivation rounds (u, o, lse) are off by half a unit of the compute dtype. */
    if (after) tolerance = fmax(4 * r->c->spec->f32, r->c->compute == BT_BF16 ? 0x1p-6 : 2e-6);
    int checks = ops_check_gradients(r->c, g, tolerance, message, sizeof message);
    if (checks < 0)
        fail(r, "%s: %s", after ? "gradient of the kernel" : "gradient of the reference", message);
    else
        r->gradient_checks += checks;
    for (int k = 0; k < r->c->info->operands; k++) free(g[k]);
}

/* ---- the runs of one case ---- */

static void run_alias(running *r, const ops_alias *alias, const unsigned char *plain) {
    const ops_case *c = r->c;
    int out = ops_operand_index(c->info, alias->out, strlen(alias->out));
    int in = ops_operand_index(c->info, alias->in, strlen(alias->in));
    BT_ASSERT(out >= 0 && in >= 0);
    const bt_tensor *to = &c->args.operand[out], *from = &c->args.operand[in];
    if (!bt_present(from) || to->dtype != from->dtype || !bt_shape_equal(to->shape, from->shape)) return;
    snprintf(r->how, sizeof r->how, "(%s in the memory of %s)", alias->out, alias->in);
    unsigned char *after = malloc(c->block_bytes);
    BT_ASSERT(after != NULL);
    if (execute(r, alias, 1, after)) {
        for (int64_t row = 0; row < bt_shape_rows(to->shape); row++) { /* to where compare_outputs looks */
            size_t bytes = bt_row_bytes(to->dtype, bt_shape_cols(to->shape)), size = bt_dtype_bytes(to->dtype);
            memcpy(after + c->offset[out] + (size_t)(row * to->ld) * size,
                   after + c->offset[in] + (size_t)(row * from->ld) * size, bytes);
        }
        compare_outputs(r, after);
        /* A kernel may choose its path, and so the order of its sums, by address and pitch. */
        bool like = to->ld == from->ld && c->offset[out] % 16 == c->offset[in] % 16;
        if (like && !c->spec->add_first && !ops_case_same_bits(c, out, plain, after))
            fail(r, "other bits than in memory of its own");
    }
    free(after);
}

/* Large rows run in one order: what depends on the order of threads shows in small ones. */
static void run_orders(running *r, const unsigned char *plain) {
    if (r->c->row->flags & OPS_LARGE) return;
    unsigned char *after = malloc(r->c->block_bytes);
    BT_ASSERT(after != NULL);
    for (int order = 1; order < r->target->orders; order++) {
        r->target->set_order(order);
        snprintf(r->how, sizeof r->how, "(thread order %d)", order);
        if (execute(r, NULL, 1, after) && memcmp(plain, after, r->c->block_bytes) != 0)
            fail(r, "other bits than in thread order 0");
    }
    if (r->target->orders > 1) r->target->set_order(0);
    free(after);
}

static void run_case(running *r) {
    ops_case *c = r->c;
    bool differentiate = c->spec->gradients && !c->accumulate && !(c->row->flags & OPS_LARGE);
    if (differentiate) {
        c->info->reference(&c->ref);
        check_gradients(r, NULL);
    }
    ops_case_expect(c);
    unsigned char *after = malloc(c->block_bytes);
    BT_ASSERT(after != NULL);
    if (execute(r, NULL, 2, after)) {
        compare_outputs(r, after);
        if (differentiate) check_gradients(r, after);
        for (const ops_alias *alias = c->info->alias; alias->out; alias++) run_alias(r, alias, after);
        run_orders(r, after);
    }
    free(after);
}

void ops_run_row(const ops_target *target, const ops_row *row, bt_dtype compute, bool quiet, ops_counts *counts) {
    const ops_spec *spec = ops_spec_of(row->op);
    if (target->small_only && row->flags & OPS_LARGE) {
        counts->skipped++;
        if (!quiet)
            printf("skipped: %s %s %s `%s`: large shapes are left to the other backends\n", target->backend->name,
                   ops_info_of(row->op)->name, bt_dtype_name(compute), row->operands);
        return;
    }
    for (int accumulate = 0; accumulate < (spec->accumulate ? 2 : 1); accumulate++) {
        ops_case c;
        ops_case_build(&c, row, compute, accumulate == 1);
        running r = {.target = target, .c = &c, .quiet = quiet, .how = ""};
        run_case(&r);
        ops_case_free(&c);
        *(r.faults ? &counts->failed : &counts->passed) += 1;
        counts->gradient_checks += r.gradient_checks;
    }
}

/* `row`, as text, with the operand that begins at `operand` one element behind an aligned address, or (pitch) with its
 * rows one element further apart. False if it says already where it is, has one row, or is what kernels keep for each
 * other (statistics and the like: always aligned, without padding). */
static bool move_operand(const ops_row *row, const char *operand, bool pitch, char *text, size_t text_bytes) {
    static const char *const kept[] = {"stats[", "norm[", "lse[", "ids["};
    const char *end = operand + strcspn(operand, " ");
    int64_t rows = 1;
    for (const char *p = strchr(operand, '['); *p != ']' && p < end;) {
        char *next;
        int64_t dim = strtoll(p + 1, &next, 10);
        if (*next == '+') return false;
        if (*next == ',') rows *= dim;
        p = next;
    }
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (strncmp(operand, kept[i], strlen(kept[i])) == 0) return false;
    if (end[-1] != ']' || (pitch && rows == 1)) return false;
    int head = (int)(end - row->operands) - (pitch ? 1 : 0);
    snprintf(text, text_bytes, "%.*s%s%s", head, row->operands, pitch ? "+1]" : "@1", end);
    return true;
}

static void run_places(const ops_target *target, const ops_row *row, bt_dtype compute, bool quiet, ops_counts *counts) {
    for (const char *operand = row->operands; *operand;
         operand += strcspn(operand, " "), operand += strspn(operand, " "))
        for (int pitch = 0; pitch < 2; pitch++) {
            char text[256];
            ops_row moved = *row;
            moved.operands = text;
            moved.seed = row->operands;
            if (move_operand(row, operand, pitch == 1, text, sizeof text))
                ops_run_row(target, &moved, compute, quiet, counts);
        }
}

static void run_op_row(const ops_target *target, const ops_row *row, const ops_options *options, ops_counts *counts) {
    if (!ops_info_of(row->op)->present(target->kernels)) {
        counts->failed++;
        if (!options->quiet) printf("FAIL %s %s: no kernel\n", target->backend->name, ops_info_of(row->op)->name);
        return;
    }
    bool both = ops_has_compute(ops_spec_of(row->op));
    for (int dtype = BT_F32; dtype <= (both ? BT_BF16 : BT_F32); dtype++)
        if (options->dtype < 0 || options->dtype == dtype) {
            ops_run_row(target, row, (bt_dtype)dtype, options->quiet, counts);
            if (row->flags & OPS_EACH_PLACE) run_places(target, row, (bt_dtype)dtype, options->quiet, counts);
        }
}

void ops_run_table(const ops_target *target, const ops_options *options, ops_counts *counts) {
    const unsigned sizes[] = {0, OPS_LARGE};
    for (int size = 0; size < 2; size++)
        for (int i = 0; i < ops_row_count; i++) {
            const ops_row *row = &ops_rows[i];
            if (options->stop && counts->failed) return;
            if ((options->op < 0 || (int)row->op == options->op) && (row->flags & OPS_LARGE) == sizes[size])
                run_op_row(target, row, options, counts);
        }
}
