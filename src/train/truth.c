/* Labels by rank; see truth.h. */
#include "train/truth.h"

#include "base/memory.h"
#include "base/text.h"
#include "formats/json.h"

#include <string.h>

enum { LEVELS = 4, SPECIES = LEVELS - 1 };
static const char *const lists[LEVELS] = {"orders", "families", "genera", "species"};
static const char *const level_names[LEVELS] = {"order", "family", "genus", "species"};

/** The tree while it is walked: which entries are open, and what has been found of each class. */
typedef struct tree {
    const bt_dataset *data;
    const bt_json_value *document;
    bt_truth_rank level[LEVELS]; /* labels by class here; count 0: the level does not occur */
    size_t capacity[LEVELS];
    int32_t open[LEVELS]; /* number of the entry that is walked, -1: none */
} tree;

static bt_status add_name(tree *t, int level, const char *name) {
    bt_truth_rank *r = &t->level[level];
    char **names = bt_memory_grow(r->names, &t->capacity[level], (size_t)r->count + 1, sizeof *names);
    if (!names) return BT_ERR_MEMORY;
    r->names = names;
    names[r->count] = bt_memory_copy_text(name);
    if (!names[r->count]) return BT_ERR_MEMORY;
    t->open[level] = (int32_t)r->count++;
    return BT_OK;
}

static int64_t class_named(const bt_dataset *data, const char *name) {
    int64_t low = 0, high = data->class_count - 1; /* class_names are sorted */
    while (low <= high) {
        int64_t middle = (low + high) / 2;
        int order = strcmp(data->class_names[middle], name);
        if (order == 0) return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle - 1;
    }
    return -1;
}

/** An entry of the lowest level: a class, or a species that the folder does not have. */
static bt_status take_species(tree *t, const bt_json_value *entry, const char *name) {
    const char *folder_name = name;
    if (bt_json_find(entry, "folder")) BT_TRY(bt_json_get_string(entry, "folder", &folder_name));
    int64_t c = class_named(t->data, folder_name);
    if (c < 0) return BT_OK;
    if (t->level[SPECIES].labels[c] >= 0)
        return bt_json_error(entry, "the folder \"%s\" has an entry already", folder_name);
    for (int level = 0; level < LEVELS; level++) t->level[level].labels[c] = t->open[level];
    return BT_OK;
}

static bt_status walk(tree *t, const bt_json_value *object, int above);

static bt_status walk_entry(tree *t, const bt_json_value *entry, int level) {
    const char *name;
    BT_TRY(bt_json_get_string(entry, "name", &name));
    BT_TRY(add_name(t, level, name));
    bt_status status = level == SPECIES ? take_species(t, entry, name) : walk(t, entry, level);
    t->open[level] = -1;
    return status;
}

/** The lists of an object that are below level `above`. */
static bt_status walk(tree *t, const bt_json_value *object, int above) {
    bool found = false;
    for (int level = above + 1; level < LEVELS; level++) {
        if (!bt_json_find(object, lists[level])) continue;
        const bt_json_value *list, *entry;
        BT_TRY(bt_json_get(object, lists[level], BT_JSON_ARRAY, &list));
        found = true;
        for (size_t i = 0; i < list->count; i++) {
            BT_TRY(bt_json_at(list, i, &entry));
            BT_TRY(walk_entry(t, entry, level));
        }
    }
    if (!found)
        return bt_json_error(object,
                             "none of \"orders\", \"families\", \"genera\", \"species\" is here; a taxonomy lists "
                             "species within them");
    return BT_OK;
}

static bt_status check_classes(const tree *t) {
    for (int64_t c = 0; c < t->data->class_count; c++)
        if (t->level[SPECIES].labels[c] < 0)
            return bt_json_error(t->document, "the class \"%s\" of %s is no species here (\"folder\", or \"name\")",
                                 t->data->class_names[c], t->data->name);
    return BT_OK;
}

static bt_status read_tree(tree *t) {
    for (int level = 0; level < LEVELS; level++) {
        t->open[level] = -1;
        int32_t *labels = t->level[level].labels = bt_memory_alloc((size_t)t->data->class_count, sizeof(int32_t));
        for (int64_t c = 0; labels && c < t->data->class_count; c++) labels[c] = -1;
        if (!labels) return BT_ERR_MEMORY;
        t->level[level].name = bt_memory_copy_text(level_names[level]);
        if (!t->level[level].name) return BT_ERR_MEMORY;
    }
    BT_TRY(walk(t, t->document, -1));
    return check_classes(t);
}

static void free_rank(bt_truth_rank *r) {
    for (int64_t i = 0; r->names && i < r->count; i++) bt_memory_free(r->names[i]);
    bt_memory_free(r->names);
    bt_memory_free(r->labels);
    bt_memory_free(r->name);
    *r = (bt_truth_rank){.name = NULL};
}

/** Labels of classes become labels of samples, by their first label. */
static bt_status expand(const bt_dataset *data, bt_truth_rank *rank) {
    int32_t *labels = bt_memory_alloc((size_t)data->count, sizeof *labels);
    if (!labels) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < data->count; i++) labels[i] = data->labels[i] < 0 ? -1 : rank->labels[data->labels[i]];
    bt_memory_free(rank->labels);
    rank->labels = labels;
    return BT_OK;
}

/** A rank with copies of labels (samples) and names. */
static bt_status copy_rank(const bt_dataset *data, const char *name, const int32_t *labels, int64_t count,
                           const char *const *names, bt_truth_rank *out) {
    *out = (bt_truth_rank){.name = bt_memory_copy_text(name)};
    out->labels = bt_memory_alloc((size_t)data->count, sizeof *out->labels);
    out->names = bt_memory_zeroed((size_t)count, sizeof *out->names);
    if (!out->name || !out->labels || !out->names) return BT_ERR_MEMORY;
    memcpy(out->labels, labels, (size_t)data->count * sizeof *labels);
    for (int64_t c = 0; c < count; c++) {
        out->names[c] = bt_memory_copy_text(names[c]);
        if (!out->names[c]) return BT_ERR_MEMORY;
        out->count++;
    }
    return BT_OK;
}

/** Rank 0 of the data set's labels, and its own ranks, narrowest first. */
static bt_status own_ranks(const bt_dataset *data, bt_truth *truth) {
    truth->rank_count = 1;
    BT_TRY(copy_rank(data, "class", data->labels, data->class_count, data->class_names, &truth->rank[0]));
    for (int r = data->rank_count; r-- > 0;) {
        const bt_rank *rank = &data->rank[r];
        BT_TRY(copy_rank(data, rank->name, rank->labels, rank->class_count, rank->class_names,
                         &truth->rank[truth->rank_count++]));
    }
    return BT_OK;
}

/** Rank 0 is named after the species, and the tree's other levels stand above it. */
static bt_status tree_ranks(const bt_dataset *data, tree *t, bt_truth *truth) {
    bt_truth_rank *species = &t->level[SPECIES];
    const char **names = bt_memory_alloc((size_t)data->class_count, sizeof *names);
    if (!names) return BT_ERR_MEMORY;
    for (int64_t c = 0; c < data->class_count; c++) names[c] = species->names[species->labels[c]];
    truth->rank_count = 1;
    truth->named = true;
    bt_status status = copy_rank(data, "species", data->labels, data->class_count, names, &truth->rank[0]);
    bt_memory_free(names);
    for (int level = SPECIES - 1; level >= 0 && status == BT_OK; level--) {
        if (t->level[level].count == 0) continue;
        truth->rank[truth->rank_count] = t->level[level];
        t->level[level] = (bt_truth_rank){.name = NULL};
        status = expand(data, &truth->rank[truth->rank_count++]);
    }
    return status;
}

/** Sets of labels, where samples have several. */
static bt_status find_sets(const bt_dataset *data, bt_truth *truth) {
    if (data->several == 0) return BT_OK;
    truth->words = (int)((data->class_count + 63) / 64);
    truth->sets = bt_memory_alloc((size_t)data->count * (size_t)truth->words, sizeof *truth->sets);
    if (!truth->sets) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < data->count; i++) bt_dataset_sets(data, &i, 1, truth->sets + i * truth->words);
    return BT_OK;
}

bt_status bt_truth_open(const bt_dataset *data, const char *taxonomy, bt_truth *out) {
    bt_truth truth = {.samples = data->count};
    bt_json *json = NULL;
    bool has_tree = taxonomy && *taxonomy;
    tree t = {.data = data};
    bt_status status = has_tree ? bt_json_read(taxonomy, &json) : BT_OK;
    if (status == BT_OK && has_tree) {
        t.document = bt_json_root(json);
        status = read_tree(&t);
    }
    if (status == BT_OK) status = has_tree ? tree_ranks(data, &t, &truth) : own_ranks(data, &truth);
    if (status == BT_OK) status = find_sets(data, &truth);
    for (int level = 0; level < LEVELS; level++) free_rank(&t.level[level]);
    bt_json_free(json);
    if (status == BT_OK)
        *out = truth;
    else
        bt_truth_free(&truth);
    return status;
}

/* ---- the samples that are evaluated ---- */

typedef struct evaluated {
    const int64_t *samples[2]; /* queries, database */
    int64_t count[2];
} evaluated;

/** Marks the groups of rank `r` that occur: seen (count). */
static void mark_seen(const bt_truth *t, int r, const evaluated *e, bool *seen) {
    const bt_truth_rank *rank = &t->rank[r];
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < e->count[side]; i++) {
            int64_t sample = e->samples[side][i];
            if (r > 0 || !t->sets) {
                if (rank->labels[sample] >= 0) seen[rank->labels[sample]] = true;
                continue;
            }
            const uint64_t *set = t->sets + sample * t->words;
            for (int64_t c = 0; c < rank->count; c++) seen[c] = seen[c] || (set[c / 64] >> c % 64 & 1);
        }
}

/** Groups that occur come first. */
static bt_status order_groups(bt_truth *t, int r, const evaluated *e) {
    bt_truth_rank *rank = &t->rank[r];
    bool *seen = bt_memory_zeroed((size_t)rank->count, sizeof *seen);
    int32_t *number = bt_memory_alloc((size_t)rank->count, sizeof *number);
    char **names = bt_memory_alloc((size_t)rank->count, sizeof *names);
    bt_status status = seen && number && names ? BT_OK : BT_ERR_MEMORY;
    if (status == BT_OK) {
        int32_t next = 0;
        mark_seen(t, r, e, seen);
        for (int first = 1; first >= 0; first--) {
            for (int64_t c = 0; c < rank->count; c++)
                if (seen[c] == (first == 1)) {
                    names[next] = rank->names[c];
                    number[c] = next++;
                }
            if (first) rank->present = next;
        }
        for (int64_t i = 0; i < t->samples; i++)
            if (rank->labels[i] >= 0) rank->labels[i] = number[rank->labels[i]];
        if (rank->count) memcpy(rank->names, names, (size_t)rank->count * sizeof *names);
    }
    bt_memory_free(seen);
    bt_memory_free(number);
    bt_memory_free(names);
    return status;
}

/** Whether both ranks put the evaluated samples into the same groups, under whatever numbers. */
static bt_status same_groups(const bt_truth_rank *a, const bt_truth_rank *b, const evaluated *e, bool *out) {
    *out = a->present == b->present && a->present > 0;
    if (!*out) return BT_OK;
    int32_t *partner = bt_memory_alloc((size_t)a->present, sizeof *partner);
    if (!partner) return BT_ERR_MEMORY;
    for (int64_t c = 0; c < a->present; c++) partner[c] = -1;
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < e->count[side] && *out; i++) {
            int32_t own = a->labels[e->samples[side][i]], other = b->labels[e->samples[side][i]];
            if (own >= 0 && partner[own] < 0) partner[own] = other;
            *out = own < 0 ? other < 0 : partner[own] == other && other >= 0;
        }
    bt_memory_free(partner);
    return BT_OK; /* each group of a within one of b, all of b met, as many of both: they are the same */
}

/** `rank` goes: `stays` stands for it (NULL: nothing does). Its name lives on in the truth. */
static void merge(bt_truth *t, bt_truth_rank *stays, bt_truth_rank *rank) {
    char *name = rank->name;
    rank->name = NULL;
    free_rank(rank);
    if (stays == &t->rank[0] && !t->named) {
        char *plain = stays->name;
        stays->name = name;
        name = plain;
        t->named = true;
    } else if (stays) {
        stays->also[stays->also_count++] = name;
    }
    t->merged[t->merged_count++] = name;
}

bt_status bt_truth_narrow(bt_truth *t, const int64_t *queries, int64_t query_count, const int64_t *database,
                          int64_t database_count) {
    const evaluated e = {{queries, database}, {query_count, database_count}};
    int kept = 0;
    for (int r = 0; r < t->rank_count; r++) {
        BT_TRY(order_groups(t, r, &e));
        bool same = false;
        int stays = t->sets ? 1 : 0;
        while (stays < kept && !same) {
            BT_TRY(same_groups(&t->rank[stays], &t->rank[r], &e, &same));
            stays += !same;
        }
        if (r > 0 && (same || t->rank[r].present == 0)) {
            merge(t, same ? &t->rank[stays] : NULL, &t->rank[r]);
            continue;
        }
        if (kept != r) {
            t->rank[kept] = t->rank[r];
            t->rank[r] = (bt_truth_rank){.name = NULL};
        }
        kept++;
    }
    t->rank_count = kept;
    return BT_OK;
}

void bt_truth_free(bt_truth *truth) {
    for (int i = 0; i < BT_TRUTH_RANKS; i++) {
        free_rank(&truth->rank[i]);
        bt_memory_free(truth->merged[i]);
    }
    bt_memory_free(truth->sets);
    *truth = (bt_truth){.samples = 0};
}
