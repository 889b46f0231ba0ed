/* review.c - `reelwright review DIR` and `review list|approve|reject|reopen|rerender DIR`: what people decide about finished clips, on a page or
 * from a terminal. While a run goes on, its coordinator takes the decisions up within a second; else they are written at once. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/log.h"
#include "common/options.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/deliver/keeper.h"
#include "coordinator/deliver/requests.h"
#include "coordinator/ledger/view.h"
#include "coordinator/verbs/verbs.h"
#include "coordinator/watch/serve_review.h"
#include "coordinator/watch/suggest.h"

enum { MOST_NAME = 80, MOST_REASON = 500 /* bytes */, PAGE_WAIT_MS = 3000, TERMINAL_WAIT_MS = 10000 };

/* ---- list ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    bool all; /* also clips that are decided about */
    json_t *clips;
} Listing;

static bool is_one_of(const char *state, const ClipState *list, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(state, ledger_clip_state_name(list[i])) == 0) return true;
    return false;
}

static Status list_clip(void *self, const MadeClip *c)
{
    static const ClipState open[] = {CLIP_HELD, CLIP_REVIEW};
    const Listing *l = self;
    if (!l->all && !is_one_of(c->state, open, 2)) return status_ok();
    json_t *document = *c->result ? json_loads(c->result, 0, NULL) : NULL,
           *held_by = json_object_get(document, "held_by"),
           *gates = json_object_get(json_object_get(document, "gates"), "gates");
    json_t *j = json_pack("{s:s, s:s, s:o, s:o, s:s, s:s, s:s}", "clip", c->clip_id, "state", c->state, "held_by",
                          json_is_array(held_by) ? json_incref(held_by) : json_array(), "gates",
                          gates ? json_incref(gates) : json_object(), "reviewer", c->reviewer, "reason", c->reason,
                          "file", c->file);
    json_decref(document);
    return json_array_append_new(l->clips, j) == 0 ? status_ok() : status_fail(ERR_NODE, "out of memory");
}

static void print_clip(const json_t *j)
{
    const char *reason = json_string_value(json_object_get(j, "reason")),
               *by = json_string_value(json_object_get(j, "reviewer")),
               *id = json_string_value(json_object_get(j, "clip")), *gate;
    json_t *one;
    foreign_print(stdout, "  %s%*s %-10s %s", id, foreign_gap(id, 16), "",
                  json_string_value(json_object_get(j, "state")), json_string_value(json_object_get(j, "file")));
    if (by && *by) foreign_print(stdout, "  by %s", by);
    if (reason && *reason) foreign_print(stdout, "  %s", reason);
    putchar('\n');
    json_object_foreach(json_object_get(j, "gates"), gate, one)
    {
        const char *verdict = json_string_value(json_object_get(one, "verdict"));
        if (verdict && strcmp(verdict, "pass") != 0)
            foreign_print(stdout, "      %s: %.4g, bound %.4g, %s\n", gate,
                          json_number_value(json_object_get(one, "value")),
                          json_number_value(json_object_get(one, "threshold")), verdict);
    }
}

static void print_lot(const ReviewLot *lot)
{
    static const char *const verdict[] = {"open", "accepted", "rejected: all clips are looked at"};
    if (!lot->by_sample) return;
    if (lot->aql > 0)
        foreign_print(stdout, "lot of a series (ISO 2859-1, AQL %.3g %%, %s)", lot->aql,
                      sampling_severity_name(lot->severity));
    else
        foreign_print(stdout, "lot (ISO 2859-2, LQ %.3g %%)", lot->lq);
    foreign_print(stdout,
                  ": the sample is %lld of %lld clip%s, of which at most %d may be bad; %lld decided, %lld bad; %s\n",
                  (long long)lot->plan.size, (long long)lot->clips, plural_s(lot->clips), lot->plan.accept,
                  (long long)lot->decided, (long long)lot->bad, verdict[lot->verdict]);
}

static Status list_all(const char *folder, const OptionTexts *where, bool all, bool as_json)
{
    Ledger *l;
    Listing listing = {all, json_array()};
    ReviewLot lot = {0};
    char *filter = NULL;
    size_t i;
    json_t *one;
    TRY(ledger_open_shown(folder, &l));
    Status status = ledger_make_filter(l, where->text, where->count, &filter);
    if (!failed(status)) status = ledger_read_lot(l, &lot);
    if (!failed(status)) status = ledger_read_made(l, filter, (MadeSink){list_clip, &listing});
    ledger_close(&l);
    if (!failed(status) && as_json) {
        foreign_print_json(stdout, listing.clips, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    } else if (!failed(status)) {
        const size_t count = json_array_size(listing.clips);
        print_lot(&lot);
        foreign_print(stdout, "%zu clip%s %s\n", count, count == 1 ? "" : "s",
                      all          ? "made"
                      : count == 1 ? "waits for a decision"
                                   : "wait for a decision");
        json_array_foreach(listing.clips, i, one) print_clip(one);
    }
    json_decref(listing.clips);
    free(filter);
    return status;
}

/* ---- decisions ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *folder, *by, *reason;
    const char *verb; /* "review approve" */
    Ledger *ledger;   /* while the clips are looked up */
    bool as_json;
    char *filter; /* "": the clips by name */
    char *const *clip;
    int clips;
    LedgerRequest *request; /* one for each clip; owns clip_id and seen */
    int64_t count, room;
    int64_t done_before; /* selected clips that are already in the state that the verb gives */
    int64_t meant;
} Decision;

static void clear_requests(Decision *d)
{
    for (int64_t i = 0; i < d->count; i++) {
        free(d->request[i].clip_id);
        free(d->request[i].seen);
    }
    free(d->request);
}

/* The clip is already in the state that the verb gives. */
static bool is_done(const Decision *d, const char *state)
{
    static const ClipState approved[] = {CLIP_APPROVED, CLIP_DELIVERED}, rejected[] = {CLIP_REJECTED},
                           open[] = {CLIP_HELD, CLIP_REVIEW}, planned[] = {CLIP_PLANNED, CLIP_WAITING, CLIP_FINISHING};
    const LedgerEvent event = ledger_review_event_of(d->verb);
    return event == EV_APPROVE  ? is_one_of(state, approved, 2)
           : event == EV_REJECT ? is_one_of(state, rejected, 1)
           : event == EV_SHOW   ? is_one_of(state, open, 2)
                                : is_one_of(state, planned, 3);
}

/* ERR_INPUT: the user named this clip, and its state does not allow the verb. */
static Status ask_for(Decision *d, const char *clip_id, const char *state, const char *sha256, bool named)
{
    ClipState from, to;
    const LedgerEvent event = ledger_review_event_of(d->verb);
    bool back = false;
    d->meant++;
    if (event == EV_SHOW) TRY(ledger_may_take_back(d->ledger, clip_id, &back));
    if (!back && (!ledger_find_clip_state(state, &from) || failed(ledger_next_clip_state(from, event, &to)))) {
        const bool done = is_done(d, state);
        d->done_before += done;
        if (done || !named) return status_ok();
        return status_fail(ERR_INPUT, "%s: clip \"%s\" is %s, and %s is for clips that are %s; nothing was changed",
                           d->folder, clip_id, state, strchr(d->verb, ' ') + 1,
                           event == EV_SHOW
                               ? "approved or rejected and not delivered, or whose new render has not begun"
                               : "made and not delivered");
    }
    if (d->count == d->room) {
        d->room = 2 * d->room + 64;
        d->request = memory_resize(d->request, (size_t)d->room, sizeof *d->request);
    }
    d->request[d->count++] = (LedgerRequest){.verb = (char *)(uintptr_t)d->verb,
                                             .clip_id = text_copy(clip_id),
                                             .filter = (char *)(uintptr_t) "",
                                             .reviewer = (char *)(uintptr_t)d->by,
                                             .reason = (char *)(uintptr_t)(d->reason ? d->reason : ""),
                                             .seen = text_format("%s %.16s", state, sha256)};
    return status_ok();
}

static Status ask_for_made(void *self, const MadeClip *c)
{
    return ask_for(self, c->clip_id, c->state, c->sha256, false);
}

static Status ask_for_named(void *self, const ClipRow *r)
{
    return ask_for(self, r->clip_id, r->state, r->sha256, true);
}

static Status find_meant(Ledger *l, Decision *d)
{
    for (int i = 0; i < d->clips; i++) {
        const int64_t before = d->meant;
        TRY(ledger_read_clips(l, d->clip[i], (ClipSink){ask_for_named, d}));
        if (d->meant == before)
            return status_fail(ERR_INPUT, "%s: no clip \"%s\"; the ids are the customers' (delivery.csv lists them)",
                               d->folder, d->clip[i]);
    }
    if (d->clips == 0) TRY(ledger_read_made(l, d->filter, (MadeSink){ask_for_made, d}));
    return d->meant ? status_ok()
                    : status_fail(ERR_INPUT, "%s: no clip that is made meets all of these conditions", d->folder);
}

/* "2 clips wait for a run: `reelwright run ...`" */
static void print_next(const Decision *d)
{
    Ledger *l = NULL;
    Snapshot s = {0};
    if (failed(ledger_open(d->folder, LEDGER_READ, &l)) || failed(ledger_read_snapshot(l, &s))) goto out;
    const bool rerender = ledger_review_event_of(d->verb) == EV_RERENDER;
    char *command = rerender ? suggest_run(&s, d->folder) : shell_suggest("deliver", d->folder, NULL);
    if (rerender)
        foreign_print(stdout, "`%s` makes what is left\n", command);
    else if (s.left == 0 && s.undecided == 0 && s.part.count <= 1 && s.clip_count[CLIP_APPROVED] > 0)
        foreign_print(stdout, "nothing waits for a decision any more; `%s` delivers\n", command);
    free(command);
out:
    snapshot_clear(&s);
    ledger_close(&l);
}

static void print_count(int64_t count, const char *what)
{
    if (count) foreign_print(stdout, "%lld %s\n", (long long)count, what);
}

static void print_answers(const Decision *d, const int64_t count[OUTCOMES], bool now)
{
    if (d->as_json) {
        foreign_print(stdout,
                      "{\"changed\": %lld, \"noted\": %lld, \"decided_by_others\": %lld, \"unchanged\": %lld, "
                      "\"open\": %lld, \"taken\": \"%s\"}\n",
                      (long long)count[OUTCOME_DONE], (long long)count[OUTCOME_NOTED], (long long)count[OUTCOME_OTHER],
                      (long long)(count[OUTCOME_NOTHING] + d->meant - d->count), (long long)count[OUTCOME_OPEN],
                      now ? "now" : "by the run that goes on");
        return;
    }
    foreign_print(stdout, "%s: %lld clip%s%s\n", d->verb, (long long)count[OUTCOME_DONE],
                  count[OUTCOME_DONE] == 1 ? "" : "s", d->count || !d->done_before ? "" : "; nothing to do");
    print_count(d->done_before, "so already");
    print_count(count[OUTCOME_NOTED], "noted: another reviewer's approval is awaited (four_eyes)");
    print_count(count[OUTCOME_OTHER], "not changed: somebody else decided meanwhile; `review list --all` says what");
    print_count(count[OUTCOME_OPEN], "left for the run that goes on, which takes them up");
    if (now && count[OUTCOME_DONE]) print_next(d);
}

static Status decide(Decision *d)
{
    Ledger *l;
    bool now = true;
    int64_t count[OUTCOMES] = {0};
    TRY(ledger_open(d->folder, LEDGER_READ, &l));
    d->ledger = l;
    Status status = find_meant(l, d);
    d->ledger = NULL;
    ledger_close(&l);
    TRY(status);
    RequestAnswer *answer = memory_get((size_t)d->count + 1, sizeof *answer);
    status = requests_decide(d->folder, d->request, d->count, TERMINAL_WAIT_MS, answer, &now);
    for (int64_t i = 0; i < d->count; i++) count[answer[i].outcome]++;
    free(answer);
    if (!failed(status) && now && d->count) status = conclude_pages(d->folder);
    if (!failed(status)) print_answers(d, count, now);
    if (failed(status) || count[OUTCOME_OTHER] == 0) return status;
    return status_fail(
        ERR_CLIP,
        "%lld of %lld clip%s: somebody else decided, or a new version was made, since you looked; nothing is "
        "changed there",
        (long long)count[OUTCOME_OTHER], (long long)d->count, plural_s(d->count));
}

/* ---- the page ----------------------------------------------------------------------------------------------------------------- */

static Status decide_on_page(void *self, const LedgerRequest *r, int64_t count, RequestAnswer *answer)
{
    bool now; /* the keeper writes the list and the report */
    return requests_decide(self, r, count, PAGE_WAIT_MS, answer, &now);
}

static void tell_next(void *self, const char *address)
{
    (void)self;
    foreign_print(stdout, "for another reviewer: %s\n", address);
    fflush(stdout);
}

static Status serve_until_signal(char *folder, int port)
{
    ReviewServer *s;
    sigset_t end;
    int which;
    sigemptyset(&end);
    sigaddset(&end, SIGINT);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    TRY(serve_review_start(folder, port, (ReviewHost){decide_on_page, tell_next, folder}, &s));
    char *address = serve_review_address(s);
    foreign_print(stdout, "%s\n", address);
    fflush(stdout);
    free(address);
    sigwait(&end, &which);
    serve_review_stop(&s);
    return status_ok();
}

static Status serve_page(char *folder, int port)
{
    Ledger *l;
    Keeper *keeper = NULL;
    TRY(ledger_open_shown(folder, &l)); /* fails here if DIR is no campaign's folder, before anything is printed */
    ledger_close(&l);
    if (!serve_review_can_decide(folder)) {
        log_line(LOG_WARNING,
                 "%s can only be read: the page shows the clips and takes no decision; to decide, review as the user "
                 "who started the run, where the folder can be written",
                 folder);
        return serve_until_signal(folder, port);
    }
    TRY(keeper_start(folder, &keeper));
    Status status = serve_until_signal(folder, port);
    keeper_stop(&keeper);
    return failed(status) ? status : conclude_pages(folder);
}

/* ---- the verb ---------------------------------------------------------------------------------------------------------------- */

/* The record holds names and reasons as they were given. */
static Status check_text(const char *option, const char *text, size_t most)
{
    const bool blank = !text[strspn(text, " \t")];
    if (!foreign_is_line(text))
        return status_fail(ERR_INPUT, "%s: expected one line of UTF-8 without control characters", option);
    if (blank) return status_fail(ERR_INPUT, "%s: expected a text", option);
    if (strlen(text) > most)
        return status_fail(ERR_INPUT, "%s: %zu bytes, expected at most %zu", option, strlen(text), most);
    return status_ok();
}

static Status decide_by(const char *what, char **argv, int argc, const OptionTexts *where, Decision *d)
{
    Ledger *l;
    char word[32];
    if (!d->by) d->by = getenv("USER");
    if (!d->by || !*d->by) return status_fail(ERR_INPUT, "review: who decides? Add --by NAME");
    TRY(check_text("--by", d->by, MOST_NAME));
    if (d->reason) TRY(check_text("--reason", d->reason, MOST_REASON));
    if (strcmp(what, "reject") == 0 && !d->reason)
        return status_fail(ERR_INPUT, "review reject: expected --reason TEXT: the list says it");
    if (argc < 2 && where->count == 0)
        return status_fail(ERR_INPUT, "review %s: expected clips, or --where state=held and the like", what);
    if (argc > 1 && where->count) return status_fail(ERR_INPUT, "review %s: expected clips or --where, not both", what);
    snprintf(word, sizeof word, "review %s", what);
    d->folder = argv[0];
    d->clip = argv + 1;
    d->clips = argc - 1;
    d->verb = word;
    TRY(ledger_open_shown(d->folder, &l));
    Status status = ledger_make_filter(l, where->text, where->count, &d->filter);
    ledger_close(&l);
    if (!failed(status)) status = decide(d);
    clear_requests(d);
    free(d->filter);
    return status;
}

Status verb_review(int argc, char **argv)
{
    Decision d = {0};
    OptionTexts where = {0};
    bool all = false;
    int first, port = 0;
    const Option table[] = {
        {"by", OPTION_TEXT, &d.by, .value = "NAME", .help = "who decides ($USER)"},
        {"reason", OPTION_TEXT, &d.reason, .value = "TEXT", .help = "why; a rejection needs one"},
        {"where", OPTION_TEXTS, &where, .value = "COLUMN=VALUE",
         .help = "many at once: state=held, gate=flicker, city=Berlin; given again: all must hold"},
        {"all", OPTION_FLAG, &all, .help = "list also what is decided"},
        {"json", OPTION_FLAG, &d.as_json, .help = "for a program"},
        {"port", OPTION_INT, &port, .value = "N", .min = 1, .max = 65535, .help = "of the page (one that is free)"},
    };
    const Usage usage = {
        .verb = "review",
        .arguments = "DIR | list|approve|reject|reopen|rerender DIR [CLIP...] [options]",
        .about = "With DIR alone: a page on this machine, until Ctrl-C. Else from here: what people decide about\n"
                 "finished clips, those that a gate holds and those that the campaign's policy shows. A rejected\n"
                 "clip stays out, and the list says why; a rerendered one gets another seed and is made by the run\n"
                 "that goes on or the next one; reopen takes a decision back. An approved clip is delivered by\n"
                 "`deliver` or at a run's end.",
        .option = table,
        .option_count = (int)(sizeof table / sizeof *table),
        .min_arguments = 1,
        .max_arguments = 1 << 20};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    const char *what = argv[first];
    if (first + 1 == argc) return serve_page(argv[first], port);
    if (strcmp(what, "list") == 0) return list_all(argv[first + 1], &where, all, d.as_json);
    if (strcmp(what, "approve") == 0 || strcmp(what, "reject") == 0 || strcmp(what, "rerender") == 0 ||
        strcmp(what, "reopen") == 0)
        return decide_by(what, argv + first + 1, argc - first - 1, &where, &d);
    return status_fail(ERR_INPUT, "review %.40s: expected list, approve, reject, reopen or rerender", what);
}
