/* What the tests of a whole device train: a tiny ViT by each method, in whole steps and in chunks, on pictures of
 * noise. The same for every device, so that runs can be compared. */
#ifndef BITTERN_DEVICE_SCENES_H
#define BITTERN_DEVICE_SCENES_H

#include "train/session.h"

enum { SCENE_BATCH = 8, SCENE_EMBED_BATCH = 3 };

typedef struct scene {
    const char *name;
    const bt_method *method;
    bt_method_config config;
    bt_vit_training training;
    bt_recompute recompute;
    int chunk; /**< images, 0: whole steps */
    float clip;
    int head_steps; /**< first steps in which only the head is trained */
    bool pictures;  /**< the step makes the views */
} scene;

extern const scene scenes[];
extern const int scene_count;

/** A model of a scene on a device. */
typedef struct scene_run {
    const scene *scene;
    bt_model model;
    bt_session session;
    bt_dtype compute;
} scene_run;

/** Declares the model: every run of a scene begins with the same values. With `given_targets`, CroVCA's target bits are
 * drawn by scene_step instead of taken from the signs of logits, which differ where a logit is next to zero. */
void scene_declare(scene_run *out, const scene *s, bt_dtype compute, bool given_targets);
/** Commits the model and opens its session. On failure nothing is left open but the model. */
bt_status scene_start(scene_run *run, bt_device *device) BT_MUST_CHECK;
void scene_close(scene_run *run);

/** Step `step`: pictures, labels and target bits are drawn from its number alone. */
bt_status scene_step(scene_run *run, int64_t step, bt_step_result *out) BT_MUST_CHECK;

#endif
