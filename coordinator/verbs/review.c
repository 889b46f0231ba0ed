/* review.c - `reelwright review list|approve|reject|rerender DIR`: what people decide about finished clips, from a terminal. While a run goes on, its
 * coordinator takes the decisions up within a second; else they are written at once. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/moment.h"
#include "common/options.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/ledger/lock.h"
#include "coordinator/ledger/view.h"
#include "coordinator/verbs/verbs.h"
#include "coordinator/watch/serve_review.h"

/* ---- list ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    bool all; /* also what is decided */
    json_t *held, *other;
} Listing;

static bool is_one_of(const char *state, const ClipState *list, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(state, ledger_clip_state_name(list[i])) == 0) return true;
    return false;
}

static json_t *gates_of(const json_t *document)
{
    json_t *gates = json_object_get(json_object_get(document, "gates"), "gates");
    return gates ? json_incref(gates) : json_object();
}

static Status list_clip(void *self, const ClipRow *r)
{
    static const ClipState open[] = {CLIP_HELD, CLIP_REVIEW},
                           decided[] = {CLIP_APPROVED, CLIP_DELIVERED, CLIP_REJECTED};
    Listing *l = self;
    if (!is_one_of(r->state, open, 2) && !(l->all && is_one_of(r->state, decided, 3))) return status_ok();
    json_t *document = *r->result ? json_loads(r->result, 0, NULL) : NULL,
           *held_by = json_object_get(document, "held_by");
    json_t *j = json_pack("{s:s, s:s, s:o, s:o, s:s, s:s, s:s}", "clip", r->clip_id, "state", r->state, "held_by",
                          json_is_array(held_by) ? json_incref(held_by) : json_array(), "gates", gates_of(document),
                          "reviewer", r->reviewer, "reason", r->reason, "file", r->file);
    json_decref(document);
    return json_array_append_new(strcmp(r->state, ledger_clip_state_name(CLIP_HELD)) == 0 ? l->held : l->other, j) == 0
               ? status_ok()
               : status_fail(ERR_NODE, "out of memory");
}

static void print_clip(const json_t *j)
{
    const char *reason = json_string_value(json_object_get(j, "reason")),
               *by = json_string_value(json_object_get(j, "reviewer")), *gate;
    json_t *one;
    foreign_print(stdout, "  %-16s %-10s %s", json_string_value(json_object_get(j, "clip")),
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

static Status list_all(const char *folder, bool all, bool as_json)
{
    Ledger *l;
    Listing listing = {all, json_array(), json_array()};
    size_t i;
    json_t *one;
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = ledger_read_clips(l, NULL, (ClipSink){list_clip, &listing});
    ledger_close(&l);
    json_array_extend(listing.held, listing.other); /* the held ones first */
    if (!failed(status) && as_json) {
        json_dumpf(listing.held, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        putchar('\n');
    } else if (!failed(status)) {
        foreign_print(stdout, "%zu clip%s\n", json_array_size(listing.held),
                      json_array_size(listing.held) == 1 ? "" : "s");
        json_array_foreach(listing.held, i, one) print_clip(one);
    }
    json_decref(listing.held);
    json_decref(listing.other);
    return status;
}

/* ---- decisions ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *folder, *by, *reason;
    char *verb, *filter; /* filter "": the clips by name */
    char *const *clip;
    int clips;
    bool as_json, quiet;
} Decision;

static LedgerRequest request_of(const Decision *d, int i)
{
    return (LedgerRequest){.verb = d->verb,
                           .clip_id = (char *)(uintptr_t)(d->clips ? d->clip[i] : ""),
                           .filter = d->filter,
                           .reviewer = (char *)(uintptr_t)d->by,
                           .reason = (char *)(uintptr_t)(d->reason ? d->reason : "")};
}

/* Before anything is written: every clip is there and can take it. */
static Status check_meant(Ledger *l, const Decision *d, int64_t *changes)
{
    *changes = 0;
    for (int i = 0; i < (d->clips ? d->clips : 1); i++) {
        const LedgerRequest r = request_of(d, i);
        int64_t meant, changed;
        TRY(ledger_count_meant(l, &r, &meant, &changed));
        if (d->clips && meant == 0)
            return status_fail(ERR_INPUT, "%s: no clip \"%s\"; the ids are the customers' (delivery.csv lists them)",
                               d->folder, d->clip[i]);
        if (d->clips && changed == 0)
            return status_fail(ERR_INPUT,
                               "%s: clip \"%s\" is in a state that cannot take it; `reelwright explain` says which",
                               d->folder, d->clip[i]);
        *changes += changed;
    }
    return *changes ? status_ok() : status_fail(ERR_INPUT, "%s: no clip meets that", d->folder);
}

static Status write_now(Ledger *l, const Decision *d, int64_t *changed)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    TRY(ledger_begin_epoch(l, host, (int)getpid(), moment_wall_s()));
    Status status = ledger_begin(l, moment_wall_s());
    for (int i = 0; i < (d->clips ? d->clips : 1) && !failed(status); i++) {
        const LedgerRequest r = request_of(d, i);
        int64_t one = 0;
        status = ledger_apply_request(l, &r, &one);
        *changed += one;
    }
    if (!failed(status))
        status = ledger_commit(l);
    else
        ledger_rollback(l);
    const Status ended = ledger_end_epoch(l, "review", moment_wall_s());
    return failed(status) ? status : ended;
}

static Status leave_requests(Ledger *l, const Decision *d)
{
    for (int i = 0; i < (d->clips ? d->clips : 1); i++) {
        const LedgerRequest r = request_of(d, i);
        TRY(ledger_request(l, &r, moment_wall_s()));
    }
    return status_ok();
}

static void print_done(const Decision *d, int64_t changed, bool now)
{
    if (d->as_json)
        foreign_print(stdout, "{\"changed\": %lld, \"taken\": \"%s\"}\n", (long long)changed,
                      now ? "now" : "by the run that goes on");
    else
        foreign_print(stdout, "%s: %lld clip%s%s\n", d->verb, (long long)changed, changed == 1 ? "" : "s",
                      now ? "" : "; the run that goes on takes it up");
}

static Status decide(const Decision *d)
{
    Ledger *l;
    int lock = -1;
    int64_t changes, changed = 0;
    TRY(ledger_open(d->folder, LEDGER_READ, &l));
    Status status = check_meant(l, d, &changes);
    ledger_close(&l);
    TRY(status);
    const bool now = !failed(lock_take(d->folder, false, &lock));
    status = ledger_open(d->folder, LEDGER_WRITE, &l);
    if (!failed(status)) status = now ? write_now(l, d, &changed) : leave_requests(l, d);
    ledger_close(&l);
    if (!failed(status) && now) status = conclude_pages(d->folder);
    lock_release(&lock);
    if (!failed(status) && !d->quiet) print_done(d, now ? changed : changes, now);
    return status;
}

/* ---- the page ----------------------------------------------------------------------------------------------------------------- */

static Status look_at_state(void *self, const ClipRow *r)
{
    snprintf(self, 32, "%s", r->state);
    return status_ok();
}

/* Two people who look at once: who comes second is told, and nothing is decided twice. */
static Status check_seen(const char *folder, const char *clip, const char *seen)
{
    Ledger *l;
    char state[32] = "";
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = ledger_read_clips(l, clip, (ClipSink){look_at_state, state});
    ledger_close(&l);
    if (!failed(status) && *seen && strcmp(state, seen) != 0)
        status = status_fail(ERR_INPUT, "%s is %s meanwhile; somebody else has decided", clip, state);
    return status;
}

static Status decide_on_page(void *self, const char *verb, const char *clip, const char *seen, const char *by,
                             const char *reason)
{
    static const char *const known[] = {"approve", "reject", "rerender", "reopen"};
    char word[32];
    bool good = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) good = good || strcmp(verb, known[i]) == 0;
    if (!good) return status_fail(ERR_INPUT, "no such decision");
    if (!*by) return status_fail(ERR_INPUT, "who decides?");
    if (strcmp(verb, "reject") == 0 && !*reason) return status_fail(ERR_INPUT, "a rejection needs a reason");
    TRY(check_seen(self, clip, seen));
    snprintf(word, sizeof word, "review %s", verb);
    char *const one[] = {(char *)(uintptr_t)clip};
    const Decision d = {.folder = self,
                        .by = by,
                        .reason = reason,
                        .verb = word,
                        .filter = (char *)(uintptr_t) "",
                        .clip = one,
                        .clips = 1,
                        .quiet = true};
    return decide(&d);
}

static Status serve_page(char *folder, int port)
{
    ReviewServer *s;
    sigset_t end;
    int which;
    Ledger *l;
    TRY(ledger_open(folder, LEDGER_READ, &l)); /* a campaign's, before anything is printed */
    ledger_close(&l);
    sigemptyset(&end);
    sigaddset(&end, SIGINT);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    TRY(serve_review_start(folder, port, (ReviewHost){decide_on_page, folder}, &s));
    foreign_print(stdout, "%s\n", serve_review_address(s));
    fflush(stdout);
    sigwait(&end, &which);
    serve_review_stop(&s);
    return status_ok();
}

/* ---- the verb ---------------------------------------------------------------------------------------------------------------- */

static Status decide_by(const char *verb, char **argv, int argc, const OptionTexts *where, Decision *d)
{
    Ledger *l;
    char word[32];
    if (!d->by) d->by = getenv("USER");
    if (!d->by || !*d->by) return status_fail(ERR_INPUT, "review: who decides? Add --by NAME");
    if (strcmp(verb, "reject") == 0 && !d->reason)
        return status_fail(ERR_INPUT, "review reject: expected --reason TEXT: the list says it");
    if (argc < 2 && where->count == 0)
        return status_fail(ERR_INPUT, "review %s: expected clips, or --where state=held and the like", verb);
    if (argc > 1 && where->count) return status_fail(ERR_INPUT, "review %s: expected clips or --where, not both", verb);
    snprintf(word, sizeof word, "review %s", verb);
    d->folder = argv[0];
    d->clip = argv + 1;
    d->clips = argc - 1;
    d->verb = word;
    TRY(ledger_open(d->folder, LEDGER_READ, &l));
    Status status = ledger_make_filter(l, where->text, where->count, &d->filter);
    ledger_close(&l);
    if (!failed(status)) status = decide(d);
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
        {.name = "by", .kind = OPTION_TEXT, .to = &d.by, .value = "NAME", .help = "who decides ($USER)"},
        {.name = "reason", .kind = OPTION_TEXT, .to = &d.reason, .value = "TEXT", .help = "why; a rejection needs one"},
        {.name = "where",
         .kind = OPTION_TEXTS,
         .to = &where,
         .value = "COLUMN=VALUE",
         .help = "many at once: state=held, city=Berlin"},
        {.name = "all", .kind = OPTION_FLAG, .to = &all, .help = "list also what is decided"},
        {.name = "json", .kind = OPTION_FLAG, .to = &d.as_json, .help = "for a program"},
        {.name = "port",
         .kind = OPTION_INT,
         .to = &port,
         .value = "N",
         .min = 1,
         .max = 65535,
         .help = "of the page (one that is free)"},
    };
    const Usage usage = {
        .verb = "review",
        .arguments = "DIR | list|approve|reject|reopen|rerender DIR [CLIP...] [options]",
        .about =
            "With DIR alone: a page on this machine, until Ctrl-C. Else from here: what people decide about finished\n"
            "clips, those that a gate holds and those that the campaign's policy\n"
            "shows. A rejected clip stays out, and the list says why; a rerendered one gets another seed and is made\n"
            "by the run that goes on or the next one. An approved one is delivered by `deliver` or at a run's end.",
        .option = table,
        .option_count = (int)(sizeof table / sizeof *table),
        .min_arguments = 1,
        .max_arguments = 1 << 20};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    const char *what = argv[first];
    if (first + 1 == argc) return serve_page(argv[first], port);
    if (strcmp(what, "list") == 0) return list_all(argv[first + 1], all, d.as_json);
    if (strcmp(what, "approve") == 0 || strcmp(what, "reject") == 0 || strcmp(what, "rerender") == 0 ||
        strcmp(what, "reopen") == 0)
        return decide_by(what, argv + first + 1, argc - first - 1, &where, &d);
    return status_fail(ERR_INPUT, "review %.40s: expected list, approve, reject, reopen or rerender", what);
}
