/* s2v.h - one evaluation of a speaking transformer beside what diffsynth computed (fixtures/s2v, make_s2v_reference.py forward): without and
 * with what was before, with and without sound, at timestep 0. */
#ifndef REELWRIGHT_TEST_S2V_H
#define REELWRIGHT_TEST_S2V_H

#include "tests/parity/parity.h"

typedef struct {
    double velocity, inside; /* the worst root mean square of a difference over the reference's */
    char where[64];          /* of all */
    double sound;            /* what hearing changes: of later.velocity against silent.velocity, as computed here */
    int compared;
} S2vReport;

/* group NULL: this process alone. All ranks of the group call it; each gets the report. */
Status s2v_compare(const char *folder, const BackendOptions *o, Coll *group, const Split *split, S2vReport *out);

typedef struct {
    double model, latents, video;
    char where[64];
    int compared;
    uint64_t sum; /* FNV-1a of what is decoded */
    int steps;
} S2vChainReport;

/* Two clips in a chain (fixtures/s2v/chain): every velocity and latent, and frames of both clips. run->resume_at: after so many steps (below 0:
 * after each) the state is taken up by a new Denoise. */
Status s2v_chain(const char *model, const char *folder, const ParityRun *run, S2vChainReport *out);

#endif
