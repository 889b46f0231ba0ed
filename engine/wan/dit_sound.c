/* dit_sound.c - what a model that speaks has besides: tokens that show who speaks and what was before, and sound that is heard
 * after listed layers. Written from diffsynth 2.1.12 (models/wan_video_dit_s2v.py, Apache-2.0), compared with it in
 * tests/parity/test_s2v.c. */
#include "dit_parts.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/chain.h"
#include "common/file.h"

/* How the latent frames that were before are seen: `frames` of them, behind which `newer` ones stand. */
static const struct {
    int newer, frames, patch[3];
} pack[DIT_PACKS] = {{0, 1, {1, 2, 2}}, {1, 2, {2, 4, 4}}, {3, 16, {4, 8, 8}}};

enum { REFERENCE_PLACE = 30 /* in time, where no clip's frames come to */ };
enum { KIND_SHOWN, KIND_REFERENCE, KIND_BEFORE };

static const float ADAPT_EPS = 1e-5f, /* torch's default, of AdaLayerNorm */
    EAR_EPS = 1e-6f;                  /* of the sound's q and k, whatever the blocks have */

/* ---- tokens ------------------------------------------------------------------------------------------------------------------ */

/* What was before stands at negative times, from the oldest frame of its pack on; a coarse patch spreads over the same places as the
 * fine ones. */
void dit_sound_parts(DitShot *s, const DitGiven *given)
{
    const int rows = (int)s->grid[1], columns = (int)s->grid[2];
    s->part[s->parts++] = (DitPart){
        .grid = {1, rows, columns}, .from = {REFERENCE_PLACE, 0, 0}, .to = {REFERENCE_PLACE, rows - 1, columns - 1}};
    for (int i = 0; given->motion && i < DIT_PACKS; i++) {
        const int oldest = -(pack[i].newer + pack[i].frames);
        s->part[s->parts++] = (DitPart){
            .grid = {pack[i].frames / pack[i].patch[0], s->dim[2] / pack[i].patch[1], s->dim[3] / pack[i].patch[2]},
            .from = {oldest, 0, 0},
            .to = {oldest + pack[i].frames - 1, rows - 1, columns - 1}};
    }
}

/* [C,frames,H,W] of the latent frames that were before, as patches projected. */
static Tensor pack_frames(const DitShot *s, const float *motion, int i)
{
    Backend *be = s->d->be;
    const int64_t channels = s->dim[0], frame = s->dim[2] * s->dim[3], frames = pack[i].frames;
    const int64_t first = CHAIN_MOTION_LATENTS - pack[i].newer - frames,
                  dim[4] = {channels, frames, s->dim[2], s->dim[3]};
    float *part = memory_get((size_t)(channels * frames * frame), sizeof *part);
    for (int64_t c = 0; c < channels && !backend_plans(be); c++)
        memcpy(part + c * frames * frame, motion + (c * CHAIN_MOTION_LATENTS + first) * frame,
               (size_t)(frames * frame) * sizeof *part);
    Tensor x =
        op_linear(be, op_patchify(be, backend_upload(be, part, 4, dim), pack[i].patch), &s->d->pack[i], ACT_NONE);
    free(part);
    return x;
}

static Tensor of_kind(const DitShot *s, Tensor x, int kind)
{
    return op_add(s->d->be, x, tensor_rows(s->d->kinds, kind, 1));
}

/* How many of this rank's tokens are the latents'. */
static int64_t shown_here(const DitShot *s)
{
    const int64_t n = s->shown - s->first;
    return n < 0 ? 0 : n > s->count ? s->count : n;
}

/* All of them on every rank: they are few, and computed once for a clip. */
void dit_sound_begin(DitShot *s, const DitGiven *given)
{
    const Dit *d = s->d;
    Backend *be = d->be;
    const int64_t width = s->d->kinds.dim[1], here = s->count - shown_here(s);
    const int64_t pose[2] = {1, (int64_t)d->config.pose_channels * d->config.patch[0] * d->config.patch[1] *
                                    d->config.patch[2]},
                  one[4] = {s->dim[0], 1, s->dim[2], s->dim[3]};
    ArenaMark mark = backend_mark(be);
    s->begin = dit_keep(be, F32, of_kind(s, op_linear(be, backend_zeros(be, 2, pose), &d->pose, ACT_NONE), KIND_SHOWN));
    Tensor all = backend_alloc(be, F32, 2, (int64_t[]){s->tokens - s->shown, width});
    Tensor x = op_patchify(be, backend_upload(be, given->reference, 4, one), d->config.patch);
    x = of_kind(s, op_linear(be, x, &d->patch, ACT_NONE), KIND_REFERENCE);
    op_copy(be, tensor_rows(all, 0, x.dim[0]), x);
    int64_t at = x.dim[0];
    for (int i = 0; given->motion && i < DIT_PACKS; i++) {
        x = of_kind(s, pack_frames(s, given->motion, i), KIND_BEFORE);
        op_copy(be, tensor_rows(all, at, x.dim[0]), x);
        at += x.dim[0];
    }
    if (here > 0) s->given = dit_keep(be, F32, tensor_rows(all, s->first + shown_here(s) - s->shown, here));
    backend_release(be, mark);
}

void dit_sound_end(DitShot *s)
{
    Backend *be = s->be;
    for (int branch = 0; branch < DIT_BRANCHES; branch++) {
        for (int i = 0; s->heard[branch] && i < s->d->config.sound_count; i++) {
            backend_drop(be, &s->heard[branch][i].k);
            backend_drop(be, &s->heard[branch][i].v);
            backend_drop(be, &s->heard[branch][i].adapt);
        }
        free(s->heard[branch]);
    }
    backend_drop(be, &s->begin);
    backend_drop(be, &s->given);
}

Tensor dit_sound_tokens(const DitShot *s, Tensor patches)
{
    const Dit *d = s->d;
    Backend *be = d->be;
    const int64_t here = shown_here(s);
    Tensor x = backend_alloc(be, F32, 2, (int64_t[]){s->count, d->kinds.dim[1]});
    ArenaMark mark = backend_mark(be);
    if (here > 0) {
        Tensor shown = op_linear(be, tensor_rows(patches, s->first, here), &d->patch, ACT_NONE);
        op_copy(be, tensor_rows(x, 0, here), op_add(be, shown, s->begin));
    }
    if (here < s->count) op_copy(be, tensor_rows(x, here, s->count - here), s->given);
    backend_release(be, mark);
    return x;
}

/* ---- sound ------------------------------------------------------------------------------------------------------------------- */

static QkNorm ear_norm(const Dit *d, Tensor gain, Tensor x)
{
    QkNorm n = dit_norm(d, gain, coll_sumsq(d->tensor, d->be, x, (Tensor){0}), 0);
    n.eps = EAR_EPS;
    return n;
}

Status dit_shot_sound(DitShot *s, int branch, const float *clip)
{
    const Dit *d = s->d;
    Backend *be = d->be;
    const int64_t width = d->kinds.dim[1], frames = s->grid[0], tokens = frames * (d->config.sound_tokens + 1);
    const int64_t pairs[2] = {2 * frames, width};
    s->heard[branch] = memory_get((size_t)d->config.sound_count, sizeof **s->heard);
    ArenaMark mark = backend_mark(be);
    const AudioTokens heard = audio_encoder_run(d->audio, be, clip);
    const Tensor local = tensor_reshape(heard.local, 2, (int64_t[]){tokens, width});
    const Tensor whole = op_activation(be, heard.global, ACT_SILU);
    for (int i = 0; i < d->config.sound_count; i++) {
        const DitEar *w = &d->ear[i];
        DitHeard *h = &s->heard[branch][i];
        ArenaMark inner = backend_mark(be);
        Tensor kv[2];
        op_project(be, local, 2, (const Linear *[]){&w->cross.k, &w->cross.v}, kv);
        const QkNorm norm = ear_norm(d, w->cross.norm_k, kv[0]);
        op_qk_norm_rope(be, kv[0], &norm);
        h->k = dit_keep(be, backend_compute(be), kv[0]);
        h->v = dit_keep(be, backend_compute(be), kv[1]);
        const Tensor adapt = coll_columns(d->tensor, be, op_linear(be, whole, &w->adapt, ACT_NONE));
        h->adapt = dit_keep(be, F32, tensor_reshape(adapt, 2, pairs));
        backend_release(be, inner);
    }
    backend_release(be, mark);
    return backend_status(be);
}

typedef struct { /* the tokens of one latent frame that this rank has */
    int64_t first, count;
} Piece;

static Piece piece_of(const DitShot *s, int64_t frame)
{
    const int64_t size = s->grid[1] * s->grid[2], here = shown_here(s);
    int64_t first = frame * size - s->first, end = first + size;
    if (first < 0) first = 0;
    if (end > here) end = here;
    return (Piece){first, end > first ? end - first : 0};
}

/* Each latent frame's tokens look at its own sound. */
static Tensor listen(const DitShot *s, const DitHeard *h, Tensor q)
{
    const Dit *d = s->d;
    Backend *be = d->be;
    const int64_t tokens = d->config.sound_tokens + 1;
    const float scale = 1.0f / sqrtf((float)d->config.head_dim);
    Tensor out = backend_alloc(be, q.dtype, 2, q.dim);
    for (int64_t f = 0; f < s->grid[0]; f++) {
        const Piece p = piece_of(s, f);
        if (p.count == 0) continue;
        ArenaMark mark = backend_mark(be);
        op_copy(be, tensor_rows(out, p.first, p.count),
                op_attention(be, tensor_rows(q, p.first, p.count), tensor_rows(h->k, f * tokens, tokens),
                             tensor_rows(h->v, f * tokens, tokens), d->heads, scale, (Tensor){0}));
        backend_release(be, mark);
    }
    return out;
}

void dit_sound_hear(const DitShot *s, int branch, int ear, Tensor x)
{
    const Dit *d = s->d;
    Backend *be = d->be;
    const DitEar *w = &d->ear[ear];
    const DitHeard *h = &s->heard[branch][ear];
    const int64_t here = shown_here(s);
    assert(s->heard[branch]);
    if (here == 0) return; /* nor have the ranks that this one shares its tokens with */
    ArenaMark mark = backend_mark(be);
    x = tensor_rows(x, 0, here);
    Tensor adapted = backend_alloc(be, backend_compute(be), 2, x.dim), q;
    for (int64_t f = 0; f < s->grid[0]; f++) {
        const Piece p = piece_of(s, f);
        if (p.count > 0)
            op_norm_modulate(be, tensor_rows(x, p.first, p.count), tensor_rows(h->adapt, 2 * f + 1, 1),
                             tensor_rows(h->adapt, 2 * f, 1), ADAPT_EPS, tensor_rows(adapted, p.first, p.count));
    }
    op_project(be, adapted, 1, (const Linear *[]){&w->cross.q}, &q);
    const QkNorm norm = ear_norm(d, w->cross.norm_q, q);
    op_qk_norm_rope(be, q, &norm);
    coll_linear_add(d->tensor, be, x, listen(s, h, q), &w->cross.out, (Tensor){0});
    backend_release(be, mark);
}
