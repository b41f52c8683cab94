/* Shards of an embedding: the note that says what a shard is a part of, and joining them. */
#include "encoder/embed_state.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "formats/json.h"
#include "formats/npy.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NOTE_VERSION = 1, CLASSES = FILES, NOTED };

/** A shard's note, OUT.shards/00002-of-00008.json. */
typedef struct note {
    bt_json *json; /* its texts lie there */
    bt_shard shard;
    const char *settings, *device;
    uint32_t model, listing;
    int64_t total, first, pictures; /* of the listing; of this shard */
    int64_t rows, damaged;
    embed_kind kind;
    int64_t bytes[NOTED]; /* of each file; -1: there is none */
    uint32_t crc[NOTED];
} note;

static const char *end_of(int file) {
    return file == CLASSES ? ".classes.txt" : bt_embed_file_end(file);
}

static bt_status map_file(const char *path, bt_file_map *map, uint32_t *crc) {
    BT_TRY(bt_file_map_open(path, map));
    *crc = bt_crc32c(0, map->data, map->bytes);
    return BT_OK;
}

/* ---- writing ---- */

static bt_status put_files(const embedding *e, bt_json_writer *w) {
    bt_json_key(w, "files");
    bt_json_begin_object(w);
    for (int i = 0; i < NOTED; i++) {
        char path[EMBED_PATH];
        bt_file_map map;
        uint32_t crc;
        BT_TRY(bt_embed_path(e, end_of(i), path));
        if (i == CLASSES ? !e->kind.class_count : !e->kind.has[i] || (i == FILE_DAMAGED && !e->state.damaged)) continue;
        BT_TRY(map_file(path, &map, &crc));
        bt_json_key(w, end_of(i));
        bt_json_begin_array(w);
        bt_json_put_integer(w, (int64_t)map.bytes);
        bt_json_put_integer(w, crc);
        bt_json_end(w);
        bt_file_map_close(&map);
    }
    bt_json_end(w);
    return BT_OK;
}

static bt_status put_note(const embedding *e, bt_json_writer *w) {
    char device[256];
    e->engine.device->backend->describe(e->engine.device, device, sizeof device);
    bt_json_begin_object(w);
    bt_json_member_integer(w, "version", NOTE_VERSION);
    bt_json_member_integer(w, "shard", e->o->shard.index);
    bt_json_member_integer(w, "shards", e->o->shard.count);
    bt_json_member_string(w, "settings", bt_text_get(&e->settings));
    bt_json_member_integer(w, "model_crc32c", e->engine.crc);
    bt_json_member_string(w, "device", device);
    bt_json_member_integer(w, "listing_crc32c", e->sources.crc);
    bt_json_member_integer(w, "listing", e->sources.set.count);
    bt_json_member_integer(w, "first", e->begin);
    bt_json_member_integer(w, "pictures", bt_embed_pictures(e));
    bt_json_member_integer(w, "rows", e->state.rows);
    bt_json_member_integer(w, "damaged", e->state.damaged);
    bt_json_member_string(w, "method", e->kind.method);
    bt_json_member_integer(w, "width", e->kind.width);
    bt_json_member_integer(w, "bits", e->kind.bits);
    bt_json_member_integer(w, "outputs", e->kind.outputs);
    bt_json_member_integer(w, "label_columns", e->kind.label_columns);
    BT_TRY(put_files(e, w));
    bt_json_end(w);
    return bt_json_finish(w);
}

bt_status bt_embed_write_shard(const embedding *e) {
    char path[EMBED_PATH];
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    BT_TRY(bt_embed_path(e, ".json", path));
    bt_status status = put_note(e, &w);
    if (status == BT_OK) status = bt_file_write(path, bt_text_get(&text), text.length);
    bt_text_free(&text);
    return status;
}

/* ---- reading ---- */

static bt_status read_crc(const bt_json_value *object, const char *key, uint32_t *out) {
    int64_t value;
    BT_TRY(bt_json_get_integer(object, key, 0, UINT32_MAX, &value));
    *out = (uint32_t)value;
    return BT_OK;
}

static bt_status read_files(const bt_json_value *root, note *n) {
    const bt_json_value *files, *pair, *item;
    BT_TRY(bt_json_get(root, "files", BT_JSON_OBJECT, &files));
    for (int i = 0; i < NOTED; i++) {
        int64_t crc;
        n->bytes[i] = -1;
        if (!bt_json_find(files, end_of(i))) continue;
        BT_TRY(bt_json_get(files, end_of(i), BT_JSON_ARRAY, &pair));
        BT_TRY(bt_json_at(pair, 0, &item));
        BT_TRY(bt_json_as_integer(item, 0, INT64_MAX >> 1, &n->bytes[i]));
        BT_TRY(bt_json_at(pair, 1, &item));
        BT_TRY(bt_json_as_integer(item, 0, UINT32_MAX, &crc));
        n->crc[i] = (uint32_t)crc;
        if (i < FILES) n->kind.has[i] = true;
    }
    n->kind.has[FILE_DAMAGED] = true;
    return BT_OK;
}

static bt_status read_members(const bt_json_value *root, note *n) {
    int64_t version;
    embed_kind *k = &n->kind;
    BT_TRY(bt_json_get_integer(root, "version", NOTE_VERSION, NOTE_VERSION, &version));
    BT_TRY(bt_json_get_int(root, "shards", 1, BT_SHARDS_LAST, &n->shard.count));
    BT_TRY(bt_json_get_int(root, "shard", 1, n->shard.count, &n->shard.index));
    BT_TRY(bt_json_get_string(root, "settings", &n->settings));
    BT_TRY(bt_json_get_string(root, "device", &n->device));
    BT_TRY(read_crc(root, "model_crc32c", &n->model));
    BT_TRY(read_crc(root, "listing_crc32c", &n->listing));
    BT_TRY(bt_json_get_integer(root, "listing", 0, UINT32_MAX, &n->total));
    BT_TRY(bt_json_get_integer(root, "first", 0, n->total, &n->first));
    BT_TRY(bt_json_get_integer(root, "pictures", 0, n->total - n->first, &n->pictures));
    BT_TRY(bt_json_get_integer(root, "rows", 0, n->pictures, &n->rows));
    BT_TRY(bt_json_get_integer(root, "damaged", n->pictures - n->rows, n->pictures - n->rows, &n->damaged));
    BT_TRY(bt_json_get_string(root, "method", &k->method));
    BT_TRY(bt_json_get_integer(root, "width", 1, 1 << 24, &k->width));
    BT_TRY(bt_json_get_integer(root, "bits", 0, 1 << 24, &k->bits));
    BT_TRY(bt_json_get_integer(root, "outputs", 0, 1 << 24, &k->outputs));
    BT_TRY(bt_json_get_integer(root, "label_columns", 0, 1 << 24, &k->label_columns));
    k->code_bytes = (k->bits + 7) / 8;
    return read_files(root, n);
}

/** The caller frees n->json; NULL after a failure. */
static bt_status read_note(const char *path, note *n) {
    *n = (note){.json = NULL};
    BT_TRY(bt_json_read(path, &n->json));
    bt_status status = read_members(bt_json_root(n->json), n);
    if (status == BT_OK) return BT_OK;
    bt_json_free(n->json);
    n->json = NULL;
    return status;
}

/** Whether the files are there, at the size that is noted. */
static bt_status files_are_there(const embedding *e, const note *n, bool *there) {
    *there = true;
    for (int i = 0; i < NOTED && *there; i++) {
        char path[EMBED_PATH];
        bt_file_map map;
        BT_TRY(bt_embed_path(e, end_of(i), path));
        if (n->bytes[i] < 0) continue;
        *there = bt_file_exists(path);
        if (!*there) break;
        BT_TRY(bt_file_map_open(path, &map));
        *there = (int64_t)map.bytes == n->bytes[i];
        bt_file_map_close(&map);
    }
    return BT_OK;
}

bt_status bt_embed_shard_is_done(embedding *e, bool *done) {
    char path[EMBED_PATH];
    note n;
    *done = false;
    BT_TRY(bt_embed_path(e, ".json", path));
    if (!bt_file_exists(path)) return BT_OK;
    if (e->o->resume) {
        BT_TRY(read_note(path, &n));
        bt_status status = strcmp(n.settings, bt_text_get(&e->settings)) == 0
                               ? files_are_there(e, &n, done)
                               : bt_error(BT_ERR_CONFIG,
                                          "%s: the shard was made otherwise; begin anew without --resume (then: %s; "
                                          "now: %s)",
                                          path, n.settings, bt_text_get(&e->settings));
        if (status == BT_OK && *done) {
            e->state.done = n.pictures;
            e->state.rows = n.rows;
            e->state.damaged = n.damaged;
            bt_embed_remove_work(e);
        }
        bt_json_free(n.json);
        if (status != BT_OK || *done) return status;
    }
    return unlink(path) == 0 ? BT_OK : bt_file_error("remove", path, errno); /* its files are about to change */
}

/* ---- names in the folder ---- */

/** N of the name of a shard's note or folder of work, 00002-of-0000N and `end`; 0: the name is none. */
static int shards_of(const char *name, const char *end) {
    int index, count, used = 0;
    if (sscanf(name, "%5d-of-%5d%n", &index, &count, &used) != 2 || strcmp(name + used, end) != 0) return 0;
    return count >= 1 && count <= BT_SHARDS_LAST ? count : 0;
}

bt_status bt_embed_check_count(const embedding *e) {
    char folder[EMBED_PATH];
    const bt_shard *s = &e->o->shard;
    int other = 0;
    BT_TRY(bt_shard_folder(e->o->out, folder, sizeof folder));
    DIR *d = opendir(folder);
    if (!d) return BT_OK; /* this shard is the first of it, or writing says what is wrong */
    for (struct dirent *entry; !other && (entry = readdir(d));) {
        int done = shards_of(entry->d_name, ".json"), begun = shards_of(entry->d_name, ".work");
        int count = done ? done : begun;
        other = count != s->count ? count : 0;
    }
    closedir(d);
    if (!other) return BT_OK;
    return bt_error(BT_ERR_CONFIG,
                    "%s holds shards of %d, and this is one of %d, which cannot be joined with them: say --shard I/%d "
                    "(of a part of an array, --shard auto does not know the whole), or remove the folder",
                    folder, other, s->count, other);
}

/* ---- which shards there are ---- */

typedef struct joining {
    embedding e;
    const char *out;
    int shards;
    note first;    /* of shard 1: what all have in common */
    char *classes; /* content of its .classes.txt, cut into names */
    const char **names;
} joining;

/** How many shards there are to be, by the notes in the folder. */
static bt_status count_shards(joining *j, const char *folder) {
    int least = 0, most = 0;
    DIR *d = opendir(folder);
    if (!d)
        return bt_error(BT_ERR_IO, "%s: no folder of shards (%s); make them with --shard I/N", folder, strerror(errno));
    for (struct dirent *entry; (entry = readdir(d));) {
        int count = shards_of(entry->d_name, ".json");
        if (!count) continue;
        least = !least || count < least ? count : least;
        most = count > most ? count : most;
    }
    closedir(d);
    if (!most) return bt_error(BT_ERR_IO, "%s: no shard is done", folder);
    if (least != most)
        return bt_error(BT_ERR_CONFIG, "%s holds shards of %d and of %d: remove those that are not meant", folder,
                        least, most);
    j->shards = most;
    return BT_OK;
}

static bt_status note_path(const joining *j, int shard, const char *end, char path[EMBED_PATH]) {
    return bt_shard_path(&(bt_shard){shard, j->shards}, j->out, end, path, EMBED_PATH);
}

static bt_status check_all_there(const joining *j, const char *folder) {
    enum { NAMED = 10 };
    bt_text missing = {0};
    int count = 0;
    char path[EMBED_PATH];
    for (int k = 1; k <= j->shards; k++) {
        BT_TRY(note_path(j, k, ".json", path));
        if (bt_file_exists(path)) continue;
        if (count++ < NAMED) bt_text_append(&missing, "%s%d", count > 1 ? ", " : "", k);
    }
    bt_status status =
        count ? bt_error(BT_ERR_IO, "%s: %d of %d shards are not done: %s%s; run them with --shard I/%d --resume",
                         folder, count, j->shards, bt_text_get(&missing), count > NAMED ? ", ..." : "", j->shards)
              : BT_OK;
    bt_text_free(&missing);
    return status;
}

/** Whether a shard belongs to the first, and begins where the last one ended. */
static bt_status check_fits(const joining *j, const note *n, int shard, int64_t begin, const char *path) {
    const note *f = &j->first;
    if (n->shard.index != shard || n->shard.count != j->shards)
        return bt_error(BT_ERR_FORMAT, "%s: it says shard %d of %d; was it renamed?", path, n->shard.index,
                        n->shard.count);
    if (n->model != f->model)
        return bt_error(BT_ERR_CONFIG, "%s: another model than that of shard 1 (CRC-32C %08x, %08x)", path,
                        (unsigned)n->model, (unsigned)f->model);
    if (n->listing != f->listing || n->total != f->total)
        return bt_error(BT_ERR_CONFIG,
                        "%s: other pictures than those of shard 1 (%" PRId64 ", %" PRId64
                        "; CRC-32C of their names and labels %08x, %08x): folder or table changed in between. Make all "
                        "shards of one listing",
                        path, n->total, f->total, (unsigned)n->listing, (unsigned)f->listing);
    if (strcmp(n->settings, f->settings) != 0)
        return bt_error(BT_ERR_CONFIG, "%s: made otherwise than shard 1 (it: %s; shard 1: %s)", path, n->settings,
                        f->settings);
    if (n->first != begin)
        return bt_error(BT_ERR_FORMAT, "%s: it begins at picture %" PRId64 ", %" PRId64 " is expected", path,
                        n->first + 1, begin + 1);
    for (int i = 0; i < FILES; i++)
        if (n->kind.has[i] != f->kind.has[i])
            return bt_error(BT_ERR_FORMAT,
                            "%s: file %s is noted in one shard, and not in shard 1 or the other way round", path,
                            end_of(i));
    if (n->bytes[CLASSES] == f->bytes[CLASSES] && n->crc[CLASSES] == f->crc[CLASSES] &&
        n->kind.width == f->kind.width && n->kind.bits == f->kind.bits && n->kind.outputs == f->kind.outputs &&
        n->kind.label_columns == f->kind.label_columns && strcmp(n->kind.method, f->kind.method) == 0)
        return BT_OK;
    return bt_error(BT_ERR_FORMAT, "%s: widths or classes are not those of shard 1", path);
}

static bt_status check_notes(joining *j) {
    int64_t begin = 0;
    char path[EMBED_PATH];
    BT_TRY(note_path(j, 1, ".json", path));
    BT_TRY(read_note(path, &j->first));
    bool warned = false;
    for (int k = 1; k <= j->shards; k++) {
        note n;
        BT_TRY(note_path(j, k, ".json", path));
        BT_TRY(read_note(path, &n));
        bt_status status = check_fits(j, &n, k, begin, path);
        if (status == BT_OK && !warned && strcmp(n.device, j->first.device) != 0) {
            bt_log_warn(
                "shard %d was made on \"%s\", shard 1 on \"%s\": last bits may differ from those of one machine", k,
                n.device, j->first.device);
            warned = true;
        }
        begin += n.pictures;
        j->e.state.rows += n.rows;
        j->e.state.damaged += n.damaged;
        bt_json_free(n.json);
        BT_TRY(status);
    }
    j->e.begin = 0;
    j->e.end = j->e.state.done = begin;
    if (begin == j->first.total) return BT_OK;
    return bt_error(BT_ERR_FORMAT, "%s: the shards end at picture %" PRId64 " of %" PRId64, path, begin,
                    j->first.total);
}

/* ---- joining ---- */

/** Maps a file of a shard, which must be the one that was written. */
static bt_status map_noted(const note *n, int file, const char *path, bt_file_map *map) {
    uint32_t crc;
    BT_TRY(map_file(path, map, &crc));
    if ((int64_t)map->bytes == n->bytes[file] && crc == n->crc[file]) return BT_OK;
    bt_error(BT_ERR_FORMAT,
             "%s is not the file that was written (%zu bytes, CRC-32C %08x; noted are %" PRId64
             " and %08x): make the shard again, without --resume",
             path, map->bytes, (unsigned)crc, n->bytes[file], (unsigned)n->crc[file]);
    bt_file_map_close(map);
    return BT_ERR_FORMAT;
}

/** The names of the classes, from shard 1. */
static bt_status read_classes(joining *j) {
    char path[EMBED_PATH];
    bt_file_map map;
    if (j->first.bytes[CLASSES] < 0) return BT_OK;
    BT_TRY(note_path(j, 1, end_of(CLASSES), path));
    BT_TRY(map_noted(&j->first, CLASSES, path, &map));
    j->classes = bt_memory_alloc(map.bytes + 1, 1);
    int64_t lines = 0;
    if (j->classes) {
        if (map.bytes) memcpy(j->classes, map.data, map.bytes);
        j->classes[map.bytes] = 0;
        for (size_t i = 0; i < map.bytes; i++) lines += j->classes[i] == '\n';
        j->names = bt_memory_alloc((size_t)lines, sizeof *j->names);
    }
    bt_file_map_close(&map);
    if (!j->classes || !j->names) return BT_ERR_MEMORY;
    char *at = j->classes;
    for (int64_t i = 0; i < lines; i++) {
        j->names[i] = at;
        at = strchr(at, '\n');
        if (!at) return bt_error(BT_ERR_FORMAT, "%s: a byte of it is 0", path);
        *at++ = 0;
    }
    j->e.kind.classes = j->names;
    j->e.kind.class_count = lines;
    return BT_OK;
}

static bt_status append_file(joining *j, const note *n, int file, const char *path) {
    bt_file_map map;
    bt_growing *to = &j->e.file[file];
    BT_TRY(map_noted(n, file, path, &map));
    size_t head = to->array ? BT_NPY_HEADER_BYTES : 0;
    int64_t row = (int64_t)bt_file_dtype_bytes(to->dtype) * (to->columns ? to->columns : 1);
    bt_status status = BT_OK;
    if (to->array && (map.bytes < head || (int64_t)(map.bytes - head) != n->rows * row))
        status = bt_error(BT_ERR_FORMAT, "%s: %zu bytes are not %" PRId64 " rows of %" PRId64, path, map.bytes, n->rows,
                          row);
    if (status == BT_OK && !to->array && bt_embed_is_hdf5(j->out) &&
        !bt_text_is_utf8((const char *)map.data, map.bytes))
        status = bt_error(BT_ERR_UNSUPPORTED,
                          "%s: a name in it is not UTF-8, as texts in HDF5 are; let the name of the output end in .npy",
                          path);
    if (status == BT_OK && map.bytes > head) status = bt_growing_append(to, map.data + head, map.bytes - head);
    bt_file_map_close(&map);
    return status;
}

static bt_status append_shard(joining *j, int shard) {
    char path[EMBED_PATH];
    note n;
    BT_TRY(note_path(j, shard, ".json", path));
    BT_TRY(read_note(path, &n));
    bt_status status = BT_OK;
    for (int i = 0; i < FILES && status == BT_OK; i++) {
        if (n.bytes[i] < 0) continue;
        status = note_path(j, shard, end_of(i), path);
        if (status == BT_OK) status = append_file(j, &n, i, path);
    }
    bt_json_free(n.json);
    return status;
}

static bt_status join(joining *j) {
    char folder[EMBED_PATH];
    embed_state state;
    BT_TRY(bt_shard_folder(j->out, folder, sizeof folder));
    BT_TRY(count_shards(j, folder));
    BT_TRY(check_all_there(j, folder));
    BT_TRY(check_notes(j));
    j->e.kind = j->first.kind;
    BT_TRY(read_classes(j));
    bt_text_append(&j->e.settings, "joined");
    state = j->e.state;
    j->e.state = (embed_state){.done = 0}; /* the files begin empty */
    BT_TRY(bt_embed_take_work(&j->e));
    bt_status status = bt_embed_state_open(&j->e);
    j->e.state = state;
    for (int k = 1; k <= j->shards && status == BT_OK; k++) status = append_shard(j, k);
    if (status == BT_OK) status = bt_embed_state_finish(&j->e);
    if (status != BT_OK) bt_embed_remove_work(&j->e);
    return status;
}

bt_status bt_embed_join(const char *out, bt_join_result *result) {
    BT_TRY(bt_embed_check_out(out));
    joining j = {.out = out, .e = {.out = out, .lock = -1}};
    for (int i = 0; i < FILES; i++) j.e.file[i].fd = -1;
    bt_status status = join(&j);
    if (status == BT_OK)
        *result = (bt_join_result){.shards = j.shards,
                                   .count = j.e.state.rows,
                                   .damaged = j.e.state.damaged,
                                   .width = j.first.kind.width,
                                   .bits = j.first.kind.bits};
    bt_embed_release(&j.e);
    bt_json_free(j.first.json);
    bt_memory_free(j.classes);
    bt_memory_free(j.names);
    return status;
}
