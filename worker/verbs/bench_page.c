#include "bench_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/html.h"
#include "common/json_member.h"
#include "common/plot.h"
#include "common/plural.h"

static const char style[] = "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 "
                            "1rem;color:#222;overflow-wrap:break-word}h1,h2{line-height:1.25}"
                            "pre{white-space:pre-wrap;overflow-wrap:anywhere}.figure{font-size:1.5rem}.bad{color:#a00}";

static void put_verdict(FILE *f, const json_t *record, const BenchResult *b)
{
    const json_t *broken = json_object_get(record, "invalid"), *one;
    size_t i;
    if (strcmp(member_text(record, "scenario", ""), "SingleStream") == 0)
        fprintf(f,
                "<p class=figure>90 %% of the samples took at most %.4g s</p><p>p50 %.4g s, p99 %.4g s; %d sample%s, "
                "one after the other.</p>",
                b->p90, b->median, b->p99, b->count, plural_s(b->count));
    else
        fprintf(f, "<p class=figure>%.4g samples a second</p><p>%d sample%s in %.1f s%s.</p>",
                member_number(record, "samples_per_s", 0), b->count, plural_s(b->count), b->all_s,
                json_object_get(record, "ranks") ? " on the first rank; the figure is of all" : "");
    fprintf(f, "<p>%s</p>",
            json_array_size(broken) ? "<strong class=bad>INVALID</strong> as a result of MLPerf, because:"
                                    : "VALID: every rule that is checked was kept.");
    fputs("<ul>", f);
    json_array_foreach(broken, i, one)
    {
        fputs("<li>", f);
        html_put(f, json_string_value(one));
    }
    fputs("</ul>", f);
}

static void put_samples(FILE *f, const BenchResult *b)
{
    double y[BENCH_PERCENTILES];
    const Plot p = {.f = f, .x = {0, fmax(b->max, 1e-9)}, .y = {0, 100}, .x_name = "seconds", .y_name = "done (%)"};
    for (int i = 0; i < BENCH_PERCENTILES; i++) y[i] = i;
    fputs("<h2>How long samples take</h2><p>The share of samples that were done within so many seconds.</p>", f);
    plot_begin(&p);
    plot_curve(&p, b->percentile, y, BENCH_PERCENTILES, "#31628f", false);
    plot_end(&p);
}

static void put_stages(FILE *f, const BenchResult *b)
{
    const PlotPart part[] = {
        {"text", "#7a9e7e", b->text_s}, {"denoise", "#31628f", b->denoise_s}, {"decode", "#c98c3d", b->decode_s}};
    const PlotBar bar = {.name = "one sample", .part = part};
    fputs("<h2>What a sample's time goes into</h2><p>Means, in seconds.</p>", f);
    plot_bars(f, &bar, 1, 3, "s");
}

static Status write_html(const char *path, const json_t *record, const BenchResult *b)
{
    char *text = NULL, *json = json_dumps(record, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    if (!f || !json) abort();
    fprintf(f,
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
            "content='width=device-width,initial-scale=1'><title>%s</title><style>%s%s</style>"
            "<h1>%s, shape %s</h1>",
            member_text(record, "scenario", ""), style, plot_style, member_text(record, "scenario", ""),
            member_text(record, "shape", ""));
    put_verdict(f, record, b);
    put_samples(f, b);
    put_stages(f, b);
    fputs("<h2>Configuration</h2><pre>", f);
    html_put(f, json);
    fputs("</pre></html>\n", f);
    if (fclose(f) != 0) abort();
    Status status = file_replace(path, text, bytes);
    free(text);
    free(json);
    return status;
}

Status bench_page_write(const char *file, const json_t *record, const BenchResult *b)
{
    const size_t bytes = strlen(file), ending = bytes > 5 && strcmp(file + bytes - 5, ".json") == 0 ? 5 : 0;
    char *page = text_format("%.*s.html", (int)(bytes - ending), file),
         *json = json_dumps(record, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    if (!json) abort();
    Status status = file_replace(file, json, strlen(json));
    if (!failed(status)) status = write_html(page, record, b);
    free(page);
    free(json);
    return status;
}
