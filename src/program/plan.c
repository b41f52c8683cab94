/* Planning and running: kernels are prepared, operands get their addresses once, a run is a loop. */
#include "program/plan.h"

#include "base/thread.h"
#include "program/inspect.h"

#include <stdlib.h>
#include <string.h>

/* ---- operands ---- */

/** The tensor of a value; memory of the block is NULL while the plan is not bound. */
static bt_status operand_tensor(const bt_plan *plan, bt_value v, bt_tensor *out) {
    const bt_program *p = plan->program;
    memset(out, 0, sizeof *out);
    if (!v) return BT_OK;
    bt_value owner = bt_owner(p, v);
    const bt_value_info *info = bt_info(p, owner);
    if (info->kind == BT_VALUE_STORE) {
        BT_TRY(bt_store_tensor(p->store, info->ref, out));
        if (owner != v) {
            bt_tensor view = bt_tensor_of(out->data, out->dtype, bt_info(p, v)->shape);
            view.flags = out->flags;
            *out = view;
        }
        return BT_OK;
    }
    int storage = plan->storage_of[owner];
    BT_ASSERT(storage >= 0);
    *out = bt_tensor_of(plan->block ? plan->block + plan->storage[storage].offset : NULL, info->dtype,
                        bt_info(p, v)->shape);
    return BT_OK;
}

static bt_status bind_operands(bt_plan *plan, bt_planned *planned) {
    const bt_op_info *info = bt_op_info_of(planned->source->op);
    bt_tensor *operand = planned->args; /* the argument struct begins with its operands */
    for (int k = 0; k < info->operands; k++) BT_TRY(operand_tensor(plan, planned->source->operand[k], &operand[k]));
    return BT_OK;
}

/* ---- kernels ---- */

static bt_status missing(const bt_device *device, const char *op) {
    return bt_error(BT_ERR_UNSUPPORTED, "backend %s has no %s", device->backend->name, op);
}

static bt_status prepare(bt_device *device, bt_planned *planned) {
    const bt_kernels *kernels = device->backend->kernels;
    switch (planned->source->op) {
#define BT_OP(family, name, operands, attributes, aliases, effect)                                                     \
    case BT_OP_##name:                                                                                                 \
        if (!kernels->name) return missing(device, #name);                                                             \
        return kernels->name->prepare ? kernels->name->prepare(device, planned->args, &planned->prepared) : BT_OK;
#include "tensor/ops.def"
#undef BT_OP
    case BT_OP_COUNT:
        break;
    }
    bt_panic(__FILE__, __LINE__, "no operation %d", (int)planned->source->op);
}

static bt_status run(bt_device *device, const bt_planned *planned, void *scratch) {
    const bt_kernels *kernels = device->backend->kernels;
    switch (planned->source->op) {
#define BT_OP(family, name, operands, attributes, aliases, effect)                                                     \
    case BT_OP_##name:                                                                                                 \
        return kernels->name->run(device, planned->args, &planned->prepared, scratch);
#include "tensor/ops.def"
#undef BT_OP
    case BT_OP_COUNT:
        break;
    }
    bt_panic(__FILE__, __LINE__, "no operation %d", (int)planned->source->op);
}

static bt_status prepare_all(bt_plan *plan) {
    for (int i = 0; i < plan->instruction_count; i++) {
        bt_planned *planned = &plan->instruction[i];
        const bt_op_info *info = bt_op_info_of(planned->source->op);
        planned->args = malloc(info->args_bytes);
        if (!planned->args) return bt_error(BT_ERR_MEMORY, "out of memory for a plan");
        memcpy(planned->args, planned->source->args, info->args_bytes);
        BT_TRY(bind_operands(plan, planned));
        if (!plan->device) continue;
        bt_status status = prepare(plan->device, planned);
        if (status != BT_OK) return bt_error_prefix(status, "instruction %d", i);
        if (!planned->prepared.scratch_bytes) continue;
        planned->scratch = plan->storage_count;
        size_t bytes = (planned->prepared.scratch_bytes + BT_BLOCK_ALIGN - 1) / BT_BLOCK_ALIGN * BT_BLOCK_ALIGN;
        plan->storage[plan->storage_count++] = (bt_storage){.bytes = bytes, .begin = i, .end = i};
    }
    return BT_OK;
}

static void collect_names(bt_plan *plan) {
    const bt_program *p = plan->program;
    plan->named = calloc((size_t)p->value_count + (size_t)p->output_count + 1, sizeof *plan->named);
    BT_ASSERT(plan->named);
    for (int v = 1; v <= p->value_count; v++)
        if (p->value[v].kind == BT_VALUE_INPUT)
            plan->named[plan->named_count++] = (bt_named_value){.name = p->value[v].name, .value = v, .is_input = true};
    for (int i = 0; i < p->output_count; i++)
        plan->named[plan->named_count++] = (bt_named_value){.name = p->output[i].name, .value = p->output[i].value};
}

static bt_status make_plan(const bt_program *p, bt_device *device, const bt_backend *backend, bt_plan **out) {
    BT_TRY(bt_program_check(p));
    if (p->store && device && bt_store_device(p->store) != device)
        return bt_error(BT_ERR_SHAPE, "the program's parameters are not on the device that it is planned for");
    bt_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return bt_error(BT_ERR_MEMORY, "out of memory for a plan");
    plan->program = p;
    plan->device = device;
    plan->backend = backend;
    bt_plan_keep_live(plan);
    bt_plan_fuse(plan);
    bt_plan_lifetimes(plan);
    collect_names(plan);
    bt_status status = prepare_all(plan);
    if (status != BT_OK) {
        bt_plan_free(plan);
        return status;
    }
    bt_plan_place(plan);
    bt_plan_replay_reset(plan);
    *out = plan;
    return BT_OK;
}

bt_status bt_plan_new(const bt_program *p, bt_device *device, bt_plan **out) {
    return make_plan(p, device, device ? device->backend : NULL, out);
}

bt_status bt_plan_look(const bt_program *p, const bt_backend *backend, bt_plan **out) {
    return make_plan(p, NULL, backend, out);
}

void bt_plan_free(bt_plan *plan) {
    if (!plan) return;
    bt_plan_replay_free(plan);
    for (int i = 0; i < plan->instruction_count; i++) {
        bt_planned *planned = &plan->instruction[i];
        if (planned->prepared.release) planned->prepared.release(planned->prepared.state);
        free(planned->args);
    }
    for (int i = 0; i < plan->fused_count; i++) free(plan->fused[i].args);
    free(plan->fused);
    free(plan->instruction);
    free(plan->storage_of);
    free(plan->storage);
    free(plan->named);
    free(plan);
}

size_t bt_plan_bytes(const bt_plan *plan) {
    return plan->block_bytes;
}

bt_status bt_plan_bind(bt_plan *plan, void *block) {
    BT_ASSERT(plan->device && (block || !plan->block_bytes));
    plan->block = block;
    bt_plan_replay_reset(plan);
    for (int i = 0; i < plan->instruction_count; i++) BT_TRY(bind_operands(plan, &plan->instruction[i]));
    return BT_OK;
}

/* ---- inputs, run, outputs ---- */

static bt_named_value *find_named(const bt_plan *plan, const char *name, bool is_input) {
    for (int i = 0; i < plan->named_count; i++)
        if (plan->named[i].is_input == is_input && strcmp(plan->named[i].name, name) == 0) return &plan->named[i];
    return NULL;
}

static bt_status named_tensor(const bt_plan *plan, const char *name, bool is_input, size_t bytes,
                              bt_named_value **named, bt_tensor *out) {
    const char *what = is_input ? "input" : "output";
    BT_ASSERT(plan->block || !plan->block_bytes);
    *named = find_named(plan, name, is_input);
    if (!*named) return bt_error(BT_ERR_SHAPE, "the program has no %s \"%s\"", what, name);
    BT_TRY(operand_tensor(plan, (*named)->value, out));
    if (bytes != bt_tensor_bytes(out))
        return bt_error(BT_ERR_SHAPE, "%s \"%s\" has %zu bytes, %zu were given", what, name, bt_tensor_bytes(out),
                        bytes);
    return BT_OK;
}

bt_status bt_plan_set(bt_plan *plan, const char *input, const void *host, size_t bytes) {
    bt_named_value *named;
    bt_tensor t;
    BT_TRY(named_tensor(plan, input, true, bytes, &named, &t));
    BT_TRY(plan->device->backend->upload(plan->device, t.data, host, bytes));
    named->is_set = true;
    return BT_OK;
}

/** Checks that the inputs are fresh; afterwards they are used up. */
static bt_status take_inputs(bt_plan *plan) {
    BT_ASSERT(plan->device && (plan->block || !plan->block_bytes));
    for (int i = 0; i < plan->named_count; i++) {
        if (plan->named[i].is_input && !plan->named[i].is_set)
            return bt_error(BT_ERR_SHAPE, "input \"%s\" was not set since the last run", plan->named[i].name);
        plan->named[i].is_set = false;
    }
    return BT_OK;
}

static bt_status run_one(bt_plan *plan, int i) {
    const bt_planned *planned = &plan->instruction[i];
    void *scratch = planned->scratch < 0 ? NULL : plan->block + plan->storage[planned->scratch].offset;
    bt_status status = run(plan->device, planned, scratch);
    if (status != BT_OK)
        return bt_error_prefix(status, "instruction %d (%s)", i, bt_op_info_of(planned->source->op)->name);
    return BT_OK;
}

bt_status bt_plan_run_plain(bt_plan *plan) {
    for (int i = 0; i < plan->instruction_count; i++) BT_TRY(run_one(plan, i));
    return BT_OK;
}

bt_status bt_plan_run(bt_plan *plan) {
    BT_TRY(take_inputs(plan));
    return bt_plan_replay_run(plan);
}

bt_status bt_plan_run_timed(bt_plan *plan, double *seconds) {
    BT_TRY(take_inputs(plan));
    for (int i = 0; i < plan->instruction_count; i++) {
        double start = bt_clock_seconds();
        BT_TRY(run_one(plan, i));
        BT_TRY(plan->device->backend->synchronize(plan->device));
        seconds[i] = bt_clock_seconds() - start;
    }
    return BT_OK;
}

bt_status bt_plan_get(bt_plan *plan, const char *output, void *host, size_t bytes) {
    bt_named_value *named;
    bt_tensor t;
    BT_TRY(named_tensor(plan, output, false, bytes, &named, &t));
    BT_TRY(plan->device->backend->download(plan->device, host, t.data, bytes));
    bt_step step;
    BT_TRY(plan->device->backend->download(plan->device, &step, plan->device->step, sizeof step));
    if (!step.fault) return BT_OK;
    const char *op = bt_op_info_of((bt_op)(step.fault - 1))->name;
    if (step.fault - 1 == BT_OP_coding_rate)
        return bt_error(BT_ERR_NUMERIC, "%s: the matrix is not positive definite at pivot %d (non-finite logits?)", op,
                        step.fault_index);
    if (step.fault - 1 == BT_OP_make_views)
        return bt_error(BT_ERR_SHAPE,
                        "%s: the record of view %d is out of range (its picture is not within pixels, its crop not "
                        "within the picture, or a step of colour is unknown)",
                        op, step.fault_index);
    return bt_error(BT_ERR_NUMERIC, "%s: label out of range in row %d", op, step.fault_index);
}

bool bt_plan_find(const bt_plan *plan, const char *name, bt_dtype *dtype, bt_shape *shape) {
    for (int i = 0; i < plan->named_count; i++) {
        if (strcmp(plan->named[i].name, name) != 0) continue;
        const bt_value_info *v = bt_info(plan->program, plan->named[i].value);
        *dtype = v->dtype;
        *shape = v->shape;
        return true;
    }
    return false;
}
