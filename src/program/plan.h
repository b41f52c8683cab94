/* A planned program, for the files of this module.
 *
 *   live.c        which instructions live
 *   fuse.c        several of them made one, where the device gains by it
 *   lifetimes.c   which values share memory, from where to where each memory is in use
 *   place.c       offsets in one block
 *   plan.c        kernels prepared, operands bound, run
 *   replay.c      a run recorded into a graph of the device, where it has such
 *   cost.c        FLOPs, bytes, launches
 *   inspect.c     the plan as text and JSON
 */
#ifndef BITTERN_PROGRAM_PLAN_H
#define BITTERN_PROGRAM_PLAN_H

#include "program/inspect.h"
#include "program/program.h"

#include <stdlib.h>

enum { BT_BLOCK_ALIGN = BT_VALUE_ALIGNMENT };

/** A piece of the block: one value, or a chain of values that take over each other's memory, or one instruction's
 * scratch. */
typedef struct bt_storage {
    size_t bytes;   /**< a multiple of BT_BLOCK_ALIGN */
    int begin, end; /**< first and last plan instruction that touches it, both included */
    size_t offset;
    bt_value value; /**< the first of the chain; 0 for scratch */
} bt_storage;

typedef struct bt_planned {
    const bt_instruction *source; /**< in the program, or in plan->fused */
    void *args;                   /**< operands bound */
    bt_prepared prepared;
    int scratch; /**< storage, or -1 */
} bt_planned;

/** How runs are issued. */
typedef enum bt_replay_state {
    BT_REPLAY_NEVER,  /**< kernel by kernel: the device records nothing, it was switched off, or recording failed */
    BT_REPLAY_FIRST,  /**< the next run is kernel by kernel: libraries and modules load what they need */
    BT_REPLAY_RECORD, /**< the next run is recorded, then launched */
    BT_REPLAY_LAUNCH
} bt_replay_state;

typedef struct bt_replay {
    bt_replay_state state;
    void *graph;
    char *refusal; /**< why recording failed, or NULL */
} bt_replay;

typedef struct bt_named_value {
    char *name;
    bt_value value;
    bool is_input, is_set; /**< an input must be set before each run: its memory may have been used by others since */
} bt_named_value;

struct bt_plan {
    const bt_program *program;
    bt_device *device;         /**< NULL: a plan to look at, without kernels and scratch */
    const bt_backend *backend; /**< of the device; of a plan to look at it may be NULL */
    bt_planned *instruction;
    int instruction_count;
    bt_instruction *fused; /**< instructions that fuse.c made: sources that are not the program's */
    int fused_count;
    int *storage_of; /**< [value], -1: no memory of its own (store, view, dead) */
    bt_storage *storage;
    int storage_count;
    size_t block_bytes, lower_bound_bytes;
    char *block; /**< not owned */
    bt_named_value *named;
    int named_count;
    bt_replay replay;
};

/** Zeroed memory; aborts when there is none (plans are small). */
static inline void *bt_plan_take(size_t count, size_t bytes) {
    void *memory = calloc(count ? count : 1, bytes);
    BT_ASSERT(memory);
    return memory;
}

/** Fills instruction[].source: what outputs and side effects need. */
void bt_plan_keep_live(bt_plan *plan);

/** Makes one instruction of several where plan->backend wants it. */
void bt_plan_fuse(bt_plan *plan);

/** Fills storage_of and storage (scratch not yet). */
void bt_plan_lifetimes(bt_plan *plan);

/** Sets the offsets of all storages, block_bytes and lower_bound_bytes. */
void bt_plan_place(bt_plan *plan);

/** Forgets what was recorded; the next run is a first one. */
void bt_plan_replay_reset(bt_plan *plan);
void bt_plan_replay_free(bt_plan *plan);
/** One run of all instructions, in the way that plan->replay says. */
bt_status bt_plan_replay_run(bt_plan *plan) BT_MUST_CHECK;
/** One run kernel by kernel (plan.c). */
bt_status bt_plan_run_plain(bt_plan *plan) BT_MUST_CHECK;

/** Largest sum of bytes in use at one instruction. */
size_t bt_plan_lower_bound(const bt_plan *plan);

/** The matrix products in an instruction; returns how many. */
int bt_cost_products(bt_op op, const void *args, bt_product_shape out[BT_MAX_PRODUCTS]);
/** FLOPs of the products of an instruction (2 x multiply-add); 0 for all others. */
double bt_cost_flops(bt_op op, const void *args);
/** Bytes of all operands, each counted once. */
double bt_cost_bytes(bt_op op, const void *args);
/** Kernels and library calls that the CUDA backend issues. */
int bt_cost_launches(bt_op op, const void *args);

#endif
