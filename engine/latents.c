#include "latents.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/spill.h"
#include "engine/parts.h"
#include "engine/wan/tiles.h"

/* [1,H,W,C] on the device -> channel planes of frame f of out [C,F,H,W] */
static Status store_frame(Backend *be, Tensor mean, int64_t f, int64_t frames, float *out)
{
    const int64_t channels = mean.dim[3], pixels = mean.dim[1] * mean.dim[2];
    float *rows;
    TRY_MEMORY(rows, tensor_count(mean));
    backend_download(be, mean, rows);
    for (int64_t c = 0; c < channels; c++)
        for (int64_t p = 0; p < pixels; p++) out[(c * frames + f) * pixels + p] = rows[p * channels + c];
    free(rows);
    return status_ok();
}

typedef struct { /* one encoding at work */
    Engine *e;
    const Footage *v;
    int64_t dim[4]; /* of the latents */
    Tiles tiles;
    float *pixels;   /* of one latent frame: [n,height,width,3] */
    float *piece;    /* the window's part of them, and what the outer part makes of it */
    float *features; /* [h,w,width] of one latent frame */
    Spill *made;     /* with several tiles, by tile: the windows' [F,h,w,width] of the outer part */
    float *mean;     /* [z,F,h,w] */
} Encoding;

/* The frames that latent frame f stands for; returns how many. */
static int64_t fill_pixels(Encoding *g, int64_t f)
{
    const int64_t time = g->e->config->vae.scale_time, n = f ? time : 1, first = f ? 1 + (f - 1) * time : 0;
    const int64_t frame = (int64_t)g->v->height * g->v->width * 3;
    for (int64_t i = 0; i < n; i++) g->v->fill(g->v->self, (int)(first + i), g->pixels + i * frame);
    return n;
}

static Status encode_frames(Encoding *g)
{
    Status status = status_ok();
    Backend *be = g->e->be;
    VaeStream *stream = vae_begin(g->e->encoder, g->tiles.pace);
    for (int64_t f = 0; f < g->dim[1] && !failed(status); f++) {
        const int64_t n = fill_pixels(g, f);
        ArenaMark mark = backend_mark(be);
        Tensor x = backend_upload(be, g->pixels, 4, (int64_t[]){n, g->v->height, g->v->width, 3});
        status = store_frame(be, vae_encode(stream, x), f, g->dim[1], g->mean);
        backend_release(be, mark);
    }
    vae_end(&stream);
    return status;
}

static int64_t box_count(const Encoding *g, Box b) { return b.h * b.w * vae_middle(g->e->encoder); }

/* The outer part of one window, for all frames -> g->made, from byte `at` on. */
static Status encode_window(Encoding *g, Box w, int64_t at)
{
    Backend *be = g->e->be;
    const int64_t scale = vae_scale(g->e->encoder);
    const size_t bytes = (size_t)box_count(g, w) * sizeof(float);
    VaeStream *stream = vae_begin(g->e->encoder, g->tiles.pace);
    Status status = status_ok();
    for (int64_t f = 0; f < g->dim[1] && !failed(status); f++) {
        const int64_t n = fill_pixels(g, f);
        tiles_cut(g->pixels, n, &g->tiles, w, (int)scale, 3, g->piece);
        ArenaMark mark = backend_mark(be);
        Tensor x = backend_upload(be, g->piece, 4, (int64_t[]){n, w.h * scale, w.w * scale, 3});
        backend_download(be, vae_encode_outer(stream, x), g->piece);
        backend_release(be, mark);
        status = engine_take_failure(g->e);
        if (!failed(status)) status = spill_put(g->made, at + f * (int64_t)bytes, g->piece, bytes);
    }
    vae_end(&stream);
    return status;
}

/* The frame that the tiles' windows of latent frame f make -> g->features. */
static Status join_windows(Encoding *g, int64_t f)
{
    int64_t at = 0;
    for (int i = 0; i < tiles_count(&g->tiles); i++) {
        const Box w = tiles_window(&g->tiles, i);
        const size_t bytes = (size_t)box_count(g, w) * sizeof(float);
        TRY(spill_get(g->made, at + f * (int64_t)bytes, g->piece, bytes));
        tiles_paste(g->piece, &g->tiles, w, tiles_tile(&g->tiles, i), vae_middle(g->e->encoder), g->features);
        at += g->dim[1] * (int64_t)bytes;
    }
    return status_ok();
}

static Status encode_tiles(Encoding *g)
{
    Backend *be = g->e->be;
    int64_t at = 0;
    TRY(spill_open(&g->made));
    for (int i = 0; i < tiles_count(&g->tiles); i++) {
        const Box w = tiles_window(&g->tiles, i);
        TRY(encode_window(g, w, at));
        at += g->dim[1] * box_count(g, w) * (int64_t)sizeof(float);
    }
    VaeStream *stream = vae_begin(g->e->encoder, g->tiles.pace);
    Status status = status_ok();
    for (int64_t f = 0; f < g->dim[1] && !failed(status); f++) {
        status = join_windows(g, f);
        if (failed(status)) break;
        ArenaMark mark = backend_mark(be);
        const int64_t dim[4] = {1, g->dim[2], g->dim[3], vae_middle(g->e->encoder)};
        const Tensor x = backend_upload(be, g->features, 4, dim);
        status = store_frame(be, vae_encode_middle(stream, x), f, g->dim[1], g->mean);
        backend_release(be, mark);
    }
    vae_end(&stream);
    return status;
}

/* On the group's first rank, which alone has the autoencoder. */
static Status encode_here(Encoding *g)
{
    Engine *e = g->e;
    const BackendOptions o = backend_options(e->be);
    const VaeConfig *c = &e->config->vae;
    Status status = status_ok();
    TRY(engine_need(e, PART_ENCODER));
    const int64_t pixels = (int64_t)g->v->height * g->v->width * 3 * c->scale_time;
    const int64_t features = g->dim[2] * g->dim[3] * vae_middle(e->encoder);
    g->tiles = tiles_choose(c, VAE_ENCODER, &o, g->dim[2], g->dim[3], o.memory_bytes);
    TRY_MEMORY_OUT(g->pixels, pixels);
    if (tiles_count(&g->tiles) > 1) {
        TRY_MEMORY_OUT(g->piece, pixels > features ? pixels : features);
        TRY_MEMORY_OUT(g->features, features);
    }
    status = tiles_count(&g->tiles) == 1 ? encode_frames(g) : encode_tiles(g);
out:
    spill_close(&g->made);
    free(g->features);
    free(g->pixels);
    free(g->piece);
    const Status computed = engine_take_failure(e);
    return failed(status) ? status : computed;
}

Status latents_encode(Engine *e, const Footage *v, const Trace *trace, int number, float **out)
{
    const VaeConfig *c = &e->config->vae;
    const int64_t dim[4] = {c->z_dim, (v->frames - 1) / c->scale_time + 1, v->height / c->scale_space,
                            v->width / c->scale_space};
    const int64_t per_channel = dim[1] * dim[2] * dim[3];
    Coll *group = e->group;
    Encoding g = {.e = e, .v = v, .dim = {dim[0], dim[1], dim[2], dim[3]}};
    float *mean = g.mean = memory_large((size_t)(dim[0] * per_channel), sizeof *mean);
    Status status = mean ? status_ok() : memory_refused((size_t)(dim[0] * per_channel), sizeof *mean);
    if (!failed(status) && group->rank == 0) status = encode_here(&g);
    status = coll_agree(group, status);
    if (!failed(status)) status = coll_host_broadcast(group, mean, (size_t)(dim[0] * per_channel) * sizeof *mean, 0);
    if (failed(status)) {
        free(mean);
        return status;
    }
    trace_floats(trace, mean, 4, dim, "vae.encode.%d.mean", number);
    for (int z = 0; z < c->z_dim; z++)
        for (int64_t i = 0; i < per_channel; i++) {
            float *x = &mean[z * per_channel + i];
            *x = (*x - c->mean[z]) * (1.0f / c->std[z]);
        }
    *out = mean;
    return status_ok();
}
