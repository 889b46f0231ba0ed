#include "tiles.h"

#include <string.h>

enum { MOST_TILES = 12 /* to a side */ };

/* ---- geometry ---------------------------------------------------------------------------------------------------------------- */

static Tiles grid_of(const Vae *v, int64_t h, int64_t w, int rows, int columns)
{
    return (Tiles){.h = h, .w = w, .rows = rows, .columns = columns, .halo = vae_halo(v), .pace = vae_least_pace};
}

Box tiles_tile(const Tiles *t, int i)
{
    const int64_t row = i / t->columns, column = i % t->columns;
    const int64_t y = row * t->h / t->rows, x = column * t->w / t->columns;
    return (Box){y, x, (row + 1) * t->h / t->rows - y, (column + 1) * t->w / t->columns - x};
}

static void widen(int64_t *from, int64_t *count, int64_t halo, int64_t all)
{
    int64_t begin = (*from - halo) / 2 * 2, end = *from + *count + halo;
    if (*from < halo) begin = 0;
    if (end > all) end = all;
    *from = begin;
    *count = end - begin;
}

Box tiles_window(const Tiles *t, int i)
{
    Box b = tiles_tile(t, i);
    widen(&b.y, &b.h, t->halo, t->h);
    widen(&b.x, &b.w, t->halo, t->w);
    return b;
}

void tiles_cut(const float *frame, int64_t n, const Tiles *t, Box window, int scale, int64_t channels, float *out)
{
    const int64_t line = t->w * scale * channels, piece = window.w * scale * channels, lines = window.h * scale;
    for (int64_t f = 0; f < n; f++)
        for (int64_t y = 0; y < lines; y++, out += piece)
            memcpy(out, frame + (f * t->h * scale + window.y * scale + y) * line + window.x * scale * channels,
                   (size_t)piece * sizeof *out);
}

void tiles_paste(const float *window, const Tiles *t, Box from, Box tile, int64_t channels, float *frame)
{
    const float *corner = window + ((tile.y - from.y) * from.w + tile.x - from.x) * channels;
    for (int64_t y = 0; y < tile.h; y++)
        memcpy(frame + ((tile.y + y) * t->w + tile.x) * channels, corner + y * from.w * channels,
               (size_t)(tile.w * channels) * sizeof *frame);
}

/* ---- memory -------------------------------------------------------------------------------------------------------------------- */

enum { STEADY = 3 /* chunks until every history is there */ };

/* The first frames of a stream, of which nothing but their size is there. */
static void run_stream(Vae *v, Backend *be, VaeHalf half, const VaeConfig *c, VaePace pace, int64_t h, int64_t w)
{
    VaeStream *s = vae_begin(v, pace);
    for (int i = 0; i < STEADY; i++) {
        ArenaMark mark = backend_mark(be);
        const int64_t n = i ? c->scale_time : 1, latents = i ? pace.latents : 1;
        if (half == VAE_DECODER)
            vae_decode(s, backend_zeros(be, 4, (int64_t[]){latents, h, w, c->z_dim}));
        else
            vae_encode(s, backend_zeros(be, 4, (int64_t[]){n, h * c->scale_space, w * c->scale_space, 3}));
        backend_release(be, mark);
    }
    vae_end(&s);
}

void vae_measure(const VaeConfig *c, VaeHalf half, const BackendOptions *o, VaePace pace, int64_t h, int64_t w,
                 int64_t *weights, int64_t *work)
{
    BackendOptions planning = *o;
    Backend *be;
    *weights = *work = 0;
    planning.plan = true;
    if (failed(backend_open(&planning, &be))) return;
    Vae *v = vae_new(c, half);
    if (!failed(vae_load(v, NULL, be))) {
        *weights = (int64_t)backend_kept_bytes(be);
        run_stream(v, be, half, c, pace, h, w);
        *work = (int64_t)backend_peak_bytes(be) - *weights;
    }
    vae_free(&v);
    backend_close(&be);
}

/* The largest window's height and width, and the area of all. */
static int64_t windows_area(const Tiles *t, int64_t *h, int64_t *w)
{
    int64_t area = 0;
    *h = *w = 0;
    for (int i = 0; i < tiles_count(t); i++) {
        Box b = tiles_window(t, i);
        area += b.h * b.w;
        if (b.h > *h) *h = b.h;
        if (b.w > *w) *w = b.w;
    }
    return area;
}

typedef struct { /* what is to be tiled, and the back end that is planned for */
    const VaeConfig *c;
    VaeHalf half;
    const BackendOptions *o;
    const Vae *v;
    int64_t h, w;
} Frame;

/* The grid of the least work whose windows stay below the bound; false when none does, then *least is what the smallest take. */
static bool cheapest_grid(const Frame *f, int64_t bound_bytes, Tiles *out, int64_t *least)
{
    int64_t best_area = 0;
    *least = INT64_MAX;
    for (int rows = 1; rows <= MOST_TILES && rows <= f->h; rows++)
        for (int columns = 1; columns <= MOST_TILES && columns <= f->w; columns++) {
            const Tiles t = grid_of(f->v, f->h, f->w, rows, columns);
            int64_t tall, wide, weights, work, area = windows_area(&t, &tall, &wide);
            if (best_area && area >= best_area) continue;
            vae_measure(f->c, f->half, f->o, t.pace, tall, wide, &weights, &work);
            if (weights + work < *least) *least = weights + work;
            if (weights + work > bound_bytes) continue;
            *out = t;
            best_area = area;
        }
    return best_area > 0;
}

enum { MOST_LATENTS = 4, WIDE_SHARE = 4 /* the part of the bound that frames together may take */ };

/* cuDNN's tensors have less than 2^31 numbers. A piece is fp32, and a time convolution makes two numbers of each. */
static const int64_t most_piece_bytes = ((int64_t)4 << 30) - 4;

/* Of tiles, each latent frame comes from a file. */
static VaePace widest_pace(const Frame *f, const Tiles *t, int64_t bound_bytes)
{
    VaePace best = vae_least_pace, next = best;
    int64_t tall, wide, weights, work;
    if (f->o->kind != BACKEND_CUDA) return best;
    if (f->half == VAE_DECODER && tiles_count(t) == 1) next.latents = MOST_LATENTS;
    windows_area(t, &tall, &wide);
    for (work = INT64_MAX; best.piece_bytes < work; next.piece_bytes *= 2) { /* else nothing is in pieces any more */
        vae_measure(f->c, f->half, f->o, next, tall, wide, &weights, &work);
        if (weights + work > bound_bytes / WIDE_SHARE) break;
        best = next;
    }
    if (best.piece_bytes > most_piece_bytes) best.piece_bytes = most_piece_bytes;
    return best;
}

Tiles tiles_choose(const VaeConfig *c, VaeHalf half, const BackendOptions *o, int64_t h, int64_t w, int64_t bound_bytes)
{
    Vae *v = vae_new(c, half);
    const Frame f = {c, half, o, v, h, w};
    Tiles t = grid_of(v, h, w, 1, 1);
    int64_t least, ignored;
    if (!cheapest_grid(&f, bound_bytes, &t, &least)) cheapest_grid(&f, least + least / 10, &t, &ignored);
    t.pace = widest_pace(&f, &t, bound_bytes);
    vae_free(&v);
    return t;
}
