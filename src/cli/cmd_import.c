/* bittern import. */
#include "base/file.h"
#include "cli/cli.h"
#include "encoder/adapters.h"
#include "formats/json.h"
#include "import/import.h"
#include "nn/vit_json.h"

#include <stdio.h>
#include <string.h>

typedef struct import_flags {
    const char *out, *config, *preprocess, *prefix, *base;
    int heads, image, activation;
    double norm_eps;
    bool map, json;
} import_flags;

static const char *const activations[] = {"auto", "gelu", "quick_gelu", NULL};
static const bt_option import_options[] = {
    BT_OPTION_STRING(import_flags, out, "",
                     "the file that is written, .safetensors; without: the weights are only looked at"),
    BT_OPTION_STRING(import_flags, config, "",
                     "config.json or open_clip_config.json of the model; without: the one beside the weights"),
    BT_OPTION_STRING(import_flags, preprocess, "",
                     "how pictures are made ready: preprocessor_config.json, open_clip_config.json, timm's "
                     "config.json; without: the one beside the weights"),
    BT_OPTION_STRING(import_flags, prefix, "",
                     "of the tower's names, where a file holds several, as in teacher.backbone."),
    BT_OPTION_STRING(import_flags, base, "",
                     "for a folder of peft's adapters: the run or .safetensors file that has their tower"),
    BT_OPTION_INT(import_flags, heads, "0", 0, 1024, "of attention; 0: as configuration or publication say"),
    BT_OPTION_ENUM(import_flags, activation, "auto", activations,
                   "of the MLP; auto: as shapes, configuration or publication say"),
    BT_OPTION_DOUBLE(import_flags, norm_eps, "0", 0, 1, "of layer norm; 0: as configuration or publication say"),
    BT_OPTION_INT(import_flags, image, "0", 0, 4096, "pixels of a side; 0: as configuration or publication say"),
    BT_OPTION_BOOL(import_flags, map, "false", "prints how the names map"),
    BT_OPTION_BOOL(import_flags, json, "false", "prints one JSON object"),
};
static const bt_option_table import_table = BT_OPTION_TABLE("bittern import", import_options);

/** Lines of a text under a heading; nothing for an empty one. */
static void print_lines(FILE *to, const char *heading, const bt_text *text) {
    for (const char *line = bt_text_get(text); *line;) {
        const char *end = strchr(line, '\n');
        fprintf(to, "%s%.*s\n", heading, (int)(end - line), line);
        line = end + 1;
    }
}

static void print_tower(FILE *to, const bt_vit_config *c) {
    bt_text text = {0};
    bt_vit_describe(c, &text);
    fprintf(to, "tower: %s\n", bt_text_get(&text));
    bt_text_free(&text);
}

static void print_result(FILE *to, const bt_import_result *r, const import_flags *f, bool good) {
    if (!*r->family) return;
    fprintf(to, "recognised: %s, %s, %lld tensors\n", r->family, r->format, (long long)r->tensors);
    print_lines(to, "  ", &r->notes);
    if (r->config.width) print_tower(to, &r->config);
    if (f->map) print_lines(to, "  ", &r->map);
    print_lines(to, "left out: ", &r->left_out);
    print_lines(to, "", &r->problems);
    if (good && *f->out)
        fprintf(to, "%s: %d tensors from %lld\n", f->out, bt_params_count(r->store), (long long)r->taken);
    if (good && !*f->out) fprintf(to, "all tensors fit; --out FILE.safetensors writes the file\n");
}

static void put_lines(bt_json_writer *w, const char *key, const bt_text *text) {
    char line[600];
    bt_json_key(w, key);
    bt_json_begin_array(w);
    for (const char *at = bt_text_get(text); *at;) {
        const char *end = strchr(at, '\n');
        snprintf(line, sizeof line, "%.*s", (int)(end - at), at);
        bt_json_put_string(w, line);
        at = end + 1;
    }
    bt_json_end(w);
}

static bt_status print_json(const bt_import_result *r, const import_flags *f) {
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "family", r->family);
    bt_json_member_string(&w, "format", r->format);
    bt_json_member_string(&w, "prefix", r->prefix);
    bt_json_key(&w, "tower");
    bt_vit_write_json(&r->config, r->family, &w);
    bt_json_member_integer(&w, "tensors", r->tensors);
    bt_json_member_integer(&w, "taken", r->taken);
    bt_json_member_integer(&w, "left", r->left);
    put_lines(&w, "notes", &r->notes);
    put_lines(&w, "map", &r->map);
    put_lines(&w, "left_out", &r->left_out);
    if (*f->out) bt_json_member_string(&w, "out", f->out);
    bt_json_end(&w);
    bt_status status = bt_json_finish_to(&w, stdout, "standard output");
    bt_text_free(&text);
    return status;
}

static const char *text_or_none(const char *text) {
    return *text ? text : NULL;
}

static bt_status print_adapters_json(const bt_export_result *r, const import_flags *f) {
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "out", f->out);
    bt_json_member_string(&w, "base", f->base);
    bt_json_member_string(&w, "targets", r->info.targets);
    bt_json_member_integer(&w, "rank", r->info.lora.rank);
    bt_json_member_number(&w, "alpha", (double)r->info.lora.alpha);
    bt_json_member_integer(&w, "tensors", r->tensors);
    bt_json_end(&w);
    bt_status status = bt_json_finish_to(&w, stdout, "standard output");
    bt_text_free(&text);
    return status;
}

static bt_status import_adapters(const char *folder, const import_flags *f) {
    bt_export_result r;
    const char *of_towers = *f->config        ? "--config"
                            : *f->preprocess  ? "--preprocess"
                            : *f->prefix      ? "--prefix"
                            : f->heads        ? "--heads"
                            : f->activation   ? "--activation"
                            : f->norm_eps > 0 ? "--norm-eps"
                            : f->image        ? "--image"
                            : f->map          ? "--map"
                                              : NULL;
    if (of_towers)
        return bt_error(BT_ERR_USAGE, "%s: %s holds adapters of peft, whose tower is --base; leave it out", of_towers,
                        folder);
    if (!*f->base || !*f->out)
        return bt_error(BT_ERR_USAGE,
                        "%s holds adapters of peft; name their tower and the file to write: --base TOWER.safetensors "
                        "--out ADAPTERS.safetensors",
                        folder);
    if (bt_file_is_same(f->base, f->out))
        return bt_error(BT_ERR_USAGE, "--out %s is the tower of --base: it would be replaced; name another file",
                        f->out);
    BT_TRY(bt_adapters_import(folder, f->base, f->out, &r));
    if (f->json) return print_adapters_json(&r, f);
    printf("%s: adapters of %s, rank %d, alpha %g, on the tower of %s; %lld tensors\n", f->out, r.info.targets,
           r.info.lora.rank, (double)r.info.lora.alpha, f->base, (long long)r.tensors);
    return BT_OK;
}

/** A folder of a model as it is published: names its weights. */
static bt_status refuse_folder(const char *folder) {
    static const char *const usual[] = {"model.safetensors",
                                        "model.safetensors.index.json",
                                        "open_clip_model.safetensors",
                                        "open_clip_pytorch_model.bin",
                                        "pytorch_model.bin",
                                        "pytorch_model.bin.index.json",
                                        NULL};
    char path[1100];
    size_t length = strlen(folder);
    for (int k = 0; usual[k]; k++) {
        int written =
            snprintf(path, sizeof path, "%s%s%s", folder, length && folder[length - 1] == '/' ? "" : "/", usual[k]);
        if (written > 0 && written < (int)sizeof path && bt_file_exists(path))
            return bt_error(BT_ERR_IO, "%s is a folder; name the weights in it: bittern import %s", folder, path);
    }
    return bt_error(BT_ERR_IO,
                    "%s is a folder, without adapters of peft (adapter_config.json); name the file of weights in it",
                    folder);
}

/** Nothing that is read is replaced, and no option is passed over in silence. */
static bt_status check_tower(const char *weights, const import_flags *f) {
    if (bt_file_is_folder(weights)) return refuse_folder(weights);
    if (*f->base)
        return bt_error(BT_ERR_USAGE, "--base is for a folder of peft's adapters, and %s is none; leave it out",
                        weights);
    if (*f->out && bt_file_is_same(weights, f->out))
        return bt_error(BT_ERR_USAGE, "--out %s is the file that is imported: it would be replaced; name another file",
                        f->out);
    return BT_OK;
}

static bt_status import(const bt_arguments *a) {
    const import_flags *f = a->flags;
    char adapters[1100];
    size_t length = strlen(f->out);
    if (length && (length < 13 || strcmp(f->out + length - 12, ".safetensors") != 0))
        return bt_error(BT_ERR_USAGE, "--out %s: the name of the output ends in .safetensors", f->out);
    int written = snprintf(adapters, sizeof adapters, "%s/adapter_config.json", a->operand[0]);
    if (written > 0 && written < (int)sizeof adapters && bt_file_exists(adapters))
        return import_adapters(a->operand[0], f);
    BT_TRY(check_tower(a->operand[0], f));
    bt_import_options o = {
        .path = a->operand[0],
        .config = text_or_none(f->config),
        .prefix = text_or_none(f->prefix),
        .preprocess = text_or_none(f->preprocess),
        .given = {.heads = f->heads, .image = f->image, .activation = f->activation - 1, .norm_eps = f->norm_eps}};
    bt_import_result r;
    bt_status status = bt_import(&o, &r);
    if (status == BT_OK && *f->out) status = bt_tower_write(&r, f->out);
    if (f->json && status == BT_OK)
        status = print_json(&r, f);
    else
        print_result(status == BT_OK ? stdout : stderr, &r, f, status == BT_OK);
    bt_import_result_free(&r);
    return status;
}

const bt_command bt_command_import = {"import",
                                      "WEIGHTS | FOLDER",
                                      "a published tower (DINOv2, DINOv3, ViT, CLIP) as one file of ours",
                                      1,
                                      1,
                                      &import_table,
                                      sizeof(import_flags),
                                      false,
                                      import};
