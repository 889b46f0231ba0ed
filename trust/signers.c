/* signers.c - whose signatures count in a store: those of its key, and of keys that it has replaced. */
#include <string.h>

#include "common/file.h"
#include "trust/inside.h"

static Status read_signer_list(TrustStore *s, const json_t *body)
{
    size_t i;
    json_t *item, *list = json_object_get(body, "signers");
    if (!json_is_array(list) || json_array_size(list) > TRUST_MAX_SIGNERS)
        return status_fail(ERR_INPUT, "expected a list of signers");
    s->signer_count = 0;
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        if (!text || !trust_unhex(text, s->signer[s->signer_count++], TRUST_KEY_BYTES))
            return status_fail(ERR_INPUT, "signer %zu is no key", i + 1);
    }
    return status_ok();
}

/* One line, or two while the key is being changed: the one that the present key has signed is the list. */
static Status read_signer_lines(TrustStore *s, char *text)
{
    bool found = false;
    while (*text) {
        TrustSigned d = {0};
        size_t n = strcspn(text, "\n");
        Status status = text[n] ? trust_open_signed("signers", text, n + 1, &d) : status_fail(ERR_INPUT, "cut off");
        bool own = !failed(status) && memcmp(d.signer, trust_secret_public(s->secret), TRUST_KEY_BYTES) == 0;
        if (own) status = read_signer_list(s, d.body);
        json_decref(d.body);
        TRY(status);
        found = found || own;
        text += n + 1;
    }
    return found ? status_ok() : status_fail(ERR_INPUT, "signed with another key than the store's");
}

Status trust_read_signers(TrustStore *s)
{
    char *path = trust_path(s, "signers.json"), *text = NULL;
    size_t bytes;
    Status status = file_read(path, TRUST_DOCUMENT_BYTES, &text, &bytes);
    if (!failed(status) && strlen(text) != bytes) status = status_fail(ERR_INPUT, "damaged");
    if (!failed(status)) status = status_at(read_signer_lines(s, text), "%s", path);
    free(text);
    free(path);
    return status;
}

Status trust_write_signers(const TrustStore *s, const TrustSecret *by, const TrustSecret *also)
{
    char digits[2 * TRUST_KEY_BYTES + 1], *path = trust_path(s, "signers.json");
    json_t *list = json_array();
    for (int i = 0; i < s->signer_count; i++) {
        trust_hex(s->signer[i], TRUST_KEY_BYTES, digits);
        json_array_append_new(list, json_string(digits));
    }
    json_t *body = json_pack("{s:o}", "signers", list);
    char *first = trust_sign(by, "signers", body), *second = also ? trust_sign(also, "signers", body) : text_copy("");
    char *text = text_format("%s%s", first, second);
    Status status = trust_publish(path, text, strlen(text));
    json_decref(body);
    free(first);
    free(second);
    free(text);
    free(path);
    return status;
}

bool trust_is_signer(const TrustStore *s, const unsigned char key[TRUST_KEY_BYTES])
{
    for (int i = 0; i < s->signer_count; i++)
        if (memcmp(s->signer[i], key, TRUST_KEY_BYTES) == 0) return true;
    return false;
}

Status trust_open_file(TrustStore *s, const char *path, const char *kind, TrustSigned *out)
{
    char *text = NULL;
    size_t bytes;
    *out = (TrustSigned){0};
    TRY(file_read(path, TRUST_DOCUMENT_BYTES, &text, &bytes));
    Status status = status_at(trust_open_signed(kind, text, bytes, out), "%s", path);
    free(text);
    if (failed(status) || trust_is_signer(s, out->signer)) return status;
    json_decref(out->body);
    out->body = NULL;
    return status_fail(ERR_INPUT, "%s: signed by a key that is none of this store's", path);
}
