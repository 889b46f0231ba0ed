/* fuzz_trust.c - any bytes as what a trust store reads: a signed document of each kind, then a consent's and a record's body. What
 * is read as a consent is written and read again as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "trust/inside.h"

static const char *const kinds[] = {"consent", "cameo", "challenge", "revocation", "signers"};

static void as_consent(const json_t *body)
{
    TrustConsent c, again;
    const char *cameo = json_string_value(json_object_get(body, "cameo")),
               *ref = json_string_value(json_object_get(body, "ref"));
    if (!cameo || !ref || failed(trust_consent_from_json(body, cameo, ref, &c))) return;
    json_t *written = trust_consent_to_json(cameo, ref, &c);
    if (failed(trust_consent_from_json(written, cameo, ref, &again)) || again.number != c.number ||
        again.until_s != c.until_s || again.territories.count != c.territories.count)
        abort();
    FILE *nowhere = fopen("/dev/null", "w");
    if (!nowhere) abort();
    trust_consent_tell(nowhere, TRUST_GERMAN, cameo, "Anna", &c, 0);
    fclose(nowhere);
    json_decref(written);
    trust_consent_clear(&c);
    trust_consent_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TrustRecord r = {0};
    TrustSigned d;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!failed(trust_open_signed(kinds[i], (const char *)data, size, &d))) json_decref(d.body);
    json_t *all = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    json_t *body = json_object_get(all, "body");
    as_consent(body ? body : all);
    trust_record_from_json(body ? body : all, &r);
    trust_record_clear(&r);
    json_decref(all);
    return 0;
}
