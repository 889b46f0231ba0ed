/* Operands and panels: how numbers are laid out for the product of isa.h. */
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

/* `width` rows of k numbers, k_stride apart -> one panel; rows beyond `columns` are zero. */
static void pack_panel(const Cpu *c, const float *rows, int64_t k_stride, int64_t columns, int64_t k, bool pairs,
                       char *panel)
{
    int width = columns <= c->isa->lanes ? c->isa->lanes : c->width;
    uint16_t half[PACK_CHUNK];
    for (int64_t n = 0; n < width; n++)
        for (int64_t i = 0; i < k; i += PACK_CHUNK) {
            int64_t m = k - i < PACK_CHUNK ? k - i : PACK_CHUNK;
            const float *row = n < columns ? rows + n * k_stride + i : zeros;
            if (pairs) c->isa->store(row, m, BF16, half);
            const void *from = pairs ? (const void *)half : (const void *)row;
            c->isa->spread(from, pairs ? m / 2 : m, width, panel + (size_t)((pairs ? i / 2 : i) * width + n) * 4);
        }
}

void cpu_panels_free(Backend *be, CpuPanels *p)
{
    if (!p->data) return;
    host_memory_free(be, p->data, p->bytes);
    backend_count(be, 0, p->bytes);
    p->data = NULL;
}

Status cpu_panels_new(Backend *be, const Cpu *c, int64_t columns, int64_t k, CpuColumn column, const void *source,
                      CpuPanels *out)
{
    bool pairs = c->operand != OPERAND_FLOAT;
    int64_t padded = pairs ? (k + 1) / 2 * 2 : k;
    CpuPanels p = {.columns = columns, .k = padded, .pairs = pairs};
    int64_t count = cpu_panel_count(c, &p);
    int threads = be->options.threads;
    p.bytes = (size_t)(count * c->width * padded) * (pairs ? 2 : 4);
    if (!p.bytes) return status_fail(ERR_INPUT, "a weight of %lld x %lld", (long long)columns, (long long)k);
    size_t room = (size_t)(c->width * padded);
    float *rows = calloc((size_t)threads * room, sizeof *rows);
    if (!rows) return status_fail(ERR_NODE, "out of memory");
    Status status = host_memory_new(be, p.bytes, (void **)&p.data);
    if (failed(status)) {
        free(rows);
        return status;
    }
    backend_count(be, p.bytes, 0);
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++)
        for (int64_t panel = part; panel < count; panel += threads) {
            float *mine = rows + (size_t)part * room;
            int64_t first = panel * c->width, n = columns - first < c->width ? columns - first : c->width;
            for (int64_t i = 0; i < n; i++) column(source, first + i, mine + i * padded);
            pack_panel(c, mine, padded, n, padded, pairs, (char *)cpu_panel(c, &p, panel));
        }
    free(rows);
    *out = p;
    return status;
}

size_t cpu_unpack_bytes(const Cpu *c, int64_t k)
{
    return c->operand == OPERAND_ROUNDED ? (size_t)((k + 1) / 2 * 2 * c->width) * sizeof(float) : 0;
}

void cpu_panel_product(const Cpu *c, const CpuPanels *b, int64_t panel, int64_t first, IsaProduct *p, float *room)
{
    p->narrow = cpu_panel_narrow(c, b, panel);
    int width = p->narrow ? c->isa->lanes : c->width;
    p->b = cpu_panel(c, b, panel) + (size_t)(first * width) * (b->pairs ? 2 : 4);
    if (c->operand == OPERAND_ROUNDED && b->pairs) {
        c->isa->unpack((const uint16_t *)p->b, p->segments * p->steps / 2, width, room);
        p->b = (const char *)room;
    }
    c->isa->product(p);
}
