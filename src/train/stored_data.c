/* Labels and splits of stored embeddings. */
#include "train/stored_data.h"

#include "base/memory.h"
#include "data/stored_set.h"
#include "formats/hdf5.h"
#include "retrieval/embedding_file.h"

#include <string.h>

/** Splits of stored items: a byte each. */
static bt_status read_splits(const char *path, int64_t count, uint8_t **out) {
    bt_npy file;
    BT_TRY(bt_array_open(path, &file));
    bt_status status = BT_OK;
    if (file.rank != 1 || file.dtype != BT_FILE_U8 || file.count != count)
        status = bt_error(BT_ERR_SHAPE, "data.split: %s must hold %lld unsigned bytes, one for each item", path,
                          (long long)count);
    for (int64_t i = 0; status == BT_OK && i < count; i++)
        if (file.data[i] > 7)
            status = bt_error(BT_ERR_FORMAT,
                              "data.split: %s: item %lld is %d; allowed are sums of 1 train, 2 query, 4 database", path,
                              (long long)i, file.data[i]);
    if (status == BT_OK) *out = bt_memory_alloc((size_t)count, 1);
    if (status == BT_OK && !*out) status = BT_ERR_MEMORY;
    if (status == BT_OK) memcpy(*out, file.data, (size_t)count);
    bt_npy_close(&file);
    return status;
}

bt_status bt_stored_data(const bt_run_config *c, int64_t items, bt_dataset *out) {
    bt_label_file labels;
    uint8_t *splits = NULL;
    BT_TRY(bt_label_file_open(c->data.label, &labels));
    bt_status status = BT_OK;
    if (items >= 0 && labels.count != items)
        status = bt_error(BT_ERR_SHAPE, "data.label: %s has labels of %lld items, %s has %lld", c->data.label,
                          (long long)labels.count, c->data.root, (long long)items);
    if (status == BT_OK && *c->data.split) status = read_splits(c->data.split, labels.count, &splits);
    bt_stored_labels l = {.count = labels.count,
                          .class_count = labels.columns,
                          .classes = labels.classes,
                          .sets = labels.sets,
                          .splits = splits};
    for (int64_t i = 0; status == BT_OK && l.classes && i < l.count; i++)
        if (l.classes[i] >= l.class_count) l.class_count = l.classes[i] + 1;
    if (status == BT_OK && l.class_count > 1 << 20)
        status = bt_error(BT_ERR_FORMAT, "data.label: %s: the largest class number is %lld; number the classes from 0",
                          c->data.label, (long long)l.class_count - 1);
    if (status == BT_OK) status = bt_stored_set(c->data.root, &l, out);
    bt_memory_free(splits);
    bt_label_file_close(&labels);
    return status;
}
