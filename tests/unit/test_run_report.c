/* The report of a run's folder made by hand: which queries are shown in which order, where pictures come from, what is
 * said where there are none, and files that do not fit. */
#include "check.h"
#include "font_memory.h"
#include "run_folder.h"
#include "scratch.h"

#include "base/memory.h"
#include "report/run_report.h"

#include <math.h>

static bt_report_pack no_pack;

static char *page_of(const char *run) {
    size_t bytes;
    char *page;
    char path[300];
    snprintf(path, sizeof path, "%s/report.html", run);
    check_ok(bt_file_read(path, (size_t)1 << 26, &page, &bytes));
    return page;
}

static int count_of(const char *text, const char *part) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) count++;
    return count;
}

static const char *run_of(const char *name, const char *pack, bool several) {
    const char *run = scratch_folder(name);
    run_folder(run, pack, several);
    return run;
}

/** The parts in this order. */
static void check_order(const char *page, const char *const *parts, int count) {
    const char *at = page;
    for (int i = 0; i < count; i++) {
        at = strstr(at, parts[i]);
        if (!at) fail_msg("\"%s\" is missing, or not behind \"%s\"", parts[i], i ? parts[i - 1] : "the beginning");
        at += strlen(parts[i]);
    }
}

/* By right ones, then standard AP, then number; query 3, whose AP of the papers is 1, is among the worst. */
static void what_is_seen_sorts(void **state) {
    (void)state;
    const char *run = run_of("sorted", NULL, false);
    check_ok(bt_report_write(run, &no_pack));
    char *page = page_of(run);
    static const char *const parts[] = {
        "Blue frame and tick: the same species", "<h3>Found best</h3>",
        "Auk 1: 10 of the first 10 right, average precision@20 0.900",
        "Auk 2: 8 of the first 10 right, average precision@20 0.600",
        "Auk 0: 8 of the first 10 right, average precision@20 0.500", "Auk 5: 8 of the first 10",
        "Sorted by the number of right ones among the first 10", "<h3>In the middle</h3>", "Auk 6: 5 of", "Auk 7: 4 of",
        "Auk 8: 3 of", "Auk 9: 2 of", "<h3>Found worst</h3>",
        "Auk 4: 0 of the first 10 right, average precision@20 0.000",
        "Auk 3: 1 of the first 10 right, average precision@20 0.100", "Auk 11: 6 of", "Auk 10: 7 of",
        "The same order from its end",
        /* classes, worst first */
        "<h3>All classes, worst first</h3>", "<td>Auk 4</td>", "0 %", "<td>Auk 3</td>", "10 %", "<td>Auk 9</td>",
        "20 %"};
    check_order(page, parts, sizeof parts / sizeof parts[0]);
    assert_int_equal(count_of(page, "no picture"), 12 * 11); /* none of the files is there */
    assert_int_equal(count_of(page, "<div class=\"hit\">"), 8 + 10 + 8 + 1 + 0 + 8 + 5 + 4 + 3 + 2 + 7 + 6);
    bt_memory_free(page);
}

static void ranks_that_are_one(void **state) {
    (void)state;
    const char *run = run_of("ranks", NULL, false);
    check_ok(bt_report_write(run, &no_pack));
    char *page = page_of(run);
    static const char *const parts[] = {"at each rank of the taxonomy",
                                        "<td>same species<small>also genus</small></td><td class=\"r\">12</td>",
                                        "<td>same family</td><td class=\"r\">3</td>", "Ranks with the same groups"};
    check_order(page, parts, 4);
    bt_memory_free(page);
}

static void several_labels(void **state) {
    (void)state;
    const char *run = run_of("several", NULL, true);
    check_ok(bt_report_write(run, &no_pack));
    char *page = page_of(run);
    assert_non_null(strstr(page, "Blue frame and tick: a label in common; broken orange frame and cross: none"));
    assert_non_null(strstr(page, "Auk 1: 10 of the first 10 right"));
    assert_non_null(strstr(page, "Pictures have several labels each"));
    bt_memory_free(page);
}

/* ---- packs ---- */

typedef struct pack {
    int opened, found, wrong;
    int64_t side;
    bool fails;
} pack;

static bt_status pack_open(void *context, const char *name) {
    pack *p = context;
    p->opened++;
    if (strcmp(name, "birds.h5") != 0) p->wrong++;
    return p->fails ? bt_error(BT_ERR_IO, "cannot open <%s>", name) : BT_OK;
}

/** One pixel as a PPM, or a square; rows beyond 120 are gone. */
static bool pack_find(void *context, int64_t row, const char *path, bt_report_picture *out) {
    static const uint8_t square[27] = {200, 10, 10}, ppm[] = "P6 1 1 255 abc";
    pack *p = context;
    char wanted[40];
    snprintf(wanted, sizeof wanted, "pictures/%d.png", (int)row - 100);
    p->wrong += strcmp(path, wanted) != 0;
    p->found++;
    if (row > 120) return false;
    *out = p->side ? (bt_report_picture){.bytes = square, .side = p->side}
                   : (bt_report_picture){.bytes = ppm, .count = sizeof ppm - 1};
    return true;
}

static void pictures_of_packs(void **state) {
    (void)state;
    const char *run = run_of("packed", "birds.h5", false);
    for (int side = 0; side <= 3; side += 3) {
        pack p = {.side = side};
        check_ok(bt_report_write(run, &(bt_report_pack){&p, pack_open, pack_find}));
        char *page = page_of(run);
        assert_int_equal(p.opened, 1);
        assert_int_equal(p.wrong, 0);
        assert_int_equal(p.found, 12 * 11);
        int gone = 0;
        for (int i = 0; i < RUN_QUERIES; i++)
            for (int r = 0; r < 10; r++) gone += (7 * i + r) % RUN_ITEMS > 20;
        assert_true(gone > 0);
        assert_int_equal(count_of(page, "no picture"), gone);
        assert_int_equal(count_of(page, "<img "), 12 * 11 - gone);
        bt_memory_free(page);
    }
}

static void no_pictures(void **state) {
    (void)state;
    const char *run = run_of("lost", "birds.h5", false);
    pack p = {.fails = true};
    check_ok(bt_report_write(run, &(bt_report_pack){&p, pack_open, pack_find}));
    char *page = page_of(run);
    assert_non_null(strstr(page, "The pictures are in a pack that cannot be read: cannot open &#60;birds.h5&#62;."));
    assert_true(!strstr(page, "Found best") && !strstr(page, "no picture") && p.found == 0);
    bt_memory_free(page);
    run = run_of("stored", NULL, false);
    bt_text lines = {0};
    for (int i = 0; i < RUN_QUERIES; i++) bt_text_append(&lines, "#%d\n", i);
    run_file(run, "evaluation/query_paths.txt", bt_text_get(&lines), lines.length);
    bt_text_free(&lines);
    check_ok(bt_report_write(run, &no_pack));
    page = page_of(run);
    assert_non_null(strstr(page, "The data are embeddings: there are no pictures to show."));
    assert_null(strstr(page, "Found best"));
    assert_non_null(strstr(page, "All classes, worst first"));
    bt_memory_free(page);
}

/* ---- files that do not fit ---- */

static void refuse(const char *name, const char *message) {
    check_error(bt_report_write(scratch_path(name), &no_pack), BT_ERR_FORMAT, message);
}

static void what_does_not_fit(void **state) {
    (void)state;
    const char *run = run_of("wrong", NULL, false);
    double precision[RUN_QUERIES][2] = {{0}};
    int32_t neighbours[RUN_QUERIES][RUN_NEIGHBOURS] = {{0}};
    uint8_t relevant[RUN_QUERIES][RUN_NEIGHBOURS] = {{0}};
    precision[4][1] = NAN; /* a sort by it has no order */
    run_matrix(run, "average_precision", BT_FILE_F64, RUN_QUERIES, 2, precision);
    refuse("wrong", "average_precision.npy: row 4: an average precision of");
    precision[4][1] = 0;
    run_matrix(run, "average_precision", BT_FILE_F64, RUN_QUERIES * 2, 1, precision);
    refuse("wrong", "average_precision.npy: does not fit evaluation.json: expected F64 of 12 rows");
    run_matrix(run, "average_precision", BT_FILE_F64, RUN_QUERIES, 2, precision);
    run_matrix(run, "relevant", BT_FILE_U8, RUN_QUERIES, RUN_NEIGHBOURS - 1, relevant);
    refuse("wrong", "neighbours.npy: 12 columns, 11 in relevant.npy");
    run_matrix(run, "relevant", BT_FILE_U8, RUN_QUERIES, RUN_NEIGHBOURS, relevant);
    neighbours[3][11] = RUN_ITEMS;
    run_matrix(run, "neighbours", BT_FILE_I32, RUN_QUERIES, RUN_NEIGHBOURS, neighbours);
    refuse("wrong", "neighbours.npy: row 3: item 24 of a database of 24");
    neighbours[3][11] = 0;
    run_matrix(run, "neighbours", BT_FILE_I32, RUN_QUERIES, RUN_NEIGHBOURS, neighbours);
    check_ok(bt_report_write(run, &no_pack));
    run_file(run, "evaluation/query_paths.txt", "a\nb\n", 4);
    refuse("wrong", "query_paths.txt: 2 lines for 12 pictures");
    char path[300];
    snprintf(path, sizeof path, "%s/evaluation/relevant.npy", run); /* an older evaluation */
    assert_int_equal(remove(path), 0);
    check_ok(bt_report_write(run, &no_pack));
    char *page = page_of(run);
    assert_int_equal(count_of(page, "or an older bittern made it; bittern eval RUN makes it."), 2);
    bt_memory_free(page);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_seen_sorts), cmocka_unit_test(ranks_that_are_one),
                                       cmocka_unit_test(several_labels),     cmocka_unit_test(pictures_of_packs),
                                       cmocka_unit_test(no_pictures),        cmocka_unit_test(what_does_not_fit)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
