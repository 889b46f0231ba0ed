#include "timeline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/html.h"

/* What a worker is at; idle is what is left. A render's time is told by its stages; what remains of it went into loading and waiting. */
typedef enum { LOAD, TEXT, DENOISE, DECODE, FINISH, LOST, KINDS } Kind;
static const char *const kind_name[KINDS] = {"loading and waiting", "text",          "denoising", "decoding",
                                             "finishing",           "failed or lost"};
static const char *const kind_colour[KINDS] = {"--soft", "--a", "--b", "--c", "--d", "--bad"};

enum { COLUMNS = 800, LEFT = 190, ROW = 16, GAP = 4, MOST_ROWS = 64, NAME_BYTES = 40 };

typedef struct {
    char *name;
    double (*column)[KINDS]; /* [COLUMNS]: seconds; only of those that are drawn */
    double first_step_s,
        last_end_s;   /* of renders: between them its device should be busy; first 0: it has rendered nothing */
    double busy_s;    /* in that time */
    double busy_to_s; /* counted so far: a shot may be decoded beside the next lease */
    LeaseRow last; /* a render that is done, until it is known when the worker's next lease was given; lease 0: none */
} Lane;

typedef struct {
    int count, room;
    Lane *lane;
    double begin_s, end_s;
    double denoise_s;
    int64_t renders, steps_done;
    bool second; /* pass */
} Timeline;

static Lane *find_lane(Timeline *t, const char *name)
{
    for (int i = t->count - 1; i >= 0; i--)
        if (strcmp(t->lane[i].name, name) == 0) return &t->lane[i];
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 16;
        t->lane = memory_resize(t->lane, (size_t)t->room, sizeof *t->lane);
    }
    t->lane[t->count] = (Lane){.name = text_copy(name)};
    return &t->lane[t->count++];
}

/* Seconds from..to of a kind, spread over the columns that they cover. */
static void paint(const Timeline *t, Lane *lane, Kind kind, double from, double to)
{
    const double per_column = (t->end_s - t->begin_s) / COLUMNS;
    if (!lane->column || to <= from || per_column <= 0) return;
    int i = (int)((from - t->begin_s) / per_column);
    for (i = i < 0 ? 0 : i; i < COLUMNS; i++) {
        const double left = t->begin_s + i * per_column, right = left + per_column;
        if (left >= to) break;
        lane->column[i][kind] += (to < right ? to : right) - (from > left ? from : left);
    }
}

/* Adds the part of from..to that lies between the worker's first step and its last. */
static void count_busy(Lane *lane, double from, double to)
{
    const double begun = from > lane->busy_to_s ? from : lane->busy_to_s,
                 first = begun > lane->first_step_s ? begun : lane->first_step_s,
                 last = to < lane->last_end_s ? to : lane->last_end_s;
    if (lane->first_step_s > 0 && last > first) lane->busy_s += last - first;
    if (to > lane->busy_to_s) lane->busy_to_s = to;
}

/* The stages of a render follow each other and end with it; what comes before them was loading. A shot that is decoded beside the worker's next
 * lease is at its end from the moment in which that one is given: its decode_s is processor time alone. next_s: that moment. */
static void take_render(Timeline *t, Lane *lane, const LeaseRow *r, double next_s)
{
    const double decode = fmin(r->ended_s - r->decode_s, next_s), denoise = decode - r->denoise_s,
                 text = denoise - r->text_s;
    const double at = text > r->given_s ? text : r->given_s;
    if (t->second) {
        paint(t, lane, LOAD, r->given_s, at);
        paint(t, lane, TEXT, at, denoise);
        paint(t, lane, DENOISE, denoise, decode);
        paint(t, lane, DECODE, decode, r->ended_s);
        count_busy(lane, at, r->ended_s);
        return;
    }
    if (lane->first_step_s == 0) lane->first_step_s = at;
    if (r->ended_s > lane->last_end_s) lane->last_end_s = r->ended_s;
    t->renders++;
    t->steps_done += r->steps_done;
    t->denoise_s += r->denoise_s;
}

static void take_last(Timeline *t, Lane *lane, double next_s)
{
    if (lane->last.lease) take_render(t, lane, &lane->last, next_s);
    lane->last.lease = 0;
}

static Status take_lease(void *self, const LeaseRow *r)
{
    Timeline *t = self;
    if (r->ended_s <= r->given_s) return status_ok(); /* at work, or ended in no time */
    Lane *lane = find_lane(t, r->worker);
    take_last(t, lane, r->given_s);
    const bool done = strcmp(r->outcome, "done") == 0;
    if (!t->second) {
        t->begin_s = t->begin_s == 0 || r->given_s < t->begin_s ? r->given_s : t->begin_s;
        t->end_s = r->ended_s > t->end_s ? r->ended_s : t->end_s;
    }
    if (!done)
        paint(t, lane, LOST, r->given_s, r->ended_s);
    else if (r->kind == LEASE_RENDER)
        lane->last = *r; /* its numbers: the texts are gone with the row */
    else if (t->second) {
        paint(t, lane, FINISH, r->given_s, r->ended_s);
        count_busy(lane, r->given_s, r->ended_s);
    }
    return status_ok();
}

static Kind most_of(const double seconds[KINDS], double *sum)
{
    int most = 0;
    *sum = 0;
    for (int k = 0; k < KINDS; k++) {
        *sum += seconds[k];
        if (seconds[k] > seconds[most]) most = k;
    }
    return (Kind)most;
}

/* Columns that show the same are one rectangle. */
static void put_lane(const Timeline *t, const Lane *lane, int row, FILE *to)
{
    const double half = (t->end_s - t->begin_s) / COLUMNS / 2;
    const int y = row * (ROW + GAP);
    double sum;
    fprintf(to, "<text x=0 y=%d>", y + ROW - GAP);
    char name[NAME_BYTES];
    snprintf(name, text_fits(lane->name, sizeof name - 1) + 1, "%s", lane->name);
    html_put(to, name);
    fputs("</text>", to);
    for (int i = 0, end; i < COLUMNS; i = end) {
        const Kind kind = most_of(lane->column[i], &sum);
        const bool idle = sum < half;
        for (end = i + 1; end < COLUMNS; end++) {
            const Kind next = most_of(lane->column[end], &sum);
            if ((sum < half) != idle || (!idle && next != kind)) break;
        }
        if (!idle)
            fprintf(to, "<rect x=%d y=%d width=%d height=%d fill='var(%s)'/>", LEFT + i, y, end - i, ROW,
                    kind_colour[kind]);
    }
}

static void put_key(FILE *to)
{
    fputs("<p class=key>", to);
    for (int k = 0; k < KINDS; k++)
        fprintf(to, "<span><i style='background:var(%s)'></i>%s</span>", kind_colour[k], kind_name[k]);
    fputs("</p>", to);
}

static void put_chart(const Timeline *t, FILE *to)
{
    const int rows = t->count < MOST_ROWS ? t->count : MOST_ROWS, height = rows * (ROW + GAP) + ROW;
    put_key(to);
    fprintf(to,
            "<div class=wide><svg role=img aria-label='what each worker did when' viewBox='0 0 %d %d' width='100%%' "
            "style='min-width:640px;padding:8px;font-size:11px' fill='currentColor'>",
            LEFT + COLUMNS, height);
    for (int i = 0; i < rows; i++) put_lane(t, &t->lane[i], i, to);
    fprintf(to, "<text x=%d y=%d>0</text><text x=%d y=%d text-anchor=end>%.0f s</text></svg></div>", LEFT, height - GAP,
            LEFT + COLUMNS, height - GAP, t->end_s - t->begin_s);
    if (t->count > rows) fprintf(to, "<p class=soft>The first %d of %d workers.</p>", rows, t->count);
}

/* Of those that render, from the beginning of their first step to the end of their last. */
static void put_busy(const Timeline *t, FILE *to)
{
    double busy = 0, all = 0;
    for (int i = 0; i < t->count; i++) {
        const Lane *lane = &t->lane[i];
        const double span = lane->last_end_s - lane->first_step_s;
        if (lane->first_step_s == 0 || span <= 0) continue;
        all += span;
        busy += lane->busy_s < span ? lane->busy_s : span;
    }
    if (all > 0)
        fprintf(
            to,
            "<p>Between the first and the last step of each worker that renders, its device was busy %.1f %% of the "
            "time.</p>",
            100 * busy / all);
}

static int count_true(const bool *b, int count)
{
    int n = 0;
    for (int i = 0; i < count; i++) n += b[i];
    return n;
}

/* What was shared or left out, by what the leases say. */
static void put_savings(const Timeline *t, const ShotSpec *s, FILE *to)
{
    if (s->steps < 1) return; /* no shot */
    const int64_t steps = t->renders * s->steps * shot_rounds(s), shared = steps - t->steps_done;
    const double step_s = t->steps_done ? t->denoise_s / (double)t->steps_done : 0;
    if (s->trunk_steps && shared > 0)
        fprintf(to,
                "<p>Shared first steps (%d of %d): %lld of %lld denoising steps were not computed, about %.0f s.</p>",
                s->trunk_steps, s->steps, (long long)shared, (long long)steps, (double)shared * step_s);
    bool *reused = memory_get((size_t)s->steps + 1, sizeof *reused);
    if (s->reused_steps && !failed(shot_read_reused(s, reused)))
        fprintf(to, "<p>%d of %d steps of each render ran no layer of the transformer (cache).</p>",
                count_true(reused, s->steps), s->steps);
    if (s->guided_from > 0)
        fprintf(to, "<p>Guidance was computed at noise levels %g to %g only.</p>", s->guided_from, s->guided_to);
    free(reused);
}

static Status take_leases(Timeline *t, Ledger *l)
{
    TRY(ledger_read_leases(l, -1, -1, (LeaseSink){take_lease, t}));
    for (int i = 0; i < t->count; i++) take_last(t, &t->lane[i], INFINITY);
    return status_ok();
}

Status timeline_write(Ledger *l, FILE *to)
{
    Timeline t = {0};
    ShotSpec shot = {0};
    Status status = take_leases(&t, l);
    for (int i = 0; i < t.count && i < MOST_ROWS; i++) t.lane[i].column = memory_get(COLUMNS, sizeof *t.lane[i].column);
    t.second = true;
    if (!failed(status) && t.count) status = take_leases(&t, l);
    if (!failed(status)) status = ledger_read_any_shot(l, &shot);
    if (!failed(status) && t.count) {
        fputs("<h2>What the workers did</h2>", to);
        put_busy(&t, to);
        put_savings(&t, &shot, to);
        put_chart(&t, to);
    }
    for (int i = 0; i < t.count; i++) {
        free(t.lane[i].name);
        free(t.lane[i].column);
    }
    free(t.lane);
    shot_clear(&shot);
    return status;
}
