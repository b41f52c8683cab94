/* What training and evaluation both need. */
#include "train/setup.h"

#include "base/log.h"
#include "train/stored_data.h"

#include <string.h>

enum { CACHE_BATCH = 64 }; /* images that are encoded at a time for a cache, where there are no scores (eval.batch 0) */

static bt_dtype compute_of(const bt_run_config *c) {
    return c->run.dtype ? BT_BF16 : BT_F32;
}

static bt_status vit_of(const bt_run_config *c, bt_vit_config *vit) {
    *vit = (bt_vit_config){.depth = 0};
    if (bt_run_config_stored(c)) return bt_view_cache_width(c->data.root, &vit->width);
    if (strcmp(c->model.name, "custom") == 0) {
        *vit = (bt_vit_config){.image = c->model.image,
                               .patch = c->model.patch,
                               .width = c->model.width,
                               .depth = c->model.depth,
                               .heads = c->model.heads,
                               .mlp = c->model.mlp ? c->model.mlp : 4 * c->model.width,
                               .registers = c->model.registers,
                               .output = c->model.output,
                               .grid = c->model.grid,
                               .resampling = (bt_positions)c->model.resampling,
                               .activation = (bt_vit_activation)c->model.activation,
                               .positions = (bt_vit_positions)c->model.positions,
                               .rope_theta = (float)c->model.rope_theta,
                               .layer_scale = c->model.layer_scale,
                               .layer_scale_init = 1e-5f,
                               .pre_norm = c->model.pre_norm,
                               .no_patch_bias = !c->model.patch_bias,
                               .no_qkv_bias = !c->model.qkv_bias,
                               .no_key_bias = !c->model.key_bias,
                               .norm_eps = (float)c->model.norm_eps};
    } else if (!bt_vit_named(c->model.name, vit)) {
        return bt_error(BT_ERR_CONFIG,
                        "model.name \"%s\" is unknown; allowed: custom, vit_tiny_patch16_224, "
                        "vit_small_patch14_dinov2, ... (bittern inspect models)",
                        c->model.name);
    } else if (c->model.image) {
        vit->image = c->model.image;
    }
    for (int k = 0; k < 3; k++) {
        vit->mean[k] = c->model.mean.items[k];
        vit->std[k] = c->model.std.items[k];
    }
    return bt_vit_check(vit);
}

static double tower_decay(const bt_run_config *c) {
    double own = c->model.train_all ? c->optim.decay_tower : c->optim.decay_adapter;
    return own >= 0 ? own : c->optim.weight_decay;
}

bt_status bt_setup_model(bt_model *out, const bt_run_config *c, int classes, bool blank) {
    bt_vit_config vit;
    BT_TRY(vit_of(c, &vit));
    const bt_method *method = bt_method_named(c->method.name);
    if (!method) return BT_ERR_CONFIG;
    bt_method_config m = {.views = c->method.views,
                          .classes = classes,
                          .bits = c->method.bits,
                          .head = (bt_hashcoder_size)c->method.head,
                          .without_norm = !c->method.batch_norm,
                          .supervised = c->method.supervised,
                          .align_weight = (float)c->method.align_weight,
                          .rate_weight = (float)c->method.rate_weight,
                          .rate_eps = (float)c->method.rate_eps,
                          .own_decay = c->optim.decay_head >= 0,
                          .decay = (float)c->optim.decay_head};
    BT_TRY(method->check(&m, c->train.batch));
    bt_vit_training t = {
        .full = c->model.train_all,
        .lora = {.rank = c->adapter.rank, .alpha = (float)c->adapter.alpha, .dropout = (float)c->adapter.dropout},
        .decay = (float)tower_decay(c),
        .blank = blank,
        .seed = (uint64_t)c->run.seed};
    BT_TRY(bt_lora_parse_targets(c->adapter.targets, &t.lora.targets));
    if (t.full && t.lora.targets)
        return bt_error(BT_ERR_CONFIG,
                        "model.train_all trains the whole tower and adapter.targets is \"%s\"; set one of them "
                        "(adapter.targets: none)",
                        c->adapter.targets);
    bt_model_init(out, method, &m, &vit, &t, compute_of(c));
    if (c->train.ema > 0) bt_params_keep_average(out->store);
    return BT_OK;
}

static bt_augment augment_of(const bt_augment_section *a) {
    return (bt_augment){.scale = {a->scale_min, a->scale_max},
                        .ratio = {3.0 / 4, 4.0 / 3},
                        .flip = a->flip,
                        .filter = (bt_filter)a->interpolation,
                        .jitter = a->jitter,
                        .brightness = a->brightness,
                        .contrast = a->contrast,
                        .saturation = a->saturation,
                        .hue = a->hue,
                        .grey = a->grey,
                        .blur = a->blur,
                        .blur_radius = {a->blur_min, a->blur_max},
                        .solarize = a->solarize,
                        .solarize_threshold = a->solarize_threshold};
}

bt_status bt_setup_data(bt_dataset *out, const bt_run_config *c) {
    const bt_data_section *d = &c->data;
    if (bt_run_config_stored(c)) return bt_stored_data(c, -1, out);
    bt_dataset_options o = {.root = d->root,
                            .format = (bt_data_format)d->format,
                            .images = d->images,
                            .path = d->path,
                            .caption = d->caption,
                            .split = d->split,
                            .label = d->label,
                            .ranks = d->ranks,
                            .classes = d->classes};
    return bt_dataset_open(&o, out);
}

/** What the method needs of labels that the data do not give. */
static bt_status check_labels(const bt_setup *s) {
    const struct {
        const int64_t *samples;
        int64_t count;
    } lists[] = {{s->split.train, s->split.train_count}, {s->split.query, s->split.query_count}};
    int64_t none = 0, several = 0;
    if (!s->model.method->one_label) return BT_OK;
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < lists[k].count; i++) {
            int64_t sample = lists[k].samples[i], count = s->data.label_first[sample + 1] - s->data.label_first[sample];
            none += count == 0;
            several += count > 1;
        }
    }
    if (none + several == 0) return BT_OK;
    return bt_error(BT_ERR_CONFIG,
                    "method.name %s needs one label for each training and query image; of %lld in %s, %lld have none "
                    "and %lld several",
                    s->model.method->name, (long long)(s->split.train_count + s->split.query_count), s->data.name,
                    (long long)none, (long long)several);
}

static bt_status open_data(bt_setup *s, const bt_run_config *c) {
    bt_split_options split = {.seed = (uint64_t)c->data.split_seed,
                              .query = c->data.query,
                              .train = c->data.train,
                              .database = c->data.database};
    if (bt_run_config_stored(c)) {
        BT_TRY(bt_view_cache_open(c->data.root, &s->stored));
        BT_TRY(bt_stored_data(c, s->stored.count, &s->data));
        if (s->stored.views == 1 && c->method.views > 1)
            bt_log_warn("%s holds one view of each item: the %d views of a step are the same", c->data.root,
                        c->method.views);
    } else {
        BT_TRY(bt_setup_data(&s->data, c));
    }
    bt_dataset_warn(&s->data);
    if (!s->data.splits && (c->data.train == 0 || c->data.query == 0))
        return bt_error(
            BT_ERR_CONFIG,
            "%s names no splits, so data.train and data.query must say how many images of each class to draw",
            s->data.name);
    BT_TRY(bt_split_make(&s->data, &split, &s->split));
    if (s->split.train_count == 0 || s->split.query_count == 0 || s->split.database_count == 0)
        return bt_error(BT_ERR_CONFIG,
                        "%s: %lld training, %lld query and %lld database images%s; each split needs at least one",
                        s->data.name, (long long)s->split.train_count, (long long)s->split.query_count,
                        (long long)s->split.database_count, *c->data.classes ? " in the classes of data.classes" : "");
    if (s->split.database_is_train)
        bt_log_info("data: no image is in a database split; queries search the training images");
    return BT_OK;
}

bt_picture_rule bt_setup_pictures(const bt_run_config *c, int image) {
    bt_picture_rule r = {.mode = (bt_resize_mode)c->data.resize_mode,
                         .resize = c->data.resize ? c->data.resize : image,
                         .filter = (bt_filter)c->data.interpolation,
                         .center = (bt_center)c->data.center};
    for (int k = 0; k < 3; k++) r.fill[k] = (uint8_t)c->data.fill.items[k];
    return r;
}

bt_status bt_setup_open(bt_setup *out, const bt_run_config *c) {
    memset(out, 0, sizeof *out);
    bt_status status = open_data(out, c);
    if (status == BT_OK) status = bt_setup_model(&out->model, c, (int)out->data.class_count, false);
    if (status == BT_OK) status = check_labels(out);
    if (status == BT_OK) {
        const bt_backend *backend = bt_backend_named(c->run.device);
        status =
            backend ? backend->open(&(bt_device_options){.threads = c->run.threads}, &out->device) : BT_ERR_UNSUPPORTED;
    }
    if (status != BT_OK) {
        bt_setup_close(out);
        return status;
    }
    int size = out->model.vit.config.image;
    const bt_picture_rule rule = bt_setup_pictures(c, size);
    out->pictures = bt_picture_rule_at(&rule, size);
    bt_picture_rule_warn(&rule, &out->data);
    out->loader = (bt_loader_options){.set = &out->data,
                                      .device = out->device,
                                      .seed = (uint64_t)c->run.seed,
                                      .batch = c->train.batch,
                                      .size = size,
                                      .views = c->method.views,
                                      .sampler = {(bt_sampling)c->data.sampler, c->data.per_class, c->data.tail_power},
                                      .augment = augment_of(&c->augment),
                                      .preprocess = size ? &out->pictures : NULL,
                                      .filter = rule.filter,
                                      .pictures = c->augment.in_step,
                                      .drop_last = true,
                                      .skip_damaged = c->data.damaged == 1,
                                      .threads = c->data.loader_threads,
                                      .ahead = c->data.ahead,
                                      .image = {.orientation = (bt_orientation)c->data.orientation},
                                      .jpeg_scale = c->data.jpeg_scale,
                                      .cache_bytes = (size_t)c->data.cache_mb << 20};
    return BT_OK;
}

void bt_setup_close(bt_setup *s) {
    bt_model_release(&s->model);
    if (s->device) s->device->backend->close(s->device);
    bt_split_free(&s->split);
    bt_dataset_close(&s->data);
    bt_view_cache_close(&s->stored);
    memset(s, 0, sizeof *s);
}

bt_session_options bt_setup_session(const bt_run_config *c, bool training) {
    bool tower = c->model.train_all || strcmp(c->adapter.targets, "none") != 0;
    bt_session_options o = {.compute = compute_of(c),
                            .recompute = (bt_recompute)c->train.recompute,
                            .embed_batch = c->eval.batch,
                            .train_tower = tower,
                            .adamw = {c->optim.beta1, c->optim.beta2, c->optim.eps, (float)c->optim.clip}};
    if (bt_run_config_cached(c) && !o.embed_batch && training) o.embed_batch = CACHE_BATCH;
    if (training) {
        o.cached = bt_run_config_cached(c);
        o.average_decay = c->train.ema;
        o.batch = c->train.batch;
        o.chunk = c->train.chunk;
        o.pictures = c->augment.in_step;
        o.head_first = c->train.head_epochs > 0 && tower;
    }
    return o;
}
