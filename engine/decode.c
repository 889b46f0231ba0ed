#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/engine.h"
#include "engine/parts.h"
#include "engine/trace.h"

struct Decode {
    Engine *e;
    Trace trace;
    VaeStream *stream;
    int64_t dim[4];
    float *latents; /* [C,F,H,W], no longer normalised */
    int64_t next;   /* latent frame */
    float *frames;  /* of the last call */
    float *video;   /* all frames so far, when somebody looks */
    int64_t shown;  /* how many */
};

static void denormalise(const VaeConfig *c, float *latents, int64_t per_channel)
{
    for (int z = 0; z < c->z_dim; z++) {
        const float inverse = 1.0f / c->std[z]; /* divided by, as the pipeline does it: the same rounding */
        for (int64_t i = 0; i < per_channel; i++, latents++) *latents = *latents / inverse + c->mean[z];
    }
}

Status decode_begin(Engine *e, const float *latents, const int64_t dim[4], const Trace *trace, Decode **out)
{
    *out = NULL;
    if (dim[0] != e->config->vae.z_dim || dim[1] < 1 || dim[2] < 1 || dim[3] < 1)
        return status_fail(ERR_INPUT, "latents of %lld channels, expected %d", (long long)dim[0], e->config->vae.z_dim);
    TRY(engine_need_decoder(e));
    Decode *d = memory_get(1, sizeof *d);
    const int64_t per_channel = dim[1] * dim[2] * dim[3];
    d->e = e;
    if (trace) d->trace = *trace;
    memcpy(d->dim, dim, sizeof d->dim);
    d->latents = memory_get((size_t)(dim[0] * per_channel), sizeof *d->latents);
    memcpy(d->latents, latents, (size_t)(dim[0] * per_channel) * sizeof *latents);
    denormalise(&e->config->vae, d->latents, per_channel);
    trace_floats(trace, d->latents, 4, dim, "vae.decode.input");
    d->stream = vae_begin(e->decoder);
    *out = d;
    return status_ok();
}

void decode_end(Decode **d)
{
    if (!*d) return;
    vae_end(&(*d)->stream);
    free((*d)->latents);
    free((*d)->frames);
    free((*d)->video);
    free(*d);
    *d = NULL;
}

/* Latent frame f as [1,H,W,C] in the arena. */
static Tensor latent_frame(const Decode *d, int64_t f)
{
    const int64_t channels = d->dim[0], pixels = d->dim[2] * d->dim[3];
    float *rows = memory_get((size_t)(channels * pixels), sizeof *rows);
    for (int64_t c = 0; c < channels; c++)
        for (int64_t p = 0; p < pixels; p++) rows[p * channels + c] = d->latents[(c * d->dim[1] + f) * pixels + p];
    Tensor t = backend_upload(d->e->be, rows, 4, (int64_t[]){1, d->dim[2], d->dim[3], channels});
    free(rows);
    return t;
}

/* [-1,1] -> [0,1], clamped */
static void to_unit(float *v, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        float x = v[i] < -1 ? -1 : v[i] > 1 ? 1 : v[i];
        v[i] = x * 0.5f + 0.5f;
    }
}

static void show_frames(Decode *d, int64_t n, int64_t height, int64_t width)
{
    if (!d->trace.put) return;
    const size_t frame = (size_t)(height * width * 3);
    d->video = realloc(d->video, (size_t)(d->shown + n) * frame * sizeof *d->video);
    if (!d->video) abort();
    memcpy(d->video + (size_t)d->shown * frame, d->frames, (size_t)n * frame * sizeof *d->video);
    d->shown += n;
    const int64_t dim[4] = {d->shown, height, width, 3};
    if (d->next == d->dim[1]) trace_floats(&d->trace, d->video, 4, dim, "video");
}

Status decode_next(Decode *d, const float **frames, int *n)
{
    Backend *be = d->e->be;
    *frames = NULL;
    *n = 0;
    if (d->next == d->dim[1]) return status_ok();
    ArenaMark mark = backend_mark(be);
    Tensor video = vae_decode(d->stream, latent_frame(d, d->next));
    free(d->frames);
    d->frames = malloc((size_t)tensor_count(video) * sizeof *d->frames);
    if (!d->frames) abort();
    backend_download(be, video, d->frames);
    backend_release(be, mark);
    TRY(engine_take_failure(d->e));
    to_unit(d->frames, tensor_count(video));
    d->next++;
    *frames = d->frames;
    *n = (int)video.dim[0];
    show_frames(d, video.dim[0], video.dim[1], video.dim[2]);
    return status_ok();
}
