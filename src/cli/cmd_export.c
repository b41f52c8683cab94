/* bittern export. */
#include "base/file.h"
#include "cli/cli.h"
#include "encoder/adapters.h"
#include "encoder/onnx_export.h"
#include "formats/json.h"

#include <stdio.h>
#include <string.h>

typedef struct export_flags {
    bool adapter, peft, external, json;
    const char *checkpoint, *base;
    int names, image;
} export_flags;

static const bt_option export_options[] = {
    BT_OPTION_BOOL(export_flags, adapter, "false",
                   "adapters and head alone; without: all tensors, adapters merged from the source weights"),
    BT_OPTION_STRING(export_flags, checkpoint, "last", "of the run: last, best, or the number of a step"),
    BT_OPTION_STRING(export_flags, base, "",
                     "with an adapter file as MODEL: the run or .safetensors file that has the tower"),
    BT_OPTION_ENUM(
        export_flags, names, "bittern", bt_form_names,
        "bittern: ours, with all that encodes; another: the tower alone, as that library names and shapes its tensors"),
    BT_OPTION_BOOL(export_flags, peft, "false",
                   "adapters as a folder that peft loads, for towers under --names timm, hub or transformers"),
    BT_OPTION_INT(export_flags, image, "0", 0, 4096,
                  "OUT.onnx: pixels of a side that the graph takes, for which positions are resampled; 0: the model's"),
    BT_OPTION_BOOL(export_flags, external, "false",
                   "OUT.onnx: weights in OUT.onnx.data beside it, as is always done above 2 GiB"),
    BT_OPTION_BOOL(export_flags, json, "false", "prints one JSON object"),
};
static const bt_option_table export_table = BT_OPTION_TABLE("bittern export", export_options);

static void put_outputs(bt_json_writer *w, const bt_onnx_result *r) {
    bt_json_key(w, "outputs");
    bt_json_begin_array(w);
    for (int k = 0; k < r->outputs; k++) bt_json_put_string(w, r->output[k]);
    bt_json_end(w);
    bt_json_member_bool(w, "external", r->external);
    bt_json_member_bool(w, "removed_data", r->beside == BT_ONNX_REMOVED);
}

/** `onnx`: of a graph, else NULL. */
static bt_status print_json(const bt_export_result *r, const char *out, const char *kind, const bt_onnx_result *onnx) {
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "out", out);
    bt_json_member_string(&w, "kind", kind);
    if (onnx) put_outputs(&w, onnx);
    bt_json_member_integer(&w, "step", r->info.step);
    bt_json_member_integer(&w, "tensors", r->tensors);
    bt_json_member_integer(&w, "merged", r->merged);
    bt_json_member_number(&w, "bytes", r->bytes);
    bt_json_member_string(&w, "method", r->info.method->name);
    bt_json_member_integer(&w, "bits", bt_model_bits(&r->info));
    bt_json_member_integer(&w, "width", bt_vit_output(&r->info.vit));
    bt_json_member_integer(&w, "image", r->info.vit.image);
    bt_json_end(&w);
    bt_status status = bt_json_finish_to(&w, stdout, "standard output");
    bt_text_free(&text);
    return status;
}

/* ---- ONNX ---- */

static bool is_onnx(const char *path) {
    size_t length = strlen(path);
    return length > 5 && strcmp(path + length - 5, ".onnx") == 0;
}

/** What goes with .onnx, and only with it. */
static bt_status check_onnx(const export_flags *f, const char *out) {
    bool onnx = is_onnx(out);
    const char *no = !onnx ? NULL : f->peft ? "--peft" : f->adapter ? "--adapter" : f->names ? "--names" : NULL;
    const char *only = onnx ? NULL : f->image ? "--image" : f->external ? "--external" : NULL;
    if (no)
        return bt_error(
            BT_ERR_USAGE,
            "%s does not go with %s: an ONNX graph is the whole model, its adapters merged; leave it out, or "
            "name another kind of file",
            no, out);
    if (only)
        return bt_error(BT_ERR_USAGE, "%s is for ONNX alone, and %s does not end in .onnx%s", only, out,
                        f->image
                            ? ": other files keep the positions that were trained, and the size is chosen where they "
                              "are used"
                            : "");
    return BT_OK;
}

static bt_status export_onnx(const export_flags *f, const bt_model_source *source, const char *out) {
    bt_onnx_result r;
    BT_TRY(bt_onnx_export(source, f->external, out, &r));
    if (f->json) return print_json(&r.model, out, "onnx", &r);
    int side = r.model.info.vit.image;
    printf("%s: pixels (N, 3, %d, %d) to", out, side, side);
    for (int k = 0; k < r.outputs; k++) printf("%s %s", k ? "," : "", r.output[k]);
    printf("; %lld tensors, %.1f MB", (long long)r.model.tensors, r.model.bytes / 1e6);
    if (r.external) printf(", the weights in %s.data", out);
    if (r.model.merged) printf(", %lld adapters merged", (long long)r.model.merged);
    printf("\n");
    if (r.beside == BT_ONNX_REMOVED)
        printf("%s%s, the weights of the graph that was here before, is removed\n", out, BT_ONNX_DATA_SUFFIX);
    if (r.beside == BT_ONNX_LEFT)
        printf("%s%s is no part of it, and stays as it was: the weights are within\n", out, BT_ONNX_DATA_SUFFIX);
    return BT_OK;
}

/** Nothing that is read is replaced by what is written. */
static bt_status check_output(const export_flags *f, const char *model, const char *out) {
    size_t length = strlen(out);
    char kept[1200];
    if (!f->peft && !is_onnx(out) && (length < 13 || strcmp(out + length - 12, ".safetensors") != 0))
        return bt_error(BT_ERR_USAGE,
                        "%s: the name of the output ends in .safetensors or .onnx (or a FOLDER and --peft)", out);
    if (f->peft && bt_file_is_same(model, out))
        return bt_error(BT_ERR_USAGE, "%s is the run itself: adapters go into a folder of their own", out);
    snprintf(kept, sizeof kept, "%s/base.safetensors", *f->base ? f->base : model);
    const char *replaced = bt_file_is_same(model, out)                 ? model
                           : *f->base && bt_file_is_same(f->base, out) ? f->base
                           : bt_file_is_same(kept, out)                ? kept
                                                                       : NULL;
    if (replaced)
        return bt_error(BT_ERR_USAGE, "%s is what is read (%s): it would be replaced; name another output", out,
                        replaced);
    return BT_OK;
}

static bt_status export(const bt_arguments *a) {
    const export_flags *f = a->flags;
    bt_model_source source = {.path = a->operand[0], .checkpoint = f->checkpoint, .base = f->base};
    bt_export_result r;
    BT_TRY(check_onnx(f, a->operand[1]));
    BT_TRY(check_output(f, a->operand[0], a->operand[1]));
    if (is_onnx(a->operand[1])) {
        source.image = f->image;
        return export_onnx(f, &source, a->operand[1]);
    }
    if (f->peft) {
        BT_TRY(bt_adapters_export(&source, (bt_export_form)f->names, a->operand[1], &r));
        if (f->json) return print_json(&r, a->operand[1], "adapter", NULL);
        printf("%s: adapters of %s as peft loads them for %s\n", a->operand[1], r.info.targets,
               bt_form_names[f->names]);
        return BT_OK;
    }
    if (f->adapter && f->names)
        return bt_error(BT_ERR_USAGE, "--names %s is for whole towers; leave out --adapter, and adapters are merged",
                        bt_form_names[f->names]);
    BT_TRY(bt_model_export(&source, f->adapter, (bt_export_form)f->names, a->operand[1], &r));
    if (f->json) return print_json(&r, a->operand[1], f->adapter ? "adapter" : "model", NULL);
    printf("%s: %lld tensors, %.1f MB, step %lld", a->operand[1], (long long)r.tensors, r.bytes / 1e6,
           (long long)r.info.step);
    if (r.merged) printf(", %lld adapters merged", (long long)r.merged);
    if (f->names && r.info.method != &bt_method_features)
        printf("; the tower alone: the head of %s is left out", r.info.method->name);
    printf("\n");
    return BT_OK;
}

const bt_command bt_command_export = {"export",
                                      "MODEL OUT.safetensors | MODEL OUT.onnx | RUN FOLDER --peft",
                                      "one file that encodes without the run, here or (ONNX) elsewhere",
                                      2,
                                      2,
                                      &export_table,
                                      sizeof(export_flags),
                                      false,
                                      export};
