/* What the Fen writes beside pictures and songs: tables, the contact sheet, and files without syncing each. */
#ifndef BITTERN_FEN_OUTPUT_H
#define BITTERN_FEN_OUTPUT_H

#include "base/text.h"
#include "fen/fen.h"
#include "fen/plan.h"

/** "FOLDER/name" in path (bytes). BT_ERR_USAGE if it does not fit. */
bt_status bt_fen_join(const char *folder, const char *name, char *path, size_t bytes) BT_MUST_CHECK;
enum { BT_FEN_PATH = 1200 };

/** Writes a file under its own name, not synced: tens of thousands of them would wait for the disk, and the world can
 * be made again. A file that cannot be written whole is removed. */
bt_status bt_fen_write_file(const char *path, const bt_text *content) BT_MUST_CHECK;

/** Appends a field of a comma-separated table, quoted where RFC 4180 wants it, and its separator (',' or the line's end
 * "\r\n"). */
void bt_fen_field(bt_text *out, const char *text, const char *separator);

/** ".jpg", ".png", ".ppm" */
const char *bt_fen_ending(bt_fen_format format);

/** taxonomy.csv, taxonomy.json, songs.csv, README.txt, and last manifest.csv. */
bt_status bt_fen_write_tables(const bt_fen_world *world, const bt_fen_options *options) BT_MUST_CHECK;

/* ---- the contact sheet: a portrait of each species in the order of the tree ---- */

enum { BT_FEN_PORTRAIT = 224, BT_FEN_MOST_PORTRAITS = 120 };

/** The plan of a species' portrait: of its training pictures one that shows it well. `world` has the portrait's size.
 */
void bt_fen_portrait(const bt_fen_world *world, int species, bt_fen_picture *out);

/** Writes sheet.png from portraits (count, BT_FEN_PORTRAIT, BT_FEN_PORTRAIT, 3) of the first `count` species. */
bt_status bt_fen_write_sheet(const bt_fen_world *world, const char *folder, const uint8_t *portraits,
                             int count) BT_MUST_CHECK;

#endif
