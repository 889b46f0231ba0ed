#include "verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/json_member.h"
#include "common/secret_file.h"
#include "trust/certificate.h"
#include "worker/proof/credentials.h"
#include "worker/proof/fingerprint.h"
#include "worker/proof/watermark.h"

enum { MAX_KEY = 4096, HEX_ID = 20 };

typedef struct {
    const VerifyOptions *o;
    char sha256[HASH_TEXT];
    bool credentials_known; /* the library is there */
    CredentialsReading credentials;
    bool looked_for_mark;
    WatermarkReading mark;
    const json_t *by_bytes, *by_mark, *by_looks, *by_credentials; /* of o->clips, or NULL */
    Fingerprint looks;
    bool compared; /* with the clips that have a fingerprint */
    int distance;  /* of by_looks */
    int as_near;   /* clips at that distance */
} Findings;

static bool has_bytes(const json_t *clip, const char *sha256)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(clip, "sha256"), i,
                       one) if (json_is_string(one) && strcmp(json_string_value(one), sha256) == 0) return true;
    return false;
}

static uint64_t payload_of(const json_t *clip)
{
    const char *campaign = member_text(clip, "campaign", NULL), *id = member_text(clip, "clip", NULL);
    return campaign && id ? watermark_payload(campaign, id) : 0;
}

/* ---- each on its own -------------------------------------------------------------------------------------------------------------- */

static void find_by_bytes(Findings *f)
{
    size_t i;
    json_t *clip;
    json_array_foreach(f->o->clips, i, clip) if (has_bytes(clip, f->sha256)) f->by_bytes = clip;
}

/* A claim of an invalid manifest proves nothing, but says which clip to compare with. */
static void find_by_credentials(Findings *f)
{
    size_t i;
    json_t *clip;
    json_array_foreach(f->o->clips, i, clip)
    {
        const char *id = member_text(clip, "clip", NULL), *campaign = member_text(clip, "campaign", NULL);
        if (id && campaign && f->credentials.clip[0] && strcmp(id, f->credentials.clip) == 0 &&
            strcmp(campaign, f->credentials.campaign) == 0)
            f->by_credentials = clip;
    }
}

static Status find_by_mark(Findings *f, const char *path)
{
    uint8_t key[WATERMARK_KEY_BYTES];
    char *secret;
    size_t bytes, i;
    json_t *clip;
    if (!f->o->watermark_key) return status_ok();
    TRY(file_read(f->o->watermark_key, MAX_KEY, &secret, &bytes));
    if (bytes == SECRET_FILE_BYTES) watermark_key(secret, bytes, key);
    explicit_bzero(secret, bytes);
    free(secret);
    if (bytes != SECRET_FILE_BYTES)
        return status_fail(ERR_INPUT, "%s: %zu bytes, expected a watermark's key of %d", f->o->watermark_key, bytes,
                           SECRET_FILE_BYTES);
    Status status = watermark_file(path, key, NULL, &f->mark);
    explicit_bzero(key, sizeof key);
    f->looked_for_mark = !failed(status);
    if (status.err == ERR_INPUT) return status_ok(); /* it holds no pictures: a document, a sound */
    TRY(status);
    json_array_foreach(f->o->clips, i, clip) if (f->mark.found && payload_of(clip) == f->mark.payload) f->by_mark =
        clip;
    return status_ok();
}

static void find_by_looks(Findings *f, const char *path)
{
    size_t i;
    json_t *clip;
    Fingerprint other;
    f->distance = 8 * FINGERPRINT_BYTES + 1;
    if (!json_array_size(f->o->clips) || failed(fingerprint_file(path, &f->looks))) return;
    json_array_foreach(f->o->clips, i, clip)
    {
        const char *iscc = member_text(clip, "iscc", NULL);
        if (!iscc || failed(fingerprint_parse(iscc, &other))) continue;
        const int distance = fingerprint_distance(&f->looks, &other);
        f->compared = true;
        f->as_near = distance < f->distance ? 1 : f->as_near + (distance == f->distance);
        if (distance < f->distance) f->by_looks = clip;
        if (distance < f->distance) f->distance = distance;
    }
}

/* ---- the verdict -------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *clip, *campaign;
    int altered; /* -1: not known */
    char *why;
} Verdict;

static bool has_signature(const Findings *f)
{
    return f->credentials.state == CREDENTIALS_VALID || f->credentials.state == CREDENTIALS_TRUSTED;
}

static bool is_near(const Findings *f) { return f->by_looks && f->distance <= FINGERPRINT_NEAR; }

/* A signer whom nobody vouches for says that the file is a clip that is not in the record. */
static bool is_strangers_claim(const Findings *f)
{
    return f->credentials.state == CREDENTIALS_VALID && f->credentials.clip[0] && !f->by_credentials;
}

/* The most certain of what was found names the clip: recorded bytes, the mark, a signature that fits, the looks. A stranger's claim to a clip that is not
 * in the record and the claim of an invalid manifest come last. */
static const json_t *find_known(const Findings *f)
{
    if (f->by_bytes) return f->by_bytes;
    if (f->by_mark) return f->by_mark;
    if (has_signature(f) && f->credentials.clip[0] && !is_strangers_claim(f))
        return f->by_credentials; /* NULL: of a campaign that is not ours */
    return is_near(f) && f->as_near == 1 ? f->by_looks : f->by_credentials;
}

static const char *signer_of(const Findings *f) { return f->credentials.signer[0] ? f->credentials.signer : "unknown"; }

static char *say_looks(const Findings *f)
{
    return text_format("it looks like %s of our clips (%d of 256 bits differ)", f->as_near == 1 ? "one" : "several",
                       f->distance);
}

/* The looks and a stranger's signature contradict each other. */
static char *say_looks_and_claim(const Findings *f)
{
    char *looks = say_looks(f);
    char *why = text_format("%s, but it is signed as %s of %s, of which there is no record, by %s, a signer that "
                            "nobody vouches for",
                            looks, f->credentials.clip,
                            f->credentials.campaign[0] ? f->credentials.campaign : "no campaign", signer_of(f));
    free(looks);
    return why;
}

/* Whether the credentials say that the bytes are those of the clip that was found. Anybody can sign any bytes as our clip, with a chain of his own: against
 * a record that has other bytes only a trusted signer counts. */
static int judge_credentials(const Findings *f, const json_t *known, char **why)
{
    const char *signer = signer_of(f);
    const bool trusted = f->credentials.state == CREDENTIALS_TRUSTED;
    if (f->credentials.state == CREDENTIALS_INVALID) {
        *why = text_format("its credentials are not valid: %s, which does not say whether it was altered",
                           f->credentials.why);
        return -1;
    }
    if (!known || trusted) {
        *why = text_format("its credentials are signed over these bytes by %s (%s)%s", signer,
                           trusted ? "trusted" : "a signer that nobody vouches for",
                           known ? ", but they are none that were recorded: another version" : "");
        return 0;
    }
    *why = text_format("its bytes are none that were recorded, and they are signed as this clip by %s, a signer that "
                       "nobody vouches for: another version of it, or forged",
                       signer);
    return -1;
}

static char *say_not_ours(const Findings *f)
{
    const bool asked = f->o->watermark_key && json_array_size(f->o->clips);
    const char *mark = f->looked_for_mark    ? ", no watermark"
                       : f->o->watermark_key ? ", no pictures that can be looked at"
                                             : ", watermark not looked for (no key)";
    return text_format("not ours%s: no recorded bytes, no credentials%s%s%s",
                       asked ? "" : ", as far as that can be said without a campaign's record and key",
                       f->credentials_known ? "" : " (not looked for)", mark,
                       f->compared ? ", and it looks like none of the recorded clips" : "");
}

static Verdict judge(const Findings *f)
{
    const json_t *known = find_known(f);
    const bool near = is_near(f), strange = near && is_strangers_claim(f) && !f->by_mark;
    Verdict v = {member_text(known, "clip", NULL), member_text(known, "campaign", NULL), -1, NULL};
    if (!known && has_signature(f) && f->credentials.clip[0] && !strange) {
        v.clip = f->credentials.clip;
        v.campaign = f->credentials.campaign;
    }
    if (f->by_bytes) {
        v.altered = 0;
        v.why = text_copy("its bytes are those that were recorded");
    } else if (f->credentials.mismatch) {
        v.altered = 1;
        v.why = text_format("its credentials do not fit its bytes: %s", f->credentials.why);
    } else if (strange) {
        v.why = say_looks_and_claim(f);
    } else if (f->credentials.state != CREDENTIALS_NONE && (!known || known == f->by_credentials)) {
        v.altered = judge_credentials(f, known, &v.why);
    } else if (f->by_mark || f->mark.found) {
        v.altered = f->by_mark ? 1 : -1;
        v.why = text_copy(f->by_mark ? "it carries our watermark, but its bytes are none that were recorded: "
                                       "recompressed, or otherwise changed"
                                     : "it carries this key's watermark; without that campaign's record nobody can say "
                                       "whether it was altered");
    } else if (near) {
        v.altered = 1;
        char *looks = say_looks(f);
        v.why = text_format("%s, but its bytes are none that were recorded", looks);
        free(looks);
    } else {
        v.why = say_not_ours(f);
    }
    return v;
}

static json_t *text_or_null(const char *text)
{
    json_t *j = text ? json_string(text) : NULL;
    return j ? j : json_null();
}

static json_t *describe_mark(const Findings *f)
{
    if (!f->looked_for_mark)
        return json_pack("{s:b, s:n, s:n, s:n, s:b, s:s}", "found", 0, "clip", "bit_accuracy", "p_value", "looked_for",
                         0, "why", f->o->watermark_key ? "no pictures that can be looked at" : "no key");
    json_t *j = json_pack("{s:b, s:o, s:f, s:f, s:f}", "found", f->mark.found, "clip",
                          text_or_null(member_text(f->by_mark, "clip", NULL)), "bit_accuracy",
                          f->mark.found ? f->mark.bit_accuracy : 0.5, "p_value", f->mark.p_value, "sigma",
                          isfinite(f->mark.z) ? f->mark.z : 0);
    if (f->mark.found) {
        char text[HEX_ID];
        snprintf(text, sizeof text, "%016llx", (unsigned long long)f->mark.payload);
        json_object_set_new(j, "payload", json_string(text));
    }
    return j;
}

static json_t *describe_looks(const Findings *f)
{
    if (!f->by_looks) return json_pack("{s:n, s:n}", "distance", "clip");
    const bool near = is_near(f);
    return json_pack("{s:i, s:o, s:i}", "distance", f->distance, "clip",
                     text_or_null(near ? member_text(f->by_looks, "clip", NULL) : NULL), "clips",
                     near ? f->as_near : 0);
}

static json_t *describe(const Findings *f)
{
    Verdict v = judge(f);
    json_t *fired = json_array();
    if (f->by_bytes) json_array_append_new(fired, json_string("record"));
    if (f->credentials.state != CREDENTIALS_NONE) json_array_append_new(fired, json_string("credentials"));
    if (f->mark.found) json_array_append_new(fired, json_string("watermark"));
    if (is_near(f)) json_array_append_new(fired, json_string("fingerprint"));
    json_t *j = json_pack("{s:o, s:o, s:s, s:o, s:o, s:s, s:o, s:s, s:o}", "clip", text_or_null(v.clip), "campaign",
                          text_or_null(v.campaign), "credentials", credentials_state_name[f->credentials.state],
                          "watermark", describe_mark(f), "fingerprint", describe_looks(f), "record",
                          f->by_bytes || f->by_mark || f->by_credentials ? "present" : "absent", "altered",
                          v.altered < 0 ? json_null() : json_boolean(v.altered), "why", v.why, "fired", fired);
    free(v.why);
    if (j && f->credentials.state != CREDENTIALS_NONE)
        json_object_set_new(j, "generated", json_boolean(f->credentials.generated));
    if (j && f->credentials.signer[0]) json_object_set_new(j, "signer", text_or_null(f->credentials.signer));
    if (j && f->credentials.signed_at[0]) json_object_set_new(j, "signed_at", text_or_null(f->credentials.signed_at));
    return j;
}

Status verify_file(const char *path, const VerifyOptions *o, json_t **out)
{
    Findings f = {.o = o};
    *out = NULL;
    if (!file_exists(path) || file_is_folder(path)) return status_fail(ERR_INPUT, "%s: no such file", path);
    if (o->anchors) TRY(trust_check_certificate(o->anchors));
    TRY(hash_file(path, f.sha256));
    Status status = credentials_read(path, o->anchors, &f.credentials);
    f.credentials_known = !failed(status);
    if (failed(status) && o->anchors) return status; /* asked for by name */
    find_by_bytes(&f);
    find_by_credentials(&f);
    TRY(find_by_mark(&f, path));
    find_by_looks(&f, path);
    *out = describe(&f);
    return *out ? status_ok() : status_fail(ERR_NODE, "%s: cannot describe what was found", path);
}
