/* Folders of peft that are refused, each by what is wrong in it. What is read rightly is tests/pretrained/import.sh's.
 */
#include "check.h"
#include "import/peft.h"
#include "scratch.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 8, RANK = 2 };

/** Opens a folder with these settings, and an adapter for each layer. */
static bt_status open_folder(const char *settings, const char *const *layers, int count) {
    static const float zeros[WIDTH * RANK];
    static char name[32][160];
    bt_safetensors_source source[32];
    char config[512], path[600];
    bt_peft peft;
    assert_true(2 * count <= 32);
    for (int i = 0; i < 2 * count; i++) {
        bool a = i % 2 == 0;
        snprintf(name[i], sizeof name[i], "base_model.model.%s.lora_%c.weight", layers[i / 2], a ? 'A' : 'B');
        source[i] = (bt_safetensors_source){.name = name[i],
                                            .dtype = BT_FILE_F32,
                                            .rank = 2,
                                            .dim = {a ? RANK : WIDTH, a ? WIDTH : RANK},
                                            .data = zeros};
    }
    snprintf(config, sizeof config, "{\"peft_type\":\"LORA\",\"r\":%d,%s}", RANK, settings);
    check_ok(bt_file_write(scratch_path("adapter_config.json"), config, strlen(config)));
    check_ok(bt_safetensors_write(scratch_path("adapter_model.safetensors"), source, 2 * count, NULL, 0));
    snprintf(path, sizeof path, "%s", scratch_path("adapter_config.json"));
    *strrchr(path, '/') = 0;
    bt_status status = bt_peft_open(path, &peft);
    if (status == BT_OK) bt_peft_close(&peft);
    return status;
}

#define OPEN(settings, ...)                                                                                            \
    open_folder(settings, (const char *const[]){__VA_ARGS__},                                                          \
                (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

#define QUERY(block) "encoder.layer." #block ".attention.attention.query"
#define KEY(block) "encoder.layer." #block ".attention.attention.key"
#define VALUE(block) "encoder.layer." #block ".attention.attention.value"

static void blocks_are_alike(void **state) {
    (void)state;
    check_ok(OPEN("\"lora_alpha\":4", QUERY(0), VALUE(0), QUERY(1), VALUE(1)));
    check_error(OPEN("\"lora_alpha\":4", QUERY(0), VALUE(0), QUERY(1)), BT_ERR_UNSUPPORTED,
                "3 adapters in 2 blocks: blocks that are adapted differently");
    /* as many in each, but not the same */
    check_error(OPEN("\"lora_alpha\":4", QUERY(0), KEY(0), QUERY(1), VALUE(1)), BT_ERR_UNSUPPORTED,
                "4 adapters in 2 blocks: blocks that are adapted differently");
}

static void alpha_is_bounded(void **state) {
    (void)state;
    check_ok(OPEN("\"lora_alpha\":1000000", QUERY(0)));
    check_error(OPEN("\"lora_alpha\":1e300", QUERY(0)), BT_ERR_FORMAT, "lora_alpha");
    check_error(OPEN("\"lora_alpha\":-1", QUERY(0)), BT_ERR_FORMAT, "lora_alpha");
    check_error(OPEN("\"lora_alpha\":1000000,\"use_rslora\":true", QUERY(0)), BT_ERR_UNSUPPORTED,
                "alpha comes to 1.41421e+06");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_are_alike), cmocka_unit_test(alpha_is_bounded)};
    return cmocka_run_group_tests_name("peft_read", tests, scratch_make, scratch_remove);
}
