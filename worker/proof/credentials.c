#include "credentials.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/command.h"
#include "common/file.h"
#include "worker/proof/c2pa_library.h"

const char *const credentials_state_name[] = {"none", "invalid", "valid", "trusted"};

enum { MAX_PEM = 1 << 20 };

/* ---- streams ------------------------------------------------------------------------------------------------------------------ */

static FILE *file_of(StreamContext *s) { return (FILE *)(void *)s; }

static ssize_t read_some(StreamContext *s, uint8_t *to, ssize_t bytes)
{
    const size_t n = fread(to, 1, (size_t)(bytes > 0 ? bytes : 0), file_of(s));
    return n == 0 && ferror(file_of(s)) ? -1 : (ssize_t)n;
}

static ssize_t seek_to(StreamContext *s, ssize_t offset, int whence)
{
    static const int how[] = {SEEK_SET, SEEK_CUR, SEEK_END};
    if (whence < 0 || whence > 2 || fseeko(file_of(s), offset, how[whence]) != 0) return -1;
    return ftello(file_of(s));
}

static ssize_t write_some(StreamContext *s, const uint8_t *from, ssize_t bytes)
{
    return fwrite(from, 1, (size_t)bytes, file_of(s)) == (size_t)bytes ? bytes : -1;
}

static ssize_t flush_all(StreamContext *s) { return fflush(file_of(s)); }

static C2paStream *stream_of(const C2paLibrary *c, FILE *f)
{
    return c->c2pa_create_stream((StreamContext *)(void *)f, read_some, seek_to, write_some, flush_all);
}

/* The library's own words, cut: they may hold paths, and nothing of a customer. */
static Status library_failed(const C2paLibrary *c, ErrClass err, const char *path, const char *what)
{
    char *text = c->c2pa_error();
    Status status = status_fail(err, "%s: cannot %s: %.300s", path, what, text && *text ? text : "no reason given");
    if (text) c->c2pa_string_free(text);
    return status;
}

static const char *format_of(const char *path)
{
    static const char *const known[][2] = {{".mp4", "video/mp4"}, {".mov", "video/quicktime"}, {".m4v", "video/mp4"},
                                           {".png", "image/png"}, {".jpg", "image/jpeg"},      {".jpeg", "image/jpeg"},
                                           {".gif", "image/gif"}, {".webp", "image/webp"},     {".avi", "video/avi"},
                                           {".wav", "audio/wav"}};
    const char *end = strrchr(path_name(path), '.');
    for (size_t i = 0; end && i < sizeof known / sizeof *known; i++)
        if (strcasecmp(end, known[i][0]) == 0) return known[i][1];
    return "video/mp4";
}

/* Nothing is fetched from anywhere: a clip must not tell anybody that it is read. */
static C2paContext *make_context(const C2paLibrary *c, const char *anchors_pem)
{
    json_t *j = json_pack("{s:{s:b, s:b, s:b, s:b}}", "verify", "verify_after_sign", 0, "verify_trust", 1, "ocsp_fetch",
                          0, "remote_manifest_fetch", 0);
    if (anchors_pem) json_object_set_new(j, "trust", json_pack("{s:s}", "user_anchors", anchors_pem));
    char *text = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    C2paContext *context = NULL;
    C2paSettings *settings = c->c2pa_settings_new();
    C2paContextBuilder *builder = settings ? c->c2pa_context_builder_new() : NULL;
    if (builder && c->c2pa_settings_update_from_string(settings, text, "json") == 0 &&
        c->c2pa_context_builder_set_settings(builder, settings) == 0)
        context = c->c2pa_context_builder_build(builder);
    else if (builder)
        c->c2pa_free(builder);
    if (settings) c->c2pa_free(settings);
    free(text);
    return context;
}

/* ---- the claim ------------------------------------------------------------------------------------------------------------------- */

static json_t *soft_binding(const char *algorithm, const char *value)
{
    return json_pack("{s:s, s:{s:s, s:[{s:{}, s:s}]}}", "label", "c2pa.soft-binding", "data", "alg", algorithm,
                     "blocks", "scope", "value", value);
}

static json_t *training_mining(void)
{
    static const char *const use[] = {"c2pa.ai_generative_training", "c2pa.ai_inference", "c2pa.ai_training",
                                      "c2pa.data_mining"};
    json_t *entries = json_object();
    for (size_t i = 0; i < sizeof use / sizeof *use; i++)
        json_object_set_new(entries, use[i], json_pack("{s:s}", "use", "notAllowed"));
    return json_pack("{s:s, s:{s:o}}", "label", "c2pa.training-mining", "data", "entries", entries);
}

static json_t *actions(const CredentialsClaim *c)
{
    json_t *list = json_array();
    json_array_append_new(list, json_pack("{s:s, s:s, s:{s:s}}", "action", "c2pa.created", "digitalSourceType",
                                          "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
                                          "softwareAgent", "name", "Reelwright"));
    if (c->watermarked) json_array_append_new(list, json_pack("{s:s}", "action", "c2pa.watermarked.bound"));
    return json_pack("{s:s, s:{s:o}}", "label", "c2pa.actions.v2", "data", "actions", list);
}

static json_t *clip_assertion(const CredentialsClaim *c)
{
    json_t *data = json_object();
    if (c->clip) json_object_set_new(data, "clip", json_string(c->clip));
    if (c->campaign) json_object_set_new(data, "campaign", json_string(c->campaign));
    if (c->model) json_object_set(data, "model", (json_t *)(uintptr_t)c->model);
    if (c->consent_sha256) json_object_set_new(data, "consent_sha256", json_string(c->consent_sha256));
    return json_pack("{s:s, s:o}", "label", "com.reelwright.clip", "data", data);
}

static char *definition(const CredentialsClaim *c, const char *path)
{
    json_t *assertions = json_pack("[o, o, o]", actions(c), training_mining(), clip_assertion(c));
    if (c->watermarked) {
        char value[20];
        snprintf(value, sizeof value, "%016" PRIx64, c->watermark);
        json_array_append_new(assertions, soft_binding("com.reelwright.watermark.1", value));
    }
    if (c->iscc) json_array_append_new(assertions, soft_binding("io.iscc.v0", c->iscc));
    json_t *j = json_pack("{s:[{s:s, s:s}], s:s, s:s, s:o}", "claim_generator_info", "name", "Reelwright", "version",
                          "1", "title", path_name(path), "format", format_of(path), "assertions", assertions);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    return text;
}

enum { SIGNER_SECONDS = 60, MAX_SIGNATURE = 1 << 12 };

typedef struct { /* the key is somewhere else: a command signs */
    const char *command;
    char why[256]; /* it did not sign; "": it did */
} Signing;

static ssize_t sign_by_command(const void *self, const uint8_t *data, size_t bytes, uint8_t *signature, size_t room)
{
    Signing *s = (Signing *)(uintptr_t)self;
    const Command command = {.command = s->command,
                             .input = (const char *)data,
                             .input_bytes = bytes,
                             .limit_s = SIGNER_SECONDS,
                             .most_bytes = MAX_SIGNATURE};
    CommandAnswer answer;
    const Status status = command_run(&command, &answer);
    ssize_t n = -1;
    if (failed(status)) {
        snprintf(s->why, sizeof s->why, "%s", status.message);
    } else if (answer.out_bytes == 0 || answer.out_bytes > room) {
        snprintf(s->why, sizeof s->why, "it wrote %zu bytes, expected a signature (DER, or 64 bytes of r and s)",
                 answer.out_bytes);
    } else {
        memcpy(signature, answer.out, answer.out_bytes);
        n = (ssize_t)answer.out_bytes;
    }
    command_clear(&answer);
    return n;
}

static Status make_command_signer(const C2paLibrary *c, const CredentialsClaim *claim, Signing *s, C2paSigner **out)
{
    char *chain = NULL;
    size_t bytes = 0;
    *out = NULL;
    TRY(file_read(claim->certificate, MAX_PEM, &chain, &bytes));
    *out = c->c2pa_signer_create(s, sign_by_command, C2PA_ES256, chain, claim->timestamp);
    Status status = *out ? status_ok() : library_failed(c, ERR_INPUT, claim->certificate, "sign with it");
    free(chain);
    return status;
}

static Status make_signer(const C2paLibrary *c, const CredentialsClaim *claim, C2paSigner **out)
{
    char *chain = NULL, *key = NULL;
    size_t bytes = 0, key_bytes = 0;
    *out = NULL;
    Status status = file_read(claim->certificate, MAX_PEM, &chain, &bytes);
    if (!failed(status)) status = file_read(claim->key, MAX_PEM, &key, &key_bytes);
    if (!failed(status)) {
        const C2paSignerInfo info = {"es256", chain, key, claim->timestamp};
        *out = c->c2pa_signer_from_info(&info);
        if (!*out) status = library_failed(c, ERR_INPUT, claim->key, "sign with it");
    }
    if (key) explicit_bzero(key, key_bytes);
    free(key);
    free(chain);
    return status;
}

static Status sign_into(const C2paLibrary *c, const CredentialsClaim *claim, C2paSigner *signer, const char *path,
                        const char *draft)
{
    char *json = definition(claim, path);
    if (!json) return status_fail(ERR_CLIP, "%s: an id that is no UTF-8 cannot stand in credentials", path);
    FILE *from = fopen(path, "rb"), *to = fopen(draft, "w+b");
    Status status = from && to ? status_ok() : status_errno(ERR_NODE, "%s: cannot be copied for signing", path);
    C2paContext *context = failed(status) ? NULL : make_context(c, NULL);
    C2paBuilder *builder = context ? c->c2pa_builder_from_context(context) : NULL;
    if (builder) builder = c->c2pa_builder_with_definition(builder, json);
    C2paStream *source = builder ? stream_of(c, from) : NULL, *target = source ? stream_of(c, to) : NULL;
    const unsigned char *manifest = NULL;
    if (!failed(status) &&
        (!target || c->c2pa_builder_sign(builder, format_of(path), source, target, signer, &manifest) < 0))
        status = library_failed(c, ERR_CLIP, path, "sign it");
    if (manifest) c->c2pa_manifest_bytes_free(manifest);
    if (target) c->c2pa_release_stream(target);
    if (source) c->c2pa_release_stream(source);
    if (builder) c->c2pa_free(builder);
    if (context) c->c2pa_free(context);
    if (from) fclose(from);
    if (to && fclose(to) != 0 && !failed(status)) status = status_errno(ERR_NODE, "%s: cannot write", draft);
    free(json);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------ */

static void take_text(const json_t *from, const char *key, char *to, size_t room)
{
    const char *text = json_string_value(json_object_get(from, key));
    if (text) snprintf(to, room, "%s", text);
}

static void take_assertion(const json_t *a, CredentialsReading *out)
{
    const char *label = json_string_value(json_object_get(a, "label"));
    const json_t *data = json_object_get(a, "data");
    size_t i;
    json_t *one;
    if (!label) return;
    if (strncmp(label, "com.reelwright.clip", strlen("com.reelwright.clip")) == 0) {
        take_text(data, "clip", out->clip, sizeof out->clip);
        take_text(data, "campaign", out->campaign, sizeof out->campaign);
    } else if (strncmp(label, "c2pa.soft-binding", strlen("c2pa.soft-binding")) == 0) {
        const char *alg = json_string_value(json_object_get(data, "alg"));
        if (alg && strcmp(alg, "io.iscc.v0") == 0)
            take_text(json_array_get(json_object_get(data, "blocks"), 0), "value", out->iscc, sizeof out->iscc);
    } else if (strncmp(label, "c2pa.actions", strlen("c2pa.actions")) == 0) {
        json_array_foreach(json_object_get(data, "actions"), i, one)
        {
            const char *type = json_string_value(json_object_get(one, "digitalSourceType"));
            out->generated = out->generated || (type && strstr(type, "trainedAlgorithmicMedia"));
        }
    }
}

/* Of all C2PA's codes of failures, those that show that bytes were changed after signing. */
static bool is_mismatch(const char *code)
{
    static const char *const known[] = {"assertion.dataHash.mismatch",  "assertion.bmffHash.mismatch",
                                        "assertion.boxesHash.mismatch", "assertion.collectionHash.mismatch",
                                        "assertion.hashedURI.mismatch", "claimSignature.mismatch"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(code, known[i]) == 0) return true;
    return false;
}

/* The first mismatch, else the first failure; that nobody knows the signer is a failure only where there is no other. */
static void take_failures(const json_t *j, CredentialsReading *out)
{
    const json_t *list =
        json_object_get(json_object_get(json_object_get(j, "validation_results"), "activeManifest"), "failure");
    if (!json_is_array(list)) list = json_object_get(j, "validation_status");
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one)
    {
        const char *code = json_string_value(json_object_get(one, "code"));
        const bool mismatch = code && is_mismatch(code);
        if (code &&
            (!out->why[0] || strcmp(out->why, "signingCredential.untrusted") == 0 || (mismatch && !out->mismatch)))
            snprintf(out->why, sizeof out->why, "%s", code);
        out->mismatch = out->mismatch || mismatch;
    }
}

static void take_report(const json_t *j, CredentialsReading *out)
{
    const char *state = json_string_value(json_object_get(j, "validation_state"));
    const char *active = json_string_value(json_object_get(j, "active_manifest"));
    const json_t *manifest = active ? json_object_get(json_object_get(j, "manifests"), active) : NULL;
    size_t i;
    json_t *one;
    out->state = CREDENTIALS_INVALID;
    if (state && strcmp(state, "Valid") == 0) out->state = CREDENTIALS_VALID;
    if (state && strcmp(state, "Trusted") == 0) out->state = CREDENTIALS_TRUSTED;
    take_failures(j, out);
    take_text(json_object_get(manifest, "signature_info"), "issuer", out->signer, sizeof out->signer);
    take_text(json_object_get(manifest, "signature_info"), "time", out->signed_at, sizeof out->signed_at);
    json_array_foreach(json_object_get(manifest, "assertions"), i, one) take_assertion(one, out);
}

Status credentials_take_report(const char *text, size_t bytes, CredentialsReading *out)
{
    json_t *j = json_loadb(text, bytes, 0, NULL);
    *out = (CredentialsReading){.state = CREDENTIALS_NONE};
    if (!j) return status_fail(ERR_NODE, "the credentials library answers no JSON");
    take_report(j, out);
    json_decref(j);
    return status_ok();
}

/* Does the file hold a manifest, readable or not? Its first box is a JUMBF description whose type begins with "c2pa". Without one,
 * whatever the library cannot read is simply no signed file: a text, another container, half a download. */
static bool has_manifest(FILE *f)
{
    static const char mark[] = "jumdc2pa";
    enum { MARK = sizeof mark - 1, ROOM = 1 << 16 };
    char *buffer = memory_get(ROOM + MARK, 1);
    size_t kept = 0, n;
    bool found = false;
    rewind(f);
    while (!found && (n = fread(buffer + kept, 1, ROOM, f)) > 0) {
        const size_t have = kept + n;
        found = memmem(buffer, have, mark, MARK) != NULL;
        kept = have < MARK - 1 ? have : MARK - 1;
        memmove(buffer, buffer + have - kept, kept);
    }
    free(buffer);
    return found;
}

static Status read_from(const C2paLibrary *c, const char *path, FILE *f, const char *anchors_pem,
                        CredentialsReading *out)
{
    C2paContext *context = make_context(c, anchors_pem);
    if (!context) return library_failed(c, anchors_pem ? ERR_INPUT : ERR_NODE, path, "read its credentials");
    C2paReader *reader = c->c2pa_reader_from_context(context);
    C2paStream *stream = reader ? stream_of(c, f) : NULL;
    if (stream) reader = c->c2pa_reader_with_stream(reader, format_of(path), stream);
    char *text = stream && reader ? c->c2pa_reader_json(reader) : NULL;
    Status status = status_ok();
    if (text) {
        status = status_at(credentials_take_report(text, strlen(text), out), "%s", path);
        c->c2pa_string_free(text);
    } else {
        char *reason = c->c2pa_error();
        if (has_manifest(f)) {
            out->state = CREDENTIALS_INVALID;
            snprintf(out->why, sizeof out->why, "%.150s", reason ? reason : "unreadable");
        }
        if (reason) c->c2pa_string_free(reason);
    }
    if (stream) c->c2pa_release_stream(stream);
    if (reader) c->c2pa_free(reader);
    c->c2pa_free(context);
    return status;
}

/* The library takes whatever a command, or a key of another certificate, has signed. */
static Status check_signed(const C2paLibrary *c, const char *path, const char *draft)
{
    CredentialsReading r = {.state = CREDENTIALS_NONE};
    FILE *f;
    TRY(file_open_stream(draft, &f));
    Status status = read_from(c, path, f, NULL, &r);
    fclose(f);
    if (failed(status) || r.state == CREDENTIALS_VALID || r.state == CREDENTIALS_TRUSTED) return status;
    return status_fail(ERR_INPUT,
                       "credentials: what was signed is not valid (%s); expected a signature by the key of the "
                       "certificate's first entry",
                       r.why[0] ? r.why : "no credentials in it");
}

Status credentials_sign(const char *path, const CredentialsClaim *claim)
{
    const C2paLibrary *c;
    C2paSigner *signer;
    Signing by_command = {.command = claim->signer};
    TRY(c2pa_library(&c));
    TRY(claim->signer ? make_command_signer(c, claim, &by_command, &signer) : make_signer(c, claim, &signer));
    char *draft = file_draft(path);
    Status status = sign_into(c, claim, signer, path, draft);
    c->c2pa_free(signer);
    if (*by_command.why) /* what the command said is worth more than what the library makes of it */
        status = status_fail(ERR_INPUT, "credentials.signer: %s", by_command.why);
    if (!failed(status)) status = check_signed(c, path, draft);
    if (!failed(status))
        status = file_publish(draft, path);
    else
        remove(draft);
    free(draft);
    return status;
}

Status credentials_read(const char *path, const char *anchors, CredentialsReading *out)
{
    const C2paLibrary *c;
    char *pem = NULL;
    size_t bytes;
    *out = (CredentialsReading){.state = CREDENTIALS_NONE};
    TRY(c2pa_library(&c));
    if (anchors) TRY(file_read(anchors, MAX_PEM, &pem, &bytes));
    FILE *f;
    Status status = file_open_stream(path, &f);
    if (!failed(status)) status = read_from(c, path, f, pem, out);
    if (f) fclose(f);
    free(pem);
    return status;
}
