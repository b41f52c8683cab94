/* The Fen as it lies on the disk: determinism over threads, masks, songs, tables, and what goes wrong. */
#include "check.h"
#include "font_memory.h"

#include "fen/fen.h"
#include "scratch.h"

static inline bt_fen_options small(const char *folder) {
    return (bt_fen_options){
        .folder = folder, .seed = 5, .species = 3, .images = 4, .size = 32, .songs = 1, .threads = 1};
}

#if defined BITTERN_WITH_CAIRO && defined BITTERN_WITH_PNG && defined BITTERN_WITH_JPEG

#include "base/memory.h"
#include "fen/picture.h"
#include "fen/song.h"

#include <bittern/image.h>

#include <math.h>
#include <sys/resource.h>

/* Both folders hold the same names with the same bytes; returns the number of files. */
static int compare(const char *a, const char *b) {
    int count = 0;
    DIR *stream = opendir(a);
    if (!stream) fail_msg("no folder %s", a);
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (entry->d_name[0] == '.') continue;
        char one[512], two[512];
        snprintf(one, sizeof one, "%.250s/%.250s", a, entry->d_name);
        snprintf(two, sizeof two, "%.250s/%.250s", b, entry->d_name);
        struct stat info;
        if (stat(one, &info) != 0 || access(two, R_OK) != 0) fail_msg("%s is missing", two);
        if (S_ISDIR(info.st_mode)) {
            count += compare(one, two);
            continue;
        }
        size_t bytes, same;
        unsigned char *x = scratch_read(one, &bytes), *y = scratch_read(two, &same);
        if (bytes != same || memcmp(x, y, bytes) != 0) fail_msg("%s and %s differ", one, two);
        free(x);
        free(y);
        count++;
    }
    closedir(stream);
    return count;
}

static void threads_change_no_byte(void **state) {
    (void)state;
    bt_fen_options one = small(scratch_path("one")), three = small(scratch_path("three"));
    three.threads = 3;
    check_ok(bt_fen_generate(&one));
    check_ok(bt_fen_generate(&three));
    /* 12 pictures, 12 masks, 3 songs, manifest, songs, taxonomy twice, sheet, readme */
    assert_int_equal(compare(one.folder, three.folder), 33);
    assert_int_equal(compare(three.folder, one.folder), 33);
}

/* Rows of a table by RFC 4180: fields of each row counted with quotes respected. */
static int rows_of(const char *path, int fields) {
    size_t bytes;
    char *text = (char *)scratch_read(path, &bytes);
    int rows = 0, seen = 1;
    bool quoted = false;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && text[i] == ',')
            seen++;
        else if (!quoted && text[i] == '\r') {
            assert_int_equal(text[i + 1], '\n');
            assert_int_equal(seen, fields);
            rows++, seen = 1;
        }
    }
    assert_false(quoted);
    free(text);
    return rows;
}

static void tables(void **state) {
    (void)state;
    assert_int_equal(rows_of(scratch_path("one/manifest.csv"), 12), 13);
    assert_int_equal(rows_of(scratch_path("one/songs.csv"), 9), 4);
    assert_int_equal(rows_of(scratch_path("one/taxonomy.csv"), 10), 4);
}

static uint32_t little(const unsigned char *at, int bytes) {
    uint32_t value = 0;
    for (int i = bytes - 1; i >= 0; i--) value = value << 8 | at[i];
    return value;
}

static void wav_header(void **state) {
    (void)state;
    enum { COUNT = 5 };
    const int16_t samples[COUNT] = {0, 1, -1, 32767, -32768};
    bt_text file = {0};
    check_ok(bt_fen_wav(samples, COUNT, &file));
    const unsigned char *b = (const unsigned char *)bt_text_get(&file);
    assert_int_equal(file.length, 44 + 2 * COUNT);
    assert_memory_equal(b, "RIFF", 4);
    assert_int_equal(little(b + 4, 4), 36 + 2 * COUNT);
    assert_memory_equal(b + 8, "WAVEfmt ", 8);
    assert_int_equal(little(b + 16, 4), 16);
    assert_int_equal(little(b + 20, 2), 1);
    assert_int_equal(little(b + 22, 2), 1);
    assert_int_equal(little(b + 24, 4), 32000);
    assert_int_equal(little(b + 28, 4), 64000);
    assert_int_equal(little(b + 32, 2), 2);
    assert_int_equal(little(b + 34, 2), 16);
    assert_memory_equal(b + 36, "data", 4);
    assert_int_equal(little(b + 40, 4), 2 * COUNT);
    for (int i = 0; i < COUNT; i++) assert_int_equal((int16_t)little(b + 44 + 2 * i, 2), samples[i]);
    bt_text_free(&file);
}

/* ---- masks and songs of a world of its own ---- */

enum { SPECIES = 6, SIZE = 48 };
static bt_fen_species species[SPECIES];
static const bt_fen_world world = {.seed = 21, .count = SPECIES, .images = 12, .size = SIZE, .species = species};

/* The bird drawn black and drawn white: half the difference of the light is where it covers half of a pixel. */
static void mask_is_the_visible_bird(void **state) {
    (void)state;
    check_ok(bt_fen_evolve(world.seed, SPECIES, species));
    bt_fen_studio studio;
    check_ok(bt_fen_studio_new(SIZE, &studio));
    static uint8_t black[SIZE * SIZE * 3], white[SIZE * SIZE * 3], mask[SIZE * SIZE];
    int covered = 0, occluded = 0;
    for (int n = 0; n < 24; n++) {
        bt_fen_picture p;
        bt_fen_plan(&world, n % SPECIES, n / SPECIES * 3, &p);
        check_ok(bt_fen_draw(&world, &p, BT_FEN_BLACK_BIRD, &studio, black, NULL));
        check_ok(bt_fen_draw(&world, &p, BT_FEN_WHITE_BIRD, &studio, white, mask));
        occluded += p.view.front_reeds > 0;
        for (int i = 0; i < SIZE * SIZE; i++) {
            double share = bt_fen_to_linear(white[3 * i + 1] / 255.0) - bt_fen_to_linear(black[3 * i + 1] / 255.0);
            assert_true(mask[i] == 0 || mask[i] == 255);
            covered += mask[i] == 255;
            if (share > 0.52) assert_int_equal(mask[i], 255);
            if (share < 0.48) assert_int_equal(mask[i], 0);
        }
    }
    assert_true(occluded > 3);
    assert_in_range(covered / 24, SIZE * SIZE / 20, SIZE * SIZE / 2);
    bt_fen_studio_free(&studio);
}

/* The finished picture differs from the same scene without the bird wherever the mask says so, and hardly elsewhere
 * than in its reflection and shadow. */
static void the_bird_is_where_the_mask_is(void **state) {
    (void)state;
    bt_fen_studio studio;
    check_ok(bt_fen_studio_new(SIZE, &studio));
    static uint8_t with[SIZE * SIZE * 3], without[SIZE * SIZE * 3], mask[SIZE * SIZE];
    int inside = 0, changed = 0, above = 0, above_changed = 0;
    for (int n = 0; n < 12; n++) {
        bt_fen_picture p;
        bt_fen_plan(&world, n % SPECIES, n / SPECIES * 5, &p);
        check_ok(bt_fen_draw(&world, &p, BT_FEN_WHOLE, &studio, with, mask));
        check_ok(bt_fen_draw(&world, &p, BT_FEN_WITHOUT_BIRD, &studio, without, NULL));
        for (int i = 0; i < SIZE * SIZE; i++) {
            bool differs = memcmp(with + 3 * i, without + 3 * i, 3) != 0;
            if (mask[i])
                inside++, changed += differs;
            else if (i / SIZE < SIZE / 6)
                above++, above_changed += differs;
        }
    }
    assert_true(inside > 1000 && changed > inside * 98 / 100);
    assert_true(above_changed < above / 5);
    bt_fen_studio_free(&studio);
}

static void songs_sound(void **state) {
    (void)state;
    int16_t *a = bt_memory_alloc(BT_FEN_SONG_SECONDS * BT_FEN_SAMPLE_RATE, sizeof *a),
            *b = bt_memory_alloc(BT_FEN_SONG_SECONDS * BT_FEN_SAMPLE_RATE, sizeof *b);
    assert_true(a && b);
    for (int s = 0; s < SPECIES; s++) {
        int count, again;
        bt_fen_recording r = bt_fen_recording_plan(&world, s, s);
        check_ok(bt_fen_sing(&world, &r, a, &count));
        check_ok(bt_fen_sing(&world, &r, b, &again));
        assert_int_equal(count, again);
        assert_memory_equal(a, b, (size_t)count * sizeof *a);
        assert_in_range(count, 3 * BT_FEN_SAMPLE_RATE, BT_FEN_SONG_SECONDS * BT_FEN_SAMPLE_RATE);
        int peak = 0;
        for (int i = 0; i < count; i++) peak = abs(a[i]) > peak ? abs(a[i]) : peak;
        assert_in_range(peak, 16000, 30000);
    }
    bt_memory_free(a);
    bt_memory_free(b);
}

/* ---- what goes wrong ---- */

static void refused(bt_fen_options options, bt_status status, const char *message) {
    bt_error_clear();
    check_error(bt_fen_generate(&options), status, message);
}

static void bad_numbers(void **state) {
    (void)state;
    bt_fen_options o = small(scratch_path("never"));
    o.species = 0;
    refused(o, BT_ERR_CONFIG, "fen: species is 0; allowed are 1 to 1000");
    o = small(o.folder), o.images = 2;
    refused(o, BT_ERR_CONFIG, "fen: images is 2; allowed are 3 to 10000");
    o = small(o.folder), o.size = 1025;
    refused(o, BT_ERR_CONFIG, "fen: size is 1025; allowed are 16 to 1024");
    o = small(o.folder), o.songs = -1;
    refused(o, BT_ERR_CONFIG, "fen: songs is -1; allowed are 0 to 100");
    o = small(o.folder), o.threads = 0;
    refused(o, BT_ERR_CONFIG, "fen: threads is 0; allowed are 1 to 256");
    assert_int_not_equal(access(scratch_path("never"), F_OK), 0);
}

static void bad_folders(void **state) {
    (void)state;
    scratch_folder("full");
    scratch_file("full/x", "x", 1);
    refused(small(scratch_path("full")), BT_ERR_IO, "is not empty; name a new one, or remove it first");
    refused(small(scratch_path("full/x")), BT_ERR_IO, "full/x: Not a directory");
    char deep[2000];
    memset(deep, 'd', sizeof deep);
    deep[sizeof deep - 1] = 0;
    bt_fen_options o = small(deep);
    assert_int_not_equal(bt_fen_generate(&o), BT_OK);
}

/* A limit on the size of files stands for a full disk: the message names the file, and no manifest claims a whole
 * world. */
static void full_disk(void **state) {
    (void)state;
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 1500;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    bt_fen_options o = small(scratch_path("disk"));
    bt_error_clear();
    bt_status status = bt_fen_generate(&o);
    setrlimit(RLIMIT_FSIZE, &before);
    check_error(status, BT_ERR_IO, "cannot write ");
    assert_int_not_equal(access(scratch_path("disk/manifest.csv"), F_OK), 0);
}

static void no_memory(void **state) {
    (void)state;
    for (int n = 1; n < 12; n++) {
        char name[32];
        snprintf(name, sizeof name, "memory%d", n);
        bt_fen_options o = small(scratch_path(name));
        o.species = 1, o.images = 3, o.size = 16, o.songs = 0;
        bt_memory_fail_at(n);
        bt_status status = bt_fen_generate(&o);
        bt_memory_fail_at(0);
        if (status != BT_ERR_MEMORY) fail_msg("allocation %d: %s, %s", n, bt_status_name(status), bt_error_message());
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_no_byte),
        cmocka_unit_test(tables),
        cmocka_unit_test(wav_header),
        cmocka_unit_test(mask_is_the_visible_bird),
        cmocka_unit_test(the_bird_is_where_the_mask_is),
        cmocka_unit_test(songs_sound),
        cmocka_unit_test(bad_numbers),
        cmocka_unit_test(bad_folders),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}

#elif !defined BITTERN_WITH_CAIRO

static void absent(void **state) {
    (void)state;
    bt_fen_options options = small("/tmp/never");
    check_error(bt_fen_generate(&options), BT_ERR_UNSUPPORTED, "install libcairo2-dev");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(absent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void) {
    puts("this build writes no PNG or no JPEG");
    return 77;
}

#endif
