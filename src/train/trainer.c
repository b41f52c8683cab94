/* The training loop: batches in, steps, one line an interval, checkpoints, scores at the end. */
#include "train/trainer.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "formats/json.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/interrupt.h"
#include "train/metrics.h"
#include "train/provenance.h"
#include "train/schedule.h"
#include "train/setup.h"

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
    bt_loader *loader;
    bt_metrics metrics;
    int64_t batches, total; /* of an epoch, of the run */
    double started, interval_start, seconds_before, interval_wait;
    int64_t interval_images;
} trainer;

/* ---- start ---- */

/** Fills a store that is not committed yet: the frozen weights of a run and, unless `checkpoint` is NULL, the trained ones. */
static bt_status load_run(const char *run, const char *checkpoint, bt_params *store) {
    char file[1200];
    int count;
    snprintf(file, sizeof file, "%s/base.safetensors", run);
    if (bt_file_exists(file)) BT_TRY(bt_weights_load(file, store, 1u, &count));
    if (!checkpoint) return BT_OK;
    snprintf(file, sizeof file, "%s/model.safetensors", checkpoint);
    return bt_weights_load(file, store, 2u, &count);
}

/** Fills the model from the newest checkpoint and its state; BT_ERR_CONFIG when the configuration has changed. */
static bt_status restore(trainer *t, char *checkpoint, size_t bytes) {
    const char *run = t->config->run.dir;
    if (!bt_checkpoint_newest(run, checkpoint, bytes)) {
        bt_log_info("resume: %s has no checkpoint yet; starting from the beginning", run);
        return BT_OK;
    }
    char *saved = NULL;
    BT_TRY(bt_checkpoint_state(checkpoint, &t->state, &saved));
    bt_status status = bt_config_compare(checkpoint, saved, t->options->config);
    bt_memory_free(saved);
    BT_TRY(status);
    return load_run(run, checkpoint, t->setup.model.store);
}

static bt_status prepare_run(trainer *t) {
    const char *run = t->config->run.dir;
    char checkpoint[1024] = "", path[1100];
    snprintf(path, sizeof path, "%s/checkpoints", run);
    if (!t->options->resume && bt_checkpoint_newest(run, checkpoint, sizeof checkpoint))
        return bt_error(BT_ERR_CONFIG, "run.dir: %s already holds a run; continue it with --resume, or choose another folder", run);
    BT_TRY(bt_file_make_folders(path));
    bt_checkpoint_rotate(run, t->config->run.keep);
    *checkpoint = 0;
    if (t->options->resume) BT_TRY(restore(t, checkpoint, sizeof checkpoint));
    if (!*checkpoint) {
        BT_TRY(bt_base_save(run, t->setup.model.store));
        snprintf(path, sizeof path, "%s/config.yaml", run);
        BT_TRY(bt_file_write(path, t->options->yaml, strlen(t->options->yaml)));
    }
    BT_TRY(bt_params_commit(t->setup.model.store, t->setup.device));
    if (*checkpoint) BT_TRY(bt_checkpoint_load_optimizer(checkpoint, t->setup.model.store));
    bt_session_options o = bt_setup_session(t->config, true);
    BT_TRY(bt_session_open(&t->session, &t->setup.model, t->setup.device, &o));
    memcpy(t->session.updates, t->state.updates, sizeof t->state.updates);
    BT_TRY(bt_provenance_append(run, t->setup.device, t->state.step));
    return bt_metrics_open(&t->metrics, run, t->state.step);
}

static bt_status start_loader(trainer *t) {
    bt_loader_options o = t->setup.loader;
    o.samples = t->setup.split.train;
    o.count = t->setup.split.train_count;
    o.training = true;
    o.epochs = t->config->train.epochs;
    o.start_epoch = t->state.epoch;
    o.start_batch = t->state.batch;
    t->batches = bt_loader_batches(&o);
    if (t->batches < 1)
        return bt_error(BT_ERR_CONFIG, "train.batch is %d, but there are %lld training images; lower train.batch or raise data.train", t->config->train.batch,
                        (long long)o.count);
    t->total = t->batches * t->config->train.epochs;
    return t->state.step >= t->total ? BT_OK : bt_loader_new(&o, &t->loader);
}

static void announce(trainer *t) {
    char device[256];
    t->setup.device->backend->describe(t->setup.device, device, sizeof device);
    bt_log_info("device: %s", device);
    if (!t->setup.device->backend->fast_dtype(t->setup.device, t->session.options.compute))
        bt_log_warn("run.dtype %s is emulated on this device: right, but slower than f32", bt_dtype_name(t->session.options.compute));
    bt_log_info("memory: parameters %.1f MB, optimizer %.1f MB, activations %.1f MB", (double)bt_params_bytes(t->setup.model.store) / 1e6,
                (double)bt_params_optimizer_bytes(t->setup.model.store) / 1e6, (double)t->session.block_bytes / 1e6);
    bt_log_info("data: %lld classes, %lld training, %lld query, %lld database images; %lld steps in %d epochs", (long long)t->setup.data.class_count,
                (long long)t->setup.split.train_count, (long long)t->setup.split.query_count, (long long)t->setup.split.database_count,
                (long long)t->total, t->config->train.epochs);
}

/* ---- the loop ---- */

static bt_status save(trainer *t) {
    memcpy(t->state.updates, t->session.updates, sizeof t->state.updates);
    t->state.seconds = t->seconds_before + bt_clock_seconds() - t->started;
    return bt_checkpoint_save(t->config->run.dir, t->setup.model.store, &t->state, t->options->config, t->config->run.keep);
}

static bt_status log_step(trainer *t, const bt_step_result *r, double lr, bool head_only) {
    double now = bt_clock_seconds(), passed = now - t->interval_start, wait = bt_loader_read_times(t->loader).wait_seconds;
    double rate = (double)t->interval_images / passed, share = (wait - t->interval_wait) / passed;
    double left = (double)(t->total - t->state.step) * passed / ((double)t->interval_images / t->config->train.batch / t->config->method.views);
    char terms[128] = "";
    for (int i = 0; i < r->terms && r->terms > 1; i++)
        snprintf(terms + strlen(terms), sizeof terms - strlen(terms), " %s %.4f", r->name[i], (double)r->value[i]);
    bt_log_info("step %lld/%lld epoch %lld/%d%s loss %.4f%s lr %.2e  %.1f views/s, waiting %.0f %%, %.0f s left", (long long)t->state.step,
                (long long)t->total, (long long)((t->state.step - 1) / t->batches) + 1, t->config->train.epochs, head_only ? " (head)" : "", r->loss, terms, lr, rate, share * 100, left);
    t->interval_start = now;
    t->interval_images = 0;
    t->interval_wait = wait;
    return bt_metrics_step(&t->metrics, &t->state, r, lr, rate, share);
}

static bt_status check_finite(const trainer *t, const bt_step_result *r) {
    if (isfinite(r->loss)) return BT_OK;
    char terms[128] = "";
    for (int i = 0; i < r->terms; i++) snprintf(terms + strlen(terms), sizeof terms - strlen(terms), ", %s %g", r->name[i], (double)r->value[i]);
    return bt_error(BT_ERR_NUMERIC, "step %lld: the loss is %g%s; lower optim.lr, or set optim.clip. The last checkpoint is intact",
                    (long long)t->state.step + 1, r->loss, terms);
}

static bt_status one_step(trainer *t, const bt_batch *b) {
    const bt_run_config *c = t->config;
    bool head_only = t->session.options.head_first && b->epoch < c->train.head_epochs;
    double lr = bt_cosine_rate(c->optim.lr, c->optim.lr_min, t->state.step, t->total, c->optim.warmup);
    bt_step_batch batch = {.images = b->images, .ids = b->ids, .classes = b->labels, .multi_hot = b->multi_hot};
    bt_step_rates rates = {.seed = (uint64_t)c->run.seed, .step = t->state.step, .lr = {lr, lr}, .head_only = head_only};
    bt_step_result result;
    bt_status status = bt_session_step(&t->session, &batch, &rates, &result);
    if (status != BT_OK) return bt_error_prefix(status, "step %lld", (long long)t->state.step + 1);
    BT_TRY(check_finite(t, &result));
    t->state.step++;
    t->state.epoch = b->index + 1 == t->batches ? b->epoch + 1 : b->epoch;
    t->state.batch = b->index + 1 == t->batches ? 0 : b->index + 1;
    t->interval_images += (int64_t)c->train.batch * c->method.views;
    bool last = t->state.step == t->total;
    if (last || t->state.step % c->run.log_every == 0) BT_TRY(log_step(t, &result, lr, head_only));
    if (last || (c->run.checkpoint_every && t->state.step % c->run.checkpoint_every == 0)) BT_TRY(save(t));
    return BT_OK;
}

static bt_status loop(trainer *t) {
    t->started = t->interval_start = bt_clock_seconds();
    t->seconds_before = t->state.seconds;
    while (t->state.step < t->total) {
        bt_batch b;
        BT_TRY(bt_loader_next(t->loader, &b));
        BT_ASSERT(!b.end);
        BT_TRY(one_step(t, &b));
        if (!bt_interrupt_seen() || t->state.step == t->total) continue;
        BT_TRY(save(t));
        return bt_error(BT_ERR_INTERRUPTED, "interrupted by signal %d; saved at step %lld of %lld, continue with --resume", bt_interrupt_seen(),
                        (long long)t->state.step, (long long)t->total);
    }
    return BT_OK;
}

static bt_status evaluate(trainer *t, const char *when) {
    if (!t->config->eval.batch) return BT_OK;
    bt_evaluation e;
    BT_TRY(bt_evaluate(&t->session, &t->setup.loader, &t->setup.split, t->config->eval.k, &e));
    bt_evaluation_log(&e, when);
    return bt_metrics_scores(&t->metrics, &t->state, &e, when);
}

static bt_status run(trainer *t) {
    BT_TRY(bt_setup_open(&t->setup, t->config));
    BT_TRY(prepare_run(t));
    BT_TRY(start_loader(t));
    announce(t);
    if (t->config->eval.before && t->state.step == 0) BT_TRY(evaluate(t, "before"));
    BT_TRY(loop(t));
    return evaluate(t, "after");
}

bt_status bt_train(const bt_run_config *config, const bt_train_options *options) {
    trainer t = {.config = config, .options = options};
    bt_status status = run(&t);
    bt_loader_free(t.loader);
    bt_metrics_close(&t.metrics);
    if (t.session.device) bt_session_close(&t.session);
    bt_setup_close(&t.setup);
    return status;
}

/* ---- evaluation of a run ---- */

bt_status bt_eval(const bt_run_config *config, bool untrained, bool json) {
    bt_setup setup;
    bt_session session = {.device = NULL};
    BT_TRY(bt_setup_open(&setup, config));
    char checkpoint[1024];
    bt_status status = BT_OK;
    if (!untrained && !bt_checkpoint_newest(config->run.dir, checkpoint, sizeof checkpoint))
        status = bt_error(BT_ERR_IO, "%s has no checkpoint; train it first", config->run.dir);
    if (status == BT_OK) status = load_run(config->run.dir, untrained ? NULL : checkpoint, setup.model.store);
    if (status == BT_OK) status = bt_params_commit(setup.model.store, setup.device);
    bt_session_options o = bt_setup_session(config, false);
    if (status == BT_OK) status = bt_session_open(&session, &setup.model, setup.device, &o);
    bt_evaluation e;
    if (status == BT_OK) status = bt_evaluate(&session, &setup.loader, &setup.split, config->eval.k, &e);
    if (status == BT_OK) status = bt_evaluation_print(&e, json);
    if (session.device) bt_session_close(&session);
    bt_setup_close(&setup);
    return status;
}
