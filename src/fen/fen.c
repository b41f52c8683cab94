/* The Fen: makes a world's folder with several threads. Jobs are numbered; each thread takes the next number, and what
 * a job writes depends on its number only. */
#include "fen/fen.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/thread.h"
#include "fen/output.h"
#include "fen/picture.h"
#include "fen/song.h"
#include "formats/encode.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JPEG_QUALITY 92

/* Shared by all threads. */
typedef struct work {
    const bt_fen_options *options;
    bt_fen_world world, portrait_world; /* the second: the same birds at the sheet's size */
    uint8_t *portraits;                 /* (portrait_count, P, P, 3) */
    int portrait_count;
    int64_t pictures, songs, total, next, done;
    pthread_mutex_t lock; /* of next, done, status, message and progress */
    bt_status status;     /* the first failure: others stop */
    char message[1024];
} work;

/* One thread's own. */
typedef struct worker {
    bt_thread thread;
    work *work;
    bt_fen_studio studio, portrait;
    uint8_t *rgb, *mask; /* (size, size, 3), (size, size); rgb also serves portraits */
    int16_t *samples;
    bt_text file;
} worker;

static bt_status in_range(const char *name, int64_t value, int64_t least, int64_t most) {
    if (value >= least && value <= most) return BT_OK;
    return bt_error(BT_ERR_CONFIG, "fen: %s is %lld; allowed are %lld to %lld", name, (long long)value,
                    (long long)least, (long long)most);
}

static bt_status check_options(const bt_fen_options *o) {
    BT_TRY(in_range("species", o->species, 1, BT_FEN_MOST_SPECIES));
    BT_TRY(in_range("images", o->images, BT_FEN_LEAST_IMAGES, BT_FEN_MOST_IMAGES));
    BT_TRY(in_range("size", o->size, BT_FEN_LEAST_SIZE, BT_FEN_MOST_SIZE));
    BT_TRY(in_range("songs", o->songs, 0, BT_FEN_MOST_SONGS));
    BT_TRY(in_range("threads", o->threads, 1, BT_FEN_MOST_THREADS));
    /* Both encoders are asked for a pixel: a build without one says so before anything is drawn. */
    const uint8_t pixel[3] = {0};
    bt_text nothing = {0};
    bt_status status = bt_png_encode(pixel, 1, 1, 1, &nothing); /* masks */
    if (status == BT_OK && o->format == BT_FEN_JPEG) status = bt_jpeg_encode(pixel, 1, 1, JPEG_QUALITY, &nothing);
    bt_text_free(&nothing);
    return status;
}

static bt_status check_empty(const char *folder) {
    DIR *stream = opendir(folder);
    if (!stream) return errno == ENOENT ? BT_OK : bt_file_error("open the folder", folder, errno);
    bool empty = true;
    for (struct dirent *entry; empty && (entry = readdir(stream));)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(stream);
    return empty ? BT_OK
                 : bt_error(BT_ERR_IO, "fen: the folder %s is not empty; name a new one, or remove it first", folder);
}

static bt_status make_folders(const bt_fen_options *o, const bt_fen_world *w) {
    char name[256], path[BT_FEN_PATH];
    for (int s = 0; s < w->count; s++) {
        for (int k = 0; k < 2 * BT_FEN_SPLITS; k++) {
            snprintf(name, sizeof name, "%s/%s/%s", k % 2 ? "masks" : "images", bt_fen_split_names[k / 2],
                     w->species[s].slug);
            BT_TRY(bt_fen_join(o->folder, name, path, sizeof path));
            BT_TRY(bt_file_make_folders(path));
        }
        if (o->songs == 0) continue;
        snprintf(name, sizeof name, "songs/%s", w->species[s].slug);
        BT_TRY(bt_fen_join(o->folder, name, path, sizeof path));
        BT_TRY(bt_file_make_folders(path));
    }
    return BT_OK;
}

static bt_status encode(bt_fen_format format, const uint8_t *rgb, int size, bt_text *out) {
    if (format == BT_FEN_JPEG) return bt_jpeg_encode(rgb, size, size, JPEG_QUALITY, out);
    if (format == BT_FEN_PNG) return bt_png_encode(rgb, size, size, 3, out);
    bt_text_append(out, "P6\n%d %d\n255\n", size, size);
    bt_text_append_bytes(out, (const char *)rgb, (size_t)size * (size_t)size * 3);
    return bt_text_status(out);
}

static bt_status save(worker *me, const char *name) {
    char path[BT_FEN_PATH];
    BT_TRY(bt_fen_join(me->work->options->folder, name, path, sizeof path));
    return bt_fen_write_file(path, &me->file);
}

static bt_status make_picture(worker *me, int64_t number) {
    const bt_fen_world *w = &me->work->world;
    bt_fen_format format = me->work->options->format;
    bt_fen_picture p;
    char path[256], name[320];
    bt_fen_plan(w, (int)(number / w->images), (int)(number % w->images), &p);
    bt_fen_picture_path(w, &p, path, sizeof path);
    BT_TRY(bt_fen_draw(w, &p, BT_FEN_WHOLE, &me->studio, me->rgb, me->mask));
    bt_text_clear(&me->file);
    BT_TRY(encode(format, me->rgb, w->size, &me->file));
    snprintf(name, sizeof name, "images/%s%s", path, bt_fen_ending(format));
    BT_TRY(save(me, name));
    bt_text_clear(&me->file);
    BT_TRY(bt_png_encode(me->mask, w->size, w->size, 1, &me->file));
    snprintf(name, sizeof name, "masks/%s.png", path);
    return save(me, name);
}

static bt_status make_song(worker *me, int64_t number) {
    const bt_fen_world *w = &me->work->world;
    int songs = me->work->options->songs, count;
    bt_fen_recording r = bt_fen_recording_plan(w, (int)(number / songs), (int)(number % songs));
    BT_TRY(bt_fen_sing(w, &r, me->samples, &count));
    bt_text_clear(&me->file);
    BT_TRY(bt_fen_wav(me->samples, count, &me->file));
    char name[256];
    snprintf(name, sizeof name, "songs/%s/b%02d_%02d.wav", w->species[r.species].slug, r.individual, r.number);
    return save(me, name);
}

static bt_status make_portrait(worker *me, int64_t number) {
    const bt_fen_world *w = &me->work->portrait_world;
    bt_fen_picture p;
    bt_fen_portrait(w, (int)number, &p);
    return bt_fen_draw(w, &p, BT_FEN_WHOLE, &me->portrait,
                       me->work->portraits + (size_t)number * BT_FEN_PORTRAIT * BT_FEN_PORTRAIT * 3, NULL);
}

/* The next job's number; -1 when all are taken or one failed. */
static int64_t take(work *w) {
    pthread_mutex_lock(&w->lock);
    int64_t number = w->status == BT_OK && w->next < w->total ? w->next++ : -1;
    pthread_mutex_unlock(&w->lock);
    return number;
}

static void report(work *w, bt_status status) {
    pthread_mutex_lock(&w->lock);
    w->done++;
    if (status != BT_OK && w->status == BT_OK) {
        w->status = status;
        snprintf(w->message, sizeof w->message, "%s", bt_error_message());
    }
    if (w->status == BT_OK && w->options->progress) w->options->progress(w->options->context, w->done, w->total);
    pthread_mutex_unlock(&w->lock);
}

static void *run(void *context) {
    worker *me = context;
    work *w = me->work;
    for (int64_t number; (number = take(w)) >= 0;) {
        bt_status status;
        if (number < w->portrait_count)
            status = make_portrait(me, number);
        else if (number < w->portrait_count + w->songs)
            status = make_song(me, number - w->portrait_count);
        else
            status = make_picture(me, number - w->portrait_count - w->songs);
        report(w, status);
    }
    return NULL;
}

static void worker_free(worker *me) {
    bt_fen_studio_free(&me->studio);
    bt_fen_studio_free(&me->portrait);
    bt_memory_free(me->rgb);
    bt_memory_free(me->mask);
    bt_memory_free(me->samples);
    bt_text_free(&me->file);
}

static bt_status worker_new(work *w, worker *me) {
    size_t pixels = (size_t)w->world.size * (size_t)w->world.size;
    *me = (worker){.work = w};
    BT_TRY(bt_fen_studio_new(w->world.size, &me->studio));
    BT_TRY(bt_fen_studio_new(BT_FEN_PORTRAIT, &me->portrait));
    me->rgb = bt_memory_alloc(pixels, 3);
    me->mask = bt_memory_alloc(pixels, 1);
    me->samples = bt_memory_alloc((size_t)BT_FEN_SONG_SECONDS * BT_FEN_SAMPLE_RATE, sizeof *me->samples);
    return me->rgb && me->mask && me->samples ? BT_OK : BT_ERR_MEMORY;
}

/* Runs all jobs. A thread that cannot be started, or gets no memory, fails the whole: half the threads would be a quiet
 * surprise. */
static bt_status run_all(work *w, int threads) {
    worker *workers = bt_memory_zeroed((size_t)threads, sizeof *workers);
    if (!workers) return BT_ERR_MEMORY;
    bt_status status = BT_OK;
    int made = 0, started = 0;
    while (made < threads && status == BT_OK) status = worker_new(w, &workers[made++]);
    while (started < threads && status == BT_OK) {
        status = bt_thread_start(&workers[started].thread, run, &workers[started]);
        if (status == BT_OK) started++;
    }
    if (status != BT_OK) {
        pthread_mutex_lock(&w->lock);
        w->next = w->total;
        pthread_mutex_unlock(&w->lock);
    }
    for (int i = 0; i < started; i++) bt_thread_join(&workers[i].thread);
    for (int i = 0; i < made; i++) worker_free(&workers[i]);
    bt_memory_free(workers);
    if (status == BT_OK && w->status != BT_OK) status = bt_error(w->status, "%s", w->message);
    return status;
}

static bt_status make_world(work *w) {
    const bt_fen_options *o = w->options;
    BT_TRY(bt_fen_evolve(o->seed, o->species, w->world.species));
    w->portrait_world = w->world;
    w->portrait_world.size = BT_FEN_PORTRAIT;
    w->portrait_count = o->species < BT_FEN_MOST_PORTRAITS ? o->species : BT_FEN_MOST_PORTRAITS;
    w->portraits = bt_memory_alloc((size_t)w->portrait_count, (size_t)BT_FEN_PORTRAIT * BT_FEN_PORTRAIT * 3);
    if (!w->portraits) return BT_ERR_MEMORY;
    BT_TRY(make_folders(o, &w->world));
    w->songs = (int64_t)o->species * o->songs;
    w->pictures = (int64_t)o->species * o->images;
    w->total = w->portrait_count + w->songs + w->pictures;
    BT_TRY(run_all(w, o->threads));
    BT_TRY(bt_fen_write_sheet(&w->world, o->folder, w->portraits, w->portrait_count));
    return bt_fen_write_tables(&w->world, o);
}

bt_status bt_fen_generate(const bt_fen_options *o) {
    BT_TRY(check_options(o));
    BT_TRY(check_empty(o->folder));
    work w = {.options = o,
              .world = {.seed = o->seed, .count = o->species, .images = o->images, .size = o->size},
              .lock = PTHREAD_MUTEX_INITIALIZER};
    w.world.species = bt_memory_zeroed((size_t)o->species, sizeof *w.world.species);
    bt_status status = w.world.species ? make_world(&w) : BT_ERR_MEMORY;
    bt_memory_free(w.world.species);
    bt_memory_free(w.portraits);
    return status;
}
