/* Elements of a weight file's tensor in the types that programs compute in. */
#include "base/file.h"
#include "formats/file_dtype.h"
#include "formats/weights.h"

#include <string.h>

static const unsigned char *element(const bt_weight *w, int64_t first, int64_t count) {
    BT_ASSERT(first >= 0 && count >= 0 && first <= w->count - count);
    return w->data ? (const unsigned char *)w->data + (size_t)first * bt_file_dtype_bytes(w->dtype) : NULL;
}

bt_status bt_weight_to_f32(const bt_weight *w, int64_t first, int64_t count, float *out) {
    bt_status status = bt_file_to_f32(w->dtype, element(w, first, count), count, out);
    return status == BT_OK ? BT_OK : bt_error_prefix(status, "%s: tensor %s", w->file, w->name);
}

/** The same as bt_bf16_of of each, in a loop that becomes vectors: a model of 1.2 GB is rounded in a fraction of a
 * second. */
static void round_all(const float *restrict from, int64_t count, uint16_t *restrict out) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, from + i, sizeof bits);
        uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40;
        out[i] = (uint16_t)((bits & 0x7FFFFFFF) > 0x7F800000 ? quiet : rounded);
    }
}

bt_status bt_weight_to_bf16(const bt_weight *w, int64_t first, int64_t count, uint16_t *out) {
    enum { CHUNK = 4096 };
    float values[CHUNK];
    if (w->dtype == BT_FILE_BF16) {
        if (count > 0) memcpy(out, element(w, first, count), (size_t)count * sizeof *out);
        return BT_OK;
    }
    for (int64_t done = 0; done < count;) {
        int64_t n = count - done < CHUNK ? count - done : CHUNK;
        BT_TRY(bt_weight_to_f32(w, first + done, n, values));
        round_all(values, n, out + done);
        done += n;
    }
    return BT_OK;
}

void bt_weight_done(const bt_weight *w) {
    if (!w->copied && w->bytes) bt_file_map_forget(w->data, w->bytes);
}
