/* Offsets: every storage gets a place in one block such that storages alive together do not overlap.
 *
 * The lower bound is the largest sum of bytes alive at one instruction. Placing storages one by one into the smallest
 * gap that fits (best fit among those already placed and alive at the same time) is sensitive to the order, so a few
 * orders are tried, then seeded random disturbances of the best one, until the block is within 1 % of the bound or the
 * tries are used up. The same program always gets the same offsets.
 */
#include "program/plan.h"

#include <bittern/random.h>

#include <stdlib.h>
#include <string.h>

enum { TRIES = 200 };

size_t bt_plan_lower_bound(const bt_plan *plan) {
    size_t *alive = calloc((size_t)plan->instruction_count + 1, sizeof *alive), most = 0;
    BT_ASSERT(alive);
    for (int s = 0; s < plan->storage_count; s++)
        for (int i = plan->storage[s].begin; i <= plan->storage[s].end; i++) alive[i] += plan->storage[s].bytes;
    for (int i = 0; i <= plan->instruction_count; i++)
        if (alive[i] > most) most = alive[i];
    free(alive);
    return most;
}

typedef struct placer {
    const bt_plan *plan;
    int *order;     /* storages in the order of placing */
    double *key;    /* larger first */
    size_t *offset; /* of this try */
    int *by_offset; /* placed ones, sorted by offset */
} placer;

static bool together(const bt_storage *a, const bt_storage *b) {
    return a->begin <= b->end && b->begin <= a->end;
}

/** The start of the smallest gap that holds `s` between the placed storages alive with it. */
static size_t best_gap(const placer *pl, int placed, const bt_storage *s) {
    size_t best = SIZE_MAX, best_gap_bytes = SIZE_MAX, top = 0;
    for (int k = 0; k < placed; k++) {
        int other = pl->by_offset[k];
        const bt_storage *o = &pl->plan->storage[other];
        if (!together(s, o)) continue;
        size_t at = pl->offset[other];
        if (at > top && at - top >= s->bytes && at - top < best_gap_bytes) {
            best = top;
            best_gap_bytes = at - top;
        }
        if (at + o->bytes > top) top = at + o->bytes;
    }
    return best == SIZE_MAX ? top : best;
}

static size_t place_all(placer *pl) {
    size_t block = 0;
    for (int n = 0; n < pl->plan->storage_count; n++) {
        int id = pl->order[n];
        const bt_storage *s = &pl->plan->storage[id];
        size_t at = best_gap(pl, n, s);
        pl->offset[id] = at;
        int k = n;
        for (; k > 0 && pl->offset[pl->by_offset[k - 1]] > at; k--) pl->by_offset[k] = pl->by_offset[k - 1];
        pl->by_offset[k] = id;
        if (at + s->bytes > block) block = at + s->bytes;
    }
    return block;
}

/** Sorts `order` by descending key; equal keys stay in their order (insertion sort: a few thousand storages at most).
 */
static void sort_order(placer *pl) {
    int count = pl->plan->storage_count;
    for (int n = 0; n < count; n++) pl->order[n] = n;
    for (int n = 1; n < count; n++) {
        int id = pl->order[n], k = n;
        for (; k > 0 && pl->key[pl->order[k - 1]] < pl->key[id]; k--) pl->order[k] = pl->order[k - 1];
        pl->order[k] = id;
    }
}

static double first_key(const bt_storage *s, int kind) {
    double bytes = (double)s->bytes, span = s->end - s->begin + 1;
    switch (kind) {
    case 0:
        return bytes;
    case 1:
        return bytes * span;
    case 2:
        return span;
    default:
        return -(double)s->begin;
    }
}

static void keep_best(bt_plan *plan, const placer *pl, size_t block, double *best_key) {
    plan->block_bytes = block;
    for (int s = 0; s < plan->storage_count; s++) plan->storage[s].offset = pl->offset[s];
    memcpy(best_key, pl->key, (size_t)plan->storage_count * sizeof *best_key);
}

void bt_plan_place(bt_plan *plan) {
    size_t count = (size_t)plan->storage_count + 1;
    placer pl = {plan, calloc(count, sizeof(int)), calloc(count, sizeof(double)), calloc(count, sizeof(size_t)),
                 calloc(count, sizeof(int))};
    double *best_key = calloc(count, sizeof(double));
    BT_ASSERT(pl.order && pl.key && pl.offset && pl.by_offset && best_key);
    plan->lower_bound_bytes = bt_plan_lower_bound(plan);
    plan->block_bytes = SIZE_MAX;
    size_t good = plan->lower_bound_bytes + plan->lower_bound_bytes / 100;
    for (int attempt = 0; attempt < TRIES && plan->block_bytes > good; attempt++) {
        for (int s = 0; s < plan->storage_count; s++) {
            if (attempt < 4) {
                pl.key[s] = first_key(&plan->storage[s], attempt);
            } else { /* multiply the best keys by up to e^(+-1/2) */
                bt_philox r = bt_philox4x32((uint32_t)s, (uint32_t)attempt, 0, 0, 0);
                pl.key[s] = best_key[s] * (0.6 + 1.0 * (double)bt_random_unit(r.word[0]));
            }
        }
        sort_order(&pl);
        size_t block = place_all(&pl);
        if (block < plan->block_bytes) keep_best(plan, &pl, block, best_key);
    }
    free(pl.order);
    free(pl.key);
    free(pl.offset);
    free(pl.by_offset);
    free(best_key);
}
