/* The order of an epoch; see sampler.h. Everything is allocated at the start: an epoch begins under the loader's lock.
 */
#include "data/sampler.h"

#include "base/memory.h"
#include "data/draw.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

struct bt_sampler {
    bt_sampler_options options;
    const bt_dataset *set;
    const int64_t *samples;
    int64_t count, batch;
    uint64_t seed;
    int32_t *seen; /* (set->count) times in this epoch */
    /* Samples by class: those of kept class k are member[first[k]..first[k + 1]). Class number `classes` of the long
     * tail: no label. */
    int64_t classes;
    int64_t *member, *first, *class_id; /* class_id (classes): its label */
    int64_t *round, *next;              /* (classes) class_balanced: round and place within it of each class */
    int64_t *queue;                     /* (classes) class_balanced: those to come */
    int64_t *deck;                      /* (members) class_balanced: members in the order of their round */
    double *weight;                     /* (count of members) long_tail, in the order of member */
};

/* ---- samples by class ---- */

/* Visits each (sample, class) of the samples: class set->class_count where there is none. The first label only if
 * `single`. */
static void visit(const bt_sampler *s, bool single, void (*at)(void *context, int64_t sample, int64_t label),
                  void *context) {
    const bt_dataset *set = s->set;
    for (int64_t i = 0; i < s->count; i++) {
        int64_t sample = s->samples[i], from = set->label_first[sample], to = set->label_first[sample + 1];
        if (from == to) at(context, sample, set->class_count);
        for (int64_t k = from; k < to && (k == from || !single); k++) at(context, sample, set->label_items[k]);
    }
}

static void add_one(void *context, int64_t sample, int64_t label) {
    (void)sample;
    ((int64_t *)context)[label]++;
}

typedef struct placing {
    int64_t *member, *next; /* next (classes + 1): where the next of a label goes; -1: left out */
} placing;

static void place(void *context, int64_t sample, int64_t label) {
    placing *p = context;
    if (p->next[label] >= 0) p->member[p->next[label]++] = sample;
}

/* Fills member, first, class_id; counts (class_count + 1) is overwritten. */
static bt_status group(bt_sampler *s, int64_t *counts, bool single, bool unlabelled) {
    int64_t labels = s->set->class_count, total = 0;
    s->first = bt_memory_alloc((size_t)labels + 2, sizeof *s->first);
    s->class_id = bt_memory_alloc((size_t)labels + 1, sizeof *s->class_id);
    if (!s->first || !s->class_id) return BT_ERR_MEMORY;
    for (int64_t c = 0; c <= labels; c++) {
        int64_t own = c == labels && !unlabelled ? 0 : counts[c];
        counts[c] = own ? total : -1;
        if (!own) continue;
        s->first[s->classes] = total;
        s->class_id[s->classes++] = c;
        total += own;
    }
    s->first[s->classes] = total;
    s->member = bt_memory_alloc((size_t)total, sizeof *s->member);
    if (!s->member) return BT_ERR_MEMORY;
    placing p = {s->member, counts};
    visit(s, single, place, &p);
    return BT_OK;
}

/* ---- class_balanced ---- */

static bt_status prepare_classes(bt_sampler *s) {
    size_t classes = (size_t)s->classes;
    int64_t wanted = s->batch / s->options.per_class;
    if (s->batch % s->options.per_class)
        return bt_error(BT_ERR_CONFIG, "data.per_class %" PRId64 " does not divide the batch of %" PRId64,
                        s->options.per_class, s->batch);
    if (wanted > s->classes)
        return bt_error(BT_ERR_CONFIG,
                        "data.per_class %" PRId64 " and a batch of %" PRId64 " make %" PRId64
                        " classes a batch, but training images have %" PRId64
                        "; raise data.per_class or lower train.batch",
                        s->options.per_class, s->batch, wanted, s->classes);
    s->round = bt_memory_alloc(classes, sizeof *s->round);
    s->next = bt_memory_alloc(classes, sizeof *s->next);
    s->queue = bt_memory_alloc(classes, sizeof *s->queue);
    s->deck = bt_memory_alloc((size_t)s->first[classes], sizeof *s->deck);
    return s->round && s->next && s->queue && s->deck ? BT_OK : BT_ERR_MEMORY;
}

/* The next image of class k; a new round is shuffled when one is over. */
static int64_t draw_member(bt_sampler *s, int64_t epoch, int64_t k) {
    int64_t *deck = s->deck + s->first[k], have = s->first[k + 1] - s->first[k];
    if (s->next[k] == have) {
        memcpy(deck, s->member + s->first[k], (size_t)have * sizeof *deck);
        bt_draw_shuffle(deck, have, s->seed, epoch, BT_STREAM_CLASS_IMAGES, s->class_id[k] | s->round[k]++ << 32);
        s->next[k] = 0;
    }
    return deck[s->next[k]++];
}

/* Position in the queue of the first class that is not among chosen (count). */
static int64_t first_other(const int64_t *queue, int64_t length, const int64_t *chosen, int64_t count) {
    for (int64_t i = 0; i < length; i++) {
        bool taken = false;
        for (int64_t j = 0; j < count && !taken; j++) taken = chosen[j] == queue[i];
        if (!taken) return i;
    }
    return -1;
}

/* Classes for a batch are taken off the queue's front, those in the batch already passed over. A new round comes when
 * none is left for the batch; then the queue is empty, for what it holds is always of one round. */
static void balanced(bt_sampler *s, int64_t epoch, int64_t *order) {
    int64_t per_batch = s->batch / s->options.per_class, length = 0, round = 0, at = 0;
    for (int64_t k = 0; k < s->classes; k++) {
        s->round[k] = 0;
        s->next[k] = s->first[k + 1] - s->first[k];
    }
    for (int64_t b = 0; b < s->count / s->batch; b++) {
        int64_t *chosen = order + at; /* classes for now, at the front of the batch's own places */
        for (int64_t j = 0; j < per_batch; j++) {
            int64_t found = first_other(s->queue, length, chosen, j);
            if (found < 0) {
                BT_ASSERT(length == 0);
                for (int64_t k = 0; k < s->classes; k++) s->queue[k] = k;
                bt_draw_shuffle(s->queue, s->classes, s->seed, epoch, BT_STREAM_CLASSES, round++);
                length = s->classes;
                found = first_other(s->queue, length, chosen, j);
            }
            chosen[j] = s->queue[found];
            length--;
            memmove(s->queue + found, s->queue + found + 1, (size_t)(length - found) * sizeof *s->queue);
        }
        /* From the last class down, so that its images do not overwrite classes that are still to come. */
        for (int64_t j = per_batch - 1; j >= 0; j--) {
            int64_t k = chosen[j];
            for (int64_t i = 0; i < s->options.per_class; i++)
                order[at + j * s->options.per_class + i] = draw_member(s, epoch, k);
        }
        at += per_batch * s->options.per_class;
    }
}

/* ---- long_tail ---- */

static double weight_of(const bt_sampler *s, int64_t sample, const int64_t *counts, double least) {
    double weight = 0;
    for (int64_t k = s->set->label_first[sample]; k < s->set->label_first[sample + 1]; k++) {
        double own = pow((double)counts[s->set->label_items[k]], s->options.tail_power - 1);
        weight = own > weight ? own : weight;
    }
    return weight > 0 ? weight : least;
}

/* Weights of the members; counts (class_count): samples with each label. */
static bt_status prepare_tail(bt_sampler *s, const int64_t *counts) {
    int64_t largest = 1, total = s->first[s->classes];
    for (int64_t c = 0; c < s->set->class_count; c++) largest = counts[c] > largest ? counts[c] : largest;
    s->weight = bt_memory_alloc((size_t)s->set->count, sizeof *s->weight);
    s->deck = bt_memory_alloc((size_t)total, sizeof *s->deck);
    if (!s->weight || !s->deck) return BT_ERR_MEMORY;
    double least = pow((double)largest, s->options.tail_power - 1), sum = 0;
    for (int64_t i = 0; i < total; i++) sum += weight_of(s, s->member[i], counts, least);
    for (int64_t i = 0; i < total; i++)
        s->weight[s->member[i]] = weight_of(s, s->member[i], counts, least) * (double)s->count / sum;
    return BT_OK;
}

static void long_tail(bt_sampler *s, int64_t epoch, int64_t *order) {
    int64_t total = s->first[s->classes], at = 0;
    memcpy(s->deck, s->member, (size_t)total * sizeof *s->deck);
    for (int64_t k = 0; k < s->classes; k++)
        bt_draw_shuffle(s->deck + s->first[k], s->first[k + 1] - s->first[k], s->seed, epoch, BT_STREAM_TAIL,
                        1 + s->class_id[k]);
    /* The comb's teeth are at u, u + 1, ...: exactly count of them, whatever the sum rounds to. */
    double u = bt_random_unit(bt_random_block(s->seed, epoch, BT_STREAM_TAIL, 0, 0).word[0]), end = 0;
    for (int64_t i = 0; i < total; i++) {
        end += s->weight[s->deck[i]];
        while (at < s->count && (i == total - 1 || u + (double)at < end)) order[at++] = s->deck[i];
    }
    bt_draw_shuffle(order, s->count, s->seed, epoch, BT_STREAM_SHUFFLE, 0);
}

/* ---- life ---- */

static bt_status prepare(bt_sampler *s) {
    size_t labels = (size_t)s->set->class_count + 1;
    s->seen = bt_memory_alloc((size_t)s->set->count, sizeof *s->seen);
    if (!s->seen) return BT_ERR_MEMORY;
    if (s->options.kind == BT_SAMPLING_SHUFFLE) return BT_OK;
    bool balance = s->options.kind == BT_SAMPLING_CLASS_BALANCED;
    int64_t *counts = bt_memory_zeroed(labels, sizeof *counts), *all = bt_memory_zeroed(labels, sizeof *all);
    bt_status status = counts && all ? BT_OK : BT_ERR_MEMORY;
    if (status == BT_OK) {
        visit(s, false, add_one, all);
        visit(s, !balance, add_one, counts);
        status = group(s, counts, !balance, !balance);
    }
    if (status == BT_OK) status = balance ? prepare_classes(s) : prepare_tail(s, all);
    bt_memory_free(counts);
    bt_memory_free(all);
    return status;
}

bt_status bt_sampler_new(const bt_sampler_options *options, const bt_dataset *set, const int64_t *samples,
                         int64_t count, int64_t batch, uint64_t seed, bt_sampler **out) {
    bt_sampler *s = bt_memory_zeroed(1, sizeof *s);
    if (!s) return BT_ERR_MEMORY;
    *s =
        (bt_sampler){.options = *options, .set = set, .samples = samples, .count = count, .batch = batch, .seed = seed};
    bt_status status = prepare(s);
    if (status != BT_OK) {
        bt_sampler_free(s);
        return status;
    }
    *out = s;
    return BT_OK;
}

void bt_sampler_free(bt_sampler *s) {
    if (!s) return;
    bt_memory_free(s->seen);
    bt_memory_free(s->member);
    bt_memory_free(s->first);
    bt_memory_free(s->class_id);
    bt_memory_free(s->round);
    bt_memory_free(s->next);
    bt_memory_free(s->queue);
    bt_memory_free(s->deck);
    bt_memory_free(s->weight);
    bt_memory_free(s);
}

void bt_sampler_epoch(bt_sampler *s, int64_t epoch, int64_t *order, int32_t *again) {
    int64_t count = s->count;
    if (s->options.kind == BT_SAMPLING_SHUFFLE) {
        memcpy(order, s->samples, (size_t)count * sizeof *order);
        bt_draw_shuffle(order, count, s->seed, epoch, BT_STREAM_SHUFFLE, 0);
    } else if (s->options.kind == BT_SAMPLING_CLASS_BALANCED) {
        balanced(s, epoch, order);
        count -= count % s->batch;
    } else {
        long_tail(s, epoch, order);
    }
    memset(s->seen, 0, (size_t)s->set->count * sizeof *s->seen);
    for (int64_t i = 0; i < count; i++) again[i] = s->seen[order[i]]++;
}
