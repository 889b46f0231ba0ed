#include "kernels/cpu/conv.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/convert.h"

enum {
    TILES_PER_BLOCK = 20, /* output places of a block, in register tiles */
    CHUNK_STEPS = 2048    /* of all taps between returns to the sums */
};

/* ---- packing ------------------------------------------------------------------------------------------------------- */

/* k = (tap, Cin) */
static void conv_column(const void *source, int64_t n, float *to)
{
    const ConvSource *s = source;
    int64_t taps = (int64_t)s->kernel[0] * s->kernel[1] * s->kernel[2];
    memset(to, 0, (size_t)(taps * s->padded) * sizeof *to);
    for (int64_t c = 0; c < s->in; c++)
        for (int64_t tap = 0; tap < taps; tap++) to[tap * s->padded + c] = s->weight[(n * s->in + c) * taps + tap];
}

/* k = (row 0..1, column 0..1, Cin): in phase 0 rows -1 | 0, +1 of the kernel fall on the first | second input row, in phase 1
 * rows -1, 0 | +1; the same for columns. */
static void conv_phase_column(const void *source, int64_t n, float *to)
{
    const ConvSource *s = source;
    memset(to, 0, (size_t)(4 * s->padded) * sizeof *to);
    for (int64_t c = 0; c < s->in; c++)
        for (int tap = 0; tap < 9; tap++) {
            int row = (tap / 3 + 1 - s->part / 2) / 2, column = (tap % 3 + 1 - s->part % 2) / 2;
            to[(row * 2 + column) * s->padded + c] += s->weight[(n * s->in + c) * 9 + tap];
        }
}

static bool conv_is_3x3(const Conv *c)
{
    bool is = c->kernel[1] == 3 && c->kernel[2] == 3;
    for (int i = 0; i < 3; i++) is = is && c->stride[i] == 1;
    for (int i = 0; i < 2; i++) is = is && c->pad[i][0] == 1 && c->pad[i][1] == 1;
    return is;
}

/* 1x3x3 with stride 1: also packed for upsampled input. */
static bool conv_is_flat(const Conv *c) { return conv_is_3x3(c) && c->kernel[0] == 1; }

static bool conv_is_winograd(const Conv *c)
{
    return conv_is_3x3(c) && !conv_is_flat(c) && c->kernel[0] <= WINOGRAD_FRAMES;
}

int64_t cpu_conv_numbers(const Conv *c)
{
    const int64_t pairs = c->in * c->out, taps = (int64_t)c->kernel[0] * c->kernel[1] * c->kernel[2];
    if (conv_is_winograd(c)) return pairs * WINOGRAD_POINTS * c->kernel[0];
    return pairs * (taps + (conv_is_flat(c) ? 4 * 4 : 0));
}

static Status conv_pack_panels(Backend *be, const float *weight, const Conv *c, CpuConv *p)
{
    ConvSource s = {weight, c->in, cpu_padded(cpu_of(be), c->in), c->kernel, 0};
    int64_t taps = (int64_t)c->kernel[0] * c->kernel[1] * c->kernel[2];
    const bool flat = conv_is_flat(c);
    p->winograd = conv_is_winograd(c);
    if (!p->winograd) TRY(cpu_panels_new(be, cpu_of(be), c->out, taps * s.padded, conv_column, &s, &p->direct));
    for (s.part = 0; flat && s.part < 4; s.part++)
        TRY(cpu_panels_new(be, cpu_of(be), c->out, 4 * s.padded, conv_phase_column, &s, &p->phase[s.part]));
    for (s.part = 0; p->winograd && s.part < WINOGRAD_POINTS; s.part++)
        TRY(cpu_panels_new(be, cpu_of(be), c->out, c->kernel[0] * s.padded, winograd_column, &s, &p->point[s.part]));
    return status_ok();
}

Status cpu_conv_pack(Backend *be, Tensor weight, Tensor bias, Conv *c)
{
    int64_t count = tensor_count(weight);
    CpuConv *p = calloc(1, sizeof *p);
    float *numbers = malloc((size_t)count * sizeof *numbers);
    c->packed = p;
    Status status = status_ok();
    if (p && bias.data) p->bias = malloc((size_t)c->out * sizeof *p->bias);
    if (!p || !numbers || (bias.data && !p->bias)) {
        status = status_fail(ERR_NODE, "out of memory for a weight of %lld numbers", (long long)count);
    } else {
        convert_to_float(weight.data, weight.dtype, count, numbers);
        if (bias.data) convert_to_float(bias.data, bias.dtype, c->out, p->bias);
        status = conv_pack_panels(be, numbers, c, p);
    }
    free(numbers);
    if (failed(status) && p) cpu_conv_free(be, c);
    return status;
}

void cpu_conv_free(Backend *be, Conv *c)
{
    CpuConv *p = c->packed;
    cpu_panels_free(be, &p->direct);
    for (int i = 0; i < 4; i++) cpu_panels_free(be, &p->phase[i]);
    for (int i = 0; i < WINOGRAD_POINTS; i++) cpu_panels_free(be, &p->point[i]);
    free(p->bias);
    free(p);
    c->packed = NULL;
}

/* ---- the picture with its border of zeros, as operands -------------------------------------------------------------- */

typedef struct {
    const char *data;
    int64_t h, w;  /* with the border */
    int64_t place; /* bytes of one place's channels */
} ConvPicture;

static void conv_pad_line(const Cpu *c, Tensor x, const Conv *conv, int64_t line, char *to, int64_t w, int64_t place)
{
    int64_t h = x.dim[1] + conv->pad[0][0] + conv->pad[0][1], y = line % h - conv->pad[0][0], channels = x.dim[3];
    size_t bytes = (size_t)channels * dtype_bytes(x.dtype);
    if (y < 0 || y >= x.dim[1]) {
        memset(to, 0, (size_t)(w * place));
        return;
    }
    int64_t left = conv->pad[1][0], right = conv->pad[1][1];
    const char *from = (const char *)x.data + (size_t)((line / h * x.dim[1] + y) * x.dim[2]) * bytes;
    memset(to, 0, (size_t)(left * place));
    if (cpu_is_operand(c, x.dtype, channels))
        memcpy(to + left * place, from, (size_t)x.dim[2] * bytes);
    else
        for (int64_t i = 0; i < x.dim[2]; i++)
            cpu_operands(c, from + (size_t)i * bytes, x.dtype, channels, to + (left + i) * place);
    memset(to + (w - right) * place, 0, (size_t)(right * place));
}

/* x itself if it needs neither border nor conversion, else a copy in scratch memory; data NULL after a failure */
static ConvPicture conv_picture(Backend *be, Tensor x, const Conv *conv)
{
    const Cpu *c = cpu_of(be);
    ConvPicture p = {.data = x.data,
                     .h = x.dim[1] + conv->pad[0][0] + conv->pad[0][1],
                     .w = x.dim[2] + conv->pad[1][0] + conv->pad[1][1],
                     .place = cpu_padded(c, x.dim[3]) * (int64_t)cpu_operand_bytes(c)};
    if (p.h == x.dim[1] && p.w == x.dim[2] && cpu_is_operand(c, x.dtype, x.dim[3])) return p;
    int64_t lines = x.dim[0] * p.h, line_bytes = p.w * p.place;
    char *to = backend_alloc(be, BF16, 2, (int64_t[]){lines, line_bytes / 2}).data;
    p.data = to;
    if (!to) return p;
#pragma omp parallel for schedule(static) num_threads(be->options.threads)
    for (int64_t i = 0; i < lines; i++) conv_pad_line(c, x, conv, i, to + i * line_bytes, p.w, p.place);
    return p;
}

/* ---- direct and phases --------------------------------------------------------------------------------------------- */

typedef struct {
    ConvPicture in;
    const CpuPanels *weight;
    const float *bias;
    int64_t steps;                             /* of one tap */
    int64_t taps, *segment;                    /* byte offsets of the taps */
    int64_t row_step, column_step, frame_step; /* of the output in input bytes */
    int64_t t, h, w;                           /* places of the output (of one phase) */
    char *out;                                 /* of place (0,0,0) */
    int64_t out_column, out_row, out_frame;    /* numbers from place to place */
    int64_t columns;
    bool add;
    DType dtype;
} ConvJob;

static int64_t conv_lines_of_block(const Cpu *c, const ConvJob *j)
{
    int64_t lines = j->row_step == j->in.w * j->column_step ? c->isa->tile_rows * TILES_PER_BLOCK / j->in.w : 1;
    return lines < 1 ? 1 : lines > j->h ? j->h : lines;
}

/* `lines` output lines from `line` of frame t: whole lines of the padded picture are rows of one product, and what falls
 * between two lines is left out when the sums are stored. */
static void conv_block(const Cpu *c, const ConvJob *j, int64_t t, int64_t line, int64_t lines, float *sums,
                       float *unpacked)
{
    int64_t group = CHUNK_STEPS / j->steps < 1 ? 1 : CHUNK_STEPS / j->steps, between = j->in.w;
    int64_t per_step = c->operand == OPERAND_PAIRS ? 2 : 1;
    IsaProduct p = {.a = j->in.data + t * j->frame_step + line * j->row_step,
                    .a_stride = j->column_step,
                    .steps = j->steps,
                    .c = sums,
                    .c_stride = c->width,
                    .rows = (lines - 1) * between + j->w};
    for (int64_t panel = 0; panel * c->width < j->columns; panel++) {
        int64_t first = panel * c->width, n = j->columns - first < c->width ? j->columns - first : c->width;
        for (int64_t tap = 0; tap < j->taps; tap += group) {
            p.segment = j->segment + tap;
            p.segments = (int)(j->taps - tap < group ? j->taps - tap : group);
            p.add = tap > 0;
            cpu_panel_product(c, j->weight, panel, tap * j->steps * per_step, &p, unpacked);
        }
        IsaEpilogue e = {.bias = j->bias ? j->bias + first : NULL, .add = j->add, .dtype = j->dtype};
        for (int64_t i = 0; i < lines; i++) {
            int64_t at = t * j->out_frame + (line + i) * j->out_row + first;
            c->isa->finish(sums + i * between * c->width, c->width, j->w, n, &e,
                           j->out + (size_t)at * dtype_bytes(j->dtype), j->out_column);
        }
    }
}

static Status conv_run(Backend *be, const ConvJob *j)
{
    const Cpu *c = cpu_of(be);
    int threads = be->options.threads;
    int64_t lines = conv_lines_of_block(c, j), blocks = (j->h + lines - 1) / lines;
    int64_t group = CHUNK_STEPS / j->steps < 1 ? 1 : CHUNK_STEPS / j->steps;
    int64_t sums = (lines * j->in.w + j->w) * c->width,
            unpack = (int64_t)cpu_unpack_bytes(c, j->weight, group * j->steps) / 4 + 16;
    float *scratch = backend_alloc(be, F32, 2, (int64_t[]){threads, sums + unpack}).data;
    if (failed(be->first) || !j->in.data) return be->first;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++) {
        float *mine = scratch + part * (sums + unpack);
        for (int64_t i = part; i < j->t * blocks; i += threads) {
            int64_t line = i % blocks * lines;
            conv_block(c, j, i / blocks, line, j->h - line < lines ? j->h - line : lines, mine, mine + sums);
        }
    }
    return status_ok();
}

static Status conv_direct(Backend *be, Tensor x, const Conv *c, Tensor out, bool add)
{
    const CpuConv *p = c->packed;
    const int *k = c->kernel;
    ConvPicture in = conv_picture(be, x, c);
    int64_t taps = (int64_t)k[0] * k[1] * k[2];
    int64_t *segment = malloc((size_t)taps * sizeof *segment);
    if (!segment) return status_fail(ERR_NODE, "out of memory");
    for (int64_t i = 0; i < taps; i++)
        segment[i] = ((i / (k[1] * k[2]) * in.h + i / k[2] % k[1]) * in.w + i % k[2]) * in.place;
    ConvJob j = {.in = in,
                 .weight = &p->direct,
                 .bias = p->bias,
                 .steps = cpu_steps(cpu_of(be), c->in),
                 .taps = taps,
                 .segment = segment,
                 .column_step = (in.w == 1 ? c->stride[1] : c->stride[2]) *
                                in.place, /* a line is one block, whatever its stride */
                 .row_step = c->stride[1] * in.w * in.place,
                 .frame_step = c->stride[0] * in.h * in.w * in.place,
                 .t = out.dim[0],
                 .h = out.dim[1],
                 .w = out.dim[2],
                 .out = out.data,
                 .out_column = c->out,
                 .out_row = out.dim[2] * c->out,
                 .out_frame = out.dim[1] * out.dim[2] * c->out,
                 .columns = c->out,
                 .add = add,
                 .dtype = out.dtype};
    Status status = conv_run(be, &j);
    free(segment);
    return status;
}

Status cpu_conv(Backend *be, Tensor x, const Conv *c, Tensor out)
{
    const CpuConv *p = c->packed;
    return p->winograd ? winograd_run(be, x, c, out, false) : conv_direct(be, x, c, out, false);
}

Status cpu_conv_add(Backend *be, Tensor acc, Tensor x, const Conv *c)
{
    const CpuConv *p = c->packed;
    return p->winograd ? winograd_run(be, x, c, acc, true) : conv_direct(be, x, c, acc, true);
}

Status cpu_conv_upsampled(Backend *be, Tensor x, const Conv *c, Tensor out)
{
    const CpuConv *p = c->packed;
    ConvPicture in = conv_picture(be, x, c);
    size_t number = dtype_bytes(out.dtype);
    for (int phase = 0; phase < 4; phase++) {
        int64_t a = phase / 2, b = phase % 2, segment[4];
        for (int i = 0; i < 4; i++) segment[i] = ((a + i / 2) * in.w + b + i % 2) * in.place;
        ConvJob j = {.in = in,
                     .weight = &p->phase[phase],
                     .bias = p->bias,
                     .steps = cpu_steps(cpu_of(be), c->in),
                     .taps = 4,
                     .segment = segment,
                     .column_step = in.place,
                     .row_step = in.w * in.place,
                     .frame_step = in.h * in.w * in.place,
                     .t = x.dim[0],
                     .h = x.dim[1],
                     .w = x.dim[2],
                     .out = (char *)out.data + (size_t)((a * out.dim[2] + b) * c->out) * number,
                     .out_column = 2 * c->out,
                     .out_row = 2 * out.dim[2] * c->out,
                     .out_frame = out.dim[1] * out.dim[2] * c->out,
                     .columns = c->out,
                     .dtype = out.dtype};
        TRY(conv_run(be, &j));
    }
    return status_ok();
}
