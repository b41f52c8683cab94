/* A data set without pictures. */
#include "data/stored_set.h"

#include "base/memory.h"

#include <string.h>

static bool has_label(const bt_stored_labels *l, int64_t item, int64_t c) {
    return l->classes ? l->classes[item] == c : l->sets[item * ((l->class_count + 63) / 64) + c / 64] >> c % 64 & 1;
}

/** Number of labels of an item; their classes, ascending, in `items` unless that is NULL. */
static int64_t labels_of(const bt_stored_labels *l, int64_t item, int32_t *items) {
    int64_t count = 0;
    if (l->classes) {
        if (l->classes[item] < 0) return 0;
        if (items) items[0] = l->classes[item];
        return 1;
    }
    for (int64_t c = 0; c < l->class_count; c++)
        if (has_label(l, item, c)) {
            if (items) items[count] = (int32_t)c;
            count++;
        }
    return count;
}

static bt_status fill(const bt_stored_labels *l, bt_dataset *set) {
    int64_t total = 0;
    for (int64_t i = 0; i < l->count; i++) total += labels_of(l, i, NULL);
    size_t n = (size_t)l->count;
    set->class_names = bt_memory_alloc((size_t)l->class_count, sizeof *set->class_names);
    set->labels = bt_memory_alloc(n, sizeof *set->labels);
    set->label_first = bt_memory_alloc(n + 1, sizeof *set->label_first);
    set->label_items = bt_memory_alloc((size_t)total + 1, sizeof *set->label_items);
    if (l->splits) set->splits = bt_memory_alloc(n, sizeof *set->splits);
    if (!set->class_names || !set->labels || !set->label_first || !set->label_items || (l->splits && !set->splits))
        return BT_ERR_MEMORY;
    if (l->splits) memcpy(set->splits, l->splits, n);
    set->count = l->count;
    set->class_count = l->class_count;
    for (int64_t c = 0; c < l->class_count; c++)
        if (!(set->class_names[c] = bt_arena_format(&set->arena, "%lld", (long long)c))) return BT_ERR_MEMORY;
    int64_t at = 0;
    for (int64_t i = 0; i < l->count; i++) {
        int64_t count = labels_of(l, i, set->label_items + at);
        set->label_first[i] = at;
        set->labels[i] = count ? set->label_items[at] : -1;
        set->unlabelled += count == 0;
        set->several += count > 1;
        at += count;
    }
    set->label_first[l->count] = at;
    return BT_OK;
}

bt_status bt_stored_set(const char *name, const bt_stored_labels *labels, bt_dataset *out) {
    bt_dataset set = {0};
    set.name = bt_arena_copy(&set.arena, name, strlen(name));
    bt_status status = set.name ? fill(labels, &set) : BT_ERR_MEMORY;
    if (status != BT_OK) {
        bt_dataset_close(&set);
        return status;
    }
    *out = set;
    return BT_OK;
}
