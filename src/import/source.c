/* Recognising a file, and finding tensors in it by rules. */
#include "import/source.h"

#include "base/memory.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- recognising ---- */

/** Length of what stands before `key` in `name`: all of it, up to a dot; -1 if the name does not end so. */
static int prefix_length(const char *name, const char *key) {
    size_t length = strlen(name), tail = strlen(key);
    if (length < tail || strcmp(name + length - tail, key) != 0) return -1;
    size_t before = length - tail;
    return before == 0 || name[before - 1] == '.' ? (int)before : -1;
}

static bool has(const bt_weights *w, const char *prefix, int prefix_bytes, const char *name) {
    char full[512];
    snprintf(full, sizeof full, "%.*s%s", prefix_bytes, prefix, name);
    return bt_weights_find(w, full) != NULL;
}

typedef struct candidates {
    char prefix[8][200];
    int count;
} candidates;

/** Prefixes under which the file has the tensors of a family. */
static void find_prefixes(const bt_weights *w, const bt_import_family *f, const char *wanted, candidates *out) {
    out->count = 0;
    for (int64_t i = 0; i < bt_weights_count(w) && out->count < 8; i++) {
        const char *name = bt_weights_at(w, i)->name;
        int length = prefix_length(name, f->key);
        if (length < 0 || length >= 200 || (f->also && !has(w, name, length, f->also))) continue;
        if (wanted && (strncmp(name, wanted, (size_t)length) != 0 || wanted[length])) continue;
        snprintf(out->prefix[out->count++], 200, "%.*s", length, name);
    }
}

static bt_status refuse_several(const candidates *c) {
    bt_text list = {0};
    for (int i = 0; i < c->count; i++) bt_text_append(&list, "%s\"%s\"", i ? ", " : "", c->prefix[i]);
    bt_status status = bt_error(BT_ERR_FORMAT, "the file holds %d towers, under %s; choose one: --prefix %s", c->count,
                                bt_text_get(&list), c->prefix[0]);
    bt_text_free(&list);
    return status;
}

static bt_status refuse_unknown(const bt_weights *w, const char *prefix) {
    bt_text list = {0};
    for (int64_t i = 0; i < bt_weights_count(w) && i < 4; i++)
        bt_text_append(&list, "%s%s", i ? ", " : "", bt_weights_at(w, i)->name);
    bt_text_append(&list, "%s", bt_weights_count(w) > 4 ? ", ..." : "");
    bt_status status = bt_error(BT_ERR_FORMAT,
                                "no known tower%s%s%s among its %lld tensors (%s); known are DINOv2 (hub, timm, "
                                "transformers), DINOv3 of transformers, ViT of "
                                "timm, transformers and torchvision, CLIP of open_clip, OpenAI and transformers",
                                prefix ? " under \"" : "", prefix ? prefix : "", prefix ? "\"" : "",
                                (long long)bt_weights_count(w), bt_text_get(&list));
    bt_text_free(&list);
    return status;
}

/* ---- names ---- */

/** The family's name of a tensor: behind the prefix, with the lead that the file leaves out. */
static char *own_name(const bt_import_source *s, const char *behind) {
    const char *lead = s->family->lead ? s->family->lead : "";
    size_t bytes = strlen(lead) + strlen(behind) + 1;
    char *name = bt_memory_alloc(bytes, 1);
    if (name) snprintf(name, bytes, "%s%s", lead, behind);
    return name;
}

/** "blocks.2.17.norm1.weight" to "blocks.17.norm1.weight": chunks hold their blocks under the numbers of the whole
 * tower. */
static bool straighten(const char *blocks, char *name) {
    size_t lead = strlen(blocks);
    if (strncmp(name, blocks, lead) != 0) return false;
    char *chunk = name + lead, *rest = chunk;
    while (isdigit((unsigned char)*rest)) rest++;
    if (rest == chunk || *rest != '.' || !isdigit((unsigned char)rest[1])) return false;
    memmove(chunk, rest + 1, strlen(rest));
    return true;
}

static bt_status make_names(bt_import_source *s) {
    int64_t count = bt_weights_count(s->weights);
    size_t lead = strlen(s->prefix);
    s->name = bt_memory_zeroed((size_t)count, sizeof *s->name);
    s->used = bt_memory_zeroed((size_t)count, sizeof *s->used);
    if (!s->name || !s->used) return BT_ERR_MEMORY;
    for (int64_t i = 0; i < count; i++) {
        const char *name = bt_weights_at(s->weights, i)->name;
        if (strncmp(name, s->prefix, lead) != 0) continue;
        s->name[i] = own_name(s, name + lead);
        if (!s->name[i]) return BT_ERR_MEMORY;
        if (straighten(s->family->blocks, s->name[i])) s->chunked = true;
    }
    for (int64_t i = 0; i < count && s->chunked; i++)
        for (int64_t k = 0; k < i; k++)
            if (s->name[i] && s->name[k] && strcmp(s->name[i], s->name[k]) == 0)
                return bt_error(BT_ERR_FORMAT, "tensor \"%s\" is there twice, once in a chunk of blocks", s->name[i]);
    return BT_OK;
}

bt_status bt_import_source_open(const bt_weights *weights, const char *prefix, bt_import_source *out) {
    candidates c = {.count = 0};
    const bt_import_family *family = bt_import_families;
    for (; family->name; family++) {
        find_prefixes(weights, family, prefix, &c);
        if (c.count) break;
    }
    if (!c.count) return refuse_unknown(weights, prefix);
    if (c.count > 1) return refuse_several(&c);
    bt_import_source s = {.weights = weights, .family = family};
    snprintf(s.prefix, sizeof s.prefix, "%s", c.prefix[0]);
    bt_status status = make_names(&s);
    if (status != BT_OK) {
        bt_import_source_close(&s);
        return status;
    }
    *out = s;
    return BT_OK;
}

void bt_import_source_close(bt_import_source *s) {
    for (int64_t i = 0; s->name && i < bt_weights_count(s->weights); i++) bt_memory_free(s->name[i]);
    bt_memory_free(s->name);
    bt_memory_free(s->used);
    *s = (bt_import_source){.weights = NULL};
}

/* ---- tensors ---- */

static int64_t index_of(const bt_import_source *s, const char *name) {
    for (int64_t i = 0; i < bt_weights_count(s->weights); i++)
        if (s->name[i] && strcmp(s->name[i], name) == 0) return i;
    return -1;
}

const bt_weight *bt_import_find(const bt_import_source *s, const char *name) {
    int64_t i = index_of(s, name);
    return i < 0 ? NULL : bt_weights_at(s->weights, i);
}

/** The tensors of one rule. */
static bool resolve_rule(const bt_import_source *s, const bt_import_rule *r, int block, const char *rest,
                         bt_import_parts *out) {
    char name[512];
    *out = (bt_import_parts){.rule = r, .block = block};
    for (int k = 0; k < 3 && r->from[k]; k++) {
        bt_import_fill(r->from[k], block, rest, name, sizeof name);
        out->part[k] = bt_import_find(s, name);
        if (!out->part[k]) return false;
        out->count++;
    }
    return true;
}

bool bt_import_resolve(const bt_import_source *s, const char *to, bt_import_parts *out) {
    for (const bt_import_rule *r = s->family->rules; r->to; r++) {
        int block;
        const char *rest;
        if (bt_import_match(r->to, to, &block, &rest) && resolve_rule(s, r, block, rest, out)) return true;
    }
    return false;
}

void bt_import_take(bt_import_source *s, const bt_import_parts *parts) {
    for (int k = 0; k < parts->count; k++)
        for (int64_t i = 0; i < bt_weights_count(s->weights); i++)
            if (bt_weights_at(s->weights, i) == parts->part[k]) s->used[i] = true;
}

const char *bt_import_why_left(const bt_import_source *s, int64_t index) {
    if (!s->name[index]) return "outside of the tower";
    for (const bt_import_left *l = s->family->left; l->prefix; l++)
        if (strncmp(s->name[index], l->prefix, strlen(l->prefix)) == 0) return l->why;
    return NULL;
}

int bt_import_depth(const bt_import_source *s) {
    size_t lead = strlen(s->family->blocks);
    int highest = -1;
    for (int64_t i = 0; i < bt_weights_count(s->weights); i++) {
        const char *name = s->name[i];
        if (!name || strncmp(name, s->family->blocks, lead) != 0 || !isdigit((unsigned char)name[lead])) continue;
        long number = strtol(name + lead, NULL, 10);
        if (number > highest && number < 1000) highest = (int)number;
    }
    return highest + 1;
}
