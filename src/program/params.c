/* The parameter store: declaration on the host, layout of the flat vectors, commit, tensors for programs.
 *
 * Layout. Trainable parameters lie in one f32 vector, by group, then in the order of declaration, each start rounded up
 * to ALIGN elements (64 bytes of bf16), so that rows of weights stay aligned for vector loads and tensor cores.
 * Gradients, both Adam moments, moving averages and the compute copies (bf16 stores only) are vectors of the same
 * layout. The gaps are zero and stay zero: no segment covers them. Frozen parameters have a block of their own,
 * 256-byte aligned each, buffers behind the others, and averages of buffers in the same order in a block of their own.
 */
#include "program/params_local.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 32 };
_Static_assert(ALIGN * sizeof(uint16_t) % BT_PARAM_ALIGNMENT == 0, "compute copies keep the alignment of parameters");

bt_params *bt_params_new(bt_dtype compute) {
    BT_ASSERT(compute == BT_F32 || compute == BT_BF16);
    bt_params *s = calloc(1, sizeof *s);
    BT_ASSERT(s);
    s->compute = compute;
    return s;
}

static void release_device(bt_params *s) {
    if (!s->device) return;
    void *blocks[] = {s->masters,         s->gradients,      s->m, s->v, s->averages, s->copies, s->frozen,
                      s->buffer_averages, s->segments_device};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        if (blocks[i]) s->device->backend->free(s->device, blocks[i]);
}

void bt_params_free(bt_params *s) {
    if (!s) return;
    release_device(s);
    for (int i = 0; i < s->count; i++) {
        free((char *)(uintptr_t)s->list[i].spec.name);
        free(s->list[i].host);
    }
    free(s->list);
    free(s);
}

int bt_params_add(bt_params *s, const bt_param_spec *spec) {
    BT_ASSERT(!s->device && spec->group >= 0 && spec->group < BT_GROUPS);
    char text[64];
    if (bt_params_find(s, spec->name) >= 0) {
        (void)bt_error(BT_ERR_SHAPE, "parameter \"%s\" is declared twice", spec->name);
        return -1;
    }
    if (spec->shape.rank < 1 || bt_shape_count(spec->shape) < 1) {
        (void)bt_error(BT_ERR_SHAPE, "parameter \"%s\" has shape %s; every axis must be at least 1", spec->name,
                       bt_shape_text(spec->shape, text, sizeof text));
        return -1;
    }
    bt_param_entry e = {.spec = *spec, .rows = spec->shape.dim[0]};
    e.file_columns = spec->shape.rank == 1 ? 0 : bt_shape_count(spec->shape) / e.rows;
    e.columns = spec->columns ? spec->columns : e.file_columns;
    BT_ASSERT(e.columns >= e.file_columns);
    e.spec.name = strdup(spec->name);
    BT_ASSERT(e.spec.name);
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 64;
        s->list = realloc(s->list, (size_t)s->room * sizeof *s->list);
        BT_ASSERT(s->list);
    }
    s->list[s->count] = e;
    return s->count++;
}

int bt_params_count(const bt_params *s) {
    return s->count;
}

int bt_params_find(const bt_params *s, const char *name) {
    for (int i = 0; i < s->count; i++)
        if (strcmp(s->list[i].spec.name, name) == 0) return i;
    return -1;
}

const bt_param_spec *bt_params_spec(const bt_params *s, int index) {
    BT_ASSERT(index >= 0 && index < s->count);
    return &s->list[index].spec;
}

float *bt_params_host(bt_params *s, int index) {
    BT_ASSERT(index >= 0 && index < s->count && !s->device);
    bt_param_entry *e = &s->list[index];
    if (!e->host) e->host = calloc((size_t)bt_shape_count(e->spec.shape), sizeof(float));
    BT_ASSERT(e->host);
    return e->host;
}

void bt_params_keep_average(bt_params *s) {
    BT_ASSERT(!s->device);
    s->averaged = true;
}

bool bt_params_has_average(const bt_params *s) {
    return s->averaged;
}

bt_dtype bt_store_compute(const bt_params *s) {
    return s->compute;
}
bool bt_store_committed(const bt_params *s) {
    return s->device != NULL;
}
bt_device *bt_store_device(const bt_params *s) {
    return s->device;
}

static void lay_out_frozen(const bt_params *s, bt_param_entry *e, size_t *bytes) {
    e->offset = (int64_t)*bytes;
    *bytes += (bt_dtype_bytes(bt_entry_dtype(s, e)) * (size_t)bt_entry_count(e) + 255) / 256 * 256;
}

/** Offsets of all parameters and segments; safe to repeat while parameters are still added. */
static void lay_out(bt_params *s) {
    int64_t at = 0;
    size_t bytes = 0;
    int segments = 0;
    for (int g = 0; g < BT_GROUPS; g++) {
        s->group_begin[g] = at;
        s->segment_begin[g] = segments;
        for (int i = 0; i < s->count; i++) {
            bt_param_entry *e = &s->list[i];
            if (!bt_entry_trained(e) || e->spec.group != g) continue;
            e->offset = at;
            segments++;
            at = (at + bt_entry_count(e) + ALIGN - 1) / ALIGN * ALIGN;
        }
    }
    s->group_begin[BT_GROUPS] = s->flat_count = at;
    s->segment_begin[BT_GROUPS] = segments;
    for (int i = 0; i < s->count; i++)
        if (!bt_entry_trained(&s->list[i]) && !bt_entry_is_buffer(&s->list[i])) lay_out_frozen(s, &s->list[i], &bytes);
    s->buffer_begin = bytes;
    for (int i = 0; i < s->count; i++)
        if (bt_entry_is_buffer(&s->list[i])) lay_out_frozen(s, &s->list[i], &bytes);
    s->buffer_bytes = bytes - s->buffer_begin;
    s->frozen_bytes = bytes;
}

/* ---- commit ---- */

static bt_status build_segments(bt_params *s, bt_device *d) {
    bt_adamw_segment *list = calloc((size_t)s->count + 1, sizeof *list);
    if (!list) return bt_error(BT_ERR_MEMORY, "out of memory for the optimizer's segments");
    int n = 0;
    for (int g = 0; g < BT_GROUPS; g++)
        for (int i = 0; i < s->count; i++) {
            const bt_param_entry *e = &s->list[i];
            if (bt_entry_trained(e) && e->spec.group == g)
                list[n++] = (bt_adamw_segment){e->offset, e->offset + bt_entry_count(e), g, e->spec.decay};
        }
    size_t bytes = (size_t)(n ? n : 1) * sizeof *list;
    bt_status status = d->backend->alloc(d, bytes, (void **)&s->segments_device);
    if (status == BT_OK) status = d->backend->upload(d, s->segments_device, list, bytes);
    free(list);
    return status;
}

static bt_status allocate(bt_params *s, bt_device *d) {
    const bt_backend *b = d->backend;
    if (s->frozen_bytes) BT_TRY(b->alloc(d, s->frozen_bytes, (void **)&s->frozen));
    if (s->averaged && s->buffer_bytes) BT_TRY(b->alloc(d, s->buffer_bytes, (void **)&s->buffer_averages));
    if (!s->flat_count) return BT_OK;
    size_t bytes = (size_t)s->flat_count * sizeof(float);
    float **vectors[] = {&s->masters, &s->gradients, &s->m, &s->v};
    for (int k = 0; k < 4; k++) BT_TRY(b->alloc(d, bytes, (void **)vectors[k]));
    if (s->averaged) BT_TRY(b->alloc(d, bytes, (void **)&s->averages));
    return s->compute == BT_F32 ? BT_OK : b->alloc(d, bytes / 2, (void **)&s->copies);
}

static bt_status commit_entry(bt_params *s, const bt_param_entry *e, const float *values) {
    BT_TRY(bt_params_upload_value(s, e, values));
    return bt_params_slot_memory(s, e, BT_SLOT_AVERAGE) ? bt_params_upload_slot(s, e, BT_SLOT_AVERAGE, values) : BT_OK;
}

/** Values from `source`, by way of `values` (of the largest parameter); without a source, of the host copies. */
static bt_status commit_all(bt_params *s, bt_param_source source, void *context, float *values) {
    for (int i = 0; i < s->count; i++) {
        bt_param_entry *e = &s->list[i];
        bool asked = source && e->spec.kind != BT_PARAM_CONSTANT;
        if (asked)
            BT_TRY(source(context, i, values));
        else if (!e->host)
            memset(values, 0, (size_t)bt_shape_count(e->spec.shape) * sizeof *values);
        BT_TRY(commit_entry(s, e, asked || !e->host ? values : e->host));
        free(e->host);
        e->host = NULL;
    }
    return BT_OK;
}

bt_status bt_params_commit_from(bt_params *s, bt_device *device, bt_param_source source, void *context) {
    BT_ASSERT(!s->device);
    lay_out(s);
    s->device = device; /* from here on bt_params_free gives the memory back */
    BT_TRY(allocate(s, device));
    BT_TRY(build_segments(s, device));
    int64_t largest = 1;
    for (int i = 0; i < s->count; i++) {
        int64_t count = bt_shape_count(s->list[i].spec.shape);
        if (count > largest) largest = count;
    }
    float *values = malloc((size_t)largest * sizeof *values);
    if (!values) return bt_error(BT_ERR_MEMORY, "out of memory for a parameter of %lld values", (long long)largest);
    bt_status status = commit_all(s, source, context, values);
    free(values);
    return status;
}

bt_status bt_params_commit(bt_params *s, bt_device *device) {
    return bt_params_commit_from(s, device, NULL, NULL);
}

/* ---- tensors for programs ---- */

static bt_shape matrix_shape(const bt_param_entry *e) {
    return e->columns ? bt_shape2(e->rows, e->columns) : bt_shape1(e->rows);
}

static bt_status param_tensor(const bt_params *s, bt_store_ref ref, bt_tensor *out) {
    if (ref.param < 0 || ref.param >= s->count)
        return bt_error(BT_ERR_SHAPE, "no parameter %d in the store", ref.param);
    const bt_param_entry *e = &s->list[ref.param];
    int64_t count = ref.count ? ref.count : e->rows, row = e->columns ? e->columns : 1;
    if (ref.first < 0 || count < 1 || ref.first + count > e->rows)
        return bt_error(BT_ERR_SHAPE, "rows %lld to %lld of \"%s\", which has %lld", (long long)ref.first,
                        (long long)(ref.first + count), e->spec.name, (long long)e->rows);
    bool gradient = ref.slot == BT_STORE_GRADIENT;
    BT_ASSERT(!gradient || bt_entry_trained(e));
    bt_dtype dtype = gradient ? BT_F32 : bt_entry_dtype(s, e);
    bt_shape shape = matrix_shape(e);
    shape.dim[0] = count;
    char *memory = NULL;
    if (s->device) {
        int64_t at = ref.first * row;
        if (!bt_entry_trained(e))
            memory = s->frozen + e->offset + at * (int64_t)bt_dtype_bytes(dtype);
        else if (gradient)
            memory = (char *)(s->gradients + e->offset + at);
        else
            memory = dtype == BT_F32 ? (char *)(s->masters + e->offset + at) : (char *)(s->copies + e->offset + at);
    }
    *out = bt_tensor_of(memory, dtype, shape);
    if (!bt_entry_trained(e) && e->spec.kind != BT_PARAM_BUFFER) out->flags |= BT_FROZEN;
    return BT_OK;
}

/** The range of groups in a mask; its groups must be neighbours. */
static bt_status group_range(uint32_t groups, int *first, int *end) {
    *first = BT_GROUPS;
    *end = 0;
    for (int g = 0; g < BT_GROUPS; g++)
        if (groups >> g & 1) {
            if (g < *first) *first = g;
            *end = g + 1;
        }
    for (int g = *first; g < *end; g++)
        if (!(groups >> g & 1))
            return bt_error(BT_ERR_UNSUPPORTED, "parameter groups trained together must be neighbours (mask 0x%x)",
                            groups);
    return *end ? BT_OK : bt_error(BT_ERR_SHAPE, "no parameter group is trained");
}

/** Of one buffer; averages of parameters are parts of the flat vector, which programs take as a whole. */
static bt_status average_tensor(const bt_params *s, bt_store_ref ref, bt_tensor *out) {
    BT_ASSERT(s->averaged && ref.param >= 0 && ref.param < s->count && bt_entry_is_buffer(&s->list[ref.param]));
    const bt_param_entry *e = &s->list[ref.param];
    *out = bt_tensor_of(s->device ? bt_params_slot_memory(s, e, BT_SLOT_AVERAGE) : NULL, BT_F32, matrix_shape(e));
    return BT_OK;
}

bt_status bt_store_tensor(const bt_params *s, bt_store_ref ref, bt_tensor *out) {
    if (ref.slot == BT_STORE_VALUE || ref.slot == BT_STORE_GRADIENT) return param_tensor(s, ref, out);
    if (ref.slot == BT_STORE_AVERAGE) return average_tensor(s, ref, out);
    if (!s->device) lay_out((bt_params *)(uintptr_t)s); /* sizes are asked for before commit as well */
    if (!s->flat_count) return bt_error(BT_ERR_SHAPE, "nothing is trainable");
    int first = 0, end = BT_GROUPS;
    if (ref.slot == BT_STORE_GROUP_GRADIENTS || ref.slot == BT_STORE_SEGMENTS)
        BT_TRY(group_range(ref.groups, &first, &end));
    if (ref.slot == BT_STORE_SEGMENTS) {
        int64_t bytes = (s->segment_begin[end] - s->segment_begin[first]) * (int64_t)sizeof(bt_adamw_segment);
        *out = bt_tensor_of(s->segments_device ? s->segments_device + s->segment_begin[first] : NULL, BT_U8,
                            bt_shape1(bytes));
        return bytes ? BT_OK : bt_error(BT_ERR_SHAPE, "the groups in mask 0x%x have no parameters", ref.groups);
    }
    const void *memory = ref.slot == BT_STORE_ALL_MASTERS    ? (void *)s->masters
                         : ref.slot == BT_STORE_ALL_M        ? (void *)s->m
                         : ref.slot == BT_STORE_ALL_V        ? (void *)s->v
                         : ref.slot == BT_STORE_ALL_AVERAGES ? (void *)s->averages
                         : ref.slot == BT_STORE_ALL_COPIES   ? (void *)s->copies
                                                             : (void *)s->gradients;
    int64_t begin = s->group_begin[first], count = s->group_begin[end] - begin;
    if (!count) return bt_error(BT_ERR_SHAPE, "the groups in mask 0x%x have no parameters", ref.groups);
    bt_dtype dtype = ref.slot == BT_STORE_ALL_COPIES ? s->compute : BT_F32;
    *out = bt_tensor_of(memory ? (char *)(uintptr_t)memory + begin * (int64_t)sizeof(float) : NULL, dtype,
                        bt_shape1(count));
    return BT_OK;
}
