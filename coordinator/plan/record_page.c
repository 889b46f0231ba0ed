#include "record_page.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/html.h"
#include "common/json_member.h"
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

typedef struct {
    const char *title;
    double (*figure)(const Record *r); /* 0: not measured. NULL: here begins a table of this title */
} Row;

static void put_row(FILE *f, const NamedRecord *records, int count, const Row *row)
{
    double value[2] = {0};
    for (int i = 0; i < count; i++) value[i] = row->figure(records[i].record);
    if (value[0] + value[1] <= 0) return; /* not measured */
    fprintf(f, "<tr><th>%s", row->title);
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
    return member_number(json_array_get(r->nights, json_array_size(r->nights) - 1), "first_frame_s", 0);
}

static double added_mb(const Record *r, const char *stage) { return member_number(r->memory_added, stage, 0) / 1e6; }
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

static double network_gb_s(const Record *r) { return member_number(r->network, "bytes_per_s", 0) / 1e9; }

static double write_mb_s(const Record *r) { return member_number(r->file_system, "write_mb_s", 0); }
static double fsync_p50(const Record *r) { return member_number(r->file_system, "fsync_p50_ms", 0); }
static double fsync_p99(const Record *r) { return member_number(r->file_system, "fsync_p99_ms", 0); }
static double files_per_s(const Record *r) { return member_number(r->file_system, "files_per_s", 0); }

static double processor_watts(const Record *r) { return record_watts(r).processors; }
static double gpu_watts(const Record *r) { return record_watts(r).gpus; }

static double clips_per_hour(const Record *r) { return record_rates(r).node; }
static double clips_per_core(const Record *r) { return record_rates(r).core; }
static double clips_per_gpu(const Record *r) { return record_rates(r).gpu; }
static double clips_per_kwh(const Record *r) { return record_rates(r).kwh; }

static const Row rows[] = {
    {"Seconds", NULL},
    {"render, p50", render_p50},
    {"render, p90", render_p90},
    {"render, p99", render_p99},
    {"finish, p50", finish_p50},
    {"finish, p90", finish_p90},
    {"finish, p99", finish_p99},
    {"of a finish: gates", gates},
    {"watermark", watermark},
    {"credentials", credentials},
    {"loading", load_p50},
    {"from a render's lease to its first frame, p50", first_frame_p50},
    {"from the program's start to the first frame", first_frame_of_night},
    {"Megabytes", NULL},
    {"memory of one who renders, at most", renderer_mb},
    {"before its first lease", start_mb},
    {"more after loading", load_mb},
    {"after texts", text_mb},
    {"after denoising", denoise_mb},
    {"after decoding", decode_mb},
    {"after finishing", finish_mb},
    {"memory of one who only finishes, at most", finisher_mb},
    {"a master", master_mb},
    {"a clip's files", clip_mb},
    {"a checkpoint", checkpoint_mb},
    {"Machine", NULL},
    {"file system: writing (MB/s)", write_mb_s},
    {"one fsync, p50 (ms)", fsync_p50},
    {"one fsync, p99 (ms)", fsync_p99},
    {"files made, renamed and removed in a second", files_per_s},
    {"network over which a group adds up (GB/s)", network_gb_s},
    {"processors (W)", processor_watts},
    {"GPUs (W)", gpu_watts},
    {"Clips", NULL},
    {"in an hour, of a node", clips_per_hour},
    {"in an hour, of a core", clips_per_core},
    {"in an hour, of a GPU", clips_per_gpu},
    {"of a kWh", clips_per_kwh},
};

/* The first table names the records above their columns. */
static void put_figures(FILE *f, const NamedRecord *records, int count)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].figure) {
            put_row(f, records, count, &rows[i]);
            continue;
        }
        fprintf(f, "%s<h2>%s</h2><div class=wide><table>%s", i ? "</table></div>" : "", rows[i].title,
                i ? "" : "<tr><th>");
        for (int k = 0; k < count && i == 0; k++) {
            fputs("<th>", f);
            html_put(f, records[k].name);
        }
    }
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
        fprintf(f, "%s%.1f s", i ? ", " : "", member_number(json_array_get(r->nights, i), "wall_s", 0));
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
