/* What loader.c (ring, threads, consumer) and loader_sample.c (one sample: read, decode, augment) share. */
#ifndef BITTERN_DATA_LOADER_STATE_H
#define BITTERN_DATA_LOADER_STATE_H

#include "base/thread.h"
#include "data/loader.h"

/** One batch in the making. While threads fill it, a thread writes the rows of its own slot only. */
typedef struct batch_slots {
    uint8_t *images;         /* (V*N,S,S,3), or (N,V*S*S*3) of pictures */
    bt_view_record *records; /* (V*N), of pictures */
    int32_t *labels;         /* (N) */
    uint8_t *multi_hot;      /* (N, classes), or NULL */
    int64_t *ids;            /* (V*N) */
    int64_t *samples;        /* (N) what was asked for in each slot */
    int64_t *draws;          /* (N) the step of the draws of its views: bt_sampler_draws */
    bool *missing;           /* (N) left out as damaged */
    int64_t epoch, index, count;
    int64_t unfinished;  /* slots still in the making */
    int64_t failed_slot; /* lowest failed slot, -1: none */
    bt_status status;    /* of failed_slot, with its message */
    char message[1024];
} batch_slots;

typedef struct loader_worker {
    struct bt_loader *loader;
    bt_thread thread;
    bt_resampler resampler;
    bt_colour_memory colour;
    bt_loader_times times; /* of the sample in the making */
} loader_worker;

struct bt_loader {
    bt_loader_options options;
    int64_t batches;      /* of an epoch */
    int64_t view_bytes;   /* S*S*3 */
    pthread_mutex_t lock; /* guards everything below but the content of slots in the making */
    pthread_cond_t room;  /* a buffer was given back, or stop */
    pthread_cond_t ready; /* a batch is complete */
    bool stop;
    batch_slots *ring;             /* (ahead) batch number b is in ring[b % ahead] */
    int64_t claimed, claimed_slot; /* next sample to make: slot claimed_slot of batch number `claimed` */
    int64_t delivered;             /* batch numbers below were handed out; the last of them is still the consumer's */
    bool holding;                  /* the consumer holds batch delivered - 1 */
    int64_t *order;                /* (count) the samples of epoch order_epoch */
    int32_t *again;                /* (count) how often each came before in this epoch */
    int64_t order_epoch;
    bt_sampler *sampler; /* training */
    bt_image *cache;     /* (set->count), or NULL */
    size_t cache_used_bytes;
    uint8_t *damaged; /* (set->count) 1: met as damaged */
    bt_loader_times times;
    bt_status failed; /* delivered to the consumer */
    char failure[1024];
    loader_worker *workers; /* (threads) */
    int running;
};

/** Makes slot n of `batch`: images, label, ids. On failure the rows are unfinished. */
bt_status bt_loader_make(loader_worker *worker, batch_slots *batch, int64_t n) BT_MUST_CHECK;

#endif
