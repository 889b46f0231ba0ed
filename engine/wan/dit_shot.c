/* dit_shot.c - what a shot gives to every evaluation: rotary tables, and the prompts' and pictures' keys and values. None of it
 * depends on the timestep. */
#include "dit_parts.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

Tensor dit_keep(Backend *be, DType type, Tensor t)
{
    Tensor kept = backend_keep(be, type, t.ndim, t.dim);
    op_copy(be, kept, t);
    return kept;
}

/* Where the i-th token on an axis stands, as numpy's linspace has it. */
static int place_on(const DitPart *p, int axis, int64_t i)
{
    if (p->grid[axis] == 1) return p->from[axis];
    if (i == p->grid[axis] - 1) return p->to[axis];
    const double step = (double)(p->to[axis] - p->from[axis]) / (double)(p->grid[axis] - 1);
    return (int)((double)i * step + p->from[axis]);
}

static void find_place(const DitShot *s, int64_t token, int place[3])
{
    const DitPart *p = s->part;
    while (token >= p->grid[0] * p->grid[1] * p->grid[2]) {
        token -= p->grid[0] * p->grid[1] * p->grid[2];
        p++;
    }
    place[0] = place_on(p, 0, token / (p->grid[1] * p->grid[2]));
    place[1] = place_on(p, 1, token / p->grid[2] % p->grid[1]);
    place[2] = place_on(p, 2, token % p->grid[2]);
}

/* Each head's pairs are divided among frame, row and column of the token (44, 42 and 42 of 128 numbers); pair i of an
 * axis of n numbers turns by position / 10000^(2i/n), in double precision, rounded at the end. */
static void fill_rotation(const DitShot *s, float *cosine, float *sine)
{
    const int head_dim = s->d->config.head_dim, side = 2 * (head_dim / 6);
    const int width[3] = {head_dim - 2 * side, side, side};
    for (int64_t t = s->first; t < s->first + s->count; t++) {
        int at[3];
        find_place(s, t, at);
        for (int axis = 0; axis < 3; axis++) {
            for (int i = 0; i < width[axis]; i += 2) {
                double angle = (double)at[axis] * (1.0 / pow(10000.0, (double)i / width[axis]));
                *cosine++ = (float)cos(angle);
                *sine++ = (float)sin(angle);
            }
        }
    }
}

/* The tokens, of all ranks and of this one. */
static void begin_parts(DitShot *s, const DitGiven *given)
{
    const Dit *d = s->d;
    DitPart *shown = &s->part[s->parts++];
    for (int i = 0; i < 3; i++) {
        s->grid[i] = shown->grid[i] = s->dim[1 + i] / d->config.patch[i];
        shown->to[i] = (int)shown->grid[i] - 1;
    }
    s->shown = s->tokens = s->grid[0] * s->grid[1] * s->grid[2];
    if (given) dit_sound_parts(s, given);
    for (int i = 1; i < s->parts; i++) s->tokens += s->part[i].grid[0] * s->part[i].grid[1] * s->part[i].grid[2];
    s->first = coll_first(d->sequence, d->sequence->rank, s->tokens);
    s->count = coll_first(d->sequence, d->sequence->rank + 1, s->tokens) - s->first;
}

Status dit_shot_begin(Dit *d, const int64_t dim[4], const DitGiven *given, DitShot **out)
{
    Backend *be = d->be;
    assert((given != NULL) == (d->config.sound_count > 0));
    DitShot *s = memory_get(1, sizeof *s);
    s->d = d;
    s->be = be;
    memcpy(s->dim, dim, sizeof s->dim);
    begin_parts(s, given);
    const int64_t half = d->config.head_dim / 2, shape[2] = {s->count, half};
    float *table = memory_get((size_t)(2 * s->count * half), sizeof *table);
    if (!backend_plans(be)) fill_rotation(s, table, table + s->count * half);
    ArenaMark mark = backend_mark(be);
    s->cos = dit_keep(be, F32, backend_upload(be, table, 2, shape));
    s->sin = dit_keep(be, F32, backend_upload(be, table + s->count * half, 2, shape));
    backend_release(be, mark);
    free(table);
    if (given) dit_sound_begin(s, given);
    *out = s;
    return backend_status(be);
}

/* The rows that pad a prompt to `padded` are all zero, so their keys and values are all the same, and they are not masked:
 * one row stands for them, with log(how many) added to its score. */
Status dit_shot_prompt(DitShot *s, int branch, const float *rows, int n, int padded)
{
    Dit *d = s->d;
    Backend *be = d->be;
    const int64_t width = d->config.text_dim, count = n < padded ? n + 1 : n;
    float *padded_rows = memory_get((size_t)(count * width), sizeof *padded_rows);
    float *bias = memory_get((size_t)count, sizeof *bias);
    memcpy(padded_rows, rows, (size_t)(n * width) * sizeof *rows);
    if (n < padded) bias[n] = logf((float)(padded - n));
    ArenaMark mark = backend_mark(be);
    Tensor x = op_linear(be, backend_upload(be, padded_rows, 2, (int64_t[]){count, width}), &d->text1, ACT_GELU_TANH);
    Tensor text = coll_linear(d->tensor, be, x, &d->text2);
    s->text[branch] = dit_keep(be, F32, text);
    s->bias[branch] = dit_keep(be, F32, backend_upload(be, bias, 1, &count));
    s->rows[branch] = n;
    s->context[branch] = memory_get((size_t)d->blocks, sizeof **s->context);
    for (int i = 0; i < d->blocks; i++) {
        const DitAttention *a = &d->block[i].cross;
        ArenaMark inner = backend_mark(be);
        Tensor kv[2];
        op_project(be, text, 2, (const Linear *[]){&a->k, &a->v}, kv);
        const QkNorm norm = dit_norm(d, a->norm_k, coll_sumsq(d->tensor, be, kv[0], (Tensor){0}), 0);
        op_qk_norm_rope(be, kv[0], &norm);
        s->context[branch][i].k = dit_keep(be, backend_compute(be), kv[0]);
        s->context[branch][i].v = dit_keep(be, backend_compute(be), kv[1]);
        backend_release(be, inner);
    }
    backend_release(be, mark);
    free(padded_rows);
    free(bias);
    return backend_status(be);
}

static const float IMAGE_NORM_EPS = 1e-5f; /* torch's default, which diffusers' WanImageEmbedding takes */

Status dit_shot_image(DitShot *s, const float *rows, int n)
{
    Dit *d = s->d;
    Backend *be = d->be;
    ArenaMark mark = backend_mark(be);
    Tensor x = backend_upload(be, rows, 2, (int64_t[]){n, d->config.image_dim});
    if (d->image_pos.data) x = op_add(be, x, d->image_pos);
    x = op_layernorm(be, x, d->image_norm1_gain, d->image_norm1_bias, IMAGE_NORM_EPS);
    x = coll_linear(d->tensor, be, op_linear(be, x, &d->image1, ACT_GELU_ERF), &d->image2);
    x = op_layernorm(be, x, d->image_norm2_gain, d->image_norm2_bias, IMAGE_NORM_EPS);
    s->image = dit_keep(be, F32, x);
    for (int i = 0; i < d->blocks; i++) {
        const DitBlock *b = &d->block[i];
        ArenaMark inner = backend_mark(be);
        Tensor kv[2];
        op_project(be, x, 2, (const Linear *[]){&b->image_k, &b->image_v}, kv);
        const QkNorm norm = dit_norm(d, b->image_norm_k, coll_sumsq(d->tensor, be, kv[0], (Tensor){0}), 0);
        op_qk_norm_rope(be, kv[0], &norm);
        for (int branch = 0; branch < DIT_BRANCHES; branch++) {
            if (!s->context[branch]) continue;
            s->context[branch][i].image_k = dit_keep(be, backend_compute(be), kv[0]);
            s->context[branch][i].image_v = dit_keep(be, backend_compute(be), kv[1]);
        }
        backend_release(be, inner);
    }
    backend_release(be, mark);
    return backend_status(be);
}

void dit_shot_end(DitShot **shot)
{
    DitShot *s = *shot;
    if (!s) return;
    Backend *be = s->be;
    for (int branch = 0; branch < DIT_BRANCHES; branch++) {
        for (int i = 0; s->context[branch] && i < s->d->blocks; i++) {
            DitContext *c = &s->context[branch][i];
            backend_drop(be, &c->k);
            backend_drop(be, &c->v);
            backend_drop(be, &c->image_k);
            backend_drop(be, &c->image_v);
        }
        free(s->context[branch]);
        backend_drop(be, &s->text[branch]);
        backend_drop(be, &s->bias[branch]);
        backend_drop(be, &s->kept[branch]);
    }
    dit_sound_end(s);
    backend_drop(be, &s->image);
    backend_drop(be, &s->cos);
    backend_drop(be, &s->sin);
    free(s);
    *shot = NULL;
}
