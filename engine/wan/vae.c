#include "vae.h"

#include <math.h>
#include <stdlib.h>

#include "common/file.h"
#include "engine/wan/vae_parts.h"

enum { LOOK_BACK = 2 };

const VaePace vae_least_pace = {.piece_bytes = 32 << 20, .latents = 1};

struct VaeStream {
    Vae *v;
    bool first; /* chunk */
    int64_t piece_bytes;
    Tensor *history; /* by slot */
};

/* ---- streams ---------------------------------------------------------------------------------------------------------------------- */

VaeStream *vae_begin(Vae *v, VaePace pace)
{
    VaeStream *s = memory_get(1, sizeof *s);
    s->v = v;
    s->piece_bytes = pace.piece_bytes;
    s->first = true;
    s->history = memory_get((size_t)v->slots, sizeof *s->history);
    return s;
}

void vae_end(VaeStream **s)
{
    if (!*s) return;
    for (int i = 0; i < (*s)->v->slots; i++) backend_drop((*s)->v->be, &(*s)->history[i]);
    free((*s)->history);
    free(*s);
    *s = NULL;
}

/* The frames before the next ones of this convolution; zeros at the start. */
static Tensor *history_of(VaeStream *s, int slot, int64_t frames, DType type, const int64_t dim[4])
{
    Backend *be = s->v->be;
    Tensor *h = &s->history[slot];
    if (h->data) return h;
    const int64_t shape[4] = {frames, dim[1], dim[2], dim[3]};
    *h = backend_keep(be, type, 4, shape);
    op_zero(be, *h);
    return h;
}

/* What a convolution reads: x, or with a gain silu(norm(x)), in this type, and in front of it the `frames` frames before it. Its own last
 * frames become the history. */
static Tensor with_history(VaeStream *s, int slot, int64_t frames, Tensor x, Tensor gain, DType type)
{
    Backend *be = s->v->be;
    Tensor *h = history_of(s, slot, frames, type, x.dim);
    Tensor all = backend_alloc(be, type, 4, (int64_t[]){frames + x.dim[0], x.dim[1], x.dim[2], x.dim[3]});
    Tensor own = tensor_rows(all, frames, x.dim[0]);
    op_copy(be, tensor_rows(all, 0, frames), *h);
    if (gain.data)
        op_channel_norm_to(be, own, x, gain, true);
    else
        op_copy(be, own, x);
    op_copy(be, *h, tensor_rows(all, x.dim[0], frames));
    return all;
}

static Tensor normed_with_history(VaeStream *s, int slot, Tensor gain, Tensor x)
{
    return with_history(s, slot, LOOK_BACK, x, gain, backend_compute(s->v->be));
}

/* x + conv(silu(norm(conv(silu(norm(x)))))); overwrites x when the width stays. What lies between the two is of the compute type. */
static Tensor res_block(VaeStream *s, const VaeRes *r, Tensor x)
{
    Backend *be = s->v->be;
    Tensor acc = r->widens ? op_conv(be, x, &r->shortcut) : x;
    ArenaMark mark = backend_mark(be);
    Tensor h = backend_alloc(be, backend_compute(be), 4, acc.dim);
    ArenaMark inner = backend_mark(be);
    op_conv_to(be, h, normed_with_history(s, r->slot, r->norm1, x), &r->conv1);
    backend_release(be, inner);
    op_conv_add(be, acc, normed_with_history(s, r->slot + 1, r->norm2, h), &r->conv2);
    backend_release(be, mark);
    return acc;
}

/* Within each frame, one head; in place. */
static void attention(VaeStream *s, Tensor x)
{
    const Vae *v = s->v;
    Backend *be = v->be;
    const int64_t c = x.dim[3], pixels = x.dim[1] * x.dim[2];
    Tensor rows = tensor_reshape(x, 2, (int64_t[]){x.dim[0] * pixels, c});
    for (int64_t t = 0; t < x.dim[0]; t++) {
        ArenaMark mark = backend_mark(be);
        Tensor frame = tensor_rows(rows, t * pixels, pixels);
        Tensor qkv = op_linear(be, op_channel_norm(be, frame, v->attention_norm, false), &v->qkv, ACT_NONE);
        Tensor a = op_attention(be, op_columns(be, qkv, 0, c), op_columns(be, qkv, c, c), op_columns(be, qkv, 2 * c, c),
                                1, 1.0f / sqrtf((float)c), (Tensor){0});
        op_linear_add(be, frame, a, &v->proj, (Tensor){0});
        backend_release(be, mark);
    }
}

/* The first chunk is one frame and is not doubled in time; nor does its time convolution see it later. */
static Tensor upsample(VaeStream *s, const VaeResample *r, Tensor x)
{
    Backend *be = s->v->be;
    if (r->in_time && !s->first)
        x = op_time_split(
            be, op_conv(be, with_history(s, r->slot, LOOK_BACK, x, (Tensor){0}, backend_compute(be)), &r->time));
    return op_conv_upsampled(be, x, &r->space);
}

/* The first chunk is one frame and stays one, but the next chunk's time convolution does see it. */
static Tensor join_pairs(VaeStream *s, const VaeResample *r, Tensor x)
{
    if (!r->present || !r->in_time) return x;
    Tensor all = with_history(s, r->slot, 1, x, (Tensor){0}, F32);
    return s->first ? x : op_conv(s->v->be, all, &r->time);
}

static Tensor mid_block(VaeStream *s, Tensor x)
{
    x = res_block(s, &s->v->mid[0], x);
    attention(s, x);
    return res_block(s, &s->v->mid[1], x);
}

/* How many frames of x take the next part together: several large ones need several times the memory, several small ones keep the
 * processor busier. All pieces are of one size, because cuDNN makes a plan for each. */
static int64_t piece_of(const VaeStream *s, Tensor x) { return tensor_piece(x, s->piece_bytes); }

static Tensor head_input(VaeStream *s, Tensor x) { return normed_with_history(s, s->v->out_slot, s->v->norm_out, x); }

/* ---- decoder ------------------------------------------------------------------------------------------------------------------------- */

/* z48 carries the stage's input around it, repeated up. */
static Tensor up_stage(VaeStream *s, const VaeStage *g, Tensor x)
{
    Backend *be = s->v->be;
    Tensor around = {0};
    if (s->v->config.residual && g->sample.present)
        around = op_dup_up(be, x, g->out, g->sample.in_time ? 2 : 1, 2, s->first);
    for (int i = 0; i < g->res_count; i++) x = res_block(s, &g->res[i], x);
    if (g->sample.present) x = upsample(s, &g->sample, x);
    if (around.data) op_add_to(be, x, around, 1.0f);
    return x;
}

/* Stages i.. and the head; the frames follow *row of out. */
static void decode_from(VaeStream *s, int i, Tensor x, Tensor out, int64_t *row)
{
    Backend *be = s->v->be;
    ArenaMark mark = backend_mark(be);
    const int64_t piece = piece_of(s, x);
    if (piece < x.dim[0]) {
        for (int64_t t = 0; t < x.dim[0]; t += piece) decode_from(s, i, tensor_rows(x, t, piece), out, row);
    } else if (i < s->v->config.stages) {
        decode_from(s, i + 1, up_stage(s, &s->v->stage[i], x), out, row);
    } else {
        op_conv_to(be, tensor_rows(out, *row, x.dim[0]), head_input(s, x), &s->v->out);
        *row += x.dim[0];
    }
    backend_release(be, mark);
}

static Tensor decode_middle(VaeStream *s, Tensor latent)
{
    Vae *v = s->v;
    Backend *be = v->be;
    Tensor x = op_linear(be, latent, &v->quant, ACT_NONE);
    return mid_block(s, op_conv(be, with_history(s, v->in_slot, LOOK_BACK, x, (Tensor){0}, F32), &v->in));
}

static Tensor decode_outer(VaeStream *s, Tensor middle)
{
    const VaeConfig *c = &s->v->config;
    Backend *be = s->v->be;
    const int64_t scale = c->scale_space / c->patch, frames = s->first ? 1 : middle.dim[0] * c->scale_time;
    Tensor out =
        backend_alloc(be, F32, 4, (int64_t[]){frames, middle.dim[1] * scale, middle.dim[2] * scale, c->out_channels});
    ArenaMark mark = backend_mark(be);
    int64_t row = 0;
    decode_from(s, 0, middle, out, &row);
    s->first = false;
    backend_release(be, mark);
    return c->patch > 1 ? op_pixel_shuffle(be, out, c->patch) : out;
}

/* ---- encoder ------------------------------------------------------------------------------------------------------------------------- */

/* What a stage does with each frame before frames are joined: residual blocks and half the height and width. */
static Tensor down_frames(VaeStream *s, const VaeStage *g, Tensor x)
{
    for (int i = 0; i < g->res_count; i++) x = res_block(s, &g->res[i], x);
    return g->sample.present ? op_conv(s->v->be, x, &g->sample.space) : x;
}

static Tensor down_in_pieces(VaeStream *s, const VaeStage *g, Tensor x, int64_t piece)
{
    Backend *be = s->v->be;
    const int64_t space = g->sample.present ? 2 : 1;
    Tensor all = backend_alloc(be, F32, 4, (int64_t[]){x.dim[0], x.dim[1] / space, x.dim[2] / space, g->out});
    for (int64_t t = 0; t < x.dim[0]; t += piece) {
        ArenaMark mark = backend_mark(be);
        op_copy(be, tensor_rows(all, t, piece), down_frames(s, g, tensor_rows(x, t, piece)));
        backend_release(be, mark);
    }
    return all;
}

/* z48 carries the stage's input around it, averaged down. */
static Tensor down_stage(VaeStream *s, const VaeStage *g, Tensor x)
{
    Backend *be = s->v->be;
    Tensor around = {0};
    if (s->v->config.residual)
        around = op_avg_down(be, x, g->out, g->sample.in_time ? 2 : 1, g->sample.present ? 2 : 1);
    const int64_t piece = piece_of(s, x);
    x = piece < x.dim[0] ? down_in_pieces(s, g, x, piece) : down_frames(s, g, x);
    x = join_pairs(s, &g->sample, x);
    if (around.data) op_add_to(be, x, around, 1.0f);
    return x;
}

static Tensor encode_outer(VaeStream *s, Tensor pixels)
{
    Vae *v = s->v;
    Backend *be = v->be;
    if (v->config.patch > 1) pixels = op_pixel_unshuffle(be, pixels, v->config.patch);
    Tensor x = op_conv(be, with_history(s, v->in_slot, LOOK_BACK, pixels, (Tensor){0}, F32), &v->in);
    for (int i = 0; i < v->config.stages; i++) x = down_stage(s, &v->stage[i], x);
    s->first = false;
    return x;
}

static Tensor encode_middle(VaeStream *s, Tensor features)
{
    Vae *v = s->v;
    Tensor x = op_conv(v->be, head_input(s, mid_block(s, features)), &v->out);
    return op_columns(v->be, op_linear(v->be, x, &v->quant, ACT_NONE), 0, v->config.z_dim);
}

/* ---- in the precision that the autoencoder asks for ------------------------------------------------------------------------------- */

static Tensor exactly(VaeStream *s, Tensor (*pass)(VaeStream *s, Tensor x), Tensor x)
{
    const DType before = backend_begin_exact(s->v->be);
    const Tensor out = pass(s, x);
    backend_end_exact(s->v->be, before);
    return out;
}

Tensor vae_decode_middle(VaeStream *s, Tensor latent) { return exactly(s, decode_middle, latent); }
Tensor vae_decode_outer(VaeStream *s, Tensor middle) { return exactly(s, decode_outer, middle); }
Tensor vae_decode(VaeStream *s, Tensor latent) { return vae_decode_outer(s, vae_decode_middle(s, latent)); }
Tensor vae_encode_outer(VaeStream *s, Tensor pixels) { return exactly(s, encode_outer, pixels); }
Tensor vae_encode_middle(VaeStream *s, Tensor features) { return exactly(s, encode_middle, features); }
Tensor vae_encode(VaeStream *s, Tensor pixels) { return vae_encode_middle(s, vae_encode_outer(s, pixels)); }

/* ---- windows --------------------------------------------------------------------------------------------------------------------- */

/* From the result back to what it is made of, in pixels of each stage: a convolution looks one further, two per residual block. */
int vae_halo(const Vae *v)
{
    const int stages = v->config.stages;
    int n = v->half == VAE_DECODER ? 1 : 0; /* the last convolution */
    for (int i = stages - 1; i >= 0; i--) {
        n += 2 * v->stage[i].res_count;
        if (i == 0) break;
        n = v->half == VAE_DECODER ? (n + 2) / 2 : 2 * n + 2;
    }
    if (v->half == VAE_DECODER) return n;
    const int scale = v->config.scale_space / v->config.patch;
    return (n + 1 + scale - 1) / scale; /* the first convolution */
}

int vae_middle(const Vae *v)
{
    const VaeConfig *c = &v->config;
    return (v->half == VAE_DECODER ? c->decoder_base_dim : c->base_dim) * c->dim_mult[c->stages - 1];
}

int vae_scale(const Vae *v) { return v->config.scale_space; }
