#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "common/file.h"
#include "common/secret_file.h"

enum { DIGITS = 2 * TRUST_KEY_BYTES, WRAP_KEY = 1, SIGN_SEED = 2 };
static const char context[crypto_kdf_CONTEXTBYTES + 1] = "rwtrust1";

struct TrustSecret { /* in locked memory as a whole */
    unsigned char root[TRUST_KEY_BYTES], wrap[TRUST_KEY_BYTES];
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES], sign_key[crypto_sign_SECRETKEYBYTES];
};
_Static_assert(crypto_sign_PUBLICKEYBYTES == TRUST_KEY_BYTES && crypto_sign_BYTES == TRUST_SIGNATURE_BYTES, "Ed25519");
_Static_assert(crypto_secretbox_KEYBYTES == TRUST_KEY_BYTES && crypto_kdf_KEYBYTES == TRUST_KEY_BYTES, "32 bytes");

static bool ready(void) { return sodium_init() >= 0; }

void trust_hex(const void *data, size_t bytes, char *text) { sodium_bin2hex(text, 2 * bytes + 1, data, bytes); }

bool trust_unhex(const char *text, void *to, size_t bytes)
{
    if (strlen(text) != 2 * bytes || strspn(text, "0123456789abcdef") != 2 * bytes) return false;
    return sodium_hex2bin(to, bytes, text, 2 * bytes, NULL, NULL, NULL) == 0;
}

void *trust_memory_get(size_t bytes) { return ready() ? sodium_malloc(bytes ? bytes : 1) : NULL; }

void trust_memory_free(void *p) { sodium_free(p); }

void trust_random(void *to, size_t bytes)
{
    if (!ready()) abort();
    randombytes_buf(to, bytes);
}

unsigned trust_random_below(unsigned limit)
{
    if (!ready()) abort();
    return randombytes_uniform(limit);
}

void trust_harden_process(void)
{
    struct rlimit none = {0, 0};
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
}

/* ---- where it comes from ---- */

char *trust_secret_file(const char *folder)
{
    const char *file = getenv("REELWRIGHT_TRUST_KEY"), *command = getenv("REELWRIGHT_TRUST_KEY_COMMAND");
    if (file && *file) return text_copy(file);
    if (command && *command) return NULL;
    return path_join(folder, "key");
}

static Status derive(const char *digits, const char *from, TrustSecret **out)
{
    unsigned char seed[crypto_sign_SEEDBYTES];
    TrustSecret *s = trust_memory_get(sizeof *s);
    if (!s) return status_fail(ERR_NODE, "no locked memory for the trust store's key (ulimit -l)");
    if (!trust_unhex(digits, s->root, sizeof s->root)) {
        trust_memory_free(s);
        return status_fail(ERR_INPUT, "%s: expected a key of %d hexadecimal digits", from, DIGITS);
    }
    crypto_kdf_derive_from_key(s->wrap, sizeof s->wrap, WRAP_KEY, context, s->root);
    crypto_kdf_derive_from_key(seed, sizeof seed, SIGN_SEED, context, s->root);
    crypto_sign_seed_keypair(s->public_key, s->sign_key, seed);
    sodium_memzero(seed, sizeof seed);
    *out = s;
    return status_ok();
}

static size_t read_digits(int fd, char digits[DIGITS + 2])
{
    size_t n = 0;
    for (ssize_t k; n < DIGITS + 1; n += (size_t)k) {
        k = read(fd, digits + n, DIGITS + 1 - n);
        if (k < 0 && errno == EINTR)
            k = 0;
        else if (k <= 0)
            break;
    }
    if (n > 0 && digits[n - 1] == '\n') n--;
    digits[n] = 0;
    return n;
}

Status trust_secret_read(const char *file, TrustSecret **out)
{
    struct stat info;
    char digits[DIGITS + 2];
    *out = NULL;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return status_fail(ERR_INPUT, "%s: the trust store's key cannot be read: %s", file, strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_mode & 077) {
        close(fd);
        return status_fail(ERR_INPUT, "%s: the trust store's key can be read by others: chmod 600 %s", file, file);
    }
    read_digits(fd, digits);
    close(fd);
    Status status = derive(digits, file, out);
    sodium_memzero(digits, sizeof digits);
    return status;
}

Status trust_secret_make(const char *file, TrustSecret **out)
{
    unsigned char root[TRUST_KEY_BYTES];
    char digits[DIGITS + 2];
    *out = NULL;
    trust_random(root, sizeof root);
    trust_hex(root, sizeof root, digits);
    digits[DIGITS] = '\n';
    const Status status = secret_file_make(file, digits, DIGITS + 1);
    sodium_memzero(root, sizeof root);
    sodium_memzero(digits, sizeof digits);
    return failed(status) ? status : trust_secret_read(file, out);
}

static Status run_command(const char *command, TrustSecret **out)
{
    char digits[DIGITS + 2];
    FILE *pipe = popen(command, "re");
    if (!pipe) return status_errno(ERR_INPUT, "REELWRIGHT_TRUST_KEY_COMMAND cannot be started");
    read_digits(fileno(pipe), digits);
    Status status = pclose(pipe) == 0 ? derive(digits, "what REELWRIGHT_TRUST_KEY_COMMAND prints", out)
                                      : status_fail(ERR_INPUT, "REELWRIGHT_TRUST_KEY_COMMAND failed");
    sodium_memzero(digits, sizeof digits);
    return status;
}

Status trust_secret_open(const char *folder, bool make, TrustSecret **out)
{
    *out = NULL;
    if (!ready()) return status_fail(ERR_NODE, "libsodium does not start");
    char *file = trust_secret_file(folder);
    if (!file) return run_command(getenv("REELWRIGHT_TRUST_KEY_COMMAND"), out);
    Status status = make && !file_exists(file) ? trust_secret_make(file, out) : trust_secret_read(file, out);
    free(file);
    return status;
}

void trust_secret_close(TrustSecret **s)
{
    trust_memory_free(*s);
    *s = NULL;
}

/* ---- what it does ---- */

const unsigned char *trust_secret_public(const TrustSecret *s) { return s->public_key; }

void trust_secret_sign(const TrustSecret *s, const void *data, size_t bytes, unsigned char out[TRUST_SIGNATURE_BYTES])
{
    crypto_sign_detached(out, NULL, data, bytes, s->sign_key);
}

bool trust_secret_check(const unsigned char public_key[TRUST_KEY_BYTES], const void *data, size_t bytes,
                        const unsigned char signature[TRUST_SIGNATURE_BYTES])
{
    return ready() && crypto_sign_verify_detached(signature, data, bytes, public_key) == 0;
}

typedef struct {
    unsigned char nonce[crypto_secretbox_NONCEBYTES], box[crypto_secretbox_MACBYTES + TRUST_KEY_BYTES];
} Wrapped;
_Static_assert(2 * sizeof(Wrapped) == TRUST_WRAPPED, "as the header says");

void trust_secret_wrap(const TrustSecret *s, const unsigned char key[TRUST_KEY_BYTES], char text[TRUST_WRAPPED + 1])
{
    Wrapped w;
    trust_random(w.nonce, sizeof w.nonce);
    crypto_secretbox_easy(w.box, key, TRUST_KEY_BYTES, w.nonce, s->wrap);
    trust_hex(&w, sizeof w, text);
}

bool trust_secret_unwrap(const TrustSecret *s, const char *text, unsigned char key[TRUST_KEY_BYTES])
{
    Wrapped w;
    return trust_unhex(text, &w, sizeof w) &&
           crypto_secretbox_open_easy(key, w.box, sizeof w.box, w.nonce, s->wrap) == 0;
}
