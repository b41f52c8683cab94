/* Runs as one launch: the launches of a run are recorded into a graph of the device and issued from then on as a whole.
 *
 * The first run is issued kernel by kernel, for libraries and modules load code at first use, which a recording
 * forbids. Whatever refuses to be recorded (a library that waits inside a call) costs speed and nothing else: the plan
 * keeps the reason, and goes on kernel by kernel. Operands have their addresses from bt_plan_bind on, so a graph is
 * good until the next one; what changes from step to step is in the step block, in device memory.
 */
#include "base/log.h"
#include "program/plan.h"

#include <stdlib.h>
#include <string.h>

static const bt_graph_methods *methods_of(const bt_plan *plan) {
    return plan->device ? plan->device->backend->graphs : NULL;
}

static void drop_graph(bt_plan *plan) {
    if (plan->replay.graph) methods_of(plan)->free(plan->device, plan->replay.graph);
    plan->replay.graph = NULL;
}

void bt_plan_replay_free(bt_plan *plan) {
    drop_graph(plan);
    free(plan->replay.refusal);
    plan->replay = (bt_replay){.state = BT_REPLAY_NEVER};
}

void bt_plan_replay_reset(bt_plan *plan) {
    bt_plan_replay_free(plan);
    if (methods_of(plan)) plan->replay.state = BT_REPLAY_FIRST;
}

void bt_plan_set_replay(bt_plan *plan, bool on) {
    on ? bt_plan_replay_reset(plan) : bt_plan_replay_free(plan);
}

const char *bt_plan_replay_refusal(const bt_plan *plan) {
    return plan->replay.refusal;
}

static bt_status record(bt_plan *plan) {
    const bt_graph_methods *methods = methods_of(plan);
    BT_TRY(methods->begin(plan->device));
    bt_status status = bt_plan_run_plain(plan);
    if (status == BT_OK) return methods->end(plan->device, &plan->replay.graph);
    char *message = strdup(bt_error_message()); /* ending the recording has an error of its own */
    BT_ASSERT(message);
    (void)!methods->end(plan->device, &plan->replay.graph);
    drop_graph(plan);
    status = bt_error(status, "%s", message);
    free(message);
    return status;
}

/** Keeps the reason, and says it once it is clear that it is one of the recording: the same goes well without. */
static bt_status run_refused(bt_plan *plan) {
    plan->replay.refusal = strdup(bt_error_message());
    BT_ASSERT(plan->replay.refusal);
    plan->replay.state = BT_REPLAY_NEVER;
    BT_TRY(bt_plan_run_plain(plan));
    bt_log_warn("runs are issued kernel by kernel, which is slower where kernels are short: %s", plan->replay.refusal);
    return BT_OK;
}

bt_status bt_plan_replay_run(bt_plan *plan) {
    bt_replay *replay = &plan->replay;
    if (replay->state == BT_REPLAY_RECORD) {
        if (record(plan) != BT_OK) return run_refused(plan);
        replay->state = BT_REPLAY_LAUNCH;
    }
    if (replay->state == BT_REPLAY_LAUNCH) return methods_of(plan)->launch(plan->device, replay->graph);
    BT_TRY(bt_plan_run_plain(plan));
    if (replay->state == BT_REPLAY_FIRST) replay->state = BT_REPLAY_RECORD;
    return BT_OK;
}
