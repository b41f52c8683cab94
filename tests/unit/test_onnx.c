/* ONNX files: varints, the bytes of a file as the onnx package writes them, weights in a second file, what a failure
 * leaves behind; and operations that have no translation. */
#include "check.h"

#include "base/memory.h"
#include "encoder/onnx_builder.h"
#include "formats/onnx.h"
#include "formats/protobuf.h"

#include "scratch.h"

/* ---- the wire ---- */

static void varints(void **state) {
    (void)state;
    static const struct {
        int64_t value;
        const char *bytes;
        size_t count;
    } cases[] = {{0, "\x00", 1},
                 {1, "\x01", 1},
                 {127, "\x7f", 1},
                 {128, "\x80\x01", 2},
                 {300, "\xac\x02", 2},
                 {INT32_MAX, "\xff\xff\xff\xff\x07", 5},
                 {-1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
                 {INT64_MIN, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 10}};
    bt_text text = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bt_text_clear(&text);
        bt_protobuf_integer(&text, 16, cases[i].value); /* its key takes two bytes */
        assert_int_equal(text.length, 2 + cases[i].count);
        assert_memory_equal(text.bytes, "\x80\x01", 2);
        assert_memory_equal(text.bytes + 2, cases[i].bytes, cases[i].count);
    }
    bt_text_clear(&text);
    bt_protobuf_float(&text, 2, 1);
    bt_protobuf_bytes(&text, 3, "ab\0", 3);
    assert_int_equal(text.length, 10);
    assert_memory_equal(text.bytes,
                        "\x15\x00\x00\x80\x3f\x1a\x03"
                        "ab\0",
                        10);
    bt_text_free(&text);
}

/* ---- one file ---- */

static const float weight[] = {1, 2, 3, 4, 5, 6}, bias[] = {0.5f, -300};

/* x (N, 3) by w, a norm that means nothing, and a transpose: each kind of attribute, of tensor and of axis. */
static bt_onnx_graph make_graph(void) {
    bt_onnx_graph g = {.count = 0};
    bt_onnx_input(&g, "x", BT_ONNX_F32, 2, (int64_t[]){BT_ONNX_BATCH, 3});
    bt_onnx_weight(&g, "w", 2, (int64_t[]){3, 2}, weight, true);
    bt_onnx_weight(&g, "b", 1, (int64_t[]){2}, bias, false);
    bt_onnx_constant(&g, "k", BT_ONNX_I64, 1, (int64_t[]){1}, (int64_t[]){300});
    bt_onnx_node(&g, &(bt_onnx_node_spec){.op = "MatMul", .inputs = {"x", "w"}, .outputs = {"h"}});
    bt_onnx_node(&g, &(bt_onnx_node_spec){
                         .op = "LayerNormalization",
                         .inputs = {"h", "b"},
                         .outputs = {"y"},
                         .attributes = {BT_ONNX_AXIS(-1), {.name = "epsilon", .kind = BT_ONNX_FLOAT, .f = 0.25f}}});
    bt_onnx_node(
        &g, &(bt_onnx_node_spec){.op = "Transpose",
                                 .inputs = {"y"},
                                 .outputs = {"z"},
                                 .attributes = {{.name = "perm", .kind = BT_ONNX_INTS, .count = 2, .ints = {1, 0}}}});
    bt_onnx_output(&g, "z", BT_ONNX_F32, 2, (int64_t[]){2, BT_ONNX_BATCH});
    return g;
}

static const bt_safetensors_pair metadata = {"k", "v"};
static const bt_onnx_description description = {
    .producer = "p", .version = "1", .name = "g", .text = "t", .metadata = &metadata, .metadata_count = 1};

/* The same model made with onnx.helper and written by SerializeToString of onnx 1.23. */
static const unsigned char expected[] = {
    0x08, 0x08, 0x12, 0x01, 0x70, 0x1a, 0x01, 0x31, 0x32, 0x01, 0x74, 0x3a, 0x80, 0x02, 0x0a, 0x14, 0x0a, 0x01, 0x78,
    0x0a, 0x01, 0x77, 0x12, 0x01, 0x68, 0x1a, 0x01, 0x68, 0x22, 0x06, 0x4d, 0x61, 0x74, 0x4d, 0x75, 0x6c, 0x0a, 0x49,
    0x0a, 0x01, 0x68, 0x0a, 0x01, 0x62, 0x12, 0x01, 0x79, 0x1a, 0x01, 0x79, 0x22, 0x12, 0x4c, 0x61, 0x79, 0x65, 0x72,
    0x4e, 0x6f, 0x72, 0x6d, 0x61, 0x6c, 0x69, 0x7a, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x2a, 0x14, 0x0a, 0x04, 0x61, 0x78,
    0x69, 0x73, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0xa0, 0x01, 0x02, 0x2a, 0x11, 0x0a,
    0x07, 0x65, 0x70, 0x73, 0x69, 0x6c, 0x6f, 0x6e, 0x15, 0x00, 0x00, 0x80, 0x3e, 0xa0, 0x01, 0x01, 0x0a, 0x23, 0x0a,
    0x01, 0x79, 0x12, 0x01, 0x7a, 0x1a, 0x01, 0x7a, 0x22, 0x09, 0x54, 0x72, 0x61, 0x6e, 0x73, 0x70, 0x6f, 0x73, 0x65,
    0x2a, 0x0d, 0x0a, 0x04, 0x70, 0x65, 0x72, 0x6d, 0x40, 0x01, 0x40, 0x00, 0xa0, 0x01, 0x07, 0x12, 0x01, 0x67, 0x2a,
    0x23, 0x08, 0x03, 0x08, 0x02, 0x10, 0x01, 0x42, 0x01, 0x77, 0x4a, 0x18, 0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x80,
    0x40, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0xa0, 0x40, 0x00, 0x00, 0x40, 0x40, 0x00, 0x00, 0xc0, 0x40, 0x2a, 0x11,
    0x08, 0x02, 0x10, 0x01, 0x42, 0x01, 0x62, 0x4a, 0x08, 0x00, 0x00, 0x00, 0x3f, 0x00, 0x00, 0x96, 0xc3, 0x2a, 0x11,
    0x08, 0x01, 0x10, 0x07, 0x42, 0x01, 0x6b, 0x4a, 0x08, 0x2c, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x5a, 0x14,
    0x0a, 0x01, 0x78, 0x12, 0x0f, 0x0a, 0x0d, 0x08, 0x01, 0x12, 0x09, 0x0a, 0x03, 0x12, 0x01, 0x4e, 0x0a, 0x02, 0x08,
    0x03, 0x62, 0x14, 0x0a, 0x01, 0x7a, 0x12, 0x0f, 0x0a, 0x0d, 0x08, 0x01, 0x12, 0x09, 0x0a, 0x02, 0x08, 0x02, 0x0a,
    0x03, 0x12, 0x01, 0x4e, 0x42, 0x02, 0x10, 0x11, 0x72, 0x06, 0x0a, 0x01, 0x6b, 0x12, 0x01, 0x76};

static void same_bytes(void **state) {
    (void)state;
    const char *path = scratch_path("model.onnx");
    bt_onnx_graph g = make_graph();
    bt_onnx_written written;
    size_t bytes;
    check_ok(bt_onnx_write(&g, &description, path, &written));
    unsigned char *found = scratch_read(path, &bytes);
    assert_int_equal(bytes, sizeof expected);
    assert_memory_equal(found, expected, bytes);
    assert_true(written.bytes == (double)bytes && !written.external);
    assert_int_equal(scratch_count("model.onnx"), 1);
    assert_true(bt_onnx_has(&g, "w") && !bt_onnx_has(&g, "h"));
    free(found);
    bt_onnx_free(&g);
    unlink(path);
}

/* ---- two files ---- */

enum { ROWS = 37, COLUMNS = 2000 }; /* more than one block of a transposition */

static bt_onnx_graph make_large(float *values) {
    bt_onnx_graph g = {.count = 0};
    for (int i = 0; i < ROWS * COLUMNS; i++) values[i] = (float)i;
    bt_onnx_input(&g, "x", BT_ONNX_F32, 2, (int64_t[]){BT_ONNX_BATCH, COLUMNS});
    bt_onnx_weight(&g, "first", 1, (int64_t[]){300}, values, false);
    bt_onnx_weight(&g, "small", 1, (int64_t[]){255}, values, false); /* 1020 bytes: stays */
    bt_onnx_weight(&g, "second", 2, (int64_t[]){COLUMNS, ROWS}, values, true);
    bt_onnx_node(&g, &(bt_onnx_node_spec){.op = "MatMul", .inputs = {"x", "second"}, .outputs = {"y"}});
    bt_onnx_output(&g, "y", BT_ONNX_F32, 2, (int64_t[]){BT_ONNX_BATCH, ROWS});
    return g;
}

static bool holds(const unsigned char *data, size_t bytes, const char *part, size_t part_bytes) {
    for (size_t i = 0; i + part_bytes <= bytes; i++)
        if (memcmp(data + i, part, part_bytes) == 0) return true;
    return false;
}

static void second_file(void **state) {
    (void)state;
    static float values[ROWS * COLUMNS];
    const char *path = scratch_path("large.onnx");
    bt_onnx_graph g = make_large(values);
    bt_onnx_description d = description;
    bt_onnx_written written;
    size_t bytes, data_bytes;
    d.most = 4000; /* by itself: the weights are larger */
    check_ok(bt_onnx_write(&g, &d, path, &written));
    unsigned char *model = scratch_read(path, &bytes),
                  *data = scratch_read(scratch_path("large.onnx.data"), &data_bytes);
    assert_true(written.external && written.bytes == (double)(bytes + data_bytes) && bytes <= 4000);
    assert_int_equal(data_bytes, 4096 + sizeof values);
    assert_memory_equal(data, values, 1200);
    for (size_t i = 1200; i < 4096; i++) assert_int_equal(data[i], 0);
    for (int c = 0; c < COLUMNS; c++)
        for (int r = 0; r < ROWS; r++) {
            float value;
            memcpy(&value, data + 4096 + (size_t)(c * ROWS + r) * sizeof value, sizeof value);
            assert_true(value == values[r * COLUMNS + c]);
        }
    /* dims, type, name; location, offset, length as entries of key 1 and value 2; data_location 1. The name has no
     * folder. */
    static const char tensor[] =
        "\x08\xd0\x0f\x08\x25\x10\x01\x42\x06second\x6a\x1b\x0a\x08location\x12\x0flarge.onnx.data"
        "\x6a\x0e\x0a\x06offset\x12\x04"
        "4096\x6a\x10\x0a\x06length\x12\x06"
        "296000\x70\x01";
    assert_true(holds(model, bytes, tensor, sizeof tensor - 1));
    assert_true(holds(model, bytes, (const char *)values, 1020)); /* "small" */
    unsigned char *again;
    d.most = 0;
    d.external = true; /* as asked for: the same */
    check_ok(bt_onnx_write(&g, &d, path, &written));
    size_t again_bytes;
    again = scratch_read(path, &again_bytes);
    assert_true(again_bytes == bytes && memcmp(again, model, bytes) == 0);
    free(again);
    free(model);
    free(data);
    bt_onnx_free(&g);
}

/* ---- weights of the graph that is replaced ---- */

static bt_onnx_beside beside_of(const bt_onnx_graph *g, const char *path) {
    bt_onnx_written written;
    check_ok(bt_onnx_write(g, &description, path, &written));
    assert_false(written.external);
    return written.beside;
}

static void replaced(void **state) {
    (void)state;
    static float values[ROWS * COLUMNS];
    const char *path = scratch_path("replaced.onnx"), *data = scratch_path("replaced.onnx.data"),
               *moved = scratch_path("moved.data");
    bt_onnx_graph g = make_large(values);
    bt_onnx_description d = description, foreign = description;
    bt_onnx_written written;
    d.external = foreign.external = true;
    foreign.producer = "another";
    assert_int_equal(beside_of(&g, path), BT_ONNX_ALONE);
    check_ok(bt_onnx_write(&g, &d, path, &written));
    assert_int_equal(written.beside, BT_ONNX_ALONE);
    assert_int_equal(beside_of(&g, path), BT_ONNX_REMOVED);
    assert_int_equal(scratch_count("replaced.onnx"), 1);
    assert_int_equal(beside_of(&g, path), BT_ONNX_ALONE);
    /* What stays: another producer's, one of another length, one without its graph, and a link, which was not written
     * here. */
    check_ok(bt_onnx_write(&g, &foreign, path, &written));
    assert_int_equal(beside_of(&g, path), BT_ONNX_LEFT);
    check_ok(bt_onnx_write(&g, &d, path, &written));
    assert_int_equal(truncate(data, 4096 + (off_t)sizeof values + 1), 0);
    assert_int_equal(beside_of(&g, path), BT_ONNX_LEFT);
    check_ok(bt_onnx_write(&g, &d, path, &written));
    unlink(path);
    assert_int_equal(beside_of(&g, path), BT_ONNX_LEFT);
    check_ok(bt_onnx_write(&g, &d, path, &written));
    assert_int_equal(rename(data, moved), 0);
    assert_int_equal(symlink("moved.data", data), 0);
    assert_int_equal(beside_of(&g, path), BT_ONNX_LEFT);
    unlink(data);
    bt_onnx_free(&g);
}

/* A graph that is cut anywhere owns nothing, but where whole fields behind it are missing. */
static void damaged_graph(void **state) {
    (void)state;
    static float values[ROWS * COLUMNS];
    char path[256], data[256];
    bt_onnx_graph g = make_large(values);
    bt_onnx_description d = description;
    bt_onnx_written written;
    size_t bytes;
    int whole = 0;
    snprintf(path, sizeof path, "%s", scratch_path("damaged.onnx"));
    snprintf(data, sizeof data, "%s", scratch_path("damaged.onnx.data"));
    d.external = true;
    check_ok(bt_onnx_write(&g, &d, path, &written));
    unsigned char *graph = scratch_read(path, &bytes);
    assert_true(bt_onnx_is_data_of(data, path, "p"));
    assert_false(bt_onnx_is_data_of(data, path, "q") || bt_onnx_is_data_of(path, path, "p") ||
                 bt_onnx_is_data_of(scratch_path("nothing.data"), path, "p"));
    for (size_t cut = 0; cut < bytes; cut++) {
        scratch_file("damaged.onnx", graph, cut);
        whole += bt_onnx_is_data_of(data, path, "p");
    }
    assert_int_equal(whole, 2); /* without metadata, and without the set of operators too */
    free(graph);
    bt_onnx_free(&g);
}

static void fields(void **state) {
    (void)state;
    bt_text text = {0};
    bt_protobuf_field f;
    bt_protobuf_integer(&text, 16, -1);
    bt_protobuf_float(&text, 2, 1);
    bt_protobuf_string(&text, 3, "ab");
    bt_protobuf_span m = {(const unsigned char *)text.bytes, text.length};
    assert_true(bt_protobuf_next(&m, &f) && f.number == 16 && f.value == UINT64_MAX);
    assert_true(bt_protobuf_next(&m, &f) && f.number == 2 && f.content.bytes == 4);
    assert_true(bt_protobuf_next(&m, &f) && f.number == 3 && bt_protobuf_is(&f.content, "ab"));
    assert_false(bt_protobuf_is(&f.content, "a") || bt_protobuf_is(&f.content, "abc"));
    assert_false(bt_protobuf_next(&m, &f) || m.bytes);
    bt_text_free(&text);
    static const char *const damaged[] = {"\x08",       "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                          "\x12\x03xy", "\x15\x01\x02",
                                          "\x0b",       "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01zz"};
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        m = (bt_protobuf_span){(const unsigned char *)damaged[i], strlen(damaged[i])};
        assert_false(bt_protobuf_next(&m, &f));
        assert_int_equal(m.bytes, strlen(damaged[i]));
    }
}

/* ---- failures ---- */

static void expect_old(const char *path) {
    size_t bytes;
    unsigned char *old = scratch_read(path, &bytes);
    assert_true(bytes == 3 && memcmp(old, "old", 3) == 0);
    free(old);
    assert_int_equal(scratch_count("partial"), 0);
}

static void failures(void **state) {
    (void)state;
    static float values[ROWS * COLUMNS];
    const char *path = scratch_file("kept.onnx", "old", 3), *data = scratch_file("kept.onnx.data", "old", 3);
    bt_onnx_graph g = make_large(values);
    bt_onnx_description d = description;
    bt_onnx_written written;
    d.most = 100;
    check_error(bt_onnx_write(&g, &d, path, &written), BT_ERR_UNSUPPORTED,
                "bytes without the weights; 100 are the most");
    expect_old(path);
    d.most = 0;
    d.external = true;
    unlink(data);
    scratch_folder("kept.onnx.data");
    check_error(bt_onnx_write(&g, &d, path, &written), BT_ERR_IO, "kept.onnx.data: it is a folder");
    expect_old(path);
    rmdir(data);
    check_error(bt_onnx_write(&g, &d, scratch_path("nowhere/x.onnx"), &written), BT_ERR_IO, "nowhere/x.onnx");
    bt_onnx_free(&g);
}

/* Every allocation fails once: BT_ERR_MEMORY, nothing left behind, the old files as they were. */
static void no_memory(void **state) {
    (void)state;
    static float values[ROWS * COLUMNS];
    const char *path = scratch_file("memory.onnx", "old", 3), *data = scratch_file("memory.onnx.data", "old", 3);
    bt_onnx_description d = description;
    d.external = true;
    bt_status status = BT_ERR_MEMORY;
    int at = 0;
    while (status != BT_OK) {
        bt_onnx_written written;
        bt_memory_fail_at(++at);
        bt_onnx_graph g = make_large(values);
        status = bt_onnx_write(&g, &d, path, &written);
        bt_memory_fail_at(0);
        bt_onnx_free(&g);
        if (status == BT_OK) break;
        check_error(status, BT_ERR_MEMORY, "memory");
        expect_old(path);
        expect_old(data);
    }
    assert_true(at > 20);
}

/* ---- translation ---- */

static void expect_translation(bt_value (*make)(bt_program *p, bt_params *store), bt_status status, const char *text) {
    bt_params *store = bt_params_new(BT_F32);
    bt_program *p = bt_program_new(&(bt_program_options){.compute = BT_F32});
    bt_onnx_graph graph = {.count = 0};
    bt_onnx_builder builder;
    bt_output(p, "out", make(p, store));
    bt_status found = bt_onnx_translate(&builder, p, store, &graph);
    if (status == BT_OK)
        check_ok(found);
    else
        check_error(found, status, text);
    bt_onnx_builder_free(&builder);
    bt_onnx_free(&graph);
    bt_program_free(p);
    bt_params_free(store);
}

static bt_value input(bt_program *p) {
    return bt_input(p, "x", BT_F32, bt_shape3(1, 5, 8));
}

static bt_value weights(bt_program *p, bt_params *store) {
    bt_param_spec spec = {.name = "w", .shape = bt_shape2(8, 8), .kind = BT_PARAM_WEIGHT};
    int index = bt_params_find(store, "w");
    return bt_param(p, store, index < 0 ? bt_params_add(store, &spec) : index);
}

static bt_value with_relu(bt_program *p, bt_params *store) {
    return bt_relu(p, bt_linear(p, input(p), weights(p, store), 0, 0));
}

static bt_value with_normalize(bt_program *p, bt_params *store) {
    (void)store;
    return bt_l2_normalize(p, input(p), 1e-12f);
}

static bt_value with_adapter(bt_program *p, bt_params *store) {
    bt_lora_values lora = {
        .a = weights(p, store), .b = weights(p, store), .scale = 1, .parts = 1, .rank = 8, .part_width = 8};
    return bt_lora_linear(p, input(p), weights(p, store), 0, &lora, 0, 0);
}

static bt_value with_bare_norm(bt_program *p, bt_params *store) {
    (void)store;
    return bt_layer_norm(p, input(p), 0, 0, 1e-6f);
}

static bt_value with_parameters_alone(bt_program *p, bt_params *store) {
    return bt_linear(p, bt_relu(p, weights(p, store)), weights(p, store), 0, 0);
}

static bt_value with_computed_weight(bt_program *p, bt_params *store) {
    (void)store;
    bt_value x = bt_input(p, "x", BT_F32, bt_shape2(1, 8));
    return bt_linear(p, x, bt_relu(p, x), 0, 0);
}

static void refused_operations(void **state) {
    (void)state;
    expect_translation(with_relu, BT_OK, "");
    expect_translation(with_normalize, BT_ERR_UNSUPPORTED, "the operation l2_normalize has no translation into ONNX");
    expect_translation(with_adapter, BT_ERR_UNSUPPORTED, "the operation lora_linear has no translation into ONNX");
    expect_translation(with_bare_norm, BT_ERR_UNSUPPORTED, "layer_norm without scale");
    expect_translation(with_parameters_alone, BT_ERR_UNSUPPORTED, "relu of parameters alone");
    expect_translation(with_computed_weight, BT_ERR_UNSUPPORTED, "a matrix product of two computed values");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints),       cmocka_unit_test(same_bytes), cmocka_unit_test(second_file),
        cmocka_unit_test(failures),      cmocka_unit_test(no_memory),  cmocka_unit_test(replaced),
        cmocka_unit_test(damaged_graph), cmocka_unit_test(fields),     cmocka_unit_test(refused_operations)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
