/* A graph to one file or two. Lengths stand before what they measure, so everything is measured first; then the weights
 * go from where they are to the file. */
#include "formats/onnx.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "formats/protobuf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXTERNAL_BYTES = 1024, PAGE = 4096, BLOCK_FLOATS = 1 << 16 };

/* ---- tensors ---- */

static uint64_t tensor_bytes(const bt_onnx_tensor *t) {
    uint64_t bytes = t->dtype == BT_ONNX_F32 ? 4 : t->dtype == BT_ONNX_I64 ? 8 : 1;
    for (int k = 0; k < t->rank; k++) bytes *= (uint64_t)t->dim[k];
    return bytes;
}

/** Shapes and small vectors stay in the graph: readers look at them before they open the second file. */
static bool is_external(const bt_onnx_tensor *t, bool external) {
    return external && t->dtype == BT_ONNX_F32 && tensor_bytes(t) >= EXTERNAL_BYTES;
}

static void put_entry(bt_text *tensor, const char *key, const char *value) {
    bt_text entry = {0};
    bt_protobuf_string(&entry, 1, key);
    bt_protobuf_string(&entry, 2, value);
    bt_protobuf_message(tensor, 13, &entry);
    bt_text_free(&entry);
}

/** TensorProto: dims 1, data_type 2, name 8, raw_data 9 (whose bytes the caller lets follow), external_data 13,
 * data_location 14 (EXTERNAL 1). `location`: of the second file, or NULL. */
static void put_tensor(bt_text *out, const bt_onnx_tensor *t, const char *location, uint64_t offset) {
    char number[24];
    bt_text_clear(out);
    for (int k = 0; k < t->rank; k++) bt_protobuf_integer(out, 1, t->dim[k]);
    bt_protobuf_integer(out, 2, t->dtype);
    bt_protobuf_string(out, 8, t->name);
    if (!location) {
        bt_protobuf_head(out, 9, tensor_bytes(t));
        return;
    }
    put_entry(out, "location", location);
    snprintf(number, sizeof number, "%" PRIu64, offset);
    put_entry(out, "offset", number);
    snprintf(number, sizeof number, "%" PRIu64, tensor_bytes(t));
    put_entry(out, "length", number);
    bt_protobuf_integer(out, 14, 1);
}

/** Columns of data (dim[1], dim[0]) as rows, in blocks. */
static bt_status append_transposed(bt_file_writer *writer, const bt_onnx_tensor *t) {
    int64_t columns = t->dim[0], rows = t->dim[1], most = BLOCK_FLOATS / rows;
    if (most < 1) most = 1;
    if (most > columns) most = columns;
    const float *data = t->data;
    float *block = bt_memory_alloc((size_t)(most * rows), sizeof *block);
    if (!block) return BT_ERR_MEMORY;
    bt_status status = BT_OK;
    for (int64_t first = 0; first < columns && status == BT_OK; first += most) {
        int64_t count = columns - first < most ? columns - first : most;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < count; c++) block[c * rows + r] = data[r * columns + first + c];
        status = bt_file_append(writer, block, (size_t)(count * rows) * sizeof *block);
    }
    bt_memory_free(block);
    return status;
}

static bt_status append_values(bt_file_writer *writer, const bt_onnx_tensor *t) {
    return t->transposed ? append_transposed(writer, t) : bt_file_append(writer, t->data, (size_t)tensor_bytes(t));
}

/* ---- the graph ---- */

typedef struct output {
    const bt_onnx_graph *g;
    const char *location; /* of the second file, as the first names it; NULL: there is one */
    bt_file_writer *model, *data;
    uint64_t graph_bytes, model_bytes, data_bytes; /* of the field, of the files */
    uint64_t data_written;
} output;

/** Calls `visit` with the head of each tensor and sets data_bytes to the end of the second file. */
static bt_status each_tensor(output *o, bt_text *head,
                             bt_status (*visit)(output *o, const bt_onnx_tensor *t, const bt_text *head, bool inside)) {
    o->data_bytes = 0;
    bt_status status = BT_OK;
    for (size_t i = 0; i < o->g->count && status == BT_OK; i++) {
        const bt_onnx_tensor *t = &o->g->tensors[i];
        bool inside = !is_external(t, o->location != NULL);
        if (!inside) o->data_bytes = (o->data_bytes + PAGE - 1) / PAGE * PAGE;
        put_tensor(head, t, inside ? NULL : o->location, o->data_bytes);
        status = bt_text_status(head);
        if (status == BT_OK) status = visit(o, t, head, inside);
        if (!inside) o->data_bytes += tensor_bytes(t);
    }
    return status;
}

/** GraphProto.initializer 5: key and length, head, values. */
static bt_status measure(output *o, const bt_onnx_tensor *t, const bt_text *head, bool inside) {
    bt_text key = {0};
    uint64_t bytes = head->length + (inside ? tensor_bytes(t) : 0);
    bt_protobuf_head(&key, 5, bytes);
    o->graph_bytes += key.length + bytes;
    bt_status status = bt_text_status(&key);
    bt_text_free(&key);
    return status;
}

static bt_status append(output *o, const bt_onnx_tensor *t, const bt_text *head, bool inside) {
    bt_text key = {0};
    bt_protobuf_head(&key, 5, head->length + (inside ? tensor_bytes(t) : 0));
    bt_status status = bt_text_status(&key);
    if (status == BT_OK) status = bt_file_append(o->model, bt_text_get(&key), key.length);
    if (status == BT_OK) status = bt_file_append(o->model, bt_text_get(head), head->length);
    if (status == BT_OK && inside) status = append_values(o->model, t);
    bt_text_free(&key);
    return status;
}

static bt_status append_outside(output *o, const bt_onnx_tensor *t, const bt_text *head, bool inside) {
    static const char zeros[PAGE];
    (void)head;
    if (inside) return BT_OK;
    uint64_t gap = o->data_bytes - o->data_written;
    BT_TRY(bt_file_append(o->data, zeros, (size_t)gap));
    o->data_written = o->data_bytes + tensor_bytes(t);
    return append_values(o->data, t);
}

/** What stands before and behind the tensors, in the order of the fields' numbers, which is that of other writers too.
 */
typedef struct frame {
    bt_text front, tail, scratch;
} frame;

static void free_frame(frame *f) {
    bt_text_free(&f->front);
    bt_text_free(&f->tail);
    bt_text_free(&f->scratch);
}

/** ModelProto behind its graph: opset_import 8 (version 2), metadata_props 14 (key 1, value 2). */
static void put_tail(bt_text *out, const bt_onnx_description *d) {
    bt_text part = {0};
    bt_protobuf_integer(&part, 2, BT_ONNX_OPSET);
    bt_protobuf_message(out, 8, &part);
    for (int i = 0; i < d->metadata_count; i++) {
        bt_text_clear(&part);
        bt_protobuf_string(&part, 1, d->metadata[i].key);
        bt_protobuf_string(&part, 2, d->metadata[i].value);
        bt_protobuf_message(out, 14, &part);
    }
    bt_text_free(&part);
}

/** ModelProto: ir_version 1, producer_name 2, producer_version 3, doc_string 6, then graph 7 with nodes 1 and name 2.
 */
static bt_status make_frame(output *o, const bt_onnx_description *d, frame *f) {
    const bt_onnx_graph *g = o->g;
    if (g->failed) return bt_error(BT_ERR_MEMORY, "out of memory for an ONNX graph");
    bt_text_clear(&f->front);
    bt_text_clear(&f->tail);
    bt_text name = {0};
    bt_protobuf_string(&name, 2, d->name);
    o->graph_bytes = g->nodes.length + name.length + g->inputs.length + g->outputs.length;
    bt_status status = each_tensor(o, &f->scratch, measure);
    bt_protobuf_integer(&f->front, 1, BT_ONNX_IR);
    bt_protobuf_string(&f->front, 2, d->producer);
    bt_protobuf_string(&f->front, 3, d->version);
    bt_protobuf_string(&f->front, 6, d->text);
    bt_protobuf_head(&f->front, 7, o->graph_bytes);
    put_tail(&f->tail, d);
    o->model_bytes = f->front.length + o->graph_bytes + f->tail.length;
    bt_text_append_bytes(&f->front, bt_text_get(&g->nodes), g->nodes.length);
    bt_text_append_bytes(&f->front, bt_text_get(&name), name.length);
    f->front.failed = f->front.failed || name.failed || f->tail.failed;
    bt_text_free(&name);
    return status == BT_OK ? bt_text_status(&f->front) : status;
}

static bt_status append_text(bt_file_writer *writer, const bt_text *text) {
    return bt_file_append(writer, bt_text_get(text), text->length);
}

static bt_status append_model(output *o, frame *f) {
    BT_TRY(append_text(o->model, &f->front));
    BT_TRY(each_tensor(o, &f->scratch, append));
    BT_TRY(append_text(o->model, &o->g->inputs));
    BT_TRY(append_text(o->model, &o->g->outputs));
    return append_text(o->model, &f->tail);
}

/** Everything is on the disk before the first of two files gets its name. */
static bt_status write_files(output *o, frame *f, const char *path, const char *data_path) {
    bt_file_writer model, data = {.fd = -1};
    BT_TRY(bt_file_begin(path, &model));
    o->model = &model;
    o->data = &data;
    bt_status status = append_model(o, f);
    if (status == BT_OK && o->location) {
        status = bt_file_begin(data_path, &data);
        if (status == BT_OK) status = each_tensor(o, &f->scratch, append_outside);
        if (status == BT_OK) status = bt_file_flush(&data);
        if (status == BT_OK) status = bt_file_flush(&model);
        if (status == BT_OK) status = bt_file_commit(&data);
    }
    if (status == BT_OK) return bt_file_commit(&model);
    bt_file_abandon(&data);
    bt_file_abandon(&model);
    return status;
}

/** Neither name may be a folder's: then both renames succeed. */
static bt_status check_names(const char *path, const char *data_path, bool external) {
    const char *folder = bt_file_is_folder(path) ? path : external && bt_file_is_folder(data_path) ? data_path : NULL;
    return folder ? bt_error(BT_ERR_IO, "cannot write %s: it is a folder", folder) : BT_OK;
}

/** Removes the weights of the graph that was replaced. The new one is whole without: a failure is a warning. */
static bt_onnx_beside clear_beside(const char *data_path, bool stale) {
    if (!bt_file_exists(data_path)) return BT_ONNX_ALONE;
    if (!stale) return BT_ONNX_LEFT;
    if (unlink(data_path) == 0) return BT_ONNX_REMOVED;
    (void)bt_file_error("remove", data_path, errno);
    bt_log_warn("%s", bt_error_message());
    bt_error_clear();
    return BT_ONNX_LEFT;
}

/** `o` measured and ready. */
static bt_status replace(output *o, frame *f, const bt_onnx_description *d, const char *path, const char *data_path,
                         bt_onnx_written *out) {
    bool external = o->location != NULL;
    BT_TRY(check_names(path, data_path, external));
    bool stale = !external && bt_onnx_is_data_of(data_path, path, d->producer); /* before that graph is gone */
    BT_TRY(write_files(o, f, path, data_path));
    *out = (bt_onnx_written){.bytes = (double)(o->model_bytes + o->data_bytes),
                             .external = external,
                             .beside = external ? BT_ONNX_ALONE : clear_beside(data_path, stale)};
    return BT_OK;
}

bt_status bt_onnx_write(const bt_onnx_graph *g, const bt_onnx_description *d, const char *path, bt_onnx_written *out) {
    uint64_t most = d->most ? d->most : INT32_MAX;
    frame f = {0};
    bt_text data_path = {0};
    bt_text_append(&data_path, "%s" BT_ONNX_DATA_SUFFIX, path);
    const char *slash = strrchr(bt_text_get(&data_path), '/'), *second = slash ? slash + 1 : bt_text_get(&data_path);
    output o = {.g = g, .location = d->external ? second : NULL};
    bt_status status = bt_text_status(&data_path);
    if (status == BT_OK) status = make_frame(&o, d, &f);
    if (status == BT_OK && !o.location && o.model_bytes > most) {
        o.location = second;
        status = make_frame(&o, d, &f);
    }
    if (status == BT_OK && o.model_bytes > most)
        status = bt_error(BT_ERR_UNSUPPORTED,
                          "cannot write %s: its graph has %.0f bytes without the weights; %.0f are the most that a "
                          "protocol buffer may have",
                          path, (double)o.model_bytes, (double)most);
    if (status == BT_OK) status = replace(&o, &f, d, path, bt_text_get(&data_path), out);
    free_frame(&f);
    bt_text_free(&data_path);
    return status;
}
