/* Linear layers: a tile of rows goes through all panels of the weight; the sums of tile and panel stay in the first-level
 * cache until bias, activation function, gate and sum have been applied, so nothing of the output's size is written twice. */
#include <stdlib.h>
#include <string.h>

#include "kernels/convert.h"
#include "kernels/cpu/cpu.h"

/* How a product is cut, so that a block of rows and its sums stay in the second-level cache while panel after panel goes by, and each
 * panel meets enough rows to be worth fetching. */
typedef struct {
    int64_t max_tiles, min_tiles; /* rows of a block, in register tiles */
    int64_t block_bytes;          /* of a chunk of their k */
    int64_t chunk_steps;          /* of k between returns to the sums: a panel's chunk is 96 to 256 KiB */
    int64_t group_panels;         /* that one chunk of the rows meets before the next chunk, if there are several */
} LinearCut;

/* Tiles of AMX are eight times as fast and can wait for a panel only if it meets many rows; every such processor has 2 MiB. */
static const LinearCut in_registers = {20, 6, 640 << 10, 2048, 32}, in_tiles = {16, 6, 1300 << 10, 768, 16};

static const LinearCut *linear_cut(const Cpu *c) { return c->isa->steps > 1 ? &in_tiles : &in_registers; }

typedef struct {
    CpuPanels weight;
    float *bias; /* [N], or NULL */
    bool exact, quantized;
} CpuLinear;

static const Cpu *cpu_for(const Backend *be, const CpuLinear *p)
{
    return p->exact ? cpu_exact(be) : p->quantized ? cpu_quantized(be) : cpu_of(be);
}

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
    float *scale; /* of the rows, where they are int8 */
} LinearRoom;

typedef struct {
    Tensor weight;
    float factor; /* of E4M3 */
} LinearSource;

static void linear_column(const void *source, int64_t n, float *to)
{
    const LinearSource *s = source;
    const Tensor *w = &s->weight;
    convert_to_float((const char *)w->data + (size_t)(n * w->dim[1]) * dtype_bytes(w->dtype), w->dtype, w->dim[1], to);
    for (int64_t i = 0; w->dtype == E4M3 && i < w->dim[1]; i++) to[i] *= s->factor;
}

Status cpu_linear_pack(Backend *be, Tensor weight, Tensor bias, Linear *l)
{
    CpuLinear *p = calloc(1, sizeof *p);
    l->packed = p;
    if (!p) return status_fail(ERR_NODE, "out of memory");
    p->exact = l->exact;
    p->quantized = l->quantize;
    const LinearSource source = {weight, l->scale != 0 ? l->scale : 1};
    Status status = weight.dtype == E4M3 && !l->quantize
                        ? cpu_panels_e4m3(be, cpu_for(be, p), weight, source.factor, &p->weight)
                        : cpu_panels_new(be, cpu_for(be, p), l->out, l->in, linear_column, &source, &p->weight);
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

/* Bytes from row to row of operands in scratch memory: never a multiple of 2 KiB, or the rows of a tile would all compete
 * for the same few places of the first-level cache. */
static int64_t linear_stride(const Cpu *c, int64_t k)
{
    int64_t bytes = (cpu_padded(c, k) * (int64_t)cpu_operand_bytes(c) + 63) / 64 * 64;
    return bytes % 2048 ? bytes : bytes + 64;
}

/* The rows can be read where they are. */
static bool linear_in_place(const Cpu *c, const LinearJob *j)
{
    return cpu_is_operand(c, j->x.dtype, j->in) && (size_t)j->in * dtype_bytes(j->x.dtype) % 4096 != 0;
}

static int64_t linear_chunks(const Cpu *c, int64_t k)
{
    const int64_t most = linear_cut(c)->chunk_steps;
    return (cpu_steps(c, k) + most - 1) / most;
}

/* Steps of a chunk of k: chunks of even size, in whole numbers of what is unpacked or multiplied at once. */
static int64_t linear_chunk(const Cpu *c, int64_t k)
{
    int64_t chunks = linear_chunks(c, k);
    const int64_t unit = c->operand == OPERAND_WHOLE ? cpu_unit(c) : 2;
    const int64_t whole = c->isa->steps > unit ? c->isa->steps : unit;
    return chunks ? ((cpu_steps(c, k) + chunks - 1) / chunks + whole - 1) / whole * whole : whole;
}

/* Panels whose sums are kept while the chunks of k go by. */
static int64_t linear_group(const Cpu *c, int64_t k)
{
    return linear_chunks(c, k) > 1 ? linear_cut(c)->group_panels : 1;
}

/* sums [panels][rows][width] = x[row..] . panels from `panel` to `end`, chunk by chunk of k; a points at the operands. */
static void linear_sums(const Cpu *c, const LinearJob *j, const CpuLinear *w, int64_t panel, int64_t end, const char *a,
                        int64_t rows, float *sums, float *unpacked)
{
    int64_t zero = 0, all = cpu_steps(c, j->in), per_step = cpu_step(c);
    int64_t chunk = linear_chunk(c, j->in), operand = (int64_t)cpu_operand_bytes(c);
    for (int64_t first = 0; first < all; first += chunk)
        for (int64_t i = panel; i < end; i++) {
            IsaProduct p = {.a = a + first * per_step * operand,
                            .a_stride = linear_in_place(c, j) ? j->in * operand : linear_stride(c, j->in),
                            .segment = &zero,
                            .segments = 1,
                            .steps = all - first < chunk ? all - first : chunk,
                            .c = sums + (i - panel) * rows * c->width,
                            .c_stride = c->width,
                            .rows = rows,
                            .add = first > 0};
            cpu_panel_product(c, &w->weight, i, first * per_step, &p, unpacked);
        }
}

/* Rows from `row` as operands: where they are, or converted into room. */
static const char *linear_operands(const Cpu *c, const LinearJob *j, int64_t row, int64_t rows, LinearRoom room)
{
    size_t in_bytes = (size_t)j->in * dtype_bytes(j->x.dtype);
    const char *x = (const char *)j->x.data + (size_t)row * in_bytes;
    if (linear_in_place(c, j)) return x;
    for (int64_t i = 0; i < rows; i++) {
        const char *from = x + (size_t)i * in_bytes;
        char *to = room.operands + i * linear_stride(c, j->in);
        if (cpu_is_whole(c))
            room.scale[i] = cpu_quantize(c, from, j->x.dtype, j->in, to);
        else
            cpu_operands(c, from, j->x.dtype, j->in, to);
    }
    return room.operands;
}

/* Of int8: whole sums become numbers. */
static void linear_rescale(const Cpu *c, const CpuLinear *w, int64_t panel, int64_t rows, const float *row, float *sums)
{
    if (!cpu_is_whole(c)) return;
    const IsaScales s = {
        .row = row, .column = w->weight.scale + panel * c->width, .sum = w->weight.sum + panel * c->width};
    c->isa->rescale(sums, c->width, rows, cpu_panel_narrow(c, &w->weight, panel) ? c->isa->lanes : c->width, &s);
}

static void linear_finish(const Cpu *c, const LinearJob *j, int64_t row, int64_t rows, int64_t panel, const float *sums,
                          const float *other)
{
    int64_t first = panel * c->width, n = j->columns - first < c->width ? j->columns - first : c->width;
    IsaEpilogue e = j->epilogue;
    if (e.bias) e.bias += first;
    if (e.gate) e.gate += first;
    if (j->second) e.other = other;
    char *out = (char *)j->out + (size_t)(row * j->columns + first) * dtype_bytes(e.dtype);
    c->isa->finish(sums, c->width, rows, n, &e, out, j->columns);
}

/* Rows [row, row + rows) of the output, panels [panel, end). */
static void linear_block(const Cpu *c, const LinearJob *j, int64_t row, int64_t rows, int64_t panel, int64_t end,
                         LinearRoom room)
{
    const char *x = linear_operands(c, j, row, rows, room);
    int64_t group = linear_group(c, j->in);
    for (int64_t first = panel; first < end; first += group) {
        int64_t last = end - first < group ? end : first + group;
        linear_sums(c, j, j->weight, first, last, x, rows, room.sums, room.unpacked);
        if (j->second) linear_sums(c, j, j->second, first, last, x, rows, room.other, room.unpacked);
        for (int64_t i = first; i < last; i++) {
            int64_t at = (i - first) * rows * c->width;
            linear_rescale(c, j->weight, i, rows, room.scale, room.sums + at);
            if (j->second) linear_rescale(c, j->second, i, rows, room.scale, room.other + at);
            linear_finish(c, j, row, rows, i, room.sums + at, room.other + at);
        }
    }
}

/* How a job is divided: into blocks of rows, and each block by panels if there are more threads than blocks. */
typedef struct {
    int64_t tiles, blocks, parts, panels;
} LinearPlan;

static LinearPlan linear_plan(const Cpu *c, const LinearJob *j, int threads)
{
    int64_t tile = c->isa->tile_rows, chunk_bytes = linear_stride(c, j->in) / (linear_chunks(c, j->in) + !j->in);
    const LinearCut *cut = linear_cut(c);
    int64_t per_block = cut->block_bytes / (chunk_bytes * tile);
    per_block = per_block < cut->min_tiles ? cut->min_tiles : per_block > cut->max_tiles ? cut->max_tiles : per_block;
    LinearPlan p = {.tiles = (j->rows + tile - 1) / tile, .parts = 1};
    p.panels = cpu_panel_count(c, &j->weight->weight);
    p.blocks = (p.tiles + per_block - 1) / per_block;
    if (p.tiles >= threads) p.blocks = (p.blocks + threads - 1) / threads * threads;
    if (p.blocks > p.tiles) p.blocks = p.tiles;
    if (p.blocks && p.blocks < threads) p.parts = (threads + p.blocks - 1) / p.blocks;
    return p;
}

static void linear_part(const Cpu *c, const LinearJob *j, const LinearPlan *p, int64_t i, LinearRoom room)
{
    int64_t block = i / p->parts, part = i % p->parts, tile = c->isa->tile_rows;
    int64_t row = p->tiles * block / p->blocks * tile, end = p->tiles * (block + 1) / p->blocks * tile;
    if (end > j->rows) end = j->rows;
    linear_block(c, j, row, end - row, p->panels * part / p->parts, p->panels * (part + 1) / p->parts, room);
}

static Status linear_run(Backend *be, const LinearJob *j)
{
    const Cpu *c = cpu_for(be, j->weight);
    int threads = be->options.threads;
    LinearPlan p = linear_plan(c, j, threads);
    int64_t rows = p.blocks ? ((p.tiles + p.blocks - 1) / p.blocks) * c->isa->tile_rows : 0;
    size_t operands = (size_t)(rows * linear_stride(c, j->in)),
           sums = (size_t)(rows * c->width * linear_group(c, j->in)) * 4;
    if (linear_in_place(c, j)) operands = 0;
    const int64_t chunk = linear_chunk(c, j->in) * cpu_step(c);
    size_t unpacked = cpu_unpack_bytes(c, &j->weight->weight, chunk),
           more = j->second ? cpu_unpack_bytes(c, &j->second->weight, chunk) : 0;
    if (unpacked < more) unpacked = more; /* two weights of a file may be of two types */
    size_t scales = cpu_is_whole(c) ? (size_t)rows * sizeof(float) : 0;
    size_t each = (operands + 2 * sums + unpacked + scales + 63) / 64 * 64;
    char *scratch = backend_alloc(be, F32, 2, (int64_t[]){threads, (int64_t)each / 4}).data;
    if (failed(be->first)) return be->first;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++) {
        char *mine = scratch + (size_t)part * each;
        LinearRoom room = {mine, (float *)(mine + operands), (float *)(mine + operands + sums),
                           (float *)(mine + operands + 2 * sums), (float *)(mine + operands + 2 * sums + unpacked)};
        for (int64_t i = part; i < p.blocks * p.parts; i += threads) linear_part(c, j, &p, i, room);
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
    return linear_run(be, &j);
}

Status cpu_linear_geglu(Backend *be, Tensor x, const Linear *a, const Linear *b, Tensor out)
{
    LinearJob j = linear_job(x, a, out);
    j.second = b->packed;
    j.epilogue.act = ACT_GELU_TANH;
    return linear_run(be, &j);
}
