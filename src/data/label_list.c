/* DeepHash's lists: a line for each picture, its path and a 0 or 1 for each class, separated by spaces.
 *
 *     train2014/COCO_train2014_000000000009.jpg 0 0 1 0 1
 *
 * root is one such file (no splits), or a folder with train.txt, test.txt (or query.txt) and database.txt. A picture
 * that is in several files is one sample in several splits. Classes are the columns, named by their number from 0.
 */
#include "base/file.h"
#include "base/memory.h"
#include "data/draft.h"

#include <bittern/image.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FILE_BYTES ((size_t)1 << 33)
#define COLUMNS 65536
#define PATH_BYTES 4096

typedef struct label_lists {
    bt_draft *draft;
    int64_t columns; /* of the first line; 0: not read yet */
    const char *first_file;
    const char **class_names; /* (columns) in the arena */
    bt_names paths;           /* number: the sample */
} label_lists;

typedef struct list_line {
    const char *file, *text;
    int64_t number;
    size_t length; /* without what ends it and spaces before that */
} list_line;

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts the last word off text[0, *length): its place, its length in *word; *length ends before the spaces in front of
 * it. */
static const char *cut_word(const char *text, size_t *length, size_t *word) {
    size_t end = *length, from = end;
    while (from > 0 && !is_space(text[from - 1])) from--;
    *word = end - from;
    *length = from;
    while (*length > 0 && is_space(text[*length - 1])) --*length;
    return text + from;
}

static bool is_flag(const char *word, size_t length) {
    return length == 1 && (*word == '0' || *word == '1');
}

static bool is_image_path(const char *text, size_t length) {
    char path[PATH_BYTES];
    if (length == 0 || length >= sizeof path) return false;
    memcpy(path, text, length);
    path[length] = 0;
    return bt_image_named(path);
}

bool bt_label_list_line(const char *line, size_t length) {
    size_t word = 1;
    while (length > 0 && is_space(line[length - 1])) length--;
    int64_t flags = 0;
    for (;; flags++) {
        size_t rest = length;
        const char *last = cut_word(line, &rest, &word);
        if (!is_flag(last, word)) break;
        length = rest;
    }
    return flags > 0 && is_image_path(line, length);
}

static bt_status error_at(const list_line *line, const char *where, const char *what) {
    return bt_error(BT_ERR_FORMAT, "%s:%" PRId64 ":%zu: %s", line->file, line->number, (size_t)(where - line->text) + 1,
                    what);
}

/* The classes, when the first line tells how many. Numbers of equal width: bytewise order is theirs. */
static bt_status name_classes(label_lists *l, const list_line *line) {
    size_t length = line->length, word;
    l->first_file = line->file;
    for (const char *last = cut_word(line->text, &length, &word); is_flag(last, word);
         last = cut_word(line->text, &length, &word)) {
        l->columns++;
        if (l->columns > COLUMNS) return error_at(line, last, "more than 65536 labels");
    }
    if (l->columns == 0)
        return error_at(line, line->text + line->length - word,
                        "no label; a line is a path and a 0 or 1 for each class");
    int width = snprintf(NULL, 0, "%" PRId64, l->columns - 1);
    bt_arena *arena = &l->draft->set.arena;
    l->class_names = bt_arena_alloc(arena, (size_t)l->columns, sizeof *l->class_names);
    if (!l->class_names) return BT_ERR_MEMORY;
    for (int64_t c = 0; c < l->columns; c++) {
        int32_t number;
        l->class_names[c] = bt_arena_format(arena, "%0*" PRId64, width, c);
        if (!l->class_names[c]) return BT_ERR_MEMORY;
        BT_TRY(bt_names_add(&l->draft->classes, l->class_names[c], &number));
    }
    return BT_OK;
}

/* Finds where the labels of a line begin, and checks them: the path's length. */
static bt_status split_line(const label_lists *l, const list_line *line, size_t *path_length) {
    *path_length = line->length;
    for (int64_t k = 0; k < l->columns; k++) {
        char what[200];
        size_t word;
        const char *last = cut_word(line->text, path_length, &word);
        if (is_flag(last, word)) continue;
        if (is_image_path(line->text, (size_t)(last - line->text) + word))
            snprintf(what, sizeof what, "%" PRId64 " labels in this line, %" PRId64 " in the first (%.80s)", k,
                     l->columns, l->first_file);
        else
            snprintf(what, sizeof what, "a label is 0 or 1, found \"%.*s\"", word > 40 ? 40 : (int)word, last);
        return error_at(line, last, what);
    }
    if (is_image_path(line->text, *path_length)) return BT_OK;
    size_t rest = *path_length, word;
    const char *last = cut_word(line->text, &rest, &word);
    char what[200];
    if (is_flag(last, word))
        snprintf(what, sizeof what, "more than the %" PRId64 " labels of the first line (%.80s)", l->columns,
                 l->first_file);
    else
        snprintf(what, sizeof what,
                 "\"%.*s\" is neither a label (0 or 1) nor the end of a picture's path (" BT_IMAGE_ENDINGS ")",
                 word > 60 ? 60 : (int)word, last);
    return error_at(line, last, what);
}

/* Whether the labels of a picture that is in two lists are the same. */
static bool same_labels(const label_lists *l, int64_t sample, const list_line *line) {
    const bt_dataset *set = &l->draft->set;
    int64_t from = set->label_first[sample];
    int64_t to = sample + 1 < set->count ? set->label_first[sample + 1] : (int64_t)l->draft->item_count;
    size_t length = line->length, word;
    for (int64_t c = l->columns - 1, k = to; c >= 0; c--) {
        bool here = *cut_word(line->text, &length, &word) == '1';
        bool there = k > from && set->label_items[k - 1] == c;
        if (here != there) return false;
        k -= there;
    }
    return true;
}

static bt_status add_labels(label_lists *l, const list_line *line, size_t path_length) {
    const char *at = line->text + path_length;
    for (int64_t c = 0; c < l->columns; c++) {
        while (is_space(*at)) at++;
        if (*at++ == '1') BT_TRY(bt_draft_label(l->draft, l->class_names[c]));
    }
    return BT_OK;
}

static bt_status read_line(label_lists *l, const list_line *line, unsigned split) {
    size_t path_length;
    bt_dataset *set = &l->draft->set;
    if (l->columns == 0) BT_TRY(name_classes(l, line));
    BT_TRY(split_line(l, line, &path_length));
    char *path = bt_arena_copy(&set->arena, line->text, path_length);
    if (!path) return BT_ERR_MEMORY;
    if (memchr(path, 0, path_length)) return error_at(line, line->text + strlen(path), "a NUL byte; a list is text");
    const char *fault = bt_path_fault(set->base, path);
    if (fault)
        return bt_error(BT_ERR_FORMAT, "%s:%" PRId64 ":1: the path %.200s %s", line->file, line->number, path, fault);
    int32_t sample;
    BT_TRY(bt_names_add(&l->paths, path, &sample));
    if (sample < set->count) {
        if (!same_labels(l, sample, line))
            return bt_error(BT_ERR_FORMAT,
                            "%s:%" PRId64 ":1: %.200s has other labels here than where it was named before", line->file,
                            line->number, path);
        set->splits[sample] |= (uint8_t)split;
        return BT_OK;
    }
    BT_TRY(bt_draft_sample(l->draft, path, NULL, split));
    return add_labels(l, line, path_length);
}

static bt_status read_file(label_lists *l, const char *path, unsigned split) {
    char *content;
    size_t bytes;
    BT_TRY(bt_file_read(path, FILE_BYTES, &content, &bytes));
    bt_status status = BT_OK;
    list_line line = {.file = path};
    for (char *at = content, *end; at < content + bytes && status == BT_OK; at = end + 1) {
        end = memchr(at, '\n', (size_t)(content + bytes - at));
        if (!end) end = content + bytes;
        line.number++;
        line.text = at;
        line.length = (size_t)(end - at);
        while (line.length > 0 && is_space(at[line.length - 1])) line.length--;
        if (line.length > 0) status = read_line(l, &line, split);
    }
    bt_memory_free(content);
    return status;
}

/* ---- folders of lists ---- */

static const struct {
    const char *name;
    unsigned split;
} list_files[] = {{"train.txt", BT_SPLIT_TRAIN},
                  {"test.txt", BT_SPLIT_QUERY},
                  {"query.txt", BT_SPLIT_QUERY},
                  {"database.txt", BT_SPLIT_DATABASE}};

static bool list_path(const char *folder, size_t i, char *path, size_t bytes) {
    int length = snprintf(path, bytes, "%s/%s", folder, list_files[i].name);
    return length > 0 && (size_t)length < bytes && bt_file_exists(path);
}

bool bt_label_lists_in(const char *folder) {
    char path[PATH_BYTES];
    return list_path(folder, 0, path, sizeof path) &&
           (list_path(folder, 1, path, sizeof path) || list_path(folder, 2, path, sizeof path));
}

static bt_status read_folder(label_lists *l, const char *folder) {
    int found = 0;
    for (size_t i = 0; i < sizeof list_files / sizeof list_files[0]; i++) {
        char path[PATH_BYTES];
        if (!list_path(folder, i, path, sizeof path)) continue;
        const char *kept = bt_arena_copy(&l->draft->set.arena, path, strlen(path));
        if (!kept) return BT_ERR_MEMORY;
        BT_TRY(read_file(l, kept, list_files[i].split));
        found++;
    }
    if (found > 0) return BT_OK;
    return bt_error(BT_ERR_FORMAT, "%s: none of train.txt, test.txt, query.txt, database.txt is in it", folder);
}

bt_status bt_label_lists_read(const bt_dataset_options *options, bt_draft *draft) {
    label_lists l = {.draft = draft};
    char inside[PATH_BYTES];
    bool folder = bt_file_is_folder(options->root);
    if (snprintf(inside, sizeof inside, "%s/train.txt", options->root) >= (int)sizeof inside)
        return bt_error(BT_ERR_IO, "%s: the path has more than %d bytes", options->root, PATH_BYTES - 1);
    BT_TRY(bt_draft_begin(draft, options, BT_DATA_LISTS, folder ? inside : options->root));
    draft->has_splits = folder;
    bt_status status = folder ? read_folder(&l, options->root) : read_file(&l, options->root, 0);
    bt_names_free(&l.paths);
    return status;
}
