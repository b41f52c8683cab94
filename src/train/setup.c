/* What training and evaluation both need. */
#include "train/setup.h"

#include "base/file.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

/** The newest checkpoint of a run behind its base weights, or one file. Heads of other methods are left out by name. */
static bt_status load_weights(const char *path, bt_params *store) {
    char file[1024], checkpoint[900];
    int frozen = 0, trained = 0;
    size_t length = strlen(path);
    bool one_file = length > 12 && strcmp(path + length - 12, ".safetensors") == 0;
    if (one_file) {
        BT_TRY(bt_weights_load(path, store, 1u, &frozen));
        bt_log_info("weights: %d tensors of the tower from %s", frozen, path);
        return BT_OK;
    }
    if (!bt_checkpoint_newest(path, checkpoint, sizeof checkpoint))
        return bt_error(BT_ERR_IO, "model.weights: %s is neither a .safetensors file nor a run with a checkpoint (train it first)", path);
    snprintf(file, sizeof file, "%s/model.safetensors", checkpoint);
    BT_TRY(bt_weights_load(file, store, 1u, &trained));
    bt_log_info("weights: %d tensors of the tower from %s", trained, file);
    return BT_OK;
}

static bt_dtype compute_of(const bt_run_config *c) { return c->run.dtype ? BT_BF16 : BT_F32; }

static bt_status vit_of(const bt_run_config *c, bt_vit_config *vit) {
    if (strcmp(c->model.name, "custom") == 0) {
        *vit = (bt_vit_config){.image = c->model.image, .patch = c->model.patch, .width = c->model.width, .depth = c->model.depth,
                               .heads = c->model.heads, .mlp = c->model.mlp ? c->model.mlp : 4 * c->model.width,
                               .registers = c->model.registers, .layer_scale = c->model.layer_scale, .layer_scale_init = 1e-5f,
                               .norm_eps = (float)c->model.norm_eps, .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}};
    } else if (!bt_vit_named(c->model.name, vit)) {
        return bt_error(BT_ERR_CONFIG, "model.name \"%s\" is unknown; allowed: custom, vit_tiny_patch16_224, vit_small_patch14_dinov2, ... (bittern inspect models)",
                        c->model.name);
    } else if (c->model.image) {
        vit->image = c->model.image;
    }
    return bt_vit_check(vit);
}

bt_status bt_setup_model(bt_model *out, const bt_run_config *c, int classes) {
    bt_vit_config vit;
    BT_TRY(vit_of(c, &vit));
    const bt_method *method = bt_method_named(c->method.name);
    if (!method) return BT_ERR_CONFIG;
    bt_method_config m = {.views = c->method.views, .classes = classes, .bits = c->method.bits,
                          .head = (bt_hashcoder_size)c->method.head, .supervised = c->method.supervised,
                          .align_weight = (float)c->method.align_weight, .rate_weight = (float)c->method.rate_weight,
                          .rate_eps = (float)c->method.rate_eps};
    BT_TRY(method->check(&m, c->train.batch));
    bt_vit_training t = {.full = c->model.train_all, .lora = {.rank = c->adapter.rank, .alpha = (float)c->adapter.alpha, .dropout = (float)c->adapter.dropout},
                         .decay = (float)c->optim.weight_decay, .seed = (uint64_t)c->run.seed};
    BT_TRY(bt_lora_parse_targets(c->adapter.targets, &t.lora.targets));
    if (t.full && t.lora.targets)
        return bt_error(BT_ERR_CONFIG, "model.train_all trains the whole tower and adapter.targets is \"%s\"; set one of them (adapter.targets: none)", c->adapter.targets);
    bt_model_init(out, method, &m, &vit, &t, compute_of(c));
    return BT_OK;
}

static bt_augment augment_of(const bt_augment_section *a) {
    return (bt_augment){.scale = {a->scale_min, a->scale_max}, .ratio = {3.0 / 4, 4.0 / 3}, .flip = a->flip, .filter = (bt_filter)a->interpolation,
                        .jitter = a->jitter, .brightness = a->brightness, .contrast = a->contrast, .saturation = a->saturation, .hue = a->hue,
                        .grey = a->grey, .blur = a->blur, .blur_radius = {a->blur_min, a->blur_max}, .solarize = a->solarize,
                        .solarize_threshold = a->solarize_threshold};
}

bt_status bt_setup_open(bt_setup *out, const bt_run_config *c) {
    memset(out, 0, sizeof *out);
    bt_status status = bt_image_folder_open(c->data.root, &out->folder);
    bt_split_options split = {.seed = (uint64_t)c->data.split_seed, .query = c->data.query, .train = c->data.train, .database = c->data.database};
    if (status == BT_OK) {
        bt_image_folder_warn(&out->folder);
        status = bt_split_draw(&out->folder, &split, &out->split);
    }
    if (status == BT_OK) status = bt_setup_model(&out->model, c, (int)out->folder.class_count);
    if (status == BT_OK && *c->model.weights) status = load_weights(c->model.weights, out->model.store);
    if (status == BT_OK) {
        const bt_backend *backend = bt_backend_named(c->run.device);
        status = backend ? backend->open(&(bt_device_options){.threads = c->run.threads}, &out->device) : BT_ERR_UNSUPPORTED;
    }
    if (status != BT_OK) {
        bt_setup_close(out);
        return status;
    }
    int size = out->model.vit.config.image;
    out->loader = (bt_loader_options){.folder = &out->folder, .seed = (uint64_t)c->run.seed, .batch = c->train.batch, .size = size,
                                      .views = c->method.views, .augment = augment_of(&c->augment),
                                      .resize = c->data.resize ? c->data.resize : size, .filter = (bt_filter)c->data.interpolation, .drop_last = true, .skip_damaged = c->data.damaged == 1,
                                      .threads = c->data.loader_threads, .ahead = c->data.ahead, .cache_bytes = (size_t)c->data.cache_mb << 20};
    return BT_OK;
}

void bt_setup_close(bt_setup *s) {
    bt_model_release(&s->model);
    if (s->device) s->device->backend->close(s->device);
    bt_split_free(&s->split);
    bt_image_folder_free(&s->folder);
    memset(s, 0, sizeof *s);
}

bt_session_options bt_setup_session(const bt_run_config *c, bool training) {
    bool tower = c->model.train_all || strcmp(c->adapter.targets, "none") != 0;
    bt_session_options o = {.compute = compute_of(c), .recompute = (bt_recompute)c->train.recompute, .embed_batch = c->eval.batch,
                            .train_tower = tower,
                            .adamw = {c->optim.beta1, c->optim.beta2, c->optim.eps, (float)c->optim.clip}};
    if (training) {
        o.batch = c->train.batch;
        o.chunk = c->train.chunk;
        o.head_first = c->train.head_epochs > 0 && tower;
    }
    return o;
}
