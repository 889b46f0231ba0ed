/* render.h - one shot from its description to its latents, with checkpoints; and from latents to frames. */
#ifndef REELWRIGHT_RENDER_H
#define REELWRIGHT_RENDER_H

#include "common/clip.h"
#include "engine/decode_parts.h"
#include "engine/engine.h"
#include "worker/finish/progress.h"

typedef struct Prompts Prompts; /* prompts.h */

typedef struct {
    const ShotSpec *shot;
    const char *key, *model_hash; /* go into the checkpoint and are compared on resume */
    const char *checkpoint;       /* file, or NULL: none */
    int checkpoint_every;         /* steps; 0 = decide by measured step time (about every 60 s) */
    bool resume;                  /* go on from the checkpoint when it is there and fits */
    bool mixed;                   /* also from one that another kind of processor, back end or split began */
    Prompts *prompts;             /* where prompts may be found that were encoded before, or NULL */
    const char *shared_folder;    /* where a campaign's workers find each other's texts and trunks (turn.h), or NULL */
    const char *noise_file;       /* HDF5 with /noise, or NULL: from the seed */
    const Conditions *conditions; /* pictures and control video, or NULL */
    const Trace *trace;           /* or NULL */
    Progress progress;            /* at may be NULL */
} RenderJob;

typedef struct {
    float *latents; /* [C,F,H,W] final (engine_result_dims), owned by the caller: render_latents_free */
    int64_t dim[4];
    int frames;        /* that the shot has of those that they decode to */
    int steps_resumed; /* taken over from the checkpoint, or from another shot's trunk */
    int steps_done;    /* by this call, also when it failed */
    double text_s, denoise_s;
} RenderedLatents;

/* The same kind of instruction set, back end, type and split gives the same latents, another kind gives others in the last bits. So a
 * shot that another kind began starts anew, with a warning, unless job->mixed; one that another kind finished is taken as it is.
 * Anew rather than given back: the kind that began it may be gone for good, and then the night would never end.
 *
 * A checkpoint of the finished shot (step == steps) is written too, so that a later resume only decodes. On the ranks of a group
 * (engine_open_group) all call it, with the same job; the first one alone reads and writes files. */
Status render_latents(Engine *e, const RenderJob *job, RenderedLatents *out);
/* ERR_CLIP: one of them is no finite number. A picture of such numbers would be black: better no clip than that one. */
Status render_check_latents(const float *latents, int64_t count);
void render_latents_free(RenderedLatents *r);

/* A shot with a trunk (ShotSpec.trunk_steps = k) takes its state after k steps from the trunk: the same shot with the trunk's prompt. Whoever
 * comes first computes it and leaves it in shared_folder as KEY.trunk, a checkpoint; KEY covers the trunk's shot, k and the kind of machine, so
 * that what is found is what would be computed, bit for bit. Who is killed at it leaves a checkpoint that the next one goes on from. Without the
 * folder each computes its own. A worker that waits for a trunk loses no more than computing it would take. */

/* On every rank: the engine has the shot's adapters from now on, and no others. */
Status render_set_adapters(Engine *e, const ShotSpec *s);

/* By the first rank of a group alone. Decodes and hands over frames as they come. */
Status render_decode(Engine *e, const RenderedLatents *r, const Trace *trace, Progress progress, FrameSink sink);

#endif
