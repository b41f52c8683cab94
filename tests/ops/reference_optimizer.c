/* float64 references of sum_squares, adamw and ema. */
#include "ops_test.h"
#include "references.h"

#include <math.h>
#include <string.h>

void reference_sum_squares(ref_sum_squares *a) {
    a->sum.v[0] = ref_dot(a->x.v, a->x.v, ref_count(&a->x));
}

/* Segments over the vector with holes before, between and behind, each with its own group and decay. With a tiny
 * max_norm the gradients are tiny too, so that the 1e-6 beside their norm counts. */
void derive_adamw(void *ref) {
    ref_adamw *a = ref;
    int64_t count = a->param.cols, segments = a->segments.cols / (int64_t)sizeof(bt_adamw_segment);
    for (int64_t i = 0; i < count; i++) a->v.v[i] = fabs(a->v.v[i]);
    for (int64_t i = 0; i < count && a->attr->max_norm > 0 && a->attr->max_norm < 1e-3f; i++) {
        a->grad.v[i] = copysign(1e-7, a->grad.v[i]);
        a->m.v[i] = copysign(1e-7, a->m.v[i]);
        a->v.v[i] = 1e-14;
    }
    if (a->sum.v) a->sum.v[0] = ref_dot(a->grad.v, a->grad.v, count);
    for (int64_t s = 0; s < segments; s++) {
        bt_adamw_segment segment = {.begin = count * s / segments,
                                    .end = count * (s + 1) / segments,
                                    .group = (int32_t)(s % BT_GROUPS),
                                    .decay = s % 2 ? 0.1f : 0};
        if (segments > 1) segment.begin += s == 1 ? 0 : 1; /* segment 1 begins where segment 0 ends */
        if (s == segments - 1 && segments > 1) segment.end -= 1;
        unsigned char bytes[sizeof segment];
        memcpy(bytes, &segment, sizeof segment);
        for (size_t k = 0; k < sizeof segment; k++) a->segments.v[(size_t)s * sizeof segment + k] = bytes[k];
    }
}

/* torch.optim.AdamW, single tensor: decay, moments, then the step with the bias corrections of the step block. */
void reference_adamw(ref_adamw *a) {
    const bt_adamw_args *t = a->attr;
    int64_t segments = a->segments.cols / (int64_t)sizeof(bt_adamw_segment);
    double clip = a->sum.v && t->max_norm > 0 ? fmin(1, (double)t->max_norm / (sqrt(a->sum.v[0]) + 1e-6)) : 1;
    for (int64_t s = 0; s < segments; s++) {
        unsigned char bytes[sizeof(bt_adamw_segment)];
        bt_adamw_segment segment;
        for (size_t k = 0; k < sizeof bytes; k++) bytes[k] = (unsigned char)a->segments.v[(size_t)s * sizeof bytes + k];
        memcpy(&segment, bytes, sizeof segment);
        for (int64_t i = segment.begin; i < segment.end; i++) {
            double g = a->grad.v[i] * clip, b1 = t->beta1, b2 = t->beta2;
            a->param.v[i] *= 1 - (double)a->step->lr[segment.group] * (double)segment.decay;
            a->m.v[i] = b1 * a->m.v[i] + (1 - b1) * g;
            a->v.v[i] = b2 * a->v.v[i] + (1 - b2) * g * g;
            double denominator = sqrt(a->v.v[i]) / (double)a->step->bias2_sqrt[segment.group] + t->eps;
            a->param.v[i] -= (double)a->step->step_size[segment.group] * a->m.v[i] / denominator;
        }
    }
}

void reference_ema(ref_ema *a) {
    double decay = 1 - (double)a->step->average_weight;
    for (int64_t i = 0; i < ref_count(&a->average); i++)
        a->average.v[i] = decay * a->average.v[i] + (1 - decay) * a->param.v[i];
}
