/* Overrides from the command line, "key=value", one a line: into a tree, as YAML is not needed for them. */
#include "fuzz.h"

#include "formats/config_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char *text = malloc(bytes + 1);
    FUZZ_CHECK(text);
    if (bytes) memcpy(text, data, bytes);
    text[bytes] = 0;
    bt_config_tree tree = {0};
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        bt_status status = bt_config_tree_override(&tree, line);
        if (status != BT_OK) FUZZ_CHECK_REFUSED(status);
    }
    for (size_t i = 0; i < tree.count; i++) {
        const bt_config_value *v = &tree.values[i];
        FUZZ_CHECK(bt_config_tree_find(&tree, v->path) == v);
        for (int k = 0; k < (v->count < 0 ? 1 : v->count); k++)
            if (v->items[k]) fuzz_touch(v->items[k], strlen(v->items[k]));
    }
    bt_config_tree_free(&tree);
    free(text);
    return 0;
}
