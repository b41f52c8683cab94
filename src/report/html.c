/* Pages; the style sheet is the only design there is. */
#include "report/html.h"

#include <string.h>

static const char style[] =
    "body{font:15px/1.55 system-ui,'DejaVu Sans',sans-serif;color:#222;background:#fafaf8;margin:0}"
    "main{max-width:880px;margin:0 auto;padding:32px 24px 64px}"
    "h1{font-size:26px;margin:0 0 2px}h2{font-size:18px;margin:40px 0 10px;border-bottom:1px solid "
    "#ddd;padding-bottom:4px}"
    ".sub{color:#666;margin:0 0 20px}p{max-width:70ch}"
    "figure{margin:14px 0;background:#fff;border:1px solid #e6e6e2;border-radius:6px;padding:8px}"
    "svg{max-width:100%;height:auto;display:block}"
    "table{border-collapse:collapse;background:#fff;margin:12px 0;font-variant-numeric:tabular-nums}"
    "th,td{padding:5px 14px;border-bottom:1px solid #e8e8e4;text-align:left}th{font-weight:600;color:#555}"
    ".r{text-align:right}.strong td{font-weight:600;background:#eef5fa}"
    ".strip{display:flex;gap:6px;margin:6px 0;overflow-x:auto}.strip "
    "div{font-size:11px;color:#666;text-align:center;width:84px;flex:none}"
    ".strip img{width:76px;height:76px;object-fit:cover;border:3px solid #ddd;border-radius:4px;display:block;margin:0 "
    "auto 2px}"
    ".q img{border-color:#222}.hit img{border-color:#009e73}.miss img{border-color:#d55e00}"
    "footer{margin-top:48px;color:#777;font-size:13px}"
    "@media print{body{background:#fff}figure{break-inside:avoid}}";

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
                        "content=\"width=device-width\">\n");
    put_element(out, "<title>", title, "</title>");
    bt_text_append(out, "<style>%s</style></head><body><main>\n", style);
    put_element(out, "<h1>", title, "</h1>");
    put_element(out, "<p class=\"sub\">", subtitle, "</p>");
}

void bt_html_end(bt_text *out, const char *footer) {
    put_element(out, "<footer>", footer, "</footer>");
    bt_text_append(out, "</main></body></html>\n");
}

void bt_html_section(bt_text *out, const char *heading) {
    put_element(out, "<h2>", heading, "</h2>");
}

void bt_html_paragraph(bt_text *out, const char *text) {
    put_element(out, "<p>", text, "</p>");
}

void bt_html_canvas(bt_text *out, bt_canvas *canvas) {
    bt_text_append(out, "<figure>\n");
    if (!canvas || bt_canvas_svg(canvas, out) != BT_OK) out->failed = true;
    bt_text_append(out, "</figure>\n");
    bt_canvas_free(canvas);
}

static void put_cells(bt_text *out, const char *columns, const char *const *cells, const char *tag) {
    for (size_t i = 0; columns[i]; i++) {
        bt_text_append(out, "<%s%s>", tag, columns[i] == 'r' ? " class=\"r\"" : "");
        put_escaped(out, cells[i]);
        bt_text_append(out, "</%s>", tag);
    }
    bt_text_append(out, "</tr>\n");
}

void bt_html_table_begin(bt_text *out, const char *columns, const char *const *heads) {
    bt_text_append(out, "<table><tr>");
    put_cells(out, columns, heads, "th");
}

void bt_html_table_row(bt_text *out, const char *columns, const char *const *cells, bool strong) {
    bt_text_append(out, strong ? "<tr class=\"strong\">" : "<tr>");
    put_cells(out, columns, cells, "td");
}

void bt_html_table_end(bt_text *out) {
    bt_text_append(out, "</table>\n");
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

void bt_html_strip_begin(bt_text *out) {
    bt_text_append(out, "<div class=\"strip\">\n");
}

void bt_html_strip_picture(bt_text *out, const char *media_type, const void *bytes, size_t count, const char *caption,
                           char mark) {
    const char *name = mark == 'q' ? "q" : mark == '+' ? "hit" : mark == '-' ? "miss" : "";
    bt_text_append(out, "<div class=\"%s\"><img alt=\"\" src=\"data:%s;base64,", name, media_type);
    put_base64(out, bytes, count);
    put_element(out, "\">", caption, "</div>");
}

void bt_html_strip_end(bt_text *out) {
    bt_text_append(out, "</div>\n");
}
