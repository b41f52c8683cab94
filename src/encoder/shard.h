/* A part of a listing: shard I of N, whole batches of it, so that shards side by side have the bits of the work in one
 * piece. Ranges follow each other; with more shards than batches some are empty. */
#ifndef BITTERN_ENCODER_SHARD_H
#define BITTERN_ENCODER_SHARD_H

#include <bittern/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BT_SHARDS_LAST 99999

typedef struct bt_shard {
    int index, count; /**< 1 <= index <= count; count 0: no shard, all of it */
} bt_shard;

/** "2/8", or "auto": from the environment of a SLURM job, which a line of the log names. An array job has
 * SLURM_ARRAY_TASK_ID of SLURM_ARRAY_TASK_COUNT (ids without gaps, from 0 or 1); tasks of srun have SLURM_PROCID of
 * SLURM_NTASKS. "": all of it. BT_ERR_USAGE: another text, no such environment, both kinds with more than one task. */
bt_status bt_shard_parse(const char *text, bt_shard *out) BT_MUST_CHECK;

/** Pictures [*begin, *end) of `count`, whole batches of `batch` but for the last of all. */
void bt_shard_range(const bt_shard *shard, int64_t count, int64_t batch, int64_t *begin, int64_t *end);

/** Where a shard of OUT.npy or OUT.h5 lies: OUT.shards/00002-of-00008 and `end`. BT_ERR_IO if it does not fit. */
bt_status bt_shard_path(const bt_shard *shard, const char *out, const char *end, char *path,
                        size_t path_bytes) BT_MUST_CHECK;

/** The folder of all shards: OUT.shards. */
bt_status bt_shard_folder(const char *out, char *path, size_t path_bytes) BT_MUST_CHECK;

#endif
