#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/spill.h"
#include "engine/engine.h"
#include "engine/parts.h"
#include "engine/wan/tiles.h"
#include "engine/weights/trace.h"

/* Frames come one latent frame after the other. Where a whole frame would take too much memory, all frames of one tile come before
 * the next tile's: the first call makes the whole clip and keeps it in a file, 16 bits per value, which is what the encoder
 * takes (worker/pictures/pixels.c). */
struct Decode {
    Engine *e;
    Trace trace;
    VaeStream *stream;
    int64_t dim[4];
    float *latents; /* [C,F,H,W], no longer normalised */
    int64_t next;   /* latent frame */
    float *frames;  /* of latent frames `from` to `made`, some of which may have been given to the caller */
    int64_t from, made;
    float *video;  /* all frames so far, when somebody looks */
    int64_t shown; /* how many */

    Tiles tiles;
    Spill *middle; /* [F,h,w,width] fp32 of all latent frames, while tiles are made */
    Spill *tiled;  /* by tile [frames,h,w,3] of the whole clip, or NULL: not in tiles, or not made yet */
};

static void denormalise(const VaeConfig *c, float *latents, int64_t per_channel)
{
    for (int z = 0; z < c->z_dim; z++) {
        const float inverse = 1.0f / c->std[z]; /* divided by, as the pipeline does it: the same rounding */
        for (int64_t i = 0; i < per_channel; i++, latents++) *latents = *latents / inverse + c->mean[z];
    }
}

/* More than an int holds no memory holds either. */
static int as_int(int64_t n) { return n < INT_MAX ? (int)n : INT_MAX; }

Status decode_begin(Engine *e, const float *latents, const int64_t dim[4], const Trace *trace, Decode **out)
{
    *out = NULL;
    if (dim[0] != e->config->vae.z_dim || dim[1] < 1 || dim[2] < 1 || dim[3] < 1)
        return status_fail(ERR_INPUT, "latents of %lld channels, expected %d", (long long)dim[0], e->config->vae.z_dim);
    ShotSpec s = e->config->defaults;
    s.width = as_int(dim[3] * e->config->vae.scale_space);
    s.height = as_int(dim[2] * e->config->vae.scale_space);
    s.frames = as_int((dim[1] - 1) * e->config->vae.scale_time + 1);
    if (e->has_plan) s.guidance = e->planned.guidance; /* the same plan does for both stages of a shot */
    engine_expect(e, &s);
    TRY(engine_need(e, PART_DECODER));
    const int64_t per_channel = dim[1] * dim[2] * dim[3];
    float *copied;
    TRY_MEMORY(copied, dim[0] * per_channel);
    Decode *d = memory_get(1, sizeof *d);
    d->e = e;
    if (trace) d->trace = *trace;
    memcpy(d->dim, dim, sizeof d->dim);
    d->latents = copied;
    memcpy(d->latents, latents, (size_t)(dim[0] * per_channel) * sizeof *latents);
    denormalise(&e->config->vae, d->latents, per_channel);
    trace_floats(trace, d->latents, 4, dim, "vae.decode.input");
    const BackendOptions o = backend_options(e->be);
    d->tiles = tiles_choose(&e->config->vae, VAE_DECODER, &o, dim[2], dim[3], o.memory_bytes);
    d->stream = vae_begin(e->decoder, d->tiles.pace);
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
    spill_close(&(*d)->middle);
    spill_close(&(*d)->tiled);
    free(*d);
    *d = NULL;
}

/* n latent frames from f on as [n,H,W,C] in the arena. */
static Status latent_frames(const Decode *d, int64_t f, int64_t n, Tensor *out)
{
    const int64_t channels = d->dim[0], frame = d->dim[2] * d->dim[3];
    float *rows;
    TRY_MEMORY(rows, channels * n * frame);
    for (int64_t c = 0; c < channels; c++)
        for (int64_t p = 0; p < n * frame; p++) rows[p * channels + c] = d->latents[(c * d->dim[1] + f) * frame + p];
    *out = backend_upload(d->e->be, rows, 4, (int64_t[]){n, d->dim[2], d->dim[3], channels});
    free(rows);
    return status_ok();
}

/* [-1,1] -> [0,1], clamped. What is no number would be a black pixel, or any: better no clip than that one. */
static Status to_unit(float *v, int64_t count)
{
    bool good = true;
    for (int64_t i = 0; i < count; i++) {
        float x = v[i] < -1 ? -1 : v[i] > 1 ? 1 : v[i];
        good &= x == x;
        v[i] = x * 0.5f + 0.5f;
    }
    return good ? status_ok() : status_fail(ERR_CLIP, "the autoencoder gave values that are no numbers");
}

static Status show_frames(Decode *d, const float *frames, int64_t n, int64_t height, int64_t width)
{
    if (!d->trace.put) return status_ok();
    const size_t frame = (size_t)(height * width * 3), count = (size_t)(d->shown + n) * frame;
    float *video = realloc(d->video, count * sizeof *video);
    if (!video) return memory_refused(count, sizeof *video);
    d->video = video;
    memcpy(d->video + (size_t)d->shown * frame, frames, (size_t)n * frame * sizeof *d->video);
    d->shown += n;
    const int64_t dim[4] = {d->shown, height, width, 3};
    if (d->next == d->dim[1]) trace_floats(&d->trace, d->video, 4, dim, "video");
    return status_ok();
}

/* ---- in tiles -------------------------------------------------------------------------------------------------------------------- */

static int64_t frames_of(const Decode *d, int64_t latent_frame)
{
    return latent_frame ? d->e->config->vae.scale_time : 1;
}

static int64_t middle_count(const Decode *d) { return d->dim[2] * d->dim[3] * vae_middle(d->e->decoder); }

/* Where the tile's part of the clip's frames from `first` on lies in d->tiled, and how many values a frame of it has. */
static int64_t tiled_at(const Decode *d, Box tile, int64_t first, int64_t *values)
{
    const int64_t scale = vae_scale(d->e->decoder), frames = 1 + (d->dim[1] - 1) * frames_of(d, 1);
    const int64_t before =
        tile.y * d->dim[3] + tile.x * tile.h; /* latent pixels of the rows of tiles above, and to the left */
    *values = tile.h * tile.w * scale * scale * 3;
    return (before * scale * scale * 3 * frames + first * *values) * (int64_t)sizeof(uint16_t);
}

/* The part that needs whole frames, for all latent frames. */
static Status make_middle(Decode *d)
{
    Backend *be = d->e->be;
    const size_t bytes = (size_t)middle_count(d) * sizeof(float);
    float *frame;
    TRY_MEMORY(frame, middle_count(d));
    Status status = spill_open(&d->middle);
    for (int64_t f = 0; f < d->dim[1] && !failed(status); f++) {
        ArenaMark mark = backend_mark(be);
        Tensor latent;
        status = latent_frames(d, f, 1, &latent);
        if (failed(status)) break;
        backend_download(be, vae_decode_middle(d->stream, latent), frame);
        backend_release(be, mark);
        status = engine_take_failure(d->e);
        if (!failed(status)) status = spill_put(d->middle, f * (int64_t)bytes, frame, bytes);
    }
    vae_end(&d->stream);
    free(frame);
    return status;
}

/* The tile's part of n frames of a window, as 16 bits -> the clip's frames from `first` on. */
static Status put_tile(Decode *d, float *window, int64_t n, Box from, Box tile, int64_t first)
{
    const int64_t scale = vae_scale(d->e->decoder), piece = from.w * scale * 3;
    int64_t values;
    const int64_t at = tiled_at(d, tile, first, &values);
    uint16_t *all, *out;
    TRY(to_unit(window, n * from.h * scale * piece));
    TRY_MEMORY(all, n * values);
    out = all;
    for (int64_t f = 0; f < n; f++)
        for (int64_t y = 0; y < tile.h * scale; y++) {
            const float *in =
                window + ((f * from.h + tile.y - from.y) * scale + y) * piece + (tile.x - from.x) * scale * 3;
            for (int64_t i = 0; i < tile.w * scale * 3; i++) *out++ = (uint16_t)(in[i] * 65535.0f + 0.5f);
        }
    Status status = spill_put(d->tiled, at, all, (size_t)(n * values) * sizeof *all);
    free(all);
    return status;
}

static Status make_tile(Decode *d, int i)
{
    Backend *be = d->e->be;
    const Box tile = tiles_tile(&d->tiles, i), window = tiles_window(&d->tiles, i);
    const int64_t width = vae_middle(d->e->decoder), scale = vae_scale(d->e->decoder);
    const int64_t most = frames_of(d, 1) * window.h * window.w * scale * scale * 3;
    const size_t bytes = (size_t)middle_count(d) * sizeof(float);
    float *frame = NULL, *piece = NULL, *pixels = NULL;
    VaeStream *stream = vae_begin(d->e->decoder, d->tiles.pace);
    Status status = status_ok();
    TRY_MEMORY_OUT(frame, middle_count(d));
    TRY_MEMORY_OUT(piece, window.h * window.w * width);
    TRY_MEMORY_OUT(pixels, most);
    for (int64_t f = 0, first = 0; f < d->dim[1] && !failed(status); first += frames_of(d, f), f++) {
        TRY_OUT(spill_get(d->middle, f * (int64_t)bytes, frame, bytes));
        ArenaMark mark = backend_mark(be);
        tiles_cut(frame, 1, &d->tiles, window, 1, width, piece);
        Tensor x = backend_upload(be, piece, 4, (int64_t[]){1, window.h, window.w, width});
        backend_download(be, vae_decode_outer(stream, x), pixels);
        backend_release(be, mark);
        TRY_OUT(engine_take_failure(d->e));
        status = put_tile(d, pixels, frames_of(d, f), window, tile, first);
    }
out:
    vae_end(&stream);
    free(frame);
    free(piece);
    free(pixels);
    return status;
}

static Status make_tiles(Decode *d)
{
    TRY(make_middle(d));
    TRY(spill_open(&d->tiled));
    for (int i = 0; i < tiles_count(&d->tiles); i++) TRY(make_tile(d, i));
    spill_close(&d->middle);
    return status_ok();
}

/* ---- the next frames -------------------------------------------------------------------------------------------------------------- */

/* The tile's part of the n next frames -> d->frames. */
static Status get_tile(Decode *d, int i, int64_t n, int64_t first)
{
    const int64_t scale = vae_scale(d->e->decoder), line = d->dim[3] * scale * 3;
    const Box tile = tiles_tile(&d->tiles, i);
    int64_t values;
    const int64_t at = tiled_at(d, tile, first, &values);
    uint16_t *all, *in;
    TRY_MEMORY(all, n * values);
    in = all;
    Status status = spill_get(d->tiled, at, all, (size_t)(n * values) * sizeof *all);
    for (int64_t f = 0; f < n; f++)
        for (int64_t y = 0; y < tile.h * scale; y++) {
            float *out = d->frames + ((f * d->dim[2] + tile.y) * scale + y) * line + tile.x * scale * 3;
            for (int64_t k = 0; k < tile.w * scale * 3; k++) out[k] = (float)*in++ / 65535.0f;
        }
    free(all);
    return status;
}

static Status next_of_tiles(Decode *d, int64_t n)
{
    const int64_t scale = vae_scale(d->e->decoder), frame = d->dim[2] * d->dim[3] * scale * scale * 3;
    const int64_t first = d->next ? 1 + (d->next - 1) * frames_of(d, 1) : 0;
    if (d->next == 0) TRY(make_tiles(d));
    TRY_MEMORY(d->frames, n * frame);
    for (int i = 0; i < tiles_count(&d->tiles); i++) TRY(get_tile(d, i, n, first));
    return status_ok();
}

/* How many latent frames come at once: the same number each time, if that is possible. */
static int64_t latents_at_once(const Decode *d)
{
    const int64_t later = d->dim[1] - 1;
    int64_t n = d->tiles.pace.latents;
    if (d->next == 0) return 1;
    while (later % n && n > 1) n--;
    return n;
}

static Status next_of_stream(Decode *d, int64_t latents)
{
    Backend *be = d->e->be;
    const int64_t scale = vae_scale(d->e->decoder);
    ArenaMark mark = backend_mark(be);
    Tensor latent;
    TRY_MEMORY(d->frames, latents * frames_of(d, d->next) * d->dim[2] * d->dim[3] * scale * scale * 3);
    TRY(latent_frames(d, d->next, latents, &latent));
    Tensor video = vae_decode(d->stream, latent);
    backend_download(be, video, d->frames);
    backend_release(be, mark);
    TRY(engine_take_failure(d->e));
    return to_unit(d->frames, tensor_count(video));
}

/* The frames of the next latent frames -> d->frames. */
static Status make_frames(Decode *d)
{
    const int64_t latents = tiles_count(&d->tiles) > 1 ? 1 : latents_at_once(d);
    free(d->frames);
    d->frames = NULL;
    TRY(tiles_count(&d->tiles) > 1 ? next_of_tiles(d, frames_of(d, d->next)) : next_of_stream(d, latents));
    d->from = d->next;
    d->made = d->next + latents;
    return status_ok();
}

Status decode_next(Decode *d, const float **frames, int *n)
{
    const int64_t scale = vae_scale(d->e->decoder), count = frames_of(d, d->next), height = d->dim[2] * scale,
                  width = d->dim[3] * scale;
    *frames = NULL;
    *n = 0;
    if (d->next == d->dim[1]) return status_ok();
    if (d->next == d->made) TRY(make_frames(d));
    *frames = d->frames + (d->next - d->from) * count * height * width * 3;
    *n = (int)count;
    d->next++;
    return show_frames(d, *frames, count, height, width);
}
