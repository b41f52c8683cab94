/* Scores of a run as JSON, for machines, and as a table, for people. */
#include "train/run_scores.h"

#include "formats/json.h"
#include "retrieval/scores_json.h"

#include <stdio.h>
#include <string.h>

/* ---- pieces ---- */

static void put_interval(bt_json_writer *w, const char *key, bt_interval interval) {
    bt_json_key(w, key);
    bt_json_begin_array(w);
    bt_json_put_number(w, interval.low);
    bt_json_put_number(w, interval.high);
    bt_json_end(w);
}

static void put_numbers(bt_json_writer *w, const char *key, const double *values, int64_t count) {
    bt_json_key(w, key);
    bt_json_begin_array(w);
    for (int64_t i = 0; i < count; i++) bt_json_put_number(w, values[i]);
    bt_json_end(w);
}

static void put_optional(bt_json_writer *w, const char *key, bool present, double value) {
    bt_json_key(w, key);
    if (present)
        bt_json_put_number(w, value);
    else
        bt_json_put_null(w);
}

/* ---- headlines ---- */

/** Where the encoder is not trained, it is the one before. */
static const bt_scored *way_of(const bt_run_scores *s, bt_way way) {
    if (way == BT_WAY_BEFORE && s->frozen && s->options.baselines) way = BT_WAY_CONTINUOUS;
    return &s->way[way];
}

void bt_run_scores_put_headlines(bt_json_writer *w, const bt_run_scores *s) {
    char key[64];
    for (int way = 0; way < BT_WAYS; way++) {
        const bt_scored *scored = way_of(s, (bt_way)way);
        snprintf(key, sizeof key, "map_%s", bt_way_names[way]);
        put_optional(w, key, scored->present, scored->present ? scored->scores[0].map.papers : 0);
        snprintf(key, sizeof key, "map_%s_standard", bt_way_names[way]);
        put_optional(w, key, scored->present, scored->present ? scored->scores[0].map.standard : 0);
    }
    put_optional(w, "map_training_free", s->has_free, s->free[0].papers.mean);
    put_optional(w, "map_training_free_deviation", s->has_free, s->free[0].papers.deviation);
    put_optional(w, "map_training_free_standard", s->has_free, s->free[0].standard.mean);
    put_optional(w, "accuracy", s->accuracy >= 0, s->accuracy);
}

static void put_subject(bt_json_writer *w, const bt_run_scores *s) {
    bt_json_member_string(w, "format", "bittern evaluation");
    bt_json_member_integer(w, "version", 1);
    bt_json_member_string(w, "run", s->run);
    bt_json_member_string(w, "checkpoint", s->untrained ? NULL : s->checkpoint);
    bt_json_member_integer(w, "step", s->step);
    bt_json_member_string(w, "method", s->method->name);
    bt_json_member_integer(w, "bits", s->bits);
    bt_json_member_integer(w, "width", s->width);
    bt_json_member_integer(w, "k", s->cutoff[0]);
    bt_json_member_integer(w, "queries", s->queries);
    bt_json_member_integer(w, "database", s->database);
    bt_json_member_integer(w, "train", s->train);
    bt_json_member_integer(w, "without_relevant", s->way[BT_WAY_CONTINUOUS].scores[0].without_relevant);
    bt_json_member_bool(w, "multi_label", s->query_sets != NULL);
    bt_json_member_bool(w, "full", s->full);
    bt_json_member_integer(w, "seed", s->options.seed);
    bt_json_member_integer(w, "resamples", s->options.resamples);
    bt_json_member_number(w, "level", 0.95);
    bt_json_member_number(w, "seconds", s->seconds);
    bt_json_member_string(w, "pack", s->pack);
}

/* ---- each way ---- */

static void put_cutoff(bt_json_writer *w, const bt_run_scores *s, const bt_scores *at, bool codes) {
    bt_json_begin_object(w);
    bt_json_member_integer(w, "k", at->k);
    bt_json_member_number(w, "papers", at->map.papers);
    bt_json_member_number(w, "standard", at->map.standard);
    if (s->options.resamples) {
        put_interval(w, "papers_interval", at->papers);
        put_interval(w, "standard_interval", at->standard);
    }
    if (s->full && codes) {
        bt_json_member_map(w, "shuffled", at->shuffled);
        bt_json_member_map(w, "shuffle_deviation", at->shuffle_deviation);
    }
    bt_json_member_number(w, "precision", at->precision);
    bt_json_member_number(w, "recall", at->recall);
    bt_json_member_number(w, "hit_rate", at->hit_rate);
    bt_json_end(w);
}

static void put_effective_rank(bt_json_writer *w, const char *key, bt_effective_rank rank) {
    bt_json_key(w, key);
    bt_json_begin_object(w);
    bt_json_member_number(w, "entropy", rank.entropy);
    bt_json_member_number(w, "participation", rank.participation);
    bt_json_end(w);
}

static void put_way(bt_json_writer *w, const bt_run_scores *s, bt_way way) {
    const bt_scored *scored = &s->way[way];
    bool codes = way == BT_WAY_BINARY || way == BT_WAY_SYMMETRIC;
    bt_json_key(w, bt_way_names[way]);
    bt_json_begin_object(w);
    bt_json_key(w, "ranks");
    bt_json_begin_array(w);
    for (int r = 0; r < s->truth.rank_count; r++) {
        bt_json_begin_object(w);
        bt_json_member_string(w, "rank", s->truth.rank[r].name);
        bt_json_key(w, "at");
        bt_json_begin_array(w);
        for (int c = 0; c < s->cutoffs; c++) put_cutoff(w, s, &scored->scores[r * s->cutoffs + c], codes);
        bt_json_end(w);
        put_numbers(w, "curve", scored->curve + (int64_t)r * BT_CURVE_POINTS, BT_CURVE_POINTS);
        bt_json_end(w);
    }
    bt_json_end(w);
    if (scored->vote >= 0) bt_json_member_number(w, "vote", scored->vote);
    if (scored->probe >= 0) bt_json_member_number(w, "probe", scored->probe);
    if (scored->has_effective_rank) {
        put_effective_rank(w, "effective_rank", scored->raw);
        put_effective_rank(w, "effective_rank_centred", scored->centred);
    }
    bt_json_end(w);
}

static void put_ways(bt_json_writer *w, const bt_run_scores *s) {
    double recall[BT_CURVE_POINTS];
    for (int p = 0; p < BT_CURVE_POINTS; p++) recall[p] = (double)p / (BT_CURVE_POINTS - 1);
    bt_json_key(w, "scores");
    bt_json_begin_object(w);
    for (int way = 0; way < BT_WAYS; way++)
        if (s->way[way].present) put_way(w, s, (bt_way)way);
    bt_json_end(w);
    put_numbers(w, "curve_recall", recall, BT_CURVE_POINTS);
}

static void put_free(bt_json_writer *w, const bt_run_scores *s) {
    bt_json_key(w, "training_free");
    if (!s->has_free && !s->free_reason[0]) {
        bt_json_put_null(w);
        return;
    }
    bt_json_begin_object(w);
    bt_json_member_string(w, "encoder", s->free_of);
    if (!s->has_free) {
        bt_json_member_string(w, "reason", s->free_reason);
        bt_json_end(w);
        return;
    }
    bt_json_member_integer(w, "bits", s->free[0].bits.bits);
    bt_json_member_integer(w, "draws", s->free[0].draws);
    bt_json_key(w, "at");
    bt_json_begin_array(w);
    for (int c = 0; c < s->cutoffs; c++) {
        bt_json_begin_object(w);
        bt_json_member_integer(w, "k", s->cutoff[c]);
        bt_json_member_spread(w, "papers", s->free[c].papers);
        bt_json_member_spread(w, "standard", s->free[c].standard);
        bt_json_member_spread(w, "symmetric_papers", s->free[c].symmetric_papers);
        bt_json_member_spread(w, "symmetric_standard", s->free[c].symmetric_standard);
        bt_json_end(w);
    }
    bt_json_end(w);
    if (s->free_itq.draws) {
        bt_json_member_spread(w, "itq_papers", s->free_itq.papers);
        bt_json_member_spread(w, "itq_standard", s->free_itq.standard);
    }
    bt_json_end(w);
}

/* ---- codes, classes ---- */

static void put_bits(bt_json_writer *w, const bt_run_scores *s) {
    const bt_bit_statistics *b = &s->bit_statistics;
    bt_json_key(w, "bit_statistics");
    if (!s->bits) {
        bt_json_put_null(w);
        return;
    }
    bt_json_begin_object(w);
    bt_json_member_integer(w, "codes", b->count);
    bt_json_member_integer(w, "distinct", b->distinct);
    bt_json_member_integer(w, "dead", b->dead);
    bt_json_member_number(w, "code_entropy", b->code_entropy);
    bt_json_member_number(w, "entropy", b->entropy);
    bt_json_member_number(w, "least_entropy", b->least_entropy);
    bt_json_member_number(w, "imbalance", b->imbalance);
    bt_json_member_number(w, "worst_imbalance", b->worst_imbalance);
    bt_json_member_number(w, "correlation", b->correlation);
    bt_json_member_number(w, "worst_correlation", b->worst_correlation);
    put_numbers(w, "ones", s->ones, s->bits);
    bt_json_end(w);
}

static void put_ranks(bt_json_writer *w, const bt_run_scores *s) {
    bt_json_key(w, "ranks");
    bt_json_begin_array(w);
    for (int r = 0; r < s->truth.rank_count; r++) {
        const bt_truth_rank *rank = &s->truth.rank[r];
        const bt_class_matrix *m = &s->confusion[r];
        bt_json_begin_object(w);
        bt_json_member_string(w, "name", rank->name);
        bt_json_key(w, "also");
        bt_json_begin_array(w);
        for (int i = 0; i < rank->also_count; i++) bt_json_put_string(w, rank->also[i]);
        bt_json_end(w);
        bt_json_member_integer(w, "classes", rank->present);
        bt_json_key(w, "names");
        bt_json_begin_array(w);
        for (int64_t c = 0; c < rank->present; c++) bt_json_put_string(w, rank->names[c]);
        bt_json_end(w);
        bt_json_key(w, "confusion");
        if (!m->classes) {
            bt_json_put_null(w);
        } else {
            bt_json_begin_array(w);
            for (int64_t c = 0; c < m->classes; c++) {
                bt_json_begin_array(w);
                for (int64_t d = 0; d < m->classes; d++) bt_json_put_number(w, m->share[c * m->classes + d]);
                bt_json_end(w);
            }
            bt_json_end(w);
        }
        bt_json_end(w);
    }
    bt_json_end(w);
}

bt_status bt_run_scores_json(const bt_run_scores *s, bt_text *out) {
    bt_json_writer w = bt_json_write_to(out, true);
    bt_json_begin_object(&w);
    put_subject(&w, s);
    bt_run_scores_put_headlines(&w, s);
    put_ways(&w, s);
    put_free(&w, s);
    put_bits(&w, s);
    put_ranks(&w, s);
    bt_json_end(&w);
    BT_TRY(bt_json_finish(&w));
    bt_text_append(out, "\n");
    return bt_text_status(out);
}

/* ---- for people ---- */

void bt_run_scores_headline(const bt_run_scores *s, bt_text *out) {
    bt_text_append(out, "mAP@%lld continuous %.4f", (long long)s->cutoff[0],
                   s->way[BT_WAY_CONTINUOUS].scores[0].map.papers);
    if (s->bits)
        bt_text_append(out, ", binary %.4f (symmetric Hamming %.4f)", s->way[BT_WAY_BINARY].scores[0].map.papers,
                       s->way[BT_WAY_SYMMETRIC].scores[0].map.papers);
    if (s->accuracy >= 0) bt_text_append(out, ", accuracy %.4f", s->accuracy);
    if (s->has_free) bt_text_append(out, ", training-free %.4f", s->free[0].papers.mean);
    if (s->way[BT_WAY_RANDOM].present) bt_text_append(out, ", random %.4f", s->way[BT_WAY_RANDOM].scores[0].map.papers);
}

static void table_cell(bt_text *out, const bt_run_scores *s, const bt_scores *at) {
    if (!s->options.resamples) {
        bt_text_append(out, "  %.4f  %.4f", at->map.papers, at->map.standard);
        return;
    }
    bt_text_append(out, "  %.4f [%.3f, %.3f]  %.4f [%.3f, %.3f]", at->map.papers, at->papers.low, at->papers.high,
                   at->map.standard, at->standard.low, at->standard.high);
}

static void table_ways(bt_text *out, const bt_run_scores *s, int rank) {
    static const char *const labels[BT_WAYS] = {"binary (asymmetric)", "binary (Hamming)", "continuous",
                                                "continuous before", "random weights"};
    for (int way = 0; way < BT_WAYS; way++) {
        const bt_scored *scored = way_of(s, (bt_way)way);
        if (!scored->present) continue;
        bt_text_append(out, "%-20s", labels[way]);
        for (int c = 0; c < s->cutoffs; c++) table_cell(out, s, &scored->scores[rank * s->cutoffs + c]);
        bt_text_append(out, "\n");
    }
    if (rank > 0 || !s->has_free) return;
    bt_text_append(out, "%-20s", "training-free");
    int room = s->options.resamples ? 22 : 6;
    for (int c = 0; c < s->cutoffs; c++)
        for (int d = 0; d < 2; d++) {
            char cell[48];
            bt_spread spread = d ? s->free[c].standard : s->free[c].papers;
            snprintf(cell, sizeof cell, s->options.resamples ? "%.4f +- %.4f" : "%.4f", spread.mean, spread.deviation);
            bt_text_append(out, "  %-*s", room, cell);
        }
    bt_text_append(out, "\n");
}

/** Ranks that would repeat the rows above. */
static void table_also(bt_text *out, const bt_truth_rank *rank) {
    for (int i = 0; i < rank->also_count; i++) bt_text_append(out, "%s%s", i ? ", " : "also by ", rank->also[i]);
    if (rank->also_count) bt_text_append(out, ": the same groups\n");
}

void bt_run_scores_table(const bt_run_scores *s, bt_text *out) {
    int room = s->options.resamples ? 22 : 6;
    for (int r = 0; r < s->truth.rank_count; r++) {
        bt_text_append(out, "\n%-20s", s->truth.rank[r].name);
        for (int c = 0; c < s->cutoffs; c++) {
            char head[48];
            if (c)
                snprintf(head, sizeof head, "all");
            else
                snprintf(head, sizeof head, "%lld", (long long)s->cutoff[0]);
            char papers[64], standard[64];
            snprintf(papers, sizeof papers, "@%s papers", head);
            snprintf(standard, sizeof standard, "@%s standard", head);
            bt_text_append(out, "  %-*s  %-*s", room, papers, room, standard);
        }
        bt_text_append(out, "\n");
        table_ways(out, s, r);
        table_also(out, &s->truth.rank[r]);
    }
    if (s->free_reason[0]) bt_text_append(out, "no training-free codes: %s\n", s->free_reason);
    if (s->bits)
        bt_text_append(out, "\n%d bits: entropy %.3f, correlation %.3f (worst %.3f), %d dead, %lld distinct codes\n",
                       s->bits, s->bit_statistics.entropy, s->bit_statistics.correlation,
                       s->bit_statistics.worst_correlation, s->bit_statistics.dead,
                       (long long)s->bit_statistics.distinct);
    for (int way = 0; way < BT_WAYS; way++) {
        const bt_scored *scored = &s->way[way];
        if (scored->vote >= 0) bt_text_append(out, "%-12s kNN %.4f", bt_way_names[way], scored->vote);
        if (scored->probe >= 0) bt_text_append(out, ", linear probe %.4f", scored->probe);
        if (scored->has_effective_rank)
            bt_text_append(out, ", effective rank %.1f (entropy), %.1f (participation, centred)", scored->raw.entropy,
                           scored->centred.participation);
        if (scored->vote >= 0) bt_text_append(out, "\n");
    }
}
