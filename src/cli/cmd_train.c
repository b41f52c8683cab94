/* bittern train, eval, config. */
#include "cli/cli.h"
#include "formats/config.h"
#include "train/interrupt.h"
#include "train/trainer.h"

#include <stdio.h>
#include <string.h>

bt_status bt_cmd_train(int argc, char **argv) {
    bt_train_options train = {.resume = bt_cli_flag(&argc, argv, "--resume")};
    bt_run_config config;
    bt_options *options;
    BT_TRY(bt_cli_config(argc, argv, &config, &options));
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

bt_status bt_cmd_eval(int argc, char **argv) {
    bool untrained = bt_cli_flag(&argc, argv, "--untrained"), json = bt_cli_flag(&argc, argv, "--json");
    if (argc < 1) return bt_error(BT_ERR_USAGE, "the run's folder is missing (see --help)");
    char path[1024];
    if ((size_t)snprintf(path, sizeof path, "%s/config.yaml", argv[0]) >= sizeof path) return bt_error(BT_ERR_USAGE, "the run's path is too long");
    const char *run = argv[0];
    argv[0] = path;
    bt_run_config config;
    bt_options *options;
    BT_TRY(bt_cli_config(argc, argv, &config, &options));
    config.run.dir = run; /* the folder may have been moved */
    config.model.weights = "";
    bt_status status = bt_eval(&config, untrained, json);
    bt_options_free(options);
    return status;
}

bt_status bt_cmd_config(int argc, char **argv) {
    bt_text text = {0};
    if (bt_cli_flag(&argc, argv, "--reference")) {
        bt_options_markdown(&bt_run_config_table, &text);
    } else {
        bt_run_config config;
        bt_options *options;
        BT_TRY(bt_cli_config(argc, argv, &config, &options));
        bt_options_dump(options, &text);
        bt_options_free(options);
    }
    bt_status status = bt_text_status(&text);
    if (status == BT_OK) fputs(bt_text_get(&text), stdout);
    bt_text_free(&text);
    return status;
}
