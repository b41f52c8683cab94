/* Data sets from folders, tables and lists; choosing classes; splits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "data/dataset.h"

#include "scratch.h"

static void text_file(const char *name, const char *text) {
    scratch_file(name, text, strlen(text));
}

static bt_dataset open_set(const bt_dataset_options *options) {
    bt_dataset set;
    if (bt_dataset_open(options, &set) != BT_OK) fail_msg("%s", bt_error_message());
    return set;
}

static void refused(const bt_dataset_options *options, bt_status status, const char *message) {
    bt_dataset set = {.count = -5};
    assert_int_equal(bt_dataset_open(options, &set), status);
    assert_int_equal(set.count, -5);
    if (!strstr(bt_error_message(), message)) fail_msg("\"%s\" is not in \"%s\"", message, bt_error_message());
}

/* A manifest with this text is refused with this message. */
static void bad_table(const char *text, const char *message) {
    text_file("bad.csv", text);
    refused(&(bt_dataset_options){.root = scratch_path("bad.csv")}, BT_ERR_FORMAT, message);
}

static void labels_are(const bt_dataset *set, int64_t sample, const char *want) {
    char found[256] = "";
    for (int64_t k = set->label_first[sample]; k < set->label_first[sample + 1]; k++) {
        strcat(found, k > set->label_first[sample] ? " " : "");
        strcat(found, set->class_names[set->label_items[k]]);
    }
    assert_string_equal(found, want);
    assert_int_equal(set->labels[sample], *want ? set->label_items[set->label_first[sample]] : -1);
}

static void path_is(const bt_dataset *set, int64_t sample, const char *want) {
    char path[512];
    assert_true(bt_dataset_path(set, sample, path, sizeof path));
    assert_string_equal(path, want);
    assert_false(bt_dataset_path(set, sample, path, strlen(path)));
}

/* ---- folders ---- */

static void folders(void **state) {
    (void)state;
    scratch_folder("set");
    scratch_folder("set/b");
    scratch_folder("set/a");
    text_file("set/b/1.png", "");
    text_file("set/a/2.jpg", "");
    text_file("set/a/1.jpg", "");
    bt_dataset set = open_set(&(bt_dataset_options){.root = scratch_path("set")});
    assert_true(set.format == BT_DATA_FOLDER && set.count == 3 && set.class_count == 2 && bt_dataset_single(&set) &&
                !set.splits && !set.captions);
    path_is(&set, 1, scratch_path("set/a/2.jpg"));
    labels_are(&set, 1, "a");
    labels_are(&set, 2, "b");
    bt_dataset_close(&set);
    refused(&(bt_dataset_options){.root = scratch_path("none")}, BT_ERR_IO, "none: No such file or directory");
}

/* ---- tables ---- */

static const char table[] = "\xef\xbb\xbfsplit,path,caption,species,genus\r\n"
                            "train,x/1.jpg,\"a, \"\"b\"\"\nc\",Rana sp,Rana\r\n"
                            "\r\n"
                            "query,x/2.jpg,,Bufo bufo | Rana sp,Bufo\n"
                            "train|database,./y/../3.jpg,d,,\r"
                            ",\"4.jpg\",\xc3\xa4,Bufo bufo,Bufo";

static void check_table(const bt_dataset *set, const char *base) {
    char path[300];
    assert_true(set->format == BT_DATA_MANIFEST && set->count == 4 && set->class_count == 2);
    assert_true(set->unlabelled == 1 && set->several == 1 && !bt_dataset_single(set));
    assert_string_equal(set->class_names[0], "Bufo bufo");
    labels_are(set, 0, "Rana sp");
    labels_are(set, 1, "Bufo bufo Rana sp");
    labels_are(set, 2, "");
    labels_are(set, 3, "Bufo bufo");
    assert_string_equal(set->captions[0], "a, \"b\"\nc");
    assert_string_equal(set->captions[3], "\xc3\xa4");
    static const uint8_t splits[] = {BT_SPLIT_TRAIN, BT_SPLIT_QUERY, BT_SPLIT_TRAIN | BT_SPLIT_DATABASE, 0};
    assert_memory_equal(set->splits, splits, 4);
    snprintf(path, sizeof path, "%s/x/1.jpg", base);
    path_is(set, 0, path);
    assert_int_equal(set->rank_count, 2); /* genus, species */
    assert_string_equal(set->rank[0].name, "genus");
    static const int32_t genus[] = {1, 0, -1, 0};
    assert_memory_equal(set->rank[0].labels, genus, sizeof genus);
    assert_string_equal(set->rank[0].class_names[1], "Rana");
    assert_int_equal(set->rank[1].class_count, 3);
    assert_string_equal(set->rank[1].class_names[1], "Bufo bufo | Rana sp");
}

static void tables(void **state) {
    (void)state;
    text_file("table.csv", table);
    bt_dataset set = open_set(&(bt_dataset_options){.root = scratch_path("table.csv")});
    check_table(&set, scratch_root);
    bt_dataset_close(&set);
    set = open_set(&(bt_dataset_options){.root = scratch_path("table.csv"), .images = "/pictures/"});
    check_table(&set, "/pictures");
    uint64_t sets[2];
    uint8_t hot[2];
    bt_dataset_sets(&set, (const int64_t[]){1, 2}, 2, sets);
    assert_true(sets[0] == 3 && sets[1] == 0);
    bt_dataset_multi_hot(&set, 3, hot);
    assert_true(hot[0] == 1 && hot[1] == 0);
    bt_dataset_close(&set);
    text_file("table.tsv", "a\tb\tfile\tc\n1\tx y\tp.jpg\t\"q\"\n2\tz\tq.jpg\t5\" bill\n");
    set = open_set(&(bt_dataset_options){.root = scratch_path("table.tsv"), .label = "b, a", .caption = "c"});
    labels_are(&set, 0, "1 x y");
    assert_string_equal(set.captions[0], "q");
    assert_string_equal(set.captions[1], "5\" bill");
    assert_null(set.splits);
    bt_dataset_close(&set);
    text_file("plain", "image,class\n/data/a.png,7\n"); /* recognised without an ending */
    set = open_set(&(bt_dataset_options){.root = scratch_path("plain"), .images = "/data"});
    path_is(&set, 0, "/data/a.png");
    bt_dataset_close(&set);
}

static void bad_tables(void **state) {
    (void)state;
    bad_table("", "bad.csv: the table is empty; its first row names the columns");
    bad_table("path,label\n", "bad.csv: not one picture is named in it");
    bad_table("path,label\na.jpg,\n", "bad.csv: not one of 1 pictures has a label");
    bad_table("path,lable\n",
              "bad.csv:1:1: no column \"label\" (data.label); the header has path, lable; did you mean \"lable\"?");
    bad_table("label,x\n", "no column \"path\" (data.path); the header has label, x");
    bad_table("path,label,path\n", "bad.csv:1:12: two columns are called \"path\"");
    bad_table("path,label\na.jpg,x\nb.jpg\n", "bad.csv:3:1: 1 fields in this row, 2 in the first");
    bad_table("path,label\na.jpg,x,y\n",
              "bad.csv:2:9: 3 fields in this row, 2 in the first; a field with a separator in it needs quotes");
    bad_table("path,label\n\"a\nb\",x\na.jpg,\"x\n", "bad.csv:4:7: the quote that opens here is not closed");
    bad_table("path,label\n\xc3\xa4.jpg,\"x\"y\n",
              "bad.csv:2:10: text behind a closing quote; a quote within a quoted field is written twice");
    bad_table("path,label\na\"b.jpg,x\n", "bad.csv:2:2: a quote inside a field that does not begin with one");
    bad_table("path,label\na\xff,x\n", "bad.csv:2:2: the text is not UTF-8 from here; save the table as UTF-8");
    bad_table("path,label\n\xc3\xa4,x\n,x\n", "bad.csv:3:1: the path of the picture is empty");
    bad_table("path,label\n../a.jpg,x\n",
              "bad.csv:2:1: the path ../a.jpg leads out of the folder of images; data.images may name a wider one");
    bad_table("path,label\nb/../../a/b.jpg,x\n", "leads out of the folder of images");
    bad_table("path,label\n/etc/passwd,x\n", "the path /etc/passwd is absolute and not within the folder of images");
    bad_table("path,label,split\na.jpg,x,tran\n",
              "bad.csv:2:9: unknown split \"tran\"; allowed: train, query (test, val), database (gallery), several "
              "with |, or nothing; did you mean \"train\"?");
    scratch_file("bad.csv", "path,label\na\0b,x\n", 18);
    refused(&(bt_dataset_options){.root = scratch_path("bad.csv")}, BT_ERR_FORMAT,
            "bad.csv:2:2: a NUL byte; a table is text");
    text_file("good.csv", "path,label\na.jpg,x\n");
    refused(&(bt_dataset_options){.root = scratch_path("good.csv"), .split = "part"}, BT_ERR_FORMAT,
            "no column \"part\" (data.split)");
    refused(&(bt_dataset_options){.root = scratch_path("good.csv"), .ranks = "genus"}, BT_ERR_FORMAT,
            "no column \"genus\" (data.ranks)");
    text_file("words", "nothing that anyone knows\n");
    refused(&(bt_dataset_options){.root = scratch_path("words")}, BT_ERR_FORMAT,
            "neither a table (CSV or TSV with a header) nor a list");
}

/* ---- lists ---- */

static void lists(void **state) {
    (void)state;
    scratch_folder("lists");
    text_file("lists/train.txt", "a b/1.jpg 0 1 0\n2.jpg 1 1 0 \r\n\n");
    text_file("lists/test.txt", "3.jpg 0 0 0\n");
    text_file("lists/database.txt", "4.jpg 0 0 1\n2.jpg 1 1 0");
    bt_dataset set = open_set(&(bt_dataset_options){.root = scratch_path("lists")});
    assert_true(set.format == BT_DATA_LISTS && set.count == 4 && set.class_count == 3 && set.unlabelled == 1 &&
                set.several == 1);
    static const uint8_t splits[] = {BT_SPLIT_TRAIN, BT_SPLIT_TRAIN | BT_SPLIT_DATABASE, BT_SPLIT_QUERY,
                                     BT_SPLIT_DATABASE};
    assert_memory_equal(set.splits, splits, 4);
    path_is(&set, 0, scratch_path("lists/a b/1.jpg"));
    labels_are(&set, 0, "1");
    labels_are(&set, 1, "0 1");
    labels_are(&set, 2, "");
    labels_are(&set, 3, "2");
    bt_dataset_close(&set);
    set = open_set(&(bt_dataset_options){.root = scratch_path("lists/train.txt"), .images = "/i"});
    assert_true(set.count == 2 && !set.splits);
    path_is(&set, 1, "/i/2.jpg");
    bt_dataset_close(&set);
    char wide[200] = "x.jpg"; /* names of equal width keep the order of the columns */
    for (int i = 0; i < 12; i++) strcat(wide, i == 2 || i == 10 ? " 1" : " 0");
    text_file("wide.txt", wide);
    set = open_set(&(bt_dataset_options){.root = scratch_path("wide.txt")});
    labels_are(&set, 0, "02 10");
    assert_int_equal(set.class_count, 12);
    bt_dataset_close(&set);
}

static void bad_list(const char *text, const char *message) {
    text_file("bad.txt", text);
    refused(&(bt_dataset_options){.root = scratch_path("bad.txt"), .format = BT_DATA_LISTS}, BT_ERR_FORMAT, message);
}

static void bad_lists(void **state) {
    (void)state;
    bad_list("a.jpg 0 1\nb.jpg 0 2\n", "bad.txt:2:9: a label is 0 or 1, found \"2\"");
    bad_list("a.jpg 0 1\nb.jpg 0\n", "bad.txt:2:1: 1 labels in this line, 2 in the first");
    bad_list("a.jpg 0 1\nb.jpg 0 1 1\n", "bad.txt:2:7: more than the 2 labels of the first line");
    bad_list("a.jpg\n", "bad.txt:1:1: no label; a line is a path and a 0 or 1 for each class");
    bad_list("a.txt 0 1\n", "bad.txt:1:1: \"a.txt\" is neither a label (0 or 1) nor the end of a picture's path");
    bad_list("../a.jpg 0 1\n", "bad.txt:1:1: the path ../a.jpg leads out of the folder of images");
    bad_list("a.jpg 0 1\na.jpg 1 1\n", "bad.txt:2:1: a.jpg has other labels here than where it was named before");
    bad_list("a.jpg 0 0 x\n", "bad.txt:1:11: no label");
}

/* ---- choosing classes ---- */

static void choices(void **state) {
    (void)state;
    text_file("many.csv", "path,label,split,genus\n1.jpg,b|c,train,g\n2.jpg,a,train,h\n3.jpg,,query,\n4.jpg,d,query,"
                          "i\n5.jpg,c,database,j\n6.jpg,7,query,\n");
    bt_dataset_options options = {.root = scratch_path("many.csv"), .classes = "2-3, d"}; /* 7 a b c d */
    bt_dataset set = open_set(&options);
    assert_true(set.count == 4 && set.class_count == 3 && set.unlabelled == 1 && set.several == 1);
    static const char *const paths[] = {"1.jpg", "3.jpg", "4.jpg", "5.jpg"}, *const labels[] = {"b c", "", "d", "c"};
    static const uint8_t splits[] = {BT_SPLIT_TRAIN, BT_SPLIT_QUERY, BT_SPLIT_QUERY, BT_SPLIT_DATABASE};
    for (int i = 0; i < 4; i++) {
        assert_string_equal(set.paths[i], paths[i]);
        labels_are(&set, i, labels[i]);
        assert_int_equal(set.splits[i], splits[i]);
    }
    assert_string_equal(set.rank[0].class_names[set.rank[0].labels[2]], "i");
    bt_dataset_close(&set);
    options.classes = "c";
    set = open_set(&options);
    assert_true(set.count == 3 && set.class_count == 1 && set.several == 0);
    labels_are(&set, 0, "c");
    bt_dataset_close(&set);
    options.classes = "7"; /* a name before a position */
    set = open_set(&options);
    assert_true(set.count == 2 && set.class_count == 1);
    bt_dataset_close(&set);
    options.classes = "3-5";
    refused(&options, BT_ERR_CONFIG, "data.classes: 3-5 is not within the 5 classes of");
    options.classes = "x";
    refused(&options, BT_ERR_CONFIG, "data.classes: \"x\" is no class of");
    options.classes = "3-2";
    refused(&options, BT_ERR_CONFIG, "3-2 is not within");
}

/* ---- splits ---- */

enum { CLASSES = 3, EACH = 20 };

static bt_dataset set_of_60(void) {
    static const char *names[] = {"ant", "bee", "cow"};
    static int64_t first[CLASSES * EACH + 1];
    static int32_t labels[CLASSES * EACH];
    for (int i = 0; i < CLASSES * EACH; i++) {
        labels[i] = i / EACH;
        first[i + 1] = i + 1;
    }
    return (bt_dataset){.name = "data",
                        .class_count = CLASSES,
                        .count = CLASSES * EACH,
                        .class_names = names,
                        .label_first = first,
                        .label_items = labels,
                        .labels = labels};
}

/* Counts per class, order, and marks the samples in `seen`, each at most once. */
static void check_list(const bt_dataset *set, const int64_t *list, int64_t count, int64_t each, bool seen[]) {
    int64_t per_class[CLASSES] = {0};
    assert_int_equal(count, each * CLASSES);
    for (int64_t i = 0; i < count; i++) {
        if (i > 0) assert_true(list[i] > list[i - 1]);
        assert_false(seen[list[i]]);
        seen[list[i]] = true;
        per_class[set->labels[list[i]]]++;
    }
    for (int c = 0; c < CLASSES; c++) assert_int_equal(per_class[c], each);
}

static void splits(void **state) {
    (void)state;
    bt_dataset set = set_of_60();
    bt_split_options options = {.seed = 3, .query = 4, .train = 5, .database = -1};
    bt_split split, same, more, other;
    assert_int_equal(bt_split_make(&set, &options, &split), BT_OK);
    bool seen[CLASSES * EACH] = {false};
    check_list(&set, split.query, split.query_count, 4, seen);
    check_list(&set, split.train, split.train_count, 5, seen);
    check_list(&set, split.database, split.database_count, 11, seen);

    assert_int_equal(bt_split_make(&set, &options, &same), BT_OK);
    assert_memory_equal(split.query, same.query, 12 * sizeof(int64_t));
    assert_memory_equal(split.train, same.train, 15 * sizeof(int64_t));
    options.train = 9;
    options.database = 7;
    assert_int_equal(bt_split_make(&set, &options, &more), BT_OK);
    assert_memory_equal(split.query, more.query, 12 * sizeof(int64_t)); /* queries stay */
    assert_int_equal(more.database_count, 21);
    options.seed = 4;
    assert_int_equal(bt_split_make(&set, &options, &other), BT_OK);
    assert_memory_not_equal(split.query, other.query, 12 * sizeof(int64_t));
    /* Classes are drawn on their own: not the same positions in each. */
    bool differ = false;
    for (int i = 0; i < 4; i++) differ = differ || split.query[i] + EACH != split.query[4 + i];
    assert_true(differ);
    bt_split_free(&split);
    bt_split_free(&same);
    bt_split_free(&more);
    bt_split_free(&other);
}

static void bad_splits(void **state) {
    (void)state;
    bt_dataset set = set_of_60();
    bt_split split;
    bt_split_options options = {.query = 10, .train = 8, .database = 3};
    assert_int_equal(bt_split_make(&set, &options, &split), BT_ERR_CONFIG);
    assert_string_equal(bt_error_message(),
                        "data: class ant has 20 pictures, but the split wants 10 query + 8 train + 3 "
                        "database of each class; ask for fewer");
    options = (bt_split_options){.query = INT64_MAX, .train = INT64_MAX, .database = INT64_MAX};
    assert_int_equal(bt_split_make(&set, &options, &split), BT_ERR_CONFIG);
    options = (bt_split_options){.query = 1, .train = -2, .database = -1};
    assert_int_equal(bt_split_make(&set, &options, &split), BT_ERR_CONFIG);
    assert_non_null(strstr(bt_error_message(), "train -2"));
    options = (bt_split_options){.query = 20, .train = 0, .database = -1};
    assert_int_equal(bt_split_make(&set, &options, &split), BT_OK);
    assert_int_equal(split.database_count, 0);
    bt_split_free(&split);
}

static void named_splits(void **state) {
    (void)state;
    text_file("named.csv", "path,label,split\n1.jpg,a,train\n2.jpg,b,train\n3.jpg,a,query\n4.jpg,b,query\n5.jpg,a,"
                           "train|database\n6.jpg,b,\n");
    bt_dataset set = open_set(&(bt_dataset_options){.root = scratch_path("named.csv")});
    bt_split split;
    bt_split_options options = {.database = -1};
    assert_int_equal(bt_split_make(&set, &options, &split), BT_OK);
    assert_true(split.train_count == 3 && split.query_count == 2 && split.database_count == 1 &&
                !split.database_is_train);
    assert_true(split.train[0] == 0 && split.train[2] == 4 && split.query[0] == 2 && split.database[0] == 4);
    bt_split_free(&split);
    options.train = 1;
    assert_int_equal(bt_split_make(&set, &options, &split), BT_OK);
    assert_true(split.train_count == 2 && split.train[1] == 1);
    bt_split_free(&split);
    options.train = 2;
    assert_int_equal(bt_split_make(&set, &options, &split), BT_ERR_CONFIG);
    assert_non_null(
        strstr(bt_error_message(), "named.csv: class b has 1 pictures in the split train, but data.train asks for 2"));
    bt_dataset_close(&set);
    text_file("two.csv", "path,label,split\n1.jpg,a|b,train\n2.jpg,b,test\n");
    set = open_set(&(bt_dataset_options){.root = scratch_path("two.csv")});
    options.train = 0;
    assert_int_equal(bt_split_make(&set, &options, &split), BT_OK);
    assert_true(split.database_is_train && split.database_count == 1 && split.database[0] == 0);
    bt_split_free(&split);
    options.train = 1;
    assert_int_equal(bt_split_make(&set, &options, &split), BT_ERR_CONFIG);
    assert_non_null(strstr(bt_error_message(), "1 have several labels; leave it out for all of the split"));
    bt_dataset_close(&set);
    text_file("drawn.csv", "path,label\n1.jpg,a|b\n2.jpg,b\n");
    set = open_set(&(bt_dataset_options){.root = scratch_path("drawn.csv")});
    assert_int_equal(bt_split_make(&set, &options, &split), BT_ERR_CONFIG);
    assert_non_null(strstr(bt_error_message(), "1 pictures have several labels, so a split cannot be drawn by class"));
    bt_dataset_close(&set);
    text_file("blank.csv", "path,label\n1.jpg,a\n2.jpg,\n3.jpg,a\n");
    set = open_set(&(bt_dataset_options){.root = scratch_path("blank.csv")});
    options = (bt_split_options){.train = 1, .query = 1, .database = -1};
    assert_int_equal(bt_split_make(&set, &options, &split), BT_OK);
    assert_true(split.database_count == 1 && split.database[0] == 1);
    bt_split_free(&split);
    bt_dataset_close(&set);
}

/* Memory that runs out at any allocation is an error, and nothing leaks. */
static void failing_memory(void **state) {
    (void)state;
    text_file("table.csv", table);
    const bt_dataset_options options[] = {{.root = scratch_path("table.csv"), .classes = "0"},
                                          {.root = scratch_path("lists")},
                                          {.root = scratch_path("set")}};
    for (int k = 0; k < 3; k++) {
        int failed = 0;
        for (int64_t n = 1; n < 100; n++) {
            bt_dataset set;
            bt_memory_fail_at(n);
            bt_status status = bt_dataset_open(&options[k], &set);
            bt_memory_fail_at(0);
            assert_true(status == BT_OK || status == BT_ERR_MEMORY);
            if (status == BT_OK) bt_dataset_close(&set);
            failed += status != BT_OK;
        }
        assert_true(failed > 8 && failed < 99);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders),        cmocka_unit_test(tables),     cmocka_unit_test(bad_tables),
        cmocka_unit_test(lists),          cmocka_unit_test(bad_lists),  cmocka_unit_test(choices),
        cmocka_unit_test(splits),         cmocka_unit_test(bad_splits), cmocka_unit_test(named_splits),
        cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
