/* Storages and tensors of a pickle; see pickle.h. Every number is checked against the storage's elements here, so that
 * later code can add and multiply without looking. */
#include "base/memory.h"
#include "formats/pickle_local.h"

typedef bt_pickle_machine machine;
typedef bt_pickle_value value;

static bt_status damaged(const machine *m, const char *what) {
    return bt_pickle_error(m, "%s is not as torch.save writes it; the pickle is damaged", what);
}

/* ---- storages ---- */

/** (view's key, first, length): older files share a storage this way. */
static bt_status read_view(const machine *m, const value *view, bt_pickle_storage *s) {
    if (view->kind == BT_PICKLE_NONE) return BT_OK;
    if (view->kind != BT_PICKLE_TUPLE || view->as.list.count != 3) return damaged(m, "the view of a storage");
    const value *first = view->as.list.item[1], *length = view->as.list.item[2];
    if (first->kind != BT_PICKLE_INTEGER || length->kind != BT_PICKLE_INTEGER)
        return damaged(m, "the view of a storage");
    s->first = first->as.integer;
    s->length = length->as.integer;
    if (s->first < 0 || s->length < 0 || s->length > s->count - s->first)
        return bt_pickle_error(m, "a view of %lld elements from element %lld of a storage of %lld",
                               (long long)s->length, (long long)s->first, (long long)s->count);
    return BT_OK;
}

bt_status bt_pickle_storage_of(machine *m, const value *id, value **out) {
    if (id->kind != BT_PICKLE_TUPLE || id->as.list.count < 5 || id->as.list.count > 6 ||
        !bt_pickle_is_text(id->as.list.item[0], "storage"))
        return damaged(m, "an outside object (a persistent id)");
    value *const *item = id->as.list.item;
    bt_file_dtype dtype = BT_FILE_DTYPE_COUNT;
    if (!bt_pickle_storage_type(item[1], &dtype)) return damaged(m, "the type of a storage");
    if (item[2]->kind != BT_PICKLE_TEXT || item[2]->as.text.length == 0 || item[3]->kind != BT_PICKLE_TEXT ||
        item[4]->kind != BT_PICKLE_INTEGER)
        return damaged(m, "a storage");
    bt_pickle_storage *s = bt_arena_alloc(&m->document->arena, 1, sizeof *s);
    value *v = bt_pickle_new(m, BT_PICKLE_STORAGE);
    if (!s || !v) return BT_ERR_MEMORY;
    *s = (bt_pickle_storage){.dtype = dtype == BT_FILE_DTYPE_COUNT ? BT_FILE_U8 : dtype,
                             .key = item[2]->as.text.bytes,
                             .key_bytes = item[2]->as.text.length};
    s->count = s->length = item[4]->as.integer;
    s->at = v->at;
    int64_t bytes;
    if (s->count < 0 || __builtin_mul_overflow(s->count, (int64_t)bt_file_dtype_bytes(s->dtype), &bytes))
        return bt_pickle_error(m, "a storage of %lld elements", (long long)s->count);
    if (id->as.list.count == 6) BT_TRY(read_view(m, item[5], s));
    bt_pickle *d = m->document;
    if (d->storage_count == d->storage_capacity) {
        void *grown = bt_memory_grow(d->storages, &d->storage_capacity, d->storage_count + 1, sizeof *d->storages);
        if (!grown) return BT_ERR_MEMORY;
        d->storages = grown;
    }
    d->storages[d->storage_count++] = s;
    v->as.storage = s;
    *out = v;
    return BT_OK;
}

/* ---- tensors ---- */

/** A shape or strides: a tuple (or list) of whole numbers, none negative. */
static bt_status read_numbers(const machine *m, const value *list, const char *what, int64_t *out, int *out_count) {
    if (list->kind != BT_PICKLE_TUPLE && list->kind != BT_PICKLE_LIST) return damaged(m, what);
    if (list->as.list.count > BT_PICKLE_MAX_RANK)
        return bt_pickle_error(m, "a tensor of %zu axes; at most %d are read", list->as.list.count, BT_PICKLE_MAX_RANK);
    for (size_t i = 0; i < list->as.list.count; i++) {
        const value *number = list->as.list.item[i];
        if (number->kind != BT_PICKLE_INTEGER) return damaged(m, what);
        if (number->as.integer < 0)
            return bt_pickle_error(m, "%s holds %lld, which is negative", what, (long long)number->as.integer);
        out[i] = number->as.integer;
    }
    *out_count = (int)list->as.list.count;
    return BT_OK;
}

/** The number of elements, and that the last of them lies in the storage. */
static bt_status check_extent(const machine *m, bt_pickle_tensor *t, int64_t available) {
    int64_t bytes = (int64_t)bt_file_dtype_bytes(t->dtype), last = t->offset;
    bool fits = true;
    for (int i = 0; i < t->rank; i++) {
        int64_t reach;
        if (t->dim[i] == 0) return BT_OK; /* no elements: `count` stays 0 */
        fits = fits && !__builtin_mul_overflow(bytes, t->dim[i], &bytes);
        fits = fits && !__builtin_mul_overflow(t->dim[i] - 1, t->stride[i], &reach) &&
               !__builtin_add_overflow(last, reach, &last);
    }
    if (!fits) return bt_pickle_error(m, "shape, strides and offset of a tensor overflow 63 bits");
    if (last >= available)
        return bt_pickle_error(m, "a tensor reaches to element %lld of a storage of %lld", (long long)last,
                               (long long)available);
    t->count = bytes / (int64_t)bt_file_dtype_bytes(t->dtype);
    return BT_OK;
}

/** Flags of _rebuild_tensor_v2 beside the elements: negated or conjugated views, whose bytes are not their values. */
static bool plain_flags(const value *arguments, size_t index) {
    const value *flags = index < arguments->as.list.count ? arguments->as.list.item[index] : NULL;
    return !flags || flags->kind == BT_PICKLE_NONE || (flags->kind == BT_PICKLE_DICT && flags->as.list.count == 0);
}

bt_status bt_pickle_tensor_of(machine *m, const value *arguments, bt_file_dtype dtype, value **out) {
    value *const *item = arguments->as.list.item;
    bool typed = dtype != BT_FILE_DTYPE_COUNT;
    if (arguments->as.list.count < 4 || arguments->as.list.count > 8) return damaged(m, "a tensor");
    if (item[0]->kind != BT_PICKLE_STORAGE || item[1]->kind != BT_PICKLE_INTEGER)
        return damaged(m, "a tensor's storage or offset");
    if (!plain_flags(arguments, typed ? 7 : 6))
        return bt_pickle_error(m, "a tensor that is negated or conjugated when it is read; save it with .clone()");
    bt_pickle_tensor *t = bt_arena_alloc(&m->document->arena, 1, sizeof *t);
    value *v = bt_pickle_new(m, BT_PICKLE_TENSOR);
    if (!t || !v) return BT_ERR_MEMORY;
    const bt_pickle_storage *s = item[0]->as.storage;
    *t = (bt_pickle_tensor){.storage = s, .dtype = typed ? dtype : s->dtype, .offset = item[1]->as.integer};
    if (t->offset < 0) return bt_pickle_error(m, "a tensor's offset is %lld, which is negative", (long long)t->offset);
    int strides = 0;
    BT_TRY(read_numbers(m, item[2], "a tensor's shape", t->dim, &t->rank));
    BT_TRY(read_numbers(m, item[3], "a tensor's strides", t->stride, &strides));
    if (strides != t->rank) return bt_pickle_error(m, "a tensor of %d axes with %d strides", t->rank, strides);
    int64_t bytes = s->length * (int64_t)bt_file_dtype_bytes(s->dtype);
    BT_TRY(check_extent(m, t, bytes / (int64_t)bt_file_dtype_bytes(t->dtype)));
    v->as.tensor = t;
    *out = v;
    return BT_OK;
}
