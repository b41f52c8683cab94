/* YAML files into a config tree, over libyaml's event stream: values are taken as they come, so depth, counts and
 * unwanted features are refused before anything is built from them. */
#include "formats/yaml.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#ifdef BITTERN_WITH_YAML
#include <yaml.h>

/* A key that was seen, for finding duplicates: `path` is that of its mapping and itself. */
typedef struct seen_key {
    const char *path;
    const char *origin;
} seen_key;

/* One run over a file and what it includes. */
typedef struct session {
    bt_config_tree *tree;
    const char *chain[BT_YAML_MAX_INCLUDE_DEPTH + 1];      /* real paths of the files being read, outermost first */
    const char *chain_name[BT_YAML_MAX_INCLUDE_DEPTH + 1]; /* the same as they were given */
    int depth;
    int files;
} session;

/* One file. */
typedef struct reader {
    session *session;
    bt_config_tree own; /* its values, put into the session's tree behind those of its includes */
    yaml_parser_t parser;
    const char *path;
    seen_key *seen;
    size_t seen_count, seen_capacity;
    size_t items;
} reader;

static bt_status read_file(session *s, const char *path, const char *origin);

static const char *place(reader *r, yaml_mark_t mark) {
    return bt_arena_format(&r->session->tree->arena, "%s:%zu:%zu", r->path, mark.line + 1, mark.column + 1);
}

static bt_status fault(const reader *r, yaml_mark_t mark, const char *what) {
    return bt_error(BT_ERR_CONFIG, "%s:%zu:%zu: %s", r->path, mark.line + 1, mark.column + 1, what);
}

/* libyaml's own complaint. */
static bt_status syntax_fault(const reader *r) {
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) return bt_error(BT_ERR_MEMORY, "%s: out of memory", r->path);
    if (p->error == YAML_READER_ERROR) {
        return bt_error(BT_ERR_CONFIG, "%s: byte %zu: not YAML: %s", r->path, p->problem_offset, p->problem);
    }
    return bt_error(BT_ERR_CONFIG, "%s:%zu:%zu: not YAML: %s%s%s", r->path, p->problem_mark.line + 1,
                    p->problem_mark.column + 1, p->problem ? p->problem : "syntax error", p->context ? " " : "",
                    p->context ? p->context : "");
}

/* The next event, which the caller deletes; refuses what configs do not use. */
static bt_status next(reader *r, yaml_event_t *out) {
    if (!yaml_parser_parse(&r->parser, out)) return syntax_fault(r);
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (out->type == YAML_SCALAR_EVENT) {
        anchor = out->data.scalar.anchor;
        tag = out->data.scalar.tag;
    } else if (out->type == YAML_SEQUENCE_START_EVENT) {
        anchor = out->data.sequence_start.anchor;
        tag = out->data.sequence_start.tag;
    } else if (out->type == YAML_MAPPING_START_EVENT) {
        anchor = out->data.mapping_start.anchor;
        tag = out->data.mapping_start.tag;
    }
    bt_status status = BT_OK;
    if (out->type == YAML_ALIAS_EVENT || anchor) {
        status = fault(r, out->start_mark,
                       "anchors (&name) and aliases (*name) are not supported; repeat the value, or "
                       "put the shared part into a file and use include:");
    } else if (tag) {
        status = fault(r, out->start_mark, "tags (!name) are not supported; leave it out");
    } else if (out->type == YAML_SCALAR_EVENT && memchr(out->data.scalar.value, 0, out->data.scalar.length)) {
        status = fault(r, out->start_mark, "a NUL character in a value is not accepted");
    }
    if (status != BT_OK) yaml_event_delete(out);
    return status;
}

/* A scalar's text in the tree's arena; NULL in `*out` where nothing, ~ or null was written. */
static bt_status scalar_text(reader *r, const yaml_event_t *event, const char **out) {
    const char *text = (const char *)event->data.scalar.value;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    *out = NULL;
    if (plain && (!text[0] || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)) return BT_OK;
    *out = bt_arena_copy(&r->session->tree->arena, text, event->data.scalar.length);
    return *out ? BT_OK : BT_ERR_MEMORY;
}

static bt_status remember_key(reader *r, const char *path, yaml_mark_t mark) {
    const char *origin = place(r, mark);
    if (!origin) return BT_ERR_MEMORY;
    for (size_t i = 0; i < r->seen_count; i++) {
        if (strcmp(r->seen[i].path, path) == 0) {
            return bt_error(BT_ERR_CONFIG, "%s: the key \"%s\" stands a second time in its mapping; the first is at %s",
                            origin, path, r->seen[i].origin);
        }
    }
    if (r->seen_count == BT_CONFIG_MAX_VALUES) return fault(r, mark, "more than 4096 keys in one file");
    seen_key *seen = bt_memory_grow(r->seen, &r->seen_capacity, r->seen_count + 1, sizeof *seen);
    if (!seen) return BT_ERR_MEMORY;
    r->seen = seen;
    r->seen[r->seen_count++] = (seen_key){path, origin};
    return BT_OK;
}

/* A list of scalars, behind its start event. */
static bt_status read_list(reader *r, bt_config_value *value) {
    const char **items = NULL;
    size_t count = 0, capacity = 0;
    bt_status status = BT_OK;
    for (bool open = true; open && status == BT_OK;) {
        yaml_event_t event;
        status = next(r, &event);
        if (status != BT_OK) break;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            open = false;
        } else if (event.type != YAML_SCALAR_EVENT) {
            status = fault(r, event.start_mark, "lists may hold plain values only, not lists or mappings");
        } else if (r->items++ == BT_CONFIG_MAX_ITEMS) {
            status = fault(r, event.start_mark, "more than 65536 list items in one file");
        } else {
            const char **grown = bt_memory_grow(items, &capacity, count + 1, sizeof *items);
            if (grown) items = grown;
            status = grown ? scalar_text(r, &event, &items[count++]) : BT_ERR_MEMORY;
        }
        yaml_event_delete(&event);
    }
    if (status == BT_OK) {
        const char **copy = bt_arena_alloc(&r->session->tree->arena, count, sizeof *copy);
        if (copy && count) memcpy(copy, items, count * sizeof *copy);
        value->items = copy;
        value->count = (int)count;
        if (!copy) status = BT_ERR_MEMORY;
    }
    bt_memory_free(items);
    return status;
}

static bt_status key_path(reader *r, const char *prefix, const yaml_event_t *event, const char **out) {
    if (event->type != YAML_SCALAR_EVENT) return fault(r, event->start_mark, "a key must be a plain word");
    const char *key = (const char *)event->data.scalar.value;
    if (!key[0]) return fault(r, event->start_mark, "a key is empty");
    /* Every value's path repeats the keys above it: long ones would multiply. */
    if (event->data.scalar.length > BT_YAML_MAX_KEY_BYTES) {
        return fault(r, event->start_mark, "a key is longer than 128 bytes");
    }
    if (strcmp(key, "<<") == 0) return fault(r, event->start_mark, "merge keys (<<) are not supported; use include:");
    if (strchr(key, '.')) {
        return bt_error(BT_ERR_CONFIG, "%s:%zu:%zu: the key \"%.100s\" holds a dot; write nested mappings instead",
                        r->path, event->start_mark.line + 1, event->start_mark.column + 1, key);
    }
    *out = bt_arena_format(&r->session->tree->arena, "%s%s%s", prefix, prefix[0] ? "." : "", key);
    if (!*out) return BT_ERR_MEMORY;
    return remember_key(r, *out, event->start_mark);
}

static bt_status read_mapping(reader *r, const char *prefix, int depth);

/* The value of a key, whose event is given. */
static bt_status read_value(reader *r, const yaml_event_t *event, const char *path, const char *key_origin, int depth) {
    if (event->type == YAML_MAPPING_START_EVENT) {
        if (strcmp(path, "include") == 0)
            return fault(r, event->start_mark, "include: takes a path or a list of paths");
        return read_mapping(r, path, depth + 1);
    }
    bt_config_value value = {
        .path = path, .count = -1, .key_origin = key_origin, .origin = place(r, event->start_mark)};
    if (!value.origin) return BT_ERR_MEMORY;
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        BT_TRY(read_list(r, &value));
    } else {
        const char **item = bt_arena_alloc(&r->session->tree->arena, 1, sizeof *item);
        if (!item) return BT_ERR_MEMORY;
        BT_TRY(scalar_text(r, event, item));
        value.items = item;
    }
    return bt_config_tree_put(&r->own, &value);
}

/* The keys of a mapping, behind its start event. */
static bt_status read_mapping(reader *r, const char *prefix, int depth) {
    for (bool empty = true;; empty = false) {
        yaml_event_t event;
        const char *path = NULL;
        BT_TRY(next(r, &event));
        if (event.type == YAML_MAPPING_END_EVENT) {
            /* It would leave no trace in the flat tree, so {} for a number would pass unseen. */
            bool refused = empty && depth > 0;
            bt_status ended = refused ? fault(r, event.start_mark, "a mapping is empty; leave its key out") : BT_OK;
            yaml_event_delete(&event);
            return ended;
        }
        bt_status status = depth < BT_YAML_MAX_DEPTH
                               ? key_path(r, prefix, &event, &path)
                               : fault(r, event.start_mark, "mappings are nested more than 16 deep");
        yaml_event_delete(&event);
        if (status != BT_OK) return status;
        const char *key_origin = r->seen[r->seen_count - 1].origin;
        BT_TRY(next(r, &event));
        status = read_value(r, &event, path, key_origin, depth);
        yaml_event_delete(&event);
        if (status != BT_OK) return status;
    }
}

static bt_status expect(reader *r, yaml_event_type_t type) {
    yaml_event_t event;
    BT_TRY(next(r, &event));
    bool found = event.type == type;
    bt_status status = found ? BT_OK : fault(r, event.start_mark, "more than one document in the file");
    yaml_event_delete(&event);
    return status;
}

/* One document whose root is a mapping; an empty file is an empty mapping. */
static bt_status read_document(reader *r) {
    yaml_event_t event;
    BT_TRY(expect(r, YAML_STREAM_START_EVENT));
    BT_TRY(next(r, &event));
    bool empty = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
    if (empty) return BT_OK;
    BT_TRY(next(r, &event));
    bool mapping = event.type == YAML_MAPPING_START_EVENT;
    bt_status status = mapping ? BT_OK : fault(r, event.start_mark, "expected keys with values (key: value)");
    yaml_event_delete(&event);
    if (status != BT_OK) return status;
    BT_TRY(read_mapping(r, "", 0));
    BT_TRY(expect(r, YAML_DOCUMENT_END_EVENT));
    return expect(r, YAML_STREAM_END_EVENT);
}

static bt_status read_include(reader *r, const bt_config_value *include) {
    int count = include->count < 0 ? 1 : include->count;
    for (int i = 0; i < count; i++) {
        if (!include->items[i] || !include->items[i][0]) {
            return bt_error(BT_ERR_CONFIG, "%s: include: a path is empty", include->origin);
        }
        char *path = bt_file_sibling(r->path, include->items[i]);
        if (!path) return BT_ERR_MEMORY;
        bt_status status = read_file(r->session, path, include->origin);
        bt_memory_free(path);
        if (status != BT_OK) return status;
    }
    return BT_OK;
}

static bt_status merge(reader *r) {
    const bt_config_value *include = bt_config_tree_find(&r->own, "include");
    if (include) BT_TRY(read_include(r, include));
    for (size_t i = 0; i < r->own.count; i++) {
        if (&r->own.values[i] == include) continue;
        BT_TRY(bt_config_tree_put(r->session->tree, &r->own.values[i]));
    }
    return BT_OK;
}

static bt_status parse_text(session *s, const char *path, const char *text, size_t bytes) {
    reader r = {.session = s};
    bt_status status;
    r.path = bt_arena_copy(&s->tree->arena, path, strlen(path));
    if (!r.path) return BT_ERR_MEMORY;
    if (!yaml_parser_initialize(&r.parser)) return bt_error(BT_ERR_MEMORY, "%s: out of memory", path);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, bytes);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    status = read_document(&r);
    yaml_parser_delete(&r.parser);
    if (status == BT_OK) status = merge(&r);
    bt_memory_free(r.seen);
    bt_config_tree_free(&r.own);
    return status;
}

static bt_status cycle_fault(const session *s, int from, const char *path, const char *origin) {
    bt_text chain = {0};
    for (int i = from; i < s->depth; i++) bt_text_append(&chain, "%s -> ", s->chain_name[i]);
    bt_status status =
        bt_error(BT_ERR_CONFIG, "%s: include: the files include each other: %s%s", origin, bt_text_get(&chain), path);
    bt_text_free(&chain);
    return status;
}

/* `real` is the path without links and dots: the identity of the file. */
static bt_status read_once(session *s, const char *path, const char *real, const char *origin) {
    for (int i = 0; i < s->depth; i++) {
        if (strcmp(s->chain[i], real) == 0) return cycle_fault(s, i, path, origin);
    }
    if (s->depth > BT_YAML_MAX_INCLUDE_DEPTH) {
        return bt_error(BT_ERR_CONFIG, "%s: include: files include each other more than %d deep", origin,
                        BT_YAML_MAX_INCLUDE_DEPTH);
    }
    if (s->files++ == BT_YAML_MAX_FILES) {
        return bt_error(BT_ERR_CONFIG, "%s: include: more than %d files", origin, BT_YAML_MAX_FILES);
    }
    char *text;
    size_t bytes;
    BT_TRY(bt_file_read(path, BT_YAML_MAX_BYTES, &text, &bytes));
    s->chain[s->depth] = real;
    s->chain_name[s->depth] = path;
    s->depth++;
    bt_status status = parse_text(s, path, text, bytes);
    s->depth--;
    bt_memory_free(text);
    return status;
}

/* `origin` is the place of the include:, NULL for the outermost file. */
static bt_status read_file(session *s, const char *path, const char *origin) {
    char *real = realpath(path, NULL);
    bt_status status = read_once(s, path, real ? real : path, origin);
    if (status == BT_ERR_IO && origin) status = bt_error_prefix(status, "%s: include", origin);
    free(real);
    return status;
}

bt_status bt_yaml_read(const char *path, bt_config_tree *tree) {
    session s = {.tree = tree};
    return read_file(&s, path, NULL);
}

#else

bt_status bt_yaml_read(const char *path, bt_config_tree *tree) {
    (void)tree;
    return bt_error(
        BT_ERR_UNSUPPORTED,
        "cannot read %s: this build has no libyaml; install libyaml-dev and build again, or give all settings "
        "as KEY=VALUE",
        path);
}

#endif
