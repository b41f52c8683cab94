/* Pages; html_style.h is the only design there is. */
#include "report/html.h"

#include "report/html_style.h"

#include <string.h>

static void put_escaped(bt_text *out, const char *text) {
    while (*text) {
        size_t plain = strcspn(text, "&<>\"'");
        bt_text_append_bytes(out, text, plain);
        text += plain;
        if (!*text) break;
        bt_text_append(out, "&#%d;", *text++);
    }
}

static void put_element(bt_text *out, const char *open, const char *text, const char *close) {
    bt_text_append(out, "%s", open);
    put_escaped(out, text);
    bt_text_append(out, "%s\n", close);
}

void bt_html_begin(bt_text *out, const char *title, const char *subtitle) {
    bt_text_append(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                        "content=\"width=device-width,initial-scale=1\">\n");
    put_element(out, "<title>", title, "</title>");
    bt_text_append(out, "<style>%s%s</style></head><body><main>\n<header>\n", bt_html_style, bt_html_style_narrow);
    put_element(out, "<h1>", title, "</h1>");
    put_element(out, "<p class=\"sub\">", subtitle, "</p>");
    bt_text_append(out, "</header>\n<section>\n");
}

void bt_html_end(bt_text *out, const char *footer) {
    bt_text_append(out, "</section>\n");
    put_element(out, "<footer>", footer, "</footer>");
    bt_text_append(out, "</main></body></html>\n");
}

void bt_html_contents(bt_text *out, const char *const *ids, const char *const *names, int count) {
    bt_text_append(out, "<nav>");
    for (int i = 0; i < count; i++) {
        bt_text_append(out, "<a href=\"#%s\">", ids[i]);
        put_element(out, "", names[i], "</a>");
    }
    bt_text_append(out, "</nav>\n");
}

void bt_html_section(bt_text *out, const char *id, const char *heading) {
    bt_text_append(out, "</section>\n<section id=\"%s\">\n", id);
    put_element(out, "<h2>", heading, "</h2>");
}

void bt_html_heading(bt_text *out, const char *heading) {
    put_element(out, "<h3>", heading, "</h3>");
}

void bt_html_paragraph(bt_text *out, const char *text) {
    put_element(out, "<p>", text, "</p>");
}

void bt_html_note(bt_text *out, const char *text) {
    put_element(out, "<p class=\"note\">", text, "</p>");
}

void bt_html_tiles_begin(bt_text *out) {
    bt_text_append(out, "<div class=\"tiles\">\n");
}

void bt_html_tile(bt_text *out, const char *label, const char *value, const char *note, bool strong) {
    put_element(out, strong ? "<div class=\"tile main\"><span>" : "<div class=\"tile\"><span>", label, "</span>");
    put_element(out, "<b>", value, "</b>");
    put_element(out, "<small>", note, "</small></div>");
}

void bt_html_tiles_end(bt_text *out) {
    bt_text_append(out, "</div>\n");
}

void bt_html_canvas(bt_text *out, bt_canvas *canvas, const char *caption) {
    bt_text_append(out, canvas && bt_canvas_width(canvas) > 500 ? "<figure class=\"wide\">\n" : "<figure>\n");
    if (!canvas || bt_canvas_svg(canvas, out) != BT_OK) out->failed = true;
    if (caption) put_element(out, "<figcaption>", caption, "</figcaption>");
    bt_text_append(out, "</figure>\n");
    bt_canvas_free(canvas);
}

void bt_html_pair_begin(bt_text *out) {
    bt_text_append(out, "<div class=\"pair\">\n");
}

void bt_html_pair_end(bt_text *out) {
    bt_text_append(out, "</div>\n");
}

void bt_html_column_begin(bt_text *out) {
    bt_text_append(out, "<div class=\"column\">\n");
}

void bt_html_column_end(bt_text *out) {
    bt_text_append(out, "</div>\n");
}

/** What stands behind the line break is set small. */
static void put_two_lines(bt_text *out, const char *cell, size_t first) {
    char head[128];
    size_t length = first < sizeof head - 1 ? first : sizeof head - 1;
    memcpy(head, cell, length);
    head[length] = 0;
    put_escaped(out, head);
    bt_text_append(out, "<small>");
    put_escaped(out, cell + first + 1);
    bt_text_append(out, "</small>");
}

static void put_cells(bt_text *out, const char *columns, const char *const *cells, const char *tag) {
    for (size_t i = 0; columns[i]; i++) {
        bt_text_append(out, "<%s%s>", tag, columns[i] == 'r' ? " class=\"r\"" : "");
        size_t first = strcspn(cells[i], "\n");
        if (cells[i][first])
            put_two_lines(out, cells[i], first);
        else
            put_escaped(out, cells[i]);
        bt_text_append(out, "</%s>", tag);
    }
    bt_text_append(out, "</tr>\n");
}

void bt_html_table_begin(bt_text *out, const char *columns, const char *const *heads) {
    bt_text_append(out, "<div class=\"scroll\"><table><tr>");
    put_cells(out, columns, heads, "th");
}

void bt_html_table_row(bt_text *out, const char *columns, const char *const *cells, bool strong) {
    bt_text_append(out, strong ? "<tr class=\"strong\">" : "<tr>");
    put_cells(out, columns, cells, "td");
}

void bt_html_table_end(bt_text *out) {
    bt_text_append(out, "</table></div>\n");
}

void bt_html_details_begin(bt_text *out, const char *summary) {
    put_element(out, "<details><summary>", summary, "</summary>");
}

void bt_html_details_end(bt_text *out) {
    bt_text_append(out, "</details>\n");
}

/** RFC 4648. */
static void put_base64(bt_text *out, const unsigned char *bytes, size_t count) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < count; i += 3) {
        uint32_t word = (uint32_t)bytes[i] << 16;
        if (i + 1 < count) word |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < count) word |= bytes[i + 2];
        const char four[4] = {digits[word >> 18], digits[word >> 12 & 63], i + 1 < count ? digits[word >> 6 & 63] : '=',
                              i + 2 < count ? digits[word & 63] : '='};
        bt_text_append_bytes(out, four, 4);
    }
}

void bt_html_strip_begin(bt_text *out, const char *title) {
    bt_text_append(out, "<div class=\"strip\">\n");
    put_element(out, "<p class=\"of\">", title, "</p>");
}

void bt_html_strip_picture(bt_text *out, const char *media_type, const void *bytes, size_t count, const char *caption,
                           char mark) {
    const char *name = mark == 'q' ? "q" : mark == '+' ? "hit" : mark == '-' ? "miss" : "";
    bt_text_append(out, "<div class=\"%s\">", name);
    if (bytes) {
        put_element(out, "<img alt=\"", caption, "\"");
        bt_text_append(out, " src=\"data:%s;base64,", media_type);
        put_base64(out, bytes, count);
        bt_text_append(out, "\">");
    } else {
        bt_text_append(out, "<i class=\"gone\">no picture</i>");
    }
    put_element(out, "<span>", caption, "</span></div>");
}

void bt_html_strip_end(bt_text *out) {
    bt_text_append(out, "</div>\n");
}
