/* Tensors of a PyTorch pickle: names from the dictionaries around them, bytes from their storages. */
#include "formats/weights_torch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 64                 /* containers within each other */
#define MAX_VISITS ((size_t)8 << 20) /* a container may be reached by many ways, each with names of its own */

typedef struct walk {
    bt_weights *weights;
    const bt_torch_file *file;
    char name[BT_WEIGHTS_MAX_NAME + 1];
    size_t name_bytes;
    const bt_pickle_value *nameless; /* a key above that cannot be part of a name */
    size_t visits;
    int depth;
} walk;

static bt_status wrong(const walk *k, const bt_pickle_value *v, const char *what) {
    return bt_error(BT_ERR_FORMAT, "%s: byte %zu: %s (at %.200s)", k->file->where, v->at, what,
                    k->name_bytes ? k->name : "the top");
}

/* ---- bytes of a tensor ---- */

static bool is_contiguous(const bt_pickle_tensor *t) {
    int64_t expected = 1;
    for (int i = t->rank; i-- > 0;) {
        if (t->dim[i] != 1 && t->stride[i] != expected) return false;
        expected *= t->dim[i];
    }
    return true;
}

/** A row of elements that lie `step` bytes apart; the constant sizes become single moves. */
static void gather(unsigned char *out, const unsigned char *from, int64_t count, size_t step, size_t bytes) {
    for (int64_t i = 0; i < count; i++, from += step, out += bytes) {
        if (bytes == 4)
            memcpy(out, from, 4);
        else if (bytes == 2)
            memcpy(out, from, 2);
        else if (bytes == 8)
            memcpy(out, from, 8);
        else
            *out = *from;
    }
}

/** All elements in row-major order; `from` is the first. */
static void make_contiguous(const bt_pickle_tensor *t, const unsigned char *from, unsigned char *out) {
    size_t bytes = bt_file_dtype_bytes(t->dtype);
    int last = t->rank - 1;
    int64_t row[BT_PICKLE_MAX_RANK] = {0}, rows = t->count / t->dim[last], at = 0;
    for (int64_t r = 0; r < rows; r++) {
        gather(out, from + (size_t)at * bytes, t->dim[last], (size_t)t->stride[last] * bytes, bytes);
        out += (size_t)t->dim[last] * bytes;
        for (int i = last - 1; i >= 0; i--) {
            at += t->stride[i];
            if (++row[i] < t->dim[i]) break;
            at -= t->stride[i] * t->dim[i];
            row[i] = 0;
        }
    }
}

static bt_status add_tensor(walk *k, const bt_pickle_value *v, const bt_pickle_tensor *t) {
    if (k->nameless)
        return bt_error(
            BT_ERR_FORMAT,
            "%s: byte %zu: a tensor lies under a key that is %s (at %.200s); keys of weights are text or whole numbers",
            k->file->where, k->nameless->at, bt_pickle_kind_name(k->nameless->kind),
            k->name_bytes ? k->name : "the top");
    const bt_pickle_storage *s = t->storage;
    bt_weight w = {.dtype = t->dtype, .rank = t->rank, .count = t->count, .file = k->file->path};
    uint64_t offset = 0;
    BT_TRY(k->file->locate(k->file, s, &offset));
    memcpy(w.dim, t->dim, sizeof w.dim);
    w.bytes = (size_t)t->count * bt_file_dtype_bytes(t->dtype);
    if (t->count)
        offset +=
            (uint64_t)s->first * bt_file_dtype_bytes(s->dtype) + (uint64_t)t->offset * bt_file_dtype_bytes(t->dtype);
    w.offset = offset;
    if (t->count && is_contiguous(t)) {
        w.data = k->file->data + offset;
    } else if (t->count) {
        void *copy = NULL;
        char where[512];
        snprintf(where, sizeof where, "%s: byte %zu: tensor %.200s", k->file->where, v->at, k->name);
        BT_TRY(bt_weights_block(k->weights, where, w.bytes, &copy));
        make_contiguous(t, k->file->data + offset, copy);
        w.data = copy;
        w.copied = true;
    }
    return bt_weights_add(k->weights, k->file->where, &w, k->name_bytes ? k->name : "tensor",
                          k->name_bytes ? k->name_bytes : 6);
}

/** A storage that is no tensor's alone, all of it as one axis. */
static bt_status add_storage(walk *k, const bt_pickle_value *v) {
    const bt_pickle_storage *s = v->as.storage;
    bt_pickle_tensor t = {
        .storage = s, .dtype = s->dtype, .rank = 1, .dim = {s->length}, .stride = {1}, .count = s->length};
    return add_tensor(k, v, &t);
}

/* ---- names ---- */

static bt_status add_note(walk *k, const bt_pickle_value *v) {
    char text[40];
    int length = 0;
    if (k->nameless || k->weights->note_count >= BT_WEIGHTS_MAX_NOTES) return BT_OK;
    if (v->kind == BT_PICKLE_TEXT && v->as.text.length > BT_WEIGHTS_MAX_NOTE_BYTES) return BT_OK;
    if (v->kind == BT_PICKLE_TEXT)
        return bt_weights_add_note(k->weights, k->name, k->name_bytes, v->as.text.bytes, v->as.text.length);
    if (v->kind == BT_PICKLE_BOOL) length = snprintf(text, sizeof text, "%s", v->as.boolean ? "true" : "false");
    if (v->kind == BT_PICKLE_INTEGER) length = snprintf(text, sizeof text, "%" PRId64, v->as.integer);
    if (v->kind == BT_PICKLE_NUMBER) length = snprintf(text, sizeof text, "%.17g", v->as.number);
    return length ? bt_weights_add_note(k->weights, k->name, k->name_bytes, text, (size_t)length) : BT_OK;
}

static bt_status extend(walk *k, const bt_pickle_value *v, const char *part, size_t bytes) {
    size_t dot = k->name_bytes ? 1 : 0;
    if (bytes > BT_WEIGHTS_MAX_NAME - k->name_bytes - dot || k->name_bytes + dot > BT_WEIGHTS_MAX_NAME)
        return wrong(k, v, "a name of over 1000 bytes");
    if (dot) k->name[k->name_bytes++] = '.';
    if (bytes) memcpy(k->name + k->name_bytes, part, bytes);
    k->name_bytes += bytes;
    k->name[k->name_bytes] = 0;
    return BT_OK;
}

static bt_status visit(walk *k, const bt_pickle_value *v, bool in_list);

/** The member `item` under `key`; the name is as before afterwards. */
static bt_status visit_pair(walk *k, const bt_pickle_value *key, const bt_pickle_value *item) {
    char number[24];
    size_t before = k->name_bytes;
    const bt_pickle_value *nameless = k->nameless;
    if (key->kind == BT_PICKLE_TEXT)
        BT_TRY(extend(k, key, key->as.text.bytes, key->as.text.length));
    else if (key->kind == BT_PICKLE_INTEGER)
        BT_TRY(extend(k, key, number, (size_t)snprintf(number, sizeof number, "%" PRId64, key->as.integer)));
    else if (!nameless)
        k->nameless = key;
    BT_TRY(visit(k, item, false));
    k->nameless = nameless;
    k->name_bytes = before;
    k->name[before] = 0;
    return BT_OK;
}

static bt_status visit_list(walk *k, const bt_pickle_value *v) {
    char number[24];
    size_t before = k->name_bytes;
    for (size_t i = 0; i < v->as.list.count; i++) {
        const bt_pickle_value *item = v->as.list.item[i];
        if (item->kind < BT_PICKLE_LIST || item->kind == BT_PICKLE_NAME || item->kind == BT_PICKLE_PLAIN)
            continue; /* holds no tensor */
        BT_TRY(extend(k, item, number, (size_t)snprintf(number, sizeof number, "%zu", i)));
        BT_TRY(visit(k, item, true));
        k->name_bytes = before;
        k->name[before] = 0;
    }
    k->visits += v->as.list.count;
    return BT_OK;
}

static bt_status visit(walk *k, const bt_pickle_value *v, bool in_list) {
    if (++k->visits > MAX_VISITS) return wrong(k, v, "containers that hold each other in millions of ways");
    if (v->kind == BT_PICKLE_TENSOR) return add_tensor(k, v, v->as.tensor);
    if (v->kind == BT_PICKLE_STORAGE) return add_storage(k, v);
    bool list = v->kind == BT_PICKLE_LIST || v->kind == BT_PICKLE_TUPLE;
    if (!list && v->kind != BT_PICKLE_DICT) return in_list ? BT_OK : add_note(k, v);
    if (k->depth == MAX_DEPTH) return wrong(k, v, "over 64 containers within each other, or one that holds itself");
    k->depth++;
    if (list) BT_TRY(visit_list(k, v));
    for (size_t i = 0; !list && i < v->as.list.count; i += 2)
        BT_TRY(visit_pair(k, v->as.list.item[i], v->as.list.item[i + 1]));
    k->depth--;
    return BT_OK;
}

bt_status bt_torch_add(bt_weights *w, const bt_torch_file *file, const bt_pickle_value *root) {
    walk k = {.weights = w, .file = file};
    size_t before = w->count;
    BT_TRY(visit(&k, root, false));
    if (w->count > before) return BT_OK;
    return bt_error(BT_ERR_FORMAT, "%s: holds %s and no tensors; no weights were saved in this file", file->where,
                    bt_pickle_kind_name(root->kind));
}
