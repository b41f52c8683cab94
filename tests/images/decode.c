/* Picture files against PIL: pixel for pixel, and what must be refused.   decode FOLDER (of make_cases.py) */
#include "pixels.h"

#include <bittern/image.h>

#include <string.h>

typedef struct tally {
    int same, refused, either, absent, wrong;
} tally;

static void run(const char *folder, const char *kind, int orient, const char *name, const char *pixels, tally *t) {
    char path[4096];
    bt_image image = {.pixels = NULL};
    const bt_image_options options = {.orientation = orient ? BT_ORIENTATION_APPLY : BT_ORIENTATION_IGNORE};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    bt_status status = bt_image_load(path, &options, &image);
    if (status == BT_ERR_UNSUPPORTED) {
        t->absent++; /* a build without this format */
    } else if (strcmp(kind, "refused") == 0 || (strcmp(kind, "either") == 0 && status != BT_OK)) {
        bool right = status == BT_ERR_FORMAT && strstr(bt_error_message(), name);
        t->refused += right;
        t->wrong += !right;
        if (!right)
            printf("FAIL %s should be refused: status %d, %s\n", name, (int)status, status ? bt_error_message() : "");
    } else if (strcmp(kind, "either") == 0) {
        t->either++;
    } else if (status != BT_OK) {
        t->wrong++;
        printf("FAIL %s\n", bt_error_message());
    } else {
        int64_t size[2];
        uint8_t *want = read_pixels(folder, pixels, size);
        bool right = same_pixels(name, image.pixels, image.height, image.width, want, size);
        t->same += right;
        t->wrong += !right;
        free(want);
    }
    bt_image_free(&image);
}

int main(int argc, char **argv) {
    char list[4096], kind[16], name[512], pixels[512];
    int orient;
    tally t = {0};
    if (argc != 2) return 2;
    snprintf(list, sizeof list, "%s/decode.txt", argv[1]);
    FILE *file = fopen(list, "r");
    if (!file) {
        printf("skipped: no %s\n", list);
        return 77;
    }
    while (fscanf(file, "%15s %d %511s %511s", kind, &orient, name, pixels) == 4)
        run(argv[1], kind, orient, name, pixels, &t);
    fclose(file);
    printf("%d decoded as PIL does, %d refused as documented, %d that PIL refuses, %d of formats that this build "
           "lacks, %d wrong\n",
           t.same, t.refused, t.either, t.absent, t.wrong);
    if (t.same == 0 && t.wrong == 0) return 77; /* no library of any format */
    return t.wrong || t.same + t.absent < 200;
}
