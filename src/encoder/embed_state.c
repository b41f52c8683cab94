/* The files of an embedding and how far it is. */
#include "encoder/embed_state.h"

#include "base/file.h"
#include "base/memory.h"
#include "formats/hdf5.h"
#include "formats/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION = 1 };

static const char *const names[FILES] = {"embeddings.npy", "codes.npy", "logits.npy",
                                         "labels.npy",     "paths.txt", "damaged.txt"};

const char *bt_embed_file_end(int file) {
    static const char *const ends[FILES] = {".npy",        ".codes.npy", ".logits.npy",
                                            ".labels.npy", ".paths.txt", ".damaged.txt"};
    return ends[file];
}

bool bt_embed_is_hdf5(const char *out) {
    size_t length = strlen(out);
    return length > 3 && strcmp(out + length - 3, ".h5") == 0;
}

bt_status bt_embed_check_out(const char *out) {
    size_t length = strlen(out), end = bt_embed_is_hdf5(out) ? 3 : 4;
    bool known = end == 3 || (length > 4 && strcmp(out + length - 4, ".npy") == 0);
    if (!known || out[length - end - 1] == '/')
        return bt_error(BT_ERR_USAGE, "%s: the name of the output ends in .npy or .h5", out);
    if (end == 3 && !bt_h5_available())
        return bt_error(BT_ERR_UNSUPPORTED,
                        "%s: this build has no HDF5; install libhdf5-dev and configure again, or let the name of the "
                        "output end in .npy",
                        out);
    if (bt_file_is_folder(out)) return bt_error(BT_ERR_IO, "cannot write %s: it is a folder; name a file in it", out);
    return BT_OK;
}

bt_status bt_embed_path(const embedding *e, const char *end, char path[EMBED_PATH]) {
    int stem = (int)strlen(e->out) - (bt_embed_is_hdf5(e->out) ? 3 : 4);
    int length = snprintf(path, EMBED_PATH, "%.*s%s", stem, e->out, end);
    return length < EMBED_PATH ? BT_OK : bt_error(BT_ERR_IO, "%s: the path is too long", e->out);
}

static bt_status work_path(const embedding *e, const char *name, char path[EMBED_PATH]) {
    BT_TRY(bt_embed_path(e, ".work/", path));
    size_t length = strlen(path);
    return snprintf(path + length, EMBED_PATH - length, "%s", name) < (int)(EMBED_PATH - length)
               ? BT_OK
               : bt_error(BT_ERR_IO, "%s: the path is too long", e->out);
}

void bt_embed_describe(embedding *e) {
    bt_text *out = &e->settings;
    const bt_picture_rule *r = &e->engine.info.pictures;
    char fill[16];
    snprintf(fill, sizeof fill, " %02x%02x%02x", r->fill[0], r->fill[1], r->fill[2]);
    bt_text_append(out,
                   "model %08x, pictures %08x (%" PRId64
                   "), size %d of %d %s %s %s%s%s, batch %d, device %s, dtype %s, threads %d,%s%s%s damaged %s%s",
                   (unsigned)e->engine.crc, (unsigned)e->sources.crc, e->sources.set.count, e->engine.info.vit.image,
                   r->resize, bt_resize_mode_names[r->mode], bt_filter_names[r->filter], bt_center_names[r->center],
                   fill, e->engine.info.orientation == BT_ORIENTATION_APPLY ? " upright" : "", e->engine.batch,
                   e->o->engine.device, e->o->engine.dtype == BT_BF16 ? "bf16" : "f32", e->o->engine.threads,
                   e->o->skip_embeddings ? "" : " embeddings,", e->o->codes ? " codes," : "",
                   e->o->logits ? " logits," : "", e->o->skip_damaged ? "skipped" : "fatal",
                   bt_embed_is_hdf5(e->out) ? ", HDF5" : "");
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
    char path[EMBED_PATH];
    BT_TRY(work_path(e, "state.json", path));
    if (!bt_file_exists(path)) return BT_OK;
    bt_json *json;
    BT_TRY(bt_json_read(path, &json));
    embed_state s = {.done = 0};
    bt_status status = read_members(bt_json_root(json), bt_text_get(&e->settings), &s);
    bool whole = s.done == bt_embed_pictures(e) || (s.done < bt_embed_pictures(e) && s.done % e->engine.batch == 0);
    if (status == BT_OK && (!whole || s.rows + s.damaged != s.done))
        status = bt_error(BT_ERR_FORMAT,
                          "%s: %" PRId64 " pictures, %" PRId64 " rows and %" PRId64
                          " damaged do not fit together; begin anew without --resume",
                          path, s.done, s.rows, s.damaged);
    if (status == BT_OK) e->state = s;
    bt_json_free(json);
    return status;
}

bt_status bt_embed_state_save(embedding *e) {
    char path[EMBED_PATH];
    BT_TRY(work_path(e, "state.json", path));
    for (int i = 0; i < FILES; i++) {
        if (e->file[i].fd < 0) continue; /* not wanted, or it has its final name */
        BT_TRY(bt_growing_sync(&e->file[i]));
        e->state.bytes[i] = e->file[i].bytes;
    }
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_integer(&w, "version", VERSION);
    bt_json_member_string(&w, "settings", bt_text_get(&e->settings));
    bt_json_member_integer(&w, "done", e->state.done);
    bt_json_member_integer(&w, "rows", e->state.rows);
    bt_json_member_integer(&w, "damaged", e->state.damaged);
    bt_json_key(&w, "bytes");
    bt_json_begin_array(&w);
    for (int i = 0; i < FILES; i++) bt_json_put_integer(&w, e->state.bytes[i]);
    bt_json_end(&w);
    bt_json_end(&w);
    bt_status status = bt_json_finish(&w);
    if (status == BT_OK) status = bt_file_write(path, bt_text_get(&text), text.length);
    bt_text_free(&text);
    return status;
}

/* ---- the work folder ---- */

static bt_status open_one(embedding *e, int file) {
    char path[EMBED_PATH];
    BT_TRY(work_path(e, names[file], path));
    int64_t bytes = e->state.bytes[file];
    bool named =
        e->state.done && e->state.done == bt_embed_pictures(e) && !bt_embed_is_hdf5(e->out) && !bt_file_exists(path);
    if (named) return BT_OK; /* killed while files got their final names */
    switch (file) {
    case FILE_EMBEDDINGS:
        return bt_growing_open_array(path, BT_FILE_F32, e->kind.width, bytes, &e->file[file]);
    case FILE_CODES:
        return bt_growing_open_array(path, BT_FILE_U8, e->kind.code_bytes, bytes, &e->file[file]);
    case FILE_LOGITS:
        return bt_growing_open_array(path, BT_FILE_F32, e->kind.outputs, bytes, &e->file[file]);
    case FILE_LABELS:
        return bt_growing_open_array(path, e->kind.label_columns ? BT_FILE_U8 : BT_FILE_I32, e->kind.label_columns,
                                     bytes, &e->file[file]);
    default:
        return bt_growing_open_text(path, bytes, &e->file[file]);
    }
}

static void clear_work(const embedding *e) {
    char path[EMBED_PATH], folder[EMBED_PATH];
    if (work_path(e, "", folder) != BT_OK) return;
    DIR *d = opendir(folder);
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            work_path(e, entry->d_name, path) == BT_OK)
            unlink(path);
    if (d) closedir(d);
}

void bt_embed_remove_work(const embedding *e) {
    char folder[EMBED_PATH];
    if (e->lock < 0) return;
    clear_work(e);
    if (work_path(e, "", folder) == BT_OK) rmdir(folder);
}

bt_status bt_embed_take_work(embedding *e) {
    char folder[EMBED_PATH];
    BT_TRY(work_path(e, "", folder));
    folder[strlen(folder) - 1] = 0;
    BT_TRY(bt_file_make_folders(folder));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return bt_file_error("open", folder, errno);
    struct stat mine, there;
    bool held = flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; /* without locks in the file system: go on */
    if (held && fstat(fd, &mine) == 0 && stat(folder, &there) == 0 && mine.st_ino == there.st_ino) {
        e->lock = fd;
        return BT_OK;
    }
    close(fd); /* or the folder was removed by the process that held it, and is another one now */
    return bt_error(BT_ERR_IO, "another process works on %s now (it holds %s): wait for it, or choose another output",
                    e->out, folder);
}

bt_status bt_embed_state_open(embedding *e) {
    if (e->o && e->o->resume)
        BT_TRY(read_state(e));
    else
        clear_work(e);
    for (int i = 0; i < FILES; i++)
        if (e->kind.has[i]) BT_TRY(open_one(e, i));
    return BT_OK;
}

/* ---- the end ---- */

static bt_status finish_one(embedding *e, int file) {
    char path[EMBED_PATH];
    BT_TRY(bt_embed_path(e, bt_embed_file_end(file), path));
    if (!e->kind.has[file] || (file == FILE_DAMAGED && !e->state.bytes[file])) {
        unlink(path); /* of earlier work, which it would be mixed up with */
        return BT_OK;
    }
    if (e->file[file].fd >= 0) return bt_growing_finish(&e->file[file], path);
    if (bt_file_exists(path)) return BT_OK;
    return bt_error(BT_ERR_IO, "%s is missing, though the work on it was done; begin anew without --resume", path);
}

static bt_status write_classes(const embedding *e) {
    char path[EMBED_PATH];
    BT_TRY(bt_embed_path(e, ".classes.txt", path));
    if (!e->kind.class_count) {
        unlink(path);
        return BT_OK;
    }
    bt_text text = {0};
    for (int64_t c = 0; c < e->kind.class_count; c++) bt_text_append(&text, "%s\n", e->kind.classes[c]);
    bt_status status = bt_text_status(&text);
    if (status == BT_OK) status = bt_file_write(path, bt_text_get(&text), text.length);
    bt_text_free(&text);
    return status;
}

/** All files under their names, the embeddings last. */
static bt_status name_files(embedding *e) {
    BT_TRY(write_classes(e));
    for (int i = FILES - 1; i >= 0; i--) BT_TRY(finish_one(e, i));
    char *folder = bt_file_sibling(e->out, ".");
    bt_status status = folder ? bt_file_sync_folder(folder) : BT_ERR_MEMORY;
    bt_memory_free(folder);
    return status;
}

bt_status bt_embed_state_finish(embedding *e) {
    bool shard = e->o && e->o->shard.count;
    if (!e->state.rows && !shard)
        return bt_error(BT_ERR_FORMAT, "%s: all %" PRId64 " pictures are damaged", e->o ? e->o->data.root : e->out,
                        bt_embed_pictures(e));
    BT_TRY(bt_embed_state_save(e));
    BT_TRY(bt_embed_is_hdf5(e->out) ? bt_embed_write_hdf5(e) : name_files(e));
    if (shard) BT_TRY(bt_embed_write_shard(e));
    bt_embed_remove_work(e);
    return BT_OK;
}
