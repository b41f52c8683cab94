/* Ranking; see ranking.h. Three ways to the same order:
 *   counting  distances are few whole numbers (Hamming): a histogram gives each distance its first rank
 *   heap      a few of many: the k nearest so far, the farthest on top; most items are compared once
 *   radix     (almost) all: 3 stable passes over 11 bits of the float's bits */
#include "retrieval/ranking.h"

#include "base/memory.h"

#include <bittern/random.h>

#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#define STREAM_SHUFFLE 0x5348u /* names this consumer of random numbers */
#define RADIX_BITS 11
#define RADIX (1 << RADIX_BITS)

/* ---- the order of one query ---- */

typedef struct neighbour {
    float distance;
    int32_t index;
} neighbour;

/** True if a ranks behind b. */
static bool behind(neighbour a, neighbour b) {
    return a.distance > b.distance || (a.distance == b.distance && a.index > b.index);
}

static void sift_down(neighbour *heap, int64_t count, int64_t at) {
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= count) return;
        if (child + 1 < count && behind(heap[child + 1], heap[child])) child++;
        if (!behind(heap[child], heap[at])) return;
        neighbour swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

static void rank_by_heap(const float *distance, int64_t n, int64_t k, neighbour *heap, int32_t *out) {
    for (int64_t i = 0; i < k; i++) heap[i] = (neighbour){distance[i], (int32_t)i};
    for (int64_t i = k / 2; i-- > 0;) sift_down(heap, k, i);
    for (int64_t i = k; i < n; i++) /* equal distances stay out: their index is higher */
        if (distance[i] < heap[0].distance) {
            heap[0] = (neighbour){distance[i], (int32_t)i};
            sift_down(heap, k, 0);
        }
    for (int64_t left = k; left-- > 0;) { /* the farthest of those left goes to the end */
        out[left] = heap[0].index;
        heap[0] = heap[left];
        sift_down(heap, left, 0);
    }
}

static void rank_by_count(const float *distance, int64_t n, int64_t k, int levels, int64_t *start, int32_t *out) {
    memset(start, 0, ((size_t)levels + 1) * sizeof *start);
    for (int64_t i = 0; i < n; i++) start[(int)distance[i]]++;
    int64_t before = 0;
    for (int level = 0; level <= levels; level++) {
        int64_t here = start[level];
        start[level] = before;
        before += here;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t rank = start[(int)distance[i]]++;
        if (rank < k) out[rank] = (int32_t)i;
    }
}

/** Whole numbers in the order of the floats: negative ones reversed below the positive ones. */
static uint32_t key_of(float value) {
    uint32_t bits;
    value += 0.0f; /* -0 and 0 are one distance */
    memcpy(&bits, &value, sizeof bits);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static void rank_by_radix(const float *distance, int64_t n, int64_t k, uint32_t *scratch, int32_t *out) {
    uint32_t *key = scratch, *index = key + n, *key_next = index + n, *index_next = key_next + n;
    for (int64_t i = 0; i < n; i++) {
        key[i] = key_of(distance[i]);
        index[i] = (uint32_t)i;
    }
    for (int pass = 0; pass < 3; pass++) {
        int shift = pass * RADIX_BITS;
        int64_t start[RADIX] = {0}, before = 0;
        for (int64_t i = 0; i < n; i++) start[key[i] >> shift & (RADIX - 1)]++;
        for (int digit = 0; digit < RADIX; digit++) {
            int64_t here = start[digit];
            start[digit] = before;
            before += here;
        }
        for (int64_t i = 0; i < n; i++) {
            int64_t to = start[key[i] >> shift & (RADIX - 1)]++;
            key_next[to] = key[i];
            index_next[to] = index[i];
        }
        uint32_t *swap = key;
        key = key_next;
        key_next = swap;
        swap = index;
        index = index_next;
        index_next = swap;
    }
    memcpy(out, index, (size_t)k * sizeof *out);
}

size_t bt_rank_scratch_bytes(int64_t n, int64_t k, int levels) {
    if (levels > 0) return ((size_t)levels + 1) * sizeof(int64_t);
    return k < n / 8 ? (size_t)k * sizeof(neighbour) : (size_t)n * 4 * sizeof(uint32_t);
}

void bt_rank(const float *distance, int64_t n, int64_t k, int levels, void *scratch, int32_t *out) {
    BT_ASSERT(k >= 0 && k <= n && n <= INT32_MAX);
    if (levels > 0)
        rank_by_count(distance, n, k, levels, scratch, out);
    else if (k >= n / 8)
        rank_by_radix(distance, n, k, scratch, out);
    else if (k > 0)
        rank_by_heap(distance, n, k, scratch, out);
}

void bt_shuffle(int64_t n, uint64_t seed, int draw, int32_t *out) {
    for (int64_t i = 0; i < n; i++) out[i] = (int32_t)i;
    for (int64_t i = n - 1; i > 0; i--) {
        bt_philox r = bt_random_block(seed, draw, STREAM_SHUFFLE, i, 0);
        uint64_t word = (uint64_t)r.word[1] << 32 | r.word[0];
        int64_t j = (int64_t)(word % (uint64_t)(i + 1)); /* uneven by less than 2^-32 */
        int32_t swap = out[i];
        out[i] = out[j];
        out[j] = swap;
    }
}

/* ---- all queries ---- */

/** What one worker needs; workers take tiles in turn, so which worker ranks a query depends on nothing but their
 * number. */
typedef struct worker {
    float *distance; /* (BT_QUERY_TILE, database) */
    float *shuffled; /* (database): distances in a shuffle's order */
    float *scratch;
    void *sorting;
    int32_t *order; /* (ranks + 1) */
} worker;

typedef struct job {
    const bt_distances *distances;
    const bt_rank_options *options;
    int32_t *permutation; /* (shuffles, database) */
    worker *workers;
    int worker_count;
    int64_t k, take; /* ranks that are visited, and ranked: one more if the query may be among them */
    bt_rank_visitor *visit;
    void *context;
} job;

int64_t bt_ranks(const bt_rank_options *o, const bt_items *database) {
    int64_t most = database->count - (o->leave_one_out ? 1 : 0);
    return o->k < most ? o->k : most;
}

/** Drops the query itself from its order. */
static void leave_out(int32_t *order, int64_t take, int64_t query) {
    int64_t to = 0;
    for (int64_t r = 0; r < take; r++)
        if (order[r] != query) order[to++] = order[r];
}

static void rank_query(const job *j, const worker *w, int64_t query, const float *distance) {
    int64_t n = j->distances->database->count;
    int levels = j->distances->levels;
    for (int shuffle = -1; shuffle < j->options->shuffles; shuffle++) {
        if (shuffle < 0) {
            bt_rank(distance, n, j->take, levels, w->sorting, w->order);
        } else {
            const int32_t *permutation = j->permutation + shuffle * n;
            for (int64_t i = 0; i < n; i++) w->shuffled[i] = distance[permutation[i]];
            bt_rank(w->shuffled, n, j->take, levels, w->sorting, w->order);
            for (int64_t r = 0; r < j->take; r++) w->order[r] = permutation[w->order[r]];
        }
        if (j->options->leave_one_out) leave_out(w->order, j->take, query);
        j->visit(j->context, query, shuffle, w->order, distance);
    }
}

static void work(const job *j, int number) {
    const worker *w = &j->workers[number];
    int64_t queries = j->distances->queries->count, n = j->distances->database->count;
    for (int64_t first = (int64_t)number * BT_QUERY_TILE; first < queries;
         first += (int64_t)j->worker_count * BT_QUERY_TILE) {
        int count = queries - first < BT_QUERY_TILE ? (int)(queries - first) : BT_QUERY_TILE;
        bt_distances_tile(j->distances, first, count, w->scratch, w->distance);
        for (int q = 0; q < count; q++) rank_query(j, w, first + q, w->distance + q * n);
    }
}

static bt_status make_workers(job *j) {
    int64_t tiles = (j->distances->queries->count + BT_QUERY_TILE - 1) / BT_QUERY_TILE;
    int threads = 1;
#ifdef _OPENMP
    threads = omp_get_max_threads();
#endif
    j->worker_count = tiles < threads ? (int)tiles : threads;
    size_t n = (size_t)j->distances->database->count;
    j->workers = bt_memory_zeroed((size_t)j->worker_count, sizeof *j->workers);
    if (!j->workers) return BT_ERR_MEMORY;
    for (int i = 0; i < j->worker_count; i++) {
        worker *w = &j->workers[i];
        w->distance = bt_memory_alloc(n * BT_QUERY_TILE, sizeof *w->distance);
        w->shuffled = bt_memory_alloc(j->options->shuffles > 0 ? n : 0, sizeof *w->shuffled);
        w->scratch = bt_memory_alloc((size_t)bt_distances_scratch(j->distances), sizeof *w->scratch);
        w->sorting = bt_memory_alloc(bt_rank_scratch_bytes((int64_t)n, j->take, j->distances->levels), 1);
        w->order = bt_memory_alloc((size_t)j->take, sizeof *w->order);
        if (!w->distance || !w->shuffled || !w->scratch || !w->sorting || !w->order) return BT_ERR_MEMORY;
    }
    return BT_OK;
}

static void free_job(job *j) {
    for (int i = 0; j->workers && i < j->worker_count; i++) {
        bt_memory_free(j->workers[i].distance);
        bt_memory_free(j->workers[i].shuffled);
        bt_memory_free(j->workers[i].scratch);
        bt_memory_free(j->workers[i].sorting);
        bt_memory_free(j->workers[i].order);
    }
    bt_memory_free(j->workers);
    bt_memory_free(j->permutation);
}

bt_status bt_rank_all(const bt_distances *distances, const bt_rank_options *o, bt_rank_visitor *visit, void *context) {
    int64_t n = distances->database->count, k = bt_ranks(o, distances->database);
    if (o->k < 1) return bt_error(BT_ERR_SHAPE, "retrieval scores need k of at least 1; found %lld", (long long)o->k);
    if (o->leave_one_out && (distances->queries->count != n || n < 2))
        return bt_error(BT_ERR_SHAPE,
                        "to leave out the query, the database (%lld) must be the queries (%lld), two or more",
                        (long long)n, (long long)distances->queries->count);
    job j = {.distances = distances,
             .options = o,
             .k = k,
             .take = o->leave_one_out ? k + 1 : k,
             .visit = visit,
             .context = context};
    bt_status status = make_workers(&j);
    if (status == BT_OK && o->shuffles > 0) {
        j.permutation = bt_memory_alloc((size_t)o->shuffles * (size_t)n, sizeof *j.permutation);
        if (!j.permutation) status = BT_ERR_MEMORY;
        for (int s = 0; s < o->shuffles && status == BT_OK; s++) bt_shuffle(n, o->seed, s, j.permutation + s * n);
    }
    if (status == BT_OK) {
#pragma omp parallel for schedule(static, 1)
        for (int i = 0; i < j.worker_count; i++) work(&j, i);
    }
    free_job(&j);
    return status;
}
