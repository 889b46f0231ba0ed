/* control.c - `pause`, `resume`, `cancel`, `retry`, `priority`, `pilot` and `deliver`: steering a campaign from another terminal.
 *
 * Only the coordinator changes states. The steering verbs leave a request in the ledger, which a running coordinator takes
 * up within a second and the next run at its start. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/ledger/view.h"
#include "coordinator/verbs/verbs.h"

typedef struct {
    int64_t count[CLIP_STATES];
} States;

static Status count_state(void *self, const ClipRow *r)
{
    States *s = self;
    ClipState state;
    if (ledger_find_clip_state(r->state, &state)) s->count[state]++;
    return status_ok();
}

/* "nothing changes: it is delivered; retry tries failed clips again"; free() it. */
static char *why_nothing(Ledger *l, const LedgerRequest *r, int64_t meant)
{
    static const struct {
        const char *verb, *takes;
    } what[] = {{"pause", "pause holds planned clips"},
                {"resume", "resume takes up paused and cancelled clips"},
                {"cancel", "cancel leaves out clips that are planned, paused or in work"},
                {"retry", "retry tries failed clips again; a file that was lost is made again by the next run"}};
    States states = {{0}};
    const char *takes = "", *is = "in other states";
    for (size_t i = 0; i < sizeof what / sizeof *what; i++)
        if (strcmp(what[i].verb, r->verb) == 0) takes = what[i].takes;
    if (*r->clip_id && !failed(ledger_read_clips(l, r->clip_id, (ClipSink){count_state, &states})))
        for (int i = 0; i < CLIP_STATES; i++)
            if (states.count[i]) is = ledger_clip_state_name((ClipState)i);
    if (!*r->clip_id && !*r->filter)
        return text_format("nothing changes: none has failed; %s", takes); /* retry of all */
    return text_format("nothing changes: %s %s; %s", meant == 1 ? "it is" : "they are", is, takes);
}

static Status has_waiting(Ledger *l, bool *any)
{
    LedgerRequest waiting = {0};
    TRY(ledger_next_request(l, &waiting));
    *any = waiting.id != 0;
    ledger_request_clear(&waiting);
    return status_ok();
}

/* Of a verb for the whole campaign: why it would change nothing, where that is certain, because no run goes on and no request waits for
 * the next one. NULL: it may change something. */
static Status why_in_vain(Ledger *l, const Snapshot *s, const char *verb, const char **why)
{
    const ControlState wanted = strcmp(verb, "pause") == 0    ? CONTROL_PAUSED
                                : strcmp(verb, "cancel") == 0 ? CONTROL_CANCELLED
                                                              : CONTROL_NONE;
    const bool steers = wanted != CONTROL_NONE || strcmp(verb, "resume") == 0;
    bool any;
    *why = NULL;
    if (!steers || snapshot_goes_on(s, moment_wall_s())) return status_ok();
    TRY(has_waiting(l, &any));
    if (any) return status_ok();
    if (s->control == wanted)
        *why = wanted == CONTROL_PAUSED      ? "the campaign is paused already"
               : wanted == CONTROL_CANCELLED ? "the campaign is cancelled already"
                                             : "the campaign is neither paused nor cancelled";
    else if (wanted != CONTROL_NONE && s->left == 0)
        *why = "no clip is left to be made";
    return status_ok();
}

/* Leaves the request and prints what it changes. A request for clips must select some. One that changes nothing is left only where others
 * wait before it or a run goes on, for then the clips may be in other states when it is taken: the next run would do to a clip that an
 * update makes again what was said to do nothing. The reader *l is closed first: then the writer may
 * be the last to close the ledger, and SQLite moves what a killed run left in the write-ahead log into the file. */
static Status leave_request(Ledger **l, const Snapshot *s, const LedgerRequest *r, const char *folder)
{
    Ledger *writer = NULL;
    int64_t meant = 0, changed = 0;
    bool clips = *r->clip_id || *r->filter || strcmp(r->verb, "retry") == 0;
    if (clips) TRY(ledger_count_selected(*l, r, &meant, &changed));
    const bool running = snapshot_goes_on(s, moment_wall_s());
    bool waits = false;
    if (clips && !running) TRY(has_waiting(*l, &waits));
    char *why = clips && meant > 0 && changed == 0 && !waits ? why_nothing(*l, r, meant) : NULL;
    ledger_close(l);
    if (meant == 0) free(why), why = NULL;
    if (clips && meant == 0 && *r->clip_id)
        return status_fail(ERR_INPUT, "%s: no clip \"%s\"; the ids are the customers' (delivery.csv lists them)",
                           folder, r->clip_id);
    if (clips && meant == 0) return status_fail(ERR_INPUT, "%s: no clip meets all of these conditions", folder);
    if (!why || running) {
        TRY(ledger_open(folder, LEDGER_WRITE, &writer));
        Status status = ledger_request(writer, r, moment_wall_s());
        ledger_close(&writer);
        TRY(status);
    }
    foreign_print(stdout, "%s: %s%s%s", s->name, r->verb, *r->clip_id ? " " : "", r->clip_id);
    if (clips) foreign_print(stdout, ", %lld of %lld clip%s", (long long)changed, (long long)meant, plural_s(meant));
    if (strcmp(r->verb, "priority") == 0) foreign_print(stdout, " %lld", (long long)r->number);
    foreign_print(stdout, "\n");
    if (why) foreign_print(stdout, "%s\n", why);
    if (!running && !why) foreign_print(stdout, "no run is going on: the next one takes it up\n");
    free(why);
    return status_ok();
}

/* The request is for one clip, for the clips that meet `where`, or, with neither, for the campaign. */
static Status ask(const char *folder, const char *verb, const char *clip, const OptionTexts *where, int64_t number)
{
    Ledger *l = NULL;
    Snapshot s = {0};
    char *filter = NULL;
    Status status = status_ok();
    TRY_OUT(ledger_open_shown(folder, &l));
    TRY_OUT(ledger_read_snapshot(l, &s));
    TRY_OUT(ledger_make_filter(l, where ? where->text : NULL, where ? where->count : 0, &filter));
    LedgerRequest r = {.verb = (char *)(uintptr_t)verb,
                       .clip_id = (char *)(uintptr_t)(clip ? clip : ""),
                       .filter = filter,
                       .number = number};
    const char *in_vain = NULL;
    if (!clip && !*filter) TRY_OUT(why_in_vain(l, &s, verb, &in_vain));
    if (in_vain)
        foreign_print(stdout, "%s: %s\nnothing changes: %s\n", s.name, verb, in_vain);
    else
        TRY_OUT(leave_request(&l, &s, &r, folder));
    int64_t paused = s.clip_count[CLIP_PAUSED];
    if (strcmp(verb, "resume") == 0 && !clip && !*filter && paused > 0) {
        char *command = shell_suggest("resume --where state=paused", folder, NULL);
        foreign_print(stdout, "%lld clip%s paused; `%s` resumes %s\n", (long long)paused,
                      paused == 1 ? " stays" : "s stay", command, paused == 1 ? "it" : "them");
        free(command);
    }
out:
    ledger_close(&l);
    snapshot_clear(&s);
    free(filter);
    return status;
}

static Status steer(int argc, char **argv, const char *about)
{
    OptionTexts where = {0};
    const Option table[] = {{"where", OPTION_TEXTS, &where, .value = "COLUMN=VALUE",
                             .help = "the clips whose row says so; also !=, and state=failed; several: all of them"}};
    const Usage usage = {.verb = argv[0],
                         .arguments = "DIR [CLIP | --where COLUMN=VALUE]",
                         .about = about,
                         .option = table,
                         .option_count = 1,
                         .min_arguments = 1,
                         .max_arguments = 2};
    int first;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    return ask(argv[first], argv[0], argv[first + 1], &where, 0); /* argv ends with NULL */
}

Status verb_pause(int argc, char **argv)
{
    return steer(argc, argv,
                 "No further shot is handed out: of the whole campaign, or of one clip, or of those that meet every\n"
                 "--where. What is in work is finished. `resume` goes on.");
}

Status verb_resume(int argc, char **argv)
{
    return steer(
        argc, argv,
        "Goes on with a campaign that was paused or cancelled, or with clips of it that were. Clips that were\n"
        "paused by themselves stay so when the campaign is resumed.");
}

Status verb_cancel(int argc, char **argv)
{
    return steer(
        argc, argv,
        "Without clips: what is in work is checkpointed and given back, and the run ends; `resume`, then `run`,\n"
        "goes on. With clips: they are not made, the rest is; in the list they stand as cancelled.");
}

Status verb_retry(int argc, char **argv)
{
    OptionTexts where = {0};
    const char *seed = NULL;
    const Option table[] = {
        {"where", OPTION_TEXTS, &where, .value = "COLUMN=VALUE",
         .help = "the clips whose row says so; also !=, and state=failed; several: all of them"},
        {"seed", OPTION_TEXT, &seed, .value = "N", .help = "one clip, also a good one, again with this seed"}};
    const Usage usage = {
        .verb = "retry",
        .arguments = "DIR [CLIP | --where COLUMN=VALUE]",
        .about =
            "Failed clips (all, or the one, or those that meet every --where) are tried again, by the run that goes\n"
            "on or the next one. What failed together with them, for it shares the render, is tried with them.",
        .option = table,
        .option_count = sizeof table / sizeof *table,
        .min_arguments = 1,
        .max_arguments = 2};
    int first;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    if (!seed) return ask(argv[first], "retry", argv[first + 1], &where, 0); /* argv ends with NULL */
    char *end;
    errno = 0;
    const long long number = strtoll(seed, &end, 10);
    if (strspn(seed, "0123456789") != strlen(seed) || !*seed || *end || errno)
        return status_fail(ERR_INPUT, "--seed %.40s: expected a whole number from 0 to %lld", seed, LLONG_MAX);
    if (!argv[first + 1] || where.count)
        return status_fail(ERR_INPUT, "--seed: expected one clip, `reelwright retry --seed %s DIR CLIP`", seed);
    return ask(argv[first], "reseed", argv[first + 1], NULL, number);
}

Status verb_priority(int argc, char **argv)
{
    const Usage usage = {
        .verb = "priority",
        .arguments = "DIR NUMBER",
        .about = "Of several campaigns in one run those of higher priority go first, -100 to 100, one at a\n"
                 "time; one that comes to be above the one that works takes over at its next step. Holds\n"
                 "until it is set again, here or by another `priority` in the campaign file.",
        .min_arguments = 2,
        .max_arguments = 2};
    int first, number;
    char *end;
    /* a negative number is no option: it goes behind the mark that ends them */
    char *words[5] = {argv[0], (char *)(uintptr_t) "--", argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL, NULL};
    bool negative = argc == 3 && argv[2][0] == '-' && argv[2][1] >= '0' && argv[2][1] <= '9';
    TRY(options_read(&usage, negative ? 4 : argc, negative ? words : argv, &first));
    if (first < 0) return status_ok();
    char **word = (negative ? words : argv) + first;
    number = (int)strtol(word[1], &end, 10);
    if (!*word[1] || *end || strlen(word[1]) > 4 || number < -100 || number > 100)
        return status_fail(ERR_INPUT, "priority %.40s: expected a whole number from -100 to 100", word[1]);
    return ask(word[0], "priority", NULL, NULL, number);
}

/* ---- pilot ---- */

static Status print_pilot_clip(void *self, const ClipRow *r)
{
    const Snapshot *s = self;
    if (!r->pilot || strcmp(r->state, "refused") == 0) return status_ok();
    /* a clip that nobody has to look at is approved when it is finished; this one is looked at */
    const bool made = s->pilot == PILOT_OPEN && strcmp(r->state, "approved") == 0;
    foreign_print(stdout, "  %s%*s %-10s %s%s%s\n", r->clip_id, foreign_gap(r->clip_id, 12), "",
                  made ? "made" : r->state, r->file, *r->reason ? "because: " : "", r->reason);
    return status_ok();
}

static Status list_pilot(const char *folder)
{
    Ledger *l = NULL;
    Snapshot s = {0};
    Status status = status_ok();
    TRY_OUT(ledger_open_shown(folder, &l));
    TRY_OUT(ledger_read_snapshot(l, &s));
    if (s.pilot == PILOT_NONE) TRY_OUT(status_fail(ERR_INPUT, "%s: campaign \"%s\" has no pilot", folder, s.name));
    bool ready = s.pilot == PILOT_OPEN && s.pilot_left == 0;
    foreign_print(stdout, "%s: pilot of %lld clip%s, %s\n", s.name, (long long)s.pilot_clips, plural_s(s.pilot_clips),
                  ready                   ? "made, waiting for approval"
                  : s.pilot == PILOT_OPEN ? "being made"
                                          : ledger_pilot_state_name(s.pilot));
    TRY_OUT(ledger_read_clips(l, NULL, (ClipSink){print_pilot_clip, &s}));
    if (ready) {
        char *command = shell_suggest("pilot approve", folder, NULL);
        foreign_print(stdout, "look at %s/clips, then: %s, or reject\n", folder, command);
        free(command);
    }
out:
    ledger_close(&l);
    snapshot_clear(&s);
    return status;
}

static Status decide_pilot(const char *folder, const char *verb)
{
    Ledger *l = NULL;
    Snapshot s = {0};
    TRY(ledger_open_shown(folder, &l));
    Status status = ledger_read_snapshot(l, &s);
    ledger_close(&l);
    if (!failed(status) && s.pilot == PILOT_NONE)
        status = status_fail(ERR_INPUT, "%s: campaign \"%s\" has no pilot", folder, s.name);
    snapshot_clear(&s);
    return failed(status) ? status : ask(folder, verb, NULL, NULL, 0);
}

Status verb_pilot(int argc, char **argv)
{
    const Usage usage = {
        .verb = "pilot",
        .arguments = "list|approve|reject DIR",
        .about = "A campaign with `pilot: K` makes K clips of different renders first and waits. `list` shows\n"
                 "them, `approve` lets the rest be made by the run that waits or the next one, `reject` cancels\n"
                 "the campaign.",
        .min_arguments = 2,
        .max_arguments = 2};
    int first;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    const char *what = argv[first], *folder = argv[first + 1];
    if (strcmp(what, "list") == 0) return list_pilot(folder);
    if (strcmp(what, "approve") == 0 || strcmp(what, "reject") == 0) return decide_pilot(folder, what);
    return status_fail(ERR_INPUT, "pilot %.40s: expected list, approve or reject", what);
}

/* ---- deliver ---- */

Status verb_deliver(int argc, char **argv)
{
    const Usage usage = {
        .verb = "deliver",
        .arguments = "DIR",
        .about = "Copies approved clips into DIR/delivery, compares their hashes with the ledger's while copying, and\n"
                 "writes the delivery list there and in DIR. A run does the same at its end.",
        .min_arguments = 1,
        .max_arguments = 1};
    int first;
    TRY(options_read(&usage, argc, argv, &first));
    return first < 0 ? status_ok() : conclude_delivery(argv[first]);
}
