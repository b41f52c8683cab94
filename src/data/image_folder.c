/* Listing a data set of pictures; see image_folder.h. */
#include "data/image_folder.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

#include <bittern/image.h>

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct name_list {
    char **names;
    size_t count, capacity;
} name_list;

static void free_names(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) bt_memory_free(names[i]);
    bt_memory_free(names);
}

static bt_status add_name(name_list *list, const char *name) {
    char **names = bt_memory_grow(list->names, &list->capacity, list->count + 1, sizeof *names);
    if (!names) return BT_ERR_MEMORY;
    list->names = names;
    names[list->count] = bt_memory_copy_text(name);
    if (!names[list->count]) return BT_ERR_MEMORY;
    list->count++;
    return BT_OK;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef enum entry_kind { ENTRY_FILE, ENTRY_FOLDER, ENTRY_OTHER } entry_kind;

/* Follows links, and counts them and what leads nowhere. */
static entry_kind examine(const char *path, bt_folder_report *report) {
    struct stat info;
    if (lstat(path, &info) != 0) return ENTRY_OTHER; /* removed since it was listed */
    if (S_ISLNK(info.st_mode)) {
        if (stat(path, &info) != 0) {
            report->broken_links++;
            return ENTRY_OTHER;
        }
        report->links++;
    }
    if (S_ISDIR(info.st_mode)) return ENTRY_FOLDER;
    if (S_ISREG(info.st_mode)) return ENTRY_FILE;
    report->other_files++;
    return ENTRY_OTHER;
}

/* Whether an entry of root (a class) or of a class (a sample) is wanted; counts it if not. */
static bool wanted(const char *path, const char *name, bool classes, bt_folder_report *report) {
    if (name[0] == '.') {
        report->hidden++;
        return false;
    }
    entry_kind kind = examine(path, report);
    if (kind == ENTRY_OTHER) return false;
    if (classes) {
        if (kind == ENTRY_FILE) report->other_files++;
        return kind == ENTRY_FOLDER;
    }
    if (kind == ENTRY_FOLDER) report->inner_folders++;
    if (kind == ENTRY_FILE && !bt_image_named(name)) report->other_files++;
    return kind == ENTRY_FILE && bt_image_named(name);
}

static bt_status read_entries(DIR *stream, const char *folder, bool classes, name_list *list,
                              bt_folder_report *report) {
    char path[PATH_MAX];
    struct dirent *entry;
    for (errno = 0; (entry = readdir(stream)); errno = 0) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) {
            return bt_error(BT_ERR_IO, "%s: the path of an entry has more than %zu bytes", folder, sizeof path - 1);
        }
        if (wanted(path, name, classes, report)) BT_TRY(add_name(list, name));
    }
    return errno ? bt_file_error("list the folder", folder, errno) : BT_OK;
}

/* Names in a folder, sorted. `list` is the caller's to free, also on failure. */
static bt_status list_folder(const char *folder, bool classes, name_list *list, bt_folder_report *report) {
    DIR *stream = opendir(folder);
    if (!stream) return bt_file_error("open the folder", folder, errno);
    bt_status status = read_entries(stream, folder, classes, list, report);
    closedir(stream);
    if (status == BT_OK && list->count > 1) qsort(list->names, list->count, sizeof *list->names, by_bytes);
    return status;
}

/* Appends the samples of class c. */
static bt_status add_class(bt_image_folder *folder, int64_t c) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder->root, folder->class_names[c]) >= (int)sizeof path) {
        return bt_error(BT_ERR_IO, "%s: the path of a class has more than %zu bytes", folder->root, sizeof path - 1);
    }
    name_list found = {0};
    bt_status status = list_folder(path, false, &found, &folder->report);
    if (status == BT_OK && found.count == 0) folder->report.empty_classes++;
    if (status == BT_OK && found.count > 0) {
        size_t count = (size_t)folder->count;
        char **files = bt_memory_grow(folder->files, &folder->capacity, count + found.count, sizeof *files);
        if (files) {
            memcpy(files + count, found.names, found.count * sizeof *files);
            folder->files = files;
            folder->count += (int64_t)found.count;
            found.count = 0; /* the strings have a new owner */
        } else {
            status = BT_ERR_MEMORY;
        }
    }
    free_names(found.names, found.count);
    return status;
}

static bt_status list_classes(bt_image_folder *folder) {
    name_list classes = {0};
    bt_status status = list_folder(folder->root, true, &classes, &folder->report);
    folder->class_names = classes.names;
    folder->class_count = (int64_t)classes.count;
    BT_TRY(status);
    if (classes.count == 0) {
        return bt_error(BT_ERR_FORMAT, "%s: no folder in it; pictures are expected as %s/<class>/<file>", folder->root,
                        folder->root);
    }
    if (classes.count > INT32_MAX) return bt_error(BT_ERR_FORMAT, "%s: more than 2^31 - 1 classes", folder->root);
    return BT_OK;
}

static bt_status fill(bt_image_folder *folder, const char *root) {
    folder->root = bt_memory_copy_text(root);
    if (!folder->root) return BT_ERR_MEMORY;
    BT_TRY(list_classes(folder));
    folder->class_first = bt_memory_alloc((size_t)folder->class_count + 1, sizeof *folder->class_first);
    if (!folder->class_first) return BT_ERR_MEMORY;
    folder->class_first[0] = 0;
    for (int64_t c = 0; c < folder->class_count; c++) {
        BT_TRY(add_class(folder, c));
        folder->class_first[c + 1] = folder->count;
    }
    if (folder->count == 0) {
        return bt_error(BT_ERR_FORMAT, "%s: %" PRId64 " class folders, but no " BT_IMAGE_ENDINGS " file in them", root,
                        folder->class_count);
    }
    if (folder->count > UINT32_MAX) return bt_error(BT_ERR_FORMAT, "%s: more than 2^32 - 1 pictures", root);
    folder->labels = bt_memory_alloc((size_t)folder->count, sizeof *folder->labels);
    if (!folder->labels) return BT_ERR_MEMORY;
    for (int64_t c = 0; c < folder->class_count; c++) {
        for (int64_t i = folder->class_first[c]; i < folder->class_first[c + 1]; i++) folder->labels[i] = (int32_t)c;
    }
    return BT_OK;
}

bt_status bt_image_folder_open(const char *root, bt_image_folder *out) {
    bt_image_folder folder = {0};
    bt_status status = fill(&folder, root);
    if (status != BT_OK) {
        bt_image_folder_free(&folder);
        return status;
    }
    *out = folder;
    return BT_OK;
}

void bt_image_folder_free(bt_image_folder *folder) {
    free_names(folder->class_names, (size_t)folder->class_count);
    free_names(folder->files, (size_t)folder->count);
    bt_memory_free(folder->root);
    bt_memory_free(folder->class_first);
    bt_memory_free(folder->labels);
    *folder = (bt_image_folder){0};
}

static void warn_count(const bt_image_folder *folder, int64_t count, const char *what) {
    if (count > 0) bt_log_warn("%s: %" PRId64 " %s", folder->root, count, what);
}

void bt_image_folder_warn(const bt_image_folder *folder) {
    const bt_folder_report *report = &folder->report;
    warn_count(folder, report->hidden, "hidden files or folders left out");
    warn_count(folder, report->other_files, "files left out that are not " BT_IMAGE_ENDINGS " in a class folder");
    warn_count(folder, report->inner_folders, "folders within class folders left out");
    warn_count(folder, report->broken_links, "links to nothing left out");
    warn_count(folder, report->links, "links followed");
    if (report->empty_classes == 0) return;
    for (int64_t c = 0; c < folder->class_count; c++) {
        if (folder->class_first[c + 1] > folder->class_first[c]) continue;
        bt_log_warn("%s: class %s (label %" PRId64 ") has no picture", folder->root, folder->class_names[c], c);
    }
}
