/* watermark_read.c - finding a watermark and reading its bits. All pictures are summed on one field of half cells of the finest grid, whatever
 * their size; the search then scales the sum. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "worker/proof/pattern.h"
#include "worker/proof/spectrum.h"
#include "worker/proof/watermark.h"

enum { SIDE = SPECTRUM_SIDE, GRIDS = 2, CERTAIN_PICTURES = 8 };
static const int grid_cells[GRIDS] = {256, 128};
const double WATERMARK_LEAST_Z = 6.0, WATERMARK_LEAST_P = 1e-300;

struct WatermarkReader {
    uint8_t key[WATERMARK_KEY_BYTES];
    int width, height; /* of the first picture */
    int field_width, field_height;
    float *plain, *over, *power; /* one picture at the field's size; less its surroundings; its local strength */
    float *row;                  /* scratch for box sums */
    float *sum;                  /* [SIDE][SIDE], of all pictures */
    float *even;                 /* the same, each part weighted by how little it has of its own: what is searched */
    int pictures;
    Spectrum *spectrum;
    Pattern *pattern[GRIDS];
};

WatermarkReader *watermark_reader_new(const uint8_t key[WATERMARK_KEY_BYTES])
{
    WatermarkReader *r = memory_get(1, sizeof *r);
    memcpy(r->key, key, sizeof r->key);
    r->plain = memory_get((size_t)SIDE * SIDE, sizeof(float));
    r->over = memory_get((size_t)SIDE * SIDE, sizeof(float));
    r->power = memory_get((size_t)SIDE * SIDE, sizeof(float));
    r->sum = memory_get((size_t)SIDE * SIDE, sizeof(float));
    r->even = memory_get((size_t)SIDE * SIDE, sizeof(float));
    r->row = memory_get((size_t)SIDE * (SIDE + 1), sizeof(float));
    return r;
}

void watermark_reader_free(WatermarkReader **reader)
{
    WatermarkReader *r = *reader;
    if (!r) return;
    free(r->plain);
    free(r->over);
    free(r->power);
    free(r->sum);
    free(r->even);
    free(r->row);
    for (int i = 0; i < GRIDS; i++) free(r->pattern[i]);
    spectrum_free(&r->spectrum);
    free(r);
    *reader = NULL;
}

static const Pattern *pattern_of(WatermarkReader *r, int grid)
{
    if (!r->pattern[grid]) {
        r->pattern[grid] = memory_get(1, sizeof(Pattern));
        pattern_make(r->key, grid_cells[grid], r->pattern[grid]);
    }
    return r->pattern[grid];
}

/* ---- summing up ------------------------------------------------------------------------------------------------------------ */

/* The mean of the pixels that a point of the field covers; of one at least. */
static void reduce(WatermarkReader *r, const FilmPicture *p)
{
    for (int y = 0; y < r->field_height; y++) {
        const int y0 = y * p->height / r->field_height;
        int y1 = (y + 1) * p->height / r->field_height;
        if (y1 <= y0) y1 = y0 + 1;
        for (int x = 0; x < r->field_width; x++) {
            const int x0 = x * p->width / r->field_width;
            int x1 = (x + 1) * p->width / r->field_width, sum = 0;
            if (x1 <= x0) x1 = x0 + 1;
            for (int j = y0; j < y1; j++)
                for (int i = x0; i < x1; i++) sum += p->plane[0][(ptrdiff_t)j * p->stride[0] + i];
            r->plain[y * SIDE + x] = (float)sum / (float)((y1 - y0) * (x1 - x0));
        }
    }
}

static int clamp(int x, int last) { return x < 0 ? 0 : x > last ? last : x; }

/* Mean over (2 radius + 1)^2 points, fewer at the border. Sums along rows, then a sliding sum down the columns. */
static void box_mean(WatermarkReader *r, const float *from, float *to, int radius)
{
    const int w = r->field_width, h = r->field_height;
    for (int y = 0; y < h; y++) {
        float sum = 0, *row = r->row + y * SIDE;
        for (int x = 0; x < radius && x < w; x++) sum += from[y * SIDE + x];
        for (int x = 0; x < w; x++) {
            if (x + radius < w) sum += from[y * SIDE + x + radius];
            if (x - radius - 1 >= 0) sum -= from[y * SIDE + x - radius - 1];
            row[x] = sum / (float)(clamp(x + radius, w - 1) - clamp(x - radius, w - 1) + 1);
        }
    }
    float sum[SIDE] = {0};
    for (int y = 0; y < radius && y < h; y++)
        for (int x = 0; x < w; x++) sum[x] += r->row[y * SIDE + x];
    for (int y = 0; y < h; y++) {
        const float count = (float)(clamp(y + radius, h - 1) - clamp(y - radius, h - 1) + 1);
        if (y + radius < h)
            for (int x = 0; x < w; x++) sum[x] += r->row[(y + radius) * SIDE + x];
        if (y - radius - 1 >= 0)
            for (int x = 0; x < w; x++) sum[x] -= r->row[(y - radius - 1) * SIDE + x];
        for (int x = 0; x < w; x++) to[y * SIDE + x] = sum[x] / count;
    }
}

static void set_size(WatermarkReader *r, const FilmPicture *p)
{
    const int longer = p->width > p->height ? p->width : p->height;
    r->width = p->width;
    r->height = p->height;
    r->field_width = (int)lround((double)SIDE * p->width / longer);
    r->field_height = (int)lround((double)SIDE * p->height / longer);
    if (r->field_width < 1) r->field_width = 1;
    if (r->field_height < 1) r->field_height = 1;
}

Status watermark_reader_picture(WatermarkReader *r, const FilmPicture *p)
{
    if (!r->width) set_size(r, p);
    if (p->width != r->width || p->height != r->height)
        return status_fail(ERR_INPUT, "a picture of %dx%d after %dx%d", p->width, p->height, r->width, r->height);
    reduce(r, p);
    box_mean(r, r->plain, r->over, 3);
    for (int y = 0; y < r->field_height; y++)
        for (int x = 0; x < r->field_width; x++) {
            const int i = y * SIDE + x;
            r->over[i] = r->plain[i] - r->over[i];
            r->plain[i] = r->over[i] * r->over[i];
        }
    box_mean(r, r->plain, r->power, 5);
    for (int y = 0; y < r->field_height; y++)
        for (int x = 0; x < r->field_width; x++) {
            const int i = y * SIDE + x;
            const float strong = sqrtf(fmaxf(0, r->power[i])) + 0.4f, limit = 2.5f, value = r->over[i] / strong;
            r->sum[i] += value > limit ? limit : value < -limit ? -limit : value;
        }
    r->pictures++;
    return status_ok();
}

/* What does not move stays in the sum and disturbs the mark, here much and there little. Each point is divided by the mean square around it,
 * so that it counts as much as it is worth (the inverse of its noise). The weights do not know the key: chance is as before. */
static void even_out(WatermarkReader *r)
{
    enum { AROUND = 16 }; /* points: four cells of the coarser grid */
    double all = 0;
    for (int y = 0; y < r->field_height; y++)
        for (int x = 0; x < r->field_width; x++) {
            const int i = y * SIDE + x;
            r->plain[i] = r->sum[i] * r->sum[i];
            all += r->plain[i];
        }
    box_mean(r, r->plain, r->power, AROUND);
    const float least = (float)(0.01 * all / (r->field_width * r->field_height)) + 1e-12f;
    for (int y = 0; y < r->field_height; y++)
        for (int x = 0; x < r->field_width; x++) {
            const int i = y * SIDE + x;
            r->even[i] = r->sum[i] / (r->power[i] + least);
        }
}

/* ---- finding the pilot -------------------------------------------------------------------------------------------------------- */

typedef struct { /* a point (x, y) of the field lies at cell (x0 + x * step_x, y0 + y * step_y) of the grid */
    int grid;
    double x0, y0, step_x, step_y;
    double z;
} Place;

/* What the field holds at a cell's centre, between its points; false outside. */
static bool value_at(const WatermarkReader *r, const Place *p, int column, int row, float *out)
{
    const double x = (column + 0.5 - p->x0) / p->step_x - 0.5, y = (row + 0.5 - p->y0) / p->step_y - 0.5;
    const int ix = (int)floor(x), iy = (int)floor(y);
    if (ix < 0 || iy < 0 || ix + 1 >= r->field_width || iy + 1 >= r->field_height) return false;
    const float fx = (float)(x - ix), fy = (float)(y - iy), *q = r->even + iy * SIDE + ix;
    *out = (q[0] * (1 - fx) + q[1] * fx) * (1 - fy) + (q[SIDE] * (1 - fx) + q[SIDE + 1] * fx) * fy;
    return true;
}

/* Sigma of the pilot at a place. */
static double pilot_z(WatermarkReader *r, const Place *p)
{
    const Pattern *t = pattern_of(r, p->grid);
    double sum = 0, squares = 0;
    float v;
    for (int y = 0; y < t->cells; y++)
        for (int x = 0; x < t->cells; x++) {
            const int i = y * t->cells + x;
            if (t->part[i] != PATTERN_PILOT || !value_at(r, p, x, y, &v)) continue;
            sum += v * (float)t->sign[i];
            squares += (double)v * v;
        }
    return squares > 0 ? sum / sqrt(squares) : 0;
}

/* The sum, scaled so that a half cell of the grid is a point; zero around it. */
static void scale_field(const WatermarkReader *r, double step_x, double step_y, float *out)
{
    const int w = (int)(2 * step_x * r->field_width), h = (int)(2 * step_y * r->field_height);
    memset(out, 0, (size_t)SIDE * SIDE * sizeof *out);
    for (int y = 0; y < h && y < SIDE; y++)
        for (int x = 0; x < w && x < SIDE; x++) {
            const double fx = (x + 0.5) / (2 * step_x) - 0.5, fy = (y + 0.5) / (2 * step_y) - 0.5;
            const int ix = clamp((int)floor(fx), r->field_width - 2), iy = clamp((int)floor(fy), r->field_height - 2);
            const float ax = (float)(fx - ix), ay = (float)(fy - iy), *q = r->even + iy * SIDE + ix;
            out[y * SIDE + x] = (q[0] * (1 - ax) + q[1] * ax) * (1 - ay) + (q[SIDE] * (1 - ax) + q[SIDE + 1] * ax) * ay;
        }
}

static void pilot_field(const Pattern *t, float *out)
{
    memset(out, 0, (size_t)SIDE * SIDE * sizeof *out);
    for (int y = 0; y < 2 * t->cells; y++)
        for (int x = 0; x < 2 * t->cells; x++) {
            const int i = y / 2 * t->cells + x / 2;
            if (t->part[i] == PATTERN_PILOT) out[y * SIDE + x] = t->sign[i];
        }
}

/* Looks for one scale's best place: the field begins at cell (dx, dy) / 2. */
static void try_scale(WatermarkReader *r, int grid, double scale_x, double scale_y, const SpectrumPoint *pilot,
                      SpectrumPoint *field_spectrum, float *field, Place *best)
{
    const int longer = r->field_width > r->field_height ? r->field_width : r->field_height, cells = grid_cells[grid];
    const double step = (double)cells / longer;
    Place p = {grid, 0, 0, step * scale_x, step * scale_y, 0};
    scale_field(r, p.step_x, p.step_y, field);
    spectrum_forward(r->spectrum, field, field_spectrum);
    spectrum_correlate(r->spectrum, field_spectrum, pilot, field);
    const int room_x = (int)(2 * cells * (1 - scale_x) + 3), room_y = (int)(2 * cells * (1 - scale_y) + 3);
    int at_x = 0, at_y = 0;
    float most = -INFINITY;
    for (int dy = -2; dy <= room_y; dy++)
        for (int dx = -2; dx <= room_x; dx++) {
            const float c = field[(dy + SIDE) % SIDE * SIDE + (dx + SIDE) % SIDE];
            if (c <= most) continue;
            most = c;
            at_x = dx;
            at_y = dy;
        }
    p.x0 = at_x / 2.0;
    p.y0 = at_y / 2.0;
    p.z = pilot_z(r, &p);
    if (p.z > best->z) *best = p;
}

/* Steps of the scale and of the place, smaller and smaller, as long as the pilot gets clearer. Returns how many places it tried. */
static int refine(WatermarkReader *r, Place *best)
{
    double place = 0.5, scale = 0.002;
    int places = 0;
    for (int round = 0; round < 24; round++) {
        Place before = *best;
        for (int k = 0; k < 8; k++) {
            Place p = *best;
            const double sign = k % 2 ? 1 : -1;
            const double keep_x = p.x0 + p.step_x * r->field_width / 2, keep_y = p.y0 + p.step_y * r->field_height / 2;
            if (k / 2 == 0) p.x0 += sign * place;
            if (k / 2 == 1) p.y0 += sign * place;
            if (k / 2 == 2) { /* about the middle */
                p.step_x *= 1 + sign * scale;
                p.x0 = keep_x - p.step_x * r->field_width / 2;
            }
            if (k / 2 == 3) {
                p.step_y *= 1 + sign * scale;
                p.y0 = keep_y - p.step_y * r->field_height / 2;
            }
            p.z = pilot_z(r, &p);
            places++;
            if (p.z > best->z) *best = p;
        }
        if (best->z > before.z) continue;
        place /= 2;
        scale /= 2;
        if (place < 0.05) break;
    }
    return places;
}

/* ---- bits --------------------------------------------------------------------------------------------------------------------- */

static uint64_t read_bits(WatermarkReader *r, const Place *p)
{
    const Pattern *t = pattern_of(r, p->grid);
    double soft[CONVOLUTION_CODED] = {0};
    float v;
    for (int y = 0; y < t->cells; y++)
        for (int x = 0; x < t->cells; x++) {
            const int i = y * t->cells + x;
            if (t->part[i] != PATTERN_PILOT && value_at(r, p, x, y, &v)) soft[t->part[i]] += v * (float)t->sign[i];
        }
    return convolution_decode(soft);
}

/* Of at least k heads in 64 throws. */
static double binomial_tail(int k)
{
    double p = 0;
    for (int i = k; i <= WATERMARK_BITS; i++)
        p += exp(lgamma(WATERMARK_BITS + 1) - lgamma(i + 1) - lgamma(WATERMARK_BITS - i + 1) - WATERMARK_BITS * log(2));
    return p < 1 ? p : 1;
}

static void describe(const WatermarkReader *r, const Place *p, WatermarkReading *out)
{
    const int longer = r->field_width > r->field_height ? r->field_width : r->field_height;
    out->z = p->z;
    out->cells = grid_cells[p->grid];
    out->scale = p->step_x * longer / grid_cells[p->grid];
    out->x = p->x0;
    out->y = p->y0;
}

void watermark_reader_check(WatermarkReader *r, uint64_t expected, WatermarkReading *out)
{
    *out = (WatermarkReading){.p_value = 1};
    const int longer = r->field_width > r->field_height ? r->field_width : r->field_height;
    if (!r->pictures) return;
    even_out(r);
    for (int g = 0; g < GRIDS; g++) {
        Place p = {g, 0, 0, (double)grid_cells[g] / longer, (double)grid_cells[g] / longer, 0};
        p.z = pilot_z(r, &p);
        const uint64_t payload = read_bits(r, &p);
        const int agreeing = WATERMARK_BITS - __builtin_popcountll(payload ^ expected);
        if (agreeing <= out->agreeing) continue;
        describe(r, &p, out);
        out->payload = payload;
        out->agreeing = agreeing;
        out->bit_accuracy = agreeing / (double)WATERMARK_BITS;
        out->p_value = fmin(1, GRIDS * binomial_tail(agreeing));
        out->found = payload == expected;
    }
}

int watermark_reader_cells(WatermarkReader *r, float *values)
{
    const int longer = r->field_width > r->field_height ? r->field_width : r->field_height, cells = grid_cells[0];
    const Place p = {0, 0, 0, (double)cells / longer, (double)cells / longer, 0};
    int n = 0;
    even_out(r);
    for (int y = 0; y < cells; y++)
        for (int x = 0; x < cells; x++)
            if (value_at(r, &p, x, y, &values[n])) n++;
    return n;
}

/* Uncropped; cropped evenly, down to three quarters; cropped on two sides only. In steps of half a cell at the border. */
static double search_grid(WatermarkReader *r, int grid, Place *best)
{
    const double least_scale = 0.76, step = 1.0 / grid_cells[grid];
    SpectrumPoint *pilot = malloc((size_t)SIDE * SIDE * sizeof *pilot),
                  *field_spectrum = malloc((size_t)SIDE * SIDE * sizeof *pilot);
    float *field = malloc((size_t)SIDE * SIDE * sizeof *field);
    double places = 0;
    if (pilot && field_spectrum && field) {
        pilot_field(pattern_of(r, grid), field);
        spectrum_forward(r->spectrum, field, pilot);
        for (int i = 0; 1 - step * i > least_scale; i++) {
            const double scale = 1 - step * i, room = 2 * grid_cells[grid] * (1 - scale) + 6;
            try_scale(r, grid, scale, scale, pilot, field_spectrum, field, best);
            places += room * room;
            if (i == 0) continue;
            try_scale(r, grid, scale, 1, pilot, field_spectrum, field, best);
            try_scale(r, grid, 1, scale, pilot, field_spectrum, field, best);
            places += 12 * room;
            if (best->z > 3 * WATERMARK_LEAST_Z) break; /* no chance is as good */
        }
    }
    free(field);
    free(field_spectrum);
    free(pilot);
    return places;
}

void watermark_reader_search(WatermarkReader *r, WatermarkReading *out)
{
    Place best = {.z = -INFINITY};
    double places = 0;
    *out = (WatermarkReading){.p_value = 1};
    if (!r->pictures || (!r->spectrum && failed(spectrum_new(&r->spectrum)))) return;
    even_out(r);
    for (int g = 0; g < GRIDS && best.z <= 3 * WATERMARK_LEAST_Z; g++) places += search_grid(r, g, &best);
    if (best.z == -INFINITY) return;
    places += refine(r, &best);
    describe(r, &best, out);
    out->payload = read_bits(r, &best);
    out->found = best.z >= WATERMARK_LEAST_Z && watermark_is_payload(out->payload);
    out->places = places;
    out->agreeing = WATERMARK_BITS;
    out->bit_accuracy = 1;
    const double chance = fmin(1, places * erfc(best.z / sqrt(2)) / 2);
    out->p_value = fmax(WATERMARK_LEAST_P, chance / (watermark_is_payload(out->payload) ? 65536 : 1));
}

/* ---- a file --------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    WatermarkReader *reader;
    const uint64_t *expected;
    WatermarkReading *out;
} Reading;

/* Ends the reading by a failure of its own when enough was seen. */
static Status take(void *self, const FilmPicture *p)
{
    Reading *r = self;
    TRY(watermark_reader_picture(r->reader, p));
    if (!r->expected || r->reader->pictures % CERTAIN_PICTURES) return status_ok();
    watermark_reader_check(r->reader, *r->expected, r->out);
    return r->out->found && r->out->z > 2 * WATERMARK_LEAST_Z ? status_fail(ERR_STOP, "certain") : status_ok();
}

Status watermark_file(const char *path, const uint8_t key[WATERMARK_KEY_BYTES], const uint64_t *expected,
                      WatermarkReading *out)
{
    FilmInfo info;
    Reading r = {watermark_reader_new(key), expected, out};
    Status status = film_read_any(path, (FilmSink){&r, take, NULL}, &info);
    if (status.err == ERR_STOP)
        status = status_ok();
    else if (!failed(status) && expected)
        watermark_reader_check(r.reader, *expected, out);
    else if (!failed(status))
        watermark_reader_search(r.reader, out);
    watermark_reader_free(&r.reader);
    return status;
}
