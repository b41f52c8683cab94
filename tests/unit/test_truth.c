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
        "{\"seed\": 1, \"orders\": [{\"name\": \"O1\", \"families\": [{\"name\": \"F1\", \"genera\": [{\"name\": \"G1\", \"species\": ["
        "{\"name\": \"Coot coot\", \"folder\": \"coot\"}, {\"name\": \"Not here\"}]}]}]},"
        "{\"name\": \"O2\", \"families\": [{\"name\": \"F2\", \"genera\": [{\"name\": \"G2\", \"species\": [{\"name\": \"auk\"}]},"
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
    static const char json[] = "{\"families\": [{\"name\": \"F\", \"species\": [{\"name\": \"auk\"}, {\"name\": \"coot\"}]}],"
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
    assert_int_equal(t.rank_count, 3);
    assert_string_equal(t.rank[0].name, "species");
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(classes_alone), cmocka_unit_test(whole_tree),
                                       cmocka_unit_test(tree_with_gaps), cmocka_unit_test(table_with_ranks), cmocka_unit_test(several_labels), cmocka_unit_test(wrong_trees)};
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
