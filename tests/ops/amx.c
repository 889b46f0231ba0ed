#pragma GCC target("avx2,fma")
#include "tests/ops/amx.h"

#include <immintrin.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TILES = 8,
    ROWS = 16,
    ROW_BYTES = 64,
    COLUMNS = 16,
    FLUSHED = 0x9fc0 /* MXCSR: nearest, DAZ, FTZ, nothing raised */
};

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} Shape;

typedef union {
    uint8_t byte[ROW_BYTES];
    uint32_t word[COLUMNS];
    float number[COLUMNS];
} Row;

static _Thread_local struct {
    Shape shape;
    Row tile[TILES][ROWS];
} amx;

static void demand(bool fine, const char *instruction, const char *what)
{
    if (fine) return;
    fprintf(stderr, "amx.c: %s: a processor refuses %s\n", instruction, what);
    abort();
}

void amx_load_shape(const void *from)
{
    Shape s;
    memcpy(&s, from, sizeof s);
    demand(s.palette <= 1, "LDTILECFG", "this palette");
    bool clear = s.start_row == 0;
    for (size_t i = 0; i < sizeof s.reserved; i++) clear = clear && s.reserved[i] == 0;
    for (int t = TILES; t < 16; t++) clear = clear && s.bytes[t] == 0 && s.rows[t] == 0;
    demand(clear || s.palette == 0, "LDTILECFG", "what is reserved and not zero");
    for (int t = 0; t < TILES && s.palette; t++)
        demand(s.bytes[t] <= ROW_BYTES && s.rows[t] <= ROWS && (s.bytes[t] == 0) == (s.rows[t] == 0), "LDTILECFG",
               "these rows and bytes");
    memset(&amx, 0, sizeof amx);
    if (s.palette) amx.shape = s;
}

void amx_store_shape(void *to) { memcpy(to, &amx.shape, sizeof amx.shape); }

void amx_release(void) { memset(&amx, 0, sizeof amx); }

static void demand_tile(int t, const char *instruction)
{
    demand(t >= 0 && t < TILES && amx.shape.palette == 1 && amx.shape.rows[t], instruction, "a tile without a shape");
    demand(amx.shape.bytes[t] % 4 == 0, instruction, "rows that are not whole words");
}

void amx_zero(int t)
{
    demand_tile(t, "TILEZERO");
    memset(amx.tile[t], 0, sizeof amx.tile[t]);
}

void amx_load(int t, const void *from, int64_t stride)
{
    demand_tile(t, "TILELOADD");
    memset(amx.tile[t], 0, sizeof amx.tile[t]);
    for (int r = 0; r < amx.shape.rows[t]; r++)
        memcpy(amx.tile[t][r].byte, (const char *)from + r * stride, amx.shape.bytes[t]);
}

void amx_store(int t, void *to, int64_t stride)
{
    demand_tile(t, "TILESTORED");
    for (int r = 0; r < amx.shape.rows[t]; r++)
        memcpy((char *)to + r * stride, amx.tile[t][r].byte, amx.shape.bytes[t]);
}

static void demand_product(int sums, int a, int b, const char *instruction)
{
    const Shape *s = &amx.shape;
    demand_tile(sums, instruction);
    demand_tile(a, instruction);
    demand_tile(b, instruction);
    demand(sums != a && a != b && sums != b, instruction, "one tile in two places");
    demand(s->bytes[sums] == s->bytes[b] && s->rows[sums] == s->rows[a] && s->bytes[a] / 4 == s->rows[b], instruction,
           "tiles that do not fit together");
}

static float upper(uint32_t pair)
{
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128((int)(pair & 0xffff0000))));
}
static float lower(uint32_t pair) { return upper(pair << 16); }

/* One row of sums: those of even and of odd k apart, each a chain of fused products; then both together, then the tile's own. */
static void bf16_row(Row *sums, const Row *a, const Row *b, int steps)
{
    float even[COLUMNS] = {0}, odd[COLUMNS] = {0};
    for (int k = 0; k < steps; k++) {
        const float a_even = lower(a->word[k]), a_odd = upper(a->word[k]);
        for (int n = 0; n < COLUMNS; n++) {
            even[n] = fmaf(a_even, lower(b[k].word[n]), even[n]);
            odd[n] = fmaf(a_odd, upper(b[k].word[n]), odd[n]);
        }
    }
    for (int n = 0; n < COLUMNS; n++) sums->number[n] += even[n] + odd[n];
}

/* Rows and columns outside of the shape are zero and stay so, for they begin as zero and what multiplies them is zero or a number: but for a
 * NaN or an infinity, so they are cleared. */
static void clear_outside(int t)
{
    for (int r = 0; r < ROWS; r++) {
        const size_t there = r < amx.shape.rows[t] ? amx.shape.bytes[t] : 0;
        memset(amx.tile[t][r].byte + there, 0, ROW_BYTES - there);
    }
}

void amx_dpbf16ps(int sums, int a, int b)
{
    demand_product(sums, a, b, "TDPBF16PS");
    const unsigned before = _mm_getcsr();
    _mm_setcsr(FLUSHED);
    for (int m = 0; m < amx.shape.rows[a]; m++) {
        __asm__ volatile("" : : : "memory"); /* or the compiler moves products to where subnormals count */
        bf16_row(&amx.tile[sums][m], &amx.tile[a][m], amx.tile[b], amx.shape.rows[b]);
        __asm__ volatile("" : : : "memory");
    }
    _mm_setcsr(before);
    clear_outside(sums);
}

void amx_dpbusd(int sums, int a, int b)
{
    demand_product(sums, a, b, "TDPBUSD");
    for (int m = 0; m < amx.shape.rows[a]; m++)
        for (int k = 0; k < amx.shape.rows[b]; k++)
            for (int n = 0; n < COLUMNS; n++) {
                int32_t sum = 0;
                for (int i = 0; i < 4; i++)
                    sum += amx.tile[a][m].byte[4 * k + i] * (int8_t)amx.tile[b][k].byte[4 * n + i];
                amx.tile[sums][m].word[n] += (uint32_t)sum;
            }
    clear_outside(sums);
}
