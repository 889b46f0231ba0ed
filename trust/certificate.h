/* certificate.h - a farm's own key for signing clips (C2PA Content Credentials), with certificates that it has made for itself; and what else
 * is signed with such a key: the head of a campaign's record (coordinator/watch/audit.h).
 *
 * An ES256 key (P-256, PKCS#8) and a chain of two X.509 certificates: the signer's (digitalSignature, extended use emailProtection,
 * which C2PA's default profile asks for) and a root of its own. Nobody trusts that root: readers say "valid, signer unknown". A clip that
 * shall be trusted needs a certificate of the C2PA conformance programme in its place. */
#ifndef REELWRIGHT_TRUST_CERTIFICATE_H
#define REELWRIGHT_TRUST_CERTIFICATE_H

#include <stddef.h>

#include "common/status.h"

/* Writes FOLDER/signer.pem (the key, 0600), chain.pem (signer, root), root.pem. ERR_INPUT: the folder holds a key already. */
Status trust_make_certificates(const char *folder, const char *organisation);

/* A signature (SHA-256, of any key that OpenSSL reads: ES256, RSA, Ed25519) over these bytes, in hexadecimal: free() it. ERR_INPUT: the file
 * cannot be opened, or holds no key that can sign. */
Status trust_seal(const char *key_file, const void *data, size_t bytes, char **seal);
/* The same by a command, whose key this program never sees: it reads the bytes and writes the signature, DER or r and s, within this time. */
enum { TRUST_SEAL_SECONDS = 10 };
Status trust_seal_by_command(const char *command, const void *data, size_t bytes, char **seal);
/* ERR_INPUT: no certificate in PEM is in the file. */
Status trust_check_certificate(const char *certificate_file);
/* The same, and each certificate of the file's chain has a say. ERR_INPUT: one is not valid yet, has expired or cannot be read; the message says
 * which and the date. *soon: the first one that expires within TRUST_SOON_DAYS, said with its date and what to do: free() it. Else NULL. */
enum { TRUST_SOON_DAYS = 30 };
Status trust_check_dates(const char *certificate_file, char **soon);
/* By the first certificate of the file. ERR_INPUT: no certificate, or the signature is not of these bytes. */
Status trust_check_seal(const char *certificate_file, const void *data, size_t bytes, const char *seal);

#endif
