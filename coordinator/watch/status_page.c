#include "status_page.h"

#include <stdlib.h>
#include <string.h>

#include "common/html.h"
#include "coordinator/watch/events.h"
#include "coordinator/watch/progress.h"

const char status_page_style[] =
    ":root{--ink:#1c1b19;--soft:#6b675f;--line:#e4e0d8;--paper:#faf8f4;--card:#fff;--good:#2f7d4f;--bad:#b3372b;--wait:"
    "#9a6a12}"
    "@media(prefers-color-scheme:dark){:root{--ink:#ece8e0;--soft:#a39d92;--line:#37342f;--paper:#191816;--card:#"
    "22201d;"
    "--good:#6fc08f;--bad:#ef8a7e;--wait:#d9a441}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:1000px;margin:0 auto;padding:24px 20px 48px}h1{font-size:26px;line-height:1.2;margin:0 0 4px;"
    "letter-spacing:-.02em;overflow-wrap:anywhere}section{margin:0 0 36px}p{margin:0 0 12px;overflow-wrap:anywhere}"
    ".soft{color:var(--soft)}.bad{color:var(--bad)}.wait{color:var(--wait)}"
    "progress{width:100%;height:12px;accent-color:var(--good);margin:0 0 14px}"
    "ul{list-style:none;display:grid;grid-template-columns:repeat(auto-fit,minmax(110px,1fr));margin:0 0 "
    "16px;padding:0;"
    "border:1px solid var(--line);border-radius:10px;background:var(--card);overflow:hidden}"
    "li{padding:10px 14px;color:var(--soft);font-size:14px}li "
    "b{display:block;color:var(--ink);font-size:22px;line-height:1.2;"
    "font-weight:600;font-variant-numeric:tabular-nums}"
    ".wide{overflow-x:auto;border:1px solid var(--line);border-radius:10px;background:var(--card)}"
    "table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}th{font-weight:600;"
    "text-align:left;color:var(--soft)}th,td{padding:7px 12px;border-bottom:1px solid var(--line);white-space:nowrap}"
    "tr:last-child td{border-bottom:0}code{font:14px ui-monospace,monospace}";

enum { MOST_WORKERS = 64 };

static void put_counts(FILE *f, const Snapshot *s)
{
    const struct {
        const char *name;
        int64_t count;
        bool always;
    } tile[] = {{"done", s->finished, true},
                {"in work", s->clip_count[CLIP_FINISHING], true},
                {"waiting for a finisher", s->clip_count[CLIP_WAITING], true},
                {"planned", s->clip_count[CLIP_PLANNED], true},
                {"failed", s->failed, true},
                {"paused", s->clip_count[CLIP_PAUSED], false},
                {"cancelled", s->cancelled, false},
                {"refused", s->refused, false}};
    fputs("<ul>", f);
    for (size_t i = 0; i < sizeof tile / sizeof *tile; i++)
        if (tile[i].always || tile[i].count)
            fprintf(f, "<li><b>%lld</b>%s</li>", (long long)tile[i].count, tile[i].name);
    fputs("</ul>", f);
}

static void put_wait(FILE *f, const StatusPart *part)
{
    const char *what = snapshot_waits_for(&part->now);
    if (!*what) return;
    bool pilot = strcmp(what, "approval") == 0;
    fprintf(f, "<p class=wait>Waits for a person: <code>reelwright %s ", pilot ? "pilot approve" : "resume");
    html_put(f, part->folder);
    fputs("</code></p>", f);
}

static void put_workers(FILE *f, const Snapshot *s, double now_s)
{
    if (s->worker_count == 0 || s->ended_s > 0) return;
    fputs("<div class=wide><table><tr><th>worker<th>host<th>state<th>work<th>stage<th>done<th>clip<th>shots"
          "<th>clips<th>heard of",
          f);
    for (int i = 0; i < s->worker_count && i < MOST_WORKERS; i++) {
        const WorkerLine *w = &s->worker[i];
        fprintf(f, "<tr><td>%d<td>", w->rank);
        html_put(f, w->host);
        fputs("<td>", f);
        html_put(f, w->state);
        fprintf(f, "<td>%s<td>", strcmp(w->state, "working") == 0 ? lease_kind_name((LeaseKind)w->kind) : "");
        html_put(f, w->stage);
        fputs("<td>", f);
        if (w->total > 0) fprintf(f, "%d of %d", w->done, w->total);
        fputs("<td>", f);
        html_put(f, w->clip);
        if (w->clip_count > 1) fprintf(f, " and %d more", w->clip_count - 1);
        fprintf(f, "<td>%d<td>%d<td>%.0f s ago", w->renders, w->finished, now_s > w->heard_s ? now_s - w->heard_s : 0);
    }
    fputs("</table></div>", f);
    if (s->worker_count > MOST_WORKERS) fprintf(f, "<p class=soft>and %d more</p>", s->worker_count - MOST_WORKERS);
}

static void put_part(FILE *f, const StatusPart *part, double now_s)
{
    const Snapshot *s = &part->now;
    char *line = progress_line(s, now_s);
    int64_t all = s->clips - s->refused - s->cancelled;
    fputs("<section><h1>", f);
    html_put(f, s->name);
    fputs("</h1><p>", f);
    html_put(f, line + strlen(s->name) + 2); /* without the name */
    fprintf(f, "</p><progress max=%lld value=%lld></progress>", (long long)(all > 0 ? all : 1),
            (long long)(all > 0 ? s->finished + s->failed : 1));
    free(line);
    put_wait(f, part);
    put_counts(f, s);
    if (*part->failures) {
        fputs("<p class=bad>Failed: ", f);
        html_put(f, part->failures);
        fputs("</p>", f);
    }
    if (s->ended_s <= 0)
        fprintf(f, "<p class=soft>%d workers render (%lld of %lld shots), %d finish; %lld masters</p>",
                snapshot_workers_at(s, LEASE_RENDER), (long long)snapshot_rendered(s), (long long)s->shots,
                snapshot_workers_at(s, LEASE_FINISH), (long long)s->shot_count[SHOT_MASTERED]);
    put_workers(f, s, now_s);
    fputs("</section>", f);
}

void status_page_write(FILE *f, const StatusPart *part, int count, double now_s)
{
    char when[32];
    events_time(now_s, when);
    fprintf(f,
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width,"
            "initial-scale=1'><meta http-equiv=refresh content=%d><title>",
            STATUS_PAGE_REFRESH_S);
    html_put(f, count == 1 ? part->now.name : "Reelwright");
    fputs("</title><link rel=stylesheet href=/style.css><main>", f);
    for (int i = 0; i < count; i++) put_part(f, &part[i], now_s);
    fprintf(
        f,
        "<p class=soft>%.10s %.8s UTC, every %d s &middot; <a href=/metrics class=soft>metrics</a></p></main></html>\n",
        when, when + 11, STATUS_PAGE_REFRESH_S);
}
