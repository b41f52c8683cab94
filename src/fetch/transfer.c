/* GET by libcurl; see transfer.h. */
#include "fetch/transfer.h"

#include "base/memory.h"
#include "fetch/address.h"
#include "fetch/headers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOCATION_BYTES = 8192, CONNECT_SECONDS = 30, ERROR_BODY_BYTES = 1 << 20 };

struct bt_transfer {
    CURL *curl; /* kept between requests, and its connections with it */
    char error[CURL_ERROR_SIZE];
};

/** One GET under way. */
typedef struct exchange {
    const bt_transfer_request *request;
    bt_transfer_answer *answer;
    bt_address first, here; /* of the request; of this hop */
    bool whole;             /* all is asked for, although a part is there */
    bool home;              /* this hop is the first host's */
    bool body;              /* the body has begun: what looks like a header is a trailer */
    bool begun;             /* the sink has been told */
    size_t ignored;         /* bytes of a body that nobody wants */
    char location[LOCATION_BYTES];
    bt_status sink_status;
} exchange;

bool bt_transfer_available(void) {
    return true;
}

bt_status bt_transfer_open(bt_transfer **out) {
    bt_transfer *t = bt_memory_zeroed(1, sizeof *t);
    if (!t) return BT_ERR_MEMORY;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) t->curl = curl_easy_init();
    if (!t->curl) {
        bt_memory_free(t);
        return bt_error(BT_ERR_FAILED, "libcurl cannot be started");
    }
    *out = t;
    return BT_OK;
}

void bt_transfer_close(bt_transfer *t) {
    if (!t) return;
    curl_easy_cleanup(t->curl);
    curl_global_cleanup();
    bt_memory_free(t);
}

/* ---- what libcurl calls ---- */

static bool wanted(const bt_transfer_answer *a) {
    return a->code == 200 || a->code == 206;
}

static size_t on_header(char *line, size_t size, size_t count, void *context) {
    exchange *x = context;
    size_t length = size * count;
    if (x->body) return length;
    if (length >= 5 && strncmp(line, "HTTP/", 5) == 0) {
        bt_headers_begin(x->answer);
        x->location[0] = 0;
        x->answer->code = bt_headers_code(line, length);
    } else
        bt_headers_take(x->answer, line, length, x->home, x->location, sizeof x->location);
    return length;
}

static bool begin(exchange *x) {
    x->body = true;
    if (!wanted(x->answer) || x->begun) return x->sink_status == BT_OK;
    x->begun = true;
    x->sink_status = x->request->begin(x->request->sink, x->answer);
    return x->sink_status == BT_OK;
}

static size_t on_body(char *data, size_t size, size_t count, void *context) {
    exchange *x = context;
    size_t bytes = size * count;
    if (!begin(x)) return 0;
    if (!wanted(x->answer)) {
        x->ignored += bytes;
        return x->ignored > ERROR_BODY_BYTES ? 0 : bytes;
    }
    x->sink_status = x->request->take(x->request->sink, data, bytes);
    return x->sink_status == BT_OK ? bytes : 0;
}

static int on_progress(void *context, curl_off_t down, curl_off_t down_now, curl_off_t up, curl_off_t up_now) {
    const exchange *x = context;
    (void)down, (void)down_now, (void)up, (void)up_now;
    return x->request->stop && x->request->stop();
}

/* ---- one hop ---- */

static bt_status add_line(struct curl_slist **list, const char *format, const char *value) {
    bt_text line = {0};
    bt_text_append(&line, format, value);
    struct curl_slist *longer = bt_text_status(&line) == BT_OK ? curl_slist_append(*list, bt_text_get(&line)) : NULL;
    bt_text_free(&line);
    if (!longer) return bt_error(BT_ERR_MEMORY, "no memory for a request");
    *list = longer;
    return BT_OK;
}

static void set_options(bt_transfer *t, exchange *x, struct curl_slist *lines) {
    CURL *c = t->curl;
    const char *authorities = getenv("CURL_CA_BUNDLE");
    if (!authorities || !*authorities) authorities = getenv("SSL_CERT_FILE");
    if (authorities && *authorities)
        curl_easy_setopt(c, CURLOPT_CAINFO, authorities); /* the curl command reads these, libcurl does not */
    curl_easy_setopt(c, CURLOPT_URL, x->here.url);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https,http");
#else
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (x->here.loopback) curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_USERAGENT, "bittern");
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, lines);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)x->request->timeout_seconds);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
}

/** `code` and the answer of one request at x->here. */
static bt_status perform(bt_transfer *t, exchange *x, CURLcode *code) {
    const bt_transfer_request *r = x->request;
    struct curl_slist *lines = NULL;
    char range[64];
    snprintf(range, sizeof range, "%lld-", (long long)r->from);
    bool part = r->from > 0 && r->etag[0] && !x->whole;
    bt_status status = add_line(&lines, "Accept-Encoding: %s", "identity");
    if (status == BT_OK && part) status = add_line(&lines, "Range: bytes=%s", range);
    if (status == BT_OK && part) status = add_line(&lines, "If-Range: %s", r->etag);
    if (status == BT_OK && x->home && r->token && r->token[0])
        status = add_line(&lines, "Authorization: Bearer %s", r->token);
    if (status == BT_OK) {
        bt_headers_begin(x->answer);
        x->body = false;
        x->ignored = 0;
        x->location[0] = t->error[0] = 0;
        curl_easy_reset(t->curl);
        set_options(t, x, lines);
        *code = curl_easy_perform(t->curl);
        curl_off_t wait = 0;
        if (curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
            x->answer->retry_after = (int64_t)wait;
    }
    curl_slist_free_all(lines);
    return status;
}

static bt_transfer_end end_of(CURLcode code) {
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return BT_TRANSFER_UNREACHABLE;
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR:
        return BT_TRANSFER_AGAIN;
    default:
        return BT_TRANSFER_FAILED;
    }
}

static bt_status hop(bt_transfer *t, exchange *x, bt_transfer_end *end) {
    CURLcode code = CURLE_OK;
    *end = BT_TRANSFER_FAILED;
    BT_TRY(perform(t, x, &code));
    if (x->sink_status != BT_OK) return x->sink_status;
    if (code == CURLE_ABORTED_BY_CALLBACK) return bt_error(BT_ERR_INTERRUPTED, "interrupted");
    bool ignored = code == CURLE_WRITE_ERROR && x->ignored > ERROR_BODY_BYTES; /* the code says it all */
    if (code != CURLE_OK && !ignored) {
        *end = end_of(code);
        const char *why = t->error[0] ? t->error : curl_easy_strerror(code);
        if (code == CURLE_OPERATION_TIMEDOUT && x->answer->code)
            return bt_error(BT_ERR_IO, "%s: nothing came for %d seconds", x->here.shown, x->request->timeout_seconds);
        return bt_error(BT_ERR_IO, "%s: %s", x->here.shown, why);
    }
    if (!begin(x)) return x->sink_status;
    *end = BT_TRANSFER_DONE;
    return BT_OK;
}

/* ---- redirects and codes ---- */

static bool redirects(int code) {
    return code == 301 || code == 302 || code == 303 || code == 307 || code == 308;
}

static bt_status follow(exchange *x) {
    if (!x->location[0])
        return bt_error(BT_ERR_IO, "%s: redirected (%d) without saying where to", x->here.shown, x->answer->code);
    bt_address next;
    if (bt_address_open(x->location, &x->here, &next) != BT_OK)
        return bt_error_prefix(BT_ERR_IO, "%s: redirected", x->here.shown);
    bt_address_close(&x->here);
    x->here = next;
    x->home = x->home && bt_address_same_host(&x->first, &x->here);
    const char *part = x->request->sha256;
    if (part[0] && x->answer->sha256[0] && !bt_sha256_agrees(x->answer->sha256, part)) x->whole = true;
    return BT_OK;
}

static bt_status judge(const exchange *x, bt_transfer_end *end) {
    const bt_transfer_answer *a = x->answer;
    const char *where = x->here.shown;
    bool token = x->request->token && x->request->token[0];
    *end = BT_TRANSFER_DONE;
    if (wanted(a)) return BT_OK;
    *end = BT_TRANSFER_FAILED;
    if (a->code == 401 || a->code == 403)
        return bt_error(BT_ERR_IO, "%s: not allowed (%d); %s", where, a->code,
                        !token ? "if its licence must be accepted, do so on the model's page and set "
                                 "BITTERN_WEIGHTS_TOKEN to a token of that account"
                               : "the token in BITTERN_WEIGHTS_TOKEN was sent: has its account accepted the licence, "
                                 "and may the token read?");
    if (a->code == 404 || a->code == 410) return bt_error(BT_ERR_IO, "%s: there is no such file (%d)", where, a->code);
    if (a->code == 416)
        return bt_error(BT_ERR_IO, "%s: the server has no bytes from %lld on (416)", where,
                        (long long)x->request->from);
    if (a->code == 429 || a->code == 408 || a->code >= 500) {
        *end = BT_TRANSFER_AGAIN;
        return bt_error(BT_ERR_IO, "%s: the server is %s (%d)", where,
                        a->code == 429 ? "asking for fewer requests" : "not able to answer", a->code);
    }
    return bt_error(BT_ERR_IO, "%s: the server answered %d", where, a->code);
}

static bt_status run(bt_transfer *t, exchange *x, bt_transfer_end *end) {
    for (int i = 0; i <= BT_TRANSFER_REDIRECTS; i++) {
        BT_TRY(hop(t, x, end));
        if (!redirects(x->answer->code)) return judge(x, end);
        *end = BT_TRANSFER_FAILED;
        BT_TRY(follow(x));
    }
    return bt_error(BT_ERR_IO, "%s: redirected more than %d times", x->first.shown, BT_TRANSFER_REDIRECTS);
}

bt_status bt_transfer_get(bt_transfer *t, const bt_transfer_request *request, bt_transfer_answer *answer,
                          bt_transfer_end *end) {
    *end = BT_TRANSFER_FAILED;
    *answer = (bt_transfer_answer){.length = -1, .stated_bytes = -1, .retry_after = -1};
    exchange *x = bt_memory_zeroed(1, sizeof *x);
    if (!x) return BT_ERR_MEMORY;
    *x = (exchange){.request = request, .answer = answer, .home = true};
    bt_status status = bt_address_open(request->url, NULL, &x->first);
    if (status == BT_OK) status = bt_address_open(request->url, NULL, &x->here);
    if (status == BT_OK) status = run(t, x, end);
    bt_address_close(&x->first);
    bt_address_close(&x->here);
    bt_memory_free(x);
    return status;
}
