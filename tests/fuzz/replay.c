/* A main for fuzz targets where there is no libFuzzer: runs the files of a corpus, then seeded changes of them.
 *
 *   fuzz_<name> [--count N] [--seed S] FILE|FOLDER...
 *
 * Input i of a seed depends on nothing but the corpus. The target runs in a child process, from memory shared with the
 * parent, so that the input of any death (sanitizer, signal, more than INPUT_SECONDS) can be saved. Exit code 0: all
 * good, 1: the target died, 2: wrong call.
 */
#include "fuzz.h"

#include <bittern/random.h>

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define INPUT_BYTES ((size_t)1 << 16) /* of a changed input; files of the corpus must be smaller */
#define MAX_FILES 1024
#define INPUT_SECONDS 120u /* of the wall's clock; where others use the machine too, a second of work takes several */

typedef struct input {
    char *name;
    uint8_t *data;
    size_t bytes;
} input;

typedef struct shared {
    long number; /* of the running input: 0.. in the corpus, then the changed ones */
    size_t bytes;
    uint8_t data[INPUT_BYTES];
} shared;

static input corpus[MAX_FILES];
static size_t corpus_count;

/* ---- corpus ---- */

static void add_file(const char *path) {
    input *in = &corpus[corpus_count++];
    in->name = strdup(path);
    in->data = fuzz_read(path, &in->bytes);
    FUZZ_CHECK(in->name && in->bytes <= INPUT_BYTES && corpus_count < MAX_FILES);
}

static void add_path(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0) {
        perror(path);
        exit(2);
    }
    if (!S_ISDIR(info.st_mode)) {
        add_file(path);
        return;
    }
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char full[PATH_MAX];
        snprintf(full, sizeof full, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.') add_file(full);
        free(names[i]);
    }
    if (count >= 0) free(names);
}

/* ---- changes ---- */

typedef struct dice {
    uint64_t seed;
    uint32_t number, draw;
} dice;

/** 0..limit-1; the bias of the remainder does not matter here. */
static size_t roll(dice *d, size_t limit) {
    bt_philox r = bt_philox4x32(d->draw++, d->number, 0, 0, d->seed);
    return (size_t)(((uint64_t)r.word[0] << 32 | r.word[1]) % limit);
}

/** Makes room of `bytes` at `at`, or less where the input would grow too long; gives the room. */
static size_t open_gap(shared *s, size_t at, size_t bytes) {
    if (bytes > INPUT_BYTES - s->bytes) bytes = INPUT_BYTES - s->bytes;
    memmove(s->data + at + bytes, s->data + at, s->bytes - at);
    s->bytes += bytes;
    return bytes;
}

static void remove_range(shared *s, size_t at, size_t bytes) {
    if (bytes > s->bytes - at) bytes = s->bytes - at;
    memmove(s->data + at, s->data + at + bytes, s->bytes - at - bytes);
    s->bytes -= bytes;
}

static void insert_from_corpus(shared *s, dice *d, size_t at) {
    const input *other = &corpus[roll(d, corpus_count)];
    if (other->bytes == 0) return;
    size_t from = roll(d, other->bytes), bytes = 1 + roll(d, other->bytes - from);
    if (roll(d, 4)) bytes = 1 + bytes % 16; /* mostly a word or two */
    bytes = open_gap(s, at, bytes);
    memcpy(s->data + at, other->data + from, bytes);
}

static void repeat_byte(shared *s, dice *d, size_t at) {
    uint8_t byte = s->data[at];
    size_t bytes = open_gap(s, at, (size_t)1 << roll(d, 16));
    memset(s->data + at, byte, bytes);
}

/** A number in binary, of either byte order. */
static void put_extreme(shared *s, dice *d, size_t at) {
    static const uint64_t extremes[] = {0,
                                        1,
                                        0x7F,
                                        0x80,
                                        0xFF,
                                        0x7FFF,
                                        0x8000,
                                        0xFFFF,
                                        0x7FFFFFFF,
                                        0x80000000,
                                        0xFFFFFFFF,
                                        0x7FFFFFFFFFFFFFFF,
                                        0x8000000000000000,
                                        0xFFFFFFFFFFFFFFFF};
    uint64_t value = extremes[roll(d, sizeof extremes / sizeof *extremes)];
    size_t bytes = (size_t)1 << roll(d, 4);
    bool big = roll(d, 2);
    for (size_t i = 0; i < bytes && at + i < s->bytes; i++)
        s->data[at + i] = (uint8_t)(value >> 8 * (big ? bytes - 1 - i : i));
}

/** Replaces the digits at or behind `at` by a number in decimal. */
static void put_decimal(shared *s, dice *d, size_t at) {
    static const char *const decimals[] = {"0",
                                           "-1",
                                           "1",
                                           "255",
                                           "256",
                                           "65536",
                                           "2147483648",
                                           "4294967296",
                                           "9223372036854775807",
                                           "9223372036854775808",
                                           "18446744073709551615",
                                           "18446744073709551616",
                                           "1e999",
                                           "-0.0",
                                           "1e-999",
                                           ".5"};
    const char *text = decimals[roll(d, sizeof decimals / sizeof *decimals)];
    while (at < s->bytes && (s->data[at] < '0' || s->data[at] > '9')) at++;
    size_t end = at;
    while (end < s->bytes && s->data[end] >= '0' && s->data[end] <= '9') end++;
    remove_range(s, at, end - at);
    memcpy(s->data + at, text, open_gap(s, at, strlen(text)));
}

static void change(shared *s, dice *d) {
    static const uint8_t bytes[] = {0,   1,   0x7F, 0x80, 0xFF, '\n', '\r', '\t', ' ', '"', '\'', '\\', '{',
                                    '}', '[', ']',  ':',  ',',  '-',  '#',  '&',  '*', '!', '%',  '='};
    if (s->bytes == 0) s->data[s->bytes++] = bytes[roll(d, sizeof bytes)];
    size_t at = roll(d, s->bytes);
    switch (roll(d, 10)) {
    case 0:
        s->data[at] ^= (uint8_t)(1u << roll(d, 8));
        break;
    case 1:
        s->data[at] = (uint8_t)roll(d, 256);
        break;
    case 2:
        s->data[at] = bytes[roll(d, sizeof bytes)];
        break;
    case 3:
        remove_range(s, at, 1 + roll(d, roll(d, 4) ? 8 : s->bytes));
        break;
    case 4:
        insert_from_corpus(s, d, at);
        break;
    case 5:
        put_extreme(s, d, at);
        break;
    case 6:
        put_decimal(s, d, at);
        break;
    case 7:
        repeat_byte(s, d, at);
        break;
    case 8:
        s->bytes = at;
        break;
    default: {
        uint8_t byte = bytes[roll(d, sizeof bytes)];
        if (open_gap(s, at, 1)) s->data[at] = byte;
    }
    }
}

static void make_input(shared *s, uint64_t seed, long number) {
    dice d = {.seed = seed, .number = (uint32_t)number};
    bool changed = (size_t)number >= corpus_count;
    const input *base = &corpus[changed ? roll(&d, corpus_count) : (size_t)number];
    if (base->bytes) memcpy(s->data, base->data, base->bytes);
    s->bytes = base->bytes;
    for (size_t changes = changed ? roll(&d, 17) : 0; changes > 0; changes--) change(s, &d);
    if (changed && roll(&d, 4) == 0)
        s->bytes = roll(&d, s->bytes + 1); /* files are cut more often than they are changed */
}

/* ---- run ---- */

static void run_all(shared *s, uint64_t seed, long count) {
    for (s->number = 0; s->number < (long)corpus_count + count; s->number++) {
        make_input(s, seed, s->number);
        uint8_t *exact = malloc(s->bytes); /* a sanitizer sees a read behind it */
        FUZZ_CHECK(exact || s->bytes == 0);
        if (s->bytes) memcpy(exact, s->data, s->bytes);
        alarm(INPUT_SECONDS);
        LLVMFuzzerTestOneInput(exact, s->bytes);
        alarm(0);
        free(exact);
    }
}

static int tell_death(const shared *s, uint64_t seed, int status, const char *program) {
    const char *base = strrchr(program, '/');
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s.input", base ? base + 1 : program);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(s->data, 1, s->bytes, file) != s->bytes || fclose(file) != 0) perror(path);
    bool changed = s->number >= (long)corpus_count;
    printf("FAILED at input %ld of seed %llu (%s): %s %d; run again with: %s %s\n", s->number, (unsigned long long)seed,
           changed ? "a change" : corpus[s->number].name, WIFSIGNALED(status) ? "signal" : "exit code",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), program, path);
    return 1;
}

int main(int argc, char **argv) {
    uint64_t seed = 1;
    long count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--count") == 0 && i + 1 < argc)
            count = strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else
            add_path(argv[i]);
    }
    if (corpus_count == 0) {
        fprintf(stderr, "usage: %s [--count N] [--seed S] FILE|FOLDER...\n", argv[0]);
        return 2;
    }
    shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FUZZ_CHECK(s != MAP_FAILED);
    fuzz_folder(); /* the parent's, so that it is removed also when the child dies */
    fflush(stdout);
    pid_t child = fork();
    FUZZ_CHECK(child >= 0);
    if (child == 0) {
        run_all(s, seed, count);
        exit(0); /* not _exit: leaks are looked for here */
    }
    int status;
    FUZZ_CHECK(waitpid(child, &status, 0) == child);
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (good)
        printf("%zu inputs of the corpus and %ld changes of them, seed %llu: no fault\n", corpus_count, count,
               (unsigned long long)seed);
    int code = good ? 0 : tell_death(s, seed, status, argv[0]);
    for (size_t i = 0; i < corpus_count; i++) {
        free(corpus[i].name);
        free(corpus[i].data);
    }
    return code;
}
