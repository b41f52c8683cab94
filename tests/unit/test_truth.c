/* Labels by rank: folders alone, taxonomies of all depths, and taxonomies that do not fit. */
#include "check.h"
#include "scratch.h"

#include "train/truth.h"

static bt_dataset folder;

static int open_folder(void **state) {
    if (scratch_make(state) != 0) return -1;
    static const char *const files[] = {"auk/1.ppm", "auk/2.ppm", "bee_eater/1.ppm", "coot/1.ppm", "coot/2.ppm"};
    scratch_folder("pictures");
    scratch_folder("pictures/auk");
    scratch_folder("pictures/bee_eater");
    scratch_folder("pictures/coot");
    for (int i = 0; i < 5; i++) {
        char name[64];
        snprintf(name, sizeof name, "pictures/%s", files[i]);
        scratch_file(name, "P6 1 1 255 abc", 14);
    }
    bt_dataset_options o = {.root = scratch_path("pictures")};
    return bt_dataset_open(&o, &folder) == BT_OK ? 0 : -1;
}

static int close_folder(void **state) {
    bt_dataset_close(&folder);
    return scratch_remove(state);
}

static void check_labels(const bt_truth_rank *rank, const char *name, const int32_t *wanted) {
    assert_string_equal(rank->name, name);
    for (int i = 0; i < 5; i++) assert_int_equal(rank->labels[i], wanted[i]);
}

static void classes_alone(void **state) {
    (void)state;
    bt_truth t;
    check_ok(bt_truth_open(&folder, "", &t));
    assert_int_equal(t.rank_count, 1);
    assert_int_equal(t.samples, 5);
    assert_int_equal(t.rank[0].count, 3);
    check_labels(&t.rank[0], "class", (const int32_t[]){0, 0, 1, 2, 2});
    assert_string_equal(t.rank[0].names[1], "bee_eater");
    assert_null(t.sets);
    bt_truth_free(&t);
    check_ok(bt_truth_open(&folder, NULL, &t));
    bt_truth_free(&t);
}

static void whole_tree(void **state) {
    (void)state;
    static const char json[] =
        "{\"seed\": 1, \"orders\": [{\"name\": \"O1\", \"families\": [{\"name\": \"F1\", \"genera\": [{\"name\": "
        "\"G1\", \"species\": ["
        "{\"name\": \"Coot coot\", \"folder\": \"coot\"}, {\"name\": \"Not here\"}]}]}]},"
        "{\"name\": \"O2\", \"families\": [{\"name\": \"F2\", \"genera\": [{\"name\": \"G2\", \"species\": [{\"name\": "
        "\"auk\"}]},"
        "{\"name\": \"G3\", \"species\": [{\"name\": \"B\", \"folder\": \"bee_eater\", \"marks\": [1]}]}]}]}]}";
    bt_truth t;
    check_ok(bt_truth_open(&folder, scratch_file("tree.json", json, sizeof json - 1), &t));
    assert_int_equal(t.rank_count, 4);
    check_labels(&t.rank[0], "species", (const int32_t[]){0, 0, 1, 2, 2}); /* the folders' order stays */
    assert_string_equal(t.rank[0].names[2], "Coot coot");
    check_labels(&t.rank[1], "genus", (const int32_t[]){1, 1, 2, 0, 0});
    check_labels(&t.rank[2], "family", (const int32_t[]){1, 1, 1, 0, 0});
    check_labels(&t.rank[3], "order", (const int32_t[]){1, 1, 1, 0, 0});
    assert_int_equal(t.rank[1].count, 3);
    assert_string_equal(t.rank[3].names[1], "O2");
    bt_truth_free(&t);
}

/* Families over species, and species beside them that belong to none. */
static void tree_with_gaps(void **state) {
    (void)state;
    static const char json[] =
        "{\"families\": [{\"name\": \"F\", \"species\": [{\"name\": \"auk\"}, {\"name\": \"coot\"}]}],"
        "\"species\": [{\"name\": \"bee_eater\"}]}";
    bt_truth t;
    check_ok(bt_truth_open(&folder, scratch_file("gaps.json", json, sizeof json - 1), &t));
    assert_int_equal(t.rank_count, 2);
    check_labels(&t.rank[1], "family", (const int32_t[]){0, 0, -1, 0, 0});
    bt_truth_free(&t);
}

/* Ranks of a table, widest first there, narrowest first here; the column that is the label names rank 0. */
static void table_with_ranks(void **state) {
    (void)state;
    static const char csv[] = "path,species,genus,order\na.png,x1,x,o\nb.png,y1,y,o\nc.png,x2,x,\n";
    bt_dataset data;
    bt_truth t;
    check_ok(bt_dataset_open(&(bt_dataset_options){.root = scratch_file("table.csv", csv, sizeof csv - 1)}, &data));
    check_ok(bt_truth_open(&data, "", &t));
    assert_int_equal(t.rank_count, 4); /* the class, and the three ranks */
    assert_string_equal(t.rank[0].name, "class");
    check_ok(bt_truth_narrow(&t, (const int64_t[]){1}, 1, (const int64_t[]){2, 0}, 2));
    assert_int_equal(t.rank_count, 3);
    assert_string_equal(t.rank[0].name, "species");
    assert_int_equal(t.rank[0].also_count, 0);
    assert_string_equal(t.rank[1].name, "genus");
    assert_string_equal(t.rank[2].name, "order");
    const int32_t species[] = {0, 2, 1}, genus[] = {0, 1, 0}, order[] = {0, 0, -1};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t.rank[0].labels[i], species[i]);
        assert_int_equal(t.rank[1].labels[i], genus[i]);
        assert_int_equal(t.rank[2].labels[i], order[i]);
    }
    bt_truth_free(&t);
    bt_dataset_close(&data);
}

/* Classes were left out (data.classes): the ranks have groups that no sample has, as the classes have not. Of samples 0
 * to 5 the species are the genera, and family and order are one. */
static void groups_that_occur(void **state) {
    (void)state;
    static const char csv[] =
        "path,species,genus,family,order\n0.png,d1,d,n,z\n1.png,b1,b,m,y\n2.png,d1,d,n,z\n3.png,c1,c,m,y\n"
        "4.png,b1,b,m,y\n5.png,c1,c,m,y\n6.png,a1,a,l,x\n7.png,e1,e,k,x\n8.png,b2,b,m,y\n";
    bt_dataset data;
    bt_truth t;
    bt_dataset_options o = {.root = scratch_file("groups.csv", csv, sizeof csv - 1), .classes = "b1,b2,c1,d1,e1"};
    check_ok(bt_dataset_open(&o, &data));
    assert_int_equal(data.count, 8); /* a1 is gone */
    check_ok(bt_truth_open(&data, "", &t));
    assert_int_equal(t.rank_count, 5);
    const int64_t queries[] = {0, 1, 3}, database[] = {2, 4, 5};
    check_ok(bt_truth_narrow(&t, queries, 3, database, 3));
    assert_int_equal(t.rank_count, 2);
    const bt_truth_rank *species = &t.rank[0], *family = &t.rank[1];
    assert_string_equal(species->name, "species");
    assert_int_equal(species->also_count, 1);
    assert_string_equal(species->also[0], "genus");
    assert_string_equal(family->name, "family");
    assert_int_equal(family->also_count, 1);
    assert_string_equal(family->also[0], "order");
    assert_int_equal(species->present, 3);
    assert_int_equal(species->count, 5);
    const char *const names[] = {"b1", "c1", "d1", "b2", "e1"}; /* those that occur, then the others */
    for (int i = 0; i < 5; i++) assert_string_equal(species->names[i], names[i]);
    const int32_t labels[] = {2, 0, 2, 1, 0, 1, 4, 3};
    for (int i = 0; i < 8; i++) assert_int_equal(species->labels[i], labels[i]);
    assert_int_equal(family->present, 2);
    assert_true(family->labels[0] == 1 && family->labels[1] == 0 && family->labels[6] >= 2);
    bt_truth_free(&t);
    /* With sample 7 the genus b has two species; without samples of n the ranks above have one group and stay one. */
    check_ok(bt_truth_open(&data, "", &t));
    const int64_t more[] = {7, 4, 5};
    check_ok(bt_truth_narrow(&t, queries + 1, 2, more, 3));
    assert_int_equal(t.rank_count, 3);
    assert_string_equal(t.rank[1].name, "genus");
    assert_true(t.rank[0].present == 3 && t.rank[1].present == 2 && t.rank[2].present == 1);
    bt_truth_free(&t);
    bt_dataset_close(&data);
}

/* Equal in number is not equal: unknown samples differ, groups cross, a rank that nobody has is dropped. */
static void groups_that_differ(void **state) {
    (void)state;
    static const char csv[] = "path,label,a,b,c\n0.png,x,p,p,\n1.png,x,p,q,\n2.png,y,q,q,\n3.png,y,,p,\n";
    bt_dataset data;
    bt_truth t;
    bt_dataset_options o = {
        .root = scratch_file("differ.csv", csv, sizeof csv - 1), .label = "label", .ranks = "c,b,a"};
    check_ok(bt_dataset_open(&o, &data));
    check_ok(bt_truth_open(&data, "", &t));
    const int64_t all[] = {0, 1, 2, 3};
    check_ok(bt_truth_narrow(&t, all, 2, all + 2, 2));
    assert_int_equal(t.rank_count, 3);
    assert_string_equal(t.rank[0].name, "class");
    assert_string_equal(t.rank[1].name, "a");
    assert_string_equal(t.rank[2].name, "b");
    bt_truth_free(&t);
    check_ok(bt_truth_open(&data, "", &t)); /* of the first three samples a is the label */
    check_ok(bt_truth_narrow(&t, all, 2, all + 2, 1));
    assert_int_equal(t.rank_count, 2);
    assert_string_equal(t.rank[0].name, "a");
    assert_string_equal(t.rank[0].names[0], "x");
    bt_truth_free(&t);
    bt_dataset_close(&data);
}

/* Species of the tree without a folder, genera without a sample. */
static void tree_narrowed(void **state) {
    (void)state;
    static const char json[] = "{\"genera\": [{\"name\": \"Gone\", \"species\": [{\"name\": \"Not here\"}]},"
                               "{\"name\": \"G\", \"species\": [{\"name\": \"auk\"}, {\"name\": \"coot\"}]},"
                               "{\"name\": \"H\", \"species\": [{\"name\": \"bee_eater\"}]}]}";
    bt_truth t;
    check_ok(bt_truth_open(&folder, scratch_file("narrow.json", json, sizeof json - 1), &t));
    assert_int_equal(t.rank[1].count, 3);
    const int64_t query = 0, database[] = {3, 4, 2};
    check_ok(bt_truth_narrow(&t, &query, 1, database, 3));
    assert_int_equal(t.rank_count, 2);
    assert_int_equal(t.rank[1].present, 2);
    assert_string_equal(t.rank[1].names[0], "G");
    bt_truth_free(&t);
    check_ok(bt_truth_open(&folder, scratch_path("narrow.json"), &t));
    check_ok(bt_truth_narrow(&t, &query, 1, database + 2, 1)); /* auk and bee_eater: one species a genus */
    assert_int_equal(t.rank_count, 1);
    assert_string_equal(t.rank[0].name, "species");
    assert_string_equal(t.rank[0].also[0], "genus");
    bt_truth_free(&t);
}

static void several_labels(void **state) {
    (void)state;
    static const char list[] = "a.png 1 0 1\nb.png 0 0 0\nc.png 0 1 0\n";
    bt_dataset data;
    bt_truth t;
    bt_dataset_options o = {.root = scratch_file("list.txt", list, sizeof list - 1), .format = BT_DATA_LISTS};
    check_ok(bt_dataset_open(&o, &data));
    check_ok(bt_truth_open(&data, "", &t));
    assert_int_equal(t.words, 1);
    assert_true(t.sets[0] == 5 && t.sets[1] == 0 && t.sets[2] == 2);
    assert_true(t.rank[0].labels[0] == 0 && t.rank[0].labels[1] == -1 && t.rank[0].labels[2] == 1);
    const int64_t query = 0, item = 1;
    check_ok(bt_truth_narrow(&t, &query, 1, &item, 1)); /* the third class occurs as a second label */
    assert_int_equal(t.rank[0].present, 2);
    assert_string_equal(t.rank[0].names[1], data.class_names[2]);
    assert_true(t.sets[0] == 5 && t.rank_count == 1);
    bt_truth_free(&t);
    bt_dataset_close(&data);
}

static void refuse(const char *json, bt_status wanted, const char *message) {
    bt_truth t;
    check_error(bt_truth_open(&folder, scratch_file("bad.json", json, strlen(json)), &t), wanted, message);
}

static void wrong_trees(void **state) {
    (void)state;
    bt_truth t;
    check_error(bt_truth_open(&folder, scratch_path("nowhere.json"), &t), BT_ERR_IO, "nowhere.json");
    refuse("{\"species\": [{\"name\": \"auk\"}]}", BT_ERR_FORMAT, "the class \"bee_eater\" of");
    refuse("{\"species\": [{\"name\": \"auk\"}, {\"name\": \"x\", \"folder\": \"auk\"}]}", BT_ERR_FORMAT,
           "bad.json: byte 30: the folder \"auk\" has an entry already");
    refuse("{\"kinds\": []}", BT_ERR_FORMAT, "none of \"orders\", \"families\"");
    refuse("{\"species\": {}}", BT_ERR_FORMAT, "an array");
    refuse("{\"species\": [{\"folder\": \"auk\"}]}", BT_ERR_FORMAT, "name");
    refuse("{\"orders\": [{\"name\": \"O\"}]}", BT_ERR_FORMAT, "byte 12: none of");
    refuse("[1]", BT_ERR_FORMAT, "none of");
    refuse("{\"species\": [{\"name\": 3}]}", BT_ERR_FORMAT, "string");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_alone),    cmocka_unit_test(whole_tree),        cmocka_unit_test(tree_with_gaps),
        cmocka_unit_test(table_with_ranks), cmocka_unit_test(groups_that_occur), cmocka_unit_test(groups_that_differ),
        cmocka_unit_test(tree_narrowed),    cmocka_unit_test(several_labels),    cmocka_unit_test(wrong_trees)};
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
