/* bittern export. */
#include "cli/cli.h"
#include "encoder/adapters.h"
#include "formats/json.h"

#include <stdio.h>

typedef struct export_flags {
    bool adapter, peft, json;
    const char *checkpoint, *base;
    int names;
} export_flags;

static const bt_option export_options[] = {
    BT_OPTION_BOOL(export_flags, adapter, "false",
                   "adapters and head alone; without: all tensors, adapters merged from the source weights"),
    BT_OPTION_STRING(export_flags, checkpoint, "last", "of the run: last, best, or the number of a step"),
    BT_OPTION_STRING(export_flags, base, "",
                     "with an adapter file in place of RUN: the run or .safetensors file that has the tower"),
    BT_OPTION_ENUM(
        export_flags, names, "bittern", bt_form_names,
        "bittern: ours, with all that encodes; another: the tower alone, as that library names and shapes its tensors"),
    BT_OPTION_BOOL(export_flags, peft, "false",
                   "adapters as a folder that peft loads, for towers under --names timm, hub or transformers"),
    BT_OPTION_BOOL(export_flags, json, "false", "prints one JSON object"),
};
static const bt_option_table export_table = BT_OPTION_TABLE("bittern export", export_options);

static bt_status print_json(const bt_export_result *r, const char *out, bool adapter) {
    bt_text text = {0};
    bt_json_writer w = bt_json_write_to(&text, true);
    bt_json_begin_object(&w);
    bt_json_member_string(&w, "out", out);
    bt_json_member_string(&w, "kind", adapter ? "adapter" : "model");
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

static bt_status export(const bt_arguments *a) {
    const export_flags *f = a->flags;
    bt_model_source source = {.path = a->operand[0], .checkpoint = f->checkpoint, .base = f->base};
    bt_export_result r;
    if (f->peft) {
        BT_TRY(bt_adapters_export(&source, (bt_export_form)f->names, a->operand[1], &r));
        if (f->json) return print_json(&r, a->operand[1], true);
        printf("%s: adapters of %s as peft loads them for %s\n", a->operand[1], r.info.targets,
               bt_form_names[f->names]);
        return BT_OK;
    }
    if (f->adapter && f->names)
        return bt_error(BT_ERR_USAGE, "--names %s is for whole towers; leave out --adapter, and adapters are merged",
                        bt_form_names[f->names]);
    BT_TRY(bt_model_export(&source, f->adapter, (bt_export_form)f->names, a->operand[1], &r));
    if (f->json) return print_json(&r, a->operand[1], f->adapter);
    printf("%s: %lld tensors, %.1f MB, step %lld", a->operand[1], (long long)r.tensors, r.bytes / 1e6,
           (long long)r.info.step);
    if (r.merged) printf(", %lld adapters merged", (long long)r.merged);
    printf("\n");
    return BT_OK;
}

const bt_command bt_command_export = {"export",
                                      "RUN OUT.safetensors | RUN FOLDER --peft",
                                      "one file that encodes without the run",
                                      2,
                                      2,
                                      &export_table,
                                      sizeof(export_flags),
                                      false,
                                      export};
