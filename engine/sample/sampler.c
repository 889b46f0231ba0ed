#include "sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/sample/noise.h"

void sampler_begin(Sampler *s, Backend *be, const SchedulerConfig *c, const ShotSpec *shot, const int64_t dim[4],
                   const float *noise)
{
    *s = (Sampler){.config = c,
                   .single = strcmp(shot->scheduler, "unipc") != 0,
                   .renoise = strcmp(shot->scheduler, "lcm") == 0,
                   .seed = shot->seed,
                   .be = be};
    schedule_make(c, shot, &s->schedule);
    s->latents = backend_keep(be, F32, 4, dim);
    backend_put(be, noise, s->latents);
    if (s->renoise) s->noise = backend_keep(be, F32, 4, dim);
    if (s->single) return;
    for (int i = 0; i <= c->order; i++) s->prediction[i] = backend_keep(be, F32, 4, dim);
    s->last = backend_keep(be, F32, 4, dim);
}

void sampler_end(Sampler *s)
{
    schedule_free(&s->schedule);
    backend_drop(s->be, &s->latents);
    for (int i = 0; i <= SAMPLER_MAX_ORDER; i++) backend_drop(s->be, &s->prediction[i]);
    backend_drop(s->be, &s->last);
    backend_drop(s->be, &s->noise);
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

/* out = keep last + weighted predictions + next m; the newest prediction is the last that is filled, m the one behind. */
static void apply(const Sampler *s, const Update *u, int order, bool corrector, Tensor out)
{
    Tensor x[COMBINE_MOST] = {s->last};
    double weight[COMBINE_MOST] = {u->keep};
    int n = 1;
    for (int k = 0; k < order; k++, n++) {
        x[n] = s->prediction[s->predictions - 1 - k];
        weight[n] = u->weight[k];
    }
    if (corrector) {
        x[n] = s->prediction[s->predictions];
        weight[n++] = u->next;
    }
    op_combine(s->be, out, n, x, weight);
}

/* ---- steps -------------------------------------------------------------------------------------------------------------------- */

/* Order of the predictor of a step: what history allows, and falling at the end. */
static int step_order(const Sampler *s, int step)
{
    int order = s->config->order < step + 1 ? s->config->order : step + 1, left = s->schedule.steps - step;
    return s->config->lower_order_final && left < order ? left : order;
}

/* What was written behind the predictions is the newest; the oldest, when there are enough, makes room for the next. */
static void push_prediction(Sampler *s)
{
    if (s->predictions < s->config->order) {
        s->predictions++;
        return;
    }
    const Tensor oldest = s->prediction[0];
    memmove(s->prediction, s->prediction + 1, (size_t)s->config->order * sizeof oldest);
    s->prediction[s->config->order] = oldest;
}

static void unipc_step(Sampler *s, Tensor velocity)
{
    const int i = s->step;
    const double minus_sigma = -(double)s->schedule.sigma[i];
    /* clean latent = x - sigma v */
    op_combine(s->be, s->prediction[s->predictions], 2, (Tensor[]){s->latents, velocity}, (double[]){1, minus_sigma});
    if (i > 0 && (i > 64 || !s->config->disable_corrector[i - 1])) {
        int order = step_order(s, i - 1);
        Update u = unipc_update(s, i - 1, order, true);
        apply(s, &u, order, true, s->last);
    } else {
        op_copy(s->be, s->last, s->latents);
    }
    push_prediction(s);
    int order = step_order(s, i);
    Update u = unipc_update(s, i, order, false);
    apply(s, &u, order, false, s->latents);
}

/* Other low halves than the seed itself and its neighbours, which other shots have: the generator looks at 32 bits. */
uint64_t sampler_step_seed(uint64_t seed, int step) { return (uint32_t)seed + 0x9e3779b9u * ((uint32_t)step + 1); }

static void put_noise(Sampler *s)
{
    const int64_t count = tensor_count(s->noise);
    if (backend_plans(s->be)) return;
    float *noise = memory_get((size_t)count, sizeof *noise); /* latents: some MB */
    noise_fill(sampler_step_seed(s->seed, s->step), noise, count);
    backend_put(s->be, noise, s->noise);
    free(noise);
}

static void lcm_step(Sampler *s, Tensor velocity)
{
    const double sigma = s->schedule.sigma[s->step], next = s->schedule.sigma[s->step + 1];
    const bool last = next == 0;
    if (!last) put_noise(s);
    op_combine(s->be, s->latents, last ? 2 : 3, (Tensor[]){s->latents, velocity, s->noise},
               (double[]){1 - next, -(1 - next) * sigma, next});
}

void sampler_step(Sampler *s, Tensor velocity)
{
    const float dt = s->schedule.sigma[s->step + 1] - s->schedule.sigma[s->step];
    if (s->renoise)
        lcm_step(s, velocity);
    else if (s->single)
        op_combine(s->be, s->latents, 2, (Tensor[]){s->latents, velocity}, (double[]){1, (double)dt});
    else
        unipc_step(s, velocity);
    s->step++;
}

/* ---- state ---------------------------------------------------------------------------------------------------------------------- */

int sampler_history_count(const Sampler *s, int step)
{
    if (s->single || step == 0) return 0;
    return (step < s->config->order ? step : s->config->order) + 1;
}

int sampler_history(const Sampler *s, Tensor history[SAMPLER_MAX_HISTORY])
{
    int n = sampler_history_count(s, s->step);
    for (int i = 0; i < n; i++) history[i] = i < s->predictions ? s->prediction[i] : s->last;
    return n;
}

void sampler_restore(Sampler *s, int step, const float *latents, float *const *history)
{
    Tensor place[SAMPLER_MAX_HISTORY];
    const int n = sampler_history_count(s, step);
    s->step = step;
    s->predictions = n > 0 ? n - 1 : 0;
    backend_put(s->be, latents, s->latents);
    sampler_history(s, place);
    for (int i = 0; i < n; i++) backend_put(s->be, history[i], place[i]);
}
