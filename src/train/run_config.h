/* The configuration of a run: what the YAML file and the command line set. The option tables in run_config.c are the
 * reference for names, bounds, defaults and meaning (docs/options.md is generated from them). */
#ifndef BITTERN_TRAIN_RUN_CONFIG_H
#define BITTERN_TRAIN_RUN_CONFIG_H

#include "base/options.h"

typedef struct bt_run_section {
    const char *dir, *device, *start;
    int64_t seed;
    int threads;
    int dtype; /**< 0 f32, 1 bf16 */
    int log_every, checkpoint_every, keep;
    int best; /**< bt_best */
} bt_run_section;

typedef struct bt_model_section {
    const char *name, *weights;
    int image, patch, width, depth, heads, mlp, registers, output, grid;
    int activation, positions, resampling; /**< bt_vit_activation, bt_vit_positions, bt_resampling */
    bool layer_scale, pre_norm, patch_bias, qkv_bias, key_bias, train_all;
    double norm_eps, rope_theta;
    bt_float_list mean, std;
} bt_model_section;

typedef struct bt_adapter_section {
    const char *targets;
    int rank;
    double alpha, dropout;
} bt_adapter_section;

typedef struct bt_method_section {
    const char *name;
    int bits, views;
    int head; /**< bt_hashcoder_size */
    bool supervised, batch_norm;
    double align_weight, rate_weight, rate_eps;
} bt_method_section;

typedef struct bt_data_section {
    const char *root;
    int format; /**< bt_data_format */
    const char *images, *classes, *label, *path, *caption, *split, *ranks;
    int train, query, database;
    int64_t split_seed;
    int sampler; /**< bt_sampling */
    int per_class;
    double tail_power;
    int damaged; /**< 0 fatal, 1 skip */
    int loader_threads, ahead, cache_mb, resize;
    int resize_mode;   /**< bt_resize_mode */
    int interpolation; /**< bt_filter */
    int center;        /**< bt_center */
    bt_int_list fill;
    int orientation; /**< bt_orientation */
    bool jpeg_scale;
} bt_data_section;

typedef struct bt_augment_section {
    double scale_min, scale_max, flip;
    int interpolation; /**< bt_filter */
    double jitter, brightness, contrast, saturation, hue, grey, blur, blur_min, blur_max, solarize;
    int solarize_threshold;
    bool in_step;
} bt_augment_section;

typedef struct bt_train_section {
    int epochs, head_epochs, batch, chunk;
    int recompute; /**< bt_recompute */
    double ema;    /**< decay; 0: none */
    int patience, cached_views;
} bt_train_section;

typedef struct bt_optim_section {
    double lr, lr_min, lr_head, lr_adapter, lr_tower;            /**< of a group: 0 for lr */
    double weight_decay, decay_head, decay_adapter, decay_tower; /**< of a group: -1 for weight_decay */
    double beta1, beta2, eps, clip;
    int warmup;
} bt_optim_section;

typedef struct bt_eval_section {
    int k, batch, every;
    bool before, all, baselines, full, report, embeddings;
    int resamples, shuffles, rotations, neighbours, fit;
    int64_t seed;
    const char *taxonomy;
} bt_eval_section;

typedef struct bt_run_config {
    bt_run_section run;
    bt_model_section model;
    bt_adapter_section adapter;
    bt_method_section method;
    bt_data_section data;
    bt_augment_section augment;
    bt_train_section train;
    bt_optim_section optim;
    bt_eval_section eval;
} bt_run_config;

extern const bt_option_table bt_run_config_table;

/** Whether data.root is a file of embeddings (.npy): there is no tower then. */
bool bt_run_config_stored(const bt_run_config *config);

/** Whether steps are on embeddings: stored ones, or those of train.cached_views. */
bool bt_run_config_cached(const bt_run_config *config);

/** Where model.weights is a file that describes its tower (bittern import, bittern export), takes from it what the
 * configuration leaves at its defaults: the tower, the pictures' preprocessing. BT_ERR_CONFIG where the two contradict
 * each other; model.image may differ. Where that file is not there any more, from the newest checkpoint of run.dir, if
 * that was made with the same model.weights. */
bt_status bt_run_config_adopt(bt_run_config *config, bt_options *options) BT_MUST_CHECK;

/** Checks that span options; messages name the option and where it was set. */
bt_status bt_run_config_check(const bt_run_config *config, const bt_options *options) BT_MUST_CHECK;

/** All values as one flat JSON object {"section.key": "value as text"}: what checkpoints keep and a resume compares. */
bt_status bt_run_config_json(const bt_options *options, bt_text *out) BT_MUST_CHECK;

/** The same of an empty configuration. */
bt_status bt_run_config_default_json(bt_text *out) BT_MUST_CHECK;

#endif
