/* Random and learned rotations; see rotation.h. */
#include "retrieval/rotation.h"

#include "base/memory.h"
#include "retrieval/linalg.h"

#include <bittern/random.h>

#include <math.h>
#include <string.h>

#define STREAM_GAUSSIAN 0x474eu
#define ITQ_PARTS 16  /* partial sums of B^T Z, whatever the number of threads */
#define BLOCK_ROWS 32 /* rows of z made double at once; a multiple of 4 */

void bt_random_gaussian(double *out, int64_t n, uint64_t seed, int64_t draw) {
    const double pi = 3.14159265358979323846;
    for (int64_t i = 0; i < n; i += 2) {
        bt_philox r = bt_random_block(seed, draw, STREAM_GAUSSIAN, i / 2, 0);
        double a = (double)((uint64_t)r.word[1] << 32 | r.word[0]) * 0x1p-64,
               b = (double)((uint64_t)r.word[3] << 32 | r.word[2]) * 0x1p-64;
        double radius = sqrt(-2 * log(a + 0x1p-65)); /* a may be 0 */
        out[i] = radius * cos(2 * pi * b);
        if (i + 1 < n) out[i + 1] = radius * sin(2 * pi * b);
    }
}

void bt_random_rotation(double *r, int64_t k, uint64_t seed, int64_t draw) {
    bt_random_gaussian(r, k * k, seed, draw);
    bt_orthonormalise(r, k, k);
}

typedef struct itq_room {
    int64_t k, padded;        /* padded: k rounded up to a multiple of 8, the row length of what follows */
    int64_t parts, rows;      /* rows of z in each part */
    double *blocks;           /* (parts, 3, BLOCK_ROWS, padded): z in double, u = z R^T, sign(u) */
    double *moments, *lost;   /* (parts, padded, padded), (parts) */
    double *transposed;       /* (padded, padded): R^T */
    double *left, *s, *right; /* (k,k), (k), (k,k) */
    double *square;           /* (k,k): moments[0] without padding */
} itq_room;

static bt_status make_room(itq_room *m, int64_t n, int64_t k) {
    m->k = k;
    m->padded = (k + 7) / 8 * 8;
    m->rows = (n + ITQ_PARTS - 1) / ITQ_PARTS;
    m->parts = (n + m->rows - 1) / m->rows;
    size_t kk = (size_t)k * (size_t)k, padded = (size_t)m->padded, parts = (size_t)m->parts;
    m->blocks = bt_memory_zeroed(parts * 3 * BLOCK_ROWS * padded, sizeof(double));
    m->moments = bt_memory_alloc(parts * padded * padded, sizeof(double));
    m->lost = bt_memory_alloc(parts, sizeof(double));
    m->transposed = bt_memory_zeroed(padded * padded, sizeof(double));
    m->left = bt_memory_alloc(kk, sizeof(double));
    m->s = bt_memory_alloc((size_t)k, sizeof(double));
    m->right = bt_memory_alloc(kk, sizeof(double));
    m->square = bt_memory_alloc(kk, sizeof(double));
    return m->blocks && m->moments && m->lost && m->transposed && m->left && m->s && m->right && m->square
               ? BT_OK
               : BT_ERR_MEMORY;
}

static void free_room(itq_room *m) {
    double *const all[] = {m->blocks, m->moments, m->lost, m->transposed, m->left, m->s, m->right, m->square};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) bt_memory_free(all[i]);
}

/** Adds a block of at most BLOCK_ROWS rows to a part's moment B^T Z, B = sign(Z R^T); returns its |B - Z R^T|^2. */
static double add_block(const itq_room *m, const float *z, int64_t rows, double *block, double *moment) {
    int64_t size = BLOCK_ROWS * m->padded;
    double *u = block + size, *sign = u + size, lost = 0;
    memset(block, 0, (size_t)(3 * size) * sizeof *block);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < m->k; c++) block[i * m->padded + c] = (double)z[i * m->k + c];
    bt_multiply_add((bt_strided){block, m->padded, 1}, m->transposed, m->padded, BLOCK_ROWS, m->padded, m->k, u,
                    m->padded);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < m->k; c++) {
            double value = u[i * m->padded + c], bit = value > 0 ? 1 : -1;
            sign[i * m->padded + c] = bit;
            lost += (bit - value) * (bit - value);
        }
    bt_multiply_add((bt_strided){sign, 1, m->padded}, block, m->padded, m->padded, m->padded, rows, moment, m->padded);
    return lost;
}

/** The moment of all rows in m->square; parts are added in order. Returns the loss. */
static double moment_of(itq_room *m, const float *z, int64_t n, const double *r) {
    int64_t k = m->k, padded = m->padded;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) m->transposed[j * padded + i] = r[i * k + j];
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < m->parts; p++) {
        double *moment = m->moments + p * padded * padded;
        int64_t end = (p + 1) * m->rows < n ? (p + 1) * m->rows : n;
        memset(moment, 0, (size_t)(padded * padded) * sizeof *moment);
        m->lost[p] = 0;
        for (int64_t i = p * m->rows; i < end; i += BLOCK_ROWS)
            m->lost[p] += add_block(m, z + i * k, end - i < BLOCK_ROWS ? end - i : BLOCK_ROWS,
                                    m->blocks + p * 3 * BLOCK_ROWS * padded, moment);
    }
    double lost = 0;
    memset(m->square, 0, (size_t)(k * k) * sizeof *m->square);
    for (int64_t p = 0; p < m->parts; p++) {
        lost += m->lost[p];
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < k; j++) m->square[i * k + j] += m->moments[(p * padded + i) * padded + j];
    }
    return lost / ((double)n * (double)k);
}

bt_status bt_itq(const float *z, int64_t n, int64_t k, int iterations, double *r, double *loss) {
    BT_ASSERT(n > 0 && k > 0 && iterations >= 0);
    itq_room m = {.k = 0};
    bt_status status = make_room(&m, n, k);
    for (int i = 0; i <= iterations && status == BT_OK; i++) {
        double lost = moment_of(&m, z, n, r);
        if (loss) loss[i] = lost;
        if (i == iterations) break;
        /* |B - Z R^T|^2 is least for R = U V with B^T Z = U S V: the trace of R^T (B^T Z) is then the sum of S. */
        status = bt_svd(m.square, k, k, m.left, m.s, m.right);
        for (int64_t a = 0; a < k && status == BT_OK; a++)
            for (int64_t b = 0; b < k; b++) {
                double sum = 0;
                for (int64_t c = 0; c < k; c++) sum += m.left[a * k + c] * m.right[c * k + b];
                r[a * k + b] = sum;
            }
    }
    free_room(&m);
    return status;
}
