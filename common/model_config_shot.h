/* model_config_shot.h - between model_config.c and model_config_shot.c. */
#ifndef REELWRIGHT_MODEL_CONFIG_SHOT_H
#define REELWRIGHT_MODEL_CONFIG_SHOT_H

#include "common/model_config.h"

/* The last part of model_config_read: the pipeline's defaults, and those of the folder's reelwright.json, checked against all that was
 * read before. */
Status model_config_read_defaults(ModelConfig *c);

#endif
