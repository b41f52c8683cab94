/* The parameter store as the files that make it up see it. */
#ifndef BITTERN_PROGRAM_PARAMS_LOCAL_H
#define BITTERN_PROGRAM_PARAMS_LOCAL_H

#include "program/store.h"

typedef struct bt_param_entry {
    bt_param_spec spec;
    int64_t rows, columns; /* of the store's matrix; columns 0 for rank 1 */
    int64_t file_columns;  /* without padding */
    float *host;           /* from the first bt_params_host until commit */
    int64_t offset;        /* trainable: element in the flat vectors; frozen: byte in the frozen block */
} bt_param_entry;

struct bt_params {
    bt_dtype compute;
    bt_param_entry *list;
    int count, room;
    bt_device *device;
    int64_t flat_count;                 /* elements of the flat vectors */
    int64_t group_begin[BT_GROUPS + 1]; /* flat range of each group; contiguous in order */
    float *masters, *gradients, *m, *v; /* device memory */
    float *averages;                    /* or NULL */
    bool averaged;
    uint16_t *copies; /* bf16 stores only */
    char *frozen;
    char *buffer_averages;             /* the buffers' part of the frozen block again; or NULL */
    size_t buffer_begin, buffer_bytes; /* of the frozen block: what buffers take */
    size_t frozen_bytes;
    bt_adamw_segment *segments_device; /* all, sorted */
    int segment_begin[BT_GROUPS + 1];
};

static inline bool bt_entry_is_buffer(const bt_param_entry *e) {
    return e->spec.kind == BT_PARAM_BUFFER;
}

static inline bool bt_entry_trained(const bt_param_entry *e) {
    return e->spec.trainable && e->spec.kind != BT_PARAM_BUFFER && e->spec.kind != BT_PARAM_CONSTANT;
}

static inline int64_t bt_entry_count(const bt_param_entry *e) {
    return e->rows * (e->columns ? e->columns : 1);
}

static inline bt_dtype bt_entry_dtype(const bt_params *s, const bt_param_entry *e) {
    return e->spec.kind == BT_PARAM_WEIGHT ? s->compute : BT_F32;
}

/** Memory of a trained parameter's slot, or of a buffer's value or average; NULL for what there is not. */
float *bt_params_slot_memory(const bt_params *store, const bt_param_entry *entry, bt_param_slot slot);

/** Uploads a value (f32, the file's shape): of a trained parameter its compute copy too. */
bt_status bt_params_upload_value(bt_params *store, const bt_param_entry *entry, const float *file) BT_MUST_CHECK;

/** Replaces a slot that is f32 on the device. */
bt_status bt_params_upload_slot(bt_params *store, const bt_param_entry *entry, bt_param_slot slot,
                                const float *file) BT_MUST_CHECK;

#endif
