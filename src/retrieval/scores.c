/* Scores from rankings. Each query's order is walked once per meaning of "relevant"; what the walk finds is stored per
 * query and summed in the order of the queries, so the number of threads does not show. */
#include "retrieval/scores.h"

#include "base/memory.h"
#include "retrieval/ranking.h"

#include <math.h>
#include <string.h>

/** What a query contributes at one cutoff. */
typedef struct measure {
    bt_map map;
    int64_t hits, relevant; /* relevant items in the top k; in the database */
} measure;

typedef struct scoring {
    const bt_relevance *relevance;
    const bt_score_options *options;
    int relevance_count, curve_points;
    int64_t queries, items, ranks;
    measure *each;    /* (relevance_count, k_count, queries): ties by index */
    bt_map *shuffled; /* (shuffles, relevance_count, k_count, queries) */
    double *curve;    /* (relevance_count, queries, curve_points) or NULL */
} scoring;

/** Relevant items of the database, the query itself left out if it is left out of the ranking. */
static int64_t count_relevant(const scoring *s, const bt_relevance *r, int64_t query) {
    int64_t count = 0;
    for (int64_t i = 0; i < s->items; i++) count += bt_is_relevant(r, query, i);
    if (s->options->leave_one_out && bt_is_relevant(r, query, query)) count--;
    return count;
}

/** A walk down one order. */
typedef struct walk {
    int64_t rank, hits;
    double sum; /* of precisions at the hits */
} walk;

/** Goes on to rank k: average precision so far. */
static bt_map walk_to(walk *w, const bt_relevance *r, int64_t query, int64_t relevant, const int32_t *order,
                      int64_t k) {
    for (; w->rank < k; w->rank++)
        if (bt_is_relevant(r, query, order[w->rank])) w->sum += (double)++w->hits / (double)(w->rank + 1);
    int64_t possible = relevant < k ? relevant : k;
    return (bt_map){w->hits ? w->sum / (double)w->hits : 0, possible ? w->sum / (double)possible : 0};
}

/** Interpolated precision at evenly spaced recall: point p wants ceil(p / (points - 1) * relevant) hits, at least one.
 * Walks backwards, so that the highest precision from here on is known. */
static void walk_curve(const scoring *s, const bt_relevance *r, int64_t query, int64_t relevant, const int32_t *order,
                       double *out) {
    int64_t hits = 0, last = s->curve_points - 1;
    for (int64_t p = 0; p <= last; p++) out[p] = 0;
    for (int64_t rank = 0; rank < s->ranks; rank++) hits += bt_is_relevant(r, query, order[rank]);
    double highest = 0;
    int64_t point = last;
    for (int64_t rank = s->ranks; rank-- > 0 && hits > 0;) {
        if (!bt_is_relevant(r, query, order[rank])) continue;
        double precision = (double)hits / (double)(rank + 1);
        highest = precision > highest ? precision : highest;
        for (; point >= 0; point--) {
            int64_t wanted = (point * relevant + last - 1) / last;
            if (wanted < 1) wanted = 1;
            if (wanted < hits) break; /* belongs to a hit further up */
            out[point] = wanted == hits ? highest : 0;
        }
        hits--;
    }
}

static int64_t cutoff(const scoring *s, int c) {
    return s->options->k[c] < s->ranks ? s->options->k[c] : s->ranks;
}

static void visit(void *context, int64_t query, int shuffle, const int32_t *order, const float *distance) {
    (void)distance;
    const scoring *s = context;
    int cutoffs = s->options->k_count;
    for (int i = 0; i < s->relevance_count; i++) {
        const bt_relevance *r = &s->relevance[i];
        measure *each = s->each + (int64_t)i * cutoffs * s->queries + query; /* of the first cutoff; `queries` apart */
        int64_t relevant = shuffle < 0 ? count_relevant(s, r, query) : each->relevant;
        walk w = {0, 0, 0};
        for (int c = 0; c < cutoffs; c++) {
            bt_map map = walk_to(&w, r, query, relevant, order, cutoff(s, c));
            if (shuffle < 0)
                each[c * s->queries] = (measure){map, w.hits, relevant};
            else
                s->shuffled[(((int64_t)shuffle * s->relevance_count + i) * cutoffs + c) * s->queries + query] = map;
        }
        if (shuffle < 0 && s->curve)
            walk_curve(s, r, query, relevant, order, s->curve + ((int64_t)i * s->queries + query) * s->curve_points);
    }
}

/* ---- over queries ---- */

static bt_map mean_of(const bt_map *maps, int64_t n) {
    bt_map sum = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        sum.papers += maps[i].papers;
        sum.standard += maps[i].standard;
    }
    return (bt_map){sum.papers / (double)n, sum.standard / (double)n};
}

/** Mean and deviation over the shuffles of row `at` (relevance, cutoff). */
static void spread(const scoring *s, int64_t at, bt_scores *out) {
    int64_t shuffles = s->options->shuffles, rows = (int64_t)s->relevance_count * s->options->k_count;
    if (shuffles < 1) return;
    bt_map sum = {0, 0}, squares = {0, 0};
    for (int64_t i = 0; i < shuffles; i++) {
        bt_map m = mean_of(s->shuffled + (i * rows + at) * s->queries, s->queries);
        sum.papers += m.papers;
        sum.standard += m.standard;
    }
    bt_map mean = {sum.papers / (double)shuffles, sum.standard / (double)shuffles};
    for (int64_t i = 0; i < shuffles; i++) {
        bt_map m = mean_of(s->shuffled + (i * rows + at) * s->queries, s->queries);
        squares.papers += (m.papers - mean.papers) * (m.papers - mean.papers);
        squares.standard += (m.standard - mean.standard) * (m.standard - mean.standard);
    }
    out->shuffled = mean;
    out->shuffle_deviation =
        (bt_map){sqrt(squares.papers / (double)shuffles), sqrt(squares.standard / (double)shuffles)};
}

static bt_status summarise(const scoring *s, int64_t at, bt_map *room, bt_scores *out) {
    const measure *each = s->each + at * s->queries;
    const bt_score_options *o = s->options;
    double n = (double)s->queries;
    *out = (bt_scores){.k = cutoff(s, (int)(at % o->k_count))};
    int64_t hit = 0, hits = 0;
    for (int64_t i = 0; i < s->queries; i++) {
        room[i] = each[i].map;
        hits += each[i].hits;
        hit += each[i].hits > 0;
        out->recall += each[i].relevant ? (double)each[i].hits / (double)each[i].relevant : 0;
        out->without_relevant += each[i].relevant == 0;
    }
    out->map = mean_of(room, s->queries);
    out->precision = (double)hits / (double)out->k / n;
    out->recall /= n;
    out->hit_rate = (double)hit / n;
    spread(s, at, out);
    if (o->resamples < 1) return BT_OK;
    BT_TRY(bt_bootstrap_mean(&room->papers, s->queries, 2, o->resamples, o->level, o->seed, &out->papers));
    return bt_bootstrap_mean(&room->standard, s->queries, 2, o->resamples, o->level, o->seed, &out->standard);
}

static void mean_curves(const scoring *s, double *out) {
    for (int i = 0; i < s->relevance_count; i++)
        for (int p = 0; p < s->curve_points; p++) {
            double sum = 0;
            for (int64_t q = 0; q < s->queries; q++)
                sum += s->curve[((int64_t)i * s->queries + q) * s->curve_points + p];
            out[i * s->curve_points + p] = sum / (double)s->queries;
        }
}

static bt_status make_room(scoring *s) {
    size_t rows = (size_t)s->relevance_count * (size_t)s->options->k_count, queries = (size_t)s->queries;
    s->each = bt_memory_alloc(rows * queries, sizeof *s->each);
    s->shuffled = bt_memory_alloc((size_t)s->options->shuffles * rows * queries, sizeof *s->shuffled);
    if (s->curve_points)
        s->curve = bt_memory_alloc((size_t)s->relevance_count * queries * (size_t)s->curve_points, sizeof *s->curve);
    return s->each && s->shuffled && (s->curve || !s->curve_points) ? BT_OK : BT_ERR_MEMORY;
}

static bt_status rank_and_walk(const bt_items *q, const bt_items *db, scoring *s) {
    const bt_score_options *o = s->options;
    bt_distances distances;
    BT_TRY(bt_distances_open(q, db, o->distance, &distances));
    bt_rank_options ranking = {
        .k = o->k[o->k_count - 1], .leave_one_out = o->leave_one_out, .shuffles = o->shuffles, .seed = o->seed};
    s->ranks = bt_ranks(&ranking, db);
    bt_status status = make_room(s);
    if (status == BT_OK) status = bt_rank_all(&distances, &ranking, visit, s);
    bt_distances_close(&distances);
    return status;
}

bt_status bt_score(const bt_items *q, const bt_items *db, const bt_relevance *relevance, int relevance_count,
                   const bt_score_options *o, bt_scores *out, bt_score_detail *detail) {
    BT_ASSERT(o->k_count > 0 && relevance_count > 0);
    for (int c = 1; c < o->k_count; c++) BT_ASSERT(o->k[c] >= o->k[c - 1]);
    if (o->k[0] < 1)
        return bt_error(BT_ERR_SHAPE, "retrieval scores need k of at least 1; found %lld", (long long)o->k[0]);
    scoring s = {.relevance = relevance,
                 .options = o,
                 .relevance_count = relevance_count,
                 .queries = q->count,
                 .items = db->count};
    if (detail && detail->curve) s.curve_points = detail->curve_points;
    BT_ASSERT(s.curve_points == 0 || s.curve_points > 1);
    bt_status status = rank_and_walk(q, db, &s);
    bt_map *room = status == BT_OK ? bt_memory_alloc((size_t)s.queries, sizeof *room) : NULL;
    if (status == BT_OK && !room) status = BT_ERR_MEMORY;
    for (int64_t at = 0; at < (int64_t)relevance_count * o->k_count && status == BT_OK; at++) {
        status = summarise(&s, at, room, &out[at]);
        if (detail && detail->average_precision)
            memcpy(detail->average_precision + at * s.queries, room, (size_t)s.queries * sizeof *room);
    }
    if (status == BT_OK && s.curve) mean_curves(&s, detail->curve);
    bt_memory_free(room);
    bt_memory_free(s.each);
    bt_memory_free(s.shuffled);
    bt_memory_free(s.curve);
    return status;
}

bt_status bt_mean_average_precision(const bt_items *q, const bt_items *db, bt_distance distance, int64_t k,
                                    bt_map *out) {
    BT_ASSERT(q->labels && db->labels);
    bt_relevance relevance = bt_relevance_of_labels(q, db);
    bt_score_options options = {.distance = distance, .k = &k, .k_count = 1};
    bt_scores scores;
    BT_TRY(bt_score(q, db, &relevance, 1, &options, &scores, NULL));
    *out = scores.map;
    return BT_OK;
}
