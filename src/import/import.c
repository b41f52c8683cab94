/* From a recognised file to a tower with its values. */
#include "import/import.h"

#include "base/memory.h"
#include "import/pictures.h"
#include "import/tower.h"

#include <stdio.h>
#include <string.h>

typedef struct work {
    const bt_import_options *o;
    bt_import_source source;
    bt_params *store; /* the result's */
    bt_import_result *r;
    int problems;
} work;

/* ---- one parameter ---- */

static void shape_of(const bt_weight *w, char *text, size_t bytes) {
    size_t at = (size_t)snprintf(text, bytes, "(");
    for (int k = 0; k < w->rank && at < bytes; k++)
        at += (size_t)snprintf(text + at, bytes - at, "%s%lld", k ? ", " : "", (long long)w->dim[k]);
    if (at < bytes) snprintf(text + at, bytes - at, ")");
}

static void mismatch(work *k, const bt_param_spec *spec, const bt_import_parts *p, const char *expected) {
    char found[128], wanted[64];
    bt_text *t = &k->r->problems;
    bt_text_append(t, "mismatched: %s", p->part[0]->name);
    for (int i = 0; i < p->count; i++) {
        shape_of(p->part[i], found, sizeof found);
        bt_text_append(t, "%s%s", i ? " + " : " ", found);
    }
    bt_text_append(t, ", expected %s for %s\n", expected ? expected : bt_shape_text(spec->shape, wanted, sizeof wanted),
                   spec->name);
    k->problems++;
}

/** Whether the axes that are not 1 are the same. */
static bool same_axes(const bt_weight *w, bt_shape s) {
    int a = 0, b = 0;
    for (;;) {
        while (a < w->rank && w->dim[a] == 1) a++;
        while (b < s.rank && s.dim[b] == 1) b++;
        if (a == w->rank || b == s.rank) return a == w->rank && b == s.rank;
        if (w->dim[a++] != s.dim[b++]) return false;
    }
}

static bt_status copy(work *k, const bt_param_spec *spec, const bt_import_parts *p, float *out) {
    if (!same_axes(p->part[0], spec->shape)) {
        mismatch(k, spec, p, NULL);
        return BT_OK;
    }
    return bt_weight_to_f32(p->part[0], 0, p->part[0]->count, out);
}

/** Parts below each other; `gap`: zeros as large as the first part behind it. */
static bt_status concat(work *k, const bt_param_spec *spec, const bt_import_parts *p, bool gap, float *out) {
    int64_t have = 0, want = bt_shape_count(spec->shape), at = 0, cols = spec->shape.rank == 2 ? spec->shape.dim[1] : 1;
    bool fit = true;
    for (int i = 0; i < p->count; i++) {
        have += p->part[i]->count;
        fit = fit && p->part[i]->rank == spec->shape.rank &&
              p->part[i]->dim[p->part[i]->rank - 1] == (spec->shape.rank == 2 ? cols : p->part[i]->count);
    }
    if (gap) have += p->part[0]->count;
    if (!fit || have != want) {
        mismatch(k, spec, p, NULL);
        return BT_OK;
    }
    for (int i = 0; i < p->count; i++) {
        BT_TRY(bt_weight_to_f32(p->part[i], 0, p->part[i]->count, out + at));
        at += p->part[i]->count * (gap && i == 0 ? 2 : 1); /* declared values are 0 */
    }
    return BT_OK;
}

static bt_status transpose(work *k, const bt_param_spec *spec, const bt_import_parts *p, float *out) {
    const bt_weight *w = p->part[0];
    int64_t rows = spec->shape.dim[0], cols = spec->shape.dim[1];
    char expected[64];
    if (w->rank != 2 || w->dim[0] != cols || w->dim[1] != rows) {
        snprintf(expected, sizeof expected, "(%lld, %lld)", (long long)cols, (long long)rows);
        mismatch(k, spec, p, expected);
        return BT_OK;
    }
    float *row = bt_memory_alloc((size_t)rows, sizeof *row);
    bt_status status = row ? BT_OK : BT_ERR_MEMORY;
    for (int64_t c = 0; c < cols && status == BT_OK; c++) {
        status = bt_weight_to_f32(w, c * rows, rows, row);
        for (int64_t r = 0; r < rows && status == BT_OK; r++) out[r * cols + c] = row[r];
    }
    bt_memory_free(row);
    return status;
}

/** (1, 1 + grid^2, width): the file may leave out the class token's row, which is then 0. */
static bt_status positions(work *k, const bt_param_spec *spec, const bt_import_parts *p, float *out) {
    const bt_weight *w = p->part[0];
    int64_t width = spec->shape.dim[2], rows = spec->shape.dim[1], have = w->count / width;
    if (w->count % width || w->dim[w->rank - 1] != width || (have != rows && have != rows - 1)) {
        mismatch(k, spec, p, NULL);
        return BT_OK;
    }
    return bt_weight_to_f32(w, 0, w->count, out + (rows - have) * width);
}

static bt_status convert(work *k, int index, const bt_import_parts *p) {
    const bt_param_spec *spec = bt_params_spec(k->store, index);
    float *out = bt_params_host(k->store, index);
    if (strcmp(spec->name, "pos_embed") == 0) return positions(k, spec, p, out);
    switch (p->rule->how) {
    case BT_IMPORT_CONCAT:
        return concat(k, spec, p, false, out);
    case BT_IMPORT_NO_K:
        return concat(k, spec, p, true, out);
    case BT_IMPORT_TRANSPOSE:
        return transpose(k, spec, p, out);
    default:
        return copy(k, spec, p, out);
    }
}

/** One line for all blocks. */
static void note_map(work *k, const bt_param_spec *spec, const bt_import_parts *p) {
    static const char *const how[] = {[BT_IMPORT_COPY] = "",
                                      [BT_IMPORT_CONCAT] = " (one below the other)",
                                      [BT_IMPORT_NO_K] = " (with zeros for the key)",
                                      [BT_IMPORT_TRANSPOSE] = " (transposed)"};
    int block;
    const char *rest;
    char name[256];
    if (p->block > 0) return;
    size_t lead = k->source.family->lead ? strlen(k->source.family->lead) : 0;
    bool identity = strcmp(p->rule->to, "*") == 0 && strcmp(p->rule->from[0], "*") == 0;
    if (identity) return;
    for (int i = 0; i < p->count; i++) {
        bool matched = bt_import_match(p->rule->to, spec->name, &block, &rest);
        BT_ASSERT(matched);
        bt_import_fill(p->rule->from[i], block, rest, name, sizeof name);
        bt_text_append(&k->r->map, "%s%s%s", i ? ", " : "", k->source.prefix, name + lead);
    }
    bt_text_append(&k->r->map, " -> %s%s%s\n", spec->name, how[p->rule->how],
                   p->block == 0 ? " (and so in every block)" : "");
}

static bt_status take_all(work *k) {
    for (int i = 0; i < bt_params_count(k->store); i++) {
        const bt_param_spec *spec = bt_params_spec(k->store, i);
        bt_import_parts parts;
        if (spec->kind == BT_PARAM_CONSTANT) continue;
        if (!bt_import_resolve(&k->source, spec->name, &parts)) {
            char shape[64];
            bt_text_append(&k->r->problems, "missing: what gives %s %s\n", spec->name,
                           bt_shape_text(spec->shape, shape, sizeof shape));
            k->problems++;
            continue;
        }
        bt_import_take(&k->source, &parts);
        note_map(k, spec, &parts);
        BT_TRY(convert(k, i, &parts));
        for (int m = 0; m < parts.count; m++) bt_weight_done(parts.part[m]);
    }
    return BT_OK;
}

/* ---- what is not taken ---- */

/** Tensors that are left for the same reason: one line with the first of them. */
typedef struct reason {
    const char *why, *first;
    int64_t count;
} reason;

static void count_reason(reason list[], int *used, int most, const char *why, const char *name) {
    int i = 0;
    while (i < *used && strcmp(list[i].why, why) != 0) i++;
    if (i == most) return;
    if (i == *used) list[(*used)++] = (reason){why, name, 0};
    list[i].count++;
}

static void list_rest(work *k) {
    enum { MOST = 16 };
    bt_import_result *r = k->r;
    reason list[MOST];
    int reasons = 0;
    for (int64_t i = 0; i < r->tensors; i++) {
        const bt_weight *w = bt_weights_at(k->source.weights, i);
        if (k->source.used[i]) {
            r->taken++;
            continue;
        }
        const char *why = bt_import_why_left(&k->source, i);
        if (why) {
            r->left++;
            count_reason(list, &reasons, MOST, why, w->name);
        } else {
            char shape[128];
            shape_of(w, shape, sizeof shape);
            bt_text_append(&r->problems, "unexpected: %s %s\n", w->name, shape);
            k->problems++;
        }
    }
    for (int i = 0; i < reasons; i++) {
        if (list[i].count == 1)
            bt_text_append(&r->left_out, "%s: %s\n", list[i].first, list[i].why);
        else
            bt_text_append(&r->left_out, "%s and %lld more: %s\n", list[i].first, (long long)list[i].count - 1,
                           list[i].why);
    }
}

static bt_status refuse(const work *k) {
    const char *text = bt_text_get(&k->r->problems), *end = strchr(text, '\n');
    return bt_error(BT_ERR_FORMAT, "%s: recognised as %s, but %d tensors do not fit: %.*s%s", k->o->path, k->r->family,
                    k->problems, end ? (int)(end - text) : 0, text, k->problems > 1 ? "; ..." : "");
}

/* ---- all of it ---- */

static bt_status read_hints(const bt_import_options *o, bt_import_hints *out) {
    char beside[1100];
    *out = (bt_import_hints){.activation = -1};
    if (o->config) return bt_import_hints_read(o->config, out);
    return bt_import_hints_find(o->path, beside, sizeof beside) ? bt_import_hints_read(beside, out) : BT_OK;
}

static bt_status describe(work *k, const bt_weights *weights) {
    bt_import_result *r = k->r;
    bt_import_hints file;
    if (bt_weights_note(weights, "bittern"))
        return bt_error(BT_ERR_FORMAT,
                        "a file of bittern import or bittern export: embed, train and export take it as "
                        "it is (--image, --base, model.image); import reads the files of other libraries");
    BT_TRY(read_hints(k->o, &file));
    r->tensors = bt_weights_count(weights);
    snprintf(r->format, sizeof r->format, "%s", bt_weights_format(weights));
    BT_TRY(bt_import_source_open(weights, k->o->prefix, &k->source));
    r->family = k->source.family->name;
    snprintf(r->prefix, sizeof r->prefix, "%s", k->source.prefix);
    if (*r->prefix) bt_text_append(&r->notes, "prefix \"%s\" taken off\n", r->prefix);
    if (k->source.chunked) bt_text_append(&r->notes, "chunks of blocks laid straight\n");
    if (*file.path) bt_text_append(&r->notes, "read with %s\n", file.path);
    bt_import_picture_file pictures;
    BT_TRY(bt_import_pictures_read(k->o, &pictures));
    if (!file.image && pictures.found && pictures.preprocess.height == pictures.preprocess.width)
        file.image = pictures.preprocess.height;
    BT_TRY(bt_import_tower(&k->source, &k->o->given, &file, &r->config, &r->notes));
    return bt_import_pictures(&k->source, &pictures, r);
}

static bt_status run(work *k, const bt_weights *weights) {
    bt_status status = describe(k, weights);
    if (status != BT_OK) return bt_error_prefix(status, "%s", k->o->path);
    k->store = k->r->store = bt_params_new(BT_F32);
    bt_vit_init(&k->r->vit, k->store, &k->r->config, &(bt_vit_training){.blank = true});
    BT_TRY(take_all(k));
    list_rest(k);
    BT_TRY(bt_text_status(&k->r->problems));
    return k->problems ? refuse(k) : BT_OK;
}

bt_status bt_import(const bt_import_options *options, bt_import_result *out) {
    bt_weights *weights;
    work k = {.o = options, .r = out};
    *out = (bt_import_result){.family = ""};
    BT_TRY(bt_weights_open(options->path, &weights));
    bt_status status = run(&k, weights);
    if (k.source.weights) bt_import_source_close(&k.source);
    bt_weights_close(weights);
    return status;
}

void bt_import_result_free(bt_import_result *r) {
    bt_text_free(&r->notes);
    bt_text_free(&r->map);
    bt_text_free(&r->left_out);
    bt_text_free(&r->problems);
    if (!r->store) return;
    bt_vit_release(&r->vit);
    bt_params_free(r->store);
    r->store = NULL;
}
