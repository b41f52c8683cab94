/* The parameter store: declaration on the host, layout of the flat vectors, commit, reading and writing.
 *
 * Layout. Trainable parameters lie in one f32 vector, by group, then in the order of declaration, each start rounded up
 * to ALIGN elements (64 bytes of bf16), so that rows of weights stay aligned for vector loads and tensor cores.
 * Gradients, both Adam moments, moving averages and the compute copies (bf16 stores only) are vectors of the same
 * layout. The gaps are zero and stay zero: no segment covers them. Frozen parameters have a block of their own,
 * 256-byte aligned each, buffers behind the others, and averages of buffers in the same order in a block of their own.
 */
#include "program/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 32 };
_Static_assert(ALIGN * sizeof(uint16_t) % BT_PARAM_ALIGNMENT == 0, "compute copies keep the alignment of parameters");

typedef struct entry {
    bt_param_spec spec;
    int64_t rows, columns; /* of the store's matrix; columns 0 for rank 1 */
    int64_t file_columns;  /* without padding */
    float *host;           /* until commit */
    int64_t offset;        /* trainable: element in the flat vectors; frozen: byte in the frozen block */
} entry;

struct bt_params {
    bt_dtype compute;
    entry *list;
    int count, room;
    bt_device *device;
    int64_t flat_count;                 /* elements of the flat vectors */
    int64_t group_begin[BT_GROUPS + 1]; /* flat range of each group; contiguous in order */
    float *masters, *gradients, *m, *v; /* device memory */
    float *averages;                    /* or NULL */
    bool averaged;
    uint16_t *copies; /* bf16 stores only */
    char *frozen;
    char *buffer_averages;             /* the buffers' part of the frozen block again; or NULL */
    size_t buffer_begin, buffer_bytes; /* of the frozen block: what buffers take */
    size_t frozen_bytes;
    bt_adamw_segment *segments_device; /* all, sorted */
    int segment_begin[BT_GROUPS + 1];
};

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

static bool trained(const entry *e) {
    return e->spec.trainable && e->spec.kind != BT_PARAM_BUFFER && e->spec.kind != BT_PARAM_CONSTANT;
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
    entry e = {.spec = *spec, .rows = spec->shape.dim[0]};
    e.file_columns = spec->shape.rank == 1 ? 0 : bt_shape_count(spec->shape) / e.rows;
    e.columns = spec->columns ? spec->columns : e.file_columns;
    BT_ASSERT(e.columns >= e.file_columns);
    e.spec.name = strdup(spec->name);
    e.host = calloc((size_t)bt_shape_count(spec->shape), sizeof(float));
    BT_ASSERT(e.spec.name && e.host);
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
    return s->list[index].host;
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

static int64_t stored_count(const entry *e) {
    return e->rows * (e->columns ? e->columns : 1);
}

static bt_dtype frozen_dtype(const bt_params *s, const entry *e) {
    return e->spec.kind == BT_PARAM_WEIGHT ? s->compute : BT_F32;
}

static bool is_buffer(const entry *e) {
    return e->spec.kind == BT_PARAM_BUFFER;
}

static void lay_out_frozen(const bt_params *s, entry *e, size_t *bytes) {
    e->offset = (int64_t)*bytes;
    *bytes += (bt_dtype_bytes(frozen_dtype(s, e)) * (size_t)stored_count(e) + 255) / 256 * 256;
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
            entry *e = &s->list[i];
            if (!trained(e) || e->spec.group != g) continue;
            e->offset = at;
            segments++;
            at = (at + stored_count(e) + ALIGN - 1) / ALIGN * ALIGN;
        }
    }
    s->group_begin[BT_GROUPS] = s->flat_count = at;
    s->segment_begin[BT_GROUPS] = segments;
    for (int i = 0; i < s->count; i++)
        if (!trained(&s->list[i]) && !is_buffer(&s->list[i])) lay_out_frozen(s, &s->list[i], &bytes);
    s->buffer_begin = bytes;
    for (int i = 0; i < s->count; i++)
        if (is_buffer(&s->list[i])) lay_out_frozen(s, &s->list[i], &bytes);
    s->buffer_bytes = bytes - s->buffer_begin;
    s->frozen_bytes = bytes;
}

/* ---- values between the file's shape and the store's ---- */

/** Copies (rows, from_columns) to (rows, to_columns): crops, or pads with zeros. */
static void copy_rows(const entry *e, const float *from, int64_t from_columns, float *to, int64_t to_columns) {
    int64_t shared = from_columns < to_columns ? from_columns : to_columns;
    for (int64_t r = 0; r < e->rows; r++) {
        memcpy(to + r * to_columns, from + r * from_columns, (size_t)shared * sizeof(float));
        for (int64_t c = shared; c < to_columns; c++) to[r * to_columns + c] = 0;
    }
}

static void to_store(const entry *e, const float *file, float *stored) {
    int64_t columns = e->columns ? e->columns : 1, file_columns = e->columns ? e->file_columns : 1;
    copy_rows(e, file, file_columns, stored, columns);
}

static void to_file(const entry *e, const float *stored, float *file) {
    int64_t columns = e->columns ? e->columns : 1, file_columns = e->columns ? e->file_columns : 1;
    copy_rows(e, stored, columns, file, file_columns);
}

static uint16_t *rounded(const float *values, int64_t count) {
    uint16_t *out = malloc((size_t)count * sizeof *out);
    if (out)
        for (int64_t i = 0; i < count; i++) out[i] = bt_bf16_of(values[i]);
    return out;
}

/** Uploads f32 values as `dtype`. */
static bt_status upload_as(bt_device *d, void *memory, bt_dtype dtype, const float *values, int64_t count) {
    if (dtype == BT_F32) return d->backend->upload(d, memory, values, (size_t)count * sizeof(float));
    uint16_t *half = rounded(values, count);
    if (!half) return bt_error(BT_ERR_MEMORY, "out of memory for %lld values", (long long)count);
    bt_status status = d->backend->upload(d, memory, half, (size_t)count * sizeof *half);
    free(half);
    return status;
}

static bt_status upload_entry(bt_params *s, const entry *e, const float *file) {
    bt_device *d = s->device;
    int64_t count = stored_count(e);
    float *stored = malloc((size_t)count * sizeof(float));
    if (!stored) return bt_error(BT_ERR_MEMORY, "out of memory for parameter \"%s\"", e->spec.name);
    to_store(e, file, stored);
    bt_status status;
    if (trained(e)) {
        status = upload_as(d, s->masters + e->offset, BT_F32, stored, count);
        if (status == BT_OK && s->copies) status = upload_as(d, s->copies + e->offset, BT_BF16, stored, count);
    } else {
        status = upload_as(d, s->frozen + e->offset, frozen_dtype(s, e), stored, count);
    }
    free(stored);
    return status;
}

/** Memory of a trained parameter's slot, or of a buffer's value or average; NULL for what there is not. */
static float *slot_memory(const bt_params *s, const entry *e, bt_param_slot slot) {
    if (slot == BT_SLOT_AVERAGE && !s->averaged) return NULL;
    if (trained(e)) {
        float *const vectors[] = {s->masters, s->gradients, s->m, s->v, s->averages};
        return vectors[slot] + e->offset;
    }
    if (!is_buffer(e)) return NULL;
    if (slot == BT_SLOT_VALUE) return (float *)(void *)(s->frozen + e->offset);
    return slot == BT_SLOT_AVERAGE ? (float *)(void *)(s->buffer_averages + ((size_t)e->offset - s->buffer_begin))
                                   : NULL;
}

/** Replaces a slot that is f32 on the device. */
static bt_status upload_slot(bt_params *s, const entry *e, bt_param_slot slot, const float *file) {
    int64_t count = stored_count(e);
    float *stored = malloc((size_t)count * sizeof(float));
    if (!stored) return bt_error(BT_ERR_MEMORY, "out of memory for parameter \"%s\"", e->spec.name);
    to_store(e, file, stored);
    bt_status status = upload_as(s->device, slot_memory(s, e, slot), BT_F32, stored, count);
    free(stored);
    return status;
}

/* ---- commit ---- */

static bt_status build_segments(bt_params *s, bt_device *d) {
    bt_adamw_segment *list = calloc((size_t)s->count + 1, sizeof *list);
    if (!list) return bt_error(BT_ERR_MEMORY, "out of memory for the optimizer's segments");
    int n = 0;
    for (int g = 0; g < BT_GROUPS; g++)
        for (int i = 0; i < s->count; i++) {
            const entry *e = &s->list[i];
            if (trained(e) && e->spec.group == g)
                list[n++] = (bt_adamw_segment){e->offset, e->offset + stored_count(e), g, e->spec.decay};
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

bt_status bt_params_commit(bt_params *s, bt_device *device) {
    BT_ASSERT(!s->device);
    lay_out(s);
    s->device = device; /* from here on bt_params_free gives the memory back */
    BT_TRY(allocate(s, device));
    BT_TRY(build_segments(s, device));
    for (int i = 0; i < s->count; i++) {
        BT_TRY(upload_entry(s, &s->list[i], s->list[i].host));
        if (slot_memory(s, &s->list[i], BT_SLOT_AVERAGE))
            BT_TRY(upload_slot(s, &s->list[i], BT_SLOT_AVERAGE, s->list[i].host));
        free(s->list[i].host);
        s->list[i].host = NULL;
    }
    return BT_OK;
}

/* ---- tensors for programs ---- */

static bt_shape matrix_shape(const entry *e) {
    return e->columns ? bt_shape2(e->rows, e->columns) : bt_shape1(e->rows);
}

static bt_status param_tensor(const bt_params *s, bt_store_ref ref, bt_tensor *out) {
    if (ref.param < 0 || ref.param >= s->count)
        return bt_error(BT_ERR_SHAPE, "no parameter %d in the store", ref.param);
    const entry *e = &s->list[ref.param];
    int64_t count = ref.count ? ref.count : e->rows, row = e->columns ? e->columns : 1;
    if (ref.first < 0 || count < 1 || ref.first + count > e->rows)
        return bt_error(BT_ERR_SHAPE, "rows %lld to %lld of \"%s\", which has %lld", (long long)ref.first,
                        (long long)(ref.first + count), e->spec.name, (long long)e->rows);
    bool gradient = ref.slot == BT_STORE_GRADIENT;
    BT_ASSERT(!gradient || trained(e));
    bt_dtype dtype = gradient ? BT_F32 : frozen_dtype(s, e);
    bt_shape shape = matrix_shape(e);
    shape.dim[0] = count;
    char *memory = NULL;
    if (s->device) {
        int64_t at = ref.first * row;
        if (!trained(e))
            memory = s->frozen + e->offset + at * (int64_t)bt_dtype_bytes(dtype);
        else if (gradient)
            memory = (char *)(s->gradients + e->offset + at);
        else
            memory = dtype == BT_F32 ? (char *)(s->masters + e->offset + at) : (char *)(s->copies + e->offset + at);
    }
    *out = bt_tensor_of(memory, dtype, shape);
    if (!trained(e) && e->spec.kind != BT_PARAM_BUFFER) out->flags |= BT_FROZEN;
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
    BT_ASSERT(s->averaged && ref.param >= 0 && ref.param < s->count && is_buffer(&s->list[ref.param]));
    const entry *e = &s->list[ref.param];
    *out = bt_tensor_of(s->device ? slot_memory(s, e, BT_SLOT_AVERAGE) : NULL, BT_F32, matrix_shape(e));
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

/* ---- reading and writing after commit ---- */

static bt_status refuse_slot(const entry *e, bt_param_slot slot) {
    if (slot == BT_SLOT_AVERAGE && (trained(e) || is_buffer(e)))
        return bt_error(BT_ERR_UNSUPPORTED,
                        "parameter \"%s\" has no average: the store keeps none (bt_params_keep_average)", e->spec.name);
    return bt_error(BT_ERR_UNSUPPORTED, "parameter \"%s\" is frozen: it has no gradient and no optimizer state",
                    e->spec.name);
}

bt_status bt_params_read(bt_params *s, int index, bt_param_slot slot, float *host) {
    BT_ASSERT(index >= 0 && index < s->count && s->device);
    const entry *e = &s->list[index];
    const void *memory = slot_memory(s, e, slot);
    bool frozen = !trained(e) && slot == BT_SLOT_VALUE;
    if (frozen) memory = s->frozen + e->offset;
    if (!memory) return refuse_slot(e, slot);
    int64_t count = stored_count(e);
    bt_dtype dtype = frozen ? frozen_dtype(s, e) : BT_F32;
    float *stored = malloc((size_t)count * sizeof(float));
    if (!stored) return bt_error(BT_ERR_MEMORY, "out of memory for parameter \"%s\"", e->spec.name);
    bt_status status = s->device->backend->download(s->device, stored, memory, (size_t)count * bt_dtype_bytes(dtype));
    if (dtype == BT_BF16) /* widen in place, from the end */
        for (int64_t i = count - 1; i >= 0; i--) {
            uint16_t half;
            memcpy(&half, (char *)stored + i * 2, 2);
            stored[i] = bt_bf16_to_float(half);
        }
    if (status == BT_OK) to_file(e, stored, host);
    free(stored);
    return status;
}

bt_status bt_params_write(bt_params *s, int index, bt_param_slot slot, const float *host) {
    BT_ASSERT(index >= 0 && index < s->count && s->device);
    const entry *e = &s->list[index];
    if (!trained(e) && !is_buffer(e))
        return bt_error(BT_ERR_UNSUPPORTED, "parameter \"%s\" is frozen; set it before bt_params_commit", e->spec.name);
    if (!slot_memory(s, e, slot)) return refuse_slot(e, slot);
    return slot == BT_SLOT_VALUE ? upload_entry(s, e, host) : upload_slot(s, e, slot, host);
}

/** Exchanges two f32 ranges of device memory through the host, and gives what `a` holds now as bf16 to `copies` unless
 * that is NULL. */
static bt_status exchange(bt_device *d, void *a, void *b, uint16_t *copies, size_t count) {
    float *x = malloc(2 * count * sizeof *x);
    if (!x) return bt_error(BT_ERR_MEMORY, "out of memory for the averages of %zu weights", count);
    size_t bytes = count * sizeof *x;
    bt_status status = d->backend->download(d, x, a, bytes);
    if (status == BT_OK) status = d->backend->download(d, x + count, b, bytes);
    if (status == BT_OK) status = d->backend->upload(d, a, x + count, bytes);
    if (status == BT_OK) status = d->backend->upload(d, b, x, bytes);
    if (status == BT_OK && copies) status = upload_as(d, copies, BT_BF16, x + count, (int64_t)count);
    free(x);
    return status;
}

bt_status bt_params_exchange_average(bt_params *s) {
    BT_ASSERT(s->device && s->averaged);
    if (s->flat_count) BT_TRY(exchange(s->device, s->masters, s->averages, s->copies, (size_t)s->flat_count));
    if (!s->buffer_bytes) return BT_OK;
    return exchange(s->device, s->frozen + s->buffer_begin, s->buffer_averages, NULL, s->buffer_bytes / sizeof(float));
}

size_t bt_params_bytes(const bt_params *s) {
    return s->frozen_bytes + (size_t)s->flat_count * (s->copies ? 6u : 4u);
}

size_t bt_params_optimizer_bytes(const bt_params *s) {
    return (size_t)s->flat_count * (s->averaged ? 16u : 12u);
}
