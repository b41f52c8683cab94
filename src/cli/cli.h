/* Commands of `bittern`: one file each, and the table in main.c. */
#ifndef BITTERN_CLI_CLI_H
#define BITTERN_CLI_CLI_H

#include "train/run_config.h"

typedef struct bt_command {
    const char *name, *usage, *summary;
    bt_status (*run)(int argc, char **argv); /**< the arguments behind the command's name */
    bool takes_config;                       /**< --help lists the options of a run */
} bt_command;

/** Takes a flag out of the arguments; true if it was there. */
bool bt_cli_flag(int *argc, char **argv, const char *name);

/** BT_ERR_USAGE if an argument that begins with -- is left. */
bt_status bt_cli_no_flags(int argc, char **argv) BT_MUST_CHECK;

/** A configuration file with overrides: argv[0] is the file, the rest are key=value. */
bt_status bt_cli_config(int argc, char **argv, bt_run_config *config, bt_options **options) BT_MUST_CHECK;

bt_status bt_cmd_train(int argc, char **argv);
bt_status bt_cmd_eval(int argc, char **argv);
bt_status bt_cmd_config(int argc, char **argv);
bt_status bt_cmd_inspect(int argc, char **argv);
bt_status bt_cmd_doctor(int argc, char **argv);
bt_status bt_cmd_demo(int argc, char **argv);

#endif
