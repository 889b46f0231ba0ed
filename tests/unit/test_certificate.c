/* test_certificate.c - the farm's own certificates are what C2PA wants, and say that they are self-made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_chain_is_of_the_profile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
