/* softmax(scale q k^T + bias) v by blocks: for a tile of queries of one head the scores of one block of keys are made,
 * turned into numerators with a running maximum and sum (Milakov and Gimelshein 2018, "Online normalizer calculation for
 * softmax"), and multiplied into the output, which is rescaled where the maximum has grown. Scores exist for one tile and
 * one block only. Keys and values are packed into panels once per call. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "kernels/cpu/cpu.h"

enum {
    TILES_PER_BLOCK = 16, /* queries of a tile: 96 (AVX2) or 224 */
    KEY_BLOCK = 256       /* scores, keys and values of a block share the second-level cache */
};

typedef struct {
    const Cpu *c;
    Tensor q, k, v, bias, out;
    int64_t heads, d, tq, tk;
    float scale;
    int64_t steps;        /* of the scores' products */
    size_t query_bytes;   /* of a query's operands, and of a key's */
    int64_t key_panels;   /* keys / width, rounded up */
    int64_t value_panels; /* d / width, rounded up */
    int64_t tk_padded;    /* keys in whole blocks of panels */
    char *keys;           /* [heads][key_panels][d][width] */
    char *values;         /* [heads][value_panels][tk_padded][width, or one vector where that is enough] */
    size_t key_panel_bytes, value_panel_bytes;
} Attention;

typedef struct { /* one thread's scratch */
    float *rows; /* two rows, padded: before packing */
    char *queries;
    float *scores;
    char *numerators; /* [queries][KEY_BLOCK] as operands */
    float *out;       /* [queries][value_panels * width] */
    IsaSoftmax *state;
} AttentionRoom;

/* Tiles of AMX that are not whole are other shapes of tiles, and each change of shape costs as much as a whole tile or more: so steps
 * and rows that are left over are filled up, with zeros. Sums in registers take any number. */
static int64_t attention_steps(const Cpu *c, int64_t k)
{
    return (cpu_steps(c, k) + c->isa->steps - 1) / c->isa->steps * c->isa->steps;
}

static int64_t attention_rows(const Cpu *c, int64_t n)
{
    return c->isa->steps > 1 ? (n + c->isa->tile_rows - 1) / c->isa->tile_rows * c->isa->tile_rows : n;
}

/* Bytes of a row of k operands in as many steps. */
static size_t attention_bytes(const Cpu *c, int64_t k)
{
    return (size_t)(attention_steps(c, k) * cpu_step(c)) * cpu_operand_bytes(c);
}

/* k numbers as operands, and zeros behind them up to `bytes`. */
static void attention_operands(const Cpu *c, const void *from, DType dtype, int64_t k, size_t bytes, char *to)
{
    const size_t used = (size_t)cpu_padded(c, k) * cpu_operand_bytes(c);
    cpu_operands(c, from, dtype, k, to);
    if (used < bytes) memset(to + used, 0, bytes - used);
}

static const char *attention_row(Tensor t, int64_t row, const Attention *a, int64_t head)
{
    return (const char *)t.data + (size_t)(row * a->heads * a->d + head * a->d) * dtype_bytes(t.dtype);
}

/* Panel `panel` of the head's keys: column = key, k = d. */
static void attention_pack_keys(const Attention *a, int64_t head, int64_t panel, float *row)
{
    const Cpu *c = a->c;
    int64_t first = panel * c->width;
    char *to = a->keys + (size_t)(head * a->key_panels + panel) * a->key_panel_bytes;
    for (int64_t i = 0; i < c->width; i++) {
        if (first + i < a->tk)
            attention_operands(c, attention_row(a->k, first + i, a, head), a->k.dtype, a->d, a->query_bytes,
                               (char *)row);
        else
            memset(row, 0, a->query_bytes);
        c->isa->spread(row, a->steps, c->width, to + 4 * i);
    }
}

/* One value of the head as operands, zeros up to whole panels and beyond the last key. */
static void attention_value(const Attention *a, int64_t head, int64_t key, char *row)
{
    const Cpu *c = a->c;
    size_t operand = cpu_operand_bytes(c), used = key < a->tk ? (size_t)cpu_padded(c, a->d) * operand : 0;
    if (used) cpu_operands(c, attention_row(a->v, key, a, head), a->v.dtype, a->d, row);
    memset(row + used, 0, (size_t)(a->value_panels * c->width) * operand - used);
}

/* The last panel of a head of 48 numbers holds 16: one vector. */
static bool attention_narrow(const Attention *a, int64_t panel)
{
    return a->d - panel * a->c->width <= a->c->isa->lanes;
}

static int64_t attention_value_width(const Attention *a, int64_t panel)
{
    return attention_narrow(a, panel) ? a->c->isa->lanes : a->c->width;
}

/* Values of the block of keys from `first` on: column = d, k = key. */
static void attention_pack_values(const Attention *a, int64_t head, int64_t first, char *rows)
{
    const Cpu *c = a->c;
    int64_t end = a->tk_padded - first < KEY_BLOCK ? a->tk_padded : first + KEY_BLOCK;
    size_t operand = cpu_operand_bytes(c), row = (size_t)(a->value_panels * c->width) * operand;
    for (int64_t i = first; i < end; i += 2) {
        attention_value(a, head, i, rows);
        attention_value(a, head, i + 1, rows + row);
        for (int64_t p = 0; p < a->value_panels; p++) {
            const char *even = rows + (size_t)(p * c->width) * operand, *odd = even + row;
            const size_t wide = (size_t)attention_value_width(a, p);
            char *to =
                a->values + (size_t)(head * a->value_panels + p) * a->value_panel_bytes + (size_t)i * wide * operand;
            if (c->operand == OPERAND_PAIRS) {
                c->isa->interleave((const uint16_t *)even, (const uint16_t *)odd, (int64_t)wide, (uint16_t *)to);
                continue;
            }
            memcpy(to, even, wide * 4);
            memcpy(to + wide * 4, odd, wide * 4);
        }
    }
}

/* Scores of n queries and the block's keys -> numerators, in room->numerators or in place. */
static void attention_numerators(const Attention *a, int64_t head, int64_t query, int64_t n, int64_t key, int64_t keys,
                                 const AttentionRoom *room)
{
    const Cpu *c = a->c;
    const float *bias = a->bias.data;
    int64_t bias_row = a->bias.ndim == 3 ? a->tk : 0, out_width = a->value_panels * c->width;
    const size_t bytes = attention_bytes(c, keys);
    if (bias) bias += (a->bias.ndim == 3 ? (head * a->tq + query) * a->tk : 0) + key;
    for (int64_t i = 0; i < n; i++) {
        float *s = room->scores + i * KEY_BLOCK;
        c->isa->softmax(s, keys, a->scale, bias ? bias + i * bias_row : NULL, &room->state[i]);
        if (c->operand != OPERAND_FLOAT)
            attention_operands(c, s, F32, keys, bytes,
                               room->numerators + (size_t)(i * KEY_BLOCK) * cpu_operand_bytes(c));
        if (key && room->state[i].factor != 1)
            c->isa->scale(room->out + i * out_width, out_width, room->state[i].factor);
    }
}

/* Keys [key, key + keys) for n queries, of which the first is `query`. */
static void attention_block(const Attention *a, int64_t head, int64_t query, int64_t n, int64_t key, int64_t keys,
                            const AttentionRoom *room)
{
    const Cpu *c = a->c;
    int64_t zero = 0, operand = (int64_t)cpu_operand_bytes(c), out_width = a->value_panels * c->width;
    IsaProduct scores = {.a = room->queries,
                         .a_stride = (int64_t)a->query_bytes,
                         .segment = &zero,
                         .segments = 1,
                         .steps = a->steps,
                         .c_stride = KEY_BLOCK,
                         .rows = attention_rows(c, n)};
    for (int64_t i = 0; i < keys; i += c->width) {
        scores.b = a->keys + (size_t)(head * a->key_panels + (key + i) / c->width) * a->key_panel_bytes;
        scores.c = room->scores + i;
        c->isa->product(&scores);
    }
    attention_numerators(a, head, query, n, key, keys, room);
    IsaProduct sums = {.a = c->operand == OPERAND_FLOAT ? (const char *)room->scores : room->numerators,
                       .a_stride = KEY_BLOCK * operand,
                       .segment = &zero,
                       .segments = 1,
                       .steps = attention_steps(c, keys),
                       .c_stride = out_width,
                       .rows = attention_rows(c, n),
                       .add = key > 0};
    for (int64_t p = 0; p < a->value_panels; p++) {
        sums.narrow = attention_narrow(a, p);
        sums.b = a->values + (size_t)(head * a->value_panels + p) * a->value_panel_bytes +
                 (size_t)(key * attention_value_width(a, p) * operand);
        sums.c = room->out + p * c->width;
        c->isa->product(&sums);
    }
}

static void attention_tile(const Attention *a, int64_t head, int64_t query, int64_t n, const AttentionRoom *room)
{
    const Cpu *c = a->c;
    size_t block_bytes = KEY_BLOCK * cpu_operand_bytes(c);
    int64_t out_width = a->value_panels * c->width, more = attention_rows(c, n) - n;
    for (int64_t i = 0; i < n; i++) {
        attention_operands(c, attention_row(a->q, query + i, a, head), a->q.dtype, a->d, a->query_bytes,
                           room->queries + (size_t)i * a->query_bytes);
        room->state[i] = (IsaSoftmax){.highest = -INFINITY};
    }
    if (more) {
        memset(room->queries + (size_t)n * a->query_bytes, 0, (size_t)more * a->query_bytes);
        memset(room->numerators + (size_t)n * block_bytes, 0, (size_t)more * block_bytes);
    }
    for (int64_t key = 0; key < a->tk; key += KEY_BLOCK)
        attention_block(a, head, query, n, key, a->tk - key < KEY_BLOCK ? a->tk - key : KEY_BLOCK, room);
    for (int64_t i = 0; i < n; i++) {
        float *row = room->out + i * out_width;
        c->isa->scale(row, a->d, 1 / room->state[i].sum);
        c->isa->store(row, a->d, a->out.dtype, (char *)attention_row(a->out, query + i, a, head));
    }
}

/* One thread's share: first the packing of all keys and values, then, when every thread has done that, the tiles. */
static void attention_part(const Attention *a, int part, int threads, int64_t tile, const AttentionRoom *room)
{
    int64_t key_jobs = a->heads * a->key_panels, value_blocks = (a->tk_padded + KEY_BLOCK - 1) / KEY_BLOCK;
    for (int64_t i = part; i < key_jobs; i += threads)
        attention_pack_keys(a, i / a->key_panels, i % a->key_panels, room->rows);
    for (int64_t i = part; i < a->heads * value_blocks; i += threads)
        attention_pack_values(a, i / value_blocks, i % value_blocks * KEY_BLOCK, (char *)room->rows);
#pragma omp barrier
    int64_t tiles = (a->tq + tile - 1) / tile;
    for (int64_t i = part; i < a->heads * tiles; i += threads) {
        int64_t query = i % tiles * tile;
        attention_tile(a, i / tiles, query, a->tq - query < tile ? a->tq - query : tile, room);
    }
}

/* Scratch of one thread, one piece after the other; with base NULL only *bytes is set. */
static AttentionRoom attention_room(const Attention *a, int64_t tile, char *base, size_t *bytes)
{
    const Cpu *c = a->c;
    size_t size[] = {(size_t)(2 * (a->value_panels + 1) * c->width) * 4,
                     (size_t)tile * a->query_bytes,
                     (size_t)(tile * KEY_BLOCK) * 4,
                     c->operand == OPERAND_FLOAT ? 0 : (size_t)(tile * KEY_BLOCK) * cpu_operand_bytes(c),
                     (size_t)(tile * a->value_panels * c->width) * 4,
                     (size_t)tile * sizeof(IsaSoftmax)};
    char *at[6];
    *bytes = 0;
    for (int i = 0; i < 6; i++) {
        at[i] = base ? base + *bytes : NULL;
        *bytes += (size[i] + 63) / 64 * 64;
    }
    return (AttentionRoom){(float *)at[0], at[1], (float *)at[2], at[3], (float *)at[4], (IsaSoftmax *)at[5]};
}

static char *attention_take(Backend *be, int64_t count, size_t bytes)
{
    return backend_alloc(be, F32, 2, (int64_t[]){count, (int64_t)((bytes + 3) / 4)}).data;
}

Status cpu_attention(Backend *be, Tensor q, Tensor k, Tensor v, int heads, float scale, Tensor bias, Tensor out)
{
    const Cpu *c = cpu_of(be);
    int threads = be->options.threads;
    Attention a = {.c = c, .q = q, .k = k, .v = v, .bias = bias, .out = out, .heads = heads, .d = q.dim[1] / heads};
    a.tq = q.dim[0];
    a.tk = k.dim[0];
    a.scale = scale;
    a.key_panels = (a.tk + c->width - 1) / c->width;
    a.value_panels = (a.d + c->width - 1) / c->width;
    a.tk_padded = a.key_panels * c->width;
    a.steps = attention_steps(c, a.d);
    a.query_bytes = attention_bytes(c, a.d);
    a.key_panel_bytes = a.query_bytes * (size_t)c->width;
    a.value_panel_bytes = (size_t)(a.tk_padded * c->width) * cpu_operand_bytes(c);
    a.keys = attention_take(be, heads * a.key_panels, a.key_panel_bytes);
    a.values = attention_take(be, heads * a.value_panels, a.value_panel_bytes);
    int64_t step = c->isa->tile_rows, tiles = (a.tq + step * TILES_PER_BLOCK - 1) / (step * TILES_PER_BLOCK);
    int64_t tile = tiles ? ((a.tq + tiles - 1) / tiles + step - 1) / step * step : step;
    size_t each;
    attention_room(&a, tile, NULL, &each);
    char *scratch = attention_take(be, threads, each);
    if (failed(be->first)) return be->first;
#pragma omp parallel num_threads(threads)
    {
        int part = omp_get_thread_num();
        size_t bytes;
        AttentionRoom room = attention_room(&a, tile, scratch + (size_t)part * each, &bytes);
        attention_part(&a, part, omp_get_num_threads(), tile, &room);
    }
    return status_ok();
}
