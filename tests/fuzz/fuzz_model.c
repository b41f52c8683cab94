/* Descriptions of exported models: what is accepted is written and read as the same; and a file that carries one, with
 * a few numbers of tensors, is opened or refused without asking for memory that its size does not bear out. */
#include "fuzz.h"

#include "encoder/model_open.h"

#include <bittern/safetensors.h>

static bool same_pictures(const bt_picture_rule *a, const bt_picture_rule *b) {
    return a->mode == b->mode && a->resize == b->resize && a->filter == b->filter && a->center == b->center &&
           memcmp(a->fill, b->fill, sizeof a->fill) == 0;
}

static void check_same(const bt_model_info *a, const bt_model_info *b) {
    FUZZ_CHECK(memcmp(&a->vit, &b->vit, sizeof a->vit) == 0 && a->method == b->method &&
               same_pictures(&a->pictures, &b->pictures) && a->step == b->step);
    FUZZ_CHECK(a->config.bits == b->config.bits && a->config.head == b->config.head &&
               a->config.classes == b->config.classes);
    FUZZ_CHECK(a->lora.targets == b->lora.targets && a->lora.rank == b->lora.rank && a->lora.alpha == b->lora.alpha);
    FUZZ_CHECK(strcmp(a->tower, b->tower) == 0 && strcmp(a->targets, b->targets) == 0 && a->tower_crc == b->tower_crc);
}

static void open_file(const char *json) {
    static const float values[512];
    const bt_safetensors_source tensor = {
        .name = "cls_token", .dtype = BT_FILE_F32, .rank = 1, .dim = {512}, .data = values};
    const bt_safetensors_pair pair = {BT_MODEL_INFO_KEY, json};
    const char *path = fuzz_path("model.safetensors");
    bt_model_info info;
    bt_model model;
    if (bt_safetensors_write(path, &tensor, 1, &pair, 1) != BT_OK) return; /* a description that is not UTF-8 */
    bt_model_source source = {.path = path, .base = path};
    bt_status status = bt_model_open(&source, BT_F32, &info, &model);
    FUZZ_CHECK(status != BT_OK); /* no tower is one tensor */
    FUZZ_CHECK_REFUSED(status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char *text = malloc(bytes + 1);
    FUZZ_CHECK(text);
    if (bytes) memcpy(text, data, bytes);
    text[bytes] = 0;
    bt_model_info info = {.step = -3}, back;
    bt_status status = bt_model_info_read(text, "input", &info);
    if (status != BT_OK) {
        FUZZ_CHECK_REFUSED(status);
        FUZZ_CHECK(info.step == -3);
    } else {
        bt_text json = {0};
        FUZZ_CHECK(bt_model_info_write(&info, info.adapter_file, &json) == BT_OK);
        FUZZ_CHECK(bt_model_info_read(bt_text_get(&json), "again", &back) == BT_OK);
        check_same(&info, &back);
        bt_text_free(&json);
        open_file(text);
    }
    free(text);
    return 0;
}
