/* bittern fen: a generated world of birds. */
#include "base/thread.h"
#include "cli/cli.h"
#include "fen/fen.h"

#include <stdio.h>
#include <unistd.h>

typedef struct fen_flags {
    int species, images, size, songs, threads;
    int64_t seed;
    bool no_songs;
    unsigned format; /* bt_fen_format */
} fen_flags;

static const char *const formats[] = {"jpg", "png", "ppm", NULL};
static const bt_option fen_options[] = {
    BT_OPTION_INT(fen_flags, species, "50", 1, BT_FEN_MOST_SPECIES, "species, on a tree of orders, families, genera"),
    BT_OPTION_INT(fen_flags, images, "120", BT_FEN_LEAST_IMAGES, BT_FEN_MOST_IMAGES,
                  "pictures of each: half training, a tenth queries, the rest database"),
    BT_OPTION_INT(fen_flags, size, "224", BT_FEN_LEAST_SIZE, BT_FEN_MOST_SIZE, "pixels of a side"),
    BT_OPTION_I64(fen_flags, seed, "7", 0, 9e15, "another seed, another world"),
    BT_OPTION_INT(fen_flags, songs, "2", 0, BT_FEN_MOST_SONGS, "recordings of each species"),
    BT_OPTION_BOOL(fen_flags, no_songs, "false", "pictures only"),
    BT_OPTION_INT(fen_flags, threads, "0", 0, BT_FEN_MOST_THREADS, "0: all cores; the bytes do not depend on it"),
    BT_OPTION_ENUM(fen_flags, format, "jpg", formats, "of the pictures"),
};
static const bt_option_table fen_table = BT_OPTION_TABLE("bittern fen", fen_options);

typedef struct progress {
    double start, shown;
    bool terminal;
} progress;

/** One line that is written over, on a terminal only. */
static void show(void *context, int64_t done, int64_t total) {
    progress *p = context;
    double now = bt_clock_seconds(), rate = (double)done / (now - p->start + 1e-9);
    if (!p->terminal || (now - p->shown < 0.2 && done < total)) return;
    p->shown = now;
    fprintf(stderr, "\rfen: %lld of %lld, %.0f/s, %.0f s left\033[K%s", (long long)done, (long long)total, rate,
            (double)(total - done) / rate, done == total ? "\n" : "");
    fflush(stderr);
}

static int all_cores(void) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > BT_FEN_MOST_THREADS ? BT_FEN_MOST_THREADS : (int)cores;
}

static bt_status fen(const bt_arguments *a) {
    const fen_flags *f = a->flags;
    progress p = {.start = bt_clock_seconds(), .terminal = isatty(STDERR_FILENO)};
    bt_fen_options options = {.folder = a->operand[0],
                              .seed = (uint64_t)f->seed,
                              .species = f->species,
                              .images = f->images,
                              .size = f->size,
                              .songs = f->no_songs ? 0 : f->songs,
                              .threads = f->threads ? f->threads : all_cores(),
                              .format = (bt_fen_format)f->format,
                              .progress = show,
                              .context = &p};
    bt_status status = bt_fen_generate(&options);
    if (status != BT_OK) {
        if (p.shown > 0) fputc('\n', stderr);
        return status;
    }
    printf("%d species, %d pictures of %d x %d, %d songs under %s (%.0f s); see %s/sheet.png\n", options.species,
           options.species * options.images, options.size, options.size, options.species * options.songs,
           options.folder, bt_clock_seconds() - p.start, options.folder);
    return BT_OK;
}

const bt_command bt_command_fen = {"fen",
                                   "FOLDER",
                                   "generates a world of birds: pictures, masks, captions, songs, a taxonomy",
                                   1,
                                   1,
                                   &fen_table,
                                   sizeof(fen_flags),
                                   false,
                                   fen};
