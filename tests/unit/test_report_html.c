/* Report pages: escaping, base64 by RFC 4648's vectors, balanced elements. */
#include "check.h"

#include "report/html.h"

static int count_of(const char *text, const char *part) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) count++;
    return count;
}

static void page(void **state) {
    (void)state;
    bt_text out = {0};
    bt_html_begin(&out, "run <1>", "a & b");
    bt_html_contents(&out, (const char *const[]){"scores"}, (const char *const[]){"Scores"}, 1);
    bt_html_section(&out, "scores", "Scores");
    bt_html_tiles_begin(&out);
    bt_html_tile(&out, "mAP", "0.5", "<note>", true);
    bt_html_tiles_end(&out);
    bt_html_pair_begin(&out);
    bt_html_column_begin(&out);
    bt_html_details_begin(&out, "more");
    bt_html_note(&out, "n");
    bt_html_details_end(&out);
    bt_html_column_end(&out);
    bt_html_pair_end(&out);
    bt_html_table_begin(&out, "lr", (const char *const[]){"name", "mAP"});
    bt_html_table_row(&out, "lr", (const char *const[]){"codes", "0.5"}, true);
    bt_html_table_row(&out, "lr", (const char *const[]){"\"random\"", "0.1\n0 to <1>"}, false);
    bt_html_table_end(&out);
    bt_html_strip_begin(&out, "query");
    bt_html_strip_picture(&out, "image/png", "x", 1, "it's", 'q');
    bt_html_strip_picture(&out, "image/png", NULL, 0, "gone", '-');
    bt_html_strip_end(&out);
    bt_canvas *canvas = bt_canvas_new(10, 10);
    assert_non_null(canvas);
    bt_html_canvas(&out, canvas, "a caption");
    bt_html_end(&out, "end");
    check_ok(bt_text_status(&out));
    const char *text = bt_text_get(&out);
    assert_non_null(strstr(text, "<h1>run &#60;1&#62;</h1>"));
    assert_non_null(strstr(text, "a &#38; b"));
    assert_non_null(strstr(text, "<tr class=\"strong\"><td>codes</td><td class=\"r\">0.5</td></tr>"));
    assert_non_null(strstr(text, "<td>&#34;random&#34;</td>"));
    assert_non_null(strstr(text, "<td class=\"r\">0.1<small>0 to &#60;1&#62;</small></td>"));
    assert_non_null(strstr(
        text,
        "<div class=\"q\"><img alt=\"it&#39;s\"\n src=\"data:image/png;base64,eA==\"><span>it&#39;s</span></div>"));
    assert_non_null(strstr(text, "<div class=\"miss\"><i class=\"gone\">no picture</i><span>gone</span></div>"));
    assert_non_null(strstr(text, "<a href=\"#scores\">Scores</a>"));
    assert_non_null(strstr(text, "<section id=\"scores\">"));
    assert_non_null(strstr(text, "<small>&#60;note&#62;</small>"));
    assert_non_null(strstr(text, "<figcaption>a caption</figcaption>"));
    static const char *const elements[] = {"table",   "tr",  "div",  "figure",     "svg",     "main",
                                           "html",    "h1",  "h2",   "footer",     "section", "details",
                                           "summary", "nav", "span", "figcaption", "small"};
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        char open[16], close[16];
        snprintf(open, sizeof open, "<%s", elements[i]);
        snprintf(close, sizeof close, "</%s>", elements[i]);
        assert_int_equal(count_of(text, open), count_of(text, close));
    }
    assert_null(strstr(text, "http://") == strstr(text, "http://www.w3.org") ? NULL : "a link to outside");
    bt_text_free(&out);
}

static void base64(void **state) {
    (void)state;
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"},
                                             {"\xfb\xff\xfe", "+//+"}};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        bt_text out = {0};
        char wanted[64];
        bt_html_strip_picture(&out, "t", vectors[i][0], strlen(vectors[i][0]), "", 0);
        snprintf(wanted, sizeof wanted, "base64,%s\">", vectors[i][1]);
        assert_non_null(strstr(bt_text_get(&out), wanted));
        bt_text_free(&out);
    }
}

static void without_memory(void **state) {
    (void)state;
    bt_text out = {0};
    bt_html_canvas(&out, NULL, NULL);
    check_error(bt_text_status(&out), BT_ERR_MEMORY, "memory");
    bt_text_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(page), cmocka_unit_test(base64),
                                       cmocka_unit_test(without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
