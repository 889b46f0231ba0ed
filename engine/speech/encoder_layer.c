#include "encoder_layer.h"

#include <math.h>

void encoder_layer_add(Backend *be, Coll *tensor, const EncoderLayer *l, int heads, int head_width, float eps, Tensor x)
{
    ArenaMark mark = backend_mark(be);
    Tensor h = op_layernorm(be, x, l->norm1_gain, l->norm1_bias, eps);
    Tensor q = op_linear(be, h, &l->q, ACT_NONE), k = op_linear(be, h, &l->k, ACT_NONE),
           v = op_linear(be, h, &l->v, ACT_NONE);
    Tensor a = op_attention(be, q, k, v, heads, 1.0f / sqrtf((float)head_width), (Tensor){0});
    coll_linear_add(tensor, be, x, a, &l->out, (Tensor){0});
    h = op_layernorm(be, x, l->norm2_gain, l->norm2_bias, eps);
    coll_linear_add(tensor, be, x, op_linear(be, h, &l->up, ACT_GELU_ERF), &l->down, (Tensor){0});
    backend_release(be, mark);
}
