/* chain.h - a record that can only grow: one JSON object a line, each with the hash of the one before it.
 *
 *     {"at":"2026-11-30T21:04:05Z","n":3,"prev":"...","t":1796072645,"what":"revoke",...}
 *
 * "prev" is the SHA-256 of the whole line before it: changing, removing or adding a line breaks the next one. With a signer each
 * line also carries the signature of the SHA-256 of itself without that signature, in canonical form (signed.h), so that nobody
 * else can write the chain anew; that of the last line stands for all before it, whose hashes it holds. The end is guarded by the head: a file beside
 * the chain (NAME.head) that says how many lines there are at least and what the last of them hashes to, and may be sealed: signed by whoever
 * wrote it. A line that a kill cut in
 * the middle is no line yet: it is taken out by the next writer.
 *
 * Writers take turns by a lock on NAME.lock, which works between the machines of a shared file system. */
#ifndef REELWRIGHT_TRUST_CHAIN_H
#define REELWRIGHT_TRUST_CHAIN_H

#include <stdint.h>

#include "trust/signed.h"

typedef struct {
    int64_t count;        /* lines */
    int64_t bytes;        /* of those lines */
    int64_t latest_s;     /* the latest time any of them names: it does not go back when the clock does */
    char hash[HASH_TEXT]; /* of the last; "" when there is none */
    unsigned char signer[TRUST_KEY_BYTES]; /* of the last; zeros when it is not signed */
} TrustChain;

enum { TRUST_SEAL_BYTES = 2049 };

typedef struct {               /* who vouches for what is appended; NULL: nobody */
    const TrustSecret *secret; /* signs each line */
    /* signs what the head says ("COUNT HASH"): hexadecimal, at most TRUST_SEAL_BYTES with its 0 byte, to be freed; NULL: it cannot */
    char *(*seal)(void *self, const char *head);
    void *self;
} TrustSigner;

typedef struct { /* may be NULL: nobody wants them */
    Status (*line)(void *self, const json_t *line);
    void *self;
} TrustChainSink;

/* Reads and checks all of it; a file that is not there is an empty chain. ERR_INPUT names file, line and what is wrong: a broken
 * hash, a line that is missing, an end that is missing. */
Status trust_chain_read(const char *path, TrustChainSink sink, TrustChain *out);

/* What stands in the head as it was read last: "COUNT HASH", and its seal, "" when there is none; free() both. ERR_INPUT: damaged. */
Status trust_chain_read_head(const char *path, char **head, char **seal);

/* Appends `count` lines (n, at, t, prev and, with a signer, signature are added to each body; t is now_s or, when the clock went
 * back, the latest time that the chain has seen) in one write. `known` is what this writer saw of the chain last, zeros at first: while
 * nobody else has written since, the chain is not read again. On failure (a full disk) the chain is as it was. */
Status trust_chain_append(const char *path, json_t *const *body, int count, int64_t now_s, TrustSigner signer,
                          TrustChain *known);

/* The lock of a chain: one writer at a time, also among machines; waits up to ten seconds. */
Status trust_chain_lock(const char *path, int *fd);
void trust_chain_unlock(int *fd);
/* The same as trust_chain_append by somebody who holds the lock. */
Status trust_chain_append_locked(const char *path, json_t *const *body, int count, int64_t now_s, TrustSigner signer,
                                 TrustChain *known);

/* Seals the head as it is now; `known` as above. The chain's lock is taken. */
Status trust_chain_seal(const char *path, TrustSigner signer, TrustChain *known);

/* "2026-11-30T21:04:05Z" */
enum { TRUST_TIME_BYTES = 32 };
void trust_time_text(int64_t s, char text[TRUST_TIME_BYTES]);

/* A file of mode 0600: draft, fsync, rename. */
Status trust_publish(const char *path, const void *data, size_t bytes);

#endif
