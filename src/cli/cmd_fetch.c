/* bittern fetch: published weights into the cache. */
#include "base/memory.h"
#include "cli/cli.h"
#include "fetch/cache.h"
#include "fetch/fetch.h"
#include "formats/json.h"
#include "train/interrupt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct fetch_flags {
    const char *base, *sha256;
    int tries, timeout;
    bool list, resume, verify, json;
} fetch_flags;

static const bt_option fetch_options[] = {
    BT_OPTION_BOOL(fetch_flags, list, "false", "prints the table: name, files in the cache, licence, what it is"),
    BT_OPTION_STRING(fetch_flags, base, "",
                     "a mirror's address in place of the publisher's; without: the environment's BITTERN_WEIGHTS_BASE, "
                     "if it is set"),
    BT_OPTION_STRING(fetch_flags, sha256, "",
                     "what the weights must have, 64 hexadecimal digits; goes before the table and the server"),
    BT_OPTION_BOOL(fetch_flags, verify, "false", "computes the sha256 of files in the cache again"),
    BT_OPTION_BOOL(fetch_flags, resume, "true", "goes on with a download that was cut; --resume=false begins anew"),
    BT_OPTION_INT(fetch_flags, tries, "5", 1, 100, "of a request that times out, is cut, or is answered 429 or 5xx"),
    BT_OPTION_INT(fetch_flags, timeout, "60", 1, 3600, "seconds without any byte"),
    BT_OPTION_BOOL(fetch_flags, json, "false", "prints one JSON object"),
};
static const bt_option_table fetch_table = BT_OPTION_TABLE("bittern fetch", fetch_options);

static bool interrupted(void) {
    return bt_interrupt_seen() != 0;
}

/* ---- the table ---- */

static void list_files(bt_json_writer *w, const bt_fetch_options *o, const bt_fetch_model *m) {
    bt_text text = {0};
    bt_json_key(w, "files");
    bt_json_begin_array(w);
    for (int i = 0; i < m->file_count; i++) {
        const bt_fetch_file *f = &m->files[i];
        bt_json_begin_object(w);
        bt_json_member_string(w, "file", bt_fetch_file_name(f));
        if (m->base || o->base[0]) {
            bt_text_clear(&text);
            bt_fetch_address(m, f, o->base, &text);
            bt_json_member_string(w, "address", bt_text_get(&text));
        }
        if (f->sha256) bt_json_member_string(w, strlen(f->sha256) == 64 ? "sha256" : "sha256_begins", f->sha256);
        if (f->bytes) bt_json_member_integer(w, "bytes", f->bytes);
        bt_text_clear(&text);
        if (bt_fetch_path(o, m, f, &text) == BT_OK) {
            bt_json_member_string(w, "path", bt_text_get(&text));
            bt_json_member_bool(w, "cached", bt_cache_bytes(bt_text_get(&text)) >= 0);
        }
        bt_json_end(w);
    }
    bt_json_end(w);
    bt_text_free(&text);
}

static bt_status list_json(const bt_fetch_options *o) {
    int count;
    const bt_fetch_model *models = bt_fetch_models(&count);
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "cache", o->cache);
    bt_json_key(&w, "models");
    bt_json_begin_array(&w);
    for (int i = 0; i < count; i++) {
        const bt_fetch_model *m = &models[i];
        bt_json_begin_object(&w);
        bt_json_member_string(&w, "name", m->name);
        bt_json_member_string(&w, "what", m->what);
        bt_json_member_string(&w, "licence", m->licence);
        if (m->repository) bt_json_member_string(&w, "repository", m->repository);
        if (m->note) bt_json_member_string(&w, "note", m->note);
        bt_json_member_bool(&w, "cached", bt_fetch_cached(o, m) == m->file_count);
        list_files(&w, o, m);
        bt_json_end(&w);
    }
    bt_json_end(&w);
    bt_json_end(&w);
    bt_status status = bt_json_finish_to(&w, stdout, "standard output");
    bt_text_free(&text);
    return status;
}

static bt_status list(const bt_fetch_options *o, bool json) {
    if (json) return list_json(o);
    int count;
    const bt_fetch_model *models = bt_fetch_models(&count);
    printf("%-42s  %-6s  %-24s  %s\n", "name", "cached", "licence", "what it is");
    for (int i = 0; i < count; i++) {
        const bt_fetch_model *m = &models[i];
        int there = bt_fetch_cached(o, m);
        char cached[32] = "no";
        if (there == m->file_count)
            snprintf(cached, sizeof cached, "yes");
        else if (there)
            snprintf(cached, sizeof cached, "%d/%d", there, m->file_count);
        printf("%-42s  %-6s  %-24s  %s\n", m->name, cached, m->licence, m->what);
    }
    printf("cache: %s/weights\n", o->cache);
    return BT_OK;
}

/* ---- a model ---- */

static const char *proof_word(bt_fetch_proof proof) {
    static const char *const words[] = {"nothing", "size", "name", "record", "etag", "server", "table", "given"};
    return words[proof];
}

static bt_status print_json(const bt_fetch_model *m, const bt_fetch_result *results) {
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "name", m->name);
    bt_json_member_string(&w, "licence", m->licence);
    bt_json_key(&w, "files");
    bt_json_begin_array(&w);
    for (int i = 0; i < m->file_count; i++) {
        const bt_fetch_result *r = &results[i];
        bt_json_begin_object(&w);
        bt_json_member_string(&w, "path", r->path);
        bt_json_member_integer(&w, "bytes", r->bytes);
        if (r->sha256[0]) bt_json_member_string(&w, "sha256", r->sha256);
        bt_json_member_string(&w, "compared_with", proof_word(r->proof));
        bt_json_member_bool(&w, "cached", r->cached);
        bt_json_end(&w);
    }
    bt_json_end(&w);
    bt_json_end(&w);
    bt_status status = bt_json_finish_to(&w, stdout, "standard output");
    bt_text_free(&text);
    return status;
}

static bt_status fetch_model(const bt_fetch_options *o, const char *name, bool json) {
    const bt_fetch_model *m;
    BT_TRY(bt_fetch_find(name, &m));
    bt_fetch_result *results = bt_memory_zeroed((size_t)m->file_count, sizeof *results);
    if (!results) return BT_ERR_MEMORY;
    bt_interrupt_watch();
    bt_status status = bt_fetch_model_files(o, m, results);
    if (status == BT_OK && json) status = print_json(m, results);
    for (int i = 0; status == BT_OK && !json && i < m->file_count; i++) printf("%s\n", results[i].path);
    bt_fetch_free(results, m->file_count);
    bt_memory_free(results);
    return status;
}

/** It becomes a line of the request: whatever could begin another is refused, and never shown. */
static bt_status check_token(const char *token) {
    for (const char *c = token ? token : ""; *c; c++)
        if (*c <= ' ' || *c > '~')
            return bt_error(BT_ERR_USAGE,
                            "BITTERN_WEIGHTS_TOKEN has a space, a line break or another character that no token has");
    return BT_OK;
}

static bt_status fetch(const bt_arguments *a) {
    const fetch_flags *f = a->flags;
    const char *base = f->base[0] ? f->base : getenv("BITTERN_WEIGHTS_BASE");
    bt_fetch_options o = {.base = base ? base : "",
                          .sha256 = f->sha256,
                          .token = getenv("BITTERN_WEIGHTS_TOKEN"),
                          .tries = f->tries,
                          .timeout_seconds = f->timeout,
                          .resume = f->resume,
                          .verify = f->verify,
                          .stop = interrupted};
    if (!a->count && !f->list)
        return bt_error(BT_ERR_USAGE, "which model? bittern fetch NAME, or bittern fetch --list");
    if (a->count && f->list) return bt_error(BT_ERR_USAGE, "--list shows the whole table: leave out %s", a->operand[0]);
    if (f->sha256[0] && !bt_sha256_is(f->sha256, 64))
        return bt_error(BT_ERR_USAGE, "--sha256: found \"%s\", expected 64 hexadecimal digits", f->sha256);
    BT_TRY(check_token(o.token));
    bt_text cache = {0};
    bt_status status = bt_cache_folder(&cache);
    o.cache = bt_text_get(&cache);
    if (status == BT_OK) status = f->list ? list(&o, f->json) : fetch_model(&o, a->operand[0], f->json);
    bt_text_free(&cache);
    return status;
}

const bt_command bt_command_fetch = {"fetch",
                                     "NAME | --list",
                                     "published weights of a pretrained model, verified, into the cache",
                                     0,
                                     1,
                                     &fetch_table,
                                     sizeof(fetch_flags),
                                     false,
                                     fetch};
