/* render_options.h - the command line of `reelwright render`, and the shot that it asks for. */
#ifndef REELWRIGHT_WORKER_RENDER_OPTIONS_H
#define REELWRIGHT_WORKER_RENDER_OPTIONS_H

#include "common/model_config.h"
#include "common/options.h"

typedef struct { /* the command line; what was not given is NULL, 0, NAN or -1, and the model folder's default holds */
    const char *model, *prompt, *negative, *output;
    int width, height, frames, fps, steps, scheduler, sigmas;
    double guidance, guidance_2, flow_shift;
    uint64_t seed;
    int trunk_steps;
    const char *trunk_prompt, *guided, *reused_steps;
    const char *noise, *image, *last_image, *control_video, *control_mask, *control_scale, *audio;
    OptionTexts references, loras;
    const char *checkpoint, *trace, *split;
    int checkpoint_every;
    bool resume, mixed, trace_blocks;
    int dtype, vae_dtype, backend, threads, group_size;
    double memory_gb;
    bool quiet, json;
} RenderOptions;

/* Into options that hold what stands for "not given". */
Status render_options_read(RenderOptions *o, int argc, char **argv, int *first);
/* What is refused before anything is loaded: options without the one that they widen, files that cannot be written,
 * or that are read, too. */
Status render_options_check(const RenderOptions *o);
/* Pictures and sounds that the model does not take, or lacks. The engine checks the same, but with weights loaded. */
Status render_options_fit(const RenderOptions *o, const ModelConfig *c);
/* s: empty before; shot_clear. The model's defaults where nothing was given. */
Status render_options_shot(const RenderOptions *o, const ModelConfig *c, ShotSpec *s);

#endif
