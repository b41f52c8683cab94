/* Preprocessing of a published tower. */
#include "import/pictures.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { LIMIT = 16 << 20 }; /* bytes of a configuration */

/** Reads one file; *found false for a config.json without preprocessing (of transformers). */
static bt_status read_one(const char *path, bool asked, bt_preprocess *out, bool *found) {
    char *text;
    size_t bytes;
    *found = false;
    BT_TRY(bt_file_read(path, LIMIT, &text, &bytes));
    bool has = asked || strstr(text, "pretrained_cfg") || strstr(text, "preprocess_cfg") || strstr(text, "image_mean");
    bt_status status = has ? bt_preprocess_parse(text, bytes, path, out) : BT_OK;
    bt_memory_free(text);
    *found = has && status == BT_OK;
    return status;
}

bt_status bt_import_pictures_read(const bt_import_options *o, bt_import_picture_file *out) {
    static const char *const names[] = {"preprocessor_config.json", "open_clip_config.json", "config.json"};
    out->found = false;
    if (o->preprocess) {
        snprintf(out->path, sizeof out->path, "%s", o->preprocess);
        return read_one(out->path, true, &out->preprocess, &out->found);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !out->found; i++)
        if (bt_import_beside(o->path, names[i], out->path, sizeof out->path))
            BT_TRY(read_one(out->path, false, &out->preprocess, &out->found));
    return BT_OK;
}

/** Resize 256, crop 224 for DINOv2 (its evaluation) and torchvision's first weights; ImageNet's mean and deviation. */
static void take_published(const bt_import_source *s, bt_import_result *r) {
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    bool hub = strstr(s->family->name, "hub") != NULL, torchvision = strstr(s->family->name, "torchvision") != NULL;
    memcpy(r->config.mean, mean, sizeof mean);
    memcpy(r->config.std, std, sizeof std);
    r->pictures = (bt_picture_rule){.resize = hub || torchvision ? bt_picture_rule_scale(256, 224, r->config.image)
                                                                 : r->config.image,
                                    .filter = torchvision ? BT_FILTER_BILINEAR : BT_FILTER_BICUBIC};
    if (hub || torchvision) {
        bt_text_append(
            &r->notes,
            "pictures: shorter side to %d (%s), centre, ImageNet's mean and deviation: as published for this family\n",
            r->pictures.resize, torchvision ? "bilinear" : "bicubic");
        return;
    }
    bt_text_append(&r->notes, "pictures: ImageNet's mean and deviation are assumed: no configuration says otherwise\n");
    bt_log_warn("nothing says how pictures are made ready for this tower: ImageNet's mean and deviation are assumed. "
                "Bring preprocessor_config.json, open_clip_config.json or timm's "
                "config.json (--preprocess FILE)");
}

bt_status bt_import_pictures(const bt_import_source *s, const bt_import_picture_file *file, bt_import_result *r) {
    const bt_preprocess *p = &file->preprocess;
    if (!file->found) {
        take_published(s, r);
        return BT_OK;
    }
    BT_TRY(bt_picture_rule_of(p, r->config.image, file->path, &r->pictures));
    bt_preprocess_unit(p, r->config.mean, r->config.std);
    bt_text_append(&r->notes, "pictures (%s): ", file->path);
    BT_TRY(bt_preprocess_describe(p, &r->notes));
    bt_text_append(&r->notes, "\n");
    if (p->height != r->config.image)
        bt_text_append(&r->notes, "  for squares of %d; of %d likewise, by %d\n", p->height, r->config.image,
                       r->pictures.resize);
    if (*p->assumed) bt_text_append(&r->notes, "  not in the file, so as its library has it: %s\n", p->assumed);
    if (p->by_tensor)
        bt_text_append(&r->notes, "  its library resizes tensors: pixels here are PIL's, and differ from those by "
                                  "roundings\n");
    return BT_OK;
}
