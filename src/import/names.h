/* Our tensors under a library's names and in its shapes: the import's rules read backwards. */
#ifndef BITTERN_IMPORT_NAMES_H
#define BITTERN_IMPORT_NAMES_H

#include "import/families.h"
#include "nn/vit.h"

/** Form of a file that a library loads. */
typedef enum bt_export_form {
    BT_FORM_BITTERN,
    BT_FORM_HUB,
    BT_FORM_TIMM,
    BT_FORM_TRANSFORMERS,
    BT_FORM_OPEN_CLIP,
    BT_FORM_TORCHVISION,
    BT_FORMS
} bt_export_form;
extern const char *const bt_form_names[BT_FORMS + 1]; /**< bittern, hub, timm, transformers, open_clip, torchvision */

/** One tensor to write. `data` is the store's, or memory of bt_named_tensors. */
typedef struct bt_named_tensor {
    char name[256];
    int rank;
    int64_t dim[4];
    const float *data;
} bt_named_tensor;

typedef struct bt_named_tensors {
    bt_named_tensor *list;
    int count;
    void **owned; /* [owned_count] */
    int owned_count;
} bt_named_tensors;

/** Names and shapes of the tower's tensors (head and adapters are not part of it) in a form. BT_ERR_UNSUPPORTED where
 * the library has no such tower (rotary positions in timm's plain ViT, SwiGLU in torchvision, ...): the message says
 * which part. */
bt_status bt_name_tensors(const bt_vit *vit, bt_params *store, bt_export_form form,
                          bt_named_tensors *out) BT_MUST_CHECK;
/** The library's names of a weight of ours, one to three (query, key, value); 0 where it has none. BT_FORM_BITTERN
 * gives its own. */
int bt_library_names(const bt_vit *vit, bt_params *store, bt_export_form form, int index, char name[3][256]);
void bt_named_tensors_free(bt_named_tensors *tensors);

#endif
