/* Rankings against a slow sort: three ways of sorting, ties by index and by shuffle, the query left out, any number of
 * threads. */
#include "check.h"

#include "base/memory.h"
#include "retrieval/ranking.h"

#include <stdlib.h>

#ifdef _OPENMP
#include <omp.h>
#endif

enum { N = 1000, Q = 37, BITS = 12 };

static uint32_t state_word = 1;
static uint32_t draw(void) {
    return (state_word = state_word * 1664525u + 1013904223u) >> 8;
}

static const float *sorted_by;
static int slow_compare(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (sorted_by[x] < sorted_by[y] || sorted_by[x] > sorted_by[y]) return sorted_by[x] < sorted_by[y] ? -1 : 1;
    return (x > y) - (x < y);
}

static void slow_rank(const float *distance, int32_t *out) {
    for (int32_t i = 0; i < N; i++) out[i] = i;
    sorted_by = distance;
    qsort(out, N, sizeof *out, slow_compare);
}

/* Levels > 0: whole distances with many ties; 0: floats of both signs, zeros of both signs among them. */
static void check_sorting(int levels) {
    float distance[N];
    int32_t wanted[N], found[N];
    bool negative = false;
    for (int i = 0; i < N; i++) {
        distance[i] = levels ? (float)(draw() % (uint32_t)(levels + 1)) : (float)(draw() % 200) / 64 - 1;
        if (!levels && distance[i] == 0 && (negative = !negative)) distance[i] = -0.0f;
    }
    slow_rank(distance, wanted);
    for (int64_t k = 0; k <= N; k = k < 3 ? k + 1 : k * 2 > N && k < N ? N : k * 2) {
        void *scratch = bt_memory_alloc(bt_rank_scratch_bytes(N, k, levels), 1);
        bt_rank(distance, N, k, levels, scratch, found);
        for (int64_t r = 0; r < k; r++) assert_int_equal(found[r], wanted[r]);
        bt_memory_free(scratch);
    }
}

static void sorts_as_a_slow_sort(void **state) {
    (void)state;
    check_sorting(0);
    check_sorting(7);
    check_sorting(64);
}

static void shuffles_are_permutations(void **state) {
    (void)state;
    int32_t a[N], b[N], c[N], seen[N] = {0};
    bt_shuffle(N, 5, 0, a);
    bt_shuffle(N, 5, 0, b);
    bt_shuffle(N, 5, 1, c);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    int fixed = 0;
    for (int i = 0; i < N; i++) {
        seen[a[i]]++;
        fixed += a[i] == i;
    }
    for (int i = 0; i < N; i++) assert_int_equal(seen[i], 1);
    assert_true(fixed < 8); /* one is expected */
    /* Every place of three is equally likely for every item: 6 orders, 1,000 each expected, deviation 29. */
    int orders[27] = {0};
    for (int i = 0; i < 6000; i++) {
        bt_shuffle(3, 9, i, a);
        orders[a[0] * 9 + a[1] * 3 + a[2]]++;
    }
    for (int i = 0; i < 27; i++) assert_true(orders[i] == 0 || (orders[i] > 850 && orders[i] < 1150));
}

typedef struct record {
    int64_t k;
    int32_t *order;  /* (3, Q, k): by index, shuffle 0, shuffle 1 */
    float *distance; /* (Q, N) */
} record;

static void keep(void *context, int64_t query, int shuffle, const int32_t *order, const float *distance) {
    const record *r = context;
    memcpy(r->order + ((shuffle + 1) * Q + query) * r->k, order, (size_t)r->k * sizeof *order);
    memcpy(r->distance + query * N, distance, N * sizeof *distance);
}

static bt_items queries, database;

static void make_sides(void) {
    static float values[N * BITS];
    static uint64_t bits[N];
    for (int i = 0; i < N * BITS; i++) values[i] = (float)draw() / 8388608.0f - 1;
    bt_codes_of(values, N, BITS, bits);
    queries = (bt_items){.count = Q, .width = BITS, .values = values};
    database = (bt_items){.count = N, .width = BITS, .values = values, .bits = bits};
}

static void rank_into(bt_distance kind, int64_t k, bool leave_one_out, record *out) {
    bt_distances distances;
    bt_items all = database;
    bt_rank_options options = {.k = k, .leave_one_out = leave_one_out, .shuffles = 2, .seed = 3};
    check_ok(bt_distances_open(leave_one_out ? &all : &queries, &database, kind, &distances));
    out->k = bt_ranks(&options, &database);
    check_ok(bt_rank_all(&distances, &options, keep, out));
    bt_distances_close(&distances);
}

/* A shuffle's order is by distance, then by place in the permutation. */
static void check_record(const record *r) {
    int32_t permutation[N], place[2][N];
    for (int s = 0; s < 2; s++) {
        bt_shuffle(N, 3, s, permutation);
        for (int i = 0; i < N; i++) place[s][permutation[i]] = i;
    }
    for (int s = 0; s < 3; s++)
        for (int q = 0; q < Q; q++) {
            const int32_t *order = r->order + ((int64_t)s * Q + q) * r->k;
            const float *distance = r->distance + (int64_t)q * N;
            for (int64_t i = 1; i < r->k; i++) {
                int32_t a = order[i - 1], b = order[i];
                int32_t pa = s ? place[s - 1][a] : a, pb = s ? place[s - 1][b] : b;
                assert_true(distance[a] < distance[b] || (distance[a] <= distance[b] && pa < pb));
            }
        }
}

static void ranks_all_queries_on_any_threads(void **state) {
    (void)state;
    make_sides();
    for (int kind = BT_ASYMMETRIC; kind <= BT_COSINE; kind++)
        for (int64_t k = 50; k <= N; k *= 20) {
            record r[3];
            for (int t = 0; t < 3; t++) {
#ifdef _OPENMP
                omp_set_num_threads(t + 1);
#endif
                r[t].order = malloc(3 * Q * N * sizeof(int32_t));
                r[t].distance = malloc(Q * N * sizeof(float));
                rank_into((bt_distance)kind, k, false, &r[t]);
                assert_memory_equal(r[t].order, r[0].order, (size_t)(3 * Q * r[0].k) * sizeof(int32_t));
                assert_memory_equal(r[t].distance, r[0].distance, Q * N * sizeof(float));
            }
            check_record(&r[0]);
            for (int t = 0; t < 3; t++) {
                free(r[t].order);
                free(r[t].distance);
            }
        }
}

static int64_t found_itself, visits;
static void look_for_itself(void *context, int64_t query, int shuffle, const int32_t *order, const float *distance) {
    (void)distance;
    (void)shuffle;
    for (int64_t r = 0; r < *(const int64_t *)context; r++) {
#pragma omp atomic
        found_itself += order[r] == query;
    }
#pragma omp atomic
    visits++;
}

static void leaves_the_query_out(void **state) {
    (void)state;
    make_sides();
    bt_distances distances;
    for (int64_t k = 1; k <= N; k = k == 1 ? 30 : k == 30 ? N : N + 1) {
        bt_rank_options options = {.k = k, .leave_one_out = true, .shuffles = 1, .seed = 3};
        int64_t ranks = bt_ranks(&options, &database);
        assert_int_equal(ranks, k == N ? N - 1 : k);
        check_ok(bt_distances_open(&database, &database, BT_SYMMETRIC, &distances));
        found_itself = visits = 0;
        check_ok(bt_rank_all(&distances, &options, look_for_itself, &ranks));
        assert_int_equal(found_itself, 0);
        assert_int_equal(visits, 2 * N);
        bt_distances_close(&distances);
    }
    bt_rank_options options = {.k = 3, .leave_one_out = true};
    check_ok(bt_distances_open(&queries, &database, BT_SYMMETRIC, &distances));
    check_error(bt_rank_all(&distances, &options, look_for_itself, NULL), BT_ERR_SHAPE,
                "the database (1000) must be the queries (37)");
    bt_distances_close(&distances);
}

static void out_of_memory_is_an_error(void **state) {
    (void)state;
    make_sides();
    int64_t ranks = 10;
    int failures = 0;
    for (int64_t n = 1; n < 40; n++) {
        bt_distances distances;
        bt_rank_options options = {.k = ranks, .shuffles = 1};
        bt_memory_fail_at(n);
        bt_status status = bt_distances_open(&queries, &database, BT_COSINE, &distances);
        if (status == BT_OK) {
            status = bt_rank_all(&distances, &options, look_for_itself, &ranks);
            bt_distances_close(&distances);
        }
        bt_memory_fail_at(0);
        failures += status == BT_ERR_MEMORY;
        assert_true(status == BT_OK || status == BT_ERR_MEMORY);
    }
    assert_true(failures >= 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts_as_a_slow_sort), cmocka_unit_test(shuffles_are_permutations),
        cmocka_unit_test(ranks_all_queries_on_any_threads), cmocka_unit_test(leaves_the_query_out),
        cmocka_unit_test(out_of_memory_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
