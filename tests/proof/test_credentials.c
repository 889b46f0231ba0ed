/* Content credentials: signed, read back, altered; and read by c2pa's own Python package, which knows nothing of our code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/hash.h"
#include "trust/certificate.h"
#include "worker/proof/c2pa_library.h"
#include "worker/proof/credentials.h"
#include "worker/proof/verify.h"

static const char clip[] = "credentials_clip.mp4";
static char keys[] = "credentials_keys.XXXXXX", chain[64], key[64], root[64];

static void fresh_clip(void)
{
    char *data;
    size_t bytes;
    assert_string_equal(file_read(SOURCE_DIR "/tests/gate/clips/pocket-0.mp4", 1 << 20, &data, &bytes).message, "");
    assert_string_equal(file_replace(clip, data, bytes).message, "");
    free(data);
}

static CredentialsClaim claim_of(const json_t *model)
{
    return (CredentialsClaim){.certificate = chain,
                              .key = key,
                              .clip = "c-17",
                              .campaign = "tests",
                              .iscc = "ISCC:EMDQELDSIOWZCGCWMFFFIMNLQE355WXZA2BL2B6NRS6Z2PH5BKPS36A",
                              .watermarked = true,
                              .watermark = 0x1234,
                              .model = model,
                              .consent_sha256 = "ab"};
}

static void sign(void)
{
    json_t *model = json_pack("[{s:s, s:s}]", "part", "transformer", "sha256", "00ff");
    const CredentialsClaim c = claim_of(model);
    fresh_clip();
    assert_string_equal(credentials_sign(clip, &c).message, "");
    json_decref(model);
}

static bool has_library(void)
{
    const C2paLibrary *c;
    if (!failed(c2pa_library(&c))) return true;
    print_message("skipped: libc2pa_c.so is not installed (./quickstart.sh build does it)\n");
    return false;
}

static int make_keys(void **state)
{
    (void)state;
    if (!mkdtemp(keys) || failed(trust_make_certificates(keys, "Tests"))) return -1;
    snprintf(chain, sizeof chain, "%s/chain.pem", keys);
    snprintf(key, sizeof key, "%s/signer.pem", keys);
    snprintf(root, sizeof root, "%s/root.pem", keys);
    return 0;
}

static int remove_keys(void **state)
{
    (void)state;
    remove(chain);
    remove(key);
    remove(root);
    file_remove_tree(keys); /* with what tsa.py made */
    remove(clip);
    return 0;
}

static void are_read_back(void **state)
{
    (void)state;
    CredentialsReading r;
    if (!has_library()) skip();
    fresh_clip();
    assert_string_equal(credentials_read(clip, NULL, &r).message, "");
    assert_int_equal(r.state, CREDENTIALS_NONE);
    sign();
    assert_string_equal(credentials_read(clip, NULL, &r).message, "");
    assert_string_equal(credentials_state_name[r.state], "valid");
    assert_string_equal(r.why, "signingCredential.untrusted");
    assert_string_equal(r.clip, "c-17");
    assert_string_equal(r.campaign, "tests");
    assert_string_equal(r.signer, "Tests");
    assert_string_equal(r.iscc, "ISCC:EMDQELDSIOWZCGCWMFFFIMNLQE355WXZA2BL2B6NRS6Z2PH5BKPS36A");
    assert_true(r.generated);
    assert_string_equal(credentials_read(clip, root, &r).message, "");
    assert_string_equal(credentials_state_name[r.state], "trusted");
}

/* The key stays with whoever signs: here openssl with a file, in a farm a card or a vault. */
static void are_signed_by_a_command(void **state)
{
    (void)state;
    char command[200];
    CredentialsReading r;
    CredentialsClaim c = claim_of(NULL);
    if (!has_library()) skip();
    snprintf(command, sizeof command, "openssl dgst -sha256 -sign %s", key);
    c.key = NULL;
    c.signer = command;
    fresh_clip();
    assert_string_equal(credentials_sign(clip, &c).message, "");
    assert_string_equal(credentials_read(clip, root, &r).message, "");
    assert_string_equal(credentials_state_name[r.state], "trusted");
    fresh_clip();
    c.signer = "echo the card is not in its slot >&2; exit 1";
    Status status = credentials_sign(clip, &c);
    assert_int_equal(status.err, ERR_INPUT);
    assert_non_null(strstr(status.message, "the card is not in its slot"));
    c.signer = "head -c 64 /dev/zero | tr '\\0' x"; /* r and s, and not of this key */
    status = credentials_sign(clip, &c);
    assert_int_equal(status.err, ERR_INPUT);
    assert_non_null(strstr(status.message, "by the key of the certificate's first entry"));
    c.signer = "true";
    status = credentials_sign(clip, &c);
    assert_non_null(strstr(status.message, "it wrote 0 bytes, expected a signature"));
    assert_string_equal(credentials_read(clip, root, &r).message, "");
    assert_int_equal(r.state, CREDENTIALS_NONE); /* the clip is as it was */
}

/* openssl is the authority, on this machine (tsa.py). */
static void carry_the_time(void **state)
{
    (void)state;
    int to[2], from[2];
    char address[64], port[16] = "";
    CredentialsReading r;
    CredentialsClaim c = claim_of(NULL);
    if (!has_library()) skip();
    assert_true(pipe(to) == 0 && pipe(from) == 0);
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        close(to[1]);
        execlp("python3", "python3", SOURCE_DIR "/tests/proof/tsa.py", keys, (char *)NULL);
        _exit(127);
    }
    close(from[1]);
    assert_true(read(from[0], port, sizeof port - 1) > 0);
    port[strcspn(port, "\n")] = 0;
    snprintf(address, sizeof address, "http://127.0.0.1:%s", port);
    c.timestamp = address;
    fresh_clip();
    assert_string_equal(credentials_sign(clip, &c).message, "");
    assert_string_equal(credentials_read(clip, root, &r).message, "");
    assert_string_equal(credentials_state_name[r.state], "trusted");
    assert_true(strlen(r.signed_at) >= 20 && r.signed_at[4] == '-');
    close(to[1]);
    waitpid(pid, NULL, 0);
    fresh_clip(); /* nobody answers any more: no clip leaves without the stamp that was asked for */
    assert_true(failed(credentials_sign(clip, &c)));
    c.timestamp = NULL;
    assert_string_equal(credentials_sign(clip, &c).message, "");
    assert_string_equal(credentials_read(clip, root, &r).message, "");
    assert_string_equal(r.signed_at, "");
    close(to[0]);
    close(from[0]);
}

static size_t find(const char *data, size_t bytes, const char *word)
{
    const char *at = memmem(data, bytes, word, strlen(word));
    return at ? (size_t)(at - data) : bytes;
}

/* What the library cannot read, and what was never signed, has no credentials; it was not altered. */
static void are_not_seen_where_there_are_none(void **state)
{
    static const char *const other[] = {"", "hello\n", "\x1a\x45\xdf\xa3 not the container that its name says",
                                        "jumd c2pa"};
    (void)state;
    CredentialsReading r;
    if (!has_library()) skip();
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        assert_string_equal(file_replace(clip, other[i], strlen(other[i])).message, "");
        assert_string_equal(credentials_read(clip, NULL, &r).message, "");
        if (r.state != CREDENTIALS_NONE) fail_msg("%s: %s", other[i], r.why);
    }
}

static void break_with_any_change(void **state)
{
    (void)state;
    char *data;
    size_t bytes;
    CredentialsReading r;
    if (!has_library()) skip();
    sign();
    assert_string_equal(file_read(clip, 1 << 20, &data, &bytes).message, "");
    assert_true(find(data, bytes, "moov") < find(data, bytes, "mdat")); /* starts fast, still */
    const size_t unreadable =
        find(data, bytes, "jumdc2pa") + 9; /* a manifest of no known kind: nothing to compare with */
    const size_t place[] = {find(data, bytes, "mdat") + 5000, find(data, bytes, "moov") + 40,
                            find(data, bytes, "c2pa.created") + 5, unreadable};
    for (size_t i = 0; i < sizeof place / sizeof *place; i++) {
        assert_true(place[i] < bytes);
        data[place[i]] ^= 1;
        assert_string_equal(file_replace(clip, data, bytes).message, "");
        assert_string_equal(credentials_read(clip, NULL, &r).message, "");
        if (r.state != CREDENTIALS_INVALID)
            fail_msg("a change at byte %zu is %s", place[i], credentials_state_name[r.state]);
        assert_int_equal(r.mismatch, place[i] != unreadable);
        assert_true(r.mismatch ? strstr(r.why, ".mismatch") != NULL : r.why[0] != 0);
        data[place[i]] ^= 1;
    }
    assert_string_equal(file_replace(clip, data, bytes - 1000).message, "");
    assert_string_equal(credentials_read(clip, NULL, &r).message, "");
    assert_int_equal(r.state, CREDENTIALS_INVALID);
    free(data);
}

static bool is_altered(const char *why_part, json_type type)
{
    const VerifyOptions o = {.clips = NULL};
    json_t *found;
    assert_string_equal(verify_file(clip, &o, &found).message, "");
    const char *why = json_string_value(json_object_get(found, "why"));
    const bool fits = json_typeof(json_object_get(found, "altered")) == type && strstr(why, why_part);
    if (!fits) print_message("%s\n", why);
    json_decref(found);
    return fits;
}

/* A certificate that has expired since says nothing about the bytes; a hash that does not fit still does. */
static void expire_without_being_altered(void **state)
{
    enum { LIFE_S = 8 };
    char command[512], *short_lived = path_join(keys, "short"), *data;
    size_t bytes;
    CredentialsReading r;
    CredentialsClaim c = claim_of(NULL);
    (void)state;
    if (!has_library()) skip();
    char *short_chain = path_join(short_lived, "chain.pem"), *short_key = path_join(short_lived, "signer.pem");
    const time_t end = time(NULL) + LIFE_S;
    snprintf(command, sizeof command, SOURCE_DIR "/tests/proof/dated_chain.sh %s -3600 %d >/dev/null", short_lived,
             LIFE_S);
    assert_int_equal(system(command), 0);
    fresh_clip();
    c.certificate = short_chain;
    c.key = short_key;
    assert_string_equal(credentials_sign(clip, &c).message, "");
    assert_true(is_altered("signed over these bytes", JSON_FALSE));
    while (time(NULL) <= end + 2) sleep(1); /* the script reads the clock a little later */
    assert_string_equal(credentials_read(clip, NULL, &r).message, "");
    assert_string_equal(credentials_state_name[r.state], "invalid");
    assert_string_equal(r.why, "signingCredential.expired");
    assert_false(r.mismatch);
    assert_true(is_altered("signingCredential.expired", JSON_NULL));
    assert_string_equal(file_read(clip, 1 << 20, &data, &bytes).message, "");
    data[find(data, bytes, "mdat") + 5000] ^= 1;
    assert_string_equal(file_replace(clip, data, bytes).message, "");
    assert_true(is_altered("assertion.bmffHash.mismatch", JSON_TRUE));
    free(data);
    free(short_key);
    free(short_chain);
    free(short_lived);
}

static void leave_the_file_alone_when_they_fail(void **state)
{
    (void)state;
    char before[HASH_TEXT], after[HASH_TEXT];
    CredentialsClaim c = claim_of(NULL);
    if (!has_library()) skip();
    fresh_clip();
    assert_string_equal(hash_file(clip, before).message, "");
    c.key = "absent.pem";
    assert_int_equal(credentials_sign(clip, &c).err, ERR_INPUT);
    c.key = chain; /* no key */
    assert_int_equal(credentials_sign(clip, &c).err, ERR_INPUT);
    assert_string_equal(hash_file(clip, after).message, "");
    assert_string_equal(before, after);
    assert_int_equal(credentials_read("absent.mp4", NULL, &(CredentialsReading){0}).err, ERR_INPUT);
}

static void are_read_by_others(void **state)
{
    (void)state;
    if (!has_library()) skip();
    if (system(C2PA_HOME "/bin/python -c 'import c2pa' 2>/dev/null") != 0) {
        print_message("skipped: " C2PA_HOME " has no Python package c2pa\n");
        skip();
    }
    sign();
    assert_int_equal(system(C2PA_HOME "/bin/python " SOURCE_DIR "/tests/proof/witness.py credentials_clip.mp4"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_read_back),
        cmocka_unit_test(are_signed_by_a_command),
        cmocka_unit_test(carry_the_time),
        cmocka_unit_test(are_not_seen_where_there_are_none),
        cmocka_unit_test(break_with_any_change),
        cmocka_unit_test(expire_without_being_altered),
        cmocka_unit_test(leave_the_file_alone_when_they_fail),
        cmocka_unit_test(are_read_by_others),
    };
    return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
