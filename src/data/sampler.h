/* In which order an epoch takes the training samples. A function of (seed, epoch): nothing of an epoch depends on the
 * one before, on threads or on where a run was resumed.
 *
 *   shuffle         every sample once, shuffled under (seed, epoch, BT_STREAM_SHUFFLE, 0)
 *   class_balanced  k images of each of batch / k classes in every batch: what batch prototypes need, which mean
 * nothing for a class seen once. Classes come in rounds, each a shuffle of all under (seed, epoch, BT_STREAM_CLASSES,
 * round); a class that is in the batch already waits for the next. A class hands out its images in rounds too, each a
 * shuffle under (seed, epoch, BT_STREAM_CLASS_IMAGES, class | (round mod 256) << 32); with fewer than k it repeats
 * some. Samples without a label are left out. long_tail       as many samples as there are, sample i on average w_i /
 * mean(w) times, w_i = max over its classes c of n_c^(p - 1), n_c samples of the class: with single labels a class
 * comes n_c^p / sum of n^p of the time. p = 1/2 is square-root sampling, 0 gives classes equal shares, 1 the shares of
 * the data. Systematic sampling: samples, by class and shuffled within it under (seed, epoch, BT_STREAM_TAIL, 1 +
 * class), lie on a line, each as long as its average; a comb of unit steps, its start drawn under (seed, epoch,
 * BT_STREAM_TAIL, 0), tells how often each comes, so no sample is off its average by 1 or more. Samples without a label
 * weigh as those of the largest class. Then all is shuffled as above.
 *
 * A sample that comes again in an epoch has other draws of augmentation: its views are drawn under
 * bt_sampler_draws(epoch, times).
 */
#ifndef BITTERN_DATA_SAMPLER_H
#define BITTERN_DATA_SAMPLER_H

#include "data/dataset.h"

typedef enum bt_sampling { BT_SAMPLING_SHUFFLE, BT_SAMPLING_CLASS_BALANCED, BT_SAMPLING_LONG_TAIL } bt_sampling;

typedef struct bt_sampler_options {
    bt_sampling kind;
    int64_t per_class; /**< class_balanced: k, divides the batch */
    double tail_power; /**< long_tail: p, 0..1 */
} bt_sampler_options;

typedef struct bt_sampler bt_sampler;

/** For samples (count) of a set, both borrowed. BT_ERR_CONFIG where a batch cannot have batch / k classes,
 * BT_ERR_MEMORY. */
bt_status bt_sampler_new(const bt_sampler_options *options, const bt_dataset *set, const int64_t *samples,
                         int64_t count, int64_t batch, uint64_t seed, bt_sampler **out) BT_MUST_CHECK;
void bt_sampler_free(bt_sampler *sampler);

/** The step of random.h for the views of a sample that came `again` times before in this epoch. Equal ones only beyond
 * 2^20 epochs or 4096 times. */
static inline int64_t bt_sampler_draws(int64_t epoch, int32_t again) {
    return epoch + (int64_t)(again % 4096) * (1 << 20);
}

/** Samples of an epoch: order (count), of which class_balanced fills count / batch whole batches; again (count): how
 * often each has come in this epoch before. */
void bt_sampler_epoch(bt_sampler *sampler, int64_t epoch, int64_t *order, int32_t *again);

#endif
