/* A data set as a table: a row for each picture (RFC 4180, or tabs). Columns, by the names below or those of the
 * options:
 *
 *   path                      relative to the folder of images
 *   label, labels, class, species    the first that is there; several labels in a cell are separated by |, and several
 * columns may be named caption, text             optional split                     optional: train, query, database
 * (and their other names, below); several separated by |; empty: in none order, family, genus, species    optional:
 * ranks of a taxonomy
 */
#include "base/memory.h"
#include "base/text.h"
#include "data/draft.h"
#include "formats/csv.h"

#include <string.h>

static const char *const path_names[] = {"path", "file", "filename", "file_name", "image", NULL};
static const char *const label_names[] = {"label", "labels", "class", "species", NULL};
static const char *const caption_names[] = {"caption", "text", NULL};
static const char *const split_names[] = {"split", NULL};
static const char *const rank_names[] = {"order", "family", "genus", "species", NULL};

#define LABEL_COLUMNS 16

typedef struct manifest {
    bt_csv csv;
    int path, caption, split; /* columns; -1: none */
    int label[LABEL_COLUMNS], label_count;
    int rank[BT_DATA_RANKS];
} manifest;

/* ---- columns ---- */

static int find_column(const bt_csv *csv, const char *name) {
    for (size_t i = 0; i < csv->count; i++) {
        if (strcmp(csv->fields[i].text, name) == 0) return (int)i;
    }
    return -1;
}

static int find_usual(const bt_csv *csv, const char *const *names) {
    for (; *names; names++) {
        int found = find_column(csv, *names);
        if (found >= 0) return found;
    }
    return -1;
}

/* What the header has, and what may have been meant. */
static bt_status no_column(const bt_csv *csv, const char *option, const char *name) {
    const char *have[64];
    bt_text list = {0};
    size_t count = csv->count < 64 ? csv->count : 64;
    for (size_t i = 0; i < count; i++) {
        have[i] = csv->fields[i].text;
        bt_text_append(&list, "%s%s", i ? ", " : "", have[i]);
    }
    const char *nearest = bt_text_nearest(name, have, count);
    bt_status status =
        bt_error(BT_ERR_FORMAT, "%s:1:1: no column \"%s\" (%s); the header has %.400s%s%s%s", csv->name, name, option,
                 bt_text_get(&list), nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    bt_text_free(&list);
    return status;
}

/* A column by its given name, or by the usual ones; -1 where an optional one is not there. */
static bt_status choose(const bt_csv *csv, const char *option, const char *given, const char *const *usual,
                        bool required, int *out) {
    bool named = given && *given;
    *out = named ? find_column(csv, given) : find_usual(csv, usual);
    if (*out >= 0 || (!named && !required)) return BT_OK;
    return no_column(csv, option, named ? given : usual[0]);
}

static bt_status choose_labels(manifest *m, bt_draft *draft, const char *text) {
    bt_comma_list given;
    BT_TRY(bt_comma_split(&draft->set.arena, text, &given));
    if (given.count > LABEL_COLUMNS)
        return bt_error(BT_ERR_CONFIG, "data.label names %d columns; at most %d", given.count, LABEL_COLUMNS);
    m->label_count = given.count > 0 ? given.count : 1;
    for (int k = 0; k < m->label_count; k++)
        BT_TRY(choose(&m->csv, "data.label", given.count > 0 ? given.items[k] : NULL, label_names, true, &m->label[k]));
    return BT_OK;
}

static bt_status add_rank(manifest *m, bt_draft *draft, int column) {
    bt_dataset *set = &draft->set;
    const bt_csv_field *field = &m->csv.fields[column];
    m->rank[set->rank_count] = column;
    const char *name = bt_arena_copy(&set->arena, field->text, field->length);
    if (!name) return BT_ERR_MEMORY;
    set->rank[set->rank_count++].name = name;
    return BT_OK;
}

static bt_status choose_ranks(manifest *m, bt_draft *draft, const char *text) {
    bt_comma_list given;
    BT_TRY(bt_comma_split(&draft->set.arena, text, &given));
    if (given.count > BT_DATA_RANKS)
        return bt_error(BT_ERR_CONFIG, "data.ranks names %d columns; at most %d", given.count, BT_DATA_RANKS);
    for (int k = 0; k < given.count; k++) {
        int column;
        BT_TRY(choose(&m->csv, "data.ranks", given.items[k], rank_names, true, &column));
        BT_TRY(add_rank(m, draft, column));
    }
    for (int k = 0; given.count == 0 && rank_names[k]; k++) {
        int column = find_column(&m->csv, rank_names[k]);
        if (column >= 0) BT_TRY(add_rank(m, draft, column));
    }
    return BT_OK;
}

static bt_status choose_columns(manifest *m, const bt_dataset_options *o, bt_draft *draft) {
    bool end;
    BT_TRY(bt_csv_next(&m->csv, &end));
    if (end) return bt_error(BT_ERR_FORMAT, "%s: the table is empty; its first row names the columns", m->csv.name);
    for (size_t i = 0; i < m->csv.count; i++) {
        int first = find_column(&m->csv, m->csv.fields[i].text);
        if (first != (int)i)
            return bt_csv_error(&m->csv, &m->csv.fields[i], "two columns are called \"%s\"", m->csv.fields[i].text);
    }
    BT_TRY(choose(&m->csv, "data.path", o->path, path_names, true, &m->path));
    BT_TRY(choose(&m->csv, "data.caption", o->caption, caption_names, false, &m->caption));
    BT_TRY(choose(&m->csv, "data.split", o->split, split_names, false, &m->split));
    BT_TRY(choose_labels(m, draft, o->label));
    draft->has_captions = m->caption >= 0;
    draft->has_splits = m->split >= 0;
    return choose_ranks(m, draft, o->ranks);
}

/* ---- rows ---- */

/* Text without the spaces around it, ended in place. */
static char *trim(char *text) {
    while (*text == ' ') text++;
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == ' ') text[--length] = 0;
    return text;
}

/* The next of the parts of a cell that | separates; NULL at the end. Ends them in place. */
static char *next_part(char **rest) {
    while (*rest) {
        char *part = *rest, *bar = strchr(part, '|');
        *rest = bar ? bar + 1 : NULL;
        if (bar) *bar = 0;
        part = trim(part);
        if (*part) return part;
    }
    return NULL;
}

static unsigned split_of(const char *name) {
    static const struct {
        const char *name;
        unsigned bit;
    } known[] = {{"train", BT_SPLIT_TRAIN},       {"training", BT_SPLIT_TRAIN},   {"query", BT_SPLIT_QUERY},
                 {"test", BT_SPLIT_QUERY},        {"val", BT_SPLIT_QUERY},        {"validation", BT_SPLIT_QUERY},
                 {"database", BT_SPLIT_DATABASE}, {"gallery", BT_SPLIT_DATABASE}, {"db", BT_SPLIT_DATABASE}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) == 0) return known[i].bit;
    }
    return 0;
}

static bt_status read_splits(manifest *m, unsigned *out) {
    static const char *const names[] = {"train", "query", "database", "test", "val", "gallery"};
    *out = 0;
    if (m->split < 0) return BT_OK;
    const bt_csv_field *field = &m->csv.fields[m->split];
    char *rest = field->text, *part;
    while ((part = next_part(&rest))) {
        unsigned bit = split_of(part);
        const char *nearest = bit ? NULL : bt_text_nearest(part, names, sizeof names / sizeof names[0]);
        if (!bit)
            return bt_csv_error(&m->csv, field,
                                "unknown split \"%.60s\"; allowed: train, query (test, val), database (gallery), "
                                "several with |, or nothing%s%s%s",
                                part, nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
        *out |= bit;
    }
    return BT_OK;
}

/* Ranks before labels: a column may be both, and reading labels cuts a cell at its bars. */
static bt_status read_row(manifest *m, bt_draft *draft) {
    const bt_csv_field *path = &m->csv.fields[m->path];
    const char *fault = bt_path_fault(draft->set.base, path->text);
    if (fault)
        return bt_csv_error(&m->csv, path, "the path %.200s %s", *path->text ? path->text : "of the picture", fault);
    unsigned splits;
    BT_TRY(read_splits(m, &splits));
    BT_TRY(bt_draft_sample(draft, path->text, m->caption >= 0 ? m->csv.fields[m->caption].text : NULL, splits));
    for (int r = 0; r < draft->set.rank_count; r++) {
        char *value = trim(m->csv.fields[m->rank[r]].text);
        if (strchr(value, '|')) value = bt_arena_copy(&draft->set.arena, value, strlen(value));
        if (!value) return BT_ERR_MEMORY;
        BT_TRY(bt_draft_rank(draft, r, value));
    }
    for (int k = 0; k < m->label_count; k++) {
        char *rest = m->csv.fields[m->label[k]].text, *part;
        while ((part = next_part(&rest))) BT_TRY(bt_draft_label(draft, part));
    }
    return BT_OK;
}

static bt_status read_rows(manifest *m, bt_draft *draft) {
    for (;;) {
        bool end;
        BT_TRY(bt_csv_next(&m->csv, &end));
        if (end) return BT_OK;
        BT_TRY(read_row(m, draft));
    }
}

bt_status bt_manifest_read(const bt_dataset_options *options, bt_draft *draft) {
    manifest m = {.path = -1};
    size_t length = strlen(options->root);
    bool tabs = length > 4 && strcmp(options->root + length - 4, ".tsv") == 0;
    BT_TRY(bt_csv_open(options->root, tabs ? '\t' : 0, &m.csv));
    bt_status status = bt_draft_begin(draft, options, BT_DATA_MANIFEST, options->root);
    if (status == BT_OK) status = choose_columns(&m, options, draft);
    if (status == BT_OK) status = read_rows(&m, draft);
    if (status == BT_OK) draft->set.content = bt_csv_take_content(&m.csv);
    bt_csv_close(&m.csv);
    return status;
}
