/* The towers' published forms: which tensors make which of ours.
 *
 * A family is a list of rules from our names (timm's, see nn/vit.h) to those of a library. In names `#` stands for a
 * block's number and a `*` at the end for the rest (weight or bias). The first rule whose tensors are all there is
 * taken.
 */
#ifndef BITTERN_IMPORT_FAMILIES_H
#define BITTERN_IMPORT_FAMILIES_H

#include <bittern/positions.h>

#include <stdbool.h>
#include <stddef.h>

typedef enum bt_import_how {
    BT_IMPORT_COPY,   /**< the same elements; axes of size 1 do not count */
    BT_IMPORT_CONCAT, /**< tensors one below the other: q, k, v; gate, up */
    BT_IMPORT_NO_K,   /**< q and v with zeros between: a key projection without bias beside a query and a value with one
                       */
    BT_IMPORT_TRANSPOSE /**< stored (inputs, outputs) */
} bt_import_how;

typedef struct bt_import_rule {
    const char *to;
    const char *from[3]; /**< NULL behind the last */
    bt_import_how how;
} bt_import_rule;

/** Tensors of a file that belong to no tower of images, and why they are left. */
typedef struct bt_import_left {
    const char *prefix; /**< of the name behind the family's prefix; with a `.` in front: anywhere in it */
    const char *why;
} bt_import_left;

typedef struct bt_import_family {
    const char *name;            /**< as users know it */
    const char *key;             /**< tensor that only this family has */
    const char *also;            /**< a second one, or NULL */
    const char *blocks;          /**< names of blocks begin with this, before the number */
    const bt_import_rule *rules; /**< ends with to == NULL */
    const bt_import_left *left;  /**< ends with prefix == NULL */
    double norm_eps;             /**< 0: differs, and must come from a configuration */
    bt_positions resampling;     /**< of DINOv2: without registers */
    bool pytorch_heads;          /**< widths stand for the published numbers of heads */
    const char *lead;            /**< which the rules' names have and the file's lack, or NULL */
    bool modules;                /**< names that models have in memory, not those of published files: only read */
} bt_import_family;

/** Ends with name == NULL. More special families come first. */
extern const bt_import_family bt_import_families[];

/** Whether `name` is of `pattern`; *block its number (-1: none), *rest the text that `*` stands for. */
bool bt_import_match(const char *pattern, const char *name, int *block, const char **rest);

/** Fills in a pattern. */
void bt_import_fill(const char *pattern, int block, const char *rest, char *out, size_t bytes);

#endif
