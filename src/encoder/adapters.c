/* peft's adapters in and out. */
#include "encoder/adapters.h"

#include "import/peft.h"

#include <stdio.h>
#include <string.h>

/** Values of the same name. */
static void copy_tower(bt_params *from, bt_params *to) {
    for (int i = 0; i < bt_params_count(from); i++) {
        const bt_param_spec *spec = bt_params_spec(from, i);
        int at = bt_params_find(to, spec->name);
        if (at >= 0)
            memcpy(bt_params_host(to, at), bt_params_host(from, i),
                   (size_t)bt_shape_count(spec->shape) * sizeof(float));
    }
}

static bt_status import_onto(const bt_peft *peft, const bt_model_info *base, bt_model *tower, const char *out,
                             bt_export_result *r) {
    const bt_vit_training training = {.lora = peft->lora, .blank = true};
    bt_model adapted;
    r->info = *base;
    r->info.method = &bt_method_features;
    r->info.config = (bt_method_config){.views = 1};
    r->info.lora = peft->lora;
    bt_lora_write_targets(peft->lora.targets, r->info.targets, sizeof r->info.targets);
    bt_model_init(&adapted, &bt_method_features, &r->info.config, &base->vit, &training, BT_F32);
    copy_tower(tower->store, adapted.store);
    bt_status status = bt_peft_fill(peft, &adapted.vit, adapted.store);
    r->info.tower_crc = bt_model_tower_crc(&adapted);
    if (status == BT_OK) status = bt_model_write(&adapted, true, out, r);
    bt_model_release(&adapted);
    return status;
}

bt_status bt_adapters_import(const char *folder, const char *base, const char *out, bt_export_result *result) {
    bt_peft peft;
    bt_model_info info;
    bt_model tower = {.store = NULL};
    bt_export_result r = {.tensors = 0};
    BT_TRY(bt_peft_open(folder, &peft));
    bt_status status = bt_model_open(&(bt_model_source){.path = base}, BT_F32, &info, &tower);
    if (status == BT_OK && info.lora.targets)
        status = bt_error(BT_ERR_CONFIG, "%s has adapters of its own; merge them first (bittern export)", base);
    if (status == BT_OK) status = import_onto(&peft, &info, &tower, out, &r);
    bt_model_release(&tower);
    bt_peft_close(&peft);
    if (status == BT_OK) *result = r;
    return status;
}

bt_status bt_adapters_export(const bt_model_source *source, bt_export_form form, const char *folder,
                             bt_export_result *result) {
    bt_export_result r = {.tensors = 0};
    bt_model m = {.store = NULL};
    BT_TRY(bt_model_open(source, BT_F32, &r.info, &m));
    bt_status status = bt_peft_write(&m.vit, m.store, &r.info.lora, form, folder);
    bt_model_release(&m);
    if (status == BT_OK) *result = r;
    return status;
}
