/* Weights that a run begins with. */
#include "train/start.h"

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "train/checkpoint.h"

#include <bittern/safetensors.h>

#include <stdio.h>
#include <string.h>

typedef enum part { TOWER, ADAPTERS, HEAD, PARTS } part;
static const char *const part_name[PARTS] = {"tower", "adapters", "head"};

static part part_of(const bt_param_spec *spec) {
    return spec->group == BT_GROUP_HEAD ? HEAD : strstr(spec->name, ".lora_") ? ADAPTERS : TOWER;
}

/** The files that hold a run's weights: trained ones first, so that a tower that was trained is not taken from where it
 * began. */
typedef struct sources {
    const char *key; /* of the configuration */
    char path[2][1300];
    bt_safetensors *file[2];
    int count;
} sources;

static void close_sources(sources *s) {
    for (int i = 0; i < s->count; i++)
        if (s->file[i]) bt_safetensors_close(s->file[i]);
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length > tail && strcmp(text + length - tail, end) == 0;
}

/** The checkpoint that `given` means, and the run it belongs to. */
static bt_status find_run(const char *key, const char *given, bool files, char checkpoint[1024], char run[1100]) {
    char state[1100];
    snprintf(state, sizeof state, "%s/state.json", given);
    if (bt_file_exists(state)) {
        snprintf(checkpoint, 1024, "%s", given);
        snprintf(run, 1100, "%s/../..", given);
        return BT_OK;
    }
    snprintf(run, 1100, "%s", given);
    if (bt_checkpoint_newest(given, checkpoint, 1024)) return BT_OK;
    return bt_error(BT_ERR_IO, "%s: %s is neither %sa run with a checkpoint (train it first)%s", key, given,
                    files ? "a .safetensors file nor " : "", files ? "" : " nor a checkpoint's folder");
}

static bt_status open_sources(const char *key, const char *given, bool files, sources *s) {
    *s = (sources){.key = key};
    if (files && ends_with(given, ".safetensors")) {
        snprintf(s->path[s->count++], sizeof s->path[0], "%s", given);
    } else {
        char checkpoint[1024], run[1100];
        BT_TRY(find_run(key, given, files, checkpoint, run));
        snprintf(s->path[0], sizeof s->path[0], "%s/average.safetensors", checkpoint);
        if (!bt_file_exists(s->path[0])) snprintf(s->path[0], sizeof s->path[0], "%s/model.safetensors", checkpoint);
        snprintf(s->path[1], sizeof s->path[1], "%s/base.safetensors", run);
        s->count = bt_file_exists(s->path[1]) ? 2 : 1;
    }
    bt_status status = BT_OK;
    for (int i = 0; i < s->count && status == BT_OK; i++) status = bt_safetensors_open(s->path[i], &s->file[i]);
    if (status != BT_OK) close_sources(s);
    return status == BT_OK ? status : bt_error_prefix(status, "%s", key);
}

static bt_status refuse_shape(const sources *s, const char *path, const bt_param_spec *spec, bt_shape found) {
    char is[64], wanted[64];
    return bt_error(
        BT_ERR_FORMAT, "%s: %s: tensor \"%s\" has shape %s, the model has %s; %s", s->key, path, spec->name,
        bt_shape_text(found, is, sizeof is), bt_shape_text(spec->shape, wanted, sizeof wanted),
        part_of(spec) == ADAPTERS
            ? "adapter.targets and adapter.rank must be those of that run, or take its tower alone (model.weights)"
        : part_of(spec) == HEAD
            ? "the head must have that run's size (method.bits, method.head), or take its tower alone (model.weights)"
            : "model.image, model.patch and the sizes of the tower must be the same");
}

/** Fills one parameter; *found tells whether the files have it. */
static bt_status take_one(const sources *s, bt_params *store, int index, bool *found) {
    const bt_param_spec *spec = bt_params_spec(store, index);
    *found = false;
    for (int i = 0; i < s->count && !*found; i++) {
        const bt_safetensors_entry *e = bt_safetensors_find(s->file[i], spec->name);
        if (!e) continue;
        bt_shape shape = bt_shape_of(e->rank <= BT_MAX_RANK ? e->rank : 0, e->dim);
        if (!bt_shape_equal(shape, spec->shape)) return refuse_shape(s, s->path[i], spec, shape);
        BT_TRY(bt_safetensors_to_f32(e, bt_params_host(store, index)));
        *found = true;
    }
    return BT_OK;
}

/** Appends a name to a list of at most three. */
static void list_name(bt_text *list, int *count, const char *name) {
    if (++*count <= 3) bt_text_append(list, "%s%s", *count > 1 ? ", " : "", name);
}

static void log_left(const sources *s, const bt_params *store) {
    bt_text left = {0}, adapters = {0};
    int left_count = 0, adapter_count = 0;
    for (int i = 0; i < s->count; i++)
        for (int64_t k = 0; k < bt_safetensors_count(s->file[i]); k++) {
            const char *name = bt_safetensors_at(s->file[i], k)->name;
            if (bt_params_find(store, name) >= 0) continue;
            if (strstr(name, ".lora_"))
                list_name(&adapters, &adapter_count, name);
            else
                list_name(&left, &left_count, name);
        }
    if (left_count)
        bt_log_info("%s: not part of this model and left: %d tensors (%s%s)", s->key, left_count, bt_text_get(&left),
                    left_count > 3 ? ", ..." : "");
    if (adapter_count)
        bt_log_warn("%s: %d adapters of that run are not part of this model (%s%s): its tower is taken without what "
                    "they learnt",
                    s->key, adapter_count, bt_text_get(&adapters), adapter_count > 3 ? ", ..." : "");
    bt_text_free(&left);
    bt_text_free(&adapters);
}

typedef struct tally {
    int taken[PARTS], kept[PARTS];
    bt_text names; /* of those that keep their initial values */
    int named;
} tally;

static void log_tally(const sources *s, const tally *t) {
    bt_log_info("%s: %d tensors of the tower, %d of the adapters, %d of the head from %s%s%s", s->key, t->taken[TOWER],
                t->taken[ADAPTERS], t->taken[HEAD], s->path[0], s->count > 1 ? " and " : "",
                s->count > 1 ? s->path[1] : "");
    if (t->named)
        bt_log_info("%s: initial values stay for %d tensors of the adapters, %d of the head (%s%s)", s->key,
                    t->kept[ADAPTERS], t->kept[HEAD], bt_text_get(&t->names), t->named > 3 ? ", ..." : "");
}

static bt_status take_all(const sources *s, bt_params *store, bool tower_only, tally *t, bool *trained) {
    for (int i = 0; i < bt_params_count(store); i++) {
        const bt_param_spec *spec = bt_params_spec(store, i);
        part p = part_of(spec);
        bool found = false;
        if ((tower_only && p != TOWER) || spec->kind == BT_PARAM_CONSTANT) continue;
        BT_TRY(take_one(s, store, i, &found));
        if (!found && p == TOWER) {
            char shape[64];
            return bt_error(BT_ERR_FORMAT, "%s: %s: tensor \"%s\" %s is missing; there must be a whole %s", s->key,
                            s->path[0], spec->name, bt_shape_text(spec->shape, shape, sizeof shape), part_name[p]);
        }
        (found ? t->taken : t->kept)[p]++;
        if (!found) list_name(&t->names, &t->named, spec->name);
        *trained = *trained || (found && (spec->trainable || spec->kind == BT_PARAM_BUFFER));
    }
    return bt_text_status(&t->names);
}

bt_status bt_start_weights(const bt_run_config *c, bt_model *model, bool *taken) {
    *taken = false;
    bool whole = *c->run.start;
    if (!whole && !*c->model.weights) return BT_OK;
    sources s;
    tally t = {.named = 0};
    BT_TRY(open_sources(whole ? "run.start" : "model.weights", whole ? c->run.start : c->model.weights, !whole, &s));
    bt_status status = take_all(&s, model->store, !whole, &t, taken);
    if (status == BT_OK) {
        log_tally(&s, &t);
        log_left(&s, model->store);
    }
    bt_text_free(&t.names);
    close_sources(&s);
    return status;
}
