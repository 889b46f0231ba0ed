/* parity.h - runs the engine as a reference was made (same prompt, size, steps, seed) and compares every recorded tensor.
 *
 * A reference is a folder as tests/parity/fixtures holds them: model/, reference.json (the call) and
 * reference.safetensors (what diffusers computed, see fixtures/README.md). Nothing of the latter is fed in. */
#ifndef REELWRIGHT_PARITY_H
#define REELWRIGHT_PARITY_H

#include <stdbool.h>

#include "engine/engine.h"

/* Kinds of recorded tensors; each has its tolerance. */
typedef enum {
    STAGE_EXACT,
    STAGE_EMBEDS,
    STAGE_MODEL,
    STAGE_LATENTS,
    STAGE_ENCODE,
    STAGE_VIDEO,
    STAGE_INSIDE,
    STAGES
} ParityStage;

typedef struct {
    double
        worst[STAGES]; /* root mean square of the difference over that of the reference; EXACT: 1 = a value differs */
    char worst_name[STAGES][64];
    int compared[STAGES];
    int missing; /* recorded in the reference, not produced */
    char missing_name[64];
    double seconds;
    uint64_t latents; /* FNV-1a of the final latents */
    int64_t bytes_read, peak_bytes;
} ParityReport;

typedef struct {
    BackendOptions backend;
    int resume_at; /* > 0: stops after that many steps and goes on from a copy of the state in a new Denoise */
    bool verbose;
    Coll *group; /* NULL: this process alone. The first rank compares, the others take part */
    const Split *split;
} ParityRun;

extern const char *const parity_stage_name[STAGES];

/* Root mean square of a - b over that of b; infinite where a number is not finite. */
double parity_ratio(const float *a, const float *b, int64_t count);

Status parity_run(const char *folder, const ParityRun *run, ParityReport *report);

#endif
