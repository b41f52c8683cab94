/* The files of an embedding and how far it is. */
#include "encoder/embed_state.h"

#include "base/file.h"
#include "base/memory.h"
#include "formats/json.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 + 32, VERSION = 1 };

static const char *const names[FILES] = {"embeddings.npy", "codes.npy", "logits.npy",
                                         "labels.npy",     "paths.txt", "damaged.txt"};

bool bt_embed_is_hdf5(const bt_embed_options *o) {
    size_t length = strlen(o->out);
    return length > 3 && strcmp(o->out + length - 3, ".h5") == 0;
}

/** Length of OUT without ".npy" or ".h5". */
static int stem(const embedding *e) {
    return (int)strlen(e->o->out) - (bt_embed_is_hdf5(e->o) ? 3 : 4);
}

static bt_status work_path(const embedding *e, const char *name, char path[PATH_BYTES]) {
    int length = snprintf(path, PATH_BYTES, "%.*s.work/%s", stem(e), e->o->out, name);
    return length < PATH_BYTES ? BT_OK : bt_error(BT_ERR_IO, "%s: the path is too long", e->o->out);
}

static bool wanted(const embedding *e, int file) {
    switch (file) {
    case FILE_EMBEDDINGS:
        return !e->o->skip_embeddings;
    case FILE_CODES:
        return e->o->codes;
    case FILE_LOGITS:
        return e->o->logits;
    case FILE_LABELS:
        return e->sources.labelled;
    default:
        return true;
    }
}

/** Everything that decides the bits of the files and what they become, in one line. */
static void describe(const embedding *e, bt_text *out) {
    const bt_picture_rule *r = &e->engine.info.pictures;
    char fill[16];
    snprintf(fill, sizeof fill, " %02x%02x%02x", r->fill[0], r->fill[1], r->fill[2]);
    bt_text_append(out,
                   "model %08x, pictures %08x (%" PRId64
                   "), size %d of %d %s %s %s%s%s, batch %d, device %s, dtype %s, threads %d,%s%s%s damaged %s%s",
                   (unsigned)e->engine.crc, (unsigned)e->sources.crc, e->sources.set.count, e->engine.info.vit.image,
                   r->resize, bt_resize_mode_names[r->mode], bt_filter_names[r->filter], bt_center_names[r->center], fill,
                   e->engine.info.orientation == BT_ORIENTATION_APPLY ? " upright" : "", e->engine.batch,
                   e->o->engine.device, e->o->engine.dtype == BT_BF16 ? "bf16" : "f32", e->o->engine.threads,
                   e->o->skip_embeddings ? "" : " embeddings,", e->o->codes ? " codes," : "",
                   e->o->logits ? " logits," : "", e->o->skip_damaged ? "skipped" : "fatal",
                   bt_embed_is_hdf5(e->o) ? ", HDF5" : "");
}

/* ---- state.json ---- */

static bt_status read_members(const bt_json_value *root, const char *settings, embed_state *s) {
    int64_t version;
    const char *found;
    const bt_json_value *bytes, *item;
    BT_TRY(bt_json_get_integer(root, "version", VERSION, VERSION, &version));
    BT_TRY(bt_json_get_string(root, "settings", &found));
    if (strcmp(found, settings) != 0)
        return bt_error(BT_ERR_CONFIG,
                        "%s: the interrupted work was begun otherwise; begin anew without --resume (then: %s; now: %s)",
                        bt_json_name(root->document), found, settings);
    BT_TRY(bt_json_get_integer(root, "done", 0, INT64_MAX, &s->done));
    BT_TRY(bt_json_get_integer(root, "rows", 0, s->done, &s->rows));
    BT_TRY(bt_json_get_integer(root, "damaged", 0, s->done, &s->damaged));
    BT_TRY(bt_json_get(root, "bytes", BT_JSON_ARRAY, &bytes));
    for (size_t i = 0; i < FILES; i++) {
        BT_TRY(bt_json_at(bytes, i, &item));
        BT_TRY(bt_json_as_integer(item, 0, INT64_MAX >> 1, &s->bytes[i]));
    }
    return BT_OK;
}

/** The saved state; nothing done if there is none. */
static bt_status read_state(embedding *e) {
    char path[PATH_BYTES];
    BT_TRY(work_path(e, "state.json", path));
    if (!bt_file_exists(path)) return BT_OK;
    bt_json *json;
    bt_text settings = {0};
    BT_TRY(bt_json_read(path, &json));
    describe(e, &settings);
    embed_state s = {.done = 0};
    bt_status status = bt_text_status(&settings);
    if (status == BT_OK) status = read_members(bt_json_root(json), bt_text_get(&settings), &s);
    bool whole = s.done == e->sources.set.count || (s.done < e->sources.set.count && s.done % e->engine.batch == 0);
    if (status == BT_OK && (!whole || s.rows + s.damaged != s.done))
        status = bt_error(BT_ERR_FORMAT,
                          "%s: %" PRId64 " pictures, %" PRId64 " rows and %" PRId64
                          " damaged do not fit together; begin anew without --resume",
                          path, s.done, s.rows, s.damaged);
    if (status == BT_OK) e->state = s;
    bt_json_free(json);
    bt_text_free(&settings);
    return status;
}

bt_status bt_embed_state_save(embedding *e) {
    char path[PATH_BYTES];
    BT_TRY(work_path(e, "state.json", path));
    for (int i = 0; i < FILES; i++) {
        if (e->file[i].fd < 0) continue; /* not wanted, or it has its final name */
        BT_TRY(bt_growing_sync(&e->file[i]));
        e->state.bytes[i] = e->file[i].bytes;
    }
    bt_text text = {0}, settings = {0};
    describe(e, &settings);
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_integer(&w, "version", VERSION);
    bt_json_member_string(&w, "settings", bt_text_get(&settings));
    bt_json_member_integer(&w, "done", e->state.done);
    bt_json_member_integer(&w, "rows", e->state.rows);
    bt_json_member_integer(&w, "damaged", e->state.damaged);
    bt_json_key(&w, "bytes");
    bt_json_begin_array(&w);
    for (int i = 0; i < FILES; i++) bt_json_put_integer(&w, e->state.bytes[i]);
    bt_json_end(&w);
    bt_json_end(&w);
    bt_status status = bt_json_finish(&w);
    if (status == BT_OK) status = bt_text_status(&settings);
    if (status == BT_OK) status = bt_file_write(path, bt_text_get(&text), text.length);
    bt_text_free(&text);
    bt_text_free(&settings);
    return status;
}

/* ---- the work folder ---- */

static bt_status open_one(embedding *e, int file) {
    char path[PATH_BYTES];
    BT_TRY(work_path(e, names[file], path));
    int64_t bytes = e->state.bytes[file];
    bool named = e->state.done == e->sources.set.count && !bt_embed_is_hdf5(e->o) && !bt_file_exists(path);
    if (named) return BT_OK; /* killed while files got their final names */
    switch (file) {
    case FILE_EMBEDDINGS:
        return bt_growing_open_array(path, BT_FILE_F32, bt_vit_output(&e->engine.info.vit), bytes, &e->file[file]);
    case FILE_CODES:
        return bt_growing_open_array(path, BT_FILE_U8, bt_engine_code_bytes(&e->engine), bytes, &e->file[file]);
    case FILE_LOGITS:
        return bt_growing_open_array(path, BT_FILE_F32, bt_model_outputs(&e->engine.info), bytes, &e->file[file]);
    case FILE_LABELS:
        if (!e->sources.set.several) return bt_growing_open_array(path, BT_FILE_I32, 0, bytes, &e->file[file]);
        return bt_growing_open_array(path, BT_FILE_U8, e->sources.set.class_count, bytes, &e->file[file]);
    default:
        return bt_growing_open_text(path, bytes, &e->file[file]);
    }
}

/** Removes the work folder with what is in it; a folder that is not there is no matter. */
static void remove_work(const embedding *e) {
    char path[PATH_BYTES], folder[PATH_BYTES];
    if (work_path(e, "", folder) != BT_OK) return;
    DIR *d = opendir(folder);
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            work_path(e, entry->d_name, path) == BT_OK)
            unlink(path);
    if (d) closedir(d);
    rmdir(folder);
}

bt_status bt_embed_state_open(embedding *e) {
    char folder[PATH_BYTES];
    BT_TRY(work_path(e, "", folder));
    if (e->o->resume)
        BT_TRY(read_state(e));
    else
        remove_work(e);
    folder[strlen(folder) - 1] = 0;
    BT_TRY(bt_file_make_folders(folder));
    for (int i = 0; i < FILES; i++)
        if (wanted(e, i)) BT_TRY(open_one(e, i));
    return BT_OK;
}

/* ---- the end ---- */

static bt_status finish_one(embedding *e, int file) {
    static const char *const ends[FILES] = {".npy",        ".codes.npy", ".logits.npy",
                                            ".labels.npy", ".paths.txt", ".damaged.txt"};
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%.*s%s", stem(e), e->o->out, ends[file]);
    if (length >= PATH_BYTES) return bt_error(BT_ERR_IO, "%s: the path is too long", e->o->out);
    if (!wanted(e, file) || (file == FILE_DAMAGED && !e->state.bytes[file])) {
        unlink(path); /* of earlier work, which it would be mixed up with */
        return BT_OK;
    }
    if (e->file[file].fd >= 0) return bt_growing_finish(&e->file[file], path);
    if (bt_file_exists(path)) return BT_OK;
    return bt_error(BT_ERR_IO, "%s is missing, though the work on it was done; begin anew without --resume", path);
}

static bt_status write_classes(const embedding *e) {
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%.*s.classes.txt", stem(e), e->o->out) >= PATH_BYTES)
        return bt_error(BT_ERR_IO, "%s: the path is too long", e->o->out);
    if (!e->sources.set.class_count) {
        unlink(path);
        return BT_OK;
    }
    bt_text text = {0};
    for (int64_t c = 0; c < e->sources.set.class_count; c++)
        bt_text_append(&text, "%s\n", e->sources.set.class_names[c]);
    bt_status status = bt_text_status(&text);
    if (status == BT_OK) status = bt_file_write(path, bt_text_get(&text), text.length);
    bt_text_free(&text);
    return status;
}

/** All files under their names, the embeddings last. */
static bt_status name_files(embedding *e) {
    BT_TRY(write_classes(e));
    for (int i = FILES - 1; i >= 0; i--) BT_TRY(finish_one(e, i));
    char *folder = bt_file_sibling(e->o->out, ".");
    bt_status status = folder ? bt_file_sync_folder(folder) : BT_ERR_MEMORY;
    bt_memory_free(folder);
    return status;
}

bt_status bt_embed_state_finish(embedding *e) {
    if (!e->state.rows)
        return bt_error(BT_ERR_FORMAT, "%s: all %" PRId64 " pictures are damaged", e->o->data.root,
                        e->sources.set.count);
    BT_TRY(bt_embed_state_save(e));
    BT_TRY(bt_embed_is_hdf5(e->o) ? bt_embed_write_hdf5(e) : name_files(e));
    remove_work(e);
    return BT_OK;
}
