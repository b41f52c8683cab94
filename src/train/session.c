/* A model on a device with its programs. */
#include "train/session.h"

#include "base/memory.h"
#include "base/thread.h"
#include "program/inspect.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- open and close ---- */

typedef bt_program *record_function(const bt_model *, const bt_step_options *);

static bt_status plan_one(bt_session *s, bt_session_program which, record_function *record, int batch,
                          uint32_t groups) {
    const bt_session_options *o = &s->options;
    bt_step_options step = {.compute = o->compute,
                            .recompute = o->recompute,
                            .batch = batch,
                            .float_images = o->float_images,
                            .pictures = o->pictures,
                            .groups = groups,
                            .adamw = o->adamw,
                            .average = o->average_decay > 0,
                            .gradients_only = o->gradients_only};
    s->program[which] = record(s->model, &step);
    return s->device ? bt_plan_new(s->program[which], s->device, &s->plan[which])
                     : bt_plan_look(s->program[which], o->look_as, &s->plan[which]);
}

/** Head steps have an encode of their own: a tower that is not trained draws no dropout. */
static bt_status plan_chunks(bt_session *s) {
    const bt_session_options *o = &s->options;
    if (o->batch % o->chunk)
        return bt_error(BT_ERR_CONFIG, "train.batch %d is not a multiple of train.chunk %d", o->batch, o->chunk);
    BT_TRY(plan_one(s, BT_PROGRAM_HEAD, bt_head_program, o->batch, BT_MASK_HEAD));
    if (o->head_first || !o->train_tower) {
        BT_TRY(plan_one(s, BT_PROGRAM_HEAD_ENCODE, bt_encode_program, o->chunk, BT_MASK_HEAD));
        BT_TRY(plan_one(s, BT_PROGRAM_HEAD_UPDATE, bt_update_program, o->batch, BT_MASK_HEAD));
    }
    if (o->train_tower) {
        BT_TRY(plan_one(s, BT_PROGRAM_ENCODE, bt_encode_program, o->chunk, BT_MASK_ALL));
        BT_TRY(plan_one(s, BT_PROGRAM_BACKWARD, bt_backward_program, o->chunk, BT_MASK_ALL));
        BT_TRY(plan_one(s, BT_PROGRAM_UPDATE, bt_update_program, o->batch, BT_MASK_ALL));
    }
    size_t count = (size_t)s->model->config.views * (size_t)o->batch * (size_t)bt_vit_output(&s->model->vit.config);
    s->embeddings = bt_memory_alloc(count, sizeof(float));
    s->gradients = bt_memory_alloc(count, sizeof(float));
    return s->embeddings && s->gradients ? BT_OK : BT_ERR_MEMORY;
}

static bt_status plan_all(bt_session *s) {
    const bt_session_options *o = &s->options;
    uint32_t groups = o->train_tower ? BT_MASK_ALL : BT_MASK_HEAD;
    record_function *embed = bt_model_has_tower(s->model) ? bt_embed_program : bt_cached_embed_program;
    if (o->embed_batch) BT_TRY(plan_one(s, BT_PROGRAM_EMBED, embed, o->embed_batch, 0));
    if (!o->batch) return BT_OK;
    if (o->cached) return plan_one(s, BT_PROGRAM_STEP, bt_cached_step_program, o->batch, BT_MASK_HEAD);
    BT_ASSERT(bt_model_has_tower(s->model));
    if (o->chunk) return plan_chunks(s);
    if (o->head_first) BT_TRY(plan_one(s, BT_PROGRAM_HEAD_STEP, bt_step_program, o->batch, BT_MASK_HEAD));
    return plan_one(s, BT_PROGRAM_STEP, bt_step_program, o->batch, groups);
}

bt_status bt_session_plan(bt_session *out, bt_model *model, bt_device *device, const bt_session_options *options) {
    *out = (bt_session){.device = device, .model = model, .options = *options};
    bt_status status = plan_all(out);
    for (int i = 0; i < BT_PROGRAM_COUNT && status == BT_OK; i++)
        if (out->plan[i] && bt_plan_bytes(out->plan[i]) > out->block_bytes)
            out->block_bytes = bt_plan_bytes(out->plan[i]);
    if (status != BT_OK) bt_session_close(out);
    return status;
}

bt_status bt_session_bind(bt_session *s) {
    if (!s->device) return BT_OK;
    if (s->block_bytes) BT_TRY(s->device->backend->alloc(s->device, s->block_bytes, &s->block));
    for (int i = 0; i < BT_PROGRAM_COUNT; i++)
        if (s->plan[i]) BT_TRY(bt_plan_bind(s->plan[i], s->block));
    return BT_OK;
}

bt_status bt_session_open(bt_session *out, bt_model *model, bt_device *device, const bt_session_options *options) {
    BT_TRY(bt_session_plan(out, model, device, options));
    bt_status status = bt_session_bind(out);
    if (status != BT_OK) bt_session_close(out);
    return status;
}

void bt_session_close(bt_session *s) {
    for (int i = 0; i < BT_PROGRAM_COUNT; i++) {
        bt_plan_free(s->plan[i]);
        bt_program_free(s->program[i]);
    }
    if (s->block) s->device->backend->free(s->device, s->block);
    bt_memory_free(s->embeddings);
    bt_memory_free(s->gradients);
    *s = (bt_session){.device = NULL};
}

/* ---- a step ---- */

/** 1 - decay of the moving average after `updates` earlier ones. The decay begins low, so that short runs do not
 * average what the weights were before training: min(decay, (1 + t) / (10 + t)), as in TensorFlow's
 * ExponentialMovingAverage. */
static float average_weight(double decay, int64_t updates) {
    double early = (1 + (double)updates) / (10 + (double)updates);
    return (float)(1 - (early < decay ? early : decay));
}

static bt_status set_rates(bt_session *s, const bt_step_rates *r) {
    bt_step step = {.seed = r->seed, .step = r->step};
    if (s->options.average_decay > 0)
        step.average_weight = average_weight(s->options.average_decay, s->updates[BT_GROUP_HEAD]);
    bool trained[BT_GROUPS] = {[BT_GROUP_HEAD] = true, [BT_GROUP_TOWER] = s->options.train_tower && !r->head_only};
    for (int g = 0; g < BT_GROUPS; g++) {
        if (!trained[g]) continue;
        double t = (double)(s->updates[g] + 1);
        step.lr[g] = (float)r->lr[g];
        step.step_size[g] = (float)(r->lr[g] / (1 - pow(s->options.adamw.beta1, t)));
        step.bias2_sqrt[g] = (float)sqrt(1 - pow(s->options.adamw.beta2, t));
        if (!s->options.gradients_only) s->updates[g]++;
    }
    return s->device->backend->set_step(s->device, &step);
}

/** Sets an input if the program has it, from rows [first, first + rows) of each of `views` runs of `all` rows. */
static bt_status set_rows(bt_plan *plan, const char *name, const void *host, size_t row_bytes, int views, int all,
                          int first, int rows) {
    bt_dtype dtype;
    bt_shape shape;
    if (!bt_plan_find(plan, name, &dtype, &shape)) return BT_OK;
    if (!host) return bt_error(BT_ERR_SHAPE, "the program needs input \"%s\" and the batch has none", name);
    size_t part = row_bytes * (size_t)rows;
    if (first == 0 && rows == all) return bt_plan_set(plan, name, host, part * (size_t)views);
    char *gathered = bt_memory_alloc((size_t)views, part);
    if (!gathered) return BT_ERR_MEMORY;
    for (int v = 0; v < views; v++)
        memcpy(gathered + part * (size_t)v, (const char *)host + row_bytes * ((size_t)v * (size_t)all + (size_t)first),
               part);
    bt_status status = bt_plan_set(plan, name, gathered, part * (size_t)views);
    bt_memory_free(gathered);
    return status;
}

static size_t image_bytes(const bt_session *s) {
    size_t side = (size_t)s->model->vit.config.image;
    return side * side * 3 * (s->options.float_images ? sizeof(float) : 1);
}

/** Records of a chunk: their pictures lie further to the front than in the batch. */
static bt_status set_records(bt_session *s, bt_plan *plan, const bt_view_record *records, int first, int rows) {
    int views = s->model->config.views, all = s->options.batch;
    if (!records) return bt_error(BT_ERR_SHAPE, "the program needs input \"records\" and the batch has none");
    size_t count = (size_t)views * (size_t)rows;
    if (first == 0 && rows == all) return bt_plan_set(plan, "records", records, count * sizeof *records);
    bt_view_record *gathered = bt_memory_alloc(count, sizeof *gathered);
    if (!gathered) return BT_ERR_MEMORY;
    for (int v = 0; v < views; v++)
        for (int i = 0; i < rows; i++) {
            bt_view_record *r = &gathered[v * rows + i];
            *r = records[v * all + first + i];
            r->offset -= (int64_t)first * views * (int64_t)image_bytes(s);
        }
    bt_status status = bt_plan_set(plan, "records", gathered, count * sizeof *gathered);
    bt_memory_free(gathered);
    return status;
}

static bt_status set_pictures(bt_session *s, bt_plan *plan, const bt_step_batch *b, int first, int rows) {
    BT_TRY(set_rows(plan, "pictures", b->images, image_bytes(s) * (size_t)s->model->config.views, 1, s->options.batch,
                    first, rows));
    return set_records(s, plan, b->records, first, rows);
}

static bt_status set_images(bt_session *s, bt_plan *plan, const bt_step_batch *b, int first, int rows) {
    int views = s->model->config.views, all = s->options.batch;
    double start = bt_clock_seconds();
    if (s->options.pictures)
        BT_TRY(set_pictures(s, plan, b, first, rows));
    else
        BT_TRY(set_rows(plan, "images", b->images, image_bytes(s), views, all, first, rows));
    s->copy_seconds += bt_clock_seconds() - start;
    return set_rows(plan, "ids", b->ids, sizeof(int64_t), views, all, first, rows);
}

/** Labels as the method asks for them: class numbers, or a multi-hot row for each image. */
static bt_status set_targets(bt_session *s, bt_plan *plan, const bt_step_batch *b) {
    const bt_method_config *c = &s->model->config;
    int batch = s->options.batch;
    BT_TRY(set_rows(plan, "class", b->classes, sizeof(int32_t), 1, batch, 0, batch));
    BT_TRY(set_rows(plan, "targets", b->targets, (size_t)c->bits, c->views, batch, 0, batch));
    bt_dtype dtype;
    bt_shape shape;
    if (!bt_plan_find(plan, "labels", &dtype, &shape)) return BT_OK;
    if (b->multi_hot) return bt_plan_set(plan, "labels", b->multi_hot, (size_t)batch * (size_t)c->classes);
    if (!b->classes) return bt_error(BT_ERR_SHAPE, "the program needs labels and the batch has none");
    uint8_t *hot = bt_memory_zeroed((size_t)batch, (size_t)c->classes);
    if (!hot) return BT_ERR_MEMORY;
    for (int i = 0; i < batch; i++) {
        BT_ASSERT(b->classes[i] >= 0 && b->classes[i] < c->classes);
        hot[(size_t)i * (size_t)c->classes + (size_t)b->classes[i]] = 1;
    }
    bt_status status = bt_plan_set(plan, "labels", hot, (size_t)batch * (size_t)c->classes);
    bt_memory_free(hot);
    return status;
}

static bt_status encode_chunks(bt_session *s, bt_plan *encode, const bt_step_batch *b) {
    int views = s->model->config.views, chunk = s->options.chunk, batch = s->options.batch;
    size_t row = (size_t)bt_vit_output(&s->model->vit.config) * sizeof(float), part = row * (size_t)chunk;
    char *gathered = bt_memory_alloc((size_t)views, part);
    if (!gathered) return BT_ERR_MEMORY;
    bt_status status = BT_OK;
    for (int at = 0; at < batch && status == BT_OK; at += chunk) {
        status = set_images(s, encode, b, at, chunk);
        if (status == BT_OK) status = bt_plan_run(encode);
        if (status == BT_OK) status = bt_plan_get(encode, "e", gathered, part * (size_t)views);
        for (int v = 0; v < views && status == BT_OK; v++)
            memcpy((char *)s->embeddings + row * ((size_t)v * (size_t)batch + (size_t)at), gathered + part * (size_t)v,
                   part);
    }
    bt_memory_free(gathered);
    return status;
}

static bt_status backward_chunks(bt_session *s, const bt_step_batch *b) {
    int views = s->model->config.views, chunk = s->options.chunk, batch = s->options.batch;
    size_t row = (size_t)bt_vit_output(&s->model->vit.config) * sizeof(float);
    bt_plan *backward = s->plan[BT_PROGRAM_BACKWARD];
    for (int at = 0; at < batch; at += chunk) {
        BT_TRY(set_images(s, backward, b, at, chunk));
        BT_TRY(set_rows(backward, "de", s->gradients, row, views, batch, at, chunk));
        BT_TRY(bt_plan_run(backward));
    }
    return BT_OK;
}

static bt_status read_terms(bt_session *s, bt_plan *plan, bt_step_result *out) {
    bt_loss_term terms[BT_MAX_TERMS];
    bt_step_result r = {.terms = s->model->method->terms(&s->model->config, terms)};
    for (int k = 0; k < r.terms; k++) {
        r.name[k] = terms[k].name;
        BT_TRY(bt_plan_get(plan, terms[k].name, &r.value[k], sizeof r.value[k]));
        r.loss += (double)terms[k].weight * (double)r.value[k];
    }
    *out = r;
    return BT_OK;
}

/** encode, head, backward, update; a head step has no backward behind the head. */
static bt_status step_in_chunks(bt_session *s, const bt_step_batch *b, bool head_only, bt_step_result *out) {
    bt_plan *encode = s->plan[head_only ? BT_PROGRAM_HEAD_ENCODE : BT_PROGRAM_ENCODE], *head = s->plan[BT_PROGRAM_HEAD];
    size_t bytes = (size_t)s->model->config.views * (size_t)s->options.batch *
                   (size_t)bt_vit_output(&s->model->vit.config) * sizeof(float);
    BT_ASSERT(encode);
    BT_TRY(encode_chunks(s, encode, b));
    BT_TRY(bt_plan_set(head, "e", s->embeddings, bytes));
    BT_TRY(set_targets(s, head, b));
    BT_TRY(bt_plan_run(head));
    BT_TRY(read_terms(s, head, out));
    if (!head_only) {
        BT_TRY(bt_plan_get(head, "de", s->gradients, bytes));
        BT_TRY(backward_chunks(s, b));
    }
    if (s->options.gradients_only) return BT_OK;
    return bt_plan_run(s->plan[head_only ? BT_PROGRAM_HEAD_UPDATE : BT_PROGRAM_UPDATE]);
}

bt_status bt_session_step(bt_session *s, const bt_step_batch *batch, const bt_step_rates *rates, bt_step_result *out) {
    BT_TRY(set_rates(s, rates));
    if (s->options.chunk) return step_in_chunks(s, batch, rates->head_only || !s->options.train_tower, out);
    bt_plan *plan = s->plan[rates->head_only ? BT_PROGRAM_HEAD_STEP : BT_PROGRAM_STEP];
    BT_ASSERT(plan);
    if (s->options.cached)
        BT_TRY(set_rows(plan, "e", batch->embeddings, (size_t)bt_vit_output(&s->model->vit.config) * sizeof(float),
                        s->model->config.views, s->options.batch, 0, s->options.batch));
    else
        BT_TRY(set_images(s, plan, batch, 0, s->options.batch));
    BT_TRY(set_targets(s, plan, batch));
    BT_TRY(bt_plan_run(plan));
    return read_terms(s, plan, out);
}

bt_status bt_session_embed(bt_session *s, const void *images, float *embedding, float *logits, uint64_t *bits) {
    bt_plan *plan = s->plan[BT_PROGRAM_EMBED];
    BT_ASSERT(plan);
    bool tower = bt_model_has_tower(s->model);
    size_t bytes = tower ? image_bytes(s) : (size_t)bt_vit_output(&s->model->vit.config) * sizeof(float);
    BT_TRY(bt_plan_set(plan, tower ? "images" : "e", images, bytes * (size_t)s->options.embed_batch));
    BT_TRY(bt_plan_run(plan));
    const struct {
        const char *name;
        void *host;
    } wanted[] = {{"embedding", embedding}, {"logits", logits}, {"bits", bits}};
    for (int k = 0; k < 3; k++) {
        bt_dtype dtype;
        bt_shape shape;
        if (!wanted[k].host) continue;
        if (!bt_plan_find(plan, wanted[k].name, &dtype, &shape))
            return bt_error(BT_ERR_SHAPE, "method %s has no output \"%s\"", s->model->method->name, wanted[k].name);
        BT_TRY(bt_plan_get(plan, wanted[k].name, wanted[k].host,
                           bt_row_bytes(dtype, bt_shape_cols(shape)) * (size_t)bt_shape_rows(shape)));
    }
    return BT_OK;
}
