/* softmax(scale q k^T) v with scores in int8, by own kernels: tiles are laid out, then multiplied. */
#include "kernels/cuda/attention.h"

_Static_assert((int)ATTENTION_TILE == (int)BACKEND_SCORES_HEAD, "the kernel's heads are those that are asked for");

enum { LEAST_KEYS = 1024 /* with fewer, laying out the queries costs more than their products save */ };

bool attention_int8_fits(const Backend *be, const Attention *a)
{
    if (be->options.scores != INT8 || be->options.compute != BF16 || a->bias.data || a->d != ATTENTION_TILE)
        return false;
    return a->tk >= LEAST_KEYS || cuda_of(be)->always_cudnn;
}

static int64_t tiles_of(int64_t rows) { return (rows + ATTENTION_TILE - 1) / ATTENTION_TILE; }

static Status tiles_new(Backend *be, const Attention *a, AttentionTiles *t)
{
    *t = (AttentionTiles){.heads = a->heads, .queries = a->tq, .keys = a->tk, .q_tiles = tiles_of(a->tq)};
    t->k_tiles = (int)tiles_of(a->tk);
    const int64_t tile = ATTENTION_TILE * ATTENTION_TILE, q = a->heads * t->q_tiles, k = a->heads * t->k_tiles;
    t->q = backend_alloc(be, INT8, 2, (int64_t[]){q, tile}).data;
    t->k = backend_alloc(be, INT8, 2, (int64_t[]){k, tile}).data;
    t->v = backend_alloc(be, BF16, 2, (int64_t[]){k, tile}).data;
    t->q_scale = backend_alloc(be, F32, 2, (int64_t[]){q, ATTENTION_TILE}).data;
    t->k_scale = backend_alloc(be, F32, 1, &k).data;
    return be->first;
}

Status attention_int8(Backend *be, const Attention *a)
{
    const cudaStream_t stream = cuda_of(be)->stream;
    AttentionTiles t;
    TRY(tiles_new(be, a, &t));
    Tensor mean = backend_alloc(be, F32, 1, &a->k.dim[1]);
    Tensor partial = backend_alloc(be, F32, 2, (int64_t[]){column_mean_parts(a->tk), a->k.dim[1]});
    if (failed(be->first)) return be->first;
    CUDA_TRY(launch_column_means(stream, a->k, partial, mean));
    CUDA_TRY(launch_attention_tiles(stream, a->q, a->k, a->v, mean.data, a->scale, &t));
    CUDA_TRY(launch_attention_int8(stream, &t, a->out));
    cuda_of(be)->note[NOTE_ATTENTION_INT8]++;
    return status_ok();
}
