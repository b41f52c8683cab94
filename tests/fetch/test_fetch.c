/* Parts of `bittern fetch`: sums, header fields, addresses, the state of a partial download, the table. */
#include "base/file.h"
#include "base/memory.h"
#include "fetch/cache.h"
#include "fetch/meter.h"
#include "fetch/table.h"
#include "fetch/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/bittern_test_fetch.XXXXXX";

static const char *in_folder(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_text(const char *path, const char *text, size_t bytes) {
    assert_int_equal(bt_file_write(path, text, bytes), BT_OK);
}

/* FIPS 180-4's examples, as NIST publishes them: one block, two blocks, a million letters, nothing. */
static void sums(void **unused) {
    (void)unused;
    char sum[BT_SHA256_BYTES];
    const char *path = in_folder("sum");
    if (!bt_sha256_available()) {
        assert_int_equal(bt_sha256_file(path, NULL, sum), BT_ERR_UNSUPPORTED);
        return;
    }
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    const struct {
        const char *text;
        size_t bytes;
        const char *sum;
    } rows[] = {{"", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                {"abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
                 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
                {million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
    for (int i = 0; i < 4; i++) {
        write_text(path, rows[i].text, rows[i].bytes);
        assert_int_equal(bt_sha256_file(path, NULL, sum), BT_OK);
        assert_string_equal(sum, rows[i].sum);
    }
    free(million);
    assert_int_equal(bt_sha256_file(in_folder("absent"), NULL, sum), BT_ERR_IO);
}

static void sums_as_text(void **unused) {
    (void)unused;
    assert_true(bt_sha256_is("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 64));
    assert_false(bt_sha256_is("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a", 64));
    assert_false(bt_sha256_is("ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 64));
    assert_false(bt_sha256_is("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0", 64));
    assert_true(bt_sha256_agrees("ba7816bf8f", "BA7816BF"));
    assert_false(bt_sha256_agrees("ba7816bf8f", "ba7816be"));
    assert_false(bt_sha256_agrees("ba", "ba7816bf"));
}

static void table(void **unused) {
    (void)unused;
    int count;
    const bt_fetch_model *models = bt_fetch_models(&count), *found;
    bt_text address = {0};
    for (int i = 0; i < count; i++) {
        const bt_fetch_model *m = &models[i];
        assert_true(m->file_count > 0 && m->what[0] && m->licence[0]);
        assert_true(strspn(m->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
                        strlen(m->name) &&
                    m->name[0] != '.');
        for (int k = 0; k < i; k++) assert_string_not_equal(m->name, models[k].name);
        assert_true(m->base || m->note);
        assert_int_equal(bt_fetch_find(m->name, &found), BT_OK);
        assert_ptr_equal(found, m);
        if (m->repository) assert_int_equal(bt_fetch_find(m->repository, &found), BT_OK);
        if (m->repository) assert_ptr_equal(found, m);
        for (int f = 0; f < m->file_count; f++) {
            const bt_fetch_file *file = &m->files[f];
            if (!file->sha256) continue;
            size_t digits = strlen(file->sha256);
            assert_true(bt_sha256_is(file->sha256, digits) && (digits == 64 || digits == 8));
            if (digits == 8) assert_non_null(strstr(file->path, file->sha256));
        }
    }
    assert_int_equal(bt_fetch_find("dinov2-bsae", &found), BT_ERR_USAGE);
    assert_non_null(strstr(bt_error_message(), "did you mean \"dinov2-base\"?"));
    assert_int_equal(bt_fetch_find("dinov2_vits14", &found), BT_OK);
    bt_fetch_address(found, found->files, "https://a.example/b//", &address);
    assert_string_equal(bt_text_get(&address), "https://a.example/b/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth");
    bt_text_free(&address);
}

static void states(void **unused) {
    (void)unused;
    char path[256];
    snprintf(path, sizeof path, "%s", in_folder("state"));
    bt_partial_state in = {.etag = "\"a b\"", .from_etag = true, .total = 1234567890123}, out;
    memset(in.sha256, 'a', 64);
    assert_int_equal(bt_partial_write(path, &in), BT_OK);
    bt_partial_read(path, &out);
    assert_string_equal(out.etag, in.etag);
    assert_string_equal(out.sha256, in.sha256);
    assert_true(out.from_etag);
    assert_true(out.total == in.total);
    const char *nonsense[] = {"", "etag", "bytes -5\n", "bytes 99999999999999999999\nsha256 zz\n",
                              "\n\n etag\nsha256-from-etag no"};
    for (int i = 0; i < 5; i++) {
        write_text(path, nonsense[i], strlen(nonsense[i]));
        bt_partial_read(path, &out);
        assert_true(out.total == -1 && !out.sha256[0] && !out.etag[0]);
    }
    bt_partial_read(in_folder("absent"), &out);
    assert_true(out.total == -1);
}

static void records(void **unused) {
    (void)unused;
    char sum[BT_SHA256_BYTES], path[256];
    snprintf(path, sizeof path, "%s", in_folder("weights.pth"));
    bt_cache_read_sum(path, sum);
    assert_string_equal(sum, "");
    const char *abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_int_equal(bt_cache_write_sum(path, abc), BT_OK);
    bt_cache_read_sum(path, sum);
    assert_string_equal(sum, abc);
    write_text(in_folder("weights.pth.sha256"), "ba78", 4);
    bt_cache_read_sum(path, sum);
    assert_string_equal(sum, "");
}

static void heads(void **unused) {
    (void)unused;
    const struct {
        const char *name, *text;
        bt_status status;
    } rows[] = {{"w.pth", "PK\003\004", BT_OK},
                {"w.pth", "", BT_ERR_FORMAT},
                {"w.pth", "  \r\n<HTML lang=\"en\">", BT_ERR_FORMAT},
                {"w.pth", "\xef\xbb\xbf<!DOCTYPE html>", BT_ERR_FORMAT},
                {"w.pth", "version https://git-lfs.github.com/spec/v1\n", BT_ERR_FORMAT},
                {"c.json", " {\"a\": 1}", BT_OK},
                {"c.json", "[1]", BT_ERR_FORMAT},
                {"c.json", "Not Found", BT_ERR_FORMAT}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s", in_folder(rows[i].name));
        write_text(path, rows[i].text, strlen(rows[i].text));
        assert_int_equal(bt_cache_check_head(path, path), rows[i].status);
    }
}

static void amounts(void **unused) {
    (void)unused;
    char text[16];
    assert_string_equal(bt_meter_bytes(0, text), "0 B");
    assert_string_equal(bt_meter_bytes(999, text), "999 B");
    assert_string_equal(bt_meter_bytes(1000, text), "1.0 kB");
    assert_string_equal(bt_meter_bytes(346345912, text), "346.3 MB");
    assert_string_equal(bt_meter_bytes(999999999, text), "1.0 GB");
    assert_true(strlen(bt_meter_bytes(INT64_MAX, text)) < 16);
}

#ifdef BITTERN_WITH_CURL
#include "fetch/address.h"
#include "fetch/headers.h"

static void take(bt_transfer_answer *a, const char *line, bool home) {
    char location[64] = "";
    bt_headers_take(a, line, strlen(line), home, location, sizeof location);
}

#define SUM "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void headers(void **unused) {
    (void)unused;
    bt_transfer_answer a = {.stated_bytes = -1};
    char location[16] = "";
    bt_headers_begin(&a);
    take(&a, "Content-Range: bytes 10-99/100\r\n", true);
    assert_true(a.first == 10 && a.last == 99 && a.total == 100);
    const char *ranges[] = {"bytes */100",
                            "bytes 10-/100",
                            "bytes -5-9/10",
                            "bytes 1-2",
                            "items 1-2/3",
                            "bytes 10/20-30",
                            "bytes 99999999999999999999-1/2"};
    for (int i = 0; i < 7; i++) {
        char line[96];
        snprintf(line, sizeof line, "content-range: %s\r\n", ranges[i]);
        bt_headers_begin(&a);
        take(&a, line, true);
        assert_true(a.first < 0 || a.last < 0);
    }
    take(&a, "CONTENT-TYPE:text/html; charset=utf-8\r\n", true);
    assert_string_equal(a.type, "text/html");
    take(&a, "Content-Length: 12x\r\n", true);
    assert_true(a.length == -1);
    take(&a, "ETag: W/\"" SUM "\"\r\n", true);
    assert_true(!a.etag[0] && !a.sha256[0]);
    take(&a, "ETag: \"" SUM "\"\r\n", false); /* another host's says nothing of the content */
    assert_true(a.etag[0] && !a.sha256[0]);
    take(&a, "ETag: \"" SUM "\"\r\n", true);
    assert_true(a.from_etag);
    assert_string_equal(a.sha256, SUM);
    take(&a, "X-Linked-ETag: \"0a7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"\r\n", true);
    assert_false(a.from_etag);
    assert_int_equal(a.sha256[0], '0');
    take(&a, "X-Linked-Size: 77\r\n", true);
    bt_headers_begin(&a); /* the next hop */
    assert_true(a.stated_bytes == 77 && a.sha256[0] == '0' && !a.etag[0]);
    take(&a, "X-Linked-ETag: \"" SUM "\"\r\n", false);
    assert_int_equal(a.sha256[0], '0');
    bt_headers_take(&a, "Location: /0123456789abcdef\r\n", 28, true, location, sizeof location);
    assert_string_equal(location, "");
    bt_headers_take(&a, "Location: /a\r\n", 14, true, location, sizeof location);
    assert_string_equal(location, "/a");
    assert_int_equal(bt_headers_code("HTTP/1.1 206 Partial\r\n", 22), 206);
    assert_int_equal(bt_headers_code("HTTP/2 200", 10), 200);
    assert_int_equal(bt_headers_code("HTTP/2 20", 9), 0);
    assert_int_equal(bt_headers_code("HTTP/2", 6), 0);
}

static void addresses(void **unused) {
    (void)unused;
    static const char *const good[] = {"https://a.example/b", "http://127.0.0.1:80/x", "http://127.255.3.4/",
                                       "http://[::1]:8080/",  "http://localhost/",     "HTTPS://A.example"};
    static const char *const bad[] = {"http://a.example/",
                                      "http://127.0.0.1.a.example/",
                                      "http://localhost.a.example/",
                                      "ftp://127.0.0.1/",
                                      "file:///etc/passwd",
                                      "nonsense",
                                      "https://me@a.example/",
                                      "https://me:pw@a.example/",
                                      "https://a.example/?q",
                                      "https://a.example/#f",
                                      "",
                                      "http://[::2]/",
                                      "http://128.0.0.1/"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_int_equal(bt_transfer_check_base(good[i]), BT_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(bt_transfer_check_base(bad[i]), BT_ERR_USAGE);
    bt_address from, to;
    assert_int_equal(bt_address_open("https://a.example/b/c?secret=1#x", NULL, &from), BT_OK);
    assert_string_equal(from.shown, "https://a.example/b/c");
    assert_int_equal(bt_address_open("../d", &from, &to), BT_OK);
    assert_string_equal(to.shown, "https://a.example/d");
    assert_true(bt_address_same_host(&from, &to));
    bt_address_close(&to);
    static const char *const others[] = {"https://a.example:444/", "https://b.example/", "//a.example.b/"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bt_address_open(others[i], &from, &to), BT_OK);
        assert_false(bt_address_same_host(&from, &to));
        bt_address_close(&to);
    }
    assert_int_equal(bt_address_open("http://127.0.0.1/", &from, &to),
                     BT_ERR_IO); /* from elsewhere into this machine */
    assert_int_equal(bt_address_open("http://a.example/", &from, &to), BT_ERR_IO);
    bt_address_close(&from);
}
#endif

int main(void) {
    if (!mkdtemp(folder)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums),    cmocka_unit_test(sums_as_text), cmocka_unit_test(table),   cmocka_unit_test(states),
        cmocka_unit_test(records), cmocka_unit_test(heads),        cmocka_unit_test(amounts),
#ifdef BITTERN_WITH_CURL
        cmocka_unit_test(headers), cmocka_unit_test(addresses),
#endif
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return bt_file_remove_folder(folder) != BT_OK || failed;
}
