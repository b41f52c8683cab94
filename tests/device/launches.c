/* The planner's count of launches (bt_cost_launches) against what a CUDA backend issues, instruction by instruction:
 * every row of the operation table, and the programs of every scene. The backend is BT_TESTED_BACKEND: on hardware, or
 * compiled for the host. */
#include "ops_test.h"
#include "program/plan.h"
#include "scenes.h"

#include <stdlib.h>
#include <string.h>

extern const bt_backend BT_TESTED_BACKEND;
extern int64_t bt_cuda_launch_count; /* cuda/kernel.cuh */

static int passed, failed;

static void compare(const char *where, int i, bt_op op, const void *args, int64_t issued) {
    int predicted = bt_cost_launches(op, args);
    predicted == issued ? passed++ : failed++;
    if (predicted != issued)
        printf("FAILED %s, %d (%s): %lld launches, bt_cost_launches says %d\n", where, i, bt_op_info_of(op)->name,
               (long long)issued, predicted);
}

static void fault(const char *where) {
    failed++;
    printf("FAILED %s: %s\n", where, bt_error_message());
}

/* ---- the operation table ---- */

/** Runs a case once; -1 after a fault, else the launches. */
static int64_t launches_of(bt_device *device, ops_case *c, ops_any_args *args) {
    const bt_backend *b = device->backend;
    void *block = NULL, *scratch = NULL;
    bt_prepared prepared = {0};
    ops_case_expect(c);
    bt_status status = b->alloc(device, c->block_bytes, &block);
    if (!status) status = b->upload(device, block, c->block, c->block_bytes);
    if (!status) status = b->set_step(device, &ops_step);
    if (!status) {
        ops_case_bind(c, block, args);
        status = c->info->prepare(b->kernels, device, args, &prepared);
    }
    if (!status) status = b->alloc(device, prepared.scratch_bytes, &scratch);
    int64_t before = bt_cuda_launch_count, after = -1;
    if (!status) status = c->info->run(b->kernels, device, args, &prepared, scratch);
    if (!status) {
        after = bt_cuda_launch_count;
        status = b->synchronize(device);
    }
    if (prepared.release) prepared.release(prepared.state);
    if (scratch) b->free(device, scratch);
    if (block) b->free(device, block);
    return status ? -1 : after - before;
}

/** A build without cuDNN has no engine for a product with its GELU, which the prediction takes for granted; programs
 * there have none of these. */
static bool lacks_engine(bt_device *device, bt_op op, bt_dtype dtype) {
    bool fused = op == BT_OP_linear_gelu || op == BT_OP_linear_gelu_dx;
    return fused && dtype == BT_BF16 && !device->backend->fuses(op, dtype);
}

/** Rows marked large are left out: what is issued does not depend on the size. */
static void check_rows(bt_device *device) {
    for (int i = 0; i < ops_row_count; i++) {
        const ops_row *row = &ops_rows[i];
        if (row->flags & OPS_LARGE) continue;
        int dtypes = ops_has_compute(ops_spec_of(row->op)) ? BT_BF16 : BT_F32;
        for (int dtype = BT_F32; dtype <= dtypes; dtype++) {
            if (lacks_engine(device, row->op, (bt_dtype)dtype)) continue;
            ops_case c;
            ops_any_args args;
            char where[300];
            ops_case_build(&c, row, (bt_dtype)dtype, false);
            int64_t issued = launches_of(device, &c, &args);
            snprintf(where, sizeof where, "%s `%s`", bt_dtype_name((bt_dtype)dtype), row->operands);
            issued < 0 ? fault(where) : compare(where, i, row->op, &args, issued);
            ops_case_free(&c);
        }
    }
}

/* ---- programs ---- */

/* bt_plan_run_timed waits behind every instruction: there the count is noted. */
enum { MOST_NOTES = 1000 };
static struct {
    int64_t count[MOST_NOTES];
    int notes;
} noted;

static bt_status note(bt_device *device) {
    BT_ASSERT(noted.notes < MOST_NOTES);
    noted.count[noted.notes++] = bt_cuda_launch_count;
    return BT_TESTED_BACKEND.synchronize(device);
}

/** Zeros as every input: what is issued does not depend on values. */
static bt_status clear_inputs(bt_plan *plan) {
    for (int i = 0; i < plan->named_count; i++) {
        bt_dtype dtype;
        bt_shape shape;
        if (!plan->named[i].is_input || !bt_plan_find(plan, plan->named[i].name, &dtype, &shape)) continue;
        size_t bytes = bt_row_bytes(dtype, bt_shape_cols(shape)) * (size_t)bt_shape_rows(shape);
        void *zeros = calloc(bytes, 1);
        BT_ASSERT(zeros);
        bt_status status = bt_plan_set(plan, plan->named[i].name, zeros, bytes);
        free(zeros);
        BT_TRY(status);
    }
    return BT_OK;
}

static void check_plan(bt_plan *plan, const char *where) {
    double *seconds = calloc((size_t)plan->instruction_count, sizeof *seconds);
    BT_ASSERT(seconds);
    bt_status status = clear_inputs(plan);
    noted.notes = 0;
    int64_t before = bt_cuda_launch_count;
    if (status == BT_OK) status = bt_plan_run_timed(plan, seconds);
    if (status != BT_OK) fault(where);
    for (int i = 0; status == BT_OK && i < plan->instruction_count; i++) {
        compare(where, i, plan->instruction[i].source->op, plan->instruction[i].args, noted.count[i] - before);
        before = noted.count[i];
    }
    free(seconds);
}

static void check_programs(bt_device *device) {
    bt_backend watched = BT_TESTED_BACKEND;
    watched.synchronize = note;
    device->backend = &watched;
    for (int i = 0; i < scene_count; i++) {
        for (int dtype = BT_F32; dtype <= BT_BF16; dtype++) {
            scene_run run;
            scene_declare(&run, &scenes[i], (bt_dtype)dtype, false);
            noted.notes = 0;
            if (scene_start(&run, device) != BT_OK) fault(scenes[i].name);
            for (int k = 0; run.session.device && k < BT_PROGRAM_COUNT; k++) {
                char where[200];
                snprintf(where, sizeof where, "%s, %s, program %d", scenes[i].name, bt_dtype_name((bt_dtype)dtype), k);
                if (run.session.plan[k]) check_plan(run.session.plan[k], where);
            }
            scene_close(&run);
        }
    }
    device->backend = &BT_TESTED_BACKEND;
}

int main(void) {
    bt_device *device;
    bt_status status = BT_TESTED_BACKEND.open(&(bt_device_options){.threads = 0}, &device);
    if (status != BT_OK) {
        printf("%s: backend %s: %s\n", status == BT_ERR_UNSUPPORTED ? "SKIPPED" : "FAILED", BT_TESTED_BACKEND.name,
               bt_error_message());
        return status == BT_ERR_UNSUPPORTED ? 77 : 1;
    }
    check_rows(device);
    check_programs(device);
    BT_TESTED_BACKEND.close(device);
    printf("launches on %s: %d instructions agree, %d do not\n", BT_TESTED_BACKEND.name, passed, failed);
    return failed != 0 || passed == 0;
}
