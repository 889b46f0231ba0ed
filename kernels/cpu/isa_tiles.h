/* isa_tiles.h - the product on the tiles of AMX. Part of isa_kernels.h.
 *
 * Theory of operation. A tile is a register of 16 rows of 64 bytes. One instruction adds the product of a tile of A and a tile of B to
 * a tile of sums: 16 rows, 16 columns, 16 steps. Operands and panels lie in memory as tiles take them: rows of A a_stride apart, steps of a
 * panel one or two vectors apart. So nothing is packed for this set that is not packed for AVX-512.
 *
 * Tiles 0 to 3 hold sums of 32 rows and 32 columns, 4 and 5 hold A, 6 and 7 hold B:
 *
 *              6 7        Each is loaded once for two products. The four products of a step do not wait for one another.
 *            4 0 1
 *            5 2 3
 *
 * How many rows and bytes a tile has is a state of the thread (`tiles_shape`). Where rows or steps are left over, tiles are made smaller,
 * so that nothing is read or written outside of the operands. Loading a shape takes some 200 cycles and clears all tiles. So it
 * is loaded only where it differs from what the thread has, and what is left over comes last. A thread keeps its shape until it
 * ends; whoever else uses tiles in it, or a new process, is noticed.
 *
 * The steps of a sum are added in the order of k, 16 at a time, whatever the rows and PIECE_TILES: a row has the same bits beside
 * any others.
 *
 * The layer below is Intel's intrinsics. A file that is compiled without AMX has defined it before it includes this one (tests/ops). */
#include <assert.h>

enum {
    TILE = 16, /* rows of a tile, and 32-bit numbers of a row */
    /* of k between returns to the sums: these 32 KiB of the panel stay in the first-level cache (48 KiB) for all rows, for A passes by it */
    PIECE_TILES = 16,
};

#if defined(__AMX_TILE__)
#define TILE_SHAPE(from)           _tile_loadconfig(from)
#define TILE_SHAPE_NOW(to)         _tile_storeconfig(to)
#define TILE_ZERO(t)               _tile_zero(t)
#define TILE_LOAD(t, from, stride) _tile_loadd(t, from, stride)
/* for what this level of cache need not keep */
#define TILE_LOAD_ONCE(t, from, stride) _tile_stream_loadd(t, from, stride)
#define TILE_STORE(t, to, stride)       _tile_stored(t, to, stride)
#if QUADS
#define TILE_MULTIPLY(sums, a, b) _tile_dpbusd(sums, a, b)
#else
#define TILE_MULTIPLY(sums, a, b) _tile_dpbf16ps(sums, a, b)
#endif
#endif

/* gcc 12 does not say that the intrinsics read and write memory */
#define TILE_MEMORY_SEEN(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

typedef struct { /* as LDTILECFG reads it */
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16]; /* of a row */
    uint8_t rows[16];
} TileShape;

/* Tiles for `rows` rows (at most 32) of A and for `steps` steps. */
static void tiles_shape(int64_t rows, int64_t steps)
{
    const int64_t upper = rows < TILE ? rows : TILE;
    const uint8_t high[] = {(uint8_t)upper, (uint8_t)(rows - upper)}, deep = (uint8_t)steps;
    const uint16_t long_row = (uint16_t)(4 * steps);
    TileShape want = {.palette = 1}, now;
    for (int i = 0; i < 2; i++) {
        want.rows[2 * i] = want.rows[2 * i + 1] = want.rows[4 + i] = high[i]; /* sums, sums, A */
        want.bytes[2 * i] = want.bytes[2 * i + 1] = high[i] ? 4 * TILE : 0;
        want.bytes[4 + i] = high[i] ? long_row : 0;
        want.rows[6 + i] = deep;
        want.bytes[6 + i] = 4 * TILE;
    }
    TILE_MEMORY_SEEN(&now);
    TILE_SHAPE_NOW(&now);
    TILE_MEMORY_SEEN(&now);
    if (memcmp(&now, &want, sizeof now) == 0) return;
    TILE_MEMORY_SEEN(&want);
    TILE_SHAPE(&want);
}

typedef struct { /* of k: `tiles` tiles from step `step` on, in each of the segments [segment, end) */
    int segment, end;
    int64_t step, tiles;
    int ahead; /* lines of the next piece of the panel to fetch at each step, from `next` on */
    const char *next;
} TilePiece;

/* 32 rows, or as many as the shape has, from `row` on; two: more than 16 of them; wide: two vectors of columns */
INLINE void tiles_block(const IsaProduct *p, TilePiece *k, int64_t row, bool add, const bool two, const bool wide)
{
    const int64_t stride = p->a_stride, b_stride = 4 * LANES * (wide ? 2 : 1), c_stride = 4 * p->c_stride;
    float *const c = p->c + row * p->c_stride, *const lower = c + TILE * p->c_stride;
    const char *next = k->next;
    if (add) {
        TILE_LOAD(0, c, c_stride);
        if (wide) TILE_LOAD(1, c + TILE, c_stride);
        if (two) TILE_LOAD(2, lower, c_stride);
        if (two && wide) TILE_LOAD(3, lower + TILE, c_stride);
    } else {
        TILE_ZERO(0);
        if (wide) TILE_ZERO(1);
        if (two) TILE_ZERO(2);
        if (two && wide) TILE_ZERO(3);
    }
    for (int s = k->segment; s < k->end; s++) {
        const char *a = p->a + row * stride + p->segment[s] + 4 * k->step;
        const char *b = p->b + (s * p->steps + k->step) * b_stride;
        for (int64_t i = 0; i < k->tiles; i++, a += 4 * TILE, b += TILE * b_stride) {
            TILE_LOAD(6, b, b_stride);
            TILE_LOAD_ONCE(4, a, stride);
            if (wide) TILE_LOAD(7, b + 4 * LANES, b_stride);
            if (two) TILE_LOAD_ONCE(5, a + TILE * stride, stride);
            for (int line = 0; line < k->ahead; line++, next += 64) __builtin_prefetch(next, 0, 2);
            TILE_MULTIPLY(0, 4, 6);
            if (wide) TILE_MULTIPLY(1, 4, 7);
            if (two) TILE_MULTIPLY(2, 5, 6);
            if (two && wide) TILE_MULTIPLY(3, 5, 7);
        }
    }
    k->next = next;
    TILE_STORE(0, c, c_stride);
    if (wide) TILE_STORE(1, c + TILE, c_stride);
    if (two) TILE_STORE(2, lower, c_stride);
    if (two && wide) TILE_STORE(3, lower + TILE, c_stride);
}

/* All rows of [row, end), `high` of them (at most 32) at a time. Meanwhile what follows this piece in memory, the next piece of this panel
 * or of the next one, comes into the second-level cache: each step of each block of rows asks for its share of lines. */
static void tiles_piece(const IsaProduct *p, TilePiece *k, int64_t row, int64_t end, int64_t high, bool add)
{
    const int64_t blocks = (end - row + high - 1) / high, tile_lines = p->narrow ? TILE : 2 * TILE;
    k->ahead = (int)((tile_lines + blocks - 1) / blocks);
    k->next = p->b + (k->segment * p->steps + k->step + (k->end - k->segment) * k->tiles * TILE) * 4 * LANES *
                         (p->narrow ? 1 : 2);
    for (; row < end; row += high) {
        if (high > TILE && !p->narrow)
            tiles_block(p, k, row, add, true, true);
        else if (high > TILE)
            tiles_block(p, k, row, add, true, false);
        else if (!p->narrow)
            tiles_block(p, k, row, add, false, true);
        else
            tiles_block(p, k, row, add, false, false);
    }
}

static void tiles_rows(const IsaProduct *p, int64_t row, int64_t end, int64_t high)
{
    const int64_t tiles = p->steps / TILE, rest = p->steps % TILE;
    const int together = tiles && tiles < PIECE_TILES ? (int)(PIECE_TILES / tiles) : 1; /* segments in a piece */
    bool add = p->add;
    if (row == end) return;
    if (tiles) tiles_shape(high, TILE);
    for (int s = 0; s < p->segments; s += together)
        for (int64_t i = 0; i < tiles; i += PIECE_TILES, add = true) {
            TilePiece k = {.segment = s,
                           .end = s + together < p->segments ? s + together : p->segments,
                           .step = i * TILE,
                           .tiles = tiles - i < PIECE_TILES ? tiles - i : PIECE_TILES};
            tiles_piece(p, &k, row, end, high, add);
        }
    if (!rest) return;
    tiles_shape(high, rest);
    tiles_piece(p, &(TilePiece){.end = p->segments, .step = tiles * TILE, .tiles = 1}, row, end, high, add);
}

static void product(const IsaProduct *p)
{
    const int64_t whole = p->rows / TILE_ROWS * TILE_ROWS;
    assert(p->steps > 0 && p->segments > 0);
    TILE_MEMORY_SEEN(p);
    tiles_rows(p, 0, whole, TILE_ROWS);
    tiles_rows(p, whole, p->rows, p->rows - whole);
    TILE_MEMORY_SEEN(p);
}
