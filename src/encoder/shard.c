/* Shards: their names, their ranges, and which one a job of SLURM is. */
#include "encoder/shard.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- from text and environment ---- */

/** A whole number without sign that is all of `text`. */
static bool read_number(const char *text, int64_t most, int64_t *out) {
    char *end;
    if (*text < '0' || *text > '9' || strlen(text) > 18) return false;
    *out = strtoll(text, &end, 10);
    return !*end && *out <= most;
}

/** A variable's number; *there false where it is not set. */
static bt_status from_environment(const char *name, bool *there, int64_t *out) {
    const char *text = getenv(name);
    *there = text && *text;
    if (!*there || read_number(text, INT32_MAX, out)) return BT_OK;
    return bt_error(BT_ERR_USAGE, "--shard auto: %s is \"%.40s\", no whole number; say --shard I/N", name, text);
}

static bt_status take(int64_t index, int64_t count, const char *from, bt_shard *out) {
    if (index < 1 || index > count || count > BT_SHARDS_LAST)
        return bt_error(BT_ERR_USAGE,
                        "--shard auto: %s say task %" PRId64 " of %" PRId64 " (at most %d); say --shard I/N", from,
                        index, count, BT_SHARDS_LAST);
    *out = (bt_shard){(int)index, (int)count};
    bt_log_info("shard %d/%d, from %s", out->index, out->count, from);
    return BT_OK;
}

/** A part of an array, as when failed tasks are submitted again, does not tell how many there are in all. */
static bt_status from_array(int64_t id, bt_shard *out) {
    static const char *const names[3] = {"SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX"};
    int64_t value[3];
    bool there;
    for (int k = 0; k < 3; k++) {
        BT_TRY(from_environment(names[k], &there, &value[k]));
        if (!there)
            return bt_error(BT_ERR_USAGE, "--shard auto: SLURM_ARRAY_TASK_ID is set and %s is not; say --shard I/N",
                            names[k]);
    }
    int64_t count = value[0], first = value[1], last = value[2];
    if (first > 1 || last - first + 1 != count || id < first || id > last)
        return bt_error(BT_ERR_USAGE,
                        "--shard auto: task %" PRId64 " of an array of %" PRId64 " tasks, %" PRId64 " to %" PRId64
                        ", does not say how many shards there are: submit the array without gaps from 1 (or 0), or say "
                        "--shard I/N",
                        id, count, first, last);
    return take(id - first + 1, count, "SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT", out);
}

static bt_status from_slurm(bt_shard *out) {
    int64_t id, rank, tasks;
    bool array, ranked, counted;
    BT_TRY(from_environment("SLURM_ARRAY_TASK_ID", &array, &id));
    BT_TRY(from_environment("SLURM_PROCID", &ranked, &rank));
    BT_TRY(from_environment("SLURM_NTASKS", &counted, &tasks));
    bool several = ranked && counted && tasks > 1;
    if (array && several)
        return bt_error(BT_ERR_USAGE,
                        "--shard auto: this is task %" PRId64 " of an array (SLURM_ARRAY_TASK_ID) and process %" PRId64
                        " of %" PRId64 " (SLURM_PROCID, SLURM_NTASKS); say --shard I/N",
                        id, rank, tasks);
    if (array) return from_array(id, out);
    if (ranked && counted) return take(rank + 1, tasks, "SLURM_PROCID and SLURM_NTASKS", out);
    return bt_error(BT_ERR_USAGE,
                    "--shard auto: neither SLURM_ARRAY_TASK_ID nor SLURM_PROCID with SLURM_NTASKS is set: "
                    "this is no job of SLURM; say --shard I/N");
}

bt_status bt_shard_parse(const char *text, bt_shard *out) {
    char first[20];
    int64_t index, count;
    *out = (bt_shard){0};
    if (!*text) return BT_OK;
    if (strcmp(text, "auto") == 0) return from_slurm(out);
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : sizeof first;
    if (length < sizeof first) snprintf(first, sizeof first, "%.*s", (int)length, text);
    if (length >= sizeof first || !read_number(first, INT64_MAX, &index) || !read_number(slash + 1, INT64_MAX, &count))
        return bt_error(BT_ERR_USAGE, "--shard \"%.40s\": expected I/N, as in 2/8, or auto", text);
    if (count < 1 || count > BT_SHARDS_LAST || index < 1 || index > count)
        return bt_error(BT_ERR_USAGE, "--shard %" PRId64 "/%" PRId64 ": shards count from 1 to N, and N is at most %d",
                        index, count, BT_SHARDS_LAST);
    *out = (bt_shard){(int)index, (int)count};
    return BT_OK;
}

/* ---- ranges and names ---- */

void bt_shard_range(const bt_shard *s, int64_t count, int64_t batch, int64_t *begin, int64_t *end) {
    int64_t batches = (count + batch - 1) / batch; /* below 2^32 */
    *begin = s->count ? batches * (s->index - 1) / s->count * batch : 0;
    *end = s->count ? batches * s->index / s->count * batch : count;
    if (*begin > count) *begin = count;
    if (*end > count) *end = count;
}

/** Length of OUT without ".npy" or ".h5". */
static int stem(const char *out) {
    const char *dot = strrchr(out, '.');
    return dot ? (int)(dot - out) : (int)strlen(out);
}

bt_status bt_shard_folder(const char *out, char *path, size_t path_bytes) {
    int length = snprintf(path, path_bytes, "%.*s.shards", stem(out), out);
    return length >= 0 && (size_t)length < path_bytes ? BT_OK : bt_error(BT_ERR_IO, "%s: the path is too long", out);
}

bt_status bt_shard_path(const bt_shard *s, const char *out, const char *end, char *path, size_t path_bytes) {
    int length = snprintf(path, path_bytes, "%.*s.shards/%05d-of-%05d%s", stem(out), out, s->index, s->count, end);
    return length >= 0 && (size_t)length < path_bytes ? BT_OK : bt_error(BT_ERR_IO, "%s: the path is too long", out);
}
