#include "sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

static float *new_latent(int64_t count) { return memory_get((size_t)count, sizeof(float)); }

static void copy(float *to, const float *from, int64_t count) { memcpy(to, from, (size_t)count * sizeof *to); }

void sampler_begin(Sampler *s, const SchedulerConfig *c, const char *kind, int steps, double flow_shift,
                   const float *noise, int64_t count)
{
    *s = (Sampler){.config = c, .euler = strcmp(kind, "euler") == 0, .count = count};
    schedule_make(c, kind, steps, flow_shift, &s->schedule);
    s->latents = new_latent(count);
    copy(s->latents, noise, count);
    for (int i = 0; i < c->order; i++) s->prediction[i] = new_latent(count);
    s->last = new_latent(count);
}

void sampler_end(Sampler *s)
{
    schedule_free(&s->schedule);
    free(s->latents);
    for (int i = 0; i < SAMPLER_MAX_ORDER; i++) free(s->prediction[i]);
    free(s->last);
    *s = (Sampler){0};
}

/* ---- one update of UniPC -------------------------------------------------------------------------------------------------- */

static double lambda(float sigma) { return log(1.0 - (double)sigma) - log((double)sigma); }

/* Solves the n x n system a x = b by elimination with pivots (n <= 3). */
static void solve(int n, double a[SAMPLER_MAX_ORDER][SAMPLER_MAX_ORDER], double *b, double *x)
{
    for (int k = 0; k < n; k++) {
        int pivot = k;
        for (int i = k + 1; i < n; i++)
            if (fabs(a[i][k]) > fabs(a[pivot][k])) pivot = i;
        for (int j = 0; j < n; j++) {
            double t = a[k][j];
            a[k][j] = a[pivot][j];
            a[pivot][j] = t;
        }
        double t = b[k];
        b[k] = b[pivot];
        b[pivot] = t;
        for (int i = k + 1; i < n; i++) {
            double f = a[i][k] / a[k][k];
            for (int j = k; j < n; j++) a[i][j] -= f * a[k][j];
            b[i] -= f * b[k];
        }
    }
    for (int i = n - 1; i >= 0; i--) {
        x[i] = b[i];
        for (int j = i + 1; j < n; j++) x[i] -= a[i][j] * x[j];
        x[i] /= a[i][i];
    }
}

/* An update from the level of step `from` to the next: to = keep x + sum of weight[i] prediction[-1 - i] + next m_next */
typedef struct {
    double keep, weight[SAMPLER_MAX_ORDER], next;
} Update;

/* rk: where the older predictions lie, in units of h. The unknowns rho make the update exact for polynomials:
 * sum_j rho_j r_j^i = b_i with r = (rk..., 1); the predictor leaves the last one out. Orders 1 (corrector) and 2
 * (predictor) take rho = 1/2, as the published solver does. */
static Update unipc_update(const Sampler *s, int from, int order, bool corrector)
{
    const float *sigma = s->schedule.sigma;
    const double h = lambda(sigma[from + 1]) - lambda(sigma[from]), hh = -h, phi1 = expm1(hh);
    const double bh = s->config->bh2 ? phi1 : hh, alpha = 1.0 - (double)sigma[from + 1];
    const int unknowns = corrector ? order : order - 1;
    double r[SAMPLER_MAX_ORDER], b[SAMPLER_MAX_ORDER], rho[SAMPLER_MAX_ORDER] = {0.5};
    for (int i = 1; i < order; i++) r[i - 1] = (lambda(sigma[from - i]) - lambda(sigma[from])) / h;
    r[order - 1] = 1;
    double phi = phi1 / hh - 1, factorial = 1;
    for (int i = 0; i < unknowns; i++) {
        b[i] = phi * factorial / bh;
        factorial *= i + 2;
        phi = phi / hh - 1 / factorial;
    }
    if (corrector ? order > 1 : order > 2) {
        double a[SAMPLER_MAX_ORDER][SAMPLER_MAX_ORDER];
        for (int i = 0; i < unknowns; i++)
            for (int j = 0; j < unknowns; j++) a[i][j] = pow(r[j], i);
        solve(unknowns, a, b, rho);
    }
    Update u = {.keep = (double)sigma[from + 1] / (double)sigma[from]};
    u.weight[0] = -alpha * phi1;
    for (int i = 1; i < order; i++) { /* differences (m_i - m_0) / r_i */
        u.weight[i] = -alpha * bh * rho[i - 1] / r[i - 1];
        u.weight[0] -= u.weight[i];
    }
    if (corrector) {
        u.next = -alpha * bh * rho[order - 1];
        u.weight[0] -= u.next;
    }
    return u;
}

/* out = keep x + weighted predictions + next m; the newest prediction is the last of s->prediction. out may be x. */
static void apply(const Sampler *s, const Update *u, int order, const float *x, const float *m, float *out)
{
    for (int64_t i = 0; i < s->count; i++) {
        double sum = u->keep * (double)x[i];
        for (int k = 0; k < order; k++) sum += u->weight[k] * (double)s->prediction[s->predictions - 1 - k][i];
        if (m) sum += u->next * (double)m[i];
        out[i] = (float)sum;
    }
}

/* ---- steps -------------------------------------------------------------------------------------------------------------------- */

/* Order of the predictor of a step: what history allows, and falling at the end. */
static int step_order(const Sampler *s, int step)
{
    int order = s->config->order < step + 1 ? s->config->order : step + 1, left = s->schedule.steps - step;
    return s->config->lower_order_final && left < order ? left : order;
}

static void push_prediction(Sampler *s, float *m)
{
    if (s->predictions < s->config->order) {
        float *spare = s->prediction[s->predictions];
        s->prediction[s->predictions++] = m;
        free(spare);
        return;
    }
    free(s->prediction[0]);
    memmove(s->prediction, s->prediction + 1, (size_t)(s->config->order - 1) * sizeof *s->prediction);
    s->prediction[s->config->order - 1] = m;
}

static void unipc_step(Sampler *s, const float *velocity)
{
    const int i = s->step;
    float *m = new_latent(s->count); /* clean latent = x - sigma v */
    for (int64_t k = 0; k < s->count; k++) m[k] = s->latents[k] - s->schedule.sigma[i] * velocity[k];
    if (i > 0 && (i > 64 || !s->config->disable_corrector[i - 1])) {
        int order = step_order(s, i - 1);
        Update u = unipc_update(s, i - 1, order, true);
        apply(s, &u, order, s->last, m, s->latents);
    }
    push_prediction(s, m);
    copy(s->last, s->latents, s->count);
    int order = step_order(s, i);
    Update u = unipc_update(s, i, order, false);
    apply(s, &u, order, s->last, NULL, s->latents);
}

void sampler_step(Sampler *s, const float *velocity)
{
    if (s->euler) {
        const float dt = s->schedule.sigma[s->step + 1] - s->schedule.sigma[s->step];
        for (int64_t i = 0; i < s->count; i++) s->latents[i] += dt * velocity[i];
    } else {
        unipc_step(s, velocity);
    }
    s->step++;
}

/* ---- state ---------------------------------------------------------------------------------------------------------------------- */

int sampler_history_count(const Sampler *s, int step)
{
    if (s->euler || step == 0) return 0;
    return (step < s->config->order ? step : s->config->order) + 1;
}

int sampler_history(const Sampler *s, float *history[SAMPLER_MAX_HISTORY])
{
    int n = sampler_history_count(s, s->step);
    for (int i = 0; i < n; i++) history[i] = i < s->predictions ? s->prediction[i] : s->last;
    return n;
}

void sampler_restore(Sampler *s, int step, const float *latents, float *const *history)
{
    int n = sampler_history_count(s, step);
    s->step = step;
    copy(s->latents, latents, s->count);
    s->predictions = n > 0 ? n - 1 : 0;
    for (int i = 0; i < n; i++) copy(i < s->predictions ? s->prediction[i] : s->last, history[i], s->count);
}
