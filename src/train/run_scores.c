/* The evaluation of a run: the trained encoder, then the encoder before training, then random weights, one model at a
 * time; see run_scores.h. Files are made in RUN/evaluation.partial-PID, which takes the place of RUN/evaluation when
 * all is there. */
#include "train/run_scores.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "retrieval/distance.h"
#include "train/score_sides.h"
#include "train/setup.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *const bt_way_names[BT_WAYS] = {"binary", "symmetric", "continuous", "before", "random"};

enum { PATH_BYTES = 1200, FILE_BYTES = PATH_BYTES + 64 };

typedef struct evaluation {
    const bt_run_config *config;
    const bt_run_evaluate_options *options;
    bt_setup setup;
    bt_run_scores s;
    bt_model model; /* the one at work */
    bt_session session;
    bt_embedded query, database, train;     /* of it */
    uint64_t *query_codes, *database_codes; /* of the trained encoder */
    int64_t *fit_samples;
    int64_t fit_count;
    char checkpoint[PATH_BYTES]; /* its folder */
    char folder[PATH_BYTES];     /* RUN/evaluation.partial-PID */
} evaluation;

/* ---- what is adapted ---- */

static bool trains_tower(const bt_run_config *c) {
    return c->model.train_all || strcmp(c->adapter.targets, "none") != 0;
}

/** Whether there is an encoder before training that is worth a name: adapters and heads have their base, a tower that
 * is trained whole has one if it began from given weights, which the run keeps. */
static bool has_before(const bt_run_config *c) {
    char file[FILE_BYTES];
    snprintf(file, sizeof file, "%s/start.safetensors", c->run.dir);
    return !c->model.train_all || bt_file_exists(file);
}

static bool free_of_before(const evaluation *e) {
    return has_before(e->config) && trains_tower(e->config);
}

/* ---- one model ---- */

static void close_model(evaluation *e) {
    bt_embedded_free(&e->query);
    bt_embedded_free(&e->database);
    bt_embedded_free(&e->train);
    if (e->session.device) bt_session_close(&e->session);
    bt_model_release(&e->model);
}

static bt_status load_weights(evaluation *e, bt_way way) {
    const bt_run_config *c = e->config;
    if (way == BT_WAY_RANDOM) return BT_OK;
    if (way == BT_WAY_BEFORE || e->options->untrained) return bt_run_load(c->run.dir, NULL, false, e->model.store);
    return bt_run_load(c->run.dir, e->checkpoint, c->train.ema > 0 && !e->options->raw, e->model.store);
}

static bt_status embed_one(evaluation *e, bt_way way, const char *what, const int64_t *samples, int64_t count,
                           bt_embedded *out) {
    char file[FILE_BYTES];
    bool trained = way == BT_WAY_CONTINUOUS, codes = trained && e->s.bits > 0;
    snprintf(file, sizeof file, "%s/%s%s%s_embeddings.npy", e->folder, trained ? "" : bt_way_names[way],
             trained ? "" : "_", what);
    bt_embedded_options o = {.loader = &e->setup.loader, .logits = trained, .codes = codes, .file = file};
    return bt_embedded_make(&e->session, &o, samples, count, out);
}

/** Embeddings that were made before, into the files that the embedding would have left. */
static bt_status keep_made(const evaluation *e) {
    const bt_embedded *side[] = {&e->query, &e->database};
    static const char *const what[] = {"query", "database"};
    char file[FILE_BYTES];
    for (int k = 0; k < 2 && e->s.options.embeddings; k++) {
        snprintf(file, sizeof file, "%s/%s_embeddings.npy", e->folder, what[k]);
        BT_TRY(
            bt_npy_write(file, BT_FILE_F32, 2, (const int64_t[]){side[k]->count, side[k]->width}, side[k]->embeddings));
    }
    return BT_OK;
}

static bool take_made(evaluation *e, bt_way way) {
    bt_embedded_split *made = e->options->made;
    if (way != BT_WAY_CONTINUOUS || !made || made->step != e->s.step || e->options->untrained) return false;
    e->query = made->query;
    e->database = made->database;
    *made = (bt_embedded_split){.step = -1};
    bt_log_info("scores: queries and database as the last step embedded them");
    return true;
}

/** Declares, loads, embeds: queries and database, and the images to fit to where `fit`. */
static bt_status open_model(evaluation *e, bt_way way, bool fit) {
    const bt_split *split = &e->setup.split;
    bt_session_options o = bt_setup_session(e->config, false);
    bool made = take_made(e, way);
    if (made) BT_TRY(keep_made(e));
    if (made && !fit) return BT_OK;
    BT_TRY(bt_setup_model(&e->model, e->config, (int)e->setup.data.class_count, false));
    BT_TRY(load_weights(e, way));
    BT_TRY(bt_params_commit(e->model.store, e->setup.device));
    BT_TRY(bt_session_open(&e->session, &e->model, e->setup.device, &o));
    if (e->setup.stored.values) e->session.stored = &e->setup.stored;
    if (!made) BT_TRY(embed_one(e, way, "query", split->query, split->query_count, &e->query));
    if (!made) BT_TRY(embed_one(e, way, "database", split->database, split->database_count, &e->database));
    if (!fit) return BT_OK;
    return embed_one(e, way, "train", e->fit_samples, e->fit_count, &e->train);
}

static void find_cutoffs(bt_run_scores *s) {
    s->cutoff[0] = s->options.k < s->database ? s->options.k : s->database;
    s->cutoff[1] = s->database;
    s->cutoffs = s->options.all ? 2 : 1;
}

static bt_status score_free(evaluation *e, const bt_sides *sides, const char *of) {
    e->s.free_of = of;
    e->s.train = e->train.count;
    return bt_sides_score_free(sides, &e->train, &e->s);
}

/** The trained encoder: everything. */
static bt_status score_trained(evaluation *e) {
    bt_run_scores *s = &e->s;
    bt_sides sides;
    bool hash = s->options.baselines && !free_of_before(e);
    BT_TRY(open_model(e, BT_WAY_CONTINUOUS, hash || s->full));
    BT_TRY(bt_sides_open(s, &e->query, &e->database, &sides));
    find_cutoffs(s);
    for (int way = s->bits ? BT_WAY_BINARY : BT_WAY_CONTINUOUS; way <= BT_WAY_CONTINUOUS; way++)
        BT_TRY(bt_sides_score(&sides, (bt_way)way, s));
    BT_TRY(bt_sides_describe(&sides, s));
    if (!s->bits && !s->query_sets) s->accuracy = bt_embedded_accuracy(&e->query, e->setup.data.labels);
    if (s->full) BT_TRY(bt_sides_probe(&sides, &e->train, BT_WAY_CONTINUOUS, s));
    if (hash) BT_TRY(score_free(e, &sides, has_before(e->config) ? "before" : "after"));
    if (!s->bits) return BT_OK;
    size_t words = (size_t)(s->bits + 63) / 64;
    e->query_codes = bt_memory_alloc((size_t)s->queries * words, sizeof *e->query_codes);
    if (!e->query_codes) return BT_ERR_MEMORY;
    bt_codes_of(e->query.logits, s->queries, s->bits, e->query_codes);
    e->database_codes = e->database.codes; /* codes outlive the model */
    e->database.codes = NULL;
    return BT_OK;
}

static bt_status score_baseline(evaluation *e, bt_way way) {
    bt_run_scores *s = &e->s;
    bt_sides sides;
    bool hash = way == BT_WAY_BEFORE, probe = s->full && way == BT_WAY_BEFORE;
    BT_TRY(open_model(e, way, hash || probe));
    BT_TRY(bt_sides_open(s, &e->query, &e->database, &sides));
    BT_TRY(bt_sides_score(&sides, way, s));
    if (probe) BT_TRY(bt_sides_probe(&sides, &e->train, way, s));
    return hash ? score_free(e, &sides, "before") : BT_OK;
}

/* ---- all of them ---- */

/** Training images to fit to: all, or as many as asked for, evenly spaced (classes follow one another). */
static bt_status choose_fit(evaluation *e) {
    const bt_split *split = &e->setup.split;
    int64_t wanted = e->s.options.fit, all = split->train_count;
    e->fit_count = wanted > 0 && wanted < all ? wanted : all;
    e->fit_samples = bt_memory_alloc((size_t)e->fit_count, sizeof *e->fit_samples);
    if (!e->fit_samples) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < e->fit_count; i++)
        e->fit_samples[i] = split->train[(int64_t)((double)i * (double)all / (double)e->fit_count)];
    return BT_OK;
}

static bt_status score_all(evaluation *e) {
    bt_status status = score_trained(e);
    close_model(e);
    if (status == BT_OK && e->s.options.baselines && free_of_before(e)) {
        status = score_baseline(e, BT_WAY_BEFORE);
        close_model(e);
    }
    if (status == BT_OK && e->s.options.baselines && !e->setup.stored.values) { /* stored embeddings have no tower */
        status = score_baseline(e, BT_WAY_RANDOM);
        close_model(e);
    }
    return status;
}

static bt_status copy_state(evaluation *e) {
    bt_run_scores *s = &e->s;
    const bt_run_config *c = e->config;
    const char *slash = strrchr(e->checkpoint, '/');
    s->run = bt_memory_copy_text(c->run.dir);
    s->checkpoint = bt_memory_copy_text(slash ? slash + 1 : "");
    if (e->setup.data.pack) s->pack = bt_memory_copy_text(e->setup.data.name);
    if (!s->run || !s->checkpoint || (e->setup.data.pack && !s->pack)) return BT_ERR_MEMORY;
    s->method = e->setup.model.method;
    s->bits = s->method->codes ? c->method.bits : 0;
    s->width = bt_vit_output(&e->setup.model.vit.config);
    s->options = c->eval;
    s->options.taxonomy = ""; /* borrowed from the configuration */
    s->full = c->eval.full;
    s->untrained = e->options->untrained;
    s->frozen = !trains_tower(c);
    s->accuracy = -1;
    for (int way = 0; way < BT_WAYS; way++) s->way[way].vote = s->way[way].probe = -1;
    if (e->options->untrained) return BT_OK;
    bt_train_state state;
    char *config = NULL;
    BT_TRY(bt_checkpoint_state(e->checkpoint, &state, &config));
    bt_memory_free(config);
    s->step = state.step;
    return BT_OK;
}

static bt_status run(evaluation *e) {
    BT_TRY(bt_setup_open(&e->setup, e->config));
    BT_TRY(copy_state(e));
    bt_model_release(&e->setup.model); /* each encoder is declared for itself */
    BT_TRY(bt_truth_open(&e->setup.data, e->config->eval.taxonomy, &e->s.truth));
    BT_TRY(choose_fit(e));
    return score_all(e);
}

/* ---- files ---- */

/** Removes what killed evaluations left. */
static void clear_partial(const char *run) {
    char path[FILE_BYTES + 256];
    DIR *d = opendir(run);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        if (strncmp(entry->d_name, "evaluation.partial-", 19) != 0 &&
            strncmp(entry->d_name, "evaluation.old-", 15) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", run, entry->d_name);
        if (bt_file_remove_folder(path) != BT_OK) bt_log_warn("%s", bt_error_message());
    }
    if (d) closedir(d);
}

/** The new folder in place of the one that is there. */
static bt_status publish(const evaluation *e) {
    char final[PATH_BYTES], old[PATH_BYTES];
    snprintf(final, sizeof final, "%s/evaluation", e->config->run.dir);
    snprintf(old, sizeof old, "%s/evaluation.old-%ld", e->config->run.dir, (long)getpid());
    BT_TRY(bt_file_sync_folder(e->folder));
    if (rename(final, old) != 0 && errno != ENOENT) return bt_file_error("rename", final, errno);
    if (rename(e->folder, final) != 0) return bt_file_error("rename", e->folder, errno);
    BT_TRY(bt_file_remove_folder(old));
    return bt_file_sync_folder(e->config->run.dir);
}

static bt_status drop_embeddings(const evaluation *e) {
    static const char *const names[] = {"train",        "before_query",    "before_database", "before_train",
                                        "random_query", "random_database", "query",           "database"};
    int count = e->s.options.embeddings ? 6 : 8;
    char file[FILE_BYTES];
    for (int i = 0; i < count; i++) {
        snprintf(file, sizeof file, "%s/%s_embeddings.npy", e->folder, names[i]);
        if (unlink(file) != 0 && errno != ENOENT) return bt_file_error("remove", file, errno);
    }
    return BT_OK;
}

static bt_status write_files(evaluation *e) {
    char path[PATH_BYTES];
    bt_text json = {0};
    BT_TRY(drop_embeddings(e));
    bt_status status = bt_run_scores_files(&e->s, &e->setup.data, e->query_codes, e->database_codes, e->folder);
    if (status == BT_OK) status = bt_run_scores_json(&e->s, &json);
    if (status == BT_OK) status = publish(e);
    snprintf(path, sizeof path, "%s/evaluation.json", e->config->run.dir);
    if (status == BT_OK) status = bt_file_write(path, bt_text_get(&json), json.length);
    bt_text_free(&json);
    return status;
}

bt_status bt_run_evaluate(const bt_run_config *config, const bt_run_evaluate_options *options, bt_run_scores *out) {
    evaluation e = {.config = config, .options = options};
    double start = bt_clock_seconds();
    if (!options->untrained)
        BT_TRY(bt_checkpoint_find(config->run.dir, options->checkpoint, e.checkpoint, sizeof e.checkpoint));
    if (snprintf(e.folder, sizeof e.folder, "%s/evaluation.partial-%ld", config->run.dir, (long)getpid()) >=
        PATH_BYTES - 40)
        return bt_error(BT_ERR_CONFIG, "run.dir: a path of more than %d bytes", PATH_BYTES - 80);
    clear_partial(config->run.dir);
    bt_status status = bt_file_make_folders(e.folder);
    if (status == BT_OK) status = run(&e);
    e.s.seconds = bt_clock_seconds() - start;
    if (status == BT_OK && !options->untrained) status = write_files(&e);
    if (status == BT_ERR_INTERRUPTED)
        status = bt_error_prefix(status, "the training is saved; bittern eval %s makes its scores", config->run.dir);
    close_model(&e);
    bt_memory_free(e.query_codes);
    bt_memory_free(e.database_codes);
    bt_memory_free(e.fit_samples);
    bt_setup_close(&e.setup);
    clear_partial(config->run.dir);
    if (status == BT_OK)
        *out = e.s;
    else
        bt_run_scores_free(&e.s);
    return status;
}

void bt_run_scores_free(bt_run_scores *s) {
    for (int way = 0; way < BT_WAYS; way++) {
        bt_memory_free(s->way[way].scores);
        bt_memory_free(s->way[way].average_precision);
        bt_memory_free(s->way[way].curve);
    }
    for (int r = 0; r < BT_TRUTH_RANKS; r++) bt_memory_free(s->confusion[r].share);
    void *const owned[] = {s->run,          s->checkpoint,      s->pack,       s->query_samples, s->database_samples,
                           s->query_labels, s->database_labels, s->query_sets, s->database_sets, s->ones,
                           s->correlation,  s->neighbours,      s->distances};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) bt_memory_free(owned[i]);
    bt_truth_free(&s->truth);
    *s = (bt_run_scores){.queries = 0};
}
