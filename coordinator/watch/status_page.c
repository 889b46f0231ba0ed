#include "status_page.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/html.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/watch/events.h"
#include "coordinator/watch/progress.h"
#include "coordinator/watch/suggest.h"

enum { MOST_WORKERS = 64 };

/* ---- what is read ---- */

typedef struct {
    StatusClip *clip;
    int count;
} Clips;

static Status take_clip(void *self, const ClipRow *r)
{
    Clips *c = self;
    if (c->count == STATUS_PAGE_CLIPS) return status_ok();
    c->clip[c->count++] = (StatusClip){text_copy(r->clip_id), text_copy(r->state),     text_copy(r->reason),
                                       text_copy(r->file),    text_copy(r->thumbnail), text_copy(r->key)};
    return status_ok();
}

static Status read_clips(Ledger *l, StatusPart *p)
{
    Clips latest = {p->latest, 0}, lost = {p->failed, 0};
    TRY(ledger_read_snapshot(l, &p->now));
    Status status = ledger_read_latest(l, STATUS_PAGE_CLIPS, (ClipSink){take_clip, &latest});
    if (!failed(status) && p->now.failed)
        status = ledger_read_failed(l, STATUS_PAGE_CLIPS, (ClipSink){take_clip, &lost});
    p->latest_count = latest.count;
    p->failed_count = lost.count;
    if (failed(status)) status_part_clear(p);
    return status;
}

Status status_part_read(const char *folder, int number, StatusPart *out)
{
    Ledger *l = NULL;
    *out = (StatusPart){.folder = folder, .number = number};
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = read_clips(l, out);
    ledger_close(&l);
    return status;
}

static void clear_clips(StatusClip *clip, int count)
{
    for (int i = 0; i < count; i++) {
        char *const text[] = {clip[i].id, clip[i].state, clip[i].reason, clip[i].file, clip[i].thumbnail, clip[i].key};
        for (size_t t = 0; t < sizeof text / sizeof *text; t++) free(text[t]);
    }
}

void status_part_clear(StatusPart *p)
{
    snapshot_clear(&p->now);
    clear_clips(p->latest, p->latest_count);
    clear_clips(p->failed, p->failed_count);
    p->latest_count = p->failed_count = 0;
}

/* ---- what is shown ---- */

/* Each clip is in one of them. */
static void put_counts(FILE *f, const Snapshot *s)
{
    const struct {
        const char *name;
        int64_t count;
        bool always;
    } tile[] = {{"done", s->finished, true},
                {"to be decided on", s->undecided, false},
                {"being finished", s->clip_count[CLIP_FINISHING], true},
                {"waiting for a finisher", s->clip_count[CLIP_WAITING], true},
                {"to be rendered", s->clip_count[CLIP_PLANNED], true},
                {"failed", s->failed, true},
                {"rejected", s->rejected, false},
                {"paused", s->clip_count[CLIP_PAUSED], false},
                {"cancelled", s->cancelled, false},
                {"refused", s->refused, false}};
    fputs("<ul>", f);
    for (size_t i = 0; i < sizeof tile / sizeof *tile; i++)
        if (tile[i].always || tile[i].count)
            fprintf(f, "<li><b>%lld</b>%s</li>", (long long)tile[i].count, tile[i].name);
    fputs("</ul>", f);
}

static void put_next(FILE *f, const StatusPart *part, double now_s)
{
    char *next = suggest_next(&part->now, part->folder, now_s);
    if (!next) return;
    fputs("<p class=wait>", f);
    html_put(f, next);
    fputs("</p>", f);
    free(next);
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
        html_put_apart(f, w->clip);
        if (w->clip_count > 1) fprintf(f, " and %d more", w->clip_count - 1);
        if (w->is_tail)
            fputs("<td><td><td>", f); /* its worker's line says that */
        else
            fprintf(f, "<td>%d<td>%d<td>%.0f s ago", w->renders, w->finished,
                    now_s > w->heard_s ? now_s - w->heard_s : 0);
    }
    fputs("</table></div>", f);
    if (s->worker_count > MOST_WORKERS) fprintf(f, "<p class=soft>and %d more</p>", s->worker_count - MOST_WORKERS);
}

/* A file of the campaign's folder, as serve.c gives it. */
static void put_link(FILE *f, const StatusPart *part, const char *path)
{
    fprintf(f, "/c/%d/", part->number);
    html_put_address(f, path);
}

static void put_failures(FILE *f, const StatusPart *part, bool is_in)
{
    if (part->failed_count == 0) return;
    fputs("<h2 class=bad>What failed, and why</h2><div class=wide><table>", f);
    for (int i = 0; i < part->failed_count; i++) {
        const StatusClip *c = &part->failed[i];
        char *log = text_format("logs/%s.log", c->key);
        fputs("<tr><td>", f);
        html_put(f, c->id);
        fputs("<td class=why>", f);
        html_put(f, c->reason);
        if (is_in && *c->key) {
            fputs("<td><a href='", f);
            put_link(f, part, log);
            fputs("'>log</a>", f);
        }
        free(log);
    }
    fputs("</table></div>", f);
    if (part->now.failed > part->failed_count)
        fprintf(f, "<p class=soft>and %lld more</p>", (long long)part->now.failed - part->failed_count);
}

static void put_picture(FILE *f, const StatusPart *part, const StatusClip *c)
{
    if (!*c->file) return; /* its files are gone by now */
    fputs("<figure><a href='", f);
    put_link(f, part, c->file);
    fputs("'>", f);
    if (*c->thumbnail) {
        fputs("<img loading=lazy alt='' src='", f);
        put_link(f, part, c->thumbnail);
        fputs("'>", f);
    }
    fputs("<figcaption>", f);
    html_put(f, c->id);
    fputs("</figcaption></a>", f);
    if (strcmp(c->state, "approved") != 0 && strcmp(c->state, "delivered") != 0) {
        fputs("<span class=wait>", f);
        html_put(f, c->state);
        fputs("</span>", f);
    }
    fputs("</figure>", f);
}

static void put_pictures(FILE *f, const StatusPart *part)
{
    if (part->latest_count == 0) return;
    fputs("<h2>Finished last</h2><div class=pictures>", f);
    for (int i = 0; i < part->latest_count; i++) put_picture(f, part, &part->latest[i]);
    fputs("</div>", f);
}

/* Buttons only for what another button takes back, and for a pilot's approval; cancel, reject and priority are verbs. */
static void put_buttons(FILE *f, const StatusPart *part)
{
    const Snapshot *s = &part->now;
    const bool held = s->control != CONTROL_NONE;
    const struct {
        const char *verb, *says, *sure;
        bool shown;
    } button[] = {
        {"pause", "Pause", "", s->left > 0 && !held},
        {"resume", "Resume", "", held && s->pilot != PILOT_REJECTED},
        {"approve", "Approve the pilot", "Approve the pilot: all other clips are made then?",
         s->pilot == PILOT_OPEN && s->pilot_left == 0 && s->left > 0},
        {"retry", "Try failed clips again", "", s->failed > 0},
    };
    fputs("<p>", f);
    for (size_t i = 0; i < sizeof button / sizeof *button; i++)
        if (button[i].shown)
            fprintf(f, "<button data-campaign=%d data-verb=%s data-sure='%s'>%s</button> ", part->number,
                    button[i].verb, button[i].sure, button[i].says);
    fputs("</p>", f);
}

static void put_files(FILE *f, const StatusPart *part)
{
    fputs("<p><a href='", f);
    put_link(f, part, "report/index.html");
    fputs("'>report</a> &middot; <a href='", f);
    put_link(f, part, "delivery.csv");
    fputs("'>list</a> <span class=soft>in ", f);
    html_put(f, part->folder);
    fputs("</span></p>", f);
}

static void put_part(FILE *f, const StatusPart *part, bool is_in, double now_s)
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
    put_next(f, part, now_s);
    if (is_in) put_buttons(f, part);
    put_counts(f, s);
    put_failures(f, part, is_in);
    if (is_in) put_files(f, part);
    if (is_in) put_pictures(f, part);
    if (s->ended_s <= 0) {
        const int render = snapshot_workers_at(s, LEASE_RENDER);
        fprintf(f, "<p class=soft>%d worker%s render%s (%lld of %lld shot%s), %d finish; %lld master%s</p>", render,
                plural_s(render), render == 1 ? "s" : "", (long long)snapshot_rendered(s), (long long)s->shots,
                plural_s(s->shots), snapshot_workers_at(s, LEASE_FINISH), (long long)s->shot_count[SHOT_MASTERED],
                plural_s(s->shot_count[SHOT_MASTERED]));
    }
    put_workers(f, s, now_s);
    fputs("</section>", f);
}

/* Shown by the script when nobody answers any more: a page that stays open says what to do, whatever it showed last. */
static void put_gone(FILE *f, const StatusPart *part, int count)
{
    fputs("<p id=gone class=wait hidden>Nobody answers any more: the run has ended, or its machine cannot be reached. "
          "What you see is "
          "what it said last. This page again, at any time: <code>reelwright status",
          f);
    for (int i = 0; i < count; i++) {
        char *folder = shell_word(part[i].folder);
        fputs(" ", f);
        html_put(f, folder);
        free(folder);
    }
    fputs(" --listen 9464</code></p>", f);
}

void status_page_write(FILE *f, const StatusPart *part, int count, const char *secret, const char *how_in, double now_s)
{
    char when[32];
    events_time(now_s, when);
    fprintf(f,
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width,"
            "initial-scale=1'><noscript><meta http-equiv=refresh content=%d></noscript><title>",
            STATUS_PAGE_REFRESH_S);
    html_put(f, count == 1 ? part->now.name : "Reelwright");
    fprintf(f,
            "</title><link rel=stylesheet href=/style.css><script src=/status.js defer></script>"
            "<body data-secret='%s'><main>",
            secret ? secret : "");
    put_gone(f, part, count);
    fputs("<p id=said class=wait role=status></p>", f);
    for (int i = 0; i < count; i++) put_part(f, &part[i], secret != NULL, now_s);
    if (!secret) fprintf(f, "<p class=soft>%s</p>", how_in);
    fprintf(
        f,
        "<p class=soft>%.10s %.8s UTC, every %d s &middot; <a href=/metrics class=soft>metrics</a></p></main></html>\n",
        when, when + 11, STATUS_PAGE_REFRESH_S);
}
