/* bittern: the table of commands, help, completion. */
#include "base/build.h"
#include "base/text.h"
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const bt_command *const commands[] = {
    &bt_command_train,  &bt_command_eval,    &bt_command_report, &bt_command_embed, &bt_command_export,
    &bt_command_hash,   &bt_command_import,  &bt_command_fetch,  &bt_command_pack,  &bt_command_fen,
    &bt_command_config, &bt_command_inspect, &bt_command_doctor, &bt_command_demo};
enum { COUNT = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *to) {
    fprintf(to, "usage: bittern COMMAND ...\n\n");
    for (int i = 0; i < COUNT; i++) fprintf(to, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\nbittern COMMAND --help tells more; bittern completion prints completion for bash and zsh.\n"
                "Exit codes: 0 good, 1 failed, 2 usage, 3 configuration, 4 file, 5 format, 6 memory, 7 unsupported, 8 "
                "shape, 9 numeric,\n"
                "10 device, 11 interrupted (state saved).\n");
}

static int print_help(const bt_command *c) {
    bt_text text = {0};
    bt_text_append(&text, "usage: bittern %s %s%s\n%s\n", c->name, c->operands, c->flags ? " [options]" : "",
                   c->summary);
    if (c->flags) bt_text_append(&text, "\noptions:\n");
    if (c->flags) bt_options_help_flags(c->flags, &text);
    if (c->takes_config) bt_text_append(&text, "\noptions of a configuration, in the file or as key=value:\n");
    if (c->takes_config) bt_options_help(&bt_run_config_table, &text);
    fputs(bt_text_get(&text), stdout);
    bt_text_free(&text);
    return 0;
}

/** Words of each command, for bash; zsh reads the same by bashcompinit. */
static int print_completion(void) {
    printf("# eval \"$(bittern completion)\"\n"
           "[ -n \"${ZSH_VERSION:-}\" ] && autoload -U +X bashcompinit && bashcompinit\n"
           "_bittern() {\n    local words=\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words='");
    for (int i = 0; i < COUNT; i++) printf("%s ", commands[i]->name);
    printf("completion --help --version'\n    else\n        case ${COMP_WORDS[1]} in\n");
    for (int i = 0; i < COUNT; i++) {
        const bt_option_table *flags = commands[i]->flags;
        printf("        %s) words='--help", commands[i]->name);
        for (size_t k = 0; flags && k < flags->count; k++) {
            printf(" --");
            for (const char *c = flags->options[k].name; *c; c++) putchar(*c == '_' ? '-' : *c);
        }
        printf("' ;;\n");
    }
    printf("        esac\n    fi\n    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n"
           "complete -o default -F _bittern bittern\n");
    return 0;
}

static const bt_command *find(const char *name) {
    const char *names[COUNT];
    for (int i = 0; i < COUNT; i++) {
        names[i] = commands[i]->name;
        if (strcmp(name, names[i]) == 0) return commands[i];
    }
    const char *nearest = bt_text_nearest(name, names, COUNT);
    fprintf(stderr, "bittern: no command \"%s\"%s%s%s\n", name, nearest ? "; did you mean \"" : "; see bittern --help",
            nearest ? nearest : "", nearest ? "\"?" : "");
    return NULL;
}

static bool asks_for_help(int argc, char **argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0) return true;
    return false;
}

/** Threads wait for each other some hundred times in a step. GNU's OpenMP lets them spin for milliseconds, which is a
 * loss on a machine that others use as well: a step takes twice as long there and burns three times the processor time.
 * About 20 us of spinning cost nothing on an idle one. The library reads its environment when it is loaded, so the
 * command starts over, once, unless the user has set it. */
static void limit_spinning(char **argv) {
    char path[PATH_MAX];
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return;
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 1 || setenv("GOMP_SPINCOUNT", "1000", 0) != 0) return;
    path[length] = 0;
    execv(path, argv); /* comes back only where it fails; then threads spin longer, and all else is as it was */
}

/** The exit code: what was printed may not have arrived, on a full disk. */
static int written(int code) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    fprintf(stderr, "bittern: cannot write standard output: %s\n", strerror(errno));
    return code ? code : BT_ERR_IO;
}

int main(int argc, char **argv) {
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? BT_ERR_USAGE : written(0);
    }
    if (strcmp(argv[1], "--version") == 0) return printf("bittern %s (%s)\n", bt_build_version, bt_build_commit) < 0;
    if (strcmp(argv[1], "completion") == 0) return print_completion();
    const bt_command *command = find(argv[1]);
    if (!command) return BT_ERR_USAGE;
    if (asks_for_help(argc - 2, argv + 2)) return written(print_help(command));
    limit_spinning(argv);
    bt_status status = bt_command_call(command, argc - 2, argv + 2);
    if (status != BT_OK) fprintf(stderr, "bittern: %s\n", bt_error_message());
    return written((int)status);
}
