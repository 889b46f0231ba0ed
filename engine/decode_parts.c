#include "decode_parts.h"

#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/file.h"
#include "engine/clips.h"

int decode_parts(const ModelConfig *c, int64_t latent_frames)
{
    const int64_t later = chain_latents(2) - chain_latents(1);
    return c->dit.sound_count ? (int)((latent_frames - chain_latents(1)) / later) + 1 : 1;
}

typedef struct {
    int64_t first, count; /* latent frames */
    int hidden;           /* of the frames that they become, the first ones */
} Part;

static Part part_of(const ModelConfig *c, int64_t latent_frames, int i)
{
    if (!c->dit.sound_count) return (Part){0, latent_frames, 0};
    if (i == 0) return (Part){0, chain_latents(1), 1 + CHAIN_DROPPED};
    return (Part){chain_latents(i), chain_latents(2) - chain_latents(1), CHAIN_MOTION_FRAMES};
}

Status decode_part(Engine *e, const float *latents, const int64_t dim[4], const DecodePart *part, FrameSink sink)
{
    const ModelConfig *c = engine_config(e);
    const Part p = part_of(c, dim[1], part->i);
    const int64_t frame = dim[2] * dim[3], part_dim[4] = {dim[0], p.count, dim[2], dim[3]};
    const int height = (int)dim[2] * c->vae.scale_space, width = (int)dim[3] * c->vae.scale_space;
    float *own = NULL;
    int64_t left = part->most;
    Decode *d = NULL;
    Status status = status_ok();
    TRY_MEMORY_OUT(own, dim[0] * p.count * frame);
    for (int64_t z = 0; z < dim[0]; z++)
        memcpy(own + z * p.count * frame, latents + (z * dim[1] + p.first) * frame,
               (size_t)(p.count * frame) * sizeof *own);
    TRY_OUT(decode_begin(e, own, part_dim, part->trace, &d));
    for (int hidden = p.hidden, n = 1; n > 0 && left > 0;) {
        const float *frames;
        TRY_OUT(decode_next(d, &frames, &n));
        const int skip = hidden < n ? hidden : n;
        hidden -= skip;
        const int shown = n - skip < left ? n - skip : (int)left;
        left -= shown;
        if (shown > 0) TRY_OUT(sink.put(sink.self, frames + (int64_t)skip * height * width * 3, shown, height, width));
    }
out:
    decode_end(&d);
    free(own);
    return status;
}
