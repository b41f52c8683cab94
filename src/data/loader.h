/* Batches of views, made ahead by threads.
 *
 * Content and order do not depend on the number of threads, on timing or on where a run was resumed: batch k of epoch e
 * is a function of (seed, e, k, options). Threads take single samples in the order of the batches, read, decode and
 * augment them, and write into the rows of a ring of batch buffers; the consumer takes the buffers in order.
 *
 *   training      samples in the order of sampler.h; V random views of each
 *   evaluation    samples in the order given; one centred view of each
 *
 * The images of a pack are evaluation crops: evaluation resizes them where their size is another, and does not crop
 * again.
 *
 * Rows are view-major: view v of the batch's sample n is row v*N + n. Of a short batch only rows n < n_valid of each
 * view are filled; the others are black, with label -1 and id -1.
 *
 * With `pictures` the views of training are left to be made by the operation make_views: the memory of a sample's V
 * views holds its picture instead, where that is no larger, and else the V crops, resized but without their colour.
 * Records say how to make the views; they come out with the same bytes.
 *
 * A file that cannot be read or decoded ends the loader with its name, when the consumer comes to its batch. With
 * skip_damaged it is named in a warning instead, and
 *   training      its place is taken by another sample, of its own class where batches are balanced, drawn under (seed,
 * epoch, BT_STREAM_REPLACE, id = damaged sample) evaluation    it is left out: n_valid is smaller, the batch's other
 * samples keep their order
 */
#ifndef BITTERN_DATA_LOADER_H
#define BITTERN_DATA_LOADER_H

#include "data/dataset.h"
#include "data/preprocess.h"
#include "data/sampler.h"
#include "data/transform.h"
#include "tensor/backend.h"

#include <bittern/image.h>

typedef struct bt_loader_options {
    const bt_dataset *set;  /**< borrowed */
    const int64_t *samples; /**< (count) samples of the set to use; borrowed */
    int64_t count;
    uint64_t seed;
    bool training;
    bt_sampler_options sampler; /**< training; zeroed: every sample once an epoch, shuffled */
    int64_t batch;              /**< N */
    int64_t size;               /**< S, side of a view in pixels */
    int64_t views;              /**< V, 1..255; 1 for evaluation */
    bt_augment augment;         /**< training */
    int64_t resize;             /**< evaluation: shorter side before the centre crop, at least S */
    bt_filter filter;           /**< evaluation: of the resizing */
    const bt_preprocess
        *preprocess; /**< evaluation: how views are made instead, squares of S; borrowed. NULL: by resize and filter */
    bool pictures;   /**< training with drop_last: pictures and records instead of views */
    bool drop_last;  /**< leave out an epoch's last batch if it is short */
    bool skip_damaged;
    int threads;                      /**< 1..256 */
    int ahead;                        /**< batch buffers, 2..64; the consumer holds one of them */
    size_t cache_bytes;               /**< decoded pictures are kept up to this; 0: none */
    int64_t epochs;                   /**< epochs from the first to the last, 0: without end */
    int64_t start_epoch, start_batch; /**< where to begin */
    bt_image_options image;           /**< how a file is read; zeroed: the defaults */
    bool jpeg_scale;   /**< JPEG files are decoded no larger than needed (bt_loader_jpeg_side); pixels differ */
    bt_device *device; /**< batches lie in host memory that its uploads read fast; NULL: in ordinary memory */
} bt_loader_options;

/** A batch; its memory stays the loader's and is valid until the next bt_loader_next or bt_loader_free. */
typedef struct bt_batch {
    int64_t epoch, index;          /**< batch `index` of `epoch` */
    int64_t n_valid;               /**< samples, at most N; 0 if all of the batch was left out */
    bool end;                      /**< no batch: the last epoch is over */
    const uint8_t *images;         /**< (V*N,S,S,3); with `pictures` (N,V*S*S*3) */
    const bt_view_record *records; /**< (V*N), with `pictures`: offsets are from images */
    const int32_t *labels;         /**< (N) the first label; -1: none */
    const uint8_t *multi_hot;      /**< (N, classes) all labels; NULL where every sample of the set has exactly one */
    const int64_t *ids;            /**< (V*N) sample | view << 32 */
} bt_batch;

/** Seconds, added over all threads, since the start; of the consumer: wait_seconds, and copy_seconds as
 * bt_loader_copied was told. */
typedef struct bt_loader_times {
    double wait_seconds, read_seconds, decode_seconds, augment_seconds, copy_seconds;
    int64_t decoded, cache_hits;
} bt_loader_times;

typedef struct bt_loader bt_loader;

/** The shorter side that jpeg_scale asks of a JPEG: evaluation: that of the resizing; training: so many pixels that no
 * random crop is enlarged for it. */
int64_t bt_loader_jpeg_side(const bt_loader_options *options);

/** Starts the threads. BT_ERR_CONFIG for an option out of range, BT_ERR_MEMORY. */
bt_status bt_loader_new(const bt_loader_options *options, bt_loader **out) BT_MUST_CHECK;

/** Stops the threads, also in the middle of an epoch. */
void bt_loader_free(bt_loader *loader);

/** Waits for the next batch. After a failure every call gives the same failure. */
bt_status bt_loader_next(bt_loader *loader, bt_batch *out) BT_MUST_CHECK;

/** Batches of an epoch. */
int64_t bt_loader_batches(const bt_loader_options *options);

bt_loader_times bt_loader_read_times(bt_loader *loader);

/** Adds what the consumer needed to hand a batch to the device. */
void bt_loader_copied(bt_loader *loader, double seconds);

/** Number of different damaged samples met so far; the first `capacity` of them, ascending, in `samples`. */
int64_t bt_loader_damaged(bt_loader *loader, int64_t *samples, int64_t capacity);

#endif
