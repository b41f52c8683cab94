/* Recording the program that is exported, and its description. */
#include "encoder/onnx_export.h"

#include "base/build.h"
#include "encoder/onnx_builder.h"

#include <stdio.h>
#include <string.h>

/** For one image: tokens of a tower alone, or what its method makes of the embedding. */
static bt_program *record(const bt_model *m) {
    const bt_vit_config *c = &m->vit.config;
    bt_program *p = bt_program_new(&(bt_program_options){.compute = BT_F32});
    bt_value pixels = bt_input(p, "pixels", BT_F32, bt_shape4(1, 3, c->image, c->image));
    if (m->method != &bt_method_features) {
        m->method->embed(p, m, bt_vit_forward(p, m->store, &m->vit, pixels, 0));
        return p;
    }
    bt_value tokens = bt_vit_forward_tokens(p, m->store, &m->vit, pixels, 0);
    bt_value row = bt_reshape(p, bt_class_row(p, tokens), bt_shape2(1, c->width));
    bt_output(p, "class", row);
    bt_output(p, "patches", tokens);
    if (m->vit.projection >= 0)
        bt_output(p, "projection", bt_linear(p, row, bt_param(p, m->store, m->vit.projection), 0, 0));
    return p;
}

/** Outputs of the program under their names; of all tokens those behind the first `front`, of bits the bytes. */
static void add_outputs(bt_onnx_builder *b, int front, bt_onnx_result *r) {
    for (int k = 0; k < b->program->output_count; k++) {
        const bt_output_info *o = &b->program->output[k];
        const bt_value_info *info = bt_info(b->program, o->value);
        bool bits = info->dtype == BT_BITS, patches = strcmp(o->name, "patches") == 0;
        const char *name = bits ? "codes" : o->name, *from = bt_onnx_value(b, o->value);
        int64_t dim[BT_MAX_RANK] = {BT_ONNX_BATCH};
        for (int axis = 1; axis < info->shape.rank; axis++) dim[axis] = info->shape.dim[axis];
        if (bits) dim[1] = (dim[1] + 7) / 8;
        if (patches) {
            from = bt_onnx_slice(b, from, 1, front, dim[1]);
            dim[1] -= front;
        }
        bt_onnx_node(b->graph, &(bt_onnx_node_spec){.op = "Identity", .inputs = {from}, .outputs = {name}});
        bt_onnx_output(b->graph, name, bits ? BT_ONNX_U8 : BT_ONNX_F32, info->shape.rank, dim);
        BT_ASSERT(r->outputs < (int)(sizeof r->output / sizeof r->output[0]));
        snprintf(r->output[r->outputs++], sizeof r->output[0], "%s", name);
    }
}

static bt_status write(const bt_onnx_graph *g, bool external, const char *out, bt_onnx_result *r) {
    bt_text json = {0}, about = {0};
    bt_onnx_written written = {0};
    bt_status status = bt_model_info_write(&r->model.info, false, &json);
    bt_text_append(&about, "%s as Bittern computes it: pixels f32 (N, 3, %d, %d), normalised, to", r->model.info.tower,
                   r->model.info.vit.image, r->model.info.vit.image);
    for (int k = 0; k < r->outputs; k++) bt_text_append(&about, "%s %s", k ? "," : "", r->output[k]);
    bt_text_append(&about, ". How pictures are made ready: metadata \"" BT_MODEL_INFO_KEY "\".");
    if (status == BT_OK) status = bt_text_status(&about);
    const bt_safetensors_pair metadata = {BT_MODEL_INFO_KEY, bt_text_get(&json)};
    const bt_onnx_description d = {.producer = "bittern",
                                   .version = bt_build_version,
                                   .name = r->model.info.method->name,
                                   .text = bt_text_get(&about),
                                   .metadata = &metadata,
                                   .metadata_count = 1,
                                   .external = external};
    if (status == BT_OK) status = bt_onnx_write(g, &d, out, &written);
    r->model.tensors = (int64_t)g->count;
    r->model.bytes = written.bytes;
    r->external = written.external;
    r->beside = written.beside;
    bt_text_free(&json);
    bt_text_free(&about);
    return status;
}

bt_status bt_onnx_export(const bt_model_source *source, bool external, const char *out, bt_onnx_result *result) {
    bt_onnx_result r = {.external = false};
    bt_model m = {.store = NULL};
    BT_TRY(bt_model_open(source, BT_F32, &r.model.info, &m));
    bt_onnx_graph graph = {.count = 0};
    bt_onnx_builder builder = {.serial = 0};
    bt_status status = bt_model_merge(&m, &r.model.merged);
    bt_program *p = status == BT_OK ? record(&m) : NULL;
    if (status == BT_OK) status = bt_onnx_translate(&builder, p, m.store, &graph);
    if (status == BT_OK) add_outputs(&builder, 1 + m.vit.config.registers, &r);
    if (status == BT_OK) status = builder.status;
    if (status == BT_OK) status = write(&graph, external, out, &r);
    bt_onnx_builder_free(&builder);
    bt_onnx_free(&graph);
    bt_program_free(p);
    bt_model_release(&m);
    if (status == BT_OK) *result = r;
    return status;
}
