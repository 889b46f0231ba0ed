#include "progress.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/plural.h"

enum { BAR_LEAST = 6, BAR_MOST = 24, PLAIN_EVERY_S = 30, STALE_S = 30 };

static char *rest_text(const Snapshot *s, double rate)
{
    if (s->left == 0 || rate <= 0 || *snapshot_waits_for(s)) return text_copy("");
    int64_t rest = (int64_t)((double)s->left * 3600 / rate + 0.5);
    if (rest >= 3600) return text_format(", %lld:%02lld h left", (long long)rest / 3600, (long long)rest % 3600 / 60);
    return text_format(", %lld:%02lld min left", (long long)rest / 60, (long long)rest % 60);
}

/* ", due 06:00" while there is work, and by how much it is going to be late. */
static char *due_text(const Snapshot *s, double now_s)
{
    if (s->deadline_s <= 0 || s->left == 0) return text_copy("");
    char clock[32];
    time_t due = (time_t)s->deadline_s;
    struct tm tm;
    localtime_r(&due, &tm);
    strftime(clock, sizeof clock, fabs(s->deadline_s - now_s) < 86400 ? "%H:%M" : "%Y-%m-%d %H:%M", &tm);
    double late_s = snapshot_late_s(s, now_s);
    if (late_s <= 0) return text_format(", due %s", clock);
    return text_format(", due %s, %lld:%02lld h late", clock, (long long)late_s / 3600, (long long)late_s % 3600 / 60);
}

static const char *state_text(const Snapshot *s, double now_s)
{
    if (s->left == 0) return "finished";
    if (s->control == CONTROL_CANCELLED) return "cancelled";
    if (s->epoch == 0) return "not started";
    const char *waits_for = snapshot_waits_for(s);
    if (strcmp(waits_for, "approval") == 0) return "the pilot waits for approval";
    if (s->ended_s > 0) return strcmp(s->outcome, "died") == 0 ? "interrupted" : s->outcome;
    if (!snapshot_goes_on(s, now_s)) return "interrupted";
    if (now_s - s->heard_s > STALE_S) return "not heard from";
    return s->control == CONTROL_PAUSED ? "paused" : "running";
}

char *progress_line(const Snapshot *s, double now_s)
{
    double rate = snapshot_clips_per_hour(s, now_s);
    char *rest = s->ended_s > 0 ? text_copy("") : rest_text(s, rate);
    char *failed_text = s->failed ? text_format(", %lld failed", (long long)s->failed) : text_copy("");
    char *refused = s->refused ? text_format(", %lld refused", (long long)s->refused) : text_copy("");
    char *cancelled = s->cancelled ? text_format(", %lld cancelled", (long long)s->cancelled) : text_copy("");
    char *undecided = s->undecided ? text_format(", %lld wait%s for a decision", (long long)s->undecided,
                                                 s->undecided == 1 ? "s" : "")
                                   : text_copy("");
    int64_t paused_count = s->clip_count[CLIP_PAUSED];
    char *paused = paused_count ? text_format(", %lld paused", (long long)paused_count) : text_copy("");
    char *speed = rate > 0 ? text_format(", %.*f clips/h", rate < 10 ? 1 : 0, rate) : text_copy("");
    char *due = due_text(s, now_s);
    char *line =
        text_format("%s: %s, %lld of %lld clip%s done%s%s%s%s%s%s%s%s", s->name, state_text(s, now_s),
                    (long long)s->finished, (long long)(s->clips - s->refused), plural_s(s->clips - s->refused),
                    undecided, failed_text, refused, cancelled, paused, speed, rest, due);
    foreign_clean(line);
    free(rest);
    free(undecided);
    free(failed_text);
    free(refused);
    free(cancelled);
    free(paused);
    free(due);
    free(speed);
    return line;
}

static void put_bar(FILE *f, const Snapshot *s, int width)
{
    int64_t all = s->clips - s->refused - s->cancelled, full = all > 0 ? (all - s->left) * width / all : width;
    for (int i = 0; i < width; i++) fputs(i < full ? "█" : "░", f);
    fputs("  ", f);
}

/* The bytes of the text's beginning that fill at most `width` columns of a terminal, which it adds to *columns. */
static size_t measure(const char *text, int width, int *columns)
{
    size_t at = 0, left = strlen(text);
    for (size_t n; left; at += n, left -= n) {
        uint32_t letter = ' ';
        n = foreign_letter(text + at, left, &letter);
        if (n == 0) n = 1;
        if (*columns + foreign_columns(letter) > width) break;
        *columns += foreign_columns(letter);
    }
    return at;
}

static int count_columns(const char *text)
{
    int columns = 0;
    measure(text, INT_MAX, &columns);
    return columns;
}

static void cut(char *text, int width)
{
    int columns = 0;
    text[measure(text, width, &columns)] = 0;
}

static char *worker_line(const WorkerLine *w, double now_s)
{
    if (strcmp(w->state, "working") != 0)
        return text_format("  worker %-3d %s, %d shot%s and %d clip%s done", w->rank, w->state, w->renders,
                           plural_s(w->renders), w->finished, plural_s(w->finished));
    char *others = w->clip_count > 1 ? text_format(" and %d more", w->clip_count - 1) : text_copy("");
    char *silent =
        now_s - w->heard_s > STALE_S ? text_format(", silent for %.0f s", now_s - w->heard_s) : text_copy("");
    char *line = text_format("  worker %-3d %s %-8s %3d/%-3d %s%s%s", w->rank, lease_kind_name((LeaseKind)w->kind),
                             *w->stage ? w->stage : "start", w->done, w->total, w->clip, others, silent);
    foreign_clean(line);
    free(others);
    free(silent);
    return line;
}

static char *work_line(const Snapshot *s)
{
    return text_format("  %d render, %lld of %lld shot%s done; %d finish, %lld master%s, %lld clip%s",
                       snapshot_workers_at(s, LEASE_RENDER), (long long)snapshot_rendered(s), (long long)s->shots,
                       plural_s(s->shots), snapshot_workers_at(s, LEASE_FINISH),
                       (long long)s->shot_count[SHOT_MASTERED], plural_s(s->shot_count[SHOT_MASTERED]),
                       (long long)s->clip_count[CLIP_WAITING], s->clip_count[CLIP_WAITING] == 1 ? " waits" : "s wait");
}

char *progress_page(const Snapshot *s, double now_s, int width, int height)
{
    char *line = progress_line(s, now_s), *page = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&page, &bytes);
    if (!f) abort();
    int bar = width - 2 - count_columns(line); /* what the words leave over */
    if (bar >= BAR_LEAST) put_bar(f, s, bar < BAR_MOST ? bar : BAR_MOST);
    cut(line, width);
    fprintf(f, "%s\n", line);
    free(line);
    bool over = s->ended_s > 0 || s->worker_count == 0;
    if (!over) {
        line = work_line(s);
        cut(line, width);
        fprintf(f, "%s\n", line);
        free(line);
    }
    int room = height - 3, shown = s->worker_count <= room ? s->worker_count : room > 0 ? room : 0;
    for (int i = 0; i < shown && !over; i++) {
        line = worker_line(&s->worker[i], now_s);
        cut(line, width);
        fprintf(f, "%s\n", line);
        free(line);
    }
    if (shown < s->worker_count && !over)
        fprintf(f, "  and %d more worker%s\n", s->worker_count - shown, plural_s(s->worker_count - shown));
    fclose(f);
    return page;
}

void progress_view_open(ProgressView *v, bool quiet)
{
    *v = (ProgressView){.terminal = isatty(STDERR_FILENO) == 1, .quiet = quiet, .last_finished = -1};
}

void progress_view_clear(ProgressView *v)
{
    if (v->lines > 0) fprintf(stderr, "\033[%dA\033[J", v->lines);
    v->lines = 0;
}

static void show_page(ProgressView *v, const Snapshot *s, double now_s)
{
    struct winsize size = {0};
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    char *page = progress_page(s, now_s, known ? size.ws_col - 1 : 79, known ? size.ws_row - 1 : 23);
    progress_view_clear(v);
    for (const char *p = page; *p; p++) v->lines += *p == '\n';
    fputs(page, stderr);
    free(page);
}

void progress_view_show(ProgressView *v, const Snapshot *s, double now_s)
{
    if (v->quiet) return;
    if (v->terminal) {
        show_page(v, s, now_s);
        return;
    }
    if (s->finished + s->failed == v->last_finished && now_s - v->last_s < PLAIN_EVERY_S) return;
    v->last_finished = s->finished + s->failed;
    v->last_s = now_s;
    char *line = progress_line(s, now_s);
    fprintf(stderr, "%s\n", line);
    free(line);
}
