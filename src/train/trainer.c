/* The training loop: batches in, steps, one line an interval, checkpoints, scores every few epochs and at the end. */
#include "train/trainer.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/history.h"
#include "train/interrupt.h"
#include "train/metrics.h"
#include "train/progress.h"
#include "train/provenance.h"
#include "train/run_report.h"
#include "train/run_scores.h"
#include "train/schedule.h"
#include "train/setup.h"
#include "train/start.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct trainer {
    const bt_run_config *config;
    const bt_train_options *options;
    bt_setup setup;
    bt_session session;
    bt_train_state state;
    bt_loader *loader;     /* or, for steps on embeddings: */
    bt_view_cache encoded; /* of pictures; stored ones are in `setup` */
    bt_cached_batches cached;
    bt_metrics metrics;
    int64_t batches, total; /* of an epoch, of the run */
    double started, interval_start, seconds_before;
    bt_loader_times interval_times;
    int64_t interval_images;
    bt_history history;
    bt_progress progress;
    bool stopped;           /* early: patience is over */
    double loss;            /* of the last step */
    bt_embedded_split made; /* for the scores at the end */
} trainer;

/* ---- start ---- */

/** Fills the model from the newest checkpoint and its state; BT_ERR_CONFIG when the configuration has changed. */
static bt_status restore(trainer *t, char *checkpoint, size_t bytes) {
    const char *run = t->config->run.dir;
    if (!bt_checkpoint_newest(run, checkpoint, bytes)) {
        bt_log_info("resume: %s has no checkpoint yet; starting from the beginning", run);
        return BT_OK;
    }
    char *saved = NULL;
    BT_TRY(bt_checkpoint_state(checkpoint, &t->state, &saved));
    bt_text defaults = {0};
    bt_status status = bt_run_config_default_json(&defaults);
    if (status == BT_OK) status = bt_config_compare(checkpoint, saved, t->options->config, bt_text_get(&defaults));
    bt_text_free(&defaults);
    bt_memory_free(saved);
    BT_TRY(status);
    BT_TRY(bt_run_load(run, checkpoint, false, t->setup.model.store));
    const char *weights = t->config->model.weights;
    if (*weights)
        bt_log_info("resume: model.weights: %s is not %s: the run has its weights itself", weights,
                    bt_file_exists(weights) ? "read again" : "there any more");
    return BT_OK;
}

/** A new run: its weights, and what makes it readable without the configuration file. */
static bt_status begin(trainer *t) {
    const char *run = t->config->run.dir;
    char path[1100];
    bool taken;
    BT_TRY(bt_start_weights(t->config, &t->setup.model, &taken));
    BT_TRY(bt_base_save(run, t->setup.model.store, taken));
    snprintf(path, sizeof path, "%s/config.yaml", run);
    return bt_file_write(path, t->options->yaml, strlen(t->options->yaml));
}

/** Metrics for appending, the scores so far from them, and links as a kill may have left them. */
static bt_status open_history(trainer *t) {
    const char *run = t->config->run.dir;
    BT_TRY(bt_metrics_open(&t->metrics, run, t->state.step));
    BT_TRY(bt_history_read(run, bt_best_key((bt_best)t->config->run.best, t->setup.model.method), &t->history));
    t->loss = t->history.loss;
    int64_t best = t->history.best_step;
    if (best >= 0 && bt_checkpoint_exists(run, best))
        BT_TRY(bt_checkpoint_point(run, "best", best));
    else if (best >= 0)
        bt_log_warn("resume: the best checkpoint, of step %lld, is not there any more", (long long)best);
    if (t->state.step > 0) BT_TRY(bt_checkpoint_point(run, "last", t->state.step));
    if (t->history.last_step != t->state.step) return BT_OK;
    t->state.loss_sum = 0; /* the scores of this step were made after it was saved */
    t->state.loss_count = 0;
    return BT_OK;
}

static bt_status prepare_run(trainer *t) {
    const char *run = t->config->run.dir;
    char checkpoint[1024] = "", path[1100];
    snprintf(path, sizeof path, "%s/checkpoints", run);
    if (!t->options->resume && bt_checkpoint_newest(run, checkpoint, sizeof checkpoint))
        return bt_error(BT_ERR_CONFIG,
                        "run.dir: %s already holds a run; continue it with --resume, or choose another folder", run);
    BT_TRY(bt_file_make_folders(path));
    bt_checkpoint_rotate(run, t->config->run.keep);
    *checkpoint = 0;
    if (t->options->resume) BT_TRY(restore(t, checkpoint, sizeof checkpoint));
    if (!*checkpoint) BT_TRY(begin(t));
    t->state.has_base = bt_base_crc(t->setup.model.store, &t->state.base_crc);
    BT_TRY(bt_params_commit(t->setup.model.store, t->setup.device));
    if (*checkpoint) BT_TRY(bt_checkpoint_load_optimizer(checkpoint, t->setup.model.store));
    bt_session_options o = bt_setup_session(t->config, true);
    BT_TRY(bt_session_open(&t->session, &t->setup.model, t->setup.device, &o));
    if (t->setup.stored.values) t->session.stored = &t->setup.stored;
    memcpy(t->session.updates, t->state.updates, sizeof t->state.updates);
    BT_TRY(bt_provenance_append(run, t->setup.device, t->state.step));
    return open_history(t);
}

static bt_status check_batches(trainer *t, int64_t images) {
    if (t->batches < 1)
        return bt_error(BT_ERR_CONFIG,
                        "train.batch is %d, but there are %lld training images; lower train.batch or raise data.train",
                        t->config->train.batch, (long long)images);
    t->total = t->batches * t->config->train.epochs;
    return BT_OK;
}

/** Batches of embeddings; those of pictures are made in start_cache, when the device has been announced. */
static bt_status start_loader(trainer *t) {
    bt_loader_options o = t->setup.loader;
    o.samples = t->setup.split.train;
    o.count = t->setup.split.train_count;
    o.training = true;
    o.epochs = t->config->train.epochs;
    o.start_epoch = t->state.epoch;
    o.start_batch = t->state.batch;
    t->batches = bt_loader_batches(&o);
    BT_TRY(check_batches(t, o.count));
    return t->state.step >= t->total || t->session.options.cached ? BT_OK : bt_loader_new(&o, &t->loader);
}

static bt_status start_cache(trainer *t) {
    const bt_split *split = &t->setup.split;
    bool stored = t->setup.stored.values != NULL;
    if (!t->session.options.cached || t->state.step >= t->total) return BT_OK;
    bt_loader_options o = t->setup.loader;
    o.samples = split->train;
    o.count = split->train_count;
    if (!stored) BT_TRY(bt_view_cache_encode(&t->session, &o, t->config->train.cached_views, &t->encoded));
    BT_TRY(bt_cached_batches_new(stored ? &t->setup.stored : &t->encoded, &t->setup.data, split->train,
                                 split->train_count, t->config->train.batch, t->config->method.views,
                                 (uint64_t)t->config->run.seed, &t->cached));
    t->batches = t->cached.count / t->config->train.batch; /* damaged pictures may be missing */
    return check_batches(t, t->cached.count);
}

static void announce(trainer *t) {
    char device[256];
    t->setup.device->backend->describe(t->setup.device, device, sizeof device);
    bt_log_info("device: %s", device);
    if (!t->setup.device->backend->fast_dtype(t->setup.device, t->session.options.compute))
        bt_log_warn("run.dtype %s is emulated on this device: right, but slower than f32",
                    bt_dtype_name(t->session.options.compute));
    bt_log_info("memory: parameters %.1f MB, optimizer %.1f MB, activations %.1f MB",
                (double)bt_params_bytes(t->setup.model.store) / 1e6,
                (double)bt_params_optimizer_bytes(t->setup.model.store) / 1e6, (double)t->session.block_bytes / 1e6);
    size_t used;
    if (t->setup.device->backend->memory_used && t->setup.device->backend->memory_used(t->setup.device, &used) == BT_OK)
        bt_log_info("memory of the device in use, copies of frozen weights and libraries included: %.1f MB",
                    (double)used / 1e6);
    bt_log_info("data: %lld classes, %lld training, %lld query, %lld database images; %lld steps in %d epochs",
                (long long)t->setup.data.class_count, (long long)t->setup.split.train_count,
                (long long)t->setup.split.query_count, (long long)t->setup.split.database_count, (long long)t->total,
                t->config->train.epochs);
}

/* ---- saving and telling ---- */

static bt_status save(trainer *t) {
    memcpy(t->state.updates, t->session.updates, sizeof t->state.updates);
    t->state.seconds = t->seconds_before + bt_clock_seconds() - t->started;
    return bt_checkpoint_save(t->config->run.dir, t->setup.model.store, &t->state, t->options->config,
                              t->config->run.keep);
}

static bt_loader_times times_of(const trainer *t) {
    return t->loader ? bt_loader_read_times(t->loader) : (bt_loader_times){.wait_seconds = 0};
}

/** Rate of a group at this step: the same cosine from its own start, down to the same end. */
static double group_rate(const trainer *t, double own) {
    const bt_optim_section *o = &t->config->optim;
    return bt_cosine_rate(own > 0 ? own : o->lr, o->lr_min, t->state.step, t->total, o->warmup);
}

/** The line of an interval: into the log where there is no progress line, into metrics.jsonl always. */
static bt_status log_step(trainer *t, const bt_step_result *r, const bt_step_rates *rates) {
    bt_loader_times times = times_of(t);
    double now = bt_clock_seconds(), passed = now - t->interval_start;
    bt_step_notes n = {.lr = bt_cosine_rate(t->config->optim.lr, t->config->optim.lr_min, rates->step, t->total,
                                            t->config->optim.warmup),
                       .lr_group = {rates->lr[0], rates->lr[1]},
                       .views_per_s = (double)t->interval_images / passed,
                       .waiting = bt_waited(&t->interval_times, &times) / passed,
                       .guilty = bt_guilty_stage(&t->interval_times, &times)};
    double left = (double)(t->total - t->state.step) * passed /
                  ((double)t->interval_images / t->config->train.batch / t->config->method.views);
    char terms[128] = "";
    for (int i = 0; i < r->terms && r->terms > 1; i++)
        snprintf(terms + strlen(terms), sizeof terms - strlen(terms), " %s %.4f", r->name[i], (double)r->value[i]);
    bool blame = n.waiting >= 0.005 && *n.guilty;
    if (!bt_log_status_width())
        bt_log_info(
            "step %lld/%lld epoch %lld/%d%s loss %.4f%s lr %.2e  %.1f views/s, waiting %.0f %%%s%s%s, %.0f s left",
            (long long)t->state.step, (long long)t->total, (long long)((t->state.step - 1) / t->batches) + 1,
            t->config->train.epochs, rates->head_only ? " (head)" : "", r->loss, terms, n.lr, n.views_per_s,
            n.waiting * 100, blame ? " (" : "", blame ? n.guilty : "", blame ? ")" : "", left);
    t->interval_start = now;
    t->interval_images = 0;
    t->interval_times = times;
    return bt_metrics_step(&t->metrics, &t->state, r, &n);
}

static void show_progress(trainer *t, const bt_step_result *r) {
    bt_progress_view view = {
        t->state.step,           t->total, (t->state.step - 1) / t->batches + 1,
        t->config->train.epochs, r->loss,  (int64_t)t->config->train.batch * t->config->method.views};
    bt_loader_times times = times_of(t);
    bt_progress_step(&t->progress, &view, &times);
}

static bt_status check_finite(const trainer *t, const bt_step_result *r) {
    if (isfinite(r->loss)) return BT_OK;
    char terms[128] = "";
    for (int i = 0; i < r->terms; i++)
        snprintf(terms + strlen(terms), sizeof terms - strlen(terms), ", %s %g", r->name[i], (double)r->value[i]);
    return bt_error(BT_ERR_NUMERIC,
                    "step %lld: the loss is %g%s; lower optim.lr, or set optim.clip. The last checkpoint is intact",
                    (long long)t->state.step + 1, r->loss, terms);
}

/* ---- scores ---- */

/** Scores of the weights, or of their averages where there are; the weights are back afterwards, to the bit. */
static bt_status evaluate(trainer *t, bt_embedded_split *keep, bt_evaluation *e) {
    bool averages = t->config->train.ema > 0;
    if (averages) BT_TRY(bt_params_exchange_average(t->setup.model.store));
    bt_log_status("scores: embedding queries and database ...");
    bt_status status = bt_evaluate(&t->session, &t->setup.loader, &t->setup.split, t->config->eval.k, keep, e);
    if (averages) BT_TRY(bt_params_exchange_average(t->setup.model.store));
    bt_log_status(NULL);
    if (status == BT_ERR_INTERRUPTED)
        return bt_error_prefix(status, "step %lld of %lld is saved, continue with --resume", (long long)t->state.step,
                               (long long)t->total);
    return status;
}

/** Whether scores are due at this step, and not there yet. */
static bool due(const trainer *t) {
    if (!t->config->eval.batch || t->state.step == 0 || t->history.last_step == t->state.step) return false;
    int every = t->config->eval.every;
    return t->state.step == t->total || (every && t->state.batch == 0 && t->state.epoch % every == 0);
}

/** Scores at a step whose checkpoint is saved: an interruption in between makes them again. They go to metrics.jsonl
 * first, from where a resumed run learns which checkpoint is best. */
static bt_status judge(trainer *t) {
    bt_evaluation e;
    bool last = t->state.step == t->total;
    bool may_end = last || (t->config->train.patience && t->history.since_best + 1 >= t->config->train.patience);
    BT_TRY(evaluate(t, may_end ? &t->made : NULL, &e));
    double loss = t->state.loss_count ? t->state.loss_sum / (double)t->state.loss_count : NAN;
    double score = strcmp(t->history.key, "loss") == 0 ? loss : bt_evaluation_score(&e, t->history.key);
    bt_history_add(&t->history, t->state.step, score);
    bool best = t->history.best_step == t->state.step;
    t->stopped = t->config->train.patience && t->history.since_best >= t->config->train.patience;
    t->made.step = t->state.step;
    if (!last && !t->stopped) bt_embedded_split_free(&t->made);
    char when[48];
    snprintf(when, sizeof when, last || t->stopped ? "after training" : "after epoch %lld", (long long)t->state.epoch);
    bt_evaluation_log(&e, when);
    BT_TRY(bt_metrics_scores(&t->metrics, &t->state, &e, last || t->stopped ? "after" : "epoch", loss));
    t->state.loss_sum = 0;
    t->state.loss_count = 0;
    if (best) BT_TRY(bt_checkpoint_point(t->config->run.dir, "best", t->state.step));
    bt_checkpoint_rotate(t->config->run.dir, t->config->run.keep);
    if (t->stopped && !last)
        bt_log_info("stopped at step %lld of %lld: %s is best (%.4f) at step %lld, %lld scores ago (train.patience)",
                    (long long)t->state.step, (long long)t->total, t->history.key, t->history.best,
                    (long long)t->history.best_step, (long long)t->history.since_best);
    return BT_OK;
}

static bt_status scores_before(trainer *t) {
    if (!t->config->eval.batch || !t->config->eval.before || t->state.step > 0) return BT_OK;
    bt_evaluation e;
    BT_TRY(evaluate(t, NULL, &e));
    bt_evaluation_log(&e, "before training");
    return bt_metrics_scores(&t->metrics, &t->state, &e, "before", NAN);
}

/* ---- the loop ---- */

/** The step's batch, from the loader or the cache, and its place in the run. */
static bt_status next_batch(trainer *t, bt_step_batch *batch, int64_t *epoch, int64_t *index) {
    *epoch = t->state.epoch;
    *index = t->state.batch;
    if (t->session.options.cached) {
        bt_cached_batch(&t->cached, *epoch, *index, batch);
        return BT_OK;
    }
    bt_batch b;
    BT_TRY(bt_loader_next(t->loader, &b));
    BT_ASSERT(!b.end && b.epoch == *epoch && b.index == *index);
    *batch = (bt_step_batch){
        .images = b.images, .records = b.records, .ids = b.ids, .classes = b.labels, .multi_hot = b.multi_hot};
    return BT_OK;
}

static bt_status one_step(trainer *t) {
    const bt_run_config *c = t->config;
    bt_step_batch batch;
    int64_t epoch, index;
    BT_TRY(next_batch(t, &batch, &epoch, &index));
    bt_step_rates rates = {
        .seed = (uint64_t)c->run.seed,
        .step = t->state.step,
        .lr = {[BT_GROUP_HEAD] = group_rate(t, c->optim.lr_head),
               [BT_GROUP_TOWER] = group_rate(t, c->model.train_all ? c->optim.lr_tower : c->optim.lr_adapter)},
        .head_only = t->session.options.head_first && epoch < c->train.head_epochs};
    bt_step_result result;
    double copied = t->session.copy_seconds;
    bt_status status = bt_session_step(&t->session, &batch, &rates, &result);
    if (t->loader) bt_loader_copied(t->loader, t->session.copy_seconds - copied);
    if (status != BT_OK) return bt_error_prefix(status, "step %lld", (long long)t->state.step + 1);
    BT_TRY(check_finite(t, &result));
    t->state.step++;
    t->state.epoch = index + 1 == t->batches ? epoch + 1 : epoch;
    t->state.batch = index + 1 == t->batches ? 0 : index + 1;
    t->loss = result.loss;
    t->state.loss_sum += result.loss;
    t->state.loss_count++;
    t->interval_images += (int64_t)c->train.batch * c->method.views;
    show_progress(t, &result);
    bool last = t->state.step == t->total;
    if (last || t->state.step % c->run.log_every == 0) BT_TRY(log_step(t, &result, &rates));
    if (last || due(t) || (c->run.checkpoint_every && t->state.step % c->run.checkpoint_every == 0)) BT_TRY(save(t));
    return BT_OK;
}

static void start_clocks(trainer *t) {
    t->started = t->interval_start = bt_clock_seconds();
    t->seconds_before = t->state.seconds;
    t->interval_times = times_of(t);
    bt_progress_start(&t->progress, &t->interval_times);
}

static bt_status loop(trainer *t) {
    start_clocks(t);
    t->stopped = t->config->train.patience && t->history.since_best >= t->config->train.patience &&
                 t->history.last_step == t->state.step;
    if (due(t)) BT_TRY(judge(t));
    while (t->state.step < t->total && !t->stopped) {
        BT_TRY(one_step(t));
        if (due(t)) BT_TRY(judge(t));
        if (!bt_interrupt_seen() || t->state.step == t->total) continue;
        BT_TRY(save(t));
        return bt_error(BT_ERR_INTERRUPTED,
                        "interrupted by signal %d; saved at step %lld of %lld, continue with --resume",
                        bt_interrupt_seen(), (long long)t->state.step, (long long)t->total);
    }
    return BT_OK;
}

static bt_status run(trainer *t) {
    BT_TRY(bt_setup_open(&t->setup, t->config));
    BT_TRY(prepare_run(t));
    BT_TRY(start_loader(t));
    announce(t);
    BT_TRY(scores_before(t));
    BT_TRY(start_cache(t));
    return loop(t);
}

static void release(trainer *t) {
    bt_loader_free(t->loader);
    t->loader = NULL;
    bt_cached_batches_free(&t->cached);
    bt_view_cache_close(&t->encoded);
    bt_metrics_close(&t->metrics);
    if (t->session.device) bt_session_close(&t->session);
    bt_setup_close(&t->setup);
}

static void summarise(const trainer *t, bt_train_summary *out) {
    *out = (bt_train_summary){.steps = t->state.step,
                              .epochs = t->state.epoch,
                              .stopped = t->stopped,
                              .best_by = t->history.key,
                              .best_step = t->history.best_step,
                              .best = t->history.best,
                              .loss = t->loss,
                              .seconds = t->state.seconds};
}

/** All scores and the report, as `bittern eval` and `bittern report` make them. What the last step's scores embedded
 * need not be embedded again. */
static bt_status finish(const bt_run_config *config, bt_embedded_split *made, bt_train_summary *summary) {
    if (!config->eval.batch) return BT_OK;
    bt_run_scores scores;
    bt_log_status("scores: codes beside their baselines ...");
    BT_TRY(bt_run_evaluate(config, &(bt_run_evaluate_options){.checkpoint = "last", .made = made}, &scores));
    bt_text headline = {0};
    bt_run_scores_headline(&scores, &headline);
    bt_log_info("%s", bt_text_get(&headline));
    bt_text_free(&headline);
    bt_status status = config->eval.report ? bt_run_report(config->run.dir) : BT_OK;
    bool wanted = status == BT_OK && summary;
    if (wanted) {
        summary->scored = true;
        summary->scores = scores;
    } else {
        bt_run_scores_free(&scores);
    }
    return status;
}

bt_status bt_train(const bt_run_config *config, const bt_train_options *options) {
    trainer t = {.config = config, .options = options, .made = {.step = -1}};
    bt_status status = run(&t);
    if (status == BT_OK && options->summary) summarise(&t, options->summary);
    release(&t); /* the evaluation opens the run anew: the training's memory is given back before */
    if (status == BT_OK) status = finish(config, &t.made, options->summary);
    bt_embedded_split_free(&t.made);
    bt_log_status(NULL);
    return status;
}
