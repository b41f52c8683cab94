/* Checkpoints: writing, finding, reading. */
#include "train/checkpoint.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/memory.h"
#include "formats/json.h"

#include <bittern/safetensors.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1200, FILE_BYTES = PATH_BYTES + 64, FORMAT_VERSION = 2 };

static bool is_trained(const bt_param_spec *s) {
    return s->trainable || s->kind == BT_PARAM_BUFFER;
}

/* ---- writing ---- */

typedef struct slot_source {
    bt_params *store;
    int index;
    bt_param_slot slot;
} slot_source;

static bt_status fetch_slot(void *context, void *buffer, size_t bytes) {
    const slot_source *s = context;
    (void)bytes;
    return bt_params_read(s->store, s->index, s->slot, buffer);
}

/** Names, shapes and contexts of the tensors to write; one allocation each. */
typedef struct source_list {
    bt_safetensors_source *source;
    slot_source *context;
    char (*name)[160];
    int64_t count;
} source_list;

static bt_status make_list(source_list *l, int room) {
    l->source = bt_memory_zeroed((size_t)room, sizeof *l->source);
    l->context = bt_memory_zeroed((size_t)room, sizeof *l->context);
    l->name = bt_memory_zeroed((size_t)room, sizeof *l->name);
    l->count = 0;
    return l->source && l->context && l->name ? BT_OK : BT_ERR_MEMORY;
}

static void free_list(source_list *l) {
    bt_memory_free(l->source);
    bt_memory_free(l->context);
    bt_memory_free(l->name);
}

static void add_source(source_list *l, bt_params *store, int index, bt_param_slot slot, const char *prefix,
                       const float *host) {
    const bt_param_spec *spec = bt_params_spec(store, index);
    snprintf(l->name[l->count], sizeof l->name[0], "%s%s", prefix, spec->name);
    l->context[l->count] = (slot_source){store, index, slot};
    bt_safetensors_source *s = &l->source[l->count];
    *s = (bt_safetensors_source){.name = l->name[l->count], .dtype = BT_FILE_F32, .rank = spec->shape.rank};
    for (int i = 0; i < spec->shape.rank; i++) s->dim[i] = spec->shape.dim[i];
    if (host) {
        s->data = host;
    } else {
        s->fetch = fetch_slot;
        s->context = &l->context[l->count];
    }
    l->count++;
}

static bt_status write_list(const char *folder, const char *name, const source_list *l) {
    char path[FILE_BYTES];
    snprintf(path, sizeof path, "%s/%s.safetensors", folder, name);
    return bt_safetensors_write(path, l->source, l->count, NULL, 0);
}

/** From host memory: the frozen parameters, or the others. */
static bt_status save_host(const char *run, const char *name, bt_params *store, bool others) {
    source_list l;
    bt_status status = make_list(&l, bt_params_count(store) + 1);
    for (int i = 0; status == BT_OK && i < bt_params_count(store); i++)
        if (is_trained(bt_params_spec(store, i)) == others && bt_params_spec(store, i)->kind != BT_PARAM_CONSTANT)
            add_source(&l, store, i, BT_SLOT_VALUE, "", bt_params_host(store, i));
    if (status == BT_OK && l.count) status = write_list(run, name, &l);
    free_list(&l);
    return status;
}

bt_status bt_base_save(const char *run, bt_params *store, bool started) {
    BT_TRY(save_host(run, "base", store, false));
    return started ? save_host(run, "start", store, true) : BT_OK;
}

/** Frozen, and not made by the model itself: what base.safetensors holds. */
static bool is_base(const bt_param_spec *spec) {
    return !is_trained(spec) && spec->kind != BT_PARAM_CONSTANT;
}

static bool has_base(const bt_params *store) {
    for (int i = 0; i < bt_params_count(store); i++)
        if (is_base(bt_params_spec(store, i))) return true;
    return false;
}

bool bt_base_crc(bt_params *store, uint32_t *out) {
    uint32_t crc = 0;
    for (int i = 0; i < bt_params_count(store); i++) {
        const bt_param_spec *spec = bt_params_spec(store, i);
        if (!is_base(spec)) continue;
        crc = bt_crc32c(crc, spec->name, strlen(spec->name));
        crc = bt_crc32c(crc, bt_params_host(store, i), (size_t)bt_shape_count(spec->shape) * sizeof(float));
    }
    *out = crc;
    return has_base(store);
}

/** One file: a slot of everything trained, and of buffers too if they have it; or both Adam moments. */
static bt_status write_slot(const char *folder, const char *name, bt_params *store, bt_param_slot slot) {
    source_list l = {0};
    int count = bt_params_count(store);
    bt_status status = make_list(&l, 2 * count + 1);
    for (int i = 0; status == BT_OK && i < count; i++) {
        const bt_param_spec *spec = bt_params_spec(store, i);
        if (!is_trained(spec)) continue;
        if (slot != BT_SLOT_ADAM_M) {
            add_source(&l, store, i, slot, "", NULL);
        } else if (spec->kind != BT_PARAM_BUFFER) {
            add_source(&l, store, i, BT_SLOT_ADAM_M, "m/", NULL);
            add_source(&l, store, i, BT_SLOT_ADAM_V, "v/", NULL);
        }
    }
    if (status == BT_OK) status = write_list(folder, name, &l);
    free_list(&l);
    return status;
}

static bt_status write_tensors(const char *folder, bt_params *store) {
    BT_TRY(write_slot(folder, "model", store, BT_SLOT_VALUE));
    if (bt_params_has_average(store)) BT_TRY(write_slot(folder, "average", store, BT_SLOT_AVERAGE));
    return write_slot(folder, "optim", store, BT_SLOT_ADAM_M);
}

static bt_status write_state(const char *folder, const bt_train_state *state, const char *config) {
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "format", "bittern checkpoint");
    bt_json_member_integer(&w, "version", FORMAT_VERSION);
    bt_json_member_integer(&w, "step", state->step);
    bt_json_member_integer(&w, "epoch", state->epoch);
    bt_json_member_integer(&w, "batch", state->batch);
    bt_json_member_number(&w, "seconds", state->seconds);
    bt_json_member_number(&w, "loss_sum", state->loss_sum);
    bt_json_member_integer(&w, "loss_count", state->loss_count);
    bt_json_key(&w, "updates");
    bt_json_begin_array(&w);
    for (int g = 0; g < BT_GROUPS; g++) bt_json_put_integer(&w, state->updates[g]);
    bt_json_end(&w);
    if (state->has_base) bt_json_member_integer(&w, "base_crc32c", state->base_crc);
    bt_json_member_string(&w, "config", config);
    bt_json_end(&w);
    bt_status status = bt_json_finish(&w);
    char path[FILE_BYTES];
    snprintf(path, sizeof path, "%s/state.json", folder);
    if (status == BT_OK) status = bt_file_write(path, bt_text_get(&text), strlen(bt_text_get(&text)));
    bt_text_free(&text);
    return status;
}

/** Removes a checkpoint's folder with whatever files are in it: a killed writer leaves temporary names too. */
static void remove_folder(const char *path) {
    char file[PATH_BYTES + 400];
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if ((size_t)snprintf(file, sizeof file, "%s/%s", path, e->d_name) < sizeof file) unlink(file);
    }
    if (d) closedir(d);
    rmdir(path);
}

/* ---- finding ---- */

static bool checkpoint_step(const char *name, long long *step) {
    char tail;
    return sscanf(name, "step_%8lld%c", step, &tail) == 1;
}

static void folder_of(const char *run, long long step, char path[PATH_BYTES]) {
    snprintf(path, PATH_BYTES, "%s/checkpoints/step_%08lld", run, step);
}

bool bt_checkpoint_exists(const char *run, int64_t step) {
    char path[PATH_BYTES];
    folder_of(run, step, path);
    return bt_file_exists(path);
}

/** The step that a link names; -1 if it is not there. */
static long long step_of_link(const char *run, const char *link) {
    char path[PATH_BYTES], target[64];
    snprintf(path, sizeof path, "%s/checkpoints/%s", run, link);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0) return -1;
    target[length] = 0;
    long long step;
    return checkpoint_step(target, &step) ? step : -1;
}

bt_status bt_checkpoint_point(const char *run, const char *link, int64_t step) {
    char path[PATH_BYTES], temporary[PATH_BYTES + 32], target[32];
    if (step_of_link(run, link) == step) return BT_OK;
    snprintf(path, sizeof path, "%s/checkpoints/%s", run, link);
    snprintf(temporary, sizeof temporary, "%s.partial-%ld", path, (long)getpid());
    snprintf(target, sizeof target, "step_%08lld", (long long)step);
    unlink(temporary); /* left by a killed process of the same id */
    if (symlink(target, temporary) != 0) return bt_file_error("make the link", path, errno);
    if (rename(temporary, path) == 0) return BT_OK;
    bt_status status = bt_file_error("replace the link", path, errno);
    unlink(temporary);
    return status;
}

/** What a killed process left: a folder with its files, or a link. */
static void remove_partial(const char *path) {
    if (unlink(path) != 0) remove_folder(path);
}

void bt_checkpoint_rotate(const char *run, int keep) {
    char folder[PATH_BYTES], path[PATH_BYTES + 300];
    snprintf(folder, sizeof folder, "%s/checkpoints", run);
    struct dirent **names;
    long long best = step_of_link(run, "best");
    int count = scandir(folder, &names, NULL, alphasort), complete = 0;
    for (int i = count - 1; i >= 0; i--) {
        long long step;
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (strstr(names[i]->d_name, ".partial-"))
            remove_partial(path);
        else if (checkpoint_step(names[i]->d_name, &step) && ++complete > keep && keep > 0 && step != best)
            remove_folder(path);
        free(names[i]);
    }
    if (count >= 0) free(names);
}

/** BT_ERR_IO: the checkpoint is not there; these are. */
static bt_status not_found(const char *run, const char *which) {
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s/checkpoints", run);
    struct dirent **names;
    bt_text list = {0};
    int count = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        long long step;
        if (checkpoint_step(names[i]->d_name, &step))
            bt_text_append(&list, "%s%lld", bt_text_get(&list)[0] ? ", " : "", step);
        free(names[i]);
    }
    if (count >= 0) free(names);
    const char *steps = bt_text_get(&list);
    bt_status status = bt_error(
        BT_ERR_IO, "%s has no checkpoint \"%s\"; %s%s", run, which,
        *steps ? "there are last, best (once there are scores) and steps " : "there is none: train it first", steps);
    bt_text_free(&list);
    return status;
}

bt_status bt_checkpoint_find(const char *run, const char *which, char *path, size_t path_bytes) {
    if (strcmp(which, "last") == 0) return bt_checkpoint_newest(run, path, path_bytes) ? BT_OK : not_found(run, which);
    char *end;
    long long step = strcmp(which, "best") == 0 ? step_of_link(run, "best") : strtoll(which, &end, 10);
    bool number = strcmp(which, "best") == 0 || (*which >= '0' && *which <= '9' && !*end);
    if (!number || step < 0 || !bt_checkpoint_exists(run, step)) return not_found(run, which);
    return (size_t)snprintf(path, path_bytes, "%s/checkpoints/step_%08lld", run, step) < path_bytes
               ? BT_OK
               : not_found(run, which);
}

bool bt_checkpoint_newest(const char *run, char *path, size_t path_bytes) {
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s/checkpoints", run);
    DIR *d = opendir(folder);
    long long best = -1, step;
    for (struct dirent *e; d && (e = readdir(d));)
        if (checkpoint_step(e->d_name, &step) && step > best) best = step;
    if (d) closedir(d);
    return best >= 0 && (size_t)snprintf(path, path_bytes, "%s/step_%08lld", folder, best) < path_bytes;
}

bt_status bt_checkpoint_save(const char *run, bt_params *store, const bt_train_state *state, const char *config,
                             int keep) {
    char final[PATH_BYTES], partial[PATH_BYTES + 32], parent[PATH_BYTES];
    snprintf(parent, sizeof parent, "%s/checkpoints", run);
    folder_of(run, state->step, final);
    snprintf(partial, sizeof partial, "%s.partial-%ld", final, (long)getpid());
    struct stat there;
    if (stat(final, &there) == 0)
        return bt_checkpoint_point(run, "last", state->step); /* an interrupt right after a checkpoint */
    bt_status status = bt_file_make_folders(partial);
    if (status == BT_OK) status = write_tensors(partial, store);
    if (status == BT_OK) status = write_state(partial, state, config);
    if (status == BT_OK) status = bt_file_sync_folder(partial);
    if (status == BT_OK && rename(partial, final) != 0) status = bt_file_error("rename", partial, errno);
    if (status == BT_OK) status = bt_checkpoint_point(run, "last", state->step);
    if (status == BT_OK) status = bt_file_sync_folder(parent);
    if (status != BT_OK) {
        remove_folder(partial);
        return bt_error_prefix(status, "step %lld: the checkpoint was not saved; earlier ones are intact",
                               (long long)state->step);
    }
    bt_checkpoint_rotate(run, keep);
    return BT_OK;
}

/* ---- reading ---- */

bt_status bt_checkpoint_state(const char *checkpoint, bt_train_state *state, char **config) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/state.json", checkpoint);
    bt_json *json;
    BT_TRY(bt_json_read(path, &json));
    const bt_json_value *root = bt_json_root(json), *updates = NULL;
    const char *text = NULL;
    int64_t version;
    bt_train_state s = {0};
    bt_status status = bt_json_get_integer(root, "version", 1, INT64_MAX, &version);
    if (status == BT_OK && version != FORMAT_VERSION)
        status = bt_error(BT_ERR_FORMAT, "%s: checkpoint version %lld; this program reads %d", path, (long long)version,
                          FORMAT_VERSION);
    if (status == BT_OK) status = bt_json_get_integer(root, "step", 0, INT64_MAX, &s.step);
    if (status == BT_OK) status = bt_json_get_integer(root, "epoch", 0, INT64_MAX, &s.epoch);
    if (status == BT_OK) status = bt_json_get_integer(root, "batch", 0, INT64_MAX, &s.batch);
    if (status == BT_OK) status = bt_json_get_number(root, "seconds", &s.seconds);
    if (status == BT_OK) status = bt_json_get_number(root, "loss_sum", &s.loss_sum);
    if (status == BT_OK) status = bt_json_get_integer(root, "loss_count", 0, INT64_MAX, &s.loss_count);
    if (status == BT_OK) status = bt_json_get_string(root, "config", &text);
    if (status == BT_OK) status = bt_json_get(root, "updates", BT_JSON_ARRAY, &updates);
    for (int g = 0; status == BT_OK && g < BT_GROUPS; g++) {
        const bt_json_value *v;
        status = bt_json_at(updates, (size_t)g, &v);
        if (status == BT_OK) status = bt_json_as_integer(v, 0, INT64_MAX, &s.updates[g]);
    }
    int64_t crc = 0;
    s.has_base = status == BT_OK && bt_json_find(root, "base_crc32c");
    if (s.has_base) status = bt_json_get_integer(root, "base_crc32c", 0, UINT32_MAX, &crc);
    s.base_crc = (uint32_t)crc;
    char *copy = status == BT_OK ? bt_memory_copy_text(text) : NULL;
    if (status == BT_OK && !copy) status = BT_ERR_MEMORY;
    bt_json_free(json);
    if (status != BT_OK) return status;
    *state = s;
    *config = copy;
    return BT_OK;
}

/** The entry `name` of a file with the parameter's shape. */
static bt_status find_entry(const bt_safetensors *file, const char *path, const char *name, const bt_param_spec *spec,
                            const bt_safetensors_entry **out) {
    const bt_safetensors_entry *e = bt_safetensors_find(file, name);
    char wanted[64], found[64];
    bt_shape_text(spec->shape, wanted, sizeof wanted);
    if (!e) return bt_error(BT_ERR_FORMAT, "%s: tensor \"%s\" %s is missing", path, name, wanted);
    bt_shape shape = bt_shape_of(e->rank <= BT_MAX_RANK ? e->rank : 0, e->dim);
    if (!bt_shape_equal(shape, spec->shape))
        return bt_error(BT_ERR_FORMAT, "%s: tensor \"%s\" has shape %s, the model has %s", path, name,
                        bt_shape_text(shape, found, sizeof found), wanted);
    *out = e;
    return BT_OK;
}

bt_status bt_weights_load(const char *path, bt_params *store, unsigned mask, int *count) {
    bt_safetensors *file;
    BT_TRY(bt_safetensors_open(path, &file));
    *count = 0;
    bt_status status = BT_OK;
    for (int i = 0; status == BT_OK && i < bt_params_count(store); i++) {
        const bt_param_spec *spec = bt_params_spec(store, i);
        const bt_safetensors_entry *e;
        if (!(mask & (is_trained(spec) ? 2u : 1u)) || spec->kind == BT_PARAM_CONSTANT) continue;
        status = find_entry(file, path, spec->name, spec, &e);
        if (status == BT_OK) status = bt_safetensors_to_f32(e, bt_params_host(store, i));
        *count += status == BT_OK;
    }
    bt_safetensors_close(file);
    return status;
}

/** The frozen weights of a run. A model must not go on with the initial values of what it was trained on. */
static bt_status load_base(const char *run, const char *checkpoint, bt_params *store) {
    char file[FILE_BYTES], sum[64] = "", *config = NULL;
    bt_train_state state = {.has_base = false};
    uint32_t crc;
    int count;
    if (!has_base(store)) return BT_OK;
    if (checkpoint) BT_TRY(bt_checkpoint_state(checkpoint, &state, &config));
    bt_memory_free(config);
    if (state.has_base) snprintf(sum, sizeof sum, " (CRC-32C %08x)", (unsigned)state.base_crc);
    snprintf(file, sizeof file, "%s/base.safetensors", run);
    if (!bt_file_exists(file))
        return bt_error(
            BT_ERR_IO,
            "there is no %s: it holds the frozen weights of the run%s, which no checkpoint repeats; put the "
            "file, or a link to another place, back there",
            file, sum);
    BT_TRY(bt_weights_load(file, store, 1u, &count));
    if (!state.has_base || (bt_base_crc(store, &crc) && crc == state.base_crc)) return BT_OK;
    return bt_error(
        BT_ERR_FORMAT,
        "%s: its weights (CRC-32C %08x) are not the frozen weights that %s was trained on%s; put that file, "
        "or a link to it, back there",
        file, (unsigned)crc, checkpoint, sum);
}

bt_status bt_run_load(const char *run, const char *checkpoint, bool averages, bt_params *store) {
    char file[FILE_BYTES];
    int count;
    BT_TRY(load_base(run, checkpoint, store));
    if (checkpoint)
        snprintf(file, sizeof file, "%s/%s.safetensors", checkpoint, averages ? "average" : "model");
    else
        snprintf(file, sizeof file, "%s/start.safetensors", run);
    return checkpoint || bt_file_exists(file) ? bt_weights_load(file, store, 2u, &count) : BT_OK;
}

/** After commit: one slot of one parameter from the file's tensor `name`. */
static bt_status load_slot(const bt_safetensors *file, const char *path, const char *name, bt_params *store, int index,
                           bt_param_slot slot) {
    const bt_param_spec *spec = bt_params_spec(store, index);
    const bt_safetensors_entry *e;
    BT_TRY(find_entry(file, path, name, spec, &e));
    float *host = bt_memory_alloc((size_t)bt_shape_count(spec->shape), sizeof *host);
    bt_status status = host ? bt_safetensors_to_f32(e, host) : BT_ERR_MEMORY;
    if (status == BT_OK) status = bt_params_write(store, index, slot, host);
    bt_memory_free(host);
    return status;
}

static bt_status load_averages(const char *checkpoint, bt_params *store) {
    char path[FILE_BYTES];
    snprintf(path, sizeof path, "%s/average.safetensors", checkpoint);
    bt_safetensors *file;
    BT_TRY(bt_safetensors_open(path, &file));
    bt_status status = BT_OK;
    for (int i = 0; status == BT_OK && i < bt_params_count(store); i++)
        if (is_trained(bt_params_spec(store, i)))
            status = load_slot(file, path, bt_params_spec(store, i)->name, store, i, BT_SLOT_AVERAGE);
    bt_safetensors_close(file);
    return status;
}

bt_status bt_checkpoint_load_optimizer(const char *checkpoint, bt_params *store) {
    char path[FILE_BYTES], name[160];
    snprintf(path, sizeof path, "%s/optim.safetensors", checkpoint);
    bt_safetensors *file;
    BT_TRY(bt_safetensors_open(path, &file));
    bt_status status = BT_OK;
    for (int i = 0; i < bt_params_count(store); i++)
        for (int k = 0; status == BT_OK && k < 2 && bt_params_spec(store, i)->trainable; k++) {
            snprintf(name, sizeof name, "%c/%s", k ? 'v' : 'm', bt_params_spec(store, i)->name);
            status = load_slot(file, path, name, store, i, k ? BT_SLOT_ADAM_V : BT_SLOT_ADAM_M);
        }
    bt_safetensors_close(file);
    return status == BT_OK && bt_params_has_average(store) ? load_averages(checkpoint, store) : status;
}
