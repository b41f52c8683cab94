/* Checkpoints and base weights of a run.
 *
 *   RUN/base.safetensors                       frozen parameters, f32, written once
 *   RUN/start.safetensors                      trained parameters as the run began with them, where they came from
 * another run RUN/checkpoints/step_00000120/ model.safetensors                      trained parameters and buffers, f32
 *       average.safetensors                    their moving averages (train.ema)
 *       optim.safetensors                      Adam moments: "m/<name>", "v/<name>"
 *       state.json                             format, step, epoch, batch, updates per group, CRC-32C of the
 * frozen parameters, the resolved configuration RUN/checkpoints/last -> step_00000120      the newest
 * RUN/checkpoints/best -> step_00000080      the one with the best score (run.best); never removed
 *
 * A checkpoint is written into a folder named *.partial-PID, synced and renamed when it is complete: a half-written one
 * never has a checkpoint's name. The newest complete one is what a run resumes from. Links are replaced by a rename
 * too: they point to a complete checkpoint at every moment, if not yet to the newest; a resumed run sets them right.
 */
#ifndef BITTERN_TRAIN_CHECKPOINT_H
#define BITTERN_TRAIN_CHECKPOINT_H

#include "method/method.h"
#include "tensor/backend.h"

#include <stddef.h>

typedef struct bt_train_state {
    int64_t step;               /**< optimizer steps done */
    int64_t epoch, batch;       /**< the next batch to train on */
    int64_t updates[BT_GROUPS]; /**< AdamW updates of each parameter group */
    double seconds;             /**< of training so far */
    double loss_sum;            /**< of the steps since the last scores */
    int64_t loss_count;
    bool has_base;     /**< the run has frozen weights, and base_crc is known */
    uint32_t base_crc; /**< of them: bt_base_crc */
} bt_train_state;

/** Saves the frozen parameters as they stand in host memory, and with `started` the trained ones: before
 * bt_params_commit. */
bt_status bt_base_save(const char *run, bt_params *store, bool started) BT_MUST_CHECK;

/** CRC-32C of the names and f32 values of the frozen parameters as they stand in host memory; false if there are none.
 */
bool bt_base_crc(bt_params *store, uint32_t *out);

/** Saves a checkpoint, makes `last` point to it, and removes the oldest ones but `keep` (0: none is removed). `config`
 * is the resolved configuration as text. A checkpoint of this step that is already there is kept as it is. */
bt_status bt_checkpoint_save(const char *run, bt_params *store, const bt_train_state *state, const char *config,
                             int keep) BT_MUST_CHECK;

/** Makes checkpoints/`link` ("last", "best") point to the checkpoint of a step, which must be complete. */
bt_status bt_checkpoint_point(const char *run, const char *link, int64_t step) BT_MUST_CHECK;

/** Whether there is a complete checkpoint of a step. */
bool bt_checkpoint_exists(const char *run, int64_t step);

/** The folder of a checkpoint in `path`: "last", "best" or a step's number. BT_ERR_IO with the steps that there are. */
bt_status bt_checkpoint_find(const char *run, const char *which, char *path, size_t path_bytes) BT_MUST_CHECK;

/** Removes checkpoints but the newest `keep` (0: none is removed) and the one that `best` points to, and what killed
 * processes left half-written. */
void bt_checkpoint_rotate(const char *run, int keep);

/** The newest complete checkpoint of a run: its folder in `path`; false if there is none. */
bool bt_checkpoint_newest(const char *run, char *path, size_t path_bytes);

/** Reads state.json. `config` receives the configuration it was made with (bt_memory_free). */
bt_status bt_checkpoint_state(const char *checkpoint, bt_train_state *state, char **config) BT_MUST_CHECK;

/** Before commit: fills a store that has its initial values with the weights of a run: the frozen ones, and the trained
 * ones of `checkpoint` (averages with `averages`), or, if that is NULL, those that the run started from. BT_ERR_IO
 * where the frozen ones are needed and missing; BT_ERR_FORMAT where they are not those that `checkpoint` was made with.
 */
bt_status bt_run_load(const char *run, const char *checkpoint, bool averages, bt_params *store) BT_MUST_CHECK;

/** Before commit: fills parameters by name from a file. Names that the file has and the store lacks are left alone; a
 * parameter of the store in `mask` (bit 0 frozen, bit 1 trained and buffers) that the file lacks, or has in another
 * shape, is an error that names both shapes. Returns how many were read. */
bt_status bt_weights_load(const char *path, bt_params *store, unsigned mask, int *count) BT_MUST_CHECK;

/** After commit: the Adam moments and, where the store keeps them, the averages. */
bt_status bt_checkpoint_load_optimizer(const char *checkpoint, bt_params *store) BT_MUST_CHECK;

#endif
