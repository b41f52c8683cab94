/* Refusals at plan time, with their messages, and faults that a kernel reports through the step block. */
#include "ops_test.h"

#include "pixels/view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void verdict(const ops_target *target, ops_counts *counts, bool quiet, bool good, const char *what,
                    const char *found) {
    *(good ? &counts->passed : &counts->failed) += 1;
    if (!good && !quiet) printf("FAIL %s %s: %s\n", target->backend->name, what, found);
}

/* The options let the operation through, and there is a kernel (the table reports one that is missing). */
static bool wanted(const ops_target *target, const ops_options *options, bt_op op) {
    return (options->op < 0 || options->op == (int)op) && ops_info_of(op)->present(target->kernels);
}

/* ---- refusals ---- */

/* `prepare` must refuse with this status and a message that has all of `words` (NULL-terminated). */
static void expect_refusal(const ops_target *target, const ops_case *c, bt_status status, const char *const *words,
                           const char *what, bool quiet, ops_counts *counts) {
    ops_any_args args = c->args;
    bt_prepared prepared = {0};
    char found[512];
    bt_error_clear();
    bt_status got = c->info->prepare(target->kernels, target->device, &args, &prepared);
    if (got == BT_OK && prepared.release) prepared.release(prepared.state);
    bool good = got == status;
    for (; good && *words; words++) good = strstr(bt_error_message(), *words) != NULL;
    snprintf(found, sizeof found, "%s: prepare gave status '%s', message '%s'; wanted '%s'%s%s", c->info->name,
             bt_status_name(got), bt_error_message(), bt_status_name(status), *words ? " with the word " : "",
             *words ? *words : "");
    verdict(target, counts, quiet, good, what, found);
}

/* The first operand in a dtype that the operation never takes. (`zero` may take every dtype: it is not asked.) */
static void wrong_dtype(const ops_target *target, const ops_row *row, bool quiet, ops_counts *counts) {
    ops_case c;
    ops_case_build(&c, row, BT_F32, false);
    bt_dtype wrong = c.args.operand[0].dtype == BT_I64 ? BT_I32 : BT_I64;
    c.args.operand[0].dtype = wrong;
    const char *const words[] = {c.info->name, bt_dtype_name(wrong), target->backend->name, NULL};
    expect_refusal(target, &c, BT_ERR_UNSUPPORTED, words, "wrong dtype", quiet, counts);
    const char *allowed = strstr(bt_error_message(), "allowed");
    verdict(target, counts, quiet, !allowed || !strstr(allowed, bt_dtype_name(wrong)),
            "wrong dtype: the message allows it", bt_error_message());
    ops_case_free(&c);
}

static void refuse_row(const ops_target *target, const ops_row *row, const char *const *words, const char *what,
                       bool quiet, ops_counts *counts) {
    ops_case c;
    ops_case_build(&c, row, BT_F32, false);
    expect_refusal(target, &c, BT_ERR_SHAPE, words, what, quiet, counts);
    ops_case_free(&c);
}

static void refusals(const ops_target *target, const ops_options *options, ops_counts *counts) {
    for (int op = 0; op < BT_OP_COUNT; op++) {
        if (op == BT_OP_zero || !wanted(target, options, (bt_op)op)) continue;
        for (int i = 0; i < ops_row_count; i++)
            if ((int)ops_rows[i].op == op) {
                wrong_dtype(target, &ops_rows[i], options->quiet, counts);
                break;
            }
    }
    const ops_row one_row = {BT_OP_batch_norm, 0, "z[2,3] w[3] b[3] running_mean[3] running_var[3] y[2,3] stats[2,2,3]",
                             &(const bt_batch_norm_args){.groups = 2, .eps = 1e-5f, .momentum = 0.1f, .update = 1},
                             NULL};
    if (wanted(target, options, BT_OP_batch_norm))
        refuse_row(target, &one_row, (const char *const[]){"batch_norm", "row", NULL}, "one row per group",
                   options->quiet, counts);
    const ops_row no_ids = {
        BT_OP_lora_linear, 0, "x[2,3,5] w[7,5] a[2,5] bb[7,2] y[2,3,7] u[2,3,2]",
        &(const bt_lora_linear_args){.parts = {.count = 1, .rank = 2, .width = 7, .scale = 1}, .dropout = 0.1f}, NULL};
    if (wanted(target, options, BT_OP_lora_linear))
        refuse_row(target, &no_ids, (const char *const[]){"lora_linear", "ids", NULL}, "dropout without ids",
                   options->quiet, counts);
}

/* ---- faults ---- */

/* Runs the case as it stands in c->block, starting with `earlier` in the step block, and gives the step block after. */
static bool run_for_step(const ops_target *target, ops_case *c, int32_t earlier, bt_step *step) {
    const bt_backend *b = target->backend;
    bt_device *device = target->device;
    void *block = NULL, *scratch = NULL;
    ops_any_args args;
    bt_prepared prepared = {0};
    *step = ops_step;
    step->fault = earlier;
    bool good = b->alloc(device, c->block_bytes, &block) == BT_OK &&
                b->upload(device, block, c->block, c->block_bytes) == BT_OK;
    ops_case_bind(c, block, &args);
    good = good && c->info->prepare(target->kernels, device, &args, &prepared) == BT_OK;
    good =
        good && b->alloc(device, prepared.scratch_bytes + 1, &scratch) == BT_OK && b->set_step(device, step) == BT_OK;
    good = good && c->info->run(target->kernels, device, &args, &prepared, scratch) == BT_OK &&
           b->synchronize(device) == BT_OK;
    good = good && b->download(device, step, device->step, sizeof *step) == BT_OK;
    if (prepared.release) prepared.release(prepared.state);
    if (scratch) b->free(device, scratch);
    if (block) b->free(device, block);
    return good;
}

static void expect_fault(const ops_target *target, ops_case *c, int32_t index, const char *what, bool quiet,
                         ops_counts *counts) {
    bt_step step;
    char found[256];
    bool ran = run_for_step(target, c, 0, &step);
    snprintf(found, sizeof found, ran ? "fault %d at %d; wanted %d at %d" : "did not run", step.fault, step.fault_index,
             1 + (int)c->row->op, index);
    verdict(target, counts, quiet, ran && step.fault == 1 + (int)c->row->op && step.fault_index == index, what, found);
    ran = run_for_step(target, c, BT_OP_COUNT, &step); /* an earlier fault stays */
    snprintf(found, sizeof found, "the earlier fault %d became %d", BT_OP_COUNT, step.fault);
    verdict(target, counts, quiet, ran && step.fault == BT_OP_COUNT, what, found);
}

/* Column 2 of the second group is NaN: pivots 1 and 2 are good, pivot 3 is not. */
static void coding_rate_pivot(const ops_target *target, const char *operands, int order, bool quiet,
                              ops_counts *counts) {
    const ops_row row = {BT_OP_coding_rate, 0, operands, &(const bt_coding_rate_args){.groups = 2, .eps = 0.05f}, NULL};
    ops_case c;
    ops_case_build(&c, &row, BT_F32, false);
    ops_case_expect(&c);
    const float nan = NAN;
    memcpy(c.block + c.offset[0] + (size_t)(7 * order + 2) * sizeof nan, &nan, sizeof nan);
    expect_fault(target, &c, 3, "coding_rate of a matrix that is not positive", quiet, counts);
    ops_case_free(&c);
}

static void cross_entropy_label(const ops_target *target, int32_t label, bool quiet, ops_counts *counts) {
    const ops_row row = {BT_OP_cross_entropy, 0, "logits[5,3] labels[5] loss[1] lse[5]", NULL, NULL};
    ops_case c;
    ops_case_build(&c, &row, BT_F32, false);
    ops_case_expect(&c);
    memcpy(c.block + c.offset[1] + 3 * sizeof label, &label, sizeof label);
    expect_fault(target, &c, 3, "cross_entropy with a label out of range", quiet, counts);
    ops_case_free(&c);
}

/* The first bad row is named, whichever thread finds one and in whatever order threads run. */
static void cross_entropy_first_label(const ops_target *target, bool quiet, ops_counts *counts) {
    static const int bad[][3] = {
        {300, 555, 556}, /* 300 and 556 are 256 rows apart: one thread of a block has both */
        {255, 256, 511}, /* the last thread has the first bad row */
        {0, 1, 599},
    };
    const ops_row row = {BT_OP_cross_entropy, 0, "logits[600,3] labels[600] loss[1] lse[600]", NULL, NULL};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int order = 0; order == 0 || order < target->orders; order++) {
            ops_case c;
            ops_case_build(&c, &row, BT_F32, false);
            ops_case_expect(&c);
            const int32_t label = 3;
            for (int k = 0; k < 3; k++)
                memcpy(c.block + c.offset[1] + (size_t)bad[i][k] * sizeof label, &label, sizeof label);
            if (target->orders > 1) target->set_order(order);
            expect_fault(target, &c, bad[i][0], "cross_entropy with several labels out of range", quiet, counts);
            ops_case_free(&c);
        }
    if (target->orders > 1) target->set_order(0);
}

/* Records of rows 2 and 3 are out of range, in one number: the first is named, in any thread order. */
static void make_views_record(const ops_target *target, size_t at, int64_t value, bool quiet, ops_counts *counts) {
    const ops_row row = {BT_OP_make_views, 0, "pixels[400] views[4,248] y[4,5,5,3]", NULL, NULL};
    for (int order = 0; order == 0 || order < target->orders; order++) {
        ops_case c;
        ops_case_build(&c, &row, BT_F32, false);
        ops_case_expect(&c);
        for (size_t m = 2; m < 4; m++)
            memcpy(c.block + c.offset[1] + m * sizeof(bt_view_record) + at, &value, sizeof value);
        if (target->orders > 1) target->set_order(order);
        char what[64];
        snprintf(what, sizeof what, "make_views with %lld at byte %zu of a record", (long long)value, at);
        expect_fault(target, &c, 2, what, quiet, counts);
        ops_case_free(&c);
    }
    if (target->orders > 1) target->set_order(0);
}

static void make_views_records(const ops_target *target, bool quiet, ops_counts *counts) {
    const struct {
        size_t at;
        int64_t value;
    } bad[] = {{offsetof(bt_view_record, offset), -1},
               {offsetof(bt_view_record, offset), 399},
               {offsetof(bt_view_record, height), 0},
               {offsetof(bt_view_record, height), INT64_MAX},
               {offsetof(bt_view_record, width), ((int64_t)1 << 62) + 1},
               {offsetof(bt_view_record, view.crop.top), -1},
               {offsetof(bt_view_record, view.crop.width), INT64_MAX},
               {offsetof(bt_view_record, view.window.height), 6},
               {offsetof(bt_view_record, view.full_width), 4},
               {offsetof(bt_view_record, colour.count), BT_COLOUR_STEPS + 1},
               {offsetof(bt_view_record, colour.count), -1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        make_views_record(target, bad[i].at, bad[i].value, quiet, counts);
}

void ops_run_faults(const ops_target *target, const ops_options *options, ops_counts *counts) {
    refusals(target, options, counts);
    if (wanted(target, options, BT_OP_coding_rate)) { /* 130: CUDA leaves it to a library */
        coding_rate_pivot(target, "x[10,4] loss[1] chol[2,4,4]", 4, options->quiet, counts);
        coding_rate_pivot(target, "x[10,130] loss[1] chol[2,130,130]", 130, options->quiet, counts);
    }
    if (wanted(target, options, BT_OP_make_views)) make_views_records(target, options->quiet, counts);
    if (wanted(target, options, BT_OP_cross_entropy)) {
        cross_entropy_label(target, 3, options->quiet, counts);
        cross_entropy_label(target, -1, options->quiet, counts);
        cross_entropy_first_label(target, options->quiet, counts);
    }
}
