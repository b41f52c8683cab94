/* Pictures in folders, root/<class>/<file>.
 *
 * Classes are the folders under root, samples the files in them whose name ends as bt_image_named allows; both in
 * bytewise order of their names (strcmp: no locale), so a sample's index is the same on every machine. Links are
 * followed and counted. What is left out is counted, and named in warnings by bt_image_folder_warn: hidden names, files
 * of other kinds, folders within classes, links to nothing, classes without a picture (which stay classes: labels do
 * not shift). */
#ifndef BITTERN_DATA_IMAGE_FOLDER_H
#define BITTERN_DATA_IMAGE_FOLDER_H

#include <bittern/status.h>

#include <stddef.h>
#include <stdint.h>

/** What was found but is no sample; `links` are samples or classes. */
typedef struct bt_folder_report {
    int64_t hidden, other_files, inner_folders, broken_links, links, empty_classes;
} bt_folder_report;

typedef struct bt_image_folder {
    char *root;
    int64_t class_count, count;
    size_t capacity;      /**< of `files`, while listing */
    char **class_names;   /**< (class_count) sorted */
    int64_t *class_first; /**< (class_count + 1) first sample of each class; the last entry is `count` */
    char **files;         /**< (count) name within the folder of the class */
    int32_t *labels;      /**< (count) */
    bt_folder_report report;
} bt_image_folder;

/** Lists a folder. BT_ERR_IO if it cannot be read, BT_ERR_FORMAT if it holds no class folder or no picture. Ends with
 *  bt_image_folder_free. */
bt_status bt_image_folder_open(const char *root, bt_image_folder *out) BT_MUST_CHECK;
void bt_image_folder_free(bt_image_folder *folder);

/** Writes one warning for each kind of thing that was left out. */
void bt_image_folder_warn(const bt_image_folder *folder);

#endif
