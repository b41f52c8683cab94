/* A plan made visible. */
#include "program/inspect.h"

#include "program/plan.h"

static const char *const phases[] = {"forward", "backward", "update"};

/** Bytes of values that the forward writes and a later phase reads. */
static size_t saved_bytes(const bt_plan *plan) {
    const bt_program *p = plan->program;
    size_t bytes = 0;
    for (int v = 1; v <= p->value_count; v++) {
        const bt_value_info *info = &p->value[v];
        if (info->kind != BT_VALUE_TEMP || info->producer < 0 || p->instruction[info->producer].phase != BT_FORWARD)
            continue;
        bool read_later = false;
        for (int i = 0; i < plan->instruction_count && !read_later; i++) {
            const bt_instruction *in = plan->instruction[i].source;
            if (in->phase == BT_FORWARD) continue;
            for (int k = 0; k < bt_op_info_of(in->op)->operands; k++)
                read_later = read_later || (in->operand[k] && bt_owner(p, in->operand[k]) == v);
        }
        if (read_later)
            bytes += bt_row_bytes(info->dtype, bt_shape_cols(info->shape)) * (size_t)bt_shape_rows(info->shape);
    }
    return bytes;
}

bt_plan_summary bt_plan_summarize(const bt_plan *plan) {
    bt_plan_summary s = {.instructions = plan->instruction_count,
                         .block_bytes = plan->block_bytes,
                         .lower_bound_bytes = plan->lower_bound_bytes,
                         .saved_bytes = saved_bytes(plan)};
    for (int i = 0; i < plan->instruction_count; i++) {
        bt_op op = plan->instruction[i].source->op;
        s.flops += bt_cost_flops(op, plan->instruction[i].args);
        s.bytes += bt_cost_bytes(op, plan->instruction[i].args);
        s.cuda_launches += bt_cost_launches(op, plan->instruction[i].args);
    }
    return s;
}

bool bt_plan_instruction(const bt_plan *plan, int index, bt_instruction_cost *out) {
    if (index < 0 || index >= plan->instruction_count) return false;
    const bt_planned *planned = &plan->instruction[index];
    bt_op op = planned->source->op;
    *out = (bt_instruction_cost){.op = bt_op_info_of(op)->name,
                                 .flops = bt_cost_flops(op, planned->args),
                                 .bytes = bt_cost_bytes(op, planned->args)};
    out->products = bt_cost_products(op, planned->args, out->product);
    return true;
}

static const char *value_name(const bt_plan *plan, bt_value v, char *text, size_t bytes) {
    const bt_program *p = plan->program;
    const bt_value_info *info = bt_info(p, bt_owner(p, v));
    if (info->kind == BT_VALUE_INPUT) return info->name;
    if (info->kind == BT_VALUE_TEMP) {
        snprintf(text, bytes, "%%%d", (int)bt_owner(p, v));
        return text;
    }
    if (info->ref.slot > BT_STORE_GRADIENT) return "store";
    snprintf(text, bytes, "%s%s", info->ref.slot == BT_STORE_GRADIENT ? "d " : "",
             bt_params_spec(p->store, info->ref.param)->name);
    return text;
}

static void write_operand(const bt_plan *plan, bt_json_writer *w, const bt_operand_info *info, bt_value v) {
    char text[160];
    const bt_value_info *value = bt_info(plan->program, v);
    bt_json_begin_object(w);
    bt_json_member_string(w, "operand", info->name);
    bt_json_member_string(w, "value", value_name(plan, v, text, sizeof text));
    bt_json_member_bool(w, "written", bt_role_writes(info->role) || bt_role_state(info->role));
    bt_json_member_string(w, "dtype", bt_dtype_name(value->dtype));
    bt_json_key(w, "shape");
    bt_json_begin_array(w);
    for (int i = 0; i < value->shape.rank; i++) bt_json_put_integer(w, value->shape.dim[i]);
    bt_json_end(w);
    int storage = plan->storage_of[bt_owner(plan->program, v)];
    if (storage >= 0) bt_json_member_integer(w, "storage", storage);
    bt_json_end(w);
}

static void write_instruction(const bt_plan *plan, bt_json_writer *w, int i) {
    const bt_planned *planned = &plan->instruction[i];
    const bt_instruction *in = planned->source;
    const bt_op_info *info = bt_op_info_of(in->op);
    bt_json_begin_object(w);
    bt_json_member_integer(w, "index", i);
    bt_json_member_string(w, "op", info->name);
    bt_json_member_string(w, "phase", phases[in->phase]);
    bt_json_member_integer(w, "segment", in->segment);
    bt_json_member_number(w, "flops", bt_cost_flops(in->op, planned->args));
    bt_json_member_number(w, "bytes", bt_cost_bytes(in->op, planned->args));
    bt_json_member_integer(w, "cuda_launches", bt_cost_launches(in->op, planned->args));
    if (planned->scratch >= 0) bt_json_member_integer(w, "scratch_storage", planned->scratch);
    bt_json_key(w, "operands");
    bt_json_begin_array(w);
    for (int k = 0; k < info->operands; k++)
        if (in->operand[k]) write_operand(plan, w, &info->operand[k], in->operand[k]);
    bt_json_end(w);
    bt_json_end(w);
}

void bt_plan_write_json(const bt_plan *plan, bt_json_writer *w) {
    bt_plan_summary s = bt_plan_summarize(plan);
    bt_json_begin_object(w);
    bt_json_key(w, "summary");
    bt_json_begin_object(w);
    bt_json_member_integer(w, "instructions", s.instructions);
    bt_json_member_number(w, "flops", s.flops);
    bt_json_member_number(w, "bytes", s.bytes);
    bt_json_member_integer(w, "block_bytes", (int64_t)s.block_bytes);
    bt_json_member_integer(w, "lower_bound_bytes", (int64_t)s.lower_bound_bytes);
    bt_json_member_integer(w, "saved_bytes", (int64_t)s.saved_bytes);
    bt_json_member_integer(w, "cuda_launches", s.cuda_launches);
    bt_json_member_bool(w, "with_scratch", plan->device != NULL);
    bt_json_end(w);
    bt_json_key(w, "instructions");
    bt_json_begin_array(w);
    for (int i = 0; i < plan->instruction_count; i++) write_instruction(plan, w, i);
    bt_json_end(w);
    bt_json_key(w, "storages");
    bt_json_begin_array(w);
    for (int i = 0; i < plan->storage_count; i++) {
        const bt_storage *m = &plan->storage[i];
        bt_json_begin_object(w);
        bt_json_member_integer(w, "bytes", (int64_t)m->bytes);
        bt_json_member_integer(w, "offset", (int64_t)m->offset);
        bt_json_member_integer(w, "begin", m->begin);
        bt_json_member_integer(w, "end", m->end);
        bt_json_end(w);
    }
    bt_json_end(w);
    bt_json_end(w);
}

void bt_plan_write_text(const bt_plan *plan, bt_text *out) {
    const bt_program *p = plan->program;
    bt_plan_summary s = bt_plan_summarize(plan);
    bt_text_append(out, "%5s %-9s %-18s %10s %10s %4s  %s\n", "#", "phase", "operation", "MFLOP", "MB", "cuda",
                   "outputs");
    for (int i = 0; i < plan->instruction_count; i++) {
        const bt_planned *planned = &plan->instruction[i];
        const bt_instruction *in = planned->source;
        const bt_op_info *info = bt_op_info_of(in->op);
        bt_text_append(out, "%5d %-9s %-18s %10.1f %10.2f %4d ", i, phases[in->phase], info->name,
                       bt_cost_flops(in->op, planned->args) / 1e6, bt_cost_bytes(in->op, planned->args) / 1e6,
                       bt_cost_launches(in->op, planned->args));
        for (int k = 0; k < info->operands; k++) {
            if (!in->operand[k] || !(bt_role_writes(info->operand[k].role) || bt_role_state(info->operand[k].role)))
                continue;
            char name[160], shape[64];
            int storage = plan->storage_of[bt_owner(p, in->operand[k])];
            bt_text_append(out, " %s %s", value_name(plan, in->operand[k], name, sizeof name),
                           bt_shape_text(bt_info(p, in->operand[k])->shape, shape, sizeof shape));
            if (storage >= 0) bt_text_append(out, "@%zu", plan->storage[storage].offset);
        }
        bt_text_append(out, "\n");
    }
    bt_text_append(out,
                   "\n%d instructions, %.3f GFLOP in products, %.1f MB read and written, %d launches on CUDA\n"
                   "block %.2f MB%s; liveness bound %.2f MB (ratio %.3f); kept for the backward %.2f MB\n",
                   s.instructions, s.flops / 1e9, s.bytes / 1e6, s.cuda_launches, (double)s.block_bytes / 1e6,
                   plan->device ? "" : " without scratch", (double)s.lower_bound_bytes / 1e6,
                   s.lower_bound_bytes ? (double)s.block_bytes / (double)s.lower_bound_bytes : 1.0,
                   (double)s.saved_bytes / 1e6);
}
