/* What lies between the products, a row at a time, in one pass over memory: a row is read, normalised in the first-level
 * cache and written in the type that the next product takes. */
#include <math.h>

#include "kernels/cpu/cpu.h"

enum { CHUNK = 4096 }; /* numbers of an element-wise op that a thread takes at once */

/* Row t of x as fp32: itself, or converted into room. */
static const float *tokens_row(const Cpu *c, Tensor x, int64_t t, int64_t d, float *room)
{
    const char *row = (const char *)x.data + (size_t)(t * d) * dtype_bytes(x.dtype);
    if (x.dtype == F32) return (const float *)row;
    c->isa->load(row, x.dtype, d, room);
    return room;
}

static void *tokens_out(Tensor out, int64_t at) { return (char *)out.data + (size_t)at * dtype_bytes(out.dtype); }

/* [threads][d] fp32 */
static float *tokens_room(Backend *be, int64_t d)
{
    return backend_alloc(be, F32, 2, (int64_t[]){be->options.threads, d}).data;
}

/* ---- norms: y = act((x - mean) * r * (gain + more) + bias) ---------------------------------------------------------- */

typedef enum { NORM_LAYER, NORM_RMS, NORM_CHANNELS } NormKind;

typedef struct {
    NormKind kind;
    float eps, more;
    Tensor gain, bias; /* [D] or none */
    Activation act;
    const float *squares; /* NORM_RMS: of rows `width` wide, of which x is a part; or NULL */
    int64_t width;
} Norm;

static void norm_row(const Isa *isa, const Norm *n, const float *x, int64_t d, int64_t t, DType dtype, void *out)
{
    IsaAffine f = {.more = n->more, .gain = n->gain.data, .bias = n->bias.data, .act = n->act};
    if (n->kind == NORM_LAYER) f.less = (float)(isa->sum(x, d) / (double)d);
    double squares = n->squares ? (double)n->squares[t] : isa->sum_squares(x, d, f.less);
    if (n->kind == NORM_CHANNELS)
        f.times = (float)(sqrt((double)d) / fmax(sqrt(squares), 1e-12));
    else
        f.times = (float)(1 / sqrt(squares / (double)(n->squares ? n->width : d) + (double)n->eps));
    isa->affine(x, d, &f, dtype, out);
}

static Status norm_run(Backend *be, Tensor x, const Norm *n, Tensor out)
{
    const Cpu *c = cpu_of(be);
    int64_t d = x.dim[x.ndim - 1], rows = d ? tensor_count(x) / d : 0;
    float *room = tokens_room(be, d);
    if (failed(be->first)) return be->first;
    int threads = be->options.threads;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++)
        for (int64_t t = rows * part / threads; t < rows * (part + 1) / threads; t++)
            norm_row(c->isa, n, tokens_row(c, x, t, d, room + part * d), d, t, out.dtype, tokens_out(out, t * d));
    return status_ok();
}

Status cpu_layernorm(Backend *be, Tensor x, Tensor gain, Tensor bias, float eps, Tensor out)
{
    return norm_run(be, x, &(Norm){.kind = NORM_LAYER, .eps = eps, .gain = gain, .bias = bias}, out);
}

Status cpu_rmsnorm(Backend *be, Tensor x, Tensor gain, float eps, Tensor out)
{
    return norm_run(be, x, &(Norm){.kind = NORM_RMS, .eps = eps, .gain = gain}, out);
}

Status cpu_norm_modulate(Backend *be, Tensor x, Tensor scale, Tensor shift, float eps, Tensor out)
{
    return norm_run(be, x, &(Norm){.kind = NORM_LAYER, .eps = eps, .more = 1, .gain = scale, .bias = shift}, out);
}

Status cpu_channel_norm(Backend *be, Tensor x, Tensor gain, bool silu, Tensor out)
{
    return norm_run(be, x, &(Norm){.kind = NORM_CHANNELS, .gain = gain, .act = silu ? ACT_SILU : ACT_NONE}, out);
}

Status cpu_sumsq(Backend *be, Tensor x, Tensor out)
{
    const Cpu *c = cpu_of(be);
    int64_t d = x.dim[x.ndim - 1], rows = tensor_count(x) / d;
    float *room = tokens_room(be, d), *y = out.data;
    if (failed(be->first)) return be->first;
    int threads = be->options.threads;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++)
        for (int64_t t = rows * part / threads; t < rows * (part + 1) / threads; t++)
            y[t] = (float)c->isa->sum_squares(tokens_row(c, x, t, d, room + part * d), d, 0);
    return status_ok();
}

Status cpu_qk_norm_rope(Backend *be, Tensor x, const QkNorm *norm)
{
    const Cpu *c = cpu_of(be);
    const float *cosine = norm->cos.data, *sine = norm->sin.data;
    int64_t d = x.dim[x.ndim - 1], rows = tensor_count(x) / d, pairs = d / norm->heads / 2;
    Norm n = {
        .kind = NORM_RMS, .eps = norm->eps, .gain = norm->gain, .squares = norm->sumsq.data, .width = norm->width};
    float *room = tokens_room(be, d);
    if (failed(be->first)) return be->first;
    int threads = be->options.threads;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++)
        for (int64_t t = rows * part / threads; t < rows * (part + 1) / threads; t++) {
            float *row = room + part * d;
            norm_row(c->isa, &n, tokens_row(c, x, t, d, row), d, t, F32, row);
            for (int h = 0; cosine && h < norm->heads; h++)
                c->isa->rotate(row + h * 2 * pairs, pairs, cosine + t * pairs, sine + t * pairs);
            c->isa->store(row, d, x.dtype, tokens_out(x, t * d));
        }
    return status_ok();
}

/* ---- one element at a time ----------------------------------------------------------------------------------------- */

typedef enum { EACH_ACTIVATION, EACH_ADD } EachKind;

typedef struct {
    EachKind kind;
    Activation act;
    float factor; /* of b in a sum */
} Each;

/* y[i] = f(a[i], b[(first + i) % count of b]) for n numbers in fp32 */
static void each_chunk(const Cpu *c, const Each *e, const float *a, Tensor b, int64_t first, int64_t n, float *y)
{
    float room[CHUNK];
    for (int64_t i = 0; i < n; i++) y[i] = a[i];
    if (e->kind == EACH_ACTIVATION) c->isa->activate(y, n, e->act);
    int64_t repeat = e->kind == EACH_ACTIVATION ? 0 : tensor_count(b);
    for (int64_t i = 0, run; repeat && i < n; i += run) {
        int64_t at = (first + i) % repeat;
        run = repeat - at < n - i ? repeat - at : n - i;
        c->isa->load(tokens_out(b, at), b.dtype, run, room);
        for (int64_t j = 0; j < run; j++) y[i + j] += e->factor * room[j];
    }
}

static Status each_run(Backend *be, const Each *e, Tensor a, Tensor b, Tensor out)
{
    const Cpu *c = cpu_of(be);
    int64_t count = tensor_count(out);
#pragma omp parallel for schedule(static) num_threads(be->options.threads)
    for (int64_t first = 0; first < count; first += CHUNK) {
        float in[CHUNK], y[CHUNK];
        int64_t n = count - first < CHUNK ? count - first : CHUNK;
        c->isa->load(tokens_out(a, first), a.dtype, n, in);
        each_chunk(c, e, in, b, first, n, y);
        c->isa->store(y, n, out.dtype, tokens_out(out, first));
    }
    return status_ok();
}

Status cpu_activation(Backend *be, Tensor x, Activation act, Tensor out)
{
    return each_run(be, &(Each){.kind = EACH_ACTIVATION, .act = act}, x, (Tensor){0}, out);
}

Status cpu_add(Backend *be, Tensor a, Tensor b, Tensor out)
{
    return each_run(be, &(Each){.kind = EACH_ADD, .factor = 1}, a, b, out);
}

Status cpu_add_to(Backend *be, Tensor acc, Tensor x, float factor)
{
    return each_run(be, &(Each){.kind = EACH_ADD, .factor = factor}, acc, x, acc);
}

Status cpu_combine(Backend *be, Tensor out, int count, const Tensor *x, const double *weight)
{
    const int64_t numbers = tensor_count(out);
#pragma omp parallel for schedule(static) num_threads(be->options.threads)
    for (int64_t first = 0; first < numbers; first += CHUNK) {
        double sum[CHUNK] = {0};
        const int64_t n = numbers - first < CHUNK ? numbers - first : CHUNK;
        for (int k = 0; k < count; k++) {
            const float *in = (const float *)x[k].data + first;
            for (int64_t i = 0; i < n; i++) sum[i] += weight[k] * (double)in[i];
        }
        float *y = (float *)out.data + first;
        for (int64_t i = 0; i < n; i++) y[i] = (float)sum[i];
    }
    return status_ok();
}
