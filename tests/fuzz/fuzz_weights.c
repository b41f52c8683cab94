/* Weight files of any kind: all that an accepted one offers is read and converted. */
#include "fuzz.h"

#include "formats/weights.h"

static void check_tensor(const bt_weights *file, const bt_weight *t) {
    int64_t count = 1;
    FUZZ_CHECK(t->rank >= 0 && t->rank <= BT_WEIGHT_MAX_RANK);
    for (int i = 0; i < t->rank; i++) count = t->count ? count * t->dim[i] : 0;
    FUZZ_CHECK(t->count == 0 || t->count == count);
    FUZZ_CHECK(t->bytes == (size_t)t->count * bt_file_dtype_bytes(t->dtype) && bt_weights_find(file, t->name) == t &&
               strlen(t->file) > 0);
    fuzz_touch(t->data, t->bytes);
    int64_t some = t->count < 10000 ? t->count : 10000;
    float *values = malloc((size_t)some * sizeof *values + 1);
    uint16_t *halves = malloc((size_t)some * sizeof *halves + 1);
    FUZZ_CHECK(values && halves);
    bt_status status = bt_weight_to_f32(t, t->count - some, some, values);
    if (status == BT_OK)
        fuzz_touch(values, (size_t)some * sizeof *values);
    else
        FUZZ_CHECK_REFUSED(status);
    FUZZ_CHECK(some == 0 || bt_weight_to_bf16(t, 0, some, halves) == status);
    bt_weight_done(t);
    free(values);
    free(halves);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    bt_weights *file = NULL;
    bt_status status = bt_weights_open(fuzz_file("input", data, bytes), &file);
    if (status != BT_OK) {
        FUZZ_CHECK_REFUSED(status);
        FUZZ_CHECK(!file);
        return 0;
    }
    FUZZ_CHECK(strlen(bt_weights_format(file)) > 0);
    int64_t count = bt_weights_count(file);
    for (int64_t i = 0; i < count; i++) check_tensor(file, bt_weights_at(file, i < 1000 ? i : count - 1));
    for (int64_t i = 0; i < bt_weights_note_count(file); i++) {
        const char *name, *text;
        bt_weights_note_at(file, i, &name, &text);
        FUZZ_CHECK(bt_weights_note(file, name));
        fuzz_touch(text, strlen(text));
    }
    bt_weights_close(file);
    return 0;
}
