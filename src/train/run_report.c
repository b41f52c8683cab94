/* Packs for reports; see run_report.h. */
#include "train/run_report.h"

#include "data/pack.h"
#include "report/run_report.h"

#include <string.h>

typedef struct source {
    bt_dataset data;
    bool open;
} source;

static bt_status open_pack(void *context, const char *pack) {
    source *s = context;
    BT_TRY(bt_dataset_open(&(bt_dataset_options){.root = pack, .format = BT_DATA_PACK}, &s->data));
    s->open = true;
    return BT_OK;
}

/** Whether `own`, a path within the pack, ends `path`, which was written with its line breaks replaced. */
static bool same_path(const char *own, const char *path) {
    size_t length = strlen(own), all = strlen(path);
    if (length > all) return false;
    path += all - length;
    for (size_t i = 0; i < length; i++)
        if (own[i] != path[i] && !(path[i] == '?' && (own[i] == '\n' || own[i] == '\r'))) return false;
    return true;
}

/** A pack that was made again may hold another picture in this row: then there is none. */
static bool find_picture(void *context, int64_t row, const char *path, bt_report_picture *out) {
    const source *s = context;
    if (row < 0 || row >= s->data.count || !same_path(s->data.paths[row], path)) return false;
    const uint8_t *image = bt_pack_image(&s->data, row);
    *out = (bt_report_picture){.bytes = image, .side = image ? s->data.pack->size : 0};
    if (!image) out->bytes = bt_pack_encoded(&s->data, row, &out->count);
    return out->bytes != NULL;
}

bt_status bt_run_report(const char *run) {
    source s = {.open = false};
    bt_status status = bt_report_write(run, &(bt_report_pack){&s, open_pack, find_picture});
    if (s.open) bt_dataset_close(&s.data);
    return status;
}
