#include "encoder_layer.h"

#include <math.h>

/* So much of a layer's work is on many rows that ten minutes of sound, 30,000 rows, would take 1.2 GB at once. No row's sums change with their
 * number: what attention's queries and the MLP make of a row needs no other. */
enum { CHUNK_ROWS = 1024 };

static int64_t chunk_at(Tensor x, int64_t first)
{
    const int64_t left = x.dim[0] - first;
    return left < CHUNK_ROWS ? left : CHUNK_ROWS;
}

static void add_attention(Backend *be, Coll *tensor, const EncoderLayer *l, int heads, int head_width, float eps,
                          Tensor x)
{
    Tensor h = op_layernorm(be, x, l->norm1_gain, l->norm1_bias, eps);
    Tensor k = op_linear(be, h, &l->k, ACT_NONE), v = op_linear(be, h, &l->v, ACT_NONE);
    for (int64_t first = 0; first < x.dim[0]; first += CHUNK_ROWS) {
        const int64_t count = chunk_at(x, first);
        ArenaMark mark = backend_mark(be);
        Tensor q = op_linear(be, tensor_rows(h, first, count), &l->q, ACT_NONE);
        Tensor a = op_attention(be, q, k, v, heads, 1.0f / sqrtf((float)head_width), (Tensor){0});
        coll_linear_add(tensor, be, tensor_rows(x, first, count), a, &l->out, (Tensor){0});
        backend_release(be, mark);
    }
}

static void add_mlp(Backend *be, Coll *tensor, const EncoderLayer *l, float eps, Tensor x)
{
    for (int64_t first = 0; first < x.dim[0]; first += CHUNK_ROWS) {
        Tensor some = tensor_rows(x, first, chunk_at(x, first));
        ArenaMark mark = backend_mark(be);
        Tensor h = op_layernorm(be, some, l->norm2_gain, l->norm2_bias, eps);
        coll_linear_add(tensor, be, some, op_linear(be, h, &l->up, ACT_GELU_ERF), &l->down, (Tensor){0});
        backend_release(be, mark);
    }
}

void encoder_layer_add(Backend *be, Coll *tensor, const EncoderLayer *l, int heads, int head_width, float eps, Tensor x)
{
    ArenaMark mark = backend_mark(be);
    add_attention(be, tensor, l, heads, head_width, eps, x);
    backend_release(be, mark);
    add_mlp(be, tensor, l, eps, x);
}
