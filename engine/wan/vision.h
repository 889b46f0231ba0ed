/* vision.h - the CLIP image encoder of Wan2.1 image-to-video: a picture -> one row per patch and one for the class, as they
 * leave the layer before the last. Computed in backend_begin_exact's precision. */
#ifndef REELWRIGHT_VISION_H
#define REELWRIGHT_VISION_H

#include "common/model_config.h"
#include "engine/wan/picture.h"
#include "engine/weights/weights.h"
#include "kernels/coll.h"
#include "kernels/ops.h"

typedef struct Vision Vision;

/* prefix: "" or "vision_model.", before every name in the file */
Vision *vision_new(const VisionConfig *c, const char *prefix); /* no weights yet */
void vision_divide(Vision *v, Coll *tensor);                   /* as text_divide */
const WeightPlan *vision_plan(const Vision *v);
Status vision_load(Vision *v, WeightSource *s, Backend *be);
bool vision_is_loaded(const Vision *v);
void vision_unload(Vision *v); /* frees the weights; vision_load brings them back */
void vision_free(Vision **v);

int vision_tokens(const VisionConfig *c);
/* Shorter side to `shortest` (bicubic), centre crop, normalised by channel -> [3,size,size]; free() it; NULL when out of memory */
float *vision_pixels(const VisionConfig *c, const Picture *p);
/* pixels [3,size,size] on the host -> [tokens, width] in the arena */
Tensor vision_encode(Vision *v, const float *pixels);

#endif
