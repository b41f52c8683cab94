/* A page that opens offline: one file, pictures and plots inside it, no script. */
#ifndef BITTERN_REPORT_HTML_H
#define BITTERN_REPORT_HTML_H

#include "report/canvas.h"

#include <stdint.h>

/** Begins a page; `out` grows until bt_html_end. Texts are plain and escaped here. */
void bt_html_begin(bt_text *out, const char *title, const char *subtitle);
void bt_html_end(bt_text *out, const char *footer);

void bt_html_section(bt_text *out, const char *heading);
void bt_html_paragraph(bt_text *out, const char *text);

/** Puts the drawing in and frees it; NULL (no memory) is the sticky failure of `out`. */
void bt_html_canvas(bt_text *out, bt_canvas *canvas);

/** A table: begin, then rows of cells, then end. Cells of numbers are set right by the style of the column: 'l' or 'r'
 * for each. */
void bt_html_table_begin(bt_text *out, const char *columns, const char *const *heads);
void bt_html_table_row(bt_text *out, const char *columns, const char *const *cells, bool strong);
void bt_html_table_end(bt_text *out);

/** A row of small pictures, each with a line under it and, where `mark` is not 0, a frame: 'q' query, '+' relevant, '-'
 * not. */
void bt_html_strip_begin(bt_text *out);
void bt_html_strip_picture(bt_text *out, const char *media_type, const void *bytes, size_t count, const char *caption,
                           char mark);
void bt_html_strip_end(bt_text *out);

#endif
