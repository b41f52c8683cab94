/* An embedding's files as data sets of one HDF5 file. */
#include "encoder/embed_state.h"

#include "base/memory.h"
#include "formats/hdf5.h"

#include <inttypes.h>
#include <string.h>

enum { COPY_BYTES = 1 << 20 };

static const char *const names[FILES] = {"embeddings", "codes", "logits", "labels", "paths", "damaged"};

static bt_status check_names(const bt_dataset *s, const char *what, const char *const *texts, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!bt_text_is_utf8(texts[i], strlen(texts[i])))
            return bt_error(BT_ERR_UNSUPPORTED,
                            "%s: the name of %s %" PRId64
                            " is not UTF-8, as texts in HDF5 are; rename it, or let the name of the output end in .npy",
                            s->name, what, i + 1);
    return BT_OK;
}

bt_status bt_embed_check_hdf5(const embedding *e) {
    const bt_dataset *s = &e->sources.set; /* a shard's too: its names are joined with those of others */
    BT_TRY(check_names(s, "picture", s->paths, s->count));
    return check_names(s, "class", s->class_names, s->class_count);
}

/* ---- arrays ---- */

/** Room for the data set of a file; its place in the HDF5 file, to be filled. */
static bt_status put_array(const embedding *e, int file, bt_h5_writer *w, int64_t *offset) {
    const bt_growing *f = &e->file[file];
    int64_t dim[] = {e->state.rows, f->columns},
            row = (int64_t)bt_file_dtype_bytes(f->dtype) * (f->columns ? f->columns : 1);
    if (f->bytes % row || f->bytes / row != e->state.rows)
        return bt_error(BT_ERR_FORMAT,
                        "%s: %" PRId64 " bytes are not %" PRId64 " rows of %" PRId64 "; begin anew without --resume",
                        f->path, f->bytes, e->state.rows, row);
    bt_h5_put(w, names[file], f->dtype, f->columns ? 2 : 1, dim, NULL, offset);
    return BT_OK;
}

static bt_status fill_array(const bt_growing *f, bt_h5_writer *w, int64_t offset) {
    char *buffer = bt_memory_alloc(COPY_BYTES, 1);
    bt_status status = buffer ? BT_OK : BT_ERR_MEMORY;
    for (int64_t at = 0; at < f->bytes && status == BT_OK; at += COPY_BYTES) {
        size_t part = f->bytes - at < COPY_BYTES ? (size_t)(f->bytes - at) : COPY_BYTES;
        status = bt_growing_read(f, at, buffer, part);
        if (status == BT_OK) status = bt_h5_fill(w, offset + at, buffer, part);
    }
    bt_memory_free(buffer);
    return status;
}

/* ---- texts ---- */

/** `count` lines, each a text; their line ends become 0. */
static bt_status split(const bt_growing *f, char *content, int64_t count, const char **lines) {
    char *at = content, *end = content + f->bytes;
    for (int64_t i = 0; i < count; i++) {
        char *line_end = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        if (!line_end)
            return bt_error(BT_ERR_FORMAT,
                            "%s: it has %" PRId64 " lines, %" PRId64 " were written; begin anew without --resume",
                            f->path, i, count);
        *line_end = 0;
        lines[i] = at;
        at = line_end + 1;
    }
    if (at != end)
        return bt_error(BT_ERR_FORMAT, "%s: it has more than %" PRId64 " lines; begin anew without --resume", f->path,
                        count);
    return BT_OK;
}

static bt_status put_lines(const embedding *e, int file, int64_t count, bt_h5_writer *w) {
    const bt_growing *f = &e->file[file];
    char *content = bt_memory_alloc((size_t)f->bytes + 1, 1);
    const char **lines = bt_memory_alloc((size_t)count, sizeof *lines);
    bt_status status = content && lines ? bt_growing_read(f, 0, content, (size_t)f->bytes) : BT_ERR_MEMORY;
    if (status == BT_OK) status = split(f, content, count, lines);
    if (status == BT_OK) bt_h5_put_texts(w, names[file], lines, count);
    bt_memory_free(lines);
    bt_memory_free(content);
    return status;
}

/* ---- the file ---- */

static bt_status write_all(const embedding *e, bt_h5_writer *w) {
    int64_t offset[FILES] = {0};
    bt_h5_put_number(w, "bittern_embeddings", 1);
    bt_h5_put_text(w, "method", e->kind.method);
    bt_h5_put_number(w, "bits", e->kind.bits);
    for (int i = FILE_EMBEDDINGS; i <= FILE_LABELS; i++)
        if (e->file[i].fd >= 0) BT_TRY(put_array(e, i, w, &offset[i]));
    BT_TRY(put_lines(e, FILE_PATHS, e->state.rows, w));
    if (e->state.damaged) BT_TRY(put_lines(e, FILE_DAMAGED, e->state.damaged, w));
    if (e->kind.class_count) bt_h5_put_texts(w, "classes", e->kind.classes, e->kind.class_count);
    BT_TRY(bt_h5_seal(w));
    for (int i = FILE_EMBEDDINGS; i <= FILE_LABELS; i++)
        if (e->file[i].fd >= 0) BT_TRY(fill_array(&e->file[i], w, offset[i]));
    return BT_OK;
}

bt_status bt_embed_write_hdf5(const embedding *e) {
    bt_h5_writer w;
    BT_TRY(bt_h5_begin(e->out, &w));
    bt_status status = write_all(e, &w);
    if (status == BT_OK) return bt_h5_commit(&w);
    bt_h5_abandon(&w);
    return status;
}
