/* Options as text: the resolved config, the Markdown reference, --help. */
#include "base/option_value.h"

#include <string.h>

/* Length of the section part of a path, its dot included. */
static size_t section_length(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot ? (size_t)(dot - path) + 1 : 0;
}

/* Opens the mappings of `path` that are not open already. Returns the depth of the option itself. */
static int open_sections(const char *path, const char *previous, bt_text *out) {
    size_t end = section_length(path), open = 0;
    int depth = 0;
    bool shared = true;
    while (open < end) {
        size_t length = strcspn(path + open, ".") + 1;
        shared = shared && strncmp(path, previous, open + length) == 0;
        if (!shared) bt_text_append(out, "%*s%.*s:\n", 2 * depth, "", (int)length - 1, path + open);
        open += length;
        depth++;
    }
    return depth;
}

void bt_options_dump(const bt_options *options, bt_text *out) {
    const char *previous = "";
    for (int i = 0; i < bt_options_count(options); i++) {
        const char *path = bt_options_path(options, i);
        int depth = open_sections(path, previous, out);
        if (bt_options_origin(options, i)[0]) {
            bt_text_append(out, "%*s%s: ", 2 * depth, "", path + section_length(path));
            bt_options_write_value(options, i, out);
            bt_text_append(out, "  # %s\n", bt_options_origin(options, i));
        } else {
            bt_text_append(out, "%*s# %s: required, not set\n", 2 * depth, "", path + section_length(path));
        }
        previous = path;
    }
}

/* In a cell of a Markdown table a bar would end the cell. */
static void append_cell(const char *text, bt_text *out) {
    for (; *text; text++) bt_text_append(out, *text == '|' ? "\\|" : "%c", *text);
}

static void markdown_rows(const bt_option_table *table, bt_text *out) {
    bt_text_append(out, "| Key | Value | Default | Meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < table->count; i++) {
        const bt_option *option = &table->options[i];
        if (option->type == BT_OPTION_TYPE_SECTION) continue;
        bt_text_append(out, "| `%s` | ", option->name);
        bt_option_describe(option, out);
        if (!option->fallback)
            bt_text_append(out, " | required | ");
        else if (bt_option_is_list(option))
            bt_text_append(out, " | `[%s]` | ", option->fallback);
        else if (!option->fallback[0])
            bt_text_append(out, " | `\"\"` | ");
        else
            bt_text_append(out, " | `%s` | ", option->fallback);
        append_cell(option->help, out);
        bt_text_append(out, " |\n");
    }
}

static void markdown_section(const bt_option_table *table, const char *path, const char *help, bt_text *out) {
    bt_text_append(out, path[0] ? "\n## %s: `%s`\n\n" : "## %s\n\n", table->title, path);
    if (help) bt_text_append(out, "%s\n\n", help);
    markdown_rows(table, out);
    for (size_t i = 0; i < table->count; i++) {
        const bt_option *option = &table->options[i];
        if (option->type != BT_OPTION_TYPE_SECTION) continue;
        bt_text inner = {0};
        bt_text_append(&inner, "%s%s%s", path, path[0] ? "." : "", option->name);
        markdown_section(option->section, bt_text_get(&inner), option->help, out);
        bt_text_free(&inner);
    }
}

void bt_options_markdown(const bt_option_table *table, bt_text *out) {
    markdown_section(table, "", NULL, out);
}

static void help_line(const bt_option *option, const char *name, bt_text *out) {
    bt_text_append(out, "  %s  ", name);
    bt_option_describe(option, out);
    if (!option->fallback)
        bt_text_append(out, " (required)");
    else if (option->fallback[0])
        bt_text_append(out, " (default %s)", option->fallback);
    bt_text_append(out, ": %s\n", option->help);
}

static void help_section(const bt_option_table *table, const char *path, bt_text *out) {
    for (size_t i = 0; i < table->count; i++) {
        const bt_option *option = &table->options[i];
        bt_text name = {0};
        bt_text_append(&name, "%s%s%s", path, path[0] ? "." : "", option->name);
        if (option->type == BT_OPTION_TYPE_SECTION)
            help_section(option->section, bt_text_get(&name), out);
        else
            help_line(option, bt_text_get(&name), out);
        bt_text_free(&name);
    }
}

void bt_options_help(const bt_option_table *table, bt_text *out) {
    help_section(table, "", out);
}

void bt_options_help_flags(const bt_option_table *table, bt_text *out) {
    for (size_t i = 0; i < table->count; i++) {
        const bt_option *option = &table->options[i];
        bt_text name = {0};
        bt_text_append(&name, "--");
        for (const char *c = option->name; *c; c++) bt_text_append(&name, "%c", *c == '_' ? '-' : *c);
        if (option->type == BT_OPTION_TYPE_BOOL)
            bt_text_append(out, "  %s  %s\n", bt_text_get(&name), option->help);
        else
            help_line(option, bt_text_get(&name), out);
        bt_text_free(&name);
    }
}
