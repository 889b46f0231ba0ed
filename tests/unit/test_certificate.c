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

#include "common/file.h"
#include "common/shell.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_chain_is_of_the_profile),
                                       cmocka_unit_test(seals_are_of_both_forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
