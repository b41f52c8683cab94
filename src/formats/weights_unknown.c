/* What a file is that holds no weights this library reads: told by its first bytes, seldom by its name. */
#include "formats/bytes.h"
#include "formats/weights_local.h"

#include <ctype.h>
#include <string.h>

typedef struct sign {
    size_t at;
    const char *bytes;
    size_t count;
    const char *what;
} sign;

#define SIGN(at, bytes, what)                                                                                          \
    { at, bytes, sizeof bytes - 1, what }
static const sign signs[] = {
    SIGN(0, "\x1f\x8b", "compressed with gzip; unpack it first: gunzip"),
    SIGN(0, "BZh", "compressed with bzip2; unpack it first: bunzip2"),
    SIGN(0,
         "\xfd"
         "7zXZ",
         "compressed with xz; unpack it first: unxz"),
    SIGN(0, "\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first: unzstd"),
    SIGN(0, "7z\xbc\xaf", "a 7-zip archive; unpack it and give the file of weights in it"),
    SIGN(0, "Rar!", "a RAR archive; unpack it and give the file of weights in it"),
    SIGN(257, "ustar", "a tar archive; unpack it (tar -xf) and give the file of weights in it"),
    SIGN(0, "GGUF",
         "a GGUF file of llama.cpp, whose tensors are quantised for it; take the model's safetensors or PyTorch file"),
    SIGN(0, "ggml", "a GGML file of llama.cpp; take the model's safetensors or PyTorch file"),
    SIGN(0, "lmgg", "a GGML file of llama.cpp; take the model's safetensors or PyTorch file"),
    SIGN(0, "\x89HDF\r\n\x1a\n",
         "an HDF5 file: a pack of pictures (bittern inspect shows it), or weights of Keras, which are not read"),
    SIGN(4, "TFL3", "a TensorFlow Lite model; take the model's safetensors or PyTorch file"),
    SIGN(0,
         "model_checkpoint_path:", "the list of a TensorFlow checkpoint; take the model's safetensors or PyTorch file"),
    SIGN(0, "CDF", "a NetCDF file"),
    SIGN(0, "\x89PNG", "a picture"),
    SIGN(0, "\xff\xd8\xff", "a picture"),
    SIGN(0, "GIF8", "a picture"),
    SIGN(0, "RIFF", "a picture or a sound"),
    SIGN(0, "%PDF", "a PDF document"),
    SIGN(0,
         "\x7f"
         "ELF",
         "a program or a library"),
    SIGN(0, "\x93NUMPY", "a NumPy array"),
    SIGN(0, "PK\3\4", "a zip archive"),
};

int bt_weights_first_byte(const bt_file_map *map) {
    for (size_t i = 0; i < map->bytes && i < 100; i++)
        if (!strchr(" \t\r\n", map->data[i]) || !map->data[i]) return map->data[i];
    return -1;
}

static bool begins(const bt_file_map *map, const char *text) {
    size_t n = strlen(text);
    return map->bytes >= n && memcmp(map->data, text, n) == 0;
}

static bool named(const char *path, const char *part) {
    const char *slash = strrchr(path, '/');
    return strstr(slash ? slash + 1 : path, part) != NULL;
}

static bt_status is(const char *path, const char *what) {
    return bt_error(BT_ERR_FORMAT, "%s: byte 0: no weights, but %s", path, what);
}

/** The size that a pointer of git-lfs tells; 0 if it does not. */
static unsigned long long lfs_bytes(const bt_file_map *map) {
    char text[512];
    size_t n = map->bytes < sizeof text - 1 ? map->bytes : sizeof text - 1;
    memcpy(text, map->data, n);
    text[n] = 0;
    const char *size = strstr(text, "\nsize ");
    unsigned long long bytes = 0;
    if (!size) return 0;
    for (const char *digit = size + 6; *digit >= '0' && *digit <= '9' && bytes < 1000000000000000; digit++)
        bytes = bytes * 10 + (unsigned)(*digit - '0');
    return bytes;
}

/** The first line of a text, or nothing if the bytes are no text. */
static bool first_line(const bt_file_map *map, char line[61]) {
    size_t n = 0;
    for (size_t i = 0; i < map->bytes && i < 60 && map->data[i] != '\n' && map->data[i] != '\r'; i++) {
        if (!isprint(map->data[i]) && map->data[i] != '\t') return false;
        line[n++] = (char)map->data[i];
    }
    line[n] = 0;
    return n > 0;
}

/** LevelDB's table, of which the index of a TensorFlow checkpoint is one, ends with this number. */
static bool is_table(const bt_file_map *map) {
    return map->bytes >= 48 && bt_bytes_u64(map->data + map->bytes - 8) == 0xdb4775248b80fb57;
}

static bool is_zeros(const bt_file_map *map) {
    for (size_t i = 0; i < map->bytes && i < 64; i++)
        if (map->data[i]) return false;
    return true;
}

bt_status bt_weights_unknown(const char *path, const bt_file_map *map) {
    if (map->bytes == 0) return is(path, "an empty file; download it again");
    unsigned long long lfs = begins(map, "version https://git-lfs") ? lfs_bytes(map) : 0;
    if (lfs)
        return bt_error(
            BT_ERR_FORMAT,
            "%s: byte 0: no weights, but a pointer of git-lfs to a file of %llu bytes; fetch it with `git lfs pull`",
            path, lfs);
    if (begins(map, "version https://git-lfs"))
        return is(path, "a pointer of git-lfs; fetch the file with `git lfs pull`");
    if (begins(map, "/annex/objects/") || begins(map, "../.git/annex/"))
        return is(path, "a pointer of git-annex; fetch the file with `git annex get`");
    int first = bt_weights_first_byte(map);
    if (first == '<')
        return is(path,
                  "a web page, perhaps the error page of a failed download; open it in a browser, or download again");
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (map->bytes >= signs[i].at + signs[i].count &&
            memcmp(map->data + signs[i].at, signs[i].bytes, signs[i].count) == 0)
            return is(path, signs[i].what);
    if (is_table(map) || named(path, ".data-0"))
        return is(path, "a part of a TensorFlow checkpoint; take the model's safetensors or PyTorch file");
    if (named(path, ".msgpack"))
        return is(path, "weights of Flax (msgpack), which are not read; take the model's safetensors or PyTorch file");
    if (named(path, ".onnx"))
        return is(path, "an ONNX model, which is not read; take the model's safetensors or PyTorch file");
    if (named(path, ".pb"))
        return is(path, "a TensorFlow graph, which is not read; take the model's safetensors or PyTorch file");
    if (first == '{' || first == '[')
        return is(path, "JSON; give the file of the weights themselves, or the index of their shards");
    char line[61];
    if (first_line(map, line))
        return bt_error(BT_ERR_FORMAT,
                        "%s: byte 0: no weights, but text, perhaps the message of a failed download: \"%s\"", path,
                        line);
    if (is_zeros(map)) return is(path, "zeros; the download seems to have failed: download it again");
    return bt_error(BT_ERR_FORMAT,
                    "%s: byte 0: begins with %02x %02x %02x %02x, as no file of weights that is read does; read are "
                    "safetensors, PyTorch (zip archives and before 1.6), "
                    ".npz, .npy, and indexes of shards",
                    path, map->data[0], map->bytes > 1 ? map->data[1] : 0, map->bytes > 2 ? map->data[2] : 0,
                    map->bytes > 3 ? map->data[3] : 0);
}
