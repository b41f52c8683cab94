/* Data sets in the making; see draft.h. */
#include "data/draft.h"

#include "base/file.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bt_status bt_draft_begin(bt_draft *draft, const bt_dataset_options *options, bt_data_format format,
                         const char *beside) {
    bt_dataset *set = &draft->set;
    draft->tables_crc32c = -1;
    set->format = format;
    set->name = bt_arena_copy(&set->arena, options->root, strlen(options->root));
    if (!set->name) return BT_ERR_MEMORY;
    const char *base = options->images && *options->images ? options->images : beside;
    size_t length = strlen(base);
    if (base == beside) { /* its folder */
        const char *slash = strrchr(beside, '/');
        base = slash ? beside : ".";
        length = slash ? (size_t)(slash - beside) + (slash == beside) : 1;
    }
    while (length > 1 && base[length - 1] == '/') length--;
    set->base = bt_arena_copy(&set->arena, base, length);
    return set->base ? BT_OK : BT_ERR_MEMORY;
}

/* Room for one more sample in every array of samples. */
static bt_status make_room(bt_draft *draft) {
    bt_dataset *set = &draft->set;
    size_t have = (size_t)set->count;
    if (have < draft->sample_capacity) return BT_OK;
    struct {
        void **array;
        size_t bytes;
    } arrays[4 + BT_DATA_RANKS] = {{(void **)&set->paths, sizeof *set->paths},
                                   {(void **)&set->captions, sizeof *set->captions},
                                   {(void **)&set->splits, sizeof *set->splits},
                                   {(void **)&set->label_first, sizeof *set->label_first}};
    for (int r = 0; r < set->rank_count; r++) {
        arrays[4 + r].array = (void **)&set->rank[r].labels;
        arrays[4 + r].bytes = sizeof *set->rank[r].labels;
    }
    size_t capacity = have < 1024 ? 1024 : 2 * have;
    for (int i = 0; i < 4 + set->rank_count; i++) {
        size_t own = draft->sample_capacity;
        void *grown = bt_memory_grow(*arrays[i].array, &own, capacity + 1, arrays[i].bytes);
        if (!grown) return BT_ERR_MEMORY;
        *arrays[i].array = grown;
    }
    draft->sample_capacity = capacity;
    return BT_OK;
}

bt_status bt_draft_sample(bt_draft *draft, const char *path, const char *caption, unsigned splits) {
    bt_dataset *set = &draft->set;
    if (set->count >= UINT32_MAX) return bt_error(BT_ERR_FORMAT, "%s: more than 2^32 - 1 pictures", set->name);
    BT_TRY(make_room(draft));
    int64_t i = set->count++;
    set->paths[i] = path;
    set->captions[i] = caption;
    set->splits[i] = (uint8_t)splits;
    set->label_first[i] = (int64_t)draft->item_count;
    for (int r = 0; r < set->rank_count; r++) set->rank[r].labels[i] = -1;
    return BT_OK;
}

bt_status bt_draft_label(bt_draft *draft, const char *class_name) {
    bt_dataset *set = &draft->set;
    int32_t number;
    BT_TRY(bt_names_add(&draft->classes, class_name, &number));
    for (size_t k = (size_t)set->label_first[set->count - 1]; k < draft->item_count; k++) {
        if (set->label_items[k] == number) return BT_OK;
    }
    int32_t *items = bt_memory_grow(set->label_items, &draft->item_capacity, draft->item_count + 1, sizeof *items);
    if (!items) return BT_ERR_MEMORY;
    set->label_items = items;
    items[draft->item_count++] = number;
    return BT_OK;
}

bt_status bt_draft_rank(bt_draft *draft, int rank, const char *value) {
    if (!*value) return BT_OK;
    return bt_names_add(&draft->rank_names[rank], value, &draft->set.rank[rank].labels[draft->set.count - 1]);
}

/* ---- the end ---- */

static int by_value(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Gives labels their final numbers. */
static void number_labels(bt_dataset *set, const int32_t *number) {
    for (int64_t i = 0; i < set->count; i++) {
        int32_t *items = set->label_items + set->label_first[i];
        int64_t count = set->label_first[i + 1] - set->label_first[i];
        for (int64_t k = 0; k < count; k++) items[k] = number[items[k]];
        if (count > 1) qsort(items, (size_t)count, sizeof *items, by_value);
        set->labels[i] = count > 0 ? items[0] : -1;
        set->unlabelled += count == 0;
        set->several += count > 1;
    }
}

static bt_status finish_rank(bt_draft *draft, int r) {
    bt_rank *rank = &draft->set.rank[r];
    bt_names *names = &draft->rank_names[r];
    int32_t *number = bt_memory_alloc(names->count, sizeof *number);
    if (!number) return BT_ERR_MEMORY;
    bt_status status = bt_names_sort(names, number);
    for (int64_t i = 0; status == BT_OK && i < draft->set.count; i++) {
        if (rank->labels[i] >= 0) rank->labels[i] = number[rank->labels[i]];
    }
    bt_memory_free(number);
    BT_TRY(status);
    rank->class_count = (int64_t)names->count;
    rank->class_names = names->name;
    names->name = NULL;
    return BT_OK;
}

static bt_status finish_labels(bt_draft *draft) {
    bt_dataset *set = &draft->set;
    set->label_first[set->count] = (int64_t)draft->item_count;
    set->labels = bt_memory_alloc((size_t)set->count, sizeof *set->labels);
    if (!set->label_items)
        set->label_items =
            bt_memory_alloc(1, sizeof *set->label_items); /* no sample has a label: an empty list all the same */
    int32_t *number = bt_memory_alloc(draft->classes.count, sizeof *number);
    bt_status status =
        set->labels && set->label_items && number ? bt_names_sort(&draft->classes, number) : BT_ERR_MEMORY;
    if (status == BT_OK) {
        number_labels(set, number);
        set->class_count = (int64_t)draft->classes.count;
        set->class_names = draft->classes.name;
        draft->classes.name = NULL;
    }
    bt_memory_free(number);
    return status;
}

bt_status bt_draft_finish(bt_draft *draft, bt_dataset *out) {
    bt_dataset *set = &draft->set;
    if (set->count == 0) return bt_error(BT_ERR_FORMAT, "%s: not one picture is named in it", set->name);
    if (draft->classes.count == 0)
        return bt_error(BT_ERR_FORMAT, "%s: not one of %" PRId64 " pictures has a label", set->name, set->count);
    BT_TRY(finish_labels(draft));
    for (int r = 0; r < set->rank_count; r++) BT_TRY(finish_rank(draft, r));
    if (!draft->has_captions) {
        bt_memory_free(set->captions);
        set->captions = NULL;
    }
    if (!draft->has_splits) {
        bt_memory_free(set->splits);
        set->splits = NULL;
    }
    if (draft->tables_crc32c >= 0 && bt_dataset_crc32c(set) != draft->tables_crc32c)
        return bt_error(BT_ERR_FORMAT,
                        "%s: labels, paths or captions are damaged: their checksum is not the stored one", set->name);
    *out = *set;
    *set = (bt_dataset){0};
    return BT_OK;
}

void bt_draft_free(bt_draft *draft) {
    bt_dataset_close(&draft->set);
    bt_names_free(&draft->classes);
    for (int r = 0; r < BT_DATA_RANKS; r++) bt_names_free(&draft->rank_names[r]);
}

/* ---- texts ---- */

bt_status bt_comma_split(bt_arena *arena, const char *text, bt_comma_list *out) {
    *out = (bt_comma_list){0};
    if (!text || !*text) return BT_OK;
    size_t most = 1;
    for (const char *c = text; *c; c++) most += *c == ',';
    out->items = bt_arena_alloc(arena, most, sizeof *out->items);
    if (!out->items || most > INT32_MAX) return BT_ERR_MEMORY;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        const char *from = at;
        at += length;
        while (length > 0 && *from == ' ') from++, length--;
        while (length > 0 && from[length - 1] == ' ') length--;
        if (length > 0) {
            const char *item = bt_arena_copy(arena, from, length);
            if (!item) return BT_ERR_MEMORY;
            out->items[out->count++] = item;
        }
        if (!*at) return BT_OK;
    }
}

const char *bt_path_fault(const char *base, const char *path) {
    if (!*path) return "is empty";
    if (*path == '/') {
        size_t length = strlen(base);
        bool inside = *base == '/' && strncmp(path, base, length) == 0 && (length == 1 || path[length] == '/');
        if (!inside) return "is absolute and not within the folder of images; data.images may name that folder";
        path += length;
    }
    int64_t depth = 0;
    while (*path) {
        size_t length = strcspn(path, "/");
        bool up = length == 2 && path[0] == '.' && path[1] == '.';
        if (up)
            depth--;
        else if (length > 0 && !(length == 1 && path[0] == '.'))
            depth++;
        if (depth < 0) return "leads out of the folder of images; data.images may name a wider one";
        path += length + (path[length] == '/');
    }
    return NULL;
}
