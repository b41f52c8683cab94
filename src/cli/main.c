/* bittern: the table of commands. */
#include "cli/cli.h"

#include "base/text.h"
#include "formats/config.h"

#include <stdio.h>
#include <string.h>

static const bt_command commands[] = {
    {"train", "bittern train CONFIG [key=value ...] [--resume]", "trains, evaluates, writes a run directory", bt_cmd_train, true},
    {"eval", "bittern eval RUN [key=value ...] [--untrained] [--json]", "scores of a run's newest checkpoint", bt_cmd_eval, true},
    {"config", "bittern config CONFIG [key=value ...] | --reference", "the resolved configuration with the origin of each value", bt_cmd_config, true},
    {"inspect", "bittern inspect plan CONFIG [key=value ...] [--json] | models | FILE.safetensors", "a step's program, known towers, a weight file",
     bt_cmd_inspect, false},
    {"doctor", "bittern doctor", "what this machine and this build can do", bt_cmd_doctor, false},
    {"demo", "bittern demo FOLDER [--per-class N] [--size PIXELS] [--seed N]", "generates a small set of pictures to try things on", bt_cmd_demo, false},
};
enum { COUNT = sizeof commands / sizeof commands[0] };

bool bt_cli_flag(int *argc, char **argv, const char *name) {
    for (int i = 0; i < *argc; i++)
        if (strcmp(argv[i], name) == 0) {
            memmove(argv + i, argv + i + 1, (size_t)(*argc - i - 1) * sizeof *argv);
            --*argc;
            return true;
        }
    return false;
}

bt_status bt_cli_no_flags(int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "--", 2) == 0) return bt_error(BT_ERR_USAGE, "unknown option %s (see --help)", argv[i]);
    return BT_OK;
}

bt_status bt_cli_config(int argc, char **argv, bt_run_config *config, bt_options **options) {
    BT_TRY(bt_cli_no_flags(argc, argv));
    if (argc < 1) return bt_error(BT_ERR_USAGE, "a configuration file is missing (see --help)");
    BT_TRY(bt_config_load(&bt_run_config_table, config, argv[0], (const char *const *)argv + 1, argc - 1, options));
    bt_status status = bt_run_config_check(config, *options);
    if (status != BT_OK) {
        bt_options_free(*options);
        *options = NULL;
    }
    return status;
}

static void print_usage(FILE *to) {
    fprintf(to, "usage: bittern COMMAND ...\n\n");
    for (int i = 0; i < COUNT; i++) fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\nbittern COMMAND --help tells more. Exit codes: 0 good, 1 failed, 2 usage, 3 configuration, 4 file, 5 format, 6 memory,\n"
                "7 unsupported, 8 shape, 9 numeric, 10 device, 11 interrupted (state saved).\n");
}

static void print_help(const bt_command *c) {
    printf("usage: %s\n%s\n", c->usage, c->summary);
    if (!c->takes_config) return;
    bt_text text = {0};
    bt_options_help(&bt_run_config_table, &text);
    printf("\noptions of a configuration, in the file or as key=value:\n%s", bt_text_get(&text));
    bt_text_free(&text);
}

int main(int argc, char **argv) {
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? BT_ERR_USAGE : 0;
    }
    if (strcmp(argv[1], "--version") == 0) return printf("bittern %s\n", BITTERN_VERSION) < 0;
    const char *names[COUNT];
    for (int i = 0; i < COUNT; i++) {
        names[i] = commands[i].name;
        if (strcmp(argv[1], commands[i].name) != 0) continue;
        argc -= 2;
        argv += 2;
        if (bt_cli_flag(&argc, argv, "--help")) {
            print_help(&commands[i]);
            return 0;
        }
        bt_status status = commands[i].run(argc, argv);
        if (status != BT_OK) fprintf(stderr, "bittern: %s\n", bt_error_message());
        return (int)status;
    }
    const char *nearest = bt_text_nearest(argv[1], names, COUNT);
    fprintf(stderr, "bittern: no command \"%s\"%s%s%s\n", argv[1], nearest ? "; did you mean \"" : "; see bittern --help", nearest ? nearest : "",
            nearest ? "\"?" : "");
    return BT_ERR_USAGE;
}
