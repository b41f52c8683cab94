/* HDF5: reading with the library, in the process that hdf5_guard.c keeps for it; see hdf5_local.h. */
#include "formats/hdf5_local.h"

#include "formats/hdf5_common.h"

#include "base/memory.h"
#include "base/text.h"

#include <hdf5.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_BYTES 512
#define TEXT_BYTES 65536 /* of one text */
/* Deflate packs at most 1032 bytes into one; the rest is for small files. */
#define DEFLATE_RATIO 1032
#define DEFLATE_SLACK ((size_t)1 << 20)

struct bt_h5_local {
    char *path;
    hid_t handle;
    size_t bytes; /* of the file */
};

static bt_status refuse(const bt_h5_local *file, const char *name, bt_status status, const char *what) {
    return bt_error(status, "%s: data set %s: %s", file->path, name, what);
}

bt_status bt_h5_local_open(const char *path, bt_h5_local **out) {
    struct stat info;
    if (!bt_h5_is(path)) {
        if (!bt_file_exists(path)) return bt_file_error("open", path, 2);
        return bt_error(BT_ERR_FORMAT, "%s: not an HDF5 file: its first bytes are others", path);
    }
    bt_h5_quiet();
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_file_locking(access, false, true); /* read-only and network file systems have no locks */
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    hid_t handle = H5Fopen(path, H5F_ACC_RDONLY, access);
    /* Before any other call: each begins by forgetting the last one's reason. */
    bt_status status = handle < 0 ? bt_h5_fault(BT_ERR_FORMAT, path, "open it as HDF5") : BT_OK;
    H5Pclose(access);
    BT_TRY(status);
    bt_h5_local *file = bt_memory_zeroed(1, sizeof *file);
    if (file) {
        file->handle = handle;
        file->path = bt_memory_copy_text(path);
    }
    if (!file || !file->path || stat(path, &info) != 0) {
        H5Fclose(handle);
        bt_memory_free(file ? file->path : NULL);
        bt_memory_free(file);
        return BT_ERR_MEMORY;
    }
    file->bytes = (size_t)info.st_size;
    *out = file;
    return BT_OK;
}

void bt_h5_local_close(bt_h5_local *file) {
    if (!file) return;
    H5Fclose(file->handle);
    bt_memory_free(file->path);
    bt_memory_free(file);
}

/* ---- finding ---- */

/* Every step of the name must be a hard link: the others may lead into other files. 0: not there, -1: another link. */
static int follow(bt_h5_local *file, const char *name) {
    char part[NAME_BYTES];
    size_t length = strlen(name);
    if (length == 0 || length >= sizeof part) return 0;
    for (size_t i = 1; i <= length; i++) {
        H5L_info_t info;
        if (name[i] != '/' && name[i] != 0) continue;
        memcpy(part, name, i);
        part[i] = 0;
        if (H5Lexists(file->handle, part, H5P_DEFAULT) <= 0) return 0;
        if (H5Lget_info(file->handle, part, &info, H5P_DEFAULT) < 0) return 0;
        if (info.type != H5L_TYPE_HARD) return -1;
    }
    return 1;
}

bool bt_h5_local_has(bt_h5_local *file, const char *name) {
    bool has = follow(file, name) == 1;
    H5Eclear2(H5E_DEFAULT);
    return has;
}

static bt_status open_array(bt_h5_local *file, const char *name, hid_t *out) {
    int found = follow(file, name);
    if (found == 0) return bt_error(BT_ERR_FORMAT, "%s: it has no data set %.200s", file->path, name);
    if (found < 0)
        return refuse(file, name, BT_ERR_UNSUPPORTED, "a link that is not followed; copy the data into this file");
    H5O_info_t info;
    if (H5Oget_info_by_name2(file->handle, name, &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0)
        return bt_h5_fault(BT_ERR_FORMAT, file->path, "read an entry");
    if (info.type != H5O_TYPE_DATASET) return refuse(file, name, BT_ERR_FORMAT, "it is a group");
    *out = H5Dopen2(file->handle, name, H5P_DEFAULT);
    return *out < 0 ? bt_h5_fault(BT_ERR_FORMAT, file->path, "open a data set") : BT_OK;
}

/* ---- checks ---- */

static bt_status integer_type(const bt_h5_local *file, const char *name, hid_t type, bt_file_dtype *out) {
    static const bt_file_dtype types[2][4] = {{BT_FILE_U8, BT_FILE_U16, BT_FILE_U32, BT_FILE_U64},
                                              {BT_FILE_I8, BT_FILE_I16, BT_FILE_I32, BT_FILE_I64}};
    size_t bytes = H5Tget_size(type);
    int at = bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : bytes == 8 ? 3 : -1;
    if (at < 0 || H5Tget_precision(type) != 8 * bytes || H5Tget_offset(type) != 0)
        return refuse(file, name, BT_ERR_UNSUPPORTED, "whole numbers of 8, 16, 32 and 64 bits are read");
    if (bytes > 1 && H5Tget_order(type) != H5T_ORDER_LE)
        return refuse(file, name, BT_ERR_UNSUPPORTED,
                      "big-endian numbers; write it again with .astype(x.dtype.newbyteorder(\"<\"))");
    *out = types[H5Tget_sign(type) == H5T_SGN_2][at];
    return BT_OK;
}

/* Of IEEE's sizes only: the library can describe any. */
static bt_status float_type(const bt_h5_local *file, const char *name, hid_t type, bt_file_dtype *out) {
    size_t bytes = H5Tget_size(type), sign = 0, exponent = 0, exponent_bits = 0, mantissa = 0, mantissa_bits = 0;
    if (H5Tget_order(type) != H5T_ORDER_LE && bytes > 1)
        return refuse(file, name, BT_ERR_UNSUPPORTED,
                      "big-endian numbers; write it again with .astype(x.dtype.newbyteorder(\"<\"))");
    H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits);
    static const struct {
        size_t bytes, exponent_bits;
        bt_file_dtype dtype;
    } known[] = {{2, 5, BT_FILE_F16}, {4, 8, BT_FILE_F32}, {8, 11, BT_FILE_F64}};
    for (int i = 0; i < 3; i++) {
        size_t bits = 8 * known[i].bytes - 1;
        if (bytes != known[i].bytes || sign != bits || exponent_bits != known[i].exponent_bits ||
            exponent + exponent_bits != bits || mantissa != 0 || mantissa_bits != exponent ||
            H5Tget_ebias(type) != ((size_t)1 << (exponent_bits - 1)) - 1)
            continue;
        *out = known[i].dtype;
        return BT_OK;
    }
    return refuse(file, name, BT_ERR_UNSUPPORTED, "an odd floating-point type; float16, float32 and float64 are read");
}

static bt_status check_type(const bt_h5_local *file, const char *name, hid_t type, bt_h5_array *out) {
    out->item_bytes = H5Tget_size(type);
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        return integer_type(file, name, type, &out->dtype);
    case H5T_FLOAT:
        return float_type(file, name, type, &out->dtype);
    case H5T_ENUM: { /* h5py's booleans */
        hid_t base = H5Tget_super(type);
        bt_status status = base < 0 ? bt_h5_fault(BT_ERR_FORMAT, file->path, "read a type")
                                    : integer_type(file, name, base, &out->dtype);
        if (base >= 0) H5Tclose(base);
        return status;
    }
    case H5T_STRING:
        if (H5Tis_variable_str(type) != 0)
            return refuse(file, name, BT_ERR_UNSUPPORTED,
                          "texts of variable length; write them with a fixed one (dtype \"S32\")");
        out->text = true;
        if (out->item_bytes >= 1 && out->item_bytes <= TEXT_BYTES) return BT_OK;
        return refuse(file, name, BT_ERR_UNSUPPORTED, "texts of more than 65536 bytes");
    default:
        return refuse(file, name, BT_ERR_UNSUPPORTED, "neither numbers nor texts");
    }
}

static bt_status check_shape(const bt_h5_local *file, const char *name, hid_t space, bt_h5_array *out) {
    hsize_t dim[H5S_MAX_RANK];
    H5S_class_t kind = H5Sget_simple_extent_type(space);
    int rank = H5Sget_simple_extent_ndims(space);
    if (kind == H5S_NULL || rank < 0) return refuse(file, name, BT_ERR_FORMAT, "it is empty");
    if (rank > BT_NPY_MAX_RANK) return refuse(file, name, BT_ERR_UNSUPPORTED, "more than 8 axes");
    H5Sget_simple_extent_dims(space, dim, NULL);
    size_t count = 1;
    out->rank = rank;
    for (int i = 0; i < rank; i++) {
        if (dim[i] > INT64_MAX || !bt_memory_product(count, (size_t)dim[i], &count) || count > INT64_MAX)
            return refuse(file, name, BT_ERR_FORMAT, "more elements than 2^63");
        out->dim[i] = (int64_t)dim[i];
    }
    out->count = (int64_t)count;
    if (!bt_memory_product(count, out->item_bytes, &out->bytes) || out->bytes > INT64_MAX)
        return refuse(file, name, BT_ERR_FORMAT, "more than 2^63 bytes");
    return BT_OK;
}

static bt_status check_filters(const bt_h5_local *file, const char *name, hid_t plist) {
    int count = H5Pget_nfilters(plist);
    for (int i = 0; i < count; i++) {
        unsigned flags, config;
        size_t values = 0;
        char filter[32] = "";
        H5Z_filter_t id = H5Pget_filter2(plist, (unsigned)i, &flags, &values, NULL, sizeof filter, filter, &config);
        if (id == H5Z_FILTER_DEFLATE || id == H5Z_FILTER_SHUFFLE || id == H5Z_FILTER_FLETCHER32) continue;
        return bt_error(BT_ERR_UNSUPPORTED,
                        "%s: data set %s: packed with filter %d; write it with gzip or without compression", file->path,
                        name, (int)id);
    }
    return BT_OK;
}

static bt_status check_size(const bt_h5_local *file, const char *name, size_t most, const bt_h5_array *array) {
    if (array->bytes <= most) return BT_OK;
    return bt_error(BT_ERR_FORMAT,
                    "%s: data set %s claims %zu bytes, more than this file of %zu bytes can hold; it is cut or damaged",
                    file->path, name, array->bytes, file->bytes);
}

static bt_status check_layout(const bt_h5_local *file, const char *name, hid_t set, hid_t plist, bt_h5_array *out) {
    out->offset = -1;
    switch (H5Pget_layout(plist)) {
    case H5D_COMPACT: /* within the head of the data set; the library does not compare the two sizes */
        return check_size(file, name, (size_t)H5Dget_storage_size(set), out);
    case H5D_CHUNKED:
        BT_TRY(check_filters(file, name, plist));
        return check_size(
            file, name,
            file->bytes > SIZE_MAX / DEFLATE_RATIO / 2 ? SIZE_MAX : file->bytes * DEFLATE_RATIO + DEFLATE_SLACK, out);
    case H5D_CONTIGUOUS:
        if (H5Pget_external_count(plist) != 0)
            return refuse(file, name, BT_ERR_UNSUPPORTED,
                          "its data are in other files, which are not followed; copy them into this one");
        haddr_t at = H5Dget_offset(set);
        if (at == HADDR_UNDEF && out->bytes == 0) return BT_OK;
        if (at == HADDR_UNDEF) return refuse(file, name, BT_ERR_FORMAT, "its data were never written");
        BT_TRY(check_size(file, name, (size_t)H5Dget_storage_size(set), out));
        if (at > file->bytes) return check_size(file, name, 0, out);
        out->offset = (int64_t)at;
        return check_size(file, name, file->bytes - (size_t)at, out);
    default:
        return refuse(file, name, BT_ERR_UNSUPPORTED,
                      "a virtual data set, whose data are elsewhere; copy them into this file");
    }
}

static bt_status check_all(const bt_h5_local *file, const char *name, hid_t set, bt_h5_array *out) {
    hid_t type = H5Dget_type(set), space = H5Dget_space(set), plist = H5Dget_create_plist(set);
    bt_status status = BT_OK;
    if (type < 0 || space < 0 || plist < 0)
        status = bt_h5_fault(BT_ERR_FORMAT, file->path, "read the head of a data set");
    if (status == BT_OK) status = check_type(file, name, type, out);
    if (status == BT_OK) status = check_shape(file, name, space, out);
    if (status == BT_OK) status = check_layout(file, name, set, plist, out);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (plist >= 0) H5Pclose(plist);
    return status;
}

bt_status bt_h5_local_look(bt_h5_local *file, const char *name, bt_h5_array *out) {
    hid_t set;
    bt_h5_array array = {.rank = 0};
    BT_TRY(open_array(file, name, &set));
    bt_status status = check_all(file, name, set, &array);
    H5Dclose(set);
    if (status == BT_OK) *out = array;
    return status;
}

/* ---- content ---- */

/* Elements as they are in the file: its type is the memory's. */
bt_status bt_h5_local_read(bt_h5_local *file, const char *name, const bt_h5_array *array, void *out) {
    hid_t set;
    if (array->bytes == 0) return BT_OK;
    BT_TRY(open_array(file, name, &set));
    hid_t type = H5Dget_type(set);
    bt_status status = BT_OK;
    if (type < 0 || H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        status = bt_h5_fault(BT_ERR_FORMAT, file->path, "read a data set");
    if (type >= 0) H5Tclose(type);
    H5Dclose(set);
    return status;
}

static bt_status take_texts(const char *from, size_t item, int64_t count, bt_text *out) {
    for (int64_t i = 0; i < count; i++, from += item) {
        bt_text_append_bytes(out, from, strnlen(from, item));
        bt_text_append_bytes(out, "", 1);
    }
    return bt_text_status(out);
}

/* In slices: padding of a long text among many short ones is not all in memory at once. */
static bt_status read_slices(bt_h5_local *file, hid_t set, const bt_h5_array *array, bt_text *out) {
    hsize_t slice = (hsize_t)((size_t)1 << 20) / array->item_bytes + 1, total = (hsize_t)array->count;
    char *buffer = bt_memory_alloc(slice, array->item_bytes);
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    bt_status status = buffer ? BT_OK : BT_ERR_MEMORY;
    for (hsize_t at = 0; at < total && status == BT_OK; at += slice) {
        hsize_t count = total - at < slice ? total - at : slice;
        hid_t memory = H5Screate_simple(1, &count, NULL);
        if (memory < 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, &at, NULL, &count, NULL) < 0 ||
            H5Dread(set, type, memory, space, H5P_DEFAULT, buffer) < 0)
            status = bt_h5_fault(BT_ERR_FORMAT, file->path, "read texts");
        if (memory >= 0) H5Sclose(memory);
        if (status == BT_OK) status = take_texts(buffer, array->item_bytes, (int64_t)count, out);
    }
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    bt_memory_free(buffer);
    return status;
}

bt_status bt_h5_local_texts(bt_h5_local *file, const char *name, int64_t count, bt_text *out) {
    bt_h5_array array;
    hid_t set;
    BT_TRY(bt_h5_local_look(file, name, &array));
    if (!array.text || array.rank != 1 || array.count != count)
        return bt_error(BT_ERR_FORMAT, "%s: data set %s is not a list of %" PRId64 " texts", file->path, name, count);
    BT_TRY(open_array(file, name, &set));
    bt_status status = read_slices(file, set, &array, out);
    H5Dclose(set);
    return status;
}

/* ---- attributes ---- */

/* An open attribute of one element, and its type; the caller closes both. */
static bt_status open_attribute(bt_h5_local *file, const char *name, H5T_class_t kind, hid_t *attribute, hid_t *type) {
    if (H5Aexists(file->handle, name) <= 0) {
        H5Eclear2(H5E_DEFAULT);
        return bt_error(BT_ERR_FORMAT, "%s: it has no attribute %s", file->path, name);
    }
    *attribute = H5Aopen(file->handle, name, H5P_DEFAULT);
    if (*attribute < 0) return bt_h5_fault(BT_ERR_FORMAT, file->path, "open an attribute");
    *type = H5Aget_type(*attribute);
    hid_t space = H5Aget_space(*attribute);
    bool fits = *type >= 0 && space >= 0 && H5Sget_simple_extent_npoints(space) == 1 && H5Tget_class(*type) == kind;
    if (fits && kind == H5T_STRING) fits = H5Tis_variable_str(*type) == 0;
    if (space >= 0) H5Sclose(space);
    if (fits) return BT_OK;
    if (*type >= 0) H5Tclose(*type);
    H5Aclose(*attribute);
    H5Eclear2(H5E_DEFAULT);
    return bt_error(BT_ERR_FORMAT, "%s: attribute %s is not one %s", file->path, name,
                    kind == H5T_STRING ? "text of fixed length" : "whole number");
}

bt_status bt_h5_local_number(bt_h5_local *file, const char *name, int64_t *out) {
    hid_t attribute, type;
    BT_TRY(open_attribute(file, name, H5T_INTEGER, &attribute, &type));
    int64_t value;
    bt_status status = H5Aread(attribute, H5T_NATIVE_INT64, &value) < 0
                           ? bt_h5_fault(BT_ERR_FORMAT, file->path, "read an attribute")
                           : BT_OK;
    H5Tclose(type);
    H5Aclose(attribute);
    if (status == BT_OK) *out = value;
    return status;
}

bt_status bt_h5_local_text(bt_h5_local *file, const char *name, char *out, size_t bytes) {
    hid_t attribute, type;
    BT_TRY(open_attribute(file, name, H5T_STRING, &attribute, &type));
    size_t own = H5Tget_size(type);
    char *text = own <= TEXT_BYTES ? bt_memory_zeroed(own + 1, 1) : NULL;
    bt_status status = text ? BT_OK : bt_error(BT_ERR_FORMAT, "%s: attribute %s is too long", file->path, name);
    if (text && H5Aread(attribute, type, text) < 0)
        status = bt_h5_fault(BT_ERR_FORMAT, file->path, "read an attribute");
    H5Tclose(type);
    H5Aclose(attribute);
    if (status == BT_OK) snprintf(out, bytes, "%s", text);
    bt_memory_free(text);
    return status;
}

/* ---- the only data set ---- */

/* The name of the only data set at the root, in `name`. */
typedef struct only {
    char name[NAME_BYTES], list[300];
    int count;
} only;

static herr_t on_link(hid_t group, const char *name, const H5L_info_t *info, void *context) {
    only *o = context;
    H5O_info_t object;
    if (info->type != H5L_TYPE_HARD || H5Oget_info_by_name2(group, name, &object, H5O_INFO_BASIC, H5P_DEFAULT) < 0)
        return 0;
    if (object.type != H5O_TYPE_DATASET) return 0;
    snprintf(o->name, sizeof o->name, "%s", name);
    size_t length = strlen(o->list);
    snprintf(o->list + length, sizeof o->list - length, "%s%s", length ? ", " : "", name);
    return ++o->count > 1000;
}

bt_status bt_h5_local_only(bt_h5_local *file, bt_text *out) {
    only list = {.count = 0}, *o = &list;
    if (H5Literate(file->handle, H5_INDEX_NAME, H5_ITER_INC, NULL, on_link, o) < 0)
        return bt_h5_fault(BT_ERR_FORMAT, file->path, "list it");
    if (o->count == 1) {
        bt_text_append(out, "%s", o->name);
        return bt_text_status(out);
    }
    return bt_error(BT_ERR_FORMAT, "%s: it has %d data sets%s%s; name one as in %s:%s", file->path, o->count,
                    o->count ? ": " : "", o->list, file->path, o->count ? o->name : "embeddings");
}
