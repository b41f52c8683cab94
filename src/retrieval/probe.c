/* Linear probe; see probe.h. L-BFGS after Nocedal and Wright (Numerical Optimization, algorithms 7.4 and 3.1). The
 * parameter vector is W by rows, then b. Data stay in f32 and are not copied: standardised logits are those of x with
 * folded weights, and the gradient is unfolded. */
#include "retrieval/probe.h"

#include "base/memory.h"
#include "retrieval/lanes.h"
#include "retrieval/linalg.h"

#include <math.h>
#include <string.h>

#define HISTORY 10    /* pairs of steps that approximate the curvature */
#define HALVINGS 40   /* of a step, before the search gives up */
#define BLOCK_ROWS 64 /* rows of x that the classes of a thread share in cache */
#define MAX_CLASSES (1 << 20)

typedef struct problem {
    const bt_items *train;
    const bt_probe_options *options;
    int64_t n, d, classes, labelled, count; /* count: parameters */
    double *mean, *scale;                   /* (d) */
    double *folded;                         /* (classes, d + 1): weights for x, and bias */
    double *residual;                       /* (n, classes): softmax - one-hot; 0 for unlabelled items */
    double *losses;                         /* (n) */
} problem;

/* Vectors of parameters are long: worth a function of their own. */
BT_LANES
static double inner(const double *a, const double *b, int64_t n) {
    return bt_dot(a, b, n);
}

static void fold(const problem *p, const double *w) {
    for (int64_t c = 0; c < p->classes; c++) {
        double *to = p->folded + c * (p->d + 1), bias = w[p->classes * p->d + c];
        for (int64_t j = 0; j < p->d; j++) {
            to[j] = w[c * p->d + j] * p->scale[j];
            bias -= to[j] * p->mean[j];
        }
        to[p->d] = bias;
    }
}

/** Residuals and loss of one item. */
BT_LANES
static void forward(const problem *p, int64_t i) {
    double *r = p->residual + i * p->classes, highest = -INFINITY, sum = 0;
    int32_t label = p->train->labels[i];
    p->losses[i] = 0;
    if (label < 0) {
        memset(r, 0, (size_t)p->classes * sizeof *r);
        return;
    }
    for (int64_t c = 0; c < p->classes; c++) {
        const double *folded = p->folded + c * (p->d + 1);
        r[c] = folded[p->d] + bt_dot_float(folded, p->train->values + i * p->d, p->d);
        highest = fmax(highest, r[c]);
    }
    double own = r[label] - highest;
    for (int64_t c = 0; c < p->classes; c++) sum += r[c] = exp(r[c] - highest);
    for (int64_t c = 0; c < p->classes; c++) r[c] /= sum;
    r[label] -= 1;
    p->losses[i] = log(sum) - own;
}

/** Gradient rows of classes first .. first+count-1, before regularisation. */
BT_LANES
static void backward(const problem *p, int64_t first, int64_t last, double *g) {
    for (int64_t begin = 0; begin < p->n; begin += BLOCK_ROWS) {
        int64_t end = begin + BLOCK_ROWS < p->n ? begin + BLOCK_ROWS : p->n;
        for (int64_t c = first; c < last; c++)
            for (int64_t i = begin; i < end; i++) {
                double r = p->residual[i * p->classes + c];
                bt_add_scaled_float(g + c * p->d, r, p->train->values + i * p->d, p->d);
                g[p->classes * p->d + c] += r;
            }
    }
}

static double value_and_gradient(const problem *p, const double *w, double *g) {
    double loss = 0, decay = 0;
    fold(p, w);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++) forward(p, i);
    for (int64_t i = 0; i < p->n; i++) loss += p->losses[i];
    memset(g, 0, (size_t)p->count * sizeof *g);
    enum { CLASSES = 4 }; /* a thread's portion; each row of the gradient has one author */
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < p->classes; c += CLASSES)
        backward(p, c, c + CLASSES < p->classes ? c + CLASSES : p->classes, g);
    double n = (double)p->labelled;
    for (int64_t c = 0; c < p->classes; c++) {
        double *row = g + c * p->d, residuals = g[p->classes * p->d + c];
        for (int64_t j = 0; j < p->d; j++) {
            double weight = w[c * p->d + j];
            row[j] = (row[j] - residuals * p->mean[j]) * p->scale[j] / n + p->options->l2 * weight;
            decay += weight * weight;
        }
        g[p->classes * p->d + c] = residuals / n;
    }
    return loss / n + p->options->l2 / 2 * decay;
}

/* ---- L-BFGS ---- */

typedef struct lbfgs {
    double *w, *g, *next_w, *next_g, *direction; /* (count) */
    double *s, *y;                               /* (HISTORY, count): steps, and what they changed in the gradient */
    double rho[HISTORY];
    int64_t stored; /* pairs so far; pair i is in slot i % HISTORY */
} lbfgs;

/** direction = -H g, H the inverse curvature from the last pairs. */
static void find_direction(lbfgs *l, int64_t count) {
    double alpha[HISTORY];
    int64_t oldest = l->stored > HISTORY ? l->stored - HISTORY : 0;
    for (int64_t j = 0; j < count; j++) l->direction[j] = -l->g[j];
    for (int64_t i = l->stored; i-- > oldest;) {
        int64_t slot = i % HISTORY;
        alpha[slot] = l->rho[slot] * inner(l->s + slot * count, l->direction, count);
        for (int64_t j = 0; j < count; j++) l->direction[j] -= alpha[slot] * l->y[slot * count + j];
    }
    if (l->stored) {
        const double *y = l->y + (l->stored - 1) % HISTORY * count;
        double scale = 1 / (l->rho[(l->stored - 1) % HISTORY] * inner(y, y, count));
        for (int64_t j = 0; j < count; j++) l->direction[j] *= scale;
    }
    for (int64_t i = oldest; i < l->stored; i++) {
        int64_t slot = i % HISTORY;
        double beta = l->rho[slot] * inner(l->y + slot * count, l->direction, count);
        for (int64_t j = 0; j < count; j++) l->direction[j] += (alpha[slot] - beta) * l->s[slot * count + j];
    }
}

/** Remembers the pair of the step from w to next_w, if it tells a curvature. */
static void remember(lbfgs *l, int64_t count) {
    double *s = l->s + l->stored % HISTORY * count, *y = l->y + l->stored % HISTORY * count;
    for (int64_t j = 0; j < count; j++) {
        s[j] = l->next_w[j] - l->w[j];
        y[j] = l->next_g[j] - l->g[j];
    }
    double curvature = inner(s, y, count);
    if (!(curvature > 1e-12 * inner(y, y, count))) return;
    l->rho[l->stored++ % HISTORY] = 1 / curvature;
}

static double largest(const double *g, int64_t count) {
    double m = 0;
    for (int64_t j = 0; j < count; j++) m = fmax(m, fabs(g[j]));
    return m;
}

/** A step that lowers the value enough (Armijo), into next_w and next_g; false if none does. */
static bool search(const problem *p, lbfgs *l, double *value) {
    double slope = inner(l->g, l->direction, p->count), norm = sqrt(inner(l->g, l->g, p->count));
    double step = l->stored ? 1 : 1 / fmax(1, norm);
    for (int halving = 0; halving < HALVINGS; halving++, step /= 2) {
        for (int64_t j = 0; j < p->count; j++) l->next_w[j] = l->w[j] + step * l->direction[j];
        double next = value_and_gradient(p, l->next_w, l->next_g);
        if (!(next < *value && next <= *value + 1e-4 * step * slope)) continue; /* equal: the slope is below rounding */
        *value = next;
        return true;
    }
    return false;
}

static void minimise(const problem *p, lbfgs *l, bt_probe *out) {
    double value = value_and_gradient(p, l->w, l->g);
    for (out->iterations = 0; out->iterations < p->options->iterations; out->iterations++) {
        if (largest(l->g, p->count) <= p->options->tolerance) break;
        find_direction(l, p->count);
        if (!search(p, l, &value)) break; /* at the limit of rounding */
        remember(l, p->count);
        double *swap = l->w;
        l->w = l->next_w;
        l->next_w = swap;
        swap = l->g;
        l->g = l->next_g;
        l->next_g = swap;
    }
    out->loss = value;
    out->gradient = largest(l->g, p->count);
    out->converged = out->gradient <= p->options->tolerance;
}

static bt_status make_lbfgs(lbfgs *l, int64_t count) {
    double **const vectors[] = {&l->w, &l->g, &l->next_w, &l->next_g, &l->direction};
    *l = (lbfgs){.stored = 0};
    for (int i = 0; i < 5; i++)
        if (!(*vectors[i] = bt_memory_zeroed((size_t)count, sizeof(double)))) return BT_ERR_MEMORY;
    l->s = bt_memory_alloc((size_t)count * HISTORY, sizeof(double));
    l->y = bt_memory_alloc((size_t)count * HISTORY, sizeof(double));
    return l->s && l->y ? BT_OK : BT_ERR_MEMORY;
}

static void free_lbfgs(lbfgs *l) {
    double *const vectors[] = {l->w, l->g, l->next_w, l->next_g, l->direction, l->s, l->y};
    for (int i = 0; i < 7; i++) bt_memory_free(vectors[i]);
}

/* ---- the problem ---- */

static bt_status examine(const bt_items *train, problem *p) {
    int32_t highest = -1, lowest = INT32_MAX;
    for (int64_t i = 0; i < p->n; i++) {
        int32_t label = train->labels[i];
        if (label < 0) continue;
        p->labelled++;
        highest = label > highest ? label : highest;
        lowest = label < lowest ? label : lowest;
    }
    if (p->labelled == 0 || highest == lowest || highest >= MAX_CLASSES)
        return bt_error(BT_ERR_SHAPE,
                        "a linear probe needs labels of at least two classes, below %d; found %lld labels up to %d",
                        MAX_CLASSES, (long long)p->labelled, highest);
    for (int64_t i = 0; i < p->n * p->d; i++)
        if (!isfinite(train->values[i]))
            return bt_error(BT_ERR_NUMERIC, "item %lld has a value that is not finite", (long long)(i / p->d));
    p->classes = highest + 1;
    p->count = p->classes * (p->d + 1);
    return BT_OK;
}

/** Mean and 1/deviation of each column; a constant column is left as it is. */
static void standardise(const problem *p) {
    for (int64_t j = 0; j < p->d; j++) {
        p->mean[j] = 0;
        p->scale[j] = 1;
    }
    if (!p->options->standardise) return;
    bt_column_means(p->train->values, p->n, p->d, p->mean);
    for (int64_t j = 0; j < p->d; j++) {
        double squares = 0;
        for (int64_t i = 0; i < p->n; i++) {
            double x = (double)p->train->values[i * p->d + j] - p->mean[j];
            squares += x * x;
        }
        p->scale[j] = squares > 0 ? 1 / sqrt(squares / (double)p->n) : 1;
    }
}

static bt_status make_problem(problem *p) {
    p->mean = bt_memory_alloc((size_t)p->d, sizeof(double));
    p->scale = bt_memory_alloc((size_t)p->d, sizeof(double));
    p->folded = bt_memory_alloc((size_t)p->count, sizeof(double));
    p->residual = bt_memory_alloc((size_t)p->n * (size_t)p->classes, sizeof(double));
    p->losses = bt_memory_alloc((size_t)p->n, sizeof(double));
    if (!p->mean || !p->scale || !p->folded || !p->residual || !p->losses) return BT_ERR_MEMORY;
    standardise(p);
    return BT_OK;
}

static void free_problem(problem *p) {
    bt_memory_free(p->mean);
    bt_memory_free(p->scale);
    bt_memory_free(p->folded);
    bt_memory_free(p->residual);
    bt_memory_free(p->losses);
}

static bt_status take_result(const problem *p, const double *w, bt_probe *out) {
    out->weights = bt_memory_alloc((size_t)(p->classes * p->d), sizeof(double));
    out->bias = bt_memory_alloc((size_t)p->classes, sizeof(double));
    if (!out->weights || !out->bias) return BT_ERR_MEMORY;
    fold(p, w);
    for (int64_t c = 0; c < p->classes; c++) {
        memcpy(out->weights + c * p->d, p->folded + c * (p->d + 1), (size_t)p->d * sizeof(double));
        out->bias[c] = p->folded[c * (p->d + 1) + p->d];
    }
    return BT_OK;
}

bt_status bt_probe_fit(const bt_items *train, const bt_probe_options *o, bt_probe *out) {
    BT_ASSERT(train->values && train->labels && train->width > 0 && o->l2 > 0);
    problem p = {.train = train, .options = o, .n = train->count, .d = train->width};
    BT_TRY(examine(train, &p));
    bt_probe probe = {.width = train->width, .classes = (int)p.classes};
    lbfgs l;
    bt_status status = make_lbfgs(&l, p.count);
    if (status == BT_OK) status = make_problem(&p);
    if (status == BT_OK) {
        minimise(&p, &l, &probe);
        status = take_result(&p, l.w, &probe);
    }
    free_lbfgs(&l);
    free_problem(&p);
    if (status == BT_OK)
        *out = probe;
    else
        bt_probe_free(&probe);
    return status;
}

void bt_probe_free(bt_probe *probe) {
    bt_memory_free(probe->weights);
    bt_memory_free(probe->bias);
    *probe = (bt_probe){.width = 0};
}

bt_status bt_probe_accuracy(const bt_probe *probe, const bt_items *items, double *accuracy) {
    if (items->width != probe->width)
        return bt_error(BT_ERR_SHAPE, "items have width %d, the probe %d", items->width, probe->width);
    int64_t right = 0, labelled = 0;
#pragma omp parallel for schedule(static) reduction(+ : right, labelled)
    for (int64_t i = 0; i < items->count; i++) {
        const float *x = items->values + i * items->width;
        int best = 0;
        double highest = -INFINITY;
        for (int c = 0; c < probe->classes; c++) {
            double sum = probe->bias[c];
            for (int j = 0; j < probe->width; j++) sum += probe->weights[(int64_t)c * probe->width + j] * (double)x[j];
            if (!(sum > highest)) continue;
            highest = sum;
            best = c;
        }
        labelled += items->labels[i] >= 0;
        right += items->labels[i] >= 0 && items->labels[i] == best;
    }
    *accuracy = labelled ? (double)right / (double)labelled : 0;
    return BT_OK;
}
