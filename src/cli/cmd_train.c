/* bittern train, config. */
#include "cli/cli.h"
#include "formats/config.h"
#include "formats/json.h"
#include "train/interrupt.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>

typedef struct train_flags {
    bool resume, json;
} train_flags;

static const bt_option train_options[] = {
    BT_OPTION_BOOL(train_flags, resume, "false", "goes on from the newest checkpoint, to the same bits"),
    BT_OPTION_BOOL(train_flags, json, "false",
                   "prints one JSON object at the end: steps, loss, best step, scores (docs/runs.md)"),
};
static const bt_option_table train_table = BT_OPTION_TABLE("bittern train", train_options);

static void put_number_or_null(bt_json_writer *w, const char *key, bool there, double value) {
    bt_json_key(w, key);
    if (there)
        bt_json_put_number(w, value);
    else
        bt_json_put_null(w);
}

static bt_status print_summary(const char *run, const bt_train_summary *s) {
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "run", run);
    bt_json_member_integer(&w, "steps", s->steps);
    bt_json_member_integer(&w, "epochs", s->epochs);
    bt_json_member_bool(&w, "stopped_early", s->stopped);
    bt_json_member_string(&w, "best_by", s->best_by);
    bt_json_key(&w, "best_step");
    if (s->best_step >= 0)
        bt_json_put_integer(&w, s->best_step);
    else
        bt_json_put_null(&w);
    put_number_or_null(&w, "best_score", s->best_step >= 0, s->best);
    put_number_or_null(&w, "loss", !isnan(s->loss), s->loss);
    bt_json_member_number(&w, "seconds", s->seconds);
    if (s->scored) bt_json_member_integer(&w, "k", s->scores.cutoff[0]);
    if (s->scored) bt_run_scores_put_headlines(&w, &s->scores);
    bt_json_end(&w);
    bt_status status = bt_json_finish_to(&w, stdout, "standard output");
    bt_text_free(&text);
    return status;
}

static bt_status train(const bt_arguments *a) {
    const train_flags *flags = a->flags;
    bt_train_summary summary = {.steps = 0};
    bt_train_options train = {.resume = flags->resume, .summary = flags->json ? &summary : NULL};
    bt_run_config config;
    bt_options *options;
    BT_TRY(bt_cli_config(a->operand, a->count, &config, &options));
    bt_text json = {0}, yaml = {0};
    bt_status status = bt_run_config_json(options, &json);
    bt_options_dump(options, &yaml);
    if (status == BT_OK) status = bt_text_status(&yaml);
    if (status == BT_OK) {
        train.config = bt_text_get(&json);
        train.yaml = bt_text_get(&yaml);
        bt_interrupt_watch();
        status = bt_train(&config, &train);
    }
    if (status == BT_OK && flags->json) status = print_summary(config.run.dir, &summary);
    if (summary.scored) bt_run_scores_free(&summary.scores);
    bt_text_free(&json);
    bt_text_free(&yaml);
    bt_options_free(options);
    return status;
}

const bt_command bt_command_train = {"train",
                                     "CONFIG [key=value ...]",
                                     "trains, evaluates, writes a run directory",
                                     1,
                                     -1,
                                     &train_table,
                                     sizeof(train_flags),
                                     true,
                                     train};

typedef struct config_flags {
    bool reference, json;
} config_flags;

static const bt_option config_options[] = {
    BT_OPTION_BOOL(config_flags, reference, "false", "prints all options as Markdown (docs/options.md)"),
    BT_OPTION_BOOL(config_flags, json, "false", "prints one JSON object: value and origin of each option"),
};
static const bt_option_table config_table = BT_OPTION_TABLE("bittern config", config_options);

static bt_status write_config_json(const bt_options *options, bt_text *out) {
    bt_json_writer w = bt_json_write_to(out, true);
    bt_json_begin_object(&w);
    for (int i = 0; i < bt_options_count(options); i++) {
        bt_text value = {0};
        bt_options_write_value(options, i, &value);
        bt_json_key(&w, bt_options_path(options, i));
        bt_json_begin_object(&w);
        bt_json_member_string(&w, "value", bt_text_get(&value));
        bt_json_member_string(&w, "origin", bt_options_origin(options, i));
        bt_json_end(&w);
        bt_text_free(&value);
    }
    bt_json_end(&w);
    bt_text_append(out, "\n");
    return bt_json_finish(&w);
}

static bt_status config(const bt_arguments *a) {
    const config_flags *flags = a->flags;
    bt_text text = {0};
    bt_status status = BT_OK;
    if (flags->reference) {
        bt_options_markdown(&bt_run_config_table, &text);
    } else {
        if (a->count < 1) return bt_error(BT_ERR_USAGE, "a configuration file is missing: bittern config CONFIG");
        bt_run_config config;
        bt_options *options;
        BT_TRY(bt_cli_config(a->operand, a->count, &config, &options));
        if (flags->json)
            status = write_config_json(options, &text);
        else
            bt_options_dump(options, &text);
        bt_options_free(options);
    }
    if (status == BT_OK) status = bt_text_status(&text);
    if (status == BT_OK) fputs(bt_text_get(&text), stdout);
    bt_text_free(&text);
    return status;
}

const bt_command bt_command_config = {"config",
                                      "CONFIG [key=value ...]",
                                      "the resolved configuration with the origin of each value",
                                      0,
                                      -1,
                                      &config_table,
                                      sizeof(config_flags),
                                      true,
                                      config};
