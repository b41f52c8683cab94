/* Zip directories: members of an accepted archive lie in it, apart from each other, and are found by their names. */
#include "fuzz.h"

#include "formats/inflate.h"
#include "formats/zip.h"

/** Deflated members of any size that the check lets pass are unpacked. */
static void unpack(const bt_zip *zip, const bt_zip_member *m) {
    if (m->method != BT_ZIP_DEFLATED || m->unpacked_bytes > 1 << 20) return;
    bt_status status = bt_inflate_check("input", m->bytes, m->unpacked_bytes);
    uint8_t *out = malloc((size_t)m->unpacked_bytes + 1);
    FUZZ_CHECK(out);
    if (status == BT_OK)
        status = bt_inflate("input", zip->data + m->offset, (size_t)m->bytes, out, (size_t)m->unpacked_bytes, m->crc);
    if (status == BT_OK)
        fuzz_touch(out, (size_t)m->unpacked_bytes);
    else
        FUZZ_CHECK_REFUSED(status);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    bt_zip zip = {.count = 77};
    bt_status status = bt_zip_open("input", data, bytes, &zip);
    if (status != BT_OK) {
        FUZZ_CHECK_REFUSED(status);
        FUZZ_CHECK(zip.count == 77 && !zip.members);
        return 0;
    }
    for (size_t i = 0; i < zip.count; i++) {
        const bt_zip_member *m = &zip.members[i];
        FUZZ_CHECK(m->header < m->offset && m->offset <= bytes && m->bytes <= bytes - m->offset);
        FUZZ_CHECK(strlen(m->name) > 0 && bt_zip_find(&zip, m->name) == m);
        FUZZ_CHECK(m->method == BT_ZIP_DEFLATED || m->bytes == m->unpacked_bytes);
        fuzz_touch(data + m->offset, (size_t)m->bytes);
        for (size_t k = 0; k < i && zip.count < 100; k++) {
            const bt_zip_member *o = &zip.members[k];
            FUZZ_CHECK(o->offset + o->bytes <= m->header || m->offset + m->bytes <= o->header);
        }
        unpack(&zip, m);
    }
    bt_zip_close(&zip);
    FUZZ_CHECK(!zip.members);
    return 0;
}
