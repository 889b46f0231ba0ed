#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/base64.h"
#include "common/file.h"
#include "common/html.h"
#include "common/moment.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/deliver/arms.h"
#include "coordinator/deliver/diversity.h"
#include "coordinator/deliver/report_texts.h"
#include "coordinator/deliver/timeline.h"
#include "coordinator/ledger/again.h"
#include "coordinator/watch/events.h"

enum { MOST_CARDS = 240, MOST_ROWS = 5000, MOST_PICTURE_BYTES = 24 << 20, ONE_PICTURE_BYTES = 4 << 20 };

typedef struct {
    Ledger *ledger;
    const char *base;
    FILE *file;
    Snapshot now;
    json_t *columns;         /* the table's */
    unsigned char *has_card; /* [shot_end] */
    int64_t shot_end;        /* above all numbers of shots */
    int cards;
    int64_t rows, failures, waiting;
    size_t picture_bytes; /* embedded so far */
    double longest_s;     /* of a shot: the scale of the bars */
    double render_s;      /* sum over shots */
    double first_s, last_s;
    Arms arms;
} Report;

static void put(Report *r, const char *text) { html_put(r->file, text); }
static void put_address(Report *r, const char *path) { html_put_address(r->file, path); }

static void put_duration(Report *r, double s)
{
    if (s >= 3600)
        fprintf(r->file, "%.0f:%02.0f h", floor(s / 3600), floor(fmod(s, 3600) / 60));
    else if (s >= 100)
        fprintf(r->file, "%.0f:%02.0f min", floor(s / 60), floor(fmod(s, 60)));
    else
        fprintf(r->file, s < 10 ? "%.1f s" : "%.0f s", s);
}

static void put_tile(Report *r, const char *name, const char *fmt, double value)
{
    fputs("<div class=tile><b>", r->file);
    if (fmt)
        fprintf(r->file, fmt, value);
    else
        put_duration(r, value);
    fprintf(r->file, "</b><span>%s</span></div>", name);
}

static void put_head(Report *r)
{
    const Snapshot *s = &r->now;
    int64_t wanted = s->clips - s->refused;
    char when[32];
    events_time(moment_wall_s(), when);
    fputs("<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
          "content='width=device-width,initial-scale=1'><title>",
          r->file);
    put(r, s->name);
    fprintf(r->file, " - report</title><style>%s</style><main><h1>", report_css);
    put(r, s->name);
    fputs("</h1><p class=verdict>", r->file);
    if (s->left > 0)
        fprintf(r->file, "<span class=bad>Not finished</span>: %lld of %lld clip%s still to be made",
                (long long)s->left, (long long)wanted, plural_s(wanted));
    else if (s->failed > 0)
        fprintf(r->file, "Finished, but <span class=bad>%lld of %lld clip%s failed</span>", (long long)s->failed,
                (long long)wanted, plural_s(wanted));
    else if (s->undecided > 0)
        fprintf(r->file, "<span class=bad>%lld of %lld clip%s wait%s for a decision</span>", (long long)s->undecided,
                (long long)wanted, plural_s(wanted), s->undecided == 1 ? "s" : "");
    else if (s->rejected > 0)
        fprintf(r->file, "Finished: %lld of %lld clip%s done, %lld %s rejected", (long long)s->finished,
                (long long)wanted, plural_s(wanted), (long long)s->rejected, s->rejected == 1 ? "was" : "were");
    else if (s->cancelled > 0)
        fprintf(r->file, "Finished: %lld of %lld clip%s done, %lld %s cancelled", (long long)s->finished,
                (long long)wanted, plural_s(wanted), (long long)s->cancelled, s->cancelled == 1 ? "was" : "were");
    else if (wanted == 1)
        fputs("<span class=good>The one clip is done</span>", r->file);
    else
        fprintf(r->file, "<span class=good>All %lld clips are done</span>", (long long)wanted);
    if (s->left == 0 && s->failed > 0 && s->undecided > 0)
        fprintf(r->file, ", %lld wait%s for a decision", (long long)s->undecided, s->undecided == 1 ? "s" : "");
    if (s->left == 0 && s->failed > 0 && s->cancelled > 0)
        fprintf(r->file, ", %lld %s cancelled", (long long)s->cancelled, s->cancelled == 1 ? "was" : "were");
    fprintf(r->file, " <span class=soft>&middot; %.10s %.5s UTC</span></p><section class=tiles>", when, when + 11);
    put_tile(r, "clips done", "%.0f", (double)s->finished);
    put_tile(r, "failed", "%.0f", (double)s->failed);
    if (s->undecided) put_tile(r, "wait for a decision", "%.0f", (double)s->undecided);
    if (s->rejected) put_tile(r, "rejected", "%.0f", (double)s->rejected);
    if (s->refused) put_tile(r, "refused", "%.0f", (double)s->refused);
    if (s->cancelled) put_tile(r, "cancelled", "%.0f", (double)s->cancelled);
    put_tile(r, "shots rendered", "%.0f", (double)snapshot_rendered(s));
    put_tile(r, "renders saved by sharing", "%.0f", (double)(wanted - s->shots));
    double rate = snapshot_clips_per_hour(s, moment_wall_s());
    if (rate > 0) put_tile(r, "clips per hour", rate < 10 ? "%.1f" : "%.0f", rate);
    if (r->last_s > r->first_s) put_tile(r, "from first to last", NULL, r->last_s - r->first_s);
    if (snapshot_rendered(s)) put_tile(r, "per shot", NULL, r->render_s / (double)snapshot_rendered(s));
    fputs("</section>", r->file);
}

/* ---- rows ---- */

/* Some at a time: with a rollback journal the coordinator cannot commit while somebody reads. */
static Status read_rows(Report *r, Status (*row)(void *self, const ClipRow *row))
{
    enum { STRIDE = 4096 };
    int64_t end;
    TRY(ledger_find_ends(r->ledger, &end, NULL));
    for (int64_t at = 0; at < end; at += STRIDE)
        TRY(ledger_read_clip_range(r->ledger, at, at + STRIDE, (ClipSink){row, r}));
    return status_ok();
}

/* The row as its table says it, so that people find a customer by name: "name: Zoë, place: Köln". Without the id, which stands beside it. */
static void put_customer(Report *r, const ClipRow *c)
{
    json_t *values = json_loads(c->customer, 0, NULL);
    const char *before = "";
    for (size_t i = 0; i < json_array_size(values) && i < json_array_size(r->columns); i++) {
        const char *name = json_string_value(json_array_get(r->columns, i)),
                   *value = json_string_value(json_array_get(values, i));
        if (!name || !value || !*value || strcmp(value, c->clip_id) == 0) continue;
        fprintf(r->file, "%s<span class=soft>", before);
        html_put_apart(r->file, name);
        fputs(":</span> ", r->file);
        html_put_apart(r->file, value);
        before = ", ";
    }
    json_decref(values);
}

static void put_file_link(Report *r, const char *file, const char *text)
{
    fputs("<a href='../", r->file);
    put_address(r, file);
    fputs("'>", r->file);
    html_put_apart(r->file, text);
    fputs("</a>", r->file);
}

static double spent_s(const ClipRow *c) { return c->text_s + c->denoise_s + c->decode_s + c->finish_s; }
static bool is_failed(const ClipRow *c) { return strcmp(c->state, "failed") == 0 || strcmp(c->state, "refused") == 0; }

static bool is_waiting(const ClipRow *c)
{
    return strcmp(c->state, ledger_clip_state_name(CLIP_HELD)) == 0 ||
           strcmp(c->state, ledger_clip_state_name(CLIP_REVIEW)) == 0;
}

/* First pass: totals, and the scale of the bars. */
static Status measure(void *self, const ClipRow *c)
{
    Report *r = self;
    if (c->given_s > 0 && (r->first_s <= 0 || c->given_s < r->first_s)) r->first_s = c->given_s;
    if (c->ended_s > r->last_s) r->last_s = c->ended_s;
    if (is_failed(c)) r->failures++;
    if (is_waiting(c)) r->waiting++;
    if (strstr(c->finish, "\"variant\"")) arms_add(&r->arms, c);
    if (!*c->file || c->shot < 0 || c->shot >= r->shot_end || r->has_card[c->shot]) return status_ok();
    r->has_card[c->shot] = 1;
    r->render_s += spent_s(c);
    if (spent_s(c) > r->longest_s) r->longest_s = spent_s(c);
    return status_ok();
}

/* A link to what the shot's workers wrote, where they did. */
static void put_log(Report *r, const ClipRow *c)
{
    char *name = text_format("logs/%s.log", c->key), *whole = path_join(r->base, name);
    if (*c->key && file_exists(whole)) {
        fputs("<a href='../", r->file);
        put_address(r, name);
        fputs("'>log</a>", r->file);
    }
    free(whole);
    free(name);
}

static Status put_failure(void *self, const ClipRow *c)
{
    Report *r = self;
    if (!is_failed(c) || r->rows++ >= MOST_ROWS) return status_ok();
    fputs("<tr><td>", r->file);
    put(r, c->clip_id);
    fprintf(r->file, "<td>%s<td class=why>", c->state);
    put(r, c->reason);
    fprintf(r->file, "<td class=n>%lld<td>", (long long)c->failures);
    put_log(r, c);
    return status_ok();
}

static Status put_waiting_row(void *self, const ClipRow *c)
{
    Report *r = self;
    if (!is_waiting(c) || r->rows++ >= MOST_ROWS) return status_ok();
    fputs("<tr><td>", r->file);
    put_file_link(r, c->file, c->clip_id);
    fputs("<td class=why>", r->file);
    put_customer(r, c);
    fprintf(r->file, "<td>%s<td class=why>", c->state);
    const bool held = strcmp(c->state, ledger_clip_state_name(CLIP_HELD)) == 0;
    put(r, *c->reason || held ? c->reason : r->now.by_sample ? "it is in the sample" : "every clip is looked at");
    return status_ok();
}

static void put_bar(Report *r, const ClipRow *c)
{
    const double part[] = {c->text_s, c->denoise_s, c->decode_s, c->finish_s};
    fputs("<div class=bar>", r->file);
    for (int i = 0; i < 4 && r->longest_s > 0; i++)
        fprintf(r->file, "<i class=%c style='width:%.1f%%'></i>", "abcd"[i], 100 * part[i] / r->longest_s);
    fputs("</div>", r->file);
}

static void put_picture(Report *r, const char *path)
{
    char *whole = path_join(r->base, path), *data = NULL;
    size_t bytes = 0, n = strlen(path);
    bool jpeg = n > 4 && strcmp(path + n - 4, ".jpg") == 0;
    bool inside = r->picture_bytes < MOST_PICTURE_BYTES && !failed(file_read(whole, ONE_PICTURE_BYTES, &data, &bytes));
    fputs("<img loading=lazy alt='' src='", r->file);
    if (inside) {
        char *text = base64_text(data, bytes);
        fprintf(r->file, "data:image/%s;base64,%s", jpeg ? "jpeg" : "png", text);
        r->picture_bytes += bytes;
        free(text);
    } else {
        fputs("../", r->file);
        put_address(r, path);
    }
    fputs("'>", r->file);
    free(data);
    free(whole);
}

static Status put_card(void *self, const ClipRow *c)
{
    Report *r = self;
    if (!*c->file || c->shot < 0 || c->shot >= r->shot_end || r->has_card[c->shot] || r->cards >= MOST_CARDS)
        return status_ok();
    r->has_card[c->shot] = 1;
    r->cards++;
    fputs("<article class=card><a class=play href='../", r->file);
    put_address(r, c->file);
    fputs("' aria-label='play ", r->file);
    put(r, c->clip_id);
    fputs("'>", r->file);
    if (*c->sheet || *c->thumbnail) put_picture(r, *c->sheet ? c->sheet : c->thumbnail);
    fputs("</a><div><h3>", r->file);
    put_file_link(r, c->file, c->clip_id);
    if (c->sharers > 1) fprintf(r->file, " <span class=soft>and %lld more</span>", (long long)c->sharers - 1);
    fputs("</h3><p>", r->file);
    put_customer(r, c);
    fputs("</p><p>", r->file);
    put(r, c->prompt);
    fputs("</p>", r->file);
    put_bar(r, c);
    fputs("<p class=soft>", r->file);
    put_duration(r, spent_s(c));
    fprintf(r->file, " &middot; seed %llu", (unsigned long long)c->seed);
    if (c->steps_resumed) fprintf(r->file, " &middot; resumed at step %d", c->steps_resumed);
    if (c->failures) fprintf(r->file, " &middot; %lld attempt%s lost", (long long)c->failures, plural_s(c->failures));
    fputs(" &middot; ", r->file);
    put_log(r, c);
    fputs("</p></div></article>", r->file);
    return status_ok();
}

static Status put_row(void *self, const ClipRow *c)
{
    Report *r = self;
    if (r->rows++ >= MOST_ROWS) return status_ok();
    fputs("<tr><td>", r->file);
    if (*c->file)
        put_file_link(r, c->file, c->clip_id);
    else
        put(r, c->clip_id);
    fputs("<td class=why>", r->file);
    put_customer(r, c);
    fprintf(r->file, "<td>%s<td>", c->state);
    put(r, c->worker);
    const double part[] = {c->text_s, c->denoise_s, c->decode_s, c->finish_s};
    for (int i = 0; i < 4; i++) fprintf(r->file, *c->file ? "<td class=n>%.2f" : "<td>", part[i]);
    if (*c->file)
        fprintf(r->file, "<td class=n>%dx%d<td class=n>%.2f<td class=n>%.8s", c->width, c->height, c->duration_s,
                c->key);
    else
        fprintf(r->file, "<td><td><td class=n>%.8s", c->key);
    return status_ok();
}

/* ---- the page ---- */

/* With the command that opens the page on which somebody decides. */
static Status put_waiting(Report *r)
{
    if (r->waiting == 0) return status_ok();
    char *command = shell_suggest("review", ledger_folder(r->ledger), NULL);
    fputs("<h2>What waits for a decision</h2><p class=do>To look at them and decide: <code>", r->file);
    put(r, command);
    fputs("</code></p><div class=wide><table><tr><th>clip<th>customer<th>state<th>why", r->file);
    free(command);
    r->rows = 0;
    TRY(read_rows(r, put_waiting_row));
    fputs("</table></div>", r->file);
    return status_ok();
}

static Status put_failures(Report *r)
{
    if (r->failures == 0) return status_ok();
    fputs("<h2>What failed, and why</h2><div class=wide><table><tr><th>clip<th>state<th>reason<th class=n>attempts "
          "lost<th>log",
          r->file);
    r->rows = 0;
    TRY(read_rows(r, put_failure));
    fputs("</table></div>", r->file);
    return status_ok();
}

/* How many rows each arm of a variant has, and what became of them. */
static void put_arms(Report *r)
{
    if (r->arms.count == 0) return;
    fputs("<h2>Variants</h2><div class=wide><table><tr><th>arm<th class=n>rows<th class=n>delivered<th class=n>approved"
          "<th class=n>waiting<th class=n>to be made<th class=n>failed or refused<th class=n>withdrawn",
          r->file);
    for (int i = 0; i < r->arms.count; i++) {
        const Arm *a = &r->arms.arm[i];
        const int64_t n[] = {a->rows, a->delivered, a->approved, a->waiting, a->left, a->failed, a->withheld};
        fputs("<tr><td>", r->file);
        put(r, a->name);
        for (size_t k = 0; k < sizeof n / sizeof *n; k++) fprintf(r->file, "<td class=n>%lld", (long long)n[k]);
    }
    fputs("</table></div>", r->file);
}

static Status put_sheets(Report *r)
{
    if (snapshot_rendered(&r->now) == 0) return status_ok();
    fputs("<h2>Clips</h2><input id=search type=search hidden placeholder='search: an id, a name, a state' "
          "aria-label=search><p class=key><span><i class=a></i>text</span><span><i "
          "class=b></i>denoising</span><span><i class=c>"
          "</i>decoding</span><span><i class=d></i>encoding</span></p><section class=cards>",
          r->file);
    memset(r->has_card, 0, (size_t)r->shot_end + 1);
    TRY(read_rows(r, put_card));
    fputs("</section>", r->file);
    if (snapshot_rendered(&r->now) > r->cards)
        fprintf(r->file, "<p class=soft>The first %d of %lld shots.</p>", r->cards,
                (long long)snapshot_rendered(&r->now));
    return status_ok();
}

static Status put_clips(Report *r)
{
    fputs("<h2>Every clip</h2><div class=wide><table id=all><tr><th>clip<th>customer<th>state<th>worker<th "
          "class=n>text s<th "
          "class=n>denoising s"
          "<th class=n>decoding s<th class=n>encoding s<th class=n>size<th class=n>length s<th class=n>shot",
          r->file);
    r->rows = 0;
    TRY(read_rows(r, put_row));
    fputs("</table></div>", r->file);
    if (r->rows > MOST_ROWS)
        fprintf(r->file, "<p class=soft>The first %d of %lld rows; delivery.csv has all.</p>", MOST_ROWS,
                (long long)r->rows);
    return status_ok();
}

/* What `submit` expected of the night, beside what it took from its first lease on. Nothing where nobody planned it. */
static void put_plan(Report *r)
{
    char *file = path_join(r->base, "plan.json");
    json_t *plan = json_load_file(file, 0, NULL), *at = json_object_get(plan, "finish_at");
    const int nodes = (int)json_integer_value(json_object_get(plan, "nodes"));
    const double p50_s = json_number_value(json_object_get(at, "p50")), took_s = r->now.last_s - r->now.created_s;
    free(file);
    if (p50_s > 0) {
        fputs("<dt>planned<dd>", r->file);
        put_duration(r, p50_s);
        fputs(" <span class=soft>(", r->file);
        put_duration(r, json_number_value(json_object_get(at, "p10")));
        fputs(" to ", r->file);
        put_duration(r, json_number_value(json_object_get(at, "p90")));
        fprintf(r->file, " in eight nights of ten, on %d node%s)</span>", nodes, plural_s(nodes));
    }
    if (p50_s > 0 && r->now.left == 0 && took_s > 0) {
        fputs("<dt>it took<dd>", r->file);
        put_duration(r, took_s);
        fprintf(r->file, " <span class=soft>(%+.0f %%)</span>", 100 * (took_s / p50_s - 1));
    }
    json_decref(plan);
}

static void put_foot(Report *r)
{
    const Snapshot *s = &r->now;
    fputs("<h2>Made with</h2><dl><dt>model<dd>", r->file);
    put(r, path_name(s->model_folder));
    fprintf(r->file, " <span class=soft>SHA-256 %s</span><dt>campaign file<dd>", s->model_hash);
    put(r, s->file);
    put_plan(r);
    fprintf(r->file, "<dt>fingerprint<dd class=soft>%s<dt>jobs started<dd>%lld</dl></main><script>%s</script></html>\n",
            s->fingerprint, (long long)s->launches, report_js);
}

static Status read_columns(Report *r)
{
    char *columns = NULL;
    TRY(ledger_read_columns(r->ledger, &columns));
    r->columns = json_loads(columns, 0, NULL);
    free(columns);
    return status_ok();
}

/* What gates cost in renders, and how alike the clips look; nothing where nothing was measured. */
static Status put_gates(Report *r)
{
    enum { MOST_COMPARED = 2000 }; /* half a second */
    int64_t again = 0;
    json_t *j = NULL;
    TRY(ledger_count_again(r->ledger, &again));
    TRY(diversity_measure(r->ledger, MOST_COMPARED, NULL, &j));
    const json_t *d = json_object_get(j, "distance"), *middle = json_object_get(d, "p50");
    if (again || json_is_number(middle)) fputs("<h2>What the gates found</h2><p>", r->file);
    if (again)
        fprintf(r->file, "%lld %s made again with another seed because of a gate. ", (long long)again,
                again == 1 ? "clip was" : "times a clip was");
    if (json_is_number(middle))
        fprintf(r->file,
                "How alike the shots look: from each to its nearest %.0f bits of 256 in the middle, %.0f for the "
                "closest twentieth; %lld of %lld have a near-duplicate (%d bits and less).",
                json_number_value(middle), json_number_value(json_object_get(d, "p05")),
                (long long)json_integer_value(json_object_get(j, "near_duplicates")),
                (long long)json_integer_value(json_object_get(j, "shots")), PDQ_NEAR);
    if (again || json_is_number(middle)) fputs("</p>", r->file);
    json_decref(j);
    return status_ok();
}

static Status put_page(Report *r)
{
    TRY(ledger_read_snapshot(r->ledger, &r->now));
    TRY(ledger_find_ends(r->ledger, NULL, &r->shot_end));
    r->has_card = memory_get((size_t)r->shot_end + 1, 1);
    TRY(read_rows(r, measure));
    TRY(read_columns(r));
    put_head(r);
    TRY(put_waiting(r));
    TRY(put_failures(r));
    TRY(put_sheets(r));
    TRY(put_clips(r));
    put_arms(r);
    TRY(put_gates(r));
    TRY(timeline_write(r->ledger, r->file));
    put_foot(r);
    return status_ok();
}

Status report_write(Ledger *l, const char *base)
{
    Report r = {.ledger = l, .base = base};
    char *folder = path_join(base, "report"), *page = path_join(folder, "index.html"), *draft = file_draft(page);
    Status status = file_make_folders(folder);
    r.file = failed(status) ? NULL : fopen(draft, "wbe");
    if (r.file) {
        status = put_page(&r);
        bool bad = ferror(r.file) != 0;
        if ((fclose(r.file) != 0 || bad) && !failed(status)) status = status_errno(ERR_FATAL, "cannot write %s", page);
        if (failed(status))
            unlink(draft);
        else
            status = file_publish(draft, page);
    } else if (!failed(status)) {
        status = status_errno(ERR_FATAL, "cannot write %s", page);
    }
    snapshot_clear(&r.now);
    arms_clear(&r.arms);
    free(r.has_card);
    json_decref(r.columns);
    free(folder);
    free(page);
    free(draft);
    return status;
}
