/* night_forecast.c - many nights, and what they say together. */
#include <math.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/moment.h"
#include "common/order.h"
#include "coordinator/plan/night.h"

void night_sort(double *s, int count) { qsort(s, (size_t)count, sizeof *s, order_doubles); }

double night_quantile(const double *sorted, int count, double q)
{
    const double at = q * (count - 1);
    const int low = (int)at, high = low + 1 < count ? low + 1 : low;
    if (isinf(sorted[high])) return at > low ? INFINITY : sorted[low];
    return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

void night_forecast(const Night *n, double deadline_s, NightEffort effort, NightForecast *out)
{
    double *finish_s = memory_get((size_t)effort.most, sizeof *finish_s), begin_s = moment_s();
    int in_time = 0;
    *out = (NightForecast){0};
    for (int i = 0; i < effort.most && (i < effort.least || moment_s() - begin_s < effort.budget_s); i++) {
        NightResult r;
        night_play(n, (uint64_t)i * 7919 + 1, &r);
        finish_s[out->trials++] = r.finish_s;
        in_time += deadline_s > 0 && r.finish_s <= deadline_s;
        out->render_busy_s += r.render_busy_s;
        out->finish_busy_s += r.finish_busy_s;
        out->first_clip_s += r.first_clip_s;
        out->failures += r.failures;
        if (r.most_masters > out->most_masters) out->most_masters = r.most_masters;
    }
    night_sort(finish_s, out->trials);
    out->p10_s = night_quantile(finish_s, out->trials, 0.1);
    out->p50_s = night_quantile(finish_s, out->trials, 0.5);
    out->p90_s = night_quantile(finish_s, out->trials, 0.9);
    out->probability = (double)in_time / out->trials;
    double *mean[] = {&out->render_busy_s, &out->finish_busy_s, &out->first_clip_s, &out->failures};
    for (size_t i = 0; i < sizeof mean / sizeof *mean; i++) *mean[i] /= out->trials;
    free(finish_s);
}

double night_checkpoint_s(double cost_s, double mtbf_s)
{
    if (mtbf_s <= 0) return 0;
    const double s = sqrt(2 * cost_s * mtbf_s) - cost_s;
    return s > cost_s ? s : cost_s;
}
