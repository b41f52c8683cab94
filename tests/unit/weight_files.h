/* Weight files made by hand: zip archives of stored members, and the pickles in them, instruction by instruction. */
#ifndef BITTERN_TESTS_WEIGHT_FILES_H
#define BITTERN_TESTS_WEIGHT_FILES_H

#include "scratch.h"

#include <fcntl.h>
#include <stdint.h>

/* A pickle that grows. */
typedef struct pickled {
    unsigned char bytes[4096];
    size_t count;
} pickled;

static inline void add(pickled *p, const void *bytes, size_t count) {
    if (count > sizeof p->bytes - p->count) abort();
    memcpy(p->bytes + p->count, bytes, count);
    p->count += count;
}

static inline void op(pickled *p, const char *text) {
    add(p, text, strlen(text));
}

static inline void text(pickled *p, const char *t) {
    uint32_t n = (uint32_t)strlen(t);
    op(p, "X");
    add(p, &n, 4);
    op(p, t);
}

static inline void whole(pickled *p, int64_t i) {
    add(p, "\x8a\x08", 2);
    add(p, &i, 8);
}

static inline void begin(pickled *p) {
    p->count = 0;
    add(p, "\x80\x02", 2);
}

/* ("storage", torch.KIND, key, "cpu", count) as an outside object. */
static inline void storage(pickled *p, const char *kind, const char *key, int64_t count) {
    op(p, "(");
    text(p, "storage");
    op(p, "ctorch\n");
    op(p, kind);
    op(p, "\n");
    text(p, key);
    text(p, "cpu");
    whole(p, count);
    op(p, "tQ");
}

static inline void numbers(pickled *p, int count, const int64_t *values) {
    op(p, "(");
    for (int i = 0; i < count; i++) whole(p, values[i]);
    op(p, "t");
}

/* A matrix; `tail`: what follows the strides (empty hooks for version 2). */
static inline void matrix(pickled *p, const char *function, const char *kind, const char *key, int64_t in_storage,
                          int64_t offset, const int64_t shape[2], const int64_t stride[2], const char *tail) {
    op(p, "ctorch._utils\n");
    op(p, function);
    op(p, "\n(");
    storage(p, kind, key, in_storage);
    whole(p, offset);
    numbers(p, 2, shape);
    numbers(p, 2, stride);
    op(p, "\x89"
          "ccollections\nOrderedDict\n)R");
    op(p, tail);
    op(p, "tR");
}

/* An archive that is written member by member; sizes of 4 GiB and more go into zip64 fields. */
typedef struct archive {
    int fd;
    uint64_t at;
    unsigned char directory[4096];
    size_t directory_bytes;
    int count;
} archive;

static inline void put_at(archive *a, const void *bytes, size_t count) {
    if (pwrite(a->fd, bytes, count, (off_t)a->at) != (ssize_t)count) abort();
    a->at += count;
}

static inline void put_number(unsigned char **to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) *(*to)++ = (unsigned char)(value >> 8 * i);
}

static inline void archive_begin(archive *a, const char *path) {
    *a = (archive){.fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0666)};
    if (a->fd < 0) abort();
}

/* `data` NULL: a hole of that many bytes. Gives the place of the data. */
static inline uint64_t archive_add(archive *a, const char *name, const void *data, uint64_t bytes) {
    unsigned char local[30] = "PK\3\4", *l = local + 4, *d = a->directory + a->directory_bytes;
    size_t name_bytes = strlen(name);
    uint32_t narrow = bytes > 0xFFFFFFFE ? 0xFFFFFFFF : (uint32_t)bytes,
             narrow_at = a->at > 0xFFFFFFFE ? 0xFFFFFFFF : (uint32_t)a->at;
    int wide = (narrow == 0xFFFFFFFF ? 16 : 0) + (narrow_at == 0xFFFFFFFF ? 8 : 0);
    uint64_t header = a->at;
    put_number(&l, 45, 2); /* version, flags, method, time, date, checksum */
    put_number(&l, 0, 8);
    put_number(&l, 0, 4);
    put_number(&l, narrow, 4);
    put_number(&l, narrow, 4);
    put_number(&l, name_bytes, 2);
    put_number(&l, 0, 2);
    put_at(a, local, 30);
    put_at(a, name, name_bytes);
    uint64_t offset = a->at;
    if (data)
        put_at(a, data, (size_t)bytes);
    else
        a->at += bytes;
    memcpy(d, "PK\1\2", 4);
    d += 4;
    put_number(&d, 45, 2);
    memcpy(d, local + 4, 24); /* the fields of both headers, as far as the name's length */
    d += 24;
    put_number(&d, wide ? (uint64_t)wide + 4 : 0, 2);
    put_number(&d, 0, 8);
    put_number(&d, 0, 2);
    put_number(&d, narrow_at, 4);
    memcpy(d, name, name_bytes);
    d += name_bytes;
    if (wide) {
        put_number(&d, 1, 2);
        put_number(&d, (uint64_t)wide, 2);
        for (int i = 0; i < 2 && narrow == 0xFFFFFFFF; i++) put_number(&d, bytes, 8);
        if (narrow_at == 0xFFFFFFFF) put_number(&d, header, 8);
    }
    a->directory_bytes = (size_t)(d - a->directory);
    a->count++;
    return offset;
}

static inline void archive_end(archive *a) {
    unsigned char end[98], *e = end;
    uint64_t directory = a->at, record = a->at + a->directory_bytes;
    put_at(a, a->directory, a->directory_bytes);
    put_number(&e, 0x06064b50, 4);
    put_number(&e, 44, 8);
    put_number(&e, 45 | 45 << 16, 4);
    put_number(&e, 0, 8);
    put_number(&e, (uint64_t)a->count, 8);
    put_number(&e, (uint64_t)a->count, 8);
    put_number(&e, a->directory_bytes, 8);
    put_number(&e, directory, 8);
    put_number(&e, 0x07064b50, 4);
    put_number(&e, 0, 4);
    put_number(&e, record, 8);
    put_number(&e, 1, 4);
    put_number(&e, 0x06054b50, 4);
    put_number(&e, 0, 4);
    put_number(&e, (uint64_t)a->count, 2);
    put_number(&e, (uint64_t)a->count, 2);
    put_number(&e, 0xFFFFFFFF, 4);
    put_number(&e, 0xFFFFFFFF, 4);
    put_number(&e, 0, 2);
    put_at(a, end, (size_t)(e - end));
    if (close(a->fd) != 0) abort();
}

#endif
