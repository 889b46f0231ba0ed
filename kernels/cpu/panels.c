/* Operands and panels: how numbers are laid out for the product of isa.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/host.h"

enum { PACK_CHUNK = 1024 };
static const float zeros[PACK_CHUNK];

void cpu_operands(const Cpu *c, const void *from, DType dtype, int64_t n, void *to)
{
    if (c->operand == OPERAND_PAIRS) {
        if (dtype == BF16)
            memcpy(to, from, (size_t)n * 2);
        else
            c->isa->store(from, n, BF16, to);
        if (n % 2) ((uint16_t *)to)[n] = 0;
        return;
    }
    if (c->operand == OPERAND_ROUNDED && dtype == F32)
        c->isa->round(from, n, to);
    else
        c->isa->load(from, dtype, n, to);
    if (cpu_padded(c, n) > n) ((float *)to)[n] = 0;
}

float cpu_quantize(const Cpu *c, const void *from, DType dtype, int64_t n, void *to)
{
    float some[PACK_CHUNK], peak = 0;
    const size_t each = dtype_bytes(dtype);
    const int64_t padded = cpu_padded(c, n);
    for (int64_t i = 0; i < n; i += PACK_CHUNK) {
        int64_t m = n - i < PACK_CHUNK ? n - i : PACK_CHUNK;
        c->isa->load((const char *)from + (size_t)i * each, dtype, m, some);
        const float here = c->isa->peak(some, m);
        if (!(here <= peak)) peak = here; /* a NaN stays */
    }
    const float times = peak > 0 ? 127 / peak : 0;
    for (int64_t i = 0; i < padded; i += PACK_CHUNK) {
        int64_t m = padded - i < PACK_CHUNK ? padded - i : PACK_CHUNK, there = n - i < m ? n - i : m;
        memset(some, 0, sizeof some);
        c->isa->load((const char *)from + (size_t)i * each, dtype, there, some);
        c->isa->quantize(some, m, times, (char *)to + (size_t)i * cpu_operand_bytes(c));
    }
    return peak / 127;
}

/* Columns of a weight on their way into a panel: numbers in the weight's form. */
typedef union {
    uint16_t half[PACK_CHUNK];
    int8_t whole[PACK_CHUNK];
} Packed;

static const void *packed(const Cpu *c, const float *row, int64_t m, float times, int32_t *sum, Packed *room)
{
    if (cpu_is_whole(c)) {
        for (int64_t i = 0; i < m; i++) *sum += room->whole[i] = (int8_t)lrintf(row[i] * times);
        return room->whole;
    }
    if (c->operand == OPERAND_FLOAT) return row;
    c->isa->store(row, m, BF16, room->half);
    return room->half;
}

/* `width` rows of k numbers, k_stride apart -> one panel; rows beyond `columns` are zero. scale, sum: [columns], of int8 only. */
static void pack_panel(const Cpu *c, const float *rows, int64_t k_stride, int64_t columns, int64_t k, char *panel,
                       float *scale, int32_t *sum)
{
    int width = columns <= c->isa->lanes ? c->isa->lanes : c->width;
    const int64_t step = 4 / (int64_t)cpu_weight_bytes(c); /* numbers in 32 bits */
    Packed room;
    for (int64_t n = 0; n < width; n++) {
        const bool there = n < columns;
        const float peak = there && scale ? c->isa->peak(rows + n * k_stride, k) : 0;
        int32_t all = 0;
        for (int64_t i = 0; i < k; i += PACK_CHUNK) {
            int64_t m = k - i < PACK_CHUNK ? k - i : PACK_CHUNK;
            const void *from =
                packed(c, there ? rows + n * k_stride + i : zeros, m, peak > 0 ? 127 / peak : 0, &all, &room);
            c->isa->spread(from, m / step, width, panel + (size_t)(i / step * width + n) * 4);
        }
        if (there && scale) scale[n] = peak / 127;
        if (there && scale) sum[n] = all;
    }
}

void cpu_panels_free(Backend *be, CpuPanels *p)
{
    if (!p->data) return;
    host_memory_free(be, p->data, p->bytes);
    backend_count(be, 0, p->bytes);
    free(p->scale);
    free(p->sum);
    *p = (CpuPanels){0};
}

/* number_bytes, columns and k are set. */
static Status panels_memory(Backend *be, const Cpu *c, CpuPanels *p)
{
    p->bytes = (size_t)(cpu_panel_count(c, p) * c->width * p->k) * p->number_bytes;
    if (!p->bytes) return status_fail(ERR_INPUT, "a weight of %lld x %lld", (long long)p->columns, (long long)p->k);
    TRY(host_memory_new(be, p->bytes, (void **)&p->data));
    backend_count(be, p->bytes, 0);
    return status_ok();
}

static Status new_scales(CpuPanels *p, int64_t columns)
{
    p->scale = calloc((size_t)columns, sizeof *p->scale);
    p->sum = calloc((size_t)columns, sizeof *p->sum);
    return p->scale && p->sum ? status_ok() : status_fail(ERR_NODE, "out of memory");
}

Status cpu_panels_new(Backend *be, const Cpu *c, int64_t columns, int64_t k, CpuColumn column, const void *source,
                      CpuPanels *out)
{
    int64_t padded = cpu_padded(c, k);
    CpuPanels p = {.columns = columns, .k = padded, .number_bytes = cpu_weight_bytes(c)};
    int64_t count = cpu_panel_count(c, &p);
    int threads = be->options.threads;
    size_t room = (size_t)(c->width * padded);
    float *rows = calloc((size_t)threads * room, sizeof *rows);
    Status status = rows ? status_ok() : status_fail(ERR_NODE, "out of memory");
    if (!failed(status) && cpu_is_whole(c)) status = new_scales(&p, count * c->width);
    if (!failed(status)) status = panels_memory(be, c, &p);
    if (failed(status)) {
        free(rows);
        free(p.scale);
        free(p.sum);
        return status;
    }
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++)
        for (int64_t panel = part; panel < count; panel += threads) {
            float *mine = rows + (size_t)part * room;
            int64_t first = panel * c->width, n = columns - first < c->width ? columns - first : c->width;
            for (int64_t i = 0; i < n; i++) column(source, first + i, mine + i * padded);
            pack_panel(c, mine, padded, n, padded, (char *)cpu_panel(c, &p, panel), p.scale ? p.scale + first : NULL,
                       p.sum ? p.sum + first : NULL);
        }
    free(rows);
    *out = p;
    return status;
}

/* One row of the weight -> one column of the panel, pairs of numbers; an odd k gets a zero. */
static void spread_e4m3(const uint8_t *row, int64_t k, int width, uint8_t *panel)
{
    for (int64_t i = 0; i < k / 2; i++) memcpy(panel + 2 * i * width, row + 2 * i, 2);
    if (k % 2) {
        panel[(k - 1) * width] = row[k - 1];
        panel[(k - 1) * width + 1] = 0;
    }
}

Status cpu_panels_e4m3(Backend *be, const Cpu *c, Tensor weight, float factor, CpuPanels *out)
{
    const int64_t columns = weight.dim[0], k = weight.dim[1];
    CpuPanels p = {.columns = columns, .k = (k + 1) / 2 * 2, .number_bytes = 1, .factor = factor};
    TRY(panels_memory(be, c, &p));
    const int64_t count = cpu_panel_count(c, &p);
#pragma omp parallel for schedule(static) num_threads(be->options.threads)
    for (int64_t panel = 0; panel < count; panel++) {
        uint8_t *to = (uint8_t *)(uintptr_t)cpu_panel(c, &p, panel);
        const int width = cpu_panel_narrow(c, &p, panel) ? c->isa->lanes : c->width;
        const int64_t first = panel * c->width, there = columns - first < width ? columns - first : width;
        if (there < width) memset(to, 0, (size_t)(width * p.k));
        for (int64_t n = 0; n < there; n++)
            spread_e4m3((const uint8_t *)weight.data + (first + n) * k, k, width, to + 2 * n);
    }
    *out = p;
    return status_ok();
}

/* The panel as the product takes it. */
static bool unpacks(const Cpu *c, const CpuPanels *b)
{
    return c->operand == OPERAND_ROUNDED || c->operand == OPERAND_WHOLE || b->factor != 0;
}

size_t cpu_unpack_bytes(const Cpu *c, const CpuPanels *b, int64_t k)
{
    const int64_t padded = (cpu_padded(c, k) + 1) / 2 * 2;
    return unpacks(c, b) ? (size_t)(padded * c->width) * (c->operand == OPERAND_PAIRS ? 2 : sizeof(float)) : 0;
}

void cpu_panel_product(const Cpu *c, const CpuPanels *b, int64_t panel, int64_t first, IsaProduct *p, float *room)
{
    p->narrow = cpu_panel_narrow(c, b, panel);
    int width = p->narrow ? c->isa->lanes : c->width;
    p->b = cpu_panel(c, b, panel) + (size_t)(first * width) * b->number_bytes;
    if (unpacks(c, b) && b->number_bytes < 4) {
        const int64_t numbers = p->segments * p->steps * cpu_step(c);
        if (b->factor != 0)
            c->isa->unpack_e4m3((const uint8_t *)p->b, (numbers + 1) / 2, width, b->factor,
                                c->operand == OPERAND_ROUNDED, room);
        else if (b->number_bytes == 2)
            c->isa->unpack((const uint16_t *)p->b, p->segments * p->steps / 2, width, room);
        else
            c->isa->unpack_quads((const int8_t *)p->b, p->segments * p->steps / 4, width, room);
        p->b = (const char *)room;
    }
    c->isa->product(p);
}
