/* cameo_consent.c - `reelwright cameo grant` and `revoke`: what a person agrees to is noted, or taken back everywhere. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/plural.h"
#include "coordinator/deliver/erase.h"
#include "coordinator/deliver/reach.h"
#include "coordinator/verbs/cameo.h"
#include "trust/trust.h"

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
    TRY_OUT(trust_grant(s, id, &c, evidence, bytes, cameo_now()));
    TRY_OUT(trust_read_record(s, id, &r));
    trust_consent_tell(stdout, TRUST_ENGLISH, id, r.name, &c, cameo_now());
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

Status cameo_grant(int argc, char **argv)
{
    GrantOptions o = {.audience = TRUST_ONLY_ME};
    const char *id;
    TrustStore *s = NULL;
    const Option table[] = {
        cameo_trust_option(&o.where),
        {"purpose", OPTION_TEXT, &o.purpose, .value = "P", .required = true,
         .help = "what it is for; campaigns name the same"},
        {"campaign", OPTION_TEXTS, &o.campaigns, .value = "C", .help = "only in this campaign; several (any)"},
        {"brand", OPTION_TEXTS, &o.brands, .value = "B", .help = "only for this brand; several (any)"},
        {"audience", OPTION_CHOICE, &o.audience, .value = "only-me|named|anyone",
         .help = "who may be shown it (only-me)"},
        {"for", OPTION_TEXTS, &o.names, .value = "NAME", .help = "with --audience named: the customers' ids; several"},
        {"territory", OPTION_TEXTS, &o.territories, .value = "T",
         .help = "only there: DE, EU, ...; several (anywhere)"},
        {"until", OPTION_TEXT, &o.until, .value = "DATE", .required = true, .help = "the last day, 2026-12-31 (UTC)"},
        {"face", OPTION_FLAG, &o.face, .help = "the face may be used"},
        {"voice", OPTION_FLAG, &o.voice, .help = "the voice may be used"},
        {"evidence", OPTION_TEXT, &o.evidence, .value = "FILE",
         .help = "a document that shows it; minors and public figures need one"},
    };
    TRY(cameo_read_id("cameo grant", "Notes what the person has agreed to, signed, and prints it in plain words.",
                      " --purpose P --until DATE --face|--voice [options]", table, (int)(sizeof table / sizeof *table),
                      argc, argv, &id));
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
static Status revoke_with(TrustStore *s, const char *id, int number, bool erase)
{
    Reaching r = {.erase = erase};
    const bool known = is_known(s, id);
    if (known || !erase) TRY(trust_revoke(s, id, number, cameo_now()));
    Status status = status_ok();
    if (erase && known) status = trust_erase(s, id, cameo_now());
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

Status cameo_revoke(int argc, char **argv)
{
    const char *where = NULL, *id;
    int number = 0;
    bool erase = false;
    TrustStore *s = NULL;
    const Option table[] = {
        cameo_trust_option(&where),
        {"consent", OPTION_INT, &number, .value = "N", .min = 1, .max = 1e6, .help = "only this one (all of them)"},
        {"erase", OPTION_FLAG, &erase, .help = "also destroy everything that is stored about the person"},
    };
    TRY(cameo_read_id(
        "cameo revoke",
        "Takes consents back. Runs that use the store notice within a second. In campaigns that are finished, clips\n"
        "that show the person leave clips and delivery at once; revoked.csv of each lists where they had gone. With\n"
        "--erase their rows are erased there, too.",
        " [--consent N] [--erase]", table, 3, argc, argv, &id));
    if (!id) return status_ok();
    if (erase && number) return status_fail(ERR_INPUT, "--erase takes all consents: expected no --consent beside it");
    TRY(trust_open(where, TRUST_WRITE, &s));
    Status status = revoke_with(s, id, number, erase);
    trust_close(&s);
    return status;
}
