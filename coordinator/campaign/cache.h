/* cache.h - which denoising steps a campaign leaves out: `reuse: {cache: FILE}`. */
#ifndef REELWRIGHT_CAMPAIGN_CACHE_H
#define REELWRIGHT_CAMPAIGN_CACHE_H

#include "common/shot.h"

/* -> *reused_steps of the shots (ShotSpec), NULL: none, and *adapters that it was measured with (shot_adapters); free() them.
 * ERR_INPUT: the file is none of `reelwright calibrate`'s, was measured for other shots than *s of this model, or does not keep to
 * its bound. */
Status campaign_cache_read(const char *path, const ShotSpec *s, const char *model_hash, char **reused_steps,
                           char **adapters);

#endif
