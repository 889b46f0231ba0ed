#include "pdq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/order.h"

enum { SIDE = 64, BASIS = 16, PASSES = 2 };

/* Mean over a sliding window of n values, `step` apart; at the ends the window is cut. The reference's windows lean to the left. */
static void slide(const float *from, float *to, int n, int step, int window)
{
    const int half = (window + 2) / 2;
    double sum = 0;
    int inside = 0;
    for (int i = -(half - 1); i < n; i++) {
        const int in = i + half - 1, out = in - window;
        if (in < n) sum += from[(ptrdiff_t)in * step], inside++;
        if (out >= 0) sum -= from[(ptrdiff_t)out * step], inside--;
        if (i >= 0) to[(ptrdiff_t)i * step] = (float)(sum / inside);
    }
}

static int window_of(int side)
{
    const int w = (side + 2 * SIDE - 1) / (2 * SIDE);
    return w < 1 ? 1 : w;
}

static void smooth(float *luma, float *other, int width, int height)
{
    for (int pass = 0; pass < PASSES; pass++) {
        for (int y = 0; y < height; y++)
            slide(luma + (ptrdiff_t)y * width, other + (ptrdiff_t)y * width, width, 1, window_of(width));
        for (int x = 0; x < width; x++) slide(other + x, luma + x, height, width, window_of(height));
    }
}

static int quality_of(const float small[SIDE][SIDE])
{
    int sum = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            if (y + 1 < SIDE) sum += abs((int)((small[y][x] - small[y + 1][x]) * 100 / 255));
            if (x + 1 < SIDE) sum += abs((int)((small[y][x] - small[y][x + 1]) * 100 / 255));
        }
    return sum / 90 > 100 ? 100 : sum / 90;
}

/* The 16x16 lowest frequencies but the first row and column: D A D^T. */
static void transform(const float small[SIDE][SIDE], float out[BASIS][BASIS])
{
    float basis[BASIS][SIDE], rows[BASIS][SIDE];
    for (int i = 0; i < BASIS; i++)
        for (int k = 0; k < SIDE; k++)
            basis[i][k] = (float)(sqrt(2.0 / SIDE) * cos(M_PI / 2 / SIDE * (i + 1) * (2 * k + 1)));
    for (int i = 0; i < BASIS; i++)
        for (int x = 0; x < SIDE; x++) {
            float sum = 0;
            for (int k = 0; k < SIDE; k++) sum += basis[i][k] * small[k][x];
            rows[i][x] = sum;
        }
    for (int i = 0; i < BASIS; i++)
        for (int j = 0; j < BASIS; j++) {
            float sum = 0;
            for (int k = 0; k < SIDE; k++) sum += rows[i][k] * basis[j][k];
            out[i][j] = sum;
        }
}

int pdq_hash(float *luma, int width, int height, Pdq *out)
{
    float small[SIDE][SIDE], wave[BASIS][BASIS], sorted[BASIS * BASIS];
    float *other = memory_get((size_t)width * (size_t)height, sizeof *other);
    smooth(luma, other, width, height);
    free(other);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            small[y][x] = luma[(ptrdiff_t)((y + 0.5) * height / SIDE) * width + (ptrdiff_t)((x + 0.5) * width / SIDE)];
    transform((const float(*)[SIDE])small, wave);
    memcpy(sorted, wave, sizeof sorted);
    qsort(sorted, BASIS * BASIS, sizeof *sorted, order_floats);
    const float median = sorted[BASIS * BASIS / 2 - 1];
    *out = (Pdq){{0}};
    for (int k = 0; k < BASIS * BASIS; k++)
        if (wave[k / BASIS][k % BASIS] > median) out->byte[PDQ_BYTES - 1 - k / 8] |= (uint8_t)(1 << k % 8);
    return quality_of((const float(*)[SIDE])small);
}
