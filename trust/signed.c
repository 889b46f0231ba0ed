#include "signed.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"

char *trust_canonical(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (!text) abort();
    return text;
}

static char *message_of(const char *kind, const json_t *body)
{
    char *text = trust_canonical(body), *message = text_format("reelwright %s 1\n%s", kind, text);
    free(text);
    return message;
}

char *trust_sign(const TrustSecret *s, const char *kind, const json_t *body)
{
    unsigned char signature[TRUST_SIGNATURE_BYTES];
    char digits[2 * TRUST_SIGNATURE_BYTES + 1], signer[2 * TRUST_KEY_BYTES + 1];
    char *message = message_of(kind, body);
    trust_secret_sign(s, message, strlen(message), signature);
    free(message);
    trust_hex(signature, sizeof signature, digits);
    trust_hex(trust_secret_public(s), TRUST_KEY_BYTES, signer);
    json_t *all = json_pack("{s:O,s:s,s:s,s:s}", "body", body, "kind", kind, "signature", digits, "signer", signer);
    if (!all) abort();
    char *line = trust_canonical(all), *text = text_format("%s\n", line);
    free(line);
    json_decref(all);
    return text;
}

static bool is_canonical(const json_t *all, const char *text, size_t bytes)
{
    char *again = trust_canonical(all);
    size_t n = strlen(again);
    bool same = bytes == n + 1 && text[n] == '\n' && memcmp(text, again, n) == 0;
    free(again);
    return same;
}

Status trust_open_signed(const char *kind, const char *text, size_t bytes, TrustSigned *out)
{
    unsigned char signature[TRUST_SIGNATURE_BYTES];
    const char *its_kind = "", *digits = "", *signer = "";
    json_t *body = NULL;
    Status status = status_ok();
    *out = (TrustSigned){0};
    json_t *all = bytes <= TRUST_DOCUMENT_BYTES ? json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL) : NULL;
    bool read = all && json_unpack(all, "{s:O,s:s,s:s,s:s!}", "body", &body, "kind", &its_kind, "signature", &digits,
                                   "signer", &signer) == 0;
    if (!read || !json_is_object(body) || !is_canonical(all, text, bytes))
        TRY_OUT(status_fail(ERR_INPUT, "damaged: it is not a signed document as it was written"));
    if (strcmp(its_kind, kind) != 0) TRY_OUT(status_fail(ERR_INPUT, "a signed %.40s, expected a %s", its_kind, kind));
    char *message = message_of(kind, body);
    bool good = trust_unhex(digits, signature, sizeof signature) &&
                trust_unhex(signer, out->signer, sizeof out->signer) &&
                trust_secret_check(out->signer, message, strlen(message), signature);
    free(message);
    if (!good) TRY_OUT(status_fail(ERR_INPUT, "tampered with: its signature does not fit what it says"));
    hash_bytes(text, bytes, out->sha256);
    out->body = json_incref(body);
out:
    json_decref(body);
    json_decref(all);
    return status;
}
