/* Reading and comparing; see reference_cases.h. */
#include "reference_cases.h"

#include <bittern/image.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As in reference.py. */
typedef union header {
    struct {
        int64_t training, seed, epoch, id, height, width, size, resize, filter, threshold, path_bytes;
        double scale[2], ratio[2], flip, jitter, brightness, contrast, saturation, hue, grey, blur, solarize, radius[2];
    };
    char bytes[32 * 8];
} header;

static void *read_bytes(FILE *file, size_t bytes) {
    unsigned char *memory = malloc(bytes + 1);
    if (!memory || fread(memory, 1, bytes, file) != bytes) {
        fprintf(stderr, "cases.bin is cut\n");
        exit(1);
    }
    memory[bytes] = 0;
    return memory;
}

static bt_view_record record_of(const header *h) {
    bt_augment a = {.scale = {h->scale[0], h->scale[1]}, .ratio = {h->ratio[0], h->ratio[1]}, .flip = h->flip};
    a.filter = (bt_filter)h->filter;
    a.jitter = h->jitter;
    a.brightness = h->brightness;
    a.contrast = h->contrast;
    a.saturation = h->saturation;
    a.hue = h->hue;
    a.grey = h->grey;
    a.blur = h->blur;
    a.solarize = h->solarize;
    a.blur_radius[0] = h->radius[0];
    a.blur_radius[1] = h->radius[1];
    a.solarize_threshold = (int)h->threshold;
    bt_view_record r = {.height = h->height, .width = h->width};
    if (h->training) {
        r.view = bt_view_random(h->height, h->width, h->size, &a, (uint64_t)h->seed, h->epoch, h->id);
        r.colour = bt_colour_random(&a, (uint64_t)h->seed, h->epoch, h->id);
    } else {
        r.view = bt_view_center(h->height, h->width, h->resize, h->size);
        r.view.filter = a.filter;
    }
    return r;
}

typedef struct tally {
    int views, views_wrong, files, files_wrong, step[BT_COLOUR_KINDS];
} tally;

/* The picture's file gives the pixels that PIL read. */
static void compare_file(const char *path, const header *h, const uint8_t *pixels, tally *t) {
    bt_image image;
    bt_status status = bt_image_load(path, NULL, &image);
    if (status == BT_ERR_UNSUPPORTED) return; /* a build without JPEG */
    bool same = status == BT_OK && image.height == h->height && image.width == h->width &&
                memcmp(image.pixels, pixels, (size_t)(h->height * h->width * 3)) == 0;
    if (status == BT_OK) bt_image_free(&image);
    t->files++;
    t->files_wrong += !same;
    if (!same) printf("FAIL %s is not decoded as PIL does\n", path);
}

static void compare_view(const header *h, const uint8_t *pixels, const uint8_t *want, view_maker make, void *context,
                         tally *t) {
    bt_view_record record = record_of(h);
    int64_t bytes = h->size * h->size * 3;
    uint8_t *got = calloc((size_t)bytes, 1);
    if (!got || make(context, pixels, h->height * h->width * 3, &record, h->size, got) != BT_OK) {
        fprintf(stderr, "%s\n", got ? bt_error_message() : "no memory");
        exit(1);
    }
    int64_t differ = 0, first = -1;
    for (int64_t i = 0; i < bytes; i++) {
        if (got[i] == want[i]) continue;
        differ++;
        if (first < 0) first = i;
    }
    t->views++;
    t->views_wrong += differ > 0;
    for (int32_t k = 0; k < record.colour.count; k++) t->step[record.colour.step[k].kind]++;
    if (differ > 0 && t->views_wrong <= 10) {
        printf(
            "FAIL view %lld of %lld x %lld, size %lld, filter %lld: %lld bytes differ, first %lld: %d, want %d; steps",
            (long long)h->id, (long long)h->width, (long long)h->height, (long long)h->size, (long long)h->filter,
            (long long)differ, (long long)first, got[first], want[first]);
        for (int32_t k = 0; k < record.colour.count; k++)
            printf(" %d:%d", record.colour.step[k].kind, record.colour.step[k].value);
        printf("\n");
    }
    free(got);
}

int compare_with_reference(const char *folder, const char *name, view_maker make, void *context, int stride) {
    char path[4096];
    snprintf(path, sizeof path, "%s/cases.bin", folder);
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("skipped: no %s\n", path);
        return 77;
    }
    tally t = {0};
    header h;
    for (int i = 0; fread(&h, sizeof h, 1, file) == 1; i++) {
        char *source = read_bytes(file, (size_t)h.path_bytes);
        uint8_t *pixels = read_bytes(file, (size_t)(h.height * h.width * 3));
        uint8_t *want = read_bytes(file, (size_t)(h.size * h.size * 3));
        if (i % stride == 0) {
            if (*source && h.id >> 32 == 0) compare_file(source, &h, pixels, &t);
            compare_view(&h, pixels, want, make, context, &t);
        }
        free(source);
        free(pixels);
        free(want);
    }
    fclose(file);
    printf("%s: %d views, %d differ; %d files decoded, %d differ; steps", name, t.views, t.views_wrong, t.files,
           t.files_wrong);
    bool all_steps = true;
    static const char *const kinds[] = {"brightness", "contrast", "saturation", "hue", "grey", "blur", "solarize"};
    for (int k = 0; k < BT_COLOUR_KINDS; k++) {
        printf(" %s %d", kinds[k], t.step[k]);
        all_steps = all_steps && t.step[k] > 0;
    }
    printf("\n");
    return t.views_wrong || t.files_wrong || !all_steps ? 1 : 0;
}
