/* webhook.h - one signed POST, by libcurl, its only home.
 *
 * Headers and signature as the Standard Webhooks specification says (standardwebhooks.com), for which there are verifying
 * libraries in most languages: webhook-id (the same when a delivery is tried again), webhook-timestamp (seconds since 1970) and
 * webhook-signature: "v1," and the base64 of HMAC-SHA256 over "ID.TIMESTAMP.BODY". Redirects are not followed: a signed event
 * goes where the campaign says and nowhere else. */
#ifndef REELWRIGHT_WEBHOOK_H
#define REELWRIGHT_WEBHOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef struct {
    const char *address, *id, *body;
    const unsigned char *key; /* NULL: not signed */
    size_t key_bytes;
    int64_t timestamp_s;
    double limit_s; /* it waits no longer for the answer, and never longer than 10 s; 0: 10 s */
    /* *answered: true when there was an answer, whichever, or no connection; false: nobody knows whether the post arrived. NULL: not wanted */
    bool *answered;
    bool (*must_end)(void *self); /* asked now and then: true ends it. NULL: nobody asks */
    void *self;
} WebhookPost;

/* OK: answered with 2xx. ERR_RETRY: no answer, or one that another try may change (408, 429, 5xx). ERR_INPUT: refused for good.
 * The message has the host but not the address: its path may be a secret. */
Status webhook_post(const WebhookPost *p);

/* The key in a file or a text: what follows "whsec_" is base64, anything else is the key itself, without the line's end. free() it;
 * NULL: empty, or no base64. */
unsigned char *webhook_key(const char *text, size_t *bytes);
/* The key in this file, or, where that is NULL, in $REELWRIGHT_WEBHOOK_SECRET; *key NULL: there is neither, nothing is signed. ERR_INPUT. */
Status webhook_read_key(const char *secret_file, unsigned char **key, size_t *bytes);

#endif
