#include "tests/ops/cases.h"

#include <stdlib.h>
#include <time.h>

static uint64_t state;
static double op_seconds;

void case_begin(void)
{
    state = 88172645463325252u;
    op_seconds = 0;
}

double case_op_seconds(void) { return op_seconds; }

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define TIMED(expr)                                                                                                    \
    do {                                                                                                               \
        double before_ = now();                                                                                        \
        expr;                                                                                                          \
        op_seconds += now() - before_;                                                                                 \
    } while (0)

/* Roughly normal, deviation `scale`. */
static void draw(float *to, int64_t count, float scale)
{
    for (int64_t i = 0; i < count; i++) {
        float sum = 0;
        for (int j = 0; j < 4; j++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            sum += (float)(int32_t)(state >> 32) * 0x1p-31f;
        }
        to[i] = sum * 0.866f * scale;
    }
}

static Tensor drawn(Backend *be, float scale, int ndim, const int64_t *dim)
{
    int64_t count = 1;
    for (int i = 0; i < ndim; i++) count *= dim[i];
    float *v = malloc((size_t)count * sizeof *v);
    draw(v, count, scale);
    Tensor t = backend_upload(be, v, ndim, dim);
    free(v);
    return t;
}

#define DRAWN(be, scale, ...)                                                                                          \
    drawn(be, scale, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})

static Linear drawn_linear_of(Backend *be, int64_t out, int64_t in, bool with_bias, bool exact)
{
    Linear l = {.quantize = true, .exact = exact}; /* quantised where the back end's options ask for it */
    float *v = malloc((size_t)(out * in + out) * sizeof *v);
    draw(v, out * in + out, 1.0f / (float)(in > 64 ? 16 : 4));
    Tensor bias = with_bias ? tensor_view(v + out * in, F32, 1, &out) : (Tensor){0};
    if (failed(linear_pack(be, tensor_view(v, F32, 2, (int64_t[]){out, in}), bias, &l))) abort();
    free(v);
    return l;
}

static Linear drawn_linear(Backend *be, int64_t out, int64_t in, bool with_bias)
{
    return drawn_linear_of(be, out, in, with_bias, false);
}

/* ---- tokens ------------------------------------------------------------------------------------------------------------ */

/* p: T, K, N, activation, bias */
static Tensor run_linear(Backend *be, const int64_t *p)
{
    Linear l = drawn_linear(be, p[2], p[1], p[4] != 0);
    Tensor y, x = DRAWN(be, 1, p[0], p[1]);
    TIMED(y = op_linear(be, x, &l, (Activation)p[3]));
    linear_free(be, &l);
    return y;
}

/* p: T, K, N, activation; in fp32 whatever the back end computes in */
static Tensor run_linear_exact(Backend *be, const int64_t *p)
{
    Linear l = drawn_linear_of(be, p[2], p[1], true, true);
    Tensor y, x = DRAWN(be, 1, p[0], p[1]);
    TIMED(y = op_linear(be, x, &l, (Activation)p[3]));
    linear_free(be, &l);
    return y;
}

/* p: T, K, N, how many; then the norm of q and k, in place, in the type that the product has -> side by side */
static Tensor run_project(Backend *be, const int64_t *p)
{
    enum { MOST = 3 };
    Linear l[MOST];
    Tensor y[MOST], x = op_layernorm(be, DRAWN(be, 1, p[0], p[1]), (Tensor){0}, (Tensor){0}, 1e-6f);
    const QkNorm norm = {.gain = DRAWN(be, 1, p[2]), .eps = 1e-6f, .heads = 2};
    for (int i = 0; i < p[3]; i++) l[i] = drawn_linear(be, p[2], p[1], true);
    TIMED(op_project(be, x, (int)p[3], (const Linear *[]){&l[0], &l[1], &l[2]}, y));
    Tensor all = backend_alloc(be, y[0].dtype, 2, (int64_t[]){p[0], p[2] * p[3]});
    for (int i = 0; i < p[3]; i++) {
        op_qk_norm_rope(be, y[i], &norm);
        op_put_columns(be, all, y[i], i * p[2]);
        linear_free(be, &l[i]);
    }
    return all;
}

/* p: T, K, N, with a gate; x in the type between two ops of a branch */
static Tensor run_linear_add(Backend *be, const int64_t *p)
{
    Linear l = drawn_linear(be, p[2], p[1], true);
    Tensor acc = DRAWN(be, 1, p[0], p[2]),
           x = op_layernorm(be, DRAWN(be, 1, p[0], p[1]), (Tensor){0}, (Tensor){0}, 1e-6f);
    Tensor gate = p[3] ? DRAWN(be, 1, p[2]) : (Tensor){0};
    TIMED(op_linear_add(be, acc, x, &l, gate));
    linear_free(be, &l);
    return acc;
}

static Tensor run_geglu(Backend *be, const int64_t *p)
{
    Linear a = drawn_linear(be, p[2], p[1], false), b = drawn_linear(be, p[2], p[1], false);
    Tensor y, x = DRAWN(be, 1, p[0], p[1]);
    TIMED(y = op_linear_geglu(be, x, &a, &b));
    linear_free(be, &a);
    linear_free(be, &b);
    return y;
}

/* p: Tq, Tk, heads, d, bias: 0 none, 1 [Tk], 2 [heads,Tq,Tk] */
static Tensor run_attention(Backend *be, const int64_t *p)
{
    int64_t width = p[2] * p[3];
    Tensor q = DRAWN(be, 1, p[0], width), k = DRAWN(be, 1, p[1], width), v = DRAWN(be, 1, p[1], width), y;
    Tensor bias = p[4] == 0 ? (Tensor){0} : p[4] == 1 ? DRAWN(be, 2, p[1]) : DRAWN(be, 2, p[2], p[0], p[1]);
    TIMED(y = op_attention(be, q, k, v, (int)p[2], p[3] > 64 ? 0.09f : 0.2f, bias));
    return y;
}

static Tensor run_activation(Backend *be, const int64_t *p)
{
    Tensor y, x = DRAWN(be, 3, p[0], p[1]);
    TIMED(y = op_activation(be, x, (Activation)p[2]));
    return y;
}

/* p: T, D, rows of b */
static Tensor run_add(Backend *be, const int64_t *p)
{
    Tensor y, a = DRAWN(be, 1, p[0], p[1]), b = DRAWN(be, 1, p[2], p[1]);
    TIMED(y = op_add(be, a, b));
    return y;
}

static Tensor run_add_to(Backend *be, const int64_t *p)
{
    Tensor a = DRAWN(be, 1, p[0], p[1]), b = DRAWN(be, 1, p[0], p[1]);
    TIMED(op_add_to(be, a, b, -0.3f));
    return a;
}

/* p: numbers, terms, which of them is the result too (-1: none) */
static Tensor run_combine(Backend *be, const int64_t *p)
{
    static const double weight[COMBINE_MOST] = {0.7, -1.9, 0.003, 4, -0.25};
    Tensor x[COMBINE_MOST];
    for (int i = 0; i < p[1]; i++) x[i] = DRAWN(be, 1, p[0]);
    Tensor y = p[2] < 0 ? backend_zeros(be, 1, p) : x[p[2]];
    TIMED(op_combine(be, y, (int)p[1], x, weight));
    return y;
}

static Tensor run_embed(Backend *be, const int64_t *p)
{
    int64_t ids[5] = {3, 0, 3, p[0] - 1, 1};
    Tensor y, table = DRAWN(be, 1, p[0], p[1]);
    TIMED(y = op_embed(be, table, ids, 5));
    return y;
}

/* p: T, D, with gain and bias */
static Tensor run_layernorm(Backend *be, const int64_t *p)
{
    Tensor none = {0}, x = DRAWN(be, 2, p[0], p[1]), y;
    Tensor gain = p[2] ? DRAWN(be, 1, p[1]) : none, bias = p[2] ? DRAWN(be, 1, p[1]) : none;
    TIMED(y = op_layernorm(be, x, gain, bias, 1e-6f));
    return y;
}

static Tensor run_rmsnorm(Backend *be, const int64_t *p)
{
    Tensor y, x = DRAWN(be, 2, p[0], p[1]), gain = DRAWN(be, 1, p[1]);
    TIMED(y = op_rmsnorm(be, x, gain, 1e-6f));
    return y;
}

/* p: T, D, of which rows 1 .. are modulated by themselves */
static Tensor run_modulate(Backend *be, const int64_t *p)
{
    Tensor x = DRAWN(be, 2, p[0], p[1]), scale = DRAWN(be, 1, p[1]), shift = DRAWN(be, 1, p[1]);
    Tensor y = backend_alloc(be, backend_compute(be), 2, p);
    op_copy(be, y, x);
    TIMED(op_norm_modulate(be, tensor_rows(x, p[2], p[0] - p[2]), scale, shift, 1e-6f,
                           tensor_rows(y, p[2], p[0] - p[2])));
    return y;
}

/* p: T, heads, d, rotate, times that the row is wider than x (0: x is all of it) */
static Tensor run_rope(Backend *be, const int64_t *p)
{
    Tensor x = DRAWN(be, 2, p[0], p[1] * p[2]), none = {0};
    QkNorm n = {.gain = DRAWN(be, 1, p[1] * p[2]), .eps = 1e-6f, .heads = (int)p[1], .width = p[4] * p[1] * p[2]};
    n.cos = p[3] ? DRAWN(be, 1, p[0], p[2] / 2) : none;
    n.sin = p[3] ? DRAWN(be, 1, p[0], p[2] / 2) : none;
    if (p[4]) {
        n.sumsq = backend_zeros(be, 1, p);
        op_sumsq(be, x, n.sumsq);
    }
    TIMED(op_qk_norm_rope(be, x, &n));
    return x;
}

/* p: T, D */
static Tensor run_sumsq(Backend *be, const int64_t *p)
{
    Tensor x = DRAWN(be, 2, p[0], p[1]), y = backend_zeros(be, 2, (int64_t[]){2, p[0]});
    TIMED(op_sumsq(be, x, tensor_rows(y, 1, 1)));
    return y;
}

static const int patch[3] = {1, 2, 2};

static Tensor run_patchify(Backend *be, const int64_t *p)
{
    Tensor y, x = DRAWN(be, 1, p[0], p[1], p[2], p[3]);
    TIMED(y = op_patchify(be, x, patch));
    return y;
}

static Tensor run_unpatchify(Backend *be, const int64_t *p)
{
    Tensor y, x = DRAWN(be, 1, p[1] * p[2] * p[3] / 4, p[0] * 4);
    TIMED(y = op_unpatchify(be, x, patch, p));
    return y;
}

static Tensor run_columns(Backend *be, const int64_t *p)
{
    Tensor y, x = DRAWN(be, 1, p[0], p[1]);
    TIMED(y = op_columns(be, x, p[2], p[3]));
    return y;
}

static Tensor run_put_columns(Backend *be, const int64_t *p)
{
    Tensor y = DRAWN(be, 1, p[0], p[1]), x = DRAWN(be, 1, p[0], p[3]);
    TIMED(op_put_columns(be, y, x, p[2]));
    return y;
}

/* ---- video features ---------------------------------------------------------------------------------------------------- */

typedef enum {
    CONV_SAME,
    CONV_HALVE,
    CONV_PAIRS,
    CONV_UPSAMPLED,
    CONV_ADD,
    CONV_TO,
    CONV_LINE,
    CONV_LINE_SAME
} ConvKind;

/* Over the height alone, as over time that lies there: every second place without a border, or every one. */
static bool conv_is_line(int64_t kind) { return kind == CONV_LINE || kind == CONV_LINE_SAME; }

/* p: T, H, W, Cin, Cout, kt, kh = kw (of a line kw = 1), ConvKind */
static Tensor run_conv(Backend *be, const int64_t *p)
{
    const int64_t kw = conv_is_line(p[7]) ? 1 : p[6], count = p[4] * p[3] * p[5] * p[6] * kw;
    float *v = malloc((size_t)(count + p[4]) * sizeof *v);
    draw(v, count + p[4], 0.1f);
    Conv c = {.stride = {p[7] == CONV_PAIRS ? 2 : 1, p[7] == CONV_HALVE ? 2 : 1, p[7] == CONV_HALVE ? 2 : 1}};
    for (int i = 0; i < 2; i++) {
        c.pad[i][0] = p[7] == CONV_HALVE ? 0 : (int)p[6] / 2;
        c.pad[i][1] = (int)p[6] / 2;
    }
    if (p[7] == CONV_LINE) c = (Conv){.stride = {1, 2, 1}};
    if (p[7] == CONV_LINE_SAME) c = (Conv){.stride = {1, 1, 1}, .pad = {{(int)p[6] / 2, (int)(p[6] - 1) / 2}}};
    Tensor weight = tensor_view(v, F32, 5, (int64_t[]){p[4], p[3], p[5], p[6], kw});
    if (failed(conv_pack(be, weight, tensor_view(v + count, F32, 1, &p[4]), &c))) abort();
    free(v);
    Tensor y, x = DRAWN(be, 1, p[0], p[1], p[2], p[3]);
    if (p[7] == CONV_ADD) {
        x = op_channel_norm(be, x, DRAWN(be, 1, p[3]), false);
        y = DRAWN(be, 1, p[0] - p[5] + 1, p[1], p[2], p[4]);
        TIMED(op_conv_add(be, y, x, &c));
    } else if (p[7] == CONV_TO) {
        x = op_channel_norm(be, x, DRAWN(be, 1, p[3]), false);
        y = backend_alloc(be, backend_compute(be), 4, (int64_t[]){p[0] - p[5] + 1, p[1], p[2], p[4]});
        TIMED(op_conv_to(be, y, x, &c));
    } else if (p[7] == CONV_UPSAMPLED) {
        TIMED(y = op_conv_upsampled(be, x, &c));
    } else {
        TIMED(y = op_conv(be, x, &c));
    }
    conv_free(be, &c);
    return y;
}

/* p: T, H, W, C, silu, frames of a larger result that stand before those of x */
static Tensor run_channel_norm(Backend *be, const int64_t *p)
{
    Tensor x = DRAWN(be, 1, p[0], p[1], p[2], p[3]), gain = DRAWN(be, 1, p[3]);
    Tensor y = backend_alloc(be, backend_compute(be), 4, (int64_t[]){p[5] + p[0], p[1], p[2], p[3]});
    op_zero(be, y);
    TIMED(op_channel_norm_to(be, tensor_rows(y, p[5], p[0]), x, gain, p[4] != 0));
    return y;
}

static Tensor run_time_split(Backend *be, const int64_t *p)
{
    Tensor y, x = DRAWN(be, 1, p[0], p[1], p[2], p[3]);
    TIMED(y = op_time_split(be, x));
    return y;
}

/* p: T, H, W, C, C', factor in time, factor in space */
static Tensor run_avg_down(Backend *be, const int64_t *p)
{
    Tensor y, x = DRAWN(be, 1, p[0], p[1], p[2], p[3]);
    TIMED(y = op_avg_down(be, x, p[4], (int)p[5], (int)p[6]));
    return y;
}

/* the same, first chunk */
static Tensor run_dup_up(Backend *be, const int64_t *p)
{
    Tensor y, x = DRAWN(be, 1, p[0], p[1], p[2], p[3]);
    TIMED(y = op_dup_up(be, x, p[4], (int)p[5], (int)p[6], p[7] != 0));
    return y;
}

static Tensor run_shuffle(Backend *be, const int64_t *p)
{
    Tensor y, x = DRAWN(be, 1, p[0], p[1], p[2], p[3]);
    TIMED(y = op_pixel_shuffle(be, x, (int)p[4]));
    return y;
}

static Tensor run_unshuffle(Backend *be, const int64_t *p)
{
    Tensor y, x = DRAWN(be, 1, p[0], p[1], p[2], p[3]);
    TIMED(y = op_pixel_unshuffle(be, x, (int)p[4]));
    return y;
}

static Tensor run_channels(Backend *be, const int64_t *p)
{
    Tensor y, x = DRAWN(be, 1, p[0], p[1], p[2], p[3]);
    TIMED(y = op_to_channels_first(be, x));
    return y;
}

/* ---- the table -----------------------------------------------------------------------------------------------------------
 * Shapes meet what the kernels distinguish: rows around a tile (6, 14) and a block, one panel (16, 32) and part of one, a
 * narrow panel, odd k (half a pair), k beyond a chunk, keys beyond a block, odd pictures. Tolerances: fp32 4 to 8 times the
 * largest difference measured over AVX2 and the wide forms, bf16 about 1.5 times; the measured ones stand behind each
 * group. */
const Case cases[] = {
    {"linear", run_linear, 3e-6, 4e-3, {1, 1, 1, ACT_NONE, 1}}, /* 7.6e-7 (k = 5001) 2.4e-3 */
    {"linear", run_linear, 3e-6, 4e-3, {6, 96, 50, ACT_NONE, 1}},
    {"linear", run_linear, 3e-6, 4e-3, {37, 33, 16, ACT_NONE, 0}},
    {"linear", run_linear, 3e-6, 4e-3, {29, 5001, 33, ACT_NONE, 1}},
    {"linear", run_linear, 3e-6, 4e-3, {301, 64, 100, ACT_NONE, 1}},
    {"linear", run_linear, 3e-6, 4e-3, {64, 96, 48, ACT_NONE, 1}},
    {"linear exact", run_linear_exact, 1e-6, 1e-6, {2, 96, 50, ACT_NONE}},
    {"linear exact", run_linear_exact, 1e-6, 1e-6, {1, 256, 48, ACT_SILU}},
    {"linear gelu", run_linear, 1e-6, 5e-3, {37, 96, 48, ACT_GELU_TANH, 1}},
    {"linear gelu", run_linear, 1e-6, 5e-3, {37, 96, 50, ACT_GELU_TANH, 1}}, /* 2.2e-7 3.0e-3 */
    {"linear silu", run_linear, 1e-6, 5e-3, {37, 96, 50, ACT_SILU, 1}},
    {"linear gelu erf", run_linear, 1e-6, 5e-3, {37, 96, 50, ACT_GELU_ERF, 1}},
    {"linear relu", run_linear, 1e-6, 5e-3, {37, 96, 50, ACT_RELU, 1}},
    {"project", run_project, 1e-6, 5e-3, {37, 96, 48, 1}}, /* 8.9e-8 3.5e-3 */
    {"project", run_project, 1e-6, 5e-3, {37, 96, 48, 3}},
    {"linear_add", run_linear_add, 1e-6, 4e-3, {37, 96, 48, 0}},
    {"linear_add", run_linear_add, 1e-6, 4e-3, {37, 96, 48, 1}},
    {"linear_add", run_linear_add, 1e-6, 4e-3, {37, 96, 50, 0}}, /* 1.1e-7 1.3e-3 */
    {"linear_add", run_linear_add, 1e-6, 4e-3, {37, 95, 50, 1}},
    {"linear_add", run_linear_add, 1e-6, 4e-3, {300, 96, 33, 1}},
    {"linear_geglu", run_geglu, 1e-6, 6e-3, {37, 96, 50}},        /* 2.8e-7 3.8e-3 */
    {"attention", run_attention, 5e-6, 6e-3, {37, 53, 4, 24, 0}}, /* 1.1e-6 (d = 384) 4.2e-3 */
    {"attention", run_attention, 5e-6, 6e-3, {101, 700, 2, 128, 0}},
    {"attention", run_attention, 5e-6, 6e-3, {129, 128, 3, 128, 0}},
    {"attention", run_attention, 5e-6, 6e-3, {5, 1025, 1, 128, 0}},
    {"attention", run_attention, 5e-6, 6e-3, {37, 53, 4, 24, 1}},
    {"attention", run_attention, 5e-6, 6e-3, {230, 333, 3, 10, 2}},
    {"attention", run_attention, 5e-6, 6e-3, {1, 1, 1, 7, 0}},
    {"attention", run_attention, 5e-6, 6e-3, {64, 97, 1, 384, 0}},
    {"attention", run_attention, 5e-6, 6e-3, {101, 77, 2, 128, 1}},
    {"attention", run_attention, 5e-6, 6e-3, {50, 50, 2, 64, 2}},
    {"activation gelu", run_activation, 5e-7, 5e-7, {7, 33, ACT_GELU_TANH}}, /* 5e-8: stays fp32 */
    {"activation erf", run_activation, 5e-7, 5e-7, {7, 33, ACT_GELU_ERF}},
    {"activation silu", run_activation, 5e-7, 5e-7, {7, 33, ACT_SILU}},
    {"activation relu", run_activation, 0, 0, {7, 33, ACT_RELU}},
    {"add", run_add, 0, 0, {7, 33, 7}},
    {"add rows", run_add, 0, 0, {900, 33, 1}},
    {"add_to", run_add_to, 1e-7, 1e-7, {200, 33}},    /* 2e-8: fused or not */
    {"combine", run_combine, 1e-8, 1e-8, {1, 1, -1}}, /* 0: rounded once, from double */
    {"combine", run_combine, 1e-8, 1e-8, {9000, 5, -1}},
    {"combine", run_combine, 1e-8, 1e-8, {4099, 3, 1}},
    {"embed", run_embed, 0, 0, {9, 33}},
    {"layernorm", run_layernorm, 5e-7, 3e-3, {19, 100, 0}}, /* 6e-8 1.7e-3 */
    {"layernorm", run_layernorm, 5e-7, 3e-3, {19, 1536, 1}},
    {"rmsnorm", run_rmsnorm, 5e-7, 3e-3, {19, 100}},
    {"rmsnorm", run_rmsnorm, 5e-7, 3e-3, {5, 5120}},
    {"norm_modulate", run_modulate, 5e-7, 3e-3, {19, 100, 0}},
    {"norm_modulate", run_modulate, 5e-7, 3e-3, {19, 100, 1}},
    {"norm_modulate", run_modulate, 5e-7, 3e-3, {5, 1535, 1}},
    {"qk_norm_rope", run_rope, 5e-7, 5e-7, {19, 4, 24, 1}}, /* 7e-8: in place, stays fp32 */
    {"qk_norm_rope", run_rope, 5e-7, 5e-7, {19, 4, 24, 0}},
    {"qk_norm_rope of a part", run_rope, 5e-7, 5e-7, {19, 4, 24, 1, 2}}, /* 6e-8 */
    {"sumsq", run_sumsq, 5e-7, 5e-7, {19, 1100}},                        /* 6e-8 */
    {"qk_norm_rope", run_rope, 5e-7, 5e-7, {7, 3, 10, 1}},
    {"patchify", run_patchify, 0, 0, {6, 4, 8, 10}},
    {"unpatchify", run_unpatchify, 0, 0, {6, 4, 8, 10}},
    {"columns", run_columns, 0, 0, {9, 30, 7, 11}},
    {"put_columns", run_put_columns, 0, 0, {9, 30, 7, 11}},
    {"conv 3x3x3", run_conv, 3e-6, 7e-3, {5, 9, 11, 8, 13, 3, 3, CONV_SAME}}, /* Winograd: 5.3e-7 4.0e-3 */
    {"conv 3x3x3", run_conv, 3e-6, 7e-3, {3, 16, 22, 40, 35, 3, 3, CONV_SAME}},
    {"conv 3x3x3", run_conv, 3e-6, 7e-3, {3, 1, 1, 3, 96, 3, 3, CONV_SAME}},
    {"conv 3x3x3", run_conv, 3e-6, 7e-3, {4, 20, 30, 96, 3, 3, 3, CONV_SAME}},
    {"conv_add", run_conv, 3e-6, 7e-3, {4, 7, 8, 33, 17, 3, 3, CONV_ADD}},
    {"conv_add", run_conv, 3e-6, 7e-3, {3, 7, 8, 32, 16, 3, 3, CONV_ADD}},
    {"conv_to", run_conv, 3e-6, 7e-3, {4, 7, 8, 33, 17, 3, 3, CONV_TO}},
    {"conv_to", run_conv, 3e-6, 7e-3, {3, 7, 8, 32, 16, 3, 3, CONV_TO}},
    {"conv_to 1x1x1", run_conv, 2e-6, 4e-3, {3, 7, 8, 33, 17, 1, 1, CONV_TO}},
    {"conv 1x1x1", run_conv, 2e-6, 4e-3, {2, 9, 11, 8, 13, 1, 1, CONV_SAME}}, /* 3.1e-7 2.3e-3 */
    {"conv 3x1x1", run_conv, 2e-6, 4e-3, {5, 9, 11, 40, 80, 3, 1, CONV_SAME}},
    {"conv 1x3x3", run_conv, 2e-6, 4e-3, {2, 9, 130, 9, 33, 1, 3, CONV_SAME}},
    {"conv halve", run_conv, 2e-6, 4e-3, {2, 10, 12, 40, 33, 1, 3, CONV_HALVE}},
    {"conv pairs", run_conv, 2e-6, 4e-3, {5, 4, 6, 17, 20, 3, 1, CONV_PAIRS}},
    {"conv line", run_conv, 2e-6, 4e-3, {1, 301, 1, 40, 33, 1, 3, CONV_LINE}}, /* 3.0e-7 2.7e-3 */
    {"conv line", run_conv, 2e-6, 4e-3, {2, 2, 1, 16, 40, 1, 2, CONV_LINE}},
    {"conv line", run_conv, 2e-6, 4e-3, {1, 37, 1, 6, 6, 1, 128, CONV_LINE_SAME}},
    {"conv_add 1x1x1", run_conv, 2e-6, 4e-3, {3, 7, 8, 33, 17, 1, 1, CONV_ADD}},
    {"conv_upsampled", run_conv, 2e-6, 4e-3, {3, 9, 11, 40, 20, 1, 3, CONV_UPSAMPLED}},
    {"conv_upsampled", run_conv, 2e-6, 4e-3, {1, 5, 200, 7, 33, 1, 3, CONV_UPSAMPLED}},
    {"channel_norm", run_channel_norm, 5e-7, 3e-3, {2, 3, 5, 96, 0}}, /* 7e-8 1.7e-3 */
    {"channel_norm silu", run_channel_norm, 5e-7, 3e-3, {2, 3, 5, 96, 1, 1}},
    {"channel_norm silu", run_channel_norm, 5e-7, 3e-3, {1, 3, 3, 1024, 1}},
    {"channel_norm silu", run_channel_norm, 5e-7, 3e-3, {2, 3, 3, 7, 1, 2}}, /* behind rows of odd width */
    {"time_split", run_time_split, 0, 0, {2, 3, 5, 14}},
    {"time_split", run_time_split, 0, 0, {2, 3, 5, 16}},
    {"avg_down", run_avg_down, 1e-7, 1e-7, {5, 8, 12, 8, 16, 2, 2}}, /* the same code */
    {"avg_down", run_avg_down, 1e-7, 1e-7, {1, 8, 12, 8, 16, 1, 2}},
    {"dup_up", run_dup_up, 0, 0, {3, 4, 6, 8, 4, 2, 2, 1}},
    {"dup_up", run_dup_up, 0, 0, {3, 4, 6, 8, 16, 1, 2, 0}},
    {"pixel_shuffle", run_shuffle, 0, 0, {2, 4, 6, 12, 2}},
    {"pixel_unshuffle", run_unshuffle, 0, 0, {2, 4, 6, 3, 2}},
    {"to_channels_first", run_channels, 0, 0, {2, 6, 7, 5}},
};
const int case_count = (int)(sizeof cases / sizeof *cases);
