/* Whose a file of external weights is: what the graph beside it says of its tensors. */
#include "formats/onnx.h"

#include "base/file.h"
#include "formats/protobuf.h"

#include <string.h>
#include <sys/stat.h>

/* Numbers of fields, of onnx.proto. */
enum { MODEL_PRODUCER = 2, MODEL_GRAPH = 7, GRAPH_TENSOR = 5, TENSOR_EXTERNAL = 13, ENTRY_KEY = 1, ENTRY_VALUE = 2 };

/** What the tensors of a graph say. */
typedef struct claim {
    const char *location;
    uint64_t end; /* of the last external tensor */
    bool fits;    /* all external tensors are at `location`, and everything could be read */
} claim;

static bool number_of(const bt_protobuf_span *text, uint64_t *out) {
    uint64_t value = 0;
    if (text->bytes == 0 || text->bytes > 18) return false; /* 18 digits do not overflow */
    for (size_t i = 0; i < text->bytes; i++) {
        if (text->at[i] < '0' || text->at[i] > '9') return false;
        value = 10 * value + (uint64_t)(text->at[i] - '0');
    }
    *out = value;
    return true;
}

/** One of location, offset and length. */
static bool read_entry(bt_protobuf_span entry, claim *c, uint64_t *offset, uint64_t *length) {
    bt_protobuf_span key = {NULL, 0}, value = {NULL, 0};
    for (bt_protobuf_field f; bt_protobuf_next(&entry, &f);) {
        if (f.number == ENTRY_KEY) key = f.content;
        if (f.number == ENTRY_VALUE) value = f.content;
    }
    if (entry.bytes) return false;
    if (bt_protobuf_is(&key, "location")) return bt_protobuf_is(&value, c->location);
    if (bt_protobuf_is(&key, "offset")) return number_of(&value, offset);
    if (bt_protobuf_is(&key, "length")) return number_of(&value, length);
    return false;
}

static void read_tensor(bt_protobuf_span tensor, claim *c) {
    uint64_t offset = 0, length = 0;
    for (bt_protobuf_field f; bt_protobuf_next(&tensor, &f);)
        if (f.number == TENSOR_EXTERNAL) c->fits = c->fits && read_entry(f.content, c, &offset, &length);
    c->fits = c->fits && tensor.bytes == 0;
    if (length && offset + length > c->end) c->end = offset + length;
}

static void read_graph(bt_protobuf_span graph, claim *c) {
    for (bt_protobuf_field f; bt_protobuf_next(&graph, &f);)
        if (f.number == GRAPH_TENSOR) read_tensor(f.content, c);
    c->fits = c->fits && graph.bytes == 0;
}

bool bt_onnx_is_data_of(const char *data_path, const char *path, const char *producer) {
    const char *slash = strrchr(data_path, '/');
    claim c = {.location = slash ? slash + 1 : data_path, .fits = true};
    bool ours = false;
    struct stat info;
    bt_file_map map;
    if (lstat(data_path, &info) != 0 || !S_ISREG(info.st_mode)) return false; /* a link is nothing that was written */
    if (bt_file_map_open(path, &map) != BT_OK) {
        bt_error_clear();
        return false;
    }
    bt_protobuf_span model = {map.data, map.bytes};
    for (bt_protobuf_field f; bt_protobuf_next(&model, &f);) {
        if (f.number == MODEL_PRODUCER) ours = bt_protobuf_is(&f.content, producer);
        if (f.number == MODEL_GRAPH) read_graph(f.content, &c);
    }
    bool whole = model.bytes == 0;
    bt_file_map_close(&map);
    return whole && ours && c.fits && c.end > 0 && c.end == (uint64_t)info.st_size;
}
