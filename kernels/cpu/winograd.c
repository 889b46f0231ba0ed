/* kt x 3 x 3 convolutions through F(2x2, 3x3): the picture is cut into patches of 4x4 that overlap by two, each patch gives
 * 2x2 outputs. Per frame and patch the 16 points V = B^T d B are made once and kept for the kt output frames that see them;
 * every point is then a product over (kt, Cin) with U = G g G^T, and the outputs are A^T M A. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/conv.h"

enum {
    MAX_TILES = 16,
    MIN_TILES = 4,         /* patches of a block, in register tiles */
    POINTS_BYTES = 2 << 20 /* of a block's V, which every panel reads again: a share of the third-level cache */
};

void winograd_column(const void *source, int64_t n, float *to)
{
    static const float g[4][3] = {{1, 0, 0}, {0.5f, 0.5f, 0.5f}, {0.5f, -0.5f, 0.5f}, {0, 0, 1}};
    const ConvSource *s = source;
    const float *row = g[s->part / 4], *column = g[s->part % 4];
    int64_t kt = s->kernel[0];
    memset(to, 0, (size_t)(kt * s->padded) * sizeof *to);
    for (int64_t c = 0; c < s->in; c++)
        for (int64_t t = 0; t < kt; t++) {
            const float *w = s->weight + ((n * s->in + c) * kt + t) * 9;
            float sum = 0;
            for (int i = 0; i < 3; i++)
                sum += row[i] * (column[0] * w[3 * i] + column[1] * w[3 * i + 1] + column[2] * w[3 * i + 2]);
            to[t * s->padded + c] = sum;
        }
}

typedef struct {
    const Cpu *cpu;
    const CpuConv *weight;
    Tensor x, out;
    int kt;
    int64_t in, columns;  /* Cin, Cout */
    int64_t down, across; /* patches of a frame */
    int64_t block;        /* patches at once */
    int64_t place;        /* bytes of one patch's operands at one point */
    int64_t wide;         /* columns in whole panels */
    const float *zeros;
    bool add;
} Winograd;

typedef struct {
    char *points; /* V: [kt][16][block] places; frame f in slot f % kt */
    float *sums;  /* M: [16][block][width] */
    float *unpacked;
} WinogradRoom;

/* V of patches [first, first + n) of input frame f. */
static void winograd_points(const Winograd *w, int64_t f, int64_t first, int64_t n, char *to)
{
    size_t place = (size_t)w->in * dtype_bytes(w->x.dtype);
    const int64_t height = w->x.dim[1], width = w->x.dim[2];
    for (int64_t i = 0; i < n; i++) {
        int64_t top = (first + i) / w->across * 2 - 1, left = (first + i) % w->across * 2 - 1;
        const void *patch[WINOGRAD_POINTS];
        for (int k = 0; k < WINOGRAD_POINTS; k++) {
            int64_t y = top + k / 4, x = left + k % 4;
            bool inside = y >= 0 && y < height && x >= 0 && x < width;
            patch[k] = inside ? (const char *)w->x.data + (size_t)((f * height + y) * width + x) * place
                              : (const char *)w->zeros;
        }
        IsaPoints p = {.dtype = w->x.dtype,
                       .channels = w->in,
                       .padded = cpu_padded(w->cpu, w->in),
                       .rounded = w->cpu->operand == OPERAND_ROUNDED,
                       .pairs = w->cpu->operand == OPERAND_PAIRS,
                       .point = w->block * w->place};
        w->cpu->isa->winograd_points(patch, &p, to + i * w->place);
    }
}

/* Outputs of n patches from their sums. */
static void winograd_outputs(const Winograd *w, int64_t t, int64_t first, int64_t n, const float *sums)
{
    const int64_t height = w->out.dim[1], width = w->out.dim[2];
    IsaEpilogue e = {.bias = w->weight->bias, .add = w->add, .dtype = w->out.dtype};
    for (int64_t i = 0; i < n; i++) {
        int64_t top = (first + i) / w->across * 2, left = (first + i) % w->across * 2;
        void *to[4];
        for (int k = 0; k < 4; k++) {
            int64_t y = top + k / 2, x = left + k % 2, at = ((t * height + y) * width + x) * w->columns;
            to[k] = y < height && x < width ? (char *)w->out.data + (size_t)at * dtype_bytes(w->out.dtype) : NULL;
        }
        w->cpu->isa->winograd_outputs(sums + i * w->wide, w->block * w->wide, w->columns, &e, to);
    }
}

/* Output frame t of the patches, whose V of frames t .. t + kt - 1 is there. Point by point, so that a point's V stays in
 * the second-level cache for all panels. */
static void winograd_frame(const Winograd *w, int64_t t, int64_t first, int64_t n, const WinogradRoom *room)
{
    const Cpu *c = w->cpu;
    int64_t segment[WINOGRAD_FRAMES], slot = WINOGRAD_POINTS * w->block * w->place;
    for (int i = 0; i < w->kt; i++) segment[i] = (t + i) % w->kt * slot;
    for (int k = 0; k < WINOGRAD_POINTS; k++) {
        IsaProduct p = {.a = room->points + k * w->block * w->place,
                        .a_stride = w->place,
                        .segment = segment,
                        .segments = w->kt,
                        .steps = cpu_steps(c, w->in),
                        .c_stride = w->wide,
                        .rows = n};
        for (int64_t panel = 0; panel * c->width < w->columns; panel++) {
            p.c = room->sums + k * w->block * w->wide + panel * c->width;
            cpu_panel_product(c, &w->weight->point[k], panel, 0, &p, room->unpacked);
        }
    }
    winograd_outputs(w, t, first, n, room->sums);
}

static void winograd_block(const Winograd *w, int64_t first, const WinogradRoom *room)
{
    int64_t all = w->down * w->across, n = all - first < w->block ? all - first : w->block;
    int64_t slot = WINOGRAD_POINTS * w->block * w->place;
    for (int64_t f = 0; f < w->x.dim[0]; f++) {
        winograd_points(w, f, first, n, room->points + f % w->kt * slot);
        if (f >= w->kt - 1) winograd_frame(w, f - (w->kt - 1), first, n, room);
    }
}

Status winograd_run(Backend *be, Tensor x, const Conv *conv, Tensor out, bool add)
{
    const Cpu *c = cpu_of(be);
    int threads = be->options.threads;
    Winograd w = {.cpu = c, .weight = conv->packed, .x = x, .out = out, .kt = conv->kernel[0], .in = conv->in};
    w.columns = conv->out;
    w.add = add;
    w.wide = (w.columns + c->width - 1) / c->width * c->width;
    w.down = (x.dim[1] + 1) / 2;
    w.across = (x.dim[2] + 1) / 2;
    w.place = cpu_padded(c, w.in) * (int64_t)cpu_operand_bytes(c);
    if (w.place % 2048 == 0) w.place += 64; /* see linear_stride */
    int64_t tile = c->isa->tile_rows, tiles = POINTS_BYTES / (WINOGRAD_POINTS * w.kt * w.place * tile);
    w.block = tile * (tiles < MIN_TILES ? MIN_TILES : tiles > MAX_TILES ? MAX_TILES : tiles);
    int64_t points = WINOGRAD_POINTS * w.kt * w.block * w.place, sums = WINOGRAD_POINTS * w.block * w.wide * 4;
    int64_t each =
        (points + sums + (int64_t)cpu_unpack_bytes(c, &w.weight->point[0], w.kt * cpu_padded(c, w.in)) + 63) / 64 * 64;
    char *scratch = backend_alloc(be, F32, 2, (int64_t[]){threads, each / 4}).data;
    w.zeros = backend_zeros(be, 1, (int64_t[]){w.in}).data;
    if (failed(be->first)) return be->first;
    int64_t blocks = (w.down * w.across + w.block - 1) / w.block;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++) {
        char *mine = scratch + part * each;
        WinogradRoom room = {mine, (float *)(mine + points), (float *)(mine + points + sums)};
        for (int64_t i = part; i < blocks; i += threads) winograd_block(&w, i * w.block, &room);
    }
    return status_ok();
}
