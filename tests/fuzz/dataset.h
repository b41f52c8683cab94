/* What must hold for every data set that a reader accepts. */
#ifndef BITTERN_TESTS_FUZZ_DATASET_H
#define BITTERN_TESTS_FUZZ_DATASET_H

#include "fuzz.h"

#include "data/pack.h"

/** Opens the input as a file of this name and format, checks what is accepted, also with a choice of classes. */
static inline void fuzz_check_set(const bt_dataset *set) {
    FUZZ_CHECK(set->count > 0 && set->class_count > 0 && set->label_first[0] == 0);
    int64_t none = 0, several = 0;
    for (int64_t c = 0; c < set->class_count; c++)
        FUZZ_CHECK(c == 0 || strcmp(set->class_names[c - 1], set->class_names[c]) < 0);
    for (int64_t i = 0; i < set->count; i++) {
        char path[70000];
        int64_t from = set->label_first[i], to = set->label_first[i + 1];
        FUZZ_CHECK(from <= to && set->labels[i] == (to > from ? set->label_items[from] : -1));
        for (int64_t k = from; k < to; k++)
            FUZZ_CHECK(set->label_items[k] >= 0 && set->label_items[k] < set->class_count &&
                       (k == from || set->label_items[k] > set->label_items[k - 1]));
        none += to == from;
        several += to > from + 1;
        FUZZ_CHECK(bt_dataset_path(set, i, path, sizeof path) && strlen(path) > 0);
        if (set->captions) fuzz_touch(set->captions[i], strlen(set->captions[i]));
        if (set->splits) FUZZ_CHECK(set->splits[i] <= 7);
        for (int r = 0; r < set->rank_count; r++)
            FUZZ_CHECK(set->rank[r].labels[i] >= -1 && set->rank[r].labels[i] < set->rank[r].class_count);
    }
    FUZZ_CHECK(none == set->unlabelled && several == set->several);
}

static inline void fuzz_dataset(const char *path, bt_data_format format, void (*look)(const bt_dataset *set)) {
    static const char *const choices[] = {"", "0"};
    for (int k = 0; k < 2; k++) {
        bt_dataset set = {.count = -1};
        bt_status status =
            bt_dataset_open(&(bt_dataset_options){.root = path, .format = format, .classes = choices[k]}, &set);
        if (status != BT_OK) {
            FUZZ_CHECK_REFUSED(status);
            FUZZ_CHECK(set.count == -1);
            continue;
        }
        fuzz_check_set(&set);
        if (look) look(&set);
        bt_split split;
        status = bt_split_make(&set, &(bt_split_options){.seed = 1, .train = 1, .query = 1, .database = -1}, &split);
        if (status == BT_OK)
            bt_split_free(&split);
        else
            FUZZ_CHECK_REFUSED(status);
        bt_dataset_close(&set);
    }
}

#endif
