#include "flash.h"

#include <math.h>
#include <stdlib.h>

#include "common/file.h"

static const struct {
    float change, darker_below;
} limit[] = {[FLASH_LIGHT] = {0.1f, 0.8f}, [FLASH_RED] = {20, INFINITY}};
static const float least_area = 0.25f;
enum { WARN = 4, MOST = 6 };
static const double second = 1, extended_s = 4, extended_window_s = 5;

typedef struct { /* changes in one direction, of the last second */
    const LookFigures *f;
    const float *step;
    int first; /* of them */
    float sum;
} Run;

static float level(FlashKind kind, const LookFigures *f) { return kind == FLASH_RED ? f->red : f->luminance; }

/* What changes from i-1 to i, or 0 where too little of the picture does. */
static float step_at(FlashKind kind, const LookFigures *f, int i)
{
    const float area = kind == FLASH_RED ? f[i].red_area : f[i].luminance_area;
    return area >= least_area ? level(kind, f + i) - level(kind, f + i - 1) : 0;
}

static void add_step(Run *r, int i)
{
    if (r->step[i] * r->sum > 0) {
        r->sum += r->step[i];
        while (r->f[i].at_s - r->f[r->first].at_s >= second) r->sum -= r->step[r->first++];
    } else {
        r->first = i;
        r->sum = r->step[i];
    }
}

static void mark_transitions(FlashKind kind, const LookFigures *f, int n, float *step, bool *transition)
{
    Run run = {.f = f, .step = step};
    for (int i = 1; i < n; i++) {
        const float before = run.sum;
        step[i] = step_at(kind, f, i);
        if (step[i] == 0) continue; /* a pause neither adds nor turns */
        add_step(&run, i);
        const bool counted = before * run.sum > 0 && fabsf(before) >= limit[kind].change;
        const float darker = fminf(level(kind, f + i), level(kind, f + i - 1));
        transition[i] = !counted && fabsf(run.sum) >= limit[kind].change && darker < limit[kind].darker_below;
    }
}

/* Whether seconds of 4 to 6 transitions fill four seconds of five. */
static bool is_extended(const LookFigures *f, int n, const float *per_second)
{
    double filled = 0;
    for (int first = 1, i = 1; i < n; i++) {
        if (per_second[i] >= WARN) filled += f[i].at_s - f[i - 1].at_s;
        for (; f[i].at_s - f[first - 1].at_s > extended_window_s + 1e-6; first++)
            if (per_second[first] >= WARN) filled -= f[first].at_s - f[first - 1].at_s;
        if (filled >= extended_s - 1e-6) return true;
    }
    return false;
}

double flash_count(FlashKind kind, const LookFigures *f, int n, float *per_second)
{
    float *step = memory_get((size_t)n + 1, sizeof *step);
    bool *transition = memory_get((size_t)n + 1, sizeof *transition);
    double most = 0;
    int inside = 0;
    mark_transitions(kind, f, n, step, transition);
    for (int i = 0, first = 0; i < n; i++) {
        inside += transition[i];
        for (; f[i].at_s - f[first].at_s >= second - 1e-6; first++) inside -= transition[first];
        per_second[i] = (float)inside;
        most = fmax(most, inside);
    }
    free(transition);
    free(step);
    return most <= MOST && is_extended(f, n, per_second) ? MOST + 1 : most;
}
