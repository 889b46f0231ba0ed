#include "record_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/file.h"
#include "common/html.h"

enum { WIDTH = 720, LEFT = 150, BAR = 26, POINTS = 100, PLOT_HEIGHT = 220 };

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left}td.n{text-align:right}"
    "svg{width:100%;height:auto}text{font:13px system-ui,sans-serif;fill:#444}.bad{color:#a00}";

/* ---- what a clip's time goes into ---- */

typedef struct {
    const char *name, *color;
    double s;
} Share;

enum { SHARES = 5 };

static void find_shares(const Record *r, Share out[SHARES])
{
    const double render_s = measured_quantile(&r->render, 0.5), stages_s = r->text_s + r->denoise_s + r->decode_s;
    const Share share[SHARES] = {{"text", "#7a9e7e", r->text_s},
                                 {"denoise", "#31628f", r->denoise_s},
                                 {"decode", "#c98c3d", r->decode_s},
                                 {"rest of the render", "#b5b5b5", render_s > stages_s ? render_s - stages_s : 0},
                                 {"finish", "#9c4a5b", measured_quantile(&r->finish, 0.5)}};
    for (int i = 0; i < SHARES; i++) out[i] = share[i];
}

static void put_shares(FILE *f, const NamedRecord *records, int count)
{
    double longest = 1e-9;
    Share share[2][SHARES];
    for (int i = 0; i < count; i++) {
        double sum = 0;
        find_shares(records[i].record, share[i]);
        for (int k = 0; k < SHARES; k++) sum += share[i][k].s;
        if (sum > longest) longest = sum;
    }
    fprintf(f, "<h2>A clip of a render of its own</h2><svg viewBox='0 0 %d %d' role=img>", WIDTH,
            (count + 1) * (BAR + 10) + 10);
    for (int i = 0; i < count; i++) {
        double x = LEFT;
        const int y = i * (BAR + 10);
        fprintf(f, "<text x=0 y=%d>", y + BAR - 8);
        html_put(f, records[i].name);
        fputs("</text>", f);
        for (int k = 0; k < SHARES; k++) {
            const double width = share[i][k].s / longest * (WIDTH - LEFT - 10);
            fprintf(f, "<rect x=%.1f y=%d width=%.1f height=%d fill='%s'><title>%s: %.3f s</title></rect>", x, y, width,
                    BAR, share[i][k].color, share[i][k].name, share[i][k].s);
            x += width;
        }
    }
    static const int place[SHARES] = {0, 70, 160, 250, 400}; /* of the names below */
    for (int k = 0; k < SHARES; k++)
        fprintf(f, "<rect x=%d y=%d width=12 height=12 fill='%s'/><text x=%d y=%d>%s</text>", LEFT + place[k],
                count * (BAR + 10) + 8, share[0][k].color, LEFT + place[k] + 17, count * (BAR + 10) + 19,
                share[0][k].name);
    fputs("</svg>", f);
}

/* ---- how leases differ ---- */

static void put_curve(FILE *f, const Measured *m, double longest, const char *color, bool dashed)
{
    fputs("<polyline fill=none points='", f);
    for (int i = 0; i <= POINTS; i++)
        fprintf(f, "%.1f,%.1f ", LEFT + measured_quantile(m, i / (double)POINTS) / longest * (WIDTH - LEFT - 20),
                PLOT_HEIGHT - 20 - i / (double)POINTS * (PLOT_HEIGHT - 40));
    fprintf(f, "' stroke='%s' stroke-width=2%s />", color, dashed ? " stroke-dasharray='6 4'" : "");
}

static void put_distributions(FILE *f, const NamedRecord *records, int count)
{
    double longest = 1e-9;
    for (int i = 0; i < count; i++) {
        const double most[] = {measured_quantile(&records[i].record->render, 1),
                               measured_quantile(&records[i].record->finish, 1)};
        for (int k = 0; k < 2; k++)
            if (most[k] > longest) longest = most[k];
    }
    fprintf(
        f,
        "<h2>How long leases take</h2><p>The share of renders (blue) and finishes (red) that were done within so many "
        "seconds%s.</p><svg viewBox='0 0 %d %d' role=img>",
        count > 1 ? "; the second record is dashed" : "", WIDTH, PLOT_HEIGHT + 10);
    for (int i = 0; i <= 4; i++) {
        const double x = LEFT + i / 4.0 * (WIDTH - LEFT - 20), y = PLOT_HEIGHT - 20 - i / 4.0 * (PLOT_HEIGHT - 40);
        fprintf(f, "<line x1=%d x2=%d y1=%.1f y2=%.1f stroke='#ddd'/><text x=%d y=%.1f>%d %%</text>", LEFT, WIDTH - 20,
                y, y, LEFT - 50, y + 4, i * 25);
        fprintf(f, "<text x=%.1f y=%d>%.2f s</text>", x - 20, PLOT_HEIGHT, i / 4.0 * longest);
    }
    for (int i = 0; i < count; i++) {
        put_curve(f, &records[i].record->render, longest, "#31628f", i > 0);
        put_curve(f, &records[i].record->finish, longest, "#9c4a5b", i > 0);
    }
    fputs("</svg>", f);
}

/* ---- figures ---- */

static void put_row(FILE *f, const NamedRecord *records, int count, const char *name, double (*figure)(const Record *r))
{
    double value[2] = {0};
    for (int i = 0; i < count; i++) value[i] = figure(records[i].record);
    if (value[0] + value[1] <= 0) return; /* not measured */
    fprintf(f, "<tr><th>%s", name);
    for (int i = 0; i < count; i++) {
        if (value[i] > 0)
            fprintf(f, "<td class=n>%.*f", value[i] < 100 ? 3 : 0, value[i]);
        else
            fputs("<td class=n>not measured", f);
    }
    if (count > 1 && value[0] > 0 && value[1] > 0) fprintf(f, "<td class=n>%+.1f %%", 100 * (value[1] / value[0] - 1));
}

static double render_p50(const Record *r) { return measured_quantile(&r->render, 0.5); }
static double render_p90(const Record *r) { return measured_quantile(&r->render, 0.9); }
static double render_p99(const Record *r) { return measured_quantile(&r->render, 0.99); }
static double finish_p50(const Record *r) { return measured_quantile(&r->finish, 0.5); }
static double finish_p90(const Record *r) { return measured_quantile(&r->finish, 0.9); }
static double finish_p99(const Record *r) { return measured_quantile(&r->finish, 0.99); }
static double load_p50(const Record *r) { return measured_quantile(&r->load, 0.5); }

static double network_gb_s(const Record *r)
{
    return json_number_value(json_object_get(r->network, "bytes_per_s")) / 1e9;
}

static double write_mb_s(const Record *r) { return json_number_value(json_object_get(r->file_system, "write_mb_s")); }
static double fsync_p50(const Record *r) { return json_number_value(json_object_get(r->file_system, "fsync_p50_ms")); }
static double fsync_p99(const Record *r) { return json_number_value(json_object_get(r->file_system, "fsync_p99_ms")); }
static double files_per_s(const Record *r) { return json_number_value(json_object_get(r->file_system, "files_per_s")); }

static double processor_watts(const Record *r) { return record_watts(r).processors; }
static double gpu_watts(const Record *r) { return record_watts(r).gpus; }

static double clips_per_hour(const Record *r) { return record_rates(r).node; }
static double clips_per_core(const Record *r) { return record_rates(r).core; }
static double clips_per_gpu(const Record *r) { return record_rates(r).gpu; }
static double clips_per_kwh(const Record *r) { return record_rates(r).kwh; }

static void put_figures(FILE *f, const NamedRecord *records, int count)
{
    fputs("<h2>Seconds</h2><table><tr><th>", f);
    for (int i = 0; i < count; i++) {
        fputs("<th>", f);
        html_put(f, records[i].name);
    }
    put_row(f, records, count, "render, p50", render_p50);
    put_row(f, records, count, "render, p90", render_p90);
    put_row(f, records, count, "render, p99", render_p99);
    put_row(f, records, count, "finish, p50", finish_p50);
    put_row(f, records, count, "finish, p90", finish_p90);
    put_row(f, records, count, "finish, p99", finish_p99);
    put_row(f, records, count, "loading", load_p50);
    fputs("</table><h2>Machine</h2><table>", f);
    put_row(f, records, count, "file system: writing (MB/s)", write_mb_s);
    put_row(f, records, count, "one fsync, p50 (ms)", fsync_p50);
    put_row(f, records, count, "one fsync, p99 (ms)", fsync_p99);
    put_row(f, records, count, "files made, renamed and removed in a second", files_per_s);
    put_row(f, records, count, "network over which a group adds up (GB/s)", network_gb_s);
    put_row(f, records, count, "processors (W)", processor_watts);
    put_row(f, records, count, "GPUs (W)", gpu_watts);
    fputs("</table><h2>Clips</h2><table>", f);
    put_row(f, records, count, "in an hour, of a node", clips_per_hour);
    put_row(f, records, count, "in an hour, of a core", clips_per_core);
    put_row(f, records, count, "in an hour, of a GPU", clips_per_gpu);
    put_row(f, records, count, "of a kWh", clips_per_kwh);
    fputs("</table>", f);
}

/* The whole configuration, and the rules that it broke. */
static void put_configuration(FILE *f, const NamedRecord *n)
{
    const Record *r = n->record;
    fputs("<h2>", f);
    html_put(f, n->name);
    fprintf(f, "</h2><p>%d worker%s in groups of %d, %d finisher%s; %zu night%s: ", r->workers,
            r->workers == 1 ? "" : "s", r->group_size > 0 ? r->group_size : 1, r->finishers,
            r->finishers == 1 ? "" : "s", json_array_size(r->nights), json_array_size(r->nights) == 1 ? "" : "s");
    for (size_t i = 0; i < json_array_size(r->nights); i++)
        fprintf(f, "%s%.1f s", i ? ", " : "",
                json_number_value(json_object_get(json_array_get(r->nights, i), "wall_s")));
    fputs("</p>", f);
    for (size_t i = 0; i < json_array_size(r->invalid); i++) {
        fputs("<p class=bad>INVALID: ", f);
        html_put(f, json_string_value(json_array_get(r->invalid, i)));
        fputs("</p>", f);
    }
    const json_t *part[] = {r->machine, r->work};
    for (int i = 0; i < 2; i++) {
        char *text = json_dumps(part[i], JSON_INDENT(1));
        fputs("<pre>", f);
        html_put(f, text ? text : "");
        fputs("</pre>", f);
        free(text);
    }
}

Status record_page_write(const NamedRecord *records, int count, const char *path)
{
    char *draft = file_draft(path);
    FILE *f = fopen(draft, "wbe");
    Status status = f ? status_ok() : status_errno(ERR_INPUT, "cannot write %s", path);
    if (f) {
        fprintf(f,
                "<!doctype html><html lang=en><meta "
                "charset=utf-8><title>Benchmark</title><style>%s</style><h1>Benchmark</h1>",
                style);
        put_shares(f, records, count);
        put_distributions(f, records, count);
        put_figures(f, records, count);
        for (int i = 0; i < count; i++) put_configuration(f, &records[i]);
        fputs("</html>\n", f);
        const bool bad = ferror(f) != 0;
        if (fclose(f) != 0 || bad) status = status_errno(ERR_INPUT, "cannot write %s", path);
        if (failed(status))
            unlink(draft);
        else
            status = file_publish(draft, path);
    }
    free(draft);
    return status;
}
