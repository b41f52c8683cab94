/* float64 references of attention and rope, forward and backward. */
#include "ops_test.h"
#include "references.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where query, key and value of one token live: fused (N,T,3C), or q (N,Q,C) beside (N,T,2C). */
typedef struct layout {
    int64_t samples, queries, tokens, width, heads, head;
    int64_t q_stride, kv_stride, k_at, v_at;
} layout;

static layout layout_of(const ref_tensor *qkv, const ref_tensor *q, int heads) {
    bool own = q->v != NULL;
    layout l = {.samples = qkv->shape.dim[0], .tokens = qkv->shape.dim[1], .kv_stride = qkv->cols, .heads = heads};
    l.width = own ? qkv->cols / 2 : qkv->cols / 3;
    l.queries = own ? q->shape.dim[1] : l.tokens;
    l.q_stride = own ? l.width : qkv->cols;
    l.k_at = own ? 0 : l.width;
    l.v_at = l.k_at + l.width;
    l.head = l.width / heads;
    return l;
}

void reference_attention(ref_attention *a) {
    layout l = layout_of(&a->qkv, &a->q, a->attr->heads);
    double *p = ref_new(l.tokens);
    memset(a->o.v, 0, (size_t)ref_count(&a->o) * sizeof(double));
    for (int64_t n = 0; n < l.samples; n++)
        for (int64_t h = 0; h < l.heads; h++)
            for (int64_t i = 0; i < l.queries; i++) {
                const double *q = (a->q.v ? a->q.v : a->qkv.v) + (n * l.queries + i) * l.q_stride + h * l.head;
                const double *kv = a->qkv.v + n * l.tokens * l.kv_stride + h * l.head;
                double largest = -INFINITY, sum = 0;
                for (int64_t j = 0; j < l.tokens; j++) {
                    p[j] = (double)a->attr->scale * ref_dot(q, kv + j * l.kv_stride + l.k_at, l.head);
                    largest = fmax(largest, p[j]);
                }
                for (int64_t j = 0; j < l.tokens; j++) sum += p[j] = exp(p[j] - largest);
                double *o = a->o.v + (n * l.queries + i) * l.width + h * l.head;
                for (int64_t j = 0; j < l.tokens; j++)
                    for (int64_t e = 0; e < l.head; e++) o[e] += p[j] / sum * kv[j * l.kv_stride + l.v_at + e];
                a->lse.v[(n * l.heads + h) * l.queries + i] = largest + log(sum);
            }
    free(p);
}

/* Adds the share of one query: p and ds of each key, then dv, dq, dk. */
static void add_query(const ref_attention_dx *a, const layout *l, int64_t n, int64_t h, int64_t i, double *dq_base) {
    double scale = (double)a->attr->scale;
    int64_t q_at = (n * l->queries + i) * l->q_stride + h * l->head,
            o_at = (n * l->queries + i) * l->width + h * l->head;
    const double *q = (a->q.v ? a->q.v : a->qkv.v) + q_at;
    double *dq = dq_base + q_at, lse = a->lse.v[(n * l->heads + h) * l->queries + i];
    double delta = ref_dot(a->do_.v + o_at, a->o.v + o_at, l->head);
    for (int64_t j = 0; j < l->tokens; j++) {
        int64_t at = (n * l->tokens + j) * l->kv_stride + h * l->head;
        const double *k = a->qkv.v + at + l->k_at, *v = a->qkv.v + at + l->v_at;
        double p = exp(scale * ref_dot(q, k, l->head) - lse);
        double ds = scale * p * (ref_dot(a->do_.v + o_at, v, l->head) - delta);
        for (int64_t e = 0; e < l->head; e++) {
            a->dqkv.v[at + l->v_at + e] += p * a->do_.v[o_at + e];
            a->dqkv.v[at + l->k_at + e] += ds * q[e];
            dq[e] += ds * k[e];
        }
    }
}

void reference_attention_dx(ref_attention_dx *a) {
    layout l = layout_of(&a->qkv, &a->q, a->attr->heads);
    memset(a->dqkv.v, 0, (size_t)ref_count(&a->dqkv) * sizeof(double));
    if (a->dq.v) memset(a->dq.v, 0, (size_t)ref_count(&a->dq) * sizeof(double));
    for (int64_t n = 0; n < l.samples; n++)
        for (int64_t h = 0; h < l.heads; h++)
            for (int64_t i = 0; i < l.queries; i++) add_query(a, &l, n, h, i, a->q.v ? a->dq.v : a->dqkv.v);
}

static ref_attention forward_of(const ref_attention_dx *a, const bt_attention_args *attr) {
    ref_attention f = {.attr = attr, .qkv = a->qkv, .q = a->q, .o = a->o, .lse = a->lse};
    return f;
}

void derive_attention_dx(void *ref) {
    ref_attention_dx *a = ref;
    bt_attention_args attr = {.heads = a->attr->heads, .scale = a->attr->scale};
    ref_attention f = forward_of(a, &attr);
    reference_attention(&f);
}

double primal_attention_dx(void *ref) {
    ref_attention_dx *a = ref;
    bt_attention_args attr = {.heads = a->attr->heads, .scale = a->attr->scale};
    ref_attention f = forward_of(a, &attr);
    f.qkv.v = a->point.dqkv.v;
    if (a->q.v) f.q.v = a->point.dq.v;
    f.o = ref_like(&a->o);
    f.lse = ref_like(&a->lse);
    reference_attention(&f);
    double sum = ref_dot(f.o.v, a->do_.v, ref_count(&a->do_));
    free(f.o.v);
    free(f.lse.v);
    return sum;
}

/* y = x cos + rot(x) sin over whole heads, the angles of a half tiled twice. */
static void turn(const ref_tensor *x, const ref_tensor *table, ref_tensor *y, int heads, int parts, int rotated,
                 int prefix) {
    int64_t tokens = x->shape.dim[1], d = x->cols / parts / heads;
    for (int64_t row = 0; row < x->rows; row++)
        for (int64_t e = 0; e < x->cols; e++) {
            int64_t token = row % tokens, part = e / (heads * d), within = e % d;
            const double *head = x->v + row * x->cols + (e - within), *angle = table->v + (token - prefix) * d;
            double kept = head[within], other = within < d / 2 ? -head[within + d / 2] : head[within - d / 2];
            bool turned = part < rotated && token >= prefix;
            y->v[row * x->cols + e] =
                turned ? kept * angle[within % (d / 2)] + other * angle[d / 2 + within % (d / 2)] : kept;
        }
}

void reference_rope(ref_rope *a) {
    const bt_rope_args *t = a->attr;
    turn(&a->x, &a->table, &a->y, t->heads, t->parts, t->rotated, t->prefix);
}

/* The rotation is linear and orthogonal up to the length of (cos, sin): its transpose turns back. */
void reference_rope_dx(ref_rope_dx *a) {
    const bt_rope_dx_args *t = a->attr;
    ref_tensor back = ref_like(&a->table);
    for (int64_t i = 0; i < ref_count(&back); i++)
        back.v[i] = i % back.cols < back.cols / 2 ? a->table.v[i] : -a->table.v[i];
    turn(&a->dy, &back, &a->dx, t->heads, t->parts, t->rotated, t->prefix);
    free(back.v);
}

double primal_rope_dx(void *ref) {
    ref_rope_dx *a = ref;
    const bt_rope_dx_args *t = a->attr;
    ref_tensor y = ref_like(&a->dy);
    turn(&a->point.dx, &a->table, &y, t->heads, t->parts, t->rotated, t->prefix);
    double sum = ref_dot(y.v, a->dy.v, ref_count(&a->dy));
    free(y.v);
    return sum;
}
