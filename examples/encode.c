/* Encodes pictures with an exported model: the code in hexadecimal, or with --embedding the numbers.
 *   cc encode.c $(pkg-config --cflags --libs bittern) -o encode && ./encode model.safetensors wren.jpg robin.jpg */
#include <bittern/encoder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_picture(const bt_encoder_info *info, const char *path, const float *embedding, const uint8_t *code,
                          int numbers) {
    printf("%s ", path);
    for (int i = 0; i < info->code_bytes && !numbers; i++) printf("%02x", code[i]);
    for (int i = 0; i < info->width && (numbers || !info->bits); i++)
        printf(" %.9g", embedding[i]); /* nine digits keep every bit */
    printf("\n");
}

int main(int argc, char **argv) {
    int numbers = argc > 1 && strcmp(argv[1], "--embedding") == 0;
    if (argc - numbers < 3) {
        fprintf(stderr, "usage: encode [--embedding] MODEL PICTURE...\n");
        return 2;
    }
    bt_encoder *encoder;
    bt_encoder_info info;
    bt_status status = bt_encoder_open(argv[1 + numbers], NULL, &encoder);
    if (status == BT_OK) {
        bt_encoder_describe(encoder, &info);
        float *embedding = malloc((size_t)info.width * sizeof *embedding);
        uint8_t *code = info.bits ? malloc((size_t)info.code_bytes) : NULL;
        for (int i = 2 + numbers; i < argc && status == BT_OK; i++) {
            status = embedding && (code || !info.bits) ? bt_encoder_encode_file(encoder, argv[i], embedding, NULL, code)
                                                       : BT_ERR_MEMORY;
            if (status == BT_OK) print_picture(&info, argv[i], embedding, code, numbers);
        }
        free(code);
        free(embedding);
        bt_encoder_close(encoder);
    }
    if (status != BT_OK) fprintf(stderr, "encode: %s\n", bt_error_message());
    return (int)status;
}
