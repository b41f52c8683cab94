/* Methods: what is put on a tower and what it is trained for. A new method is one file, one row in the table, one
 * config, one parity test (docs/adding-a-method.md).
 */
#ifndef BITTERN_METHOD_METHOD_H
#define BITTERN_METHOD_METHOD_H

#include "nn/hashcoder.h"
#include "nn/vit.h"

/** Parameter groups of every method. */
enum { BT_GROUP_HEAD = 0, BT_GROUP_TOWER = 1 };
#define BT_MASK_HEAD (1u << BT_GROUP_HEAD)
#define BT_MASK_ALL (BT_MASK_HEAD | 1u << BT_GROUP_TOWER)

typedef struct bt_method bt_method;

typedef struct bt_method_config {
    int views;   /**< augmented views of an image in a step */
    int classes; /**< of the data set; from the data, not from the user */
    int bits;
    bt_hashcoder_size head;
    bool without_norm;  /**< CroVCA: HashCoder without its batch norm */
    bool supervised;    /**< CroVCA: targets are batch prototypes of the classes */
    bool given_targets; /**< CroVCA: each view's bits come from the input "targets" u8 (views*N, bits) (parity runs) */
    float align_weight, rate_weight, rate_eps;
    bool own_decay; /**< the head's weight decay is `decay`; else that of the tower's training */
    float decay;
} bt_method_config;

/** A tower with a method's head in one store. */
typedef struct bt_model {
    bt_params *store;
    bt_vit vit;
    const bt_method *method;
    bt_method_config config;
    bt_hashcoder hash;    /**< crovca */
    int class_w, class_b; /**< classify */
} bt_model;

static inline bool bt_model_has_tower(const bt_model *model) {
    return model->vit.config.depth > 0;
}

/** One term of the loss: total = sum of weight * value. Training programs have each value as an output of this name. */
typedef struct bt_loss_term {
    const char *name;
    float weight;
} bt_loss_term;

enum { BT_MAX_TERMS = 4 };

struct bt_method {
    const char *name, *summary;
    bool codes; /**< inference has "logits" (N, bits) and "bits"; otherwise "logits" (N, classes), scored by accuracy */
    bool one_label; /**< each training image needs exactly one label */
    /** Checks the configuration against a batch; messages name the config keys. */
    bt_status (*check)(const bt_method_config *config, int batch);
    /** Declares the head. */
    void (*declare)(bt_model *model, float decay, uint64_t seed);
    /** The terms of the loss; returns how many. */
    int (*terms)(const bt_method_config *config, bt_loss_term terms[BT_MAX_TERMS]);
    /** Records head and loss on embeddings e (views*N, width) of a training program, with the inputs it needs beside
     * them: the value (1) of each term, in their order. */
    void (*loss)(bt_program *p, const bt_model *model, bt_value e, int batch, bt_value value[BT_MAX_TERMS]);
    /** Records the head on embeddings e (N, width) of an inference program, with its outputs. */
    void (*embed)(bt_program *p, const bt_model *model, bt_value e);
};

extern const bt_method bt_method_crovca, bt_method_classify, bt_method_features;

/** The method called `name`; NULL with a message that names the nearest one. */
const bt_method *bt_method_named(const char *name);
const char *const *bt_method_names(void); /**< ends with NULL */

/** Creates a store with tower and head. `out` owns the store: bt_model_release. A `vit` of depth 0 is no tower, only
 * the width of embeddings that come from elsewhere: such a model has the programs on embeddings alone. */
void bt_model_init(bt_model *out, const bt_method *method, const bt_method_config *config, const bt_vit_config *vit,
                   const bt_vit_training *training, bt_dtype compute);
void bt_model_release(bt_model *model);

#endif
