/* bittern hash: codes without training for any embeddings (Hashing-Baseline), and their scores beside those of the
 * embeddings themselves. */
#include "base/memory.h"
#include "cli/cli.h"
#include "formats/json.h"
#include "retrieval/embedding_file.h"
#include "retrieval/knn.h"
#include "retrieval/scores_json.h"
#include "retrieval/training_free.h"

#include <stdio.h>
#include <string.h>

typedef struct hash_flags {
    const char *labels, *query, *query_labels, *train, *out;
    bt_int_list bits;
    bt_string_list method;
    int rotations, itq_iterations, neighbours;
    int64_t seed, k;
    double temperature;
    bool randomised, json;
} hash_flags;

static const bt_option hash_options[] = {
    BT_OPTION_STRING(hash_flags, labels, "",
                     ".npy or HDF5 (FILE.h5:NAME): class numbers (items), or rows of 0 and 1 (items, labels); without: "
                     "codes and bit statistics only"),
    BT_OPTION_STRING(hash_flags, query, "",
                     ".npy or HDF5 of the queries' embeddings; without: every item against all others"),
    BT_OPTION_STRING(hash_flags, query_labels, "", "as --labels"),
    BT_OPTION_STRING(hash_flags, train, "",
                     ".npy or HDF5 of embeddings that components and rotations are learned from; without: EMBEDDINGS"),
    BT_OPTION_INTS(hash_flags, bits, "16,32,64", 1, 65536, "bits of a code"),
    BT_OPTION_STRINGS(hash_flags, method, "pca,rotation,itq",
                      "pca, rotation (the published baseline), itq, lsh (random planes)"),
    BT_OPTION_INT(hash_flags, rotations, "10", 1, 10000, "draws of every method but pca"),
    BT_OPTION_INT(hash_flags, itq_iterations, "50", 1, 100000, "of itq"),
    BT_OPTION_I64(hash_flags, seed, "1", 0, 9e15, "of rotations, planes and randomised components"),
    BT_OPTION_I64(hash_flags, k, "0", 0, 9e15,
                  "mAP@k; 0: the whole database (papers: 1000 or 5000 for pictures, all for sound)"),
    BT_OPTION_INT(hash_flags, neighbours, "0", 0, 1000000,
                  "also the accuracy of a vote of so many neighbours (papers: 200); 0: no vote"),
    BT_OPTION_DOUBLE(hash_flags, temperature, "0.07", 1e-3, 1e6,
                     "of that vote: weight exp((cosine - 1) / temperature)"),
    BT_OPTION_BOOL(hash_flags, randomised, "false",
                   "components by torch.pca_lowrank's method, as the papers' script; without: exact"),
    BT_OPTION_STRING(
        hash_flags, out, "",
        ".npy for the codes of draw 0: u8, 8 bits a byte, low bit first (numpy.unpackbits bitorder='little'); "
        "with several methods or bits -METHOD-BITS goes before .npy"),
    BT_OPTION_BOOL(hash_flags, json, "false", "prints one JSON object"),
};
static const bt_option_table hash_table = BT_OPTION_TABLE("bittern hash", hash_options);

typedef struct hashing {
    const hash_flags *flags;
    bt_embedding_file embeddings, query_file, train_file;
    bt_label_file labels, query_labels;
    bt_training_free methods[4];
    int method_count;
    bt_items database, queries, train; /* queries.values NULL: nothing to score */
    bt_relevance relevance;
    bt_pca pca; /* exact: with the most components that are asked for */
    bt_map continuous;
    double continuous_vote;
    bt_json_writer json;
    bt_text text;
} hashing;

/* ---- input ---- */

static bt_status read_methods(hashing *h) {
    const bt_string_list *wanted = &h->flags->method;
    const char *names[] = {"pca", "rotation", "itq", "lsh"};
    for (int i = 0; i < wanted->count; i++) {
        int m = 0;
        while (m < 4 && strcmp(wanted->items[i], names[m]) != 0) m++;
        if (m == 4) {
            const char *nearest = bt_text_nearest(wanted->items[i], names, 4);
            return bt_error(BT_ERR_USAGE, "--method: \"%s\" is unknown; allowed: pca, rotation, itq, lsh%s%s%s",
                            wanted->items[i], nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                            nearest ? "\"?" : "");
        }
        for (int j = 0; j < h->method_count; j++)
            if (h->methods[j] == (bt_training_free)m)
                return bt_error(BT_ERR_USAGE, "--method: %s is there twice", names[m]);
        h->methods[h->method_count++] = (bt_training_free)m;
    }
    if (h->method_count == 0 || h->flags->bits.count == 0)
        return bt_error(BT_ERR_USAGE, "--method and --bits need one value or more");
    return BT_OK;
}

static bt_status check_flags(const hash_flags *f) {
    if (!f->query[0] != !f->query_labels[0])
        return bt_error(BT_ERR_USAGE, "--query and --query-labels go together; %s is missing",
                        f->query[0] ? "--query-labels" : "--query");
    if (f->query[0] && !f->labels[0])
        return bt_error(BT_ERR_USAGE, "--query needs --labels, the labels of the database");
    if (f->neighbours && !f->labels[0]) return bt_error(BT_ERR_USAGE, "--neighbours needs --labels");
    return BT_OK;
}

static bt_status check_labels(const char *path, const bt_label_file *labels, const bt_embedding_file *items,
                              const bt_label_file *others) {
    if (labels->count != items->count)
        return bt_error(BT_ERR_SHAPE, "%s has %lld labels, %s %lld embeddings", path, (long long)labels->count,
                        items->file.path, (long long)items->count);
    if (labels->columns != others->columns)
        return bt_error(BT_ERR_SHAPE, "%s has %lld columns of labels, the database's labels %lld (0: class numbers)",
                        path, (long long)labels->columns, (long long)others->columns);
    return BT_OK;
}

static bt_items items_of(const bt_embedding_file *file, const bt_label_file *labels) {
    return (bt_items){.count = file->count, .width = file->width, .values = file->values, .labels = labels->classes};
}

static bt_status check_widths(const hashing *h) {
    int width = h->embeddings.width;
    if (h->query_file.values && h->query_file.width != width)
        return bt_error(BT_ERR_SHAPE, "%s has width %d, %s %d", h->flags->query, h->query_file.width,
                        h->embeddings.file.path, width);
    if (h->train_file.values && h->train_file.width != width)
        return bt_error(BT_ERR_SHAPE, "%s has width %d, %s %d", h->flags->train, h->train_file.width,
                        h->embeddings.file.path, width);
    for (int i = 0; i < h->flags->bits.count; i++)
        for (int m = 0; m < h->method_count; m++)
            if (h->flags->bits.items[i] > width && h->methods[m] != BT_FREE_LSH)
                return bt_error(BT_ERR_SHAPE, "--bits %d: %s gives at most as many bits as the embeddings are wide, %d",
                                h->flags->bits.items[i], bt_training_free_name(h->methods[m]), width);
    return BT_OK;
}

static bt_status read_files(const char *path, hashing *h) {
    const hash_flags *f = h->flags;
    BT_TRY(bt_embedding_file_open(path, &h->embeddings));
    if (f->train[0]) BT_TRY(bt_embedding_file_open(f->train, &h->train_file));
    if (f->query[0]) BT_TRY(bt_embedding_file_open(f->query, &h->query_file));
    BT_TRY(check_widths(h));
    if (f->labels[0]) {
        BT_TRY(bt_label_file_open(f->labels, &h->labels));
        BT_TRY(check_labels(f->labels, &h->labels, &h->embeddings, &h->labels));
    }
    if (f->query_labels[0]) {
        BT_TRY(bt_label_file_open(f->query_labels, &h->query_labels));
        BT_TRY(check_labels(f->query_labels, &h->query_labels, &h->query_file, &h->labels));
    }
    if (f->neighbours && h->labels.sets)
        return bt_error(BT_ERR_USAGE, "--neighbours needs class numbers; %s has rows of labels", f->labels);
    h->database = items_of(&h->embeddings, &h->labels);
    h->train = h->train_file.values ? items_of(&h->train_file, &h->labels) : h->database;
    const bt_label_file *of_queries = f->query[0] ? &h->query_labels : &h->labels;
    if (f->labels[0]) h->queries = f->query[0] ? items_of(&h->query_file, of_queries) : h->database;
    h->relevance =
        (bt_relevance){of_queries->classes, h->labels.classes, of_queries->sets, h->labels.sets, h->labels.words};
    return BT_OK;
}

/* ---- scores ---- */

static int64_t k_of(const hash_flags *f) {
    return f->k ? f->k : INT64_MAX;
}

static bt_status score_continuous(hashing *h) {
    int64_t k = k_of(h->flags);
    bool leave_one_out = !h->flags->query[0];
    bt_score_options options = {.distance = BT_COSINE, .k = &k, .k_count = 1, .leave_one_out = leave_one_out};
    bt_scores scores;
    BT_TRY(bt_score(&h->queries, &h->database, &h->relevance, 1, &options, &scores, NULL));
    h->continuous = scores.map;
    if (!h->flags->neighbours) return BT_OK;
    bt_knn_options knn = {BT_COSINE, h->flags->neighbours, h->flags->temperature, leave_one_out};
    return bt_knn_accuracy(&h->queries, &h->database, &knn, NULL, &h->continuous_vote);
}

static bt_status fit(hashing *h, int64_t count) {
    bt_pca_free(&h->pca);
    int64_t most = count < h->train.width
                       ? count
                       : h->train.width; /* lsh may have more bits than there are components; it needs the mean */
    if (h->flags->randomised && most <= h->train.count)
        return bt_pca_randomised(h->train.values, h->train.count, h->train.width, most, 0, 2, (uint64_t)h->flags->seed,
                                 &h->pca);
    return bt_pca_exact(h->train.values, h->train.count, h->train.width, most, &h->pca);
}

/** codes.npy, or codes-METHOD-BITS.npy if there are several. */
static bt_status write_codes(const hashing *h, bt_training_free method, int bits, const uint64_t *codes) {
    const char *out = h->flags->out, *dot = strrchr(out, '.');
    size_t stem = dot && !strchr(dot, '/') ? (size_t)(dot - out) : strlen(out);
    int64_t bytes = (bits + 7) / 8, words = (bits + 63) / 64, dim[] = {h->database.count, bytes};
    unsigned char *rows = bt_memory_alloc((size_t)(dim[0] * bytes), 1);
    if (!rows) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < dim[0]; i++)
        for (int64_t b = 0; b < bytes; b++)
            rows[i * bytes + b] = (unsigned char)(codes[i * words + b / 8] >> (8 * (b % 8)));
    bt_text path = {0};
    bt_text_append_bytes(&path, out, stem);
    if (h->method_count * h->flags->bits.count > 1)
        bt_text_append(&path, "-%s-%d", bt_training_free_name(method), bits);
    bt_text_append(&path, "%s", out + stem);
    bt_status status = bt_text_status(&path);
    if (status == BT_OK) status = bt_npy_write(bt_text_get(&path), BT_FILE_U8, 2, dim, rows);
    bt_text_free(&path);
    bt_memory_free(rows);
    return status;
}

/* ---- output ---- */

static void json_row(hashing *h, bt_training_free method, const bt_free_scores *s) {
    bt_json_writer *w = &h->json;
    bt_json_begin_object(w);
    bt_json_member_string(w, "method", bt_training_free_name(method));
    bt_json_member_integer(w, "bits", s->bits.bits);
    if (h->queries.values) {
        bt_json_member_integer(w, "draws", s->draws);
        bt_json_member_spread(w, "map_papers", s->papers);
        bt_json_member_spread(w, "map_standard", s->standard);
        bt_json_member_spread(w, "map_hamming_papers", s->symmetric_papers);
        bt_json_member_spread(w, "map_hamming_standard", s->symmetric_standard);
        if (method != BT_FREE_LSH) bt_json_member_map(w, "map_components", s->components);
        if (h->flags->neighbours) bt_json_member_spread(w, "vote", s->neighbours);
    }
    bt_json_member_integer(w, "distinct_codes", s->bits.distinct);
    bt_json_member_integer(w, "dead_bits", s->bits.dead);
    bt_json_member_number(w, "bit_entropy", s->bits.entropy);
    bt_json_member_number(w, "bit_imbalance", s->bits.imbalance);
    bt_json_member_number(w, "bit_correlation", s->bits.correlation);
    bt_json_member_number(w, "code_entropy", s->bits.code_entropy);
    bt_json_end(w);
}

static void print_spread(bt_spread spread, int draws) {
    if (draws > 1)
        printf("  %.4f +- %.4f", spread.mean, spread.deviation);
    else
        printf("  %.4f          ", spread.mean);
}

static void print_row(const hashing *h, bt_training_free method, const bt_free_scores *s) {
    printf("%-11s %5d", bt_training_free_name(method), s->bits.bits);
    if (h->queries.values) {
        print_spread(s->papers, s->draws);
        print_spread(s->standard, s->draws);
        print_spread(s->symmetric_papers, s->draws);
        if (h->flags->neighbours) print_spread(s->neighbours, s->draws);
    }
    printf("  %9lld  %.3f  %.3f\n", (long long)s->bits.distinct, s->bits.entropy, s->bits.correlation);
    fflush(stdout);
}

static void print_head(const hashing *h) {
    const hash_flags *f = h->flags;
    printf("%lld embeddings of width %d; components from %lld, %s\n", (long long)h->database.count, h->database.width,
           (long long)h->train.count, f->randomised ? "randomised" : "exact");
    if (h->queries.values) {
        printf("%lld queries%s, ", (long long)h->queries.count,
               f->query[0] ? "" : " (each left out of its own ranking)");
        if (f->k)
            printf("mAP@%lld", (long long)f->k);
        else
            printf("mAP@all");
        printf("; papers divide by the relevant items retrieved, standard by those there are\n");
    }
    printf("\n%-11s %5s", "", "bits");
    if (h->queries.values) printf("  %-16s  %-16s  %-16s", "mAP papers", "mAP standard", "Hamming, papers");
    if (f->neighbours) printf("  %-16s", "vote");
    printf("  %9s  %5s  %5s\n", "distinct", "H", "corr");
    if (!h->queries.values) return;
    printf("%-11s %5s  %.4f            %.4f            %-16s", "continuous", "f32", h->continuous.papers,
           h->continuous.standard, "");
    if (f->neighbours) printf("  %.4f", h->continuous_vote);
    printf("\n");
    fflush(stdout);
}

static void json_head(hashing *h) {
    h->json = bt_json_write_to(&h->text, true);
    bt_json_writer *w = &h->json;
    bt_json_begin_object(w);
    bt_json_member_integer(w, "database", h->database.count);
    bt_json_member_integer(w, "width", h->database.width);
    bt_json_member_integer(w, "train", h->train.count);
    bt_json_member_bool(w, "randomised", h->flags->randomised);
    bt_json_member_integer(w, "seed", h->flags->seed);
    if (h->queries.values) {
        int64_t most = h->database.count - (h->flags->query[0] ? 0 : 1);
        bt_json_member_integer(w, "queries", h->queries.count);
        bt_json_member_bool(w, "leave_one_out", !h->flags->query[0]);
        bt_json_member_integer(w, "k", k_of(h->flags) < most ? k_of(h->flags) : most);
        bt_json_member_map(w, "map_continuous", h->continuous);
        if (h->flags->neighbours) bt_json_member_number(w, "vote_continuous", h->continuous_vote);
    }
    bt_json_key(w, "codes");
    bt_json_begin_array(w);
}

/* ---- the command ---- */

static bt_status hash_one(hashing *h, bt_training_free method, int bits) {
    const hash_flags *f = h->flags;
    bool scored = h->queries.values != NULL;
    bt_free_options o = {.method = method,
                         .bits = bits,
                         .draws = f->rotations,
                         .seed = (uint64_t)f->seed,
                         .itq_iterations = f->itq_iterations,
                         .k = k_of(f),
                         .neighbours = f->neighbours,
                         .temperature = f->temperature,
                         .leave_one_out = !f->query[0],
                         .components = true};
    uint64_t *codes = bt_memory_alloc((size_t)h->database.count * (((size_t)bits + 63) / 64), sizeof *codes);
    if (!codes) return BT_ERR_MEMORY;
    bt_free_scores scores;
    bt_status status = bt_training_free_score(&o, &h->pca, h->train.values, h->train.count, scored ? &h->queries : NULL,
                                              &h->database, scored ? &h->relevance : NULL, codes, &scores);
    if (status == BT_OK && f->out[0]) status = write_codes(h, method, bits, codes);
    if (status == BT_OK && f->json) json_row(h, method, &scores);
    if (status == BT_OK && !f->json) print_row(h, method, &scores);
    bt_memory_free(codes);
    return status;
}

static bt_status hash_all(hashing *h) {
    const bt_int_list *bits = &h->flags->bits;
    int most = 0;
    for (int i = 0; i < bits->count; i++) most = bits->items[i] > most ? bits->items[i] : most;
    if (h->queries.values) BT_TRY(score_continuous(h));
    if (h->flags->json)
        json_head(h);
    else
        print_head(h);
    if (!h->flags->randomised) BT_TRY(fit(h, most)); /* the components of fewer bits are the first of these */
    for (int i = 0; i < bits->count; i++) {
        if (h->flags->randomised) BT_TRY(fit(h, bits->items[i]));
        for (int m = 0; m < h->method_count; m++) BT_TRY(hash_one(h, h->methods[m], bits->items[i]));
    }
    if (!h->flags->json) return BT_OK;
    bt_json_end(&h->json);
    bt_json_end(&h->json);
    return bt_json_finish_to(&h->json, stdout, "standard output");
}

static bt_status hash(const bt_arguments *a) {
    hashing h = {.flags = a->flags};
    BT_TRY(check_flags(h.flags));
    BT_TRY(read_methods(&h));
    bt_status status = read_files(a->operand[0], &h);
    if (status == BT_OK) status = hash_all(&h);
    bt_pca_free(&h.pca);
    bt_embedding_file_close(&h.embeddings);
    bt_embedding_file_close(&h.query_file);
    bt_embedding_file_close(&h.train_file);
    bt_label_file_close(&h.labels);
    bt_label_file_close(&h.query_labels);
    bt_text_free(&h.text);
    return status;
}

const bt_command bt_command_hash = {"hash",
                                    "EMBEDDINGS.npy | FILE.h5:NAME",
                                    "codes without training for any embeddings, and their scores",
                                    1,
                                    1,
                                    &hash_table,
                                    sizeof(hash_flags),
                                    false,
                                    hash};
