/* Files: read whole, map, write so that a reader or a crash never sees half a file. Every message names the path. */
#ifndef BITTERN_BASE_FILE_H
#define BITTERN_BASE_FILE_H

#include <bittern/status.h>

#include <stddef.h>

/** Reads a file of at most `limit_bytes` into new memory (bt_memory_free), with a terminating 0 behind the content.
 *  BT_ERR_IO if it cannot be read or is not a regular file, BT_ERR_FORMAT if it is larger. */
bt_status bt_file_read(const char *path, size_t limit_bytes, char **out, size_t *out_bytes) BT_MUST_CHECK;

/** A read-only view of a file. Another process that truncates the file meanwhile makes access fault (SIGBUS). */
typedef struct bt_file_map {
    const unsigned char *data; /**< NULL for an empty file */
    size_t bytes;
} bt_file_map;

bt_status bt_file_map_open(const char *path, bt_file_map *out) BT_MUST_CHECK;
void bt_file_map_close(bt_file_map *map);

/** Lets the system take back the memory of the pages that lie wholly within this part of a map; they are read again
 * when they are used. */
void bt_file_map_forget(const void *data, size_t bytes);

/** A file being written under a temporary name (PATH.partial-PID-N) in the folder of its path. Nothing exists under the
 *  path, or the old content stays, until bt_file_commit. */
typedef struct bt_file_writer {
    int fd;          /**< -1: closed */
    char *path;      /**< the final name */
    char *temporary; /**< the name while it is written */
    char *folder;    /**< of both */
    char *buffer;
    size_t buffered_bytes;
    bt_status status; /**< the first failure stays, and commit reports it */
} bt_file_writer;

bt_status bt_file_begin(const char *path, bt_file_writer *out) BT_MUST_CHECK;

/** Appends. After a failure (a full disk) it does nothing and returns the same status. */
bt_status bt_file_append(bt_file_writer *writer, const void *data, size_t bytes);

/** Replaces bytes that were appended before, beginning at byte `offset`: for a header that is known at the end. Later
 * appends go on behind the last byte. Failures are kept as those of append. */
bt_status bt_file_patch(bt_file_writer *writer, size_t offset, const void *data, size_t bytes);

/** Writes what is buffered, and syncs: all that can fail for want of room; commit needs no memory either. For files
 * that belong together: each is flushed before the first is committed. Failures are kept as those of append. */
bt_status bt_file_flush(bt_file_writer *writer) BT_MUST_CHECK;

/** Writes what is buffered, syncs, renames, syncs the folder. On failure the temporary file is removed. Ends the writer
 *  either way. */
bt_status bt_file_commit(bt_file_writer *writer) BT_MUST_CHECK;

/** Ends the writer and removes the temporary file; the thread's message is kept. Does nothing after commit. */
void bt_file_abandon(bt_file_writer *writer);

/** begin, append and commit in one. */
bt_status bt_file_write(const char *path, const void *data, size_t bytes) BT_MUST_CHECK;

/** Makes a folder and those above it; it is no error if they exist. */
bt_status bt_file_make_folders(const char *path) BT_MUST_CHECK;

/** Removes a folder with the files in it (a folder within it is an error); it is no error if it does not exist. */
bt_status bt_file_remove_folder(const char *path) BT_MUST_CHECK;

/** Makes the names in a folder (a rename, a new file) survive a power failure. */
bt_status bt_file_sync_folder(const char *path) BT_MUST_CHECK;

/** Whether anything of that name exists. */
bool bt_file_exists(const char *path);

/** Whether it is a folder, or a link to one. */
bool bt_file_is_folder(const char *path);

/** Whether both names lead to one file that exists, by whatever links: writing one would replace what is read as the
 * other. */
bool bt_file_is_same(const char *a, const char *b);

/** `name` relative to the folder that `beside` lies in ("a/b.yaml", "c.yaml" gives "a/c.yaml"); an absolute `name`
 * stays. New memory (bt_memory_free); NULL with a message if memory is out. */
char *bt_file_sibling(const char *beside, const char *name) BT_MUST_CHECK;

/** BT_ERR_IO for a failed system call: "cannot `verb` PATH: reason", with a hint where the disk or a quota is full. */
bt_status bt_file_error(const char *verb, const char *path, int error_number);

#endif
