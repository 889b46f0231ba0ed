/* distilled.h - what step-distilled weights were made for: few steps, no guidance, and a schedule of their own.
 *
 *     {"distilled": {"steps": 4, "flow_shift": 5.0, "scheduler": "euler"}}
 *
 * stands in the model folder's reelwright.json for a fused model, and as JSON text under the key "reelwright" in the metadata of an
 * adapter's safetensors file. A shot with such weights gets these as its defaults, guidance 1, and the grid of noise levels that such
 * weights are trained on (common/schedule.h); what a user asks for goes before. */
#ifndef REELWRIGHT_DISTILLED_H
#define REELWRIGHT_DISTILLED_H

#include <stdbool.h>
#include <stddef.h>

#include "common/json_fields.h"
#include "common/shot.h"
#include "common/status.h"

typedef struct {
    int steps; /* 0: not distilled */
    double flow_shift;
    char scheduler[16]; /* "euler" or "lcm" */
} Distilled;

/* The object under "distilled" of f, whose faults it adds. */
void distilled_read(Fields *f, Distilled *out);
/* What an adapter's file says of itself; steps 0 when it says nothing or is no safetensors file, which others refuse. */
Status distilled_of_adapter(const char *path, Distilled *out);
void distilled_apply(const Distilled *d, ShotSpec *s);

enum { DISTILLED_ADVICE = 320 };
/* What does not fit: "made for 4 steps, ...; this shot has 50 steps and guidance 5". false: it fits, or d is not distilled. */
bool distilled_advice(const Distilled *d, const ShotSpec *s, char text[DISTILLED_ADVICE]);
/* The file's name is one of those that step-distilled weights go by (lightx2v, Lightning, CausVid, 4steps ...). */
bool distilled_by_name(const char *path);
/* What such weights are usually run with, where only the name says it. */
extern const Distilled distilled_usual;

#endif
