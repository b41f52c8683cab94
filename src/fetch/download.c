/* One file: parts, retries, verification, its name; see download.h. */
#include "fetch/download.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "fetch/cache.h"
#include "fetch/meter.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A file whose size nobody states ends here: no published tower is larger, and no configuration. */
#define MOST_WEIGHTS ((int64_t)32 << 30)
#define MOST_CONFIG ((int64_t)16 << 20)
#define MOST_WAIT 120 /* seconds that a server may ask to wait */
#define RENEWING_BYTES ((int64_t)1 << 20)

typedef struct download {
    const bt_download_job *job;
    const char *name;
    char *partial, *state_path;
    int fd;
    int64_t have;  /* bytes of the partial file */
    int64_t total; /* of the whole; -1: unknown */
    bt_partial_state state;
    bool resumed; /* part of it came from an earlier process */
    bool unfit;   /* what the server offers does not go with the part, which nothing was added to */
    bt_meter meter;
} download;

static bool stops(const download *d) {
    return d->job->options->stop && d->job->options->stop();
}

/* ---- the partial file ---- */

static char *joined(const char *a, const char *b) {
    bt_text text = {0};
    bt_text_append(&text, "%s%s", a, b);
    char *out = bt_text_status(&text) == BT_OK ? bt_memory_copy_text(bt_text_get(&text)) : NULL;
    bt_text_free(&text);
    return out;
}

static bt_status begin_anew(download *d) {
    if (unlink(d->state_path) != 0 && errno != ENOENT) return bt_file_error("remove", d->state_path, errno);
    if (ftruncate(d->fd, 0) != 0 || lseek(d->fd, 0, SEEK_SET) != 0) return bt_file_error("write", d->partial, errno);
    d->have = 0;
    d->total = -1;
    d->state = (bt_partial_state){.total = -1};
    d->resumed = false;
    return BT_OK;
}

static bt_status open_partial(download *d) {
    d->partial = joined(d->job->path, ".partial");
    d->state_path = d->partial ? joined(d->partial, ".state") : NULL;
    if (!d->state_path) return BT_ERR_MEMORY;
    d->fd = open(d->partial, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (d->fd < 0) return bt_file_error("create", d->partial, errno);
    off_t end = lseek(d->fd, 0, SEEK_END);
    if (end < 0) return bt_file_error("read", d->partial, errno);
    bt_partial_read(d->state_path, &d->state);
    d->have = (int64_t)end;
    d->total = d->state.total;
    d->resumed = d->have > 0;
    if (!d->job->options->resume || !d->state.etag[0] || (d->total >= 0 && d->have > d->total)) return begin_anew(d);
    if (d->have > 0) bt_log_info("%s: goes on at byte %" PRId64, d->name, d->have);
    return BT_OK;
}

static void remove_partial(download *d) {
    unlink(d->partial);
    unlink(d->state_path);
}

/* ---- what comes ---- */

static int64_t most(const download *d) {
    size_t length = strlen(d->name);
    return length > 5 && strcmp(d->name + length - 5, ".json") == 0 ? MOST_CONFIG : MOST_WEIGHTS;
}

static bt_status check_part(const download *d, const bt_transfer_answer *a) {
    if (d->have == 0)
        return bt_error(BT_ERR_FORMAT, "%s: the server sent a part (206), though all was asked for", d->job->url);
    if (a->first != d->have || a->last < a->first || a->total != a->last + 1 || (d->total >= 0 && a->total != d->total))
        return bt_error(BT_ERR_FORMAT,
                        "%s: bytes from %" PRId64 " on were asked for, the server's Content-Range is %" PRId64
                        "-%" PRId64 "/%" PRId64,
                        d->job->url, d->have, a->first, a->last, a->total);
    return BT_OK;
}

/** The size of the whole, if the server says it; -1. */
static bt_status whole_size(const download *d, const bt_transfer_answer *a, int64_t *out) {
    int64_t total = a->code == 206 ? a->total : a->length, known = d->job->sha256[0] ? 0 : d->job->file->bytes;
    if (total >= 0 && a->stated_bytes >= 0 && total != a->stated_bytes)
        return bt_error(BT_ERR_FORMAT, "%s: the server states %" PRId64 " bytes and sends %" PRId64, d->job->url,
                        a->stated_bytes, total);
    *out = total >= 0 ? total : a->stated_bytes;
    if (known && *out >= 0 && *out != known)
        return bt_error(BT_ERR_FORMAT,
                        "%s has %" PRId64 " bytes, the published file %" PRId64
                        "; another version? --sha256 HEX takes it",
                        d->job->url, *out, known);
    return BT_OK;
}

static bt_status check_offer(const download *d, const bt_transfer_answer *a, int64_t *total) {
    if (strcmp(a->type, "text/html") == 0)
        return bt_error(
            BT_ERR_FORMAT,
            "%s: a page of HTML came, not the file; a login page of the network or a proxy may stand in between",
            d->job->url);
    if (a->encoded)
        return bt_error(BT_ERR_FORMAT, "%s: the server sent it compressed, which was not asked for", d->job->url);
    if (a->code == 206) BT_TRY(check_part(d, a));
    BT_TRY(whole_size(d, a, total));
    if (*total > most(d))
        return bt_error(BT_ERR_FORMAT, "%s: the server states %" PRId64 " bytes, at most %" PRId64 " are taken",
                        d->job->url, *total, most(d));
    return BT_OK;
}

static bt_status on_begin(void *context, const bt_transfer_answer *a) {
    download *d = context;
    int64_t total = -1;
    d->unfit = true;
    BT_TRY(check_offer(d, a, &total));
    d->unfit = false;
    if (a->code == 200 && d->have > 0) {
        bt_log_info("%s: changed on the server, or it cannot resume; begins anew", d->name);
        BT_TRY(begin_anew(d));
    }
    d->total = total;
    if (a->code == 206) { /* the same file, of which more may be stated now */
        if (a->sha256[0]) snprintf(d->state.sha256, sizeof d->state.sha256, "%s", a->sha256);
        if (a->sha256[0]) d->state.from_etag = a->from_etag;
        return BT_OK;
    }
    d->state = (bt_partial_state){.total = total, .from_etag = a->from_etag};
    snprintf(d->state.etag, sizeof d->state.etag, "%s", a->etag);
    snprintf(d->state.sha256, sizeof d->state.sha256, "%s", a->sha256);
    return bt_partial_write(d->state_path, &d->state);
}

static bt_status on_take(void *context, const void *data, size_t bytes) {
    download *d = context;
    const char *from = data;
    int64_t bound = d->total >= 0 ? d->total : most(d);
    if ((int64_t)bytes > bound - d->have)
        return bt_error(BT_ERR_FORMAT, "%s: more than %" PRId64 " bytes came%s", d->job->url, bound,
                        d->total < 0 ? ", and no end is stated" : "");
    while (bytes > 0) {
        ssize_t done = write(d->fd, from, bytes);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return bt_file_error("write", d->partial, errno);
        from += done;
        bytes -= (size_t)done;
        d->have += done;
    }
    bt_meter_show(&d->meter, d->have, d->total);
    return BT_OK;
}

/* ---- tries ---- */

static bt_status request_once(download *d, bt_transfer *t, bt_transfer_answer *a, bt_transfer_end *end) {
    const bt_fetch_options *o = d->job->options;
    bt_transfer_request r = {.url = d->job->url,
                             .token = d->job->token,
                             .from = d->have,
                             .etag = d->state.etag,
                             .sha256 = d->state.sha256,
                             .timeout_seconds = o->timeout_seconds,
                             .stop = o->stop,
                             .sink = d,
                             .begin = on_begin,
                             .take = on_take};
    if (d->have > 0 && !d->state.etag[0])
        BT_TRY(begin_anew(d)); /* nothing tells that the rest would be of the same file */
    if (lseek(d->fd, d->have, SEEK_SET) < 0) return bt_file_error("write", d->partial, errno);
    r.from = d->have;
    bt_meter_start(&d->meter, d->name, d->have);
    bt_status status = bt_transfer_get(t, &r, a, end);
    bt_meter_end(&d->meter);
    if (status == BT_OK && d->total >= 0 && d->have < d->total) {
        *end = BT_TRANSFER_AGAIN;
        return bt_error(BT_ERR_IO, "%s: only %" PRId64 " of %" PRId64 " bytes came", d->job->url, d->have, d->total);
    }
    return status;
}

static bt_status pause_for(const download *d, int seconds) {
    double end = bt_clock_seconds() + seconds;
    while (bt_clock_seconds() < end) {
        if (stops(d)) return bt_error(BT_ERR_INTERRUPTED, "interrupted");
        nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
    }
    return BT_OK;
}

/** Waits before the next try: as the server asks, or 1, 2, 4, ... seconds. */
static bt_status back_off(const download *d, const bt_transfer_answer *a, int tries) {
    int64_t seconds = a->retry_after >= 0 ? a->retry_after : (int64_t)1 << (tries < 5 ? tries : 5);
    if (seconds > MOST_WAIT)
        return bt_error_prefix(BT_ERR_IO, "try again in %" PRId64 " seconds, as the server asks", seconds);
    bt_log_info("%s; again in %" PRId64 " s", bt_error_message(), seconds);
    return pause_for(d, (int)seconds);
}

static bt_status receive(download *d, bt_transfer *t, bool *unreachable) {
    bool refused = false; /* a range that the server does not have */
    int64_t renewed = d->have;
    for (int tries = 0;;) {
        bt_transfer_answer a;
        bt_transfer_end end = BT_TRANSFER_FAILED;
        bt_status status = request_once(d, t, &a, &end);
        if (status == BT_OK) return BT_OK;
        *unreachable = end == BT_TRANSFER_UNREACHABLE && tries == 0;
        if (a.code == 416 && d->have > 0 && !refused) {
            refused = true;
            BT_TRY(begin_anew(d));
            continue;
        }
        if (status != BT_ERR_IO || end == BT_TRANSFER_FAILED || *unreachable) return status;
        if (d->have - renewed >= RENEWING_BYTES) tries = 0;
        renewed = d->have;
        if (tries + 1 >= d->job->options->tries)
            return tries ? bt_error_prefix(status, "given up after %d tries", tries + 1) : status;
        BT_TRY(back_off(d, &a, tries++));
    }
}

/* ---- what it is ---- */

bt_status bt_download_compare(const bt_download_job *job, const char *sum, const char *stated, bool from_etag,
                              const char *record, bt_fetch_proof *proof) {
    const char *table = job->file->sha256 ? job->file->sha256 : "", *whole = strlen(table) == 64 ? table : "",
               *some = *whole ? "" : table;
    const struct {
        const char *sum;
        bt_fetch_proof proof;
    } known[] = {{job->sha256, BT_PROOF_GIVEN},
                 {whole, BT_PROOF_TABLE},
                 {stated, from_etag ? BT_PROOF_ETAG : BT_PROOF_SERVER},
                 {record, BT_PROOF_RECORD},
                 {some, BT_PROOF_NAME}};
    bool given = job->sha256[0];
    *proof = BT_PROOF_NONE;
    for (int i = 0; i < 5 && !(given && i > 0); i++) {
        if (!known[i].sum[0]) continue;
        if (!bt_sha256_agrees(sum, known[i].sum))
            return bt_error(BT_ERR_FORMAT, "%s: sha256 is %s, not %s%s (%s)%s", bt_fetch_file_name(job->file), sum,
                            known[i].sum, strlen(known[i].sum) < 64 ? "..." : "", bt_fetch_proof_text(known[i].proof),
                            given ? "" : "; if that file is meant, say so by --sha256");
        if (!*proof) *proof = known[i].proof;
    }
    return BT_OK;
}

/** The complete partial file: its kind, its sum, its name. */
static bt_status accept(download *d, bt_fetch_result *result) {
    if (fsync(d->fd) != 0) return bt_file_error("write", d->partial, errno);
    BT_TRY(bt_cache_check_head(d->partial, d->job->url));
    BT_TRY(bt_sha256_file(d->partial, d->job->options->stop, result->sha256));
    BT_TRY(bt_download_compare(d->job, result->sha256, d->state.sha256, d->state.from_etag, "", &result->proof));
    if (!result->proof && d->total >= 0) result->proof = BT_PROOF_SIZE;
    result->bytes = d->have;
    BT_TRY(bt_cache_write_sum(d->job->path, result->sha256)); /* first: what is in place has its sum beside it */
    if (rename(d->partial, d->job->path) != 0) return bt_file_error("write", d->job->path, errno);
    unlink(d->state_path);
    char *folder = bt_memory_copy_text(d->job->path);
    if (!folder) return BT_ERR_MEMORY;
    *strrchr(folder, '/') = 0;
    bt_status status = bt_file_sync_folder(folder);
    bt_memory_free(folder);
    return status;
}

/** The end of a download that failed: a partial file stays only where the rest may still come. */
static bt_status keep_or_remove(download *d, bt_status status) {
    char why[640];
    snprintf(why, sizeof why, "%s", bt_error_message());
    if (status == BT_ERR_FORMAT && d->unfit && d->have > 0)
        return bt_error(status, "%s; %" PRId64 " bytes of %s are kept, --resume=false begins anew", why, d->have,
                        d->name);
    if (status == BT_ERR_FORMAT || (d->have == 0 && status != BT_ERR_UNSUPPORTED)) {
        remove_partial(d);
        return status == BT_ERR_INTERRUPTED ? bt_error(status, "interrupted before anything of %s came", d->name)
                                            : status;
    }
    if (status == BT_ERR_INTERRUPTED)
        return bt_error(status, "interrupted; %" PRId64 " bytes of %s are kept, the same command goes on", d->have,
                        d->name);
    if (status != BT_ERR_IO) return status;
    return bt_error(status, "%s; %" PRId64 " bytes of %s are kept, the same command goes on", why, d->have, d->name);
}

bt_status bt_download(bt_transfer *t, const bt_download_job *job, bt_fetch_result *result, bool *unreachable) {
    download d = {.job = job, .name = bt_fetch_file_name(job->file), .fd = -1};
    *unreachable = false;
    bt_status status = open_partial(&d);
    for (int i = 0; status == BT_OK && i < 2; i++) {
        bool resumed = d.resumed;
        if (d.have == 0 || d.have != d.total) status = receive(&d, t, unreachable);
        if (status == BT_OK) status = accept(&d, result);
        if (status != BT_ERR_FORMAT || !resumed || d.unfit || i)
            break; /* what an earlier process left may be damaged: once more, all of it */
        bt_log_warn("%s; the part that was there is given up, all of it comes again", bt_error_message());
        status = begin_anew(&d);
    }
    if (status != BT_OK && d.fd >= 0) status = keep_or_remove(&d, status);
    if (d.fd >= 0) close(d.fd);
    bt_memory_free(d.partial);
    bt_memory_free(d.state_path);
    return status;
}
