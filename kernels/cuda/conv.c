/* Cross-correlation over [T,H,W,C]; zeros around the frame, nothing around time (the caller prepends the history).
 *
 * Channels are padded to whole units of 16 bytes, and the weight lies as [Cout][tap][Cin], which is cuDNN's channels-last
 * filter and a product's B at once. By cuDNN in bf16; else the input's places are laid out as rows of a matrix, a part at a
 * time, and multiplied. A 1x1x1 convolution is a product as it is.
 *
 * 1x3x3 over a doubled picture: of its nine taps several meet the same place of the small picture, so that each of the four
 * pixels that a place becomes is a 2x2 convolution of the small one. The four are one convolution of four times as many
 * channels, with a border of one place on every side, and 2.25 times fewer products than over the doubled picture. */
#include <stdlib.h>

#include "kernels/convert.h"
#include "kernels/cuda/cudnn_graph.h"

enum {
    CHANNEL_UNIT = 8,
    MATRIX_BYTES = 256 << 20,
    LEAST_WORK = 1 << 28 /* multiplications: a plan takes up to seconds to build */
};

typedef struct {
    Tensor weight; /* [Cout padded][taps][Cin padded] in the compute type */
    Tensor bias;   /* [Cout padded] fp32 */
    int64_t in, out;
    Conv phases; /* of 1x3x3: 1x2x2 to 4 Cout channels; packed NULL: it has none */
} CudaConv;

/* ---- weights --------------------------------------------------------------------------------------------------------------- */

static int64_t padded(int64_t channels) { return (channels + CHANNEL_UNIT - 1) / CHANNEL_UNIT * CHANNEL_UNIT; }

static int64_t taps_of(const Conv *c) { return (int64_t)c->kernel[0] * c->kernel[1] * c->kernel[2]; }

static int64_t numbers_of(const Conv *c) { return padded(c->out) * taps_of(c) * padded(c->in); }

/* 1x3x3 with stride 1 and a border of 1: may be asked to double its input. */
static bool is_flat(const Conv *c)
{
    bool is = c->kernel[0] == 1 && c->kernel[1] == 3 && c->kernel[2] == 3;
    for (int i = 0; i < 3; i++) is = is && c->stride[i] == 1;
    for (int i = 0; i < 2; i++) is = is && c->pad[i][0] == 1 && c->pad[i][1] == 1;
    return is;
}

enum { PHASES = 4, PHASE_TAPS = 4 };

static Conv phases_of(const Conv *c)
{
    return (Conv){
        .in = c->in, .out = PHASES * c->out, .kernel = {1, 2, 2}, .stride = {1, 1, 1}, .pad = {{1, 1}, {1, 1}}};
}

int64_t cuda_conv_numbers(const Conv *c)
{
    const Conv phases = phases_of(c);
    return numbers_of(c) + (is_flat(c) ? numbers_of(&phases) : 0);
}

void cuda_conv_free(Backend *be, Conv *c)
{
    CudaConv *p = c->packed;
    if (p->phases.packed) cuda_conv_free(be, &p->phases);
    backend_drop(be, &p->weight);
    backend_drop(be, &p->bias);
    free(p);
    c->packed = NULL;
}

/* [Cout,Cin,taps] of the file -> [Cout padded][taps][Cin padded] and the bias, in host memory */
static void lay_out(const float *file, const Conv *c, float *to)
{
    const int64_t taps = taps_of(c), in = padded(c->in);
    for (int64_t n = 0; n < c->out; n++)
        for (int64_t i = 0; i < c->in; i++)
            for (int64_t tap = 0; tap < taps; tap++) to[(n * taps + tap) * in + i] = file[(n * c->in + i) * taps + tap];
}

static Status pack(Backend *be, Tensor weight, Tensor bias, const Conv *c, CudaConv *p)
{
    const int64_t count = tensor_count(weight), numbers = numbers_of(c);
    float *file = malloc((size_t)count * sizeof *file), *laid = calloc((size_t)numbers, sizeof *laid);
    float *biases = calloc((size_t)p->out, sizeof *biases);
    Status status = status_ok();
    if (!file || !laid || !biases) {
        status = status_fail(ERR_NODE, "out of memory for a weight of %lld numbers", (long long)count);
    } else {
        convert_to_float(weight.data, weight.dtype, count, file);
        if (bias.data) convert_to_float(bias.data, bias.dtype, c->out, biases);
        lay_out(file, c, laid);
        status = cuda_weight_new(be, laid, F32, numbers, be->options.compute, &p->weight);
        if (!failed(status)) status = cuda_weight_new(be, biases, F32, p->out, F32, &p->bias);
    }
    free(file);
    free(laid);
    free(biases);
    return status;
}

/* [Cout,Cin,9] -> [4 Cout,Cin,4]: the taps of phase (a, b), the pixel in row a and column b of the four, that meet the same place
 * of the small picture added up. In phase 0 rows -1 | 0, +1 of the kernel meet the first | second of two rows, in phase 1
 * rows -1, 0 | +1; the same for columns. */
static void add_taps(const float *file, int64_t pairs, float *to)
{
    for (int phase = 0; phase < PHASES; phase++)
        for (int64_t i = 0; i < pairs; i++, to += PHASE_TAPS)
            for (int tap = 0; tap < 9; tap++) {
                const int row = (tap / 3 + 1 - phase / 2) / 2, column = (tap % 3 + 1 - phase % 2) / 2;
                to[row * 2 + column] += file[i * 9 + tap];
            }
}

static Status pack_phases(Backend *be, Tensor weight, Tensor bias, const Conv *c, Conv *phases)
{
    const int64_t pairs = c->out * c->in;
    float *file = malloc((size_t)pairs * 9 * sizeof *file), *biases = calloc((size_t)c->out, PHASES * sizeof *biases);
    float *taps = calloc((size_t)pairs, PHASES * PHASE_TAPS * sizeof *taps);
    Status status = status_fail(ERR_NODE, "out of memory for a weight of %lld numbers", (long long)pairs * 9);
    *phases = phases_of(c);
    if (file && biases && taps) {
        convert_to_float(weight.data, weight.dtype, pairs * 9, file);
        add_taps(file, pairs, taps);
        for (int i = 0; bias.data && i < PHASES; i++)
            convert_to_float(bias.data, bias.dtype, c->out, biases + i * c->out);
        const int64_t dim[5] = {phases->out, c->in, 1, 2, 2};
        status = cuda_conv_pack(be, tensor_view(taps, F32, 5, dim), tensor_view(biases, F32, 1, dim), phases);
    }
    free(file);
    free(biases);
    free(taps);
    return status;
}

Status cuda_conv_pack(Backend *be, Tensor weight, Tensor bias, Conv *c)
{
    CudaConv *p = calloc(1, sizeof *p);
    if (!p) return status_fail(ERR_NODE, "out of memory");
    c->packed = p;
    p->in = padded(c->in);
    p->out = padded(c->out);
    Status status = pack(be, weight, bias, c, p);
    if (!failed(status) && is_flat(c)) status = pack_phases(be, weight, bias, c, &p->phases);
    if (failed(status)) cuda_conv_free(be, c);
    return status;
}

/* ---- by cuDNN ----------------------------------------------------------------------------------------------------------------- */

enum { UID_X = 1, UID_W, UID_BIAS, UID_Y, UID_ACC }; /* tensors of a plan */
enum {
    KEY_T,
    KEY_H,
    KEY_W,
    KEY_IN,
    KEY_OUT,
    KEY_KERNEL,
    KEY_STRIDE = 8,
    KEY_PAD = 11,
    KEY_ADD = 13,
    KEY_NARROW,
    KEY_BF16
};

/* [1,C,T,H,W] with the channel fastest */
static GraphShape video_shape(int64_t c, int64_t t, int64_t h, int64_t w)
{
    return (GraphShape){5, {1, c, t, h, w}, {t * h * w * c, 1, h * w * c, w * c, c}};
}

/* y = conv(x) + bias (+ acc), in fp32 from bf16, or KEY_BF16; KEY_NARROW: conv(x) alone, in bf16, which more engines can do */
static void build_conv(Graph *g, const int64_t key[PLAN_KEY])
{
    const int64_t *k = key + KEY_KERNEL, *stride = key + KEY_STRIDE, pad[3] = {0, key[KEY_PAD], key[KEY_PAD + 1]};
    const int64_t in = key[KEY_IN], out = key[KEY_OUT], t = (key[KEY_T] - k[0]) / stride[0] + 1,
                  h = (key[KEY_H] + 2 * pad[1] - k[1]) / stride[1] + 1,
                  w = (key[KEY_W] + 2 * pad[2] - k[2]) / stride[2] + 1;
    const cudnnDataType_t bf16 = CUDNN_DATA_BFLOAT16, fp32 = CUDNN_DATA_FLOAT;
    const GraphShape filter = {
        5, {out, in, k[0], k[1], k[2]}, {k[0] * k[1] * k[2] * in, 1, k[1] * k[2] * in, k[2] * in, in}};
    const GraphShape one = {5, {1, out, 1, 1, 1}, {out, 1, out, out, out}}, result = video_shape(out, t, h, w);
    Node x = graph_tensor(g, UID_X, bf16, video_shape(in, key[KEY_T], key[KEY_H], key[KEY_W]));
    Node weight = graph_tensor(g, UID_W, bf16, filter);
    if (key[KEY_NARROW]) {
        graph_conv(g, stride, pad, x, weight, graph_tensor(g, UID_BIAS, bf16, result));
        return;
    }
    Node bias = graph_tensor(g, UID_BIAS, fp32, one);
    Node y = graph_tensor(g, UID_Y, key[KEY_BF16] ? bf16 : fp32, result), sums = graph_inner(g, fp32, result);
    graph_conv(g, stride, pad, x, weight, sums);
    if (!key[KEY_ADD]) {
        graph_pointwise(g, CUDNN_POINTWISE_ADD, sums, bias, y);
        return;
    }
    Node biased = graph_inner(g, fp32, result), acc = graph_tensor(g, UID_ACC, fp32, result);
    graph_pointwise(g, CUDNN_POINTWISE_ADD, sums, bias, biased);
    graph_pointwise(g, CUDNN_POINTWISE_ADD, biased, acc, y);
}

/* cuDNN's engines compute in bf16, with as many zeros behind a frame as in front of it. */
static bool may_be_cudnn(const Backend *be, const Conv *c)
{
    return be->options.compute == BF16 && c->pad[0][0] == c->pad[0][1] && c->pad[1][0] == c->pad[1][1];
}

static Plan *find_plan(Backend *be, Tensor x, const Conv *c, DType result, bool add, bool narrow)
{
    const CudaConv *p = c->packed;
    Cudnn *cudnn = cuda_of(be)->cudnn;
    int64_t key[PLAN_KEY] = {[KEY_T] = x.dim[0],           [KEY_H] = x.dim[1],
                             [KEY_W] = x.dim[2],           [KEY_IN] = p->in,
                             [KEY_OUT] = p->out,           [KEY_PAD] = c->pad[0][0],
                             [KEY_PAD + 1] = c->pad[1][0], [KEY_ADD] = add && !narrow,
                             [KEY_NARROW] = narrow,        [KEY_BF16] = result == BF16 && !narrow};
    if (!cudnn || !may_be_cudnn(be, c)) return NULL;
    for (int i = 0; i < 3; i++) {
        key[KEY_KERNEL + i] = c->kernel[i];
        key[KEY_STRIDE + i] = c->stride[i];
    }
    return cudnn_plan(cudnn, build_conv, key);
}

/* out (+)= the first columns of y, which has padded channels */
static Status cut_columns(Backend *be, Tensor y, Tensor out, bool add)
{
    const Places cut = {.kind = PLACE_PAD_CHANNELS,
                        .in = {y.dim[0], y.dim[1], y.dim[2], y.dim[3]},
                        .out = {out.dim[0], out.dim[1], out.dim[2], out.dim[3]}};
    Tensor narrow = add ? backend_alloc(be, F32, 4, out.dim) : out;
    if (failed(be->first)) return be->first;
    CUDA_TRY(launch_gather(cuda_of(be)->stream, &cut, y, narrow));
    if (!add) return status_ok();
    CUDA_TRY(launch_elements(cuda_of(be)->stream, &(Elements){.kind = ELEMENT_ADD, .out = out, .a = out, .b = narrow}));
    return status_ok();
}

/* out (+)= conv(x) + bias; x padded and in bf16. The result of padded channels goes through scratch memory. */
static Status conv_cudnn(Backend *be, Plan *plan, Tensor x, const Conv *c, Tensor out, bool add)
{
    const CudaConv *p = c->packed;
    const bool whole = p->out == c->out;
    Tensor y = out;
    if (!whole) y = backend_alloc(be, F32, 4, (int64_t[]){out.dim[0], out.dim[1], out.dim[2], p->out});
    if (failed(be->first)) return be->first;
    void *const pointer[] = {x.data, p->weight.data, p->bias.data, y.data, y.data};
    TRY(cudnn_run(be, plan, whole && add ? 5 : 4, pointer));
    cuda_of(be)->note[NOTE_CONV_CUDNN]++;
    if (whole) return status_ok();
    return cut_columns(be, y, out, add);
}

/* The same by a plan that gives conv(x) in bf16 as its third tensor: the bias is added apart. */
static Status conv_narrow(Backend *be, Plan *plan, Tensor x, const Conv *c, Tensor out, bool add)
{
    const CudaConv *p = c->packed;
    const cudaStream_t stream = cuda_of(be)->stream;
    const int64_t dim[4] = {out.dim[0], out.dim[1], out.dim[2], p->out};
    const bool direct = p->out == c->out && !add;
    Tensor narrow = backend_alloc(be, BF16, 4, dim), y = direct ? out : backend_alloc(be, F32, 4, dim);
    if (failed(be->first)) return be->first;
    void *const pointer[] = {x.data, p->weight.data, narrow.data};
    TRY(cudnn_run(be, plan, 3, pointer));
    cuda_of(be)->note[NOTE_CONV_CUDNN]++;
    CUDA_TRY(launch_elements(stream, &(Elements){.kind = ELEMENT_ADD, .out = y, .a = narrow, .b = p->bias}));
    return direct ? status_ok() : cut_columns(be, y, out, add);
}

/* ---- of products -------------------------------------------------------------------------------------------------------------- */

static Status conv_product(Backend *be, const void *rows, int64_t count, int64_t k, const Conv *c, void *out, bool add)
{
    const CudaConv *p = c->packed;
    const ProductCall call = {.a = rows,
                              .b = p->weight.data,
                              .c = out,
                              .m = count,
                              .n = c->out,
                              .k = k,
                              .a_row = k,
                              .b_row = k,
                              .c_row = c->out,
                              .type = be->options.compute,
                              .c_type = F32,
                              .add = add,
                              .alpha = 1};
    return product_biased(be, call, tensor_rows(p->bias, 0, c->out));
}

static bool is_pointwise(const Conv *c)
{
    bool is = taps_of(c) == 1;
    for (int i = 0; i < 3; i++) is = is && c->stride[i] == 1;
    for (int i = 0; i < 2; i++) is = is && c->pad[i][0] == 0 && c->pad[i][1] == 0;
    return is;
}

static ConvPlaces conv_places(Tensor x, const Conv *c, Tensor out)
{
    ConvPlaces j = {.units = x.dim[3] * (int64_t)dtype_bytes(x.dtype) / 16};
    for (int i = 0; i < 3; i++) {
        j.in[i] = x.dim[i];
        j.out[i] = out.dim[i];
        j.kernel[i] = c->kernel[i];
        j.stride[i] = c->stride[i];
    }
    for (int i = 0; i < 2; i++) j.pad[i] = c->pad[i][0];
    return j;
}

static int64_t matrix_rows(int64_t places, int64_t k, DType type)
{
    const int64_t rows = MATRIX_BYTES / (k * (int64_t)dtype_bytes(type));
    return rows < 1 ? 1 : rows > places ? places : rows;
}

/* x padded and in the compute type */
static Status conv_own(Backend *be, Tensor x, const Conv *c, Tensor out, bool add)
{
    if (out.dtype != F32) {
        Tensor y = backend_alloc(be, F32, 4, out.dim);
        if (failed(be->first)) return be->first;
        TRY(conv_own(be, x, c, y, add));
        return cuda_copy(be, out, y);
    }
    const int64_t places = out.dim[0] * out.dim[1] * out.dim[2], k = taps_of(c) * x.dim[3];
    const DType type = x.dtype;
    cuda_of(be)->note[NOTE_CONV_OWN]++;
    if (is_pointwise(c)) return conv_product(be, x.data, places, k, c, out.data, add);
    const int64_t part = matrix_rows(places, k, type);
    Tensor matrix = backend_alloc(be, type, 2, (int64_t[]){part, k});
    if (failed(be->first)) return be->first;
    ConvPlaces j = conv_places(x, c, out);
    for (j.first = 0; j.first < places; j.first += part) {
        const int64_t count = places - j.first < part ? places - j.first : part;
        CUDA_TRY(launch_conv_rows(cuda_of(be)->stream, &j, x.data, count, matrix.data));
        TRY(conv_product(be, matrix.data, count, k, c, (float *)out.data + j.first * c->out, add));
    }
    return status_ok();
}

/* ---- the ops ------------------------------------------------------------------------------------------------------------------- */

/* x in the compute type with padded channels; itself where it is so already */
static Tensor conv_input(Backend *be, Tensor x, const CudaConv *p)
{
    const DType type = be->options.compute;
    if (x.dtype == type && x.dim[3] == p->in && (uintptr_t)x.data % 16 == 0) return x;
    if (x.dim[3] == p->in && x.dtype != type) return cuda_operand(be, x);
    Tensor t = backend_alloc(be, type, 4, (int64_t[]){x.dim[0], x.dim[1], x.dim[2], p->in});
    const Places j = {.kind = PLACE_PAD_CHANNELS,
                      .in = {x.dim[0], x.dim[1], x.dim[2], x.dim[3]},
                      .out = {t.dim[0], t.dim[1], t.dim[2], t.dim[3]}};
    if (t.data) backend_fail(be, cuda_status(launch_gather(cuda_of(be)->stream, &j, x, t), "launch_gather"));
    return t;
}

/* x as conv_input gives it */
static Status conv_piece(Backend *be, Tensor x, const Conv *c, Tensor out, bool add)
{
    const CudaConv *p = c->packed;
    const int64_t work = out.dim[0] * out.dim[1] * out.dim[2] * numbers_of(c);
    if (is_pointwise(c) || (work < LEAST_WORK && !cuda_of(be)->always_cudnn)) return conv_own(be, x, c, out, add);
    const bool whole = p->out == c->out;
    Plan *plan = find_plan(be, x, c, whole ? out.dtype : F32, add && whole, false);
    Status status = plan ? conv_cudnn(be, plan, x, c, out, add) : status_fail(ERR_INPUT, "no plan");
    if (status.err != ERR_INPUT) return status;
    plan = find_plan(be, x, c, BF16, add, true);
    status = plan ? conv_narrow(be, plan, x, c, out, add) : status_fail(ERR_INPUT, "no plan");
    return status.err != ERR_INPUT ? status : conv_own(be, x, c, out, add);
}

/* As few pieces as the bound allows, of equal length but the last: two plans at the most. A plan without a device has the bound, too. */
int64_t cuda_conv_frames(const Backend *be, Tensor x, const Conv *c, Tensor out)
{
    if (out.dim[0] == 0) return 1;
    const int64_t in = x.dim[1] * x.dim[2] * padded(c->in), made = out.dim[1] * out.dim[2] * padded(c->out);
    const int64_t most = be->own && cuda_of(be)->conv_numbers ? cuda_of(be)->conv_numbers : INT32_MAX;
    int64_t frames = most / in < c->kernel[0] ? 1 : (most / in - c->kernel[0]) / c->stride[0] + 1;
    if (frames > most / made) frames = most / made < 1 ? 1 : most / made;
    const int64_t pieces = (out.dim[0] + frames - 1) / frames;
    return (out.dim[0] + pieces - 1) / pieces;
}

static Status conv_run(Backend *be, Tensor x, const Conv *c, Tensor out, bool add)
{
    x = conv_input(be, x, c->packed);
    if (failed(be->first)) return be->first;
    const int64_t piece = cuda_conv_frames(be, x, c, out);
    for (int64_t t = 0, n; t < out.dim[0]; t += n) {
        ArenaMark mark = backend_mark(be);
        n = out.dim[0] - t < piece ? out.dim[0] - t : piece;
        const Tensor seen = tensor_rows(x, t * c->stride[0], (n - 1) * c->stride[0] + c->kernel[0]);
        TRY(conv_piece(be, seen, c, tensor_rows(out, t, n), add));
        backend_release(be, mark);
    }
    return status_ok();
}

Status cuda_conv(Backend *be, Tensor x, const Conv *c, Tensor out) { return conv_run(be, x, c, out, false); }

Status cuda_conv_add(Backend *be, Tensor acc, Tensor x, const Conv *c) { return conv_run(be, x, c, acc, true); }

/* Of x, or as many of its frames as come at once: the same number each time, so that there is one plan. */
static Tensor phases_shape(Tensor x, const Conv *c)
{
    Tensor t = tensor_view(NULL, F32, 4, (int64_t[]){x.dim[0], x.dim[1] + 1, x.dim[2] + 1, PHASES * c->out});
    t.dim[0] = tensor_piece(t, MATRIX_BYTES);
    return t;
}

static int64_t bytes_of(Tensor places, int64_t channels, DType type)
{
    return places.dim[0] * places.dim[1] * places.dim[2] * channels * (int64_t)dtype_bytes(type);
}

/* As conv_run takes it, where cuDNN has the engines that it is asked for first. */
int64_t cuda_conv_scratch_bytes(const Backend *be, Tensor x, const Conv *c, Tensor out, bool doubled)
{
    if (doubled) {
        const Conv phases = phases_of(c);
        const Tensor some = phases_shape(x, c);
        x.dim[0] = some.dim[0];
        return (int64_t)tensor_bytes(some) + cuda_conv_scratch_bytes(be, x, &phases, some, false);
    }
    const DType type = be->options.compute;
    const bool ready = x.dtype == type && padded(c->in) == c->in;
    out.dim[0] = cuda_conv_frames(be, x, c, out);
    const int64_t input = ready ? 0 : bytes_of(x, padded(c->in), type), k = taps_of(c) * padded(c->in);
    const int64_t places = out.dim[0] * out.dim[1] * out.dim[2];
    const int64_t sums = out.dtype == F32 ? 0 : bytes_of(out, c->out, F32);
    if (is_pointwise(c)) return input + sums;
    if (may_be_cudnn(be, c) && places * numbers_of(c) >= LEAST_WORK)
        return input + (padded(c->out) == c->out ? 0 : bytes_of(out, padded(c->out), F32));
    return input + sums + matrix_rows(places, k, type) * k * (int64_t)dtype_bytes(type);
}

Status cuda_conv_upsampled(Backend *be, Tensor x, const Conv *c, Tensor out)
{
    const CudaConv *p = c->packed;
    Tensor phases = phases_shape(x, c);
    phases = backend_alloc(be, F32, 4, phases.dim);
    if (failed(be->first)) return be->first;
    for (int64_t t = 0; t < x.dim[0]; t += phases.dim[0]) {
        ArenaMark mark = backend_mark(be);
        Tensor some = tensor_rows(out, t, phases.dim[0]);
        const Places j = {.kind = PLACE_PHASES,
                          .in = {phases.dim[0], phases.dim[1], phases.dim[2], phases.dim[3]},
                          .out = {some.dim[0], some.dim[1], some.dim[2], some.dim[3]}};
        TRY(conv_run(be, tensor_rows(x, t, phases.dim[0]), &p->phases, phases, false));
        CUDA_TRY(launch_gather(cuda_of(be)->stream, &j, phases, some));
        backend_release(be, mark);
    }
    return status_ok();
}
