/* Event files, read back by an independent reader of records and messages; CRC-32C by published values. */
#include "check.h"
#include "scratch.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/memory.h"
#include "formats/event_file.h"

#include <dirent.h>

/* RFC 3720 B.4. */
static void crc_published(void **state) {
    (void)state;
    unsigned char bytes[32] = {0};
    assert_int_equal(bt_crc32c(0, bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, 32);
    assert_int_equal(bt_crc32c(0, bytes, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++) bytes[i] = (unsigned char)i;
    assert_int_equal(bt_crc32c(0, bytes, 32), 0x46dd794eu);
    assert_int_equal(bt_crc32c(0, "123456789", 9), 0xe3069283u);
    for (size_t cut = 0; cut <= 32; cut++)
        assert_int_equal(bt_crc32c(bt_crc32c(0, bytes, cut), bytes + cut, 32 - cut), 0x46dd794eu);
    for (size_t cut = 0; cut <= 32; cut++)
        assert_int_equal(bt_crc32c_portable(7, bytes + cut, 32 - cut), bt_crc32c(7, bytes + cut, 32 - cut));
    assert_int_equal(bt_crc32c_portable(0, "123456789", 9), 0xe3069283u);
}

/* One bit at a time, from the definition. */
static uint32_t slow_masked_crc(const unsigned char *p, size_t bytes) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static uint64_t little(const unsigned char *p, int bytes) {
    uint64_t value = 0;
    for (int i = bytes; i-- > 0;) value = value << 8 | p[i];
    return value;
}

/* Reads the record at *at, checks its sums, and moves on. */
static const unsigned char *next_record(const unsigned char *file, size_t bytes, size_t *at, size_t *length) {
    assert_true(*at + 16 <= bytes);
    const unsigned char *p = file + *at;
    *length = (size_t)little(p, 8);
    assert_true(*length <= bytes - *at - 16);
    assert_int_equal(little(p + 8, 4), slow_masked_crc(p, 8));
    assert_int_equal(little(p + 12 + *length, 4), slow_masked_crc(p + 12, *length));
    *at += 16 + *length;
    return p + 12;
}

static char *read_only_file(const char *folder, size_t *bytes) {
    DIR *d = opendir(folder);
    assert_non_null(d);
    char path[600] = "", *content = NULL;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        assert_non_null(strstr(e->d_name, "events.out.tfevents."));
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    }
    closedir(d);
    check_ok(bt_file_read(path, 1 << 20, &content, bytes));
    return content;
}

static void records(void **state) {
    (void)state;
    const char *folder = scratch_root;
    bt_event_file *f;
    check_ok(bt_event_file_open(folder, 300, &f));
    check_ok(bt_event_file_append(f, 301, (bt_event_scalar[]){{"train/loss", 0.5}, {"lr", -2}}, 2));
    bt_event_file_close(f);
    size_t bytes, at = 0, length;
    char *content = read_only_file(folder, &bytes);
    const unsigned char *file = (const unsigned char *)content, *p = next_record(file, bytes, &at, &length);
    assert_int_equal(p[0], 1 << 3 | 1); /* wall_time */
    assert_memory_equal(p + 9,
                        "\x10\x00\x1a\x0d"
                        "brain.Event:2",
                        17);
    assert_int_equal(length, 26);
    p = next_record(file, bytes, &at, &length); /* step 300 = 0xac 0x02; session_log { status: START } */
    assert_memory_equal(p + 9, "\x10\xac\x02\x3a\x02\x08\x01", 7);
    assert_int_equal(length, 16);
    p = next_record(file, bytes, &at, &length);
    static const unsigned char wanted[] = "\x10\xad\x02\x2a\x1e"
                                          "\x0a\x11\x0a\x0atrain/loss\x15\x00\x00\x00\x3f"
                                          "\x0a\x09\x0a\x02lr\x15\x00\x00\x00\xc0";
    assert_int_equal(length, 9 + sizeof wanted - 1);
    assert_memory_equal(p + 9, wanted, sizeof wanted - 1);
    assert_int_equal(at, bytes);
    bt_memory_free(content);
}

static void faults(void **state) {
    (void)state;
    bt_event_file *f = NULL;
    check_error(bt_event_file_open("/nonexistent", 0, &f), BT_ERR_IO,
                "cannot create /nonexistent/events.out.tfevents.");
    assert_null(f);
    bt_event_file_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(crc_published),
                                       cmocka_unit_test_setup_teardown(records, scratch_make, scratch_remove),
                                       cmocka_unit_test(faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
