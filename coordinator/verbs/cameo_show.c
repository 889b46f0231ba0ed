/* cameo_show.c - `reelwright cameo list`, `show` and `export`: what the store holds, for people and for programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/foreign.h"
#include "common/log.h"
#include "common/plural.h"
#include "coordinator/verbs/cameo.h"
#include "trust/trust.h"

/* ---- list ---- */

static void until_text(int64_t until_s, char text[TRUST_TIME_BYTES])
{
    const bool whole_day = until_s % 86400 == 0;
    trust_time_text(whole_day ? until_s - 1 : until_s, text);
    if (whole_day) text[strcspn(text, "T")] = 0;
}

static json_t *consent_json(const TrustConsent *c, int64_t now_s)
{
    char until[TRUST_TIME_BYTES];
    until_text(c->until_s, until);
    return json_pack("{s:i,s:s,s:o,s:o,s:s,s:o,s:o,s:s,s:b,s:b,s:s}", "number", c->number, "purpose", c->purpose,
                     "campaigns", trust_words_to_json(&c->campaigns), "brands", trust_words_to_json(&c->brands),
                     "audience", trust_audience_name(c->audience), "for", trust_words_to_json(&c->names), "territories",
                     trust_words_to_json(&c->territories), "until", until, "face", c->face, "voice", c->voice, "state",
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
    foreign_print(stdout, "%s%*s %s; %d picture%s of the face%s; %s%s\n", r->id, foreign_gap(r->id, 16), "", r->name,
                  trust_count_media(r, "face"), plural_s(trust_count_media(r, "face")),
                  trust_count_media(r, "voice") ? ", a voice" : "", r->verified_s ? "verified by " : "not verified",
                  r->verified_s ? r->verified_by : "");
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
    const int64_t now_s = trust_now(s, cameo_now());
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
        foreign_print_json(stdout, all, JSON_INDENT(2));
    } else if (!failed(status) && count == 0) {
        foreign_print(stdout, "no cameos in %s: reelwright cameo add ID --name NAME --face FILE\n", trust_folder(s));
    }
    json_decref(all);
    return status;
}

Status cameo_list(int argc, char **argv)
{
    const char *where = NULL;
    bool as_json = false;
    int first;
    TrustStore *s = NULL;
    const Option table[] = {cameo_trust_option(&where), {"json", OPTION_FLAG, &as_json, .help = "for programs"}};
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
    const int64_t now_s = trust_now(s, cameo_now());
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

Status cameo_show(int argc, char **argv)
{
    const char *where = NULL, *id, *picture = NULL;
    TrustStore *s = NULL;
    const Option table[] = {cameo_trust_option(&where),
                            {"picture", OPTION_TEXT, &picture, .value = "FILE.png",
                             .help = "write the picture of how the faces were chosen"}};
    TRY(cameo_read_id(
        "cameo show",
        "What the person agreed to, how far it reaches, and how to take it back: in English and in German.",
        " [--picture FILE.png]", table, 2, argc, argv, &id));
    if (!id) return status_ok();
    TRY(trust_open(where, TRUST_READ, &s));
    Status status = show_with(s, id, picture);
    trust_close(&s);
    return status;
}

Status cameo_export(int argc, char **argv)
{
    const char *where = NULL, *id, *out = NULL;
    TrustStore *s = NULL;
    const Option table[] = {
        cameo_trust_option(&where),
        {"out", OPTION_TEXT, &out, .value = "DIR", .required = true, .help = "a new folder, which only you can read"}};
    TRY(cameo_read_id(
        "cameo export",
        "Writes everything that is stored about the person, readable: the answer to a request for access.",
        " --out DIR", table, 2, argc, argv, &id));
    if (!id) return status_ok();
    TRY(trust_open(where, TRUST_READ, &s));
    Status status = trust_export(s, id, out);
    if (!failed(status)) foreign_print(stdout, "%s\n", out);
    trust_close(&s);
    return status;
}
