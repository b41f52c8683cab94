/* Planning first, then memory. */
#include "encoder/engine_room.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { SIZE_BYTES = 32 };

static const char *size_text(double bytes, char text[SIZE_BYTES]) {
    static const char *const unit[] = {"KiB", "MiB", "GiB"};
    int k = 0;
    for (bytes /= 1024; bytes >= 1024 && k < 2; k++) bytes /= 1024;
    snprintf(text, SIZE_BYTES, "%.1f %s", bytes, unit[k]);
    return text;
}

static bt_status plan(bt_engine *e, const bt_engine_options *o, int batch) {
    return bt_session_plan(&e->session, &e->model, e->device,
                           &(bt_session_options){.compute = o->dtype, .embed_batch = batch});
}

/** What there is on the engine's device, as far as that is known. */
static uint64_t room_of(const bt_engine *e) {
    return strcmp(e->device->backend->name, "cpu") == 0 ? bt_memory_room("") : UINT64_MAX;
}

/** The system gives out more memory than it has, and ends processes that use it: so what there is is compared first. */
static bt_status take(bt_engine *e) {
    return e->session.block_bytes > room_of(e) ? BT_ERR_MEMORY : bt_session_bind(&e->session);
}

/** Whether a plan's block could be had. It is not touched: on the processor that alone would take seconds. */
static bool fits(bt_engine *e) {
    const bt_backend *backend = e->device->backend;
    size_t bytes = e->session.block_bytes;
    void *block = NULL;
    if (bytes > room_of(e)) return false;
    if (room_of(e) != UINT64_MAX) {
        block = bt_memory_alloc(bytes, 1);
        bt_memory_free(block);
        return block != NULL;
    }
    if (backend->alloc(e->device, bytes, &block) != BT_OK) return false;
    backend->free(e->device, block);
    return true;
}

/** Sets the message of a failure: what was wanted, what there is, the batch that fits. Ends with the session closed. */
static bt_status refuse(bt_engine *e, const bt_engine_options *o) {
    int side = e->info.vit.image, batch = o->batch;
    char wanted[SIZE_BYTES], least[SIZE_BYTES], there[SIZE_BYTES], room_text[64] = "";
    uint64_t room = room_of(e);
    bool found = false;
    size_text((double)e->session.block_bytes, wanted);
    if (e->session.block_bytes > room)
        snprintf(room_text, sizeof room_text, ", and there are %s", size_text((double)room, there));
    while (!found && batch > 1) {
        batch /= 2;
        bt_session_close(&e->session);
        BT_TRY(plan(e, o, batch));
        found = fits(e);
    }
    size_text((double)e->session.block_bytes, least);
    bt_session_close(&e->session);
    if (found)
        return bt_error(BT_ERR_MEMORY,
                        "embedding at %d x %d in batches of %d takes %s of memory, more than can be had%s; "
                        "batch %d fits, with %s",
                        side, side, o->batch, wanted, room_text, batch, least);
    return bt_error(BT_ERR_MEMORY,
                    "embedding at %d x %d in batches of %d takes %s of memory, more than can be had%s; "
                    "one picture takes %s: make the pictures smaller",
                    side, side, o->batch, wanted, room_text, least);
}

bt_status bt_engine_reserve(bt_engine *e, const bt_engine_options *o) {
    char size[SIZE_BYTES];
    BT_TRY(plan(e, o, o->batch));
    if (o->tell)
        bt_log_info("embedding at %d x %d: %d tokens a picture, %s for batches of %d", e->info.vit.image,
                    e->info.vit.image, bt_vit_token_count(&e->info.vit),
                    size_text((double)e->session.block_bytes, size), o->batch);
    bt_status status = take(e);
    return status == BT_ERR_MEMORY ? refuse(e, o) : status;
}
