/* record_plots.c - the drawings of a record's page. */
#include "record_plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/file.h"
#include "common/html.h"
#include "common/json_member.h"
#include "common/plot.h"
#include "common/plural.h"

enum { POINTS = 100, SHARES = 5, MOST_BARS = 64, MOST_OPERATIONS = 32 };
static const char blue[] = "#31628f", red[] = "#9c4a5b", green[] = "#4f7f55";

/* ---- what a clip's time goes into ---- */

static void find_shares(const Record *r, PlotPart out[SHARES])
{
    const double render_s = measured_quantile(&r->render, 0.5), stages_s = r->text_s + r->denoise_s + r->decode_s;
    const PlotPart share[SHARES] = {{"text", "#7a9e7e", r->text_s},
                                    {"denoise", blue, r->denoise_s},
                                    {"decode", "#c98c3d", r->decode_s},
                                    {"rest of the render", "#b5b5b5", render_s > stages_s ? render_s - stages_s : 0},
                                    {"finish", red, measured_quantile(&r->finish, 0.5)}};
    memcpy(out, share, sizeof share);
}

void record_plot_shares(FILE *f, const NamedRecord *records, int count)
{
    PlotPart share[2][SHARES];
    PlotBar bar[2];
    for (int i = 0; i < count; i++) {
        find_shares(records[i].record, share[i]);
        bar[i] = (PlotBar){.name = records[i].name, .part = share[i]};
    }
    fputs("<h2>A clip of a render of its own</h2><p>Medians, in seconds.</p>", f);
    plot_bars(f, bar, count, SHARES, "s");
}

/* ---- how leases differ ---- */

static void put_curve(const Plot *p, const Measured *m, const char *color, bool dashed)
{
    double x[POINTS + 1], y[POINTS + 1];
    for (int i = 0; i <= POINTS; i++) {
        x[i] = measured_quantile(m, i / (double)POINTS);
        y[i] = 100.0 * i / POINTS;
    }
    plot_curve(p, x, y, POINTS + 1, color, dashed);
}

void record_plot_leases(FILE *f, const NamedRecord *records, int count)
{
    double longest = 1e-9;
    for (int i = 0; i < count; i++)
        longest = fmax(longest, fmax(measured_quantile(&records[i].record->render, 1),
                                     measured_quantile(&records[i].record->finish, 1)));
    const Plot p = {.f = f, .x = {0, longest}, .y = {0, 100}, .x_name = "seconds", .y_name = "done (%)"};
    fprintf(f,
            "<h2>How long leases take</h2><p>The share of renders (blue) and finishes (red) that were done within so "
            "many seconds%s.</p>",
            count > 1 ? "; the second record is dashed" : "");
    plot_begin(&p);
    for (int i = 0; i < count; i++) {
        put_curve(&p, &records[i].record->render, blue, i > 0);
        put_curve(&p, &records[i].record->finish, red, i > 0);
    }
    plot_end(&p);
}

/* ---- scaling: what was measured beside ---- */

static char *split_name(const Record *r)
{
    return text_format("%d worker%s, groups of %d: %.0f clips an hour", r->workers, plural_s(r->workers), r->group_size,
                       record_rates(r).node);
}

void record_plot_scaling(FILE *f, const Record *r)
{
    PlotBar bar[MOST_BARS];
    PlotPart part[MOST_BARS];
    const Record *least = r, *one;
    int count = 0;
    if (r->other_count == 0) return;
    for (int i = 0; (one = record_of(r, i)); i++)
        if (one->workers < least->workers || (one->workers == least->workers && one->group_size < least->group_size))
            least = one;
    for (; count < MOST_BARS && (one = record_of(r, count)); count++) {
        part[count] = (PlotPart){"clips an hour", one->group_size > 1 ? green : blue, record_rates(one).node};
        bar[count] = (PlotBar){split_name(one), &part[count], record_rates(least).node * one->workers / least->workers};
    }
    fputs("<h2>Scaling</h2><p>Clips an hour of one node by the number of its workers and the size of their groups. The "
          "line across a bar: as many times more than by the "
          "fewest workers as there are more of them.</p>",
          f);
    plot_bars(f, bar, count, 1, "an hour");
    for (int i = 0; i < count; i++) free((char *)(uintptr_t)bar[i].name);
}

/* ---- roofline ---- */

/* {"fp32": FLOP/s, ...}, to be released. Records were once made with fp32's alone. */
static json_t *peaks_of(const json_t *roofline)
{
    json_t *peaks = json_object_get(roofline, "peaks");
    return peaks ? json_incref(peaks) : json_pack("{s:f}", "fp32", member_number(roofline, "peak_flop_per_s", 0));
}

/* Of the type in which an operation multiplies. */
static double peak_of(const json_t *peaks, const json_t *one)
{
    return member_number(peaks, member_text(one, "dtype", "fp32"), 0);
}

static void name_operations(FILE *f, const json_t *operations, const json_t *peaks, double peak_bytes)
{
    const json_t *one;
    size_t i;
    fputs("<div class=wide><table><tr><th><th>operation<th>type<th class=n>GFLOP/s<th class=n>GB/s<th class=n>of the "
          "roof",
          f);
    json_array_foreach(operations, i, one)
    {
        const double flop = member_number(one, "flop", 0), bytes = member_number(one, "bytes", 0),
                     s = member_number(one, "s", 0);
        const double roof = fmin(peak_of(peaks, one), flop / bytes * peak_bytes);
        fprintf(f, "<tr><td class=n>%zu<td>", i + 1);
        html_put(f, json_string_value(json_object_get(one, "name")));
        fputs("<td>", f);
        html_put(f, member_text(one, "dtype", ""));
        fprintf(f, "<td class=n>%.1f<td class=n>%.1f<td class=n>%.0f %%", flop / s / 1e9, bytes / s / 1e9,
                100 * flop / s / roof);
    }
    fputs("</table></div>", f);
}

/* "106 GFLOP/s in fp32, 1700 in bf16" */
static void tell_peaks(FILE *f, json_t *peaks)
{
    json_t *peak;
    const char *type, *between = "";
    json_object_foreach(peaks, type, peak)
    {
        fprintf(f, "%s%.0f GFLOP/s in ", between, json_number_value(peak) / 1e9);
        html_put(f, type);
        between = ", ";
    }
}

static void plot_roofs(const Plot *p, json_t *peaks, double peak_bytes)
{
    const char *type;
    json_t *one;
    json_object_foreach(peaks, type, one)
    {
        const double peak = json_number_value(one), ridge = peak / peak_bytes;
        const double x[] = {p->x[0], ridge, p->x[1]}, y[] = {p->x[0] * peak_bytes / 1e9, peak / 1e9, peak / 1e9};
        if (peak > 0) plot_curve(p, x, y, 3, "#222", false);
    }
}

static void plot_roofline(FILE *f, const json_t *roofline, json_t *peaks)
{
    const json_t *operations = json_object_get(roofline, "operations"), *one;
    const double peak_bytes = member_number(roofline, "peak_bytes_per_s", 0);
    double least_x = 1e9, most_x = 1e-9, least_y = 1e30, most_y = 0, least_peak = 1e30, most_peak = 0;
    size_t i;
    if (json_array_size(operations) == 0 || peak_bytes <= 0) return;
    json_array_foreach(operations, i, one)
    {
        const double x = member_number(one, "flop", 0) / member_number(one, "bytes", 0),
                     y = member_number(one, "flop", 0) / member_number(one, "s", 0), peak = peak_of(peaks, one);
        if (!(x > 0 && y > 0 && peak > 0)) return; /* no roofline of ours */
        least_x = fmin(least_x, x), most_x = fmax(most_x, x);
        least_y = fmin(least_y, y), most_y = fmax(most_y, fmax(y, peak));
        least_peak = fmin(least_peak, peak), most_peak = fmax(most_peak, peak);
    }
    const double from = fmin(least_x, least_peak / peak_bytes) / 2;
    const Plot p = {.f = f,
                    .x = {from, fmax(most_x, most_peak / peak_bytes) * 2},
                    .y = {fmin(least_y, peak_bytes * from) / 2e9, most_y * 2 / 1e9},
                    .log_x = true,
                    .log_y = true,
                    .x_name = "operations for each byte",
                    .y_name = "GFLOP/s"};
    fputs("<h2>Roofline</h2><p>What the operations of a denoising step and of decoding reach of what this machine "
          "could do: ",
          f);
    tell_peaks(f, peaks);
    fprintf(
        f,
        " and %.1f GB/s, measured on %d thread%s. Operations and bytes are those of the definition: each operand "
        "read once, the result written once. Work that stays in the caches can be above the sloping line; the level "
        "line of an operation is that of its type.</p>",
        peak_bytes / 1e9, (int)member_number(roofline, "threads", 0),
        plural_s((int64_t)member_number(roofline, "threads", 0)));
    plot_begin(&p);
    plot_roofs(&p, peaks, peak_bytes);
    json_array_foreach(operations, i, one)
        plot_number(&p, member_number(one, "flop", 0) / member_number(one, "bytes", 0),
                    member_number(one, "flop", 0) / member_number(one, "s", 0) / 1e9, (int)i + 1, blue,
                    json_string_value(json_object_get(one, "name")));
    plot_end(&p);
    name_operations(f, operations, peaks, peak_bytes);
}

void record_plot_roofline(FILE *f, const json_t *roofline)
{
    json_t *peaks = peaks_of(roofline);
    plot_roofline(f, roofline, peaks);
    json_decref(peaks);
}

/* ---- history ---- */

static int by_time(const void *a, const void *b)
{
    const double x = ((const NamedRecord *)a)->record->measured_s, y = ((const NamedRecord *)b)->record->measured_s;
    return (x > y) - (x < y);
}

static bool same_work(const Record *a, const Record *b)
{
    static const char *const key[] = {"model",    "width",       "height",     "frames",  "steps",
                                      "guidance", "evaluations", "renditions", "backend", "dtype"};
    for (size_t i = 0; i < sizeof key / sizeof *key; i++) {
        const json_t *x = json_object_get(a->work, key[i]), *y = json_object_get(b->work, key[i]);
        if (x != y && !json_equal((json_t *)(uintptr_t)x, (json_t *)(uintptr_t)y)) return false;
    }
    return a->workers == b->workers && a->group_size == b->group_size && a->finishers == b->finishers;
}

static void put_day(FILE *f, double s)
{
    const time_t at = (time_t)s;
    struct tm t;
    char text[32] = "";
    if (s > 0 && localtime_r(&at, &t)) strftime(text, sizeof text, "%Y-%m-%d %H:%M", &t);
    fputs(*text ? text : "not said", f);
}

void record_plot_history(FILE *f, const NamedRecord *records, int count)
{
    const Record *last = records[count - 1].record;
    NamedRecord *same = memory_get((size_t)count + 1, sizeof *same);
    int n = 0;
    double most = 0;
    for (int i = 0; i < count; i++) {
        if (!same_work(records[i].record, last)) continue;
        same[n++] = records[i];
        most = fmax(most, record_rates(records[i].record).node);
    }
    if (n >= 2 && most > 0) {
        qsort(same, (size_t)n, sizeof *same, by_time);
        double *x = memory_get((size_t)n, sizeof *x), *y = memory_get((size_t)n, sizeof *y);
        const Plot p = {.f = f,
                        .x = {1, n},
                        .y = {0, 1.1 * most},
                        .x_steps = n <= 12 ? n - 1 : 0,
                        .x_name = "record",
                        .y_name = "clips an hour"};
        for (int i = 0; i < n; i++) x[i] = i + 1, y[i] = record_rates(same[i].record).node;
        fprintf(f, "<h2>History</h2><p>%d record%s of the same work, the oldest first%s.</p>", n, plural_s(n),
                n < count ? "; those of other work, or of another number of workers, are left out" : "");
        plot_begin(&p);
        plot_curve(&p, x, y, n, blue, false);
        for (int i = 0; i < n; i++) plot_number(&p, x[i], y[i], i + 1, blue, same[i].name);
        plot_end(&p);
        fputs("<div class=wide><table><tr><th><th>record<th>measured<th class=n>clips an hour<th class=n>render, p50",
              f);
        for (int i = 0; i < n; i++) {
            fprintf(f, "<tr><td class=n>%d<td>", i + 1);
            html_put(f, same[i].name);
            fputs("<td>", f);
            put_day(f, same[i].record->measured_s);
            fprintf(f, "<td class=n>%.0f<td class=n>%.3f s", y[i], measured_quantile(&same[i].record->render, 0.5));
        }
        fputs("</table></div>", f);
        free(x);
        free(y);
    }
    free(same);
}
