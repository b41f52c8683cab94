/* The coding rate that keeps codes from collapsing (MCR, arXiv 2006.08558; here as CroVCA uses it, arXiv 2510.27584).
 * For each of V groups of N rows x (N,D), with s = D/(N eps):
 *   A = I + s X^T X = L L^T,   loss = -(D+N)/(D N) sum of log L_ii, averaged over the groups (that sum is 1/2 logdet A)
 *   dx = -weight/V (D+N)/(D N) s X A^-1
 * All in double but for the saved factor, which the program keeps as f32. D is at most some hundreds: A is small beside
 * X, and the Gram matrix and the solves, shared out over threads, are most of the work. */
#include "cpu/cholesky.h"
#include "cpu/rows.h"

#include <math.h>
#include <string.h>

#define TILE_ROWS 4
#define TILE_COLS 8 /* of bt_vector.add_gram */

typedef struct group {
    const bt_tensor *x;
    int64_t first_row, rows, cols, padded; /* padded: cols up to whole tiles */
    double *wide, *a; /* wide (rows,padded): x in double, zeros behind; a (padded,padded), lower tiles */
    double scale;
} group;

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static int64_t padded_cols(const bt_tensor *x) {
    return (bt_shape_cols(x->shape) + TILE_COLS - 1) / TILE_COLS * TILE_COLS;
}

static bt_status prepare(bt_device *device, const bt_coding_rate_args *a, bt_prepared *out) {
    (void)device;
    BT_TRY(BT_CHECK_OPERANDS("coding_rate", {"x", &a->x, BT_ALLOW_F32}, {"loss", &a->loss, BT_ALLOW_F32},
                             {"chol", &a->chol, BT_ALLOW_F32}));
    BT_ASSERT(a->groups > 0 && bt_shape_rows(a->x.shape) % a->groups == 0);
    int64_t rows = bt_shape_rows(a->x.shape) / a->groups, padded = padded_cols(&a->x);
    out->scratch_bytes = (size_t)((rows + padded) * padded) * sizeof(double);
    return BT_OK;
}

static void widen_rows(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)v, (void)unused;
    const group *g = context;
    for (int64_t row = begin; row < end; row++) {
        const float *x = bt_row_f32(g->x, g->first_row + row);
        double *wide = g->wide + row * g->padded;
        for (int64_t c = 0; c < g->padded; c++) wide[c] = c < g->cols ? (double)x[c] : 0;
    }
}

/* Four rows of A, up to the tile of the diagonal. */
static void gram_strip(const group *g, const bt_vector *v, int64_t strip) {
    int64_t i = strip * TILE_ROWS;
    for (int64_t j = 0; j < i + TILE_ROWS; j += TILE_COLS) {
        double *tile = g->a + i * g->padded + j;
        for (int64_t r = 0; r < TILE_ROWS; r++) memset(tile + r * g->padded, 0, TILE_COLS * sizeof *tile);
        v->add_gram(tile, g->padded, g->wide + i, g->wide + j, g->padded, g->rows);
        for (int64_t r = 0; r < TILE_ROWS; r++)
            for (int64_t c = 0; c < TILE_COLS; c++) {
                double *element = tile + r * g->padded + c;
                *element = *element * g->scale + (i + r == j + c ? 1.0 : 0.0);
            }
    }
}

/* Strips in pairs from both ends of the triangle, so that every pair is the same work. */
static void gram_pairs(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *unused) {
    (void)unused;
    const group *g = context;
    int64_t strips = g->padded / TILE_ROWS;
    for (int64_t pair = begin; pair < end; pair++) {
        gram_strip(g, v, pair);
        gram_strip(g, v, strips - 1 - pair);
    }
}

static double rate_factor(int64_t rows, int64_t cols) {
    return (double)(cols + rows) / ((double)cols * (double)rows);
}

static double rate_scale(int64_t rows, int64_t cols, float eps) {
    return (double)cols / ((double)rows * (double)eps);
}

/* 1/2 logdet A of one group; its factor goes to chol (D,D). NaN, and a fault of the step, where A has no factor. */
static double half_logdet(bt_device *device, const group *g, const bt_tensor *chol, int64_t first_row) {
    bt_over_rows(device, g->rows, g->rows * g->cols, widen_rows, g, 0, NULL);
    bt_over_rows(device, g->padded / TILE_COLS, g->rows * g->cols * g->cols / 8, gram_pairs, g, 0, NULL);
    int64_t pivot = bt_cholesky(g->a, g->cols, g->padded);
    double sum = pivot ? (double)NAN : 0;
    for (int64_t i = 0; i < g->cols; i++) {
        const double *row = g->a + i * g->padded;
        float *l = bt_row_f32(chol, first_row + i);
        for (int64_t j = 0; j <= i; j++) l[j] = (float)row[j];
        if (!pivot) sum += log(row[i]);
    }
    if (pivot) bt_set_fault(device, BT_OP_coding_rate, pivot);
    return sum;
}

static bt_status run(bt_device *device, const bt_coding_rate_args *a, const bt_prepared *prepared, void *scratch) {
    (void)prepared;
    int64_t rows = bt_shape_rows(a->x.shape) / a->groups, cols = bt_shape_cols(a->x.shape);
    group g = {.x = &a->x, .rows = rows, .cols = cols, .padded = padded_cols(&a->x), .wide = scratch};
    g.a = g.wide + rows * g.padded;
    g.scale = rate_scale(rows, cols, a->eps);
    double sum = 0;
    for (int64_t i = 0; i < a->groups; i++) {
        g.first_row = i * rows;
        sum += half_logdet(device, &g, &a->chol, i * cols);
    }
    *(float *)a->loss.data = (float)(-rate_factor(rows, cols) * sum / a->groups);
    return BT_OK;
}

const bt_coding_rate_kernel bt_cpu_coding_rate = {prepare, run};

/* ---- gradient ---------------------------------------------------------------------------------------------------- */

static size_t block_bytes(const bt_coding_rate_dx_args *a) {
    return TILE_COLS * sizeof(double) * (size_t)bt_shape_cols(a->x.shape);
}

static bt_status prepare_dx(bt_device *device, const bt_coding_rate_dx_args *a, bt_prepared *out) {
    BT_TRY(BT_CHECK_OPERANDS("coding_rate_dx", {"x", &a->x, BT_ALLOW_F32}, {"chol", &a->chol, BT_ALLOW_F32},
                             {"dx", &a->dx, BT_ALLOW_F32}));
    BT_ASSERT(a->groups > 0 && bt_shape_rows(a->x.shape) % a->groups == 0);
    out->scratch_bytes = bt_rows_scratch_bytes(device, block_bytes(a));
    return BT_OK;
}

/* Eight rows of x at a time are eight right sides: A is symmetric, so the rows of X A^-1 are A^-1 x. */
static void solve_blocks(const void *context, const bt_vector *v, int64_t begin, int64_t end, void *buffer) {
    const bt_coding_rate_dx_args *a = context;
    int64_t rows = bt_shape_rows(a->x.shape) / a->groups, cols = bt_shape_cols(a->x.shape);
    int64_t blocks = (rows + TILE_COLS - 1) / TILE_COLS; /* of a group */
    double factor = -(double)a->weight / a->groups * rate_factor(rows, cols) * rate_scale(rows, cols, a->eps);
    double *x = buffer;
    for (int64_t block = begin; block < end; block++) {
        int64_t which = block / blocks, first = block % blocks * TILE_COLS;
        int64_t n = rows - first < TILE_COLS ? rows - first : TILE_COLS;
        memset(x, 0, block_bytes(a));
        for (int64_t r = 0; r < n; r++)
            for (int64_t c = 0; c < cols; c++)
                x[c * TILE_COLS + r] = (double)bt_row_f32(&a->x, which * rows + first + r)[c];
        v->solve_cholesky(x, bt_row_f32(&a->chol, which * cols), a->chol.ld, cols);
        for (int64_t r = 0; r < n; r++) {
            float *dx = bt_row_f32(&a->dx, which * rows + first + r);
            for (int64_t c = 0; c < cols; c++) dx[c] = (float)(factor * x[c * TILE_COLS + r]);
        }
    }
}

static bt_status run_dx(bt_device *device, const bt_coding_rate_dx_args *a, const bt_prepared *prepared,
                        void *scratch) {
    (void)prepared;
    int64_t rows = bt_shape_rows(a->x.shape) / a->groups, cols = bt_shape_cols(a->x.shape);
    bt_over_rows(device, a->groups * ((rows + TILE_COLS - 1) / TILE_COLS), bt_shape_count(a->x.shape) * cols / 4,
                 solve_blocks, a, block_bytes(a), scratch);
    return BT_OK;
}

const bt_coding_rate_dx_kernel bt_cpu_coding_rate_dx = {prepare_dx, run_dx};
