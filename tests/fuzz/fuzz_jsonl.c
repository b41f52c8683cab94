/* Files of one object a line that a killed process left: opened for appending, only a torn last line is gone; opened as
 * the metrics of a run at step 5, every line that is left is an object of step 5 or before. */
#include "fuzz.h"

#include "train/metrics.h"

static void check_append(const uint8_t *data, size_t bytes) {
    static const char line[] = "{\"step\":5}";
    const char *path = fuzz_file("log.jsonl", data, bytes);
    size_t whole = bytes, found_bytes;
    while (whole > 0 && data[whole - 1] != '\n') whole--;
    bt_jsonl *log;
    bt_text text = {0};
    bt_text_append(&text, "%s", line);
    FUZZ_CHECK(bt_jsonl_open(path, false, &log) == BT_OK && bt_jsonl_append(log, &text) == BT_OK);
    bt_jsonl_close(log);
    bt_text_free(&text);
    uint8_t *found = fuzz_read(path, &found_bytes);
    FUZZ_CHECK(found_bytes == whole + sizeof line && (whole == 0 || memcmp(found, data, whole) == 0));
    FUZZ_CHECK(memcmp(found + whole, line, sizeof line - 1) == 0 && found[found_bytes - 1] == '\n');
    free(found);
}

static void check_metrics(const uint8_t *data, size_t bytes) {
    const char *path = fuzz_file("metrics.jsonl", data, bytes);
    bt_metrics metrics = {0};
    FUZZ_CHECK(bt_metrics_open(&metrics, fuzz_folder(), 5) == BT_OK);
    bt_metrics_close(&metrics);
    size_t kept_bytes;
    char *kept = (char *)fuzz_read(path, &kept_bytes);
    for (char *line = kept, *end; line < kept + kept_bytes; line = end + 1) {
        end = memchr(line, '\n', (size_t)(kept + kept_bytes - line));
        FUZZ_CHECK(end);
        bt_json *json;
        int64_t step;
        FUZZ_CHECK(bt_json_parse(line, (size_t)(end - line), "kept", 0, &json) == BT_OK);
        FUZZ_CHECK(bt_json_get_integer(bt_json_root(json), "step", 0, 5, &step) == BT_OK);
        bt_json_free(json);
    }
    free(kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    check_append(data, bytes);
    check_metrics(data, bytes);
    return 0;
}
