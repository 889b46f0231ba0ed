#include "loudness.h"

#include <math.h>
#include <stdlib.h>

#include <ebur128.h>

#include "common/file.h"

static const double MOST_LIMITING_DB = 6; /* more is heard */

Status loudness_measure(const Sound *s, Loudness *out)
{
    double peak, most = 0;
    *out = (Loudness){-HUGE_VAL, -HUGE_VAL};
    ebur128_state *e = ebur128_init(2, SOUND_RATE, EBUR128_MODE_I | EBUR128_MODE_TRUE_PEAK);
    if (!e || ebur128_add_frames_float(e, s->sample, (size_t)s->count) != EBUR128_SUCCESS) {
        if (e) ebur128_destroy(&e);
        return status_fail(ERR_NODE, "out of memory for measuring loudness");
    }
    ebur128_loudness_global(e, &out->lufs);
    for (unsigned c = 0; c < 2; c++)
        if (ebur128_true_peak(e, c, &peak) == EBUR128_SUCCESS && peak > most) most = peak;
    if (most > 0) out->true_peak_db = 20 * log10(most);
    ebur128_destroy(&e);
    return status_ok();
}

/* ---- limiting ----------------------------------------------------------------------------------------------------------- */

enum { TAPS = 12, PHASES = 4, AHEAD = SOUND_RATE / 200 };

/* Interpolation to four times the rate: a sinc under a Hann window. Sums to about 1 a phase. */
static void make_filter(float h[PHASES][TAPS])
{
    for (int p = 0; p < PHASES; p++)
        for (int k = 0; k < TAPS; k++) {
            double x = k - TAPS / 2 + 1 - (double)p / PHASES;
            double sinc = x == 0 ? 1 : sin(M_PI * x) / (M_PI * x);
            h[p][k] = (float)(sinc * (0.5 + 0.5 * cos(2 * M_PI * x / (TAPS + 1))));
        }
}

/* The highest value between this sample and the next one, of either channel. */
static float peak_near(const Sound *s, int64_t i, float h[PHASES][TAPS])
{
    float most = fmaxf(fabsf(s->sample[2 * i]), fabsf(s->sample[2 * i + 1]));
    for (int p = 1; p < PHASES; p++)
        for (int c = 0; c < 2; c++) {
            float sum = 0;
            for (int k = 0; k < TAPS; k++) {
                int64_t at = i + k - TAPS / 2 + 1;
                if (at >= 0 && at < s->count) sum += h[p][k] * s->sample[2 * at + c];
            }
            most = fmaxf(most, fabsf(sum));
        }
    return most;
}

/* gain[i]: what a sample needs; becomes the lowest within AHEAD of it on either side, then the mean over AHEAD: never above the need. */
static void smooth(float *gain, int64_t n)
{
    float *low = memory_get((size_t)n, sizeof *low);
    for (int64_t i = 0; i < n; i++) low[i] = 1;
    for (int64_t i = 0; i < n; i++) {
        if (gain[i] >= 1) continue;
        int64_t from = i > AHEAD ? i - AHEAD : 0, to = i + AHEAD < n - 1 ? i + AHEAD : n - 1;
        for (int64_t k = from; k <= to; k++) low[k] = fminf(low[k], gain[i]);
    }
    double sum = 0; /* over low[i - AHEAD/2 .. i + AHEAD/2], 1 beyond the ends */
    const int64_t half = AHEAD / 2;
    for (int64_t k = -half; k <= half; k++) sum += k >= 0 && k < n ? low[k] : 1;
    for (int64_t i = 0; i < n; i++) {
        gain[i] = (float)(sum / (double)(2 * half + 1));
        sum += (i + half + 1 < n ? low[i + half + 1] : 1) - (i - half >= 0 ? low[i - half] : 1);
    }
    free(low);
}

static void limit(Sound *s, double true_peak_db)
{
    float h[PHASES][TAPS], most = (float)pow(10, true_peak_db / 20),
                           *gain = memory_get((size_t)s->count + 1, sizeof *gain);
    make_filter(h);
    for (int64_t i = 0; i < s->count; i++) {
        float peak = peak_near(s, i, h);
        gain[i] = peak > most ? most / peak : 1;
    }
    smooth(gain, s->count);
    for (int64_t i = 0; i < s->count; i++)
        for (int c = 0; c < 2; c++) s->sample[2 * i + c] *= gain[i];
    free(gain);
}

static void scale(Sound *s, double db)
{
    float gain = (float)pow(10, db / 20);
    for (int64_t i = 0; i < 2 * s->count; i++) s->sample[i] *= gain;
}

Status loudness_set(Sound *s, double lufs, double true_peak_db, Loudness *out)
{
    TRY(loudness_measure(s, out));
    if (!isfinite(out->lufs) || !isfinite(out->true_peak_db)) return status_ok();
    double most = true_peak_db - out->true_peak_db + MOST_LIMITING_DB; /* gain */
    double gain = fmin(lufs - out->lufs, most);
    for (int pass = 0; pass < 3; pass++) {
        scale(s, gain);
        limit(s, true_peak_db - 0.05);
        TRY(loudness_measure(s, out));
        gain = lufs - out->lufs;
        if (fabs(gain) < 0.2 || gain > most)
            break; /* quieter than wanted by less than is heard, or by what its peaks allow */
        most -= gain;
    }
    return status_ok();
}
