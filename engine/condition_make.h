/* condition_make.h - pictures and control video turned into what the transformer takes: latents through the autoencoder, masks,
 * image tokens. */
#ifndef REELWRIGHT_CONDITION_MAKE_H
#define REELWRIGHT_CONDITION_MAKE_H

#include "engine/engine.h"
#include "engine/wan/condition.h"

/* ERR_INPUT: the model does not take what is given, or needs what is not. c may be NULL. */
Status condition_make(Engine *e, const ShotSpec *s, const Conditions *c, const Trace *trace, Condition *out);

#endif
