/* One picture through a tower, and pictures of what comes out. */
#include "encoder/token_maps.h"

#include "base/memory.h"
#include "retrieval/pca.h"
#include "tensor/backend.h"

#include <bittern/image.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- running ---- */

static bt_status load_picture(const bt_model_info *info, const char *path, uint8_t *out) {
    bt_image image;
    bt_resampler resampler = {0};
    BT_TRY(bt_image_load(path, &(bt_image_options){.orientation = info->orientation}, &image));
    const bt_preprocess rule = bt_model_preprocess(info);
    bt_status status = bt_preprocess_run(&rule, &resampler, image.pixels, image.height, image.width, out);
    if (status != BT_OK) status = bt_error_prefix(status, "%s", path);
    bt_resampler_free(&resampler);
    bt_image_free(&image);
    return status;
}

/** tokens (T, width), qkv (T, 3 width). */
static bt_status run_tower(bt_model *m, bt_dtype dtype, bt_device *device, const uint8_t *picture, float *tokens,
                           float *qkv) {
    const bt_vit_config *c = &m->vit.config;
    size_t count = (size_t)bt_vit_token_count(c) * (size_t)c->width * sizeof(float);
    bt_program *p = bt_program_new(&(bt_program_options){.compute = dtype});
    bt_vit_maps maps =
        bt_vit_forward_maps(p, m->store, &m->vit, bt_input(p, "images", BT_U8, bt_shape4(1, c->image, c->image, 3)));
    bt_output(p, "tokens", maps.tokens);
    bt_output(p, "qkv", maps.qkv);
    bt_status status = bt_program_run_once(
        p, device, (bt_plan_input[]){{"images", picture, (size_t)c->image * (size_t)c->image * 3}, {NULL}},
        (bt_plan_output[]){{"tokens", tokens, count}, {"qkv", qkv, 3 * count}, {NULL}});
    bt_program_free(p);
    return status;
}

/* ---- maps ---- */

/** softmax(q . k / sqrt(head)) of the class token's query over all tokens, of which patches are kept. */
static void attend(const bt_vit_config *c, const float *qkv, double *score, float *out) {
    int64_t tokens = bt_vit_token_count(c), width = c->width, head = width / c->heads, first = 1 + c->registers,
            patches = tokens - first;
    for (int64_t h = 0; h < c->heads; h++) {
        const float *q = qkv + h * head, *k = qkv + width + h * head;
        double largest = -INFINITY, sum = 0;
        for (int64_t t = 0; t < tokens; t++) {
            score[t] = 0;
            for (int64_t i = 0; i < head; i++) score[t] += (double)q[i] * (double)k[t * 3 * width + i];
            score[t] /= sqrt((double)head);
            largest = score[t] > largest ? score[t] : largest;
        }
        for (int64_t t = 0; t < tokens; t++) sum += score[t] = exp(score[t] - largest);
        for (int64_t t = 0; t < patches; t++) out[h * patches + t] = (float)(score[first + t] / sum);
    }
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/** Column k of z (count, 3) to bytes. */
static void colour_channel(const float *z, int64_t count, int k, float *sorted, uint8_t *out) {
    for (int64_t i = 0; i < count; i++) sorted[i] = z[i * 3 + k];
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    float low = sorted[count / 50], high = sorted[count - 1 - count / 50];
    for (int64_t i = 0; i < count; i++) {
        float share = high > low ? (z[i * 3 + k] - low) / (high - low) : 0.5f;
        out[i * 3 + k] = (uint8_t)lrintf(255 * (share < 0 ? 0 : share > 1 ? 1 : share));
    }
}

static bt_status colour(bt_token_maps *m) {
    int64_t count = (int64_t)m->side * m->side;
    bt_pca pca;
    if (count < 4 || m->width < 3)
        return bt_error(BT_ERR_SHAPE, "%lld patches of width %d have no three principal components", (long long)count,
                        m->width);
    BT_TRY(bt_pca_exact(m->tokens, count, m->width, 3, &pca));
    float *z = bt_memory_alloc((size_t)count * 4, sizeof *z);
    bt_status status = z ? bt_pca_project(&pca, m->tokens, count, z) : BT_ERR_MEMORY;
    for (int k = 0; k < 3 && status == BT_OK; k++) colour_channel(z, count, k, z + 3 * count, m->colours);
    bt_memory_free(z);
    bt_pca_free(&pca);
    return status;
}

static bt_status allocate(const bt_vit_config *c, bt_token_maps *m) {
    size_t patches = (size_t)m->side * (size_t)m->side;
    m->picture = bt_memory_alloc((size_t)m->size * (size_t)m->size, 3);
    m->tokens = bt_memory_alloc(patches * (size_t)c->width, sizeof *m->tokens);
    m->attention = bt_memory_alloc(patches * (size_t)c->heads, sizeof *m->attention);
    m->colours = bt_memory_alloc(patches, 3);
    return m->picture && m->tokens && m->attention && m->colours ? BT_OK : BT_ERR_MEMORY;
}

static bt_status make(bt_model *model, const bt_model_info *info, bt_dtype dtype, bt_device *device,
                      const char *picture, bt_token_maps *m) {
    const bt_vit_config *c = &info->vit;
    size_t tokens = (size_t)bt_vit_token_count(c), width = (size_t)c->width, first = 1 + (size_t)c->registers;
    BT_TRY(allocate(c, m));
    BT_TRY(load_picture(info, picture, m->picture));
    float *all = bt_memory_alloc(tokens * width * 4, sizeof *all);
    double *score = bt_memory_alloc(tokens, sizeof *score);
    bt_status status =
        all && score ? run_tower(model, dtype, device, m->picture, all, all + tokens * width) : BT_ERR_MEMORY;
    if (status == BT_OK) {
        memcpy(m->tokens, all + first * width, (tokens - first) * width * sizeof *all);
        attend(c, all + tokens * width, score, m->attention);
        status = colour(m);
    }
    bt_memory_free(all);
    bt_memory_free(score);
    return status;
}

bt_status bt_token_maps_make(const bt_model_source *source, bt_dtype dtype, int threads, const char *picture,
                             bt_token_maps *out) {
    bt_model_info info;
    bt_model model = {.store = NULL};
    bt_device *device = NULL;
    uint32_t crc;
    bt_status status = bt_backend_named("cpu")->open(&(bt_device_options){.threads = threads}, &device);
    if (status == BT_OK) status = bt_model_load(source, dtype, device, &info, &model, &crc);
    if (status != BT_OK) {
        if (device) device->backend->close(device);
        return status;
    }
    bt_token_maps m = {.side = info.vit.image / info.vit.patch,
                       .size = info.vit.image,
                       .width = info.vit.width,
                       .heads = info.vit.heads};
    status = make(&model, &info, dtype, device, picture, &m);
    bt_model_release(&model);
    device->backend->close(device);
    if (status != BT_OK) {
        bt_token_maps_free(&m);
        return status;
    }
    *out = m;
    return BT_OK;
}

void bt_token_maps_free(bt_token_maps *m) {
    bt_memory_free(m->picture);
    bt_memory_free(m->tokens);
    bt_memory_free(m->attention);
    bt_memory_free(m->colours);
    *m = (bt_token_maps){.side = 0};
}

/* ---- drawing ---- */

/** Mean of all heads, from 0 to its largest value, dark blue to yellow. */
static void heat(float share, uint8_t out[3]) {
    static const float stops[5][3] = {{16, 12, 48},
                                      {78, 18, 110},
                                      {186, 54, 85},
                                      {249, 142, 8},
                                      {252, 255, 164}}; /* between the stops of "inferno" */
    float at = share * 4;
    int k = at >= 4 ? 3 : (int)at;
    for (int c = 0; c < 3; c++)
        out[c] = (uint8_t)lrintf(stops[k][c] + (stops[k + 1][c] - stops[k][c]) * (at - (float)k));
}

static void draw_panels(const bt_token_maps *m, const float *mean, float largest, int scale, uint8_t *pixels) {
    int side = m->size * scale, gap = 8 * scale, width = 3 * side + 2 * gap;
    memset(pixels, 255, (size_t)side * (size_t)width * 3);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            size_t patch =
                (size_t)(y / scale * m->side / m->size) * (size_t)m->side + (size_t)(x / scale * m->side / m->size);
            uint8_t *row = pixels + (size_t)y * (size_t)width * 3;
            memcpy(row + 3 * x, m->picture + ((size_t)(y / scale) * (size_t)m->size + (size_t)(x / scale)) * 3, 3);
            memcpy(row + 3 * (side + gap + x), m->colours + patch * 3, 3);
            heat(mean[patch] / largest, row + 3 * (2 * (side + gap) + x));
        }
}

bt_status bt_token_maps_draw(const bt_token_maps *m, const char *path) {
    int64_t patches = (int64_t)m->side * m->side;
    int scale = m->size < 240 ? (240 + m->size - 1) / m->size : 1;
    size_t side = (size_t)m->size * (size_t)scale, width = 3 * side + 16 * (size_t)scale;
    float *mean = bt_memory_zeroed((size_t)patches, sizeof *mean), largest = 0;
    uint8_t *pixels = bt_memory_alloc(side * width, 3);
    bt_status status = mean && pixels ? BT_OK : BT_ERR_MEMORY;
    if (status == BT_OK) {
        for (int64_t i = 0; i < patches; i++) {
            for (int h = 0; h < m->heads; h++) mean[i] += m->attention[h * patches + i] / (float)m->heads;
            largest = mean[i] > largest ? mean[i] : largest;
        }
        draw_panels(m, mean, largest > 0 ? largest : 1, scale, pixels);
        status = bt_image_save_png(path, pixels, (int64_t)side, (int64_t)width);
    }
    bt_memory_free(mean);
    bt_memory_free(pixels);
    return status;
}
