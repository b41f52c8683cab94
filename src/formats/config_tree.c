/* A config as read, and overrides from the command line. See config_tree.h. */
#include "formats/config_tree.h"

#include "base/memory.h"
#include "base/text.h"

#include <string.h>

#define ORIGIN "command line"

void bt_config_tree_free(bt_config_tree *tree) {
    bt_memory_free(tree->values);
    bt_arena_free(&tree->arena);
    *tree = (bt_config_tree){0};
}

const bt_config_value *bt_config_tree_find(const bt_config_tree *tree, const char *path) {
    for (size_t i = 0; i < tree->count; i++) {
        if (strcmp(tree->values[i].path, path) == 0) return &tree->values[i];
    }
    return NULL;
}

static bool is_within(const char *path, const char *section) {
    size_t length = strlen(section);
    return strncmp(path, section, length) == 0 && path[length] == '.';
}

bt_status bt_config_tree_put(bt_config_tree *tree, const bt_config_value *value) {
    size_t kept = 0;
    bool replaced = false;
    bt_config_value copy = *value; /* `value` may point into the list */
    bt_config_value *values = bt_memory_grow(tree->values, &tree->capacity, tree->count + 1, sizeof *values);
    if (!values) return BT_ERR_MEMORY;
    tree->values = values;
    for (size_t i = 0; i < tree->count; i++) {
        const char *path = values[i].path;
        if (is_within(path, copy.path) || is_within(copy.path, path)) continue;
        values[kept] = values[i];
        if (strcmp(path, copy.path) == 0) {
            values[kept] = copy;
            replaced = true;
        }
        kept++;
    }
    tree->count = kept;
    if (replaced) return BT_OK;
    if (kept == BT_CONFIG_MAX_VALUES) {
        return bt_error(BT_ERR_CONFIG, "%s: the config has more than %d values", copy.key_origin, BT_CONFIG_MAX_VALUES);
    }
    tree->values[tree->count++] = copy;
    return BT_OK;
}

/* ---- overrides ---- */

typedef struct reader {
    bt_arena *arena;
    const char *whole; /* for messages */
    const char *at;
} reader;

static bt_status fault(const reader *r, const char *what) {
    return bt_error(BT_ERR_CONFIG, ORIGIN ": \"%.100s\": %s", r->whole, what);
}

static void skip_space(reader *r) {
    r->at += strspn(r->at, " \t");
}

/* 'it''s': a doubled quote stands for one. */
static bt_status read_single_quoted(reader *r, bt_text *out) {
    for (r->at++;; r->at++) {
        if (!*r->at) return fault(r, "the closing ' is missing");
        if (*r->at == '\'' && *++r->at != '\'') return BT_OK;
        bt_text_append_bytes(out, r->at, 1);
    }
}

static bt_status read_double_quoted(reader *r, bt_text *out) {
    static const char from[] = "\"\\/nt", to[] = "\"\\/\n\t";
    for (r->at++; *r->at != '"'; r->at++) {
        if (!*r->at) return fault(r, "the closing \" is missing");
        const char *byte = r->at;
        if (*r->at == '\\') {
            r->at++;
            const char *escape = *r->at ? strchr(from, *r->at) : NULL;
            if (!escape) return fault(r, "behind a backslash one of \" \\ / n t is expected");
            byte = &to[escape - from];
        }
        bt_text_append_bytes(out, byte, 1);
    }
    r->at++;
    return BT_OK;
}

/* A plain scalar ends at the end of the text, within a list at "," or "]". */
static bt_status read_plain(reader *r, bool in_list, bt_text *out, bool *is_null) {
    size_t length = in_list ? strcspn(r->at, ",]") : strlen(r->at);
    const char *start = r->at;
    r->at += length;
    while (length > 0 && (start[length - 1] == ' ' || start[length - 1] == '\t')) length--;
    bt_text_append_bytes(out, start, length);
    const char *text = bt_text_get(out);
    if (in_list && strpbrk(text, "[{}")) return fault(r, "lists may hold plain values only");
    if (text[0] == '{') return fault(r, "a mapping cannot be given here; override its keys one by one");
    if (text[0] == '&' || text[0] == '*' || text[0] == '!')
        return fault(r, "anchors, aliases and tags are not supported");
    *is_null = length == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
    return BT_OK;
}

static bt_status read_scalar(reader *r, bool in_list, const char **out) {
    bt_text text = {0};
    bool is_null = false;
    bt_status status = *r->at == '\''  ? read_single_quoted(r, &text)
                       : *r->at == '"' ? read_double_quoted(r, &text)
                                       : read_plain(r, in_list, &text, &is_null);
    if (status == BT_OK) status = bt_text_status(&text);
    if (status == BT_OK && !is_null) {
        *out = bt_arena_copy(r->arena, bt_text_get(&text), text.length);
        if (!*out) status = BT_ERR_MEMORY;
    }
    bt_text_free(&text);
    skip_space(r);
    return status;
}

/* At "[". */
static bt_status read_list(reader *r, const char ***out, int *out_count) {
    size_t most = 1, count = 0;
    for (const char *p = r->at; *p; p++) most += *p == ',';
    const char **items = bt_arena_alloc(r->arena, most, sizeof *items);
    if (!items) return BT_ERR_MEMORY;
    if (most > BT_CONFIG_MAX_ITEMS) return fault(r, "the list is too long");
    r->at++;
    skip_space(r);
    while (*r->at != ']') {
        if (!*r->at) return fault(r, "the closing ] is missing");
        if (*r->at == ',') return fault(r, "a list item is empty");
        BT_TRY(read_scalar(r, true, &items[count++]));
        if (*r->at == ',') {
            r->at++;
            skip_space(r);
        } else if (*r->at && *r->at != ']') {
            return fault(r, "expected \",\" or \"]\" behind a list item");
        }
    }
    r->at++;
    skip_space(r);
    *out = items;
    *out_count = (int)count;
    return BT_OK;
}

static bool is_path(const char *path, size_t length) {
    if (length == 0 || path[0] == '.' || path[length - 1] == '.') return false;
    for (size_t i = 0; i < length; i++) {
        if (strchr(" \t\"'[]{},:", path[i]) || (path[i] == '.' && path[i + 1] == '.')) return false;
    }
    return true;
}

bt_status bt_config_tree_override(bt_config_tree *tree, const char *text) {
    reader r = {.arena = &tree->arena, .whole = text, .at = text};
    const char *equals = strchr(text, '=');
    if (!equals) return fault(&r, "an override is KEY=VALUE, such as optim.lr=1e-4");
    size_t length = (size_t)(equals - text);
    if (!is_path(text, length)) return fault(&r, "the part before = is not a key such as optim.lr");
    if (strncmp(text, "include", length) == 0 && length == 7) return fault(&r, "include: works in files only");
    bt_config_value value = {.count = -1, .key_origin = ORIGIN, .origin = ORIGIN};
    value.path = bt_arena_copy(&tree->arena, text, length);
    const char **items = bt_arena_alloc(&tree->arena, 1, sizeof *items);
    if (!value.path || !items) return BT_ERR_MEMORY;
    r.at = equals + 1;
    skip_space(&r);
    BT_TRY(*r.at == '[' ? read_list(&r, &items, &value.count) : read_scalar(&r, false, items));
    if (*r.at) return fault(&r, "there is text behind the value");
    value.items = items;
    return bt_config_tree_put(tree, &value);
}
