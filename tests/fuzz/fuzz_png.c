/* PNG. Chunks end with a CRC that hardly any change keeps, so it is put right first: otherwise only the check of the
 * CRC is fuzzed. */
#include "fuzz.h"

#define SIGNATURE_BYTES 8u
#define CHUNK_FRAME_BYTES 12u /* length, type, CRC; big-endian */

/** CRC-32 of PNG (polynomial 0xEDB88320, reflected). */
static uint32_t crc_of(const uint8_t *data, size_t bytes) {
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

static void mend_chunks(uint8_t *data, size_t bytes) {
    for (size_t at = SIGNATURE_BYTES; at + CHUNK_FRAME_BYTES <= bytes;) {
        uint32_t length =
            (uint32_t)data[at] << 24 | (uint32_t)data[at + 1] << 16 | (uint32_t)data[at + 2] << 8 | data[at + 3];
        if (length > bytes - at - CHUNK_FRAME_BYTES) return;
        uint32_t crc = crc_of(data + at + 4, (size_t)length + 4);
        uint8_t *end = data + at + 8 + length;
        for (int i = 0; i < 4; i++) end[i] = (uint8_t)(crc >> (24 - 8 * i));
        at += CHUNK_FRAME_BYTES + length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    fuzz_picture(data, bytes);
    uint8_t *mended = malloc(bytes + !bytes);
    FUZZ_CHECK(mended);
    if (bytes) memcpy(mended, data, bytes);
    mend_chunks(mended, bytes);
    fuzz_picture(mended, bytes);
    free(mended);
    return 0;
}
