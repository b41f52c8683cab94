/* AdamW (arXiv 1711.05101) over flat f32 vectors, in PyTorch's order of operations. For each element of a segment:
 *   p (1 - lr decay),   m += (g - m)(1 - beta1),   v = v beta2 + (1 - beta2) g^2,
 *   p -= step_size m / (sqrt(v) / bias2_sqrt + eps)
 * Its scalars are Python's doubles, rounded once each where they meet a tensor; so are these.
 * with lr, step_size, bias2_sqrt of the segment's group in the step block. Clipping scales g by min(1, max_norm / (norm
 * + 1e-6)); a norm that is not a number passes on, so that the fault is seen. */
#include "cpu/rows.h"

#include <math.h>

typedef struct context {
    const bt_adamw_args *args;
    const bt_step *step;
    float grad_scale;
} context;

static bt_status prepare(bt_device *device, const bt_adamw_args *a, bt_prepared *out) {
    (void)device, (void)out;
    BT_TRY(BT_CHECK_OPERANDS("adamw", {"param", &a->param, BT_ALLOW_F32}, {"grad", &a->grad, BT_ALLOW_F32},
                             {"m", &a->m, BT_ALLOW_F32}, {"v", &a->v, BT_ALLOW_F32},
                             {"segments", &a->segments, BT_ALLOW_U8}, {"sum", &a->sum, BT_ALLOW_F32 | BT_ALLOW_NONE}));
    BT_ASSERT(bt_shape_count(a->segments.shape) % (int64_t)sizeof(bt_adamw_segment) == 0);
    return BT_OK;
}

static bt_adamw_rates rates_of(const context *c, const bt_adamw_segment *segment) {
    const bt_adamw_args *a = c->args;
    const bt_step *step = c->step;
    BT_ASSERT(segment->group >= 0 && segment->group < BT_GROUPS);
    return (bt_adamw_rates){.grad_scale = c->grad_scale,
                            .decay_factor = (float)(1.0 - (double)step->lr[segment->group] * (double)segment->decay),
                            .one_less_beta1 = (float)(1.0 - a->beta1),
                            .beta2 = (float)a->beta2,
                            .one_less_beta2 = (float)(1.0 - a->beta2),
                            .eps = (float)a->eps,
                            .step_size = step->step_size[segment->group],
                            .bias2_sqrt = step->bias2_sqrt[segment->group]};
}

static void update_elements(const void *shared, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)unused;
    const context *c = shared;
    const bt_adamw_args *a = c->args;
    const bt_adamw_segment *segments = a->segments.data;
    int64_t count = bt_shape_count(a->segments.shape) / (int64_t)sizeof *segments;
    for (int64_t i = 0; i < count; i++) {
        int64_t first = segments[i].begin > begin ? segments[i].begin : begin;
        int64_t last = segments[i].end < end ? segments[i].end : end;
        if (first >= last) continue;
        bt_adamw_rates rates = rates_of(c, &segments[i]);
        v->adamw((float *)a->param.data + first, (const float *)a->grad.data + first, (float *)a->m.data + first,
                 (float *)a->v.data + first, &rates, last - first);
    }
}

static bt_status run(bt_device *device, const bt_adamw_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared, (void)scratch;
    context c = {.args = a, .step = device->step, .grad_scale = 1.0f};
    if (bt_present(&a->sum) && a->max_norm > 0) {
        float norm = sqrtf(*(const float *)a->sum.data), scale = a->max_norm / (norm + 1e-6f);
        c.grad_scale = scale > 1.0f ? 1.0f : scale;
    }
    int64_t count = bt_shape_count(a->param.shape);
    bt_over_rows(device, count, count, update_elements, &c, 0, NULL);
    return BT_OK;
}

const bt_adamw_kernel bt_cpu_adamw = {prepare, run};
