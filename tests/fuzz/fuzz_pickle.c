/* Pickles: all values of an accepted one are looked at, and every tensor lies in its storage. */
#include "fuzz.h"

#include "formats/pickle.h"

static int visits;

static void look_tensor(const bt_pickle_tensor *t) {
    FUZZ_CHECK(t->rank >= 0 && t->rank <= BT_PICKLE_MAX_RANK && t->offset >= 0 && t->count >= 0);
    int64_t last = t->offset, count = 1, reach, end;
    for (int i = 0; i < t->rank; i++) {
        FUZZ_CHECK(t->dim[i] >= 0 && t->stride[i] >= 0 && (t->count == 0 || t->dim[i] > 0));
        if (t->count == 0) continue;
        FUZZ_CHECK(!__builtin_mul_overflow(t->dim[i] - 1, t->stride[i], &reach) &&
                   !__builtin_add_overflow(last, reach, &last));
        FUZZ_CHECK(!__builtin_mul_overflow(count, t->dim[i], &count));
    }
    if (t->count == 0) return;
    int64_t bytes = (int64_t)bt_file_dtype_bytes(t->dtype),
            have = t->storage->length * (int64_t)bt_file_dtype_bytes(t->storage->dtype);
    FUZZ_CHECK(count == t->count && last < INT64_MAX && !__builtin_mul_overflow(last + 1, bytes, &end) && end <= have);
}

static void look(const bt_pickle_value *v, int depth) {
    if (depth > 20 || ++visits > 20000) return; /* a list may hold itself */
    FUZZ_CHECK(bt_pickle_kind_name(v->kind));
    switch (v->kind) {
    case BT_PICKLE_TEXT:
    case BT_PICKLE_BYTES:
    case BT_PICKLE_LARGE:
        fuzz_touch(v->as.text.bytes, v->as.text.length);
        break;
    case BT_PICKLE_DICT:
        FUZZ_CHECK(v->as.list.count % 2 == 0); /* fall through */
    case BT_PICKLE_LIST:
    case BT_PICKLE_TUPLE:
        for (size_t i = 0; i < v->as.list.count; i++) look(v->as.list.item[i], depth + 1);
        break;
    case BT_PICKLE_TENSOR:
        look_tensor(v->as.tensor);
        break;
    case BT_PICKLE_STORAGE:
        FUZZ_CHECK(v->as.storage->first >= 0 && v->as.storage->length >= 0 &&
                   v->as.storage->first + v->as.storage->length <= v->as.storage->count);
        fuzz_touch(v->as.storage->key, v->as.storage->key_bytes);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    bt_pickle document = {.pushes = 0};
    bt_pickle_value *root = NULL;
    size_t used = 0;
    visits = 0;
    bt_status status = bt_pickle_read(&document, "input", 0, data, bytes, &root, &used);
    if (status == BT_OK) {
        FUZZ_CHECK(root && used >= 3 && used <= bytes && data[used - 1] == '.');
        look(root, 0);
        (void)bt_pickle_find(root, "little_endian");
    } else {
        FUZZ_CHECK_REFUSED(status);
    }
    bt_pickle_free(&document);
    return 0;
}
