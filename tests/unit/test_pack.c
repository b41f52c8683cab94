/* Packs: what is packed comes back, bit for bit through the loader; damaged and foreign packs are refused with a
 * reason. */
#include "check.h"
#include "scratch.h"

#include "base/log.h"
#include "base/memory.h"
#include "data/loader.h"
#include "data/pack.h"
#include "formats/hdf5.h"

#include <bittern/random.h>

#ifndef BITTERN_WITH_HDF5

static void absent(void **state) {
    (void)state;
    bt_dataset set;
    const char *path = scratch_file("x.h5", "\x89HDF\r\n\x1a\n", 8);
    check_error(bt_dataset_open(&(bt_dataset_options){.root = path}, &set), BT_ERR_UNSUPPORTED,
                "this build has no HDF5");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(absent)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}

#else

#include <hdf5.h>

enum { COUNT = 9, S = 12 };

static void write_picture(int i) {
    static uint8_t pixels[40 * 40 * 3];
    char name[32];
    int height = 14 + i, width = 16 + i % 5 * 4;
    for (int k = 0; k < height * width * 3; k++)
        pixels[k] = (uint8_t)bt_philox4x32((uint32_t)k, (uint32_t)i, 0, 0, 1).word[0];
    snprintf(name, sizeof name, "p%d.ppm", i);
    assert_int_equal(bt_image_save_ppm(scratch_path(name), pixels, height, width), BT_OK);
}

static void write_table(const char *name, const char *label_of_2) {
    char text[1024] = "path,label,split,caption,genus\n";
    for (int i = 0; i < COUNT; i++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "p%d.ppm,%s,%s,caption %d,%s\n", i,
                 i == 2   ? label_of_2
                 : i == 5 ? ""
                 : i % 2  ? "b"
                          : "a",
                 i % 3 ? "train|database" : "query", i,
                 i == 4  ? ""
                 : i % 2 ? "B"
                         : "A");
    }
    scratch_file(name, text, strlen(text));
}

static int make(void **state) {
    if (scratch_make(state) != 0) return -1;
    for (int i = 0; i < COUNT; i++) write_picture(i);
    write_table("one.csv", "a");
    write_table("several.csv", "b|a|c");
    return 0;
}

static bt_dataset open_set(const char *name, const char *classes) {
    bt_dataset set;
    check_ok(bt_dataset_open(&(bt_dataset_options){.root = scratch_path(name), .classes = classes}, &set));
    return set;
}

static void pack(const char *from, const char *to, bool encoded) {
    bt_dataset set = open_set(from, NULL);
    bt_pack_options o = {.path = scratch_path(to), .size = S, .resize = 14, .keep_encoded = encoded, .threads = 2};
    check_ok(bt_pack_write(&set, &o));
    bt_dataset_close(&set);
}

static void same_text(const char *a, const char *b) {
    assert_string_equal(a ? a : "", b ? b : "");
}

/* Everything but the images. */
static void same_tables(const bt_dataset *a, const bt_dataset *b) {
    assert_true(a->count == b->count && a->class_count == b->class_count && a->rank_count == b->rank_count);
    for (int64_t c = 0; c < a->class_count; c++) same_text(a->class_names[c], b->class_names[c]);
    for (int64_t i = 0; i < a->count; i++) {
        same_text(a->paths[i], b->paths[i]);
        same_text(a->captions[i], b->captions[i]);
        assert_int_equal(a->splits[i], b->splits[i]);
        assert_int_equal(a->labels[i], b->labels[i]);
        assert_int_equal(a->rank[0].labels[i], b->rank[0].labels[i]);
    }
    assert_memory_equal(a->label_first, b->label_first, (size_t)(a->count + 1) * sizeof(int64_t));
    assert_memory_equal(a->label_items, b->label_items, (size_t)a->label_first[a->count] * sizeof(int32_t));
    same_text(a->rank[0].name, b->rank[0].name);
    same_text(a->rank[0].class_names[1], b->rank[0].class_names[1]);
    assert_int_equal(bt_dataset_crc32c(a), bt_dataset_crc32c(b));
}

/* All evaluation views, in order. */
static void views_of(const bt_dataset *set, int64_t size, int64_t resize, uint8_t *out) {
    int64_t samples[COUNT];
    for (int i = 0; i < COUNT; i++) samples[i] = i;
    bt_loader_options o = {.set = set,
                           .samples = samples,
                           .count = set->count,
                           .batch = COUNT,
                           .size = size,
                           .resize = resize,
                           .views = 1,
                           .threads = 2,
                           .ahead = 2,
                           .epochs = 1};
    bt_loader *loader;
    bt_batch batch;
    check_ok(bt_loader_new(&o, &loader));
    check_ok(bt_loader_next(loader, &batch));
    memcpy(out, batch.images, (size_t)(set->count * size * size * 3));
    bt_loader_free(loader);
}

static void round_trip(void **state) {
    (void)state;
    static uint8_t want[COUNT * S * S * 3], found[COUNT * S * S * 3];
    static const char *const tables[] = {"one.csv", "several.csv"};
    for (int k = 0; k < 4; k++) {
        bool encoded = k % 2;
        bt_dataset source = open_set(tables[k / 2], NULL);
        pack(tables[k / 2], "p.h5", encoded);
        bt_dataset packed = open_set("p.h5", NULL);
        assert_int_equal(packed.format, BT_DATA_PACK);
        assert_int_equal(packed.pack->size, encoded ? 0 : S);
        same_tables(&source, &packed);
        check_ok(bt_pack_verify(&packed));
        views_of(&source, S, 14, want);
        views_of(&packed, S, 14, found); /* stored crops are not cropped again */
        assert_memory_equal(want, found, sizeof want);
        bt_dataset_close(&packed);
        packed = open_set("p.h5", "b"); /* a choice keeps rows and images together */
        bt_dataset chosen = open_set(tables[k / 2], "b");
        assert_true(packed.count < COUNT);
        same_tables(&chosen, &packed);
        views_of(&chosen, S, 14, want);
        views_of(&packed, S, 14, found);
        assert_memory_equal(want, found, (size_t)packed.count * S * S * 3);
        bt_dataset_close(&chosen);
        bt_dataset_close(&packed);
        bt_dataset_close(&source);
    }
    assert_int_equal(scratch_count("partial"), 0);
}

/* Files from an encoded pack, and a smaller pack from a pack. */
static void again(void **state) {
    (void)state;
    static uint8_t want[COUNT * S * S * 3], found[COUNT * S * S * 3];
    pack("one.csv", "e.h5", true);
    pack("e.h5", "e2.h5", true);
    pack("e.h5", "r.h5", false);
    pack("one.csv", "r2.h5", false);
    bt_dataset a = open_set("r.h5", NULL), b = open_set("r2.h5", NULL), c = open_set("e2.h5", NULL);
    check_ok(bt_pack_verify(&c));
    assert_memory_equal(a.pack->images, b.pack->images, sizeof want);
    views_of(&a, S / 2, 999, want); /* resize does not matter to stored crops */
    views_of(&b, S / 2, S / 2, found);
    assert_memory_equal(want, found, COUNT * S * S * 3 / 4);
    bt_pack_options keep = {.path = scratch_path("never.h5"), .keep_encoded = true, .threads = 1};
    check_error(bt_pack_write(&a, &keep), BT_ERR_CONFIG, "is a pack of images; it has no files to keep");
    assert_false(bt_file_exists(scratch_path("never.h5")));
    bt_dataset_close(&a);
    bt_dataset_close(&b);
    bt_dataset_close(&c);
}

static bool at_once(void) {
    return true;
}

static void nothing_is_left(void **state) {
    (void)state;
    bt_dataset set = open_set("one.csv", NULL);
    bt_pack_options o = {.path = scratch_path("no.h5"), .size = S, .resize = S, .threads = 1, .stop = at_once};
    check_error(bt_pack_write(&set, &o), BT_ERR_INTERRUPTED, "interrupted after 9 of 9 pictures; nothing was written");
    o.stop = NULL;
    scratch_file("p3.ppm", "P6 9 9 255\nshort", 16);
    check_error(bt_pack_write(&set, &o), BT_ERR_FORMAT, "p3.ppm");
    assert_int_equal(scratch_count("no.h5"), 0);
    int64_t dropped;
    bt_log_set(NULL, BT_LOG_NONE);
    check_ok(bt_pack_drop_damaged(&set, 2, &dropped));
    bt_log_set(NULL, BT_LOG_INFO);
    assert_true(dropped == 1 && set.count == 8);
    assert_string_equal(set.paths[3], "p4.ppm");
    assert_string_equal(set.captions[3], "caption 4");
    check_ok(bt_pack_write(&set, &o));
    bt_dataset packed = open_set("no.h5", NULL);
    assert_int_equal(packed.count, 8);
    check_ok(bt_pack_verify(&packed));
    bt_dataset_close(&packed);
    write_picture(3);
    /* What a killed writer left goes; what a living one writes stays. */
    char name[64];
    snprintf(name, sizeof name, "no.h5.partial-%ld-0", (long)getpid());
    scratch_file(name, "x", 1);
    scratch_file("no.h5.partial-2147483646-3", "x", 1);
    scratch_file("no.h5.partial-word", "x", 1);
    bt_log_set(NULL, BT_LOG_NONE);
    check_ok(bt_pack_write(&set, &o));
    bt_log_set(NULL, BT_LOG_INFO);
    assert_int_equal(scratch_count("no.h5.partial"), 2);
    bt_dataset_close(&set);
}

/* ---- damaged and foreign packs ---- */

static void refused(const char *name, bt_status status, const char *message) {
    bt_dataset set = {.count = -5};
    check_error(bt_dataset_open(&(bt_dataset_options){.root = scratch_path(name)}, &set), status, message);
    assert_int_equal(set.count, -5);
}

static void damaged(void **state) {
    (void)state;
    bt_dataset set;
    pack("one.csv", "good.h5", false);
    set = open_set("good.h5", NULL);
    size_t at = (size_t)(set.pack->images - set.pack->map.data), bytes;
    bt_dataset_close(&set);
    unsigned char *content = scratch_read(scratch_path("good.h5"), &bytes);
    content[at + 77] ^= 1;
    scratch_file("flip.h5", content, bytes);
    set = open_set("flip.h5", NULL);
    check_error(bt_pack_verify(&set), BT_ERR_FORMAT, "flip.h5: the images are damaged: their checksum is");
    bt_dataset_close(&set);
    content[at + 77] ^= 1;
    scratch_file("cut.h5", content, bytes - 1);
    refused("cut.h5", BT_ERR_FORMAT, "cut.h5");
    scratch_file("cut.h5", content, bytes / 2);
    refused("cut.h5", BT_ERR_FORMAT, "cut.h5: cannot open it as HDF5");
    free(content);
}

/* A change to a copy of a good pack by the library. */
static hid_t edit(const char *name, const char *dataset) {
    size_t bytes;
    unsigned char *content = scratch_read(scratch_path("good.h5"), &bytes);
    scratch_file(name, content, bytes);
    free(content);
    hid_t file = H5Fopen(scratch_path(name), H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    if (dataset) assert_true(H5Ldelete(file, dataset, H5P_DEFAULT) >= 0);
    return file;
}

static void replace(const char *name, const char *dataset, hid_t type, int rank, const hsize_t *dim, const void *data,
                    bool chunks) {
    hid_t file = edit(name, dataset), plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(rank, dim, NULL);
    if (chunks) H5Pset_chunk(plist, rank, dim);
    hid_t set = H5Dcreate2(file, dataset, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    assert_true(set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set);
    H5Fclose(file);
}

static void set_number(hid_t file, const char *name, int64_t value) {
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    assert_true(attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_INT64, &value) >= 0);
    H5Aclose(attribute);
    H5Fclose(file);
}

static void foreign(void **state) {
    (void)state;
    static const uint8_t bytes[COUNT * S * S * 3];
    int32_t labels[COUNT] = {0};
    pack("one.csv", "good.h5", false);
    labels[4] = 2;
    replace("x.h5", "labels", H5T_STD_I32LE, 1, (hsize_t[]){COUNT}, labels, false);
    refused("x.h5", BT_ERR_FORMAT, "x.h5: pack: label 2 of sample 4 is not within the 2 classes");
    labels[4] = 1;
    replace("x.h5", "labels", H5T_STD_I32LE, 1, (hsize_t[]){COUNT}, labels, false);
    refused("x.h5", BT_ERR_FORMAT, "labels, paths or captions are damaged: their checksum is not the stored one");
    replace("x.h5", "labels", H5T_STD_I32LE, 1, (hsize_t[]){COUNT - 1}, labels, false);
    refused("x.h5", BT_ERR_FORMAT, "pack: labels is not I32 (9)");
    replace("x.h5", "labels", H5T_STD_I64LE, 1, (hsize_t[]){4}, labels, false);
    refused("x.h5", BT_ERR_FORMAT, "pack: labels is not I32 (9)");
    replace("x.h5", "labels", H5T_STD_U8LE, 2, (hsize_t[]){COUNT, 3}, labels, false);
    refused("x.h5", BT_ERR_FORMAT, "pack: labels is not U8 (9, 2)");
    static const uint8_t hot[COUNT * 2] = {0, 2};
    replace("x.h5", "labels", H5T_STD_U8LE, 2, (hsize_t[]){COUNT, 2}, hot, false);
    refused("x.h5", BT_ERR_FORMAT, "pack: labels hold numbers other than 0 and 1");
    replace("x.h5", "images", H5T_STD_U8LE, 4, (hsize_t[]){COUNT, S, S, 3}, bytes, true);
    refused("x.h5", BT_ERR_FORMAT, "pack: images is in chunks or packed; it must lie in one piece");
    replace("x.h5", "images", H5T_STD_U8LE, 4, (hsize_t[]){COUNT, S / 2, S, 3}, bytes, false);
    refused("x.h5", BT_ERR_FORMAT, "pack: images are not squares of 1 to 16384 pixels");
    replace("x.h5", "images", H5T_STD_U8LE, 4, (hsize_t[]){COUNT, S, S, 1}, bytes, false);
    refused("x.h5", BT_ERR_FORMAT, "pack: images is not U8 (*, *, *, 3)");
    replace("x.h5", "splits", H5T_STD_U8LE, 1, (hsize_t[]){COUNT}, "\1\2\4\10\1\1\1\1\1", false);
    refused("x.h5", BT_ERR_FORMAT, "pack: splits hold other bits than 1 train, 2 query, 4 database");
    replace("x.h5", "rank_0", H5T_STD_I32LE, 1, (hsize_t[]){COUNT}, (int32_t[COUNT]){7}, false);
    refused("x.h5", BT_ERR_FORMAT, "pack: rank_0 names a value that is not in its list");
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, 1);
    replace("x.h5", "class_names", text, 1, (hsize_t[]){2}, "aa", false);
    refused("x.h5", BT_ERR_FORMAT, "pack: class_names hold a name twice");
    replace("x.h5", "class_names", text, 1, (hsize_t[]){2}, "a\xff", false);
    refused("x.h5", BT_ERR_FORMAT, "data set class_names: text 1 is not UTF-8");
    replace("x.h5", "paths", text, 1, (hsize_t[]){8}, "abcdefgh", false);
    refused("x.h5", BT_ERR_FORMAT, "data set paths is not a list of 9 texts");
    set_number(edit("x.h5", NULL), "bittern_pack", 2);
    refused("x.h5", BT_ERR_UNSUPPORTED, "a pack of version 2; this build reads version 1");
    set_number(edit("x.h5", NULL), "size", 13);
    refused("x.h5", BT_ERR_FORMAT, "pack: size is not that of the images");
    H5Fclose(edit("x.h5", "images"));
    refused("x.h5", BT_ERR_FORMAT, "it has no data set encoded");
    H5Fclose(edit("x.h5", "labels"));
    refused("x.h5", BT_ERR_FORMAT, "it has no data set labels");
    H5Fclose(H5Fcreate(scratch_path("x.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    refused("x.h5", BT_ERR_FORMAT, "it has no attribute bittern_pack");
    pack("one.csv", "good.h5", true);
    int64_t first[COUNT + 1];
    for (int i = 0; i <= COUNT; i++) first[i] = i;
    replace("x.h5", "encoded_first", H5T_STD_I64LE, 1, (hsize_t[]){COUNT + 1}, first, false);
    refused("x.h5", BT_ERR_FORMAT, "pack: encoded_first does not begin at 0 and end where encoded ends");
    bt_dataset good = open_set("good.h5", NULL);
    first[COUNT] = (int64_t)good.pack->bytes;
    bt_dataset_close(&good);
    first[3] = 5;
    replace("x.h5", "encoded_first", H5T_STD_I64LE, 1, (hsize_t[]){COUNT + 1}, first, false);
    refused("x.h5", BT_ERR_FORMAT, "pack: encoded_first does not ascend");
}

static void failing_memory(void **state) {
    (void)state;
    pack("one.csv", "good.h5", false);
    int failed = 0;
    for (int n = 1; n < 150; n++) {
        bt_dataset set;
        bt_memory_fail_at(n);
        bt_status status = bt_dataset_open(&(bt_dataset_options){.root = scratch_path("good.h5")}, &set);
        bt_memory_fail_at(0);
        assert_true(status == BT_OK || status == BT_ERR_MEMORY);
        if (status == BT_OK) bt_dataset_close(&set);
        failed += status != BT_OK;
    }
    assert_true(failed > 20 && failed < 149);
    bt_dataset set = open_set("one.csv", NULL);
    bt_pack_options o = {.path = scratch_path("oom.h5"), .size = S, .resize = S, .threads = 1};
    for (int n = 1; n < 60; n++) {
        bt_memory_fail_at(n);
        bt_status status = bt_pack_write(&set, &o);
        bt_memory_fail_at(0);
        assert_true(status == BT_OK || status == BT_ERR_MEMORY);
        assert_int_equal(scratch_count("oom.h5.partial"), 0);
    }
    bt_dataset_close(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(again),   cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(damaged),    cmocka_unit_test(foreign), cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, make, scratch_remove);
}

#endif
