/* The table of models. What is not known from a source stays NULL or 0; nothing is taken from a download of our own.
 * Sources: BioCLIP-2      checksums and sizes as at least six public projects pin them, revision 2957b322 OpenAI's CLIP
 * checksums are part of the published addresses (open_clip's and OpenAI's own lists), which both loaders compare
 *   torchvision, DeiT  the first eight digits are part of the published names, which torch.hub compares (check_hash)
 * Names of files: the libraries' own lists (timm, torchvision, open_clip), pages of the hub for DINOv2, DFN and the
 * towers for sound. */
#include "fetch/table.h"

#include <string.h>

#define HUB "https://huggingface.co"
#define META "https://dl.fbaipublicfiles.com"
#define OPENAI "https://openaipublic.azureedge.net"

#define COUNT_OF(list) ((int)(sizeof(list) / sizeof(list)[0]))
#define FILES(list) list, COUNT_OF(list)
/* A row with one file of its own. */
#define ONE(path, sha256, bytes) (const bt_fetch_file[]){{path, sha256, bytes}}, 1

/* ---- files that models of one form share ---- */

static const bt_fetch_file transformers[] = {
    {"model.safetensors", NULL, 0}, {"config.json", NULL, 0}, {"preprocessor_config.json", NULL, 0}};
static const bt_fetch_file timm[] = {{"model.safetensors", NULL, 0}, {"config.json", NULL, 0}};
static const bt_fetch_file open_clip[] = {{"open_clip_pytorch_model.bin", NULL, 0}, {"open_clip_config.json", NULL, 0}};
static const bt_fetch_file bioclip_2[] = {
    {"open_clip_model.safetensors", "b7b2bf6fbc95799e42630e394cf95803892ab447c1a8ab629dbc82fbeaf7dfef", 1710517724},
    {"open_clip_config.json", "1bf947e96e943fe50efd5c3e26c37f843a2fa3c358967719a68c8a6d17ce68c8", 534}};
static const bt_fetch_file clap[] = {
    {"pytorch_model.bin", NULL, 0}, {"config.json", NULL, 0}, {"preprocessor_config.json", NULL, 0},
    {"tokenizer.json", NULL, 0},    {"vocab.json", NULL, 0},  {"merges.txt", NULL, 0}};

#define TRANSFORMERS(name, what, licence, owner, note)                                                                 \
    { name, what, licence, HUB, owner "/" name, note, FILES(transformers) }
#define TIMM(name, what, licence)                                                                                      \
    { name, what, licence, HUB, "timm/" name, NULL, FILES(timm) }
#define DINOV2_HUB(name, folder, what)                                                                                 \
    { name, what, "Apache-2.0", META, NULL, NULL, ONE("dinov2/" folder "/" name "_pretrain.pth", NULL, 0) }
#define TORCHVISION_NOTE                                                                                               \
    "the documentation of torchvision.models (weights of vision transformers) links this file; torch.hub keeps it in " \
    "~/.cache/torch/hub/checkpoints"
#define TORCHVISION(name, file, what, licence, sha256)                                                                 \
    { name, what, licence, NULL, NULL, TORCHVISION_NOTE, ONE("models/" file, sha256, 0) }
#define OPENAI_CLIP(name, file, sha256)                                                                                \
    { name, "OpenAI's CLIP, QuickGELU", "MIT", OPENAI, NULL, NULL, ONE("clip/models/" sha256 "/" file, sha256, 0) }

#define DINOV3_NOTE                                                                                                    \
    "gated: accept the licence on the model's page, then set BITTERN_WEIGHTS_TOKEN to a token of your account"
#define SIMDINO_NOTE                                                                                                   \
    "its authors share it by a link in the README of github.com/RobinWu218/SimDINO (SimDINOv2, ViT-B/16): save it "    \
    "there under this name"

static const bt_fetch_model models[] = {
    /* The six encoders of CroVCA, with the keys of its script. */
    TRANSFORMERS("dinov3-vitb16-pretrain-lvd1689m", "DINOv3 ViT-B/16 (CroVCA: dinov3)", "DINOv3 License", "facebook",
                 DINOV3_NOTE),
    TRANSFORMERS("dinov2-with-registers-base", "DINOv2 ViT-B/14, 4 registers, transformers (CroVCA: dinov2)",
                 "Apache-2.0", "facebook", NULL),
    {"simdinov2_vitb16_reg4", "SimDINOv2 ViT-B/16, 4 registers, 100 epochs of IN-1k (CroVCA: simdinov2)",
     "not stated in its README", NULL, NULL, SIMDINO_NOTE, ONE("simdinov2_vitb16_reg4.pth", NULL, 0)},
    {"DFN2B-CLIP-ViT-B-16", "DFN CLIP ViT-B/16, open_clip (CroVCA: dfn)", "apple-amlr", HUB,
     "apple/DFN2B-CLIP-ViT-B-16", NULL, FILES(open_clip)},
    TORCHVISION("vit_b_16.imagenet1k_v1", "vit_b_16-c867db91.pth", "torchvision ViT-B/16, supervised (CroVCA: deit)",
                "BSD-3-Clause", "c867db91"),
    TORCHVISION("vit_b_16.imagenet1k_swag_e2e_v1", "vit_b_16_swag-9ac1b537.pth",
                "torchvision ViT-B/16, SWAG, 384 px (CroVCA: swag)", "CC-BY-NC-4.0", "9ac1b537"),

    DINOV2_HUB("dinov2_vits14", "dinov2_vits14", "DINOv2 ViT-S/14, its authors' file"),
    DINOV2_HUB("dinov2_vitb14", "dinov2_vitb14", "DINOv2 ViT-B/14, its authors' file"),
    DINOV2_HUB("dinov2_vitl14", "dinov2_vitl14", "DINOv2 ViT-L/14, its authors' file"),
    DINOV2_HUB("dinov2_vitg14", "dinov2_vitg14", "DINOv2 ViT-g/14, its authors' file"),
    DINOV2_HUB("dinov2_vits14_reg4", "dinov2_vits14", "DINOv2 ViT-S/14, 4 registers, its authors' file"),
    DINOV2_HUB("dinov2_vitb14_reg4", "dinov2_vitb14", "DINOv2 ViT-B/14, 4 registers, its authors' file"),
    DINOV2_HUB("dinov2_vitl14_reg4", "dinov2_vitl14", "DINOv2 ViT-L/14, 4 registers, its authors' file"),
    DINOV2_HUB("dinov2_vitg14_reg4", "dinov2_vitg14", "DINOv2 ViT-g/14, 4 registers, its authors' file"),
    TRANSFORMERS("dinov2-small", "DINOv2 ViT-S/14, transformers", "Apache-2.0", "facebook", NULL),
    TRANSFORMERS("dinov2-base", "DINOv2 ViT-B/14, transformers", "Apache-2.0", "facebook", NULL),
    TRANSFORMERS("dinov2-large", "DINOv2 ViT-L/14, transformers", "Apache-2.0", "facebook", NULL),
    TRANSFORMERS("dinov2-giant", "DINOv2 ViT-g/14, transformers", "Apache-2.0", "facebook", NULL),
    TRANSFORMERS("dinov2-with-registers-small", "DINOv2 ViT-S/14, 4 registers, transformers", "Apache-2.0", "facebook",
                 NULL),
    TRANSFORMERS("dinov2-with-registers-large", "DINOv2 ViT-L/14, 4 registers, transformers", "Apache-2.0", "facebook",
                 NULL),
    TRANSFORMERS("dinov2-with-registers-giant", "DINOv2 ViT-g/14, 4 registers, transformers", "Apache-2.0", "facebook",
                 NULL),
    TIMM("vit_small_patch14_dinov2.lvd142m", "DINOv2 ViT-S/14, timm", "Apache-2.0"),
    TIMM("vit_base_patch14_dinov2.lvd142m", "DINOv2 ViT-B/14, timm", "Apache-2.0"),
    TIMM("vit_large_patch14_dinov2.lvd142m", "DINOv2 ViT-L/14, timm", "Apache-2.0"),
    TIMM("vit_giant_patch14_dinov2.lvd142m", "DINOv2 ViT-g/14, timm", "Apache-2.0"),
    TIMM("vit_small_patch14_reg4_dinov2.lvd142m", "DINOv2 ViT-S/14, 4 registers, timm", "Apache-2.0"),
    TIMM("vit_base_patch14_reg4_dinov2.lvd142m", "DINOv2 ViT-B/14, 4 registers, timm", "Apache-2.0"),
    TIMM("vit_large_patch14_reg4_dinov2.lvd142m", "DINOv2 ViT-L/14, 4 registers, timm", "Apache-2.0"),
    TIMM("vit_giant_patch14_reg4_dinov2.lvd142m", "DINOv2 ViT-g/14, 4 registers, timm", "Apache-2.0"),

    TRANSFORMERS("dinov3-vits16-pretrain-lvd1689m", "DINOv3 ViT-S/16", "DINOv3 License", "facebook", DINOV3_NOTE),
    TRANSFORMERS("dinov3-vitl16-pretrain-lvd1689m", "DINOv3 ViT-L/16", "DINOv3 License", "facebook", DINOV3_NOTE),

    TIMM("vit_small_patch16_224.augreg_in21k", "ViT-S/16 of AugReg, IN-21k, timm", "Apache-2.0"),
    TIMM("vit_base_patch16_224.augreg_in21k", "ViT-B/16 of AugReg, IN-21k, timm", "Apache-2.0"),
    TIMM("vit_base_patch16_224.augreg2_in21k_ft_in1k", "ViT-B/16 of AugReg, IN-21k then IN-1k, timm", "Apache-2.0"),
    {"deit_small_patch16_224", "DeiT-S/16, its authors' file", "Apache-2.0", META, NULL, NULL,
     ONE("deit/deit_small_patch16_224-cd65a155.pth", "cd65a155", 0)},
    {"deit_base_patch16_224", "DeiT-B/16, its authors' file", "Apache-2.0", META, NULL, NULL,
     ONE("deit/deit_base_patch16_224-b5f2ef4d.pth", "b5f2ef4d", 0)},
    TORCHVISION("vit_l_16.imagenet1k_v1", "vit_l_16-852ce7e3.pth", "torchvision ViT-L/16, supervised", "BSD-3-Clause",
                "852ce7e3"),
    TORCHVISION("vit_l_16.imagenet1k_swag_e2e_v1", "vit_l_16_swag-4f3808c9.pth", "torchvision ViT-L/16, SWAG, 512 px",
                "CC-BY-NC-4.0", "4f3808c9"),
    TORCHVISION("vit_h_14.imagenet1k_swag_e2e_v1", "vit_h_14_swag-80465313.pth", "torchvision ViT-H/14, SWAG, 518 px",
                "CC-BY-NC-4.0", "80465313"),

    {"bioclip-2", "BioCLIP-2 ViT-L/14, open_clip", "MIT", HUB, "imageomics/bioclip-2", NULL, FILES(bioclip_2)},
    {"CLIP-ViT-B-32-laion2B-s34B-b79K", "CLIP ViT-B/32 of LAION-2B, open_clip", "MIT", HUB,
     "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", NULL, FILES(open_clip)},
    {"CLIP-ViT-L-14-laion2B-s32B-b82K", "CLIP ViT-L/14 of LAION-2B, open_clip", "MIT", HUB,
     "laion/CLIP-ViT-L-14-laion2B-s32B-b82K", NULL, FILES(open_clip)},
    OPENAI_CLIP("openai-ViT-B-32", "ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
    OPENAI_CLIP("openai-ViT-B-16", "ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
    OPENAI_CLIP("openai-ViT-L-14", "ViT-L-14.pt", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
    OPENAI_CLIP("openai-ViT-L-14-336px", "ViT-L-14-336px.pt",
                "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"),

    /* Encoders of sound of the training-free baseline. */
    {"clap-htsat-unfused", "CLAP, sound and text, transformers", "Apache-2.0", HUB, "laion/clap-htsat-unfused", NULL,
     FILES(clap)},
    TRANSFORMERS("ced-base", "CED, sound, transformers", "Apache-2.0", "mispeech", NULL),
    TRANSFORMERS("dasheng-base", "Dasheng, sound, transformers", "Apache-2.0", "mispeech", NULL),
};

const bt_fetch_model *bt_fetch_models(int *count) {
    *count = COUNT_OF(models);
    return models;
}

bt_status bt_fetch_find(const char *name, const bt_fetch_model **out) {
    const char *names[COUNT_OF(models)];
    for (int i = 0; i < COUNT_OF(models); i++) {
        const bt_fetch_model *m = &models[i];
        names[i] = m->name;
        if (strcmp(name, m->name) == 0 || (m->repository && strcmp(name, m->repository) == 0)) {
            *out = m;
            return BT_OK;
        }
    }
    const char *nearest = bt_text_nearest(name, names, COUNT_OF(models));
    return bt_error(BT_ERR_USAGE, "no model \"%s\" in the table%s%s%s (bittern fetch --list)", name,
                    nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

const char *bt_fetch_file_name(const bt_fetch_file *file) {
    const char *slash = strrchr(file->path, '/');
    return slash ? slash + 1 : file->path;
}

void bt_fetch_address(const bt_fetch_model *model, const bt_fetch_file *file, const char *base, bt_text *out) {
    const char *from = base[0] || !model->base ? base : model->base;
    size_t length = strlen(from);
    while (length && from[length - 1] == '/') length--;
    bt_text_append_bytes(out, from, length);
    if (model->repository)
        bt_text_append(out, "/%s/resolve/main/%s", model->repository, file->path);
    else
        bt_text_append(out, "/%s", file->path);
}
