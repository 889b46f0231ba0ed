/* challenge.c - the sentence with a code that a person says into a camera: made, signed, read again while it holds. */
#include <string.h>
#include <time.h>

#include "common/file.h"
#include "trust/inside.h"

void trust_challenge_clear(TrustChallenge *c)
{
    free(c->sentence[0]);
    free(c->sentence[1]);
    *c = (TrustChallenge){0};
}

/* The digits apart, as one says them. */
static void make_sentences(const char *name, TrustChallenge *c)
{
    char digits[2 * TRUST_PASSCODE_DIGITS + 1] = "", day[2][32];
    time_t t = (time_t)c->issued_s;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(day[0], sizeof day[0], "%Y-%m-%d", &tm);
    strftime(day[1], sizeof day[1], "%d.%m.%Y", &tm);
    for (int i = 0; i < TRUST_PASSCODE_DIGITS; i++) {
        digits[2 * i] = c->passcode[i];
        digits[2 * i + 1] = i + 1 < TRUST_PASSCODE_DIGITS ? ' ' : 0;
    }
    c->sentence[0] = text_format("I am %s. Today is %s. I agree that my face and my voice are recorded. My code is %s.",
                                 name, day[0], digits);
    c->sentence[1] = text_format(
        "Ich bin %s. Heute ist der %s. Ich bin einverstanden, dass mein Gesicht und meine Stimme aufgenommen werden. "
        "Mein Code ist %s.",
        name, day[1], digits);
}

static Status write_challenge(TrustStore *s, const TrustRecord *r, const TrustChallenge *c, char sha256[HASH_TEXT])
{
    char *path = trust_path(s, "cameos/%s/challenge.json", r->id);
    json_t *body =
        json_pack("{s:s,s:s,s:I}", "ref", r->ref, "passcode", c->passcode, "issued_s", (json_int_t)c->issued_s);
    char *text = trust_sign(s->secret, "challenge", body);
    hash_bytes(text, strlen(text), sha256);
    Status status = trust_publish(path, text, strlen(text));
    json_decref(body);
    free(text);
    free(path);
    return status;
}

static Status challenge_locked(TrustStore *s, const char *cameo, int64_t now_s, TrustChallenge *out)
{
    TrustRecord r;
    char sha256[HASH_TEXT];
    TRY(trust_read_record(s, cameo, &r));
    TrustFact *f = trust_fact(s, r.ref);
    enum { DAY_S = 24 * 3600 };
    Status status = status_ok();
    if (f->challenges_today >= TRUST_CHALLENGES_A_DAY && f->day_s / DAY_S == now_s / DAY_S)
        TRY_OUT(
            status_fail(ERR_INPUT, "cameo %s: %d challenges today; expected another day", cameo, f->challenges_today));
    out->issued_s = now_s;
    out->until_s = now_s + TRUST_CHALLENGE_S;
    out->attempts_left = TRUST_ATTEMPTS;
    for (int i = 0; i < TRUST_PASSCODE_DIGITS; i++) out->passcode[i] = (char)('0' + trust_random_below(10));
    make_sentences(r.name, out);
    TRY_OUT(write_challenge(s, &r, out, sha256));
    status = trust_log(s, json_pack("{s:s,s:s,s:s}", "what", "challenge", "ref", r.ref, "sha256", sha256), now_s);
out:
    trust_record_clear(&r);
    return status;
}

Status trust_challenge(TrustStore *s, const char *cameo, int64_t now_s, TrustChallenge *out)
{
    int lock;
    *out = (TrustChallenge){0};
    TRY(trust_begin(s, &lock));
    Status status = challenge_locked(s, cameo, trust_now(s, now_s), out);
    trust_end(s, &lock);
    if (failed(status)) trust_challenge_clear(out);
    return status;
}

Status trust_challenge_of(TrustStore *s, const TrustRecord *r, int64_t now_s, TrustChallenge *out)
{
    TrustSigned d = {0};
    TrustFact *f = trust_fact(s, r->ref);
    const char *ref = "", *passcode = "", *id = r->id;
    json_int_t issued = 0;
    if (!f || !f->challenged)
        return status_fail(ERR_INPUT, "cameo %s has no challenge: reelwright cameo challenge %s", id, id);
    if (f->used)
        return status_fail(ERR_INPUT, "cameo %s: this passcode was used: reelwright cameo challenge %s", id, id);
    if (f->attempts >= TRUST_ATTEMPTS)
        return status_fail(ERR_INPUT, "cameo %s: %d attempts have failed: reelwright cameo challenge %s", id,
                           f->attempts, id);
    char *path = trust_path(s, "cameos/%s/challenge.json", id);
    Status status = trust_open_file(s, path, "challenge", &d);
    bool good = !failed(status) &&
                json_unpack(d.body, "{s:s,s:s,s:I!}", "ref", &ref, "passcode", &passcode, "issued_s", &issued) == 0 &&
                strcmp(ref, r->ref) == 0 && strlen(passcode) == TRUST_PASSCODE_DIGITS &&
                strcmp(d.sha256, f->challenge) == 0;
    if (!failed(status) && !good) status = status_fail(ERR_INPUT, "%s: not this cameo's challenge", path);
    if (!failed(status) && now_s >= issued + TRUST_CHALLENGE_S)
        status =
            status_fail(ERR_INPUT, "cameo %s: the passcode is older than %d minutes: reelwright cameo challenge %s", id,
                        TRUST_CHALLENGE_S / 60, id);
    if (!failed(status)) {
        memcpy(out->passcode, passcode, sizeof out->passcode);
        out->issued_s = issued;
        out->until_s = issued + TRUST_CHALLENGE_S;
        out->attempts_left = TRUST_ATTEMPTS - f->attempts;
        make_sentences(r->name, out);
    }
    json_decref(d.body);
    free(path);
    return status;
}

Status trust_read_challenge(TrustStore *s, const char *cameo, int64_t now_s, TrustChallenge *out)
{
    TrustRecord r;
    *out = (TrustChallenge){0};
    TRY(trust_read_record(s, cameo, &r));
    Status status = trust_challenge_of(s, &r, trust_now(s, now_s), out);
    trust_record_clear(&r);
    return status;
}
