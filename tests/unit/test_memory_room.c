/* What is left of memory: a system's files, made here. */
#include "check.h"

#include "base/file.h"
#include "base/memory.h"

#include "scratch.h"

#define GIB ((uint64_t)1 << 30)
static char root[128];

static void put(const char *path, const char *content) {
    char full[512];
    snprintf(full, sizeof full, "%s/%s", root, path);
    *strrchr(full, '/') = 0;
    check_ok(bt_file_make_folders(full));
    full[strlen(full)] = '/';
    check_ok(bt_file_write(full, content, strlen(content)));
}

static void new_root(const char *name) {
    snprintf(root, sizeof root, "%s", scratch_folder(name));
    put("proc/meminfo",
        "MemTotal:       33554432 kB\nMemFree:         1048576 kB\nMemAvailable:   16777216 kB\nSwapFree: "
        "       2097152 kB\n");
}

static void system_alone(void **state) {
    (void)state;
    snprintf(root, sizeof root, "%s", scratch_path("nothing"));
    assert_true(bt_memory_room(root) == UINT64_MAX);
    new_root("alone");
    assert_true(bt_memory_room(root) == 18 * GIB);
    put("proc/self/cgroup", "0::/\nnonsense\n3:cpuset:/\n");
    assert_true(bt_memory_room(root) == 18 * GIB);
    assert_true(bt_memory_room("") > 0);
}

/* A limit is of a group or of one above it; pages of files give way. */
static void second_version(void **state) {
    (void)state;
    new_root("second");
    put("proc/self/cgroup", "0::/jobs/7\n");
    put("sys/fs/cgroup/jobs/7/memory.max", "max\n");
    put("sys/fs/cgroup/jobs/7/memory.current", "1073741824\n");
    assert_true(bt_memory_room(root) == 18 * GIB);
    put("sys/fs/cgroup/jobs/memory.max", "8589934592\n");
    put("sys/fs/cgroup/jobs/memory.current", "4294967296\n");
    put("sys/fs/cgroup/jobs/memory.stat", "anon 3221225472\nfile 1073741824\nfile_mapped 5\n");
    assert_true(bt_memory_room(root) == 5 * GIB);
    put("sys/fs/cgroup/jobs/7/memory.max", "1073741823\n"); /* less than is used */
    assert_true(bt_memory_room(root) == 0);
    /* In a container: the path is that of outside, and the limit at the root. */
    new_root("container");
    put("proc/self/cgroup", "0::/outside/deep\n");
    put("sys/fs/cgroup/memory.max", "3221225472\n");
    put("sys/fs/cgroup/memory.current", "1073741824\n");
    assert_true(bt_memory_room(root) == 2 * GIB);
}

static void first_version(void **state) {
    (void)state;
    new_root("first");
    put("proc/self/cgroup", "8:pids:/\n4:memory:/slurm/job_7\n3:cpuset:/other\n0::/\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/memory.usage_in_bytes", "2147483648\n");
    put("sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes", "4294967296\n");
    put("sys/fs/cgroup/memory/slurm/job_7/memory.usage_in_bytes", "2147483648\n");
    put("sys/fs/cgroup/memory/slurm/job_7/memory.stat", "cache 1\ntotal_cache 1073741824\n");
    assert_true(bt_memory_room(root) == 3 * GIB);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(system_alone), cmocka_unit_test(second_version),
                                       cmocka_unit_test(first_version)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
