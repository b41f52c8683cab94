/* What the system says of memory: /proc/meminfo (proc(5)), control groups of both versions (cgroups(7), and the
 * kernel's admin-guide/cgroup-v1/memory and cgroup-v2). */
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4400, LINE_BYTES = 4200 };

/** Names of one version's files. */
typedef struct version {
    const char *folder, *limit, *used, *cache; /* cache: what of `used` are pages of files, which give way */
} version;
static const version versions[] = {
    {"/sys/fs/cgroup", "memory.max", "memory.current", "file"},
    {"/sys/fs/cgroup/unified", "memory.max", "memory.current", "file"},
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache"},
};

/** The number behind `key` at the beginning of a line of a file; "" takes the first line. */
static bool read_number(const char *path, const char *key, uint64_t *out) {
    char line[LINE_BYTES];
    size_t length = strlen(key);
    bool found = false;
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file))
        found = strncmp(line, key, length) == 0 && sscanf(line + length, "%*[: ]%" SCNu64, out) == 1;
    if (file) fclose(file);
    return found;
}

static bool read_file(const char *folder, const char *name, uint64_t *out) {
    char path[PATH_BYTES + 64], line[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    bool found = file && fgets(line, sizeof line, file) && sscanf(line, "%" SCNu64, out) == 1; /* not "max" */
    if (file) fclose(file);
    return found;
}

static uint64_t room_of_group(const version *v, const char *folder) {
    uint64_t limit, used, cache = 0;
    char path[PATH_BYTES + 64];
    if (!read_file(folder, v->limit, &limit) || !read_file(folder, v->used, &used)) return UINT64_MAX;
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    (void)read_number(path, v->cache, &cache);
    used -= cache < used ? cache : used;
    return used < limit ? limit - used : 0;
}

/** The least of a group and those above it. In a container the path may be that of outside: its own is the root. */
static uint64_t room_of_groups(const char *root, const version *v, const char *group) {
    char folder[PATH_BYTES];
    uint64_t room = UINT64_MAX;
    size_t base = (size_t)snprintf(folder, sizeof folder, "%s%s", root, v->folder);
    if (base + strlen(group) >= sizeof folder) return room;
    strcpy(folder + base, group);
    for (;;) {
        uint64_t here = room_of_group(v, folder);
        room = here < room ? here : room;
        char *slash = strrchr(folder + base, '/');
        if (!slash) return room;
        *slash = 0;
    }
}

uint64_t bt_memory_room(const char *root) {
    char path[PATH_BYTES], line[LINE_BYTES];
    uint64_t room = UINT64_MAX, free_kib, swap_kib = 0;
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    if (read_number(path, "MemAvailable", &free_kib)) {
        (void)read_number(path, "SwapFree", &swap_kib);
        room = (free_kib + swap_kib) * 1024;
    }
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) { /* NUMBER:CONTROLLERS:/GROUP */
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = 0;
        group[strcspn(group, "\n")] = 0;
        bool second = controllers[1] == 0;
        if (!second && !strstr(controllers, "memory")) continue;
        for (int k = second ? 0 : 2; k < (second ? 2 : 3); k++) {
            uint64_t here = room_of_groups(root, &versions[k], group);
            room = here < room ? here : room;
        }
    }
    if (file) fclose(file);
    return room;
}
