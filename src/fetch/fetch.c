/* The files of a model, from the cache or the network; see fetch.h. */
#include "fetch/fetch.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "fetch/cache.h"
#include "fetch/download.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *bt_fetch_proof_text(bt_fetch_proof proof) {
    switch (proof) {
    case BT_PROOF_GIVEN:
        return "as given by --sha256";
    case BT_PROOF_TABLE:
        return "as published";
    case BT_PROOF_SERVER:
        return "as the server states";
    case BT_PROOF_ETAG:
        return "as the server's ETag says";
    case BT_PROOF_RECORD:
        return "as when it was fetched";
    case BT_PROOF_NAME:
        return "its first digits are those in the published name";
    case BT_PROOF_SIZE:
        return "only its size could be verified";
    case BT_PROOF_NONE:
        break;
    }
    return "nothing is known to compare it with";
}

bt_status bt_fetch_path(const bt_fetch_options *o, const bt_fetch_model *model, const bt_fetch_file *file,
                        bt_text *out) {
    bt_text_append(out, "%s/weights/%s/%s", o->cache, model->name, bt_fetch_file_name(file));
    return bt_text_status(out);
}

static int64_t cached_bytes(const bt_fetch_options *o, const bt_fetch_model *model, const bt_fetch_file *file) {
    bt_text path = {0};
    int64_t bytes = bt_fetch_path(o, model, file, &path) == BT_OK ? bt_cache_bytes(bt_text_get(&path)) : -1;
    bt_text_free(&path);
    return bytes;
}

int bt_fetch_cached(const bt_fetch_options *o, const bt_fetch_model *model) {
    int count = 0;
    for (int i = 0; i < model->file_count; i++) count += cached_bytes(o, model, &model->files[i]) >= 0;
    return count;
}

void bt_fetch_by_hand(const bt_fetch_options *o, const bt_fetch_model *model, bt_text *out) {
    bt_text_append(out, "bring by hand");
    for (int i = 0; i < model->file_count; i++)
        if (cached_bytes(o, model, &model->files[i]) < 0)
            bt_text_append(out, " %s,", bt_fetch_file_name(&model->files[i]));
    if (model->repository)
        bt_text_append(out, " from %s/%s", model->base, model->repository);
    else if (model->base)
        bt_text_append(out, " from %s/%s", model->base, model->files[0].path);
    if (model->note) bt_text_append(out, "%s%s", model->base ? " (" : " ", model->note);
    if (model->note && model->base) bt_text_append(out, ")");
    bt_text_append(out, ", to %s/weights/%s/", o->cache, model->name);
}

/** `status` with the thread's message (or `why`) and what to bring. */
static bt_status with_by_hand(const bt_fetch_options *o, const bt_fetch_model *model, bt_status status,
                              const char *why) {
    bt_text hand = {0};
    char message[640];
    snprintf(message, sizeof message, "%s", why ? why : bt_error_message());
    bt_fetch_by_hand(o, model, &hand);
    bt_error(status, "%s; %s", message, bt_text_get(&hand));
    bt_text_free(&hand);
    return status;
}

/* ---- what is there ---- */

/** A cached file whose sum is not what it was or should be loses its name, so that nothing takes it for the file. A sum
 * that the user gave may be the mistake: then it stays. */
static bt_status refuse(const bt_download_job *job, bt_status status) {
    if (status != BT_ERR_FORMAT || job->sha256[0]) return status;
    bt_text aside = {0};
    bt_text_append(&aside, "%s.refused", job->path);
    char why[512];
    snprintf(why, sizeof why, "%s", bt_error_message());
    if (bt_text_status(&aside) == BT_OK && rename(job->path, bt_text_get(&aside)) == 0)
        bt_error(status, "%s; it is now %s, and the next fetch brings it anew", why, bt_text_get(&aside));
    bt_text_free(&aside);
    return status;
}

static bt_status verify(const bt_download_job *job, bt_fetch_result *result) {
    char record[BT_SHA256_BYTES];
    bt_cache_read_sum(job->path, record);
    BT_TRY(bt_sha256_file(job->path, job->options->stop, result->sha256));
    return refuse(job, bt_download_compare(job, result->sha256, "", false, record, &result->proof));
}

/** A file that is there: fetched before, or brought by hand. */
static bt_status take_cached(const bt_download_job *job, bt_fetch_result *result) {
    int64_t known = job->sha256[0] ? 0 : job->file->bytes;
    result->cached = true;
    if (known && known != result->bytes)
        return bt_error(BT_ERR_FORMAT,
                        "%s has %" PRId64 " bytes, the published file %" PRId64 ": remove it and fetch it again",
                        job->path, result->bytes, known);
    bt_status head = bt_cache_check_head(job->path, job->path);
    if (head == BT_ERR_FORMAT) {
        char why[512];
        snprintf(why, sizeof why, "%s", bt_error_message());
        return bt_error(head, "%s: remove it and fetch it again", why);
    }
    BT_TRY(head);
    if (job->options->verify || job->sha256[0]) return verify(job, result);
    bt_cache_read_sum(job->path, result->sha256);
    return BT_OK;
}

static void tell(const bt_fetch_file *file, bool weights, const bt_fetch_result *r) {
    const char *name = bt_fetch_file_name(file);
    if (r->cached && !r->proof && !r->sha256[0])
        bt_log_info("%s: in the cache, %" PRId64 " bytes", name, r->bytes);
    else if (r->cached && !r->proof)
        bt_log_info("%s: in the cache, %" PRId64 " bytes, sha256 %s", name, r->bytes, r->sha256);
    else
        bt_log_info("%s: %" PRId64 " bytes, sha256 %s: %s", name, r->bytes, r->sha256, bt_fetch_proof_text(r->proof));
    if (weights && !r->cached && r->proof <= BT_PROOF_SIZE)
        bt_log_warn("%s: neither the table nor the server states its sha256; to pin the file that came: --sha256 %s",
                    name, r->sha256);
}

/* ---- what is not ---- */

/** The token is for the address that the user names, or for the hub; other publishers' hosts never see it. */
static const char *token_for(const bt_fetch_options *o, const bt_fetch_model *model) {
    return o->base[0] || model->repository ? o->token : NULL;
}

static bt_status fetch_locked(const bt_fetch_model *model, bt_download_job *job, bt_transfer *t,
                              bt_fetch_result *result) {
    bt_cache_lock lock;
    bool unreachable = false;
    BT_TRY(bt_cache_lock_take(job->path, job->options->stop, &lock));
    bt_status status;
    result->bytes = bt_cache_bytes(job->path);
    if (result->bytes >= 0)
        status = take_cached(job, result); /* the process that was waited for has brought it */
    else
        status = bt_download(t, job, result, &unreachable);
    bt_cache_lock_release(&lock);
    return unreachable ? with_by_hand(job->options, model, status, NULL) : status;
}

static bt_status fetch_one(const bt_fetch_options *o, const bt_fetch_model *model, int index, bt_transfer **t,
                           bt_fetch_result *result) {
    const bt_fetch_file *file = &model->files[index];
    bt_text path = {0}, url = {0};
    bt_download_job job = {
        .options = o, .file = file, .token = token_for(o, model), .sha256 = index == 0 ? o->sha256 : ""};
    bt_fetch_address(model, file, o->base, &url);
    bt_status status = bt_fetch_path(o, model, file, &path);
    if (status == BT_OK) status = bt_text_status(&url);
    job.url = bt_text_get(&url);
    job.path = bt_text_get(&path);
    if (status == BT_OK && !(result->path = bt_memory_copy_text(job.path))) status = BT_ERR_MEMORY;
    if (status == BT_OK) result->bytes = bt_cache_bytes(job.path);
    if (status == BT_OK && result->bytes >= 0)
        status = take_cached(&job, result);
    else if (status == BT_OK) {
        if (!bt_transfer_available())
            status = with_by_hand(o, model, BT_ERR_UNSUPPORTED,
                                  "this build cannot fetch (libcurl4-openssl-dev and libssl-dev would switch it on)");
        else if (!model->base && !o->base[0])
            status = with_by_hand(o, model, BT_ERR_UNSUPPORTED, "no address of it is known");
        if (status == BT_OK && !*t) status = bt_transfer_open(t);
        if (status == BT_OK) status = fetch_locked(model, &job, *t, result);
    }
    if (status == BT_OK) tell(file, index == 0, result);
    bt_text_free(&path);
    bt_text_free(&url);
    return status;
}

static bt_status make_folder(const bt_fetch_options *o, const bt_fetch_model *model) {
    bt_text folder = {0};
    bt_text_append(&folder, "%s/weights/%s", o->cache, model->name);
    bt_status status = bt_text_status(&folder);
    if (status == BT_OK && !bt_file_is_folder(bt_text_get(&folder)))
        status = bt_file_make_folders(bt_text_get(&folder));
    bt_text_free(&folder);
    return status;
}

bt_status bt_fetch_model_files(const bt_fetch_options *o, const bt_fetch_model *model, bt_fetch_result *results) {
    bt_transfer *t = NULL;
    bt_status status = BT_OK;
    memset(results, 0, (size_t)model->file_count * sizeof *results);
    if (o->base[0]) status = bt_transfer_check_base(o->base);
    if (status == BT_OK && bt_fetch_cached(o, model) < model->file_count && bt_transfer_available())
        status = make_folder(o, model);
    for (int i = 0; status == BT_OK && i < model->file_count; i++) status = fetch_one(o, model, i, &t, &results[i]);
    bt_transfer_close(t);
    return status;
}

void bt_fetch_free(bt_fetch_result *results, int count) {
    for (int i = 0; i < count; i++) bt_memory_free(results[i].path);
}
