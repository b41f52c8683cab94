/* The evaluation of a run: its codes and embeddings, and beside them what every result must be compared with (random
 * weights, the encoder before training, codes without training). docs/evaluation.md defines each score and the files.
 *
 *   RUN/evaluation.json              all scores (bt_run_scores_json)
 *   RUN/evaluation/                  codes, labels, neighbours, paths; replaced as a whole, before evaluation.json
 */
#ifndef BITTERN_TRAIN_RUN_SCORES_H
#define BITTERN_TRAIN_RUN_SCORES_H

#include "method/method.h"
#include "retrieval/bits.h"
#include "retrieval/scores.h"
#include "retrieval/training_free.h"
#include "train/embedded.h"
#include "train/run_config.h"
#include "train/truth.h"

#include "base/text.h"
#include "formats/json.h"

enum {
    BT_CURVE_POINTS = 21,     /* precision at recall 0, 0.05 .. 1 */
    BT_SHEET_NEIGHBOURS = 20, /* of each query, in neighbours.npy */
    BT_CONFUSED_NEIGHBOURS = 10,
    BT_CONFUSED_CLASSES = 100, /* ranks with more have no confusion matrix */
    BT_MOST_CUTOFFS = 2
};

/** Ways to rank: what is measured, by which distance. */
typedef enum bt_way {
    BT_WAY_BINARY,     /**< codes, asymmetric distance */
    BT_WAY_SYMMETRIC,  /**< codes, Hamming distance */
    BT_WAY_CONTINUOUS, /**< the encoder's embeddings, cosine */
    BT_WAY_BEFORE,     /**< those of the encoder before training */
    BT_WAY_RANDOM,     /**< those of a tower with random initial weights */
    BT_WAYS
} bt_way;
extern const char *const bt_way_names[BT_WAYS];

/** Scores of one way: rows (rank of the taxonomy, cutoff). */
typedef struct bt_scored {
    bool present;
    bt_scores *scores;         /**< (ranks, cutoffs) */
    bt_map *average_precision; /**< (ranks, cutoffs, queries) */
    double *curve;             /**< (ranks, BT_CURVE_POINTS) */
    double vote, probe;        /**< accuracy; negative: not measured */
    bool has_effective_rank;
    bt_effective_rank raw, centred; /**< of the database's embeddings */
} bt_scored;

typedef struct bt_class_matrix {
    int64_t classes; /**< 0: none */
    double *share;   /**< (classes, classes) by bt_neighbours_confuse */
} bt_class_matrix;

typedef struct bt_run_scores {
    /* What was evaluated. */
    char *run, *checkpoint; /**< checkpoint: its folder's name; "" for untrained weights */
    char *pack;             /**< the pack that holds the pictures; NULL: they are files, or there are none */
    const bt_method *method;
    int64_t step;
    int bits, width;                  /**< bits: 0 without codes */
    bool full, untrained, frozen;     /**< frozen: only a head is trained, the encoder is the one before */
    int64_t queries, database, train; /**< train: images that components and probe are fitted to; 0: nothing was */
    int64_t cutoff[BT_MOST_CUTOFFS];  /**< k, and the database */
    int cutoffs;
    bt_eval_section options;
    double seconds;
    /* Ranks and classes. */
    bt_truth truth;
    int64_t *query_samples, *database_samples; /**< of the data set */
    int32_t *query_labels, *database_labels;   /**< (ranks, queries), (ranks, database) */
    uint64_t *query_sets, *database_sets;      /**< (queries, truth.words), (database, truth.words), or NULL */
    /* Scores. */
    bt_scored way[BT_WAYS];
    double accuracy; /**< of a classifier's queries; negative: none */
    bool has_free;
    const char *free_of;                  /**< "before" or "after": the encoder whose embeddings were hashed */
    char free_reason[200];                /**< why there are no training-free codes */
    bt_free_scores free[BT_MOST_CUTOFFS]; /**< rotation */
    bt_free_scores free_itq;              /**< at the first cutoff; draws 0: not measured */
    bt_bit_statistics bit_statistics;     /**< of the database's codes */
    double *ones, *correlation;           /**< (bits), (bits, bits) */
    int neighbour_count;
    int32_t *neighbours; /**< (queries, neighbour_count): by codes, or by embeddings where there are none */
    float *distances;
    bt_class_matrix confusion[BT_TRUTH_RANKS];
} bt_run_scores;

typedef struct bt_run_evaluate_options {
    const char *checkpoint;  /**< "last", "best" or a step's number */
    bool untrained;          /**< the weights that the run began with; nothing is written to the run */
    bool raw;                /**< the weights themselves where the run keeps moving averages (train.ema) */
    bt_embedded_split *made; /**< by the same weights, which are not embedded again if this is of the checkpoint's step
                                (its content is taken); NULL: none */
} bt_run_evaluate_options;

/** Evaluates a run by config->eval and writes its files. The run's folder is config->run.dir. BT_ERR_IO without a
 * checkpoint, BT_ERR_INTERRUPTED after a signal, errors of data, weights and files. On failure earlier files stay. */
bt_status bt_run_evaluate(const bt_run_config *config, const bt_run_evaluate_options *options,
                          bt_run_scores *out) BT_MUST_CHECK;
void bt_run_scores_free(bt_run_scores *scores);

/** The scores as JSON, documented in docs/evaluation.md. */
bt_status bt_run_scores_json(const bt_run_scores *scores, bt_text *out) BT_MUST_CHECK;

/** Their headlines, members of an open object: map_binary, map_binary_standard, ... and accuracy; null for what was not
 * measured. */
void bt_run_scores_put_headlines(bt_json_writer *writer, const bt_run_scores *scores);

/** The scores for people, a table. */
void bt_run_scores_table(const bt_run_scores *scores, bt_text *out);

/** One line: the score of the codes and what it is compared with. */
void bt_run_scores_headline(const bt_run_scores *scores, bt_text *out);

/** Writes codes, labels, neighbours, which of them are relevant, and where the pictures are into `folder`. */
bt_status bt_run_scores_files(const bt_run_scores *scores, const bt_dataset *images, const uint64_t *query_codes,
                              const uint64_t *database_codes, const char *folder) BT_MUST_CHECK;

#endif
