#include "record_page.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/html.h"
#include "common/plot.h"
#include "common/plural.h"
#include "coordinator/plan/record_plots.h"

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 "
    "1rem;color:#222;overflow-wrap:break-word}"
    "h1,h2{line-height:1.25}table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem "
    "0;text-align:left;vertical-align:top;font-weight:normal}"
    "tr:first-child "
    "th:not(:only-of-type){color:#666}td.n,th.n{text-align:right;white-space:nowrap}.wide{overflow-x:auto}pre{"
    "white-space:pre-wrap}.bad{color:#a00}";

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

static double gates(const Record *r) { return r->gates_s; }
static double watermark(const Record *r) { return r->watermark_s; }
static double credentials(const Record *r) { return r->credentials_s; }
static double first_frame_p50(const Record *r) { return measured_quantile(&r->first_frame, 0.5); }
static double first_frame_of_night(const Record *r)
{
    return json_number_value(
        json_object_get(json_array_get(r->nights, json_array_size(r->nights) - 1), "first_frame_s"));
}

static double added_mb(const Record *r, const char *stage)
{
    return json_number_value(json_object_get(r->memory_added, stage)) / 1e6;
}
static double start_mb(const Record *r) { return added_mb(r, "start"); }
static double load_mb(const Record *r) { return added_mb(r, "load"); }
static double text_mb(const Record *r) { return added_mb(r, "text"); }
static double denoise_mb(const Record *r) { return added_mb(r, "denoise"); }
static double decode_mb(const Record *r) { return added_mb(r, "decode"); }
static double finish_mb(const Record *r) { return added_mb(r, "finish"); }
static double renderer_mb(const Record *r) { return (double)r->renderer_bytes / 1e6; }
static double finisher_mb(const Record *r) { return (double)r->finisher_bytes / 1e6; }
static double master_mb(const Record *r) { return r->master_bytes / 1e6; }
static double clip_mb(const Record *r) { return r->clip_bytes / 1e6; }
static double checkpoint_mb(const Record *r) { return r->checkpoint_bytes / 1e6; }

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
    fputs("<h2>Seconds</h2><div class=wide><table><tr><th>", f);
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
    put_row(f, records, count, "of a finish: gates", gates);
    put_row(f, records, count, "watermark", watermark);
    put_row(f, records, count, "credentials", credentials);
    put_row(f, records, count, "loading", load_p50);
    put_row(f, records, count, "from a render's lease to its first frame, p50", first_frame_p50);
    put_row(f, records, count, "from the program's start to the first frame", first_frame_of_night);
    fputs("</table></div><h2>Megabytes</h2><div class=wide><table>", f);
    put_row(f, records, count, "memory of one who renders, at most", renderer_mb);
    put_row(f, records, count, "before its first lease", start_mb);
    put_row(f, records, count, "more after loading", load_mb);
    put_row(f, records, count, "after texts", text_mb);
    put_row(f, records, count, "after denoising", denoise_mb);
    put_row(f, records, count, "after decoding", decode_mb);
    put_row(f, records, count, "after finishing", finish_mb);
    put_row(f, records, count, "memory of one who only finishes, at most", finisher_mb);
    put_row(f, records, count, "a master", master_mb);
    put_row(f, records, count, "a clip's files", clip_mb);
    put_row(f, records, count, "a checkpoint", checkpoint_mb);
    fputs("</table></div><h2>Machine</h2><div class=wide><table>", f);
    put_row(f, records, count, "file system: writing (MB/s)", write_mb_s);
    put_row(f, records, count, "one fsync, p50 (ms)", fsync_p50);
    put_row(f, records, count, "one fsync, p99 (ms)", fsync_p99);
    put_row(f, records, count, "files made, renamed and removed in a second", files_per_s);
    put_row(f, records, count, "network over which a group adds up (GB/s)", network_gb_s);
    put_row(f, records, count, "processors (W)", processor_watts);
    put_row(f, records, count, "GPUs (W)", gpu_watts);
    fputs("</table></div><h2>Clips</h2><div class=wide><table>", f);
    put_row(f, records, count, "in an hour, of a node", clips_per_hour);
    put_row(f, records, count, "in an hour, of a core", clips_per_core);
    put_row(f, records, count, "in an hour, of a GPU", clips_per_gpu);
    put_row(f, records, count, "of a kWh", clips_per_kwh);
    fputs("</table></div>", f);
}

/* The whole configuration, and the rules that it broke. */
static void put_configuration(FILE *f, const NamedRecord *n)
{
    const Record *r = n->record;
    fputs("<h2>", f);
    html_put(f, n->name);
    fprintf(f, "</h2><p>%d worker%s in groups of %d, %d finisher%s; %zu night%s: ", r->workers, plural_s(r->workers),
            r->group_size > 0 ? r->group_size : 1, r->finishers, plural_s(r->finishers), json_array_size(r->nights),
            json_array_size(r->nights) == 1 ? "" : "s");
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

typedef struct {
    const NamedRecord *record;
    int count;
} Page;

/* The last two of them side by side, and the last one's own. */
static Status put_page(FILE *f, void *self)
{
    const Page *p = self;
    const int shown = p->count > 2 ? 2 : p->count;
    const NamedRecord *last = &p->record[p->count - shown], *newest = &p->record[p->count - 1];
    fprintf(f,
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
            "content='width=device-width,initial-scale=1'><title>Benchmark</title>"
            "<style>%s%s</style><h1>Benchmark</h1>",
            style, plot_style);
    record_plot_shares(f, last, shown);
    record_plot_leases(f, last, shown);
    record_plot_scaling(f, newest->record);
    record_plot_roofline(f, newest->record->roofline);
    record_plot_history(f, p->record, p->count);
    put_figures(f, last, shown);
    for (int i = 0; i < shown; i++) put_configuration(f, &last[i]);
    fputs("</html>\n", f);
    return status_ok();
}

Status record_page_write(const NamedRecord *records, int count, const char *path)
{
    return file_write(path, put_page, &(Page){records, count});
}
