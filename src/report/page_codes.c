/* The codes themselves: balance, entropy, correlation. */
#include "report/page.h"

#include "base/file.h"
#include "base/memory.h"
#include "formats/npy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bt_status write_numbers(bt_page *page, const bt_json_value *s, int64_t bits) {
    static const struct {
        const char *key, *label, *format;
    } rows[] = {{"distinct", "distinct codes", "%.0f"},
                {"code_entropy", "entropy of whole codes, in bits", "%.2f"},
                {"entropy", "entropy of a bit, mean", "%.3f"},
                {"least_entropy", "entropy of the worst bit", "%.3f"},
                {"imbalance", "imbalance |2p - 1|, mean", "%.3f"},
                {"correlation", "correlation of two bits, mean of magnitudes", "%.3f"},
                {"worst_correlation", "correlation of the worst pair", "%.3f"},
                {"dead", "bits that never change", "%.0f"}};
    char text[160];
    int64_t codes;
    BT_TRY(bt_json_get_integer(s, "codes", 0, INT64_MAX, &codes));
    bt_html_table_begin(&page->html, "lr", (const char *const[]){"", "database"});
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double value;
        BT_TRY(bt_json_get_number(s, rows[i].key, &value));
        snprintf(text, sizeof text, rows[i].format, value);
        bt_html_table_row(&page->html, "lr", (const char *const[]){rows[i].label, text}, false);
    }
    bt_html_table_end(&page->html);
    snprintf(text, sizeof text,
             "Of %lld codes of %lld bits. Whole codes can have at most %.2f bits of entropy here, the "
             "logarithm of their number.",
             (long long)codes, (long long)bits, codes > 0 ? log2((double)codes) : 0);
    bt_html_note(&page->html, text);
    return BT_OK;
}

/** evaluation/bit_correlation.npy, if it is there and fits. */
static bt_status draw_correlation(bt_page *page, int64_t bits) {
    char path[BT_PAGE_PATH];
    bt_npy file;
    BT_TRY(bt_page_path(page, "evaluation/bit_correlation.npy", path));
    if (!bt_file_exists(path)) return BT_OK;
    BT_TRY(bt_npy_open(path, &file));
    bt_status status = BT_OK;
    double *values = NULL;
    if (file.rank != 2 || file.dim[0] != bits || file.dim[1] != bits || file.dtype != BT_FILE_F64)
        status = bt_error(BT_ERR_FORMAT, "%s: expected f64 of shape (%lld, %lld); bittern eval makes it again", path,
                          (long long)bits, (long long)bits);
    if (status == BT_OK && !(values = bt_memory_alloc((size_t)(bits * bits), sizeof *values))) status = BT_ERR_MEMORY;
    if (status == BT_OK) {
        memcpy(values, file.data, (size_t)(bits * bits) * sizeof *values);
        for (int64_t i = 0; i < bits; i++) values[i * bits + i] = 0; /* that a bit is itself says nothing */
        bt_matrix m = {
            .title = "Correlation of bits", .values = values, .rows = (int)bits, .cols = (int)bits, .is_signed = true};
        status = bt_page_plot(page, "bit_correlation", bt_matrix_draw(&m, 440),
                              "White is independent. A strong cell is a bit that repeats another one.");
    }
    bt_memory_free(values);
    bt_npy_close(&file);
    return status;
}

bt_status bt_page_codes(bt_page *page) {
    if (!page->e) return BT_OK;
    const bt_json_value *s = bt_json_find(page->e, "bit_statistics");
    int64_t bits;
    double *ones;
    BT_TRY(bt_json_get_integer(page->e, "bits", 0, 1 << 16, &bits));
    if (bits == 0 || !s || s->type != BT_JSON_OBJECT) return BT_OK;
    bt_html_section(&page->html, "codes", "Codes");
    bt_html_pair_begin(&page->html);
    bt_html_column_begin(&page->html);
    BT_TRY(bt_page_numbers(s, "ones", &bits, &ones));
    bt_columns columns = {"Share of ones", "bit", ones, (int)bits, 1, 0.5};
    bt_status status = bt_page_plot(page, "bit_balance", bt_columns_draw(&columns, 440, 240),
                                    "A bit carries most where half of the codes have it (broken line).");
    bt_memory_free(ones);
    if (status == BT_OK) status = write_numbers(page, s, bits);
    bt_html_column_end(&page->html);
    if (status == BT_OK && bits <= 512) status = draw_correlation(page, bits);
    bt_html_pair_end(&page->html);
    return status;
}
