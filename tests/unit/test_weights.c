/* Weight files of every kind through one interface: what lies in the file stays there, what does not is copied within
 * bounds, nothing is run, and no failure of memory leaves anything behind. Hostile files by the hundred are in
 * tests/weights. */
#include "check.h"
#include "weight_files.h"

#include "base/memory.h"
#include "formats/npy.h"
#include "formats/weights.h"

#include <bittern/tensor.h>

#include <sys/resource.h>

static const float values[6] = {1, -2, 3.5f, 4, 5, 6};

static const char *torch_file(const char *name, const pickled *p) {
    const char *path = scratch_path(name);
    archive a;
    archive_begin(&a, path);
    archive_add(&a, "m/data.pkl", p->bytes, p->count);
    archive_add(&a, "m/byteorder", "little", 6);
    archive_add(&a, "m/data/0", values, sizeof values);
    archive_add(&a, "m/version", "3\n", 2);
    archive_end(&a);
    return path;
}

/* {"model": {"w": 2 x 3, "t": its transpose, "same": w again, "row": w[1]}, "bits": uint16 by version 3, "epoch": 7,
 * "lr": 0.5, "name": "a b"} */
static void a_model(pickled *p) {
    const int64_t shape[] = {2, 3}, stride[] = {3, 1}, back[] = {3, 2}, by[] = {1, 3}, row[] = {1, 3},
                  halves[] = {2, 2}, half_stride[] = {2, 1};
    begin(p);
    op(p, "}(");
    text(p, "model");
    op(p, "}(");
    text(p, "w");
    matrix(p, "_rebuild_tensor_v2", "FloatStorage", "0", 6, 0, shape, stride, "");
    op(p, "q\x05"); /* kept, and put again below */
    text(p, "t");
    matrix(p, "_rebuild_tensor_v2", "FloatStorage", "0", 6, 0, back, by, "");
    text(p, "same");
    op(p, "h\x05");
    text(p, "row");
    matrix(p, "_rebuild_tensor_v2", "FloatStorage", "0", 6, 3, row, stride, "");
    op(p, "u");
    text(p, "bits");
    matrix(p, "_rebuild_tensor_v3", "UntypedStorage", "0", 24, 2, halves, half_stride, "ctorch\nuint16\n");
    text(p, "epoch");
    whole(p, 7);
    text(p, "lr");
    add(p, "G\x3f\xe0\0\0\0\0\0\0", 9);
    text(p, "name");
    text(p, "a b");
    op(p, "u.");
}

static void pytorch(void **state) {
    (void)state;
    pickled p;
    a_model(&p);
    bt_weights *w;
    check_ok(bt_weights_open(torch_file("model.pth", &p), &w));
    assert_string_equal(bt_weights_format(w), "PyTorch");
    assert_int_equal(bt_weights_count(w), 5);
    const bt_weight *t = bt_weights_at(w, 0);
    assert_string_equal(t->name, "model.w");
    assert_true(t->dtype == BT_FILE_F32 && t->rank == 2 && t->dim[0] == 2 && t->dim[1] == 3 && t->count == 6 &&
                t->bytes == 24 && !t->copied);
    assert_memory_equal(t->data, values, sizeof values);
    assert_ptr_equal(bt_weights_find(w, "model.same")->data, t->data); /* tied */
    assert_ptr_equal(bt_weights_find(w, "model.row")->data, (const unsigned char *)t->data + 12);
    const bt_weight *back = bt_weights_find(w, "model.t");
    const float turned[6] = {1, 4, -2, 5, 3.5f, 6};
    assert_true(back->copied && back->dim[0] == 3 && back->dim[1] == 2);
    assert_memory_equal(back->data, turned, sizeof turned);
    const bt_weight *bits = bt_weights_find(w, "bits");
    assert_true(bits->dtype == BT_FILE_U16 && bits->count == 4 && !bits->copied && bits->offset == t->offset + 4);
    assert_null(bt_weights_find(w, "w"));
    size_t bytes;
    unsigned char *file = scratch_read(t->file, &bytes);
    assert_memory_equal(file + t->offset, values, sizeof values);
    free(file);
    assert_int_equal(bt_weights_note_count(w), 3);
    assert_string_equal(bt_weights_note(w, "epoch"), "7");
    assert_string_equal(bt_weights_note(w, "lr"), "0.5");
    assert_string_equal(bt_weights_note(w, "name"), "a b");
    assert_null(bt_weights_note(w, "model"));
    bt_weights_close(w);
}

static void conversions(void **state) {
    (void)state;
    pickled p;
    a_model(&p);
    bt_weights *w;
    check_ok(bt_weights_open(torch_file("model.pth", &p), &w));
    const bt_weight *t = bt_weights_find(w, "model.w");
    float f32[6] = {0};
    uint16_t bf16[6] = {0};
    check_ok(bt_weight_to_f32(t, 2, 3, f32));
    assert_memory_equal(f32, values + 2, 12);
    assert_true(f32[3] == 0);
    check_ok(bt_weight_to_bf16(t, 0, 6, bf16));
    const uint16_t wanted[6] = {0x3f80, 0xc000, 0x4060, 0x4080, 0x40a0, 0x40c0};
    assert_memory_equal(bf16, wanted, sizeof wanted);
    bt_weight_done(t);
    assert_memory_equal(t->data, values, sizeof values);
    bt_weights_close(w);
}

/* Every upper half with lower halves around the rounding's edges, NaN and infinity among them, against the function of
 * one value. */
static void rounding(void **state) {
    (void)state;
    static const uint32_t low[] = {0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF};
    static float many[6 << 16];
    static uint16_t out[6 << 16];
    for (uint32_t i = 0; i < 6 << 16; i++) {
        uint32_t bits = (i / 6) << 16 | low[i % 6];
        memcpy(&many[i], &bits, sizeof bits);
    }
    const bt_weight w = {.name = "w",
                         .file = "f",
                         .dtype = BT_FILE_F32,
                         .rank = 1,
                         .dim = {6 << 16},
                         .count = 6 << 16,
                         .data = many,
                         .bytes = sizeof many};
    check_ok(bt_weight_to_bf16(&w, 0, w.count, out));
    for (int i = 0; i < 6 << 16; i++) assert_int_equal(out[i], bt_bf16_of(many[i]));
}

static void code_is_refused(void **state) {
    (void)state;
    pickled p;
    begin(&p);
    op(&p, "cos\nsystem\n");
    text(&p, "id");
    add(&p, "\x85R.", 3);
    const char *path = torch_file("evil.pth", &p);
    char message[512];
    snprintf(message, sizeof message,
             "%s: data.pkl: byte 2: calls os.system; weight files hold tensors and plain containers only, and nothing "
             "of this one is run. If you trust its "
             "source, load it in Python and save its state_dict() alone",
             path);
    bt_weights *w = (bt_weights *)&p;
    check_message(bt_weights_open(path, &w), BT_ERR_FORMAT, message);
    assert_ptr_equal(w, &p);
}

/* What every open needs of memory fails once in turn; sanitizers see what stays behind. */
static void memory_fails(const char *path) {
    for (int64_t n = 1; n < 2000; n++) {
        bt_weights *w = (bt_weights *)values;
        bt_memory_fail_at(n);
        bt_status status = bt_weights_open(path, &w);
        bt_memory_fail_at(0);
        if (status == BT_OK) {
            assert_true(n > 3);
            bt_weights_close(w);
            return;
        }
        check_error(status, BT_ERR_MEMORY, "out of memory");
        assert_ptr_equal(w, values);
    }
    fail_msg("%s: never opened", path);
}

static const char *shards(void) {
    const bt_safetensors_source a = {.name = "a", .dtype = BT_FILE_F32, .rank = 1, .dim = {6}, .data = values},
                                b = {.name = "b", .dtype = BT_FILE_F32, .rank = 0, .data = values};
    const bt_safetensors_pair note = {"format", "pt"};
    check_ok(bt_safetensors_write(scratch_path("one.safetensors"), &a, 1, &note, 1));
    check_ok(bt_safetensors_write(scratch_path("two.safetensors"), &b, 1, NULL, 0));
    const char *index = "{\"weight_map\": {\"b\": \"two.safetensors\", \"a\": \"one.safetensors\"}}";
    return scratch_file("model.safetensors.index.json", index, strlen(index));
}

static const char *arrays(void) {
    const int64_t dim[] = {2, 3};
    size_t bytes;
    check_ok(bt_npy_write(scratch_path("one.npy"), BT_FILE_F32, 2, dim, values));
    unsigned char *npy = scratch_read(scratch_path("one.npy"), &bytes);
    const char *path = scratch_path("arrays.npz");
    archive a;
    archive_begin(&a, path);
    archive_add(&a, "x/w.npy", npy, bytes);
    archive_add(&a, "b.npy", npy, bytes);
    archive_end(&a);
    free(npy);
    return path;
}

static void out_of_memory(void **state) {
    (void)state;
    pickled p;
    a_model(&p);
    memory_fails(torch_file("model.pth", &p));
    memory_fails(shards());
    memory_fails(arrays());
    memory_fails(scratch_path("one.npy"));
}

static void shards_and_arrays(void **state) {
    (void)state;
    bt_weights *w;
    check_ok(bt_weights_open(shards(), &w));
    assert_string_equal(bt_weights_format(w), "safetensors in 2 shards");
    assert_int_equal(bt_weights_count(w), 2);
    assert_non_null(strstr(bt_weights_find(w, "b")->file, "two.safetensors"));
    assert_string_equal(bt_weights_note(w, "format"), "pt");
    bt_weights_close(w);
    check_ok(bt_weights_open(arrays(), &w));
    assert_string_equal(bt_weights_format(w), "npz");
    const bt_weight *t = bt_weights_find(w, "x/w");
    assert_true(t && t->rank == 2 && !t->copied);
    assert_memory_equal(t->data, values, sizeof values);
    bt_weights_close(w);
}

/* Twelve gigabytes of nothing (a file with holes): opened without reading them, and what lies behind them is found. */
static void large_archive(void **state) {
    (void)state;
    const int64_t giant = (int64_t)3 << 30, shape[] = {3, 1 << 30}, stride[] = {1 << 30, 1}, small[] = {2, 3},
                  row[] = {3, 1};
    pickled p;
    begin(&p);
    op(&p, "}(");
    text(&p, "giant");
    matrix(&p, "_rebuild_tensor_v2", "FloatStorage", "0", giant, 0, shape, stride, "");
    text(&p, "small");
    matrix(&p, "_rebuild_tensor_v2", "FloatStorage", "1", 6, 0, small, row, "");
    op(&p, "u.");
    archive a;
    const char *path = scratch_path("large.pth");
    archive_begin(&a, path);
    archive_add(&a, "m/data.pkl", p.bytes, p.count);
    archive_add(&a, "m/version", "3\n", 2);
    archive_add(&a, "m/data/0", NULL, (uint64_t)giant * 4);
    if (ftruncate(a.fd, (off_t)a.at) != 0) skip(); /* a file system without room for its size */
    uint64_t offset = archive_add(&a, "m/data/1", values, sizeof values);
    archive_end(&a);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    bt_weights *w;
    bt_status status = bt_weights_open(path, &w);
    getrusage(RUSAGE_SELF, &after);
    if (status == BT_ERR_IO && strstr(bt_error_message(), "cannot map")) skip(); /* a limit on address space */
    check_ok(status);
    const bt_weight *t = bt_weights_find(w, "small");
    assert_true(t->offset == offset && offset > (uint64_t)12 << 30);
    assert_memory_equal(t->data, values, sizeof values);
    float x = 1;
    check_ok(bt_weight_to_f32(bt_weights_find(w, "giant"), giant - 1, 1, &x));
    assert_true(x == 0);
    assert_true(after.ru_maxrss - before.ru_maxrss < 64 << 10); /* KiB */
    bt_weights_close(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pytorch),       cmocka_unit_test(conversions),       cmocka_unit_test(code_is_refused),
        cmocka_unit_test(out_of_memory), cmocka_unit_test(shards_and_arrays), cmocka_unit_test(large_archive),
        cmocka_unit_test(rounding),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
