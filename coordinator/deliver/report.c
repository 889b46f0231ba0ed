#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/html.h"
#include "common/moment.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/deliver/diversity.h"
#include "coordinator/deliver/report_rows.h"
#include "coordinator/deliver/report_texts.h"
#include "coordinator/deliver/timeline.h"
#include "coordinator/ledger/again.h"
#include "coordinator/watch/events.h"

static void put(Report *r, const char *text) { html_put(r->file, text); }

static void put_tile(Report *r, const char *name, const char *fmt, double value)
{
    fputs("<div class=tile><b>", r->file);
    if (fmt)
        fprintf(r->file, fmt, value);
    else
        report_put_duration(r, value);
    fprintf(r->file, "</b><span>%s</span></div>", name);
}

/* The campaign's state in one sentence. */
static void put_verdict(Report *r)
{
    const Snapshot *s = &r->now;
    const int64_t wanted = s->clips - s->refused;
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
}

static void put_tiles(Report *r)
{
    const Snapshot *s = &r->now;
    put_tile(r, "clips done", "%.0f", (double)s->finished);
    put_tile(r, "failed", "%.0f", (double)s->failed);
    if (s->undecided) put_tile(r, "wait for a decision", "%.0f", (double)s->undecided);
    if (s->rejected) put_tile(r, "rejected", "%.0f", (double)s->rejected);
    if (s->refused) put_tile(r, "refused", "%.0f", (double)s->refused);
    if (s->cancelled) put_tile(r, "cancelled", "%.0f", (double)s->cancelled);
    put_tile(r, "shots rendered", "%.0f", (double)snapshot_rendered(s));
    put_tile(r, "renders saved by sharing", "%.0f", (double)(s->clips - s->refused - s->shots));
    double rate = snapshot_clips_per_hour(s, moment_wall_s());
    if (rate > 0) put_tile(r, "clips per hour", rate < 10 ? "%.1f" : "%.0f", rate);
    if (r->last_s > r->first_s) put_tile(r, "from first to last", NULL, r->last_s - r->first_s);
    if (snapshot_rendered(s)) put_tile(r, "per shot", NULL, r->render_s / (double)snapshot_rendered(s));
}

static void put_head(Report *r)
{
    char when[32];
    events_time(moment_wall_s(), when);
    fputs("<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
          "content='width=device-width,initial-scale=1'><title>",
          r->file);
    put(r, r->now.name);
    fprintf(r->file, " - report</title><style>%s</style><main><h1>", report_css);
    put(r, r->now.name);
    fputs("</h1><p class=verdict>", r->file);
    put_verdict(r);
    fprintf(r->file, " <span class=soft>&middot; %.10s %.5s UTC</span></p><section class=tiles>", when, when + 11);
    put_tiles(r);
    fputs("</section>", r->file);
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
    TRY(report_read_rows(r, report_put_waiting));
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
    TRY(report_read_rows(r, report_put_failure));
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
    TRY(report_read_rows(r, report_put_card));
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
    TRY(report_read_rows(r, report_put_clip));
    fputs("</table></div>", r->file);
    if (r->rows > REPORT_MOST_ROWS)
        fprintf(r->file, "<p class=soft>The first %d of %lld rows; delivery.csv has all.</p>", REPORT_MOST_ROWS,
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
        report_put_duration(r, p50_s);
        fputs(" <span class=soft>(", r->file);
        report_put_duration(r, json_number_value(json_object_get(at, "p10")));
        fputs(" to ", r->file);
        report_put_duration(r, json_number_value(json_object_get(at, "p90")));
        fprintf(r->file, " in eight nights of ten, on %d node%s)</span>", nodes, plural_s(nodes));
    }
    if (p50_s > 0 && r->now.left == 0 && took_s > 0) {
        fputs("<dt>it took<dd>", r->file);
        report_put_duration(r, took_s);
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

static Status put_page(FILE *f, void *self)
{
    Report *r = self;
    r->file = f;
    TRY(ledger_read_snapshot(r->ledger, &r->now));
    TRY(ledger_find_ends(r->ledger, NULL, &r->shot_end));
    r->has_card = memory_get((size_t)r->shot_end + 1, 1);
    TRY(report_read_rows(r, report_measure_row));
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
    char *folder = path_join(base, "report"), *page = path_join(folder, "index.html");
    Status status = file_make_folders(folder);
    if (!failed(status)) status = file_write(page, put_page, &r);
    snapshot_clear(&r.now);
    arms_clear(&r.arms);
    free(r.has_card);
    json_decref(r.columns);
    free(folder);
    free(page);
    return status;
}
