/* Arguments of a command: flags into its struct by its table, operands counted. */
#include "base/memory.h"
#include "cli/cli.h"
#include "formats/config.h"

#include <string.h>

static const bt_option *flag_of(const bt_option_table *table, const char *name, size_t length) {
    for (size_t i = 0; i < table->count; i++) {
        const char *known = table->options[i].name;
        size_t k = 0;
        while (k < length && (known[k] == name[k] || (known[k] == '_' && name[k] == '-'))) k++;
        if (k == length && !known[k]) return &table->options[i];
    }
    return NULL;
}

/** Sets the flag at argv[*at], moving on to its value if that is an argument of its own. */
static bt_status take_flag(const bt_command *c, bt_options *options, int argc, char **argv, int *at) {
    char name[64];
    const char *text = argv[*at] + 2, *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    if (!c->flags || length >= sizeof name)
        return bt_error(BT_ERR_USAGE, "unknown option %s (bittern %s --help)", argv[*at], c->name);
    memcpy(name, text, length);
    name[length] = 0;
    const bt_option *option = flag_of(c->flags, name, length);
    const char *value = equals ? equals + 1 : "true";
    if (option && !equals && option->type != BT_OPTION_TYPE_BOOL) {
        if (*at + 1 == argc) return bt_error(BT_ERR_USAGE, "--%s needs a value: %s", name, option->help);
        value = argv[++*at];
    }
    return bt_options_set_flag(options, name, value);
}

static bt_status check_count(const bt_command *c, int count, const char *const *operand) {
    if (count < c->least)
        return bt_error(BT_ERR_USAGE, "%s: usage: bittern %s %s",
                        count ? "an argument is missing" : "the arguments are missing", c->name, c->operands);
    if (c->most >= 0 && count > c->most)
        return bt_error(BT_ERR_USAGE, "argument \"%s\" is too much; usage: bittern %s %s", operand[c->most], c->name,
                        c->operands);
    return BT_OK;
}

bt_status bt_command_call(const bt_command *c, int argc, char **argv) {
    bt_options *options = NULL;
    void *flags = c->flags ? bt_memory_zeroed(1, c->flags_bytes) : NULL;
    const char **operand = bt_memory_zeroed((size_t)argc + 1, sizeof *operand);
    bt_status status = operand && (flags || !c->flags) ? BT_OK : BT_ERR_MEMORY;
    if (status == BT_OK && c->flags) status = bt_options_new(c->flags, flags, &options);
    int count = 0;
    bool flags_end = false;
    for (int i = 0; i < argc && status == BT_OK; i++) {
        if (!flags_end && strcmp(argv[i], "--") == 0)
            flags_end = true;
        else if (!flags_end && strncmp(argv[i], "--", 2) == 0)
            status = take_flag(c, options, argc, argv, &i);
        else
            operand[count++] = argv[i];
    }
    if (status == BT_OK) status = check_count(c, count, operand);
    bt_arguments arguments = {.flags = flags, .count = count, .operand = operand};
    if (status == BT_OK) status = c->run(&arguments);
    bt_options_free(options);
    bt_memory_free(operand);
    bt_memory_free(flags);
    return status;
}

bt_status bt_cli_config(const char *const *operand, int count, bt_run_config *config, bt_options **options) {
    BT_TRY(bt_cli_partial_config(operand, count, config, options));
    bt_status status = bt_options_check(*options);
    if (status != BT_OK) {
        bt_options_free(*options);
        *options = NULL;
    }
    return status;
}

bt_status bt_cli_partial_config(const char *const *operand, int count, bt_run_config *config, bt_options **options) {
    BT_TRY(bt_config_read(&bt_run_config_table, config, operand[0], operand + 1, count - 1, options));
    bt_status status = bt_run_config_adopt(config, *options);
    if (status == BT_OK) status = bt_run_config_check(config, *options);
    if (status != BT_OK) {
        bt_options_free(*options);
        *options = NULL;
    }
    return status;
}
