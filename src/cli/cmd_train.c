/* bittern train, eval, config. */
#include "base/file.h"
#include "cli/cli.h"
#include "formats/config.h"
#include "formats/json.h"
#include "train/interrupt.h"
#include "train/trainer.h"

#include <stdio.h>
#include <string.h>

typedef struct train_flags {
    bool resume;
} train_flags;

static const bt_option train_options[] = {
    BT_OPTION_BOOL(train_flags, resume, "false", "goes on from the newest checkpoint, to the same bits"),
};
static const bt_option_table train_table = BT_OPTION_TABLE("bittern train", train_options);

static bt_status train(const bt_arguments *a) {
    const train_flags *flags = a->flags;
    bt_train_options train = {.resume = flags->resume};
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

typedef struct eval_flags {
    const char *checkpoint;
    bool untrained, raw, json;
} eval_flags;

static const bt_option eval_options[] = {
    BT_OPTION_STRING(eval_flags, checkpoint, "last", "last, best or a step's number"),
    BT_OPTION_BOOL(eval_flags, untrained, "false", "scores the weights that the run began with"),
    BT_OPTION_BOOL(eval_flags, raw, "false", "scores the weights themselves, not their moving averages (train.ema)"),
    BT_OPTION_BOOL(eval_flags, json, "false", "prints one JSON object"),
};
static const bt_option_table eval_table = BT_OPTION_TABLE("bittern eval", eval_options);

static bt_status eval(const bt_arguments *a) {
    const eval_flags *flags = a->flags;
    const char *run = a->operand[0];
    bt_text path = {0};
    bt_text_append(&path, "%s/config.yaml", run);
    bt_run_config config;
    bt_options *options = NULL;
    bt_status status = bt_text_status(&path);
    if (status == BT_OK && !bt_file_exists(bt_text_get(&path)))
        status =
            bt_error(BT_ERR_IO, "%s is no run's folder: it has no config.yaml; bittern train makes one (run.dir)", run);
    if (status == BT_OK)
        status =
            bt_config_load(&bt_run_config_table, &config, bt_text_get(&path), a->operand + 1, a->count - 1, &options);
    if (status == BT_OK) status = bt_run_config_check(&config, options);
    if (status == BT_OK) {
        config.run.dir = run; /* the folder may have been moved */
        bt_eval_options eval = {flags->checkpoint, flags->untrained, flags->raw, flags->json};
        status = bt_eval(&config, &eval);
    }
    bt_options_free(options);
    bt_text_free(&path);
    return status;
}

const bt_command bt_command_eval = {
    "eval", "RUN [key=value ...]", "scores of a checkpoint of a run", 1, -1, &eval_table, sizeof(eval_flags), true,
    eval};

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
        if (flags->json) status = write_config_json(options, &text);
        else bt_options_dump(options, &text);
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
