/* The table of methods, and models. */
#include "method/method.h"

#include "base/text.h"

#include <string.h>

static const bt_method *const methods[] = {&bt_method_crovca, &bt_method_classify, &bt_method_features};
enum { COUNT = sizeof methods / sizeof methods[0] };

const char *const *bt_method_names(void) {
    static const char *names[COUNT + 1];
    for (int i = 0; i < COUNT; i++) names[i] = methods[i]->name;
    return names;
}

const bt_method *bt_method_named(const char *name) {
    for (int i = 0; i < COUNT; i++)
        if (strcmp(methods[i]->name, name) == 0) return methods[i];
    bt_text list = {0};
    const char *nearest = bt_text_nearest(name, bt_method_names(), COUNT);
    for (int i = 0; i < COUNT; i++) bt_text_append(&list, "%s%s", i ? ", " : "", methods[i]->name);
    (void)bt_error(BT_ERR_CONFIG, "method.name \"%s\" is unknown; allowed: %s%s%s%s", name, bt_text_get(&list),
                   nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    bt_text_free(&list);
    return NULL;
}

void bt_model_init(bt_model *out, const bt_method *method, const bt_method_config *config, const bt_vit_config *vit,
                   const bt_vit_training *training, bt_dtype compute) {
    *out =
        (bt_model){.store = bt_params_new(compute), .method = method, .config = *config, .class_w = -1, .class_b = -1};
    bt_vit_training tower = *training;
    tower.group = BT_GROUP_TOWER;
    if (vit->depth)
        bt_vit_init(&out->vit, out->store, vit, &tower);
    else
        out->vit.config = *vit;
    method->declare(out, config->own_decay ? config->decay : training->decay, training->seed);
}

void bt_model_release(bt_model *model) {
    bt_vit_release(&model->vit);
    bt_params_free(model->store);
    model->store = NULL;
}
