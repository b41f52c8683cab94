/* Settings with where each was set, and what made the run. */
#include "report/page.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { MOST_BYTES = 16 << 20, MOST_STARTS = 50 };

/* ---- config.yaml, as bt_options_dump writes it: "section:", then "  key: value  # origin" ---- */

/** Takes a line apart in place; false for a line that is no value. */
static bool take_value(char *line, const char **key, const char **value, const char **origin) {
    char *colon = strstr(line, ": "), *hash = NULL;
    for (char *at = line; (at = strstr(at, "  # ")); at += 4) hash = at; /* the last: a value may hold one */
    while (*line == ' ') line++;
    if (!colon || !hash || hash < colon || *line == '#') return false;
    *colon = *hash = 0;
    *key = line;
    *value = colon + 2;
    *origin = hash + 4;
    return true;
}

/** Rows whose origin is, or is not, the default. */
static void write_values(bt_page *page, char *content, bool defaults) {
    char section[64] = "";
    bt_html_table_begin(&page->html, "lll", (const char *const[]){"setting", "value", "set in"});
    for (char *line = content, *end; *line; line = end + 1) {
        const char *key, *value, *origin;
        end = strchr(line, '\n');
        if (!end) end = line + strlen(line) - 1;
        size_t length = (size_t)(end - line);
        char *copy = bt_memory_alloc(length + 1, 1);
        if (!copy) {
            page->html.failed = true;
            return;
        }
        memcpy(copy, line, length);
        copy[length] = 0;
        if (length > 1 && copy[length - 1] == ':' && copy[0] != ' ' && copy[0] != '#')
            snprintf(section, sizeof section, "%.*s.", (int)length - 1, copy);
        else if (take_value(copy, &key, &value, &origin) && (strcmp(origin, "default") == 0) == defaults) {
            char path[160];
            snprintf(path, sizeof path, "%s%.90s", section, key);
            bt_html_table_row(&page->html, "lll", (const char *const[]){path, value, origin}, false);
        }
        bt_memory_free(copy);
    }
    bt_html_table_end(&page->html);
}

static bt_status write_config(bt_page *page) {
    char path[BT_PAGE_PATH], *content;
    size_t bytes;
    BT_TRY(bt_page_path(page, "config.yaml", path));
    BT_TRY(bt_file_read(path, MOST_BYTES, &content, &bytes));
    bt_html_section(&page->html, "settings", "Settings");
    write_values(page, content, false);
    bt_html_details_begin(&page->html, "What was left at its default");
    write_values(page, content, true);
    bt_html_details_end(&page->html);
    bt_memory_free(content);
    return bt_text_status(&page->html);
}

/* ---- provenance.jsonl: a line for each start ---- */

static bt_status write_start(bt_page *page, const bt_json_value *root) {
    static const char *const keys[] = {"time", "commit", "device", "host", "system"};
    const char *text[5];
    char step[24];
    int64_t at;
    for (int i = 0; i < 5; i++) {
        text[i] = "–";
        if (bt_json_find(root, keys[i])) BT_TRY(bt_json_get_string(root, keys[i], &text[i]));
    }
    BT_TRY(bt_json_get_integer(root, "step", 0, INT64_MAX, &at));
    snprintf(step, sizeof step, "%lld", (long long)at);
    bt_html_table_row(&page->html, "lrllll", (const char *const[]){text[0], step, text[1], text[2], text[3], text[4]},
                      false);
    return BT_OK;
}

static bt_status write_provenance(bt_page *page) {
    char path[BT_PAGE_PATH], *content;
    size_t bytes;
    BT_TRY(bt_page_path(page, "provenance.jsonl", path));
    if (!bt_file_exists(path)) return BT_OK;
    BT_TRY(bt_file_read(path, MOST_BYTES, &content, &bytes));
    bt_html_heading(&page->html, "Starts");
    bt_html_table_begin(&page->html, "lrllll",
                        (const char *const[]){"time (UTC)", "from step", "commit", "device", "host", "system"});
    bt_status status = BT_OK;
    int count = 0;
    for (char *line = content, *end; status == BT_OK && line < content + bytes && count < MOST_STARTS;
         line = end + 1, count++) {
        end = memchr(line, '\n', (size_t)(content + bytes - line));
        if (!end) break;
        bt_json *json;
        status = bt_json_parse(line, (size_t)(end - line), path, (size_t)(line - content), &json);
        if (status != BT_OK) break;
        status = write_start(page, bt_json_root(json));
        bt_json_free(json);
    }
    bt_html_table_end(&page->html);
    bt_memory_free(content);
    return status;
}

bt_status bt_page_settings(bt_page *page) {
    BT_TRY(write_config(page));
    return write_provenance(page);
}
