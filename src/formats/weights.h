/* Weight files of every kind that pretrained models come in, behind one interface: named tensors whose bytes stay where
 * they are in the mapped file.
 *
 *   safetensors   one file, or shards named by an index (model.safetensors.index.json)
 *
 *   PyTorch       zip archives (torch.save since 1.6: .pth, .pt, .bin, .tar, .ckpt), TorchScript's among them; files of
 *                 before 1.6; shards named by an index (pytorch_model.bin.index.json)
 *
 *   NumPy         .npz (stored, or deflated in a build with zlib), .npy
 *
 * The kind is told by the first bytes, never by the file's name. Nothing of a file is run: see pickle.h for what a
 * PyTorch file may hold. Opening maps the file and reads its directory; it costs no more for large tensors. Copied are
 * only tensors that do not lie in the file as they are: transposed and expanded views of PyTorch, deflated arrays.
 * Checksums of stored zip members are not compared, because that would read all of the file; those of deflated members
 * are.
 *
 * Names are those of the file, whole: dictionaries within dictionaries are joined with '.'
 * ("model.blocks.0.norm1.weight"), elements of lists by their number. Prefixes such as "state_dict.", "teacher.",
 * "module." stay: taking them off is up to who knows the model.
 *
 * Files come from other people: every length is checked before it is used, memory is bounded (see each reader), and one
 * line says the file, the byte or member, what is wrong and what to do. What is no weight file (a web page, a pointer
 * of git-lfs) is named.
 */
#ifndef BITTERN_FORMATS_WEIGHTS_H
#define BITTERN_FORMATS_WEIGHTS_H

#include <bittern/safetensors.h>

#define BT_WEIGHT_MAX_RANK BT_SAFETENSORS_MAX_RANK

/** A tensor. All pointers are valid until bt_weights_close. */
typedef struct bt_weight {
    const char *name; /**< UTF-8, unique in the file */
    bt_file_dtype dtype;
    int rank; /**< 0: a single number */
    int64_t dim[BT_WEIGHT_MAX_RANK];
    int64_t count;    /**< elements */
    const void *data; /**< row-major, little-endian, at any address (use memcpy or bt_weight_to_...); NULL if empty */
    size_t bytes;
    const char *file; /**< the file (of several shards, the one) it lies in */
    uint64_t offset;  /**< byte of that file at which its data begin; of a copied one, its storage's or member's */
    bool copied;      /**< `data` is memory, not the file. Tied weights that lie in the file have equal `data` */
} bt_weight;

typedef struct bt_weights bt_weights;

/** Opens a file. BT_ERR_IO, BT_ERR_FORMAT, BT_ERR_UNSUPPORTED (big-endian, encrypted, deflated without zlib),
 * BT_ERR_MEMORY. */
bt_status bt_weights_open(const char *path, bt_weights **out) BT_MUST_CHECK;
void bt_weights_close(bt_weights *weights);

/** "safetensors", "safetensors in 3 shards", "PyTorch", "PyTorch (TorchScript)", "PyTorch before 1.6", "npz", "npy",
 * ... */
const char *bt_weights_format(const bt_weights *weights);

/** Tensors in the file's order: of their data (safetensors), of the dictionaries (PyTorch), of the archive (npz). */
int64_t bt_weights_count(const bt_weights *weights);
const bt_weight *bt_weights_at(const bt_weights *weights, int64_t index);

/** NULL if there is none. */
const bt_weight *bt_weights_find(const bt_weights *weights, const char *name);

/** What the file says beside its tensors, as text, in its order: "__metadata__" of safetensors; numbers, truth values
 * and text of PyTorch's dictionaries by their whole name ("epoch", "args.arch"), without those in lists and text of
 * over BT_WEIGHTS_MAX_NOTE_BYTES, the first BT_WEIGHTS_MAX_NOTES. */
#define BT_WEIGHTS_MAX_NOTES 4096
#define BT_WEIGHTS_MAX_NOTE_BYTES 4096
int64_t bt_weights_note_count(const bt_weights *weights);
void bt_weights_note_at(const bt_weights *weights, int64_t index, const char **name, const char **text);

/** Value of a note, or NULL. */
const char *bt_weights_note(const bt_weights *weights, const char *name);

/** Elements first .. first + count - 1 as float32: integers and F64 rounded to nearest even, BOOL as 0 or 1. The range
 * must lie in the tensor. BT_ERR_UNSUPPORTED for the 8-bit floats. */
bt_status bt_weight_to_f32(const bt_weight *weight, int64_t first, int64_t count, float *out) BT_MUST_CHECK;

/** The same as bfloat16: BF16 bit for bit, all others by way of float32, rounded to nearest even. */
bt_status bt_weight_to_bf16(const bt_weight *weight, int64_t first, int64_t count, uint16_t *out) BT_MUST_CHECK;

/** Tells the system that the tensor was read and its pages may go; they come back from the file when it is read again.
 * So a model is converted tensor by tensor without two copies in memory. */
void bt_weight_done(const bt_weight *weight);

#endif
