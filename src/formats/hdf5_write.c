/* HDF5: writing; see hdf5.h. The library writes everything but large data; those go by pwrite to the places that it
 * gave them, so that a full disk is an errno of ours and not the end of the library's caches. */
#include "formats/hdf5_common.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ALIGN_FROM 65536 /* data sets of this many bytes begin at a page: what is mapped is read in whole pages */
#define ALIGN 4096
#define TEXT_CHUNK_BYTES ((size_t)1 << 18)
#define DEFLATE_LEVEL 4

/* What the file takes, where what is left of it does not fit on the disk. */
static void put_room(const bt_h5_writer *w, char *text, size_t bytes) {
    struct stat info;
    struct statvfs disk;
    hsize_t total = (hsize_t)w->bytes;
    bool open = w->handle >= 0;
    text[0] = 0;
    if (open && H5Fget_filesize((hid_t)w->handle, &total) < 0) return; /* so far: with room for what was put */
    if (fstat(w->file.fd, &info) != 0 || fstatvfs(w->file.fd, &disk) != 0) return;
    uint64_t there = (uint64_t)info.st_blocks * 512, room = (uint64_t)disk.f_bavail * disk.f_frsize,
             left = total > there ? total - there : 0;
    if (room <= left)
        snprintf(text, bytes, "; of %s%llu bytes of the file %llu are still to be written, and there is room for %llu",
                 open ? "at least " : "", (unsigned long long)total, (unsigned long long)left,
                 (unsigned long long)room);
}

/* The first failure stays, with its message. */
static bool fails(bt_h5_writer *w, bt_status status) {
    char room[200];
    if (status == BT_OK) return false;
    if (w->status == BT_OK) {
        w->status = status;
        put_room(w, room, sizeof room);
        snprintf(w->message, sizeof w->message, "%s%s", bt_error_message(), status == BT_ERR_IO ? room : "");
    }
    return true;
}

static bt_status first_failure(const bt_h5_writer *w) {
    return w->status == BT_OK ? BT_OK : bt_error(w->status, "%s", w->message);
}

static bt_status open_library(bt_h5_writer *w, bool create) {
    bt_h5_quiet();
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_alignment(access, ALIGN_FROM, ALIGN);
    H5Pset_file_locking(access, false, true);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
    w->handle = create ? H5Fcreate(w->file.temporary, H5F_ACC_TRUNC, H5P_DEFAULT, access)
                       : H5Fopen(w->file.temporary, H5F_ACC_RDWR, access);
    /* Before any other call: each begins by forgetting the last one's reason. */
    bt_status status = w->handle < 0 ? bt_h5_fault(BT_ERR_IO, w->file.path, "write") : BT_OK;
    H5Pclose(access);
    return status;
}

bt_status bt_h5_begin(const char *path, bt_h5_writer *out) {
    bt_h5_writer w = {.handle = -1};
    BT_TRY(bt_file_begin(path, &w.file));
    bt_status status = open_library(&w, true);
    if (status != BT_OK) {
        bt_file_abandon(&w.file);
        return status;
    }
    *out = w;
    return BT_OK;
}

/* ---- data sets ---- */

static bt_status put(bt_h5_writer *w, const char *name, hid_t type, int rank, const hsize_t *dim, const void *data,
                     int64_t *offset) {
    hid_t space = rank ? H5Screate_simple(rank, dim, NULL) : H5Screate(H5S_SCALAR),
          plist = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(plist, H5D_CONTIGUOUS);
    H5Pset_alloc_time(plist, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(plist, H5D_FILL_TIME_NEVER);
    H5Pset_obj_track_times(plist, false); /* equal data make equal files */
    hid_t set = H5Dcreate2((hid_t)w->handle, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    bool fine = set >= 0 && (!data || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    if (fine && offset) {
        haddr_t at = H5Dget_offset(set);
        fine = at != HADDR_UNDEF || H5Sget_simple_extent_npoints(space) == 0;
        *offset = at == HADDR_UNDEF ? 0 : (int64_t)at;
    }
    bt_status status = fine ? BT_OK : bt_h5_fault(BT_ERR_IO, w->file.path, "write");
    if (set >= 0) fine = H5Dclose(set) >= 0;
    if (status == BT_OK && !fine) status = bt_h5_fault(BT_ERR_IO, w->file.path, "write");
    H5Sclose(space);
    H5Pclose(plist);
    return status;
}

void bt_h5_put(bt_h5_writer *w, const char *name, bt_file_dtype dtype, int rank, const int64_t *dim, const void *data,
               int64_t *offset) {
    hsize_t size[BT_NPY_MAX_RANK];
    BT_ASSERT(rank <= BT_NPY_MAX_RANK && bt_h5_type(dtype) >= 0);
    if (w->status != BT_OK) return;
    for (int i = 0; i < rank; i++) size[i] = (hsize_t)dim[i];
    (void)fails(w, put(w, name, bt_h5_type(dtype), rank, size, data, offset));
}

/* UTF-8 of a fixed length, padded with 0. */
static hid_t text_type(size_t bytes) {
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, bytes);
    H5Tset_cset(type, H5T_CSET_UTF8);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    return type;
}

static bt_status write_texts(bt_h5_writer *w, hid_t set, hid_t type, const char *const *texts, hsize_t count,
                             size_t item, hsize_t slice) {
    char *buffer = bt_memory_alloc(slice, item);
    hid_t space = H5Dget_space(set);
    bt_status status = buffer ? BT_OK : BT_ERR_MEMORY;
    for (hsize_t at = 0; at < count && status == BT_OK; at += slice) {
        hsize_t part = count - at < slice ? count - at : slice;
        memset(buffer, 0, part * item);
        for (hsize_t i = 0; i < part; i++) {
            const char *text = texts[at + i] ? texts[at + i] : "";
            memcpy(buffer + i * item, text, strlen(text));
        }
        hid_t memory = H5Screate_simple(1, &part, NULL);
        if (H5Sselect_hyperslab(space, H5S_SELECT_SET, &at, NULL, &part, NULL) < 0 ||
            H5Dwrite(set, type, memory, space, H5P_DEFAULT, buffer) < 0)
            status = bt_h5_fault(BT_ERR_IO, w->file.path, "write");
        H5Sclose(memory);
    }
    H5Sclose(space);
    bt_memory_free(buffer);
    return status;
}

static bt_status put_texts(bt_h5_writer *w, const char *name, const char *const *texts, hsize_t count) {
    size_t item = 1;
    for (hsize_t i = 0; i < count; i++) {
        size_t length = texts[i] ? strlen(texts[i]) : 0;
        item = length > item ? length : item;
    }
    if (item > 65536)
        return bt_error(BT_ERR_UNSUPPORTED, "%s: a text of %zu bytes; at most 65536 are packed", w->file.path, item);
    hsize_t slice = TEXT_CHUNK_BYTES / item + 1;
    if (slice > count) slice = count ? count : 1;
    hid_t type = text_type(item), space = H5Screate_simple(1, &count, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(plist, false);
    if (count > 0) {
        H5Pset_chunk(plist, 1, &slice);
        if (H5Zfilter_avail(H5Z_FILTER_DEFLATE) > 0) H5Pset_deflate(plist, DEFLATE_LEVEL);
    }
    hid_t set = H5Dcreate2((hid_t)w->handle, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    bt_status status = set < 0 ? bt_h5_fault(BT_ERR_IO, w->file.path, "write") : BT_OK;
    if (status == BT_OK) status = write_texts(w, set, type, texts, count, item, slice);
    if (set >= 0 && H5Dclose(set) < 0 && status == BT_OK) status = bt_h5_fault(BT_ERR_IO, w->file.path, "write");
    H5Tclose(type);
    H5Sclose(space);
    H5Pclose(plist);
    return status;
}

void bt_h5_put_texts(bt_h5_writer *w, const char *name, const char *const *texts, int64_t count) {
    if (w->status == BT_OK) (void)fails(w, put_texts(w, name, texts, (hsize_t)count));
}

/* ---- attributes ---- */

static bt_status put_attribute(bt_h5_writer *w, const char *name, hid_t type, const void *value) {
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2((hid_t)w->handle, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool fine = attribute >= 0 && H5Awrite(attribute, type, value) >= 0;
    bt_status status = fine ? BT_OK : bt_h5_fault(BT_ERR_IO, w->file.path, "write");
    if (attribute >= 0) H5Aclose(attribute);
    H5Sclose(space);
    return status;
}

void bt_h5_put_number(bt_h5_writer *w, const char *name, int64_t value) {
    if (w->status == BT_OK) (void)fails(w, put_attribute(w, name, H5T_STD_I64LE, &value));
}

void bt_h5_put_text(bt_h5_writer *w, const char *name, const char *text) {
    if (w->status != BT_OK) return;
    size_t length = strlen(text);
    hid_t type = text_type(length ? length : 1);
    (void)fails(w, put_attribute(w, name, type, text));
    H5Tclose(type);
}

/* ---- the end ---- */

static bt_status seal(bt_h5_writer *w) {
    struct stat info;
    hsize_t bytes;
    if (H5Fget_filesize((hid_t)w->handle, &bytes) >= 0) w->bytes = (int64_t)bytes;
    bool closed = H5Fclose((hid_t)w->handle) >= 0;
    w->handle = -1;
    if (!closed) return bt_h5_fault(BT_ERR_IO, w->file.path, "write");
    if (fstat(w->file.fd, &info) != 0) return bt_file_error("look at", w->file.temporary, errno);
    w->bytes = (int64_t)info.st_size;
    int error = info.st_size > 0 ? posix_fallocate(w->file.fd, 0, info.st_size) : 0;
    /* File systems that cannot reserve room say EOPNOTSUPP or EINVAL; there a full disk shows while writing. */
    if (error && error != EOPNOTSUPP && error != EINVAL) return bt_file_error("make room for", w->file.path, error);
    return BT_OK;
}

bt_status bt_h5_seal(bt_h5_writer *w) {
    if (w->status == BT_OK && w->handle >= 0) (void)fails(w, seal(w));
    return first_failure(w);
}

bt_status bt_h5_fill(bt_h5_writer *w, int64_t offset, const void *data, size_t bytes) {
    const char *from = data;
    BT_ASSERT(w->handle < 0);
    while (w->status == BT_OK && bytes > 0) {
        ssize_t done = pwrite(w->file.fd, from, bytes, offset);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) {
            (void)fails(w, bt_file_error("write", w->file.path, errno));
        } else {
            from += done;
            offset += done;
            bytes -= (size_t)done;
        }
    }
    return first_failure(w);
}

static bt_status change(bt_h5_writer *w, const char *name, int64_t value) {
    BT_TRY(open_library(w, false));
    hid_t attribute = H5Aopen((hid_t)w->handle, name, H5P_DEFAULT);
    bool fine = attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_INT64, &value) >= 0;
    bt_status status = fine ? BT_OK : bt_h5_fault(BT_ERR_IO, w->file.path, "write");
    if (attribute >= 0) H5Aclose(attribute);
    fine = H5Fclose((hid_t)w->handle) >= 0;
    w->handle = -1;
    return status == BT_OK && !fine ? bt_h5_fault(BT_ERR_IO, w->file.path, "write") : status;
}

bt_status bt_h5_change_number(bt_h5_writer *w, const char *name, int64_t value) {
    BT_ASSERT(w->handle < 0);
    if (w->status == BT_OK) (void)fails(w, change(w, name, value));
    return first_failure(w);
}

bt_status bt_h5_commit(bt_h5_writer *w) {
    bt_status status = bt_h5_seal(w);
    if (status == BT_OK) return bt_file_commit(&w->file);
    bt_h5_abandon(w);
    return bt_error(status, "%s", w->message);
}

void bt_h5_abandon(bt_h5_writer *w) {
    if (w->handle >= 0) H5Fclose((hid_t)w->handle);
    w->handle = -1;
    H5Eclear2(H5E_DEFAULT);
    bt_file_abandon(&w->file);
}
