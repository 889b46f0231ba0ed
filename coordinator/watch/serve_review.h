/* serve_review.h - the review page over HTTP, on this machine alone. Who may use it has an address with a token that works once and
 * is then a session's cookie; when it was used there is another address, for another reviewer. A page of another site can neither
 * read nor decide anything (Host, Origin, SameSite, a secret in a header).
 *
 *   GET  /clips.json?where=COLUMN=VALUE&text=WORD&seen=VERSION   all clips that are made, the held ones first; 204: nothing is new since VERSION
 *   GET  /clip.json?id=ID                    one: row, prompt, gates, what it can be compared with
 *   GET  /file?what=video|thumbnail|sheet|earlier&id=ID
 *   POST /decide {"verb","by","reason","clips":[ID...],"seen":["STATE HASH"...]}
 *
 * It knows the ledger by reading it; what is decided it asks its host to write. */
#ifndef REELWRIGHT_SERVE_REVIEW_H
#define REELWRIGHT_SERVE_REVIEW_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/ledger/steer.h"
#include "coordinator/watch/serve_text.h"

typedef struct {
    /* Leaves the requests, and says what became of each. Called by several threads. */
    Status (*decide)(void *self, const LedgerRequest *r, int64_t count, RequestAnswer *answer);
    /* Somebody came in by the address; the next one is for another reviewer. */
    void (*entered)(void *self, const char *next_address);
    void *self;
} ReviewHost;

typedef struct ReviewServer ReviewServer;

/* port 0: any that is free. ERR_INPUT: it cannot listen there. */
Status serve_review_start(const char *folder, int port, ReviewHost host, ReviewServer **out);
void serve_review_stop(ReviewServer **s);
/* "http://127.0.0.1:9000/?token=...", that nobody has used yet; free() it */
char *serve_review_address(ReviewServer *s);

extern const ServeText serve_review_text[];

/* ---- serve_review_data.c: what the page shows ---- */

bool serve_review_can_decide(const char *folder); /* false: it can only be read, and the page says so */

typedef struct { /* of /clips.json; texts borrowed; where: COLUMN=VALUE each, as in ledger_make_filter */
    const char *const *where;
    int where_count;
    const char *text; /* "": all; else the id, a cell, a gate, the reviewer or the reason holds it, whatever the case */
    const char *seen; /* a version, or "" */
} ReviewSearch;

/* *out NULL: nothing is new. ERR_INPUT: no such column. */
Status serve_review_list(const char *folder, const ReviewSearch *search, const char *secret, json_t **out);

enum { REVIEW_FILES = 4 };
extern const char *const serve_review_file[REVIEW_FILES][2]; /* "video", "video/mp4"; ... */
typedef struct {
    json_t *details;
    char *file[REVIEW_FILES]; /* "" none */
} ReviewClip;
/* serve_review_clear in every case. ERR_INPUT: no such clip. */
Status serve_review_clip(const char *folder, const char *id, ReviewClip *out);
void serve_review_clear(ReviewClip *c);

#endif
