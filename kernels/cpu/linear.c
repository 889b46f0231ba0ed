/* Linear layers: a tile of rows goes through all panels of the weight; the sums of tile and panel stay in the first-level
 * cache until bias, activation function, gate and sum have been applied, so nothing of the output's size is written twice. */
#include <stdlib.h>
#include <string.h>

#include "kernels/convert.h"
#include "kernels/cpu/cpu.h"

enum {
    TILES_PER_BLOCK =
        20, /* rows of a block = 20 register tiles (120 or 280): the panel is read from the second-level cache */
    CHUNK_STEPS = 2048 /* of k between returns to the sums: a panel's chunk is 128 to 256 KiB */
};

typedef struct {
    CpuPanels weight;
    float *bias; /* [N], or NULL */
} CpuLinear;

typedef struct {
    Tensor x;
    const CpuLinear *weight, *second; /* second: of the gated unit, or NULL */
    int64_t in, rows, columns;
    IsaEpilogue epilogue;
    void *out;
} LinearJob;

typedef struct { /* one thread's scratch */
    char *operands;
    float *sums, *other, *unpacked;
} LinearRoom;

static void linear_column(const void *source, int64_t n, float *to)
{
    const Tensor *w = source;
    convert_to_float((const char *)w->data + (size_t)(n * w->dim[1]) * dtype_bytes(w->dtype), w->dtype, w->dim[1], to);
}

Status cpu_linear_pack(Backend *be, Tensor weight, Tensor bias, Linear *l)
{
    CpuLinear *p = calloc(1, sizeof *p);
    l->packed = p;
    if (!p) return status_fail(ERR_NODE, "out of memory");
    Status status = cpu_panels_new(be, l->out, l->in, linear_column, &weight, &p->weight);
    if (!failed(status) && bias.data) {
        p->bias = malloc((size_t)l->out * sizeof *p->bias);
        if (p->bias)
            convert_to_float(bias.data, bias.dtype, l->out, p->bias);
        else
            status = status_fail(ERR_NODE, "out of memory");
    }
    if (failed(status)) cpu_linear_free(be, l);
    return status;
}

void cpu_linear_free(Backend *be, Linear *l)
{
    CpuLinear *p = l->packed;
    cpu_panels_free(be, &p->weight);
    free(p->bias);
    free(p);
    l->packed = NULL;
}

/* sums [rows][width] = x[row..] . panel; a points at the rows as operands. */
static void linear_sums(const Cpu *c, const LinearJob *j, const CpuLinear *w, int64_t panel, const char *a,
                        int64_t rows, float *sums, float *unpacked)
{
    int64_t zero = 0, all = cpu_steps(c, j->in), per_step = c->operand == OPERAND_PAIRS ? 2 : 1;
    int64_t chunks = (all + CHUNK_STEPS - 1) / CHUNK_STEPS, chunk = ((all + chunks - 1) / chunks + 1) / 2 * 2;
    for (int64_t first = 0; first < all; first += chunk) {
        IsaProduct p = {.a = a + (size_t)(first * per_step) * cpu_operand_bytes(c),
                        .a_stride = cpu_padded(c, j->in) * (int64_t)cpu_operand_bytes(c),
                        .segment = &zero,
                        .segments = 1,
                        .steps = all - first < chunk ? all - first : chunk,
                        .c = sums,
                        .c_stride = c->width,
                        .rows = rows,
                        .add = first > 0};
        cpu_panel_product(c, &w->weight, panel, first * per_step, &p, unpacked);
    }
}

/* Rows [row, row + rows) of the output, panels [panel, end). */
static void linear_block(const Cpu *c, const LinearJob *j, int64_t row, int64_t rows, int64_t panel, int64_t end,
                         LinearRoom room)
{
    size_t in_bytes = (size_t)j->in * dtype_bytes(j->x.dtype), out_bytes = dtype_bytes(j->epilogue.dtype);
    const char *x = (const char *)j->x.data + (size_t)row * in_bytes;
    if (!cpu_is_operand(c, j->x.dtype, j->in)) {
        size_t operand_bytes = (size_t)cpu_padded(c, j->in) * cpu_operand_bytes(c);
        for (int64_t i = 0; i < rows; i++)
            cpu_operands(c, x + (size_t)i * in_bytes, j->x.dtype, j->in, room.operands + (size_t)i * operand_bytes);
        x = room.operands;
    }
    for (; panel < end; panel++) {
        int64_t first = panel * c->width, n = j->columns - first < c->width ? j->columns - first : c->width;
        IsaEpilogue e = j->epilogue;
        if (e.bias) e.bias += first;
        if (e.gate) e.gate += row * e.gate_stride + first;
        linear_sums(c, j, j->weight, panel, x, rows, room.sums, room.unpacked);
        if (j->second) {
            linear_sums(c, j, j->second, panel, x, rows, room.other, room.unpacked);
            e.other = room.other;
        }
        c->isa->finish(room.sums, c->width, rows, n, &e,
                       (char *)j->out + (size_t)(row * j->columns + first) * out_bytes, j->columns);
    }
}

/* Blocks of rows of even size, a multiple of the register tile where there are many; with fewer blocks than threads each is
 * divided by panels too. */
static Status linear_run(Backend *be, const LinearJob *j)
{
    const Cpu *c = cpu_of(be);
    int threads = be->options.threads;
    int64_t tile = c->isa->tile_rows, tiles = (j->rows + tile - 1) / tile;
    int64_t blocks = (tiles + TILES_PER_BLOCK - 1) / TILES_PER_BLOCK;
    if (tiles >= threads) blocks = (blocks + threads - 1) / threads * threads;
    if (blocks > tiles) blocks = tiles;
    int64_t panels = cpu_panel_count(c, &j->weight->weight);
    int64_t parts = blocks < threads ? (threads + blocks - 1) / (blocks ? blocks : 1) : 1;
    int64_t block_rows = blocks ? (tiles + blocks - 1) / blocks * tile : 0;
    size_t operands = (size_t)(block_rows * cpu_padded(c, j->in)) * cpu_operand_bytes(c),
           sums = (size_t)block_rows * (size_t)c->width * 4;
    size_t unpack = cpu_unpack_bytes(c, CHUNK_STEPS + 2), each = (operands + 2 * sums + unpack + 63) / 64 * 64;
    char *scratch = backend_alloc(be, F32, 2, (int64_t[]){threads, (int64_t)each / 4}).data;
    if (failed(be->first)) return be->first;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++) {
        char *mine = scratch + (size_t)part * each;
        LinearRoom room = {mine, (float *)(mine + operands), (float *)(mine + operands + sums),
                           (float *)(mine + operands + 2 * sums)};
        for (int64_t i = part; i < blocks * parts; i += threads) {
            int64_t row = i / parts * block_rows, rows = j->rows - row < block_rows ? j->rows - row : block_rows;
            if (rows > 0)
                linear_block(c, j, row, rows, panels * (i % parts) / parts, panels * (i % parts + 1) / parts, room);
        }
    }
    return status_ok();
}

static LinearJob linear_job(Tensor x, const Linear *w, Tensor out)
{
    const CpuLinear *p = w->packed;
    return (LinearJob){.x = x,
                       .weight = p,
                       .in = w->in,
                       .rows = w->in ? tensor_count(x) / w->in : 0,
                       .columns = w->out,
                       .epilogue = {.bias = p->bias, .dtype = out.dtype},
                       .out = out.data};
}

Status cpu_linear(Backend *be, Tensor x, const Linear *w, Activation act, Tensor out)
{
    LinearJob j = linear_job(x, w, out);
    j.epilogue.act = act;
    return linear_run(be, &j);
}

Status cpu_linear_add(Backend *be, Tensor acc, Tensor x, const Linear *w, Tensor gate)
{
    LinearJob j = linear_job(x, w, acc);
    j.epilogue.add = true;
    j.epilogue.gate = gate.data;
    j.epilogue.gate_stride = tensor_count(gate) > w->out ? w->out : 0;
    return linear_run(be, &j);
}

Status cpu_linear_geglu(Backend *be, Tensor x, const Linear *a, const Linear *b, Tensor out)
{
    LinearJob j = linear_job(x, a, out);
    j.second = b->packed;
    j.epilogue.act = ACT_GELU_TANH;
    return linear_run(be, &j);
}
