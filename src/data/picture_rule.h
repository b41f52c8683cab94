/* How a model's pictures become squares: what its description keeps, and a run's options say. The side of the square,
 * mean and deviation belong to the tower.
 *
 * In JSON, as members of an object:
 *   "resize": 256, "crop": 224, "interpolation": "bilinear" or "bicubic"
 *   "mode": "longest", "squash", "none"     left out: shortest
 *   "center": "down"                        left out: even
 *   "fill": [124, 116, 104]                 left out: black
 */
#ifndef BITTERN_DATA_PICTURE_RULE_H
#define BITTERN_DATA_PICTURE_RULE_H

#include "data/dataset.h"
#include "data/preprocess.h"
#include "formats/json.h"

typedef struct bt_picture_rule {
    bt_resize_mode mode;
    int resize; /**< pixels of the side that the mode means: at least the square's where pictures are to cover it */
    bt_filter filter;
    bt_center center;
    uint8_t fill[3]; /**< colour where a picture does not reach */
} bt_picture_rule;

extern const char *const bt_resize_mode_names[]; /**< shortest, longest, squash, none; ends with NULL */
extern const char *const bt_filter_names[];      /**< bilinear, bicubic; ends with NULL */
extern const char *const bt_center_names[];      /**< even, down; ends with NULL */

/** Views of (size, size) by a rule. Of values it says bytes / 255. */
bt_preprocess bt_picture_rule_at(const bt_picture_rule *rule, int size);

/** The rule of a published configuration, for squares of `size` in place of its own. BT_ERR_UNSUPPORTED where its
 * views are no squares, or resized to what is none, or do not cover the view that they are to cover, or would be
 * resized to over 8192 pixels, which no description can say. `name` heads the message. */
bt_status bt_picture_rule_of(const bt_preprocess *preprocess, int size, const char *name,
                             bt_picture_rule *out) BT_MUST_CHECK;

/** Pixels to resize to where squares of `size` take the place of those of `was`: rounded down. */
int bt_picture_rule_scale(int resize, int was, int size);

/** Whether it is the shorter side and torchvision's centre, and nothing is filled: what descriptions of version 2 can
 * say. */
bool bt_picture_rule_plain(const bt_picture_rule *rule);

/** Warns where a data set holds squares that were cut otherwise when they were packed: they are taken as they are. */
void bt_picture_rule_warn(const bt_picture_rule *rule, const bt_dataset *set);

/** Writes the members. */
void bt_picture_rule_write(const bt_picture_rule *rule, int size, bt_json_writer *writer);

/** Reads them from an object. BT_ERR_FORMAT; BT_ERR_UNSUPPORTED for a mode, filter or centre that is not known. */
bt_status bt_picture_rule_read(const bt_json_value *object, bt_picture_rule *out, int *crop) BT_MUST_CHECK;

#endif
