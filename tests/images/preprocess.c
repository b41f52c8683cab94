/* Configuration files of timm, open_clip and transformers: pictures become the views that the library makes.
 * preprocess FOLDER (of make_preprocess.py) */
#include "pixels.h"

#include "data/preprocess.h"

#include <bittern/image.h>

#include <string.h>

typedef bt_status parser(const char *text, size_t bytes, const char *name, bt_preprocess *out);

typedef struct tally {
    int same, refused, absent, wrong;
} tally;

/* By the library's own parser and by the one that tells it by the keys: the same. */
static bool parse(const char *folder, const char *library, const char *config, bt_preprocess *out) {
    size_t bytes;
    bt_preprocess guessed;
    char *text = read_whole(folder, config, &bytes);
    parser *by_name = strcmp(library, "timm") == 0        ? bt_preprocess_parse_timm
                      : strcmp(library, "open_clip") == 0 ? bt_preprocess_parse_open_clip
                                                          : bt_preprocess_parse_transformers;
    memset(out, 0, sizeof *out);
    memset(&guessed, 0, sizeof guessed);
    bool good =
        by_name(text, bytes, config, out) == BT_OK && bt_preprocess_parse(text, bytes, config, &guessed) == BT_OK;
    if (!good) printf("FAIL %s\n", bt_error_message());
    free(text);
    if (good && (strcmp(guessed.source, library) != 0 || guessed.mode != out->mode || guessed.height != out->height ||
                 guessed.mean[0] != out->mean[0])) {
        printf("FAIL %s is taken for %s\n", config, guessed.source);
        return false;
    }
    return good;
}

static bool compare_view(const char *folder, const bt_preprocess *p, const bt_image *image, const char *kind,
                         const char *name, const char *pixels) {
    bt_resampler resampler = {.weights = NULL};
    bt_status status;
    uint8_t *view = malloc((size_t)p->height * (size_t)p->width * 3);
    bool right = false;
    if (!view) exit(1);
    status = bt_preprocess_run(p, &resampler, image->pixels, image->height, image->width, view);
    bt_resampler_free(&resampler);
    if (strcmp(kind, "refused") == 0) {
        right = status == BT_ERR_FORMAT && strstr(bt_error_message(), "keeps no pixel");
        if (!right) printf("FAIL %s should be refused\n", name);
    } else if (status != BT_OK) {
        printf("FAIL %s: %s\n", name, bt_error_message());
    } else {
        int64_t size[2];
        uint8_t *want = read_pixels(folder, pixels, size);
        right = same_pixels(pixels, view, p->height, p->width, want, size);
        free(want);
    }
    free(view);
    return right;
}

static void run(const char *folder, const char *kind, const char *library, const char *config, const char *name,
                const char *pixels, tally *t) {
    char path[4096];
    bt_preprocess p;
    bt_image image = {.pixels = NULL};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    bt_status status = bt_image_load(path, NULL, &image);
    bool right =
        status == BT_OK && parse(folder, library, config, &p) && compare_view(folder, &p, &image, kind, name, pixels);
    if (status == BT_ERR_UNSUPPORTED)
        t->absent++;
    else if (!right)
        t->wrong++;
    else if (strcmp(kind, "same") == 0)
        t->same++;
    else
        t->refused++;
    if (status != BT_OK && status != BT_ERR_UNSUPPORTED) printf("FAIL %s\n", bt_error_message());
    bt_image_free(&image);
}

int main(int argc, char **argv) {
    char list[4096], kind[16], library[32], config[64], name[512], pixels[512];
    tally t = {0};
    if (argc != 2) return 2;
    snprintf(list, sizeof list, "%s/preprocess.txt", argv[1]);
    FILE *file = fopen(list, "r");
    if (!file) {
        printf("skipped: no %s\n", list);
        return 77;
    }
    while (fscanf(file, "%15s %31s %63s %511s %511s", kind, library, config, name, pixels) == 5)
        run(argv[1], kind, library, config, name, pixels, &t);
    fclose(file);
    printf("%d views as the libraries make them, %d refused as there, %d of formats that this build lacks, %d wrong\n",
           t.same, t.refused, t.absent, t.wrong);
    if (t.same == 0 && t.wrong == 0) return 77;
    return t.wrong || t.same + t.absent < 1000;
}
