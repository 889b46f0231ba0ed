/* softmax(scale q k^T + bias) v per head.
 *
 * By cuDNN where it has an engine: the graph of the operations (its fused attention engines recognise it), or its one
 * attention operation. Else of two products and a softmax, for so many queries at a time that their scores stay below
 * SCORES_BYTES: any head dimension, fp32 too, and the proof of the other. With scores in int8, where they are asked for:
 * attention_int8.c. */
#include "kernels/cuda/attention.h"
#include "common/log.h"
#include "kernels/cuda/cudnn_graph.h"

enum {
    SCORES_BYTES = 256 << 20,
    LARGEST_HEAD = 256,
    LEAST_WORK = 1 << 26 /* multiplications: a plan takes up to seconds to build */
};
enum { UID_Q = 1, UID_K, UID_V, UID_SCALE, UID_OUT, UID_BIAS };

/* ---- by cuDNN --------------------------------------------------------------------------------------------------------------- */

/* no bias: 0 heads of it */
enum { KEY_HEADS, KEY_D, KEY_TQ, KEY_TK, KEY_BIAS_HEADS, KEY_BIAS_QUERIES };

/* [1, heads, rows, d] in rows of heads * d numbers */
static GraphShape heads_shape(int64_t heads, int64_t rows, int64_t d)
{
    return (GraphShape){4, {1, heads, rows, d}, {rows * heads * d, d, heads * d, 1}};
}

static GraphShape transposed(GraphShape s)
{
    return (GraphShape){
        4, {s.dim[0], s.dim[1], s.dim[3], s.dim[2]}, {s.stride[0], s.stride[1], s.stride[3], s.stride[2]}};
}

static GraphShape packed_shape(int64_t heads, int64_t rows, int64_t columns)
{
    return (GraphShape){4, {1, heads, rows, columns}, {heads * rows * columns, rows * columns, columns, 1}};
}

/* p = softmax of the rows of s, as cuDNN's own front end writes it, with the logarithm of the sum that training would keep: its
 * engines recognise attention by these operations (9.19 has none without the last two). */
static void add_softmax(Graph *g, Node s, Node p, int64_t heads, const int64_t rows[2])
{
    const cudnnDataType_t fp32 = CUDNN_DATA_FLOAT;
    const GraphShape scores = packed_shape(heads, rows[0], rows[1]), row = packed_shape(heads, rows[0], 1);
    Node highest = graph_inner(g, fp32, row), less = graph_inner(g, fp32, scores), e = graph_inner(g, fp32, scores);
    Node sum = graph_inner(g, fp32, row), log_sum = graph_inner(g, fp32, row);
    graph_reduce(g, CUDNN_REDUCE_TENSOR_MAX, s, highest);
    graph_pointwise(g, CUDNN_POINTWISE_SUB, s, highest, less);
    graph_pointwise(g, CUDNN_POINTWISE_EXP, less, NULL, e);
    graph_reduce(g, CUDNN_REDUCE_TENSOR_ADD, e, sum);
    graph_pointwise(g, CUDNN_POINTWISE_LOG, sum, NULL, log_sum);
    graph_pointwise(g, CUDNN_POINTWISE_ADD, highest, log_sum, graph_inner(g, fp32, row));
    graph_pointwise(g, CUDNN_POINTWISE_DIV, e, sum, p);
}

static void build_operations(Graph *g, const int64_t key[PLAN_KEY])
{
    const int64_t heads = key[KEY_HEADS], d = key[KEY_D], tq = key[KEY_TQ], tk = key[KEY_TK];
    const cudnnDataType_t bf16 = CUDNN_DATA_BFLOAT16, fp32 = CUDNN_DATA_FLOAT;
    const GraphShape scores = packed_shape(heads, tq, tk);
    Node q = graph_tensor(g, UID_Q, bf16, heads_shape(heads, tq, d));
    Node k = graph_tensor(g, UID_K, bf16, transposed(heads_shape(heads, tk, d)));
    Node v = graph_tensor(g, UID_V, bf16, heads_shape(heads, tk, d));
    Node scale = graph_scalar(g, UID_SCALE), out = graph_tensor(g, UID_OUT, bf16, heads_shape(heads, tq, d));
    Node s = graph_inner(g, fp32, scores), scaled = graph_inner(g, fp32, scores);
    graph_product(g, q, k, s);
    graph_pointwise(g, CUDNN_POINTWISE_MUL, s, scale, scaled);
    if (key[KEY_BIAS_HEADS]) {
        Node bias = graph_tensor(g, UID_BIAS, fp32, packed_shape(key[KEY_BIAS_HEADS], key[KEY_BIAS_QUERIES], tk));
        Node biased = graph_inner(g, fp32, scores);
        graph_pointwise(g, CUDNN_POINTWISE_ADD, scaled, bias, biased);
        scaled = biased;
    }
    Node p = graph_inner(g, bf16, scores);
    add_softmax(g, scaled, p, heads, (int64_t[]){tq, tk});
    graph_product(g, p, v, out);
}

static void build_sdpa(Graph *g, const int64_t key[PLAN_KEY])
{
    const int64_t heads = key[KEY_HEADS], d = key[KEY_D], tq = key[KEY_TQ], tk = key[KEY_TK];
    const cudnnDataType_t bf16 = CUDNN_DATA_BFLOAT16;
    Node q = graph_tensor(g, UID_Q, bf16, heads_shape(heads, tq, d));
    Node k = graph_tensor(g, UID_K, bf16, heads_shape(heads, tk, d));
    Node v = graph_tensor(g, UID_V, bf16, heads_shape(heads, tk, d));
    Node scale = graph_scalar(g, UID_SCALE), out = graph_tensor(g, UID_OUT, bf16, heads_shape(heads, tq, d));
    graph_sdpa(g, q, k, v, scale, out);
}

static bool is_small(const Attention *a) { return a->heads * a->d * a->tq * a->tk < LEAST_WORK; }

static Plan *find_plan(Backend *be, const Attention *a)
{
    static const GraphBuild build[] = {build_operations, build_sdpa /* knows no bias */};
    Cudnn *c = cuda_of(be)->cudnn;
    int64_t key[PLAN_KEY] = {[KEY_HEADS] = a->heads, [KEY_D] = a->d, [KEY_TQ] = a->tq, [KEY_TK] = a->tk};
    const int form = cuda_of(be)->attention_form, forms = a->bias.data ? 1 : 2;
    Plan *p = NULL;
    key[PLAN_SKIPS] = cuda_of(be)->attention_skips;
    if (!c || be->options.compute != BF16 || a->d % 8 || a->d > LARGEST_HEAD) return NULL;
    if (is_small(a) && !cuda_of(be)->always_cudnn) return NULL;
    if (a->bias.data) {
        key[KEY_BIAS_HEADS] = a->bias.ndim == 3 ? a->heads : 1;
        key[KEY_BIAS_QUERIES] = a->bias.ndim == 3 ? a->tq : 1;
    }
    for (int i = 0; i < forms && !p; i++)
        if (form == 0 || form == i + 1) p = cudnn_plan(c, build[i], key);
    return p;
}

static Status attention_cudnn(Backend *be, Plan *plan, const Attention *a)
{
    float scale = a->scale;
    Tensor out = a->out;
    if (out.dtype != BF16) out = backend_alloc(be, BF16, out.ndim, out.dim);
    if (failed(be->first)) return be->first;
    void *const pointer[] = {a->q.data, a->k.data, a->v.data, &scale, out.data, a->bias.data};
    TRY(cudnn_run(be, plan, a->bias.data ? 6 : 5, pointer));
    cuda_of(be)->note[NOTE_ATTENTION_CUDNN]++;
    return cuda_copy(be, a->out, out);
}

/* ---- of products -------------------------------------------------------------------------------------------------------------- */

static void *at_offset(Tensor t, int64_t numbers) { return (char *)t.data + (size_t)numbers * dtype_bytes(t.dtype); }

/* `count` queries from `first` on; p: room for the softmax, the scores themselves in fp32 */
static Status attend(Backend *be, const Attention *a, int64_t first, int64_t count, Tensor scores, Tensor p)
{
    const int64_t width = a->heads * a->d;
    ProductCall s = {.a = at_offset(a->q, first * width),
                     .b = a->k.data,
                     .c = scores.data,
                     .m = count,
                     .n = a->tk,
                     .k = a->d,
                     .a_row = width,
                     .b_row = width,
                     .c_row = a->tk,
                     .batch = a->heads,
                     .a_step = a->d,
                     .b_step = a->d,
                     .c_step = count * a->tk,
                     .type = a->q.dtype,
                     .c_type = F32,
                     .alpha = a->scale};
    TRY(product_run(be, &s));
    const bool full = a->bias.data && a->bias.ndim == 3;
    scores.dim[1] = p.dim[1] = count;
    Softmax softmax = {.scores = scores,
                       .out = p,
                       .bias = a->bias.data,
                       .bias_head = full ? a->tq * a->tk : 0,
                       .bias_query = full ? a->tk : 0};
    if (full) softmax.bias += first * a->tk;
    CUDA_TRY(launch_softmax(cuda_of(be)->stream, &softmax));
    ProductCall o = {.a = p.data,
                     .b = a->v.data,
                     .c = at_offset(a->out, first * width),
                     .m = count,
                     .n = a->d,
                     .k = a->tk,
                     .a_row = a->tk,
                     .b_row = width,
                     .c_row = width,
                     .batch = a->heads,
                     .a_step = count * a->tk,
                     .b_step = a->d,
                     .c_step = a->d,
                     .type = p.dtype,
                     .c_type = a->out.dtype,
                     .b_plain = true,
                     .alpha = 1};
    return product_run(be, &o);
}

/* Said once: at 14B and 720p it takes about thirteen times as long. Small attentions are not worth a plan of cuDNN's, and whoever
 * avoids cuDNN or computes in fp32 knows it. */
static void tell_own(Backend *be, const Attention *a)
{
    Cuda *c = cuda_of(be);
    if (c->told_own_attention || !c->cudnn || be->options.compute != BF16 || is_small(a)) return;
    c->told_own_attention = true;
    log_line(LOG_WARNING,
             "attention of %lld x %lld tokens, heads of %lld, is computed without cuDNN, several times slower: %s",
             (long long)a->tq, (long long)a->tk, (long long)a->d,
             *cudnn_refusal(c->cudnn) ? cudnn_refusal(c->cudnn) : "cuDNN takes no heads of this size");
}

static Status attention_own(Backend *be, const Attention *a)
{
    const int64_t bytes_of_query = a->heads * a->tk * (int64_t)(sizeof(float) + dtype_bytes(a->q.dtype));
    int64_t count = SCORES_BYTES / bytes_of_query;
    count = count < 1 ? 1 : count > a->tq ? a->tq : count;
    Tensor scores = backend_alloc(be, F32, 3, (int64_t[]){a->heads, count, a->tk}), p = scores;
    if (a->q.dtype != F32) p = backend_alloc(be, a->q.dtype, 3, scores.dim);
    if (failed(be->first)) return be->first;
    for (int64_t first = 0; first < a->tq; first += count)
        TRY(attend(be, a, first, a->tq - first < count ? a->tq - first : count, scores, p));
    cuda_of(be)->note[NOTE_ATTENTION_OWN]++;
    return status_ok();
}

Status cuda_attention(Backend *be, Tensor q, Tensor k, Tensor v, int heads, float scale, Tensor bias, Tensor out)
{
    const Attention a = {.q = cuda_operand(be, q),
                         .k = cuda_operand(be, k),
                         .v = cuda_operand(be, v),
                         .bias = bias,
                         .out = out,
                         .heads = heads,
                         .d = q.dim[1] / heads,
                         .tq = q.dim[0],
                         .tk = k.dim[0],
                         .scale = scale};
    if (failed(be->first)) return be->first;
    if (a.tq == 0) return status_ok();
    if (attention_int8_fits(be, &a)) return attention_int8(be, &a);
    Plan *plan = find_plan(be, &a);
    if (!plan && cuda_of(be)->attention_form) return status_fail(ERR_INPUT, "no engine for this form of attention");
    Status status = plan ? attention_cudnn(be, plan, &a) : status_ok();
    if (plan && status.err != ERR_INPUT) return status;
    tell_own(be, &a);
    return attention_own(be, &a);
}
