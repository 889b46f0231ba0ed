/* serve_review.h - the review page over HTTP, on this machine alone. Whoever may use it has the address that is printed, with a token that works once and
 * is then a cookie; a page of another site can neither read nor decide anything (Host, Origin, SameSite, a secret in a header).
 *
 * It knows the ledger by reading it; what is decided it asks its host to write. */
#ifndef REELWRIGHT_SERVE_REVIEW_H
#define REELWRIGHT_SERVE_REVIEW_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef struct {
    /* One clip, in state `seen`: ERR_INPUT when somebody else has decided meanwhile. */
    Status (*decide)(void *self, const char *verb, const char *clip, const char *seen, const char *by,
                     const char *reason);
    void *self;
} ReviewHost;

typedef struct ReviewServer ReviewServer;

/* port 0: any that is free. ERR_INPUT: it cannot listen there. */
Status serve_review_start(const char *folder, int port, ReviewHost host, ReviewServer **out);
void serve_review_stop(ReviewServer **s);
/* "http://127.0.0.1:9000/?token=..."; borrowed */
const char *serve_review_address(const ReviewServer *s);

/* The page's files, compiled in; path NULL ends them. */
typedef struct {
    const char *path, *type;
    const unsigned char *data;
    size_t bytes;
} ReviewText;
extern const ReviewText serve_review_text[];

#endif
