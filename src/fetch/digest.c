/* SHA-256 by libcrypto; see digest.h. */
#include "fetch/digest.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 20 };

bool bt_sha256_available(void) {
    return true;
}

static bt_status add_file(EVP_MD_CTX *context, const char *path, int fd, unsigned char *piece, bool (*stop)(void)) {
    for (;;) {
        if (stop && stop()) return bt_error(BT_ERR_INTERRUPTED, "interrupted while %s was checked", path);
        ssize_t got = read(fd, piece, PIECE_BYTES);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return bt_file_error("read", path, errno);
        if (got == 0) return BT_OK;
        if (!EVP_DigestUpdate(context, piece, (size_t)got))
            return bt_error(BT_ERR_FAILED, "SHA-256 of %s: libcrypto failed", path);
    }
}

bt_status bt_sha256_file(const char *path, bool (*stop)(void), char out[BT_SHA256_BYTES]) {
    unsigned char sum[EVP_MAX_MD_SIZE], *piece = bt_memory_alloc(PIECE_BYTES, 1);
    unsigned length = 0;
    if (!piece) return BT_ERR_MEMORY;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bt_status status = fd < 0 ? bt_file_error("open", path, errno) : BT_OK;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (status == BT_OK && (!context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL)))
        status = bt_error(BT_ERR_FAILED, "libcrypto has no SHA-256 (a restricted configuration of OpenSSL?)");
    if (status == BT_OK) status = add_file(context, path, fd, piece, stop);
    if (status == BT_OK && (!EVP_DigestFinal_ex(context, sum, &length) || length != 32))
        status = bt_error(BT_ERR_FAILED, "SHA-256 of %s: libcrypto failed", path);
    for (int i = 0; status == BT_OK && i < 32; i++) snprintf(out + 2 * i, 3, "%02x", sum[i]);
    EVP_MD_CTX_free(context);
    if (fd >= 0) close(fd);
    bt_memory_free(piece);
    return status;
}
