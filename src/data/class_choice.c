/* Keeps some classes of a data set and numbers labels anew; see bt_dataset_options.classes. */
#include "base/memory.h"
#include "base/number.h"
#include "base/text.h"
#include "data/draft.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "3" or "3-9": positions in the list of classes. */
static bool read_range(const char *text, int64_t *first, int64_t *last) {
    char part[BT_NUMBER_BYTES];
    const char *dash = strchr(text, '-');
    size_t length = dash ? (size_t)(dash - text) : strlen(text);
    if (length == 0 || length >= sizeof part) return false;
    memcpy(part, text, length);
    part[length] = 0;
    if (!bt_number_read_i64(part, first)) return false;
    *last = *first;
    return !dash || bt_number_read_i64(dash + 1, last);
}

/* Marks what one item names: a class, or positions. A class whose name looks like a position is meant by name. */
static bt_status mark(const bt_dataset *set, const char *item, bool *keep) {
    for (int64_t c = 0; c < set->class_count; c++) {
        if (strcmp(set->class_names[c], item) != 0) continue;
        keep[c] = true;
        return BT_OK;
    }
    int64_t first, last;
    if (!read_range(item, &first, &last)) {
        const char *nearest = bt_text_nearest(item, set->class_names, (size_t)set->class_count);
        return bt_error(
            BT_ERR_CONFIG, "data.classes: \"%.100s\" is no class of %s%s%s%s; allowed: names, and positions as in 0-29",
            item, set->name, nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    }
    if (first < 0 || first > last || last >= set->class_count)
        return bt_error(BT_ERR_CONFIG,
                        "data.classes: %.100s is not within the %" PRId64 " classes of %s, which are 0-%" PRId64, item,
                        set->class_count, set->name, set->class_count - 1);
    for (int64_t c = first; c <= last; c++) keep[c] = true;
    return BT_OK;
}

bt_status bt_dataset_choose(bt_dataset *set, const char *classes) {
    bt_comma_list list;
    BT_TRY(bt_comma_split(&set->arena, classes, &list));
    size_t have = (size_t)set->class_count;
    bool *keep = bt_memory_zeroed(have, sizeof *keep);
    int32_t *number = bt_memory_alloc(have, sizeof *number);
    bt_status status = keep && number ? BT_OK : BT_ERR_MEMORY;
    for (int i = 0; i < list.count && status == BT_OK; i++) status = mark(set, list.items[i], keep);
    if (status == BT_OK) {
        int32_t count = 0;
        for (size_t c = 0; c < have; c++) {
            number[c] = keep[c] ? count : -1;
            if (keep[c]) set->class_names[count++] = set->class_names[c];
        }
        set->class_count = count;
        status = bt_dataset_keep(set, number, NULL);
    }
    if (status == BT_OK) {
        if (set->count == 0)
            status = bt_error(BT_ERR_CONFIG, "data.classes: the chosen classes of %s have no picture", set->name);
    }
    bt_memory_free(keep);
    bt_memory_free(number);
    return status;
}
