/* inspect.h - the parts of `reelwright inspect` (verb_inspect.c) that have files of their own. Each reads one thing into a JSON object, to be
 * released; ERR_INPUT: it is none, or a damaged one. */
#ifndef REELWRIGHT_INSPECT_H
#define REELWRIGHT_INSPECT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/status.h"

typedef struct { /* what the verb was asked */
    bool as_json, hash;
    int dtype, vae_dtype; /* as WorkSettings has them */
    int width, height, frames;
    double memory_gb;
} InspectOptions;

Status inspect_model(const char *folder, const InspectOptions *o, json_t **out);
/* Or a sound alone: "kind" says which. */
Status inspect_clip(const char *path, json_t **out);

#endif
