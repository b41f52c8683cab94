/* Splits of a data set: drawn by class, or as the data set names them; see dataset.h. */
#include "base/memory.h"
#include "data/dataset.h"
#include "data/draw.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Samples in a list by class: those of class c are in sample[first[c]..first[c + 1]), ascending. */
typedef struct by_class {
    int64_t *sample, *first;
} by_class;

static void free_by_class(by_class *b) {
    bt_memory_free(b->sample);
    bt_memory_free(b->first);
}

/* Of single-label samples, and of these only those in one of the splits `bits` (0: all); unlabelled ones are left out.
 */
static bt_status sort_by_class(const bt_dataset *set, unsigned bits, by_class *out) {
    size_t classes = (size_t)set->class_count;
    by_class b = {bt_memory_alloc((size_t)set->count, sizeof *b.sample),
                  bt_memory_zeroed(classes + 2, sizeof *b.first)};
    if (!b.sample || !b.first) {
        free_by_class(&b);
        return BT_ERR_MEMORY;
    }
    /* first[c + 2] counts, then first[c + 1] is where the next of class c goes. */
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < set->count; i++) {
            int32_t label = set->labels[i];
            if (label < 0 || (bits && !(set->splits[i] & bits))) continue;
            if (pass == 0)
                b.first[label + 2]++;
            else
                b.sample[b.first[label + 1]++] = i;
        }
        for (size_t c = 0; c < classes && pass == 0; c++) b.first[c + 2] += b.first[c + 1];
    }
    *out = b;
    return BT_OK;
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void sort_list(int64_t *list, int64_t count) {
    if (count > 1) qsort(list, (size_t)count, sizeof *list, by_value);
}

static void take(int64_t *list, int64_t *count, const int64_t *from, int64_t n) {
    if (n > 0) memcpy(list + *count, from, (size_t)n * sizeof *list);
    *count += n;
}

/* ---- drawn ---- */

/* The counts of one class: all of `have` samples when database is -1. */
static bt_status check_class(const bt_dataset *set, const bt_split_options *options, int64_t c, int64_t have) {
    int64_t database = options->database < 0 ? 0 : options->database;
    /* Written so that huge counts do not overflow. */
    bool enough = options->query <= have && options->train <= have - options->query &&
                  database <= have - options->query - options->train;
    if (enough) return BT_OK;
    return bt_error(BT_ERR_CONFIG,
                    "%s: class %s has %" PRId64 " pictures, but the split wants %" PRId64 " query + %" PRId64
                    " train + %" PRId64 " database of each class; ask for fewer",
                    set->name, set->class_names[c], have, options->query, options->train, database);
}

static void draw_class(const by_class *b, const bt_split_options *options, int64_t c, bt_split *split) {
    int64_t *samples = b->sample + b->first[c], have = b->first[c + 1] - b->first[c];
    bt_draw_shuffle(samples, have, options->seed, 0, BT_STREAM_SPLIT, c);
    int64_t rest = have - options->query - options->train;
    take(split->query, &split->query_count, samples, options->query);
    take(split->train, &split->train_count, samples + options->query, options->train);
    take(split->database, &split->database_count, samples + options->query + options->train,
         options->database < 0 ? rest : options->database);
}

static bt_status draw(const bt_dataset *set, const bt_split_options *options, bt_split *split) {
    by_class b;
    if (set->several > 0)
        return bt_error(
            BT_ERR_CONFIG,
            "%s: %" PRId64
            " pictures have several labels, so a split cannot be drawn by class; name the splits in the data "
            "(a column split, or lists)",
            set->name, set->several);
    BT_TRY(sort_by_class(set, 0, &b));
    bt_status status = BT_OK;
    for (int64_t c = 0; c < set->class_count && status == BT_OK; c++)
        status = check_class(set, options, c, b.first[c + 1] - b.first[c]);
    if (status == BT_OK) {
        for (int64_t c = 0; c < set->class_count; c++) draw_class(&b, options, c, split);
        for (int64_t i = 0; i < set->count && options->database < 0; i++) {
            if (set->labels[i] < 0) take(split->database, &split->database_count, &i, 1);
        }
    }
    free_by_class(&b);
    return status;
}

/* ---- named ---- */

/* `each` samples of every class that are in a split; 0 or -1: all of it. */
static bt_status name_part(const bt_dataset *set, const char *what, unsigned bit, int64_t each, uint64_t seed,
                           int64_t *list, int64_t *count) {
    by_class b;
    if (each <= 0) {
        for (int64_t i = 0; i < set->count; i++) {
            if (set->splits[i] & bit) list[(*count)++] = i;
        }
        return BT_OK;
    }
    if (set->several > 0)
        return bt_error(BT_ERR_CONFIG,
                        "%s: data.%s asks for %" PRId64 " pictures of each class, but %" PRId64
                        " have several labels; leave it out for all of the split",
                        set->name, what, each, set->several);
    BT_TRY(sort_by_class(set, bit, &b));
    bt_status status = BT_OK;
    for (int64_t c = 0; c < set->class_count && status == BT_OK; c++) {
        int64_t have = b.first[c + 1] - b.first[c];
        if (have < each) {
            status = bt_error(BT_ERR_CONFIG,
                              "%s: class %s has %" PRId64 " pictures in the split %s, but data.%s asks for %" PRId64,
                              set->name, set->class_names[c], have, what, what, each);
        } else {
            bt_draw_shuffle(b.sample + b.first[c], have, seed, 0, BT_STREAM_SPLIT, c);
            take(list, count, b.sample + b.first[c], each);
        }
    }
    free_by_class(&b);
    return status;
}

static bt_status name_all(const bt_dataset *set, const bt_split_options *options, bt_split *split) {
    BT_TRY(name_part(set, "query", BT_SPLIT_QUERY, options->query, options->seed, split->query, &split->query_count));
    BT_TRY(name_part(set, "train", BT_SPLIT_TRAIN, options->train, options->seed, split->train, &split->train_count));
    unsigned all = 0;
    for (int64_t i = 0; i < set->count; i++) all |= set->splits[i];
    split->database_is_train = !(all & BT_SPLIT_DATABASE);
    if (split->database_is_train) {
        take(split->database, &split->database_count, split->train, split->train_count);
        return BT_OK;
    }
    return name_part(set, "database", BT_SPLIT_DATABASE, options->database, options->seed, split->database,
                     &split->database_count);
}

/* ---- both ---- */

bt_status bt_split_make(const bt_dataset *set, const bt_split_options *options, bt_split *out) {
    if (options->query < 0 || options->train < 0 || options->database < -1) {
        return bt_error(BT_ERR_CONFIG,
                        "split: query %" PRId64 ", train %" PRId64 ", database %" PRId64
                        "; counts are 0 or more (database also -1: all others)",
                        options->query, options->train, options->database);
    }
    bt_split split = {0};
    size_t count = (size_t)set->count;
    split.query = bt_memory_alloc(count, sizeof *split.query);
    split.train = bt_memory_alloc(count, sizeof *split.train);
    split.database = bt_memory_alloc(count, sizeof *split.database);
    bt_status status = split.query && split.train && split.database ? BT_OK : BT_ERR_MEMORY;
    if (status == BT_OK) status = set->splits ? name_all(set, options, &split) : draw(set, options, &split);
    if (status != BT_OK) {
        bt_split_free(&split);
        return status;
    }
    sort_list(split.query, split.query_count);
    sort_list(split.train, split.train_count);
    sort_list(split.database, split.database_count);
    *out = split;
    return BT_OK;
}

void bt_split_free(bt_split *split) {
    bt_memory_free(split->query);
    bt_memory_free(split->train);
    bt_memory_free(split->database);
    *split = (bt_split){0};
}
