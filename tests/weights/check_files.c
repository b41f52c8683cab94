/* Weight files against what is expected of them.
 *
 *   check_files table FOLDER          each row of FOLDER/expected.tsv: FILE <tab> part of the message, or "ok N"
 *   check_files same FILE EXPECTED    the tensors of FILE are those of EXPECTED.safetensors
 *
 * Compared are names, dtypes, shapes, bytes and conversions.
 * EXPECTED's tensors are "NAME" (bytes as they must be), "f32:NAME" and "bf16:NAME" (what conversion must give). */
#include "formats/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define FAIL(...) (failures++, printf("FAILED: " __VA_ARGS__), putchar('\n'))

static void touch_all(const bt_weights *w) {
    for (int64_t i = 0; i < bt_weights_count(w); i++) {
        const bt_weight *t = bt_weights_at(w, i);
        const volatile unsigned char *byte = t->data;
        for (size_t k = 0; k < t->bytes; k++) (void)byte[k];
    }
}

static void check_row(const char *folder, const char *name, const char *expected) {
    char path[4096];
    bt_weights *w = NULL;
    long long wanted = -1;
    bt_error_clear();
    snprintf(path, sizeof path, "%s/%s", folder, name);
    bt_status status = bt_weights_open(path, &w);
    bool good = sscanf(expected, "ok %lld", &wanted) == 1;
    if (good && status != BT_OK) FAIL("%s: refused: %s", name, bt_error_message());
    if (good && status == BT_OK && bt_weights_count(w) != wanted)
        FAIL("%s: %lld tensors, %lld expected", name, (long long)bt_weights_count(w), wanted);
    if (!good && status == BT_OK) FAIL("%s: accepted; expected: %s", name, expected);
    if (!good && status != BT_OK) {
        const char *message = bt_error_message(), *slash = strrchr(name, '/');
        bool told = strstr(message, expected) && (strstr(message, slash ? slash + 1 : name) != NULL);
        if (!told || strchr(message, '\n') || w) FAIL("%s: message: %s\n   expected: %s", name, message, expected);
        if (status != BT_ERR_FORMAT && status != BT_ERR_UNSUPPORTED && status != BT_ERR_IO)
            FAIL("%s: status %s", name, bt_status_name(status));
    }
    if (status == BT_OK) touch_all(w);
    bt_weights_close(w);
}

static int check_table(const char *folder) {
#ifdef BITTERN_WITH_ZLIB
    const char *ours = "zlib:", *other = "no zlib:";
#else
    const char *ours = "no zlib:", *other = "zlib:";
#endif
    char path[1024], line[1024];
    int rows = 0;
    snprintf(path, sizeof path, "%s/expected.tsv", folder);
    FILE *table = fopen(path, "r");
    if (!table) return perror(path), 2;
    while (fgets(line, sizeof line, table)) {
        char *expected = strchr(line, '\t');
        if (!expected) continue;
        *expected++ = 0;
        expected[strcspn(expected, "\n")] = 0;
        if (strncmp(expected, other, strlen(other)) == 0) continue;
        if (strncmp(expected, ours, strlen(ours)) == 0) expected += strlen(ours);
        check_row(folder, line, expected);
        rows++;
    }
    fclose(table);
    printf("%d files, %d failures\n", rows, failures);
    return failures || rows < 40;
}

static void check_values(const bt_weight *t, const bt_safetensors *expected) {
    char name[1200];
    float *f32 = malloc((size_t)t->count * 4 + 4);
    uint16_t *bf16 = malloc((size_t)t->count * 2 + 4);
    if (!f32 || !bf16) exit(2);
    int64_t half = t->count / 2; /* in two parts */
    bool converts =
        bt_weight_to_f32(t, 0, half, f32) == BT_OK && bt_weight_to_f32(t, half, t->count - half, f32 + half) == BT_OK;
    converts = converts && bt_weight_to_bf16(t, 0, half, bf16) == BT_OK &&
               bt_weight_to_bf16(t, half, t->count - half, bf16 + half) == BT_OK;
    snprintf(name, sizeof name, "f32:%s", t->name);
    const bt_safetensors_entry *e = bt_safetensors_find(expected, name);
    if (!converts || !e || e->count != t->count || (t->count && memcmp(e->data, f32, (size_t)t->count * 4) != 0))
        FAIL("%s: float32 differs", t->name);
    snprintf(name, sizeof name, "bf16:%s", t->name);
    e = bt_safetensors_find(expected, name);
    if (!converts || !e || e->count != t->count || (t->count && memcmp(e->data, bf16, (size_t)t->count * 2) != 0))
        FAIL("%s: bfloat16 differs", t->name);
    free(f32);
    free(bf16);
}

static int check_same(const char *path, const char *expected_path) {
    bt_weights *w;
    bt_safetensors *expected;
    if (bt_weights_open(path, &w) != BT_OK || bt_safetensors_open(expected_path, &expected) != BT_OK) {
        printf("FAILED: %s\n", bt_error_message());
        return 1;
    }
    int copies = 0;
    for (int64_t i = 0; i < bt_weights_count(w); i++) {
        const bt_weight *t = bt_weights_at(w, i);
        const bt_safetensors_entry *e = bt_safetensors_find(expected, t->name);
        copies += t->copied;
        if (!e) {
            FAIL("%s: %s is not expected", path, t->name);
            continue;
        }
        if (e->dtype != t->dtype || e->rank != t->rank || e->bytes != t->bytes ||
            memcmp(e->dim, t->dim, sizeof(int64_t) * (size_t)t->rank) != 0)
            FAIL("%s: %s has another dtype or shape", path, t->name);
        else if (t->bytes && memcmp(e->data, t->data, t->bytes) != 0)
            FAIL("%s: the values of %s differ", path, t->name);
        else
            check_values(t, expected);
        if (bt_weights_find(w, t->name) != t) FAIL("%s: %s is not found by its name", path, t->name);
        bt_weight_done(t);
        if (t->bytes && e->bytes == t->bytes && memcmp(e->data, t->data, t->bytes) != 0)
            FAIL("%s: the values of %s differ after bt_weight_done", path, t->name);
    }
    if (bt_weights_count(w) * 3 != bt_safetensors_count(expected))
        FAIL("%s: %lld tensors, %lld expected", path, (long long)bt_weights_count(w),
             (long long)bt_safetensors_count(expected) / 3);
    printf("%s: %s, %lld tensors, %d copied, %lld notes\n", path, bt_weights_format(w), (long long)bt_weights_count(w),
           copies, (long long)bt_weights_note_count(w));
    bt_safetensors_close(expected);
    bt_weights_close(w);
    return failures != 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "table") == 0) return check_table(argv[2]);
    if (argc == 4 && strcmp(argv[1], "same") == 0) return check_same(argv[2], argv[3]);
    fprintf(stderr, "usage: check_files table FOLDER | same FILE EXPECTED.safetensors\n");
    return 2;
}
