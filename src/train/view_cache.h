/* Embeddings of several views of each item, to train a head on without the encoder: steps cost the head alone.
 *
 *   from a file     (items, views, width) or (items, width), .npy: what another program, or `bittern embed`, has made
 *   from pictures   the frozen encoder is run once on `train.cached_views` random views of each training picture
 *
 * A step takes method.views different ones of an item's views, drawn under (seed, epoch, BT_STREAM_CACHED, item); the
 * order of an epoch is the loader's. So nothing has to be saved for a resume. An item with one stored view gives it as
 * every view.
 */
#ifndef BITTERN_TRAIN_VIEW_CACHE_H
#define BITTERN_TRAIN_VIEW_CACHE_H

#include "data/loader.h"
#include "formats/npy.h"
#include "train/session.h"

typedef struct bt_view_cache {
    int64_t count; /**< items */
    int views, width;
    const float *values; /**< (count, views, width), finite */
    float *owned;        /**< NULL where `values` lie in the file */
    bt_npy file;
    int64_t *samples; /**< (count) of the data set, ascending; NULL: item i is sample i */
} bt_view_cache;

/** Opens a file. Checks every value: BT_ERR_NUMERIC with the place of the first that is not finite; BT_ERR_SHAPE for
 * another rank. */
bt_status bt_view_cache_open(const char *path, bt_view_cache *out) BT_MUST_CHECK;

/** The width of a file's embeddings, from its header. */
bt_status bt_view_cache_width(const char *path, int *out) BT_MUST_CHECK;

/** Encodes `views` random views of each of the loader's samples with the session's inference program. Pictures that are
 * damaged, where the loader may skip them, are left out. BT_ERR_INTERRUPTED. */
bt_status bt_view_cache_encode(bt_session *session, const bt_loader_options *loader, int views,
                               bt_view_cache *out) BT_MUST_CHECK;

void bt_view_cache_close(bt_view_cache *cache);

/** Batches of a cache, made one at a time. */
typedef struct bt_cached_batches {
    const bt_view_cache *cache;
    const bt_dataset *set; /**< labels */
    int64_t *items;        /**< (count) items of the cache to train on */
    int64_t count, batch;
    int views; /**< of a step */
    uint64_t seed;
    bool sets; /**< items have several labels */
    int64_t *order, order_epoch;
    float *embeddings;  /**< (views*batch, width) */
    int32_t *classes;   /**< (batch) */
    uint8_t *multi_hot; /**< (batch, classes), or NULL */
} bt_cached_batches;

/** Batches of `samples` (count) of the data set that are in the cache. BT_ERR_CONFIG if the cache has more than one
 * view of an item, but fewer than `views`. Cache and set are borrowed. */
bt_status bt_cached_batches_new(const bt_view_cache *cache, const bt_dataset *set, const int64_t *samples,
                                int64_t count, int64_t batch, int views, uint64_t seed,
                                bt_cached_batches *out) BT_MUST_CHECK;
void bt_cached_batches_free(bt_cached_batches *batches);

/** Fills `out` with batch `index` of `epoch`; its memory stays the batches'. */
void bt_cached_batch(bt_cached_batches *batches, int64_t epoch, int64_t index, bt_step_batch *out);

#endif
