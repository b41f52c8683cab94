/* The option tables of a run. */
#include "train/run_config.h"

#include "base/file.h"
#include "data/picture_rule.h"
#include "formats/json.h"
#include "method/method.h"
#include "train/history.h"

#include <string.h>

static const char *const dtypes[] = {"f32", "bf16", NULL};
static const char *const heads[] = {"small", "large", NULL};
static const char *const damaged[] = {"fatal", "skip", NULL};
static const char *const samplers[] = {"shuffle", "class_balanced", "long_tail", NULL};
static const char *const formats[] = {"auto", "folder", "manifest", "lists", "pack", NULL};
static const char *const orientations[] = {"ignore", "apply", NULL};
static const char *const recompute[] = {"none", "cheap", "blocks", NULL};

static const char *const bests[] = {"auto", "map_binary", "map_continuous", "accuracy", "loss", NULL}; /* bt_best */

static const bt_option run_options[] = {
    BT_OPTION_STRING(bt_run_section, dir, NULL, "folder of the run: metrics, checkpoints, resolved configuration"),
    BT_OPTION_STRING(bt_run_section, device, "cpu", "cpu or cuda"),
    BT_OPTION_I64(bt_run_section, seed, "1", 0, 9e15, "of initial values, order, augmentation and dropout"),
    BT_OPTION_INT(bt_run_section, threads, "0", 0, 1024, "processor threads of the kernels; 0: all cores"),
    BT_OPTION_ENUM(bt_run_section, dtype, "f32", dtypes, "of activations and product weights"),
    BT_OPTION_INT(bt_run_section, log_every, "10", 1, 1000000, "steps between log lines"),
    BT_OPTION_INT(bt_run_section, checkpoint_every, "200", 0, 1e9, "steps between checkpoints; 0: only the last"),
    BT_OPTION_INT(bt_run_section, keep, "2", 0, 100000, "newest checkpoints that are kept, and the best; 0: all"),
    BT_OPTION_ENUM(bt_run_section, best, "auto", bests,
                   "score that decides which checkpoint is best; auto: map_binary, or accuracy for classes; loss: mean "
                   "training loss"),
    BT_OPTION_STRING(bt_run_section, start, "",
                     "a run's folder, or a checkpoint's (RUN/checkpoints/best), whose tower, adapters and head this "
                     "run begins with"),
};
static const bt_option model_options[] = {
    BT_OPTION_STRING(bt_model_section, name, "custom",
                     "a known tower (bittern inspect models), or custom with the sizes below"),
    BT_OPTION_STRING(bt_model_section, weights, "",
                     "a run's folder or a .safetensors file with the tower's weights; empty: random"),
    BT_OPTION_INT(bt_model_section, image, "0", 0, 4096, "pixels of a side; 0: as the known tower"),
    BT_OPTION_INT(bt_model_section, patch, "16", 1, 512, "pixels of a patch's side (custom)"),
    BT_OPTION_INT(bt_model_section, width, "192", 1, 16384, "of tokens (custom)"),
    BT_OPTION_INT(bt_model_section, depth, "12", 1, 256, "blocks (custom)"),
    BT_OPTION_INT(bt_model_section, heads, "3", 1, 256, "of attention; width / heads is a head's size (custom)"),
    BT_OPTION_INT(bt_model_section, mlp, "0", 0, 65536, "hidden width; 0: four times the width (custom)"),
    BT_OPTION_INT(bt_model_section, registers, "0", 0, 64, "register tokens (custom)"),
    BT_OPTION_INT(bt_model_section, output, "0", 0, 16384,
                  "width of a projection behind the last norm, as in CLIP; 0: without (custom)"),
    BT_OPTION_ENUM(bt_model_section, activation, "gelu", bt_vit_activation_names, "of the MLP (custom)"),
    BT_OPTION_ENUM(bt_model_section, positions, "learned", bt_vit_positions_names,
                   "of patches: learned and added, or rotary in attention, as in DINOv3 (custom)"),
    BT_OPTION_INT(bt_model_section, grid, "0", 0, 1024,
                  "side of the learned positions in patches, resampled for other images; 0: image / patch (custom)"),
    BT_OPTION_ENUM(bt_model_section, resampling, "antialias", bt_resampling_names,
                   "of learned positions: hub (DINOv2 without registers), antialias (timm, open_clip, DINOv2 with "
                   "registers), bicubic (transformers) (custom)"),
    BT_OPTION_DOUBLE(bt_model_section, rope_theta, "100", 1, 1e9,
                     "base of the frequencies of rotary positions (custom)"),
    BT_OPTION_BOOL(bt_model_section, layer_scale, "false", "a trained scale on each residual branch (custom)"),
    BT_OPTION_BOOL(bt_model_section, pre_norm, "false", "layer norm before the first block, as in CLIP (custom)"),
    BT_OPTION_BOOL(bt_model_section, patch_bias, "true", "of the patch embedding (custom)"),
    BT_OPTION_BOOL(bt_model_section, qkv_bias, "true", "of queries, keys and values (custom)"),
    BT_OPTION_BOOL(bt_model_section, key_bias, "true",
                   "of keys; false: only queries and values have one, as in DINOv3 (custom)"),
    BT_OPTION_BOOL(bt_model_section, train_all, "false", "train all weights of the tower, not adapters"),
    BT_OPTION_DOUBLE(bt_model_section, norm_eps, "1e-6", 0, 1, "of layer norm (custom)"),
    BT_OPTION_FLOATS(bt_model_section, mean, "0.485, 0.456, 0.406", -1000, 1000,
                     "of red, green, blue, on the scale 0 to 1"),
    BT_OPTION_FLOATS(bt_model_section, std, "0.229, 0.224, 0.225", 1e-6, 1000,
                     "likewise: what is left is divided by it"),
};
static const bt_option adapter_options[] = {
    BT_OPTION_STRING(bt_adapter_section, targets, "none",
                     "adapted layers: none, or a list of q, k, v, qkv, proj, fc1, fc2, as in q,v"),
    BT_OPTION_INT(bt_adapter_section, rank, "16", 1, 1024, "of the update"),
    BT_OPTION_DOUBLE(bt_adapter_section, alpha, "16", 0, 1e6, "the update is scaled by alpha / rank"),
    BT_OPTION_DOUBLE(bt_adapter_section, dropout, "0.1", 0, 0.99, "of the adapter's input"),
};
static const bt_option method_options[] = {
    BT_OPTION_STRING(bt_method_section, name, NULL, "crovca or classify"),
    BT_OPTION_INT(bt_method_section, bits, "32", 1, 4096, "of a code"),
    BT_OPTION_INT(bt_method_section, views, "2", 1, 16, "augmented views of an image in a step; classify takes 1"),
    BT_OPTION_ENUM(bt_method_section, head, "small", heads, "HashCoder"),
    BT_OPTION_BOOL(bt_method_section, batch_norm, "true",
                   "HashCoder ends with batch norm; false: without, an ablation"),
    BT_OPTION_BOOL(bt_method_section, supervised, "false", "targets are the batch prototypes of the classes"),
    BT_OPTION_DOUBLE(bt_method_section, align_weight, "1", 0, 1e6, "weight of code alignment"),
    BT_OPTION_DOUBLE(bt_method_section, rate_weight, "0.1", 0, 1e6, "weight of the coding rate; 0: without"),
    BT_OPTION_DOUBLE(bt_method_section, rate_eps, "0.05", 1e-6, 1e6, "eps of the coding rate"),
};
static const bt_option data_options[] = {
    BT_OPTION_STRING(bt_data_section, root, NULL,
                     "images: a folder of class folders, a CSV or TSV table, DeepHash's lists, or a pack "
                     "(docs/data.md); or embeddings (items, width) or (items, views, width): .npy, or FILE.h5:NAME"),
    BT_OPTION_ENUM(bt_data_section, format, "auto", formats, "what root is; auto: recognised"),
    BT_OPTION_STRING(bt_data_section, images, "",
                     "folder that paths of tables and lists are relative to; empty: where root lies"),
    BT_OPTION_STRING(bt_data_section, classes, "",
                     "classes to keep, of the sorted list: positions or names, as in 0-29,35; empty: all"),
    BT_OPTION_STRING(bt_data_section, label, "",
                     "columns of a table with labels; empty: the first of label, labels, class, species. Of "
                     "embeddings: a .npy file, (items) class numbers or (items, classes) of 0 and 1"),
    BT_OPTION_STRING(bt_data_section, path, "", "column with paths; empty: path, file, filename, file_name or image"),
    BT_OPTION_STRING(bt_data_section, caption, "", "column with captions; empty: caption or text, if there"),
    BT_OPTION_STRING(bt_data_section, split, "",
                     "column with splits; empty: split, if there. Of embeddings: a .npy file of bytes, sums of 1 "
                     "train, 2 query, 4 database"),
    BT_OPTION_STRING(
        bt_data_section, ranks, "",
        "columns of a taxonomy, widest first; empty: those of order, family, genus, species that are there"),
    BT_OPTION_INT(bt_data_section, train, "0", 0, 1e9, "training images per class; 0: all that the data name as such"),
    BT_OPTION_INT(bt_data_section, query, "0", 0, 1e9, "query images per class; 0: all that the data name as such"),
    BT_OPTION_INT(bt_data_section, database, "-1", -1, 1e9,
                  "database images per class; -1: all others, or all that the data name as such"),
    BT_OPTION_I64(bt_data_section, split_seed, "1", 0, 9e15, "of the split"),
    BT_OPTION_ENUM(
        bt_data_section, sampler, "shuffle", samplers,
        "of training images: each once an epoch; per_class images of each class in a batch; rare classes more often"),
    BT_OPTION_INT(bt_data_section, per_class, "4", 1, 100000, "sampler class_balanced: images of a class in a batch"),
    BT_OPTION_DOUBLE(bt_data_section, tail_power, "0.5", 0, 1,
                     "sampler long_tail: a class of n images comes in proportion to n^tail_power"),
    BT_OPTION_ENUM(bt_data_section, damaged, "fatal", damaged, "what a damaged file does"),
    BT_OPTION_INT(bt_data_section, loader_threads, "2", 1, 256, "that read, decode and augment"),
    BT_OPTION_INT(bt_data_section, ahead, "4", 2, 64, "batches made ahead"),
    BT_OPTION_INT(bt_data_section, cache_mb, "256", 0, 1e6, "decoded images kept in memory"),
    BT_OPTION_INT(bt_data_section, resize, "0", 0, 8192,
                  "evaluation: pixels of the side that resize_mode names, before the centre; 0: model.image"),
    BT_OPTION_ENUM(
        bt_data_section, resize_mode, "shortest", bt_resize_mode_names,
        "evaluation: what is resized: the shorter side, the longer one (then filled up), both (squash), none; "
        "the centre of model.image is taken, filled up where it is larger"),
    BT_OPTION_ENUM(bt_data_section, interpolation, "bilinear", bt_filter_names, "of that resizing"),
    BT_OPTION_ENUM(bt_data_section, center, "even", bt_center_names,
                   "where the centre begins if an odd number of pixels is left over: half of it rounded to even "
                   "(torchvision, timm, open_clip), or down (transformers)"),
    BT_OPTION_INTS(bt_data_section, fill, "0, 0, 0", 0, 255, "red, green, blue where a picture does not reach"),
    BT_OPTION_ENUM(
        bt_data_section, orientation, "ignore", orientations,
        "of EXIF and XMP: PIL and the libraries of published models ignore it; apply: pictures are turned upright"),
    BT_OPTION_BOOL(
        bt_data_section, jpeg_scale, "false",
        "JPEG is decoded at the eighth of its size that is just enough: faster, and pixels differ from PIL's"),
};
static const bt_option augment_options[] = {
    BT_OPTION_DOUBLE(bt_augment_section, scale_min, "0.4", 0.01, 1, "smallest share of the picture in a random crop"),
    BT_OPTION_DOUBLE(bt_augment_section, scale_max, "1", 0.01, 1, "largest share"),
    BT_OPTION_DOUBLE(bt_augment_section, flip, "0.5", 0, 1, "probability of a mirrored view"),
    BT_OPTION_ENUM(bt_augment_section, interpolation, "bilinear", bt_filter_names, "of the crop's resizing"),
    BT_OPTION_DOUBLE(bt_augment_section, jitter, "0", 0, 1,
                     "probability of colour jitter (the papers: 0.8), with the four strengths below"),
    BT_OPTION_DOUBLE(bt_augment_section, brightness, "0.4", 0, 1, "factor within 1 - this to 1 + this; 0: without"),
    BT_OPTION_DOUBLE(bt_augment_section, contrast, "0.4", 0, 1, "likewise"),
    BT_OPTION_DOUBLE(bt_augment_section, saturation, "0.4", 0, 1, "likewise"),
    BT_OPTION_DOUBLE(bt_augment_section, hue, "0.2", 0, 0.5, "largest turn as a share of the circle; 0: without"),
    BT_OPTION_DOUBLE(bt_augment_section, grey, "0", 0, 1, "probability of a grey view (the papers: 0.2)"),
    BT_OPTION_DOUBLE(bt_augment_section, blur, "0", 0, 1, "probability of a Gaussian blur (the papers: 0.1)"),
    BT_OPTION_DOUBLE(bt_augment_section, blur_min, "0.1", 0.0001, 64,
                     "pixels of its smallest radius, as PIL counts it"),
    BT_OPTION_DOUBLE(bt_augment_section, blur_max, "2", 0.0001, 64, "pixels of its largest radius"),
    BT_OPTION_DOUBLE(bt_augment_section, solarize, "0", 0, 1, "probability of solarizing (the papers: 0.1)"),
    BT_OPTION_INT(bt_augment_section, solarize_threshold, "128", 0, 256, "values from here on are inverted"),
    BT_OPTION_BOOL(bt_augment_section, in_step, "false",
                   "views are made by the step, on run.device, to the same bytes; false: by the loader's threads"),
};
static const bt_option train_options[] = {
    BT_OPTION_INT(bt_train_section, epochs, "5", 1, 1000000, "passes over the training images"),
    BT_OPTION_INT(bt_train_section, head_epochs, "1", 0, 1000000, "first epochs in which only the head is trained"),
    BT_OPTION_INT(bt_train_section, batch, "256", 1, 1000000, "images of a step (each gives method.views views)"),
    BT_OPTION_INT(bt_train_section, chunk, "0", 0, 1000000,
                  "images that are encoded at a time where the batch is larger than memory; 0: all"),
    BT_OPTION_ENUM(bt_train_section, recompute, "cheap", recompute,
                   "what the backward computes again instead of keeping"),
    BT_OPTION_DOUBLE(bt_train_section, ema, "0", 0, 0.999999,
                     "decay of moving averages of the trained weights, which scores are then made with; 0: none"),
    BT_OPTION_INT(bt_train_section, cached_views, "0", 0, 255,
                  "random views of each training image that the frozen encoder embeds once, to train the head on; 0: "
                  "every step encodes"),
    BT_OPTION_INT(bt_train_section, patience, "0", 0, 1000000,
                  "training ends after so many scores (eval.every) without a better one; 0: never"),
};
static const bt_option optim_options[] = {
    BT_OPTION_DOUBLE(bt_optim_section, lr, "1e-3", 0, 10, "learning rate at the start of the cosine"),
    BT_OPTION_DOUBLE(bt_optim_section, lr_min, "1e-6", 0, 10, "learning rate at its end"),
    BT_OPTION_DOUBLE(bt_optim_section, lr_head, "0", 0, 10, "in place of optim.lr for the head; 0: optim.lr"),
    BT_OPTION_DOUBLE(bt_optim_section, lr_adapter, "0", 0, 10, "the same for adapters"),
    BT_OPTION_DOUBLE(bt_optim_section, lr_tower, "0", 0, 10, "the same for the tower's own weights (model.train_all)"),
    BT_OPTION_DOUBLE(bt_optim_section, weight_decay, "0.01", 0, 10, "decoupled, on all trained parameters"),
    BT_OPTION_DOUBLE(bt_optim_section, decay_head, "-1", -1, 10,
                     "in place of optim.weight_decay for the head; below 0: optim.weight_decay"),
    BT_OPTION_DOUBLE(bt_optim_section, decay_adapter, "-1", -1, 10, "the same for adapters"),
    BT_OPTION_DOUBLE(bt_optim_section, decay_tower, "-1", -1, 10,
                     "the same for the tower's own weights (model.train_all)"),
    BT_OPTION_DOUBLE(bt_optim_section, beta1, "0.9", 0, 0.999999, "AdamW"),
    BT_OPTION_DOUBLE(bt_optim_section, beta2, "0.999", 0, 0.999999, "AdamW"),
    BT_OPTION_DOUBLE(bt_optim_section, eps, "1e-8", 0, 1, "AdamW"),
    BT_OPTION_DOUBLE(bt_optim_section, clip, "0", 0, 1e9, "largest norm of all gradients together; 0: no clipping"),
    BT_OPTION_INT(bt_optim_section, warmup, "0", 0, 1e9, "steps of linear warm-up"),
};
static const bt_option eval_options[] = {
    BT_OPTION_INT(bt_eval_section, k, "1000", 1, 1e9, "mAP counts the first k items"),
    BT_OPTION_INT(bt_eval_section, batch, "64", 0, 100000, "images that are embedded at a time; 0: no scores"),
    BT_OPTION_BOOL(bt_eval_section, before, "true", "scores before training too"),
    BT_OPTION_INT(bt_eval_section, every, "0", 0, 1000000, "epochs between scores; 0: only at the end"),
    BT_OPTION_BOOL(bt_eval_section, all, "true", "also scores the ranking of the whole database"),
    BT_OPTION_BOOL(bt_eval_section, baselines, "true",
                   "also scores random weights, the encoder before training, training-free codes"),
    BT_OPTION_INT(bt_eval_section, rotations, "10", 1, 1000, "random rotations of training-free codes"),
    BT_OPTION_BOOL(bt_eval_section, full, "false", "also shuffles of ties, kNN, linear probe, effective rank, ITQ"),
    BT_OPTION_BOOL(bt_eval_section, report, "true",
                   "writes RUN/report.html and RUN/plots behind the scores of a training"),
    BT_OPTION_BOOL(bt_eval_section, embeddings, "false",
                   "keeps the embeddings of queries and database in RUN/evaluation"),
    BT_OPTION_INT(bt_eval_section, resamples, "1000", 0, 1000000,
                  "of the bootstrap over queries, for intervals of 95 %; 0: no intervals"),
    BT_OPTION_INT(bt_eval_section, shuffles, "5", 1, 1000, "seeded orders of ties (full)"),
    BT_OPTION_INT(bt_eval_section, neighbours, "200", 1, 1000000, "that vote on the class of a query (full)"),
    BT_OPTION_INT(bt_eval_section, fit, "0", 0, 1e9,
                  "training images, evenly spaced, that components and probe are fitted to; 0: all"),
    BT_OPTION_I64(bt_eval_section, seed, "1", 0, 9e15, "of rotations, shuffles and the bootstrap"),
    BT_OPTION_STRING(bt_eval_section, taxonomy, "",
                     "JSON tree of the classes (docs/evaluation.md); scores at each of its ranks"),
};

static const bt_option_table run_table = BT_OPTION_TABLE("The run", run_options),
                             model_table = BT_OPTION_TABLE("The tower", model_options),
                             adapter_table = BT_OPTION_TABLE("LoRA adapters", adapter_options),
                             method_table = BT_OPTION_TABLE("The method", method_options),
                             data_table = BT_OPTION_TABLE("Data", data_options),
                             augment_table = BT_OPTION_TABLE("Augmentation", augment_options),
                             train_table = BT_OPTION_TABLE("Training", train_options),
                             optim_table = BT_OPTION_TABLE("AdamW and schedule", optim_options),
                             eval_table = BT_OPTION_TABLE("Scores", eval_options);
static const bt_option sections[] = {
    BT_OPTION_SECTION(bt_run_config, run, &run_table, "the run"),
    BT_OPTION_SECTION(bt_run_config, model, &model_table, "the tower"),
    BT_OPTION_SECTION(bt_run_config, adapter, &adapter_table, "LoRA adapters"),
    BT_OPTION_SECTION(bt_run_config, method, &method_table, "the method"),
    BT_OPTION_SECTION(bt_run_config, data, &data_table, "data"),
    BT_OPTION_SECTION(bt_run_config, augment, &augment_table, "augmentation"),
    BT_OPTION_SECTION(bt_run_config, train, &train_table, "training"),
    BT_OPTION_SECTION(bt_run_config, optim, &optim_table, "AdamW and schedule"),
    BT_OPTION_SECTION(bt_run_config, eval, &eval_table, "scores"),
};
const bt_option_table bt_run_config_table = BT_OPTION_TABLE("Configuration of a run", sections);

/** Rates and decays of groups that there are not, and rates below the end of the schedule. */
static bt_status check_groups(const bt_run_config *c, const bt_options *o) {
    bool adapters = strcmp(c->adapter.targets, "none") != 0 && !c->model.train_all;
    const struct {
        const char *lr, *decay, *missing;
        double value, weight_decay;
    } group[] = {{"optim.lr_head", "optim.decay_head", NULL, c->optim.lr_head, c->optim.decay_head},
                 {"optim.lr_adapter", "optim.decay_adapter",
                  adapters ? NULL : "there are no adapters (adapter.targets is none)", c->optim.lr_adapter,
                  c->optim.decay_adapter},
                 {"optim.lr_tower", "optim.decay_tower",
                  c->model.train_all ? NULL : "the tower's own weights are not trained (model.train_all is false)",
                  c->optim.lr_tower, c->optim.decay_tower}};
    for (int g = 0; g < 3; g++) {
        if (group[g].missing && group[g].value > 0) return bt_options_error(o, group[g].lr, "%s", group[g].missing);
        if (group[g].missing && group[g].weight_decay >= 0)
            return bt_options_error(o, group[g].decay, "%s", group[g].missing);
        if (group[g].value > 0 && group[g].value < c->optim.lr_min)
            return bt_options_error(o, group[g].lr, "%g is below optim.lr_min %g, where every rate ends",
                                    group[g].value, c->optim.lr_min);
    }
    return BT_OK;
}

bool bt_run_config_stored(const bt_run_config *c) {
    size_t length = strlen(c->data.root);
    return (length > 4 && strcmp(c->data.root + length - 4, ".npy") == 0) || strstr(c->data.root, ".h5:") ||
           strstr(c->data.root, ".hdf5:");
}

bool bt_run_config_cached(const bt_run_config *c) {
    return bt_run_config_stored(c) || c->train.cached_views > 0;
}

/** Steps on embeddings train the head alone. */
static bt_status check_cached(const bt_run_config *c, const bt_options *o) {
    bool stored = bt_run_config_stored(c);
    if (!bt_run_config_cached(c)) return BT_OK;
    if (c->model.train_all || strcmp(c->adapter.targets, "none") != 0)
        return bt_options_error(o, c->model.train_all ? "model.train_all" : "adapter.targets",
                                "steps on %s embeddings train the head alone; set it to %s",
                                stored ? "stored" : "cached", c->model.train_all ? "false" : "none");
    if (c->data.sampler)
        return bt_options_error(o, "data.sampler",
                                "steps on embeddings take every item once an epoch; allowed here: shuffle");
    if (stored && c->train.cached_views)
        return bt_options_error(o, "train.cached_views", "data.root holds embeddings already; leave it at 0");
    if (stored && !*c->data.label)
        return bt_options_error(o, "data.label", "embeddings need a file of labels: .npy, or FILE.h5:NAME");
    if (stored && *c->model.weights)
        return bt_options_error(o, "model.weights",
                                "embeddings come without a tower; run.start takes the head of another run");
    if (!stored && c->train.cached_views < c->method.views)
        return bt_options_error(o, "train.cached_views", "%d is below method.views %d", c->train.cached_views,
                                c->method.views);
    return c->train.chunk ? bt_options_error(o, "train.chunk", "steps on embeddings encode nothing; set it to 0")
                          : BT_OK;
}

static bt_status check_scores(const bt_run_config *c, const bt_options *o) {
    const bt_method *method = *c->method.name ? bt_method_named(c->method.name)
                                              : NULL; /* an unknown one is reported when the model is made */
    if (method && c->run.best == BT_BEST_BINARY && !method->codes)
        return bt_options_error(o, "run.best", "%s makes no codes; allowed: auto, map_continuous, accuracy, loss",
                                method->name);
    if (method && c->run.best == BT_BEST_ACCURACY && method->codes)
        return bt_options_error(o, "run.best", "%s has no accuracy; allowed: auto, map_binary, map_continuous, loss",
                                method->name);
    if (!c->eval.batch && c->eval.every)
        return bt_options_error(o, "eval.every", "%d asks for scores, and eval.batch 0 switches them off",
                                c->eval.every);
    if (c->train.patience && !c->eval.every)
        return bt_options_error(o, "train.patience", "%d counts scores; set eval.every to the epochs between them",
                                c->train.patience);
    if (*c->run.start && *c->model.weights)
        return bt_options_error(o, "run.start",
                                "\"%s\" brings a tower, and so does model.weights \"%s\"; set one of them",
                                c->run.start, c->model.weights);
    return BT_OK;
}

static bt_status check_three(const bt_float_list *list, const bt_options *o, const char *path) {
    return list->count == 3 ? BT_OK
                            : bt_options_error(o, path, "%d numbers, expected 3: red, green, blue", list->count);
}

static bt_status check_pictures(const bt_run_config *c, const bt_options *o) {
    if (c->data.fill.count != 3)
        return bt_options_error(o, "data.fill", "%d numbers, expected 3: red, green, blue", c->data.fill.count);
    if (c->data.resize_mode == BT_RESIZE_SHORTEST && c->data.resize && c->data.resize < c->model.image)
        return bt_options_error(o, "data.resize",
                                "%d is below model.image %d: the shorter side must cover the square; "
                                "data.resize_mode longest, squash and none fill it up",
                                c->data.resize, c->model.image);
    return BT_OK;
}

bt_status bt_run_config_check(const bt_run_config *c, const bt_options *o) {
    BT_TRY(check_three(&c->model.mean, o, "model.mean"));
    BT_TRY(check_three(&c->model.std, o, "model.std"));
    BT_TRY(check_pictures(c, o));
    if (c->augment.scale_min > c->augment.scale_max)
        return bt_options_error(o, "augment.scale_min", "%g is above augment.scale_max %g", c->augment.scale_min,
                                c->augment.scale_max);
    if (c->augment.in_step && bt_run_config_cached(c))
        return bt_options_error(o, "augment.in_step",
                                "the steps are on embeddings (%s) and make no views; leave it out",
                                bt_run_config_stored(c) ? "data.root" : "train.cached_views");
    if (c->augment.blur_min > c->augment.blur_max)
        return bt_options_error(o, "augment.blur_min", "%g is above augment.blur_max %g", c->augment.blur_min,
                                c->augment.blur_max);
    if (strcmp(c->model.name, "custom") == 0 && !c->model.image && !bt_run_config_stored(c)) {
        if (*c->model.weights && !bt_file_exists(c->model.weights))
            return bt_options_error(o, "model.weights",
                                    "there is no %s; name the place where it is (model.weights=FILE)",
                                    c->model.weights);
        if (*c->model.weights)
            return bt_options_error(o, "model.weights",
                                    "%s does not describe its tower. Published weights are imported first (bittern "
                                    "import WEIGHTS --out MODEL.safetensors); else model.image, patch, width, depth, "
                                    "heads and mlp are given here",
                                    c->model.weights);
        return bt_options_error(o, "model.image", "a custom tower needs the size of its images, for example 224");
    }
    if (c->train.chunk > c->train.batch)
        return bt_options_error(o, "train.chunk", "%d is above train.batch %d", c->train.chunk, c->train.batch);
    if (strcmp(c->method.name, "classify") == 0 && c->method.views != 1)
        return bt_options_error(o, "method.views", "classify takes 1 view, found %d", c->method.views);
    BT_TRY(check_groups(c, o));
    BT_TRY(check_cached(c, o));
    return check_scores(c, o);
}

bt_status bt_run_config_json(const bt_options *o, bt_text *out) {
    bt_json_writer w = bt_json_write_to(out, true);
    bt_json_begin_object(&w);
    for (int i = 0; i < bt_options_count(o); i++) {
        bt_text value = {0};
        bt_options_write_value(o, i, &value);
        bt_json_member_string(&w, bt_options_path(o, i), bt_text_get(&value));
        bt_text_free(&value);
    }
    bt_json_end(&w);
    return bt_json_finish(&w);
}

bt_status bt_run_config_default_json(bt_text *out) {
    bt_run_config config = {.run = {.dir = NULL}};
    bt_options *options;
    BT_TRY(bt_options_new(&bt_run_config_table, &config, &options));
    bt_status status = bt_run_config_json(options, out);
    bt_options_free(options);
    return status;
}
