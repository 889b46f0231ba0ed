/* cameo.c - `reelwright cameo ...`: people and what they allow. What reads pictures, sound and video (add, verify) is the worker's
 * (worker/verbs/verb_cameo.c); main.c knows which is whose. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/log.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/plural.h"
#include "coordinator/deliver/erase.h"
#include "coordinator/deliver/reach.h"
#include "coordinator/verbs/verbs.h"
#include "trust/territory.h"
#include "trust/trust.h"

static int64_t now(void) { return (int64_t)moment_wall_s(); }

static Option trust_option(const char **to)
{
    return (Option){.name = "trust",
                    .kind = OPTION_TEXT,
                    .to = to,
                    .value = "DIR",
                    .help = "the trust store ($REELWRIGHT_TRUST, else ~/.local/share/reelwright/trust)"};
}

/* A verb with one id and these options, the first of which is --trust; *id is NULL when help was printed. */
static Status read_id(const char *verb, const char *about, const char *more, const Option *table, int count, int argc,
                      char **argv, const char **id)
{
    char arguments[128];
    int first;
    snprintf(arguments, sizeof arguments, "ID%s", more);
    const Usage usage = {.verb = verb,
                         .arguments = arguments,
                         .about = about,
                         .option = table,
                         .option_count = count,
                         .min_arguments = 1,
                         .max_arguments = 1};
    *id = NULL;
    TRY(options_read(&usage, argc, argv, &first));
    if (first >= 0) *id = argv[first];
    return status_ok();
}

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
    const Option table[] = {trust_option(&where)};
    TRY(read_id(
        "cameo challenge",
        "Prints a sentence with a code that can be used once, within 30 minutes. The person says it into a camera:\n"
        "that shows that they are there now, and agree.",
        " [--trust DIR]", table, 1, argc, argv, &id));
    if (!id) return status_ok();
    TRY(trust_open(where, TRUST_WRITE, &s));
    Status status = trust_challenge(s, id, now(), &c);
    if (!failed(status)) print_challenge(id, &c);
    trust_challenge_clear(&c);
    trust_close(&s);
    return status;
}

/* ---- grant ---- */

typedef struct {
    const char *where, *purpose, *until, *evidence;
    OptionTexts campaigns, brands, names, territories;
    int audience;
    bool face, voice;
} GrantOptions;

static void take_words(const OptionTexts *from, TrustWords *to)
{
    for (int i = 0; i < from->count; i++) trust_words_add(to, from->text[i]);
}

/* "de" is taken for DE */
static void take_territories(const OptionTexts *from, TrustWords *to)
{
    for (int i = 0; i < from->count; i++) {
        char name[TRUST_WORD_BYTES];
        snprintf(name, sizeof name, "%s", from->text[i]);
        for (char *p = name; *p; p++)
            if (*p >= 'a' && *p <= 'z') *p = (char)(*p - 'a' + 'A');
        trust_words_add(to, name);
    }
}

static Status grant_with(TrustStore *s, const char *id, const GrantOptions *o)
{
    char *evidence = NULL;
    size_t bytes = 0;
    TrustRecord r;
    TrustConsent c = {
        .purpose = text_copy(o->purpose), .audience = (TrustAudience)o->audience, .face = o->face, .voice = o->voice};
    Status status = status_ok();
    take_words(&o->campaigns, &c.campaigns);
    take_words(&o->brands, &c.brands);
    take_words(&o->names, &c.names);
    take_territories(&o->territories, &c.territories);
    if (!trust_parse_until(o->until, &c.until_s))
        TRY_OUT(
            status_fail(ERR_INPUT, "--until %.40s: expected a date, 2026-12-31, or 2026-12-31T18:00:00Z", o->until));
    if (!o->face && !o->voice) TRY_OUT(status_fail(ERR_INPUT, "expected --face, --voice or both: what may be used"));
    if (o->evidence) TRY_OUT(file_read(o->evidence, TRUST_MEDIUM_BYTES, &evidence, &bytes));
    TRY_OUT(trust_grant(s, id, &c, evidence, bytes, now()));
    TRY_OUT(trust_read_record(s, id, &r));
    trust_consent_tell(stdout, TRUST_ENGLISH, id, r.name, &c, now());
    if (!r.verified_s)
        fprintf(stderr,
                "cameo %s is not verified yet; until then nothing may be made with it: reelwright cameo challenge %s\n",
                id, id);
    trust_record_clear(&r);
out:
    free(evidence);
    trust_consent_clear(&c);
    return status;
}

static Status grant(int argc, char **argv)
{
    GrantOptions o = {.audience = TRUST_ONLY_ME};
    const char *id;
    TrustStore *s = NULL;
    const Option table[] = {
        trust_option(&o.where),
        {.name = "purpose",
         .kind = OPTION_TEXT,
         .to = &o.purpose,
         .value = "P",
         .required = true,
         .help = "what it is for; campaigns name the same"},
        {.name = "campaign",
         .kind = OPTION_TEXTS,
         .to = &o.campaigns,
         .value = "C",
         .help = "only in this campaign; several (any)"},
        {.name = "brand",
         .kind = OPTION_TEXTS,
         .to = &o.brands,
         .value = "B",
         .help = "only for this brand; several (any)"},
        {.name = "audience",
         .kind = OPTION_CHOICE,
         .to = &o.audience,
         .value = "only-me|named|anyone",
         .help = "who may be shown it (only-me)"},
        {.name = "for",
         .kind = OPTION_TEXTS,
         .to = &o.names,
         .value = "NAME",
         .help = "with --audience named: the customers' ids; several"},
        {.name = "territory",
         .kind = OPTION_TEXTS,
         .to = &o.territories,
         .value = "T",
         .help = "only there: DE, EU, ...; several (anywhere)"},
        {.name = "until",
         .kind = OPTION_TEXT,
         .to = &o.until,
         .value = "DATE",
         .required = true,
         .help = "the last day, 2026-12-31 (UTC)"},
        {.name = "face", .kind = OPTION_FLAG, .to = &o.face, .help = "the face may be used"},
        {.name = "voice", .kind = OPTION_FLAG, .to = &o.voice, .help = "the voice may be used"},
        {.name = "evidence",
         .kind = OPTION_TEXT,
         .to = &o.evidence,
         .value = "FILE",
         .help = "a document that shows it; minors and public figures need one"},
    };
    TRY(read_id("cameo grant", "Notes what the person has agreed to, signed, and prints it in plain words.",
                " --purpose P --until DATE --face|--voice [options]", table, (int)(sizeof table / sizeof *table), argc,
                argv, &id));
    if (!id) return status_ok();
    TRY(trust_open(o.where, TRUST_WRITE, &s));
    Status status = grant_with(s, id, &o);
    trust_close(&s);
    return status;
}

/* ---- revoke ---- */

typedef struct {
    bool erase;
    int64_t left; /* campaigns in which something is still to be done */
} Reaching;

static void tell_folder(void *self, const ReachedFolder *f)
{
    Reaching *r = self;
    r->left += f->how == REACH_FAILED || f->how == REACH_AWAY || (f->how == REACH_RUNS && r->erase);
    if (f->how == REACH_DONE && r->erase)
        foreign_print(stdout, "%s: %lld row%s erased, with what was made of them\n", f->folder, (long long)f->clips,
                      plural_s(f->clips));
    else if (f->how == REACH_DONE)
        foreign_print(stdout, "%s: %lld clip%s withdrawn; revoked.csv there says where each had gone\n", f->folder,
                      (long long)f->clips, plural_s(f->clips));
    else if (f->how == REACH_TOLD)
        foreign_print(stdout, "%s: %lld clip%s withdrawn before; who had got %s has taken that now\n", f->folder,
                      (long long)f->clips, plural_s(f->clips), f->clips == 1 ? "it" : "them");
    else if (f->how == REACH_RUNS)
        foreign_print(stdout, "%s: a run is going on; it takes back within a second%s\n", f->folder,
                      r->erase ? ". Say the same again when it has ended, to erase" : "");
    else if (f->how == REACH_AWAY)
        foreign_print(stdout, "%s: not there now; when it is back, `reelwright deliver` in it takes back\n", f->folder);
    else if (f->how == REACH_FAILED)
        foreign_print(stdout, "%s: not done: %s\n", f->folder, f->why);
}

static bool is_known(TrustStore *s, const char *id)
{
    char **all;
    int count;
    bool known = false;
    if (failed(trust_list(s, &all, &count))) return true; /* the next step says what is wrong */
    for (int i = 0; i < count; i++) {
        known = known || strcmp(all[i], id) == 0;
        free(all[i]);
    }
    free(all);
    return known;
}

/* First nothing is made or shown any more, then what was made goes, then what is stored. Who is erased already may still be in a campaign
 * that was away. */
static Status take_back_with(TrustStore *s, const char *id, int number, bool erase)
{
    Reaching r = {.erase = erase};
    const bool known = is_known(s, id);
    if (known || !erase) TRY(trust_revoke(s, id, number, now()));
    Status status = status_ok();
    if (erase && known) status = trust_erase(s, id, now());
    if (!failed(status))
        foreign_print(stdout,
                      erase    ? "cameo %s: everything that was stored is destroyed\n"
                      : number ? "cameo %s: consent %d is revoked\n"
                               : "cameo %s: all consents are revoked\n",
                      id, number);
    if (!failed(status)) status = reach_folders(s, erase ? id : NULL, erase_who(NULL), (ReachSink){tell_folder, &r});
    if (failed(status) || r.left == 0) return status;
    return status_fail(ERR_CLIP, "not done in %lld campaign%s that used the store", (long long)r.left,
                       plural_s(r.left));
}

static Status take_back(int argc, char **argv)
{
    const char *where = NULL, *id;
    int number = 0;
    bool erase = false;
    TrustStore *s = NULL;
    const Option table[] = {
        trust_option(&where),
        {.name = "consent",
         .kind = OPTION_INT,
         .to = &number,
         .value = "N",
         .min = 1,
         .max = 1e6,
         .help = "only this one (all of them)"},
        {.name = "erase",
         .kind = OPTION_FLAG,
         .to = &erase,
         .help = "also destroy everything that is stored about the person"},
    };
    TRY(read_id(
        "cameo revoke",
        "Takes consents back. Runs that use the store notice within a second. In campaigns that are finished, clips\n"
        "that show the person leave clips and delivery at once; revoked.csv of each lists where they had gone. With\n"
        "--erase their rows are erased there, too.",
        " [--consent N] [--erase]", table, 3, argc, argv, &id));
    if (!id) return status_ok();
    if (erase && number) return status_fail(ERR_INPUT, "--erase takes all consents: expected no --consent beside it");
    TRY(trust_open(where, TRUST_WRITE, &s));
    Status status = take_back_with(s, id, number, erase);
    trust_close(&s);
    return status;
}

/* ---- list ---- */

static void until_text(int64_t until_s, char text[TRUST_TIME_BYTES])
{
    const bool whole_day = until_s % 86400 == 0;
    trust_time_text(whole_day ? until_s - 1 : until_s, text);
    if (whole_day) text[strcspn(text, "T")] = 0;
}

static json_t *words_json(const TrustWords *w)
{
    json_t *list = json_array();
    for (int i = 0; i < w->count; i++) json_array_append_new(list, json_string(w->word[i]));
    return list;
}

static json_t *consent_json(const TrustConsent *c, int64_t now_s)
{
    char until[TRUST_TIME_BYTES];
    until_text(c->until_s, until);
    return json_pack("{s:i,s:s,s:o,s:o,s:s,s:o,s:o,s:s,s:b,s:b,s:s}", "number", c->number, "purpose", c->purpose,
                     "campaigns", words_json(&c->campaigns), "brands", words_json(&c->brands), "audience",
                     trust_audience_name(c->audience), "for", words_json(&c->names), "territories",
                     words_json(&c->territories), "until", until, "face", c->face, "voice", c->voice, "state",
                     trust_consent_state(c, now_s));
}

static json_t *cameo_json(const TrustRecord *r, const TrustConsents *c, int64_t now_s)
{
    char verified[TRUST_TIME_BYTES];
    json_t *list = json_array();
    for (int i = 0; i < c->count; i++) json_array_append_new(list, consent_json(&c->consent[i], now_s));
    trust_time_text(r->verified_s, verified);
    return json_pack("{s:s,s:s,s:b,s:b,s:b,s:b,s:o,s:o,s:o}", "id", r->id, "name", r->name, "face",
                     trust_count_media(r, "face") > 0, "voice", trust_count_media(r, "voice") > 0, "minor", r->minor,
                     "public_figure", r->public_figure, "verified_at",
                     r->verified_s ? json_string(verified) : json_null(), "verified_by",
                     r->verified_s ? json_string(r->verified_by) : json_null(), "consents", list);
}

static void print_cameo(const TrustRecord *r, const TrustConsents *c, int64_t now_s)
{
    foreign_print(stdout, "%-16s %s; %d picture%s of the face%s; %s%s\n", r->id, r->name, trust_count_media(r, "face"),
                  plural_s(trust_count_media(r, "face")), trust_count_media(r, "voice") ? ", a voice" : "",
                  r->verified_s ? "verified by " : "not verified", r->verified_s ? r->verified_by : "");
    for (int i = 0; i < c->count; i++) {
        const TrustConsent *k = &c->consent[i];
        char until[TRUST_TIME_BYTES];
        until_text(k->until_s, until);
        foreign_print(stdout, "  %3d %-8s %s, %s%s%s, until %s, shown to %s\n", k->number,
                      trust_consent_state(k, now_s), k->purpose, k->face ? "face" : "",
                      k->face && k->voice ? " and " : "", k->voice ? "voice" : "", until,
                      trust_audience_name(k->audience));
    }
}

static Status list_one(TrustStore *s, const char *id, json_t *all)
{
    TrustRecord r;
    TrustConsents c = {0};
    TRY(trust_read_record(s, id, &r));
    Status status = trust_read_consents(s, &r, &c);
    const int64_t now_s = trust_now(s, now());
    if (!failed(status) && all)
        json_array_append_new(all, cameo_json(&r, &c, now_s));
    else if (!failed(status))
        print_cameo(&r, &c, now_s);
    trust_consents_clear(&c);
    trust_record_clear(&r);
    return status;
}

static Status list_all(TrustStore *s, bool as_json)
{
    char **id;
    int count, unreadable = 0;
    json_t *all = as_json ? json_array() : NULL;
    Status status = trust_list(s, &id, &count);
    for (int i = 0; i < count; i++) {
        Status one = list_one(s, id[i], all);
        if (failed(one)) log_line(LOG_WARNING, "%s", one.message);
        unreadable += failed(one);
        free(id[i]);
    }
    free(id);
    if (!failed(status) && unreadable)
        status = status_fail(ERR_INPUT, "%d of %d cameo%s cannot be read", unreadable, count, plural_s(count));
    if (!failed(status) && all) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        foreign_print(stdout, "\n");
    } else if (!failed(status) && count == 0) {
        foreign_print(stdout, "no cameos in %s: reelwright cameo add ID --name NAME --face FILE\n", trust_folder(s));
    }
    json_decref(all);
    return status;
}

static Status list(int argc, char **argv)
{
    const char *where = NULL;
    bool as_json = false;
    int first;
    TrustStore *s = NULL;
    const Option table[] = {trust_option(&where),
                            {.name = "json", .kind = OPTION_FLAG, .to = &as_json, .help = "for programs"}};
    const Usage usage = {.verb = "cameo list",
                         .arguments = "[--json]",
                         .about = "Everybody in the trust store, and what they allow.",
                         .option = table,
                         .option_count = 2};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    TRY(trust_open(where, TRUST_READ, &s));
    Status status = list_all(s, as_json);
    trust_close(&s);
    return status;
}

/* ---- show, export ---- */

static Status write_picture(TrustStore *s, const TrustRecord *r, const char *file)
{
    unsigned char *data;
    size_t bytes;
    TRY(trust_read_medium(s, r, "picture", 0, &data, &bytes));
    Status status = trust_publish(file, data, bytes);
    trust_memory_free(data);
    return status;
}

static Status show_with(TrustStore *s, const char *id, const char *picture)
{
    TrustRecord r;
    TrustConsents c = {0};
    TRY(trust_read_record(s, id, &r));
    Status status = trust_read_consents(s, &r, &c);
    const int64_t now_s = trust_now(s, now());
    for (int i = 0; i < r.medium_count && !failed(status); i++)
        foreign_print(stdout, "%-10s %lld bytes, SHA-256 %.16s...%s%s\n", r.medium[i].kind,
                      (long long)r.medium[i].bytes, r.medium[i].sha256, *r.medium[i].note ? ", " : "",
                      r.medium[i].note);
    for (int i = 0; i < c.count && !failed(status); i++) {
        foreign_print(stdout, "\n");
        trust_consent_tell(stdout, TRUST_ENGLISH, id, r.name, &c.consent[i], now_s);
        foreign_print(stdout, "\n");
        trust_consent_tell(stdout, TRUST_GERMAN, id, r.name, &c.consent[i], now_s);
    }
    if (!failed(status) && c.count == 0)
        foreign_print(
            stdout,
            "\n%s has agreed to nothing: nothing may be made with face or voice.\n%s hat in nichts eingewilligt: mit "
            "Gesicht und Stimme darf nichts gemacht werden.\n",
            r.name, r.name);
    if (!failed(status) && picture) status = write_picture(s, &r, picture);
    trust_consents_clear(&c);
    trust_record_clear(&r);
    return status;
}

static Status show(int argc, char **argv)
{
    const char *where = NULL, *id, *picture = NULL;
    TrustStore *s = NULL;
    const Option table[] = {trust_option(&where),
                            {.name = "picture",
                             .kind = OPTION_TEXT,
                             .to = &picture,
                             .value = "FILE.png",
                             .help = "write the picture of how the faces were chosen"}};
    TRY(read_id("cameo show",
                "What the person agreed to, how far it reaches, and how to take it back: in English and in German.",
                " [--picture FILE.png]", table, 2, argc, argv, &id));
    if (!id) return status_ok();
    TRY(trust_open(where, TRUST_READ, &s));
    Status status = show_with(s, id, picture);
    trust_close(&s);
    return status;
}

static Status export_all(int argc, char **argv)
{
    const char *where = NULL, *id, *out = NULL;
    TrustStore *s = NULL;
    const Option table[] = {trust_option(&where),
                            {.name = "out",
                             .kind = OPTION_TEXT,
                             .to = &out,
                             .value = "DIR",
                             .required = true,
                             .help = "a new folder, which only you can read"}};
    TRY(read_id("cameo export",
                "Writes everything that is stored about the person, readable: the answer to a request for access.",
                " --out DIR", table, 2, argc, argv, &id));
    if (!id) return status_ok();
    TRY(trust_open(where, TRUST_READ, &s));
    Status status = trust_export(s, id, out);
    if (!failed(status)) foreign_print(stdout, "%s\n", out);
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
    const Option table[] = {trust_option(&where),
                            {.name = "reset-clock",
                             .kind = OPTION_FLAG,
                             .to = &reset,
                             .help = "the store has seen a time that was wrong: the real one counts again"},
                            {.name = "by", .kind = OPTION_TEXT, .to = &by, .value = "NAME"},
                            {.name = "reason",
                             .kind = OPTION_TEXT,
                             .to = &reason,
                             .value = "TEXT",
                             .help = "who says so, and why; both go into the log"}};
    const Usage usage = {.verb = "cameo check",
                         .arguments = "[--trust DIR]",
                         .about = "Reads all of the store and compares it with its signatures, hashes and log.",
                         .option = table,
                         .option_count = 4};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    if (reset && (!by || !reason)) return status_fail(ERR_INPUT, "--reset-clock: expected --by NAME and --reason TEXT");
    TRY(trust_open(where, reset ? TRUST_WRITE : TRUST_READ, &s));
    Status status = reset ? trust_reset_clock(s, by, reason, now()) : status_ok();
    if (!failed(status)) status = trust_check(s, &lines, &cameos, &consents);
    if (!failed(status))
        foreign_print(stdout, "%s: fine: %lld line%s of log, %d cameo%s, %d consent%s\n", trust_folder(s),
                      (long long)lines, plural_s(lines), cameos, plural_s(cameos), consents, plural_s(consents));
    int64_t ahead = failed(status) ? 0 : trust_now(s, now()) - now();
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
    const Option table[] = {trust_option(&where)};
    const Usage usage = {
        .verb = "cameo rotate",
        .arguments = "[--trust DIR]",
        .about = "Gives the store another secret key, in the file of the old one. What was signed so far still counts.",
        .option = table,
        .option_count = 1};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    TRY(trust_open(where, TRUST_WRITE, &s));
    Status status = trust_rotate(s, now());
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
                {"grant", "note what the person agreed to", grant},
                {"revoke", "take it back", take_back},
                {"list", "everybody, and what they allow", list},
                {"show", "one person's agreements in plain words", show},
                {"export", "everything that is stored about a person", export_all},
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
