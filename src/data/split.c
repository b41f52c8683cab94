/* Splits of a data set by class; see image_folder.h. */
#include "base/memory.h"
#include "data/draw.h"
#include "data/image_folder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The counts of one class: all of `have` samples when database is -1. */
static bt_status check_class(const bt_image_folder *folder, const bt_split_options *options, int64_t c, int64_t have) {
    int64_t database = options->database < 0 ? 0 : options->database;
    /* Written so that huge counts do not overflow. */
    bool enough = options->query <= have && options->train <= have - options->query &&
                  database <= have - options->query - options->train;
    if (enough) return BT_OK;
    return bt_error(BT_ERR_CONFIG,
                    "%s: class %s has %" PRId64 " pictures, but the split wants %" PRId64 " query + %" PRId64
                    " train + %" PRId64 " database of each class; ask for fewer",
                    folder->root, folder->class_names[c], have, options->query, options->train, database);
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void take(int64_t *list, int64_t *count, const int64_t **from, int64_t n) {
    if (n > 0) memcpy(list + *count, *from, (size_t)n * sizeof *list);
    *count += n;
    *from += n;
}

static void draw_class(const bt_image_folder *folder, const bt_split_options *options, int64_t c, int64_t *shuffled,
                       bt_split *split) {
    int64_t first = folder->class_first[c], have = folder->class_first[c + 1] - first;
    for (int64_t i = 0; i < have; i++) shuffled[i] = first + i;
    bt_draw_shuffle(shuffled, have, options->seed, 0, BT_STREAM_SPLIT, c);
    int64_t rest = have - options->query - options->train;
    const int64_t *next = shuffled;
    take(split->query, &split->query_count, &next, options->query);
    take(split->train, &split->train_count, &next, options->train);
    take(split->database, &split->database_count, &next, options->database < 0 ? rest : options->database);
}

bt_status bt_split_draw(const bt_image_folder *folder, const bt_split_options *options, bt_split *out) {
    if (options->query < 0 || options->train < 0 || options->database < -1) {
        return bt_error(BT_ERR_CONFIG,
                        "split: query %" PRId64 ", train %" PRId64 ", database %" PRId64
                        "; counts are 0 or more (database also -1: all others)",
                        options->query, options->train, options->database);
    }
    for (int64_t c = 0; c < folder->class_count; c++) {
        BT_TRY(check_class(folder, options, c, folder->class_first[c + 1] - folder->class_first[c]));
    }
    bt_split split = {0};
    size_t count = (size_t)folder->count;
    int64_t *shuffled = bt_memory_alloc(count, sizeof *shuffled);
    split.query = bt_memory_alloc(count, sizeof *split.query);
    split.train = bt_memory_alloc(count, sizeof *split.train);
    split.database = bt_memory_alloc(count, sizeof *split.database);
    if (!shuffled || !split.query || !split.train || !split.database) {
        bt_memory_free(shuffled);
        bt_split_free(&split);
        return BT_ERR_MEMORY;
    }
    for (int64_t c = 0; c < folder->class_count; c++) draw_class(folder, options, c, shuffled, &split);
    bt_memory_free(shuffled);
    qsort(split.query, (size_t)split.query_count, sizeof *split.query, by_value);
    qsort(split.train, (size_t)split.train_count, sizeof *split.train, by_value);
    qsort(split.database, (size_t)split.database_count, sizeof *split.database, by_value);
    *out = split;
    return BT_OK;
}

void bt_split_free(bt_split *split) {
    bt_memory_free(split->query);
    bt_memory_free(split->train);
    bt_memory_free(split->database);
    *split = (bt_split){0};
}
