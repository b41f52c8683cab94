/* Listing what is to be embedded. */
#include "encoder/sources.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/draft.h"

#include <bittern/image.h>

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LIST_BYTES ((size_t)4 << 30)
#define DEEPEST 64

/* ---- a data set in the making ---- */

typedef struct making {
    bt_dataset set;
    size_t path_capacity, label_capacity, class_capacity;
} making;

#define GROW(array, capacity, need)                                                                                    \
    do {                                                                                                               \
        void *grown = bt_memory_grow(array, &(capacity), need, sizeof *(array));                                       \
        if (!grown) return BT_ERR_MEMORY;                                                                              \
        (array) = grown;                                                                                               \
    } while (0)

static bt_status add(making *m, const char *path, int32_t label) {
    bt_dataset *s = &m->set;
    size_t count = (size_t)s->count;
    if (count >= UINT32_MAX) return bt_error(BT_ERR_FORMAT, "%s: more than 2^32 - 1 pictures", s->name);
    GROW(s->paths, m->path_capacity, count + 1);
    GROW(s->labels, m->label_capacity, count + 1);
    s->paths[count] = bt_arena_copy(&s->arena, path, strlen(path));
    s->labels[count] = label;
    if (!s->paths[count]) return BT_ERR_MEMORY;
    s->count++;
    return BT_OK;
}

static bt_status add_class(making *m, const char *name, size_t length) {
    GROW(m->set.class_names, m->class_capacity, (size_t)m->set.class_count + 1);
    m->set.class_names[m->set.class_count] = bt_arena_copy(&m->set.arena, name, length);
    if (!m->set.class_names[m->set.class_count]) return BT_ERR_MEMORY;
    m->set.class_count++;
    return BT_OK;
}

/** Labels of the samples as the loader has them: none or one each. */
static bt_status finish(making *m) {
    bt_dataset *s = &m->set;
    s->label_first = bt_memory_alloc((size_t)s->count + 1, sizeof *s->label_first);
    s->label_items = bt_memory_alloc((size_t)s->count, sizeof *s->label_items);
    if (!s->label_first || !s->label_items) return BT_ERR_MEMORY;
    int64_t items = 0;
    for (int64_t i = 0; i < s->count; i++) {
        s->label_first[i] = items;
        if (s->labels[i] >= 0)
            s->label_items[items++] = s->labels[i];
        else
            s->unlabelled++;
    }
    s->label_first[s->count] = items;
    return BT_OK;
}

/* ---- folders ---- */

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct listing {
    char **names;
    size_t count, capacity;
} listing;

/** Adds a path relative to the folder if it is a picture, with a '/' behind it if it is a folder that is not a link. */
static bt_status examine(const char *root, const char *relative, listing *found) {
    char path[PATH_MAX], entry[PATH_MAX];
    struct stat info;
    if (snprintf(path, sizeof path, "%s/%s", root, relative) >= (int)sizeof path)
        return bt_error(BT_ERR_IO, "%s/%s: the path has over %zu bytes", root, relative, sizeof path - 1);
    if (lstat(path, &info) != 0) return BT_OK; /* removed since it was listed */
    bool link = S_ISLNK(info.st_mode);
    if (link && stat(path, &info) != 0) return BT_OK;
    bool folder = S_ISDIR(info.st_mode) && !link; /* a linked folder could hold itself */
    if (!folder && !(S_ISREG(info.st_mode) && bt_image_named(relative))) return BT_OK;
    if (snprintf(entry, sizeof entry, "%s%s", relative, folder ? "/" : "") >= (int)sizeof entry)
        return bt_error(BT_ERR_IO, "%s: the path has over %zu bytes", path, sizeof path - 1);
    GROW(found->names, found->capacity, found->count + 1);
    found->names[found->count] = bt_memory_copy_text(entry);
    if (!found->names[found->count]) return BT_ERR_MEMORY;
    found->count++;
    return BT_OK;
}

/** Entries of root/below ("" or ending in '/'), as paths relative to root, sorted; `found` is the caller's to free,
 * also on failure. */
static bt_status list_folder(const char *root, const char *below, listing *found) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", root, below) >= (int)sizeof path)
        return bt_error(BT_ERR_IO, "%s/%s: the path has over %zu bytes", root, below, sizeof path - 1);
    DIR *stream = opendir(path);
    if (!stream) return bt_file_error("open the folder", path, errno);
    bt_status status = BT_OK;
    struct dirent *entry;
    for (errno = 0; status == BT_OK && (entry = readdir(stream)); errno = 0) {
        if (entry->d_name[0] == '.') continue;
        char relative[PATH_MAX];
        if (snprintf(relative, sizeof relative, "%s%s", below, entry->d_name) >= (int)sizeof relative)
            status = bt_error(BT_ERR_IO, "%s%s: the path has over %zu bytes", path, entry->d_name, sizeof relative - 1);
        if (status == BT_OK) status = examine(root, relative, found);
    }
    if (status == BT_OK && errno) status = bt_file_error("list the folder", path, errno);
    closedir(stream);
    if (found->count > 1) qsort(found->names, found->count, sizeof *found->names, by_bytes);
    return status;
}

static bt_status walk(making *m, const char *below, int32_t label, int depth);

/** A folder in the root begins a class, unless there is no picture in it. */
static bt_status enter(making *m, const char *name, int32_t label, int depth) {
    if (depth > 0) return walk(m, name, label, depth + 1);
    int64_t before = m->set.count;
    BT_TRY(add_class(m, name, strlen(name) - 1));
    BT_TRY(walk(m, name, (int32_t)(m->set.class_count - 1), 1));
    if (m->set.count == before) m->set.class_count--;
    return BT_OK;
}

static bt_status walk(making *m, const char *below, int32_t label, int depth) {
    if (depth > DEEPEST)
        return bt_error(BT_ERR_FORMAT, "%s/%s: folders nest more than %d deep", m->set.base, below, DEEPEST);
    listing found = {.names = NULL};
    bt_status status = list_folder(m->set.base, below, &found);
    for (size_t i = 0; i < found.count; i++) {
        const char *name = found.names[i];
        if (status == BT_OK)
            status = name[strlen(name) - 1] == '/' ? enter(m, name, label, depth) : add(m, name, label);
        bt_memory_free(found.names[i]);
    }
    bt_memory_free(found.names);
    return status;
}

static bt_status open_folder(making *m) {
    m->set.base = m->set.name;
    BT_TRY(walk(m, "", -1, 0));
    if (!m->set.count) return bt_error(BT_ERR_FORMAT, "%s: no " BT_IMAGE_ENDINGS " file below it", m->set.name);
    return finish(m);
}

/* ---- lists of paths ---- */

/** Whether the first line that is not empty is a path and nothing else: tables and DeepHash's lists do not end in a
 * picture's name. */
static bt_status is_path_list(const char *path, bool *out) {
    char line[PATH_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) return bt_file_error("open", path, errno);
    *out = false;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (!*line) continue;
        *out = bt_image_named(line) && !strchr(line, '\t');
        break;
    }
    fclose(file);
    return BT_OK;
}

static bt_status read_lines(making *m, const char *list, char *content, size_t bytes) {
    int64_t number = 0;
    if (memchr(content, 0, bytes))
        return bt_error(BT_ERR_FORMAT, "%s: byte %zu is 0; a list is text", list, strlen(content));
    for (char *at = content; at < content + bytes;) {
        size_t length = strcspn(at, "\n");
        char *next = at + length + 1;
        at[length] = 0;
        if (length && at[length - 1] == '\r') at[length - 1] = 0;
        number++;
        if (*at && !bt_image_named(at))
            return bt_error(BT_ERR_FORMAT,
                            "%s:%" PRId64 ": \"%.80s\" is no " BT_IMAGE_ENDINGS
                            " file; labels take a table with a header (docs/data.md)",
                            list, number, at);
        if (*at) BT_TRY(add(m, at, -1));
        at = next;
    }
    return finish(m);
}

static bt_status open_list(making *m) {
    char *content, *base = bt_file_sibling(m->set.name, ".");
    size_t bytes;
    m->set.base = base ? bt_arena_copy(&m->set.arena, base, strlen(base)) : NULL;
    bt_memory_free(base);
    if (!m->set.base) return BT_ERR_MEMORY;
    BT_TRY(bt_file_read(m->set.name, LIST_BYTES, &content, &bytes));
    bt_status status = read_lines(m, m->set.name, content, bytes);
    bt_memory_free(content);
    return status;
}

/* ---- all kinds ---- */

static bool set(const char *text) {
    return text && *text;
}

static bt_status open_set(const bt_dataset_options *o, making *m) {
    struct stat info;
    bool list = false;
    if (stat(o->root, &info) != 0) return bt_file_error("open", o->root, errno);
    bool folder = S_ISDIR(info.st_mode);
    if (!folder && bt_image_named(o->root))
        return bt_error(BT_ERR_USAGE, "%s is a picture; give its folder, or a list with one path a line", o->root);
    if (!folder) BT_TRY(is_path_list(o->root, &list));
    if ((folder && !bt_label_lists_in(o->root)) || list) {
        const char *useless = set(o->path) ? "--path" : set(o->label) ? "--label" : set(o->images) ? "--images" : NULL;
        if (useless)
            return bt_error(BT_ERR_USAGE, "%s: %s is %s; leave it out, or give a table (docs/data.md)", useless,
                            o->root, folder ? "a folder of pictures" : "a list of paths, which has no columns");
        m->set.name = bt_arena_copy(&m->set.arena, o->root, strlen(o->root));
        if (!m->set.name) return BT_ERR_MEMORY;
        return folder ? open_folder(m) : open_list(m);
    }
    return bt_dataset_open(o, &m->set);
}

/** paths.txt has one path a line. */
static bt_status check_names(const bt_dataset *s) {
    for (int64_t i = 0; i < s->count; i++)
        if (strpbrk(s->paths[i], "\r\n"))
            return bt_error(BT_ERR_FORMAT, "%s: the name of picture %" PRId64 " holds a line break; rename it", s->name,
                            i + 1);
    for (int64_t c = 0; c < s->class_count; c++)
        if (strpbrk(s->class_names[c], "\r\n"))
            return bt_error(BT_ERR_FORMAT, "%s: the name of class %" PRId64 " holds a line break; rename it", s->name,
                            c);
    return BT_OK;
}

bt_status bt_sources_open(const bt_dataset_options *options, bt_sources *out) {
    making m = {.path_capacity = 0};
    bt_status status = open_set(options, &m);
    if (status == BT_OK) status = check_names(&m.set);
    bt_sources s = {.set = m.set, .labelled = m.set.unlabelled < m.set.count};
    if (status != BT_OK) {
        bt_sources_close(&s);
        return status;
    }
    for (int64_t i = 0; i < s.set.count; i++) {
        int64_t first = s.set.label_first[i], items = s.set.label_first[i + 1] - first;
        s.crc = bt_crc32c(s.crc, s.set.paths[i], strlen(s.set.paths[i]) + 1);
        s.crc = bt_crc32c(s.crc, s.set.label_items + first, (size_t)items * sizeof *s.set.label_items);
    }
    for (int64_t c = 0; c < s.set.class_count; c++)
        s.crc = bt_crc32c(s.crc, s.set.class_names[c], strlen(s.set.class_names[c]) + 1);
    *out = s;
    return BT_OK;
}

void bt_sources_close(bt_sources *s) {
    bt_dataset_close(&s->set);
    s->labelled = false;
}
