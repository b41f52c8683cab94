/* The update as instructions: clipping norm, AdamW, refresh of the compute copies, moving averages, clearing of
 * gradients. */
#include "program/program.h"

void bt_zero_gradients(bt_program *p, bt_params *store) {
    if (!bt_recording(p)) return;
    p->store = store;
    BT_EMIT(p, zero, .x = bt_store_value(p, (bt_store_ref){.slot = BT_STORE_ALL_GRADIENTS}));
}

void bt_zero_gradient_rows(bt_program *p, bt_params *store, int index, int64_t first, int64_t count) {
    if (!bt_recording(p)) return;
    p->store = store;
    if (!bt_params_spec(store, index)->trainable) {
        bt_program_fail(p, BT_ERR_SHAPE, "\"%s\" is not trained: it has no gradient to clear",
                        bt_params_spec(store, index)->name);
        return;
    }
    bt_store_ref rows = {.slot = BT_STORE_GRADIENT, .param = index, .first = first, .count = count};
    bt_value x = bt_store_value(p, rows);
    if (bt_recording(p)) BT_EMIT(p, zero, .x = x);
}

void bt_adamw_update(bt_program *p, bt_params *store, uint32_t groups, const bt_adamw_options *options) {
    if (!bt_recording(p)) return;
    if (p->store && p->store != store) {
        bt_program_fail(p, BT_ERR_SHAPE, "a program reads one parameter store, this one was given two");
        return;
    }
    p->store = store;
    p->phase = BT_UPDATE;
    bt_value sum = 0;
    if (options->max_norm > 0) {
        sum =
            (bt_sum_squares)(p, bt_store_value(p, (bt_store_ref){.slot = BT_STORE_GROUP_GRADIENTS, .groups = groups}));
        bt_output(p, "gradient_squares", sum);
    }
    bt_value param = bt_store_value(p, (bt_store_ref){.slot = BT_STORE_ALL_MASTERS});
    bt_value grad = bt_store_value(p, (bt_store_ref){.slot = BT_STORE_ALL_GRADIENTS});
    bt_value m = bt_store_value(p, (bt_store_ref){.slot = BT_STORE_ALL_M}),
             v = bt_store_value(p, (bt_store_ref){.slot = BT_STORE_ALL_V});
    bt_value segments = bt_store_value(p, (bt_store_ref){.slot = BT_STORE_SEGMENTS, .groups = groups});
    if (!bt_recording(p)) return;
    bt_adamw_args *args =
        BT_EMIT(p, adamw, .param = param, .grad = grad, .m = m, .v = v, .segments = segments, .sum = sum);
    args->beta1 = options->beta1;
    args->beta2 = options->beta2;
    args->eps = options->eps;
    args->max_norm = options->max_norm;
    if (bt_store_compute(store) != BT_F32)
        BT_EMIT(p, cast_store, .x = param, .y = bt_store_value(p, (bt_store_ref){.slot = BT_STORE_ALL_COPIES}));
}

/** One instruction for all trainable parameters, one for each buffer: running statistics belong to the weights they
 * were taken with. */
void bt_ema_update(bt_program *p, bt_params *store) {
    if (!bt_recording(p)) return;
    if (!bt_params_has_average(store)) {
        bt_program_fail(p, BT_ERR_SHAPE, "the store keeps no averages (bt_params_keep_average)");
        return;
    }
    p->store = store;
    p->phase = BT_UPDATE;
    bt_value param = bt_store_value(p, (bt_store_ref){.slot = BT_STORE_ALL_MASTERS});
    BT_EMIT(p, ema, .average = bt_store_value(p, (bt_store_ref){.slot = BT_STORE_ALL_AVERAGES}), .param = param);
    for (int i = 0; i < bt_params_count(store) && bt_recording(p); i++) {
        if (bt_params_spec(store, i)->kind != BT_PARAM_BUFFER) continue;
        bt_value average = bt_store_value(p, (bt_store_ref){.slot = BT_STORE_AVERAGE, .param = i});
        BT_EMIT(p, ema, .average = average,
                .param = bt_store_value(p, (bt_store_ref){.slot = BT_STORE_VALUE, .param = i}));
    }
}
