/* A page that opens offline: one file, pictures and plots inside it, no script. It follows the reader's choice of light
 * or dark, folds to a phone's width, and prints. */
#ifndef BITTERN_REPORT_HTML_H
#define BITTERN_REPORT_HTML_H

#include "report/canvas.h"

#include <stdint.h>

/** Begins a page; `out` grows until bt_html_end. Texts are plain and escaped here. */
void bt_html_begin(bt_text *out, const char *title, const char *subtitle);
void bt_html_end(bt_text *out, const char *footer);

/** Links to the sections that follow: `ids` and `names` (count). */
void bt_html_contents(bt_text *out, const char *const *ids, const char *const *names, int count);

/** Ends the section before it, if there is one. */
void bt_html_section(bt_text *out, const char *id, const char *heading);
void bt_html_heading(bt_text *out, const char *heading); /**< within a section */
void bt_html_paragraph(bt_text *out, const char *text);
void bt_html_note(bt_text *out, const char *text); /**< quieter: how to read what stands above */

/** Figures of one number each, side by side. */
void bt_html_tiles_begin(bt_text *out);
void bt_html_tile(bt_text *out, const char *label, const char *value, const char *note, bool strong);
void bt_html_tiles_end(bt_text *out);

/** Puts the drawing in and frees it; NULL (no memory) is the sticky failure of `out`. `caption` may be NULL. */
void bt_html_canvas(bt_text *out, bt_canvas *canvas, const char *caption);

/** Drawings between begin and end stand side by side where there is room. */
void bt_html_pair_begin(bt_text *out);
void bt_html_pair_end(bt_text *out);

/** Within a pair: what stands between begin and end, one below the other, is one of its sides. */
void bt_html_column_begin(bt_text *out);
void bt_html_column_end(bt_text *out);

/** A table: begin, then rows of cells, then end. Cells of numbers are set right by the style of the column: 'l' or 'r'
 * for each. A second line in a cell, behind '\n', is set small (the first has at most 127 bytes then). */
void bt_html_table_begin(bt_text *out, const char *columns, const char *const *heads);
void bt_html_table_row(bt_text *out, const char *columns, const char *const *cells, bool strong);
void bt_html_table_end(bt_text *out);

/** What is folded away until it is asked for. */
void bt_html_details_begin(bt_text *out, const char *summary);
void bt_html_details_end(bt_text *out);

/** A row of small pictures under a line of text, each with a line under it and, where `mark` is not 0, a frame: 'q'
 * query, '+' relevant, '-' not (solid and broken, so that colour is not needed). `bytes` NULL: an empty frame. */
void bt_html_strip_begin(bt_text *out, const char *title);
void bt_html_strip_picture(bt_text *out, const char *media_type, const void *bytes, size_t count, const char *caption,
                           char mark);
void bt_html_strip_end(bt_text *out);

#endif
