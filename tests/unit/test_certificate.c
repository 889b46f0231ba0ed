/* test_certificate.c - the farm's own certificates are what C2PA wants, and say that they are self-made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/shell.h"
#include "coordinator/campaign/campaign.h"
#include "trust/certificate.h"

static const char folder[] = "keys.dir";

static char *told(const char *command)
{
    char *text, *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t)command, NULL};
    int code;
    assert_int_equal(shell_run(argv, &text, &code).err, OK);
    if (code != 0) print_message("%s: %s\n", command, text);
    assert_int_equal(code, 0);
    return text;
}

static void says(const char *text, const char *part)
{
    if (!strstr(text, part)) print_message("%s\n", text);
    assert_non_null(strstr(text, part));
}

static void the_chain_is_of_the_profile(void **state)
{
    struct stat info;
    (void)state;
    free(told("rm -rf keys.dir"));
    assert_int_equal(trust_make_certificates(folder, "Müller & Söhne").err, OK);
    assert_int_equal(trust_make_certificates(folder, "Another").err, ERR_INPUT); /* never over a key */
    assert_int_equal(stat("keys.dir/signer.pem", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    free(told("openssl verify -CAfile keys.dir/root.pem -purpose smimesign keys.dir/chain.pem"));
    char *text = told("openssl x509 -in keys.dir/chain.pem -noout -text -nameopt utf8");
    says(text, "ecdsa-with-SHA256");
    says(text, "ASN1 OID: prime256v1");
    says(text, "E-mail Protection");
    says(text, "Digital Signature");
    says(text, "CA:FALSE");
    says(text, "Version: 3");
    says(text, "X509v3 Authority Key Identifier");
    says(text, "not trusted");
    free(text);
    says(text = told("head -1 keys.dir/signer.pem"), "BEGIN PRIVATE KEY"); /* PKCS#8 */
    free(text);
    /* key and certificate belong together */
    free(told("test \"$(openssl pkey -in keys.dir/signer.pem -pubout)\" = \"$(openssl x509 -in keys.dir/chain.pem "
              "-noout -pubkey)\""));
    free(told("rm -rf keys.dir"));
}

/* r and s of 32 bytes each, as cards write them, of a seal in DER; "" where a number is shorter than that */
static void plain_of(const char *der, char plain[129])
{
    const char *at = der + 4; /* 30 LENGTH */
    plain[0] = 0;
    for (int i = 0; i < 2; i++) {
        unsigned n = 0;
        assert_int_equal(sscanf(at, "02%2x", &n), 1);
        at += 4;
        if (n < 32) plain[0] = 0;
        if (n >= 32) snprintf(plain + strlen(plain), 129 - strlen(plain), "%.64s", at + 2 * (n - 32));
        at += 2 * n;
    }
    if (strlen(plain) != 128) plain[0] = 0;
}

static void seals_are_of_both_forms(void **state)
{
    (void)state;
    char *seal, *by_command, plain[129] = "";
    free(told("rm -rf keys.dir"));
    assert_int_equal(trust_make_certificates(folder, "Tests").err, OK);
    assert_int_equal(
        trust_seal_by_command("openssl dgst -sha256 -sign keys.dir/signer.pem", "seven", 5, &by_command).err, OK);
    assert_int_equal(trust_check_seal("keys.dir/chain.pem", "seven", 5, by_command).err, OK);
    assert_int_equal(trust_check_seal("keys.dir/chain.pem", "eight", 5, by_command).err, ERR_INPUT);
    free(by_command);
    while (!*plain) {
        assert_int_equal(trust_seal("keys.dir/signer.pem", "seven", 5, &seal).err, OK);
        plain_of(seal, plain);
        free(seal);
    }
    assert_int_equal(trust_check_seal("keys.dir/chain.pem", "seven", 5, plain).err, OK);
    assert_int_equal(trust_check_seal("keys.dir/chain.pem", "eight", 5, plain).err, ERR_INPUT);
    plain[20] = plain[20] == '0' ? '1' : '0';
    assert_int_equal(trust_check_seal("keys.dir/chain.pem", "seven", 5, plain).err, ERR_INPUT);
    assert_int_equal(trust_check_seal("keys.dir/chain.pem", "seven", 5, "").err, ERR_INPUT);
    assert_int_equal(trust_seal_by_command("true", "seven", 5, &seal).err, ERR_INPUT);
    assert_null(seal);
    free(told("rm -rf keys.dir"));
}

static void make_dated(const char *dates)
{
    char *command = text_format("rm -rf keys.dir; " SOURCE_DIR "/tests/proof/dated_chain.sh keys.dir %s", dates);
    free(told(command));
    free(command);
}

/* What `check` says of a campaign that signs with the keys of keys.dir. */
static Status check_signed_by(const char *signs, Warnings *warnings)
{
    char *text = text_format("campaign: test\nmodel: " SOURCE_DIR "/tests/parity/fixtures/t2v-0/model\n"
                             "customers: certificate.csv\nprompt: x\n"
                             "credentials: {certificate: keys.dir/chain.pem, %s}\n",
                             signs);
    Campaign *c = NULL;
    assert_int_equal(file_replace("certificate.yaml", text, strlen(text)).err, OK);
    assert_int_equal(file_replace("certificate.csv", "id\n1\n", 5).err, OK);
    free(text);
    const Status status = campaign_load("certificate.yaml", &c);
    *warnings = (Warnings){0};
    if (c) {
        *warnings = c->warnings;
        c->warnings = (Warnings){0};
    }
    campaign_free(&c);
    remove("certificate.yaml");
    remove("certificate.csv");
    return status;
}

static const char *warned_of_certificate(const Warnings *w)
{
    for (int i = 0; i < w->count; i++)
        if (strcmp(w->warning[i].field, "credentials.certificate") == 0) return w->warning[i].message;
    return NULL;
}

/* That there is nothing to warn of, too. */
static Status check_campaign(void)
{
    Warnings warnings;
    const Status status = check_signed_by("key: keys.dir/signer.pem", &warnings);
    assert_null(warned_of_certificate(&warnings));
    warnings_clear(&warnings);
    return status;
}

/* No reader takes what is signed outside the certificate's dates, so a campaign with it is refused before it starts. */
static void dates_are_checked_before_anything_starts(void **state)
{
    (void)state;
    char *soon;
    make_dated("-3600 3456000"); /* 40 days */
    assert_string_equal(trust_check_dates("keys.dir/chain.pem", &soon).message, "");
    assert_null(soon);
    assert_string_equal(check_campaign().message, "");
    make_dated("-3600 -60");
    assert_int_equal(trust_check_dates("keys.dir/chain.pem", &soon).err, ERR_INPUT);
    Status status = check_campaign();
    says(status.message, "certificate.yaml:5: field credentials.certificate: ");
    says(status.message, "chain.pem: the certificate has expired at 2");
    make_dated("3600 7200");
    status = check_campaign();
    says(status.message, "chain.pem: the certificate is not valid before 2");
    says(status.message, " UTC; expected one that is valid now");
    assert_int_equal(trust_check_dates("keys.dir/signer.pem", &soon).err, ERR_INPUT);
    free(told("rm -rf keys.dir"));
}

/* Before it is too late; whoever signs. */
static void a_certificate_that_ends_soon_is_a_warning(void **state)
{
    static const char *const signs[] = {"key: keys.dir/signer.pem", "signer: \"false\""};
    (void)state;
    make_dated("-3600 864000"); /* ten days */
    for (int i = 0; i < 2; i++) {
        Warnings w;
        assert_string_equal(check_signed_by(signs[i], &w).message, "");
        const char *said = warned_of_certificate(&w);
        assert_non_null(said);
        says(said, "chain.pem: the certificate expires at 2");
        says(said, "get a new one before that");
        warnings_clear(&w);
    }
    make_dated("-3600 -60"); /* a command signs with it: nothing else would say it */
    Warnings w;
    Status status = check_signed_by(signs[1], &w);
    says(status.message, "chain.pem: the certificate has expired at 2");
    warnings_clear(&w);
    free(told("rm -rf keys.dir"));
}

/* Every certificate of the chain must be valid, not the first alone. */
static void the_whole_chain_is_checked(void **state)
{
    char *soon;
    (void)state;
    make_dated("-3600 -60");
    free(told("cp keys.dir/chain.pem old.pem"));
    make_dated("-3600 3456000");
    free(told("cat old.pem >> keys.dir/chain.pem"));
    Status status = trust_check_dates("keys.dir/chain.pem", &soon);
    assert_int_equal(status.err, ERR_INPUT);
    says(status.message, "chain.pem: certificate 3 of the chain (farm) has expired at 2");
    make_dated("-3600 3456000");
    free(told("printf -- '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n' >> keys.dir/chain.pem"));
    says(trust_check_dates("keys.dir/chain.pem", &soon).message,
         "chain.pem: certificate 3 of the chain cannot be read");
    assert_null(soon);
    remove("old.pem");
    free(told("rm -rf keys.dir"));
}

static void a_key_that_cannot_be_opened_is_named_once(void **state)
{
    char *seal;
    (void)state;
    free(told("rm -rf keys.dir"));
    assert_int_equal(trust_make_certificates(folder, "Tests").err, OK);
    assert_int_equal(chmod("keys.dir", 0755), 0);
    assert_int_equal(chmod("keys.dir/signer.pem", 0), 0);
    const bool root = geteuid() == 0; /* who may read everything */
    if (root) assert_int_equal(seteuid(65534), 0);
    Status status = trust_seal("keys.dir/signer.pem", "seven", 5, &seal);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(status.err, ERR_INPUT);
    says(status.message, "Permission denied");
    assert_null(seal);
    free(told("rm keys.dir/signer.pem; mkdir keys.dir/signer.pem")); /* not even root reads it */
    status = check_campaign();
    says(status.message, "field credentials.key: cannot read ");
    assert_null(strstr(status.message, "expected the key of"));
    free(told("rm -rf keys.dir"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_chain_is_of_the_profile),
                                       cmocka_unit_test(seals_are_of_both_forms),
                                       cmocka_unit_test(dates_are_checked_before_anything_starts),
                                       cmocka_unit_test(a_certificate_that_ends_soon_is_a_warning),
                                       cmocka_unit_test(the_whole_chain_is_checked),
                                       cmocka_unit_test(a_key_that_cannot_be_opened_is_named_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
