/* Options bound to a struct: find by path, set with origin, nearest known path. See options.h. */
#include "base/options.h"

#include "base/arena.h"
#include "base/memory.h"
#include "base/option_value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_SECTION_DEPTH 8

typedef struct leaf {
    const bt_option *option;
    const char *path;
    const char *origin; /* NULL: required and not set */
    void *value;
} leaf;

struct bt_options {
    bt_arena arena;
    leaf *leaves; /* in the table's order; `paths` the same names for bt_text_nearest */
    const char **paths;
    int count;
};

static int count_leaves(const bt_option_table *table, int depth) {
    BT_ASSERT(depth < MAX_SECTION_DEPTH);
    int count = 0;
    for (size_t i = 0; i < table->count; i++) {
        const bt_option *option = &table->options[i];
        count += option->type == BT_OPTION_TYPE_SECTION ? count_leaves(option->section, depth + 1) : 1;
    }
    return count;
}

static bt_status set_default(bt_options *o, leaf *l) {
    if (!l->option->fallback) {
        if (l->option->type == BT_OPTION_TYPE_STRING) *(const char **)l->value = "";
        return BT_OK;
    }
    bt_status status = bt_option_parse_default(l->option, &o->arena, l->value);
    if (status == BT_ERR_CONFIG) bt_panic(__FILE__, __LINE__, "default of %s: %s", l->path, bt_error_message());
    l->origin = "default";
    return status;
}

static bt_status add_leaves(bt_options *o, const bt_option_table *table, const char *prefix, char *base) {
    for (size_t i = 0; i < table->count; i++) {
        const bt_option *option = &table->options[i];
        const char *path = bt_arena_format(&o->arena, "%s%s%s", prefix, prefix[0] ? "." : "", option->name);
        if (!path) return BT_ERR_MEMORY;
        if (option->type == BT_OPTION_TYPE_SECTION) {
            BT_TRY(add_leaves(o, option->section, path, base + option->offset));
            continue;
        }
        BT_ASSERT(bt_options_find(o, path) < 0);
        leaf *l = &o->leaves[o->count];
        *l = (leaf){.option = option, .path = path, .value = base + option->offset};
        o->paths[o->count++] = path;
        BT_TRY(set_default(o, l));
    }
    return BT_OK;
}

static void zero_required(const bt_option_table *table, char *base) {
    for (size_t i = 0; i < table->count; i++) {
        const bt_option *option = &table->options[i];
        size_t bytes = 0;
        switch (option->type) {
        case BT_OPTION_TYPE_SECTION:
            zero_required(option->section, base + option->offset);
            break;
        case BT_OPTION_TYPE_BOOL:
            bytes = sizeof(bool);
            break;
        case BT_OPTION_TYPE_INT:
        case BT_OPTION_TYPE_ENUM:
            bytes = sizeof(int);
            break;
        case BT_OPTION_TYPE_I64:
            bytes = sizeof(int64_t);
            break;
        case BT_OPTION_TYPE_FLOAT:
            bytes = sizeof(float);
            break;
        case BT_OPTION_TYPE_DOUBLE:
            bytes = sizeof(double);
            break;
        case BT_OPTION_TYPE_STRING:
            bytes = sizeof(const char *);
            break;
        case BT_OPTION_TYPE_STRINGS:
            bytes = sizeof(bt_string_list);
            break;
        case BT_OPTION_TYPE_INTS:
            bytes = sizeof(bt_int_list);
            break;
        case BT_OPTION_TYPE_FLOATS:
            bytes = sizeof(bt_float_list);
            break;
        }
        if (bytes) memset(base + option->offset, 0, bytes);
    }
}

bt_status bt_options_new(const bt_option_table *table, void *values, bt_options **out) {
    bt_options *o = bt_memory_zeroed(1, sizeof *o);
    if (!o) return BT_ERR_MEMORY;
    zero_required(table, values);
    size_t count = (size_t)count_leaves(table, 0);
    o->leaves = bt_arena_alloc(&o->arena, count, sizeof *o->leaves);
    if (o->leaves) o->paths = bt_arena_alloc(&o->arena, count, sizeof *o->paths);
    bt_status status = o->paths ? add_leaves(o, table, "", values) : BT_ERR_MEMORY;
    if (status != BT_OK) {
        bt_options_free(o);
        return status;
    }
    *out = o;
    return BT_OK;
}

void bt_options_free(bt_options *options) {
    if (!options) return;
    bt_arena_free(&options->arena);
    bt_memory_free(options);
}

int bt_options_count(const bt_options *options) {
    return options->count;
}

int bt_options_find(const bt_options *options, const char *path) {
    for (int i = 0; i < options->count; i++) {
        if (strcmp(options->leaves[i].path, path) == 0) return i;
    }
    return -1;
}

const char *bt_options_path(const bt_options *options, int index) {
    BT_ASSERT(index >= 0 && index < options->count);
    return options->leaves[index].path;
}

const char *bt_options_origin(const bt_options *options, int index) {
    BT_ASSERT(index >= 0 && index < options->count);
    const char *origin = options->leaves[index].origin;
    return origin ? origin : "";
}

void bt_options_write_value(const bt_options *options, int index, bt_text *out) {
    BT_ASSERT(index >= 0 && index < options->count);
    bt_option_write(options->leaves[index].option, options->leaves[index].value, out);
}

static bool begins_with_section(const char *path, const char *section) {
    size_t length = strlen(section);
    return strncmp(path, section, length) == 0 && path[length] == '.';
}

/* The nearest whole path; failing that, the one path whose last name is near (the section was forgotten or wrong). */
static const char *nearest_path(const bt_options *o, const char *path) {
    const char *near = bt_text_nearest(path, o->paths, (size_t)o->count);
    if (near) return near;
    const char *dot = strrchr(path, '.'), *last = dot ? dot + 1 : path;
    for (int i = 0; i < o->count; i++) {
        const char *known = strrchr(o->paths[i], '.');
        known = known ? known + 1 : o->paths[i];
        if (!bt_text_nearest(last, &known, 1)) continue;
        if (near) return NULL; /* two candidates are no help */
        near = o->paths[i];
    }
    return near;
}

static bt_status unknown_path(const bt_options *o, const char *path, const char *key_origin) {
    for (int i = 0; i < o->count; i++) {
        const leaf *l = &o->leaves[i];
        if (begins_with_section(l->path, path)) {
            return bt_error(BT_ERR_CONFIG, "%s: %s is a section, expected keys within it, such as %s", key_origin, path,
                            l->path);
        }
        if (begins_with_section(path, l->path)) {
            bt_text expected = {0};
            bt_option_describe(l->option, &expected);
            bt_status status = bt_error(BT_ERR_CONFIG, "%s: %s: found keys within it (%s), expected %s", key_origin,
                                        l->path, path, bt_text_get(&expected));
            bt_text_free(&expected);
            return status;
        }
    }
    const char *near = nearest_path(o, path);
    if (near) return bt_error(BT_ERR_CONFIG, "%s: unknown key \"%s\"; did you mean \"%s\"?", key_origin, path, near);
    return bt_error(BT_ERR_CONFIG, "%s: unknown key \"%s\"; docs/options.md lists the keys", key_origin, path);
}

bt_status bt_options_set(bt_options *options, const char *path, bt_option_text text, const char *key_origin,
                         const char *origin) {
    BT_ASSERT(key_origin[0] && origin[0]); /* "" is how bt_options_origin says "not set" */
    int index = bt_options_find(options, path);
    if (index < 0) return unknown_path(options, path, key_origin);
    leaf *l = &options->leaves[index];
    const char *copy = bt_arena_copy(&options->arena, origin, strlen(origin));
    if (!copy) return BT_ERR_MEMORY;
    bt_status status = bt_option_parse(l->option, text, &options->arena, l->value);
    if (status == BT_ERR_CONFIG) return bt_error_prefix(status, "%s: %s", origin, path);
    if (status != BT_OK) return status;
    l->origin = copy;
    return BT_OK;
}

bt_status bt_options_set_text(bt_options *options, const char *path, const char *text, const char *origin) {
    return bt_options_set(options, path, (bt_option_text){&text, -1}, origin, origin);
}

bt_status bt_options_set_flag(bt_options *options, const char *flag, const char *text) {
    char path[64];
    size_t length = strlen(flag);
    int index = -1;
    if (length < sizeof path) {
        for (size_t k = 0; k <= length; k++) path[k] = flag[k] == '-' ? '_' : flag[k];
        index = bt_options_find(options, path);
    }
    if (index < 0) {
        const char *near = bt_text_nearest(flag, options->paths, (size_t)options->count);
        if (!near) return bt_error(BT_ERR_USAGE, "unknown option --%s (see --help)", flag);
        bt_text name = {0};
        for (; *near; near++) bt_text_append(&name, "%c", *near == '_' ? '-' : *near);
        bt_status status = bt_error(BT_ERR_USAGE, "unknown option --%s; did you mean --%s?", flag, bt_text_get(&name));
        bt_text_free(&name);
        return status;
    }
    leaf *l = &options->leaves[index];
    bt_option given = *l->option;
    given.fallback = text;
    bt_status status = bt_option_parse_default(&given, &options->arena, l->value); /* splits lists as defaults are */
    if (status == BT_ERR_CONFIG) return bt_error_prefix(BT_ERR_USAGE, "--%s", flag);
    if (status == BT_OK) l->origin = "command line";
    return status;
}

bt_status bt_options_check(const bt_options *options) {
    bt_text missing = {0};
    int count = 0;
    for (int i = 0; i < options->count; i++) {
        if (options->leaves[i].origin) continue;
        bt_text_append(&missing, "%s%s (", count++ ? ", " : "", options->leaves[i].path);
        bt_option_describe(options->leaves[i].option, &missing);
        bt_text_append(&missing, ")");
    }
    bt_status status = bt_text_status(&missing);
    if (status == BT_OK && count > 0) {
        status = bt_error(BT_ERR_CONFIG, "the config lacks %s, which ha%s no default", bt_text_get(&missing),
                          count == 1 ? "s" : "ve");
    }
    bt_text_free(&missing);
    return status;
}

bt_status bt_options_error(const bt_options *options, const char *path, const char *format, ...) {
    int index = bt_options_find(options, path);
    BT_ASSERT(index >= 0);
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return bt_error(BT_ERR_CONFIG, "%s: %s: %s", bt_options_origin(options, index), path, text);
}
