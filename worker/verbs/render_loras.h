/* render_loras.h - `render --lora FILE[:SCALE[:high|low]]`: the shot's adapters, and what step-distilled ones are made for. */
#ifndef REELWRIGHT_WORKER_RENDER_LORAS_H
#define REELWRIGHT_WORKER_RENDER_LORAS_H

#include "common/model_config.h"
#include "common/options.h"

/* Adds them to s, and what a step-distilled one says of itself (common/distilled.h) over s's defaults. */
Status render_loras_read(const OptionTexts *loras, ShotSpec *s);
/* Logs what the shot asks of step-distilled weights, the adapters' or the model's, that they were not made for. */
void render_loras_warn(const ModelConfig *c, const ShotSpec *s);

#endif
