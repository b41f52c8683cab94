/* Opening runs and exported files. */
#include "encoder/model_open.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/memory.h"
#include "formats/config.h"
#include "train/checkpoint.h"
#include "train/setup.h"

#include <bittern/safetensors.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 1200 };

static bool is_file(const char *path) {
    size_t length = strlen(path);
    return length > 12 && strcmp(path + length - 12, ".safetensors") == 0;
}

/* ---- tensors ---- */

/** Where tensors are looked for, in this order. */
typedef struct tensor_files {
    bt_safetensors *file[2];
    const char *path[2];
    int count;
} tensor_files;

static bt_status add_file(tensor_files *f, const char *path) {
    BT_TRY(bt_safetensors_open(path, &f->file[f->count]));
    f->path[f->count++] = path;
    return BT_OK;
}

static void close_files(tensor_files *f) {
    for (int i = 0; i < f->count; i++) bt_safetensors_close(f->file[i]);
}

/** Whether the files hold as many elements as the description says: before memory is asked for on its word. */
static bt_status check_elements(const tensor_files *f, const bt_model_info *info) {
    double have = 0, need = bt_model_info_elements(info);
    for (int i = 0; i < f->count; i++)
        for (int64_t k = 0; k < bt_safetensors_count(f->file[i]); k++)
            have += (double)bt_safetensors_at(f->file[i], k)->count;
    if (have >= need) return BT_OK;
    return bt_error(BT_ERR_FORMAT, "%s%s%s: the description needs at least %.0f elements, there are %.0f", f->path[0],
                    f->count > 1 ? " and " : "", f->count > 1 ? f->path[1] : "", need, have);
}

/* ---- checksums ---- */

static bool of_tower(const char *name) {
    return strncmp(name, "hashcoder.", 10) != 0 && strncmp(name, "head.", 5) != 0 && !strstr(name, ".lora_");
}

/** Goes on over one parameter's name and values. */
static uint32_t add_crc(uint32_t crc, const bt_param_spec *spec, const float *values) {
    crc = bt_crc32c(crc, spec->name, strlen(spec->name));
    return bt_crc32c(crc, values, (size_t)bt_shape_count(spec->shape) * sizeof *values);
}

uint32_t bt_model_tower_crc(const bt_model *m) {
    uint32_t crc = 0;
    for (int i = 0; i < bt_params_count(m->store); i++) {
        const bt_param_spec *spec = bt_params_spec(m->store, i);
        if (of_tower(spec->name) && spec->kind != BT_PARAM_CONSTANT)
            crc = add_crc(crc, spec, bt_params_host(m->store, i));
    }
    return crc;
}

/* ---- values ---- */

/** Reads parameters in order, and sums them up as it goes. */
typedef struct value_reader {
    const tensor_files *files;
    const bt_params *store;
    uint32_t crc, tower_crc; /* of the parameters so far */
} value_reader;

/** A bt_param_source. The file's pages are given back behind it: the values are somewhere else then. */
static bt_status read_values(void *context, int index, float *values) {
    value_reader *r = context;
    const tensor_files *f = r->files;
    const bt_param_spec *spec = bt_params_spec(r->store, index);
    const bt_safetensors_entry *e = NULL;
    int at = 0;
    for (int k = 0; !e && k < f->count; k++) e = bt_safetensors_find(f->file[at = k], spec->name);
    char wanted[64], found[64];
    bt_shape_text(spec->shape, wanted, sizeof wanted);
    if (!e)
        return bt_error(BT_ERR_FORMAT, "%s%s%s: tensor \"%s\" %s is missing", f->path[0], f->count > 1 ? " and " : "",
                        f->count > 1 ? f->path[1] : "", spec->name, wanted);
    bt_shape shape = bt_shape_of(e->rank <= BT_MAX_RANK ? e->rank : 0, e->dim);
    if (!bt_shape_equal(shape, spec->shape))
        return bt_error(BT_ERR_FORMAT, "%s: tensor \"%s\" has shape %s, the model has %s", f->path[at], spec->name,
                        bt_shape_text(shape, found, sizeof found), wanted);
    bt_status status = bt_safetensors_to_f32(e, values);
    if (status != BT_OK) return bt_error_prefix(status, "%s: tensor \"%s\"", f->path[at], spec->name);
    bt_file_map_forget(e->data, e->bytes);
    r->crc = add_crc(r->crc, spec, values);
    if (of_tower(spec->name)) r->tower_crc = add_crc(r->tower_crc, spec, values);
    return BT_OK;
}

/** Where the values of an opened model go: to the host copies of its store, or (device) to the device at once. */
typedef struct value_target {
    bt_device *device; /* NULL: host */
    uint32_t crc, tower_crc;
} value_target;

static bt_status take_values(const tensor_files *files, bt_params *store, value_target *to) {
    value_reader r = {.files = files, .store = store};
    if (to->device)
        BT_TRY(bt_params_commit_from(store, to->device, read_values, &r));
    else
        for (int i = 0; i < bt_params_count(store); i++)
            if (bt_params_spec(store, i)->kind != BT_PARAM_CONSTANT)
                BT_TRY(read_values(&r, i, bt_params_host(store, i)));
    to->crc = r.crc;
    to->tower_crc = r.tower_crc;
    return BT_OK;
}

/* ---- runs ---- */

/** Classes of a run whose method has a head.weight (classes, width). */
static int classes_of(const tensor_files *f) {
    const bt_safetensors_entry *e = bt_safetensors_find(f->file[0], "head.weight");
    return e && e->rank == 2 && e->dim[0] > 0 && e->dim[0] <= 1 << 24 ? (int)e->dim[0] : 0;
}

static bt_status declare_run(const bt_run_config *config, const tensor_files *files, bt_dtype compute,
                             bt_model_info *info, bt_model *model) {
    bt_run_config c = *config;
    c.model.train_all = false; /* all values come from files: nothing is trained, and nothing has moments */
    c.run.dtype = compute == BT_BF16;
    c.train.ema = 0; /* nor averages: they are in the files in the weights' place */
    BT_TRY(bt_setup_model(model, &c, classes_of(files), true));
    if (!bt_model_has_tower(model))
        return bt_error(
            BT_ERR_UNSUPPORTED,
            "the run was trained on stored embeddings (data.root %s): it has a head, but no tower that encodes images",
            c.data.root);
    info->vit = model->vit.config;
    info->method = model->method;
    info->config = model->config;
    info->lora = (bt_lora_config){.rank = c.adapter.rank, .alpha = (float)c.adapter.alpha};
    BT_TRY(bt_lora_parse_targets(c.adapter.targets, &info->lora.targets));
    info->pictures = bt_setup_pictures(&c, info->vit.image);
    info->orientation = (bt_orientation)c.data.orientation;
    snprintf(info->tower, sizeof info->tower, "%s", c.model.name);
    snprintf(info->targets, sizeof info->targets, "%s", c.adapter.targets);
    return BT_OK;
}

static bt_status open_run(const bt_model_source *s, bt_dtype compute, bt_model_info *info, bt_model *model,
                          value_target *to) {
    char checkpoint[PATH_BYTES], path[4][PATH_BYTES + 40];
    BT_TRY(bt_checkpoint_find(s->path, s->checkpoint ? s->checkpoint : "last", checkpoint, sizeof checkpoint));
    snprintf(path[1], sizeof path[1], "%s/base.safetensors", s->path);
    snprintf(path[2], sizeof path[2], "%s/config.yaml", s->path);
    bt_train_state state;
    char *config_text;
    BT_TRY(bt_checkpoint_state(checkpoint, &state, &config_text));
    bt_memory_free(config_text);
    info->step = state.step;
    bt_run_config config;
    bt_options *options = NULL;
    tensor_files files = {.count = 0};
    bt_status status = bt_config_load(&bt_run_config_table, &config, path[2], NULL, 0, &options);
    if (status == BT_OK) status = bt_run_config_check(&config, options);
    if (status == BT_OK) { /* a run that keeps moving averages is judged by them */
        snprintf(path[0], sizeof path[0], "%s/%s.safetensors", checkpoint, config.train.ema > 0 ? "average" : "model");
        status = add_file(&files, path[0]);
    }
    if (status == BT_OK && bt_file_exists(path[1])) status = add_file(&files, path[1]);
    if (status == BT_OK) status = declare_run(&config, &files, compute, info, model);
    if (status == BT_OK) status = take_values(&files, model->store, to);
    close_files(&files);
    bt_options_free(options);
    return status;
}

/* ---- exported files ---- */

static bt_status read_info(const bt_safetensors *file, const char *path, bt_model_info *info) {
    char name[PATH_BYTES + 64];
    const char *json = bt_safetensors_metadata(file, BT_MODEL_INFO_KEY);
    if (!json)
        return bt_error(
            BT_ERR_FORMAT,
            "%s: no description under \"%s\" of its metadata: it was written neither by bittern export nor by "
            "bittern import. A published tower is imported first (bittern import %s --out "
            "MODEL.safetensors)",
            path, BT_MODEL_INFO_KEY, path);
    snprintf(name, sizeof name, "%s: metadata \"%s\"", path, BT_MODEL_INFO_KEY);
    return bt_model_info_read(json, name, info);
}

static bt_status declare_file(const bt_model_info *info, bt_dtype compute, bt_model *model) {
    bt_vit_training training = {.lora = info->lora, .blank = true};
    if (info->method == &bt_method_features) {
        bt_model_init(model, info->method, &info->config, &info->vit, &training, compute);
        return BT_OK;
    }
    BT_TRY(info->method->check(&(bt_method_config){.views = info->method->codes ? 2 : 1,
                                                   .classes = info->config.classes,
                                                   .bits = info->config.bits,
                                                   .rate_eps = 1},
                               2));
    bt_model_init(model, info->method, &info->config, &info->vit, &training, compute);
    return BT_OK;
}

/** The tower of an adapter file; `room` receives a path that is made here. */
static bt_status add_base(tensor_files *files, const bt_model_source *s, char *room, size_t room_bytes) {
    if (!s->base || !*s->base)
        return bt_error(
            BT_ERR_USAGE,
            "%s has adapters and a head alone; name the tower's weights too (--base RUN or FILE.safetensors)", s->path);
    snprintf(room, room_bytes, "%s%s", s->base, is_file(s->base) ? "" : "/base.safetensors");
    return add_file(files, room);
}

/** A base that nothing is taken from would be passed over in silence. */
static bt_status refuse_base(const bt_model_source *s, const char *what) {
    if (!s->base || !*s->base) return BT_OK;
    return bt_error(BT_ERR_USAGE, "%s is %s, with a tower of its own: leave out --base, which is for adapter files",
                    s->path, what);
}

/** Another size than the file's: positions are resampled, or rotary. */
static bt_status choose_image(const bt_model_source *s, bt_model_info *info) {
    if (!info->vit.grid) info->vit.grid = info->vit.image / info->vit.patch;
    info->pictures.resize = bt_picture_rule_scale(info->pictures.resize, info->vit.image, s->image);
    if (info->pictures.resize < 1) info->pictures.resize = 1;
    info->vit.image = s->image;
    bt_status status = bt_vit_check(&info->vit);
    return status == BT_OK ? BT_OK : bt_error_prefix(status, "%s", s->path);
}

static bt_status open_file(const bt_model_source *s, bt_dtype compute, bt_model_info *info, bt_model *model,
                           value_target *to) {
    char base[PATH_BYTES];
    tensor_files files = {.count = 0};
    bt_status status = add_file(&files, s->path);
    if (status == BT_OK) status = read_info(files.file[0], s->path, info);
    if (status == BT_OK && info->adapter_file) status = add_base(&files, s, base, sizeof base);
    if (status == BT_OK && !info->adapter_file) status = refuse_base(s, "a whole model");
    if (status == BT_OK) status = check_elements(&files, info);
    if (status == BT_OK && s->image) status = choose_image(s, info);
    if (status == BT_OK) status = declare_file(info, compute, model);
    if (status == BT_OK) status = take_values(&files, model->store, to);
    if (status == BT_OK && info->adapter_file && to->tower_crc != info->tower_crc)
        status = bt_error(
            BT_ERR_FORMAT,
            "%s: its tower is not the one that the adapters of %s were trained on (CRC-32C %08x, expected %08x)", base,
            s->path, (unsigned)to->tower_crc, (unsigned)info->tower_crc);
    close_files(&files);
    return status;
}

static bt_status open_to(const bt_model_source *source, bt_dtype compute, bt_model_info *info, bt_model *model,
                         value_target *to) {
    size_t length = strlen(source->path);
    bool one_file = is_file(source->path);
    bt_model_info described = {.targets = "none", .lora.rank = 1};
    bt_model made = {.store = NULL};
    if (length >= PATH_BYTES - 64)
        return bt_error(BT_ERR_IO, "the path of the model has over %d bytes", PATH_BYTES - 64);
    char config[PATH_BYTES + 16];
    snprintf(config, sizeof config, "%s/config.yaml", source->path);
    if (!bt_file_exists(source->path)) return bt_file_error("open", source->path, ENOENT);
    if (!one_file && !bt_file_exists(config))
        return bt_error(
            BT_ERR_IO,
            "%s is neither a run's folder (no config.yaml in it) nor a .safetensors file; published weights "
            "and adapters of peft become one by bittern import",
            source->path);
    if (one_file && source->checkpoint && strcmp(source->checkpoint, "last") != 0)
        return bt_error(BT_ERR_USAGE, "checkpoint \"%s\": %s is one file; checkpoints are chosen of a run",
                        source->checkpoint, source->path);
    if (!one_file && source->image)
        return bt_error(BT_ERR_USAGE,
                        "another size of pictures (%d): %s is a run; write it to a file first (bittern export %s "
                        "MODEL.safetensors), whose size can be chosen",
                        source->image, source->path, source->path);
    if (!one_file) BT_TRY(refuse_base(source, "a run"));
    bt_status status =
        one_file ? open_file(source, compute, &described, &made, to) : open_run(source, compute, &described, &made, to);
    if (status != BT_OK) {
        bt_model_release(&made);
        return status;
    }
    *info = described;
    *model = made;
    return BT_OK;
}

bt_status bt_model_open(const bt_model_source *source, bt_dtype compute, bt_model_info *info, bt_model *model) {
    value_target host = {.device = NULL};
    return open_to(source, compute, info, model, &host);
}

bt_status bt_model_load(const bt_model_source *source, bt_dtype compute, bt_device *device, bt_model_info *info,
                        bt_model *model, uint32_t *crc) {
    value_target to = {.device = device};
    BT_TRY(open_to(source, compute, info, model, &to));
    *crc = to.crc;
    return BT_OK;
}
