/* A program that runs a single time: one plan, one block, and nothing of them left. */
#include "program/plan.h"

static bt_status run(bt_plan *plan, bt_device *device, void **block, const bt_plan_input *inputs,
                     const bt_plan_output *outputs) {
    BT_TRY(device->backend->alloc(device, bt_plan_bytes(plan), block));
    BT_TRY(bt_plan_bind(plan, *block));
    for (const bt_plan_input *in = inputs; in->name; in++) BT_TRY(bt_plan_set(plan, in->name, in->host, in->bytes));
    BT_TRY(bt_plan_run(plan));
    for (const bt_plan_output *out = outputs; out->name; out++)
        BT_TRY(bt_plan_get(plan, out->name, out->host, out->bytes));
    return BT_OK;
}

bt_status bt_program_run_once(const bt_program *p, bt_device *device, const bt_plan_input *inputs,
                              const bt_plan_output *outputs) {
    bt_plan *plan;
    void *block = NULL;
    BT_TRY(bt_plan_new(p, device, &plan));
    bt_status status = run(plan, device, &block, inputs, outputs);
    bt_plan_free(plan);
    if (block) device->backend->free(device, block);
    return status;
}
