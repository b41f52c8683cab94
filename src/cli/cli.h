/* Commands of `bittern`: one file each; main.c has the table. A command is described by a struct, from which come the
 * parsing of its arguments, --help and the shell's completion. */
#ifndef BITTERN_CLI_CLI_H
#define BITTERN_CLI_CLI_H

#include "train/run_config.h"

/** What stands behind the command's name, taken apart. */
typedef struct bt_arguments {
    const void *flags; /**< the command's struct of flags, filled; NULL if it has none */
    int count;         /**< operands: what begins without "--", and all behind "--" */
    const char *const *operand;
} bt_arguments;

typedef struct bt_command {
    const char *name, *operands, *summary; /**< operands as in the usage line: "CONFIG [key=value ...]" */
    int least, most;                       /**< how many operands; most < 0: any number */
    const bt_option_table *flags;          /**< flat: the option per_class is the flag --per-class; NULL: none */
    size_t flags_bytes;                    /**< of the struct that the table describes */
    bool takes_config;                     /**< --help lists the options of a run */
    bt_status (*run)(const bt_arguments *arguments);
} bt_command;

extern const bt_command bt_command_train, bt_command_eval, bt_command_config, bt_command_inspect, bt_command_doctor,
    bt_command_demo, bt_command_hash, bt_command_fen, bt_command_embed, bt_command_export, bt_command_pack,
    bt_command_report, bt_command_import, bt_command_fetch;

/** Parses `argv` (without the command's name) and runs the command. --flag value, --flag=value; a flag of a bool stands
 * alone. BT_ERR_USAGE names the argument that does not fit. */
bt_status bt_command_call(const bt_command *command, int argc, char **argv);

/** A configuration file with overrides: operand[0] is the file, the rest are key=value. */
bt_status bt_cli_config(const char *const *operand, int count, bt_run_config *config,
                        bt_options **options) BT_MUST_CHECK;

/** The same for a command that needs a part of it: required options may be missing ("" or 0). */
bt_status bt_cli_partial_config(const char *const *operand, int count, bt_run_config *config,
                                bt_options **options) BT_MUST_CHECK;

/** Prints what a pack holds, and compares its images with their checksum. */
bt_status bt_cli_verify_pack(const char *path, bool json) BT_MUST_CHECK;

#endif
