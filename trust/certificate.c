#include "certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "common/command.h"
#include "common/file.h"
#include "trust/chain.h"

enum { ROOT_DAYS = 3650, SIGNER_DAYS = 825 };

typedef struct { /* one certificate to be; issuer NULL: itself */
    const char *organisation, *name;
    int days;
    EVP_PKEY *key, *issuer_key;
    X509 *issuer;
    const char *basic, *usage, *extended; /* in OpenSSL's words; extended NULL: none */
} Wanted;

static bool add_extension(X509 *c, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, c, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool good = e && X509_add_ext(c, e, -1);
    X509_EXTENSION_free(e);
    return good;
}

static bool name_it(X509 *c, const Wanted *w)
{
    X509_NAME *n = X509_get_subject_name(c);
    return X509_NAME_add_entry_by_txt(n, "O", MBSTRING_UTF8, (const unsigned char *)w->organisation, -1, -1, 0) &&
           X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const unsigned char *)w->name, -1, -1, 0) &&
           X509_set_issuer_name(c, w->issuer ? X509_get_subject_name(w->issuer) : n);
}

static bool number_it(X509 *c)
{
    unsigned char serial[16];
    if (RAND_bytes(serial, sizeof serial) != 1) return false;
    serial[0] &= 0x7f; /* positive */
    BIGNUM *n = BN_bin2bn(serial, sizeof serial, NULL);
    bool good = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(c));
    BN_free(n);
    return good;
}

static X509 *make_certificate(const Wanted *w)
{
    X509 *c = X509_new(), *issuer = w->issuer ? w->issuer : c;
    bool good = c && X509_set_version(c, X509_VERSION_3) && number_it(c) &&
                X509_gmtime_adj(X509_getm_notBefore(c), -3600) && /* clocks of readers may be behind */
                X509_time_adj_ex(X509_getm_notAfter(c), w->days, 0, NULL) && name_it(c, w) &&
                X509_set_pubkey(c, w->key) && add_extension(c, issuer, NID_basic_constraints, w->basic) &&
                add_extension(c, issuer, NID_key_usage, w->usage) &&
                add_extension(c, issuer, NID_subject_key_identifier, "hash") &&
                add_extension(c, issuer, NID_authority_key_identifier, "keyid:always") &&
                (!w->extended || add_extension(c, issuer, NID_ext_key_usage, w->extended)) &&
                X509_sign(c, w->issuer_key, EVP_sha256());
    if (good) return c;
    X509_free(c);
    return NULL;
}

static Status publish_bio(const char *folder, const char *name, BIO *b)
{
    char *text, *path = path_join(folder, name);
    long bytes = BIO_get_mem_data(b, &text);
    Status status =
        bytes > 0 ? trust_publish(path, text, (size_t)bytes) : status_fail(ERR_NODE, "%s: OpenSSL has failed", path);
    free(path);
    return status;
}

static Status write_all(const char *folder, EVP_PKEY *key, X509 *signer, X509 *root)
{
    BIO *chain = BIO_new(BIO_s_mem()), *alone = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_secmem());
    bool good = chain && alone && secret && PEM_write_bio_X509(chain, signer) && PEM_write_bio_X509(chain, root) &&
                PEM_write_bio_X509(alone, root) &&
                PEM_write_bio_PKCS8PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL);
    Status status = good ? status_ok() : status_fail(ERR_NODE, "OpenSSL has failed");
    if (!failed(status)) status = publish_bio(folder, "chain.pem", chain);
    if (!failed(status)) status = publish_bio(folder, "root.pem", alone);
    if (!failed(status)) status = publish_bio(folder, "signer.pem", secret);
    BIO_free(chain);
    BIO_free(alone);
    BIO_free(secret);
    return status;
}

static Status make_all(const char *folder, const char *organisation)
{
    /* the root's key is used once and kept nowhere: nobody can make another certificate with it */
    EVP_PKEY *root_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    const Wanted of_root = {.organisation = organisation,
                            .name = "Reelwright self-made root (not trusted)",
                            .days = ROOT_DAYS,
                            .key = root_key,
                            .issuer_key = root_key,
                            .basic = "critical,CA:TRUE",
                            .usage = "critical,keyCertSign,cRLSign"};
    X509 *root = root_key && key ? make_certificate(&of_root) : NULL;
    const Wanted of_signer = {.organisation = organisation,
                              .name = "Reelwright farm",
                              .days = SIGNER_DAYS,
                              .key = key,
                              .issuer_key = root_key,
                              .issuer = root,
                              .basic = "critical,CA:FALSE",
                              .usage = "critical,digitalSignature",
                              .extended = "critical,emailProtection"};
    X509 *signer = root ? make_certificate(&of_signer) : NULL;
    Status status =
        signer ? write_all(folder, key, signer, root) : status_fail(ERR_NODE, "OpenSSL cannot make a certificate");
    X509_free(signer);
    X509_free(root);
    EVP_PKEY_free(key);
    EVP_PKEY_free(root_key);
    return status;
}

Status trust_make_certificates(const char *folder, const char *organisation)
{
    char *key = path_join(folder, "signer.pem");
    bool there = file_exists(key);
    Status status =
        there ? status_fail(ERR_INPUT, "%s is there already; expected a folder without one", key) : status_ok();
    free(key);
    if (!failed(status)) status = file_make_folders(folder);
    if (!failed(status) && chmod(folder, 0700) != 0) status = status_errno(ERR_INPUT, "%s", folder);
    return failed(status) ? status : make_all(folder, organisation);
}

/* ---- seals ---- */

/* Ed25519 hashes by itself. */
static const EVP_MD *digest_of(const EVP_PKEY *key)
{
    return EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448") ? NULL : EVP_sha256();
}

static int no_password(char *text, int room, int writing, void *self)
{
    (void)text, (void)room, (void)writing, (void)self;
    return -1; /* nobody is there to type it */
}

Status trust_seal(const char *key_file, const void *data, size_t bytes, char **seal)
{
    FILE *f;
    *seal = NULL;
    TRY(file_open_stream(key_file, &f));
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, no_password, NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char *text = NULL;
    size_t n = 0;
    bool good = key && context && EVP_DigestSignInit(context, NULL, digest_of(key), NULL, key) == 1 &&
                EVP_DigestSign(context, NULL, &n, data, bytes) == 1 && (text = memory_get(n, 1)) &&
                EVP_DigestSign(context, text, &n, data, bytes) == 1;
    if (good) {
        *seal = memory_get(2 * n + 1, 1);
        trust_hex(text, n, *seal);
    }
    fclose(f);
    free(text);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return good ? status_ok() : status_fail(ERR_INPUT, "%s: expected a key, in PEM, that can sign", key_file);
}

Status trust_seal_by_command(const char *command, const void *data, size_t bytes, char **seal)
{
    const Command c = {.command = command,
                       .input = data,
                       .input_bytes = bytes,
                       .limit_s = TRUST_SEAL_SECONDS,
                       .most_bytes = (TRUST_SEAL_BYTES - 1) / 2};
    CommandAnswer answer;
    Status status = command_run(&c, &answer);
    *seal = NULL;
    if (!failed(status) && answer.out_bytes == 0)
        status = status_fail(ERR_INPUT, "the command that signs wrote nothing, expected a signature");
    if (!failed(status)) {
        *seal = memory_get(2 * answer.out_bytes + 1, 1);
        trust_hex((const unsigned char *)answer.out, answer.out_bytes, *seal);
    }
    command_clear(&answer);
    return failed(status) ? status_fail(ERR_INPUT, "credentials.signer: %s", status.message) : status;
}

static bool is_signature(EVP_PKEY *key, const void *data, size_t bytes, const unsigned char *signature, size_t n)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool good = context && EVP_DigestVerifyInit(context, NULL, digest_of(key), NULL, key) == 1 &&
                      EVP_DigestVerify(context, signature, n, data, bytes) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

/* Cards and vaults write r and s side by side where OpenSSL has both in DER. */
static bool is_plain_signature(EVP_PKEY *key, const void *data, size_t bytes, const unsigned char *plain, size_t n)
{
    ECDSA_SIG *pair = EVP_PKEY_is_a(key, "EC") && n % 2 == 0 ? ECDSA_SIG_new() : NULL;
    BIGNUM *r = BN_bin2bn(plain, (int)n / 2, NULL), *s = BN_bin2bn(plain + n / 2, (int)n / 2, NULL);
    unsigned char *der = NULL;
    bool good = pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1;
    if (!good) BN_free(r), BN_free(s); /* else the pair's */
    const int length = good ? i2d_ECDSA_SIG(pair, &der) : 0;
    good = length > 0 && is_signature(key, data, bytes, der, (size_t)length);
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return good;
}

/* The file's first certificate, or NULL. */
static X509 *first_certificate(const char *certificate_file)
{
    FILE *f = fopen(certificate_file, "re");
    X509 *certificate = f ? PEM_read_X509(f, NULL, no_password, NULL) : NULL;
    if (f) fclose(f);
    return certificate;
}

/* The public key of the file's first certificate, or NULL. */
static EVP_PKEY *certified_key(const char *certificate_file)
{
    X509 *certificate = first_certificate(certificate_file);
    EVP_PKEY *key = certificate ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    return key;
}

static Status no_certificate(const char *file)
{
    return status_fail(ERR_INPUT, "%s: expected a certificate, in PEM", file);
}

Status trust_check_certificate(const char *certificate_file)
{
    TRY(file_check_regular(certificate_file));
    EVP_PKEY *key = certified_key(certificate_file);
    if (!key) return no_certificate(certificate_file);
    EVP_PKEY_free(key);
    return status_ok();
}

/* ---- dates ---- */

typedef struct { /* one certificate of a chain */
    const char *file;
    X509 *certificate;
    int number; /* from 1: that one signs */
} Dated;

/* "the certificate", or "certificate 2 of the chain (root)"; free() it. */
static char *dated_name(const Dated *d)
{
    char name[128] = "";
    if (d->number == 1) return text_copy("the certificate");
    X509_NAME_get_text_by_NID(X509_get_subject_name(d->certificate), NID_commonName, name, sizeof name);
    return *name ? text_format("certificate %d of the chain (%s)", d->number, name)
                 : text_format("certificate %d of the chain", d->number);
}

/* "FILE: the certificate HOW DATE; WHAT"; free() it. */
static char *say_date(const Dated *d, const char *how, const ASN1_TIME *at, const char *what)
{
    struct tm tm;
    char date[sizeof "2026-12-01 12:00:00 UTC"] = "", *name = dated_name(d);
    if (ASN1_TIME_to_tm(at, &tm)) strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S UTC", &tm);
    char *said = text_format("%s: %s %s %s; %s", d->file, name, how, date, what);
    free(name);
    return said;
}

static Status check_dated(const Dated *d, char **soon)
{
    const ASN1_TIME *from = X509_get0_notBefore(d->certificate), *to = X509_get0_notAfter(d->certificate);
    time_t then = time(NULL) + TRUST_SOON_DAYS * (time_t)86400;
    const bool early = X509_cmp_current_time(from) >= 0;
    if (early || X509_cmp_current_time(to) <= 0) {
        char *said = say_date(d, early ? "is not valid before" : "has expired at", early ? from : to,
                              "expected one that is valid now");
        Status status = status_fail(ERR_INPUT, "%s", said);
        free(said);
        return status;
    }
    if (!*soon && X509_cmp_time(to, &then) <= 0)
        *soon = say_date(d, "expires at", to,
                         "get a new one before that, and name it in the campaign: no clip can be signed after it");
    return status_ok();
}

Status trust_check_dates(const char *certificate_file, char **soon)
{
    FILE *f;
    Status status = status_ok();
    *soon = NULL;
    TRY(trust_check_certificate(certificate_file));
    TRY(file_open_stream(certificate_file, &f));
    for (int number = 1; !failed(status); number++) {
        Dated d = {certificate_file, NULL, number};
        ERR_clear_error();
        d.certificate = PEM_read_X509(f, NULL, no_password, NULL);
        if (!d.certificate) {
            if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
                status = status_fail(ERR_INPUT, "%s: certificate %d of the chain cannot be read; expected PEM",
                                     certificate_file, number);
            break;
        }
        status = check_dated(&d, soon);
        X509_free(d.certificate);
    }
    ERR_clear_error();
    fclose(f);
    if (failed(status)) {
        free(*soon);
        *soon = NULL;
    }
    return status;
}

Status trust_check_seal(const char *certificate_file, const void *data, size_t bytes, const char *seal)
{
    const size_t n = strlen(seal) / 2;
    unsigned char *signature = memory_get(n, 1);
    EVP_PKEY *key = certified_key(certificate_file);
    bool good = key && n > 0 && trust_unhex(seal, signature, n) &&
                (is_signature(key, data, bytes, signature, n) || is_plain_signature(key, data, bytes, signature, n));
    Status status = good   ? status_ok()
                    : !key ? no_certificate(certificate_file)
                           : status_fail(ERR_INPUT, "not signed by the key of %s", certificate_file);
    EVP_PKEY_free(key);
    free(signature);
    return status;
}
