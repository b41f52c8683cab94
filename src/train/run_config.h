/* The configuration of a run: what the YAML file and the command line set. The option table in run_config.c is the reference
 * for names, bounds, defaults and meaning (docs/options.md is generated from it). */
#ifndef BITTERN_TRAIN_RUN_CONFIG_H
#define BITTERN_TRAIN_RUN_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

typedef struct bt_run_config {
    struct {
        char *dir;
        int64_t seed;
        char *device;
        int threads;
        int dtype;               /**< BT_F32 or BT_BF16 */
        int log_every, checkpoint_every, keep;
    } run;
    struct {
        char *name;              /**< of a known tower, or "custom" */
        int image, patch, width, depth, heads, mlp, registers;
        bool layer_scale;
        double norm_eps;
        char *weights;           /**< a run's folder or a safetensors file, "" for random values */
        bool train_all;
    } model;
    struct {
        char *targets;
        int rank;
        double alpha, dropout;
    } adapter;
    struct {
        char *name;
        int bits, head, views;
        bool supervised;
        double align_weight, rate_weight, rate_eps;
    } method;
    struct {
        char *root;
        int train, query, database; /**< per class; database -1: all others */
        int64_t split_seed;
        int damaged;             /**< 0 fatal, 1 skip */
        int loader_threads, ahead, cache_mb;
        int resize;              /**< evaluation: shorter side; 0: model.image */
    } data;
    struct {
        double scale_min, scale_max, flip;
    } augment;
    struct {
        int epochs, head_epochs, batch, chunk, recompute;
    } train;
    struct {
        double lr, lr_min, weight_decay, beta1, beta2, eps, clip;
        int warmup;              /**< iterations */
    } optim;
    struct {
        int k, batch;
        bool before;             /**< scores before training too */
    } eval;
} bt_run_config;

#endif
