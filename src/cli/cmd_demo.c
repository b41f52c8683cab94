/* bittern demo: a few hundred generated pictures in class folders, to try training on where there are no data. Each
 * class is a shape in a colour range on a noisy ground; position, size, turn, shade and ground vary. PPM where the
 * build has no libpng.
 */
#include "base/file.h"
#include "cli/cli.h"

#include <bittern/image.h>
#include <bittern/random.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES = 6, DEMO_STREAM = 0xffd000 };

static const char *const names[CLASSES] = {"disc", "ring", "square", "cross", "stripes", "triangle"};

/** Whether a point of the picture's plane, in units of the shape's size, lies in the shape. */
static bool inside(int shape, double x, double y) {
    double r = sqrt(x * x + y * y), ax = fabs(x), ay = fabs(y);
    switch (shape) {
    case 0:
        return r < 1;
    case 1:
        return r < 1 && r > 0.55;
    case 2:
        return ax < 0.85 && ay < 0.85;
    case 3:
        return (ax < 0.3 && ay < 1) || (ay < 0.3 && ax < 1);
    case 4:
        return r < 1 && (int)floor((y + 4) * 3) % 2 == 0;
    default:
        return y < 0.75 && y > -1 + 2.1 * ax;
    }
}

static double unit(uint64_t seed, int64_t id, uint32_t k) {
    return (double)bt_random_unit(bt_random_block(seed, 0, DEMO_STREAM, id, k / 4).word[k % 4]);
}

static void draw(uint64_t seed, int shape, int64_t id, int size, uint8_t *pixels) {
    double u[16];
    for (uint32_t k = 0; k < 16; k++) u[k] = unit(seed, id, k);
    double cx = 0.3 + 0.4 * u[0], cy = 0.3 + 0.4 * u[1], scale = 0.17 + 0.13 * u[2], turn = (u[3] - 0.5) * 1.2;
    double ground[3] = {0.15 + 0.6 * u[4], 0.15 + 0.6 * u[5], 0.15 + 0.6 * u[6]};
    double hue = 2.0943951 * (shape % 3) + 1.2 * (u[7] - 0.5), light = 0.55 + 0.4 * u[8];
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            double dx = ((x + 0.5) / size - cx) / scale, dy = ((y + 0.5) / size - cy) / scale;
            bool in = inside(shape, dx * cos(turn) + dy * sin(turn), dy * cos(turn) - dx * sin(turn));
            double noise = 0.25 * (unit(seed + 1, id, (uint32_t)(y * size + x)) - 0.5);
            for (int c = 0; c < 3; c++) {
                double figure = light * (0.5 + 0.5 * cos(hue - 2.0943951 * c));
                double v = (in ? figure : ground[c] * (0.8 + 0.4 * u[9 + c] * y / size)) + noise;
                pixels[((size_t)y * (size_t)size + (size_t)x) * 3 + (size_t)c] = (uint8_t)(255 * fmin(1, fmax(0, v)));
            }
        }
}

static bt_status make(const char *folder, int per_class, int size, uint64_t seed) {
    uint8_t *pixels = malloc((size_t)size * (size_t)size * 3);
    if (!pixels) return bt_error(BT_ERR_MEMORY, "out of memory for a picture of %d x %d", size, size);
    bt_status status = BT_OK;
    for (int c = 0; c < CLASSES && status == BT_OK; c++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, names[c]);
        status = bt_file_make_folders(path);
        for (int i = 0; i < per_class && status == BT_OK; i++) {
            draw(seed, c, (int64_t)c * 1000000 + i, size, pixels);
#ifdef BITTERN_WITH_PNG
            snprintf(path, sizeof path, "%s/%s/%05d.png", folder, names[c], i);
            status = bt_image_save_png(path, pixels, size, size);
#else
            snprintf(path, sizeof path, "%s/%s/%05d.ppm", folder, names[c], i);
            status = bt_image_save_ppm(path, pixels, size, size);
#endif
        }
    }
    free(pixels);
    if (status == BT_OK)
        printf("%d pictures of %d x %d in %d classes under %s\n", CLASSES * per_class, size, size, CLASSES, folder);
    return status;
}

typedef struct demo_flags {
    int per_class, size;
    int64_t seed;
} demo_flags;

static const bt_option demo_options[] = {
    BT_OPTION_INT(demo_flags, per_class, "80", 1, 100000, "pictures of each class"),
    BT_OPTION_INT(demo_flags, size, "48", 4, 4096, "pixels of a side"),
    BT_OPTION_I64(demo_flags, seed, "1", 0, 9e15, "another seed, other pictures"),
};
static const bt_option_table demo_table = BT_OPTION_TABLE("bittern demo", demo_options);

static bt_status demo(const bt_arguments *a) {
    const demo_flags *flags = a->flags;
    return make(a->operand[0], flags->per_class, flags->size, (uint64_t)flags->seed);
}

const bt_command bt_command_demo = {
    "demo", "FOLDER", "generates a small set of pictures to try things on", 1, 1, &demo_table, sizeof(demo_flags),
    false,  demo};
