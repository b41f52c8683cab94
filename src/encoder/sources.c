/* Listing what is to be embedded. */
#include "encoder/sources.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "formats/hdf5.h"

#include <bittern/image.h>

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- rows ---- */

#define GROW(array, capacity, need)                                                                                    \
    do {                                                                                                               \
        void *grown = bt_memory_grow(array, &(capacity), need, sizeof *(array));                                       \
        if (!grown) return BT_ERR_MEMORY;                                                                              \
        (array) = grown;                                                                                               \
    } while (0)

static bt_status append_text(char ***list, size_t *capacity, int64_t *count, const char *text) {
    GROW(*list, *capacity, (size_t)*count + 1);
    (*list)[*count] = bt_memory_copy_text(text);
    if (!(*list)[*count]) return BT_ERR_MEMORY;
    ++*count;
    return BT_OK;
}

/** Adds a picture. `path` as for the loader, base/path or path. */
static bt_status add(bt_sources *s, const char *path, int32_t label) {
    GROW(s->labels, s->label_capacity, (size_t)s->count + 1);
    s->labels[s->count] = label;
    s->labelled = s->labelled || label >= 0;
    if (s->count >= UINT32_MAX) return bt_error(BT_ERR_FORMAT, "%s: more than 2^32 - 1 pictures", s->base);
    return append_text(&s->paths, &s->path_capacity, &s->count, path);
}

/* ---- folders ---- */

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

typedef struct listing {
    char **names;
    int64_t count;
    size_t capacity;
} listing;

static void free_names(char **names, int64_t count) {
    for (int64_t i = 0; i < count; i++) bt_memory_free(names[i]);
    bt_memory_free(names);
}

/** Adds path relative to the folder if it is a picture, with a '/' behind it if it is a folder that is not a link. */
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
    if (strpbrk(relative, "\n\r\t")) return bt_error(BT_ERR_FORMAT, "%s: a name holds a tab or a line break; paths.txt has one path a line", path);
    if (snprintf(entry, sizeof entry, "%s%s", relative, folder ? "/" : "") >= (int)sizeof entry)
        return bt_error(BT_ERR_IO, "%s: the path has over %zu bytes", path, sizeof path - 1);
    return append_text(&found->names, &found->capacity, &found->count, entry);
}

/** Entries of root/below ("" or ending in '/'), as paths relative to root, sorted; `found` is the caller's to free, also on failure. */
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
    if (found->count > 1) qsort(found->names, (size_t)found->count, sizeof *found->names, by_bytes);
    return status;
}

/** `label` is that of the folder; -1 in the root, where each folder begins a class. */
static bt_status walk(bt_sources *s, const char *below, int32_t label) {
    enum { DEEPEST = 64 };
    int depth = 0;
    for (const char *c = below; *c; c++) depth += *c == '/';
    if (depth > DEEPEST) return bt_error(BT_ERR_FORMAT, "%s/%s: folders nest more than %d deep", s->base, below, DEEPEST);
    listing found = {.names = NULL};
    bt_status status = list_folder(s->base, below, &found);
    for (int64_t i = 0; i < found.count && status == BT_OK; i++) {
        char *name = found.names[i];
        size_t length = strlen(name);
        if (name[length - 1] != '/') {
            status = add(s, name, label);
            continue;
        }
        int32_t inner = label;
        if (!*below) {
            inner = (int32_t)s->class_count;
            name[length - 1] = 0;
            status = append_text(&s->classes, &s->class_capacity, &s->class_count, name);
            name[length - 1] = '/';
        }
        int64_t before = s->count;
        if (status == BT_OK) status = walk(s, name, inner);
        if (status == BT_OK && !*below && s->count == before) bt_memory_free(s->classes[--s->class_count]); /* no picture, no class */
    }
    free_names(found.names, found.count);
    return status;
}

/* ---- lists ---- */

static bt_status take_line(bt_sources *s, const char *list, int64_t line, char *text, int *labelled) {
    char *tab = strchr(text, '\t');
    long long label = -1;
    if (tab) {
        char *end;
        *tab = 0;
        errno = 0;
        label = strtoll(tab + 1, &end, 10);
        if (errno || end == tab + 1 || *end || label < -1 || label > INT32_MAX)
            return bt_error(BT_ERR_FORMAT, "%s:%" PRId64 ": \"%s\" behind the tab; a label is a whole number from -1 to 2147483647", list, line, tab + 1);
    }
    if (*labelled >= 0 && *labelled != (tab != NULL))
        return bt_error(BT_ERR_FORMAT, "%s:%" PRId64 ": %s label; labels stand in all lines or in none", list, line, tab ? "a" : "no");
    *labelled = tab != NULL;
    if (!*text || text[strlen(text) - 1] == '/') return bt_error(BT_ERR_FORMAT, "%s:%" PRId64 ": the path of a picture is missing", list, line);
    return add(s, text, (int32_t)label);
}

static bt_status read_list(bt_sources *s, const char *list) {
    char *content;
    size_t bytes;
    BT_TRY(bt_file_read(list, (size_t)4 << 30, &content, &bytes));
    bt_status status = BT_OK;
    int64_t line = 0;
    int labelled = -1;
    if (memchr(content, 0, bytes)) status = bt_error(BT_ERR_FORMAT, "%s: byte %zu is 0; a list is text", list, strlen(content));
    for (char *at = content; status == BT_OK && at < content + bytes;) {
        size_t length = strcspn(at, "\n");
        char *next = at + length + 1;
        at[length] = 0;
        if (length && at[length - 1] == '\r') at[length - 1] = 0;
        line++;
        if (*at) status = take_line(s, list, line, at, &labelled);
        at = next;
    }
    bt_memory_free(content);
    return status;
}

/* ---- both ---- */

/** A data set with labels and splits of its own. */
static bool is_data_set(const char *path) {
    size_t length = strlen(path);
    const char *ending = length > 4 ? path + length - 4 : "";
    return strcmp(ending, ".csv") == 0 || strcmp(ending, ".tsv") == 0 || bt_h5_is(path);
}

static bt_status take_data_set(bt_sources *s, const char *path) {
    BT_TRY(bt_dataset_open(&(bt_dataset_options){.root = path}, &s->set));
    s->own_set = true;
    if (s->set.several > 0)
        bt_log_warn("%s: %" PRId64 " pictures have several labels; labels have the first of each", path, s->set.several);
    for (int64_t i = 0; i < s->set.count; i++) {
        if (strpbrk(s->set.paths[i], "\n\r\t"))
            return bt_error(BT_ERR_FORMAT, "%s: a path holds a tab or a line break; paths.txt has one path a line", path);
        BT_TRY(add(s, s->set.paths[i], s->set.labels[i]));
    }
    for (int64_t c = 0; c < s->set.class_count; c++) BT_TRY(append_text(&s->classes, &s->class_capacity, &s->class_count, s->set.class_names[c]));
    return BT_OK;
}

static bt_status take_list(bt_sources *s, const char *path) {
    BT_TRY(read_list(s, path));
    if (!s->count) return bt_error(BT_ERR_FORMAT, "%s: an empty list; it has one path a line", path);
    bt_memory_free(s->base);
    s->base = bt_file_sibling(path, ".");
    return s->base ? BT_OK : BT_ERR_MEMORY;
}

static bt_status fill(bt_sources *s, const char *path) {
    struct stat info;
    if (stat(path, &info) != 0) return bt_file_error("open", path, errno);
    s->base = bt_memory_copy_text(path);
    if (!s->base) return BT_ERR_MEMORY;
    if (S_ISDIR(info.st_mode)) {
        BT_TRY(walk(s, "", -1));
        if (!s->count) return bt_error(BT_ERR_FORMAT, "%s: no .png, .jpg, .jpeg or .ppm file below it", path);
    } else if (bt_image_named(path)) {
        return bt_error(BT_ERR_USAGE, "%s is a picture; give its folder, or a list with one path a line", path);
    } else if (is_data_set(path)) {
        BT_TRY(take_data_set(s, path));
    } else {
        BT_TRY(take_list(s, path));
    }
    for (int64_t i = 0; i < s->count; i++) s->crc = bt_crc32c(s->crc, s->paths[i], strlen(s->paths[i]) + 1);
    s->crc = bt_crc32c(s->crc, s->labels, (size_t)s->count * sizeof *s->labels);
    return BT_OK;
}

bt_status bt_sources_open(const char *path, bt_sources *out) {
    bt_sources s = {.count = 0};
    bt_status status = fill(&s, path);
    if (status != BT_OK) {
        bt_sources_close(&s);
        return status;
    }
    /* The loader looks at paths and first labels only where nothing has several. */
    if (!s.own_set)
        s.set = (bt_dataset){.name = s.base, .base = s.base, .count = s.count, .paths = (const char **)s.paths, .labels = s.labels};
    *out = s;
    return BT_OK;
}

void bt_sources_close(bt_sources *s) {
    free_names(s->paths, s->count);
    free_names(s->classes, s->class_count);
    bt_memory_free(s->labels);
    bt_memory_free(s->base);
    if (s->own_set) bt_dataset_close(&s->set);
    *s = (bt_sources){.count = 0};
}
