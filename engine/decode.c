#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/engine.h"
#include "engine/parts.h"
#include "engine/tiles.h"
#include "engine/trace.h"

/* Frames come one latent frame after the other. Where a whole frame would take too much memory, all frames of one tile come before
 * the next tile's, so the first call makes the whole clip, in 16 bits per value: what the encoder takes (worker/pixels.c). */
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

    Tiles tiles;
    float *middle;   /* [F,h,w,width] of all latent frames, while tiles are made */
    uint16_t *tiled; /* [frames,H,W,3] of the whole clip, or NULL: not in tiles, or not made yet */
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
    const BackendOptions o = backend_options(e->be);
    d->tiles = tiles_choose(&e->config->vae, VAE_DECODER, &o, dim[2], dim[3], o.memory_bytes);
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
    free((*d)->middle);
    free((*d)->tiled);
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

/* ---- in tiles -------------------------------------------------------------------------------------------------------------------- */

static int64_t frames_of(const Decode *d, int64_t latent_frame)
{
    return latent_frame ? d->e->config->vae.scale_time : 1;
}

/* The part that needs whole frames, for all latent frames. */
static Status make_middle(Decode *d)
{
    Backend *be = d->e->be;
    const int64_t count = d->dim[2] * d->dim[3] * vae_middle(d->e->decoder);
    d->middle = memory_get((size_t)(d->dim[1] * count), sizeof *d->middle);
    for (int64_t f = 0; f < d->dim[1]; f++) {
        ArenaMark mark = backend_mark(be);
        backend_download(be, vae_decode_middle(d->stream, latent_frame(d, f)), d->middle + f * count);
        backend_release(be, mark);
    }
    vae_end(&d->stream);
    return engine_take_failure(d->e);
}

/* The tile's part of n frames of a window -> the clip's frames from `first` on. */
static void put_tile(Decode *d, float *window, int64_t n, Box from, Box tile, int64_t first)
{
    const int64_t scale = vae_scale(d->e->decoder), line = d->dim[3] * scale * 3, piece = from.w * scale * 3;
    to_unit(window, n * from.h * scale * piece);
    for (int64_t f = 0; f < n; f++)
        for (int64_t y = 0; y < tile.h * scale; y++) {
            const float *in =
                window + (f * from.h + tile.y - from.y) * scale * piece + y * piece + (tile.x - from.x) * scale * 3;
            uint16_t *out =
                d->tiled + ((first + f) * d->dim[2] + tile.y) * scale * line + y * line + tile.x * scale * 3;
            for (int64_t i = 0; i < tile.w * scale * 3; i++) out[i] = (uint16_t)(in[i] * 65535.0f + 0.5f);
        }
}

static Status make_tile(Decode *d, int i)
{
    Backend *be = d->e->be;
    const Box tile = tiles_tile(&d->tiles, i), window = tiles_window(&d->tiles, i);
    const int64_t width = vae_middle(d->e->decoder), scale = vae_scale(d->e->decoder);
    const int64_t most = frames_of(d, 1) * window.h * window.w * scale * scale * 3;
    float *piece = memory_get((size_t)(window.h * window.w * width), sizeof *piece);
    float *pixels = memory_get((size_t)most, sizeof *pixels);
    VaeStream *stream = vae_begin(d->e->decoder);
    Status status = status_ok();
    for (int64_t f = 0, first = 0; f < d->dim[1] && !failed(status); first += frames_of(d, f), f++) {
        ArenaMark mark = backend_mark(be);
        tiles_cut(d->middle + f * d->dim[2] * d->dim[3] * width, 1, &d->tiles, window, 1, width, piece);
        Tensor x = backend_upload(be, piece, 4, (int64_t[]){1, window.h, window.w, width});
        backend_download(be, vae_decode_outer(stream, x), pixels);
        backend_release(be, mark);
        status = engine_take_failure(d->e);
        if (!failed(status)) put_tile(d, pixels, frames_of(d, f), window, tile, first);
    }
    vae_end(&stream);
    free(piece);
    free(pixels);
    return status;
}

static Status make_tiles(Decode *d)
{
    const int64_t scale = vae_scale(d->e->decoder), frames = 1 + (d->dim[1] - 1) * frames_of(d, 1);
    TRY(make_middle(d));
    d->tiled = memory_get((size_t)(frames * d->dim[2] * d->dim[3] * scale * scale * 3), sizeof *d->tiled);
    for (int i = 0; i < tiles_count(&d->tiles); i++) TRY(make_tile(d, i));
    free(d->middle);
    d->middle = NULL;
    return status_ok();
}

/* ---- the next frames -------------------------------------------------------------------------------------------------------------- */

static Status next_of_tiles(Decode *d, int64_t n)
{
    const int64_t scale = vae_scale(d->e->decoder), frame = d->dim[2] * d->dim[3] * scale * scale * 3;
    const int64_t first = d->next ? 1 + (d->next - 1) * frames_of(d, 1) : 0;
    if (!d->tiled) TRY(make_tiles(d));
    d->frames = memory_get((size_t)(n * frame), sizeof *d->frames);
    for (int64_t i = 0; i < n * frame; i++) d->frames[i] = (float)d->tiled[first * frame + i] / 65535.0f;
    return status_ok();
}

static Status next_of_stream(Decode *d, int64_t n)
{
    Backend *be = d->e->be;
    const int64_t scale = vae_scale(d->e->decoder);
    ArenaMark mark = backend_mark(be);
    Tensor video = vae_decode(d->stream, latent_frame(d, d->next));
    d->frames = memory_get((size_t)(n * d->dim[2] * d->dim[3] * scale * scale * 3), sizeof *d->frames);
    backend_download(be, video, d->frames);
    backend_release(be, mark);
    TRY(engine_take_failure(d->e));
    to_unit(d->frames, tensor_count(video));
    return status_ok();
}

Status decode_next(Decode *d, const float **frames, int *n)
{
    const int64_t scale = vae_scale(d->e->decoder), count = frames_of(d, d->next);
    *frames = NULL;
    *n = 0;
    if (d->next == d->dim[1]) return status_ok();
    free(d->frames);
    d->frames = NULL;
    TRY(tiles_count(&d->tiles) > 1 ? next_of_tiles(d, count) : next_of_stream(d, count));
    d->next++;
    *frames = d->frames;
    *n = (int)count;
    show_frames(d, count, d->dim[2] * scale, d->dim[3] * scale);
    return status_ok();
}
