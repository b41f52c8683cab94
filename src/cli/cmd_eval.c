/* bittern eval: the scores of a run beside those of what it must be compared with. */
#include "base/file.h"
#include "cli/cli.h"
#include "formats/config.h"
#include "train/run_scores.h"

#include <stdio.h>

typedef struct eval_flags {
    const char *checkpoint;
    bool full, untrained, raw, json;
} eval_flags;

static const bt_option eval_options[] = {
    BT_OPTION_STRING(eval_flags, checkpoint, "last", "last, best or a step's number"),
    BT_OPTION_BOOL(eval_flags, full, "false",
                   "eval.full: also shuffles of ties, kNN, linear probe, effective rank, ITQ"),
    BT_OPTION_BOOL(eval_flags, untrained, "false", "scores the weights that the run began with, and writes no files"),
    BT_OPTION_BOOL(eval_flags, raw, "false", "scores the weights themselves, not their moving averages (train.ema)"),
    BT_OPTION_BOOL(eval_flags, json, "false", "prints one JSON object, what RUN/evaluation.json holds"),
};
static const bt_option_table eval_table = BT_OPTION_TABLE("bittern eval", eval_options);

static bt_status read_config(const bt_arguments *a, bt_run_config *config, bt_options **options) {
    const char *run = a->operand[0];
    bt_text path = {0};
    bt_text_append(&path, "%s/config.yaml", run);
    bt_status status = bt_text_status(&path);
    if (status == BT_OK && !bt_file_exists(bt_text_get(&path)))
        status =
            bt_error(BT_ERR_IO, "%s is no run's folder: it has no config.yaml; bittern train makes one (run.dir)", run);
    if (status == BT_OK)
        status =
            bt_config_load(&bt_run_config_table, config, bt_text_get(&path), a->operand + 1, a->count - 1, options);
    if (status == BT_OK) status = bt_run_config_check(config, *options);
    bt_text_free(&path);
    return status;
}

static bt_status print_scores(const bt_run_scores *s, bool json) {
    bt_text out = {0};
    bt_status status = BT_OK;
    if (json) {
        status = bt_run_scores_json(s, &out);
    } else {
        bt_run_scores_headline(s, &out);
        bt_text_append(&out, "\n%lld queries against %lld items, %.1f s%s\n", (long long)s->queries,
                       (long long)s->database, s->seconds,
                       s->options.resamples ? "; in brackets intervals of 95 % over queries" : "");
        bt_run_scores_table(s, &out);
        if (!s->untrained) bt_text_append(&out, "\n%s/evaluation.json; bittern report %s shows it\n", s->run, s->run);
    }
    if (status == BT_OK) status = bt_text_status(&out);
    if (status == BT_OK && (fputs(bt_text_get(&out), stdout) < 0 || fflush(stdout) != 0))
        status = bt_error(BT_ERR_IO, "cannot write to standard output");
    bt_text_free(&out);
    return status;
}

static bt_status eval(const bt_arguments *a) {
    const eval_flags *flags = a->flags;
    bt_run_config config;
    bt_options *options = NULL;
    bt_run_scores scores;
    bt_status status = read_config(a, &config, &options);
    if (status == BT_OK) {
        config.run.dir = a->operand[0]; /* the folder may have been moved */
        config.eval.full = config.eval.full || flags->full;
        bt_run_evaluate_options o = {.checkpoint = flags->checkpoint, .untrained = flags->untrained, .raw = flags->raw};
        status = bt_run_evaluate(&config, &o, &scores);
        if (status == BT_OK) {
            status = print_scores(&scores, flags->json);
            bt_run_scores_free(&scores);
        }
    }
    bt_options_free(options);
    return status;
}

const bt_command bt_command_eval = {
    "eval", "RUN [key=value ...]", "scores of a run beside its baselines", 1, -1, &eval_table, sizeof(eval_flags), true,
    eval};
