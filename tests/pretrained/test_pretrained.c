/* Published towers against their own libraries: what make_fixtures.py saved is imported, and gives the same features
 * and the same gradients of adapters on BT_TESTED_BACKEND.
 *
 *   test_pretrained FOLDER [f32|bf16] [FIXTURE ...]
 *
 * Prints what each fixture deviates by; without names, all fixtures of the folder are taken.
 * f32: class token, patches and embedding within 1e-4, relative in the 2-norm of a tensor, at every size of pictures
 * that the fixture has; gradients of adapters within 1e-3 (they pass through all blocks). bf16: 4e-2 and 0.1: weights
 * and activations have 8 bits, and the random weights of fixtures are larger than trained ones. */
#include "encoder/export.h"
#include "formats/json.h"
#include "import/import.h"
#include "import/source.h"
#include "tensor/backend.h"

#include <bittern/safetensors.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 2, FOLDER = 1000, PATH = FOLDER + 64, RANK = 2 };
extern const bt_backend BT_TESTED_BACKEND;

static int passed, failed;
static bt_device *device;

/** NaN fails. */
static void report(const char *where, const char *what, double found, double limit) {
    bool good = found <= limit;
    good ? passed++ : failed++;
    if (!good) printf("FAILED %s: %s: %.3g, limit %.1g\n", where, what, found, limit);
}

static double difference(const float *a, const float *b, int64_t count) {
    double error = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        error += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)b[i] * (double)b[i];
    }
    return sqrt(error / norm);
}

/* ---- a fixture ---- */

typedef struct fixture {
    char name[300], folder[FOLDER], model[PATH];
    bt_safetensors *expected;
    bt_dtype compute;
} fixture;

/** picture() of make_fixtures.py: (COUNT, 3, size, size). */
static float *pictures(int size) {
    float *out = malloc((size_t)COUNT * 3 * (size_t)size * (size_t)size * sizeof *out), *at = out;
    BT_ASSERT(out);
    for (int64_t n = 0; n < COUNT; n++)
        for (int64_t c = 0; c < 3; c++)
            for (int64_t y = 0; y < size; y++)
                for (int64_t x = 0; x < size; x++)
                    *at++ = (float)((double)((n * 15485863 + c * 7919 + y * 104729 + x * 1299709 + y * x * 31) % 1009) /
                                        1009 * 4 -
                                    2);
    return out;
}

static const float *expected(const fixture *f, const char *name, int64_t *count) {
    const bt_safetensors_entry *e = bt_safetensors_find(f->expected, name);
    if (!e) return NULL;
    *count = e->count;
    return (const float *)e->data;
}

static void compare(const fixture *f, const char *name, const float *found, int64_t count, double limit) {
    int64_t wanted;
    const float *values = expected(f, name, &wanted);
    if (!values || wanted != count) {
        failed++;
        printf("FAILED %s: %s has another size\n", f->name, name);
        return;
    }
    float *copy = malloc((size_t)count * sizeof *copy); /* the file's may not be aligned */
    BT_ASSERT(copy);
    memcpy(copy, values, (size_t)count * sizeof *copy);
    double deviation = difference(found, copy, count);
    report(f->name, name, deviation, limit);
    printf("%s %s %.2g\n", f->name, name, deviation);
    free(copy);
}

/** The weights of a fixture as the library saved them. */
static bool find_weights(const fixture *f, char *path) {
    static const char *const names[] = {
        "weights.pth", "model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin", "vit.pth", "model.npz"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, PATH, "%s/%s", f->folder, names[i]);
        if (access(path, R_OK) == 0) return true;
    }
    return false;
}

/** What import.json adds: {"heads": 3}. */
static int heads_of(const fixture *f) {
    char path[PATH];
    bt_json *json;
    int64_t heads = 0;
    snprintf(path, sizeof path, "%s/import.json", f->folder);
    if (access(path, R_OK) != 0) return 0;
    BT_ASSERT(bt_json_read(path, &json) == BT_OK &&
              bt_json_get_integer(bt_json_root(json), "heads", 1, 1024, &heads) == BT_OK);
    bt_json_free(json);
    return (int)heads;
}

/* ---- names back ---- */

static bt_export_form form_of(const char *family) {
    return strstr(family, "hub")            ? BT_FORM_HUB
           : strstr(family, "transformers") ? BT_FORM_TRANSFORMERS
           : strstr(family, "CLIP")         ? BT_FORM_OPEN_CLIP
           : strstr(family, "torchvision")  ? BT_FORM_TORCHVISION
                                            : BT_FORM_TIMM;
}

/** Name, shape and values of one tensor as in the library's file. */
static bool same_tensor(const bt_named_tensor *t, const bt_weight *w) {
    if (!w || w->rank != t->rank || memcmp(w->dim, t->dim, (size_t)t->rank * sizeof *t->dim) != 0) return false;
    float *values = malloc((size_t)w->count * sizeof *values);
    BT_ASSERT(values && bt_weight_to_f32(w, 0, w->count, values) == BT_OK);
    bool same = memcmp(values, t->data, (size_t)w->count * sizeof *values) == 0;
    free(values);
    return same;
}

static void check_names(const fixture *f, const char *path, const bt_import_result *r) {
    bt_weights *weights;
    bt_import_source source;
    bt_named_tensors named;
    BT_ASSERT(bt_weights_open(path, &weights) == BT_OK && bt_import_source_open(weights, NULL, &source) == BT_OK);
    bt_status status = bt_name_tensors(&r->vit, r->store, form_of(r->family), &named);
    if (status != BT_OK) report(f->name, bt_error_message(), NAN, 0);
    int wrong = 0;
    for (int i = 0; status == BT_OK && i < named.count; i++) {
        bool same = same_tensor(&named.list[i], bt_import_find(&source, named.list[i].name));
        if (!same && wrong++ < 3) printf("  %s: %s is not what the library's file has\n", f->name, named.list[i].name);
    }
    if (status == BT_OK) {
        report(f->name, "tensors under the library's names", wrong, 0);
        report(f->name, "number of tensors", named.count != r->taken, 0);
        bt_named_tensors_free(&named);
    }
    bt_import_source_close(&source);
    bt_weights_close(weights);
}

static bool import(fixture *f) {
    char path[PATH];
    bt_import_result r;
    if (!find_weights(f, path)) return false;
    bt_import_options o = {.path = path, .given = {.heads = heads_of(f), .activation = -1}};
    bt_status status = bt_import(&o, &r);
    if (status == BT_OK) status = bt_tower_write(&r, f->model);
    if (status == BT_OK) check_names(f, path, &r);
    if (status != BT_OK) printf("FAILED %s: %s\n%s", f->name, bt_error_message(), bt_text_get(&r.problems));
    bt_import_result_free(&r);
    status == BT_OK ? passed++ : failed++;
    return status == BT_OK;
}

/* ---- features ---- */

static bt_status run_program(bt_model *m, bt_dtype compute, int size, float *tokens, float *embedding) {
    const bt_vit_config *c = &m->vit.config;
    bt_program *p = bt_program_new(&(bt_program_options){.compute = compute});
    bt_value images = bt_input(p, "images", BT_F32, bt_shape4(COUNT, 3, size, size));
    bt_output(p, "tokens", bt_vit_forward_tokens(p, m->store, &m->vit, images, 0));
    bt_output(p, "embedding", bt_vit_forward(p, m->store, &m->vit, images, 0));
    float *pixels = pictures(size);
    size_t side = (size_t)size, token_count = (size_t)bt_vit_token_count(c) * (size_t)c->width;
    bt_status status = bt_program_run_once(
        p, device, (bt_plan_input[]){{"images", pixels, COUNT * 3 * side * side * sizeof *pixels}, {NULL}},
        (bt_plan_output[]){{"tokens", tokens, COUNT * token_count * sizeof *tokens},
                           {"embedding", embedding, COUNT * (size_t)bt_vit_output(c) * sizeof *embedding},
                           {NULL}});
    free(pixels);
    bt_program_free(p);
    return status;
}

static void compare_features(const fixture *f, const bt_model *m, int size, const float *tokens,
                             const float *embedding) {
    const bt_vit_config *c = &m->vit.config;
    int64_t all = bt_vit_token_count(c), first = 1 + c->registers, width = c->width;
    float *cls = malloc((size_t)(COUNT * width) * sizeof *cls),
          *patches = malloc((size_t)(COUNT * (all - first) * width) * sizeof *patches);
    BT_ASSERT(cls && patches);
    for (int64_t n = 0; n < COUNT; n++) {
        memcpy(cls + n * width, tokens + n * all * width, (size_t)width * sizeof *cls);
        memcpy(patches + n * (all - first) * width, tokens + (n * all + first) * width,
               (size_t)((all - first) * width) * sizeof *patches);
    }
    char name[64];
    double limit = f->compute == BT_F32 ? 1e-4 : 4e-2;
    snprintf(name, sizeof name, "class_%d", size);
    compare(f, name, cls, COUNT * width, limit);
    if (!c->output)
        report(f->name, "the class token computed alone", difference(embedding, cls, COUNT * width),
               f->compute == BT_F32 ? 1e-5 : 4e-2);
    snprintf(name, sizeof name, "patches_%d", size);
    compare(f, name, patches, COUNT * (all - first) * width, limit);
    snprintf(name, sizeof name, "embedding_%d", size);
    if (c->output) compare(f, name, embedding, COUNT * bt_vit_output(c), limit);
    free(cls);
    free(patches);
}

static void check_size(const fixture *f, int size) {
    bt_model_info info;
    bt_model m = {.store = NULL};
    bt_status status = bt_model_open(&(bt_model_source){.path = f->model, .image = size}, f->compute, &info, &m);
    const bt_vit_config *c = &m.vit.config;
    float *tokens = NULL, *embedding = NULL;
    if (status == BT_OK) {
        tokens = calloc((size_t)COUNT * (size_t)bt_vit_token_count(c) * (size_t)c->width, sizeof *tokens);
        embedding = calloc((size_t)COUNT * (size_t)bt_vit_output(c), sizeof *embedding);
        BT_ASSERT(tokens && embedding);
        status = bt_params_commit(m.store, device);
    }
    if (status == BT_OK) status = run_program(&m, f->compute, size, tokens, embedding);
    if (status != BT_OK)
        report(f->name, bt_error_message(), NAN, 0);
    else
        compare_features(f, &m, size, tokens, embedding);
    free(tokens);
    free(embedding);
    bt_model_release(&m);
}

static void check_features(const fixture *f) {
    for (int64_t i = 0; i < bt_safetensors_count(f->expected); i++) {
        int size;
        if (sscanf(bt_safetensors_at(f->expected, i)->name, "class_%d", &size) == 1) check_size(f, size);
    }
}

/* ---- gradients of adapters on q and v ---- */

/** Fills the tower from the imported file, and the adapters from the fixture. */
static bt_status fill_adapted(const fixture *f, bt_vit *vit, bt_params *store) {
    bt_safetensors *file;
    int64_t count_a, count_b;
    BT_TRY(bt_safetensors_open(f->model, &file));
    for (int i = 0; i < bt_params_count(store); i++) {
        const bt_safetensors_entry *e = bt_safetensors_find(file, bt_params_spec(store, i)->name);
        if (e) BT_TRY(bt_safetensors_to_f32(e, bt_params_host(store, i)));
    }
    bt_safetensors_close(file);
    const float *a = expected(f, "lora_a", &count_a), *b = expected(f, "lora_b", &count_b);
    int64_t each = 2 * RANK * (int64_t)vit->config.width;
    BT_ASSERT(a && b && count_a == each * vit->config.depth && count_b == count_a);
    for (int i = 0; i < vit->config.depth; i++) {
        memcpy(bt_params_host(store, vit->block[i].qkv.lora.a), a + i * each, (size_t)each * sizeof *a);
        memcpy(bt_params_host(store, vit->block[i].qkv.lora.b), b + i * each, (size_t)each * sizeof *b);
    }
    return bt_params_commit(store, device);
}

static bt_status run_backward(const fixture *f, bt_vit *vit, bt_params *store, float *out) {
    const bt_vit_config *c = &vit->config;
    int64_t rows = bt_vit_output(c), count;
    bt_program *p =
        bt_program_new(&(bt_program_options){.compute = f->compute, .training = true, .recompute = BT_RECOMPUTE_CHEAP});
    bt_value images = bt_input(p, "images", BT_F32, bt_shape4(COUNT, 3, c->image, c->image));
    bt_value e = bt_vit_forward(p, store, vit, images, 0), de = bt_input(p, "de", BT_F32, bt_shape2(COUNT, rows));
    bt_output(p, "e", e);
    bt_differentiate(p, &(bt_root){.value = e, .gradient = de}, 1, 1);
    float *pixels = pictures(c->image);
    const float *direction = expected(f, "direction", &count);
    BT_ASSERT(direction && count == COUNT * rows);
    size_t side = (size_t)c->image;
    bt_status status =
        bt_program_run_once(p, device,
                            (bt_plan_input[]){{"images", pixels, COUNT * 3 * side * side * sizeof *pixels},
                                              {"de", direction, (size_t)count * sizeof *direction},
                                              {NULL}},
                            (bt_plan_output[]){{"e", out, (size_t)count * sizeof *out}, {NULL}});
    free(pixels);
    bt_program_free(p);
    return status;
}

static void compare_gradients(const fixture *f, const bt_vit *vit, bt_params *store) {
    int64_t each = 2 * RANK * (int64_t)vit->config.width, all = each * vit->config.depth;
    float *da = malloc((size_t)all * sizeof *da), *db = malloc((size_t)all * sizeof *db);
    BT_ASSERT(da && db);
    for (int i = 0; i < vit->config.depth; i++) {
        BT_ASSERT(bt_params_read(store, vit->block[i].qkv.lora.a, BT_SLOT_GRADIENT, da + i * each) == BT_OK);
        BT_ASSERT(bt_params_read(store, vit->block[i].qkv.lora.b, BT_SLOT_GRADIENT, db + i * each) == BT_OK);
    }
    compare(f, "lora_da", da, all, f->compute == BT_F32 ? 1e-3 : 0.1);
    compare(f, "lora_db", db, all, f->compute == BT_F32 ? 1e-3 : 0.1);
    free(da);
    free(db);
}

static void check_adapters(const fixture *f) {
    bt_model_info info;
    bt_model m = {.store = NULL};
    if (bt_model_open(&(bt_model_source){.path = f->model}, BT_F32, &info, &m) != BT_OK) {
        report(f->name, bt_error_message(), NAN, 0);
        return;
    }
    bt_model_release(&m);
    bt_vit_config *c = &info.vit; /* gradients are of the first size: the one of the positions */
    if (c->positions == BT_VIT_LEARNED) c->image = bt_vit_grid(c) * c->patch;
    bt_params *store = bt_params_new(f->compute);
    bt_vit vit;
    bt_vit_training t = {.lora = {.targets = BT_LORA_Q | BT_LORA_V, .rank = RANK, .alpha = 2 * RANK}};
    bt_vit_init(&vit, store, &info.vit, &t);
    float *out = malloc((size_t)COUNT * (size_t)bt_vit_output(&info.vit) * sizeof *out);
    BT_ASSERT(out);
    bt_status status = fill_adapted(f, &vit, store);
    if (status == BT_OK) status = run_backward(f, &vit, store, out);
    if (status != BT_OK) {
        report(f->name, bt_error_message(), NAN, 0);
    } else {
        compare(f, "lora_class", out, COUNT * bt_vit_output(&info.vit), f->compute == BT_F32 ? 1e-4 : 4e-2);
        compare_gradients(f, &vit, store);
    }
    free(out);
    bt_vit_release(&vit);
    bt_params_free(store);
}

/* ---- all of them ---- */

static void check_fixture(const char *folder, const char *name, bt_dtype compute) {
    char path[PATH];
    fixture f = {.compute = compute};
    snprintf(f.name, sizeof f.name, "%s", name);
    snprintf(f.folder, sizeof f.folder, "%s/%s", folder, name);
    snprintf(f.model, sizeof f.model, "/tmp/bittern_pretrained_%ld.safetensors", (long)getpid());
    if (snprintf(path, sizeof path, "%s/%s/expected.safetensors", folder, name) >= FOLDER || access(path, R_OK) != 0)
        return;
    BT_ASSERT(bt_safetensors_open(path, &f.expected) == BT_OK);
    if (import(&f)) {
        check_features(&f);
        check_adapters(&f);
    }
    unlink(f.model);
    bt_safetensors_close(f.expected);
}

/** Whether a fixture is among those asked for. */
static bool asked(const char *name, int argc, char **argv) {
    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], name) == 0) return true;
    return argc <= 3;
}

int main(int argc, char **argv) {
    struct dirent **list;
    int count = argc > 1 ? scandir(argv[1], &list, NULL, alphasort) : -1;
    if (count < 0) return printf("usage: test_pretrained FOLDER [f32|bf16] [FIXTURE ...]\n"), 2;
    bt_status status = BT_TESTED_BACKEND.open(&(bt_device_options){.threads = 0}, &device);
    if (status != BT_OK) return printf("SKIPPED: backend %s: %s\n", BT_TESTED_BACKEND.name, bt_error_message()), 77;
    for (int i = 0; i < count; i++) {
        if (list[i]->d_name[0] != '.' && asked(list[i]->d_name, argc, argv))
            check_fixture(argv[1], list[i]->d_name, argc > 2 && strcmp(argv[2], "bf16") == 0 ? BT_BF16 : BT_F32);
        free(list[i]);
    }
    free(list);
    BT_TESTED_BACKEND.close(device);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
