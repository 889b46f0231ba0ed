/* cameo.c - `reelwright cameo ...`: people and what they allow. Here are the table of its verbs, `challenge`, and what is about the store itself;
 * grant and revoke are in cameo_consent.c, list, show and export in cameo_show.c. What reads pictures, sound and video (add, verify) is the
 * worker's (worker/verbs/verb_cameo.c); main.c knows which is whose. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/foreign.h"
#include "common/options.h"
#include "common/plural.h"
#include "coordinator/verbs/cameo.h"
#include "coordinator/verbs/verbs.h"
#include "trust/trust.h"

/* ---- challenge ---- */

static void print_challenge(const char *id, const TrustChallenge *c)
{
    char until[TRUST_TIME_BYTES];
    trust_time_text(c->until_s, until);
    foreign_print(stdout,
                  "Ask the person to say one of these sentences in front of a camera:\n\n  %s\n  %s\n\n"
                  "The code is %s; it can be used once, before %s.\n"
                  "then  reelwright cameo verify %s --recording FILE --by YOUR-NAME\n",
                  c->sentence[0], c->sentence[1], c->passcode, until, id);
}

static Status challenge(int argc, char **argv)
{
    const char *where = NULL, *id;
    TrustStore *s = NULL;
    TrustChallenge c = {0};
    const Option table[] = {cameo_trust_option(&where)};
    TRY(cameo_read_id(
        "cameo challenge",
        "Prints a sentence with a code that can be used once, within 30 minutes. The person says it into a camera:\n"
        "that shows that they are there now, and agree.",
        " [--trust DIR]", table, 1, argc, argv, &id));
    if (!id) return status_ok();
    TRY(trust_open(where, TRUST_WRITE, &s));
    Status status = trust_challenge(s, id, cameo_now(), &c);
    if (!failed(status)) print_challenge(id, &c);
    trust_challenge_clear(&c);
    trust_close(&s);
    return status;
}

/* ---- the store itself ---- */

static Status check(int argc, char **argv)
{
    const char *where = NULL, *by = NULL, *reason = NULL;
    int first, cameos, consents;
    int64_t lines;
    bool reset = false;
    TrustStore *s = NULL;
    const Option table[] = {
        cameo_trust_option(&where),
        {"reset-clock", OPTION_FLAG, &reset,
         .help = "the store has seen a time that was wrong: the real one counts again"},
        {"by", OPTION_TEXT, &by, .value = "NAME"},
        {"reason", OPTION_TEXT, &reason, .value = "TEXT", .help = "who says so, and why; both go into the log"}};
    const Usage usage = {.verb = "cameo check",
                         .arguments = "[--trust DIR]",
                         .about = "Reads all of the store and compares it with its signatures, hashes and log.",
                         .option = table,
                         .option_count = 4};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    if (reset && (!by || !reason)) return status_fail(ERR_INPUT, "--reset-clock: expected --by NAME and --reason TEXT");
    TRY(trust_open(where, reset ? TRUST_WRITE : TRUST_READ, &s));
    Status status = reset ? trust_reset_clock(s, by, reason, cameo_now()) : status_ok();
    if (!failed(status)) status = trust_check(s, &lines, &cameos, &consents);
    if (!failed(status))
        foreign_print(stdout, "%s: fine: %lld line%s of log, %d cameo%s, %d consent%s\n", trust_folder(s),
                      (long long)lines, plural_s(lines), cameos, plural_s(cameos), consents, plural_s(consents));
    int64_t ahead = failed(status) ? 0 : trust_now(s, cameo_now()) - cameo_now();
    if (ahead > 3600)
        foreign_print(
            stdout,
            "the log has seen a time %lld h ahead of this clock; if that one was wrong: cameo check --reset-clock "
            "--by NAME --reason TEXT\n",
            (long long)ahead / 3600);
    trust_close(&s);
    return status;
}

static Status rotate(int argc, char **argv)
{
    const char *where = NULL;
    int first;
    TrustStore *s = NULL;
    const Option table[] = {cameo_trust_option(&where)};
    const Usage usage = {
        .verb = "cameo rotate",
        .arguments = "[--trust DIR]",
        .about = "Gives the store another secret key, in the file of the old one. What was signed so far still counts.",
        .option = table,
        .option_count = 1};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    TRY(trust_open(where, TRUST_WRITE, &s));
    Status status = trust_rotate(s, cameo_now());
    if (!failed(status)) foreign_print(stdout, "%s: has another key\n", trust_folder(s));
    trust_close(&s);
    return status;
}

static const struct {
    const char *name, *summary;
    Status (*run)(int argc, char **argv); /* NULL: the worker's */
} subverbs[] = {{"add", "a person: face, voice", NULL},
                {"challenge", "a sentence that shows who is there", challenge},
                {"verify", "judge the recording of it", NULL},
                {"grant", "note what the person agreed to", cameo_grant},
                {"revoke", "take it back", cameo_revoke},
                {"list", "everybody, and what they allow", cameo_list},
                {"show", "one person's agreements in plain words", cameo_show},
                {"export", "everything that is stored about a person", cameo_export},
                {"check", "compare the store with its signatures", check},
                {"rotate", "give the store another key", rotate}};
enum { SUBVERBS = (int)(sizeof subverbs / sizeof *subverbs) };

bool verb_cameo_needs_media(int argc, char **argv)
{
    return argc > 1 && (strcmp(argv[1], "add") == 0 || strcmp(argv[1], "verify") == 0);
}

Status verb_cameo(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        foreign_print(stdout,
                      "usage: reelwright cameo VERB [ID] [options]\nPeople, their likeness, and what they allow.\n\n");
        for (int i = 0; i < SUBVERBS; i++) foreign_print(stdout, "  %-10s %s\n", subverbs[i].name, subverbs[i].summary);
        foreign_print(stdout, "\n`reelwright cameo VERB --help` says what each takes.\n");
        return argc < 2 ? status_fail(ERR_INPUT, "cameo: expected a verb") : status_ok();
    }
    const char *names[SUBVERBS];
    for (int i = 0; i < SUBVERBS; i++) {
        if (strcmp(subverbs[i].name, argv[1]) == 0 && subverbs[i].run) return subverbs[i].run(argc - 1, argv + 1);
        names[i] = subverbs[i].name;
    }
    const char *near = options_nearest(argv[1], names, SUBVERBS);
    return status_fail(ERR_INPUT, "cameo %.40s: unknown%s%s%s", argv[1], near ? "; did you mean \"" : "",
                       near ? near : "", near ? "\"?" : "; `reelwright cameo --help` lists them");
}
