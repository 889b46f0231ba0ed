#include "spectrum.h"

#include <stdlib.h>
#include <string.h>

#include <libavutil/mem.h>
#include <libavutil/tx.h>

#include "common/file.h"

enum { SIDE = SPECTRUM_SIDE };

struct Spectrum {
    AVTXContext *there, *back;
    av_tx_fn go, come;
    AVComplexFloat *line, *to, *field;
};

Status spectrum_new(Spectrum **out)
{
    Spectrum *s = *out = memory_get(1, sizeof *s);
    const float one = 1;
    s->line = av_malloc(8 * SIDE * sizeof *s->line);
    s->to = av_malloc(8 * SIDE * sizeof *s->to);
    s->field = av_malloc((size_t)SIDE * SIDE * sizeof *s->field);
    if (s->line && s->to && s->field && av_tx_init(&s->there, &s->go, AV_TX_FLOAT_FFT, 0, SIDE, &one, 0) >= 0 &&
        av_tx_init(&s->back, &s->come, AV_TX_FLOAT_FFT, 1, SIDE, &one, 0) >= 0)
        return status_ok();
    spectrum_free(out);
    return status_fail(ERR_NODE, "out of memory for a Fourier transform of %d", SIDE);
}

void spectrum_free(Spectrum **s)
{
    if (!*s) return;
    av_tx_uninit(&(*s)->there);
    av_tx_uninit(&(*s)->back);
    av_free((*s)->line);
    av_free((*s)->to);
    av_free((*s)->field);
    free(*s);
    *s = NULL;
}

/* Rows, then columns, eight of these at a time: a column alone would fetch a line of the cache for each of its points. */
static void transform(Spectrum *s, AVTXContext *c, av_tx_fn fn)
{
    enum { TOGETHER = 8 };
    for (int y = 0; y < SIDE; y++) {
        AVComplexFloat *row = s->field + (size_t)y * SIDE;
        memcpy(s->line, row, SIDE * sizeof *row);
        fn(c, row, s->line, sizeof(AVComplexFloat));
    }
    for (int x = 0; x < SIDE; x += TOGETHER) {
        for (int y = 0; y < SIDE; y++)
            for (int k = 0; k < TOGETHER; k++) s->line[k * SIDE + y] = s->field[y * SIDE + x + k];
        for (int k = 0; k < TOGETHER; k++) fn(c, s->to + k * SIDE, s->line + k * SIDE, sizeof(AVComplexFloat));
        for (int y = 0; y < SIDE; y++)
            for (int k = 0; k < TOGETHER; k++) s->field[y * SIDE + x + k] = s->to[k * SIDE + y];
    }
}

void spectrum_forward(Spectrum *s, const float *field, SpectrumPoint *out)
{
    for (int i = 0; i < SIDE * SIDE; i++) s->field[i] = (AVComplexFloat){field[i], 0};
    transform(s, s->there, s->go);
    for (int i = 0; i < SIDE * SIDE; i++) out[i] = (SpectrumPoint){s->field[i].re, s->field[i].im};
}

void spectrum_correlate(Spectrum *s, SpectrumPoint *a, const SpectrumPoint *b, float *out)
{
    for (int i = 0; i < SIDE * SIDE; i++) /* conj(a) b */
        s->field[i] = (AVComplexFloat){a[i].re * b[i].re + a[i].im * b[i].im, a[i].re * b[i].im - a[i].im * b[i].re};
    transform(s, s->back, s->come);
    for (int i = 0; i < SIDE * SIDE; i++) out[i] = s->field[i].re / ((float)SIDE * SIDE);
}
